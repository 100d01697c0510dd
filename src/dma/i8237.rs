//! One 8237A DMA controller: its registers and the arithmetic of its channels (§8.2 to §8.4).
//!
//! It knows no ports, no page registers and no memory. No memory-to-memory transfers, no software requests, no bus
//! timing.

use super::snapshot::{DmaChannelStateV1, I8237StateV1};
use crate::saved_state::InvalidField;

// Register numbers, A3..A0 (§8.2). Registers 0 to 7 are the address (even) and the word count (odd) of channels 0 to 3.
const STATUS: u8 = 0x8;
const COMMAND: u8 = 0x8;
pub(super) const SINGLE_MASK: u8 = 0xA;
pub(super) const MODE: u8 = 0xB;
const CLEAR_FLIP_FLOP: u8 = 0xC;
const TEMPORARY: u8 = 0xD;
const MASTER_CLEAR: u8 = 0xD;
const CLEAR_MASK: u8 = 0xE;
const ALL_MASK: u8 = 0xF;

const COMMAND_DISABLE: u8 = 0x04;

// Mode register (§8.3).
const MODE_SELECT: u8 = 0xC0;
pub(super) const MODE_CASCADE: u8 = 0xC0;
const MODE_DECREMENT: u8 = 0x20;
const MODE_AUTOINITIALIZE: u8 = 0x10;
const MODE_TRANSFER: u8 = 0x0C;
const MODE_WRITE: u8 = 0x04;
const MODE_READ: u8 = 0x08;
/// In a write to the mode register, the channel. The channel does not keep these bits.
const MODE_CHANNEL: u8 = 0x03;

const ALL_CHANNELS: u8 = 0x0F;

/// Type of a transfer. As in the data sheet, it is named after what it does to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transfer {
    Write,
    Read,
}

/// The address and word count registers of a channel, base or current.
#[derive(Clone, Copy, Debug, Default)]
struct Block {
    address: u16,
    /// Remaining bytes, less one.
    count: u16,
}

