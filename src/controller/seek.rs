//! The commands that move a head, and the statuses that SENSE INTERRUPT STATUS fetches (§6.3): the present cylinder
//! numbers, the seeks under way, and what the last poll of the drives found.

use super::{mechanics::Mechanics, register_file::RegisterFile, registers::st0, time::Nanoseconds};
use crate::drive::{Drive, StepDirection};

/// RECALIBRATE gives up after this many steps, as the text of the command has it. The ST0 table of the data sheet says 80
/// (§3.11). From farther in, a second RECALIBRATE is needed.
const RECALIBRATE_STEPS: u8 = 79;

/// The four units that commands name by DS1 and DS0: where their heads are, how they move, and what is to be sensed of them.
#[derive(Clone, Debug, Default)]
pub(super) struct SeekControl {
    /// PCN: the cylinders at which the chip believes the heads to be.
    pub cylinders: [u8; 4],
    /// The seeks under way.
    pub seeks: [Option<Seek>; 4],
    /// What seeks that ended have left to be sensed. A unit can have a status while it seeks again.
    pub unsensed: Unsensed,
    /// Bit n: the poll after a reset found unit n ready, and its status has not been sensed.
    pub ready_changes: u8,
}

/// ST0 of the seeks that have ended and not been sensed. A set of units with a byte for each: every access that changes a pin
/// asks for all of them, so that they are one byte to look at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unsensed {
    units: u8,
    st0: [u8; 4],
}

impl Unsensed {
    /// Returns ST0 of a unit, if it has one.
    pub(super) fn get(self, unit: u8) -> Option<u8> {
        self.st0.get(usize::from(unit)).copied().filter(|_| self.units & 1 << unit != 0)
    }

    /// Gives ST0 to a unit.
    pub(super) fn set(&mut self, unit: u8, st0: u8) {
        self.st0[usize::from(unit & 3)] = st0;
        self.units |= 1 << (unit & 3);
    }

    /// Takes ST0 from a unit, if it has one.
    fn take(&mut self, unit: u8) -> Option<u8> {
        let st0 = self.get(unit);
        self.units &= !(1 << unit);
        st0
    }
}

/// A seek under way, step by step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seek {
    /// The drive that was selected when the seek started: the select lines are the DOR's.
    pub drive: u8,
    pub direction: StepDirection,
    /// Steps that are to come, 0 to 255. With 0, the end alone is to come.
    pub steps: u8,
    /// When the next step, or the end, is due.
    pub due: Nanoseconds,
    /// Between two steps.
    pub interval: Nanoseconds,
    pub purpose: Purpose,
}

/// Why a head moves.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// The implied seek of a data command, which leaves no status.
    Implied,
    /// A command, which leaves a status.
    Command(SeekEnd),
}

/// What a seek-type command leaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct SeekEnd {
    /// PCN.
    pub cylinder: u8,
    /// ST0 without the unit.
    pub st0: u8,
    /// The command fails unless the head is at track 0 then.
    pub needs_track_0: bool,
}

impl Seek {
    /// Returns when the last step is made.
    fn last_step(&self) -> Nanoseconds {
        self.due + Nanoseconds::from(self.steps.saturating_sub(1)) * self.interval
    }
}

/// The drives as a seek moves them: the one that the DOR selects, with what a step leaves in the registers and the mechanics.
pub(super) struct Stepper<'a> {
    pub drives: &'a mut [Option<Drive>; 4],
    pub registers: &'a mut RegisterFile,
    /// With timing: the deadlines of the drives, and the time between two steps.
    pub timing: Option<(&'a mut Mechanics, Nanoseconds)>,
    /// Without timing: how long the end of a command is delayed, if it is.
    pub end_delay: Option<Nanoseconds>,
    pub now: Nanoseconds,
}

impl Stepper<'_> {
    fn selected(&self) -> Option<&Drive> {
        self.drives[self.registers.selected()].as_ref()
    }

    fn step(&mut self, drive: u8, direction: StepDirection, pulses: u8) {
        if pulses == 0 {
            return;
        }
        self.registers.record_step(direction);
        if let Some((mechanics, _)) = &mut self.timing {
            mechanics.step(self.now, drive.into());
        }
        if let Some(drive) = &mut self.drives[usize::from(drive)] {
            drive.step(direction, pulses);
        }
    }

    fn is_at_track_0(&self, drive: u8) -> bool {
        self.drives[usize::from(drive)].as_ref().is_some_and(Drive::track_0)
    }
}

