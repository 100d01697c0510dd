//! Containers: files of a disk that have a header, or another order than that of a raw image.
//!
//! [`recognize`] says which of them a file is. [`DiskFile`] opens those of ImageDisk, Teledisk and D88 as a
//! [`SectorDisk`], which a drive [attaches](crate::FloppyDrive::attach_medium) like any other medium;
//! [`attach_container`](crate::FloppyDrive::attach_container) does both. What the guest writes is in memory then:
//! [`save_image_disk`] saves the disk with all that it holds.
//!
//! ```
//! use vm_fdc::media::{
//!     Geometry, Mark, SectorDisk,
//!     container::{self, Container, DiskFile, ReadOptions, image_disk},
//! };
//!
//! let disk = SectorDisk::formatted(Geometry::DD_720K, 0xE5);
//! let bytes = image_disk(&disk, b"Work disk\r\n")?;
//! assert_eq!(container::recognize(&bytes), Some(Container::ImageDisk));
//!
//! let file = DiskFile::read(&bytes, ReadOptions::new())?;
//! assert_eq!(file.comment, b"Work disk\r\n");
//! let track = file.disk.recorded(79, 1).ok_or("not recorded")?;
//! assert_eq!(track.sectors()[8].mark, Some(Mark::Data));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What each format carries
//!
//! | | raw image | ImageDisk | Teledisk | D88 |
//! |---|---|---|---|---|
//! | opens as | [`Image`](super::Image) | `SectorDisk` | `SectorDisk` | `SectorDisk` |
//! | saves | in place, or with [`SectorDisk::to_raw`] | [`save_image_disk`] | no | no |
//! | order and IDs of the sectors | no | yes | yes | yes |
//! | sectors of several sizes on a track | XDF only | yes | yes | yes |
//! | FM | no | yes | yes | yes |
//! | data rate | by the size of the file | 250, 300, 500 kb/s | 250, 300, 500, 1000 kb/s | 250 or 500 kb/s for the disk |
//! | deleted marks | no | yes | yes | yes |
//! | CRC error in a data field | no | yes | yes | yes |
//! | CRC error in an ID field | no | no | yes | yes |
//! | ID field without a data field | no | yes | yes | yes |
//! | data field of another size than in the ID | no | no | no | yes |
//! | tracks that overlap or are too long | no | as sectors | as sectors | as sectors |
//! | data that read differently each time (weak bits) | no | no | no | no |
//! | write protection | no | no | no | yes |
//! | form factor | by the size of the file | no | yes | no |
//! | compression | no | of sectors of one value | of sectors; "advanced" since version 2.0 | no |
//! | checksums | no | no | headers, and data of each sector | no |
//!
//! Gaps, the position of sectors on the track, and clock bits are in none of them. A sector that Teledisk left out
//! because DOS had no file in it reads as F6h. A disk that Teledisk stored in several files is not opened.
//!
//! # What no file says
//!
//! If the file has no form factor, that of most disks with such tracks is taken: 5.25" for up to 43 cylinders at 250
//! kb/s, for tracks of up to 6,250 bytes at 300 kb/s, and for tracks of up to 8,192 bytes at 500 kb/s; 3.5" for others.
//! [`ReadOptions::with_form_factor`] decides otherwise. A 5.25" track at 300 kb/s was read in a drive of 1.2M: it is one
//! at 250 kb/s (§9.1).
//!
//! # Threats
//!
//! Every byte of a file is taken to be hostile. None causes a panic. A length is checked before memory is allocated for
//! it, and the data fields of a disk have at most 16 MiB in total, as has a file. A file that contradicts its format is
//! refused with the offset of the error.

mod assembly;
mod bytes;
mod d88;
mod error;
mod image_disk;
mod kind;
mod lzhuf;
mod signature;
mod teledisk;

use std::{
    fs::{self, File},
    io::Read,
    path::Path,
};

pub use error::{ContainerError, Damage, SaveError, Unsavable, Unsupported};
pub use kind::Container;

use super::{
    create::{IfExists, write_file},
    geometry::FormFactor,
    sector_disk::SectorDisk,
};
use assembly::Assembly;
use error::MAX_BYTES;

/// Returns what a file with these bytes is, or `None` if it has no known signature. A raw image has none.
///
/// A guest can write a signature to the first sector of its disk. Do not let it decide about a file that has the
/// size of a raw image.
#[must_use]
pub fn recognize(bytes: &[u8]) -> Option<Container> {
    let head = &bytes[..bytes.len().min(signature::HEAD)];
    let tail = &bytes[bytes.len().saturating_sub(signature::TAIL)..];
    signature::recognize(head, tail, bytes.len() as u64)
}

/// Returns what a file of `length` bytes is, of which `read_at` reads some bytes at an offset; `None` if it has no
/// signature, or if it cannot be read.
pub(super) fn recognize_at<E>(
    length: u64,
    mut read_at: impl FnMut(&mut [u8], u64) -> Result<(), E>,
) -> Option<Container> {
    let part = |most: usize| most.min(usize::try_from(length).unwrap_or(most));
    let (mut head, mut tail) = (vec![0; part(signature::HEAD)], vec![0; part(signature::TAIL)]);
    read_at(&mut head, 0).ok()?;
    let behind = length - tail.len() as u64;
    read_at(&mut tail, behind).ok()?;
    signature::recognize(&head, &tail, length)
}

/// How a container is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    form_factor: Option<FormFactor>,
    disk: usize,
    write_protected: bool,
}

