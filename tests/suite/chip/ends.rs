//! Ends of commands that come later than the access that completes them: models of the drivers that depend on it, and of VM
//! monitors with a timer and without one.

use std::time::Duration;

use super::kit::disk::{CYLINDER, FULL_DISK, READ, SECTOR, WRITE, command, in_file};
use super::kit::{CCR, DMA_READ_FLOPPY, DMA_WRITE_FLOPPY, DOR, FIFO, FROM_HOST, Guest, MSR, TO_HOST, fixture};
use vm_fdc::{
    Controller, ControllerBuilder, EmptyDrive, EndDelay, FifoAfterOverrun, FloppyDrive, InterfaceMode, PowerOn, Timing,
    drive::DriveType,
    media::{Access, Geometry, SectorDisk},
};

const READ_ID: [u8; 2] = [0x4A, 0];
/// MSR: busy, and no byte may move; with DMA, and in a read or a write without.
const BUSY: u8 = 0x10;
const BUSY_READ: u8 = 0x70;
const BUSY_WRITE: u8 = 0x30;
const REVOLUTION: Duration = Duration::from_millis(200);

/// A guest with a full disk, the head at [`CYLINDER`], whose VM monitor does nothing that the test does not do.
fn guest(builder: ControllerBuilder) -> (Guest, FloppyDrive) {
    let mut guest = Guest::new(builder.drive(0, DriveType::Inch3_5Hd));
    let drive = guest.bus.fdc.drive(0).unwrap();
    drive.attach_image(fixture(FULL_DISK), Access::Private).unwrap();
    guest.reset();
    guest.select(0);
    guest.bus.write(CCR, 0);
    guest.seek(CYLINDER);
    guest.bus.follows = false;
    (guest, drive)
}

fn follow(guest: &mut Guest) {
    let event = guest.bus.fdc.next_event().expect("an end is to come");
    guest.bus.fdc.advance(event);
}

// Windows 98

#[test]
fn the_interrupt_of_read_id_comes_after_the_write_that_completes_the_command() {
    // §10.4: Windows 98 drops an interrupt that comes within that write.
    let (mut guest, _drive) = guest(Controller::builder());
    let edges = guest.bus.irq().edges();
    guest.send(&READ_ID).unwrap();
    assert_eq!(guest.bus.irq().edges(), edges);
    assert_eq!(guest.bus.fdc.next_event(), Some(Duration::from_millis(1)));
    guest.bus.fdc.advance(Duration::from_micros(999));
    assert_eq!(guest.bus.irq().edges(), edges);
    guest.bus.fdc.advance(Duration::from_micros(1));
    assert_eq!(guest.bus.irq().edges(), edges + 1);
    assert_eq!(guest.bus.fdc.next_event(), None);
    assert_eq!(guest.reply(), [0, 0, 0, CYLINDER, 0, 1, 2]);
}

#[test]
fn a_guest_that_polls_the_msr_gets_the_result_of_read_id_without_a_timer() {
    // §2.2
    let (mut guest, _drive) = guest(Controller::builder());
    guest.send(&READ_ID).unwrap();
    assert_eq!(guest.bus.read(MSR), BUSY, "the first look shows execution");
    assert!(guest.bus.irq().is_high(), "and ends it");
    assert_eq!(guest.reply()[3..], [CYLINDER, 0, 1, 2]);
}

#[test]
fn a_failing_read_id_is_delayed_as_well() {
    // §4.11
    let (mut guest, _drive) = guest(Controller::builder());
    guest.bus.write(CCR, 2);
    guest.send(&READ_ID).unwrap();
    assert!(!guest.bus.irq().is_high());
    follow(&mut guest);
    assert_eq!(guest.reply().status(), [0x40, 0x01, 0]);
}

// Linux without DMA

/// The interrupt handler of Linux with `floppy=nodma`: moves bytes while RQM, and takes the result when the MSR that it reads
/// behind the last byte shows the result phase. Returns whether it took the result.
fn handler(guest: &mut Guest, data: &mut [u8], moved: &mut usize) -> bool {
    loop {
        match guest.bus.read(MSR) {
            TO_HOST if *moved < data.len() => data[*moved] = guest.bus.read(FIFO),
            FROM_HOST if *moved < data.len() => guest.bus.write(FIFO, data[*moved]),
            status => return status & 0xF0 == 0xD0,
        }
        *moved += 1;
    }
}

