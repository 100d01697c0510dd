//! The access sequences of real guests: BIOSes, operating systems and copy tools, from the detection of a disk to its
//! format.

use std::{fs, io::Write};

use super::kit::disk::{
    CYLINDER, Disk, FULL_DISK, MFM, READ, READ_DELETED, READ_TRACK, SECTOR, command, contents, deleted,
    guest_with_full_disk, id, sector, transfer, with_bad_data_crc,
};
use super::kit::{
    BUFFER, CCR, DIR, DMA_READ_FLOPPY, DMA_VERIFY, DMA_WRITE_FLOPPY, DOR, DSR, Guest, MSR, Reply, Sectors, fixture,
};
use tempfile::NamedTempFile;
use vm_fdc::{
    Controller, FloppyDrive,
    drive::DriveType::{self, Inch3_5Dd, Inch3_5Ed, Inch3_5Hd, Inch5_25Dd, Inch5_25Hd},
    media::{
        Access, DataRate, Encoding, FormFactor, Geometry, Mark, Medium, Sector, SectorDisk, SectorId, SectorTrack,
    },
};

/// The filler of FORMAT TRACK.
const FILLER: u8 = 0xF6;

/// READ DATA with MT and SK, and WRITE DATA with MT.
const READ_BOTH_HEADS: u8 = 0xE6;
const WRITE_BOTH_HEADS: u8 = 0xC5;

const READ_ID: [u8; 2] = [0x4A, 0];

/// Returns the guest of a machine at power-on, and its drive.
fn power_on(drive_type: DriveType) -> (Guest, FloppyDrive) {
    let guest = Guest::new(Controller::builder().drive(0, drive_type));
    let drive = guest.bus.fdc.drive(0).expect("there is a drive 0");
    (guest, drive)
}

/// Returns such a guest with a disk in the drive.
fn power_on_with(drive_type: DriveType, disk: impl Medium + 'static) -> Guest {
    let (guest, drive) = power_on(drive_type);
    drive.attach_medium(disk).expect("the disk suits the drive");
    guest
}

/// Returns the bytes of a disk on which all sectors differ.
fn numbered(geometry: Geometry) -> Vec<u8> {
    let sectors = geometry.bytes() as usize / geometry.sector_size();
    (0..sectors).flat_map(|number| (number as u32).to_le_bytes().repeat(geometry.sector_size() / 4)).collect()
}

fn wait_for_interrupt(guest: &Guest) {
    assert!(guest.bus.irq().is_high(), "IRQ 6 is high");
}

/// Performs a data command. Polls the MSR before each byte, expects an interrupt, and fetches seven result bytes.
fn data_command(guest: &mut Guest, command: &[u8]) -> Reply {
    guest.send(command).expect("the controller accepts the command");
    wait_for_interrupt(guest);
    let reply = guest.reply();
    assert_eq!((reply.len(), guest.bus.read(MSR) & 0xC0), (7, 0x80), "seven bytes, and then none");
    reply
}

/// Performs a command that seeks. Expects an interrupt, and fetches the status.
fn seek_command(guest: &mut Guest, command: &[u8]) -> Reply {
    guest.send(command).expect("the controller accepts the command");
    wait_for_interrupt(guest);
    guest.sense_interrupt()
}

fn four_senses(guest: &mut Guest) {
    wait_for_interrupt(guest);
    for unit in 0..4 {
        assert_eq!(guest.sense_interrupt(), [0xC0 | unit, 0]);
    }
}

// SeaBIOS

/// Programs the DMA controller in the order of SeaBIOS (§8.6).
fn seabios_dma(guest: &mut Guest, mode: u8, bytes: usize) {
    let [low, high, ..] = (bytes - 1).to_le_bytes();
    for (port, value) in [
        (0x0A, 0x06), // mask
        (0x0C, 0x00), // clear the flip-flop
        (0x04, BUFFER as u8),
        (0x04, (BUFFER >> 8) as u8),
        (0x0C, 0x00),
        (0x05, low),
        (0x05, high),
        (0x0B, mode),
        (0x81, (BUFFER >> 16) as u8),
        (0x0A, 0x02), // unmask
    ] {
        guest.bus.write(port, value);
    }
}

/// Performs a reset and RECALIBRATE.
fn seabios_calibrate(guest: &mut Guest) {
    guest.bus.write(DOR, 0x00);
    guest.bus.write(DOR, 0x0C);
    four_senses(guest);
    guest.bus.write(DOR, 0x1C);
    assert_eq!(seek_command(guest, &[0x07, 0]), [0x20, 0]);
    guest.command(&[0x03, 0xAF, 0x02]);
}

/// Performs READ ID at each data rate until one finds an ID. That data rate stays selected.
fn seabios_media_type(guest: &mut Guest) -> Vec<u8> {
    let finds = |guest: &mut Guest, rate| {
        guest.bus.write(CCR, rate);
        match data_command(guest, &READ_ID).status() {
            [0x00, 0x00, 0x00] => true,
            status => {
                assert_eq!(status, [0x40, 0x01, 0x00], "no ID at rate {rate}");
                false
            }
        }
    };
    let rates: Vec<u8> = (0..4).filter(|&rate| finds(guest, rate)).collect();
    rates.iter().for_each(|&rate| guest.bus.write(CCR, rate));
    rates
}

