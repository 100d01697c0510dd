//! Where the sectors of a disk of one layout are in its raw image.

use std::{ops::Range, sync::Arc};

use super::xdf::{self, MixedTrack};
use crate::media::{
    formats::Layout,
    geometry::Geometry,
    recording::{Encoding, SectorId},
    track::Track,
};

/// The tracks of a disk of one layout.
#[derive(Clone, Debug)]
pub(super) enum Tracks {
    Regular(Geometry),
    Mixed(Layout, Arc<[MixedTrack]>),
}

impl Tracks {
    pub(super) fn of(layout: Layout) -> Self {
        match layout {
            Layout::Regular(geometry) => Self::Regular(geometry),
            Layout::Xdf => Self::Mixed(layout, xdf::tracks_3_5().into()),
            Layout::Xdf5_25 => Self::Mixed(layout, xdf::tracks_5_25().into()),
        }
    }

    pub(super) const fn layout(&self) -> Layout {
        match self {
            Self::Regular(geometry) => Layout::Regular(*geometry),
            Self::Mixed(layout, _) => *layout,
        }
    }

    /// Returns the binary logarithm of the number of bytes that divides the size and the offset of every sector.
    pub(super) const fn block_shift(&self) -> u32 {
        match self {
            Self::Regular(geometry) => geometry.size_shift(),
            Self::Mixed(..) => xdf::BLOCK_SHIFT,
        }
    }

    /// Returns the range of bytes of the sectors from `slot` on, at most `count` of them and within one cylinder, and the
    /// number of bytes in the first.
    #[inline]
    pub(super) fn range(&self, cylinder: u8, head: u8, slot: usize, count: usize) -> Option<(Range<usize>, usize)> {
        match self {
            Self::Regular(geometry) => {
                let start = geometry.offset(cylinder, head, slot)?;
                let heads = usize::from(geometry.heads() - head);
                let count = count.min(heads * usize::from(geometry.sectors()) - slot);
                Some((start..start + (count << geometry.size_shift()), geometry.sector_size()))
            }
            Self::Mixed(_, tracks) => {
                let track = mixed_track(tracks, cylinder, head)?;
                let (start, size) = (*track.offsets.get(slot)?, track.sectors.get(slot)?.id.size()?);
                Some((start..start + size, size))
            }
        }
    }

    #[inline]
    pub(super) fn track(&self, cylinder: u8, head: u8) -> Option<Track<'_>> {
        match self {
            Self::Regular(geometry) => {
                geometry.offset(cylinder, head, 0)?;
                let first = SectorId { cylinder, head, sector: 1, size_code: geometry.size_code() };
                let track = Track::regular(geometry.rate(), first, geometry.sectors());
                Some(if head == 0 && geometry.heads() == 2 { track.on_both_heads() } else { track })
            }
            Self::Mixed(layout, tracks) => {
                let sectors = &mixed_track(tracks, cylinder, head)?.sectors;
                Some(Track::listed(layout.rate(), Encoding::Mfm, sectors))
            }
        }
    }
}

fn mixed_track(tracks: &[MixedTrack], cylinder: u8, head: u8) -> Option<&MixedTrack> {
    tracks.get(usize::from(cylinder) * 2 + usize::from(head)).filter(|_| head < 2)
}
