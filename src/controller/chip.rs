//! The 82077AA itself: the phases of a command, byte in and byte out, and the resets. It knows no bus and drives no pin; its
//! [`Controller`](super::Controller) does.

use std::time::Duration;

use log::debug;

use super::{
    command::{self, Action, Command, DataAction, Direction, HeadUnit, LOCK, STEP_IN},
    config::{Config, EmptyDrive, EndDelay, FifoAfterOverrun},
    data::{Counts, DataCommand, RunOutcome},
    data_path::DataPath,
    drive_interface::DriveInterface,
    fifo::{FifoSize, GuestString, Pacing},
    metrics::Tracer,
    outputs::{Effect, Outputs},
    phase::{Dialogue, Ending, Phase, Received},
    register_file::RegisterFile,
    registers::{ReadRegister, WriteRegister, configure, dor, dsr, msr, st0, st1},
    seek::{Ended, SeekControl, Stepper},
    settings::{Settings, Specify},
    time::{self, Nanoseconds, REVOLUTION},
};
use crate::{
    dma::DmaChannel,
    drive::{Drive, StepDirection},
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
            Phase::Execution(command) => self.data_path.outputs(command),
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

    /// Takes any other byte: the first or the last of a command, or one of the data without DMA.
    #[inline]
    pub(super) fn write_fifo(&mut self, value: u8, dma: &mut impl DmaChannel) -> Effect {
        let scan_commands = self.config.scan_commands;
        match self.dialogue.take(value, |opcode| command::decode(opcode, scan_commands)) {
            Received::Begun => {
                self.outputs.main_status |= msr::BUSY;
                Effect::None
            }
            Received::Complete(command) => self.execute(command, dma),
            Received::NotWanted => self.write_data(value, dma),
        }
    }

    /// Returns the next byte of a result, if one is left that is not the first: an access that changes no pin.
    #[inline]
    pub(super) fn next_result(&mut self) -> Option<u8> {
        let byte = self.dialogue.next_result(false)?;
        self.update_status_after_result();
        Some(byte)
    }

    /// Returns any other byte: the first of a result, or one of the data without DMA; 0 when there is none.
    #[inline]
    pub(super) fn read_fifo(&mut self, dma: &mut impl DmaChannel) -> (u8, Effect) {
        let effect = if self.dialogue.interrupts() { Effect::ResultFetched } else { Effect::None };
        match self.dialogue.next_result(true) {
            Some(byte) => {
                self.update_status_after_result();
                (byte, effect)
            }
            None => self.read_data(dma),
        }
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

    /// Takes a byte of the host for the disk, if the command asks for one.
    fn write_data(&mut self, value: u8, dma: &mut impl DmaChannel) -> Effect {
        if self.outputs.main_status & msr::DATA_PHASE != msr::REQUEST | msr::NON_DMA {
            self.ignore("write");
            return Effect::None;
        }
        self.push_byte(value, dma)
    }

    fn push_byte(&mut self, value: u8, dma: &mut impl DmaChannel) -> Effect {
        self.data_path.waited = Duration::ZERO;
        let request_ended = self.data_path.fifo.push(value);
        if !self.data_path.fifo.is_full() {
            // The MSR still asks for a byte.
            return if request_ended { Effect::Edge } else { Effect::None };
        }
        self.proceed(dma);
        self.end_request(request_ended);
        Effect::Outputs
    }

    /// Returns a byte of the disk for the host, if the command has one.
    fn read_data(&mut self, dma: &mut impl DmaChannel) -> (u8, Effect) {
        if self.outputs.main_status & msr::DATA_PHASE != msr::REQUEST | msr::TO_HOST | msr::NON_DMA {
            self.ignore("read");
            return (0, Effect::None);
        }
        self.receive_no_more_than_real();
        if let Some((byte, request_ended)) = self.data_path.fifo.pop_one_of_many() {
            return (byte, if request_ended { Effect::Edge } else { Effect::None });
        }
        let mut byte = 0;
        let (_, request_ended) = self.data_path.fifo.pop(std::slice::from_mut(&mut byte));
        self.proceed(dma);
        self.end_request(request_ended);
        (byte, Effect::Outputs)
    }

    /// Takes as many bytes of `data` as the disk takes before the MSR would tell the host to stop. Returns their number.
    pub(super) fn write_string(&mut self, data: &[u8], dma: &mut impl DmaChannel) -> usize {
        if !self.requests_byte(Direction::FromHost) {
            return 0;
        }
        if self.interface.mechanics.is_some() {
            // Only the FIFO is between the host and the disk, which takes its time.
            let mut taken = 0;
            while taken < data.len() && self.requests_byte(Direction::FromHost) {
                self.interrupt_edge |= self.push_byte(data[taken], dma) == Effect::Edge;
                taken += 1;
            }
            return taken;
        }
        let mut string = GuestString { output: data, ..GuestString::default() };
        self.proceed_with(&mut string, dma);
        self.interrupt_edge |= string.request_ended;
        data.len() - string.output.len()
    }

    /// Fills `data` with as many bytes as the disk has before the MSR would tell the host to stop. Returns their number.
    pub(super) fn read_string(&mut self, data: &mut [u8], dma: &mut impl DmaChannel) -> usize {
        if !self.requests_byte(Direction::ToHost) {
            return 0;
        }
        self.receive_no_more_than_real();
        let length = data.len();
        let (held, request_ended) = self.data_path.fifo.pop(data);
        let mut string = GuestString { input: &mut data[held..], request_ended, ..GuestString::default() };
        if self.data_path.fifo.is_empty() {
            self.proceed_with(&mut string, dma);
        }
        let GuestString { input, request_ended, .. } = string;
        self.end_request(request_ended);
        length - input.len()
    }

    /// Notes that the host takes a byte, and discards the bytes that the FIFO has read ahead of a disk that is gone. A chip with
    /// the FIFO off holds one byte; without time more are read ahead, which only an eject can show.
    fn receive_no_more_than_real(&mut self) {
        self.data_path.waited = Duration::ZERO;
        if self.data_path.fifo.size.threshold.is_none()
            && let Phase::Execution(command) = &self.dialogue.phase
            && !self.interface.turns_for(command)
        {
            self.data_path.fifo.truncate();
        }
    }

    /// Notes that a request for bytes may have ended. The next one needs an edge of its own; with timing it can be still to
    /// come.
    fn end_request(&mut self, ended: bool) {
        self.interrupt_edge |= ended && (self.interface.mechanics.is_none() || self.requests_any_byte());
    }

    /// Returns whether the host may move a byte of the data.
    fn requests_any_byte(&self) -> bool {
        !self.uses_dma()
            && matches!(&self.dialogue.phase, Phase::Execution(command) if self.data_path.requests_byte(command))
    }

    /// Returns whether the host may move a byte of the data in this direction.
    fn requests_byte(&self, direction: Direction) -> bool {
        matches!(&self.dialogue.phase, Phase::Execution(command) if command.direction() == Some(direction))
            && self.requests_any_byte()
    }

    #[cold]
    fn ignore(&self, access: &str) {
        debug!("{access} of the FIFO ignored, MSR {:#04x}", self.main_status());
    }

    /// Carries out a command whose bytes have all come.
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

    fn proceed_with(&mut self, string: &mut GuestString<'_>, dma: &mut impl DmaChannel) {
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
    fn end_execution(&mut self) {
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

    /// Returns how long the end of a command that moves a head is delayed, if it is. With timing it takes its time.
    fn seek_delay(&self) -> Option<Nanoseconds> {
        Some(self.config.delays.command).filter(|_| self.config.end_delay == EndDelay::All)
    }

    /// Enters the result phase of a data command.
    fn end_command(&mut self, ending: Ending) {
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
    pub(super) fn end_delay(&mut self) -> bool {
        let Phase::Ending(ending) = self.dialogue.phase else { return false };
        self.end_command(ending);
        true
    }

    /// Lets time pass, up to the next event at most, which then happens.
    pub(super) fn advance(&mut self, elapsed: Duration, dma: &mut impl DmaChannel) {
        let wait_left = self.wait_left();
        let before = self.interface.now;
        self.interface.now = time::later(self.interface.now, elapsed);
        if self.poll_due().is_some_and(|due| due <= self.interface.now) {
            self.poll();
        }
        let specify = self.settings.specify;
        self.interrupt_edge |= self.interface.with_stepper(specify, None, SeekControl::advance);
        if let Some(left) = wait_left {
            self.data_path.waited += elapsed.min(left);
            if elapsed >= left {
                self.end_wait();
            }
        }
        // Only what is due: otherwise it would make a difference in how many pieces time comes.
        let now = self.interface.now;
        let disk_lost = self.interface.readable_until().is_some_and(|until| before < until && until <= now);
        match self.dialogue.phase {
            Phase::Execution(DataCommand { schedule: Some(schedule), .. }) if schedule.due <= now || disk_lost => {
                let requested = self.requests_any_byte();
                self.proceed(dma);
                // A request for a byte needs an edge of its own, whatever holds INT up.
                self.interrupt_edge |= !requested && self.requests_any_byte();
            }
            Phase::Ending(ending) if ending.due <= now => self.end_command(ending),
            _ => {}
        }
    }

    /// Returns, without timing, how long a command still waits for its host: a revolution in all. It waits for a DMA channel,
    /// or for a host that stopped taking or giving bytes (§4.14).
    fn wait_left(&self) -> Option<Duration> {
        let Phase::Execution(command) = &self.dialogue.phase else { return None };
        let waits = if self.uses_dma() { command.waits_for_host() } else { self.data_path.requests_byte(command) };
        let ends = self.config.empty_drive == EmptyDrive::Fail || self.interface.turns_for(command);
        let waits = waits && ends && self.interface.mechanics.is_none();
        waits.then(|| Duration::from_nanos(REVOLUTION).saturating_sub(self.data_path.waited))
    }

    /// Ends a command that has waited for its host for a revolution, which is more than any host needs.
    fn end_wait(&mut self) {
        let Phase::Execution(command) = &mut self.dialogue.phase else { return };
        if self.interface.turns_for(command) {
            command.overrun_on(self.interface.head_at_rest().as_mut());
        } else {
            command.fail_without_disk();
            self.interface.abort_write(command);
        }
        self.data_path.fifo.clear();
        self.end_execution();
    }

    /// Returns when the drives are polled for the first time after a reset: not while a command has to do with a disk.
    fn poll_due(&self) -> Option<Nanoseconds> {
        self.interface.poll_due().filter(|_| !matches!(self.dialogue.phase, Phase::Execution(_) | Phase::Ending(_)))
    }

    /// Returns how long it is until something happens by itself.
    pub(super) fn next_event(&self) -> Option<Duration> {
        let now = self.interface.now;
        let by_phase = match &self.dialogue.phase {
            Phase::Execution(command) => {
                let due = command.schedule.map(|schedule| schedule.due);
                due.into_iter().chain(self.interface.readable_until()).filter(|&due| due > now).min()
            }
            Phase::Ending(ending) => Some(ending.due),
            _ => None,
        };
        let due = self.interface.seeks.next_step().into_iter().chain(self.poll_due()).chain(by_phase).min();
        let due = due.map(|due| Duration::from_nanos(due.saturating_sub(now)));
        due.into_iter().chain(self.wait_left()).min()
    }
}
