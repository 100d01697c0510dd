//! Configuration of a machine.

use std::{
    ffi::c_void,
    mem::{MaybeUninit, offset_of},
    ptr,
    time::Duration,
};

use super::{
    Failure,
    callback::{InterruptLine, vm_fdc_dma_t, vm_fdc_interrupt_t, vm_fdc_memory_t},
    codes::{self, Code, vm_fdc_result_t},
    ffi_guard,
};
use crate::{Controller, ControllerBuilder, controller::Delays, pc::Wiring};

/// Configuration of the floppy subsystem of a machine. Initialize it with `vm_fdc_config_init`, change members, and
/// pass it to `vm_fdc_new`, which does not keep the pointer.
///
/// Guest memory is given in exactly one of three ways: `ram`, `memory` or `dma`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vm_fdc_config_t {
    /// Size of this structure in bytes, as the caller was compiled. Later versions of the library add members at the
    /// end and use the defaults for members that the caller does not have.
    pub size: usize,
    /// Types of the drives 0 to 3: `VM_FDC_DRIVE_NONE` (default) or another `VM_FDC_DRIVE_` number.
    pub drives: [u32; 4],
    /// Cylinders of the heads at power-on, one for each drive. Default: 0.
    pub head_at: [u8; 4],
    /// First of the eight ports of the controller, 0 to 0xFFF8. Default: 0x3F0. A second controller has 0x370.
    pub base: u16,
    /// Number that `interrupt` gets. Default: 6.
    pub irq: u8,
    /// DMA channel of the floppy controller, 0 to 3. Default: 2.
    pub channel: u8,
    /// Register set: a `VM_FDC_INTERFACE_` number. Default: `VM_FDC_INTERFACE_AT`.
    pub interface_mode: u32,
    /// Duration of commands: a `VM_FDC_TIMING_` number. Default: `VM_FDC_TIMING_IMMEDIATE`.
    pub timing: u32,
    /// Outcome of a data command without a rotating disk: a `VM_FDC_EMPTY_DRIVE_` number. Default:
    /// `VM_FDC_EMPTY_DRIVE_FAIL`.
    pub empty_drive: u32,
    /// 1: the SCAN commands execute, as on an 8272A. 0 (default): they are invalid commands.
    pub scan_commands: u32,
    /// Called when the level of the interrupt line changes. May be null: `vm_fdc_interrupt_level` returns the level.
    pub interrupt: vm_fdc_interrupt_t,
    /// First argument of `interrupt`.
    pub interrupt_context: *mut c_void,
    /// Guest RAM from guest-physical address 0 on. The library reads and writes it within calls with the machine, while
    /// vCPUs can access it. It must exist until `vm_fdc_free` returns.
    pub ram: *mut c_void,
    /// Size of `ram` in bytes.
    pub ram_length: usize,
    /// Guest memory behind two functions: both null or none.
    pub memory: vm_fdc_memory_t,
    /// DMA channel of a DMA controller of the VM monitor: the first two functions are both null or none. The library
    /// then claims no ports of a DMA controller.
    pub dma: vm_fdc_dma_t,
    /// Nanoseconds by which the end of READ ID is delayed, and with `VM_FDC_END_DELAY_ALL` that of each command that
    /// seeks or moves data by DMA. At most 1 s. Default: 1 ms.
    pub command_delay: u64,
    /// Nanoseconds by which the end of a transfer without DMA is delayed. At most 1 s. Default: 50 us.
    pub transfer_delay: u64,
    /// Commands whose end is delayed: a `VM_FDC_END_DELAY_` number. Default: `VM_FDC_END_DELAY_KNOWN_GUESTS`. A VM
    /// monitor that does not follow `vm_fdc_next_event` chooses `VM_FDC_END_DELAY_NONE`.
    pub end_delay: u32,
    /// What becomes of the FIFO after an overrun in a read without DMA: a `VM_FDC_FIFO_AFTER_OVERRUN_` number.
    /// Default: `VM_FDC_FIFO_AFTER_OVERRUN_DISCARDED`.
    pub fifo_after_overrun: u32,
    /// State at power-on: a `VM_FDC_POWER_ON_` number. Default: `VM_FDC_POWER_ON_IN_RESET`.
    pub power_on: u32,
}

impl vm_fdc_config_t {
    /// Defaults: the first controller of a PC, without drives and without memory.
    const DEFAULT: Self = Self {
        size: size_of::<Self>(),
        drives: [codes::VM_FDC_DRIVE_NONE; 4],
        head_at: [0; 4],
        base: Wiring::PRIMARY.base,
        irq: Wiring::PRIMARY.irq,
        channel: Wiring::PRIMARY.channel,
        interface_mode: codes::VM_FDC_INTERFACE_AT,
        timing: codes::VM_FDC_TIMING_IMMEDIATE,
        empty_drive: codes::VM_FDC_EMPTY_DRIVE_FAIL,
        scan_commands: 0,
        interrupt: None,
        interrupt_context: ptr::null_mut(),
        ram: ptr::null_mut(),
        ram_length: 0,
        memory: vm_fdc_memory_t { context: ptr::null_mut(), read: None, write: None },
        dma: vm_fdc_dma_t {
            context: ptr::null_mut(),
            device_to_memory: None,
            memory_to_device: None,
            set_request: None,
        },
        command_delay: Delays::DEFAULT.command,
        transfer_delay: Delays::DEFAULT.transfer,
        end_delay: codes::VM_FDC_END_DELAY_KNOWN_GUESTS,
        fifo_after_overrun: codes::VM_FDC_FIFO_AFTER_OVERRUN_DISCARDED,
        power_on: codes::VM_FDC_POWER_ON_IN_RESET,
    };

