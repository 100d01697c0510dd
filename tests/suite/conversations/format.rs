//! FORMAT TRACK: a raw image accepts only tracks of its own geometry, a sector disk accepts any track that fits into a
//! revolution.

use std::fs;

use super::kit::disk::{
    self, CYLINDER, Disk, FORMAT, FULL_DISK, MFM, MODES, READ, READ_ID, READ_TRACK, SECTOR, WRITE, deleted, guest,
    guest_with_copy, guest_with_full_disk, id, offset_in_file, released, sector, transfer, with_bad_data_crc,
    with_bad_id_crc, without_data_field,
};
use super::kit::status::{DE_DD, MA, ND, NW, OK, OR, REFUSED};
use super::kit::{BUFFER, CCR, DMA_WRITE_FLOPPY, FIFO, FROM_HOST, Guest, MSR, Reply, fixture};
use tempfile::NamedTempFile;
use vm_fdc::{
    FloppyDrive,
    drive::DriveType,
    media::{Access, DataRate, Encoding, FormFactor, Geometry, ImageOptions, Medium, SectorDisk, SectorTrack},
};

/// The filler of most tests.
const FILLER: u8 = 0xF6;

/// Performs FORMAT TRACK with these ID fields, and terminal count after the last. Returns the number of bytes that the
/// controller requested, and the result.
fn format(guest: &mut Guest, dma: bool, command: [u8; 6], ids: &[[u8; 4]]) -> (usize, Reply) {
    format_bytes(guest, dma, command, ids.as_flattened())
}

fn format_bytes(guest: &mut Guest, dma: bool, command: [u8; 6], bytes: &[u8]) -> (usize, Reply) {
    guest.use_dma(dma);
    guest.buffer_mut(bytes.len()).copy_from_slice(bytes);
    guest.program_dma(DMA_WRITE_FLOPPY, BUFFER, bytes.len());
    guest.send(&command).unwrap();
    let mut given = 0;
    while given < bytes.len() && guest.bus.read(MSR) == FROM_HOST {
        guest.bus.write(FIFO, bytes[given]);
        given += 1;
    }
    let residue = u16::from_le_bytes([guest.bus.read(0x05), guest.bus.read(0x05)]);
    let taken = if dma { bytes.len().wrapping_sub(1 + usize::from(residue)) & 0xFFFF } else { given };
    (taken, guest.reply())
}

/// Returns FORMAT TRACK with 18 sectors of a 1.44M disk, as a BIOS performs it.
fn command(head: u8) -> [u8; 6] {
    [FORMAT, head << 2, 2, 18, 0x6C, FILLER]
}

/// Returns the ID fields of sectors of 512 bytes of a track.
fn ids(cylinder: u8, head: u8, numbers: impl IntoIterator<Item = u8>) -> Vec<[u8; 4]> {
    numbers.into_iter().map(|sector| [cylinder, head, sector, 2]).collect()
}

/// Performs READ DATA of a sector of cylinder 0, head 0.
fn read(guest: &mut Guest, sector: u8, size_code: u8) -> Reply {
    guest.use_dma(true);
    transfer(guest, &[READ, 0, 0, 0, sector, size_code, sector, 0x1B, 128], 128 << size_code)
}

/// Returns a guest with an unformatted disk of 80 cylinders.
fn guest_with_blank_disk() -> (Guest, FloppyDrive) {
    let (guest, drive) = guest();
    drive.attach_medium(SectorDisk::unformatted(FormFactor::Inch3_5, 80)).unwrap();
    (guest, drive)
}

// A raw image

