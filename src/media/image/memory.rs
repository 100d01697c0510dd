//! The bytes of an image in memory of the library, beside the file that they come from and go to.
//!
//! Whatever others do to the file, the process goes on, and the guest keeps what it has read and written.

use std::{io, iter, ops::Range, sync::Arc};

use log::warn;

use super::{
    bytes::with_capacity,
    file::{LockedFile, SyncFailures},
    options::{Access, Durability},
};
use crate::{
    media::medium::{Flushing, MediumError},
    sync::atomic::{AtomicBool, Ordering},
};

/// The state of a block of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    /// Not read yet, or not readable on the host.
    Absent,
    /// The same as in the file.
    Clean,
    /// Not written, and behind the end of a file that is shorter than its disk.
    Beyond,
    /// Written, and on the host's disk since a flush.
    Saved,
    /// Not written, and no longer known to be in the file: another program has changed its length.
    Cut,
    /// Written, in the file, and waited for by the last flush.
    Flushing,
    /// Written, and handed to the host since the last flush.
    Written,
    /// Written by a command that has ended, and not known to be in the file: the host refused it, it waits for the flush, or
    /// the host has failed to save it. A host may treat as saved what it has failed to save.
    Deferred,
    /// Written by the command in progress.
    Dirty,
}

/// The blocks that a command hands over at most of those that the host refused before: two tracks of 2.88M.
const MAX_RETRY_BLOCKS: usize = 72;

/// The bytes of a locked file, and the state of each block of them.
#[derive(Debug)]
pub(super) struct Memory {
    bytes: Vec<u8>,
    blocks: Vec<Block>,
    /// The number of absent blocks, so that a read need not look for them.
    absent: usize,
    /// A range with all dirty blocks, so that a commit need not look for them.
    dirty: Range<usize>,
    /// A range with all deferred blocks.
    deferred: Range<usize>,
    /// Whether the guest has written something.
    written: bool,
    /// The binary logarithm of the number of bytes in a block.
    shift: u32,
    file: LockedFile,
    durability: Durability,
    /// Whether the last flush has succeeded.
    flushed: Arc<AtomicBool>,
    failures: SyncFailures,
    /// The count of failures that the states of the blocks take into account.
    failures_seen: u32,
    /// Whether a flush has handed over what the command in progress had written.
    flushed_early: bool,
    /// Whether the file has writes of another process that may not be durable yet.
    unsynced: bool,
    /// The length of the file with the old disk, if the disk is another than the one in the file.
    resized: Option<u64>,
}

impl Memory {
    /// Loads the first `length` bytes of a file, in blocks of `1 << shift` bytes, which divides the length: all of them
    /// if `load_now`, or else each block when it is used. What the file does not have is zeros.
    pub(super) fn new(
        file: LockedFile,
        length: usize,
        shift: u32,
        durability: Durability,
        load_now: bool,
    ) -> io::Result<Self> {
        let mut bytes = with_capacity(length)?;
        bytes.resize(length, 0);
        let in_file = usize::try_from(file.length()).map_or(length, |file| file.min(length));
        let absent = in_file.div_ceil(1 << shift);
        let mut blocks = vec![Block::Beyond; length >> shift];
        blocks[..absent].fill(Block::Absent);
        let mut memory = Self {
            bytes,
            absent,
            blocks,
            dirty: 0..0,
            deferred: 0..0,
            written: false,
            shift,
            file,
            durability,
            flushed: Arc::new(AtomicBool::new(false)),
            failures: SyncFailures::new(),
            failures_seen: 0,
            flushed_early: false,
            unsynced: false,
            resized: None,
        };
        if load_now {
            // A block that the host cannot read now is read again when the guest asks for it.
            memory.load(0..memory.bytes.len());
        }
        Ok(memory)
    }

    pub(super) fn durability(&self) -> Durability {
        self.durability
    }

    pub(super) fn file(&self) -> &LockedFile {
        &self.file
    }

    fn blocks_of(&self, bytes: &Range<usize>) -> Range<usize> {
        bytes.start >> self.shift..bytes.end >> self.shift
    }

    fn bytes_of(&self, blocks: &Range<usize>) -> Range<usize> {
        blocks.start << self.shift..blocks.end << self.shift
    }

    /// Returns the bytes of blocks that begin in the file, as far as the file has them.
    fn bytes_in_file(&self, blocks: &Range<usize>) -> Range<usize> {
        let bytes = self.bytes_of(blocks);
        bytes.start..usize::try_from(self.file.length()).map_or(bytes.end, |length| bytes.end.min(length))
    }

    /// Returns the first run of blocks in `within` for which `is` is true.
    fn first_run(&self, within: &Range<usize>, is: impl Fn(Block) -> bool) -> Option<Range<usize>> {
        let blocks = self.blocks.get(within.clone())?;
        let start = blocks.iter().position(|&block| is(block))?;
        let length = blocks[start..].iter().take_while(|&&block| is(block)).count();
        Some(within.start + start..within.start + start + length)
    }

