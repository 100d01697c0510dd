//! Metrics of commands: reports to a closure, counters, and the log.

use std::sync::{Arc, Mutex};

use super::kit::floppy::{SECTOR, failure, fill, guest, read};
use super::kit::{self, Guest, fixture};
use vm_fdc::{
    controller::{CommandCompletion, Counters, MediumLimit},
    drive::DriveType,
    media::{Access, Geometry, SectorDisk},
};

/// Returns a guest after its reset, and the log of its commands.
fn logged() -> (Guest, vm_fdc::FloppyDrive, Arc<Mutex<Vec<String>>>) {
    let (mut guest, drive) = guest();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&lines);
    guest.bus.fdc.add_metrics(move |command: &CommandCompletion<'_>| log.lock().unwrap().push(command.to_string()));
    (guest, drive, lines)
}

#[test]
fn the_log_of_a_conversation_is_readable() {
    // §3.1, §4
    let (mut guest, drive, lines) = logged();
    drive.attach_image(fixture("dos-1440k.img"), Access::ReadOnly).unwrap();
    guest.seek(0);
    read(&mut guest, 19).unwrap();
    failure(fill(&mut guest, 19, 0));
    guest.command(&[0x10]);
    guest.command(&[0x1E]);
    guest.command(&[0x0E]);
    guest.command(&[0x13, 0, 0x57, 0]);
    let lines = lines.lock().unwrap();
    let expected = [
        "SEEK HDS=0 DS=0 NCN=00",
        "SENSE INTERRUPT STATUS -> ST0=20 PCN=00",
        "SEEK HDS=0 DS=0 NCN=00",
        "SENSE INTERRUPT STATUS -> ST0=20 PCN=00",
        "READ DATA HDS=1 DS=0 C=00 H=01 R=02 N=02 EOT=12 GPL=1B DTL=FF -> ST0=04 ST1=00 ST2=00 C=00 H=01 R=03 N=02",
        "SEEK HDS=0 DS=0 NCN=00",
        "SENSE INTERRUPT STATUS -> ST0=20 PCN=00",
        "WRITE DATA HDS=1 DS=0 C=00 H=01 R=02 N=02 EOT=12 GPL=1B DTL=FF -> ST0=44 ST1=02 ST2=00 C=00 H=01 R=02 N=02",
        "VERSION -> VERSION=90",
        "INVALID -> ST0=80",
        "DUMPREG -> PCN0=00 PCN1=00 PCN2=00 PCN3=00 SRT/HUT=AF HLT/ND=02 SC/EOT=12 LOCK/PERPENDICULAR=00 CONFIGURE=20 PRETRK=00",
        "CONFIGURE 0=00 CONFIGURE=57 PRETRK=00",
    ];
    assert_eq!(*lines, expected);
}

#[test]
fn a_limit_of_the_medium_is_reported_by_its_name() {
    // §4.3, §4.9: a real disk could hold it, so that the status alone does not say why.
    let (mut guest, drive) = guest();
    let counters = Counters::default();
    guest.bus.fdc.add_metrics(counters.clone());
    let limits = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&limits);
    guest.bus.fdc.add_metrics(move |command: &CommandCompletion<'_>| log.lock().unwrap().extend(command.limit));
    drive.attach_image(fixture("dos-1440k.img"), Access::Private).unwrap();
    guest.program_dma(0x4A, 0, SECTOR);
    assert_eq!(guest.command(&[0x49, 0, 0, 0, 1, 2, 1, 0x1B, 0xFF]).status(), [0x40, 0x02, 0]);
    guest.program_dma(0x4A, 0, 4 * 9);
    assert_eq!(guest.command(&[0x4D, 0, 2, 9, 0x50, 0xF6]).status(), [0x40, 0x02, 0]);
    assert_eq!(*limits.lock().unwrap(), [MediumLimit::DeletedMark, MediumLimit::TrackFormat]);
    assert_eq!(counters.of_drive(0).limits, 2);
    // Of a disk that is write-protected there is nothing to say.
    drive.release_image().unwrap();
    drive.attach_image(fixture("dos-1440k.img"), Access::ReadOnly).unwrap();
    guest.program_dma(0x4A, 0, SECTOR);
    assert_eq!(guest.command(&[0x49, 0, 0, 0, 1, 2, 1, 0x1B, 0xFF]).status(), [0x40, 0x02, 0]);
    assert_eq!(counters.of_drive(0).limits, 2);
}

#[test]
fn each_drive_has_its_own_counters() {
    // §4
    let (mut guest, drive) = guest();
    let counters = Counters::default();
    guest.bus.fdc.add_metrics(counters.clone());
    counters.count_media_of(&guest.bus.fdc.drives());
    drive.attach_medium(SectorDisk::formatted(Geometry::HD_1440K, 0)).unwrap();
    fill(&mut guest, 5, 1).unwrap();
    read(&mut guest, 5).unwrap();
    guest.seek(2);
    guest.read_dma(kit::Sectors { cylinder: 2, head: 0, sector: 1, bytes: 36 * SECTOR, end_of_track: 18 }).unwrap();
    // An absent sector, and a sector with an overrun.
    guest.command(&[0x46, 0, 2, 0, 19, 2, 19, 0x1B, 0xFF]);
    guest.mask_dma();
    guest.send(&[0x46, 0, 2, 0, 1, 2, 18, 0x1B, 0xFF]).unwrap();
    guest.bus.fdc.advance(std::time::Duration::from_secs(1));
    guest.reply();
    drive.release_image().unwrap();

    let counts = counters.of_drive(0);
    assert_eq!((counts.inserted, counts.ejected), (1, 1));
    // Three seeks and five transfers.
    assert_eq!((counts.commands, counts.failures, counts.overruns), (8, 2, 1));
    assert_eq!((counts.sectors, counts.bytes_read, counts.bytes_written), (38, 37 * 512, 512));
    assert_eq!(counts.st1, [0, 0, 1, 0, 1, 0, 0, 0]);
    assert_eq!(counters.of_drive(1), Default::default());
    assert_eq!(counters.of_drive(9), Default::default());
    assert_eq!(counters.of_no_drive().commands, 3); // SENSE INTERRUPT STATUS
}

#[test]
fn a_format_counts_its_sectors() {
    // §4.9
    let (mut guest, drive) = Guest::with_drive(DriveType::Inch3_5Hd);
    guest.bus.write(kit::CCR, 0);
    let counters = Counters::default();
    guest.bus.fdc.add_metrics(counters.clone());
    drive.attach_medium(SectorDisk::formatted(Geometry::HD_1440K, 0)).unwrap();
    let ids: Vec<u8> = (1..=18).flat_map(|sector| [0, 0, sector, 2]).collect();
    guest.buffer_mut(ids.len()).copy_from_slice(&ids);
    guest.program_dma(kit::DMA_WRITE_FLOPPY, kit::BUFFER, ids.len());
    guest.command(&[0x4D, 0, 2, 18, 0x6C, 0xF6]);
    assert_eq!((counters.of_drive(0).sectors, counters.of_drive(0).commands), (18, 1));
}
