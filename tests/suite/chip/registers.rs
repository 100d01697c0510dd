//! The registers in PC/AT mode: the ports, the values that each register stores, the MSR in each phase, and the effect of
//! the three kinds of reset.

use std::fs;

use super::kit::{BUFFER, CCR, DIR, DMA_READ_FLOPPY, DOR, DOR_HELD, DOR_RUN, DSR, FIFO, Guest, MSR, TDR, fixture};
use vm_fdc::{
    Controller, EmptyDrive, FloppyDrive, InterfaceMode, ReadRegister, WriteRegister, drive::DriveType, media::Access,
};

/// Commands for the first sector of the disk, in MFM.
const READ: [u8; 9] = [0x46, 0, 0, 0, 1, 2, 1, 0x1B, 0xFF];
const WRITE: [u8; 9] = [0x45, 0, 0, 0, 1, 2, 1, 0x1B, 0xFF];
const READ_ID: [u8; 2] = [0x4A, 0];

const LOCK: u8 = 0x94;
const UNLOCK: u8 = 0x14;

type Step = fn(&mut Guest);

/// Each phase: the value of the MSR, and the steps to the phase from an idle controller.
const PHASES: [(&str, u8, Step); 13] = [
    ("held in reset", 0x00, |guest| guest.bus.write(DOR, DOR_HELD)),
    ("waiting for a command", 0x80, |_| ()),
    ("a seek ended and was not sensed", 0x81, |guest| begin(guest, &[0x0F, 0, 3])),
    ("waiting for parameters", 0x90, |guest| begin(guest, &READ[..3])),
    ("reading by DMA", 0x10, |guest| begin(guest, &READ)),
    ("writing by DMA", 0x10, |guest| begin(guest, &WRITE)),
    ("waiting for an index pulse", 0x10, |guest| begin_without_disk(guest, &READ_ID)),
    ("reading byte by byte", 0xF0, |guest| begin_without_dma(guest, &READ)),
    ("reading byte by byte, no byte yet", 0x70, |guest| {
        guest.use_dma(false);
        begin_without_disk(guest, &READ);
    }),
    ("writing byte by byte", 0xB0, |guest| begin_without_dma(guest, &WRITE)),
    ("result", 0xD0, |guest| begin(guest, &READ_ID)),
    ("rest of a result", 0xD0, |guest| {
        begin(guest, &READ_ID);
        guest.bus.read(FIFO);
    }),
    ("after a result", 0x80, |guest| _ = guest.command(&READ_ID)),
];

/// The three kinds of reset. Each ends at the latest when the DOR is [`DOR_RUN`].
const RESETS: [(&str, Step); 3] = [SOFTWARE_RESETS[0], SOFTWARE_RESETS[1], HARDWARE_RESET];
const SOFTWARE_RESETS: [(&str, Step); 2] =
    [("DOR", |guest| guest.bus.write(DOR, DOR_HELD)), ("DSR", |guest| guest.bus.write(DSR, 0x80))];
const HARDWARE_RESET: (&str, Step) = ("RESET pin", |guest| guest.bus.fdc.reset());

/// Returns a guest with one drive, a disk in it, and an idle controller at 500 kb/s. Without the disk, data commands hang.
fn with_disk(drive_type: DriveType, image: &str) -> Guest {
    let mut guest = Guest::new(Controller::builder().drive(0, drive_type).empty_drive(EmptyDrive::Hang));
    drive(&guest).attach_image(fixture(image), Access::Private).expect("the image suits the drive");
    guest.reset();
    guest.bus.write(DOR, DOR_RUN);
    guest.bus.write(CCR, 0);
    guest
}

fn idle() -> Guest {
    with_disk(DriveType::Inch3_5Hd, "dos-1440k.img")
}

fn in_phase(enter: Step) -> Guest {
    let mut guest = idle();
    enter(&mut guest);
    guest
}

fn drive(guest: &Guest) -> FloppyDrive {
    guest.bus.fdc.drive(0).expect("there is a drive 0")
}

fn begin(guest: &mut Guest, bytes: &[u8]) {
    guest.send(bytes).expect("the controller accepts the bytes");
}

