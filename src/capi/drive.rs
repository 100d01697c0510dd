//! The drives of a machine, for their managers: the methods of `IVMFloppyDrive`, and a few more.

use std::{
    ffi::{c_char, c_void},
    path::PathBuf,
    ptr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    Failure, Outcome, border,
    callback::{Observer, may_ask, may_change, vm_fdc_media_observer_t},
    catch,
    codes::{Code, VM_FDC_S_FALSE, VM_FDC_S_OK, vm_fdc_result_t},
    image::{self, vm_fdc_image_options_t, vm_fdc_layout_t},
    machine::{self, vm_fdc_t},
    put, text, yes_or_no,
};
use crate::{
    FloppyDrive,
    drive::{FloppyDrives, HResult},
};

/// A drive of a machine, for its manager. Any number of threads can use a handle at a time, while the guest runs. It outlives
/// the machine: functions that need one answer `VM_FDC_VM_E_VM_UNKNOWN` then.
///
/// `vm_fdc_drive` and `vm_fdc_drive_clone` make handles; each is to be freed with `vm_fdc_drive_free`.
pub struct vm_fdc_drive_t {
    /// The drive.
    drive: FloppyDrive,
    /// What its last failure said.
    last_error: Mutex<String>,
    /// A call met a defect.
    poisoned: AtomicBool,
}

impl vm_fdc_drive_t {
    /// A new handle, for C.
    fn handle(drive: FloppyDrive) -> *mut Self {
        Box::into_raw(Box::new(Self { drive, last_error: Mutex::default(), poisoned: AtomicBool::new(false) }))
    }

    /// Does something with the drive, if the handle is whole.
    fn with(&self, body: impl FnOnce(&FloppyDrive) -> Outcome) -> Outcome {
        if self.poisoned.load(Ordering::Relaxed) {
            return Err(Failure::exception("the handle met a defect of the library in an earlier call"));
        }
        catch(|| body(&self.drive)).inspect_err(|_| self.poisoned.store(true, Ordering::Relaxed))?
    }
}

/// Does something with the drive of a handle, which keeps what a failure says.
///
/// # Safety
///
/// `drive` is null, or from `vm_fdc_drive` or `vm_fdc_drive_clone` and not freed.
unsafe fn with(
    drive: *const vm_fdc_drive_t,
    may: fn() -> Result<(), Failure>,
    body: impl FnOnce(&FloppyDrive) -> Outcome,
) -> vm_fdc_result_t {
    border(|| {
        // SAFETY: the caller promises it.
        let handle = unsafe { drive.as_ref() }.ok_or_else(|| Failure::null("drive"))?;
        let outcome = may().and_then(|()| handle.with(body));
        outcome.inspect_err(|failure| {
            let mut last = handle.last_error.lock().unwrap_or_else(PoisonError::into_inner);
            failure.message.clone_into(&mut last);
        })
    })
}

/// Asks the drive of a handle, and puts its answer where the caller wants it.
///
/// # Safety
///
/// As for [`with`], and `answer` is null or points to memory that a `T` can be written to.
unsafe fn ask<T>(
    drive: *const vm_fdc_drive_t,
    answer: *mut T,
    name: &str,
    question: impl FnOnce(&FloppyDrive) -> T,
) -> vm_fdc_result_t {
    // SAFETY: the caller promises it.
    unsafe { with(drive, may_ask, |drive| put(answer, name, question(drive))) }
}

/// Changes the drive of a handle.
///
/// # Safety
///
/// As for [`with`].
unsafe fn change<E: Into<Failure>>(
    drive: *const vm_fdc_drive_t,
    change: impl FnOnce(&FloppyDrive) -> Result<(), E>,
) -> vm_fdc_result_t {
    // SAFETY: the caller promises it.
    unsafe { with(drive, may_change, |drive| change(drive).map(|()| VM_FDC_S_OK).map_err(Into::into)) }
}

