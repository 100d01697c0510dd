//! Time: the duration of commands with `Timing::Authentic`. The two timings differ in nothing else.

use std::time::Duration;

use super::kit::{
    BUFFER, CCR, DMA_READ_FLOPPY, DMA_STATUS, DMA_WRITE_FLOPPY, DOR, FIFO, FROM_HOST, Guest, MSR, TO_HOST,
};
use proptest::prelude::*;
use vm_fdc::{
    Controller, ControllerBuilder, EmptyDrive, FloppyDrive, InterfaceMode, Timing,
    drive::DriveType,
    media::{Access, FORMATS, Geometry, SectorDisk},
};

const SECTOR: usize = 512;
const REVOLUTION: Duration = Duration::from_millis(200);

/// A guest whose test tells the time, and waits for ends that are delayed itself.
fn timed_guest(builder: ControllerBuilder) -> Guest {
    let mut guest = Guest::new(builder);
    guest.bus.follows = false;
    guest
}

/// A guest in virtual time.
struct Machine {
    guest: Guest,
    drive: FloppyDrive,
    /// The time since power-on.
    time: Duration,
    /// The pieces in which time advances, in rotation. If empty, it advances from event to event.
    slices: Vec<Duration>,
    log: Vec<String>,
}

impl Machine {
    /// Returns a machine with a formatted disk in its drive, the motor at speed, and the head at cylinder 0.
    fn new(timing: Timing, drive_type: DriveType, geometry: Geometry, rate: u8) -> Self {
        let builder = Controller::builder().drive(0, drive_type).scan_commands(true).timing(timing);
        let mut guest = timed_guest(builder);
        let drive = guest.bus.fdc.drive(0).unwrap();
        drive.attach_medium(SectorDisk::formatted(geometry, 0xE5)).unwrap();
        guest.bus.write(DOR, 0x1C);
        guest.bus.write(CCR, rate);
        let mut machine = Self { guest, drive, time: Duration::ZERO, slices: Vec::new(), log: Vec::new() };
        machine.advance(Duration::from_secs(1));
        for _ in 0..4 {
            machine.command(&[0x08]);
        }
        machine.command(&[0x03, 0xDF, 0x02]); // 3 ms a step at 500 kb/s, 2 ms to load the head
        machine.command(&[0x13, 0x00, 0x40, 0x00]);
        machine
    }

    fn hd(timing: Timing) -> Self {
        Self::new(timing, DriveType::Inch3_5Hd, Geometry::HD_1440K, 0)
    }

    fn advance(&mut self, time: Duration) {
        let mut left = time;
        while left > Duration::ZERO {
            let piece = self.slices.first().copied().unwrap_or(left).min(left);
            self.guest.bus.fdc.advance(piece);
            left -= piece;
            if !self.slices.is_empty() {
                self.slices.rotate_left(1);
            }
        }
        self.time += time;
    }

    /// Advances to the next event. Returns `false` if there is none.
    fn wait(&mut self) -> bool {
        let Some(event) = self.guest.bus.fdc.next_event() else { return false };
        assert!(event > Duration::ZERO);
        self.advance(event);
        true
    }

    /// Performs a command: moves its data as soon as it is requested, and fetches the result. Returns the result.
    fn command(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.begin(bytes);
        self.finish()
    }

    fn begin(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            while self.guest.bus.read(MSR) & 0xC0 != 0x80 {
                assert!(self.wait(), "the controller accepts a byte");
            }
            self.guest.bus.write(FIFO, byte);
        }
        self.log.push(format!("> {bytes:02x?}"));
    }

    fn finish(&mut self) -> Vec<u8> {
        let (mut result, mut data) = (Vec::new(), Vec::new());
        loop {
            let status = self.guest.bus.read(MSR);
            match status & 0xF0 {
                0xF0 => data.push(self.guest.bus.read(FIFO)),
                0xB0 => self.guest.bus.write(FIFO, (self.log.len() * 7) as u8),
                0xD0 => result.push(self.guest.bus.read(FIFO)),
                0x80 => break,
                // The read of the MSR can have ended the delay itself.
                _ => assert!(self.wait() || self.guest.bus.read(MSR) != status, "the command ends"),
            }
        }
        self.log.push(format!("< {result:02x?}, {data:02x?}, INT {}", self.guest.bus.irq().is_high()));
        result
    }

    /// Performs a command up to its result phase. Returns its duration.
    fn takes(&mut self, bytes: &[u8]) -> Duration {
        let before = self.time;
        self.begin(bytes);
        while self.guest.bus.read(MSR) & 0xF0 == 0x10
            || self.guest.bus.read(MSR) & 0x0F != 0 && !self.guest.bus.irq().is_high()
        {
            assert!(self.wait(), "the command ends");
        }
        self.time - before
    }

    /// Performs a command that seeks. Returns its duration and its status.
    fn seek(&mut self, bytes: &[u8]) -> (Duration, Vec<u8>) {
        let before = self.time;
        self.begin(bytes);
        while !self.guest.bus.irq().is_high() {
            assert!(self.wait(), "the seek ends");
        }
        (self.time - before, self.command(&[0x08]))
    }

    fn dma(&mut self, mode: u8, bytes: usize) {
        self.guest.program_dma(mode, BUFFER, bytes);
    }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

// Durations

