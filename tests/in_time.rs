//! The conversations of other files in the time of a real drive: the same status, IDs and data, and the same interrupts.
//! A test that is about a host who is late says so itself, and does nothing here.

#![allow(clippy::duplicate_mod)] // Each file brings its kit along.

#[path = "commands.rs"]
mod commands;
#[path = "deleted.rs"]
mod deleted;
#[path = "errors.rs"]
mod errors;
#[path = "format.rs"]
mod format;
#[path = "guests.rs"]
mod guests;
#[path = "interrupts.rs"]
mod interrupts;
#[path = "pio.rs"]
mod pio;
#[path = "read_track.rs"]
mod read_track;
#[path = "scan.rs"]
mod scan;
#[path = "sector_disk.rs"]
mod sector_disk;
#[path = "transfer.rs"]
mod transfer;
#[path = "verify.rs"]
mod verify;
