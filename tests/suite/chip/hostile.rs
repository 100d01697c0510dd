//! Hostile guests, media and DMA channels. Each test is the regression test of a defect.

use std::{sync::mpsc, thread, time::Duration};

use super::kit::disk::{Disk, contents, deleted, guest, id, sector, with_bad_data_crc};
use super::kit::{BUFFER, CCR, DMA_READ_FLOPPY, DMA_WRITE_FLOPPY, FIFO, Guest, MSR};
use vm_fdc::{
    Controller, ReadRegister, WriteRegister,
    dma::{DmaChannel, Moved},
    drive::DriveType,
    media::{Access, DataRate, FormFactor, Geometry, ImageOptions, Medium, Sector, SectorDisk, SectorId, SectorTrack},
};

const READ: [u8; 9] = [0x46, 0, 0, 0, 1, 2, 1, 0x1B, 0xFF];
const WRITE: [u8; 9] = [0x45, 0, 0, 0, 1, 2, 1, 0x1B, 0xFF];

fn read(guest: &mut Guest, command: &[u8; 9], bytes: usize) -> [u8; 3] {
    guest.program_dma(DMA_READ_FLOPPY, BUFFER, bytes);
    guest.command(command).status()
}

fn format(guest: &mut Guest, command: &[u8; 6], ids: &[u8]) -> [u8; 3] {
    guest.buffer_mut(ids.len()).copy_from_slice(ids);
    guest.program_dma(DMA_WRITE_FLOPPY, BUFFER, ids.len());
    guest.command(command).status()
}

// Endless work (§12.2)

/// A DMA channel that moves all offered bytes and never signals terminal count.
struct Endless;

impl DmaChannel for Endless {
    fn device_to_memory(&mut self, data: &[u8]) -> Moved {
        Moved { bytes: data.len(), terminal_count: false }
    }

    fn memory_to_device(&mut self, data: &mut [u8]) -> Moved {
        data.fill(0x55);
        Moved { bytes: data.len(), terminal_count: false }
    }
}

/// Returns `true` if a SCAN command reaches its result phase.
fn scan_ends(disk: impl Medium, command: [u8; 9]) -> bool {
    let (done, ended) = mpsc::channel();
    thread::spawn(move || {
        let builder = Controller::builder().drive(0, DriveType::Inch3_5Hd).scan_commands(true);
        let mut fdc = builder.dma(Endless).build().unwrap();
        fdc.drive(0).unwrap().attach_medium(disk).unwrap();
        fdc.write(WriteRegister::DigitalOutput, 0x1C);
        fdc.write(WriteRegister::ConfigurationControl, 0);
        command.into_iter().for_each(|byte| fdc.write(WriteRegister::Fifo, byte));
        done.send(fdc.read(ReadRegister::MainStatus)).unwrap();
    });
    ended.recv_timeout(Duration::from_secs(10)) == Ok(0xD0)
}

#[test]
fn a_scan_that_makes_no_step_ends() {
    // §4.10, §12.2
    assert!(scan_ends(Disk::of([sector(1)]), [0x51, 0, 0, 0, 1, 2, 9, 0x1B, 0]));
}

#[test]
fn a_scan_that_skips_and_makes_no_step_ends() {
    // §4.10, §12.2
    assert!(scan_ends(Disk::of([deleted(sector(1))]), [0x71, 0, 0, 0, 1, 2, 9, 0x1B, 0]));
}

#[test]
fn a_scan_whose_steps_wrap_around_ends() {
    // §4.10, §12.2
    let disk = Disk::of([1, 65, 129, 193].map(|sector| deleted(id(0, 0, sector, 0))));
    assert!(scan_ends(disk, [0x71, 0, 0, 0, 1, 0, 2, 0x1B, 64]));
}

// The disk of another drive (§12.8)

fn guest_with_two(a: impl Medium, b: impl Medium) -> Guest {
    let mut guest = Guest::new(Controller::builder().drive(0, DriveType::Inch3_5Hd).drive(1, DriveType::Inch3_5Hd));
    guest.bus.fdc.drive(0).unwrap().attach_medium(a).unwrap();
    guest.bus.fdc.drive(1).unwrap().attach_medium(b).unwrap();
    guest.reset();
    guest.select(0);
    guest.bus.write(CCR, 0);
    guest
}

