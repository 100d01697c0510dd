//! Drives: the calls of a manager, the disks that each drive accepts, and the change line, sensors and head that a guest
//! observes. IVMFloppyDrive is the COM interface that the drive layer follows.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::kit::{CCR, DIR, DOR, DSR, DriverError, FIFO, Guest, MSR, Reply, Sectors, TO_HOST, fixture};
use tempfile::NamedTempFile;
use vm_fdc::{
    BuildError, Controller, FloppyDrive,
    drive::{
        AttachError, Attachment,
        DriveType::{self, Inch3_5Dd, Inch3_5Ed, Inch3_5Hd, Inch5_25Dd, Inch5_25Hd},
        HResult, ReleaseError,
    },
    media::{
        Access, DataRate, FormFactor, Format, Image, ImageError, Layout, Mark, Medium, MediumError, SectorId, Track,
    },
};

/// Returns a file filled with one value.
fn filled(bytes: usize, value: u8) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    fs::write(file.path(), vec![value; bytes]).unwrap();
    file
}

fn disk() -> PathBuf {
    fixture("dos-1440k.img")
}

fn insert(drive: &FloppyDrive) {
    drive.attach_image(disk(), Access::Private).unwrap();
}

/// Returns a guest with an empty 1.44M drive, at 500 kb/s.
fn empty() -> (Guest, FloppyDrive) {
    let (mut guest, a) = Guest::with_drive(Inch3_5Hd);
    guest.bus.write(CCR, 0x00);
    (guest, a)
}

/// Returns such a guest with a disk in the drive. The change line is still set.
fn with_disk() -> (Guest, FloppyDrive) {
    let (guest, a) = empty();
    insert(&a);
    (guest, a)
}

/// Returns a drive whose controller was dropped.
fn orphan() -> FloppyDrive {
    with_disk().1
}

/// Returns a guest with two 1.44M drives.
fn with_two_drives() -> (Guest, FloppyDrive, FloppyDrive) {
    let mut guest = Guest::new(Controller::builder().drive(0, Inch3_5Hd).drive(1, Inch3_5Hd));
    guest.reset();
    let drive = |number| guest.bus.fdc.drive(number).unwrap();
    let (a, b) = (drive(0), drive(1));
    (guest, a, b)
}

/// Performs READ ID of unit 0, head 0.
fn read_id(guest: &mut Guest) -> Reply {
    guest.command(&[0x4A, 0x00])
}

/// Returns C of an ID under the head, if there is one.
fn cylinder_under_head(guest: &mut Guest) -> Option<u8> {
    let reply = read_id(guest);
    (reply[0] & 0xC0 == 0).then(|| reply.id()[0])
}

/// Returns ST3, the result of SENSE DRIVE STATUS of unit 0.
fn sensors(guest: &mut Guest) -> u8 {
    guest.command(&[0x04, 0x00])[0]
}

fn relative_seek_in(guest: &mut Guest, steps: u8) {
    guest.command(&[0xCF, 0x00, steps]);
    guest.sense_interrupt();
}

fn relative_seek_out(guest: &mut Guest, steps: u8) {
    guest.command(&[0x8F, 0x00, steps]);
    guest.sense_interrupt();
}

const WRITE_PROTECTED: u8 = 0x40;
const TRACK_0: u8 = 0x10;

const FIRST_SECTOR: Sectors = Sectors { cylinder: 0, head: 0, sector: 1, bytes: 512, end_of_track: 18 };

/// A disk of the VM monitor with the 1.44M format. Clones are the same disk.
#[derive(Clone, Default)]
struct Disk(Arc<Surface>);

#[derive(Default)]
struct Surface {
    cannot_be_saved: AtomicBool,
    saved: AtomicBool,
}

impl Medium for Disk {
    fn form_factor(&self) -> FormFactor {
        FormFactor::Inch3_5
    }

    fn cylinders(&self) -> u8 {
        80
    }

    fn is_write_protected(&self) -> bool {
        true
    }

    fn track(&self, cylinder: u8, head: u8) -> Option<Track<'_>> {
        let first = SectorId { cylinder, head, sector: 1, size_code: 2 };
        Some(Track::regular(DataRate::Kbps500, first, 18))
    }

    fn read(&mut self, _: u8, _: u8, _: usize, _: usize) -> Result<&[u8], MediumError> {
        Ok(&[0xE5; 512])
    }

    fn write(&mut self, _: u8, _: u8, _: usize, _: usize, _: Mark) -> Result<&mut [u8], MediumError> {
        Err(MediumError::Absent)
    }

    fn finish_write(&mut self, _: u8, _: u8, _: usize, _: usize, _: Mark) {}

    fn flush(&mut self) -> io::Result<()> {
        if self.0.cannot_be_saved.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.saved.store(true, Ordering::Relaxed);
        Ok(())
    }
}

// The drives of a controller

