//! The register files of PS/2 and Model 30: SRA, SRB, DIR and CCR bit by bit, after a reset and after each event that
//! changes a bit; and the effect of the DMA gate on the pins in each mode.

use super::kit::disk::{Disk, id, sector};
use super::kit::{
    BUFFER, CCR, DIR, DMA_READ_FLOPPY, DMA_STATUS, DMA_WRITE_FLOPPY, DOR, DOR_GATE_SHUT, DOR_RUN, DSR, FIFO, Guest,
    MSR, Reply,
};
use vm_fdc::{
    Controller,
    InterfaceMode::{self, At, Model30, Ps2},
    ReadRegister,
    drive::DriveType,
};

const SRA: u16 = 0x3F0;
const SRB: u16 = 0x3F1;

const SEEK: [u8; 3] = [0x0F, 0, 5];
const RECALIBRATE: [u8; 2] = [0x07, 0];
const READ_ID: [u8; 2] = [0x4A, 0];
const READ: [u8; 9] = [0x46, 0, 0, 0, 1, 2, 2, 0x1B, 0xFF];
const WRITE: [u8; 9] = [0x45, 0, 0, 0, 1, 2, 2, 0x1B, 0xFF];
const FORMAT: [u8; 6] = [0x4D, 0, 2, 2, 0x6C, 0xF6];

/// The table of §1.1: the modes, and whether a shut gate cuts off INT, DRQ, DACK and TC.
const GATES: [(InterfaceMode, bool); 3] = [(At, true), (Ps2, false), (Model30, true)];

type Step = fn(&mut Guest);

const RESETS: [(&str, Step); 3] = [
    ("DOR", |guest| {
        guest.bus.write(DOR, 0x18);
        guest.bus.write(DOR, DOR_RUN);
    }),
    ("DSR", |guest| guest.bus.write(DSR, 0x80)),
    ("RESET pin", |guest| {
        guest.bus.fdc.reset();
        guest.bus.write(DOR, DOR_RUN);
    }),
];

/// Returns a disk with two sectors on each head of cylinder 0.
fn disk() -> Disk {
    Disk::blank().with_track(0, 0, [1, 2].map(sector)).with_track(0, 1, [1, 2].map(|sector| id(0, 1, sector, 2)))
}

/// Returns the guest of a machine at power-on, with an empty drive and its head at cylinder 0.
fn power_on(mode: InterfaceMode) -> Guest {
    Guest::new(Controller::builder().interface(mode).drive(0, DriveType::Inch3_5Hd))
}

/// Returns such a guest with a disk in the drive. The drive is selected, at 500 kb/s.
fn with(mode: InterfaceMode, disk: Disk) -> Guest {
    let mut guest = power_on(mode);
    guest.bus.fdc.drive(0).expect("there is a drive 0").attach_medium(disk).expect("the disk suits the drive");
    guest.reset();
    guest.select(0);
    guest.bus.write(CCR, 0);
    guest
}

fn idle(mode: InterfaceMode) -> Guest {
    with(mode, disk())
}

/// Performs a command with the DMA channel programmed for one sector.
fn run(guest: &mut Guest, command: &[u8]) -> Reply {
    let mode = if matches!(command[0] & 0x1F, 0x05 | 0x0D) { DMA_WRITE_FLOPPY } else { DMA_READ_FLOPPY };
    guest.program_dma(mode, BUFFER, 512);
    guest.command(command)
}

fn bit(guest: &mut Guest, port: u16, number: u8) -> bool {
    guest.bus.read(port) >> number & 1 != 0
}

/// Returns the DMA request of the floppy, which shows also while its channel is masked.
fn dma_request(guest: &mut Guest) -> bool {
    bit(guest, DMA_STATUS, 6)
}

/// Returns the flip-flops of Model 30: STEP, WRDATA, RDDATA, WE.
fn flip_flops(guest: &mut Guest) -> [bool; 4] {
    [(SRA, 5), (SRB, 4), (SRB, 3), (SRB, 2)].map(|(port, number)| bit(guest, port, number))
}

// At reset

