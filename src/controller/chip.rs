//! The 82077AA itself: registers, phases and resets. It knows no bus and has no pins; its
//! [`Controller`](super::Controller) does.

use std::{fmt, time::Duration};

use log::{Level, debug, log_enabled, trace};

use super::{
    EmptyDrive,
    command::{self, Action, Command, LOCK, MAX_COMMAND, MAX_RESULT},
    execution::{Execution, Moved},
    fifo::{DmaPort, Fifo, FifoSize, GuestString, Pio},
    format::{FormatIds, FormatTrack},
    metrics::{CommandEnd, Metrics},
    registers::{Register, ccr, configure, dor, dsr, msr, perpendicular, st0, st1, st3, tdr},
    seek::{InterruptStatus, Seek},
    signals::{Activity, InterfaceMode, Signals},
    timing::{self, END_OF_TIME, Nanoseconds, POLLING, SETTLING, StepsAndHead, Timing},
    transfer::{Direction, Kind, Progress, Transfer},
};
use crate::{dma::DmaChannel, drive::Drive, media::DataRate};

/// What the controller is doing, with all that this phase needs.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[repr(u8)] // The tag is read at every access: as a byte of its own, not packed into the largest variant.
enum Phase {
    /// Waiting for a command.
    Idle,
    /// Waiting for the rest of a command, whose first bytes are in [`Chip::command`].
    Command(CommandPhase),
    /// Bytes, which are in [`Chip::result`], wait to be fetched.
    Result(ResultPhase),
    /// Moving data.
    Execution(Execution),
    /// Held in reset by the DOR, or powered down: nothing is accepted.
    Stopped,
}

/// The counters of this phase and the next are as wide as a register: one that was stored an access ago is then loaded
/// several cycles faster.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct CommandPhase {
    received: u32,
    length: u32,
}

#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct ResultPhase {
    length: u32,
    fetched: u32,
    /// INT is up until the first byte is fetched.
    interrupts: bool,
}

/// Whether an access can have changed what the chip wants on its pins. Most accesses of a command do not.
pub(super) type PinsMayChange = bool;

/// Where the data sheet leaves a choice, or a chip differs from it.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Options {
    pub mode: InterfaceMode,
    pub empty_drive: EmptyDrive,
    pub timing: Timing,
    /// The SCAN commands execute.
    pub scan: bool,
}

/// The controller without its pins.
#[derive(Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Chip {
    #[cfg_attr(feature = "serde", serde(skip))]
    pub drives: [Option<Drive>; 4],
    options: Options,
    pub digital_output: u8,
    tape_drive: u8,
    /// DRATE, the latch that DSR and CCR share.
    rate: DataRate,
    no_precompensation: bool,
    pub activity: Activity,
    /// The direction of the last step.
    pub inward: bool,
    /// The side that the last command chose.
    side: u8,
    /// The two parameters of SPECIFY. Undefined at power-on, and no reset changes them.
    specify: [u8; 2],
    /// Byte 2 of CONFIGURE.
    configure: u8,
    /// PRETRK.
    precompensation_start: u8,
    lock: bool,
    /// The low six bits of PERPENDICULAR MODE.
    perpendicular: u8,
    /// PCN: where the controller believes the heads to be.
    pub present_cylinder: [u8; 4],
    pub interrupt_status: InterruptStatus,
    /// SC of the last FORMAT TRACK, or EOT of the last transfer, for DUMPREG.
    last_track_length: u8,
    fifo: Fifo,
    /// The bytes of the last command.
    command: [u8; MAX_COMMAND],
    /// The bytes of the last result.
    result: [u8; MAX_RESULT],
    /// What FORMAT TRACK takes from the host. Kept out of the phase, which each command moves.
    format_ids: FormatIds,
    phase: Phase,
    /// Kept, because software reads the MSR much more often than it changes.
    shown: Shown,
    /// How long a command has waited for its DMA channel, as far as the embedder told. Without timing.
    waited: Duration,
    /// With timing, all the time that the embedder told of.
    pub now: Nanoseconds,
    /// When the drives are first looked at after a reset.
    polls: Option<Nanoseconds>,
    /// By the drive that the command names.
    pub seeks: [Option<Seek>; 4],
    /// By drive: when its head rests after the last step, and when its motor is up to speed.
    pub settled: [Nanoseconds; 4],
    at_speed: [Nanoseconds; 4],
    /// Until when a head stays loaded after a command.
    head_loaded: Nanoseconds,
    /// INT falls and rises again within this access.
    pub interrupt_edge: bool,
    /// What the last command moved, for the metrics.
    moved: Moved,
    #[cfg_attr(feature = "serde", serde(skip))]
    pub metrics: Watcher,
}

