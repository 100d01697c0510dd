//! The VM monitor: memory with the firmware, a processor, a board with devices, and the loop that runs them.

mod alarm;
mod board;
mod fw_cfg;
mod instruction;
pub mod pic;
mod pit;
mod screen;
mod serial;
mod vcpu;

use std::{
    error::Error,
    rc::Rc,
    thread,
    time::{Duration, Instant},
};

use alarm::Alarm;
use board::Board;
use kvm_ioctls::Kvm;
use screen::Screen;
use vcpu::{Exit, Vcpu};
use vm_fdc::{Timing, drive::DriveType};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

use crate::floppy::Floppy;

const MEMORY: u64 = 64 << 20;
const FIRST_MEBIBYTE: u64 = 1 << 20;
/// The firmware is at the end of the 32-bit addresses, and a copy is at the end of the first MiB.
const ROM_END: u64 = 1 << 32;
const ROM_SIZES: [usize; 2] = [128 << 10, 256 << 10];

/// What SeaBIOS prints if it cannot boot from any disk.
const NO_BOOT_DISK: &str = "No bootable device.";

/// Interval at which the screen is searched for the expected text.
const SCREEN_INTERVAL: Duration = Duration::from_millis(10);

/// Time after which the guest is interrupted if it cannot take an interrupt that is pending. KVM reports when it can,
/// but a KVM that emulates the processor looks only now and then: it misses a guest that waits in a loop and enables
/// interrupts for an instruction at a time, as SeaBIOS does while a floppy command executes.
const INTERRUPT_INTERVAL: Duration = Duration::from_micros(100);

/// Reason for the end of a run.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// The guest halted with interrupts disabled.
    Halted,
    /// The guest printed the expected text.
    Printed,
    /// The firmware printed that it cannot boot from any disk.
    NoBootDisk,
    /// The guest requested a reset.
    Reset,
    /// The guest ran longer than the limit.
    TimeLimit,
}

/// A PC with one floppy drive.
pub struct Machine {
    vcpu: Vcpu,
    board: Board,
    screen: Screen,
    alarm: Alarm,
    exits: u64,
}

impl Machine {
    /// Creates the machine, with the firmware in memory and no disk in the drive.
    pub fn new(
        kvm: &Kvm,
        firmware: &[u8],
        drive_type: DriveType,
        timing: Timing,
        verbose: bool,
    ) -> Result<Self, Box<dyn Error>> {
        if !ROM_SIZES.contains(&firmware.len()) {
            return Err(format!("the firmware has {} bytes; that of a PC has 128K or 256K", firmware.len()).into());
        }
        let [rom, shadow] = [ROM_END, FIRST_MEBIBYTE].map(|end| GuestAddress(end - firmware.len() as u64));
        let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), MEMORY as usize), (rom, firmware.len())])?;
        memory.write_slice(firmware, rom)?;
        memory.write_slice(firmware, shadow)?;

        let pics = Rc::default();
        let floppy = Floppy::new(drive_type, timing, memory.clone(), Rc::clone(&pics))?;
        let board = Board::new(floppy, pics, MEMORY, verbose);
        let screen = Screen::new(memory.clone());
        Ok(Self { vcpu: Vcpu::new(kvm, memory, rom)?, board, screen, alarm: Alarm::new()?, exits: 0 })
    }

    /// Returns the floppy subsystem.
    pub fn floppy(&self) -> &Floppy {
        &self.board.floppy
    }

    /// Returns the text that the guest printed through the firmware.
    pub fn text(&self) -> &str {
        self.board.serial.text()
    }

    /// Returns the screen, on which guests print that do without the firmware.
    pub fn screen(&self) -> &Screen {
        &self.screen
    }

    /// Returns the number of exits from the guest.
    pub fn exits(&self) -> u64 {
        self.exits
    }

    /// Runs the guest from its reset until it halts, prints `expected`, finds no disk to boot from, requests a reset,
    /// or the time `limit` is over.
    pub fn run(&mut self, expected: Option<&str>, limit: Duration) -> Result<End, Box<dyn Error>> {
        let end = self.run_until_end(expected, limit);
        self.alarm.clear()?;
        // The end can come before the screen is searched again.
        if self.shows(expected) { Ok(End::Printed) } else { end }
    }

    fn run_until_end(&mut self, expected: Option<&str>, limit: Duration) -> Result<End, Box<dyn Error>> {
        let switched_on = Instant::now();
        let mut next_search = SCREEN_INTERVAL;
        loop {
            let now = switched_on.elapsed();
            if now >= limit {
                return Ok(End::TimeLimit);
            }
            if now >= next_search {
                next_search = now + SCREEN_INTERVAL;
                if self.shows(expected) {
                    return Ok(End::Printed);
                }
            }
            // The deadline is asked for again after each access and each `advance`, and the alarm armed for it.
            self.board.advance(now);
            let wake = self.board.deadline().map_or(limit, |deadline| deadline.min(limit));
            let pending = self.deliver_interrupt()?;
            self.alarm.set(now, if pending { wake.min(now + INTERRUPT_INTERVAL) } else { wake })?;

            let printed = self.text().len();
            if let Some(end) = self.run_until_exit(&switched_on, wake)? {
                return Ok(end);
            }
            if expected.is_some_and(|text| self.board.serial.printed(text, printed)) {
                return Ok(End::Printed);
            }
            if self.board.serial.printed(NO_BOOT_DISK, printed) {
                return Ok(End::NoBootDisk);
            }
        }
    }

    /// Runs the guest until its next exit, and does what the exit asks for. A guest that waits for an interrupt sleeps
    /// until the time `wake`.
    fn run_until_exit(&mut self, switched_on: &Instant, wake: Duration) -> Result<Option<End>, Box<dyn Error>> {
        self.exits += 1;
        let exit = self.vcpu.run()?;
        let now = switched_on.elapsed();
        match exit {
            Exit::In { port, width, data } => self.board.read(now, port, width, data),
            Exit::Out { port, width, data } => self.board.write(now, port, width, data)?,
            Exit::Halt { interrupts_on: false } => return Ok(Some(End::Halted)),
            Exit::Halt { interrupts_on: true } if !self.board.pics.borrow().interrupts() => {
                thread::sleep(wake.saturating_sub(now));
            }
            Exit::Shutdown => return Ok(Some(End::Reset)),
            Exit::Halt { .. } | Exit::None => {}
        }
        Ok(self.board.reset.then_some(End::Reset))
    }

    /// Delivers an interrupt from the interrupt controllers to the processor, if it can take one. Returns `true` if
    /// an interrupt is still pending.
    fn deliver_interrupt(&mut self) -> Result<bool, Box<dyn Error>> {
        let mut pics = self.board.pics.borrow_mut();
        if self.vcpu.takes_interrupt(pics.interrupts())
            && let Some(vector) = pics.acknowledge()
        {
            self.vcpu.interrupt(vector)?;
        }
        Ok(pics.interrupts())
    }

    /// Checks that the text is on the screen, within a row.
    fn shows(&self, expected: Option<&str>) -> bool {
        expected.is_some_and(|text| self.screen.rows().iter().any(|row| row.contains(text)))
    }
}
