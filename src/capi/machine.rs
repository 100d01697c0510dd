//! The floppy subsystem of a machine, and the accesses of the guest to it.

use std::{
    cell::UnsafeCell,
    ffi::c_void,
    ptr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use super::{
    Failure, Outcome,
    callback::{Channel, InterruptLine, Memory, may_change},
    catch_panic,
    codes::{VM_FDC_S_OK, vm_fdc_result_t},
    config::{self, vm_fdc_config_t},
    ffi_guard, write_output, yes_or_no,
};
use crate::{
    Controller, ReadRegister,
    drive::{FloppyDrives, ReleaseError},
    pc::PcFloppy,
};

/// Floppy subsystem of a machine: the controller, its drives, and the DMA controllers of a PC unless the VM monitor has
/// a DMA controller. `vm_fdc_new` creates it and `vm_fdc_free` frees it.
pub struct vm_fdc_t {
    /// A call uses the machine.
    busy: AtomicBool,
    /// A call with the machine panicked.
    poisoned: AtomicBool,
    /// The machine, for the call that set `busy`; `None` when it is being freed.
    machine: UnsafeCell<Option<Box<dyn Machine>>>,
}

/// A machine with the DMA controllers of the library, or with those of the VM monitor.
trait Machine: Send {
    /// Performs a read of the guest. Returns `false` if no port is claimed.
    fn read(&mut self, port: u16, data: &mut [u8]) -> bool;
    /// Performs a write of the guest. Returns `false` if no port is claimed.
    fn write(&mut self, port: u16, data: &[u8]) -> bool;
    /// Performs `rep ins` of the guest. Returns `false` if no port is claimed.
    fn read_string(&mut self, port: u16, width: usize, data: &mut [u8]) -> bool;
    /// Performs `rep outs` of the guest. Returns `false` if no port is claimed.
    fn write_string(&mut self, port: u16, width: usize, data: &[u8]) -> bool;
    /// Advances the time.
    fn advance(&mut self, elapsed: Duration);
    /// Returns the time to the next event.
    fn next_event(&self) -> Option<Duration>;
    /// Drives the RESET line.
    fn reset(&mut self);
    /// Continues a command that waits for its DMA channel.
    fn service_dma(&mut self);
    /// Returns the level of the INT pin.
    fn interrupt_level(&self) -> bool;
    /// Returns the drives.
    fn drives(&self) -> FloppyDrives;
}

impl Machine for PcFloppy<Memory, InterruptLine> {
    fn read(&mut self, port: u16, data: &mut [u8]) -> bool {
        self.read(port, data)
    }

    fn write(&mut self, port: u16, data: &[u8]) -> bool {
        self.write(port, data)
    }

    fn read_string(&mut self, port: u16, width: usize, data: &mut [u8]) -> bool {
        self.read_string(port, width, data)
    }

    fn write_string(&mut self, port: u16, width: usize, data: &[u8]) -> bool {
        self.write_string(port, width, data)
    }

    fn advance(&mut self, elapsed: Duration) {
        self.advance(elapsed);
    }

    fn next_event(&self) -> Option<Duration> {
        self.next_event()
    }

    fn reset(&mut self) {
        self.reset();
    }

    fn service_dma(&mut self) {
        self.controller_mut().service_dma();
    }

    fn interrupt_level(&self) -> bool {
        self.interrupt_level()
    }

    fn drives(&self) -> FloppyDrives {
        self.drives()
    }
}

/// A controller without DMA controllers: the VM monitor has its own.
struct ControllerOnly {
    /// The controller.
    controller: Controller<InterruptLine, Channel>,
    /// Port of its FIFO.
    fifo: u16,
}

impl Machine for ControllerOnly {
    fn read(&mut self, port: u16, data: &mut [u8]) -> bool {
        let mut claimed = false;
        for (port, byte) in (port..=u16::MAX).zip(data) {
            let value = self.controller.read_port(port);
            claimed |= value.is_some();
            *byte = value.unwrap_or(0xFF);
        }
        claimed
    }

    fn write(&mut self, port: u16, data: &[u8]) -> bool {
        let write = |(port, &byte)| self.controller.write_port(port, byte);
        (port..=u16::MAX).zip(data).map(write).fold(false, |claimed, now| claimed | now)
    }

    fn read_string(&mut self, port: u16, width: usize, data: &mut [u8]) -> bool {
        let burst = if (port, width) == (self.fifo, 1) { self.controller.read_string(data) } else { 0 };
        data[burst..].chunks_mut(width).fold(burst > 0, |claimed, access| claimed | self.read(port, access))
    }

    fn write_string(&mut self, port: u16, width: usize, data: &[u8]) -> bool {
        let burst = if (port, width) == (self.fifo, 1) { self.controller.write_string(data) } else { 0 };
        data[burst..].chunks(width).fold(burst > 0, |claimed, access| claimed | self.write(port, access))
    }

    fn advance(&mut self, elapsed: Duration) {
        self.controller.advance(elapsed);
    }

    fn next_event(&self) -> Option<Duration> {
        self.controller.next_event()
    }

    fn reset(&mut self) {
        self.controller.reset();
    }

    fn service_dma(&mut self) {
        self.controller.service_dma();
    }

    fn interrupt_level(&self) -> bool {
        self.controller.interrupt_level()
    }

    fn drives(&self) -> FloppyDrives {
        self.controller.drives()
    }
}

/// Builds the machine of a configuration.
fn build(config: &vm_fdc_config_t) -> Result<Box<dyn Machine>, Failure> {
    let builder = config.builder()?;
    let dma = [config.dma.device_to_memory.is_some(), config.dma.memory_to_device.is_some()];
    let functions = [config.memory.read.is_some(), config.memory.write.is_some()];
    let memory = match (!config.ram.is_null(), functions, dma) {
        (true, [false, false], [false, false]) => Memory::Ram { start: config.ram.cast(), length: config.ram_length },
        (false, [true, true], [false, false]) => Memory::Callbacks(config.memory),
        (false, [false, false], [true, true]) => {
            let fifo = config.base.wrapping_add(ReadRegister::Fifo as u16);
            return Ok(Box::new(ControllerOnly { controller: builder.dma(Channel(config.dma)).build()?, fifo }));
        }
        _ => {
            let message = "exactly one of ram, memory and dma must be set, and of the latter two both functions";
            return Err(Failure::invalid_argument(message));
        }
    };
    Ok(Box::new(PcFloppy::new(builder, memory, config.wiring())?))
}

/// Exclusive use of a machine, until it is dropped.
struct BusyGuard<'a>(&'a vm_fdc_t);

