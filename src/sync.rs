//! The locks and atomics of the library: those of the standard library, or, with `--cfg vm_fdc_shuttle`, those of a scheduler
//! for tests that tries the interleavings of threads.

#[cfg(vm_fdc_shuttle)]
pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic};
#[cfg(not(vm_fdc_shuttle))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic};
