//! The controller as a VM monitor holds it: the chip, with its pins wired to an interrupt line and a DMA channel.

mod chip;
mod command;
mod config;
mod data;
mod data_path;
mod drive_interface;
mod fifo;
mod interrupt;
mod mechanics;
mod metrics;
mod outputs;
mod phase;
mod register_file;
mod registers;
mod seek;
mod settings;
mod snapshot;
mod time;
mod track_layout;

use chip::{Chip, clock, data_port};
use config::Config;
pub(crate) use config::Delays;
pub use config::{BuildError, EmptyDrive, EndDelay, FifoAfterOverrun, InterfaceMode, PowerOn, Timing};
pub use interrupt::{Interrupt, NoInterrupt, OnRise};
pub use metrics::{CommandCompletion, Counters, MediumLimit, Metrics, Statistics};
use outputs::Effect;
use registers::msr;
pub use registers::{ReadRegister, WriteRegister};
pub use snapshot::{
    ConfigStateV1, ControllerState, ControllerStateV1, ExecutionStateV1, FifoStateV1, MechanicsStateV1,
    MediumIdStateV1, OperationStateV1, PhaseStateV1, ProgressStateV1, RegistersStateV1, RestoreError, SaveStateError,
    ScheduleStateV1, SeekEndStateV1, SeekStateV1, SettingsStateV1, UnitStateV1,
};

use std::time::Duration;

use crate::{
    dma::{DmaChannel, NoDma},
    drive::{
        Attachments, Drive, DriveType, FloppyDrive, FloppyDrives, MediumStateV1, NoSuchDrive, RestoreMedium,
        StateOptions,
    },
};

/// Puts a [`Controller`] together. See [`Controller::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ControllerBuilder<I = NoInterrupt, D = NoDma> {
    /// Number, kind, and where the head stands.
    drives: Vec<(u8, DriveType, u8)>,
    config: Config,
    power_on: PowerOn,
    base: u16,
    interrupt: I,
    dma: D,
}

impl<I, D> ControllerBuilder<I, D> {
    /// Wires a drive to select line `number`, 0 to 3. A PC has drives 0 and 1.
    pub fn drive(self, number: u8, drive_type: DriveType) -> Self {
        self.drive_with_head_at(number, drive_type, 0)
    }

    /// Wires a drive to select line `number`, 0 to 3, with its head at `cylinder`: a guest must not rely on cylinder 0. A
    /// cylinder beyond the last one that the drive reaches means that one.
    pub fn drive_with_head_at(mut self, number: u8, drive_type: DriveType, cylinder: u8) -> Self {
        self.drives.push((number, drive_type, cylinder));
        self
    }

    /// Chooses the register file. [`InterfaceMode::At`] unless chosen.
    pub fn interface(mut self, mode: InterfaceMode) -> Self {
        self.config.mode = mode;
        self
    }

    /// Chooses what becomes of a data command when no disk turns. [`EmptyDrive::Fail`] unless chosen.
    pub fn empty_drive(mut self, empty_drive: EmptyDrive) -> Self {
        self.config.empty_drive = empty_drive;
        self
    }

    /// Chooses whether commands take time. [`Timing::Immediate`] unless chosen.
    pub fn timing(mut self, timing: Timing) -> Self {
        self.config.timing = timing;
        self
    }

    /// Chooses whether SCAN EQUAL, SCAN LOW OR EQUAL and SCAN HIGH OR EQUAL execute, as on an 8272A. Off unless chosen:
    /// the data sheet lists the opcodes, but the chips that were tested reject them (§3.15).
    pub fn scan_commands(mut self, scan: bool) -> Self {
        self.config.scan_commands = scan;
        self
    }

    /// Chooses which commands end later than the access that completes them. [`EndDelay::KnownGuests`] unless chosen.
    pub fn end_delay(mut self, end_delay: EndDelay) -> Self {
        self.config.end_delay = end_delay;
        self
    }

    /// Chooses how long the ends of commands are delayed. `command` is for READ ID and, with [`EndDelay::All`], for every other
    /// command that seeks or has an execution phase, except transfers without DMA. `transfer` is for transfers without DMA,
    /// after their last byte. Unless chosen, 1 ms and 50 us; at most 1 s each.
    pub fn end_delay_times(mut self, command: Duration, transfer: Duration) -> Self {
        self.config.delays = Delays::of(command, transfer);
        self
    }

    /// Chooses what becomes of the bytes in the FIFO after an overrun in a read without DMA. [`FifoAfterOverrun::Discarded`]
    /// unless chosen.
    pub fn fifo_after_overrun(mut self, fifo: FifoAfterOverrun) -> Self {
        self.config.fifo_after_overrun = fifo;
        self
    }

