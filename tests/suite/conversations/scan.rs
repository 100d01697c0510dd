//! SCAN EQUAL, SCAN LOW OR EQUAL and SCAN HIGH OR EQUAL, on a controller built with these commands enabled.

use std::slice;

use super::kit::disk::{
    self, CYLINDER, Disk, MFM, MODES, MT, SECTOR, SK, contents, deleted, exchange, id, in_file, sector,
    with_bad_data_crc, with_bad_id_crc, without_data_field,
};
use super::kit::status::st2::{CM, SH, SN};
use super::kit::{BUFFER, CCR, DMA_WRITE_FLOPPY, Guest, Reply, fixture};
use vm_fdc::{
    Controller,
    drive::DriveType,
    media::{Access, DataRate, Encoding},
};

const EQUAL: u8 = 0x51;
const LOW_OR_EQUAL: u8 = 0x59;
const HIGH_OR_EQUAL: u8 = 0x5D;

/// Returns a guest with such a controller and an empty drive, set to the data rate of 1.44M disks.
fn guest() -> Guest {
    let mut guest = Guest::new(Controller::builder().drive(0, DriveType::Inch3_5Hd).scan_commands(true));
    guest.reset();
    guest.select(0);
    guest.bus.write(CCR, 0);
    guest
}

fn guest_with(disk: &Disk) -> Guest {
    let guest = guest();
    guest.bus.fdc.drive(0).unwrap().attach_medium(disk.clone()).unwrap();
    guest
}

/// Returns a scan of sectors of 512 bytes from sector 1 of cylinder 0, head 0, up to an EOT.
fn from_first(opcode: u8, end_of_track: u8, step: u8) -> [u8; 9] {
    [opcode, 0, 0, 0, 1, 2, end_of_track, 0x1B, step]
}

/// Performs a scan with DMA and without, against data for some sectors. Returns the number of sectors of data that the
/// controller requested, and the result.
fn scan(disk: &Disk, command: &[u8; 9], data: &[Vec<u8>]) -> [(usize, Reply); 2] {
    MODES.map(|dma| {
        let mut guest = guest_with(disk);
        let data = data.concat();
        guest.buffer_mut(data.len()).copy_from_slice(&data);
        let (moved, reply) = exchange(&mut guest, dma, command);
        (moved / SECTOR, reply)
    })
}

/// Returns data that equals a sector; [`other`] returns data that equals no sector.
fn same(number: u8) -> Vec<u8> {
    contents(sector(number))
}

fn other() -> Vec<u8> {
    vec![0xEE; SECTOR]
}

/// Returns a disk with the good sectors 1 to `last`.
fn sectors(last: u8) -> Disk {
    Disk::of((1..=last).map(sector))
}

/// Returns the expectation that both modes give this result after this number of sectors.
fn both(sectors: usize, result: [u8; 7]) -> [(usize, [u8; 7]); 2] {
    [(sectors, result); 2]
}

fn results(replies: [(usize, Reply); 2]) -> [(usize, [u8; 7]); 2] {
    replies.map(|(sectors, reply)| (sectors, reply.to_vec().try_into().expect("seven bytes")))
}

fn statuses(replies: [(usize, Reply); 2]) -> [(usize, [u8; 3]); 2] {
    replies.map(|(sectors, reply)| (sectors, reply.status()))
}

// One sector

