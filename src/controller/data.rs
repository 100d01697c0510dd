//! A data command in its execution phase (§4): what all of them share, and the operation. How it waits for the disk is the
//! business of the two drivers, [`immediate`] and [`rotating`], which call what is here.

pub(super) mod advance;
pub(super) mod format;
pub(super) mod immediate;
pub(super) mod locate;
pub(super) mod operation;
pub(super) mod read;
pub(super) mod rotating;
pub(super) mod run;
pub(super) mod scan;
pub(super) mod schedule;
pub(super) mod search;
pub(super) mod sectors;
pub(super) mod verify;
pub(super) mod write;

use format::FormatIds;
use log::debug;
use operation::{Operation, SectorAction, SectorCommand};
use run::{Run, SectorSize};
use schedule::{Recording, Schedule};
use write::Write;

use super::{
    command::{DataAction, Direction, HeadUnit, MAX_COMMAND, encoding},
    fifo::HostPort,
    register_file::HeadActivity,
    registers::{st0, st1, st2},
};
use crate::{
    drive::{Head, MediumId},
    media::{DataRate, MediumError, SectorId, Track},
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
#[repr(u8)] // Each sector reads the tag several times: as a byte of its own, not packed into a run.
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
    /// The medium cannot hold what was to be written.
    pub limit_met: bool,
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
    #[inline]
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

    /// Returns whether the command is READ ID.
    pub(super) fn is_read_id(&self) -> bool {
        matches!(self.operation, Operation::ReadId)
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
        self.write().is_some() || self.is_format()
    }

    /// Returns whether the command is FORMAT TRACK.
    pub(super) fn is_format(&self) -> bool {
        matches!(self.operation, Operation::Format(_))
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
            // The disk cannot be written so: drivers report it as write protected, and do not try again.
            (MediumError::Unsupported, _) => (st1::NOT_WRITABLE, 0),
            (MediumError::Absent, _) if self.is_format() => (st1::NOT_WRITABLE, 0),
            (MediumError::Absent, _) => (st1::NO_DATA, 0),
            (MediumError::WriteProtected, _) => (st1::NOT_WRITABLE, 0),
            (MediumError::Io(_), true) => (st1::DATA_ERROR, 0),
            (MediumError::Io(_), false) => (st1::DATA_ERROR, st2::DATA_ERROR),
        };
        self.counts.limit_met |= matches!(error, MediumError::Unsupported);
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
            self.fail(st1::DATA_ERROR, if self.writes() { 0 } else { st2::DATA_ERROR });
        }
    }

    /// Returns the track under the head, if the command can read its marks.
    fn readable<'t, 'a>(&self, track: &'t Option<Track<'a>>, head: &Head<'_>) -> Option<&'t Track<'a>> {
        let Recording { rate, encoding } = self.recording;
        track.as_ref().filter(|track| head.reads(track, rate, encoding))
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

    /// Writes the track of FORMAT TRACK with the ID fields that are there. A medium that cannot hold a track which the host left
    /// incomplete stays as it is: the overrun says why the command fails.
    fn write_track(&mut self, ids: &FormatIds, complete: bool, head: &mut Head<'_>) {
        let Operation::Format(format) = &self.operation else { return };
        match format.write(self.recording, ids, (self.head, head)) {
            Ok(sectors) => {
                self.counts.sectors = sectors;
                self.activity.written = true;
            }
            Err(MediumError::Unsupported) if !complete => {}
            Err(error) => self.fail_medium(&error),
        }
    }
}