/// Reads or writes both heads of a cylinder. `steps` is 2 if the disk has half the cylinders of the drive.
fn seabios_cylinder(guest: &mut Guest, opcode: u8, cylinder: u8, steps: u8, geometry: Geometry) -> Reply {
    assert_eq!(seek_command(guest, &[0x0F, 0, steps * cylinder]), [0x20, steps * cylinder]);
    let mode = if opcode == READ_BOTH_HEADS { DMA_READ_FLOPPY } else { DMA_WRITE_FLOPPY };
    seabios_dma(guest, mode, cylinder_bytes(geometry));
    data_command(guest, &[opcode, 0, cylinder, 0, 1, 2, geometry.sectors(), 0x1B, 0xFF])
}

fn cylinder_bytes(geometry: Geometry) -> usize {
    geometry.sector_size() * usize::from(geometry.sectors()) * 2
}

/// The table of §9.2: drive, disk, data rate of the disk in the drive, steps from cylinder to cylinder.
const SEABIOS_DISKS: [(DriveType, Geometry, u8, u8); 9] = [
    (Inch5_25Dd, Geometry::DD_360K, 0b10, 1),
    (Inch5_25Hd, Geometry::DD_360K, 0b01, 2),
    (Inch5_25Hd, Geometry::HD_1200K, 0b00, 1),
    (Inch3_5Dd, Geometry::DD_720K, 0b10, 1),
    (Inch3_5Hd, Geometry::DD_720K, 0b10, 1),
    (Inch3_5Hd, Geometry::HD_1440K, 0b00, 1),
    (Inch3_5Ed, Geometry::DD_720K, 0b10, 1),
    (Inch3_5Ed, Geometry::HD_1440K, 0b00, 1),
    (Inch3_5Ed, Geometry::ED_2880K, 0b11, 1),
];

#[test]
fn seabios_finds_the_rate_of_a_disk_by_read_id() {
    // §9.2
    for (drive_type, geometry, rate, _) in SEABIOS_DISKS {
        let mut guest = power_on_with(drive_type, SectorDisk::formatted(geometry, 0));
        seabios_calibrate(&mut guest);
        assert_eq!(seabios_media_type(&mut guest), [rate], "{geometry} in a drive for {drive_type}");
    }
}

#[test]
fn seabios_reads_each_cylinder_of_a_disk() {
    // §11
    for (drive_type, geometry, _, steps) in SEABIOS_DISKS {
        let raw = numbered(geometry);
        let disk = SectorDisk::from_raw(geometry, &raw).expect("the bytes fill the disk");
        let mut guest = power_on_with(drive_type, disk);
        seabios_calibrate(&mut guest);
        seabios_media_type(&mut guest);
        for (cylinder, bytes) in (0..geometry.cylinders()).zip(raw.chunks(cylinder_bytes(geometry))) {
            let result = seabios_cylinder(&mut guest, READ_BOTH_HEADS, cylinder, steps, geometry);
            assert_eq!(result, [0x04, 0x00, 0x00, cylinder + 1, 0, 1, 2], "{geometry}");
            assert!(guest.buffer(bytes.len()) == bytes, "cylinder {cylinder} of {geometry}");
        }
    }
}

#[test]
fn seabios_reads_what_it_wrote() {
    // §11
    for (drive_type, geometry, _, steps) in SEABIOS_DISKS {
        let mut guest = power_on_with(drive_type, SectorDisk::formatted(geometry, FILLER));
        seabios_calibrate(&mut guest);
        seabios_media_type(&mut guest);
        let (last, bytes) = (geometry.cylinders() - 1, cylinder_bytes(geometry));
        let written = numbered(geometry).split_off(geometry.bytes() as usize - bytes);
        guest.buffer_mut(bytes).copy_from_slice(&written);
        let result = seabios_cylinder(&mut guest, WRITE_BOTH_HEADS, last, steps, geometry);
        assert_eq!(result, [0x04, 0x00, 0x00, last + 1, 0, 1, 2], "{geometry}");
        guest.buffer_mut(bytes).fill(0);
        seabios_cylinder(&mut guest, READ_BOTH_HEADS, last, steps, geometry);
        assert!(guest.buffer(bytes) == written, "{geometry}");
        seabios_cylinder(&mut guest, READ_BOTH_HEADS, last - 1, steps, geometry);
        assert!(guest.buffer(bytes).iter().all(|&byte| byte == FILLER), "{geometry}");
    }
}

#[test]
fn seabios_finds_no_rate_in_an_empty_drive() {
    // §4.13
    let (mut guest, _) = power_on(Inch3_5Hd);
    seabios_calibrate(&mut guest);
    assert_eq!(seabios_media_type(&mut guest), [0_u8; 0]);
}

