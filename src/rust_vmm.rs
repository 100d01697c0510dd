//! Adapters to the rust-vmm crates: guest memory of `vm-memory` behind the DMA controllers (feature `vm-memory`).
//!
//! A bus of `vm-device` dispatches accesses to a [`PcFloppy`](crate::pc::PcFloppy) by its ports. The interrupt is an
//! event for each rising edge or a level, as the interrupt controller of the VM monitor requires:
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use vm_device::{MutDevicePio, bus::{PioAddress, PioAddressOffset, PioRange}};
//! use vm_device::device_manager::{IoManager, PioManager};
//! use vm_memory::{GuestAddress, GuestMemoryMmap};
//! use vmm_sys_util::eventfd::EventFd;
//! use vm_fdc::{Controller, Interrupt, OnRise, drive::DriveType, pc::{PcFloppy, Wiring}, rust_vmm::VmMemory};
//!
//! struct Floppy<I>(PcFloppy<VmMemory<Arc<GuestMemoryMmap>>, I>);
//!
//! impl<I: Interrupt> MutDevicePio for Floppy<I> {
//!     fn pio_read(&mut self, base: PioAddress, offset: PioAddressOffset, data: &mut [u8]) {
//!         self.0.read(base.0 + offset, data);
//!     }
//!
//!     fn pio_write(&mut self, base: PioAddress, offset: PioAddressOffset, data: &[u8]) {
//!         self.0.write(base.0 + offset, data);
//!     }
//! }
//!
//! let memory = Arc::new(GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 1 << 20)])?);
//! // An event for each rising edge, for an irqfd. A closure that gets the level is possible, too.
//! let event = EventFd::new(0)?;
//! let irqfd = event.try_clone()?;
//! let controller =
//!     Controller::builder().drive(0, DriveType::Inch3_5Hd).interrupt(OnRise(move || _ = irqfd.write(1)));
//! let floppy = Floppy(PcFloppy::new(controller, VmMemory(memory), Wiring::PRIMARY)?);
//!
//! let ports = floppy.0.ports();
//! let device = Arc::new(Mutex::new(floppy));
//! let mut manager = IoManager::new();
//! for ports in ports {
//!     let range = PioRange::new(PioAddress(*ports.start()), ports.end() - ports.start() + 1)?;
//!     manager.register_pio(range, device.clone())?;
//! }
//! manager.pio_write(PioAddress(0x3F2), &[0x0C])?; // out of reset
//! assert_eq!(event.read()?, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use vm_memory::{Address, Bytes, GuestAddress, GuestAddressSpace, GuestMemoryBackend, GuestMemoryRegion};

use crate::dma::GuestMemory;

/// Guest memory of `vm-memory` for [`AtDma`](crate::dma::AtDma) and [`PcFloppy`](crate::pc::PcFloppy): an
/// `Arc<GuestMemoryMmap>`, a `GuestMemoryAtomic`, or any other address space.
///
/// Writes of the DMA controllers mark the dirty bitmap of the memory, as all writes through `vm-memory` do, so that a
/// live migration transfers them. Bytes at addresses that have no memory are dropped in a write and 0xFF in a read.
#[derive(Clone, Debug)]
pub struct VmMemory<A>(pub A);

impl<A: GuestAddressSpace> VmMemory<A> {
    /// Moves `length` bytes from `address` on in pieces that are contiguous in memory. `move_piece` moves what it can
    /// from an address and an offset on and returns the number of bytes. If it moves none, the next region is tried.
    fn piecewise(memory: &A::M, address: u64, length: usize, mut move_piece: impl FnMut(GuestAddress, usize) -> usize) {
        let mut done = 0;
        while done < length {
            let Some(at) = GuestAddress(address).checked_add(done as u64) else { return };
            done += match move_piece(at, done) {
                0 => match next_region(memory, at) {
                    Some(start) => usize::try_from(start.unchecked_offset_from(at)).unwrap_or(usize::MAX),
                    None => return,
                },
                moved => moved,
            };
        }
    }
}

/// Returns the start of the first region of memory above `at`. An address space behind an IOMMU has no regions to
/// search.
fn next_region(memory: &impl vm_memory::GuestMemory, at: GuestAddress) -> Option<GuestAddress> {
    memory.physical_memory()?.iter().map(GuestMemoryRegion::start_addr).filter(|&start| start > at).min()
}

impl<A: GuestAddressSpace> GuestMemory for VmMemory<A> {
    fn write(&mut self, address: u64, data: &[u8]) {
        let memory = self.0.memory();
        Self::piecewise(&memory, address, data.len(), |at, done| memory.write(&data[done..], at).unwrap_or(0));
    }

    fn read(&mut self, address: u64, data: &mut [u8]) {
        data.fill(0xFF);
        let memory = self.0.memory();
        Self::piecewise(&memory, address, data.len(), |at, done| memory.read(&mut data[done..], at).unwrap_or(0));
    }
}
