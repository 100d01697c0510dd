//! Containers: what each kind of file carries, what is refused, and that no bytes do harm. `PROPTEST_CASES` sets the number of
//! mutated files.

use std::fs;

use super::kit::{
    disk::{deleted, id, with_bad_data_crc, with_bad_id_crc, without_data_field},
    fixture,
};
use proptest::{collection::vec, prelude::*, sample::Index};
use vm_fdc::media::{
    Access, DataRate, Encoding, FormFactor, Geometry, IfExists, Image, ImageError, ImageOptions, Mark, Medium, Sector,
    SectorDisk, SectorTrack,
    container::{
        Container, ContainerError, Damage, DiskFile, ReadOptions, SaveError, Unsavable, Unsupported, image_disk,
        save_image_disk,
    },
};

fn read(bytes: &[u8]) -> Result<DiskFile, ContainerError> {
    DiskFile::read(bytes, ReadOptions::new())
}

/// All that a disk holds, as text that can be compared.
fn dump(disk: &SectorDisk) -> String {
    let head = format!("{} {}\n", disk.form_factor(), disk.cylinders());
    let places = (0..disk.cylinders()).flat_map(|cylinder| [(cylinder, 0), (cylinder, 1)]);
    let track = |(cylinder, head)| format!("{cylinder} {head} {:?}\n", disk.recorded(cylinder, head));
    head + &places.map(track).collect::<String>()
}

fn track(rate: DataRate, encoding: Encoding, sectors: &[(Sector, Vec<u8>)]) -> SectorTrack {
    let empty = SectorTrack::new(rate).with_encoding(encoding);
    sectors.iter().cloned().fold(empty, |track, (sector, data)| track.with_sector(sector, data))
}

/// A disk of 3.5" with everything that ImageDisk can hold.
fn varied_disk() -> SectorDisk {
    let mut disk = SectorDisk::formatted(Geometry::HD_1440K, 0xF6);
    let ramp = |bytes: usize| (0..bytes).map(|n| n as u8).collect::<Vec<_>>();
    let all_records = [
        (id(3, 0, 1, 2), ramp(512)),
        (id(3, 0, 2, 2), vec![7; 512]),
        (deleted(id(3, 0, 3, 2)), ramp(512)),
        (deleted(id(3, 0, 4, 2)), vec![7; 512]),
        (with_bad_data_crc(id(3, 0, 5, 2)), ramp(512)),
        (with_bad_data_crc(id(3, 0, 6, 2)), vec![7; 512]),
        (with_bad_data_crc(deleted(id(3, 0, 7, 2))), ramp(512)),
        (with_bad_data_crc(deleted(id(3, 0, 8, 2))), vec![7; 512]),
        (without_data_field(id(3, 0, 9, 2)), Vec::new()),
    ];
    disk.set_track(3, 0, track(DataRate::Kbps500, Encoding::Mfm, &all_records));
    // Other cylinders and heads in the IDs, twice the same ID, and sizes from 128 to 16,384 bytes.
    let strange = [
        (id(200, 9, 1, 0), ramp(128)),
        (id(4, 1, 1, 5), ramp(4096)),
        (id(4, 1, 1, 5), vec![1; 4096]),
        (id(255, 255, 255, 7), vec![3; 16_384]),
    ];
    disk.set_track(4, 1, track(DataRate::Kbps250, Encoding::Mfm, &strange));
    disk.set_track(5, 0, track(DataRate::Kbps250, Encoding::Fm, &[(id(5, 0, 1, 0), ramp(128))]));
    disk.set_track(6, 0, track(DataRate::Kbps300, Encoding::Fm, &[]));
    disk
}

