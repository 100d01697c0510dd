//! One image for many drives.

use std::fs;

use super::kit::floppy::{BYTES, SECTOR, byte_of, failure, fill, folder, guest, read};
use vm_fdc::media::{
    Access, Durability, Geometry, Image, ImageError, ImageOptions, Layout, Length, Medium, SharedImage,
};

fn named() -> ImageOptions {
    ImageOptions::default().with_geometry(Geometry::HD_1440K)
}

#[test]
fn each_guest_reads_what_it_wrote_and_no_other_does() {
    let (_folder, path) = folder();
    let before = fs::read(&path).unwrap();
    let shared = SharedImage::open(&path, named()).unwrap();
    let mut guests: Vec<_> = (0..5).map(|_| guest()).collect();
    for (number, (guest, drive)) in guests.iter_mut().enumerate() {
        drive.attach_opened_image(if number < 4 { shared.private() } else { shared.read_only() }).unwrap();
        assert_eq!(drive.image_file().as_deref(), Some(&*path));
        let outcome = fill(guest, 40, number as u8);
        if number < 4 { _ = outcome.unwrap() } else { assert_eq!(failure(outcome), [0x40, 0x02, 0x00]) }
    }
    for (number, (guest, drive)) in guests.iter_mut().enumerate() {
        let own = if number < 4 { number as u8 } else { byte_of(40) };
        assert_eq!(read(guest, 40).unwrap(), [own; SECTOR]);
        for sector in [0, 36, 39, 41, 71, 72, 2_879] {
            assert_eq!(read(guest, sector).unwrap(), [byte_of(sector); SECTOR], "{sector}");
        }
        drive.release_image().unwrap();
    }
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn the_whole_of_a_private_image_can_be_saved() {
    let (folder, path) = folder();
    let shared = SharedImage::open(&path, named()).unwrap();
    let (mut guest, drive) = guest();
    drive.attach_opened_image(shared.private()).unwrap();
    fill(&mut guest, 2_879, 0xA5).unwrap();
    let saved = folder.path().join("saved.img");
    drive.save_image(&saved, vm_fdc::media::IfExists::Fail).unwrap();
    let mut expected = fs::read(&path).unwrap();
    expected[2_879 * SECTOR..].fill(0xA5);
    assert_eq!(fs::read(&saved).unwrap(), expected);
}

#[cfg(feature = "serde")]
#[test]
fn a_private_image_of_a_shared_one_is_restored_with_what_was_written() {
    use vm_fdc::{
        Controller, NoInterrupt,
        dma::NoDma,
        drive::{DriveType, RestoreMedium, StateOptions},
        media::Mark,
    };

    let (folder, path) = folder();
    let shared = SharedImage::open(&path, named()).unwrap();
    let mut image = shared.private();
    image.write(79, 1, 17, 1, Mark::Data).unwrap().fill(0xA5);
    let fdc = Controller::builder().drive(0, DriveType::Inch3_5Hd).build().unwrap();
    fdc.drive(0).unwrap().attach_opened_image(image).unwrap();
    let state = fdc.state(StateOptions::new()).unwrap();
    let restore = |shared: &SharedImage| {
        let choose = |_: u8, _: &_| RestoreMedium::from(shared.private());
        Controller::from_state(state.clone(), NoInterrupt, NoDma, choose)
    };
    let restored = restore(&shared).unwrap();
    let saved = folder.path().join("saved.img");
    restored.drive(0).unwrap().save_image(&saved, vm_fdc::media::IfExists::Fail).unwrap();
    let mut expected = fs::read(&path).unwrap();
    expected[2_879 * SECTOR..].fill(0xA5);
    assert_eq!(fs::read(&saved).unwrap(), expected);
    // Another disk has not as many bytes.
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(737_280).unwrap();
    let other = ImageOptions::default().with_geometry(Geometry::DD_720K);
    assert!(restore(&SharedImage::open(&path, other).unwrap()).is_err());
}

#[test]
fn the_file_is_locked_until_the_last_image_is_gone() {
    let (_folder, path) = folder();
    let shared = SharedImage::open(&path, named()).unwrap();
    let image = shared.clone().private();
    drop(shared);
    assert!(matches!(Image::open(&path, named()), Err(ImageError::InUse { .. })));
    // Others can read it.
    Image::open(&path, named().with_access(Access::ReadOnly)).unwrap();
    drop(image);
    Image::open(&path, named()).unwrap();
}

#[test]
fn what_others_do_to_the_file_does_not_matter() {
    let (_folder, path) = folder();
    let shared = SharedImage::open(&path, named()).unwrap();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
    let (mut guest, drive) = guest();
    drive.attach_opened_image(shared.private()).unwrap();
    assert_eq!(read(&mut guest, 2_879).unwrap(), [byte_of(2_879); SECTOR]);
    fill(&mut guest, 5, 0xA5).unwrap();
    drive.release_image().unwrap();
}

#[test]
fn a_shared_image_opens_as_any_other() {
    let (_folder, path) = folder();
    assert!(matches!(SharedImage::open("/nowhere", named()), Err(ImageError::Open(_))));
    assert!(matches!(SharedImage::open(&path, Access::ReadOnly), Err(ImageError::AmbiguousSize { .. })));
    let file = |length| fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length).unwrap();
    for (length, option) in [(1_424_460, Length::Pad), (BYTES as u64 + 1, Length::Truncate)] {
        file(length);
        assert!(matches!(SharedImage::open(&path, named()), Err(ImageError::WrongSize { .. })));
        let mut image = SharedImage::open(&path, named().with_length(option)).unwrap().private();
        let mut expected = fs::read(&path).unwrap();
        expected.resize(BYTES, 0);
        assert_eq!(image.raw_image().unwrap(), expected);
    }
    file(0);
    assert!(matches!(SharedImage::open(&path, named()), Err(ImageError::Empty)));
    for layout in [Layout::Xdf, Layout::Xdf5_25] {
        file(layout.bytes());
        assert_eq!(SharedImage::open(&path, Access::ReadOnly).unwrap().layout(), layout);
    }
}

#[cfg(feature = "conformance")]
#[test]
fn images_of_a_shared_one_and_short_ones_keep_the_contract_of_media() {
    use vm_fdc::conformance::check_medium;

    let (_folder, path) = folder();
    let shared = SharedImage::open(&path, named()).unwrap();
    check_medium(&mut shared.private()).unwrap();
    check_medium(&mut shared.read_only()).unwrap();
    drop(shared);
    for layout in [Layout::Xdf, Layout::Xdf5_25] {
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(layout.bytes()).unwrap();
        check_medium(&mut SharedImage::open(&path, Access::ReadOnly).unwrap().private()).unwrap();
        check_medium(&mut Image::open(&path, Access::Private).unwrap()).unwrap();
    }
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1_000_001).unwrap();
    let options = named().with_length(Length::Pad).with_durability(Durability::OnFlush);
    check_medium(&mut Image::open(&path, options).unwrap()).unwrap();
}
