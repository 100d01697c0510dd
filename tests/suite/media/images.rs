//! Images in files: the disk that a file holds, concurrent users of a file, and where the writes of a guest go.

use std::{collections::HashSet, error::Error, fs, io, iter::successors, path::Path, process::Command, thread};

use super::kit::{CCR, DriverError, Guest, Sectors};
use tempfile::NamedTempFile;
use vm_fdc::{
    drive::{AttachError, DriveType, FloppyDrive},
    media::{
        Access, DataRate, Durability,
        FormFactor::{self, Inch3_5, Inch5_25},
        Format, Geometry, GeometryError, Image, ImageError, ImageOptions, Layout, Length, Mark, Medium, MediumError,
        SectorId,
    },
};

/// Returns a file of zeros.
fn blank(bytes: u64) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    file.as_file().set_len(bytes).unwrap();
    file
}

fn open_blank(bytes: u64, options: impl Into<ImageOptions>) -> Result<Image, ImageError> {
    Image::open(blank(bytes).path(), options)
}

/// The size of a 1.44M image.
const BYTES: u64 = 1_474_560;

// The size of a file

/// Cylinders, heads, sectors in a track, bytes in a sector, data rate in kb/s, form factor.
type Numbers = (u8, u8, u8, usize, u32, FormFactor);

fn numbers(layout: &Layout) -> Numbers {
    let geometry = layout.geometry().expect("tracks that are all alike");
    (
        geometry.cylinders(),
        geometry.heads(),
        geometry.sectors(),
        geometry.sector_size(),
        geometry.rate().kbps(),
        geometry.form_factor(),
    )
}

fn layouts(formats: &[&Format]) -> HashSet<Numbers> {
    formats.iter().filter(|format| format.layout != Layout::Xdf).map(|format| numbers(&format.layout)).collect()
}

/// The sizes of one format.
#[rustfmt::skip]
const SIZES: [(u64, Numbers); 26] = [
    (  163_840, (40, 1,  8, 512,  250, Inch5_25)),
    (  184_320, (40, 1,  9, 512,  250, Inch5_25)),
    (  327_680, (40, 2,  8, 512,  250, Inch5_25)),
    (  419_840, (41, 2, 10, 512,  250, Inch5_25)),
    (  430_080, (42, 2, 10, 512,  250, Inch5_25)),
    (1_064_960, (80, 2, 13, 512,  300, Inch3_5)), // The tracks of these two formats fit only
    (1_146_880, (80, 2, 14, 512,  300, Inch3_5)), // at the data rate of Linux.
    (1_228_800, (80, 2, 15, 512,  500, Inch5_25)),
    (1_392_640, (80, 2, 17, 512,  500, Inch3_5)),
    (1_492_992, (81, 2, 18, 512,  500, Inch3_5)),
    (1_548_288, (84, 2, 18, 512,  500, Inch3_5)),
    (1_566_720, (85, 2, 18, 512,  500, Inch3_5)),
    (1_679_360, (82, 2, 20, 512,  500, Inch3_5)),
    (1_699_840, (83, 2, 20, 512,  500, Inch3_5)),
    (1_720_320, (80, 2, 21, 512,  500, Inch3_5)),
    (1_763_328, (82, 2, 21, 512,  500, Inch3_5)),
    (1_784_832, (83, 2, 21, 512,  500, Inch3_5)),
    (1_802_240, (80, 2, 22, 512,  500, Inch3_5)),
    (1_806_336, (84, 2, 21, 512,  500, Inch3_5)),
    (1_827_840, (85, 2, 21, 512,  500, Inch3_5)),
    (1_966_080, (80, 2, 24, 512,  500, Inch3_5)),
    (2_949_120, (80, 2, 36, 512, 1000, Inch3_5)),
    (3_194_880, (80, 2, 39, 512, 1000, Inch3_5)),
    (3_276_800, (80, 2, 40, 512, 1000, Inch3_5)),
    (3_604_480, (80, 2, 44, 512, 1000, Inch3_5)),
    (3_932_160, (80, 2, 48, 512, 1000, Inch3_5)),
];

