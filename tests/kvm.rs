//! The example `kvm`, run as a user runs it: SeaBIOS and what it boots, on a real processor. A host without KVM or without
//! the images skips what needs them, and says so. A binary of its own, because the guests measure time and other tests beside
//! them would make them late.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[path = "../examples/kvm/selftest.rs"]
#[allow(dead_code)]
mod selftest;

use std::{
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::{NamedTempFile, TempDir};

/// The status with which the example says that the host does not have what it needs.
const SKIPPED: i32 = 77;

/// Of Debian's package `grub-rescue-pc`.
const GRUB: &str = "/usr/lib/grub-rescue/grub-rescue-floppy.img";

/// What the example did.
struct Run {
    status: Option<i32>,
    out: String,
    err: String,
}

/// The example beside this test: `target/PROFILE/examples/`, this being in `target/PROFILE/deps/`.
fn run(arguments: &[&str]) -> Run {
    let test = env::current_exe().expect("the path of this test");
    let profile = test.parent().and_then(Path::parent).expect("the folder of the profile");
    let example = profile.join("examples").join("kvm");
    assert!(example.exists(), "{} is built by `cargo test` or `cargo build --examples`", example.display());
    let Output { status, stdout, stderr } = Command::new(example).args(arguments).output().expect("the example runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Run { status: status.code(), out: text(stdout), err: text(stderr) }
}

/// The same; `None`, with a message, where it cannot run.
fn run_guest(arguments: &[&str]) -> Option<Run> {
    let run = run(arguments);
    if run.status == Some(SKIPPED) {
        assert_eq!((run.out.as_str(), run.err.lines().count()), ("", 1), "{}", run.err);
        say(&run.err);
        return None;
    }
    Some(run)
}

/// Says what was skipped, also where the test runner hides what passing tests print.
fn say(line: &str) {
    io::stderr().write_all(line.as_bytes()).expect("standard error");
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Boots `image` until it has printed `expected`.
#[track_caller]
fn assert_boots(image: &Path, expected: &str, limit: &str) {
    if !image.exists() {
        say(&format!("kvm: skipped: {} is missing\n", image.display()));
        return;
    }
    let arguments = ["--image", path(image), "--expect", expected, "--time-limit", limit];
    let Some(run) = run_guest(&arguments) else { return };
    assert_eq!((run.status, run.err.as_str()), (Some(0), ""), "{}", run.out);
    assert!(run.out.contains(expected), "{}", run.out);
}

/// What the self-test printed, and how many seconds it took.
#[track_caller]
fn assert_self_test(run: &Run) -> f64 {
    assert_eq!((run.status, run.err.as_str()), (Some(0), ""), "{}", run.out);
    for line in [
        "Booting from Floppy...",
        "the drive has 80 cylinders, 2 heads, 18 sectors a track",
        "cylinder 0, head 0, sector 4: 15 sectors good",
        "cylinder 40, head 1, sector 1: 18 sectors good",
        "cylinder 79, head 1, sector 18: written and read again",
        selftest::GOOD,
        "the sector that the guest wrote is in the image, and the others are as they were",
    ] {
        assert!(run.out.lines().any(|printed| printed == line), "{line:?} is missing in {}", run.out);
    }
    let seconds = run.out.lines().find_map(|line| line.split_once(" s, ")?.0.parse().ok());
    seconds.expect("the time that it took")
}

#[test]
fn seabios_reads_and_writes_a_disk() {
    let Some(run) = run_guest(&[]) else { return };
    assert_self_test(&run);
}

#[test]
fn seabios_reads_and_writes_a_disk_in_the_time_of_a_real_drive() {
    let Some(run) = run_guest(&["--authentic"]) else { return };
    let seconds = assert_self_test(&run);
    assert!(seconds > 2.0, "ten tracks of five turns a second take longer than {seconds} s");
}

#[test]
fn a_sector_that_is_not_as_it_was_written_is_found() {
    let mut disk = selftest::disk();
    disk[(40 * 36 + 5) * 512 + 77] ^= 0x10;
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(&disk).expect("an image");
    let Some(run) = run_guest(&["--image", path(file.path()), "--expect", selftest::GOOD]) else { return };
    assert_eq!((run.status, run.err.lines().count()), (Some(1), 1), "{}", run.err);
    assert!(run.out.contains("cylinder 40, head 0, sector 1: not what was written there\n"), "{}", run.out);
    assert!(run.err.contains("halted before it printed"), "{}", run.err);
    assert!(fs::read(file.path()).expect("the image") == disk, "an image that is named is not changed");
}

#[test]
fn the_boot_sector_of_mkfs_fat_runs() {
    assert_boots(&fixture("dos-1440k.img"), "This is not a bootable disk.", "120");
}

#[test]
fn a_720k_disk_boots_in_its_drive() {
    assert_boots(&fixture("dos-720k.img"), "This is not a bootable disk.", "120");
}

#[test]
fn grub_loads_itself() {
    assert_boots(Path::new(GRUB), "Welcome to GRUB!", "300");
}

#[test]
#[ignore = "takes more than a minute where KVM has no help of the processor"]
fn grub_reads_all_of_its_disk() {
    assert_boots(Path::new(GRUB), "GNU GRUB", "900");
}

#[test]
fn a_guest_that_does_not_end_is_one_line_of_error() {
    let Some(run) = run_guest(&["--image", path(&fixture("dos-1440k.img")), "--time-limit", "1"]) else { return };
    assert_eq!((run.status, run.err.as_str()), (Some(1), "kvm: the guest was not done after 1 s\n"), "{}", run.out);
}

#[test]
fn a_host_without_firmware_is_one_line_and_a_status_of_its_own() {
    let folder = TempDir::new().expect("a temporary folder");
    let run = run(&["--bios", path(&folder.path().join("bios.bin"))]);
    assert_eq!((run.status, run.out.as_str(), run.err.lines().count()), (Some(SKIPPED), "", 1), "{}", run.err);
}

#[test]
fn what_is_no_disk_is_one_line_of_error() {
    let folder = TempDir::new().expect("a temporary folder");
    let large = folder.path().join("large.img");
    fs::write(&large, vec![0; 1_600_000]).expect("a file");
    for image in [&folder.path().join("missing.img"), folder.path(), &large] {
        let Some(run) = run_guest(&["--image", path(image)]) else { return };
        assert_eq!((run.status, run.out.as_str(), run.err.lines().count()), (Some(1), "", 1), "{}", run.err);
        assert!(run.err.contains(path(image)), "{}", run.err);
    }
}

#[test]
fn the_self_test_is_what_nasm_makes_of_its_source() {
    let folder = TempDir::new().expect("a temporary folder");
    let made = folder.path().join("selftest.bin");
    let nasm = Command::new("nasm").args(["-f", "bin", "-o"]).arg(&made).arg(fixture("selftest.asm")).output();
    let Ok(Output { status, stderr, .. }) = nasm else {
        say("kvm: skipped: nasm is missing\n");
        return;
    };
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    assert!(fs::read(made).expect("the program") == fs::read(fixture("selftest.bin")).expect("the fixture"));
}
