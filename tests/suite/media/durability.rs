//! When the writes of a guest are in the file: after commands, flushes and the death of the process. Nothing else is ever
//! written to the file.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use super::kit;
use super::kit::floppy::{BYTES, Backing, SECTOR, SECTORS, byte_of, fill, folder, guest, read};
use vm_fdc::media::{Access, Durability, ImageOptions};

const ALL: [Durability; 3] = [Durability::AtRelease, Durability::EveryCommand, Durability::OnFlush];

fn options(backing: Backing, durability: Durability) -> ImageOptions {
    backing.of(ImageOptions::new(Access::ReadWrite).with_durability(durability))
}

/// Returns the sectors of the file that differ from the new image, with their value.
fn changed(path: &Path) -> Vec<(usize, u8)> {
    let bytes = fs::read(path).unwrap();
    assert_eq!(bytes.len(), BYTES);
    let sectors = bytes.chunks(SECTOR).enumerate();
    let changed = sectors.filter(|(sector, bytes)| bytes.iter().any(|&byte| byte != byte_of(*sector)));
    changed
        .map(|(sector, bytes)| {
            assert!(bytes.iter().all(|&byte| byte == bytes[0]), "sector {sector} is torn");
            (sector, bytes[0])
        })
        .collect()
}

#[test]
fn a_completed_command_is_in_the_file_unless_the_write_is_deferred() {
    for durability in ALL {
        let (_folder, path) = folder();
        let (mut guest, drive) = guest();
        drive.attach_image(&path, options(Backing::Memory, durability)).unwrap();
        fill(&mut guest, 70, 0xFE).unwrap();
        let expected: &[_] = if durability == Durability::OnFlush { &[] } else { &[(70, 0xFE)] };
        assert_eq!(changed(&path), expected, "{durability:?}");
        drive.flush().unwrap();
        assert_eq!(changed(&path), [(70, 0xFE)], "{durability:?}");
        fill(&mut guest, 71, 0xFD).unwrap();
        assert_eq!(read(&mut guest, 71).unwrap(), [0xFD; SECTOR]);
        drive.release_image().unwrap();
        assert_eq!(changed(&path), [(70, 0xFE), (71, 0xFD)], "{durability:?}");
    }
}

#[test]
fn a_mapped_file_has_each_write_at_once() {
    for durability in ALL {
        let (_folder, path) = folder();
        let (mut guest, drive) = guest();
        drive.attach_image(&path, options(Backing::Mapped, durability)).unwrap();
        fill(&mut guest, 70, 0xFE).unwrap();
        assert_eq!(changed(&path), [(70, 0xFE)], "{durability:?}");
        drive.release_image().unwrap();
        assert_eq!(changed(&path), [(70, 0xFE)], "{durability:?}");
    }
}

#[test]
fn a_formatted_track_is_in_the_file() {
    // §4.9
    for backing in [Backing::Memory, Backing::Mapped] {
        let (_folder, path) = folder();
        let (mut guest, drive) = guest();
        drive.attach_image(&path, backing_of(backing)).unwrap();
        let ids: Vec<u8> = (1..=18).flat_map(|sector| [3, 1, sector, 2]).collect();
        guest.seek(3);
        guest.buffer_mut(ids.len()).copy_from_slice(&ids);
        guest.program_dma(kit::DMA_WRITE_FLOPPY, kit::BUFFER, ids.len());
        assert_eq!(guest.command(&[0x4D, 0x04, 2, 18, 0x6C, 0xEE])[..3], [0x04, 0, 0]);
        let track: Vec<_> = (0..18).map(|sector| (3 * 36 + 18 + sector, 0xEE)).collect();
        assert_eq!(changed(&path), track);
        drop((guest, drive));
        assert_eq!(changed(&path), track);
    }
}

fn backing_of(backing: Backing) -> ImageOptions {
    options(backing, Durability::AtRelease)
}

#[test]
fn a_whole_cylinder_is_in_the_file_and_nothing_else() {
    for backing in [Backing::Memory, Backing::Mapped] {
        let (_folder, path) = folder();
        let (mut guest, drive) = guest();
        drive.attach_image(&path, backing_of(backing)).unwrap();
        guest.seek(2);
        guest.buffer_mut(36 * SECTOR).fill(0xFE);
        let sectors = kit::Sectors { cylinder: 2, head: 0, sector: 1, bytes: 36 * SECTOR, end_of_track: 18 };
        guest.write_dma(sectors).unwrap();
        drive.release_image().unwrap();
        assert_eq!(changed(&path), (72..108).map(|sector| (sector, 0xFE)).collect::<Vec<_>>());
    }
}

#[test]
fn dropping_the_controller_writes_all_data_to_the_file() {
    for durability in ALL {
        let (_folder, path) = folder();
        let (mut guest, drive) = guest();
        drive.attach_image(&path, options(Backing::Memory, durability)).unwrap();
        fill(&mut guest, 70, 0xFE).unwrap();
        drop(guest);
        assert_eq!(changed(&path), [(70, 0xFE)], "{durability:?}");
    }
}

#[test]
fn a_private_image_never_changes_its_file() {
    for backing in [Backing::Memory, Backing::Mapped] {
        for durability in ALL {
            let (_folder, path) = folder();
            let (mut guest, drive) = guest();
            let options = backing.of(ImageOptions::new(Access::Private).with_durability(durability));
            drive.attach_image(&path, options).unwrap();
            fill(&mut guest, 70, 0xFE).unwrap();
            assert_eq!(read(&mut guest, 70).unwrap(), [0xFE; SECTOR]);
            drive.flush().unwrap();
            drive.release_image().unwrap();
            assert_eq!(changed(&path), []);
        }
    }
}

