//! Random programs of accesses to registers and DMA ports, while the host changes disks. After each access the invariants
//! of the chip hold (§12).
//!
//! `PROPTEST_CASES` sets the number of programs. A failure prints the shortest program that was found to cause it: a line
//! for each step, in hexadecimal.

use std::{
    cell::RefCell,
    collections::hash_map::DefaultHasher,
    fmt,
    hash::{BuildHasher, BuildHasherDefault, Hash},
    io,
    ops::Range,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use super::kit::{HAS_BYTE, Irq, WANTS_BYTE, fixture};
use proptest::{
    collection::vec,
    option,
    prelude::{Just, Strategy, any, prop, prop_assert_eq, prop_oneof, proptest},
    sample::select,
    test_runner::Config,
};
use vm_fdc::{
    Controller, EmptyDrive, InterfaceMode, ReadRegister, Timing, WriteRegister,
    dma::{AtDma, DmaChannel, GuestMemory, Moved},
    drive::DriveType,
    media::{
        Access, DataRate, Encoding, Fault, FaultyMedium, FormFactor, Geometry, Image, ImageOptions, Mark, Medium,
        MediumError, Sector, SectorDisk, SectorId, SectorTrack, Track, TrackFormat,
    },
};

proptest! {
    // The report has the program that fails, so no file of seeds is written.
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

    #[test]
    fn every_program_keeps_the_invariants_and_gives_the_same_answers_twice(setup in setup(), program in program()) {
        // §12, §1.11, §2.1, §6.2
        let trace = Machine::run(&setup, &program);
        prop_assert_eq!(trace, Machine::run(&setup, &program));
    }
}

// Programs

/// A machine at power-on.
#[derive(Clone, Debug)]
struct Setup {
    mode: InterfaceMode,
    timing: Timing,
    empty_drive: EmptyDrive,
    scan: bool,
    drives: Vec<Option<DriveType>>,
    disk: Option<Disk>,
    /// The DMA channel never signals terminal count.
    endless_dma: bool,
}

/// A disk to attach.
#[derive(Clone, Debug)]
enum Disk {
    /// The fixture that the drive accepts.
    Image(Access),
    /// All tracks have these sectors, with the C and H of the track. Each sector has a data field of this number of bytes.
    Sectors { encoding: Encoding, write_protected: bool, sectors: Vec<(Sector, usize)> },
    /// Deleted sectors with every R: the longest search of a command that skips them.
    Deleted,
    /// A good disk with a fault in the sectors of one number.
    Faulty { sector: u8, fault: Fault },
    /// A defective medium of a VM monitor: regular tracks with this size code, and slices of any length.
    Defective { size_code: u8, count: u8, lengths: Vec<usize> },
}

#[derive(Clone, Debug)]
enum Step {
    Read(ReadRegister),
    Write(WriteRegister, u8),
    /// Selects a drive, turns its motor on, and sets the data rate of its disks.
    Select(u8),
    /// Fetches the result of the last command, if there is one, and writes the bytes.
    Command(Vec<u8>),
    /// Moves bytes while the MSR requests it, at most this number.
    Move(usize),
    ReadDma(u16),
    WriteDma(u16, u8),
    ProgramDma {
        mode: u8,
        address: u32,
        count: u16,
    },
    Advance(Duration),
    Attach(u8, Disk),
    Release(u8),
    Reset(Reset),
}

#[derive(Clone, Copy, Debug)]
enum Reset {
    Hardware,
    DigitalOutput,
    DataRateSelect,
}

/// Steps, and the reset after them. `Debug` prints a line for each step.
#[derive(Clone)]
struct Program {
    steps: Vec<Step>,
    end: Reset,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        self.steps.iter().try_for_each(|step| writeln!(f, "    {step:02x?}"))?;
        writeln!(f, "    {:?}", Step::Reset(self.end))
    }
}

fn setup() -> impl Strategy<Value = Setup> {
    let mode = select(&[InterfaceMode::At, InterfaceMode::Ps2, InterfaceMode::Model30][..]);
    let empty_drive = select(&[EmptyDrive::Fail, EmptyDrive::Hang][..]);
    let drives = vec(option::weighted(0.9, select(&DriveType::ALL[..])), 4);
    let timing = select(&[Timing::Immediate, Timing::Authentic][..]);
    let options = (any::<bool>(), option::weighted(0.9, disk()), any::<bool>());
    (mode, timing, empty_drive, drives, options).prop_map(|(mode, timing, empty_drive, drives, options)| Setup {
        mode,
        timing,
        empty_drive,
        scan: options.0,
        drives,
        disk: options.1,
        endless_dma: options.2,
    })
}

