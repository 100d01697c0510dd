//! The conversations once more, in the time of a real drive: the same status, IDs and data, and the same interrupts. The
//! kit of this module has `IN_TIME`. A test about a host that is late checks it and does nothing here.
#![allow(clippy::duplicate_mod)] // Compiled twice on purpose.

#[path = "conversations/mod.rs"]
mod conversations;
#[path = "../kit/mod.rs"]
mod kit;
