//! Overruns with immediate timing: a command whose DMA channel does not serve it ends with an overrun after a revolution
//! of the disk. Nothing else waits for time.

use std::time::Duration;

use super::kit::disk::{
    CYLINDER, Disk, READ, SECTOR, WRITE, command, contents, deleted, guest_with_full_disk, id, in_file, sector,
    transfer, with_bad_data_crc,
};
use super::kit::{BUFFER, CCR, DMA_READ_FLOPPY, DMA_STATUS, DMA_WRITE_FLOPPY, DOR, DSR, Dma, FIFO, Guest, MSR, Reply};
use vm_fdc::{
    Controller, EmptyDrive, FloppyDrive,
    dma::{AtDma, DmaChannel, Moved},
    drive::DriveType,
    media::{Geometry, SectorDisk},
};

/// A revolution of the disk at 300 rpm.
const REVOLUTION: Duration = Duration::from_millis(200);
const MOMENT: Duration = Duration::from_nanos(1);

/// The commands that move data by DMA, for sectors 1 to 18 of the track under the head.
const COMMANDS: [(&str, &[u8]); 9] = [
    ("READ DATA", &[0x46, 0, CYLINDER, 0, 1, 2, 18, 0x1B, 0xFF]),
    ("READ DELETED DATA", &[0x4C, 0, CYLINDER, 0, 1, 2, 18, 0x1B, 0xFF]),
    ("READ TRACK", &[0x42, 0, CYLINDER, 0, 1, 2, 18, 0x1B, 0xFF]),
    ("WRITE DATA", &[0x45, 0, CYLINDER, 0, 1, 2, 18, 0x1B, 0xFF]),
    ("SCAN EQUAL", &[0x51, 0, CYLINDER, 0, 1, 2, 18, 0x1B, 0x01]),
    ("SCAN LOW OR EQUAL", &[0x59, 0, CYLINDER, 0, 1, 2, 18, 0x1B, 0x01]),
    ("SCAN HIGH OR EQUAL", &[0x5D, 0, CYLINDER, 0, 1, 2, 18, 0x1B, 0x01]),
    ("FORMAT TRACK", &[0x4D, 0, 2, 18, 0x6C, 0xF6]),
    ("READ DATA with MT", &[0xC6, 0, CYLINDER, 0, 1, 2, 18, 0x1B, 0xFF]),
];

/// Returns a guest in which these commands find all their sectors. The DMA channel is masked, as at power-on.
fn guest() -> Guest {
    let mut guest = Guest::new(Controller::builder().drive(0, DriveType::Inch3_5Hd).scan_commands(true));
    let track = |head| (1..=18).map(move |sector| id(CYLINDER, head, sector, 2));
    let disk = Disk::blank().with_track(CYLINDER, 0, track(0)).with_track(CYLINDER, 1, track(1));
    guest.bus.fdc.drive(0).expect("there is a drive 0").attach_medium(disk).expect("the disk suits the drive");
    guest.reset();
    guest.select(0);
    guest.bus.write(CCR, 0);
    guest.seek(CYLINDER);
    guest
}

/// Returns such a guest with a command that waits for DMA.
fn waiting(command: &[u8]) -> Guest {
    let mut guest = guest();
    guest.send(command).expect("the controller accepts the command");
    guest
}

fn advance<D: Dma>(guest: &mut Guest<D>, time: Duration) {
    guest.bus.fdc.advance(time);
}

fn assert_waiting(guest: &mut Guest, when: &str) {
    assert_eq!((guest.bus.read(MSR), guest.bus.irq().is_high()), (0x10, false), "{when}");
    assert_eq!(guest.bus.read(DMA_STATUS) & 0x40, 0x40, "{when}");
}

fn assert_overrun(guest: &mut Guest, when: &str) {
    assert_eq!((guest.bus.read(MSR), guest.bus.irq().is_high()), (0xD0, true), "{when}");
    assert_eq!(guest.bus.read(DMA_STATUS) & 0x40, 0x00, "{when}");
    let [st0, st1, st2] = guest.reply().status();
    // READ DELETED DATA waits in a sector with the other mark (CM, §5.3).
    assert_eq!([st0, st1, st2 & !0x40], [0x40, 0x10, 0x00], "{when}");
}

// The time of the overrun