/// The sizes of two formats.
#[rustfmt::skip]
const SHARED_SIZES: [(u64, [Numbers; 2]); 14] = [
    (  368_640, [(40, 2,  9,  512, 250, Inch5_25), (80, 1,  9,  512, 250, Inch3_5)]),
    (  409_600, [(40, 2, 10,  512, 250, Inch5_25), (80, 1, 10,  512, 250, Inch5_25)]),
    (  655_360, [(80, 2,  8,  512, 250, Inch5_25), (80, 2,  8,  512, 250, Inch3_5)]),
    (  737_280, [(80, 2,  9,  512, 250, Inch5_25), (80, 2,  9,  512, 250, Inch3_5)]),
    (  819_200, [(80, 2, 10,  512, 250, Inch5_25), (80, 2, 10,  512, 250, Inch3_5)]),
    (  839_680, [(82, 2, 10,  512, 250, Inch5_25), (82, 2, 10,  512, 250, Inch3_5)]),
    (  849_920, [(83, 2, 10,  512, 250, Inch5_25), (83, 2, 10,  512, 250, Inch3_5)]),
    (  901_120, [(80, 2, 11,  512, 250, Inch5_25), (80, 2, 11,  512, 250, Inch3_5)]),
    (1_261_568, [(77, 2,  8, 1024, 500, Inch5_25), (77, 2,  8, 1024, 500, Inch3_5)]),
    (1_310_720, [(80, 2, 16,  512, 500, Inch5_25), (80, 2, 16,  512, 500, Inch3_5)]),
    (    BYTES, [(80, 2, 18,  512, 500, Inch5_25), (80, 2, 18,  512, 500, Inch3_5)]),
    (1_511_424, [(82, 2, 18,  512, 500, Inch5_25), (82, 2, 18,  512, 500, Inch3_5)]),
    (1_529_856, [(83, 2, 18,  512, 500, Inch5_25), (83, 2, 18,  512, 500, Inch3_5)]),
    (1_638_400, [(80, 2, 20,  512, 500, Inch5_25), (80, 2, 20,  512, 500, Inch3_5)]),
];

const XDF: u64 = 1_884_160;

#[test]
fn a_size_of_one_format_opens_with_its_geometry() {
    // §9.7
    for (bytes, expected) in SIZES {
        let image = open_blank(bytes, Access::ReadOnly).unwrap();
        assert_eq!(numbers(&image.layout().unwrap()), expected, "{bytes} bytes");
    }
}

#[test]
fn a_size_of_two_formats_is_an_error_that_lists_both() {
    // §9.7
    for (bytes, expected) in SHARED_SIZES {
        let error = open_blank(bytes, Access::ReadOnly).unwrap_err();
        let ImageError::AmbiguousSize { candidates, .. } = &error else { panic!("{bytes} bytes: {error}") };
        assert_eq!(layouts(candidates), HashSet::from(expected), "{bytes} bytes");
        assert!(candidates.iter().all(|format| error.to_string().contains(&format.to_string())), "{error}");
    }
}

#[test]
fn the_sizes_of_xdf_are_xdf_without_a_layout() {
    // §9.7: 23 sectors of 512 bytes do not fit on a real track
    assert_eq!(open_blank(XDF, Access::ReadOnly).unwrap().layout(), Some(Layout::Xdf));
    assert_eq!(open_blank(1_556_480, Access::ReadOnly).unwrap().layout(), Some(Layout::Xdf5_25));
    // A layout that is named is taken.
    let named = ImageOptions::new(Access::ReadOnly).with_geometry(high_density(80, 23));
    assert_eq!(open_blank(XDF, named).unwrap().layout(), Some(high_density(80, 23).into()));
}

/// An image whose boot sector has these numbers: bytes a sector, sectors, sectors a track, heads.
fn with_boot_sector(bytes: u64, (size, total, sectors, heads): (u16, u32, u16, u16)) -> NamedTempFile {
    let file = blank(bytes);
    let mut sector = [0; 512];
    sector[0x0B..0x0D].copy_from_slice(&size.to_le_bytes());
    match u16::try_from(total) {
        Ok(total) => sector[0x13..0x15].copy_from_slice(&total.to_le_bytes()),
        Err(_) => sector[0x20..0x24].copy_from_slice(&total.to_le_bytes()),
    }
    sector[0x18..0x1A].copy_from_slice(&sectors.to_le_bytes());
    sector[0x1A..0x1C].copy_from_slice(&heads.to_le_bytes());
    std::io::Write::write_all(&mut file.as_file(), &sector[..sector.len().min(bytes as usize)]).unwrap();
    file
}

