//! FORMAT TRACK in another layout than that of the image, on images that are attached with the option to be reformatted.

use std::{
    fs,
    path::PathBuf,
    sync::mpsc::{self, Receiver},
};

use super::kit::{BUFFER, CCR, DIR, DMA_READ_FLOPPY, DMA_WRITE_FLOPPY, Guest, Reply};
use tempfile::TempDir;
use vm_fdc::{
    Controller, FloppyDrive,
    controller::RestoreError,
    drive::{
        AttachError, DriveType, MediaEvent, ReleaseError, RestoreMedium, RestoreMediumError, SaveError, StateOptions,
    },
    media::{
        Access, BlankImage, DataRate, Durability, FormFactor, Geometry, IfExists, Image, ImageError, ImageOptions,
        IncompleteFormat, Layout, Length, MediumError, ReformatLimit, SectorDisk, SharedImage,
    },
};

/// What the guest fills the tracks with that it formats.
const FILLER: u8 = 0xF6;
/// What the old disk is filled with.
const OLD: u8 = 0x11;

const OK: [u8; 3] = [0, 0, 0];
const REFUSED: [u8; 3] = [0x40, 0x02, 0];

/// A layout as a guest formats it: the rate of the controller, and the cylinders of the drive from one of the disk to the
/// next.
#[derive(Clone, Copy)]
struct Target {
    geometry: Geometry,
    rate: u8,
    step: u8,
}

const fn target(geometry: Geometry, rate: u8) -> Target {
    Target { geometry, rate, step: 1 }
}

const T1440: Target = target(Geometry::HD_1440K, 0b00);
const T720: Target = target(Geometry::DD_720K, 0b10);
const T1200: Target = target(Geometry::HD_1200K, 0b00);
/// The 360K disk in a drive of 1.2M.
const T360: Target = Target { geometry: Geometry::DD_360K, rate: 0b01, step: 2 };

fn geometry(cylinders: u8, heads: u8, sectors: u8, rate: DataRate, form_factor: FormFactor) -> Geometry {
    Geometry::new(cylinders, heads, sectors, 2, rate, form_factor).unwrap()
}

impl Target {
    /// Formats a track, and returns the status without drive and head.
    fn format(self, guest: &mut Guest, cylinder: u8, head: u8) -> [u8; 3] {
        let sectors = self.geometry.sectors();
        let ids: Vec<u8> =
            (1..=sectors).flat_map(|sector| [cylinder, head, sector, self.geometry.size_code()]).collect();
        guest.bus.write(CCR, self.rate);
        guest.seek(cylinder * self.step);
        guest.buffer_mut(ids.len()).copy_from_slice(&ids);
        guest.program_dma(DMA_WRITE_FLOPPY, BUFFER, ids.len());
        let gap = 0x20;
        status(guest.command(&[0x4D, head << 2, self.geometry.size_code(), sectors, gap, FILLER]))
    }

    /// Formats all tracks of some cylinders.
    fn format_cylinders(self, guest: &mut Guest, cylinders: impl IntoIterator<Item = u8>) {
        for cylinder in cylinders {
            for head in 0..self.geometry.heads() {
                assert_eq!(self.format(guest, cylinder, head), OK, "cylinder {cylinder}, head {head}");
            }
        }
    }

    fn format_disk(self, guest: &mut Guest) {
        self.format_cylinders(guest, 0..self.geometry.cylinders());
    }

    /// Moves a sector between the disk and the buffer.
    fn transfer(self, guest: &mut Guest, opcode: u8, mode: u8, place: [u8; 3]) -> [u8; 3] {
        let [cylinder, head, sector] = place;
        let size_code = self.geometry.size_code();
        guest.bus.write(CCR, self.rate);
        guest.seek(cylinder * self.step);
        guest.program_dma(mode, BUFFER, self.geometry.sector_size());
        let eot = self.geometry.sectors();
        status(guest.command(&[opcode, head << 2, cylinder, head, sector, size_code, eot, 0x1B, 0xFF]))
    }

    /// Reads a sector, of which all bytes are the same: returns the byte, or the status of the failure.
    fn read(self, guest: &mut Guest, place: [u8; 3]) -> Result<u8, [u8; 3]> {
        let size = self.geometry.sector_size();
        guest.buffer_mut(size).fill(0);
        match self.transfer(guest, 0x46, DMA_READ_FLOPPY, place) {
            OK => {
                let bytes = guest.buffer(size);
                assert!(bytes.iter().all(|&byte| byte == bytes[0]));
                Ok(bytes[0])
            }
            failure => Err(failure),
        }
    }

