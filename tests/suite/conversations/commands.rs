//! The command set: which first bytes are commands, how many bytes each command has, and the behaviour of the commands
//! that move no data.

use super::kit::disk::{MFM, MT, SK};
use super::kit::{self, DOR, FIFO, Guest, MSR, Reply};
use vm_fdc::{Controller, ControllerBuilder, drive::DriveType::Inch3_5Hd};

/// Flag of RELATIVE SEEK: step in.
const DIR: u8 = 0x40;
/// Flag of LOCK, absent in UNLOCK.
const LOCK: u8 = 0x80;

/// When a command raises INT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interrupts {
    Never,
    /// At the start of the result phase.
    AtResult,
    /// At the end of the command, which has no result phase. SENSE INTERRUPT STATUS fetches the status.
    AtEnd,
}
use Interrupts::*;

/// The table of §3.1: name, opcode, legal flags, number of parameters, number of result bytes, interrupt.
const COMMANDS: [(&str, u8, u8, usize, usize, Interrupts); 22] = [
    ("READ DATA", 0x06, MT | MFM | SK, 8, 7, AtResult),
    ("READ DELETED DATA", 0x0C, MT | MFM | SK, 8, 7, AtResult),
    ("WRITE DATA", 0x05, MT | MFM, 8, 7, AtResult),
    ("WRITE DELETED DATA", 0x09, MT | MFM, 8, 7, AtResult),
    ("READ TRACK", 0x02, MFM, 8, 7, AtResult),
    ("VERIFY", 0x16, MT | MFM | SK, 8, 7, AtResult),
    ("VERSION", 0x10, 0, 0, 1, Never),
    ("FORMAT TRACK", 0x0D, MFM, 5, 7, AtResult),
    ("SCAN EQUAL", 0x11, MT | MFM | SK, 8, 7, AtResult),
    ("SCAN LOW OR EQUAL", 0x19, MT | MFM | SK, 8, 7, AtResult),
    ("SCAN HIGH OR EQUAL", 0x1D, MT | MFM | SK, 8, 7, AtResult),
    ("RECALIBRATE", 0x07, 0, 1, 0, AtEnd),
    ("SENSE INTERRUPT STATUS", 0x08, 0, 0, 2, Never),
    ("SPECIFY", 0x03, 0, 2, 0, Never),
    ("SENSE DRIVE STATUS", 0x04, 0, 1, 1, Never),
    ("SEEK", 0x0F, 0, 2, 0, AtEnd),
    ("CONFIGURE", 0x13, 0, 3, 0, Never),
    ("RELATIVE SEEK", 0x8F, DIR, 2, 0, AtEnd),
    ("DUMPREG", 0x0E, 0, 0, 10, Never),
    ("READ ID", 0x0A, MFM, 1, 7, AtResult),
    ("PERPENDICULAR MODE", 0x12, 0, 1, 0, Never),
    ("LOCK", 0x14, LOCK, 0, 1, Never),
];

/// The number of parameters of each first byte; a dot if the byte is no command. A row is a setting of bits 7 to 5 (MT,
/// MFM, SK), a column is a value of the other bits.
///
/// §3.1 leaves this open. Here the data commands ignore the flags that they do not have, and the other commands match
/// exactly. The exception is FORMAT TRACK with MT and SK, which is FORMAT AND WRITE of the 82078.
#[rustfmt::skip]
const PARAMETERS: [&[u8; 32]; 8] = [
    // 0123456789ABCDEF0123456789ABCDEF
    b"..821881081.850208130.8..8...8..", // 0x00
    b"..8..88..81.85...8....8..8...8..", // 0x20, SK
    b"..8..88..81.85...8....8..8...8..", // 0x40, MFM
    b"..8..88..81.85...8....8..8...8..", // 0x60, MFM SK
    b"..8..88..81.85.2.8..0.8..8...8..", // 0x80, MT
    b"..8..88..81.8....8....8..8...8..", // 0xA0, MT SK
    b"..8..88..81.85.2.8....8..8...8..", // 0xC0, MT MFM
    b"..8..88..81.8....8....8..8...8..", // 0xE0, MT MFM SK
];

