//! Sector disks and faulty media: what a guest reads from them, and their conversion from raw images and to raw images.

use std::fs;

use super::kit::disk::{
    self, CYLINDER, Disk, FORMAT, FULL_DISK, MODES, MT, READ, READ_ID, SECTOR, VERIFY, WRITE, command, contents,
    deleted, exchange, guest, id, in_file, released, sector, with_bad_data_crc, with_bad_id_crc, without_data_field,
};
use super::kit::status::{DE, DE_DD, EN, MA_MD, ND, OK};
use super::kit::{self, BUFFER, DMA_WRITE_FLOPPY, Guest, fixture};
use vm_fdc::{
    FloppyDrive,
    media::{
        Access, DataRate, Encoding, FORMATS,
        Fault::{self, DataCrc, HostIo, IdCrc, MissingMark},
        FaultyMedium, FormFactor, Geometry, Image, ImageOptions,
        Irregularity::{self, Count, Damaged, Duplicate, Missing, Outside, Recording, Unformatted},
        Medium, MediumError, Sector, SectorDisk, SectorTrack, WrongLength,
    },
};

const HD: Geometry = Geometry::HD_1440K;

/// Returns READ DATA, WRITE DATA or VERIFY of one sector of cylinder 0, head 0.
fn one(opcode: u8, sector: u8, size_code: u8) -> [u8; 9] {
    [opcode, 0, 0, 0, sector, size_code, sector, 0x1B, 0x80]
}

/// Returns a guest with a medium in its 1.44M drive.
fn in_drive(medium: impl Medium) -> (Guest, FloppyDrive) {
    let (guest, drive) = guest();
    drive.attach_medium(medium).unwrap();
    (guest, drive)
}

// Raw images

#[test]
fn every_regular_format_converts_from_a_raw_image_and_back() {
    // §9.7
    for geometry in FORMATS.iter().filter_map(|format| format.layout.geometry().copied()) {
        let raw: Vec<_> = (0..geometry.bytes()).map(|n| ((n % 251) ^ (n >> 9)) as u8).collect();
        let disk = SectorDisk::from_raw(geometry, &raw).unwrap();
        assert!(disk.to_raw(geometry).unwrap() == raw, "{geometry}");
    }
}

#[test]
fn a_raw_image_of_another_size_is_refused() {
    // §9.7
    for bytes in [0, HD.bytes() - 1, HD.bytes() + 1, Geometry::DD_720K.bytes()] {
        let bytes = bytes as usize;
        let refused = SectorDisk::from_raw(HD, &vec![0; bytes]).err();
        assert_eq!(refused, Some(WrongLength { bytes, geometry: HD }));
    }
}

#[test]
fn a_guest_reads_the_sectors_of_a_converted_raw_image() {
    // §9.7
    let raw = fs::read(fixture(FULL_DISK)).unwrap();
    for dma in MODES {
        let (mut guest, _drive) = in_drive(SectorDisk::from_raw(HD, &raw).unwrap());
        guest.seek(CYLINDER);
        let (moved, reply) = exchange(&mut guest, dma, &command(READ | MT, 0, 1, 18));
        assert_eq!(reply, [0x44, 0x80, 0, CYLINDER, 1, 18, 2]);
        assert!(guest.buffer(moved) == in_file(0, 1, 36), "DMA: {dma}");
    }
}

#[test]
fn writes_of_a_guest_are_in_the_raw_image() {
    // §9.7
    for dma in MODES {
        let (mut guest, drive) = in_drive(SectorDisk::formatted(HD, 0xF6));
        guest.seek(CYLINDER);
        guest.buffer_mut(20 * SECTOR).fill(0xA5);
        exchange(&mut guest, dma, &command(WRITE | MT, 0, 17, 18));

        let mut expected = vec![0xF6; HD.bytes() as usize];
        expected[disk::offset_in_file(0, 17)..][..20 * SECTOR].fill(0xA5);
        assert!(released::<SectorDisk>(&drive).to_raw(HD).unwrap() == expected, "DMA: {dma}");
    }
}

