//! All that a VM monitor does for the floppy drive: it gives the library guest memory and an interrupt line, hands it the
//! guest's port accesses and the time, and asks when to come again.

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

/// Guest memory as the DMA controller sees it. A clone shares it.
struct Ram(GuestMemoryMmap);

impl GuestMemory for Ram {
    fn write(&mut self, address: u64, data: &[u8]) {
        let _ = self.0.write(data, GuestAddress(address)); // where there is no memory, it is dropped
    }

    fn read(&mut self, address: u64, data: &mut [u8]) {
        let there = self.0.read(data, GuestAddress(address)).unwrap_or(0);
        data[there..].fill(0xFF);
    }
}

/// The line from the controller's INT pin to the interrupt controllers.
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
    pc: PcFloppy<Ram, Irq>,
    /// Until when the library was told the time.
    told: Duration,
    accesses: u64,
}

impl Floppy {
    /// With drive A: of this type, and no disk in it.
    pub fn new(
        drive_type: DriveType,
        timing: Timing,
        memory: GuestMemoryMmap,
        pics: Rc<RefCell<Pics>>,
    ) -> Result<Self, BuildError> {
        let wiring = Wiring::PRIMARY;
        let controller =
            Controller::builder().drive(0, drive_type).timing(timing).interrupt(Irq { pics, number: wiring.irq });
        let pc = PcFloppy::new(controller, Ram(memory), wiring)?;
        Ok(Self { pc, told: Duration::ZERO, accesses: 0 })
    }

    /// Drive A:, to put disks in while the guest runs: from here or any other thread.
    pub fn drive(&self) -> Result<FloppyDrive, NoSuchDrive> {
        self.pc.drive(0)
    }

    /// What the CMOS memory of the machine says of the drives, in its register 0x10.
    pub fn cmos_types(&self) -> u8 {
        InstalledDrives::from(&self.pc.drives()).cmos_drive_types()
    }

    /// `IN`, or `REP INS` when `data` holds more than one access of `width` bytes. `false` when the port is another
    /// device's.
    pub fn read(&mut self, now: Duration, port: u16, width: usize, data: &mut [u8]) -> bool {
        self.advance(now);
        let claimed = self.pc.read_string(port, width, data);
        self.accesses += u64::from(claimed);
        claimed
    }

    /// `OUT`, or `REP OUTS`, as [`read`](Self::read) reads.
    pub fn write(&mut self, now: Duration, port: u16, width: usize, data: &[u8]) -> bool {
        self.advance(now);
        let claimed = self.pc.write_string(port, width, data);
        self.accesses += u64::from(claimed);
        claimed
    }

    /// It is `now`, since the machine was switched on.
    pub fn advance(&mut self, now: Duration) {
        self.pc.advance(now.saturating_sub(self.told));
        self.told = self.told.max(now);
    }

    /// When [`advance`](Self::advance) must be called at the latest.
    pub fn deadline(&self) -> Option<Duration> {
        Some(self.told + self.pc.next_event()?)
    }

    /// How many accesses there were so far.
    pub fn accesses(&self) -> u64 {
        self.accesses
    }
}