#[test]
fn a_disk_saved_by_image_disk_opens_as_it_was() {
    let disk = varied_disk();
    let bytes = image_disk(&disk, b"two\r\nlines").unwrap();
    let file = read(&bytes).unwrap();
    assert_eq!((file.container, &file.comment[..]), (Container::ImageDisk, &b"two\r\nlines"[..]));
    assert_eq!(dump(&file.disk), dump(&disk));
    // And a second time to the same bytes.
    assert_eq!(image_disk(&file.disk, &file.comment).unwrap(), bytes);
}

#[test]
fn a_disk_is_saved_to_a_file_and_opened_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.imd");
    let disk = SectorDisk::from_raw(Geometry::DD_360K, &fs::read(fixture("dos-360k.img")).unwrap()).unwrap();
    save_image_disk(&disk, b"", &path, IfExists::Fail).unwrap();
    let again = save_image_disk(&disk, b"", &path, IfExists::Fail).unwrap_err();
    assert!(matches!(again, SaveError::Create(_)), "{again}");
    let file = DiskFile::open(&path, ReadOptions::new()).unwrap();
    // 40 cylinders at 250 kb/s are 5.25".
    assert_eq!(dump(&file.disk), dump(&disk));
    let missing = DiskFile::open(folder.path().join("missing"), ReadOptions::new()).unwrap_err();
    assert!(matches!(missing, ContainerError::Io(_)), "{missing}");
    let directory = DiskFile::open(folder.path(), ReadOptions::new()).unwrap_err();
    assert!(matches!(directory, ContainerError::WrongFileType), "{directory}");
    let sparse = fs::File::create(folder.path().join("large")).unwrap();
    sparse.set_len(1 << 40).unwrap();
    let large = DiskFile::open(folder.path().join("large"), ReadOptions::new()).unwrap_err();
    assert!(matches!(large, ContainerError::TooLarge { bytes } if bytes == 1 << 40), "{large}");
}

#[test]
fn what_image_disk_cannot_hold_is_named() {
    let data = |bytes| vec![0; bytes];
    let sector = id(0, 0, 5, 2);
    for (rate, sectors, expected) in [
        (DataRate::Kbps1000, vec![(sector, data(512))], Unsavable::Rate),
        (DataRate::Kbps500, vec![(sector, data(512)); 256], Unsavable::Count(256)),
        (DataRate::Kbps500, vec![(id(0, 0, 5, 8), data(512))], Unsavable::SizeCode(5)),
        (DataRate::Kbps500, vec![(sector, data(511))], Unsavable::DataSize(5)),
        (DataRate::Kbps500, vec![(with_bad_id_crc(sector), data(512))], Unsavable::IdCrc(5)),
    ] {
        let mut disk = SectorDisk::unformatted(FormFactor::Inch3_5, 80);
        disk.set_track(2, 1, track(rate, Encoding::Mfm, &sectors));
        let error = image_disk(&disk, b"").unwrap_err();
        let SaveError::Track { cylinder: 2, head: 1, reason } = error else { panic!("{error}") };
        assert_eq!(reason, expected);
    }
    let comment = image_disk(&varied_disk(), b"a\x1Ab").unwrap_err();
    assert!(matches!(comment, SaveError::Comment), "{comment}");
}

/// The file of ImageDisk with these tracks.
fn imd(tracks: &[u8]) -> Vec<u8> {
    [b"IMD 1.18: 01/01/2020 00:00:00\r\nA comment\x1A", tracks].concat()
}

