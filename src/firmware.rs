//! The description of the floppy drives that the firmware of a PC gives to guests (§13): in the CMOS, through INT 1Eh
//! and INT 13h, and, with the feature `acpi`, in the ACPI tables.
//!
//! This module does not access the controller. A VM monitor, or its BIOS, writes these values to the places where
//! guests read them. The layouts are those of the IBM PC AT and its BIOS (§9.1, §9.3); ACPI has the same information
//! once more.
//!
//! ```
//! use vm_fdc::{Controller, drive::DriveType, firmware::{self, DriveParameters, InstalledDrives}};
//!
//! let fdc = Controller::builder().drive(0, DriveType::Inch3_5Hd).build()?;
//! let installed = InstalledDrives::from(&fdc.drives());
//!
//! let mut cmos = [0; 128];
//! cmos[firmware::CMOS_DRIVE_TYPES] = installed.cmos_drive_types();
//! cmos[firmware::CMOS_EQUIPMENT] = installed.merge_equipment(0x06); // also a mouse and an FPU
//! assert_eq!(cmos[0x10], 0x40); // drive A is 1.44M, no drive B
//! assert_eq!(cmos[0x14], 0x07);
//!
//! for (number, drive) in installed.iter() {
//!     let parameters = DriveParameters::of(drive);
//!     println!("INT 13h AH=08h DL={number}: BL={:02X}, CH={}", parameters.drive_type, parameters.max_cylinder);
//! }
//! # Ok::<(), vm_fdc::BuildError>(())
//! ```
//!
//! A machine without floppy drives should state that in all places: `InstalledDrives::default()` results in a CMOS
//! without drives and in no ACPI device. A guest that finds a controller without a drive can search for seconds (§13).

#[cfg(feature = "acpi")]
mod acpi;

#[cfg(feature = "acpi")]
pub use acpi::{AcpiDevice, AcpiError};

use crate::{
    drive::{DriveType, FloppyDrives},
    media::Geometry,
};

/// CMOS register of the drive types: drive A in bits 7..4, drive B in bits 3..0 (§9.1). The CMOS checksum (registers
/// 0x2E and 0x2F) covers it.
pub const CMOS_DRIVE_TYPES: usize = 0x10;

/// CMOS register of the equipment byte, in which the bits of [`EQUIPMENT_MASK`] describe floppy drives (§9.1). The CMOS
/// checksum (registers 0x2E and 0x2F) covers it. A BIOS copies it to the low byte of its equipment word at 0040:0010.
pub const CMOS_EQUIPMENT: usize = 0x14;

/// Bits of the equipment byte that describe floppy drives: bit 0 is 1 if there is any, bits 7..6 are their number less
/// one.
pub const EQUIPMENT_MASK: u8 = 0b1100_0001;

/// Floppy drives of a machine by number, 0 to 3. Drive 0 is A.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct InstalledDrives {
    drives: [Option<DriveType>; 4],
}

impl InstalledDrives {
    /// Creates the set of drives from the types of the drives 0 to 3; `None` for no drive.
    #[must_use]
    pub const fn new(drives: [Option<DriveType>; 4]) -> Self {
        Self { drives }
    }

    /// Returns the type of drive `number`; `None` if there is no such drive.
    #[must_use]
    pub fn get(&self, number: u8) -> Option<DriveType> {
        self.drives.get(usize::from(number)).copied().flatten()
    }

    /// Iterates over the drives with their numbers, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = (u8, DriveType)> + use<> {
        (0..).zip(self.drives).filter_map(|(number, drive)| Some((number, drive?)))
    }

    /// Returns the number of drives, 0 to 4: DL of INT 13h AH=08h.
    #[must_use]
    pub fn count(&self) -> u8 {
        self.iter().fold(0, |count, _| count + 1)
    }

    /// Returns the value of the CMOS register [`CMOS_DRIVE_TYPES`]. It does not include the drives 2 and 3.
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

    /// Returns the bits of [`EQUIPMENT_MASK`] for the CMOS register [`CMOS_EQUIPMENT`]; all other bits are 0.
    ///
    /// The number of drives counts, whatever their drive numbers are, as in the BIOS of an AT.
    #[must_use]
    pub fn equipment(&self) -> u8 {
        self.count().checked_sub(1).map_or(0, |further| further << 6 | 1)
    }

    /// Returns the equipment byte `other` with the bits of [`EQUIPMENT_MASK`] replaced by
    /// [`equipment`](Self::equipment).
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