fn begin_without_disk(guest: &mut Guest, bytes: &[u8]) {
    drive(guest).release_image().expect("an image is attached");
    begin(guest, bytes);
}

fn begin_without_dma(guest: &mut Guest, bytes: &[u8]) {
    guest.use_dma(false);
    begin(guest, bytes);
}

fn reset(guest: &mut Guest, by: Step) {
    by(guest);
    guest.bus.write(DOR, DOR_RUN);
}

/// Returns the result of DUMPREG: PCN 0..4, SPECIFY 4..6, track length 6, LOCK and PERPENDICULAR 7, CONFIGURE 8, PRETRK 9.
fn dump(guest: &mut Guest) -> [u8; 10] {
    begin(guest, &[0x0E]);
    guest.fetch().expect("DUMPREG answers ten bytes")
}

/// Returns the result of DUMPREG after a reset of a controller whose settings all differ from the defaults.
fn dump_after_reset(by: Step, lock: u8) -> [u8; 10] {
    let mut guest = idle();
    for (unit, cylinder) in [(0, 5), (1, 6), (2, 7), (3, 8)] {
        guest.command(&[0x0F, unit, cylinder]);
    }
    guest.command(&[0x03, 0xDF, 0x03]);
    guest.command(&[0x13, 0x00, 0x57, 0x15]);
    guest.command(&[0x12, 0xBF]);
    guest.command(&[lock]);
    assert_eq!(dump(&mut guest), [5, 6, 7, 8, 0xDF, 0x03, 0x00, (lock & 0x80) | 0x3F, 0x57, 0x15]);
    reset(&mut guest, by);
    dump(&mut guest)
}

/// Returns `true` if IDs are found, which needs 500 kb/s, the data rate of the 1.44M disk.
fn finds_ids(guest: &mut Guest) -> bool {
    guest.command(&READ_ID)[0] & 0xC0 == 0
}

fn change_line(guest: &mut Guest) -> bool {
    guest.bus.read(DIR) & 0x80 != 0
}

/// Returns the visible state: MSR, DOR and DIR, the level of INT, and the number of its edges.
fn view(guest: &mut Guest) -> ([u8; 3], bool, usize) {
    let registers = [MSR, DOR, DIR].map(|port| guest.bus.read(port));
    (registers, guest.bus.irq().is_high(), guest.bus.irq().edges())
}

fn four_polling_statuses(guest: &mut Guest) -> bool {
    (0..4).all(|unit| guest.sense_interrupt() == [0xC0 | unit, 0])
}

// Ports

#[test]
fn a_controller_claims_its_ports_except_the_port_of_the_hard_disk() {
    // §1
    for base in [Controller::PRIMARY, Controller::SECONDARY, 0x1230] {
        let mut fdc = Controller::builder().base(base).build().expect("a controller without drives");
        let window = [0, 1, 2, 3, 4, 5, 7].map(|offset| base + offset);
        let read: Vec<u16> = (0..=u16::MAX).filter(|&port| fdc.read_port(port).is_some()).collect();
        let written: Vec<u16> = (0..=u16::MAX).filter(|&port| fdc.write_port(port, 0)).collect();
        assert_eq!((&read[..], &written[..]), (&window[..], &window[..]), "base {base:#x}");
    }
}

#[test]
fn the_named_bases_are_those_of_a_pc() {
    // §1
    assert_eq!((Controller::PRIMARY, Controller::SECONDARY), (0x3F0, 0x370));
}

#[test]
fn each_offset_has_its_register() {
    // §1
    use ReadRegister::*;
    let window = [StatusA, StatusB, DigitalOutput, TapeDrive, MainStatus, Fifo].map(Some);
    let offsets = [0, 1, 2, 3, 4, 5].map(ReadRegister::at);
    assert_eq!(offsets, window);
    assert_eq!([6, 7, 8].map(ReadRegister::at), [None, Some(DigitalInput), None]);
}

#[test]
fn the_write_registers_have_their_own_names() {
    // §1
    use WriteRegister::*;
    let window = [None, None, Some(DigitalOutput), Some(TapeDrive), Some(DataRateSelect), Some(Fifo), None];
    assert_eq!([0, 1, 2, 3, 4, 5, 6].map(WriteRegister::at), window);
    assert_eq!([7, 8].map(WriteRegister::at), [Some(ConfigurationControl), None]);
}

