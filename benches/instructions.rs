//! The instructions of single operations, counted by callgrind, and their budgets.
//!
//! `cargo bench --bench instructions` compares the counts with those in `benches/instructions.txt`. It fails when one is more than
//! 2 % above its budget. `cargo bench --bench instructions -- --renew` writes the counts of this build there. Without valgrind it
//! says so and succeeds. Budgets of another compiler are shown, and not enforced.
//!
//! The drivers poll the MSR before each byte, as a BIOS does. Each count is the difference between two runs, so that it has nothing
//! of the start. Copies of data are not counted, because their instructions depend on the processor: the DMA channel copies
//! nothing, and the copies of strings are subtracted.

use std::{collections::BTreeMap, env, fmt::Write, fs, hint::black_box, process::Command};

use vm_fdc::{
    Controller, Interrupt,
    dma::{DmaChannel, Moved},
    drive::{DriveType, FloppyDrive},
    media::{Access, Geometry, SectorDisk},
    pc::{PcFloppy, Wiring},
};

/// What is counted, and how often it is performed in the shorter run.
const OPERATIONS: [(&str, usize); 16] = [
    ("read a sector", 200),
    ("write a sector", 200),
    ("read a cylinder", 50),
    ("write a cylinder", 50),
    ("read a sector of a SectorDisk", 200),
    ("write a sector of a SectorDisk", 200),
    ("read a cylinder of a SectorDisk", 50),
    ("read the MSR", 2000),
    ("SEEK and SENSE INTERRUPT STATUS", 200),
    ("SENSE DRIVE STATUS", 200),
    ("read a track by bytes, without DMA", 4),
    ("write a track by bytes, without DMA", 4),
    ("read a track by bytes, without DMA and FIFO", 4),
    ("read a track by strings, without DMA", 20),
    ("write a track by strings, without DMA", 20),
    ("read the MSR of a PcFloppy", 2000),
];

/// What is subtracted from the operations by strings: a copy of a track, by sectors.
const COPY: &str = "copy a track";

/// By how much a count may be above its budget, besides one instruction.
const TOLERANCE: f64 = 1.02;

const IMAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/dos-1440k.img");
const BUDGETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.txt");

const TRACK: usize = 18 * 512;

/// A DMA channel that counts bytes, and leaves them where they are.
struct OwnDma {
    count: usize,
}

impl OwnDma {
    fn moved(&mut self, offered: usize) -> Moved {
        let bytes = offered.min(self.count);
        self.count -= bytes;
        Moved { bytes, terminal_count: self.count == 0 }
    }
}

impl DmaChannel for OwnDma {
    fn device_to_memory(&mut self, data: &[u8]) -> Moved {
        self.moved(black_box(data).len())
    }

    fn memory_to_device(&mut self, data: &mut [u8]) -> Moved {
        self.moved(black_box(data).len())
    }
}

/// An interrupt line that counts its edges.
struct Line(u32);

impl Interrupt for Line {
    fn set_level(&mut self, level: bool) {
        self.0 += u32::from(level);
    }
}

type Fdc = Controller<Line, OwnDma>;

#[inline(never)]
fn write_port(fdc: &mut Fdc, port: u16, value: u8) {
    fdc.write_port(port, value);
}

#[inline(never)]
fn read_port(fdc: &mut Fdc, port: u16) -> u8 {
    fdc.read_port(port).unwrap_or(0xFF)
}

fn wait(fdc: &mut Fdc, status: u8) {
    while read_port(fdc, 0x3F4) & 0xF0 != status {}
}

fn command(fdc: &mut Fdc, bytes: &[u8]) {
    for &byte in bytes {
        while read_port(fdc, 0x3F4) & 0xC0 != 0x80 {}
        write_port(fdc, 0x3F5, byte);
    }
}

