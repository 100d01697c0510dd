//! A guest that reads and writes single sectors of a 1.44M disk, and the image files for its drive. A sector has a number
//! from 0 to 2879, in the order of the image.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{CCR, DriverError, Guest, Sectors};
use vm_fdc::{
    FloppyDrive,
    drive::DriveType,
    media::{Access, ImageOptions},
};

pub const SECTOR: usize = 512;
/// The size of a 1.44M disk in sectors, and in bytes.
pub const SECTORS: usize = 2_880;
pub const BYTES: usize = SECTORS * SECTOR;

/// Returns a guest with an empty 1.44M drive, set to the data rate of such disks.
pub fn guest() -> (Guest, FloppyDrive) {
    let (mut guest, drive) = Guest::with_drive(DriveType::Inch3_5Hd);
    guest.bus.write(CCR, 0);
    (guest, drive)
}

/// Creates an image. Each sector is filled with [`byte_of`] its number.
pub fn numbered(path: &Path) {
    let bytes: Vec<_> = (0..SECTORS).flat_map(|sector| [byte_of(sector); SECTOR]).collect();
    std::fs::write(path, bytes).expect("the image can be written");
}

/// Returns a temporary folder with such an image, and the path of the image.
pub fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder can be created");
    let path = folder.path().join("a.img");
    numbered(&path);
    (folder, path)
}

/// Returns the byte that fills a sector at first.
pub fn byte_of(sector: usize) -> u8 {
    (sector % 251) as u8
}

/// Returns such a folder and image with a guest in whose drive the image is attached for reads and writes.
pub fn attached() -> (TempDir, PathBuf, Guest, FloppyDrive) {
    let (folder, path) = folder();
    let (guest, drive) = guest();
    drive.attach_image(&path, Access::ReadWrite).unwrap();
    (folder, path, guest, drive)
}

/// Creates an image of zeros that occupies no space on the host.
pub fn sparse(path: &Path) {
    File::create(path).expect("the image can be created").set_len(BYTES as u64).expect("the image can be sparse");
}

/// Returns the sector with this number, as a driver addresses it.
fn address(sector: usize) -> Sectors {
    Sectors {
        cylinder: (sector / 36) as u8,
        head: (sector / 18 % 2) as u8,
        sector: (sector % 18) as u8 + 1,
        bytes: SECTOR,
        end_of_track: 18,
    }
}

/// Writes a sector with DMA, filled with `value`.
pub fn fill(guest: &mut Guest, sector: usize, value: u8) -> Result<[u8; 7], DriverError> {
    let address = address(sector);
    guest.seek(address.cylinder);
    guest.buffer_mut(SECTOR).fill(value);
    guest.write_dma(address)
}

/// Reads a sector with DMA.
pub fn read(guest: &mut Guest, sector: usize) -> Result<Vec<u8>, DriverError> {
    let address = address(sector);
    guest.seek(address.cylinder);
    guest.read_dma(address)?;
    Ok(guest.buffer(SECTOR).to_vec())
}

/// Returns ST0 without drive and head, ST1 and ST2 of a failed command.
pub fn failure<T: std::fmt::Debug>(outcome: Result<T, DriverError>) -> [u8; 3] {
    match outcome {
        Err(DriverError::Failed(reply)) => [reply[0] & 0xF8, reply[1], reply[2]],
        other => panic!("the command did not fail: {other:?}"),
    }
}

/// How an attached image accesses its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    Memory,
    Mapped,
}

impl Backing {
    pub fn of(self, options: ImageOptions) -> ImageOptions {
        match self {
            Self::Memory => options,
            // SAFETY: only the test itself accesses the file, and does not change it while it is attached.
            #[allow(unsafe_code)]
            Self::Mapped => unsafe { options.with_mapping() },
        }
    }
}
