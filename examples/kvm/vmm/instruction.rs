//! Instructions that KVM hands over. On a host without virtualization hardware KVM emulates the processor of a guest
//! that is not made for such hosts, and its emulator has neither WAIT nor, in protected mode, IRET.

use std::error::Error;

use kvm_ioctls::VcpuFd;
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

const PROTECTED_MODE: u64 = 1;
const WAIT: u8 = 0x9B;
const IRET: u8 = 0xCF;

/// Bits of EFLAGS with which IRET does more than return: VM (to virtual-8086 mode) and NT (to another task).
const VIRTUAL_8086: u32 = 1 << 17;
const NESTED_TASK: u64 = 1 << 14;

/// Executes the instruction at CS:EIP and advances the processor beyond it.
///
/// # Errors
///
/// The error names the instruction if it is not one of the two, or is a form of IRET that changes the code segment.
pub fn execute(vcpu: &VcpuFd, memory: &GuestMemoryMmap) -> Result<(), Box<dyn Error>> {
    let mut registers = vcpu.get_regs()?;
    let segments = vcpu.get_sregs()?;
    // Except in long mode, a linear address has 32 bits: the sum wraps around.
    let mask = if segments.cs.l != 0 { u64::MAX } else { u32::MAX.into() };
    let mut code = [0; 8];
    read(vcpu, memory, segments.cs.base.wrapping_add(registers.rip) & mask, &mut code)?;
    match code[0] {
        // It waits for the coprocessor, which is never busy.
        WAIT => registers.rip += 1,
        IRET if segments.cr0 & PROTECTED_MODE != 0 && segments.cs.db != 0 && registers.rflags & NESTED_TASK == 0 => {
            let mut frame = [0; 12];
            read(vcpu, memory, segments.ss.base.wrapping_add(registers.rsp) & mask, &mut frame)?;
            let [rip, selector, flags] =
                [0, 4, 8].map(|at| u32::from_le_bytes([frame[at], frame[at + 1], frame[at + 2], frame[at + 3]]));
            if selector as u16 != segments.cs.selector || flags & VIRTUAL_8086 != 0 {
                return Err(unknown(&code, segments.cs.selector, registers.rip));
            }
            registers.rip = rip.into();
            registers.rflags = flags.into();
            registers.rsp += frame.len() as u64;
        }
        _ => return Err(unknown(&code, segments.cs.selector, registers.rip)),
    }
    vcpu.set_regs(&registers)?;
    Ok(())
}

/// Reads guest memory at a linear address.
fn read(vcpu: &VcpuFd, memory: &GuestMemoryMmap, linear: u64, data: &mut [u8]) -> Result<(), Box<dyn Error>> {
    let physical = vcpu.translate_gva(linear)?.physical_address;
    Ok(memory.read_slice(data, GuestAddress(physical))?)
}

fn unknown(code: &[u8], selector: u16, rip: u64) -> Box<dyn Error> {
    format!("KVM cannot execute the instruction at {selector:04x}:{rip:08x}, which begins with {code:02x?}").into()
}