#[test]
fn a_port_and_a_register_access_the_same_latch() {
    // §1
    let mut fdc = Controller::builder().base(Controller::SECONDARY).build().expect("a controller without drives");
    fdc.write_port(0x372, 0x1C);
    assert_eq!(fdc.read(ReadRegister::DigitalOutput), 0x1C);
    fdc.write(WriteRegister::DigitalOutput, 0x2D);
    assert_eq!(fdc.read_port(0x372), Some(0x2D));
}

#[test]
fn status_registers_a_and_b_float() {
    // §1
    let mut guest = idle();
    assert_eq!((guest.bus.read(0x3F0), guest.bus.read(0x3F1)), (0xFF, 0xFF));
}

#[test]
fn writes_to_status_registers_a_and_b_change_nothing() {
    // §1
    let mut guest = idle();
    let before = view(&mut guest);
    guest.bus.write(0x3F0, 0x00);
    guest.bus.write(0x3F1, 0x00);
    assert_eq!(view(&mut guest), before);
}

#[test]
fn the_controller_drives_only_bit_7_of_the_dir() {
    // §1.9
    assert_eq!(ReadRegister::DigitalInput.driven_bits(InterfaceMode::At), 0x80);
}

// DOR

#[test]
fn the_dor_is_clear_at_power_on() {
    // §1.4
    let mut guest = Guest::new(Controller::builder());
    assert_eq!(guest.bus.read(DOR), 0x00);
}

#[test]
fn the_dor_reads_as_written() {
    // §1.4
    let mut guest = idle();
    for value in 0..=0xFF {
        guest.bus.write(DOR, value);
        assert_eq!(guest.bus.read(DOR), value);
    }
}

#[test]
fn the_dor_holds_the_controller_in_reset_until_nreset_is_set() {
    // §1.4
    let mut guest = idle();
    for (value, msr) in [(0x00, 0x00), (0x18, 0x00), (0xFB, 0x00), (0x04, 0x80)] {
        guest.bus.write(DOR, value);
        assert_eq!(guest.bus.read(MSR), msr, "DOR {value:#04x}");
    }
}

#[test]
fn motors_and_drives_are_switched_without_a_reset() {
    // §1.4
    let mut guest = idle();
    begin(&mut guest, &READ[..3]);
    for value in [0x0C, 0x2D, 0x4E, 0x8F, 0xFC, 0x04] {
        guest.bus.write(DOR, value);
        assert_eq!(guest.bus.read(MSR), 0x90, "DOR {value:#04x}");
    }
}

// TDR

#[test]
fn the_tdr_keeps_the_two_bits_of_the_tape_select() {
    // §1.5
    let mut guest = idle();
    for value in 0..=0xFF {
        guest.bus.write(TDR, value);
        assert_eq!(guest.bus.read(TDR), value & 0x03);
    }
}

// DSR and CCR

#[test]
fn a_disk_is_found_only_at_its_own_data_rate() {
    // §1.10, §7.5
    let mut guest = idle();
    for (rate, found) in [(0b00, true), (0b01, false), (0b10, false), (0b11, false)] {
        guest.bus.write(CCR, rate);
        assert_eq!(finds_ids(&mut guest), found, "DRATE {rate:#04b}");
    }
}

#[test]
fn the_last_write_to_dsr_or_ccr_sets_the_data_rate() {
    // §1.7
    let mut guest = idle();
    for (writes, found) in [
        ([(CCR, 0), (DSR, 2)], false),
        ([(DSR, 2), (CCR, 0)], true),
        ([(DSR, 0), (CCR, 2)], false),
        ([(CCR, 2), (DSR, 0)], true),
    ] {
        for (port, value) in writes {
            guest.bus.write(port, value);
        }
        assert_eq!(finds_ids(&mut guest), found, "{writes:x?}");
    }
}

#[test]
fn the_precompensation_does_not_change_the_data_rate() {
    // §1.7
    let mut guest = idle();
    for precompensation in 0..8 {
        guest.bus.write(DSR, precompensation << 2);
        assert!(finds_ids(&mut guest), "PRECOMP {precompensation:#05b}");
    }
}