/// The observed behaviour of a command.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    parameters: usize,
    interrupts: bool,
    reply: Reply,
}

/// Performs a command with zeros as parameters. Before it INT is low, and statuses of polling are pending.
fn try_command(opcode: u8) -> Seen {
    try_command_of(Controller::builder().scan_commands(true), opcode)
}

fn try_command_of(chip: ControllerBuilder, opcode: u8) -> Seen {
    let mut guest = Guest::new(chip.drive(0, Inch3_5Hd));
    guest.bus.write(DOR, 0x1C);
    guest.sense_interrupt();
    guest.bus.write(FIFO, opcode);
    let mut parameters = 0;
    while parameters < 16 && guest.bus.read(MSR) == 0x90 {
        assert!(!guest.bus.irq().is_high(), "an interrupt in the command phase of {opcode:#04x}");
        guest.bus.write(FIFO, 0);
        parameters += 1;
    }
    Seen { parameters, interrupts: guest.bus.irq().is_high(), reply: guest.reply() }
}

fn with_drive() -> Guest {
    Guest::with_drive(Inch3_5Hd).0
}

fn without_drives() -> Guest {
    let mut guest = Guest::new(Controller::builder());
    guest.reset();
    guest
}

/// Returns the result of DUMPREG: PCN 0..4, SPECIFY 4..6, track length 6, LOCK and PERPENDICULAR 7, CONFIGURE 8, PRETRK 9.
fn dump(guest: &mut Guest) -> Reply {
    guest.command(&[0x0E])
}

/// Returns ST3 of the selected drive.
fn drive_status(guest: &mut Guest) -> u8 {
    guest.command(&[0x04, 0])[0]
}

fn track_0(guest: &mut Guest) -> bool {
    drive_status(guest) & 0x10 != 0
}

/// Moves the head by a number of steps. Returns ST0 and the cylinder.
fn relative_seek(guest: &mut Guest, opcode: u8, steps: u8) -> Reply {
    guest.command(&[opcode, 0, steps]);
    guest.sense_interrupt()
}

const RELATIVE_SEEK_IN: u8 = 0xCF;
const RELATIVE_SEEK_OUT: u8 = 0x8F;

// The bytes of the commands

#[test]
fn each_command_has_its_length_its_result_and_its_interrupt() {
    // §3.1
    for (name, opcode, legal, parameters, results, interrupts) in COMMANDS {
        for flags in (0..8).map(|flags| flags << 5).filter(|flags| flags & !legal == 0) {
            let seen = try_command(opcode | flags);
            let shape = (seen.parameters, seen.reply.len(), seen.interrupts);
            assert_eq!(shape, (parameters, results, interrupts != Never), "{name}, {:#04x}", opcode | flags);
        }
    }
}

#[test]
fn scan_is_invalid_unless_it_is_enabled() {
    // §3.15
    for (name, opcode, ..) in COMMANDS.into_iter().filter(|command| command.0.starts_with("SCAN")) {
        let seen = try_command_of(Controller::builder(), opcode);
        assert_eq!((seen.parameters, seen.interrupts, &*seen.reply), (0, false, &[0x80][..]), "{name}");
    }
}

#[test]
fn a_data_command_without_a_disk_ends_abnormally() {
    // §4.13
    for (name, opcode, ..) in COMMANDS.into_iter().filter(|command| command.5 == AtResult) {
        assert_eq!(try_command(opcode).reply[0], 0x40, "{name}");
    }
}

#[test]
fn each_first_byte_is_a_command_or_invalid() {
    // §3.1, §3.24
    for opcode in 0..=0xFF_u8 {
        let seen = try_command(opcode);
        match PARAMETERS[usize::from(opcode >> 5)][usize::from(opcode & 0x1F)] {
            b'.' => {
                let invalid = seen.parameters == 0 && !seen.interrupts && seen.reply == [0x80];
                assert!(invalid, "{opcode:#04x} is invalid: {seen:?}");
            }
            digit => assert_eq!(seen.parameters, usize::from(digit - b'0'), "{opcode:#04x}"),
        }
    }
}