#[test]
fn a_damaged_file_of_image_disk_is_refused_with_the_place() {
    let value = |field, value| Damage::Value { field, value };
    for (tracks, expected) in [
        (&[][..], Damage::Empty),
        (&[6, 0, 0, 1, 2, 1, 2, 0], value("the mode of a track", 6)),
        (&[5, 86, 0, 1, 2, 1, 2, 0], value("the cylinder", 86)),
        (&[5, 0, 2, 1, 2, 1, 2, 0], value("the head", 2)),
        (&[5, 0, 0, 1, 8, 1, 2, 0], value("the size code of a sector", 8)),
        (&[5, 0, 0, 1, 0xFF, 1, 1, 2, 2, 0], value("the size code of a sector", 0xFF)),
        (&[5, 0, 0, 1, 2, 1, 9, 0], value("the type of a data record", 9)),
        (&[5, 0, 0, 2, 2, 1], Damage::Truncated),
        (&[5, 0, 0x80, 1, 2, 1], Damage::Truncated),
        (&[5, 0, 0, 1, 2, 1, 1, 0, 0], Damage::Truncated),
        (&[5, 0, 0, 0, 2, 5, 0, 0, 0, 2], Damage::Duplicate { cylinder: 0, head: 0 }),
    ] {
        let error = read(&imd(tracks)).unwrap_err();
        let ContainerError::Damaged { container: Container::ImageDisk, damage, .. } = error else { panic!("{error}") };
        assert_eq!(damage, expected, "{tracks:?}");
    }
    let endless = read(b"IMD 1.18: no end of the comment").unwrap_err();
    assert!(matches!(endless, ContainerError::Damaged { damage: Damage::Truncated, .. }), "{endless}");
}

#[test]
fn a_few_bytes_cannot_expand_to_a_disk_without_bound() {
    // 255 compressed sectors of 16,384 bytes on each track.
    let track = |place: u8| {
        let head = [3, place / 2, place % 2, 255, 7];
        [&head[..], &[1; 255], &[2, 0xE5].repeat(255)].concat()
    };
    assert!(read(&imd(&track(0))).is_ok());
    let error = read(&imd(&(0..172).flat_map(track).collect::<Vec<_>>())).unwrap_err();
    assert!(matches!(error, ContainerError::Damaged { damage: Damage::TooLarge, .. }), "{error}");
}

/// The CRC of Teledisk.
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| crc << 1 ^ if crc >> 15 == 1 { 0xA097 } else { 0 })
    })
}

fn td0_header(mut header: [u8; 10]) -> Vec<u8> {
    header[..2].copy_from_slice(b"TD");
    [&header[..], &crc(&header).to_le_bytes()].concat()
}

fn td0_sector(sector: u8, size_code: u8, flags: u8, data: &[u8], packed: &[u8]) -> Vec<u8> {
    let header = [1, 0, sector, size_code, flags, crc(data) as u8];
    let length = if packed.is_empty() { Vec::new() } else { (packed.len() as u16).to_le_bytes().to_vec() };
    [&header[..], &length, packed].concat()
}

/// A file of Teledisk with all encodings and flags, on cylinder 1 under head 0.
fn td0() -> Vec<u8> {
    let text = b"First\0second\0";
    let comment = [&[text.len() as u8, 0, 90, 0, 1, 0, 0, 0][..], text].concat();
    let ramp: Vec<_> = (0..=255).collect();
    let runs = [[1, 2].repeat(60), vec![9; 8], [3, 4, 5, 6].repeat(32)].concat();
    let packed_runs = [&[2, 1, 60, 1, 2, 0, 8][..], &[9; 8], &[2, 32, 3, 4, 5, 6]].concat();
    let sectors = [
        td0_sector(1, 1, 0, &ramp, &[&[0], &ramp[..]].concat()),
        td0_sector(2, 1, 0x04, &[0xAB, 0xCD].repeat(128), &[1, 128, 0, 0xAB, 0xCD]),
        td0_sector(3, 1, 0x02, &runs, &packed_runs),
        td0_sector(4, 0, 0x10, &[], &[]),
        td0_sector(5, 1, 0x20, &[], &[]),
        td0_sector(100, 1, 0x40, &ramp, &[&[0], &ramp[..]].concat()),
    ];
    let place = [sectors.len() as u8, 1, 0x80];
    let header = td0_header([0, 0, 0, 0x42, 21, 1, 2, 0x80, 0, 1]);
    let parts = [&header[..], &crc(&comment).to_le_bytes(), &comment, &place, &[crc(&place) as u8], &sectors.concat()];
    [&parts.concat()[..], &[0xFF]].concat()
}