fn program() -> impl Strategy<Value = Program> {
    let part = prop_oneof![3 => step().prop_map(|step| vec![step]), 1 => conversation()];
    (vec(part, 1..14), reset()).prop_map(|(parts, end)| Program { steps: parts.concat(), end })
}

/// A random step.
fn step() -> impl Strategy<Value = Step> {
    let duration = prop_oneof![0..1_000u64, Just(200_000), any::<u64>()].prop_map(Duration::from_micros);
    let dma_mode = prop_oneof![
        2 => select(&[0x46, 0x4A, 0x42, 0x56, 0x5A, 0x66, 0x6A][..]),
        1 => any::<u8>().prop_map(|mode| mode & !0b11 | 2),
    ];
    let dma_port = || prop_oneof![4 => 0u16..0x10, 1 => Just(0x81u16), 1 => 0xC0u16..0xE0];
    prop_oneof![
        6 => command().prop_map(Step::Command),
        3 => (0..40usize).prop_map(Step::Move),
        2 => (dma_mode, any::<u32>(), count()).prop_map(|(mode, address, count)| {
            Step::ProgramDma { mode, address, count }
        }),
        2 => prop_oneof![2 => Just(0), 1 => 0..4u8].prop_map(Step::Select),
        4 => (write_register(), any::<u8>()).prop_map(|(register, value)| Step::Write(register, value)),
        4 => read_register().prop_map(Step::Read),
        2 => (dma_port(), any::<u8>()).prop_map(|(port, value)| Step::WriteDma(port, value)),
        1 => dma_port().prop_map(Step::ReadDma),
        2 => duration.prop_map(Step::Advance),
        2 => (0..2u8, disk()).prop_map(|(drive, disk)| Step::Attach(drive, disk)),
        1 => (0..4u8).prop_map(Step::Release),
        1 => reset().prop_map(Step::Reset),
    ]
}

/// The steps of a driver to a transfer that can succeed: with DMA or without, with an implied seek or without.
fn conversation() -> impl Strategy<Value = Vec<Step>> {
    let address = prop_oneof![any::<u32>(), 0xFC00..0x1_0000u32];
    let bytes = prop_oneof![14 => 0..40usize, 1 => 500..700usize];
    let disk = option::weighted(0.5, disk());
    (reset(), disk, 0..2u8, any::<bool>(), any::<u8>(), address, count(), transfer(), bytes).prop_map(
        |(reset, disk, no_dma, seeks, configure, address, count, transfer, bytes)| {
            let from_memory = matches!(transfer[0] & 0x1F, 0x05 | 0x09 | 0x0D | 0x11 | 0x19 | 0x1D);
            let mode = if from_memory { 0x4A } else { 0x46 };
            let configure = if seeks { configure | 0x40 } else { configure & !0x40 };
            let mut steps = vec![Step::Reset(reset), Step::Select(0)];
            steps.extend(disk.map(|disk| Step::Attach(0, disk)));
            steps.push(Step::Command(vec![0x03, 0xAF, 0x02 | no_dma]));
            steps.push(Step::Command(vec![0x13, 0x00, configure, 0x00]));
            steps.push(Step::ProgramDma { mode, address, count });
            steps.extend([Step::Command(transfer), Step::Move(bytes)]);
            steps
        },
    )
}

fn reset() -> impl Strategy<Value = Reset> {
    select(&[Reset::Hardware, Reset::DigitalOutput, Reset::DataRateSelect][..])
}

fn read_register() -> impl Strategy<Value = ReadRegister> {
    // The FIFO is accessed more often than the other registers.
    (0..12u16).prop_map(|offset| ReadRegister::at(offset).unwrap_or(ReadRegister::Fifo))
}

fn write_register() -> impl Strategy<Value = WriteRegister> {
    (0..12u16).prop_map(|offset| WriteRegister::at(offset).unwrap_or(WriteRegister::Fifo))
}

/// A parameter that is valid most of the time.
fn near(valid: Range<u8>) -> impl Strategy<Value = u8> {
    prop_oneof![8 => valid, 1 => any::<u8>()]
}

/// The count of the DMA channel: a few sectors at most, most of the time.
fn count() -> impl Strategy<Value = u16> {
    prop_oneof![8 => 0..2048u16, 1 => any::<u16>()]
}

/// HDS and DS, and sometimes EC of VERIFY.
fn unit() -> impl Strategy<Value = u8> {
    prop_oneof![6 => 0..8u8, 1 => 0x80..0x88u8, 1 => any::<u8>()]
}

/// MT, MFM and SK.
fn flags() -> impl Strategy<Value = u8> {
    prop_oneof![3 => select(&[0x40, 0xC0, 0x60, 0xE0][..]), 1 => any::<u8>().prop_map(|flags| flags & 0xE0)]
}

