//! Saved states: a machine that is saved and restored at any access continues unchanged, and a damaged state does no harm.
#![cfg(feature = "serde")]

use std::{
    cell::RefCell,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use super::kit::{fixture, stub::Stub};
use proptest::prelude::*;
use vm_fdc::{
    Controller, EmptyDrive, InterfaceMode, Interrupt, Timing,
    controller::{RestoreError, SaveStateError},
    drive::{Attachment, DriveType, MediumStateV1, RestoreMedium, RestoreMediumError, StateOptions},
    media::{
        Access, DataRate, Durability, FormFactor, Geometry, Image, ImageOptions, Mark, Medium, Sector, SectorDisk,
        SectorId, SectorTrack,
    },
    pc::{PcFloppy, PcFloppyState, Wiring},
};

type Line = Rc<RefCell<Vec<bool>>>;
type Machine = PcFloppy<Vec<u8>, Box<dyn FnMut(bool)>>;

fn interrupt(line: &Line) -> Box<dyn FnMut(bool)> {
    let line = Rc::clone(line);
    Box::new(move |high| line.borrow_mut().push(high))
}

#[derive(Clone, Copy, Debug)]
struct Setup {
    mode: InterfaceMode,
    timing: Timing,
    empty_drive: EmptyDrive,
}

fn machine(setup: Setup, line: &Line) -> Machine {
    let controller = Controller::builder()
        .drive(0, DriveType::Inch3_5Hd)
        .drive(1, DriveType::Inch5_25Hd)
        .interface(setup.mode)
        .timing(setup.timing)
        .empty_drive(setup.empty_drive)
        .scan_commands(true)
        .interrupt(interrupt(line));
    let floppy = PcFloppy::new(controller, vec![0; 0x2_0000], Wiring::PRIMARY).unwrap();
    let options = ImageOptions::new(Access::Private).with_geometry(Geometry::HD_1440K);
    floppy.drive(0).unwrap().attach_image(fixture("dos-1440k.img"), options).unwrap();
    floppy
}

/// Saves a state to text and loads it, as a migration does.
fn through_json(floppy: &Machine) -> PcFloppyState {
    let state = floppy.state(StateOptions::new()).unwrap();
    serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap()
}

/// Returns another machine with the saved state of this one.
fn migrated(floppy: Machine, line: &Line) -> Machine {
    let state = through_json(&floppy);
    let (level, memory) = (floppy.interrupt_level(), floppy.controller().dma().memory().clone());
    drop(floppy);
    let before = line.borrow().len();
    let restored = PcFloppy::from_state(state, interrupt(line), memory, |_, _| RestoreMedium::Reopen).unwrap();
    // The new line is low, and is set only if the pin is high.
    let changes = line.borrow_mut().split_off(before);
    assert_eq!(changes, if level { vec![true] } else { vec![] });
    restored
}

// Any access

#[derive(Clone, Debug)]
enum Step {
    Write(u16, u8),
    Read(u16),
    Command(Vec<u8>),
    Fifo(usize),
    Dma(u8, u16, u16),
    Advance(u64),
    Release,
    Attach,
}

fn step() -> impl Strategy<Value = Step> {
    let opcode = prop::sample::select(vec![0x46u8, 0xE6, 0x45, 0xC5, 0x42, 0x4C, 0x56, 0x51, 0x4A, 0x66]);
    let transfer = (opcode, 0..2u8, 0..3u8, 1..=19u8, prop_oneof![6 => Just(2u8), 1 => 0..4u8], 1..=18u8);
    let transfer = transfer.prop_map(|(opcode, head, cylinder, sector, size, end)| {
        vec![opcode, head << 2, cylinder, head, sector, size, end, 0x1B, 0xFF]
    });
    let other = prop::sample::select(vec![
        vec![0x08u8],
        vec![0x07, 0],
        vec![0x0F, 0, 2],
        vec![0x0F, 1, 1],
        vec![0x0E],
        vec![0x03, 0xAF, 0x02],
        vec![0x03, 0xAF, 0x03],
        vec![0x13, 0, 0x40, 0],
        vec![0x13, 0, 0x27, 0],
        vec![0x13, 0, 0x4F, 5],
        vec![0x94],
        vec![0x12, 0x84],
        vec![0x4D, 0, 2, 18, 0x6C, 0xF6],
        vec![0x1E],
    ]);
    let mode = prop::sample::select(vec![0x46u8, 0x4A, 0x42]);
    prop_oneof![
        4 => transfer.prop_map(Step::Command),
        4 => other.prop_map(Step::Command),
        4 => (1..600usize).prop_map(Step::Fifo),
        3 => (mode, any::<u16>(), 0..3000u16).prop_map(|(mode, address, count)| Step::Dma(mode, address, count)),
        3 => prop::sample::select(vec![0x3F0u16, 0x3F1, 0x3F2, 0x3F4, 0x3F5, 0x3F7, 0x08]).prop_map(Step::Read),
        2 => prop::sample::select(vec![(0x3F2u16, 0x1Cu8), (0x3F2, 0x18), (0x3F2, 0x2D), (0x3F7, 0), (0x3F7, 2), (0x3F4, 0x80)])
            .prop_map(|(port, value)| Step::Write(port, value)),
        3 => prop_oneof![0..100_000u64, 0..300_000_000u64].prop_map(Step::Advance),
        1 => Just(Step::Release),
        1 => Just(Step::Attach),
    ]
}

/// Runs a program, and migrates the machine before the accesses that `migrate` selects. Returns all that the guest
/// observes.
fn run(setup: Setup, steps: &[Step], migrate: impl Fn(usize) -> bool) -> (Vec<u64>, Vec<bool>) {
    let line = Line::default();
    let mut floppy = Some(machine(setup, &line));
    let (mut log, mut accesses) = (Vec::new(), 0);
    let mut access = |floppy: &mut Option<Machine>, work: &mut dyn FnMut(&mut Machine) -> u64| {
        if migrate(accesses) {
            *floppy = floppy.take().map(|machine| migrated(machine, &line));
        }
        accesses += 1;
        let floppy = floppy.as_mut().unwrap();
        let value = work(floppy);
        let event = floppy.next_event().map_or(u64::MAX, |event| event.as_nanos() as u64);
        log.extend([value, event, floppy.interrupt_level().into()]);
        value
    };
    let read = |port: u16| {
        move |floppy: &mut Machine| {
            let mut byte = [0];
            floppy.read(port, &mut byte);
            byte[0].into()
        }
    };
    let write = |port: u16, value: u8| move |floppy: &mut Machine| floppy.write(port, &[value]).into();
    access(&mut floppy, &mut write(0x3F2, 0x1C));
    access(&mut floppy, &mut write(0x3F7, 0));
    for step in steps {
        match step {
            Step::Write(port, value) => _ = access(&mut floppy, &mut write(*port, *value)),
            Step::Read(port) => _ = access(&mut floppy, &mut read(*port)),
            Step::Command(bytes) => bytes.iter().for_each(|&byte| _ = access(&mut floppy, &mut write(0x3F5, byte))),
            Step::Fifo(bytes) => {
                for n in 0..*bytes {
                    match access(&mut floppy, &mut read(0x3F4)) & 0xC0 {
                        0xC0 => _ = access(&mut floppy, &mut read(0x3F5)),
                        0x80 => _ = access(&mut floppy, &mut write(0x3F5, n as u8)),
                        _ => break,
                    }
                }
            }
            Step::Dma(mode, address, count) => {
                let ([low, high], [count_low, count_high]) = (address.to_le_bytes(), count.to_le_bytes());
                for (port, value) in [
                    (0x0A, 6),
                    (0x0C, 0),
                    (0x0B, *mode),
                    (0x04, low),
                    (0x04, high),
                    (0x81, 0),
                    (0x05, count_low),
                    (0x05, count_high),
                    (0x0A, 2),
                ] {
                    access(&mut floppy, &mut write(port, value));
                }
            }
            Step::Advance(nanoseconds) => {
                _ = access(&mut floppy, &mut |floppy| {
                    floppy.advance(Duration::from_nanos(*nanoseconds));
                    0
                });
            }
            Step::Release => _ = floppy.as_ref().unwrap().drive(0).unwrap().release_image(),
            Step::Attach => {
                let options = ImageOptions::new(Access::Private).with_geometry(Geometry::HD_1440K);
                _ = floppy.as_ref().unwrap().drive(0).unwrap().attach_image(fixture("dos-1440k.img"), options);
            }
        }
    }
    let floppy = floppy.unwrap();
    log.push(floppy.controller().dma().memory().iter().fold(0, |sum: u64, &byte| sum.rotate_left(3) ^ u64::from(byte)));
    if let Ok(disk) = floppy.drive(0).unwrap().release_medium().map(|mut medium| medium.raw_image().unwrap()) {
        log.push(disk.iter().fold(1, |sum: u64, &byte| sum.rotate_left(3) ^ u64::from(byte)));
    }
    let line = line.borrow().clone();
    (log, line)
}

fn setup() -> impl Strategy<Value = Setup> {
    let mode = prop::sample::select(vec![InterfaceMode::At, InterfaceMode::Ps2, InterfaceMode::Model30]);
    let timing = prop::sample::select(vec![Timing::Immediate, Timing::Authentic]);
    let empty_drive = prop::sample::select(vec![EmptyDrive::Fail, EmptyDrive::Hang]);
    (mode, timing, empty_drive).prop_map(|(mode, timing, empty_drive)| Setup { mode, timing, empty_drive })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(8) })]

    #[test]
    fn a_machine_migrated_at_any_access_continues_unchanged(
        setup in setup(),
        steps in prop::collection::vec(step(), 1..14),
        every in 1..40usize,
        first in 0..40usize,
    ) {
        // §12
        let whole = run(setup, &steps, |_| false);
        let migrated = run(setup, &steps, |access| access >= first && (access - first) % every == 0 && access < first + every * 25);
        prop_assert_eq!(whole, migrated);
    }

    /// Values of a good state are replaced. The state is refused, or the machine continues without harm.
    #[test]
    fn a_damaged_state_is_an_error_or_harmless(
        setup in setup(),
        steps in prop::collection::vec(step(), 1..8),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u64>()), 1..4),
        more in prop::collection::vec(step(), 1..8),
    ) {
        // §12.1
        let line = Line::default();
        let mut floppy = machine(setup, &line);
        perform(&mut floppy, &steps);
        floppy.drive(0).unwrap().release_image().ok();
        let mut state = serde_json::to_value(floppy.state(StateOptions::new()).unwrap()).unwrap();
        for (place, number) in damage {
            let mut numbers = Vec::new();
            collect(&mut state, &mut numbers);
            let place = place.index(numbers.len());
            *numbers.swap_remove(place) = match number % 7 {
                0 => serde_json::Value::Null,
                1 => (number >> 8 & 0xFF).into(),
                2 => (number >> 48).into(),
                3 => (number & 7).into(),
                4 => u64::MAX.into(),
                5 => true.into(),
                _ => number.into(),
            };
        }
        let Ok(state) = serde_json::from_value::<PcFloppyState>(state) else { return Ok(()) };
        let restored = PcFloppy::from_state(state, interrupt(&line), vec![0; 0x2_0000], |_, _| RestoreMedium::Reopen);
        if let Ok(mut floppy) = restored {
            let harmless = catch_unwind(AssertUnwindSafe(|| perform(&mut floppy, &more)));
            prop_assert!(harmless.is_ok(), "a restored machine panics");
        }
    }
}

