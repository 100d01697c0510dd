//! New images: blank or formatted, and a replacement of an existing file only if it is requested.

use std::fs;

use super::kit::{CCR, Guest, Sectors};
use vm_fdc::{
    drive::DriveType,
    media::{Access, BlankImage, CreateError, FORMATS, Geometry, IfExists, ImageOptions},
};

#[test]
fn a_blank_image_of_every_format_attaches() {
    let folder = tempfile::tempdir().unwrap();
    for (n, format) in FORMATS.iter().enumerate() {
        let path = folder.path().join(n.to_string());
        BlankImage::new(format.layout).create(&path, IfExists::Fail).unwrap();
        let image = fs::read(&path).unwrap();
        assert_eq!(image.len() as u64, format.bytes());
        assert!(image.iter().all(|&byte| byte == 0xF6));
        let drive_type = DriveType::ALL.into_iter().find(|drive| drive.accepts(format.layout)).unwrap();
        let (_guest, drive) = Guest::with_drive(drive_type);
        drive.attach_image(&path, ImageOptions::new(Access::ReadWrite).with_layout(format.layout)).unwrap();
    }
}

#[test]
fn an_existing_file_is_kept_unless_replacement_is_requested() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.img");
    fs::write(&path, "mine").unwrap();
    let blank = BlankImage::new(Geometry::HD_1440K).with_filler(0);
    let error = blank.create(&path, IfExists::Fail).unwrap_err();
    assert!(matches!(&error, CreateError::Exists { path: reported } if *reported == path), "{error:?}");
    assert_eq!(fs::read(&path).unwrap(), b"mine");
    blank.create(&path, IfExists::Replace).unwrap();
    assert_eq!(fs::read(&path).unwrap(), [0; 1_474_560]);
    // No temporary file is left.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_user_of_a_replaced_file_keeps_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.img");
    BlankImage::new(Geometry::HD_1440K).with_filler(1).create(&path, IfExists::Fail).unwrap();
    let (mut guest, drive) = Guest::with_drive(DriveType::Inch3_5Hd);
    guest.bus.write(CCR, 0);
    drive.attach_image(&path, Access::ReadOnly).unwrap();
    BlankImage::new(Geometry::HD_1440K).with_filler(2).create(&path, IfExists::Replace).unwrap();
    guest.read_dma(Sectors { cylinder: 0, head: 0, sector: 1, bytes: 512, end_of_track: 18 }).unwrap();
    assert_eq!(guest.buffer(512), [1; 512]);
}

