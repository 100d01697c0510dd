//! Command sequences of a guest that give the same answers with both timings. The module `in_time` compiles these modules
//! a second time. Therefore they use the kit of the parent module, not `crate::kit`.

use super::kit;

mod commands;
mod deleted;
mod errors;
mod format;
mod guests;
mod interrupts;
mod pio;
mod read_track;
mod reformat;
mod scan;
mod sector_disk;
mod transfer;
mod verify;
