//! What is recorded on the disk of an image: the tracks of one layout, or a format in another layout that is not complete.

use std::ops::Range;

use super::{
    reformat::{FormattedTrack, Reach, Reformat, TrackShape},
    tracks::Tracks,
};
use crate::media::{geometry::FormFactor, medium::MediumError, track::Track};

/// What is recorded on the disk of an image.
#[derive(Debug)]
pub(super) enum Surface {
    /// The tracks of one layout, which are all in the raw image.
    OneLayout {
        tracks: Tracks,
        /// What the drive reaches, if the guest can format the disk in another layout.
        reach: Option<Reach>,
    },
    /// A disk that the guest formats in another layout, or that is blank, or between whose cylinders the guest can format
    /// others.
    Reformat(Box<Reformat>),
}

impl Surface {
    /// Returns the surface of a disk in a drive that is not known yet; `None` for a blank disk. `reformat`: the guest can
    /// format it in another layout, as it can a blank one.
    pub(super) fn new(disk: Option<Tracks>, reformat: bool) -> Self {
        let form_factor = disk.as_ref().map_or(FormFactor::Inch3_5, |tracks| tracks.layout().form_factor());
        let reach = Reach::unknown(form_factor);
        match disk {
            Some(tracks) => Self::of_disk(tracks, reformat.then_some(reach)),
            None => Self::blank(reach),
        }
    }

    /// Returns the surface of a blank disk.
    fn blank(reach: Reach) -> Self {
        Self::Reformat(Box::new(Reformat::new(None, reach)))
    }

    /// Returns the surface of a disk that no guest has begun to reformat.
    fn of_disk(tracks: Tracks, reach: Option<Reach>) -> Self {
        match reach {
            Some(reach) if reach.step(tracks.layout().cylinders()) > 1 => {
                Self::Reformat(Box::new(Reformat::new(Some(tracks), reach)))
            }
            _ => Self::OneLayout { tracks, reach },
        }
    }

    /// Returns the same disk without what the guest has formatted in another layout.
    fn without_formats(&self, reach: Reach) -> Self {
        self.disk().cloned().map_or_else(|| Self::blank(reach), |tracks| Self::of_disk(tracks, Some(reach)))
    }

    /// Returns the format in another layout, which begins now if it has not begun; `None` if the guest cannot format so.
    fn begin(&mut self) -> Option<&mut Reformat> {
        if let Self::OneLayout { tracks, reach: Some(reach) } = self {
            *self = Self::Reformat(Box::new(Reformat::new(Some(tracks.clone()), *reach)));
        }
        match self {
            Self::Reformat(reformat) => Some(reformat),
            Self::OneLayout { .. } => None,
        }
    }

    /// Returns what the drive reaches, if the guest can format the disk in another layout.
    const fn reach(&self) -> Option<Reach> {
        match self {
            Self::OneLayout { reach, .. } => *reach,
            Self::Reformat(reformat) => Some(reformat.reach()),
        }
    }

    /// Records into which drive the disk goes. Does nothing if the guest cannot reformat the disk.
    pub(super) fn set_drive(&mut self, form_factor: FormFactor, cylinders: u8) {
        if !self.can_be_reformatted() || self.begun().is_some() {
            return;
        }
        // A blank disk has the size of the drive. Another one that does not fit is refused.
        let form_factor = self.disk().map_or(form_factor, |tracks| tracks.layout().form_factor());
        *self = self.without_formats(Reach::of_drive(form_factor, cylinders));
    }

    /// Replaces what is recorded by the tracks of another disk.
    pub(super) fn set_disk(&mut self, tracks: Tracks) {
        *self = Self::of_disk(tracks, self.reach());
    }

    /// Returns whether the guest can format the disk in another layout.
    pub(super) const fn can_be_reformatted(&self) -> bool {
        self.reach().is_some()
    }

    /// Returns the tracks of the disk in the raw image; `None` if it is blank.
    pub(super) const fn disk(&self) -> Option<&Tracks> {
        match self {
            Self::OneLayout { tracks, .. } => Some(tracks),
            Self::Reformat(reformat) => reformat.disk(),
        }
    }

    /// Returns the format in another layout that the guest has begun.
    pub(super) fn begun(&self) -> Option<&Reformat> {
        match self {
            Self::Reformat(reformat) if !reformat.is_empty() => Some(reformat),
            _ => None,
        }
    }

