//! The FIFO, and the host at its other end: a DMA channel, single bytes, or the strings of `rep ins` and `rep outs`.

use crate::dma::{DmaChannel, Moved};

/// The host's end of a transfer. `place` is where the first byte of `data` stands; `data` may go on over several data
/// fields of the same size.
#[allow(clippy::wrong_self_convention)] // `from_host` is the direction of the data, not a conversion.
pub(super) trait HostPort {
    /// Sends bytes from the disk to the host, starting with the first of `data`. Returns what the host took.
    fn to_host(&mut self, data: &[u8], place: Place) -> Moved;

    /// Fills `data` from its start with bytes of the host. Returns what the host gave.
    fn from_host(&mut self, data: &mut [u8], place: Place) -> Moved;

    /// Asks the host for bytes before the first of them is due.
    fn request(&mut self, place: Place) {
        let _ = place;
    }

    /// Returns how many bytes the host may be late by before there is an overrun.
    fn overrun_limit(&self, to_host: bool) -> usize;

    /// Returns the bytes of one request.
    fn request_size(&self) -> usize;

    /// Returns whether the guest can see when single bytes move. Nobody can see a byte of a DMA transfer between two accesses,
    /// so that a sector then moves in two pieces: the first request, which shows whether the channel serves, and the rest.
    fn shows_bytes(&self) -> bool;
}

/// A place in the data field of a sector, or in the ID fields that FORMAT TRACK takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Bytes that are transferred of each field.
    pub size: usize,
    /// Bytes of this field that have been transferred.
    pub offset: usize,
}

impl Place {
    fn left(self) -> usize {
        self.size - self.offset
    }
}

/// How CONFIGURE sets the FIFO (§7.2).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FifoSize {
    /// FIFOTHR and 1, 1 to 16 bytes; `None` when the FIFO is off.
    pub threshold: Option<u8>,
}

impl FifoSize {
    fn depth(self) -> usize {
        if self.threshold.is_some() { Fifo::DEPTH } else { 1 }
    }

    fn threshold(self) -> usize {
        self.threshold.map_or(0, usize::from)
    }

    /// Returns the bytes of one request: it comes when the FIFO has so many for the host, or room for so many (§7.3).
    pub(super) fn request_size(self) -> usize {
        self.threshold.map_or(1, |threshold| Fifo::DEPTH.saturating_sub(threshold.into()).max(1))
    }
}

/// The DMA channel, behind the gate of the DOR.
pub(super) struct DmaPort<'a, D> {
    pub channel: &'a mut D,
    /// DRQ is driven, and DACK and TC are seen.
    pub gate: bool,
    /// The FIFO between the disk and the channel.
    pub fifo: FifoSize,
    /// At least one byte moved.
    pub served: bool,
}

impl<D: DmaChannel> DmaPort<'_, D> {
    /// Limits what a channel says that it moved to what can be true: no more than it was offered, and terminal count with
    /// a byte only.
    fn checked(&mut self, moved: Moved, offered: usize) -> Moved {
        let bytes = moved.bytes.min(offered);
        self.served |= bytes > 0;
        Moved { bytes, terminal_count: moved.terminal_count && bytes > 0 }
    }
}

impl<D: DmaChannel> HostPort for DmaPort<'_, D> {
    fn to_host(&mut self, data: &[u8], _place: Place) -> Moved {
        if !self.gate {
            return Moved::default();
        }
        let moved = self.channel.device_to_memory(data);
        self.checked(moved, data.len())
    }

    fn from_host(&mut self, data: &mut [u8], _place: Place) -> Moved {
        if !self.gate {
            return Moved::default();
        }
        let moved = self.channel.memory_to_device(data);
        self.checked(moved, data.len())
    }

    fn overrun_limit(&self, _to_host: bool) -> usize {
        self.fifo.depth()
    }

    fn request_size(&self) -> usize {
        self.fifo.request_size()
    }

    fn shows_bytes(&self) -> bool {
        false
    }
}

