//! The controller and its drives in AML (§13). Names and layouts are those of the ACPI specification, "Floppy
//! Controller Device Objects" and "Small Resource Data Type". The values are those of the tables in the parent module.

use acpi_tables::{
    Aml, AmlSink,
    aml::{BufferData, Device, EISAName, IO, Name, PackageBuilder, ResourceTemplate},
};

use super::{DriveParameters, InstalledDrives};
use crate::{Controller, drive::DriveType};

/// The controller as an ACPI device (§13), for the scope of the DSDT or an SSDT that contains the devices of the ISA
/// bus.
///
/// The device has `_HID` (PNP0700), `_UID`, `_STA`, `_CRS` and `_FDE`, and a child with `_ADR` and `_FDI` for each
/// drive. Without drives no AML is written: a guest that finds a controller without a drive can search for seconds.
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

/// The error for a value that the ACPI device cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AcpiError {
    /// The base port is not 0 to 0xFFF8.
    #[error("base port {0:#06X} leaves no room for eight ports; it must be 0 to 0xFFF8")]
    Base(u16),
    /// The IRQ is not 0 to 15.
    #[error("IRQ {0} is no input of the two 8259A; it must be 0 to 15")]
    Irq(u8),
    /// The DMA channel is not 0 to 3.
    #[error("DMA channel {0} is no 8-bit channel; it must be 0 to 3")]
    Dma(u8),
    /// The `_UID` is not 0 to 15.
    #[error("_UID {0} is no hexadecimal digit of the device name; it must be 0 to 15")]
    Uid(u8),
}

impl AcpiDevice {
    /// Creates the first controller of a PC: base port [`Controller::PRIMARY`], IRQ 6, DMA channel 2, `_UID` 0.
    #[must_use]
    pub fn new(drives: impl Into<InstalledDrives>) -> Self {
        Self { drives: drives.into(), base: Controller::PRIMARY, irq: 6, dma: 2, uid: 0 }
    }

    /// Sets the base port, 0 to 0xFFF8, as [`ControllerBuilder::base`](crate::ControllerBuilder::base) does.
    ///
    /// `_CRS` claims the ports of DOR to FIFO (base + 2 to base + 5) and of DIR and CCR (base + 7), as the tables of
    /// PCs do. The port between them belongs to the hard disk.
    ///
    /// # Errors
    ///
    /// [`AcpiError::Base`] for any other port.
    pub fn base(self, base: u16) -> Result<Self, AcpiError> {
        if base > u16::MAX - 7 { Err(AcpiError::Base(base)) } else { Ok(Self { base, ..self }) }
    }

    /// Sets the input of the two 8259A that the INT pin is connected to, 0 to 15. It is described as edge-triggered and
    /// not shared.
    ///
    /// # Errors
    ///
    /// [`AcpiError::Irq`] for any other number.
    pub fn irq(self, irq: u8) -> Result<Self, AcpiError> {
        if irq > 15 { Err(AcpiError::Irq(irq)) } else { Ok(Self { irq, ..self }) }
    }

    /// Sets the DMA channel that DRQ is connected to, 0 to 3: the 8-bit channels.
    ///
    /// # Errors
    ///
    /// [`AcpiError::Dma`] for any other channel.
    pub fn dma(self, dma: u8) -> Result<Self, AcpiError> {
        if dma > 3 { Err(AcpiError::Dma(dma)) } else { Ok(Self { dma, ..self }) }
    }

    /// Sets `_UID`, 0 to 15. It is also the last digit of the name of the device: `FDC0` for 0, `FDCF` for 15. A second
    /// controller needs another `_UID`. The names of the drives are `FLP0` to `FLP3` below the device.
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
    /// [`AcpiError::Uid`] for any other number.
    pub fn uid(self, uid: u8) -> Result<Self, AcpiError> {
        if uid > 15 { Err(AcpiError::Uid(uid)) } else { Ok(Self { uid, ..self }) }
    }

    /// Returns `_FDE`: a double word for each of four drives, 1 if the drive exists, and one for a tape drive.
    fn enumeration(&self) -> Vec<u8> {
        /// A tape drive never exists.
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
        // The ports are fixed, so the alignment has no meaning.
        let [ports, port] = [(2, 4), (7, 1)].map(|(offset, length)| {
            let first = self.base.wrapping_add(offset); // never wraps: `base` checks it
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

/// Value of `_STA`: present, enabled, shown to the user, working.
const PRESENT: u8 = 0b1111;

/// A drive as a child of its controller.
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

/// IRQ descriptor without flags: edge-triggered, active high, not shared. `acpi_tables` has only the extended
/// descriptor, for inputs of I/O APICs.
struct Irq(u8);

impl Aml for Irq {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        sink.byte(0x22);
        sink.word(1 << self.0);
    }
}

/// DMA descriptor, which `acpi_tables` does not have: compatibility speed, no bus master, 8-bit transfers.
struct Dma(u8);

impl Aml for Dma {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        sink.byte(0x2A);
        sink.byte(1 << self.0);
        sink.byte(0);
    }
}
