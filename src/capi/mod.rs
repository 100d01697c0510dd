//! The C interface: the functions that `include/vm_fdc.h` declares. `cbindgen` generates the header from these files,
//! so the documentation of public items is written for C. There is no floppy logic here. (The name is not `src/capi.rs`
//! because `cbindgen` looks for the modules of a single file beside that file.)
//!
//! No panic unwinds into C: each function runs its body in [`ffi_guard`], which returns an HRESULT. Null pointers and
//! numbers out of range are detected. That a pointer points to what the header requires is the promise of the caller.
#![allow(unsafe_code)]
#![allow(non_camel_case_types)] // The names are those of C.
#![warn(clippy::missing_docs_in_private_items, clippy::undocumented_unsafe_blocks)]

mod failure;

// In the order of the header.
mod callback;
mod codes;
mod config;
mod machine;

mod drive;
mod image;
mod text;

#[cfg(test)]
mod tests;

use std::{
    any::Any,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
};

use codes::vm_fdc_result_t;
use failure::Failure;

/// Outcome of a function: a code of success, or a failure.
type Outcome = Result<vm_fdc_result_t, Failure>;

/// Runs the body of a function and returns its HRESULT. Catches panics, and keeps the message of a failure for
/// `vm_fdc_last_error`.
fn ffi_guard(body: impl FnOnce() -> Outcome) -> vm_fdc_result_t {
    let outcome = catch_panic(|| body().map_err(text::keep_message));
    outcome.and_then(|outcome| outcome).unwrap_or_else(|failure| failure.code.0)
}

/// Runs `body` and converts a panic into a failure.
fn catch_panic<T>(body: impl FnOnce() -> T) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(body)).map_err(|payload| {
        let failure = Failure::exception(format!("defect of the library: {}", panic_message(&*payload)));
        // The destructor of the payload can panic, too.
        mem::forget(payload);
        failure
    })
}

/// Returns the message of a panic.
fn panic_message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a panic")
}

/// Writes a result to the output argument `name` of the caller.
///
/// # Safety
///
/// `output` is null, or points to memory that a `T` can be written to.
unsafe fn write_output<T>(output: *mut T, name: &str, value: T) -> Outcome {
    if output.is_null() {
        return Err(Failure::null(name));
    }
    // SAFETY: it is not null, and the caller promises the rest.
    unsafe { output.write(value) };
    Ok(codes::VM_FDC_S_OK)
}

/// Returns the code of a yes or no answer.
const fn yes_or_no(yes: bool) -> vm_fdc_result_t {
    if yes { codes::VM_FDC_S_OK } else { codes::VM_FDC_S_FALSE }
}
