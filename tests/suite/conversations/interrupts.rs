//! INT and SENSE INTERRUPT STATUS: what interrupts, what makes the pin fall, what the DMA gate of the DOR has to do
//! with it, and how guests find their way.

use super::kit::{self, DOR, DSR, FIFO, Guest, HAS_BYTE, MSR, WANTS_BYTE};
use vm_fdc::{Controller, WriteRegister, drive::DriveType};

/// DOR: drive 0 selected with its motor on, out of reset, DMA gate open.
const RUN: u8 = 0x1C;
/// The same with the DMA gate shut.
const GATED: u8 = 0x14;
/// The same as [`RUN`], held in reset.
const HELD: u8 = 0x18;

const SEEK: [u8; 3] = [0x0F, 0, 5];
const READ_ID: [u8; 2] = [0x4A, 0];

/// Commands that never interrupt, nor make the news of polling stale.
const QUIET: [&[u8]; 9] = [
    &[0x10],                   // VERSION
    &[0x0E],                   // DUMPREG
    &[0x94],                   // LOCK
    &[0x14],                   // UNLOCK
    &[0x13, 0x00, 0x1A, 0x00], // CONFIGURE, no polling
    &[0x03, 0xDF, 0x02],       // SPECIFY
    &[0x12, 0x00],             // PERPENDICULAR MODE
    &[0x04, 0x00],             // SENSE DRIVE STATUS
    &[0x18],                   // an invalid one
];

/// Commands that interrupt at their end, and are sensed.
const SEEKS: [&[u8]; 4] = [
    &SEEK,
    &[0x07, 0],    // RECALIBRATE
    &[0xCF, 0, 3], // RELATIVE SEEK, inward
    &[0x8F, 0, 0], // RELATIVE SEEK, outward
];

/// Commands that interrupt with a result.
const TRANSFERS: [&[u8]; 3] = [
    &READ_ID,
    &[0x46, 0, 0, 0, 1, 2, 0x12, 0x1B, 0xFF], // READ DATA
    &[0x45, 0, 0, 0, 1, 2, 0x12, 0x1B, 0xFF], // WRITE DATA
];

type Step = fn(&mut Guest);

/// A way to each interrupt that lasts, from an idle controller.
const CAUSES: [(&str, Step); 3] = [
    ("polling", |guest| guest.bus.write(DSR, 0x80)),
    ("the end of a seek", |guest| send(guest, &SEEK)),
    ("a result", |guest| send(guest, &READ_ID)),
];

/// An idle controller with an empty drive, where transfers end at once with a result.
fn idle() -> Guest {
    Guest::with_drive(DriveType::Inch3_5Hd).0
}

/// A controller just out of reset.
fn just_reset() -> Guest {
    let mut guest = Guest::new(Controller::builder().drive(0, DriveType::Inch3_5Hd));
    guest.bus.write(DOR, RUN);
    guest
}

fn send(guest: &mut Guest, bytes: &[u8]) {
    guest.send(bytes).expect("the controller takes the bytes");
}

fn is_high(guest: &Guest) -> bool {
    guest.bus.irq().is_high()
}

/// How many times INT rises during `step`.
fn edges(guest: &mut Guest, step: impl FnOnce(&mut Guest)) -> usize {
    let before = guest.bus.irq().edges();
    step(guest);
    guest.bus.irq().edges() - before
}

// Polling

#[test]
fn the_end_of_a_reset_interrupts_once() {
    // §6.2
    let mut guest = just_reset();
    assert!(is_high(&guest));
    (0..4).for_each(|_| _ = guest.sense_interrupt());
    assert_eq!(guest.bus.irq().edges(), 1);
}

#[test]
fn each_kind_of_reset_interrupts() {
    // §1.11, §6.2
    let resets: [(&str, Step); 3] = [
        ("DOR", |guest| guest.bus.write(DOR, HELD)),
        ("DSR", |guest| guest.bus.write(DSR, 0x80)),
        ("RESET pin", |guest| guest.bus.fdc.reset()),
    ];
    for (name, reset) in resets {
        let mut guest = idle();
        let rises = edges(&mut guest, |guest| {
            reset(guest);
            guest.bus.write(DOR, RUN);
        });
        assert_eq!((rises, is_high(&guest)), (1, true), "{name}");
    }
}

