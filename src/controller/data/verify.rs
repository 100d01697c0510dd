//! VERIFY: sectors are read for their CRCs alone (§4.8).

use super::run::{Piece, Run, SectorSize, Shown};
use crate::{dma::Moved, drive::Head, media::MediumError};

/// How much VERIFY verifies.
#[derive(Clone, Copy, Debug)]
pub(in crate::controller) struct Verify {
    /// With EC: sectors that are still to be verified, 1 to 256; without, all up to EOT are.
    pub remaining: Option<u16>,
}

impl Verify {
    /// Returns what byte 8 of the command asks for. An SC of 0 is 256.
    pub(super) fn of(enable_count: bool, sector_count: u8) -> Self {
        let remaining = if sector_count == 0 { 256 } else { sector_count.into() };
        Self { remaining: enable_count.then_some(remaining) }
    }

    /// Reads the sectors of a run. With EC the command ends after SC sectors as if by terminal count: also on a track that
    /// ends before EOT, which the table of the data sheet has fail, though no sector is missing.
    pub(super) fn transfer(
        &mut self,
        run: Run,
        size: SectorSize,
        head_number: u8,
        head: &mut Head<'_>,
    ) -> Result<Piece, MediumError> {
        let Shown { available, short, .. } = Shown::read(run, size, head_number, head)?;
        let moved = match &mut self.remaining {
            None => Moved { bytes: available, terminal_count: false },
            Some(remaining) => {
                let sectors = size.sectors_in(available).min(usize::from(*remaining));
                *remaining -= sectors as u16;
                Moved { bytes: size.bytes_of(sectors), terminal_count: *remaining == 0 }
            }
        };
        Ok(Piece { moved, offered: available, wanted: available, available, short })
    }
}