#[test]
fn status_register_a_at_power_on() {
    // §1.2: head at track 0, no index pulse, no write protection
    for (mode, value) in [(Ps2, 0x46), (Model30, 0x19)] {
        assert_eq!(power_on(mode).bus.read(SRA), value, "{mode:?}");
    }
}

#[test]
fn status_register_b_at_power_on() {
    // §1.3: no drive is selected while the chip is held in reset
    for (mode, value) in [(Ps2, 0xC0), (Model30, 0xE3)] {
        assert_eq!(power_on(mode).bus.read(SRB), value, "{mode:?}");
    }
}

#[test]
fn the_dir_at_power_on() {
    // §1.9: 250 kb/s, and no change line because the motor is off
    for (mode, value) in [(Ps2, 0x7D), (Model30, 0x82)] {
        assert_eq!(power_on(mode).bus.read(DIR), value, "{mode:?}");
    }
}

#[test]
fn a_hardware_reset_restores_all_bits_except_input_pins() {
    // §1.2, §1.3, §1.9: the head does not move
    for (mode, a, dir) in [(Ps2, 0x56, 0x7D), (Model30, 0x09, 0x82)] {
        let mut guest = idle(mode);
        run(&mut guest, &READ);
        run(&mut guest, &WRITE);
        run(&mut guest, &SEEK);
        run(&mut guest, &[0x04, 0x04]);
        guest.bus.write(CCR, 0x07);
        guest.bus.fdc.reset();
        let activity = guest.bus.read(SRB) & 0x1C;
        assert_eq!((guest.bus.read(SRA), activity, guest.bus.read(DIR)), (a, 0x00, dir), "{mode:?}");
    }
}

// SRA

#[test]
fn sra_shows_int() {
    // §1.2
    for mode in [Ps2, Model30] {
        let mut guest = idle(mode);
        assert!(!bit(&mut guest, SRA, 7), "{mode:?}");
        guest.command(&SEEK);
        assert!(bit(&mut guest, SRA, 7), "{mode:?}");
        guest.sense_interrupt();
        assert!(!bit(&mut guest, SRA, 7), "{mode:?}");
    }
}

#[test]
fn sra_of_ps_2_shows_int_with_the_gate_shut() {
    // §1.1, §1.2
    let mut guest = power_on(Ps2);
    guest.bus.write(DOR, DOR_GATE_SHUT);
    assert!(bit(&mut guest, SRA, 7));
}

#[test]
fn sra_of_model_30_shows_the_dma_request() {
    // §1.2
    let mut guest = idle(Model30);
    assert!(!bit(&mut guest, SRA, 6));
    guest.command(&READ);
    assert!(bit(&mut guest, SRA, 6));
    guest.program_dma(DMA_READ_FLOPPY, BUFFER, 512);
    assert!(!bit(&mut guest, SRA, 6));
}

#[test]
fn a_second_drive_shows_as_a_zero() {
    // §1.2, §1.3
    for (mode, port, number) in [(Ps2, SRA, 6), (Model30, SRB, 7)] {
        assert!(bit(&mut power_on(mode), port, number), "{mode:?}");
        let drives = Controller::builder().drive(0, DriveType::Inch3_5Hd).drive(1, DriveType::Inch5_25Hd);
        assert!(!bit(&mut Guest::new(drives.interface(mode)), port, number), "{mode:?}");
    }
}

#[test]
fn a_third_drive_does_not_show_as_a_second_drive() {
    // §1.2, §1.3
    for (mode, port, number) in [(Ps2, SRA, 6), (Model30, SRB, 7)] {
        let drives = Controller::builder().drive(0, DriveType::Inch3_5Hd).drive(2, DriveType::Inch3_5Hd);
        assert!(bit(&mut Guest::new(drives.interface(mode)), port, number), "{mode:?}");
    }
}

#[test]
fn the_step_output_of_ps_2_is_low_after_the_seek() {
    // §1.2
    let mut guest = idle(Ps2);
    run(&mut guest, &SEEK);
    assert!(!bit(&mut guest, SRA, 5));
}