#[test]
fn a_sector_is_compared_byte_by_byte_with_the_data_of_the_host() {
    // §4.10: ST2 if all bytes are equal, a byte on the disk is higher, one is lower, and both. §4.3: a sector of 128 bytes
    // is compared in full, because the byte of DTL is STP.
    let table = [(EQUAL, [SH, SN, SN, SN]), (LOW_OR_EQUAL, [SH, SN, 0, SN]), (HIGH_OR_EQUAL, [SH, 0, SN, SN])];
    let relations = [(0, 0), (1, 0), (0, 1), (1, 1)];
    for (mfm, encoding) in [(MFM, Encoding::Mfm), (0, Encoding::Fm)] {
        for size_code in 0..=7 {
            let only = id(0, 0, 1, size_code);
            let disk = Disk::recorded(DataRate::Kbps500, encoding, [only]);
            for (opcode, expected) in table {
                for ((higher, lower), st2) in relations.into_iter().zip(expected) {
                    let mut data = contents(only);
                    data[0] += lower;
                    *data.last_mut().unwrap() -= higher;
                    for dma in MODES {
                        let mut guest = guest_with(&disk);
                        guest.buffer_mut(data.len()).copy_from_slice(&data);
                        let command = [opcode & !MFM | mfm, 0, 0, 0, 1, size_code, 1, 0x1B, 1];
                        let (moved, reply) = exchange(&mut guest, dma, &command);
                        let case = format!("{opcode:#04x}, {encoding:?}, N = {size_code}, +{higher} -{lower}");
                        assert_eq!((moved, reply.status()), (data.len(), [0x00, 0, st2]), "{case}, DMA: {dma}");
                    }
                }
            }
        }
    }
}

#[test]
fn ff_is_the_largest_value_and_00_the_smallest() {
    // §4.10: neither value matches every byte.
    let (ff, zeros) = (vec![0xFF; SECTOR], vec![0; SECTOR]);
    let table = [
        (EQUAL, &ff, SN),
        (LOW_OR_EQUAL, &ff, 0),
        (HIGH_OR_EQUAL, &ff, SN),
        (EQUAL, &zeros, SN),
        (LOW_OR_EQUAL, &zeros, SN),
        (HIGH_OR_EQUAL, &zeros, 0),
    ];
    for (opcode, data, st2) in table {
        let replies = scan(&sectors(1), &from_first(opcode, 1, 1), slice::from_ref(data));
        assert_eq!(statuses(replies), [(1, [0x00, 0, st2]); 2], "{opcode:#04x} with {:#04x}", data[0]);
    }
}

#[test]
fn a_scan_writes_nothing_and_accepts_a_protected_disk() {
    // §4.10
    let disk = sectors(1).protected();
    let mut guest = guest_with(&disk);
    for _ in 0..2 {
        guest.buffer_mut(SECTOR).copy_from_slice(&same(1));
        assert_eq!(exchange(&mut guest, true, &from_first(EQUAL, 1, 1)).1.status(), [0x00, 0, SH]);
        guest.buffer_mut(SECTOR).copy_from_slice(&other());
        assert_eq!(exchange(&mut guest, true, &from_first(EQUAL, 1, 1)).1.status(), [0x00, 0, SN]);
    }
}

// Several sectors

#[test]
fn a_scan_ends_at_the_first_match_with_its_id() {
    // §4.10; the ID in the result is not established.
    let lower = |sector| same(sector).into_iter().map(|byte| byte.saturating_sub(1)).collect::<Vec<_>>();
    let table = [
        (EQUAL, vec![same(1), other(), other()], 1, SH),
        (EQUAL, vec![other(), same(2), other()], 2, SH),
        (EQUAL, vec![other(), same(1), same(3)], 3, SH),
        (LOW_OR_EQUAL, vec![lower(1), vec![0xFF; SECTOR], same(3)], 2, 0),
        (HIGH_OR_EQUAL, vec![vec![0xFF; SECTOR], lower(2), same(3)], 2, 0),
    ];
    for (opcode, data, hit, st2) in table {
        let replies = scan(&sectors(3), &from_first(opcode, 3, 1), &data);
        assert_eq!(results(replies), both(hit.into(), [0x00, 0, st2, 0, 0, hit, 2]), "{opcode:#04x}");
    }
}

#[test]
fn a_scan_without_a_match_ends_normally_at_the_last_sector() {
    // §4.10: SN, and no EN.
    let replies = scan(&sectors(5), &from_first(EQUAL, 4, 1), &vec![other(); 5]);
    assert_eq!(statuses(replies), [(4, [0x00, 0, SN]); 2]);
}

