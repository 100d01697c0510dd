//! A small VM monitor on Linux' KVM, in which SeaBIOS boots from a floppy image through this library.
//!
//! ```sh
//! cargo run --release --example kvm                # a disk of our own, that tests the drive through INT 13h
//! cargo run --release --example kvm -- --authentic # the same in the time of a real drive
//! cargo run --release --example kvm -- --image /usr/lib/grub-rescue/grub-rescue-floppy.img --expect "GNU GRUB"
//! ```
//!
//! All that a VM monitor has to do for a floppy drive is in [`floppy`]. The rest is the machine around it, no more of it
//! than SeaBIOS asks for.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod app;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod floppy;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod selftest;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod vmm;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn main() -> std::process::ExitCode {
    app::main()
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn main() {
    println!("kvm: this example needs Linux on x86-64");
}