/// A seek-type command ended within the call: INT needs an edge.
pub(super) type Ended = bool;

impl SeekControl {
    /// Carries SEEK out: to cylinder `new`, by as many steps as PCN differs (§3.16).
    pub(super) fn seek(&mut self, unit: u8, new: u8, stepper: &mut Stepper<'_>) -> Ended {
        let (direction, steps) = self.distance(unit, new);
        let end = SeekEnd { cylinder: new, st0: st0::SEEK_END, needs_track_0: false };
        self.start(unit, direction, steps, Purpose::Command(end), stepper)
    }

    /// Carries RECALIBRATE out: steps out until the drive reports track 0 (§3.11).
    pub(super) fn recalibrate(&mut self, unit: u8, stepper: &mut Stepper<'_>) -> Ended {
        let steps = stepper.selected().map_or(RECALIBRATE_STEPS, Drive::steps_to_track_0).min(RECALIBRATE_STEPS);
        let end = SeekEnd { cylinder: 0, st0: st0::SEEK_END, needs_track_0: true };
        self.start(unit, StepDirection::Out, steps, Purpose::Command(end), stepper)
    }

    /// Carries RELATIVE SEEK out: by `steps` steps, whatever PCN is (§3.18).
    ///
    /// 0 makes no step (not established: the data sheet may mean 256). Toward the spindle all pulses go out, also those that
    /// find the head at its stop: the chip has no sensor there, and PCN counts them. Outward the chip reads TRK0 before each
    /// pulse, as EC shows, so that those that would pass track 0 are not made (not established; with SRT = 0 they would take
    /// 4 s, longer than drivers wait). An absent drive never reports track 0, so that none is passed.
    pub(super) fn relative_seek(
        &mut self,
        unit: u8,
        direction: StepDirection,
        steps: u8,
        stepper: &mut Stepper<'_>,
    ) -> Ended {
        let present = self.cylinders[usize::from(unit)];
        let (cylinder, pulses) = match direction {
            StepDirection::In => (present.wrapping_add(steps), steps),
            StepDirection::Out => {
                let to_track_0 = stepper.selected().map_or(steps, Drive::steps_to_track_0);
                (present.wrapping_sub(steps), steps.min(to_track_0))
            }
        };
        let passes_track_0 = pulses < steps;
        let st0 = st0::SEEK_END | failure(passes_track_0);
        let end = SeekEnd { cylinder, st0, needs_track_0: false };
        self.start(unit, direction, pulses, Purpose::Command(end), stepper)
    }

    /// Carries out the seek that EIS puts before a data command (§4.5). Returns the number of its steps.
    pub(super) fn implied_seek(&mut self, unit: u8, new: u8, stepper: &mut Stepper<'_>) -> u8 {
        let (direction, steps) = self.distance(unit, new);
        // The end of a SEEK that is delayed stays to come.
        if steps > 0 || self.seeks[usize::from(unit)].is_some_and(|seek| seek.steps > 0) {
            self.start(unit, direction, steps, Purpose::Implied, stepper);
            if stepper.timing.is_none() || steps == 0 {
                self.cylinders[usize::from(unit)] = new;
            }
        }
        steps
    }

    fn distance(&self, unit: u8, new: u8) -> (StepDirection, u8) {
        let present = self.cylinders[usize::from(unit)];
        let direction = if new > present { StepDirection::In } else { StepDirection::Out };
        (direction, new.abs_diff(present))
    }

    /// Makes the steps at once, or, with timing, from now on.
    fn start(
        &mut self,
        unit: u8,
        direction: StepDirection,
        steps: u8,
        purpose: Purpose,
        stepper: &mut Stepper<'_>,
    ) -> Ended {
        let drive = stepper.registers.selected() as u8;
        // A seek of the unit that is under way stops where it is, and leaves no status (not established: software has to wait
        // for its end). One whose end alone is to come has ended.
        if let Some(Seek { drive, steps: 0, purpose: Purpose::Command(end), .. }) = self.seeks[usize::from(unit)].take()
        {
            self.end(unit, drive, end, stepper);
        }
        let seek = &mut self.seeks[usize::from(unit)];
        let interval = stepper.timing.as_ref().map(|&(_, interval)| interval).filter(|_| steps > 0);
        match (interval, purpose) {
            (Some(interval), _) => {
                *seek = Some(Seek { drive, direction, steps, due: stepper.now + interval, interval, purpose });
                false
            }
            (None, Purpose::Implied) => {
                stepper.step(drive, direction, steps);
                false
            }
            (None, Purpose::Command(end)) => {
                stepper.step(drive, direction, steps);
                let Some(delay) = stepper.end_delay.filter(|_| stepper.timing.is_none()) else {
                    self.end(unit, drive, end, stepper);
                    return true;
                };
                let due = stepper.now + delay;
                self.cylinders[usize::from(unit)] = end.cylinder;
                *seek = Some(Seek { drive, direction, steps: 0, due, interval: delay, purpose });
                false
            }
        }
    }

