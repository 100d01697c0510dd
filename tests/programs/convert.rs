//! The example `convert`, run as a user runs it. What each format carries is tested elsewhere.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::kit::fixture;
use vm_fdc::media::{DataRate, FormFactor, Geometry, Sector, SectorDisk, SectorId, SectorTrack, container::image_disk};

/// The example beside this test: `target/PROFILE/examples/`, this being in `target/PROFILE/deps/`.
fn example() -> PathBuf {
    let test = env::current_exe().expect("the path of this test");
    let profile = test.parent().and_then(Path::parent).expect("the folder of the profile");
    profile.join("examples").join("convert").with_extension(env::consts::EXE_EXTENSION)
}

/// Runs the example. Returns its exit code, what it printed, and its error.
fn run(arguments: &[&Path]) -> (Option<i32>, String, String) {
    let output = Command::new(example()).args(arguments).output().expect("the example runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[track_caller]
fn report(arguments: &[&Path]) -> String {
    let (status, out, err) = run(arguments);
    assert_eq!((status, err.as_str()), (Some(0), ""), "{out}");
    out
}

/// The one line of a run that failed.
#[track_caller]
fn failure(arguments: &[&Path]) -> String {
    let (status, out, err) = run(arguments);
    assert_eq!((status, out.as_str()), (Some(1), ""), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
    err
}

#[test]
fn a_raw_image_comes_back_from_image_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (imd, raw) = (folder.path().join("a.imd"), folder.path().join("a.img"));
    for name in ["dos-1440k.img", "dos-720k.img", "dos-360k.img"] {
        _ = (fs::remove_file(&imd), fs::remove_file(&raw));
        report(&[&fixture(name), &imd]);
        let out = report(&[&imd, &raw]);
        assert!(out.starts_with("File      an ImageDisk (IMD) file\n"), "{out}");
        assert_eq!(fs::read(&raw).unwrap(), fs::read(fixture(name)).unwrap(), "{name}");
    }
}

#[test]
fn the_map_shows_what_the_disk_has() {
    let out = report(&[&fixture("teledisk-advanced.td0")]);
    assert_eq!(
        out,
        "File      a Teledisk (TD0) file with advanced compression\n\
         Comment   Advanced compression\n\
         Disk      3.5\", 3 cylinders\n\
         Tracks    6 of 18 sectors of 512 bytes in MFM at 500 kb/s\n\
         Map       0\n\
         \x20 head 0  ███\n\
         \x20 head 1  ███\n\
         \x20         █ good  d deleted  ? without data  x CRC error  · no sectors\n\
         \x20         108 sectors good, 0 deleted, 0 without data, 0 with a CRC error\n"
    );
}

#[test]
fn a_disk_that_no_raw_image_holds_is_written_only_if_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (imd, raw) = (folder.path().join("a.imd"), folder.path().join("a.img"));
    let mut disk = SectorDisk::formatted(Geometry::DD_720K, 0x11);
    let id = SectorId { cylinder: 2, head: 1, sector: 1, size_code: 2 };
    let wrong = Sector { data_crc_error: true, ..Sector::good(id) };
    disk.set_track(2, 1, SectorTrack::new(DataRate::Kbps250).with_sector(wrong, vec![0x22; 512]));
    fs::write(&imd, image_disk(&disk, b"").unwrap()).unwrap();
    let error = failure(&[&imd, &raw]);
    assert!(error.contains("cylinder 2, head 1: 1 sectors"), "{error}");
    assert!(!raw.exists());
    let out = report(&[&imd, &raw, Path::new("--lossy")]);
    assert!(out.contains("\nLost      9 sectors"), "{out}");
    assert!(out.contains("\n  head 1  ██x███"), "{out}");
    let raw = fs::read(&raw).unwrap();
    assert_eq!(raw.len() as u64, Geometry::DD_720K.bytes());
    let place = (2 * 2 + 1) * 9 * 512;
    assert_eq!((raw[place - 1], raw[place], raw[place + 512], raw[place + 9 * 512]), (0x11, 0x22, 0xF6, 0x11));
}

#[test]
fn a_raw_image_of_another_length_is_converted_only_if_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (raw, imd, back) = (folder.path().join("a.img"), folder.path().join("a.imd"), folder.path().join("b.img"));
    for (length, line) in [
        (1_296_384, "\nLength    1296384 of 1474560 bytes; the rest reads as zeros\n"),
        (1_474_688, "\nLength    1474688 bytes; those after 1474560 are ignored\n"),
    ] {
        let mut bytes = fs::read(fixture("dos-1440k.img")).unwrap();
        bytes.resize(length, 0xEE);
        fs::write(&raw, &bytes).unwrap();
        assert!(failure(&[&raw]).contains("; with --fit it is one that is shorter or longer than its disk"));
        let out = report(&[&raw, &imd, Path::new("--fit"), Path::new("--force")]);
        assert!(out.contains(line), "{out}");
        report(&[&imd, &back, Path::new("--force")]);
        assert_eq!(fs::read(&raw).unwrap(), bytes);
        bytes.resize(1_474_560, 0);
        assert_eq!(fs::read(&back).unwrap(), bytes);
    }
}

#[cfg(unix)]
#[test]
fn a_failure_leaves_the_file_to_write_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("a.img");
    // The host refuses to write more than a part of the disk.
    let limited = |force: &str| {
        let script = "trap '' XFSZ; ulimit -f 100; exec \"$@\"";
        let mut run = Command::new("sh");
        run.args(["-c", script, "sh"]).arg(example()).arg(fixture("dos-720k.img")).arg(&output);
        let run = run.args(Some(force).filter(|it| !it.is_empty())).output().unwrap();
        assert_eq!(run.status.code(), Some(1));
        let error = String::from_utf8(run.stderr).unwrap();
        assert!(error.starts_with("convert: cannot create ") && error.lines().count() == 1, "{error}");
    };
    limited("");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    fs::write(&output, "the old file").unwrap();
    limited("--force");
    assert_eq!(fs::read(&output).unwrap(), b"the old file");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn errors_are_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let (file, zip) = (folder.path().join("a"), folder.path().join("b"));
    fs::write(&file, b"IMD 1.18: 01/01/2020 00:00:00\r\n\x1A\x05\0\0").unwrap();
    fs::write(&zip, b"PK\x03\x04 and more").unwrap();
    assert!(
        failure(&[&file]).contains("the file is an ImageDisk (IMD) file, damaged at byte 35: the file ends too early")
    );
    assert!(
        failure(&[&zip])
            .contains("the file is a zip archive, which the library does not open; extract the image from it")
    );
    assert!(failure(&[&fixture("selftest.bin")]).contains("1536 bytes is the size of no raw image"));
    assert!(failure(&[&folder.path().join("missing")]).contains("cannot read the file"));
    // A file that exists is not replaced.
    assert!(failure(&[&fixture("dos-720k.img"), &file]).contains("exists"));
    let empty = image_disk(&SectorDisk::unformatted(FormFactor::Inch3_5, 80), b"").unwrap();
    fs::write(&file, empty).unwrap();
    assert!(failure(&[&file]).contains("no track is recorded"));
    assert!(report(&[Path::new("--help")]).contains("Usage: convert"));
}
