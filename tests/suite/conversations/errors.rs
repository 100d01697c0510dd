//! How READ DATA, WRITE DATA and READ ID end when the disk, the drive or the host is not as the guest would have it.

use super::kit::disk::{
    Disk, Failure, MT, READ, SECTOR, WRITE, contents, deleted, guest, id, sector, transfer, with_bad_data_crc,
    with_bad_id_crc, without_data_field,
};
use super::kit::{self, BUFFER, CCR, DMA_READ_FLOPPY, DMA_WRITE_FLOPPY, DOR, FIFO, Guest, MSR, Reply, fixture};
use vm_fdc::{
    Controller, EmptyDrive, FloppyDrive,
    drive::DriveType,
    media::{Access, DataRate, Encoding, Sector},
};

const READ_ID: u8 = 0x4A;
const SKIP: u8 = 0x20;

/// READ DATA or WRITE DATA from sector 1 of cylinder 0, head 0, up to an EOT.
fn command(opcode: u8, end_of_track: u8) -> [u8; 9] {
    [opcode, 0, 0, 0, 1, 2, end_of_track, 0x1B, 0xFF]
}

fn ask_for(guest: &mut Guest, opcode: u8) -> Reply {
    match opcode & 0x1F {
        0x0A => guest.command(&[opcode, 0]),
        _ => transfer(guest, &command(opcode, 1), SECTOR),
    }
}

// The one sector that is asked for

/// What ST0, ST1 and ST2 say after READ DATA, WRITE DATA and READ ID of sector 1 of cylinder 0: a row, a test.
macro_rules! status_table {
    ($($name:ident: $disk:expr => $read:expr, $write:expr, $read_id:expr;)*) => {$(
        #[test]
        fn $name() {
            let mut guest = $disk.in_drive();
            let statuses = [READ, WRITE, READ_ID].map(|opcode| ask_for(&mut guest, opcode).status());
            assert_eq!(statuses, [$read, $write, $read_id], "READ DATA, WRITE DATA, READ ID");
        }
    )*};
}

const OK: [u8; 3] = [0x00, 0x00, 0x00];
const MA: [u8; 3] = [0x40, 0x01, 0x00];
const NW: [u8; 3] = [0x40, 0x02, 0x00];
const ND: [u8; 3] = [0x40, 0x04, 0x00];
const DE: [u8; 3] = [0x40, 0x20, 0x00];
const ND_WC: [u8; 3] = [0x40, 0x04, 0x10];
const ND_BC: [u8; 3] = [0x40, 0x04, 0x02];
const MA_MD: [u8; 3] = [0x40, 0x01, 0x01];
const DE_DD: [u8; 3] = [0x40, 0x20, 0x20];
const CM: [u8; 3] = [0x00, 0x00, 0x40];