#[test]
fn a_reset_by_the_dsr_sets_the_data_rate() {
    // §1.7, §3.25
    let mut guest = idle();
    guest.bus.write(DSR, 0x82);
    assert!(!finds_ids(&mut guest));
}

#[test]
fn each_write_of_the_dsr_reset_bit_resets() {
    // §1.7
    let mut guest = idle();
    for _ in 0..2 {
        guest.bus.write(DSR, 0x80);
        assert!(four_polling_statuses(&mut guest));
    }
}

#[test]
fn the_dsr_does_not_end_a_reset_by_the_dor() {
    // §1.7
    let mut guest = in_phase(|guest| guest.bus.write(DOR, DOR_HELD));
    guest.bus.write(DSR, 0x80);
    assert_eq!(guest.bus.read(MSR), 0x00);
}

// DIR

#[test]
fn the_change_line_shows_for_the_selected_drive_with_its_motor_on() {
    // §1.9, §9.5
    let drives = Controller::builder().drive(0, DriveType::Inch3_5Hd).drive(1, DriveType::Inch3_5Hd);
    let mut guest = Guest::new(drives);
    drive(&guest).attach_image(fixture("dos-1440k.img"), Access::Private).expect("the image suits the drive");
    guest.bus.write(DOR, 0x1C);
    guest.command(&[0x0F, 0, 1]); // a step of drive 0: now only drive 1 has its change line set
    for (dor, changed) in [
        (0x1C, false), // drive 0
        (0x2D, true),  // drive 1
        (0x0D, false), // drive 1, no motor
        (0x1D, false), // drive 1, motor of drive 0
        (0x2C, false), // drive 0, motor of drive 1
        (0x3D, true),  // drive 1, both motors
        (0x29, true),  // drive 1, held in reset
        (0x4E, false), // drive 2, which is absent
    ] {
        guest.bus.write(DOR, dor);
        assert_eq!(change_line(&mut guest), changed, "DOR {dor:#04x}");
    }
}

#[test]
fn reading_the_dir_does_not_clear_the_change_line() {
    // §9.5
    let mut guest = idle();
    assert!(change_line(&mut guest));
    assert!(change_line(&mut guest));
}

// MSR

#[test]
fn the_msr_shows_each_phase() {
    // §2.1
    for (phase, msr, enter) in PHASES {
        let mut guest = in_phase(enter);
        assert_eq!(guest.bus.read(MSR), msr, "{phase}");
    }
}

#[test]
fn reading_the_msr_changes_nothing() {
    // §2.2
    for (phase, _, enter) in PHASES {
        let mut guest = in_phase(enter);
        assert_eq!(view(&mut guest), view(&mut guest), "{phase}");
    }
}

// FIFO: accesses that the MSR does not allow

#[test]
fn a_fifo_access_that_the_msr_does_not_allow_changes_nothing() {
    // §1.8, §12
    for (phase, msr, enter) in PHASES {
        let mut guest = in_phase(enter);
        let before = view(&mut guest);
        if msr & 0xC0 != 0x80 {
            guest.bus.write(FIFO, 0x08);
        }
        if msr & 0xC0 != 0xC0 {
            guest.bus.read(FIFO);
        }
        assert_eq!(view(&mut guest), before, "{phase}");
    }
}

#[test]
fn a_byte_written_while_held_in_reset_is_no_command() {
    // §1.8
    let mut guest = in_phase(|guest| guest.bus.write(DOR, DOR_HELD));
    guest.bus.write(FIFO, 0x03);
    guest.bus.write(DOR, DOR_RUN);
    assert_eq!(guest.bus.read(MSR), 0x80);
}

#[test]
fn reads_between_parameters_do_not_affect_the_command() {
    // §1.8
    let mut guest = idle();
    for byte in [0x03, 0xC7, 0x2E] {
        guest.bus.read(FIFO);
        guest.bus.write(FIFO, byte);
    }
    assert_eq!(dump(&mut guest)[4..6], [0xC7, 0x2E]);
}