#[test]
fn seabios_takes_a_recalibrate_without_track_0_for_an_absent_drive() {
    // §4.13
    let mut guest = Guest::new(Controller::builder());
    guest.bus.write(DOR, 0x00);
    guest.bus.write(DOR, 0x1C);
    four_senses(&mut guest);
    assert_eq!(seek_command(&mut guest, &[0x07, 0]), [0x70, 0]);
}

// Linux

/// The formats that Linux tries (§9.7, §9.8): number, rate byte (DRATE, and N in bits 5:3), and size of a track in units
/// of 512 bytes.
const LINUX_FORMATS: [(u8, u8, u8); 20] = [
    (1, 0x02, 9),
    (2, 0x00, 15),
    (3, 0x02, 9),
    (4, 0x02, 9),
    (5, 0x01, 9),
    (6, 0x01, 9),
    (7, 0x00, 18),
    (8, 0x43, 36),
    (10, 0x00, 18),
    (11, 0x00, 21),
    (12, 0x01, 10),
    (20, 0x09, 11),
    (21, 0x01, 13),
    (22, 0x19, 14),
    (23, 0x20, 20),
    (25, 0x20, 24),
    (28, 0x63, 48),
    (29, 0x10, 23),
    (30, 0x02, 10),
    (31, 0x00, 20),
];

/// Returns the formats that Linux tries in a drive, in order (§9.9).
fn linux_tries(drive_type: DriveType) -> &'static [u8] {
    match drive_type {
        Inch5_25Dd => &[1],
        Inch5_25Hd => &[2, 5, 6, 23, 10, 20, 12],
        Inch3_5Dd => &[4, 22, 21, 30, 3],
        Inch3_5Hd => &[7, 4, 25, 22, 31, 21, 29, 11],
        Inch3_5Ed => &[7, 8, 4, 25, 28, 22, 31, 21],
    }
}

/// The disk as Linux detects it by the change line.
#[derive(Debug, PartialEq, Eq)]
enum LinuxDisk {
    Unchanged,
    New,
    None,
}

/// Performs a reset by the DSR, CONFIGURE and SPECIFY, and selects drive 0.
fn linux_probe(guest: &mut Guest) {
    guest.bus.write(DOR, 0x0C);
    guest.bus.write(DSR, 0x80);
    four_senses(guest);
    guest.command(&[0x13, 0x00, 0x1A, 0x00]);
    guest.command(&[0x03, 0xCF, 0x02]);
    assert_eq!(guest.bus.read(MSR), 0x80);
    guest.bus.write(DOR, 0x1C);
}

/// Reads the change line. If it is set, makes a step and reads it again.
fn linux_check_disk(guest: &mut Guest) -> LinuxDisk {
    if guest.bus.read(DIR) & 0x80 == 0 {
        return LinuxDisk::Unchanged;
    }
    assert_eq!(seek_command(guest, &[0x07, 0]), [0x20, 0]);
    assert_eq!(seek_command(guest, &[0x0F, 0, 1]), [0x20, 1]);
    assert_eq!(seek_command(guest, &[0x0F, 0, 0]), [0x20, 0]);
    if guest.bus.read(DIR) & 0x80 == 0 { LinuxDisk::New } else { LinuxDisk::None }
}

/// Sets the data rate of a format and reads its first sector. Returns `true` if that succeeds.
fn linux_reads_as(guest: &mut Guest, format: u8) -> bool {
    let (_, rate, units) = LINUX_FORMATS.into_iter().find(|row| row.0 == format).expect("the format is in the table");
    let size_code = ((rate >> 3) + 2) & 7;
    guest.bus.write(CCR, rate & 3);
    guest.program_dma(DMA_READ_FLOPPY, BUFFER, 128 << size_code);
    let end_of_track = (u16::from(units) << 2 >> size_code) as u8;
    let command = [READ_BOTH_HEADS, 0, 0, 0, 1, size_code, end_of_track, 0x1B, 0xFF];
    data_command(guest, &command)[0] & 0xC0 == 0
}

/// Returns a disk of 80 cylinders with this number of sectors of 512 bytes on a track.
fn uniform(sectors: u8, rate: DataRate, form_factor: FormFactor) -> SectorDisk {
    SectorDisk::formatted(Geometry::new(80, 2, sectors, 2, rate, form_factor).expect("the sectors fit"), FILLER)
}

/// Returns a disk whose cylinder 0 has sectors of these sizes (§9.8).
fn mixed(form_factor: FormFactor, rate: DataRate, size_codes: &[u8]) -> SectorDisk {
    let mut disk = SectorDisk::unformatted(form_factor, 80);
    let sectors = (1..).zip(size_codes).map(|(sector, &size_code)| id(0, 0, sector, size_code));
    let track = sectors.fold(SectorTrack::new(rate), |track, sector| track.with_sector(sector, contents(sector)));
    disk.set_track(0, 0, track);
    disk
}

