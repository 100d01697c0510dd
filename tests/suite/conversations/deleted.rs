//! READ DELETED DATA, WRITE DELETED DATA and the flag SK: which sectors a command reads, and which it skips. A raw image
//! has no deleted sectors.

use super::kit::disk::{
    CYLINDER, Disk, MFM, MODES, MT, READ, READ_DELETED, SECTOR, SK, WRITE, WRITE_DELETED, command, contents, deleted,
    exchange, from_first, guest_with_full_disk, id, in_file, made_up, sector, transfer, with_bad_data_crc,
    with_bad_id_crc, without_data_field,
};
use super::kit::status::{CM, DE, DE_DD, DE_DD_CM, EN, EN_CM, MA, MA_MD, ND, NW, OK};
use super::kit::{BUFFER, DMA_WRITE_FLOPPY};
use vm_fdc::media::{
    DataRate, Encoding,
    Mark::{self, Data, Deleted},
    Sector,
};

/// The encodings, and the flag of a command for each of them.
const ENCODINGS: [(u8, Encoding); 2] = [(MFM, Encoding::Mfm), (0, Encoding::Fm)];

/// Returns the mark of the sectors that a command reads.
fn own_mark(opcode: u8) -> Mark {
    if opcode & 0x1F == 0x0C { Deleted } else { Data }
}

/// Returns sectors of cylinder 0 with these marks, numbered from 1.
fn marked(head: u8, marks: &[Mark]) -> impl Iterator<Item = Sector> {
    (1..).zip(marks).map(move |(sector, &mark)| Sector { mark: Some(mark), ..id(0, head, sector, 2) })
}

/// Returns the data of sectors of 512 bytes with these numbers.
fn all_of(numbers: &[u8]) -> Vec<u8> {
    numbers.iter().flat_map(|&number| contents(sector(number))).collect()
}

// Reads

