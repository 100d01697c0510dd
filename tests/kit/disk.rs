//! Disks for the tests of the data commands, in the 1.44M drive of a guest: an image in which all sectors differ, and a
//! disk in memory with what a test needs: any IDs, deleted marks, CRC errors, failures of the host. Also the opcodes and
//! the commands of these tests.

use std::{any::Any, collections::BTreeMap, fs, io};

use tempfile::NamedTempFile;
use vm_fdc::{
    FloppyDrive,
    drive::DriveType,
    media::{
        Access, DataRate, Encoding, FormFactor, Mark, Medium, MediumError, Sector, SectorDisk, SectorId, SectorTrack,
        Track, TrackFormat,
    },
};

use super::{BUFFER, CCR, DMA_READ_FLOPPY, DMA_WRITE_FLOPPY, FIFO, FROM_HOST, Guest, MSR, Reply, TO_HOST, fixture};

/// An image that a single file fills. Each sector of the file contains its own number.
pub const FULL_DISK: &str = "dos-1440k.vfd";
/// A cylinder within that file.
pub const CYLINDER: u8 = 5;
/// The size of its sectors in bytes.
pub const SECTOR: usize = 512;

/// Opcodes in MFM, without MT and SK (§3.1).
pub const READ: u8 = 0x46;
pub const READ_DELETED: u8 = 0x4C;
pub const READ_TRACK: u8 = 0x42;
pub const READ_ID: u8 = 0x4A;
pub const WRITE: u8 = 0x45;
pub const WRITE_DELETED: u8 = 0x49;
pub const VERIFY: u8 = 0x56;
pub const FORMAT: u8 = 0x4D;
/// The flags of an opcode: multi-track, MFM encoding, skip.
pub const MT: u8 = 0x80;
pub const MFM: u8 = 0x40;
pub const SK: u8 = 0x20;

/// The values of `dma` in [`exchange`]: data by DMA, and byte by byte.
pub const MODES: [bool; 2] = [true, false];

/// Returns a guest with an empty 1.44M drive, set to the data rate of such disks.
pub fn guest() -> (Guest, FloppyDrive) {
    let (mut guest, drive) = Guest::with_drive(DriveType::Inch3_5Hd);
    guest.bus.write(CCR, 0);
    (guest, drive)
}

/// Returns a guest with [`FULL_DISK`] in its drive and the head at [`CYLINDER`]. Writes do not change the file.
pub fn guest_with_full_disk() -> Guest {
    let (mut guest, drive) = guest();
    drive.attach_image(fixture(FULL_DISK), Access::Private).unwrap();
    guest.seek(CYLINDER);
    guest
}

/// Returns the bytes of `sectors` sectors of [`CYLINDER`] from sector `first` on, as [`FULL_DISK`] has them.
pub fn in_file(head: u8, first: u8, sectors: usize) -> Vec<u8> {
    fs::read(fixture(FULL_DISK)).unwrap()[offset_in_file(head, first)..][..sectors * SECTOR].to_vec()
}

/// Returns the offset of a sector of [`CYLINDER`] in [`FULL_DISK`].
pub fn offset_in_file(head: u8, sector: u8) -> usize {
    ((usize::from(CYLINDER) * 2 + usize::from(head)) * 18 + usize::from(sector) - 1) * SECTOR
}

/// Returns the same guest with a copy of the file, and the copy.
pub fn guest_with_copy(access: Access) -> (Guest, FloppyDrive, NamedTempFile) {
    let copy = NamedTempFile::new().unwrap();
    fs::copy(fixture(FULL_DISK), copy.path()).unwrap();
    let (mut guest, drive) = guest();
    drive.attach_image(copy.path(), access).unwrap();
    guest.seek(CYLINDER);
    (guest, drive, copy)
}

/// Returns a command for sectors of 512 bytes of [`CYLINDER`].
pub fn command(opcode: u8, head: u8, sector: u8, end_of_track: u8) -> [u8; 9] {
    [opcode, head << 2, CYLINDER, head, sector, 2, end_of_track, 0x1B, 0xFF]
}

/// Returns a command for sectors of 512 bytes from sector 1 of cylinder 0, head 0, up to an EOT.
pub fn from_first(opcode: u8, end_of_track: u8) -> [u8; 9] {
    [opcode, 0, 0, 0, 1, 2, end_of_track, 0x1B, 0xFF]
}

/// Performs READ DATA or WRITE DATA by DMA, with terminal count after `bytes`.
pub fn transfer(guest: &mut Guest, command: &[u8; 9], bytes: usize) -> Reply {
    let mode = if command[0] & 0x1F == 0x05 { DMA_WRITE_FLOPPY } else { DMA_READ_FLOPPY };
    guest.program_dma(mode, BUFFER, bytes);
    guest.command(command)
}

