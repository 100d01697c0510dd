//! What is chosen at construction, once: the register file, the time that commands take, and where the data sheet leaves a
//! choice.

/// The register file of the chip (§1.1). Its IDENT and MFM pins select it at a hardware reset; here the builder does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum InterfaceMode {
    /// PC/AT: no SRA and SRB, and of DIR only the disk-change bit.
    #[default]
    At,
    /// PS/2: all registers. INT and DRQ are driven whatever DMAGATE says.
    Ps2,
    /// PS/2 Model 30: all registers, with SRA, SRB and DIR in a layout of their own. Some of their bits are flip-flops that
    /// a read of DIR clears.
    Model30,
}

/// What becomes of a data command when no disk turns in the selected drive, because there is none or its motor is off
/// (§4.13).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum EmptyDrive {
    /// The command fails with ST1.MA, as if two index pulses had passed. No firmware has to wait for its time-out.
    #[default]
    Fail,
    /// The command waits for an index pulse, as the data sheet has it: until a disk turns or the controller is reset. DOS
    /// reports "not ready" after the time-out of its BIOS.
    Hang,
}

/// Whether commands take time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Timing {
    /// Each command ends within the access that gives it its last byte, as far as the host moves its data.
    #[default]
    Immediate,
    /// Steps, head load, spin-up, rotation and each byte take the time that they take in a real drive (§10), as the VM
    /// monitor supplies it by [`Controller::advance`](crate::Controller::advance). Status and data are the same as with
    /// [`Immediate`](Self::Immediate), but that a host can be late (ST1.OR), and that READ ID returns the ID that passes next.
    ///
    #[doc = include_str!("times.md")]
    Authentic,
}

/// All that is chosen at construction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Config {
    pub mode: InterfaceMode,
    pub empty_drive: EmptyDrive,
    pub timing: Timing,
    /// The SCAN commands execute.
    pub scan_commands: bool,
}

/// Why a controller cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A drive has a number above 3.
    #[error("drive {0}: a controller has drives 0 to 3")]
    DriveNumber(u8),
    /// A drive was given twice.
    #[error("drive {0} was given twice")]
    DriveTwice(u8),
    /// The DMA channel is none of the 8-bit ones, 0 to 3.
    #[error("DMA channel {0}: a floppy controller uses one of the 8-bit channels, 0 to 3")]
    DmaChannel(u8),
}