/// Result of INT 13h AH=08h for a drive with the largest disk that it takes (§9.3).
///
/// The number of cylinders is 40 or 80, as a BIOS reports it, and not the few more that the head
/// [reaches](DriveType::cylinders).
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
    /// Drive type in BL and in the CMOS: 1 is 360K, 2 is 1.2M, 3 is 720K, 4 is 1.44M, 5 is 2.88M.
    pub drive_type: u8,
    /// Highest cylinder number in CH: 39 or 79.
    pub max_cylinder: u8,
    /// Highest sector number in CL: 9 to 36. Sector numbers start at 1.
    pub max_sector: u8,
    /// Highest head number in DH: 1.
    pub max_head: u8,
    /// Diskette parameter table at ES:DI.
    pub table: DisketteParameters,
}

impl DriveParameters {
    /// Returns the parameters of a drive of this type.
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

/// Diskette parameter table of INT 1Eh: 11 bytes with which a BIOS programs the controller (§9.3).
///
/// The values are those of the BIOS of an AT. For 2.88M, which came later, they are those in use.
///
/// ```
/// use vm_fdc::{drive::DriveType, firmware::DisketteParameters, media::Geometry};
///
/// let table = DisketteParameters::of(DriveType::Inch3_5Hd, &Geometry::HD_1440K).expect("the drive reads this disk");
/// assert_eq!(table.to_bytes(), [0xAF, 0x02, 0x25, 0x02, 0x12, 0x1B, 0xFF, 0x6C, 0xF6, 0x0F, 0x08]);
/// assert_eq!(DisketteParameters::of(DriveType::Inch3_5Hd, &Geometry::ED_2880K), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DisketteParameters {
    /// First parameter of SPECIFY: the step rate (SRT) in bits 7..4, the head unload time (HUT) in bits 3..0. Their
    /// units depend on the data rate (§7.1).
    pub specify_1: u8,
    /// Second parameter of SPECIFY: the head load time (HLT) in bits 7..1. Bit 0 (ND) is 1 for transfers without DMA.
    pub specify_2: u8,
    /// Time that the motor stays on after an access, in ticks of the PC clock (55 ms).
    pub motor_off_delay: u8,
    /// N: a sector has `128 << N` bytes.
    pub size_code: u8,
    /// EOT: the last sector of a track, 9 to 36.
    pub end_of_track: u8,
    /// GPL of commands that read or write: the gap between sectors in bytes.
    pub gap_length: u8,
    /// DTL: 0xFF, because it has no meaning if N is not 0.
    pub data_length: u8,
    /// GPL of FORMAT TRACK in bytes.
    pub format_gap_length: u8,
    /// Byte with which FORMAT TRACK fills sectors.
    pub format_filler: u8,
    /// Settling time of the head after a seek in milliseconds.
    pub head_settle_time: u8,
    /// Start time of the motor in eighths of a second.
    pub motor_start_time: u8,
}

impl DisketteParameters {
    /// Returns the table for `disk` in a drive of this type. Returns `None` if the drive cannot read the disk, or if a
    /// BIOS has no table for it. A BIOS has tables for [360K](Geometry::DD_360K), [720K](Geometry::DD_720K),
    /// [1.2M](Geometry::HD_1200K), [1.44M](Geometry::HD_1440K) and [2.88M](Geometry::ED_2880K).
    #[must_use]
    pub fn of(drive: DriveType, disk: &Geometry) -> Option<Self> {
        let row = DriveType::ALL.into_iter().map(row).find(|row| row.disk == *disk)?;
        drive.accepts(row.disk.into()).then(|| row.table())
    }

    /// Returns the bytes of the table in the order of memory.
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

/// Values that differ between the tables.
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

/// Returns the values for a drive with the largest disk that it takes.
const fn row(drive: DriveType) -> Row {
    let (disk, specify_1, gap_length, format_gap_length) = match drive {
        // Also used in a 1.2M drive, where Linux has a gap of 0x23. The controller ignores GPL here.
        DriveType::Inch5_25Dd => (Geometry::DD_360K, 0xDF, 0x2A, 0x50),
        DriveType::Inch5_25Hd => (Geometry::HD_1200K, 0xDF, 0x1B, 0x54),
        DriveType::Inch3_5Dd => (Geometry::DD_720K, 0xDF, 0x2A, 0x50),
        DriveType::Inch3_5Hd => (Geometry::HD_1440K, 0xAF, 0x1B, 0x6C),
        // 0x54 is the format gap of Linux. 0x53 is in use, too. Not established.
        DriveType::Inch3_5Ed => (Geometry::ED_2880K, 0xAF, 0x1B, 0x54),
    };
    Row { disk, specify_1, gap_length, format_gap_length }
}

/// Returns the number of a drive type in the CMOS and INT 13h (§9.1).
const fn cmos_drive_type(drive: DriveType) -> u8 {
    match drive {
        DriveType::Inch5_25Dd => 1,
        DriveType::Inch5_25Hd => 2,
        DriveType::Inch3_5Dd => 3,
        DriveType::Inch3_5Hd => 4,
        // A few BIOSes use 6, which is a 160K drive for SeaBIOS.
        DriveType::Inch3_5Ed => 5,
    }
}
