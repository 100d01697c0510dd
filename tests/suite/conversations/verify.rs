//! VERIFY: a read whose data goes nowhere, and which neither a DMA channel nor a host's byte can end.

use super::kit::disk::{
    self, CYLINDER, Disk, MT, READ, SECTOR, deleted, guest_with_full_disk, id, sector, with_bad_data_crc,
    with_bad_id_crc, without_data_field,
};
use super::kit::{BUFFER, DMA_READ_FLOPPY, DMA_VERIFY, Guest, MSR, Reply};
use vm_fdc::media::{DataRate, Encoding, Sector};

const VERIFY: u8 = 0x56;
const MFM: u8 = 0x40;
const SKIP: u8 = 0x20;
/// EC, in the byte of the head and the drive.
const COUNT: u8 = 0x80;

const OK: [u8; 3] = [0x00, 0x00, 0x00];
const EN: [u8; 3] = [0x40, 0x80, 0x00];
const MA: [u8; 3] = [0x40, 0x01, 0x00];
const ND: [u8; 3] = [0x40, 0x04, 0x00];
const DE: [u8; 3] = [0x40, 0x20, 0x00];
const ND_WC: [u8; 3] = [0x40, 0x04, 0x10];
const ND_BC: [u8; 3] = [0x40, 0x04, 0x02];
const MA_MD: [u8; 3] = [0x40, 0x01, 0x01];
const DE_DD: [u8; 3] = [0x40, 0x20, 0x20];
const CM: [u8; 3] = [0x00, 0x00, 0x40];
const EN_CM: [u8; 3] = [0x40, 0x80, 0x40];
/// On side 1.
const OK_1: [u8; 3] = [0x04, 0x00, 0x00];
const EN_1: [u8; 3] = [0x44, 0x80, 0x00];

/// Sectors of 512 bytes from sector 1 of cylinder 0, head 0, up to an EOT.
fn all_up_to(end_of_track: u8) -> [u8; 9] {
    [VERIFY, 0, 0, 0, 1, 2, end_of_track, 0x1B, 0xFF]
}

/// So many of these sectors.
fn count_of(sectors: u8, end_of_track: u8) -> [u8; 9] {
    [VERIFY, COUNT, 0, 0, 1, 2, end_of_track, 0x1B, sectors]
}

/// The same cylinder of 18 sectors a side as a file has it, and sector by sector.
fn full_cylinders() -> [Guest; 2] {
    let side = |head| (1..=18).map(move |record| id(CYLINDER, head, record, 2));
    let mut sector_by_sector = Disk::blank().side(CYLINDER, 0, side(0)).side(CYLINDER, 1, side(1)).in_drive();
    sector_by_sector.seek(CYLINDER);
    [guest_with_full_disk(), sector_by_sector]
}

/// A command to a guest that uses DMA, and to one that does not.
fn in_both_modes(disk: &Disk, command: &[u8; 9]) -> [Reply; 2] {
    [true, false].map(|dma| {
        let mut guest = disk.clone().in_drive();
        guest.use_dma(dma);
        guest.command(command)
    })
}

// How far it goes

/// MT, HDS and R; EC and SC; EOT; the status, and the ID when that is valid.
type Row = ((u8, u8, u8), Option<u8>, u8, [u8; 3], Option<[u8; 3]>);

/// The cylinder before the ID that a success leaves at the end of it.
const NEXT: u8 = CYLINDER + 1;

#[rustfmt::skip]
const TABLE: [Row; 26] = [
    // MT = 0, EC = 0
    (( 0, 0,  1), None,     18, OK,   Some([NEXT,     0,  1])),
    (( 0, 1,  1), None,     18, OK_1, Some([NEXT,     1,  1])),
    (( 0, 0,  5), None,      9, OK,   Some([NEXT,     0,  1])),
    (( 0, 0,  1), None,     19, ND,   None),
    // MT = 0, EC = 1
    (( 0, 0,  1), Some(1),  18, OK,   Some([CYLINDER, 0,  2])),
    (( 0, 0,  1), Some(17), 18, OK,   Some([CYLINDER, 0, 18])),
    (( 0, 0,  1), Some(18), 18, OK,   Some([NEXT,     0,  1])),
    (( 0, 1,  5), Some(14), 18, OK_1, Some([NEXT,     1,  1])),
    (( 0, 0,  1), Some(19), 18, EN,   None),
    (( 0, 1,  5), Some(15), 18, EN_1, None),
    (( 0, 0,  1), Some(10),  9, EN,   None),
    (( 0, 0,  1), Some(19), 19, ND,   None),
    (( 0, 0,  1), Some(5),  19, OK,   Some([CYLINDER, 0,  6])), // EOT is beyond the track, but nothing is missing.
    // MT = 1, EC = 0
    ((MT, 0,  1), None,     18, OK_1, Some([NEXT,     0,  1])),
    ((MT, 1,  7), None,     18, OK_1, Some([NEXT,     0,  1])),
    ((MT, 0, 18), None,     18, OK_1, Some([NEXT,     0,  1])),
    ((MT, 0,  1), None,     19, ND,   None),
    // MT = 1, EC = 1: what remains are the sectors of both sides.
    ((MT, 0,  1), Some(17), 18, OK,   Some([CYLINDER, 0, 18])),
    ((MT, 0,  1), Some(18), 18, OK,   Some([CYLINDER, 1,  1])),
    ((MT, 0,  1), Some(20), 18, OK_1, Some([CYLINDER, 1,  3])),
    ((MT, 0,  1), Some(36), 18, OK_1, Some([NEXT,     0,  1])),
    ((MT, 0,  5), Some(32), 18, OK_1, Some([NEXT,     0,  1])),
    ((MT, 0,  1), Some(37), 18, EN_1, None),
    ((MT, 0,  5), Some(33), 18, EN_1, None),
    ((MT, 0,  1), Some(37), 19, ND,   None),
    ((MT, 0,  1), Some(5),  19, OK,   Some([CYLINDER, 0,  6])),
];

