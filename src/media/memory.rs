//! The bytes of an image in memory of the library's own, next to the file that they come from and go to. Nothing that
//! others do to the file can end the process then, or take from the guest what it has read or written.

use std::{io, ops::Range, sync::Arc};

use log::warn;

use crate::sync::atomic::{AtomicBool, Ordering};

use super::{
    Access, Durability, Flushing, MediumError,
    file::{LockedFile, SyncFailures},
};

/// What is known of a block of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    /// Not read yet, or the host could not read it.
    Absent,
    /// As in the file.
    Clean,
    /// Written, and on the host's disk since a flush.
    Saved,
    /// As the file had it before another program changed its length.
    Cut,
    /// Written, and handed over to the host by the last flush. If that fails to bring it to the host's disk, the next one
    /// hands it over again: a host may take for saved what it has failed to save.
    Flushing,
    /// Written, and handed over to the host since.
    Written,
    /// Written by a command that has ended, and not in the file: the host did not take it, or it is kept for the flush.
    Late,
    /// Written by the command that is under way.
    Dirty,
}

/// The bytes of a locked file.
#[derive(Debug)]
pub(super) struct Memory {
    bytes: Vec<u8>,
    blocks: Vec<Block>,
    /// How many blocks are absent.
    absent: usize,
    /// Blocks among which are all dirty ones.
    dirty: Range<usize>,
    /// Some block is late.
    late: bool,
    /// The guest has written something.
    written: bool,
    /// Binary logarithm of the bytes in a block.
    shift: u32,
    file: LockedFile,
    durability: Durability,
    /// The last flush has come to a good end.
    flushed: Arc<AtomicBool>,
    failures: SyncFailures,
    /// A flush took over what a command had written that has not ended.
    taken: bool,
    /// The file has writes of another process that may not last yet.
    unsynced: bool,
}

