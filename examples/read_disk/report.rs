//! The report: how the disk was read, its root directory, a map, and whether it equals the file.

use std::{
    fmt::{self, Display, Formatter},
    io::Cursor,
    path::Path,
};

use hadris_fat::{FatVolume, FileEntry};
use sha2::{Digest, Sha256};
use vm_fdc::drive::DriveType;

use crate::{
    bios::{Disk, Layout, Transfer},
    map::Map,
};

/// Directory entries that are shown. The report then fits on a screen.
const ENTRIES: usize = 20;

pub struct Report<'a> {
    pub image: &'a Path,
    /// Length of the image, which can differ from that of the disk.
    pub length: usize,
    pub drive_type: DriveType,
    pub transfer: Transfer,
    /// Contents of guest memory.
    pub disk: &'a Disk,
    /// Contents of the image, padded or truncated to the length of the disk.
    pub file: &'a [u8],
}

impl Display for Report<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { image, length, drive_type, transfer, disk, file } = self;
        let way = match transfer {
            Transfer::Dma => "by DMA through the 8237A",
            Transfer::Programmed => "byte by byte, without DMA",
        };
        writeln!(f, "Image     {}", printable(&image.to_string_lossy()))?;
        match file.len() {
            disk if *length < disk => writeln!(f, "Length    {length} of {disk} bytes; the rest reads as zeros")?,
            disk if *length > disk => writeln!(f, "Length    {length} bytes; those after {disk} are ignored")?,
            _ => {}
        }
        writeln!(f, "Drive     {drive_type}, read {way}")?;
        writeln!(f, "Disk      {}\n", disk.layout)?;
        write_directory(f, &disk.bytes)?;
        writeln!(f, "\n{}", Map { disk })?;
        let (read, expected) = (sha_256(&disk.bytes), sha_256(file));
        writeln!(f, "SHA-256   {read}")?;
        match read == expected {
            true => writeln!(f, "          equal to that of the file"),
            false => writeln!(f, "          DIFFERENT from that of the file:\n          {expected}"),
        }
    }
}

impl Display for Layout {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { rate, steps, cylinders, heads, sectors, sector_size, .. } = self;
        let heads = if *heads == 1 { "1 head" } else { "2 heads" };
        write!(f, "{cylinders} cylinders x {heads} x {sectors} sectors x {sector_size} bytes at {rate}")?;
        if *steps == 2 { f.write_str(", double-stepped") } else { Ok(()) }
    }
}

/// Writes the root directory of the file system; one line if the disk has no file system.
fn write_directory(f: &mut Formatter<'_>, disk: &[u8]) -> fmt::Result {
    let Ok(volume) = FatVolume::open(Cursor::new(disk)) else {
        return writeln!(f, "Root dir  none: this is no FAT file system");
    };
    writeln!(f, "Root dir  {} {}", volume.fat_type(), printable(volume.volume_info().volume_label()))?;
    let mut more = 0;
    for (ordinal, entry) in volume.root_dir().entries().enumerate() {
        match entry.as_ref().map(|entry| entry.as_entry()) {
            Ok(Some(entry)) if ordinal < ENTRIES => write_entry(f, entry)?,
            Ok(_) => more += 1,
            Err(error) => return writeln!(f, "          the rest is damaged: {error}"),
        }
    }
    if more > 0 { writeln!(f, "          and {more} more") } else { Ok(()) }
}

fn write_entry(f: &mut Formatter<'_>, entry: &FileEntry) -> fmt::Result {
    let (date, time, _) = entry.modified().to_raw();
    let (year, month, day) = (1980 + (date >> 9), date >> 5 & 0xF, date & 0x1F);
    let (hour, minute) = (time >> 11, time >> 5 & 0x3F);
    let size = if entry.is_directory() { "<dir>".to_owned() } else { entry.len().to_string() };
    let name = printable(&entry.name());
    writeln!(f, "          {year}-{month:02}-{day:02} {hour:02}:{minute:02} {size:>8}  {name}")
}

/// Replaces the control characters of a name, so that it can be printed on a terminal.
fn printable(name: &str) -> String {
    name.replace(char::is_control, "?")
}

fn sha_256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