/// N.
fn size() -> impl Strategy<Value = u8> {
    prop_oneof![12 => Just(2), 6 => 0..4u8, 1 => select(&[8, 0xFF][..]), 1 => any::<u8>()]
}

/// A command that moves data.
fn transfer() -> impl Strategy<Value = Vec<u8>> {
    let opcode = select(&[0x02, 0x05, 0x06, 0x06, 0x09, 0x0C, 0x11, 0x16, 0x19, 0x1D][..]);
    let (cylinder, head) = (prop_oneof![2 => Just(0), 1 => near(0..3)], option::weighted(0.1, any::<u8>()));
    let last = prop_oneof![Just(0xFF), 0..4u8, any::<u8>()];
    let transfer = (opcode, flags(), unit(), cylinder, head, near(1..10), size(), near(0..12), last).prop_map(
        |(opcode, flags, unit, cylinder, head, sector, size, end_of_track, last)| {
            let head = head.unwrap_or(unit >> 2 & 1);
            vec![opcode | flags, unit, cylinder, head, sector, size, end_of_track, 0x1B, last]
        },
    );
    let format = (flags(), unit(), size(), near(0..12), near(0..0x60), any::<u8>())
        .prop_map(|(flags, unit, size, sectors, gap, filler)| vec![0x0D | flags, unit, size, sectors, gap, filler]);
    prop_oneof![6 => transfer, 1 => format]
}

fn command() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        10 => transfer(),
        2 => (select(&[0x0F, 0x8F, 0xCF][..]), unit(), near(0..4)).prop_map(|(seek, unit, to)| vec![seek, unit, to]),
        2 => (select(&[0x07, 0x04, 0x0A, 0x4A][..]), unit()).prop_map(|(opcode, unit)| vec![opcode, unit]),
        1 => any::<u8>().prop_map(|mode| vec![0x03, 0xAF, mode]),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(how, track)| vec![0x13, 0x00, how, track]),
        1 => any::<u8>().prop_map(|how| vec![0x12, how]),
        3 => select(&[0x08, 0x0E, 0x10, 0x14, 0x94][..]).prop_map(|opcode| vec![opcode]),
        2 => vec(any::<u8>(), 1..10),
    ]
}

fn disk() -> impl Strategy<Value = Disk> {
    let encoding = prop_oneof![9 => Just(Encoding::Mfm), 1 => Just(Encoding::Fm)];
    let fault = select(&[Fault::IdCrc, Fault::DataCrc, Fault::MissingMark, Fault::HostIo][..]);
    let sectors = prop_oneof![1 => Just(good_sectors(1..=9)), 2 => vec(sector(), 0..12)];
    let length = prop_oneof![0..2usize, 500..520usize, Just(100_000)];
    prop_oneof![
        2 => select(&[Access::Private, Access::ReadOnly][..]).prop_map(Disk::Image),
        4 => (encoding, prop::bool::weighted(0.2), sectors).prop_map(|(encoding, write_protected, sectors)| {
            Disk::Sectors { encoding, write_protected, sectors }
        }),
        1 => Just(Disk::Deleted),
        1 => (1..10u8, fault).prop_map(|(sector, fault)| Disk::Faulty { sector, fault }),
        1 => (select(&[1, 2, 8, 0xFF][..]), near(0..20), vec(length, 1..4)).prop_map(|(size_code, count, lengths)| {
            Disk::Defective { size_code, count, lengths }
        }),
    ]
}

/// Sectors of 512 bytes.
fn good_sectors(numbers: impl IntoIterator<Item = u8>) -> Vec<(Sector, usize)> {
    let good = |sector| (Sector::good(SectorId { sector, size_code: 2, ..SectorId::default() }), 512);
    numbers.into_iter().map(good).collect()
}

/// A sector that can be damaged, most often with the right number of bytes.
fn sector() -> impl Strategy<Value = (Sector, usize)> {
    let mark = prop_oneof![4 => Just(Some(Mark::Data)), 2 => Just(Some(Mark::Deleted)), 1 => Just(None)];
    let error = || (0..8u8).prop_map(|n| n == 0);
    let length = option::weighted(0.1, 0..1_000usize);
    (near(0..10), size(), mark, error(), error(), length).prop_map(
        |(sector, size_code, mark, id_crc_error, data_crc_error, length)| {
            let id = SectorId { sector, size_code, ..SectorId::default() };
            let length = length.or(id.size()).unwrap_or(0);
            (Sector { id, id_crc_error, mark, data_crc_error }, length)
        },
    )
}

// Disks

/// The number of formatted cylinders of a disk.
const FORMATTED: u8 = 3;

