//! A data command in its execution phase (§4): what all of them share, and the operation. How it waits for the disk is the
//! business of the two drivers, [`immediate`] and [`rotating`], which call what is here.

pub(super) mod advance;
pub(super) mod format;
pub(super) mod immediate;
pub(super) mod operation;
pub(super) mod read;
pub(super) mod rotating;
pub(super) mod run;
pub(super) mod scan;
pub(super) mod schedule;
pub(super) mod search;
pub(super) mod verify;
pub(super) mod write;

use advance::next_id;
use format::FormatIds;
use log::debug;
use operation::{Operation, SectorAction, SectorCommand};
use read::ReadTrack;
use run::{MAX_SIZE_CODE, Piece, Run, SectorSize};
use schedule::{Recording, Schedule};
use search::{Match, find_sector, match_sector, next_good_id, run_length};
use verify::Verify;
use write::Write;

use super::{
    command::{DataAction, Direction, HeadUnit, MAX_COMMAND, encoding},
    fifo::HostPort,
    register_file::HeadActivity,
    registers::{st0, st1, st2},
};
use crate::{
    drive::{Head, MediumId},
    media::{DataRate, Mark, MediumError, SectorId, Track},
};

/// A data command.
#[derive(Clone, Debug)]
pub(super) struct DataCommand {
    pub operation: Operation,
    pub recording: Recording,
    /// DS: the unit whose number ST0 has.
    pub unit: u8,
    /// HDS, and after a change of heads by MT the other one.
    pub head: u8,
    /// C, H, R and N of the sector that is looked for or transferred, or of the result.
    pub id: SectorId,
    pub state: State,
    pub status: Status,
    pub counts: Counts,
    /// What passed the head and was not yet recorded.
    pub activity: HeadActivity,
    /// The medium that the command works on, from when there first was one.
    pub medium: Option<MediumId>,
    /// With timing: when the command goes on.
    pub schedule: Option<Schedule>,
}

/// How far a command is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The next sector is to be looked for, or the track to be formatted.
    Searching,
    /// Sectors are being transferred.
    Transferring(Run),
    /// The result is all that is left of the command.
    Ended,
}

/// ST0 without the head and the unit, ST1 and ST2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    pub st0: u8,
    pub st1: u8,
    pub st2: u8,
}

/// What a command has moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Sectors that were transferred whole, or formatted.
    pub sectors: u32,
    /// Bytes that the host took or gave.
    pub bytes: u32,
}

/// What one call of a driver came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunOutcome {
    /// The command waits for the host, or for the disk.
    Waiting,
    Ended,
    /// No disk turns, or another one than at the start.
    NoDisk,
}

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Located {
    /// The data field in this slot is transferred, or missing.
    Data { slot: usize },
    /// The ID in this slot ended the command.
    Id { slot: usize },
    /// The data field in this slot passes unread.
    Skipped { slot: usize },
    /// The command failed after as many index pulses.
    Nothing { index_pulses: u64 },
    /// The command failed before anything passed.
    Refused,
}

/// A search ends with the second index pulse (§4.1).
const SEARCH_PULSES: u64 = 2;

impl DataCommand {
    /// Returns the data command that the bytes of a command phase ask for. `seek_end`: an implied seek moved the head before it.
    pub(super) fn new(
        action: DataAction,
        bytes: &[u8; MAX_COMMAND],
        rate: DataRate,
        seek_end: bool,
        schedule: Option<Schedule>,
    ) -> Self {
        let [opcode, head_unit, cylinder, id_head, sector, size_code, ..] = *bytes;
        let HeadUnit { head, unit } = HeadUnit::of(head_unit);
        Self {
            operation: Operation::of(action, bytes),
            recording: Recording { rate, encoding: encoding(opcode) },
            unit,
            head,
            id: match action {
                DataAction::Transfer(_) => SectorId { cylinder, head: id_head, sector, size_code },
                DataAction::ReadId | DataAction::FormatTrack => SectorId::default(),
            },
            state: State::Searching,
            status: Status { st0: if seek_end { st0::SEEK_END } else { 0 }, ..Status::default() },
            counts: Counts::default(),
            activity: HeadActivity::default(),
            medium: None,
            schedule,
        }
    }

    /// Returns how many bytes of a sector are transferred; `None` for a command that transfers no sectors.
    pub(super) fn bytes_of_a_sector(&self) -> Option<usize> {
        let size = SectorSize::of(self.id.size_code).bytes();
        match &self.operation {
            Operation::ReadId | Operation::Format(_) => None,
            Operation::ReadTrack(read) => Some(read.data_length.wanted(size)),
            Operation::Sectors(command) => match &command.action {
                SectorAction::Read { data_length, .. } | SectorAction::Write(Write { data_length, .. }) => {
                    Some(data_length.wanted(size))
                }
                SectorAction::Verify(_) | SectorAction::Scan(_) => Some(size),
            },
        }
    }

