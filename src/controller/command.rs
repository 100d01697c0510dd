//! The command set: one row a command, in the order of the data sheet. Nothing about the shape of a command stands
//! anywhere else. The types at the top name what the bytes of a command say.

use std::fmt;

use crate::media::{Encoding, Mark};

/// What a command does once its parameters are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Data(DataAction),
    Version,
    Recalibrate,
    SenseInterruptStatus,
    Specify,
    SenseDriveStatus,
    Seek,
    Configure,
    RelativeSeek,
    DumpRegisters,
    PerpendicularMode,
    Lock,
    Invalid,
}

/// A command with an execution phase in which the disk passes the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DataAction {
    Transfer(TransferKind),
    ReadId,
    FormatTrack,
}

/// What a command that transfers sectors does with each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TransferKind {
    /// Sends it to the host, if its data field has this mark.
    Read(Mark),
    /// Sends it to the host, in the order of the track and whatever its ID.
    ReadTrack,
    /// Fills it with bytes of the host, and gives its data field this mark.
    Write(Mark),
    /// Reads it, for the CRC alone.
    Verify,
    /// Compares it with bytes of the host.
    Scan(Comparison),
}

/// What a SCAN command asks of each byte on the disk, compared with the byte of the host (§4.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    LowOrEqual,
    HighOrEqual,
}

/// The direction in which data moves between the disk and the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    ToHost,
    FromHost,
}

/// HDS, DS1 and DS0: the head and the drive that byte 1 of a command names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HeadUnit {
    /// HDS: 0 or 1.
    pub head: u8,
    /// DS1 and DS0: 0 to 3. It selects a present cylinder number and a status, not a drive: that is the DOR's to do.
    pub unit: u8,
}

impl HeadUnit {
    /// Takes the three bits out of byte 1 of a command.
    pub(super) const fn of(byte: u8) -> Self {
        Self { head: byte >> 2 & 1, unit: byte & 0b11 }
    }

    /// Returns bits 2 to 0 of ST0 and ST3.
    pub(super) const fn bits(self) -> u8 {
        self.head << 2 | self.unit
    }
}

/// MT: go on with the other head.
pub(super) const MULTI_TRACK: u8 = 0x80;
/// MFM: double density.
const MFM: u8 = 0x40;
/// SK: skip sectors with the other data mark.
pub(super) const SKIP: u8 = 0x20;
/// DIR of RELATIVE SEEK: 1 steps in.
pub(super) const STEP_IN: u8 = 0x40;
/// The LOCK bit of LOCK.
pub(super) const LOCK: u8 = 0x80;
/// EC of VERIFY, in byte 1: verify as many sectors as SC says.
pub(super) const ENABLE_COUNT: u8 = 0x80;

/// Returns the encoding that the MFM bit of a command byte selects.
pub(super) const fn encoding(opcode: u8) -> Encoding {
    if opcode & MFM != 0 { Encoding::Mfm } else { Encoding::Fm }
}

/// A row of the table.
#[derive(Debug)]
pub(super) struct Command {
    /// The name in the data sheet.
    pub name: &'static str,
    /// The command byte, where `mask` has ones.
    pub opcode: u8,
    /// The bits of the command byte that select the command. The others are flags, or ignored.
    pub mask: u8,
    /// The bytes that follow the command byte.
    pub parameters: &'static [Parameter],
    /// The names of the bytes of the result phase.
    pub results: &'static [&'static str],
    pub action: Action,
}

impl Command {
    /// Returns the number of bytes of the command phase, 1 to 9.
    #[inline]
    pub(super) const fn length(&self) -> usize {
        1 + self.parameters.len()
    }

    /// Returns the unit that the command names, 0 to 3, if it names one. `bytes` are those of the command phase.
    pub(super) fn unit(&self, bytes: &[u8]) -> Option<u8> {
        let names_unit = !matches!(self.parameters.first(), None | Some(Parameter::Byte(_)));
        bytes.get(1).filter(|_| names_unit).map(|&byte| HeadUnit::of(byte).unit)
    }
}

