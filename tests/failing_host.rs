//! A host whose calls fail: reads, syncs and unlocks return an error, once or always, as with a defective disk. This file
//! replaces the functions of the C library that std calls. Without a planned failure they call the kernel. It is a binary of
//! its own, because the replacement is for a whole process, and only for Linux on x86-64.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(unsafe_code)] // Replaces functions of the C library.

mod kit;

use std::{
    ffi::{c_char, c_int, c_void},
    fs::{self, OpenOptions},
    os::{fd::FromRawFd, unix::fs::FileExt},
    path::Path,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use kit::floppy::{Backing, SECTOR, attached, byte_of, failure, fill, folder, guest, read};
use vm_fdc::{
    FloppyDrive,
    drive::{AttachError, ReleaseError, SaveError},
    media::{Access, CreateError, Durability, Geometry, IfExists, ImageError, ImageOptions, Length, Lock},
};

/// The planned failures of the host.
#[derive(Default)]
struct Plan {
    /// Offsets in a file that cannot be read, and the number of failures.
    unreadable: Vec<(i64, u32)>,
    /// The next syncs: their duration in milliseconds, and whether they fail.
    syncs: Vec<(u64, bool)>,
    /// The number of unlocks that fail.
    unlocks: u32,
    /// The error of all locks; 0 for none.
    locks: c_int,
    /// The error with which files cannot be opened to be written; 0 for none.
    opens: c_int,
    /// The error of all syncs of folders; 0 for none.
    folders: c_int,
    /// The error of all writes to files; 0 for none.
    writes: c_int,
    /// The number of bytes for which a file has room; 0 for no limit.
    room: i64,
    /// The number of changes of a file's length that fail.
    lengths: u32,
}

static PLAN: Mutex<Plan> = Mutex::new(Plan {
    unreadable: Vec::new(),
    syncs: Vec::new(),
    unlocks: 0,
    locks: 0,
    opens: 0,
    folders: 0,
    writes: 0,
    room: 0,
    lengths: 0,
});
static SYNCS: AtomicU32 = AtomicU32::new(0);
static WRITES: AtomicU32 = AtomicU32::new(0);

fn plan() -> MutexGuard<'static, Plan> {
    PLAN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns a lock, with which one test at a time plans failures.
fn host() -> MutexGuard<'static, ()> {
    static HOST: Mutex<()> = Mutex::new(());
    let host = HOST.lock().unwrap_or_else(PoisonError::into_inner);
    *plan() = Plan::default();
    host
}

fn fails() -> c_int {
    fails_with(libc::EIO)
}

fn fails_with(error: c_int) -> c_int {
    // SAFETY: the pointer is to a variable of this thread.
    unsafe { *libc::__errno_location() = error };
    -1
}

#[unsafe(no_mangle)]
extern "C" fn pread64(file: c_int, bytes: *mut c_void, count: usize, offset: i64) -> isize {
    let bad = plan().unreadable.iter_mut().any(|(place, times)| {
        let meant = (offset..offset + count as i64).contains(place) && *times > 0;
        *times -= u32::from(meant && *times < u32::MAX);
        meant
    });
    // SAFETY: the caller guarantees the arguments, which have the order of the system call.
    if bad {
        fails() as isize
    } else {
        unsafe { libc::syscall(libc::SYS_pread64, file, bytes, count, offset) as isize }
    }
}

#[unsafe(no_mangle)]
extern "C" fn pwrite64(file: c_int, bytes: *const c_void, count: usize, offset: i64) -> isize {
    let error = plan().writes;
    WRITES.fetch_add(1, SeqCst);
    if error != 0 {
        return fails_with(error) as isize;
    }
    let room = plan().room;
    if room > 0 && offset >= room {
        return fails_with(libc::ENOSPC) as isize;
    }
    let count = if room > 0 { count.min((room - offset) as usize) } else { count };
    // SAFETY: as above.
    unsafe { libc::syscall(libc::SYS_pwrite64, file, bytes, count, offset) as isize }
}

#[unsafe(no_mangle)]
extern "C" fn ftruncate64(file: c_int, length: i64) -> c_int {
    let mut plan = plan();
    if plan.lengths > 0 {
        plan.lengths -= 1;
        return fails();
    }
    drop(plan);
    // SAFETY: as above.
    unsafe { libc::syscall(libc::SYS_ftruncate, file, length) as c_int }
}

