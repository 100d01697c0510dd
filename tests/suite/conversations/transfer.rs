//! READ DATA, WRITE DATA and READ ID by DMA, through ports: which bytes move, where a command ends, and the ID in its
//! result.

use std::fs;

use super::kit::disk::{
    CYLINDER, Disk, FULL_DISK, MT, READ, SECTOR, VERIFY, WRITE, command, contents, exchange, guest_with_copy,
    guest_with_full_disk, id, in_file, made_up, offset_in_file, sector, transfer, with_bad_id_crc,
};
use super::kit::status::{MA, OK};
use super::kit::{
    self, BUFFER, CCR, CHANNEL_2_REQUEST, CHANNEL_2_TERMINAL_COUNT, DMA_READ_FLOPPY, DMA_STATUS, DMA_VERIFY,
    DMA_WRITE_FLOPPY, DOR, DSR, FIFO, Guest, MSR, fixture,
};
use tempfile::NamedTempFile;
use vm_fdc::{
    Controller, NoInterrupt, ReadRegister, WriteRegister,
    dma::{DmaChannel, Moved},
    drive::DriveType,
    media::Access,
};

// Data

/// One sector, a run of sectors, sectors of both heads, and a whole cylinder: MT, head, first sector, number of sectors.
const SPANS: [(u8, u8, u8, usize); 6] =
    [(0, 0, 1, 1), (0, 1, 18, 1), (0, 0, 4, 7), (0, 1, 1, 18), (MT, 0, 17, 4), (MT, 0, 1, 36)];

#[test]
fn a_read_copies_sectors_of_the_file_to_memory() {
    // §4.3
    for (mt, head, first, sectors) in SPANS {
        let mut guest = guest_with_full_disk();
        let reply = transfer(&mut guest, &command(READ | mt, head, first, 18), sectors * SECTOR);
        assert_eq!((reply[0] & 0xC0, reply[1], reply[2]), (0, 0, 0));
        assert!(guest.buffer(sectors * SECTOR) == in_file(head, first, sectors), "{sectors} from {head}/{first}");
    }
}

#[test]
fn a_write_copies_memory_to_the_sectors_of_the_file_and_to_no_others() {
    // §4.3
    for (mt, head, first, sectors) in SPANS {
        let (mut guest, drive, file) = guest_with_copy(Access::ReadWrite);
        let data = made_up(sectors * SECTOR);
        guest.buffer_mut(data.len()).copy_from_slice(&data);
        let reply = transfer(&mut guest, &command(WRITE | mt, head, first, 18), data.len());
        assert_eq!((reply[0] & 0xC0, reply[1], reply[2]), (0, 0, 0));

        drive.release_image().unwrap();
        let mut expected = fs::read(fixture(FULL_DISK)).unwrap();
        expected[offset_in_file(head, first)..][..data.len()].copy_from_slice(&data);
        assert!(fs::read(file.path()).unwrap() == expected, "{sectors} from {head}/{first}");
    }
}

#[test]
fn terminal_count_in_a_sector_ends_the_data_and_the_sector_counts_as_read() {
    // §4.6
    let mut guest = guest_with_full_disk();
    let reply = transfer(&mut guest, &command(READ, 0, 3, 18), 700);
    assert_eq!(reply, [0x00, 0, 0, CYLINDER, 0, 5, 2]);
    assert_eq!(guest.buffer(700), &in_file(0, 3, 2)[..700]);
    assert_eq!(guest.buffer(1024)[700..], [0; 324]);
}

#[test]
fn terminal_count_in_a_written_sector_fills_the_rest_with_zeros() {
    // §4.6
    let mut guest = guest_with_full_disk();
    guest.buffer_mut(3 * SECTOR).fill(0xA5);
    let reply = transfer(&mut guest, &command(WRITE, 0, 3, 18), 700);
    assert_eq!(reply, [0x00, 0, 0, CYLINDER, 0, 5, 2]);

    transfer(&mut guest, &command(READ, 0, 3, 18), 3 * SECTOR);
    let expected = [vec![0xA5; 700], vec![0; 324], in_file(0, 5, 1)].concat();
    assert_eq!(guest.buffer(3 * SECTOR), expected);
}

#[test]
fn each_size_code_names_a_sector_size() {
    // §4.3
    for (size_code, bytes) in [(0, 128), (1, 256), (2, 512), (3, 1024), (4, 2048), (5, 4096), (6, 8192), (7, 16384)] {
        let only = id(0, 0, 1, size_code);
        let mut guest = Disk::of([only]).in_drive();
        let reply = transfer(&mut guest, &[READ, 0, 0, 0, 1, size_code, 1, 0x1B, 128], bytes);
        assert_eq!(reply, [0x00, 0, 0, 1, 0, 1, size_code]);
        assert!(guest.buffer(bytes) == contents(only), "N = {size_code}");
    }
}

