//! Disks for the tests of the data commands, in the 1.44M drive of a guest: an image without two sectors alike, and a
//! disk in memory that has whatever a test asks for: any IDs, deleted marks, CRC errors, failures of the host.

use std::{collections::BTreeMap, fs, io};

use vm_fdc::{
    FloppyDrive,
    drive::DriveType,
    media::{
        Access, DataRate, Encoding, FormFactor, Mark, Medium, MediumError, Sector, SectorDisk, SectorId, SectorTrack,
        Track, TrackFormat,
    },
};

use super::{BUFFER, CCR, DMA_READ_FLOPPY, DMA_WRITE_FLOPPY, FIFO, Guest, MSR, Reply, fixture};

/// An image on which each sector of a file that fills the disk bears a number.
pub const FULL_DISK: &str = "dos-1440k.vfd";
/// A cylinder in the middle of that file.
pub const CYLINDER: u8 = 5;
/// The size of its sectors.
pub const SECTOR: usize = 512;

pub const READ: u8 = 0x46;
pub const WRITE: u8 = 0x45;
pub const MT: u8 = 0x80;

/// A guest with a 1.44M drive, which it has set to the rate of such disks.
pub fn guest() -> (Guest, FloppyDrive) {
    let (mut guest, drive) = Guest::with_drive(DriveType::Inch3_5Hd);
    guest.bus.write(CCR, 0);
    (guest, drive)
}

/// A guest with [`FULL_DISK`] in its drive, and the head at [`CYLINDER`]. What it writes does not reach the file.
pub fn guest_with_full_disk() -> Guest {
    let (mut guest, drive) = guest();
    drive.attach_image(fixture(FULL_DISK), Access::Private).unwrap();
    guest.seek(CYLINDER);
    guest
}

/// Sectors of [`CYLINDER`], as [`FULL_DISK`] has them.
pub fn in_file(head: u8, record: u8, sectors: usize) -> Vec<u8> {
    fs::read(fixture(FULL_DISK)).unwrap()[offset_in_file(head, record)..][..sectors * SECTOR].to_vec()
}

/// Where a sector of [`CYLINDER`] is in [`FULL_DISK`].
pub fn offset_in_file(head: u8, record: u8) -> usize {
    ((usize::from(CYLINDER) * 2 + usize::from(head)) * 18 + usize::from(record) - 1) * SECTOR
}

/// READ DATA or WRITE DATA of [`CYLINDER`].
pub fn command(opcode: u8, head: u8, record: u8, end_of_track: u8) -> [u8; 9] {
    [opcode, head << 2, CYLINDER, head, record, 2, end_of_track, 0x1B, 0xFF]
}

/// READ DATA or WRITE DATA by DMA, with terminal count after `bytes`.
pub fn transfer(guest: &mut Guest, command: &[u8; 9], bytes: usize) -> Reply {
    let mode = if command[0] & 0x1F == 0x05 { DMA_WRITE_FLOPPY } else { DMA_READ_FLOPPY };
    guest.program_dma(mode, BUFFER, bytes);
    guest.command(command)
}

/// A command without terminal count, its data in the guest's buffer: how many bytes moved, and the result.
pub fn exchange(guest: &mut Guest, dma: bool, command: &[u8]) -> (usize, Reply) {
    guest.use_dma(dma);
    let to_disk = matches!(command[0] & 0x1F, 0x05 | 0x09 | 0x11 | 0x19 | 0x1D);
    guest.program_dma(if to_disk { DMA_WRITE_FLOPPY } else { DMA_READ_FLOPPY }, BUFFER, 0x1_0000);
    guest.send(command).unwrap();
    let mut place = BUFFER as usize;
    loop {
        match guest.bus.read(MSR) {
            0xF0 => guest.bus.memory_mut()[place] = guest.bus.read(FIFO),
            0xB0 => guest.bus.write(FIFO, guest.bus.memory()[place]),
            _ => break,
        }
        place += 1;
    }
    let residue = u16::from_le_bytes([guest.bus.read(0x05), guest.bus.read(0x05)]);
    let moved = if dma { usize::from(u16::MAX - residue) } else { place - BUFFER as usize };
    (moved, guest.reply())
}

/// A 3.5" disk of 80 cylinders, of which those that a test names are recorded, and which the host can fail.
#[derive(Clone)]
pub struct Disk {
    rate: DataRate,
    encoding: Encoding,
    sectors: SectorDisk,
    failures: BTreeMap<u8, Failure>,
}

/// What the host does when it is asked for a sector.
#[derive(Clone, Copy)]
pub enum Failure {
    Io,
    /// Its file ends before the sector.
    Absent,
}

