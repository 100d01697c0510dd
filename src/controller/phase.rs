//! The phases of a command (§2.1), and the bytes of the command and result phases.

use super::{
    command::{Command, Direction, MAX_COMMAND, MAX_RESULT},
    data::{Counts, DataCommand},
    registers::msr,
    time::Nanoseconds,
};

/// What the chip is doing, with all that this phase needs.
#[derive(Clone, Debug)]
#[repr(u8)] // Every access reads the tag: as a byte of its own, not packed into the largest variant.
pub(super) enum Phase {
    /// Waits for a command.
    Idle,
    /// Waits for the rest of a command. The bytes are in [`Dialogue::command`].
    Command(CommandPhase),
    /// Moves data.
    Execution(DataCommand),
    /// Is over, and has not shown that yet ([`EndDelay`](super::config::EndDelay)).
    Ending(Ending),
    /// Has bytes to be fetched, which are in [`Dialogue::result`].
    Result(ResultPhase),
    /// Is held in reset by the DOR, or powered down, and accepts nothing.
    Stopped,
}

/// The counters of this phase and the next are as wide as a CPU register: one that was stored an access ago is then loaded
/// several cycles faster.
#[derive(Clone, Debug)]
pub(super) struct CommandPhase {
    pub command: &'static Command,
    /// Bytes that have come, the command byte among them.
    pub received: u32,
}

/// A data command that is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    /// ST0, ST1, ST2, C, H, R and N.
    pub result: [u8; 7],
    /// The direction of the data that it moved; `None` when it moved none.
    pub direction: Option<Direction>,
    pub counts: Counts,
    /// When the result phase begins.
    pub due: Nanoseconds,
}

#[derive(Clone, Debug)]
pub(super) struct ResultPhase {
    pub length: u32,
    pub fetched: u32,
    /// INT is up until the first byte is fetched.
    pub interrupts: bool,
}

/// The phase, and the bytes that the host and the chip exchange around the execution phase.
#[derive(Debug)]
pub(super) struct Dialogue {
    pub phase: Phase,
    /// The bytes of the last command. Neither they nor those of the result move with the phase, which changes with each
    /// command.
    pub command: [u8; MAX_COMMAND],
    /// The bytes of the last result.
    pub result: [u8; MAX_RESULT],
}

/// What became of a byte that the host wrote.
pub(super) enum Received {
    /// The command byte of a command that has parameters.
    Begun,
    /// The last byte of a command.
    Complete(&'static Command),
    /// No byte of a command is waited for.
    NotWanted,
}

/// Returns the MSR of a command whose data moves without DMA, in its execution phase and without RQM (§2.1).
pub(super) fn executing_without_dma(direction: Option<Direction>) -> u8 {
    match direction {
        Some(Direction::ToHost) => msr::BUSY | msr::NON_DMA | msr::TO_HOST,
        Some(Direction::FromHost) => msr::BUSY | msr::NON_DMA,
        None => msr::BUSY,
    }
}

impl Dialogue {
    /// Returns the dialogue of a chip in reset.
    pub(super) const fn new() -> Self {
        Self { phase: Phase::Stopped, command: [0; MAX_COMMAND], result: [0; MAX_RESULT] }
    }

    /// Returns the MSR without the busy bits of the drives, and without those of data that move without DMA.
    #[inline]
    pub(super) fn main_status(&self) -> u8 {
        match self.phase {
            Phase::Stopped => 0,
            Phase::Idle => msr::REQUEST,
            Phase::Command(_) => msr::REQUEST | msr::BUSY,
            Phase::Execution(_) | Phase::Ending(_) => msr::BUSY,
            Phase::Result(_) => msr::REQUEST | msr::TO_HOST | msr::BUSY,
        }
    }

    /// Returns whether the result phase holds INT up: until its first byte is fetched.
    #[inline]
    pub(super) fn interrupts(&self) -> bool {
        matches!(self.phase, Phase::Result(ResultPhase { fetched: 0, interrupts: true, .. }))
    }

    /// Takes a parameter, if one is waited for that is not the last.
    #[inline]
    pub(super) fn take_parameter(&mut self, value: u8) -> bool {
        match &mut self.phase {
            Phase::Command(CommandPhase { command, received }) if (*received as usize + 1) < command.length() => {
                self.command[*received as usize] = value;
                *received += 1;
                true
            }
            _ => false,
        }
    }

    /// Takes the command byte, or the last parameter. `decode` gives the row of a command byte.
    #[inline]
    pub(super) fn take(&mut self, value: u8, decode: impl FnOnce(u8) -> &'static Command) -> Received {
        match &mut self.phase {
            Phase::Command(CommandPhase { command, received }) => {
                self.command[*received as usize] = value;
                Received::Complete(command)
            }
            Phase::Idle => {
                self.command[0] = value;
                let command = decode(value);
                if command.length() == 1 {
                    return Received::Complete(command);
                }
                self.phase = Phase::Command(CommandPhase { command, received: 1 });
                Received::Begun
            }
            _ => Received::NotWanted,
        }
    }

    /// Enters the result phase of `command`, whose row says how many of `bytes` there are.
    #[inline]
    pub(super) fn enter_result<const N: usize>(&mut self, command: &Command, bytes: [u8; N], interrupts: bool) {
        debug_assert_eq!(command.results.len(), N);
        self.result[..N].copy_from_slice(&bytes);
        self.phase = Phase::Result(ResultPhase { length: N as u32, fetched: 0, interrupts });
    }

    /// Returns the next byte of a result, if one is left and `first` says whether it is the first.
    #[inline]
    pub(super) fn next_result(&mut self, first: bool) -> Option<u8> {
        match &mut self.phase {
            Phase::Result(ResultPhase { length, fetched, .. }) if (*fetched == 0) == first => {
                let byte = self.result[*fetched as usize];
                *fetched += 1;
                if *fetched == *length {
                    self.phase = Phase::Idle;
                }
                Some(byte)
            }
            _ => None,
        }
    }
}