    /// Chooses the state at power-on. [`PowerOn::InReset`] unless chosen.
    pub fn power_on(mut self, power_on: PowerOn) -> Self {
        self.power_on = power_on;
        self
    }

    /// Sets the first port, for [`Controller::read_port`] and [`Controller::write_port`].
    /// [`Controller::PRIMARY`] unless chosen.
    pub fn base(mut self, base: u16) -> Self {
        self.base = base;
        self
    }

    /// Wires the INT pin.
    pub fn interrupt<J: Interrupt>(self, interrupt: J) -> ControllerBuilder<J, D> {
        let Self { drives, config, power_on, base, interrupt: _, dma } = self;
        ControllerBuilder { drives, config, power_on, base, interrupt, dma }
    }

    /// Wires DRQ, DACK and TC.
    pub fn dma<E: DmaChannel>(self, dma: E) -> ControllerBuilder<I, E> {
        let Self { drives, config, power_on, base, interrupt, dma: _ } = self;
        ControllerBuilder { drives, config, power_on, base, interrupt, dma }
    }

    /// Builds the controller in the state that [`power_on`](Self::power_on) chose.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if a drive number is not 0 to 3, or is given twice.
    pub fn build(self) -> Result<Controller<I, D>, BuildError> {
        let mut drives = [const { None }; 4];
        let attachments = Attachments::default();
        for (number, drive_type, cylinder) in self.drives {
            match drives.get_mut(usize::from(number)) {
                Some(place @ None) => *place = Some(Drive::new(number, drive_type, cylinder, &attachments)),
                Some(Some(_)) => return Err(BuildError::DriveTwice(number)),
                None => return Err(BuildError::DriveNumber(number)),
            }
        }
        let chip = Chip::new(drives, self.config);
        Ok(Controller {
            chip: if self.power_on == PowerOn::Running { chip.running() } else { chip },
            base: self.base,
            interrupt: self.interrupt,
            dma: self.dma,
        })
    }
}

/// An Intel 82077AA with its drives.
///
/// A VM monitor forwards the guest's port accesses to [`read_port`](Self::read_port) and
/// [`write_port`](Self::write_port), or by register to [`read`](Self::read) and [`write`](Self::write). Each command
/// ends within the access that starts it, as far as the DMA channel keeps up, unless [`Timing`] or [`EndDelay`] says
/// otherwise.
///
/// ```
/// use vm_fdc::{Controller, ReadRegister, WriteRegister, drive::DriveType};
///
/// let mut fdc = Controller::builder().drive(0, DriveType::Inch3_5Hd).build()?;
/// fdc.write(WriteRegister::DigitalOutput, 0x0C); // out of reset
/// assert_eq!(fdc.read(ReadRegister::MainStatus), 0x80); // ready for a command
/// fdc.write(WriteRegister::Fifo, 0x10); // VERSION
/// assert_eq!(fdc.read(ReadRegister::Fifo), 0x90);
/// # Ok::<(), vm_fdc::BuildError>(())
/// ```
#[derive(Debug)]
pub struct Controller<I = NoInterrupt, D = NoDma> {
    chip: Chip,
    base: u16,
    interrupt: I,
    dma: D,
}

impl Controller {
    /// The first port of a PC's first controller.
    pub const PRIMARY: u16 = 0x3F0;
    /// The first port of a second controller.
    pub const SECONDARY: u16 = 0x370;

    /// Returns a builder of a controller that has no drives, no interrupt line and no DMA channel.
    pub fn builder() -> ControllerBuilder {
        ControllerBuilder {
            drives: Vec::new(),
            config: Config::default(),
            power_on: PowerOn::default(),
            base: Self::PRIMARY,
            interrupt: NoInterrupt,
            dma: NoDma,
        }
    }
}

impl<I: Interrupt, D: DmaChannel> Controller<I, D> {
    /// Returns a handle of drive `number`, for the manager of its media.
    ///
    /// # Errors
    ///
    /// [`NoSuchDrive`] if the controller has no drive of this number.
    pub fn drive(&self, number: u8) -> Result<FloppyDrive, NoSuchDrive> {
        let drive = self.chip.interface.drives.get(usize::from(number)).and_then(Option::as_ref);
        drive.map(Drive::handle).ok_or(NoSuchDrive { number })
    }

    /// Returns handles of all drives, for the manager of their media.
    pub fn drives(&self) -> FloppyDrives {
        FloppyDrives::new(self.chip.interface.drives.iter().flatten().map(Drive::handle))
    }

