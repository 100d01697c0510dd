//! The floppy services of a BIOS that read. They determine the format of the disk from its ID fields: the data rate,
//! the heads, the sectors and the cylinders.

use vm_fdc::media::{DataRate, SectorId};

use crate::kit::{BUFFER, CCR, DMA_READ_FLOPPY, DriverError, FIFO, Guest, MSR, TO_HOST};

const DRIVE: u8 = 0;
/// Bytes that the 8237A reaches without a change of its page register.
const PAGE: usize = 0x1_0000;
/// Upper limit of cylinders, above that of every drive.
const MOST_CYLINDERS: u8 = 100;

/// How the bytes of a sector are moved to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// The 8237A moves them.
    Dma,
    /// The processor moves them one by one.
    Programmed,
}

/// The error for a disk that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BiosError {
    #[error("the controller does not respond as a BIOS expects")]
    Controller(#[from] DriverError),
    #[error("the drive cannot seek to cylinder {0}")]
    Seek(u8),
    #[error("no sector was found at any data rate")]
    NotFormatted,
    #[error("the sectors of a track are not numbered from 1, or differ in size")]
    Irregular,
}

/// Format of a disk.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub rate: DataRate,
    /// Steps from one cylinder of the disk to the next: 2 for a disk of 40 cylinders in a drive of 80 cylinders.
    pub steps: u8,
    pub cylinders: u8,
    pub heads: u8,
    /// Sectors on a track, numbered from 1.
    pub sectors: u8,
    pub size_code: u8,
    pub sector_size: usize,
}

impl Layout {
    pub fn tracks(&self) -> usize {
        usize::from(self.cylinders) * usize::from(self.heads)
    }
}

/// Contents of a disk.
pub struct Disk {
    pub layout: Layout,
    /// Sectors in the order of cylinder, head and sector number.
    pub bytes: Vec<u8>,
    /// Sectors that could not be read, counted from 0 in that order. Their bytes are 0.
    pub bad: Vec<usize>,
}

pub struct Bios {
    guest: Guest,
    transfer: Transfer,
}

impl Bios {
    /// Programs the controller for the transfer and moves the head to cylinder 0.
    pub fn new(mut guest: Guest, transfer: Transfer) -> Result<Self, BiosError> {
        guest.use_dma(transfer == Transfer::Dma);
        // One RECALIBRATE makes at most 79 steps, which may not reach cylinder 0.
        if guest.recalibrate() != [0x20, 0] && guest.recalibrate() != [0x20, 0] {
            return Err(BiosError::Seek(0));
        }
        Ok(Self { guest, transfer })
    }

    /// Determines the format of the disk. A BIOS does only a part of this, because it knows only a few formats.
    pub fn find_layout(&mut self) -> Result<Layout, BiosError> {
        let rate = self.find_rate()?;
        let heads = if self.read_id(1)?.is_some() { 2 } else { 1 };
        let (sectors, size_code, sector_size) = self.find_sectors()?;
        let steps = self.find_steps()?;
        let cylinders = self.find_cylinders(steps)?;
        Ok(Layout { rate, steps, cylinders, heads, sectors, size_code, sector_size })
    }

    /// Returns the data rate at which an ID field can be read.
    fn find_rate(&mut self) -> Result<DataRate, BiosError> {
        for rate in (0..4).map(DataRate::from_bits) {
            self.guest.bus.write(CCR, rate as u8);
            if self.read_id(0)?.is_some() {
                return Ok(rate);
            }
        }
        Err(BiosError::NotFormatted)
    }

    /// Returns the number of sectors on a track, their size code, and their size in bytes.
    fn find_sectors(&mut self) -> Result<(u8, u8, usize), BiosError> {
        let first = self.read_id(0)?.ok_or(BiosError::NotFormatted)?;
        let mut numbers = vec![first.sector];
        while let Some(id) = self.read_id(0)?
            && id != first
            && numbers.len() < 0xFF
        {
            if (id.cylinder, id.head, id.size_code) != (first.cylinder, first.head, first.size_code) {
                return Err(BiosError::Irregular);
            }
            numbers.push(id.sector);
        }
        numbers.sort_unstable();
        let size = first.size().filter(|size| size * numbers.len() <= PAGE).ok_or(BiosError::Irregular)?;
        match numbers.last() {
            Some(&last) if numbers.iter().copied().eq(1..=last) => Ok((last, first.size_code, size)),
            _ => Err(BiosError::Irregular),
        }
    }

