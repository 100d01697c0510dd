//! The check of a [`DmaChannel`].

use std::fmt;

use super::violation::{Violation, without_panic};
use crate::dma::{DmaChannel, Moved};

/// A rule that every [`DmaChannel`] keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum DmaRule {
    /// No call panics.
    #[error("no call panics")]
    NoPanic,
    /// A masked channel moves nothing and signals nothing.
    #[error("a masked channel moves nothing and signals nothing")]
    Masked,
    /// A channel that is programmed for the other direction moves nothing and signals nothing.
    #[error("a channel moves nothing against its direction")]
    Direction,
    /// A channel moves at most the bytes that it is offered. Of no bytes it moves none, and signals nothing.
    #[error("a channel moves at most the bytes that it is offered")]
    Offered,
    /// A channel that is programmed and not masked moves bytes.
    #[error("a programmed channel moves bytes")]
    Progress,
    /// The bytes arrive in order, from the first one offered on.
    #[error("the bytes arrive in order")]
    Order,
    /// Nothing changes behind the bytes that are moved: neither in memory nor in the device's slice, which can be the
    /// disk itself.
    #[error("nothing changes behind the bytes that are moved")]
    Rest,
    /// Terminal count comes with the last byte that is programmed, and with no other.
    #[error("terminal count comes with the last programmed byte alone")]
    TerminalCount,
    /// After terminal count, a channel without auto-initialization moves nothing and signals nothing.
    #[error("a channel moves nothing after terminal count")]
    AfterTerminalCount,
}

/// The direction of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DmaDirection {
    /// From the device to memory: a read of the disk.
    ToMemory,
    /// From memory to the device: a write to the disk.
    ToDevice,
}

/// A channel under test, with what a guest does to its DMA controller. The VM monitor implements this for a test.
///
/// Transfers go through a buffer in guest memory of at least 8,192 bytes.
pub trait DmaBench {
    /// Returns the channel.
    fn channel(&mut self) -> &mut dyn DmaChannel;

    /// Programs the channel for one transfer of `bytes` bytes (1 to 4,096) at the start of the buffer, to ascending
    /// addresses, without auto-initialization, and unmasks it.
    fn program(&mut self, direction: DmaDirection, bytes: usize);

    /// Masks the channel.
    fn mask(&mut self);

    /// Writes `data` (at most 8,192 bytes) to the start of the buffer.
    fn set_memory(&mut self, data: &[u8]);

    /// Returns the first `bytes` bytes (at most 8,192) of the buffer.
    fn memory(&mut self, bytes: usize) -> Vec<u8>;
}

/// Checks that a channel keeps the contract of [`DmaChannel`], with transfers of several lengths in both directions.
///
/// # Errors
///
/// The first [`Violation`].
pub fn check_dma_channel(bench: &mut dyn DmaBench) -> Result<(), Violation<DmaRule>> {
    for direction in [DmaDirection::ToMemory, DmaDirection::ToDevice] {
        check_idle(bench, direction)?;
        for bytes in [1, 2, 16, 512, 513, 4096] {
            for piece in [1, 16, 512, 8192] {
                // Of long transfers byte by byte nothing new is to be learnt.
                if bytes / piece <= 600 {
                    Transfer { direction, bytes, piece }.check(bench)?;
                }
            }
        }
    }
    Ok(())
}

type Outcome<T = ()> = Result<T, Violation<DmaRule>>;

fn require(kept: bool, rule: DmaRule, detail: impl FnOnce() -> String) -> Outcome {
    if kept { Ok(()) } else { Err(Violation::new(rule, detail())) }
}

/// The byte in memory and in the device's slice where nothing is to be moved to.
const CANARY: u8 = 0xC3;
/// The bytes behind a transfer that are checked, and offered in vain.
const MARGIN: usize = 64;

/// Returns bytes in which those of a transfer are told apart.
fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| (n % 251) as u8 ^ (n / 251) as u8).collect()
}

/// Offers the channel a slice: the bytes for memory, or room for those from memory.
fn offer(bench: &mut dyn DmaBench, direction: DmaDirection, slice: &mut [u8]) -> Outcome<Moved> {
    let offered = slice.len();
    let call = match direction {
        DmaDirection::ToMemory => "device_to_memory",
        DmaDirection::ToDevice => "memory_to_device",
    };
    let moved = without_panic(DmaRule::NoPanic, format_args!("{call} of {offered} bytes"), || match direction {
        DmaDirection::ToMemory => bench.channel().device_to_memory(slice),
        DmaDirection::ToDevice => bench.channel().memory_to_device(slice),
    })?;
    require(moved.bytes <= offered, DmaRule::Offered, || {
        format!("{call} moves {} bytes of {offered} that are offered", moved.bytes)
    })?;
    Ok(moved)
}