#[test]
fn teledisk_opens_with_all_flags_and_encodings() {
    let file = read(&td0()).unwrap();
    assert_eq!((file.container, &file.comment[..]), (Container::Teledisk, &b"First\nsecond\n"[..]));
    assert_eq!((file.disk.form_factor(), file.disk.cylinders()), (FormFactor::Inch5_25, 2));
    let ramp: Vec<_> = (0..=255).collect();
    let runs = [[1, 2].repeat(60), vec![9; 8], [3, 4, 5, 6].repeat(32)].concat();
    let expected = [
        (id(1, 0, 1, 1), ramp.clone()),
        (deleted(id(1, 0, 2, 1)), [0xAB, 0xCD].repeat(128)),
        (with_bad_data_crc(id(1, 0, 3, 1)), runs),
        (id(1, 0, 4, 0), vec![0xF6; 128]),
        (without_data_field(id(1, 0, 5, 1)), Vec::new()),
        (with_bad_id_crc(id(1, 0, 100, 1)), ramp),
    ];
    // FM, by the flag of the track, and 300 kb/s, which are 250 in the drive for the disk.
    let expected = track(DataRate::Kbps250, Encoding::Fm, &expected);
    assert_eq!(format!("{:?}", file.disk.recorded(1, 0)), format!("{:?}", Some(expected)));
    assert!(file.disk.recorded(0, 0).is_none());
    let options = ReadOptions::new().with_form_factor(FormFactor::Inch3_5);
    let file = DiskFile::read(&td0(), options).unwrap();
    assert_eq!(file.disk.form_factor(), FormFactor::Inch3_5);
    assert_eq!(file.disk.recorded(1, 0).unwrap().rate(), DataRate::Kbps300);
}

#[test]
fn advanced_compression_of_teledisk_is_expanded() {
    // More symbols than the code counts before it halves its counts. `dsktrans` of libdsk reads the same.
    let file = DiskFile::open(fixture("teledisk-advanced.td0"), ReadOptions::new()).unwrap();
    assert_eq!((file.container, &file.comment[..]), (Container::CompressedTeledisk, &b"Advanced\ncompression\n"[..]));
    for (cylinder, head) in (0..3).flat_map(|cylinder| [(cylinder, 0), (cylinder, 1)]) {
        let track = file.disk.recorded(cylinder, head).unwrap();
        assert_eq!((track.rate(), track.sectors().len()), (DataRate::Kbps500, 18));
        for (slot, sector) in (0..18).zip(1u8..) {
            let byte = |n: usize| if n.is_multiple_of(97) { n as u8 + sector } else { cylinder };
            let data: Vec<_> = (0..512).map(byte).collect();
            assert_eq!(track.data(slot), Some(&data[..]), "cylinder {cylinder}, head {head}, sector {sector}");
        }
    }
}

#[test]
fn a_wrong_crc_of_teledisk_is_found_anywhere() {
    let good = td0();
    let change = |at: usize, bit: u8| {
        let mut bad = good.clone();
        bad[at] ^= bit;
        read(&bad)
    };
    // The header, the comment and the header of the track. The header of a sector with data has no CRC.
    for at in 2..39 {
        assert!(change(at, 0x10).is_err(), "byte {at}");
    }
    // The data of the first sector with their length. The file has half of their CRC, which a few changes pass.
    assert!((45..304).filter(|&at| change(at, 0x10).is_ok()).count() < 4);
    for at in [5, 16, 25, 36, 50, good.len() - 20] {
        let error = change(at, 0x01).unwrap_err();
        assert!(matches!(error, ContainerError::Damaged { damage: Damage::Checksum, .. }), "byte {at}: {error}");
    }
}