#[test]
fn writes_between_result_bytes_do_not_affect_the_result() {
    // §1.8
    let mut guest = idle();
    let undisturbed = dump(&mut guest);
    begin(&mut guest, &[0x0E]);
    let disturbed = [0x08; 10].map(|byte| {
        guest.bus.write(FIFO, byte);
        guest.bus.read(FIFO)
    });
    assert_eq!(disturbed, undisturbed);
}

#[test]
fn fifo_accesses_do_not_affect_a_transfer_by_dma() {
    // §1.8
    let mut guest = idle();
    begin(&mut guest, &READ);
    for _ in 0..20 {
        guest.bus.write(FIFO, 0x55);
        guest.bus.read(FIFO);
    }
    guest.program_dma(DMA_READ_FLOPPY, BUFFER, 512);
    assert_eq!(guest.reply().status(), [0x00, 0x00, 0x00]);
    let image = fs::read(fixture("dos-1440k.img")).expect("the image can be read");
    assert_eq!(guest.buffer(512), &image[..512]);
}

// Resets, row by row of §1.11

#[test]
fn a_controller_held_in_reset_shows_no_status_and_no_interrupt() {
    // §1.11
    for (name, hold) in [SOFTWARE_RESETS[0], HARDWARE_RESET] {
        for (phase, _, enter) in PHASES {
            let mut guest = in_phase(enter);
            hold(&mut guest);
            assert_eq!((guest.bus.read(MSR), guest.bus.irq().is_high()), (0x00, false), "{name}, {phase}");
        }
    }
}

#[test]
fn a_reset_ends_every_phase_and_polls_the_drives() {
    // §1.11, §12
    for (name, by) in RESETS {
        for (phase, _, enter) in PHASES {
            let mut guest = in_phase(enter);
            reset(&mut guest, by);
            assert_eq!((guest.bus.read(MSR), guest.bus.irq().is_high()), (0x80, true), "{name}, {phase}");
            assert!(four_polling_statuses(&mut guest), "{name}, {phase}");
        }
    }
}

#[test]
fn a_hardware_reset_clears_the_dor() {
    // §1.11
    let mut guest = idle();
    guest.bus.fdc.reset();
    assert_eq!(guest.bus.read(DOR), 0x00);
}

#[test]
fn a_software_reset_keeps_the_dor() {
    // §1.11
    let mut guest = idle();
    guest.bus.write(DSR, 0x80);
    assert_eq!(guest.bus.read(DOR), DOR_RUN);
}

#[test]
fn only_a_hardware_reset_clears_the_tdr() {
    // §1.11
    for ((name, by), kept) in RESETS.into_iter().zip([0x03, 0x03, 0x00]) {
        let mut guest = idle();
        guest.bus.write(TDR, 0x03);
        reset(&mut guest, by);
        assert_eq!(guest.bus.read(TDR), kept, "{name}");
    }
}

#[test]
fn a_software_reset_keeps_the_data_rate() {
    // §1.11
    for (name, by) in SOFTWARE_RESETS {
        let mut guest = idle();
        reset(&mut guest, by);
        assert!(finds_ids(&mut guest), "{name}");
    }
}

#[test]
fn a_hardware_reset_selects_250_kbps() {
    // §1.11
    let mut guest = with_disk(DriveType::Inch3_5Dd, "dos-720k.img");
    assert!(!finds_ids(&mut guest));
    reset(&mut guest, HARDWARE_RESET.1);
    assert!(finds_ids(&mut guest));
}

#[test]
fn a_reset_clears_the_present_cylinder_numbers() {
    // §1.11 (R: not established for a software reset)
    for (name, by) in RESETS {
        assert_eq!(dump_after_reset(by, LOCK)[..4], [0, 0, 0, 0], "{name}");
    }
}

#[test]
fn no_reset_changes_what_specify_set() {
    // §1.11
    for (name, by) in RESETS {
        assert_eq!(dump_after_reset(by, UNLOCK)[4..6], [0xDF, 0x03], "{name}");
    }
}

#[test]
fn data_moves_by_dma_before_the_first_specify() {
    // §1.11
    let mut guest = Guest::new(Controller::builder());
    guest.bus.write(DOR, DOR_RUN);
    assert_eq!(dump(&mut guest)[5] & 0x01, 0);
}