#[test]
fn no_sector_has_a_size_code_above_7() {
    // §4.3: not even if an ID has one.
    for size_code in 8..=255 {
        for (opcode, dma) in [(READ, true), (READ, false), (WRITE, true), (WRITE, false), (VERIFY, true)] {
            let mut guest = Disk::of([id(0, 0, 1, size_code)]).in_drive();
            let (moved, reply) = exchange(&mut guest, dma, &[opcode, 0, 0, 0, 1, size_code, 1, 0x1B, 0xFF]);
            assert_eq!((moved, &*reply), (0, &[0x40, 0x04, 0, 0, 0, 1, size_code][..]));
        }
    }
}

#[test]
fn the_data_length_limits_each_read_sector_of_128_bytes() {
    // §4.3; a data length of 0 or above 128 is not established.
    for (data_length, bytes) in [(1, 1), (40, 40), (127, 127), (128, 128), (0, 128), (129, 128), (0xFF, 128)] {
        let sectors = [id(0, 0, 1, 0), id(0, 0, 2, 0), id(0, 0, 3, 0)];
        let mut guest = Disk::of(sectors).in_drive();
        let reply = transfer(&mut guest, &[READ, 0, 0, 0, 1, 0, 3, 0x1B, data_length], 3 * bytes);
        assert_eq!(reply, [0x00, 0, 0, 1, 0, 1, 0], "DTL = {data_length}");
        assert_eq!(guest.buffer(3 * bytes), sectors.map(|sector| contents(sector)[..bytes].to_vec()).concat());
    }
}

#[test]
fn a_written_sector_of_128_bytes_is_filled_with_zeros_after_the_data_length() {
    // §4.3
    let mut guest = Disk::of([id(0, 0, 1, 0), id(0, 0, 2, 0)]).in_drive();
    guest.buffer_mut(80).fill(0xA5);
    let reply = transfer(&mut guest, &[WRITE, 0, 0, 0, 1, 0, 2, 0x1B, 40], 80);
    assert_eq!(reply, [0x00, 0, 0, 1, 0, 1, 0]);

    transfer(&mut guest, &[READ, 0, 0, 0, 1, 0, 2, 0x1B, 128], 256);
    let written = [[0xA5; 40].as_slice(), &[0; 88]].concat();
    assert_eq!(guest.buffer(256), [written.clone(), written].concat());
}

#[test]
fn the_data_length_of_larger_sectors_is_ignored() {
    // §4.3
    let mut guest = guest_with_full_disk();
    let mut read = command(READ, 0, 1, 18);
    read[8] = 40;
    assert_eq!(transfer(&mut guest, &read, SECTOR), [0x00, 0, 0, CYLINDER, 0, 2, 2]);
    assert_eq!(guest.buffer(SECTOR), in_file(0, 1, 1));
}

#[test]
fn sectors_are_found_by_number_in_any_physical_order() {
    // §4.1
    let sectors = [3, 1, 4, 2].map(sector);
    let mut guest = Disk::of(sectors).in_drive();
    assert_eq!(transfer(&mut guest, &[READ, 0, 0, 0, 1, 2, 4, 0x1B, 0xFF], 4 * SECTOR), [0, 0, 0, 1, 0, 1, 2]);
    assert!(guest.buffer(4 * SECTOR) == [1, 2, 3, 4].map(|number| contents(sector(number))).concat());
}

#[test]
fn the_dor_selects_the_drive_and_st0_has_the_number_of_the_command() {
    // §1.4, §5.1
    let mut guest = guest_with_full_disk();
    let mut read = command(READ, 1, 1, 18);
    read[1] |= 3;
    assert_eq!(transfer(&mut guest, &read, SECTOR), [0x07, 0, 0, CYLINDER, 1, 2, 2]);
    assert_eq!(guest.buffer(SECTOR), in_file(1, 1, 1));
}

// End, and the ID in the result

