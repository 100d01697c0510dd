//! Callbacks into C: the interrupt line, guest memory, a DMA channel, and observers of media.

use std::{cell::Cell, ffi::c_char, ffi::c_void, ops::ControlFlow, ptr};

use super::{Failure, text};
use crate::{
    Interrupt,
    dma::{DmaChannel, GuestMemory, Moved},
    drive::{MediaEvent, MediaObserver},
};

/// Called when the level of the interrupt line changes. `irq` is that of the configuration and `high` the new level.
pub type vm_fdc_interrupt_t = Option<unsafe extern "C-unwind" fn(context: *mut c_void, irq: u8, high: bool)>;

/// Guest memory by guest-physical address. The library calls both functions within calls with the machine, on the
/// thread of the caller.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vm_fdc_memory_t {
    /// First argument of both functions.
    pub context: *mut c_void,
    /// Reads `length` bytes from `address` on into `data`. Bytes at addresses that have no memory must be set to 0xFF.
    pub read: Option<unsafe extern "C-unwind" fn(context: *mut c_void, address: u64, data: *mut u8, length: usize)>,
    /// Writes `length` bytes from `data` to `address` on. Bytes at addresses that have no memory must be dropped.
    pub write: Option<unsafe extern "C-unwind" fn(context: *mut c_void, address: u64, data: *const u8, length: usize)>,
}

/// Result of a transfer of a DMA channel.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vm_fdc_moved_t {
    /// Number of bytes that the channel moved, 0 to the `length` that it was offered.
    pub bytes: usize,
    /// Not 0: terminal count was signalled with the last of these bytes. Ignored if `bytes` is 0.
    pub terminal_count: u32,
}

/// A channel of a DMA controller of the VM monitor. A channel that is masked, not programmed, or programmed for the
/// other direction moves 0 bytes. Call `vm_fdc_service_dma` after each guest access to the DMA controller: the bytes
/// that were not moved are then offered again.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vm_fdc_dma_t {
    /// First argument of all functions.
    pub context: *mut c_void,
    /// Moves bytes from the device to memory, from the start of `data`: a read of the disk.
    pub device_to_memory:
        Option<unsafe extern "C-unwind" fn(context: *mut c_void, data: *const u8, length: usize) -> vm_fdc_moved_t>,
    /// Moves bytes from memory to the device, to the start of `data`: a write to the disk. It must not change bytes of
    /// `data` beyond those that it reports as moved.
    pub memory_to_device:
        Option<unsafe extern "C-unwind" fn(context: *mut c_void, data: *mut u8, length: usize) -> vm_fdc_moved_t>,
    /// Sets the level of the DREQ line. Called when the level changed at the end of an access or event; a request that
    /// begins and ends within one is not reported. May be null.
    pub set_request: Option<unsafe extern "C-unwind" fn(context: *mut c_void, asserted: bool)>,
}

/// Called after a medium was inserted into drive `drive` or ejected from it, or was reformatted by the guest. `event` is
/// `VM_FDC_MEDIA_INSERTED`, `VM_FDC_MEDIA_EJECTED` or `VM_FDC_MEDIA_REFORMATTED`. `path` is the absolute path of the image or the host drive, null for a medium without a
/// path; it is valid until the function returns. Returns 0 to get no more events, any other value to get more.
pub type vm_fdc_media_observer_t =
    Option<unsafe extern "C-unwind" fn(context: *mut c_void, event: u32, drive: u32, path: *const c_char) -> u32>;

/// Callback that a thread executes. The order is that of the calls it forbids.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Running {
    /// No callback.
    None,
    /// An observer of media: it can query drives, but not change what is attached.
    Observer,
    /// A callback of the machine, during which the library can hold the lock of a drive.
    Machine,
}

thread_local! {
    /// Callback that the thread executes.
    static RUNNING: Cell<Running> = const { Cell::new(Running::None) };
}

/// Records that the thread executes a callback, until it is dropped: also when the callback panics.
struct Mark {
    /// What the thread executed before.
    before: Running,
}

impl Drop for Mark {
    fn drop(&mut self) {
        RUNNING.set(self.before);
    }
}

/// Executes a callback, and records meanwhile that the thread does.
fn call<T>(running: Running, callback: impl FnOnce() -> T) -> T {
    let _mark = Mark { before: RUNNING.replace(running.max(RUNNING.get())) };
    callback()
}

/// Checks that the thread may query drives.
pub(super) fn may_query() -> Result<(), Failure> {
    check_callback(Running::Machine)
}

/// Checks that the thread may use machines, and change what is attached to drives: it executes no callback.
pub(super) fn may_change() -> Result<(), Failure> {
    check_callback(Running::Observer)
}

/// Checks that the thread does not execute `forbidden` or a callback above it: the call would wait for its own thread.
fn check_callback(forbidden: Running) -> Result<(), Failure> {
    if RUNNING.get() < forbidden {
        return Ok(());
    }
    Err(Failure::invalid_argument("the function was called from within a callback that must not call it"))
}

/// The INT pin, connected to a function of C.
pub(super) struct InterruptLine {
    /// Function to call; none if the VM monitor polls the level.
    pub callback: vm_fdc_interrupt_t,
    /// First argument of the function.
    pub context: *mut c_void,
    /// Second argument of the function.
    pub irq: u8,
}