#[test]
fn a_write_does_not_continue_on_the_protected_disk_of_another_drive() {
    // §12.8
    let mut guest = guest_with_two(Disk::of([sector(1)]), Disk::of([sector(1)]).protected());
    guest.mask_dma();
    guest.send(&WRITE).unwrap();
    guest.select(1);
    guest.buffer_mut(512).fill(0xEE);
    guest.program_dma(DMA_WRITE_FLOPPY, BUFFER, 512);
    assert_eq!(guest.reply().status(), [0x40, 0x01, 0x00]);
    guest.reset();
    guest.select(1);
    read(&mut guest, &READ, 512);
    assert_eq!(guest.buffer(512), contents(sector(1)));
}

#[test]
fn a_read_does_not_continue_on_the_disk_of_another_drive() {
    // §12.8
    let mut guest = guest_with_two(Disk::of([sector(1)]), Disk::of([id(77, 1, 9, 2)]));
    guest.mask_dma();
    guest.send(&READ).unwrap();
    guest.select(1);
    guest.program_dma(DMA_READ_FLOPPY, BUFFER, 512);
    assert_eq!(guest.reply().status(), [0x40, 0x01, 0x00]);
}

// The capacity of a track (§4.9, §12.3)

#[test]
fn sectors_do_not_grow_beyond_their_track() {
    // §12.3: 65 sectors of 128 bytes whose IDs have the size code of 16 KiB
    let (mut guest, drive) = guest();
    drive.attach_medium(SectorDisk::unformatted(FormFactor::Inch3_5, 80)).unwrap();
    let ids: Vec<u8> = (1..=65).flat_map(|sector| [0, 0, sector, 7]).collect();
    assert_eq!(format(&mut guest, &[0x4D, 0, 0, 65, 0, 0xF6], &ids), [0, 0, 0]);
    for sector in 1..=65 {
        guest.program_dma(DMA_WRITE_FLOPPY, BUFFER, 16_384);
        assert_eq!(guest.command(&[0x45, 0, 0, 0, sector, 7, sector, 0, 0xFF])[0], 0x40, "sector {sector}");
    }
}

#[test]
fn the_gap_after_the_last_sector_may_be_cut_short() {
    // §4.9: 146 + 20 * (62 + 512) + 19 * 44 = 12,462 of 12,500 bytes, as Linux formats 1.6M
    let (mut guest, drive) = guest();
    drive.attach_medium(SectorDisk::unformatted(FormFactor::Inch3_5, 80)).unwrap();
    let ids: Vec<u8> = (1..=20).flat_map(|sector| [0, 0, sector, 2]).collect();
    assert_eq!(format(&mut guest, &[0x4D, 0, 2, 20, 0x2C, 0xF6], &ids), [0, 0, 0]);
    assert_eq!(read(&mut guest, &[0x46, 0, 0, 0, 20, 2, 20, 0x1C, 0xFF], 512), [0, 0, 0]);
}

#[test]
fn a_drive_formats_the_image_that_it_reads() {
    // §4.9, §9.2: 300 kb/s in a 1.2M drive is 250 or 300 kb/s in the drive of the disk
    let geometry = Geometry::new(80, 2, 9, 2, DataRate::Kbps300, FormFactor::Inch5_25).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(geometry.bytes()).unwrap();
    let (mut guest, drive) = Guest::with_drive(DriveType::Inch5_25Hd);
    drive.attach_image(file.path(), ImageOptions::new(Access::ReadWrite).with_geometry(geometry)).unwrap();
    guest.bus.write(CCR, 1);
    assert_eq!(read(&mut guest, &READ, 512), [0, 0, 0]);
    let ids: Vec<u8> = (1..=9).flat_map(|sector| [0, 0, sector, 2]).collect();
    assert_eq!(format(&mut guest, &[0x4D, 0, 2, 9, 0x50, 0xF6], &ids), [0, 0, 0]);
}

