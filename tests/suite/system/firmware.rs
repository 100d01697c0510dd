//! The description of the drives for firmware: CMOS, INT 1Eh, INT 13h AH=08h.

use vm_fdc::{
    Controller,
    drive::DriveType::{self, Inch3_5Dd, Inch3_5Ed, Inch3_5Hd, Inch5_25Dd, Inch5_25Hd},
    firmware::{
        CMOS_DRIVE_TYPES, CMOS_EQUIPMENT, DisketteParameters, DriveParameters, EQUIPMENT_MASK, InstalledDrives,
    },
    media::{DataRate, FORMATS, FormFactor, Geometry},
};

const DISKS: [Geometry; 5] =
    [Geometry::DD_360K, Geometry::HD_1200K, Geometry::DD_720K, Geometry::HD_1440K, Geometry::ED_2880K];

fn installed(a: Option<DriveType>, b: Option<DriveType>) -> InstalledDrives {
    InstalledDrives::new([a, b, None, None])
}

#[test]
fn the_cmos_has_the_type_of_a_in_the_high_and_of_b_in_the_low_nibble() {
    // §9.1, §13
    assert_eq!(CMOS_DRIVE_TYPES, 0x10);
    for (drive, code) in DriveType::ALL.into_iter().zip(1..) {
        assert_eq!(installed(Some(drive), None).cmos_drive_types(), code << 4);
        assert_eq!(installed(None, Some(drive)).cmos_drive_types(), code);
    }
    assert_eq!(installed(Some(Inch3_5Hd), Some(Inch5_25Hd)).cmos_drive_types(), 0x42);
}

#[test]
fn the_cmos_has_no_types_of_the_third_and_fourth_drive() {
    // §9.1
    let drives = [Some(Inch3_5Hd), None, Some(Inch3_5Ed), Some(Inch3_5Ed)];
    assert_eq!(InstalledDrives::from(drives).cmos_drive_types(), 0x40);
}

#[test]
fn the_equipment_byte_has_a_presence_bit_and_the_number_of_drives_minus_one() {
    // §9.1, §13
    assert_eq!((CMOS_EQUIPMENT, EQUIPMENT_MASK), (0x14, 0xC1));
    for (count, equipment) in [(0, 0x00), (1, 0x01), (2, 0x41), (3, 0x81), (4, 0xC1)] {
        let mut drives = [None; 4];
        drives[..count].fill(Some(Inch3_5Hd));
        assert_eq!(InstalledDrives::new(drives).equipment(), equipment);
    }
}

#[test]
fn the_equipment_byte_counts_drives_with_any_numbers() {
    // §9.1; it is not established which drives count.
    assert_eq!(installed(None, Some(Inch3_5Hd)).equipment(), 0x01);
    assert_eq!(InstalledDrives::new([Some(Inch3_5Hd), None, None, Some(Inch3_5Hd)]).equipment(), 0x41);
}

#[test]
fn the_other_bits_of_the_equipment_byte_do_not_change() {
    // §9.1
    assert_eq!(installed(None, None).merge_equipment(0xFF), 0x3E);
    assert_eq!(installed(Some(Inch3_5Hd), None).merge_equipment(0xFF), 0x3F);
    assert_eq!(installed(Some(Inch3_5Hd), Some(Inch3_5Hd)).merge_equipment(0x00), 0x41);
}

#[test]
fn the_cmos_of_a_machine_without_drives_has_no_types() {
    // §13
    let none = InstalledDrives::default();
    assert_eq!((none.cmos_drive_types(), none.equipment(), none.count()), (0, 0, 0));
}

#[test]
fn the_installed_drives_of_a_controller_have_its_numbers() {
    // §9.1
    let fdc = Controller::builder().drive(1, Inch5_25Dd).drive(3, Inch3_5Ed).build().unwrap();
    let drives = InstalledDrives::from(&fdc.drives());
    assert_eq!(drives, InstalledDrives::new([None, Some(Inch5_25Dd), None, Some(Inch3_5Ed)]));
    assert_eq!(drives.iter().collect::<Vec<_>>(), [(1, Inch5_25Dd), (3, Inch3_5Ed)]);
    assert_eq!((drives.get(1), drives.get(2), drives.get(4)), (Some(Inch5_25Dd), None, None));
    assert_eq!(drives.count(), 2);
}

