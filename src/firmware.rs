//! What the firmware of a PC tells about the floppy drives: in the CMOS, through INT 1Eh and INT 13h, and, with the feature
//! `acpi`, in the ACPI tables.
//!
//! Nothing here touches the chip: a VM monitor, or the BIOS that it brings, puts these values where guests look for them.
//! The layouts are those of the IBM PC AT and its BIOS; what ACPI says of floppy drives is the same once more.
//!
//! ```
//! use vm_fdc::{Controller, drive::DriveType, firmware::{self, DriveParameters, InstalledDrives}};
//!
//! let fdc = Controller::builder().drive(0, DriveType::Inch3_5Hd).build()?;
//! let installed = InstalledDrives::from(&fdc.drives());
//!
//! let mut cmos = [0; 128];
//! cmos[firmware::CMOS_DRIVE_TYPES] = installed.cmos_drive_types();
//! cmos[firmware::CMOS_EQUIPMENT] = installed.merge_equipment(0x06); // a mouse and an FPU, too
//! assert_eq!(cmos[0x10], 0x40); // A is a 1.44M drive, B is not there
//! assert_eq!(cmos[0x14], 0x07);
//!
//! for (number, drive) in installed.iter() {
//!     let parameters = DriveParameters::of(drive);
//!     println!("INT 13h AH=08h DL={number}: BL={:02X}, CH={}", parameters.drive_type, parameters.max_cylinder);
//! }
//! # Ok::<(), vm_fdc::BuildError>(())
//! ```
//!
//! A machine without floppy drives had better say so everywhere: `InstalledDrives::default()` gives a CMOS without drives and
//! no ACPI device. A guest that hears of a controller but of no drive can search for seconds.

#[cfg(feature = "acpi")]
mod acpi;

#[cfg(feature = "acpi")]
pub use acpi::{AcpiDevice, AcpiError};

use crate::{
    drive::{DriveType, FloppyDrives},
    media::Geometry,
};

/// The CMOS register of the drive types: A in bits 7 to 4, B in bits 3 to 0. The CMOS checksum (registers 0x2E and 0x2F)
/// covers it.
pub const CMOS_DRIVE_TYPES: usize = 0x10;

/// The CMOS register of the equipment, of which the bits of [`EQUIPMENT_MASK`] are about floppy drives. The CMOS checksum
/// (registers 0x2E and 0x2F) covers it. A BIOS copies it to the low byte of its equipment word, at 0040:0010.
pub const CMOS_EQUIPMENT: usize = 0x14;

/// The bits of the equipment byte that are about floppy drives: bit 0 when there are any, bits 7 and 6 their number less
/// one.
pub const EQUIPMENT_MASK: u8 = 0b1100_0001;

/// Which floppy drives a machine has, by their number: 0 is A.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct InstalledDrives {
    drives: [Option<DriveType>; 4],
}

impl InstalledDrives {
    /// The drives 0 to 3, `None` where there is none.
    #[must_use]
    pub const fn new(drives: [Option<DriveType>; 4]) -> Self {
        Self { drives }
    }

    /// The drive of this number; `None` when there is none.
    #[must_use]
    pub fn get(&self, number: u8) -> Option<DriveType> {
        self.drives.get(usize::from(number)).copied().flatten()
    }

    /// The drives that are there, with their numbers, from the lowest on.
    pub fn iter(&self) -> impl Iterator<Item = (u8, DriveType)> + use<> {
        (0..).zip(self.drives).filter_map(|(number, drive)| Some((number, drive?)))
    }

    /// How many there are, 0 to 4: what INT 13h AH=08h reports in DL.
    #[must_use]
    pub fn count(&self) -> u8 {
        self.iter().fold(0, |count, _| count + 1)
    }

    /// The value of [`CMOS_DRIVE_TYPES`]. It has no room for the drives 2 and 3.
    ///
    /// ```
    /// use vm_fdc::{drive::DriveType, firmware::InstalledDrives};
    ///
    /// let drives = InstalledDrives::new([Some(DriveType::Inch3_5Hd), Some(DriveType::Inch5_25Hd), None, None]);
    /// assert_eq!(drives.cmos_drive_types(), 0x42);
    /// ```
    #[must_use]
    pub fn cmos_drive_types(&self) -> u8 {
        let [a, b] = [0, 1].map(|number| self.get(number).map_or(0, cmos_drive_type));
        a << 4 | b
    }

