//! The write protection of a disk, switched by a manager while it is attached.

use std::fs;

use super::kit::floppy::{BYTES, SECTOR, byte_of, failure, fill, folder, guest, read};
use super::kit::{CCR, DOR, FIFO, Guest, MSR};
use vm_fdc::{
    Controller, InterfaceMode, ReadRegister,
    drive::{Attachment, DriveType, HResult, ProtectError},
    media::{Access, Geometry, SectorDisk},
};

/// NW in ST1 (§4.12).
const NOT_WRITABLE: [u8; 3] = [0x40, 0x02, 0x00];

/// WP in ST3.
fn protected(guest: &mut Guest) -> bool {
    guest.command(&[0x04, 0x00])[0] & 0x40 != 0
}

#[test]
fn the_guest_sees_the_switch_at_once_and_no_change_of_the_disk() {
    // §5.4
    for access in [Access::ReadWrite, Access::Private] {
        let (_folder, path) = folder();
        let (mut guest, drive) = guest();
        drive.attach_image(&path, access).unwrap();
        guest.seek(1);
        let events = std::sync::mpsc::channel();
        drive.observe(events.0);
        for _ in 0..2 {
            assert!(!protected(&mut guest) && !drive.is_write_protected());
            fill(&mut guest, 3, 0xA5).unwrap();
            drive.set_write_protected(true).unwrap();
            assert!(protected(&mut guest) && drive.is_write_protected());
            assert_eq!(failure(fill(&mut guest, 3, 0xB6)), NOT_WRITABLE);
            assert_eq!(read(&mut guest, 3).unwrap(), [0xA5; SECTOR]);
            drive.set_write_protected(false).unwrap();
        }
        let digital_input = guest.bus.read(0x3F7);
        assert_eq!((drive.attachment(), digital_input & 0x80), (Attachment::Image, 0));
        assert!(events.1.try_recv().is_err());
        drive.release_image().unwrap();
    }
}

#[test]
fn status_register_a_shows_the_switch() {
    // §1: WP is active low on the PS/2
    let mut fdc = Controller::builder().drive(0, DriveType::Inch3_5Hd).interface(InterfaceMode::Ps2).build().unwrap();
    let drive = fdc.drive(0).unwrap();
    drive.attach_medium(SectorDisk::formatted(Geometry::HD_1440K, 0)).unwrap();
    fdc.write_port(DOR, 0x1C);
    let before = fdc.read(ReadRegister::StatusA);
    drive.set_write_protected(true).unwrap();
    assert_eq!(fdc.read(ReadRegister::StatusA) ^ before, 0x02);
    drive.set_write_protected(false).unwrap();
    assert_eq!(fdc.read(ReadRegister::StatusA), before);
}

#[test]
fn a_command_that_writes_fails_when_the_disk_becomes_protected_within() {
    // §4.12
    let (_folder, path) = folder();
    let (mut guest, drive) = guest();
    drive.attach_image(&path, Access::ReadWrite).unwrap();
    guest.use_dma(false);
    guest.seek(0);
    guest.send(&[0xC5, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF]).unwrap();
    for _ in 0..SECTOR + 100 {
        guest.bus.write(FIFO, 0xA5);
    }
    drive.set_write_protected(true).unwrap();
    while guest.bus.read(MSR) & 0x60 == 0x20 {
        guest.bus.write(FIFO, 0xB6);
    }
    let reply = guest.reply();
    assert_eq!([reply[0] & 0xF8, reply[1], reply[2]], NOT_WRITABLE);
    drive.release_image().unwrap();
    let bytes = fs::read(&path).unwrap();
    assert_eq!(bytes[..SECTOR], [0xA5; SECTOR]);
    assert!(bytes[SECTOR..2 * SECTOR].iter().all(|&byte| [0xA5, byte_of(1)].contains(&byte)));
    assert_eq!(bytes[2 * SECTOR..3 * SECTOR], [byte_of(2); SECTOR]);
}

#[test]
fn the_next_disk_is_not_protected() {
    let ((_folder, first), (_other, second)) = (folder(), folder());
    let (mut guest, drive) = guest();
    drive.attach_image(&first, Access::ReadWrite).unwrap();
    drive.set_write_protected(true).unwrap();
    drive.swap_image(&second, Access::ReadWrite).unwrap();
    assert!(!drive.is_write_protected());
    fill(&mut guest, 3, 0xA5).unwrap();
    drive.set_write_protected(true).unwrap();
    drive.release_image().unwrap();
    assert!(!drive.is_write_protected());
    drive.attach_image(&second, Access::ReadWrite).unwrap();
    assert!(!protected(&mut guest));
}

