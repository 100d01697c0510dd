//! What happens in the chip by itself, as time passes.

use std::time::Duration;

use super::Chip;
use crate::{
    controller::{
        config::{EmptyDrive, FifoAfterOverrun},
        data::{DataCommand, State},
        phase::Phase,
        seek::SeekControl,
        time::{self, END_OF_TIME, Nanoseconds, REVOLUTION},
    },
    dma::DmaChannel,
    drive::LockedDisk,
};

/// Lets time pass, up to the next event at most, which then happens.
pub(in crate::controller) fn advance(chip: &mut Chip, elapsed: Duration, dma: &mut impl DmaChannel) {
    let wait_left = wait_left(chip);
    let before = chip.interface.now;
    chip.interface.now = time::later(chip.interface.now, elapsed);
    if poll_due(chip).is_some_and(|due| due <= chip.interface.now) {
        chip.poll();
    }
    let specify = chip.settings.specify;
    chip.interrupt_edge |= chip.interface.with_stepper(specify, None, SeekControl::advance);
    if let Some(left) = wait_left {
        chip.data_path.waited += elapsed.min(left);
        if elapsed >= left {
            end_wait(chip);
        }
    }
    // Only what is due: otherwise it would make a difference in how many pieces time comes.
    let now = chip.interface.now;
    let disk_lost = chip.interface.readable_until().is_some_and(|until| before < until && until <= now);
    match chip.dialogue.phase {
        Phase::Execution(DataCommand { schedule: Some(schedule), .. }) if schedule.due <= now || disk_lost => {
            let requested = chip.requests_any_byte();
            chip.proceed(dma);
            // A request for a byte needs an edge of its own, whatever holds INT up.
            chip.interrupt_edge |= !requested && chip.requests_any_byte();
        }
        Phase::Ending(ending) if ending.due <= now => chip.finish_delay(ending),
        _ => {}
    }
}

/// Returns, without timing, how long a command still waits for its host: a revolution in all. It waits for a DMA channel,
/// or for a host that stopped taking or giving bytes (§4.14).
fn wait_left(chip: &Chip) -> Option<Duration> {
    let Phase::Execution(command) = &chip.dialogue.phase else { return None };
    if command.state == State::Ended && chip.config.fifo_after_overrun == FifoAfterOverrun::Kept {
        return None;
    }
    let waits = if chip.uses_dma() { command.waits_for_host() } else { chip.data_path.requests_byte(command) };
    let ends = chip.config.empty_drive == EmptyDrive::Fail || chip.interface.turns_for(command);
    let waits = waits && ends && chip.interface.mechanics.is_none();
    waits.then(|| Duration::from_nanos(REVOLUTION).saturating_sub(chip.data_path.waited))
}

/// Ends a command that has waited for its host for a revolution, which is more than any host needs.
fn end_wait(chip: &mut Chip) {
    let Phase::Execution(command) = &mut chip.dialogue.phase else { return };
    match command.state {
        // The disk was not late: the host leaves what it delivered.
        State::Ended => {}
        _ if chip.interface.turns_for(command) => {
            let mut disk = chip.interface.lock_disk();
            command.overrun_on(disk.as_mut().and_then(LockedDisk::head).as_mut());
        }
        _ => {
            command.fail_without_disk();
            chip.interface.abort_write(command);
        }
    }
    if chip.config.fifo_after_overrun == FifoAfterOverrun::Discarded {
        chip.data_path.fifo.clear();
    }
    chip.end_when_due();
}

/// Returns when the drives are polled for the first time after a reset: not while a command has to do with a disk.
fn poll_due(chip: &Chip) -> Option<Nanoseconds> {
    chip.interface.poll_due().filter(|_| !matches!(chip.dialogue.phase, Phase::Execution(_) | Phase::Ending(_)))
}

/// Returns how long it is until something happens by itself.
pub(in crate::controller) fn next_event(chip: &Chip) -> Option<Duration> {
    let now = chip.interface.now;
    let by_phase = match &chip.dialogue.phase {
        Phase::Execution(command) => {
            let due = command.schedule.map(|schedule| schedule.due);
            due.into_iter().chain(chip.interface.readable_until()).filter(|&due| due > now).min()
        }
        Phase::Ending(ending) => Some(ending.due),
        _ => None,
    };
    let due = chip.interface.seeks.next_step().into_iter().chain(poll_due(chip)).chain(by_phase).min();
    // The clock stops at its end, and with it all that it brings about.
    let due = due.filter(|_| now < END_OF_TIME).map(|due| Duration::from_nanos(due.saturating_sub(now)));
    due.into_iter().chain(wait_left(chip)).min()
}