#[test]
fn linux_without_dma_reads_and_writes_tracks_and_gets_an_interrupt_for_each_result() {
    // §2.2 [measured], with a timer and without one, with the FIFO on and off.
    for (fifo, timer) in [(0x0A, false), (0x0A, true), (0x20, false), (0x20, true)] {
        for (opcode, busy) in [(READ, BUSY_READ), (WRITE, BUSY_WRITE)] {
            let (mut guest, _drive) = guest(Controller::builder());
            guest.use_dma(false);
            guest.command(&[0x13, 0, fifo, 0]);
            guest.send(&command(opcode, 1, 1, 18)).unwrap();
            let (mut data, mut moved) = (vec![0x5A; 18 * SECTOR], 0);
            assert!(!handler(&mut guest, &mut data, &mut moved), "the result is not there within the last byte");
            assert_eq!(moved, data.len());
            if opcode == READ {
                assert!(data == in_file(1, 1, 18));
            }
            if timer {
                let (mut other, _drive) = self::guest(Controller::builder());
                other.use_dma(false);
                other.send(&command(opcode, 1, 18, 18)).unwrap();
                for _ in 0..SECTOR {
                    if opcode == READ { _ = other.bus.read(FIFO) } else { other.bus.write(FIFO, 0) }
                }
                assert_eq!(other.bus.fdc.next_event(), Some(Duration::from_micros(50)));
                follow(&mut other);
                assert!(other.bus.irq().is_high());
                assert_eq!(other.reply().status(), [0x44, 0x80, 0]);
            }
            assert!(guest.bus.irq().is_high(), "its look at the MSR ended the command: {busy:#04x}");
            assert_eq!(guest.reply().status(), [0x44, 0x80, 0]);
        }
    }
}

#[test]
fn the_msr_shows_execution_behind_the_last_byte() {
    // §2.1, §2.2
    for (opcode, busy) in [(READ, BUSY_READ), (WRITE, BUSY_WRITE)] {
        let (mut guest, _drive) = guest(Controller::builder());
        guest.use_dma(false);
        guest.send(&command(opcode, 0, 18, 18)).unwrap();
        for _ in 0..SECTOR {
            if opcode == READ { _ = guest.bus.read(FIFO) } else { guest.bus.write(FIFO, 0) }
        }
        assert!(!guest.bus.irq().is_high());
        assert_eq!([guest.bus.read(MSR), guest.bus.read(MSR)], [busy, 0xD0]);
    }
}

#[test]
fn a_read_that_linux_leaves_in_the_middle_ends_with_its_overrun_in_time_too() {
    // §4.14 [measured]; the data sheets of clones want the host to take what is left.
    for kept in [FifoAfterOverrun::Discarded, FifoAfterOverrun::Kept] {
        let builder = Controller::builder().timing(Timing::Authentic).fifo_after_overrun(kept);
        let (mut guest, _drive) = in_time(builder);
        guest.use_dma(false);
        guest.command(&[0x13, 0, 0x0F, 0]);
        guest.send(&[READ, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF]).unwrap();
        let mut taken = 0;
        while taken < 100 {
            match guest.bus.read(MSR) {
                TO_HOST => {
                    guest.bus.read(FIFO);
                    taken += 1;
                }
                _ => follow(&mut guest),
            }
        }
        guest.bus.fdc.advance(REVOLUTION);
        let mut drained = 0;
        while guest.bus.read(MSR) == TO_HOST {
            guest.bus.read(FIFO);
            drained += 1;
        }
        assert_eq!(drained > 0, kept == FifoAfterOverrun::Kept, "{kept:?}: {drained} bytes");
        guest.bus.fdc.advance(Duration::from_millis(1));
        assert_eq!(guest.reply().status(), [0x40, 0x10, 0], "{kept:?}");
    }
}

/// A guest in the time of a real drive, with the motor at speed and the head at cylinder 0.
fn in_time(builder: ControllerBuilder) -> (Guest, FloppyDrive) {
    let mut guest = Guest::new(builder.drive(0, DriveType::Inch3_5Hd));
    guest.bus.follows = false;
    let drive = guest.bus.fdc.drive(0).unwrap();
    drive.attach_medium(SectorDisk::formatted(Geometry::HD_1440K, 0xE5)).unwrap();
    guest.bus.write(DOR, 0x1C);
    guest.bus.write(CCR, 0);
    guest.bus.fdc.advance(Duration::from_secs(1));
    for _ in 0..4 {
        guest.sense_interrupt();
    }
    guest.command(&[0x03, 0xDF, 0x02]);
    (guest, drive)
}