fn perform(floppy: &mut Machine, steps: &[Step]) {
    let mut byte = [0];
    for step in steps {
        match step {
            Step::Write(port, value) => _ = floppy.write(*port, &[*value]),
            Step::Read(port) => _ = floppy.read(*port, &mut byte),
            Step::Command(bytes) => bytes.iter().for_each(|&byte| _ = floppy.write(0x3F5, &[byte])),
            Step::Fifo(bytes) => (0..*bytes).for_each(|n| {
                floppy.read(0x3F4, &mut byte);
                match byte[0] & 0xC0 {
                    0xC0 => _ = floppy.read(0x3F5, &mut byte),
                    _ => _ = floppy.write(0x3F5, &[n as u8]),
                }
            }),
            Step::Dma(mode, ..) => {
                for (port, value) in [(0x0B, *mode), (0x0A, 2)] {
                    floppy.write(port, &[value]);
                }
            }
            // A damaged state can have a great number of events.
            Step::Advance(nanoseconds) => {
                let mut left = Duration::from_nanos(*nanoseconds);
                for _ in 0..1_000 {
                    let Some(event) = floppy.next_event().filter(|&event| event <= left) else { break };
                    floppy.advance(event);
                    left -= event;
                }
            }
            Step::Release => _ = floppy.drive(0).unwrap().release_image(),
            Step::Attach => {
                let options = ImageOptions::new(Access::Private).with_geometry(Geometry::HD_1440K);
                _ = floppy.drive(0).map(|drive| drive.attach_image(fixture("dos-1440k.img"), options));
            }
        }
    }
}

