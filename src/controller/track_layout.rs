//! The bytes between the sectors of a track (§4.9): gaps, sync fields, marks and CRCs, in FM and MFM.

use crate::media::{DataRate, Encoding, Track, sector_size};

/// Bytes of the CRC behind a data field.
pub(super) const CRC: usize = 2;

/// Bytes of the parts of a track that are not data.
#[derive(Clone, Copy, Debug)]
pub(super) struct TrackLayout {
    /// From the index hole to the first sector: gap 4a, sync, IAM, gap 1.
    pub before_first: usize,
    /// From the start of a sector to the end of its ID: sync, IDAM, C, H, R, N, CRC.
    pub id: usize,
    /// From the start of a sector to its data: the ID, gap 2, sync, DAM.
    pub before_data: usize,
    /// All of a sector but its data and gap 3.
    pub around_data: usize,
}

/// Where a sector stands on its track, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct SectorPlace {
    /// From the index hole to the start of the sector.
    pub start: usize,
    /// From there to the end of its ID.
    pub id: usize,
    /// From there to its data.
    pub data: usize,
}

impl TrackLayout {
    /// Returns the layout in an encoding.
    pub(super) const fn of(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Mfm => Self { before_first: 146, id: 22, before_data: 60, around_data: 62 },
            Encoding::Fm => Self { before_first: 73, id: 13, before_data: 31, around_data: 33 },
        }
    }

    /// Returns the bytes from the start of a sector to the start of the next one, for data fields of `data` bytes.
    pub(super) const fn pitch(self, data: usize, gap_3: usize) -> usize {
        self.around_data + data + gap_3
    }

    /// Returns where the sector in place `slot` stands on a track of `capacity` bytes.
    pub(super) fn place(self, track: &Track<'_>, slot: usize, capacity: usize) -> SectorPlace {
        let start = self.starts(track, capacity).nth(slot).unwrap_or(0);
        if self.gap_3(track, capacity).is_some() {
            return SectorPlace { start, id: self.id, data: self.before_data };
        }
        // The marks stand as close as it takes to read one sector after the other.
        let marks = (capacity / track.len().max(1)).saturating_sub(data_size(track, slot) + CRC + 1).max(1);
        SectorPlace { start, id: self.id.min(marks), data: self.before_data.min(marks) }
    }

    /// Returns where the sectors of a track start, in the order in which they pass. Gap 3 is the one with which such disks
    /// are formatted, or as long as there is room for. Where there is room for none, all sectors have the same distance.
    pub(super) fn starts(self, track: &Track<'_>, capacity: usize) -> impl Iterator<Item = usize> {
        let gap_3 = self.gap_3(track, capacity);
        let mut next = if gap_3.is_some() { self.before_first } else { 0 };
        (0..track.len()).map(move |slot| {
            let start = next;
            next += gap_3.map_or(capacity / track.len(), |gap_3| self.pitch(data_size(track, slot), gap_3));
            start
        })
    }

    /// Returns the bytes of gap 3, if there is room for any.
    fn gap_3(self, track: &Track<'_>, capacity: usize) -> Option<usize> {
        let sectors: usize = (0..track.len()).map(|slot| self.pitch(data_size(track, slot), 0)).sum();
        let room = capacity.checked_sub(self.before_first + sectors)?;
        Some((room / track.len().max(1)).min(usual_gap_3(track.rate)))
    }
}

/// Returns the bytes in the data field of a sector, as its ID has it.
fn data_size(track: &Track<'_>, slot: usize) -> usize {
    track.sector(slot).and_then(|sector| sector_size(sector.id.size_code)).unwrap_or(0)
}

/// Returns GPL of FORMAT TRACK for sectors of 512 bytes (§4.9).
const fn usual_gap_3(rate: DataRate) -> usize {
    match rate {
        DataRate::Kbps250 | DataRate::Kbps300 => 0x50,
        DataRate::Kbps500 => 0x6C,
        DataRate::Kbps1000 => 0x53,
    }
}