impl Disk {
    /// Returns the disk for a type of drive.
    fn medium(&self, drive: DriveType) -> Box<dyn Medium> {
        let (rate, form_factor) = (rate_of(drive), drive.form_factor());
        let disk = |encoding, sectors: &[(Sector, usize)]| {
            let mut disk = SectorDisk::unformatted(form_factor, drive.cylinders());
            for (cylinder, head) in (0..FORMATTED).flat_map(|cylinder| [(cylinder, 0), (cylinder, 1)]) {
                let placed = |&(sector, length): &(Sector, usize)| {
                    let id = SectorId { cylinder, head, ..sector.id };
                    (Sector { id, ..sector }, vec![sector.id.sector; length])
                };
                let empty = SectorTrack::new(rate).with_encoding(encoding);
                let track =
                    sectors.iter().map(placed).fold(empty, |track, (sector, data)| track.with_sector(sector, data));
                disk.set_track(cylinder, head, track);
            }
            disk
        };
        match self {
            Self::Image(access) => Box::new(image(drive, *access)),
            Self::Sectors { encoding, write_protected, sectors } => {
                let mut disk = disk(*encoding, sectors);
                disk.set_write_protected(*write_protected);
                Box::new(disk)
            }
            Self::Deleted => {
                let mut sectors = good_sectors(0..=u8::MAX);
                sectors.iter_mut().for_each(|(sector, _)| sector.mark = Some(Mark::Deleted));
                Box::new(disk(Encoding::Mfm, &sectors))
            }
            Self::Faulty { sector, fault } => {
                let disk = FaultyMedium::new(disk(Encoding::Mfm, &good_sectors(1..=9)));
                Box::new(disk.with_fault(0, 0, *sector, *fault).with_fault(0, 1, *sector, *fault))
            }
            Self::Defective { size_code, count, lengths } => Box::new(Defective {
                form_factor,
                track: Track::regular(
                    rate,
                    SectorId { sector: 1, size_code: *size_code, ..SectorId::default() },
                    *count,
                ),
                lengths: lengths.clone(),
                data: vec![0; lengths.iter().copied().max().unwrap_or(0)],
            }),
        }
    }
}

/// Returns the data rate of the disks for a type of drive.
fn rate_of(drive: DriveType) -> DataRate {
    match drive {
        DriveType::Inch5_25Dd | DriveType::Inch3_5Dd => DataRate::Kbps250,
        DriveType::Inch5_25Hd | DriveType::Inch3_5Hd | DriveType::Inch3_5Ed => DataRate::Kbps500,
    }
}

fn image(drive: DriveType, access: Access) -> Image {
    let (name, geometry) = match drive {
        DriveType::Inch5_25Dd | DriveType::Inch5_25Hd => ("dos-360k.img", Geometry::DD_360K),
        DriveType::Inch3_5Dd => ("dos-720k.img", Geometry::DD_720K),
        DriveType::Inch3_5Hd | DriveType::Inch3_5Ed => ("dos-1440k.img", Geometry::HD_1440K),
    };
    Image::open(fixture(name), ImageOptions::new(access).with_geometry(geometry)).expect("the fixture opens")
}

/// A medium that returns slices of any length for its sectors.
struct Defective {
    form_factor: FormFactor,
    track: Track<'static>,
    lengths: Vec<usize>,
    data: Vec<u8>,
}

impl Medium for Defective {
    fn form_factor(&self) -> FormFactor {
        self.form_factor
    }

    fn cylinders(&self) -> u8 {
        0
    }

    fn is_write_protected(&self) -> bool {
        false
    }

    fn track(&self, _: u8, _: u8) -> Option<Track<'_>> {
        Some(self.track)
    }

    fn read(&mut self, _: u8, _: u8, slot: usize, _: usize) -> Result<&[u8], MediumError> {
        Ok(&self.data[..self.lengths[slot % self.lengths.len()]])
    }

    fn write(&mut self, _: u8, _: u8, slot: usize, _: usize, _: Mark) -> Result<&mut [u8], MediumError> {
        Ok(&mut self.data[..self.lengths[slot % self.lengths.len()]])
    }

    fn finish_write(&mut self, _: u8, _: u8, _: usize, _: usize, _: Mark) {}

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// Observation

/// The work of one access, which is limited to two tracks of 256 sectors each (§12.2).
#[derive(Clone, Debug, Default)]
struct Meter(Arc<[AtomicUsize; 2]>);

impl Meter {
    const SECTORS: usize = 2 * 256;
    /// Calls to find a sector and to move it. SCAN compares a sector in pieces.
    const CALLS_PER_SECTOR: usize = 5;
    const BYTES_PER_CALL: usize = 24;