#[test]
fn polling_comes_within_250_microseconds_of_a_reset() {
    // §6.2, §10.3
    let mut guest = timed_guest(Controller::builder().timing(Timing::Authentic));
    guest.bus.write(DOR, 0x0C);
    assert!(!guest.bus.irq().is_high());
    let event = guest.bus.fdc.next_event().expect("the drives are polled");
    assert!(Duration::ZERO < event && event <= Duration::from_micros(250));
    guest.bus.fdc.advance(event);
    assert!(guest.bus.irq().is_high());
    assert_eq!(guest.sense_interrupt(), [0xC0, 0]);
}

#[test]
fn a_configure_before_the_ready_poll_prevents_polling() {
    // §6.2
    let mut guest = timed_guest(Controller::builder().timing(Timing::Authentic));
    guest.bus.write(DOR, 0x0C);
    guest.command(&[0x13, 0x00, 0x10, 0x00]);
    guest.bus.fdc.advance(Duration::from_secs(1));
    assert!(!guest.bus.irq().is_high());
    assert_eq!(guest.sense_interrupt(), [0x80]);
}

#[test]
fn a_seek_takes_the_step_rate_for_each_step() {
    // §7.1, §10.2
    for (specify, micros) in [(0xD0, 3_000), (0xF0, 1_000), (0x00, 16_000)] {
        let mut machine = Machine::hd(Timing::Authentic);
        machine.command(&[0x03, specify, 0x02]);
        assert_eq!(machine.seek(&[0x0F, 0, 79]), (Duration::from_micros(micros) * 79, vec![0x20, 79]));
        assert_eq!(machine.seek(&[0x07, 0]), (Duration::from_micros(micros) * 79, vec![0x20, 0]));
        assert_eq!(machine.seek(&[0x0F, 0, 0]), (Duration::ZERO, vec![0x20, 0]));
    }
}

#[test]
fn the_step_rate_follows_the_data_rate() {
    // §7.1: code D is 3 ms at 500 kb/s.
    for (rate, micros) in [(0, 3_000), (1, 5_000), (2, 6_000), (3, 1_500)] {
        let mut machine = Machine::hd(Timing::Authentic);
        machine.guest.bus.write(CCR, rate);
        assert_eq!(machine.seek(&[0x0F, 0, 10]).0, Duration::from_micros(micros) * 10);
    }
}

#[test]
fn seeks_of_several_drives_overlap_and_show_in_the_msr() {
    // §2.1, §3.16
    let builder = Controller::builder().drive(0, DriveType::Inch3_5Hd).drive(1, DriveType::Inch3_5Hd);
    let mut guest = timed_guest(builder.timing(Timing::Authentic));
    guest.bus.write(DOR, 0x3C);
    guest.bus.fdc.advance(millis(1000));
    (0..4).for_each(|_| _ = guest.sense_interrupt());
    guest.bus.write(CCR, 0);
    guest.command(&[0x03, 0xDF, 0x02]);
    guest.command(&[0x0F, 0, 20]);
    guest.bus.write(DOR, 0x3D);
    guest.command(&[0x0F, 1, 10]);
    assert_eq!((guest.bus.read(MSR), guest.bus.irq().is_high()), (0x83, false));
    assert_eq!(guest.sense_interrupt(), [0x80], "neither has ended");
    guest.bus.fdc.advance(millis(30));
    assert_eq!((guest.bus.read(MSR), guest.bus.irq().is_high()), (0x83, true));
    assert_eq!(guest.sense_interrupt(), [0x21, 10]);
    assert_eq!((guest.bus.read(MSR), guest.bus.irq().is_high()), (0x81, false));
    guest.bus.fdc.advance(millis(30));
    assert_eq!(guest.sense_interrupt(), [0x20, 20]);
    assert_eq!(guest.bus.read(MSR), 0x80);
}

#[test]
fn a_failing_read_id_takes_two_revolutions_at_most() {
    // §10.2, §4.12
    let mut machine = Machine::hd(Timing::Authentic);
    machine.guest.bus.write(CCR, 2);
    let time = machine.takes(&[0x4A, 0]);
    assert!(REVOLUTION < time && time <= 2 * REVOLUTION + millis(4), "{time:?}");
    assert_eq!(machine.finish()[..3], [0x40, 0x01, 0]);
}

#[test]
fn read_id_returns_the_sectors_as_they_pass() {
    // §10.1, §10.2: 682 bytes of 16 us each.
    let mut machine = Machine::hd(Timing::Authentic);
    let ids: Vec<u8> = (0..18)
        .map(|_| {
            machine.takes(&[0x4A, 0]);
            machine.finish()[5]
        })
        .collect();
    for pair in ids.windows(2) {
        assert_eq!(pair[1], pair[0] % 18 + 1, "{ids:?}");
    }
}

#[test]
fn a_sector_takes_the_time_of_the_bytes_up_to_its_end() {
    // §10.1
    let mut machine = Machine::hd(Timing::Authentic);
    for sector in [1, 9, 18] {
        machine.dma(DMA_READ_FLOPPY, SECTOR);
        let time = machine.takes(&[0x46, 0, 0, 0, sector, 2, 18, 0x1B, 0xFF]);
        assert!(Duration::from_micros(514 * 16) < time && time < REVOLUTION + millis(15), "{time:?}");
        assert_eq!(machine.finish()[..3], [0, 0, 0]);
    }
}