#[test]
fn a_controller_takes_four_drives_of_each_type() {
    // IVMFloppyDrive: a collection with items by index
    for drive_type in DriveType::ALL {
        let builder = (0..4).fold(Controller::builder(), |builder, number| builder.drive(number, drive_type));
        let fdc = builder.build().unwrap();
        for number in 0..4 {
            let drive = fdc.drive(number).unwrap();
            assert_eq!((drive.drive_number(), drive.drive_type()), (number, drive_type));
        }
    }
}

#[test]
fn a_controller_has_no_fifth_drive() {
    // §1.4: two select bits
    for number in [4, 255] {
        let refused = Controller::builder().drive(number, Inch3_5Hd).build();
        assert_eq!(refused.err(), Some(BuildError::DriveNumber(number)));
    }
}

#[test]
fn a_drive_can_be_configured_only_once() {
    // §1.4: exactly one drive is selected
    let refused = Controller::builder().drive(1, Inch3_5Hd).drive(1, Inch5_25Hd).build();
    assert_eq!(refused.err(), Some(BuildError::DriveTwice(1)));
}

#[test]
fn a_number_without_a_drive_is_a_bad_index() {
    // IVMFloppyDrive: DISP_E_BADINDEX
    let fdc = Controller::builder().drive(1, Inch3_5Hd).build().unwrap();
    for number in [0, 2, 3, 4, 255] {
        let error = fdc.drive(number).unwrap_err();
        assert_eq!((error.number, error.hresult().0), (number, 0x8002_000B));
    }
}

// The handle

const _: fn() = || {
    fn can_go_anywhere<T: Clone + Send + Sync + 'static>() {}
    can_go_anywhere::<FloppyDrive>();
};

#[test]
fn clones_are_handles_of_one_drive() {
    // IVMFloppyDrive: Attachment
    let (_guest, a) = empty();
    insert(&a.clone());
    assert_eq!(a.attachment(), Attachment::Image);
}

#[test]
fn another_thread_can_swap_disks_while_the_guest_reads() {
    // IVMFloppyDrive: AttachImage, ReleaseImage; §12, §4.13: a release ends a command
    let (mut guest, a) = empty();
    let values = [0xAA, 0xBB];
    let manager = thread::spawn(move || {
        let disks = values.map(|value| filled(1_474_560, value));
        for disk in disks.iter().cycle().take(100) {
            a.attach_image(disk.path(), Access::ReadWrite).unwrap();
            a.release_image().unwrap();
        }
        a.attach_image(disks[0].path(), Access::Private).unwrap();
    });
    while !manager.is_finished() {
        match guest.read_dma(FIRST_SECTOR) {
            Ok(_) => assert!(values.iter().any(|&value| guest.buffer(512) == [value; 512])),
            Err(DriverError::Failed(reply)) => assert_eq!(reply.status(), [0x40, 0x01, 0x00]),
            Err(error) => panic!("{error}"),
        }
    }
    manager.join().unwrap();
    guest.read_dma(FIRST_SECTOR).unwrap();
    assert_eq!(guest.buffer(512), [0xAA; 512]);
}

#[test]
fn a_release_during_a_read_ends_it_as_an_empty_drive_does() {
    // §4.13
    let (mut guest, a) = with_disk();
    guest.use_dma(false);
    guest.send(&[0x46, 0x00, 0, 0, 1, 2, 18, 0x1B, 0xFF]).unwrap();
    for _ in 0..512 {
        guest.bus.read(FIFO);
    }
    a.release_image().unwrap();
    for _ in 512..18 * 512 {
        if guest.bus.read(MSR) == TO_HOST {
            guest.bus.read(FIFO);
        }
    }
    assert_eq!(guest.reply().status(), [0x40, 0x01, 0x00]);
}

#[test]
fn the_number_of_a_drive_outlives_its_controller() {
    // IVMFloppyDrive: DriveNumber
    let b = with_two_drives().2;
    assert_eq!(b.drive_number(), 1);
}

#[test]
fn a_drive_without_its_controller_is_empty() {
    // IVMFloppyDrive: VM_E_VM_UNKNOWN
    let a = orphan();
    assert_eq!((a.attachment(), a.image_file(), a.host_drive()), (Attachment::None, None, None));
}

// Properties

#[test]
fn attachments_have_the_numbers_of_the_interface() {
    // IVMFloppyDrive: Attachment
    assert_eq!([Attachment::None, Attachment::Image, Attachment::HostDrive].map(|kind| kind as u8), [0, 1, 2]);
}

#[test]
fn an_attached_image_shows_as_an_image() {
    // IVMFloppyDrive: Attachment, ImageFile, HostDriveLetter
    let (_guest, a) = with_disk();
    assert_eq!((a.attachment(), a.image_file(), a.host_drive()), (Attachment::Image, Some(disk()), None));
}

#[test]
fn an_attached_host_drive_shows_as_a_host_drive() {
    // IVMFloppyDrive: Attachment, ImageFile, HostDriveLetter
    let (_guest, a) = empty();
    a.attach_host_drive(disk(), Access::ReadOnly).unwrap();
    assert_eq!((a.attachment(), a.image_file(), a.host_drive()), (Attachment::HostDrive, None, Some(disk())));
}

