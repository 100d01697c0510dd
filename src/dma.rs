//! DMA: the channel that the floppy controller uses, and the two 8237A of a PC/AT as one implementor.
//!
//! The controller knows no bus and no memory. It hands runs of sectors to a [`DmaChannel`]. A VM monitor that has a DMA
//! controller implements that trait; a VM monitor that has none uses [`AtDma`] over its [`GuestMemory`].
//!
//! Sections (§) are those of the fact sheet `docs/82077aa.md`.

mod at;
mod channel;
mod i8237;
mod memory;
mod snapshot;

pub use at::AtDma;
pub use channel::{DmaChannel, Moved, NoDma};
pub use memory::GuestMemory;
pub use snapshot::{AtDmaStateV1, DmaChannelStateV1, I8237StateV1};