    /// The bits of [`EQUIPMENT_MASK`] in [`CMOS_EQUIPMENT`]; the others are 0.
    ///
    /// Drives are counted, whatever their numbers are, as the BIOS of an AT does.
    #[must_use]
    pub fn equipment(&self) -> u8 {
        self.count().checked_sub(1).map_or(0, |further| further << 6 | 1)
    }

    /// The equipment byte `other` with the bits of [`EQUIPMENT_MASK`] set to [`equipment`](Self::equipment).
    ///
    /// ```
    /// use vm_fdc::{drive::DriveType, firmware::InstalledDrives};
    ///
    /// let drives = InstalledDrives::new([Some(DriveType::Inch3_5Hd); 4]);
    /// assert_eq!(drives.merge_equipment(0x06), 0xC7);
    /// ```
    #[must_use]
    pub fn merge_equipment(&self, other: u8) -> u8 {
        other & !EQUIPMENT_MASK | self.equipment()
    }
}

impl From<[Option<DriveType>; 4]> for InstalledDrives {
    fn from(drives: [Option<DriveType>; 4]) -> Self {
        Self::new(drives)
    }
}

impl From<&FloppyDrives> for InstalledDrives {
    fn from(handles: &FloppyDrives) -> Self {
        let mut installed = Self::default();
        for handle in handles.iter() {
            if let Some(place) = installed.drives.get_mut(usize::from(handle.drive_number())) {
                *place = Some(handle.drive_type());
            }
        }
        installed
    }
}

/// What INT 13h AH=08h reports of a drive, with the largest disk that it takes.
///
/// The cylinders are those that a BIOS reports, 40 or 80, not the few more that the head [reaches](DriveType::cylinders).
///
/// ```
/// use vm_fdc::{drive::DriveType, firmware::DriveParameters};
///
/// let parameters = DriveParameters::of(DriveType::Inch3_5Hd);
/// let (bl, ch, cl, dh) =
///     (parameters.drive_type, parameters.max_cylinder, parameters.max_sector, parameters.max_head);
/// assert_eq!((bl, ch, cl, dh), (4, 79, 18, 1));
/// let es_di = parameters.table.to_bytes(); // what ES:DI points to
/// assert_eq!(es_di[4], 18);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DriveParameters {
    /// The type, in BL and in the CMOS: 1 is 360K, 2 is 1.2M, 3 is 720K, 4 is 1.44M, 5 is 2.88M.
    pub drive_type: u8,
    /// The highest cylinder number, in CH: 39 or 79.
    pub max_cylinder: u8,
    /// The highest sector number, in CL: 9 to 36. Sectors are numbered from 1.
    pub max_sector: u8,
    /// The highest head number, in DH: 1.
    pub max_head: u8,
    /// The table at ES:DI.
    pub table: DisketteParameters,
}

impl DriveParameters {
    /// The parameters of this kind of drive.
    #[must_use]
    pub const fn of(drive: DriveType) -> Self {
        let row = row(drive);
        Self {
            drive_type: cmos_drive_type(drive),
            max_cylinder: row.disk.cylinders().saturating_sub(1),
            max_sector: row.disk.sectors(),
            max_head: row.disk.heads().saturating_sub(1),
            table: row.table(),
        }
    }
}

/// The diskette parameter table to which the vector of INT 1Eh points: 11 bytes, by which a BIOS drives the controller.
///
/// The values are those of the BIOS of an AT, and for 2.88M, which came later, those in use.
///
/// ```
/// use vm_fdc::{drive::DriveType, firmware::DisketteParameters, media::Geometry};
///
/// let table = DisketteParameters::of(DriveType::Inch3_5Hd, &Geometry::HD_1440K).expect("such a disk goes in");
/// assert_eq!(table.to_bytes(), [0xAF, 0x02, 0x25, 0x02, 0x12, 0x1B, 0xFF, 0x6C, 0xF6, 0x0F, 0x08]);
/// assert_eq!(DisketteParameters::of(DriveType::Inch3_5Hd, &Geometry::ED_2880K), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DisketteParameters {
    /// The first parameter of SPECIFY: the step rate (SRT) in bits 7 to 4, the head unload time (HUT) in bits 3 to 0. What
    /// they mean depends on the data rate.
    pub specify_1: u8,
    /// The second: the head load time (HLT) in bits 7 to 1, and in bit 0 whether transfers do without DMA (ND).
    pub specify_2: u8,
    /// How long the motor runs on after an access, in ticks of the PC's clock (55 ms).
    pub motor_off_delay: u8,
    /// N: a sector has `128 << N` bytes.
    pub size_code: u8,
    /// EOT: the last sector of a track, 9 to 36.
    pub end_of_track: u8,
    /// GPL of a command that reads or writes: the gap between sectors, in bytes.
    pub gap_length: u8,
    /// DTL: 0xFF, as of no meaning when N is not 0.
    pub data_length: u8,
    /// GPL of FORMAT TRACK, in bytes.
    pub format_gap_length: u8,
    /// What FORMAT TRACK fills sectors with.
    pub format_filler: u8,
    /// How long the head takes to settle after a seek, in milliseconds.
    pub head_settle_time: u8,
    /// How long the motor takes to get up to speed, in eighths of a second.
    pub motor_start_time: u8,
}

