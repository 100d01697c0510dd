//! The module `conversations` again, with the timing of a real drive: the same statuses, IDs and data, and the same
//! interrupts. The kit of this module has `IN_TIME` set. A test with a late host checks it and does nothing here.
#![allow(clippy::duplicate_mod)] // Compiled twice on purpose.

#[path = "conversations/mod.rs"]
mod conversations;
#[path = "../kit/mod.rs"]
mod kit;