#[test]
fn commands_of_other_controllers_are_invalid() {
    // §3.24
    for (name, opcode) in [
        ("PART ID", 0x18),
        ("POWERDOWN MODE", 0x17),
        ("OPTION", 0x33),
        ("SAVE", 0x2E),
        ("RESTORE", 0x4E),
        ("DRIVE SPECIFICATION", 0x8E),
        ("FORMAT AND WRITE", 0xAD),
        ("FORMAT AND WRITE, MFM", 0xED),
        ("MODE", 0x01),
        ("MOTOR OFF, drive 0", 0x0B),
        ("MOTOR ON, drive 0", 0x8B),
        ("EXIT STANDBY", 0x34),
        ("GO STANDBY", 0x35),
    ] {
        assert_eq!(try_command(opcode).reply, [0x80], "{name}");
    }
}

#[test]
fn a_format_with_mt_as_in_dos_6_22_is_a_format() {
    // §3.1: 0xCD, with MT
    assert_eq!(try_command(0xCD).parameters, 5);
}

#[test]
fn a_write_with_sk_as_in_beos_is_a_write() {
    // §3.1: 0xE5, with SK
    assert_eq!(try_command(0xE5).parameters, 8);
}

#[test]
fn the_hard_reset_opcode_of_the_72065_is_a_verify() {
    // §3.1: 0x36, with SK; §3.24 lists it with the commands of later chips.
    assert_eq!(try_command(0x36).parameters, 8);
}

#[test]
fn an_invalid_command_turns_the_bus_around_at_once() {
    // §2.2, §3.23
    let mut guest = without_drives();
    guest.bus.write(FIFO, 0x18);
    assert_eq!(guest.bus.read(MSR), 0xD0);
    assert_eq!(guest.bus.read(FIFO), 0x80);
    assert_eq!(guest.bus.read(MSR), 0x80);
}

#[test]
fn a_command_without_result_leaves_the_controller_idle() {
    // §2: CMD BUSY falls after the last parameter
    let mut guest = without_drives();
    for command in [&[0x03, 0xDF, 0x02][..], &[0x13, 0x00, 0x20, 0x00], &[0x12, 0x00]] {
        guest.send(command).expect("the controller accepts the command");
        assert_eq!(guest.bus.read(MSR), 0x80, "{command:x?}");
    }
}

// Commands that read or set registers

#[test]
fn version_is_0x90() {
    // §3.9
    assert_eq!(without_drives().command(&[0x10]), [0x90]);
}

#[test]
fn dumpreg_shows_the_defaults_after_power_on() {
    // §3.19, §1.11
    let mut guest = Guest::new(Controller::builder());
    guest.bus.write(DOR, 0x0C);
    let dump = dump(&mut guest);
    assert_eq!((&dump[..4], &dump[7..]), (&[0, 0, 0, 0][..], &[0x00, 0x20, 0x00][..]));
}

#[test]
fn dumpreg_shows_the_cylinders_of_all_four_drives() {
    // §3.19
    if kit::IN_TIME {
        return; // With authentic timing, these seeks end later.
    }
    let mut guest = without_drives();
    for (unit, cylinder) in [(3, 40), (0, 10), (2, 30), (1, 20)] {
        guest.command(&[0x0F, unit, cylinder]);
    }
    assert_eq!(dump(&mut guest)[..4], [10, 20, 30, 40]);
}

#[test]
fn dumpreg_shows_what_specify_set() {
    // §3.13, §3.19
    let mut guest = without_drives();
    for [first, second] in [[0xAF, 0x02], [0xDF, 0x03], [0x00, 0x00], [0xFF, 0xFF]] {
        guest.command(&[0x03, first, second]);
        assert_eq!(dump(&mut guest)[4..6], [first, second]);
    }
}

#[test]
fn dumpreg_shows_the_end_of_track_of_the_last_transfer() {
    // §3.19
    let mut guest = with_drive();
    for (opcode, end_of_track) in [(0x46, 0x12), (0x45, 0x09), (0xE6, 0xFF)] {
        guest.command(&[opcode, 0, 0, 0, 1, 2, end_of_track, 0x1B, 0xFF]);
        assert_eq!(dump(&mut guest)[6], end_of_track);
    }
}