// §4.12; §3.5: a write makes a data field, and looks at none; §4.11: READ ID looks at none either.
status_table! {
    a_sound_sector_is_no_error: Disk::of([sector(1)]) => OK, OK, OK;
    a_blank_track_has_no_address_mark: Disk::blank() => MA, MA, MA;
    a_track_of_no_sectors_has_no_address_mark: Disk::of([]) => MA, MA, MA;
    another_data_rate_shows_no_address_mark: Disk::recorded(DataRate::Kbps250, Encoding::Mfm, [sector(1)]) => MA, MA, MA;
    another_encoding_shows_no_address_mark: Disk::recorded(DataRate::Kbps500, Encoding::Fm, [sector(1)]) => MA, MA, MA;
    another_r_is_no_data: Disk::of([sector(2)]) => ND, ND, OK;
    another_h_is_no_data: Disk::of([id(0, 1, 1, 2)]) => ND, ND, OK;
    another_n_is_no_data: Disk::of([id(0, 0, 1, 3)]) => ND, ND, OK;
    another_c_is_the_wrong_cylinder: Disk::of([id(7, 0, 1, 2)]) => ND_WC, ND_WC, OK;
    a_c_of_ff_is_a_bad_cylinder: Disk::of([id(0xFF, 0, 1, 2)]) => ND_BC, ND_BC, OK;
    a_bad_id_crc_is_a_data_error_without_its_data: Disk::of([with_bad_id_crc(sector(1))]) => DE, DE, ND;
    an_id_with_a_bad_crc_names_no_cylinder: Disk::of([with_bad_id_crc(id(7, 0, 1, 2))]) => ND, ND, ND;
    a_missing_data_field_is_missed_by_reads: Disk::of([without_data_field(sector(1))]) => MA_MD, OK, OK;
    a_bad_data_crc_is_a_data_error_of_reads: Disk::of([with_bad_data_crc(sector(1))]) => DE_DD, OK, OK;
    a_deleted_sector_is_marked_in_reads: Disk::of([deleted(sector(1))]) => CM, OK, OK;
    a_write_protected_disk_is_not_writable: Disk::of([sector(1)]).protected() => OK, NW, OK;
    write_protection_comes_before_the_search: Disk::blank().protected() => MA, NW, MA;
    a_host_error_is_a_data_error: Disk::of([sector(1)]).failing(1, Failure::Io) => DE_DD, DE, OK;
    a_sector_that_the_host_lacks_is_no_data: Disk::of([sector(1)]).failing(1, Failure::Absent) => ND, ND, OK;
}

#[test]
fn the_result_of_a_failed_search_has_the_id_that_was_looked_for() {
    // §4.2
    for (disk, opcode) in [
        (Disk::blank(), READ),
        (Disk::blank(), WRITE),
        (Disk::of([sector(2)]), READ),
        (Disk::of([id(7, 0, 1, 2)]), WRITE),
        (Disk::of([sector(1)]).protected(), WRITE),
    ] {
        assert_eq!(ask_for(&mut disk.in_drive(), opcode).id(), [0, 0, 1, 2]);
    }
}

#[test]
fn a_failed_read_id_has_an_id_of_zeros() {
    // §4.11
    let mut guest = Disk::blank().in_drive();
    assert_eq!(guest.command(&[READ_ID, 0x04]), [0x44, 0x01, 0x00, 0, 0, 0, 0]);
}

#[test]
fn a_failed_search_interrupts_and_requests_no_dma() {
    // §6.1, §8.1
    for opcode in [READ, WRITE] {
        let mut guest = Disk::of([sector(2)]).in_drive();
        let before = guest.bus.irq().edges();
        guest.send(&command(opcode, 1)).unwrap();
        assert_eq!((guest.bus.read(MSR), guest.bus.irq().edges() - before), (0xD0, 1));
        assert_eq!(guest.bus.read(0x08), 0);
    }
}

#[test]
fn after_an_error_the_next_command_starts_afresh() {
    // §5.5
    let mut guest = Disk::of([sector(1)]).in_drive();
    assert_eq!(transfer(&mut guest, &[READ, 0, 7, 0, 1, 2, 1, 0x1B, 0xFF], SECTOR).status(), ND_WC);
    assert_eq!(ask_for(&mut guest, READ).status(), OK);
}

#[test]
fn single_density_is_read_with_the_mfm_flag_off() {
    // §7.5
    let mut guest = Disk::recorded(DataRate::Kbps500, Encoding::Fm, [sector(1)]).in_drive();
    assert_eq!(transfer(&mut guest, &command(READ & !0x40, 1), SECTOR).status(), OK);
    assert_eq!(guest.command(&[READ_ID & !0x40, 0]).status(), OK);
}

#[test]
fn an_image_reads_at_its_data_rate_in_mfm_only() {
    // §7.5: the rates 500, 300, 250, 1000; the flag MFM.
    let (mut guest, drive) = guest();
    drive.attach_image(fixture("dos-1440k.img"), Access::Private).unwrap();
    for (rate, status) in [(0b00, OK), (0b01, MA), (0b10, MA), (0b11, MA)] {
        guest.bus.write(CCR, rate);
        for opcode in [READ, WRITE, READ_ID] {
            assert_eq!(ask_for(&mut guest, opcode).status(), status, "{opcode:#04x} at rate {rate}");
            assert_eq!(ask_for(&mut guest, opcode & !0x40).status(), MA, "{opcode:#04x} in FM at rate {rate}");
        }
    }
}