    /// Returns the direction of the data; `None` when no data moves.
    pub(super) fn direction(&self) -> Option<Direction> {
        match &self.operation {
            Operation::ReadTrack(_) => Some(Direction::ToHost),
            Operation::Format(_) => Some(Direction::FromHost),
            Operation::ReadId => None,
            Operation::Sectors(command) => match command.action {
                SectorAction::Read { .. } => Some(Direction::ToHost),
                SectorAction::Write(_) | SectorAction::Scan(_) => Some(Direction::FromHost),
                SectorAction::Verify(_) => None,
            },
        }
    }

    /// Returns what WRITE DATA and WRITE DELETED DATA write.
    fn write(&self) -> Option<Write> {
        match &self.operation {
            Operation::Sectors(SectorCommand { action: SectorAction::Write(write), .. }) => Some(*write),
            _ => None,
        }
    }

    /// Returns whether the command writes to the disk, unless it fails.
    pub(super) fn writes(&self) -> bool {
        self.write().is_some() || matches!(self.operation, Operation::Format(_))
    }

    /// Returns whether bytes are being written to the disk: WE is up.
    pub(super) fn is_writing(&self, now: u64) -> bool {
        match (&self.operation, self.state) {
            (_, State::Ended) => false,
            (Operation::Format(_), _) => self
                .schedule
                .is_some_and(|schedule| schedule.index_awaited && schedule.bytes_elapsed(self.recording, now) > 0),
            (_, State::Transferring(run)) => self.write().is_some() && run.offset > 0,
            (_, State::Searching) => false,
        }
    }

    /// Returns whether the command asks the host for data, or offers some.
    pub(super) fn waits_for_host(&self) -> bool {
        match (&self.operation, self.state) {
            (_, State::Ended) => false,
            (Operation::Format(format), _) => self.medium.is_some() && format.waits_for_host(),
            (_, State::Transferring(_)) => self.schedule.is_none_or(|schedule| !schedule.host_is_served),
            (_, State::Searching) => false,
        }
    }

    /// Returns whether `medium` is the one that the command works on, or may begin to work on.
    pub(super) fn is_on(&self, medium: MediumId) -> bool {
        self.medium.is_none_or(|begun| begun == medium)
    }

    /// Returns the head over the disk that the command works on; `None` when no disk turns, or another one.
    fn attend<'h, 'd>(&mut self, head: Option<&'h mut Head<'d>>) -> Option<&'h mut Head<'d>> {
        let head = head?;
        (*self.medium.get_or_insert(head.medium_id()) == head.medium_id()).then_some(head)
    }

    /// Commits what the command wrote to the medium. When that fails, so does the command.
    pub(super) fn commit(&mut self, head: &mut Head<'_>) {
        if let Err(error) = head.commit() {
            self.fail_medium(&error);
        }
    }

    /// Returns what the head read and wrote since the last call.
    #[inline]
    pub(super) fn take_activity(&mut self) -> HeadActivity {
        std::mem::take(&mut self.activity)
    }

    /// Returns ST0, ST1, ST2, C, H, R and N.
    #[inline]
    pub(super) fn result(&self) -> [u8; 7] {
        let Status { st0, st1, st2 } = self.status;
        let head_unit = HeadUnit { head: self.head, unit: self.unit };
        let SectorId { cylinder, head, sector, size_code } = self.id;
        [st0 | head_unit.bits(), st1, st2, cylinder, head, sector, size_code]
    }

    /// Ends the command with IC = 01.
    pub(super) fn fail(&mut self, st1: u8, st2: u8) {
        self.status.st0 |= st0::ABNORMAL;
        self.status.st1 |= st1;
        self.status.st2 |= st2;
        self.state = State::Ended;
    }

    /// Ends the command because the medium failed, or cannot hold what is to be written (§4.12).
    #[cold]
    pub(super) fn fail_medium(&mut self, error: &MediumError) {
        debug!("{:?} at {:?}: {error}", self.operation, self.id);
        let (st1, st2) = match (error, self.writes()) {
            (MediumError::Absent, _) if matches!(self.operation, Operation::Format(_)) => (0, 0),
            (MediumError::Absent, _) => (st1::NO_DATA, 0),
            (MediumError::Unsupported, _) => (0, 0),
            (MediumError::WriteProtected, _) => (st1::NOT_WRITABLE, 0),
            (MediumError::Io(_), true) => (st1::DATA_ERROR, 0),
            (MediumError::Io(_), false) => (st1::DATA_ERROR, st2::DATA_ERROR),
        };
        self.fail(st1, st2);
    }