/// A parameter byte, by what is in it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Parameter {
    /// DS1 and DS0.
    Unit,
    /// HDS, DS1 and DS0.
    HeadUnit,
    /// EC, HDS, DS1 and DS0.
    CountHeadUnit,
    /// A number, or bits without a name of their own.
    Byte(&'static str),
}

impl Parameter {
    /// Writes the parameter and its value as `NAME=VALUE`, as the data sheet names it.
    pub(super) fn write(self, f: &mut fmt::Formatter<'_>, value: u8) -> fmt::Result {
        let HeadUnit { head, unit } = HeadUnit::of(value);
        match self {
            Self::Unit => write!(f, " DS={unit}"),
            Self::HeadUnit => write!(f, " HDS={head} DS={unit}"),
            Self::CountHeadUnit => write!(f, " EC={} HDS={head} DS={unit}", u8::from(value & ENABLE_COUNT != 0)),
            Self::Byte(name) => write!(f, " {name}={value:02X}"),
        }
    }
}

use Parameter::{Byte, CountHeadUnit, Unit};

// The commands that transfer data ignore flags that they do not have, as the chip does: MS-DOS 6.22 formats with 0xCD (MT),
// and BeOS 4.5 writes with 0xE5 (SK). So 0x36 is VERIFY with SK, though the 72065 has HARD RESET there. All other rows
// match the whole byte, but for the flags that are theirs. The first row that matches counts.
#[rustfmt::skip]
static COMMANDS: [Command; 24] = [
    row("READ DATA", 0x06, 0x1F, TRANSFER, STATUS, transfer(TransferKind::Read(Mark::Data))),
    row("READ DELETED DATA", 0x0C, 0x1F, TRANSFER, STATUS, transfer(TransferKind::Read(Mark::Deleted))),
    row("WRITE DATA", 0x05, 0x1F, TRANSFER, STATUS, transfer(TransferKind::Write(Mark::Data))),
    row("WRITE DELETED DATA", 0x09, 0x1F, TRANSFER, STATUS, transfer(TransferKind::Write(Mark::Deleted))),
    row("READ TRACK", 0x02, 0x1F, TRANSFER, STATUS, transfer(TransferKind::ReadTrack)),
    row("VERIFY", 0x16, 0x1F, VERIFY, STATUS, transfer(TransferKind::Verify)),
    row("VERSION", 0x10, 0xFF, &[], &["VERSION"], Action::Version),
    INVALID_FORMAT_AND_WRITE,
    row("FORMAT TRACK", 0x0D, 0x1F, FORMAT, STATUS, Action::Data(DataAction::FormatTrack)),
    row("SCAN EQUAL", 0x11, 0x1F, SCAN, STATUS, transfer(TransferKind::Scan(Comparison::Equal))),
    row("SCAN LOW OR EQUAL", 0x19, 0x1F, SCAN, STATUS, transfer(TransferKind::Scan(Comparison::LowOrEqual))),
    row("SCAN HIGH OR EQUAL", 0x1D, 0x1F, SCAN, STATUS, transfer(TransferKind::Scan(Comparison::HighOrEqual))),
    row("RECALIBRATE", 0x07, 0xFF, &[Unit], &[], Action::Recalibrate),
    row("SENSE INTERRUPT STATUS", 0x08, 0xFF, &[], &["ST0", "PCN"], Action::SenseInterruptStatus),
    row("SPECIFY", 0x03, 0xFF, &[Byte("SRT/HUT"), Byte("HLT/ND")], &[], Action::Specify),
    row("SENSE DRIVE STATUS", 0x04, 0xFF, &[Parameter::HeadUnit], &["ST3"], Action::SenseDriveStatus),
    row("SEEK", 0x0F, 0xFF, &[Parameter::HeadUnit, Byte("NCN")], &[], Action::Seek),
    row("CONFIGURE", 0x13, 0xFF, &[Byte("0"), Byte("CONFIGURE"), Byte("PRETRK")], &[], Action::Configure),
    row("RELATIVE SEEK", 0x8F, 0xBF, &[Parameter::HeadUnit, Byte("RCN")], &[], Action::RelativeSeek),
    row("DUMPREG", 0x0E, 0xFF, &[], DUMP, Action::DumpRegisters),
    row("READ ID", 0x0A, 0x1F, &[Parameter::HeadUnit], STATUS, Action::Data(DataAction::ReadId)),
    row("PERPENDICULAR MODE", 0x12, 0xFF, &[Byte("PERPENDICULAR")], &[], Action::PerpendicularMode),
    row("LOCK", 0x14, 0x7F, &[], &["LOCK"], Action::Lock),
    INVALID,
];

