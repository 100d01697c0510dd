//! Each field of a saved drive that no drive can have is named.

use super::*;
use crate::{
    drive::{attachment::Attachments, mechanism::Drive},
    media::Geometry,
};

fn medium() -> MediumStateV1 {
    MediumStateV1 {
        attachment: Attachment::Image,
        name: None,
        path: Some("/nowhere/a.img".into()),
        access: Access::ReadOnly,
        durability: Durability::AtRelease,
        lock: Lock::Required,
        write_protected: false,
        length: Length::Exact,
        layout: Some(Geometry::HD_1440K.into()),
        named_layout: None,
        boot_sector_geometry: false,
        reformat: false,
        formatted: Vec::new(),
        contents: None,
        hash: None,
    }
}

fn drive() -> DriveStateV1 {
    let (drive_type, medium) = (DriveType::Inch3_5Hd, Some(medium()));
    DriveStateV1 { drive_type, cylinder: 85, next_slot: 256, disk_changed: false, media_count: (1 << 55) - 1, medium }
}

fn restore(state: DriveStateV1) -> Result<Drive, RestoreDriveError> {
    Drive::restore(0, state, &Attachments::default(), |_| RestoreMedium::Eject)
}

#[test]
fn the_field_that_no_drive_can_have_is_named() {
    restore(drive()).unwrap();
    let drives = [
        ("cylinder", DriveStateV1 { cylinder: 86, ..drive() }),
        ("next_slot", DriveStateV1 { next_slot: 257, ..drive() }),
        ("media_count", DriveStateV1 { media_count: 1 << 55, ..drive() }),
    ];
    let track = |head, size_code, bytes| {
        let rate = crate::media::DataRate::Kbps250;
        let contents = vec![0; bytes];
        FormattedTrackV1 { position: 1, head, cylinder: 1, sectors: 9, size_code, rate, written: true, contents }
    };
    let formatted = |track| MediumStateV1 { reformat: true, formatted: vec![track], ..medium() };
    let host_drive = || MediumStateV1 { attachment: Attachment::HostDrive, ..medium() };
    let media = [
        ("medium.attachment", MediumStateV1 { attachment: Attachment::None, ..medium() }),
        ("medium.layout", MediumStateV1 { layout: None, ..medium() }),
        ("medium.layout", MediumStateV1 { path: None, ..medium() }),
        ("medium.path", MediumStateV1 { path: None, ..host_drive() }),
        ("medium.name", MediumStateV1 { name: Some("a".into()), ..medium() }),
        ("medium.named_layout", MediumStateV1 { named_layout: Some(Layout::Xdf), ..medium() }),
        ("medium.boot_sector_geometry", MediumStateV1 { boot_sector_geometry: true, ..medium() }),
        ("medium.access", MediumStateV1 { access: Access::ReadWriteIfPermitted, ..medium() }),
        ("medium.reformat", MediumStateV1 { reformat: true, ..host_drive() }),
        ("medium.formatted", MediumStateV1 { reformat: false, ..formatted(track(0, 2, 4_608)) }),
        ("medium.formatted", MediumStateV1 { formatted: vec![track(0, 2, 4_608); 173], ..formatted(track(0, 2, 0)) }),
        ("medium.formatted[0].head", formatted(track(2, 2, 4_608))),
        ("medium.formatted[0].size_code", formatted(track(0, 8, 4_608))),
        ("medium.formatted[0].contents", formatted(track(0, 2, 4_607))),
        ("medium.formatted[0].contents", formatted(track(0, 7, 9 * 0x4000))),
        ("medium.contents", MediumStateV1 { contents: Some(vec![0; 512]), ..medium() }),
        ("medium.contents", MediumStateV1 { contents: Some(vec![0; 512]), layout: None, ..host_drive() }),
    ];
    let media = media.map(|(field, medium)| (field, DriveStateV1 { medium: Some(medium), ..drive() }));
    for (field, state) in drives.into_iter().chain(media) {
        match restore(state) {
            Err(RestoreDriveError::Invalid(error)) => assert_eq!(error.field, field),
            other => panic!("{field}: {other:?}"),
        }
    }
}

#[test]
fn good_media_of_every_kind_pass() {
    let custom = MediumStateV1 { path: None, layout: None, name: Some("a".into()), ..medium() };
    let host = MediumStateV1 { attachment: Attachment::HostDrive, boot_sector_geometry: true, ..medium() };
    let host = MediumStateV1 { access: Access::ReadWriteIfPermitted, ..host };
    let empty_host = MediumStateV1 { layout: None, named_layout: Some(Layout::Xdf), ..host.clone() };
    let blank = MediumStateV1 { layout: None, reformat: true, ..medium() };
    for medium in [medium(), custom, host, empty_host, blank] {
        restore(DriveStateV1 { medium: Some(medium), ..drive() }).unwrap();
    }
}
