//! Converts a raw image or a file of ImageDisk, Teledisk or D88 to a raw image or a file of ImageDisk, and prints a map
//! of the disk.
//!
//! ```sh
//! cargo run --example convert -- old.td0 new.img
//! ```

use std::{
    collections::BTreeMap,
    error::Error,
    fmt::{self, Display, Formatter, Write as _},
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, ValueEnum};
use vm_fdc::media::{
    Access, DataRate, Encoding, FormFactor, Format, Geometry, GeometryError, IfExists, Image, ImageOptions, Length,
    Mark, Medium, Sector, SectorDisk, SectorId,
    container::{Container, ContainerError, DiskFile, ReadOptions, image_disk},
    write_file,
};

/// The byte of sectors that a raw image has and the disk has not.
const FILLER: u8 = 0xF6;
/// Cylinders in a row of the map, and in a group of columns.
const ROW: u8 = 40;
const GROUP: u8 = 10;

/// Converts a raw image or a file of ImageDisk, Teledisk or D88, and prints a map of the disk.
#[derive(Parser)]
#[command(name = "convert")]
struct Options {
    /// File to read, which is not changed
    input: PathBuf,
    /// File to write: an ImageDisk file if the name ends with .imd, else a raw image [default: none, only the map]
    output: Option<PathBuf>,
    /// Format of the file to write, whatever its name
    #[arg(long)]
    to: Option<Target>,
    /// Size of the disk in inches, whatever the file says
    #[arg(long, value_name = "3.5|5.25", value_parser = form_factor)]
    form_factor: Option<FormFactor>,
    /// Number of the disk in a D88 file of several, from 0
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    disk: usize,
    /// Take a raw image of any length: shorter than its disk, or with bytes behind it
    #[arg(long)]
    fit: bool,
    /// Write a raw image although it cannot hold all that is on the disk
    #[arg(long)]
    lossy: bool,
    /// Replace the file to write if it exists
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    Raw,
    Imd,
}

fn form_factor(inches: &str) -> Result<FormFactor, &'static str> {
    match inches {
        "3.5" => Ok(FormFactor::Inch3_5),
        "5.25" => Ok(FormFactor::Inch5_25),
        _ => Err("no such size"),
    }
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("convert: {}", one_line(&*error));
            ExitCode::FAILURE
        }
    }
}

/// Reads the disk, writes it, and prints the map.
fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let source = read(options).map_err(|error| format!("{}: {}", options.input.display(), one_line(&*error)))?;
    let mut report = source.to_string();
    if let Some(output) = &options.output {
        let by_name = if has_extension(output, "imd") { Target::Imd } else { Target::Raw };
        let written = match options.to.unwrap_or(by_name) {
            Target::Imd => image_disk(&source.disk, &source.comment)?,
            Target::Raw => {
                let (bytes, replaced) = raw(&source.disk, options.lossy)?;
                if replaced > 0 {
                    writeln!(report, "Lost      {replaced} sectors of the raw image are not those of the disk")?;
                }
                bytes
            }
        };
        // The file is complete or as it was before.
        write_file(output, &written, if options.force { IfExists::Replace } else { IfExists::Fail })?;
        writeln!(report, "Written   {}, {} bytes", output.display(), written.len())?;
    }
    match io::stdout().lock().write_all(report.as_bytes()) {
        // The reader of the report can close the pipe before the end.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|own| own.eq_ignore_ascii_case(extension))
}

/// The disk that was read.
struct Source {
    container: Option<Container>,
    comment: Vec<u8>,
    disk: SectorDisk,
    /// The lengths of a raw image and of its disk, if they differ.
    lengths: Option<(usize, usize)>,
}

fn read(options: &Options) -> Result<Source, Box<dyn Error>> {
    let mut read_options = ReadOptions::new().with_disk(options.disk);
    if let Some(form_factor) = options.form_factor {
        read_options = read_options.with_form_factor(form_factor);
    }
    match DiskFile::open(&options.input, read_options) {
        Ok(DiskFile { container, disk, comment, .. }) => {
            Ok(Source { container: Some(container), disk, comment, lengths: None })
        }
        // A guest can write the signature of a container to a raw image, which has the size of one all the same.
        Err(error @ (ContainerError::Unknown | ContainerError::NotReadable { .. })) => read_raw(options, error),
        Err(error) => Err(error.into()),
    }
}

