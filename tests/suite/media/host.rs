//! Failures of the host with the file of an attached image. The process survives, the guest gets an error status, the
//! manager gets a typed error, and the writes of the guest are not lost.

use std::{
    error::Error,
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
    process::Command,
};

use super::kit;
use super::kit::floppy::{BYTES, Backing, SECTOR, attached, byte_of, failure, fill, folder, guest, read, sparse};
use super::kit::status::{DE, DE_DD};
use tempfile::TempDir;
use vm_fdc::{
    drive::{Attachment, HResult, ReleaseError},
    media::{Access, Durability, IfExists, ImageOptions},
};

fn truncate(path: &Path, length: u64) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(length).unwrap();
}

fn unmount_failed(outcome: Result<(), ReleaseError>, path: &Path) -> String {
    let error = outcome.unwrap_err();
    assert_eq!(error.hresult(), HResult::VM_E_MEDIA_UNMOUNT_FAIL);
    let ReleaseError::UnmountFailed { drive: 0, path: Some(reported), source } = &error else { panic!("{error:?}") };
    assert_eq!(reported, path);
    assert_eq!(error.source().unwrap().to_string(), source.to_string());
    source.to_string()
}

// Truncated

#[test]
fn a_truncated_image_stays_readable_while_it_is_attached() {
    for access in [Access::ReadWrite, Access::ReadOnly, Access::Private] {
        let (_folder, path) = folder();
        let (mut guest, drive) = guest();
        drive.attach_image(&path, access).unwrap();
        truncate(&path, 0);
        for sector in [0, 1, 1439, 2879] {
            assert_eq!(read(&mut guest, sector).unwrap(), [byte_of(sector); SECTOR], "{access:?}");
        }
        // Nothing was written, so nothing is lost.
        drive.release_image().unwrap();
    }
}

#[test]
fn a_write_to_a_truncated_image_fails_and_does_not_change_the_file() {
    // §4.12
    for length in [0, 512, BYTES as u64 - 1, BYTES as u64 + 1] {
        let (_folder, path, mut guest, drive) = attached();
        truncate(&path, length);
        assert_eq!(failure(fill(&mut guest, 7, 0xA5)), DE);
        assert_eq!(fs::metadata(&path).unwrap().len(), length);
        // The guest reads what it wrote, and continues.
        assert_eq!(read(&mut guest, 7).unwrap(), [0xA5; SECTOR]);
        let reason = unmount_failed(drive.release_image(), &path);
        assert!(reason.contains(&format!("{length} bytes")), "{reason}");
        assert_eq!(drive.attachment(), Attachment::Image);
    }
}

#[test]
fn failed_writes_to_a_truncated_image_are_made_later() {
    let (_folder, path, mut guest, drive) = attached();
    fill(&mut guest, 3, 0x11).unwrap();
    truncate(&path, 100);
    failure(fill(&mut guest, 4, 0x22));
    truncate(&path, BYTES as u64);
    // The next write command also writes the data of the failed command.
    fill(&mut guest, 2000, 0x33).unwrap();
    assert_eq!(fs::read(&path).unwrap()[4 * SECTOR..][..SECTOR], [0x22; SECTOR]);
    // The release writes all data, also data that the truncation removed from the file.
    drive.release_image().unwrap();
    let file = fs::read(&path).unwrap();
    let written = [(3, 0x11), (4, 0x22), (2000, 0x33)];
    for sector in 0..BYTES / SECTOR {
        let value = written.iter().find(|(there, _)| *there == sector).map_or(byte_of(sector), |&(_, value)| value);
        assert_eq!(file[sector * SECTOR..][..SECTOR], [value; SECTOR], "{sector}");
    }
}

#[test]
fn failed_writes_to_a_truncated_image_can_be_saved_to_another_file() {
    let (folder, path, mut guest, drive) = attached();
    truncate(&path, 0);
    failure(fill(&mut guest, 4, 0x22));
    let other = folder.path().join("saved.img");
    drive.save_image(&other, IfExists::Fail).unwrap();
    let saved = fs::read(&other).unwrap();
    assert_eq!(saved.len(), BYTES);
    for sector in 0..BYTES / SECTOR {
        let value = if sector == 4 { 0x22 } else { byte_of(sector) };
        assert_eq!(saved[sector * SECTOR..][..SECTOR], [value; SECTOR], "{sector}");
    }
}

