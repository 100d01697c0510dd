//! The tests of the library in one process. `§4.2` in a comment means section 4.2 of `docs/82077aa.md`.

#[path = "../kit/mod.rs"]
mod kit;

mod chip;
mod conversations;
mod drive;
mod in_time;
mod media;
mod system;