#[test]
fn the_data_mark_and_sk_decide_whether_a_sector_is_read() {
    // §4.4: the second of three sectors has the mark of the row, the others have the mark of the command. Without terminal
    // count, a read that continues ends at the end of the track.
    type Row = (u8, Mark, &'static [u8], [u8; 3], u8);
    const TABLE: [Row; 8] = [
        (READ, Data, &[1, 2, 3], EN, 3),
        (READ, Deleted, &[1, 2], CM, 2),
        (READ | SK, Data, &[1, 2, 3], EN, 3),
        (READ | SK, Deleted, &[1, 3], EN_CM, 3),
        (READ_DELETED, Deleted, &[1, 2, 3], EN, 3),
        (READ_DELETED, Data, &[1, 2], CM, 2),
        (READ_DELETED | SK, Deleted, &[1, 2, 3], EN, 3),
        (READ_DELETED | SK, Data, &[1, 3], EN_CM, 3),
    ];
    for (opcode, mark, delivered, status, sector) in TABLE {
        for (mfm, encoding) in ENCODINGS {
            let marks = [own_mark(opcode), mark, own_mark(opcode)];
            for dma in MODES {
                let mut guest = Disk::recorded(DataRate::Kbps500, encoding, marked(0, &marks)).in_drive();
                let (moved, reply) = exchange(&mut guest, dma, &from_first(opcode & !MFM | mfm, 3));
                let case = format!("{opcode:#04x}, {mark:?}, {encoding:?}, DMA: {dma}");
                assert_eq!((reply.status(), reply.id()), (status, [0, 0, sector, 2]), "{case}");
                assert!(guest.buffer(moved) == all_of(delivered), "{case}");
            }
        }
    }
}

#[test]
fn with_sk_only_sectors_with_the_mark_of_the_command_are_read() {
    // §4.4
    let marks = [Deleted, Data, Data, Deleted, Deleted, Data, Deleted];
    for (opcode, delivered) in [(READ, &[2, 3, 6][..]), (READ_DELETED, &[1, 4, 5, 7])] {
        for dma in MODES {
            let mut guest = Disk::of(marked(0, &marks)).in_drive();
            let (moved, reply) = exchange(&mut guest, dma, &from_first(opcode | SK, 7));
            assert_eq!(reply.status(), EN_CM);
            assert!(guest.buffer(moved) == all_of(delivered), "{opcode:#04x}, DMA: {dma}");
        }
    }
}

#[test]
fn terminal_count_after_skipped_sectors_is_a_normal_end() {
    // §4.4, §4.2: the ID follows the last sector that was read.
    let mut guest = Disk::of(marked(0, &[Data, Deleted, Deleted, Data, Data])).in_drive();
    assert_eq!(transfer(&mut guest, &from_first(READ | SK, 5), 2 * SECTOR), [0x00, 0, 0x40, 0, 0, 5, 2]);
    assert_eq!(transfer(&mut guest, &from_first(READ_DELETED | SK, 5), SECTOR), [0x00, 0, 0x40, 0, 0, 3, 2]);
}

#[test]
fn a_track_of_skipped_sectors_ends_with_end_of_cylinder() {
    // §4.4
    for (opcode, mark) in [(READ, Deleted), (READ_DELETED, Data)] {
        for dma in MODES {
            let mut guest = Disk::of(marked(0, &[mark; 9])).in_drive();
            let (moved, reply) = exchange(&mut guest, dma, &from_first(opcode | SK, 9));
            assert_eq!((moved, reply.status()), (0, EN_CM), "{opcode:#04x}, DMA: {dma}");
        }
    }
}

#[test]
fn multi_track_skips_on_both_heads() {
    // §4.3, §4.4: the last sector of head 0 and the first of head 1 are skipped.
    let disk = Disk::of(marked(0, &[Data, Data, Deleted])).with_track(0, 1, marked(1, &[Deleted, Deleted, Data]));
    for (opcode, delivered) in [(READ, [1, 2, 3]), (READ_DELETED, [3, 1, 2])] {
        for dma in MODES {
            let mut guest = disk.clone().in_drive();
            let (moved, reply) = exchange(&mut guest, dma, &from_first(opcode | MT | SK, 3));
            assert_eq!(reply.status(), [0x44, 0x80, 0x40]);
            assert!(guest.buffer(moved) == all_of(&delivered), "{opcode:#04x}, DMA: {dma}");
        }
    }
}

#[test]
fn the_other_mark_on_head_1_ends_a_multi_track_read() {
    // §4.4, §4.2
    let disk = Disk::of(marked(0, &[Data; 2])).with_track(0, 1, marked(1, &[Data, Deleted]));
    for dma in MODES {
        let (moved, reply) = exchange(&mut disk.clone().in_drive(), dma, &from_first(READ | MT, 2));
        assert_eq!((moved, &*reply), (4 * SECTOR, &[0x04, 0, 0x40, 0, 1, 2, 2][..]));
    }
}

#[test]
fn a_sector_with_the_other_mark_leaves_its_own_id_even_at_terminal_count() {
    // §4.2, §4.4: the address is not incremented.
    for (opcode, mark) in [(READ, Deleted), (READ_DELETED, Data)] {
        for bytes in [100, SECTOR, 3 * SECTOR] {
            let mut guest = Disk::of(marked(0, &[mark; 3])).in_drive();
            assert_eq!(transfer(&mut guest, &from_first(opcode, 3), bytes), [0x00, 0, 0x40, 0, 0, 1, 2]);
        }
    }
}

#[test]
fn a_sector_with_the_other_mark_and_a_bad_crc_reports_both() {
    // §4.1, §5.2, §5.3
    for (opcode, sector) in [(READ, deleted(sector(1))), (READ_DELETED, sector(1))] {
        for dma in MODES {
            let mut guest = Disk::of([with_bad_data_crc(sector)]).in_drive();
            let (moved, reply) = exchange(&mut guest, dma, &from_first(opcode, 1));
            assert_eq!((moved, reply.status()), (SECTOR, DE_DD_CM), "{opcode:#04x}");
        }
    }
}

#[test]
fn read_deleted_data_fails_where_read_data_fails() {
    // §4.12
    let second = deleted(sector(2));
    let table = [
        (sector(9), 1, ND),
        (without_data_field(second), 1, MA_MD),
        (with_bad_id_crc(second), 1, DE),
        (with_bad_data_crc(second), 2, DE_DD),
    ];
    for (second, sectors, status) in table {
        for dma in MODES {
            let mut guest = Disk::of([deleted(sector(1)), second, deleted(sector(3))]).in_drive();
            let (moved, reply) = exchange(&mut guest, dma, &from_first(READ_DELETED, 3));
            assert_eq!((reply.status(), reply.id()), (status, [0, 0, 2, 2]));
            assert_eq!(moved, sectors * SECTOR, "{status:02x?}");
        }
    }
    let (_, reply) = exchange(&mut Disk::blank().in_drive(), true, &from_first(READ_DELETED, 3));
    assert_eq!(reply.status(), MA);
}

// A raw image

#[test]
fn no_sector_of_a_raw_image_is_deleted() {
    // §4.4: one sector is read, or none.
    for dma in MODES {
        let mut guest = guest_with_full_disk();
        let (moved, reply) = exchange(&mut guest, dma, &command(READ_DELETED, 1, 3, 18));
        assert_eq!(reply, [0x04, 0, 0x40, CYLINDER, 1, 3, 2]);
        assert!(guest.buffer(moved) == in_file(1, 3, 1));

        for (mt, status) in [(0, EN_CM), (MT, [0x44, 0x80, 0x40])] {
            let (moved, reply) = exchange(&mut guest, dma, &command(READ_DELETED | SK | mt, 0, 3, 18));
            assert_eq!((moved, reply.status()), (0, status));
        }
    }
}

#[test]
fn write_deleted_data_to_a_raw_image_fails() {
    // §4.4, §12.8: the command fails, and the cylinder does not change.
    for dma in MODES {
        for mt in [0, MT] {
            let mut guest = guest_with_full_disk();
            guest.buffer_mut(36 * SECTOR).fill(0xA5);
            let (_, reply) = exchange(&mut guest, dma, &command(WRITE_DELETED | mt, 0, 3, 18));
            assert_eq!(reply[0] & 0xC0, 0x40, "DMA: {dma}");

            exchange(&mut guest, true, &command(READ | MT, 0, 1, 18));
            assert!(guest.buffer(36 * SECTOR) == in_file(0, 1, 36), "DMA: {dma}");
        }
    }
}

// Writes

#[test]
fn sectors_of_write_deleted_data_read_back_as_deleted() {
    // §3.6, for each encoding and size code
    for (mfm, encoding) in ENCODINGS {
        for size_code in 0..=7 {
            let command = |opcode: u8| [opcode & !MFM | mfm, 0, 0, 0, 1, size_code, 2, 0x1B, 128];
            let data = made_up(256 << size_code);
            for dma in MODES {
                let sectors = [1, 2].map(|sector| id(0, 0, sector, size_code));
                let mut guest = Disk::recorded(DataRate::Kbps500, encoding, sectors).in_drive();
                guest.buffer_mut(data.len()).copy_from_slice(&data);
                let (moved, reply) = exchange(&mut guest, dma, &command(WRITE_DELETED));
                assert_eq!((moved, &*reply), (data.len(), &[0x40, 0x80, 0, 0, 0, 2, size_code][..]));

                guest.buffer_mut(data.len()).fill(0);
                let (_, reply) = exchange(&mut guest, dma, &command(READ_DELETED));
                assert_eq!(reply, [0x40, 0x80, 0, 0, 0, 2, size_code]);
                assert!(guest.buffer(data.len()) == data, "{encoding:?}, N = {size_code}, DMA: {dma}");

                let (_, reply) = exchange(&mut guest, dma, &command(READ));
                assert_eq!(reply, [0x00, 0, 0x40, 0, 0, 1, size_code]);
            }
        }
    }
}

#[test]
fn a_multi_track_write_of_deleted_sectors_writes_both_heads() {
    // §4.2, §4.3
    let disk = Disk::of(marked(0, &[Data; 3])).with_track(0, 1, marked(1, &[Data; 3]));
    let mut guest = disk.in_drive();
    guest.program_dma(DMA_WRITE_FLOPPY, BUFFER, 4 * SECTOR);
    assert_eq!(guest.command(&[WRITE_DELETED | MT, 0, 0, 0, 2, 2, 3, 0x1B, 0xFF]), [0x04, 0, 0, 0, 1, 3, 2]);
    let (moved, _) = exchange(&mut guest, true, &from_first(READ | MT | SK, 3));
    assert_eq!(moved, 2 * SECTOR, "the first and the last sector do not change");
}

#[test]
fn the_rest_of_a_deleted_sector_is_filled_with_zeros_after_terminal_count() {
    // §4.6
    let mut guest = Disk::of([sector(1)]).in_drive();
    guest.buffer_mut(100).fill(0xA5);
    guest.program_dma(DMA_WRITE_FLOPPY, BUFFER, 100);
    assert_eq!(guest.command(&from_first(WRITE_DELETED, 9)), [0x00, 0, 0, 0, 0, 2, 2]);
    assert_eq!(transfer(&mut guest, &from_first(READ_DELETED, 9), SECTOR).status(), OK);
    assert!(guest.buffer(SECTOR) == [vec![0xA5; 100], vec![0; 412]].concat());
}

#[test]
fn the_data_length_limits_deleted_sectors_of_128_bytes() {
    // §4.3
    let command = |opcode, data_length| [opcode, 0, 0, 0, 1, 0, 2, 0x1B, data_length];
    for dma in MODES {
        let mut guest = Disk::of([1, 2].map(|sector| id(0, 0, sector, 0))).in_drive();
        guest.buffer_mut(80).fill(0xA5);
        assert_eq!(exchange(&mut guest, dma, &command(WRITE_DELETED, 40)).0, 80);
        exchange(&mut guest, dma, &command(READ_DELETED, 128));
        assert_eq!(guest.buffer(256), [[0xA5; 40].as_slice(), &[0; 88]].concat().repeat(2));
        assert_eq!(exchange(&mut guest, dma, &command(READ_DELETED, 50)).0, 100);
        assert_eq!(guest.buffer(100), [[0xA5; 40].as_slice(), &[0; 10]].concat().repeat(2));
    }
}

#[test]
fn a_write_replaces_the_mark_and_a_bad_crc() {
    // §3.5, §3.6
    let before = [sector(1), deleted(sector(1)), with_bad_data_crc(sector(1)), with_bad_data_crc(deleted(sector(1)))];
    let table = [(WRITE, READ, READ_DELETED), (WRITE_DELETED, READ_DELETED, READ)];
    for (write, own_read, other_read) in table {
        for dma in MODES {
            for sector in before {
                let mut guest = Disk::of([sector]).in_drive();
                let mut status = |opcode| exchange(&mut guest, dma, &from_first(opcode, 1)).1.status();
                assert_eq!([write, own_read, other_read].map(&mut status), [EN, EN, CM], "{write:#04x} on {sector:?}");
            }
        }
    }
}

#[test]
fn a_write_ignores_sk() {
    // §4.4
    for write in [WRITE, WRITE_DELETED] {
        for dma in MODES {
            let mut guest = Disk::of(marked(0, &[Data, Deleted, Data, Deleted])).in_drive();
            let (moved, reply) = exchange(&mut guest, dma, &from_first(write | SK, 4));
            assert_eq!((moved, reply.status()), (4 * SECTOR, EN), "{write:#04x}, DMA: {dma}");
        }
    }
}

#[test]
fn a_failing_write_of_deleted_sectors_requests_no_data() {
    // §3.5, §4.12
    let table = [
        (Disk::of([sector(1)]).protected(), NW),
        (Disk::blank().protected(), NW),
        (Disk::blank(), MA),
        (Disk::of([sector(2)]), ND),
        (Disk::of([with_bad_id_crc(sector(1))]), DE),
    ];
    for (disk, status) in table {
        for dma in MODES {
            let (moved, reply) = exchange(&mut disk.clone().in_drive(), dma, &from_first(WRITE_DELETED, 1));
            assert_eq!((moved, reply.status(), reply.id()), (0, status, [0, 0, 1, 2]));
        }
    }
}