/// Who is told of commands.
#[derive(Default)]
pub(super) struct Watcher(pub Option<Box<dyn Metrics>>);

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watcher").field(&self.0.is_some()).finish()
    }
}

/// What the chip shows of itself: the MSR, and the levels of its pins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Shown {
    pub main_status: u8,
    /// INT.
    pub interrupt: bool,
    /// DRQ.
    pub dma_request: bool,
}

impl Chip {
    pub(super) fn new(drives: [Option<Drive>; 4], options: Options) -> Self {
        Self {
            drives,
            options,
            digital_output: 0,
            tape_drive: 0,
            rate: DataRate::Kbps250,
            no_precompensation: false,
            activity: Activity::default(),
            inward: false,
            side: 0,
            specify: [0; 2],
            configure: configure::FIFO_OFF,
            precompensation_start: 0,
            lock: false,
            perpendicular: 0,
            present_cylinder: [0; 4],
            interrupt_status: InterruptStatus::default(),
            last_track_length: 0,
            fifo: Fifo::default(),
            command: [0; MAX_COMMAND],
            result: [0; MAX_RESULT],
            format_ids: FormatIds::default(),
            phase: Phase::Stopped,
            shown: Shown::default(),
            waited: Duration::ZERO,
            now: 0,
            polls: None,
            seeks: [None; 4],
            settled: [0; 4],
            at_speed: [0; 4],
            head_loaded: 0,
            interrupt_edge: false,
            moved: Moved::default(),
            metrics: Watcher::default(),
        }
    }

    /// All that the chip is, without the drives and those who are told of its commands.
    pub(super) fn without_drives(&self) -> Self {
        Self {
            drives: [const { None }; 4],
            metrics: Watcher::default(),
            options: self.options,
            digital_output: self.digital_output,
            tape_drive: self.tape_drive,
            rate: self.rate,
            no_precompensation: self.no_precompensation,
            activity: self.activity,
            inward: self.inward,
            side: self.side,
            specify: self.specify,
            configure: self.configure,
            precompensation_start: self.precompensation_start,
            lock: self.lock,
            perpendicular: self.perpendicular,
            present_cylinder: self.present_cylinder,
            interrupt_status: self.interrupt_status.clone(),
            last_track_length: self.last_track_length,
            fifo: self.fifo.clone(),
            command: self.command,
            result: self.result,
            format_ids: self.format_ids.clone(),
            phase: self.phase.clone(),
            shown: self.shown,
            waited: self.waited,
            now: self.now,
            polls: self.polls,
            seeks: self.seeks,
            settled: self.settled,
            at_speed: self.at_speed,
            head_loaded: self.head_loaded,
            interrupt_edge: self.interrupt_edge,
            moved: self.moved,
        }
    }

    /// It is one that can be, as far as anything depends on that.
    pub(super) fn is_sound(&self) -> bool {
        let phase = match &self.phase {
            Phase::Idle | Phase::Stopped => true,
            Phase::Command(CommandPhase { received, length }) => {
                (1..*length).contains(received) && *length == 1 + self.command_row().parameters.len() as u32
            }
            Phase::Result(ResultPhase { length, fetched, .. }) => fetched < length && *length <= MAX_RESULT as u32,
            Phase::Execution(execution) => {
                execution.is_sound(self.now) && matches!(self.command_row().results.len(), 7)
            }
        };
        let moments =
            self.polls.iter().chain(&self.settled).chain(&self.at_speed).chain([&self.head_loaded, &self.now]);
        phase
            && moments.max().is_none_or(|&latest| latest <= END_OF_TIME)
            && self.seeks.iter().flatten().all(|seek| seek.is_sound(END_OF_TIME))
            && self.interrupt_status.is_sound()
            && self.fifo.is_sound()
            && self.configure & !configure::ALL == 0
            && self.tape_drive & !tdr::TAPE_SELECT == 0
    }

    /// The RESET pin.
    pub(super) fn hardware_reset(&mut self) {
        self.lock = false;
        self.perpendicular = 0;
        self.reset_core();
        self.digital_output = 0;
        self.tape_drive = 0;
        self.rate = DataRate::Kbps250;
        self.no_precompensation = false;
        self.activity = Activity::default();
        (self.inward, self.side) = (false, 0);
    }

