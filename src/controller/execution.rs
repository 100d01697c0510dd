//! A command in its execution phase, whichever it is, and the disk that it began with.

use super::{
    fifo::Host,
    format::{FormatIds, FormatTrack},
    registers::st1,
    signals::Passed,
    timing::{AtOnce, Nanoseconds, Schedule, Timed},
    transfer::{Direction, Progress, Transfer},
};
use crate::drive::Head;

/// A command that has to do with the disk.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Execution {
    job: Job,
    /// When it goes on, if it takes time.
    schedule: Schedule,
    /// The disk that it works on, from when there first was one.
    disk: Option<u64>,
    /// No disk turned when it last looked.
    stalled: bool,
}

/// What a command has moved between disk and host.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Moved {
    pub sectors: u32,
    pub bytes_read: u32,
    pub bytes_written: u32,
}

#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
enum Job {
    Transfer(Transfer),
    Format(FormatTrack),
}

impl Execution {
    #[inline]
    pub(super) fn transfer(transfer: Transfer, due: Nanoseconds) -> Self {
        let schedule = Schedule::new(due, transfer.rate(), transfer.encoding());
        Self { job: Job::Transfer(transfer), schedule, disk: None, stalled: false }
    }

    pub(super) fn format(format: FormatTrack, due: Nanoseconds) -> Self {
        let schedule = Schedule::new(due, format.rate(), format.encoding());
        Self { job: Job::Format(format), schedule, disk: None, stalled: false }
    }

    /// It is one that the chip can be in.
    pub(super) fn is_sound(&self, now: Nanoseconds) -> bool {
        self.schedule.is_sound(now)
            && match &self.job {
                Job::Transfer(transfer) => transfer.is_sound(),
                Job::Format(format) => format.is_sound(),
            }
    }

    /// When it goes on by itself.
    pub(super) fn due(&self) -> Nanoseconds {
        self.schedule.due
    }

    /// Puts off what comes next.
    pub(super) fn wait_until(&mut self, due: Nanoseconds) {
        self.schedule.due = due;
    }

    /// No disk turns for it.
    pub(super) fn stall(&mut self) {
        self.stalled = true;
    }

    /// A disk turns again, at speed from `at_speed` on. What stood under the head when it stopped is lost.
    pub(super) fn resume(&mut self, at_speed: Nanoseconds) {
        if std::mem::take(&mut self.stalled) {
            self.schedule.due = self.schedule.due.max(at_speed);
            match &mut self.job {
                Job::Transfer(transfer) => transfer.lose_sector(),
                Job::Format(format) => format.start_again(),
            }
        }
    }

    /// The way of the data; `None` when no data moves.
    pub(super) fn direction(&self) -> Option<Direction> {
        match &self.job {
            Job::Transfer(transfer) => transfer.direction(),
            Job::Format(_) => Some(Direction::FromHost),
        }
    }

    /// Its result is all that is left of it.
    pub(super) fn has_ended(&self) -> bool {
        match &self.job {
            Job::Transfer(transfer) => transfer.has_ended(),
            Job::Format(format) => format.has_ended(),
        }
    }

    /// This is the disk that it began with, or it has not begun with any.
    pub(super) fn is_on(&self, disk: u64) -> bool {
        self.disk.is_none_or(|begun| begun == disk)
    }

    /// Bytes are being written to the disk.
    pub(super) fn is_writing(&self) -> bool {
        match &self.job {
            Job::Transfer(transfer) => transfer.is_writing(),
            Job::Format(format) => format.is_writing(),
        }
    }

    /// It asks the host for data, or offers some.
    pub(super) fn waits_for_host(&self) -> bool {
        match &self.job {
            Job::Transfer(transfer) => transfer.waits_for_host(),
            Job::Format(format) => self.disk.is_some() && format.waits_for_host(),
        }
    }

    /// Goes on for as long as the host keeps up, and as time allows if there is any. `None` when no disk turns, or another
    /// than at the start.
    #[inline]
    pub(super) fn proceed(
        &mut self,
        head: Option<&mut Head<'_>>,
        host: &mut impl Host,
        ids: &mut FormatIds,
        now: Option<Nanoseconds>,
    ) -> Option<Progress> {
        if self.has_ended() {
            return Some(Progress::Ended);
        }
        let head = head?;
        if *self.disk.get_or_insert(head.disk()) != head.disk() {
            return None;
        }
        let progress = match (now, &mut self.job) {
            (None, Job::Transfer(transfer)) => transfer.proceed(head, host, &mut AtOnce),
            (None, Job::Format(format)) => format.proceed(head, host, ids, &mut AtOnce),
            (Some(now), job) => {
                let mut pace = Timed { now, schedule: &mut self.schedule };
                match job {
                    Job::Transfer(transfer) => transfer.proceed(head, host, &mut pace),
                    Job::Format(format) => format.proceed(head, host, ids, &mut pace),
                }
            }
        };
        if progress == Progress::Ended && self.writes() {
            self.end_writing(head);
        }
        Some(progress)
    }

    /// It may have written to the disk under this head.
    pub(super) fn has_written_to(&self, head: &Head<'_>) -> bool {
        self.writes() && self.disk == Some(head.disk())
    }

    /// It writes to the disk, unless it fails.
    fn writes(&self) -> bool {
        match &self.job {
            Job::Transfer(transfer) => transfer.writes(),
            Job::Format(_) => true,
        }
    }

    /// What was written goes to where the medium has it. When it cannot, the command fails.
    pub(super) fn end_writing(&mut self, head: &mut Head<'_>) {
        if let Err(error) = head.end_of_command() {
            match &mut self.job {
                Job::Transfer(transfer) => _ = transfer.fail_medium(&error),
                Job::Format(format) => format.fail_medium(&error),
            }
        }
    }

    /// The side under the head.
    #[inline]
    pub(super) fn side(&self) -> u8 {
        match &self.job {
            Job::Transfer(transfer) => transfer.side(),
            Job::Format(format) => format.side(),
        }
    }

    /// What has passed the head since the last call.
    #[inline]
    pub(super) fn take_passed(&mut self) -> Passed {
        match &mut self.job {
            Job::Transfer(transfer) => transfer.take_passed(),
            Job::Format(format) => format.take_passed(),
        }
    }

    /// Ends because the host did not keep up.
    pub(super) fn overrun(&mut self, head: Option<&mut Head<'_>>) {
        let mut head = head.filter(|head| self.disk == Some(head.disk()));
        match &mut self.job {
            Job::Transfer(transfer) => transfer.overrun(head.as_deref_mut()),
            Job::Format(format) => format.fail(st1::OVERRUN),
        }
        if let Some(head) = head.filter(|_| self.writes()) {
            self.end_writing(head);
        }
    }

    /// Ends as if two index pulses had passed without an address mark.
    pub(super) fn fail_without_disk(&mut self) {
        match &mut self.job {
            Job::Transfer(transfer) => transfer.fail(st1::MISSING_ADDRESS_MARK, 0),
            Job::Format(format) => format.fail(st1::MISSING_ADDRESS_MARK),
        }
    }

    /// What it has moved.
    #[inline]
    pub(super) fn moved(&self) -> Moved {
        match &self.job {
            Job::Transfer(transfer) => transfer.moved(),
            Job::Format(format) => Moved { sectors: format.sectors_written(), ..Moved::default() },
        }
    }

    /// ST0, ST1, ST2, C, H, R, N.
    #[inline]
    pub(super) fn result(&self, ids: &FormatIds) -> [u8; 7] {
        match &self.job {
            Job::Transfer(transfer) => transfer.result(),
            Job::Format(format) => format.result(ids),
        }
    }
}
