//! The C interface: the functions that `include/vm_fdc.h` declares, which `cbindgen` makes of these files. The
//! documentation is for those who read the header, and speaks of C. There is no logic of a floppy drive here. (This file is
//! not `src/capi.rs` because `cbindgen` finds the others of a single file beside it.)
//!
//! Nothing unwinds over the border: each function runs its body in [`border`], which answers with an HRESULT. What comes
//! over it is a pointer that may be null or a number that may be anything, and is checked; that a pointer points to what the
//! header asks for is the caller's promise.
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
    drive::{AttachError, DataLoss, HResult, NoSuchDrive, ReleaseError, SaveError, SwapError, WithCauses},
    media::{CreateError, GeometryError},
};

/// What a function comes to: one of the codes of success, or a failure.
type Outcome = Result<vm_fdc_result_t, Failure>;

/// A code of failure, and what to say of it.
#[derive(Debug)]
struct Failure {
    /// The HRESULT.
    code: HResult,
    /// For people.
    message: String,
}

impl Failure {
    /// With the message of an error and of what caused it.
    fn of(code: HResult, error: &(dyn Error + 'static)) -> Self {
        Self { code, message: WithCauses(error).to_string() }
    }

    /// An argument that is not usable.
    fn misuse(message: impl Into<String>) -> Self {
        Self { code: HResult::E_INVALIDARG, message: message.into() }
    }

    /// A null pointer where there must be none.
    fn null(argument: &str) -> Self {
        Self { code: HResult::E_POINTER, message: format!("{argument} is null") }
    }

    /// A panic, now or in an earlier call.
    fn exception(message: impl Into<String>) -> Self {
        Self { code: HResult::DISP_E_EXCEPTION, message: message.into() }
    }
}

/// Failures from the errors of the library that know their HRESULT.
macro_rules! coded {
    ($($error:ty),*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::of(error.hresult(), &error)
            }
        }
    )*};
}

coded!(AttachError, ReleaseError, SwapError, SaveError, CreateError, NoSuchDrive);

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

/// Runs what a function does, whatever comes of it. A failure's message is kept for the thread.
fn border(body: impl FnOnce() -> Outcome) -> vm_fdc_result_t {
    let outcome = catch(|| body().map_err(text::remember));
    outcome.and_then(|outcome| outcome).unwrap_or_else(|failure| failure.code.0)
}

/// Makes a failure of a panic.
fn catch<T>(body: impl FnOnce() -> T) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(body)).map_err(|payload| {
        let failure = Failure::exception(format!("a defect of the library: {}", said(&*payload)));
        // To drop what was thrown may throw again.
        mem::forget(payload);
        failure
    })
}

/// What a panic said.
fn said(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a panic")
}

/// Puts a result where the caller wants it.
///
/// # Safety
///
/// `place` is null, or points to memory that a `T` can be written to.
unsafe fn put<T>(place: *mut T, name: &str, value: T) -> Outcome {
    if place.is_null() {
        return Err(Failure::null(name));
    }
    // SAFETY: it is not null, and the caller promises the rest.
    unsafe { place.write(value) };
    Ok(codes::VM_FDC_S_OK)
}

/// The answer to a question.
const fn yes_or_no(yes: bool) -> vm_fdc_result_t {
    if yes { codes::VM_FDC_S_OK } else { codes::VM_FDC_S_FALSE }
}
