//! Records the accesses of a guest to the controller in a text file, and replays them: the same accesses and times give
//! the same results, bit for bit.
//!
//! ```text
//! cargo run --example replay                     records to a temporary file and replays it
//! cargo run --example replay -- record FILE      records to FILE
//! cargo run --example replay -- replay FILE      replays FILE and reports the first difference
//! ```
//!
//! A line is an action of the guest (`out PORT VALUE`, `in PORT = VALUE`, `pass NANOSECONDS`) or an effect that it
//! observes (`int up`, `int down`, `memory HASH`). A line that begins with `#` is a comment. Numbers are hexadecimal,
//! times are decimal.

use std::{
    env,
    error::Error,
    fmt::{self, Write},
    fs,
    path::Path,
    process::ExitCode,
    str::FromStr,
    time::Duration,
};

use vm_fdc::{
    Controller, NoInterrupt, Timing,
    dma::AtDma,
    drive::DriveType,
    media::{Geometry, SectorDisk},
};

const MEMORY: usize = 0x1_0000;

/// An action of the guest.
#[derive(Clone, Copy, Debug)]
enum Action {
    Out(u16, u8),
    In(u16),
    Pass(Duration),
}

impl FromStr for Action {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let hex = |word: &str| u16::from_str_radix(word, 16).map_err(|error| format!("{word}: {error}"));
        match words[..] {
            ["out", port, value] => {
                let value = u8::from_str_radix(value, 16).map_err(|error| format!("{value}: {error}"))?;
                Ok(Self::Out(hex(port)?, value))
            }
            ["in", port, "=", _] => Ok(Self::In(hex(port)?)),
            ["pass", nanoseconds] => {
                let nanoseconds = nanoseconds.parse().map_err(|error| format!("{nanoseconds}: {error}"))?;
                Ok(Self::Pass(Duration::from_nanos(nanoseconds)))
            }
            _ => Err("the line is no action of a guest".to_owned()),
        }
    }
}

/// A PC with a 1.44M drive and authentic timing. All sectors of its disk differ.
struct Machine {
    fdc: Controller<NoInterrupt, AtDma<Vec<u8>>>,
    interrupt: bool,
    memory: u64,
}

impl Machine {
    fn new() -> Result<Self, Box<dyn Error>> {
        let fdc = Controller::builder()
            .drive(0, DriveType::Inch3_5Hd)
            .timing(Timing::Authentic)
            .dma(AtDma::new(vec![0; MEMORY]))
            .build()?;
        let geometry = Geometry::HD_1440K;
        let bytes: Vec<u8> = (0..geometry.bytes()).map(|n| (n % 251) as u8 ^ (n / 512) as u8).collect();
        fdc.drive(0)?.attach_medium(SectorDisk::from_raw(geometry, &bytes)?)?;
        let mut machine = Self { fdc, interrupt: false, memory: 0 };
        machine.memory = machine.hash();
        Ok(machine)
    }

    /// Returns the FNV-1a hash of guest memory.
    fn hash(&self) -> u64 {
        let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        self.fdc.dma().memory().iter().fold(0xCBF2_9CE4_8422_2325, step)
    }

    /// Performs an action. Returns the value that the guest reads, and the lines of the action and its effects.
    fn perform(&mut self, action: Action) -> (u8, Vec<String>) {
        let mut value = 0xFF;
        let mut lines = vec![match action {
            Action::Out(port, value) => {
                if !self.fdc.write_port(port, value) && self.fdc.dma_mut().write_port(port, value) {
                    self.fdc.service_dma();
                }
                format!("out {port:03x} {value:02x}")
            }
            Action::In(port) => {
                let read = self.fdc.read_port(port).or_else(|| self.fdc.dma_mut().read_port(port));
                value = read.unwrap_or(value);
                format!("in {port:03x} = {value:02x}")
            }
            Action::Pass(time) => {
                self.fdc.advance(time);
                format!("pass {}", time.as_nanos())
            }
        }];
        if self.fdc.interrupt_level() != self.interrupt {
            self.interrupt = !self.interrupt;
            lines.push(format!("int {}", if self.interrupt { "up" } else { "down" }));
        }
        let memory = self.hash();
        if memory != self.memory {
            self.memory = memory;
            lines.push(format!("memory {memory:016x}"));
        }
        (value, lines)
    }
}

/// A guest that reads two sectors as a BIOS does, and records all accesses.
struct Recorder {
    machine: Machine,
    text: String,
}

impl Recorder {
    fn act(&mut self, action: Action) -> u8 {
        let (value, lines) = self.machine.perform(action);
        lines.iter().for_each(|line| writeln!(self.text, "{line}").expect("a string takes all"));
        value
    }

