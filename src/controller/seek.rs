//! The commands that move the head, and SENSE INTERRUPT STATUS, which tells how they ended.

use super::{chip::Chip, command::INWARD, registers::st0};
use crate::drive::{Drive, StepDirection};

/// RECALIBRATE gives up after this many steps, as the text of the command has it; the ST0 table of the data sheet says
/// 80. From further in, a second one is needed.
const RECALIBRATE_STEPS: u8 = 79;

/// What the drives have to tell by way of SENSE INTERRUPT STATUS. Bit n is drive n.
#[derive(Clone, Debug, Default)]
pub(super) struct InterruptStatus {
    /// Became ready, as polling after a reset found.
    polled: u8,
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
        self.seek_ended
    }

    fn end_seek(&mut self, unit: usize, st0: u8) {
        self.st0[unit] = st0 | unit as u8;
        self.seek_ended |= 1 << unit;
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

impl Chip {
    /// SEEK: to cylinder `new`, by as many steps as the present cylinder number is off.
    pub(super) fn seek(&mut self, unit: usize, new: u8) {
        self.forget_polling();
        self.step_to(unit, new);
        self.end_seek(unit, st0::SEEK_END);
    }

    /// The seek that CONFIGURE's EIS puts before a transfer. `true` when the head had to move.
    pub(super) fn implied_seek(&mut self, unit: usize, new: u8) -> bool {
        let moves = self.present_cylinder[unit] != new;
        self.step_to(unit, new);
        moves
    }

    fn step_to(&mut self, unit: usize, new: u8) {
        let present = self.present_cylinder[unit];
        let direction = if new > present { StepDirection::Inward } else { StepDirection::Outward };
        self.step(direction, new.abs_diff(present));
        self.present_cylinder[unit] = new;
    }

    /// RECALIBRATE: outward until the drive says track 0.
    pub(super) fn recalibrate(&mut self, unit: usize) {
        self.forget_polling();
        self.present_cylinder[unit] = 0;
        let steps = self.selected_drive().map_or(RECALIBRATE_STEPS, Drive::steps_to_track_0);
        self.step(StepDirection::Outward, steps.min(RECALIBRATE_STEPS));
        let found = self.selected_drive().is_some_and(Drive::track_0);
        let failure = if found { 0 } else { st0::ABNORMAL | st0::EQUIPMENT_CHECK };
        self.end_seek(unit, st0::SEEK_END | failure);
    }

    /// RELATIVE SEEK: by `steps` cylinders, whatever the present cylinder number is.
    ///
    /// 0 makes no step (not established: the data sheet may mean 256). An absent drive never says track 0, so that none
    /// is passed.
    pub(super) fn relative_seek(&mut self, opcode: u8, unit: usize, steps: u8) {
        self.forget_polling();
        let present = &mut self.present_cylinder[unit];
        let (direction, past_track_0) = if opcode & INWARD != 0 {
            *present = present.wrapping_add(steps);
            (StepDirection::Inward, false)
        } else {
            *present = present.wrapping_sub(steps);
            (StepDirection::Outward, self.selected_drive().is_some_and(|drive| drive.steps_to_track_0() < steps))
        };
        self.step(direction, steps);
        let failure = if past_track_0 { st0::ABNORMAL | st0::EQUIPMENT_CHECK } else { 0 };
        self.end_seek(unit, st0::SEEK_END | failure);
    }

    /// A seek-type command is over, and interrupts.
    fn end_seek(&mut self, unit: usize, st0: u8) {
        self.interrupt_status.end_seek(unit, st0);
        self.interrupt_edge = true;
    }

    /// Steps the drive that the DOR selects, whichever the command names: the select lines are the DOR's.
    fn step(&mut self, direction: StepDirection, pulses: u8) {
        if pulses > 0 {
            self.inward = direction == StepDirection::Inward;
            self.activity.step = true;
        }
        if let Some(drive) = &mut self.drives[self.selected()] {
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