#[test]
fn a_cylinder_takes_two_revolutions() {
    // §10.1
    let mut machine = Machine::hd(Timing::Authentic);
    for _ in 0..3 {
        machine.dma(DMA_READ_FLOPPY, 36 * SECTOR);
        let time = machine.takes(&[0xC6, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF]);
        assert!(2 * REVOLUTION - millis(5) < time && time < 3 * REVOLUTION, "{time:?}");
        assert_eq!(machine.finish(), [0x04, 0, 0, 1, 0, 1, 2]);
    }
}

#[test]
fn a_format_takes_the_rest_of_one_revolution_and_all_of_the_next() {
    // §4.9
    let mut machine = Machine::hd(Timing::Authentic);
    let ids: Vec<u8> = (1..=18).flat_map(|sector| [0, 0, sector, 2]).collect();
    machine.guest.buffer_mut(72).copy_from_slice(&ids);
    machine.dma(DMA_WRITE_FLOPPY, 72);
    let time = machine.takes(&[0x4D, 0, 2, 18, 0x6C, 0xF6]);
    assert!(REVOLUTION <= time && time <= 2 * REVOLUTION + millis(4), "{time:?}");
    assert_eq!(machine.finish()[..3], [0, 0, 0]);
}

#[test]
fn a_format_requests_only_four_bytes_a_sector() {
    // §4.9, without DMA
    let mut machine = Machine::hd(Timing::Authentic);
    machine.command(&[0x03, 0xDF, 0x03]);
    machine.begin(&[0x4D, 0, 2, 18, 0x6C, 0xF6]);
    let mut given = 0;
    loop {
        match machine.guest.bus.read(MSR) {
            FROM_HOST => {
                machine.guest.bus.write(FIFO, [0, 0, 1 + (given / 4) as u8, 2][given % 4]);
                given += 1;
            }
            0xD0 => break,
            status => assert!(machine.wait() || machine.guest.bus.read(MSR) != status),
        }
    }
    assert_eq!(given, 72);
    assert_eq!(machine.finish()[..3], [0, 0, 0]);
}

#[test]
fn read_id_returns_ids_with_a_too_large_size_code_as_they_pass() {
    // §4.9, §4.11: each ID has N = 7, and 512 bytes follow it.
    let mut machine = Machine::hd(Timing::Authentic);
    let ids: Vec<u8> = (1..=6).flat_map(|sector| [0, 0, sector, 7]).collect();
    machine.guest.buffer_mut(24).copy_from_slice(&ids);
    machine.dma(DMA_WRITE_FLOPPY, 24);
    assert_eq!(machine.command(&[0x4D, 0, 2, 6, 0x6C, 0xF6])[..3], [0, 0, 0]);
    let seen: Vec<u8> = (0..12).map(|_| machine.command(&[0x4A, 0])[5]).collect();
    assert!(seen.windows(2).all(|pair| pair[1] == pair[0] % 6 + 1), "{seen:?}");
}

#[test]
fn a_command_waits_for_the_motor() {
    // §10.2
    let mut machine = Machine::hd(Timing::Authentic);
    machine.guest.bus.write(DOR, 0x0C);
    machine.advance(Duration::from_secs(2));
    machine.guest.bus.write(DOR, 0x1C);
    let time = machine.takes(&[0x4A, 0]);
    assert!(millis(300) <= time && time <= millis(520), "{time:?}");
}

/// Returns the table of the documentation with the measured times.
fn table() -> String {
    let mut rows = String::from("| operation | time |\n|---|---|\n");
    let mut row = |operation: &str, time: Duration| {
        rows.push_str(&format!("| {operation} | {:.1} ms |\n", time.as_secs_f64() * 1e3));
    };
    for (name, drive_type, geometry, rate) in [
        ("360K", DriveType::Inch5_25Dd, Geometry::DD_360K, 2),
        ("720K", DriveType::Inch3_5Dd, Geometry::DD_720K, 2),
        ("1.2M", DriveType::Inch5_25Hd, Geometry::HD_1200K, 0),
        ("1.44M", DriveType::Inch3_5Hd, Geometry::HD_1440K, 0),
        ("2.88M", DriveType::Inch3_5Ed, Geometry::ED_2880K, 3),
    ] {
        let mut machine = Machine::new(Timing::Authentic, drive_type, geometry, rate);
        let (before, sectors) = (machine.time, geometry.sectors());
        for cylinder in 0..geometry.cylinders() {
            machine.dma(DMA_READ_FLOPPY, 2 * usize::from(sectors) * SECTOR);
            let read = machine.command(&[0xC6, 0, cylinder, 0, 1, 2, sectors, 0x1B, 0xFF]);
            assert_eq!(read[0] & 0xC0, 0);
        }
        let time = machine.time - before;
        row(&format!("whole {name} disk, a READ DATA with MT a cylinder"), time);
        // A cylinder takes at least two revolutions, and no more than three and a step.
        let revolution = Duration::from_secs(60) / drive_type.rpm();
        let revolutions = time.as_secs_f64() / revolution.as_secs_f64() / f64::from(geometry.cylinders());
        assert!((2.0..3.2).contains(&revolutions), "{name}: {revolutions} revolutions a cylinder");
    }
    let mut machine = Machine::hd(Timing::Authentic);
    let before = machine.time;
    let mut place = 1u32;
    for _ in 0..1_000 {
        place = place * 1_103 % 2_879; // a pseudo-random order
        let (cylinder, head, sector) = (place / 36, place / 18 % 2, place % 18 + 1);
        machine.dma(DMA_READ_FLOPPY, SECTOR);
        let read = [0x46, head << 2, cylinder, head, sector, 2, 18, 0x1B, 0xFF].map(|byte| byte as u8);
        assert_eq!(machine.command(&read)[0] & 0xC0, 0);
    }
    row("one sector of a 1.44M disk, in the mean of a thousand at random", (machine.time - before) / 1_000);
    machine.seek(&[0x0F, 0, 79]);
    row("RECALIBRATE from cylinder 79, at 3 ms a step", machine.seek(&[0x07, 0]).0);
    machine.guest.bus.write(CCR, 2);
    row("READ ID where nothing can be read, up to", {
        let longest = (0..50).map(|n| {
            machine.advance(millis(n * 7));
            let time = machine.takes(&[0x4A, 0]);
            machine.finish();
            time
        });
        longest.max().unwrap()
    });
    machine.guest.bus.write(CCR, 0);
    machine.guest.bus.write(DOR, 0x0C);
    machine.advance(Duration::from_secs(2));
    machine.guest.bus.write(DOR, 0x1C);
    row("READ ID from the start of the motor", machine.takes(&[0x4A, 0]));
    rows
}

