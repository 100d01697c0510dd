//! The two ends that a transfer can have at the host: the FIFO of non-DMA mode, or a DMA channel.

use crate::dma::{DmaChannel, Moved};

/// Where the data of a transfer goes to or comes from. `field` is the place where `data` begins; it may go on over
/// several data fields of the same size.
pub(super) trait Host {
    /// Hands bytes from the disk to the host, starting with the first of `data`.
    fn give(&mut self, data: &[u8], field: Field) -> Moved;

    /// Takes bytes from the host for the disk, filling `data` from its start.
    fn take(&mut self, data: &mut [u8], field: Field) -> Moved;

    /// Asks the host for bytes before the first of them is due.
    fn expect(&mut self, field: Field) {
        let _ = field;
    }

    /// How many bytes the host may be late by before there is an overrun.
    fn patience(&self, to_host: bool) -> usize;

    /// How many bytes it moves at once, when it is in time.
    fn request_size(&self) -> usize;
}

/// A place in the data field of a sector, or in what else the disk waits for as a whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    /// Bytes that are transferred of each.
    pub size: usize,
    /// Bytes that have been transferred of this one.
    pub passed: usize,
}

impl Field {
    fn left(self) -> usize {
        self.size - self.passed
    }
}

/// The DMA channel, behind the gate of the DOR.
pub(super) struct DmaPort<'a, D> {
    pub channel: &'a mut D,
    /// DRQ is driven, and DACK and TC are seen.
    pub gate: bool,
    /// At least one byte moved.
    pub served: bool,
    /// The FIFO between the disk and the channel.
    pub fifo: FifoSize,
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
    fn patience(&self, _to_host: bool) -> usize {
        self.fifo.depth()
    }

    fn request_size(&self) -> usize {
        self.fifo.request_size()
    }

    fn give(&mut self, data: &[u8], _field: Field) -> Moved {
        if !self.gate {
            return Moved::default();
        }
        let moved = self.channel.device_to_memory(data);
        self.plausible(moved, data.len())
    }

    fn take(&mut self, data: &mut [u8], _field: Field) -> Moved {
        if !self.gate {
            return Moved::default();
        }
        let moved = self.channel.memory_to_device(data);
        self.plausible(moved, data.len())
    }
}

/// How CONFIGURE has the FIFO.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct FifoSize {
    /// FIFOTHR and 1; `None` when the FIFO is off.
    pub threshold: Option<usize>,
}

impl FifoSize {
    fn depth(self) -> usize {
        if self.threshold.is_some() { Fifo::DEPTH } else { 1 }
    }

    /// Bytes that one request is for: it comes when the FIFO has so many for the host, or room for so many.
    fn request_size(self) -> usize {
        self.threshold.map_or(1, |threshold| Fifo::DEPTH.saturating_sub(threshold).max(1))
    }
}

/// What the guest moves with one string instruction, beyond what the FIFO holds.
#[derive(Debug, Default)]
pub(super) struct GuestString<'a> {
    /// Room for bytes that it reads.
    pub input: &'a mut [u8],
    /// Bytes that it writes.
    pub output: &'a [u8],
    /// At least one request ended among them.
    pub request_ended: bool,
}

/// The data path of non-DMA mode: the FIFO, and past it the string that the guest moves, if it moves one.
pub(super) struct Pio<'a, 's> {
    pub fifo: &'a mut Fifo,
    pub string: &'a mut GuestString<'s>,
}

/// The FIFO, 16 bytes deep.
///
/// Without timing the disk fills and drains it as fast as the host allows. What shows is where a request ends and the
/// next begins, by which INT falls and rises: after as many bytes as the threshold leaves of the FIFO, or after each byte
/// when the FIFO is off.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Fifo {
    bytes: [u8; Self::DEPTH],
    start: usize,
    end: usize,
    /// Bytes of a request that had been read when the first byte came in.
    begun: usize,
    /// Bytes of the sector, or of the ID fields, that the disk still waits for.
    wanted: usize,
    size: FifoSize,
    /// The disk takes and gives each byte in its time.
    timed: bool,
    /// With time, for bytes from the host: it is asked for more.
    asks: bool,
}

impl Fifo {
    const DEPTH: usize = 16;

    /// Empties it for a command.
    pub(super) fn begin(&mut self, size: FifoSize, timed: bool) {
        *self = Self { size, timed, asks: true, ..Self::default() };
    }

    /// It is one that the chip can be in.
    pub(super) fn is_sound(&self) -> bool {
        let threshold = self.size.threshold.is_none_or(|threshold| (1..=Self::DEPTH).contains(&threshold));
        threshold
            && self.start <= self.end
            && self.end <= Self::DEPTH
            && self.begun <= Self::DEPTH
            && self.wanted <= 1 << 20
    }

