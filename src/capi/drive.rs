//! The drives of a machine, for the managers of their media: the methods of `IVMFloppyDrive` and a few more.

use std::{
    ffi::{c_char, c_void},
    path::PathBuf,
    ptr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    Failure, Outcome,
    callback::{Observer, may_change, may_query, vm_fdc_media_observer_t},
    catch_panic,
    codes::{Code, VM_FDC_S_FALSE, VM_FDC_S_OK, vm_fdc_result_t},
    ffi_guard,
    image::{self, vm_fdc_image_options_t, vm_fdc_layout_t},
    machine::{self, vm_fdc_t},
    text, write_output, yes_or_no,
};
use crate::{
    FloppyDrive,
    drive::{FloppyDrives, HResult},
    media::container::ReadOptions,
};

/// Handle of a drive, for the manager of its media. Any number of threads can use a handle at the same time, while the
/// guest runs. A handle can outlive its machine: functions that need the machine then return `VM_FDC_VM_E_VM_UNKNOWN`.
///
/// `vm_fdc_drive` and `vm_fdc_drive_clone` create handles. Free each with `vm_fdc_drive_free`.
pub struct vm_fdc_drive_t {
    /// The drive. A call keeps its own reference: an observer that it calls can free the handle.
    shared: Arc<SharedDrive>,
}

/// The drive of a handle.
struct SharedDrive {
    /// The drive.
    drive: FloppyDrive,
    /// Message of the last failed call with this handle.
    last_error: Mutex<String>,
    /// A call with this handle panicked.
    poisoned: AtomicBool,
}

impl vm_fdc_drive_t {
    /// Creates a handle for C.
    fn handle(drive: FloppyDrive) -> *mut Self {
        let shared = SharedDrive { drive, last_error: Mutex::default(), poisoned: AtomicBool::new(false) };
        Box::into_raw(Box::new(Self { shared: Arc::new(shared) }))
    }
}

impl SharedDrive {
    /// Runs `body` with the drive, unless an earlier call with this handle panicked.
    fn with(&self, body: impl FnOnce(&FloppyDrive) -> Outcome) -> Outcome {
        if self.poisoned.load(Ordering::Relaxed) {
            return Err(Failure::exception(
                "an earlier call with this handle met a defect of the library; free the handle",
            ));
        }
        catch_panic(|| body(&self.drive)).inspect_err(|_| self.poisoned.store(true, Ordering::Relaxed))?
    }
}

/// Runs `body` with the drive of a handle if `may` permits it. The handle keeps the message of a failure.
///
/// # Safety
///
/// `drive` is null, or from `vm_fdc_drive` or `vm_fdc_drive_clone` and not freed.
unsafe fn with(
    drive: *const vm_fdc_drive_t,
    may: fn() -> Result<(), Failure>,
    body: impl FnOnce(&FloppyDrive) -> Outcome,
) -> vm_fdc_result_t {
    ffi_guard(|| {
        // SAFETY: the caller promises it.
        let handle = Arc::clone(&unsafe { drive.as_ref() }.ok_or_else(|| Failure::null("drive"))?.shared);
        let outcome = may().and_then(|()| handle.with(body));
        outcome.inspect_err(|failure| {
            let mut last = handle.last_error.lock().unwrap_or_else(PoisonError::into_inner);
            failure.message.clone_into(&mut last);
        })
    })
}

/// Queries the drive of a handle and writes the result to the output argument `name` of the caller.
///
/// # Safety
///
/// As for [`with`], and `output` is null or points to memory that a `T` can be written to.
unsafe fn query<T>(
    drive: *const vm_fdc_drive_t,
    output: *mut T,
    name: &str,
    query: impl FnOnce(&FloppyDrive) -> T,
) -> vm_fdc_result_t {
    // SAFETY: the caller promises it.
    unsafe { with(drive, may_query, |drive| write_output(output, name, query(drive))) }
}

/// Changes what is attached to the drive of a handle.
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

