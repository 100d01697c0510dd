//! Where the sectors of an XDF disk are: on its tracks, and in its raw image, whose order is another.

use super::{Sector, SectorId};

const CYLINDERS: u8 = 80;

/// Of a cylinder in the image, in which side by side stand what is on both sides of the disk, and some bytes that are on
/// neither.
const CYLINDER: usize = 2 * 23 * 512;

/// R, and where the sector begins in the image of its cylinder, in the order in which they pass the head; N is in R.
type Side = [(u8, usize); 4];

/// All cylinders but the first. The order of the image: 83, 84, 86 of side 1, 82, 82 of side 1, 86, then 84 and 83 of
/// side 1.
const SIDES: [Side; 2] = [
    [(0x83, 0), (0x82, 0x2C00), (0x84, 0x0400), (0x86, 0x3000)],
    [(0x84, 0x5000), (0x82, 0x2E00), (0x83, 0x5800), (0x86, 0x0C00)],
];

/// The first cylinder has sectors of 512 bytes: R from 81 on, with FAT and root directory, between them on side 0 the
/// eight of a small file system for systems that do not know XDF. Eight places of the image are on no track.
fn first_cylinder(record: u8, head: u8) -> usize {
    let record = usize::from(record);
    let place = match (head, record) {
        (0, 0x01..=0x08) => record + 11,
        (0, _) => record - 0x81,
        (_, 0x81) => 11,
        (_, 0x82..=0x8F) => record - 0x82 + 23,
        (_, _) => record - 0x90 + 42,
    };
    place * 512
}

/// The sectors of a side of the first cylinder, as they pass.
const FIRST: [[u8; 19]; 2] = [
    [0x01, 0x8A, 0x81, 0x8B, 0x82, 0x02, 0x83, 0x03, 0x84, 0x04, 0x85, 0x05, 0x86, 0x06, 0x87, 0x07, 0x88, 0x08, 0x89],
    [0x90, 0x87, 0x91, 0x88, 0x92, 0x89, 0x93, 0x8A, 0x81, 0x8B, 0x82, 0x8C, 0x83, 0x8D, 0x84, 0x8E, 0x85, 0x8F, 0x86],
];

/// One side of one cylinder: its sectors as they pass, and where each begins in the image.
#[derive(Clone, Debug)]
pub(super) struct MixedTrack {
    pub sectors: Vec<Sector>,
    pub offsets: Vec<usize>,
}

/// The tracks of an XDF disk, in order of cylinder and head.
pub(super) fn tracks() -> Vec<MixedTrack> {
    let track = |cylinder: u8, head: u8| {
        let start = usize::from(cylinder) * CYLINDER;
        let id = |record, size_code| Sector::sound(SectorId { cylinder, head, record, size_code });
        if cylinder == 0 {
            let records = FIRST[usize::from(head)];
            return MixedTrack {
                sectors: records.iter().map(|&record| id(record, 2)).collect(),
                offsets: records.iter().map(|&record| first_cylinder(record, head)).collect(),
            };
        }
        let side = SIDES[usize::from(head)];
        MixedTrack {
            sectors: side.iter().map(|&(record, _)| id(record, record & 0x0F)).collect(),
            offsets: side.iter().map(|&(_, offset)| start + offset).collect(),
        }
    };
    (0..CYLINDERS).flat_map(|cylinder| [track(cylinder, 0), track(cylinder, 1)]).collect()
}