#[unsafe(no_mangle)]
extern "C" fn fdatasync(file: c_int) -> c_int {
    let next = {
        let mut plan = plan();
        if plan.syncs.is_empty() { (0, false) } else { plan.syncs.remove(0) }
    };
    thread::sleep(Duration::from_millis(next.0));
    SYNCS.fetch_add(1, SeqCst);
    // SAFETY: as above.
    if next.1 { fails() } else { unsafe { libc::syscall(libc::SYS_fdatasync, file) as c_int } }
}

#[unsafe(no_mangle)]
extern "C" fn flock(file: c_int, operation: c_int) -> c_int {
    let mut plan = plan();
    if operation == libc::LOCK_UN && plan.unlocks > 0 {
        plan.unlocks -= 1;
        return fails();
    }
    if operation != libc::LOCK_UN && plan.locks != 0 {
        return fails_with(plan.locks);
    }
    drop(plan);
    // SAFETY: as above.
    unsafe { libc::syscall(libc::SYS_flock, file, operation) as c_int }
}

#[unsafe(no_mangle)]
extern "C" fn open64(path: *const c_char, flags: c_int, mode: c_int) -> c_int {
    let error = plan().opens;
    if error != 0 && flags & libc::O_ACCMODE != libc::O_RDONLY {
        return fails_with(error);
    }
    // SAFETY: as above. A mode that the caller did not pass is not looked at.
    unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path, flags, mode) as c_int }
}

#[unsafe(no_mangle)]
extern "C" fn fsync(file: c_int) -> c_int {
    let error = plan().folders;
    // SAFETY: as above; the handle is not closed.
    let is_folder = unsafe {
        let file = std::mem::ManuallyDrop::new(std::fs::File::from_raw_fd(file));
        file.metadata().is_ok_and(|file| file.is_dir())
    };
    if error != 0 && is_folder {
        return fails_with(error);
    }
    // SAFETY: as above.
    unsafe { libc::syscall(libc::SYS_fsync, file) as c_int }
}

fn in_file(path: &Path, sector: usize) -> Vec<u8> {
    fs::read(path).unwrap()[sector * SECTOR..][..SECTOR].to_vec()
}

/// Overwrites a sector of the file, as a host loses a page that it could not write.
fn lose(path: &Path, sector: usize) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&[0; SECTOR], (sector * SECTOR) as u64).unwrap();
}

fn every_command(backing: Backing) -> ImageOptions {
    backing.of(ImageOptions::new(Access::ReadWrite).with_durability(Durability::EveryCommand))
}

#[test]
fn a_repeated_release_writes_the_data_of_the_failed_release_again() {
    let _host = host();
    let (_folder, path, mut guest, drive) = attached();
    fill(&mut guest, 3, 0xFB).unwrap();
    plan().syncs = vec![(0, true)];
    assert!(matches!(drive.release_image(), Err(ReleaseError::UnmountFailed { .. })));
    lose(&path, 3);
    drive.release_image().unwrap();
    assert_eq!(in_file(&path, 3), [0xFB; SECTOR]);
}

#[test]
fn a_durable_command_fails_with_its_sync_and_is_written_again() {
    let _host = host();
    for backing in [Backing::Memory, Backing::Mapped] {
        let (_folder, path) = folder();
        let (mut guest, drive) = guest();
        drive.attach_image(&path, every_command(backing)).unwrap();
        plan().syncs = vec![(0, true)];
        assert_eq!(failure(fill(&mut guest, 3, 0xFB)), [0x40, 0x20, 0x00], "{backing:?}");
        let before = SYNCS.load(SeqCst);
        drive.release_image().unwrap();
        assert!(SYNCS.load(SeqCst) > before, "{backing:?}");
        assert_eq!(in_file(&path, 3), [0xFB; SECTOR], "{backing:?}");
    }
}

