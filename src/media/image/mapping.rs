//! A locked file, mapped into memory. All unsafe code of the media is here.
//!
//! This file knows bytes, not sectors: [`super::Image`] knows what they mean.
#![allow(unsafe_code)]

use std::{io, slice, sync::Arc};

use memmap2::{MmapOptions, MmapRaw};

use super::{
    file::{LockedFile, SyncFailures},
    host,
    options::{Access, Durability},
};
use crate::{
    media::medium::{Flushing, MediumError},
    sync::atomic::{AtomicBool, Ordering},
};

/// No host has smaller pages.
const SMALLEST_PAGE: usize = 4096;

/// The disk in a locked file as memory: all of the file, or its first bytes.
#[derive(Debug)]
pub(super) struct Mapping {
    // Declared first, so dropped first: the file is unmapped before it is unlocked. None after the file was unlocked.
    map: Option<MmapRaw>,
    file: LockedFile,
    /// The number of bytes that are mapped, at most as many as the file has.
    length: usize,
    durability: Durability,
    /// Whether the guest has written to the file since the last flush began.
    written: bool,
    /// Whether the guest has written to the file since the last commit.
    dirty: bool,
    /// Whether a flush has begun and has not succeeded.
    flushing: Arc<AtomicBool>,
    failures: SyncFailures,
    /// The number of failures after which all bytes were handed to the host again.
    failures_handled: u32,
}

impl Mapping {
    /// Maps the first `length` bytes of a file, which has as many or more.
    pub(super) fn new(file: LockedFile, length: usize, durability: Durability) -> io::Result<Self> {
        if file.access() == Access::ReadWrite && host::may_have_holes(&file.file().metadata()?) {
            fill_holes(&file, length)?;
        }
        let flushing = Arc::new(AtomicBool::new(false));
        let (map, failures) = (Some(map(&file, length)?), SyncFailures::new());
        Ok(Self {
            map,
            file,
            length,
            durability,
            written: false,
            dirty: false,
            flushing,
            failures,
            failures_handled: 0,
        })
    }

    pub(super) fn durability(&self) -> Durability {
        self.durability
    }

    pub(super) fn file(&self) -> &LockedFile {
        &self.file
    }

    /// Returns the bytes of the file.
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: the pointer and length are those of a mapping that lives as long as `self` and is readable. In this
        // process only `bytes_mut` writes to it, by an exclusive borrow. Other processes neither write nor truncate
        // the file while they respect the lock in `self.file`; those that ignore locks are excluded by the contract
        // of `ImageOptions::with_mapping`.
        self.map.as_ref().map_or(&[], |map| unsafe { slice::from_raw_parts(map.as_ptr(), map.len()) })
    }

    /// Returns the bytes of the file, to be changed.
    pub(super) fn bytes_mut(&mut self) -> Result<&mut [u8], MediumError> {
        let Some(map) = self.map.as_mut().filter(|_| self.file.access() != Access::ReadOnly) else {
            return Err(MediumError::Unsupported);
        };
        (self.written, self.dirty) = (true, true);
        // SAFETY: as in `bytes`; the mapping is writable, and the borrow of `self` is exclusive.
        Ok(unsafe { slice::from_raw_parts_mut(map.as_mut_ptr(), map.len()) })
    }

    /// Ends a command that wrote.
    pub(super) fn commit(&mut self) -> io::Result<()> {
        let dirty = std::mem::take(&mut self.dirty);
        if self.durability == Durability::EveryCommand && dirty { self.flush()?.wait() } else { Ok(()) }
    }

    /// Begins to store on the host's disk what was written to the file.
    pub(super) fn begin_flush(&mut self) -> io::Result<Flushing> {
        if self.is_written() {
            self.file.check_name()?;
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<Flushing> {
        if !self.is_written() {
            return Ok(Flushing::done());
        }
        self.file.check_length()?;
        let Some(map) = &mut self.map else { return Ok(Flushing::done()) };
        let before = self.failures.count();
        if self.flushing.load(Ordering::Acquire) || before != self.failures_handled {
            write_again(map);
        }
        (self.written, self.failures_handled) = (false, before);
        // On Linux, a sync of the file includes what was written to its mapping.
        if !cfg!(target_os = "linux") {
            map.flush()?;
        }
        // A flush that still waits must not clear the flag for what was written since: it has the old one.
        self.flushing = Arc::new(AtomicBool::new(true));
        let (file, flushing, failures) = (self.file.handle(), Arc::clone(&self.flushing), self.failures.clone());
        Ok(Flushing::until(move || {
            failures.sync(&file, before)?;
            flushing.store(false, Ordering::Release);
            Ok(())
        }))
    }

    /// Returns whether the guest may have written something that is not durable yet.
    pub(super) fn is_written(&self) -> bool {
        let failed = self.flushing.load(Ordering::Acquire) || self.failures.count() != self.failures_handled;
        self.file.access() == Access::ReadWrite && (self.written || failed)
    }

    /// Unmaps the file and unlocks it. If that fails, the file is mapped again with its contents. A private mapping is
    /// unmapped last: its contents are nowhere else.
    pub(super) fn unlock(&mut self) -> io::Result<()> {
        let shared = self.file.access() == Access::ReadWrite;
        if shared {
            self.map = None;
        }
        let unlocked = self.file.unlock();
        match &unlocked {
            Ok(()) => self.map = None,
            Err(_) if shared => self.map = map(&self.file, self.length).ok(),
            Err(_) => {}
        }
        unlocked
    }
}

fn map(file: &LockedFile, length: usize) -> io::Result<MmapRaw> {
    let mut options = MmapOptions::new();
    options.len(length);
    match file.access() {
        Access::ReadWrite | Access::ReadWriteIfPermitted => options.map_raw(file.file()),
        Access::ReadOnly => options.map_raw_read_only(file.file()),
        // SAFETY: as in `Mapping::bytes`; what is written to the mapping stays in this process.
        Access::Private => unsafe { options.map_copy(file.file()) }.map(Into::into),
    }
}

/// Writes the first `length` bytes of a file to themselves, so that the host allocates room for all of them now. Once the file is mapped, the host
/// could report a lack of room only by a signal.
fn fill_holes(file: &LockedFile, length: usize) -> io::Result<()> {
    let mut bytes = [0; 0x1_0000];
    for offset in (0..length).step_by(bytes.len()) {
        let piece = &mut bytes[..(length - offset).min(0x1_0000)];
        file.read_at(piece, offset as u64)?;
        file.write_at(piece, offset as u64)?;
    }
    Ok(())
}

/// Makes the host treat all bytes as changed. After a failed write, Linux treats them as saved, and the next flush
/// would report success.
fn write_again(map: &mut MmapRaw) {
    let start = map.as_mut_ptr();
    for offset in (0..map.len()).step_by(SMALLEST_PAGE) {
        // SAFETY: the byte is within the mapping, which is writable and borrowed exclusively.
        unsafe {
            let byte = start.add(offset);
            byte.write_volatile(byte.read_volatile());
        }
    }
}
