//! A host whose calls fail: reads, syncs and unlocks return an error, once or always, as with a defective disk. This file
//! replaces the functions of the C library that std calls. Without a planned failure they call the kernel. It is a binary of
//! its own, because the replacement is for a whole process, and only for Linux on x86-64.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(unsafe_code)] // Replaces functions of the C library.

mod kit;

use std::{
    ffi::{c_int, c_void},
    fs::{self, OpenOptions},
    os::unix::fs::FileExt,
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
    drive::{ReleaseError, SaveError},
    media::{Access, Durability, IfExists, ImageOptions},
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
}

static PLAN: Mutex<Plan> = Mutex::new(Plan { unreadable: Vec::new(), syncs: Vec::new(), unlocks: 0 });
static SYNCS: AtomicU32 = AtomicU32::new(0);

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
    // SAFETY: the pointer is to a variable of this thread.
    unsafe { *libc::__errno_location() = libc::EIO };
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
    drop(plan);
    // SAFETY: as above.
    unsafe { libc::syscall(libc::SYS_flock, file, operation) as c_int }
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
