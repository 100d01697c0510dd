//! The head of a drive over a disk that turns.

use super::{
    kind::DriveType,
    slot::{MediumId, SlotState},
};
use crate::{
    media::{DataRate, Encoding, Mark, MediumError, Track, TrackFormat},
    sync::MutexGuard,
};

/// The head of a drive over a disk. Managers wait while it exists.
pub(crate) struct Head<'a> {
    state: MutexGuard<'a, SlotState>,
    kind: DriveType,
    /// The cylinder of the disk under the head; `None` between two cylinders.
    cylinder: Option<u8>,
    /// The place on the track that passes the head next, counted from the index hole.
    next_slot: &'a mut usize,
}

impl<'a> Head<'a> {
    /// Creates the head over `cylinder` of the disk in the locked slot.
    #[inline]
    pub(super) fn new(
        state: MutexGuard<'a, SlotState>,
        kind: DriveType,
        cylinder: Option<u8>,
        next_slot: &'a mut usize,
    ) -> Self {
        Self { state, kind, cylinder, next_slot }
    }

    /// Returns the track under head `head`, 0 or 1; `None` where nothing is recorded.
    #[inline]
    pub(crate) fn track(&self, head: u8) -> Option<Track<'_>> {
        self.state.medium()?.track(self.cylinder?, head)
    }

    /// Returns whether the track can be read at this rate in this encoding.
    #[inline]
    pub(crate) fn reads(&self, track: &Track<'_>, rate: DataRate, encoding: Encoding) -> bool {
        self.writes(rate, encoding)
            && self.kind.rate_of(track.rate) == rate
            && track.encoding == encoding
            && !track.is_empty()
    }

    /// Returns whether the drive and the chip can record at this rate in this encoding.
    #[inline]
    fn writes(&self, rate: DataRate, encoding: Encoding) -> bool {
        self.kind.reads(rate) && (encoding, rate) != (Encoding::Fm, DataRate::Kbps1000)
    }

    /// Returns the revolutions per minute of the disk.
    pub(crate) fn rpm(&self) -> u32 {
        self.kind.rpm()
    }

    /// Returns the place on the track that passes the head next, counted from the index hole.
    pub(crate) fn next_slot(&self) -> usize {
        *self.next_slot
    }

    /// Sets the place that passes the head next. The place behind the last one means the first.
    pub(crate) fn set_next_slot(&mut self, slot: usize) {
        *self.next_slot = slot;
    }

    /// Returns whether the disk is write protected.
    pub(crate) fn write_protected(&self) -> bool {
        self.state.write_protected()
    }

    /// Returns the bytes of one to `count` sectors from the place `slot` on.
    #[inline]
    pub(crate) fn read(&mut self, head: u8, slot: usize, count: usize) -> Result<&[u8], MediumError> {
        match (self.state.medium_mut(), self.cylinder) {
            (Some(medium), Some(cylinder)) => medium.read(cylinder, head, slot, count),
            _ => Err(MediumError::Absent),
        }
    }

    /// Returns the same bytes, to be overwritten in data fields with this mark.
    #[inline]
    pub(crate) fn write(&mut self, head: u8, slot: usize, count: usize, mark: Mark) -> Result<&mut [u8], MediumError> {
        // A manager can protect the disk within a command.
        if self.state.write_protect_switch() {
            return Err(MediumError::WriteProtected);
        }
        match (self.state.medium_mut(), self.cylinder) {
            (Some(medium), Some(cylinder)) => medium.write(cylinder, head, slot, count, mark),
            _ => Err(MediumError::Absent),
        }
    }

    /// Completes the write of `count` data fields from the place `slot` on.
    #[inline]
    pub(crate) fn finish_write(&mut self, head: u8, slot: usize, count: usize, mark: Mark) {
        if let (Some(medium), Some(cylinder)) = (self.state.medium_mut(), self.cylinder) {
            medium.finish_write(cylinder, head, slot, count, mark);
        }
    }

    /// Hands over what a command wrote, at the end of the command.
    pub(crate) fn commit(&mut self) -> Result<(), MediumError> {
        self.state.medium_mut().map_or(Ok(()), |medium| medium.commit().map_err(MediumError::Io))
    }

    /// Returns the number of bytes that pass the head in a revolution at this rate, gaps and marks included.
    pub(crate) fn track_capacity(&self, rate: DataRate, encoding: Encoding) -> usize {
        let bytes = rate.bytes_per_revolution(self.kind.rpm()) as usize;
        if encoding == Encoding::Fm { bytes / 2 } else { bytes }
    }

    /// Writes the track under head `head` anew. `format.rate` is the rate of the controller.
    pub(crate) fn format_track(&mut self, head: u8, format: TrackFormat<'_>) -> Result<(), MediumError> {
        if self.state.write_protect_switch() {
            return Err(MediumError::WriteProtected);
        }
        if !self.writes(format.rate, format.encoding) {
            return Err(MediumError::Unsupported);
        }
        // Two native rates can be one rate in this drive. The one of the present track stays.
        let present = self.cylinder.and_then(|cylinder| self.state.medium()?.track(cylinder, head));
        let same = present.map(|track| track.rate).filter(|&native| self.kind.rate_of(native) == format.rate);
        let rate = same.or(self.kind.native_rate(format.rate)).ok_or(MediumError::Unsupported)?;
        let (Some(medium), Some(cylinder)) = (self.state.medium_mut(), self.cylinder) else {
            return Err(MediumError::Unsupported);
        };
        let before = medium.layout();
        let formatted = medium.format_track(cylinder, head, &TrackFormat { rate, ..format });
        if medium.layout() != before {
            self.state.record_own_reformat(before);
        }
        formatted
    }

    /// Returns the identity of the medium.
    pub(crate) fn medium_id(&self) -> MediumId {
        self.state.medium_id()
    }
}