/// Returns a track of a 1.44M disk with these sectors.
fn track(sectors: impl IntoIterator<Item = Sector>) -> SectorTrack {
    let empty = SectorTrack::new(DataRate::Kbps500);
    sectors.into_iter().fold(empty, |track, sector| track.with_sector(sector, contents(sector)))
}

/// Returns the regular sectors of cylinder 40, head 1 of such a disk.
fn regular() -> Vec<Sector> {
    (1..=18).map(|sector| id(40, 1, sector, 2)).collect()
}

/// Returns the same with another sector at one place.
fn regular_except(place: usize, sector: Sector) -> Vec<Sector> {
    let mut sectors = regular();
    sectors[place] = sector;
    sectors
}

#[test]
fn a_raw_image_does_not_keep_the_order_of_the_sectors() {
    // §9.7
    let saved = |sectors: Vec<Sector>| {
        let mut disk = SectorDisk::formatted(HD, 0);
        disk.set_track(40, 1, track(sectors));
        disk.to_raw(HD).unwrap()
    };
    let mut interleaved = regular();
    interleaved.sort_by_key(|sector| sector.id.sector % 2);
    interleaved.rotate_left(5);
    let raw = saved(interleaved);
    assert!(raw == saved(regular()));
    assert!(
        raw[(40 * 2 + 1) * 18 * SECTOR..][..18 * SECTOR]
            == regular().into_iter().flat_map(contents).collect::<Vec<_>>()
    );
}

#[test]
fn a_track_that_a_raw_image_cannot_hold_is_reported_with_the_reason() {
    // §9.7: a raw image has only data.
    let good = id(40, 1, 7, 2);
    let empty = SectorTrack::new(DataRate::Kbps500);
    let short = regular().into_iter().fold(empty.clone(), |track, sector| track.with_sector(sector, vec![0; 511]));
    let at_250: SectorTrack = regular()
        .into_iter()
        .fold(SectorTrack::new(DataRate::Kbps250), |track, it| track.with_sector(it, contents(it)));
    let table = [
        (at_250, Recording),
        (track(regular()).with_encoding(Encoding::Fm), Recording),
        (empty, Count(0)),
        (track(regular().into_iter().take(17)), Count(17)),
        (track(regular().into_iter().chain([id(40, 1, 19, 2)])), Count(19)),
        (track(regular_except(6, id(40, 1, 19, 2))), Missing(7)),
        (track(regular_except(6, id(40, 1, 0, 2))), Missing(7)),
        (track(regular_except(6, id(41, 1, 7, 2))), Missing(7)),
        (track(regular_except(6, id(40, 0, 7, 2))), Missing(7)),
        (track(regular_except(6, id(40, 1, 7, 3))), Missing(7)),
        (track(regular_except(17, good)), Duplicate(7)),
        (track(regular_except(6, deleted(good))), Damaged(7)),
        (track(regular_except(6, without_data_field(good))), Damaged(7)),
        (track(regular_except(6, with_bad_id_crc(good))), Damaged(7)),
        (track(regular_except(6, with_bad_data_crc(good))), Damaged(7)),
        (short, Damaged(1)),
    ];
    for (track, irregularity) in table {
        let mut disk = SectorDisk::formatted(HD, 0);
        disk.set_track(40, 1, track);
        let error = disk.to_raw(HD).unwrap_err();
        assert_eq!((error.cylinder, error.head, error.irregularity), (40, 1, irregularity));
    }
}

#[test]
fn a_disk_with_more_or_fewer_tracks_than_the_geometry_is_irregular() {
    // §9.7: the disk, the geometry, the place, the irregularity.
    let of_cylinders = |cylinders, heads| {
        Geometry::new(cylinders, heads, 18, 2, DataRate::Kbps500, FormFactor::Inch3_5).expect("a valid geometry")
    };
    let formatted = |cylinders, heads| SectorDisk::formatted(of_cylinders(cylinders, heads), 0);
    let table: [(SectorDisk, Geometry, (u8, u8), Irregularity); 5] = [
        (SectorDisk::unformatted(FormFactor::Inch3_5, 80), HD, (0, 0), Unformatted),
        (formatted(80, 1), HD, (0, 1), Unformatted),
        (formatted(79, 2), HD, (79, 0), Unformatted),
        (formatted(81, 2), HD, (80, 0), Outside),
        (formatted(80, 2), of_cylinders(80, 1), (0, 1), Outside),
    ];
    for (disk, geometry, place, irregularity) in table {
        let error = disk.to_raw(geometry).unwrap_err();
        assert_eq!(((error.cylinder, error.head), error.irregularity), (place, irregularity));
    }
}