#[test]
fn what_teledisk_has_and_the_library_has_not_is_named() {
    let [second, old] = unsupported();
    let error = read(&second).unwrap_err();
    let several = Unsupported::SeveralFiles;
    assert!(matches!(error, ContainerError::Unsupported { reason, .. } if reason == several), "{error}");
    let error = read(&old).unwrap_err();
    let compression = Unsupported::OldCompression;
    assert!(matches!(error, ContainerError::Unsupported { reason, .. } if reason == compression), "{error}");
    // A first file of several ends before its end mark.
    let good = td0();
    for length in 12..good.len() {
        let error = read(&good[..length]).unwrap_err();
        let part = matches!(error, ContainerError::Damaged { damage: Damage::TruncatedOrPart, .. });
        assert!(part && error.to_string().contains("the first of several"), "{length} bytes: {error}");
    }
}

/// A disk of D88 with these sectors on cylinder 0 under head 1: header of 16 bytes, and data.
fn d88(media: u8, header_bytes: u32, sectors: &[([u8; 16], Vec<u8>)]) -> Vec<u8> {
    let track: Vec<u8> = sectors.iter().flat_map(|(header, data)| [&header[..], data].concat()).collect();
    let mut file = vec![0; header_bytes as usize];
    file[..6].copy_from_slice(b"A disk");
    file[0x1A] = 0x10;
    file[0x1B] = media;
    let size = header_bytes + track.len() as u32;
    file[0x1C..0x20].copy_from_slice(&size.to_le_bytes());
    file[0x24..0x28].copy_from_slice(&header_bytes.to_le_bytes());
    // Some programs do this to entries that are not in use.
    file[0x29C..0x2A0].copy_from_slice(&size.to_le_bytes());
    [file, track].concat()
}

/// The header of a sector among four.
fn d88_sector(sector: u8, size_code: u8, marks: [u8; 3], bytes: u16) -> [u8; 16] {
    let [density, mark, status] = marks;
    let [low, high] = bytes.to_le_bytes();
    [0, 1, sector, size_code, 4, 0, density, mark, status, 0, 0, 0, 0, 0, low, high]
}

fn d88_disk(header_bytes: u32) -> Vec<u8> {
    let sectors = [
        (d88_sector(1, 3, [0, 0, 0], 1024), vec![1; 1024]),
        (d88_sector(2, 3, [0, 0x10, 0xB0], 1024), vec![2; 1024]),
        (d88_sector(3, 3, [0, 0, 0xA0], 100), vec![3; 100]),
        (d88_sector(4, 9, [0, 0, 0xF0], 0), vec![]),
    ];
    d88(0x20, header_bytes, &sectors)
}

#[test]
fn d88_opens_with_headers_of_both_lengths() {
    for header_bytes in [0x2A0, 0x2B0] {
        let file = read(&d88_disk(header_bytes)).unwrap();
        assert_eq!((file.container, &file.comment[..]), (Container::D88, &b"A disk"[..]));
        assert!(file.disk.is_write_protected());
        let expected = [
            (id(0, 1, 1, 3), vec![1; 1024]),
            (with_bad_data_crc(deleted(id(0, 1, 2, 3))), vec![2; 1024]),
            (with_bad_id_crc(id(0, 1, 3, 3)), vec![3; 100]),
            (without_data_field(id(0, 1, 4, 9)), vec![]),
        ];
        let expected = track(DataRate::Kbps500, Encoding::Mfm, &expected);
        assert_eq!(format!("{:?}", file.disk.recorded(0, 1)), format!("{:?}", Some(expected)));
    }
    let single = d88(0x00, 0x2B0, &[([0, 1, 1, 0, 1, 0, 0x40, 0, 0, 0, 0, 0, 0, 0, 128, 0], vec![5; 128])]);
    let file = read(&single).unwrap();
    let track = file.disk.recorded(0, 1).unwrap();
    assert_eq!((track.rate(), track.encoding()), (DataRate::Kbps250, Encoding::Fm));
    assert_eq!(track.sectors()[0].mark, Some(Mark::Data));
}