    /// What all resets have in common, and the fall into power-down, which only a reset ends. LOCK keeps the FIFO's
    /// settings and the precompensation start, but neither EIS nor POLL.
    fn reset_core(&mut self) {
        if self.lock {
            self.configure &= configure::FIFO_OFF | configure::THRESHOLD;
        } else {
            self.configure = configure::FIFO_OFF;
            self.precompensation_start = 0;
        }
        self.perpendicular &= perpendicular::DRIVES;
        // Not established for a software reset; software that recalibrates after it cannot tell.
        self.present_cylinder = [0; 4];
        self.interrupt_status = InterruptStatus::default();
        self.activity.forget();
        (self.polls, self.seeks, self.head_loaded) = (None, [None; 4], 0);
        self.give_up_writing();
        self.phase = Phase::Stopped;
    }

    /// A command ends without an end of its own. What it has written so far is as good as what others have.
    fn give_up_writing(&mut self) {
        let Phase::Execution(execution) = &mut self.phase else { return };
        let mut heads = self.drives.iter_mut().flatten().filter_map(Drive::head);
        if let Some(mut head) = heads.find(|head| execution.has_written_to(head)) {
            execution.end_writing(&mut head);
        }
    }

    /// The end of a reset: polling, which every reset turns on, finds all drives ready.
    fn start(&mut self) {
        self.phase = Phase::Idle;
        match self.options.timing {
            Timing::Immediate => self.poll(),
            Timing::Authentic => self.polls = Some(self.now + POLLING),
        }
    }

    /// The drives are looked at for the first time.
    fn poll(&mut self) {
        self.polls = None;
        self.interrupt_status.poll();
        self.interrupt_edge = true;
    }

    /// The end of an access that may have changed what the chip shows: what it showed before, and what it shows now.
    #[inline(always)]
    pub(super) fn settle(&mut self) -> [Shown; 2] {
        let before = self.shown;
        self.shown = self.to_show();
        [before, self.shown]
    }

    /// The level of INT.
    pub(super) fn interrupt(&self) -> bool {
        self.shown.interrupt
    }

    /// What the chip is to show in the state that it is in.
    #[inline(always)]
    fn to_show(&self) -> Shown {
        let (status, by_phase, dma_request) = match &self.phase {
            Phase::Stopped => (0, false, false),
            Phase::Idle => (msr::REQUEST, false, false),
            Phase::Command(_) => (msr::REQUEST | msr::BUSY, false, false),
            Phase::Result(result) => {
                (msr::REQUEST | msr::TO_HOST | msr::BUSY, result.interrupts && result.fetched == 0, false)
            }
            Phase::Execution(execution) => {
                (self.execution_status(execution), self.byte_request(execution), self.dma_request())
            }
        };
        let main_status = if status == 0 { 0 } else { status | self.interrupt_status.busy() };
        let interrupt = by_phase || self.interrupt_status.interrupts();
        let driven = self.pins_driven();
        Shown { main_status, interrupt: driven && interrupt, dma_request: driven && dma_request }
    }

    /// INT and DRQ are driven.
    pub(super) fn pins_driven(&self) -> bool {
        self.options.mode.drives_pins(self.digital_output)
    }

    /// DRQ: a transfer waits for the DMA channel.
    pub(super) fn dma_request(&self) -> bool {
        matches!(&self.phase, Phase::Execution(execution) if self.waits_for_dma(execution) && self.turns_for(execution))
    }

    /// A transfer can only go on when its DMA channel serves it.
    fn waits_for_dma(&self, execution: &Execution) -> bool {
        self.uses_dma() && execution.waits_for_host()
    }

    /// The disk that a command began with turns under the head.
    fn turns_for(&self, execution: &Execution) -> bool {
        let drive = self.selected_drive().filter(|_| self.motor_on());
        drive.and_then(Drive::disk).is_some_and(|disk| execution.is_on(disk))
    }

    /// A command is in its execution phase.
    #[inline]
    pub(super) fn is_executing(&self) -> bool {
        matches!(self.phase, Phase::Execution(_))
    }

    /// ND = 0.
    fn uses_dma(&self) -> bool {
        self.specify[1] & 1 == 0
    }

    /// In non-DMA mode: the host may move a byte.
    fn byte_request(&self, execution: &Execution) -> bool {
        if self.uses_dma() {
            return false;
        }
        match execution.direction() {
            Some(Direction::ToHost) => !self.fifo.is_empty(),
            Some(Direction::FromHost) => execution.waits_for_host() && !self.fifo.is_full(),
            None => false,
        }
    }

    /// MSR.
    #[inline]
    pub(super) fn main_status(&self) -> u8 {
        self.shown.main_status
    }