#[test]
fn blank_cylinders_beyond_the_geometry_are_ignored() {
    // §9.7
    let mut disk = SectorDisk::unformatted(FormFactor::Inch3_5, 86);
    disk.set_track(0, 0, track((1..=9).map(sector)));
    let one_track = Geometry::new(1, 1, 9, 2, DataRate::Kbps500, FormFactor::Inch3_5).unwrap();
    assert!(disk.to_raw(one_track).unwrap() == (1..=9).map(sector).flat_map(contents).collect::<Vec<_>>());
}

#[test]
fn a_track_outside_a_disk_is_ignored() {
    // SectorDisk::set_track
    let mut disk = SectorDisk::unformatted(FormFactor::Inch3_5, 80);
    for (cylinder, head) in [(80, 0), (255, 1), (0, 2), (79, 255)] {
        disk.set_track(cylinder, head, track([sector(1)]));
        assert!(disk.track(cylinder, head).is_none());
        assert!(matches!(disk.read(cylinder, head, 0, 1), Err(MediumError::Absent)));
    }
    assert!((0..80).all(|cylinder| disk.track(cylinder, 0).is_none() && disk.track(cylinder, 1).is_none()));
}

#[test]
fn a_write_protected_disk_refuses_writes() {
    // §4.12
    for (protected, status) in [(true, [0x40, 0x02, 0x00]), (false, EN)] {
        let mut disk = SectorDisk::formatted(HD, 0);
        disk.set_write_protected(protected);
        let (mut guest, _drive) = in_drive(disk);
        assert_eq!(exchange(&mut guest, true, &one(WRITE, 1, 2)).1.status(), status);
    }
}

// Tracks that no raw image can hold

/// R and N of the sectors of tracks, in physical order: tracks of Linux (§9.8) and of XDF, and all sizes that fit at
/// 500 kb/s.
const MIXED: [&[(u8, u8)]; 6] = [
    &[(1, 3), (2, 3), (3, 3), (4, 3), (5, 3), (6, 2)],
    &[(1, 5), (2, 4), (3, 3)],
    &[(1, 6), (2, 4)],
    &[(1, 4), (2, 4), (3, 4), (4, 4), (5, 4), (6, 3), (7, 2)],
    &[(0x83, 3), (0x86, 6), (0x82, 2), (0x84, 4)],
    &[(9, 0), (3, 5), (255, 1), (0, 2), (7, 4), (100, 3)],
];

#[test]
fn sectors_of_several_sizes_on_one_track_are_read() {
    // §9.8, §4.3: each sector is found with its size, in any order, and with no other size.
    for layout in MIXED {
        let sectors = layout.iter().map(|&(sector, size_code)| id(0, 0, sector, size_code));
        for dma in MODES {
            let mut guest = Disk::of(sectors.clone()).in_drive();
            for sector in sectors.clone().rev() {
                let (moved, reply) = exchange(&mut guest, dma, &one(READ, sector.id.sector, sector.id.size_code));
                assert_eq!(reply.status(), EN, "{sector:?}");
                assert!(guest.buffer(moved) == contents(sector), "{sector:?}, DMA: {dma}");
                let other = one(READ, sector.id.sector, sector.id.size_code ^ 1);
                assert_eq!(exchange(&mut guest, dma, &other).1.status(), ND, "{sector:?}");
            }
        }
    }
}