/// Offers bytes that the channel must not move.
fn offer_in_vain(bench: &mut dyn DmaBench, direction: DmaDirection, rule: DmaRule, when: &str) -> Outcome {
    let mut slice = [CANARY; MARGIN];
    let moved = offer(bench, direction, &mut slice)?;
    require(moved == Moved::default(), rule, || format!("{when}, the channel answers {moved:?} ({direction})"))?;
    require(slice == [CANARY; MARGIN], rule, || format!("{when}, the channel changes the device's slice"))
}

fn set_request(bench: &mut dyn DmaBench, asserted: bool) -> Outcome {
    without_panic(DmaRule::NoPanic, format_args!("set_request({asserted})"), || bench.channel().set_request(asserted))
}

/// Checks a channel that is masked, that is programmed for the other direction, or that is offered nothing.
fn check_idle(bench: &mut dyn DmaBench, direction: DmaDirection) -> Outcome {
    let other = match direction {
        DmaDirection::ToMemory => DmaDirection::ToDevice,
        DmaDirection::ToDevice => DmaDirection::ToMemory,
    };
    let before = vec![!CANARY; 2 * MARGIN];
    bench.set_memory(&before);
    bench.program(other, MARGIN);
    set_request(bench, true)?;
    offer_in_vain(bench, direction, DmaRule::Direction, "programmed for the other direction")?;
    bench.program(direction, MARGIN);
    let moved = offer(bench, direction, &mut [])?;
    require(moved == Moved::default(), DmaRule::Offered, || format!("offered nothing, the channel answers {moved:?}"))?;
    bench.mask();
    offer_in_vain(bench, direction, DmaRule::Masked, "masked")?;
    set_request(bench, false)?;
    let unchanged = bench.memory(before.len()) == before;
    require(unchanged, DmaRule::Masked, || "a channel that moves nothing changes memory".into())
}

/// A transfer of so many bytes, offered in pieces.
#[derive(Clone, Copy)]
struct Transfer {
    direction: DmaDirection,
    bytes: usize,
    piece: usize,
}

impl fmt::Display for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { direction, bytes, piece } = self;
        write!(f, "in a transfer of {bytes} bytes {direction}, {piece} offered at a time")
    }
}

impl fmt::Display for DmaDirection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ToMemory => "to memory",
            Self::ToDevice => "to the device",
        })
    }
}

impl Transfer {
    /// Moves all bytes, and checks each call and what has arrived.
    fn check(self, bench: &mut dyn DmaBench) -> Outcome {
        let Self { direction, bytes, .. } = self;
        // More than the transfer has: what comes behind must stay where it is.
        let source = pattern(bytes + MARGIN);
        match direction {
            DmaDirection::ToMemory => bench.set_memory(&vec![CANARY; bytes + MARGIN]),
            DmaDirection::ToDevice => bench.set_memory(&source),
        }
        bench.program(direction, bytes);
        set_request(bench, true)?;
        let (mut done, mut idle) = (0, 0);
        while done < bytes {
            let moved = self.offer_piece(bench, &source, done)?;
            done += moved.bytes;
            idle = if moved.bytes == 0 { idle + 1 } else { 0 };
            require(idle < 3, DmaRule::Progress, || format!("{self}, the channel stops after {done}"))?;
            require(done <= bytes, DmaRule::TerminalCount, || format!("{self}, the channel moves {done}"))?;
            require(moved.terminal_count == (done == bytes), DmaRule::TerminalCount, || {
                format!("{self}, terminal count is {} after {done}", moved.terminal_count)
            })?;
        }
        offer_in_vain(bench, direction, DmaRule::AfterTerminalCount, "after terminal count")?;
        set_request(bench, false)?;
        let memory = bench.memory(bytes + MARGIN);
        let expected = match direction {
            DmaDirection::ToMemory => [&source[..bytes], &[CANARY; MARGIN]].concat(),
            DmaDirection::ToDevice => source,
        };
        require(memory.get(..bytes) == expected.get(..bytes), DmaRule::Order, || {
            format!("{self}, other bytes are in memory afterwards")
        })?;
        require(memory == expected, DmaRule::Rest, || format!("{self}, memory behind the transfer has changed"))
    }

    /// Offers the next piece, and checks the device's slice.
    fn offer_piece(self, bench: &mut dyn DmaBench, source: &[u8], done: usize) -> Outcome<Moved> {
        let rest = &source[done..(done + self.piece).min(source.len())];
        let mut slice = match self.direction {
            DmaDirection::ToMemory => rest.to_vec(),
            DmaDirection::ToDevice => vec![CANARY; rest.len()],
        };
        let moved = offer(bench, self.direction, &mut slice)?;
        if self.direction == DmaDirection::ToDevice {
            let (arrived, behind) = slice.split_at(moved.bytes);
            require(arrived == &rest[..moved.bytes], DmaRule::Order, || {
                format!("{self}, other bytes arrive at {done}")
            })?;
            require(behind.iter().all(|&byte| byte == CANARY), DmaRule::Rest, || {
                format!("{self}, the device's slice changes behind the {} bytes that are moved", moved.bytes)
            })?;
        }
        Ok(moved)
    }
}
