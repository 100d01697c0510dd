//! The example `read_disk` as a process: its report, its options and its errors. The behaviour of the chip is tested
//! elsewhere.

use std::{
    env,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use super::kit::fixture;
use tempfile::{NamedTempFile, TempDir};
use vm_fdc::media::{FORMATS, Format};

const EQUAL: &str = "equal to that of the file";

/// Returns the path of the example in `target/PROFILE/examples/`; this test is in `target/PROFILE/deps/`.
fn example() -> PathBuf {
    let test = env::current_exe().expect("the path of this test");
    let profile = test.parent().and_then(Path::parent).expect("the folder of the profile");
    let example = profile.join("examples").join("read_disk").with_extension(env::consts::EXE_EXTENSION);
    assert!(example.exists(), "{} is built by `cargo test` or `cargo build --examples`", example.display());
    example
}

/// The outcome of the example.
struct Run {
    status: Option<i32>,
    out: String,
    err: String,
}

fn run<'a>(image: impl AsRef<Path>, options: impl IntoIterator<Item = &'a str>) -> Run {
    Run::of(Command::new(example()).arg(image.as_ref()).args(options))
}

impl Run {
    fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.output().expect("the example runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self { status: status.code(), out: text(stdout), err: text(stderr) }
    }

    /// Returns the report of a successful run. There is no progress bar, because standard error is no terminal.
    #[track_caller]
    fn report(self) -> String {
        assert_eq!((self.status, self.err.as_str()), (Some(0), ""), "{}", self.out);
        assert!(self.out.contains(EQUAL), "{}", self.out);
        self.out
    }

    /// Returns the one line of a failed run.
    #[track_caller]
    fn failure(self) -> String {
        assert_eq!((self.status, self.out.as_str()), (Some(1), ""), "{}", self.err);
        assert_eq!(self.err.lines().count(), 1, "{}", self.err);
        self.err
    }
}

/// Returns the SHA-256 of an image in `fixtures/README.md`.
fn sha_256(name: &str) -> String {
    let readme = fs::read_to_string(fixture("README.md")).expect("the list of the fixtures");
    let row = readme.lines().find(|line| line.starts_with(&format!("| `{name}` |"))).expect("the image is listed");
    row.rsplit('`').nth(1).expect("the SHA-256 is in the last column").to_owned()
}

/// Returns a file of `bytes` bytes without a FAT file system, in which all sectors differ.
fn image(bytes: u64) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a temporary file");
    let words = (1u32..).flat_map(|n| n.wrapping_mul(0x9E37_79B9).to_le_bytes());
    file.write_all(&words.take(bytes as usize).collect::<Vec<_>>()).expect("an image");
    file
}

#[track_caller]
fn assert_reads(name: &str, geometry: &str, files: &[&str]) {
    let report = run(fixture(name), []).report();
    assert!(report.contains(geometry), "{report}");
    assert!(report.contains(&format!("SHA-256   {}\n", sha_256(name))), "{report}");
    let listed: Vec<_> = report.lines().filter(|line| line.starts_with("          2024-01-02 03:04 ")).collect();
    assert_eq!(listed.len(), files.len(), "{report}");
    for (line, file) in listed.iter().zip(files) {
        assert!(line.ends_with(file), "{file} in {report}");
    }
}

#[test]
fn reads_the_1440k_fixture() {
    let files = ["132  README.TXT", "NOTES.TXT", "PATTERN.TXT", "296  A long file name.txt", "<dir>  DOCS"];
    assert_reads("dos-1440k.img", "80 cylinders x 2 heads x 18 sectors x 512 bytes at 500 kb/s\n", &files);
}

#[test]
fn reads_the_720k_fixture() {
    let files = ["README.TXT", "153600  PATTERN.TXT", "<dir>  DATA"];
    assert_reads("dos-720k.img", "80 cylinders x 2 heads x 9 sectors x 512 bytes at 250 kb/s\n", &files);
}

#[test]
fn reads_the_360k_fixture() {
    let files = ["README.TXT", "1649  NOTES.TXT", "51200  PATTERN.TXT"];
    assert_reads("dos-360k.img", "40 cylinders x 2 heads x 9 sectors x 512 bytes at 250 kb/s\n", &files);
}

#[test]
fn reads_the_full_fixture() {
    let files = ["README.TXT", "<dir>  WORK", "1455104  FULL.TXT"];
    assert_reads("dos-1440k.vfd", "80 cylinders x 2 heads x 18 sectors x 512 bytes at 500 kb/s\n", &files);
}

#[test]
fn reads_the_1440k_fixture_by_default() {
    let default = Run::of(&mut Command::new(example())).report();
    assert_eq!(default, run(fixture("dos-1440k.img"), []).report());
}

#[test]
fn a_report_fits_on_a_screen() {
    for name in ["dos-1440k.img", "dos-720k.img", "dos-360k.img", "dos-1440k.vfd"] {
        let report = run(fixture(name), []).report();
        assert!(report.lines().count() <= 45);
        // The first line is as long as the path of the image.
        assert!(report.lines().skip(1).all(|line| line.chars().count() <= 80), "{report}");
    }
}