/// The row of every command byte that no other row matches.
pub(super) static INVALID_COMMAND: Command = INVALID;

const INVALID: Command = row("INVALID", 0x00, 0x00, &[], &["ST0"], Action::Invalid);

/// FORMAT AND WRITE of the 82078, which would otherwise be FORMAT TRACK with MT and SK.
const INVALID_FORMAT_AND_WRITE: Command = row("INVALID", 0xAD, 0xBF, &[], &["ST0"], Action::Invalid);

/// Bytes of the longest command phase, and of the longest result phase.
pub(super) const MAX_COMMAND: usize = 9;
pub(super) const MAX_RESULT: usize = 10;

const fn transfer(kind: TransferKind) -> Action {
    Action::Data(DataAction::Transfer(kind))
}

type Parameters = &'static [Parameter];
type Results = &'static [&'static str];

const TRANSFER: Parameters = &sector_parameters(Parameter::HeadUnit, "DTL");
const VERIFY: Parameters = &sector_parameters(CountHeadUnit, "DTL/SC");
const SCAN: Parameters = &sector_parameters(Parameter::HeadUnit, "STP");
const FORMAT: Parameters = &[Parameter::HeadUnit, Byte("N"), Byte("SC"), Byte("GPL"), Byte("D")];
const STATUS: Results = &["ST0", "ST1", "ST2", "C", "H", "R", "N"];
const DUMP: Results =
    &["PCN0", "PCN1", "PCN2", "PCN3", "SRT/HUT", "HLT/ND", "SC/EOT", "LOCK/PERPENDICULAR", "CONFIGURE", "PRETRK"];

const fn sector_parameters(first: Parameter, last: &'static str) -> [Parameter; 8] {
    [first, Byte("C"), Byte("H"), Byte("R"), Byte("N"), Byte("EOT"), Byte("GPL"), Byte(last)]
}

const fn row(
    name: &'static str,
    opcode: u8,
    mask: u8,
    parameters: Parameters,
    results: Results,
    action: Action,
) -> Command {
    assert!(parameters.len() < MAX_COMMAND && results.len() <= MAX_RESULT);
    Command { name, opcode, mask, parameters, results, action }
}

/// For each command byte the number of the first row that matches it.
static DECODED: [u8; 256] = {
    let mut decoded = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut row = 0;
        while byte & COMMANDS[row].mask as usize != COMMANDS[row].opcode as usize {
            row += 1;
        }
        decoded[byte] = row as u8;
        byte += 1;
    }
    decoded
};

/// Returns the row of the command that `byte` begins. `scan_commands`: the SCAN commands execute (§3.15).
#[inline]
pub(super) fn decode(byte: u8, scan_commands: bool) -> &'static Command {
    let row = &COMMANDS[usize::from(DECODED[usize::from(byte)])];
    match row.action {
        Action::Data(DataAction::Transfer(TransferKind::Scan(_))) if !scan_commands => &INVALID_COMMAND,
        _ => row,
    }
}