#[test]
fn sra_shows_track_0_of_the_selected_drive() {
    // §1.2, §9.6
    for (mode, at_track_0) in [(Ps2, false), (Model30, true)] {
        let mut guest = idle(mode);
        assert_eq!(bit(&mut guest, SRA, 4), at_track_0, "{mode:?}");
        guest.seek(5);
        assert_eq!(bit(&mut guest, SRA, 4), !at_track_0, "{mode:?}");
        guest.recalibrate();
        assert_eq!(bit(&mut guest, SRA, 4), at_track_0, "{mode:?}");
        guest.select(1); // an absent drive
        assert_eq!(bit(&mut guest, SRA, 4), !at_track_0, "{mode:?}");
    }
}

#[test]
fn sra_shows_the_head_of_the_last_command() {
    // §1.2, §5.4
    let commands: [&[u8]; 8] = [
        &[0x04, 0x04],                            // SENSE DRIVE STATUS
        &[0x4A, 0x04],                            // READ ID
        &[0x46, 0x04, 0, 1, 1, 2, 2, 0x1B, 0xFF], // READ DATA
        &[0x45, 0x04, 0, 1, 1, 2, 2, 0x1B, 0xFF], // WRITE DATA
        &[0x42, 0x04, 0, 1, 1, 2, 2, 0x1B, 0xFF], // READ TRACK
        &[0x56, 0x04, 0, 1, 1, 2, 2, 0x1B, 0xFF], // VERIFY
        &[0xD6, 0x00, 0, 0, 1, 2, 2, 0x1B, 0xFF], // VERIFY with MT, which changes heads
        &[0x4D, 0x04, 2, 2, 0x6C, 0xF6],          // FORMAT TRACK
    ];
    for (mode, head_1) in [(Ps2, true), (Model30, false)] {
        for command in commands {
            let mut guest = idle(mode);
            assert_eq!(bit(&mut guest, SRA, 3), !head_1, "{mode:?}");
            run(&mut guest, command);
            assert_eq!(bit(&mut guest, SRA, 3), head_1, "{mode:?}, {command:x?}");
            run(&mut guest, &[0x04, 0x00]);
            assert_eq!(bit(&mut guest, SRA, 3), !head_1, "{mode:?}, {command:x?}");
        }
    }
}

#[test]
fn sra_shows_the_write_protect_notch_of_the_selected_drive() {
    // §1.2
    for (mode, protected) in [(Ps2, false), (Model30, true)] {
        assert_eq!(bit(&mut idle(mode), SRA, 1), !protected, "{mode:?}");
        let mut guest = with(mode, disk().protected());
        assert_eq!(bit(&mut guest, SRA, 1), protected, "{mode:?}");
        guest.select(1);
        assert_eq!(bit(&mut guest, SRA, 1), !protected, "{mode:?}");
    }
}

#[test]
fn sra_shows_the_direction_of_the_last_step() {
    // §1.2
    let ways: [(&[u8], bool); 6] = [
        (&[0x0F, 0, 5], true),  // SEEK
        (&[0x0F, 0, 3], false), // SEEK
        (&[0xCF, 0, 4], true),  // RELATIVE SEEK
        (&[0x8F, 0, 1], false), // RELATIVE SEEK
        (&[0x0F, 0, 9], true),  // SEEK
        (&[0x07, 0], false),    // RECALIBRATE
    ];
    for (mode, step_in) in [(Ps2, true), (Model30, false)] {
        let mut guest = idle(mode);
        for (command, steps_in) in ways {
            run(&mut guest, command);
            assert_eq!(bit(&mut guest, SRA, 0) == step_in, steps_in, "{mode:?}, {command:x?}");
        }
    }
}

// SRB

#[test]
fn srb_of_ps_2_shows_the_dor() {
    // §1.3: DRIVE SEL 0, MOT EN1, MOT EN0
    let mut guest = power_on(Ps2);
    for (dor, srb) in
        [(0x0C, 0xC0), (0x1C, 0xC1), (0x2C, 0xC2), (0x2D, 0xE2), (0x3C, 0xC3), (0x3D, 0xE3), (0x4E, 0xC0), (0x8F, 0xE0)]
    {
        guest.bus.write(DOR, dor);
        assert_eq!(guest.bus.read(SRB), srb, "DOR {dor:#04x}");
    }
}

