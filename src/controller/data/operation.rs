//! What a data command does: one variant a kind of command, with what only that kind needs.

use super::{
    advance::Extent, format::Format, read::ReadTrack, run::DataLength, scan::Scan, verify::Verify, write::Write,
};
use crate::{
    controller::command::{DataAction, ENABLE_COUNT, MAX_COMMAND, MULTI_TRACK, SKIP, TransferKind},
    media::Mark,
};

/// What a data command does.
#[derive(Clone, Debug)]
pub(in crate::controller) enum Operation {
    ReadId,
    ReadTrack(ReadTrack),
    Sectors(SectorCommand),
    Format(Format),
}

/// A command that looks for sectors by their IDs.
#[derive(Clone, Debug)]
pub(in crate::controller) struct SectorCommand {
    pub extent: Extent,
    /// SK.
    pub skip: bool,
    pub action: SectorAction,
}

/// What becomes of the sectors that are found.
#[derive(Clone, Debug)]
pub(in crate::controller) enum SectorAction {
    /// READ DATA and READ DELETED DATA.
    Read {
        mark: Mark,
        data_length: DataLength,
    },
    Write(Write),
    Verify(Verify),
    Scan(Scan),
}

impl Operation {
    /// Returns the operation that the bytes of a command phase ask for.
    #[inline]
    pub(super) fn of(action: DataAction, bytes: &[u8; MAX_COMMAND]) -> Self {
        let kind = match action {
            DataAction::Transfer(kind) => kind,
            DataAction::ReadId => return Self::ReadId,
            DataAction::FormatTrack => {
                let [_, _, size_code, sectors, gap_3, filler, ..] = *bytes;
                return Self::Format(Format::new(size_code, sectors, gap_3, filler));
            }
        };
        let [opcode, head_unit, _, _, _, size_code, end_of_track, _gap_length, last] = *bytes;
        let extent = Extent { multi_track: opcode & MULTI_TRACK != 0, end_of_track };
        let data_length = DataLength::of(size_code, last);
        let action = match kind {
            TransferKind::Read(mark) => SectorAction::Read { mark, data_length },
            TransferKind::ReadTrack => {
                return Self::ReadTrack(ReadTrack { data_length, sectors_read: 0, end_of_track });
            }
            TransferKind::Write(mark) => SectorAction::Write(Write { mark, data_length }),
            TransferKind::Verify => SectorAction::Verify(Verify::of(head_unit & ENABLE_COUNT != 0, last)),
            TransferKind::Scan(comparison) => SectorAction::Scan(Scan::new(comparison, last)),
        };
        Self::Sectors(SectorCommand { extent, skip: opcode & SKIP != 0, action })
    }
}
