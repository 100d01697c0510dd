//! What comes after a sector (§4.2, table 5-6 of the data sheet): the next ID, and whether the sector was the last.

use crate::media::SectorId;

/// MT and EOT: how far a command goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::controller) struct Extent {
    /// MT: after head 0 comes head 1.
    pub multi_track: bool,
    /// EOT: R of the last sector under a head.
    pub end_of_track: u8,
}

/// What comes after a sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Next {
    /// C, H, R and N of the next sector, or of the result when the command ends here.
    pub id: SectorId,
    /// The head that the next sector passes.
    pub head: u8,
    /// R of the sector was EOT.
    pub end_of_track: bool,
    /// EOT was reached, and MT does not go on: the command ends here.
    pub last: bool,
}

impl Extent {
    /// Returns the sectors from R = `sector` to EOT, 1 to 256. R counts modulo 256, so that an EOT below R is reached
    /// through 255 and 0 (§4.3).
    pub(super) fn sectors_from(self, sector: u8) -> usize {
        usize::from(self.end_of_track.wrapping_sub(sector)) + 1
    }

    /// Returns what comes after the sector `id` under head `head`.
    pub(super) fn after(self, id: SectorId, head: u8) -> Next {
        let end_of_track = id.sector == self.end_of_track;
        let changes_head = end_of_track && self.multi_track && head == 0;
        Next {
            id: next_id(id, end_of_track, self.multi_track, head),
            head: if changes_head { 1 } else { head },
            end_of_track,
            last: end_of_track && !changes_head,
        }
    }
}

/// Returns the ID after `id`, which passed head `head`. All numbers count modulo 256, and of H bit 0 alone changes.
pub(super) fn next_id(id: SectorId, end_of_track: bool, multi_track: bool, head: u8) -> SectorId {
    if !end_of_track {
        return SectorId { sector: id.sector.wrapping_add(1), ..id };
    }
    let next_cylinder = !multi_track || head == 1;
    SectorId {
        cylinder: id.cylinder.wrapping_add(next_cylinder.into()),
        head: id.head ^ u8::from(multi_track),
        sector: 1,
        ..id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C, H and R after a sector of cylinder 7 with EOT = 9.
    fn after(multi_track: bool, head: u8, sector: u8) -> (u8, u8, u8, bool) {
        let id = SectorId { cylinder: 7, head, sector, size_code: 2 };
        let next = Extent { multi_track, end_of_track: 9 }.after(id, head);
        assert_eq!(next.id.size_code, 2);
        (next.id.cylinder, next.id.head, next.id.sector, next.last)
    }

    #[test]
    fn the_rows_of_table_5_6() {
        // §4.2
        assert_eq!(after(false, 0, 4), (7, 0, 5, false));
        assert_eq!(after(false, 0, 9), (8, 0, 1, true));
        assert_eq!(after(false, 1, 4), (7, 1, 5, false));
        assert_eq!(after(false, 1, 9), (8, 1, 1, true));
        assert_eq!(after(true, 0, 4), (7, 0, 5, false));
        assert_eq!(after(true, 0, 9), (7, 1, 1, false));
        assert_eq!(after(true, 1, 4), (7, 1, 5, false));
        assert_eq!(after(true, 1, 9), (8, 0, 1, true));
    }

    #[test]
    fn numbers_count_modulo_256() {
        // §4.2
        let id = SectorId { cylinder: 0xFF, head: 0x81, sector: 0xFF, size_code: 2 };
        let extent = Extent { multi_track: true, end_of_track: 0xFF };
        let next = extent.after(id, 1);
        assert_eq!((next.id.cylinder, next.id.head, next.id.sector), (0, 0x80, 1));
        assert_eq!(Extent { end_of_track: 3, ..extent }.after(id, 1).id.sector, 0);
        assert_eq!(Extent { end_of_track: 3, ..extent }.sectors_from(5), 255);
        assert_eq!(Extent { end_of_track: 5, ..extent }.sectors_from(5), 1);
    }

    #[test]
    fn the_head_changes_once() {
        // §4.3
        let id = SectorId { cylinder: 0, head: 0, sector: 9, size_code: 2 };
        let extent = Extent { multi_track: true, end_of_track: 9 };
        assert_eq!(extent.after(id, 0).head, 1);
        assert_eq!(extent.after(SectorId { head: 1, ..id }, 1).head, 1);
        assert!(extent.after(SectorId { head: 1, ..id }, 1).last);
    }
}
