//! A disk in the making: the tracks of a container, in the order of the file, until they are a [`SectorDisk`].
//!
//! This is the one place that bounds the memory of a disk, and that decides what no container says: its form factor.

use std::collections::BTreeMap;

use super::error::{Damage, MAX_BYTES};
use crate::media::{
    geometry::{FormFactor, MAX_CYLINDERS},
    recording::{DataRate, Encoding, Sector},
    sector_disk::{SectorDisk, SectorTrack},
};

/// A track as the file has it.
pub(super) struct FileTrack {
    /// The rate in the drive that read the disk.
    pub(super) rate: DataRate,
    pub(super) encoding: Encoding,
    pub(super) sectors: Vec<(Sector, Vec<u8>)>,
}

/// The tracks read so far.
pub(super) struct Assembly {
    tracks: BTreeMap<(u8, u8), FileTrack>,
    /// How many more bytes the data fields can have.
    left: usize,
}

impl Assembly {
    pub(super) const fn new() -> Self {
        Self { tracks: BTreeMap::new(), left: MAX_BYTES }
    }

    /// Counts a data field of `bytes`. Called before there is memory for it.
    pub(super) fn reserve(&mut self, bytes: usize) -> Result<(), Damage> {
        self.left = self.left.checked_sub(bytes).ok_or(Damage::TooLarge)?;
        Ok(())
    }

    /// Adds the track under `head` on `cylinder`.
    pub(super) fn add(&mut self, cylinder: u8, head: u8, track: FileTrack) -> Result<(), Damage> {
        if cylinder >= MAX_CYLINDERS {
            return Err(Damage::Value { field: "the cylinder", value: cylinder.into() });
        }
        if head > 1 {
            return Err(Damage::Value { field: "the head", value: head.into() });
        }
        match self.tracks.insert((cylinder, head), track) {
            Some(_) => Err(Damage::Duplicate { cylinder, head }),
            None => Ok(()),
        }
    }

    /// Returns the disk. Without a form factor, the tracks tell it.
    pub(super) fn finish(self, form_factor: Option<FormFactor>) -> Result<SectorDisk, Damage> {
        let (&(last, _), _) = self.tracks.last_key_value().ok_or(Damage::Empty)?;
        let form_factor = form_factor.unwrap_or_else(|| self.likely_form_factor(last));
        let mut disk = SectorDisk::unformatted(form_factor, last + 1);
        for ((cylinder, head), track) in self.tracks {
            // A drive of 1.2M turns double-density disks faster than the drive that they are made for (§9.1).
            let rate = match (form_factor, track.rate) {
                (FormFactor::Inch5_25, DataRate::Kbps300) => DataRate::Kbps250,
                (_, rate) => rate,
            };
            let empty = SectorTrack::new(rate).with_encoding(track.encoding);
            let sectors = track.sectors.into_iter();
            disk.set_track(
                cylinder,
                head,
                sectors.fold(empty, |track, (sector, data)| track.with_sector(sector, data)),
            );
        }
        Ok(disk)
    }

    /// Returns the form factor of most disks with such tracks.
    fn likely_form_factor(&self, last_cylinder: u8) -> FormFactor {
        let rates = || self.tracks.values().map(|track| track.rate);
        let bytes = |track: &FileTrack| track.sectors.iter().map(|(_, data)| data.len()).sum::<usize>();
        let longest = self.tracks.values().map(bytes).max().unwrap_or(0);
        let inch5_25 = if rates().any(|rate| rate == DataRate::Kbps1000) {
            false
        } else if rates().any(|rate| rate == DataRate::Kbps500) {
            // 15 sectors of 512 bytes, 8 of 1,024, or 26 of 256; 3.5" disks have 18 of 512.
            (1..=8192).contains(&longest)
        } else if rates().any(|rate| rate == DataRate::Kbps300) {
            // 3.5" disks at this rate have 13 or 14 sectors, which is why they have this rate.
            longest <= 6250
        } else {
            last_cylinder < 43
        };
        if inch5_25 { FormFactor::Inch5_25 } else { FormFactor::Inch3_5 }
    }
}