#[test]
fn a_reset_restores_the_defaults_of_configure() {
    // §1.11, §7.2
    for (name, by) in RESETS {
        assert_eq!(dump_after_reset(by, UNLOCK)[8..], [0x20, 0x00], "{name}");
    }
}

#[test]
fn a_software_reset_keeps_what_lock_protects() {
    // §1.11, §7.2: EFIFO, FIFOTHR and PRETRK
    for (name, by) in SOFTWARE_RESETS {
        let dump = dump_after_reset(by, LOCK);
        assert_eq!((dump[8] & 0x2F, dump[9]), (0x07, 0x15), "{name}");
    }
}

#[test]
fn lock_protects_neither_implied_seek_nor_disabled_polling() {
    // §1.11, §7.2
    for (name, by) in RESETS {
        assert_eq!(dump_after_reset(by, LOCK)[8] & 0x50, 0x00, "{name}");
    }
}

#[test]
fn a_software_reset_keeps_the_lock() {
    // §1.11
    for (name, by) in SOFTWARE_RESETS {
        assert_eq!(dump_after_reset(by, LOCK)[7] & 0x80, 0x80, "{name}");
        assert_eq!(dump_after_reset(by, UNLOCK)[7] & 0x80, 0x00, "{name}");
    }
}

#[test]
fn a_hardware_reset_clears_the_lock_and_the_settings_that_it_protects() {
    // §1.11
    let dump = dump_after_reset(HARDWARE_RESET.1, LOCK);
    assert_eq!((dump[7] & 0x80, &dump[8..]), (0x00, &[0x20, 0x00][..]));
}

#[test]
fn a_reset_clears_gap_and_wgate() {
    // §1.11, §7.4
    for (name, by) in RESETS {
        assert_eq!(dump_after_reset(by, LOCK)[7] & 0x03, 0x00, "{name}");
    }
}

#[test]
fn only_a_hardware_reset_clears_the_perpendicular_drives() {
    // §1.11, §7.4
    for ((name, by), kept) in RESETS.into_iter().zip([0x3C, 0x3C, 0x00]) {
        assert_eq!(dump_after_reset(by, UNLOCK)[7] & 0x3C, kept, "{name}");
    }
}

#[test]
fn no_reset_changes_the_change_line() {
    // §1.11
    for (name, by) in RESETS {
        let mut guest = idle();
        reset(&mut guest, by);
        assert!(change_line(&mut guest), "{name}");
        guest.command(&[0x0F, 0, 1]);
        reset(&mut guest, by);
        assert!(!change_line(&mut guest), "{name}");
    }
}

// Power down

#[test]
fn a_powered_down_controller_accepts_no_command() {
    // §1.7
    let mut guest = idle();
    guest.bus.write(DSR, 0x40);
    guest.bus.write(FIFO, 0x10);
    assert_eq!(guest.bus.read(MSR) & 0x80, 0x00);
}

#[test]
fn a_powered_down_controller_does_not_interrupt() {
    // §1.7
    let mut guest = in_phase(|guest| begin(guest, &[0x0F, 0, 3]));
    guest.bus.write(DSR, 0x40);
    assert!(!guest.bus.irq().is_high());
}

#[test]
fn only_a_reset_ends_power_down() {
    // §1.7
    for (name, by) in RESETS {
        let mut guest = idle();
        guest.bus.write(DSR, 0x40);
        guest.bus.read(MSR);
        guest.bus.read(FIFO);
        guest.bus.write(DOR, DOR_RUN);
        guest.bus.write(CCR, 0x00);
        guest.bus.write(DSR, 0x00);
        assert_eq!(guest.bus.read(MSR) & 0x80, 0x00, "{name}");
        reset(&mut guest, by);
        assert_eq!((guest.bus.read(MSR), guest.bus.irq().is_high()), (0x80, true), "{name}");
    }
}

#[test]
fn power_down_clears_cylinder_numbers_and_statuses() {
    // §1.7
    for (name, by) in RESETS {
        let mut guest = in_phase(|guest| begin(guest, &[0x0F, 0, 3]));
        guest.bus.write(DSR, 0x40);
        reset(&mut guest, by);
        assert!(four_polling_statuses(&mut guest), "{name}");
        assert_eq!(dump(&mut guest)[..4], [0, 0, 0, 0], "{name}");
    }
}