/// Returns a guest with a track of more sectors than fit into a revolution. All but the last have number 1.
fn guest_with_long_track() -> Guest {
    let (guest, drive) = guest();
    let ids = (0..70_000).map(|n| SectorId { sector: if n == 69_999 { 9 } else { 1 }, ..SectorId::default() });
    let empty = SectorTrack::new(DataRate::Kbps500);
    let track = ids.fold(empty, |track, id| track.with_sector(Sector::good(id), vec![id.sector; 128]));
    let mut disk = SectorDisk::unformatted(FormFactor::Inch3_5, 80);
    disk.set_track(0, 0, track);
    drive.attach_medium(disk).unwrap();
    guest
}

#[test]
fn a_track_ends_after_256_sectors() {
    // §4.3, §12.2
    let mut guest = guest_with_long_track();
    guest.use_dma(false);
    guest.send(&[0x42, 0, 0, 0, 1, 0, 0, 0x1B, 0xFF]).unwrap(); // READ TRACK with an EOT of 0
    for _ in 0..256 * 128 {
        assert_eq!(guest.bus.read(MSR), 0xF0);
        guest.bus.read(FIFO);
    }
    assert_eq!(guest.bus.read(MSR), 0xD0);
    assert_eq!(read(&mut guest_with_long_track(), &[0x46, 0, 0, 0, 9, 0, 9, 0x1B, 0xFF], 128), [0x40, 0x04, 0x00]);
}

// Incomplete data fields (§4.12)

#[test]
fn a_scan_of_a_data_field_of_the_wrong_length_is_a_crc_error() {
    // §4.12
    for length in [0, 512, 2048] {
        let mut guest = Guest::new(Controller::builder().drive(0, DriveType::Inch3_5Hd).scan_commands(true));
        let mut disk = SectorDisk::unformatted(FormFactor::Inch3_5, 80);
        let track = SectorTrack::new(DataRate::Kbps500).with_sector(id(0, 0, 1, 3), vec![0; length]);
        disk.set_track(0, 0, track);
        guest.bus.fdc.drive(0).unwrap().attach_medium(disk).unwrap();
        guest.reset();
        guest.select(0);
        guest.bus.write(CCR, 0);
        guest.program_dma(DMA_WRITE_FLOPPY, BUFFER, 1024);
        let [st0, st1, st2] = guest.command(&[0x51, 0, 0, 0, 1, 3, 1, 0x1B, 1]).status();
        assert_eq!([st0, st1, st2 & 0x20], [0x40, 0x20, 0x20], "{length} bytes");
        assert_eq!(read(&mut guest, &[0x46, 0, 0, 0, 1, 3, 1, 0x1B, 1], 1024), [0x40, 0x20, 0x20], "{length} bytes");
    }
}

#[test]
fn a_write_without_data_does_not_repair_a_sector() {
    // §1.11
    let mut guest = Disk::of([deleted(with_bad_data_crc(sector(1)))]).in_drive();
    guest.mask_dma();
    guest.send(&WRITE).unwrap();
    guest.reset();
    guest.select(0);
    assert_eq!(read(&mut guest, &READ, 512), [0x40, 0x20, 0x60]);
}

#[test]
fn a_write_that_a_reset_aborts_leaves_a_bad_crc() {
    // §1.11: a reset corrupts the sector of a write in progress
    let mut guest = Disk::of([sector(1)]).in_drive();
    guest.use_dma(false);
    guest.send(&WRITE).unwrap();
    (0..100).for_each(|_| guest.bus.write(FIFO, 0xEE));
    guest.reset();
    guest.select(0);
    assert_eq!(read(&mut guest, &READ, 512), [0x40, 0x20, 0x20]);
}

// Interrupts that were not sensed (§6.4)

#[test]
fn a_result_after_an_unsensed_seek_has_its_own_edge() {
    // §6.4
    let mut guest = Disk::of([sector(1)]).in_drive();
    guest.send(&[0x0F, 0, 0]).unwrap();
    let edges = guest.bus.irq().edges();
    guest.send(&[0x4A, 0]).unwrap(); // READ ID
    assert_eq!(guest.bus.irq().edges(), edges + 1);
}

#[test]
fn each_seek_has_its_own_edge() {
    // §6.4
    let (mut guest, _drive) = guest();
    let edges = guest.bus.irq().edges();
    guest.send(&[0x0F, 0, 5]).unwrap();
    guest.send(&[0x0F, 1, 5]).unwrap();
    assert_eq!(guest.bus.irq().edges(), edges + 2);
}