#[test]
fn a_format_fills_a_track_of_an_image_in_any_sector_order() {
    // §4.9: ascending, descending, interleaved by 2, skewed by 5.
    let orders: [Vec<u8>; 4] = [
        (1..=18).collect(),
        (1..=18).rev().collect(),
        (0..18).map(|n| n % 2 * 9 + n / 2 + 1).collect(),
        (0..18).map(|n| (n + 5) % 18 + 1).collect(),
    ];
    for (head, order) in [0, 1].into_iter().flat_map(|head| orders.each_ref().map(|order| (head, order))) {
        for dma in MODES {
            let (mut guest, drive, file) = guest_with_copy(Access::ReadWrite);
            let (taken, reply) = format(&mut guest, dma, command(head), &ids(CYLINDER, head, order.iter().copied()));
            assert_eq!((taken, reply.status()), (72, [head << 2, 0, 0]), "DMA: {dma}");

            drive.release_image().unwrap();
            let mut expected = fs::read(fixture(FULL_DISK)).unwrap();
            expected[offset_in_file(head, 1)..][..18 * SECTOR].fill(FILLER);
            assert!(fs::read(file.path()).unwrap() == expected, "head {head}, {order:?}, DMA: {dma}");
        }
    }
}

#[test]
fn an_image_refuses_a_format_that_it_cannot_hold_and_does_not_change() {
    // §4.9
    let [mut c, mut h, mut n] = [(); 3].map(|()| ids(CYLINDER, 0, 1..=18));
    (c[17][0], h[17][1], n[17][3]) = (CYLINDER + 1, 1, 3);
    let own = ids(CYLINDER, 0, 1..=18);
    let with_18th = |sector| ids(CYLINDER, 0, (1..=17).chain([sector]));
    let short_gap = |sectors| [FORMAT, 0, 2, sectors, 0x1B, FILLER];
    let table = [
        ("fewer sectors", short_gap(17), ids(CYLINDER, 0, 1..=17), 0),
        ("more sectors", short_gap(19), ids(CYLINDER, 0, 1..=19), 0),
        ("smaller sectors", [FORMAT, 0, 1, 18, 0x1B, FILLER], own.clone(), 0),
        ("larger sectors", [FORMAT, 0, 3, 18, 0x1B, FILLER], own.clone(), 0),
        ("sectors of an invalid size", [FORMAT, 0, 8, 18, 0x1B, FILLER], own.clone(), 0),
        ("another C", command(0), c, 0),
        ("another H", command(0), h, 0),
        ("another N", command(0), n, 0),
        ("R = 0", command(0), with_18th(0), 0),
        ("R = 19", command(0), with_18th(19), 0),
        ("R = 66", command(0), with_18th(66), 0),
        ("R = 255", command(0), with_18th(255), 0),
        ("an R twice", command(0), with_18th(1), 0),
        ("the other head", command(1), own.clone(), 0),
        ("single density", [FORMAT & !MFM, 0, 2, 18, 0x1B, FILLER], own.clone(), 0),
        ("250 kb/s", command(0), own.clone(), 0b10),
        ("300 kb/s", command(0), own.clone(), 0b01),
        ("1 Mb/s, which the drive does not have", command(0), own, 0b11),
    ];
    for (what, command, ids, rate) in table {
        for dma in MODES {
            let (mut guest, drive, file) = guest_with_copy(Access::ReadWrite);
            guest.bus.write(CCR, rate);
            let (_, reply) = format(&mut guest, dma, command, &ids);
            assert_eq!((reply.len(), reply[0] & 0xC0), (7, 0x40), "{what}, DMA: {dma}");
            assert_eq!((reply[1], reply[2]), (0x02, 0), "{what}: NW says why");
            drive.release_image().unwrap();
            assert!(fs::read(file.path()).unwrap() == fs::read(fixture(FULL_DISK)).unwrap(), "{what}, DMA: {dma}");
        }
    }
}

#[test]
fn a_format_with_the_numbers_of_the_image_succeeds_whatever_its_gap() {
    // §4.9, §9.7
    for gap in [0x00, 0x1B, 0x6C, 0xFF] {
        let (mut guest, drive, file) = guest_with_copy(Access::ReadWrite);
        let (_, reply) = format(&mut guest, true, [FORMAT, 0, 2, 18, gap, FILLER], &ids(CYLINDER, 0, 1..=18));
        assert_eq!(reply.status(), OK, "gap {gap:#04x}");
        drive.release_image().unwrap();
        let written = fs::read(file.path()).unwrap();
        assert!(written[offset_in_file(0, 1)..][..18 * SECTOR].iter().all(|&byte| byte == FILLER));
    }
}

