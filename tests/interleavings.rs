//! The locks between a guest and the managers of its drive, in thousands of interleavings. It is built only with
//! `RUSTFLAGS="--cfg vm_fdc_shuttle"`, which replaces the locks by those of a scheduler that also finds deadlocks. It is a
//! binary of its own, because these locks work only under that scheduler.
#![cfg(vm_fdc_shuttle)]

mod kit;

use std::{
    io,
    ops::ControlFlow,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use kit::{CCR, DIR, Guest, Sectors};
use shuttle::{check_pct, check_random, thread};
use vm_fdc::{
    FloppyDrive,
    drive::{Attachment, DriveType, MediaEvent, ReleaseError},
    media::{DataRate, FormFactor, Mark, Medium, MediumError, SectorId, Track},
};

/// A disk whose sectors all contain its number. Every third flush fails.
struct Disk {
    number: u8,
    bytes: Vec<u8>,
    flushes: u32,
}

impl Disk {
    fn new(number: u8) -> Self {
        Self { number, bytes: vec![number; 512], flushes: number.into() }
    }
}

impl Medium for Disk {
    fn form_factor(&self) -> FormFactor {
        FormFactor::Inch3_5
    }

    fn cylinders(&self) -> u8 {
        80
    }

    fn is_write_protected(&self) -> bool {
        false
    }

    fn track(&self, cylinder: u8, head: u8) -> Option<Track<'_>> {
        Some(Track::regular(DataRate::Kbps500, SectorId { cylinder, head, sector: 1, size_code: 2 }, 1))
    }

    fn read(&mut self, _: u8, _: u8, _: usize, _: usize) -> Result<&[u8], MediumError> {
        assert_eq!(self.bytes[0], self.number);
        Ok(&self.bytes)
    }

    fn write(&mut self, _: u8, _: u8, _: usize, _: usize, _: Mark) -> Result<&mut [u8], MediumError> {
        Ok(&mut self.bytes)
    }

    fn finish_write(&mut self, _: u8, _: u8, _: usize, _: usize, _: Mark) {}

    fn flush(&mut self) -> io::Result<()> {
        self.flushes += 1;
        if self.flushes % 3 == 0 { Err(io::Error::other("a failure for the test")) } else { Ok(()) }
    }
}

/// The insertions and ejections that an observer received.
#[derive(Default)]
struct Seen {
    inserted: u32,
    ejected: u32,
}

fn watch(drive: &FloppyDrive) -> Arc<Mutex<Seen>> {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let log = Arc::clone(&seen);
    drive.observe(move |event: &MediaEvent| {
        let mut seen = log.lock().unwrap();
        match event {
            MediaEvent::Inserted { .. } => seen.inserted += 1,
            MediaEvent::Ejected { .. } => seen.ejected += 1,
            _ => {}
        }
        assert!(matches!(seen.inserted - seen.ejected, 0 | 1), "each insertion is followed by its ejection");
        ControlFlow::Continue(())
    });
    seen
}

/// A guest that relies on the change line: while it is clear, the disk is the same.
fn guest(guest: &mut Guest) {
    let read = |guest: &mut Guest| {
        let read = guest.read_dma(Sectors { cylinder: 0, head: 0, sector: 1, bytes: 512, end_of_track: 1 });
        read.ok().map(|_| guest.buffer(512).to_vec())
    };
    let changed = |guest: &mut Guest| guest.bus.read(DIR) & 0x80 != 0;
    for cylinder in [1, 0, 1, 0] {
        guest.seek(cylinder);
        let first = if changed(guest) { None } else { read(guest) };
        let second = read(guest);
        if let (Some(first), Some(second), false) = (first, second, changed(guest)) {
            assert_eq!(first, second, "a disk change without the change line");
            assert!(first.iter().all(|&byte| byte == first[0]), "a torn sector");
        }
        // Writes to any disk in the drive. The disk keeps its number.
        if let Some(sector) = read(guest) {
            guest.buffer_mut(512).copy_from_slice(&sector);
        }
    }
}

/// A manager that changes disks and queries the drive.
fn manager(drive: &FloppyDrive, number: u8, attached: &AtomicU32, released: &AtomicU32) {
    for round in 0..2 {
        if drive.attach_medium(Disk::new(number + round)).is_ok() {
            attached.fetch_add(1, Relaxed);
        }
        _ = drive.flush();
        match drive.release_image() {
            Ok(()) => _ = released.fetch_add(1, Relaxed),
            Err(ReleaseError::UnmountFailed { .. } | ReleaseError::NoMediaCaptured { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        _ = drive.attachment();
    }
}

fn scenario() {
    let (mut machine, drive) = Guest::with_drive(DriveType::Inch3_5Hd);
    machine.bus.write(CCR, 0);
    let seen = watch(&drive);
    let (attached, released) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let managers: Vec<_> = [1, 4]
        .map(|number| {
            let (drive, attached, released) = (drive.clone(), Arc::clone(&attached), Arc::clone(&released));
            thread::spawn(move || manager(&drive, number, &attached, &released))
        })
        .into();
    guest(&mut machine);
    managers.into_iter().for_each(|manager| manager.join().unwrap());

    let (attached, released) = (attached.load(Relaxed), released.load(Relaxed));
    assert_eq!(drive.attachment() == Attachment::Image, attached - released == 1, "{attached}, {released}");
    let seen = seen.lock().unwrap();
    assert_eq!((seen.inserted, seen.ejected), (attached, released));
}

#[test]
fn in_every_interleaving_disk_changes_are_seen_and_outcomes_are_true() {
    check_random(scenario, 3_000);
    check_pct(scenario, 2_000, 3);
}

#[test]
fn a_controller_can_be_dropped_at_any_moment() {
    check_random(
        || {
            let (machine, drive) = Guest::with_drive(DriveType::Inch3_5Hd);
            let seen = watch(&drive);
            let managed = drive.clone();
            let manager = thread::spawn(move || {
                _ = managed.attach_medium(Disk::new(1));
                _ = managed.swap_image("/nowhere", vm_fdc::media::Access::ReadOnly);
                _ = managed.release_image();
            });
            drop(machine);
            manager.join().unwrap();
            assert_eq!(drive.attachment(), Attachment::None);
            let seen = seen.lock().unwrap();
            assert_eq!(seen.inserted, seen.ejected);
        },
        3_000,
    );
}