#[test]
fn the_times_are_those_of_the_documentation() {
    // §10
    let documented = include_str!("../../../src/controller/times.md");
    let table = table();
    assert!(documented.ends_with(&table), "the table should be:\n{table}");
}

// Extreme times

#[test]
fn no_advance_is_too_long() {
    // §12
    let mut machine = Machine::hd(Timing::Authentic);
    for command in
        [&[0x46, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF][..], &[0x0F, 0, 79], &[0x4A, 0], &[0x4D, 0, 2, 18, 0x6C, 0xF6]]
    {
        machine.dma(DMA_READ_FLOPPY, SECTOR);
        machine.begin(command);
        for _ in 0..3 {
            machine.guest.bus.fdc.advance(Duration::MAX);
        }
        assert_eq!(machine.guest.bus.fdc.next_event(), None, "{command:02x?}");
        machine.finish();
        machine.guest.sense_interrupt();
    }
    machine.dma(DMA_READ_FLOPPY, SECTOR);
    assert_eq!(machine.command(&[0xC6, 0, 79, 0, 1, 2, 18, 0x1B, 0xFF])[..3], [0, 0, 0]);
}

#[test]
fn without_time_nothing_happens_however_often_the_guest_polls() {
    // §12
    let mut machine = Machine::hd(Timing::Authentic);
    machine.dma(DMA_READ_FLOPPY, SECTOR);
    machine.begin(&[0x46, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF]);
    for _ in 0..10_000 {
        assert_eq!(machine.guest.bus.read(MSR), 0x10);
        machine.guest.bus.fdc.advance(Duration::ZERO);
        machine.guest.bus.fdc.service_dma();
    }
    assert_eq!(machine.guest.buffer(SECTOR), [0; SECTOR]);
    assert_eq!(machine.finish()[..3], [0, 0, 0]);
}

#[test]
fn the_slowest_steps_to_the_last_cylinder_take_32_ms_each() {
    // §7.1, §12: 32 ms for each step at 250 kb/s.
    let mut machine = Machine::hd(Timing::Authentic);
    machine.guest.bus.write(CCR, 2);
    machine.command(&[0x03, 0x00, 0x00]);
    assert_eq!(machine.seek(&[0x0F, 0, 255]), (millis(32) * 255, vec![0x20, 255]));
    // Outward the chip stops at track 0, from the last cylinder that the head reaches.
    assert_eq!(machine.seek(&[0x8F, 0, 255]), (millis(32) * 85, vec![0x70, 0]));
}

#[test]
fn the_index_hole_shows_in_sra_once_a_revolution() {
    // §1.2, §10.1: 1.5 to 5 ms of each revolution, with a disk in the drive and the motor at speed.
    for (mode, active) in [(InterfaceMode::Ps2, 0), (InterfaceMode::Model30, 0x04)] {
        let builder = Controller::builder().drive(0, DriveType::Inch3_5Hd).interface(mode).timing(Timing::Authentic);
        let mut guest = timed_guest(builder);
        let drive = guest.bus.fdc.drive(0).unwrap();
        let pulses = |guest: &mut Guest| {
            let seen: Vec<bool> = (0..2_000)
                .map(|_| {
                    guest.bus.fdc.advance(Duration::from_micros(500));
                    guest.bus.read(0x3F0) & 0x04 == active
                })
                .collect();
            let rises = seen.windows(2).filter(|pair| !pair[0] && pair[1]).count();
            (rises, seen.iter().filter(|&&seen| seen).count())
        };
        guest.bus.write(DOR, 0x1C);
        assert_eq!(pulses(&mut guest), (0, 0), "no disk");
        drive.attach_medium(SectorDisk::formatted(Geometry::HD_1440K, 0)).unwrap();
        let (rises, halves) = pulses(&mut guest);
        assert!((4..=5).contains(&rises) && (3 * 5..=10 * 5).contains(&halves), "{rises}, {halves}");
        guest.bus.write(DOR, 0x0C);
        assert_eq!(pulses(&mut guest), (0, 0), "the motor is off");
    }
}

