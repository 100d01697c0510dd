//! The floppy subsystem of a machine, and the guest's accesses to it.

use std::{
    cell::UnsafeCell,
    ffi::c_void,
    ptr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use super::{
    Failure, Outcome, border,
    callback::{Channel, Line, Memory, may_change},
    catch,
    codes::{VM_FDC_S_OK, vm_fdc_result_t},
    config::{self, vm_fdc_config_t},
    put, yes_or_no,
};
use crate::{
    Controller, Register,
    drive::{FloppyDrives, ReleaseError},
    pc::PcFloppy,
};

/// The floppy subsystem of a machine: the controller, its drives, and the DMA controllers of a PC unless the embedder has
/// one. `vm_fdc_new` makes it, and `vm_fdc_free` ends it.
pub struct vm_fdc_t {
    /// A call is at work with it.
    busy: AtomicBool,
    /// A call met a defect.
    poisoned: AtomicBool,
    /// For whoever set `busy`.
    machine: UnsafeCell<Box<dyn Machine>>,
}

/// The same for a machine with the DMA controllers of the library and for one with its own.
trait Machine: Send {
    /// The guest reads. `false`: no port is claimed.
    fn read(&mut self, port: u16, data: &mut [u8]) -> bool;
    /// The guest writes.
    fn write(&mut self, port: u16, data: &[u8]) -> bool;
    /// The guest reads with a string instruction.
    fn read_string(&mut self, port: u16, width: usize, data: &mut [u8]) -> bool;
    /// The guest writes with a string instruction.
    fn write_string(&mut self, port: u16, width: usize, data: &[u8]) -> bool;
    /// Time passes.
    fn advance(&mut self, elapsed: Duration);
    /// When time is wanted.
    fn next_event(&self) -> Option<Duration>;
    /// The RESET line.
    fn reset(&mut self);
    /// The DMA channel may have come to serve.
    fn service_dma(&mut self);
    /// The INT pin.
    fn interrupt_level(&self) -> bool;
    /// The drives.
    fn drives(&self) -> FloppyDrives;
}

impl Machine for PcFloppy<Memory, Line> {
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

/// A controller beside the embedder's own DMA controller.
struct Bare {
    /// The chip.
    controller: Controller<Line, Channel>,
    /// The port of its FIFO.
    fifo: u16,
}

impl Machine for Bare {
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

impl vm_fdc_config_t {
    /// The machine that it describes.
    fn machine(&self) -> Result<Box<dyn Machine>, Failure> {
        let builder = self.builder()?;
        let dma = [self.dma.device_to_memory.is_some(), self.dma.memory_to_device.is_some()];
        let functions = [self.memory.read.is_some(), self.memory.write.is_some()];
        let memory = match (!self.ram.is_null(), functions, dma) {
            (true, [false, false], [false, false]) => Memory::Ram { start: self.ram.cast(), length: self.ram_length },
            (false, [true, true], [false, false]) => Memory::Callbacks(self.memory),
            (false, [false, false], [true, true]) => {
                let fifo = self.base.wrapping_add(Register::Fifo as u16);
                return Ok(Box::new(Bare { controller: builder.dma(Channel(self.dma)).build()?, fifo }));
            }
            _ => {
                let message = "guest memory comes by one of ram, memory and dma, with both functions of the latter two";
                return Err(Failure::misuse(message));
            }
        };
        Ok(Box::new(PcFloppy::new(builder, memory, self.wiring())?))
    }
}

/// Ends the use of a machine.
struct Using<'a>(&'a vm_fdc_t);

impl Drop for Using<'_> {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Release);
    }
}

impl vm_fdc_t {
    /// Nobody else uses the machine while the answer lives.
    fn take(&self) -> Result<Using<'_>, Failure> {
        if self.busy.swap(true, Ordering::Acquire) {
            return Err(Failure::misuse(
                "another call is at work with the machine, on another thread or around this callback",
            ));
        }
        Ok(Using(self))
    }

    /// Does something with the machine, if it is whole.
    fn with<T>(&self, body: impl FnOnce(&mut dyn Machine) -> T) -> Result<T, Failure> {
        let _using = self.take()?;
        if self.poisoned.load(Ordering::Relaxed) {
            return Err(Failure::exception("the machine met a defect of the library in an earlier call"));
        }
        // SAFETY: `_using` keeps all others out.
        let machine = unsafe { &mut *self.machine.get() };
        catch(|| body(machine.as_mut())).inspect_err(|_| self.poisoned.store(true, Ordering::Relaxed))
    }
}

/// Does something with the machine of a handle.
///
/// # Safety
///
/// `vm` is null, or from `vm_fdc_new` and not freed.
unsafe fn with(vm: *mut vm_fdc_t, body: impl FnOnce(&mut dyn Machine) -> Outcome) -> vm_fdc_result_t {
    border(|| {
        // SAFETY: the caller promises it.
        let vm = unsafe { vm.as_ref() }.ok_or_else(|| Failure::null("vm"))?;
        vm.with(body)?
    })
}