#[test]
fn linux_finds_the_format_of_a_disk_by_test_reads() {
    // §9.9
    use DataRate::*;
    use FormFactor::*;
    let known = |geometry| SectorDisk::formatted(geometry, FILLER);
    let disks = [
        (Inch5_25Dd, known(Geometry::DD_360K), 1),
        (Inch5_25Hd, known(Geometry::HD_1200K), 2),
        (Inch5_25Hd, known(Geometry::DD_360K), 5),
        (Inch5_25Hd, mixed(Inch5_25, Kbps500, &[6, 4]), 23),
        (Inch5_25Hd, mixed(Inch5_25, Kbps250, &[3, 3, 3, 3, 3, 2]), 20),
        (Inch3_5Dd, known(Geometry::DD_720K), 4),
        (Inch3_5Hd, known(Geometry::HD_1440K), 7),
        (Inch3_5Hd, known(Geometry::DD_720K), 4),
        (Inch3_5Hd, mixed(Inch3_5, Kbps500, &[6, 5]), 25),
        (Inch3_5Hd, mixed(Inch3_5, Kbps300, &[5, 4, 3]), 22),
        (Inch3_5Hd, uniform(13, Kbps300, Inch3_5), 21),
        (Inch3_5Hd, mixed(Inch3_5, Kbps500, &[4, 4, 4, 4, 4, 3, 2]), 29),
        (Inch3_5Ed, known(Geometry::HD_1440K), 7),
        (Inch3_5Ed, known(Geometry::ED_2880K), 8),
        (Inch3_5Ed, known(Geometry::DD_720K), 4),
        (Inch3_5Ed, mixed(Inch3_5, Kbps500, &[6, 5]), 25),
        (Inch3_5Ed, mixed(Inch3_5, Kbps1000, &[6, 6, 6]), 28),
        (Inch3_5Ed, mixed(Inch3_5, Kbps300, &[5, 4, 3]), 22),
        (Inch3_5Ed, uniform(13, Kbps300, Inch3_5), 21),
    ];
    for (drive_type, disk, format) in disks {
        let mut guest = power_on_with(drive_type, disk);
        linux_probe(&mut guest);
        linux_check_disk(&mut guest);
        let found = linux_tries(drive_type).iter().find(|&&format| linux_reads_as(&mut guest, format));
        assert_eq!(found, Some(&format), "drive for {drive_type}");
    }
}

#[test]
fn linux_finds_no_format_on_a_blank_disk() {
    // §4.12
    for drive_type in DriveType::ALL {
        let mut guest = power_on_with(drive_type, SectorDisk::unformatted(drive_type.form_factor(), 40));
        linux_probe(&mut guest);
        assert!(!linux_tries(drive_type).iter().any(|&format| linux_reads_as(&mut guest, format)), "{drive_type}");
    }
}

#[test]
fn linux_detects_disk_changes_by_the_change_line() {
    // §9.5
    let (mut guest, drive) = power_on(Inch3_5Hd);
    linux_probe(&mut guest);
    assert_eq!(linux_check_disk(&mut guest), LinuxDisk::None);
    drive.attach_medium(SectorDisk::formatted(Geometry::HD_1440K, 0)).expect("the drive is empty");
    assert_eq!(linux_check_disk(&mut guest), LinuxDisk::New);
    assert_eq!(linux_check_disk(&mut guest), LinuxDisk::Unchanged);
    drive.release_image().expect("a disk is in");
    drive.attach_medium(SectorDisk::formatted(Geometry::DD_720K, 0)).expect("the drive is empty");
    assert_eq!(linux_check_disk(&mut guest), LinuxDisk::New);
    drive.release_image().expect("a disk is in");
    assert_eq!(linux_check_disk(&mut guest), LinuxDisk::None);
}

#[test]
fn linux_sees_no_change_in_a_360k_drive() {
    // §9.5
    let mut guest = power_on_with(Inch5_25Dd, SectorDisk::formatted(Geometry::DD_360K, 0));
    linux_probe(&mut guest);
    assert_eq!(linux_check_disk(&mut guest), LinuxDisk::Unchanged);
}

/// Returns the number of transferred sectors as Linux computes it from a command and its result.
fn linux_length(command: &[u8; 9], result: &Reply) -> i32 {
    let heads = if command[0] & 0x80 != 0 { 2 } else { 1 };
    let [from_cylinder, from_head, from_sector] = [command[2], command[3], command[4]].map(i32::from);
    let [cylinder, head, sector] = [result[3], result[4], result[5]].map(i32::from);
    let end_of_cylinder = i32::from(result[1] >> 7);
    ((cylinder - from_cylinder) * heads + head - from_head) * i32::from(command[6]) + sector - from_sector
        + end_of_cylinder
}

/// Checks transfers from each sector of a cylinder, of each number of sectors up to one more than remain.
fn linux_transfers(opcode: u8) {
    let mut guest = guest_with_full_disk();
    for (head, sector) in [0, 1].into_iter().flat_map(|head| (1..=18).map(move |sector| (head, sector))) {
        let heads = if opcode & 0x80 != 0 { 2 - i32::from(head) } else { 1 };
        let left = heads * 18 - (i32::from(sector) - 1);
        for sectors in 1..=left + 1 {
            let command = command(opcode, head, sector, 18);
            let result = transfer(&mut guest, &command, sectors as usize * SECTOR);
            let status = if sectors > left { [0x40, 0x80] } else { [0x00, 0x00] };
            assert_eq!([result[0] & 0xC0, result[1]], status, "{sectors} from {head}/{sector}: {result:?}");
            assert_eq!(linux_length(&command, &result), sectors.min(left), "{sectors} from {head}/{sector}");
        }
    }
}

