//! Text arguments: paths from C, paths and messages to C.

use std::{
    cell::RefCell,
    ffi::{CStr, CString, c_char},
    path::{Path, PathBuf},
    ptr,
};

use super::{Failure, codes, ffi_guard};
use crate::drive::HResult;

thread_local! {
    /// Message of the last failure of a call on this thread.
    static LAST_ERROR: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Moves the message of a failure to where `vm_fdc_last_error` finds it.
pub(super) fn keep_message(mut failure: Failure) -> Failure {
    let message = std::mem::take(&mut failure.message);
    // This fails only while the thread ends, when no caller can ask for the message.
    _ = LAST_ERROR.try_with(|last| last.replace(message));
    failure
}

/// Copies the message of the last failed call on this thread to `buffer`, in the way of `vm_fdc_drive_last_error`. It
/// covers the functions of machines, drives and images. Calls that succeed keep the message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_last_error(
    buffer: *mut c_char,
    size: usize,
    needed: *mut usize,
) -> codes::vm_fdc_result_t {
    ffi_guard(|| {
        let message = LAST_ERROR.with_borrow(String::clone);
        // SAFETY: as the header requires.
        unsafe { copy(Some(message.as_bytes()).filter(|text| !text.is_empty()), buffer, size, needed) }
    })
}

/// Copies a text and a terminating NUL to the buffer of a caller, as far as it fits, and writes the length of the text
/// with its NUL to `needed`. A buffer that is too small is a code without a message: a message would replace the one to
/// be copied.
///
/// # Safety
///
/// `buffer` is null, or points to `size` bytes that can be written. `needed` is null, or points to a `usize` that can
/// be written.
pub(super) unsafe fn copy(text: Option<&[u8]>, buffer: *mut c_char, size: usize, needed: *mut usize) -> super::Outcome {
    let bytes = text.unwrap_or_default();
    if !needed.is_null() {
        // SAFETY: it is not null, and the caller promises the rest.
        unsafe { needed.write(bytes.len() + 1) };
    }
    if buffer.is_null() {
        let asks_for_length = size == 0 && !needed.is_null();
        return Ok(if asks_for_length { answer(text) } else { codes::VM_FDC_E_POINTER });
    }
    let Some(capacity) = size.checked_sub(1) else { return Ok(codes::VM_FDC_ERROR_BUFFER_OVERFLOW) };
    let length = bytes.len().min(capacity);
    // SAFETY: `length` bytes and the NUL fit into the `size` bytes of `buffer`, which is not null. The text is memory
    // of the library, so the two do not overlap.
    unsafe {
        ptr::copy_nonoverlapping(bytes.as_ptr().cast(), buffer, length);
        buffer.add(length).write(0);
    }
    Ok(if length < bytes.len() { codes::VM_FDC_ERROR_BUFFER_OVERFLOW } else { answer(text) })
}

/// Returns the code that says whether there is a text.
fn answer(text: Option<&[u8]>) -> codes::vm_fdc_result_t {
    super::yes_or_no(text.is_some())
}

/// Borrows a string argument.
///
/// # Safety
///
/// `text` is null, or points to bytes that end with a NUL and do not change while the result is in use.
pub(super) unsafe fn string<'a>(text: *const c_char, name: &str) -> Result<&'a CStr, Failure> {
    if text.is_null() {
        return Err(Failure::null(name));
    }
    // SAFETY: it is not null, and the caller promises the rest.
    Ok(unsafe { CStr::from_ptr(text) })
}

/// Copies a path argument.
///
/// # Safety
///
/// As for [`string`].
pub(super) unsafe fn path(text: *const c_char) -> Result<PathBuf, Failure> {
    // SAFETY: the caller promises it.
    let text = unsafe { string(text, "path") }?;
    host_path(text).ok_or_else(|| Failure {
        code: HResult::ERROR_INVALID_NAME,
        message: format!("the path {text:?} is not UTF-8"),
    })
}

/// Converts the bytes of a path, which have the encoding of the host.
#[cfg(unix)]
fn host_path(text: &CStr) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(text.to_bytes())))
}

/// Converts the bytes of a path, which must be UTF-8. Returns `None` if they are not.
#[cfg(not(unix))]
fn host_path(text: &CStr) -> Option<PathBuf> {
    text.to_str().ok().map(PathBuf::from)
}

/// Returns the bytes of a path for C, without a NUL.
pub(super) fn path_bytes(path: &Path) -> Vec<u8> {
    #[cfg(unix)]
    return std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()).to_vec();
    #[cfg(not(unix))]
    return path.to_string_lossy().into_owned().into_bytes();
}

/// Returns a path as a C string; `None` if it contains a NUL.
pub(super) fn c_path(path: &Path) -> Option<CString> {
    CString::new(path_bytes(path)).ok()
}