impl Drop for BusyGuard<'_> {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Release);
    }
}

impl vm_fdc_t {
    /// Takes exclusive use of the machine. Fails if another call has it.
    fn lock(&self) -> Result<BusyGuard<'_>, Failure> {
        if self.busy.swap(true, Ordering::Acquire) {
            let message = "another call uses the machine, on another thread or around this callback";
            return Err(Failure::invalid_argument(message));
        }
        Ok(BusyGuard(self))
    }

    /// Runs `body` with the machine, unless the thread executes a callback, or an earlier call with the machine panicked.
    fn with<T>(&self, body: impl FnOnce(&mut dyn Machine) -> T) -> Result<T, Failure> {
        may_change()?;
        let _guard = self.lock()?;
        if self.poisoned.load(Ordering::Relaxed) {
            return Err(Failure::exception("an earlier call with this machine met a defect of the library; free it"));
        }
        // SAFETY: `_guard` excludes all other users.
        let machine = unsafe { &mut *self.machine.get() };
        let machine = machine.as_mut().ok_or_else(|| Failure::invalid_argument("the machine is being freed"))?;
        catch_panic(|| body(machine.as_mut())).inspect_err(|_| self.poisoned.store(true, Ordering::Relaxed))
    }
}

/// Runs `body` with the machine of a handle.
///
/// # Safety
///
/// `vm` is null, or from `vm_fdc_new` and not freed.
unsafe fn with(vm: *mut vm_fdc_t, body: impl FnOnce(&mut dyn Machine) -> Outcome) -> vm_fdc_result_t {
    ffi_guard(|| {
        // SAFETY: the caller promises it.
        let vm = unsafe { vm.as_ref() }.ok_or_else(|| Failure::null("vm"))?;
        vm.with(body)?
    })
}

