//! Where a data command goes on: the sector or the ID field that it looks for next.

use super::{
    DataCommand, Located, SEARCH_PULSES, State,
    operation::{Operation, SectorAction},
    read::ReadTrack,
    run::{MAX_SIZE_CODE, Run},
    search::{Match, find_sector, match_sector, next_good_id, run_length},
};
use crate::{
    controller::registers::{st1, st2},
    drive::Head,
    media::{Mark, Track},
};

impl DataCommand {
    /// Looks for the next sector from slot `from` on, and sets the state by what it finds.
    #[inline(always)] // 4 % of a READ DATA of one sector, with those of `sectors`.
    pub(super) fn search(&mut self, from: usize, head: &mut Head<'_>) -> Located {
        let located = match &self.operation {
            Operation::Sectors(command)
                if matches!(command.action, SectorAction::Write(_)) && head.write_protected() =>
            {
                self.fail(st1::NOT_WRITABLE, 0);
                return Located::Refused;
            }
            _ => self.search_track(from, head),
        };
        match located {
            Located::Data { .. } | Located::Nothing { .. } | Located::Refused => {}
            Located::Id { slot } | Located::Skipped { slot } => head.set_next_slot(slot + 1),
        }
        located
    }

    #[inline(always)] // 4 % of a READ DATA of one sector, with those of `sectors`.
    fn search_track(&mut self, from: usize, head: &Head<'_>) -> Located {
        let track = head.track(self.head);
        let Some(track) = self.readable(&track, head) else {
            self.fail(st1::MISSING_ADDRESS_MARK, 0);
            return Located::Nothing { index_pulses: SEARCH_PULSES };
        };
        self.activity.read = true;
        match &self.operation {
            Operation::ReadId => match next_good_id(track, from) {
                Some((slot, id)) => {
                    (self.id, self.state) = (id, State::Ended);
                    Located::Id { slot }
                }
                None => {
                    self.fail(st1::NO_DATA, 0);
                    Located::Nothing { index_pulses: SEARCH_PULSES }
                }
            },
            Operation::ReadTrack(read) => self.next_on_track(track, read.sectors_read.into()),
            Operation::Sectors(_) => {
                // A track of consecutive sectors has its place without a search.
                match track.regular_slot(self.id).map_or_else(|| find_sector(track, self.id, from), Ok) {
                    Ok(slot) => self.take_sector(track, slot),
                    Err(cylinders) => {
                        self.fail(st1::NO_DATA, cylinders);
                        Located::Nothing { index_pulses: SEARCH_PULSES }
                    }
                }
            }
            // FORMAT TRACK looks for nothing.
            Operation::Format(_) => Located::Refused,
        }
    }

    /// Takes the next sector of READ TRACK, which is in `slot`.
    fn next_on_track(&mut self, track: &Track<'_>, slot: usize) -> Located {
        // The index hole comes again before EOT sectors were read (its status is not established), or N is no sector's.
        let Some(sector) = track.sector(slot).filter(|_| self.id.size_code <= MAX_SIZE_CODE) else {
            self.fail(st1::NO_DATA, 0);
            return Located::Nothing { index_pulses: 1 };
        };
        let (st1, st2) = ReadTrack::status_of(&sector, self.id);
        self.status.st1 |= st1;
        self.status.st2 |= st2;
        match sector.mark {
            Some(_) => {
                self.state = State::Transferring(Run { bad_data: sector.data_crc_error, ..Run::good(slot, 1) });
            }
            None => self.fail(0, 0),
        }
        Located::Data { slot }
    }

    /// Takes the sector in `slot`, which has the ID that is looked for, and those that follow it.
    #[inline(always)] // 4 % of a READ DATA of one sector, with those of `sectors`.
    fn take_sector(&mut self, track: &Track<'_>, slot: usize) -> Located {
        let (Operation::Sectors(command), Some(sector)) = (&self.operation, track.sector(slot)) else {
            self.fail(st1::NO_DATA, 0);
            return Located::Id { slot };
        };
        let wanted = match &command.action {
            SectorAction::Read { mark, .. } => Some(*mark),
            SectorAction::Write(_) => None,
            SectorAction::Verify(_) | SectorAction::Scan(_) => Some(Mark::Data),
        };
        match match_sector(&sector, wanted, command.skip) {
            Match::Transfer { bad_data } => {
                // DTL cuts each sector short, and SCAN evaluates each by itself.
                let alone = self.id.size_code == 0 || matches!(command.action, SectorAction::Scan(_));
                let length = if alone { 1 } else { run_length(track, slot, self.id, self.head, command.extent) };
                self.state = State::Transferring(Run { bad_data, ..Run::good(slot, length) });
            }
            Match::TransferLast { bad_data } => {
                self.state = State::Transferring(Run { other_mark: true, bad_data, ..Run::good(slot, 1) });
            }
            Match::Skip => {
                self.status.st2 |= st2::CONTROL_MARK;
                self.end_sector(self.id, false);
                return if self.state == State::Ended { Located::Id { slot } } else { Located::Skipped { slot } };
            }
            Match::Fail { st1, st2 } => {
                self.fail(st1, st2);
                return Located::Id { slot };
            }
        }
        Located::Data { slot }
    }
}
