//! What is chosen at construction, once: the register file, the time that commands take, and where the data sheet leaves a
//! choice.

use std::time::Duration;

use super::time::{MICROSECOND, MILLISECOND, Nanoseconds};

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
    /// Each command ends within the access that gives it its last byte, as far as the host moves its data, or later by the
    /// delay that [`EndDelay`] gives it.
    #[default]
    Immediate,
    /// Steps, head load, spin-up, rotation and each byte take the time that they take in a real drive (§10), as the VM
    /// monitor supplies it by [`Controller::advance`](crate::Controller::advance). Status and data are the same as with
    /// [`Immediate`](Self::Immediate), but that a host can be late (ST1.OR), and that READ ID returns the ID that passes next.
    ///
    #[doc = include_str!("times.md")]
    Authentic,
}

/// Which commands end later than the access that completes them (§2.2, §10.4).
///
/// A real chip takes time to end a command, and some drivers depend on it. During the delay the MSR shows a busy chip without
/// RQM. The delay ends by [`Controller::advance`](crate::Controller::advance) at the time that
/// [`Controller::next_event`](crate::Controller::next_event) returns, or, for a data command, with the first read of the MSR
/// that shows a busy chip without RQM, whichever comes first. So a VM monitor that never calls `advance` serves drivers that
/// poll the MSR, and Linux without DMA. A driver that waits for the interrupt of READ ID without a look at the MSR then waits
/// until its time-out: such a VM monitor chooses [`None`](Self::None), with which Linux without DMA fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum EndDelay {
    /// None: each command ends within an access. With [`Timing::Authentic`] it ends when a real drive would.
    None,
    /// READ ID and every transfer without DMA. With [`Timing::Authentic`] only transfers without DMA are delayed: the rest
    /// takes the time of a real drive.
    ///
    /// - Windows 98 gets ready for the interrupt of READ ID only after it has written the last byte of the command. It
    ///   drops an interrupt that comes before, and each access to the drive then takes 7.5 s.
    /// - Linux with `floppy=nodma` reads the MSR once behind the last byte of the data. When that shows the result phase
    ///   already, it takes the result, does not expect the interrupt that follows, and fails.
    #[default]
    KnownGuests,
    /// All commands that seek or have an execution phase: for drivers that get ready for an interrupt after the last byte of
    /// a command, whatever the command is. With [`Timing::Authentic`] it is the same as [`KnownGuests`](Self::KnownGuests).
    All,
}

/// What becomes of the bytes in the FIFO when the host did not take them in time, in a read without DMA (ST1.OR, §4.14).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum FifoAfterOverrun {
    /// They are discarded, and the result phase begins. Linux with `floppy=nodma` stops in the middle of a sector when it has
    /// enough, and waits for the overrun. It never takes what is left, and works so with real chips.
    #[default]
    Discarded,
    /// The host has to take them before the result phase begins, as the data sheets of clones have it.
    Kept,
}

/// The state of the chip at power-on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PowerOn {
    /// After a hardware reset, as the data sheet has it: DOR = 00, held in reset until software writes the DOR (§1.4).
    #[default]
    InReset,
    /// As firmware leaves it: DOR = 0C, ready for a command, with no interrupt pending. It is for a VM monitor that starts a
    /// guest without firmware; QEMU starts so.
    Running,
}

/// All that is chosen at construction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Config {
    pub mode: InterfaceMode,
    pub empty_drive: EmptyDrive,
    pub timing: Timing,
    /// The SCAN commands execute.
    pub scan_commands: bool,
    pub end_delay: EndDelay,
    /// The delay of a command, and of a transfer without DMA.
    pub delays: Delays,
    pub fifo_after_overrun: FifoAfterOverrun,
}

/// How long the end of a command is delayed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delays {
    /// Of a command whose host waits for an interrupt.
    pub command: Nanoseconds,
    /// Behind the last byte of a transfer without DMA: about the time of a CRC.
    pub transfer: Nanoseconds,
}

impl Default for Delays {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Delays {
    /// The delays unless others are chosen.
    pub(crate) const DEFAULT: Self = Self { command: MILLISECOND, transfer: 50 * MICROSECOND };

    /// The longest delay. No driver that is known waits longer for a command that moves nothing.
    pub(super) const LONGEST: Nanoseconds = 1_000 * MILLISECOND;

    /// Returns these delays, as far as they are not longer than [`LONGEST`](Self::LONGEST).
    pub(super) fn of(command: Duration, transfer: Duration) -> Self {
        let limited = |delay: Duration| u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX).min(Self::LONGEST);
        Self { command: limited(command), transfer: limited(transfer) }
    }
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