#[test]
fn it_succeeds_when_all_sectors_that_it_is_to_verify_are_there() {
    // §4.8
    for ((mt, head, record), count, end_of_track, status, id) in TABLE {
        for dma in [true, false] {
            for mut guest in full_cylinders() {
                guest.use_dma(dma);
                let unit = head << 2 | if count.is_some() { COUNT } else { 0 };
                let last = count.unwrap_or(0xFF);
                let reply = guest.command(&[VERIFY | mt, unit, CYLINDER, head, record, 2, end_of_track, 0x1B, last]);
                let case = format!("MT {mt:#04x}, {head}/{record}, SC {count:?}, EOT {end_of_track}, DMA: {dma}");
                assert_eq!(reply.status(), status, "{case}");
                if let Some([c, h, r]) = id {
                    assert_eq!(reply.id(), [c, h, r, 2], "{case}");
                }
            }
        }
    }
}

/// Sectors of 128 bytes on both sides.
fn small_sectors(records: impl Iterator<Item = u8> + Clone) -> Disk {
    let side = |head| records.clone().map(move |record| id(0, head, record, 0));
    Disk::of(side(0)).side(0, 1, side(1))
}

#[test]
fn a_count_of_0_is_256_sectors() {
    // §4.8: the first sector and EOT; then the status on sides of 256 and of 255 sectors.
    let (sides_of_256, sides_of_255) = (small_sectors(0..=255), small_sectors(1..=255));
    let verify = |mt, record| [VERIFY | mt, COUNT, 0, 0, record, 0, 255, 0x1B, 0];
    let table = [
        (&sides_of_256, verify(0, 0), [0x00, 0, 0, 1, 0, 1, 0]),
        (&sides_of_256, verify(0, 1), [0x40, 0x80, 0, 0, 0, 255, 0]),
        (&sides_of_255, verify(MT, 1), [0x04, 0, 0, 0, 1, 2, 0]),
    ];
    for (disk, command, expected) in table {
        assert_eq!(in_both_modes(disk, &command), [expected; 2], "{command:02x?}");
    }
}

#[test]
fn each_encoding_and_size_code_is_verified() {
    // §4.3, §4.8: with SC in the place of DTL.
    for (mfm, encoding) in [(MFM, Encoding::Mfm), (0, Encoding::Fm)] {
        for size_code in 0..=7 {
            let sectors = [1, 2, 3].map(|record| id(0, 0, record, size_code));
            let disk = Disk::recorded(DataRate::Kbps500, encoding, sectors);
            let command = [VERIFY & !MFM | mfm, COUNT, 0, 0, 1, size_code, 3, 0x1B, 2];
            assert_eq!(in_both_modes(&disk, &command), [[0x00, 0, 0, 0, 0, 3, size_code]; 2]);
        }
    }
}

#[test]
fn with_implied_seek_it_moves_the_head() {
    // §4.5
    let mut guest = guest_with_full_disk();
    guest.recalibrate();
    guest.command(&[0x13, 0, 0x60, 0]);
    assert_eq!(guest.command(&[VERIFY, 0, CYLINDER, 0, 1, 2, 18, 0x1B, 0xFF]), [0x20, 0, 0, NEXT, 0, 1, 2]);
}

// The host

#[test]
fn it_requests_nothing_and_interrupts_once() {
    // §3.8, §6.1, §8.1
    for dma in [true, false] {
        let mut guest = guest_with_full_disk();
        guest.use_dma(dma);
        let before = guest.bus.irq().edges();
        guest.send(&[VERIFY | MT, 0, CYLINDER, 0, 1, 2, 18, 0x1B, 0xFF]).unwrap();
        assert_eq!((guest.bus.read(MSR), guest.bus.read(0x08)), (0xD0, 0), "the result, and no DMA request");
        assert_eq!((guest.reply().len(), guest.bus.irq().edges() - before), (7, 1));
    }
}

