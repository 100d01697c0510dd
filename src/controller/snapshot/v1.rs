//! The saved state of a controller, version 1: plain structs.

#[cfg(feature = "serde")]
use crate::saved_state::bytes;
use crate::{
    controller::config::{EmptyDrive, EndDelay, FifoAfterOverrun, InterfaceMode, Timing},
    drive::{DriveStateV1, MediumStateV1},
    media::{DataRate, SectorId},
};

/// The state of a controller, version 1.
///
/// Nothing in it follows from the rest: what the pins and the MSR show, and what a command asks for, is worked out again from
/// registers and command bytes. Spans of time are in nanoseconds; those that end in `_in` count from the moment of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ControllerStateV1 {
    /// The first port.
    pub base: u16,
    /// What the builder was given.
    pub config: ConfigStateV1,
    /// The latches behind the registers.
    pub registers: RegistersStateV1,
    /// What SPECIFY, CONFIGURE, LOCK and PERPENDICULAR MODE set.
    pub settings: SettingsStateV1,
    /// The four units that commands name by DS1 and DS0.
    pub units: [UnitStateV1; 4],
    /// The deadlines of the drives, with [`Timing::Authentic`].
    pub mechanics: Option<MechanicsStateV1>,
    /// The time since a whole second of the clock, below 1 s: where the disks stand in their rotation.
    pub clock_phase: u32,
    /// What the chip does.
    pub phase: PhaseStateV1,
    /// The drives, by number.
    pub drives: [Option<DriveStateV1>; 4],
}

/// What is chosen at construction, version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ConfigStateV1 {
    /// The register file.
    pub mode: InterfaceMode,
    /// What becomes of a data command when no disk turns.
    pub empty_drive: EmptyDrive,
    /// Whether commands take time.
    pub timing: Timing,
    /// The SCAN commands execute.
    pub scan_commands: bool,
    /// Which commands end later than the access that completes them.
    pub end_delay: EndDelay,
    /// How long the end of a command is delayed, at most 1 s.
    pub command_delay: u64,
    /// How long the end of a transfer without DMA is delayed, at most 1 s.
    pub transfer_delay: u64,
    /// What becomes of the bytes in the FIFO after an overrun.
    pub fifo_after_overrun: FifoAfterOverrun,
}

/// The latches behind the registers (§1), version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RegistersStateV1 {
    /// DOR.
    pub digital_output: u8,
    /// TDR, 0 to 3.
    pub tape_drive: u8,
    /// DRATE of DSR and CCR.
    pub data_rate: DataRate,
    /// NOPREC of the CCR of Model 30.
    pub no_precompensation: bool,
    /// STEP flip-flop of Model 30.
    pub step: bool,
    /// RDDATA flip-flop of Model 30.
    pub read_data: bool,
    /// WRDATA and WE flip-flops of Model 30.
    pub write_data: bool,
    /// RDDATA toggle of PS/2.
    pub read_toggle: bool,
    /// WRDATA toggle of PS/2.
    pub write_toggle: bool,
    /// The last step went toward the spindle.
    pub step_in: bool,
    /// HDSEL: 0 or 1.
    pub head_select: u8,
}

/// The settings of the command set (§7), version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SettingsStateV1 {
    /// The two parameters of SPECIFY.
    pub specify: [u8; 2],
    /// Byte 2 of CONFIGURE, 0 to 0x7F.
    pub configure: u8,
    /// PRETRK.
    pub precompensation_start: u8,
    /// LOCK.
    pub lock: bool,
    /// D3 to D0, GAP and WGATE of PERPENDICULAR MODE, 0 to 0x3F.
    pub perpendicular: u8,
    /// Byte 6 of DUMPREG.
    pub last_track_length: u8,
}

/// A unit, version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct UnitStateV1 {
    /// PCN.
    pub cylinder: u8,
    /// The poll after a reset found the unit ready, and its status has not been sensed.
    pub ready_change: bool,
    /// ST0 of a seek that ended and has not been sensed.
    pub unsensed: Option<u8>,
    /// A seek under way, with [`Timing::Authentic`]; without, one whose end is delayed.
    pub seek: Option<SeekStateV1>,
}