#[test]
fn a_write_among_sectors_of_several_sizes_changes_one_sector() {
    // §4.3
    for dma in MODES {
        for (written, _) in MIXED[5] {
            let sectors = MIXED[5].iter().map(|&(sector, size_code)| id(0, 0, sector, size_code));
            let mut guest = Disk::of(sectors.clone()).in_drive();
            for sector in sectors.clone().filter(|sector| sector.id.sector == *written) {
                guest.buffer_mut(4096).fill(0xEE);
                exchange(&mut guest, dma, &one(WRITE, sector.id.sector, sector.id.size_code));
            }
            for sector in sectors {
                let (moved, _) = exchange(&mut guest, dma, &one(READ, sector.id.sector, sector.id.size_code));
                let expected = if sector.id.sector == *written { vec![0xEE; moved] } else { contents(sector) };
                assert!(guest.buffer(moved) == expected, "{sector:?} after a write to {written}, DMA: {dma}");
            }
        }
    }
}

#[test]
fn a_run_of_sectors_ends_at_another_size() {
    // §4.3: all sectors of a command have its N.
    for dma in MODES {
        let mut guest = Disk::of([id(0, 0, 1, 3), id(0, 0, 2, 3), id(0, 0, 3, 2)]).in_drive();
        let (moved, reply) = exchange(&mut guest, dma, &[READ, 0, 0, 0, 1, 3, 3, 0x1B, 0xFF]);
        assert_eq!((moved, &*reply), (2048, &[0x40, 0x04, 0, 0, 0, 3, 3][..]));
    }
}

#[test]
fn sectors_whose_ids_differ_in_one_number_are_distinguished() {
    // §4.1
    let sectors = [id(0, 0, 1, 1), id(9, 0, 1, 1), id(0, 1, 1, 2), id(0, 0, 2, 1), id(0, 0, 1, 2)];
    for dma in MODES {
        let mut guest = Disk::of(sectors.map(|it| if it.id.cylinder == 9 { deleted(it) } else { it })).in_drive();
        for (sector, st2) in sectors.map(|sector| (sector, if sector.id.cylinder == 9 { 0x40 } else { 0 })) {
            let [c, h, r, n] = [sector.id.cylinder, sector.id.head, sector.id.sector, sector.id.size_code];
            let (moved, reply) = exchange(&mut guest, dma, &[READ, 0, c, h, r, n, r, 0x1B, 0xFF]);
            assert_eq!((moved, reply[2]), (128 << n, st2), "{sector:?}");
            assert!(guest.buffer(moved) == contents(sector), "{sector:?}");
        }
    }
}

#[test]
fn a_data_field_of_the_wrong_length_reads_with_a_bad_crc() {
    // SectorTrack::with_sector; §4.12: a write creates a field of the right length.
    for bytes in [1, 511, 513, 1024] {
        for dma in MODES {
            let mut disk = SectorDisk::unformatted(FormFactor::Inch3_5, 80);
            let odd = SectorTrack::new(DataRate::Kbps500).with_sector(sector(1), vec![0xA5; bytes]);
            disk.set_track(0, 0, odd);
            let (mut guest, _drive) = in_drive(disk);
            let (moved, reply) = exchange(&mut guest, dma, &one(READ, 1, 2));
            assert_eq!((moved, reply.status()), (SECTOR, DE_DD), "{bytes} bytes, DMA: {dma}");
            let there = bytes.min(SECTOR);
            assert_eq!(guest.buffer(there), vec![0xA5; there]);

            guest.buffer_mut(SECTOR).fill(0x5A);
            let [written, read] = [WRITE, READ].map(|opcode| exchange(&mut guest, dma, &one(opcode, 1, 2)).1.status());
            assert_eq!((written, read), (EN, EN), "{bytes} bytes, DMA: {dma}");
            assert_eq!(guest.buffer(SECTOR), [0x5A; SECTOR]);
        }
    }
}

#[test]
fn an_empty_data_field_reads_with_a_bad_crc() {
    // SectorTrack::with_sector: the field is shorter than its ID says.
    let mut disk = SectorDisk::unformatted(FormFactor::Inch3_5, 80);
    disk.set_track(0, 0, SectorTrack::new(DataRate::Kbps500).with_sector(sector(1), Vec::new()));
    let (mut guest, _drive) = in_drive(disk);
    let (moved, reply) = exchange(&mut guest, true, &one(READ, 1, 2));
    assert_eq!((moved, reply.status()), (SECTOR, DE_DD));
}