// Strings

#[test]
fn strings_move_the_bytes_in_the_fifo_and_no_more() {
    // §7.3
    for configure in [0x20, 0x00, 0x08] {
        let mut machine = Machine::hd(Timing::Authentic);
        machine.command(&[0x13, 0, configure, 0]);
        machine.command(&[0x03, 0xDF, 0x03]);
        let data: Vec<u8> = (0..2 * SECTOR).map(|n| (n % 253) as u8).collect();
        machine.begin(&[0x45, 0, 0, 0, 17, 2, 18, 0x1B, 0xFF]);
        let mut written = 0;
        while machine.guest.bus.read(MSR) & 0xF0 != 0xD0 {
            let went = machine.guest.bus.fdc.write_string(&data[written..]);
            assert!(went <= 17, "no more than the FIFO holds");
            written += went;
            machine.wait();
        }
        assert_eq!((written, machine.finish()[..3].to_vec()), (data.len(), vec![0x40, 0x80, 0]));
        machine.begin(&[0x46, 0, 0, 0, 17, 2, 18, 0x1B, 0xFF]);
        let mut read = Vec::new();
        while machine.guest.bus.read(MSR) & 0xF0 != 0xD0 {
            let mut string = [0; 64];
            let went = machine.guest.bus.fdc.read_string(&mut string);
            assert!(went <= 17);
            read.extend_from_slice(&string[..went]);
            machine.wait();
        }
        assert!(read == data, "{configure:#04x}");
        assert_eq!(machine.finish()[..3], [0x40, 0x80, 0]);
    }
}

// Late hosts

#[test]
fn a_channel_that_does_not_serve_causes_an_overrun() {
    // §4.14, §7.3
    for (configure, micros) in [(0x20, 16 * 2), (0x00, 16 * 17)] {
        for (opcode, mode) in [(0x46, DMA_READ_FLOPPY), (0x45, DMA_WRITE_FLOPPY)] {
            let mut machine = Machine::hd(Timing::Authentic);
            machine.command(&[0x13, 0, configure, 0]);
            machine.dma(mode, SECTOR);
            machine.guest.mask_dma();
            machine.begin(&[opcode, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF]);
            while machine.guest.bus.read(DMA_STATUS) & 0x40 == 0 || machine.guest.bus.read(MSR) != 0x10 {
                if machine.guest.bus.read(MSR) != 0x10 {
                    break;
                }
                assert!(machine.wait());
            }
            assert_eq!(machine.finish()[..3], [0x40, 0x10, 0], "{configure:#04x}, {micros}");
        }
    }
}

#[test]
fn a_channel_that_stops_within_a_sector_causes_an_overrun() {
    // §4.14
    for (opcode, mode) in [(0x46, DMA_READ_FLOPPY), (0x45, DMA_WRITE_FLOPPY)] {
        let mut machine = Machine::hd(Timing::Authentic);
        machine.command(&[0x13, 0, 0x0F, 0]); // a request for each byte
        machine.dma(mode, SECTOR);
        machine.begin(&[opcode, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF]);
        let mut left = u16::MAX;
        while left >= 511 {
            assert!(machine.wait());
            left = u16::from_le_bytes([machine.guest.bus.read(0x05), machine.guest.bus.read(0x05)]);
        }
        machine.guest.mask_dma();
        let masked = machine.time;
        assert_eq!(machine.finish()[..3], [0x40, 0x10, 0]);
        assert!(machine.time - masked < REVOLUTION + REVOLUTION / 2);
    }
}

#[test]
fn a_guest_that_does_not_fetch_its_bytes_causes_an_overrun() {
    // §4.14
    for configure in [0x20, 0x00, 0x0F] {
        for opcode in [0x46, 0x45] {
            let mut machine = Machine::hd(Timing::Authentic);
            machine.command(&[0x13, 0, configure, 0]);
            machine.command(&[0x03, 0xDF, 0x03]);
            machine.begin(&[opcode, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF]);
            machine.advance(Duration::from_secs(1));
            // The bytes in the FIFO can be fetched before the result phase.
            let mut fetched = 0;
            while machine.guest.bus.read(MSR) == TO_HOST {
                machine.guest.bus.read(FIFO);
                fetched += 1;
            }
            assert!(fetched <= 16);
            assert_eq!(machine.finish()[..3], [0x40, 0x10, 0], "{configure:#04x}");
        }
    }
}

// Interactions of commands, motor and disk

#[test]
fn a_seek_can_be_replaced_by_another_seek() {
    // §3.16
    for (first, second) in [(40, 20), (40, 79), (79, 0), (30, 30)] {
        let mut machine = Machine::hd(Timing::Authentic);
        machine.begin(&[0x0F, 0, first]);
        machine.advance(millis(31));
        machine.begin(&[0x0F, 0, second]);
        machine.advance(Duration::from_secs(1));
        assert_eq!(machine.command(&[0x08]), [0x20, second]);
        assert_eq!(machine.command(&[0x08]), [0x80]);
        assert_eq!(machine.command(&[0x4A, 0])[3], second, "{first}, then {second}");
        assert!(!machine.wait());
    }
}