#[test]
fn linux_computes_the_length_of_a_multi_track_read_from_its_result() {
    // §4.2
    linux_transfers(READ_BOTH_HEADS);
}

#[test]
fn linux_computes_the_length_of_a_single_track_read_from_its_result() {
    // §4.2
    linux_transfers(0x66);
}

#[test]
fn linux_computes_the_length_of_a_multi_track_write_from_its_result() {
    // §4.2
    linux_transfers(WRITE_BOTH_HEADS);
}

#[test]
fn linux_computes_the_length_of_a_single_track_write_from_its_result() {
    // §4.2
    linux_transfers(0x45);
}

#[test]
fn linux_computes_the_length_of_a_read_that_ends_at_an_absent_sector() {
    // §4.2, §4.3
    let mut guest = Disk::of((1..=10).map(sector)).in_drive();
    let command = [0x66, 0, 0, 0, 3, 2, 18, 0x1B, 0xFF];
    let result = transfer(&mut guest, &command, 18 * SECTOR);
    assert_eq!((result.status(), linux_length(&command, &result)), ([0x40, 0x04, 0x00], 8));
}

// Windows NT

/// Performs a reset by the DSR, four times SENSE INTERRUPT STATUS, and the initialization.
fn nt_recover(guest: &mut Guest) {
    guest.bus.write(DSR, 0x80);
    four_senses(guest);
    assert_eq!(guest.bus.read(DOR), 0x1C, "ReactOS writes the DOR again unless nRESET reads 1");
    guest.command(&[0x03, 0xAF, 0x02]);
    assert_eq!(seek_command(guest, &[0x07, 0]), [0x20, 0]);
}

#[test]
fn nt_identifies_a_disk_by_the_data_rate_of_head_1() {
    // §4.11
    for (disk, rate) in [(Geometry::HD_1440K, 0b00), (Geometry::DD_720K, 0b10)] {
        let mut guest = power_on_with(Inch3_5Hd, SectorDisk::formatted(disk, 0));
        guest.bus.write(DOR, 0x1C);
        nt_recover(&mut guest);
        assert_eq!(seek_command(&mut guest, &[0x0F, 0, 7]), [0x20, 7]);
        for tried in [0b00, 0b10] {
            guest.bus.write(CCR, tried);
            let result = data_command(&mut guest, &[0x4A, 0x04]);
            if tried == rate {
                assert_eq!((result.status(), &result.id()[..2]), ([0x04, 0x00, 0x00], &[7, 1][..]), "{disk}");
            } else {
                assert_eq!(result.status(), [0x44, 0x01, 0x00], "{disk}");
            }
        }
    }
}

#[test]
fn nt_detects_write_protection() {
    // §5.4
    let mut disk = SectorDisk::formatted(Geometry::HD_1440K, 0);
    for (protected, st3) in [(false, 0x38), (true, 0x78)] {
        disk.set_write_protected(protected);
        let mut guest = power_on_with(Inch3_5Hd, disk.clone());
        guest.bus.write(DOR, 0x1C);
        nt_recover(&mut guest);
        assert_eq!(guest.command(&[0x04, 0]), [st3]);
    }
}

#[test]
fn nt_recovers_from_each_error_by_a_reset() {
    // §11, §4.12
    let track = [sector(1), with_bad_data_crc(sector(2)), sector(3)];
    let mut guest = Disk::of(track).protected().in_drive();
    for (opcode, number, status) in [
        (READ, 2, [0x40, 0x20, 0x20]),
        (READ, 9, [0x40, 0x04, 0x00]),
        (0x06, 1, [0x40, 0x01, 0x00]), // single density
        (0x45, 1, [0x40, 0x02, 0x00]), // write protected
    ] {
        assert_eq!(transfer(&mut guest, &[opcode, 0, 0, 0, number, 2, 3, 0x1B, 0xFF], SECTOR).status(), status);
        nt_recover(&mut guest);
        assert_eq!(transfer(&mut guest, &[READ, 0, 0, 0, 3, 2, 3, 0x1B, 0xFF], SECTOR).status(), [0x00; 3]);
        assert!(guest.buffer(SECTOR) == contents(sector(3)));
    }
}

#[test]
fn nt_recalibrates_after_a_reset_that_does_not_move_the_head() {
    // §1.11 (DIV-5)
    let mut guest = guest_with_full_disk();
    guest.bus.write(DSR, 0x80);
    four_senses(&mut guest);
    assert_eq!(guest.command(&[0x04, 0]), [0x28], "not at track 0");
    assert_eq!(data_command(&mut guest, &READ_ID).id()[0], CYLINDER);
    assert_eq!(seek_command(&mut guest, &[0x07, 0]), [0x20, 0]);
    assert_eq!(guest.command(&[0x04, 0]), [0x38]);
    assert_eq!(data_command(&mut guest, &READ_ID).id()[0], 0);
}

