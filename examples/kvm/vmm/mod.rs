//! The VM monitor: memory with the firmware, a processor, a board with devices, and the loop that runs them.

mod alarm;
mod board;
mod fw_cfg;
pub mod pic;
mod pit;
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
use vcpu::{Exit, Vcpu};
use vm_fdc::{Timing, drive::DriveType};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

use crate::floppy::Floppy;

const MEMORY: u64 = 64 << 20;
const FIRST_MEBIBYTE: u64 = 1 << 20;
/// The firmware is at the end of the 32-bit addresses, and a copy is at the end of the first MiB.
const ROM_END: u64 = 1 << 32;
const ROM_SIZES: [usize; 2] = [128 << 10, 256 << 10];

/// Reason for the end of a run.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// The guest halted with interrupts disabled.
    Halted,
    /// The guest printed the expected text.
    Printed,
    /// The guest requested a reset.
    Reset,
    /// The guest ran longer than the limit.
    TimeLimit,
}

/// A PC with one floppy drive.
pub struct Machine {
    vcpu: Vcpu,
    board: Board,
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
        Ok(Self { vcpu: Vcpu::new(kvm, memory, rom)?, board, alarm: Alarm::new()?, exits: 0 })
    }

    /// Returns the floppy subsystem.
    pub fn floppy(&self) -> &Floppy {
        &self.board.floppy
    }

    /// Returns the text that the guest printed.
    pub fn text(&self) -> &str {
        self.board.serial.text()
    }

    /// Returns the number of exits from the guest.
    pub fn exits(&self) -> u64 {
        self.exits
    }

    /// Runs the guest from its reset until it halts, prints `expected`, requests a reset, or the time `limit` is over.
    pub fn run(&mut self, expected: Option<&str>, limit: Duration) -> Result<End, Box<dyn Error>> {
        let end = self.run_until_end(expected, limit);
        self.alarm.clear()?;
        end
    }

    fn run_until_end(&mut self, expected: Option<&str>, limit: Duration) -> Result<End, Box<dyn Error>> {
        let switched_on = Instant::now();
        let mut printed = 0;
        loop {
            let now = switched_on.elapsed();
            if now >= limit {
                return Ok(End::TimeLimit);
            }
            self.board.advance(now);
            let wake = self.board.deadline().map_or(limit, |deadline| deadline.min(limit));
            self.interrupt()?;
            self.alarm.set(now, wake)?;

            self.exits += 1;
            let exit = self.vcpu.run()?;
            let now = switched_on.elapsed();
            match exit {
                Exit::In { port, width, data } => self.board.read(now, port, width, data),
                Exit::Out { port, width, data } => self.board.write(now, port, width, data)?,
                Exit::Halt { interrupts_on: false } => return Ok(End::Halted),
                Exit::Halt { interrupts_on: true } if !self.board.pics.borrow().interrupts() => {
                    thread::sleep(wake.saturating_sub(now));
                }
                Exit::Shutdown => return Ok(End::Reset),
                Exit::Halt { .. } | Exit::None => {}
            }
            if self.board.reset {
                return Ok(End::Reset);
            }
            // The text is ASCII, so each byte is a boundary of characters.
            let text = self.board.serial.text();
            if let Some(expected) = expected.filter(|_| text.len() > printed) {
                let new = text.len() - printed + expected.len();
                if text[text.len().saturating_sub(new)..].contains(expected) {
                    return Ok(End::Printed);
                }
            }
            printed = text.len();
        }
    }

    /// Delivers an interrupt from the interrupt controllers to the processor.
    fn interrupt(&mut self) -> Result<(), Box<dyn Error>> {
        let mut pics = self.board.pics.borrow_mut();
        if self.vcpu.takes_interrupt(pics.interrupts())
            && let Some(vector) = pics.acknowledge()
        {
            self.vcpu.interrupt(vector)?;
        }
        Ok(())
    }
}