#[test]
fn int_13h_reports_the_type_and_the_largest_disk_of_a_drive() {
    // §9.1, §9.2, §13: BL, CH, CL, DH.
    let table = [
        (Inch5_25Dd, 1, 39, 9, 1),
        (Inch5_25Hd, 2, 79, 15, 1),
        (Inch3_5Dd, 3, 79, 9, 1),
        (Inch3_5Hd, 4, 79, 18, 1),
        (Inch3_5Ed, 5, 79, 36, 1),
    ];
    for (drive, bl, ch, cl, dh) in table {
        let DriveParameters { drive_type, max_cylinder, max_sector, max_head, .. } = DriveParameters::of(drive);
        assert_eq!((drive_type, max_cylinder, max_sector, max_head), (bl, ch, cl, dh), "{drive}");
    }
}

#[test]
fn the_diskette_parameter_table_is_that_of_the_disk_in_the_drive() {
    // §9.3: two gaps are in use for 360K in a 1.2M drive, and for 2.88M. The table has the gap of most BIOSes.
    let table = [
        (Inch5_25Dd, Geometry::DD_360K, "DF 02 25 02 09 2A FF 50 F6 0F 08"),
        (Inch5_25Hd, Geometry::DD_360K, "DF 02 25 02 09 2A FF 50 F6 0F 08"),
        (Inch5_25Hd, Geometry::HD_1200K, "DF 02 25 02 0F 1B FF 54 F6 0F 08"),
        (Inch3_5Dd, Geometry::DD_720K, "DF 02 25 02 09 2A FF 50 F6 0F 08"),
        (Inch3_5Hd, Geometry::DD_720K, "DF 02 25 02 09 2A FF 50 F6 0F 08"),
        (Inch3_5Hd, Geometry::HD_1440K, "AF 02 25 02 12 1B FF 6C F6 0F 08"),
        (Inch3_5Ed, Geometry::DD_720K, "DF 02 25 02 09 2A FF 50 F6 0F 08"),
        (Inch3_5Ed, Geometry::HD_1440K, "AF 02 25 02 12 1B FF 6C F6 0F 08"),
        (Inch3_5Ed, Geometry::ED_2880K, "AF 02 25 02 24 1B FF 54 F6 0F 08"),
    ];
    for (drive, disk, bytes) in table {
        let parameters = DisketteParameters::of(drive, &disk).expect("the disk can be attached");
        let hex = parameters.to_bytes().map(|byte| format!("{byte:02X}")).join(" ");
        assert_eq!(hex, bytes, "{disk} in a drive of {drive}");
    }
}

#[test]
fn int_13h_points_to_the_table_of_the_largest_disk() {
    // §9.3, §13
    for (drive, disk) in DriveType::ALL.into_iter().zip(DISKS) {
        assert_eq!(Some(DriveParameters::of(drive).table), DisketteParameters::of(drive, &disk));
    }
}

#[test]
fn a_disk_that_the_drive_does_not_take_has_no_table() {
    // §9.2
    for drive in DriveType::ALL {
        for disk in DISKS {
            assert_eq!(DisketteParameters::of(drive, &disk).is_some(), drive.accepts(disk.into()), "{disk}, {drive}");
        }
    }
}

#[test]
fn a_disk_that_no_bios_knows_has_no_table() {
    // §9.3
    let unknown = FORMATS.iter().filter_map(|format| format.layout.geometry()).filter(|disk| !DISKS.contains(disk));
    for disk in unknown {
        assert!(DriveType::ALL.into_iter().all(|drive| DisketteParameters::of(drive, disk).is_none()), "{disk}");
    }
    // 1.44M with another number of cylinders.
    let odd = Geometry::new(81, 2, 18, 2, DataRate::Kbps500, FormFactor::Inch3_5).unwrap();
    assert_eq!(DisketteParameters::of(Inch3_5Hd, &odd), None);
}