#[test]
fn polling_finds_four_drives_in_order_whether_or_not_they_are_there() {
    // §6.2
    let mut guest = just_reset();
    assert_eq!([(); 4].map(|()| guest.sense_interrupt().to_vec()), [0xC0, 0xC1, 0xC2, 0xC3].map(|st0| vec![st0, 0]));
}

#[test]
fn nothing_is_left_to_sense_after_the_fourth() {
    // §6.3
    let mut guest = just_reset();
    (0..4).for_each(|_| _ = guest.sense_interrupt());
    assert_eq!(guest.sense_interrupt(), [0x80]);
}

#[test]
fn the_first_status_of_polling_lowers_int_and_the_others_do_without() {
    // §6.2
    let mut guest = just_reset();
    for unit in 0..4 {
        assert_eq!(is_high(&guest), unit == 0, "before drive {unit}");
        assert_eq!(guest.sense_interrupt()[0], 0xC0 | unit);
    }
}

#[test]
fn a_reset_turns_polling_on_again() {
    // §7.2: LOCK does not protect POLL
    for lock in [0x14, 0x94] {
        let mut guest = idle();
        guest.command(&[0x13, 0x00, 0x10, 0x00]);
        guest.command(&[lock]);
        assert_eq!(edges(&mut guest, |guest| guest.bus.write(DSR, 0x80)), 1, "{lock:#04x}");
        assert_eq!(guest.sense_interrupt(), [0xC0, 0]);
    }
}

#[test]
fn the_statuses_of_polling_outlast_commands_that_do_not_run() {
    // §6.2 (R)
    for command in QUIET {
        let mut guest = just_reset();
        guest.command(command);
        for unit in 0..4 {
            assert_eq!(guest.sense_interrupt(), [0xC0 | unit, 0], "{command:x?}");
        }
    }
}

#[test]
fn the_interrupt_of_polling_outlasts_commands_that_do_not_run() {
    // §6.5
    for command in QUIET {
        let mut guest = just_reset();
        assert_eq!(edges(&mut guest, |guest| _ = guest.command(command)), 0, "{command:x?}");
        assert!(is_high(&guest), "{command:x?}");
    }
}

#[test]
fn a_seek_makes_the_statuses_of_polling_stale() {
    // §6.2 (R)
    for command in SEEKS {
        let mut guest = just_reset();
        guest.command(command);
        assert_eq!(guest.sense_interrupt()[0], 0x20, "{command:x?}");
        assert_eq!(guest.sense_interrupt(), [0x80], "{command:x?}");
    }
}

#[test]
fn a_transfer_makes_the_statuses_of_polling_stale() {
    // §6.2 (R)
    for command in TRANSFERS {
        let mut guest = just_reset();
        guest.command(command);
        assert_eq!(guest.sense_interrupt(), [0x80], "{command:x?}");
    }
}

#[test]
fn a_command_that_makes_polling_stale_interrupts_with_an_edge_of_its_own() {
    // §6.2, §6.5: the cause of the first edge is gone, and an edge-triggered PIC must see the second
    for command in SEEKS.into_iter().chain(TRANSFERS) {
        let mut guest = just_reset();
        assert_eq!(edges(&mut guest, |guest| send(guest, command)), 1, "{command:x?}");
        assert!(is_high(&guest), "{command:x?}");
    }
}

// Causes

#[test]
fn nothing_interrupts_but_transfers_and_seeks() {
    // §6.1
    for command in QUIET {
        let mut guest = idle();
        assert_eq!(edges(&mut guest, |guest| _ = guest.command(command)), 0, "{command:x?}");
    }
}

#[test]
fn a_sense_interrupt_status_does_not_interrupt() {
    // §6.1
    let mut guest = idle();
    assert_eq!(edges(&mut guest, |guest| _ = guest.sense_interrupt()), 0);
}

#[test]
fn a_command_interrupts_after_its_last_parameter() {
    // §6.1
    for command in SEEKS.into_iter().chain(TRANSFERS) {
        let mut guest = idle();
        let (last, others) = command.split_last().expect("a command has bytes");
        assert_eq!(edges(&mut guest, |guest| send(guest, others)), 0, "{command:x?}");
        assert_eq!(edges(&mut guest, |guest| send(guest, &[*last])), 1, "{command:x?}");
    }
}

