//! The tables of the guide that say which files there are and what becomes of each. They are made here, from what the library
//! does with such files. `cargo test --all-features --test suite -- --ignored make_the_tables_of_the_guide` renews them.

use std::{fs, fs::File, path::Path};

use super::{
    containers::{readable, signatures, unsupported},
    kit::Guest,
};
use vm_fdc::{
    drive::{AttachError, DriveType},
    media::{
        Access, FORMATS, Format, Image, ImageError, ImageOptions, Layout, Length,
        container::{Container, ContainerError, DiskFile, ReadOptions, image_disk, recognize},
    },
};

const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/guide.md");

/// The tables, after the marks behind which they are in the guide.
fn tables() -> [(&'static str, String); 4] {
    [
        ("<!-- Table of sizes -->", sizes()),
        ("<!-- Table of sizes of several formats -->", sizes_of_several_formats()),
        ("<!-- Table of other lengths -->", other_lengths()),
        ("<!-- Table of containers -->", containers()),
    ]
}

#[test]
fn the_tables_of_the_guide_are_as_the_library_is() {
    let guide = fs::read_to_string(GUIDE).unwrap();
    for (mark, table) in tables() {
        assert!(guide.contains(&format!("{mark}\n{table}\n")), "the table should be:\n{table}");
    }
}

#[test]
#[ignore = "it writes to the guide"]
fn make_the_tables_of_the_guide() {
    let mut guide = fs::read_to_string(GUIDE).unwrap();
    for (mark, table) in tables() {
        let (before, after) = guide.split_once(&format!("{mark}\n")).unwrap();
        // A table ends with an empty line.
        let (_old, behind) = after.split_once("\n\n").unwrap();
        guide = format!("{before}{mark}\n{table}\n{behind}");
    }
    fs::write(GUIDE, guide).unwrap();
}

/// Returns a table with these columns.
fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rows = rows.into_iter().map(|row| line(&row)).collect::<String>();
    line(&head.map(str::to_owned)) + &format!("|{}\n", "---|".repeat(N)) + &rows
}

/// A drive prints as its size and the capacity of its disks.
fn capacity(drive_type: DriveType) -> String {
    drive_type.to_string().split(' ').nth(1).unwrap().to_owned()
}

fn sizes() -> String {
    let rows = FORMATS.iter().map(|format| {
        let drives = DriveType::ALL.into_iter().filter(|drive| drive.accepts(format.layout)).map(capacity);
        let block = format.layout.bios_parameters();
        let block = format!("{}, {}, {}", block.total_sectors, block.sectors_per_track, block.heads);
        let (bytes, drives) = (format.bytes().to_string(), drives.collect::<Vec<_>>().join(", "));
        [bytes, format.name.to_owned(), format.layout.to_string(), block, drives]
    });
    table(["size", "format", "layout", "boot sector", "drives"], rows)
}

fn name(layout: Layout) -> String {
    FORMATS.iter().find(|format| format.layout == layout).unwrap().name.to_owned()
}

/// Returns what a drive makes of a file.
fn attached(drive_type: DriveType, path: &Path, length: Length) -> String {
    let (_guest, drive) = Guest::with_drive(drive_type);
    match drive.attach_image(path, ImageOptions::new(Access::ReadOnly).with_length(length)) {
        Ok(()) => name(drive.layout().unwrap()),
        Err(AttachError::CaptureFailed { source: ImageError::AmbiguousSize { .. }, .. }) => "ambiguous".to_owned(),
        Err(AttachError::CaptureFailed { source: ImageError::WrongDrive { .. }, .. }) => "–".to_owned(),
        Err(AttachError::CaptureFailed { source: ImageError::UnknownSize { .. }, .. }) => "refused".to_owned(),
        Err(error) => panic!("{error}"),
    }
}

fn of_length(path: &Path, length: u64) {
    File::create(path).unwrap().set_len(length).unwrap();
}

