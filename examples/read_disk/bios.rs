//! The floppy services of a BIOS, as far as reading goes. All that they know of the disk they learn from its ID fields:
//! the data rate, the sides, the sectors and the cylinders.

use vm_fdc::media::{DataRate, SectorId};

use crate::kit::{BUFFER, CCR, DMA_READ_FLOPPY, DriverError, FIFO, Guest, MSR};

const DRIVE: u8 = 0;
/// What the 8237A reaches without a change of its page register.
const PAGE: usize = 0x1_0000;
/// More than any drive reaches.
const MOST_CYLINDERS: u8 = 100;

/// How the bytes of a sector get into memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// The 8237A moves them.
    Dma,
    /// The processor does, one by one.
    Programmed,
}

/// Why a disk could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BiosError {
    #[error("the controller does not do what a BIOS waits for")]
    Controller(#[from] DriverError),
    #[error("the drive does not find cylinder {0}")]
    Seek(u8),
    #[error("no sector can be found at any data rate")]
    NotFormatted,
    #[error("the sectors of a track are not numbered from 1, or not of one size")]
    Irregular,
}

/// What a disk looks like.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub rate: DataRate,
    /// Steps from one cylinder of the disk to the next: 2 for one of 40 cylinders in a drive of 80.
    pub steps: u8,
    pub cylinders: u8,
    pub heads: u8,
    /// Sectors on a side, numbered from 1.
    pub sectors: u8,
    pub size_code: u8,
    pub sector_size: usize,
}

impl Layout {
    pub fn tracks(&self) -> usize {
        usize::from(self.cylinders) * usize::from(self.heads)
    }
}

/// A disk that has been read.
pub struct Disk {
    pub layout: Layout,
    /// Its sectors in the order of cylinder, head and number.
    pub bytes: Vec<u8>,
    /// The sectors that could not be read, counted in that order. Their bytes are 0.
    pub bad: Vec<usize>,
}

pub struct Bios {
    guest: Guest,
    transfer: Transfer,
}

impl Bios {
    /// Sets the controller up for the transfer and the head to cylinder 0.
    pub fn new(mut guest: Guest, transfer: Transfer) -> Result<Self, BiosError> {
        guest.use_dma(transfer == Transfer::Dma);
        // One RECALIBRATE makes 79 steps at most, which is not all of the way.
        if guest.recalibrate() != [0x20, 0] && guest.recalibrate() != [0x20, 0] {
            return Err(BiosError::Seek(0));
        }
        Ok(Self { guest, transfer })
    }

    /// Media typing, and then more than a BIOS has to find out, which knows a few formats only.
    pub fn find_layout(&mut self) -> Result<Layout, BiosError> {
        let rate = self.find_rate()?;
        let heads = if self.read_id(1)?.is_some() { 2 } else { 1 };
        let (sectors, size_code, sector_size) = self.find_sectors()?;
        let steps = self.find_steps()?;
        let cylinders = self.find_cylinders(steps)?;
        Ok(Layout { rate, steps, cylinders, heads, sectors, size_code, sector_size })
    }

    /// The data rate at which an ID field can be read.
    fn find_rate(&mut self) -> Result<DataRate, BiosError> {
        for rate in (0..4).map(DataRate::from_bits) {
            self.guest.bus.write(CCR, rate as u8);
            if self.read_id(0)?.is_some() {
                return Ok(rate);
            }
        }
        Err(BiosError::NotFormatted)
    }

    /// How many sectors pass in one turn of the disk, and their size as a code and in bytes.
    fn find_sectors(&mut self) -> Result<(u8, u8, usize), BiosError> {
        let first = self.read_id(0)?.ok_or(BiosError::NotFormatted)?;
        let mut records = vec![first.record];
        while let Some(id) = self.read_id(0)?
            && id != first
            && records.len() < 0xFF
        {
            if (id.cylinder, id.head, id.size_code) != (first.cylinder, first.head, first.size_code) {
                return Err(BiosError::Irregular);
            }
            records.push(id.record);
        }
        records.sort_unstable();
        let size = first.size().filter(|size| size * records.len() <= PAGE).ok_or(BiosError::Irregular)?;
        match records.last() {
            Some(&last) if records.iter().copied().eq(1..=last) => Ok((last, first.size_code, size)),
            _ => Err(BiosError::Irregular),
        }
    }

    /// The second step of the head leads to cylinder 2, or only to cylinder 1.
    fn find_steps(&mut self) -> Result<u8, BiosError> {
        self.seek(2)?;
        Ok(if self.read_id(0)?.is_some_and(|id| id.cylinder == 1) { 2 } else { 1 })
    }

    /// Beyond the last cylinder there is nothing, or the head is stuck where it can go no further.
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

    /// Reads all sectors, track by track, into the buffer in guest memory and collects them from there.
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

    /// A track by one command; one by one the sectors of a track that fails.
    fn read_track(&mut self, cylinder: u8, head: u8, disk: &mut Disk) -> Result<(), BiosError> {
        let Layout { sectors, size_code, sector_size, .. } = disk.layout;
        let first = SectorId { cylinder, head, record: 1, size_code };
        let length = usize::from(sectors) * sector_size;
        if self.read(first, sectors, length)? {
            disk.bytes.extend_from_slice(self.guest.buffer(length));
            return Ok(());
        }
        for record in 1..=sectors {
            if self.read(SectorId { record, ..first }, record, sector_size)? {
                disk.bytes.extend_from_slice(self.guest.buffer(sector_size));
            } else {
                disk.bad.push(disk.bytes.len() / sector_size);
                disk.bytes.resize(disk.bytes.len() + sector_size, 0);
            }
        }
        Ok(())
    }

    /// READ DATA from the sector `first` to the sector `last` of the same track; `false` when it failed.
    fn read(&mut self, first: SectorId, last: u8, length: usize) -> Result<bool, DriverError> {
        let SectorId { cylinder, head, record, size_code } = first;
        let command = [0x46, head << 2 | DRIVE, cylinder, head, record, size_code, last, 0x1B, 0xFF];
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
            // Terminal count came with the last byte: normal end, and the ID of the sector that would be next.
            Transfer::Dma => [head << 2 | DRIVE, 0, 0, cylinder + 1, head, 1, size_code],
            // Nothing tells the controller that this was all. It reports the end of the track as an error.
            Transfer::Programmed => [0x40 | head << 2 | DRIVE, 0x80, 0, cylinder, head, last, size_code],
        };
        Ok(self.guest.reply() == expected)
    }

    /// Moves data from the FIFO to the buffer, for as long as there is some: a command that fails goes over to its
    /// result.
    fn fetch_data(&mut self, length: usize) {
        for place in 0..length {
            if self.guest.bus.read(MSR) != 0xF0 {
                return;
            }
            let byte = self.guest.bus.read(FIFO);
            self.guest.buffer_mut(length)[place] = byte;
        }
    }

    /// The next ID field that passes; `None` when none can be read.
    fn read_id(&mut self, head: u8) -> Result<Option<SectorId>, DriverError> {
        self.guest.send(&[0x4A, head << 2 | DRIVE])?;
        Ok(match *self.guest.reply() {
            [st0, 0, 0, cylinder, head, record, size_code] if st0 & 0xC0 == 0 => {
                Some(SectorId { cylinder, head, record, size_code })
            }
            _ => None,
        })
    }

    fn seek(&mut self, cylinder: u8) -> Result<(), BiosError> {
        if self.guest.seek(cylinder) == [0x20 | DRIVE, cylinder] { Ok(()) } else { Err(BiosError::Seek(cylinder)) }
    }
}