#[test]
fn an_id_with_an_invalid_size_code_is_found_only_by_read_id() {
    // §4.3, §4.11
    for size_code in [8, 0x82, 0xFF] {
        let mut disk = SectorDisk::unformatted(FormFactor::Inch3_5, 80);
        disk.set_track(0, 0, SectorTrack::new(DataRate::Kbps500).with_sector(id(0, 0, 1, size_code), vec![0; 512]));
        let (mut guest, _drive) = in_drive(disk);
        assert_eq!(guest.command(&[READ_ID, 0]), [0x00, 0, 0, 0, 0, 1, size_code]);
        for opcode in [READ, WRITE, VERIFY] {
            for size_code in [size_code & 7, 7] {
                let (moved, reply) = exchange(&mut guest, true, &one(opcode, 1, size_code));
                assert_eq!((moved, reply.status()), (0, ND), "{opcode:#04x}, N = {size_code}");
            }
        }
    }
}

#[test]
fn a_write_creates_a_missing_data_field() {
    // §3.5
    for dma in MODES {
        let mut guest = Disk::of([sector(1), without_data_field(sector(2)), sector(3)]).in_drive();
        guest.buffer_mut(SECTOR).fill(0xA5);
        assert_eq!(exchange(&mut guest, dma, &one(WRITE, 2, 2)).1.status(), EN);
        exchange(&mut guest, dma, &[READ, 0, 0, 0, 1, 2, 3, 0x1B, 0xFF]);
        let expected = [contents(sector(1)), vec![0xA5; SECTOR], contents(sector(3))];
        assert!(guest.buffer(3 * SECTOR) == expected.concat(), "DMA: {dma}");
    }
}

// Faults

/// The statuses of READ DATA, WRITE DATA, VERIFY and READ ID of the only sector of a track.
const FAULTS: [(Fault, [[u8; 3]; 4]); 4] = [
    (IdCrc, [DE, DE, DE, ND]),
    (DataCrc, [DE_DD, EN, DE_DD, OK]),
    (MissingMark, [MA_MD, EN, MA_MD, OK]),
    (HostIo, [DE_DD, DE, DE_DD, OK]),
];

/// Returns the statuses of these four commands.
fn statuses(guest: &mut Guest, dma: bool) -> [[u8; 3]; 4] {
    [READ, WRITE, VERIFY]
        .map(|opcode| one(opcode, 1, 2).to_vec())
        .into_iter()
        .chain([vec![READ_ID, 0]])
        .map(|command| exchange(guest, dma, &command).1.status())
        .collect::<Vec<_>>()
        .try_into()
        .unwrap()
}

#[test]
fn each_fault_fails_the_commands_that_it_affects() {
    // §4.11, §4.12: the second pass checks that a write does not remove the fault, the third that a format does not.
    for (fault, expected) in FAULTS {
        for dma in MODES {
            let (mut guest, _drive) = in_drive(FaultyMedium::new(Disk::of([sector(1)])).with_fault(0, 0, 1, fault));
            assert_eq!(statuses(&mut guest, dma), expected, "{fault:?}, DMA: {dma}");
            assert_eq!(statuses(&mut guest, dma), expected, "{fault:?} after a write, DMA: {dma}");

            guest.buffer_mut(4).copy_from_slice(&[0, 0, 1, 2]);
            guest.use_dma(true);
            guest.program_dma(DMA_WRITE_FLOPPY, BUFFER, 4);
            let formatted = if fault == HostIo { DE } else { OK };
            assert_eq!(guest.command(&[FORMAT, 0, 2, 1, 0x6C, 0xF6]).status(), formatted);
            assert_eq!(statuses(&mut guest, dma), expected, "{fault:?} after a format, DMA: {dma}");
        }
    }
}

#[test]
fn a_faulty_medium_without_faults_behaves_as_its_medium() {
    // SectorDisk::set_track
    let (mut guest, drive) = in_drive(FaultyMedium::new(SectorDisk::formatted(HD, 0xF6)));
    guest.buffer_mut(SECTOR).fill(0xA5);
    assert_eq!(exchange(&mut guest, true, &one(WRITE, 1, 2)).1.status(), EN);
    let raw = released::<FaultyMedium<SectorDisk>>(&drive).into_inner().to_raw(HD).unwrap();
    assert!(raw[..SECTOR] == [0xA5; SECTOR] && raw[SECTOR..].iter().all(|&byte| byte == 0xF6));
}

