//! A disk that a guest formats in another layout, while some of its tracks have the new layout and the others do not.
//!
//! The new tracks are in memory: the file has no place for them before it is known which disk they make up. This file
//! knows tracks, not files: [`super::Image`] has the bytes of the disk in the file.

use std::{io, ops::Range};

use super::{bytes::with_capacity, tracks::Tracks};
use crate::media::{
    formats::{FORMATS, Layout},
    geometry::{FormFactor, Geometry, MAX_CYLINDERS, MOST_CYLINDERS_AT_48_TPI, disk_cylinder, is_double_stepped},
    medium::MediumError,
    recording::{DataRate, Encoding, SectorId},
    track::{Track, TrackFormat},
};

/// Why the guest cannot reformat an image, whatever its [option](super::ImageOptions::with_reformat) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ReformatLimit {
    /// The file is mapped, and a mapping has the length of its file.
    #[error("it is mapped; keep it in memory of the library")]
    Mapped,
    /// Other drives share the bytes.
    #[error("other drives share its bytes; open the file for one drive")]
    Shared,
    /// The file is longer than its disk, and what follows the disk is to stay as it is.
    #[error("its file is longer than the disk; truncate the file")]
    LongFile,
    /// A drive of the host has a fixed length.
    #[error("it is a drive of the host, or in one, whose length does not change; attach an image")]
    HostDrive,
}

/// The format of a disk that is not complete: the guest has formatted tracks in another layout than that of the disk,
/// and written to them, and no raw image can hold the disk.
///
/// It is the [source](io::Error::get_ref) of the host's error in a
/// [`ReleaseError::UnmountFailed`](crate::drive::ReleaseError::UnmountFailed), a
/// [`DataLoss`](crate::drive::DataLoss), or a [`MediumError::Io`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the guest has formatted {tracks} tracks in another layout than the disk, and written to {written} of them; the \
     format is not complete, and no raw image can hold the disk"
)]
#[non_exhaustive]
pub struct IncompleteFormat {
    /// The number of tracks in another layout.
    pub tracks: usize,
    /// How many of them the guest has written to since it formatted them.
    pub written: usize,
}

impl From<IncompleteFormat> for io::Error {
    fn from(error: IncompleteFormat) -> Self {
        Self::other(error)
    }
}

/// The cylinders that the drive of an image reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reach {
    pub form_factor: FormFactor,
    /// The number of cylinders that the head reaches.
    pub cylinders: u8,
    /// Whether the cylinders of a disk of 40 are under every other cylinder of the drive (§9.4).
    pub double_steps: bool,
}

impl Reach {
    /// Returns the reach of a drive of unknown kind, for a disk of this size.
    pub(super) const fn unknown(form_factor: FormFactor) -> Self {
        Self { form_factor, cylinders: MAX_CYLINDERS, double_steps: false }
    }

    /// Returns the reach of a drive.
    pub(super) fn of_drive(form_factor: FormFactor, cylinders: u8) -> Self {
        let double_steps = form_factor == FormFactor::Inch5_25 && cylinders > MOST_CYLINDERS_AT_48_TPI;
        Self { form_factor, cylinders, double_steps }
    }

    /// Returns the number of cylinders of the drive from one cylinder of a disk of `cylinders` to the next.
    pub(super) const fn step(self, cylinders: u8) -> u8 {
        if is_double_stepped(self.double_steps, cylinders) { 2 } else { 1 }
    }
}

/// What FORMAT TRACK writes, if a raw image of any disk can hold it: sectors of one size, numbered from 1, that have the
/// head in their IDs under which they are, and one cylinder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TrackShape {
    pub sectors: u8,
    pub size_code: u8,
    pub rate: DataRate,
}

impl TrackShape {
    /// Returns the shape of a track under `head`, and the cylinder in its IDs; `None` for a track that no raw image can
    /// hold.
    pub(super) fn of_format(format: &TrackFormat<'_>, head: u8) -> Option<(Self, u8)> {
        let sectors = u8::try_from(format.ids.len()).ok()?;
        let cylinder = format.ids.first()?.cylinder;
        let shape = Self { sectors, size_code: format.size_code, rate: format.rate };
        let mut seen = 0u64;
        for id in format.ids {
            let regular = (id.cylinder, id.head, id.size_code) == (cylinder, head, format.size_code);
            if !regular || !(1..=sectors.min(63)).contains(&id.sector) {
                return None;
            }
            seen |= 1 << id.sector;
        }
        let complete = seen.count_ones() == u32::from(sectors) && !format.cut_short;
        (complete && format.encoding == Encoding::Mfm).then_some((shape, cylinder))
    }