    /// Ends the command because the host did not keep up (§4.14): a sector that is being written is completed with zeros, and
    /// one that is being read is read to its CRC.
    pub(super) fn overrun(&mut self, head: Option<&mut Head<'_>>) {
        if let State::Transferring(run) = self.state {
            if let (Some(write), Some(head)) = (self.write(), head) {
                write.complete_sector(run, SectorSize::of(self.id.size_code), self.head, head);
            }
            if run.bad_data {
                self.fail(st1::DATA_ERROR, st2::DATA_ERROR);
            }
            if run.other_mark {
                self.status.st2 |= st2::CONTROL_MARK;
            }
        }
        self.fail(st1::OVERRUN, 0);
    }

    /// Puts an overrun on the disk that the command works on, if it is `head`'s, and commits what was written.
    pub(super) fn overrun_on(&mut self, head: Option<&mut Head<'_>>) {
        let mut head = head.filter(|head| self.medium == Some(head.medium_id()));
        self.overrun(head.as_deref_mut());
        if let Some(head) = head.filter(|_| self.writes()) {
            self.commit(head);
        }
    }

    /// Ends the command as if two index pulses had passed without an address mark.
    pub(super) fn fail_without_disk(&mut self) {
        self.fail(st1::MISSING_ADDRESS_MARK, 0);
    }

    /// Gives up the sector under the head, because the disk stopped: nobody saw its CRC.
    fn abort_sector(&mut self) {
        if matches!(self.state, State::Transferring(_)) {
            self.fail(st1::DATA_ERROR, st2::DATA_ERROR);
        }
    }

    /// Returns the track under the head, if the command can read its marks.
    fn readable<'t, 'a>(&self, track: &'t Option<Track<'a>>, head: &Head<'_>) -> Option<&'t Track<'a>> {
        let Recording { rate, encoding } = self.recording;
        track.as_ref().filter(|track| head.reads(track, rate, encoding))
    }

