//! The driver with time: a command waits for what passes the head, byte by byte where the host can see that.

use super::{
    DataCommand, Located, RunOutcome, State,
    format::{FormatIds, ID_BYTES},
    locate,
    operation::Operation,
    run::{Piece, Run, SectorSize},
    schedule::{Passing, Schedule},
    sectors,
};
use crate::{
    controller::{command::Direction, fifo::HostPort, registers::st1, time::Nanoseconds},
    drive::Head,
};

/// Lets a command go on as far as time and the host allow. `at_speed_at` is when the disk turns at speed. Out of line: the driver
/// without time is short, and stays so.
#[inline(never)]
pub(in crate::controller) fn run(
    command: &mut DataCommand,
    (now, at_speed_at): (Nanoseconds, Nanoseconds),
    head: Option<&mut Head<'_>>,
    port: &mut impl HostPort,
    ids: &mut FormatIds,
) -> RunOutcome {
    let Some(mut schedule) = command.schedule else { return RunOutcome::Ended };
    let stopped = head.is_some() && std::mem::take(&mut schedule.spindle_stopped);
    if stopped {
        // What was under the head when the disk stopped is lost.
        schedule.due = schedule.due.max(at_speed_at);
        schedule.index_awaited = false;
        command.abort_sector();
    }
    let outcome = match command.state {
        State::Ended => {
            if stopped
                && command.writes()
                && let Some(head) = command.attend(head)
            {
                command.commit(head);
            }
            RunOutcome::Ended
        }
        _ => match command.attend(head) {
            None => RunOutcome::NoDisk,
            Some(head) => {
                let disk = Passing::under(head, command.recording, now);
                Driver { command, schedule: &mut schedule, disk }.run(head, port, ids)
            }
        },
    };
    command.schedule = Some(schedule);
    outcome
}

/// A command on a disk that rotates, at a moment.
struct Driver<'a> {
    command: &'a mut DataCommand,
    schedule: &'a mut Schedule,
    disk: Passing,
}