/// The bytes of one string instruction, beyond what the FIFO holds.
#[derive(Debug, Default)]
pub(super) struct GuestString<'a> {
    /// Room for the bytes that the guest reads.
    pub input: &'a mut [u8],
    /// The bytes that the guest writes.
    pub output: &'a [u8],
    /// At least one request ended among them.
    pub request_ended: bool,
}

/// The host without DMA: the FIFO, and the string that the guest moves past it, if it moves one.
pub(super) struct PioPort<'a, 's> {
    pub fifo: &'a mut Fifo,
    pub string: &'a mut GuestString<'s>,
}

/// How the disk fills and drains the FIFO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pacing {
    /// As fast as the host allows.
    Immediate,
    /// A byte at a time, at the data rate. `requesting`: the FIFO asks the host for bytes (§7.3).
    Rotating { requesting: bool },
}

/// The FIFO, 16 bytes deep (§7.3).
///
/// Without time, the guest sees of the FIFO only where a request ends and the next begins, for there INT falls and rises:
/// after as many bytes as the threshold leaves of the FIFO, or after each byte when the FIFO is off.
#[derive(Clone, Debug)]
pub(super) struct Fifo {
    pub bytes: [u8; Self::DEPTH],
    /// The bytes that it holds are `bytes[start..end]`.
    pub start: usize,
    pub end: usize,
    /// Without time: bytes until a request of the host's side ends, 1 to 16.
    pub request_left: usize,
    /// Bytes of the data field, or of the ID fields, that the disk still takes.
    pub wanted: usize,
    pub size: FifoSize,
    pub pacing: Pacing,
}

impl Fifo {
    pub(super) const DEPTH: usize = 16;

    /// Returns an empty FIFO for a command.
    pub(super) fn new(size: FifoSize, pacing: Pacing) -> Self {
        Self { bytes: [0; Self::DEPTH], start: 0, end: 0, request_left: 1, wanted: 0, size, pacing }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Discards the bytes that it holds.
    pub(super) fn clear(&mut self) {
        self.start = self.end;
    }

    /// Discards the bytes that a FIFO of this size cannot hold. Without time it holds more, for the disk is never late.
    pub(super) fn truncate(&mut self) {
        self.end = self.end.min(self.start + self.size.depth());
    }

    fn held(&self) -> usize {
        self.end - self.start
    }

    /// Returns whether the disk has all that it needs to go on.
    pub(super) fn is_full(&self) -> bool {
        match self.pacing {
            Pacing::Immediate => self.held() >= self.wanted.min(Self::DEPTH),
            Pacing::Rotating { requesting } => !requesting || self.held() >= self.wanted.min(self.size.depth()),
        }
    }

    /// Moves as many bytes to the host as there are, or as `data` has room for. Returns their number, and whether a
    /// request ended with one of them.
    pub(super) fn pop(&mut self, data: &mut [u8]) -> (usize, bool) {
        let bytes = self.held().min(data.len());
        data[..bytes].copy_from_slice(&self.bytes[self.start..][..bytes]);
        self.start += bytes;
        // With time, a request ends when the FIFO is empty.
        let mut ended = self.is_empty();
        if self.pacing == Pacing::Immediate {
            ended |= bytes >= self.request_left;
            let request = self.size.request_size();
            self.request_left = request - (request - self.request_left + bytes) % request;
        }
        (bytes, bytes > 0 && ended)
    }

    /// Moves a byte to the host if more than one is held: then nothing that the chip shows changes. Returns the byte, and
    /// whether a request ended with it.
    #[inline]
    pub(super) fn pop_one_of_many(&mut self) -> Option<(u8, bool)> {
        let byte = *self.bytes.get(self.start).filter(|_| self.start + 1 < self.end)?;
        self.start += 1;
        let mut ended = false;
        if self.pacing == Pacing::Immediate {
            self.request_left -= 1;
            if self.request_left == 0 {
                self.request_left = self.size.request_size();
                ended = true;
            }
        }
        Some((byte, ended))
    }

    /// Takes a byte of the host, unless the FIFO is full. Returns whether it was the last of a request.
    pub(super) fn push(&mut self, byte: u8) -> bool {
        if let Some(place) = self.bytes.get_mut(self.end) {
            *place = byte;
            self.end += 1;
        }
        let full = self.is_full();
        match &mut self.pacing {
            Pacing::Immediate => full || self.size.threshold.is_none(),
            Pacing::Rotating { requesting } => {
                *requesting &= !full;
                full
            }
        }
    }

    /// Fills the empty FIFO with bytes of the disk, up to the end of a request and within one field. Returns their number.
    fn fill(&mut self, data: &[u8], place: Place) -> usize {
        let request = self.size.request_size();
        let request_offset = place.offset % request;
        self.request_left = request - request_offset;
        let room = Self::DEPTH - Self::DEPTH % request - request_offset;
        let bytes = data.len().min(place.left()).min(room);
        self.bytes[..bytes].copy_from_slice(&data[..bytes]);
        (self.start, self.end) = (0, bytes);
        bytes
    }

    /// Returns how many of `offered` bytes, which begin at `place`, the disk drains without time: whole fields, and of the
    /// last one as many as made room for a request each time that the FIFO was full.
    fn drained(&self, offered: usize, place: Place) -> usize {
        let end = place.offset + offered;
        let (whole, rest) = (end - end % place.size, end % place.size);
        let request = if self.size.threshold.is_some() { self.size.request_size() } else { Self::DEPTH };
        let of_last = rest.checked_sub(Self::DEPTH).map_or(0, |more| (more / request + 1) * request);
        (whole + of_last).saturating_sub(place.offset)
    }
}

impl HostPort for PioPort<'_, '_> {
    fn to_host(&mut self, data: &[u8], place: Place) -> Moved {
        if !self.fifo.is_empty() {
            return Moved::default();
        }
        let input = std::mem::take(&mut self.string.input);
        let (now, later) = input.split_at_mut(data.len().min(input.len()));
        now.copy_from_slice(&data[..now.len()]);
        self.string.input = later;
        let request = self.fifo.size.request_size();
        self.string.request_ended |= place.offset % request + now.len() >= request || now.len() >= place.left();
        let next = Place { offset: (place.offset + now.len()) % place.size, ..place };
        let bytes = now.len() + self.fifo.fill(&data[now.len()..], next);
        Moved { bytes, terminal_count: false }
    }

