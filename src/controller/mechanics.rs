//! What the mechanics of the drives take: deadlines of spin-up, settling, head load and drive polling. A controller without
//! time has none of it.

use super::{
    settings::Specify,
    time::{MICROSECOND, MILLISECOND, Nanoseconds},
};
use crate::{drive::DriveType, media::DataRate};

/// From the end of a reset to the first poll of the drives; 8 to 250 us are known to serve all guests (§6.2).
const RESET_TO_POLL: Nanoseconds = 100 * MICROSECOND;

/// From the last step until the head has settled (§10.2).
pub(super) const SETTLING: Nanoseconds = 15 * MILLISECOND;

/// The deadlines of the drives. All are moments on the clock of the chip; those in the past have no effect.
#[derive(Clone, Debug, Default)]
pub(super) struct Mechanics {
    /// When the drives are polled for the first time after a reset.
    pub poll_due: Option<Nanoseconds>,
    /// By drive: when its head has settled after the last step.
    pub head_settled_at: [Nanoseconds; 4],
    /// By drive: when its motor is up to speed.
    pub at_speed_at: [Nanoseconds; 4],
    /// When the head is unloaded after the last command.
    pub head_unloaded_at: Nanoseconds,
    /// By drive: since when its disk, which turned at speed, slows down. `None` while its motor is on, and before it first was.
    pub slowing_since: [Option<Nanoseconds>; 4],
}

/// How long a disk is read after its motor was turned off. Drives keep their speed to 1.5 %. A disk that takes as long to stop
/// as to start, 400 ms and more, is slower by that after 6 ms (not established for any drive).
const READABLE_WHILE_SLOWING: Nanoseconds = 5 * MILLISECOND;

impl Mechanics {
    /// Starts the motor of a drive. A disk that still turns needs as long to be at speed as it has slowed down.
    pub(super) fn start_motor(&mut self, now: Nanoseconds, drive: usize, drive_type: DriveType) {
        let spin_up = drive_type.spin_up() * MILLISECOND;
        let slowed = self.slowing_since[drive].take().map_or(spin_up, |since| now - since);
        self.at_speed_at[drive] = now + slowed.min(spin_up);
    }

    /// Stops the motor of a drive. A disk that is not at speed yet counts as one that has slowed down for as long.
    pub(super) fn stop_motor(&mut self, now: Nanoseconds, drive: usize) {
        let missing = self.at_speed_at[drive].saturating_sub(now);
        self.slowing_since[drive] = Some(now.saturating_sub(missing));
    }

    /// Returns until when the disk of a drive whose motor is off can be read, if it turned.
    pub(super) fn readable_until(&self, drive: usize) -> Option<Nanoseconds> {
        self.slowing_since[drive].map(|since| since + READABLE_WHILE_SLOWING)
    }

    /// Returns whether the motor of a drive, which is on, is up to speed.
    pub(super) fn is_at_speed(&self, now: Nanoseconds, drive: usize) -> bool {
        self.at_speed_at[drive] <= now
    }

    /// Steps the head of a drive.
    pub(super) fn step(&mut self, now: Nanoseconds, drive: usize) {
        self.head_settled_at[drive] = now + SETTLING;
    }

    /// Ends a reset: the drives are to be polled.
    pub(super) fn schedule_poll(&mut self, now: Nanoseconds) {
        self.poll_due = Some(now + RESET_TO_POLL);
    }

    /// Stops what a reset stops. Motors, heads and disks do not notice.
    pub(super) fn reset(&mut self) {
        (self.poll_due, self.head_unloaded_at) = (None, 0);
    }

    /// Ends a command that had the head loaded.
    pub(super) fn end_command(&mut self, now: Nanoseconds, specify: Specify, rate: DataRate) {
        self.head_unloaded_at = now + specify.head_unload(rate);
    }

    /// Returns when a data command finds the disk of a drive at speed, under a head that is loaded and has settled.
    /// `steps_end` is when the last step of a seek that is under way is made, if one is.
    pub(super) fn ready_at(
        &self,
        now: Nanoseconds,
        drive: usize,
        steps_end: Option<Nanoseconds>,
        head_load: Nanoseconds,
    ) -> Nanoseconds {
        let loaded = if now < self.head_unloaded_at { now } else { now + head_load };
        let settled = steps_end.map_or(self.head_settled_at[drive], |end| end + SETTLING);
        loaded.max(settled).max(self.at_speed_at[drive])
    }
}
