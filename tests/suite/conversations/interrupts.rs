//! INT and SENSE INTERRUPT STATUS: which commands interrupt, what lowers the pin, the effect of the DMA gate of the DOR,
//! and the sequences of real guests.

use super::kit::{self, DOR, DOR_GATE_SHUT, DOR_HELD, DOR_RUN, DSR, FIFO, Guest, HAS_BYTE, MSR, WANTS_BYTE};
use vm_fdc::{Controller, WriteRegister, drive::DriveType};

const SEEK: [u8; 3] = [0x0F, 0, 5];
const READ_ID: [u8; 2] = [0x4A, 0];

/// Commands that never interrupt and do not discard the statuses of polling.
const QUIET: [&[u8]; 9] = [
    &[0x10],                   // VERSION
    &[0x0E],                   // DUMPREG
    &[0x94],                   // LOCK
    &[0x14],                   // UNLOCK
    &[0x13, 0x00, 0x1A, 0x00], // CONFIGURE, no polling
    &[0x03, 0xDF, 0x02],       // SPECIFY
    &[0x12, 0x00],             // PERPENDICULAR MODE
    &[0x04, 0x00],             // SENSE DRIVE STATUS
    &[0x18],                   // an invalid command
];

/// Commands that interrupt at their end. SENSE INTERRUPT STATUS fetches their status.
const SEEKS: [&[u8]; 4] = [
    &SEEK,
    &[0x07, 0],    // RECALIBRATE
    &[0xCF, 0, 3], // RELATIVE SEEK in
    &[0x8F, 0, 0], // RELATIVE SEEK out
];

/// Commands that interrupt at the start of the result phase.
const TRANSFERS: [&[u8]; 3] = [
    &READ_ID,
    &[0x46, 0, 0, 0, 1, 2, 0x12, 0x1B, 0xFF], // READ DATA
    &[0x45, 0, 0, 0, 1, 2, 0x12, 0x1B, 0xFF], // WRITE DATA
];

type Step = fn(&mut Guest);

/// The causes of an interrupt that stays pending, and steps from an idle controller to each of them.
const CAUSES: [(&str, Step); 3] = [
    ("polling", |guest| guest.bus.write(DSR, 0x80)),
    ("the end of a seek", |guest| send(guest, &SEEK)),
    ("a result", |guest| send(guest, &READ_ID)),
];

/// Returns a guest with an idle controller and an empty drive, in which transfers end at once with a result.
fn idle() -> Guest {
    Guest::with_drive(DriveType::Inch3_5Hd).0
}

/// Returns a guest with a controller just out of reset.
fn just_reset() -> Guest {
    let mut guest = Guest::new(Controller::builder().drive(0, DriveType::Inch3_5Hd));
    guest.bus.write(DOR, DOR_RUN);
    guest
}

fn send(guest: &mut Guest, bytes: &[u8]) {
    guest.send(bytes).expect("the controller accepts the bytes");
}

fn is_high(guest: &Guest) -> bool {
    guest.bus.irq().is_high()
}

/// Returns how often INT rises during `step`.
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
        ("DOR", |guest| guest.bus.write(DOR, DOR_HELD)),
        ("DSR", |guest| guest.bus.write(DSR, 0x80)),
        ("RESET pin", |guest| guest.bus.fdc.reset()),
    ];
    for (name, reset) in resets {
        let mut guest = idle();
        let rises = edges(&mut guest, |guest| {
            reset(guest);
            guest.bus.write(DOR, DOR_RUN);
        });
        assert_eq!((rises, is_high(&guest)), (1, true), "{name}");
    }
}

#[test]
fn polling_reports_four_drives_in_order_even_if_they_are_absent() {
    // §6.2
    let mut guest = just_reset();
    assert_eq!([(); 4].map(|()| guest.sense_interrupt().to_vec()), [0xC0, 0xC1, 0xC2, 0xC3].map(|st0| vec![st0, 0]));
}

#[test]
fn no_status_is_left_after_the_fourth_of_polling() {
    // §6.3
    let mut guest = just_reset();
    (0..4).for_each(|_| _ = guest.sense_interrupt());
    assert_eq!(guest.sense_interrupt(), [0x80]);
}

#[test]
fn the_first_status_of_polling_lowers_int_and_the_others_do_not_raise_it() {
    // §6.2
    let mut guest = just_reset();
    for unit in 0..4 {
        assert_eq!(is_high(&guest), unit == 0, "before drive {unit}");
        assert_eq!(guest.sense_interrupt()[0], 0xC0 | unit);
    }
}

