//! Guest memory as a DMA controller reads and writes it.

/// The memory that a DMA controller reads and writes, by guest-physical address.
///
/// Implemented for byte vectors and slices, boxed or borrowed, as RAM that begins at address 0. Wrap memory of another
/// crate in a new type. Give the DMA controller a clone that shares the memory.
///
/// An implementation must not call the floppy controller or its drive handles: the controller holds the drive during
/// the call.
pub trait GuestMemory {
    /// Writes `data` from `address` on. Drops bytes at addresses that have no memory.
    fn write(&mut self, address: u64, data: &[u8]);

    /// Fills `data` from `address` on. Bytes at addresses that have no memory read as 0xFF, as on an open bus.
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
