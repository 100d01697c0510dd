//! Errors of READ DATA, WRITE DATA and READ ID that the disk, the drive or the host causes.

use super::kit::disk::{
    Disk, Failure, MT, READ, READ_ID, SECTOR, SK, WRITE, contents, deleted, from_first, guest, id, sector, transfer,
    with_bad_data_crc, with_bad_id_crc, without_data_field,
};
use super::kit::status::{CM, DE, DE_DD, MA, MA_MD, ND, ND_BC, ND_WC, NW, OK};
use super::kit::{
    self, BUFFER, CCR, DMA_READ_FLOPPY, DMA_STATUS, DMA_WRITE_FLOPPY, DOR, FIFO, FROM_HOST, Guest, MSR, Reply, TO_HOST,
    fixture,
};
use vm_fdc::{
    Controller, EmptyDrive, FloppyDrive,
    drive::DriveType,
    media::{Access, DataRate, Encoding},
};

fn ask_for(guest: &mut Guest, opcode: u8) -> Reply {
    match opcode & 0x1F {
        0x0A => guest.command(&[opcode, 0]),
        _ => transfer(guest, &from_first(opcode, 1), SECTOR),
    }
}

// A command for one sector

/// A row is a test: ST0, ST1 and ST2 after READ DATA, WRITE DATA and READ ID of sector 1 of cylinder 0.
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

// §4.12; §3.5: a write creates the data field and does not read it; §4.11: READ ID does not read it either.
status_table! {
    a_good_sector_is_no_error: Disk::of([sector(1)]) => OK, OK, OK;
    a_blank_track_has_no_address_mark: Disk::blank() => MA, MA, MA;
    a_track_of_no_sectors_has_no_address_mark: Disk::of([]) => MA, MA, MA;
    at_another_data_rate_there_is_no_address_mark: Disk::recorded(DataRate::Kbps250, Encoding::Mfm, [sector(1)]) => MA, MA, MA;
    in_another_encoding_there_is_no_address_mark: Disk::recorded(DataRate::Kbps500, Encoding::Fm, [sector(1)]) => MA, MA, MA;
    another_r_is_no_data: Disk::of([sector(2)]) => ND, ND, OK;
    another_h_is_no_data: Disk::of([id(0, 1, 1, 2)]) => ND, ND, OK;
    another_n_is_no_data: Disk::of([id(0, 0, 1, 3)]) => ND, ND, OK;
    another_c_is_the_wrong_cylinder: Disk::of([id(7, 0, 1, 2)]) => ND_WC, ND_WC, OK;
    a_c_of_ff_is_a_bad_cylinder: Disk::of([id(0xFF, 0, 1, 2)]) => ND_BC, ND_BC, OK;
    a_bad_id_crc_is_a_data_error_without_its_data: Disk::of([with_bad_id_crc(sector(1))]) => DE, DE, ND;
    an_id_with_a_bad_crc_sets_no_cylinder_bit: Disk::of([with_bad_id_crc(id(7, 0, 1, 2))]) => ND, ND, ND;
    a_missing_data_field_has_no_address_mark_for_reads: Disk::of([without_data_field(sector(1))]) => MA_MD, OK, OK;
    a_bad_data_crc_is_a_data_error_of_reads: Disk::of([with_bad_data_crc(sector(1))]) => DE_DD, OK, OK;
    a_deleted_sector_sets_control_mark_in_reads: Disk::of([deleted(sector(1))]) => CM, OK, OK;
    a_write_protected_disk_is_not_writable: Disk::of([sector(1)]).protected() => OK, NW, OK;
    write_protection_comes_before_the_search: Disk::blank().protected() => MA, NW, MA;
    a_host_error_is_a_data_error: Disk::of([sector(1)]).failing(1, Failure::Io) => DE_DD, DE, OK;
    a_sector_that_the_host_lacks_is_no_data: Disk::of([sector(1)]).failing(1, Failure::Absent) => ND, ND, OK;
}

#[test]
fn the_result_of_a_failed_search_has_the_requested_id() {
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
        guest.send(&from_first(opcode, 1)).unwrap();
        assert_eq!((guest.bus.read(MSR), guest.bus.irq().edges() - before), (0xD0, 1));
        assert_eq!(guest.bus.read(DMA_STATUS), 0);
    }
}

#[test]
fn an_error_does_not_affect_the_next_command() {
    // §5.5
    let mut guest = Disk::of([sector(1)]).in_drive();
    assert_eq!(transfer(&mut guest, &[READ, 0, 7, 0, 1, 2, 1, 0x1B, 0xFF], SECTOR).status(), ND_WC);
    assert_eq!(ask_for(&mut guest, READ).status(), OK);
}