    pub(super) fn size(&self) -> FifoSize {
        self.size
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    fn held(&self) -> usize {
        self.end - self.start
    }

    /// The disk has all that it needs to go on.
    pub(super) fn is_full(&self) -> bool {
        let depth = if self.timed { self.size.depth() } else { Self::DEPTH };
        self.held() >= self.wanted.min(depth) || self.timed && !self.asks
    }

    fn request_size(&self) -> usize {
        self.size.request_size()
    }

    /// The host takes as many bytes as there are, or as `data` has room for. Gives their number, and whether a request
    /// ended with one of them.
    pub(super) fn pop(&mut self, data: &mut [u8]) -> (usize, bool) {
        let bytes = self.held().min(data.len());
        data[..bytes].copy_from_slice(&self.bytes[self.start..][..bytes]);
        let request = self.request_size();
        let before = (self.begun + self.start) / request;
        self.start += bytes;
        // Without time it is never empty but at the end of a request, and with time a request ends when it is empty.
        let passed_an_end = !self.timed && (self.begun + self.start) / request > before;
        (bytes, bytes > 0 && (self.is_empty() || passed_an_end))
    }

    /// The host adds a byte, unless the FIFO is full. `true` when it was the last of a request.
    pub(super) fn push(&mut self, byte: u8) -> bool {
        if let Some(place) = self.bytes.get_mut(self.end) {
            *place = byte;
            self.end += 1;
        }
        self.asks &= !self.is_full();
        !self.timed && self.size.threshold.is_none() || self.is_full()
    }

    /// The disk fills the empty FIFO up to the end of a request, within one field.
    fn fill(&mut self, data: &[u8], field: Field) -> usize {
        self.begun = field.passed % self.request_size();
        let room = Self::DEPTH - Self::DEPTH % self.request_size() - self.begun;
        let bytes = data.len().min(field.left()).min(room);
        self.bytes[..bytes].copy_from_slice(&data[..bytes]);
        (self.start, self.end) = (0, bytes);
        bytes
    }

    /// How many of `offered` bytes, which begin at a place in a field, the disk drains: whole fields, and of the last
    /// one as many as made room for a request each time that the FIFO was full.
    fn due(&self, offered: usize, field: Field) -> usize {
        let end = field.passed + offered;
        let (whole, rest) = (end - end % field.size, end % field.size);
        let request = if self.size.threshold.is_some() { self.request_size() } else { Self::DEPTH };
        let drained = rest.checked_sub(Self::DEPTH).map_or(0, |more| (more / request + 1) * request);
        (whole + drained).saturating_sub(field.passed)
    }
}

impl Host for Pio<'_, '_> {
    fn patience(&self, to_host: bool) -> usize {
        if to_host { self.fifo.size.depth() - self.fifo.held().min(self.fifo.size.depth()) } else { 0 }
    }

    fn request_size(&self) -> usize {
        self.fifo.request_size()
    }

    fn give(&mut self, data: &[u8], field: Field) -> Moved {
        if !self.fifo.is_empty() {
            return Moved::default();
        }
        let input = std::mem::take(&mut self.string.input);
        let (now, later) = input.split_at_mut(data.len().min(input.len()));
        now.copy_from_slice(&data[..now.len()]);
        self.string.input = later;
        let request = self.fifo.request_size();
        self.string.request_ended |= field.passed % request + now.len() >= request || now.len() >= field.left();
        let field = Field { passed: (field.passed + now.len()) % field.size, ..field };
        let bytes = now.len() + self.fifo.fill(&data[now.len()..], field);
        Moved { bytes, terminal_count: false }
    }

    fn take(&mut self, data: &mut [u8], field: Field) -> Moved {
        let Self { fifo, string } = self;
        let held = fifo.held();
        let due = if fifo.timed { held } else { fifo.due(held + string.output.len(), field) };
        let bytes = due.min(data.len());
        let from_fifo = held.min(bytes);
        data[..from_fifo].copy_from_slice(&fifo.bytes[fifo.start..][..from_fifo]);
        fifo.bytes.copy_within(fifo.start + from_fifo..fifo.end, 0);
        (fifo.start, fifo.end) = (0, held - from_fifo);
        let (now, later) = string.output.split_at(bytes - from_fifo);
        data[from_fifo..bytes].copy_from_slice(now);
        string.request_ended |= bytes > 0 || fifo.size.threshold.is_none() && !string.output.is_empty();
        string.output = later;
        if bytes < data.len() {
            // What the disk does not drain yet, less than the FIFO holds.
            for &byte in std::mem::take(&mut string.output) {
                fifo.push(byte);
            }
        }
        self.expect(Field { passed: field.passed + bytes, ..field });
        Moved { bytes, terminal_count: false }
    }

    fn expect(&mut self, field: Field) {
        self.fifo.asks |= self.fifo.held() <= self.fifo.size.threshold.unwrap_or(0);
        self.fifo.wanted = field.size - field.passed % field.size;
    }
}
