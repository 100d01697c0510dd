//! The 82077AA itself: the phases of a command, byte in and byte out, and the resets. It knows no bus and drives no pin; its
//! [`Controller`](super::Controller) does.

use std::time::Duration;

use log::debug;

use super::{
    command::{self, Action, Command, Direction, HeadUnit, LOCK, MAX_COMMAND, MAX_RESULT, STEP_IN, TransferKind},
    config::{Config, EmptyDrive, Timing},
    data::{Counts, DataCommand, RunOutcome, format::FormatIds, immediate, rotating, schedule::Schedule},
    fifo::{DmaPort, Fifo, FifoSize, GuestString, Pacing, PioPort},
    mechanics::Mechanics,
    metrics::Tracer,
    register_file::{Pins, RegisterFile},
    registers::{ReadRegister, WriteRegister, configure, dor, dsr, msr, st0, st1, st3},
    seek::{Ended, SeekControl, Stepper},
    settings::{Settings, Specify},
    time::{self, Nanoseconds, REVOLUTION, Rotation},
};
use crate::{
    dma::DmaChannel,
    drive::{Drive, StepDirection},
    media::DataRate,
};

/// What the chip is doing, with all that this phase needs.
#[derive(Clone, Debug)]
#[repr(u8)] // Every access reads the tag: as a byte of its own, not packed into the largest variant.
pub(super) enum Phase {
    /// Waits for a command.
    Idle,
    /// Waits for the rest of a command. The bytes are in [`Chip::command`].
    Command(CommandPhase),
    /// Moves data.
    Execution(DataCommand),
    /// Has bytes to be fetched, which are in [`Chip::result`].
    Result(ResultPhase),
    /// Is held in reset by the DOR, or powered down, and accepts nothing.
    Stopped,
}

/// The counters of this phase and the next are as wide as a CPU register: one that was stored an access ago is then loaded
/// several cycles faster.
#[derive(Clone, Debug)]
pub(super) struct CommandPhase {
    pub command: &'static Command,
    /// Bytes that have come, the command byte among them.
    pub received: u32,
}

#[derive(Clone, Debug)]
pub(super) struct ResultPhase {
    pub length: u32,
    pub fetched: u32,
    /// INT is up until the first byte is fetched.
    pub interrupts: bool,
}

/// Whether an access can have changed the pins. Most accesses of a command cannot.
pub(super) type PinsMayChange = bool;

/// What the chip shows: the MSR, and the levels of its pins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outputs {
    pub main_status: u8,
    /// INT.
    pub interrupt: bool,
    /// DRQ.
    pub dma_request: bool,
}