#[test]
fn a_forced_release_reports_what_may_be_lost() {
    let (_folder, path, mut guest, drive) = attached();
    fill(&mut guest, 3, 0x11).unwrap();
    drive.flush().unwrap();
    truncate(&path, 0);
    failure(fill(&mut guest, 9, 0x22));
    failure(fill(&mut guest, 10, 0x22));
    let loss = drive.force_release().unwrap().unwrap();
    assert_eq!(loss.path.as_deref(), Some(path.as_path()));
    // Also flushed data, because the truncation removed it.
    assert_eq!(loss.ranges, [3 * 512..4 * 512, 9 * 512..11 * 512]);
    assert!(loss.to_string().starts_with("drive 0: up to 1536 bytes"), "{loss}");
    assert_eq!(loss.hresult(), HResult::VM_E_MEDIA_UNMOUNT_FAIL);
    assert_eq!(drive.attachment(), Attachment::None);
    assert_eq!(drive.force_release().unwrap_err().hresult(), HResult::VM_E_NO_MEDIA_CAPTURED);
}

#[test]
fn a_forced_release_that_can_save_loses_nothing() {
    let (_folder, path, mut guest, drive) = attached();
    fill(&mut guest, 3, 0x11).unwrap();
    assert!(drive.force_release().unwrap().is_none());
    assert_eq!(fs::read(&path).unwrap()[3 * SECTOR..][..SECTOR], [0x11; SECTOR]);
    // The file is unlocked.
    drive.attach_image(&path, Access::ReadWrite).unwrap();
}

// Deleted, replaced, made read-only

#[cfg(unix)]
#[test]
fn a_deleted_image_is_kept_until_it_is_saved_elsewhere() {
    let (folder, path, mut guest, drive) = attached();
    fs::remove_file(&path).unwrap();
    fill(&mut guest, 5, 0x77).unwrap();
    assert!(unmount_failed(drive.release_image(), &path).contains("deleted"));
    let other = folder.path().join("saved.img");
    drive.save_image(&other, IfExists::Fail).unwrap();
    assert_eq!(fs::read(&other).unwrap()[5 * SECTOR..][..SECTOR], [0x77; SECTOR]);
    assert!(drive.force_release().unwrap().is_some());
}

#[cfg(unix)]
#[test]
fn the_file_that_replaces_an_image_is_not_written() {
    let (folder, path, mut guest, drive) = attached();
    let other = folder.path().join("other");
    fs::write(&other, "another file").unwrap();
    fs::rename(&other, &path).unwrap();
    fill(&mut guest, 5, 0x77).unwrap();
    assert_eq!(read(&mut guest, 5).unwrap(), [0x77; SECTOR]);
    unmount_failed(drive.release_image(), &path);
    assert_eq!(fs::read(&path).unwrap(), b"another file");
}

#[cfg(unix)]
#[test]
fn a_deleted_image_without_writes_is_released() {
    let (_folder, path, mut guest, drive) = attached();
    fs::remove_file(&path).unwrap();
    assert_eq!(read(&mut guest, 5).unwrap(), [byte_of(5); SECTOR]);
    drive.release_image().unwrap();
}

#[cfg(unix)]
#[test]
fn an_image_that_was_renamed_is_written_where_it_is() {
    let (folder, path, mut guest, drive) = attached();
    let other = folder.path().join("other");
    fs::rename(&path, &other).unwrap();
    fill(&mut guest, 5, 0x77).unwrap();
    drive.release_image().unwrap();
    assert_eq!(fs::read(&other).unwrap()[5 * SECTOR..][..SECTOR], [0x77; SECTOR]);
}

#[test]
fn an_image_that_was_made_read_only_is_still_written() {
    let (_folder, path, mut guest, drive) = attached();
    let mut permissions = fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions).unwrap();
    fill(&mut guest, 5, 0x77).unwrap();
    drive.release_image().unwrap();
    assert_eq!(fs::read(&path).unwrap()[5 * SECTOR..][..SECTOR], [0x77; SECTOR]);
}

// A full disk

