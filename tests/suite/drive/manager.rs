//! The calls of a manager beyond attach and release: the collection of drives, events, swaps of images, flushes, saving,
//! and drives of the host.

use std::{
    error::Error,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver},
    },
};

use super::kit::floppy::{BYTES, SECTOR, byte_of, failure, fill, guest, numbered, read};
use super::kit::{self, Guest, fixture, stub::Stub};
use tempfile::TempDir;
use vm_fdc::{
    Controller,
    drive::{
        AttachError, Attachment, DriveType, FloppyDrive, HResult, MediaEvent, MediaObserver, ReleaseError, SaveError,
        SwapError,
    },
    media::{Access, Geometry, IfExists, SectorDisk},
};

fn two_images() -> (TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["a.img", "b.img"].map(|name| folder.path().join(name));
    numbered(&first);
    fs::write(&second, vec![0xBB; BYTES]).unwrap();
    (folder, first, second)
}

fn observed(drive: &FloppyDrive) -> Receiver<MediaEvent> {
    let (sender, events) = mpsc::channel();
    drive.observe(sender);
    events
}

fn inserted(path: impl Into<Option<PathBuf>>) -> MediaEvent {
    MediaEvent::Inserted { drive: 0, path: path.into() }
}

fn ejected(path: impl Into<Option<PathBuf>>) -> MediaEvent {
    MediaEvent::Ejected { drive: 0, path: path.into() }
}

fn received(events: &Receiver<MediaEvent>) -> Vec<MediaEvent> {
    events.try_iter().collect()
}

/// Returns the change line, which needs a selected drive with its motor on.
fn changed(guest: &mut Guest) -> bool {
    guest.bus.read(kit::DIR) & 0x80 != 0
}

/// Clears the change line by steps. A disk is in the drive.
fn clear_change_line(guest: &mut Guest) {
    guest.seek(1);
    guest.seek(0);
    assert!(!changed(guest));
}

// The collection