#[test]
fn tracks_that_need_a_slow_drive_are_formatted() {
    // §9.7: as tools write them: 800K to 830K, 1.36M, 1.44M in a 1.2M drive, and Linux' D1040.
    for (what, drive_type, rate, sectors, gap) in [
        ("10 sectors at gap 2E", DriveType::Inch3_5Hd, 0b10, 10, 0x2E),
        ("10 sectors in a 1.2M drive", DriveType::Inch5_25Hd, 0b01, 10, 0x2E),
        ("17 sectors at gap 23", DriveType::Inch5_25Hd, 0b00, 17, 0x23),
        ("18 sectors at gap 02", DriveType::Inch5_25Hd, 0b00, 18, 0x02),
        ("21 sectors at gap 0C", DriveType::Inch3_5Hd, 0b00, 21, 0x0C),
    ] {
        let (mut guest, drive) = Guest::with_drive(drive_type);
        drive.attach_medium(SectorDisk::unformatted(drive_type.form_factor(), 80)).unwrap();
        guest.bus.write(CCR, rate);
        let all = ids(0, 0, 1..=sectors);
        let (taken, reply) = format(&mut guest, true, [FORMAT, 0, 2, sectors, gap, FILLER], &all);
        assert_eq!((taken, reply.status()), (4 * usize::from(sectors), OK), "{what}");
        let disk: Box<dyn std::any::Any> = drive.release_medium().unwrap();
        let disk = disk.downcast::<SectorDisk>().unwrap();
        assert_eq!(Medium::track(&*disk, 0, 0).unwrap().len(), usize::from(sectors), "{what}");
    }
}

#[test]
fn an_image_refuses_more_sectors_than_it_has_even_if_the_first_ones_fit() {
    // §4.9; the status of sectors that do not fit is not established.
    let (mut guest, drive, file) = guest_with_copy(Access::ReadWrite);
    let (_, reply) = format(&mut guest, true, [FORMAT, 0, 2, 19, 0x6C, FILLER], &ids(CYLINDER, 0, 1..=19));
    assert_eq!((reply[0], reply[1]), (0x40, 0x02));
    drive.release_image().unwrap();
    assert!(fs::read(file.path()).unwrap() == fs::read(fixture(FULL_DISK)).unwrap());
}

#[test]
fn an_image_refuses_a_format_of_zero_sectors() {
    // §0.3, §4.9: SC = 0 requests no data.
    let (mut guest, drive, file) = guest_with_copy(Access::ReadWrite);
    assert_eq!(guest.command(&[FORMAT, 0, 2, 0, 0x6C, FILLER])[0] & 0xC0, 0x40);
    drive.release_image().unwrap();
    assert!(fs::read(file.path()).unwrap() == fs::read(fixture(FULL_DISK)).unwrap());
}

#[test]
fn beyond_the_last_cylinder_of_an_image_nothing_is_formatted() {
    // §4.9
    let mut guest = guest_with_full_disk();
    guest.seek(81);
    let (_, reply) = format(&mut guest, true, command(0), &ids(81, 0, 1..=18));
    assert_eq!(reply[0] & 0xC0, 0x40);
    assert_eq!(guest.command(&[READ_ID, 0]).status(), MA);
}