// The choices

#[test]
fn without_a_delay_each_command_ends_within_its_access() {
    // §10.4
    let (mut guest, _drive) = guest(Controller::builder().end_delay(EndDelay::None));
    guest.send(&READ_ID).unwrap();
    assert!(guest.bus.irq().is_high());
    assert_eq!(guest.reply().len(), 7);
    guest.use_dma(false);
    guest.send(&command(READ, 0, 18, 18)).unwrap();
    (0..SECTOR).for_each(|_| _ = guest.bus.read(FIFO));
    assert_eq!((guest.bus.read(MSR), guest.bus.fdc.next_event()), (0xD0, None));
}

#[test]
fn all_commands_that_seek_or_execute_can_end_later() {
    // §10.4
    let builder = || Controller::builder().end_delay(EndDelay::All);
    let times =
        |builder: ControllerBuilder| builder.end_delay_times(Duration::from_millis(3), Duration::from_micros(7));
    for (what, bytes) in [
        ("SEEK", &[0x0F, 0, 9][..]),
        ("SEEK to where the head is", &[0x0F, 0, CYLINDER]),
        ("RECALIBRATE", &[0x07, 0]),
        ("RELATIVE SEEK", &[0xCF, 0, 2]),
        ("READ DATA", &command(READ, 0, 1, 1)),
        ("WRITE DATA", &command(WRITE, 0, 1, 1)),
        ("VERIFY", &[0x56, 0, CYLINDER, 0, 1, 2, 18, 0x1B, 0xFF]),
        ("READ ID", &READ_ID),
    ] {
        for (builder, delay) in [(builder(), 1), (times(builder()), 3)] {
            let (mut guest, _drive) = guest(builder);
            // The seek of `guest` ends.
            guest.bus.fdc.advance(REVOLUTION);
            guest.command(&[0x08]);
            let mode = if bytes[0] == WRITE { DMA_WRITE_FLOPPY } else { DMA_READ_FLOPPY };
            guest.program_dma(mode, super::kit::BUFFER, SECTOR);
            guest.send(bytes).unwrap();
            assert!(!guest.bus.irq().is_high(), "{what}");
            assert_eq!(guest.bus.fdc.next_event(), Some(Duration::from_millis(delay)), "{what}");
            follow(&mut guest);
            assert!(guest.bus.irq().is_high(), "{what}");
        }
    }
}

#[test]
fn a_seek_whose_end_is_delayed_shows_the_drive_busy() {
    // §2.1
    let (mut guest, _drive) = guest(Controller::builder().end_delay(EndDelay::All));
    guest.send(&[0x0F, 0, 9]).unwrap();
    assert_eq!(guest.bus.read(MSR), 0x81);
    assert_eq!(guest.command(&[0x08]), [0x80]);
    follow(&mut guest);
    assert_eq!(guest.command(&[0x08]), [0x20, 9]);
}

#[test]
fn a_delay_is_a_second_at_most() {
    let builder = Controller::builder().end_delay_times(Duration::MAX, Duration::MAX);
    let (mut guest, _drive) = guest(builder);
    guest.send(&READ_ID).unwrap();
    assert_eq!(guest.bus.fdc.next_event(), Some(Duration::from_secs(1)));
}

#[test]
fn a_reset_ends_a_delay() {
    // §1.11
    let (mut guest, _drive) = guest(Controller::builder());
    guest.send(&READ_ID).unwrap();
    guest.bus.write(DOR, 0x18);
    assert_eq!((guest.bus.read(MSR), guest.bus.fdc.next_event()), (0x00, None));
    guest.bus.write(DOR, 0x1C);
    assert_eq!(guest.sense_interrupt(), [0xC0, 0]);
}

#[test]
fn other_commands_and_transfers_by_dma_end_within_their_access() {
    // §10.4
    let (mut guest, _drive) = guest(Controller::builder());
    guest.program_dma(DMA_READ_FLOPPY, super::kit::BUFFER, SECTOR);
    guest.send(&command(READ, 0, 1, 18)).unwrap();
    assert!(guest.bus.irq().is_high());
    assert_eq!(guest.reply().len(), 7);
    guest.send(&[0x0F, 0, 9]).unwrap();
    assert!(guest.bus.irq().is_high());
}