    fn write(self, guest: &mut Guest, place: [u8; 3], value: u8) -> [u8; 3] {
        guest.buffer_mut(self.geometry.sector_size()).fill(value);
        self.transfer(guest, 0x45, DMA_WRITE_FLOPPY, place)
    }

    /// Returns the place in the raw image of a sector.
    fn offset(self, [cylinder, head, sector]: [u8; 3]) -> usize {
        let track = usize::from(cylinder) * usize::from(self.geometry.heads()) + usize::from(head);
        (track * usize::from(self.geometry.sectors()) + usize::from(sector) - 1) * self.geometry.sector_size()
    }

    fn layout(self) -> Option<Layout> {
        Some(self.geometry.into())
    }
}

fn status(reply: Reply) -> [u8; 3] {
    [reply[0] & 0xF8, reply[1], reply[2]]
}

/// A guest with an image of a disk that is full of [`OLD`].
struct Setup {
    _folder: TempDir,
    path: PathBuf,
    guest: Guest,
    drive: FloppyDrive,
    events: Receiver<MediaEvent>,
}

fn options(access: Access) -> ImageOptions {
    ImageOptions::new(access).with_reformat(true)
}

fn setup(drive_type: DriveType, bytes: u64, options: ImageOptions) -> Setup {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.img");
    fs::write(&path, vec![OLD; bytes as usize]).unwrap();
    let (guest, drive) = Guest::with_drive(drive_type);
    drive.attach_image(&path, options).unwrap();
    let (sender, events) = mpsc::channel();
    drive.observe(sender);
    Setup { _folder: folder, path, guest, drive, events }
}

fn hd(old: Target) -> Setup {
    setup(DriveType::Inch3_5Hd, old.geometry.bytes(), options(Access::ReadWrite))
}

impl Setup {
    fn file(&self) -> Vec<u8> {
        fs::read(&self.path).unwrap()
    }

    fn event(&self, before: Option<Layout>, after: Option<Layout>) {
        let path = Some(self.path.clone());
        let expected = MediaEvent::Reformatted { drive: 0, path, before, after };
        assert_eq!(self.events.try_iter().collect::<Vec<_>>(), [expected]);
    }

    fn no_event(&self) {
        assert_eq!(self.events.try_iter().collect::<Vec<_>>(), []);
    }

    /// Expects that the release fails because a format is not complete.
    fn incomplete(&self, tracks: usize, written: usize) {
        let expect = |source: &std::io::Error| {
            let incomplete: &IncompleteFormat = source.get_ref().unwrap().downcast_ref().unwrap();
            assert_eq!((incomplete.tracks, incomplete.written), (tracks, written));
        };
        match self.drive.release_image() {
            Err(ReleaseError::UnmountFailed { source, path, .. }) => {
                assert_eq!(path.as_ref(), Some(&self.path));
                expect(&source);
            }
            other => panic!("{other:?}"),
        }
        match self.drive.flush() {
            Err(ReleaseError::UnmountFailed { source, .. }) => expect(&source),
            other => panic!("{other:?}"),
        }
        match self.drive.save_image(self.path.with_extension("other"), IfExists::Fail) {
            Err(SaveError::Unreadable { source: MediumError::Io(source), .. }) => expect(&source),
            other => panic!("{other:?}"),
        }
    }
}

// A whole disk

