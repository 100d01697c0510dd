//! The head of a drive over a disk that turns.

use super::{
    kind::DriveType,
    slot::{MediumId, SlotState},
};
use crate::{
    media::{
        DataRate, Encoding, Layout, Mark, Medium, MediumError, Track, TrackFormat, disk_cylinder, is_double_stepped,
    },
    sync::MutexGuard,
};

/// What is in a drive, locked: managers wait while it exists.
pub(crate) struct LockedDisk<'a> {
    pub(super) state: MutexGuard<'a, SlotState>,
    pub(super) kind: DriveType,
    /// The cylinder of the drive at which the head is.
    pub(super) cylinder: u8,
    pub(super) next_slot: &'a mut usize,
    /// What the disk was before a FORMAT TRACK made it another one.
    pub(super) reformatted: Option<ReformattedFrom>,
}

/// The layout of a disk that has another one now; `None` if it was blank.
pub(super) struct ReformattedFrom(Option<Layout>);

impl LockedDisk<'_> {
    /// Returns the head over the disk; `None` when there is no disk.
    #[inline]
    pub(crate) fn head(&mut self) -> Option<Head<'_>> {
        let Self { kind, cylinder, .. } = *self;
        let (medium_id, protected) = (self.state.medium_id(), self.state.write_protect_switch());
        let medium = self.state.medium_mut()?;
        let double_stepped = is_double_stepped(kind == DriveType::Inch5_25Hd, medium.cylinders());
        let cylinder = disk_cylinder(double_stepped, cylinder);
        let (next_slot, reformatted) = (&mut *self.next_slot, &mut self.reformatted);
        Some(Head { medium, medium_id, protected, kind, cylinder, next_slot, reformatted })
    }
}

impl Drop for LockedDisk<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(ReformattedFrom(before)) = self.reformatted.take() {
            self.state.record_own_reformat(before);
        }
    }
}

/// The head of a drive over a disk.
pub(crate) struct Head<'a> {
    medium: &'a mut dyn Medium,
    medium_id: MediumId,
    /// The write-protect switch.
    protected: bool,
    kind: DriveType,
    /// The cylinder of the disk under the head; `None` between two cylinders.
    cylinder: Option<u8>,
    /// The place on the track that passes the head next, counted from the index hole.
    next_slot: &'a mut usize,
    reformatted: &'a mut Option<ReformattedFrom>,
}

impl Head<'_> {
    /// Returns the track under head `head`, 0 or 1; `None` where nothing is recorded.
    #[inline]
    pub(crate) fn track(&self, head: u8) -> Option<Track<'_>> {
        self.medium.track(self.cylinder?, head)
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
        self.protected || self.medium.is_write_protected()
    }

    /// Returns the bytes of one to `count` sectors from the place `slot` on.
    #[inline]
    pub(crate) fn read(&mut self, head: u8, slot: usize, count: usize) -> Result<&[u8], MediumError> {
        let cylinder = self.cylinder.ok_or(MediumError::Absent)?;
        self.medium.read(cylinder, head, slot, count)
    }

    /// Returns the same bytes, to be overwritten in data fields with this mark.
    #[inline]
    pub(crate) fn write(&mut self, head: u8, slot: usize, count: usize, mark: Mark) -> Result<&mut [u8], MediumError> {
        // A manager can protect the disk within a command.
        if self.protected {
            return Err(MediumError::WriteProtected);
        }
        let cylinder = self.cylinder.ok_or(MediumError::Absent)?;
        self.medium.write(cylinder, head, slot, count, mark)
    }

    /// Completes the write of `count` data fields from the place `slot` on.
    #[inline]
    pub(crate) fn finish_write(&mut self, head: u8, slot: usize, count: usize, mark: Mark) {
        if let Some(cylinder) = self.cylinder {
            self.medium.finish_write(cylinder, head, slot, count, mark);
        }
    }

    /// Hands over what a command wrote, at the end of the command.
    pub(crate) fn commit(&mut self) -> Result<(), MediumError> {
        self.medium.commit().map_err(MediumError::Io)
    }

    /// Returns the number of bytes that pass the head in a revolution at this rate, gaps and marks included.
    pub(crate) fn track_capacity(&self, rate: DataRate, encoding: Encoding) -> usize {
        let bytes = rate.bytes_per_revolution(self.kind.rpm()) as usize;
        if encoding == Encoding::Fm { bytes / 2 } else { bytes }
    }

    /// Writes the track under head `head` anew. `format.rate` is the rate of the controller.
    pub(crate) fn format_track(&mut self, head: u8, format: TrackFormat<'_>) -> Result<(), MediumError> {
        if self.protected {
            return Err(MediumError::WriteProtected);
        }
        if !self.writes(format.rate, format.encoding) {
            return Err(MediumError::Unsupported);
        }
        // Two native rates can be one rate in this drive. The one of the present track stays.
        let present = self.track(head);
        let same = present.map(|track| track.rate).filter(|&native| self.kind.rate_of(native) == format.rate);
        let rate = same.or(self.kind.native_rate(format.rate)).ok_or(MediumError::Unsupported)?;
        let cylinder = self.cylinder.ok_or(MediumError::Unsupported)?;
        let before = self.medium.layout();
        let formatted = self.medium.format_track(cylinder, head, &TrackFormat { rate, ..format });
        if self.medium.layout() != before {
            *self.reformatted = Some(ReformattedFrom(before));
        }
        formatted
    }

    /// Returns the identity of the medium.
    pub(crate) fn medium_id(&self) -> MediumId {
        self.medium_id
    }
}
