//! Images in files that are given open, and what managers learn of media without a path.
#![cfg(unix)]

use std::{
    fs::{self, File},
    os::fd::OwnedFd,
};

use super::kit::floppy::{BYTES, SECTOR, byte_of, fill, folder, guest, read};
use super::kit::{Guest, stub::Stub};
use vm_fdc::{
    drive::{AttachError, Attachment, DriveType, MediaEvent},
    media::{Access, Fault, FaultyMedium, Geometry, Image, ImageError, ImageOptions, ImageType, Length},
};

/// The file, open for reads and writes.
fn open(path: &std::path::Path) -> File {
    File::options().read(true).write(true).open(path).unwrap()
}

#[test]
fn a_guest_uses_a_file_that_was_given_open() {
    for access in [Access::ReadWrite, Access::ReadOnly, Access::Private, Access::ReadWriteIfPermitted] {
        let (_folder, path) = folder();
        let (mut guest, drive) = guest();
        let descriptor: OwnedFd = open(&path).into();
        drive.attach_file(descriptor, access).unwrap();
        assert_eq!((drive.attachment(), drive.image_file()), (Attachment::Image, None));
        assert_eq!((drive.layout(), drive.image_type()), (Some(Geometry::HD_1440K.into()), ImageType::HighDensity));
        assert_eq!(read(&mut guest, 2_000).unwrap(), [byte_of(2_000); SECTOR]);
        assert_eq!(fill(&mut guest, 5, 0xA5).is_ok(), access != Access::ReadOnly);
        drive.release_image().unwrap();
        let changed = fs::read(&path).unwrap()[5 * SECTOR] == 0xA5;
        assert_eq!(changed, matches!(access, Access::ReadWrite | Access::ReadWriteIfPermitted));
    }
}

#[test]
fn a_file_without_a_name_is_as_good() {
    let (mut guest, drive) = guest();
    let file = tempfile::tempfile().unwrap();
    file.set_len(BYTES as u64).unwrap();
    drive.attach_file(file.try_clone().unwrap(), Access::ReadWrite).unwrap();
    fill(&mut guest, 5, 0xA5).unwrap();
    drive.release_image().unwrap();
    let mut sector = [0; SECTOR];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut sector, 5 * SECTOR as u64).unwrap();
    assert_eq!(sector, [0xA5; SECTOR]);
}

#[test]
fn an_open_file_can_be_short_and_grows() {
    let (mut guest, drive) = guest();
    let file = tempfile::tempfile().unwrap();
    file.set_len(1_000).unwrap();
    let options = ImageOptions::new(Access::ReadWrite).with_length(Length::Pad);
    drive.attach_file(file.try_clone().unwrap(), options).unwrap();
    fill(&mut guest, 5, 0xA5).unwrap();
    drive.release_image().unwrap();
    assert_eq!(file.metadata().unwrap().len(), 6 * SECTOR as u64);
}

#[test]
fn a_file_that_is_not_open_for_what_is_asked_is_refused() {
    let (_folder, path) = folder();
    let named = |access| ImageOptions::new(access).with_geometry(Geometry::HD_1440K);
    let [reads, writes] = [true, false]
        .map(|reads| move |path: &std::path::Path| File::options().read(reads).write(!reads).open(path).unwrap());
    let refused = Image::from_file(reads(&path), named(Access::ReadWrite)).unwrap_err();
    assert!(matches!(refused, ImageError::Open(_)), "{refused:?}");
    for access in [Access::ReadWrite, Access::ReadOnly, Access::Private] {
        let refused = Image::from_file(writes(&path), named(access)).unwrap_err();
        assert!(matches!(refused, ImageError::Open(_)), "{refused:?}");
    }
    let image = Image::from_file(reads(&path), named(Access::ReadWriteIfPermitted)).unwrap();
    assert_eq!(image.access(), Access::ReadOnly);
}

#[test]
fn what_is_no_file_and_what_is_no_disk_is_refused() {
    let (folder, path) = folder();
    let (_guest, drive) = guest();
    for file in [File::open(folder.path()).unwrap(), open("/dev/null".as_ref())] {
        let error = drive.attach_file(file, Access::ReadOnly).unwrap_err();
        assert!(matches!(error, AttachError::CaptureFailed { source: ImageError::WrongFileType, .. }), "{error:?}");
    }
    open(&path).set_len(1_000).unwrap();
    let error = drive.attach_file(open(&path), Access::ReadOnly).unwrap_err();
    assert!(matches!(error, AttachError::CaptureFailed { source: ImageError::UnknownSize { .. }, .. }), "{error:?}");
    open(&path).set_len(2_949_120).unwrap();
    let error = drive.attach_file(open(&path), Access::ReadOnly).unwrap_err();
    assert!(matches!(error, AttachError::CaptureFailed { source: ImageError::WrongDrive { .. }, .. }), "{error:?}");
    assert!(error.to_string().contains("the open file"), "{error}");
    assert_eq!(drive.attachment(), Attachment::None);
}