/// Reads a raw image, which `error` says is no container that can be opened.
fn read_raw(options: &Options, error: ContainerError) -> Result<Source, Box<dyn Error>> {
    let mut bytes = fs::read(&options.input)?;
    let length = bytes.len();
    let formats = Format::of_size(length as u64).filter_map(|format| format.layout.geometry());
    let mut formats = formats.filter(|geometry| options.form_factor.is_none_or(|it| it == geometry.form_factor()));
    // The first of several formats of one size is the most common.
    let geometry = match (formats.next(), error) {
        (Some(&geometry), _) => geometry,
        (None, ContainerError::Unknown) if options.fit => {
            let image = Image::open(&options.input, ImageOptions::new(Access::ReadOnly).with_length(Length::Fit))?;
            let layout = image.layout().ok_or("a blank disk cannot be converted")?;
            *layout.geometry().ok_or_else(|| format!("a disk of {layout} cannot be converted"))?
        }
        (None, ContainerError::Unknown) => {
            return Err(format!(
                "no container, and {length} bytes is the size of no raw image; with --fit it is one that is shorter or \
                 longer than its disk"
            )
            .into());
        }
        (None, error) => return Err(error.into()),
    };
    let disk = geometry.bytes() as usize;
    bytes.resize(disk, 0);
    let lengths = (length != disk).then_some((length, disk));
    Ok(Source { container: None, disk: SectorDisk::from_raw(geometry, &bytes)?, comment: Vec::new(), lengths })
}

/// Returns the raw image of a disk, and how many of its sectors are not as on the disk.
fn raw(disk: &SectorDisk, lossy: bool) -> Result<(Vec<u8>, usize), Box<dyn Error>> {
    let geometry = likely_geometry(disk)?;
    match disk.to_raw(geometry) {
        Ok(bytes) => Ok((bytes, 0)),
        Err(_) if lossy => Ok(lossy_raw(disk, geometry)),
        Err(error) => Err(format!("{error}: a raw image cannot hold that; --lossy writes the rest").into()),
    }
}

/// Returns the geometry with the sectors of most tracks.
fn likely_geometry(disk: &SectorDisk) -> Result<Geometry, GeometryError> {
    let mut kinds = BTreeMap::new();
    let mut heads = 1;
    for (_, head, track) in tracks(disk) {
        if let (count @ 1.., Some(first)) = (track.sectors().len(), track.sectors().first()) {
            heads = heads.max(head + 1);
            *kinds.entry((count, first.id.size_code, track.rate().kbps())).or_insert(0) += 1;
        }
    }
    let most = kinds.into_iter().max_by_key(|&(_, tracks)| tracks);
    let ((count, size_code, kbps), _) = most.unwrap_or_default();
    let rates = [DataRate::Kbps250, DataRate::Kbps300, DataRate::Kbps500, DataRate::Kbps1000];
    let rate = rates.into_iter().find(|rate| rate.kbps() == kbps).unwrap_or(DataRate::Kbps500);
    let sectors = u8::try_from(count).unwrap_or(u8::MAX);
    Geometry::new(disk.cylinders(), heads, sectors, size_code, rate, disk.form_factor())
}

/// Returns a raw image with each sector that has the right number and size, and the filler for others.
fn lossy_raw(disk: &SectorDisk, geometry: Geometry) -> (Vec<u8>, usize) {
    let (mut raw, mut replaced) = (Vec::new(), 0);
    for (cylinder, head) in
        (0..geometry.cylinders()).flat_map(|cylinder| (0..geometry.heads()).map(move |h| (cylinder, h)))
    {
        for sector in 1..=geometry.sectors() {
            let id = SectorId { cylinder, head, sector, size_code: geometry.size_code() };
            let track = disk.recorded(cylinder, head);
            let slot = track.and_then(|track| track.sectors().iter().position(|sector| sector.id == id));
            let found = track.zip(slot).and_then(|(track, slot)| Some((track.sectors()[slot], track.data(slot)?)));
            match found.filter(|(_, data)| data.len() == geometry.sector_size()) {
                Some((sector, data)) => {
                    raw.extend(data);
                    replaced += usize::from(sector != Sector::good(id));
                }
                None => {
                    raw.resize(raw.len() + geometry.sector_size(), FILLER);
                    replaced += 1;
                }
            }
        }
    }
    (raw, replaced)
}

