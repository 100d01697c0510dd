//! Containers in a drive: what the guest and the manager of the drive do with them.

use std::{any::Any, fs, path::Path};

use super::{
    containers::{readable, signatures},
    kit::{
        disk::deleted,
        fixture,
        floppy::{SECTOR, fill, folder, guest, read},
    },
};
use vm_fdc::{
    drive::{AttachError, Attachment, HResult, SaveError},
    media::{
        DataRate, FormFactor, Geometry, IfExists, ImageOptions, Sector, SectorDisk, SectorId, SectorTrack,
        container::{ContainerError, DiskFile, ReadOptions, image_disk, save_image_disk},
    },
};

/// Puts a disk into a file of ImageDisk.
fn saved(disk: &SectorDisk, path: &Path) {
    fs::write(path, image_disk(disk, b"").unwrap()).unwrap();
}

#[test]
fn a_guest_writes_to_a_container_and_the_manager_saves_it() {
    let (folder, _) = folder();
    let (path, raw, imd) = (folder.path().join("a.imd"), folder.path().join("b.img"), folder.path().join("b.imd"));
    saved(&SectorDisk::formatted(Geometry::HD_1440K, 0xF6), &path);
    let before = fs::read(&path).unwrap();
    let (mut guest, drive) = guest();
    drive.attach_container(&path, ReadOptions::new()).unwrap();
    assert_eq!((drive.attachment(), drive.image_file()), (Attachment::Image, None));
    assert_eq!(drive.medium_name(), Some(path.display().to_string()));
    fill(&mut guest, 40, 0xA5).unwrap();
    assert_eq!(read(&mut guest, 40).unwrap(), [0xA5; SECTOR]);
    drive.save_image(&raw, IfExists::Fail).unwrap();
    assert_eq!(fs::read(&raw).unwrap()[40 * SECTOR..41 * SECTOR], [0xA5; SECTOR]);
    let medium: Box<dyn Any> = drive.release_medium().unwrap();
    save_image_disk(&medium.downcast::<SectorDisk>().unwrap(), b"", &imd, IfExists::Fail).unwrap();
    assert_eq!(fs::read(&path).unwrap(), before);
    drive.attach_container(&imd, ReadOptions::new()).unwrap();
    assert_eq!(read(&mut guest, 40).unwrap(), [0xA5; SECTOR]);
    assert_eq!(read(&mut guest, 41).unwrap(), [0xF6; SECTOR]);
}

#[test]
fn a_container_is_write_protected_if_that_is_asked_for() {
    let options = ReadOptions::new().with_form_factor(FormFactor::Inch3_5);
    for (protection, value) in [(options, false), (options.with_write_protection(true), true)] {
        let (_guest, drive) = guest();
        drive.attach_container(fixture("teledisk-advanced.td0"), protection).unwrap();
        assert_eq!((drive.is_write_protected(), protection.is_write_protected()), (value, value));
    }
    // As the file says, whatever is asked for.
    let (_folder, path) = folder();
    let (_, d88, _) = readable().pop().unwrap();
    fs::write(&path, d88).unwrap();
    let (_guest, drive) = guest();
    drive.attach_container(&path, options).unwrap();
    assert!(drive.is_write_protected());
}

#[test]
fn what_is_no_container_is_refused_with_a_reason() {
    let (_folder, path) = folder();
    let (_guest, drive) = guest();
    let attach = |path: &Path| drive.attach_container(path, ReadOptions::new()).unwrap_err();
    let error = attach(&path);
    let AttachError::ContainerFailed { drive: 0, source: ContainerError::Unknown, path: said, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!((said, error.hresult()), (&path, HResult::VM_E_IMAGE_CAPTURE_FAIL));
    for (_, bytes, kind) in signatures() {
        fs::write(&path, bytes).unwrap();
        let error = attach(&path);
        let AttachError::ContainerFailed { source: ContainerError::NotReadable { container }, .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!(container, kind);
    }
    assert!(matches!(attach(Path::new("")), AttachError::EmptyPath { drive: 0 }));
    assert!(matches!(attach(Path::new("missing")), AttachError::ContainerFailed { source: ContainerError::Io(_), .. }));
    assert!(matches!(attach(Path::new("a\0b")), AttachError::InvalidPath { .. }));
    assert!(matches!(attach(Path::new(&"x".repeat(5_000))), AttachError::PathTooLong { .. }));
    saved(&SectorDisk::formatted(Geometry::DD_360K, 0), &path);
    assert!(matches!(attach(&path), AttachError::UnsuitableMedium { .. }));
    assert_eq!(drive.attachment(), Attachment::None);
    saved(&SectorDisk::formatted(Geometry::DD_720K, 0), &path);
    drive.attach_container(&path, ReadOptions::new()).unwrap();
    assert!(matches!(attach(&path), AttachError::DriveInUse { drive: 0 }));
    let raw = drive.attach_image(&path, ImageOptions::default()).unwrap_err();
    assert!(matches!(raw, AttachError::DriveInUse { drive: 0 }));
}

#[test]
fn a_disk_of_equal_tracks_is_saved_as_a_raw_image_whatever_its_geometry() {
    let (folder, _) = folder();
    let path = folder.path().join("a.imd");
    // A disk of CP/M, and one whose last cylinders are empty.
    let cp_m = Geometry::new(80, 2, 5, 3, DataRate::Kbps250, FormFactor::Inch3_5).unwrap();
    let single = Geometry::new(35, 1, 16, 1, DataRate::Kbps250, FormFactor::Inch3_5).unwrap();
    for (geometry, cylinders) in [(cp_m, 80), (single, 35), (Geometry::DD_720K, 80)] {
        let mut disk = SectorDisk::unformatted(FormFactor::Inch3_5, 86);
        let formatted = SectorDisk::formatted(geometry, 0xE5);
        for (cylinder, head) in (0..cylinders).flat_map(|cylinder| (0..geometry.heads()).map(move |h| (cylinder, h))) {
            disk.set_track(cylinder, head, formatted.recorded(cylinder, head).unwrap().clone());
        }
        let (_guest, drive) = guest();
        drive.attach_medium(disk).unwrap();
        drive.save_image(&path, IfExists::Replace).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), geometry.bytes(), "{geometry}");
    }
    // What no raw image holds is said, and no file is written.
    let mut disk = SectorDisk::formatted(Geometry::DD_720K, 0xE5);
    let sector = deleted(Sector::good(SectorId { cylinder: 2, head: 0, sector: 1, size_code: 2 }));
    disk.set_track(2, 0, SectorTrack::new(DataRate::Kbps250).with_sector(sector, vec![0; 512]));
    saved(&disk, &path);
    assert!(DiskFile::open(&path, ReadOptions::new()).is_ok());
    let (_guest, drive) = guest();
    drive.attach_container(&path, ReadOptions::new()).unwrap();
    let other = folder.path().join("b.img");
    let error = drive.save_image(&other, IfExists::Fail).unwrap_err();
    assert!(matches!(error, SaveError::NoRawImage { drive: 0 }), "{error:?}");
    assert!(!other.exists());
}
