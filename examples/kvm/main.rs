//! A small VM monitor for KVM on Linux. SeaBIOS boots in it from a floppy image, through this library.
//!
//! ```sh
//! cargo run --release --example kvm                # a disk that tests the drive through INT 13h
//! cargo run --release --example kvm -- --authentic # the same with the timing of a real drive
//! cargo run --release --example kvm -- --image /usr/lib/grub-rescue/grub-rescue-floppy.img --expect "GNU GRUB"
//! cargo run --release --example kvm -- --help      # with the exit codes
//! ```
//!
//! The module [`floppy`] has all that a VM monitor does for a floppy drive. The other modules are the machine around
//! it, with only what SeaBIOS and the systems of `tests/kvm.rs` require: no keyboard, no APIC, no video adapter but
//! the memory of a text screen. A reset of the guest ends the run.

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