/// The drives of a machine.
///
/// # Safety
///
/// As for [`with`].
pub(super) unsafe fn drives(vm: *mut vm_fdc_t, body: impl FnOnce(FloppyDrives) -> Outcome) -> vm_fdc_result_t {
    // SAFETY: the caller promises it.
    unsafe { with(vm, |machine| body(machine.drives())) }
}

/// Builds the floppy subsystem that `config` describes, as at power-on, and puts its handle into `vm`; a null pointer if
/// that fails.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_new(config: *const vm_fdc_config_t, vm: *mut *mut vm_fdc_t) -> vm_fdc_result_t {
    border(|| {
        // SAFETY: the header asks for it.
        unsafe { put(vm, "vm", ptr::null_mut()) }?;
        // SAFETY: the header asks for it.
        let machine = unsafe { config::taken(config) }?.machine()?;
        let (busy, poisoned) = (AtomicBool::new(false), AtomicBool::new(false));
        let handle = Box::new(vm_fdc_t { busy, poisoned, machine: UnsafeCell::new(machine) });
        // SAFETY: the header asks for it.
        unsafe { put(vm, "vm", Box::into_raw(handle)) }
    })
}

/// Ends the machine: what is attached to its drives is saved and released, and those who watch them are told. Handles of its
/// drives stay, and answer that it is gone. No callback is called afterwards. Nothing happens for a null pointer; to free a
/// machine twice is undefined.
///
/// Fails with `VM_FDC_VM_E_MEDIA_UNMOUNT_FAIL` if what a guest wrote could not be saved. The machine is gone nevertheless, and
/// so is that; to keep it, release the drives first. It is not freed, and the handle still good, if the answer is
/// `VM_FDC_E_INVALIDARG`, because a call is at work with it or the thread is within a callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_free(vm: *mut vm_fdc_t) -> vm_fdc_result_t {
    border(|| {
        // SAFETY: the header asks for it.
        let Some(handle) = (unsafe { vm.as_ref() }) else { return Ok(VM_FDC_S_OK) };
        may_change()?;
        std::mem::forget(handle.take()?);
        // SAFETY: it was made by `vm_fdc_new`, and nobody uses it: that would have kept it busy.
        let machine = unsafe { Box::from_raw(vm) }.machine.into_inner();
        let saved = catch(|| save(&machine.drives()));
        catch(|| drop(machine))?;
        saved?
    })
}

/// Brings what guests wrote to all drives to the host's disk, and gives the first failure.
fn save(drives: &FloppyDrives) -> Outcome {
    let mut outcome = Ok(VM_FDC_S_OK);
    for error in drives.iter().filter_map(|drive| drive.flush().err()) {
        if outcome.is_ok() && !matches!(error, ReleaseError::NoMediaCaptured { .. }) {
            outcome = Err(error.into());
        }
    }
    outcome
}

/// How many bytes `count` accesses of `width` bytes have, if there are such accesses and there can be as many bytes.
fn bytes(data: *const c_void, width: usize, count: usize) -> Result<usize, Failure> {
    if data.is_null() {
        return Err(Failure::null("data"));
    }
    if !matches!(width, 1 | 2 | 4) {
        return Err(Failure::misuse(format!("an access of {width} bytes; there are those of 1, 2 and 4")));
    }
    let bytes = width.checked_mul(count).filter(|&bytes| isize::try_from(bytes).is_ok());
    bytes.ok_or_else(|| Failure::misuse(format!("{count} accesses of {width} bytes")))
}

/// The guest reads `width` bytes from `port` on, 1, 2 or 4: what it gets is put into `data`, that of the lowest port first.
/// The bus makes an access of a byte for each port; bytes of ports that are not claimed are 0xFF.
///
/// Claimed are `base` to `base + 5` and `base + 7` of the configuration; and unless the embedder has a DMA controller of its
/// own, 0x00 to 0x0F, 0x80 to 0x8F and 0xC0 to 0xDF. Of `base + 7` a PC/AT has bit 7 from the floppy controller and the others
/// from the hard disk, if there is one.
///
/// `VM_FDC_S_FALSE` when no port of the access is claimed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_read(vm: *mut vm_fdc_t, port: u16, data: *mut c_void, width: usize) -> vm_fdc_result_t {
    let read = |machine: &mut dyn Machine| {
        let mut access = [0xFF; 4];
        let access = &mut access[..bytes(data, width, 1)?];
        let claimed = machine.read(port, access);
        // SAFETY: the header asks for `width` bytes at `data`. The copy leaves them to whoever else uses them.
        unsafe { ptr::copy_nonoverlapping(access.as_ptr(), data.cast(), access.len()) };
        Ok(yes_or_no(claimed))
    };
    // SAFETY: the header asks for a handle that is not freed.
    unsafe { with(vm, read) }
}