/// A sound sector of cylinder 0, head 0, with 512 bytes.
pub fn sector(record: u8) -> Sector {
    id(0, 0, record, 2)
}

/// A sound sector with this ID.
pub fn id(cylinder: u8, head: u8, record: u8, size_code: u8) -> Sector {
    Sector::good(SectorId { cylinder, head, sector: record, size_code })
}

pub fn deleted(sector: Sector) -> Sector {
    Sector { mark: Some(Mark::Deleted), ..sector }
}

pub fn without_data_field(sector: Sector) -> Sector {
    Sector { mark: None, ..sector }
}

pub fn with_bad_id_crc(sector: Sector) -> Sector {
    Sector { id_crc_error: true, ..sector }
}

pub fn with_bad_data_crc(sector: Sector) -> Sector {
    Sector { data_crc_error: true, ..sector }
}

/// What a sector of a [`Disk`] holds until it is written.
pub fn contents(sector: Sector) -> Vec<u8> {
    (0..sector.id.size().unwrap_or(0)).map(|n| (n % 251) as u8 ^ sector.id.sector).collect()
}

impl Disk {
    pub fn blank() -> Self {
        Self {
            rate: DataRate::Kbps500,
            encoding: Encoding::Mfm,
            sectors: SectorDisk::unformatted(FormFactor::Inch3_5, 80),
            failures: BTreeMap::new(),
        }
    }

    /// A disk on which only side 0 of cylinder 0 is recorded.
    pub fn of(sectors: impl IntoIterator<Item = Sector>) -> Self {
        Self::blank().side(0, 0, sectors)
    }

    /// A disk on which only side 0 of cylinder 0 is recorded, otherwise than in MFM at 500 kb/s.
    pub fn recorded(rate: DataRate, encoding: Encoding, sectors: impl IntoIterator<Item = Sector>) -> Self {
        Self { rate, encoding, ..Self::blank() }.side(0, 0, sectors)
    }

    /// Records a side of a cylinder.
    pub fn side(mut self, cylinder: u8, head: u8, sectors: impl IntoIterator<Item = Sector>) -> Self {
        let empty = SectorTrack::new(self.rate).with_encoding(self.encoding);
        let track = sectors.into_iter().fold(empty, |track, sector| track.with_sector(sector, contents(sector)));
        self.sectors.set_track(cylinder, head, track);
        self
    }

    pub fn protected(mut self) -> Self {
        self.sectors.set_write_protected(true);
        self
    }

    /// The host fails at the sectors with this R.
    pub fn failing(mut self, record: u8, failure: Failure) -> Self {
        self.failures.insert(record, failure);
        self
    }

    /// Puts the disk into the drive of a guest, whose head stands at cylinder 0.
    pub fn in_drive(self) -> Guest {
        let (guest, drive) = guest();
        drive.attach_medium(self).unwrap();
        guest
    }

    fn fail(&self, cylinder: u8, head: u8, slot: usize) -> Result<(), MediumError> {
        let sector = self.track(cylinder, head).and_then(|track| track.sector(slot)).ok_or(MediumError::Absent)?;
        match self.failures.get(&sector.id.sector) {
            Some(Failure::Io) => Err(io::Error::other("made to fail").into()),
            Some(Failure::Absent) => Err(MediumError::Absent),
            None => Ok(()),
        }
    }
}

impl Medium for Disk {
    fn form_factor(&self) -> FormFactor {
        self.sectors.form_factor()
    }

    fn cylinders(&self) -> u8 {
        self.sectors.cylinders()
    }

    fn is_write_protected(&self) -> bool {
        self.sectors.is_write_protected()
    }

    fn track(&self, cylinder: u8, head: u8) -> Option<Track<'_>> {
        self.sectors.track(cylinder, head)
    }

    fn read(&mut self, cylinder: u8, head: u8, slot: usize, count: usize) -> Result<&[u8], MediumError> {
        self.fail(cylinder, head, slot)?;
        self.sectors.read(cylinder, head, slot, count)
    }

    fn write(
        &mut self,
        cylinder: u8,
        head: u8,
        slot: usize,
        count: usize,
        mark: Mark,
    ) -> Result<&mut [u8], MediumError> {
        self.fail(cylinder, head, slot)?;
        self.sectors.write(cylinder, head, slot, count, mark)
    }

    fn finish_write(&mut self, cylinder: u8, head: u8, slot: usize, count: usize, mark: Mark) {
        self.sectors.finish_write(cylinder, head, slot, count, mark);
    }

    fn format_track(&mut self, cylinder: u8, head: u8, format: &TrackFormat<'_>) -> Result<(), MediumError> {
        self.sectors.format_track(cylinder, head, format)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