#[test]
fn commands_without_an_end_of_track_keep_the_one_in_dumpreg() {
    // §3.19
    let mut guest = with_drive();
    guest.command(&[0x46, 0, 0, 0, 1, 2, 0x12, 0x1B, 0xFF]);
    for command in [&[0x4A, 0][..], &[0x0F, 0, 5], &[0x07, 0], &[0x04, 0]] {
        guest.command(command);
        assert_eq!(dump(&mut guest)[6], 0x12, "{command:x?}");
    }
}

#[test]
fn dumpreg_shows_what_configure_set() {
    // §3.17, §3.19
    let mut guest = without_drives();
    for [byte, precompensation_start] in [[0x57, 0x15], [0x20, 0x00], [0x0F, 0xFF], [0x7A, 0x28]] {
        guest.command(&[0x13, 0x00, byte, precompensation_start]);
        assert_eq!(dump(&mut guest)[8..], [byte, precompensation_start]);
    }
}

#[test]
fn the_unused_bits_of_configure_are_not_stored() {
    // §3.19: bit 7 reads 0
    let mut guest = without_drives();
    guest.command(&[0x13, 0xFF, 0xFF, 0x00]);
    assert_eq!(dump(&mut guest)[8], 0x7F);
}

#[test]
fn lock_and_unlock_return_the_lock_bit() {
    // §3.22
    let mut guest = without_drives();
    assert_eq!(guest.command(&[0x94]), [0x10]);
    assert_eq!(guest.command(&[0x14]), [0x00]);
}

#[test]
fn dumpreg_shows_the_lock() {
    // §3.19
    let mut guest = without_drives();
    for (opcode, shown) in [(0x94, 0x80), (0x14, 0x00)] {
        guest.command(&[opcode]);
        assert_eq!(dump(&mut guest)[7], shown, "{opcode:#04x}");
    }
}

#[test]
fn perpendicular_mode_sets_the_drive_bits_only_with_overwrite() {
    // §7.4: OW 0 D3 D2 D1 D0 GAP WGATE
    let mut guest = without_drives();
    for (written, shown) in [
        (0xA8, 0x28), // OW: drives 3 and 1
        (0x17, 0x2B), // no OW: only GAP and WGATE
        (0x01, 0x29),
        (0x00, 0x28),
        (0x96, 0x16), // OW: drives 2 and 0, and GAP
        (0xC0, 0x00), // OW: no drive; bit 6 is not stored
    ] {
        guest.command(&[0x12, written]);
        assert_eq!(dump(&mut guest)[7], shown, "{written:#04x}");
    }
}

// SENSE DRIVE STATUS

#[test]
fn the_drive_status_repeats_the_head_and_drive_of_the_command() {
    // §5.4: bits 5 and 3 are ones; the drive that the DOR selects is at track 0
    let mut guest = with_drive();
    for unit in 0..8 {
        assert_eq!(guest.command(&[0x04, unit]), [0x38 | unit]);
    }
}

#[test]
fn the_drive_status_shows_track_0() {
    // §5.4
    let mut guest = with_drive();
    guest.seek(1);
    assert_eq!(drive_status(&mut guest), 0x28);
    guest.seek(0);
    assert_eq!(drive_status(&mut guest), 0x38);
}

#[test]
fn the_sensors_of_an_absent_drive_are_inactive() {
    // §4.13, §5.4
    let mut guest = without_drives();
    for unit in 0..4 {
        guest.select(unit);
        assert_eq!(guest.command(&[0x04, unit]), [0x28 | unit]);
    }
}

#[test]
fn the_drive_status_needs_no_motor() {
    // §4.13
    let mut guest = with_drive();
    guest.bus.write(DOR, 0x0C);
    assert_eq!(drive_status(&mut guest), 0x38);
}

// RECALIBRATE

