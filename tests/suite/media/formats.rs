//! The formats of raw images: how a guest reads and writes them, and how a manager determines the format of an image.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use super::kit::{BUFFER, CCR, DMA_READ_FLOPPY, DMA_WRITE_FLOPPY, Guest};
use tempfile::TempDir;
use vm_fdc::{
    FloppyDrive,
    drive::{AttachError, DriveType, HResult},
    media::{Access, FORMATS, FormFactor, Format, Geometry, ImageError, ImageOptions, ImageType, Layout},
};

/// A sector of a disk: cylinder, head, R and N, and its offset in the raw image.
type Place = (u8, u8, u8, u8, usize);

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.img");
    (folder, path)
}

/// Creates an image in which all pieces of 256 bytes differ. Returns its bytes.
fn distinct(path: &Path, bytes: u64) -> Vec<u8> {
    let image: Vec<u8> = (0..bytes).map(|n| (n ^ (n >> 8).wrapping_mul(0x9E37_79B9) >> 3) as u8).collect();
    fs::write(path, &image).unwrap();
    image
}

/// Returns a guest with the image in a drive that accepts it, at the data rate of the disk in this drive.
fn guest_with(path: &Path, drive_type: DriveType, layout: Layout) -> (Guest, FloppyDrive) {
    let (mut guest, drive) = Guest::with_drive(drive_type);
    drive.attach_image(path, ImageOptions::new(Access::ReadWrite).with_layout(layout)).unwrap();
    let rate = match layout.rate().kbps() {
        1000 => 3,
        500 => 0,
        // A 5.25" disk of double density rotates faster in a drive of high density.
        250 if drive_type == DriveType::Inch5_25Hd => 1,
        300 => 1,
        _ => 2,
    };
    guest.bus.write(CCR, rate);
    (guest, drive)
}

/// Reads a sector of any size to the buffer, or writes it from the buffer.
fn transfer(guest: &mut Guest, opcode: u8, (cylinder, head, sector, size_code, _): Place, step: u8) -> [u8; 3] {
    guest.seek(cylinder * step);
    let mode = if opcode == 0x46 { DMA_READ_FLOPPY } else { DMA_WRITE_FLOPPY };
    guest.program_dma(mode, BUFFER, 128 << size_code);
    let reply = guest.command(&[opcode, head << 2, cylinder, head, sector, size_code, sector, 0x1B, 0xFF]);
    [reply[0] & 0xC0, reply[1], reply[2]]
}

/// Returns the sectors of a disk with equal tracks.
fn places(geometry: &Geometry) -> Vec<Place> {
    let (heads, sectors, size) = (geometry.heads(), geometry.sectors(), geometry.sector_size());
    let tracks = (0..geometry.cylinders()).flat_map(|cylinder| (0..heads).map(move |head| (cylinder, head)));
    let all = tracks.flat_map(|(cylinder, head)| (1..=sectors).map(move |sector| (cylinder, head, sector)));
    all.enumerate()
        .map(|(n, (cylinder, head, sector))| (cylinder, head, sector, geometry.size_code(), n * size))
        .collect()
}

/// Returns the sectors of a 5.25" XDF disk in the same way.
fn xdf_5_25_places() -> Vec<Place> {
    let mut places = Vec::new();
    let mut at = |place: Place| places.push(place);
    (0..8).for_each(|n| at((0, 0, 0x81 + n, 2, usize::from(n) * 512)));
    (0..2).for_each(|n| at((0, 1, 0x81 + n, 2, (8 + usize::from(n)) * 512)));
    (0..8).for_each(|n| at((0, 0, 1 + n, 2, (10 + usize::from(n)) * 512)));
    (0..14).for_each(|n| at((0, 1, 0x83 + n, 2, (19 + usize::from(n)) * 512)));
    for cylinder in 1..80 {
        let mut offset = usize::from(cylinder) * 2 * 19 * 512;
        for (head, size_code) in [(0, 3), (0, 6), (1, 2), (0, 2), (1, 6), (1, 3)] {
            at((cylinder, head, 0x80 | size_code, size_code, offset));
            offset += 128 << size_code;
        }
    }
    places
}

/// Returns the sectors of a 3.5" XDF disk according to its description: for each cylinder in the order of the image.
fn xdf_places() -> Vec<Place> {
    let mut places = Vec::new();
    let mut at = |place: Place| places.push(place);
    // The first cylinder: boot sector and FAT, the small file system, the root directory, the first data.
    (0..11).for_each(|n| at((0, 0, 0x81 + n, 2, usize::from(n) * 512)));
    at((0, 1, 0x81, 2, 11 * 512));
    (0..8).for_each(|n| at((0, 0, 1 + n, 2, (12 + usize::from(n)) * 512)));
    (0..14).for_each(|n| at((0, 1, 0x82 + n, 2, (23 + usize::from(n)) * 512)));
    (0..4).for_each(|n| at((0, 1, 0x90 + n, 2, (42 + usize::from(n)) * 512)));
    // The other cylinders, in which R contains N.
    for cylinder in 1..80 {
        let mut offset = usize::from(cylinder) * 2 * 23 * 512;
        for (head, size_code) in [(0, 3), (0, 4), (1, 6), (0, 2), (1, 2), (0, 6), (1, 4), (1, 3)] {
            at((cylinder, head, 0x80 | size_code, size_code, offset));
            offset += 128 << size_code;
        }
    }
    places
}