#[test]
fn at_terminal_count_the_result_has_the_id_of_the_next_sector() {
    // §4.2, table 5-6: MT and HDS, the last sector; then C, H, R, N. EOT is 18.
    let (c, next) = (CYLINDER, CYLINDER + 1);
    let table = [
        ((0, 0, 17), [c, 0, 18, 2]),
        ((0, 0, 18), [next, 0, 1, 2]),
        ((0, 1, 17), [c, 1, 18, 2]),
        ((0, 1, 18), [next, 1, 1, 2]),
        ((MT, 0, 17), [c, 0, 18, 2]),
        ((MT, 0, 18), [c, 1, 1, 2]),
        ((MT, 1, 17), [c, 1, 18, 2]),
        ((MT, 1, 18), [next, 0, 1, 2]),
    ];
    let mut guest = guest_with_full_disk();
    for ((mt, head, last), expected) in table {
        for (opcode, first) in [(READ, last), (READ, 2), (WRITE, last), (WRITE, 2)] {
            let sectors = usize::from(last - first) + 1;
            let reply = transfer(&mut guest, &command(opcode | mt, head, first, 18), sectors * SECTOR);
            assert_eq!(reply.status(), [head << 2, 0, 0]);
            assert_eq!(reply.id(), expected, "{opcode:#04x} with MT {mt:#04x}, sectors {first} to {last} of {head}");
        }
    }
}

#[test]
fn a_transfer_that_changes_heads_leaves_the_head_at_its_end() {
    // §4.2, §5.1
    let mut guest = guest_with_full_disk();
    for opcode in [READ, WRITE] {
        for (sectors, id) in [(19, [CYLINDER, 1, 2, 2]), (36, [CYLINDER + 1, 0, 1, 2])] {
            let reply = transfer(&mut guest, &command(opcode | MT, 0, 1, 18), sectors * SECTOR);
            assert_eq!((reply.status(), reply.id()), ([0x04, 0, 0], id));
        }
    }
}

#[test]
fn the_id_in_the_result_wraps_at_256_and_the_head_changes_in_one_bit() {
    // §4.2: the ID of the only sector, MT and EOT; then C, H and R of the result.
    let table = [
        ([0xFF, 0, 1], 0, 1, [0x00, 0, 1]),
        ([0xFF, 0, 1], 0, 2, [0xFF, 0, 2]),
        ([0, 0, 0xFF], 0, 1, [0, 0, 0x00]),
        ([0, 0x0A, 1], MT, 1, [0, 0x0B, 1]),
        ([0, 0xFF, 1], MT, 1, [0, 0xFE, 1]),
    ];
    for ([c, h, r], mt, end_of_track, expected) in table {
        let mut guest = Disk::of([id(c, h, r, 2)]).in_drive();
        let reply = transfer(&mut guest, &[READ | mt, 0, c, h, r, 2, end_of_track, 0x1B, 0xFF], SECTOR);
        assert_eq!(reply.status(), [0x00, 0, 0]);
        assert_eq!(reply.id()[..3], expected);
    }
}

#[test]
fn a_transfer_past_the_last_sector_ends_with_end_of_cylinder() {
    // §4.2: the result has the ID of the last sector. §4.3: no other cylinder follows head 1.
    let table = [
        (0, 0, 17, 2, [0x40, 0x80, 0, CYLINDER, 0, 18, 2]),
        (0, 1, 17, 2, [0x44, 0x80, 0, CYLINDER, 1, 18, 2]),
        (MT, 0, 17, 20, [0x44, 0x80, 0, CYLINDER, 1, 18, 2]),
        (MT, 1, 5, 14, [0x44, 0x80, 0, CYLINDER, 1, 18, 2]),
    ];
    for (mt, head, first, sectors, expected) in table {
        let mut guest = guest_with_full_disk();
        let reply = transfer(&mut guest, &command(READ | mt, head, first, 18), (sectors + 1) * SECTOR);
        assert_eq!(reply, expected);
        assert!(guest.buffer(sectors * SECTOR) == in_file(head, first, sectors), "all data is delivered");
        assert_eq!(guest.buffer((sectors + 1) * SECTOR)[sectors * SECTOR..], [0; SECTOR]);
        let reply = transfer(&mut guest, &command(WRITE | mt, head, first, 18), (sectors + 1) * SECTOR);
        assert_eq!(reply, expected);
    }
}

#[test]
fn terminal_count_with_the_last_byte_of_the_track_is_a_normal_end() {
    // §4.6
    let mut guest = guest_with_full_disk();
    for (mt, head, sectors, st0) in [(0, 0, 18, 0x00), (0, 1, 18, 0x04), (MT, 0, 36, 0x04), (MT, 1, 18, 0x04)] {
        for opcode in [READ, WRITE] {
            let reply = transfer(&mut guest, &command(opcode | mt, head, 1, 18), sectors * SECTOR);
            assert_eq!(reply.status(), [st0, 0, 0]);
        }
    }
}

