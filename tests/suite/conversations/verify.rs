//! VERIFY: a read that transfers no data, and that neither terminal count nor the host can end.

use super::kit::disk::{
    self, CYLINDER, Disk, MFM, MT, READ, SECTOR, SK, VERIFY, deleted, from_first, guest_with_full_disk, id, sector,
    with_bad_data_crc, with_bad_id_crc, without_data_field,
};
use super::kit::status::{CM, DE, DE_DD, EN, EN_CM, MA, MA_MD, ND, ND_BC, ND_WC, OK, Status, on_head_1};
use super::kit::{BUFFER, DMA_READ_FLOPPY, DMA_VERIFY, Guest, MSR, Reply};
use vm_fdc::media::{DataRate, Encoding};

/// EC, in the byte of the head and the drive: the last parameter is a sector count.
const COUNT: u8 = 0x80;

/// Statuses for head 1.
const OK_1: Status = on_head_1(OK);
const EN_1: Status = on_head_1(EN);

/// Returns VERIFY of sectors of 512 bytes from sector 1 of cylinder 0, head 0, up to an EOT.
fn all_up_to(end_of_track: u8) -> [u8; 9] {
    from_first(VERIFY, end_of_track)
}

/// Returns VERIFY of this number of such sectors.
fn count_of(sectors: u8, end_of_track: u8) -> [u8; 9] {
    [VERIFY, COUNT, 0, 0, 1, 2, end_of_track, 0x1B, sectors]
}

/// Returns guests with the same cylinder of 18 sectors a track: in a raw image, and on a sector disk.
fn full_cylinders() -> [Guest; 2] {
    let track = |head| (1..=18).map(move |sector| id(CYLINDER, head, sector, 2));
    let mut sector_by_sector =
        Disk::blank().with_track(CYLINDER, 0, track(0)).with_track(CYLINDER, 1, track(1)).in_drive();
    sector_by_sector.seek(CYLINDER);
    [guest_with_full_disk(), sector_by_sector]
}

/// Performs a command in a guest with DMA, and in one without.
fn in_both_modes(disk: &Disk, command: &[u8; 9]) -> [Reply; 2] {
    [true, false].map(|dma| {
        let mut guest = disk.clone().in_drive();
        guest.use_dma(dma);
        guest.command(command)
    })
}

// Sectors

/// MT, HDS and R; SC if EC is set; EOT; the status; C, H and R of the result if they are defined.
type Row = ((u8, u8, u8), Option<u8>, u8, [u8; 3], Option<[u8; 3]>);

/// C of the result after the last sector of the cylinder.
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
    (( 0, 0,  1), Some(5),  19, OK,   Some([CYLINDER, 0,  6])), // EOT is beyond the track, but no sector is missing.
    // MT = 1, EC = 0
    ((MT, 0,  1), None,     18, OK_1, Some([NEXT,     0,  1])),
    ((MT, 1,  7), None,     18, OK_1, Some([NEXT,     0,  1])),
    ((MT, 0, 18), None,     18, OK_1, Some([NEXT,     0,  1])),
    ((MT, 0,  1), None,     19, ND,   None),
    // MT = 1, EC = 1: SC counts the sectors of both heads.
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
fn verify_succeeds_if_all_its_sectors_are_present() {
    // §4.8
    for ((mt, head, sector), count, end_of_track, status, id) in TABLE {
        for dma in [true, false] {
            for mut guest in full_cylinders() {
                guest.use_dma(dma);
                let unit = head << 2 | if count.is_some() { COUNT } else { 0 };
                let last = count.unwrap_or(0xFF);
                let reply = guest.command(&[VERIFY | mt, unit, CYLINDER, head, sector, 2, end_of_track, 0x1B, last]);
                let case = format!("MT {mt:#04x}, {head}/{sector}, SC {count:?}, EOT {end_of_track}, DMA: {dma}");
                assert_eq!(reply.status(), status, "{case}");
                if let Some([c, h, r]) = id {
                    assert_eq!(reply.id(), [c, h, r, 2], "{case}");
                }
            }
        }
    }
}

/// Returns a disk with these sectors of 128 bytes on both heads of cylinder 0.
fn small_sectors(numbers: impl Iterator<Item = u8> + Clone) -> Disk {
    let track = |head| numbers.clone().map(move |sector| id(0, head, sector, 0));
    Disk::of(track(0)).with_track(0, 1, track(1))
}

#[test]
fn a_count_of_0_is_256_sectors() {
    // §4.8: the first sector; then the result on tracks of 256 and of 255 sectors.
    let (tracks_of_256, tracks_of_255) = (small_sectors(0..=255), small_sectors(1..=255));
    let verify = |mt, sector| [VERIFY | mt, COUNT, 0, 0, sector, 0, 255, 0x1B, 0];
    let table = [
        (&tracks_of_256, verify(0, 0), [0x00, 0, 0, 1, 0, 1, 0]),
        (&tracks_of_256, verify(0, 1), [0x40, 0x80, 0, 0, 0, 255, 0]),
        (&tracks_of_255, verify(MT, 1), [0x04, 0, 0, 0, 1, 2, 0]),
    ];
    for (disk, command, expected) in table {
        assert_eq!(in_both_modes(disk, &command), [expected; 2], "{command:02x?}");
    }
}

