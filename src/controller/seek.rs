//! The commands that move the head, and SENSE INTERRUPT STATUS, which tells how they ended.

use super::{
    chip::Chip,
    command::INWARD,
    registers::st0,
    timing::{Nanoseconds, SETTLING},
};
use crate::drive::{Drive, StepDirection};

/// RECALIBRATE gives up after this many steps, as the text of the command has it; the ST0 table of the data sheet says
/// 80. From further in, a second one is needed.
const RECALIBRATE_STEPS: u8 = 79;

/// What the drives have to tell by way of SENSE INTERRUPT STATUS. Bit n is drive n.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct InterruptStatus {
    /// Became ready, as polling after a reset found.
    polled: u8,
    /// Is on its way.
    seeking: u8,
    /// Ended a seek.
    seek_ended: u8,
    /// ST0 of the seek that ended.
    st0: [u8; 4],
}

impl InterruptStatus {
    /// All four drives became ready: the (tied) ready line is first looked at.
    pub(super) fn poll(&mut self) {
        self.polled = 0b1111;
    }

    /// Drops what polling found. `true` when it was still to be fetched.
    pub(super) fn forget_polling(&mut self) -> bool {
        std::mem::take(&mut self.polled) != 0
    }

    /// INT is up: by each seek that ended, and by polling until its first status is fetched.
    pub(super) fn interrupts(&self) -> bool {
        self.seek_ended != 0 || self.polled & 1 != 0
    }

    /// The DRVn BUSY bits of the MSR.
    #[inline]
    pub(super) fn busy(&self) -> u8 {
        self.seek_ended | self.seeking
    }

    /// It is one that the chip can be in.
    pub(super) fn is_sound(&self) -> bool {
        self.polled | self.seeking | self.seek_ended <= 0b1111
    }

    fn begin_seek(&mut self, unit: usize) {
        self.seeking |= 1 << unit;
    }

    fn end_seek(&mut self, unit: usize, st0: u8) {
        self.st0[unit] = st0 | unit as u8;
        self.seek_ended |= 1 << unit;
        self.rest(unit);
    }

    /// The drive is not on its way any more.
    fn rest(&mut self, unit: usize) {
        self.seeking &= !(1 << unit);
    }

    /// The lowest drive that has something to tell, and its ST0.
    fn take(&mut self) -> Option<(usize, u8)> {
        let unit = (self.polled | self.seek_ended).trailing_zeros() as usize;
        let st0 = *self.st0.get(unit)?;
        let bit = 1 << unit;
        if self.seek_ended & bit != 0 {
            self.seek_ended &= !bit;
            Some((unit, st0))
        } else {
            self.polled &= !bit;
            Some((unit, st0::POLLING | unit as u8))
        }
    }
}

/// A seek-type command on its way, step by step.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Seek {
    /// The drive that was selected when it began.
    drive: usize,
    direction: StepDirection,
    steps: u8,
    next: Nanoseconds,
    interval: Nanoseconds,
    /// None for the seek of a transfer, which tells nothing.
    end: Option<SeekEnd>,
}

/// What a seek-type command leaves.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct SeekEnd {
    /// PCN.
    cylinder: u8,
    /// ST0, without the drive.
    st0: u8,
    /// It fails unless the head is at track 0 then.
    wants_track_0: bool,
}

impl Seek {
    /// When its next step is due.
    pub(super) fn next(&self) -> Nanoseconds {
        self.next
    }

    /// It is one that the chip can be in.
    pub(super) fn is_sound(&self, end_of_time: Nanoseconds) -> bool {
        self.drive < 4 && self.steps > 0 && self.next < end_of_time && self.interval < end_of_time >> 9
    }

    /// When its last step is made.
    pub(super) fn last(&self) -> Nanoseconds {
        self.next + Nanoseconds::from(self.steps.saturating_sub(1)) * self.interval
    }

    /// The drive whose head it moves.
    pub(super) fn drive(&self) -> usize {
        self.drive
    }
}

impl Chip {
    /// SEEK: to cylinder `new`, by as many steps as the present cylinder number is off.
    pub(super) fn seek(&mut self, unit: usize, new: u8) {
        let (direction, steps) = self.way_to(unit, new);
        let end = SeekEnd { cylinder: new, st0: st0::SEEK_END, wants_track_0: false };
        self.begin_seek(unit, direction, steps, end);
    }

    /// The seek that CONFIGURE's EIS puts before a transfer. The number of steps that the head has to make.
    pub(super) fn implied_seek(&mut self, unit: usize, new: u8) -> u8 {
        let (direction, steps) = self.way_to(unit, new);
        if steps == 0 && self.seeks[unit].is_none() {
            return 0;
        }
        if !self.set_out(unit, direction, steps, None) {
            self.present_cylinder[unit] = new;
        }
        steps
    }