/// Collects the values of a tree that contain no other values.
fn collect<'a>(value: &'a mut serde_json::Value, leaves: &mut Vec<&'a mut serde_json::Value>) {
    match value {
        // Without this, most damage hits long arrays, such as the ID fields of FORMAT TRACK.
        serde_json::Value::Array(values) if values.len() > 20 => {}
        serde_json::Value::Array(values) => values.iter_mut().for_each(|value| collect(value, leaves)),
        serde_json::Value::Object(values) => values.values_mut().for_each(|value| collect(value, leaves)),
        leaf => leaves.push(leaf),
    }
}

// Media

fn with_image(access: Access) -> (tempfile::TempDir, PathBuf, Machine, Line) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.img");
    fs::copy(fixture("dos-1440k.img"), &path).unwrap();
    let line = Line::default();
    let controller = Controller::builder().drive(0, DriveType::Inch3_5Hd).interrupt(interrupt(&line));
    let floppy = PcFloppy::new(controller, vec![0; 16], Wiring::SECONDARY).unwrap();
    floppy.drive(0).unwrap().attach_image(&path, access).unwrap();
    (folder, path, floppy, line)
}

fn restore(state: PcFloppyState) -> Result<Machine, RestoreError> {
    PcFloppy::from_state(state, interrupt(&Line::default()), vec![0; 16], |_, _| RestoreMedium::Reopen)
}

#[test]
fn an_image_is_opened_again_at_its_path() {
    let (_folder, path, floppy, _) = with_image(Access::ReadWrite);
    let state = through_json(&floppy);
    let (number, medium) = state.media().next().unwrap();
    assert_eq!((number, medium.path.as_deref(), medium.attachment), (0, Some(path.as_path()), Attachment::Image));
    assert!(medium.contents.is_none());
    // The first machine still holds the image.
    let Err(RestoreError::Medium { drive: 0, source: RestoreMediumError::Open { .. } }) = restore(state.clone()) else {
        panic!("two machines write one image")
    };
    drop(floppy);
    let restored = restore(state).unwrap();
    assert_eq!(restored.wiring(), Wiring::SECONDARY);
    let drive = restored.drive(0).unwrap();
    assert_eq!(drive.image_file(), Some(path));
    assert_eq!(drive.layout(), Some(Geometry::HD_1440K.into()));
    drive.release_image().unwrap();
}

#[test]
fn a_missing_or_different_image_is_reported() {
    let gone = |path: &Path| fs::remove_file(path).unwrap();
    let other = |path: &Path| fs::write(path, vec![7; 1_474_560]).unwrap();
    let short = |path: &Path| fs::write(path, [7]).unwrap();
    for (change, noticed) in [(gone as fn(&Path), "Open"), (short, "Open"), (other, "Changed")] {
        let (_folder, path, floppy, _) = with_image(Access::ReadOnly);
        let state = floppy.state(StateOptions::new().with_hash()).unwrap();
        drop(floppy);
        change(&path);
        let Err(RestoreError::Medium { drive: 0, source }) = restore(state) else { panic!("{noticed}") };
        assert!(format!("{source:?}").starts_with(noticed), "{source:?}");
    }
}

#[test]
fn a_private_image_is_in_the_state() {
    let (_folder, path, floppy, _) = with_image(Access::Private);
    let image = fs::read(&path).unwrap();
    let state = through_json(&floppy);
    drop(floppy);
    fs::write(&path, vec![7; 1_474_560]).unwrap();
    let restored = restore(state).unwrap();
    let mut medium = restored.drive(0).unwrap().release_medium().unwrap();
    assert!(medium.raw_image().unwrap() == image);
}

