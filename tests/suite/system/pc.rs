//! The floppy subsystem of a PC as one object: its ports, accesses of any width, string instructions, and the wiring.

use std::{cell::RefCell, fs, rc::Rc, time::Duration};

use super::kit::fixture;
use proptest::prelude::*;
use vm_fdc::{
    BuildError, Controller, Timing,
    drive::DriveType,
    media::{Access, Geometry, ImageOptions},
    pc::{PcFloppy, Wiring},
};

const SECTOR: usize = 512;

type Line = Rc<RefCell<Vec<bool>>>;

/// Returns the subsystem with a 1.44M disk, out of reset, after the statuses of polling were fetched.
fn floppy(wiring: Wiring) -> (PcFloppy<Vec<u8>, impl FnMut(bool)>, Line) {
    let line = Line::default();
    let log = Rc::clone(&line);
    let controller =
        Controller::builder().drive(0, DriveType::Inch3_5Hd).interrupt(move |high| log.borrow_mut().push(high));
    let mut floppy = PcFloppy::new(controller, vec![0; 1 << 20], wiring).unwrap();
    let options = ImageOptions::new(Access::Private).with_geometry(Geometry::HD_1440K);
    floppy.drive(0).unwrap().attach_image(fixture("dos-1440k.img"), options).unwrap();
    let base = wiring.base;
    floppy.write(base + 2, &[0x1C]);
    floppy.write(base + 7, &[0x00]);
    for _ in 0..4 {
        floppy.write(base + 5, &[0x08]);
        let mut status = [0; 1];
        (0..2).for_each(|_| _ = floppy.read(base + 5, &mut status));
    }
    (floppy, line)
}

fn image() -> Vec<u8> {
    fs::read(fixture("dos-1440k.img")).unwrap()
}

#[test]
fn exactly_its_ports_are_claimed() {
    // §1.1, §8.2
    for wiring in [Wiring::PRIMARY, Wiring::SECONDARY, Wiring { base: 0x7F0, irq: 5, channel: 1 }] {
        let (mut floppy, _) = floppy(wiring);
        assert_eq!(floppy.wiring(), wiring);
        let base = wiring.base;
        let own = |port: u16| {
            matches!(port, 0x00..=0x0F | 0x80..=0x8F | 0xC0..=0xDF)
                || (base..base + 6).contains(&port)
                || port == base + 7
        };
        let listed = floppy.ports();
        for port in 0..=u16::MAX {
            assert_eq!(listed.iter().any(|ports| ports.contains(&port)), own(port), "{port:#x}");
            let mut byte = [0];
            assert_eq!(floppy.read(port, &mut byte), own(port), "{port:#x}");
            if !own(port) {
                assert_eq!(byte, [0xFF], "{port:#x}");
                assert!(!floppy.write(port, &[0]), "{port:#x}");
            }
        }
    }
}

#[test]
fn a_wide_access_is_one_byte_access_for_each_port() {
    // §1.1
    let (mut floppy, _) = floppy(Wiring::PRIMARY);
    let mut wide = [0; 4];
    assert!(floppy.read(0x3F2, &mut wide));
    assert_eq!(wide, [0x1C, 0x00, 0x80, 0x00]);
    // Across the port of the hard disk, which is not claimed.
    assert!(floppy.read(0x3F4, &mut wide));
    assert_eq!(wide[2], 0xFF);
    // Up to the last port of the address space, without overflow.
    wide = [0; 4];
    assert!(!floppy.read(0xFFFE, &mut wide));
    assert_eq!(wide, [0xFF; 4]);
    assert!(!floppy.write(0xFFFF, &[0; 4]));
    assert!(!floppy.read(0x3F2, &mut []));
    // The low byte of the address and the high byte of the count, because the registers share the flip-flop.
    floppy.write(0x0C, &[0]);
    floppy.write(0x04, &[0x12, 0x56]);
    floppy.write(0x0C, &[0]);
    let read: Vec<_> = [0x04, 0x04, 0x05, 0x05]
        .map(|port| {
            let mut byte = [0];
            floppy.read(port, &mut byte);
            byte[0]
        })
        .into();
    assert_eq!(read, [0x12, 0x00, 0x00, 0x56]);
}

/// Performs READ DATA of the boot sector by DMA to 0x7C00.
fn read_boot_sector<I: FnMut(bool)>(floppy: &mut PcFloppy<Vec<u8>, I>) -> Vec<u8> {
    let Wiring { base, channel, .. } = floppy.wiring();
    let (address, count, page) =
        (u16::from(channel) * 2, u16::from(channel) * 2 + 1, [0x87, 0x83, 0x81, 0x82][usize::from(channel)]);
    for (port, value) in [
        (0x0A, 4 | channel),
        (0x0C, 0),
        (0x0B, 0x44 | channel),
        (address, 0x00),
        (address, 0x7C),
        (page, 0),
        (count, 0xFF),
        (count, 0x01),
        (0x0A, channel),
    ] {
        assert!(floppy.write(port, &[value]));
    }
    for byte in [0xE6, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF] {
        floppy.write(base + 5, &[byte]);
    }
    let result = |_| {
        let mut byte = [0];
        floppy.read(base + 5, &mut byte);
        byte[0]
    };
    (0..7).map(result).collect()
}

