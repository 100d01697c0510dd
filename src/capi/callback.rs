//! What C gives us to call: the interrupt line, guest memory, a DMA channel, and who is told of media.

use std::{cell::Cell, ffi::c_char, ffi::c_void, ops::ControlFlow, ptr};

use super::{Failure, text};
use crate::{
    Interrupt,
    dma::{DmaChannel, GuestMemory, Moved},
    drive::{MediaEvent, MediaObserver},
};

/// Called when the interrupt line changes: `irq` is that of the configuration, and `high` its new level.
pub type vm_fdc_interrupt_t = Option<unsafe extern "C-unwind" fn(context: *mut c_void, irq: u8, high: bool)>;

/// Guest memory, by guest-physical address. Both functions are called from within the function that the guest's port access
/// was handed to, on its thread.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vm_fdc_memory_t {
    /// Given to both functions.
    pub context: *mut c_void,
    /// Fills `data` with the `length` bytes from `address` on. Those where there is no memory are to be 0xFF.
    pub read: Option<unsafe extern "C-unwind" fn(context: *mut c_void, address: u64, data: *mut u8, length: usize)>,
    /// Writes `length` bytes from `address` on. Those where there is no memory are to be dropped.
    pub write: Option<unsafe extern "C-unwind" fn(context: *mut c_void, address: u64, data: *const u8, length: usize)>,
}

/// What a DMA channel moved.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vm_fdc_moved_t {
    /// Bytes that it took or gave; not more than it was offered.
    pub bytes: usize,
    /// Not 0: terminal count came with the last of them.
    pub terminal_count: u32,
}

/// A channel of the embedder's own DMA controller. A channel that is masked, not programmed, or set to the other direction
/// moves nothing; the bytes are offered again at each `vm_fdc_service_dma`, which is to be called after each guest access
/// to that DMA controller.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vm_fdc_dma_t {
    /// Given to all functions.
    pub context: *mut c_void,
    /// Takes bytes from the device to memory, from the first of `data` on: a read of the disk.
    pub device_to_memory:
        Option<unsafe extern "C-unwind" fn(context: *mut c_void, data: *const u8, length: usize) -> vm_fdc_moved_t>,
    /// Gives the device bytes from memory, into `data` from its first on: a write to the disk. Bytes of `data` beyond those
    /// that it says it gave must stay as they are.
    pub memory_to_device:
        Option<unsafe extern "C-unwind" fn(context: *mut c_void, data: *mut u8, length: usize) -> vm_fdc_moved_t>,
    /// The DREQ line changed; may be null. Told of requests that outlast a port access.
    pub set_request: Option<unsafe extern "C-unwind" fn(context: *mut c_void, asserted: bool)>,
}

/// Called when a medium went into drive `drive` or out of it: `event` is `VM_FDC_MEDIA_INSERTED` or `VM_FDC_MEDIA_EJECTED`,
/// and `path` the absolute path of the image or the host drive, valid until the function returns. Answers 0 to be told no
/// more.
pub type vm_fdc_media_observer_t =
    Option<unsafe extern "C-unwind" fn(context: *mut c_void, event: u32, drive: u32, path: *const c_char) -> u32>;

/// What the thread is in the middle of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Within {
    /// No callback.
    Nothing,
    /// A callback that tells of media: drives can be asked, but not changed.
    Media,
    /// A callback of the machine, which can hold a drive.
    Machine,
}

thread_local! {
    /// Which callback the thread is in.
    static WITHIN: Cell<Within> = const { Cell::new(Within::Nothing) };
}

/// Calls back, and knows meanwhile that it does.
fn call<T>(within: Within, callback: impl FnOnce() -> T) -> T {
    let before = WITHIN.replace(within.max(WITHIN.get()));
    // Nothing of ours unwinds through it: a callback that throws ends the process, or the call.
    let result = callback();
    WITHIN.set(before);
    result
}

/// Drives can be asked here.
pub(super) fn may_ask() -> Result<(), Failure> {
    not_within(Within::Machine)
}

/// Drives and machines can be changed here.
pub(super) fn may_change() -> Result<(), Failure> {
    not_within(Within::Media)
}

/// The thread is in none of these callbacks: it would wait for itself.
fn not_within(within: Within) -> Result<(), Failure> {
    if WITHIN.get() >= within { Err(Failure::misuse("not from within a callback")) } else { Ok(()) }
}

/// The INT pin, wired to a function.
pub(super) struct Line {
    /// What to call.
    pub callback: vm_fdc_interrupt_t,
    /// What for.
    pub context: *mut c_void,
    /// The line that it is on.
    pub irq: u8,
}

