//! The example `kvm` as a process: SeaBIOS and the disks that it boots, on a real processor. Without KVM or an image, the
//! tests that need it are skipped with a message. It is a binary of its own, because the guests measure time, and tests that
//! run at the same time would delay them.
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

/// The exit status of the example if the host lacks something.
const SKIPPED: i32 = 77;
/// The exit status of the example if SeaBIOS finds no disk to boot from.
const NO_BOOT_DISK: i32 = 3;

/// The image of the Debian package `grub-rescue-pc`.
const GRUB: &str = "/usr/lib/grub-rescue/grub-rescue-floppy.img";
/// A file of the Debian package `memtest86+`, which is also a floppy image.
const MEMTEST: &str = "/boot/memtest86+ia32.bin";
/// A file of the Debian package `ipxe`, which has no floppy image.
const IPXE: &str = "/boot/ipxe.lkrn";

/// The outcome of the example.
struct Run {
    status: Option<i32>,
    out: String,
    err: String,
}

/// Runs the example in `target/PROFILE/examples/`; this test is in `target/PROFILE/deps/`.
fn run(arguments: &[&str]) -> Run {
    let test = env::current_exe().expect("the path of this test");
    let profile = test.parent().and_then(Path::parent).expect("the folder of the profile");
    let example = profile.join("examples").join("kvm");
    assert!(example.exists(), "{} is built by `cargo test` or `cargo build --examples`", example.display());
    let Output { status, stdout, stderr } = Command::new(example).args(arguments).output().expect("the example runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Run { status: status.code(), out: text(stdout), err: text(stderr) }
}

/// Runs the example with a guest. Prints a message and returns `None` if it cannot run here.
fn run_guest(arguments: &[&str]) -> Option<Run> {
    let run = run(arguments);
    if run.status == Some(SKIPPED) {
        assert_eq!((run.out.as_str(), run.err.lines().count()), ("", 1), "{}", run.err);
        say(&run.err);
        return None;
    }
    Some(run)
}

/// Prints a message, also if the test runner hides the output of tests that pass.
fn say(line: &str) {
    io::stderr().write_all(line.as_bytes()).expect("standard error");
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Checks that a file exists. Prints a message if it does not.
fn is_there(file: &Path) -> bool {
    let there = file.exists();
    if !there {
        say(&format!("kvm: skipped: {} is missing\n", file.display()));
    }
    there
}

/// Boots `image` until it has printed `expected`.
#[track_caller]
fn assert_boots(image: &Path, expected: &str, limit: &str) {
    if !is_there(image) {
        return;
    }
    let arguments = ["--image", path(image), "--expect", expected, "--time-limit", limit];
    let Some(run) = run_guest(&arguments) else { return };
    assert_eq!((run.status, run.err.as_str()), (Some(0), ""), "{}", run.out);
    assert!(run.out.contains(expected), "{}", run.out);
}

/// Creates the image of a 1.44M disk with a FAT file system, SYSLINUX and `files`. Prints a message and returns `None`
/// without the Debian packages `mtools` and `syslinux`.
fn syslinux_disk(folder: &Path, files: &[&Path]) -> Option<PathBuf> {
    let disk = folder.join("disk.img");
    let files: Vec<_> = files.iter().map(|file| path(file)).collect();
    for (program, before, after) in [
        ("mformat", &["-C", "-f", "1440", "-i"][..], &["::"][..]),
        ("mcopy", &["-i"], &[&files[..], &["::"]].concat()),
        ("syslinux", &["--install"], &[]),
    ] {
        let Ok(Output { status, stderr, .. }) = Command::new(program).args(before).arg(&disk).args(after).output()
        else {
            say(&format!("kvm: skipped: {program} is missing\n"));
            return None;
        };
        assert!(status.success(), "{program}: {}", String::from_utf8_lossy(&stderr));
    }
    Some(disk)
}

/// Creates an image with only a boot sector, which begins with `program`.
fn boot_sector(program: &[u8]) -> NamedTempFile {
    let mut sector = [0; 512];
    sector[..program.len()].copy_from_slice(program);
    sector[510..].copy_from_slice(&[0x55, 0xAA]);
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(&sector).expect("an image");
    file
}

/// Checks the output of the self-test. Returns its duration in seconds.
#[track_caller]
fn assert_self_test(run: &Run) -> f64 {
    assert_eq!((run.status, run.err.as_str()), (Some(0), ""), "{}", run.out);
    // SeaBIOS holds back the last characters of its line, and not always prints them before the self-test begins: the line has
    // no certain end.
    assert!(run.out.lines().any(|printed| printed.starts_with("Booting from Floppy")), "{}", run.out);
    for line in [
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
    assert!(seconds > 2.0, "ten tracks at five revolutions a second take longer than {seconds} s");
}

#[test]
fn a_sector_with_wrong_data_is_reported() {
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

// Systems of Debian. Some KVM hosts have no virtualization hardware and emulate the processor, a hundred times slower:
// there a test that is ignored takes minutes.

#[test]
fn grub_loads_itself() {
    assert_boots(Path::new(GRUB), "Welcome to GRUB!", "300");
}

#[test]
#[ignore = "takes more than a minute without virtualization hardware"]
fn grub_reads_all_of_its_disk() {
    assert_boots(Path::new(GRUB), "GNU GRUB", "900");
}

/// Its boot sector finds the number of sectors of a track by reading sectors that may not exist. Without virtualization
/// hardware, memtest86+ cannot test the memory: KVM emulates no floating-point instruction, and the first one follows
/// this line.
#[test]
fn memtest86_loads_itself_and_counts_the_memory() {
    assert_boots(Path::new(MEMTEST), "Memory  :   64MB", "300");
}

/// The line is from a file that follows another of 1 MiB.
#[test]
fn syslinux_reads_its_file_system() {
    const LINE: &str = "SYSLINUX read the last file of vm-fdc";
    let folder = TempDir::new().expect("a temporary folder");
    let [filler, config, last] = ["filler.bin", "syslinux.cfg", "last.cfg"].map(|name| folder.path().join(name));
    fs::write(&filler, vec![0xF6; 1 << 20]).expect("a file");
    fs::write(&config, "INCLUDE last.cfg\n").expect("a file");
    fs::write(&last, format!("SAY {LINE}\n")).expect("a file");
    let Some(disk) = syslinux_disk(folder.path(), &[&filler, &config, &last]) else { return };
    assert_boots(&disk, LINE, "300");
}

#[test]
#[ignore = "takes three minutes without virtualization hardware"]
fn syslinux_loads_ipxe() {
    if !is_there(Path::new(IPXE)) {
        return;
    }
    let folder = TempDir::new().expect("a temporary folder");
    let config = folder.path().join("syslinux.cfg");
    fs::write(&config, "DEFAULT ipxe.lkrn\n").expect("a file");
    let Some(disk) = syslinux_disk(folder.path(), &[&config, Path::new(IPXE)]) else { return };
    assert_boots(&disk, "Open Source Network Boot Firmware", "900");
}

#[test]
fn a_disk_that_does_not_boot_ends_the_run_with_a_status_of_its_own() {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(&[0; 1_474_560]).expect("an image");
    let Some(run) = run_guest(&["--image", path(file.path()), "--expect", "anything else"]) else { return };
    assert_eq!((run.status, run.err.lines().count()), (Some(NO_BOOT_DISK), 1), "{}", run.err);
    assert!(run.out.contains("Boot failed: not a bootable disk"), "{}", run.out);
    assert!(run.err.contains("no disk to boot from"), "{}", run.err);
}

#[test]
fn a_reset_of_the_guest_ends_the_run_and_a_short_image_is_padded() {
    let sector = boot_sector(&[0xB0, 0x01, 0xE6, 0x92]); // mov al, 1; out 92h, al
    let Some(run) = run_guest(&["--image", path(sector.path())]) else { return };
    assert_eq!((run.status, run.err.lines().count()), (Some(1), 1), "{}", run.err);
    assert!(run.err.contains("requested a reset, which ends the run"), "{}", run.err);
    assert!(run.out.contains("512 of 1474560 bytes; the rest reads as zeros"), "{}", run.out);
}

#[test]
fn the_help_explains_the_exit_codes() {
    let run = run(&["--help"]);
    let listed: Vec<_> = run.out.lines().skip_while(|line| *line != "Exit codes:").skip(1).collect();
    for code in [0, 1, 2, NO_BOOT_DISK, SKIPPED] {
        assert!(
            listed.iter().any(|line| line.starts_with(&format!("{code:>4}  "))),
            "{code} is missing in {}",
            run.out
        );
    }
}

#[test]
fn a_guest_that_does_not_end_is_one_line_of_error() {
    let Some(run) = run_guest(&["--image", path(&fixture("dos-1440k.img")), "--time-limit", "1"]) else { return };
    assert_eq!((run.status, run.err.as_str()), (Some(1), "kvm: the guest was not done after 1 s\n"), "{}", run.out);
}

#[test]
fn a_host_without_firmware_is_one_line_and_its_own_status() {
    let folder = TempDir::new().expect("a temporary folder");
    let run = run(&["--bios", path(&folder.path().join("bios.bin"))]);
    assert_eq!((run.status, run.out.as_str(), run.err.lines().count()), (Some(SKIPPED), "", 1), "{}", run.err);
}

#[test]
fn a_file_that_is_no_disk_is_one_line_of_error() {
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
fn the_self_test_equals_the_output_of_nasm() {
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