    fn start(&self) {
        self.0.iter().for_each(|count| count.store(0, Relaxed));
    }

    /// Counts a call of the medium or the DMA channel, and the bytes that it moved.
    fn count(&self, moved: usize) {
        let [calls, bytes] = &*self.0;
        let (calls, bytes) = (calls.fetch_add(1, Relaxed) + 1, bytes.fetch_add(moved, Relaxed) + moved);
        assert!(bytes <= Self::SECTORS * 16_384, "an access moved {bytes} bytes");
        let allowed = Self::SECTORS * Self::CALLS_PER_SECTOR + bytes / Self::BYTES_PER_CALL;
        assert!(calls <= allowed, "an access called the medium and the DMA channel {calls} times");
    }
}

/// A medium that counts its calls.
struct Metered {
    medium: Box<dyn Medium>,
    meter: Meter,
}

impl Medium for Metered {
    fn form_factor(&self) -> FormFactor {
        self.medium.form_factor()
    }

    fn cylinders(&self) -> u8 {
        self.medium.cylinders()
    }

    fn is_write_protected(&self) -> bool {
        self.medium.is_write_protected()
    }

    fn track(&self, cylinder: u8, head: u8) -> Option<Track<'_>> {
        self.meter.count(0);
        self.medium.track(cylinder, head)
    }

    fn read(&mut self, cylinder: u8, head: u8, slot: usize, count: usize) -> Result<&[u8], MediumError> {
        self.meter.count(0);
        self.medium.read(cylinder, head, slot, count)
    }

    fn write(
        &mut self,
        cylinder: u8,
        head: u8,
        slot: usize,
        count: usize,
        mark: Mark,
    ) -> Result<&mut [u8], MediumError> {
        self.meter.count(0);
        assert!(!self.medium.is_write_protected(), "a protected disk is not written");
        self.medium.write(cylinder, head, slot, count, mark)
    }

    fn finish_write(&mut self, cylinder: u8, head: u8, slot: usize, count: usize, mark: Mark) {
        self.meter.count(0);
        self.medium.finish_write(cylinder, head, slot, count, mark);
    }

    fn format_track(&mut self, cylinder: u8, head: u8, format: &TrackFormat<'_>) -> Result<(), MediumError> {
        self.meter.count(0);
        assert!(!self.medium.is_write_protected(), "a protected disk is not formatted");
        self.medium.format_track(cylinder, head, format)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.medium.flush()
    }
}

/// The memory that the DMA channel may write, according to its registers.
#[derive(Clone, Copy, Default)]
struct Window {
    open: bool,
    page: u8,
    address: u16,
    count: u16,
    descending: bool,
}

impl Window {
    fn holds(&self, address: u64) -> bool {
        let [low, high] = [address as u16, self.address];
        let distance = if self.descending { high.wrapping_sub(low) } else { low.wrapping_sub(high) };
        self.open && address >> 16 == u64::from(self.page) && distance <= self.count
    }
}

/// 64 KiB of memory that repeat in every page. Writes outside of the window are an error.
#[derive(Clone)]
struct Memory(Rc<RefCell<(Window, Vec<u8>)>>);

impl GuestMemory for Memory {
    fn write(&mut self, address: u64, data: &[u8]) {
        let (window, bytes) = &mut *self.0.borrow_mut();
        let last = address + data.len() as u64 - 1;
        assert!(window.holds(address) && window.holds(last), "{address:#x} to {last:#x} are outside of the window");
        bytes.as_mut_slice().write(address & 0xFFFF, data);
    }

    fn read(&mut self, address: u64, data: &mut [u8]) {
        self.0.borrow_mut().1.as_mut_slice().read(address & 0xFFFF, data);
    }
}

/// The DMA controllers, with counts of the work of their channel.
struct MeteredDma {
    at: AtDma<Memory>,
    /// The mode of channel 2, which cannot be read from the controllers.
    mode: u8,
    endless: bool,
    request: bool,
    meter: Meter,
}

impl MeteredDma {
    fn write_port(&mut self, port: u16, value: u8) {
        if port == 0x0B && value & 0b11 == 2 {
            self.mode = value;
        }
        self.at.write_port(port, value);
    }

    /// Returns the window of the registers, without a change of the flip-flop.
    fn window(&self) -> Window {
        let mut registers = self.at.clone();
        registers.write_port(0x0C, 0);
        let [low, high, count_low, count_high, page, mask] =
            [0x04, 0x04, 0x05, 0x05, 0x81, 0x0F].map(|port| registers.read_port(port).unwrap_or(0xFF));
        Window {
            open: mask & 0x04 == 0 && self.mode & 0x0C == 0x04,
            page,
            address: u16::from_le_bytes([low, high]),
            count: u16::from_le_bytes([count_low, count_high]),
            descending: self.mode & 0x20 != 0,
        }
    }