/// The chip with its drives.
#[derive(Debug)]
pub(super) struct Chip {
    pub drives: [Option<Drive>; 4],
    pub config: Config,
    pub registers: RegisterFile,
    pub settings: Settings,
    pub seeks: SeekControl,
    /// With timing.
    pub mechanics: Option<Mechanics>,
    /// The clock: all the time that the VM monitor has supplied.
    pub now: Nanoseconds,
    pub phase: Phase,
    /// The bytes of the last command. Neither they nor the next two move with the phase, which changes with each command.
    pub command: [u8; MAX_COMMAND],
    /// The bytes of the last result.
    pub result: [u8; MAX_RESULT],
    /// What the host gives to FORMAT TRACK.
    pub format_ids: FormatIds,
    pub fifo: Fifo,
    /// Without timing: how long a command has waited for its DMA channel.
    pub waited: Duration,
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
            drives,
            config,
            registers: RegisterFile::new(),
            settings: Settings::new(),
            seeks: SeekControl::default(),
            mechanics: (config.timing == Timing::Authentic).then(Mechanics::default),
            now: 0,
            phase: Phase::Stopped,
            command: [0; MAX_COMMAND],
            result: [0; MAX_RESULT],
            format_ids: FormatIds::default(),
            fifo: Fifo::new(FifoSize::default(), Pacing::Immediate),
            waited: Duration::ZERO,
            interrupt_edge: false,
            outputs: Outputs::default(),
            tracer: Tracer::default(),
        }
    }

    /// Carries out the RESET pin (§1.11). What SPECIFY set stays, and so do the heads.
    pub(super) fn hardware_reset(&mut self) {
        self.settings.hardware_reset();
        self.reset_core();
        self.registers = RegisterFile::new();
    }

    /// Carries out what all resets have in common, and the power-down, which only a reset ends.
    fn reset_core(&mut self) {
        self.settings.software_reset();
        // Whether a software reset clears PCN is not established; software that recalibrates after it cannot tell.
        self.seeks = SeekControl::default();
        self.registers.clear_flip_flops();
        if let Some(mechanics) = &mut self.mechanics {
            mechanics.reset();
        }
        self.abort_write();
        self.phase = Phase::Stopped;
    }

    /// Commits what a command has written that ends without an end of its own.
    fn abort_write(&mut self) {
        let Phase::Execution(command) = &mut self.phase else { return };
        let mut heads = self.drives.iter_mut().flatten().filter_map(Drive::head);
        if let Some(mut head) = heads.find(|head| command.writes() && command.medium == Some(head.medium_id())) {
            command.commit(&mut head);
        }
    }

    /// Ends a reset: polling, which every reset turns on, finds all drives ready (§6.2).
    fn start(&mut self) {
        self.phase = Phase::Idle;
        match &mut self.mechanics {
            None => self.poll(),
            Some(mechanics) => mechanics.schedule_poll(self.now),
        }
    }

    fn poll(&mut self) {
        if let Some(mechanics) = &mut self.mechanics {
            mechanics.poll_due = None;
        }
        self.seeks.poll();
        self.interrupt_edge = true;
    }

    /// Updates the outputs at the end of an access. Returns those before and those now.
    pub(super) fn update_outputs(&mut self) -> [Outputs; 2] {
        let before = self.outputs;
        self.outputs = self.compute_outputs();
        [before, self.outputs]
    }

    fn compute_outputs(&self) -> Outputs {
        let (status, interrupt, dma_request) = match &self.phase {
            Phase::Stopped => (0, false, false),
            Phase::Idle => (msr::REQUEST, false, false),
            Phase::Command(_) => (msr::REQUEST | msr::BUSY, false, false),
            Phase::Result(result) => {
                (msr::REQUEST | msr::TO_HOST | msr::BUSY, result.interrupts && result.fetched == 0, false)
            }
            Phase::Execution(command) => {
                (self.execution_status(command), self.requests_byte_for(command), self.requests_dma_for(command))
            }
        };
        let main_status = if status == 0 { 0 } else { status | self.seeks.busy() };
        let driven = self.drives_pins();
        let interrupt = driven && (interrupt || self.seeks.interrupts());
        Outputs { main_status, interrupt, dma_request: driven && dma_request }
    }

    /// Returns the level of INT.
    pub(super) fn interrupt(&self) -> bool {
        self.outputs.interrupt
    }

    fn drives_pins(&self) -> bool {
        self.registers.drives_pins(self.config.mode)
    }

    fn uses_dma(&self) -> bool {
        self.settings.specify.uses_dma()
    }

    /// Returns whether a command is in its execution phase.
    #[inline]
    pub(super) fn is_executing(&self) -> bool {
        matches!(self.phase, Phase::Execution(_))
    }

    /// Returns whether a transfer can only go on when its DMA channel serves it.
    fn waits_for_dma(&self, command: &DataCommand) -> bool {
        self.uses_dma() && command.waits_for_host()
    }

    /// Returns whether the disk that a command works on turns under the head.
    fn turns_for(&self, command: &DataCommand) -> bool {
        let drive = self.selected_drive().filter(|_| self.registers.motor_on());
        drive.and_then(Drive::medium_id).is_some_and(|medium| command.is_on(medium))
    }

    /// Returns DRQ for a command.
    fn requests_dma_for(&self, command: &DataCommand) -> bool {
        self.waits_for_dma(command) && self.turns_for(command)
    }

    /// Returns whether the host may move a byte for a command without DMA.
    fn requests_byte_for(&self, command: &DataCommand) -> bool {
        if self.uses_dma() {
            return false;
        }
        match command.direction() {
            Some(Direction::ToHost) => !self.fifo.is_empty(),
            Some(Direction::FromHost) => command.waits_for_host() && !self.fifo.is_full(),
            None => false,
        }
    }

    /// Returns the MSR of the execution phase: without DMA, RQM and DIO follow the FIFO; with DMA only CB shows (§2.1).
    fn execution_status(&self, command: &DataCommand) -> u8 {
        let direction = match command.direction() {
            None => return msr::BUSY,
            _ if self.uses_dma() => return msr::BUSY,
            Some(Direction::ToHost) => msr::TO_HOST,
            Some(Direction::FromHost) => 0,
        };
        let request = if self.requests_byte_for(command) { msr::REQUEST } else { 0 };
        msr::BUSY | msr::NON_DMA | direction | request
    }

    /// Returns the MSR.
    #[inline]
    pub(super) fn main_status(&self) -> u8 {
        self.outputs.main_status
    }

    /// Reads any register but the FIFO.
    pub(super) fn read_register(&mut self, register: ReadRegister) -> u8 {
        let mode = self.config.mode;
        match register {
            ReadRegister::MainStatus => self.main_status(),
            ReadRegister::DigitalOutput => self.registers.digital_output,
            ReadRegister::TapeDrive => self.registers.tape_drive,
            ReadRegister::StatusA => self.registers.status_a(mode, self.pins()),
            ReadRegister::StatusB => self.registers.status_b(mode, self.pins()),
            ReadRegister::DigitalInput => {
                let value = self.registers.digital_input(mode, self.pins().disk_change);
                self.registers.clear_flip_flops();
                value
            }
            ReadRegister::Fifo => 0xFF,
        }
    }

    fn pins(&self) -> Pins {
        let drive = self.selected_drive();
        let motor_on = self.registers.motor_on();
        let selected = self.registers.selected();
        let at_speed = motor_on && self.mechanics.as_ref().is_some_and(|it| it.is_at_speed(self.now, selected));
        let turning = drive.filter(|drive| at_speed && drive.medium_id().is_some());
        Pins {
            interrupt: self.outputs.interrupt,
            dma_request: self.outputs.dma_request,
            write_enable: matches!(&self.phase, Phase::Execution(command) if command.is_writing(self.now)),
            second_drive: self.drives[1].is_some(),
            track_0: drive.is_some_and(Drive::track_0),
            write_protect: drive.is_some_and(Drive::write_protected),
            index: turning.is_some_and(|drive| Rotation { rpm: drive.drive_type().rpm() }.index_pulse(self.now)),
            disk_change: drive.filter(|_| motor_on).is_some_and(Drive::disk_changed),
        }
    }

    /// Returns the drive that the DOR selects.
    fn selected_drive(&self) -> Option<&Drive> {
        self.drives[self.registers.selected()].as_ref()
    }

    /// Writes any register but the FIFO.
    pub(super) fn write_register(&mut self, register: WriteRegister, value: u8, dma: &mut impl DmaChannel) {
        match register {
            WriteRegister::DigitalOutput => self.write_digital_output(value, dma),
            WriteRegister::TapeDrive => self.registers.write_tape_drive(value),
            WriteRegister::DataRateSelect => self.write_data_rate_select(value),
            WriteRegister::ConfigurationControl => self.registers.write_configuration_control(value),
            WriteRegister::Fifo => {}
        }
    }

    fn write_digital_output(&mut self, value: u8, dma: &mut impl DmaChannel) {
        let before = self.registers.write_digital_output(value);
        if let Some(mechanics) = &mut self.mechanics {
            for (number, drive) in self.drives.iter().enumerate() {
                let started = value & !before & dor::MOTOR_0 << number != 0;
                if let Some(drive) = drive.as_ref().filter(|_| started) {
                    mechanics.start_motor(self.now, number, drive.drive_type());
                }
            }
        }
        match (before & dor::NOT_RESET != 0, value & dor::NOT_RESET != 0) {
            (true, false) => self.reset_core(),
            (false, true) => self.start(),
            // The gate, the motor or the selected drive may be what a transfer waits for.
            (true, true) => self.proceed(dma),
            (false, false) => {}
        }
    }

    fn write_data_rate_select(&mut self, value: u8) {
        self.registers.rate = DataRate::from_bits(value);
        if !self.registers.is_running() {
            return;
        }
        if value & dsr::RESET != 0 {
            self.reset_core();
            self.start();
        } else if value & dsr::POWER_DOWN != 0 {
            self.reset_core();
        }
    }

    /// Takes a byte of a command, or of the data without DMA.
    #[inline]
    pub(super) fn write_fifo(&mut self, value: u8, dma: &mut impl DmaChannel) -> PinsMayChange {
        match &mut self.phase {
            Phase::Command(phase) => {
                self.command[phase.received as usize] = value;
                phase.received += 1;
                let command = phase.command;
                if (phase.received as usize) < command.length() {
                    return false;
                }
                self.execute(command, dma);
            }
            Phase::Idle => {
                self.command[0] = value;
                let command = self.decode(value);
                if command.length() > 1 {
                    self.phase = Phase::Command(CommandPhase { command, received: 1 });
                    self.outputs.main_status |= msr::BUSY;
                    return false;
                }
                self.execute(command, dma);
            }
            _ => self.write_data(value, dma),
        }
        true
    }

    /// Returns the next byte of the result, or of the data without DMA; 0 when there is none.
    #[inline]
    pub(super) fn read_fifo(&mut self, dma: &mut impl DmaChannel) -> (u8, PinsMayChange) {
        match &mut self.phase {
            Phase::Result(result) => {
                let byte = self.result[result.fetched as usize];
                result.fetched += 1;
                let first = result.fetched == 1;
                if result.fetched == result.length {
                    self.phase = Phase::Idle;
                    self.outputs.main_status = msr::REQUEST | self.seeks.busy();
                }
                (byte, first)
            }
            _ => (self.read_data(dma), true),
        }
    }

    /// Takes a byte of the host for the disk, if the command asks for one.
    fn write_data(&mut self, value: u8, dma: &mut impl DmaChannel) {
        if !self.requests_byte(Direction::FromHost) {
            return self.ignore("write");
        }
        let request_ended = self.fifo.push(value);
        if self.fifo.is_full() {
            self.proceed(dma);
        }
        self.end_request(request_ended);
    }

    /// Returns a byte of the disk for the host, if the command has one.
    fn read_data(&mut self, dma: &mut impl DmaChannel) -> u8 {
        if !self.requests_byte(Direction::ToHost) {
            self.ignore("read");
            return 0;
        }
        let mut byte = 0;
        let (_, request_ended) = self.fifo.pop(std::slice::from_mut(&mut byte));
        if self.fifo.is_empty() {
            self.proceed(dma);
        }
        self.end_request(request_ended);
        byte
    }

    /// Takes as many bytes of `data` as the disk takes before the MSR would tell the host to stop. Returns their number.
    pub(super) fn write_string(&mut self, data: &[u8], dma: &mut impl DmaChannel) -> usize {
        if !self.requests_byte(Direction::FromHost) {
            return 0;
        }
        if self.mechanics.is_some() {
            // Only the FIFO is between the host and the disk, which takes its time.
            let goes = |byte: &&u8| {
                let goes = self.requests_byte(Direction::FromHost);
                if goes {
                    self.write_data(**byte, dma);
                }
                goes
            };
            return data.iter().take_while(goes).count();
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
        let length = data.len();
        let (held, request_ended) = self.fifo.pop(data);
        let mut string = GuestString { input: &mut data[held..], request_ended, ..GuestString::default() };
        if self.fifo.is_empty() {
            self.proceed_with(&mut string, dma);
        }
        let GuestString { input, request_ended, .. } = string;
        self.end_request(request_ended);
        length - input.len()
    }

    /// Notes that a request for bytes may have ended. The next one needs an edge of its own; with timing it can be still to
    /// come.
    fn end_request(&mut self, ended: bool) {
        self.interrupt_edge |= ended && (self.mechanics.is_none() || self.requests_any_byte());
    }

    /// Returns whether the host may move a byte of the data.
    fn requests_any_byte(&self) -> bool {
        matches!(&self.phase, Phase::Execution(command) if self.requests_byte_for(command))
    }

    /// Returns whether the host may move a byte of the data in this direction.
    fn requests_byte(&self, direction: Direction) -> bool {
        matches!(&self.phase, Phase::Execution(command)
            if command.direction() == Some(direction) && self.requests_byte_for(command))
    }

    #[cold]
    fn ignore(&self, access: &str) {
        debug!("{access} of the FIFO ignored, MSR {:#04x}", self.main_status());
    }

    /// Returns the row of the command that `byte` begins.
    pub(super) fn decode(&self, byte: u8) -> &'static Command {
        let row = command::decode(byte);
        match row.action {
            Action::Transfer(TransferKind::Scan(_)) if !self.config.scan_commands => &command::INVALID_COMMAND,
            _ => row,
        }
    }

    /// Carries out a command whose bytes have all come.
    fn execute(&mut self, command: &'static Command, dma: &mut impl DmaChannel) {
        let [opcode, first, second, third, ..] = self.command;
        let HeadUnit { head, unit } = HeadUnit::of(first);
        self.phase = Phase::Idle;
        match command.action {
            Action::Transfer(_) | Action::ReadId | Action::FormatTrack => {
                return self.start_data_command(command.action, dma);
            }
            Action::Recalibrate => self.seek_command(|seeks, stepper| seeks.recalibrate(unit, stepper)),
            Action::Seek => self.seek_command(|seeks, stepper| seeks.seek(unit, second, stepper)),
            Action::RelativeSeek => {
                let direction = if opcode & STEP_IN != 0 { StepDirection::In } else { StepDirection::Out };
                self.seek_command(|seeks, stepper| seeks.relative_seek(unit, direction, second, stepper));
            }
            Action::SenseInterruptStatus => {
                return match self.seeks.sense() {
                    Some(status) => {
                        // Statuses that are left need an edge of their own (§6.4).
                        self.interrupt_edge |= self.seeks.interrupts();
                        self.enter_result(command, status)
                    }
                    None => self.enter_result(&command::INVALID_COMMAND, [st0::INVALID]),
                };
            }
            Action::Version => return self.enter_result(command, [0x90]),
            Action::SenseDriveStatus => {
                self.registers.head_select = head;
                return self.enter_result(command, [self.drive_status(HeadUnit { head, unit })]);
            }
            Action::DumpRegisters => return self.enter_result(command, self.settings.dump(self.seeks.cylinders())),
            Action::Lock => {
                self.settings.lock = opcode & LOCK != 0;
                return self.enter_result(command, [u8::from(self.settings.lock) << 4]);
            }
            Action::Specify => self.settings.specify = Specify([first, second]),
            Action::Configure => {
                // POLL can only prevent the first poll after a reset; without timing that ends the reset.
                if let Some(mechanics) = self.mechanics.as_mut().filter(|_| second & configure::POLL != 0) {
                    mechanics.poll_due = None;
                }
                self.settings.set_configure(second, third);
            }
            Action::PerpendicularMode => self.settings.set_perpendicular(first),
            Action::Invalid => return self.enter_result(command, [st0::INVALID]),
        }
        self.report(command, None, &[], Counts::default());
    }

    /// Calls `f` with the seeks and the drives that they move.
    fn with_stepper<R>(&mut self, f: impl FnOnce(&mut SeekControl, &mut Stepper<'_>) -> R) -> R {
        let interval = self.settings.specify.step_interval(self.registers.rate);
        let timing = self.mechanics.as_mut().map(|mechanics| (mechanics, interval));
        let Self { drives, registers, seeks, now, .. } = self;
        f(seeks, &mut Stepper { drives, registers, timing, now: *now })
    }

    fn seek_command(&mut self, f: impl FnOnce(&mut SeekControl, &mut Stepper<'_>) -> Ended) {
        self.drop_ready_changes();
        self.interrupt_edge |= self.with_stepper(f);
    }

    /// Drops what the poll found. The interrupt of the command that starts then needs an edge of its own (§6.2).
    fn drop_ready_changes(&mut self) {
        self.interrupt_edge |= self.seeks.drop_ready_changes();
    }

    /// Returns ST3: the sensors of the drive that the DOR selects, and the head and the unit of the command (§5.4).
    fn drive_status(&self, head_unit: HeadUnit) -> u8 {
        let drive = self.selected_drive();
        let track_0 = if drive.is_some_and(Drive::track_0) { st3::TRACK_0 } else { 0 };
        let protected = if drive.is_some_and(Drive::write_protected) { st3::WRITE_PROTECTED } else { 0 };
        st3::ALWAYS | track_0 | protected | head_unit.bits()
    }

    /// Enters the result phase of a command without an execution phase, which does not interrupt.
    fn enter_result<const N: usize>(&mut self, command: &Command, bytes: [u8; N]) {
        self.enter_result_phase(command, bytes, false);
        self.report(command, None, &bytes, Counts::default());
    }

    /// Enters the result phase of `command`, whose row says how many of `bytes` there are.
    fn enter_result_phase<const N: usize>(&mut self, command: &Command, bytes: [u8; N], interrupts: bool) {
        debug_assert_eq!(command.results.len(), N);
        self.result[..N].copy_from_slice(&bytes);
        self.interrupt_edge |= interrupts;
        self.phase = Phase::Result(ResultPhase { length: N as u32, fetched: 0, interrupts });
    }

    /// Reports a command that has ended, if anybody wants to know.
    #[inline]
    fn report(&mut self, command: &Command, direction: Option<Direction>, result: &[u8], counts: Counts) {
        if self.tracer.is_active() {
            self.tracer.completed(command, direction, &self.command, result, counts);
        }
    }

    /// Starts a data command, after the implied seek that EIS asks for.
    fn start_data_command(&mut self, action: Action, dma: &mut impl DmaChannel) {
        self.drop_ready_changes();
        let [_, head_unit, cylinder, sectors, _, _, end_of_track, ..] = self.command;
        let mut steps = 0;
        match action {
            Action::Transfer(_) => {
                self.settings.last_track_length = end_of_track;
                if self.settings.implied_seek() {
                    let HeadUnit { unit, .. } = HeadUnit::of(head_unit);
                    steps = self.with_stepper(|seeks, stepper| seeks.implied_seek(unit, cylinder, stepper));
                }
            }
            Action::FormatTrack => self.settings.last_track_length = sectors,
            _ => {}
        }
        let (rate, schedule) = (self.registers.rate, self.schedule());
        if let Some(command) = DataCommand::new(action, &self.command, rate, steps > 0, schedule) {
            self.begin(command, dma);
        }
    }

    /// Returns the schedule of a data command that starts now, with timing.
    fn schedule(&self) -> Option<Schedule> {
        self.mechanics.as_ref().map(|mechanics| {
            let selected = self.registers.selected();
            let head_load = self.settings.specify.head_load(self.registers.rate);
            Schedule::new(mechanics.ready_at(self.now, selected, self.seeks.steps_end(selected), head_load))
        })
    }

    /// Returns whether the disk is write protected, at which the chip looks before it waits for anything (§3.5). Where there is
    /// nothing to wait for, the command sees for itself.
    fn refuses_to_write(&self) -> bool {
        let waits = self.mechanics.is_some() || !self.registers.motor_on();
        waits && self.selected_drive().is_some_and(Drive::write_protected)
    }

    /// Enters the execution phase.
    fn begin(&mut self, mut command: DataCommand, dma: &mut impl DmaChannel) {
        if command.writes() && self.refuses_to_write() {
            command.fail(st1::NOT_WRITABLE, 0);
            if let Some(schedule) = &mut command.schedule {
                schedule.due = self.now;
            }
        }
        let pacing = match self.mechanics {
            None => Pacing::Immediate,
            Some(_) => Pacing::Rotating { requesting: true },
        };
        self.fifo = Fifo::new(FifoSize { threshold: self.settings.fifo_threshold() }, pacing);
        self.waited = Duration::ZERO;
        self.phase = Phase::Execution(command);
        self.proceed(dma);
        // A request for a byte needs an edge of its own, whatever holds INT up.
        self.interrupt_edge |= self.requests_any_byte();
    }

    /// Lets a data command go on as far as it can, and enters the result phase when it is over.
    pub(super) fn proceed(&mut self, dma: &mut impl DmaChannel) {
        self.proceed_with(&mut GuestString::default(), dma);
    }

    fn proceed_with(&mut self, string: &mut GuestString<'_>, dma: &mut impl DmaChannel) {
        let (motor_on, gate, uses_dma) = (self.registers.motor_on(), self.drives_pins(), self.uses_dma());
        let selected = self.registers.selected();
        let timing = self.mechanics.as_ref().map(|mechanics| (self.now, mechanics.at_speed_at[selected]));
        let Phase::Execution(command) = &mut self.phase else { return };
        let mut head = self.drives[selected].as_mut().filter(|_| motor_on).and_then(Drive::head);
        let outcome = if uses_dma {
            let mut port = DmaPort { channel: dma, gate, fifo: self.fifo.size, served: false };
            let outcome = match timing {
                None => immediate::run(command, head.as_mut(), &mut port, &mut self.format_ids),
                Some(timing) => rotating::run(command, timing, head.as_mut(), &mut port, &mut self.format_ids),
            };
            if port.served {
                self.waited = Duration::ZERO;
            }
            outcome
        } else {
            let mut port = PioPort { fifo: &mut self.fifo, string };
            match timing {
                None => immediate::run(command, head.as_mut(), &mut port, &mut self.format_ids),
                Some(timing) => rotating::run(command, timing, head.as_mut(), &mut port, &mut self.format_ids),
            }
        };
        drop(head);
        self.registers.head_select = command.head;
        self.registers.record(command.take_activity());
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
                command.fail_without_disk();
                if let Some(schedule) = &mut command.schedule {
                    schedule.due = self.now + 2 * REVOLUTION;
                }
                self.abort_write();
            }
        }
        self.end_when_due();
    }

    /// Ends the execution phase of a command that is over, when its end is due and the host has what the disk delivered.
    fn end_when_due(&mut self) {
        let Phase::Execution(command) = &self.phase else { return };
        if command.schedule.is_some_and(|schedule| self.now < schedule.due) {
            return;
        }
        if self.fifo.is_empty() || command.direction() != Some(Direction::ToHost) {
            if let Some(mechanics) = &mut self.mechanics {
                mechanics.end_command(self.now, self.settings.specify, self.registers.rate);
            }
            self.end_execution();
        }
    }

    /// Goes from the execution phase to the result phase.
    fn end_execution(&mut self) {
        let Phase::Execution(data) = &self.phase else { return };
        let (result, direction, counts) = (data.result(), data.direction(), data.counts);
        let command = self.decode(self.command[0]);
        self.enter_result_phase(command, result, true);
        self.report(command, direction, &result, counts);
        if self.mechanics.as_ref().and_then(|mechanics| mechanics.poll_due).is_some_and(|due| due <= self.now) {
            self.poll();
        }
    }

    /// Lets time pass, up to the next event at most, which then happens.
    pub(super) fn advance(&mut self, elapsed: Duration, dma: &mut impl DmaChannel) {
        let left = self.next_event();
        self.now = time::later(self.now, elapsed);
        if self.mechanics.is_some() {
            return self.run_mechanics(dma);
        }
        let Some(left) = left else { return };
        self.waited += elapsed.min(left);
        if elapsed >= left {
            self.end_wait_for_dma();
        }
    }

    /// Ends a command that has waited for its DMA channel for a revolution, which is more than any channel needs (§4.14).
    fn end_wait_for_dma(&mut self) {
        let selected = self.registers.selected();
        let turns = matches!(&self.phase, Phase::Execution(command) if self.requests_dma_for(command));
        let Phase::Execution(command) = &mut self.phase else { return };
        if turns {
            command.overrun_on(self.drives[selected].as_mut().and_then(Drive::head).as_mut());
        } else {
            command.fail_without_disk();
            self.abort_write();
        }
        self.end_execution();
    }

    /// Makes happen what is due now, with timing.
    fn run_mechanics(&mut self, dma: &mut impl DmaChannel) {
        if self.poll_due().is_some_and(|due| due <= self.now) {
            self.poll();
        }
        self.interrupt_edge |= self.with_stepper(SeekControl::advance);
        // Only what is due: otherwise it would make a difference in how many pieces time comes.
        let due = match &self.phase {
            Phase::Execution(command) => command.schedule.is_some_and(|schedule| schedule.due <= self.now),
            _ => false,
        };
        if due {
            let requested = self.requests_any_byte();
            self.proceed(dma);
            // A request for a byte needs an edge of its own, whatever holds INT up.
            self.interrupt_edge |= !requested && self.requests_any_byte();
        }
    }

    /// Returns when the drives are polled for the first time after a reset: not while a command has to do with a disk.
    fn poll_due(&self) -> Option<Nanoseconds> {
        self.mechanics.as_ref()?.poll_due.filter(|_| !self.is_executing())
    }

    /// Returns how long it is until something happens by itself.
    pub(super) fn next_event(&self) -> Option<Duration> {
        let execution = match &self.phase {
            Phase::Execution(command) => Some(command),
            _ => None,
        };
        if self.mechanics.is_some() {
            let command = execution.and_then(|command| command.schedule).map(|schedule| schedule.due);
            let command = command.filter(|&due| due > self.now);
            let next = self.seeks.next_step().into_iter().chain(self.poll_due()).chain(command).min();
            return next.map(|at| Duration::from_nanos(at.saturating_sub(self.now)));
        }
        let command = execution.filter(|command| self.waits_for_dma(command))?;
        let ends = self.config.empty_drive == EmptyDrive::Fail || self.turns_for(command);
        ends.then(|| Duration::from_nanos(REVOLUTION).saturating_sub(self.waited))
    }
}
