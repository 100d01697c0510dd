//! The controller and its drives in AML. Names and layouts are those of the ACPI specification, "Floppy Controller Device
//! Objects" and "Small Resource Data Type"; the values are those of the tables next door.

use acpi_tables::{
    Aml, AmlSink,
    aml::{BufferData, Device, EISAName, IO, Name, PackageBuilder, ResourceTemplate},
};

use super::{DriveParameters, InstalledDrives};
use crate::{Controller, drive::DriveType};

/// The controller as a device of ACPI, for the scope in the DSDT, or in an SSDT, that has the other devices of the ISA bus.
///
/// It has `_HID` (PNP0700), `_UID`, `_STA`, `_CRS`, `_FDE`, and, for each drive, a child with `_ADR` and `_FDI`. When there
/// are no drives it is nothing at all: guests that hear of a controller but of no drive search for seconds.
///
/// ```
/// use acpi_tables::{Aml, aml::Scope, sdt::Sdt};
/// use vm_fdc::{drive::DriveType, firmware::AcpiDevice};
///
/// let fdc = AcpiDevice::new([Some(DriveType::Inch3_5Hd), None, None, None]);
/// let mut aml = Vec::new();
/// Scope::new("\\_SB_".into(), vec![&fdc]).to_aml_bytes(&mut aml);
///
/// let mut dsdt = Sdt::new(*b"DSDT", 36, 2, *b"MYVMM_", *b"MYVMDSDT", 1);
/// dsdt.append_slice(&aml);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AcpiDevice {
    drives: InstalledDrives,
    base: u16,
    irq: u8,
    dma: u8,
    uid: u8,
}

/// Why a device cannot be described.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AcpiError {
    /// The eight ports from this one on are not all ports.
    #[error("ports from {0:#06X} on; the last of the eight would be beyond 0xFFFF")]
    Base(u16),
    /// Not 0 to 15.
    #[error("IRQ {0}; those of the two 8259A are 0 to 15")]
    Irq(u8),
    /// Not 0 to 3.
    #[error("DMA channel {0}; those of 8 bits are 0 to 3")]
    Dma(u8),
    /// Not 0 to 15.
    #[error("_UID {0}; a hexadecimal digit, 0 to 15, is what the device's name has room for")]
    Uid(u8),
}

impl AcpiDevice {
    /// The first controller of a PC: ports from [`Controller::PRIMARY`] on, IRQ 6, DMA channel 2, `_UID` 0.
    #[must_use]
    pub fn new(drives: impl Into<InstalledDrives>) -> Self {
        Self { drives: drives.into(), base: Controller::PRIMARY, irq: 6, dma: 2, uid: 0 }
    }

    /// The first of its eight ports, as for [`ControllerBuilder::base`](crate::ControllerBuilder::base), 0 to 0xFFF8.
    ///
    /// `_CRS` claims those from the DOR to the FIFO (base + 2 to base + 5) and the one of the DIR and CCR (base + 7), as the
    /// tables of PCs do; that of the hard disk lies in between.
    ///
    /// # Errors
    ///
    /// [`AcpiError::Base`]
    pub fn base(self, base: u16) -> Result<Self, AcpiError> {
        if base > u16::MAX - 7 { Err(AcpiError::Base(base)) } else { Ok(Self { base, ..self }) }
    }

    /// The input of the 8259As to which the INT pin leads, 0 to 15. It is described as edge triggered and not shared.
    ///
    /// # Errors
    ///
    /// [`AcpiError::Irq`]
    pub fn irq(self, irq: u8) -> Result<Self, AcpiError> {
        if irq > 15 { Err(AcpiError::Irq(irq)) } else { Ok(Self { irq, ..self }) }
    }

    /// The channel of the 8237A to which DRQ leads, 0 to 3: those that move bytes.
    ///
    /// # Errors
    ///
    /// [`AcpiError::Dma`]
    pub fn dma(self, dma: u8) -> Result<Self, AcpiError> {
        if dma > 3 { Err(AcpiError::Dma(dma)) } else { Ok(Self { dma, ..self }) }
    }

