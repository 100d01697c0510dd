//! The two 8237A DMA controllers of a PC/AT and their page registers, for a VM monitor that has none of its own.
//!
//! A guest finds every register of both chips. Data moves only on the one 8-bit channel that the floppy controller is
//! wired to: no other devices, no memory-to-memory transfers, no software requests, no bus timing.

use std::fmt;
use std::ops::Range;

use super::{DmaChannel, GuestMemory, Moved};

// Register numbers, A3..A0. Registers 0 to 7 are the address (even) and the word count (odd) of channels 0 to 3.
const STATUS: u8 = 0x8;
const COMMAND: u8 = 0x8;
const SINGLE_MASK: u8 = 0xA;
const MODE: u8 = 0xB;
const CLEAR_FLIP_FLOP: u8 = 0xC;
const TEMPORARY: u8 = 0xD;
const MASTER_CLEAR: u8 = 0xD;
const CLEAR_MASK: u8 = 0xE;
const ALL_MASK: u8 = 0xF;

const COMMAND_DISABLE: u8 = 0x04;

const MODE_SELECT: u8 = 0xC0;
const MODE_CASCADE: u8 = 0xC0;
const MODE_DECREMENT: u8 = 0x20;
const MODE_AUTOINITIALIZE: u8 = 0x10;
const MODE_TRANSFER: u8 = 0x0C;
const MODE_WRITE: u8 = 0x04;
const MODE_READ: u8 = 0x08;

const ALL_CHANNELS: u8 = 0x0F;

/// The channel of DMA2 that DMA1 requests the bus through: number 4 of the AT.
const CASCADE_CHANNEL: u8 = 0;

/// A transfer is named after what it does to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transfer {
    Write,
    Read,
}

/// The address and word count registers of a channel, base or current.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Block {
    address: u16,
    /// Bytes left, less one.
    count: u16,
}

impl Block {
    fn register(&mut self, reg: u8) -> &mut u16 {
        if reg & 1 == 0 { &mut self.address } else { &mut self.count }
    }
}

#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Channel {
    base: Block,
    current: Block,
    mode: u8,
}

impl Channel {
    fn is_cascade(&self) -> bool {
        self.mode & MODE_SELECT == MODE_CASCADE
    }

    /// `None` is verify: the cycles run, memory stays idle. The illegal code is taken for it.
    fn transfer(&self) -> Option<Transfer> {
        match self.mode & MODE_TRANSFER {
            MODE_WRITE => Some(Transfer::Write),
            MODE_READ => Some(Transfer::Read),
            _ => None,
        }
    }
}

/// A run of DMA cycles on bytes that lie next to each other in memory.
struct Run {
    /// Of the first byte, within the 64 KiB page; `None` if memory stays idle (verify).
    address: Option<u16>,
    bytes: usize,
    terminal_count: bool,
}

/// One 8237A. Sets of channels are bits 3..0.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct I8237 {
    channels: [Channel; 4],
    command: u8,
    mask: u8,
    terminal_count: u8,
    /// The levels of the DREQ pins.
    dreq: u8,
    /// The byte pointer flip-flop: the next access to an address or count is to its high byte.
    high_byte: bool,
}

impl I8237 {
    fn new() -> Self {
        Self {
            channels: [Channel::default(); 4],
            command: 0,
            mask: ALL_CHANNELS,
            terminal_count: 0,
            dreq: 0,
            high_byte: false,
        }
    }

    fn read(&mut self, reg: u8) -> u8 {
        match reg {
            0x0..=0x7 => {
                let byte = self.flip();
                self.channel_mut(reg >> 1).current.register(reg).to_le_bytes()[byte]
            }
            STATUS => self.dreq << 4 | std::mem::take(&mut self.terminal_count),
            // Only memory-to-memory transfers, which never run here, leave anything else in it.
            TEMPORARY => 0,
            // The data sheet calls this read illegal, as the rest; many chipsets answer it, and nothing minds.
            ALL_MASK => 0xF0 | self.mask,
            _ => 0xFF,
        }
    }

    fn write(&mut self, reg: u8, value: u8) {
        match reg {
            0x0..=0x7 => {
                let byte = self.flip();
                let channel = self.channel_mut(reg >> 1);
                set_byte(channel.base.register(reg), byte, value);
                set_byte(channel.current.register(reg), byte, value);
            }
            COMMAND => self.command = value,
            SINGLE_MASK => set_channel(&mut self.mask, value, value & 0x04 != 0),
            MODE => self.channel_mut(value).mode = value,
            CLEAR_FLIP_FLOP => self.high_byte = false,
            MASTER_CLEAR => self.master_clear(),
            CLEAR_MASK => self.mask = 0,
            ALL_MASK => self.mask = value & ALL_CHANNELS,
            // 9, the request register, keeps nothing: it cannot be read, and would run a channel without its device.
            _ => {}
        }
    }

