//! The FIFO between the disk and a host that moves data byte by byte, and the two ends that a transfer can have: that
//! FIFO, or a DMA channel.

use crate::dma::{DmaChannel, Moved};

/// Where the data of a transfer goes to or comes from.
pub(super) trait Host {
    /// Hands bytes from the disk to the host, starting with the first of `data`. Those of this sector end after
    /// `in_sector`.
    fn give(&mut self, data: &[u8], in_sector: usize) -> Moved;

    /// Takes bytes from the host for the disk, filling `data` from its start. Those of this sector end after `in_sector`.
    fn take(&mut self, data: &mut [u8], in_sector: usize) -> Moved;
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
    fn give(&mut self, data: &[u8], _in_sector: usize) -> Moved {
        if !self.gate {
            return Moved::default();
        }
        let moved = self.channel.device_to_memory(data);
        self.plausible(moved, data.len())
    }

    fn take(&mut self, data: &mut [u8], _in_sector: usize) -> Moved {
        if !self.gate {
            return Moved::default();
        }
        let moved = self.channel.memory_to_device(data);
        self.plausible(moved, data.len())
    }
}

/// The data path of non-DMA mode, 16 bytes deep.
///
/// Without timing the disk fills and drains it as fast as the host allows. What shows is where a request ends and the
/// next begins, by which INT falls and rises: after as many bytes as the threshold leaves of the FIFO, or after each byte
/// when the FIFO is off.
#[derive(Clone, Debug, Default)]
pub(super) struct Fifo {
    bytes: [u8; Self::DEPTH],
    start: usize,
    end: usize,
    /// Bytes of the sector that the disk still waits for.
    wanted: usize,
    /// FIFOTHR and 1; `None` when the FIFO is off.
    threshold: Option<usize>,
}

impl Fifo {
    const DEPTH: usize = 16;

    /// Empties it for a command. `threshold` is 1 to 16, or `None` when the FIFO is off.
    pub(super) fn begin(&mut self, threshold: Option<usize>) {
        self.threshold = threshold;
        self.clear();
    }

    fn clear(&mut self) {
        (self.start, self.end, self.wanted) = (0, 0, 0);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The disk has all that it needs to go on.
    pub(super) fn is_full(&self) -> bool {
        self.end - self.start >= self.wanted.min(Self::DEPTH)
    }

    /// Bytes that one request is for: it comes when the FIFO has so many for the host, or room for so many.
    fn request(&self) -> usize {
        self.threshold.map_or(1, |threshold| Self::DEPTH.saturating_sub(threshold).max(1))
    }

    /// The host takes a byte. `true` when it was the last of a request.
    pub(super) fn pop(&mut self) -> Option<(u8, bool)> {
        let byte = self.bytes[self.start..self.end].first().copied()?;
        self.start += 1;
        Some((byte, self.is_empty() || self.start.is_multiple_of(self.request())))
    }

    /// The host adds a byte, unless the FIFO is full. `true` when it was the last of a request.
    pub(super) fn push(&mut self, byte: u8) -> bool {
        if let Some(place) = self.bytes.get_mut(self.end) {
            *place = byte;
            self.end += 1;
        }
        self.threshold.is_none() || self.is_full()
    }
}

impl Host for Fifo {
    /// Whole requests, of one sector.
    fn give(&mut self, data: &[u8], in_sector: usize) -> Moved {
        if !self.is_empty() {
            return Moved::default();
        }
        self.clear();
        let room = Self::DEPTH - Self::DEPTH % self.request();
        let bytes = data.len().min(in_sector).min(room);
        self.bytes[..bytes].copy_from_slice(&data[..bytes]);
        self.end = bytes;
        Moved { bytes, terminal_count: false }
    }

    /// As many bytes as make room for a request, or all that this sector waits for.
    fn take(&mut self, data: &mut [u8], in_sector: usize) -> Moved {
        let held = self.end - self.start;
        let due = match self.threshold {
            Some(_) if held < in_sector => (held + self.request()).saturating_sub(Self::DEPTH),
            _ => held,
        };
        let bytes = due.min(in_sector).min(data.len());
        data[..bytes].copy_from_slice(&self.bytes[self.start..][..bytes]);
        self.bytes.copy_within(self.start + bytes..self.end, 0);
        (self.start, self.end) = (0, held - bytes);
        // Whatever comes after the sector is no shorter than the FIFO is deep, or nothing.
        self.wanted = if bytes == in_sector { data.len() - bytes } else { in_sector - bytes };
        Moved { bytes, terminal_count: false }
    }
}
