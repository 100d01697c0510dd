//! The 82077AA itself: the phases of a command, byte in and byte out, and the resets. It knows no bus and drives no pin; its
//! [`Controller`](super::Controller) does.

pub(super) mod clock;
pub(super) mod data_port;

use super::{
    command::{self, Action, Command, DataAction, Direction, HeadUnit, LOCK, STEP_IN},
    config::{Config, EmptyDrive, EndDelay, FifoAfterOverrun},
    data::{Counts, DataCommand, RunOutcome},
    data_path::DataPath,
    drive_interface::DriveInterface,
    fifo::{FifoSize, GuestString, Pacing},
    metrics::Tracer,
    outputs::{Effect, Outputs},
    phase::{Dialogue, Ending, Phase, executing_without_dma},
    register_file::RegisterFile,
    registers::{ReadRegister, WriteRegister, configure, dor, dsr, msr, st0, st1},
    seek::{Ended, SeekControl, Stepper},
    settings::{Settings, Specify},
    time::{Nanoseconds, REVOLUTION},
};
use crate::{
    dma::DmaChannel,
    drive::{Drive, LockedDisk, StepDirection},
    media::DataRate,
};

/// The chip with its drives.
#[derive(Debug)]
pub(super) struct Chip {
    pub config: Config,
    pub interface: DriveInterface,
    pub settings: Settings,
    pub dialogue: Dialogue,
    pub data_path: DataPath,
    /// INT falls and rises again within this access.
    pub interrupt_edge: bool,
    /// Kept, because software reads the MSR much more often than it changes.
    outputs: Outputs,
    pub tracer: Tracer,
}

impl Chip {
    /// Returns the chip after a hardware reset: held in reset by the DOR.
    pub(super) fn new(drives: [Option<Drive>; 4], config: Config) -> Self {
        Self {
            config,
            interface: DriveInterface::new(drives, config.timing),
            settings: Settings::new(),
            dialogue: Dialogue::new(),
            data_path: DataPath::default(),
            interrupt_edge: false,
            outputs: Outputs::default(),
            tracer: Tracer::default(),
        }
    }

    /// Returns the same chip out of reset, as firmware leaves it: with no interrupt pending.
    pub(super) fn running(mut self) -> Self {
        self.interface.registers.digital_output = dor::NOT_RESET | dor::DMA_GATE;
        self.dialogue.phase = Phase::Idle;
        self.update_outputs();
        self
    }

    /// Carries out the RESET pin (§1.11). What SPECIFY set stays, and so do the heads.
    pub(super) fn hardware_reset(&mut self) {
        self.settings.hardware_reset();
        self.reset_core();
        // The motors stop as by a write of the DOR.
        self.interface.write_digital_output(0);
        self.interface.registers = RegisterFile::new();
    }

    /// Carries out what all resets have in common, and the power-down, which only a reset ends.
    fn reset_core(&mut self) {
        self.settings.software_reset();
        self.interface.reset();
        self.abort_write();
        self.dialogue.phase = Phase::Stopped;
    }

    /// Commits what a command has written that ends without an end of its own.
    fn abort_write(&mut self) {
        if let Phase::Execution(command) = &mut self.dialogue.phase {
            self.interface.abort_write(command);
        }
    }

    /// Ends a reset: polling, which every reset turns on, finds all drives ready (§6.2).
    fn start(&mut self) {
        self.dialogue.phase = Phase::Idle;
        match &mut self.interface.mechanics {
            None => self.poll(),
            Some(mechanics) => mechanics.schedule_poll(self.interface.now),
        }
    }

    fn poll(&mut self) {
        self.interface.poll();
        self.interrupt_edge = true;
    }

    /// Updates the outputs at the end of an access. Returns those before and those now.
    pub(super) fn update_outputs(&mut self) -> [Outputs; 2] {
        let before = self.outputs;
        self.outputs = self.compute_outputs();
        [before, self.outputs]
    }