/// The guest writes `width` bytes from `port` on, as `vm_fdc_read` reads them. Bytes for ports that are not claimed are
/// dropped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_write(
    vm: *mut vm_fdc_t,
    port: u16,
    data: *const c_void,
    width: usize,
) -> vm_fdc_result_t {
    let write = |machine: &mut dyn Machine| {
        let mut access = [0; 4];
        let access = &mut access[..bytes(data, width, 1)?];
        // SAFETY: as for a read, in the other direction.
        unsafe { ptr::copy_nonoverlapping(data.cast(), access.as_mut_ptr(), access.len()) };
        Ok(yes_or_no(machine.write(port, access)))
    };
    // SAFETY: the header asks for a handle that is not freed.
    unsafe { with(vm, write) }
}

/// Strings are copied in pieces of this many bytes, a multiple of every width: nobody can be kept from the memory of a guest
/// meanwhile.
const PIECE: usize = 4096;

/// The guest reads with a string instruction (`rep ins`): `count` accesses of `width` bytes each, 1, 2 or 4, all to `port`,
/// into the `width * count` bytes of `data`, which can be RAM of the guest. From the FIFO, a byte wide, that is much faster
/// than single accesses, and the same but for the interrupt line, which does not fall and rise for each byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_read_string(
    vm: *mut vm_fdc_t,
    port: u16,
    width: usize,
    data: *mut c_void,
    count: usize,
) -> vm_fdc_result_t {
    let read = |machine: &mut dyn Machine| {
        let bytes = bytes(data, width, count)?;
        let mut copy = [0xFF; PIECE];
        let mut claimed = false;
        for start in (0..bytes).step_by(PIECE) {
            let piece = &mut copy[..PIECE.min(bytes - start)];
            claimed |= machine.read_string(port, width, piece);
            // SAFETY: the header asks for `bytes` bytes at `data`, of which these are some.
            unsafe { ptr::copy_nonoverlapping(piece.as_ptr(), data.cast::<u8>().add(start), piece.len()) };
        }
        Ok(yes_or_no(claimed))
    };
    // SAFETY: the header asks for a handle that is not freed.
    unsafe { with(vm, read) }
}

/// The guest writes with a string instruction (`rep outs`), as `vm_fdc_read_string` reads.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_write_string(
    vm: *mut vm_fdc_t,
    port: u16,
    width: usize,
    data: *const c_void,
    count: usize,
) -> vm_fdc_result_t {
    let write = |machine: &mut dyn Machine| {
        let bytes = bytes(data, width, count)?;
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
    // SAFETY: the header asks for a handle that is not freed.
    unsafe { with(vm, write) }
}

/// Tells that time passes: so many nanoseconds since the last call, or since the machine was built. Needed with
/// `VM_FDC_TIMING_AUTHENTIC`; otherwise it bounds how long a command waits for a DMA channel. In how many pieces time is told
/// makes no difference.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_advance(vm: *mut vm_fdc_t, nanoseconds: u64) -> vm_fdc_result_t {
    let advance = |machine: &mut dyn Machine| {
        machine.advance(Duration::from_nanos(nanoseconds));
        Ok(VM_FDC_S_OK)
    };
    // SAFETY: the header asks for a handle that is not freed.
    unsafe { with(vm, advance) }
}

/// How many nanoseconds may pass until `vm_fdc_advance` would have something to do, to be asked after each access.
/// `VM_FDC_S_FALSE` and UINT64_MAX when any may.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_next_event(vm: *mut vm_fdc_t, nanoseconds: *mut u64) -> vm_fdc_result_t {
    let ask = |machine: &mut dyn Machine| {
        let event = machine.next_event();
        let time = event.map_or(u64::MAX, |event| u64::try_from(event.as_nanos()).unwrap_or(u64::MAX));
        // SAFETY: the header asks for it.
        unsafe { put(nanoseconds, "nanoseconds", time) }?;
        Ok(yes_or_no(event.is_some()))
    };
    // SAFETY: the header asks for a handle that is not freed.
    unsafe { with(vm, ask) }
}

/// The machine's RESET line: the registers of all chips are as at power-on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_reset(vm: *mut vm_fdc_t) -> vm_fdc_result_t {
    let reset = |machine: &mut dyn Machine| {
        machine.reset();
        Ok(VM_FDC_S_OK)
    };
    // SAFETY: the header asks for a handle that is not freed.
    unsafe { with(vm, reset) }
}

/// A command goes on with what it may have waited for: to be called after each guest access to a DMA controller of the
/// embedder's own, and, with `VM_FDC_EMPTY_DRIVE_HANG`, after a disk was attached.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_service_dma(vm: *mut vm_fdc_t) -> vm_fdc_result_t {
    let service = |machine: &mut dyn Machine| {
        machine.service_dma();
        Ok(VM_FDC_S_OK)
    };
    // SAFETY: the header asks for a handle that is not freed.
    unsafe { with(vm, service) }
}

/// The level of the interrupt line: `VM_FDC_S_OK` when it is high, `VM_FDC_S_FALSE` when it is low.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_interrupt_level(vm: *mut vm_fdc_t) -> vm_fdc_result_t {
    // SAFETY: the header asks for a handle that is not freed.
    unsafe { with(vm, |machine| Ok(yes_or_no(machine.interrupt_level()))) }
}
