//! A guest with a 1.44M drive, sector by sector, and the files that managers put into it.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{CCR, DriverError, Guest, Sectors};
use vm_fdc::{FloppyDrive, drive::DriveType, media::ImageOptions};

pub const SECTOR: usize = 512;
/// Sectors of a 1.44M disk, and its bytes.
pub const SECTORS: usize = 2_880;
pub const BYTES: usize = SECTORS * SECTOR;

/// Set to the rate of such disks.
pub fn guest() -> (Guest, FloppyDrive) {
    let (mut guest, drive) = Guest::with_drive(DriveType::Inch3_5Hd);
    guest.bus.write(CCR, 0);
    (guest, drive)
}

/// An image in which each sector is filled with what its number gives.
pub fn numbered(path: &Path) {
    let bytes: Vec<_> = (0..SECTORS).flat_map(|sector| [byte_of(sector); SECTOR]).collect();
    std::fs::write(path, bytes).expect("the image can be written");
}

/// A folder with such an image in it, and the path of that.
pub fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("the host has room for a folder");
    let path = folder.path().join("a.img");
    numbered(&path);
    (folder, path)
}

pub fn byte_of(sector: usize) -> u8 {
    (sector % 251) as u8
}

/// An image of zeros, for which the host has no room yet.
pub fn sparse(path: &Path) {
    File::create(path).expect("the image can be created").set_len(BYTES as u64).expect("the image can be sparse");
}

fn place(sector: usize) -> Sectors {
    Sectors {
        cylinder: (sector / 36) as u8,
        head: (sector / 18 % 2) as u8,
        record: (sector % 18) as u8 + 1,
        bytes: SECTOR,
        end_of_track: 18,
    }
}

/// Fills a sector, as a driver does.
pub fn fill(guest: &mut Guest, sector: usize, value: u8) -> Result<[u8; 7], DriverError> {
    let place = place(sector);
    guest.seek(place.cylinder);
    guest.buffer_mut(SECTOR).fill(value);
    guest.write_dma(place)
}

/// Reads a sector, as a driver does.
pub fn read(guest: &mut Guest, sector: usize) -> Result<Vec<u8>, DriverError> {
    let place = place(sector);
    guest.seek(place.cylinder);
    guest.read_dma(place)?;
    Ok(guest.buffer(SECTOR).to_vec())
}

/// ST0 without the drive and head, ST1 and ST2 of a command that failed.
pub fn failure<T: std::fmt::Debug>(outcome: Result<T, DriverError>) -> [u8; 3] {
    match outcome {
        Err(DriverError::Failed(reply)) => [reply[0] & 0xF8, reply[1], reply[2]],
        other => panic!("no failed command: {other:?}"),
    }
}

/// Where the bytes of an image are while it is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    Memory,
    Mapped,
}

impl Backing {
    pub fn of(self, options: ImageOptions) -> ImageOptions {
        match self {
            Self::Memory => options,
            // SAFETY: only this test has to do with the file, and does nothing to it meanwhile.
            #[allow(unsafe_code)]
            Self::Mapped => unsafe { options.with_mapping() },
        }
    }
}