#[test]
fn an_implied_seek_continues_from_an_unfinished_seek() {
    // §4.5
    let mut machine = Machine::hd(Timing::Authentic);
    machine.begin(&[0x0F, 0, 30]);
    machine.advance(millis(31));
    machine.dma(DMA_READ_FLOPPY, SECTOR);
    assert_eq!(machine.command(&[0x46, 0, 30, 0, 1, 2, 18, 0x1B, 0xFF]), [0x20, 0, 0, 30, 0, 2, 2]);
}

#[test]
fn an_implied_seek_shows_in_the_msr_and_makes_its_steps_one_by_one() {
    // §2.1, §4.5, §10.2
    let mut machine = Machine::hd(Timing::Authentic);
    machine.begin(&[0x46, 0, 79, 0, 1, 2, 18, 0x1B, 0xFF]);
    machine.advance(millis(31));
    assert_eq!(machine.guest.bus.read(MSR), 0x11);
    machine.guest.bus.write(DOR, 0x18);
    machine.guest.bus.write(DOR, 0x1C);
    machine.advance(millis(1));
    for _ in 0..4 {
        machine.command(&[0x08]);
    }
    machine.command(&[0x13, 0x00, 0x00, 0x00]);
    assert_eq!(machine.command(&[0x4A, 0])[3], 10);
}

#[test]
fn a_seek_after_a_reset_does_not_suppress_the_interrupt_of_the_reset() {
    // §6.2: only CONFIGURE suppresses it
    let mut machine = Machine::hd(Timing::Authentic);
    machine.guest.bus.write(DOR, 0x18);
    machine.guest.bus.write(DOR, 0x1C);
    machine.begin(&[0x0F, 0, 5]);
    machine.advance(Duration::from_micros(250));
    assert!(machine.guest.bus.irq().is_high());
    assert_eq!(machine.command(&[0x08]), [0xC0, 0]);
}

#[test]
fn a_request_for_a_byte_has_its_own_edge() {
    // §6.4, §6.5: also while a seek holds INT high
    let mut machine = Machine::hd(Timing::Authentic);
    machine.command(&[0x13, 0x00, 0x20, 0x00]);
    machine.command(&[0x03, 0xDF, 0x03]);
    machine.begin(&[0x0F, 1, 0]);
    let before = machine.guest.bus.irq().edges();
    machine.begin(&[0x46, 0, 0, 0, 1, 2, 1, 0x1B, 0xFF]);
    while machine.guest.bus.read(MSR) & 0x80 == 0 {
        assert!(machine.wait());
    }
    assert_eq!(machine.guest.bus.irq().edges() - before, 1);
    machine.guest.bus.read(FIFO);
    assert_eq!((machine.guest.bus.read(MSR) & 0x80, machine.guest.bus.irq().edges() - before), (0, 1));
}

#[test]
fn dma_is_requested_when_there_is_a_byte() {
    // §7.3, §8.1
    let mut machine = Machine::hd(Timing::Authentic);
    machine.dma(DMA_READ_FLOPPY, SECTOR);
    machine.guest.mask_dma();
    machine.begin(&[0x46, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF]);
    let (mut requested, mut events) = (false, 0);
    while machine.guest.bus.read(MSR) == 0x10 {
        assert!(machine.wait());
        events += usize::from(!requested);
        requested |= machine.guest.bus.read(DMA_STATUS) & 0x40 != 0;
    }
    assert!(requested);
    assert!(events > 1, "no request before the sector passes the head");
}

#[test]
fn a_waiting_command_waits_until_the_motor_is_at_speed() {
    // §4.13, §10.2
    let builder = Controller::builder().drive(0, DriveType::Inch3_5Hd).timing(Timing::Authentic);
    let mut guest = timed_guest(builder.empty_drive(EmptyDrive::Hang));
    let drive = guest.bus.fdc.drive(0).unwrap();
    drive.attach_medium(SectorDisk::formatted(Geometry::HD_1440K, 0xE5)).unwrap();
    guest.bus.write(DOR, 0x0C);
    guest.bus.write(CCR, 0);
    let mut machine = Machine { guest, drive, time: Duration::ZERO, slices: Vec::new(), log: Vec::new() };
    machine.advance(millis(1));
    for _ in 0..4 {
        machine.command(&[0x08]);
    }
    machine.begin(&[0x4A, 0]);
    machine.advance(Duration::from_secs(1));
    machine.guest.bus.write(DOR, 0x1C);
    let start = machine.time;
    assert_eq!(machine.finish()[..3], [0, 0, 0]);
    assert!(machine.time - start >= millis(400));
}

/// Returns a machine that waits for a disk that stopped, with the motor at speed.
fn waits_for_a_stopped_disk() -> Machine {
    let builder = Controller::builder().drive(0, DriveType::Inch3_5Hd).timing(Timing::Authentic);
    let mut guest = timed_guest(builder.empty_drive(EmptyDrive::Hang));
    let drive = guest.bus.fdc.drive(0).unwrap();
    guest.bus.write(DOR, 0x1C);
    guest.bus.write(CCR, 0);
    let mut machine = Machine { guest, drive, time: Duration::ZERO, slices: Vec::new(), log: Vec::new() };
    machine.advance(Duration::from_secs(1));
    for _ in 0..4 {
        machine.command(&[0x08]);
    }
    machine
}