#[test]
fn an_error_reported_to_the_guest_is_reported_to_a_waiting_manager() {
    let _host = host();
    for backing in [Backing::Memory, Backing::Mapped] {
        let (_folder, path) = folder();
        let (mut guest, drive) = guest();
        drive.attach_image(&path, every_command(backing)).unwrap();
        plan().syncs = vec![(0, true), (400, false), (0, true)];
        failure(fill(&mut guest, 3, 0xFB));
        let manager = drive.clone();
        let flush = thread::spawn(move || manager.flush());
        thread::sleep(Duration::from_millis(100));
        failure(fill(&mut guest, 2000, 0xFC));
        flush.join().unwrap().unwrap_err();
        // The reverse: a failure for the manager is kept even if a command succeeds in the meantime.
        plan().syncs = vec![(400, true), (0, false)];
        let manager = drive.clone();
        let flush = thread::spawn(move || manager.flush());
        thread::sleep(Duration::from_millis(100));
        fill(&mut guest, 2001, 0xFD).unwrap();
        flush.join().unwrap().unwrap_err();
        let before = SYNCS.load(SeqCst);
        drive.release_image().unwrap();
        assert!(SYNCS.load(SeqCst) > before, "{backing:?}");
        assert_eq!(in_file(&path, 3), [0xFB; SECTOR], "{backing:?}");
    }
}

#[test]
fn a_file_that_cannot_be_unlocked_stays_attached_with_its_data() {
    let _host = host();
    for (backing, access) in [
        (Backing::Memory, Access::Private),
        (Backing::Mapped, Access::Private),
        (Backing::Memory, Access::ReadWrite),
        (Backing::Mapped, Access::ReadWrite),
    ] {
        let (folder, path) = folder();
        let (mut guest, drive) = guest();
        drive.attach_image(&path, backing.of(access.into())).unwrap();
        fill(&mut guest, 3, 0xFB).unwrap();
        plan().unlocks = 1;
        assert!(matches!(drive.release_image(), Err(ReleaseError::UnlockFailed { drive: 0, path: Some(_), .. })));
        assert_eq!(read(&mut guest, 3).unwrap(), [0xFB; SECTOR], "{backing:?}, {access:?}");
        let saved = folder.path().join("saved.img");
        drive.save_image(&saved, IfExists::Fail).unwrap();
        assert_eq!(in_file(&saved, 3), [0xFB; SECTOR], "{backing:?}, {access:?}");
        drive.release_image().unwrap();
    }
}

#[test]
fn a_sector_read_at_the_third_try_does_not_hide_an_unreadable_sector() {
    // §4.12
    let _host = host();
    let (folder, path) = folder();
    let (mut guest, drive) = guest();
    drive.attach_host_drive(&path, Access::ReadOnly).unwrap();
    plan().unreadable = vec![(5 * 512, 2), (9 * 512, u32::MAX)];
    let saved = folder.path().join("saved.img");
    assert!(matches!(drive.save_image(&saved, IfExists::Fail), Err(SaveError::Unreadable { drive: 0, .. })));
    assert_eq!(failure(read(&mut guest, 9)), [0x40, 0x20, 0x20]);
    assert_eq!(read(&mut guest, 5).unwrap(), [byte_of(5); SECTOR]);
    plan().unreadable.clear();
    drive.save_image(&saved, IfExists::Fail).unwrap();
    assert_eq!(in_file(&saved, 9), [byte_of(9); SECTOR]);
}

#[test]
fn a_sector_that_cannot_be_read_at_the_attach_fails_alone() {
    // §4.12
    let _host = host();
    let (_folder, path) = folder();
    let (mut guest, drive) = guest();
    plan().unreadable = vec![(9 * 512, u32::MAX)];
    drive.attach_image(&path, Access::ReadOnly).unwrap();
    assert_eq!(failure(read(&mut guest, 9)), [0x40, 0x20, 0x20]);
    for sector in [0, 8, 10, 2879] {
        assert_eq!(read(&mut guest, sector).unwrap(), [byte_of(sector); SECTOR]);
    }
}

#[test]
fn the_guest_continues_while_a_release_waits_for_the_host() {
    let _host = host();
    for backing in [Backing::Memory, Backing::Mapped] {
        let (_folder, path) = folder();
        let (mut guest, drive) = guest();
        drive.attach_image(&path, backing.of(Access::ReadWrite.into())).unwrap();
        fill(&mut guest, 3, 0xFB).unwrap();
        plan().syncs = vec![(1_500, false)];
        let manager = drive.clone();
        let release = thread::spawn(move || manager.release_image());
        thread::sleep(Duration::from_millis(100));
        // All these commands complete before the sync.
        for sector in 0..100 {
            fill(&mut guest, sector, 0xEE).unwrap();
        }
        assert!(!release.is_finished());
        release.join().unwrap().unwrap();
        assert_eq!(in_file(&path, 99), [0xEE; SECTOR], "{backing:?}");
    }
}