#[test]
fn a_disk_that_is_formatted_in_another_layout_is_that_disk() {
    // §9.2: what each drive can write.
    let eighty = |sectors, rate, form| geometry(80, 2, sectors, rate, form);
    let d1600 = target(eighty(20, DataRate::Kbps500, FormFactor::Inch3_5), 0);
    let d2880 = target(Geometry::ED_2880K, 0b11);
    let quad = target(eighty(9, DataRate::Kbps250, FormFactor::Inch5_25), 0b01);
    let table = [
        (DriveType::Inch3_5Hd, T1440, T720),
        (DriveType::Inch3_5Hd, T720, T1440),
        (DriveType::Inch3_5Hd, T1440, d1600),
        (DriveType::Inch3_5Ed, d2880, T1440),
        (DriveType::Inch3_5Ed, T1440, d2880),
        (DriveType::Inch5_25Hd, T1200, T360),
        (DriveType::Inch5_25Hd, T360, T1200),
        (DriveType::Inch5_25Hd, T1200, quad),
        // These two have tracks of the same kind, at other places.
        (DriveType::Inch5_25Hd, T360, quad),
        (DriveType::Inch5_25Hd, quad, T360),
    ];
    for (drive_type, old, new) in table {
        let name = format!("{} to {}", old.geometry, new.geometry);
        let options = options(Access::ReadWrite).with_geometry(old.geometry);
        let mut it = setup(drive_type, old.geometry.bytes(), options);
        let last = new.geometry.cylinders() - 1;
        new.format_cylinders(&mut it.guest, 0..last);
        assert_eq!(new.format(&mut it.guest, last, 0), OK);
        it.no_event();
        assert_eq!((it.drive.layout(), it.file().len() as u64), (old.layout(), old.geometry.bytes()), "{name}");

        assert_eq!(new.format(&mut it.guest, last, 1), OK);
        it.event(old.layout(), new.layout());
        assert_eq!(it.drive.layout(), new.layout());
        assert!(it.file() == vec![FILLER; new.geometry.bytes() as usize], "{name}");
        // From now on it is an ordinary disk of that layout.
        for (place, value) in [([0, 0, 1], 0xA1), ([last, 1, new.geometry.sectors()], 0xA2), ([last, 0, 3], 0xA3)] {
            assert_eq!(new.write(&mut it.guest, place, value), OK, "{name}");
            assert_eq!(new.read(&mut it.guest, place), Ok(value), "{name}");
            assert_eq!(it.file()[new.offset(place)], value, "{name}");
        }
        it.drive.release_image().unwrap();
        assert_eq!(it.file().len() as u64, new.geometry.bytes());
        it.drive.attach_image(&it.path, ImageOptions::new(Access::ReadOnly).with_geometry(new.geometry)).unwrap();
        assert_eq!(new.read(&mut it.guest, [last, 0, 3]), Ok(0xA3), "{name}");
    }
}

#[test]
fn the_option_is_off_by_default() {
    let options = ImageOptions::new(Access::ReadWrite);
    assert!(!options.reformat());
    let mut it = setup(DriveType::Inch3_5Hd, T1440.geometry.bytes(), options);
    assert_eq!(T720.format(&mut it.guest, 0, 0), REFUSED);
    assert_eq!(T1440.read(&mut it.guest, [0, 0, 1]), Ok(OLD));
    it.drive.release_image().unwrap();
    assert!(it.file() == vec![OLD; 1_474_560]);
}

#[test]
fn dos_formats_verifies_and_writes_its_first_sectors() {
    // FORMAT A: /F:720: each track is formatted and verified, then the boot sector, the FATs and the directory are written.
    let mut it = hd(T1440);
    for (cylinder, head) in (0..80).flat_map(|cylinder| [(cylinder, 0), (cylinder, 1)]) {
        assert_eq!(T720.format(&mut it.guest, cylinder, head), OK);
        let verify = [0x56, head << 2, cylinder, head, 1, 2, 9, 0x2A, 0xFF];
        assert_eq!(status(it.guest.command(&verify)), OK, "cylinder {cylinder}, head {head}");
    }
    let mut expected = vec![FILLER; 737_280];
    for sector in 0..14 {
        let place = [0, sector / 9, sector % 9 + 1];
        assert_eq!(T720.write(&mut it.guest, place, sector), OK);
        expected[usize::from(sector) * 512..][..512].fill(sector);
    }
    it.event(T1440.layout(), T720.layout());
    it.drive.release_image().unwrap();
    assert!(it.file() == expected);
}

#[test]
fn a_reformat_is_no_change_of_the_disk() {
    // §9.5: the change line is set when a disk is removed.
    let mut it = hd(T1440);
    it.guest.seek(1);
    assert_eq!(it.guest.bus.read(DIR) & 0x80, 0);
    T720.format_disk(&mut it.guest);
    assert_eq!(it.guest.bus.read(DIR) & 0x80, 0);
}

#[test]
fn more_cylinders_make_a_larger_disk() {
    // 82 cylinders of 18 sectors, formatted on a disk of 80 that has as many.
    let d1476 = target(geometry(82, 2, 18, DataRate::Kbps500, FormFactor::Inch3_5), 0);
    let d81 = target(geometry(81, 2, 18, DataRate::Kbps500, FormFactor::Inch3_5), 0);
    let mut it = hd(T1440);
    d1476.format_cylinders(&mut it.guest, [80]);
    it.event(T1440.layout(), d81.layout());
    d1476.format_cylinders(&mut it.guest, [81]);
    it.event(d81.layout(), d1476.layout());
    let mut expected = vec![OLD; 1_474_560];
    expected.resize(1_511_424, FILLER);
    assert!(it.file() == expected);
    // Fewer cylinders leave the others as they are.
    T1440.format_cylinders(&mut it.guest, [0]);
    assert_eq!((it.file().len(), it.drive.layout()), (1_511_424, d1476.layout()));
}

/// 3.5" 360K, a disk of one head.
fn one_head() -> Target {
    target(geometry(80, 1, 9, DataRate::Kbps250, FormFactor::Inch3_5), 0b10)
}

