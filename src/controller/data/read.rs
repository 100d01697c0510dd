//! READ DATA, READ DELETED DATA and READ TRACK: bytes of the disk go to the host.

use super::run::{DataLength, Piece, Run, SectorSize, Shown};
use crate::{
    controller::{
        fifo::HostPort,
        registers::{st1, st2},
    },
    drive::Head,
    media::{Mark, MediumError, Sector, SectorId},
};

/// Sends the bytes of a run to the host, up to the first `limit` bytes, as far as the host takes them.
#[inline(always)] // 1 % of a READ DATA of one sector, 6 % of a cylinder of a `SectorDisk`.
pub(super) fn transfer(
    run: Run,
    size: SectorSize,
    data_length: DataLength,
    limit: usize,
    (head_number, head): (u8, &mut Head<'_>),
    port: &mut impl HostPort,
) -> Result<Piece, MediumError> {
    let shown = Shown::read(run, size, head_number, head)?;
    let wanted = data_length.wanted(shown.available);
    let data = shown.passing(run.offset(), limit.min(wanted));
    let moved = port.to_host(data, run.place(wanted, size));
    Ok(Piece { moved, offered: data.len(), wanted, available: shown.available, short: shown.short })
}

/// READ TRACK: the data fields of a track from the index hole on, in their order and whatever their IDs (§4.7).
#[derive(Clone, Copy, Debug)]
pub(in crate::controller) struct ReadTrack {
    pub data_length: DataLength,
    /// Sectors that have been read, 0 to 255: the next one's slot.
    pub sectors_read: u16,
    /// EOT: the number of sectors to read.
    pub end_of_track: u8,
}

impl ReadTrack {
    /// Returns the bits of ST1 and ST2 that a sector leaves which has to be `expected`. An ID with other bytes or a wrong CRC
    /// and a deleted mark are noted, and the sector is read all the same. A missing data mark ends the command.
    pub(super) fn status_of(sector: &Sector, expected: SectorId) -> (u8, u8) {
        let no_data = if sector.id == expected { 0 } else { st1::NO_DATA };
        let bad_id = if sector.id_crc_error { st1::DATA_ERROR } else { 0 };
        let (missing, mark) = match sector.mark {
            Some(Mark::Data) => (0, 0),
            Some(Mark::Deleted) => (0, st2::CONTROL_MARK),
            None => (st1::MISSING_ADDRESS_MARK, st2::MISSING_DATA_MARK),
        };
        (no_data | bad_id | missing, mark)
    }

    /// Counts a sector. Returns whether it was the last one.
    pub(super) fn count(&mut self) -> bool {
        self.sectors_read += 1;
        self.sectors_read == u16::from(self.end_of_track)
    }
}