#[test]
fn a_second_seek_within_the_delay_counts_from_where_the_head_is() {
    // §3.16, §4.5
    let (mut guest, _drive) = guest(Controller::builder().end_delay(EndDelay::All));
    for (first, second) in [(&[0x0F, 0, 10][..], 20), (&[0x07, 0], 5)] {
        guest.send(first).unwrap();
        guest.send(&[0x0F, 0, second]).unwrap();
        follow(&mut guest);
        assert_eq!(guest.command(&[0x08]), [0x20, second]);
        guest.send(&READ_ID).unwrap();
        follow(&mut guest);
        assert_eq!(guest.reply()[3], second);
    }
}

#[test]
fn an_implied_seek_leaves_the_status_of_a_seek_whose_end_is_delayed() {
    // §6.1
    let (mut guest, _drive) = guest(Controller::builder().end_delay(EndDelay::All));
    guest.command(&[0x13, 0, 0x40, 0]);
    for cylinder in [10, 11] {
        guest.send(&[0x0F, 0, 10]).unwrap();
        guest.program_dma(DMA_READ_FLOPPY, super::kit::BUFFER, SECTOR);
        guest.send(&[0x46, 0, cylinder, 0, 1, 2, 1, 0x1B, 0xFF]).unwrap();
        follow(&mut guest);
        let status = guest.reply().status();
        assert_eq!((status[0] & 0xC0, status[1], status[2]), (0, 0, 0));
        assert_eq!(guest.command(&[0x08])[0], 0x20);
    }
}

#[test]
fn strings_end_the_wait_for_a_host_as_single_bytes_do() {
    // §4.14: an overrun is a revolution without a byte.
    let (mut guest, _drive) = guest(Controller::builder());
    guest.use_dma(false);
    guest.send(&command(WRITE, 0, 1, 18)).unwrap();
    for _ in 0..18 {
        assert_eq!(guest.bus.fdc.write_string(&[7; SECTOR]), SECTOR);
        guest.bus.fdc.advance(REVOLUTION / 10);
    }
    assert_eq!(guest.reply().status(), [0x40, 0x80, 0]);
}

#[test]
fn after_a_wait_the_fifo_is_discarded_or_kept() {
    // §4.14
    for kept in [FifoAfterOverrun::Discarded, FifoAfterOverrun::Kept] {
        for (bytes, st1) in [(100, 0x10), (18 * SECTOR - 3, 0x80)] {
            let (mut guest, _drive) = guest(Controller::builder().fifo_after_overrun(kept));
            guest.use_dma(false);
            guest.command(&[0x13, 0, 0x0F, 0]);
            guest.send(&command(READ, 0, 1, 18)).unwrap();
            (0..bytes).for_each(|_| _ = guest.bus.read(FIFO));
            guest.bus.fdc.advance(10 * REVOLUTION);
            let mut left = 0;
            while guest.bus.read(MSR) == TO_HOST {
                guest.bus.read(FIFO);
                left += 1;
            }
            assert_eq!(left > 0, kept == FifoAfterOverrun::Kept, "{kept:?}: {left} bytes");
            guest.bus.fdc.advance(Duration::from_millis(1));
            assert_eq!(guest.reply().status(), [0x40, st1, 0], "{kept:?} after {bytes} bytes");
        }
    }
}

#[test]
fn the_last_byte_drops_no_interrupt_of_a_seek() {
    // §6.1, §6.5
    let (mut guest, _drive) = guest(Controller::builder());
    guest.use_dma(false);
    guest.command(&[0x0F, 1, 3]);
    guest.send(&command(READ, 0, 18, 18)).unwrap();
    (1..SECTOR).for_each(|_| _ = guest.bus.read(FIFO));
    let rises = guest.bus.irq().edges();
    guest.bus.read(FIFO);
    assert_eq!(guest.bus.irq().edges(), rises);
    follow(&mut guest);
    assert_eq!(guest.bus.irq().edges(), rises + 1);
}

#[test]
fn a_hardware_reset_stops_the_motors_as_the_dor_does() {
    // §1.11, §10.1
    let (mut guest, _drive) = in_time(Controller::builder().timing(Timing::Authentic));
    guest.bus.fdc.reset();
    guest.bus.fdc.advance(Duration::from_millis(1));
    guest.bus.write(DOR, 0x1C);
    guest.bus.fdc.advance(Duration::from_millis(5));
    (0..4).for_each(|_| _ = guest.sense_interrupt());
    guest.bus.write(CCR, 0);
    guest.send(&READ_ID).unwrap();
    let due = guest.bus.fdc.next_event().unwrap();
    assert!(due < Duration::from_millis(100), "{due:?}");
}