    /// Returns the runs of blocks in `within` for which `is` is true.
    fn runs(&self, mut within: Range<usize>, is: impl Fn(Block) -> bool) -> Vec<Range<usize>> {
        let next = || self.first_run(&within, &is).inspect(|run| within.start = run.end);
        iter::from_fn(next).collect()
    }

    /// Returns the runs of all blocks for which `is` is true.
    fn all(&self, is: impl Fn(Block) -> bool) -> Vec<Range<usize>> {
        self.runs(0..self.blocks.len(), is)
    }

    /// Changes the state of all blocks in the state `before`.
    fn change_state(&mut self, before: Block, after: Block) {
        self.blocks.iter_mut().filter(|block| **block == before).for_each(|block| *block = after);
    }

    // From the file

    /// Reads the absent blocks that the host can read.
    #[cold]
    fn load(&mut self, bytes: Range<usize>) {
        for run in self.runs(self.blocks_of(&bytes), |block| block == Block::Absent) {
            if self.load_blocks(run.clone()).is_err() {
                // Block by block, to get those that the host can read.
                run.for_each(|block| _ = self.load_blocks(block..block + 1));
            }
        }
    }

    fn load_blocks(&mut self, blocks: Range<usize>) -> io::Result<()> {
        let bytes = self.bytes_in_file(&blocks);
        self.file.read_at(&mut self.bytes[bytes.clone()], bytes.start as u64)?;
        self.absent -= blocks.len();
        self.blocks[blocks].fill(Block::Clean);
        Ok(())
    }

    /// Returns how much of `bytes`, which are whole blocks, the host can read from the start on. Fails unless this is
    /// at least the first `least` bytes.
    #[cold]
    fn present(&mut self, bytes: Range<usize>, least: usize) -> Result<Range<usize>, MediumError> {
        self.load(bytes.clone());
        let blocks = self.blocks_of(&bytes);
        // One more try, for its error.
        for block in blocks.start..blocks.start + (least >> self.shift) {
            if self.blocks[block] == Block::Absent {
                self.load_blocks(block..block + 1)?;
            }
        }
        let good = self.blocks[blocks].iter().take_while(|&&block| block != Block::Absent).count();
        Ok(bytes.start..bytes.start + (good << self.shift))
    }

    /// Returns the bytes of at least one whole sector of `sector` bytes.
    #[inline]
    pub(super) fn read(&mut self, bytes: Range<usize>, sector: usize) -> Result<&[u8], MediumError> {
        let bytes = if self.absent > 0 { self.present(bytes, sector)? } else { bytes };
        self.bytes.get(bytes).ok_or(MediumError::Absent)
    }

    /// Returns all bytes, if the host can read them.
    pub(super) fn whole(&mut self) -> Result<&[u8], MediumError> {
        let all = 0..self.bytes.len();
        self.read(all.clone(), all.end)
    }

    // To the file

    /// Returns the bytes of at least one whole sector of `sector` bytes, to be changed.
    #[inline]
    pub(super) fn write(&mut self, bytes: Range<usize>, sector: usize) -> Result<&mut [u8], MediumError> {
        let bytes = if self.absent > 0 { self.present(bytes, sector)? } else { bytes };
        if self.file.access() == Access::ReadOnly {
            return Err(MediumError::Unsupported);
        }
        // The other sectors become dirty when they are complete.
        self.mark_dirty(bytes.start..bytes.start + sector);
        self.bytes.get_mut(bytes).ok_or(MediumError::Absent)
    }

    /// Records that these bytes, which are whole blocks, are not in the file yet.
    #[inline]
    pub(super) fn mark_dirty(&mut self, bytes: Range<usize>) {
        if self.file.access() != Access::ReadWrite {
            return;
        }
        let blocks = self.blocks_of(&bytes);
        self.blocks.get_mut(blocks.clone()).unwrap_or_default().fill(Block::Dirty);
        self.dirty = span(&self.dirty, blocks);
    }

    /// Fills whole blocks, even those that the host cannot read.
    pub(super) fn fill(&mut self, bytes: Range<usize>, filler: u8) -> Result<(), MediumError> {
        if self.file.access() == Access::ReadOnly {
            return Err(MediumError::Unsupported);
        }
        self.bytes.get_mut(bytes.clone()).ok_or(MediumError::Absent)?.fill(filler);
        let blocks = self.blocks_of(&bytes);
        let absent = self.blocks[blocks.clone()].iter().filter(|&&block| block == Block::Absent).count();
        self.absent -= absent;
        self.blocks[blocks].fill(Block::Clean);
        self.mark_dirty(bytes);
        Ok(())
    }