#[test]
fn a_medium_of_the_vm_monitor_shows_as_an_image_without_a_file() {
    // FloppyDrive::attach_medium
    let (_guest, a) = empty();
    a.attach_medium(Disk::default()).unwrap();
    assert_eq!((a.attachment(), a.image_file(), a.host_drive()), (Attachment::Image, None, None));
}

#[test]
fn a_relative_path_is_returned_as_an_absolute_path() {
    // IVMFloppyDrive: ImageFile; cargo runs tests where Cargo.toml is
    let (_guest, a) = empty();
    a.attach_image("fixtures/dos-1440k.img", Access::ReadOnly).unwrap();
    assert_eq!(a.image_file(), Some(disk()));
}

#[test]
fn a_released_drive_shows_nothing() {
    // IVMFloppyDrive: Attachment, ImageFile, HostDriveLetter
    let (_guest, a) = with_disk();
    a.release_image().unwrap();
    a.attach_host_drive(disk(), Access::ReadOnly).unwrap();
    a.release_host_drive().unwrap();
    assert_eq!((a.attachment(), a.image_file(), a.host_drive()), (Attachment::None, None, None));
}

// Outcomes of an attach

/// Attaches a path as an image and as a host drive. Returns both outcomes.
fn attach_both(drive: &FloppyDrive, path: impl AsRef<Path>) -> [u32; 2] {
    let image = drive.attach_image(&path, Access::ReadOnly);
    let host_drive = drive.attach_host_drive(&path, Access::ReadOnly);
    [image, host_drive].map(|outcome| outcome.unwrap_err().hresult().0)
}

#[test]
fn outcomes_print_as_eight_digits() {
    // IVMFloppyDrive: two traps in the public pages
    assert_eq!(HResult::S_OK.to_string(), "0x00000000");
    assert_eq!(HResult::VM_E_MEDIA_WRONG_TYPE.to_string(), "0xA0040728");
}

#[test]
fn an_attach_without_a_controller_fails_with_vm_unknown() {
    // IVMFloppyDrive: VM_E_VM_UNKNOWN
    assert_eq!(attach_both(&orphan(), disk()), [0xA004_0207; 2]);
    assert_eq!(orphan().attach_medium(Disk::default()).unwrap_err().hresult().0, 0xA004_0207);
}

#[test]
fn an_attach_to_an_occupied_drive_fails_with_drive_in_use() {
    // IVMFloppyDrive: VM_E_DRIVE_IN_USE
    let (_guest, a, b) = with_two_drives();
    insert(&a);
    b.attach_host_drive(disk(), Access::ReadOnly).unwrap();
    for drive in [a, b] {
        assert_eq!(attach_both(&drive, fixture("dos-1440k.vfd")), [0xA004_0727; 2]);
        assert_eq!(drive.attach_medium(Disk::default()).unwrap_err().hresult().0, 0xA004_0727);
    }
}

#[test]
fn an_invalid_path_is_reported_with_the_reason() {
    // IVMFloppyDrive: ERROR_BAD_PATHNAME, ERROR_INVALID_NAME, ERROR_BUFFER_OVERFLOW
    let (_guest, a) = empty();
    let cases = [
        ("", 0x8007_00A1),
        ("disk\0.img", 0x8007_007B),
        (&"x".repeat(300), 0x8007_006F),
        (&"x/".repeat(4000), 0x8007_006F),
    ];
    for (path, outcome) in cases {
        assert_eq!(attach_both(&a, path), [outcome; 2], "{path:?}");
    }
}

#[test]
fn an_unusable_file_is_neither_an_image_nor_a_host_drive() {
    // IVMFloppyDrive: VM_E_IMAGE_CAPTURE_FAIL, E_INVALIDARG
    let (_guest, a) = empty();
    let (folder, odd, used) = (tempfile::tempdir().unwrap(), filled(1000, 0), filled(1_720_320, 0));
    let _user = Image::open(used.path(), Access::ReadWrite).unwrap();
    let missing = folder.path().join("missing.img");
    for path in [folder.path(), odd.path(), used.path(), &missing, &disk().join("in-a-file.img")] {
        assert_eq!(attach_both(&a, path), [0xA004_0650, 0x8007_0057], "{}", path.display());
    }
}

#[cfg(unix)]
#[test]
fn a_character_device_is_no_host_drive() {
    // IVMFloppyDrive: E_INVALIDARG
    let (_guest, a) = empty();
    assert_eq!(attach_both(&a, "/dev/null"), [0xA004_0650, 0x8007_0057]);
}

#[test]
fn a_host_without_memory_is_reported() {
    // IVMFloppyDrive: out of memory
    let source = io::ErrorKind::OutOfMemory.into();
    assert_eq!(AttachError::OutOfMemory { drive: 0, path: disk(), source }.hresult().0, 0x8007_000E);
}