#[test]
fn a_command_hands_over_few_of_the_blocks_that_the_host_refused() {
    let _host = host();
    let (_folder, path, mut guest, drive) = attached();
    plan().writes = libc::ENOSPC;
    for sector in (0..2_000).step_by(2) {
        failure(fill(&mut guest, sector, 0x11));
    }
    plan().writes = 0;
    // Each command writes its own sector, and some of the others.
    for sector in [2_100, 2_200, 2_300] {
        let before = WRITES.load(SeqCst);
        fill(&mut guest, sector, 0x22).unwrap();
        assert_eq!(WRITES.load(SeqCst) - before, 2, "{sector}");
    }
    assert_eq!(in_file(&path, 0), [0x11; SECTOR]);
    assert_eq!(in_file(&path, 4), [0x11; SECTOR]);
    assert_eq!(in_file(&path, 6), [byte_of(6); SECTOR]);
    drive.release_image().unwrap();
    for sector in 0..2_000 {
        let value = if sector % 2 == 0 { 0x11 } else { byte_of(sector) };
        assert_eq!(in_file(&path, sector), [value; SECTOR], "{sector}");
    }
}

#[test]
fn a_flush_writes_only_what_is_not_in_the_file() {
    let _host = host();
    let (_folder, path, mut guest, drive) = attached();
    let writes = |expected: u32, action: &mut dyn FnMut()| {
        let before = WRITES.load(SeqCst);
        action();
        assert_eq!(WRITES.load(SeqCst) - before, expected);
    };
    writes(100, &mut || (0..100).for_each(|sector| _ = fill(&mut guest, sector * 2, 0xFB).unwrap()));
    writes(0, &mut || drive.flush().unwrap());
    writes(1, &mut || _ = fill(&mut guest, 7, 0xFC).unwrap());
    // The host may have lost what it has failed to save: all of it is written again.
    plan().syncs = vec![(0, true)];
    writes(0, &mut || _ = drive.flush().unwrap_err());
    lose(&path, 7);
    writes(1, &mut || drive.flush().unwrap());
    assert_eq!(in_file(&path, 7), [0xFC; SECTOR]);
    drive.release_image().unwrap();
}

#[test]
fn a_file_whose_length_cannot_be_restored_at_once_gets_it_later() {
    let _host = host();
    let (_folder, path, mut guest, drive) = reformattable(737_280, Durability::AtRelease);
    (plan().room, plan().lengths) = (1_000_000, 1);
    assert_eq!(format_disk(&mut guest, 0b00, 18), [0x40, 0x20, 0]);
    // From now on the host can change lengths again, and has still no room.
    assert!(drive.release_image().is_err());
    assert!(drive.force_release().unwrap().is_some());
    assert_eq!(fs::metadata(&path).unwrap().len(), 737_280);
}

#[test]
fn a_short_file_keeps_its_bytes_if_there_is_no_room_for_another_disk() {
    let _host = host();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.img");
    fs::write(&path, [0x11; 1_000]).unwrap();
    let (mut guest, drive) = guest();
    let options = ImageOptions::new(Access::ReadWrite).with_reformat(true).with_length(Length::Pad);
    drive.attach_image(&path, options.with_geometry(Geometry::HD_1440K)).unwrap();
    plan().room = 100_000;
    assert_eq!(format_disk(&mut guest, 0b10, 9), [0x40, 0x20, 0]);
    assert!(drive.force_release().unwrap().is_some());
    assert!(fs::read(&path).unwrap() == [0x11; 1_000]);
}