fn sizes_of_several_formats() -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.img");
    let mut sizes: Vec<_> =
        FORMATS.iter().map(Format::bytes).filter(|&size| Format::of_size(size).count() > 1).collect();
    sizes.dedup();
    let rows = sizes.into_iter().map(|size| {
        of_length(&path, size);
        let [dd5, hd5, dd3, hd3, ed3] = DriveType::ALL.map(|drive| attached(drive, &path, Length::Exact));
        let alone = Image::open(&path, Access::ReadOnly).unwrap_err();
        assert!(matches!(alone, ImageError::AmbiguousSize { .. }), "{alone}");
        [size.to_string(), dd5, hd5, dd3, hd3, ed3]
    });
    let heads = DriveType::ALL.map(|drive| format!("in a {} drive", capacity(drive)));
    let [dd5, hd5, dd3, hd3, ed3] = heads.each_ref().map(String::as_str);
    table(["size", dd5, hd5, dd3, hd3, ed3], rows)
}

fn other_lengths() -> String {
    use DriveType::{Inch3_5Dd, Inch3_5Ed, Inch3_5Hd, Inch5_25Dd, Inch5_25Hd};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.img");
    let files = [
        (1_296_384, Inch3_5Hd),
        (1_424_460, Inch3_5Hd),
        (1_433_600, Inch3_5Hd),
        (1_474_561, Inch3_5Hd),
        (1_474_560 + 128, Inch3_5Hd),
        (1_474_560 + 512, Inch3_5Hd),
        (1_474_560 + 4_096, Inch3_5Hd),
        (1_474_560 + 65_537, Inch3_5Hd),
        (1_200_000, Inch5_25Hd),
        (1_228_801, Inch5_25Hd),
        (2_000_000, Inch3_5Ed),
        (700_000, Inch3_5Dd),
        (700_000, Inch3_5Hd),
        (737_281, Inch3_5Hd),
        (300_000, Inch5_25Dd),
    ];
    let rows = files.into_iter().map(|(length, drive)| {
        of_length(&path, length);
        let [exact, pad, truncate, fit] =
            [Length::Exact, Length::Pad, Length::Truncate, Length::Fit].map(|option| attached(drive, &path, option));
        [length.to_string(), capacity(drive), exact, pad, truncate, fit]
    });
    table(["size", "drive", "`Exact`", "`Pad`", "`Truncate`", "`Fit`"], rows)
}

fn containers() -> String {
    let files: Vec<_> = readable().into_iter().chain(signatures()).collect();
    let rows = Container::ALL.iter().map(|&container| {
        let own = || files.iter().filter(|(.., kind)| *kind == container);
        let (_, bytes, _) = own().next().unwrap_or_else(|| panic!("no file of {container}"));
        let opens = match DiskFile::read(bytes, ReadOptions::new()) {
            Ok(DiskFile { disk, .. }) => {
                let saved = image_disk(&disk, b"").is_ok_and(|saved| recognize(&saved) == Some(container));
                if saved { "yes, and saves" } else { "yes" }
            }
            Err(ContainerError::NotReadable { .. }) => "no",
            Err(error) => panic!("{error}"),
        };
        let recognised = own().map(|(by, ..)| by.as_str()).collect::<Vec<_>>().join(", ");
        [container.to_string(), recognised, opens.to_owned(), container.advice().to_owned()]
    });
    let refused = unsupported().map(|bytes| match DiskFile::read(&bytes, ReadOptions::new()) {
        Err(ContainerError::Unsupported { container, reason }) => {
            let reason = reason.to_string();
            let (what, to_do) = reason.split_once("; ").unwrap();
            [format!("{container}, {what}"), "its header".to_owned(), "no".to_owned(), to_do.to_owned()]
        }
        outcome => panic!("{outcome:?}"),
    });
    table(["the file is", "recognised by", "opens as a disk", "what to do"], rows.chain(refused))
}