#[test]
fn a_failed_attach_leaves_the_drive_empty_and_the_file_unlocked() {
    // IVMFloppyDrive: AttachImage
    let ((_guest, a), file) = (empty(), filled(1_228_800, 0));
    a.attach_image(file.path(), Access::ReadWrite).unwrap_err();
    assert_eq!(a.attachment(), Attachment::None);
    file.as_file().try_lock().unwrap();
}

// Outcomes of a release

/// Returns a guest with a disk of the VM monitor that cannot be saved, and the error of a release. The change line is
/// clear.
fn after_a_failed_release() -> (Guest, FloppyDrive, Disk, ReleaseError) {
    let ((mut guest, a), disk) = (empty(), Disk::default());
    a.attach_medium(disk.clone()).unwrap();
    guest.seek(1);
    disk.0.cannot_be_saved.store(true, Ordering::Relaxed);
    let error = a.release_image().unwrap_err();
    (guest, a, disk, error)
}

#[test]
fn a_release_unlocks_the_image() {
    // IVMFloppyDrive: ReleaseImage, S_OK
    let ((_guest, a), file) = (empty(), filled(1_474_560, 0));
    a.attach_image(file.path(), Access::ReadWrite).unwrap();
    a.release_image().unwrap();
    assert_eq!(a.attachment(), Attachment::None);
    file.as_file().try_lock().unwrap();
}

#[test]
fn a_release_unlocks_the_host_drive() {
    // IVMFloppyDrive: ReleaseHostDrive, S_OK
    let ((_guest, a), file) = (empty(), filled(1_474_560, 0));
    a.attach_host_drive(file.path(), Access::ReadWrite).unwrap();
    a.release_host_drive().unwrap();
    assert_eq!(a.attachment(), Attachment::None);
    file.as_file().try_lock().unwrap();
}

#[test]
fn a_release_saves_what_was_written() {
    // IVMFloppyDrive: ReleaseImage
    let ((_guest, a), disk) = (empty(), Disk::default());
    a.attach_medium(disk.clone()).unwrap();
    a.release_image().unwrap();
    assert!(disk.0.saved.load(Ordering::Relaxed));
}

#[test]
fn a_release_without_a_controller_fails_with_vm_unknown() {
    // IVMFloppyDrive: VM_E_VM_UNKNOWN
    assert_eq!(orphan().release_image().unwrap_err().hresult().0, 0xA004_0207);
    assert_eq!(orphan().release_host_drive().unwrap_err().hresult().0, 0xA004_0207);
}

#[test]
fn an_image_is_not_released_as_a_host_drive() {
    // IVMFloppyDrive: VM_E_MEDIA_WRONG_TYPE
    let (_guest, a) = with_disk();
    assert_eq!(a.release_host_drive().unwrap_err().hresult().0, 0xA004_0728);
    assert_eq!(a.attachment(), Attachment::Image);
}

#[test]
fn a_host_drive_is_not_released_as_an_image() {
    // IVMFloppyDrive: VM_E_MEDIA_WRONG_TYPE
    let (_guest, a) = empty();
    a.attach_host_drive(disk(), Access::ReadOnly).unwrap();
    assert_eq!(a.release_image().unwrap_err().hresult().0, 0xA004_0728);
    assert_eq!(a.attachment(), Attachment::HostDrive);
}

#[test]
fn a_release_of_an_empty_drive_finds_no_medium() {
    // IVMFloppyDrive: VM_E_NO_MEDIA_CAPTURED
    let (_guest, a) = empty();
    assert_eq!(a.release_image().unwrap_err().hresult().0, 0xA004_0652);
    assert_eq!(a.release_host_drive().unwrap_err().hresult().0, 0xA004_0652);
}

#[test]
fn a_second_release_finds_no_medium() {
    // IVMFloppyDrive: VM_E_NO_MEDIA_CAPTURED
    let (_guest, a) = with_disk();
    a.release_image().unwrap();
    assert_eq!(a.release_image().unwrap_err().hresult().0, 0xA004_0652);
}

#[test]
fn a_release_that_cannot_save_fails_with_media_unmount_fail() {
    // IVMFloppyDrive: VM_E_MEDIA_UNMOUNT_FAIL
    let (_guest, _a, _disk, error) = after_a_failed_release();
    assert_eq!(error.hresult().0, 0xA004_0508);
    assert!(matches!(error, ReleaseError::UnmountFailed { source, .. } if source.kind() == io::ErrorKind::StorageFull));
}

#[test]
fn a_failed_release_keeps_the_medium_attached() {
    // design.md: a failed release keeps the medium attached
    let (mut guest, a, _disk, _error) = after_a_failed_release();
    assert_eq!(a.attachment(), Attachment::Image);
    assert_eq!(cylinder_under_head(&mut guest), Some(1));
}