/// A mounted file system of this size, which is unmounted when it is dropped.
struct Tmpfs(TempDir);

impl Tmpfs {
    /// Mounts the file system. Prints a message and returns `None` if that is not permitted.
    fn new(bytes: usize) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "vm-fdc-test"])
            .arg(folder.path())
            .output();
        match mount {
            Ok(output) if output.status.success() => Some(Self(folder)),
            Ok(output) => {
                eprintln!("skipped: cannot mount a tmpfs: {}", String::from_utf8_lossy(&output.stderr).trim());
                None
            }
            Err(error) => {
                eprintln!("skipped: cannot run mount: {error}");
                None
            }
        }
    }

    fn image(&self) -> PathBuf {
        self.0.path().join("a.img")
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_fails_the_write_and_the_release_of_a_sparse_image_until_there_is_space() {
    // §4.12
    let Some(disk) = Tmpfs::new(2 * BYTES) else { return };
    let path = disk.image();
    sparse(&path);
    let other = disk.0.path().join("other");
    let (mut guest, drive) = guest();
    drive.attach_image(&path, Access::ReadWrite).unwrap();
    fill(&mut guest, 8, 0x11).unwrap();
    // Fills the disk.
    _ = fs::write(&other, vec![1; 4 * BYTES]);
    assert_eq!(failure(fill(&mut guest, 800, 0x22)), DE);
    assert_eq!(read(&mut guest, 800).unwrap(), [0x22; SECTOR]);
    unmount_failed(drive.release_image(), &path);
    fs::remove_file(&other).unwrap();
    drive.release_image().unwrap();
    let file = fs::read(&path).unwrap();
    assert_eq!(file[8 * SECTOR..][..SECTOR], [0x11; SECTOR]);
    assert_eq!(file[800 * SECTOR..][..SECTOR], [0x22; SECTOR]);
}

#[test]
fn the_space_of_a_mapped_image_is_allocated_before_the_guest_writes() {
    let Some(disk) = Tmpfs::new(BYTES / 2) else { return };
    let path = disk.image();
    sparse(&path);
    let (mut guest, drive) = guest();
    let mapped = Backing::Mapped.of(Access::ReadWrite.into());
    let error = drive.attach_image(&path, mapped).unwrap_err();
    assert_eq!(error.hresult(), HResult::VM_E_IMAGE_CAPTURE_FAIL, "{error}");
    drop(disk);

    let Some(disk) = Tmpfs::new(2 * BYTES) else { return };
    let path = disk.image();
    sparse(&path);
    drive.attach_image(&path, mapped).unwrap();
    _ = fs::write(disk.0.path().join("other"), vec![1; 4 * BYTES]);
    for sector in [0, 800, 2879] {
        fill(&mut guest, sector, 0x22).unwrap();
    }
    drive.release_image().unwrap();
    assert_eq!(fs::read(&path).unwrap()[800 * SECTOR..][..SECTOR], [0x22; SECTOR]);
}

#[test]
fn a_full_disk_fails_the_flush_of_deferred_writes() {
    let Some(disk) = Tmpfs::new(BYTES / 2) else { return };
    let path = disk.image();
    sparse(&path);
    let (mut guest, drive) = guest();
    drive.attach_image(&path, ImageOptions::new(Access::ReadWrite).with_durability(Durability::OnFlush)).unwrap();
    for sector in (0..2880).step_by(8) {
        fill(&mut guest, sector, 0x22).unwrap();
    }
    let error = drive.flush().unwrap_err();
    assert_eq!(error.hresult(), HResult::VM_E_MEDIA_UNMOUNT_FAIL, "{error}");
    assert!(drive.force_release().unwrap().is_some());
}

// What the host cannot read

#[test]
fn a_host_drive_fails_only_in_the_sectors_that_the_host_cannot_read() {
    // §4.12: here the sectors behind the end of a truncated file that takes the place of a drive
    let (_folder, path) = folder();
    let (mut guest, drive) = guest();
    drive.attach_host_drive(&path, Access::ReadOnly).unwrap();
    assert_eq!(read(&mut guest, 0).unwrap(), [byte_of(0); SECTOR]);
    truncate(&path, 100 * SECTOR as u64);
    assert_eq!(read(&mut guest, 99).unwrap(), [byte_of(99); SECTOR]);
    assert_eq!(failure(read(&mut guest, 100)), DE_DD);
    // A command for several sectors delivers the good sectors, and its result has the bad one.
    guest.seek(2);
    let sectors = kit::Sectors { cylinder: 2, head: 1, sector: 1, bytes: 18 * SECTOR, end_of_track: 18 };
    let Err(kit::DriverError::Failed(reply)) = guest.read_dma(sectors) else { panic!("it was read") };
    assert_eq!([reply[1], reply[2], reply[3], reply[4], reply[5]], [0x20, 0x20, 2, 1, 11]);
    // Sectors that were read stay in memory.
    truncate(&path, 0);
    assert_eq!(read(&mut guest, 0).unwrap(), [byte_of(0); SECTOR]);
}

// Other processes

/// Returns the command that runs one of the `child_` tests in another process. Without it, these tests do nothing.
fn child(name: &str, path: &Path) -> Command {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", name, "--nocapture"]).env("VM_FDC_CHILD", path);
    child
}

/// Returns the path that the parent process passes.
fn path_of_parent() -> Option<PathBuf> {
    std::env::var_os("VM_FDC_CHILD").map(PathBuf::from)
}

#[test]
fn child_attaches() {
    let Some(path) = path_of_parent() else { return };
    let (_guest, drive) = guest();
    for access in [Access::ReadWrite, Access::ReadOnly, Access::Private] {
        let outcome = drive.attach_image(&path, access);
        println!(
            "{access:?}: {}",
            outcome.map_or_else(|error| error.hresult().to_string(), |()| "attached".to_owned())
        );
        _ = drive.release_image();
    }
}

#[test]
fn a_writing_process_excludes_all_others_and_readers_share() {
    let (_folder, path) = folder();
    let fail = HResult::VM_E_IMAGE_CAPTURE_FAIL;
    for (ours, theirs) in [
        (Access::ReadWrite, [fail.to_string(), fail.to_string(), fail.to_string()]),
        (Access::ReadOnly, [fail.to_string(), "attached".to_owned(), "attached".to_owned()]),
        (Access::Private, [fail.to_string(), "attached".to_owned(), "attached".to_owned()]),
    ] {
        let (_guest, drive) = guest();
        drive.attach_image(&path, ours).unwrap();
        let output = child("media::host::child_attaches", &path).output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        for (access, outcome) in [Access::ReadWrite, Access::ReadOnly, Access::Private].into_iter().zip(theirs) {
            assert!(printed.contains(&format!("{access:?}: {outcome}")), "{ours:?}: {printed}");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn child_has_little_address_space() {
    let Some(path) = path_of_parent() else { return };
    let (_guest, drive) = guest();
    let mut held = Vec::new();
    // Allocates the remaining address space, so that the image does not fit.
    for size in [1 << 24, 1 << 20, 1 << 18] {
        loop {
            let mut more: Vec<u8> = Vec::new();
            if more.try_reserve_exact(size).is_err() {
                break;
            }
            held.push(more);
        }
    }
    for backing in [Backing::Memory, Backing::Mapped] {
        let outcome = drive.attach_image(&path, backing.of(Access::ReadWrite.into()));
        let code = outcome.unwrap_err().hresult();
        held.truncate(held.len() - 1);
        println!("{backing:?}: {code}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_attach_without_address_space_is_out_of_memory() {
    let (_folder, path) = folder();
    let exe = std::env::current_exe().unwrap();
    let output = Command::new("sh")
        .args(["-c", "ulimit -v 400000; exec \"$0\" --exact media::host::child_has_little_address_space --nocapture"])
        .arg(exe)
        .env("VM_FDC_CHILD", &path)
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    for backing in ["Memory", "Mapped"] {
        assert!(printed.contains(&format!("{backing}: {}", HResult::E_OUTOFMEMORY)), "{printed}{output:?}");
    }
}

// Paths

#[cfg(unix)]
#[test]
fn a_pipe_is_refused_without_a_wait() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let (_guest, drive) = guest();
    assert_eq!(drive.attach_image(&path, Access::ReadOnly).unwrap_err().hresult(), HResult::VM_E_IMAGE_CAPTURE_FAIL);
    assert_eq!(drive.attach_host_drive(&path, Access::ReadOnly).unwrap_err().hresult(), HResult::E_INVALIDARG);
}

#[test]
fn a_file_of_one_byte_too_many_or_too_few_is_no_image() {
    let (folder, _) = folder();
    for bytes in [1, BYTES - 1, BYTES + 1] {
        let path = folder.path().join("odd.img");
        File::create(&path).unwrap().set_len(bytes as u64).unwrap();
        let (_guest, drive) = guest();
        let error = drive.attach_image(&path, Access::ReadWrite).unwrap_err();
        assert_eq!(error.hresult(), HResult::VM_E_IMAGE_CAPTURE_FAIL, "{bytes}");
        assert!(error.source().unwrap().to_string().contains(&bytes.to_string()));
    }
}

// Regression tests of lost data

#[test]
fn flushed_data_is_written_again_after_a_truncation() {
    let (_folder, path, mut guest, drive) = attached();
    fill(&mut guest, 3, 0xFB).unwrap();
    drive.flush().unwrap();
    truncate(&path, 0);
    failure(fill(&mut guest, 9, 0xFC));
    truncate(&path, BYTES as u64);
    drive.release_image().unwrap();
    assert_eq!(fs::read(&path).unwrap()[3 * SECTOR..][..SECTOR], [0xFB; SECTOR]);
}

#[test]
fn a_release_of_a_file_that_lost_flushed_data_fails() {
    let (_folder, path, mut guest, drive) = attached();
    fill(&mut guest, 3, 0xFB).unwrap();
    drive.flush().unwrap();
    truncate(&path, 0);
    unmount_failed(drive.release_image(), &path);
}

#[test]
fn a_write_with_space_succeeds_after_a_write_without_space() {
    let Some(disk) = Tmpfs::new(2 * BYTES) else { return };
    let path = disk.image();
    sparse(&path);
    let (mut guest, drive) = guest();
    drive.attach_image(&path, Access::ReadWrite).unwrap();
    fill(&mut guest, 1600, 0x11).unwrap();
    _ = fs::write(disk.0.path().join("other"), vec![1; 4 * BYTES]);
    assert_eq!(failure(fill(&mut guest, 3, 0xFB)), DE);
    fill(&mut guest, 1602, 0xFC).unwrap();
    assert_eq!(fs::read(&path).unwrap()[1602 * SECTOR..][..SECTOR], [0xFC; SECTOR]);
}

#[cfg(unix)]
#[test]
fn a_replaced_image_with_another_link_cannot_be_released() {
    let (folder, path, mut guest, drive) = attached();
    fs::hard_link(&path, folder.path().join("link")).unwrap();
    let other = folder.path().join("other");
    fs::write(&other, "another file").unwrap();
    fs::rename(&other, &path).unwrap();
    fill(&mut guest, 5, 0x77).unwrap();
    unmount_failed(drive.release_image(), &path);
}

#[cfg(unix)]
#[test]
fn a_deleted_mapped_image_stays_usable_and_cannot_be_released() {
    for durability in [Durability::AtRelease, Durability::EveryCommand] {
        let (_folder, path) = folder();
        let (mut guest, drive) = guest();
        drive
            .attach_image(&path, Backing::Mapped.of(ImageOptions::new(Access::ReadWrite).with_durability(durability)))
            .unwrap();
        fill(&mut guest, 5, 0x77).unwrap();
        drive.flush().unwrap();
        fs::remove_file(&path).unwrap();
        fill(&mut guest, 6, 0x77).unwrap();
        if durability == Durability::AtRelease {
            unmount_failed(drive.release_image(), &path);
        }
    }
}

#[test]
fn a_truncated_mapped_image_cannot_be_released_or_saved() {
    let (folder, path) = folder();
    let (mut guest, drive) = guest();
    drive.attach_image(&path, Backing::Mapped.of(Access::ReadWrite.into())).unwrap();
    fill(&mut guest, 5, 0x77).unwrap();
    truncate(&path, 1_000_000);
    unmount_failed(drive.release_image(), &path);
    drive.save_image(folder.path().join("saved.img"), IfExists::Fail).unwrap_err();
    truncate(&path, BYTES as u64);
    drive.release_image().unwrap();
}
