//! The Intel 82077AA floppy disk controller of a PC, for virtual machine monitors.
//!
//! A [`Controller`] takes the port accesses of the guest, moves sectors between the medium in a drive and guest memory, and
//! drives an interrupt line. [`pc::PcFloppy`] is the controller with the DMA controllers of a PC. There is no clock and no
//! thread: the same accesses and times give the same answers.
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
//! // The manager of media attaches an image.
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
//! # Modules
//!
//! | module | what it has |
//! |---|---|
//! | [`pc`] | the floppy subsystem of a PC: the controller, the DMA controllers and their ports as one object |
//! | [`controller`] | the 82077AA: registers, phases and commands; it knows nothing of files and buses |
//! | [`drive`] | a drive: the mechanism for the controller, and the [`FloppyDrive`] handle for the manager of media |
//! | [`dma`] | the [`DmaChannel`](dma::DmaChannel) trait, and the 8237A of a PC/AT as one implementor |
//! | [`media`] | disks: images in files, disks in memory, formats, and the [`Medium`](media::Medium) trait |
//! | [`firmware`] | the description of the drives for CMOS, BIOS and ACPI tables |
//! | `rust_vmm` | with the feature `vm-memory`: guest memory of `vm-memory`, and an example for `vm-device` |
//! | `conformance` | with the feature `conformance`: checks of media and DMA channels of the VM monitor, for its tests |
//!
//! More features: `capi` (the C interface in `include/vm_fdc.h`), `serde` (saved states in any format of serde), `acpi` (adds
//! to [`firmware`]) and `fat` (adds to [`media`]).
//!
//! `§4.2` in the documentation is section 4.2 of `docs/82077aa.md` in the repository, the facts of the hardware.
//!
//! # Time
//!
//! With [`Timing::Immediate`], the default, a command ends within the access that gives it its last byte, as far as its DMA
//! channel or the guest moves the data; READ ID and transfers without DMA end a little later, as [`EndDelay`] says. With
//! [`Timing::Authentic`] it takes the time of a real drive.
//!
//! In both cases the VM monitor supplies the time. Call [`advance(elapsed)`](Controller::advance) no later than the time that
//! [`next_event`](Controller::next_event) returns; ask again after every access, `advance` and restore.
//!
//! # Data
//!
//! A run of sectors moves between the bytes of the image and guest memory in one copy: the controller asks the drive for the
//! run as a slice, and passes that slice to the DMA channel.
//!
//! # Threats
//!
//! Every access of a guest is taken to be hostile. None causes a panic, work or memory without bound, or a log line above
//! `debug`. The files of the host are taken to be fallible. A failure is a typed error to the manager, and a status of the data
//! sheet to the guest; what the guest wrote is kept. [`media`] describes what others can do to a file.

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
    BuildError, Controller, ControllerBuilder, EmptyDrive, EndDelay, FifoAfterOverrun, InterfaceMode, Interrupt,
    NoInterrupt, OnRise, PowerOn, ReadRegister, Timing, WriteRegister,
};
pub use drive::FloppyDrive;
pub use saved_state::InvalidField;

/// The examples of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
