//! READ TRACK: the sectors of a track in physical order, from the index hole on, with any IDs and any errors.

use super::kit::disk::{
    CYLINDER, Disk, MFM, MODES, MT, READ_TRACK, SECTOR, SK, contents, deleted, exchange, guest_with_full_disk, id,
    in_file, sector, transfer, with_bad_data_crc, with_bad_id_crc, without_data_field,
};
use super::kit::status::{
    st1::{DE, EN, ND},
    st2::{CM, DD},
};
use vm_fdc::media::{DataRate, Encoding, Sector};

/// Returns READ TRACK of sectors of 512 bytes. The expected IDs begin with sector 1 of cylinder 0, head 0.
fn track_of(sectors: u8) -> [u8; 9] {
    [READ_TRACK, 0, 0, 0, 1, 2, sectors, 0x1B, 0xFF]
}

fn all_of(sectors: &[Sector]) -> Vec<u8> {
    sectors.iter().flat_map(|&sector| contents(sector)).collect()
}

/// Returns cases: three sectors, and the bits of ST1 and ST2 that note their errors.
fn noted() -> Vec<([Sector; 3], u8, u8)> {
    let [first, second, third] = [1, 2, 3].map(sector);
    vec![
        ([first, second, third], 0, 0),
        ([third, first, second], ND, 0),
        ([first, third, second], ND, 0),
        ([first, second, sector(9)], ND, 0),
        ([first, second, second], ND, 0),
        ([first, id(0, 1, 2, 2), third], ND, 0),
        ([first, with_bad_id_crc(second), third], DE, 0),
        ([first, with_bad_data_crc(second), third], DE, DD),
        ([with_bad_id_crc(first), with_bad_data_crc(second), third], DE, DD),
        ([first, second, deleted(third)], 0, CM),
        ([deleted(first), second, third], 0, CM),
        ([deleted(first), with_bad_data_crc(second), sector(9)], ND | DE, CM | DD),
    ]
}

// Data

#[test]
fn read_track_delivers_all_sectors_in_physical_order_and_only_notes_errors() {
    // §4.7; that an end without terminal count sets EN is not established.
    for (sectors, st1, st2) in noted() {
        for dma in MODES {
            let mut guest = Disk::of(sectors).in_drive();
            let (moved, reply) = exchange(&mut guest, dma, &track_of(3));
            assert_eq!(reply.status(), [0x40, EN | st1, st2], "DMA: {dma}, {sectors:?}");
            assert!(guest.buffer(moved) == all_of(&sectors), "DMA: {dma}, {sectors:?}");
        }
    }
}

#[test]
fn terminal_count_ends_read_track_normally_with_the_noted_errors() {
    // §4.7
    for (sectors, st1, st2) in noted() {
        let mut guest = Disk::of(sectors).in_drive();
        let reply = transfer(&mut guest, &track_of(3), 3 * SECTOR);
        assert_eq!(reply.status(), [0x00, st1, st2], "{sectors:?}");
    }
}

#[test]
fn read_track_compares_ids_with_c_h_r_and_n_of_the_command() {
    // §4.7: C, H and R of the command, and ND in ST1 if an ID differs.
    let table =
        [([0, 0, 1], 0), ([0, 0, 2], ND), ([0, 0, 0], ND), ([0, 1, 1], ND), ([7, 0, 1], ND), ([0xFF, 0, 1], ND)];
    for ([c, h, r], st1) in table {
        for dma in MODES {
            let mut guest = Disk::of([1, 2, 3].map(sector)).in_drive();
            let (moved, reply) = exchange(&mut guest, dma, &[READ_TRACK, 0, c, h, r, 2, 3, 0x1B, 0xFF]);
            assert_eq!((reply[0], reply[1]), (0x40, EN | st1), "C, H, R: {c}, {h}, {r}");
            assert!(guest.buffer(moved) == all_of(&[1, 2, 3].map(sector)), "C, H, R: {c}, {h}, {r}");
        }
    }
}

#[test]
fn the_expected_ids_of_read_track_begin_with_the_r_of_the_command() {
    // §4.7
    let sectors = [7, 8, 9].map(sector);
    let mut guest = Disk::of(sectors).in_drive();
    assert_eq!(transfer(&mut guest, &[READ_TRACK, 0, 0, 0, 7, 2, 3, 0x1B, 0xFF], 3 * SECTOR).status(), [0, 0, 0]);
    assert!(guest.buffer(3 * SECTOR) == all_of(&sectors));
}