#[cfg(unix)]
#[test]
fn a_dangling_link_counts_as_an_existing_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("link");
    std::os::unix::fs::symlink(folder.path().join("nowhere"), &path).unwrap();
    let error = BlankImage::new(Geometry::HD_1440K).create(&path, IfExists::Fail).unwrap_err();
    assert!(matches!(error, CreateError::Exists { .. }), "{error:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_failed_creation_is_reported_and_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let blank = BlankImage::new(Geometry::HD_1440K);
    assert!(matches!(blank.create("", IfExists::Fail), Err(CreateError::NoName { .. })));
    assert!(matches!(blank.create("/", IfExists::Replace), Err(CreateError::NoName { .. })));
    let missing = folder.path().join("no folder").join("a.img");
    let long = folder.path().join("a".repeat(5_000));
    for path in [missing, folder.path().join("a\0b"), long] {
        for if_exists in [IfExists::Fail, IfExists::Replace] {
            let error = blank.create(&path, if_exists).unwrap_err();
            assert!(matches!(&error, CreateError::Io { path: reported, .. } if *reported == path), "{error:?}");
        }
    }
    // A folder at the path is no file that can be replaced.
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    assert!(blank.create(&inner, IfExists::Replace).is_err());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn one_of_many_concurrent_creations_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.img");
    let outcomes = std::thread::scope(|scope| {
        let create = |filler| {
            let path = &path;
            scope.spawn(move || {
                BlankImage::new(Geometry::DD_360K).with_filler(filler).create(path, IfExists::Fail).is_ok()
            })
        };
        let threads: Vec<_> = (0..8).map(create).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let winner = outcomes.iter().position(|&created| created).unwrap();
    assert_eq!(outcomes.iter().filter(|&&created| created).count(), 1, "{outcomes:?}");
    assert_eq!(fs::read(&path).unwrap(), [winner as u8; 368_640]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[cfg(feature = "fat")]
mod fat {
    use std::io::Cursor;

    use hadris_fat::sync::FatVolume;
    use vm_fdc::media::{DataRate, FormFactor, Format, Layout};

    use super::*;

    /// The formats of DOS: media descriptor, sectors in a cluster, entries in the root directory, sectors in a FAT.
    const DOS: [(&str, u8, u8, u16, u16); 8] = [
        ("160K", 0xFE, 1, 64, 1),
        ("180K", 0xFC, 1, 64, 2),
        ("320K", 0xFF, 2, 112, 1),
        ("360K", 0xFD, 2, 112, 2),
        ("720K", 0xF9, 2, 112, 3),
        ("1.2M", 0xF9, 1, 224, 7),
        ("1.44M", 0xF0, 1, 224, 9),
        ("2.88M", 0xF0, 2, 240, 9),
    ];

    fn format(name: &str) -> &'static Format {
        FORMATS.iter().find(|format| format.name == name).unwrap()
    }

    #[test]
    fn every_regular_disk_can_have_a_file_system_that_another_library_reads() {
        for format in FORMATS {
            let image = BlankImage::new(format.layout).with_fat("My disk").unwrap().to_bytes();
            let Some(geometry) = format.layout.geometry() else {
                assert!(matches!(image, Err(CreateError::NoFat { layout: Layout::Xdf | Layout::Xdf5_25, .. })));
                continue;
            };
            let image = image.unwrap();
            assert_eq!(image.len() as u64, format.bytes(), "{format}");
            let word = |at: usize| u16::from_le_bytes([image[at], image[at + 1]]);
            let sectors = format.bytes() / geometry.sector_size() as u64;
            assert_eq!(usize::from(word(0x0B)), geometry.sector_size(), "{format}");
            assert_eq!(u64::from(word(0x13)), sectors, "{format}");
            assert_eq!((word(0x18), word(0x1A)), (geometry.sectors().into(), geometry.heads().into()), "{format}");
            assert_eq!(image[510..512], [0x55, 0xAA], "{format}");
            let volume = FatVolume::open(Cursor::new(&image[..])).unwrap_or_else(|error| panic!("{format}: {error}"));
            assert_eq!(volume.root_dir().entries().count(), 0, "{format}");
        }
    }

    #[test]
    fn a_disk_that_cannot_have_a_file_system_is_an_error() {
        for (cylinders, heads) in [(1, 1), (40, 1), (80, 2), (86, 2)] {
            for (size_code, sectors) in
                (0..=7).flat_map(|size_code| [1, 2, 5, 8, 9, 15, 18, 26, 36, 63].map(|sectors| (size_code, sectors)))
            {
                let (rate, form_factor) = (DataRate::Kbps1000, FormFactor::Inch3_5);
                let geometry = Geometry::new(cylinders, heads, sectors, size_code, rate, form_factor);
                let Ok(geometry) = geometry else { continue };
                let image = BlankImage::new(geometry).with_fat("").unwrap().to_bytes();
                let length = geometry.bytes();
                match image {
                    Ok(image) => assert_eq!(image.len() as u64, length),
                    Err(error) => assert!(matches!(error, CreateError::NoFat { .. }), "{geometry:?}: {error}"),
                }
            }
        }
        let sectors_of_256 = Geometry::new(80, 2, 26, 1, DataRate::Kbps500, FormFactor::Inch5_25).unwrap();
        let error = BlankImage::new(sectors_of_256).with_fat("").unwrap().to_bytes().unwrap_err();
        assert!(matches!(error, CreateError::NoFat { source: None, .. }), "{error}");
    }

    #[test]
    fn the_disk_formats_of_dos_get_the_parameters_of_dos() {
        for (name, media, cluster, root, fat) in DOS {
            let image = BlankImage::new(format(name).layout).with_fat("").unwrap().to_bytes().unwrap();
            let word = |at: usize| u16::from_le_bytes([image[at], image[at + 1]]);
            assert_eq!((image[0x15], image[0x0D], word(0x11), word(0x16)), (media, cluster, root, fat), "{name}");
        }
    }
}

#[test]
fn existing_files_with_names_of_temporary_files_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    for count in 0..200 {
        fs::write(folder.path().join(format!(".vm-fdc-{}-{count}.new", std::process::id())), "another's").unwrap();
    }
    BlankImage::new(Geometry::HD_1440K).create(folder.path().join("a.img"), IfExists::Replace).unwrap();
    let others = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(others.filter(|path| fs::read(path).unwrap() == b"another's").count(), 200);
}

#[test]
fn temporary_files_that_nobody_writes_any_more_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let day = std::time::Duration::from_secs(24 * 60 * 60);
    for (name, age) in [(".vm-fdc-1-0.new", 2 * day), (".vm-fdc-1-1.new", day / 2), (".vm-fdc-1-2.old", 2 * day)] {
        let file = fs::File::create(folder.path().join(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - age).unwrap();
    }
    BlankImage::new(Geometry::HD_1440K).create(folder.path().join("a.img"), IfExists::Fail).unwrap();
    let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [".vm-fdc-1-1.new", ".vm-fdc-1-2.old", "a.img"]);
}

#[test]
fn a_file_name_of_the_greatest_length_works() {
    let folder = tempfile::tempdir().unwrap();
    BlankImage::new(Geometry::HD_1440K).create(folder.path().join("a".repeat(255)), IfExists::Fail).unwrap();
}

#[cfg(unix)]
#[test]
fn a_replaced_file_keeps_its_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.img");
    fs::write(&path, "mine").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    BlankImage::new(Geometry::HD_1440K).create(&path, IfExists::Replace).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}