#[test]
fn the_drives_are_counted_and_found_by_their_numbers() {
    // IVMFloppyDriveCollection
    let fdc = Controller::builder().drive(0, DriveType::Inch3_5Hd).drive(2, DriveType::Inch5_25Hd).build().unwrap();
    let drives = fdc.drives();
    assert_eq!((drives.len(), drives.is_empty()), (2, false));
    assert_eq!((&drives).into_iter().map(FloppyDrive::drive_number).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(drives.clone().into_iter().map(|drive| drive.drive_number()).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(drives.iter().map(FloppyDrive::drive_number).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(drives.get(2).unwrap().drive_type(), DriveType::Inch5_25Hd);
    for number in [1, 3, 255] {
        assert_eq!(drives.get(number).unwrap_err().hresult(), HResult(0x8002_000B));
    }
    drop(fdc);
    let drive = drives.get(0).unwrap();
    assert_eq!((drives.len(), drive.drive_number()), (2, 0));
    assert_eq!(drive.release_image().unwrap_err().hresult(), HResult(0xA004_0207));
}

#[test]
fn every_outcome_has_its_code() {
    // drive-layer.md
    for (code, number) in [
        (HResult::S_OK, 0),
        (HResult::VM_E_VM_UNKNOWN, 0xA004_0207),
        (HResult::VM_E_MEDIA_WRONG_TYPE, 0xA004_0728),
        (HResult::VM_E_NO_MEDIA_CAPTURED, 0xA004_0652),
        (HResult::VM_E_IMAGE_CAPTURE_FAIL, 0xA004_0650),
        (HResult::VM_E_DRIVE_IN_USE, 0xA004_0727),
        (HResult::VM_E_MEDIA_UNMOUNT_FAIL, 0xA004_0508),
        (HResult::E_INVALIDARG, 0x8007_0057),
        (HResult::E_POINTER, 0x8000_4003),
        (HResult::E_OUTOFMEMORY, 0x8007_000E),
        (HResult::ERROR_BUFFER_OVERFLOW, 0x8007_006F),
        (HResult::ERROR_INVALID_NAME, 0x8007_007B),
        (HResult::ERROR_BAD_PATHNAME, 0x8007_00A1),
        (HResult::DISP_E_BADINDEX, 0x8002_000B),
        (HResult::DISP_E_EXCEPTION, 0x8002_0009),
    ] {
        assert_eq!(code, HResult(number));
    }
}

#[test]
fn a_drive_without_its_controller_refuses_every_call() {
    let (guest, drive) = guest();
    drop(guest);
    let (image, unknown) = (fixture("dos-1440k.img"), HResult::VM_E_VM_UNKNOWN);
    let swap = drive.swap_image(&image, Access::ReadOnly).unwrap_err();
    let save = drive.save_image("/nowhere", IfExists::Fail).unwrap_err();
    assert_eq!(
        [
            drive.attach_image(&image, Access::ReadOnly).unwrap_err().hresult(),
            drive.attach_host_drive(&image, Access::ReadOnly).unwrap_err().hresult(),
            drive.release_image().unwrap_err().hresult(),
            drive.release_host_drive().unwrap_err().hresult(),
            drive.flush().unwrap_err().hresult(),
            drive.force_release().unwrap_err().hresult(),
            swap.hresult(),
            save.hresult(),
            drive.check_host_drive().unwrap_err().hresult(),
            drive.attach_medium(SectorDisk::formatted(Geometry::DD_360K, 0)).unwrap_err().hresult(),
        ],
        [unknown; 10]
    );
}

// Events

#[test]
fn attaches_and_releases_are_reported_in_order() {
    // OnMediaInsert and OnMediaEject
    let (_folder, first, second) = two_images();
    let (guest, drive) = guest();
    let events = observed(&drive);
    drive.attach_image(&first, Access::ReadWrite).unwrap();
    drive.attach_image(&second, Access::ReadWrite).unwrap_err();
    drive.release_host_drive().unwrap_err();
    drive.release_image().unwrap();
    drive.release_image().unwrap_err();
    drive.attach_medium(SectorDisk::formatted(Geometry::HD_1440K, 0)).unwrap();
    drive.release_medium().unwrap();
    drive.attach_image(&second, Access::ReadWrite).unwrap();
    drive.swap_image(&first, Access::ReadWrite).unwrap();
    drop(guest);
    let expected = [
        inserted(first.clone()),
        ejected(first.clone()),
        inserted(None),
        ejected(None),
        inserted(second.clone()),
        ejected(second),
        inserted(first.clone()),
        ejected(first),
    ];
    assert_eq!(received(&events), expected);
    assert_eq!(expected.map(|event| event.dispatch_id()), [1, 2, 1, 2, 1, 2, 1, 2]);
}

#[test]
fn an_observer_sees_the_new_attachment_and_can_end_its_observation() {
    let (_folder, first, _) = two_images();
    let (_guest, drive) = guest();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (observed_drive, log) = (drive.clone(), Arc::clone(&seen));
    drive.observe(move |event: &MediaEvent| {
        log.lock().unwrap().push((event.drive(), observed_drive.attachment(), observed_drive.image_file()));
        if event.dispatch_id() == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    for _ in 0..2 {
        drive.attach_image(&first, Access::ReadOnly).unwrap();
        drive.release_image().unwrap();
    }
    assert_eq!(*seen.lock().unwrap(), [(0, Attachment::Image, Some(first)), (0, Attachment::None, None)]);
}

#[test]
fn a_channel_without_a_receiver_is_removed() {
    let (_folder, first, _) = two_images();
    let (_guest, drive) = guest();
    drop(observed(&drive));
    let events = observed(&drive);
    drive.attach_image(&first, Access::ReadOnly).unwrap();
    assert_eq!(received(&events), [inserted(first)]);
    // The sender reports the same when it is called as an observer.
    let (mut sender, events) = mpsc::channel();
    assert_eq!(sender.media_changed(&ejected(None)), ControlFlow::Continue(()));
    drop(events);
    assert_eq!(sender.media_changed(&ejected(None)), ControlFlow::Break(()));
}

#[test]
fn a_failed_release_sends_no_event() {
    let (_guest, drive) = guest();
    drive.attach_medium(failing(9, 0)).unwrap();
    let events = observed(&drive);
    drive.release_image().unwrap_err();
    assert_eq!(received(&events), []);
    drive.force_release().unwrap().unwrap();
    assert_eq!(received(&events), [ejected(None)]);
}

// A release that fails

/// Returns a disk on which the first flushes and unlocks fail.
fn failing(flushes: u32, unlocks: u32) -> Stub {
    Stub { failing_flushes: flushes, failing_unlocks: unlocks, ..Stub::default() }
}

#[test]
fn each_part_of_a_release_can_fail_and_be_repeated() {
    for (flushes, unlocks) in [(1, 0), (0, 1), (2, 2)] {
        let (mut guest, drive) = guest();
        drive.attach_medium(failing(flushes, unlocks)).unwrap();
        clear_change_line(&mut guest);
        for _ in 0..flushes {
            let error = drive.release_image().unwrap_err();
            assert!(matches!(error, ReleaseError::UnmountFailed { drive: 0, path: None, .. }), "{error:?}");
            assert_eq!(error.hresult(), HResult::VM_E_MEDIA_UNMOUNT_FAIL);
            assert!(!changed(&mut guest), "no disk change");
        }
        for _ in 0..unlocks {
            let error = drive.release_image().unwrap_err();
            assert!(matches!(error, ReleaseError::UnlockFailed { drive: 0, path: None, .. }), "{error:?}");
            assert_eq!(error.source().unwrap().to_string(), "a failure for the test");
            assert_eq!(error.hresult(), HResult::VM_E_MEDIA_UNMOUNT_FAIL);
            assert_eq!(drive.attachment(), Attachment::Image);
            clear_change_line(&mut guest);
        }
        drive.release_image().unwrap();
        assert!(changed(&mut guest));
    }
}

// Swaps

#[test]
fn a_swap_attaches_another_image_and_sets_the_change_line() {
    let (_folder, first, second) = two_images();
    let (mut guest, drive) = guest();
    drive.attach_image(&first, Access::ReadWrite).unwrap();
    fill(&mut guest, 5, 0xEE).unwrap();
    clear_change_line(&mut guest);
    drive.swap_image(&second, Access::ReadOnly).unwrap();
    assert!(changed(&mut guest));
    assert_eq!(drive.image_file(), Some(second));
    assert_eq!(read(&mut guest, 5).unwrap(), [0xBB; SECTOR]);
    assert_eq!(fs::read(&first).unwrap()[5 * SECTOR..][..SECTOR], [0xEE; SECTOR]);
    // The first image is unlocked.
    drive.swap_image(&first, Access::ReadWrite).unwrap();
    assert_eq!(read(&mut guest, 5).unwrap(), [0xEE; SECTOR]);
}

#[test]
fn a_swap_for_an_unusable_image_changes_nothing() {
    let (folder, first, _) = two_images();
    let (mut guest, drive) = guest();
    drive.attach_image(&first, Access::ReadWrite).unwrap();
    clear_change_line(&mut guest);
    let events = observed(&drive);
    for path in [folder.path().join("missing"), folder.path().to_owned(), PathBuf::new(), first.clone()] {
        let error = drive.swap_image(&path, Access::ReadWrite).unwrap_err();
        assert!(matches!(error, SwapError::Attach(_)), "{error:?}");
    }
    assert!(!changed(&mut guest));
    assert_eq!(drive.image_file(), Some(first));
    assert_eq!(read(&mut guest, 5).unwrap(), [byte_of(5); SECTOR]);
    assert_eq!(received(&events), []);
}

#[test]
fn a_swap_that_cannot_release_the_old_image_keeps_it() {
    let (_folder, first, _) = two_images();
    let (_guest, drive) = guest();
    drive.attach_medium(failing(1, 1)).unwrap();
    for _ in 0..2 {
        let error = drive.swap_image(&first, Access::ReadWrite).unwrap_err();
        assert!(matches!(error, SwapError::Release(_)), "{error:?}");
        assert_eq!(error.hresult(), HResult::VM_E_MEDIA_UNMOUNT_FAIL);
        assert_eq!(drive.image_file(), None);
        assert_eq!(drive.attachment(), Attachment::Image);
    }
    drive.swap_image(&first, Access::ReadWrite).unwrap();
}

#[test]
fn a_swap_needs_an_attached_image() {
    let (_folder, first, second) = two_images();
    let (_guest, drive) = guest();
    let code = |outcome: Result<(), SwapError>| outcome.unwrap_err().hresult();
    assert_eq!(code(drive.swap_image(&first, Access::ReadOnly)), HResult::VM_E_NO_MEDIA_CAPTURED);
    drive.attach_host_drive(&first, Access::ReadOnly).unwrap();
    assert_eq!(code(drive.swap_image(&second, Access::ReadOnly)), HResult::VM_E_MEDIA_WRONG_TYPE);
}

// Saving

#[test]
fn a_private_image_can_be_saved_with_the_writes_of_the_guest() {
    let (folder, first, second) = two_images();
    let (mut guest, drive) = guest();
    drive.attach_image(&first, Access::Private).unwrap();
    fill(&mut guest, 5, 0xEE).unwrap();
    let saved = folder.path().join("saved.img");
    drive.save_image(&saved, IfExists::Fail).unwrap();
    assert_eq!(fs::read(&saved).unwrap()[5 * SECTOR..][..SECTOR], [0xEE; SECTOR]);
    assert_eq!(fs::read(&first).unwrap()[5 * SECTOR..][..SECTOR], [byte_of(5); SECTOR]);

    let error = drive.save_image(&second, IfExists::Fail).unwrap_err();
    assert!(matches!(error, SaveError::Create { drive: 0, .. }), "{error:?}");
    assert_eq!(fs::read(&second).unwrap(), [0xBB; BYTES]);
    drive.save_image(&second, IfExists::Replace).unwrap();
    assert_eq!(fs::read(&second).unwrap(), fs::read(&saved).unwrap());
}

#[test]
fn an_empty_drive_and_a_disk_that_no_raw_image_holds_cannot_be_saved() {
    let (folder, ..) = two_images();
    let (_guest, drive) = guest();
    let path = folder.path().join("saved.img");
    assert!(matches!(drive.save_image(&path, IfExists::Fail), Err(SaveError::NoMediaCaptured { drive: 0 })));
    drive.attach_medium(failing(0, 0)).unwrap();
    assert!(matches!(drive.save_image(&path, IfExists::Fail), Err(SaveError::NoRawImage { drive: 0 })));
    assert!(!path.exists());
}

// Drives of the host

#[test]
fn a_host_drive_can_be_empty_and_its_disk_can_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fd0");
    fs::write(&path, []).unwrap();
    let (mut guest, drive) = guest();
    let events = observed(&drive);
    drive.attach_host_drive(&path, Access::ReadWrite).unwrap();
    assert_eq!((drive.attachment(), drive.host_drive()), (Attachment::HostDrive, Some(path.clone())));
    assert!(!drive.check_host_drive().unwrap());
    failure(read(&mut guest, 0));
    assert_eq!(received(&events), []);

    numbered(&path);
    assert!(drive.check_host_drive().unwrap());
    assert_eq!(received(&events), [inserted(path.clone())]);
    clear_change_line(&mut guest);
    assert_eq!(read(&mut guest, 9).unwrap(), [byte_of(9); SECTOR]);
    assert!(drive.check_host_drive().unwrap());
    assert_eq!(received(&events), []);

    fs::remove_file(&path).unwrap();
    // Without a disk and without a host drive: an event, and the drive stays attached.
    let error = drive.check_host_drive().unwrap_err();
    assert!(matches!(error, AttachError::NoHostDrive { drive: 0, .. }), "{error:?}");
    assert_eq!(received(&events), [ejected(path.clone())]);
    assert!(changed(&mut guest));
    failure(read(&mut guest, 9));
    assert_eq!(drive.attachment(), Attachment::HostDrive);

    // Another disk, with another format.
    fs::write(&path, vec![7; 737_280]).unwrap();
    assert!(drive.check_host_drive().unwrap());
    assert_eq!(received(&events), [inserted(path.clone())]);
    assert_eq!(drive.image_type() as u8, 1);
    drive.release_host_drive().unwrap();
    assert_eq!(received(&events), [ejected(path.clone())]);

    // A release of an empty host drive sends no event.
    fs::write(&path, []).unwrap();
    drive.attach_host_drive(&path, Access::ReadWrite).unwrap();
    assert_eq!(drive.release_image().unwrap_err().hresult(), HResult::VM_E_MEDIA_WRONG_TYPE);
    drive.release_host_drive().unwrap();
    assert_eq!(received(&events), []);
}

#[test]
fn a_disk_swap_in_a_host_drive_is_a_disk_change_for_the_guest() {
    let (folder, first, second) = two_images();
    let path = folder.path().join("fd0");
    fs::rename(&first, &path).unwrap();
    let (mut guest, drive) = guest();
    drive.attach_host_drive(&path, Access::ReadWrite).unwrap();
    fill(&mut guest, 5, 0xEE).unwrap();
    clear_change_line(&mut guest);
    let events = observed(&drive);
    fs::rename(&second, &path).unwrap();
    assert!(drive.check_host_drive().unwrap());
    assert_eq!(received(&events), [ejected(path.clone()), inserted(path)]);
    assert!(changed(&mut guest));
    assert_eq!(read(&mut guest, 5).unwrap(), [0xBB; SECTOR]);
}

#[test]
fn writes_to_a_host_drive_are_on_its_disk() {
    let (_folder, first, _) = two_images();
    let (mut guest, drive) = guest();
    drive.attach_host_drive(&first, Access::ReadWrite).unwrap();
    fill(&mut guest, 5, 0xEE).unwrap();
    assert_eq!(fs::read(&first).unwrap()[5 * SECTOR..][..SECTOR], [0xEE; SECTOR]);
    drive.flush().unwrap();
    drive.release_host_drive().unwrap();
}

// Several managers

#[test]
fn one_of_two_concurrent_attaches_finds_the_drive_in_use() {
    let (_folder, first, _) = two_images();
    for _ in 0..50 {
        let (_guest, drive) = guest();
        let attach = |drive: FloppyDrive, path: &Path| {
            let path = path.to_owned();
            std::thread::spawn(move || drive.attach_image(path, Access::ReadWrite).map_err(|error| error.hresult()))
        };
        let outcomes =
            [attach(drive.clone(), &first), attach(drive.clone(), &first)].map(|thread| thread.join().unwrap());
        assert!(outcomes.contains(&Ok(())), "{outcomes:?}");
        assert!(outcomes.contains(&Err(HResult::VM_E_DRIVE_IN_USE)), "{outcomes:?}");
    }
}

#[test]
fn observers_end_with_the_controller_with_or_without_a_disk() {
    for with_disk in [true, false] {
        let (guest, drive) = guest();
        let events = observed(&drive);
        if with_disk {
            drive.attach_medium(SectorDisk::formatted(Geometry::HD_1440K, 0)).unwrap();
        }
        drop(guest);
        assert_eq!(events.iter().count(), if with_disk { 2 } else { 0 });
        // An observer that is added later is dropped at once.
        assert_eq!(observed(&drive).iter().count(), 0);
    }
}

// Files in use

/// Returns an error and its causes in one line.
fn line(error: &dyn Error) -> String {
    let links = std::iter::successors(Some(error), |&error| error.source());
    links.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[test]
fn an_image_in_use_by_another_drive_is_reported_with_that_drive() {
    let (folder, first, second) = two_images();
    let fdc = Controller::builder().drive(0, DriveType::Inch3_5Hd).drive(2, DriveType::Inch3_5Hd).build().unwrap();
    let (a, c) = (fdc.drive(0).unwrap(), fdc.drive(2).unwrap());
    c.attach_image(&first, Access::ReadWrite).unwrap();
    let link = folder.path().join("link.img");
    fs::hard_link(&first, &link).unwrap();
    for path in [&first, &link] {
        let error = a.attach_image(path, Access::ReadOnly).unwrap_err();
        assert!(matches!(error, AttachError::CaptureFailed { holder: Some(2), .. }), "{error:?}");
        assert!(error.to_string().contains("attached to drive 2"), "{error}");
        let error = a.attach_host_drive(path, Access::ReadOnly).unwrap_err();
        assert!(matches!(error, AttachError::NoHostDrive { holder: Some(2), .. }), "{error:?}");
    }
    a.attach_image(&second, Access::ReadOnly).unwrap();
    let error = a.swap_image(&first, Access::ReadOnly).unwrap_err();
    assert!(matches!(error, SwapError::Attach(AttachError::CaptureFailed { holder: Some(2), .. })), "{error:?}");
    a.release_image().unwrap();
    c.release_image().unwrap();
    a.attach_image(&first, Access::ReadWrite).unwrap();
    // A user in another machine or program is not known.
    let (_guest, other) = guest();
    let error = other.attach_image(&first, Access::ReadOnly).unwrap_err();
    assert!(matches!(error, AttachError::CaptureFailed { holder: None, .. }), "{error:?}");
    assert!(line(&error).contains("in use"), "{}", line(&error));
}

#[test]
fn a_swap_of_an_image_for_itself_is_reported_with_a_remedy() {
    let (_folder, first, _) = two_images();
    let (_guest, drive) = guest();
    drive.attach_image(&first, Access::ReadWrite).unwrap();
    let error = drive.swap_image(&first, Access::ReadWrite).unwrap_err();
    assert!(matches!(error, SwapError::Attach(AttachError::CaptureFailed { holder: Some(0), .. })), "{error:?}");
    assert!(line(&error).contains("attached to this drive already; release it"), "{}", line(&error));
    drive.release_image().unwrap();
    drive.attach_image(&first, Access::ReadWrite).unwrap();
}

#[test]
fn codes_print_in_hexadecimal() {
    let code = HResult::VM_E_NO_MEDIA_CAPTURED;
    assert_eq!([format!("{code}"), format!("{code:?}")], ["0xA0040652"; 2]);
    assert_eq!([format!("{code:x}"), format!("{code:#X}")], ["a0040652", "0xA0040652"]);
}