#[test]
fn a_reset_enables_polling() {
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
fn commands_that_never_interrupt_keep_the_statuses_of_polling() {
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
fn commands_that_never_interrupt_keep_the_interrupt_of_polling() {
    // §6.5
    for command in QUIET {
        let mut guest = just_reset();
        assert_eq!(edges(&mut guest, |guest| _ = guest.command(command)), 0, "{command:x?}");
        assert!(is_high(&guest), "{command:x?}");
    }
}

#[test]
fn a_seek_discards_the_statuses_of_polling() {
    // §6.2 (R)
    for command in SEEKS {
        let mut guest = just_reset();
        guest.command(command);
        assert_eq!(guest.sense_interrupt()[0], 0x20, "{command:x?}");
        assert_eq!(guest.sense_interrupt(), [0x80], "{command:x?}");
    }
}

#[test]
fn a_transfer_discards_the_statuses_of_polling() {
    // §6.2 (R)
    for command in TRANSFERS {
        let mut guest = just_reset();
        guest.command(command);
        assert_eq!(guest.sense_interrupt(), [0x80], "{command:x?}");
    }
}

#[test]
fn a_command_that_discards_polling_interrupts_with_its_own_edge() {
    // §6.2, §6.5: the cause of the first edge is gone, and an edge-triggered PIC needs a second edge
    for command in SEEKS.into_iter().chain(TRANSFERS) {
        let mut guest = just_reset();
        assert_eq!(edges(&mut guest, |guest| send(guest, command)), 1, "{command:x?}");
        assert!(is_high(&guest), "{command:x?}");
    }
}

// Causes

#[test]
fn only_transfers_and_seeks_interrupt() {
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
fn int_stays_high_until_its_cause_is_served() {
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
        guest.bus.write(DOR, DOR_HELD);
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
fn interrupt_level_returns_the_level_of_int() {
    // §6.5
    let mut fdc = Controller::builder().build().expect("a controller without drives");
    fdc.write(WriteRegister::DigitalOutput, DOR_RUN);
    assert!(fdc.interrupt_level());
    fdc.write(WriteRegister::Fifo, 0x08);
    assert!(!fdc.interrupt_level());
}

// Several drives

#[test]
fn each_drive_that_ends_a_seek_interrupts_with_its_own_edge() {
    // §6.4
    if kit::IN_TIME {
        return; // With authentic timing, these seeks end later.
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
        return; // With authentic timing, these seeks end later.
    }
    let mut guest = idle();
    send(&mut guest, &[0x0F, 0, 10]);
    guest.bus.write(DOR, 0x2D); // Drive 1 is absent.
    send(&mut guest, &[0x07, 1]);
    assert_eq!(guest.sense_interrupt(), [0x20, 10]);
    assert_eq!(guest.sense_interrupt(), [0x71, 0]);
}

#[test]
fn the_lowest_drive_is_sensed_first() {
    // §6.3
    if kit::IN_TIME {
        return; // With authentic timing, these seeks end later.
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
        guest.bus.write(DOR, DOR_GATE_SHUT);
        assert_eq!(edges(&mut guest, raise), 0, "{cause}");
        assert_eq!(edges(&mut guest, |guest| guest.bus.write(DOR, DOR_RUN)), 1, "{cause}");
    }
}

#[test]
fn shutting_the_gate_hides_the_interrupt_and_keeps_it() {
    // §1.4
    for (cause, raise) in CAUSES {
        let mut guest = idle();
        raise(&mut guest);
        guest.bus.write(DOR, DOR_GATE_SHUT);
        assert!(!is_high(&guest), "{cause}");
        guest.bus.write(DOR, DOR_RUN);
        assert!(is_high(&guest), "{cause}");
    }
}

#[test]
fn an_interrupt_that_was_served_while_the_gate_was_shut_does_not_show() {
    // §1.4
    for (cause, raise) in CAUSES {
        let mut guest = idle();
        guest.bus.write(DOR, DOR_GATE_SHUT);
        raise(&mut guest);
        guest.reply(); // Some of the causes have a result.
        guest.sense_interrupt();
        assert_eq!(edges(&mut guest, |guest| guest.bus.write(DOR, DOR_RUN)), 0, "{cause}");
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
fn freebsd_gets_the_reset_interrupt_when_it_opens_the_gate() {
    // §6.5: three writes to the DOR, then SPECIFY and CONFIGURE before the first SENSE INTERRUPT STATUS
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
fn netbsd_probes_drives_with_the_gate_shut() {
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
fn linux_identifies_a_post_1991_82077() {
    // §3.25
    let mut guest = just_reset();
    for _ in 0..4 {
        assert_eq!(guest.sense_interrupt().len(), 2);
    }
    assert_eq!(get_fdc_version(&mut guest), "post-1991 82077");
    assert_eq!(guest.bus.read(MSR), 0x80);
    assert_eq!(edges(&mut guest, |guest| guest.bus.write(DSR, 0x80)), 1); // polling was off
}

/// Returns the controller type that Linux detects, as Linux names it.
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