    fn watch(&mut self, transfer: impl FnOnce(&mut AtDma<Memory>) -> Moved) -> Moved {
        self.at.memory().0.borrow_mut().0 = self.window();
        let moved = transfer(&mut self.at);
        self.meter.count(moved.bytes);
        Moved { terminal_count: moved.terminal_count && !self.endless, ..moved }
    }
}

/// Prints only the state that the guest can change.
impl fmt::Debug for MeteredDma {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.at.fmt(f)
    }
}

impl DmaChannel for MeteredDma {
    fn device_to_memory(&mut self, data: &[u8]) -> Moved {
        self.watch(|at| at.device_to_memory(data))
    }

    fn memory_to_device(&mut self, data: &mut [u8]) -> Moved {
        self.watch(|at| at.memory_to_device(data))
    }

    fn set_request(&mut self, asserted: bool) {
        self.request = asserted;
        self.at.set_request(asserted);
    }
}

// The machine

/// A revolution of the disk. After it, no command waits for its DMA channel.
const REVOLUTION: Duration = Duration::from_millis(200);

/// The time after a reset in which the chip polls the drives (§6.2).
const POLLED: Duration = Duration::from_micros(250);

/// More than the duration of any command: two tracks of 256 sectors, with a revolution for each sector.
const LONGEST: Duration = Duration::from_secs(120);
const MOST_EVENTS: usize = 100_000;

/// RQM and DIO: the controller accepts a byte, or has one.
const DIRECTION: u8 = 0xC0;
/// The MSR without the busy bits of the drives.
const PHASE: u8 = 0xF0;
const IDLE: u8 = 0x80;
const COMMAND: u8 = 0x90;
const DMA_EXECUTION: u8 = 0x10;
const RESULT: u8 = 0xD0;
/// All values of these bits in the phases of §2.1.
const PHASES: [u8; 9] = [0x00, IDLE, COMMAND, DMA_EXECUTION, 0xF0, 0x70, 0xB0, 0x30, RESULT];

struct Machine {
    fdc: Controller<Irq, MeteredDma>,
    meter: Meter,
    mode: InterfaceMode,
    timing: Timing,
    /// Without a rotating disk, a command hangs.
    hangs: bool,
    /// The DSR powered the controller down, and no reset followed.
    powered_down: bool,
    /// The last phase, and the number of bytes that moved since it began.
    phase: u8,
    bytes: usize,
    /// A digest of the state of the controller; `None` after a change.
    state: Option<u64>,
    /// The visible state after each access, and the whole state after each step.
    trace: Vec<u64>,
}

impl Machine {
    /// Runs a program, and checks each of its accesses.
    fn run(setup: &Setup, program: &Program) -> Vec<u64> {
        let mut machine = Self::new(setup);
        machine.step(&Step::Select(0));
        if let Some(disk) = &setup.disk {
            machine.step(&Step::Attach(0, disk.clone()));
        }
        program.steps.iter().for_each(|step| machine.step(step));
        machine.run_down();
        machine.reset(program.end);
        machine.trace.push(digest(&machine.fdc.dma().at.memory().0.borrow().1));
        machine.trace
    }

    fn new(setup: &Setup) -> Self {
        let Setup { mode, timing, .. } = *setup;
        let meter = Meter::default();
        let memory = Memory(Rc::new(RefCell::new((Window::default(), vec![0xA5; 0x1_0000]))));
        let (at, endless, request) = (AtDma::new(memory), setup.endless_dma, false);
        let dma = MeteredDma { at, mode: 0, endless, request, meter: meter.clone() };
        let builder = Controller::builder().interface(mode).timing(timing).empty_drive(setup.empty_drive);
        let builder = (0..).zip(&setup.drives).fold(builder, |builder, (number, drive_type)| match drive_type {
            Some(drive_type) => builder.drive(number, *drive_type),
            None => builder,
        });
        let fdc =
            builder.scan_commands(setup.scan).interrupt(Irq::default()).dma(dma).build().expect("four drives fit");
        let hangs = setup.empty_drive == EmptyDrive::Hang;
        Self {
            fdc,
            meter,
            mode,
            timing,
            hangs,
            powered_down: false,
            phase: 0,
            bytes: 0,
            state: None,
            trace: Vec::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Read(register) => _ = self.read(*register),
            Step::Write(register, value) => self.write(*register, *value),
            Step::Select(number) => {
                self.write(WriteRegister::DigitalOutput, 0x10 << number | 0x0C | number);
                if let Ok(drive) = self.fdc.drive(*number) {
                    self.write(WriteRegister::ConfigurationControl, rate_of(drive.drive_type()) as u8);
                }
            }
            Step::Command(bytes) => _ = self.command(bytes),
            Step::Move(bytes) => self.move_bytes(*bytes),
            Step::ReadDma(port) => _ = self.fdc.dma_mut().at.read_port(*port),
            Step::WriteDma(port, value) => self.write_dma(*port, *value),
            Step::ProgramDma { mode, address, count } => self.program_dma(*mode, *address, *count),
            Step::Advance(elapsed) => self.advance(*elapsed),
            Step::Attach(number, disk) => {
                // Both can fail: without a disk, or if the form factor of the disk does not fit.
                if let Ok(drive) = self.fdc.drive(*number) {
                    let (medium, meter) = (disk.medium(drive.drive_type()), self.meter.clone());
                    _ = drive.release_image();
                    _ = drive.attach_medium(Metered { medium, meter });
                }
            }
            Step::Release(number) => _ = self.fdc.drive(*number).map(|drive| drive.release_image()),
            Step::Reset(reset) => self.reset(*reset),
        }
        // A command may have waited for this disk.
        self.meter.start();
        self.fdc.service_dma();
        self.check();
        let state = self.state();
        self.trace.push(state);
    }

