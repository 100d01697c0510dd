//! A file, locked and mapped into memory. All unsafe code of the media lives here; what the bytes mean is
//! [`super::image`]'s.
#![allow(unsafe_code)]

use std::{
    fs::{File, TryLockError},
    io::{self, Seek, SeekFrom},
    slice,
};

use log::debug;
use memmap2::{MmapOptions, MmapRaw};

use super::{Access, ImageError};

/// A file that is locked for as long as the value lives: against every other use where it is to be written, against
/// writers otherwise.
#[derive(Debug)]
pub(super) struct LockedFile {
    file: File,
    access: Access,
    length: u64,
}

impl LockedFile {
    /// Locks a file that was opened for `access`.
    pub(super) fn new(mut file: File, access: Access) -> Result<Self, ImageError> {
        let locked = match access {
            Access::ReadWrite => file.try_lock(),
            Access::ReadOnly | Access::Private => file.try_lock_shared(),
        };
        locked.map_err(|error| match error {
            TryLockError::WouldBlock => ImageError::InUse,
            TryLockError::Error(error) => ImageError::Lock(error),
        })?;
        // Not from the metadata, where a block device has no length.
        let length = file.seek(SeekFrom::End(0)).map_err(ImageError::Size)?;
        Ok(Self { file, access, length })
    }

    /// The size of the file in bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Maps the whole of the file.
    pub(super) fn map(self) -> io::Result<Mapping> {
        let length = usize::try_from(self.length).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut options = MmapOptions::new();
        options.len(length);
        let map = match self.access {
            Access::ReadWrite => options.map_raw(&self.file)?,
            Access::ReadOnly => options.map_raw_read_only(&self.file)?,
            // SAFETY: as in `Mapping::bytes`; what is written to the mapping stays in this process.
            Access::Private => unsafe { options.map_copy(&self.file)? }.into(),
        };
        Ok(Mapping { map, file: self })
    }
}

impl Drop for LockedFile {
    /// Unlocks now: closing would leave the lock to a process that was forked meanwhile and shares the open file.
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            debug!("cannot unlock an image: {error}");
        }
    }
}

/// No host has smaller pages.
const SMALLEST_PAGE: usize = 4096;

/// The whole of a locked file as memory.
#[derive(Debug)]
pub(super) struct Mapping {
    // Declared first, so dropped first: the file is unmapped before it is unlocked.
    map: MmapRaw,
    file: LockedFile,
}

impl Mapping {
    pub(super) fn access(&self) -> Access {
        self.file.access
    }

    /// The bytes of the file.
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: the pointer and length are those of a mapping that lives as long as `self` and is readable. In this
        // process only `bytes_mut` writes to it, by an exclusive borrow. Other processes neither write nor truncate
        // the file while they respect the lock in `self.file`; those that ignore locks are excluded by the contract
        // that the crate's documentation states.
        unsafe { slice::from_raw_parts(self.map.as_ptr(), self.map.len()) }
    }

    /// The bytes of the file, to be changed; `None` when it is mapped read-only.
    pub(super) fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        match self.access() {
            Access::ReadOnly => None,
            // SAFETY: as in `bytes`; the mapping is writable, and the borrow of `self` is exclusive.
            Access::ReadWrite | Access::Private => {
                Some(unsafe { slice::from_raw_parts_mut(self.map.as_mut_ptr(), self.map.len()) })
            }
        }
    }

    /// Brings what was written to the file to the host's disk.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.access() != Access::ReadWrite {
            return Ok(());
        }
        let flushed = self.map.flush();
        if flushed.is_err() {
            self.write_again();
        }
        flushed
    }

    /// Makes the host take all bytes for changed. After a write that failed, Linux takes them for saved, and the next
    /// flush would answer that all is well.
    fn write_again(&mut self) {
        let start = self.map.as_mut_ptr();
        for offset in (0..self.map.len()).step_by(SMALLEST_PAGE) {
            // SAFETY: the byte is within the mapping, which is writable and borrowed exclusively.
            unsafe {
                let byte = start.add(offset);
                byte.write_volatile(byte.read_volatile());
            }
        }
    }
}