    /// Makes the steps that are due. Returns whether a command ended with one of them.
    pub(super) fn advance(&mut self, stepper: &mut Stepper<'_>) -> Ended {
        let mut ended = false;
        for unit in 0..4 {
            let Some(seek) = self.seeks[usize::from(unit)].filter(|seek| seek.due <= stepper.now) else { continue };
            let left = Seek { steps: seek.steps.saturating_sub(1), due: seek.due + seek.interval, ..seek };
            self.seeks[usize::from(unit)] = Some(left).filter(|left| left.steps > 0);
            if seek.steps > 0 {
                let cylinder = &mut self.cylinders[usize::from(unit)];
                *cylinder = match seek.direction {
                    StepDirection::In => cylinder.saturating_add(1),
                    StepDirection::Out => cylinder.saturating_sub(1),
                };
                stepper.step(seek.drive, seek.direction, 1);
            }
            if let (0, Purpose::Command(end)) = (left.steps, seek.purpose) {
                self.end(unit, seek.drive, end, stepper);
                ended = true;
            }
        }
        ended
    }

    fn end(&mut self, unit: u8, drive: u8, end: SeekEnd, stepper: &Stepper<'_>) {
        let failed = end.needs_track_0 && !stepper.is_at_track_0(drive);
        self.cylinders[usize::from(unit)] = end.cylinder;
        self.unsensed.set(unit, end.st0 | failure(failed) | unit);
    }

    /// Returns when a step is due next.
    pub(super) fn next_step(&self) -> Option<Nanoseconds> {
        self.seeks.iter().flatten().map(|seek| seek.due).min()
    }

    /// Returns when the last step of the seeks that move a drive is made, if one is under way.
    pub(super) fn steps_end(&self, drive: usize) -> Option<Nanoseconds> {
        let seeks = self.seeks.iter().flatten();
        seeks.filter(|seek| usize::from(seek.drive) == drive).map(Seek::last_step).max()
    }

    /// Polls the drives for the first time after a reset: the tied ready line makes all four ready (§6.2).
    pub(super) fn poll(&mut self) {
        self.ready_changes = 0b1111;
    }

    /// Drops what the poll found, as the start of a seek or of a data command does. Returns whether there was any.
    pub(super) fn drop_ready_changes(&mut self) -> bool {
        std::mem::take(&mut self.ready_changes) != 0
    }

    /// Returns whether INT is up: for each seek that ended, and for the poll until its first status is sensed.
    #[inline]
    pub(super) fn interrupts(&self) -> bool {
        self.ready_changes & 1 | self.unsensed.units != 0
    }

    /// Returns the DRVn BUSY bits of the MSR: a seek is under way, or its end has not been sensed.
    #[inline]
    pub(super) fn busy(&self) -> u8 {
        let seeking = |busy, unit: usize| busy | u8::from(self.seeks[unit].is_some()) << unit;
        (0..4).fold(self.unsensed.units, seeking)
    }

    /// Carries SENSE INTERRUPT STATUS out: returns ST0 and PCN of the lowest unit that has a status, if one has.
    pub(super) fn sense(&mut self) -> Option<[u8; 2]> {
        let unit = (self.unsensed.units | self.ready_changes).trailing_zeros() as u8;
        if unit > 3 {
            return None;
        }
        let st0 = self.unsensed.take(unit).unwrap_or_else(|| {
            self.ready_changes &= !(1 << unit);
            st0::POLLING | unit
        });
        Some([st0, self.cylinders[usize::from(unit)]])
    }
}

/// Returns IC and EC of a seek that failed.
fn failure(failed: bool) -> u8 {
    if failed { st0::ABNORMAL | st0::EQUIPMENT_CHECK } else { 0 }
}