impl Driver<'_> {
    fn is_due(&self) -> bool {
        self.schedule.due <= self.disk.now
    }

    fn bytes_elapsed(&self) -> usize {
        self.schedule.bytes_elapsed(self.disk.recording, self.disk.now)
    }

    fn run(mut self, head: &mut Head<'_>, port: &mut impl HostPort, ids: &mut FormatIds) -> RunOutcome {
        let outcome = match self.command.operation {
            Operation::Format(_) => self.format_track(head, port, ids),
            _ => self.transfer(head, port),
        };
        if outcome == RunOutcome::Ended && self.command.writes() {
            self.command.commit(head);
        }
        outcome
    }

    fn transfer(&mut self, head: &mut Head<'_>, port: &mut impl HostPort) -> RunOutcome {
        if !self.is_due() {
            return RunOutcome::Waiting;
        }
        loop {
            match self.command.state {
                State::Ended => return RunOutcome::Ended,
                State::Searching if !self.is_due() => return RunOutcome::Waiting,
                State::Searching => self.search(head, port),
                // Also before the first byte is due: the host is asked for bytes ahead of it.
                State::Transferring(run) => {
                    if !self.transfer_run(run, head, port) {
                        return RunOutcome::Waiting;
                    }
                }
            }
        }
    }

    /// Looks for the next sector, and waits for what it finds.
    fn search(&mut self, head: &mut Head<'_>, port: &impl HostPort) {
        let track = head.track(self.command.head);
        let readable = self.command.readable(&track, head);
        let from = readable.map_or(0, |track| self.disk.next_slot(track));
        if matches!(self.command.operation, Operation::ReadTrack(_))
            && readable.is_some()
            && !self.schedule.index_awaited
        {
            self.command.activity.read = true;
            self.schedule.index_awaited = true;
            return self.schedule.await_index(self.disk, 1);
        }
        let head_number = self.command.head;
        let located = locate::search(self.command, from, head);
        let first_request = self.first_request(port);
        let track = head.track(head_number);
        match (located, &track) {
            (Located::Data { slot }, Some(track)) => {
                self.schedule.await_data(self.disk, track, slot, first_request);
            }
            (Located::Id { slot }, Some(track)) => self.schedule.await_id(self.disk, track, slot),
            (Located::Skipped { slot }, Some(track)) => {
                self.schedule.await_data(self.disk, track, slot, 0);
                self.schedule.await_end(self.disk.recording, self.size().bytes());
            }
            (Located::Nothing { index_pulses }, _) => self.schedule.await_index(self.disk, index_pulses),
            (Located::Refused, _) | (_, None) => {}
        }
        if let State::Transferring(run) = &mut self.command.state {
            run.sectors = 1;
        }
    }

    fn size(&self) -> SectorSize {
        SectorSize::of(self.command.id.size_code)
    }

    /// Returns the bytes of a sector that pass before the host is asked for the first ones, or to take them.
    fn first_request(&self, port: &impl HostPort) -> usize {
        match self.command.direction() {
            None => self.size().bytes(),
            Some(_) => port.request_size(),
        }
    }

    /// Moves what has passed of a sector. Returns `false` when the command waits.
    fn transfer_run(&mut self, run: Run, head: &mut Head<'_>, port: &mut impl HostPort) -> bool {
        let passed = self.bytes_elapsed();
        match self.command.direction() {
            Some(Direction::FromHost) if passed <= run.offset() => {
                port.request(run.place(self.command.bytes_of_a_sector().unwrap_or(0), self.size()));
                return false;
            }
            Some(Direction::ToHost) if passed > run.offset() => {}
            None if passed >= self.size().bytes() => {}
            Some(Direction::FromHost) => {}
            Some(Direction::ToHost) | None => {
                self.schedule.host_is_served = true;
                return false;
            }
        }
        match sectors::move_data(self.command, run, passed, head, port) {
            Ok(piece) => self.account(run, piece, passed, head, port),
            Err(error) => {
                self.command.fail_medium(&error);
                true
            }
        }
    }

    /// Accounts for a piece of a sector, and schedules what comes next: the end of the sector, the next request, or, when
    /// the host is too late, an overrun (§4.14).
    fn account(&mut self, run: Run, piece: Piece, passed: usize, head: &mut Head<'_>, port: &impl HostPort) -> bool {
        let (moved, size) = (run.offset() + piece.moved.bytes, self.size().bytes());
        if moved >= piece.wanted || piece.moved.terminal_count {
            self.schedule.await_end(self.disk.recording, size);
            return sectors::account(self.command, run, piece, head);
        }
        let due = passed.min(piece.wanted);
        if moved < due && piece.moved.bytes > 0 {
            // The host moves what it can, and as often as it likes: only one that moves nothing is late.
            sectors::account(self.command, run, piece, head);
            return true;
        }
        let to_host = self.command.direction() != Some(Direction::FromHost);
        let room = port.overrun_limit(to_host);
        let limit = if to_host && due == piece.wanted && due - moved <= room {
            // What the FIFO holds at the end of a sector can wait for a revolution, as it can without time (not established).
            self.disk.capacity
        } else {
            room
        };
        if passed - moved > limit {
            let bad_data = run.bad_data || piece.short;
            self.command.state = State::Transferring(Run { offset: moved as u16, bad_data, ..run });
            self.command.overrun(Some(head));
            self.schedule.await_end(self.disk.recording, size);
            return true;
        }
        self.schedule.host_is_served = to_host && due == moved;
        let next = match due - moved {
            0 if port.shows_bytes() => (moved + port.request_size()).min(piece.wanted),
            0 => piece.wanted,
            // The host is asked again with each byte that passes, or would if the sector were longer.
            _ => passed + 1,
        };
        self.schedule.await_byte(self.disk.recording, next);
        sectors::account(self.command, run, piece, head)
    }

    /// Takes ID fields from index hole to index hole: each has to be there when its sector begins, and the next ones are asked
    /// for as far as the FIFO holds them.
    fn format_track(&mut self, head: &mut Head<'_>, port: &mut impl HostPort, ids: &mut FormatIds) -> RunOutcome {
        if !self.schedule.index_awaited && !self.is_due() {
            return RunOutcome::Waiting;
        }
        let Operation::Format(format) = &mut self.command.operation else { return RunOutcome::Ended };
        if head.write_protected() {
            self.command.fail(st1::NOT_WRITABLE, 0);
            return RunOutcome::Ended;
        }
        let wanted = format.measure(self.disk.recording, self.command.head, head);
        let (before_first, pitch) = format.layout(self.disk.recording, self.disk.capacity);
        if !self.schedule.index_awaited {
            self.schedule.index_awaited = true;
            self.schedule.await_index(self.disk, 1);
        }
        let revolution = self.disk.capacity;
        let passed = self.schedule.bytes_elapsed(self.disk.recording, self.disk.now).min(revolution);
        let begun = passed.checked_sub(before_first).map_or(0, |passed| (1 + passed / pitch) * ID_BYTES);
        let due = begun.min(wanted);
        let asked = (due + port.request_size().max(ID_BYTES).next_multiple_of(ID_BYTES)).min(wanted);
        let (received, terminal_count) = self.command.take_ids(ids, asked, wanted, port);
        if received < due || terminal_count && received < wanted {
            if terminal_count {
                self.command.write_track(ids, false, head);
            }
            self.command.fail(st1::OVERRUN, 0);
            self.schedule.await_byte(self.disk.recording, revolution);
            return RunOutcome::Ended;
        }
        if passed >= revolution {
            self.command.write_track(ids, true, head);
            self.command.state = State::Ended;
            return RunOutcome::Ended;
        }
        let next_sector = before_first + begun / ID_BYTES * pitch;
        let next = match due < wanted {
            // The host is asked again with each byte that passes.
            _ if received < asked => passed + 1,
            true => next_sector.min(revolution),
            false => revolution,
        };
        self.schedule.await_byte(self.disk.recording, next);
        RunOutcome::Waiting
    }
}