#[test]
fn recalibrate_at_track_0_succeeds_without_a_step() {
    // §3.11
    let mut guest = with_drive();
    let edges = guest.bus.irq().edges();
    assert_eq!(guest.recalibrate(), [0x20, 0]);
    assert_eq!(guest.bus.irq().edges(), edges + 1);
}

#[test]
fn recalibrate_reaches_track_0_from_79_cylinders_away() {
    // §3.11
    let mut guest = with_drive();
    guest.seek(79);
    assert_eq!(guest.recalibrate(), [0x20, 0]);
    assert!(track_0(&mut guest));
}

#[test]
fn recalibrate_fails_after_79_steps() {
    // §3.11
    let mut guest = with_drive();
    guest.seek(80);
    assert_eq!(guest.recalibrate(), [0x70, 0]);
    assert!(!track_0(&mut guest));
}

#[test]
fn a_second_recalibrate_reaches_track_0_from_beyond_79_steps() {
    // §3.11
    let mut guest = with_drive();
    guest.seek(83);
    guest.recalibrate();
    assert_eq!(guest.recalibrate(), [0x20, 0]);
    assert!(track_0(&mut guest));
}

#[test]
fn recalibrate_uses_the_track_0_sensor_not_the_present_cylinder_number() {
    // §3.11: a reset clears the cylinder number, and the head stays where it is
    let mut guest = with_drive();
    guest.seek(40);
    guest.reset();
    assert_eq!(guest.recalibrate(), [0x20, 0]);
    assert!(track_0(&mut guest));
}

#[test]
fn an_absent_drive_never_reaches_track_0() {
    // §4.13
    let mut guest = without_drives();
    for unit in 0..4 {
        guest.select(unit);
        assert_eq!(guest.recalibrate(), [0x70 | unit, 0]);
    }
}

#[test]
fn recalibrate_ignores_the_head_bit() {
    // §3.11, §5.1
    let mut guest = with_drive();
    guest.command(&[0x07, 0x04]);
    assert_eq!(guest.sense_interrupt(), [0x20, 0]);
}

// SEEK

#[test]
fn seek_ends_at_its_cylinder() {
    // §3.16
    let mut guest = with_drive();
    for cylinder in [40, 79, 1, 0, 0xFF] {
        assert_eq!(guest.seek(cylinder), [0x20, cylinder]);
    }
}

#[test]
fn a_seek_of_zero_distance_interrupts() {
    // §3.16
    let mut guest = with_drive();
    guest.seek(7);
    let edges = guest.bus.irq().edges();
    assert_eq!(guest.seek(7), [0x20, 7]);
    assert_eq!(guest.bus.irq().edges(), edges + 1);
}

#[test]
fn a_seek_of_an_absent_drive_succeeds() {
    // §4.13
    let mut guest = without_drives();
    for unit in 0..4 {
        guest.select(unit);
        assert_eq!(guest.seek(5), [0x20 | unit, 5]);
    }
}

#[test]
fn a_drive_is_busy_from_its_seek_until_its_status_is_sensed() {
    // §2.1, §3.16
    let mut guest = without_drives();
    for unit in 0..4 {
        for seek in [&[0x0F, unit, 5][..], &[0x07, unit], &[RELATIVE_SEEK_OUT, unit, 0], &[RELATIVE_SEEK_IN, unit, 1]] {
            guest.command(seek);
            assert_eq!(guest.bus.read(MSR), 0x80 | 1 << unit, "{seek:x?}");
            guest.sense_interrupt();
            assert_eq!(guest.bus.read(MSR), 0x80, "{seek:x?}");
        }
    }
}

#[test]
fn drives_may_seek_at_the_same_time() {
    // §3.16
    let mut guest = without_drives();
    guest.command(&[0x0F, 0, 5]);
    guest.command(&[0x07, 2]);
    assert_eq!(guest.bus.read(MSR), 0x85);
    guest.sense_interrupt();
    assert_eq!(guest.bus.read(MSR), 0x84);
}