#[test]
fn an_end_of_track_below_the_first_sector_is_never_reached() {
    // §4.3: the chip compares for equality, and fails at the first absent ID.
    for end_of_track in [0, 5, 16] {
        let mut guest = guest_with_full_disk();
        let reply = transfer(&mut guest, &command(READ, 0, 17, end_of_track), 18 * SECTOR);
        assert_eq!(reply, [0x40, 0x04, 0, CYLINDER, 0, 19, 2], "EOT = {end_of_track}");
        assert!(guest.buffer(2 * SECTOR) == in_file(0, 17, 2));
    }
}

#[test]
fn an_end_of_track_below_the_first_sector_is_reached_if_the_numbers_wrap() {
    // §4.3: 0 follows 255, and a track has at most 256 sectors.
    let all = (0..=255).map(|sector| id(0, 0, sector, 0));
    let mut guest = Disk::of(all.clone()).in_drive();
    let reply = transfer(&mut guest, &[READ, 0, 0, 0, 7, 0, 6, 0x1B, 128], 257 * 128);
    assert_eq!(reply, [0x40, 0x80, 0, 0, 0, 6, 0]);
    let expected: Vec<_> = all.cycle().skip(7).take(256).flat_map(contents).collect();
    assert!(guest.buffer(256 * 128) == expected);
}

#[test]
fn an_end_of_track_beyond_the_formatted_sectors_fails_at_the_first_absent_sector() {
    // §4.3: guests detect a geometry in this way.
    let mut guest = guest_with_full_disk();
    for mt in [0, MT] {
        let reply = transfer(&mut guest, &command(READ | mt, 0, 16, 21), 6 * SECTOR);
        assert_eq!(reply, [0x40, 0x04, 0, CYLINDER, 0, 19, 2]);
        assert!(guest.buffer(3 * SECTOR) == in_file(0, 16, 3));
    }
}

#[test]
fn an_absent_sector_is_not_found() {
    // §4.3: 0, and numbers beyond the formatted sectors.
    let mut guest = guest_with_full_disk();
    for sector in [0, 19, 0xFF] {
        for opcode in [READ, WRITE] {
            let reply = transfer(&mut guest, &command(opcode, 1, sector, 18), SECTOR);
            assert_eq!(reply, [0x44, 0x04, 0, CYLINDER, 1, sector, 2]);
        }
    }
}

#[test]
fn a_sector_with_number_0_is_found() {
    // §4.3
    let mut guest = Disk::of([sector(0)]).in_drive();
    assert_eq!(transfer(&mut guest, &[READ, 0, 0, 0, 0, 2, 1, 0x1B, 0xFF], SECTOR), [0, 0, 0, 0, 0, 1, 2]);
    assert_eq!(guest.buffer(SECTOR), contents(sector(0)));
}

#[test]
fn multi_track_changes_heads_at_the_end_of_track_of_the_command() {
    // §4.3
    let mut guest = guest_with_full_disk();
    let reply = transfer(&mut guest, &command(READ | MT, 0, 8, 9), 3 * SECTOR);
    assert_eq!(reply, [0x04, 0, 0, CYLINDER, 1, 2, 2]);
    assert!(guest.buffer(3 * SECTOR) == [in_file(0, 8, 2), in_file(1, 1, 1)].concat());
}

#[test]
fn multi_track_on_a_single_sided_disk_finds_no_address_mark_on_head_1() {
    // §4.3
    let image = NamedTempFile::new().unwrap();
    image.as_file().set_len(40 * 9 * 512).unwrap();
    let (guest_with_image, drive) = Guest::with_drive(DriveType::Inch5_25Dd);
    drive.attach_image(image.path(), Access::ReadOnly).unwrap();

    for mut guest in [guest_with_image, Disk::of((1..=9).map(sector)).in_drive()] {
        let reply = transfer(&mut guest, &[READ | MT, 0, 0, 0, 1, 2, 9, 0x1B, 0xFF], 18 * SECTOR);
        assert_eq!(reply, [0x44, 0x01, 0, 0, 1, 1, 2]);
        let residue = u16::from_le_bytes([guest.bus.read(0x05), guest.bus.read(0x05)]);
        assert_eq!(usize::from(residue), 9 * SECTOR - 1, "the sectors of head 0 are delivered");
    }
}

#[test]
fn the_head_in_the_id_is_compared_with_h_and_not_with_hds() {
    // §4.1
    let mut guest = guest_with_full_disk();
    for (hds, head) in [(0, 1), (1, 0)] {
        let reply = transfer(&mut guest, &[READ, hds << 2, CYLINDER, head, 1, 2, 18, 0x1B, 0xFF], SECTOR);
        assert_eq!(reply, [0x40 | hds << 2, 0x04, 0, CYLINDER, head, 1, 2]);
    }
}

// Seeks