#[test]
fn every_drive_formats_its_disks() {
    // §9.2, §9.3, §9.4: the drive, the disk, the data rate in the CCR, the gap, and the steps from cylinder to cylinder.
    let table = [
        (DriveType::Inch5_25Dd, Geometry::DD_360K, 0b10, 0x50, 1),
        (DriveType::Inch5_25Hd, Geometry::DD_360K, 0b01, 0x50, 2),
        (DriveType::Inch5_25Hd, Geometry::HD_1200K, 0b00, 0x54, 1),
        (DriveType::Inch3_5Dd, Geometry::DD_720K, 0b10, 0x50, 1),
        (DriveType::Inch3_5Hd, Geometry::DD_720K, 0b10, 0x50, 1),
        (DriveType::Inch3_5Hd, Geometry::HD_1440K, 0b00, 0x6C, 1),
        (DriveType::Inch3_5Ed, Geometry::HD_1440K, 0b00, 0x6C, 1),
        (DriveType::Inch3_5Ed, Geometry::ED_2880K, 0b11, 0x53, 1),
    ];
    for (drive_type, geometry, rate, gap, steps) in table {
        let file = NamedTempFile::new().unwrap();
        file.as_file().set_len(geometry.bytes()).unwrap();
        let (mut guest, drive) = Guest::with_drive(drive_type);
        drive.attach_image(file.path(), ImageOptions::new(Access::ReadWrite).with_geometry(geometry)).unwrap();
        guest.bus.write(CCR, rate);
        guest.seek(7 * steps);
        let sectors = geometry.sectors();
        let (_, reply) = format(&mut guest, true, [FORMAT, 4, 2, sectors, gap, FILLER], &ids(7, 1, 1..=sectors));
        assert_eq!(reply.status(), [0x04, 0, 0], "{geometry} in {drive_type}");

        drive.release_image().unwrap();
        let track = usize::from(sectors) * SECTOR;
        let mut expected = vec![0; geometry.bytes() as usize];
        expected[15 * track..][..track].fill(FILLER);
        assert!(fs::read(file.path()).unwrap() == expected, "{geometry} in {drive_type}");
    }
}

#[test]
fn between_two_cylinders_of_a_360k_disk_a_1200k_drive_formats_nothing() {
    // §9.4
    let file = NamedTempFile::new().unwrap();
    file.as_file().set_len(Geometry::DD_360K.bytes()).unwrap();
    let (mut guest, drive) = Guest::with_drive(DriveType::Inch5_25Hd);
    drive.attach_image(file.path(), ImageOptions::new(Access::ReadWrite).with_geometry(Geometry::DD_360K)).unwrap();
    guest.bus.write(CCR, 0b01);
    guest.seek(7);
    for cylinder in [3, 4, 7] {
        let (_, reply) = format(&mut guest, true, [FORMAT, 0, 2, 9, 0x50, FILLER], &ids(cylinder, 0, 1..=9));
        assert_eq!(reply[0] & 0xC0, 0x40);
    }
    drive.release_image().unwrap();
    assert!(fs::read(file.path()).unwrap().iter().all(|&byte| byte == 0));
}

// The command

#[test]
fn a_format_of_a_protected_disk_fails_and_requests_no_data() {
    // §4.9
    let (read_only, ..) = guest_with_copy(Access::ReadOnly);
    for mut guest in [read_only, Disk::of([sector(1)]).protected().in_drive(), Disk::blank().protected().in_drive()] {
        for dma in MODES {
            let (taken, reply) = format(&mut guest, dma, command(0), &ids(0, 0, 1..=18));
            assert_eq!((taken, reply.status()), (0, NW), "DMA: {dma}");
        }
    }
}

#[test]
fn a_format_without_a_disk_finds_no_address_mark() {
    // §4.13
    let (mut guest, _drive) = guest();
    let (taken, reply) = format(&mut guest, true, command(0), &ids(0, 0, 1..=18));
    assert_eq!((taken, reply.status()), (0, MA));
}

#[test]
fn a_format_requests_four_bytes_a_sector_and_needs_no_terminal_count() {
    // §4.9: a normal end in both modes.
    for dma in MODES {
        let (mut guest, _drive) = guest_with_blank_disk();
        let (taken, reply) = format(&mut guest, dma, command(0), &ids(0, 0, 1..=30));
        assert_eq!((taken, reply.status()), (72, OK), "DMA: {dma}");
    }
}

