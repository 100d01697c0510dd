//! The locks and atomics of the library: the standard library's, or, with `--cfg vm_fdc_shuttle`, those of a scheduler that tries how
//! threads can come between each other.

#[cfg(vm_fdc_shuttle)]
pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic};
#[cfg(not(vm_fdc_shuttle))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic};