#[test]
fn a_failed_release_does_not_set_the_change_line() {
    // §9.5: the line is set when the medium is removed
    let (mut guest, ..) = after_a_failed_release();
    assert!(!changed(&mut guest));
}

#[test]
fn a_failed_release_can_be_repeated() {
    // ReleaseError::UnmountFailed
    let (_guest, a, disk, _error) = after_a_failed_release();
    disk.0.cannot_be_saved.store(false, Ordering::Relaxed);
    a.release_image().unwrap();
    assert_eq!(a.attachment(), Attachment::None);
}

// The end of the controller

#[test]
fn dropping_the_controller_saves_the_medium() {
    // design.md: nothing that a guest has written is dropped in silence
    let ((guest, a), disk) = (empty(), Disk::default());
    a.attach_medium(disk.clone()).unwrap();
    drop(guest);
    assert!(disk.0.saved.load(Ordering::Relaxed));
}

#[test]
fn dropping_the_controller_unlocks_the_file() {
    // FloppyDrive: outlives the controller harmlessly
    let ((guest, a), file) = (empty(), filled(1_474_560, 0));
    a.attach_image(file.path(), Access::ReadWrite).unwrap();
    file.as_file().try_lock().unwrap_err();
    drop(guest);
    file.as_file().try_lock().unwrap();
}

// The disks that each drive accepts

const NO: Option<u32> = None;

/// The size of an image, and the data rate in kb/s at which each drive reads the disk, in the order of
/// [`DriveType::ALL`]. A size that two formats share has the format that the drive accepts.
#[rustfmt::skip]
const MEDIA: [(usize, [Option<u32>; 5]); 7] = [
    //            360K       1.2M       720K       1.44M      2.88M
    (  163_840, [Some(250), Some(300), NO,        NO,        NO        ]),
    (  327_680, [Some(250), Some(300), NO,        NO,        NO        ]),
    (  368_640, [Some(250), Some(300), Some(250), Some(250), Some(250) ]),
    (  737_280, [NO,        Some(300), Some(250), Some(250), Some(250) ]),
    (1_228_800, [NO,        Some(500), NO,        NO,        NO        ]),
    (1_474_560, [NO,        Some(500), NO,        Some(500), Some(500) ]),
    (2_949_120, [NO,        NO,        NO,        NO,        Some(1000)]),
];

/// Returns each drive with each size, and the data rate at which it reads the disk.
fn pairings() -> impl Iterator<Item = (DriveType, usize, Option<u32>)> {
    let row = |(bytes, rates): (usize, [Option<u32>; 5])| {
        DriveType::ALL.into_iter().zip(rates).map(move |(drive_type, rate)| (drive_type, bytes, rate))
    };
    MEDIA.into_iter().flat_map(row)
}

#[test]
fn a_drive_reads_each_disk_that_it_takes_at_one_rate() {
    // §9.2, §9.7
    for (drive_type, bytes, rate) in pairings().filter(|(_, _, rate)| rate.is_some()) {
        let (mut guest, a) = Guest::with_drive(drive_type);
        a.attach_image(filled(bytes, 0).path(), Access::ReadOnly).unwrap();
        let rates_by_bits = [500, 300, 250, 1000];
        for (bits, tried) in (0..).zip(rates_by_bits) {
            guest.bus.write(CCR, bits);
            let found = read_id(&mut guest).status() == [0x00; 3];
            assert_eq!(found, rate == Some(tried), "{bytes} bytes in a {drive_type} drive at {tried} kb/s");
        }
    }
}

#[test]
fn a_drive_refuses_each_disk_that_it_cannot_read_and_names_its_format() {
    // §9.2
    for (drive_type, bytes, _) in pairings().filter(|(_, _, rate)| rate.is_none()) {
        let (_guest, a) = Guest::with_drive(drive_type);
        let error = a.attach_image(filled(bytes, 0).path(), Access::ReadOnly).unwrap_err();
        assert_wrong_drive(error, bytes as u64);
    }
}

/// Checks that the disk is refused, and that the error lists all formats of its size.
fn assert_wrong_drive(error: AttachError, bytes: u64) {
    let AttachError::CaptureFailed { source: ImageError::WrongDrive { candidates, .. }, drive_type, .. } = error else {
        panic!("{bytes} bytes: {error:?}")
    };
    let all: HashSet<_> = Format::of_size(bytes).collect();
    assert_eq!(candidates.into_iter().collect::<HashSet<_>>(), all, "{bytes} bytes in a {drive_type} drive");
}

#[test]
fn a_5_25_inch_drive_refuses_images_of_the_size_of_xdf() {
    // §9.7, §9.8: XDF and 1.84M are 3.5"
    let (_guest, a) = Guest::with_drive(Inch5_25Hd);
    assert_wrong_drive(a.attach_image(filled(1_884_160, 0).path(), Access::ReadOnly).unwrap_err(), 1_884_160);
}

