//! The way of the data between a command and the host: the FIFO, the ID fields that FORMAT TRACK takes, and the two drivers that
//! let a command go on.

use std::time::Duration;

use super::{
    command::Direction,
    data::{DataCommand, RunOutcome, format::FormatIds, immediate, rotating},
    fifo::{DmaPort, Fifo, FifoSize, GuestString, HostPort, Pacing, PioPort},
    phase::executing_without_dma,
    registers::msr,
    time::Nanoseconds,
};
use crate::{dma::DmaChannel, drive::Head};

/// With timing: the time, and when the selected disk turns at speed.
pub(super) type Moment = Option<(Nanoseconds, Nanoseconds)>;

/// The FIFO and what goes with it.
#[derive(Debug)]
pub(super) struct DataPath {
    pub fifo: Fifo,
    /// What the host gives to FORMAT TRACK.
    pub format_ids: FormatIds,
    /// Without timing: how long a command has waited for its DMA channel, or for the host that moves its data.
    pub waited: Duration,
}

impl Default for DataPath {
    fn default() -> Self {
        Self {
            fifo: Fifo::new(FifoSize::default(), Pacing::Immediate),
            format_ids: FormatIds::default(),
            waited: Duration::ZERO,
        }
    }
}

impl DataPath {
    /// Clears the FIFO for a command.
    pub(super) fn begin(&mut self, size: FifoSize, pacing: Pacing) {
        self.fifo = Fifo::new(size, pacing);
        self.waited = Duration::ZERO;
    }

    /// Returns whether the host may move a byte for a command without DMA.
    pub(super) fn requests_byte(&self, command: &DataCommand) -> bool {
        match command.direction() {
            Some(Direction::ToHost) => !self.fifo.is_empty(),
            Some(Direction::FromHost) => command.waits_for_host() && !self.fifo.is_full(),
            None => false,
        }
    }

    /// Returns the MSR and INT of the execution phase without DMA: RQM and DIO follow the FIFO (§2.1). Out of line: most
    /// commands are over when the outputs are updated.
    #[inline(never)]
    pub(super) fn outputs(&self, command: &DataCommand) -> (u8, bool) {
        let requested = self.requests_byte(command);
        let request = if requested { msr::REQUEST } else { 0 };
        (executing_without_dma(command.direction()) | request, requested)
    }

    /// Lets a command go on whose data moves by DMA. `gate`: DRQ is driven, and DACK and TC are seen.
    #[inline]
    pub(super) fn run_with_dma(
        &mut self,
        command: &mut DataCommand,
        moment: Moment,
        head: Option<&mut Head<'_>>,
        channel: &mut impl DmaChannel,
        gate: bool,
    ) -> RunOutcome {
        let mut port = DmaPort { channel, gate, fifo: self.fifo.size, served: false };
        let outcome = run(command, moment, head, &mut port, &mut self.format_ids);
        if port.served {
            self.waited = Duration::ZERO;
        }
        outcome
    }

    /// Lets a command go on whose data moves through the FIFO, or past it with a string of the guest.
    #[inline]
    pub(super) fn run_without_dma(
        &mut self,
        command: &mut DataCommand,
        moment: Moment,
        head: Option<&mut Head<'_>>,
        string: &mut GuestString<'_>,
    ) -> RunOutcome {
        run(command, moment, head, &mut PioPort { fifo: &mut self.fifo, string }, &mut self.format_ids)
    }
}

#[inline]
fn run(
    command: &mut DataCommand,
    moment: Moment,
    head: Option<&mut Head<'_>>,
    port: &mut impl HostPort,
    ids: &mut FormatIds,
) -> RunOutcome {
    match moment {
        None => immediate::run(command, head, port, ids),
        Some(moment) => rotating::run(command, moment, head, port, ids),
    }
}