/// Puts the path that a drive answers with into the caller's buffer.
///
/// # Safety
///
/// As for [`with`] and [`text::copy`].
unsafe fn ask_path(
    drive: *const vm_fdc_drive_t,
    buffer: *mut c_char,
    size: usize,
    needed: *mut usize,
    question: impl FnOnce(&FloppyDrive) -> Option<PathBuf>,
) -> vm_fdc_result_t {
    let copy = |drive: &FloppyDrive| {
        let path = question(drive).map(|path| text::path_bytes(&path));
        // SAFETY: the caller promises it.
        unsafe { text::copy(path.as_deref(), buffer, size, needed) }
    };
    // SAFETY: the caller promises it.
    unsafe { with(drive, may_ask, copy) }
}

/// Puts into `count` how many drives the machine has, 0 to 4.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_count(vm: *mut vm_fdc_t, count: *mut u32) -> vm_fdc_result_t {
    // SAFETY: the header asks for it.
    unsafe { machine::drives(vm, |drives| put(count, "count", drives.count() as u32)) }
}

/// Puts a handle of drive `number`, 0 to 3, into `drive`; a null pointer and `VM_FDC_DISP_E_BADINDEX` when there is no such
/// drive. As all functions of a machine it is for one thread at a time; the handle is for any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive(
    vm: *mut vm_fdc_t,
    number: u32,
    drive: *mut *mut vm_fdc_drive_t,
) -> vm_fdc_result_t {
    let find = |drives: FloppyDrives| {
        // SAFETY: the header asks for it.
        unsafe { put(drive, "drive", ptr::null_mut()) }?;
        let found = drives.item(u8::try_from(number).unwrap_or(u8::MAX))?;
        // SAFETY: the header asks for it.
        unsafe { put(drive, "drive", vm_fdc_drive_t::handle(found)) }
    };
    // SAFETY: the header asks for it.
    unsafe { machine::drives(vm, find) }
}

/// Puts another handle of the same drive into `copy`, with a last error of its own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_clone(
    drive: *const vm_fdc_drive_t,
    copy: *mut *mut vm_fdc_drive_t,
) -> vm_fdc_result_t {
    let clone = |drive: &FloppyDrive| {
        if copy.is_null() {
            return Err(Failure::null("copy"));
        }
        // SAFETY: the header asks for it.
        unsafe { put(copy, "copy", vm_fdc_drive_t::handle(drive.clone())) }
    };
    // SAFETY: the header asks for it.
    unsafe { with(drive, may_ask, clone) }
}

/// Frees a handle. What is attached to the drive stays so. Nothing happens for a null pointer; to free a handle twice, or
/// while another thread uses it, is undefined.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_free(drive: *mut vm_fdc_drive_t) -> vm_fdc_result_t {
    border(|| {
        if !drive.is_null() {
            // SAFETY: the header asks for a handle that is not freed, and that no other thread uses.
            drop(unsafe { Box::from_raw(drive) });
        }
        Ok(VM_FDC_S_OK)
    })
}

/// Copies what the last failure of this handle said to `buffer`, which has `size` bytes, with a NUL at the end; in English, for
/// people. Calls that succeed leave it alone. Several threads that fail with one handle find the last one's: use a handle for
/// each.
///
/// `needed`, if it is not null, tells how many bytes the text has with its NUL; `buffer` can be null with a `size` of 0 to
/// learn that. `VM_FDC_ERROR_BUFFER_OVERFLOW` when there is too little room, with as much in `buffer` as fits;
/// `VM_FDC_S_FALSE`, and an empty text, when nothing has failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_last_error(
    drive: *const vm_fdc_drive_t,
    buffer: *mut c_char,
    size: usize,
    needed: *mut usize,
) -> vm_fdc_result_t {
    border(|| {
        // SAFETY: the header asks for it.
        let handle = unsafe { drive.as_ref() }.ok_or_else(|| Failure::null("drive"))?;
        let message = handle.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // SAFETY: the header asks for it.
        unsafe { text::copy(Some(message.as_bytes()).filter(|text| !text.is_empty()), buffer, size, needed) }
    })
}

/// Puts the number of the drive into `number`. Answers when the machine is gone, too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_number(drive: *const vm_fdc_drive_t, number: *mut u32) -> vm_fdc_result_t {
    // SAFETY: the header asks for it.
    unsafe { ask(drive, number, "number", |drive| drive.drive_number().into()) }
}