#[test]
fn a_software_reset_does_not_clear_drive_select_in_srb_of_ps_2() {
    // §1.3
    let mut guest = power_on(Ps2);
    guest.bus.write(DOR, 0x2D);
    guest.bus.write(DSR, 0x80);
    assert_eq!(guest.bus.read(SRB), 0xE2);
    guest.bus.write(DOR, 0x29); // held in reset
    assert!(bit(&mut guest, SRB, 5));
}

#[test]
fn srb_of_model_30_shows_the_selected_drive() {
    // §1.3
    for (number, srb) in [(0, 0x43), (1, 0x23), (2, 0x62), (3, 0x61)] {
        let mut guest = power_on(Model30);
        guest.select(number);
        assert_eq!(guest.bus.read(SRB), srb | 0x80, "drive {number}");
        let drives = Controller::builder().drive(0, DriveType::Inch3_5Hd).drive(1, DriveType::Inch3_5Hd);
        let mut guest = Guest::new(drives.interface(Model30));
        guest.select(number);
        assert_eq!(guest.bus.read(SRB), srb, "drive {number} of two");
    }
}

#[test]
fn the_toggles_of_ps_2_change_with_each_read_and_write() {
    // §1.3: WRDATA, RDDATA; a write first reads the ID
    let commands: [(&[u8], [bool; 2]); 5] = [
        (&READ_ID, [false, true]),
        (&READ, [false, true]),
        (&WRITE, [true, true]),
        (&FORMAT, [true, false]),
        (&SEEK, [false, false]),
    ];
    for (command, changes) in commands {
        let mut guest = idle(Ps2);
        for _ in 0..2 {
            let before = guest.bus.read(SRB);
            run(&mut guest, command);
            let changed = before ^ guest.bus.read(SRB);
            assert_eq!([0x10, 0x08].map(|toggle| changed & toggle != 0), changes, "{command:x?}");
        }
    }
}

#[test]
fn reading_the_dir_does_not_change_the_toggles_of_ps_2() {
    // §1.3, §1.9
    let mut guest = idle(Ps2);
    run(&mut guest, &WRITE);
    let before = guest.bus.read(SRB);
    guest.bus.read(DIR);
    assert_eq!((before & 0x18, guest.bus.read(SRB)), (0x18, before));
}

#[test]
fn write_enable_of_ps_2_is_high_within_a_data_field() {
    // §1.3
    let mut guest = with(Ps2, disk());
    guest.use_dma(false);
    guest.send(&WRITE).unwrap();
    assert!(!bit(&mut guest, SRB, 2), "no byte has been written");
    (0..100).for_each(|_| guest.bus.write(FIFO, 0));
    assert!(bit(&mut guest, SRB, 2));
    (100..1024).for_each(|_| guest.bus.write(FIFO, 0));
    assert!(!bit(&mut guest, SRB, 2));
}

#[test]
fn write_enable_of_ps_2_is_low_after_the_write() {
    // §1.3
    for command in [&WRITE[..], &FORMAT] {
        let mut guest = idle(Ps2);
        run(&mut guest, command);
        assert!(!bit(&mut guest, SRB, 2), "{command:x?}");
    }
}

// The flip-flops of Model 30