/// Runs `body` with the drives of a machine.
///
/// # Safety
///
/// As for [`with`].
pub(super) unsafe fn drives(vm: *mut vm_fdc_t, body: impl FnOnce(FloppyDrives) -> Outcome) -> vm_fdc_result_t {
    // SAFETY: the caller promises it.
    unsafe { with(vm, |machine| body(machine.drives())) }
}

/// Creates the floppy subsystem that `config` describes, as at power-on, and writes its handle to `vm`. Writes a null
/// pointer if the function fails.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_new(config: *const vm_fdc_config_t, vm: *mut *mut vm_fdc_t) -> vm_fdc_result_t {
    ffi_guard(|| {
        // SAFETY: as the header requires.
        unsafe { write_output(vm, "vm", ptr::null_mut()) }?;
        // SAFETY: as the header requires.
        let machine = build(&unsafe { config::copied(config) }?)?;
        let (busy, poisoned) = (AtomicBool::new(false), AtomicBool::new(false));
        let handle = Box::new(vm_fdc_t { busy, poisoned, machine: UnsafeCell::new(Some(machine)) });
        // SAFETY: as the header requires.
        unsafe { write_output(vm, "vm", Box::into_raw(handle)) }
    })
}

/// Frees the machine: saves and releases what is attached to its drives, and calls their observers. Handles of the
/// drives stay valid; their functions return `VM_FDC_VM_E_VM_UNKNOWN`. No callback is called afterwards. A null pointer
/// is ignored. The behaviour is undefined if a machine is freed twice.
///
/// Returns `VM_FDC_VM_E_MEDIA_UNMOUNT_FAIL` if writes of a guest could not be saved. The machine is freed nevertheless
/// and these writes are lost: to keep them, release the drives before. Returns `VM_FDC_E_INVALIDARG`, and does not free
/// the machine, if another call uses the machine or the thread executes a callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_free(vm: *mut vm_fdc_t) -> vm_fdc_result_t {
    ffi_guard(|| {
        // SAFETY: as the header requires.
        let Some(handle) = (unsafe { vm.as_ref() }) else { return Ok(VM_FDC_S_OK) };
        may_change()?;
        // The lock is never released: until the handle is gone, other calls find the machine in use.
        std::mem::forget(handle.lock()?);
        // SAFETY: no other call uses the machine, as above.
        let machine = unsafe { &mut *handle.machine.get() }.take();
        let saved = machine.as_ref().map_or(Ok(Ok(VM_FDC_S_OK)), |machine| catch_panic(|| save(&machine.drives())));
        // Observers are called here, and can call functions of this machine.
        let dropped = catch_panic(|| drop(machine));
        // SAFETY: `vm_fdc_new` made it, and the header forbids other calls from when this one returns.
        drop(unsafe { Box::from_raw(vm) });
        dropped?;
        saved?
    })
}

/// Saves the writes of the guest on all drives to the disk of the host. Returns the first failure.
fn save(drives: &FloppyDrives) -> Outcome {
    let mut outcome = Ok(VM_FDC_S_OK);
    for error in drives.iter().filter_map(|drive| drive.flush().err()) {
        if outcome.is_ok() && !matches!(error, ReleaseError::NoMediaCaptured { .. }) {
            outcome = Err(error.into());
        }
    }
    outcome
}