#[test]
fn the_boot_sector_makes_a_geometry_of_any_size() {
    let boot_sector = ImageOptions::new(Access::ReadOnly).with_boot_sector_geometry();
    let cases: [((u16, u32, u16, u16), Numbers); 6] = [
        ((512, 86 * 2 * 21, 21, 2), (86, 2, 21, 512, 500, Inch3_5)),
        ((512, 70 * 2 * 9, 9, 2), (70, 2, 9, 512, 250, Inch3_5)),
        ((512, 80 * 2 * 12, 12, 2), (80, 2, 12, 512, 300, Inch3_5)),
        ((512, 35 * 8, 8, 1), (35, 1, 8, 512, 250, Inch5_25)),
        ((1024, 80 * 2 * 10, 10, 2), (80, 2, 10, 1024, 500, Inch3_5)),
        ((128, 86 * 2 * 48, 48, 2), (86, 2, 48, 128, 300, Inch3_5)),
    ];
    for (parameters, expected) in cases {
        let bytes = u64::from(parameters.0) * u64::from(parameters.1);
        let file = with_boot_sector(bytes, parameters);
        assert!(Image::open(file.path(), Access::ReadOnly).is_err(), "without the option");
        let image = Image::open(file.path(), boot_sector).unwrap();
        assert_eq!(numbers(&image.layout().unwrap()), expected, "{parameters:?}");
        let block = image.layout().unwrap().bios_parameters();
        let block = (block.bytes_per_sector, block.total_sectors, block.sectors_per_track, block.heads);
        assert_eq!(block, parameters);
    }
}

#[test]
fn the_boot_sector_must_agree_with_the_size_of_the_file() {
    let boot_sector = ImageOptions::new(Access::ReadOnly).with_boot_sector_geometry();
    let parameters = (512, 70 * 2 * 9, 9, 2);
    for bytes in [70 * 2 * 9 * 512 - 1, 70 * 2 * 9 * 512 + 1] {
        let file = with_boot_sector(bytes, parameters);
        assert!(matches!(Image::open(file.path(), boot_sector), Err(ImageError::UnknownSize { .. })), "{bytes}");
        let image = Image::open(file.path(), boot_sector.with_length(Length::Fit)).unwrap();
        assert_eq!(image.layout().unwrap().bytes(), 70 * 2 * 9 * 512);
    }
}

#[test]
fn a_boot_sector_of_no_disk_makes_no_geometry() {
    let boot_sector = ImageOptions::new(Access::ReadOnly).with_boot_sector_geometry();
    let cases: [(u16, u32, u16, u16); 13] = [
        (0, 0, 0, 0),
        (0xFFFF, u32::MAX, 0xFFFF, 0xFFFF),
        (512, 1260, 0, 2),
        (512, 1260, 9, 0),
        (512, 1260, 9, 3),
        (512, 1261, 9, 2),
        (512, 0, 9, 2),
        (513, 1260, 9, 2),
        (512, 87 * 2 * 9, 9, 2),
        (512, 300 * 2 * 9, 9, 2),
        (512, 80 * 2 * 64, 64, 2),
        (512, 80 * 2 * 60, 60, 2),
        (512, 65_536 + 1260, 9, 2),
    ];
    for parameters in cases {
        for bytes in [1, 511, 512, 70 * 2 * 9 * 512, u64::from(parameters.0) * u64::from(parameters.1) % (1 << 40)] {
            let file = with_boot_sector(bytes, parameters);
            assert!(Image::open(file.path(), boot_sector).is_err(), "{parameters:?}");
        }
    }
}

#[test]
fn the_boot_sector_chooses_between_formats_of_one_size() {
    let boot_sector = ImageOptions::new(Access::ReadOnly).with_boot_sector_geometry();
    for (heads, cylinders) in [(1, 80), (2, 40)] {
        let file = with_boot_sector(409_600, (512, 800, 10, heads));
        let image = Image::open(file.path(), boot_sector).unwrap();
        assert_eq!(image.layout().unwrap().cylinders(), cylinders);
    }
    let file = with_boot_sector(409_600, (512, 800, 9, 2));
    assert!(matches!(Image::open(file.path(), boot_sector), Err(ImageError::AmbiguousSize { .. })));
}

