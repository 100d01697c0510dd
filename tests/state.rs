//! Saved states: a machine that is saved and restored at any access does what it would have done, and no state, however
//! damaged, does harm. Sections (§) are those of the project's fact sheet on the 82077AA and its surroundings.
#![cfg(feature = "serde")]

mod kit;

use std::{
    cell::RefCell,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use kit::fixture;
use proptest::prelude::*;
use vm_fdc::{
    Controller, EmptyDrive, InterfaceMode, Timing,
    controller::RestoreError,
    drive::{Attachment, DriveType, RestoreMediumError, StateOptions},
    media::{Access, Geometry, ImageOptions, Medium, SectorDisk},
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
    let options = ImageOptions::new(Access::Private).geometry(Geometry::HD_1440K);
    floppy.drive(0).unwrap().attach_image(fixture("dos-1440k.img"), options).unwrap();
    floppy
}

/// Through text, as a migration sends it.
fn through_json(floppy: &Machine) -> PcFloppyState {
    let state = floppy.state(StateOptions::new()).unwrap();
    serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap()
}

/// Another machine that goes on where this one is.
fn moved(floppy: Machine, line: &Line) -> Machine {
    let state = through_json(&floppy);
    let (level, memory) = (floppy.interrupt_level(), floppy.controller().dma().memory().clone());
    drop(floppy);
    let before = line.borrow().len();
    let restored = PcFloppy::from_state(state, interrupt(line), memory, |_, _| None).unwrap();
    // The new line was low, and is told when the pin is not.
    let told = line.borrow_mut().split_off(before);
    assert_eq!(told, if level { vec![true] } else { vec![] });
    restored
}

// Any moment

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
    let transfer = transfer.prop_map(|(opcode, head, cylinder, record, size, end)| {
        vec![opcode, head << 2, cylinder, head, record, size, end, 0x1B, 0xFF]
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

/// Runs a program, and moves the machine before the accesses that `cuts` tells. Gives all that the guest sees.
fn run(setup: Setup, steps: &[Step], cut: impl Fn(usize) -> bool) -> (Vec<u64>, Vec<bool>) {
    let line = Line::default();
    let mut floppy = Some(machine(setup, &line));
    let (mut log, mut accesses) = (Vec::new(), 0);
    let mut access = |floppy: &mut Option<Machine>, work: &mut dyn FnMut(&mut Machine) -> u64| {
        if cut(accesses) {
            *floppy = floppy.take().map(|machine| moved(machine, &line));
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
                let options = ImageOptions::new(Access::Private).geometry(Geometry::HD_1440K);
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
    fn a_machine_that_is_moved_at_any_access_goes_on_as_it_was(
        setup in setup(),
        steps in prop::collection::vec(step(), 1..14),
        every in 1..40usize,
        first in 0..40usize,
    ) {
        // §12
        let whole = run(setup, &steps, |_| false);
        let cut = run(setup, &steps, |access| access >= first && (access - first) % every == 0 && access < first + every * 25);
        prop_assert_eq!(whole, cut);
    }

    /// A number, a word or a bracket of a good state is another: it is refused, or the machine goes on, and does no harm.
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
        let restored = PcFloppy::from_state(state, interrupt(&line), vec![0; 0x2_0000], |_, _| None);
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
            // From event to event, of which a damaged state can have a great many.
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
                let options = ImageOptions::new(Access::Private).geometry(Geometry::HD_1440K);
                _ = floppy.drive(0).map(|drive| drive.attach_image(fixture("dos-1440k.img"), options));
            }
        }
    }
}

/// Every value in a tree that has no others in it.
fn collect<'a>(value: &'a mut serde_json::Value, leaves: &mut Vec<&'a mut serde_json::Value>) {
    match value {
        // The ID fields of FORMAT TRACK, and their like, would be most of what is hit.
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
    PcFloppy::from_state(state, interrupt(&Line::default()), vec![0; 16], |_, _| None)
}

#[test]
fn an_image_is_opened_again_at_its_path() {
    let (_folder, path, floppy, _) = with_image(Access::ReadWrite);
    let state = through_json(&floppy);
    let (number, medium) = state.controller().media().next().unwrap();
    assert_eq!((number, medium.path(), medium.attachment()), (0, Some(path.as_path()), Attachment::Image));
    assert!(medium.contents().is_none());
    // The first machine still has it.
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
fn an_image_that_is_gone_or_another_is_told() {
    let gone = |path: &Path| fs::remove_file(path).unwrap();
    let other = |path: &Path| fs::write(path, vec![7; 1_474_560]).unwrap();
    let short = |path: &Path| fs::write(path, [7]).unwrap();
    for (change, noticed) in [(gone as fn(&Path), "Open"), (short, "Open"), (other, "Changed")] {
        let (_folder, path, floppy, _) = with_image(Access::ReadOnly);
        let state = floppy.state(StateOptions::new().hash()).unwrap();
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
fn a_medium_of_the_embedder_is_given_again() {
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
    assert!(matches!(not_given, RestoreError::Medium { drive: 0, source: RestoreMediumError::NotGiven }));
    let give =
        |geometry: Geometry| move |_: u8, _: &_| Some(Box::new(SectorDisk::formatted(geometry, 1)) as Box<dyn Medium>);
    let unsuitable = PcFloppy::from_state(state.clone(), interrupt(&line), vec![0; 16], give(Geometry::DD_360K));
    assert!(matches!(unsuitable, Err(RestoreError::Medium { source: RestoreMediumError::Unsuitable, .. })));
    let restored = PcFloppy::from_state(state, interrupt(&line), vec![0; 16], give(Geometry::HD_1440K)).unwrap();
    assert_eq!(restored.drive(0).unwrap().attachment(), Attachment::Image);
}

// Versions

/// A READ DATA without DMA in its execution phase, and a READ with DMA that takes its time, as version 1 saved them.
#[test]
fn the_states_of_earlier_versions_are_restored() {
    for name in ["state-1-pio.json", "state-1-authentic.json"] {
        let text = fs::read_to_string(fixture(name)).unwrap();
        let state: PcFloppyState = serde_json::from_str(&text).unwrap();
        let give = |_: u8, _: &_| Some(Box::new(SectorDisk::formatted(Geometry::HD_1440K, 0xA5)) as Box<dyn Medium>);
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
                    let event = floppy.next_event().expect("the command ends");
                    floppy.advance(event);
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
            // One sector of two had been fetched, and a hundred bytes.
            assert_eq!((data, &result[..]), (412, &[0x40, 0x80, 0x00, 0, 0, 2, 2][..]));
        } else {
            assert_eq!(result, [0x00, 0x00, 0x00, 0, 0, 2, 2]);
            // The first part of the sector went to the memory of the machine that was saved.
            let memory = floppy.controller().dma().memory();
            assert_eq!((memory[0], memory[511], memory[512]), (0, 0xA5, 0));
        }
    }
}

/// Makes the states of the version that this is, for `fixtures/`.
#[test]
#[ignore = "writes into fixtures/, once a version"]
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
        match timing {
            Timing::Immediate => (0..612).for_each(|_| _ = floppy.read(0x3F5, &mut [0])),
            Timing::Authentic => floppy.advance(Duration::from_millis(8)),
        }
        let state = floppy.state(StateOptions::new()).unwrap();
        fs::write(fixture(name), serde_json::to_string(&state).unwrap()).unwrap();
    }
}

// What was found by those who tried to do harm

/// A state that was changed in one place.
fn changed(state: &PcFloppyState, pointer: &str, value: serde_json::Value) -> PcFloppyState {
    let mut json = serde_json::to_value(state).unwrap();
    *json.pointer_mut(pointer).expect(pointer) = value;
    serde_json::from_value(json).unwrap()
}

#[test]
fn a_disk_or_a_medium_that_no_drive_can_have_is_refused() {
    // §12.1
    let (_folder, _, floppy, _) = with_image(Access::ReadOnly);
    let state = floppy.state(StateOptions::new()).unwrap();
    drop(floppy);
    for (pointer, value) in [
        ("/controller/drives/0/disk", serde_json::Value::from(u64::MAX)),
        ("/controller/drives/0/disk", (1u64 << 56).into()),
        ("/controller/drives/0/medium/kind", "None".into()),
        ("/controller/drives/0/medium/layout", serde_json::Value::Null),
        ("/channel", 4.into()),
        ("/controller/version", 0.into()),
    ] {
        let refused = restore(changed(&state, pointer, value));
        assert!(matches!(refused, Err(RestoreError::Damaged)), "{pointer}");
    }
    let newer = restore(changed(&state, "/controller/version", 2.into()));
    assert!(matches!(newer, Err(RestoreError::Version { version: 2 })));
    restore(state).unwrap();
}

#[test]
fn a_restored_host_drive_takes_whatever_disk_comes() {
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
fn an_image_that_is_given_is_known_by_its_own_path_and_has_what_was_private() {
    let (folder, path, floppy, _) = with_image(Access::Private);
    let image = fs::read(&path).unwrap();
    let state = through_json(&floppy);
    drop(floppy);
    let elsewhere = folder.path().join("elsewhere.img");
    fs::write(&elsewhere, vec![7; 1_474_560]).unwrap();
    let give = |_: u8, _: &_| {
        let options = ImageOptions::new(Access::Private).geometry(Geometry::HD_1440K);
        Some(Box::new(vm_fdc::media::Image::open(&elsewhere, options).unwrap()) as Box<dyn Medium>)
    };
    let restored = PcFloppy::from_state(state, interrupt(&Line::default()), vec![0; 16], give).unwrap();
    let drive = restored.drive(0).unwrap();
    assert_eq!(drive.image_file(), Some(elsewhere.clone()));
    assert!(drive.release_medium().unwrap().raw_image().unwrap() == image);
}
