//! The drive interface of the chip: the select and motor lines of the DOR, the drives behind them, the seeks that step them, and
//! the time that their mechanics take.

use super::{
    config::{InterfaceMode, Timing},
    data::{DataCommand, schedule::Schedule},
    mechanics::Mechanics,
    outputs::Outputs,
    register_file::{Pins, RegisterFile},
    registers::{ReadRegister, dor, st3},
    seek::{SeekControl, Stepper},
    settings::Specify,
    time::{Nanoseconds, Rotation},
};
use crate::drive::{Drive, LockedDisk};

/// The drives, and what the chip keeps of them.
#[derive(Debug)]
pub(super) struct DriveInterface {
    pub drives: [Option<Drive>; 4],
    pub registers: RegisterFile,
    pub seeks: SeekControl,
    /// With timing.
    pub mechanics: Option<Mechanics>,
    /// The clock: all the time that the VM monitor has supplied.
    pub now: Nanoseconds,
}

impl DriveInterface {
    /// Returns the interface after a hardware reset.
    pub(super) fn new(drives: [Option<Drive>; 4], timing: Timing) -> Self {
        Self {
            drives,
            registers: RegisterFile::new(),
            seeks: SeekControl::default(),
            mechanics: (timing == Timing::Authentic).then(Mechanics::default),
            now: 0,
        }
    }

    /// Resets what every reset resets (§1.11). Motors, heads and disks do not notice.
    pub(super) fn reset(&mut self) {
        // Whether a software reset clears PCN is not established; software that recalibrates after it cannot tell.
        self.seeks = SeekControl::default();
        self.registers.clear_flip_flops();
        if let Some(mechanics) = &mut self.mechanics {
            mechanics.reset();
        }
    }

    /// Writes the DOR, and starts the motors that it turns on. Returns its value before.
    pub(super) fn write_digital_output(&mut self, value: u8) -> u8 {
        let before = std::mem::replace(&mut self.registers.digital_output, value);
        if let Some(mechanics) = &mut self.mechanics {
            for (number, drive) in self.drives.iter().enumerate() {
                let Some(drive) = drive else { continue };
                let motor = dor::MOTOR_0 << number;
                match (before & motor != 0, value & motor != 0) {
                    (false, true) => mechanics.start_motor(self.now, number, drive.drive_type()),
                    (true, false) => mechanics.stop_motor(self.now, number),
                    _ => {}
                }
            }
        }
        before
    }

    /// Returns the drive that the DOR selects.
    pub(super) fn selected_drive(&self) -> Option<&Drive> {
        self.drives[self.registers.selected()].as_ref()
    }