    /// `_UID`, 0 to 15, and the last letter of the device's name: it is `FDC0` for 0, and `FDCF` for 15. A second controller
    /// needs another one. The drives are `FLP0` to `FLP3` below it.
    ///
    /// ```
    /// use vm_fdc::{Controller, drive::DriveType, firmware::AcpiDevice};
    ///
    /// let second = AcpiDevice::new([Some(DriveType::Inch5_25Hd), None, None, None])
    ///     .base(Controller::SECONDARY)?
    ///     .irq(10)?
    ///     .dma(3)?
    ///     .uid(1)?;
    /// # Ok::<(), vm_fdc::firmware::AcpiError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`AcpiError::Uid`]
    pub fn uid(self, uid: u8) -> Result<Self, AcpiError> {
        if uid > 15 { Err(AcpiError::Uid(uid)) } else { Ok(Self { uid, ..self }) }
    }

    /// `_FDE`: a double word for each of four drives, 1 when it is there, and one for a tape.
    fn enumeration(&self) -> Vec<u8> {
        /// There never is one.
        const NO_TAPE: u32 = 2;
        let drives = (0..4).map(|number| u32::from(self.drives.get(number).is_some()));
        drives.chain([NO_TAPE]).flat_map(u32::to_le_bytes).collect()
    }
}

impl Aml for AcpiDevice {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        if self.drives == InstalledDrives::default() {
            return;
        }
        // Where the ports lie is fixed; the least alignment says nothing.
        let [ports, port] = [(2, 4), (7, 1)].map(|(offset, length)| {
            let first = self.base.wrapping_add(offset); // never wraps: `base` has seen to it
            IO::new(first, first, 1, length)
        });
        let (irq, dma) = (Irq(self.irq), Dma(self.dma));
        let resources = ResourceTemplate::new(vec![&ports, &port, &irq, &dma]);
        let names = [
            Name::new("_HID".into(), &EISAName::new("PNP0700")),
            Name::new("_UID".into(), &self.uid),
            Name::new("_STA".into(), &PRESENT),
            Name::new("_CRS".into(), &resources),
            Name::new("_FDE".into(), &BufferData::new(self.enumeration())),
        ];
        let drives: Vec<_> = self.drives.iter().map(|(number, drive)| Drive { number, drive }).collect();
        let mut children: Vec<&dyn Aml> = names.iter().map(|name| name as _).collect();
        children.extend(drives.iter().map(|drive| drive as &dyn Aml));
        let name = format!("FDC{:X}", self.uid);
        Device::new(name.as_str().into(), children).to_aml_bytes(sink);
    }
}

/// What `_STA` says: there, enabled, shown to the user, and working.
const PRESENT: u8 = 0b1111;

/// A drive, below its controller.
struct Drive {
    number: u8,
    drive: DriveType,
}

impl Aml for Drive {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        let Self { number, drive } = *self;
        let DriveParameters { drive_type, max_cylinder, max_sector, max_head, table } = DriveParameters::of(drive);
        let mut information = PackageBuilder::new();
        for value in [number, drive_type, max_cylinder, max_sector, max_head].into_iter().chain(table.to_bytes()) {
            information.add_element(&value);
        }
        let address = Name::new("_ADR".into(), &number);
        let information = Name::new("_FDI".into(), &information);
        let name = format!("FLP{number}");
        Device::new(name.as_str().into(), vec![&address, &information]).to_aml_bytes(sink);
    }
}

/// The IRQ descriptor without flags: edge triggered, active high, not shared. `acpi_tables` has only the extended one, which
/// is for inputs of I/O APICs.
struct Irq(u8);

impl Aml for Irq {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        sink.byte(0x22);
        sink.word(1 << self.0);
    }
}

/// The DMA descriptor, which `acpi_tables` has not: at the speed of an AT, no bus master, bytes alone.
struct Dma(u8);

impl Aml for Dma {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        sink.byte(0x2A);
        sink.byte(1 << self.0);
        sink.byte(0);
    }
}