    fn from_host(&mut self, data: &mut [u8], place: Place) -> Moved {
        let Self { fifo, string } = self;
        let held = fifo.held();
        let drained = match fifo.pacing {
            Pacing::Immediate => fifo.drained(held + string.output.len(), place),
            Pacing::Rotating { .. } => held,
        };
        let bytes = drained.min(data.len());
        let from_fifo = held.min(bytes);
        data[..from_fifo].copy_from_slice(&fifo.bytes[fifo.start..][..from_fifo]);
        fifo.bytes.copy_within(fifo.start + from_fifo..fifo.end, 0);
        (fifo.start, fifo.end) = (0, held - from_fifo);
        let (now, later) = string.output.split_at(bytes - from_fifo);
        data[from_fifo..bytes].copy_from_slice(now);
        string.request_ended |= bytes > 0 || fifo.size.threshold.is_none() && !string.output.is_empty();
        string.output = later;
        if bytes < data.len() {
            // What the disk does not drain yet is less than the FIFO holds.
            for &byte in std::mem::take(&mut string.output) {
                fifo.push(byte);
            }
        }
        self.request(Place { offset: place.offset + bytes, ..place });
        Moved { bytes, terminal_count: false }
    }

    fn request(&mut self, place: Place) {
        let (held, threshold) = (self.fifo.held(), self.fifo.size.threshold());
        if let Pacing::Rotating { requesting } = &mut self.fifo.pacing {
            *requesting |= held <= threshold;
        }
        self.fifo.wanted = place.size - place.offset % place.size;
    }

    fn overrun_limit(&self, to_host: bool) -> usize {
        let depth = self.fifo.size.depth();
        if to_host { depth.saturating_sub(self.fifo.held()) } else { 0 }
    }

    fn request_size(&self) -> usize {
        self.fifo.size.request_size()
    }

    fn shows_bytes(&self) -> bool {
        true
    }
}