fn result(fdc: &mut Fdc) -> [u8; 8] {
    let mut bytes = [0; 8];
    let mut number = 0;
    loop {
        match read_port(fdc, 0x3F4) {
            status if status & 0x10 == 0 => return bytes,
            status if status & 0xD0 == 0xD0 => bytes[number & 7] = read_port(fdc, 0x3F5),
            _ => continue,
        }
        number += 1;
    }
}

/// Starts a transfer of `bytes` bytes by DMA from sector 1 of cylinder 5 on.
fn transfer(fdc: &mut Fdc, opcode: u8, head: u8, bytes: usize) {
    fdc.dma_mut().count = bytes;
    command(fdc, &[opcode, head << 2, 5, head, 1, 2, 18, 0x1B, 0xFF]);
}

fn attach(drive: &FloppyDrive, operation: &str) {
    if operation.ends_with("SectorDisk") {
        drive.attach_medium(SectorDisk::formatted(Geometry::HD_1440K, 0xF6)).expect("the disk attaches");
    } else {
        drive.attach_image(IMAGE, Access::Private).expect("the image attaches");
    }
}

/// Returns a controller in operation, with a disk in drive 0 and the head at cylinder 5.
fn controller(operation: &str) -> Fdc {
    let builder = Controller::builder().drive(0, DriveType::Inch3_5Hd).interrupt(Line(0)).dma(OwnDma { count: 0 });
    let mut fdc = builder.build().expect("a controller");
    attach(&fdc.drive(0).expect("drive 0"), operation);
    write_port(&mut fdc, 0x3F2, 0x1C);
    write_port(&mut fdc, 0x3F7, 0);
    for _ in 0..4 {
        command(&mut fdc, &[0x08]);
        result(&mut fdc);
    }
    // Implied seeks, and the FIFO with a threshold of 8 or off.
    let configure = if operation.ends_with("FIFO") { 0x60 } else { 0x47 };
    command(&mut fdc, &[0x13, 0, configure, 0]);
    command(&mut fdc, &[0x03, 0xAF, 0x02 | u8::from(operation.contains("without DMA"))]);
    command(&mut fdc, &[0x0F, 0, 5]);
    command(&mut fdc, &[0x08]);
    result(&mut fdc);
    fdc
}

fn perform(operation: &str, times: usize) {
    if operation == "read the MSR of a PcFloppy" {
        let builder = Controller::builder().drive(0, DriveType::Inch3_5Hd).interrupt(Line(0));
        let mut floppy = PcFloppy::new(builder, vec![0u8; 4096], Wiring::default()).expect("a floppy controller");
        let mut status = [0];
        (0..times).for_each(|_| _ = black_box(floppy.read(black_box(0x3F4), &mut status)));
        return;
    }
    let mut data = vec![0; TRACK];
    if operation == COPY {
        let source = vec![0; TRACK];
        let sectors =
            |_| data.chunks_mut(512).zip(source.chunks(512)).for_each(|(to, from)| to.copy_from_slice(black_box(from)));
        return (0..times).for_each(sectors);
    }
    let mut fdc = controller(operation);
    for time in 0..times {
        match operation {
            "read a sector" | "read a sector of a SectorDisk" => transfer(&mut fdc, 0x46, 0, 512),
            "write a sector" | "write a sector of a SectorDisk" => transfer(&mut fdc, 0x45, 0, 512),
            "read a cylinder" | "read a cylinder of a SectorDisk" => transfer(&mut fdc, 0xC6, 0, 2 * TRACK),
            "write a cylinder" => transfer(&mut fdc, 0xC5, 0, 2 * TRACK),
            "read the MSR" => {
                black_box(read_port(&mut fdc, black_box(0x3F4)));
                continue;
            }
            "SEEK and SENSE INTERRUPT STATUS" => {
                command(&mut fdc, &[0x0F, 0, time as u8 & 1]);
                command(&mut fdc, &[0x08]);
            }
            "SENSE DRIVE STATUS" => command(&mut fdc, &[0x04, 0]),
            "read a track by bytes, without DMA" | "read a track by bytes, without DMA and FIFO" => {
                transfer(&mut fdc, 0x46, 1, 0);
                for byte in &mut data {
                    wait(&mut fdc, 0xF0);
                    *byte = read_port(&mut fdc, 0x3F5);
                }
            }
            "write a track by bytes, without DMA" => {
                transfer(&mut fdc, 0x45, 1, 0);
                for &byte in &data {
                    wait(&mut fdc, 0xB0);
                    write_port(&mut fdc, 0x3F5, byte);
                }
            }
            "read a track by strings, without DMA" => {
                transfer(&mut fdc, 0x46, 1, 0);
                assert_eq!(fdc.read_string(&mut data), TRACK);
            }
            "write a track by strings, without DMA" => {
                transfer(&mut fdc, 0x45, 1, 0);
                assert_eq!(fdc.write_string(&data), TRACK);
            }
            _ => panic!("{operation} is no operation"),
        }
        let [st0, ..] = result(&mut fdc);
        // A transfer without DMA ends at EOT (§4.2).
        assert!(st0 & 0xC0 == 0 || operation.contains("without DMA"), "{operation}: {st0:#04x}");
    }
}