#[test]
fn a_disk_that_stays_because_its_release_failed_stays_protected() {
    let (_folder, path) = folder();
    let (mut guest, drive) = guest();
    drive.attach_image(&path, Access::ReadWrite).unwrap();
    fill(&mut guest, 3, 0xA5).unwrap();
    drive.set_write_protected(true).unwrap();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
    drive.release_image().unwrap_err();
    assert!(drive.is_write_protected() && protected(&mut guest));
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(BYTES as u64).unwrap();
    drive.release_image().unwrap();
}

#[test]
fn what_cannot_be_written_cannot_be_permitted() {
    let (_folder, path) = folder();
    let (mut guest, drive) = guest();
    let outcome = drive.set_write_protected(true).unwrap_err();
    assert!(matches!(outcome, ProtectError::NoMediaCaptured { drive: 0 }), "{outcome:?}");
    assert_eq!(outcome.hresult(), HResult::VM_E_NO_MEDIA_CAPTURED);

    drive.attach_image(&path, Access::ReadOnly).unwrap();
    assert!(drive.is_write_protected());
    drive.set_write_protected(true).unwrap();
    let error = drive.set_write_protected(false).unwrap_err();
    assert!(matches!(&error, ProtectError::ReadOnly { path: Some(said), .. } if *said == path), "{error:?}");
    assert!(error.to_string().contains("attach it read-write or private"), "{error}");
    assert!(protected(&mut guest));
    drive.release_image().unwrap();

    let mut disk = SectorDisk::formatted(Geometry::HD_1440K, 0);
    disk.set_write_protected(true);
    drive.attach_medium(disk).unwrap();
    assert!(matches!(drive.set_write_protected(false), Err(ProtectError::ReadOnly { path: None, .. })));

    drop(guest);
    assert!(matches!(drive.set_write_protected(true), Err(ProtectError::VmUnknown { drive: 0 })));
    assert!(!drive.is_write_protected());
}

#[test]
fn a_host_drive_can_be_protected() {
    let (_folder, path) = folder();
    let (mut guest, drive) = guest();
    drive.attach_host_drive(&path, Access::ReadWrite).unwrap();
    drive.set_write_protected(true).unwrap();
    assert_eq!(failure(fill(&mut guest, 3, 0xA5)), NOT_WRITABLE);
    assert!(drive.check_host_drive().unwrap());
    assert!(drive.is_write_protected());
    drive.release_host_drive().unwrap();
}

#[test]
fn a_protected_disk_cannot_be_formatted() {
    // §4.9
    let (_folder, path) = folder();
    let (mut guest, drive) = guest();
    drive.attach_image(&path, Access::ReadWrite).unwrap();
    drive.set_write_protected(true).unwrap();
    guest.bus.write(CCR, 0);
    let reply = guest.command(&[0x4D, 0x00, 2, 18, 0x6C, 0xF6]);
    assert_eq!([reply[0] & 0xF8, reply[1], reply[2]], NOT_WRITABLE);
}

#[cfg(feature = "serde")]
#[test]
fn a_restored_disk_is_as_protected_as_the_saved_one() {
    use vm_fdc::drive::{RestoreMedium, StateOptions};

    for protect in [false, true] {
        let fdc = Controller::builder().drive(0, DriveType::Inch3_5Hd).build().unwrap();
        let disk = || SectorDisk::formatted(Geometry::HD_1440K, 0);
        fdc.drive(0).unwrap().attach_medium(disk()).unwrap();
        fdc.drive(0).unwrap().set_write_protected(protect).unwrap();
        let state = fdc.state(StateOptions::new()).unwrap();
        for give in [true, false] {
            let choose = |_: u8, _: &_| match give {
                true => RestoreMedium::Medium(Box::new(disk())),
                false => RestoreMedium::Eject,
            };
            let restored =
                Controller::from_state(state.clone(), vm_fdc::NoInterrupt, vm_fdc::dma::NoDma, choose).unwrap();
            let drive = restored.drive(0).unwrap();
            assert_eq!(drive.is_write_protected(), protect && give);
            if !give {
                drive.attach_medium(disk()).unwrap();
                assert!(!drive.is_write_protected());
            }
        }
    }
}