#[test]
fn each_disk_in_a_file_of_d88_opens() {
    let second = d88(0x00, 0x2B0, &[([0, 1, 9, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 128, 0], vec![5; 128])]);
    let both = [d88_disk(0x2B0), second].concat();
    let sector = |index| {
        let file = DiskFile::read(&both, ReadOptions::new().with_disk(index))?;
        Ok::<_, ContainerError>(file.disk.recorded(0, 1).unwrap().sectors()[0].id.sector)
    };
    assert_eq!((sector(0).unwrap(), sector(1).unwrap()), (1, 9));
    assert!(matches!(sector(2), Err(ContainerError::NoSuchDisk { disks: 2, index: 2 })));
    let error = DiskFile::read(&td0(), ReadOptions::new().with_disk(1)).unwrap_err();
    assert!(matches!(error, ContainerError::NoSuchDisk { disks: 1, index: 1 }), "{error}");
}

#[test]
fn damage_of_d88_is_named() {
    let value = |field, value| Damage::Value { field, value };
    let status = d88(0, 0x2B0, &[(d88_sector(1, 0, [0, 0, 0x33], 128), vec![0; 128])]);
    let count = d88(0, 0x2B0, &[([0, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 128, 0], vec![0; 128])]);
    let missing = d88(0, 0x2B0, &[(d88_sector(1, 0, [0, 0, 0], 128), vec![0; 128])]);
    for (file, expected) in [
        (status, value("the status of a sector", 0x33)),
        (count, value("the number of sectors", 257)),
        (missing, Damage::Truncated),
    ] {
        let error = read(&file).unwrap_err();
        assert!(matches!(error, ContainerError::Damaged { damage, .. } if damage == expected), "{error}");
    }
}

/// Files of every kind that is recognised and not opened, as far as their signature goes, after what they are recognised by.
pub fn signatures() -> Vec<(String, Vec<u8>, Container)> {
    let padded = |head: &[u8]| [head, &vec![0; 5_000]].concat();
    let mut copy_qm = padded(b"CQ\x14\0\x02");
    copy_qm[132] = 0u8.wrapping_sub(copy_qm[..132].iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte)));
    let mut anex86 = vec![0; 4096 + 1024];
    for (at, number) in [(8, 4096), (12, 1024), (16, 512), (20, 2), (24, 1), (28, 1u32)] {
        anex86[at..][..4].copy_from_slice(&number.to_le_bytes());
    }
    let mut fixed_vhd = vec![0; 512 * 3];
    fixed_vhd[1024..1032].copy_from_slice(b"conectix");
    let by_head: [(&[u8], Container); 18] = [
        (b"HXCPICFE", Container::Hfe),
        (b"HXCHFEV3", Container::Hfe),
        (b"86BF", Container::Image86F),
        (b"Formatted Disk Image file", Container::Fdi),
        (b"EXTENDED CPC DSK", Container::CpcDsk),
        (b"MV - CPC", Container::CpcDsk),
        (b"CAPS\0\0\0\x0C", Container::Ipf),
        (b"PSI \0\0\0\x04", Container::Psi),
        (b"PK\x03\x04", Container::Zip),
        (b"PK\x05\x06", Container::Zip),
        (b"PK\x07\x08", Container::Zip),
        (b"\x1F\x8B\x08", Container::Gzip),
        (b"\xFD7zXZ\0", Container::Xz),
        (b"7z\xBC\xAF\x27\x1C", Container::SevenZip),
        (b"QFI\xFB", Container::Qcow2),
        (b"conectix", Container::Vhd),
        (b"vhdxfile", Container::Vhdx),
        (b"KDMV", Container::Vmdk),
    ];
    let code = |signature: &[u8]| format!("`{}`", signature.escape_ascii());
    let by_fields = [
        (code(b"FDI"), padded(b"FDI\0\x50\0\x02\0"), Container::Fdi),
        ("the header of Anex86".to_owned(), anex86, Container::Fdi),
        (code(b"\xAA\x58"), padded(b"\xAA\x58\xF0\0\x02\x01"), Container::SaveDskF),
        (code(b"\xAA\x59"), padded(b"\xAA\x59\xF0\0\x02\x01"), Container::SaveDskF),
        (code(b"\xAA\x5A"), padded(b"\xAA\x5A\xF0\0\x02\x01"), Container::SaveDskF),
        (code(b"CQ\x14"), copy_qm, Container::CopyQm),
        ("`conectix` 512 bytes before the end".to_owned(), fixed_vhd, Container::Vhd),
    ];
    by_head.into_iter().map(|(head, kind)| (code(head), padded(head), kind)).chain(by_fields).collect()
}