/// Returns the instructions of a run of this program, or `None` without valgrind.
fn count(operation: &str, times: usize) -> Option<u64> {
    let program = env::current_exe().expect("the path of this program");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
    let output = valgrind.args(["--perform", operation, &times.to_string()]).output().ok()?;
    let report = String::from_utf8_lossy(&output.stderr);
    let counted = report.lines().find_map(|line| line.split("Collected : ").nth(1)?.trim().parse().ok());
    assert!(output.status.success() && counted.is_some(), "{operation}: {report}");
    counted
}

/// Returns the instructions of an operation, or `None` without valgrind.
fn instructions(operation: &str, times: usize) -> Option<u64> {
    let (less, more) = (count(operation, times)?, count(operation, 2 * times)?);
    Some(more.saturating_sub(less).div_ceil(times as u64))
}

/// Returns the version of the compiler.
fn compiler() -> String {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output();
    output.map_or_else(|_| String::new(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    if let [flag, operation, times] = &arguments[..]
        && flag == "--perform"
    {
        return perform(operation, times.parse().expect("a number"));
    }
    let Some(copy) = instructions(COPY, 20) else {
        println!("no valgrind: the instructions are not counted");
        return;
    };
    let recorded = fs::read_to_string(BUDGETS).expect("the budgets can be read");
    let compiler = compiler();
    let enforced = recorded.lines().next() == Some(&compiler);
    let budgets: BTreeMap<_, u64> = recorded
        .lines()
        .filter_map(|line| line.trim().split_once("  "))
        .filter_map(|(count, operation)| Some((operation, count.parse().ok()?)))
        .collect();
    let (mut table, mut exceeded) = (format!("{compiler}\n"), false);
    for (operation, times) in OPERATIONS {
        let copied = if operation.contains("strings") { copy } else { 0 };
        let counted = instructions(operation, times).map_or(0, |counted| counted.saturating_sub(copied));
        let budget = budgets.get(operation).copied().unwrap_or(0);
        let over = counted as f64 > budget as f64 * TOLERANCE + 1.0;
        exceeded |= over;
        println!("{counted:8}  {operation:44} budget {budget:>8}{}", if over { "  EXCEEDED" } else { "" });
        writeln!(table, "{counted:8}  {operation}").expect("a string takes all");
    }
    if arguments.iter().any(|argument| argument == "--renew") {
        fs::write(BUDGETS, table).expect("the budgets are written");
    } else if !enforced {
        println!("the budgets are those of another compiler: not enforced");
    } else if exceeded {
        eprintln!(
            "more instructions than a budget allows; if that is meant: cargo bench --bench instructions -- --renew"
        );
        std::process::exit(1);
    }
}