/// Queries the drive of a handle for a path and copies the path to the buffer of the caller.
///
/// # Safety
///
/// As for [`with`] and [`text::copy`].
unsafe fn query_path(
    drive: *const vm_fdc_drive_t,
    buffer: *mut c_char,
    size: usize,
    needed: *mut usize,
    query: impl FnOnce(&FloppyDrive) -> Option<PathBuf>,
) -> vm_fdc_result_t {
    let copy = |drive: &FloppyDrive| {
        let path = query(drive).map(|path| text::path_bytes(&path));
        // SAFETY: the caller promises it.
        unsafe { text::copy(path.as_deref(), buffer, size, needed) }
    };
    // SAFETY: the caller promises it.
    unsafe { with(drive, may_query, copy) }
}

/// Writes the number of drives of the machine, 0 to 4, to `count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_count(vm: *mut vm_fdc_t, count: *mut u32) -> vm_fdc_result_t {
    // SAFETY: as the header requires.
    unsafe { machine::drives(vm, |drives| write_output(count, "count", drives.len() as u32)) }
}

/// Creates a handle of drive `number`, 0 to 3, and writes it to `drive`. If the machine has no such drive, writes a
/// null pointer and returns `VM_FDC_DISP_E_BADINDEX`. One thread at a time may call it, as all functions of a machine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive(
    vm: *mut vm_fdc_t,
    number: u32,
    drive: *mut *mut vm_fdc_drive_t,
) -> vm_fdc_result_t {
    let find = |drives: FloppyDrives| {
        // SAFETY: as the header requires.
        unsafe { write_output(drive, "drive", ptr::null_mut()) }?;
        let found = drives.get(u8::try_from(number).unwrap_or(u8::MAX))?;
        // SAFETY: as the header requires.
        unsafe { write_output(drive, "drive", vm_fdc_drive_t::handle(found)) }
    };
    // SAFETY: as the header requires.
    unsafe { machine::drives(vm, find) }
}

/// Creates another handle of the same drive, with its own last error, and writes it to `copy`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_clone(
    drive: *const vm_fdc_drive_t,
    copy: *mut *mut vm_fdc_drive_t,
) -> vm_fdc_result_t {
    let clone = |drive: &FloppyDrive| {
        if copy.is_null() {
            return Err(Failure::null("copy"));
        }
        // SAFETY: as the header requires.
        unsafe { write_output(copy, "copy", vm_fdc_drive_t::handle(drive.clone())) }
    };
    // SAFETY: as the header requires.
    unsafe { with(drive, may_query, clone) }
}

/// Frees a handle. What is attached to the drive stays attached. A null pointer is ignored. The behaviour is undefined
/// if a handle is freed twice, or while another thread uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_free(drive: *mut vm_fdc_drive_t) -> vm_fdc_result_t {
    ffi_guard(|| {
        if !drive.is_null() {
            // SAFETY: the header requires a handle that is not freed and that no other thread uses.
            drop(unsafe { Box::from_raw(drive) });
        }
        Ok(VM_FDC_S_OK)
    })
}

/// Copies the message of the last failed call with this handle to `buffer`, which has `size` bytes, and terminates it
/// with a NUL. The message is in English, for people. Calls that succeed keep the message. If several threads use one
/// handle, the message is that of the last failure of any of them: use a handle for each thread.
///
/// If `needed` is not null, writes the length of the message in bytes, with its NUL, to it. To get only the length,
/// pass a null `buffer` and a `size` of 0. Returns `VM_FDC_ERROR_BUFFER_OVERFLOW` if the buffer is too small; it then
/// has as much of the message as fits. Returns `VM_FDC_S_FALSE`, and an empty text, if no call has failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_last_error(
    drive: *const vm_fdc_drive_t,
    buffer: *mut c_char,
    size: usize,
    needed: *mut usize,
) -> vm_fdc_result_t {
    ffi_guard(|| {
        // SAFETY: as the header requires.
        let handle = unsafe { drive.as_ref() }.ok_or_else(|| Failure::null("drive"))?;
        let message = handle.shared.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // SAFETY: as the header requires.
        unsafe { text::copy(Some(message.as_bytes()).filter(|text| !text.is_empty()), buffer, size, needed) }
    })
}