#[test]
fn an_unknown_size_names_the_nearest_formats() {
    // §9.7: exact size match or error
    let cases: [(u64, &[u64]); 5] = [
        (1, &[163_840]),
        (BYTES - 1, &[1_392_640, BYTES]),
        (BYTES + 1, &[BYTES, 1_492_992]),
        (BYTES + 512, &[BYTES, 1_492_992]),
        (3_932_161, &[3_932_160]),
    ];
    for (bytes, nearest) in cases {
        let error = open_blank(bytes, Access::ReadWrite).unwrap_err();
        let ImageError::UnknownSize { candidates, .. } = &error else { panic!("{bytes} bytes: {error}") };
        let mut sizes: Vec<_> = candidates.iter().map(|format| format.bytes()).collect();
        sizes.dedup();
        assert_eq!(sizes, nearest, "{bytes} bytes");
        assert!(candidates.iter().all(|format| error.to_string().contains(format.name)), "{error}");
    }
}

#[test]
fn an_empty_file_holds_no_disk() {
    // §9.7
    let error = open_blank(0, Access::ReadWrite).unwrap_err();
    assert!(matches!(error, ImageError::Empty), "{error}");
}

#[test]
fn a_child_process_does_not_keep_the_lock_of_an_image() {
    // ReleaseImage unlocks. A child process shares the open file and its lock until it executes its program.
    let file = blank(BYTES);
    let starts = thread::spawn(|| (0..40).for_each(|_| drop(Command::new("true").output().unwrap())));
    while !starts.is_finished() {
        Image::open(file.path(), ImageOptions::from(Access::ReadWrite).with_geometry(Geometry::HD_1440K)).unwrap();
    }
    starts.join().unwrap();
}

#[test]
fn the_extension_of_a_file_is_ignored() {
    // §9.7: the size decides
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.img", "a.vfd", "a.ima", "a.flp", "a.txt", "a"] {
        let path = folder.path().join(name);
        fs::File::create(&path).unwrap().set_len(1_228_800).unwrap();
        let image = Image::open(&path, Access::ReadOnly).unwrap();
        assert_eq!(image.layout().unwrap().geometry().map(Geometry::sectors), Some(15), "{name}");
    }
}

// A geometry that the caller gives

fn high_density(cylinders: u8, sectors: u8) -> Geometry {
    Geometry::new(cylinders, 2, sectors, 2, DataRate::Kbps500, Inch3_5).unwrap()
}

#[test]
fn a_given_geometry_decides_an_ambiguous_size() {
    // §9.7
    for geometry in [high_density(80, 18), high_density(80, 23), high_density(79, 17)] {
        let image = open_blank(geometry.bytes(), ImageOptions::new(Access::ReadOnly).with_geometry(geometry)).unwrap();
        assert_eq!(image.layout(), Some(Layout::Regular(geometry)));
    }
}

#[test]
fn a_given_geometry_does_not_pad_or_truncate() {
    // §9.7
    let named = high_density(80, 18);
    for bytes in [1, BYTES - 1, BYTES + 1, 1_228_800] {
        let error = open_blank(bytes, ImageOptions::new(Access::ReadWrite).with_geometry(named)).unwrap_err();
        assert!(matches!(error, ImageError::WrongSize { bytes: b, layout } if (b, layout) == (bytes, named.into())));
    }
}

#[test]
fn a_geometry_accepts_its_largest_and_smallest_numbers() {
    // §9.7
    let cases = [((1, 1, 1, 0), 128), ((86, 2, 63, 0), 1_387_008), ((1, 1, 1, 7), 16_384)];
    for ((cylinders, heads, sectors, size_code), bytes) in cases {
        let geometry = Geometry::new(cylinders, heads, sectors, size_code, DataRate::Kbps1000, Inch3_5).unwrap();
        assert_eq!(geometry.bytes(), bytes);
    }
}