#[test]
fn the_first_byte_of_a_result_lowers_int() {
    // §6.5
    for command in TRANSFERS {
        let mut guest = idle();
        send(&mut guest, command);
        let levels = [(); 7].map(|()| {
            let level = is_high(&guest);
            guest.bus.read(FIFO);
            level
        });
        assert_eq!(levels, [true, false, false, false, false, false, false], "{command:x?}");
    }
}

#[test]
fn the_command_byte_of_sense_interrupt_status_lowers_int() {
    // §6.5
    for (cause, raise) in CAUSES.into_iter().take(2) {
        let mut guest = idle();
        raise(&mut guest);
        assert!(is_high(&guest), "{cause}");
        guest.bus.write(FIFO, 0x08);
        assert!(!is_high(&guest), "{cause}");
    }
}

#[test]
fn int_stays_until_its_cause_is_served() {
    // §6.5
    for (cause, raise) in CAUSES {
        let mut guest = idle();
        raise(&mut guest);
        (0..10).for_each(|_| _ = guest.bus.read(MSR));
        assert!(is_high(&guest), "{cause}");
    }
}

#[test]
fn a_reset_lowers_int() {
    // §6.5
    for (cause, raise) in CAUSES {
        let mut guest = idle();
        raise(&mut guest);
        guest.bus.write(DOR, HELD);
        assert!(!is_high(&guest), "{cause}");
    }
}

#[test]
fn a_reset_pulse_lowers_int_before_polling_raises_it() {
    // §1.11
    for (cause, raise) in CAUSES {
        let mut guest = idle();
        raise(&mut guest);
        assert_eq!(edges(&mut guest, |guest| guest.bus.write(DSR, 0x80)), 1, "{cause}");
    }
}

#[test]
fn the_level_can_be_asked_for() {
    // §6.5
    let mut fdc = Controller::builder().build().expect("a controller without drives");
    fdc.write(WriteRegister::DigitalOutput, RUN);
    assert!(fdc.interrupt_level());
    fdc.write(WriteRegister::Fifo, 0x08);
    assert!(!fdc.interrupt_level());
}

// Several drives

#[test]
fn each_drive_that_ended_a_seek_gets_an_edge() {
    // §6.4
    if kit::IN_TIME {
        return; // seeks that nobody waits for end later
    }
    let mut guest = idle();
    let rises = edges(&mut guest, |guest| {
        for unit in [2, 0, 3] {
            send(guest, &[0x0F, unit, 5]);
        }
    });
    assert!(rises > 0 && is_high(&guest));
    for (unit, follows) in [(0, true), (2, true), (3, false)] {
        let rises = edges(&mut guest, |guest| assert_eq!(guest.sense_interrupt(), [0x20 | unit, 5]));
        assert_eq!((rises, is_high(&guest)), (usize::from(follows), follows), "drive {unit}");
    }
}

#[test]
fn each_drive_has_a_status_and_a_cylinder_of_its_own() {
    // §6.3, §6.4
    if kit::IN_TIME {
        return; // seeks that nobody waits for end later
    }
    let mut guest = idle();
    send(&mut guest, &[0x0F, 0, 10]);
    guest.bus.write(DOR, 0x2D); // no drive there
    send(&mut guest, &[0x07, 1]);
    assert_eq!(guest.sense_interrupt(), [0x20, 10]);
    assert_eq!(guest.sense_interrupt(), [0x71, 0]);
}

#[test]
fn the_lowest_drive_is_sensed_first() {
    // §6.3
    if kit::IN_TIME {
        return; // seeks that nobody waits for end later
    }
    let mut guest = idle();
    for unit in [3, 1, 2, 0] {
        send(&mut guest, &[0x0F, unit, 20 + unit]);
    }
    for unit in 0..4 {
        assert_eq!(guest.sense_interrupt(), [0x20 | unit, 20 + unit]);
    }
    assert_eq!(guest.sense_interrupt(), [0x80]);
}

// The DMA gate

#[test]
fn opening_the_gate_shows_the_interrupt_that_is_pending() {
    // §1.4
    for (cause, raise) in CAUSES {
        let mut guest = idle();
        guest.bus.write(DOR, GATED);
        assert_eq!(edges(&mut guest, raise), 0, "{cause}");
        assert_eq!(edges(&mut guest, |guest| guest.bus.write(DOR, RUN)), 1, "{cause}");
    }
}