/// Writes the number of the drive, 0 to 3, to `number`. Also succeeds after the machine was freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_number(drive: *const vm_fdc_drive_t, number: *mut u32) -> vm_fdc_result_t {
    // SAFETY: as the header requires.
    unsafe { query(drive, number, "number", |drive| drive.drive_number().into()) }
}

/// Writes the type of the drive, a `VM_FDC_DRIVE_` number, to `drive_type`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_type(drive: *const vm_fdc_drive_t, drive_type: *mut u32) -> vm_fdc_result_t {
    // SAFETY: as the header requires.
    unsafe { query(drive, drive_type, "drive_type", |drive| Some(drive.drive_type()).code()) }
}

/// Writes what is attached, a `VM_FDC_ATTACHMENT_` number, to `attachment`: `VM_FDC_ATTACHMENT_NONE` if the machine was
/// freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_attachment(
    drive: *const vm_fdc_drive_t,
    attachment: *mut u32,
) -> vm_fdc_result_t {
    // SAFETY: as the header requires.
    unsafe { query(drive, attachment, "attachment", |drive| drive.attachment() as u32) }
}

/// Writes the type of the attached disk, a `VM_FDC_IMAGE_` number, to `image_type`: `VM_FDC_IMAGE_UNKNOWN` if there is
/// none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_image_type(
    drive: *const vm_fdc_drive_t,
    image_type: *mut u32,
) -> vm_fdc_result_t {
    // SAFETY: as the header requires.
    unsafe { query(drive, image_type, "image_type", |drive| drive.image_type() as u32) }
}

/// Writes the layout of the attached disk to `layout`. Returns `VM_FDC_S_FALSE`, and writes nothing, if there is no
/// disk, or if the disk was never formatted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_layout(
    drive: *const vm_fdc_drive_t,
    layout: *mut vm_fdc_layout_t,
) -> vm_fdc_result_t {
    let query = |drive: &FloppyDrive| match drive.layout() {
        _ if layout.is_null() => Err(Failure::null("layout")),
        // SAFETY: as the header requires.
        Some(found) => unsafe { write_output(layout, "layout", found.into()) },
        None => Ok(VM_FDC_S_FALSE),
    };
    // SAFETY: as the header requires.
    unsafe { with(drive, may_query, query) }
}

/// Copies the absolute path of the attached image to `buffer`, in the way of `vm_fdc_drive_last_error`. Returns
/// `VM_FDC_S_FALSE`, and an empty text, if no image is attached.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_image_file(
    drive: *const vm_fdc_drive_t,
    buffer: *mut c_char,
    size: usize,
    needed: *mut usize,
) -> vm_fdc_result_t {
    // SAFETY: as the header requires.
    unsafe { query_path(drive, buffer, size, needed, FloppyDrive::image_file) }
}

/// Copies the name of the attached medium in UTF-8 to `buffer`, in the way of `vm_fdc_drive_last_error`: that of a
/// container is its path. Returns `VM_FDC_S_FALSE`, and an empty text, if nothing with a name is attached; an image has a
/// path instead.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_medium_name(
    drive: *const vm_fdc_drive_t,
    buffer: *mut c_char,
    size: usize,
    needed: *mut usize,
) -> vm_fdc_result_t {
    let copy = |drive: &FloppyDrive| {
        let name = drive.medium_name();
        // SAFETY: as the header requires.
        unsafe { text::copy(name.as_deref().map(str::as_bytes), buffer, size, needed) }
    };
    // SAFETY: as the header requires.
    unsafe { with(drive, may_query, copy) }
}

