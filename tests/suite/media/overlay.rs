//! The medium of the example `overlay`.
#![cfg(feature = "conformance")]

#[path = "../../../examples/overlay/medium.rs"]
mod medium;

use std::fs;

use super::kit::floppy::{SECTOR, byte_of, fill, folder, guest, read};
use medium::Overlay;
use vm_fdc::{
    conformance::check_medium,
    media::{Geometry, Image, ImageOptions, SharedImage},
};

fn base(path: &std::path::Path) -> Image {
    SharedImage::open(path, ImageOptions::default().with_geometry(Geometry::HD_1440K)).unwrap().read_only()
}

#[test]
fn the_overlay_of_the_example_keeps_the_contract_of_media() {
    let (folder, path) = folder();
    check_medium(&mut Overlay::open(base(&path), SECTOR, folder.path().join("changes")).unwrap()).unwrap();
}

#[test]
fn the_changes_are_in_their_file_and_come_back() {
    let (folder, path) = folder();
    let (before, changes) = (fs::read(&path).unwrap(), folder.path().join("changes"));
    for round in 0..3 {
        let (mut guest, drive) = guest();
        let overlay = Overlay::open(base(&path), SECTOR, &changes).unwrap();
        assert_eq!(overlay.changed_sectors(), round);
        drive.attach_medium(overlay).unwrap();
        assert_eq!(read(&mut guest, 99).unwrap(), [byte_of(99); SECTOR]);
        for earlier in 0..round {
            assert_eq!(read(&mut guest, 100 + earlier).unwrap(), [0xA5; SECTOR]);
        }
        fill(&mut guest, 100 + round, 0xA5).unwrap();
        drive.release_image().unwrap();
    }
    assert_eq!(fs::metadata(&changes).unwrap().len(), 3 * (3 + SECTOR as u64));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_file_that_is_no_overlay_of_the_disk_is_refused() {
    let (folder, path) = folder();
    let changes = folder.path().join("changes");
    let record = |place: [u8; 3], bytes| [place.to_vec(), vec![0; bytes]].concat();
    for bad in [
        vec![0],
        record([80, 0, 0], SECTOR),
        record([0, 2, 0], SECTOR),
        record([0, 0, 18], SECTOR),
        record([0, 0, 0], SECTOR - 1),
    ] {
        fs::write(&changes, bad).unwrap();
        assert!(Overlay::open(base(&path), SECTOR, &changes).is_err());
    }
}