// SAFETY: the header requires functions that any thread can call with their contexts, one thread at a time.
unsafe impl Send for InterruptLine {}
// SAFETY: as above. RAM can be accessed by any thread.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Send for Channel {}

impl Interrupt for InterruptLine {
    fn set_level(&mut self, high: bool) {
        if let Some(callback) = self.callback {
            // SAFETY: the header requires a function that can be called with this context until the machine is freed.
            call(Running::Machine, || unsafe { callback(self.context, self.irq, high) });
        }
    }
}

/// Guest memory as C gives it.
pub(super) enum Memory {
    /// RAM that begins at address 0.
    Ram {
        /// Address of its first byte in this process.
        start: *mut u8,
        /// Size in bytes.
        length: usize,
    },
    /// Two functions, neither of them null.
    Callbacks(vm_fdc_memory_t),
}

impl Memory {
    /// Returns where the bytes from guest address `address` on are in RAM, and how many of `length` bytes RAM has
    /// there.
    fn piece(start: *mut u8, size: usize, address: u64, length: usize) -> (*mut u8, usize) {
        let address = usize::try_from(address).map_or(size, |address| address.min(size));
        // The pointer is within the RAM or one past its end.
        (start.wrapping_add(address), length.min(size - address))
    }
}

impl GuestMemory for Memory {
    fn write(&mut self, address: u64, data: &[u8]) {
        match self {
            Self::Ram { start, length } => {
                let (to, length) = Self::piece(*start, *length, address, data.len());
                // SAFETY: `length` bytes from `to` on are in the RAM that the caller of `vm_fdc_new` promised, and
                // `data` has as many. No reference to RAM is made, because vCPUs can access it. The copy allows an
                // overlap, because nothing is known of where the RAM is.
                unsafe { ptr::copy(data.as_ptr(), to, length) };
            }
            Self::Callbacks(vm_fdc_memory_t { context, write: Some(write), .. }) => {
                // SAFETY: the header requires a function that can be called with this context until the machine is
                // freed; `data` is readable while it runs.
                call(Running::Machine, || unsafe { write(*context, address, data.as_ptr(), data.len()) });
            }
            Self::Callbacks(_) => {}
        }
    }

    fn read(&mut self, address: u64, data: &mut [u8]) {
        match self {
            Self::Ram { start, length } => {
                let (from, length) = Self::piece(*start, *length, address, data.len());
                // SAFETY: as for a write, in the other direction.
                unsafe { ptr::copy(from, data.as_mut_ptr(), length) };
                data[length..].fill(0xFF);
            }
            Self::Callbacks(vm_fdc_memory_t { context, read: Some(read), .. }) => {
                // SAFETY: as for a write; `data` is writable while the function runs, and nobody else uses it.
                call(Running::Machine, || unsafe { read(*context, address, data.as_mut_ptr(), data.len()) });
            }
            Self::Callbacks(_) => {}
        }
    }
}

/// DMA channel of a DMA controller in C.
pub(super) struct Channel(pub vm_fdc_dma_t);

impl Channel {
    /// Converts the result of a transfer. Bounds the number of bytes by what was offered.
    fn moved(moved: vm_fdc_moved_t, offered: usize) -> Moved {
        Moved { bytes: moved.bytes.min(offered), terminal_count: moved.terminal_count != 0 }
    }
}

impl DmaChannel for Channel {
    fn device_to_memory(&mut self, data: &[u8]) -> Moved {
        let Some(callback) = self.0.device_to_memory else { return Moved::default() };
        // SAFETY: the header requires functions that can be called with this context until the machine is freed; `data`
        // is readable while it runs.
        let moved = call(Running::Machine, || unsafe { callback(self.0.context, data.as_ptr(), data.len()) });
        Self::moved(moved, data.len())
    }

    fn memory_to_device(&mut self, data: &mut [u8]) -> Moved {
        let Some(callback) = self.0.memory_to_device else { return Moved::default() };
        // SAFETY: as above; `data` is writable while it runs, and nobody else uses it.
        let moved = call(Running::Machine, || unsafe { callback(self.0.context, data.as_mut_ptr(), data.len()) });
        Self::moved(moved, data.len())
    }

    fn set_request(&mut self, asserted: bool) {
        if let Some(callback) = self.0.set_request {
            // SAFETY: as above.
            call(Running::Machine, || unsafe { callback(self.0.context, asserted) });
        }
    }
}

/// Observer of media in C.
pub(super) struct Observer {
    /// Function to call.
    pub callback: unsafe extern "C-unwind" fn(*mut c_void, u32, u32, *const c_char) -> u32,
    /// First argument of the function.
    pub context: *mut c_void,
}

// SAFETY: the header requires a function that any thread can call with its context.
unsafe impl Send for Observer {}

impl MediaObserver for Observer {
    fn media_changed(&mut self, event: &MediaEvent) -> ControlFlow<()> {
        let path = event.path().and_then(text::c_path);
        let path = path.as_ref().map_or(ptr::null(), |path| path.as_ptr());
        let (id, drive) = (event.dispatch_id(), event.drive().into());
        // SAFETY: the header requires a function that can be called with this context until it returns 0 or the machine
        // is freed, after which there are no events. `path` lives until the function returns.
        match call(Running::Observer, || unsafe { (self.callback)(self.context, id, drive, path) }) {
            0 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}