#[test]
fn read_track_reads_each_encoding_and_size_code() {
    // §4.3, §4.7
    for (mfm, encoding) in [(MFM, Encoding::Mfm), (0, Encoding::Fm)] {
        for size_code in 0..=7 {
            let sectors = [2, 1].map(|sector| id(0, 0, sector, size_code));
            for dma in MODES {
                let mut guest = Disk::recorded(DataRate::Kbps500, encoding, sectors).in_drive();
                let command = [READ_TRACK & !MFM | mfm, 0, 0, 0, 1, size_code, 2, 0x1B, 128];
                let (moved, reply) = exchange(&mut guest, dma, &command);
                assert_eq!(reply.status(), [0x40, EN | ND, 0]);
                assert!(guest.buffer(moved) == all_of(&sectors), "{encoding:?}, N = {size_code}, DMA: {dma}");
            }
        }
    }
}

#[test]
fn read_track_delivers_sectors_of_the_size_in_the_command() {
    // §4.7: another N in the ID is noted as another ID.
    for (size_code, bytes) in [(0, 128), (1, 256), (3, 1024), (7, 16384)] {
        for dma in MODES {
            let mut guest = Disk::of([sector(1)]).in_drive();
            let command = [READ_TRACK, 0, 0, 0, 1, size_code, 1, 0x1B, 128];
            let (moved, reply) = exchange(&mut guest, dma, &command);
            assert_eq!((moved, reply[1] & ND), (bytes, ND), "N = {size_code}, DMA: {dma}");
            let whole = bytes.min(SECTOR);
            assert_eq!(guest.buffer(whole), &contents(sector(1))[..whole]);
        }
    }
}

#[test]
fn read_track_begins_at_the_index_hole_at_any_disk_position() {
    // §4.7
    let sectors = [1, 2, 3].map(sector);
    let mut guest = Disk::of(sectors).in_drive();
    for _ in 0..4 {
        guest.command(&[0x4A, 0]); // READ ID: the disk rotates
        let (moved, _) = exchange(&mut guest, true, &track_of(3));
        assert!(guest.buffer(moved) == all_of(&sectors));
    }
}

#[test]
fn read_track_delivers_a_track_of_a_raw_image_as_in_the_file() {
    // §4.7, §9.7
    let mut guest = guest_with_full_disk();
    for (head, dma) in [(0, true), (1, true), (0, false), (1, false)] {
        let (moved, reply) = exchange(&mut guest, dma, &[READ_TRACK, head << 2, CYLINDER, head, 1, 2, 18, 0x1B, 0xFF]);
        assert_eq!(reply.status(), [0x40 | head << 2, EN, 0]);
        assert!(guest.buffer(moved) == in_file(head, 1, 18), "head {head}, DMA: {dma}");
    }
}

#[test]
fn read_track_ignores_sk_and_mt() {
    // §3.1, §4.4, §4.7
    let sectors = [deleted(sector(1)), sector(2)];
    for flag in [SK, MT, SK | MT] {
        for dma in MODES {
            let mut guest = Disk::of(sectors).with_track(0, 1, [id(0, 1, 1, 2), id(0, 1, 2, 2)]).in_drive();
            let mut command = track_of(2);
            command[0] |= flag;
            let (moved, reply) = exchange(&mut guest, dma, &command);
            assert_eq!(reply.status(), [0x40, EN, CM]);
            assert!(guest.buffer(moved) == all_of(&sectors), "{flag:#04x}, DMA: {dma}");
        }
    }
}

#[test]
fn with_implied_seek_read_track_moves_the_head() {
    // §4.5
    let mut guest = guest_with_full_disk();
    guest.recalibrate();
    guest.command(&[0x13, 0, 0x60, 0]);
    let reply = transfer(&mut guest, &[READ_TRACK, 0, CYLINDER, 0, 1, 2, 18, 0x1B, 0xFF], 18 * SECTOR);
    assert_eq!(reply.status(), [0x20, 0, 0]);
    assert!(guest.buffer(18 * SECTOR) == in_file(0, 1, 18));
}

// End