impl Block {
    fn register(&mut self, reg: u8) -> &mut u16 {
        if reg & 1 == 0 { &mut self.address } else { &mut self.count }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Channel {
    base: Block,
    current: Block,
    /// Without the bits of `MODE_CHANNEL`.
    mode: u8,
}

impl Channel {
    fn is_cascade(&self) -> bool {
        self.mode & MODE_SELECT == MODE_CASCADE
    }

    /// Returns the programmed transfer; `None` for verify, which counts while memory stays idle. The illegal code
    /// counts as verify (§8.3).
    fn transfer(&self) -> Option<Transfer> {
        match self.mode & MODE_TRANSFER {
            MODE_WRITE => Some(Transfer::Write),
            MODE_READ => Some(Transfer::Read),
            _ => None,
        }
    }

    fn state(&self) -> DmaChannelStateV1 {
        let Self { base, current, mode } = *self;
        DmaChannelStateV1 {
            base_address: base.address,
            base_count: base.count,
            current_address: current.address,
            current_count: current.count,
            mode,
        }
    }

    fn from_state(state: &DmaChannelStateV1) -> Result<Self, InvalidField> {
        let DmaChannelStateV1 { base_address, base_count, current_address, current_count, mode } = *state;
        if mode & MODE_CHANNEL != 0 {
            return Err(InvalidField::new("mode", format!("{mode:#04x} has bits 1..0, which are 0 in a saved state")));
        }
        Ok(Self {
            base: Block { address: base_address, count: base_count },
            current: Block { address: current_address, count: current_count },
            mode,
        })
    }
}

/// DMA cycles on bytes that are contiguous in memory.
pub(super) struct Run {
    /// Address of the first byte within the 64 KiB page; `None` if memory stays idle (verify).
    pub address: Option<u16>,
    pub bytes: usize,
    pub terminal_count: bool,
}

/// One 8237A. Sets of channels are bits 3..0. The levels of the DREQ pins are inputs, and arguments where they matter.
#[derive(Clone, Debug)]
pub(super) struct I8237 {
    channels: [Channel; 4],
    command: u8,
    mask: u8,
    terminal_count: u8,
    /// Byte pointer flip-flop: the next access to an address or a count selects its high byte.
    high_byte: bool,
}

impl I8237 {
    pub(super) fn new() -> Self {
        Self { channels: [Channel::default(); 4], command: 0, mask: ALL_CHANNELS, terminal_count: 0, high_byte: false }
    }

    /// Reads register `reg`, 0 to 15, while the DREQ pins have the levels `requests`.
    pub(super) fn read(&mut self, reg: u8, requests: u8) -> u8 {
        match reg {
            0x0..=0x7 => {
                let byte = self.toggle_flip_flop();
                self.channel_mut(reg >> 1).current.register(reg).to_le_bytes()[byte]
            }
            STATUS => requests << 4 | std::mem::take(&mut self.terminal_count),
            // Only memory-to-memory transfers, which this chip does not execute, change it.
            TEMPORARY => 0,
            // Illegal on an 8237A, but many chipsets return the mask (§8.2), and no known guest is harmed by it.
            ALL_MASK => 0xF0 | self.mask,
            _ => 0xFF,
        }
    }

    /// Writes register `reg`, 0 to 15.
    pub(super) fn write(&mut self, reg: u8, value: u8) {
        match reg {
            0x0..=0x7 => {
                let byte = self.toggle_flip_flop();
                let channel = self.channel_mut(reg >> 1);
                set_byte(channel.base.register(reg), byte, value);
                set_byte(channel.current.register(reg), byte, value);
            }
            COMMAND => self.command = value,
            SINGLE_MASK => set_channel(&mut self.mask, value, value & 0x04 != 0),
            MODE => self.channel_mut(value).mode = value & !MODE_CHANNEL,
            CLEAR_FLIP_FLOP => self.high_byte = false,
            MASTER_CLEAR => self.master_clear(),
            CLEAR_MASK => self.mask = 0,
            ALL_MASK => self.mask = value & ALL_CHANNELS,
            // 9, the request register, is not kept: it cannot be read, and would run a channel without its device
            // (§8.3).
            _ => {}
        }
    }

    /// Does what the RESET pin does. Modes, addresses and counts stay (§8.3).
    pub(super) fn master_clear(&mut self) {
        *self = Self { channels: self.channels, ..Self::new() };
    }

    /// Returns the byte of a 16-bit register to access now, 0 for the low one, and selects the other one for the next
    /// access.
    fn toggle_flip_flop(&mut self) -> usize {
        let byte = usize::from(self.high_byte);
        self.high_byte = !self.high_byte;
        byte
    }

    fn channel(&self, number: u8) -> &Channel {
        &self.channels[usize::from(number & 3)]
    }

    fn channel_mut(&mut self, number: u8) -> &mut Channel {
        &mut self.channels[usize::from(number & 3)]
    }

    /// Returns the channels that are neither masked nor disabled by the command register.
    fn enabled(&self) -> u8 {
        if self.command & COMMAND_DISABLE == 0 { ALL_CHANNELS & !self.mask } else { 0 }
    }

    fn is_enabled(&self, number: u8) -> bool {
        self.enabled() & 1 << (number & 3) != 0
    }

    /// Returns the level of HRQ, the request for the bus, while the DREQ pins have the levels `requests`.
    pub(super) fn hold_request(&self, requests: u8) -> bool {
        requests & self.enabled() != 0
    }

    /// Checks that channel `number` is enabled and in cascade mode: it passes the bus on to another controller.
    pub(super) fn passes_bus(&self, number: u8) -> bool {
        self.is_enabled(number) && self.channel(number).is_cascade()
    }

    /// Runs DMA cycles on a channel: for as many of the `offered` bytes as the count covers and as are contiguous
    /// within the page. Returns `None` if nothing is offered or the channel does not serve this transfer (§8.4).
    pub(super) fn run(&mut self, number: u8, transfer: Transfer, offered: usize) -> Option<Run> {
        let channel = self.channel(number);
        let programmed = channel.transfer();
        let suits = !channel.is_cascade() && programmed.unwrap_or(transfer) == transfer;
        if offered == 0 || !suits || !self.is_enabled(number) {
            return None;
        }

        let Block { address, count } = channel.current;
        let decrement = channel.mode & MODE_DECREMENT != 0;
        // Known floppy drivers do not decrement, so single bytes are good enough.
        let contiguous = if decrement { 1 } else { 0x1_0000 - usize::from(address) };
        let bytes = offered.min(contiguous).min(usize::from(count) + 1);

        // 64 KiB bring both registers back to where they are, so truncation is right.
        let step = bytes as u16;
        let current = Block {
            address: if decrement { address.wrapping_sub(step) } else { address.wrapping_add(step) },
            count: count.wrapping_sub(step),
        };
        self.channel_mut(number).current = current;

        let terminal_count = bytes > usize::from(count);
        if terminal_count {
            self.end_of_process(number);
        }
        Some(Run { address: programmed.map(|_| address), bytes, terminal_count })
    }

    /// Ends a transfer at terminal count: reloads the channel if autoinitialize is on, else masks it (§8.3).
    fn end_of_process(&mut self, number: u8) {
        set_channel(&mut self.terminal_count, number, true);
        let channel = self.channel_mut(number);
        if channel.mode & MODE_AUTOINITIALIZE != 0 {
            channel.current = channel.base;
        } else {
            set_channel(&mut self.mask, number, true);
        }
    }

    pub(super) fn state(&self) -> I8237StateV1 {
        let Self { channels, command, mask, terminal_count, high_byte } = self;
        I8237StateV1 {
            channels: channels.each_ref().map(Channel::state),
            command: *command,
            mask: *mask,
            terminal_count: *terminal_count,
            flip_flop: *high_byte,
        }
    }

    pub(super) fn from_state(state: &I8237StateV1) -> Result<Self, InvalidField> {
        let I8237StateV1 { channels: saved, command, mask, terminal_count, flip_flop } = state;
        let mut channels = [Channel::default(); 4];
        for (number, (channel, saved)) in channels.iter_mut().zip(saved).enumerate() {
            *channel = Channel::from_state(saved).map_err(|error| error.within(format!("channels[{number}]")))?;
        }
        for (field, &set) in [("mask", mask), ("terminal_count", terminal_count)] {
            if set & !ALL_CHANNELS != 0 {
                return Err(InvalidField::new(field, format!("{set:#04x} has bits 7..4; there are 4 channels")));
            }
        }
        Ok(Self { channels, command: *command, mask: *mask, terminal_count: *terminal_count, high_byte: *flip_flop })
    }
}

fn set_byte(register: &mut u16, byte: usize, value: u8) {
    let mut bytes = register.to_le_bytes();
    bytes[byte] = value;
    *register = u16::from_le_bytes(bytes);
}

/// Adds a channel to a set or removes it. Only bits 1..0 of `number` count, as in the registers that hold a number.
fn set_channel(set: &mut u8, number: u8, member: bool) {
    let bit = 1 << (number & 3);
    if member {
        *set |= bit;
    } else {
        *set &= !bit;
    }
}