#[test]
fn the_result_of_a_format_has_the_last_id_and_the_drive_and_head_of_the_command() {
    // §4.9: the chip does not interpret the IDs; §5.1
    for dma in MODES {
        let (mut guest, _drive) = guest_with_blank_disk();
        let ids = [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]];
        let (_, reply) = format(&mut guest, dma, [FORMAT, 0x06, 2, 3, 0x6C, FILLER], &ids);
        assert_eq!(reply, [0x06, 0, 0, 9, 10, 11, 12]);
    }
}

#[test]
fn a_format_with_dma_interrupts_once() {
    // §6.1
    let (mut guest, _drive) = guest_with_blank_disk();
    let before = guest.bus.irq().edges();
    format(&mut guest, true, command(0), &ids(0, 0, 1..=18));
    assert_eq!(guest.bus.irq().edges() - before, 1);
}

#[test]
fn early_terminal_count_is_an_underrun() {
    // §4.9: in the middle of the track, in the middle of an ID, and one byte before the end.
    for bytes in [4, 20, 22, 71] {
        let (mut blank, _drive) = guest_with_blank_disk();
        let all = ids(0, 0, 1..=18);
        let (_, reply) = format_bytes(&mut blank, true, command(0), &all.as_flattened()[..bytes]);
        assert_eq!(reply.status(), OR, "{bytes} bytes");

        let (mut guest, drive, file) = guest_with_copy(Access::ReadWrite);
        let all = ids(CYLINDER, 0, 1..=18);
        let (_, reply) = format_bytes(&mut guest, true, command(0), &all.as_flattened()[..bytes]);
        assert_eq!(reply.status(), OR, "{bytes} bytes");
        drive.release_image().unwrap();
        assert!(fs::read(file.path()).unwrap() == fs::read(fixture(FULL_DISK)).unwrap(), "the image does not change");
    }
}

#[test]
fn dumpreg_shows_the_sector_count_of_the_last_format() {
    // §3.19
    let (mut guest, _drive) = guest_with_blank_disk();
    for sectors in [18, 9, 0] {
        format(&mut guest, true, [FORMAT, 0, 2, sectors, 0x1B, FILLER], &ids(0, 0, 1..=18));
        assert_eq!(guest.command(&[0x0E])[6], sectors);
    }
    read(&mut guest, 5, 2);
    assert_eq!(guest.command(&[0x0E])[6], 5, "READ DATA: EOT");
}

#[test]
fn a_format_with_mt_as_in_ms_dos_6_22_fills_a_track() {
    // §3.1: 0xCD
    let mut guest = guest_with_full_disk();
    let (_, reply) = format(&mut guest, true, [0xCD, 0, 2, 18, 0x6C, FILLER], &ids(CYLINDER, 0, 1..=18));
    assert_eq!(reply.status(), OK);
    transfer(&mut guest, &disk::command(READ, 0, 1, 18), 18 * SECTOR);
    assert!(guest.buffer(18 * SECTOR) == [FILLER; 18 * SECTOR]);
    transfer(&mut guest, &disk::command(READ, 1, 1, 18), SECTOR);
    assert_eq!(guest.buffer(SECTOR), disk::in_file(1, 1, 1), "MT is ignored");
}

#[test]
fn a_format_does_not_seek() {
    // §4.5, §4.9: the chip does not interpret the C of the IDs.
    let (mut guest, _drive) = guest_with_blank_disk();
    guest.command(&[0x13, 0, 0x60, 0]); // implied seek
    let (_, reply) = format(&mut guest, true, command(0), &ids(33, 0, 1..=18));
    assert_eq!((reply[0], guest.command(&[0x0E])[0]), (0x00, 0));
    assert_eq!(guest.command(&[READ_ID, 0])[3], 33);
}

// A sector disk