    /// Reads a register for the guest (§1). A read changes something in three cases only: of the FIFO, of DIR in Model 30
    /// mode, and of an MSR that shows a busy chip without RQM, which ends the delay of [`EndDelay`].
    #[inline]
    pub fn read(&mut self, register: ReadRegister) -> u8 {
        match register {
            ReadRegister::MainStatus => self.read_main_status(),
            ReadRegister::Fifo => self.read_fifo(),
            _ => self.read_any(register),
        }
    }

    /// Writes a register for the guest (§1).
    #[inline]
    pub fn write(&mut self, register: WriteRegister, value: u8) {
        match register {
            WriteRegister::Fifo => self.write_fifo(value),
            _ => self.write_any(register, value),
        }
    }

    // Two thirds of the accesses of a command change nothing but a counter. What they do is short enough to be inlined where the
    // VM monitor calls. All else is out of line.

    #[inline]
    fn read_main_status(&mut self) -> u8 {
        match self.chip.main_status() {
            status if status & (msr::REQUEST | msr::BUSY) == msr::BUSY => self.read_busy_status(),
            status => status,
        }
    }

    /// Reads an MSR that shows a busy chip, and ends the delay of a command.
    #[cold]
    fn read_busy_status(&mut self) -> u8 {
        let status = self.chip.main_status();
        if self.chip.end_delay() {
            self.sync_outputs();
        }
        status
    }

    #[inline]
    fn read_fifo(&mut self) -> u8 {
        match self.chip.next_result() {
            Some(byte) => byte,
            None => self.read_any_byte(),
        }
    }

    #[inline(never)]
    fn read_any_byte(&mut self) -> u8 {
        let (value, effect) = data_port::read_fifo(&mut self.chip, &mut self.dma);
        self.apply(effect);
        value
    }

    #[inline(never)]
    fn read_any(&mut self, register: ReadRegister) -> u8 {
        self.chip.read_register(register)
    }

    #[inline(never)]
    fn write_any_port(&mut self, offset: u16, value: u8) -> bool {
        if let Some(register) = WriteRegister::at(offset) {
            self.write(register, value);
            return true;
        }
        // SRA and SRB are the controller's, and cannot be written.
        ReadRegister::at(offset).is_some()
    }

    #[inline]
    fn write_fifo(&mut self, value: u8) {
        if !self.chip.take_parameter(value) {
            self.write_any_byte(value);
        }
    }

    #[inline(never)]
    fn write_any_byte(&mut self, value: u8) {
        let effect = data_port::write_fifo(&mut self.chip, value, &mut self.dma);
        self.apply(effect);
    }

    #[inline(never)]
    fn write_any(&mut self, register: WriteRegister, value: u8) {
        self.chip.write_register(register, value, &mut self.dma);
        self.sync_outputs();
    }

    /// Reads a port for the guest. Returns `None` if the port is not the controller's.
    ///
    /// Of [`ReadRegister::DigitalInput`] the bits outside [`ReadRegister::driven_bits`] belong to the hard disk, if there is
    /// one.
    #[inline]
    pub fn read_port(&mut self, port: u16) -> Option<u8> {
        match port.wrapping_sub(self.base) {
            ReadRegister::MAIN_STATUS => Some(self.read_main_status()),
            ReadRegister::FIFO => Some(self.read_fifo()),
            offset => Some(self.read_any(ReadRegister::at(offset)?)),
        }
    }

    /// Writes a port for the guest. Returns `false` if the port is not the controller's.
    #[inline]
    pub fn write_port(&mut self, port: u16, value: u8) -> bool {
        match port.wrapping_sub(self.base) {
            WriteRegister::FIFO => self.write_fifo(value),
            offset => return self.write_any_port(offset, value),
        }
        true
    }