    /// Returns the steps from one cylinder of the disk to the next: after two steps the head is at cylinder 2 or 1.
    fn find_steps(&mut self) -> Result<u8, BiosError> {
        self.seek(2)?;
        Ok(if self.read_id(0)?.is_some_and(|id| id.cylinder == 1) { 2 } else { 1 })
    }

    /// Returns the number of cylinders. Beyond the last one there are no IDs, or the head is at its stop and finds
    /// other IDs.
    fn find_cylinders(&mut self, steps: u8) -> Result<u8, BiosError> {
        let mut cylinders = 0;
        while cylinders < MOST_CYLINDERS {
            self.seek(cylinders * steps)?;
            if self.read_id(0)?.is_none_or(|id| id.cylinder != cylinders) {
                break;
            }
            cylinders += 1;
        }
        Ok(cylinders)
    }

    /// Reads all sectors, track by track, through the buffer in guest memory. Calls `track_read` after each track.
    pub fn read_disk(&mut self, layout: Layout, mut track_read: impl FnMut()) -> Result<Disk, BiosError> {
        let mut disk = Disk { layout, bytes: Vec::new(), bad: Vec::new() };
        for cylinder in 0..layout.cylinders {
            self.seek(cylinder * layout.steps)?;
            for head in 0..layout.heads {
                self.read_track(cylinder, head, &mut disk)?;
                track_read();
            }
        }
        Ok(disk)
    }

    /// Reads a track with one command. If that fails, reads its sectors one by one.
    fn read_track(&mut self, cylinder: u8, head: u8, disk: &mut Disk) -> Result<(), BiosError> {
        let Layout { sectors, size_code, sector_size, .. } = disk.layout;
        let first = SectorId { cylinder, head, sector: 1, size_code };
        let length = usize::from(sectors) * sector_size;
        if self.read(first, sectors, length)? {
            disk.bytes.extend_from_slice(self.guest.buffer(length));
            return Ok(());
        }
        for sector in 1..=sectors {
            if self.read(SectorId { sector, ..first }, sector, sector_size)? {
                disk.bytes.extend_from_slice(self.guest.buffer(sector_size));
            } else {
                disk.bad.push(disk.bytes.len() / sector_size);
                disk.bytes.resize(disk.bytes.len() + sector_size, 0);
            }
        }
        Ok(())
    }

    /// Performs READ DATA from sector `first` to sector `last` of the same track. Returns `false` if it failed.
    fn read(&mut self, first: SectorId, last: u8, length: usize) -> Result<bool, DriverError> {
        let SectorId { cylinder, head, sector, size_code } = first;
        let command = [0x46, head << 2 | DRIVE, cylinder, head, sector, size_code, last, 0x1B, 0xFF];
        if self.transfer == Transfer::Dma {
            self.guest.program_dma(DMA_READ_FLOPPY, BUFFER, length);
        }
        self.guest.send(&command)?;
        if self.transfer == Transfer::Programmed {
            self.fetch_data(length);
        }
        if !self.guest.bus.irq().is_high() {
            return Err(DriverError::NoInterrupt);
        }
        let expected = match self.transfer {
            // Terminal count came with the last byte: normal end, and the ID of the sector that follows (§4.2).
            Transfer::Dma => [head << 2 | DRIVE, 0, 0, cylinder + 1, head, 1, size_code],
            // Without terminal count the controller reports the end of the track as an error (§4.2).
            Transfer::Programmed => [0x40 | head << 2 | DRIVE, 0x80, 0, cylinder, head, last, size_code],
        };
        Ok(self.guest.reply() == expected)
    }

    /// Moves data from the FIFO to the buffer while there is data: a command that fails enters its result phase.
    fn fetch_data(&mut self, length: usize) {
        for place in 0..length {
            if self.guest.bus.read(MSR) != TO_HOST {
                return;
            }
            let byte = self.guest.bus.read(FIFO);
            self.guest.buffer_mut(length)[place] = byte;
        }
    }

    /// Performs READ ID. Returns the next ID that passes the head; `None` if no ID can be read.
    fn read_id(&mut self, head: u8) -> Result<Option<SectorId>, DriverError> {
        self.guest.send(&[0x4A, head << 2 | DRIVE])?;
        Ok(match *self.guest.reply() {
            [st0, 0, 0, cylinder, head, sector, size_code] if st0 & 0xC0 == 0 => {
                Some(SectorId { cylinder, head, sector, size_code })
            }
            _ => None,
        })
    }

    fn seek(&mut self, cylinder: u8) -> Result<(), BiosError> {
        if self.guest.seek(cylinder) == [0x20 | DRIVE, cylinder] { Ok(()) } else { Err(BiosError::Seek(cylinder)) }
    }
}