    /// Replaces all bytes of a private image. Returns `false`, and changes nothing, if the image is not private or has
    /// not as many bytes.
    pub(super) fn replace(&mut self, bytes: &[u8]) -> bool {
        let fits = self.bytes.len() == bytes.len() && self.file.access() == Access::Private;
        if fits {
            self.bytes.copy_from_slice(bytes);
            self.blocks.fill(Block::Clean);
            self.absent = 0;
        }
        fits
    }

    /// Replaces the disk by another one, in blocks of `1 << shift` bytes. The file gets its bytes and its length when the
    /// command in progress ends, or at the next flush if the durability says so.
    pub(super) fn replace_disk(&mut self, bytes: Vec<u8>, shift: u32) {
        let blocks = bytes.len() >> shift;
        (self.bytes, self.shift, self.blocks, self.absent) = (bytes, shift, vec![Block::Clean; blocks], 0);
        (self.dirty, self.deferred) = (0..0, 0..0);
        // A flush that still waits says nothing about this disk.
        self.flushed = Arc::new(AtomicBool::new(false));
        let in_file = self.file.access() == Access::ReadWrite;
        self.resized = self.resized.or(Some(self.file.length())).filter(|_| in_file);
        self.written |= in_file;
        self.mark_dirty(0..self.bytes.len());
    }

    /// Ends a command that wrote.
    pub(super) fn commit(&mut self) -> io::Result<()> {
        let own = std::mem::take(&mut self.dirty);
        let flushed_early = std::mem::take(&mut self.flushed_early);
        if own.is_empty() && !flushed_early {
            return Ok(());
        }
        self.written = true;
        let handed_over = match self.durability {
            Durability::OnFlush => {
                self.defer(own);
                return Ok(());
            }
            Durability::AtRelease => self.hand_over(own.clone(), Block::Dirty),
            Durability::EveryCommand => {
                let before = self.failures.count();
                let written = self.hand_over(own.clone(), Block::Dirty);
                written.and_then(|()| self.failures.sync(&self.file.handle(), before))
            }
        };
        match handed_over {
            Ok(()) => self.retry_deferred(),
            Err(_) => self.defer(own),
        }
        handed_over
    }

    /// Defers the dirty blocks in `within` until the host accepts them.
    fn defer(&mut self, within: Range<usize>) {
        let dirty = self.blocks[within.clone()].iter_mut().filter(|block| **block == Block::Dirty);
        dirty.for_each(|block| *block = Block::Deferred);
        self.deferred = span(&self.deferred, within);
    }

    /// Hands over some of the blocks that the host refused before, now that it has accepted others. If it refuses them again,
    /// the command does not fail for it. The work is bounded: a flush does the rest. The
    /// caller has just looked at the length of the file.
    fn retry_deferred(&mut self) {
        let Some(run) = self.first_run(&self.deferred, |block| block == Block::Deferred) else {
            self.deferred = 0..0;
            return;
        };
        let end = run.end.min(run.start + MAX_RETRY_BLOCKS);
        if self.write_blocks(run.start..end, |block| block == Block::Deferred).is_ok() {
            self.deferred.start = end;
        }
    }

    /// Writes the blocks in `within` with the state `before` to the file, as many as the host accepts. The error is the first
    /// one.
    fn hand_over(&mut self, within: Range<usize>, before: Block) -> io::Result<()> {
        self.check_length()?;
        self.write_blocks(within, |block| block == before)
    }

    /// Writes the blocks in `within` for which `is` is true; all of a disk that is another than the one in the file.
    fn write_blocks(&mut self, within: Range<usize>, is: impl Fn(Block) -> bool) -> io::Result<()> {
        match self.resized {
            Some(old) => self.write_disk(old),
            None => self.write_out(within, is),
        }
    }

    /// Writes the whole of a disk that is another than the one in the file of `old` bytes, and gives the file its length. The
    /// old disk is overwritten only when the host has made room for the new one.
    fn write_disk(&mut self, old: u64) -> io::Result<()> {
        let all = 0..self.blocks.len();
        let in_old = usize::try_from(old).map_or(all.end, |old| old.div_ceil(1 << self.shift).min(all.end));
        if in_old < all.end {
            let written = self.write_out(in_old..all.end, |_| true);
            // The old disk is found by its length. If that cannot be restored now, the next try does so.
            written.inspect_err(|_| _ = self.file.truncate(old))?;
        }
        self.write_out(0..in_old, |_| true)?;
        self.file.truncate(self.bytes.len() as u64)?;
        (self.resized, self.deferred) = (None, 0..0);
        Ok(())
    }