#[test]
fn a_write_that_a_fault_allows_reaches_the_medium() {
    // FaultyMedium: a write that succeeds reaches the medium.
    for (fault, byte) in [(IdCrc, 0xF6), (DataCrc, 0xA5), (MissingMark, 0xA5), (HostIo, 0xF6)] {
        let (mut guest, drive) =
            in_drive(FaultyMedium::new(SectorDisk::formatted(HD, 0xF6)).with_fault(0, 0, 1, fault));
        guest.buffer_mut(SECTOR).fill(0xA5);
        exchange(&mut guest, true, &one(WRITE, 1, 2));
        let raw = released::<FaultyMedium<SectorDisk>>(&drive).into_inner().to_raw(HD).unwrap();
        assert!(raw[..SECTOR] == [byte; SECTOR], "{fault:?}");
    }
}

#[test]
fn a_track_with_a_host_error_is_not_formatted() {
    // §4.12: host I/O error, write.
    let (mut guest, drive) = in_drive(FaultyMedium::new(SectorDisk::formatted(HD, 0x11)).with_fault(0, 0, 3, HostIo));
    for (head, status) in [(0, [0x40, 0x20, 0]), (1, [0x04, 0, 0])] {
        let ids: Vec<u8> = (1..=18).flat_map(|sector| [0, head, sector, 2]).collect();
        guest.buffer_mut(ids.len()).copy_from_slice(&ids);
        guest.program_dma(DMA_WRITE_FLOPPY, BUFFER, ids.len());
        assert_eq!(guest.command(&[0x4D, head << 2, 2, 18, 0x6C, 0xF6]).status(), status);
    }
    let raw = released::<FaultyMedium<SectorDisk>>(&drive).into_inner().to_raw(HD).unwrap();
    assert!(raw[..18 * SECTOR] == [0x11; 18 * SECTOR] && raw[18 * SECTOR..36 * SECTOR] == [0xF6; 18 * SECTOR]);
}

#[test]
fn a_fault_affects_only_its_own_sector() {
    // §4.12: by cylinder, head and R.
    let disk = SectorDisk::formatted(HD, 0xF6);
    let (mut guest, _drive) =
        in_drive(FaultyMedium::new(disk).with_fault(0, 1, 3, DataCrc).with_fault(1, 0, 3, HostIo));
    let table = [(0, 0, 3, EN), (0, 1, 2, [0x44, 0x80, 0]), (0, 1, 3, [0x44, 0x20, 0x20]), (0, 1, 4, [0x44, 0x80, 0])];
    for (cylinder, head, sector, status) in table {
        let read = [READ, head << 2, cylinder, head, sector, 2, sector, 0x1B, 0xFF];
        assert_eq!(exchange(&mut guest, true, &read).1.status(), status, "sector {sector} of head {head}");
    }
}

/// Returns a guest with the full disk and these faults in its drive, and the head at [`CYLINDER`].
fn guest_with_faulty_image(faults: &[(u8, u8, Fault)]) -> Guest {
    let image = Image::open(fixture(FULL_DISK), ImageOptions::new(Access::Private).with_geometry(HD)).unwrap();
    let faulty = faults.iter().fold(FaultyMedium::new(image), |medium, &(head, sector, fault)| {
        medium.with_fault(CYLINDER, head, sector, fault)
    });
    let (mut guest, _) = in_drive(faulty);
    guest.seek(CYLINDER);
    guest
}