#[test]
fn each_flip_flop_is_set_by_its_activity() {
    // §1.2, §1.3: STEP, WRDATA, RDDATA, WE; a write first reads the ID
    let activities: [(&str, &[u8], [u8; 4]); 12] = [
        ("SEEK to a higher cylinder", &SEEK, [1, 0, 0, 0]),
        ("SEEK of no distance", &[0x0F, 0, 0], [0, 0, 0, 0]),
        ("RECALIBRATE at track 0", &RECALIBRATE, [0, 0, 0, 0]),
        ("RELATIVE SEEK", &[0xCF, 0, 1], [1, 0, 0, 0]),
        ("READ ID", &READ_ID, [0, 0, 1, 0]),
        ("READ DATA", &READ, [0, 0, 1, 0]),
        ("READ TRACK", &[0x42, 0, 0, 0, 1, 2, 2, 0x1B, 0xFF], [0, 0, 1, 0]),
        ("VERIFY", &[0x56, 0, 0, 0, 1, 2, 2, 0x1B, 0xFF], [0, 0, 1, 0]),
        ("READ DATA of an absent sector", &[0x46, 0, 0, 0, 9, 2, 9, 0x1B, 0xFF], [0, 0, 1, 0]),
        ("WRITE DATA", &WRITE, [0, 1, 1, 1]),
        ("FORMAT TRACK", &FORMAT, [0, 1, 0, 1]),
        ("SENSE DRIVE STATUS", &[0x04, 0], [0, 0, 0, 0]),
    ];
    for (name, command, set) in activities {
        let mut guest = idle(Model30);
        run(&mut guest, command);
        assert_eq!(flip_flops(&mut guest).map(u8::from), set, "{name}");
    }
}

#[test]
fn a_recalibrate_that_steps_sets_the_step_flip_flop() {
    // §1.2
    let mut guest = idle(Model30);
    guest.seek(5);
    guest.bus.read(DIR);
    guest.recalibrate();
    assert!(bit(&mut guest, SRA, 5));
}

#[test]
fn an_implied_seek_sets_the_step_flip_flop() {
    // §1.2, §4.5
    let mut guest = idle(Model30);
    guest.command(&[0x13, 0, 0x60, 0]);
    run(&mut guest, &[0x46, 0, 5, 0, 1, 2, 2, 0x1B, 0xFF]);
    assert!(bit(&mut guest, SRA, 5));
}

#[test]
fn steps_of_an_absent_drive_set_the_step_flip_flop() {
    // §1.2: STEP is an output
    let mut guest = idle(Model30);
    guest.select(1);
    guest.recalibrate();
    assert!(bit(&mut guest, SRA, 5));
}

#[test]
fn without_an_id_rddata_is_not_set() {
    // §1.3 (R): reading an ID or a data field sets RDDATA
    let mut guest = idle(Model30);
    guest.bus.write(CCR, 2);
    assert_eq!(run(&mut guest, &READ_ID)[1], 0x01);
    assert_eq!(flip_flops(&mut guest), [false; 4]);
}

#[test]
fn on_a_protected_disk_a_write_sets_no_flip_flop() {
    // §1.3 (R), §4.13: write protection is checked before the search
    for command in [&WRITE[..], &FORMAT] {
        let mut guest = with(Model30, disk().protected());
        assert_eq!(run(&mut guest, command)[1], 0x02, "{command:x?}");
        assert_eq!(flip_flops(&mut guest), [false; 4], "{command:x?}");
    }
}

#[test]
fn without_a_disk_no_flip_flop_is_set() {
    // §1.3 (R)
    for command in [&READ_ID[..], &READ, &WRITE, &FORMAT] {
        let mut guest = power_on(Model30);
        guest.reset();
        guest.select(0);
        run(&mut guest, command);
        assert_eq!(flip_flops(&mut guest), [false; 4], "{command:x?}");
    }
}

#[test]
fn a_read_that_waits_for_dma_sets_rddata() {
    // §1.3 (R)
    let mut guest = idle(Model30);
    guest.command(&READ);
    assert!(bit(&mut guest, SRB, 3));
}

#[test]
fn reading_the_dir_clears_the_flip_flops() {
    // §1.9
    let mut guest = idle(Model30);
    run(&mut guest, &WRITE);
    run(&mut guest, &SEEK);
    assert_eq!(flip_flops(&mut guest), [true; 4]);
    assert_eq!(flip_flops(&mut guest), [true; 4]); // Reading them does not clear them.
    guest.bus.read(DIR);
    assert_eq!(flip_flops(&mut guest), [false; 4]);
}

#[test]
fn each_reset_clears_the_flip_flops() {
    // §1.11
    for (name, reset) in RESETS {
        let mut guest = idle(Model30);
        run(&mut guest, &WRITE);
        run(&mut guest, &SEEK);
        assert_eq!(flip_flops(&mut guest), [true; 4], "{name}");
        reset(&mut guest);
        assert_eq!(flip_flops(&mut guest), [false; 4], "{name}");
    }
}

