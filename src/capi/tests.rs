//! Tests that C cannot do: panics of the library, and the numbers of the interface beside those of the library.

use std::{ffi::c_void, ptr};

use super::{
    codes::*,
    config::{vm_fdc_config_init, vm_fdc_config_t},
    drive::*,
    machine::{self, *},
    *,
};
use crate::drive::HResult;

/// Creates a machine with one drive, and a handle of the drive.
fn machine() -> (*mut vm_fdc_t, *mut vm_fdc_drive_t) {
    static mut RAM: [u8; 16] = [0; 16];
    let (mut vm, mut drive) = (ptr::null_mut(), ptr::null_mut());
    let mut config = mem::MaybeUninit::<vm_fdc_config_t>::uninit();
    // SAFETY: as the header requires; the RAM is never used.
    unsafe {
        assert_eq!(vm_fdc_config_init(config.as_mut_ptr(), size_of::<vm_fdc_config_t>()), VM_FDC_S_OK);
        let mut config = config.assume_init();
        config.drives[0] = VM_FDC_DRIVE_1440K;
        (config.ram, config.ram_length) = ((&raw mut RAM).cast::<c_void>(), 16);
        assert_eq!(vm_fdc_new(&raw const config, &raw mut vm), VM_FDC_S_OK);
        assert_eq!(vm_fdc_drive(vm, 0, &raw mut drive), VM_FDC_S_OK);
    }
    (vm, drive)
}

#[test]
fn the_codes_are_those_of_the_library() {
    for (code, result) in [
        (VM_FDC_S_OK, HResult::S_OK),
        (VM_FDC_VM_E_VM_UNKNOWN, HResult::VM_E_VM_UNKNOWN),
        (VM_FDC_VM_E_MEDIA_UNMOUNT_FAIL, HResult::VM_E_MEDIA_UNMOUNT_FAIL),
        (VM_FDC_VM_E_IMAGE_CAPTURE_FAIL, HResult::VM_E_IMAGE_CAPTURE_FAIL),
        (VM_FDC_VM_E_NO_MEDIA_CAPTURED, HResult::VM_E_NO_MEDIA_CAPTURED),
        (VM_FDC_VM_E_DRIVE_IN_USE, HResult::VM_E_DRIVE_IN_USE),
        (VM_FDC_VM_E_MEDIA_WRONG_TYPE, HResult::VM_E_MEDIA_WRONG_TYPE),
        (VM_FDC_E_POINTER, HResult::E_POINTER),
        (VM_FDC_E_INVALIDARG, HResult::E_INVALIDARG),
        (VM_FDC_E_OUTOFMEMORY, HResult::E_OUTOFMEMORY),
        (VM_FDC_ERROR_BUFFER_OVERFLOW, HResult::ERROR_BUFFER_OVERFLOW),
        (VM_FDC_ERROR_INVALID_NAME, HResult::ERROR_INVALID_NAME),
        (VM_FDC_ERROR_BAD_PATHNAME, HResult::ERROR_BAD_PATHNAME),
        (VM_FDC_DISP_E_EXCEPTION, HResult::DISP_E_EXCEPTION),
        (VM_FDC_DISP_E_BADINDEX, HResult::DISP_E_BADINDEX),
    ] {
        assert_eq!(HResult(code), result);
    }
}

#[test]
fn the_header_has_the_codes_in_hexadecimal() {
    let header = include_str!("../../include/vm_fdc.h");
    for (name, code) in [
        ("S_OK", VM_FDC_S_OK),
        ("S_FALSE", VM_FDC_S_FALSE),
        ("VM_E_VM_UNKNOWN", VM_FDC_VM_E_VM_UNKNOWN),
        ("VM_E_MEDIA_UNMOUNT_FAIL", VM_FDC_VM_E_MEDIA_UNMOUNT_FAIL),
        ("VM_E_IMAGE_CAPTURE_FAIL", VM_FDC_VM_E_IMAGE_CAPTURE_FAIL),
        ("VM_E_NO_MEDIA_CAPTURED", VM_FDC_VM_E_NO_MEDIA_CAPTURED),
        ("VM_E_DRIVE_IN_USE", VM_FDC_VM_E_DRIVE_IN_USE),
        ("VM_E_MEDIA_WRONG_TYPE", VM_FDC_VM_E_MEDIA_WRONG_TYPE),
        ("E_POINTER", VM_FDC_E_POINTER),
        ("E_INVALIDARG", VM_FDC_E_INVALIDARG),
        ("E_OUTOFMEMORY", VM_FDC_E_OUTOFMEMORY),
        ("ERROR_BUFFER_OVERFLOW", VM_FDC_ERROR_BUFFER_OVERFLOW),
        ("ERROR_INVALID_NAME", VM_FDC_ERROR_INVALID_NAME),
        ("ERROR_BAD_PATHNAME", VM_FDC_ERROR_BAD_PATHNAME),
        ("DISP_E_EXCEPTION", VM_FDC_DISP_E_EXCEPTION),
        ("DISP_E_BADINDEX", VM_FDC_DISP_E_BADINDEX),
    ] {
        let definition = format!("#define VM_FDC_{name} 0x{code:08X}\n");
        assert!(header.contains(&definition), "{definition}");
    }
}