#[test]
fn a_command_without_dma_service_ends_with_an_overrun_after_a_revolution() {
    // §4.14
    for (name, command) in COMMANDS {
        let mut guest = waiting(command);
        advance(&mut guest, REVOLUTION - MOMENT);
        assert_waiting(&mut guest, name);
        advance(&mut guest, MOMENT);
        assert_overrun(&mut guest, name);
    }
}

/// Returns guests with a command that waits for DMA, in machines with this policy. Then the disk stops: the motor is
/// turned off, or the disk is released.
fn stopped(command: &[u8], policy: EmptyDrive) -> [(&'static str, Guest, FloppyDrive); 2] {
    [("motor off", false), ("disk released", true)].map(|(what, released)| {
        let builder = Controller::builder().drive(0, DriveType::Inch3_5Hd).scan_commands(true).empty_drive(policy);
        let mut guest = Guest::new(builder);
        let drive = guest.bus.fdc.drive(0).expect("there is a drive 0");
        drive
            .attach_medium(Disk::blank().with_track(CYLINDER, 0, (1..=18).map(|sector| id(CYLINDER, 0, sector, 2))))
            .unwrap();
        guest.reset();
        guest.select(0);
        guest.bus.write(CCR, 0);
        guest.seek(CYLINDER);
        guest.send(command).expect("the controller accepts the command");
        if released {
            drive.release_image().unwrap();
        } else {
            guest.bus.write(DOR, 0x0C);
        }
        (what, guest, drive)
    })
}

#[test]
fn a_stopped_disk_hangs_a_command_that_waits_for_dma() {
    // §4.13, EmptyDrive::Hang
    for (name, command) in COMMANDS {
        for (what, mut guest, _drive) in stopped(command, EmptyDrive::Hang) {
            assert_eq!(guest.bus.fdc.next_event(), None, "{name}, {what}");
            advance(&mut guest, REVOLUTION * 10);
            guest.program_dma(DMA_WRITE_FLOPPY, BUFFER, SECTOR);
            advance(&mut guest, REVOLUTION * 10);
            assert_eq!((guest.bus.read(MSR), guest.bus.irq().is_high()), (0x10, false), "{name}, {what}");
            assert_eq!(guest.bus.read(DMA_STATUS) & 0x40, 0, "{name}, {what}: nothing requests a byte");
            guest.reset();
            assert_eq!(guest.bus.read(MSR), 0x80);
        }
    }
}

#[test]
fn a_stopped_disk_fails_a_command_that_waits_for_dma() {
    // §4.13, EmptyDrive::Fail
    for (name, command) in COMMANDS {
        for (what, mut guest, _drive) in stopped(command, EmptyDrive::Fail) {
            advance(&mut guest, REVOLUTION);
            let [st0, st1, _] = guest.reply().status();
            assert_eq!((st0, st1), (0x40, 0x01), "{name}, {what}");
        }
    }
}

#[test]
fn nothing_is_written_to_a_stopped_disk() {
    // §4.13
    for policy in [EmptyDrive::Fail, EmptyDrive::Hang] {
        let [(_, mut guest, _), _] = stopped(&[0x45, 0, CYLINDER, 0, 1, 2, 18, 0x1B, 0xFF], policy);
        advance(&mut guest, REVOLUTION * 2);
        guest.reset();
        guest.select(0);
        guest.recalibrate();
        guest.seek(CYLINDER);
        transfer(&mut guest, &command(READ, 0, 1, 18), SECTOR);
        assert!(guest.buffer(SECTOR) == contents(id(CYLINDER, 0, 1, 2)));
    }
}

#[test]
fn time_in_slices_has_the_effect_of_their_sum() {
    // §4.14
    for (slices, slice) in [(1, 200_000), (2, 100_000), (3, 70_000), (200, 1_000), (667, 300), (4_000, 50)] {
        let mut guest = waiting(COMMANDS[0].1);
        let slice = Duration::from_micros(slice);
        (1..slices).for_each(|_| advance(&mut guest, slice));
        assert_waiting(&mut guest, "before the last slice");
        advance(&mut guest, slice);
        assert_overrun(&mut guest, "after it");
    }
}

#[test]
fn slices_of_zero_time_have_no_effect() {
    // §4.14
    let mut guest = waiting(COMMANDS[0].1);
    (0..1_000).for_each(|_| advance(&mut guest, Duration::ZERO));
    assert_eq!(guest.bus.fdc.next_event(), Some(REVOLUTION));
}

#[test]
fn the_next_event_is_at_the_end_of_the_revolution() {
    // §4.14
    let mut guest = waiting(COMMANDS[0].1);
    for passed in 0..200 {
        assert_eq!(guest.bus.fdc.next_event(), Some(REVOLUTION - Duration::from_millis(passed)));
        advance(&mut guest, Duration::from_millis(1));
    }
    assert_eq!(guest.bus.fdc.next_event(), None);
}

#[test]
fn the_overrun_comes_at_the_next_event() {
    // §4.14
    for (name, command) in COMMANDS {
        let mut guest = waiting(command);
        let event = guest.bus.fdc.next_event().expect("the command waits");
        advance(&mut guest, event);
        assert_overrun(&mut guest, name);
    }
}

#[test]
fn more_than_a_revolution_ends_the_wait() {
    // §4.14
    for time in [REVOLUTION * 2, Duration::from_secs(86_400), Duration::MAX] {
        let mut guest = waiting(COMMANDS[0].1);
        advance(&mut guest, time);
        assert_overrun(&mut guest, "at once");
    }
}

#[test]
fn the_longest_times_do_not_overflow() {
    // §12
    let mut guest = guest();
    for (name, command) in COMMANDS {
        advance(&mut guest, Duration::MAX);
        guest.send(command).expect("the controller accepts the command");
        advance(&mut guest, MOMENT);
        assert_waiting(&mut guest, name);
        advance(&mut guest, Duration::MAX);
        advance(&mut guest, Duration::MAX);
        assert_overrun(&mut guest, name);
    }
}

#[test]
fn each_wait_has_its_own_revolution() {
    // §4.14
    let mut guest = waiting(COMMANDS[0].1);
    advance(&mut guest, REVOLUTION - MOMENT);
    guest.reset();
    guest.select(0);
    guest.recalibrate();
    guest.seek(CYLINDER);
    guest.send(COMMANDS[0].1).expect("the controller accepts the command");
    assert_eq!(guest.bus.fdc.next_event(), Some(REVOLUTION));
}

#[test]
fn time_before_the_command_does_not_count() {
    // §4.14
    let mut guest = guest();
    advance(&mut guest, REVOLUTION * 10);
    guest.send(COMMANDS[0].1).expect("the controller accepts the command");
    assert_eq!(guest.bus.fdc.next_event(), Some(REVOLUTION));
}

#[test]
fn programming_the_channel_without_service_does_not_extend_the_wait() {
    // §4.14: a guest cannot keep a command pending forever
    let mut guest = waiting(COMMANDS[0].1);
    advance(&mut guest, REVOLUTION - MOMENT);
    guest.mask_dma();
    advance(&mut guest, MOMENT);
    assert_overrun(&mut guest, "after a revolution without a byte");
}

#[test]
fn the_next_command_succeeds_after_an_overrun() {
    // §4.14: FreeBSD and Linux retry the command
    let mut guest = guest_with_full_disk();
    guest.send(&command(READ, 0, 1, 18)).expect("the controller accepts the command");
    advance(&mut guest, REVOLUTION);
    assert_overrun(&mut guest, "the first time");
    assert_eq!(transfer(&mut guest, &command(READ, 0, 1, 18), SECTOR).status(), [0x00, 0x00, 0x00]);
    assert!(guest.buffer(SECTOR) == in_file(0, 1, 1));
}

// A channel that serves in time

#[test]
fn a_channel_that_serves_in_time_completes_the_command() {
    // §4.14
    let mut guest = guest_with_full_disk();
    guest.send(&command(READ, 0, 3, 18)).expect("the controller accepts the command");
    advance(&mut guest, REVOLUTION - MOMENT);
    guest.program_dma(DMA_READ_FLOPPY, BUFFER, 2 * SECTOR);
    advance(&mut guest, REVOLUTION);
    assert_eq!(guest.reply(), [0x00, 0x00, 0x00, CYLINDER, 0, 5, 2]);
    assert!(guest.buffer(2 * SECTOR) == in_file(0, 3, 2));
}

#[test]
fn a_channel_that_serves_too_late_moves_nothing() {
    // §4.14
    let mut guest = waiting(COMMANDS[0].1);
    advance(&mut guest, REVOLUTION);
    guest.program_dma(DMA_READ_FLOPPY, BUFFER, SECTOR);
    assert_overrun(&mut guest, "before the channel is unmasked");
    assert_eq!(guest.buffer(SECTOR), [0; SECTOR]);
}

// A channel that stops

/// The DMA controllers of an AT. The channel of the floppy stops after some bytes, without terminal count.
struct Stopping {
    dma: AtDma<Vec<u8>>,
    left: usize,
}

impl DmaChannel for Stopping {
    fn device_to_memory(&mut self, data: &[u8]) -> Moved {
        let moved = self.dma.device_to_memory(&data[..data.len().min(self.left)]);
        self.left -= moved.bytes;
        moved
    }

    fn memory_to_device(&mut self, data: &mut [u8]) -> Moved {
        let offered = data.len().min(self.left);
        let moved = self.dma.memory_to_device(&mut data[..offered]);
        self.left -= moved.bytes;
        moved
    }
}

impl Dma for Stopping {
    fn read_port(&mut self, port: u16) -> Option<u8> {
        self.dma.read_port(port)
    }

    fn write_port(&mut self, port: u16, value: u8) -> bool {
        self.dma.write_port(port, value)
    }

    fn memory(&self) -> &[u8] {
        self.dma.memory()
    }

    fn memory_mut(&mut self) -> &mut [u8] {
        self.dma.memory_mut()
    }
}

/// Returns a guest with three sectors on cylinder 0, and a channel that stops after this number of bytes.
fn stopping_after(bytes: usize) -> Guest<Stopping> {
    stopping_after_in(bytes, Disk::of([1, 2, 3].map(sector)))
}

fn stopping_after_in(bytes: usize, disk: Disk) -> Guest<Stopping> {
    let dma = Stopping { dma: AtDma::new(vec![0xEE; 0x4_0000]), left: bytes };
    let (mut guest, drive) = Guest::with_drive_and_dma(DriveType::Inch3_5Hd, dma);
    drive.attach_medium(disk).expect("the disk suits the drive");
    guest.bus.write(CCR, 0);
    guest
}

/// Performs a command for three sectors up to its overrun.
fn overrun(guest: &mut Guest<Stopping>, opcode: u8) -> Reply {
    let mode = if opcode == WRITE { DMA_WRITE_FLOPPY } else { DMA_READ_FLOPPY };
    guest.program_dma(mode, BUFFER, 3 * SECTOR);
    guest.send(&[opcode, 0, 0, 0, 1, 2, 3, 0x1B, 0xFF]).expect("the controller accepts the command");
    advance(guest, REVOLUTION);
    guest.reply()
}

/// Where a channel stops: bytes, and whole sectors in them.
const STOPS: [(usize, usize); 7] = [(0, 0), (1, 0), (511, 0), (512, 1), (513, 1), (1024, 2), (1535, 2)];

#[test]
fn the_result_of_an_overrun_has_the_id_of_its_sector() {
    // §4.2
    for opcode in [READ, WRITE] {
        for (bytes, sectors) in STOPS {
            let result = [0x40, 0x10, 0x00, 0, 0, 1 + sectors as u8, 2];
            assert_eq!(overrun(&mut stopping_after(bytes), opcode), result, "{opcode:#04x}, {bytes} bytes");
        }
    }
}

#[test]
fn an_overrun_read_delivers_only_the_bytes_that_the_channel_took() {
    // §4.14
    for (bytes, _) in STOPS {
        let mut guest = stopping_after(bytes);
        overrun(&mut guest, READ);
        let mut expected = [1, 2, 3].map(|number| contents(sector(number))).concat();
        expected[bytes..].fill(0xEE);
        assert!(guest.buffer(3 * SECTOR) == expected, "{bytes} bytes");
    }
}

#[test]
fn an_overrun_write_completes_its_sector_with_zeros_and_writes_no_other() {
    // §4.14, §3.5
    for (bytes, sectors) in STOPS {
        let mut guest = stopping_after(bytes);
        overrun(&mut guest, WRITE);
        let mut expected = [1, 2, 3].map(|number| contents(sector(number))).concat();
        expected[..bytes].fill(0xEE);
        expected[bytes..(sectors + 1) * SECTOR].fill(0);
        guest.bus.fdc.dma_mut().left = usize::MAX;
        guest.program_dma(DMA_READ_FLOPPY, BUFFER, 3 * SECTOR);
        let read = guest.command(&[READ, 0, 0, 0, 1, 2, 3, 0x1B, 0xFF]);
        assert_eq!(read.status(), [0x00, 0x00, 0x00], "{bytes} bytes: the CRCs are valid");
        assert!(guest.buffer(3 * SECTOR) == expected, "{bytes} bytes");
    }
}

#[test]
fn a_disk_can_be_released_while_a_command_waits_for_dma() {
    // §12.1, §12.8
    let (mut guest, drive) = Guest::with_drive(DriveType::Inch3_5Hd);
    drive.attach_medium(Disk::of([1, 2, 3].map(sector))).unwrap();
    guest.bus.write(CCR, 0);
    guest.send(&[0x46, 0, 0, 0, 1, 2, 3, 0x1B, 0xFF]).unwrap();
    drive.release_image().unwrap();
    assert_eq!(guest.bus.read(MSR), 0x10);
    guest.bus.fdc.advance(REVOLUTION);
    assert_eq!(guest.bus.read(MSR), 0xD0);
}

#[test]
fn a_channel_that_moved_data_gets_another_revolution() {
    // §4.14
    let mut guest = stopping_after(100);
    guest.send(&[READ, 0, 0, 0, 1, 2, 3, 0x1B, 0xFF]).expect("the controller accepts the command");
    advance(&mut guest, REVOLUTION / 2);
    guest.program_dma(DMA_READ_FLOPPY, BUFFER, 3 * SECTOR);
    assert_eq!(guest.bus.fdc.next_event(), Some(REVOLUTION));
}

#[test]
fn a_read_with_an_overrun_reads_its_sector_to_the_crc() {
    // §4.6, §4.14
    let disk = Disk::of([sector(1), with_bad_data_crc(sector(2)), sector(3)]);
    assert_eq!(overrun(&mut stopping_after_in(600, disk), READ).status(), [0x40, 0x30, 0x20]);
}

#[test]
fn an_overrun_in_a_deleted_sector_sets_control_mark() {
    // §4.12, §5.3
    let disk = Disk::of([sector(1), deleted(sector(2)), sector(3)]);
    assert_eq!(overrun(&mut stopping_after_in(600, disk), READ).status(), [0x40, 0x10, 0x40]);
}

#[test]
fn a_format_that_lacks_an_id_field_overruns() {
    // §4.9, §4.14
    for ids in 0..3 {
        let mut guest = stopping_after(4 * ids);
        guest.program_dma(DMA_WRITE_FLOPPY, BUFFER, 12);
        guest.send(&[0x4D, 0, 2, 3, 0x6C, 0xF6]).expect("the controller accepts the command");
        advance(&mut guest, REVOLUTION);
        assert_eq!(guest.reply().status(), [0x40, 0x10, 0x00], "{ids} ID fields");
    }
}

// Waits without an event

#[test]
fn no_state_without_a_wait_for_the_host_has_an_event() {
    // §4.14
    type Step = fn(&mut Guest);
    let states: [(&str, Step); 8] = [
        ("held in reset", |guest| guest.bus.write(DOR, 0x18)),
        ("idle", |_| ()),
        ("an interrupt to sense", |guest| guest.send(&[0x0F, 0, 9]).unwrap()),
        ("waiting for parameters", |guest| guest.send(&[0x46, 0]).unwrap()),
        ("result", |guest| guest.send(&[0x4A, 0]).unwrap()),
        ("VERIFY", |guest| guest.send(&[0x56, 0, CYLINDER, 0, 1, 2, 18, 0x1B, 0xFF]).unwrap()),
        ("after a reset in a read", |guest| {
            guest.send(COMMANDS[0].1).unwrap();
            guest.reset();
        }),
        ("powered down in a read", |guest| {
            guest.send(COMMANDS[0].1).unwrap();
            guest.bus.write(DSR, 0x40);
        }),
    ];
    for (state, enter) in states {
        let mut guest = guest();
        enter(&mut guest);
        let before = (guest.bus.read(MSR), guest.bus.irq().is_high());
        assert_eq!(guest.bus.fdc.next_event(), None, "{state}");
        advance(&mut guest, Duration::MAX);
        assert_eq!((guest.bus.read(MSR), guest.bus.irq().is_high()), before, "{state}");
    }
}

#[test]
fn a_command_without_a_disk_hangs_forever() {
    // §4.13
    let drives = Controller::builder().drive(0, DriveType::Inch3_5Hd).empty_drive(EmptyDrive::Hang);
    for (name, command) in COMMANDS {
        let mut guest = Guest::new(drives.clone().scan_commands(true));
        guest.reset();
        guest.select(0);
        guest.send(command).expect("the controller accepts the command");
        assert_eq!(guest.bus.fdc.next_event(), None, "{name}");
        advance(&mut guest, Duration::MAX);
        assert_eq!(guest.bus.read(MSR), 0x10, "{name}");
    }
}

#[test]
fn a_guest_without_dma_that_stops_in_the_middle_of_a_sector_meets_an_overrun_after_a_revolution() {
    // §4.14: Linux with `floppy=nodma` takes what it needs, and waits for the interrupt.
    for fifo in [0x20, 0x00, 0x0A] {
        let mut guest = guest_with_full_disk();
        guest.use_dma(false);
        guest.command(&[0x13, 0, fifo, 0]);
        guest.send(&command(READ, 0, 3, 18)).expect("the controller accepts the command");
        let taken: Vec<u8> = (0..SECTOR + 100).map(|_| guest.bus.read(FIFO)).collect();
        assert!(taken == in_file(0, 3, 2)[..SECTOR + 100]);
        let edges = guest.bus.irq().edges();
        assert_eq!(guest.bus.fdc.next_event(), Some(REVOLUTION));
        advance(&mut guest, REVOLUTION);
        guest.bus.follow();
        assert_eq!(guest.bus.irq().edges(), edges + 1, "the result interrupts");
        // Nothing is left in the FIFO, and the ID is that of the sector in which the guest stopped.
        assert_eq!(guest.reply(), [0x40, 0x10, 0x00, CYLINDER, 0, 4, 2]);
        assert_eq!(guest.bus.read(MSR), 0x80);
    }
}

#[test]
fn a_guest_without_dma_that_stops_giving_bytes_meets_an_overrun_and_its_sector_ends_with_zeros() {
    // §4.14
    let mut guest = guest_with_full_disk();
    guest.use_dma(false);
    guest.send(&command(WRITE, 0, 3, 18)).expect("the controller accepts the command");
    for _ in 0..100 {
        guest.bus.write(FIFO, 0x5A);
    }
    assert_eq!(guest.bus.fdc.next_event(), Some(REVOLUTION));
    advance(&mut guest, REVOLUTION);
    assert_eq!(guest.reply(), [0x40, 0x10, 0x00, CYLINDER, 0, 3, 2]);
    guest.use_dma(true);
    transfer(&mut guest, &command(READ, 0, 3, 3), SECTOR);
    let sector = guest.buffer(SECTOR);
    assert!(sector[..80] == [0x5A; 80] && sector[100..] == [0; SECTOR - 100]);
}

#[test]
fn a_guest_without_dma_that_takes_a_byte_a_revolution_meets_no_overrun() {
    // §4.14
    let mut guest = guest_with_full_disk();
    guest.use_dma(false);
    guest.send(&command(READ, 0, 17, 18)).expect("the controller accepts the command");
    let data: Vec<u8> = (0..2 * SECTOR)
        .map(|_| {
            advance(&mut guest, REVOLUTION - Duration::from_nanos(1));
            guest.bus.read(FIFO)
        })
        .collect();
    assert!(data == in_file(0, 17, 2));
    assert_eq!(guest.reply().status(), [0x40, 0x80, 0x00]);
}

#[test]
fn a_guest_without_dma_that_gives_a_byte_a_revolution_meets_no_overrun() {
    // §4.14
    let mut guest = guest_with_full_disk();
    guest.use_dma(false);
    guest.send(&command(WRITE, 0, 17, 18)).expect("the controller accepts the command");
    for _ in 0..2 * SECTOR {
        advance(&mut guest, REVOLUTION - Duration::from_nanos(1));
        guest.bus.write(FIFO, 0x5A);
    }
    assert_eq!(guest.reply().status(), [0x40, 0x80, 0x00]);
}

#[test]
fn a_drive_at_360_rpm_waits_for_its_own_revolution() {
    // §4.14, §10.1: at 360 rpm
    let (mut guest, drive) = Guest::with_drive(DriveType::Inch5_25Hd);
    drive.attach_medium(SectorDisk::formatted(Geometry::HD_1200K, 0)).expect("the disk suits the drive");
    guest.bus.write(CCR, 0);
    guest.send(&[READ, 0, 0, 0, 1, 2, 15, 0x1B, 0xFF]).expect("the controller accepts the command");
    advance(&mut guest, Duration::from_micros(166_666));
    assert_waiting(&mut guest, "before the end of the revolution");
    while let Some(event) = guest.bus.fdc.next_event() {
        advance(&mut guest, event);
    }
    assert_overrun(&mut guest, "after the revolution");
}