    pub(super) const fn of_geometry(geometry: &Geometry) -> Self {
        Self { sectors: geometry.sectors(), size_code: geometry.size_code(), rate: geometry.rate() }
    }

    /// Returns whether the track of a disk at this cylinder and head is of this shape.
    pub(super) fn is_of(self, disk: &Tracks, cylinder: u8, head: u8) -> bool {
        let Tracks::Regular(geometry) = disk else { return false };
        cylinder < geometry.cylinders() && head < geometry.heads() && Self::of_geometry(geometry) == self
    }

    /// Returns the number of bytes of the sectors; `None` if they do not fit on a track of a disk of this size.
    fn bytes(self, form_factor: FormFactor) -> Option<usize> {
        let Self { sectors, size_code, rate } = self;
        let track = Geometry::new(1, 1, sectors, size_code, rate, form_factor).ok()?;
        usize::try_from(track.bytes()).ok()
    }
}

/// A track that the guest has formatted in another layout than that of its disk.
#[derive(Clone, Debug)]
pub(crate) struct FormattedTrack {
    /// The cylinder of the drive on which the track is.
    pub position: u8,
    /// The head under which the track is.
    pub head: u8,
    /// The cylinder in its IDs.
    pub cylinder: u8,
    /// The number of sectors.
    pub sectors: u8,
    /// N of the sectors.
    pub size_code: u8,
    /// The rate, in a drive made for the disk.
    pub rate: DataRate,
    /// Whether the guest has written to the track since it formatted it.
    pub written: bool,
    /// The bytes of the sectors in ascending order.
    pub bytes: Vec<u8>,
}

impl FormattedTrack {
    const fn shape(&self) -> TrackShape {
        TrackShape { sectors: self.sectors, size_code: self.size_code, rate: self.rate }
    }

    /// Returns the bytes of the sectors from `slot` on, at most `count` of them.
    fn range(&self, slot: usize, count: usize) -> Option<Range<usize>> {
        let left = usize::from(self.sectors).checked_sub(slot).filter(|&left| left > 0)?;
        let shift = 7 + u32::from(self.size_code);
        Some(slot << shift..(slot + count.min(left)) << shift)
    }
}

/// A disk of which a guest formats tracks in another layout, or one that has no tracks yet.
#[derive(Debug)]
pub(super) struct Reformat {
    /// The disk in the file; `None` if the file is blank.
    disk: Option<Tracks>,
    reach: Reach,
    /// The tracks that have been formatted, by cylinder of the drive and head: at most as many as a disk has.
    formatted: Vec<Option<FormattedTrack>>,
}

impl Reformat {
    pub(super) fn new(disk: Option<Tracks>, reach: Reach) -> Self {
        Self { disk, reach, formatted: vec![None; 2 * usize::from(reach.cylinders)] }
    }

    /// Returns the tracks of the disk in the file.
    pub(super) const fn disk(&self) -> Option<&Tracks> {
        self.disk.as_ref()
    }

    pub(super) const fn reach(&self) -> Reach {
        self.reach
    }

    /// Returns the tracks that have been formatted.
    pub(super) fn formatted(&self) -> impl Iterator<Item = &FormattedTrack> {
        self.formatted.iter().flatten()
    }

    /// Returns whether no track has been formatted.
    pub(super) fn is_empty(&self) -> bool {
        self.formatted().next().is_none()
    }

    fn formatted_at(&self, position: u8, head: u8) -> Option<&FormattedTrack> {
        self.formatted.get(index(position, head)?)?.as_ref()
    }

    /// Returns the cylinder of the disk in the file that is at a cylinder of the drive.
    fn disk_cylinder(&self, position: u8) -> Option<u8> {
        let cylinders = self.disk.as_ref()?.layout().cylinders();
        disk_cylinder(is_double_stepped(self.reach.double_steps, cylinders), position)
    }