#[test]
fn a_medium_of_the_vm_monitor_is_supplied_again() {
    let line = Line::default();
    let floppy = PcFloppy::new(
        Controller::builder().drive(0, DriveType::Inch3_5Hd).interrupt(interrupt(&line)),
        vec![0; 16],
        Wiring::PRIMARY,
    )
    .unwrap();
    floppy.drive(0).unwrap().attach_medium(SectorDisk::formatted(Geometry::HD_1440K, 1)).unwrap();
    let state = through_json(&floppy);
    let not_given = restore(state.clone()).err().unwrap();
    assert!(matches!(not_given, RestoreError::Medium { drive: 0, source: RestoreMediumError::NotGiven { .. } }));
    let give =
        |geometry: Geometry| move |_: u8, _: &_| RestoreMedium::Medium(Box::new(SectorDisk::formatted(geometry, 1)));
    let unsuitable = PcFloppy::from_state(state.clone(), interrupt(&line), vec![0; 16], give(Geometry::DD_360K));
    assert!(matches!(unsuitable, Err(RestoreError::Medium { source: RestoreMediumError::Unsuitable, .. })));
    let restored = PcFloppy::from_state(state, interrupt(&line), vec![0; 16], give(Geometry::HD_1440K)).unwrap();
    assert_eq!(restored.drive(0).unwrap().attachment(), Attachment::Image);
}

// Versions

/// The states are of version 1: READ DATA without DMA in its execution phase, and READ DATA with DMA and authentic timing.
#[test]
fn the_states_of_earlier_versions_are_restored() {
    for name in ["state-1-pio.json", "state-1-authentic.json"] {
        let text = fs::read_to_string(fixture(name)).unwrap();
        let state: PcFloppyState = serde_json::from_str(&text).unwrap();
        let give = |_: u8, _: &_| RestoreMedium::Medium(Box::new(SectorDisk::formatted(Geometry::HD_1440K, 0xA5)));
        let memory = vec![0; 0x1000];
        let mut floppy = PcFloppy::from_state(state, interrupt(&Line::default()), memory, give).unwrap();
        let mut byte = [0];
        let mut data = 0;
        loop {
            floppy.read(0x3F4, &mut byte);
            match byte[0] {
                0xF0 => {
                    floppy.read(0x3F5, &mut byte);
                    assert_eq!(byte[0], 0xA5);
                    data += 1;
                }
                0xD0 => break,
                _ => {
                    // Without a next event, the read of the MSR ended the command.
                    if let Some(event) = floppy.next_event() {
                        floppy.advance(event);
                    }
                }
            }
        }
        let result: Vec<u8> = (0..7)
            .map(|_| {
                floppy.read(0x3F5, &mut byte);
                byte[0]
            })
            .collect();
        if name.contains("pio") {
            // Of two sectors, 612 bytes were fetched before.
            assert_eq!((data, &result[..]), (412, &[0x40, 0x80, 0x00, 0, 0, 2, 2][..]));
        } else {
            assert_eq!(result, [0x00, 0x00, 0x00, 0, 0, 2, 2]);
            // The first part of the sector is in the memory of the saved machine.
            let memory = floppy.controller().dma().memory();
            assert_eq!((memory[0], memory[511], memory[512]), (0, 0xA5, 0));
        }
    }
}

/// Creates the states of the current version in `fixtures/`.
#[test]
#[ignore = "writes to fixtures/, once for each version"]
fn make_the_states_of_this_version() {
    for (name, timing) in [("state-1-pio.json", Timing::Immediate), ("state-1-authentic.json", Timing::Authentic)] {
        let controller =
            Controller::builder().drive(0, DriveType::Inch3_5Hd).timing(timing).interrupt(interrupt(&Line::default()));
        let mut floppy = PcFloppy::new(controller, vec![0; 0x1000], Wiring::PRIMARY).unwrap();
        floppy.drive(0).unwrap().attach_medium(SectorDisk::formatted(Geometry::HD_1440K, 0xA5)).unwrap();
        floppy.write(0x3F2, &[0x1C]);
        floppy.write(0x3F7, &[0]);
        floppy.advance(Duration::from_secs(1));
        for _ in 0..4 {
            floppy.write(0x3F5, &[8]);
            (0..2).for_each(|_| _ = floppy.read(0x3F5, &mut [0]));
        }
        let dma = u8::from(timing == Timing::Immediate);
        for (port, value) in
            [(0x0A, 6), (0x0C, 0), (0x0B, 0x46), (0x04, 0), (0x04, 0), (0x81, 0), (0x05, 0xFF), (0x05, 1), (0x0A, 2)]
        {
            floppy.write(port, &[value]);
        }
        for byte in [0x03, 0xDF, 0x02 | dma, 0x46, 0, 0, 0, 1, 2, 2, 0x1B, 0xFF] {
            floppy.write(0x3F5, &[byte]);
        }
        if timing == Timing::Immediate {
            (0..612).for_each(|_| _ = floppy.read(0x3F5, &mut [0]));
        } else {
            floppy.advance(Duration::from_millis(8));
        }
        let state = floppy.state(StateOptions::new()).unwrap();
        fs::write(fixture(name), serde_json::to_string(&state).unwrap()).unwrap();
    }
}

// Invalid states

/// Returns a state with another value at one place.
fn changed(state: &PcFloppyState, pointer: &str, value: serde_json::Value) -> PcFloppyState {
    let mut json = serde_json::to_value(state).unwrap();
    *json.pointer_mut(pointer).expect(pointer) = value;
    serde_json::from_value(json).unwrap()
}

