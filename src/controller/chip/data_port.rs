//! The accesses to the data port: the bytes of commands and results, and those of the data without DMA.

use std::time::Duration;

use log::debug;

use super::Chip;
use crate::{
    controller::{
        command::{self, Direction},
        fifo::GuestString,
        outputs::Effect,
        phase::{Phase, Received},
        registers::msr,
    },
    dma::DmaChannel,
};

/// Takes any other byte: the first or the last of a command, or one of the data without DMA.
#[inline]
pub(in crate::controller) fn write_fifo(chip: &mut Chip, value: u8, dma: &mut impl DmaChannel) -> Effect {
    let scan_commands = chip.config.scan_commands;
    match chip.dialogue.take(value, |opcode| command::decode(opcode, scan_commands)) {
        Received::Begun => {
            chip.outputs.main_status |= msr::BUSY;
            Effect::None
        }
        Received::Complete(command) => chip.execute(command, dma),
        Received::NotWanted => write_data(chip, value, dma),
    }
}

/// Returns any other byte: the first of a result, or one of the data without DMA; 0 when there is none.
#[inline]
pub(in crate::controller) fn read_fifo(chip: &mut Chip, dma: &mut impl DmaChannel) -> (u8, Effect) {
    let effect = if chip.dialogue.interrupts() { Effect::ResultFetched } else { Effect::None };
    match chip.dialogue.next_result(true) {
        Some(byte) => {
            chip.update_status_after_result();
            (byte, effect)
        }
        None => read_data(chip, dma),
    }
}

/// Takes a byte of the host for the disk, if the command asks for one.
fn write_data(chip: &mut Chip, value: u8, dma: &mut impl DmaChannel) -> Effect {
    if chip.outputs.main_status & msr::DATA_PHASE != msr::REQUEST | msr::NON_DMA {
        ignore(chip, "write");
        return Effect::None;
    }
    push_byte(chip, value, dma)
}

fn push_byte(chip: &mut Chip, value: u8, dma: &mut impl DmaChannel) -> Effect {
    chip.data_path.waited = Duration::ZERO;
    let request_ended = chip.data_path.fifo.push(value);
    if !chip.data_path.fifo.is_full() {
        // The MSR still asks for a byte.
        return if request_ended { Effect::Edge } else { Effect::None };
    }
    give_bytes(chip, request_ended, dma);
    Effect::Outputs
}

/// Gives the bytes of the full FIFO to the disk. Out of line: most bytes only go into the FIFO.
#[inline(never)]
fn give_bytes(chip: &mut Chip, request_ended: bool, dma: &mut impl DmaChannel) {
    chip.proceed(dma);
    end_request(chip, request_ended);
}

/// Returns a byte of the disk for the host, if the command has one.
#[inline] // One of the bytes of a sector without DMA.
fn read_data(chip: &mut Chip, dma: &mut impl DmaChannel) -> (u8, Effect) {
    if chip.outputs.main_status & msr::DATA_PHASE != msr::REQUEST | msr::TO_HOST | msr::NON_DMA {
        ignore(chip, "read");
        return (0, Effect::None);
    }
    receive_no_more_than_real(chip);
    if let Some((byte, request_ended)) = chip.data_path.fifo.pop_one_of_many() {
        return (byte, if request_ended { Effect::Edge } else { Effect::None });
    }
    (take_last_byte(chip, dma), Effect::Outputs)
}

/// Takes the last byte in the FIFO, and lets the disk fill it again. Out of line: most bytes only come out of the FIFO.
#[inline(never)]
fn take_last_byte(chip: &mut Chip, dma: &mut impl DmaChannel) -> u8 {
    let mut byte = 0;
    let (_, request_ended) = chip.data_path.fifo.pop(std::slice::from_mut(&mut byte));
    chip.proceed(dma);
    end_request(chip, request_ended);
    byte
}

/// Takes as many bytes of `data` as the disk takes before the MSR would tell the host to stop. Returns their number.
pub(in crate::controller) fn write_string(chip: &mut Chip, data: &[u8], dma: &mut impl DmaChannel) -> usize {
    if !requests_byte(chip, Direction::FromHost) {
        return 0;
    }
    if chip.interface.mechanics.is_some() {
        // Only the FIFO is between the host and the disk, which takes its time.
        let mut taken = 0;
        while taken < data.len() && requests_byte(chip, Direction::FromHost) {
            chip.interrupt_edge |= push_byte(chip, data[taken], dma) == Effect::Edge;
            taken += 1;
        }
        return taken;
    }
    let mut string = GuestString { output: data, ..GuestString::default() };
    chip.proceed_with(&mut string, dma);
    let GuestString { output, request_ended, .. } = string;
    end_request(chip, request_ended);
    let taken = data.len() - output.len();
    if taken > 0 {
        chip.data_path.waited = Duration::ZERO;
    }
    taken
}

/// Fills `data` with as many bytes as the disk has before the MSR would tell the host to stop. Returns their number.
pub(in crate::controller) fn read_string(chip: &mut Chip, data: &mut [u8], dma: &mut impl DmaChannel) -> usize {
    if !requests_byte(chip, Direction::ToHost) {
        return 0;
    }
    receive_no_more_than_real(chip);
    let length = data.len();
    let (held, request_ended) = chip.data_path.fifo.pop(data);
    let mut string = GuestString { input: &mut data[held..], request_ended, ..GuestString::default() };
    if chip.data_path.fifo.is_empty() {
        chip.proceed_with(&mut string, dma);
    }
    let GuestString { input, request_ended, .. } = string;
    end_request(chip, request_ended);
    length - input.len()
}

/// Notes that the host takes a byte, and discards the bytes that the FIFO has read ahead of a disk that is gone. A chip with
/// the FIFO off holds one byte; without time more are read ahead, which only an eject can show.
fn receive_no_more_than_real(chip: &mut Chip) {
    chip.data_path.waited = Duration::ZERO;
    if chip.data_path.fifo.size.threshold.is_none()
        && let Phase::Execution(command) = &chip.dialogue.phase
        && !chip.interface.turns_for(command)
    {
        chip.data_path.fifo.truncate();
    }
}

/// Notes that a request for bytes may have ended. The next one needs an edge of its own; with timing it can be still to
/// come, and the end of a command has its own.
fn end_request(chip: &mut Chip, ended: bool) {
    chip.interrupt_edge |= ended && chip.requests_any_byte();
}

/// Returns whether the host may move a byte of the data in this direction.
fn requests_byte(chip: &Chip, direction: Direction) -> bool {
    matches!(&chip.dialogue.phase, Phase::Execution(command) if command.direction() == Some(direction))
        && chip.requests_any_byte()
}

#[cold]
fn ignore(chip: &Chip, access: &str) {
    debug!("{access} of the FIFO ignored, MSR {:#04x}", chip.main_status());
}