#[test]
fn a_step_of_2_compares_every_other_sector() {
    // §4.10: R, R + 2 and so on. Each sector is compared with the next data of the host.
    for (data, taken, st2) in [
        (vec![other(), same(3), other()], 2, SH),
        (vec![other(), same(2), same(5)], 3, SH),
        (vec![other(), same(2), same(3)], 3, SN),
    ] {
        let replies = scan(&sectors(5), &from_first(EQUAL, 5, 2), &data);
        assert_eq!(statuses(replies), [(taken, [0x00, 0, st2]); 2]);
    }
}

#[test]
fn a_step_past_the_end_of_track_finds_no_sector() {
    // §4.10, §4.2: sectors 1 and 3, then 5, which is the requested ID in the result.
    for (_, reply) in scan(&sectors(4), &from_first(EQUAL, 4, 2), &vec![other(); 4]) {
        assert_eq!((reply[0], reply[1], reply.id()), (0x40, 0x04, [0, 0, 5, 2]));
    }
}

#[test]
fn multi_track_continues_with_sector_1_of_head_1() {
    // §4.3, §4.10: the step, the data, the number of compared sectors, and the matching sector of head 1.
    let disk = sectors(3).with_track(0, 1, (1..=3).map(|sector| id(0, 1, sector, 2)));
    let (x, hit) = (other(), [2, 3].map(same));
    for (step, data, taken, sector) in [
        (1, vec![x.clone(), x.clone(), x.clone(), x.clone(), hit[0].clone()], 5, 2),
        (2, vec![x.clone(), x.clone(), x.clone(), hit[1].clone()], 4, 3),
    ] {
        let replies = scan(&disk, &from_first(EQUAL | MT, 3, step), &data);
        assert_eq!(results(replies), both(taken, [0x04, 0, SH, 0, 1, sector, 2]), "STP = {step}");
    }
    let replies = scan(&disk, &from_first(EQUAL | MT, 3, 1), &vec![other(); 6]);
    assert_eq!(statuses(replies), [(6, [0x04, 0, SN]); 2]);
}

#[test]
fn terminal_count_ends_a_scan_without_a_match() {
    // §4.10, §4.2
    let mut guest = guest_with(&sectors(3));
    guest.buffer_mut(2 * SECTOR).fill(0xEE);
    guest.program_dma(DMA_WRITE_FLOPPY, BUFFER, 2 * SECTOR);
    assert_eq!(guest.command(&from_first(EQUAL, 3, 1)), [0x00, 0, SN, 0, 0, 3, 2]);
}

#[test]
fn terminal_count_in_the_last_sector_advances_the_id() {
    // §4.2
    let mut guest = guest_with(&sectors(3));
    guest.buffer_mut(3 * SECTOR).fill(0xEE);
    guest.program_dma(DMA_WRITE_FLOPPY, BUFFER, 3 * SECTOR);
    assert_eq!(guest.command(&from_first(EQUAL, 3, 1)), [0x00, 0, SN, 1, 0, 1, 2]);
}

#[test]
fn terminal_count_before_a_step_past_the_end_of_track_is_a_normal_end() {
    // §4.10: sectors 1 and 3, and no search for 5.
    let mut guest = guest_with(&sectors(4));
    guest.buffer_mut(2 * SECTOR).fill(0xEE);
    guest.program_dma(DMA_WRITE_FLOPPY, BUFFER, 2 * SECTOR);
    assert_eq!(guest.command(&from_first(EQUAL, 4, 2)).status(), [0x00, 0, SN]);
}

#[test]
fn terminal_count_in_a_sector_is_a_normal_end() {
    // §4.10
    let mut guest = guest_with(&sectors(3));
    guest.buffer_mut(100).fill(0xEE);
    guest.program_dma(DMA_WRITE_FLOPPY, BUFFER, 100);
    assert_eq!(guest.command(&from_first(EQUAL, 3, 1)).status(), [0x00, 0, SN]);
}