    fn status(&mut self) -> u8 {
        self.fdc.read(ReadRegister::MainStatus)
    }

    fn read(&mut self, register: ReadRegister) -> u8 {
        let (status, before) = (self.status(), self.state());
        self.meter.start();
        let value = self.fdc.read(register);
        self.check();
        match register {
            ReadRegister::Fifo if status & DIRECTION == HAS_BYTE => self.assert_a_byte_moved(status, before),
            // A read of DIR clears the flip-flops of Model 30.
            ReadRegister::DigitalInput => {}
            _ => assert_eq!(self.state(), before, "a read of {register:?} changes nothing, MSR {status:#04x}"),
        }
        self.trace.push(value.into());
        value
    }

    fn write(&mut self, register: WriteRegister, value: u8) {
        let (status, before) = (self.status(), if register == WriteRegister::Fifo { self.state() } else { 0 });
        let running = self.fdc.read(ReadRegister::DigitalOutput) & 0x04 != 0;
        self.powered_down = match register {
            WriteRegister::DigitalOutput => self.powered_down && running && value & 0x04 != 0,
            WriteRegister::DataRateSelect if running && value & 0x80 != 0 => false,
            WriteRegister::DataRateSelect => self.powered_down || running && value & 0x40 != 0,
            _ => self.powered_down,
        };
        self.meter.start();
        self.fdc.write(register, value);
        self.check();
        match register {
            WriteRegister::Fifo if status & DIRECTION == WANTS_BYTE => self.assert_a_byte_moved(status, before),
            WriteRegister::Fifo => assert_eq!(self.state(), before, "a write is ignored, MSR {status:#04x}"),
            _ => {}
        }
    }

    /// Checks that a byte moved, as the MSR allowed (§12.6).
    fn assert_a_byte_moved(&mut self, before: u8, state: u64) {
        let after = self.status();
        assert_ne!(self.state(), state, "a byte moves, MSR {before:#04x}");
        let (next, most): (&[u8], usize) = match before & PHASE {
            IDLE => (&[COMMAND, RESULT], 0),
            COMMAND => (&PHASES[1..], 7),
            RESULT => (&[RESULT, IDLE], 9),
            _ => (&PHASES[1..], usize::MAX),
        };
        assert!(next.contains(&(after & PHASE)), "MSR {after:#04x} after {before:#04x}");
        // The byte that ends a phase is not counted.
        self.bytes += usize::from(before & PHASE == after & PHASE);
        assert!(self.bytes <= most, "{} bytes without an end, MSR {before:#04x}", self.bytes);
    }

    /// Checks the invariants that hold after each access.
    fn check(&mut self) {
        let (status, outputs) = (self.status(), self.fdc.read(ReadRegister::DigitalOutput));
        let running = outputs & 0x04 != 0;
        assert!(PHASES.contains(&(status & PHASE)), "MSR {status:#04x}");
        assert_eq!(status == 0, !running || self.powered_down, "MSR {status:#04x}, DOR {outputs:#04x}");
        assert!(status == 0 || status & PHASE != 0, "MSR {status:#04x}");
        let driven = running && (self.mode == InterfaceMode::Ps2 || outputs & 0x08 != 0);
        let interrupt = self.fdc.interrupt().is_high();
        assert_eq!(self.fdc.interrupt_level(), interrupt);
        assert!(driven || !interrupt, "INT is high, DOR {outputs:#04x}");
        let request = self.fdc.dma().request;
        assert!(!request || driven && status & PHASE == DMA_EXECUTION, "DRQ, DOR {outputs:#04x}, MSR {status:#04x}");
        self.trace.push(u64::from_le_bytes([status, outputs, interrupt.into(), request.into(), 0, 0, 0, 0]));
        if self.phase != status & PHASE {
            (self.phase, self.bytes) = (status & PHASE, 0);
        }
        self.state = None;
    }