#[test]
fn image_types_and_attachments_have_the_numbers_of_the_library() {
    use crate::{drive::Attachment, media::ImageType};
    for (code, value) in [
        (VM_FDC_ATTACHMENT_NONE, Attachment::None),
        (VM_FDC_ATTACHMENT_IMAGE, Attachment::Image),
        (VM_FDC_ATTACHMENT_HOST_DRIVE, Attachment::HostDrive),
    ] {
        assert_eq!(code, value as u32);
    }
    for (code, value) in [
        (VM_FDC_IMAGE_UNKNOWN, ImageType::Unknown),
        (VM_FDC_IMAGE_LOW_DENSITY, ImageType::LowDensity),
        (VM_FDC_IMAGE_HIGH_DENSITY, ImageType::HighDensity),
        (VM_FDC_IMAGE_DMF, ImageType::Dmf),
        (VM_FDC_IMAGE_LOW_DENSITY_SINGLE_SIDED, ImageType::LowDensitySingleSided),
        (VM_FDC_IMAGE_MEDIUM_DENSITY, ImageType::MediumDensity),
        (VM_FDC_IMAGE_HIGH_DENSITY_MSS, ImageType::HighDensityMss),
    ] {
        assert_eq!(code, value as u32);
    }
}

#[test]
fn a_panic_is_an_exception_whatever_it_throws() {
    assert_eq!(ffi_guard(|| panic!("text")), VM_FDC_DISP_E_EXCEPTION);
    assert_eq!(ffi_guard(|| panic!("text {}", 1)), VM_FDC_DISP_E_EXCEPTION);
    assert_eq!(ffi_guard(|| std::panic::panic_any(7)), VM_FDC_DISP_E_EXCEPTION);
}

#[test]
fn a_machine_that_met_a_defect_answers_so_until_it_is_freed() {
    let (vm, drive) = machine();
    let mut data = [0u8; 4];
    // SAFETY: as the header requires.
    unsafe {
        assert_eq!(machine::drives(vm, |_| panic!("a defect")), VM_FDC_DISP_E_EXCEPTION);
        assert_eq!(vm_fdc_read(vm, 0x3F4, data.as_mut_ptr().cast(), 1), VM_FDC_DISP_E_EXCEPTION);
        assert_eq!(vm_fdc_reset(vm), VM_FDC_DISP_E_EXCEPTION);
        assert_eq!(vm_fdc_drive_release_image(drive), VM_FDC_VM_E_NO_MEDIA_CAPTURED);
        assert_eq!(vm_fdc_free(vm), VM_FDC_S_OK);
        assert_eq!(vm_fdc_drive_release_image(drive), VM_FDC_VM_E_VM_UNKNOWN);
        assert_eq!(vm_fdc_drive_free(drive), VM_FDC_S_OK);
    }
}

#[test]
fn a_drive_handle_that_met_a_defect_answers_so_and_its_clone_does_not() {
    let (vm, drive) = machine();
    let (mut clone, mut number) = (ptr::null_mut(), 0);
    // SAFETY: as the header requires.
    unsafe {
        assert_eq!(vm_fdc_drive_clone(drive, &raw mut clone), VM_FDC_S_OK);
        assert_eq!(panics(drive), VM_FDC_DISP_E_EXCEPTION);
        assert_eq!(vm_fdc_drive_number(drive, &raw mut number), VM_FDC_DISP_E_EXCEPTION);
        assert_eq!(vm_fdc_drive_number(clone, &raw mut number), VM_FDC_S_OK);
        let mut needed = 0;
        assert_eq!(vm_fdc_drive_last_error(drive, ptr::null_mut(), 0, &raw mut needed), VM_FDC_S_OK);
        assert!(needed > 1);
        for handle in [drive, clone] {
            assert_eq!(vm_fdc_drive_free(handle), VM_FDC_S_OK);
        }
        assert_eq!(vm_fdc_free(vm), VM_FDC_S_OK);
    }
}

/// What an observer does, and what came of it.
struct Seen {
    vm: *mut vm_fdc_t,
    drive: *mut vm_fdc_drive_t,
    panics: bool,
    results: Vec<vm_fdc_result_t>,
}