/// Files that are opened, in the same way.
pub fn readable() -> Vec<(String, Vec<u8>, Container)> {
    let advanced = fs::read(fixture("teledisk-advanced.td0")).unwrap();
    vec![
        ("`IMD `".to_owned(), image_disk(&varied_disk(), b"").unwrap(), Container::ImageDisk),
        ("`TD`".to_owned(), td0(), Container::Teledisk),
        ("`td`".to_owned(), advanced, Container::CompressedTeledisk),
        ("its header".to_owned(), d88_disk(0x2B0), Container::D88),
    ]
}

/// Files of Teledisk that are not opened: a later one of several, and one of an old version.
pub fn unsupported() -> [Vec<u8>; 2] {
    let second = td0_header([0, 0, 1, 0x42, 21, 1, 2, 0, 0, 1]);
    let mut old = *b"td\0\x42\x0F\x01\x02\0\0\x01\0\0";
    let sum = crc(&old[..10]).to_le_bytes();
    old[10..].copy_from_slice(&sum);
    [second, old.to_vec()]
}

#[test]
fn a_file_is_named_by_its_signature_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    for (n, (_, bytes, expected)) in signatures().into_iter().chain(readable()).enumerate() {
        assert_eq!(vm_fdc::media::container::recognize(&bytes), Some(expected));
        assert_eq!(read(&bytes).is_ok(), expected.is_readable(), "{expected}");
        let path = folder.path().join(n.to_string());
        fs::write(&path, &bytes).unwrap();
        let layout = ImageOptions::new(Access::ReadOnly).with_geometry(Geometry::HD_1440K);
        for options in [Access::ReadWrite.into(), layout] {
            let error = Image::open(&path, options).unwrap_err();
            assert!(matches!(error, ImageError::Container { container } if container == expected), "{error}");
            let message = error.to_string();
            assert!(message.contains(expected.name()) && message.contains(expected.advice()), "{message}");
        }
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}

#[test]
fn no_guest_makes_its_image_a_container() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.img");
    for (_, mut image, container) in signatures() {
        image.resize(1_474_560, 0);
        fs::write(&path, &image).unwrap();
        let options = ImageOptions::new(Access::ReadOnly).with_geometry(Geometry::HD_1440K);
        assert!(Image::open(&path, options).is_ok(), "{container}");
        let error = Image::open(&path, Access::ReadOnly).unwrap_err();
        assert!(matches!(error, ImageError::AmbiguousSize { .. }), "{container}: {error}");
    }
}

#[test]
fn a_raw_image_is_no_container() {
    for name in ["dos-1440k.img", "dos-720k.img", "dos-360k.img", "selftest.bin"] {
        let bytes = fs::read(fixture(name)).unwrap();
        assert_eq!(vm_fdc::media::container::recognize(&bytes), None, "{name}");
        assert!(matches!(read(&bytes), Err(ContainerError::Unknown)), "{name}");
    }
    for length in [0, 1, 13, 0x29F, 0x2A0, 0x2B0, 5_000] {
        for byte in [0, 0x10, 0xFF] {
            assert_eq!(vm_fdc::media::container::recognize(&vec![byte; length]), None, "{length} bytes {byte:02X}");
        }
    }
}