// DIR and CCR

#[test]
fn dir_of_ps_2_shows_the_rate_and_whether_it_is_a_high_density_one() {
    // §1.9
    for port in [CCR, DSR] {
        let mut guest = power_on(Ps2);
        for (rate, dir) in [(0b00, 0x78), (0b01, 0x7B), (0b10, 0x7D), (0b11, 0x7E)] {
            guest.bus.write(port, rate);
            assert_eq!(guest.bus.read(DIR), dir, "DRATE {rate:#04b}");
        }
    }
}

#[test]
fn dir_of_model_30_shows_the_rate() {
    // §1.9
    for port in [CCR, DSR] {
        let mut guest = power_on(Model30);
        for rate in 0b00..=0b11 {
            guest.bus.write(port, rate);
            assert_eq!(guest.bus.read(DIR), 0x80 | rate);
        }
    }
}

#[test]
fn dir_of_model_30_shows_the_gate() {
    // §1.9
    let mut guest = power_on(Model30);
    for (dor, dir) in [(0x00, 0x82), (0x08, 0x8A), (0x04, 0x82), (0x0C, 0x8A)] {
        guest.bus.write(DOR, dor);
        assert_eq!(guest.bus.read(DIR), dir, "DOR {dor:#04x}");
    }
}

#[test]
fn the_change_line_shows_in_bit_7_of_dir_and_inverted_in_that_of_model_30() {
    // §1.9, §9.5
    for (mode, changed) in [(At, true), (Ps2, true), (Model30, false)] {
        let mut guest = idle(mode);
        assert_eq!(bit(&mut guest, DIR, 7), changed, "{mode:?}");
        guest.seek(1);
        assert_eq!(bit(&mut guest, DIR, 7), !changed, "{mode:?}");
        guest.bus.fdc.drive(0).unwrap().release_image().unwrap();
        assert_eq!(bit(&mut guest, DIR, 7), changed, "{mode:?}");
        guest.bus.write(DOR, 0x0C); // motor off
        assert_eq!(bit(&mut guest, DIR, 7), !changed, "{mode:?}");
    }
}

#[test]
fn ccr_of_model_30_keeps_noprec() {
    // §1.10
    let mut guest = power_on(Model30);
    for (ccr, dir) in [(0x04, 0x84), (0x03, 0x83), (0x06, 0x86), (0xFA, 0x82), (0xFF, 0x87)] {
        guest.bus.write(CCR, ccr);
        assert_eq!(guest.bus.read(DIR), dir, "CCR {ccr:#04x}");
    }
}

#[test]
fn the_dsr_does_not_change_noprec() {
    // §1.7, §1.10: bit 2 of the DSR is a bit of PRECOMP
    let mut guest = power_on(Model30);
    guest.bus.write(DSR, 0x06);
    assert!(!bit(&mut guest, DIR, 2));
    guest.bus.write(CCR, 0x06);
    guest.bus.write(DSR, 0x02);
    assert!(bit(&mut guest, DIR, 2));
}

#[test]
fn only_a_hardware_reset_clears_noprec() {
    // §1.10
    for ((name, reset), kept) in RESETS.into_iter().zip([true, true, false]) {
        let mut guest = idle(Model30);
        guest.bus.write(CCR, 0x04);
        reset(&mut guest);
        assert_eq!(bit(&mut guest, DIR, 2), kept, "{name}");
    }
}

#[test]
fn noprec_has_no_effect() {
    // §1.10
    let mut guest = idle(Model30);
    guest.bus.write(CCR, 0x04);
    assert_eq!(run(&mut guest, &WRITE).status(), [0x00, 0x00, 0x00]);
    assert_eq!(run(&mut guest, &READ).status(), [0x00, 0x00, 0x00]);
}

// Driven bits