#[test]
fn programmed_io_reads_the_same() {
    for name in ["dos-1440k.img", "dos-720k.img", "dos-360k.img", "dos-1440k.vfd"] {
        let (dma, pio) = (run(fixture(name), []).report(), run(fixture(name), ["--pio"]).report());
        let changed: Vec<_> = dma.lines().zip(pio.lines()).filter(|(dma, pio)| dma != pio).collect();
        assert_eq!(changed.len(), 1, "{pio}");
        assert!(changed[0].0.ends_with("by DMA through the 8237A"), "{dma}");
        assert!(changed[0].1.ends_with("byte by byte, without DMA"), "{pio}");
        assert_eq!(dma.lines().count(), pio.lines().count());
    }
}

/// Of the formats with one size, the first in the list is the most common. A 1.2M drive takes both of 400K.
#[test]
fn reads_every_format_in_the_drive_made_for_it() {
    let mut last = 0;
    for &Format { name, layout, .. } in FORMATS {
        let bytes = layout.bytes();
        let (Some(geometry), true) = (layout.geometry(), bytes != last) else { continue };
        last = bytes;
        let image = image(bytes);
        if bytes == 409_600 {
            assert!(run(image.path(), ["--drive", "1.2m"]).failure().contains("several floppy formats"));
        }
        let report = run(image.path(), []).report();
        let heads = if geometry.heads() == 1 { "1 head" } else { "2 heads" };
        let layout = format!(
            "Disk      {} cylinders x {heads} x {} sectors x {} bytes at {}\n",
            geometry.cylinders(),
            geometry.sectors(),
            geometry.sector_size(),
            geometry.rate()
        );
        assert!(report.contains(&layout), "{name}: {report}");
    }
}

#[test]
fn a_360k_disk_is_double_stepped_in_a_1200k_drive() {
    let report = run(fixture("dos-360k.img"), ["--drive", "1.2m"]).report();
    assert!(report.contains("40 cylinders x 2 heads x 9 sectors x 512 bytes at 300 kb/s, double-stepped"), "{report}");
}

#[test]
fn a_disk_without_a_fat_file_system_has_no_directory() {
    let report = run(image(737_280).path(), []).report();
    assert!(report.contains("\nRoot dir  none: this is no FAT file system\n"), "{report}");
    assert!(report.contains("1440 sectors: 1440 used, 0 blank, 0 bad\n"), "{report}");
}

#[test]
fn a_map_distinguishes_used_tracks_from_blank_ones() {
    let mut disk = vec![0xF6; 163_840];
    disk[8 * 512..16 * 512].copy_from_slice(&[1, 2].repeat(4 * 512)); // all of cylinder 1
    disk[39 * 8 * 512] = 0; // one sector of cylinder 39
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(&disk).expect("an image");
    let report = run(file.path(), []).report();
    assert!(report.contains("\n  head 0  ·█········ ·········· ·········· ·········▒\n"), "{report}");
    assert!(report.contains("320 sectors: 9 used, 311 blank, 0 bad\n"), "{report}");
}

#[test]
fn a_missing_file_is_one_line_of_error() {
    let folder = TempDir::new().expect("a temporary folder");
    let error = run(folder.path().join("missing.img"), []).failure();
    assert!(error.contains("missing.img: cannot open the file; check its path: "), "{error}");
}

#[test]
fn an_empty_file_is_one_line_of_error() {
    let error = run(image(0).path(), []).failure();
    assert!(error.contains("the file is empty"), "{error}");
}

#[test]
fn a_file_that_is_longer_than_its_disk_is_read_and_the_report_says_so() {
    let file = image(1_474_560);
    File::options().append(true).open(file.path()).and_then(|mut file| file.write_all(b"!")).expect("one byte more");
    let report = run(file.path(), []).report();
    assert!(report.contains("\nLength    1474561 bytes; those after 1474560 are ignored\n"), "{report}");
}

#[test]
fn a_file_that_is_shorter_than_its_disk_is_read_and_the_report_says_so() {
    let report = run(image(1_296_384).path(), []).report();
    assert!(report.contains("\nLength    1296384 of 1474560 bytes; the rest reads as zeros\n"), "{report}");
}

#[test]
fn a_file_of_an_odd_size_is_one_line_of_error() {
    let error = run(image(1_600_000).path(), []).failure();
    assert!(error.contains("1600000 bytes is the size of no floppy format; nearest: "), "{error}");
}

#[test]
fn a_directory_is_one_line_of_error() {
    let folder = TempDir::new().expect("a temporary folder");
    let error = run(folder.path(), []).failure();
    assert!(error.contains("not a file that holds a disk"), "{error}");
}

#[test]
fn an_empty_path_is_one_line_of_error() {
    assert!(run("", []).failure().contains("the path is empty"));
}

#[test]
fn a_disk_that_the_drive_cannot_take_is_one_line_of_error() {
    let error = run(fixture("dos-1440k.img"), ["--drive", "360k"]).failure();
    assert!(error.contains("is the size of no format that this drive takes"), "{error}");
}

#[test]
fn bad_usage_is_status_2() {
    for options in [["--drive", "8-inch"], ["--dma", "--pio"], ["another.img", "--pio"]] {
        let run = run(fixture("dos-360k.img"), options);
        assert_eq!((run.status, run.out.as_str()), (Some(2), ""));
        assert!(run.err.starts_with("error: "), "{}", run.err);
    }
}

#[test]
fn help_names_the_options() {
    let run = Run::of(Command::new(example()).arg("--help"));
    assert_eq!((run.status, run.err.as_str()), (Some(0), ""));
    for option in ["[IMAGE]", "--pio", "--drive"] {
        assert!(run.out.contains(option), "{}", run.out);
    }
}