/// Puts into `drive_type` what kind of drive it is: `VM_FDC_DRIVE_360K` or another.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_type(drive: *const vm_fdc_drive_t, drive_type: *mut u32) -> vm_fdc_result_t {
    // SAFETY: the header asks for it.
    unsafe { ask(drive, drive_type, "drive_type", |drive| Some(drive.drive_type()).code()) }
}

/// Puts into `attachment` what is attached: `VM_FDC_ATTACHMENT_NONE`, also when the machine is gone, or another.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_attachment(
    drive: *const vm_fdc_drive_t,
    attachment: *mut u32,
) -> vm_fdc_result_t {
    // SAFETY: the header asks for it.
    unsafe { ask(drive, attachment, "attachment", |drive| drive.attachment() as u32) }
}

/// Puts into `image_type` what kind of disk is attached: `VM_FDC_IMAGE_UNKNOWN`, also when none is, or another.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_image_type(
    drive: *const vm_fdc_drive_t,
    image_type: *mut u32,
) -> vm_fdc_result_t {
    // SAFETY: the header asks for it.
    unsafe { ask(drive, image_type, "image_type", |drive| drive.image_type() as u32) }
}

/// Puts into `layout` how the sectors of the attached disk lie. `VM_FDC_S_FALSE`, with nothing put there, when none is
/// attached.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_layout(
    drive: *const vm_fdc_drive_t,
    layout: *mut vm_fdc_layout_t,
) -> vm_fdc_result_t {
    let ask = |drive: &FloppyDrive| match drive.layout() {
        _ if layout.is_null() => Err(Failure::null("layout")),
        // SAFETY: the header asks for it.
        Some(found) => unsafe { put(layout, "layout", found.into()) },
        None => Ok(VM_FDC_S_FALSE),
    };
    // SAFETY: the header asks for it.
    unsafe { with(drive, may_ask, ask) }
}

/// Copies the absolute path of the attached image to `buffer`, as `vm_fdc_drive_last_error` copies a message.
/// `VM_FDC_S_FALSE`, and an empty text, when no image is attached.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_image_file(
    drive: *const vm_fdc_drive_t,
    buffer: *mut c_char,
    size: usize,
    needed: *mut usize,
) -> vm_fdc_result_t {
    // SAFETY: the header asks for it.
    unsafe { ask_path(drive, buffer, size, needed, FloppyDrive::image_file) }
}

/// Copies the absolute path of the attached host drive to `buffer`, as `vm_fdc_drive_image_file` does that of an image.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_host_drive(
    drive: *const vm_fdc_drive_t,
    buffer: *mut c_char,
    size: usize,
    needed: *mut usize,
) -> vm_fdc_result_t {
    // SAFETY: the header asks for it.
    unsafe { ask_path(drive, buffer, size, needed, FloppyDrive::host_drive) }
}

/// Attaches the raw floppy image in the file `path`; a relative one is taken from the current directory. On Unix a path is the
/// bytes that the host has for it, elsewhere UTF-8. `options` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_attach_image(
    drive: *const vm_fdc_drive_t,
    path: *const c_char,
    options: *const vm_fdc_image_options_t,
) -> vm_fdc_result_t {
    // SAFETY: the header asks for it.
    unsafe {
        change(drive, |drive| drive.attach_image(text::path(path)?, image::options(options)?).map_err(Failure::from))
    }
}

/// Releases the attached image: what the guest wrote is brought to the host's disk, and the file let go. If that fails, it
/// stays attached: release it again, force it, or save it to another file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_release_image(drive: *const vm_fdc_drive_t) -> vm_fdc_result_t {
    // SAFETY: the header asks for it.
    unsafe { change(drive, FloppyDrive::release_image) }
}

/// Attaches the floppy drive of the host at `path`: a block device, or a file that stands for one, with or without a disk in
/// it. `options` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_attach_host_drive(
    drive: *const vm_fdc_drive_t,
    path: *const c_char,
    options: *const vm_fdc_image_options_t,
) -> vm_fdc_result_t {
    // SAFETY: the header asks for it.
    unsafe {
        change(drive, |drive| {
            drive.attach_host_drive(text::path(path)?, image::options(options)?).map_err(Failure::from)
        })
    }
}