#[test]
fn sra_and_srb_of_an_at_float_in_every_state() {
    // §1
    let commands: [&[u8]; 5] = [&[0x04, 0x04], &READ, &WRITE, &FORMAT, &SEEK];
    let mut guest = idle(At);
    for command in commands {
        run(&mut guest, command);
        assert_eq!((guest.bus.read(SRA), guest.bus.read(SRB)), (0xFF, 0xFF), "{command:x?}");
    }
}

#[test]
fn each_mode_drives_its_own_bits() {
    // §1, §1.9
    use ReadRegister::*;
    for (register, at, others) in [
        (StatusA, 0x00, 0xFF),
        (StatusB, 0x00, 0xFF),
        (DigitalOutput, 0xFF, 0xFF),
        (MainStatus, 0xFF, 0xFF),
        (Fifo, 0xFF, 0xFF),
        (DigitalInput, 0x80, 0xFF),
    ] {
        let driven = [At, Ps2, Model30].map(|mode| register.driven_bits(mode));
        assert_eq!(driven, [at, others, others], "{register:?}");
    }
}

#[test]
fn each_mode_drives_only_the_tape_select_of_the_tdr() {
    // §1.5
    assert_eq!([At, Ps2, Model30].map(|mode| ReadRegister::TapeDrive.driven_bits(mode)), [0x03; 3]);
}

// The DMA gate

#[test]
fn int_is_driven_with_the_gate_shut_only_in_ps_2() {
    // §1.1, §1.4
    for (mode, gated) in GATES {
        let mut guest = power_on(mode);
        guest.bus.write(DOR, DOR_GATE_SHUT);
        assert_eq!(guest.bus.irq().is_high(), !gated, "{mode:?}");
        guest.bus.write(DOR, DOR_RUN);
        assert!(guest.bus.irq().is_high(), "{mode:?}");
        guest.bus.write(DOR, DOR_GATE_SHUT);
        assert_eq!(guest.bus.irq().is_high(), !gated, "{mode:?}");
    }
}

#[test]
fn changing_the_gate_of_ps_2_makes_no_edge() {
    // §1.4
    let mut guest = power_on(Ps2);
    for dor in [DOR_GATE_SHUT, DOR_RUN, DOR_GATE_SHUT, DOR_RUN] {
        guest.bus.write(DOR, dor);
    }
    assert_eq!(guest.bus.irq().edges(), 1);
}

#[test]
fn no_mode_drives_int_while_it_is_held_in_reset() {
    // §6.5
    for (mode, _) in GATES {
        let mut guest = idle(mode);
        guest.command(&SEEK);
        guest.bus.write(DOR, 0x18);
        assert!(!guest.bus.irq().is_high(), "{mode:?}");
    }
}

#[test]
fn drq_is_driven_with_the_gate_shut_only_in_ps_2() {
    // §1.1, §8.1
    for (mode, gated) in GATES {
        let mut guest = idle(mode);
        guest.bus.write(DOR, DOR_GATE_SHUT);
        guest.command(&READ);
        assert_eq!(dma_request(&mut guest), !gated, "{mode:?}");
        guest.bus.write(DOR, DOR_RUN);
        assert!(dma_request(&mut guest), "{mode:?}");
    }
}

#[test]
fn dack_and_tc_are_seen_with_the_gate_shut_only_in_ps_2() {
    // §1.4
    for (mode, gated) in GATES {
        let mut guest = idle(mode);
        guest.bus.write(DOR, DOR_GATE_SHUT);
        guest.program_dma(DMA_READ_FLOPPY, BUFFER, 512);
        guest.send(&READ).expect("the controller accepts the command");
        assert_eq!(guest.bus.read(MSR), if gated { 0x10 } else { 0xD0 }, "{mode:?}");
        guest.bus.write(DOR, DOR_RUN);
        assert_eq!(guest.reply(), [0x00, 0x00, 0x00, 0, 0, 2, 2], "{mode:?}");
    }
}

#[test]
fn the_dor_of_ps_2_reads_the_gate_as_written() {
    // §1.4
    let mut guest = power_on(Ps2);
    for dor in [DOR_GATE_SHUT, DOR_RUN] {
        guest.bus.write(DOR, dor);
        assert_eq!(guest.bus.read(DOR), dor);
    }
}