#[test]
fn a_guest_reads_and_writes_the_sectors_of_every_format_at_their_offsets() {
    // §9.7, §9.8
    let (_folder, path) = folder();
    for format in FORMATS {
        let mut image = distinct(&path, format.bytes());
        let drive_type = DriveType::ALL.into_iter().find(|drive| drive.accepts(format.layout)).unwrap();
        let (mut guest, drive) = guest_with(&path, drive_type, format.layout);
        let double_step = drive_type == DriveType::Inch5_25Hd
            && format.layout.cylinders() < 50
            && format.layout.form_factor() == FormFactor::Inch5_25;
        let step = if double_step { 2 } else { 1 };
        let places = match &format.layout {
            Layout::Xdf => xdf_places(),
            Layout::Xdf5_25 => xdf_5_25_places(),
            layout => places(layout.geometry().unwrap()),
        };
        // Of regular disks a selection with every cylinder, head and sector number; of XDF all sectors.
        let stride = if format.layout.geometry().is_none() { 1 } else { 7 };
        for &place in places.iter().step_by(stride).chain(places.last()) {
            let (bytes, offset) = (128 << place.3, place.4);
            assert_eq!(transfer(&mut guest, 0x46, place, step), [0; 3], "{format}: {place:?}");
            assert_eq!(guest.buffer(bytes), &image[offset..][..bytes], "{format}: {place:?}");
        }
        for &place in places.iter().step_by(stride * 11) {
            let (bytes, offset) = (128 << place.3, place.4);
            image[offset..][..bytes].fill(offset as u8 ^ 0x5A);
            guest.buffer_mut(bytes).fill(offset as u8 ^ 0x5A);
            assert_eq!(transfer(&mut guest, 0x45, place, step), [0; 3], "{format}: {place:?}");
        }
        drive.release_image().unwrap();
        assert!(fs::read(&path).unwrap() == image, "{format}");
    }
}

#[test]
fn the_sectors_of_xdf_are_distinct_and_use_all_but_eight_sectors_of_the_image() {
    // §9.8
    let places = xdf_places();
    let bytes: usize = places.iter().map(|place| 128 << place.3).sum();
    assert_eq!(bytes + 8 * 512, 1_884_160);
    assert_eq!(places.iter().map(|place| place.4).collect::<HashSet<_>>().len(), places.len());
}

#[test]
fn six_places_of_the_image_of_5_25_inch_xdf_are_on_no_track() {
    // §9.8
    let places = xdf_5_25_places();
    let bytes: usize = places.iter().map(|place| 128 << place.3).sum();
    assert_eq!(bytes + 6 * 512, 1_556_480);
    assert_eq!(places.iter().map(|place| place.4).collect::<HashSet<_>>().len(), places.len());
}

#[test]
fn a_track_of_xdf_shows_its_ids_and_cannot_be_formatted() {
    // §9.8
    let (_folder, path) = folder();
    distinct(&path, 1_884_160);
    let (mut guest, drive) = guest_with(&path, DriveType::Inch3_5Hd, Layout::Xdf);
    guest.seek(40);
    let ids: HashSet<_> = (0..4).map(|_| guest.command(&[0x4A, 0x04])[3..7].to_vec()).collect();
    assert_eq!(ids, [2, 3, 4, 6].map(|n| vec![40, 1, 0x80 | n, n]).into());
    let before = fs::read(&path).unwrap();
    guest.program_dma(DMA_WRITE_FLOPPY, BUFFER, 16);
    assert_eq!(guest.command(&[0x4D, 0x04, 2, 4, 0x6C, 0xF6])[0] & 0xC0, 0x40);
    drive.release_image().unwrap();
    assert!(fs::read(&path).unwrap() == before);
}

