//! The FIFO between the disk and a host that moves data byte by byte, and the two ends that a transfer can have: that
//! FIFO, or a DMA channel.

use crate::dma::{DmaChannel, Moved};

/// Where the data of a transfer goes to or comes from.
pub(super) trait Host {
    /// Hands bytes from the disk to the host, starting with the first of `data`.
    fn give(&mut self, data: &[u8]) -> Moved;

    /// Takes bytes from the host for the disk, filling `data` from its start.
    fn take(&mut self, data: &mut [u8]) -> Moved;
}

/// The DMA channel, behind the gate of the DOR.
pub(super) struct DmaPort<'a, D> {
    pub channel: &'a mut D,
    /// DRQ is driven, and DACK and TC are seen.
    pub gate: bool,
    /// At least one byte moved.
    pub served: bool,
}

impl<D: DmaChannel> DmaPort<'_, D> {
    /// What a channel says that it moved, as far as it can be true: no more than it was offered, and terminal count
    /// with a byte only.
    fn plausible(&mut self, moved: Moved, offered: usize) -> Moved {
        let bytes = moved.bytes.min(offered);
        self.served |= bytes > 0;
        Moved { bytes, terminal_count: moved.terminal_count && bytes > 0 }
    }
}

impl<D: DmaChannel> Host for DmaPort<'_, D> {
    fn give(&mut self, data: &[u8]) -> Moved {
        if !self.gate {
            return Moved::default();
        }
        let moved = self.channel.device_to_memory(data);
        self.plausible(moved, data.len())
    }

    fn take(&mut self, data: &mut [u8]) -> Moved {
        if !self.gate {
            return Moved::default();
        }
        let moved = self.channel.memory_to_device(data);
        self.plausible(moved, data.len())
    }
}

/// The data path of non-DMA mode, 16 bytes deep.
///
/// Without timing, EFIFO affects only when INT falls: the disk fills and drains all 16 bytes either way.
#[derive(Clone, Debug, Default)]
pub(super) struct Fifo {
    bytes: [u8; Self::DEPTH],
    start: usize,
    end: usize,
    /// Bytes that the disk still waits for before it looks again.
    wanted: usize,
}

impl Fifo {
    const DEPTH: usize = 16;

    pub(super) fn clear(&mut self) {
        (self.start, self.end, self.wanted) = (0, 0, 0);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The disk has all that it needs to go on.
    pub(super) fn is_full(&self) -> bool {
        self.end - self.start >= self.wanted.min(Self::DEPTH)
    }

    /// The host takes a byte.
    pub(super) fn pop(&mut self) -> Option<u8> {
        let byte = self.bytes[self.start..self.end].first().copied()?;
        self.start += 1;
        Some(byte)
    }

    /// The host adds a byte, unless the FIFO is full.
    pub(super) fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.end) {
            *place = byte;
            self.end += 1;
        }
    }
}

impl Host for Fifo {
    fn give(&mut self, data: &[u8]) -> Moved {
        if self.is_empty() {
            self.clear();
        }
        let free = &mut self.bytes[self.end..];
        let bytes = data.len().min(free.len());
        free[..bytes].copy_from_slice(&data[..bytes]);
        self.end += bytes;
        Moved { bytes, terminal_count: false }
    }

    fn take(&mut self, data: &mut [u8]) -> Moved {
        let held = &self.bytes[self.start..self.end];
        let bytes = data.len().min(held.len());
        data[..bytes].copy_from_slice(&held[..bytes]);
        self.start += bytes;
        if self.is_empty() {
            self.clear();
        }
        self.wanted = data.len() - bytes;
        Moved { bytes, terminal_count: false }
    }
}
