//! The execution phase of a data command: its start, its way and its end.

use super::Chip;
use crate::{
    controller::{
        command::{self, DataAction, Direction, HeadUnit},
        config::{Config, EmptyDrive, EndDelay, FifoAfterOverrun},
        data::{DataCommand, RunOutcome},
        fifo::{FifoSize, GuestString, Pacing},
        phase::{Ending, Phase},
        registers::st1,
        time::{Nanoseconds, REVOLUTION},
    },
    dma::DmaChannel,
};

impl Chip {
    /// Starts a data command, after the implied seek that EIS asks for.
    pub(super) fn start_data_command(&mut self, action: DataAction, dma: &mut impl DmaChannel) {
        self.drop_ready_changes();
        let [_, head_unit, cylinder, sectors, _, _, end_of_track, ..] = self.dialogue.command;
        let mut steps = 0;
        match action {
            DataAction::Transfer(_) => {
                self.settings.last_track_length = end_of_track;
                if self.settings.implied_seek() {
                    let HeadUnit { unit, .. } = HeadUnit::of(head_unit);
                    steps = self.interface.with_stepper(self.settings.specify, None, |seeks, stepper| {
                        seeks.implied_seek(unit, cylinder, stepper)
                    });
                }
            }
            DataAction::FormatTrack => self.settings.last_track_length = sectors,
            DataAction::ReadId => {}
        }
        let (rate, schedule) = (self.interface.registers.rate, self.interface.schedule(self.settings.specify));
        self.begin(DataCommand::new(action, &self.dialogue.command, rate, steps > 0, schedule), dma);
    }

    /// Enters the execution phase.
    fn begin(&mut self, mut command: DataCommand, dma: &mut impl DmaChannel) {
        if command.writes() && self.interface.refuses_to_write() {
            command.fail(st1::NOT_WRITABLE, 0);
            if let Some(schedule) = &mut command.schedule {
                schedule.due = self.interface.now;
            }
        }
        let pacing = match self.interface.mechanics {
            None => Pacing::Immediate,
            Some(_) => Pacing::Rotating { requesting: true },
        };
        self.data_path.begin(FifoSize { threshold: self.settings.fifo_threshold() }, pacing);
        self.dialogue.phase = Phase::Execution(command);
        self.proceed(dma);
        // A request for a byte needs an edge of its own, whatever holds INT up.
        self.interrupt_edge |= self.requests_any_byte();
    }

    /// Lets a data command go on as far as it can, and enters the result phase when it is over.
    pub(in crate::controller) fn proceed(&mut self, dma: &mut impl DmaChannel) {
        self.proceed_with(&mut GuestString::default(), dma);
    }

    /// Does the same with the bytes that a string access moves.
    pub(super) fn proceed_with(&mut self, string: &mut GuestString<'_>, dma: &mut impl DmaChannel) {
        let (gate, uses_dma, moment) = (self.drives_pins(), self.uses_dma(), self.interface.moment());
        let Phase::Execution(command) = &mut self.dialogue.phase else { return };
        let mut head = self.interface.head();
        let outcome = if uses_dma {
            self.data_path.run_with_dma(command, moment, head.as_mut(), dma, gate)
        } else {
            self.data_path.run_without_dma(command, moment, head.as_mut(), string)
        };
        drop(head);
        self.interface.registers.head_select = command.head;
        self.interface.registers.record(command.take_activity());
        match (outcome, self.config.empty_drive) {
            (RunOutcome::Waiting, _) => return,
            (RunOutcome::Ended, _) => {}
            // Without a disk no index pulse comes. The chip waits for one until it is reset (§4.13).
            (RunOutcome::NoDisk, EmptyDrive::Hang) => {
                if let Some(schedule) = &mut command.schedule {
                    schedule.spindle_stopped = true;
                }
                return;
            }
            (RunOutcome::NoDisk, EmptyDrive::Fail) => {
                self.data_path.fifo.truncate();
                command.fail_without_disk();
                if let Some(schedule) = &mut command.schedule {
                    schedule.due = self.interface.now + 2 * REVOLUTION;
                }
                self.interface.abort_write(command);
            }
        }
        self.end_when_due();
    }

    /// Ends the execution phase of a command that is over, when its end is due and the host has what the disk delivered.
    fn end_when_due(&mut self) {
        let Phase::Execution(command) = &self.dialogue.phase else { return };
        if command.status.st1 & st1::OVERRUN != 0 && self.config.fifo_after_overrun == FifoAfterOverrun::Discarded {
            self.data_path.fifo.clear();
        }
        if command.schedule.is_some_and(|schedule| self.interface.now < schedule.due) {
            return;
        }
        if self.data_path.fifo.is_empty() || command.direction() != Some(Direction::ToHost) {
            self.interface.end_command(self.settings.specify);
            self.end_execution();
        }
    }

    /// Ends the execution phase: with the result phase, or with the delay before it.
    pub(super) fn end_execution(&mut self) {
        let Phase::Execution(command) = &self.dialogue.phase else { return };
        let non_dma = !self.uses_dma() && command.direction().is_some();
        let delay = self.delay_of(command, non_dma);
        let ending = Ending {
            result: command.result(),
            direction: command.direction(),
            counts: command.counts,
            non_dma,
            due: self.interface.now + delay.unwrap_or(0),
        };
        match delay {
            Some(_) => self.dialogue.phase = Phase::Ending(ending),
            None => self.end_command(ending),
        }
    }

    /// Returns how long the end of a data command is delayed, if it is. With timing a command takes its time, but for the end
    /// of a transfer without DMA, which the host brings about with its last access (§2.2).
    fn delay_of(&self, command: &DataCommand, non_dma: bool) -> Option<Nanoseconds> {
        let Config { end_delay, delays, .. } = self.config;
        let immediate = self.interface.mechanics.is_none();
        match end_delay {
            EndDelay::None => None,
            _ if non_dma => Some(delays.transfer),
            EndDelay::KnownGuests => Some(delays.command).filter(|_| immediate && command.is_read_id()),
            EndDelay::All => Some(delays.command).filter(|_| immediate),
        }
    }

    /// Enters the result phase of a data command.
    pub(super) fn end_command(&mut self, ending: Ending) {
        let Ending { result, direction, counts, .. } = ending;
        let command = command::decode(self.dialogue.command[0], self.config.scan_commands);
        self.dialogue.enter_result(command, result, true);
        self.interrupt_edge = true;
        self.report(command, direction, &result, counts);
        if self.interface.poll_due().is_some_and(|due| due <= self.interface.now) {
            self.poll();
        }
    }

    /// Ends the delay of a command that is over, because the host has read an MSR that shows it busy. Returns whether there
    /// was one.
    pub(in crate::controller) fn end_delay(&mut self) -> bool {
        let Phase::Ending(ending) = self.dialogue.phase else { return false };
        self.end_command(ending);
        true
    }
}
