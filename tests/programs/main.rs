//! Programs that use the library: the examples, and programs in C and C++. It is a binary of its own, because it needs the
//! built examples and compilers, which `suite` does not need.

#[path = "../kit/mod.rs"]
mod kit;

mod capi;
mod convert;
mod read_disk;
mod replay;