    /// MSR while data moves: in non-DMA mode RQM and DIO follow the FIFO, with DMA only CB shows.
    #[inline(never)]
    fn execution_status(&self, execution: &Execution) -> u8 {
        let direction = match execution.direction() {
            _ if self.uses_dma() => return msr::BUSY,
            None => return msr::BUSY,
            Some(Direction::ToHost) => msr::TO_HOST,
            Some(Direction::FromHost) => 0,
        };
        let request = if self.byte_request(execution) { msr::REQUEST } else { 0 };
        msr::BUSY | msr::NON_DMA | direction | request
    }

    /// A read of any register but the FIFO.
    pub(super) fn read_register(&mut self, register: Register) -> u8 {
        let mode = self.options.mode;
        match register {
            Register::MainStatus => self.main_status(),
            Register::DigitalOutput => self.digital_output,
            Register::TapeDrive => self.tape_drive,
            Register::StatusA => self.signals().status_a(mode),
            Register::StatusB => self.signals().status_b(mode),
            Register::DigitalInput => {
                let value = self.signals().digital_input(mode);
                self.activity.forget();
                value
            }
            Register::Fifo => 0xFF,
        }
    }

    fn signals(&self) -> Signals {
        let drive = self.selected_drive();
        let Shown { interrupt, dma_request, .. } = self.shown;
        let at_speed = self.timed() && self.motor_on() && self.at_speed[self.selected()] <= self.now;
        let turning = drive.filter(|drive| at_speed && drive.disk().is_some());
        Signals {
            interrupt,
            dma_request,
            writing: matches!(&self.phase, Phase::Execution(execution) if execution.is_writing()),
            second_drive: self.drives[1].is_some(),
            track_0: drive.is_some_and(Drive::track_0),
            write_protected: drive.is_some_and(Drive::write_protected),
            side_1: self.side != 0,
            index: turning.is_some_and(|drive| timing::index_pulse(self.now, drive.drive_type().rpm())),
            inward: self.inward,
            disk_change: drive.filter(|_| self.motor_on()).is_some_and(Drive::changed),
            activity: self.activity,
            digital_output: self.digital_output,
            no_precompensation: self.no_precompensation,
            rate: self.rate,
        }
    }

    /// The number of the drive that the DOR selects, whichever a command names: the select lines are the DOR's.
    pub(super) fn selected(&self) -> usize {
        usize::from(self.digital_output & dor::SELECT)
    }

    /// The drive that the DOR selects.
    pub(super) fn selected_drive(&self) -> Option<&Drive> {
        self.drives[self.selected()].as_ref()
    }

    /// The motor of the selected drive.
    fn motor_on(&self) -> bool {
        self.digital_output & dor::MOTOR_0 << self.selected() != 0
    }

    /// A write to any register but the FIFO.
    pub(super) fn write_register(&mut self, register: Register, value: u8, dma: &mut impl DmaChannel) {
        match register {
            Register::DigitalOutput => self.write_digital_output(value, dma),
            Register::TapeDrive => self.tape_drive = value & tdr::TAPE_SELECT,
            Register::DataRateSelect => self.write_data_rate_select(value),
            Register::ConfigurationControl => {
                self.rate = DataRate::from_bits(value);
                self.no_precompensation = value & ccr::NO_PRECOMPENSATION != 0;
            }
            Register::StatusA | Register::StatusB | Register::Fifo => {}
        }
    }