#[test]
fn a_file_of_the_size_of_xdf_is_xdf() {
    // §9.7: 23 sectors of 512 bytes do not fit on a real track
    for (drive_type, bytes, layout) in [
        (Inch3_5Hd, 1_884_160, Layout::Xdf),
        (Inch3_5Ed, 1_884_160, Layout::Xdf),
        (Inch5_25Hd, 1_556_480, Layout::Xdf5_25),
    ] {
        let (_guest, a) = Guest::with_drive(drive_type);
        a.attach_image(filled(bytes, 0).path(), Access::ReadOnly).unwrap();
        assert_eq!(a.layout(), Some(layout));
    }
}

#[test]
fn a_1200k_drive_does_not_distinguish_400k_from_rx50() {
    // §9.7
    let (_guest, a) = Guest::with_drive(Inch5_25Hd);
    let error = a.attach_image(filled(409_600, 0).path(), Access::ReadOnly).unwrap_err();
    assert!(matches!(error, AttachError::CaptureFailed { source: ImageError::AmbiguousSize { .. }, .. }));
    // The head of a 360K drive does not reach all cylinders of RX50.
    let (_guest, a) = Guest::with_drive(Inch5_25Dd);
    a.attach_image(filled(409_600, 0).path(), Access::ReadOnly).unwrap();
}

#[test]
fn the_drive_decides_how_many_heads_a_disk_of_720_sectors_has() {
    // §9.7
    for (drive_type, rate, has_second_side) in [(Inch5_25Dd, 2, true), (Inch5_25Hd, 1, true), (Inch3_5Dd, 2, false)] {
        let (mut guest, a) = Guest::with_drive(drive_type);
        a.attach_image(filled(368_640, 0).path(), Access::ReadOnly).unwrap();
        guest.bus.write(CCR, rate);
        assert_eq!(guest.command(&[0x4A, 0x04])[0] & 0xC0 == 0, has_second_side, "{drive_type}");
    }
}

#[test]
fn a_medium_of_the_vm_monitor_must_have_the_size_of_the_drive() {
    // §9.2
    let (_guest, a) = Guest::with_drive(Inch5_25Hd);
    let error = a.attach_medium(Disk::default()).unwrap_err();
    assert!(matches!(error, AttachError::UnsuitableMedium { drive: 0, drive_type: Inch5_25Hd, .. }));
}

// The disk-change line

/// Returns the change line of the selected drive.
fn changed(guest: &mut Guest) -> bool {
    guest.bus.read(DIR) & 0x80 != 0
}

