//! A track: the sectors under one head of one cylinder, as a medium shows them and as FORMAT TRACK writes them.

use super::recording::{DataRate, Encoding, Sector, SectorId};

/// The sectors under one head of one cylinder, in the order in which they pass the head after the index hole.
///
/// A *slot* is the position of a sector in that order, counted from 0.
#[derive(Clone, Copy, Debug)]
pub struct Track<'a> {
    /// The rate at which the track reads in the kind of drive that its medium is made for.
    pub rate: DataRate,
    /// How the track is recorded.
    pub encoding: Encoding,
    sectors: Sectors<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Sectors<'a> {
    /// `count` good sectors of one size, numbered upwards from `first`.
    Regular {
        first: SectorId,
        count: u8,
        /// The track under the other head is the same, except for the head in its IDs.
        both_heads: bool,
    },
    /// Any sectors, at most [`MAX_SECTORS`].
    Listed(&'a [Sector]),
}

/// The most sectors that pass the head in one revolution.
const MAX_SECTORS: usize = 256;

impl<'a> Track<'a> {
    /// Returns a track of `count` good sectors of one size, numbered upwards from `first` and recorded in MFM.
    #[must_use]
    pub const fn regular(rate: DataRate, first: SectorId, count: u8) -> Self {
        Self { rate, encoding: Encoding::Mfm, sectors: Sectors::Regular { first, count, both_heads: false } }
    }

    /// Returns a regular track under head 0 of a cylinder whose track under head 1 differs only in the head of its IDs.
    /// A listed track stays as it is.
    #[must_use]
    pub const fn on_both_heads(self) -> Self {
        match self.sectors {
            Sectors::Regular { first, count, .. } => {
                Self { sectors: Sectors::Regular { first, count, both_heads: true }, ..self }
            }
            Sectors::Listed(_) => self,
        }
    }

    /// Returns the track without what is known of the track under the other head.
    pub(crate) const fn alone(self) -> Self {
        match self.sectors {
            Sectors::Regular { first, count, .. } => {
                Self { sectors: Sectors::Regular { first, count, both_heads: false }, ..self }
            }
            Sectors::Listed(_) => self,
        }
    }

    /// Returns a track of any sectors. Sectors after the first 256 are ignored.
    #[must_use]
    pub const fn listed(rate: DataRate, encoding: Encoding, sectors: &'a [Sector]) -> Self {
        let sectors = if sectors.len() > MAX_SECTORS { sectors.split_at(MAX_SECTORS).0 } else { sectors };
        Self { rate, encoding, sectors: Sectors::Listed(sectors) }
    }

    /// Returns the number of sectors, 0 to 256.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self.sectors {
            Sectors::Regular { count, .. } => count as usize,
            Sectors::Listed(sectors) => sectors.len(),
        }
    }

    /// Returns whether the track has no sectors.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the sector in `slot`, or `None` if the track has no such slot.
    #[inline]
    #[must_use]
    pub fn sector(&self, slot: usize) -> Option<Sector> {
        match self.sectors {
            Sectors::Regular { first, count, .. } => {
                let ordinal = u8::try_from(slot).ok().filter(|&ordinal| ordinal < count)?;
                Some(Sector::good(SectorId { sector: first.sector.wrapping_add(ordinal), ..first }))
            }
            Sectors::Listed(sectors) => sectors.get(slot).copied(),
        }
    }

    /// Returns the slot of the sector `id`, if the track is regular and has it.
    #[inline]
    pub(crate) fn regular_slot(&self, id: SectorId) -> Option<usize> {
        let Sectors::Regular { first, count, .. } = self.sectors else { return None };
        let slot = id.sector.wrapping_sub(first.sector);
        let same = id.cylinder == first.cylinder && id.head == first.head && id.size_code == first.size_code;
        (same && slot < count).then_some(slot.into())
    }

    /// Returns the ID of the first sector under head 1, if that track is known to be like this one.
    #[inline]
    pub(crate) fn first_under_head_1(&self) -> Option<SectorId> {
        match self.sectors {
            Sectors::Regular { first, both_heads: true, .. } => Some(SectorId { head: 1, ..first }),
            _ => None,
        }
    }

    /// Returns how many sectors from `slot` on are known to be good, of one size, and numbered upwards one by one:
    /// these can be read or written as one run. Returns `None` for a listed track, and for a slot behind the last
    /// sector.
    #[inline]
    pub(crate) fn regular_from(&self, slot: usize) -> Option<usize> {
        match self.sectors {
            Sectors::Regular { count, .. } => usize::from(count).checked_sub(slot),
            Sectors::Listed(_) => None,
        }
    }
}

/// What FORMAT TRACK writes between two index pulses (§4.9).
#[derive(Clone, Copy, Debug)]
pub struct TrackFormat<'a> {
    /// The rate, in the kind of drive that the medium is made for.
    pub rate: DataRate,
    /// How the track is recorded.
    pub encoding: Encoding,
    /// The ID fields in the order of the track, at most 256. Their contents are the guest's and can have any value.
    pub ids: &'a [SectorId],
    /// N: each data field has `128 << size_code` bytes, whatever its ID says. 0 to 7.
    pub size_code: u8,
    /// The byte that fills the data fields.
    pub filler: u8,
    /// Whether the index hole came before all requested sectors were written. `ids` has only those that were.
    pub cut_short: bool,
}