#[test]
fn every_image_type_is_reported() {
    // VMFloppyDiskImageType
    let (_folder, path) = folder();
    let (single, xdf) = (FORMATS.iter().find(|format| format.name == "360K single-sided").unwrap().layout, Layout::Xdf);
    let dmf = FORMATS.iter().find(|format| format.name == "1.68M DMF").unwrap().layout;
    for (layout, drive_type, number) in [
        (Geometry::DD_360K.into(), DriveType::Inch5_25Dd, 0),
        (Geometry::DD_720K.into(), DriveType::Inch3_5Dd, 1),
        (Geometry::HD_1440K.into(), DriveType::Inch3_5Hd, 2),
        (dmf, DriveType::Inch3_5Hd, 3),
        (single, DriveType::Inch3_5Dd, 4),
        (Geometry::HD_1200K.into(), DriveType::Inch5_25Hd, 5),
        (xdf, DriveType::Inch3_5Hd, 6),
    ] {
        distinct(&path, layout.bytes());
        let (_guest, drive) = guest_with(&path, drive_type, layout);
        assert_eq!(drive.image_type() as u8, number, "{layout}");
        assert_eq!(drive.layout(), Some(layout));
        drive.release_image().unwrap();
        assert_eq!((drive.image_type(), drive.layout()), (ImageType::Unknown, None));
    }
}

// Sizes of two formats

/// Creates an image of this size whose BIOS parameter block has these sectors per track and heads.
fn with_parameters(path: &Path, bytes: u64, sectors: u16, heads: u16) {
    let mut image = distinct(path, bytes);
    image[0x0B..0x0D].copy_from_slice(&512u16.to_le_bytes());
    image[0x18..0x1A].copy_from_slice(&sectors.to_le_bytes());
    image[0x1A..0x1C].copy_from_slice(&heads.to_le_bytes());
    fs::write(path, image).unwrap();
}

#[test]
fn the_boot_sector_decides_between_formats_only_if_it_is_trusted() {
    // §9.7
    let (_folder, path) = folder();
    let plain = ImageOptions::new(Access::ReadOnly);
    for (sectors, heads, cylinders) in [(9, 1, Some(80)), (9, 2, Some(40)), (8, 2, None), (0, 0, None)] {
        with_parameters(&path, 368_640, sectors, heads);
        let untrusted = vm_fdc::media::Image::open(&path, plain);
        assert!(matches!(untrusted, Err(ImageError::AmbiguousSize { .. })));
        let trusted = vm_fdc::media::Image::open(&path, plain.with_boot_sector_geometry());
        assert_eq!(trusted.ok().map(|image| image.layout().unwrap().cylinders()), cylinders, "{sectors}, {heads}");
    }
}

#[test]
fn the_boot_sector_is_ignored_if_the_size_has_one_format() {
    // §9.7: the boot sector does not decide on the length
    let (_folder, path) = folder();
    with_parameters(&path, 1_474_560, 21, 2);
    let (_guest, drive) = Guest::with_drive(DriveType::Inch3_5Hd);
    drive.attach_image(&path, ImageOptions::new(Access::ReadOnly).with_boot_sector_geometry()).unwrap();
    assert_eq!(drive.layout(), Some(Geometry::HD_1440K.into()));
    with_parameters(&path, 1_474_561, 18, 2);
    drive.release_image().unwrap();
    drive.attach_image(&path, ImageOptions::new(Access::ReadOnly).with_boot_sector_geometry()).unwrap_err();
}

// The wrong drive

#[test]
fn a_disk_for_another_drive_is_refused_with_the_drives_that_take_it() {
    // §9.2
    let (_folder, path) = folder();
    let ed = [DriveType::Inch3_5Ed];
    let hd = [DriveType::Inch3_5Hd, DriveType::Inch3_5Ed];
    let five = [DriveType::Inch5_25Dd, DriveType::Inch5_25Hd];
    for (bytes, drive_type, could) in [
        (2_949_120, DriveType::Inch3_5Dd, &ed[..]),
        (2_949_120, DriveType::Inch3_5Hd, &ed[..]),
        (1_720_320, DriveType::Inch3_5Dd, &hd[..]),
        (163_840, DriveType::Inch3_5Hd, &five[..]),
    ] {
        distinct(&path, bytes);
        let (_guest, drive) = Guest::with_drive(drive_type);
        let error = drive.attach_image(&path, Access::ReadOnly).unwrap_err();
        let AttachError::CaptureFailed { suitable, .. } = &error else { panic!("{error:?}") };
        assert_eq!(suitable, could);
        assert!(could.iter().all(|drive| error.to_string().contains(&drive.to_string())), "{error}");
        assert_eq!(error.hresult(), HResult::VM_E_IMAGE_CAPTURE_FAIL);

        // The same with a given layout, and with a host drive.
        let layout = Format::of_size(bytes).next().unwrap().layout;
        let error = drive.attach_image(&path, ImageOptions::new(Access::ReadOnly).with_layout(layout)).unwrap_err();
        assert!(matches!(error, AttachError::CaptureFailed { suitable, .. } if suitable == could));
        let error = drive.attach_host_drive(&path, Access::ReadOnly).unwrap_err();
        assert!(matches!(error, AttachError::NoHostDrive { suitable, .. } if suitable == could));
    }
}
