//! What a machine is made of.

use std::{
    ffi::c_void,
    mem::{MaybeUninit, offset_of},
    ptr,
};

use super::{
    Failure, border,
    callback::{Line, vm_fdc_dma_t, vm_fdc_interrupt_t, vm_fdc_memory_t},
    codes::{self, Code, vm_fdc_result_t},
};
use crate::{Controller, ControllerBuilder, pc::Wiring};

/// A machine's floppy subsystem. Have `vm_fdc_config_init` fill it, change what is to be different, and give it to
/// `vm_fdc_new`, which needs it no longer than it takes.
///
/// Guest memory comes in one of three ways, and one alone: `ram`, `memory` or `dma`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vm_fdc_config_t {
    /// The size of this structure, by which the library knows what the caller knew. Later versions have more members, and
    /// take the default for those that the caller had not.
    pub size: usize,
    /// The kinds of drives 0 to 3, `VM_FDC_DRIVE_NONE` where there is none. None is there unless chosen.
    pub drives: [u32; 4],
    /// The cylinders at which the heads of the drives stand at first.
    pub head_at: [u8; 4],
    /// The first port of the controller: 0x3F0 unless chosen, 0x370 for a second one.
    pub base: u16,
    /// The line that `interrupt` is told of: 6 unless chosen.
    pub irq: u8,
    /// The channel of the library's DMA controllers, 0 to 3: 2 unless chosen.
    pub channel: u8,
    /// Which registers there are: `VM_FDC_INTERFACE_AT` unless chosen.
    pub interface_mode: u32,
    /// Whether commands take time: `VM_FDC_TIMING_IMMEDIATE` unless chosen.
    pub timing: u32,
    /// What becomes of a data command without a disk that turns: `VM_FDC_EMPTY_DRIVE_FAIL` unless chosen.
    pub empty_drive: u32,
    /// 1: the SCAN commands execute, as on an 8272A; 0 unless chosen.
    pub scan_commands: u32,
    /// Told of the interrupt line; may be null, since `vm_fdc_interrupt_level` can be asked as well.
    pub interrupt: vm_fdc_interrupt_t,
    /// Given to `interrupt`.
    pub interrupt_context: *mut c_void,
    /// RAM of the guest from guest-physical address 0 on. The library reads and writes it within the calls for port accesses
    /// and time, while vCPUs can be at work there. It must be there until `vm_fdc_free` returns.
    pub ram: *mut c_void,
    /// How many bytes `ram` has.
    pub ram_length: usize,
    /// Guest memory by two functions, both or none of them null.
    pub memory: vm_fdc_memory_t,
    /// A DMA controller of the embedder's own; its first two functions, both or none of them null. The library then claims
    /// no ports of a DMA controller.
    pub dma: vm_fdc_dma_t,
}

impl vm_fdc_config_t {
    /// The first controller of a PC, without drives and without memory.
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
    };

    /// The controller that it describes, as far as it is the same whatever the memory.
    pub(super) fn builder(&self) -> Result<ControllerBuilder<Line>, Failure> {
        if self.base > LAST_BASE {
            return Err(Failure::misuse(format!("no room for eight ports from {:#x} on", self.base)));
        }
        let mut builder = Controller::builder()
            .interface(Code::of_code(self.interface_mode)?)
            .timing(Code::of_code(self.timing)?)
            .empty_drive(Code::of_code(self.empty_drive)?)
            .scan_commands(Code::of_code(self.scan_commands)?)
            .base(self.base);
        for (number, (&code, &cylinder)) in (0..).zip(self.drives.iter().zip(&self.head_at)) {
            if let Some(drive_type) = Code::of_code(code)? {
                builder = builder.drive_with_head_at(number, drive_type, cylinder);
            }
        }
        let (callback, context, irq) = (self.interrupt, self.interrupt_context, self.irq);
        Ok(builder.interrupt(Line { callback, context, irq }))
    }

    /// Where it is in the machine.
    pub(super) const fn wiring(&self) -> Wiring {
        Wiring { base: self.base, irq: self.irq, channel: self.channel }
    }
}

/// Fills `config` with the defaults and its size, `size`, which is `sizeof *config`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_config_init(config: *mut vm_fdc_config_t, size: usize) -> vm_fdc_result_t {
    border(|| {
        if config.is_null() {
            return Err(Failure::null("config"));
        }
        vm_fdc_config_t::check(size)?;
        let known = size.min(size_of::<vm_fdc_config_t>());
        let defaults = vm_fdc_config_t { size, ..vm_fdc_config_t::DEFAULT };
        // SAFETY: `config` is not null, and the header asks for one with `size` bytes; no more are written.
        unsafe {
            ptr::write_bytes(config.cast::<u8>(), 0, size);
            ptr::copy_nonoverlapping((&raw const defaults).cast::<u8>(), config.cast(), known);
        }
        Ok(codes::VM_FDC_S_OK)
    })
}

/// A structure of C that begins with its size, and can have more members in a later version.
///
/// # Safety
///
/// A value of any bytes is one of the type, padding included, as far as those are that a caller in C can put there.
pub(super) unsafe trait Versioned: Copy {
    /// Its name in C.
    const NAME: &'static str;
    /// The size that it had in its first version.
    const FIRST: usize;
    /// No version will be so large: a size that nobody set.
    const LIMIT: usize = 4096;

    /// This can be the size of a version.
    fn check(size: usize) -> Result<(), Failure> {
        if (Self::FIRST..=Self::LIMIT).contains(&size) {
            return Ok(());
        }
        Err(Failure::misuse(format!("{} has a size of {size}; the first version had {}", Self::NAME, Self::FIRST)))
    }

    /// What the caller gave, completed with `defaults`. Members that this version does not have must be 0.
    ///
    /// # Safety
    ///
    /// `from` points to a size, and if that is one of a version, to as many bytes.
    unsafe fn take(from: *const Self, defaults: Self) -> Result<Self, Failure> {
        // SAFETY: the caller promises a size.
        let size = unsafe { from.cast::<usize>().read_unaligned() };
        Self::check(size)?;
        let known = size.min(size_of::<Self>());
        let mut taken = MaybeUninit::new(defaults);
        // SAFETY: `known` bytes are there on both sides, and any bytes make a value.
        let taken = unsafe {
            ptr::copy_nonoverlapping(from.cast::<u8>(), taken.as_mut_ptr().cast(), known);
            taken.assume_init()
        };
        for offset in known..size {
            // SAFETY: it is one of the `size` bytes.
            if unsafe { from.cast::<u8>().add(offset).read() } != 0 {
                return Err(Failure::misuse(format!("{} has members that this version does not know", Self::NAME)));
            }
        }
        Ok(taken)
    }
}

// SAFETY: numbers, pointers, and pointers to functions that may be null.
unsafe impl Versioned for vm_fdc_config_t {
    const NAME: &'static str = "vm_fdc_config_t";
    const FIRST: usize = size_of::<Self>();
}

/// The controller has eight ports.
const LAST_BASE: u16 = u16::MAX - 7;

/// The size comes first.
const _: () = assert!(offset_of!(vm_fdc_config_t, size) == 0);

/// What a caller configured.
///
/// # Safety
///
/// `config` is null, or points to a structure that the header describes.
pub(super) unsafe fn taken(config: *const vm_fdc_config_t) -> Result<vm_fdc_config_t, Failure> {
    if config.is_null() {
        return Err(Failure::null("config"));
    }
    // SAFETY: it is not null, and the caller promises the rest.
    unsafe { vm_fdc_config_t::take(config, vm_fdc_config_t::DEFAULT) }
}