#[test]
fn nt_polls_the_dir_on_each_request() {
    // §9.5, §11: a data command does not clear the change line
    let mut guest = power_on_with(Inch3_5Hd, SectorDisk::formatted(Geometry::HD_1440K, 0));
    guest.bus.write(DOR, 0x1C);
    nt_recover(&mut guest);
    guest.bus.write(CCR, 0);
    for _ in 0..3 {
        assert_eq!(guest.bus.read(DIR) & 0x80, 0x80);
        assert_eq!(transfer(&mut guest, &[READ, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF], SECTOR).status(), [0x00; 3]);
    }
    seek_command(&mut guest, &[0x0F, 0, 1]);
    assert_eq!(guest.bus.read(DIR) & 0x80, 0x00);
}

// MINIX

/// Returns the number of transferred sectors as MINIX computes it. It expects 1.
fn minix_sectors(result: &Reply, head: u8, sector: u8) -> i32 {
    let [c, h, r, _] = result.id().map(i32::from);
    (c - i32::from(CYLINDER)) * 2 * 18 + (h - i32::from(head)) * 18 + (r - i32::from(sector))
}

#[test]
fn minix_computes_from_the_result_that_one_sector_moved() {
    // §4.2, §11
    let mut guest = guest_with_full_disk();
    for opcode in [READ_BOTH_HEADS, WRITE_BOTH_HEADS] {
        for (head, sector) in [0, 1].into_iter().flat_map(|head| (1..=18).map(move |sector| (head, sector))) {
            let result = transfer(&mut guest, &command(opcode, head, sector, 18), SECTOR);
            assert_eq!(result.status()[1..], [0, 0], "{opcode:#04x} {head}/{sector}");
            assert_eq!(minix_sectors(&result, head, sector), 1, "{opcode:#04x} {head}/{sector}");
        }
    }
}

#[test]
fn minix_waits_for_the_interrupt_of_a_seek_that_makes_no_step() {
    // §3.16, §11
    let mut guest = guest_with_full_disk();
    for _ in 0..3 {
        let before = guest.bus.irq().edges();
        assert_eq!(seek_command(&mut guest, &[0x0F, 0, CYLINDER]), [0x20, CYLINDER]);
        assert_eq!(guest.bus.irq().edges(), before + 1);
    }
}

#[test]
fn minix_expects_consecutive_sectors_from_read_id() {
    // §4.11
    let mut guest = guest_with_full_disk();
    for _ in 0..36 {
        let [_, head, sector, _] = data_command(&mut guest, &READ_ID).id();
        let next = data_command(&mut guest, &READ_ID).id();
        assert_eq!(next, [CYLINDER, head, sector % 18 + 1, 2]);
    }
}

// DOS FORMAT

/// Performs SPECIFY and RECALIBRATE, and for each track SEEK, FORMAT TRACK with the ID fields by DMA, and a verification:
/// READ DATA with the DMA controller in verify mode. MS-DOS 6.22 sets MT in FORMAT TRACK (§3.1).
fn dos_format(guest: &mut Guest) {
    guest.command(&[0x03, 0xAF, 0x02]);
    assert_eq!(seek_command(guest, &[0x07, 0]), [0x20, 0]);
    for (cylinder, head) in (0..80).flat_map(|cylinder| [(cylinder, 0), (cylinder, 1)]) {
        assert_eq!(seek_command(guest, &[0x0F, 0, cylinder]), [0x20, cylinder]);
        let ids: Vec<u8> = (1..=18).flat_map(|sector| [cylinder, head, sector, 2]).collect();
        guest.buffer_mut(ids.len()).copy_from_slice(&ids);
        guest.program_dma(DMA_WRITE_FLOPPY, BUFFER, ids.len());
        let result = data_command(guest, &[0xCD, head << 2, 2, 18, 0x6C, FILLER]);
        assert_eq!(result.status(), [head << 2, 0x00, 0x00], "format of {cylinder}/{head}");
        guest.program_dma(DMA_VERIFY, BUFFER, 18 * SECTOR);
        let result = data_command(guest, &[READ, head << 2, cylinder, head, 1, 2, 18, 0x1B, 0xFF]);
        assert_eq!(result, [head << 2, 0x00, 0x00, cylinder + 1, head, 1, 2], "verify of {cylinder}/{head}");
        assert!(guest.buffer(ids.len()) == ids, "a verification does not write memory");
    }
}

fn in_1440k_drive(attach: impl FnOnce(&FloppyDrive)) -> (Guest, FloppyDrive) {
    let (mut guest, drive) = Guest::with_drive(Inch3_5Hd);
    attach(&drive);
    guest.bus.write(CCR, 0);
    (guest, drive)
}

