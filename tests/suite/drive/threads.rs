//! A guest and its managers in threads, with files: nothing hangs, no sector is torn, and all outcomes and events agree.
//! `VM_FDC_ROUNDS` sets the number of rounds.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Duration,
};

use super::kit::DriverError;
use super::kit::floppy::{BYTES, Backing, SECTOR, fill, guest, read};
use vm_fdc::{
    FloppyDrive,
    drive::{AttachError, Attachment, MediaEvent, ReleaseError, SwapError},
    media::{Access, Durability, IfExists, ImageOptions},
};

/// Longer than the test takes on the slowest machine.
const TOO_LONG: Duration = Duration::from_secs(120);

fn rounds() -> u32 {
    std::env::var("VM_FDC_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(300)
}

/// A small pseudo-random generator with a fixed sequence.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most as u64) as usize
    }
}

#[derive(Default)]
struct Count {
    attached: AtomicU32,
    released: AtomicU32,
}

/// One round of a manager: a random call, whose outcome must be possible.
fn manage(drive: &FloppyDrive, numbers: &mut Numbers, images: &[PathBuf], count: &Count) {
    let image = &images[numbers.below(images.len())];
    let options = ImageOptions::new([Access::ReadWrite, Access::ReadWrite, Access::Private][numbers.below(3)])
        .with_durability([Durability::AtRelease, Durability::EveryCommand, Durability::OnFlush][numbers.below(3)]);
    let options = [Backing::Memory, Backing::Mapped][numbers.below(2)].of(options);
    match numbers.below(8) {
        0 | 1 => match drive.attach_image(image, options) {
            Ok(()) => _ = count.attached.fetch_add(1, Relaxed),
            Err(AttachError::DriveInUse { .. }) => {}
            Err(error) => panic!("{error:?}"),
        },
        2 => match drive.release_image() {
            Ok(()) => _ = count.released.fetch_add(1, Relaxed),
            Err(ReleaseError::NoMediaCaptured { .. }) => {}
            Err(error) => panic!("{error:?}"),
        },
        3 => match drive.swap_image(image, options) {
            Ok(()) => {
                count.attached.fetch_add(1, Relaxed);
                count.released.fetch_add(1, Relaxed);
            }
            // The image may be the attached one.
            Err(SwapError::Release(ReleaseError::NoMediaCaptured { .. }))
            | Err(SwapError::Attach(AttachError::CaptureFailed { .. })) => {}
            Err(error) => panic!("{error:?}"),
        },
        4 => match drive.flush() {
            Ok(()) | Err(ReleaseError::NoMediaCaptured { .. }) => {}
            Err(error) => panic!("{error:?}"),
        },
        5 => {
            let attached = drive.image_file();
            assert!(attached.is_none_or(|path| images.contains(&path)));
            _ = (drive.attachment(), drive.layout(), drive.drive_number());
        }
        6 => match drive.force_release() {
            Ok(loss) => {
                assert!(loss.is_none());
                count.released.fetch_add(1, Relaxed);
            }
            Err(ReleaseError::NoMediaCaptured { .. }) => {}
            Err(error) => panic!("{error:?}"),
        },
        _ => {
            let copy = images[0].with_extension(format!("{:?}.copy", thread::current().id()));
            if drive.save_image(&copy, IfExists::Replace).is_ok() {
                assert_whole(&copy);
            }
        }
    }
}

/// Checks that no sector of the file is torn.
fn assert_whole(path: &Path) {
    let bytes = fs::read(path).unwrap();
    assert_eq!(bytes.len(), BYTES);
    for (sector, bytes) in bytes.chunks(SECTOR).enumerate() {
        assert!(bytes.iter().all(|&byte| byte == bytes[0]), "sector {sector} of {} is torn", path.display());
    }
}