/// Waits until as many bytes of a transfer by DMA are left, or fewer.
fn wait_for_bytes_left(machine: &mut Machine, bytes: usize) {
    let mut left = usize::MAX;
    while left > bytes {
        assert!(machine.wait());
        left = u16::from_le_bytes([machine.guest.bus.read(0x05), machine.guest.bus.read(0x05)]).into();
    }
}

#[test]
fn a_sector_under_the_head_is_lost_when_the_motor_stops() {
    // §4.13
    let mut machine = waits_for_a_stopped_disk();
    machine.drive.attach_medium(SectorDisk::formatted(Geometry::HD_1440K, 0xE5)).unwrap();
    machine.dma(DMA_READ_FLOPPY, SECTOR);
    machine.begin(&[0x46, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF]);
    wait_for_bytes_left(&mut machine, SECTOR - 2);
    machine.guest.bus.write(DOR, 0x0C);
    machine.advance(Duration::from_secs(3));
    machine.guest.bus.write(DOR, 0x1C);
    assert_eq!(machine.finish()[..3], [0x40, 0x20, 0x20]);
}

#[test]
fn what_was_written_before_the_motor_stopped_is_in_the_file() {
    // §4.13: by the end of the command that the motor brings about, and by a reset
    for reset in [false, true] {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1_474_560).unwrap();
        let mut machine = waits_for_a_stopped_disk();
        machine.drive.attach_image(file.path(), Access::ReadWrite).unwrap();
        machine.guest.bus.fdc.dma_mut().memory_mut()[BUFFER as usize..][..4 * SECTOR].fill(0x5A);
        machine.dma(DMA_WRITE_FLOPPY, 4 * SECTOR);
        machine.begin(&[0x45, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF]);
        wait_for_bytes_left(&mut machine, SECTOR + SECTOR / 2);
        machine.guest.bus.write(DOR, 0x0C);
        machine.advance(Duration::from_secs(3));
        if reset {
            machine.guest.bus.write(DOR, 0x08);
        } else {
            machine.guest.bus.write(DOR, 0x1C);
            assert_eq!(machine.finish()[..3], [0x40, 0x20, 0x00]);
        }
        let written = std::fs::read(file.path()).unwrap();
        assert!(written[..2 * SECTOR] == [0x5A; 2 * SECTOR], "reset: {reset}");
        assert!(written[4 * SECTOR..].iter().all(|&byte| byte == 0), "reset: {reset}");
    }
}

#[test]
fn the_clock_stops_at_its_end() {
    // 146 years, an hour at a time: more counts as an hour
    for timing in [Timing::Immediate, Timing::Authentic] {
        let mut machine = Machine::hd(timing);
        for _ in 0..1_290_000 {
            machine.guest.bus.fdc.advance(Duration::MAX);
        }
        machine.begin(&[0x46, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF]);
        for _ in 0..3 {
            machine.guest.bus.fdc.advance(Duration::MAX);
        }
        if timing == Timing::Authentic {
            assert_eq!(machine.guest.bus.fdc.next_event(), None);
        }
        // A command whose time does not come is ended by a reset.
        machine.guest.bus.write(DOR, 0x18);
        machine.guest.bus.write(DOR, 0x1C);
        machine.guest.bus.fdc.advance(Duration::MAX);
        assert_eq!(machine.guest.bus.read(MSR), 0x80, "{timing:?}");
    }
}

#[test]
fn write_protection_is_reported_at_once() {
    // §3.5, §4.13: before the head is loaded, and before the motor is at speed
    for command in [&[0x45, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF][..], &[0x4D, 0, 2, 18, 0x6C, 0xF6]] {
        let mut machine = Machine::hd(Timing::Authentic);
        machine.drive.release_image().unwrap();
        let mut disk = SectorDisk::formatted(Geometry::HD_1440K, 0xE5);
        disk.set_write_protected(true);
        machine.drive.attach_medium(disk).unwrap();
        machine.guest.bus.write(DOR, 0x0C);
        machine.begin(command);
        assert_eq!(machine.guest.bus.read(MSR), 0xD0);
        assert_eq!(machine.finish()[..3], [0x40, 0x02, 0]);
    }
}

#[test]
fn read_track_begins_at_the_index_hole() {
    // §4.7: 146 + 60 bytes pass between the index hole and the first data byte
    let first_byte = Duration::from_micros((146 + 60) * 16);
    for wait in (0..200).step_by(3) {
        let mut machine = Machine::hd(Timing::Authentic);
        machine.command(&[0x03, 0xDF, 0x03]);
        machine.advance(millis(wait));
        let start = machine.time;
        machine.begin(&[0x42, 0, 0, 0, 1, 2, 1, 0x1B, 0xFF]);
        while machine.guest.bus.read(MSR) & 0x80 == 0 {
            assert!(machine.wait());
        }
        assert!(machine.time - start >= first_byte, "after {wait} ms");
    }
}