/// Releases the attached host drive, as `vm_fdc_drive_release_image` does an image.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_release_host_drive(drive: *const vm_fdc_drive_t) -> vm_fdc_result_t {
    // SAFETY: the header asks for it.
    unsafe { change(drive, FloppyDrive::release_host_drive) }
}

/// Looks whether a disk was put into the attached host drive, or taken out of it; to be called now and then. `VM_FDC_S_OK` when
/// a disk is in, `VM_FDC_S_FALSE` when none is, or no host drive is attached. When a disk is in that cannot be used, it fails,
/// and the drive stays attached, empty.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_check_host_drive(drive: *const vm_fdc_drive_t) -> vm_fdc_result_t {
    // SAFETY: the header asks for it.
    unsafe { with(drive, may_change, |drive| Ok(yes_or_no(drive.check_host_drive()?))) }
}

/// Releases the attached image and attaches another. If the new one cannot be had, or the old one not released, the old one
/// stays.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_swap_image(
    drive: *const vm_fdc_drive_t,
    path: *const c_char,
    options: *const vm_fdc_image_options_t,
) -> vm_fdc_result_t {
    // SAFETY: the header asks for it.
    unsafe {
        change(drive, |drive| drive.swap_image(text::path(path)?, image::options(options)?).map_err(Failure::from))
    }
}

/// Brings what the guest wrote to the host's disk, and waits for that while the guest goes on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_flush(drive: *const vm_fdc_drive_t) -> vm_fdc_result_t {
    // SAFETY: the header asks for it.
    unsafe { change(drive, FloppyDrive::flush) }
}

/// Releases whatever is attached, even if what the guest wrote cannot be saved. `VM_FDC_S_FALSE` then: the drive is empty, and
/// its last error says what may be lost.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_force_release(drive: *const vm_fdc_drive_t) -> vm_fdc_result_t {
    let force = |drive: &FloppyDrive| {
        // The loss takes the way of a failure, and becomes an answer at its end.
        drive.force_release()?.map_or(Ok(VM_FDC_S_OK), |loss| Err(loss.into()))
    };
    // SAFETY: the header asks for it.
    match unsafe { with(drive, may_change, force) } {
        LOST => VM_FDC_S_FALSE,
        result => result,
    }
}

/// What a forced release comes to that lost something. It fails with no such code.
const LOST: vm_fdc_result_t = HResult::VM_E_MEDIA_UNMOUNT_FAIL.0;

/// Saves the disk as it is now to another file, as a raw image, which is there whole afterwards or not at all. `if_exists` is
/// one of `VM_FDC_IF_EXISTS_FAIL` and `VM_FDC_IF_EXISTS_REPLACE`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_save_image(
    drive: *const vm_fdc_drive_t,
    path: *const c_char,
    if_exists: u32,
) -> vm_fdc_result_t {
    // SAFETY: the header asks for it.
    unsafe {
        change(drive, |drive| drive.save_image(text::path(path)?, Code::of_code(if_exists)?).map_err(Failure::from))
    }
}

/// Has `observer` told of all that goes into the drive and out of it from now on, until it answers 0 or `vm_fdc_free` has
/// returned; so long must `context` be there. It is called on the thread that changes the medium, which can be any, after the
/// change, one event at a time for a drive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_observe(
    drive: *const vm_fdc_drive_t,
    observer: vm_fdc_media_observer_t,
    context: *mut c_void,
) -> vm_fdc_result_t {
    let observe = |drive: &FloppyDrive| {
        let callback = observer.ok_or_else(|| Failure::null("observer"))?;
        drive.observe(Observer { callback, context });
        Ok::<_, Failure>(())
    };
    // SAFETY: the header asks for it.
    unsafe { change(drive, observe) }
}

/// A call that meets a defect.
#[cfg(test)]
pub(super) fn broken(drive: *const vm_fdc_drive_t) -> vm_fdc_result_t {
    // SAFETY: tests give a handle that is not freed.
    unsafe { with(drive, may_ask, |_| panic!("a defect")) }
}