#[test]
fn a_sector_disk_takes_any_ids_in_the_order_of_the_format() {
    // §4.9
    let ids = [[77, 5, 200, 2], [0, 0, 0, 2], [255, 255, 255, 7], [0, 0, 9, 2], [0, 0, 9, 2], [0, 1, 1, 0xE5]];
    for dma in MODES {
        let (mut guest, _drive) = guest_with_blank_disk();
        assert_eq!(format(&mut guest, dma, [FORMAT, 0, 2, 6, 0x1B, FILLER], &ids).1.status(), OK);
        let first = guest.command(&[READ_ID, 0]).id();
        let seen: Vec<_> = (1..=6).map(|_| guest.command(&[READ_ID, 0]).id()).collect();
        let start = seen.iter().position(|id| *id == ids[0]).expect("the first ID passes within a revolution");
        let revolution = [&seen[start..], &seen[..start]].concat();
        assert_eq!((revolution, seen[5]), (ids.to_vec(), first), "DMA: {dma}");
    }
}

#[test]
fn each_encoding_and_size_code_can_be_formatted() {
    // §4.3, §4.9, §7.5: a track holds 16,384 bytes in MFM, at 1 Mb/s, and 4,096 in FM, at 500 kb/s.
    for (mfm, rate, largest) in [(MFM, 0b11, 7), (0, 0b00, 5)] {
        for size_code in 0..=largest {
            for dma in MODES {
                let (mut guest, drive) = Guest::with_drive(DriveType::Inch3_5Ed);
                drive.attach_medium(SectorDisk::unformatted(FormFactor::Inch3_5, 80)).unwrap();
                guest.bus.write(CCR, rate);
                let command = [FORMAT & !MFM | mfm, 0, size_code, 1, 0x1B, 0xE5];
                assert_eq!(format(&mut guest, dma, command, &[[0, 0, 1, size_code]]).1.status(), OK);

                guest.use_dma(true);
                let read = |opcode: u8| [opcode, 0, 0, 0, 1, size_code, 1, 0x1B, 128];
                let bytes = 128 << size_code;
                assert_eq!(transfer(&mut guest, &read(READ & !MFM | mfm), bytes).status(), OK);
                assert!(guest.buffer(bytes).iter().all(|&byte| byte == 0xE5), "N = {size_code}, DMA: {dma}");
                assert_eq!(transfer(&mut guest, &read(READ & !MFM | mfm ^ MFM), bytes).status(), MA);
            }
        }
    }
}

#[test]
fn no_drive_formats_at_a_data_rate_that_it_does_not_have() {
    // §9.1, §9.2, §7.5: no drive formats in FM at 1 Mb/s.
    let rates = [DataRate::Kbps500, DataRate::Kbps300, DataRate::Kbps250, DataRate::Kbps1000];
    let has = |drive_type: DriveType, rate, mfm| match drive_type {
        DriveType::Inch5_25Dd | DriveType::Inch3_5Dd => rate == DataRate::Kbps250,
        DriveType::Inch5_25Hd => matches!(rate, DataRate::Kbps500 | DataRate::Kbps300),
        DriveType::Inch3_5Hd => rate != DataRate::Kbps1000,
        DriveType::Inch3_5Ed => rate != DataRate::Kbps1000 || mfm != 0,
    };
    for (drive_type, rate) in DriveType::ALL.into_iter().flat_map(|drive| rates.map(|rate| (drive, rate))) {
        for mfm in [MFM, 0] {
            let (mut guest, drive) = Guest::with_drive(drive_type);
            // In a drive with this data rate, the same track can be read.
            let native =
                if (drive_type, rate) == (DriveType::Inch5_25Hd, DataRate::Kbps300) { DataRate::Kbps250 } else { rate };
            let encoding = if mfm == 0 { Encoding::Fm } else { Encoding::Mfm };
            let mut disk = SectorDisk::unformatted(drive_type.form_factor(), 40);
            disk.set_track(
                0,
                0,
                SectorTrack::new(native).with_encoding(encoding).with_sector(id(0, 0, 1, 2), vec![0; 512]),
            );
            drive.attach_medium(disk).unwrap();
            guest.bus.write(CCR, rate as u8);
            let (read, format_status) = if has(drive_type, rate, mfm) { (OK, OK) } else { (MA, REFUSED) };
            assert_eq!(guest.command(&[READ_ID & !MFM | mfm, 0]).status(), read, "{drive_type}, {rate}, {encoding:?}");
            let command = [FORMAT & !MFM | mfm, 0, 2, 1, 0x1B, FILLER];
            let (_, reply) = format(&mut guest, true, command, &[[0, 0, 1, 2]]);
            assert_eq!(reply.status(), format_status, "{drive_type}, {rate}, {encoding:?}");
        }
    }
}