#[test]
fn a_multi_track_run_of_an_image_ends_at_a_fault_on_either_head() {
    // §4.1, §4.12: the head and sector of the fault; the number of sectors that a read delivers and a write takes.
    if kit::IN_TIME {
        return; // With authentic timing, a byte is requested before its sector passes the head.
    }
    for (head, sector) in [(0, 1), (0, 7), (0, 18), (1, 1), (1, 3), (1, 18)] {
        let before = usize::from(head) * 18 + usize::from(sector) - 1;
        for (fault, [read, write, verify, _]) in FAULTS {
            for dma in MODES {
                let case = format!("{fault:?} at {head}/{sector}, DMA: {dma}");
                let on_head = |[st0, st1, st2]: [u8; 3]| [st0 | head << 2, st1, st2];
                let mut guest = guest_with_faulty_image(&[(head, sector, fault)]);
                let (moved, reply) = exchange(&mut guest, dma, &command(READ | MT, 0, 1, 18));
                assert_eq!((reply.status(), reply.id()), (on_head(read), [CYLINDER, head, sector, 2]), "{case}");
                // The data of a field with a bad CRC is delivered.
                assert_eq!(moved, (before + usize::from(fault == DataCrc)) * SECTOR, "{case}");
                assert!(guest.buffer(moved) == in_file(0, 1, moved / SECTOR), "{case}");

                let (_, reply) = exchange(&mut guest, dma, &command(VERIFY | MT, 0, 1, 18));
                assert_eq!((reply.status(), reply.id()), (on_head(verify), [CYLINDER, head, sector, 2]), "{case}");

                let (moved, reply) = exchange(&mut guest, dma, &command(WRITE | MT, 0, 1, 18));
                match write {
                    EN => assert_eq!((moved, reply.status()), (36 * SECTOR, [0x44, 0x80, 0]), "{case}"),
                    _ => assert_eq!((moved, reply.status()), (before * SECTOR, on_head(write)), "{case}"),
                }
            }
        }
    }
}

#[test]
fn a_multi_track_write_to_an_image_stops_before_a_host_error() {
    // §4.12: the sector of the error does not change.
    for dma in MODES {
        let mut guest = guest_with_faulty_image(&[(1, 2, HostIo)]);
        guest.buffer_mut(36 * SECTOR).fill(0xA5);
        exchange(&mut guest, dma, &command(WRITE | MT, 0, 1, 18));
        exchange(&mut guest, dma, &command(READ | MT, 0, 18, 18));
        assert!(guest.buffer(2 * SECTOR) == [0xA5; 2 * SECTOR], "DMA: {dma}");
        let (moved, _) = exchange(&mut guest, dma, &command(READ, 1, 3, 18));
        assert!(guest.buffer(moved) == in_file(1, 3, 16), "DMA: {dma}");
    }
}

#[test]
fn a_run_ends_at_the_first_of_several_faults() {
    // §4.1
    let mut guest = guest_with_faulty_image(&[(1, 1, MissingMark), (0, 18, DataCrc), (0, 4, HostIo)]);
    let mut from = |sector| exchange(&mut guest, true, &command(READ | MT, 0, sector, 18)).1;
    assert_eq!(from(1), [0x40, 0x20, 0x20, CYLINDER, 0, 4, 2]);
    assert_eq!(from(5), [0x40, 0x20, 0x20, CYLINDER, 0, 18, 2]);
    let on_head_1 = exchange(&mut guest, true, &command(READ, 1, 1, 18)).1;
    assert_eq!(on_head_1, [0x44, 0x01, 0x01, CYLINDER, 1, 1, 2]);
}

#[test]
fn read_id_finds_all_ids_of_a_faulty_image_without_a_bad_crc() {
    // §4.11
    let faults = [(0, 3, IdCrc), (0, 5, DataCrc), (0, 7, MissingMark), (0, 9, HostIo)];
    let mut guest = guest_with_faulty_image(&faults);
    let mut seen: Vec<_> = (0..17).map(|_| guest.command(&[READ_ID, 0])[5]).collect();
    seen.sort_unstable();
    assert_eq!(seen, (1..=18).filter(|&sector| sector != 3).collect::<Vec<_>>());
}

#[test]
fn a_faulty_medium_has_the_name_of_its_medium() {
    // Medium::name
    let disk = SectorDisk::formatted(HD, 0xF6);
    assert_eq!(disk.name(), None);
    let disk = FaultyMedium::new(disk.with_name("scratch")).with_fault(0, 0, 1, Fault::DataCrc);
    assert_eq!(disk.name(), Some("scratch"));
}
