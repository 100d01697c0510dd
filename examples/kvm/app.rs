//! The command line: the options, the boot disk, and the report of the run.

use std::{
    error::Error,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use kvm_ioctls::Kvm;
use tempfile::NamedTempFile;
use vm_fdc::{
    Timing,
    drive::DriveType,
    media::{Access, Format, ImageOptions, Length},
};

use crate::{
    selftest,
    vmm::{End, Machine},
};

/// Firmware of the Debian package `seabios`.
const BIOS: &str = "/usr/share/seabios/bios.bin";

/// Exit code if the firmware finds no disk to boot from.
const NO_BOOT_DISK: u8 = 3;
/// Exit code if the host lacks something: the code by which test harnesses recognize a skipped test.
const SKIPPED: u8 = 77;

const EXIT_CODES: &str = "\
Exit codes:
   0  The self-test passed, or the guest printed the text of --expect, or it halted without --expect
   1  The guest failed: it halted too early, requested a reset (which ends the run), or reached the time limit;
      or the example failed
   2  The options are wrong
   3  The firmware found no disk to boot from
  77  Skipped: the host has no KVM or no SeaBIOS";

/// Boots SeaBIOS from a floppy image, in a VM monitor on KVM with an emulated 82077AA.
///
/// The guest prints on COM1, and on a text screen, which is shown at the end. A reset of the guest ends the run.
#[derive(Parser)]
#[command(name = "kvm", after_help = EXIT_CODES)]
struct Options {
    /// Image to boot from, which is not changed [default: a disk that tests the drive]
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// With --image: text that the guest must print in a line [default: the guest must halt]
    #[arg(long, value_name = "TEXT", requires = "image")]
    expect: Option<String>,
    /// Firmware: SeaBIOS as built for QEMU
    #[arg(long, value_name = "FILE", default_value = BIOS)]
    bios: PathBuf,
    /// Run the floppy drive with the timing of a real drive
    #[arg(long)]
    authentic: bool,
    /// Print the debug messages of SeaBIOS on standard error
    #[arg(long)]
    verbose: bool,
    /// Seconds after which the guest has failed
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    time_limit: u64,
}

pub fn main() -> ExitCode {
    let options = Options::parse();
    let (kvm, firmware) = match host(&options) {
        Ok(host) => host,
        Err(missing) => {
            eprintln!("kvm: skipped: {missing}");
            return ExitCode::from(SKIPPED);
        }
    };
    match run(&options, &kvm, &firmware) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kvm: {}", one_line(&*error));
            if error.is::<NoBootDisk>() { ExitCode::from(NO_BOOT_DISK) } else { ExitCode::FAILURE }
        }
    }
}

/// The firmware found no disk to boot from.
#[derive(Debug, thiserror::Error)]
#[error("the firmware found no disk to boot from")]
struct NoBootDisk;

/// Opens KVM and reads the firmware. The error says what the host lacks.
fn host(options: &Options) -> Result<(Kvm, Vec<u8>), String> {
    let kvm = Kvm::new().map_err(|error| format!("/dev/kvm: {error}"))?;
    let bios = &options.bios;
    let firmware = fs::read(bios)
        .map_err(|error| format!("{}: {error} (Debian has SeaBIOS in the package seabios)", bios.display()))?;
    Ok((kvm, firmware))
}

