//! The Intel 82077AA floppy disk controller, for virtual machine monitors.

pub mod controller;
pub mod dma;
pub mod drive;
pub mod media;

pub use controller::{BuildError, Controller, ControllerBuilder, EmptyDrive, Interrupt, NoInterrupt, Register};
pub use drive::FloppyDrive;