#[test]
fn read_track_reads_eot_sectors_with_any_numbers() {
    // §4.7: EOT is a count.
    let sectors = [9, 4, 2, 3].map(sector);
    for count in 1..=4 {
        for dma in MODES {
            let mut guest = Disk::of(sectors).in_drive();
            let (moved, reply) = exchange(&mut guest, dma, &track_of(count));
            assert_eq!(reply.status(), [0x40, EN | ND, 0]);
            assert!(guest.buffer(moved) == all_of(&sectors[..count.into()]), "EOT = {count}, DMA: {dma}");
        }
    }
}

#[test]
fn at_the_end_of_track_the_result_has_the_id_of_the_last_sector() {
    // §4.2
    for dma in MODES {
        let (_, reply) = exchange(&mut Disk::of([1, 2, 3].map(sector)).in_drive(), dma, &track_of(3));
        assert_eq!(reply.id(), [0, 0, 3, 2]);
    }
}

#[test]
fn at_terminal_count_the_result_has_the_id_of_the_next_sector() {
    // §4.2, §4.6: a partly transferred sector counts as read.
    for (bytes, id) in [(SECTOR, [0, 0, 2, 2]), (700, [0, 0, 3, 2]), (3 * SECTOR, [1, 0, 1, 2])] {
        let mut guest = Disk::of([1, 2, 3].map(sector)).in_drive();
        let reply = transfer(&mut guest, &track_of(3), bytes);
        assert_eq!((reply.status(), reply.id()), ([0, 0, 0], id));
        assert_eq!(guest.buffer(bytes), &all_of(&[1, 2, 3].map(sector))[..bytes]);
    }
}

#[test]
fn errors_after_terminal_count_are_not_noted() {
    // §4.6, §4.7: the sector of terminal count is read to its CRC.
    let mut guest = Disk::of([sector(1), with_bad_data_crc(sector(2)), deleted(sector(9))]).in_drive();
    for (bytes, status) in [(SECTOR, [0, 0, 0]), (SECTOR + 1, [0, DE, DD]), (2 * SECTOR, [0, DE, DD])] {
        assert_eq!(transfer(&mut guest, &track_of(3), bytes).status(), status, "{bytes} bytes");
    }
}

#[test]
fn an_end_of_track_beyond_the_sectors_ends_read_track_without_en() {
    // §4.7; not established
    let sectors = [1, 2, 3].map(sector);
    for count in [4, 255] {
        for dma in MODES {
            let mut guest = Disk::of(sectors).in_drive();
            let (moved, reply) = exchange(&mut guest, dma, &track_of(count));
            assert_eq!(reply.status(), [0x40, ND, 0]);
            assert!(guest.buffer(moved) == all_of(&sectors), "EOT = {count}, DMA: {dma}");
        }
    }
}

#[test]
fn a_missing_data_field_ends_read_track() {
    // §4.7, §4.12: the sectors before it are delivered, and their errors are noted.
    for (first, st2) in [(sector(1), 0), (deleted(sector(1)), CM)] {
        for dma in MODES {
            let mut guest = Disk::of([first, without_data_field(sector(2)), sector(3)]).in_drive();
            let (moved, reply) = exchange(&mut guest, dma, &track_of(3));
            assert_eq!(reply.status(), [0x40, 0x01, 0x01 | st2]);
            assert!(guest.buffer(moved) == contents(first), "DMA: {dma}");
        }
    }
}

#[test]
fn without_an_id_read_track_finds_no_address_mark() {
    // §4.7, §4.12: an unformatted track, no sectors, another data rate, another encoding.
    let tracks = [
        Disk::blank(),
        Disk::of([]),
        Disk::recorded(DataRate::Kbps250, Encoding::Mfm, [sector(1)]),
        Disk::recorded(DataRate::Kbps500, Encoding::Fm, [sector(1)]),
    ];
    for disk in tracks {
        for dma in MODES {
            let (moved, reply) = exchange(&mut disk.clone().in_drive(), dma, &track_of(1));
            assert_eq!((moved, &*reply), (0, &[0x40, 0x01, 0, 0, 0, 1, 2][..]));
        }
    }
}

#[test]
fn no_sector_has_a_size_code_above_7() {
    // §4.3: not even if an ID has one.
    for size_code in 8..=255 {
        let mut guest = Disk::of([id(0, 0, 1, size_code)]).in_drive();
        let (moved, reply) = exchange(&mut guest, true, &[READ_TRACK, 0, 0, 0, 1, size_code, 1, 0x1B, 0xFF]);
        assert_eq!((moved, reply.status()), (0, [0x40, ND, 0]), "N = {size_code}");
    }
}