#[test]
fn a_sector_is_read_through_every_wiring() {
    // §8.6
    for wiring in [Wiring::PRIMARY, Wiring::SECONDARY, Wiring { base: 0x1F0, irq: 9, channel: 3 }] {
        let (mut floppy, line) = floppy(wiring);
        line.borrow_mut().clear();
        assert_eq!(read_boot_sector(&mut floppy)[..3], [0, 0, 0], "{wiring:?}");
        assert_eq!(*line.borrow(), [true, false]);
        assert_eq!(floppy.controller().dma().memory()[0x7C00..][..SECTOR], image()[..SECTOR]);
    }
}

#[test]
fn unmasking_the_channel_late_starts_the_transfer() {
    let (mut floppy, _) = floppy(Wiring::PRIMARY);
    for (port, value) in [(0x0A, 6), (0x0C, 0), (0x0B, 0x46), (0x04, 0), (0x04, 0), (0x81, 0), (0x05, 0xFF), (0x05, 1)]
    {
        floppy.write(port, &[value]);
    }
    for byte in [0xE6, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF] {
        floppy.write(0x3F5, &[byte]);
    }
    assert!(!floppy.interrupt_level());
    floppy.write(0x0A, &[2]);
    assert!(floppy.interrupt_level());
}

#[test]
fn a_dma_channel_above_3_is_refused() {
    let wiring = Wiring { channel: 4, ..Wiring::PRIMARY };
    let error = PcFloppy::new(Controller::builder(), vec![0; 16], wiring).unwrap_err();
    assert_eq!(error, BuildError::DmaChannel(4));
}

#[test]
fn a_reset_of_the_machine_resets_all_chips() {
    let (mut floppy, _) = floppy(Wiring::PRIMARY);
    floppy.write(0x0A, &[2]);
    floppy.reset();
    let mut byte = [0];
    floppy.read(0x3F4, &mut byte);
    assert_eq!(byte, [0]);
    floppy.read(0x0F, &mut byte);
    assert_eq!(byte[0] & 0x0F, 0x0F);
}

#[test]
fn advance_reaches_the_controller() {
    let controller = Controller::builder().drive(0, DriveType::Inch3_5Hd).timing(Timing::Authentic);
    let mut floppy = PcFloppy::new(controller, vec![0; 16], Wiring::PRIMARY).unwrap();
    floppy.write(0x3F2, &[0x0C]);
    let event = floppy.next_event().unwrap();
    assert!(!floppy.interrupt_level());
    floppy.advance(event);
    assert!(floppy.interrupt_level());
    assert_eq!(floppy.next_event(), None);
    assert!(Duration::ZERO < event);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Reads a track without DMA by string instructions of any length, and by single accesses.
    #[test]
    fn a_string_has_the_effect_of_single_accesses(strings in prop::collection::vec(1..700usize, 1..20), width in 1..5usize) {
        // §3.5
        let run = |by_string: bool| {
            let (mut floppy, line) = floppy(Wiring::PRIMARY);
            line.borrow_mut().clear();
            for byte in [0x03, 0xAF, 0x03, 0xE6, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF] {
                floppy.write(0x3F5, &[byte]);
            }
            let mut all = Vec::new();
            for &length in &strings {
                let mut data = vec![0; length];
                if by_string {
                    assert!(floppy.read_string(0x3F5, width, &mut data));
                } else {
                    data.chunks_mut(width).for_each(|access| _ = floppy.read(0x3F5, access));
                }
                all.push(data);
                let mut status = [0];
                floppy.read(0x3F4, &mut status);
                all.push(status.into());
            }
            all
        };
        prop_assert_eq!(run(true), run(false));
    }
}

#[test]
fn a_track_is_written_by_a_string() {
    let (mut floppy, _) = floppy(Wiring::PRIMARY);
    for byte in [0x03, 0xAF, 0x03, 0x45, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF] {
        floppy.write(0x3F5, &[byte]);
    }
    assert!(floppy.write_string(0x3F5, 1, &[0xA5; 18 * SECTOR]));
    let drive = floppy.drives().get(0).unwrap();
    let saved = tempfile::tempdir().unwrap();
    drive.save_image(saved.path().join("a"), vm_fdc::media::IfExists::Fail).unwrap();
    assert_eq!(fs::read(saved.path().join("a")).unwrap()[..18 * SECTOR], [0xA5; 18 * SECTOR]);
}