/// Copies the absolute path of the attached host drive to `buffer`, in the way of `vm_fdc_drive_last_error`. Returns
/// `VM_FDC_S_FALSE`, and an empty text, if no host drive is attached.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_host_drive(
    drive: *const vm_fdc_drive_t,
    buffer: *mut c_char,
    size: usize,
    needed: *mut usize,
) -> vm_fdc_result_t {
    // SAFETY: as the header requires.
    unsafe { query_path(drive, buffer, size, needed, FloppyDrive::host_drive) }
}

/// Attaches the raw floppy image in the file `path`. A relative path starts at the current directory of the process. A
/// path has the encoding of the host on Unix, and is UTF-8 on other hosts. `options` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_attach_image(
    drive: *const vm_fdc_drive_t,
    path: *const c_char,
    options: *const vm_fdc_image_options_t,
) -> vm_fdc_result_t {
    // SAFETY: as the header requires.
    unsafe {
        change(drive, |drive| drive.attach_image(text::path(path)?, image::options(options)?).map_err(Failure::from))
    }
}

/// Attaches the disk in the file `path` of ImageDisk, Teledisk or D88, which are no raw images. The message of an attach
/// of such a file as an image names it. `form_factor` is a `VM_FDC_FORM_` number: `VM_FDC_FORM_OF_FILE`, or another one
/// only if the library detects the wrong size. `disk` is the number of the disk in a D88 file of several, from 0.
///
/// The disk counts as an image without a file, and `vm_fdc_drive_medium_name` returns the path. The file does not
/// change. The writes of the guest are in memory, and lost at the release: save the disk as a raw image before, with
/// `vm_fdc_drive_save_image`, or pass 1 for `write_protected`, so that the guest writes nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_attach_container(
    drive: *const vm_fdc_drive_t,
    path: *const c_char,
    form_factor: u32,
    disk: u32,
    write_protected: u32,
) -> vm_fdc_result_t {
    let attach = |drive: &FloppyDrive| {
        // SAFETY: as the header requires.
        let path = unsafe { text::path(path) }?;
        let disk = usize::try_from(disk).unwrap_or(usize::MAX);
        let mut options = ReadOptions::new().with_disk(disk).with_write_protection(Code::of_code(write_protected)?);
        if let Some(form_factor) = Code::of_code(form_factor)? {
            options = options.with_form_factor(form_factor);
        }
        drive.attach_container(path, options).map_err(Failure::from)
    };
    // SAFETY: as the header requires.
    unsafe { change(drive, attach) }
}

/// Releases the attached image: saves the writes of the guest to the disk of the host, unlocks and closes the file. If
/// the writes cannot be saved, the image stays attached. Then release it again, call `vm_fdc_drive_force_release`, or
/// save it to another file with `vm_fdc_drive_save_image`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_release_image(drive: *const vm_fdc_drive_t) -> vm_fdc_result_t {
    // SAFETY: as the header requires.
    unsafe { change(drive, FloppyDrive::release_image) }
}

/// Attaches the floppy drive of the host at `path`, with or without a disk in it: a block device, or a file instead of
/// one. `options` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_attach_host_drive(
    drive: *const vm_fdc_drive_t,
    path: *const c_char,
    options: *const vm_fdc_image_options_t,
) -> vm_fdc_result_t {
    // SAFETY: as the header requires.
    unsafe {
        change(drive, |drive| {
            drive.attach_host_drive(text::path(path)?, image::options(options)?).map_err(Failure::from)
        })
    }
}

/// Releases the attached host drive, in the way of `vm_fdc_drive_release_image`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_release_host_drive(drive: *const vm_fdc_drive_t) -> vm_fdc_result_t {
    // SAFETY: as the header requires.
    unsafe { change(drive, FloppyDrive::release_host_drive) }
}

/// Checks whether a disk was inserted into the attached host drive or ejected from it. Call it periodically, about once
/// a second. Returns `VM_FDC_S_OK` if a disk is in the drive, and `VM_FDC_S_FALSE` if no disk is in it or no host drive
/// is attached. If the disk cannot be used, the function fails and the host drive stays attached without a disk.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_check_host_drive(drive: *const vm_fdc_drive_t) -> vm_fdc_result_t {
    // SAFETY: as the header requires.
    unsafe { with(drive, may_change, |drive| Ok(yes_or_no(drive.check_host_drive()?))) }
}

