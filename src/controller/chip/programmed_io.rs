//! The bytes of a data command without DMA, which the host moves through the data port.

use std::time::Duration;

use log::debug;

use super::Chip;
use crate::{
    controller::{command::Direction, fifo::GuestString, outputs::Effect, phase::Phase, registers::msr},
    dma::DmaChannel,
};

impl Chip {
    /// Takes a byte of the host for the disk, if the command asks for one.
    pub(super) fn write_data(&mut self, value: u8, dma: &mut impl DmaChannel) -> Effect {
        if self.outputs.main_status & msr::DATA_PHASE != msr::REQUEST | msr::NON_DMA {
            self.ignore("write");
            return Effect::None;
        }
        self.push_byte(value, dma)
    }

    fn push_byte(&mut self, value: u8, dma: &mut impl DmaChannel) -> Effect {
        self.data_path.waited = Duration::ZERO;
        let request_ended = self.data_path.fifo.push(value);
        if !self.data_path.fifo.is_full() {
            // The MSR still asks for a byte.
            return if request_ended { Effect::Edge } else { Effect::None };
        }
        self.proceed(dma);
        self.end_request(request_ended);
        Effect::Outputs
    }

    /// Returns a byte of the disk for the host, if the command has one.
    pub(super) fn read_data(&mut self, dma: &mut impl DmaChannel) -> (u8, Effect) {
        if self.outputs.main_status & msr::DATA_PHASE != msr::REQUEST | msr::TO_HOST | msr::NON_DMA {
            self.ignore("read");
            return (0, Effect::None);
        }
        self.receive_no_more_than_real();
        if let Some((byte, request_ended)) = self.data_path.fifo.pop_one_of_many() {
            return (byte, if request_ended { Effect::Edge } else { Effect::None });
        }
        let mut byte = 0;
        let (_, request_ended) = self.data_path.fifo.pop(std::slice::from_mut(&mut byte));
        self.proceed(dma);
        self.end_request(request_ended);
        (byte, Effect::Outputs)
    }

    /// Takes as many bytes of `data` as the disk takes before the MSR would tell the host to stop. Returns their number.
    pub(in crate::controller) fn write_string(&mut self, data: &[u8], dma: &mut impl DmaChannel) -> usize {
        if !self.requests_byte(Direction::FromHost) {
            return 0;
        }
        if self.interface.mechanics.is_some() {
            // Only the FIFO is between the host and the disk, which takes its time.
            let mut taken = 0;
            while taken < data.len() && self.requests_byte(Direction::FromHost) {
                self.interrupt_edge |= self.push_byte(data[taken], dma) == Effect::Edge;
                taken += 1;
            }
            return taken;
        }
        let mut string = GuestString { output: data, ..GuestString::default() };
        self.proceed_with(&mut string, dma);
        self.interrupt_edge |= string.request_ended;
        data.len() - string.output.len()
    }

    /// Fills `data` with as many bytes as the disk has before the MSR would tell the host to stop. Returns their number.
    pub(in crate::controller) fn read_string(&mut self, data: &mut [u8], dma: &mut impl DmaChannel) -> usize {
        if !self.requests_byte(Direction::ToHost) {
            return 0;
        }
        self.receive_no_more_than_real();
        let length = data.len();
        let (held, request_ended) = self.data_path.fifo.pop(data);
        let mut string = GuestString { input: &mut data[held..], request_ended, ..GuestString::default() };
        if self.data_path.fifo.is_empty() {
            self.proceed_with(&mut string, dma);
        }
        let GuestString { input, request_ended, .. } = string;
        self.end_request(request_ended);
        length - input.len()
    }

    /// Notes that the host takes a byte, and discards the bytes that the FIFO has read ahead of a disk that is gone. A chip with
    /// the FIFO off holds one byte; without time more are read ahead, which only an eject can show.
    fn receive_no_more_than_real(&mut self) {
        self.data_path.waited = Duration::ZERO;
        if self.data_path.fifo.size.threshold.is_none()
            && let Phase::Execution(command) = &self.dialogue.phase
            && !self.interface.turns_for(command)
        {
            self.data_path.fifo.truncate();
        }
    }

    /// Notes that a request for bytes may have ended. The next one needs an edge of its own; with timing it can be still to
    /// come.
    fn end_request(&mut self, ended: bool) {
        self.interrupt_edge |= ended && (self.interface.mechanics.is_none() || self.requests_any_byte());
    }

    /// Returns whether the host may move a byte of the data.
    pub(super) fn requests_any_byte(&self) -> bool {
        !self.uses_dma()
            && matches!(&self.dialogue.phase, Phase::Execution(command) if self.data_path.requests_byte(command))
    }

    /// Returns whether the host may move a byte of the data in this direction.
    fn requests_byte(&self, direction: Direction) -> bool {
        matches!(&self.dialogue.phase, Phase::Execution(command) if command.direction() == Some(direction))
            && self.requests_any_byte()
    }

    #[cold]
    fn ignore(&self, access: &str) {
        debug!("{access} of the FIFO ignored, MSR {:#04x}", self.main_status());
    }
}
