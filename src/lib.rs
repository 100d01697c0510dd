//! The Intel 82077AA floppy disk controller of a PC, for virtual machine monitors.
//!
//! A [`Controller`] takes the guest's accesses to its registers, moves sectors between the medium in a drive and guest
//! memory, and drives an interrupt line. It has no clock and no thread: a command takes no time and ends within the
//! access that gives it its last byte, or takes the time of a real drive, which the embedder tells
//! ([`Timing::Authentic`]). The same accesses and times give the same answers, always.
//!
//! ```
//! use vm_fdc::{Controller, dma::AtDma, drive::DriveType, media::Access};
//!
//! // One drive, and the DMA controllers of a PC with 1 MiB of memory behind them.
//! let mut fdc = Controller::builder()
//!     .drive(0, DriveType::Inch3_5Hd)
//!     .dma(AtDma::new(vec![0; 1 << 20]))
//!     .build()?;
//!
//! // The manager of the VM puts a disk in.
//! let a = fdc.drive(0)?;
//! a.attach_image("fixtures/dos-1440k.img", Access::Private)?;
//!
//! // The guest reads the boot sector to 0x7C00.
//! for (port, value) in [
//!     (0x0B, 0x46), (0x04, 0x00), (0x04, 0x7C), (0x81, 0x00), // to memory, at 0x07C00
//!     (0x05, 0xFF), (0x05, 0x01), (0x0A, 0x02), // 512 bytes; go
//! ] {
//!     fdc.dma_mut().write_port(port, value);
//! }
//! fdc.write_port(0x3F2, 0x1C); // out of reset, motor on, drive 0 selected
//! fdc.write_port(0x3F7, 0x00); // 500 kb/s
//! for byte in [0xE6, 0x00, 0x00, 0x00, 0x01, 0x02, 0x12, 0x1B, 0xFF] {
//!     fdc.write_port(0x3F5, byte); // READ DATA, cylinder 0, head 0, sector 1
//! }
//! assert!(fdc.interrupt_level());
//! let result: Vec<_> = (0..7).filter_map(|_| fdc.read_port(0x3F5)).collect();
//! assert_eq!(result, [0x00, 0x00, 0x00, 0, 0, 2, 2]); // no error; the next sector would be 2
//! assert_eq!(fdc.dma().memory()[0x7C00 + 510..][..2], [0x55, 0xAA]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The way of a byte
//!
//! | module | is |
//! |---|---|
//! | [`pc`] | the floppy subsystem of a PC: the chip, the DMA controllers and their ports as one object |
//! | [`controller`] | the chip: registers, phases, commands; it knows nothing of files and buses |
//! | [`drive`] | a drive: head, motor and change line for the chip, a [`FloppyDrive`] handle for its manager |
//! | [`dma`] | the channel that the chip uses, and the 8237A as one implementor |
//! | [`media`] | what a disk surface is, and the image in a file as one |
//! | [`firmware`] | what the CMOS, a BIOS and ACPI tables say of the drives; nothing above needs it |
//! | `rust_vmm` | with the feature `vm-memory`: guest memory of the rust-vmm crates, and an example of their bus |
//! | `conformance` | with the feature `conformance`: checks of an embedder's own media and DMA channels, for its tests |
//!
//! A C interface is in `include/vm_fdc.h` (feature `capi`); saved states can be written in any format of serde (feature
//! `serde`); `acpi` and `fat` add to [`firmware`] and [`media`].
//!
//! A run of sectors goes from the bytes of the image to guest memory, or back, in one copy: the chip asks the drive for the
//! run as a slice, and hands that slice to the DMA channel.
//!
//! # Threats
//!
//! Every access of a guest is taken to be hostile: none panics, works or allocates without bound, or logs above `debug`.
//! The host's files are taken to be fallible: what goes wrong with them is a typed error to the manager, and a status
//! that the data sheet knows to the guest; what the guest wrote is kept. [`media`] says what others can do to a file.

#[cfg(feature = "capi")]
mod capi;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod controller;
pub mod dma;
pub mod drive;
pub mod firmware;
pub mod media;
pub mod pc;
#[cfg(feature = "vm-memory")]
pub mod rust_vmm;
mod saved_state;
mod sync;

pub use controller::{
    BuildError, Controller, ControllerBuilder, EmptyDrive, InterfaceMode, Interrupt, NoInterrupt, OnRise, ReadRegister,
    Timing, WriteRegister,
};
pub use drive::FloppyDrive;
pub use saved_state::InvalidField;

/// The examples of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