    /// Returns a builder with all of the configuration but guest memory.
    pub(super) fn builder(&self) -> Result<ControllerBuilder<InterruptLine>, Failure> {
        if self.base > LAST_BASE {
            let message = format!("base is {:#06x}; the last base of eight ports is {LAST_BASE:#06x}", self.base);
            return Err(Failure::invalid_argument(message));
        }
        let mut builder = Controller::builder()
            .interface(Code::of_code(self.interface_mode)?)
            .timing(Code::of_code(self.timing)?)
            .empty_drive(Code::of_code(self.empty_drive)?)
            .scan_commands(Code::of_code(self.scan_commands)?)
            .end_delay(Code::of_code(self.end_delay)?)
            .end_delay_times(Duration::from_nanos(self.command_delay), Duration::from_nanos(self.transfer_delay))
            .fifo_after_overrun(Code::of_code(self.fifo_after_overrun)?)
            .power_on(Code::of_code(self.power_on)?)
            .base(self.base);
        for (number, (&code, &cylinder)) in (0..).zip(self.drives.iter().zip(&self.head_at)) {
            if let Some(drive_type) = Code::of_code(code)? {
                builder = builder.drive_with_head_at(number, drive_type, cylinder);
            }
        }
        let (callback, context, irq) = (self.interrupt, self.interrupt_context, self.irq);
        Ok(builder.interrupt(InterruptLine { callback, context, irq }))
    }

    /// Returns the ports, the interrupt line and the DMA channel.
    pub(super) const fn wiring(&self) -> Wiring {
        Wiring { base: self.base, irq: self.irq, channel: self.channel }
    }
}

/// Writes the defaults and `size` to `config`. `size` is `sizeof *config`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_config_init(config: *mut vm_fdc_config_t, size: usize) -> vm_fdc_result_t {
    ffi_guard(|| {
        if config.is_null() {
            return Err(Failure::null("config"));
        }
        vm_fdc_config_t::check(size)?;
        let known = size.min(size_of::<vm_fdc_config_t>());
        let defaults = vm_fdc_config_t { size, ..vm_fdc_config_t::DEFAULT };
        // SAFETY: `config` is not null, and the header requires `size` bytes there; no more are written.
        unsafe {
            ptr::write_bytes(config.cast::<u8>(), 0, size);
            ptr::copy_nonoverlapping((&raw const defaults).cast::<u8>(), config.cast(), known);
        }
        Ok(codes::VM_FDC_S_OK)
    })
}

/// A structure of C that begins with its size and can get more members in later versions.
///
/// # Safety
///
/// Any bytes that a C program can write are a value of the type, padding included.
pub(super) unsafe trait Versioned: Copy {
    /// Name of the structure in C.
    const NAME: &'static str;
    /// Size of the first version.
    const FIRST: usize;
    /// Upper limit of a plausible size: no version is larger, so a larger one was not set by the caller.
    const LIMIT: usize = 4096;

    /// Checks that `size` can be the size of a version.
    fn check(size: usize) -> Result<(), Failure> {
        if (Self::FIRST..=Self::LIMIT).contains(&size) {
            return Ok(());
        }
        let message = format!("the size in {} is {size}; sizeof is {} or more", Self::NAME, Self::FIRST);
        Err(Failure::invalid_argument(message))
    }

    /// Copies the structure of a caller. Members that the caller does not have get their `defaults`; members that this
    /// version does not have must be 0.
    ///
    /// # Safety
    ///
    /// `from` points to a size, and if `check` accepts the size, to as many bytes.
    unsafe fn copy_from(from: *const Self, defaults: Self) -> Result<Self, Failure> {
        // SAFETY: the caller promises a size.
        let size = unsafe { from.cast::<usize>().read_unaligned() };
        Self::check(size)?;
        let known = size.min(size_of::<Self>());
        let mut taken = MaybeUninit::new(defaults);
        // SAFETY: both sides have `known` bytes, and any bytes are a value.
        let taken = unsafe {
            ptr::copy_nonoverlapping(from.cast::<u8>(), taken.as_mut_ptr().cast(), known);
            taken.assume_init()
        };
        for offset in known..size {
            // SAFETY: it is one of the `size` bytes.
            if unsafe { from.cast::<u8>().add(offset).read() } != 0 {
                let message = format!("{} sets members that this version of the library does not have", Self::NAME);
                return Err(Failure::invalid_argument(message));
            }
        }
        Ok(taken)
    }
}

// SAFETY: its members are numbers, pointers, and pointers to functions that may be null.
unsafe impl Versioned for vm_fdc_config_t {
    const NAME: &'static str = "vm_fdc_config_t";
    const FIRST: usize = size_of::<Self>();
}

/// Last base port: the controller has eight ports.
const LAST_BASE: u16 = u16::MAX - 7;

/// The size is the first member.
const _: () = assert!(offset_of!(vm_fdc_config_t, size) == 0);

/// Copies the configuration of a caller.
///
/// # Safety
///
/// `config` is null, or points to a structure as the header requires.
pub(super) unsafe fn copied(config: *const vm_fdc_config_t) -> Result<vm_fdc_config_t, Failure> {
    if config.is_null() {
        return Err(Failure::null("config"));
    }
    // SAFETY: it is not null, and the caller promises the rest.
    unsafe { vm_fdc_config_t::copy_from(config, vm_fdc_config_t::DEFAULT) }
}
