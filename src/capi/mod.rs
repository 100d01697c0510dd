//! The C interface: the functions that `include/vm_fdc.h` declares. `cbindgen` generates the header from these files,
//! so the documentation of public items is written for C. There is no floppy logic here. (The name is not `src/capi.rs`
//! because `cbindgen` looks for the modules of a single file beside that file.)
//!
//! No panic unwinds into C: each function runs its body in [`ffi_guard`], which returns an HRESULT. Null pointers and
//! numbers out of range are detected. That a pointer points to what the header requires is the promise of the caller.
#![allow(unsafe_code)]
#![allow(non_camel_case_types)] // The names are those of C.
#![warn(clippy::missing_docs_in_private_items, clippy::undocumented_unsafe_blocks)]

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
    error::Error,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
};

use codes::vm_fdc_result_t;

use crate::{
    BuildError,
    drive::{
        AttachError, DataLoss, HResult, NoSuchDrive, ProtectError, ReleaseError, SaveError, SwapError, WithCauses,
    },
    media::{CreateError, GeometryError},
};

/// Outcome of a function: a code of success, or a failure.
type Outcome = Result<vm_fdc_result_t, Failure>;

/// A failure: its code and its message.
#[derive(Debug)]
struct Failure {
    /// HRESULT of the failure.
    code: HResult,
    /// Message in English, for people.
    message: String,
}

impl Failure {
    /// Creates a failure with the message of an error and of its causes. The causes name options as C does; the error
    /// itself names none, but a path, which stays as it is.
    fn of(code: HResult, error: &(dyn Error + 'static)) -> Self {
        let mut message = error.to_string();
        if let Some(cause) = error.source() {
            let names = OPTION_NAMES.iter();
            let causes = names.fold(WithCauses(cause).to_string(), |text, (rust, c)| text.replace(rust, c));
            message = format!("{message}: {causes}");
        }
        Self { code, message }
    }

    /// Creates the failure for an argument that is not usable.
    fn invalid_argument(message: impl Into<String>) -> Self {
        Self { code: HResult::E_INVALIDARG, message: message.into() }
    }

    /// Creates the failure for an argument that is null and must not be.
    fn null(argument: &str) -> Self {
        Self { code: HResult::E_POINTER, message: format!("{argument} is null") }
    }

    /// Creates the failure for a panic, in this call or an earlier one.
    fn exception(message: impl Into<String>) -> Self {
        Self { code: HResult::DISP_E_EXCEPTION, message: message.into() }
    }
}

/// The options that messages name, and their names in C.
const OPTION_NAMES: [(&str, &str); 5] = [
    ("Length::Pad", "VM_FDC_LENGTH_PAD"),
    ("Length::Truncate", "VM_FDC_LENGTH_TRUNCATE"),
    ("Lock::IfSupported", "VM_FDC_LOCK_IF_SUPPORTED"),
    ("Lock::None", "VM_FDC_LOCK_NONE"),
    ("Access::ReadWriteIfPermitted", "VM_FDC_ACCESS_READ_WRITE_IF_PERMITTED"),
];

/// Implements the conversion from errors that have an HRESULT.
macro_rules! failure_from {
    ($($error:ty),*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::of(HResult::from(&error), &error)
            }
        }
    )*};
}

failure_from!(AttachError, ReleaseError, SwapError, SaveError, ProtectError, CreateError, NoSuchDrive);

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        Self::of(HResult::E_INVALIDARG, &error)
    }
}

impl From<GeometryError> for Failure {
    fn from(error: GeometryError) -> Self {
        Self::of(HResult::E_INVALIDARG, &error)
    }
}

impl From<DataLoss> for Failure {
    fn from(loss: DataLoss) -> Self {
        Self::of(HResult::VM_E_MEDIA_UNMOUNT_FAIL, &loss)
    }
}

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