#[test]
fn a_read_does_not_seek_by_itself() {
    // §4.5
    let mut guest = guest_with_full_disk();
    guest.recalibrate();
    assert_eq!(transfer(&mut guest, &command(READ, 0, 1, 18), SECTOR), [0x40, 0x04, 0x10, CYLINDER, 0, 1, 2]);
}

#[test]
fn after_a_seek_the_result_has_no_seek_end() {
    // §5.1
    let mut guest = guest_with_full_disk();
    for implied_seek in [0x20, 0x60] {
        guest.command(&[0x13, 0, implied_seek, 0]);
        assert_eq!(transfer(&mut guest, &command(READ, 0, 1, 18), SECTOR)[0], 0x00);
    }
}

#[test]
fn with_implied_seek_a_read_moves_the_head_and_reports_seek_end() {
    // §4.5
    let mut guest = guest_with_full_disk();
    guest.recalibrate();
    guest.command(&[0x13, 0, 0x60, 0]);
    assert_eq!(transfer(&mut guest, &command(READ, 0, 1, 18), SECTOR), [0x20, 0, 0, CYLINDER, 0, 2, 2]);
    assert_eq!(guest.buffer(SECTOR), in_file(0, 1, 1));
    assert_eq!(guest.command(&[0x4A, 0])[3], CYLINDER, "READ ID: the head has moved");
    assert_eq!(guest.command(&[0x0E])[0], CYLINDER, "DUMPREG: the present cylinder number");
}

#[test]
fn an_implied_seek_leaves_nothing_to_sense() {
    // §2, §4.5: neither DRV0 BUSY nor a status for SENSE INTERRUPT.
    let mut guest = guest_with_full_disk();
    guest.command(&[0x13, 0, 0x60, 0]);
    transfer(&mut guest, &[READ, 0, 9, 0, 1, 2, 18, 0x1B, 0xFF], SECTOR);
    assert_eq!(guest.bus.read(MSR), 0x80);
    assert_eq!(guest.sense_interrupt(), [0x80]);
}

#[test]
fn an_implied_seek_beyond_the_disk_fails_with_seek_end() {
    // §4.5, §9.6
    let mut guest = guest_with_full_disk();
    guest.command(&[0x13, 0, 0x60, 0]);
    for cylinder in [80, 255] {
        let reply = transfer(&mut guest, &[READ, 0, cylinder, 0, 1, 2, 18, 0x1B, 0xFF], SECTOR);
        assert_eq!(reply, [0x60, 0x01, 0, cylinder, 0, 1, 2]);
    }
}

#[test]
fn an_implied_seek_uses_the_present_cylinder_number() {
    // §4.5: a seek of unit 0 that stepped drive 1 set the present cylinder number to 9.
    let mut guest = guest_with_full_disk();
    guest.select(1);
    guest.command(&[0x0F, 0, 9]);
    guest.sense_interrupt();
    guest.select(0);
    guest.command(&[0x13, 0, 0x60, 0]);
    let reply = transfer(&mut guest, &[READ, 0, 9, 0, 1, 2, 18, 0x1B, 0xFF], SECTOR);
    assert_eq!(reply, [0x40, 0x04, 0x10, 9, 0, 1, 2]);
}

// 40 tracks in a drive of 80

/// Returns a guest with a 360K disk in its drive, at a data rate.
fn guest_with_360k(drive_type: DriveType, rate: u8) -> Guest {
    let (mut guest, drive) = Guest::with_drive(drive_type);
    drive.attach_image(fixture("dos-360k.img"), Access::Private).unwrap();
    guest.bus.write(CCR, rate);
    guest
}

#[test]
fn a_disk_of_40_tracks_in_a_drive_of_80_has_one_under_every_other_cylinder() {
    // §9.4
    let file = fs::read(fixture("dos-360k.img")).unwrap();
    let mut guest = guest_with_360k(DriveType::Inch5_25Hd, 0b01);
    for cylinder in [0, 3, 39] {
        guest.seek(2 * cylinder);
        let reply = transfer(&mut guest, &[READ | MT, 0, cylinder, 0, 1, 2, 9, 0x2A, 0xFF], 18 * SECTOR);
        assert_eq!(reply, [0x04, 0, 0, cylinder + 1, 0, 1, 2]);
        assert!(guest.buffer(18 * SECTOR) == &file[usize::from(cylinder) * 18 * SECTOR..][..18 * SECTOR]);
    }
}

#[test]
fn between_two_of_40_tracks_no_address_mark_is_found() {
    // §9.4
    let mut guest = guest_with_360k(DriveType::Inch5_25Hd, 0b01);
    guest.seek(7);
    assert_eq!(guest.command(&[0x4A, 0]), [0x40, 0x01, 0, 0, 0, 0, 0]);
    let reply = transfer(&mut guest, &[READ, 0, 3, 0, 1, 2, 9, 0x2A, 0xFF], SECTOR);
    assert_eq!(reply, [0x40, 0x01, 0, 3, 0, 1, 2]);
}