/// Performs a command without terminal count. Its data is in the guest's buffer. Returns the number of bytes that moved,
/// and the result.
pub fn exchange(guest: &mut Guest, dma: bool, command: &[u8]) -> (usize, Reply) {
    guest.use_dma(dma);
    let to_disk = matches!(command[0] & 0x1F, 0x05 | 0x09 | 0x11 | 0x19 | 0x1D);
    guest.program_dma(if to_disk { DMA_WRITE_FLOPPY } else { DMA_READ_FLOPPY }, BUFFER, 0x1_0000);
    guest.send(command).unwrap();
    let mut address = BUFFER as usize;
    loop {
        match guest.bus.read(MSR) {
            TO_HOST => guest.bus.memory_mut()[address] = guest.bus.read(FIFO),
            FROM_HOST => guest.bus.write(FIFO, guest.bus.memory()[address]),
            _ => break,
        }
        address += 1;
    }
    let residue = u16::from_le_bytes([guest.bus.read(0x05), guest.bus.read(0x05)]);
    let moved = if dma { usize::from(u16::MAX - residue) } else { address - BUFFER as usize };
    (moved, guest.reply())
}

/// Returns bytes that are on no disk.
pub fn made_up(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| (n % 241) as u8).collect()
}

/// Releases the medium in a drive and returns it.
pub fn released<M: Medium>(drive: &FloppyDrive) -> M {
    let medium: Box<dyn Any> = drive.release_medium().unwrap();
    *medium.downcast().unwrap()
}

/// A 3.5" disk of 80 cylinders. Only the tracks that a test adds are formatted. The host can fail at a sector.
#[derive(Clone)]
pub struct Disk {
    rate: DataRate,
    encoding: Encoding,
    sectors: SectorDisk,
    failures: BTreeMap<u8, Failure>,
}

/// The failure of the host when a sector is accessed.
#[derive(Clone, Copy)]
pub enum Failure {
    Io,
    /// The file ends before the sector.
    Absent,
}

/// Returns a good sector of cylinder 0, head 0, with 512 bytes.
pub fn sector(number: u8) -> Sector {
    id(0, 0, number, 2)
}

/// Returns a good sector with this ID.
pub fn id(cylinder: u8, head: u8, sector: u8, size_code: u8) -> Sector {
    Sector::good(SectorId { cylinder, head, sector, size_code })
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

/// Returns the data of a sector of a [`Disk`] before the first write.
pub fn contents(sector: Sector) -> Vec<u8> {
    (0..sector.id.size().unwrap_or(0)).map(|n| (n % 251) as u8 ^ sector.id.sector).collect()
}

impl Disk {
    /// Returns a disk without a formatted track.
    pub fn blank() -> Self {
        Self {
            rate: DataRate::Kbps500,
            encoding: Encoding::Mfm,
            sectors: SectorDisk::unformatted(FormFactor::Inch3_5, 80),
            failures: BTreeMap::new(),
        }
    }

    /// Returns a disk on which only cylinder 0, head 0 is formatted.
    pub fn of(sectors: impl IntoIterator<Item = Sector>) -> Self {
        Self::blank().with_track(0, 0, sectors)
    }

    /// Returns such a disk with another data rate or encoding than 500 kb/s in MFM.
    pub fn recorded(rate: DataRate, encoding: Encoding, sectors: impl IntoIterator<Item = Sector>) -> Self {
        Self { rate, encoding, ..Self::blank() }.with_track(0, 0, sectors)
    }

    /// Returns a disk with `second` between the good sectors 1 and 3 of cylinder 0, head 0.
    pub fn with_second(second: Sector) -> Self {
        Self::of([sector(1), second, sector(3)])
    }

    /// Formats a track.
    pub fn with_track(mut self, cylinder: u8, head: u8, sectors: impl IntoIterator<Item = Sector>) -> Self {
        let empty = SectorTrack::new(self.rate).with_encoding(self.encoding);
        let track = sectors.into_iter().fold(empty, |track, sector| track.with_sector(sector, contents(sector)));
        self.sectors.set_track(cylinder, head, track);
        self
    }

    /// Sets write protection.
    pub fn protected(mut self) -> Self {
        self.sectors.set_write_protected(true);
        self
    }

    /// Lets the host fail at the sectors with this R.
    pub fn failing(mut self, sector: u8, failure: Failure) -> Self {
        self.failures.insert(sector, failure);
        self
    }

    /// Returns a guest with the disk in its drive and the head at cylinder 0.
    pub fn in_drive(self) -> Guest {
        let (guest, drive) = guest();
        drive.attach_medium(self).unwrap();
        guest
    }

    fn fail(&self, cylinder: u8, head: u8, slot: usize) -> Result<(), MediumError> {
        let sector = self.track(cylinder, head).and_then(|track| track.sector(slot)).ok_or(MediumError::Absent)?;
        match self.failures.get(&sector.id.sector) {
            Some(Failure::Io) => Err(io::Error::other("a failure for the test").into()),
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