/// Returns the number of bytes of `count` accesses of `width` bytes. Fails for a null `data`, another width than 1, 2
/// or 4, and more bytes than memory can have.
fn checked_length(data: *const c_void, width: usize, count: usize) -> Result<usize, Failure> {
    if data.is_null() {
        return Err(Failure::null("data"));
    }
    if !matches!(width, 1 | 2 | 4) {
        return Err(Failure::invalid_argument(format!("width is {width}; an access has 1, 2 or 4 bytes")));
    }
    let bytes = width.checked_mul(count).filter(|&bytes| isize::try_from(bytes).is_ok());
    bytes.ok_or_else(|| Failure::invalid_argument(format!("{count} accesses of {width} bytes do not fit into memory")))
}

/// Performs a read of the guest: `width` bytes, 1, 2 or 4, from `port` on. Writes them to `data`, the byte of the
/// lowest port first. As on the bus, it is one access of a byte to each port. Bytes of ports that are not claimed are
/// 0xFF.
///
/// Claimed ports: `base` to `base + 5` and `base + 7` of the configuration, and, unless the VM monitor has a DMA
/// controller, 0x00 to 0x0F, 0x80 to 0x8F and 0xC0 to 0xDF. In a PC/AT the floppy controller drives bit 7 of `base + 7`
/// only; the other bits belong to the hard disk, if there is one.
///
/// Returns `VM_FDC_S_FALSE` if no port of the access is claimed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_read(vm: *mut vm_fdc_t, port: u16, data: *mut c_void, width: usize) -> vm_fdc_result_t {
    let read = |machine: &mut dyn Machine| {
        let mut access = [0xFF; 4];
        let access = &mut access[..checked_length(data, width, 1)?];
        let claimed = machine.read(port, access);
        // SAFETY: the header requires `width` bytes at `data`. No reference is made to them, because vCPUs can access
        // them.
        unsafe { ptr::copy_nonoverlapping(access.as_ptr(), data.cast(), access.len()) };
        Ok(yes_or_no(claimed))
    };
    // SAFETY: the header requires a handle that is not freed.
    unsafe { with(vm, read) }
}

/// Performs a write of the guest: `width` bytes, 1, 2 or 4, from `data` to `port` on, in the way of `vm_fdc_read`.
/// Bytes for ports that are not claimed are dropped. Returns `VM_FDC_S_FALSE` if no port of the access is claimed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_write(
    vm: *mut vm_fdc_t,
    port: u16,
    data: *const c_void,
    width: usize,
) -> vm_fdc_result_t {
    let write = |machine: &mut dyn Machine| {
        let mut access = [0; 4];
        let access = &mut access[..checked_length(data, width, 1)?];
        // SAFETY: as for a read, in the other direction.
        unsafe { ptr::copy_nonoverlapping(data.cast(), access.as_mut_ptr(), access.len()) };
        Ok(yes_or_no(machine.write(port, access)))
    };
    // SAFETY: the header requires a handle that is not freed.
    unsafe { with(vm, write) }
}

/// Bytes of a string that are copied at a time, a multiple of every width. The library works on a copy, because vCPUs
/// can access the memory of the guest meanwhile.
const PIECE: usize = 4096;

/// Performs a string instruction of the guest (`rep ins`): `count` reads of `width` bytes each, 1, 2 or 4, all at
/// `port`. Writes the `width * count` bytes to `data`, which can be guest RAM. For the FIFO, one byte wide, it is much
/// faster than single accesses. The result is the same, but the interrupt line does not fall and rise for each byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_read_string(
    vm: *mut vm_fdc_t,
    port: u16,
    width: usize,
    data: *mut c_void,
    count: usize,
) -> vm_fdc_result_t {
    let read = |machine: &mut dyn Machine| {
        let bytes = checked_length(data, width, count)?;
        let mut copy = [0xFF; PIECE];
        let mut claimed = false;
        for start in (0..bytes).step_by(PIECE) {
            let piece = &mut copy[..PIECE.min(bytes - start)];
            claimed |= machine.read_string(port, width, piece);
            // SAFETY: the header requires `bytes` bytes at `data`, and the piece is a part of them.
            unsafe { ptr::copy_nonoverlapping(piece.as_ptr(), data.cast::<u8>().add(start), piece.len()) };
        }
        Ok(yes_or_no(claimed))
    };
    // SAFETY: the header requires a handle that is not freed.
    unsafe { with(vm, read) }
}