#[test]
fn commands_run_while_a_drive_is_busy() {
    // §2.1
    let mut guest = without_drives();
    guest.command(&[0x0F, 1, 5]);
    guest.bus.write(FIFO, 0x04);
    assert_eq!(guest.bus.read(MSR), 0x92);
    guest.bus.write(FIFO, 0x00);
    assert_eq!(guest.bus.read(MSR), 0xD2);
}

#[test]
fn the_status_of_a_seek_has_head_0() {
    // §5.1
    let mut guest = with_drive();
    guest.command(&[0x0F, 0x04, 5]);
    assert_eq!(guest.sense_interrupt(), [0x20, 5]);
}

#[test]
fn seek_uses_the_present_cylinder_number_not_the_track_0_sensor() {
    // §3.16: a reset clears the cylinder number, and the head stays where it is
    let mut guest = with_drive();
    guest.seek(10);
    guest.reset();
    assert_eq!(guest.seek(0), [0x20, 0]);
    assert!(!track_0(&mut guest));
}

#[test]
fn the_dor_selects_the_drive_that_steps_and_the_command_the_cylinder_number() {
    // §1.4
    let mut guest = Guest::new(Controller::builder().drive(0, Inch3_5Hd).drive(1, Inch3_5Hd));
    guest.reset();
    guest.command(&[0x0F, 1, 5]);
    assert_eq!(guest.sense_interrupt(), [0x21, 5]);
    assert_eq!(dump(&mut guest)[..2], [0, 5]);
    assert!(!track_0(&mut guest));
    guest.select(1);
    assert!(track_0(&mut guest));
}

#[test]
fn heads_move_without_motor_and_without_disk() {
    // §4.13
    let mut guest = with_drive();
    guest.bus.write(DOR, 0x0C);
    guest.seek(5);
    assert!(!track_0(&mut guest));
    guest.recalibrate();
    assert!(track_0(&mut guest));
}

// RELATIVE SEEK

#[test]
fn relative_seek_counts_the_cylinder_up_and_down() {
    // §3.18
    let mut guest = with_drive();
    assert_eq!(relative_seek(&mut guest, RELATIVE_SEEK_IN, 30), [0x20, 30]);
    assert_eq!(relative_seek(&mut guest, RELATIVE_SEEK_OUT, 10), [0x20, 20]);
}

#[test]
fn relative_seek_steps_at_any_present_cylinder_number() {
    // §3.18: a reset clears the cylinder number, and the head stays where it is
    let mut guest = with_drive();
    guest.seek(10);
    guest.reset();
    relative_seek(&mut guest, RELATIVE_SEEK_OUT, 9);
    assert!(!track_0(&mut guest));
    relative_seek(&mut guest, RELATIVE_SEEK_OUT, 1);
    assert!(track_0(&mut guest));
}

#[test]
fn relative_seek_counts_modulo_256() {
    // §3.18
    let mut guest = with_drive();
    guest.seek(40);
    assert_eq!(relative_seek(&mut guest, RELATIVE_SEEK_IN, 255), [0x20, 39]);
    guest.reset();
    assert_eq!(relative_seek(&mut guest, RELATIVE_SEEK_OUT, 10), [0x20, 246]);
}

#[test]
fn relative_seek_past_track_0_fails() {
    // §3.18, §4.12
    let mut guest = with_drive();
    guest.seek(5);
    assert_eq!(relative_seek(&mut guest, RELATIVE_SEEK_OUT, 6)[0], 0x70);
    assert!(track_0(&mut guest));
}

#[test]
fn relative_seek_to_track_0_succeeds() {
    // §3.18
    let mut guest = with_drive();
    guest.seek(5);
    assert_eq!(relative_seek(&mut guest, RELATIVE_SEEK_OUT, 5), [0x20, 0]);
    assert!(track_0(&mut guest));
}

#[test]
fn relative_seek_by_0_makes_no_step() {
    // §3.18 (R: not established, it may mean 256)
    for opcode in [RELATIVE_SEEK_IN, RELATIVE_SEEK_OUT] {
        let mut guest = with_drive();
        assert_eq!(relative_seek(&mut guest, opcode, 0), [0x20, 0], "{opcode:#04x}");
        assert!(track_0(&mut guest), "{opcode:#04x}");
    }
}
