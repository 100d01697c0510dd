//! Where the sectors of an XDF disk are: on its tracks, and in its raw image, which has another order (§9.8).

use crate::media::{
    formats::{XDF_5_25_CYLINDER_BYTES, XDF_CYLINDER_BYTES, XDF_CYLINDERS},
    recording::{Sector, SectorId},
};

/// The sectors of a track in the order in which they pass the head: R, whose low digit is N, and the offset of the
/// sector in the image of its cylinder. That image has the sectors of both heads, and some bytes that are on no track.
type TrackPlan = &'static [(u8, usize)];

/// A kind of XDF disk.
struct Plan {
    /// The bytes of a cylinder in the image.
    cylinder_bytes: usize,
    /// R of the sectors under each head of the first cylinder, in the order in which they pass the head.
    first_cylinder: [&'static [u8]; 2],
    /// Returns the place in the image of a sector of the first cylinder, in sectors.
    first_cylinder_place: fn(usize, u8) -> usize,
    /// The tracks under head 0 and head 1 of all other cylinders.
    tracks: [TrackPlan; 2],
}

/// The 3.5" disk. The order of the image of a cylinder is: 83, 84, 86 of head 1, 82, 82 of head 1, 86, then 84 and 83
/// of head 1.
///
/// The first cylinder has sectors of 512 bytes: from R = 81 on those with FAT and root directory, and between them under
/// head 0 the eight sectors of a small file system for systems that do not know XDF. Eight places of the image are on
/// no track.
const INCH_3_5: Plan = Plan {
    cylinder_bytes: XDF_CYLINDER_BYTES,
    first_cylinder: FIRST_CYLINDER,
    first_cylinder_place: |sector, head| match (head, sector) {
        (0, 0x01..=0x08) => sector + 11,
        (0, _) => sector - 0x81,
        (_, 0x81) => 11,
        (_, 0x82..=0x8F) => sector - 0x82 + 23,
        (_, _) => sector - 0x90 + 42,
    },
    tracks: [
        &[(0x83, 0), (0x82, 0x2C00), (0x84, 0x0400), (0x86, 0x3000)],
        &[(0x84, 0x5000), (0x82, 0x2E00), (0x83, 0x5800), (0x86, 0x0C00)],
    ],
};

/// The 5.25" disk. The order of the image of a cylinder is: 83, 86, 82 of head 1, 82, then 86 and 83 of head 1. Six
/// places of the image of the first cylinder are on no track.
const INCH_5_25: Plan = Plan {
    cylinder_bytes: XDF_5_25_CYLINDER_BYTES,
    first_cylinder: FIRST_CYLINDER_5_25,
    first_cylinder_place: |sector, head| match (head, sector) {
        (0, 0x01..=0x08) => sector + 9,
        (0, _) => sector - 0x81,
        (_, 0x81..=0x82) => sector - 0x81 + 8,
        (_, _) => sector - 0x83 + 19,
    },
    tracks: [&[(0x83, 0), (0x82, 0x2600), (0x86, 0x0400)], &[(0x82, 0x2400), (0x83, 0x4800), (0x86, 0x2800)]],
};

/// R of the sectors under each head of the first cylinder of a 3.5" disk.
const FIRST_CYLINDER: [&[u8]; 2] = [
    &[0x01, 0x8A, 0x81, 0x8B, 0x82, 0x02, 0x83, 0x03, 0x84, 0x04, 0x85, 0x05, 0x86, 0x06, 0x87, 0x07, 0x88, 0x08, 0x89],
    &[0x90, 0x87, 0x91, 0x88, 0x92, 0x89, 0x93, 0x8A, 0x81, 0x8B, 0x82, 0x8C, 0x83, 0x8D, 0x84, 0x8E, 0x85, 0x8F, 0x86],
];

/// R of the sectors under each head of the first cylinder of a 5.25" disk.
const FIRST_CYLINDER_5_25: [&[u8]; 2] = [
    &[0x01, 0x02, 0x81, 0x88, 0x82, 0x03, 0x83, 0x04, 0x84, 0x05, 0x85, 0x06, 0x86, 0x07, 0x87, 0x08],
    &[0x8D, 0x85, 0x8E, 0x86, 0x8F, 0x87, 0x90, 0x88, 0x81, 0x89, 0x82, 0x8A, 0x83, 0x8B, 0x84, 0x8C],
];

/// The binary logarithm of the number of bytes that divides the size and the offset of every sector.
pub(super) const BLOCK_SHIFT: u32 = 9;

/// The sectors under one head of one cylinder in the order in which they pass, and their offsets in the image.
#[derive(Clone, Debug)]
pub(super) struct MixedTrack {
    pub sectors: Vec<Sector>,
    pub offsets: Vec<usize>,
}

/// Returns the tracks of a 3.5" XDF disk in ascending order of cylinder and head.
pub(super) fn tracks_3_5() -> Vec<MixedTrack> {
    tracks(&INCH_3_5)
}

/// Returns the tracks of a 5.25" XDF disk in ascending order of cylinder and head.
pub(super) fn tracks_5_25() -> Vec<MixedTrack> {
    tracks(&INCH_5_25)
}

fn tracks(plan: &Plan) -> Vec<MixedTrack> {
    let track = |cylinder: u8, head: u8| {
        let start = usize::from(cylinder) * plan.cylinder_bytes;
        let good = |sector, size_code| Sector::good(SectorId { cylinder, head, sector, size_code });
        if cylinder == 0 {
            let sectors = plan.first_cylinder[usize::from(head)];
            let place = |sector: u8| (plan.first_cylinder_place)(sector.into(), head);
            return MixedTrack {
                sectors: sectors.iter().map(|&sector| good(sector, 2)).collect(),
                offsets: sectors.iter().map(|&sector| place(sector) * 512).collect(),
            };
        }
        let sectors = plan.tracks[usize::from(head)];
        MixedTrack {
            sectors: sectors.iter().map(|&(sector, _)| good(sector, sector & 0x0F)).collect(),
            offsets: sectors.iter().map(|&(_, offset)| start + offset).collect(),
        }
    };
    (0..XDF_CYLINDERS).flat_map(|cylinder| [track(cylinder, 0), track(cylinder, 1)]).collect()
}
