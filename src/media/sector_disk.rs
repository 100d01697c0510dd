//! A disk in memory that can hold what a real disk can: any IDs in any order, deleted marks, wrong CRCs, data fields of
//! several sizes or none, unformatted tracks, FM.
//!
//! It has no file. Raw images can be converted into it and out of it.

use std::io;

use super::{
    geometry::{FormFactor, Geometry},
    medium::{Medium, MediumError},
    recording::{DataRate, Encoding, Mark, Sector, SectorId, sector_size},
    track::{Track, TrackFormat},
};

/// A disk in memory, built sector by sector by the VM monitor or by FORMAT TRACK.
///
/// ```
/// use vm_fdc::media::{DataRate, Geometry, Irregularity, Mark, Sector, SectorDisk, SectorId, SectorTrack};
///
/// // An ordinary 1.44M disk, except for a last track with one deleted sector of 1,024 bytes.
/// let mut disk = SectorDisk::formatted(Geometry::HD_1440K, 0xF6);
/// assert!(disk.to_raw(Geometry::HD_1440K).is_ok());
/// let id = SectorId { cylinder: 79, head: 1, sector: 1, size_code: 3 };
/// let deleted = Sector { mark: Some(Mark::Deleted), ..Sector::good(id) };
/// disk.set_track(79, 1, SectorTrack::new(DataRate::Kbps500).with_sector(deleted, vec![0; 1024]));
/// let error = disk.to_raw(Geometry::HD_1440K).unwrap_err();
/// assert_eq!((error.cylinder, error.head, error.irregularity), (79, 1, Irregularity::Count(1)));
/// ```
#[derive(Clone, Debug)]
pub struct SectorDisk {
    form_factor: FormFactor,
    cylinders: u8,
    write_protected: bool,
    name: Option<String>,
    /// The tracks under head 0 and head 1 of each cylinder, or `None` where nothing is recorded.
    tracks: Vec<Option<SectorTrack>>,
}

/// The track under one head of one cylinder of a [`SectorDisk`].
#[derive(Clone, Debug)]
pub struct SectorTrack {
    rate: DataRate,
    encoding: Encoding,
    sectors: Vec<Sector>,
    data: Vec<Vec<u8>>,
}

impl SectorTrack {
    /// Returns a track in MFM without sectors. `rate` is the rate in the kind of drive that the disk is made for.
    #[must_use]
    pub const fn new(rate: DataRate) -> Self {
        Self { rate, encoding: Encoding::Mfm, sectors: Vec::new(), data: Vec::new() }
    }

    /// Sets the encoding.
    #[must_use]
    pub fn with_encoding(self, encoding: Encoding) -> Self {
        Self { encoding, ..self }
    }

    /// Adds a sector with its data field behind the others.
    ///
    /// The data field should have as many bytes as the ID says. A shorter or longer one reads with a CRC error. Only
    /// the first 256 sectors can be read.
    #[must_use]
    pub fn with_sector(mut self, sector: Sector, data: Vec<u8>) -> Self {
        self.sectors.push(sector);
        self.data.push(data);
        self
    }

    /// Returns the rate in the kind of drive that the disk is made for.
    #[must_use]
    pub const fn rate(&self) -> DataRate {
        self.rate
    }

    /// Returns the encoding.
    #[must_use]
    pub const fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Returns the sectors in the order in which they pass the head.
    #[must_use]
    pub fn sectors(&self) -> &[Sector] {
        &self.sectors
    }

    /// Returns the data field of the sector in `slot`, or `None` if the track has no such slot.
    #[must_use]
    pub fn data(&self, slot: usize) -> Option<&[u8]> {
        self.data.get(slot).map(Vec::as_slice)
    }

    /// Returns by how many bytes data fields can grow before they have more bytes than pass the head in one revolution.
    fn room(&self) -> usize {
        let used: usize = self.data.iter().map(Vec::len).sum();
        (self.rate.bytes_per_revolution(300) as usize).saturating_sub(used)
    }

    /// Returns the slot of the sector `id`, if the sector is good and the only one with this ID.
    fn regular_slot(&self, id: SectorId) -> Result<usize, Irregularity> {
        let mut slots = (0..self.sectors.len()).filter(|&slot| self.sectors[slot].id == id);
        let slot = slots.next().ok_or(Irregularity::Missing(id.sector))?;
        match self.sectors[slot] {
            _ if slots.next().is_some() => Err(Irregularity::Duplicate(id.sector)),
            sector if sector != Sector::good(id) => Err(Irregularity::Damaged(id.sector)),
            _ if Some(self.data[slot].len()) != id.size() => Err(Irregularity::Damaged(id.sector)),
            _ => Ok(slot),
        }
    }
}

/// Why a disk cannot be converted into a raw image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cylinder {cylinder}, head {head}: {irregularity}")]
#[non_exhaustive]
pub struct IrregularDisk {
    /// The cylinder of the first track that a raw image cannot hold.
    pub cylinder: u8,
    /// The head of that track.
    pub head: u8,
    /// What a raw image cannot hold.
    pub irregularity: Irregularity,
}