/// Performs a string instruction of the guest (`rep outs`): `count` writes of `width` bytes each from `data`, all at
/// `port`, in the way of `vm_fdc_read_string`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_write_string(
    vm: *mut vm_fdc_t,
    port: u16,
    width: usize,
    data: *const c_void,
    count: usize,
) -> vm_fdc_result_t {
    let write = |machine: &mut dyn Machine| {
        let bytes = checked_length(data, width, count)?;
        let mut copy = [0; PIECE];
        let mut claimed = false;
        for start in (0..bytes).step_by(PIECE) {
            let piece = &mut copy[..PIECE.min(bytes - start)];
            // SAFETY: as for a read, in the other direction.
            unsafe { ptr::copy_nonoverlapping(data.cast::<u8>().add(start), piece.as_mut_ptr(), piece.len()) };
            claimed |= machine.write_string(port, width, piece);
        }
        Ok(yes_or_no(claimed))
    };
    // SAFETY: the header requires a handle that is not freed.
    unsafe { with(vm, write) }
}

/// Advances the time of the machine by the nanoseconds since the last call, or since the machine was created. Call it
/// no later than the time that `vm_fdc_next_event` returns. The number of calls that a span of time is divided into
/// makes no difference.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_advance(vm: *mut vm_fdc_t, nanoseconds: u64) -> vm_fdc_result_t {
    let advance = |machine: &mut dyn Machine| {
        machine.advance(Duration::from_nanos(nanoseconds));
        Ok(VM_FDC_S_OK)
    };
    // SAFETY: the header requires a handle that is not freed.
    unsafe { with(vm, advance) }
}

/// Writes the time to the next event to `nanoseconds`. Ask again after each access, `vm_fdc_advance` and
/// `vm_fdc_reset`. Writes UINT64_MAX and returns `VM_FDC_S_FALSE` if no event is due.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_next_event(vm: *mut vm_fdc_t, nanoseconds: *mut u64) -> vm_fdc_result_t {
    let query = |machine: &mut dyn Machine| {
        let event = machine.next_event();
        let time = event.map_or(u64::MAX, |event| u64::try_from(event.as_nanos()).unwrap_or(u64::MAX));
        // SAFETY: as the header requires.
        unsafe { write_output(nanoseconds, "nanoseconds", time) }?;
        Ok(yes_or_no(event.is_some()))
    };
    // SAFETY: the header requires a handle that is not freed.
    unsafe { with(vm, query) }
}

/// Drives the RESET line of the machine, which is connected to the controller and the DMA controllers of the library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_reset(vm: *mut vm_fdc_t) -> vm_fdc_result_t {
    let reset = |machine: &mut dyn Machine| {
        machine.reset();
        Ok(VM_FDC_S_OK)
    };
    // SAFETY: the header requires a handle that is not freed.
    unsafe { with(vm, reset) }
}

/// Continues a command that waits for its DMA channel or its disk. Call it after each guest access to a DMA controller
/// of the VM monitor, and, with `VM_FDC_EMPTY_DRIVE_HANG`, after a disk was attached.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_service_dma(vm: *mut vm_fdc_t) -> vm_fdc_result_t {
    let service = |machine: &mut dyn Machine| {
        machine.service_dma();
        Ok(VM_FDC_S_OK)
    };
    // SAFETY: the header requires a handle that is not freed.
    unsafe { with(vm, service) }
}

/// Returns the level of the interrupt line: `VM_FDC_S_OK` if it is high, `VM_FDC_S_FALSE` if it is low.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_interrupt_level(vm: *mut vm_fdc_t) -> vm_fdc_result_t {
    // SAFETY: the header requires a handle that is not freed.
    unsafe { with(vm, |machine| Ok(yes_or_no(machine.interrupt_level()))) }
}