#[test]
fn in_a_drive_of_40_tracks_each_step_is_a_track() {
    // §9.2
    let mut guest = guest_with_360k(DriveType::Inch5_25Dd, 0b10);
    guest.seek(3);
    assert_eq!(guest.command(&[0x4A, 0])[3], 3);
}

#[test]
fn a_360k_disk_reads_at_300_kbps_in_a_1200k_drive_and_at_250_in_its_own() {
    // §9.2: the status at each of the four data rates.
    let statuses = |drive_type| {
        [0b00, 0b01, 0b10, 0b11].map(|rate| guest_with_360k(drive_type, rate).command(&[0x4A, 0]).status())
    };
    assert_eq!(statuses(DriveType::Inch5_25Hd), [MA, OK, MA, MA]);
    assert_eq!(statuses(DriveType::Inch5_25Dd), [MA, MA, OK, MA]);
}

// READ ID

#[test]
fn read_id_returns_the_next_id_each_time() {
    // §4.11
    let mut guest = guest_with_full_disk();
    for head in [0, 1] {
        let first = guest.command(&[0x4A, head << 2])[5];
        for passed in 1..40 {
            let sector = (first - 1 + passed) % 18 + 1;
            assert_eq!(guest.command(&[0x4A, head << 2]), [head << 2, 0, 0, CYLINDER, head, sector, 2]);
        }
    }
}

#[test]
fn read_id_returns_the_recorded_id_not_the_head_position() {
    // §4.11
    let mut guest = Disk::of([id(77, 5, 200, 3)]).in_drive();
    assert_eq!(guest.command(&[0x4A, 0]), [0x00, 0, 0, 77, 5, 200, 3]);
}

#[test]
fn read_id_skips_ids_with_a_bad_crc() {
    // §4.11
    let mut guest = Disk::of([sector(1), with_bad_id_crc(sector(2)), sector(3)]).in_drive();
    let numbers = [(); 4].map(|()| guest.command(&[0x4A, 0])[5]);
    assert!(numbers == [1, 3, 1, 3] || numbers == [3, 1, 3, 1], "{numbers:?}");
}

#[test]
fn read_id_interrupts_with_its_result() {
    // §6.1
    let mut guest = guest_with_full_disk();
    let before = guest.bus.irq().edges();
    guest.send(&[0x4A, 0]).unwrap();
    assert_eq!((guest.bus.irq().edges() - before, guest.bus.read(MSR)), (1, 0xD0));
}

// The DMA channel

/// Returns a guest with a read of one sector that waits, because the DMA channel is programmed but masked.
fn waiting_read() -> Guest {
    let mut guest = guest_with_full_disk();
    guest.program_dma(DMA_READ_FLOPPY, BUFFER, SECTOR);
    guest.mask_dma();
    guest.send(&command(READ, 0, 1, 18)).unwrap();
    guest
}

/// Checks that the transfer of [`waiting_read`] is in progress.
fn assert_waiting(guest: &mut Guest) {
    assert_eq!(guest.bus.read(MSR), 0x10);
    assert!(!guest.bus.irq().is_high());
}

/// Checks that the transfer of [`waiting_read`] ended.
fn assert_done(guest: &mut Guest) {
    assert!(guest.bus.irq().is_high());
    assert_eq!(guest.reply(), [0x00, 0, 0, CYLINDER, 0, 2, 2]);
    assert_eq!(guest.buffer(SECTOR), in_file(0, 1, 1));
}

#[test]
fn a_transfer_interrupts_once_until_its_first_result_byte_is_fetched() {
    // §6.1, §6.5
    let mut guest = guest_with_full_disk();
    let before = guest.bus.irq().edges();
    guest.program_dma(DMA_READ_FLOPPY, BUFFER, 36 * SECTOR);
    guest.send(&command(READ | MT, 0, 1, 18)).unwrap();
    assert!(guest.bus.irq().is_high());
    guest.bus.read(FIFO);
    assert!(!guest.bus.irq().is_high());
    assert_eq!((guest.reply().len(), guest.bus.irq().edges() - before), (6, 1));
}

#[test]
fn a_transfer_starts_when_the_channel_is_unmasked_after_the_command() {
    // §8.6
    if kit::IN_TIME {
        return; // With authentic timing, a late host gets an overrun.
    }
    let mut guest = waiting_read();
    assert_waiting(&mut guest);
    guest.unmask_dma();
    assert_done(&mut guest);
}