impl ReadOptions {
    /// Returns options with which the file tells the form factor and the write protection, and the first disk in it is
    /// read.
    #[must_use]
    pub const fn new() -> Self {
        Self { form_factor: None, disk: 0, write_protected: false }
    }

    /// Sets the form factor, whatever the file says.
    #[must_use]
    pub const fn with_form_factor(mut self, form_factor: FormFactor) -> Self {
        self.form_factor = Some(form_factor);
        self
    }

    /// Returns the form factor, or `None` if the file is to tell it.
    #[must_use]
    pub const fn form_factor(&self) -> Option<FormFactor> {
        self.form_factor
    }

    /// Selects a disk in the file, counted from 0. Only a file of D88 can hold more than one.
    #[must_use]
    pub const fn with_disk(mut self, index: usize) -> Self {
        self.disk = index;
        self
    }

    /// Returns which disk in the file is read, counted from 0.
    #[must_use]
    pub const fn disk(&self) -> usize {
        self.disk
    }

    /// Protects the disk against writes of the guest, whatever the file says: they would be in memory only.
    #[must_use]
    pub const fn with_write_protection(mut self, write_protected: bool) -> Self {
        self.write_protected = write_protected;
        self
    }

    /// Returns whether the disk is protected against writes of the guest, whatever the file says.
    #[must_use]
    pub const fn is_write_protected(&self) -> bool {
        self.write_protected
    }
}

/// A disk from a container, with what else the file holds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DiskFile {
    /// What the file is.
    pub container: Container,
    /// The disk.
    pub disk: SectorDisk,
    /// The comment of ImageDisk or Teledisk, or the name of the disk in D88. The encoding is that of the host that wrote
    /// the file.
    pub comment: Vec<u8>,
}

impl DiskFile {
    /// Opens the file `path`. It is read as a whole, and not locked.
    ///
    /// # Errors
    ///
    /// A [`ContainerError`] if the file cannot be read, is no container that can be opened, or is damaged.
    pub fn open(path: impl AsRef<Path>, options: ReadOptions) -> Result<Self, ContainerError> {
        // Checked before the file is opened, because to open a pipe waits for its other end.
        if !fs::metadata(&path).map_err(ContainerError::Io)?.is_file() {
            return Err(ContainerError::WrongFileType);
        }
        let file = File::open(path).map_err(ContainerError::Io)?;
        // Another program can have replaced the file meanwhile.
        let metadata = file.metadata().map_err(ContainerError::Io)?;
        if !metadata.is_file() {
            return Err(ContainerError::WrongFileType);
        }
        let length = metadata.len();
        if length > MAX_BYTES as u64 {
            return Err(ContainerError::TooLarge { bytes: length });
        }
        let mut bytes = Vec::new();
        // The file can grow meanwhile.
        file.take(MAX_BYTES as u64).read_to_end(&mut bytes).map_err(ContainerError::Io)?;
        Self::read(&bytes, options)
    }

    /// Reads a disk from the bytes of a file.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn read(bytes: &[u8], options: ReadOptions) -> Result<Self, ContainerError> {
        if bytes.len() > MAX_BYTES {
            return Err(ContainerError::TooLarge { bytes: bytes.len() as u64 });
        }
        let container = recognize(bytes).ok_or(ContainerError::Unknown)?;
        let finish = |assembly: Assembly, form_factor: Option<FormFactor>| {
            let disk = assembly.finish(options.form_factor.or(form_factor));
            let damaged = |damage| ContainerError::Damaged { container, offset: bytes.len() as u64, damage };
            let mut disk = disk.map_err(damaged)?;
            disk.set_write_protected(options.write_protected);
            Ok(disk)
        };
        if container != Container::D88 && options.disk > 0 {
            return Err(ContainerError::NoSuchDisk { disks: 1, index: options.disk });
        }
        match container {
            Container::ImageDisk => {
                let (assembly, comment) = image_disk::read(bytes)?;
                Ok(Self { container, disk: finish(assembly, None)?, comment })
            }
            Container::Teledisk | Container::CompressedTeledisk => {
                let teledisk::Contents { assembly, comment, form_factor } = teledisk::read(container, bytes)?;
                Ok(Self { container, disk: finish(assembly, form_factor)?, comment })
            }
            Container::D88 => {
                let disks = d88::disks(bytes);
                let missing = ContainerError::NoSuchDisk { disks: disks.len(), index: options.disk };
                let source = disks.get(options.disk).ok_or(missing)?;
                let mut disk = finish(source.read()?, None)?;
                disk.set_write_protected(options.write_protected || source.is_write_protected());
                Ok(Self { container, disk, comment: source.name() })
            }
            container => Err(ContainerError::NotReadable { container }),
        }
    }
}

/// Returns the file of ImageDisk for a disk, with a comment that a user of ImageDisk sees.
///
/// The write protection, the name and the form factor of the disk are not in it, and neither is the time.
///
/// # Errors
///
/// [`SaveError::Track`] names the first track that such a file cannot hold, [`SaveError::Comment`] a comment that it
/// cannot hold.
pub fn image_disk(disk: &SectorDisk, comment: &[u8]) -> Result<Vec<u8>, SaveError> {
    image_disk::write(disk, comment)
}

/// Saves a disk as a file of ImageDisk. See [`image_disk`]. The file is complete or does not exist.
///
/// # Errors
///
/// Those of [`image_disk`], and [`SaveError::Create`] if the file cannot be written.
pub fn save_image_disk(
    disk: &SectorDisk,
    comment: &[u8],
    path: impl AsRef<Path>,
    if_exists: IfExists,
) -> Result<(), SaveError> {
    Ok(write_file(path, &image_disk(disk, comment)?, if_exists)?)
}
