//! The DMA side of the controller: the channel as the chip sees it, and the guest memory behind it.
//!
//! The controller knows no bus and no memory; it hands runs of sectors to a [`DmaChannel`]. A VM monitor with a DMA
//! controller of its own implements that trait; one without takes the [`AtDma`] of this module.

mod i8237;

pub use i8237::{AtDma, AtDmaState};

/// What one DMA transfer moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Bytes that the channel took or gave; never more than it was offered.
    pub bytes: usize,
    /// Terminal count was signalled with the last of these bytes (82077AA data sheet, TC pin).
    pub terminal_count: bool,
}

/// One channel of a DMA controller, from the device's side: DREQ out, DACK and TC in.
///
/// The direction is that of the data: *to* memory for a floppy read, *from* memory for a floppy write. A channel that
/// is masked, not programmed, or set to the other direction moves nothing and signals nothing; the controller then
/// keeps its request up and offers the data again when [`Controller::service_dma`](crate::Controller::service_dma) is
/// called.
///
/// ```
/// use vm_fdc::dma::{DmaChannel, Moved};
///
/// /// A channel that fills a buffer of memory, and then signals terminal count.
/// struct Fill {
///     memory: Vec<u8>,
///     filled: usize,
/// }
///
/// impl DmaChannel for Fill {
///     fn device_to_memory(&mut self, data: &[u8]) -> Moved {
///         let room = &mut self.memory[self.filled..];
///         let bytes = data.len().min(room.len());
///         room[..bytes].copy_from_slice(&data[..bytes]);
///         self.filled += bytes;
///         Moved { bytes, terminal_count: self.filled == self.memory.len() }
///     }
///
///     fn memory_to_device(&mut self, _data: &mut [u8]) -> Moved {
///         Moved::default() // programmed for the other direction
///     }
/// }
/// ```
///
/// The controller calls these methods from within a port access, while it holds the drive. They must not call back into
/// the controller or its [`FloppyDrive`](crate::FloppyDrive) handles.
pub trait DmaChannel {
    /// Moves bytes from the device to memory, starting with the first of `data`. It may take fewer than it is offered:
    /// the rest is offered again at each [`Controller::service_dma`](crate::Controller::service_dma).
    fn device_to_memory(&mut self, data: &[u8]) -> Moved;

    /// Moves bytes from memory to the device, filling `data` from its start. It may give fewer than it is asked for, and
    /// leaves the rest of `data` alone: that can be the disk itself.
    fn memory_to_device(&mut self, data: &mut [u8]) -> Moved;

    /// The level of the device's DREQ line changed.
    ///
    /// Called only for requests that outlast a port access, because the channel did not take all that was offered:
    /// what begins and ends within one access nobody can observe.
    fn set_request(&mut self, asserted: bool) {
        let _ = asserted;
    }
}

impl<T: DmaChannel + ?Sized> DmaChannel for Box<T> {
    fn device_to_memory(&mut self, data: &[u8]) -> Moved {
        (**self).device_to_memory(data)
    }

    fn memory_to_device(&mut self, data: &mut [u8]) -> Moved {
        (**self).memory_to_device(data)
    }

    fn set_request(&mut self, asserted: bool) {
        (**self).set_request(asserted);
    }
}

/// No DMA channel is wired to the controller: data moves by programmed I/O only.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoDma;

impl DmaChannel for NoDma {
    fn device_to_memory(&mut self, _data: &[u8]) -> Moved {
        Moved::default()
    }

    fn memory_to_device(&mut self, _data: &mut [u8]) -> Moved {
        Moved::default()
    }
}

/// The memory that a DMA controller reads and writes, by guest-physical address.
///
/// Implemented for byte vectors and slices, boxed or borrowed, as RAM that begins at address 0. Memory of another crate's type
/// is wrapped in a type of one's own; give the DMA controller a clone that shares it.
pub trait GuestMemory {
    /// Writes `data` from `address` on. Bytes that fall where there is no memory are dropped.
    fn write(&mut self, address: u64, data: &[u8]);

    /// Fills `data` from `address` on. Bytes where there is no memory read as 0xFF, as from an empty bus.
    fn read(&mut self, address: u64, data: &mut [u8]);
}

impl GuestMemory for [u8] {
    fn write(&mut self, address: u64, data: &[u8]) {
        let Some(memory) = usize::try_from(address).ok().and_then(|start| self.get_mut(start..)) else {
            return;
        };
        let length = data.len().min(memory.len());
        memory[..length].copy_from_slice(&data[..length]);
    }

    fn read(&mut self, address: u64, data: &mut [u8]) {
        let memory = usize::try_from(address).ok().and_then(|start| self.get(start..)).unwrap_or_default();
        let length = data.len().min(memory.len());
        data[..length].copy_from_slice(&memory[..length]);
        data[length..].fill(0xFF);
    }
}

impl GuestMemory for Vec<u8> {
    fn write(&mut self, address: u64, data: &[u8]) {
        self.as_mut_slice().write(address, data);
    }

    fn read(&mut self, address: u64, data: &mut [u8]) {
        self.as_mut_slice().read(address, data);
    }
}

impl<T: GuestMemory + ?Sized> GuestMemory for Box<T> {
    fn write(&mut self, address: u64, data: &[u8]) {
        (**self).write(address, data);
    }

    fn read(&mut self, address: u64, data: &mut [u8]) {
        (**self).read(address, data);
    }
}

impl<T: GuestMemory + ?Sized> GuestMemory for &mut T {
    fn write(&mut self, address: u64, data: &[u8]) {
        (**self).write(address, data);
    }

    fn read(&mut self, address: u64, data: &mut [u8]) {
        (**self).read(address, data);
    }
}
