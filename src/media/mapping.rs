//! A file mapped into memory. All unsafe code of the media lives here; what the bytes mean is [`super::image`]'s.
#![allow(unsafe_code)]

use std::{fs::File, io, slice};

use memmap2::{MmapOptions, MmapRaw};

use super::Access;

/// The whole of a file as memory, for as long as the value lives.
#[derive(Debug)]
pub(super) struct Mapping {
    map: MmapRaw,
    access: Access,
}

impl Mapping {
    /// Maps the first `length` bytes of `file`, which must have that many.
    pub(super) fn new(file: &File, length: usize, access: Access) -> io::Result<Self> {
        let mut options = MmapOptions::new();
        options.len(length);
        let map = match access {
            Access::ReadWrite => options.map_raw(file)?,
            Access::ReadOnly => options.map_raw_read_only(file)?,
            // SAFETY: the mapping is copy-on-write and owned by the value that is returned; see `bytes` for what other
            // processes can do to the file behind it.
            Access::Private => unsafe { options.map_copy(file)? }.into(),
        };
        Ok(Self { map, access })
    }

    /// The bytes of the file.
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: the pointer and length are those of a live mapping that is readable, and within this process only
        // `bytes_mut`, by an exclusive borrow, writes to it. Another process that writes to the file changes bytes that
        // have no invalid values; one that truncates it is kept out by the file lock that the image holds, as far as
        // it respects locks.
        unsafe { slice::from_raw_parts(self.map.as_ptr(), self.map.len()) }
    }

    /// The bytes of the file, to be changed; `None` when it is mapped read-only.
    pub(super) fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        match self.access {
            Access::ReadOnly => None,
            // SAFETY: as in `bytes`; the mapping is writable, and the borrow of `self` is exclusive.
            Access::ReadWrite | Access::Private => {
                Some(unsafe { slice::from_raw_parts_mut(self.map.as_mut_ptr(), self.map.len()) })
            }
        }
    }

    /// Brings what was written to the file to the host's disk.
    pub(super) fn flush(&self) -> io::Result<()> {
        match self.access {
            Access::ReadWrite => self.map.flush(),
            Access::ReadOnly | Access::Private => Ok(()),
        }
    }
}