// Process death

/// Writes the sectors of a disk in the sequence of [`order`], and prints the number of each write after its command.
#[test]
fn child_writes_until_it_is_killed() {
    let Some(path) = std::env::var_os("VM_FDC_CHILD") else { return };
    let (backing, durability) = match std::env::var("VM_FDC_MODE").unwrap().as_str() {
        "mapped" => (Backing::Mapped, Durability::AtRelease),
        "every" => (Backing::Memory, Durability::EveryCommand),
        "flush" => (Backing::Memory, Durability::OnFlush),
        _ => (Backing::Memory, Durability::AtRelease),
    };
    let (mut guest, drive) = guest();
    drive.attach_image(path, options(backing, durability)).unwrap();
    let mut out = std::io::stdout().lock();
    for n in 0.. {
        let (sector, value) = order(n);
        fill(&mut guest, sector, value).unwrap();
        if durability == Durability::OnFlush {
            if n % 50 == 49 {
                drive.flush().unwrap();
                writeln!(out, "{n}").unwrap();
            }
        } else {
            writeln!(out, "{n}").unwrap();
        }
        out.flush().unwrap();
    }
}

/// Returns the sector and the value of the `n`th write. No sector has this value at first.
fn order(n: usize) -> (usize, u8) {
    (n * 1_001 % SECTORS, 0xFB + (n / SECTORS % 5) as u8)
}

#[cfg(unix)]
#[test]
fn completed_or_flushed_writes_survive_the_death_of_the_process() {
    let mut delays = [1, 3, 7, 20, 45, 90].into_iter().cycle();
    let mut all_promised = 0;
    for mode in ["release", "every", "flush", "mapped"] {
        for _ in 0..4 {
            let (_folder, path) = folder();
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "media::durability::child_writes_until_it_is_killed", "--nocapture"])
                .env("VM_FDC_CHILD", &path)
                .env("VM_FDC_MODE", mode)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let output = child.stdout.take().unwrap();
            let reader = thread::spawn(move || {
                BufReader::new(output)
                    .lines()
                    .map_while(Result::ok)
                    .filter_map(|line| line.parse::<usize>().ok())
                    .last()
            });
            thread::sleep(Duration::from_millis(delays.next().unwrap()));
            child.kill().unwrap();
            child.wait().unwrap();
            let promised = reader.join().unwrap().map_or(0, |last| last + 1);

            all_promised += promised;
            // All reported writes are in the file. All other changes are whole sectors of later writes.
            let changed = changed(&path);
            for n in promised.saturating_sub(SECTORS)..promised {
                let (sector, value) = order(n);
                let there = changed.iter().find(|(there, _)| *there == sector).map(|&(_, value)| value);
                let later = order(n + SECTORS).1;
                assert!(there == Some(value) || there == Some(later), "{mode}: {sector} of {promised}: {there:?}");
            }
            let unpromised = changed.len().saturating_sub(promised);
            let most = if mode == "flush" { 50 } else { 1 };
            assert!(unpromised <= most, "{mode}: {unpromised} sectors more than {promised}");
        }
    }
    assert!(all_promised > 0, "no child lived long enough");
}

// Aborted commands

#[test]
fn the_sectors_of_an_aborted_command_are_in_the_file() {
    // Two whole sectors, and then a reset, or a motor that is turned off.
    for durability in [Durability::AtRelease, Durability::EveryCommand] {
        for (how, name) in [(0x00, "reset"), (0x0C, "motor off")] {
            let (_folder, path) = folder();
            let (mut guest, drive) = guest();
            drive.attach_image(&path, options(Backing::Memory, durability)).unwrap();
            guest.use_dma(false);
            guest.send(&[0x45, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF]).unwrap();
            guest.bus.fdc.write_string(&[0xFE; 2 * SECTOR]);
            guest.bus.write(kit::DOR, how);
            assert_eq!(changed(&path)[..2], [(0, 0xFE), (1, 0xFE)], "{durability:?}, {name}");
        }
    }
}

#[test]
fn an_aborted_sector_is_saved_as_the_guest_reads_it() {
    // Writes with MT (§3.1) that end in the middle of a sector of head 0 or head 1.
    for bytes in [100, SECTOR + 100, 17 * SECTOR + 1, 18 * SECTOR + 100, 21 * SECTOR + 100, 35 * SECTOR + 100] {
        let (_folder, path) = folder();
        let (mut guest, drive) = guest();
        drive.attach_image(&path, options(Backing::Memory, Durability::AtRelease)).unwrap();
        guest.seek(2);
        guest.use_dma(false);
        guest.send(&[0xC5, 0, 2, 0, 1, 2, 18, 0x1B, 0xFF]).unwrap();
        guest.bus.fdc.write_string(&vec![0xFE; bytes]);
        guest.reset();
        guest.select(0);
        guest.bus.write(kit::CCR, 0);
        guest.recalibrate();
        guest.use_dma(true);
        let seen: Vec<_> = (72..108).flat_map(|sector| read(&mut guest, sector).unwrap()).collect();
        drive.release_image().unwrap();
        assert!(fs::read(&path).unwrap()[72 * SECTOR..108 * SECTOR] == seen, "{bytes}");
    }
}