#[test]
fn a_format_under_head_0_alone_is_not_complete_on_a_disk_with_two() {
    let mut it = hd(T1440);
    one_head().format_disk(&mut it.guest);
    it.no_event();
    assert_eq!(one_head().write(&mut it.guest, [0, 0, 1], 0xA1), OK);
    // The other head has the old disk, to which the guest can write.
    assert_eq!(T1440.write(&mut it.guest, [5, 1, 3], 0xC3), OK);
    assert_eq!(T1440.read(&mut it.guest, [5, 1, 3]), Ok(0xC3));
    // Nothing is lost without a word: neither by a flush, nor by a save or a release.
    assert!(it.drive.flush().is_err());
    it.drive.save_image(it.path.with_extension("saved"), IfExists::Fail).unwrap_err();
    it.drive.release_image().unwrap_err();
    assert_eq!(it.drive.layout(), T1440.layout());
    assert_eq!(T1440.read(&mut it.guest, [5, 1, 3]), Ok(0xC3));
    assert!(it.file()[T1440.offset([5, 1, 3])..].starts_with(&[0xC3; 512]));
    // The guest formats the tracks under the other head, too.
    for cylinder in 0..80 {
        assert_eq!(T720.format(&mut it.guest, cylinder, 1), OK);
    }
    it.event(T1440.layout(), T720.layout());
    assert_eq!(T720.read(&mut it.guest, [0, 0, 1]), Ok(0xA1));
}

#[test]
fn a_failed_release_does_not_end_a_format() {
    let mut it = hd(T1440);
    one_head().format_disk(&mut it.guest);
    assert_eq!(T1440.write(&mut it.guest, [5, 1, 3], 0xC3), OK);
    fs::remove_file(&it.path).unwrap();
    it.drive.release_image().unwrap_err();
    assert_eq!(T1440.read(&mut it.guest, [5, 1, 3]), Ok(0xC3));
    assert_eq!(one_head().read(&mut it.guest, [0, 0, 1]), Ok(FILLER));
    assert_eq!(it.drive.layout(), T1440.layout());
}

#[test]
fn a_state_with_tracks_in_another_layout_is_restored_after_the_machine_that_saved_it_is_gone() {
    let mut it = hd(T1440);
    one_head().format_disk(&mut it.guest);
    assert_eq!(one_head().write(&mut it.guest, [0, 0, 1], 0xA1), OK);
    migrate(&mut it, StateOptions::new(), || RestoreMedium::Reopen).unwrap();
    assert_eq!(one_head().read(&mut it.guest, [0, 0, 1]), Ok(0xA1));
}

#[test]
fn a_state_with_tracks_in_another_layout_is_not_restored_to_an_image_that_cannot_be_written() {
    let mut it = hd(T1440);
    T720.format_cylinders(&mut it.guest, 0..3);
    assert_eq!(T720.write(&mut it.guest, [1, 0, 5], 0xA5), OK);
    let path = it.path.clone();
    let choose = || Image::open(&path, options(Access::ReadOnly).with_geometry(Geometry::HD_1440K)).unwrap().into();
    migrate(&mut it, StateOptions::new(), choose).unwrap_err();
}

// In the middle

#[test]
fn the_guest_reads_what_it_formatted_and_the_rest_of_the_old_disk() {
    let mut it = hd(T1440);
    T720.format_cylinders(&mut it.guest, 0..3);
    assert_eq!(T720.read(&mut it.guest, [2, 1, 9]), Ok(FILLER));
    assert_eq!(T1440.read(&mut it.guest, [2, 1, 9]), Err([0x40, 0x01, 0]), "no address mark at the other rate");
    assert_eq!(T1440.read(&mut it.guest, [3, 0, 18]), Ok(OLD));
    assert_eq!(T720.write(&mut it.guest, [1, 0, 5], 0xA5), OK);
    assert_eq!(T720.read(&mut it.guest, [1, 0, 5]), Ok(0xA5));
    assert_eq!(T1440.write(&mut it.guest, [3, 0, 7], 0xA7), OK);
    // What is written to the old disk is in its file, and nothing else.
    let mut expected = vec![OLD; 1_474_560];
    expected[T1440.offset([3, 0, 7])..][..512].fill(0xA7);
    assert!(it.file() == expected);
    it.incomplete(6, 1);
    assert!(it.file() == expected);

    // The guest goes on, and the format is complete.
    T720.format_cylinders(&mut it.guest, 3..80);
    it.event(T1440.layout(), T720.layout());
    it.drive.release_image().unwrap();
    let mut expected = vec![FILLER; 737_280];
    expected[T720.offset([1, 0, 5])..][..512].fill(0xA5);
    assert!(it.file() == expected);
}