    fn compute_outputs(&self) -> Outputs {
        let (status, by_phase, dma_request) = match &self.dialogue.phase {
            Phase::Execution(command) if self.uses_dma() => {
                (msr::BUSY, false, command.waits_for_host() && self.interface.turns_for(command))
            }
            Phase::Execution(command) => {
                let (status, requested) = self.data_path.outputs(command);
                (status, requested, false)
            }
            Phase::Ending(ending) if !self.uses_dma() => (executing_without_dma(ending.direction), false, false),
            _ => (self.dialogue.main_status(), self.dialogue.interrupts(), false),
        };
        let main_status = if status == 0 { 0 } else { status | self.interface.seeks.busy() };
        let driven = self.drives_pins();
        let interrupt = driven && (by_phase || self.interface.seeks.interrupts());
        Outputs { main_status, interrupt, dma_request: driven && dma_request }
    }

    /// Returns the level of INT.
    pub(super) fn interrupt(&self) -> bool {
        self.outputs.interrupt
    }

    fn drives_pins(&self) -> bool {
        self.interface.registers.drives_pins(self.config.mode)
    }

    fn uses_dma(&self) -> bool {
        self.settings.specify.uses_dma()
    }

    /// Returns whether a command is in its execution phase.
    #[inline]
    pub(super) fn is_executing(&self) -> bool {
        matches!(self.dialogue.phase, Phase::Execution(_))
    }

    /// Returns the MSR.
    #[inline]
    pub(super) fn main_status(&self) -> u8 {
        self.outputs.main_status
    }

    /// Reads any register but the FIFO.
    pub(super) fn read_register(&mut self, register: ReadRegister) -> u8 {
        let now = self.interface.now;
        let writing = matches!(&self.dialogue.phase, Phase::Execution(command) if command.is_writing(now));
        self.interface.read_register(register, self.config.mode, self.outputs, writing)
    }

    /// Writes any register but the FIFO.
    pub(super) fn write_register(&mut self, register: WriteRegister, value: u8, dma: &mut impl DmaChannel) {
        match register {
            WriteRegister::DigitalOutput => self.write_digital_output(value, dma),
            WriteRegister::TapeDrive => self.interface.registers.write_tape_drive(value),
            WriteRegister::DataRateSelect => self.write_data_rate_select(value),
            WriteRegister::ConfigurationControl => self.interface.registers.write_configuration_control(value),
            WriteRegister::Fifo => {}
        }
    }

    fn write_digital_output(&mut self, value: u8, dma: &mut impl DmaChannel) {
        let before = self.interface.write_digital_output(value);
        match (before & dor::NOT_RESET != 0, value & dor::NOT_RESET != 0) {
            (true, false) => self.reset_core(),
            (false, true) => self.start(),
            // The gate, the motor or the selected drive may be what a transfer waits for.
            (true, true) => self.proceed(dma),
            (false, false) => {}
        }
    }

    fn write_data_rate_select(&mut self, value: u8) {
        self.interface.registers.rate = DataRate::from_bits(value);
        if !self.interface.registers.is_running() {
            return;
        }
        if value & dsr::RESET != 0 {
            self.reset_core();
            self.start();
        } else if value & dsr::POWER_DOWN != 0 {
            self.reset_core();
        }
    }

    /// Takes a parameter of a command, if one is waited for that is not the last: an access that changes nothing else.
    #[inline]
    pub(super) fn take_parameter(&mut self, value: u8) -> bool {
        self.dialogue.take_parameter(value)
    }

    /// Returns the next byte of a result, if one is left that is not the first: an access that changes no pin.
    #[inline]
    pub(super) fn next_result(&mut self) -> Option<u8> {
        let byte = self.dialogue.next_result(false)?;
        self.update_status_after_result();
        Some(byte)
    }

    /// Updates the MSR when the last byte of a result has been fetched.
    #[inline]
    fn update_status_after_result(&mut self) {
        if let Phase::Idle = self.dialogue.phase {
            self.outputs.main_status = msr::REQUEST | self.interface.seeks.busy();
        }
    }

    /// Updates INT after the first byte of a result. Returns the levels before and now.
    #[inline]
    pub(super) fn update_interrupt(&mut self) -> [bool; 2] {
        let interrupt = self.drives_pins() && self.interface.seeks.interrupts();
        [std::mem::replace(&mut self.outputs.interrupt, interrupt), interrupt]
    }