#[test]
fn dos_format_fills_an_image_with_the_filler() {
    // §4.9, §8.5
    let mut image = NamedTempFile::new().expect("a file can be created");
    image.write_all(&fs::read(fixture(FULL_DISK)).expect("the image can be read")).expect("the file can be written");
    let (mut guest, drive) = in_1440k_drive(|drive| {
        drive.attach_image(image.path(), Access::ReadWrite).expect("the image suits the drive");
    });
    dos_format(&mut guest);
    drive.release_image().expect("the image can be saved");
    assert!(fs::read(image.path()).expect("the image can be read") == [FILLER; 1_474_560]);
}

#[test]
fn dos_format_makes_a_blank_disk_readable() {
    // §4.9
    let (mut guest, _) = in_1440k_drive(|drive| {
        drive.attach_medium(SectorDisk::unformatted(FormFactor::Inch3_5, 80)).expect("the disk suits the drive");
    });
    assert_eq!(data_command(&mut guest, &READ_ID).status(), [0x40, 0x01, 0x00]);
    dos_format(&mut guest);
    for cylinder in 0..80 {
        guest.seek(cylinder);
        let both = Sectors { cylinder, head: 0, sector: 1, bytes: 36 * SECTOR, end_of_track: 18 };
        guest.read_dma(both).expect("the cylinder is readable");
        assert!(guest.buffer(36 * SECTOR).iter().all(|&byte| byte == FILLER), "cylinder {cylinder}");
    }
}

#[test]
fn dos_cannot_format_a_protected_disk() {
    // §4.9
    let mut guest = Disk::of([sector(1)]).protected().in_drive();
    guest.program_dma(DMA_WRITE_FLOPPY, BUFFER, 72);
    assert_eq!(data_command(&mut guest, &[0xCD, 0, 2, 18, 0x6C, FILLER]).status(), [0x40, 0x02, 0x00]);
    assert_eq!(transfer(&mut guest, &[READ, 0, 0, 0, 1, 2, 1, 0x1B, 0xFF], SECTOR).status(), [0x00; 3]);
    assert!(guest.buffer(SECTOR) == contents(sector(1)));
}

// TeleDisk and other copy tools

/// A recorded track: its encoding, and its sectors with their data from the index hole on.
type Recording = (Encoding, Vec<(Sector, Vec<u8>)>);

/// Returns the tracks of a disk that no raw image can hold, two for each cylinder.
fn odd_tracks() -> Vec<Recording> {
    let track = |encoding, sectors: Vec<Sector>| {
        (encoding, sectors.into_iter().map(|sector| (sector, contents(sector))).collect())
    };
    vec![
        track(Encoding::Fm, (1..=26).map(|sector| id(0, 0, sector, 0)).collect()),
        track(Encoding::Mfm, [1, 6, 2, 7, 3, 8, 4, 9, 5].map(|sector| id(0, 1, sector, 2)).to_vec()),
        track(Encoding::Mfm, (0x41..=0x45).map(|sector| id(1, 0, sector, 3)).collect()),
        track(Encoding::Mfm, vec![sector(1), deleted(sector(2)), with_bad_data_crc(sector(3)), sector(4)]),
        track(Encoding::Mfm, vec![id(200, 7, 0, 1), id(3, 9, 255, 2), id(0, 0, 77, 4), deleted(id(1, 1, 1, 0))]),
        track(Encoding::Mfm, (1..=2).map(|sector| id(40, 40, sector, 5)).collect()),
        track(Encoding::Mfm, vec![id(3, 0, 0x86, 6), id(3, 0, 0x84, 4), id(3, 0, 0x83, 3), id(3, 0, 0x82, 2)]),
        track(Encoding::Fm, vec![deleted(id(3, 1, 1, 1)), id(3, 1, 3, 1), id(3, 1, 2, 1)]),
    ]
}

/// Returns a guest with a disk of these tracks in its drive.
fn odd_disk() -> Guest {
    let mut disk = SectorDisk::unformatted(FormFactor::Inch3_5, 80);
    for (number, (encoding, sectors)) in odd_tracks().into_iter().enumerate() {
        let empty = SectorTrack::new(DataRate::Kbps500).with_encoding(encoding);
        let track = sectors.into_iter().fold(empty, |track, (sector, data)| track.with_sector(sector, data));
        disk.set_track(number as u8 / 2, number as u8 % 2, track);
    }
    in_1440k_drive(|drive| drive.attach_medium(disk).expect("the disk suits the drive")).0
}

/// Performs a command for the sector `id` under the head `head`.
fn read_one(guest: &mut Guest, opcode: u8, head: u8, id: SectorId) -> Reply {
    let SectorId { cylinder, head: claimed, sector, size_code } = id;
    let command = [opcode, head << 2, cylinder, claimed, sector, size_code, sector, 0x1B, 0xFF];
    guest.program_dma(DMA_READ_FLOPPY, BUFFER, id.size().expect("the sector has a size"));
    data_command(guest, &command)
}

