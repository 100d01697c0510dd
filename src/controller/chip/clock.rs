//! What happens in the chip by itself, as time passes.

use std::time::Duration;

use super::Chip;
use crate::{
    controller::{
        config::EmptyDrive,
        data::DataCommand,
        phase::Phase,
        seek::SeekControl,
        time::{self, Nanoseconds, REVOLUTION},
    },
    dma::DmaChannel,
};

impl Chip {
    /// Lets time pass, up to the next event at most, which then happens.
    pub(in crate::controller) fn advance(&mut self, elapsed: Duration, dma: &mut impl DmaChannel) {
        let wait_left = self.wait_left();
        let before = self.interface.now;
        self.interface.now = time::later(self.interface.now, elapsed);
        if self.poll_due().is_some_and(|due| due <= self.interface.now) {
            self.poll();
        }
        let specify = self.settings.specify;
        self.interrupt_edge |= self.interface.with_stepper(specify, None, SeekControl::advance);
        if let Some(left) = wait_left {
            self.data_path.waited += elapsed.min(left);
            if elapsed >= left {
                self.end_wait();
            }
        }
        // Only what is due: otherwise it would make a difference in how many pieces time comes.
        let now = self.interface.now;
        let disk_lost = self.interface.readable_until().is_some_and(|until| before < until && until <= now);
        match self.dialogue.phase {
            Phase::Execution(DataCommand { schedule: Some(schedule), .. }) if schedule.due <= now || disk_lost => {
                let requested = self.requests_any_byte();
                self.proceed(dma);
                // A request for a byte needs an edge of its own, whatever holds INT up.
                self.interrupt_edge |= !requested && self.requests_any_byte();
            }
            Phase::Ending(ending) if ending.due <= now => self.end_command(ending),
            _ => {}
        }
    }

    /// Returns, without timing, how long a command still waits for its host: a revolution in all. It waits for a DMA channel,
    /// or for a host that stopped taking or giving bytes (§4.14).
    fn wait_left(&self) -> Option<Duration> {
        let Phase::Execution(command) = &self.dialogue.phase else { return None };
        let waits = if self.uses_dma() { command.waits_for_host() } else { self.data_path.requests_byte(command) };
        let ends = self.config.empty_drive == EmptyDrive::Fail || self.interface.turns_for(command);
        let waits = waits && ends && self.interface.mechanics.is_none();
        waits.then(|| Duration::from_nanos(REVOLUTION).saturating_sub(self.data_path.waited))
    }

    /// Ends a command that has waited for its host for a revolution, which is more than any host needs.
    fn end_wait(&mut self) {
        let Phase::Execution(command) = &mut self.dialogue.phase else { return };
        if self.interface.turns_for(command) {
            command.overrun_on(self.interface.head_at_rest().as_mut());
        } else {
            command.fail_without_disk();
            self.interface.abort_write(command);
        }
        self.data_path.fifo.clear();
        self.end_execution();
    }

    /// Returns when the drives are polled for the first time after a reset: not while a command has to do with a disk.
    fn poll_due(&self) -> Option<Nanoseconds> {
        self.interface.poll_due().filter(|_| !matches!(self.dialogue.phase, Phase::Execution(_) | Phase::Ending(_)))
    }

    /// Returns how long it is until something happens by itself.
    pub(in crate::controller) fn next_event(&self) -> Option<Duration> {
        let now = self.interface.now;
        let by_phase = match &self.dialogue.phase {
            Phase::Execution(command) => {
                let due = command.schedule.map(|schedule| schedule.due);
                due.into_iter().chain(self.interface.readable_until()).filter(|&due| due > now).min()
            }
            Phase::Ending(ending) => Some(ending.due),
            _ => None,
        };
        let due = self.interface.seeks.next_step().into_iter().chain(self.poll_due()).chain(by_phase).min();
        let due = due.map(|due| Duration::from_nanos(due.saturating_sub(now)));
        due.into_iter().chain(self.wait_left()).min()
    }
}