/// What a raw image cannot hold of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Irregularity {
    /// Nothing is recorded.
    #[error("not formatted")]
    Unformatted,
    /// Sectors are recorded where the geometry has no track.
    #[error("recorded, but outside the geometry")]
    Outside,
    /// The rate or the encoding differs from the geometry's.
    #[error("recorded at another rate or in FM")]
    Recording,
    /// The number of sectors differs from the geometry's.
    #[error("{0} sectors")]
    Count(usize),
    /// No sector has this number and the geometry's sector size.
    #[error("no sector {0}")]
    Missing(u8),
    /// Several sectors have this number.
    #[error("several sectors {0}")]
    Duplicate(u8),
    /// The sector with this number has a deleted mark, no data field, a data field of another size, or a wrong CRC.
    #[error("sector {0} is deleted or damaged")]
    Damaged(u8),
}

/// Bytes that are no raw image of a disk, because there are too few or too many of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a disk of {geometry} has {} bytes, not {bytes}", .geometry.bytes())]
pub struct WrongLength {
    /// The number of bytes given.
    pub bytes: usize,
    /// The geometry, which has another number of bytes.
    pub geometry: Geometry,
}

impl SectorDisk {
    /// Returns a disk without tracks. No drive takes a disk of more than 86 cylinders.
    #[must_use]
    pub fn unformatted(form_factor: FormFactor, cylinders: u8) -> Self {
        let tracks = vec![None; 2 * usize::from(cylinders)];
        Self { form_factor, cylinders, write_protected: false, name: None, tracks }
    }

    /// Returns a disk formatted to a geometry. Each byte of its sectors is `filler`.
    #[must_use]
    pub fn formatted(geometry: Geometry, filler: u8) -> Self {
        let mut disk = Self::unformatted(geometry.form_factor(), geometry.cylinders());
        for (cylinder, head) in places(geometry) {
            let ids = ids(geometry, cylinder, head);
            let empty = SectorTrack::new(geometry.rate());
            let track =
                ids.fold(empty, |track, id| track.with_sector(Sector::good(id), vec![filler; geometry.sector_size()]));
            disk.set_track(cylinder, head, track);
        }
        disk
    }

    /// Returns the disk of which `raw` is the image: its sectors in ascending order of cylinder, head and sector.
    ///
    /// # Errors
    ///
    /// [`WrongLength`] if the image does not have the size of the geometry.
    pub fn from_raw(geometry: Geometry, raw: &[u8]) -> Result<Self, WrongLength> {
        if raw.len() as u64 != geometry.bytes() {
            return Err(WrongLength { bytes: raw.len(), geometry });
        }
        let mut disk = Self::formatted(geometry, 0);
        let fields = disk.tracks.iter_mut().flatten().flat_map(|track| &mut track.data);
        fields.zip(raw.chunks(geometry.sector_size())).for_each(|(field, sector)| field.copy_from_slice(sector));
        Ok(disk)
    }

    /// Returns the raw image of a disk of this geometry. The order of the sectors on a track is not kept.
    ///
    /// # Errors
    ///
    /// [`IrregularDisk`] names the first track that such an image cannot hold.
    pub fn to_raw(&self, geometry: Geometry) -> Result<Vec<u8>, IrregularDisk> {
        let mut raw = Vec::with_capacity(geometry.bytes() as usize);
        for cylinder in 0..self.cylinders.max(geometry.cylinders()) {
            for head in 0..2 {
                self.append_track(geometry, cylinder, head, &mut raw).map_err(|irregularity| IrregularDisk {
                    cylinder,
                    head,
                    irregularity,
                })?;
            }
        }
        Ok(raw)
    }

    /// Returns the geometry that the first track and the number of tracks give.
    fn geometry(&self) -> Option<Geometry> {
        let first = self.recorded(0, 0)?;
        let recorded = || (0..).zip(&self.tracks).filter(|(_, track)| track.is_some()).map(|(index, _)| index);
        let cylinders = recorded().max().unwrap_or(0) / 2 + 1;
        let heads = if recorded().any(|index: usize| index % 2 == 1) { 2 } else { 1 };
        let size_code = first.sectors.first()?.id.size_code;
        let (cylinders, sectors) = (u8::try_from(cylinders).ok()?, u8::try_from(first.sectors.len()).ok()?);
        Geometry::new(cylinders, heads, sectors, size_code, first.rate, self.form_factor).ok()
    }

    fn append_track(&self, geometry: Geometry, cylinder: u8, head: u8, raw: &mut Vec<u8>) -> Result<(), Irregularity> {
        let inside = cylinder < geometry.cylinders() && head < geometry.heads();
        let track = match (self.recorded(cylinder, head), inside) {
            (Some(track), true) => track,
            (Some(_), false) => return Err(Irregularity::Outside),
            (None, true) => return Err(Irregularity::Unformatted),
            (None, false) => return Ok(()),
        };
        if (track.rate, track.encoding) != (geometry.rate(), Encoding::Mfm) {
            return Err(Irregularity::Recording);
        }
        if track.sectors.len() != usize::from(geometry.sectors()) {
            return Err(Irregularity::Count(track.sectors.len()));
        }
        for id in ids(geometry, cylinder, head) {
            raw.extend_from_slice(&track.data[track.regular_slot(id)?]);
        }
        Ok(())
    }

