//! Text over the border: paths in, paths and messages out.

use std::{
    cell::RefCell,
    ffi::{CStr, CString, c_char},
    path::{Path, PathBuf},
    ptr,
};

use super::{Failure, border, codes};
use crate::drive::HResult;

thread_local! {
    /// The message of the thread's last failure that no drive handle keeps.
    static LAST_ERROR: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps what a failure says for `vm_fdc_last_error`.
pub(super) fn remember(mut failure: Failure) -> Failure {
    let message = std::mem::take(&mut failure.message);
    // While the thread ends there is nobody to ask for it.
    _ = LAST_ERROR.try_with(|last| last.replace(message));
    failure
}

/// What the last failed call of this thread said that had no drive handle: copied to `buffer`, as
/// `vm_fdc_drive_last_error` does it. Calls that succeed leave it alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_last_error(
    buffer: *mut c_char,
    size: usize,
    needed: *mut usize,
) -> codes::vm_fdc_result_t {
    border(|| {
        let message = LAST_ERROR.with_borrow(String::clone);
        // SAFETY: the header asks for it.
        unsafe { copy(Some(message.as_bytes()).filter(|text| !text.is_empty()), buffer, size, needed) }
    })
}

/// Copies a text with a NUL behind it to a caller's buffer, as much as there is room for, and tells how long it is with the
/// NUL. Too little room is not a failure with a message of its own: that would take the place of the one to be copied.
///
/// # Safety
///
/// `buffer` is null, or points to `size` bytes that can be written; `needed` is null, or points to where a number can be.
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
    let Some(room) = size.checked_sub(1) else { return Ok(codes::VM_FDC_ERROR_BUFFER_OVERFLOW) };
    let length = bytes.len().min(room);
    // SAFETY: `length` and the NUL fit into the `size` bytes of `buffer`, which is not null. The text is ours.
    unsafe {
        ptr::copy_nonoverlapping(bytes.as_ptr().cast(), buffer, length);
        buffer.add(length).write(0);
    }
    Ok(if length < bytes.len() { codes::VM_FDC_ERROR_BUFFER_OVERFLOW } else { answer(text) })
}

/// Whether there was a text.
fn answer(text: Option<&[u8]>) -> codes::vm_fdc_result_t {
    super::yes_or_no(text.is_some())
}

/// A string that C gave.
///
/// # Safety
///
/// `text` is null, or points to bytes that end with a NUL and stay as they are while the result is used.
pub(super) unsafe fn string<'a>(text: *const c_char, name: &str) -> Result<&'a CStr, Failure> {
    if text.is_null() {
        return Err(Failure::null(name));
    }
    // SAFETY: it is not null, and the caller promises the rest.
    Ok(unsafe { CStr::from_ptr(text) })
}

/// A path that C gave.
///
/// # Safety
///
/// As for [`string`].
pub(super) unsafe fn path(text: *const c_char) -> Result<PathBuf, Failure> {
    // SAFETY: the caller promises it.
    let text = unsafe { string(text, "path") }?;
    host_path(text)
        .ok_or_else(|| Failure { code: HResult::ERROR_INVALID_NAME, message: format!("{text:?} is not UTF-8") })
}

/// The path of these bytes, which are the host's own.
#[cfg(unix)]
fn host_path(text: &CStr) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(text.to_bytes())))
}

/// The path of these bytes, which are UTF-8.
#[cfg(not(unix))]
fn host_path(text: &CStr) -> Option<PathBuf> {
    text.to_str().ok().map(PathBuf::from)
}

/// The bytes of a path as C has them.
pub(super) fn path_bytes(path: &Path) -> Vec<u8> {
    #[cfg(unix)]
    return std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()).to_vec();
    #[cfg(not(unix))]
    return path.to_string_lossy().into_owned().into_bytes();
}

/// A path for C, if it has no NUL.
pub(super) fn c_path(path: &Path) -> Option<CString> {
    CString::new(path_bytes(path)).ok()
}