    fn write_digital_output(&mut self, value: u8, dma: &mut impl DmaChannel) {
        let before = std::mem::replace(&mut self.digital_output, value);
        for (number, drive) in self.drives.iter().enumerate() {
            let started = value & !before & dor::MOTOR_0 << number != 0;
            if let Some(drive) = drive.as_ref().filter(|_| started) {
                self.at_speed[number] = self.now + timing::spin_up(drive.drive_type());
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
        self.rate = DataRate::from_bits(value);
        if self.digital_output & dor::NOT_RESET == 0 {
            return;
        }
        if value & dsr::RESET != 0 {
            self.reset_core();
            self.start();
        } else if value & dsr::POWER_DOWN != 0 {
            self.reset_core();
        }
    }

    /// A byte of a command, or of the data in non-DMA mode.
    #[inline]
    pub(super) fn write_fifo(&mut self, value: u8, dma: &mut impl DmaChannel) -> PinsMayChange {
        match &mut self.phase {
            Phase::Command(command) => {
                self.command[command.received as usize] = value;
                command.received += 1;
                if command.received < command.length {
                    return false;
                }
                self.execute(dma);
            }
            Phase::Idle => {
                self.command[0] = value;
                let length = 1 + self.command_row().parameters.len() as u32;
                if length > 1 {
                    self.phase = Phase::Command(CommandPhase { received: 1, length });
                    self.shown.main_status |= msr::BUSY;
                    return false;
                }
                self.execute(dma);
            }
            _ => self.write_data(value, dma),
        }
        true
    }

    /// The next byte of the result, or of the data in non-DMA mode; 0 when there is none.
    #[inline]
    pub(super) fn read_fifo(&mut self, dma: &mut impl DmaChannel) -> (u8, PinsMayChange) {
        match &mut self.phase {
            Phase::Result(result) => {
                let byte = self.result[result.fetched as usize];
                result.fetched += 1;
                let first = result.fetched == 1;
                if result.fetched == result.length {
                    self.phase = Phase::Idle;
                    self.shown.main_status = msr::REQUEST | self.interrupt_status.busy();
                }
                (byte, first)
            }
            _ => (self.read_data(dma), true),
        }
    }

    /// A byte from the host for the disk, if the command asks for that.
    #[inline(never)]
    fn write_data(&mut self, value: u8, dma: &mut impl DmaChannel) {
        if !self.moves_bytes(Direction::FromHost) {
            return self.ignored("write");
        }
        let request_ended = self.fifo.push(value);
        if self.fifo.is_full() {
            self.proceed(dma);
        }
        self.end_request(request_ended);
    }

    /// A byte from the disk for the host, if the command asks for that.
    #[inline(never)]
    fn read_data(&mut self, dma: &mut impl DmaChannel) -> u8 {
        if !self.moves_bytes(Direction::ToHost) {
            self.ignored("read");
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

    /// As many bytes as the disk takes of `data` before the MSR would tell the host to stop.
    pub(super) fn write_string(&mut self, data: &[u8], dma: &mut impl DmaChannel) -> usize {
        if !self.moves_bytes(Direction::FromHost) {
            return 0;
        }
        if self.timed() {
            // Only the FIFO is between the host and the disk, which takes its time.
            let goes = |byte: &&u8| {
                let goes = self.moves_bytes(Direction::FromHost);
                if goes {
                    self.write_data(**byte, dma);
                }
                goes
            };
            return data.iter().take_while(goes).count();
        }
        let mut string = GuestString { output: data, ..GuestString::default() };
        self.proceed_with(Some(&mut string), dma);
        self.interrupt_edge |= string.request_ended;
        data.len() - string.output.len()
    }

    /// As many bytes into `data` as the disk has before the MSR would tell the host to stop.
    pub(super) fn read_string(&mut self, data: &mut [u8], dma: &mut impl DmaChannel) -> usize {
        if !self.moves_bytes(Direction::ToHost) {
            return 0;
        }
        let length = data.len();
        let (held, request_ended) = self.fifo.pop(data);
        let mut string = GuestString { input: &mut data[held..], request_ended, ..GuestString::default() };
        if self.fifo.is_empty() {
            self.proceed_with(Some(&mut string), dma);
        }
        let GuestString { input, request_ended, .. } = string;
        self.end_request(request_ended);
        length - input.len()
    }

    /// A request for bytes may have ended. The next one needs an edge of its own, which with time may still be to come.
    fn end_request(&mut self, ended: bool) {
        self.interrupt_edge |= ended && (!self.timed() || self.requests_byte());
    }

    /// In non-DMA mode, RQM is up for a byte of the data.
    fn requests_byte(&self) -> bool {
        matches!(&self.phase, Phase::Execution(execution) if self.byte_request(execution))
    }

    /// In non-DMA mode, RQM is up for a byte that goes this way.
    fn moves_bytes(&self, direction: Direction) -> bool {
        matches!(&self.phase, Phase::Execution(execution)
            if execution.direction() == Some(direction) && self.byte_request(execution))
    }

    #[cold]
    fn ignored(&self, access: &str) {
        debug!("{access} of the FIFO ignored, MSR {:#04x}", self.main_status());
    }

    /// How CONFIGURE has the FIFO.
    fn fifo_size(&self) -> FifoSize {
        let on = self.configure & configure::FIFO_OFF == 0;
        FifoSize { threshold: on.then_some(usize::from(self.configure & configure::THRESHOLD) + 1) }
    }

    fn timed(&self) -> bool {
        self.options.timing == Timing::Authentic
    }

    /// What SPECIFY makes of the time.
    fn steps_and_head(&self) -> StepsAndHead {
        StepsAndHead { specify: self.specify, rate: self.rate }
    }

    /// What a step takes, with timing.
    pub(super) fn step_time(&self) -> Option<Nanoseconds> {
        self.timed().then(|| self.steps_and_head().step())
    }

    /// When a data command finds the disk at speed under a head that is loaded and rests, after as many steps.
    fn start_time(&self, steps: u8) -> Nanoseconds {
        let drive = self.selected();
        let time = self.steps_and_head();
        let stepped = if steps > 0 { self.now + Nanoseconds::from(steps) * time.step() + SETTLING } else { 0 };
        let seeking = self.seeks.iter().flatten().filter(|seek| seek.drive() == drive).map(Seek::last).max();
        let loaded = if self.now < self.head_loaded { self.now } else { self.now + time.head_load() };
        let rests = seeking.map_or(self.settled[drive].max(self.now), |last| last + SETTLING);
        loaded.max(stepped).max(if steps > 0 { 0 } else { rests }).max(self.at_speed[drive])
    }

    fn execute(&mut self, dma: &mut impl DmaChannel) {
        let command = self.command_row();
        let [opcode, first, second, third, ..] = self.command;
        let unit = usize::from(first & 0b11);
        self.phase = Phase::Idle;
        match command.action {
            Action::Transfer(kind) => self.start_transfer(kind, dma),
            Action::FormatTrack => self.start_format(dma),
            Action::Recalibrate => {
                self.recalibrate(unit);
                self.report(command, &[]);
            }
            Action::Seek => {
                self.seek(unit, second);
                self.report(command, &[]);
            }
            Action::RelativeSeek => {
                self.relative_seek(opcode, unit, second);
                self.report(command, &[]);
            }
            Action::SenseInterruptStatus => match self.sense_interrupt() {
                Some(status) => self.enter_result(command, status, false),
                None => self.enter_result(&command::INVALID, [st0::INVALID], false),
            },
            Action::Version => self.enter_result(command, [0x90], false),
            Action::SenseDriveStatus => {
                self.side = first >> 2 & 1;
                self.enter_result(command, [self.drive_status_3(first)], false);
            }
            Action::DumpRegisters => self.enter_result(command, self.dump(), false),
            Action::Lock => {
                self.lock = opcode & LOCK != 0;
                self.enter_result(command, [u8::from(self.lock) << 4], false);
            }
            Action::Specify => {
                self.specify = [first, second];
                self.report(command, &[]);
            }
            Action::Configure => {
                // POLL can only keep the first look at the drives from happening; without timing that ends the reset.
                if second & configure::POLL != 0 {
                    self.polls = None;
                }
                self.configure = second & configure::ALL;
                self.precompensation_start = third;
                self.report(command, &[]);
            }
            Action::PerpendicularMode => {
                self.set_perpendicular(first);
                self.report(command, &[]);
            }
            Action::Invalid => self.enter_result(command, [st0::INVALID], false),
        }
    }

    /// Begins the result phase of `command`, whose row says how many of `bytes` there are.
    #[inline]
    fn enter_result<const N: usize>(&mut self, command: &Command, bytes: [u8; N], interrupts: bool) {
        debug_assert_eq!(command.results.len(), N);
        self.result[..N].copy_from_slice(&bytes);
        self.interrupt_edge |= interrupts;
        self.phase = Phase::Result(ResultPhase { length: N as u32, fetched: 0, interrupts });
        self.report(command, &bytes);
    }

    /// Says what became of a command, if anybody wants to know.
    #[inline]
    fn report(&mut self, command: &Command, result: &[u8]) {
        if self.metrics.0.is_some() || log_enabled!(Level::Trace) {
            self.tell(command, result);
        }
    }

    #[cold]
    fn tell(&mut self, command: &Command, result: &[u8]) {
        let bytes = &self.command[..=command.parameters.len()];
        let Moved { sectors, bytes_read, bytes_written } = std::mem::take(&mut self.moved);
        let end = CommandEnd {
            name: command.name,
            command: bytes,
            result,
            drive: command.parameters.first().is_some_and(|&name| name == "US").then(|| bytes[1] & 0b11),
            sectors,
            bytes_read,
            bytes_written,
            parameter_names: command.parameters,
            result_names: command.results,
        };
        trace!("{end}");
        if let Some(metrics) = &mut self.metrics.0 {
            metrics.command_ended(&end);
        }
    }

    /// The row of the command whose first byte has come.
    fn command_row(&self) -> &'static Command {
        let row = command::decode(self.command[0]);
        match row.action {
            Action::Transfer(Kind::Scan(_)) if !self.options.scan => &command::INVALID,
            _ => row,
        }
    }

    /// The drive bits change only with OW set.
    fn set_perpendicular(&mut self, value: u8) {
        let written = match value & perpendicular::OVERWRITE {
            0 => perpendicular::GAP_AND_GATE,
            _ => perpendicular::GAP_AND_GATE | perpendicular::DRIVES,
        };
        self.perpendicular = self.perpendicular & !written | value & written;
    }

    /// ST3: the sensors of the drive that the DOR selects, and the head and drive bits of the command.
    fn drive_status_3(&self, head_and_unit: u8) -> u8 {
        let drive = self.selected_drive();
        let track_0 = if drive.is_some_and(Drive::track_0) { st3::TRACK_0 } else { 0 };
        let protected = if drive.is_some_and(Drive::write_protected) { st3::WRITE_PROTECTED } else { 0 };
        st3::ALWAYS | track_0 | protected | head_and_unit & 0b111
    }

    /// The ten bytes of DUMPREG.
    fn dump(&self) -> [u8; MAX_RESULT] {
        let [c0, c1, c2, c3] = self.present_cylinder;
        let [step_and_unload, load_and_mode] = self.specify;
        let lock = u8::from(self.lock) << 7;
        [
            c0,
            c1,
            c2,
            c3,
            step_and_unload,
            load_and_mode,
            self.last_track_length,
            lock | self.perpendicular,
            self.configure,
            self.precompensation_start,
        ]
    }

    fn start_transfer(&mut self, kind: Kind, dma: &mut impl DmaChannel) {
        let [_, unit, cylinder, _, _, _, end_of_track, ..] = self.command;
        self.forget_polling();
        let mut steps = 0;
        if kind != Kind::ReadId {
            self.last_track_length = end_of_track;
            let seeks = self.configure & configure::IMPLIED_SEEK != 0;
            steps = if seeks { self.implied_seek(usize::from(unit & 0b11), cylinder) } else { 0 };
        }
        let mut due = if self.timed() { self.start_time(steps) } else { 0 };
        let mut transfer = Transfer::new(kind, &self.command, self.rate, steps > 0);
        if transfer.writes() && self.refuses_at_once() {
            transfer.fail(st1::NOT_WRITABLE, 0);
            due = self.now;
        }
        self.begin(Execution::transfer(transfer, due), dma);
    }

    /// The disk is write protected, which the chip looks at before it waits for anything. Where there is nothing to wait
    /// for, the command sees for itself.
    fn refuses_at_once(&self) -> bool {
        (self.timed() || !self.motor_on()) && self.selected_drive().is_some_and(Drive::write_protected)
    }

    fn start_format(&mut self, dma: &mut impl DmaChannel) {
        self.forget_polling();
        self.last_track_length = self.command[3];
        let mut due = if self.timed() { self.start_time(0) } else { 0 };
        let mut format = FormatTrack::new(&self.command, self.rate);
        if self.refuses_at_once() {
            format.fail(st1::NOT_WRITABLE);
            due = self.now;
        }
        self.begin(Execution::format(format, due), dma);
    }

    /// Into the execution phase.
    #[inline(always)]
    fn begin(&mut self, execution: Execution, dma: &mut impl DmaChannel) {
        self.fifo.begin(self.fifo_size(), self.timed());
        self.waited = Duration::ZERO;
        self.phase = Phase::Execution(execution);
        self.proceed(dma);
        if let Phase::Execution(execution) = &self.phase {
            // A request for a byte needs an edge of its own, whatever holds INT up.
            self.interrupt_edge |= self.byte_request(execution);
        }
    }

    /// A command that starts makes the news of polling stale, and its own interrupt one that needs an edge.
    pub(super) fn forget_polling(&mut self) {
        self.interrupt_edge |= self.interrupt_status.forget_polling();
    }

    /// Lets a command go on as far as the host keeps up, and enters the result phase when it is over.
    pub(super) fn proceed(&mut self, dma: &mut impl DmaChannel) {
        self.proceed_with(None, dma);
    }

    fn proceed_with(&mut self, string: Option<&mut GuestString<'_>>, dma: &mut impl DmaChannel) {
        let (motor_on, gate, uses_dma) = (self.motor_on(), self.pins_driven(), self.uses_dma());
        let selected = self.selected();
        let now = self.timed().then_some(self.now);
        let Phase::Execution(execution) = &mut self.phase else { return };
        let drive = self.drives[selected].as_mut().filter(|_| motor_on);
        let mut head = drive.and_then(Drive::head);
        if now.is_some() && head.is_some() {
            execution.resume(self.at_speed[selected]);
        }
        let (ids, mut none) = (&mut self.format_ids, GuestString::default());
        let progress = match uses_dma {
            true => {
                let mut port = DmaPort { channel: dma, gate, served: false, fifo: self.fifo.size() };
                let progress = execution.proceed(head.as_mut(), &mut port, ids, now);
                if port.served {
                    self.waited = Duration::ZERO;
                }
                progress
            }
            false => {
                let string = string.unwrap_or(&mut none);
                execution.proceed(head.as_mut(), &mut Pio { fifo: &mut self.fifo, string }, ids, now)
            }
        };
        drop(head);
        self.side = execution.side();
        self.activity.add(execution.take_passed());
        match (progress, self.options.empty_drive) {
            (Some(Progress::Waiting), _) => return,
            (Some(Progress::Ended), _) => {}
            // Without a disk no index pulse comes. The chip waits for one until it is reset.
            (None, EmptyDrive::Hang) => return execution.stall(),
            (None, EmptyDrive::Fail) => {
                execution.fail_without_disk();
                execution.wait_until(self.now + 2 * TURN.as_nanos() as Nanoseconds);
                self.give_up_writing();
            }
        }
        let Phase::Execution(execution) = &mut self.phase else { return };
        if now.is_some_and(|now| now < execution.due()) {
            return;
        }
        // What the disk delivered is fetched before the result shows.
        if self.fifo.is_empty() || execution.direction() != Some(Direction::ToHost) {
            if now.is_some() {
                self.head_loaded = self.now + self.steps_and_head().head_unload();
            }
            self.end_execution();
        }
    }

    /// From the execution phase to the result phase.
    #[inline]
    fn end_execution(&mut self) {
        let Phase::Execution(execution) = &self.phase else { return };
        let result = execution.result(&self.format_ids);
        self.moved = execution.moved();
        self.enter_result(self.command_row(), result, true);
        if self.polls.is_some_and(|at| at <= self.now) {
            self.poll();
        }
    }

    /// Time passes for a command that waits for its DMA channel. A turn of the disk is more than any channel needs.
    pub(super) fn advance(&mut self, elapsed: Duration, dma: &mut impl DmaChannel) {
        if self.timed() {
            return self.pass(elapsed, dma);
        }
        let Some(left) = self.next_event() else { return };
        self.waited += elapsed.min(left);
        if elapsed < left {
            return;
        }
        let (turns, selected) = (self.dma_request(), self.selected());
        let Phase::Execution(execution) = &mut self.phase else { return };
        if turns {
            execution.overrun(self.drives[selected].as_mut().and_then(Drive::head).as_mut());
        } else {
            execution.fail_without_disk();
            self.give_up_writing();
        }
        self.end_execution();
    }

    /// Time passes up to the next event at most, which then happens.
    fn pass(&mut self, elapsed: Duration, dma: &mut impl DmaChannel) {
        self.now = timing::later(self.now, elapsed);
        if self.next_look().is_some_and(|at| at <= self.now) {
            self.poll();
        }
        for unit in 0..self.seeks.len() {
            if self.seeks[unit].is_some_and(|seek| seek.next() <= self.now) {
                self.proceed_seek(unit);
            }
        }
        // Only what is due: otherwise it would make a difference in how many pieces time comes.
        if matches!(&self.phase, Phase::Execution(execution) if execution.due() <= self.now) {
            let requested = self.requests_byte();
            self.proceed(dma);
            // A request for a byte needs an edge of its own, whatever holds INT up.
            self.interrupt_edge |= !requested && self.requests_byte();
        }
    }

    /// When the drives are looked at for the first time after a reset: not while a command has to do with a disk.
    fn next_look(&self) -> Option<Nanoseconds> {
        self.polls.filter(|_| !self.is_executing())
    }

    /// With timing: when something happens by itself next.
    fn next_moment(&self) -> Option<Nanoseconds> {
        let execution = match &self.phase {
            Phase::Execution(execution) => Some(execution.due()).filter(|&due| due > self.now),
            _ => None,
        };
        let seeks = self.seeks.iter().flatten().map(Seek::next);
        seeks.chain(self.next_look()).chain(execution).min()
    }

    /// How long it is until something happens by itself.
    pub(super) fn next_event(&self) -> Option<Duration> {
        if self.timed() {
            return self.next_moment().map(|at| Duration::from_nanos(at.saturating_sub(self.now)));
        }
        let Phase::Execution(execution) = &self.phase else { return None };
        let ends = self.options.empty_drive == EmptyDrive::Fail || self.turns_for(execution);
        (ends && self.waits_for_dma(execution)).then(|| TURN.saturating_sub(self.waited))
    }
}

/// A turn of the disk at 300 rpm.
const TURN: Duration = Duration::from_millis(200);