    fn comment(&mut self, comment: &str) {
        writeln!(self.text, "# {comment}").expect("a string takes all");
    }

    fn out(&mut self, port: u16, value: u8) {
        self.act(Action::Out(port, value));
    }

    /// Polls the MSR until RQM and DIO are `status`: 0x80 to write a byte, 0xC0 to read one.
    fn wait(&mut self, status: u8) {
        while self.act(Action::In(0x3F4)) & 0xC0 != status {
            self.act(Action::Pass(Duration::from_micros(100)));
        }
    }

    fn wait_for_interrupt(&mut self) {
        while !self.machine.interrupt {
            self.act(Action::Pass(Duration::from_millis(1)));
        }
    }

    fn command(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.wait(0x80);
            self.out(0x3F5, byte);
        }
    }

    fn result(&mut self, length: usize) {
        for _ in 0..length {
            self.wait(0xC0);
            self.act(Action::In(0x3F5));
        }
    }

    /// Runs the guest and returns the recording.
    fn run(mut self) -> String {
        self.comment("reset, motor 0 on, 500 kb/s");
        self.out(0x3F2, 0x1C);
        self.out(0x3F7, 0x00);
        self.wait_for_interrupt();
        for _ in 0..4 {
            self.command(&[0x08]);
            self.result(2);
        }
        self.comment("SPECIFY, RECALIBRATE, SEEK");
        self.command(&[0x03, 0xDF, 0x02]);
        for seek in [&[0x07, 0x00][..], &[0x0F, 0x00, 0x05]] {
            self.command(seek);
            self.wait_for_interrupt();
            self.command(&[0x08]);
            self.result(2);
        }
        self.comment("READ DATA of two sectors to memory at 0x1000");
        for (port, value) in
            [(0x0A, 6), (0x0C, 0), (0x0B, 0x46), (0x04, 0), (0x04, 0x10), (0x81, 0), (0x05, 0xFF), (0x05, 3)]
        {
            self.out(port, value);
        }
        self.out(0x0A, 0x02);
        self.command(&[0x46, 0x00, 0x05, 0x00, 0x01, 0x02, 0x12, 0x1B, 0xFF]);
        self.wait_for_interrupt();
        self.result(7);
        self.text
    }
}

/// A difference between a replay and its file.
#[derive(Debug)]
struct Difference {
    /// Line number, from 1.
    line: usize,
    recorded: String,
    replayed: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: recorded \"{}\", replayed \"{}\"", self.line, self.recorded, self.replayed)
    }
}

/// Replays the actions in `text`. Returns the number of equal lines, and the first difference.
fn replay(text: &str) -> Result<(usize, Option<Difference>), Box<dyn Error>> {
    let mut machine = Machine::new()?;
    let recorded = text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let mut recorded = recorded.map(|(number, line)| (number + 1, line)).peekable();
    let mut lines = 0;
    while let Some(&(number, line)) = recorded.peek() {
        let action = line.parse().map_err(|error| format!("line {number}: {error}"))?;
        for replayed in machine.perform(action).1 {
            let (line, recorded) = recorded.next().unwrap_or((number + 1, "the end"));
            if recorded != replayed {
                return Ok((lines, Some(Difference { line, recorded: recorded.to_owned(), replayed })));
            }
            lines += 1;
        }
        // The file can have an effect that the replay does not have.
        if let Some(&(line, recorded)) =
            recorded.peek().filter(|(_, line)| line.starts_with("int ") || line.starts_with("memory "))
        {
            let replayed = "nothing".to_owned();
            return Ok((lines, Some(Difference { line, recorded: recorded.to_owned(), replayed })));
        }
    }
    Ok((lines, None))
}

fn record_in(file: &Path) -> Result<(), Box<dyn Error>> {
    let text = Recorder { machine: Machine::new()?, text: String::new() }.run();
    fs::write(file, &text).map_err(|error| format!("{}: {error}", file.display()))?;
    println!("{} lines recorded in {}", text.lines().count(), file.display());
    Ok(())
}

/// Replays a file. Returns `true` if there is no difference.
fn replay_from(file: &Path) -> Result<bool, Box<dyn Error>> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let (lines, difference) = replay(&text)?;
    match &difference {
        None => println!("{lines} lines replayed, all the same"),
        Some(difference) => println!("the same up to {difference}"),
    }
    Ok(difference.is_none())
}

fn run() -> Result<bool, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            let file = tempfile::NamedTempFile::new()?;
            record_in(file.path())?;
            replay_from(file.path())
        }
        ["record", file] => record_in(file.as_ref()).map(|()| true),
        ["replay", file] => replay_from(file.as_ref()),
        _ => Err("usage: replay [record FILE | replay FILE]".into()),
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("replay: {error}");
            ExitCode::FAILURE
        }
    }
}