impl DisketteParameters {
    /// The table for `disk` in a drive of this kind; `None` when it does not go in or cannot be read there, or is none that
    /// a BIOS has a table for. Those are [360K](Geometry::DD_360K), [720K](Geometry::DD_720K),
    /// [1.2M](Geometry::HD_1200K), [1.44M](Geometry::HD_1440K) and [2.88M](Geometry::ED_2880K).
    #[must_use]
    pub fn of(drive: DriveType, disk: &Geometry) -> Option<Self> {
        let row = DriveType::ALL.into_iter().map(row).find(|row| row.disk == *disk)?;
        drive.accepts(row.disk.into()).then(|| row.table())
    }

    /// The table as it lies in memory.
    #[must_use]
    pub const fn to_bytes(&self) -> [u8; 11] {
        [
            self.specify_1,
            self.specify_2,
            self.motor_off_delay,
            self.size_code,
            self.end_of_track,
            self.gap_length,
            self.data_length,
            self.format_gap_length,
            self.format_filler,
            self.head_settle_time,
            self.motor_start_time,
        ]
    }
}

/// What is different from one table to the next.
struct Row {
    disk: Geometry,
    specify_1: u8,
    gap_length: u8,
    format_gap_length: u8,
}

impl Row {
    const fn table(&self) -> DisketteParameters {
        DisketteParameters {
            specify_1: self.specify_1,
            // The shortest head load time, 1 to 4 ms by the data rate; with DMA.
            specify_2: 0x02,
            // Two seconds.
            motor_off_delay: 0x25,
            size_code: self.disk.size_code(),
            end_of_track: self.disk.sectors(),
            gap_length: self.gap_length,
            data_length: 0xFF,
            format_gap_length: self.format_gap_length,
            format_filler: 0xF6,
            head_settle_time: 15,
            // One second.
            motor_start_time: 8,
        }
    }
}

/// The disk for which a drive was made: the largest that it takes.
const fn row(drive: DriveType) -> Row {
    let (disk, specify_1, gap_length, format_gap_length) = match drive {
        // In a 1.2M drive, too, where Linux has a gap of 0x23. The chip does not look at it.
        DriveType::Inch5_25Dd => (Geometry::DD_360K, 0xDF, 0x2A, 0x50),
        DriveType::Inch5_25Hd => (Geometry::HD_1200K, 0xDF, 0x1B, 0x54),
        DriveType::Inch3_5Dd => (Geometry::DD_720K, 0xDF, 0x2A, 0x50),
        DriveType::Inch3_5Hd => (Geometry::HD_1440K, 0xAF, 0x1B, 0x6C),
        // A format gap of 0x53 is in use, too; 0x54 is that of Linux. Not established.
        DriveType::Inch3_5Ed => (Geometry::ED_2880K, 0xAF, 0x1B, 0x54),
    };
    Row { disk, specify_1, gap_length, format_gap_length }
}

/// The type of a drive, as the CMOS and INT 13h have it.
const fn cmos_drive_type(drive: DriveType) -> u8 {
    match drive {
        DriveType::Inch5_25Dd => 1,
        DriveType::Inch5_25Hd => 2,
        DriveType::Inch3_5Dd => 3,
        DriveType::Inch3_5Hd => 4,
        // 6 in a few BIOSes; to SeaBIOS that is a drive of 160K.
        DriveType::Inch3_5Ed => 5,
    }
}
