//! WRITE DATA and WRITE DELETED DATA: bytes of the host go to the disk.

use super::{
    advance::Extent,
    run::{DataLength, Piece, Run, SectorSize},
};
use crate::{
    controller::fifo::HostPort,
    drive::Head,
    media::{Mark, MediumError, SectorId},
};

/// What WRITE DATA and WRITE DELETED DATA write.
#[derive(Clone, Copy, Debug)]
pub(in crate::controller) struct Write {
    pub mark: Mark,
    pub data_length: DataLength,
}

impl Write {
    /// Fills the sectors of a run, up to the first `limit` bytes, as far as the host gives bytes. The first sector has the
    /// ID `id`.
    #[inline(always)] // 2 % of a WRITE DATA of one sector.
    pub(super) fn transfer(
        self,
        (run, id, extent): (Run, SectorId, Extent),
        limit: usize,
        (head_number, head): (u8, &mut Head<'_>),
        port: &mut impl HostPort,
    ) -> Result<Piece, MediumError> {
        let size = SectorSize::of(id.size_code);
        let bytes = head.write(head_number, run.slot(), run.sectors(), self.mark)?;
        let available = run.whole_sectors(bytes.len(), size)?;
        let wanted = self.data_length.wanted(available);
        let data = bytes.get_mut(run.offset()..limit.min(wanted)).filter(|data| !data.is_empty());
        let data = data.ok_or(MediumError::Absent)?;
        let offered = data.len();
        let moved = port.from_host(data, run.place(wanted, size));
        let end = run.offset() + moved.bytes;
        let sector_end = size.bytes_of(size.sectors_touched(end));
        let (over, within_sector) = (moved.terminal_count || end >= wanted, end < sector_end);
        if over && within_sector {
            // After TC or DTL bytes the rest of the sector is written as zeros (§4.6).
            bytes.get_mut(end..sector_end).unwrap_or_default().fill(0);
        } else if within_sector && sector_end > size.bytes() {
            // The medium is told of the sector that was begun, for the host may not come back.
            let (sectors, under_this_head) = (size.sectors_in(end), extent.sectors_from(id.sector));
            let (head_number, slot) = match sectors.checked_sub(under_this_head) {
                None => (head_number, run.slot() + sectors),
                Some(slot) => (1, slot),
            };
            // A medium that refuses says so again when the host goes on.
            _ = head.write(head_number, slot, 1, self.mark);
        }
        Ok(Piece { moved, offered, wanted, available, short: false })
    }

    /// Completes the sector that was begun with zeros and a good CRC, as after an underrun (§4.14).
    pub(super) fn complete_sector(self, run: Run, size: SectorSize, head_number: u8, head: &mut Head<'_>) {
        if let Ok(bytes) = head.write(head_number, run.slot(), 1, self.mark) {
            bytes.get_mut(run.offset()..size.bytes()).unwrap_or_default().fill(0);
            head.finish_write(head_number, run.slot(), 1, self.mark);
        }
    }
}