#[test]
fn a_folder_that_cannot_be_synced_is_told() {
    let _host = host();
    let (folder, path) = folder();
    let (_guest, drive) = guest();
    drive.attach_image(&path, Access::ReadOnly).unwrap();
    let saved = folder.path().join("saved.img");
    plan().folders = libc::EIO;
    let error = drive.save_image(&saved, IfExists::Fail).unwrap_err();
    let SaveError::Create { source: CreateError::NotDurable { path: said, source }, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!((said, source.raw_os_error()), (&saved, Some(libc::EIO)));
    assert_eq!(fs::read(&saved).unwrap(), fs::read(&path).unwrap());
    // A file system that cannot sync folders does not fail.
    plan().folders = libc::EINVAL;
    drive.save_image(&saved, IfExists::Replace).unwrap();
}

/// Attaches an image with options to a drive of its own. Returns what the guest can do with it.
fn attach(path: &Path, options: impl Into<ImageOptions>) -> Result<bool, AttachError> {
    let (_guest, drive) = guest();
    drive.attach_image(path, options)?;
    Ok(!drive.is_write_protected())
}

#[test]
fn a_file_system_without_locks_is_told_apart_from_a_file_in_use() {
    let _host = host();
    let (_folder, path) = folder();
    let named = |lock| ImageOptions::new(Access::ReadWrite).with_lock(lock);
    for error in [libc::ENOLCK, libc::EOPNOTSUPP, libc::ENOSYS, libc::EINVAL, libc::EBADF] {
        plan().locks = error;
        let failed = attach(&path, named(Lock::Required)).unwrap_err();
        let AttachError::CaptureFailed { source: source @ ImageError::LockUnsupported(_), .. } = &failed else {
            panic!("{failed:?}")
        };
        assert!(source.to_string().contains("Lock::IfSupported"), "{source}");
        assert!(attach(&path, named(Lock::IfSupported)).unwrap());
        assert!(attach(&path, named(Lock::None)).unwrap());
    }
    // A file in use is in use, and any other error is an error.
    plan().locks = libc::EWOULDBLOCK;
    for lock in [Lock::Required, Lock::IfSupported] {
        let failed = attach(&path, named(lock)).unwrap_err();
        assert!(matches!(failed, AttachError::CaptureFailed { source: ImageError::InUse { .. }, .. }), "{failed:?}");
    }
    plan().locks = libc::EIO;
    for lock in [Lock::Required, Lock::IfSupported] {
        let failed = attach(&path, named(lock)).unwrap_err();
        assert!(matches!(failed, AttachError::CaptureFailed { source: ImageError::Lock(_), .. }), "{failed:?}");
    }
    assert!(attach(&path, named(Lock::None)).unwrap());
}

#[test]
fn a_file_that_is_not_locked_can_be_opened_twice_and_is_not_unlocked() {
    let _host = host();
    let (_folder, path) = folder();
    let unlocked = ImageOptions::new(Access::ReadWrite).with_lock(Lock::None);
    let (_guest, drive) = guest();
    drive.attach_image(&path, unlocked).unwrap();
    assert!(attach(&path, Access::ReadWrite).unwrap());
    plan().unlocks = 1;
    drive.release_image().unwrap();
    assert_eq!(plan().unlocks, 1);
}

#[test]
fn the_protection_follows_the_permission_of_the_host_if_that_is_asked_for() {
    let _host = host();
    let (_folder, path) = folder();
    assert!(attach(&path, Access::ReadWriteIfPermitted).unwrap());
    for error in [libc::EACCES, libc::EPERM, libc::EROFS] {
        plan().opens = error;
        let failed = attach(&path, Access::ReadWrite).unwrap_err();
        let AttachError::CaptureFailed { source, .. } = &failed else { panic!("{failed:?}") };
        assert!(source.to_string().contains("Access::ReadWriteIfPermitted"), "{source}");
        assert!(!attach(&path, Access::ReadWriteIfPermitted).unwrap());
        // Others can read it, too.
        let (_guest, drive) = guest();
        drive.attach_image(&path, Access::ReadWriteIfPermitted).unwrap();
        assert!(!attach(&path, Access::ReadOnly).unwrap());
        assert!(drive.set_write_protected(false).is_err());
    }
    // Another error is no permission.
    plan().opens = libc::EIO;
    assert!(attach(&path, Access::ReadWriteIfPermitted).is_err());
    plan().opens = 0;
    // A file in use is no matter of permission.
    let (_guest, drive) = guest();
    drive.attach_image(&path, Access::ReadOnly).unwrap();
    assert!(attach(&path, Access::ReadWriteIfPermitted).is_err());
}

/// Formats all tracks of a 3.5" disk of 80 cylinders with this many sectors. Returns the status of the last.
fn format_disk(guest: &mut kit::Guest, rate: u8, sectors: u8) -> [u8; 3] {
    guest.bus.write(kit::CCR, rate);
    let mut status = [0; 3];
    for (cylinder, head) in (0..80).flat_map(|cylinder| [(cylinder, 0), (cylinder, 1)]) {
        assert_eq!(status, [0; 3], "before cylinder {cylinder}, head {head}");
        let ids: Vec<u8> = (1..=sectors).flat_map(|sector| [cylinder, head, sector, 2]).collect();
        guest.seek(cylinder);
        guest.buffer_mut(ids.len()).copy_from_slice(&ids);
        guest.program_dma(kit::DMA_WRITE_FLOPPY, kit::BUFFER, ids.len());
        let reply = guest.command(&[0x4D, head << 2, 2, sectors, 0x50, 0xF6]);
        status = [reply[0] & 0xF8, reply[1], reply[2]];
    }
    status
}

/// Returns a guest with an image of this many bytes, which it can reformat, and the file.
fn reformattable(
    bytes: usize,
    durability: Durability,
) -> (tempfile::TempDir, std::path::PathBuf, kit::Guest, FloppyDrive) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.img");
    fs::write(&path, vec![0x11; bytes]).unwrap();
    let (guest, drive) = guest();
    let options = ImageOptions::new(Access::ReadWrite).with_reformat(true).with_durability(durability);
    drive.attach_image(&path, options).unwrap();
    (folder, path, guest, drive)
}