/// A seek under way, version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SeekStateV1 {
    /// The drive whose head moves, 0 to 3.
    pub drive: u8,
    /// The steps go toward the spindle.
    pub step_in: bool,
    /// Steps that are to come, 1 to 255; 0 when the end alone is to come, without timing.
    pub steps: u8,
    /// Until the next step or the end; at most `interval`.
    pub due_in: u64,
    /// Between two steps, at most 32 ms; or the delay of the end, at most 1 s.
    pub interval: u64,
    /// What the seek leaves at its end; `None` for the implied seek of a data command.
    pub end: Option<SeekEndStateV1>,
}

/// What a seek-type command leaves, version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SeekEndStateV1 {
    /// PCN.
    pub cylinder: u8,
    /// ST0 without the unit.
    pub st0: u8,
    /// The command fails unless the head is at track 0 then.
    pub needs_track_0: bool,
}

/// The deadlines of the drives, version 1. Those that have passed are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MechanicsStateV1 {
    /// The first poll of the drives after a reset, if it is still to come.
    pub poll_in: Option<u64>,
    /// By drive: until its head has settled.
    pub head_settled_in: [u64; 4],
    /// By drive: until its motor is up to speed.
    pub at_speed_in: [u64; 4],
    /// Until the head is unloaded.
    pub head_unloaded_in: u64,
    /// By drive: how long its disk has slowed down since its motor was turned off, at most 1 s, after which it stands; `None`
    /// while the motor is on, and when the disk stands.
    pub slowing_for: [Option<u64>; 4],
}

/// What the chip does, version 1.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum PhaseStateV1 {
    /// Waits for a command.
    Idle,
    /// Is held in reset by the DOR, or powered down.
    Stopped,
    /// Waits for the rest of a command.
    Command {
        /// The bytes that have come, 1 to 8.
        #[cfg_attr(feature = "serde", serde(with = "short_bytes"))]
        bytes: Vec<u8>,
    },
    /// Moves data.
    Execution(Box<ExecutionStateV1>),
    /// Has a data command that is over, and does not show that yet.
    Ending {
        /// The bytes of the command phase.
        #[cfg_attr(feature = "serde", serde(with = "short_bytes"))]
        command: Vec<u8>,
        /// ST0, ST1, ST2, C, H, R and N.
        result: [u8; 7],
        /// Sectors that were transferred whole.
        sectors: u32,
        /// Bytes that the host took or gave.
        bytes: u32,
        /// The medium cannot hold what was to be written.
        limit_met: bool,
        /// Until the result phase begins, at most 1 s.
        due_in: u64,
    },
    /// Has bytes to be fetched.
    Result {
        /// The bytes that are left, 1 to 10.
        #[cfg_attr(feature = "serde", serde(with = "short_bytes"))]
        bytes: Vec<u8>,
        /// INT is up until the next byte is fetched.
        interrupts: bool,
    },
}

/// A data command in its execution phase, version 1.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ExecutionStateV1 {
    /// The bytes of the command phase.
    #[cfg_attr(feature = "serde", serde(with = "short_bytes"))]
    pub command: Vec<u8>,
    /// The rate, sampled when the command started.
    pub rate: DataRate,
    /// The head that is selected, 0 or 1.
    pub head: u8,
    /// C, H, R and N of the sector that is looked for or transferred, or of the result.
    pub id: SectorId,
    /// How far the command is.
    pub progress: ProgressStateV1,
    /// ST0 without head and unit: IC and SE.
    pub st0: u8,
    /// ST1.
    pub st1: u8,
    /// ST2.
    pub st2: u8,
    /// Sectors that were transferred whole.
    pub sectors: u32,
    /// Bytes that the host took or gave.
    pub bytes: u32,
    /// The medium cannot hold what was to be written.
    pub limit_met: bool,
    /// The medium that the command works on, from when there first was one.
    pub medium: Option<MediumIdStateV1>,
    /// What only this operation keeps.
    pub operation: OperationStateV1,
    /// The FIFO.
    pub fifo: FifoStateV1,
    /// Without timing: how long the command has waited for its DMA channel, at most 200 ms.
    pub waited: u64,
    /// With [`Timing::Authentic`].
    pub schedule: Option<ScheduleStateV1>,
}