#[test]
fn no_terminal_count_ends_it() {
    // §3.8: the channel is programmed for one sector, and none is taken.
    for mode in [DMA_READ_FLOPPY, DMA_VERIFY] {
        let mut guest = guest_with_full_disk();
        guest.program_dma(mode, BUFFER, SECTOR);
        assert_eq!(guest.command(&[VERIFY, 0, CYLINDER, 0, 1, 2, 18, 0x1B, 0xFF]), [0x00, 0, 0, NEXT, 0, 1, 2]);
        let residue = u16::from_le_bytes([guest.bus.read(0x05), guest.bus.read(0x05)]);
        assert_eq!(usize::from(residue), SECTOR - 1);
        assert_eq!(guest.buffer(SECTOR), [0; SECTOR]);
    }
}

// What is on the disk

fn with_second(second: Sector) -> Disk {
    Disk::of([sector(1), second, sector(3)])
}

#[test]
fn it_fails_where_a_read_fails() {
    // §4.8, §4.12
    let table = [
        (with_second(sector(9)), ND),
        (with_second(with_bad_id_crc(sector(2))), DE),
        (with_second(with_bad_data_crc(sector(2))), DE_DD),
        (with_second(without_data_field(sector(2))), MA_MD),
    ];
    for (disk, status) in table {
        let expected = [status[0], status[1], status[2], 0, 0, 2, 2];
        for command in [all_up_to(3), count_of(3, 3)] {
            assert_eq!(in_both_modes(&disk, &command), [expected; 2], "{command:02x?}");
        }
    }
}

#[test]
fn it_finds_no_first_sector_where_a_read_finds_none() {
    // §4.12
    let table = [
        (Disk::blank(), MA),
        (Disk::recorded(DataRate::Kbps250, Encoding::Mfm, [sector(1)]), MA),
        (Disk::recorded(DataRate::Kbps500, Encoding::Fm, [sector(1)]), MA),
        (Disk::of([sector(2)]), ND),
        (Disk::of([id(0, 1, 1, 2)]), ND),
        (Disk::of([id(0, 0, 1, 3)]), ND),
        (Disk::of([id(7, 0, 1, 2)]), ND_WC),
        (Disk::of([id(0xFF, 0, 1, 2)]), ND_BC),
    ];
    for (disk, status) in table {
        assert_eq!(in_both_modes(&disk, &all_up_to(1)).map(|reply| reply.status()), [status; 2]);
    }
}

#[test]
fn a_bad_sector_after_the_count_is_not_looked_at() {
    // §4.8
    for bad in [with_bad_id_crc, with_bad_data_crc, without_data_field, deleted] {
        let disk = Disk::of([sector(1), sector(2), bad(sector(3))]);
        assert_eq!(in_both_modes(&disk, &count_of(2, 3)), [[0x00, 0, 0, 0, 0, 3, 2]; 2]);
    }
}

#[test]
fn a_deleted_sector_ends_it_as_it_ends_a_read() {
    // §4.4, §4.8
    for command in [all_up_to(3), count_of(3, 3)] {
        let replies = in_both_modes(&with_second(deleted(sector(2))), &command);
        assert_eq!(replies.map(|reply| (reply.status(), reply.id())), [(CM, [0, 0, 2, 2]); 2]);
    }
}

#[test]
fn with_skip_a_deleted_sector_is_passed_over_and_does_not_count() {
    // §4.4, §4.8
    let disk = Disk::of([sector(1), deleted(sector(2)), sector(3), sector(4)]);
    let table = [
        (all_up_to(4), CM, Some([1, 0, 1, 2])),
        (count_of(2, 4), CM, Some([0, 0, 4, 2])),
        (count_of(3, 4), CM, Some([1, 0, 1, 2])),
        (count_of(4, 4), EN_CM, None),
    ];
    for (mut command, status, id) in table {
        command[0] |= SKIP;
        for reply in in_both_modes(&disk, &command) {
            assert_eq!(reply.status(), status, "{command:02x?}");
            assert!(id.is_none_or(|id| reply.id() == id), "{command:02x?}: {reply:?}");
        }
    }
}

#[test]
fn a_verified_disk_may_be_write_protected_and_is_as_it_was() {
    // §4.8
    let mut guest = Disk::of([1, 2].map(sector)).protected().in_drive();
    assert_eq!(guest.command(&all_up_to(2)).status(), OK);
    assert_eq!(disk::transfer(&mut guest, &[READ, 0, 0, 0, 1, 2, 2, 0x1B, 0xFF], 2 * SECTOR).status(), OK);
    assert!(guest.buffer(2 * SECTOR) == [1, 2].map(|record| disk::contents(sector(record))).concat());
}