#[test]
fn the_channel_can_be_programmed_after_the_command() {
    // §8.6
    if kit::IN_TIME {
        return; // With authentic timing, a late host gets an overrun.
    }
    let mut guest = guest_with_full_disk();
    guest.send(&command(READ, 0, 1, 18)).unwrap();
    assert_waiting(&mut guest);
    guest.program_dma(DMA_READ_FLOPPY, BUFFER, SECTOR);
    assert_done(&mut guest);
}

#[test]
fn a_transfer_requests_dma_until_terminal_count() {
    // §8.1, §8.3
    if kit::IN_TIME {
        return; // With authentic timing, a late host gets an overrun.
    }
    let mut guest = waiting_read();
    assert_eq!(guest.bus.read(DMA_STATUS), CHANNEL_2_REQUEST);
    guest.unmask_dma();
    assert_eq!(guest.bus.read(DMA_STATUS), CHANNEL_2_TERMINAL_COUNT);
}

#[test]
fn a_channel_set_to_the_other_direction_leaves_the_request_pending() {
    // §8.1
    if kit::IN_TIME {
        return; // With authentic timing, a late host gets an overrun.
    }
    for (opcode, wrong, right) in
        [(READ, DMA_WRITE_FLOPPY, DMA_READ_FLOPPY), (WRITE, DMA_READ_FLOPPY, DMA_WRITE_FLOPPY)]
    {
        let mut guest = guest_with_full_disk();
        guest.program_dma(wrong, BUFFER, SECTOR);
        guest.send(&command(opcode, 0, 1, 18)).unwrap();
        assert_waiting(&mut guest);
        assert_eq!(guest.bus.read(DMA_STATUS), CHANNEL_2_REQUEST);
        guest.program_dma(right, BUFFER, SECTOR);
        assert_eq!(guest.reply(), [0x00, 0, 0, CYLINDER, 0, 2, 2]);
    }
}

#[test]
fn a_channel_in_verify_mode_ends_a_read_and_does_not_write_memory() {
    // §8.5: INT 13h AH=04h, TeleDisk.
    let mut guest = guest_with_full_disk();
    guest.program_dma(DMA_VERIFY, BUFFER, 2 * SECTOR);
    assert_eq!(guest.command(&command(READ, 0, 1, 18)), [0x00, 0, 0, CYLINDER, 0, 3, 2]);
    assert_eq!(guest.buffer(2 * SECTOR), [0; 2 * SECTOR]);
    assert_eq!(guest.bus.read(DMA_STATUS), CHANNEL_2_TERMINAL_COUNT);
}

#[test]
fn a_transfer_waits_while_the_dma_gate_is_shut() {
    // §1.4, DIV-28
    if kit::IN_TIME {
        return; // With authentic timing, a late host gets an overrun.
    }
    let mut guest = guest_with_full_disk();
    guest.bus.write(DOR, 0x14);
    guest.program_dma(DMA_READ_FLOPPY, BUFFER, SECTOR);
    guest.send(&command(READ, 0, 1, 18)).unwrap();
    assert_waiting(&mut guest);
    assert_eq!(guest.bus.read(DMA_STATUS), 0, "DRQ is not driven");
    guest.bus.write(DOR, 0x1C);
    assert_done(&mut guest);
}

#[test]
fn a_transfer_across_64_kib_wraps_to_the_start_of_the_page() {
    // §8.4
    let mut guest = guest_with_full_disk();
    guest.program_dma(DMA_READ_FLOPPY, BUFFER + 0xFE80, 2 * SECTOR);
    assert_eq!(guest.command(&command(READ, 0, 1, 18)).status(), [0x00, 0, 0]);
    let expected = in_file(0, 1, 2);
    let page = guest.buffer(0x1_0000);
    assert_eq!((&page[0xFE80..], &page[..0x280]), expected.split_at(0x180));
    assert_eq!(guest.bus.memory()[0x2_0000..][..0x280], [0; 0x280], "the next page");
}

#[test]
fn a_transfer_keeps_the_data_rate_of_its_start() {
    // §7.5: with MT the controller searches for an ID after the data rate changed.
    if kit::IN_TIME {
        return; // With authentic timing, a late host gets an overrun.
    }
    let mut guest = guest_with_full_disk();
    guest.program_dma(DMA_READ_FLOPPY, BUFFER, 36 * SECTOR);
    guest.mask_dma();
    guest.send(&command(READ | MT, 0, 1, 18)).unwrap();
    guest.bus.write(CCR, 0b10);
    guest.unmask_dma();
    assert_eq!(guest.reply(), [0x04, 0, 0, CYLINDER + 1, 0, 1, 2]);
}