    /// Carries out a command whose bytes have all come. Out of line: the first byte of a command does not come here.
    #[inline(never)]
    fn execute(&mut self, command: &'static Command, dma: &mut impl DmaChannel) -> Effect {
        let [opcode, first, second, third, ..] = self.dialogue.command;
        let HeadUnit { head, unit } = HeadUnit::of(first);
        self.dialogue.phase = Phase::Idle;
        match command.action {
            Action::Data(action) => {
                self.start_data_command(action, dma);
                return Effect::Outputs;
            }
            Action::Recalibrate => {
                return self.seek_command(command, |seeks, stepper| seeks.recalibrate(unit, stepper));
            }
            Action::Seek => return self.seek_command(command, |seeks, stepper| seeks.seek(unit, second, stepper)),
            Action::RelativeSeek => {
                let direction = if opcode & STEP_IN != 0 { StepDirection::In } else { StepDirection::Out };
                let seek = |seeks: &mut SeekControl, stepper: &mut Stepper<'_>| {
                    seeks.relative_seek(unit, direction, second, stepper)
                };
                return self.seek_command(command, seek);
            }
            Action::SenseInterruptStatus => {
                match self.interface.seeks.sense() {
                    Some(status) => self.enter_result(command, status),
                    None => self.enter_result(&command::INVALID_COMMAND, [st0::INVALID]),
                }
                // Statuses that are left need an edge of their own (§6.4).
                self.interrupt_edge |= self.interface.seeks.interrupts();
                return Effect::Outputs;
            }
            Action::Version => self.enter_result(command, [0x90]),
            Action::SenseDriveStatus => {
                self.interface.registers.head_select = head;
                self.enter_result(command, [self.interface.drive_status() | HeadUnit { head, unit }.bits()]);
            }
            Action::DumpRegisters => self.enter_result(command, self.settings.dump(self.interface.seeks.cylinders)),
            Action::Lock => {
                self.settings.lock = opcode & LOCK != 0;
                self.enter_result(command, [u8::from(self.settings.lock) << 4]);
            }
            Action::Specify => {
                self.settings.specify = Specify([first, second]);
                self.report(command, None, &[], Counts::default());
            }
            Action::Configure => {
                if second & configure::POLL != 0 {
                    self.interface.cancel_poll();
                }
                self.settings.set_configure(second, third);
                self.report(command, None, &[], Counts::default());
            }
            Action::PerpendicularMode => {
                self.settings.set_perpendicular(first);
                self.report(command, None, &[], Counts::default());
            }
            Action::Invalid => self.enter_result(command, [st0::INVALID]),
        }
        // None of these changes a pin.
        self.outputs.main_status = self.dialogue.main_status() | self.interface.seeks.busy();
        Effect::None
    }

    /// Carries out a command that moves a head.
    fn seek_command(
        &mut self,
        command: &Command,
        f: impl FnOnce(&mut SeekControl, &mut Stepper<'_>) -> Ended,
    ) -> Effect {
        self.drop_ready_changes();
        self.interrupt_edge |= self.interface.with_stepper(self.settings.specify, self.seek_delay(), f);
        self.report(command, None, &[], Counts::default());
        Effect::Outputs
    }

    /// Drops what the poll found. The interrupt of the command that starts then needs an edge of its own (§6.2).
    fn drop_ready_changes(&mut self) {
        self.interrupt_edge |= self.interface.seeks.drop_ready_changes();
    }

    /// Enters the result phase of a command without an execution phase, which does not interrupt.
    fn enter_result<const N: usize>(&mut self, command: &Command, bytes: [u8; N]) {
        self.dialogue.enter_result(command, bytes, false);
        self.report(command, None, &bytes, Counts::default());
    }

    /// Reports a command that has ended, if anybody wants to know.
    #[inline]
    fn report(&mut self, command: &Command, direction: Option<Direction>, result: &[u8], counts: Counts) {
        if self.tracer.is_active() {
            self.tracer.completed(command, direction, &self.dialogue.command, result, counts);
        }
    }

    /// Returns how long the end of a command that moves a head is delayed, if it is. With timing it takes its time.
    fn seek_delay(&self) -> Option<Nanoseconds> {
        Some(self.config.delays.command).filter(|_| self.config.end_delay == EndDelay::All)
    }

    /// Starts a data command, after the implied seek that EIS asks for.
    fn start_data_command(&mut self, action: DataAction, dma: &mut impl DmaChannel) {
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
    pub(super) fn proceed(&mut self, dma: &mut impl DmaChannel) {
        self.proceed_with(&mut GuestString::default(), dma);
    }

    /// Does the same with the bytes that a string access moves.
    fn proceed_with(&mut self, string: &mut GuestString<'_>, dma: &mut impl DmaChannel) {
        let (gate, uses_dma, moment) = (self.drives_pins(), self.uses_dma(), self.interface.moment());
        let Phase::Execution(command) = &mut self.dialogue.phase else { return };
        let mut disk = self.interface.lock_turning_disk();
        let mut head = disk.as_mut().and_then(LockedDisk::head);
        let outcome = if uses_dma {
            self.data_path.run_with_dma(command, moment, head.as_mut(), dma, gate)
        } else {
            self.data_path.run_without_dma(command, moment, head.as_mut(), string)
        };
        drop(disk);
        self.interface.registers.head_select = command.head;
        self.interface.registers.record(command.take_activity());
        match outcome {
            RunOutcome::Waiting => {}
            RunOutcome::Ended => {
                if command.is_format() {
                    self.interface.finish_format();
                }
                self.end_when_due();
            }
            RunOutcome::NoDisk => self.handle_no_disk(),
        }
    }

    /// Fails a command for which no disk turns, or lets it wait for one.
    #[cold]
    fn handle_no_disk(&mut self) {
        let Phase::Execution(command) = &mut self.dialogue.phase else { return };
        match self.config.empty_drive {
            // Without a disk no index pulse comes. The chip waits for one until it is reset (§4.13).
            EmptyDrive::Hang => {
                if let Some(schedule) = &mut command.schedule {
                    schedule.spindle_stopped = true;
                }
            }
            EmptyDrive::Fail => {
                self.data_path.fifo.truncate();
                command.fail_without_disk();
                if let Some(schedule) = &mut command.schedule {
                    schedule.due = self.interface.now + 2 * REVOLUTION;
                }
                self.interface.abort_write(command);
                self.end_when_due();
            }
        }
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
    fn end_execution(&mut self) {
        let Phase::Execution(command) = &self.dialogue.phase else { return };
        if let Some(delay) = self.delay_of(command) {
            let (result, direction, counts) = (command.result(), command.direction(), command.counts);
            let due = self.interface.now + delay;
            self.dialogue.phase = Phase::Ending(Ending { result, direction, counts, due });
            return;
        }
        if self.tracer.is_active() {
            let (direction, counts, result) = (command.direction(), command.counts, command.result());
            self.report(self.command_row(), direction, &result, counts);
        }
        let Phase::Execution(command) = &self.dialogue.phase else { return };
        self.enter_data_result(command.result());
    }

    /// Returns how long the end of a data command is delayed, if it is. With timing a command takes its time, but for the end
    /// of a transfer without DMA, which the host brings about with its last access (§2.2).
    fn delay_of(&self, command: &DataCommand) -> Option<Nanoseconds> {
        let Config { end_delay, delays, .. } = self.config;
        let immediate = self.interface.mechanics.is_none();
        match end_delay {
            EndDelay::None => None,
            _ if !self.uses_dma() && command.direction().is_some() => Some(delays.transfer),
            EndDelay::KnownGuests => Some(delays.command).filter(|_| immediate && command.is_read_id()),
            EndDelay::All => Some(delays.command).filter(|_| immediate),
        }
    }

    /// Ends the delay of a data command.
    fn finish_delay(&mut self, ending: Ending) {
        let Ending { result, direction, counts, .. } = ending;
        self.report(self.command_row(), direction, &result, counts);
        self.enter_data_result(result);
    }

    /// Returns the row of the command that is under way.
    fn command_row(&self) -> &'static Command {
        command::decode(self.dialogue.command[0], self.config.scan_commands)
    }

    /// Enters the result phase of a data command.
    fn enter_data_result(&mut self, result: [u8; 7]) {
        self.dialogue.enter_result(self.command_row(), result, true);
        self.interrupt_edge = true;
        if self.interface.poll_due().is_some_and(|due| due <= self.interface.now) {
            self.poll();
        }
    }

    /// Ends the delay of a command that is over, because the host has read an MSR that shows it busy. Returns whether there
    /// was one.
    pub(super) fn end_delay(&mut self) -> bool {
        let Phase::Ending(ending) = self.dialogue.phase else { return false };
        self.finish_delay(ending);
        true
    }

    /// Returns whether the host may move a byte of the data.
    fn requests_any_byte(&self) -> bool {
        !self.uses_dma()
            && matches!(&self.dialogue.phase, Phase::Execution(command) if self.data_path.requests_byte(command))
    }
}
