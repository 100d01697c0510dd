//! All that a VM monitor does for a floppy drive: it gives guest memory and an interrupt line to the library, forwards
//! the port accesses of the guest, advances the time, and arms a timer for the next event.
//!
//! The timer is not optional: the interrupt of a command can come after the access that started the command, when the
//! guest makes no more accesses because it waits for it. A guest of a VM monitor without the timer waits until its own
//! time-out. So the loop of the VM monitor calls [`advance`](Floppy::advance) and then asks for the
//! [`deadline`](Floppy::deadline) again after each access, after each `advance`, and after a restore.

use std::{cell::RefCell, rc::Rc, time::Duration};

use vm_fdc::{
    BuildError, Controller, FloppyDrive, Interrupt, Timing,
    dma::GuestMemory,
    drive::{DriveType, NoSuchDrive},
    firmware::InstalledDrives,
    pc::{PcFloppy, Wiring},
};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

use crate::vmm::pic::Pics;

/// Guest memory for the DMA controllers. A clone of `GuestMemoryMmap` shares the memory.
struct VmMemory(GuestMemoryMmap);

impl GuestMemory for VmMemory {
    fn write(&mut self, address: u64, data: &[u8]) {
        let _ = self.0.write(data, GuestAddress(address)); // dropped at addresses that have no memory
    }

    fn read(&mut self, address: u64, data: &mut [u8]) {
        let bytes = self.0.read(data, GuestAddress(address)).unwrap_or(0);
        data[bytes..].fill(0xFF);
    }
}

/// The line from the INT pin to the interrupt controllers.
struct Irq {
    pics: Rc<RefCell<Pics>>,
    number: u8,
}

impl Interrupt for Irq {
    fn set_level(&mut self, high: bool) {
        self.pics.borrow_mut().set_line(self.number, high);
    }
}

/// The floppy subsystem on the bus of this machine.
pub struct Floppy {
    pc: PcFloppy<VmMemory, Irq>,
    /// Time to which the library was advanced.
    advanced_to: Duration,
    accesses: u64,
}

impl Floppy {
    /// Creates the subsystem with one drive, A:, of type `drive_type` and without a disk.
    pub fn new(
        drive_type: DriveType,
        timing: Timing,
        memory: GuestMemoryMmap,
        pics: Rc<RefCell<Pics>>,
    ) -> Result<Self, BuildError> {
        let wiring = Wiring::PRIMARY;
        let controller =
            Controller::builder().drive(0, drive_type).timing(timing).interrupt(Irq { pics, number: wiring.irq });
        let pc = PcFloppy::new(controller, VmMemory(memory), wiring)?;
        Ok(Self { pc, advanced_to: Duration::ZERO, accesses: 0 })
    }

    /// Returns a handle to drive A:, with which any thread can attach and release disks while the guest runs.
    pub fn drive(&self) -> Result<FloppyDrive, NoSuchDrive> {
        self.pc.drive(0)
    }

    /// Returns the value of CMOS register 0x10, the drive types.
    pub fn cmos_types(&self) -> u8 {
        InstalledDrives::from(&self.pc.drives()).cmos_drive_types()
    }

    /// Performs `IN`, or `REP INS` if `data` has more than one access of `width` bytes. Returns `false` if the port
    /// belongs to another device.
    pub fn read(&mut self, now: Duration, port: u16, width: usize, data: &mut [u8]) -> bool {
        self.advance(now);
        let claimed = self.pc.read_string(port, width, data);
        self.accesses += u64::from(claimed);
        claimed
    }

    /// Performs `OUT`, or `REP OUTS` if `data` has more than one access of `width` bytes. Returns `false` if the port
    /// belongs to another device.
    pub fn write(&mut self, now: Duration, port: u16, width: usize, data: &[u8]) -> bool {
        self.advance(now);
        let claimed = self.pc.write_string(port, width, data);
        self.accesses += u64::from(claimed);
        claimed
    }

    /// Advances the subsystem to `now`, the time since the machine was switched on.
    pub fn advance(&mut self, now: Duration) {
        self.pc.advance(now.saturating_sub(self.advanced_to));
        self.advanced_to = self.advanced_to.max(now);
    }

    /// Returns the time of the next event, at which [`advance`](Self::advance) is due; `None` if no event is due.
    /// Each access and each `advance` can change it.
    pub fn deadline(&self) -> Option<Duration> {
        Some(self.advanced_to + self.pc.next_event()?)
    }

    /// Returns the number of accesses so far.
    pub fn accesses(&self) -> u64 {
        self.accesses
    }
}
