//! The virtual machine and its one processor, as KVM has them. There is no interrupt controller in the kernel.
#![allow(unsafe_code)]

use std::{error::Error, os::fd::AsRawFd};

use kvm_bindings::{KVM_MAX_CPUID_ENTRIES, KVM_MEM_READONLY, kvm_interrupt, kvm_userspace_memory_region};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd, VmFd};
use vm_memory::{GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestMemoryRegion};

/// `_IOW(KVMIO, 0x86, struct kvm_interrupt)`, which kvm-ioctls does not have.
const KVM_INTERRUPT: libc::c_ulong = 0x4004_AE86;

/// Pages below the firmware that KVM wants for itself on some Intel processors.
const IDENTITY_MAP: u64 = 0xFFFB_C000;
const TASK_STATE: usize = 0xFFFB_D000;

/// Why the guest stands still.
pub enum Exit<'a> {
    /// `IN`, or `REP INS` when `data` holds more than one access of `width` bytes; it wants `data`.
    In { port: u16, width: usize, data: &'a mut [u8] },
    /// `OUT`, or `REP OUTS`.
    Out { port: u16, width: usize, data: &'a [u8] },
    /// It waits for an interrupt; if they are off, for ever.
    Halt { interrupts_on: bool },
    /// It got into a state that only a reset ends.
    Shutdown,
    /// Nothing to do: a signal came, or the guest can take an interrupt now.
    None,
}

pub struct Vcpu {
    // Dropped in this order: the processor, the machine, and then its memory.
    vcpu: VcpuFd,
    _vm: VmFd,
    _memory: GuestMemoryMmap,
}

impl Vcpu {
    /// A processor after its reset, in a machine with this memory. Of that, what begins at `rom` is read-only.
    pub fn new(kvm: &Kvm, memory: GuestMemoryMmap, rom: GuestAddress) -> Result<Self, Box<dyn Error>> {
        let vm = kvm.create_vm()?;
        vm.set_identity_map_address(IDENTITY_MAP)?;
        vm.set_tss_address(TASK_STATE)?;
        for (slot, region) in (0..).zip(memory.iter()) {
            let flags = if region.start_addr() == rom { KVM_MEM_READONLY } else { 0 };
            let region = kvm_userspace_memory_region {
                slot,
                flags,
                guest_phys_addr: region.start_addr().0,
                memory_size: region.len(),
                userspace_addr: memory.get_host_address(region.start_addr())? as u64,
            };
            // SAFETY: the region is mapped, and `memory` keeps it mapped longer than the machine lives. All of this process
            // reaches it through `memory`, which expects others to write it.
            unsafe { vm.set_user_memory_region(region)? };
        }
        let vcpu = vm.create_vcpu(0)?;
        hide_apic(kvm, &vcpu)?;
        Ok(Self { vcpu, _vm: vm, _memory: memory })
    }

    /// Lets the guest run until something is to be done for it.
    pub fn run(&mut self) -> Result<Exit<'_>, Box<dyn Error>> {
        let (port, data, is_in) = match self.vcpu.run() {
            Ok(VcpuExit::IoIn(port, data)) => (port, data as *mut [u8], true),
            Ok(VcpuExit::IoOut(port, data)) => (port, data as *const [u8] as *mut [u8], false),
            Ok(VcpuExit::Hlt) => {
                return Ok(Exit::Halt { interrupts_on: self.vcpu.get_kvm_run().if_flag != 0 });
            }
            Ok(VcpuExit::Shutdown) => return Ok(Exit::Shutdown),
            Ok(VcpuExit::IrqWindowOpen | VcpuExit::Intr) => return Ok(Exit::None),
            // Where there is no memory there is no device either.
            Ok(VcpuExit::MmioRead(_, data)) => {
                data.fill(0xFF);
                return Ok(Exit::None);
            }
            Ok(VcpuExit::MmioWrite(..)) => return Ok(Exit::None),
            Ok(exit) => return Err(format!("the processor stopped: {exit:?}").into()),
            Err(error) if [libc::EINTR, libc::EAGAIN].contains(&error.errno()) => return Ok(Exit::None),
            Err(error) => return Err(error.into()),
        };
        // kvm-ioctls tells the bytes of a string instruction, but not how wide an access is.
        // SAFETY: the exit was for a port, which makes `io` the valid one of the union; it is plain numbers in any case.
        let width = unsafe { self.vcpu.get_kvm_run().__bindgen_anon_1.io }.size.into();
        if is_in {
            // SAFETY: kvm-ioctls made this slice of a page that is mapped as long as `self.vcpu` lives, and its borrow has
            // ended. The new one ends before the guest runs again, for it borrows `self`. It is beside `kvm_run`.
            Ok(Exit::In { port, width, data: unsafe { &mut *data } })
        } else {
            // SAFETY: as above.
            Ok(Exit::Out { port, width, data: unsafe { &*data } })
        }
    }

    /// The guest can take an interrupt now. If not, and one is wanted, the next run ends as soon as it can.
    pub fn takes_interrupt(&mut self, wanted: bool) -> bool {
        let run = self.vcpu.get_kvm_run();
        let takes = run.ready_for_interrupt_injection != 0 && run.if_flag != 0;
        run.request_interrupt_window = (wanted && !takes).into();
        takes
    }

    /// The interrupt that it takes when it runs next.
    pub fn interrupt(&mut self, vector: u8) -> Result<(), Box<dyn Error>> {
        let interrupt = kvm_interrupt { irq: vector.into() };
        // SAFETY: the kernel reads a `kvm_interrupt`, which lives, and writes nothing of ours.
        match unsafe { libc::ioctl(self.vcpu.as_raw_fd(), KVM_INTERRUPT as _, &interrupt) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error().into()),
        }
    }
}

/// The processor is that of the host, without what needs an interrupt controller in the kernel, and without KVM's own ways:
/// a PC with two 8259As.
fn hide_apic(kvm: &Kvm, vcpu: &VcpuFd) -> Result<(), Box<dyn Error>> {
    const APIC: u32 = 1 << 9;
    const X2APIC_AND_ITS_TIMER: u32 = 1 << 21 | 1 << 24;
    let mut cpuid = kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)?;
    cpuid.retain(|leaf| leaf.function >> 16 != 0x4000);
    for leaf in cpuid.as_mut_slice() {
        match leaf.function {
            1 => {
                leaf.edx &= !APIC;
                leaf.ecx &= !X2APIC_AND_ITS_TIMER;
            }
            0x8000_0001 => leaf.edx &= !APIC,
            _ => {}
        }
    }
    vcpu.set_cpuid2(&cpuid)?;
    Ok(())
}