    /// Looks for the next sector from slot `from` on, and sets the state by what it finds.
    #[inline(always)]
    fn search(&mut self, from: usize, head: &mut Head<'_>) -> Located {
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

    #[inline(always)]
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
    #[inline(always)]
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

    /// Moves bytes of a run between the disk and the host, up to the first `limit` bytes.
    #[inline(always)]
    fn move_data(
        &mut self,
        run: Run,
        limit: usize,
        head: &mut Head<'_>,
        port: &mut impl HostPort,
    ) -> Result<Piece, MediumError> {
        let size = SectorSize::of(self.id.size_code);
        match &mut self.operation {
            Operation::ReadTrack(ReadTrack { data_length, .. })
            | Operation::Sectors(SectorCommand { action: SectorAction::Read { data_length, .. }, .. }) => {
                read::transfer(run, size, *data_length, limit, (self.head, head), port)
            }
            Operation::Sectors(command) => match &mut command.action {
                SectorAction::Read { .. } => Err(MediumError::Absent),
                SectorAction::Write(write) => {
                    let piece = write.transfer((run, self.id, command.extent), limit, (self.head, head), port)?;
                    self.activity.written = true;
                    Ok(piece)
                }
                SectorAction::Verify(verify) => verify.transfer(run, size, self.head, head),
                SectorAction::Scan(scan) => {
                    let piece = scan.transfer(run, size, limit, (self.head, head), port)?;
                    if piece.moved.terminal_count || run.offset() + piece.moved.bytes >= piece.wanted {
                        let evaluated = scan.evaluate();
                        self.status.st2 &= !(st2::SCAN_HIT | st2::SCAN_NOT_SATISFIED);
                        self.status.st2 |= evaluated;
                    }
                    Ok(piece)
                }
            },
            Operation::ReadId | Operation::Format(_) => Err(MediumError::Absent),
        }
    }

    /// Accounts for a piece of a run, and sets the state by what is left. Returns whether the host took or gave all that it
    /// was offered, or ended the transfer.
    #[inline(always)]
    fn account(&mut self, run: Run, piece: Piece, head: &mut Head<'_>) -> bool {
        let Piece { moved, offered, wanted, available, short } = piece;
        let size = SectorSize::of(self.id.size_code);
        let run = Run { bad_data: run.bad_data || short, ..run };
        let offset = run.offset() + moved.bytes;
        let all = offset >= wanted;
        let sectors = match (all, moved.terminal_count) {
            (true, _) => size.sectors_touched(available),
            (false, true) => size.sectors_touched(offset),
            (false, false) => size.sectors_in(offset),
        };
        if let Some(write) = self.write().filter(|_| sectors > 0) {
            head.finish_write(self.head, run.slot(), sectors, write.mark);
        }
        self.counts.sectors += sectors as u32;
        self.counts.bytes += moved.bytes as u32;
        self.state = State::Searching;
        let slot = if sectors > 0 { self.end_sectors(run, sectors, moved.terminal_count) } else { run.slot() };
        head.set_next_slot(slot);
        if all || moved.terminal_count {
            return true;
        }
        if self.state == State::Searching {
            let offset = offset - size.bytes_of(sectors);
            let sectors = run.sectors - sectors as u16;
            self.state = State::Transferring(Run { slot: slot as u16, sectors, offset: offset as u16, ..run });
        }
        moved.bytes == offered
    }

    /// Ends a number of sectors of a run. Returns the slot behind the last of them.
    #[inline(always)]
    fn end_sectors(&mut self, run: Run, sectors: usize, terminal_count: bool) -> usize {
        let (mut id, mut slot, mut sectors) = (self.id, run.slot(), sectors);
        if let Operation::Sectors(SectorCommand { extent, .. }) = &self.operation
            && let Some(under_other_head) = sectors.checked_sub(extent.sectors_from(id.sector)).filter(|&more| more > 0)
        {
            id = next_id(id, true, true, 0);
            self.head = 1;
            (slot, sectors) = (0, under_other_head);
        }
        id.sector = id.sector.wrapping_add((sectors - 1) as u8);
        let head = self.head;
        if run.bad_data {
            match self.operation {
                Operation::ReadTrack(_) => {
                    self.status.st1 |= st1::DATA_ERROR;
                    self.status.st2 |= st2::DATA_ERROR;
                }
                _ => self.fail(st1::DATA_ERROR, st2::DATA_ERROR),
            }
        }
        if run.other_mark {
            self.status.st2 |= st2::CONTROL_MARK;
            self.state = State::Ended;
        }
        match self.state {
            State::Ended => self.id = id,
            _ => self.end_sector(id, terminal_count),
        }
        if self.head == head { slot + sectors } else { 0 }
    }

    /// Ends the sector `id`: goes on to the next one, or ends the command at terminal count and after the last sector.
    #[inline(always)]
    fn end_sector(&mut self, id: SectorId, terminal_count: bool) {
        match &mut self.operation {
            Operation::ReadTrack(read) => {
                let last = read.count();
                self.id = next_id(id, last, false, self.head);
                self.end_if(terminal_count, last, id);
            }
            Operation::Sectors(command) => {
                let next = command.extent.after(id, self.head);
                match &command.action {
                    SectorAction::Scan(scan) => {
                        let end = scan.end_sector((id, self.head), next, command.extent.end_of_track, terminal_count);
                        self.status.st2 |= end.st2;
                        (self.id, self.head) = (end.id, end.head);
                        match end.ended {
                            Some(0) => self.state = State::Ended,
                            Some(st1) => self.fail(st1, 0),
                            None => {}
                        }
                    }
                    SectorAction::Verify(Verify { remaining: None }) if next.last => {
                        (self.id, self.state) = (next.id, State::Ended);
                    }
                    _ => {
                        self.id = next.id;
                        self.end_if(terminal_count, next.last, id);
                        if self.state != State::Ended {
                            self.head = next.head;
                        }
                    }
                }
            }
            Operation::ReadId | Operation::Format(_) => {}
        }
    }

    /// Ends the command at terminal count, or with EN after the last sector `id`. The data sheet does not say which ID EN
    /// leaves: that of the last sector, which drivers expect (§4.2).
    fn end_if(&mut self, terminal_count: bool, last: bool, id: SectorId) {
        if terminal_count {
            self.state = State::Ended;
        } else if last {
            self.id = id;
            self.fail(st1::END_OF_CYLINDER, 0);
        }
    }

    /// Takes ID fields of the host for FORMAT TRACK, up to `end` of the `wanted` bytes. Returns how many bytes there are now,
    /// and whether terminal count came.
    fn take_ids(&mut self, ids: &mut FormatIds, end: usize, wanted: usize, port: &mut impl HostPort) -> (usize, bool) {
        let Operation::Format(format) = &mut self.operation else { return (0, false) };
        let terminal_count = format.take_ids(ids, end, wanted, port);
        let received = usize::from(format.received);
        // The result has no ID of its own: it bears the last one that came (§4.9).
        self.id = format.last_id(ids).unwrap_or_default();
        (received, terminal_count)
    }

    /// Writes the track of FORMAT TRACK with the ID fields that are there.
    fn write_track(&mut self, ids: &FormatIds, head: &mut Head<'_>) {
        let Operation::Format(format) = &self.operation else { return };
        match format.write(self.recording, ids, (self.head, head)) {
            Ok(sectors) => {
                self.counts.sectors = sectors;
                self.activity.written = true;
            }
            Err(error) => self.fail_medium(&error),
        }
    }
}