#[test]
fn a_track_of_any_format_is_read_in_two_revolutions() {
    // §9.7, §10.1: also if the gaps of the format are shorter than usual
    let rates = [500, 300, 250, 1000];
    for format in FORMATS {
        let Some(&geometry) = format.layout.geometry() else { continue };
        for drive_type in DriveType::ALL.into_iter().filter(|drive| drive.accepts(format.layout)) {
            let slow = drive_type == DriveType::Inch5_25Hd && geometry.rate().kbps() == 250;
            let kbps = if slow { 300 } else { geometry.rate().kbps() };
            let rate = rates.iter().position(|&rate| rate == kbps).unwrap() as u8;
            let mut machine = Machine::new(Timing::Authentic, drive_type, geometry, rate);
            machine.dma(DMA_READ_FLOPPY, usize::from(geometry.sectors()) * geometry.sector_size());
            let took = machine.takes(&[0x46, 0, 0, 0, 1, geometry.size_code(), geometry.sectors(), 0x1B, 0xFF]);
            assert_eq!(machine.finish()[..3], [0, 0, 0], "{format} in {drive_type}");
            assert!(took < 2 * REVOLUTION + millis(20), "{format} in {drive_type}: {took:?}");
        }
    }
}

// Both timings

#[derive(Clone, Debug)]
enum Step {
    Command(Vec<u8>),
    Seek(Vec<u8>),
    Rate(u8),
}

fn program() -> impl Strategy<Value = Vec<Step>> {
    let opcode = prop::sample::select(vec![0x46, 0x66, 0xC6, 0x4C, 0x45, 0xC5, 0x49, 0x42, 0x51, 0x59, 0xD1]);
    let transfer = (opcode, 0..2u8, 0..3u8, 1..=19u8, prop_oneof![5 => Just(2u8), 1 => 0..=8u8], 1..=19u8, 1..5u8);
    let transfer = transfer.prop_map(|(opcode, head, cylinder, sector, size, end, last)| {
        Step::Command(vec![opcode, head << 2, cylinder, head, sector, size, end, 0x1B, last])
    });
    let verify = (0..2u8, any::<bool>(), 1..=18u8, 1..20u8).prop_map(|(head, count, sector, sectors)| {
        Step::Command(vec![0x56, head << 2 | u8::from(count) << 7, 0, head, sector, 2, 18, 0x1B, sectors])
    });
    let format =
        (0..2u8, 1..=18u8).prop_map(|(head, sectors)| Step::Command(vec![0x4D, head << 2, 2, sectors, 0x6C, 0xF6]));
    let seek = (0..4u8).prop_map(|cylinder| Step::Seek(vec![0x0F, 0, cylinder]));
    prop::collection::vec(
        prop_oneof![
            8 => transfer,
            1 => verify,
            1 => format,
            2 => seek,
            1 => Just(Step::Seek(vec![0x07, 0])),
            1 => Just(Step::Rate(2)),
            2 => Just(Step::Rate(0)),
            1 => Just(Step::Command(vec![0x04, 0])),
            1 => Just(Step::Command(vec![0x0E])),
        ],
        1..8,
    )
}

/// Runs a program. The log of the machine has all answers without times.
fn run(timing: Timing, dma: bool, configure: u8, bytes: usize, program: &[Step], slices: &[Duration]) -> Machine {
    let mut machine = Machine::hd(timing);
    machine.slices = slices.to_vec();
    machine.command(&[0x13, 0, configure, 0]);
    machine.command(&[0x03, 0xDF, 0x02 | u8::from(!dma)]);
    for step in program {
        match step {
            Step::Rate(rate) => machine.guest.bus.write(CCR, *rate),
            Step::Seek(seek) => {
                let (_, status) = machine.seek(seek);
                machine.log.push(format!("{status:02x?}"));
            }
            Step::Command(command) => {
                let reads = matches!(command[0] & 0x1F, 0x06 | 0x0C | 0x02);
                machine.dma(if reads { DMA_READ_FLOPPY } else { DMA_WRITE_FLOPPY }, bytes);
                machine.command(command);
                let sum =
                    machine.guest.buffer(bytes).iter().fold(0u32, |sum, &byte| sum.rotate_left(5) ^ u32::from(byte));
                machine.log.push(format!("memory {sum:08x}"));
            }
        }
    }
    machine
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn both_timings_give_the_guest_the_same_answers(
        program in program(),
        dma in any::<bool>(),
        configure in prop::sample::select(vec![0x00u8, 0x07, 0x0F, 0x20, 0x40, 0x60]),
        bytes in prop_oneof![Just(512usize), Just(2048), Just(18_432), 1..3000usize],
    ) {
        // §10.4
        let [timed, at_once] =
            [Timing::Authentic, Timing::Immediate].map(|timing| run(timing, dma, configure, bytes, &program, &[]).log);
        prop_assert_eq!(timed, at_once);
    }

    #[test]
    fn time_in_pieces_has_the_effect_of_their_sum(
        program in program(),
        dma in any::<bool>(),
        configure in prop::sample::select(vec![0x00u8, 0x20, 0x47]),
        slices in prop_oneof![
            Just(vec![1_000u64]),
            Just(vec![1_000_000]),
            prop::collection::vec(500..3_000_000u64, 1..20),
        ],
    ) {
        // §10.4: from event to event, in pieces of 1 us and of 1 ms, and at random.
        let slices: Vec<_> = slices.into_iter().map(Duration::from_nanos).collect();
        let [whole, sliced] = [&[][..], &slices]
            .map(|slices| run(Timing::Authentic, dma, configure, 1024, &program[..program.len().min(2)], slices));
        prop_assert_eq!(&whole.log, &sliced.log);
        prop_assert_eq!(whole.time, sliced.time);
        prop_assert_eq!(whole.guest.bus.irq().edges(), sliced.guest.bus.irq().edges());
    }
}
