//! SCAN EQUAL, SCAN LOW OR EQUAL and SCAN HIGH OR EQUAL: sectors are compared with bytes of the host (§4.10).

use super::{
    advance::Next,
    run::{Piece, Run, SectorSize, Shown},
};
use crate::{
    controller::{
        command::Comparison,
        fifo::HostPort,
        registers::{st1, st2},
    },
    drive::Head,
    media::{MediumError, SectorId},
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

    /// Ends the sector `id` under `head`, after which `next` would come. The sector that satisfies the comparison ends the
    /// command, and so does the last one, and the result has their IDs (not established). When all sectors were skipped, that
    /// counts as a hit. A step that passes EOT, or none, runs into the index hole (§4.10).
    pub(super) fn end_sector(
        &self,
        (id, head): (SectorId, u8),
        next: Next,
        end_of_track: u8,
        terminal_count: bool,
    ) -> SectorEnd {
        let stay = SectorEnd { id, head, st2: 0, ended: Some(0) };
        if next.last && self.satisfied.is_none() {
            return SectorEnd { st2: st2::SCAN_HIT, ..stay };
        }
        if self.satisfied == Some(true) || next.last && !terminal_count {
            return stay;
        }
        let passes_end = self.step == 0 || self.step > end_of_track.wrapping_sub(id.sector);
        let stepped = SectorId { sector: id.sector.wrapping_add(self.step), ..id };
        match (terminal_count, next.end_of_track) {
            (true, true) => SectorEnd { id: next.id, ..stay },
            (true, false) => SectorEnd { id: stepped, ..stay },
            (false, true) => SectorEnd { id: next.id, head: next.head, ended: None, ..stay },
            (false, false) => SectorEnd { id: stepped, ended: passes_end.then_some(st1::NO_DATA), ..stay },
        }
    }
}

/// What the end of a sector leaves of a SCAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SectorEnd {
    /// C, H, R and N of the next sector, or of the result.
    pub id: SectorId,
    pub head: u8,
    /// Bits of ST2.
    pub st2: u8,
    /// The command ends with these bits of ST1, which fail it unless they are 0.
    pub ended: Option<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::data::advance::Extent;

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

    /// R, and how the command ended, after a sector that does not satisfy the comparison, with EOT = 9.
    fn end(scan: &Scan, sector: u8, terminal_count: bool) -> (u8, Option<u8>) {
        let id = SectorId { cylinder: 0, head: 0, sector, size_code: 2 };
        let extent = Extent { multi_track: false, end_of_track: 9 };
        let end = scan.end_sector((id, 0), extent.after(id, 0), 9, terminal_count);
        (end.id.sector, end.ended)
    }

    #[test]
    fn a_step_has_to_hit_eot() {
        // §4.10
        let scan = |step| Scan { satisfied: Some(false), ..Scan::new(Comparison::Equal, step) };
        assert_eq!(end(&scan(2), 1, false), (3, None));
        assert_eq!(end(&scan(2), 8, false), (10, Some(st1::NO_DATA)));
        assert_eq!(end(&scan(0), 1, false), (1, Some(st1::NO_DATA)));
        assert_eq!(end(&scan(1), 9, false), (9, Some(0)));
        assert_eq!(end(&scan(1), 4, true), (5, Some(0)));
    }

    #[test]
    fn the_sector_that_satisfies_ends_the_command() {
        // §4.10
        let scan = Scan { satisfied: Some(true), ..Scan::new(Comparison::Equal, 1) };
        assert_eq!(end(&scan, 4, false), (4, Some(0)));
    }
}
