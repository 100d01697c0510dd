//! Where a data command goes on: the sector or the ID field that it looks for next.

use super::{
    DataCommand, Located, SEARCH_PULSES, State,
    operation::{Operation, SectorAction},
    read::ReadTrack,
    run::{MAX_SIZE_CODE, Run},
    search::{Match, find_sector, match_sector, next_good_id, run_length},
    sectors,
};
use crate::{
    controller::registers::{st1, st2},
    drive::Head,
    media::{Mark, Track},
};

/// Looks for the next sector from slot `from` on, and sets the state by what it finds.
#[inline(always)] // 5 % of a READ DATA of one sector, with those of `sectors`.
pub(super) fn search(command: &mut DataCommand, from: usize, head: &mut Head<'_>) -> Located {
    let located = match &command.operation {
        Operation::Sectors(selected) if matches!(selected.action, SectorAction::Write(_)) && head.write_protected() => {
            command.fail(st1::NOT_WRITABLE, 0);
            return Located::Refused;
        }
        _ => search_track(command, from, head),
    };
    match located {
        Located::Data { .. } | Located::Nothing { .. } | Located::Refused => {}
        Located::Id { slot } | Located::Skipped { slot } => head.set_next_slot(slot + 1),
    }
    located
}

#[inline(always)] // 5 % of a READ DATA of one sector, with those of `sectors`.
fn search_track(command: &mut DataCommand, from: usize, head: &Head<'_>) -> Located {
    let track = head.track(command.head);
    let Some(track) = command.readable(&track, head) else {
        command.fail(st1::MISSING_ADDRESS_MARK, 0);
        return Located::Nothing { index_pulses: SEARCH_PULSES };
    };
    command.activity.read = true;
    match &command.operation {
        Operation::ReadId => match next_good_id(track, from) {
            Some((slot, id)) => {
                (command.id, command.state) = (id, State::Ended);
                Located::Id { slot }
            }
            None => {
                command.fail(st1::NO_DATA, 0);
                Located::Nothing { index_pulses: SEARCH_PULSES }
            }
        },
        Operation::ReadTrack(read) => next_on_track(command, track, read.sectors_read.into()),
        Operation::Sectors(_) => {
            // A track of consecutive sectors has its place without a search.
            match track.regular_slot(command.id).map_or_else(|| find_sector(track, command.id, from), Ok) {
                Ok(slot) => take_sector(command, track, slot),
                Err(cylinders) => {
                    command.fail(st1::NO_DATA, cylinders);
                    Located::Nothing { index_pulses: SEARCH_PULSES }
                }
            }
        }
        // FORMAT TRACK looks for nothing.
        Operation::Format(_) => Located::Refused,
    }
}

/// Takes the next sector of READ TRACK, which is in `slot`.
fn next_on_track(command: &mut DataCommand, track: &Track<'_>, slot: usize) -> Located {
    // The index hole comes again before EOT sectors were read (its status is not established), or N is no sector's.
    let Some(sector) = track.sector(slot).filter(|_| command.id.size_code <= MAX_SIZE_CODE) else {
        command.fail(st1::NO_DATA, 0);
        return Located::Nothing { index_pulses: 1 };
    };
    let (st1, st2) = ReadTrack::status_of(&sector, command.id);
    command.status.st1 |= st1;
    command.status.st2 |= st2;
    match sector.mark {
        Some(_) => {
            command.state = State::Transferring(Run { bad_data: sector.data_crc_error, ..Run::good(slot, 1) });
        }
        None => command.fail(0, 0),
    }
    Located::Data { slot }
}

/// Takes the sector in `slot`, which has the ID that is looked for, and those that follow it.
#[inline(always)] // 5 % of a READ DATA of one sector, with those of `sectors`.
fn take_sector(command: &mut DataCommand, track: &Track<'_>, slot: usize) -> Located {
    let (Operation::Sectors(selected), Some(sector)) = (&command.operation, track.sector(slot)) else {
        command.fail(st1::NO_DATA, 0);
        return Located::Id { slot };
    };
    let wanted = match &selected.action {
        SectorAction::Read { mark, .. } => Some(*mark),
        SectorAction::Write(_) => None,
        SectorAction::Verify(_) | SectorAction::Scan(_) => Some(Mark::Data),
    };
    match match_sector(&sector, wanted, selected.skip) {
        Match::Transfer { bad_data } => {
            // DTL cuts each sector short, and SCAN evaluates each by itself.
            let alone = command.id.size_code == 0 || matches!(selected.action, SectorAction::Scan(_));
            let length = if alone { 1 } else { run_length(track, slot, command.id, command.head, selected.extent) };
            command.state = State::Transferring(Run { bad_data, ..Run::good(slot, length) });
        }
        Match::TransferLast { bad_data } => {
            command.state = State::Transferring(Run { other_mark: true, bad_data, ..Run::good(slot, 1) });
        }
        Match::Skip => {
            command.status.st2 |= st2::CONTROL_MARK;
            sectors::end_sector(command, false);
            return if command.state == State::Ended { Located::Id { slot } } else { Located::Skipped { slot } };
        }
        Match::Fail { st1, st2 } => {
            command.fail(st1, st2);
            return Located::Id { slot };
        }
    }
    Located::Data { slot }
}
