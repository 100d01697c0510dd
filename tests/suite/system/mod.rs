//! The machine around the chip: ports, DMA, guest memory, firmware tables, ACPI, saved states and metrics.

use super::kit;

mod acpi;
mod dma;
mod firmware;
mod metrics;
mod pc;
mod rust_vmm;
mod state;
