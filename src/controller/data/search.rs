//! The search for a sector on a track (§4.1): pure functions of what the track has. Where the search starts and how long it
//! takes is for the caller to say.

use super::{
    advance::{Extent, next_id},
    run::MAX_SIZE_CODE,
};
use crate::{
    controller::registers::{st1, st2},
    media::{Mark, Sector, SectorId, Track},
};

/// Returns the slots of one revolution with their sectors, in the order in which they pass from slot `from` on.
fn revolution<'a>(track: &'a Track<'_>, from: usize) -> impl Iterator<Item = (usize, Sector)> + 'a {
    let from = if from < track.len() { from } else { 0 };
    (from..track.len()).chain(0..from).filter_map(|slot| track.sector(slot).map(|sector| (slot, sector)))
}

/// Returns the slot of the sector with this ID, the first from slot `from` on.
///
/// # Errors
///
/// WC and BC of ST2, for the cylinders that the IDs of the track name, when the ID does not pass in a revolution (§4.12).
pub(super) fn find_sector(track: &Track<'_>, id: SectorId, from: usize) -> Result<usize, u8> {
    // Sectors are mostly read in the order in which they pass.
    if track.sector(from).is_some_and(|sector| sector.id == id) {
        return Ok(from);
    }
    let mut cylinders = 0;
    for (slot, sector) in revolution(track, from) {
        if sector.id == id {
            return Ok(slot);
        }
        if sector.id.cylinder != id.cylinder && !sector.id_crc_error {
            cylinders |= if sector.id.cylinder == 0xFF { st2::BAD_CYLINDER } else { st2::WRONG_CYLINDER };
        }
    }
    Err(cylinders)
}

/// Returns the first ID with a good CRC from slot `from` on, and its slot (§4.11).
pub(super) fn next_good_id(track: &Track<'_>, from: usize) -> Option<(usize, SectorId)> {
    revolution(track, from).find(|(_, sector)| !sector.id_crc_error).map(|(slot, sector)| (slot, sector.id))
}

/// What becomes of a sector whose ID is the one that a command looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// It is transferred, and so are those that follow.
    Transfer { bad_data: bool },
    /// It is transferred and ends the command: its data mark is not the one that is asked for (§4.4).
    TransferLast { bad_data: bool },
    /// It is passed over: SK is set, and its data mark is not the one that is asked for (§4.4).
    Skip,
    /// It ends the command with these bits of ST1 and ST2.
    Fail { st1: u8, st2: u8 },
}

/// Returns what becomes of a sector for a command that reads data fields with mark `wanted`, or, without one, writes them.
pub(super) fn match_sector(sector: &Sector, wanted: Option<Mark>, skip: bool) -> Match {
    let bad_data = sector.data_crc_error;
    match (sector.mark, wanted) {
        // An ID that claims more than 16,384 bytes is no sector's (§4.3).
        _ if sector.id.size_code > MAX_SIZE_CODE => Match::Fail { st1: st1::NO_DATA, st2: 0 },
        _ if sector.id_crc_error => Match::Fail { st1: st1::DATA_ERROR, st2: 0 },
        (_, None) => Match::Transfer { bad_data: false },
        (None, _) => Match::Fail { st1: st1::MISSING_ADDRESS_MARK, st2: st2::MISSING_DATA_MARK },
        (Some(mark), Some(wanted)) if mark == wanted => Match::Transfer { bad_data },
        _ if skip => Match::Skip,
        _ => Match::TransferLast { bad_data },
    }
}

