//! Reads a whole floppy disk as a BIOS does, through the registers of the controller and the 8237A, and shows what
//! arrived in guest memory.
//!
//! `cargo run --release --example read_disk -- IMAGE [--pio]`

mod bios;
#[path = "../../tests/kit/mod.rs"]
mod kit;
mod map;
mod report;

use std::{
    error::Error,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use bios::{Bios, Transfer};
use clap::{
    Parser,
    builder::{OsStringValueParser, TypedValueParser},
};
use indicatif::{ProgressBar, ProgressStyle};
use kit::Guest;
use report::Report;
use vm_fdc::{
    drive::DriveType,
    media::{Access, Image, ImageError, ImageOptions, Length},
};

const DEFAULT_IMAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/dos-1440k.img");

/// Reads a whole floppy disk as a BIOS does, through an emulated 82077AA, and shows what arrived in guest memory.
#[derive(Parser)]
#[command(name = "read_disk")]
struct Options {
    /// Raw image of a floppy disk, which is not changed
    // An empty path is valid here: the drive refuses it.
    #[arg(value_parser = OsStringValueParser::new().map(PathBuf::from), default_value = DEFAULT_IMAGE)]
    image: PathBuf,
    /// Read byte by byte, without DMA
    #[arg(long)]
    pio: bool,
    /// Drive for the disk [default: the drive for disks of this size]
    #[arg(long, value_name = "360k|1.2m|720k|1.44m|2.88m", value_parser = drive_type)]
    drive: Option<DriveType>,
}

fn drive_type(name: &str) -> Result<DriveType, &'static str> {
    match name {
        "360k" => Ok(DriveType::Inch5_25Dd),
        "1.2m" => Ok(DriveType::Inch5_25Hd),
        "720k" => Ok(DriveType::Inch3_5Dd),
        "1.44m" => Ok(DriveType::Inch3_5Hd),
        "2.88m" => Ok(DriveType::Inch3_5Ed),
        _ => Err("no such drive"),
    }
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("read_disk: {}", one_line(&*error));
            ExitCode::FAILURE
        }
    }
}

/// Reads the disk and prints the report. Returns `true` if guest memory has the bytes of the file.
fn run(options: &Options) -> Result<bool, Box<dyn Error>> {
    let drive_type = options.drive.unwrap_or_else(|| drive_for(&options.image));
    let (guest, drive) = Guest::with_drive(drive_type);
    // Nothing can be lost: the file is only read.
    drive.attach_image(&options.image, ImageOptions::new(Access::ReadOnly).with_length(Length::Fit))?;

    let transfer = if options.pio { Transfer::Programmed } else { Transfer::Dma };
    let mut bios = Bios::new(guest, transfer)?;
    let layout = bios.find_layout()?;
    let bar = progress_bar(layout.tracks());
    let disk = bios.read_disk(layout, || bar.inc(1))?;
    bar.finish_and_clear();
    drive.release_image()?;

    let mut file = fs::read(&options.image)?;
    let length = file.len();
    file.resize(disk.bytes.len(), 0);
    let report = Report { image: &options.image, length, drive_type, transfer, disk: &disk, file: &file };
    match write!(io::stdout().lock(), "{report}") {
        // The reader of the report can close the pipe before the end.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(disk.bytes == file),
    }
}

/// Returns the drive for the format of the image. If several formats have the size of the file, it is the drive for the
/// most common format, which is the first candidate. Other errors are reported when the image is attached.
fn drive_for(image: &Path) -> DriveType {
    let layout = match Image::open(image, Access::ReadOnly) {
        Ok(image) => image.layout(),
        Err(ImageError::AmbiguousSize { candidates, .. }) => candidates.first().map(|format| format.layout),
        Err(_) => None,
    };
    let drive = layout.and_then(|layout| DriveType::ALL.into_iter().find(|drive| drive.accepts(layout)));
    drive.unwrap_or(DriveType::Inch3_5Hd)
}

/// Creates a progress bar on standard error. It is hidden if standard error is no terminal.
fn progress_bar(tracks: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("Reading   [{bar:40}] {pos} of {len} tracks");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ");
    ProgressBar::new(tracks as u64).with_style(style)
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