/// Performs READ ID until the first ID comes again.
fn copy_ids(guest: &mut Guest, density: u8, head: u8) -> Vec<SectorId> {
    let mut ids = Vec::new();
    loop {
        let result = data_command(guest, &[0x0A | density, head << 2]);
        if result[0] & 0xC0 != 0 {
            assert_eq!((result[1], ids.len()), (0x01, 0), "no ID in this encoding");
            return ids;
        }
        let [cylinder, head, sector, size_code] = result.id();
        let id = SectorId { cylinder, head, sector, size_code };
        if ids.first() == Some(&id) {
            return ids;
        }
        ids.push(id);
    }
}

/// Returns the index of the first sector after the index hole: READ TRACK finds the ID that it expects first.
fn copy_first(guest: &mut Guest, density: u8, head: u8, ids: &[SectorId]) -> usize {
    let is_first = |&id: &SectorId| {
        let SectorId { cylinder, head: claimed, sector, size_code } = id;
        let command = [0x02 | density, head << 2, cylinder, claimed, sector, size_code, 1, 0x1B, 0xFF];
        guest.program_dma(DMA_READ_FLOPPY, BUFFER, id.size().expect("the sector has a size"));
        data_command(guest, &command)[1] & 0x04 == 0
    };
    ids.iter().position(is_first).expect("READ TRACK finds one of them")
}

/// Reads the whole track under the head.
fn copy_track(guest: &mut Guest, head: u8) -> Recording {
    let densities = [(Encoding::Mfm, MFM), (Encoding::Fm, 0)];
    let mut found =
        densities.map(|(encoding, density)| (encoding, density, copy_ids(guest, density, head))).into_iter();
    let (encoding, density, mut ids) = found.find(|(.., ids)| !ids.is_empty()).expect("the track is recorded");
    let first = copy_first(guest, density, head, &ids);
    ids.rotate_left(first);
    let sectors = ids.into_iter().map(|id| {
        let [_, st1, st2] = read_one(guest, 0x06 | density, head, id).status();
        let mark = if st2 & 0x40 != 0 { Mark::Deleted } else { Mark::Data };
        let sector = Sector { mark: Some(mark), data_crc_error: st1 & 0x20 != 0, ..Sector::good(id) };
        (sector, guest.buffer(id.size().expect("the sector has a size")).to_vec())
    });
    (encoding, sectors.collect())
}

#[test]
fn a_copy_tool_finds_all_tracks_of_a_disk() {
    // §4.7, §4.11, §11
    let mut guest = odd_disk();
    for (number, track) in (0..).zip(odd_tracks()) {
        guest.seek(number / 2);
        assert!(copy_track(&mut guest, number % 2) == track, "track {number}");
    }
}

#[test]
fn a_copy_tool_detects_the_interleave_by_read_id() {
    // §4.11
    let mut guest = odd_disk();
    let numbers: Vec<u8> = (0..18).map(|_| data_command(&mut guest, &[0x4A, 0x04]).id()[2]).collect();
    let order = [1, 6, 2, 7, 3, 8, 4, 9, 5].repeat(3);
    assert!(order.windows(18).any(|window| window == numbers), "{numbers:?}");
}

#[test]
fn a_copy_tool_reads_a_track_in_physical_order() {
    // §4.7: a sector out of sequence sets ND, and is read
    let mut guest = odd_disk();
    guest.program_dma(DMA_READ_FLOPPY, BUFFER, 9 * SECTOR);
    let result = data_command(&mut guest, &[READ_TRACK, 0x04, 0, 1, 1, 2, 9, 0x1B, 0xFF]);
    assert_eq!(result.status(), [0x04, 0x04, 0x00]);
    let order = [1, 6, 2, 7, 3, 8, 4, 9, 5].map(|sector| contents(id(0, 1, sector, 2))).concat();
    assert!(guest.buffer(9 * SECTOR) == order);
}

#[test]
fn a_copy_tool_reads_deleted_sectors_by_read_deleted_data() {
    // §4.4
    let mut guest = odd_disk();
    guest.seek(1);
    let sector = sector(2);
    assert_eq!(read_one(&mut guest, READ_DELETED, 1, sector.id).status(), [0x04, 0x00, 0x00]);
    assert!(guest.buffer(SECTOR) == contents(sector));
    assert_eq!(read_one(&mut guest, READ, 1, sector.id).status(), [0x04, 0x00, 0x40]);
}

#[test]
fn a_copy_tool_reads_sectors_of_each_size() {
    // §4.3
    for size_code in 0..=7 {
        let sector = id(0, 0, 1, size_code);
        let mut guest = Disk::of([sector]).in_drive();
        assert_eq!(read_one(&mut guest, READ, 0, sector.id).status(), [0x00; 3], "N {size_code}");
        assert!(guest.buffer(128 << size_code) == contents(sector), "N {size_code}");
    }
}

#[test]
fn a_copy_tool_finds_single_density_only_with_the_mfm_flag_off() {
    // §4.11, §7.5
    let mut guest = odd_disk();
    assert_eq!(copy_ids(&mut guest, MFM, 0), []);
    assert_eq!(copy_ids(&mut guest, 0, 0).len(), 26);
}