// Power-on

#[test]
fn a_controller_can_start_as_firmware_leaves_it() {
    // §1.4, DIV-2
    let mut fdc = Controller::builder().power_on(PowerOn::Running).build().unwrap();
    assert_eq!(fdc.read_port(0x3F2), Some(0x0C));
    assert_eq!(fdc.read_port(0x3F4), Some(0x80));
    assert!(!fdc.interrupt_level());
    fdc.write_port(0x3F5, 0x08);
    assert_eq!(fdc.read_port(0x3F5), Some(0x80), "no status is pending");
    fdc.reset();
    assert_eq!((fdc.read_port(0x3F2), fdc.read_port(0x3F4)), (Some(0x00), Some(0x00)));
}

// The FIFO off, and the disk gone

#[test]
fn a_chip_without_fifo_delivers_one_byte_at_most_after_an_eject() {
    // §7.3
    for (configure, most) in [(0x20, 1), (0x0F, 16)] {
        let (mut guest, drive) = guest(Controller::builder());
        guest.use_dma(false);
        guest.command(&[0x13, 0, configure, 0]);
        guest.send(&command(READ, 0, 1, 18)).unwrap();
        (0..3).for_each(|_| _ = guest.bus.read(FIFO));
        drive.release_image().unwrap();
        let mut more = 0;
        while guest.bus.read(MSR) == TO_HOST {
            guest.bus.read(FIFO);
            more += 1;
        }
        assert!(more <= most, "{more} bytes");
        guest.bus.fdc.advance(Duration::from_millis(1));
        assert_eq!(guest.reply().status(), [0x40, 0x01, 0]);
    }
}

// A disk that coasts

#[test]
fn a_motor_that_is_off_for_microseconds_disturbs_no_command() {
    // §4.13
    let mut status = Vec::new();
    for policy in [EmptyDrive::Fail, EmptyDrive::Hang] {
        let (mut guest, _drive) = in_time(Controller::builder().timing(Timing::Authentic).empty_drive(policy));
        guest.program_dma(DMA_READ_FLOPPY, super::kit::BUFFER, SECTOR);
        guest.send(&[READ, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF]).unwrap();
        follow(&mut guest);
        guest.bus.write(DOR, 0x0C);
        guest.bus.fdc.advance(Duration::from_micros(5));
        guest.bus.write(DOR, 0x1C);
        guest.bus.fdc.advance(Duration::from_secs(1));
        status.push(guest.reply().status());
    }
    assert_eq!(status, [[0, 0, 0]; 2]);
}

#[test]
fn a_disk_that_still_turns_needs_less_time_to_be_at_speed() {
    // §10.2: 400 ms from rest.
    let spin_up = |off: Duration| {
        let (mut guest, _drive) = in_time(Controller::builder().timing(Timing::Authentic));
        guest.bus.write(DOR, 0x0C);
        guest.bus.fdc.advance(off);
        guest.bus.write(DOR, 0x1C);
        guest.send(&READ_ID).unwrap();
        let mut time = Duration::ZERO;
        while let Some(event) = guest.bus.fdc.next_event() {
            guest.bus.fdc.advance(event);
            time += event;
        }
        time
    };
    assert!(spin_up(Duration::from_secs(3)) >= Duration::from_millis(400));
    assert!(spin_up(Duration::from_millis(50)) < Duration::from_millis(100));
}

// Events of a host with a timer

#[test]
fn a_cylinder_by_dma_takes_some_hundred_events() {
    // §10.4
    let (mut guest, _drive) = in_time(Controller::builder().timing(Timing::Authentic));
    guest.program_dma(DMA_READ_FLOPPY, super::kit::BUFFER, 36 * SECTOR);
    guest.send(&[0xC6, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF]).unwrap();
    let mut events = 0;
    while let Some(event) = guest.bus.fdc.next_event() {
        guest.bus.fdc.advance(event);
        events += 1;
    }
    assert_eq!(guest.reply().status(), [0x04, 0, 0]);
    assert!(events < 200, "{events} events");
}

#[test]
fn a_delayed_end_is_the_same_in_each_interface_mode() {
    // §1.4
    for mode in [InterfaceMode::At, InterfaceMode::Ps2, InterfaceMode::Model30] {
        let (mut guest, _drive) = guest(Controller::builder().interface(mode));
        guest.send(&READ_ID).unwrap();
        follow(&mut guest);
        assert!(guest.bus.irq().is_high(), "{mode:?}");
    }
}
