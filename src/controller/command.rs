//! The command set: one row a command, in the order of the data sheet. Nothing about a command's shape stands anywhere
//! else.

use super::transfer::{Comparison, Kind};
use crate::media::Mark;

/// What a command does once its parameters are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Transfer(Kind),
    FormatTrack,
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

/// A row of the table.
#[derive(Debug)]
pub(super) struct Command {
    pub name: &'static str,
    /// The command byte, where `mask` has ones.
    pub opcode: u8,
    /// The bits of the command byte that choose the command; the others are flags, or ignored.
    pub mask: u8,
    /// The bytes that follow the command byte, by name.
    pub parameters: &'static [&'static str],
    /// The bytes of the result phase.
    pub results: &'static [&'static str],
    pub action: Action,
}

/// MT: go on with the other side.
pub(super) const MULTI_TRACK: u8 = 0x80;
/// MFM: double density.
pub(super) const MFM: u8 = 0x40;
/// SK: skip sectors with the other data mark.
pub(super) const SKIP: u8 = 0x20;
/// The direction of RELATIVE SEEK: 1 steps inward.
pub(super) const INWARD: u8 = 0x40;
/// The LOCK bit of LOCK.
pub(super) const LOCK: u8 = 0x80;

/// The commands that transfer data ignore flags that they do not have, as the chip does: MS-DOS 6.22 formats with
/// 0xCD (MT), BeOS 4.5 writes with 0xE5 (SK). So 0x36 is VERIFY with SK, though the 72065 has HARD RESET there. All
/// others are exact, but for the flags that are theirs. The first row that matches counts.
#[rustfmt::skip]
static COMMANDS: [Command; 24] = [
    row("READ DATA", 0x06, 0x1F, TRANSFER, STATUS, Action::Transfer(Kind::Read(Mark::Data))),
    row("READ DELETED DATA", 0x0C, 0x1F, TRANSFER, STATUS, Action::Transfer(Kind::Read(Mark::Deleted))),
    row("WRITE DATA", 0x05, 0x1F, TRANSFER, STATUS, Action::Transfer(Kind::Write(Mark::Data))),
    row("WRITE DELETED DATA", 0x09, 0x1F, TRANSFER, STATUS, Action::Transfer(Kind::Write(Mark::Deleted))),
    row("READ TRACK", 0x02, 0x1F, TRANSFER, STATUS, Action::Transfer(Kind::ReadTrack)),
    row("VERIFY", 0x16, 0x1F, VERIFY, STATUS, Action::Transfer(Kind::Verify)),
    row("VERSION", 0x10, 0xFF, &[], &["VERSION"], Action::Version),
    INVALID_FORMAT_AND_WRITE,
    row("FORMAT TRACK", 0x0D, 0x1F, &["US", "N", "SC", "GPL", "D"], STATUS, Action::FormatTrack),
    row("SCAN EQUAL", 0x11, 0x1F, SCAN, STATUS, Action::Transfer(Kind::Scan(Comparison::Equal))),
    row("SCAN LOW OR EQUAL", 0x19, 0x1F, SCAN, STATUS, Action::Transfer(Kind::Scan(Comparison::LowOrEqual))),
    row("SCAN HIGH OR EQUAL", 0x1D, 0x1F, SCAN, STATUS, Action::Transfer(Kind::Scan(Comparison::HighOrEqual))),
    row("RECALIBRATE", 0x07, 0xFF, &["US"], &[], Action::Recalibrate),
    row("SENSE INTERRUPT STATUS", 0x08, 0xFF, &[], &["ST0", "PCN"], Action::SenseInterruptStatus),
    row("SPECIFY", 0x03, 0xFF, &["SRT/HUT", "HLT/ND"], &[], Action::Specify),
    row("SENSE DRIVE STATUS", 0x04, 0xFF, &["US"], &["ST3"], Action::SenseDriveStatus),
    row("SEEK", 0x0F, 0xFF, &["US", "NCN"], &[], Action::Seek),
    row("CONFIGURE", 0x13, 0xFF, &["0", "CONFIGURE", "PRETRK"], &[], Action::Configure),
    row("RELATIVE SEEK", 0x8F, 0xBF, &["US", "RCN"], &[], Action::RelativeSeek),
    row("DUMPREG", 0x0E, 0xFF, &[], DUMP, Action::DumpRegisters),
    row("READ ID", 0x0A, 0x1F, &["US"], STATUS, Action::Transfer(Kind::ReadId)),
    row("PERPENDICULAR MODE", 0x12, 0xFF, &["PERPENDICULAR"], &[], Action::PerpendicularMode),
    row("LOCK", 0x14, 0x7F, &[], &["LOCK"], Action::Lock),
    INVALID,
];

/// Whatever no other row matches.
pub(super) const INVALID: Command = row("INVALID", 0x00, 0x00, &[], &["ST0"], Action::Invalid);

/// FORMAT AND WRITE of the 82078, which would be FORMAT TRACK with MT and SK.
const INVALID_FORMAT_AND_WRITE: Command = row("INVALID", 0xAD, 0xBF, &[], &["ST0"], Action::Invalid);

/// The longest command, and the longest result.
pub(super) const MAX_COMMAND: usize = 9;
pub(super) const MAX_RESULT: usize = 10;

type Names = &'static [&'static str];

/// US is HDS and the drive; with VERIFY, EC as well.
const TRANSFER: Names = &["US", "C", "H", "R", "N", "EOT", "GPL", "DTL"];
const VERIFY: Names = &["US", "C", "H", "R", "N", "EOT", "GPL", "DTL/SC"];
const SCAN: Names = &["US", "C", "H", "R", "N", "EOT", "GPL", "STP"];
const STATUS: Names = &["ST0", "ST1", "ST2", "C", "H", "R", "N"];
const DUMP: Names =
    &["PCN0", "PCN1", "PCN2", "PCN3", "SRT/HUT", "HLT/ND", "SC/EOT", "LOCK/PERPENDICULAR", "CONFIGURE", "PRETRK"];

const fn row(name: &'static str, opcode: u8, mask: u8, parameters: Names, results: Names, action: Action) -> Command {
    assert!(parameters.len() < MAX_COMMAND && results.len() <= MAX_RESULT);
    Command { name, opcode, mask, parameters, results, action }
}

/// The row that matches each command byte first.
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

/// The command that a first byte begins.
pub(super) fn decode(byte: u8) -> &'static Command {
    &COMMANDS[usize::from(DECODED[usize::from(byte)])]
}