#[test]
fn an_impossible_disk_or_medium_is_refused() {
    // §12.1
    let (_folder, _, floppy, _) = with_image(Access::ReadOnly);
    let state = floppy.state(StateOptions::new()).unwrap();
    drop(floppy);
    for (pointer, value, field) in [
        ("/drives/0/media_count", serde_json::Value::from(u64::MAX), "drives[0].media_count"),
        ("/drives/0/media_count", (1u64 << 56).into(), "drives[0].media_count"),
        ("/drives/0/medium/attachment", "None".into(), "drives[0].medium.attachment"),
        ("/drives/0/medium/layout", serde_json::Value::Null, "drives[0].medium.layout"),
    ] {
        assert_eq!(field_refused(&state, &format!("/versioned/controller{pointer}"), value), field, "{pointer}");
    }
    assert_eq!(field_refused(&state, "/versioned/dma/channel", 4.into()), "dma.channel");
    let newer = restore(changed(&state, "/version", 2.into()));
    assert!(matches!(newer, Err(RestoreError::Version { version: 2 })));
    restore(state).unwrap();
}

/// Returns the field that a restore of a changed state refuses.
fn field_refused(state: &PcFloppyState, pointer: &str, value: serde_json::Value) -> String {
    match restore(changed(state, pointer, value)) {
        Err(RestoreError::Invalid { source }) => source.field,
        Err(other) => panic!("{pointer}: {other}"),
        Ok(_) => panic!("{pointer}: restored"),
    }
}

/// Returns a state within READ DATA without DMA of sectors of 128 bytes with DTL = 5.
fn in_a_short_transfer(timing: Timing) -> PcFloppyState {
    let controller =
        Controller::builder().drive(0, DriveType::Inch3_5Hd).timing(timing).interrupt(interrupt(&Line::default()));
    let mut floppy = PcFloppy::new(controller, vec![0; 16], Wiring::PRIMARY).unwrap();
    let id = |sector| SectorId { cylinder: 0, head: 0, sector, size_code: 0 };
    let track = SectorTrack::new(DataRate::Kbps500)
        .with_sector(Sector::good(id(1)), vec![1; 128])
        .with_sector(Sector::good(id(2)), vec![2; 128]);
    let mut disk = SectorDisk::unformatted(FormFactor::Inch3_5, 80);
    disk.set_track(0, 0, track);
    floppy.drive(0).unwrap().attach_medium(disk).unwrap();
    floppy.write(0x3F2, &[0x1C]);
    floppy.write(0x3F7, &[0]);
    for byte in [0x03, 0xDF, 0x03, 0x46, 0, 0, 0, 1, 0, 2, 0x1B, 5] {
        floppy.write(0x3F5, &[byte]);
    }
    if timing == Timing::Immediate {
        assert!(floppy.read(0x3F5, &mut [0]));
        assert!(floppy.read(0x3F5, &mut [0]));
    }
    floppy.state(StateOptions::new()).unwrap()
}

/// Restores a state and supplies a new disk.
fn restore_blank(state: PcFloppyState) -> Result<PcFloppy<Vec<u8>, impl Interrupt + use<>>, RestoreError> {
    let disk = || SectorDisk::formatted(Geometry::HD_1440K, 0xF6);
    PcFloppy::from_state(state, |_: bool| {}, vec![0; 16], |_, _| RestoreMedium::Medium(Box::new(disk())))
}

#[test]
fn each_impossible_field_is_refused_by_its_name() {
    // §12.9
    for timing in [Timing::Immediate, Timing::Authentic] {
        let state = in_a_short_transfer(timing);
        let timed = timing == Timing::Authentic;
        let run = |offset: u64, sectors: u64, slot: u64| {
            serde_json::json!({"Transferring": {
                "slot": slot, "sectors": sectors, "offset": offset, "other_mark": false, "bad_data": false,
            }})
        };
        let none = serde_json::Value::Null;
        let seek = |drive: u64, steps: u64, due_in: u64, interval: u64| {
            serde_json::json!({
                "drive": drive, "step_in": true, "steps": steps, "due_in": due_in, "interval": interval, "end": null,
            })
        };
        let execution = "/phase/Execution";
        let schedule = format!("{execution}/schedule");
        let mut cases = vec![
            ("/registers/tape_drive".to_owned(), 4.into(), "registers.tape_drive"),
            ("/registers/head_select".to_owned(), 2.into(), "registers.head_select"),
            ("/settings/configure".to_owned(), 0x80.into(), "settings.configure"),
            ("/settings/perpendicular".to_owned(), 0x40.into(), "settings.perpendicular"),
            ("/clock_phase".to_owned(), 1_000_000_000.into(), "clock_phase"),
            ("/registers/digital_output".to_owned(), 0x18.into(), "phase"),
            ("/units/1/unsensed".to_owned(), 0x20.into(), "units[1].unsensed"),
            (format!("{execution}/head"), 2.into(), "phase.execution.head"),
            (format!("{execution}/st0"), 0x04.into(), "phase.execution.st0"),
            (format!("{execution}/id/size_code"), 2.into(), "phase.execution.id.size_code"),
            (
                format!("{execution}/medium"),
                serde_json::json!({"drive": 4, "media_count": 0}),
                "phase.execution.medium.drive",
            ),
            (format!("{execution}/command"), "Rg==".into(), "phase.execution.command"),
            (format!("{execution}/command"), "EA==".into(), "phase.execution.command"),
            (format!("{execution}/command"), "".into(), "phase.execution.command"),
            (
                format!("{execution}/operation"),
                serde_json::json!({"ReadTrack": {"sectors_read": 1}}),
                "phase.execution.operation",
            ),
            // DTL bytes of a sector are transferred: no position is beyond them.
            (format!("{execution}/progress"), run(5, 1, 0), "phase.execution.progress.offset"),
            (format!("{execution}/progress"), run(0, 2, 0), "phase.execution.progress.sectors"),
            (format!("{execution}/progress"), run(0, 0, 0), "phase.execution.progress.sectors"),
            (format!("{execution}/progress"), run(0, 1, 256), "phase.execution.progress.slot"),
            (format!("{execution}/fifo/request_left"), 17.into(), "phase.execution.fifo.request_left"),
            (format!("{execution}/fifo/request_left"), 2.into(), "phase.execution.fifo.request_left"),
            (format!("{execution}/fifo/wanted"), 16_385.into(), "phase.execution.fifo.wanted"),
            (format!("{execution}/waited"), 200_000_001.into(), "phase.execution.waited"),
        ];
        if timed {
            cases.extend([
                ("/mechanics".to_owned(), none.clone(), "mechanics"),
                ("/mechanics/poll_in".to_owned(), 20_000_000_001u64.into(), "mechanics.poll_in"),
                ("/units/0/seek".to_owned(), seek(4, 1, 0, 1), "units[0].seek.drive"),
                ("/units/0/seek".to_owned(), seek(0, 0, 0, 1), "units[0].seek"),
                ("/units/0/seek".to_owned(), seek(0, 1, 2, 1), "units[0].seek.due_in"),
                ("/units/0/seek".to_owned(), seek(0, 1, 0, u64::MAX), "units[0].seek.interval"),
                (schedule.clone(), none, "phase.execution.schedule"),
                (format!("{schedule}/due_in"), i64::MAX.into(), "phase.execution.schedule.due_in"),
                (format!("{schedule}/due_in"), i64::MIN.into(), "phase.execution.schedule.due_in"),
                (format!("{schedule}/data_start_in"), i64::MIN.into(), "phase.execution.schedule.data_start_in"),
            ]);
        } else {
            cases.push(("/units/0/seek".to_owned(), seek(0, 1, 0, 1), "units[0].seek"));
            cases.push(("/config/timing".to_owned(), "Authentic".into(), "mechanics"));
        }
        for (pointer, value, field) in cases {
            let damaged = changed(&state, &format!("/versioned/controller{pointer}"), value);
            match restore_blank(damaged) {
                Err(RestoreError::Invalid { source }) => assert_eq!(source.field, field, "{pointer}"),
                Err(other) => panic!("{pointer}: {other}"),
                Ok(_) => panic!("{pointer}: restored"),
            }
        }
        restore_blank(state).unwrap();
    }
}