/// Calls functions that an observer must not call, or panics. Frees the handle of the drive, if there is one.
unsafe extern "C-unwind" fn observe(context: *mut c_void, _: u32, _: u32, _: *const std::ffi::c_char) -> u32 {
    // SAFETY: the context is that of the test, which does not use it meanwhile.
    let seen = unsafe { &mut *context.cast::<Seen>() };
    assert!(!seen.panics, "an observer that panics");
    // SAFETY: the machine is being used or freed by the call that called this.
    unsafe {
        seen.results.push(vm_fdc_interrupt_level(seen.vm));
        seen.results.push(vm_fdc_free(seen.vm));
        if !seen.drive.is_null() {
            assert_eq!(vm_fdc_drive_free(mem::replace(&mut seen.drive, ptr::null_mut())), VM_FDC_S_OK);
        }
    }
    1
}

/// Attaches a writable image to the drive, and then an observer.
unsafe fn attach_and_observe(drive: *mut vm_fdc_drive_t, path: &std::path::Path, seen: &mut Seen) {
    std::fs::File::create(path).and_then(|file| file.set_len(1_474_560)).expect("an image");
    let path = std::ffi::CString::new(path.to_str().expect("a path")).expect("a path");
    // SAFETY: as the header requires.
    unsafe {
        assert_eq!(vm_fdc_drive_attach_image(drive, path.as_ptr(), ptr::null()), VM_FDC_S_OK);
        assert_eq!(vm_fdc_drive_observe(drive, Some(observe), ptr::from_mut(seen).cast()), VM_FDC_S_OK);
    }
}

#[test]
fn an_observer_cannot_use_the_machine_whoever_calls_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("disk.img");
    for free in [true, false] {
        let (vm, drive) = machine();
        let mut seen = Seen { vm, drive: ptr::null_mut(), panics: false, results: Vec::new() };
        // SAFETY: as the header requires.
        unsafe {
            attach_and_observe(drive, &path, &mut seen);
            let outcome = if free { vm_fdc_free(vm) } else { vm_fdc_drive_release_image(drive) };
            assert_eq!(outcome, VM_FDC_S_OK);
            assert_eq!(seen.results, [VM_FDC_E_INVALIDARG; 2], "free: {free}");
            assert_eq!(vm_fdc_drive_free(drive), VM_FDC_S_OK);
            assert_eq!(if free { VM_FDC_S_OK } else { vm_fdc_free(vm) }, VM_FDC_S_OK);
        }
    }
}

#[test]
fn an_observer_can_free_the_handle_of_the_call_that_calls_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("disk.img");
    let (vm, drive) = machine();
    let mut seen = Seen { vm, drive, panics: false, results: Vec::new() };
    // SAFETY: as the header requires; the handle is freed by the observer.
    unsafe {
        attach_and_observe(drive, &path, &mut seen);
        // A write that the host cannot save: what the call says of it is for a handle that is gone.
        for (port, byte) in [(0x3F2, 0x1C), (0x3F7, 0), (0x3F5, 0x03), (0x3F5, 0xAF), (0x3F5, 0x03)] {
            assert_eq!(vm_fdc_write(vm, port, [byte].as_ptr().cast(), 1), VM_FDC_S_OK);
        }
        for byte in [0x45, 0, 0, 0, 1, 2, 1, 0x1B, 0xFF] {
            assert_eq!(vm_fdc_write(vm, 0x3F5, [byte].as_ptr().cast(), 1), VM_FDC_S_OK);
        }
        for _ in 0..512 {
            assert_eq!(vm_fdc_write(vm, 0x3F5, [0x5Au8].as_ptr().cast(), 1), VM_FDC_S_OK);
        }
        std::fs::remove_file(&path).expect("the image is deleted");
        assert_eq!(vm_fdc_drive_force_release(drive), VM_FDC_S_FALSE);
        assert!(seen.drive.is_null());
        assert_eq!(vm_fdc_free(vm), VM_FDC_S_OK);
    }
}

#[test]
fn a_callback_that_panics_leaves_the_thread_free_to_release_and_free() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("disk.img");
    let (vm, drive) = machine();
    let mut clone = ptr::null_mut();
    let mut seen = Seen { vm, drive: ptr::null_mut(), panics: true, results: Vec::new() };
    // SAFETY: as the header requires.
    unsafe {
        assert_eq!(vm_fdc_drive_clone(drive, &raw mut clone), VM_FDC_S_OK);
        attach_and_observe(drive, &path, &mut seen);
        assert_eq!(vm_fdc_drive_release_image(drive), VM_FDC_DISP_E_EXCEPTION);
        seen.panics = false;
        let outcome = vm_fdc_drive_release_image(clone);
        assert!([VM_FDC_S_OK, VM_FDC_VM_E_NO_MEDIA_CAPTURED].contains(&outcome), "{outcome:#x}");
        for handle in [drive, clone] {
            assert_eq!(vm_fdc_drive_free(handle), VM_FDC_S_OK);
        }
        assert_eq!(vm_fdc_free(vm), VM_FDC_S_OK);
    }
}