#[test]
fn an_invalid_number_of_a_geometry_is_reported() {
    // §9.7
    let cases = [
        ((0, 2, 18, 2), GeometryError::Cylinders(0)),
        ((87, 2, 18, 2), GeometryError::Cylinders(87)),
        ((80, 0, 18, 2), GeometryError::Heads(0)),
        ((80, 3, 18, 2), GeometryError::Heads(3)),
        ((80, 2, 0, 2), GeometryError::Sectors(0)),
        ((80, 2, 64, 0), GeometryError::Sectors(64)),
        ((80, 2, 18, 8), GeometryError::SizeCode(8)),
        ((80, 2, 18, 255), GeometryError::SizeCode(255)),
    ];
    for ((cylinders, heads, sectors, size_code), error) in cases {
        let geometry = Geometry::new(cylinders, heads, sectors, size_code, DataRate::Kbps500, Inch3_5);
        assert_eq!(geometry, Err(error));
    }
}

/// Checks that a track of `sectors` sectors of 512 bytes fits, and that another sector exceeds `capacity`.
fn assert_fills_a_track(sectors: u8, rate: DataRate, form_factor: FormFactor, capacity: u32) {
    let geometry = |sectors| Geometry::new(80, 2, sectors, 2, rate, form_factor);
    assert!(geometry(sectors).is_ok(), "{sectors} sectors at {rate} on {form_factor}");
    let bytes = (u32::from(sectors) + 1) * 512;
    assert_eq!(geometry(sectors + 1), Err(GeometryError::TrackTooLong { bytes, capacity }), "{rate}, {form_factor}");
}

#[test]
fn a_track_holds_the_bytes_of_a_revolution() {
    // §10.1
    assert_fills_a_track(12, DataRate::Kbps250, Inch3_5, 6250);
    assert_fills_a_track(12, DataRate::Kbps250, Inch5_25, 6250);
    assert_fills_a_track(14, DataRate::Kbps300, Inch3_5, 7500);
    assert_fills_a_track(24, DataRate::Kbps500, Inch3_5, 12_500);
    assert_fills_a_track(20, DataRate::Kbps500, Inch5_25, 10_416);
    assert_fills_a_track(48, DataRate::Kbps1000, Inch3_5, 25_000);
}

#[test]
fn the_only_5_25_inch_drive_with_300_kbps_rotates_at_360_rpm() {
    // §9.1, §10.1
    assert_fills_a_track(12, DataRate::Kbps300, Inch5_25, 6250);
}

// The sectors in the file

#[test]
fn sectors_lie_in_the_file_by_cylinder_then_head_then_number() {
    // §9.7
    let file = NamedTempFile::new().unwrap();
    let numbered: Vec<u8> = (0..2880_u32).flat_map(|number| number.to_le_bytes().repeat(128)).collect();
    fs::write(file.path(), numbered).unwrap();
    let mut image =
        Image::open(file.path(), ImageOptions::new(Access::ReadOnly).with_geometry(high_density(80, 18))).unwrap();
    for number in 0..2880_u32 {
        let (track, slot) = (number / 18, number as usize % 18);
        let (cylinder, head) = ((track / 2) as u8, (track % 2) as u8);
        let sector = image.track(cylinder, head).and_then(|track| track.sector(slot)).unwrap();
        assert_eq!(sector.id, SectorId { cylinder, head, sector: slot as u8 + 1, size_code: 2 });
        assert_eq!(image.read(cylinder, head, slot, 1).unwrap(), number.to_le_bytes().repeat(128));
    }
}

#[test]
fn a_run_never_leaves_its_cylinder() {
    // Medium::read: the sectors of the other head follow
    let mut image = open_blank(2_949_120, Access::Private).unwrap();
    for (head, slot, left) in [(0, 0, 72), (0, 35, 37), (1, 0, 36), (1, 35, 1)] {
        let sectors = image.read(7, head, slot, usize::MAX).unwrap().len() / 512;
        assert!((1..=left).contains(&sectors), "{sectors} sectors from slot {slot} of head {head}");
    }
}

#[test]
fn a_run_of_one_sector_is_one_sector() {
    // Medium::read: at least one and at most `count`
    let mut image = open_blank(2_949_120, Access::Private).unwrap();
    assert_eq!(image.read(7, 0, 3, 1).unwrap().len(), 512);
    assert_eq!(image.write(7, 0, 3, 1, Mark::Data).unwrap().len(), 512);
}