#[test]
fn a_release_in_the_middle_keeps_the_old_disk_if_nothing_is_lost() {
    let mut it = hd(T1440);
    T720.format_cylinders(&mut it.guest, 0..3);
    it.drive.flush().unwrap();
    it.drive.release_image().unwrap();
    assert!(it.file() == vec![OLD; 1_474_560]);
    it.drive.attach_image(&it.path, options(Access::ReadWrite)).unwrap();
    assert_eq!(T1440.read(&mut it.guest, [1, 0, 1]), Ok(OLD));
}

#[test]
fn a_forced_release_in_the_middle_says_what_is_lost() {
    let mut it = hd(T1440);
    T720.format_cylinders(&mut it.guest, 0..3);
    assert_eq!(T720.write(&mut it.guest, [1, 0, 5], 0xA5), OK);
    let loss = it.drive.force_release().unwrap().unwrap();
    assert_eq!((loss.ranges.len(), &loss.ranges[0]), (1, &(9_216..13_824)), "a track");
    assert!(loss.source.get_ref().unwrap().is::<IncompleteFormat>());
    assert!(it.file() == vec![OLD; 1_474_560]);
}

#[test]
fn a_track_that_is_formatted_as_it_was_is_of_the_old_disk_again() {
    let mut it = hd(T1440);
    T720.format_cylinders(&mut it.guest, 0..3);
    assert_eq!(T720.write(&mut it.guest, [1, 0, 5], 0xA5), OK);
    T1440.format_cylinders(&mut it.guest, 0..3);
    it.no_event();
    it.drive.release_image().unwrap();
    let mut expected = vec![OLD; 1_474_560];
    expected[..3 * 36 * 512].fill(FILLER);
    assert!(it.file() == expected);
}

#[test]
fn a_guest_that_mixes_layouts_has_a_disk_of_several() {
    let targets = [T720, target(geometry(80, 2, 10, DataRate::Kbps250, FormFactor::Inch3_5), 0b10), T1440];
    let d1600 = target(geometry(80, 2, 20, DataRate::Kbps500, FormFactor::Inch3_5), 0);
    let targets = [targets[0], targets[1], targets[2], d1600];
    let mut it = hd(T1440);
    for round in 0..3 {
        for (cylinder, head) in (0..80).flat_map(|cylinder| [(cylinder, 0), (cylinder, 1)]) {
            let target = targets[(usize::from(cylinder) + usize::from(head) + round) % 4];
            assert_eq!(target.format(&mut it.guest, cylinder, head), OK);
            assert_eq!(target.read(&mut it.guest, [cylinder, head, 9]), Ok(FILLER));
        }
        it.no_event();
    }
    assert_eq!(targets[0].write(&mut it.guest, [2, 0, 1], 0xA1), OK);
    it.incomplete(120, 1);
    // A format of the whole disk ends it.
    T720.format_disk(&mut it.guest);
    it.event(T1440.layout(), T720.layout());
    it.drive.release_image().unwrap();
    assert!(it.file() == vec![FILLER; 737_280]);
}

#[test]
fn a_track_that_no_raw_image_can_hold_is_refused() {
    // §4.9
    let mut it = hd(T1440);
    let track =
        |change: [u8; 4]| -> Vec<[u8; 4]> { (1..=9).map(|n| if n == 5 { change } else { [0, 0, n, 2] }).collect() };
    for change in [[1, 0, 5, 2], [0, 1, 5, 2], [0, 0, 4, 2], [0, 0, 10, 2], [0, 0, 0, 2], [0, 0, 5, 3]] {
        let ids = track(change);
        it.guest.bus.write(CCR, T720.rate);
        it.guest.seek(0);
        it.guest.buffer_mut(36).copy_from_slice(ids.as_flattened());
        it.guest.program_dma(DMA_WRITE_FLOPPY, BUFFER, 36);
        assert_eq!(status(it.guest.command(&[0x4D, 0, 2, 9, 0x20, FILLER])), REFUSED, "{change:?}");
    }
    // Another cylinder than the one under the head, and beyond the reach of the drive.
    it.guest.seek(3);
    let ids: Vec<u8> = (1..=9).flat_map(|n| [4, 0, n, 2]).collect();
    it.guest.buffer_mut(36).copy_from_slice(&ids);
    it.guest.program_dma(DMA_WRITE_FLOPPY, BUFFER, 36);
    assert_eq!(status(it.guest.command(&[0x4D, 0, 2, 9, 0x20, FILLER])), REFUSED);
    // FM.
    it.guest.program_dma(DMA_WRITE_FLOPPY, BUFFER, 36);
    assert_eq!(status(it.guest.command(&[0x0D, 0, 2, 5, 0x20, FILLER])), REFUSED);
    assert_eq!(T1440.read(&mut it.guest, [0, 0, 5]), Ok(OLD));
    it.drive.release_image().unwrap();
    assert!(it.file() == vec![OLD; 1_474_560]);
}