#[test]
fn a_verify_that_has_verified_all_sectors_has_ended() {
    // §12.9: a count of none left would count on below zero
    let controller = Controller::builder().drive(0, DriveType::Inch3_5Hd).timing(Timing::Authentic);
    let mut floppy =
        PcFloppy::new(controller.interrupt(interrupt(&Line::default())), vec![0; 16], Wiring::PRIMARY).unwrap();
    floppy.drive(0).unwrap().attach_medium(SectorDisk::formatted(Geometry::HD_1440K, 0xF6)).unwrap();
    floppy.write(0x3F2, &[0x1C]);
    floppy.write(0x3F7, &[0]);
    for byte in [0x16, 0x80, 0, 0, 1, 2, 18, 0x1B, 5] {
        floppy.write(0x3F5, &[byte]);
    }
    let state = floppy.state(StateOptions::new()).unwrap();
    let remaining = |count: u64| {
        let pointer = "/versioned/controller/phase/Execution/operation";
        restore_blank(changed(&state, pointer, serde_json::json!({"Verify": {"remaining": count}})))
    };
    for (count, field) in [(0, "phase.execution.progress"), (257, "phase.execution.operation.remaining")] {
        let Err(RestoreError::Invalid { source }) = remaining(count) else { panic!("{count} is restored") };
        assert_eq!(source.field, field);
    }
    remaining(1).unwrap();
}

#[test]
fn a_state_of_a_later_version_is_reported_with_any_contents() {
    let later = r#"{"version":2,"versioned":{"more":[1,2,3]}}"#;
    let state: PcFloppyState = serde_json::from_str(later).unwrap();
    assert!(state.controller().is_none() && state.media().next().is_none());
    assert!(matches!(restore(state), Err(RestoreError::Version { version: 2 })));
}

#[test]
fn a_request_that_waits_for_its_channel_is_in_the_status_after_a_restore() {
    let (_folder, _, mut floppy, _) = with_image(Access::ReadOnly);
    floppy.write(0x372, &[0x1C]);
    floppy.write(0x377, &[0]);
    for byte in [0x46, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF] {
        floppy.write(0x375, &[byte]);
    }
    let mut status = [0];
    let state = through_json(&floppy);
    floppy.read(0x08, &mut status);
    assert_eq!(status, [0x40]);
    drop(floppy);
    let mut restored = restore(state).unwrap();
    restored.read(0x08, &mut status);
    assert_eq!(status, [0x40]);
    restored.write(0x372, &[0x18]);
    restored.read(0x08, &mut status);
    assert_eq!(status, [0x00]);
}

#[test]
fn a_restored_host_drive_accepts_any_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fd0");
    fs::copy(fixture("dos-1440k.img"), &path).unwrap();
    let controller = Controller::builder().drive(0, DriveType::Inch3_5Hd).interrupt(interrupt(&Line::default()));
    let floppy = PcFloppy::new(controller, vec![0; 16], Wiring::PRIMARY).unwrap();
    floppy.drive(0).unwrap().attach_host_drive(&path, Access::ReadWrite).unwrap();
    let state = through_json(&floppy);
    drop(floppy);
    let restored = restore(state).unwrap();
    let drive = restored.drive(0).unwrap();
    assert!(drive.check_host_drive().unwrap());
    assert_eq!(drive.layout(), Some(Geometry::HD_1440K.into()));
    fs::write(&path, vec![0x44; 737_280]).unwrap();
    assert!(drive.check_host_drive().unwrap());
    assert_eq!(drive.layout(), Some(Geometry::DD_720K.into()));
}