impl Memory {
    /// Takes up the bytes of a file, in blocks of `1 << shift` bytes, which divides its length: at once if `now`, or each
    /// when it is asked for.
    pub(super) fn new(file: LockedFile, shift: u32, durability: Durability, now: bool) -> io::Result<Self> {
        let length = usize::try_from(file.length()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length).map_err(|_| io::ErrorKind::OutOfMemory)?;
        bytes.resize(length, 0);
        let blocks = vec![Block::Absent; length >> shift];
        let mut memory = Self {
            bytes,
            absent: blocks.len(),
            blocks,
            dirty: 0..0,
            late: false,
            written: false,
            shift,
            file,
            durability,
            flushed: Arc::new(AtomicBool::new(false)),
            failures: SyncFailures::new(),
            taken: false,
            unsynced: false,
        };
        if now {
            // What the host cannot read now is tried again when the guest asks for it.
            memory.load(0..memory.bytes.len());
        }
        Ok(memory)
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

    /// The runs of blocks of which `of` is true.
    fn runs(&self, within: Range<usize>, of: impl Fn(Block) -> bool) -> Vec<Range<usize>> {
        let mut runs: Vec<Range<usize>> = Vec::new();
        for index in within.filter(|&index| of(self.blocks[index])) {
            match runs.last_mut() {
                Some(run) if run.end == index => run.end += 1,
                _ => runs.push(index..index + 1),
            }
        }
        runs
    }

    /// All runs of blocks of which `of` is true.
    fn all(&self, of: impl Fn(Block) -> bool) -> Vec<Range<usize>> {
        self.runs(0..self.blocks.len(), of)
    }

    /// Makes all blocks that are `before` something else.
    fn turn(&mut self, before: Block, after: Block) {
        self.blocks.iter_mut().filter(|block| **block == before).for_each(|block| *block = after);
    }

    // From the file

    /// Reads what is absent, as far as the host can.
    #[cold]
    fn load(&mut self, bytes: Range<usize>) {
        for run in self.runs(self.blocks_of(&bytes), |block| block == Block::Absent) {
            if self.load_blocks(run.clone()).is_err() {
                // Block by block, to spare the good ones.
                run.for_each(|block| _ = self.load_blocks(block..block + 1));
            }
        }
    }

    fn load_blocks(&mut self, blocks: Range<usize>) -> io::Result<()> {
        let bytes = self.bytes_of(&blocks);
        self.file.read_at(&mut self.bytes[bytes.clone()], bytes.start as u64)?;
        self.absent -= blocks.len();
        self.blocks[blocks].fill(Block::Clean);
        Ok(())
    }

    /// As much of `bytes`, which are whole blocks, as the host can read: at least the first `least` of them.
    #[cold]
    fn present(&mut self, bytes: Range<usize>, least: usize) -> Result<Range<usize>, MediumError> {
        self.load(bytes.clone());
        let blocks = self.blocks_of(&bytes);
        // The error is that of another try.
        for block in blocks.start..blocks.start + (least >> self.shift) {
            if self.blocks[block] == Block::Absent {
                self.load_blocks(block..block + 1)?;
            }
        }
        let good = self.blocks[blocks].iter().take_while(|&&block| block != Block::Absent).count();
        Ok(bytes.start..bytes.start + (good << self.shift))
    }

    /// The bytes of whole sectors of `sector` bytes each, at least one of them.
    #[inline]
    pub(super) fn read(&mut self, bytes: Range<usize>, sector: usize) -> Result<&[u8], MediumError> {
        let bytes = if self.absent > 0 { self.present(bytes, sector)? } else { bytes };
        self.bytes.get(bytes).ok_or(MediumError::Absent)
    }

    /// All bytes, if the host can read them.
    pub(super) fn whole(&mut self) -> Result<&[u8], MediumError> {
        let all = 0..self.bytes.len();
        self.read(all.clone(), all.end)
    }

    // To the file

    /// The bytes of whole sectors, to be changed.
    #[inline]
    pub(super) fn write(&mut self, bytes: Range<usize>, sector: usize) -> Result<&mut [u8], MediumError> {
        let bytes = if self.absent > 0 { self.present(bytes, sector)? } else { bytes };
        if self.file.access() == Access::ReadOnly {
            return Err(MediumError::Absent);
        }
        // The others, too, when they were written whole.
        self.wrote(bytes.start..bytes.start + sector);
        self.bytes.get_mut(bytes).ok_or(MediumError::Absent)
    }

    /// These bytes, which are whole blocks, are not in the file yet.
    #[inline]
    pub(super) fn wrote(&mut self, bytes: Range<usize>) {
        if self.file.access() != Access::ReadWrite {
            return;
        }
        let blocks = self.blocks_of(&bytes);
        self.blocks.get_mut(blocks.clone()).unwrap_or_default().fill(Block::Dirty);
        self.dirty = if self.dirty.is_empty() {
            blocks
        } else {
            self.dirty.start.min(blocks.start)..self.dirty.end.max(blocks.end)
        };
    }

    /// Fills whole blocks, whatever was there, even if nobody could read it.
    pub(super) fn fill(&mut self, bytes: Range<usize>, filler: u8) -> Result<(), MediumError> {
        if self.file.access() == Access::ReadOnly {
            return Err(MediumError::Absent);
        }
        self.bytes.get_mut(bytes.clone()).ok_or(MediumError::Absent)?.fill(filler);
        let blocks = self.blocks_of(&bytes);
        let absent = self.blocks[blocks.clone()].iter().filter(|&&block| block == Block::Absent).count();
        self.absent -= absent;
        self.blocks[blocks].fill(Block::Clean);
        self.wrote(bytes);
        Ok(())
    }

    /// Makes all bytes of a private image what they were. `false` when they are not as many.
    pub(super) fn replace(&mut self, bytes: &[u8]) -> bool {
        let fits = self.bytes.len() == bytes.len() && self.file.access() == Access::Private;
        if fits {
            self.bytes.copy_from_slice(bytes);
            self.blocks.fill(Block::Clean);
            self.absent = 0;
        }
        fits
    }

    /// A command that wrote has ended.
    pub(super) fn end_of_command(&mut self) -> io::Result<()> {
        let dirty = std::mem::take(&mut self.dirty);
        let own = self.runs(dirty, |block| block == Block::Dirty);
        let taken = std::mem::take(&mut self.taken);
        if own.is_empty() && !taken {
            return Ok(());
        }
        self.written = true;
        let handed_over = match self.durability {
            Durability::OnFlush => {
                self.put_off(&own);
                return Ok(());
            }
            Durability::AtRelease => self.hand_over(&own, Block::Written),
            Durability::EveryCommand => {
                let before = self.failures.count();
                self.hand_over(&own, Block::Written).and_then(|()| {
                    let synced = self.failures.sync(&self.file.handle(), before);
                    synced.inspect_err(|_| self.turn(Block::Flushing, Block::Written))
                })
            }
        };
        match handed_over {
            // What the host did not take before it may take now. That is not this command's affair.
            Ok(()) if self.late => {
                let late = self.all(|block| block == Block::Late);
                self.late = self.hand_over(&late, Block::Written).is_err();
            }
            Ok(()) => {}
            Err(error) => {
                self.put_off(&own);
                return Err(error);
            }
        }
        Ok(())
    }

    fn put_off(&mut self, runs: &[Range<usize>]) {
        runs.iter().for_each(|run| self.blocks[run.clone()].fill(Block::Late));
        self.late = true;
    }

    /// Writes blocks to the file, as many as the host takes. The error is the first.
    fn hand_over(&mut self, runs: &[Range<usize>], state: Block) -> io::Result<()> {
        self.check_length()?;
        self.write_out(runs, state)
    }

    fn write_out(&mut self, runs: &[Range<usize>], state: Block) -> io::Result<()> {
        let mut outcome = Ok(());
        for run in runs {
            let bytes = self.bytes_of(run);
            match self.file.write_at(&self.bytes[bytes.clone()], bytes.start as u64) {
                Ok(()) => self.blocks[run.clone()].fill(state),
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome
    }

    /// When another program has changed the length of the file, nothing is known to be in it any more.
    fn check_length(&mut self) -> io::Result<()> {
        self.file.check_length().inspect_err(|_| {
            self.turn(Block::Clean, Block::Cut);
            self.turn(Block::Saved, Block::Written);
            self.turn(Block::Flushing, Block::Written);
        })
    }

    /// Hands over all that was written and is not known to last, and gives what is left to wait for.
    pub(super) fn begin_flush(&mut self) -> io::Result<Flushing> {
        if self.flushed.load(Ordering::Acquire) {
            self.turn(Block::Flushing, Block::Saved);
            self.unsynced = false;
        }
        // One that still waits has another flag from now on, and says nothing of what comes.
        self.turn(Block::Flushing, Block::Written);
        self.flushed = Arc::new(AtomicBool::new(false));
        self.taken |= !self.dirty.is_empty();
        self.written |= self.taken;
        if !self.written {
            return Ok(Flushing::done());
        }
        self.file.check_name()?;
        self.check_length()?;
        // What is in the file already stays there.
        if self.unsaved_blocks().is_empty() && !self.unsynced {
            return Ok(Flushing::done());
        }
        let all = self.all(|block| !matches!(block, Block::Absent | Block::Clean | Block::Saved));
        let before = self.failures.count();
        self.write_out(&all, Block::Flushing)?;
        (self.dirty, self.late) = (0..0, false);
        let (file, flushed, failures) = (self.file.handle(), Arc::clone(&self.flushed), self.failures.clone());
        Ok(Flushing::until(move || {
            failures.sync(&file, before)?;
            flushed.store(true, Ordering::Release);
            Ok(())
        }))
    }

    fn unsaved_blocks(&self) -> Vec<Range<usize>> {
        self.all(|block| matches!(block, Block::Flushing | Block::Written | Block::Late | Block::Dirty))
    }

    /// What was written and is not known to last.
    pub(super) fn unsaved(&self) -> Vec<Range<u64>> {
        let flushed = self.flushed.load(Ordering::Acquire);
        let unsaved = |block| block != Block::Flushing || !flushed;
        let written = self.unsaved_blocks().into_iter().flat_map(|run| self.runs(run, unsaved));
        written.map(|run| self.bytes_of(&run)).map(|bytes| bytes.start as u64..bytes.end as u64).collect()
    }

    /// Another process has written to the file, and may not have brought that to the host's disk.
    pub(super) fn distrust(&mut self) {
        (self.written, self.unsynced) = (true, true);
    }

    /// What was written belongs nowhere any more.
    pub(super) fn forget(&mut self) {
        (self.dirty, self.late, self.written) = (0..0, false, false);
    }

    pub(super) fn unlock(&mut self) -> io::Result<()> {
        self.file.unlock()
    }
}

impl Drop for Memory {
    /// What nobody released goes to the file, if it can.
    fn drop(&mut self) {
        let dirty = if self.late { 0..self.blocks.len() } else { self.dirty.clone() };
        let unsaved = self.runs(dirty, |block| matches!(block, Block::Late | Block::Dirty));
        if !unsaved.is_empty()
            && let Err(error) = self.hand_over(&unsaved, Block::Written)
        {
            warn!("an image is dropped with what was written: {error}");
        }
    }
}