#[test]
fn a_host_without_room_for_the_new_disk_keeps_the_old_one_in_the_file() {
    let _host = host();
    for durability in [Durability::AtRelease, Durability::EveryCommand, Durability::OnFlush] {
        let (folder, path, mut guest, drive) = reformattable(737_280, durability);
        plan().room = 1_000_000;
        let deferred = durability == Durability::OnFlush;
        let expected = if deferred { [0; 3] } else { [0x40, 0x20, 0] };
        assert_eq!(format_disk(&mut guest, 0b00, 18), expected, "DE: the host refuses");
        for _ in 0..2 {
            let error = drive.release_image().unwrap_err();
            let ReleaseError::UnmountFailed { source, .. } = error else { panic!("{error:?}") };
            assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
        }
        assert!(fs::read(&path).unwrap() == [0x11; 737_280], "{durability:?}");
        // The guest has its disk, and it can be saved elsewhere.
        assert_eq!(drive.layout(), Some(Geometry::HD_1440K.into()));
        guest.bus.write(kit::CCR, 0);
        assert_eq!(read(&mut guest, 2_879).unwrap(), [0xF6; SECTOR]);
        plan().room = 0;
        drive.save_image(folder.path().join("b.img"), IfExists::Fail).unwrap();
        fill(&mut guest, 2_879, 0xA5).unwrap();
        drive.release_image().unwrap();
        let mut expected = vec![0xF6; 1_474_560];
        assert!(fs::read(folder.path().join("b.img")).unwrap() == expected);
        expected[2_879 * SECTOR..].fill(0xA5);
        assert!(fs::read(&path).unwrap() == expected, "{durability:?}");
    }
}

#[test]
fn a_forced_release_of_a_new_disk_without_room_says_what_is_lost() {
    let _host = host();
    let (_folder, path, mut guest, drive) = reformattable(737_280, Durability::AtRelease);
    plan().room = 1_000_000;
    assert_eq!(format_disk(&mut guest, 0b00, 18), [0x40, 0x20, 0]);
    let loss = drive.force_release().unwrap().unwrap();
    assert_eq!((loss.ranges.len(), &loss.ranges[0]), (1, &(0..1_474_560)));
    assert!(fs::read(&path).unwrap() == [0x11; 737_280]);
}

#[test]
fn a_file_that_cannot_be_truncated_is_truncated_later() {
    let _host = host();
    for durability in [Durability::AtRelease, Durability::EveryCommand, Durability::OnFlush] {
        let (_folder, path, mut guest, drive) = reformattable(1_474_560, durability);
        let deferred = durability == Durability::OnFlush;
        plan().lengths = if deferred { 1 } else { 2 };
        let expected = if deferred { [0; 3] } else { [0x40, 0x20, 0] };
        assert_eq!(format_disk(&mut guest, 0b10, 9), expected);
        assert!(matches!(drive.release_image(), Err(ReleaseError::UnmountFailed { .. })), "{durability:?}");
        assert_eq!(fs::metadata(&path).unwrap().len(), 1_474_560);
        drive.release_image().unwrap();
        assert!(fs::read(&path).unwrap() == vec![0xF6; 737_280], "{durability:?}");
    }
}

#[test]
fn a_dropped_controller_gives_the_file_its_length() {
    let _host = host();
    let (_folder, path, mut guest, drive) = reformattable(1_474_560, Durability::AtRelease);
    plan().lengths = 2;
    assert_eq!(format_disk(&mut guest, 0b10, 9), [0x40, 0x20, 0]);
    drop((guest, drive));
    assert!(fs::read(&path).unwrap() == vec![0xF6; 737_280]);
}