#[test]
fn a_reset_ends_a_transfer() {
    // §1.11, §8.1
    let resets: [fn(&mut Guest); 3] = [
        |guest| {
            guest.bus.write(DOR, 0x18);
            assert_eq!(guest.bus.read(MSR), 0x00);
            guest.bus.write(DOR, 0x1C);
        },
        |guest| guest.bus.write(DSR, 0x80),
        |guest| {
            guest.bus.fdc.reset();
            assert_eq!(guest.bus.read(MSR), 0x00);
            guest.bus.write(DOR, 0x1C);
        },
    ];
    for reset in resets {
        let mut guest = waiting_read();
        reset(&mut guest);
        assert_eq!((guest.bus.read(MSR), guest.bus.read(DMA_STATUS)), (0x80, 0));
        guest.unmask_dma();
        assert_eq!(guest.buffer(SECTOR), [0; SECTOR]);
        assert_eq!(guest.sense_interrupt(), [0xC0, 0]);
        guest.bus.write(CCR, 0);
        assert_eq!(transfer(&mut guest, &command(READ, 0, 1, 18), SECTOR), [0x00, 0, 0, CYLINDER, 0, 2, 2]);
    }
}

// A slow DMA channel

/// A DMA channel that moves at most `pace` bytes in a call. Terminal count comes at the end of its memory.
struct SlowChannel {
    pace: usize,
    moved: usize,
    memory: Vec<u8>,
}

impl SlowChannel {
    /// Takes part of a transfer. Returns the bytes of memory that move, and the answer of the channel.
    fn advance(&mut self, offered: usize) -> (&mut [u8], Moved) {
        let left = &mut self.memory[self.moved..];
        let bytes = self.pace.min(offered).min(left.len());
        self.moved += bytes;
        (&mut left[..bytes], Moved { bytes, terminal_count: self.moved == 36 * SECTOR })
    }
}

impl DmaChannel for SlowChannel {
    fn device_to_memory(&mut self, data: &[u8]) -> Moved {
        let (memory, moved) = self.advance(data.len());
        memory.copy_from_slice(&data[..moved.bytes]);
        moved
    }

    fn memory_to_device(&mut self, data: &mut [u8]) -> Moved {
        let (memory, moved) = self.advance(data.len());
        data[..moved.bytes].copy_from_slice(memory);
        moved
    }
}

/// Bytes in a call.
const PACES: [usize; 7] = [1, 7, 511, 512, 513, 1000, 4097];

/// Performs a command for a whole cylinder. Serves the slow channel until the command ends.
fn transfer_slowly(
    opcode: u8,
    pace: usize,
    memory: Vec<u8>,
    image: &NamedTempFile,
) -> Controller<NoInterrupt, SlowChannel> {
    let channel = SlowChannel { pace, moved: 0, memory };
    let mut fdc = Controller::builder().drive(0, DriveType::Inch3_5Hd).dma(channel).build().unwrap();
    fdc.drive(0).unwrap().attach_image(image.path(), Access::ReadWrite).unwrap();
    fdc.write(WriteRegister::DigitalOutput, 0x1C);
    fdc.write(WriteRegister::ConfigurationControl, 0);
    let configure = [0x13, 0, 0x60, 0]; // implied seek
    for byte in configure.into_iter().chain(command(opcode | MT, 0, 1, 18)) {
        fdc.write(WriteRegister::Fifo, byte);
    }
    assert_eq!(fdc.read(ReadRegister::MainStatus), 0x10);
    for _ in 0..36 * SECTOR / pace {
        fdc.service_dma();
    }
    let result = [(); 7].map(|()| fdc.read(ReadRegister::Fifo));
    assert_eq!(result, [0x24, 0, 0, CYLINDER + 1, 0, 1, 2], "{pace} bytes in a call");
    fdc
}

#[test]
fn a_read_continues_where_the_channel_stopped() {
    // §8.1
    let (.., image) = guest_with_copy(Access::ReadWrite);
    for pace in PACES {
        let fdc = transfer_slowly(READ, pace, vec![0; 36 * SECTOR], &image);
        assert!(fdc.dma().memory == in_file(0, 1, 36), "{pace} bytes in a call");
    }
}

#[test]
fn a_write_continues_where_the_channel_stopped() {
    // §8.1
    let (.., image) = guest_with_copy(Access::ReadWrite);
    for pace in PACES {
        let data = made_up(36 * SECTOR + pace)[pace..].to_vec();
        drop(transfer_slowly(WRITE, pace, data.clone(), &image));
        let file = fs::read(image.path()).unwrap();
        assert!(file[offset_in_file(0, 1)..][..36 * SECTOR] == data, "{pace} bytes in a call");
    }
}
