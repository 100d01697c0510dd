//! The commands that move a head, and the statuses that SENSE INTERRUPT STATUS fetches (§6.3): the present cylinder
//! numbers, the seeks under way, and what the last poll of the drives found.

use super::{mechanics::Mechanics, register_file::RegisterFile, registers::st0, time::Nanoseconds};
use crate::drive::{Drive, StepDirection};

/// RECALIBRATE gives up after this many steps, as the text of the command has it. The ST0 table of the data sheet says 80
/// (§3.11). From farther in, a second RECALIBRATE is needed.
const RECALIBRATE_STEPS: u8 = 79;

/// The units that commands name by DS1 and DS0, and their statuses.
#[derive(Clone, Debug, Default)]
pub(super) struct SeekControl {
    pub units: [Unit; 4],
    /// Bit n: the poll after a reset found unit n ready, and its status has not been sensed.
    pub ready_changes: u8,
}

/// One of the four units.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unit {
    /// PCN: the cylinder at which the chip believes the head to be.
    pub cylinder: u8,
    pub motion: Motion,
}

/// What the head of a unit does, and the status that it has left.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Motion {
    #[default]
    AtRest,
    /// Steps are to come. `unsensed` is ST0 of an earlier seek that nobody has sensed.
    Seeking { seek: Seek, unsensed: Option<u8> },
    /// A seek has ended with this ST0, which nobody has sensed.
    Ended { st0: u8 },
}

/// A seek under way, step by step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seek {
    /// The drive that was selected when the seek started: the select lines are the DOR's.
    pub drive: u8,
    pub direction: StepDirection,
    /// Steps that are to come, 1 to 255.
    pub steps: u8,
    /// When the next step is due.
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
        self.due + Nanoseconds::from(self.steps - 1) * self.interval
    }
}

impl Unit {
    fn unsensed(&self) -> Option<u8> {
        match self.motion {
            Motion::AtRest => None,
            Motion::Seeking { unsensed, .. } => unsensed,
            Motion::Ended { st0 } => Some(st0),
        }
    }

    fn seek(&self) -> Option<&Seek> {
        match &self.motion {
            Motion::Seeking { seek, .. } => Some(seek),
            Motion::AtRest | Motion::Ended { .. } => None,
        }
    }

    /// Stops a seek under way where it is. It leaves no status (not established: software has to wait for its end).
    fn stop(&mut self) {
        self.motion = self.unsensed().map_or(Motion::AtRest, |st0| Motion::Ended { st0 });
    }

    /// Forgets a status, which has been sensed.
    fn clear_status(&mut self) {
        self.motion = match self.motion {
            Motion::Seeking { seek, .. } => Motion::Seeking { seek, unsensed: None },
            Motion::AtRest | Motion::Ended { .. } => Motion::AtRest,
        };
    }
}