#[test]
fn a_sector_outside_the_disk_is_absent() {
    // §4.12
    let mut image = open_blank(2_949_120, Access::Private).unwrap();
    for (cylinder, head, slot) in [(80, 0, 0), (255, 255, 0), (0, 2, 0), (0, 0, 36), (79, 1, usize::MAX)] {
        assert!(image.track(cylinder, head).and_then(|track| track.sector(slot)).is_none());
        assert!(matches!(image.read(cylinder, head, slot, 1), Err(MediumError::Absent)));
        assert!(matches!(image.write(cylinder, head, slot, 1, Mark::Data), Err(MediumError::Absent)));
    }
}

// Writes of the guest

/// Returns a guest with the image in its 1.44M drive, at 500 kb/s.
fn guest_with(image: &NamedTempFile, access: Access) -> (Guest, FloppyDrive) {
    let (mut guest, a) = Guest::with_drive(DriveType::Inch3_5Hd);
    guest.bus.write(CCR, 0x00); // 500 kb/s
    a.attach_image(image.path(), access).unwrap();
    (guest, a)
}

/// The second sector of the disk.
const SECTOR: Sectors = Sectors { cylinder: 0, head: 0, sector: 2, bytes: 512, end_of_track: 18 };

fn fill(guest: &mut Guest, value: u8) -> Result<(), DriverError> {
    guest.buffer_mut(512).fill(value);
    guest.write_dma(SECTOR).map(drop)
}

fn in_file(image: &NamedTempFile) -> Vec<u8> {
    fs::read(image.path()).unwrap()[512..1024].to_vec()
}

#[test]
fn a_guest_reads_back_what_it_wrote_to_a_private_image() {
    // Access::Private
    let image = blank(BYTES);
    let (mut guest, _a) = guest_with(&image, Access::Private);
    fill(&mut guest, 0xA5).unwrap();
    guest.buffer_mut(512).fill(0);
    guest.read_dma(SECTOR).unwrap();
    assert_eq!(guest.buffer(512), [0xA5; 512]);
}

#[test]
fn a_private_image_never_changes_its_file() {
    // Access::Private
    let image = blank(BYTES);
    let (mut guest, a) = guest_with(&image, Access::Private);
    fill(&mut guest, 0xA5).unwrap();
    assert_eq!(in_file(&image), [0; 512]);
    a.release_image().unwrap();
    assert_eq!(in_file(&image), [0; 512]);
}

#[test]
fn a_read_only_image_refuses_writes() {
    // §4.12: NW
    let image = blank(BYTES);
    let (mut guest, _a) = guest_with(&image, Access::ReadOnly);
    let Err(DriverError::Failed(reply)) = fill(&mut guest, 0xA5) else { panic!("it was written") };
    assert_eq!(reply.status(), [0x40, 0x02, 0x00]);
    assert_eq!(in_file(&image), [0; 512]);
}

#[test]
fn a_read_only_image_has_no_bytes_to_overwrite() {
    // Access::ReadOnly, for users of an image without a controller
    let mut image = open_blank(2_949_120, Access::ReadOnly).unwrap();
    assert!(image.write(0, 0, 0, 1, Mark::Data).is_err());
}

#[test]
fn writes_of_a_guest_are_in_the_file_at_once() {
    // Access::ReadWrite
    let image = blank(BYTES);
    let (mut guest, _a) = guest_with(&image, Access::ReadWrite);
    fill(&mut guest, 0xA5).unwrap();
    assert_eq!(in_file(&image), [0xA5; 512]);
}

#[test]
fn the_file_has_only_the_writes_of_the_guest_after_the_release() {
    // Access::ReadWrite
    let image = blank(BYTES);
    let (mut guest, a) = guest_with(&image, Access::ReadWrite);
    fill(&mut guest, 0xA5).unwrap();
    a.release_image().unwrap();
    let expected = [vec![0; 512], vec![0xA5; 512], vec![0; BYTES as usize - 1024]].concat();
    assert!(fs::read(image.path()).unwrap() == expected);
}

// Concurrent users of a file

