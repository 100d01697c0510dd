//! Conformance checks: whether a [`Medium`](crate::media::Medium) or a [`DmaChannel`](crate::dma::DmaChannel) of the
//! VM monitor keeps the contract of the trait. For use in tests of the VM monitor, with the feature `conformance`.
//!
//! [`check_medium`] uses a medium as drives do, and also calls it with arguments out of range. [`check_dma_channel`]
//! does the same for a DMA channel, which the VM monitor programs through a [`DmaBench`]. A check returns an error that
//! names the [`rule`](Violation::rule) that is broken and says where, or a report of what was checked.
//!
//! The checks catch panics of the implementation and report them. They cannot do so in a build with `panic = "abort"`,
//! where the test process ends.
//!
//! ```
//! use vm_fdc::{conformance::check_medium, media::{Geometry, SectorDisk}};
//!
//! let mut disk = SectorDisk::formatted(Geometry::DD_360K, 0xF6);
//! let report = check_medium(&mut disk)?;
//! assert_eq!(report.sectors_written, 720);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod dma;
mod medium;
mod violation;

pub use dma::{DmaBench, DmaDirection, DmaRule, check_dma_channel};
pub use medium::{MediumReport, MediumRule, check_medium};
pub use violation::Violation;
