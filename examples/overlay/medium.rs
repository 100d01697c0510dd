//! A medium of the VM monitor: a disk that is not written, and a file with the sectors that differ from it, as an overlay of
//! QCOW2 has them. The format of the file is the simplest there is: a record for each sector that was written.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use vm_fdc::media::{FormFactor, Layout, Mark, Medium, MediumError, Track, TrackFormat};

/// A cylinder, a head and the slot of a sector on its track.
type Place = (u8, u8, u8);

/// A disk with changes in a file of their own. The other disk is regular: all its sectors have one size.
pub struct Overlay<M> {
    base: M,
    sector_size: usize,
    path: PathBuf,
    changed: BTreeMap<Place, Vec<u8>>,
    /// Whether the file does not have all changes.
    unsaved: bool,
}

impl<M: Medium> Overlay<M> {
    /// Returns `base` with the changes in the file `path`, which need not exist. `sector_size` is that of all sectors.
    ///
    /// # Errors
    ///
    /// The host's error, or `InvalidData` for a file with other records than sectors of this disk.
    pub fn open(base: M, sector_size: usize, path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        let file = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            outcome => outcome?,
        };
        let mut changed = BTreeMap::new();
        for record in file.chunks(3 + sector_size) {
            let sector = match *record {
                [cylinder, head, slot, ref data @ ..] if data.len() == sector_size => {
                    let track = base.track(cylinder, head);
                    let exists = track.is_some_and(|track| usize::from(slot) < track.len());
                    exists.then(|| ((cylinder, head, slot), data.to_vec()))
                }
                _ => None,
            };
            let (place, data) =
                sector.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "not a sector of the disk"))?;
            changed.insert(place, data);
        }
        Ok(Self { base, sector_size, path, changed, unsaved: false })
    }

    /// Returns the number of sectors that differ from the other disk.
    pub fn changed_sectors(&self) -> usize {
        self.changed.len()
    }

    /// Returns the place of a sector, if the disk has it.
    fn place(&self, cylinder: u8, head: u8, slot: usize) -> Result<Place, MediumError> {
        let sectors = self.base.track(cylinder, head).map_or(0, |track| track.len());
        let slot = u8::try_from(slot).ok().filter(|&slot| usize::from(slot) < sectors);
        slot.map(|slot| (cylinder, head, slot)).ok_or(MediumError::Absent)
    }
}

impl<M: Medium> Medium for Overlay<M> {
    fn form_factor(&self) -> FormFactor {
        self.base.form_factor()
    }

    fn cylinders(&self) -> u8 {
        self.base.cylinders()
    }

    // A saved state has this name, and the VM monitor opens the overlay by it.
    fn name(&self) -> Option<&str> {
        self.path.to_str()
    }

    fn layout(&self) -> Option<Layout> {
        self.base.layout()
    }

    fn is_write_protected(&self) -> bool {
        false
    }

    fn track(&self, cylinder: u8, head: u8) -> Option<Track<'_>> {
        self.base.track(cylinder, head)
    }

    // A medium may return fewer sectors than are asked for: here one.
    fn read(&mut self, cylinder: u8, head: u8, slot: usize, _count: usize) -> Result<&[u8], MediumError> {
        let place = self.place(cylinder, head, slot)?;
        match self.changed.get(&place) {
            Some(data) => Ok(data),
            None => self.base.read(cylinder, head, slot, 1),
        }
    }

    fn write(
        &mut self,
        cylinder: u8,
        head: u8,
        slot: usize,
        _count: usize,
        mark: Mark,
    ) -> Result<&mut [u8], MediumError> {
        if mark != Mark::Data {
            return Err(MediumError::Unsupported);
        }
        let place = self.place(cylinder, head, slot)?;
        if !self.changed.contains_key(&place) {
            // The guest can write a part of the sector.
            let data = self.base.read(cylinder, head, slot, 1)?.to_vec();
            self.changed.insert(place, data);
        }
        self.unsaved = true;
        self.changed.get_mut(&place).map(Vec::as_mut_slice).ok_or(MediumError::Absent)
    }

    fn finish_write(&mut self, _cylinder: u8, _head: u8, _slot: usize, _count: usize, _mark: Mark) {}

    // FORMAT TRACK of the same sectors fills them.
    fn format_track(&mut self, cylinder: u8, head: u8, format: &TrackFormat<'_>) -> Result<(), MediumError> {
        let track = self.base.track(cylinder, head).ok_or(MediumError::Unsupported)?;
        let sectors = track.len();
        let mut ids: Vec<_> = (0..sectors).filter_map(|slot| Some(track.sector(slot)?.id.sector)).collect();
        let mut formatted: Vec<_> = format.ids.iter().map(|id| id.sector).collect();
        ids.sort_unstable();
        formatted.sort_unstable();
        let in_place = |id: &vm_fdc::media::SectorId| {
            (id.cylinder, id.head, id.size()) == (cylinder, head, Some(self.sector_size))
        };
        let same = ids == formatted && format.ids.iter().all(in_place) && 128 << format.size_code == self.sector_size;
        let recorded = (track.rate, track.encoding) == (format.rate, format.encoding);
        if !same || !recorded || format.cut_short {
            return Err(MediumError::Unsupported);
        }
        for slot in (0..sectors).filter_map(|slot| u8::try_from(slot).ok()) {
            self.changed.insert((cylinder, head, slot), vec![format.filler; self.sector_size]);
        }
        self.unsaved = true;
        Ok(())
    }

    // What a medium cannot store it keeps, and tries again at the next flush. A release fails as long as this fails.
    fn flush(&mut self) -> io::Result<()> {
        if self.unsaved {
            let records = self.changed.iter().flat_map(|(&(cylinder, head, slot), data)| {
                [cylinder, head, slot].into_iter().chain(data.iter().copied())
            });
            let bytes: Vec<u8> = records.collect();
            // Under another name first, so that the file is always complete.
            let new = self.path.with_extension("new");
            fs::write(&new, bytes)?;
            fs::File::open(&new)?.sync_all()?;
            fs::rename(&new, &self.path)?;
            self.unsaved = false;
        }
        Ok(())
    }
}