// Blank images

#[test]
fn a_blank_image_takes_its_layout_from_its_first_format() {
    let quad = target(geometry(80, 2, 9, DataRate::Kbps250, FormFactor::Inch5_25), 0b01);
    let d360 = Target { step: 1, rate: 0b10, ..T360 };
    let table = [
        (DriveType::Inch3_5Hd, T1440),
        (DriveType::Inch3_5Hd, T720),
        (DriveType::Inch3_5Dd, T720),
        (DriveType::Inch5_25Hd, T360),
        (DriveType::Inch5_25Hd, T1200),
        (DriveType::Inch5_25Hd, quad),
        (DriveType::Inch5_25Dd, d360),
    ];
    for (drive_type, new) in table {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("blank.img");
        BlankImage::create_unformatted(&path, IfExists::Fail).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
        let (guest, drive) = Guest::with_drive(drive_type);
        drive.attach_image(&path, options(Access::ReadWrite)).unwrap();
        let (sender, events) = mpsc::channel();
        drive.observe(sender);
        let mut it = Setup { _folder: folder, path, guest, drive, events };

        assert_eq!(it.drive.layout(), None);
        it.guest.bus.write(CCR, new.rate);
        assert_eq!(new.read(&mut it.guest, [0, 0, 1]), Err([0x40, 0x01, 0]), "MA: no address mark");
        assert_eq!(status(it.guest.command(&[0x4A, 0])), [0x40, 0x01, 0], "MA");
        new.format_disk(&mut it.guest);
        it.event(None, new.layout());
        assert_eq!(it.drive.layout(), new.layout());
        assert_eq!(new.write(&mut it.guest, [1, 1, 9], 0xA9), OK);
        it.drive.release_image().unwrap();
        let mut expected = vec![FILLER; new.geometry.bytes() as usize];
        expected[new.offset([1, 1, 9])..][..512].fill(0xA9);
        assert!(it.file() == expected, "{drive_type}");
    }
}

#[test]
fn a_blank_image_that_is_released_stays_blank() {
    let mut it = setup(DriveType::Inch3_5Hd, 0, options(Access::ReadWrite));
    it.drive.flush().unwrap();
    it.drive.release_image().unwrap();
    assert!(it.file().is_empty());
    it.drive.attach_image(&it.path, options(Access::ReadWrite)).unwrap();
    T720.format_cylinders(&mut it.guest, 0..2);
    assert_eq!(T720.write(&mut it.guest, [0, 0, 1], 0xA1), OK);
    it.incomplete(4, 1);
    it.drive.force_release().unwrap().unwrap();
    assert!(it.file().is_empty());
    // Write protected, it cannot be formatted.
    it.drive.attach_image(&it.path, options(Access::ReadOnly)).unwrap();
    assert_eq!(T720.format(&mut it.guest, 0, 0), REFUSED);
}

// Files and options

#[test]
fn a_private_image_is_reformatted_without_its_file() {
    let mut it = setup(DriveType::Inch3_5Hd, 1_474_560, options(Access::Private));
    T720.format_disk(&mut it.guest);
    it.event(T1440.layout(), T720.layout());
    assert_eq!(T720.write(&mut it.guest, [79, 1, 9], 0xA9), OK);
    assert_eq!(T720.read(&mut it.guest, [79, 1, 9]), Ok(0xA9));
    let saved = it.path.with_extension("saved");
    it.drive.save_image(&saved, IfExists::Fail).unwrap();
    it.drive.release_image().unwrap();
    assert!(it.file() == vec![OLD; 1_474_560]);
    let mut expected = vec![FILLER; 737_280];
    expected[736_768..].fill(0xA9);
    assert!(fs::read(&saved).unwrap() == expected);

    // In the middle, nothing of it reaches the file either.
    it.drive.attach_image(&it.path, options(Access::Private)).unwrap();
    T720.format_cylinders(&mut it.guest, 0..2);
    assert_eq!(T720.write(&mut it.guest, [0, 0, 1], 0xA1), OK);
    it.drive.release_image().unwrap();
    assert!(it.file() == vec![OLD; 1_474_560]);
}

