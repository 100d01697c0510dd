//! Files that are shorter or longer than their disks: refused, or attached by an option that loses nothing.

use std::{fs, path::Path};

use super::kit::Guest;
use super::kit::floppy::{BYTES, Backing, SECTOR, byte_of, failure, fill, folder, guest, read};
use tempfile::TempDir;
use vm_fdc::{
    drive::{AttachError, DriveType},
    media::{Access, Durability, Geometry, IfExists, Image, ImageError, ImageOptions, Layout, Length},
};

/// The lengths of short files: of GRUB's rescue floppy, and of others that stop after the last used sector.
const SHORT: [usize; 6] = [1_296_384, 1_433_600, 1_424_460, 512, 1, BYTES - 1];
/// The lengths of files that were padded.
const LONG: [usize; 5] = [BYTES + 1, BYTES + 128, BYTES + 512, BYTES + 4_096, BYTES + 0x1_0000];

const ACCESSES: [Access; 3] = [Access::ReadWrite, Access::ReadOnly, Access::Private];

/// An image of `length` bytes: numbered sectors, and then bytes of 0xEE.
fn file(length: usize) -> (TempDir, std::path::PathBuf, Vec<u8>) {
    let (folder, path) = folder();
    let mut bytes = fs::read(&path).unwrap();
    bytes.resize(length, 0xEE);
    fs::write(&path, &bytes).unwrap();
    (folder, path, bytes)
}

/// What a disk holds whose file has these bytes.
fn sector_of(file: &[u8], sector: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = file.iter().skip(sector * SECTOR).take(SECTOR).copied().collect();
    bytes.resize(SECTOR, 0);
    bytes
}

fn options(access: Access, length: Length, backing: Backing) -> ImageOptions {
    backing.of(ImageOptions::new(access).with_length(length))
}