    /// The same as the RESET pin. Modes, addresses and counts survive it, and DREQ is not the chip's to change.
    fn master_clear(&mut self) {
        *self = Self { channels: self.channels, dreq: self.dreq, ..Self::new() };
    }

    /// Which byte of a 16-bit register to access now: 0 is the low one. The next access goes to the other.
    fn flip(&mut self) -> usize {
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

    /// The channels whose DREQ the chip heeds.
    fn enabled(&self) -> u8 {
        if self.command & COMMAND_DISABLE == 0 { ALL_CHANNELS & !self.mask } else { 0 }
    }

    fn is_enabled(&self, number: u8) -> bool {
        self.enabled() & 1 << (number & 3) != 0
    }

    /// The level of HRQ, the request for the bus.
    fn hold_request(&self) -> bool {
        self.dreq & self.enabled() != 0
    }

    /// Serves the device on a channel: as many of the `offered` bytes as reach neither beyond the count nor around the
    /// end of the page. `None` if the channel does not serve that transfer, or nothing is offered.
    fn run(&mut self, number: u8, transfer: Transfer, offered: usize) -> Option<Run> {
        let channel = self.channel(number);
        let programmed = channel.transfer();
        let suits = !channel.is_cascade() && programmed.unwrap_or(transfer) == transfer;
        if offered == 0 || !suits || !self.is_enabled(number) {
            return None;
        }

        let Block { address, count } = channel.current;
        let decrement = channel.mode & MODE_DECREMENT != 0;
        // Floppy drivers do not decrement, so that a byte at a time is good enough.
        let contiguous = if decrement { 1 } else { 0x1_0000 - usize::from(address) };
        let bytes = offered.min(contiguous).min(usize::from(count) + 1);

        // 64 KiB take both registers once around, to where they are: truncation is right.
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

    fn end_of_process(&mut self, number: u8) {
        set_channel(&mut self.terminal_count, number, true);
        let channel = self.channel_mut(number);
        if channel.mode & MODE_AUTOINITIALIZE != 0 {
            channel.current = channel.base;
        } else {
            set_channel(&mut self.mask, number, true);
        }
    }
}

fn set_byte(register: &mut u16, byte: usize, value: u8) {
    let mut bytes = register.to_le_bytes();
    bytes[byte] = value;
    *register = u16::from_le_bytes(bytes);
}

/// Puts a channel into a set or takes it out. Only bits 1..0 of `number` count, as in the registers that hold one.
fn set_channel(set: &mut u8, number: u8, member: bool) {
    let bit = 1 << (number & 3);
    if member {
        *set |= bit;
    } else {
        *set &= !bit;
    }
}

/// What answers at an I/O port.
enum Target {
    Dma1(u8),
    Dma2(u8),
    Page(usize),
    HighPage(usize),
}

impl Target {
    fn at(port: u16) -> Option<Self> {
        let [high, low] = port.to_be_bytes();
        let page = usize::from(low & 0xF);
        match (high, low) {
            (0x00, 0x00..=0x0F) => Some(Self::Dma1(low)),
            (0x00, 0x80..=0x8F) => Some(Self::Page(page)),
            // A0 is not decoded.
            (0x00, 0xC0..=0xDF) => Some(Self::Dma2((low & 0x1F) >> 1)),
            (0x04, 0x81..=0x83 | 0x87 | 0x89..=0x8B) => Some(Self::HighPage(page)),
            _ => None,
        }
    }
}

/// Which page register, by the last digit of its port, belongs to channels 0 to 3: the AT wired them in this order.
const PAGE_OF_CHANNEL: [usize; 4] = [0x7, 0x3, 0x1, 0x2];

/// All that the DMA controllers of a PC are, but for the memory behind them: see [`AtDma::state`].
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AtDmaState {
    dma1: I8237,
    dma2: I8237,
    pages: [u8; 16],
    high_pages: Option<[u8; 16]>,
    channel: u8,
}

/// The DMA controllers of a PC/AT: two 8237As, their page registers, and the guest memory `M` that they reach.
///
/// As a [`DmaChannel`] it is the channel that the floppy controller is wired to. A transfer advances the address within
/// the 64 KiB page that the page register names, and never carries into the next; 24 address bits reach the first
/// 16 MiB, or 32 bits the first 4 GiB [with high page registers](Self::with_high_pages). Memory is called once for each
/// contiguous piece, or byte by byte if the guest has programmed a descending address.
///
/// In a verify transfer the channel counts and signals terminal count, and memory stays idle; a device that takes
/// bytes from it gets 0xFF, the value of a bus that nobody drives.
///
/// At power-on channel 4, through which the first controller gets the bus, is in cascade mode and unmasked, as a BIOS
/// would leave it, so that a VM can boot without one. The chip itself comes up with all channels masked.
///
/// # Examples
///
/// ```
/// use vm_fdc::dma::{AtDma, DmaChannel};
///
/// let mut dma = AtDma::new(vec![0; 0x2_0000]);
/// // What a guest writes in order to read a sector to address 0x1_2340.
/// for (port, value) in [
///     (0x0A, 0x06), // mask channel 2
///     (0x0C, 0x00), // clear the byte pointer flip-flop
///     (0x0B, 0x46), // mode of channel 2: single, write to memory
///     (0x04, 0x40), // address, low byte
///     (0x04, 0x23), // address, high byte
///     (0x81, 0x01), // page
///     (0x05, 0xFF), // count less one, low byte
///     (0x05, 0x01), // count less one, high byte
///     (0x0A, 0x02), // unmask channel 2
/// ] {
///     assert!(dma.write_port(port, value));
/// }
///
/// let moved = dma.device_to_memory(&[0xE5; 512]);
/// assert_eq!(moved.bytes, 512);
/// assert!(moved.terminal_count);
/// assert_eq!(dma.memory()[0x1_2340..][..512], [0xE5; 512]);
/// ```
#[derive(Clone)]
pub struct AtDma<M> {
    dma1: I8237,
    dma2: I8237,
    /// By the last digit of the port; those of no channel are scratch registers.
    pages: [u8; 16],
    high_pages: Option<[u8; 16]>,
    /// The channel of DMA1 that the floppy controller is wired to.
    channel: u8,
    memory: M,
}

impl<M> AtDma<M> {
    /// The controllers at power-on, with the floppy controller on channel 2 as in every PC.
    pub fn new(memory: M) -> Self {
        let (dma1, dma2) = (I8237::new(), I8237::new());
        let mut dma = Self { dma1, dma2, pages: [0; 16], high_pages: None, channel: 2, memory };
        dma.reset();
        dma
    }

    /// The controllers at power-on, with the floppy controller on `channel`: one of the 8-bit channels, 0 to 3. `None`
    /// for any other.
    pub fn with_channel(memory: M, channel: u8) -> Option<Self> {
        (channel < 4).then(|| Self { channel, ..Self::new(memory) })
    }

    /// Adds the high page registers of EISA and PCI machines, with bits 31..24 of the address, at the ports 0x481 to
    /// 0x483, 0x487 and 0x489 to 0x48B.
    ///
    /// A write to a page register clears the high one of the same channel, so that software which knows only the AT's
    /// reaches the memory that it means.
    #[must_use]
    pub fn with_high_pages(self) -> Self {
        Self { high_pages: Some([0; 16]), ..self }
    }

    /// The RESET pin: the same as a master clear of both controllers.
    ///
    /// Command, status and flip-flop are cleared and all channels masked; modes, addresses, counts and pages stay, and
    /// so does the floppy controller's request. One thing differs from the chips, where channel 4 too is masked until
    /// the BIOS has programmed it: here it is in cascade mode and unmasked, as at power-on.
    pub fn reset(&mut self) {
        self.dma1.master_clear();
        self.dma2.master_clear();
        self.dma2.write(MODE, MODE_CASCADE | CASCADE_CHANNEL);
        self.dma2.write(SINGLE_MASK, CASCADE_CHANNEL);
    }

    /// Reads an I/O port; `None` if it is not one of these controllers'.
    ///
    /// Claimed are 0x00 to 0x0F (first controller, channels 0 to 3), 0x80 to 0x8F (page registers, and those that
    /// belong to no channel as scratch), 0xC0 to 0xDF (second controller, channels 4 to 7; odd ports alias the even
    /// ones below them), and the high page registers if there are any. Port 0x80, where firmware writes its POST codes,
    /// is a scratch register like the others: a VM monitor that wants the codes takes them before this method or
    /// [`write_port`](Self::write_port) sees them.
    ///
    /// Reading the status register clears its terminal count bits, and reading an address or a count toggles the byte
    /// pointer flip-flop. Illegal reads give 0xFF, but for the mask register, which reads in bits 3..0.
    pub fn read_port(&mut self, port: u16) -> Option<u8> {
        match Target::at(port)? {
            Target::Dma1(reg) => Some(self.dma1.read(reg)),
            Target::Dma2(reg) => {
                // The wire between the chips: HRQ of the first is DREQ of channel 4.
                set_channel(&mut self.dma2.dreq, CASCADE_CHANNEL, self.dma1.hold_request());
                Some(self.dma2.read(reg))
            }
            Target::Page(index) => Some(self.pages[index]),
            Target::HighPage(index) => self.high_pages.map(|pages| pages[index]),
        }
    }

    /// Writes an I/O port; `false` if it is not one of these controllers' (see [`read_port`](Self::read_port)).
    ///
    /// This may be what a request of the floppy controller waits for, an unmasked channel for example. It is not served
    /// from within this call: call [`Controller::service_dma`](crate::Controller::service_dma) next.
    pub fn write_port(&mut self, port: u16, value: u8) -> bool {
        match Target::at(port) {
            Some(Target::Dma1(reg)) => self.dma1.write(reg, value),
            Some(Target::Dma2(reg)) => self.dma2.write(reg, value),
            Some(Target::Page(index)) => {
                self.pages[index] = value;
                if let Some(high_pages) = &mut self.high_pages {
                    high_pages[index] = 0;
                }
            }
            Some(Target::HighPage(index)) => match &mut self.high_pages {
                Some(high_pages) => high_pages[index] = value,
                None => return false,
            },
            None => return false,
        }
        true
    }

    /// All that the controllers are, to be saved with the machine.
    pub fn state(&self) -> AtDmaState {
        let Self { dma1, dma2, pages, high_pages, channel, memory: _ } = self;
        let (dma1, dma2, pages, high_pages) = (dma1.clone(), dma2.clone(), *pages, *high_pages);
        AtDmaState { dma1, dma2, pages, high_pages, channel: *channel }
    }

    /// The controllers as they were, with the memory of the machine behind them. Whatever the state says, they are safe.
    pub fn from_state(state: AtDmaState, memory: M) -> Self {
        let AtDmaState { dma1, dma2, pages, high_pages, channel } = state;
        Self { dma1, dma2, pages, high_pages, channel: channel & 3, memory }
    }

    /// The memory that the controllers reach.
    pub fn memory(&self) -> &M {
        &self.memory
    }

    /// The memory that the controllers reach, to change it.
    pub fn memory_mut(&mut self) -> &mut M {
        &mut self.memory
    }

    /// Gives the memory back.
    pub fn into_memory(self) -> M {
        self.memory
    }

    /// Where the 64 KiB page of the floppy controller's channel begins.
    fn page_address(&self) -> u64 {
        let index = PAGE_OF_CHANNEL[usize::from(self.channel & 3)];
        let high = self.high_pages.map_or(0, |pages| pages[index]);
        u64::from(u32::from_be_bytes([high, self.pages[index], 0, 0]))
    }

    /// Serves the floppy controller until terminal count or the end of what it offers. `move_bytes` moves a piece of
    /// the offered bytes to or from a guest-physical address, if memory takes part at all.
    fn serve(
        &mut self,
        transfer: Transfer,
        offered: usize,
        mut move_bytes: impl FnMut(&mut M, Option<u64>, Range<usize>),
    ) -> Moved {
        let mut moved = Moved::default();
        if !self.dma2.is_enabled(CASCADE_CHANNEL) || !self.dma2.channel(CASCADE_CHANNEL).is_cascade() {
            return moved;
        }
        let page = self.page_address();
        while !moved.terminal_count
            && let Some(run) = self.dma1.run(self.channel, transfer, offered - moved.bytes)
        {
            let end = moved.bytes + run.bytes;
            let address = run.address.map(|address| page | u64::from(address));
            move_bytes(&mut self.memory, address, moved.bytes..end);
            moved = Moved { bytes: end, terminal_count: run.terminal_count };
        }
        moved
    }
}

impl<M: GuestMemory> DmaChannel for AtDma<M> {
    fn device_to_memory(&mut self, data: &[u8]) -> Moved {
        self.serve(Transfer::Write, data.len(), |memory, address, bytes| {
            if let Some(address) = address {
                memory.write(address, &data[bytes]);
            }
        })
    }

    fn memory_to_device(&mut self, data: &mut [u8]) -> Moved {
        self.serve(Transfer::Read, data.len(), |memory, address, bytes| match address {
            Some(address) => memory.read(address, &mut data[bytes]),
            None => data[bytes].fill(0xFF),
        })
    }

    fn set_request(&mut self, asserted: bool) {
        set_channel(&mut self.dma1.dreq, self.channel, asserted);
    }
}

/// Leaves the memory out: it may be all that the guest has.
impl<M> fmt::Debug for AtDma<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AtDma")
            .field("dma1", &self.dma1)
            .field("dma2", &self.dma2)
            .field("pages", &self.pages)
            .field("high_pages", &self.high_pages)
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}