#[test]
fn a_supplied_image_has_its_own_path_and_the_private_writes() {
    let (folder, path, floppy, _) = with_image(Access::Private);
    let image = fs::read(&path).unwrap();
    let state = through_json(&floppy);
    drop(floppy);
    let elsewhere = folder.path().join("elsewhere.img");
    fs::write(&elsewhere, vec![7; 1_474_560]).unwrap();
    let give = |_: u8, _: &_| {
        let options = ImageOptions::new(Access::Private).with_geometry(Geometry::HD_1440K);
        RestoreMedium::from(Image::open(&elsewhere, options).unwrap())
    };
    let restored = PcFloppy::from_state(state, interrupt(&Line::default()), vec![0; 16], give).unwrap();
    let drive = restored.drive(0).unwrap();
    assert_eq!(drive.image_file(), Some(elsewhere.clone()));
    assert!(drive.release_medium().unwrap().raw_image().unwrap() == image);
}

// Media of a restored machine

fn restore_with(
    state: PcFloppyState,
    choose: impl FnMut(u8, &MediumStateV1) -> RestoreMedium,
) -> Result<Machine, RestoreError> {
    PcFloppy::from_state(state, interrupt(&Line::default()), vec![0; 16], choose)
}

fn refused(outcome: Result<Machine, RestoreError>) -> RestoreMediumError {
    match outcome {
        Err(RestoreError::Medium { drive: 0, source }) => source,
        outcome => panic!("{:?}", outcome.err()),
    }
}

fn saved_medium(state: &PcFloppyState) -> MediumStateV1 {
    state.media().next().unwrap().1.clone()
}

/// Returns a machine with a medium of the VM monitor in its drive.
fn with_medium(medium: impl Into<Box<dyn Medium>>) -> Machine {
    let controller = Controller::builder().drive(0, DriveType::Inch3_5Hd).interrupt(interrupt(&Line::default()));
    let floppy = PcFloppy::new(controller, vec![0; 16], Wiring::PRIMARY).unwrap();
    floppy.drive(0).unwrap().attach_medium(medium).unwrap();
    floppy
}

#[test]
fn a_supplied_image_keeps_its_own_access_and_options() {
    let all = [Access::ReadWrite, Access::ReadOnly, Access::Private];
    for (saved, given) in all.into_iter().flat_map(|saved| all.map(|given| (saved, given))) {
        let (_folder, path, floppy, _) = with_image(saved);
        let state = through_json(&floppy);
        drop(floppy);
        let options = ImageOptions::new(given).with_geometry(Geometry::HD_1440K).with_durability(Durability::OnFlush);
        let restored = restore_with(state, |_, _| Image::open(&path, options).unwrap().into()).unwrap();
        let state = through_json(&restored);
        drop(restored);
        let medium = saved_medium(&state);
        assert_eq!((medium.access, medium.durability), (given, Durability::OnFlush), "{saved:?}, {given:?}");
        // In the second migration the library opens the image with the options of the first.
        let restored = restore(state).unwrap();
        let mut medium = restored.drive(0).unwrap().release_medium().unwrap();
        assert_eq!(medium.is_write_protected(), given == Access::ReadOnly, "{saved:?}, {given:?}");
        let before = fs::read(&path).unwrap();
        if !medium.is_write_protected() {
            medium.write(0, 0, 0, 1, Mark::Data).unwrap().fill(0xC3);
            medium.finish_write(0, 0, 0, 1, Mark::Data);
            medium.flush().unwrap();
        }
        drop(medium);
        assert_eq!(fs::read(&path).unwrap() != before, given == Access::ReadWrite, "{saved:?}, {given:?}");
    }
}

#[test]
fn a_disk_in_memory_is_created_from_the_bytes_in_the_state() {
    for access in [Access::ReadOnly, Access::Private] {
        let (_folder, path, floppy, _) = with_image(access);
        let image = fs::read(&path).unwrap();
        let state = floppy.state(StateOptions::new().with_contents()).unwrap();
        drop(floppy);
        fs::remove_file(&path).unwrap();
        let restored = restore_with(state, |_, _| RestoreMedium::Contents).unwrap();
        let drive = restored.drive(0).unwrap();
        assert_eq!((drive.attachment(), drive.image_file()), (Attachment::Image, None));
        // The next state has the only copy, also if the bytes are not requested.
        let state = through_json(&restored);
        drop(restored);
        let restored = restore_with(state, |_, _| RestoreMedium::Contents).unwrap();
        let mut medium = restored.drive(0).unwrap().release_medium().unwrap();
        assert_eq!(medium.is_write_protected(), access == Access::ReadOnly);
        assert!(medium.raw_image().unwrap() == image);
    }
}