#[test]
fn a_scan_finds_a_sector_of_a_raw_image() {
    // §4.10
    for dma in MODES {
        let mut guest = guest();
        let drive = guest.bus.fdc.drive(0).unwrap();
        drive.attach_image(fixture(disk::FULL_DISK), Access::Private).unwrap();
        guest.seek(CYLINDER);
        let data = in_file(1, 7, 1).repeat(36);
        guest.buffer_mut(data.len()).copy_from_slice(&data);
        let (moved, reply) = exchange(&mut guest, dma, &[EQUAL | MT, 0, CYLINDER, 0, 1, 2, 18, 0x1B, 1]);
        assert_eq!((moved, reply.status(), reply.id()), (25 * SECTOR, [0x04, 0, SH], [CYLINDER, 1, 7, 2]));
    }
}

// Deleted sectors

/// Returns a disk whose second sector is deleted.
fn second_deleted() -> Disk {
    Disk::of([sector(1), deleted(sector(2)), sector(3)])
}

#[test]
fn a_deleted_sector_is_the_last_one_to_be_compared() {
    // §4.10
    for (data, st2) in [(other(), SN), (same(2), SH)] {
        let replies = scan(&second_deleted(), &from_first(EQUAL, 3, 1), &[other(), data, same(3)]);
        assert_eq!(statuses(replies), [(2, [0x00, 0, CM | st2]); 2]);
    }
}

#[test]
fn with_sk_a_deleted_sector_is_not_compared() {
    // §4.10
    let replies = scan(&second_deleted(), &from_first(EQUAL | SK, 3, 1), &[other(), same(3)]);
    assert_eq!(results(replies), both(2, [0x00, 0, CM | SH, 0, 0, 3, 2]));
    let replies = scan(&second_deleted(), &from_first(EQUAL | SK, 3, 1), &[other(), same(2)]);
    assert_eq!(statuses(replies), [(2, [0x00, 0, CM | SN]); 2]);
}

#[test]
fn a_scan_of_skipped_sectors_only_is_a_hit() {
    // §4.10
    let track = |head| [1, 2].map(|sector| deleted(id(0, head, sector, 2)));
    let disk = Disk::of(track(0)).with_track(0, 1, track(1));
    for (mt, st0) in [(0, 0x00), (MT, 0x04)] {
        let replies = scan(&disk, &from_first(EQUAL | SK | mt, 2, 1), &vec![other(); 4]);
        assert_eq!(statuses(replies), [(0, [st0, 0, CM | SH]); 2], "MT: {mt:#04x}");
    }
}

// Errors

#[test]
fn a_scan_fails_where_a_read_fails() {
    // §4.10, §4.12: ST1, and ST2 without SH and SN.
    let table = [
        (Disk::blank(), 0x01, 0x00),
        (sectors(1), 0x04, 0x00),
        (Disk::of([sector(1), with_bad_id_crc(sector(2))]), 0x20, 0x00),
        (Disk::of([sector(1), without_data_field(sector(2))]), 0x01, 0x01),
        (Disk::of([sector(1), with_bad_data_crc(sector(2))]), 0x20, 0x20),
        (Disk::of([id(7, 0, 1, 2)]), 0x04, 0x10),
    ];
    for (disk, st1, st2) in table {
        for (_, reply) in scan(&disk, &from_first(EQUAL, 2, 1), &vec![other(); 2]) {
            assert_eq!((reply[0], reply[1], reply[2] & !(SH | SN)), (0x40, st1, st2));
        }
    }
}

#[test]
fn a_scan_of_skipped_sectors_ends_even_if_no_step_reaches_the_end_of_track() {
    // §12.2: all sectors are skipped, and their numbers wrap around.
    let skipped = |numbers: Vec<u8>| Disk::of(numbers.into_iter().map(|number| deleted(sector(number))));
    for (disk, step) in [(skipped(vec![1]), 0), (skipped((1..=255).step_by(2).collect()), 2)] {
        let replies = scan(&disk, &from_first(EQUAL | SK, 2, step), &[]);
        assert_eq!(replies.map(|(taken, reply)| (taken, reply.len())), [(0, 7); 2], "STP = {step}");
    }
}