/// Opens a file twice at the same time. Returns the outcome of the second.
fn open_twice(first: Access, second: Access) -> Result<Image, ImageError> {
    let file = blank(2_949_120);
    let _first = Image::open(file.path(), first).unwrap();
    Image::open(file.path(), second)
}

#[test]
fn a_file_open_for_writing_has_no_other_user() {
    // IVMFloppyDrive: in use
    let pairs = [
        (Access::ReadWrite, Access::ReadWrite),
        (Access::ReadWrite, Access::ReadOnly),
        (Access::ReadWrite, Access::Private),
        (Access::ReadOnly, Access::ReadWrite),
        (Access::Private, Access::ReadWrite),
    ];
    for (first, second) in pairs {
        assert!(matches!(open_twice(first, second), Err(ImageError::InUse { .. })), "{first:?}, then {second:?}");
    }
}

#[test]
fn a_file_in_use_is_reported_with_its_path_and_possible_owners() {
    // IVMFloppyDrive: in use
    let file = blank(2_949_120);
    let _image = Image::open(file.path(), Access::ReadWrite).unwrap();
    let error = Image::open(file.path(), Access::ReadWrite).unwrap_err();
    assert!(error.to_string().contains("another process or another drive of this process"), "{error}");
    let ImageError::InUse { path } = error else { panic!("{error}") };
    assert_eq!(path.as_deref(), Some(file.path()));
}

#[test]
fn options_return_what_was_set() {
    // ImageOptions
    let plain = ImageOptions::default();
    assert_eq!((plain.access(), plain.durability()), (Access::ReadWrite, Durability::AtRelease));
    assert_eq!((plain.layout(), plain.boot_sector_geometry(), plain.mapping()), (None, false, false));
    let options = ImageOptions::new(Access::Private).with_geometry(Geometry::HD_1440K).with_boot_sector_geometry();
    assert_eq!((plain.length(), options.length()), (Length::Exact, Length::Exact));
    let options = options.with_durability(Durability::OnFlush).with_length(Length::Fit);
    assert_eq!(options.length(), Length::Fit);
    assert_eq!((options.access(), options.durability()), (Access::Private, Durability::OnFlush));
    assert_eq!((options.layout(), options.boot_sector_geometry()), (Some(Geometry::HD_1440K.into()), true));
}

#[test]
fn a_file_open_only_for_reading_can_be_shared() {
    // Access::ReadOnly, Access::Private
    let sharing = [Access::ReadOnly, Access::Private];
    for (first, second) in sharing.into_iter().flat_map(|first| sharing.map(|second| (first, second))) {
        assert!(open_twice(first, second).is_ok(), "{first:?}, then {second:?}");
    }
}

#[test]
fn a_dropped_image_does_not_lock_its_file() {
    // IVMFloppyDrive: ReleaseImage
    let file = blank(2_949_120);
    for _ in 0..2 {
        drop(Image::open(file.path(), Access::ReadWrite).unwrap());
    }
}

#[test]
fn a_failed_open_does_not_lock_the_file() {
    // IVMFloppyDrive: the file could not be captured
    let file = blank(1000);
    assert!(Image::open(file.path(), Access::ReadWrite).is_err());
    file.as_file().try_lock().unwrap();
}

// Files that are no image

#[test]
fn a_missing_file_is_not_found() {
    // IVMFloppyDrive: the file could not be captured
    let folder = tempfile::tempdir().unwrap();
    let error = Image::open(folder.path().join("a.img"), Access::ReadWrite).unwrap_err();
    assert!(matches!(error, ImageError::Open(why) if why.kind() == io::ErrorKind::NotFound));
    assert!(!folder.path().join("a.img").exists());
}

#[test]
fn a_directory_holds_no_disk() {
    // IVMFloppyDrive: the file could not be captured
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Image::open(folder.path(), Access::ReadOnly), Err(ImageError::WrongFileType)));
}

#[cfg(unix)]
mod unix {
    use std::{
        os::unix::fs::{PermissionsExt, symlink},
        process::Command,
    };

    use super::*;

