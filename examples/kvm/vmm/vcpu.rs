//! The virtual machine and its processor in KVM. The kernel emulates no interrupt controller.
#![allow(unsafe_code)]

use std::{error::Error, os::fd::AsRawFd};

use kvm_bindings::{
    KVM_INTERNAL_ERROR_EMULATION, KVM_MAX_CPUID_ENTRIES, KVM_MEM_READONLY, kvm_interrupt, kvm_userspace_memory_region,
};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd, VmFd};
use vm_memory::{GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestMemoryRegion};

use super::instruction;

/// `_IOW(KVMIO, 0x86, struct kvm_interrupt)`, which kvm-ioctls does not define.
const KVM_INTERRUPT: libc::c_ulong = 0x4004_AE86;

/// Pages below the firmware that KVM uses on some Intel processors.
const IDENTITY_MAP: u64 = 0xFFFB_C000;
const TASK_STATE: usize = 0xFFFB_D000;

/// Reason for an exit from the guest.
pub enum Exit<'a> {
    /// `IN`, or `REP INS` if `data` has more than one access of `width` bytes. The VM monitor fills `data`.
    In { port: u16, width: usize, data: &'a mut [u8] },
    /// `OUT`, or `REP OUTS` if `data` has more than one access of `width` bytes.
    Out { port: u16, width: usize, data: &'a [u8] },
    /// The guest waits for an interrupt, without end if interrupts are disabled.
    Halt { interrupts_on: bool },
    /// The processor stopped (triple fault). Only a reset starts it again.
    Shutdown,
    /// Nothing to do: a signal arrived, the guest can take an interrupt now, or an instruction was executed for it.
    None,
}

pub struct Vcpu {
    // The order of drops: the processor, the machine, then its memory.
    vcpu: VcpuFd,
    _vm: VmFd,
    memory: GuestMemoryMmap,
}

impl Vcpu {
    /// Creates a machine with this memory and a processor after its reset. The region that begins at `rom` is
    /// read-only.
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
            // SAFETY: the region is mapped, and `memory` keeps it mapped longer than the machine exists. This process
            // accesses it through `memory` only, which expects concurrent writes.
            unsafe { vm.set_user_memory_region(region)? };
        }
        let vcpu = vm.create_vcpu(0)?;
        hide_apic(kvm, &vcpu)?;
        Ok(Self { vcpu, _vm: vm, memory })
    }

    /// Runs the guest until the next exit.
    pub fn run(&mut self) -> Result<Exit<'_>, Box<dyn Error>> {
        let (port, data, is_in) = match self.vcpu.run() {
            Ok(VcpuExit::IoIn(port, data)) => (port, data as *mut [u8], true),
            Ok(VcpuExit::IoOut(port, data)) => (port, data as *const [u8] as *mut [u8], false),
            Ok(VcpuExit::Hlt) => {
                return Ok(Exit::Halt { interrupts_on: self.vcpu.get_kvm_run().if_flag != 0 });
            }
            Ok(VcpuExit::Shutdown) => return Ok(Exit::Shutdown),
            Ok(VcpuExit::IrqWindowOpen | VcpuExit::Intr) => return Ok(Exit::None),
            // There are no memory-mapped devices.
            Ok(VcpuExit::MmioRead(_, data)) => {
                data.fill(0xFF);
                return Ok(Exit::None);
            }
            Ok(VcpuExit::MmioWrite(..)) => return Ok(Exit::None),
            Ok(VcpuExit::InternalError) => {
                // SAFETY: the exit was for an internal error, so `internal` is the valid member of the union. It
                // consists of integers in any case.
                let reason = unsafe { self.vcpu.get_kvm_run().__bindgen_anon_1.internal }.suberror;
                if reason != KVM_INTERNAL_ERROR_EMULATION {
                    return Err(format!("the processor stopped: internal error {reason} of KVM").into());
                }
                instruction::execute(&self.vcpu, &self.memory)?;
                return Ok(Exit::None);
            }
            Ok(exit) => return Err(format!("the processor stopped: {exit:?}").into()),
            Err(error) if [libc::EINTR, libc::EAGAIN].contains(&error.errno()) => return Ok(Exit::None),
            Err(error) => return Err(error.into()),
        };
        // kvm-ioctls returns the bytes of a string instruction, but not the width of an access. SAFETY: the exit was
        // for a port, so `io` is the valid member of the union. It consists of integers in any case.
        let width = unsafe { self.vcpu.get_kvm_run().__bindgen_anon_1.io }.size.into();
        if is_in {
            // SAFETY: kvm-ioctls made this slice of a page that is mapped as long as `self.vcpu` exists, and that
            // borrow ended. The new borrow ends before the guest runs again, because it borrows `self`. The page is not
            // that of `kvm_run`.
            Ok(Exit::In { port, width, data: unsafe { &mut *data } })
        } else {
            // SAFETY: as above.
            Ok(Exit::Out { port, width, data: unsafe { &*data } })
        }
    }

    /// Checks that the guest can take an interrupt now. If it cannot and `wanted` is set, the next run ends as soon as
    /// it can.
    pub fn takes_interrupt(&mut self, wanted: bool) -> bool {
        let run = self.vcpu.get_kvm_run();
        let takes = run.ready_for_interrupt_injection != 0 && run.if_flag != 0;
        run.request_interrupt_window = (wanted && !takes).into();
        takes
    }

    /// Injects an interrupt, which the guest takes in the next run.
    pub fn interrupt(&mut self, vector: u8) -> Result<(), Box<dyn Error>> {
        let interrupt = kvm_interrupt { irq: vector.into() };
        // SAFETY: the kernel reads a `kvm_interrupt`, which is alive, and writes no memory of this process.
        match unsafe { libc::ioctl(self.vcpu.as_raw_fd(), KVM_INTERRUPT as _, &interrupt) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error().into()),
        }
    }
}

/// Sets the CPUID of the processor to that of the host without the APIC, which the kernel would have to emulate, and
/// without the paravirtual interface of KVM: a PC with two 8259A.
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