/// Returns how many sectors from slot `slot` on can be transferred without a look at the next ID: those up to EOT, and with
/// MT those of the other head when its IDs are the ones to come. The sector in `slot` has the ID `id`, under head `head`.
pub(super) fn run_length(track: &Track<'_>, slot: usize, id: SectorId, head: u8, extent: Extent) -> usize {
    let Some(on_track) = track.regular_from(slot) else { return 1 };
    let to_end_of_track = extent.sectors_from(id.sector);
    if to_end_of_track != on_track || !extent.multi_track || head != 0 {
        return on_track.min(to_end_of_track);
    }
    let goes_on = track.first_under_head_1() == Some(next_id(id, true, true, 0));
    on_track + if goes_on { track.len().min(extent.end_of_track.into()) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{DataRate, Encoding};

    fn id(cylinder: u8, sector: u8) -> SectorId {
        SectorId { cylinder, head: 0, sector, size_code: 2 }
    }

    fn track(sectors: &[Sector]) -> Track<'_> {
        Track::listed(DataRate::Kbps500, Encoding::Mfm, sectors)
    }

    #[test]
    fn the_search_starts_where_the_disk_stands_and_goes_once_around() {
        // §4.1
        let sectors = [1, 2, 1, 3].map(|sector| Sector::good(id(0, sector)));
        assert_eq!(find_sector(&track(&sectors), id(0, 1), 0), Ok(0));
        assert_eq!(find_sector(&track(&sectors), id(0, 1), 1), Ok(2));
        assert_eq!(find_sector(&track(&sectors), id(0, 1), 3), Ok(0));
        assert_eq!(find_sector(&track(&sectors), id(0, 2), 99), Ok(1));
    }

    #[test]
    fn a_search_in_vain_tells_the_cylinders_that_it_saw() {
        // §4.12
        let good = [Sector::good(id(0, 1))];
        assert_eq!(find_sector(&track(&good), id(0, 2), 0), Err(0));
        assert_eq!(find_sector(&track(&good), id(1, 1), 0), Err(st2::WRONG_CYLINDER));
        let bad = [Sector::good(id(0xFF, 1)), Sector { id_crc_error: true, ..Sector::good(id(7, 1)) }];
        assert_eq!(find_sector(&track(&bad), id(0, 1), 0), Err(st2::BAD_CYLINDER));
    }

    #[test]
    fn ids_with_a_wrong_crc_are_passed_over() {
        // §4.11
        let bad = Sector { id_crc_error: true, ..Sector::good(id(0, 1)) };
        let sectors = [bad, Sector::good(id(0, 2)), bad];
        assert_eq!(next_good_id(&track(&sectors), 2), Some((1, id(0, 2))));
        assert_eq!(next_good_id(&track(&[bad]), 0), None);
    }

    #[test]
    fn marks_decide_by_the_table_of_sk() {
        // §4.4
        let deleted = Sector { mark: Some(Mark::Deleted), ..Sector::good(id(0, 1)) };
        let transfer = Match::Transfer { bad_data: false };
        assert_eq!(match_sector(&deleted, Some(Mark::Deleted), true), transfer);
        assert_eq!(match_sector(&deleted, Some(Mark::Data), false), Match::TransferLast { bad_data: false });
        assert_eq!(match_sector(&deleted, Some(Mark::Data), true), Match::Skip);
        assert_eq!(match_sector(&deleted, None, true), transfer);
    }

    #[test]
    fn what_cannot_be_read_fails_with_its_bits() {
        // §4.12
        let good = Sector::good(id(0, 1));
        let fail = |sector: Sector| match_sector(&sector, Some(Mark::Data), true);
        assert_eq!(fail(Sector { id_crc_error: true, ..good }), Match::Fail { st1: st1::DATA_ERROR, st2: 0 });
        let missing = Match::Fail { st1: st1::MISSING_ADDRESS_MARK, st2: st2::MISSING_DATA_MARK };
        assert_eq!(fail(Sector { mark: None, ..good }), missing);
        let huge = Sector::good(SectorId { size_code: 8, ..id(0, 1) });
        assert_eq!(fail(huge), Match::Fail { st1: st1::NO_DATA, st2: 0 });
    }

    #[test]
    fn a_run_ends_at_eot_and_goes_on_under_the_other_head_with_mt() {
        // §4.3
        let first = SectorId { sector: 1, ..id(3, 1) };
        let track = Track::regular(DataRate::Kbps500, first, 18).on_both_heads();
        let from_5 = SectorId { sector: 5, ..first };
        let extent = |multi_track, end_of_track| Extent { multi_track, end_of_track };
        assert_eq!(run_length(&track, 4, from_5, 0, extent(false, 18)), 14);
        assert_eq!(run_length(&track, 4, from_5, 0, extent(false, 9)), 5);
        assert_eq!(run_length(&track, 4, from_5, 0, extent(false, 99)), 14);
        assert_eq!(run_length(&track, 4, from_5, 0, extent(true, 18)), 32);
        assert_eq!(run_length(&track, 4, from_5, 0, extent(true, 9)), 5);
        assert_eq!(run_length(&track, 4, from_5, 1, extent(true, 18)), 14);
    }
}