    #[test]
    fn a_pipe_holds_no_disk_and_is_refused_without_a_wait() {
        // IVMFloppyDrive: the file could not be captured
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe.img");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for access in [Access::ReadWrite, Access::ReadOnly, Access::Private] {
            assert!(matches!(Image::open(&pipe, access), Err(ImageError::WrongFileType)), "{access:?}");
        }
    }

    /// Returns a file with these permissions. Prints a message and returns `None` if the user is not subject to permissions.
    fn restricted(mode: u32) -> Option<NamedTempFile> {
        let file = blank(2_949_120);
        fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
        let bound = fs::File::options().read(true).write(true).open(file.path()).is_err();
        if !bound {
            eprintln!("skipped: root needs no permission");
        }
        bound.then_some(file)
    }

    #[test]
    fn a_file_without_permission_is_denied() {
        // IVMFloppyDrive: the file could not be captured
        let Some(file) = restricted(0o000) else { return };
        let error = Image::open(file.path(), Access::ReadOnly).unwrap_err();
        assert!(matches!(error, ImageError::Open(why) if why.kind() == io::ErrorKind::PermissionDenied));
    }

    #[test]
    fn a_file_without_write_permission_opens_except_for_writing() {
        // Access
        let Some(file) = restricted(0o444) else { return };
        assert!(Image::open(file.path(), Access::ReadOnly).is_ok());
        assert!(Image::open(file.path(), Access::Private).is_ok());
        assert!(matches!(Image::open(file.path(), Access::ReadWrite), Err(ImageError::Open(_))));
    }

    #[test]
    fn a_symbolic_link_is_followed() {
        // IVMFloppyDrive: a file on the host
        let (folder, file) = (tempfile::tempdir().unwrap(), blank(2_949_120));
        let link = folder.path().join("link");
        symlink(file.path(), &link).unwrap();
        Image::open(&link, Access::ReadWrite).unwrap().write(0, 0, 0, 1, Mark::Data).unwrap().fill(0xA5);
        assert_eq!(fs::read(file.path()).unwrap()[..512], [0xA5; 512]);
    }

    #[test]
    fn a_file_is_in_use_under_each_of_its_names() {
        // IVMFloppyDrive: in use
        let (folder, file) = (tempfile::tempdir().unwrap(), blank(2_949_120));
        let link = folder.path().join("link");
        symlink(file.path(), &link).unwrap();
        let _image = Image::open(file.path(), Access::ReadWrite).unwrap();
        assert!(matches!(Image::open(&link, Access::ReadWrite), Err(ImageError::InUse { .. })));
    }
}

// Messages

/// Returns the error of a 720K drive for the file as a log line: the error and its sources.
fn refusal(path: &Path, options: impl Into<ImageOptions>) -> String {
    let (_guest, a) = Guest::with_drive(DriveType::Inch3_5Dd);
    let error: AttachError = a.attach_image(path, options).unwrap_err();
    let links = successors(Some(&error as &dyn Error), |&error| error.source());
    links.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[test]
fn an_error_is_one_line_that_names_the_file_once_and_the_reason() {
    // design.md: each error says what failed, of which file or drive
    let folder = tempfile::tempdir().unwrap();
    let [missing, odd, large, used] = ["missing", "odd", "large", "used"].map(|name| folder.path().join(name));
    for (path, bytes) in [(&odd, 1000), (&large, 2_949_120), (&used, 737_280)] {
        fs::File::create(path).unwrap().set_len(bytes).unwrap();
    }
    let user = fs::File::open(&used).unwrap();
    user.lock().unwrap();

    let (plain, named) = (ImageOptions::default(), ImageOptions::default().with_geometry(high_density(80, 18)));
    let not_found = fs::metadata(&missing).unwrap_err().to_string();
    let cases = [
        (missing.as_path(), plain, not_found.as_str()),
        (folder.path(), plain, "not a file"),
        (&odd, plain, "1000 bytes"),
        (&odd, named, "1474560"),
        (&large, plain, "but of 2.88M"),
        (&used, plain, "in use"),
    ];
    for (path, options, reason) in cases {
        let line = refusal(path, options);
        assert_eq!(line.lines().count(), 1, "{line}");
        assert_eq!(line.matches(path.to_str().unwrap()).count(), 1, "{line}");
        assert_eq!(line.matches(reason).count(), 1, "{line}");
    }
}