    fn way_to(&self, unit: usize, new: u8) -> (StepDirection, u8) {
        let present = self.present_cylinder[unit];
        let direction = if new > present { StepDirection::Inward } else { StepDirection::Outward };
        (direction, new.abs_diff(present))
    }

    /// RECALIBRATE: outward until the drive says track 0.
    pub(super) fn recalibrate(&mut self, unit: usize) {
        let steps = self.selected_drive().map_or(RECALIBRATE_STEPS, Drive::steps_to_track_0).min(RECALIBRATE_STEPS);
        let end = SeekEnd { cylinder: 0, st0: st0::SEEK_END, wants_track_0: true };
        self.begin_seek(unit, StepDirection::Outward, steps, end);
    }

    /// RELATIVE SEEK: by `steps` cylinders, whatever the present cylinder number is.
    ///
    /// 0 makes no step (not established: the data sheet may mean 256). An absent drive never says track 0, so that none
    /// is passed.
    pub(super) fn relative_seek(&mut self, opcode: u8, unit: usize, steps: u8) {
        let present = self.present_cylinder[unit];
        let (direction, cylinder, past_track_0) = if opcode & INWARD != 0 {
            (StepDirection::Inward, present.wrapping_add(steps), false)
        } else {
            let past_track_0 = self.selected_drive().is_some_and(|drive| drive.steps_to_track_0() < steps);
            (StepDirection::Outward, present.wrapping_sub(steps), past_track_0)
        };
        let failure = if past_track_0 { st0::ABNORMAL | st0::EQUIPMENT_CHECK } else { 0 };
        let end = SeekEnd { cylinder, st0: st0::SEEK_END | failure, wants_track_0: false };
        self.begin_seek(unit, direction, steps, end);
    }

    fn begin_seek(&mut self, unit: usize, direction: StepDirection, steps: u8, end: SeekEnd) {
        self.forget_polling();
        if !self.set_out(unit, direction, steps, Some(end)) {
            self.end_seek(unit, self.selected(), end);
        }
    }

    /// Steps at once, or, with timing, from now on. `true` when the steps are still to come. A seek of the same unit that is
    /// under way stops where it is, and will not tell how it ended (not established: software has to wait for that).
    fn set_out(&mut self, unit: usize, direction: StepDirection, steps: u8, end: Option<SeekEnd>) -> bool {
        let drive = self.selected();
        self.seeks[unit] = None;
        self.interrupt_status.rest(unit);
        let Some(interval) = self.step_time().filter(|_| steps > 0) else {
            self.step(drive, direction, steps);
            return false;
        };
        self.interrupt_status.begin_seek(unit);
        let next = self.now + interval;
        self.seeks[unit] = Some(Seek { drive, direction, steps, next, interval, end });
        true
    }

    /// A step of a seek is due.
    pub(super) fn proceed_seek(&mut self, unit: usize) {
        let Some(seek) = self.seeks[unit] else { return };
        self.step(seek.drive, seek.direction, 1);
        let present = &mut self.present_cylinder[unit];
        *present = match seek.direction {
            StepDirection::Inward => present.saturating_add(1),
            StepDirection::Outward => present.saturating_sub(1),
        };
        let left = Seek { steps: seek.steps - 1, next: seek.next + seek.interval, ..seek };
        self.seeks[unit] = Some(left).filter(|left| left.steps > 0);
        match seek.end {
            _ if left.steps > 0 => {}
            Some(end) => self.end_seek(unit, seek.drive, end),
            None => self.interrupt_status.rest(unit),
        }
    }

    /// A seek-type command is over, and interrupts.
    fn end_seek(&mut self, unit: usize, drive: usize, end: SeekEnd) {
        self.present_cylinder[unit] = end.cylinder;
        let failed = end.wants_track_0 && !self.drives[drive].as_ref().is_some_and(Drive::track_0);
        let failure = if failed { st0::ABNORMAL | st0::EQUIPMENT_CHECK } else { 0 };
        self.interrupt_status.end_seek(unit, end.st0 | failure);
        self.interrupt_edge = true;
    }

    /// Steps a drive: the one that the DOR selects when a command begins, whichever that names, for the select lines are
    /// the DOR's.
    fn step(&mut self, drive: usize, direction: StepDirection, pulses: u8) {
        if pulses > 0 {
            self.inward = direction == StepDirection::Inward;
            self.activity.step = true;
            self.settled[drive] = self.now + SETTLING;
        }
        if let Some(drive) = &mut self.drives[drive] {
            drive.step(direction, pulses);
        }
    }

    /// SENSE INTERRUPT STATUS: ST0 and the present cylinder of the drive that has something to tell, if one has.
    pub(super) fn sense_interrupt(&mut self) -> Option<[u8; 2]> {
        let (unit, st0) = self.interrupt_status.take()?;
        // What is left to tell needs an edge of its own.
        self.interrupt_edge |= self.interrupt_status.interrupts();
        Some([st0, self.present_cylinder[unit]])
    }
}