    pub(super) fn form_factor(&self) -> FormFactor {
        match self {
            Self::OneLayout { tracks, .. } => tracks.layout().form_factor(),
            Self::Reformat(reformat) => reformat.reach().form_factor,
        }
    }

    /// Returns the number of cylinders of the disk; of one that is reformatted, all that the head reaches.
    pub(super) fn cylinders(&self) -> u8 {
        match self {
            Self::OneLayout { tracks, .. } => tracks.layout().cylinders(),
            Self::Reformat(reformat) => reformat.reach().cylinders,
        }
    }

    #[inline]
    pub(super) fn track(&self, cylinder: u8, head: u8) -> Option<Track<'_>> {
        match self {
            Self::OneLayout { tracks, .. } => tracks.track(cylinder, head),
            Self::Reformat(reformat) => reformat.track(cylinder, head),
        }
    }

    /// Returns the range of the bytes of sectors in the raw image, as [`Tracks::range`] does; `None` if it does not have
    /// them.
    #[inline]
    pub(super) fn range(&self, cylinder: u8, head: u8, slot: usize, count: usize) -> Option<(Range<usize>, usize)> {
        match self {
            Self::OneLayout { tracks, .. } => tracks.range(cylinder, head, slot, count),
            Self::Reformat(reformat) => reformat.range(cylinder, head, slot, count),
        }
    }

    /// Returns the bytes of sectors that the raw image does not have.
    #[cold]
    pub(super) fn read(&self, cylinder: u8, head: u8, slot: usize, count: usize) -> Result<&[u8], MediumError> {
        match self {
            Self::OneLayout { .. } => Err(MediumError::Absent),
            Self::Reformat(reformat) => reformat.read(cylinder, head, slot, count),
        }
    }

    /// Returns the bytes of sectors that the raw image does not have, to be overwritten.
    #[cold]
    pub(super) fn write(
        &mut self,
        cylinder: u8,
        head: u8,
        slot: usize,
        count: usize,
    ) -> Result<&mut [u8], MediumError> {
        match self {
            Self::OneLayout { .. } => Err(MediumError::Absent),
            Self::Reformat(reformat) => reformat.write(cylinder, head, slot, count),
        }
    }

    /// Returns the cylinder of the disk in the raw image whose own track a format writes at a cylinder and head; `None` if
    /// it writes another track. `in_ids` is the cylinder in the IDs.
    pub(super) fn own_cylinder(&self, place: (u8, u8), shape: TrackShape, in_ids: u8) -> Option<u8> {
        let (cylinder, head) = place;
        match self {
            Self::OneLayout { tracks, .. } => {
                (in_ids == cylinder && shape.is_of(tracks, cylinder, head)).then_some(cylinder)
            }
            Self::Reformat(reformat) => reformat.own_cylinder(cylinder, head, shape, in_ids),
        }
    }

    /// Formats a track in another layout, if the guest can do so.
    pub(super) fn format(
        &mut self,
        place: (u8, u8),
        shape: TrackShape,
        in_ids: u8,
        filler: u8,
    ) -> Result<(), MediumError> {
        let reformat = self.begin().ok_or(MediumError::Unsupported)?;
        let formatted = reformat.format(place.0, place.1, shape, in_ids, filler);
        self.end_if_empty();
        formatted
    }

    /// Discards the track that was formatted at a cylinder and head: the one in the raw image is there again.
    pub(super) fn discard_track(&mut self, cylinder: u8, head: u8) {
        if let Self::Reformat(reformat) = self {
            reformat.discard_track(cylinder, head);
        }
        self.end_if_empty();
    }

    /// Discards all tracks that were formatted in another layout.
    pub(super) fn discard_formats(&mut self) {
        if let Self::Reformat(reformat) = &*self {
            let reach = reformat.reach();
            *self = self.without_formats(reach);
        }
    }

    fn end_if_empty(&mut self) {
        if self.begun().is_none() {
            self.discard_formats();
        }
    }

    /// Takes the formatted tracks of a saved state. Returns `false` if the guest cannot have formatted them.
    pub(super) fn restore(&mut self, tracks: Vec<FormattedTrack>) -> bool {
        let Some(reformat) = self.begin() else { return tracks.is_empty() };
        let restored = tracks.into_iter().all(|track| reformat.restore(track));
        self.end_if_empty();
        restored
    }
}