#[test]
fn the_file_changes_when_the_durability_says_so() {
    for durability in [Durability::AtRelease, Durability::EveryCommand, Durability::OnFlush] {
        let options = options(Access::ReadWrite).with_durability(durability);
        let mut it = setup(DriveType::Inch3_5Hd, 1_474_560, options);
        T720.format_disk(&mut it.guest);
        it.event(T1440.layout(), T720.layout());
        let deferred = durability == Durability::OnFlush;
        assert_eq!(it.file().len(), if deferred { 1_474_560 } else { 737_280 });
        assert_eq!(T720.write(&mut it.guest, [0, 0, 1], 0xA1), OK);
        it.drive.flush().unwrap();
        assert_eq!((it.file().len(), it.file()[0], it.file()[512]), (737_280, 0xA1, FILLER), "{durability:?}");
        it.drive.release_image().unwrap();
    }
}

#[test]
fn a_short_file_gets_the_whole_length() {
    let options = options(Access::ReadWrite).with_length(Length::Pad);
    let mut it = setup(DriveType::Inch3_5Hd, 1_000, options);
    assert_eq!(it.drive.layout(), T1440.layout());
    T720.format_disk(&mut it.guest);
    it.drive.release_image().unwrap();
    assert!(it.file() == vec![FILLER; 737_280]);
}

#[test]
fn an_image_that_cannot_be_reformatted_is_refused_with_the_option() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.img");
    fs::write(&path, vec![OLD; 1_474_560]).unwrap();
    let (_guest, drive) = Guest::with_drive(DriveType::Inch3_5Hd);
    let limit = |outcome: Result<(), AttachError>| match outcome {
        Err(
            AttachError::CaptureFailed { source: ImageError::CannotReformat(limit), .. }
            | AttachError::NoHostDrive { source: ImageError::CannotReformat(limit), .. },
        ) => limit,
        other => panic!("{other:?}"),
    };
    // SAFETY: nobody else has the file, and it is not mapped.
    #[allow(unsafe_code)]
    let mapped = unsafe { options(Access::ReadWrite).with_mapping() };
    assert_eq!(limit(drive.attach_image(&path, mapped)), ReformatLimit::Mapped);
    assert_eq!(limit(drive.attach_host_drive(&path, options(Access::ReadWrite))), ReformatLimit::HostDrive);
    let error = SharedImage::open(&path, options(Access::Private)).unwrap_err();
    assert!(matches!(error, ImageError::CannotReformat(ReformatLimit::Shared)), "{error}");
    fs::write(&path, vec![OLD; 1_474_561]).unwrap();
    let long = options(Access::ReadWrite).with_length(Length::Truncate);
    assert_eq!(limit(drive.attach_image(&path, long)), ReformatLimit::LongFile);
    drive.attach_image(&path, long.with_access(Access::Private)).unwrap();
    drive.release_image().unwrap();
    // A layout that is named is that of a file which has it.
    fs::write(&path, []).unwrap();
    let named = options(Access::ReadWrite).with_geometry(Geometry::HD_1440K);
    let error = drive.attach_image(&path, named).unwrap_err();
    assert!(matches!(error, AttachError::CaptureFailed { source: ImageError::Empty, .. }), "{error}");
}

#[test]
fn an_opened_image_learns_its_drive_at_the_attach() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.img");
    fs::write(&path, vec![OLD; 368_640]).unwrap();
    let image = Image::open(&path, options(Access::ReadWrite).with_geometry(Geometry::DD_360K)).unwrap();
    assert!(image.reformat());
    let (mut guest, drive) = Guest::with_drive(DriveType::Inch5_25Hd);
    drive.attach_opened_image(image).unwrap();
    assert_eq!(T360.read(&mut guest, [39, 1, 9]), Ok(OLD));
    assert_eq!(T360.write(&mut guest, [39, 1, 9], 0xA9), OK);
    T1200.format_disk(&mut guest);
    assert_eq!(drive.layout(), T1200.layout());
    drive.release_image().unwrap();
    assert!(fs::read(&path).unwrap() == vec![FILLER; 1_228_800]);
}

#[test]
fn a_file_that_another_program_has_cut_is_not_made_the_new_disk() {
    let mut it = hd(T1440);
    T720.format_cylinders(&mut it.guest, 0..79);
    assert_eq!(T720.format(&mut it.guest, 79, 0), OK);
    let cut = |length| fs::File::options().write(true).open(&it.path).unwrap().set_len(length).unwrap();
    cut(512);
    assert_eq!(T720.format(&mut it.guest, 79, 1), [0x40, 0x20, 0], "DE: the host failed");
    it.event(T1440.layout(), T720.layout());
    assert!(matches!(it.drive.release_image(), Err(ReleaseError::UnmountFailed { .. })));
    assert_eq!(T720.read(&mut it.guest, [79, 1, 9]), Ok(FILLER));
    cut(1_474_560);
    it.drive.release_image().unwrap();
    assert!(it.file() == vec![FILLER; 737_280]);
}