#[test]
fn data_fields_have_the_size_of_the_command_not_of_the_ids() {
    // §4.9: the field is larger than its ID says. READ TRACK reads all of it, READ DATA ends with a bad CRC.
    let (mut guest, _drive) = guest_with_blank_disk();
    assert_eq!(format(&mut guest, true, [FORMAT, 0, 3, 1, 0x1B, FILLER], &[[0, 0, 1, 2]]).1.status(), OK);
    transfer(&mut guest, &[READ_TRACK, 0, 0, 0, 1, 3, 1, 0x1B, 0xFF], 1024);
    assert_eq!(guest.buffer(1024), [FILLER; 1024]);
    assert_eq!(read(&mut guest, 1, 2).status(), DE_DD);
    assert_eq!(read(&mut guest, 1, 3).status(), ND);
}

#[test]
fn a_size_code_above_7_is_refused_and_the_track_does_not_change() {
    // §0.3: any parameters give a defined status.
    for size_code in [8, 9, 0x80, 0xFF] {
        let mut guest = Disk::of([sector(1)]).in_drive();
        let (_, reply) = format(&mut guest, true, [FORMAT, 0, size_code, 1, 0x1B, FILLER], &[[0, 0, 1, 2]]);
        assert_eq!(reply[0] & 0xC0, 0x40, "N = {size_code}");
        assert_eq!(read(&mut guest, 1, 2).status(), OK);
        assert_eq!(guest.buffer(SECTOR), disk::contents(sector(1)));
    }
}

#[test]
fn the_index_hole_ends_a_track_whose_sectors_do_not_fit() {
    // §4.9, §10.1: a revolution of 12,500 bytes, less 146, holds 18 sectors of 62 + 512 + 108 bytes. The status is not
    // established.
    for dma in MODES {
        let (mut guest, _drive) = guest_with_blank_disk();
        let (_, reply) = format(&mut guest, dma, [FORMAT, 0, 2, 30, 0x6C, FILLER], &ids(0, 0, 1..=30));
        assert_eq!(reply.status(), OK);
        assert_eq!([18, 19, 30].map(|sector| read(&mut guest, sector, 2).status()), [OK, ND, ND]);
    }
}

#[test]
fn a_track_of_no_sectors_is_blank() {
    // §4.9: SC = 0 requests no data.
    for dma in MODES {
        let mut guest = Disk::of([sector(1)]).in_drive();
        let (taken, reply) = format(&mut guest, dma, [FORMAT, 0, 2, 0, 0x1B, FILLER], &ids(0, 0, 1..=18));
        assert_eq!((taken, reply.len()), (0, 7));
        assert_eq!(guest.command(&[READ_ID, 0]).status(), MA);
    }
}

#[test]
fn a_formatted_track_has_the_data_rate_of_the_format() {
    // §7.5: the status at each of the four data rates.
    for rate in [0b00, 0b01, 0b10] {
        let (mut guest, _drive) = guest_with_blank_disk();
        guest.bus.write(CCR, rate);
        format(&mut guest, true, [FORMAT, 0, 2, 9, 0x50, FILLER], &ids(0, 0, 1..=9));
        for other in 0b00..=0b11 {
            guest.bus.write(CCR, other);
            let expected = if other == rate { OK } else { MA };
            assert_eq!(guest.command(&[READ_ID, 0]).status(), expected, "written at {rate}, read at {other}");
        }
    }
}