    /// Returns a digest of the whole state of the controller and its drives, as `Debug` prints it.
    fn state(&mut self) -> u64 {
        *self.state.get_or_insert_with(|| digest(format!("{:?}", self.fdc)))
    }

    /// Fetches the rest of the last result, and performs a command. Returns its result, if there is one.
    fn command(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.result();
        bytes.iter().for_each(|&byte| self.write(WriteRegister::Fifo, byte));
        self.result()
    }

    fn result(&mut self) -> Vec<u8> {
        let mut result = Vec::new();
        while self.status() & PHASE == RESULT {
            result.push(self.read(ReadRegister::Fifo));
        }
        result
    }

    fn move_bytes(&mut self, bytes: usize) {
        for n in 0..bytes {
            match self.status() & DIRECTION {
                HAS_BYTE => _ = self.read(ReadRegister::Fifo),
                WANTS_BYTE => self.write(WriteRegister::Fifo, n as u8),
                _ => return,
            }
        }
    }

    fn write_dma(&mut self, port: u16, value: u8) {
        self.meter.start();
        self.fdc.dma_mut().write_port(port, value);
        self.fdc.service_dma();
        self.check();
    }

    fn program_dma(&mut self, mode: u8, address: u32, count: u16) {
        let ([low, high, page, _], [count_low, count_high]) = (address.to_le_bytes(), count.to_le_bytes());
        for (port, value) in [
            (0x0A, 0x06),
            (0x0C, 0x00),
            (0x0B, mode),
            (0x04, low),
            (0x04, high),
            (0x81, page),
            (0x05, count_low),
            (0x05, count_high),
            (0x0A, 0x02),
        ] {
            self.write_dma(port, value);
        }
    }

    /// Advances the time from event to event. Each event has the limits of an access.
    fn advance(&mut self, elapsed: Duration) {
        let (mut left, mut events) = (elapsed.min(LONGEST), 0);
        while let Some(next) = self.fdc.next_event().filter(|&next| next <= left) {
            left -= next;
            events += 1;
            self.advance_once(next);
            assert!(events < MOST_EVENTS, "{events} events, and {left:?} are left of {elapsed:?}");
        }
        self.advance_once(left);
        let waits = self.timing == Timing::Immediate && elapsed >= REVOLUTION && self.fdc.next_event().is_some();
        assert!(!waits, "a command still waits for its DMA channel");
    }

    fn advance_once(&mut self, elapsed: Duration) {
        self.meter.start();
        self.fdc.advance(elapsed);
        self.check();
    }

    /// Checks that each command ends in time without service (§12). Then the chip waits for the guest, or for a disk if
    /// that is configured.
    fn run_down(&mut self) {
        self.advance(LONGEST);
        assert_eq!(self.fdc.next_event(), None);
        let status = self.status();
        assert!(self.hangs || status == 0 || status & 0x80 != 0, "MSR {status:#04x}");
    }

    /// Performs a reset in any state. Then the controller is ready, and polling reports four drives (§1.11, §6.2).
    fn reset(&mut self, reset: Reset) {
        match reset {
            Reset::Hardware => {
                self.powered_down = false;
                self.fdc.reset();
                self.check();
                self.write(WriteRegister::DigitalOutput, 0x0C);
            }
            Reset::DigitalOutput => {
                self.write(WriteRegister::DigitalOutput, 0x00);
                self.write(WriteRegister::DigitalOutput, 0x0C);
            }
            Reset::DataRateSelect => {
                self.write(WriteRegister::DigitalOutput, 0x0C);
                self.write(WriteRegister::DataRateSelect, 0x80);
            }
        }
        if self.timing == Timing::Authentic {
            self.advance(POLLED);
        }
        assert_eq!((self.status(), self.fdc.interrupt().is_high()), (0x80, true), "{reset:?}");
        for drive in 0..4 {
            assert_eq!(self.command(&[0x08]), [0xC0 | drive, 0x00], "{reset:?}");
        }
        assert_eq!(self.command(&[0x08]), [0x80], "{reset:?}");
    }
}

fn digest(value: impl Hash) -> u64 {
    BuildHasherDefault::<DefaultHasher>::new().hash_one(value)
}