#[test]
fn a_read_only_image_is_write_protected() {
    // §3.5
    let (mut guest, drive) = guest();
    drive.attach_image(fixture("dos-1440k.img"), Access::ReadOnly).unwrap();
    assert_eq!(ask_for(&mut guest, READ).status(), OK);
    assert_eq!(ask_for(&mut guest, WRITE), [0x40, 0x02, 0x00, 0, 0, 1, 2]);
    let residue = [guest.bus.read(0x05), guest.bus.read(0x05)];
    assert_eq!(u16::from_le_bytes(residue), 511, "no data is asked for");
}

// The second of three sectors

/// READ DATA of sectors 1 to 3, of which the second is not sound: ST0, ST1 and ST2, and the sectors that come to
/// memory. A row, a test; all leave the ID of the second sector.
macro_rules! second_sector_table {
    ($($name:ident: $disk:expr => $status:expr, $delivered:expr;)*) => {$(
        #[test]
        fn $name() {
            let mut guest = $disk.in_drive();
            let reply = transfer(&mut guest, &command(READ, 3), 3 * SECTOR);
            assert_eq!((reply.status(), reply.id()), ($status, [0, 0, 2, 2]));
            let mut expected: Vec<u8> = $delivered.into_iter().flat_map(|record| contents(sector(record))).collect();
            expected.resize(3 * SECTOR, 0);
            assert!(guest.buffer(3 * SECTOR) == expected, "the data that is delivered");
        }
    )*};
}

fn with_second(second: Sector) -> Disk {
    Disk::of([sector(1), second, sector(3)])
}

// §4.1, §4.2, §4.4, §4.12
second_sector_table! {
    a_read_ends_before_an_absent_sector: Disk::of([1, 3].map(sector)) => ND, [1];
    a_read_ends_before_a_sector_with_a_bad_id_crc: with_second(with_bad_id_crc(sector(2))) => DE, [1];
    a_read_ends_before_a_missing_data_field: with_second(without_data_field(sector(2))) => MA_MD, [1];
    a_read_ends_after_a_sector_with_a_bad_data_crc: with_second(with_bad_data_crc(sector(2))) => DE_DD, [1, 2];
    a_read_ends_after_a_deleted_sector: with_second(deleted(sector(2))) => CM, [1, 2];
    a_read_ends_before_a_host_error: with_second(sector(2)).failing(2, Failure::Io) => DE_DD, [1];
    a_read_ends_before_a_sector_that_the_host_lacks: with_second(sector(2)).failing(2, Failure::Absent) => ND, [1];
}

#[test]
fn a_write_ends_before_a_host_error() {
    // §4.12
    let mut guest = with_second(sector(2)).failing(2, Failure::Io).in_drive();
    guest.buffer_mut(3 * SECTOR).fill(0xA5);
    assert_eq!(transfer(&mut guest, &command(WRITE, 3), 3 * SECTOR), [0x40, 0x20, 0x00, 0, 0, 2, 2]);
    assert_eq!(transfer(&mut guest, &command(READ, 1), SECTOR).status(), OK);
    assert_eq!(guest.buffer(SECTOR), [0xA5; SECTOR]);
    assert_eq!(transfer(&mut guest, &[READ, 0, 0, 0, 3, 2, 3, 0x1B, 0xFF], SECTOR).status(), OK);
    assert_eq!(guest.buffer(SECTOR), contents(sector(3)));
}

#[test]
fn with_skip_a_read_passes_over_deleted_sectors_and_tells() {
    // §4.4
    let mut guest = with_second(deleted(sector(2))).in_drive();
    let reply = transfer(&mut guest, &command(READ | SKIP, 3), 2 * SECTOR);
    assert_eq!(reply, [0x00, 0x00, 0x40, 1, 0, 1, 2]);
    assert!(guest.buffer(2 * SECTOR) == [1, 3].map(|record| contents(sector(record))).concat());
}

