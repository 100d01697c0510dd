//! The instructions of single operations, counted by callgrind, and their budgets.
//!
//! `cargo bench --bench instructions` compares the counts with those in `benches/instructions.txt`. It fails when one is more than
//! 2 % above its budget. `cargo bench --bench instructions -- --renew` writes the counts of this build there. Without valgrind it
//! says so and succeeds.
//!
//! The drivers poll the MSR before each byte, as a BIOS does. The DMA channel only copies. Each count is the difference between
//! two runs, so that it has nothing of the start.

use std::{collections::BTreeMap, env, fmt::Write, fs, hint::black_box, path::Path, process::Command};

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

/// By how much a count may be above its budget.
const TOLERANCE: f64 = 1.02;

const IMAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/dos-1440k.img");
const BUDGETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.txt");

const TRACK: usize = 18 * 512;

/// A DMA controller that the VM monitor programs directly.
struct OwnDma {
    memory: Vec<u8>,
    address: usize,
    count: usize,
}

impl OwnDma {
    fn moved(&mut self, bytes: usize) -> Moved {
        self.address += bytes;
        self.count -= bytes;
        Moved { bytes, terminal_count: self.count == 0 }
    }
}

impl DmaChannel for OwnDma {
    fn device_to_memory(&mut self, data: &[u8]) -> Moved {
        let bytes = data.len().min(self.count);
        self.memory[self.address..][..bytes].copy_from_slice(&data[..bytes]);
        self.moved(bytes)
    }

    fn memory_to_device(&mut self, data: &mut [u8]) -> Moved {
        let bytes = data.len().min(self.count);
        data[..bytes].copy_from_slice(&self.memory[self.address..][..bytes]);
        self.moved(bytes)
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
    (fdc.dma_mut().address, fdc.dma_mut().count) = (0, bytes);
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
    let dma = OwnDma { memory: vec![1; 1 << 17], address: 0, count: 0 };
    let builder = Controller::builder().drive(0, DriveType::Inch3_5Hd).interrupt(Line(0)).dma(dma);
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
    let mut fdc = controller(operation);
    let mut data = vec![0; TRACK];
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

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    if let [flag, operation, times] = &arguments[..]
        && flag == "--perform"
    {
        return perform(operation, times.parse().expect("a number"));
    }
    let Ok(budgets) = fs::read_to_string(BUDGETS) else { panic!("cannot read {BUDGETS}") };
    let budgets: BTreeMap<_, u64> = budgets
        .lines()
        .filter_map(|line| line.trim().split_once("  ").map(|(count, name)| (name.trim(), count)))
        .filter_map(|(name, count)| Some((name, count.parse().ok()?)))
        .collect();
    let (mut table, mut exceeded) = (String::new(), false);
    for (operation, times) in OPERATIONS {
        let (Some(less), Some(more)) = (count(operation, times), count(operation, 2 * times)) else {
            println!("no valgrind: the instructions are not counted");
            return;
        };
        let instructions = more.saturating_sub(less).div_ceil(times as u64);
        writeln!(table, "{instructions:8}  {operation}").expect("a string takes all");
        let budget = budgets.get(operation).copied();
        let over = budget.is_none_or(|budget| instructions as f64 > budget as f64 * TOLERANCE);
        exceeded |= over;
        let budget = budget.map_or_else(|| "none".to_owned(), |budget| budget.to_string());
        println!("{instructions:8}  {operation:44} budget {budget:>8}{}", if over { "  EXCEEDED" } else { "" });
    }
    if arguments.iter().any(|argument| argument == "--renew") {
        fs::write(Path::new(BUDGETS), table).expect("the budgets are written");
    } else if exceeded {
        eprintln!(
            "more instructions than the budget allows; if this is meant, renew it: cargo bench --bench instructions -- --renew"
        );
        std::process::exit(1);
    }
}
