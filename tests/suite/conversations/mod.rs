//! Conversations of a guest with the chip that have the same outcome in both timings. The module `in_time` compiles them a
//! second time; therefore the kit is the one of the parent module, not `crate::kit`.

use super::kit;

mod commands;
mod deleted;
mod errors;
mod format;
mod guests;
mod interrupts;
mod pio;
mod read_track;
mod scan;
mod sector_disk;
mod transfer;
mod verify;