    /// Locks the disk that turns in the selected drive; `None` when none turns.
    #[inline]
    pub(super) fn lock_turning_disk(&mut self) -> Option<LockedDisk<'_>> {
        if self.spindle_turns() { self.lock_disk() } else { None }
    }

    /// Locks the disk in the selected drive, whether it turns or not.
    #[inline]
    pub(super) fn lock_disk(&mut self) -> Option<LockedDisk<'_>> {
        self.drives[self.registers.selected()].as_mut().map(Drive::lock_disk)
    }

    /// Returns whether a disk in the selected drive turns: its motor is on, or, with timing, was until a moment ago.
    #[inline]
    fn spindle_turns(&self) -> bool {
        self.registers.motor_on() || self.readable_until().is_some_and(|until| self.now < until)
    }

    /// Returns, with timing, until when the disk in the selected drive is read whose motor is off.
    pub(super) fn readable_until(&self) -> Option<Nanoseconds> {
        let mechanics = self.mechanics.as_ref().filter(|_| !self.registers.motor_on())?;
        mechanics.readable_until(self.registers.selected())
    }

    /// Returns, with timing, the time, and when the selected disk turns at speed.
    #[inline]
    pub(super) fn moment(&self) -> Option<(Nanoseconds, Nanoseconds)> {
        self.mechanics.as_ref().map(|mechanics| (self.now, mechanics.at_speed_at[self.registers.selected()]))
    }

    /// Returns whether the disk that a command works on turns under the head.
    pub(super) fn turns_for(&self, command: &DataCommand) -> bool {
        let drive = self.selected_drive().filter(|_| self.spindle_turns());
        drive.and_then(Drive::medium_id).is_some_and(|medium| command.is_on(medium))
    }

    /// Commits what a command has written that ends without an end of its own, to the disk that it began with.
    pub(super) fn abort_write(&mut self, command: &mut DataCommand) {
        for drive in self.drives.iter_mut().flatten().filter(|_| command.writes()) {
            let mut disk = drive.lock_disk();
            if let Some(mut head) = disk.head().filter(|head| command.medium == Some(head.medium_id())) {
                return command.commit(&mut head);
            }
        }
    }

    /// Returns whether the disk is write protected, at which the chip looks before it waits for anything (§3.5). Where there is
    /// nothing to wait for, the command sees for itself.
    pub(super) fn refuses_to_write(&self) -> bool {
        let waits = self.mechanics.is_some() || !self.registers.motor_on();
        waits && self.selected_drive().is_some_and(Drive::write_protected)
    }

    /// Returns the schedule of a data command that starts now, with timing.
    pub(super) fn schedule(&self, specify: Specify) -> Option<Schedule> {
        self.mechanics.as_ref().map(|mechanics| {
            let selected = self.registers.selected();
            let head_load = specify.head_load(self.registers.rate);
            Schedule::new(mechanics.ready_at(self.now, selected, self.seeks.steps_end(selected), head_load))
        })
    }

    /// Notifies the managers of the selected drive of a disk that a FORMAT TRACK has made another one.
    #[cold]
    pub(super) fn finish_format(&self) {
        if let Some(drive) = self.selected_drive() {
            drive.finish_format();
        }
    }

    /// Ends a data command: the head stays loaded for HUT.
    pub(super) fn end_command(&mut self, specify: Specify) {
        if let Some(mechanics) = &mut self.mechanics {
            mechanics.end_command(self.now, specify, self.registers.rate);
        }
    }

    /// Calls `f` with the seeks and the drives that they move. `end_delay`: without timing, the delay of their ends.
    pub(super) fn with_stepper<R>(
        &mut self,
        specify: Specify,
        end_delay: Option<Nanoseconds>,
        f: impl FnOnce(&mut SeekControl, &mut Stepper<'_>) -> R,
    ) -> R {
        let interval = specify.step_interval(self.registers.rate);
        let timing = self.mechanics.as_mut().map(|mechanics| (mechanics, interval));
        let Self { drives, registers, seeks, now, .. } = self;
        f(seeks, &mut Stepper { drives, registers, timing, end_delay, now: *now })
    }

    /// Returns when the drives are polled for the first time after a reset, if that is still to come.
    pub(super) fn poll_due(&self) -> Option<Nanoseconds> {
        self.mechanics.as_ref()?.poll_due
    }

    /// Prevents the first poll after a reset, as POLL of CONFIGURE does (§6.2). Without timing it ends the reset.
    pub(super) fn cancel_poll(&mut self) {
        if let Some(mechanics) = &mut self.mechanics {
            mechanics.poll_due = None;
        }
    }

    /// Polls the drives for the first time after a reset.
    pub(super) fn poll(&mut self) {
        self.cancel_poll();
        self.seeks.poll();
    }

    /// Reads any register but the FIFO, when the chip shows `outputs`. `write_enable`: bytes are being written to the disk.
    pub(super) fn read_register(
        &mut self,
        register: ReadRegister,
        mode: InterfaceMode,
        outputs: Outputs,
        write_enable: bool,
    ) -> u8 {
        match register {
            ReadRegister::MainStatus => outputs.main_status,
            ReadRegister::DigitalOutput => self.registers.digital_output,
            ReadRegister::TapeDrive => self.registers.tape_drive,
            ReadRegister::StatusA => self.registers.status_a(mode, self.pins(outputs, write_enable)),
            ReadRegister::StatusB => self.registers.status_b(mode, self.pins(outputs, write_enable)),
            ReadRegister::DigitalInput => {
                let disk_change = self.pins(outputs, write_enable).disk_change;
                let value = self.registers.digital_input(mode, disk_change);
                self.registers.clear_flip_flops();
                value
            }
            ReadRegister::Fifo => 0xFF,
        }
    }

    fn pins(&self, outputs: Outputs, write_enable: bool) -> Pins {
        let drive = self.selected_drive();
        let motor_on = self.registers.motor_on();
        let selected = self.registers.selected();
        let at_speed = motor_on && self.mechanics.as_ref().is_some_and(|it| it.is_at_speed(self.now, selected));
        let turning = drive.filter(|drive| at_speed && drive.medium_id().is_some());
        Pins {
            interrupt: outputs.interrupt,
            dma_request: outputs.dma_request,
            write_enable,
            second_drive: self.drives[1].is_some(),
            track_0: drive.is_some_and(Drive::track_0),
            write_protect: drive.is_some_and(Drive::write_protected),
            index: turning.is_some_and(|drive| Rotation { rpm: drive.drive_type().rpm() }.index_pulse(self.now)),
            disk_change: drive.filter(|_| motor_on).is_some_and(Drive::disk_changed),
        }
    }

    /// Returns ST3 without the bits of the command: the sensors of the drive that the DOR selects (§5.4).
    pub(super) fn drive_status(&self) -> u8 {
        let drive = self.selected_drive();
        let track_0 = if drive.is_some_and(Drive::track_0) { st3::TRACK_0 } else { 0 };
        let protected = if drive.is_some_and(Drive::write_protected) { st3::WRITE_PROTECTED } else { 0 };
        st3::ALWAYS | track_0 | protected
    }
}