    /// Writes the blocks in `within` for which `is` is true to the file, as many as the host accepts.
    fn write_out(&mut self, mut within: Range<usize>, is: impl Fn(Block) -> bool) -> io::Result<()> {
        let mut outcome = Ok(());
        while let Some(run) = self.first_run(&within, &is) {
            within.start = run.end;
            // Only the guest makes a short file longer, not the restoration of its last block.
            let restored = run.end.checked_sub(1).is_some_and(|last| self.blocks[last] == Block::Cut);
            let bytes = if restored { self.bytes_in_file(&run) } else { self.bytes_of(&run) };
            match self.file.write_and_extend(&self.bytes[bytes.clone()], bytes.start as u64) {
                Ok(()) => self.blocks[run].fill(Block::Written),
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome
    }

    /// Checks the length of the file. If another program has changed it, no block is known to be in the file any more.
    fn check_length(&mut self) -> io::Result<()> {
        self.file.check_length().inspect_err(|_| {
            self.change_state(Block::Clean, Block::Cut);
            self.change_state(Block::Saved, Block::Deferred);
            self.defer_uncertain();
        })
    }

    /// Defers the blocks that are in the file and not known to be saved: they may be there no more.
    fn defer_uncertain(&mut self) {
        self.change_state(Block::Flushing, Block::Deferred);
        self.change_state(Block::Written, Block::Deferred);
        self.deferred = 0..self.blocks.len();
    }

    /// Hands to the host all that was written and is not in the file, and returns what remains to be waited for.
    pub(super) fn begin_flush(&mut self) -> io::Result<Flushing> {
        if self.flushed.load(Ordering::Acquire) {
            self.change_state(Block::Flushing, Block::Saved);
            self.unsynced = false;
        }
        // A flush that still waits keeps the old flag, so that it says nothing about what is written from now on.
        self.change_state(Block::Flushing, Block::Written);
        self.flushed = Arc::new(AtomicBool::new(false));
        self.flushed_early |= !self.dirty.is_empty();
        self.written |= self.flushed_early;
        if !self.written {
            return Ok(Flushing::done());
        }
        self.file.check_name()?;
        self.check_length()?;
        let before = self.failures.count();
        if std::mem::replace(&mut self.failures_seen, before) != before {
            self.defer_uncertain();
        }
        // Nothing to do if all that was written is durable.
        if self.unsaved_blocks().is_empty() && !self.unsynced && self.resized.is_none() {
            return Ok(Flushing::done());
        }
        let missing = |block| matches!(block, Block::Cut | Block::Deferred | Block::Dirty);
        self.write_blocks(0..self.blocks.len(), missing)?;
        (self.dirty, self.deferred) = (0..0, 0..0);
        self.change_state(Block::Written, Block::Flushing);
        let (file, flushed, failures) = (self.file.handle(), Arc::clone(&self.flushed), self.failures.clone());
        Ok(Flushing::until(move || {
            failures.sync(&file, before)?;
            flushed.store(true, Ordering::Release);
            Ok(())
        }))
    }

    fn unsaved_blocks(&self) -> Vec<Range<usize>> {
        self.all(|block| matches!(block, Block::Flushing | Block::Written | Block::Deferred | Block::Dirty))
    }

    /// Returns the bytes that were written and are not known to be durable.
    pub(super) fn unsaved(&self) -> Vec<Range<u64>> {
        let flushed = self.flushed.load(Ordering::Acquire);
        let unsaved = |block| block != Block::Flushing || !flushed;
        let written = self.unsaved_blocks().into_iter().flat_map(|run| self.runs(run, unsaved));
        written.map(|run| self.bytes_of(&run)).map(|bytes| bytes.start as u64..bytes.end as u64).collect()
    }

    /// Records that the file has writes of another process that may not be durable.
    pub(super) fn mark_unsynced(&mut self) {
        (self.written, self.unsynced) = (true, true);
    }

    /// Discards the record of what was written: it is not to be stored.
    pub(super) fn discard_writes(&mut self) {
        (self.dirty, self.deferred, self.written) = (0..0, 0..0, false);
    }

    pub(super) fn unlock(&mut self) -> io::Result<()> {
        self.file.unlock()
    }
}

impl Drop for Memory {
    /// Writes to the file, if possible, what was not stored by a release.
    fn drop(&mut self) {
        let unsaved = span(&self.deferred, self.dirty.clone());
        if unsaved.is_empty() && self.resized.is_none() {
            return;
        }
        self.defer(unsaved.clone());
        if let Err(error) = self.hand_over(unsaved, Block::Deferred) {
            warn!("cannot write to {} what the guest wrote: {error}", self.file.title());
        }
    }
}

/// Returns the smallest range with both of these.
fn span(first: &Range<usize>, second: Range<usize>) -> Range<usize> {
    match (first.is_empty(), second.is_empty()) {
        (true, _) => second,
        (_, true) => first.clone(),
        _ => first.start.min(second.start)..first.end.max(second.end),
    }
}
