//! Programs that use the library: the examples, and programs in C and C++. A binary of its own, because it needs the built
//! examples and compilers, and `suite` needs neither.

#[path = "../kit/mod.rs"]
mod kit;

mod capi;
mod convert;
mod read_disk;
mod replay;