#[test]
fn a_format_removes_all_old_sectors_of_the_track() {
    // §4.9
    let before = [deleted, with_bad_id_crc, with_bad_data_crc, without_data_field];
    for make in before {
        let mut guest = Disk::of([make(sector(1)), make(sector(20))]).in_drive();
        assert_eq!(format(&mut guest, true, command(0), &ids(0, 0, 1..=18)).1.status(), OK);
        assert_eq!([1, 20].map(|sector| read(&mut guest, sector, 2).status()), [OK, ND]);
    }
}

#[test]
fn only_the_track_under_the_head_is_formatted() {
    // §4.9
    let mut guest =
        Disk::of([sector(1)]).with_track(0, 1, [id(0, 1, 1, 2)]).with_track(1, 0, [id(1, 0, 1, 2)]).in_drive();
    format(&mut guest, true, command(1), &ids(0, 1, 1..=18));
    assert_eq!(read(&mut guest, 1, 2).status(), OK);
    assert_eq!(guest.buffer(SECTOR), disk::contents(sector(1)));
    guest.seek(1);
    assert_eq!(transfer(&mut guest, &[READ, 0, 1, 0, 1, 2, 1, 0x1B, 0xFF], SECTOR).status(), OK);
    assert_eq!(guest.buffer(SECTOR), disk::contents(id(1, 0, 1, 2)));
}

#[test]
fn beyond_the_last_cylinder_of_a_disk_nothing_is_formatted() {
    // §4.9
    let (mut guest, _drive) = guest_with_blank_disk();
    guest.seek(80);
    assert_eq!(format(&mut guest, true, command(0), &ids(80, 0, 1..=18)).1[0] & 0xC0, 0x40);
    assert_eq!(guest.command(&[READ_ID, 0]).status(), MA);
}

#[test]
fn a_360k_disk_formatted_in_a_1200k_drive_is_a_regular_360k_disk() {
    // §9.2, §9.4
    let (mut guest, drive) = Guest::with_drive(DriveType::Inch5_25Hd);
    drive.attach_medium(SectorDisk::unformatted(FormFactor::Inch5_25, 40)).unwrap();
    guest.bus.write(CCR, 0b01);
    for cylinder in 0..40 {
        guest.seek(2 * cylinder);
        for head in [0, 1] {
            format(&mut guest, true, [FORMAT, head << 2, 2, 9, 0x50, FILLER], &ids(cylinder, head, 1..=9));
        }
    }
    let raw = released::<SectorDisk>(&drive).to_raw(Geometry::DD_360K).unwrap();
    assert!(raw.iter().all(|&byte| byte == FILLER));
}

#[test]
fn a_disk_formatted_from_scratch_can_be_used_and_saved_as_an_image() {
    // §4.9: each track skewed by 3, then a write in the middle.
    for dma in MODES {
        let (mut guest, drive) = guest_with_blank_disk();
        for cylinder in 0..80 {
            guest.seek(cylinder);
            for head in [0, 1] {
                let order = (0..18).map(|n| (n + 3 * cylinder) % 18 + 1);
                assert_eq!(format(&mut guest, dma, command(head), &ids(cylinder, head, order)).1[0], head << 2);
            }
        }
        guest.use_dma(true);
        guest.seek(CYLINDER);
        guest.buffer_mut(3 * SECTOR).fill(0xA5);
        transfer(&mut guest, &disk::command(WRITE | disk::MT, 0, 17, 18), 3 * SECTOR);
        guest.buffer_mut(4 * SECTOR).fill(0);
        transfer(&mut guest, &disk::command(READ | disk::MT, 0, 17, 18), 4 * SECTOR);
        assert!(guest.buffer(4 * SECTOR) == [[0xA5; 3 * SECTOR].as_slice(), &[FILLER; SECTOR]].concat());

        let mut expected = vec![FILLER; Geometry::HD_1440K.bytes() as usize];
        expected[offset_in_file(0, 17)..][..3 * SECTOR].fill(0xA5);
        assert!(released::<SectorDisk>(&drive).to_raw(Geometry::HD_1440K).unwrap() == expected, "DMA: {dma}");
    }
}