#[test]
fn a_disk_in_memory_needs_bytes_that_determine_its_layout() {
    let (_folder, _, floppy, _) = with_image(Access::ReadOnly);
    let without = restore_with(floppy.state(StateOptions::new()).unwrap(), |_, _| RestoreMedium::Contents);
    assert!(matches!(refused(without), RestoreMediumError::NoContents));
    // Of a medium of the VM monitor only the size is known. Of the two formats with the size of 1.44M, one fits the drive.
    let floppy = with_medium(SectorDisk::formatted(Geometry::HD_1440K, 0xA5));
    let mut state = serde_json::to_value(floppy.state(StateOptions::new().with_contents()).unwrap()).unwrap();
    let good = serde_json::from_value(state.clone()).unwrap();
    let restored = restore_with(good, |_, _| RestoreMedium::Contents).unwrap();
    assert!(restored.drive(0).unwrap().release_medium().unwrap().raw_image().unwrap() == [0xA5; 1_474_560]);
    *state.pointer_mut("/versioned/controller/drives/0/medium/contents").unwrap() = "AAAA".into();
    let bad = serde_json::from_value(state).unwrap();
    let outcome = restore_with(bad, |_, _| RestoreMedium::Contents);
    assert!(matches!(refused(outcome), RestoreMediumError::UnusableContents { bytes: 3 }));
}

#[test]
fn a_medium_can_be_ejected_by_a_restore() {
    let (_folder, _, mut floppy, _) = with_image(Access::ReadWrite);
    let disk_changed = |floppy: &mut Machine| {
        floppy.write(0x372, &[0x1C]);
        let mut byte = [0];
        floppy.read(0x377, &mut byte);
        byte[0] & 0x80 != 0
    };
    // The guest cleared the change line of the disk.
    for byte in [0x0F, 0, 1] {
        floppy.write(0x372, &[0x1C]);
        floppy.write(0x375, &[byte]);
    }
    assert!(!disk_changed(&mut floppy));
    // The image stays with the other machine.
    let mut restored = restore_with(through_json(&floppy), |_, _| RestoreMedium::Eject).unwrap();
    assert!(disk_changed(&mut restored));
    assert_eq!(restored.drive(0).unwrap().attachment(), Attachment::None);
    assert!(!disk_changed(&mut floppy));
}

#[test]
fn a_restore_asks_for_each_medium_and_for_no_empty_drive() {
    let (_folder, path, floppy, _) = with_image(Access::Private);
    let mut asked = Vec::new();
    let restored = restore_with(through_json(&floppy), |number, medium| {
        asked.push((number, medium.path.clone()));
        RestoreMedium::Reopen
    });
    assert_eq!(asked, [(0, Some(path))]);
    let restored = restored.unwrap();
    restored.drive(0).unwrap().release_image().unwrap();
    restore_with(through_json(&restored), |_, _| panic!("the drive is empty")).unwrap();
}

/// Returns a disk with a name and without a raw image.
fn named(name: impl Into<String>) -> Stub {
    Stub { name: Some(name.into()), ..Stub::default() }
}

#[test]
fn a_medium_of_the_vm_monitor_is_requested_by_its_name() {
    let floppy = with_medium(named("drivers"));
    let state = through_json(&floppy);
    assert_eq!(saved_medium(&state).name.as_deref(), Some("drivers"));
    let error = refused(restore(state.clone()));
    assert!(error.to_string().contains("\"drivers\""), "{error}");
    let give = |_: u8, medium: &MediumStateV1| {
        RestoreMedium::Medium(Box::new(named(medium.name.clone().expect("the name of a medium"))))
    };
    let restored = restore_with(state, give).unwrap();
    assert_eq!(saved_medium(&through_json(&restored)).name.as_deref(), Some("drivers"));
}

#[test]
fn a_medium_that_cannot_be_in_the_state_is_reported() {
    let without_raw_image = with_medium(named("drivers"));
    without_raw_image.state(StateOptions::new()).unwrap();
    let named_too_long = with_medium(named("n".repeat(256)));
    let (contents, plain) = (StateOptions::new().with_contents(), StateOptions::new());
    for (floppy, options) in [(without_raw_image, contents), (named_too_long, plain)] {
        let Err(SaveStateError::Medium { drive: 0, .. }) = floppy.state(options) else { panic!("{options:?}") };
    }
}

#[test]
fn a_state_with_an_image_is_as_large_as_the_image_or_a_third_larger() {
    let (_folder, _, floppy, _) = with_image(Access::Private);
    let state = floppy.state(StateOptions::new()).unwrap();
    assert!(serde_json::to_string(&state).unwrap().len() < 2_000_000);
    let bytes = postcard::to_allocvec(&state).unwrap();
    assert!(bytes.len() < 1_474_560 + 8192, "{}", bytes.len());
    restore(postcard::from_bytes(&bytes).unwrap()).unwrap();
}

#[test]
#[cfg(unix)]
fn an_image_whose_path_is_not_unicode_is_opened_again() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let (folder, path, floppy, _) = with_image(Access::ReadOnly);
    let odd = folder.path().join(OsStr::from_bytes(b"\xFF.img"));
    if fs::copy(&path, &odd).is_err() {
        return; // Some file systems allow only Unicode names.
    }
    floppy.drive(0).unwrap().swap_image(&odd, Access::ReadOnly).unwrap();
    let state = floppy.state(StateOptions::new()).unwrap();
    let json = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
    let compact = postcard::from_bytes(&postcard::to_allocvec(&state).unwrap()).unwrap();
    for state in [json, compact] {
        assert_eq!(restore(state).unwrap().drive(0).unwrap().image_file(), Some(odd.clone()));
    }
}

#[test]
fn a_private_image_that_cannot_hold_what_was_saved_is_refused() {
    let (folder, _, floppy, _) = with_image(Access::Private);
    let other = folder.path().join("other.img");
    fs::write(&other, vec![7; 737_280]).unwrap();
    let options = ImageOptions::new(Access::Private).with_geometry(Geometry::DD_720K);
    let give = |_: u8, _: &_| Image::open(&other, options).unwrap().into();
    let outcome = restore_with(through_json(&floppy), give);
    assert!(matches!(refused(outcome), RestoreMediumError::Changed { path } if path == other));
}