/// Files to begin mutations with.
fn seeds() -> Vec<Vec<u8>> {
    let mut small = SectorDisk::unformatted(FormFactor::Inch3_5, 80);
    let disk = varied_disk();
    for (cylinder, head) in [(3, 0), (4, 1), (5, 0), (6, 0)] {
        small.set_track(cylinder, head, disk.recorded(cylinder, head).unwrap().clone());
    }
    let both = [d88_disk(0x2B0), d88_disk(0x2A0)].concat();
    let advanced = fs::read(fixture("teledisk-advanced.td0")).unwrap();
    vec![image_disk(&small, b"seed").unwrap(), td0(), both, advanced]
}

/// Reads a disk from any bytes, and uses what was read.
fn use_all(bytes: &[u8]) {
    for disk in 0..2 {
        let Ok(mut file) = DiskFile::read(bytes, ReadOptions::new().with_disk(disk)) else { continue };
        assert!((1..=86).contains(&file.disk.cylinders()));
        _ = file.disk.raw_image();
        if let Ok(saved) = image_disk(&file.disk, b"") {
            let options = ReadOptions::new().with_form_factor(file.disk.form_factor());
            assert!(DiskFile::read(&saved, options).is_ok());
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_do_harm(bytes in vec(any::<u8>(), 0..2_000), signature in 0..4usize) {
        use_all(&bytes);
        let seed = &seeds()[signature];
        use_all(&[&seed[..seed.len().min(12)], &bytes].concat());
        use_all(&imd(&bytes));
    }

    #[test]
    fn no_mutation_of_a_file_does_harm(
        seed in 0..4usize,
        changes in vec((any::<Index>(), any::<u8>()), 0..8),
        cut in proptest::option::of(any::<Index>()),
        repair in any::<bool>(),
    ) {
        let mut bytes = seeds()[seed].clone();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        // The header of Teledisk has a CRC, which would refuse most changes.
        if repair && bytes.len() >= 12 && bytes[..2].eq_ignore_ascii_case(b"TD") {
            let sum = crc(&bytes[..10]).to_le_bytes();
            bytes[10..12].copy_from_slice(&sum);
        }
        use_all(&bytes);
    }

    #[test]
    fn any_disk_of_image_disk_comes_back(
        tracks in vec((0..86u8, 0..2u8, 0..6usize, vec((any::<[u8; 3]>(), 0..4u8, 0..9u8, any::<u8>()), 0..20)), 1..12),
    ) {
        let mut disk = SectorDisk::unformatted(FormFactor::Inch3_5, 86);
        for (cylinder, head, mode, sectors) in tracks {
            let rate = [DataRate::Kbps500, DataRate::Kbps300, DataRate::Kbps250][mode % 3];
            let encoding = if mode < 3 { Encoding::Fm } else { Encoding::Mfm };
            let sectors: Vec<_> = sectors.into_iter().map(|([c, h, r], size_code, kind, first)| {
                let mut sector = id(c, h, r, size_code);
                let mut data = vec![first; 128 << size_code];
                data[5] = kind;
                if kind == 0 {
                    return (without_data_field(sector), Vec::new());
                }
                sector.data_crc_error = kind > 4;
                (if kind % 2 == 0 { deleted(sector) } else { sector }, data)
            }).collect();
            disk.set_track(cylinder, head, track(rate, encoding, &sectors));
        }
        // The last cylinder tells how many there are.
        disk.set_track(85, 1, SectorTrack::new(DataRate::Kbps250));
        let bytes = image_disk(&disk, b"").unwrap();
        let options = ReadOptions::new().with_form_factor(FormFactor::Inch3_5);
        let file = DiskFile::read(&bytes, options).unwrap();
        prop_assert_eq!(dump(&file.disk), dump(&disk));
    }
}