/// The identity of a medium, version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MediumIdStateV1 {
    /// The number of the drive, 0 to 3.
    pub drive: u8,
    /// How many media the drive had had; see [`DriveStateV1::media_count`].
    pub media_count: u64,
}

/// How far a data command is, version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum ProgressStateV1 {
    /// The next sector is to be looked for, or the track to be formatted.
    Searching,
    /// Sectors are being transferred.
    Transferring {
        /// Place of the first sector on the track, 0 to 255.
        slot: u16,
        /// Sectors, 1 to 512.
        sectors: u16,
        /// Bytes of the first sector that have been transferred, less than it has.
        offset: u16,
        /// The data mark is not the one that the command asks for.
        other_mark: bool,
        /// The data field has a wrong CRC.
        bad_data: bool,
    },
    /// The result is all that is left.
    Ended,
}

/// What only some commands keep, version 1.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum OperationStateV1 {
    /// READ DATA, READ DELETED DATA, WRITE DATA, WRITE DELETED DATA, READ ID, and VERIFY without EC.
    Other,
    /// READ TRACK.
    ReadTrack {
        /// Sectors that have been read, 0 to 256.
        sectors_read: u16,
    },
    /// VERIFY with EC.
    Verify {
        /// Sectors that are still to be verified, 0 to 256.
        remaining: u16,
    },
    /// The SCAN commands.
    Scan {
        /// Some byte of the sector under the head is lower than the host's.
        lower: bool,
        /// Some byte of the sector under the head is higher than the host's.
        higher: bool,
        /// The last sector that was compared does, or does not, satisfy the comparison.
        satisfied: Option<bool>,
    },
    /// FORMAT TRACK.
    Format {
        /// The bytes of ID fields that the host has given, at most 1,020.
        #[cfg_attr(feature = "serde", serde(with = "format_ids"))]
        ids: Vec<u8>,
        /// Bytes of ID fields that the track takes, at most 1,020; `None` before a disk was seen.
        wanted: Option<u16>,
    },
}

/// The FIFO, version 1.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct FifoStateV1 {
    /// The bytes that it holds, at most 16.
    #[cfg_attr(feature = "serde", serde(with = "short_bytes"))]
    pub bytes: Vec<u8>,
    /// Without timing: bytes until a request of the host's side ends, 1 to 16.
    pub request_left: u8,
    /// Bytes that the disk still takes, at most 16,384.
    pub wanted: u16,
    /// With [`Timing::Authentic`]: the FIFO asks the host for bytes.
    pub requesting: bool,
}

/// When a data command goes on, version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ScheduleStateV1 {
    /// Until what the command waits for comes; negative when it has come. At most 20 s.
    pub due_in: i64,
    /// Until the data field or the track under the head begins to pass; negative when it began. At most 20 s, and at least
    /// one hour back.
    pub data_start_in: i64,
    /// The host has all bytes that have passed.
    pub host_is_served: bool,
    /// The command has begun to wait for the index hole.
    pub index_awaited: bool,
    /// No disk turned when the command looked last.
    pub spindle_stopped: bool,
}

/// Bytes of a command, of a result, or of the FIFO: at most 16.
#[cfg(feature = "serde")]
mod short_bytes {
    pub(super) use super::bytes::serialize;

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        super::bytes::deserialize::<D, 16>(deserializer)
    }
}

/// Bytes of ID fields: at most 1,020.
#[cfg(feature = "serde")]
mod format_ids {
    pub(super) use super::bytes::serialize;

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        super::bytes::deserialize::<D, 1_020>(deserializer)
    }
}

impl ControllerStateV1 {
    /// Returns what is attached to each drive, with the number of the drive.
    pub fn media(&self) -> impl Iterator<Item = (u8, &MediumStateV1)> {
        let drives = (0..).zip(&self.drives);
        drives.filter_map(|(number, drive)| Some((number, drive.as_ref()?.medium.as_ref()?)))
    }
}