fn run(options: &Options, kvm: &Kvm, firmware: &[u8]) -> Result<(), Box<dyn Error>> {
    let disk = Disk::new(options)?;
    let timing = if options.authentic { Timing::Authentic } else { Timing::Immediate };
    let mut machine = Machine::new(kvm, firmware, disk.drive_type, timing, options.verbose)?;
    let drive = machine.floppy().drive()?;
    drive.attach_image(disk.path(), ImageOptions::new(disk.access).with_length(disk.length))?;
    let (name, length) = (disk.path().display(), fs::metadata(disk.path())?.len());
    match drive.layout().map_or(length, |layout| layout.bytes()) {
        bytes if length < bytes => print_line(&format!("{name}: {length} of {bytes} bytes; the rest reads as zeros"))?,
        bytes if length > bytes => print_line(&format!("{name}: {length} bytes; those after {bytes} are ignored"))?,
        _ => {}
    }

    let began = Instant::now();
    let end = machine.run(options.expect.as_deref(), Duration::from_secs(options.time_limit));
    let time = began.elapsed().as_secs_f64();
    drive.release_image()?;

    let (exits, accesses) = (machine.exits(), machine.floppy().accesses());
    let newline = if machine.text().ends_with('\n') { "" } else { "\n" };
    print_line(&format!(
        "{newline}{}{time:.3} s, {exits} exits, {accesses} of them for the floppy drive",
        screen(&machine)
    ))?;
    match (end?, &options.expect) {
        (End::Printed, _) | (End::Halted, None) => {}
        (End::Halted, Some(text)) => return Err(format!("the guest halted before it printed {text:?}").into()),
        (End::NoBootDisk, _) => return Err(NoBootDisk.into()),
        (End::Reset, _) => return Err("the guest requested a reset, which ends the run".into()),
        (End::TimeLimit, _) => return Err(format!("the guest was not done after {} s", options.time_limit).into()),
    }
    if options.image.is_none() {
        check_selftest(machine.text(), disk.path())?;
        print_line("the sector that the guest wrote is in the image, and the others are as they were")?;
    }
    Ok(())
}

/// Returns what is on the screen, as lines. A guest that prints through the firmware leaves it blank.
fn screen(machine: &Machine) -> String {
    let mut rows = machine.screen().rows();
    while rows.last().is_some_and(String::is_empty) {
        rows.pop();
    }
    rows.iter().map(|row| format!("|{row}\n")).collect()
}

/// Prints a line. Ignores a reader that closed the pipe.
fn print_line(line: &str) -> io::Result<()> {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

fn check_selftest(text: &str, image: &Path) -> Result<(), Box<dyn Error>> {
    if text.lines().last() != Some(selftest::GOOD) {
        return Err("the self-test failed".into());
    }
    if fs::read(image)? != selftest::disk_afterwards() {
        return Err("the image differs from what the self-test writes".into());
    }
    Ok(())
}

/// The boot disk.
struct Disk {
    file: File,
    access: Access,
    length: Length,
    drive_type: DriveType,
}

enum File {
    Named(PathBuf),
    Temporary(NamedTempFile),
}

impl Disk {
    fn new(options: &Options) -> Result<Self, Box<dyn Error>> {
        let Some(path) = &options.image else {
            let file = File::Temporary(temporary(&selftest::disk())?);
            return Ok(Self {
                file,
                access: Access::ReadWrite,
                length: Length::Exact,
                drive_type: DriveType::Inch3_5Hd,
            });
        };
        let bytes = fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?.len();
        let drive_type = drive_for(bytes).unwrap_or(DriveType::Inch3_5Hd);
        // Images of boot disks often end after the last byte in use. Nothing can be lost: the file does not change.
        Ok(Self { file: File::Named(path.clone()), access: Access::Private, length: Length::Fit, drive_type })
    }

    fn path(&self) -> &Path {
        match &self.file {
            File::Named(path) => path,
            File::Temporary(file) => file.path(),
        }
    }
}

/// Returns the drive for disks of this size; `None` if no format has this size.
fn drive_for(bytes: u64) -> Option<DriveType> {
    let format = Format::of_size(bytes).next()?;
    DriveType::ALL.into_iter().find(|drive| drive.accepts(format.layout))
}

fn temporary(disk: &[u8]) -> Result<NamedTempFile, Box<dyn Error>> {
    let mut file = NamedTempFile::new()?;
    file.write_all(disk)?;
    file.flush()?;
    Ok(file)
}

/// Returns the message of an error and of all its causes in one line.
fn one_line(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        line += ": ";
        line += &error.to_string();
        source = error.source();
    }
    line.replace(char::is_control, "?")
}