#[test]
fn an_open_file_is_locked() {
    let (_folder, path) = folder();
    let named = ImageOptions::new(Access::ReadWrite).with_geometry(Geometry::HD_1440K);
    let _image = Image::from_file(open(&path), named).unwrap();
    assert!(matches!(Image::open(&path, named), Err(ImageError::InUse { path: Some(_) })));
    assert!(matches!(Image::from_file(open(&path), named), Err(ImageError::InUse { path: None })));
}

#[test]
fn an_opened_image_goes_into_a_drive_that_takes_it() {
    let (_folder, path) = folder();
    let named = ImageOptions::new(Access::ReadOnly).with_geometry(Geometry::HD_1440K);
    let (_guest, drive) = Guest::with_drive(DriveType::Inch3_5Dd);
    let error = drive.attach_opened_image(Image::open(&path, named).unwrap()).unwrap_err();
    assert!(matches!(error, AttachError::UnsuitableMedium { drive: 0, .. }), "{error:?}");

    let (_guest, drive) = guest();
    let (sender, events) = std::sync::mpsc::channel();
    drive.observe(sender);
    drive.attach_opened_image(Image::open(&path, named).unwrap().with_name("a")).unwrap();
    assert_eq!((drive.image_file(), drive.medium_name()), (Some(path.clone()), Some("a".to_owned())));
    assert_eq!(events.recv().unwrap(), MediaEvent::Inserted { drive: 0, path: Some(path.clone()) });
    let error = drive.attach_opened_image(Image::open(&path, named).unwrap()).unwrap_err();
    assert!(matches!(error, AttachError::DriveInUse { drive: 0 }), "{error:?}");
}

#[cfg(feature = "serde")]
#[test]
fn a_saved_state_asks_for_an_open_file_by_its_name() {
    use vm_fdc::{
        Controller, NoInterrupt,
        dma::NoDma,
        drive::{RestoreMedium, StateOptions},
    };

    let (_folder, path) = folder();
    for access in [Access::ReadWrite, Access::ReadOnly, Access::Private] {
        let image = || {
            let named = ImageOptions::new(access).with_geometry(Geometry::HD_1440K);
            Image::from_file(open(&path), named).unwrap().with_name("a")
        };
        let fdc = Controller::builder().drive(0, DriveType::Inch3_5Hd).build().unwrap();
        fdc.drive(0).unwrap().attach_opened_image(image()).unwrap();
        let state = fdc.state(StateOptions::new()).unwrap();
        drop(fdc);
        let mut asked = None;
        let restored = Controller::from_state(state.clone(), NoInterrupt, NoDma, |_, medium: &_| {
            asked = Some(medium.clone());
            RestoreMedium::from(image())
        });
        let medium: vm_fdc::drive::MediumStateV1 = asked.unwrap();
        assert_eq!((medium.name.as_deref(), medium.path, medium.access), (Some("a"), None, access));
        // What a guest wrote to a private image is nowhere else.
        assert_eq!(medium.contents.is_some(), access == Access::Private);
        assert_eq!(restored.unwrap().drive(0).unwrap().medium_name().as_deref(), Some("a"));
        assert!(Controller::from_state(state, NoInterrupt, NoDma, |_, _| RestoreMedium::Reopen).is_err());
    }
}

#[test]
fn a_medium_of_the_embedder_describes_itself_to_managers() {
    let cases = [
        (None, None, ImageType::Unknown),
        (Some(Geometry::HD_1440K.into()), None, ImageType::HighDensity),
        (None, Some(ImageType::Dmf), ImageType::Dmf),
    ];
    for (layout, own_type, image_type) in cases {
        let (_guest, drive) = guest();
        let name = Some("overlay of a.qcow2".to_owned());
        let medium = Stub { name, layout, image_type: own_type, write_protected: true, ..Stub::default() };
        // A medium around another is described as that one.
        drive.attach_medium(FaultyMedium::new(medium).with_fault(0, 0, 1, Fault::HostIo)).unwrap();
        assert_eq!((drive.layout(), drive.image_type()), (layout, image_type));
        assert_eq!(drive.medium_name().as_deref(), Some("overlay of a.qcow2"));
        drive.release_image().unwrap();
        assert_eq!((drive.layout(), drive.image_type(), drive.medium_name()), (None, ImageType::Unknown, None));
    }
}