/// Returns cylinder, head and contents of the recorded tracks.
fn tracks(disk: &SectorDisk) -> impl Iterator<Item = (u8, u8, &vm_fdc::media::SectorTrack)> {
    let places = (0..disk.cylinders()).flat_map(|cylinder| [(cylinder, 0), (cylinder, 1)]);
    places.filter_map(|(cylinder, head)| Some((cylinder, head, disk.recorded(cylinder, head)?)))
}

impl Display for Source {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let disk = &self.disk;
        writeln!(f, "File      {}", self.container.map_or("a raw image", Container::name))?;
        match self.lengths {
            Some((file, disk)) if file < disk => {
                writeln!(f, "Length    {file} of {disk} bytes; the rest reads as zeros")?;
            }
            Some((file, disk)) => writeln!(f, "Length    {file} bytes; those after {disk} are ignored")?,
            None => {}
        }
        let comment = String::from_utf8_lossy(&self.comment).trim().replace(char::is_control, " ");
        if !comment.is_empty() {
            writeln!(f, "Comment   {comment}")?;
        }
        let protected = if disk.is_write_protected() { ", write protected" } else { "" };
        writeln!(f, "Disk      {}, {} cylinders{protected}", disk.form_factor(), disk.cylinders())?;
        let mut kinds = BTreeMap::new();
        for (_, _, track) in tracks(disk) {
            let encoding = if track.encoding() == Encoding::Fm { "FM" } else { "MFM" };
            *kinds.entry(format!("{} in {encoding} at {}", sizes(track.sectors()), track.rate())).or_insert(0) += 1;
        }
        for (n, (kind, count)) in kinds.iter().enumerate() {
            writeln!(f, "{:10}{count} of {kind}", if n == 0 { "Tracks" } else { "" })?;
        }
        for start in (0..disk.cylinders()).step_by(ROW.into()) {
            self.write_row(f, start..disk.cylinders().min(start + ROW))?;
        }
        let count = |state: State| {
            tracks(disk).flat_map(|(_, _, track)| track.sectors()).filter(|&sector| State::of(sector) == state).count()
        };
        let [good, deleted, missing, wrong] = [State::Good, State::Deleted, State::Missing, State::Wrong].map(count);
        writeln!(f, "          █ good  d deleted  ? without data  x CRC error  · no sectors")?;
        writeln!(
            f,
            "          {good} sectors good, {deleted} deleted, {missing} without data, {wrong} with a CRC error"
        )
    }
}

impl Source {
    /// Writes the cylinders of `row`: a scale, and a line for each head.
    fn write_row(&self, f: &mut Formatter<'_>, row: std::ops::Range<u8>) -> fmt::Result {
        let width = usize::from(GROUP);
        let scale: Vec<_> = row.clone().step_by(width).map(|cylinder| format!("{cylinder:<width$}")).collect();
        writeln!(f, "{:10}{}", if row.start == 0 { "Map" } else { "" }, scale.join(" ").trim_end())?;
        for head in 0..2 {
            write!(f, "  head {head}  ")?;
            for cylinder in row.clone() {
                let gap = if cylinder > row.start && cylinder.is_multiple_of(GROUP) { " " } else { "" };
                let sectors = self.disk.recorded(cylinder, head).map_or(&[][..], |track| track.sectors());
                write!(f, "{gap}{}", sectors.iter().map(State::of).max().map_or('·', State::symbol))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// Returns how many sectors there are of each size.
fn sizes(sectors: &[Sector]) -> String {
    let mut sizes = BTreeMap::new();
    for sector in sectors {
        *sizes.entry(sector.id.size()).or_insert(0) += 1;
    }
    let size = |(size, count): (Option<usize>, i32)| {
        size.map_or_else(|| format!("{count} sectors of no size"), |size| format!("{count} sectors of {size} bytes"))
    };
    if sizes.is_empty() {
        "no sectors".to_owned()
    } else {
        sizes.into_iter().map(size).collect::<Vec<_>>().join(" and ")
    }
}

/// What is wrong with a sector, in ascending order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Good,
    Deleted,
    Missing,
    Wrong,
}

impl State {
    fn of(sector: &Sector) -> Self {
        match sector.mark {
            _ if sector.id_crc_error || sector.data_crc_error => Self::Wrong,
            None => Self::Missing,
            Some(Mark::Deleted) => Self::Deleted,
            Some(Mark::Data) => Self::Good,
        }
    }

    const fn symbol(self) -> char {
        match self {
            Self::Good => '█',
            Self::Deleted => 'd',
            Self::Missing => '?',
            Self::Wrong => 'x',
        }
    }
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