#[test]
fn single_density_is_read_with_the_mfm_flag_off() {
    // §7.5
    let mut guest = Disk::recorded(DataRate::Kbps500, Encoding::Fm, [sector(1)]).in_drive();
    assert_eq!(transfer(&mut guest, &from_first(READ & !0x40, 1), SECTOR).status(), OK);
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
    assert_eq!(u16::from_le_bytes(residue), 511, "no data is requested");
}

// The second of three sectors

/// A row is a test: READ DATA of sectors 1 to 3 with an error in the second. A row has ST0, ST1 and ST2, and the sectors
/// that reach memory. The result always has the ID of the second sector.
macro_rules! second_sector_table {
    ($($name:ident: $disk:expr => $status:expr, $delivered:expr;)*) => {$(
        #[test]
        fn $name() {
            let mut guest = $disk.in_drive();
            let reply = transfer(&mut guest, &from_first(READ, 3), 3 * SECTOR);
            assert_eq!((reply.status(), reply.id()), ($status, [0, 0, 2, 2]));
            let mut expected: Vec<u8> = $delivered.into_iter().flat_map(|number| contents(sector(number))).collect();
            expected.resize(3 * SECTOR, 0);
            assert!(guest.buffer(3 * SECTOR) == expected, "the delivered data");
        }
    )*};
}

// §4.1, §4.2, §4.4, §4.12
second_sector_table! {
    a_read_ends_before_an_absent_sector: Disk::of([1, 3].map(sector)) => ND, [1];
    a_read_ends_before_a_sector_with_a_bad_id_crc: Disk::with_second(with_bad_id_crc(sector(2))) => DE, [1];
    a_read_ends_before_a_missing_data_field: Disk::with_second(without_data_field(sector(2))) => MA_MD, [1];
    a_read_ends_after_a_sector_with_a_bad_data_crc: Disk::with_second(with_bad_data_crc(sector(2))) => DE_DD, [1, 2];
    a_read_ends_after_a_deleted_sector: Disk::with_second(deleted(sector(2))) => CM, [1, 2];
    a_read_ends_before_a_host_error: Disk::with_second(sector(2)).failing(2, Failure::Io) => DE_DD, [1];
    a_read_ends_before_a_sector_that_the_host_lacks: Disk::with_second(sector(2)).failing(2, Failure::Absent) => ND, [1];
}

#[test]
fn a_write_ends_before_a_host_error() {
    // §4.12
    let mut guest = Disk::with_second(sector(2)).failing(2, Failure::Io).in_drive();
    guest.buffer_mut(3 * SECTOR).fill(0xA5);
    assert_eq!(transfer(&mut guest, &from_first(WRITE, 3), 3 * SECTOR), [0x40, 0x20, 0x00, 0, 0, 2, 2]);
    assert_eq!(transfer(&mut guest, &from_first(READ, 1), SECTOR).status(), OK);
    assert_eq!(guest.buffer(SECTOR), [0xA5; SECTOR]);
    assert_eq!(transfer(&mut guest, &[READ, 0, 0, 0, 3, 2, 3, 0x1B, 0xFF], SECTOR).status(), OK);
    assert_eq!(guest.buffer(SECTOR), contents(sector(3)));
}

#[test]
fn with_sk_a_read_skips_deleted_sectors_and_sets_control_mark() {
    // §4.4
    let mut guest = Disk::with_second(deleted(sector(2))).in_drive();
    let reply = transfer(&mut guest, &from_first(READ | SK, 3), 2 * SECTOR);
    assert_eq!(reply, [0x00, 0x00, 0x40, 1, 0, 1, 2]);
    assert!(guest.buffer(2 * SECTOR) == [1, 3].map(|number| contents(sector(number))).concat());
}

#[test]
fn an_error_on_head_1_has_head_1_in_the_result() {
    // §4.2, §5.1
    let mut guest = Disk::of([sector(1)]).with_track(0, 1, [id(0, 1, 2, 2)]).in_drive();
    let reply = transfer(&mut guest, &from_first(READ | MT, 1), 2 * SECTOR);
    assert_eq!(reply, [0x44, 0x04, 0x00, 0, 1, 1, 2]);
}

// No rotating disk