#[test]
fn shutting_the_gate_hides_the_interrupt_and_keeps_it() {
    // §1.4
    for (cause, raise) in CAUSES {
        let mut guest = idle();
        raise(&mut guest);
        guest.bus.write(DOR, GATED);
        assert!(!is_high(&guest), "{cause}");
        guest.bus.write(DOR, RUN);
        assert!(is_high(&guest), "{cause}");
    }
}

#[test]
fn an_interrupt_that_was_served_behind_the_gate_does_not_show() {
    // §1.4
    for (cause, raise) in CAUSES {
        let mut guest = idle();
        guest.bus.write(DOR, GATED);
        raise(&mut guest);
        guest.reply(); // if there is one
        guest.sense_interrupt();
        assert_eq!(edges(&mut guest, |guest| guest.bus.write(DOR, RUN)), 0, "{cause}");
    }
}

#[test]
fn a_write_to_the_dor_that_leaves_the_gate_open_makes_no_edge() {
    // §1.4
    for (cause, raise) in CAUSES {
        let mut guest = idle();
        raise(&mut guest);
        assert_eq!(edges(&mut guest, |guest| guest.bus.write(DOR, 0x3D)), 0, "{cause}");
        assert!(is_high(&guest), "{cause}");
    }
}

// Guests

#[test]
fn freebsd_sees_the_reset_when_it_opens_the_gate() {
    // §6.5: three writes, then SPECIFY and CONFIGURE before the first sense
    let mut guest = idle();
    let rises = [0x10, 0x14, 0x1C].map(|dor| edges(&mut guest, |guest| guest.bus.write(DOR, dor)));
    assert_eq!(rises, [0, 0, 1]);
    guest.command(&[0x03, 0x3F, 0x02]);
    guest.command(&[0x13, 0x00, 0x57, 0x00]);
    for unit in 0..4 {
        assert_eq!(guest.sense_interrupt()[0], 0xC0 | unit);
    }
}

#[test]
fn netbsd_probes_drives_behind_the_gate() {
    // §6.5, §4.13
    let mut guest = Guest::new(Controller::builder().drive(0, DriveType::Inch3_5Hd));
    for (dor, unit, st0) in [(0x14, 0, 0x20), (0x25, 1, 0x71)] {
        guest.bus.write(DOR, 0x00);
        guest.bus.write(DOR, dor);
        send(&mut guest, &[0x07, unit]);
        assert_eq!(guest.sense_interrupt(), [st0, 0]);
    }
    assert_eq!(guest.bus.irq().edges(), 0);
}

#[test]
fn linux_takes_the_controller_for_a_post_1991_82077() {
    // §3.25
    let mut guest = just_reset();
    for _ in 0..4 {
        assert_eq!(guest.sense_interrupt().len(), 2);
    }
    assert_eq!(get_fdc_version(&mut guest), "post-1991 82077");
    assert_eq!(guest.bus.read(MSR), 0x80);
    assert_eq!(edges(&mut guest, |guest| guest.bus.write(DSR, 0x80)), 1); // polling was off
}

/// What Linux makes of the controller, by the names that it gives them.
fn get_fdc_version(guest: &mut Guest) -> &'static str {
    let wants_more = |guest: &mut Guest, command| {
        send(guest, &[command]);
        guest.bus.read(MSR) & HAS_BYTE == WANTS_BYTE
    };
    match *guest.command(&[0x0E]) {
        [0x80] => return "8272A",
        [_, _, _, _, _, _, _, _, _, _] => {}
        _ => return "unknown to DUMPREG",
    }
    if !wants_more(guest, 0x13) {
        return "82072";
    }
    assert_eq!(guest.command(&[0x00, 0x1A, 0x00]), [], "CONFIGURE has no result");
    if !wants_more(guest, 0x12) {
        return "82072A";
    }
    assert_eq!(guest.command(&[0x00]), [], "PERPENDICULAR MODE has no result");
    match *guest.command(&[0x14]) {
        [0x00] => {}
        [0x80] => return "pre-1991 82077",
        _ => return "unknown to UNLOCK",
    }
    match *guest.command(&[0x18]) {
        [0x80] => "post-1991 82077",
        [_] => "82078",
        _ => "unknown to PART ID",
    }
}