    /// Reads the FIFO for a string instruction of the guest (`rep insb`), in the execution phase of a transfer without DMA.
    /// Fills `data` from its start and returns the number of bytes. It is less than the length of `data` if the transfer
    /// ends before, or if the disk has no byte yet. Perform the rest of the instruction as single reads of the FIFO.
    ///
    /// Bytes, status and INT are the same as after that many single reads, but INT falls and rises once at most, because
    /// the instruction is not interrupted.
    ///
    /// ```
    /// use vm_fdc::{Controller, WriteRegister, drive::DriveType, media::Access};
    ///
    /// let mut fdc = Controller::builder().drive(0, DriveType::Inch3_5Hd).build()?;
    /// fdc.drive(0)?.attach_image("fixtures/dos-1440k.img", Access::ReadOnly)?;
    /// fdc.write(WriteRegister::DigitalOutput, 0x1C); // out of reset, motor 0 on
    /// fdc.write(WriteRegister::ConfigurationControl, 0); // 500 kb/s
    /// // SPECIFY without DMA, then READ DATA of the first track.
    /// for byte in [0x03, 0xAF, 0x03, 0x46, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF] {
    ///     fdc.write(WriteRegister::Fifo, byte);
    /// }
    /// let mut track = [0; 18 * 512];
    /// assert_eq!(fdc.read_string(&mut track), track.len());
    /// assert_eq!(track[510..512], [0x55, 0xAA]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_string(&mut self, data: &mut [u8]) -> usize {
        let bytes = data_port::read_string(&mut self.chip, data, &mut self.dma);
        self.sync_outputs();
        bytes
    }

    /// Writes the FIFO for a string instruction of the guest (`rep outsb`), in the execution phase of a transfer without
    /// DMA. Returns how many bytes of `data` were taken, as [`read_string`](Self::read_string) does.
    pub fn write_string(&mut self, data: &[u8]) -> usize {
        let bytes = data_port::write_string(&mut self.chip, data, &mut self.dma);
        self.sync_outputs();
        bytes
    }

    /// Advances the time by `elapsed`, the time since the last call, or since the controller was built or restored. One call or
    /// many for the same span of time give the same result. A VM monitor that pauses or migrates its guest leaves the pause
    /// out.
    ///
    /// All events of that time happen, each at its own moment. With [`Timing::Immediate`] these are the ends of commands that
    /// [`EndDelay`] delays, and the end of a command that has waited for its host for 200 ms (ST1.OR, or ST1.MA if no disk
    /// turns; §4.14). The
    /// work is bounded by what is under way, whatever `elapsed` is.
    pub fn advance(&mut self, elapsed: Duration) {
        let mut left = elapsed;
        while let Some(event) = self.next_event().filter(|&event| event <= left) {
            clock::advance(&mut self.chip, event, &mut self.dma);
            self.sync_outputs();
            left -= event;
        }
        clock::advance(&mut self.chip, left, &mut self.dma);
        self.sync_outputs();
    }

    /// Returns the time from now to the next event; `None` if no event is due. Call [`advance`](Self::advance) no later. Ask
    /// again after each access, each `advance`, and a restore.
    ///
    /// A later call is allowed. The end of a command and its interrupt are then late by as much, and with
    /// [`Timing::Authentic`] a guest that moves data without DMA can get an overrun. A VM monitor that never calls
    /// `advance` chooses [`EndDelay::None`] and [`Timing::Immediate`].
    #[must_use]
    pub fn next_event(&self) -> Option<Duration> {
        clock::next_event(&self.chip)
    }

    /// Continues a command that waits for its DMA channel or its disk. Call it after each guest access to the DMA
    /// controller, and with [`EmptyDrive::Hang`] after a disk was attached. It returns at once if no command waits.
    #[inline]
    pub fn service_dma(&mut self) {
        if self.chip.is_executing() {
            self.chip.proceed(&mut self.dma);
            self.sync_outputs();
        }
    }

    /// Carries out a hardware reset, as the RESET line of the machine does: the controller is held in reset until software
    /// writes the DOR. What SPECIFY set stays, and so do the heads (§1.11).
    pub fn reset(&mut self) {
        self.chip.hardware_reset();
        self.sync_outputs();
    }

    /// Adds a receiver of metrics, which gets each command that ends from now on.
    ///
    /// ```
    /// use vm_fdc::{Controller, WriteRegister, controller::CommandCompletion};
    ///
    /// let mut fdc = Controller::builder().build()?;
    /// let (sender, lines) = std::sync::mpsc::channel();
    /// fdc.add_metrics(move |command: &CommandCompletion<'_>| _ = sender.send(command.to_string()));
    /// fdc.write(WriteRegister::DigitalOutput, 0x0C);
    /// fdc.write(WriteRegister::Fifo, 0x10);
    /// assert_eq!(lines.recv()?, "VERSION -> VERSION=90");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The same lines go to the `log` at trace level, where that is on.
    pub fn add_metrics(&mut self, metrics: impl Metrics + 'static) {
        self.chip.tracer.add(Box::new(metrics));
    }

    /// Returns the level of the INT pin.
    #[must_use]
    pub fn interrupt_level(&self) -> bool {
        self.chip.interrupt()
    }

    /// Returns what the INT pin is wired to.
    pub fn interrupt(&self) -> &I {
        &self.interrupt
    }

    /// Returns the DMA channel.
    pub fn dma(&self) -> &D {
        &self.dma
    }

    /// Returns the DMA channel, for accesses to its registers. Call [`service_dma`](Self::service_dma) afterwards.
    pub fn dma_mut(&mut self) -> &mut D {
        &mut self.dma
    }

    /// Returns the state of the controller and its drives at this moment, in the middle of whatever command and phase.
    /// `options` says how much of the media is in it.
    ///
    /// What the guest has written is written to the files first, so that they hold what a restored controller expects. This
    /// controller stays in use. An image that it writes stays locked until the controller is dropped or has released it, and
    /// the one that is restored cannot open it before.
    ///
    /// # Errors
    ///
    /// [`SaveStateError`] if a medium cannot be saved. It names the drive.
    pub fn state(&self, options: StateOptions) -> Result<ControllerState, SaveStateError> {
        Ok(ControllerState::V1(Box::new(self.state_v1(options)?)))
    }

    /// Returns the state of version 1.
    pub(crate) fn state_v1(&self, options: StateOptions) -> Result<ControllerStateV1, SaveStateError> {
        let mut drives = [const { None }; 4];
        for (number, (place, drive)) in (0..).zip(drives.iter_mut().zip(&self.chip.interface.drives)) {
            if let Some(drive) = drive {
                let state = drive.save(options);
                *place = Some(state.map_err(|source| SaveStateError::Medium { drive: number, source })?);
            }
        }
        Ok(snapshot::save(&self.chip, self.base, drives))
    }

    /// Restores a controller, which continues where the saved one was.
    ///
    /// `media` says for each drive where its medium comes from; see [`RestoreMedium`]. If the INT pin is high, `interrupt` is
    /// told at once. Receivers of metrics and observers of media are not in the state.
    ///
    /// # Errors
    ///
    /// [`RestoreError`] if the state is of a later version, a field of it is invalid, or a medium is not available.
    pub fn from_state(
        state: ControllerState,
        interrupt: I,
        dma: D,
        media: impl FnMut(u8, &MediumStateV1) -> RestoreMedium,
    ) -> Result<Self, RestoreError> {
        match state {
            ControllerState::V1(state) => Self::from_state_v1(*state, interrupt, dma, media),
            ControllerState::Unknown { version } => Err(RestoreError::Version { version }),
        }
    }

    /// Restores a state of version 1.
    pub(crate) fn from_state_v1(
        state: ControllerStateV1,
        interrupt: I,
        dma: D,
        mut media: impl FnMut(u8, &MediumStateV1) -> RestoreMedium,
    ) -> Result<Self, RestoreError> {
        let base = state.base;
        let (mut chip, states) = snapshot::restore(state)?;
        let attachments = Attachments::default();
        for (number, (place, state)) in (0..).zip(chip.interface.drives.iter_mut().zip(states)) {
            if let Some(state) = state {
                let drive = Drive::restore(number, state, &attachments, |medium| media(number, medium));
                *place = Some(drive.map_err(|error| RestoreError::of_drive(number, error))?);
            }
        }
        let mut controller = Self { chip, base, interrupt, dma };
        let [_, outputs] = controller.chip.update_outputs();
        if outputs.interrupt {
            controller.interrupt.set_level(true);
        }
        controller.dma.set_request(outputs.dma_request);
        Ok(controller)
    }

    /// Carries out what an access to the FIFO does to the outputs.
    #[inline]
    fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::None => {}
            Effect::Edge => self.pulse_interrupt(),
            Effect::ResultFetched => {
                if let [true, false] = self.chip.update_interrupt() {
                    self.interrupt.set_level(false);
                }
            }
            Effect::Outputs => self.sync_outputs(),
        }
    }

    /// Lets INT fall and rise, if it is up.
    #[inline(never)]
    fn pulse_interrupt(&mut self) {
        if self.chip.interrupt() {
            self.interrupt.set_level(false);
            self.interrupt.set_level(true);
        }
    }

    /// Drives the pins with the levels that the chip has now. Out of line: most accesses do without it.
    #[inline(never)]
    fn sync_outputs(&mut self) {
        let [before, now] = self.chip.update_outputs();
        let edge = std::mem::take(&mut self.chip.interrupt_edge);
        if before.interrupt && (edge || !now.interrupt) {
            self.interrupt.set_level(false);
        }
        if now.interrupt && (edge || !before.interrupt) {
            self.interrupt.set_level(true);
        }
        if before.dma_request != now.dma_request {
            self.dma.set_request(now.dma_request);
        }
    }
}