/// Returns drives without a rotating disk: the reason, and a guest that has selected the drive.
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
fn without_a_rotating_disk_a_command_finds_no_address_mark() {
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
fn without_a_rotating_disk_a_command_hangs_until_a_reset() {
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
fn a_command_that_hangs_before_its_first_byte_requests_no_dma() {
    // §7.3: a request needs bytes in the FIFO; §8.1: READ ID never has any.
    for opcode in [READ, READ_ID] {
        for (what, mut guest) in without_a_disk(EmptyDrive::Hang) {
            ask_for(&mut guest, opcode);
            assert_eq!(guest.bus.read(DMA_STATUS), 0, "{opcode:#04x}: {what}");
        }
    }
}

// A release during a command (§12.8)

/// Returns a guest with a disk of three sectors, and a command for them that waits because the DMA channel is masked.
fn waiting(opcode: u8, policy: EmptyDrive) -> (Guest, FloppyDrive) {
    let mut guest = Guest::new(Controller::builder().drive(0, DriveType::Inch3_5Hd).empty_drive(policy));
    let drive = guest.bus.fdc.drive(0).unwrap();
    drive.attach_medium(Disk::of([1, 2, 3].map(sector))).unwrap();
    guest.reset();
    guest.bus.write(CCR, 0);
    guest.select(0);
    guest.buffer_mut(3 * SECTOR).fill(0xA5);
    guest.program_dma(if opcode == READ { DMA_READ_FLOPPY } else { DMA_WRITE_FLOPPY }, BUFFER, 3 * SECTOR);
    guest.mask_dma();
    guest.send(&from_first(opcode, 3)).unwrap();
    assert_eq!(guest.bus.read(MSR), 0x10);
    (guest, drive)
}

#[test]
fn a_release_during_a_transfer_fails_the_transfer() {
    // §12.8, §4.13
    if kit::IN_TIME {
        return; // With authentic timing, a late host gets an overrun.
    }
    for opcode in [READ, WRITE] {
        let (mut guest, drive) = waiting(opcode, EmptyDrive::Fail);
        drive.release_image().unwrap();
        guest.unmask_dma();
        assert_eq!(guest.reply(), [0x40, 0x01, 0x00, 0, 0, 1, 2]);
        assert_eq!(guest.buffer(3 * SECTOR), [0xA5; 3 * SECTOR]);
    }
}

#[test]
fn a_release_during_a_transfer_hangs_it_until_a_reset() {
    // §12.8, §4.13
    if kit::IN_TIME {
        return; // With authentic timing, a late host gets an overrun.
    }
    for opcode in [READ, WRITE] {
        let (mut guest, drive) = waiting(opcode, EmptyDrive::Hang);
        drive.release_image().unwrap();
        guest.unmask_dma();
        assert_eq!(guest.bus.read(MSR), 0x10);
        guest.reset();
        assert_eq!(guest.bus.read(MSR), 0x80);
    }
}

#[test]
fn a_transfer_does_not_continue_on_another_disk() {
    // §12.8
    if kit::IN_TIME {
        return; // With authentic timing, a late host gets an overrun.
    }
    for opcode in [READ, WRITE] {
        let (mut guest, drive) = waiting(opcode, EmptyDrive::Fail);
        drive.release_image().unwrap();
        drive.attach_medium(Disk::of([1, 2, 3].map(sector))).unwrap();
        guest.unmask_dma();
        assert_eq!(guest.reply(), [0x40, 0x01, 0x00, 0, 0, 1, 2], "{opcode:#04x}");
        assert_eq!(guest.buffer(3 * SECTOR), [0xA5; 3 * SECTOR], "nothing is read from the new disk");
        assert_eq!(transfer(&mut guest, &from_first(READ, 1), SECTOR).status(), OK);
        assert_eq!(guest.buffer(SECTOR), contents(sector(1)), "nothing is written to the new disk");
    }
}

/// Starts a command for sector 1 whose data the guest moves byte by byte.
fn without_dma(opcode: u8) -> (Guest, FloppyDrive) {
    let (mut guest, drive) = guest();
    drive.attach_medium(Disk::of([sector(1)])).unwrap();
    guest.use_dma(false);
    guest.send(&from_first(opcode, 1)).unwrap();
    (guest, drive)
}

#[test]
fn a_release_during_a_read_without_dma_fails_the_read_when_the_fifo_is_empty() {
    // §12.8, §4.14
    if kit::IN_TIME {
        return; // With authentic timing, a late host gets an overrun.
    }
    let (mut guest, drive) = without_dma(READ);
    for byte in &contents(sector(1))[..100] {
        assert_eq!(guest.bus.read(FIFO), *byte);
    }
    drive.release_image().unwrap();
    for _ in 0..16 {
        if guest.bus.read(MSR) == TO_HOST {
            guest.bus.read(FIFO);
        }
    }
    assert_eq!(guest.reply(), [0x40, 0x01, 0x00, 0, 0, 1, 2]);
}

#[test]
fn a_release_during_a_write_without_dma_fails_the_write() {
    // §12.8
    let (mut guest, drive) = without_dma(WRITE);
    for _ in 0..100 {
        guest.bus.write(FIFO, 0xA5);
    }
    drive.release_image().unwrap();
    for _ in 0..16 {
        if guest.bus.read(MSR) == FROM_HOST {
            guest.bus.write(FIFO, 0xA5);
        }
    }
    assert_eq!(guest.reply(), [0x40, 0x01, 0x00, 0, 0, 1, 2]);
}