/// The drives as a seek moves them: the one that the DOR selects, with what a step leaves in the registers and the mechanics.
pub(super) struct Stepper<'a> {
    pub drives: &'a mut [Option<Drive>; 4],
    pub registers: &'a mut RegisterFile,
    /// With timing: the deadlines of the drives, and the time between two steps.
    pub timing: Option<(&'a mut Mechanics, Nanoseconds)>,
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
    /// 0 makes no step (not established: the data sheet may mean 256). An absent drive never reports track 0, so that none
    /// is passed.
    pub(super) fn relative_seek(
        &mut self,
        unit: u8,
        direction: StepDirection,
        steps: u8,
        stepper: &mut Stepper<'_>,
    ) -> Ended {
        let present = self.units[usize::from(unit)].cylinder;
        let (cylinder, passes_track_0) = match direction {
            StepDirection::In => (present.wrapping_add(steps), false),
            StepDirection::Out => {
                let passes = stepper.selected().is_some_and(|drive| drive.steps_to_track_0() < steps);
                (present.wrapping_sub(steps), passes)
            }
        };
        let st0 = st0::SEEK_END | failure(passes_track_0);
        let end = SeekEnd { cylinder, st0, needs_track_0: false };
        self.start(unit, direction, steps, Purpose::Command(end), stepper)
    }

    /// Carries out the seek that EIS puts before a data command (§4.5). Returns the number of its steps.
    pub(super) fn implied_seek(&mut self, unit: u8, new: u8, stepper: &mut Stepper<'_>) -> u8 {
        let (direction, steps) = self.distance(unit, new);
        if steps > 0 || self.units[usize::from(unit)].seek().is_some() {
            self.start(unit, direction, steps, Purpose::Implied, stepper);
            if stepper.timing.is_none() || steps == 0 {
                self.units[usize::from(unit)].cylinder = new;
            }
        }
        steps
    }

    fn distance(&self, unit: u8, new: u8) -> (StepDirection, u8) {
        let present = self.units[usize::from(unit)].cylinder;
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
        let state = &mut self.units[usize::from(unit)];
        state.stop();
        let interval = stepper.timing.as_ref().map(|&(_, interval)| interval).filter(|_| steps > 0);
        match (interval, purpose) {
            (Some(interval), _) => {
                let seek = Seek { drive, direction, steps, due: stepper.now + interval, interval, purpose };
                state.motion = Motion::Seeking { seek, unsensed: state.unsensed() };
                false
            }
            (None, Purpose::Implied) => {
                stepper.step(drive, direction, steps);
                false
            }
            (None, Purpose::Command(end)) => {
                stepper.step(drive, direction, steps);
                self.end(unit, drive, end, stepper);
                true
            }
        }
    }

    /// Makes the steps that are due. Returns whether a command ended with one of them.
    pub(super) fn advance(&mut self, stepper: &mut Stepper<'_>) -> Ended {
        let mut ended = false;
        for unit in 0..4 {
            let state = &mut self.units[usize::from(unit)];
            let Motion::Seeking { seek, unsensed } = state.motion else { continue };
            if seek.due > stepper.now {
                continue;
            }
            state.cylinder = match seek.direction {
                StepDirection::In => state.cylinder.saturating_add(1),
                StepDirection::Out => state.cylinder.saturating_sub(1),
            };
            let left = Seek { steps: seek.steps - 1, due: seek.due + seek.interval, ..seek };
            state.motion = Motion::Seeking { seek: left, unsensed };
            stepper.step(seek.drive, seek.direction, 1);
            match seek.purpose {
                _ if left.steps > 0 => {}
                Purpose::Implied => state.stop(),
                Purpose::Command(end) => {
                    self.end(unit, seek.drive, end, stepper);
                    ended = true;
                }
            }
        }
        ended
    }

    fn end(&mut self, unit: u8, drive: u8, end: SeekEnd, stepper: &Stepper<'_>) {
        let failed = end.needs_track_0 && !stepper.is_at_track_0(drive);
        let st0 = end.st0 | failure(failed) | unit;
        self.units[usize::from(unit)] = Unit { cylinder: end.cylinder, motion: Motion::Ended { st0 } };
    }

    /// Returns when a step is due next.
    pub(super) fn next_step(&self) -> Option<Nanoseconds> {
        self.units.iter().filter_map(Unit::seek).map(|seek| seek.due).min()
    }

    /// Returns when the last step of the seeks that move a drive is made, if one is under way.
    pub(super) fn steps_end(&self, drive: usize) -> Option<Nanoseconds> {
        let seeks = self.units.iter().filter_map(Unit::seek);
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
        self.ready_changes & 1 != 0 || self.units.iter().any(|unit| unit.unsensed().is_some())
    }

    /// Returns the DRVn BUSY bits of the MSR: a seek is under way, or its end has not been sensed.
    #[inline]
    pub(super) fn busy(&self) -> u8 {
        (0..4).fold(0, |busy, unit| busy | u8::from(!matches!(self.units[unit].motion, Motion::AtRest)) << unit)
    }

    /// Returns the present cylinder numbers.
    pub(super) fn cylinders(&self) -> [u8; 4] {
        self.units.map(|unit| unit.cylinder)
    }

    /// Carries SENSE INTERRUPT STATUS out: returns ST0 and PCN of the lowest unit that has a status, if one has.
    pub(super) fn sense(&mut self) -> Option<[u8; 2]> {
        let has_status =
            |&unit: &u8| self.units[usize::from(unit)].unsensed().is_some() || self.ready_changes & 1 << unit != 0;
        let unit = (0..4).find(has_status)?;
        let state = &mut self.units[usize::from(unit)];
        let st0 = match state.unsensed() {
            Some(st0) => {
                state.clear_status();
                st0
            }
            None => {
                self.ready_changes &= !(1 << unit);
                st0::POLLING | unit
            }
        };
        Some([st0, state.cylinder])
    }
}

/// Returns IC and EC of a seek that failed.
fn failure(failed: bool) -> u8 {
    if failed { st0::ABNORMAL | st0::EQUIPMENT_CHECK } else { 0 }
}
