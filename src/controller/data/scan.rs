//! SCAN EQUAL, SCAN LOW OR EQUAL and SCAN HIGH OR EQUAL: sectors are compared with bytes of the host (§4.10).

use super::run::{Piece, Run, SectorSize, Shown};
use crate::{
    controller::{command::Comparison, fifo::HostPort, registers::st2},
    drive::Head,
    media::MediumError,
};

/// What a SCAN command asks for, and what it has seen.
#[derive(Clone, Copy, Debug)]
pub(in crate::controller) struct Scan {
    pub comparison: Comparison,
    /// STP: what is added to R for the next sector.
    pub step: u8,
    /// Some byte of the sector under the head is lower than the host's.
    pub lower: bool,
    /// Some byte of the sector under the head is higher than the host's.
    pub higher: bool,
    /// The last sector that was compared does, or does not, satisfy the comparison; `None` before the first.
    pub satisfied: Option<bool>,
}

impl Scan {
    pub(super) const fn new(comparison: Comparison, step: u8) -> Self {
        Self { comparison, step, lower: false, higher: false, satisfied: None }
    }

    /// Compares a part of the sector with what the host gives. The run is one sector.
    pub(super) fn transfer(
        &mut self,
        run: Run,
        size: SectorSize,
        limit: usize,
        (head_number, head): (u8, &mut Head<'_>),
        port: &mut impl HostPort,
    ) -> Result<Piece, MediumError> {
        let shown = Shown::read(run, size, head_number, head)?;
        let wanted = shown.available;
        let data = shown.passing(run.offset(), limit.min(wanted));
        let mut buffer = [0; 64];
        let offered = data.len().min(buffer.len());
        let moved = port.from_host(&mut buffer[..offered], run.place(wanted, size));
        for (disk, host) in data.iter().zip(&buffer[..moved.bytes]) {
            self.lower |= disk < host;
            self.higher |= disk > host;
        }
        Ok(Piece { moved, offered, wanted, available: wanted, short: shown.short })
    }

    /// Evaluates the sector that has been compared. Returns SH and SN of ST2.
    pub(super) fn evaluate(&mut self) -> u8 {
        let (lower, higher) = (std::mem::take(&mut self.lower), std::mem::take(&mut self.higher));
        let satisfied = match self.comparison {
            Comparison::Equal => !lower && !higher,
            Comparison::LowOrEqual => !higher,
            Comparison::HighOrEqual => !lower,
        };
        self.satisfied = Some(satisfied);
        match (lower || higher, satisfied) {
            (false, _) => st2::SCAN_HIT,
            (true, true) => 0,
            (true, false) => st2::SCAN_NOT_SATISFIED,
        }
    }

    /// Returns R of the next sector, if STP leads to one before EOT. A step that passes EOT, or none, runs into the index hole.
    pub(super) fn next_sector(&self, sector: u8, end_of_track: u8) -> Result<u8, u8> {
        let next = sector.wrapping_add(self.step);
        if self.step == 0 || self.step > end_of_track.wrapping_sub(sector) { Err(next) } else { Ok(next) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SH and SN of a sector with some byte lower, or higher, than the host's.
    fn evaluate(comparison: Comparison, lower: bool, higher: bool) -> u8 {
        Scan { lower, higher, ..Scan::new(comparison, 1) }.evaluate()
    }

    #[test]
    fn the_table_of_the_8272() {
        // §4.10
        for comparison in [Comparison::Equal, Comparison::LowOrEqual, Comparison::HighOrEqual] {
            assert_eq!(evaluate(comparison, false, false), st2::SCAN_HIT);
            assert_eq!(evaluate(comparison, true, true), st2::SCAN_NOT_SATISFIED);
        }
        assert_eq!(evaluate(Comparison::Equal, true, false), st2::SCAN_NOT_SATISFIED);
        assert_eq!(evaluate(Comparison::LowOrEqual, true, false), 0);
        assert_eq!(evaluate(Comparison::LowOrEqual, false, true), st2::SCAN_NOT_SATISFIED);
        assert_eq!(evaluate(Comparison::HighOrEqual, true, false), st2::SCAN_NOT_SATISFIED);
        assert_eq!(evaluate(Comparison::HighOrEqual, false, true), 0);
    }

    #[test]
    fn a_step_has_to_hit_eot() {
        // §4.10
        let scan = |step| Scan::new(Comparison::Equal, step);
        assert_eq!(scan(2).next_sector(1, 9), Ok(3));
        assert_eq!(scan(2).next_sector(8, 9), Err(10));
        assert_eq!(scan(0).next_sector(1, 9), Err(1));
    }
}