    /// Names the disk: see [`Medium::name`].
    #[must_use]
    pub fn with_name(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// Records the track under `head` on `cylinder`, whatever was there. Does nothing if the disk has no such place.
    pub fn set_track(&mut self, cylinder: u8, head: u8, track: SectorTrack) {
        if let Some(place) = index(cylinder, head).and_then(|index| self.tracks.get_mut(index)) {
            *place = Some(track);
        }
    }

    /// Sets whether the disk is write protected.
    pub fn set_write_protected(&mut self, write_protected: bool) {
        self.write_protected = write_protected;
    }

    /// Returns the track under `head` on `cylinder`, or `None` where nothing is recorded.
    #[must_use]
    pub fn recorded(&self, cylinder: u8, head: u8) -> Option<&SectorTrack> {
        self.tracks.get(index(cylinder, head)?)?.as_ref()
    }

    fn recorded_mut(&mut self, cylinder: u8, head: u8) -> Option<&mut SectorTrack> {
        self.tracks.get_mut(index(cylinder, head)?)?.as_mut()
    }
}

/// Returns cylinder and head of the tracks of a geometry in the order of a raw image.
fn places(geometry: Geometry) -> impl Iterator<Item = (u8, u8)> {
    (0..geometry.cylinders()).flat_map(move |cylinder| (0..geometry.heads()).map(move |head| (cylinder, head)))
}

/// Returns the IDs of a track in the order of a raw image.
fn ids(geometry: Geometry, cylinder: u8, head: u8) -> impl Iterator<Item = SectorId> {
    (1..=geometry.sectors()).map(move |sector| SectorId { cylinder, head, sector, size_code: geometry.size_code() })
}

/// Returns the index of a track among those of a disk.
fn index(cylinder: u8, head: u8) -> Option<usize> {
    (head < 2).then(|| 2 * usize::from(cylinder) + usize::from(head))
}

impl Medium for SectorDisk {
    fn form_factor(&self) -> FormFactor {
        self.form_factor
    }

    fn cylinders(&self) -> u8 {
        self.cylinders
    }

    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn is_write_protected(&self) -> bool {
        self.write_protected
    }

    fn track(&self, cylinder: u8, head: u8) -> Option<Track<'_>> {
        self.recorded(cylinder, head).map(|track| Track::listed(track.rate, track.encoding, &track.sectors))
    }

    fn read(&mut self, cylinder: u8, head: u8, slot: usize, _count: usize) -> Result<&[u8], MediumError> {
        let data = self.recorded(cylinder, head).and_then(|track| track.data.get(slot));
        data.map(Vec::as_slice).ok_or(MediumError::Absent)
    }

    /// Gives the data field the size in its ID, if that fits on the track.
    fn write(
        &mut self,
        cylinder: u8,
        head: u8,
        slot: usize,
        _count: usize,
        _mark: Mark,
    ) -> Result<&mut [u8], MediumError> {
        if self.write_protected {
            return Err(MediumError::Unsupported);
        }
        let track = self.recorded_mut(cylinder, head).ok_or(MediumError::Absent)?;
        let room = track.room();
        let sector = track.sectors.get_mut(slot).ok_or(MediumError::Absent)?;
        let data = track.data.get_mut(slot).ok_or(MediumError::Absent)?;
        let size = sector.id.size().ok_or(MediumError::Absent)?;
        if size > data.len() + room {
            return Err(MediumError::Unsupported);
        }
        data.resize(size, 0);
        sector.data_crc_error = true;
        Ok(data)
    }

    fn finish_write(&mut self, cylinder: u8, head: u8, slot: usize, _count: usize, mark: Mark) {
        if let Some(sector) = self.recorded_mut(cylinder, head).and_then(|track| track.sectors.get_mut(slot)) {
            *sector = Sector { mark: Some(mark), data_crc_error: false, ..*sector };
        }
    }

    fn format_track(&mut self, cylinder: u8, head: u8, format: &TrackFormat<'_>) -> Result<(), MediumError> {
        let exists = index(cylinder, head).is_some_and(|index| index < self.tracks.len());
        let size = sector_size(format.size_code).filter(|_| exists && !self.write_protected);
        let size = size.ok_or(MediumError::Unsupported)?;
        let empty = SectorTrack::new(format.rate).with_encoding(format.encoding);
        let sectors = format.ids.iter().map(|&id| (Sector::good(id), vec![format.filler; size]));
        self.set_track(cylinder, head, sectors.fold(empty, |track, (sector, data)| track.with_sector(sector, data)));
        Ok(())
    }

    /// Returns the image of the geometry that the disk has, if its tracks are all alike and an image can hold what is on
    /// them.
    fn raw_image(&mut self) -> Result<Vec<u8>, MediumError> {
        let raw = self.geometry().and_then(|geometry| self.to_raw(geometry).ok());
        raw.ok_or(MediumError::Unsupported)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