#[test]
fn an_error_on_the_other_side_bears_its_head() {
    // §4.2, §5.1
    let mut guest = Disk::of([sector(1)]).side(0, 1, [id(0, 1, 2, 2)]).in_drive();
    let reply = transfer(&mut guest, &command(READ | MT, 1), 2 * SECTOR);
    assert_eq!(reply, [0x44, 0x04, 0x00, 0, 1, 1, 2]);
}

// No disk that turns

/// Drives in which no disk turns under the head: what they are, and a guest that has selected one.
fn without_a_disk(policy: EmptyDrive) -> [(&'static str, Guest); 3] {
    let machine = |drive, dor| {
        let mut guest = Guest::new(Controller::builder().drive(drive, DriveType::Inch3_5Hd).empty_drive(policy));
        guest.reset();
        guest.bus.write(CCR, 0);
        guest.bus.write(DOR, dor);
        guest
    };
    let stopped = machine(0, 0x0C);
    stopped.bus.fdc.drive(0).unwrap().attach_medium(Disk::of([sector(1)])).unwrap();
    [("no disk", machine(0, 0x1C)), ("the motor is off", stopped), ("no drive", machine(1, 0x1C))]
}

#[test]
fn without_a_disk_that_turns_a_command_fails_for_want_of_an_address_mark() {
    // §4.13, EmptyDrive::Fail
    for (what, mut guest) in without_a_disk(EmptyDrive::Fail) {
        for opcode in [READ, WRITE, READ_ID] {
            let before = guest.bus.irq().edges();
            assert_eq!(ask_for(&mut guest, opcode).status(), MA, "{opcode:#04x}: {what}");
            assert_eq!(guest.bus.irq().edges() - before, 1);
        }
    }
}

#[test]
fn without_a_disk_that_turns_a_command_hangs_until_a_reset() {
    // §4.13, EmptyDrive::Hang
    for opcode in [READ, WRITE, READ_ID] {
        for (what, mut guest) in without_a_disk(EmptyDrive::Hang) {
            let before = guest.bus.irq().edges();
            assert_eq!(ask_for(&mut guest, opcode), [], "{opcode:#04x}: {what}");
            assert_eq!((guest.bus.read(MSR), guest.bus.irq().edges()), (0x10, before), "{opcode:#04x}: {what}");
            guest.reset();
            assert_eq!(guest.bus.read(MSR), 0x80, "{opcode:#04x}: {what}");
        }
    }
}

#[test]
fn a_command_that_hangs_before_it_has_read_anything_requests_no_dma() {
    // §7.3: a request needs bytes in the FIFO; §8.1: READ ID never has any.
    for opcode in [READ, READ_ID] {
        for (what, mut guest) in without_a_disk(EmptyDrive::Hang) {
            ask_for(&mut guest, opcode);
            assert_eq!(guest.bus.read(0x08), 0, "{opcode:#04x}: {what}");
        }
    }
}

// A disk that goes away (§12.8)

/// A guest with three sectors in its drive, a command for them on the way, and its DMA channel still masked.
fn waiting(opcode: u8, policy: EmptyDrive) -> (Guest, FloppyDrive) {
    let mut guest = Guest::new(Controller::builder().drive(0, DriveType::Inch3_5Hd).empty_drive(policy));
    let drive = guest.bus.fdc.drive(0).unwrap();
    drive.attach_medium(Disk::of([1, 2, 3].map(sector))).unwrap();
    guest.reset();
    guest.bus.write(CCR, 0);
    guest.select(0);
    guest.buffer_mut(3 * SECTOR).fill(0xA5);
    guest.program_dma(if opcode == READ { DMA_READ_FLOPPY } else { DMA_WRITE_FLOPPY }, BUFFER, 3 * SECTOR);
    guest.bus.write(0x0A, 0x06); // mask
    guest.send(&command(opcode, 3)).unwrap();
    assert_eq!(guest.bus.read(MSR), 0x10);
    (guest, drive)
}

/// Unmasks the channel, upon which a transfer goes on.
fn unmask(guest: &mut Guest) {
    guest.bus.write(0x0A, 0x02);
}

#[test]
fn a_disk_released_in_a_transfer_fails_it() {
    // §12.8, §4.13
    if kit::IN_TIME {
        return; // a host that is late has an overrun then
    }
    for opcode in [READ, WRITE] {
        let (mut guest, drive) = waiting(opcode, EmptyDrive::Fail);
        drive.release_image().unwrap();
        unmask(&mut guest);
        assert_eq!(guest.reply(), [0x40, 0x01, 0x00, 0, 0, 1, 2]);
        assert_eq!(guest.buffer(3 * SECTOR), [0xA5; 3 * SECTOR]);
    }
}

#[test]
fn a_disk_released_in_a_transfer_hangs_it_until_a_reset() {
    // §12.8, §4.13
    if kit::IN_TIME {
        return; // a host that is late has an overrun then
    }
    for opcode in [READ, WRITE] {
        let (mut guest, drive) = waiting(opcode, EmptyDrive::Hang);
        drive.release_image().unwrap();
        unmask(&mut guest);
        assert_eq!(guest.bus.read(MSR), 0x10);
        guest.reset();
        assert_eq!(guest.bus.read(MSR), 0x80);
    }
}

#[test]
fn a_transfer_does_not_go_on_with_another_disk() {
    // §12.8
    if kit::IN_TIME {
        return; // a host that is late has an overrun then
    }
    for opcode in [READ, WRITE] {
        let (mut guest, drive) = waiting(opcode, EmptyDrive::Fail);
        drive.release_image().unwrap();
        drive.attach_medium(Disk::of([1, 2, 3].map(sector))).unwrap();
        unmask(&mut guest);
        assert_eq!(guest.reply(), [0x40, 0x01, 0x00, 0, 0, 1, 2], "{opcode:#04x}");
        assert_eq!(guest.buffer(3 * SECTOR), [0xA5; 3 * SECTOR], "nothing is read from it");
        assert_eq!(transfer(&mut guest, &command(READ, 1), SECTOR).status(), OK);
        assert_eq!(guest.buffer(SECTOR), contents(sector(1)), "nothing is written to it");
    }
}

/// A command for sector 1, whose data the guest moves byte by byte.
fn without_dma(opcode: u8) -> (Guest, FloppyDrive) {
    let (mut guest, drive) = guest();
    drive.attach_medium(Disk::of([sector(1)])).unwrap();
    guest.use_dma(false);
    guest.send(&command(opcode, 1)).unwrap();
    (guest, drive)
}

#[test]
fn a_disk_released_in_a_read_without_dma_fails_it_when_the_fifo_is_drained() {
    // §12.8, §4.14
    if kit::IN_TIME {
        return; // a host that is late has an overrun then
    }
    let (mut guest, drive) = without_dma(READ);
    for byte in &contents(sector(1))[..100] {
        assert_eq!(guest.bus.read(FIFO), *byte);
    }
    drive.release_image().unwrap();
    for _ in 0..16 {
        if guest.bus.read(MSR) == 0xF0 {
            guest.bus.read(FIFO);
        }
    }
    assert_eq!(guest.reply(), [0x40, 0x01, 0x00, 0, 0, 1, 2]);
}

#[test]
fn a_disk_released_in_a_write_without_dma_fails_it() {
    // §12.8
    let (mut guest, drive) = without_dma(WRITE);
    for _ in 0..100 {
        guest.bus.write(FIFO, 0xA5);
    }
    drive.release_image().unwrap();
    for _ in 0..16 {
        if guest.bus.read(MSR) == 0xB0 {
            guest.bus.write(FIFO, 0xA5);
        }
    }
    assert_eq!(guest.reply(), [0x40, 0x01, 0x00, 0, 0, 1, 2]);
}