/// An action of a guest, with a name.
type Action = (&'static str, fn(&mut Guest));

const RESETS: [Action; 3] = [
    ("a reset by the DOR", |guest| {
        guest.reset();
        guest.select(0);
    }),
    ("a reset by the DSR", |guest| {
        guest.bus.write(DSR, 0x80);
        for _ in 0..4 {
            guest.sense_interrupt();
        }
    }),
    ("the RESET pin", |guest| {
        guest.bus.fdc.reset();
        guest.reset();
        guest.select(0);
        guest.bus.write(CCR, 0x00);
    }),
];

/// Actions that make no step while the head and the present cylinder number are at 0.
const WITHOUT_A_STEP: [Action; 8] = [
    ("a read of the DIR", |guest| _ = guest.bus.read(DIR)),
    ("the motor off and on", |guest| {
        guest.bus.write(DOR, 0x0C);
        guest.select(0);
    }),
    ("SEEK to the present cylinder", |guest| _ = guest.seek(0)),
    ("RECALIBRATE at track 0", |guest| _ = guest.recalibrate()),
    ("RELATIVE SEEK by no cylinder", |guest| relative_seek_in(guest, 0)),
    ("SENSE DRIVE STATUS", |guest| _ = sensors(guest)),
    ("READ ID", |guest| _ = read_id(guest)),
    ("READ DATA", |guest| _ = guest.read_dma(FIRST_SECTOR)),
];

/// Actions that make a step while the head is at cylinder 1 or above.
const WITH_A_STEP: [Action; 6] = [
    ("SEEK to a higher cylinder", |guest| _ = guest.seek(3)),
    ("SEEK to a lower cylinder", |guest| _ = guest.seek(0)),
    ("RECALIBRATE", |guest| _ = guest.recalibrate()),
    ("RELATIVE SEEK", |guest| relative_seek_in(guest, 1)),
    ("an implied seek", |guest| {
        guest.command(&[0x13, 0x00, 0x60, 0x00]);
        guest.read_dma(Sectors { cylinder: 2, ..FIRST_SECTOR }).unwrap();
    }),
    ("SEEK with the motor off", |guest| {
        guest.bus.write(DOR, 0x0C);
        guest.seek(3);
        guest.select(0);
    }),
];

#[test]
fn the_change_line_is_set_at_power_up() {
    // §9.5: R, empty or not
    let [(mut without_disk, _a), (mut with_disk, _b)] = [empty(), with_disk()];
    assert!(changed(&mut without_disk));
    assert!(changed(&mut with_disk));
}

#[test]
fn a_step_with_a_disk_clears_the_change_line() {
    // §9.5
    for (name, act) in WITH_A_STEP {
        let (mut guest, a) = empty();
        guest.seek(1);
        insert(&a);
        act(&mut guest);
        assert!(!changed(&mut guest), "{name}");
    }
}

#[test]
fn a_step_without_a_disk_leaves_the_change_line_set() {
    // §9.5
    for (name, act) in WITH_A_STEP.into_iter().filter(|(name, _)| *name != "an implied seek") {
        let (mut guest, _a) = empty();
        guest.seek(1);
        act(&mut guest);
        assert!(changed(&mut guest), "{name}");
    }
}

#[test]
fn a_command_without_a_step_leaves_the_change_line_set() {
    // §9.5
    for (name, act) in WITHOUT_A_STEP.into_iter().chain(RESETS) {
        let (mut guest, _a) = with_disk();
        act(&mut guest);
        assert!(changed(&mut guest), "{name}");
    }
}

#[test]
fn no_command_of_the_guest_sets_the_change_line() {
    // §9.5
    for (name, act) in WITHOUT_A_STEP.into_iter().chain(RESETS).chain(WITH_A_STEP) {
        let (mut guest, _a) = with_disk();
        guest.seek(1);
        act(&mut guest);
        assert!(!changed(&mut guest), "{name}");
    }
}

#[test]
fn a_seek_to_the_present_cylinder_number_makes_no_step() {
    // §9.5, §3.16
    let (mut guest, a) = empty();
    guest.seek(5);
    guest.reset();
    guest.select(0);
    insert(&a);
    guest.seek(0);
    assert!(changed(&mut guest));
}

#[test]
fn a_step_against_the_inner_stop_clears_the_change_line() {
    // §9.5: a step pulse clears it, even if the head does not move
    let (mut guest, a) = empty();
    guest.seek(200);
    insert(&a);
    guest.seek(201);
    assert!(!changed(&mut guest));
}

#[test]
fn an_eject_sets_the_change_line() {
    // §9.5
    let (mut guest, a) = with_disk();
    guest.seek(1);
    a.release_image().unwrap();
    assert!(changed(&mut guest));
}

#[test]
fn an_insertion_leaves_the_change_line_set() {
    // §9.5
    let (mut guest, a) = empty();
    assert!(changed(&mut guest));
    insert(&a);
    assert!(changed(&mut guest));
}

#[test]
fn a_swap_sets_the_change_line() {
    // §9.5
    let (mut guest, a) = with_disk();
    guest.seek(1);
    a.release_image().unwrap();
    insert(&a);
    assert!(changed(&mut guest));
}

#[test]
fn a_360k_drive_has_no_change_line() {
    // §9.5
    let has_line = [(Inch5_25Dd, false), (Inch5_25Hd, true), (Inch3_5Dd, true), (Inch3_5Hd, true), (Inch3_5Ed, true)];
    for (drive_type, expected) in has_line {
        let (mut guest, _a) = Guest::with_drive(drive_type);
        assert_eq!(changed(&mut guest), expected, "{drive_type}");
    }
}

#[test]
fn the_change_line_shows_while_its_drive_is_selected_and_its_motor_on() {
    // §9.5, §1.9: DIV-4
    let (mut guest, _a, b) = with_two_drives();
    insert(&b);
    guest.select(1);
    guest.seek(1); // Now the change line of drive 0 is set, and that of drive 1 is not.
    let cases = [
        (0x1C, true, "drive 0"),
        (0x3C, true, "drive 0, both motors on"),
        (0x0C, false, "drive 0, motor off"),
        (0x2C, false, "drive 0, the motor of drive 1 on"),
        (0x3D, false, "drive 1"),
        (0x4E, false, "drive 2, which is not there"),
    ];
    for (digital_output, expected, what) in cases {
        guest.bus.write(DOR, digital_output);
        assert_eq!(changed(&mut guest), expected, "{what}");
    }
}

#[test]
fn the_step_goes_to_the_drive_that_the_dor_selects() {
    // §9.5, §1.4: DIV-1
    let (mut guest, a, b) = with_two_drives();
    insert(&a);
    insert(&b);
    guest.select(1);
    guest.command(&[0x0F, 0x00, 1]); // SEEK of unit 0
    guest.sense_interrupt();
    assert!(!changed(&mut guest));
    guest.select(0);
    assert!(changed(&mut guest));
}

// The sensors

#[test]
fn the_write_protect_sensor_shows_a_read_only_image() {
    // §5.4
    for (access, sensed) in [(Access::ReadWrite, 0), (Access::Private, 0), (Access::ReadOnly, WRITE_PROTECTED)] {
        let ((mut guest, a), file) = (empty(), filled(1_474_560, 0));
        a.attach_image(file.path(), access).unwrap();
        assert_eq!(sensors(&mut guest), 0x38 | sensed, "{access:?}");
    }
}

#[test]
fn an_empty_drive_does_not_show_write_protection() {
    // §4.13: R, not established
    let (mut guest, a) = empty();
    a.attach_image(disk(), Access::ReadOnly).unwrap();
    a.release_image().unwrap();
    assert_eq!(sensors(&mut guest) & WRITE_PROTECTED, 0);
}

#[test]
fn the_sensors_are_those_of_the_drive_that_the_dor_selects() {
    // §5.4
    let (mut guest, a, _b) = with_two_drives();
    a.attach_image(disk(), Access::ReadOnly).unwrap();
    guest.select(1);
    guest.seek(1);
    let seen_of_unit_0 = [0, 1].map(|drive| {
        guest.select(drive);
        sensors(&mut guest)
    });
    assert_eq!(seen_of_unit_0, [0x28 | WRITE_PROTECTED | TRACK_0, 0x28]);
}

#[test]
fn the_track_0_sensor_needs_neither_a_disk_nor_the_motor() {
    // §9.6
    for (disk_in, motor) in [(false, 0x00), (false, 0x10), (true, 0x00), (true, 0x10)] {
        let (mut guest, _a) = if disk_in { with_disk() } else { empty() };
        guest.bus.write(DOR, 0x0C | motor);
        assert_eq!(sensors(&mut guest), 0x28 | TRACK_0);
        guest.seek(1);
        assert_eq!(sensors(&mut guest), 0x28);
    }
}

// The head

#[test]
fn no_reset_moves_the_head() {
    // §1.11: DIV-5
    for (reset, act) in RESETS {
        let (mut guest, _a) = with_disk();
        guest.seek(5);
        act(&mut guest);
        assert_eq!(cylinder_under_head(&mut guest), Some(5), "{reset}");
    }
}

#[test]
fn after_a_reset_a_recalibrate_finds_track_0_again() {
    // §1.11, §3.11
    let (mut guest, _a) = with_disk();
    guest.seek(5);
    guest.reset();
    guest.select(0);
    assert_eq!(guest.recalibrate(), [0x20, 0]);
    assert_eq!(cylinder_under_head(&mut guest), Some(0));
}

#[test]
fn the_head_stops_at_the_inner_stop() {
    // §9.1: the IBM BIOS counts the steps out to track 0 to distinguish drives of 40 and 80 tracks
    let stops = [
        (Inch5_25Dd, 41..=43),
        (Inch5_25Hd, 82..=86),
        (Inch3_5Dd, 82..=86),
        (Inch3_5Hd, 82..=86),
        (Inch3_5Ed, 82..=86),
    ];
    for (drive_type, stop) in stops {
        let (mut guest, _a) = Guest::with_drive(drive_type);
        guest.seek(255);
        let steps = (0..255).take_while(|_| {
            relative_seek_out(&mut guest, 1);
            sensors(&mut guest) & TRACK_0 == 0
        });
        let steps = steps.count() + 1;
        assert!(stop.contains(&steps), "{drive_type}: {steps} steps");
    }
}

#[test]
fn beyond_the_inner_stop_the_present_cylinder_number_still_counts() {
    // §9.6
    let (mut guest, _a) = empty();
    assert_eq!(guest.seek(200), [0x20, 200]);
}

#[test]
fn a_step_out_at_track_0_does_not_move_the_head() {
    // §9.6
    let (mut guest, _a) = with_disk();
    relative_seek_out(&mut guest, 3);
    assert_eq!(cylinder_under_head(&mut guest), Some(0));
}

#[test]
fn an_80_cylinder_drive_reaches_the_last_of_83_cylinders() {
    // §9.7
    let (mut guest, a) = empty();
    a.attach_image(filled(1_529_856, 0).path(), Access::ReadOnly).unwrap();
    guest.seek(82);
    assert_eq!(cylinder_under_head(&mut guest), Some(82));
}

#[test]
fn a_40_cylinder_disk_is_under_every_other_step_of_a_1_2m_drive() {
    // §9.4
    let (mut guest, a) = Guest::with_drive(Inch5_25Hd);
    a.attach_image(fixture("dos-360k.img"), Access::ReadOnly).unwrap();
    guest.bus.write(CCR, 0x01);
    for (cylinder, found) in
        [(0, Some(0)), (1, None), (2, Some(1)), (4, Some(2)), (78, Some(39)), (79, None), (80, None)]
    {
        guest.seek(cylinder);
        assert_eq!(cylinder_under_head(&mut guest), found, "at {cylinder}");
    }
}

#[test]
fn a_40_cylinder_disk_is_under_every_step_of_a_360k_drive() {
    // §9.4
    let (mut guest, a) = Guest::with_drive(Inch5_25Dd);
    a.attach_image(fixture("dos-360k.img"), Access::ReadOnly).unwrap();
    for (cylinder, found) in [(0, Some(0)), (1, Some(1)), (39, Some(39)), (40, None)] {
        guest.seek(cylinder);
        assert_eq!(cylinder_under_head(&mut guest), found, "at {cylinder}");
    }
}