    /// Returns the track under the head.
    pub(super) fn track(&self, position: u8, head: u8) -> Option<Track<'_>> {
        if let Some(track) = self.formatted_at(position, head) {
            let FormattedTrack { cylinder, sectors, size_code, rate, .. } = *track;
            return Some(Track::regular(rate, SectorId { cylinder, head, sector: 1, size_code }, sectors));
        }
        // The track under the other head can be another.
        self.disk.as_ref()?.track(self.disk_cylinder(position)?, head).map(Track::alone)
    }

    /// Returns the range of the bytes of sectors in the file, as [`Tracks::range`] does, but of one track; `None` if
    /// the file does not have them.
    pub(super) fn range(&self, position: u8, head: u8, slot: usize, count: usize) -> Option<(Range<usize>, usize)> {
        if self.formatted_at(position, head).is_some() {
            return None;
        }
        let left = self.track(position, head)?.len().checked_sub(slot)?;
        self.disk.as_ref()?.range(self.disk_cylinder(position)?, head, slot, count.min(left))
    }

    /// Returns the bytes of sectors of a track that has been formatted.
    pub(super) fn read(&self, position: u8, head: u8, slot: usize, count: usize) -> Result<&[u8], MediumError> {
        let track = self.formatted_at(position, head).ok_or(MediumError::Absent)?;
        track.range(slot, count).and_then(|range| track.bytes.get(range)).ok_or(MediumError::Absent)
    }

    /// Returns the same bytes, to be overwritten.
    pub(super) fn write(
        &mut self,
        position: u8,
        head: u8,
        slot: usize,
        count: usize,
    ) -> Result<&mut [u8], MediumError> {
        let track = self.place(position, head).and_then(Option::as_mut).ok_or(MediumError::Absent)?;
        let range = track.range(slot, count).ok_or(MediumError::Absent)?;
        track.written = true;
        track.bytes.get_mut(range).ok_or(MediumError::Absent)
    }

    /// Returns the cylinder of the disk in the file whose own track a format writes; `None` if it writes another.
    pub(super) fn own_cylinder(&self, position: u8, head: u8, shape: TrackShape, cylinder: u8) -> Option<u8> {
        let own = self.disk_cylinder(position).filter(|&own| own == cylinder)?;
        shape.is_of(self.disk.as_ref()?, own, head).then_some(own)
    }

    /// Returns the place of a track at a cylinder and head of the drive.
    fn place(&mut self, position: u8, head: u8) -> Option<&mut Option<FormattedTrack>> {
        self.formatted.get_mut(index(position, head)?)
    }

    /// Returns the bytes of the sectors of a track that can be formatted at a cylinder of the drive; `None` if it cannot.
    fn length_at(&self, position: u8, shape: TrackShape, cylinder: u8) -> Option<usize> {
        let in_place =
            cylinder == position || self.reach.double_steps && u16::from(cylinder) * 2 == u16::from(position);
        shape.bytes(self.reach.form_factor).filter(|_| in_place)
    }

    /// Formats a track in another layout.
    pub(super) fn format(
        &mut self,
        position: u8,
        head: u8,
        shape: TrackShape,
        cylinder: u8,
        filler: u8,
    ) -> Result<(), MediumError> {
        let length = self.length_at(position, shape, cylinder).ok_or(MediumError::Unsupported)?;
        let place = self.place(position, head).ok_or(MediumError::Unsupported)?;
        let mut bytes = place.take().map_or_else(Vec::new, |track| track.bytes);
        bytes.clear();
        bytes.try_reserve_exact(length).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        bytes.resize(length, filler);
        let TrackShape { sectors, size_code, rate } = shape;
        *place = Some(FormattedTrack { position, head, cylinder, sectors, size_code, rate, written: false, bytes });
        Ok(())
    }

    /// Takes the track of a saved state. Returns `false`, and changes nothing, if the guest cannot have formatted it.
    pub(super) fn restore(&mut self, track: FormattedTrack) -> bool {
        let FormattedTrack { position, head, cylinder, .. } = track;
        let shape = track.shape();
        let possible = self.length_at(position, shape, cylinder) == Some(track.bytes.len())
            && self.own_cylinder(position, head, shape, cylinder).is_none();
        match self.place(position, head).filter(|_| possible) {
            Some(place) => *place = Some(track),
            None => return false,
        }
        true
    }

    /// Discards the track at a place: the one in the file is there again.
    pub(super) fn discard_track(&mut self, position: u8, head: u8) {
        if let Some(place) = self.place(position, head) {
            *place = None;
        }
    }

    /// Returns the number of tracks in another layout, and how many of them have been written to.
    pub(super) fn incomplete(&self) -> IncompleteFormat {
        IncompleteFormat {
            tracks: self.formatted().count(),
            written: self.formatted().filter(|track| track.written).count(),
        }
    }

    /// Returns the geometry of the known format of which all tracks are there and that has all tracks which have been
    /// formatted, or `None` if the format of the disk is not complete.
    ///
    /// A format under head 0 alone is none of a disk with two heads: the tracks under head 1 are still there.
    pub(super) fn complete(&self) -> Option<Geometry> {
        let shape = self.formatted().next()?.shape();
        if self.formatted().any(|track| track.shape() != shape) {
            return None;
        }
        let known = FORMATS.iter().filter_map(|format| format.layout.geometry()).copied();
        let known = known
            .filter(|known| known.form_factor() == self.reach.form_factor && TrackShape::of_geometry(known) == shape);
        known.filter(|known| self.makes_up(known)).max_by_key(Geometry::bytes)
    }

    fn makes_up(&self, known: &Geometry) -> bool {
        let old = self.disk.as_ref().map(Tracks::layout);
        let two_heads = |old: Layout| old.geometry().is_none_or(|old| old.heads() > 1);
        if known.heads() == 1 && old.is_some_and(two_heads) {
            return false;
        }
        let step = self.reach.step(known.cylinders());
        let old = old.as_ref().and_then(Layout::geometry);
        let old = old.filter(|old| TrackShape::of_geometry(old) == TrackShape::of_geometry(known));
        // Tracks of the old disk that are as the new ones are not given up.
        let like_old = old.filter(|old| self.reach.step(old.cylinders()) == step);
        if like_old.is_some_and(|old| old.cylinders() > known.cylinders() || old.heads() > known.heads()) {
            return false;
        }
        let all = places(known).all(|(cylinder, head)| {
            let Some(position) = cylinder.checked_mul(step) else { return false };
            match (self.formatted_at(position, head), old) {
                (Some(track), _) => track.cylinder == cylinder,
                (None, Some(old)) => {
                    let there = self.disk_cylinder(position) == Some(cylinder);
                    there && cylinder < old.cylinders() && head < old.heads()
                }
                (None, None) => false,
            }
        });
        let inside = |track: &FormattedTrack| {
            track.position.is_multiple_of(step)
                && track.position / step < known.cylinders()
                && track.head < known.heads()
        };
        all && self.formatted().all(inside)
    }

    /// Returns the raw image of the disk that the tracks make up. `old` returns the bytes of a track in the file.
    pub(super) fn assemble(
        &self,
        geometry: &Geometry,
        mut old: impl FnMut(Range<usize>, &mut Vec<u8>) -> Result<(), MediumError>,
    ) -> Result<Vec<u8>, MediumError> {
        let mut bytes = with_capacity(geometry.bytes() as usize)?; // At most `MAX_IMAGE_BYTES`.
        let step = self.reach.step(geometry.cylinders());
        for (cylinder, head) in places(geometry) {
            match self.formatted_at(cylinder * step, head) {
                Some(track) => bytes.extend_from_slice(&track.bytes),
                None => {
                    let disk = self.disk.as_ref().ok_or(MediumError::Absent)?;
                    let (range, _) =
                        disk.range(cylinder, head, 0, geometry.sectors().into()).ok_or(MediumError::Absent)?;
                    old(range, &mut bytes)?;
                }
            }
        }
        Ok(bytes)
    }

    /// Returns the bytes that are in no file, as ranges of the raw images that disks of such tracks would have.
    pub(super) fn unsaved(&self) -> Vec<Range<u64>> {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for track in self.formatted().filter(|track| track.written) {
            let length = track.bytes.len() as u64;
            let start = (u64::from(track.cylinder) * 2 + u64::from(track.head)) * length;
            match ranges.last_mut() {
                Some(last) if last.end == start => last.end = start + length,
                _ => ranges.push(start..start + length),
            }
        }
        ranges
    }
}

/// Returns the cylinder and the head of all tracks of a disk, in the order of its raw image.
fn places(geometry: &Geometry) -> impl Iterator<Item = (u8, u8)> + use<> {
    let heads = geometry.heads();
    (0..geometry.cylinders()).flat_map(move |cylinder| (0..heads).map(move |head| (cylinder, head)))
}

/// Returns the index of a track among those of a disk.
fn index(position: u8, head: u8) -> Option<usize> {
    (head < 2).then(|| 2 * usize::from(position) + usize::from(head))
}
