//! The bytes of an image in memory of the library's own, next to the file that they come from and go to. Nothing that
//! others do to the file can end the process then, or take from the guest what it has read or written.

use std::{io, ops::Range, sync::Arc};

use log::warn;

use crate::sync::atomic::{AtomicBool, Ordering};

use super::{Access, Durability, Flushing, MediumError, file::LockedFile};

/// What is known of a block of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    /// Not read yet, or the host could not read it.
    Absent,
    /// As in the file.
    Clean,
    /// As the file had it before another program changed its length.
    Cut,
    /// Written, and handed over to the host by the last flush. If that fails to bring it to the host's disk, the next one
    /// hands it over again: a host may take for saved what it has failed to save.
    Flushing,
    /// Written, and handed over to the host since.
    Written,
    /// Written, and not in the file yet.
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
    /// Binary logarithm of the bytes in a block.
    shift: u32,
    file: LockedFile,
    durability: Durability,
    /// The last flush has come to a good end.
    flushed: Arc<AtomicBool>,
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
        let absent = blocks.len();
        let flushed = Arc::new(AtomicBool::new(false));
        let mut memory = Self { bytes, blocks, absent, dirty: 0..0, shift, file, durability, flushed };
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

    /// The ends of the runs of blocks of which `of` is true.
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

    /// The same, to be changed.
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

    /// A command that wrote has ended.
    pub(super) fn end_of_command(&mut self) -> io::Result<()> {
        if self.dirty.is_empty() || self.durability == Durability::OnFlush {
            return Ok(());
        }
        let written = self.runs(self.dirty.clone(), |block| block == Block::Dirty);
        let dirty = self.dirty.clone();
        self.hand_over(&written, Block::Written)?;
        if self.durability == Durability::EveryCommand
            && let Err(error) = self.file.sync()
        {
            written.into_iter().for_each(|run| self.blocks[run].fill(Block::Dirty));
            self.dirty = dirty;
            return Err(error);
        }
        Ok(())
    }

    /// Writes blocks to the file.
    fn hand_over(&mut self, runs: &[Range<usize>], state: Block) -> io::Result<()> {
        if let Err(error) = self.file.check_length() {
            self.blocks.iter_mut().filter(|block| **block == Block::Clean).for_each(|block| *block = Block::Cut);
            return Err(error);
        }
        for run in runs {
            let bytes = self.bytes_of(run);
            self.file.write_at(&self.bytes[bytes.clone()], bytes.start as u64)?;
            self.blocks[run.clone()].fill(state);
        }
        self.dirty = 0..0;
        Ok(())
    }

    /// Hands over all that was written and is not known to last, and gives what is left to wait for.
    pub(super) fn begin_flush(&mut self) -> io::Result<Flushing> {
        if self.flushed.swap(false, Ordering::AcqRel) {
            self.blocks.iter_mut().filter(|block| **block == Block::Flushing).for_each(|block| *block = Block::Clean);
        }
        if self.unsaved_blocks().is_empty() {
            return Ok(Flushing::done());
        }
        self.file.check_name()?;
        let all = self.runs(0..self.blocks.len(), |block| !matches!(block, Block::Absent | Block::Clean));
        self.hand_over(&all, Block::Flushing)?;
        // One that still waits has another flag, and says nothing of what was written since.
        self.flushed = Arc::default();
        let (file, flushed) = (self.file.handle(), Arc::clone(&self.flushed));
        Ok(Flushing::until(move || {
            file.sync_data()?;
            flushed.store(true, Ordering::Release);
            Ok(())
        }))
    }

    fn unsaved_blocks(&self) -> Vec<Range<usize>> {
        self.runs(0..self.blocks.len(), |block| matches!(block, Block::Flushing | Block::Written | Block::Dirty))
    }

    /// What was written and is not known to last.
    pub(super) fn unsaved(&self) -> Vec<Range<u64>> {
        let flushed = self.flushed.load(Ordering::Acquire);
        let unsaved = |block| block != Block::Flushing || !flushed;
        let written = self.unsaved_blocks().into_iter().flat_map(|run| self.runs(run, unsaved));
        written.map(|run| self.bytes_of(&run)).map(|bytes| bytes.start as u64..bytes.end as u64).collect()
    }

    /// All bytes, if the host can read them.
    pub(super) fn whole(&mut self) -> Result<&[u8], MediumError> {
        let all = 0..self.bytes.len();
        self.read(all.clone(), all.end)
    }

    pub(super) fn unlock(&mut self) -> io::Result<()> {
        self.file.unlock()
    }
}

impl Drop for Memory {
    /// What nobody released goes to the file, if it can.
    fn drop(&mut self) {
        let dirty = self.runs(self.dirty.clone(), |block| block == Block::Dirty);
        if !dirty.is_empty()
            && let Err(error) = self.hand_over(&dirty, Block::Written)
        {
            warn!("an image is dropped with what was written: {error}");
        }
    }
}
