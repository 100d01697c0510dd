//! A medium that fails where it is told to, around one that works: for embedders who test guests.

use std::{collections::BTreeMap, io, ops::Range};

use super::{Flushing, FormFactor, Mark, Medium, MediumError, Sector, SectorId, Track, TrackFormat};

/// How a sector fails, for as long as it is on a [`FaultyMedium`]. Writing to it does not mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The CRC of its ID field is wrong.
    IdCrc,
    /// The CRC of its data field is wrong.
    DataCrc,
    /// No data field follows its ID.
    MissingMark,
    /// The host cannot read or write it.
    HostIo,
}

/// A medium of which chosen sectors fail.
///
/// ```
/// use vm_fdc::{Controller, drive::DriveType};
/// use vm_fdc::media::{Fault, FaultyMedium, Geometry, SectorDisk};
///
/// let fdc = Controller::builder().drive(0, DriveType::Inch3_5Hd).build()?;
/// let disk = SectorDisk::formatted(Geometry::HD_1440K, 0xF6);
/// fdc.drive(0)?.attach_medium(FaultyMedium::new(disk).fault(0, 1, 3, Fault::DataCrc))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FaultyMedium<M> {
    medium: M,
    /// By cylinder, head and R.
    faults: BTreeMap<(u8, u8, u8), Fault>,
    /// The sectors of the tracks that have faults, as they show.
    tracks: BTreeMap<(u8, u8), Vec<Sector>>,
}

impl<M: Medium> FaultyMedium<M> {
    /// The medium as it is. Faults come with [`fault`](Self::fault).
    pub const fn new(medium: M) -> Self {
        Self { medium, faults: BTreeMap::new(), tracks: BTreeMap::new() }
    }

    /// Makes the sectors of number `record` on one side of one cylinder fail.
    #[must_use]
    pub fn fault(mut self, cylinder: u8, head: u8, record: u8, fault: Fault) -> Self {
        self.faults.insert((cylinder, head, record), fault);
        self.show_again(cylinder, head);
        self
    }

    /// The medium behind the faults.
    pub fn into_inner(self) -> M {
        self.medium
    }

    /// Takes over what a track with faults has become.
    fn show_again(&mut self, cylinder: u8, head: u8) {
        if self.faults.range((cylinder, head, 0)..=(cylinder, head, u8::MAX)).next().is_none() {
            return;
        }
        let track = self.medium.track(cylinder, head);
        let sectors = track.iter().flat_map(|track| (0..track.len()).filter_map(|slot| track.sector(slot)));
        let showing = |sector: Sector| match self.faults.get(&(cylinder, head, sector.id.record)) {
            Some(Fault::IdCrc) => Sector { id_crc_error: true, ..sector },
            Some(Fault::DataCrc) => Sector { data_crc_error: true, ..sector },
            Some(Fault::MissingMark) => Sector { mark: None, ..sector },
            Some(Fault::HostIo) | None => sector,
        };
        let sectors = sectors.map(showing).collect();
        self.tracks.insert((cylinder, head), sectors);
    }

    /// How many of the sectors from `slot` on may be asked for at once.
    fn granted(&self, cylinder: u8, head: u8, slot: usize, count: usize) -> Result<usize, MediumError> {
        let Some(sectors) = self.tracks.get(&(cylinder, head)) else {
            // No further than the side's end: the other side can have faults.
            let track = self.medium.track(cylinder, head).ok_or(MediumError::Absent)?;
            return Ok(count.min(track.len().saturating_sub(slot)));
        };
        let record = sectors.get(slot).ok_or(MediumError::Absent)?.id.record;
        match self.faults.get(&(cylinder, head, record)) {
            Some(Fault::HostIo) => Err(asked_for().into()),
            _ => Ok(1),
        }
    }
}

fn asked_for() -> io::Error {
    io::Error::other("a fault that was asked for")
}

impl<M: Medium> Medium for FaultyMedium<M> {
    fn form_factor(&self) -> FormFactor {
        self.medium.form_factor()
    }

    fn cylinders(&self) -> u8 {
        self.medium.cylinders()
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
        // Once for the mark, which shows from now on, and once for the bytes.
        self.medium.write(cylinder, head, slot, count, mark)?;
        self.show_again(cylinder, head);
        self.medium.write(cylinder, head, slot, count, mark)
    }

    fn finish_write(&mut self, cylinder: u8, head: u8, slot: usize, count: usize, mark: Mark) {
        self.medium.finish_write(cylinder, head, slot, count, mark);
        self.show_again(cylinder, head);
    }

    fn format_track(&mut self, cylinder: u8, head: u8, format: &TrackFormat<'_>) -> Result<(), MediumError> {
        let fails = |id: &SectorId| self.faults.get(&(cylinder, head, id.record)) == Some(&Fault::HostIo);
        if format.ids.iter().any(fails) {
            return Err(asked_for().into());
        }
        let formatted = self.medium.format_track(cylinder, head, format);
        self.show_again(cylinder, head);
        formatted
    }

    fn end_of_command(&mut self) -> io::Result<()> {
        self.medium.end_of_command()
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

    fn let_go(&mut self) -> io::Result<()> {
        self.medium.let_go()
    }
}