#[test]
fn a_guest_and_its_managers_run_concurrently() {
    let folder = tempfile::tempdir().unwrap();
    let images: Vec<_> = (0..3u8)
        .map(|n| {
            let path = folder.path().join(format!("{n}.img"));
            fs::write(&path, vec![n; BYTES]).unwrap();
            path
        })
        .collect();
    let (mut machine, drive) = guest();
    let count = Arc::new(Count::default());
    let events: Arc<Mutex<Vec<MediaEvent>>> = Arc::default();
    let (sender, received) = mpsc::channel();
    drive.observe(sender);
    let (over, done) = (Arc::new(AtomicBool::new(false)), mpsc::channel());

    let managers: Vec<_> = (1..=3u64)
        .map(|seed| {
            let (drive, images, count, done) = (drive.clone(), images.clone(), Arc::clone(&count), done.0.clone());
            thread::spawn(move || {
                let mut numbers = Numbers(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
                for _ in 0..rounds() {
                    manage(&drive, &mut numbers, &images, &count);
                }
                _ = done.send(());
            })
        })
        .collect();
    let (guest_over, guest_done) = (Arc::clone(&over), done.0.clone());
    let guest = thread::spawn(move || {
        let mut numbers = Numbers(7);
        let (mut good, mut bad) = (0, 0);
        while !guest_over.load(Relaxed) {
            let sector = numbers.below(2_880);
            let outcome = match numbers.below(2) {
                0 => fill(&mut machine, sector, numbers.below(256) as u8).map(drop),
                _ => {
                    read(&mut machine, sector).map(|bytes| assert!(bytes.iter().all(|&byte| byte == bytes[0]), "torn"))
                }
            };
            match outcome {
                Ok(()) => good += 1,
                Err(DriverError::Failed(_)) => bad += 1,
                Err(error) => panic!("{error}"),
            }
        }
        _ = guest_done.send(());
        (machine, good, bad)
    });

    for _ in &managers {
        done.1.recv_timeout(TOO_LONG).expect("a manager is stuck");
    }
    over.store(true, Relaxed);
    done.1.recv_timeout(TOO_LONG).expect("the guest is stuck");
    managers.into_iter().for_each(|manager| manager.join().unwrap());
    let (machine, good, bad) = guest.join().unwrap();
    assert!(good > 0 && bad > 0, "{good} commands succeeded, {bad} found an empty drive");

    let (attached, released) = (count.attached.load(Relaxed), count.released.load(Relaxed));
    assert_eq!(drive.attachment() == Attachment::Image, attached - released == 1);
    drop(machine);
    events.lock().unwrap().extend(received.try_iter());
    let ids: Vec<_> = events.lock().unwrap().iter().map(MediaEvent::dispatch_id).collect();
    assert!(ids.chunks(2).all(|pair| pair == [1, 2]), "each insertion is followed by its ejection");
    assert_eq!(ids.len() as u32, 2 * attached);
    images.iter().for_each(|image| assert_whole(image));
}

#[test]
fn a_reformat_while_a_manager_is_busy_is_announced_when_it_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.img");
    fs::write(&path, []).unwrap();
    let (mut machine, drive) = guest();
    // An observer that does not return holds up its manager, and nobody else.
    let ((begun, wait_begun), (go_on, wait_go_on)) = (mpsc::channel(), mpsc::channel::<()>());
    drive.observe(move |event: &MediaEvent| {
        if matches!(event, MediaEvent::Inserted { .. }) {
            begun.send(()).unwrap();
            wait_go_on.recv_timeout(TOO_LONG).unwrap();
        }
        std::ops::ControlFlow::Continue(())
    });
    let (sender, events) = mpsc::channel();
    drive.observe(sender);
    let manager = {
        let (drive, path) = (drive.clone(), path.clone());
        thread::spawn(move || drive.attach_image(path, ImageOptions::new(Access::ReadWrite).with_reformat(true)))
    };
    wait_begun.recv_timeout(TOO_LONG).unwrap();

    for (cylinder, head) in (0..80).flat_map(|cylinder| [(cylinder, 0), (cylinder, 1)]) {
        let ids: Vec<u8> = (1..=18).flat_map(|sector| [cylinder, head, sector, 2]).collect();
        machine.seek(cylinder);
        machine.buffer_mut(ids.len()).copy_from_slice(&ids);
        machine.program_dma(super::kit::DMA_WRITE_FLOPPY, super::kit::BUFFER, ids.len());
        assert_eq!(machine.command(&[0x4D, head << 2, 2, 18, 0x6C, 0xF6])[..3], [head << 2, 0, 0]);
    }
    let layout = Some(vm_fdc::media::Geometry::HD_1440K.into());
    assert_eq!(drive.layout(), layout, "who asks knows at once");
    assert_eq!(events.try_iter().count(), 0);
    go_on.send(()).unwrap();
    manager.join().unwrap().unwrap();
    let reformatted = MediaEvent::Reformatted { drive: 0, path: Some(path.clone()), before: None, after: layout };
    let expected = [MediaEvent::Inserted { drive: 0, path: Some(path) }, reformatted];
    assert_eq!(events.try_iter().collect::<Vec<_>>(), expected);
}