/// Releases the attached image and attaches another one. If the new image cannot be opened or the old one cannot be
/// released, the old image stays attached.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_swap_image(
    drive: *const vm_fdc_drive_t,
    path: *const c_char,
    options: *const vm_fdc_image_options_t,
) -> vm_fdc_result_t {
    // SAFETY: as the header requires.
    unsafe {
        change(drive, |drive| drive.swap_image(text::path(path)?, image::options(options)?).map_err(Failure::from))
    }
}

/// Saves the writes of the guest to the disk of the host, and waits until they are there. The guest continues
/// meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_flush(drive: *const vm_fdc_drive_t) -> vm_fdc_result_t {
    // SAFETY: as the header requires.
    unsafe { change(drive, FloppyDrive::flush) }
}

/// Protects the disk in the drive against writes of the guest (1), or permits them again (0), as the switch on a disk
/// does. The guest sees it at once, and the disk stays in. Fails if writes are to be permitted to an image that is open
/// for reads only.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_set_write_protected(
    drive: *const vm_fdc_drive_t,
    write_protected: u32,
) -> vm_fdc_result_t {
    // SAFETY: as the header requires.
    unsafe { change(drive, |drive| drive.set_write_protected(Code::of_code(write_protected)?).map_err(Failure::from)) }
}

/// Returns `VM_FDC_S_OK` if the disk in the drive is write protected, and `VM_FDC_S_FALSE` if it is not or if there is
/// none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_is_write_protected(drive: *const vm_fdc_drive_t) -> vm_fdc_result_t {
    // SAFETY: as the header requires.
    unsafe { with(drive, may_query, |drive| Ok(yes_or_no(drive.is_write_protected()))) }
}

/// Releases what is attached, even if writes of the guest cannot be saved. Returns `VM_FDC_S_FALSE` in that case: the
/// drive is empty, and the message of `vm_fdc_drive_last_error` says what may be lost.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_force_release(drive: *const vm_fdc_drive_t) -> vm_fdc_result_t {
    let force = |drive: &FloppyDrive| {
        // A loss is a failure until here, so that its message is kept. The code is replaced below.
        drive.force_release()?.map_or(Ok(VM_FDC_S_OK), |loss| Err(loss.into()))
    };
    // SAFETY: as the header requires.
    match unsafe { with(drive, may_change, force) } {
        LOST => VM_FDC_S_FALSE,
        result => result,
    }
}

/// Code of a forced release that lost data. A forced release does not fail with this code.
const LOST: vm_fdc_result_t = HResult::VM_E_MEDIA_UNMOUNT_FAIL.0;

/// Saves the current contents of the attached disk to another file, as a raw image. The complete file is created, or
/// none. `if_exists` is a `VM_FDC_IF_EXISTS_` number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_drive_save_image(
    drive: *const vm_fdc_drive_t,
    path: *const c_char,
    if_exists: u32,
) -> vm_fdc_result_t {
    // SAFETY: as the header requires.
    unsafe {
        change(drive, |drive| drive.save_image(text::path(path)?, Code::of_code(if_exists)?).map_err(Failure::from))
    }
}

/// Adds an observer of the media of the drive. `observer` is called for each insertion, ejection and reformat until it
/// returns 0 or `vm_fdc_free` returns. `context` must exist as long. The call is on the thread that changes the medium,
/// after the change, one event at a time for each drive. For a reformat that is the thread which uses the machine, or the
/// one that changes what is attached to the drive at the time.
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
    // SAFETY: as the header requires.
    unsafe { change(drive, observe) }
}

/// A call that panics.
#[cfg(test)]
pub(super) fn panics(drive: *const vm_fdc_drive_t) -> vm_fdc_result_t {
    // SAFETY: tests pass a handle that is not freed.
    unsafe { with(drive, may_query, |_| panic!("a defect")) }
}