#[test]
fn each_encoding_and_size_code_is_verified() {
    // §4.3, §4.8: SC takes the place of DTL.
    for (mfm, encoding) in [(MFM, Encoding::Mfm), (0, Encoding::Fm)] {
        for size_code in 0..=7 {
            let sectors = [1, 2, 3].map(|sector| id(0, 0, sector, size_code));
            let disk = Disk::recorded(DataRate::Kbps500, encoding, sectors);
            let command = [VERIFY & !MFM | mfm, COUNT, 0, 0, 1, size_code, 3, 0x1B, 2];
            assert_eq!(in_both_modes(&disk, &command), [[0x00, 0, 0, 0, 0, 3, size_code]; 2]);
        }
    }
}

#[test]
fn with_implied_seek_verify_moves_the_head() {
    // §4.5
    let mut guest = guest_with_full_disk();
    guest.recalibrate();
    guest.command(&[0x13, 0, 0x60, 0]);
    assert_eq!(guest.command(&[VERIFY, 0, CYLINDER, 0, 1, 2, 18, 0x1B, 0xFF]), [0x20, 0, 0, NEXT, 0, 1, 2]);
}

// The host

#[test]
fn verify_requests_no_data_and_interrupts_once() {
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
fn terminal_count_does_not_end_verify() {
    // §3.8: the channel is programmed for one sector, and moves no byte.
    for mode in [DMA_READ_FLOPPY, DMA_VERIFY] {
        let mut guest = guest_with_full_disk();
        guest.program_dma(mode, BUFFER, SECTOR);
        assert_eq!(guest.command(&[VERIFY, 0, CYLINDER, 0, 1, 2, 18, 0x1B, 0xFF]), [0x00, 0, 0, NEXT, 0, 1, 2]);
        let residue = u16::from_le_bytes([guest.bus.read(0x05), guest.bus.read(0x05)]);
        assert_eq!(usize::from(residue), SECTOR - 1);
        assert_eq!(guest.buffer(SECTOR), [0; SECTOR]);
    }
}

// Errors

#[test]
fn verify_fails_where_a_read_fails() {
    // §4.8, §4.12
    let table = [
        (Disk::with_second(sector(9)), ND),
        (Disk::with_second(with_bad_id_crc(sector(2))), DE),
        (Disk::with_second(with_bad_data_crc(sector(2))), DE_DD),
        (Disk::with_second(without_data_field(sector(2))), MA_MD),
    ];
    for (disk, status) in table {
        let expected = [status[0], status[1], status[2], 0, 0, 2, 2];
        for command in [all_up_to(3), count_of(3, 3)] {
            assert_eq!(in_both_modes(&disk, &command), [expected; 2], "{command:02x?}");
        }
    }
}

#[test]
fn verify_finds_no_first_sector_where_a_read_finds_none() {
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
fn a_bad_sector_after_the_count_is_not_read() {
    // §4.8
    for bad in [with_bad_id_crc, with_bad_data_crc, without_data_field, deleted] {
        let disk = Disk::of([sector(1), sector(2), bad(sector(3))]);
        assert_eq!(in_both_modes(&disk, &count_of(2, 3)), [[0x00, 0, 0, 0, 0, 3, 2]; 2]);
    }
}

#[test]
fn a_deleted_sector_ends_verify_as_it_ends_a_read() {
    // §4.4, §4.8
    for command in [all_up_to(3), count_of(3, 3)] {
        let replies = in_both_modes(&Disk::with_second(deleted(sector(2))), &command);
        assert_eq!(replies.map(|reply| (reply.status(), reply.id())), [(CM, [0, 0, 2, 2]); 2]);
    }
}

#[test]
fn with_sk_a_deleted_sector_is_skipped_and_not_counted() {
    // §4.4, §4.8
    let disk = Disk::of([sector(1), deleted(sector(2)), sector(3), sector(4)]);
    let table = [
        (all_up_to(4), CM, Some([1, 0, 1, 2])),
        (count_of(2, 4), CM, Some([0, 0, 4, 2])),
        (count_of(3, 4), CM, Some([1, 0, 1, 2])),
        (count_of(4, 4), EN_CM, None),
    ];
    for (mut command, status, id) in table {
        command[0] |= SK;
        for reply in in_both_modes(&disk, &command) {
            assert_eq!(reply.status(), status, "{command:02x?}");
            assert!(id.is_none_or(|id| reply.id() == id), "{command:02x?}: {reply:?}");
        }
    }
}

#[test]
fn verify_accepts_a_protected_disk_and_does_not_change_it() {
    // §4.8
    let mut guest = Disk::of([1, 2].map(sector)).protected().in_drive();
    assert_eq!(guest.command(&all_up_to(2)).status(), OK);
    assert_eq!(disk::transfer(&mut guest, &[READ, 0, 0, 0, 1, 2, 2, 0x1B, 0xFF], 2 * SECTOR).status(), OK);
    assert!(guest.buffer(2 * SECTOR) == [1, 2].map(|number| disk::contents(sector(number))).concat());
}
