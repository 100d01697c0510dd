//! A medium around another one, on which chosen sectors fail: for VM monitors who test guests.

use std::{collections::BTreeMap, io, ops::Range};

use super::{
    formats::{ImageType, Layout},
    geometry::FormFactor,
    medium::{Flushing, Medium, MediumError},
    recording::{Mark, Sector, SectorId},
    track::{Track, TrackFormat},
};

/// How a sector of a [`FaultyMedium`] fails. A write does not repair it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The CRC of its ID field is wrong.
    IdCrc,
    /// The CRC of its data field is wrong.
    DataCrc,
    /// No data field follows its ID field.
    MissingMark,
    /// The host cannot read or write it.
    HostIo,
}

/// A medium on which chosen sectors fail.
///
/// ```
/// use vm_fdc::{Controller, drive::DriveType};
/// use vm_fdc::media::{Fault, FaultyMedium, Geometry, SectorDisk};
///
/// let fdc = Controller::builder().drive(0, DriveType::Inch3_5Hd).build()?;
/// let disk = SectorDisk::formatted(Geometry::HD_1440K, 0xF6);
/// fdc.drive(0)?.attach_medium(FaultyMedium::new(disk).with_fault(0, 1, 3, Fault::DataCrc))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FaultyMedium<M> {
    medium: M,
    /// The faults by cylinder, head and R.
    faults: BTreeMap<(u8, u8, u8), Fault>,
    /// The sectors of the tracks with faults, as this medium shows them.
    tracks: BTreeMap<(u8, u8), Vec<Sector>>,
}

impl<M: Medium> FaultyMedium<M> {
    /// Returns a medium without faults. [`with_fault`](Self::with_fault) adds them.
    pub const fn new(medium: M) -> Self {
        Self { medium, faults: BTreeMap::new(), tracks: BTreeMap::new() }
    }

    /// Adds a fault to the sectors whose R is `sector` under `head` on `cylinder`.
    #[must_use]
    pub fn with_fault(mut self, cylinder: u8, head: u8, sector: u8, fault: Fault) -> Self {
        self.faults.insert((cylinder, head, sector), fault);
        self.update_track(cylinder, head);
        self
    }

    /// Returns the medium without the faults.
    pub fn into_inner(self) -> M {
        self.medium
    }

    /// Updates the copy of a track with faults from the inner medium.
    fn update_track(&mut self, cylinder: u8, head: u8) {
        if self.faults.range((cylinder, head, 0)..=(cylinder, head, u8::MAX)).next().is_none() {
            return;
        }
        let track = self.medium.track(cylinder, head);
        let sectors = track.iter().flat_map(|track| (0..track.len()).filter_map(|slot| track.sector(slot)));
        let with_fault = |sector: Sector| match self.faults.get(&(cylinder, head, sector.id.sector)) {
            Some(Fault::IdCrc) => Sector { id_crc_error: true, ..sector },
            Some(Fault::DataCrc) => Sector { data_crc_error: true, ..sector },
            Some(Fault::MissingMark) => Sector { mark: None, ..sector },
            Some(Fault::HostIo) | None => sector,
        };
        let sectors = sectors.map(with_fault).collect();
        self.tracks.insert((cylinder, head), sectors);
    }

    /// Returns how many of the sectors from `slot` on can be accessed as one run.
    fn granted(&self, cylinder: u8, head: u8, slot: usize, count: usize) -> Result<usize, MediumError> {
        let Some(sectors) = self.tracks.get(&(cylinder, head)) else {
            // Not beyond the end of the track: the track under the other head can have faults.
            let track = self.medium.track(cylinder, head).ok_or(MediumError::Absent)?;
            return Ok(count.min(track.len().saturating_sub(slot)));
        };
        let sector = sectors.get(slot).ok_or(MediumError::Absent)?.id.sector;
        match self.faults.get(&(cylinder, head, sector)) {
            Some(Fault::HostIo) => Err(requested_fault().into()),
            _ => Ok(1),
        }
    }
}

fn requested_fault() -> io::Error {
    io::Error::other("a fault requested by the VM monitor")
}

impl<M: Medium> Medium for FaultyMedium<M> {
    fn form_factor(&self) -> FormFactor {
        self.medium.form_factor()
    }

    fn cylinders(&self) -> u8 {
        self.medium.cylinders()
    }

    fn name(&self) -> Option<&str> {
        self.medium.name()
    }

    fn layout(&self) -> Option<Layout> {
        self.medium.layout()
    }

    fn image_type(&self) -> ImageType {
        self.medium.image_type()
    }

    fn is_write_protected(&self) -> bool {
        self.medium.is_write_protected()
    }

    fn track(&self, cylinder: u8, head: u8) -> Option<Track<'_>> {
        let track = self.medium.track(cylinder, head)?;
        match self.tracks.get(&(cylinder, head)) {
            Some(sectors) => Some(Track::listed(track.rate, track.encoding, sectors)),
            None => Some(track),
        }
    }

    fn read(&mut self, cylinder: u8, head: u8, slot: usize, count: usize) -> Result<&[u8], MediumError> {
        let count = self.granted(cylinder, head, slot, count)?;
        self.medium.read(cylinder, head, slot, count)
    }

    fn write(
        &mut self,
        cylinder: u8,
        head: u8,
        slot: usize,
        count: usize,
        mark: Mark,
    ) -> Result<&mut [u8], MediumError> {
        let count = self.granted(cylinder, head, slot, count)?;
        // The first call changes what the track shows, the second returns the bytes.
        self.medium.write(cylinder, head, slot, count, mark)?;
        self.update_track(cylinder, head);
        self.medium.write(cylinder, head, slot, count, mark)
    }

    fn finish_write(&mut self, cylinder: u8, head: u8, slot: usize, count: usize, mark: Mark) {
        self.medium.finish_write(cylinder, head, slot, count, mark);
        self.update_track(cylinder, head);
    }

    fn format_track(&mut self, cylinder: u8, head: u8, format: &TrackFormat<'_>) -> Result<(), MediumError> {
        let fails = |id: &SectorId| self.faults.get(&(cylinder, head, id.sector)) == Some(&Fault::HostIo);
        if format.ids.iter().any(fails) {
            return Err(requested_fault().into());
        }
        let formatted = self.medium.format_track(cylinder, head, format);
        self.update_track(cylinder, head);
        formatted
    }

    fn commit(&mut self) -> io::Result<()> {
        self.medium.commit()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.medium.flush()
    }

    fn begin_flush(&mut self) -> io::Result<Flushing> {
        self.medium.begin_flush()
    }

    fn unsaved(&self) -> Vec<Range<u64>> {
        self.medium.unsaved()
    }

    fn raw_image(&mut self) -> Result<Vec<u8>, MediumError> {
        self.medium.raw_image()
    }

    fn unlock(&mut self) -> io::Result<()> {
        self.medium.unlock()
    }
}