// SAFETY: `vm_fdc_new` asks for functions that any thread can call with their contexts, one thread at a time.
unsafe impl Send for Line {}
// SAFETY: the same, and for RAM that any thread can use.
unsafe impl Send for Memory {}
// SAFETY: the same.
unsafe impl Send for Channel {}

impl Interrupt for Line {
    fn set_level(&mut self, high: bool) {
        if let Some(callback) = self.callback {
            // SAFETY: `vm_fdc_new` asks for a function that can be called with this context until the machine is freed.
            call(Within::Machine, || unsafe { callback(self.context, self.irq, high) });
        }
    }
}

/// Guest memory, in the ways that C can give it.
pub(super) enum Memory {
    /// RAM that begins at address 0.
    Ram {
        /// Its first byte.
        start: *mut u8,
        /// Its bytes.
        length: usize,
    },
    /// Two functions, none of them null.
    Callbacks(vm_fdc_memory_t),
}

impl Memory {
    /// Where the bytes from `address` on are in RAM, at most `length`.
    fn piece(start: *mut u8, size: usize, address: u64, length: usize) -> (*mut u8, usize) {
        let address = usize::try_from(address).map_or(size, |address| address.min(size));
        // Within the RAM or one past its end.
        (start.wrapping_add(address), length.min(size - address))
    }
}

impl GuestMemory for Memory {
    fn write(&mut self, address: u64, data: &[u8]) {
        match self {
            Self::Ram { start, length } => {
                let (to, length) = Self::piece(*start, *length, address, data.len());
                // SAFETY: `length` bytes from `to` on are in the RAM that `vm_fdc_new` was promised, and no more than `data`
                // has. No reference is made to it: vCPUs can be at work there. It can be anywhere, so nothing is assumed of
                // where the two are.
                unsafe { ptr::copy(data.as_ptr(), to, length) };
            }
            Self::Callbacks(vm_fdc_memory_t { context, write: Some(write), .. }) => {
                // SAFETY: `vm_fdc_new` asks for a function that can be called with this context until the machine is freed;
                // `data` is readable while it runs.
                call(Within::Machine, || unsafe { write(*context, address, data.as_ptr(), data.len()) });
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
                call(Within::Machine, || unsafe { read(*context, address, data.as_mut_ptr(), data.len()) });
            }
            Self::Callbacks(_) => {}
        }
    }
}

/// The DMA channel of a DMA controller in C.
pub(super) struct Channel(pub vm_fdc_dma_t);

impl Channel {
    /// What was moved, of what was offered.
    fn moved(moved: vm_fdc_moved_t, offered: usize) -> Moved {
        Moved { bytes: moved.bytes.min(offered), terminal_count: moved.terminal_count != 0 }
    }
}

impl DmaChannel for Channel {
    fn device_to_memory(&mut self, data: &[u8]) -> Moved {
        let Some(callback) = self.0.device_to_memory else { return Moved::default() };
        // SAFETY: `vm_fdc_new` asks for functions that can be called with this context until the machine is freed; `data` is
        // readable while it runs.
        let moved = call(Within::Machine, || unsafe { callback(self.0.context, data.as_ptr(), data.len()) });
        Self::moved(moved, data.len())
    }

    fn memory_to_device(&mut self, data: &mut [u8]) -> Moved {
        let Some(callback) = self.0.memory_to_device else { return Moved::default() };
        // SAFETY: as above; `data` is writable while it runs, and nobody else uses it.
        let moved = call(Within::Machine, || unsafe { callback(self.0.context, data.as_mut_ptr(), data.len()) });
        Self::moved(moved, data.len())
    }

    fn set_request(&mut self, asserted: bool) {
        if let Some(callback) = self.0.set_request {
            // SAFETY: as above.
            call(Within::Machine, || unsafe { callback(self.0.context, asserted) });
        }
    }
}

/// Someone in C who is told of media.
pub(super) struct Observer {
    /// What to call.
    pub callback: unsafe extern "C-unwind" fn(*mut c_void, u32, u32, *const c_char) -> u32,
    /// What for.
    pub context: *mut c_void,
}

// SAFETY: `vm_fdc_drive_observe` asks for a function that any thread can call with its context.
unsafe impl Send for Observer {}

impl MediaObserver for Observer {
    fn media_changed(&mut self, event: &MediaEvent) -> ControlFlow<()> {
        let path = event.path().and_then(text::c_path);
        let path = path.as_ref().map_or(ptr::null(), |path| path.as_ptr());
        let (id, drive) = (event.dispatch_id(), event.drive().into());
        // SAFETY: `vm_fdc_drive_observe` asks for a function that can be called with this context until it answers 0 or the
        // machine is gone, after which there are no events. `path` lives until it returns.
        match call(Within::Media, || unsafe { (self.callback)(self.context, id, drive, path) }) {
            0 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}