#[test]
fn without_the_option_the_error_names_it() {
    for (lengths, name) in [(&SHORT[..], "Length::Pad"), (&LONG[..], "Length::Truncate")] {
        for &length in lengths {
            let (_folder, path, bytes) = file(length);
            for access in ACCESSES {
                let plain = ImageOptions::new(access);
                for options in [plain, plain.with_geometry(Geometry::HD_1440K)] {
                    let error = Image::open(&path, options).unwrap_err();
                    assert!(error.to_string().contains(name), "{error}");
                }
            }
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
    }
}

#[test]
fn the_other_option_does_not_help() {
    let named = |length| ImageOptions::new(Access::ReadWrite).with_geometry(Geometry::HD_1440K).with_length(length);
    let (_folder, short, _) = file(BYTES - 1);
    assert!(matches!(Image::open(short, named(Length::Truncate)), Err(ImageError::WrongSize { .. })));
    let (_folder, long, _) = file(BYTES + 1);
    assert!(matches!(Image::open(long, named(Length::Pad)), Err(ImageError::WrongSize { .. })));
}

#[test]
fn what_lies_beyond_a_short_file_reads_as_zeros() {
    for length in SHORT {
        for (access, backing) in ACCESSES.into_iter().flat_map(|a| [(a, Backing::Memory), (a, Backing::Mapped)]) {
            for option in [Length::Pad, Length::Fit] {
                let (_folder, path, bytes) = file(length);
                let (mut guest, drive) = guest();
                drive.attach_image(&path, options(access, option, backing)).unwrap();
                assert_eq!(drive.layout(), Some(Geometry::HD_1440K.into()));
                for sector in [0, length / SECTOR, (length / SECTOR + 1).min(2_879), 2_879] {
                    assert_eq!(read(&mut guest, sector).unwrap(), sector_of(&bytes, sector), "{length}: {sector}");
                }
                drive.release_image().unwrap();
                assert_eq!(fs::read(&path).unwrap(), bytes, "{access:?}, {backing:?}");
            }
        }
    }
}

#[test]
fn a_short_file_grows_only_where_the_guest_writes() {
    for durability in [Durability::AtRelease, Durability::EveryCommand, Durability::OnFlush] {
        for backing in [Backing::Memory, Backing::Mapped] {
            let (_folder, path, mut bytes) = file(1_424_460);
            let (mut guest, drive) = guest();
            let options = options(Access::ReadWrite, Length::Pad, backing).with_durability(durability);
            drive.attach_image(&path, options).unwrap();
            // Within the file, it keeps its length.
            fill(&mut guest, 7, 0xA5).unwrap();
            drive.flush().unwrap();
            bytes[7 * SECTOR..8 * SECTOR].fill(0xA5);
            assert_eq!(fs::read(&path).unwrap(), bytes);
            // Behind it, it ends with the sector that was written.
            fill(&mut guest, 2_800, 0xB6).unwrap();
            drive.flush().unwrap();
            bytes.resize(2_800 * SECTOR, 0);
            bytes.resize(2_801 * SECTOR, 0xB6);
            assert_eq!(fs::read(&path).unwrap(), bytes);
            // In the sector in which the file ended.
            fill(&mut guest, 1_424_460 / SECTOR, 0xC7).unwrap();
            drive.release_image().unwrap();
            bytes[2_782 * SECTOR..2_783 * SECTOR].fill(0xC7);
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
    }
}

#[test]
fn a_write_to_the_last_part_of_a_sector_completes_it() {
    let (_folder, path, mut bytes) = file(BYTES - 100);
    let (mut guest, drive) = guest();
    drive.attach_image(&path, options(Access::ReadWrite, Length::Pad, Backing::Memory)).unwrap();
    fill(&mut guest, 2_879, 0xA5).unwrap();
    drive.release_image().unwrap();
    bytes.resize(BYTES, 0);
    bytes[2_879 * SECTOR..].fill(0xA5);
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_private_short_file_never_grows() {
    let (_folder, path, bytes) = file(1_296_384);
    let (mut guest, drive) = guest();
    drive.attach_image(&path, options(Access::Private, Length::Pad, Backing::Memory)).unwrap();
    fill(&mut guest, 2_879, 0xA5).unwrap();
    assert_eq!(read(&mut guest, 2_879).unwrap(), [0xA5; SECTOR]);
    drive.release_image().unwrap();
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_short_file_whose_length_others_change_is_not_written() {
    // §4.12
    let (_folder, path, _) = file(1_424_460);
    let (mut guest, drive) = guest();
    drive.attach_image(&path, options(Access::ReadWrite, Length::Pad, Backing::Memory)).unwrap();
    let set_length = |length| fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length).unwrap();
    set_length(1_000);
    assert_eq!(failure(fill(&mut guest, 2_800, 0xA5)), [0x40, 0x20, 0x00]);
    assert!(drive.release_image().is_err());
    assert_eq!(fs::metadata(&path).unwrap().len(), 1_000);
    // With its length, it gets its bytes back and no more than the guest wrote.
    set_length(1_424_460);
    drive.release_image().unwrap();
    let bytes = fs::read(&path).unwrap();
    assert_eq!(bytes.len(), 2_801 * SECTOR);
    assert_eq!(bytes[2_781 * SECTOR..2_782 * SECTOR], [byte_of(2_781); SECTOR]);
    assert_eq!(bytes[1_424_459..1_424_461], [byte_of(2_782), 0]);
}

#[test]
fn the_restored_end_of_a_short_file_does_not_make_it_longer() {
    let (_folder, path, bytes) = file(1_424_460);
    let (mut guest, drive) = guest();
    drive.attach_image(&path, options(Access::ReadWrite, Length::Pad, Backing::Memory)).unwrap();
    let set_length = |length| fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length).unwrap();
    set_length(0);
    failure(fill(&mut guest, 0, byte_of(0)));
    set_length(1_424_460);
    drive.release_image().unwrap();
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn what_lies_behind_the_disk_stays_as_it_is() {
    for length in LONG {
        for (access, backing) in ACCESSES.into_iter().flat_map(|a| [(a, Backing::Memory), (a, Backing::Mapped)]) {
            for option in [Length::Truncate, Length::Fit] {
                let (_folder, path, mut bytes) = file(length);
                let (mut guest, drive) = guest();
                drive.attach_image(&path, options(access, option, backing)).unwrap();
                assert_eq!(drive.layout(), Some(Geometry::HD_1440K.into()));
                assert_eq!(read(&mut guest, 2_879).unwrap(), [byte_of(2_879); SECTOR]);
                if access == Access::ReadOnly {
                    failure(fill(&mut guest, 2_879, 0xA5));
                } else {
                    fill(&mut guest, 2_879, 0xA5).unwrap();
                }
                drive.release_image().unwrap();
                if access == Access::ReadWrite {
                    bytes[2_879 * SECTOR..BYTES].fill(0xA5);
                }
                assert_eq!(fs::read(&path).unwrap(), bytes, "{length}: {access:?}, {backing:?}");
            }
        }
    }
}

#[test]
fn a_saved_image_has_the_length_of_the_disk() {
    for length in [1_424_460, BYTES + 128] {
        let (folder, path, mut bytes) = file(length);
        let (_guest, drive) = guest();
        drive.attach_image(&path, options(Access::ReadOnly, Length::Fit, Backing::Memory)).unwrap();
        let saved = folder.path().join("saved.img");
        drive.save_image(&saved, IfExists::Fail).unwrap();
        bytes.resize(BYTES, 0);
        assert_eq!(fs::read(&saved).unwrap(), bytes);
    }
}

/// The layout that a drive finds in a file of this length.
fn found(drive_type: DriveType, length: usize, option: Length) -> Result<Layout, AttachError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.img");
    fs::File::create(&path).unwrap().set_len(length as u64).unwrap();
    let (_guest, drive) = Guest::with_drive(drive_type);
    drive.attach_image(&path, ImageOptions::new(Access::ReadOnly).with_length(option))?;
    Ok(drive.layout().unwrap())
}

#[test]
fn without_a_layout_the_disk_is_the_usual_one_of_the_drive() {
    use DriveType::{Inch3_5Dd, Inch3_5Ed, Inch3_5Hd, Inch5_25Dd, Inch5_25Hd};
    let cases = [
        (Inch5_25Dd, 100_000, Geometry::DD_360K),
        (Inch5_25Hd, 1_000_000, Geometry::HD_1200K),
        (Inch3_5Dd, 700_000, Geometry::DD_720K),
        (Inch3_5Hd, 700_000, Geometry::HD_1440K),
        (Inch3_5Ed, 700_000, Geometry::HD_1440K),
        (Inch3_5Ed, 2_000_000, Geometry::ED_2880K),
        (Inch3_5Ed, 1_474_561, Geometry::HD_1440K),
        (Inch3_5Ed, 2_949_121, Geometry::ED_2880K),
        (Inch3_5Hd, 737_281, Geometry::DD_720K),
        (Inch5_25Dd, 368_641, Geometry::DD_360K),
    ];
    for (drive_type, length, geometry) in cases {
        assert_eq!(found(drive_type, length, Length::Fit).unwrap(), geometry.into(), "{drive_type}: {length}");
    }
}

#[test]
fn a_size_that_is_known_is_not_padded_or_truncated() {
    let smaller = found(DriveType::Inch3_5Hd, 737_280, Length::Fit).unwrap();
    assert_eq!(smaller, Geometry::DD_720K.into());
    // The disk is for another drive.
    assert!(found(DriveType::Inch3_5Hd, 1_228_800, Length::Fit).is_err());
}

#[test]
fn a_file_that_is_far_too_long_is_no_disk() {
    for length in [BYTES + 0x1_0001, 3_000_000, 1 << 40] {
        assert!(found(DriveType::Inch3_5Hd, length, Length::Fit).is_err(), "{length}");
    }
    // A layout that is named takes any length.
    let (_folder, path, _) = file(3_000_000);
    let named = options(Access::ReadOnly, Length::Truncate, Backing::Memory).with_geometry(Geometry::HD_1440K);
    assert!(Image::open(&path, named).is_ok());
    let named = options(Access::ReadOnly, Length::Pad, Backing::Memory).with_geometry(Geometry::HD_1200K);
    assert!(Image::open(&path, named).is_err());
}

#[test]
fn an_empty_file_is_not_padded() {
    let (_folder, path, _) = file(0);
    let error = Image::open(&path, options(Access::ReadWrite, Length::Pad, Backing::Memory)).unwrap_err();
    assert!(matches!(error, ImageError::Empty), "{error}");
}

#[test]
fn a_1200k_disk_in_a_file_of_1440k_attaches_by_its_layout() {
    let (_folder, path, bytes) = file(BYTES);
    let (mut guest, drive) = Guest::with_drive(DriveType::Inch5_25Hd);
    let named = options(Access::ReadWrite, Length::Truncate, Backing::Memory).with_geometry(Geometry::HD_1200K);
    drive.attach_image(&path, named).unwrap();
    assert_eq!(drive.layout(), Some(Geometry::HD_1200K.into()));
    guest.bus.write(super::kit::CCR, 0);
    let second = super::kit::Sectors { cylinder: 0, head: 0, sector: 2, bytes: SECTOR, end_of_track: 15 };
    guest.buffer_mut(SECTOR).fill(0xA5);
    guest.write_dma(second).unwrap();
    drive.release_image().unwrap();
    let after = fs::read(Path::new(&path)).unwrap();
    assert_eq!((after.len(), &after[SECTOR..2 * SECTOR]), (BYTES, &[0xA5; SECTOR][..]));
    assert_eq!(after[2 * SECTOR..], bytes[2 * SECTOR..]);
}