// Saved states

/// Saves the controller and replaces it by one that is restored.
fn migrate(it: &mut Setup, options: StateOptions, choose: impl Fn() -> RestoreMedium) -> Result<(), RestoreError> {
    let state = it.guest.bus.fdc.state(options).unwrap();
    // The file is locked until the image is gone.
    it.drive.force_release().unwrap();
    let dma = vm_fdc::dma::AtDma::new(vec![0; 0x4_0000]);
    it.guest.bus.fdc = Controller::from_state(state, Default::default(), dma, |_, _| choose())?;
    it.drive = it.guest.bus.fdc.drive(0).unwrap();
    let (sender, events) = mpsc::channel();
    it.drive.observe(sender);
    it.events = events;
    it.guest.reset();
    it.guest.select(0);
    it.guest.recalibrate();
    Ok(())
}

#[test]
fn a_machine_is_saved_in_the_middle_of_a_format() {
    for access in [Access::ReadWrite, Access::Private] {
        for options_of_state in [StateOptions::new(), StateOptions::new().with_hash()] {
            for give in [false, true] {
                let mut it = setup(DriveType::Inch3_5Hd, 1_474_560, options(access));
                T720.format_cylinders(&mut it.guest, 0..40);
                assert_eq!(T720.write(&mut it.guest, [1, 0, 5], 0xA5), OK);
                let path = it.path.clone();
                let choose = || match give {
                    false => RestoreMedium::Reopen,
                    true => Image::open(&path, options(access).with_geometry(Geometry::HD_1440K)).unwrap().into(),
                };
                migrate(&mut it, options_of_state, choose).unwrap();
                assert_eq!(it.drive.layout(), T1440.layout());
                assert_eq!(T720.read(&mut it.guest, [1, 0, 5]), Ok(0xA5));
                assert_eq!(T1440.read(&mut it.guest, [40, 0, 5]), Ok(OLD));
                T720.format_cylinders(&mut it.guest, 40..80);
                it.event(T1440.layout(), T720.layout());
                // Saved again, the private image is another disk than its file.
                migrate(&mut it, options_of_state, || RestoreMedium::Reopen).unwrap();
                assert_eq!(it.drive.layout(), T720.layout());
                assert_eq!(T720.read(&mut it.guest, [1, 0, 5]), Ok(0xA5));
                it.drive.release_image().unwrap();
                assert_eq!(it.file().len(), if access == Access::Private { 1_474_560 } else { 737_280 });
            }
        }
    }
}

#[test]
fn a_machine_with_a_blank_image_is_saved() {
    for access in [Access::ReadWrite, Access::Private] {
        let mut it = setup(DriveType::Inch5_25Hd, 0, options(access));
        migrate(&mut it, StateOptions::new(), || RestoreMedium::Reopen).unwrap();
        assert_eq!(T360.read(&mut it.guest, [0, 0, 1]), Err([0x40, 0x01, 0]));
        T360.format_cylinders(&mut it.guest, 0..20);
        migrate(&mut it, StateOptions::new(), || RestoreMedium::Reopen).unwrap();
        T360.format_cylinders(&mut it.guest, 20..40);
        it.event(None, T360.layout());
        migrate(&mut it, StateOptions::new(), || RestoreMedium::Reopen).unwrap();
        assert_eq!(T360.read(&mut it.guest, [39, 1, 9]), Ok(FILLER));
        it.drive.release_image().unwrap();
        assert_eq!(it.file().len(), if access == Access::Private { 0 } else { 368_640 });
    }
}

#[test]
fn a_medium_that_cannot_hold_a_format_in_progress_is_refused() {
    let blank = || RestoreMedium::Medium(SectorDisk::unformatted(FormFactor::Inch3_5, 80).into());
    for number in 0..3 {
        let mut it = hd(T1440);
        T720.format_cylinders(&mut it.guest, 0..2);
        let path = it.path.clone();
        let choose = || match number {
            0 => RestoreMedium::Contents,
            1 => blank(),
            _ => {
                let options = ImageOptions::new(Access::ReadWrite).with_geometry(Geometry::HD_1440K);
                Image::open(&path, options).unwrap().into()
            }
        };
        match migrate(&mut it, StateOptions::new().with_contents(), choose) {
            Err(RestoreError::Medium { drive: 0, source: RestoreMediumError::FormatInProgress { tracks: 4 } }) => {}
            other => panic!("{number}: {other:?}"),
        }
    }
}
