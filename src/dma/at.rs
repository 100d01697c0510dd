//! The DMA controllers of a PC/AT: two 8237A, their page registers and ports, and guest memory behind them (§8.2).
//!
//! A guest finds every register of both chips. Data moves only on the 8-bit channel that the floppy controller is
//! connected to: other devices are not modelled.

use std::fmt;
use std::ops::Range;

use super::{
    channel::{DmaChannel, Moved},
    i8237::{I8237, MODE, MODE_CASCADE, SINGLE_MASK, Transfer},
    memory::GuestMemory,
    snapshot::AtDmaStateV1,
};
use crate::saved_state::InvalidField;

/// Channel of the second controller through which the first one requests the bus: channel 4 of the AT.
const CASCADE_CHANNEL: u8 = 0;

/// Register behind an I/O port.
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
            (0x04, 0x80..=0x8F) if HIGH_PAGES.contains(&page) => Some(Self::HighPage(page)),
            _ => None,
        }
    }
}

/// Page register of channels 0 to 3, by the last digit of its port: the order is that of the AT.
const PAGE_OF_CHANNEL: [usize; 4] = [0x7, 0x3, 0x1, 0x2];

/// The high page registers of channels 0 to 3 and 5 to 7, by the last digit of their ports.
const HIGH_PAGES: [usize; 7] = [0x7, 0x3, 0x1, 0x2, 0xB, 0x9, 0xA];

/// The DMA controllers of a PC/AT: two 8237A, their page registers, and the guest memory `M` that they reach (§8.2).
///
/// As a [`DmaChannel`] it is the channel of the floppy controller. A transfer advances the address within the 64 KiB
/// page that the page register selects, and never carries into the next page (§8.4). 24 address bits reach the first 16
/// MiB; [with high page registers](Self::with_high_pages) 32 bits reach the first 4 GiB. Memory is called once for each
/// contiguous piece, or once for each byte if the guest programmed a descending address.
///
/// In a verify transfer the channel counts and signals terminal count while memory stays idle (§8.5). A device that
/// reads from such a channel gets 0xFF, the value of an open bus.
///
/// At power-on channel 4, through which the first controller gets the bus, is in cascade mode and unmasked, as a BIOS
/// leaves it, so that a VM can boot without a BIOS. The real chip comes up with all channels masked.
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
    /// By the last digit of the port. Registers that belong to no channel are scratch registers.
    pages: [u8; 16],
    high_pages: Option<[u8; 16]>,
    /// Channel of `dma1` that the floppy controller is connected to.
    channel: u8,
    /// Level of DREQ from the floppy controller.
    request: bool,
    memory: M,
}

impl<M> AtDma<M> {
    /// Creates the controllers as at power-on, with the floppy controller on channel 2 as in every PC.
    pub fn new(memory: M) -> Self {
        let (dma1, dma2) = (I8237::new(), I8237::new());
        let mut dma = Self { dma1, dma2, pages: [0; 16], high_pages: None, channel: 2, request: false, memory };
        dma.reset();
        dma
    }

    /// Creates the controllers as at power-on, with the floppy controller on `channel`, 0 to 3: the 8-bit channels.
    /// Returns `None` for any other channel.
    pub fn with_channel(memory: M, channel: u8) -> Option<Self> {
        (channel < 4).then(|| Self { channel, ..Self::new(memory) })
    }

    /// Adds the high page registers of EISA and PCI machines, which hold bits 31..24 of the address, at the ports 0x481
    /// to 0x483, 0x487 and 0x489 to 0x48B (§8.2).
    ///
    /// A write to a page register clears the high page register of the same channel, so that software for the AT
    /// reaches the memory that it addresses.
    #[must_use]
    pub fn with_high_pages(self) -> Self {
        Self { high_pages: Some([0; 16]), ..self }
    }

    /// Returns the channel of the floppy controller, 0 to 3.
    #[must_use]
    pub fn channel(&self) -> u8 {
        self.channel
    }

    /// Drives the RESET pin: a master clear of both controllers (§8.3).
    ///
    /// Command, status and flip-flop are cleared and all channels are masked. Modes, addresses, counts and pages stay,
    /// and so does the request of the floppy controller. One thing differs from the chips, in which channel 4 too is
    /// masked until the BIOS programs it: here channel 4 is in cascade mode and unmasked, as at power-on.
    pub fn reset(&mut self) {
        self.dma1.master_clear();
        self.dma2.master_clear();
        self.dma2.write(MODE, MODE_CASCADE | CASCADE_CHANNEL);
        self.dma2.write(SINGLE_MASK, CASCADE_CHANNEL);
    }

    /// Reads an I/O port. Returns `None` if the port does not belong to these controllers.
    ///
    /// Claimed ports: 0x00 to 0x0F (first controller, channels 0 to 3), 0x80 to 0x8F (page registers; those of no
    /// channel are scratch registers), 0xC0 to 0xDF (second controller, channels 4 to 7; odd ports alias the even ports
    /// below them), and the ports of the high page registers if there are any. Port 0x80, to which firmware writes POST
    /// codes, is a scratch register like the others: a VM monitor that displays the codes takes them before it calls
    /// [`write_port`](Self::write_port).
    ///
    /// Reading the status register clears its terminal count bits. Reading an address or a count toggles the byte
    /// pointer flip-flop. Illegal reads return 0xFF, except for the mask register, which reads in bits 3..0 (§8.2).
    pub fn read_port(&mut self, port: u16) -> Option<u8> {
        match Target::at(port)? {
            Target::Dma1(reg) => Some(self.dma1.read(reg, self.requests())),
            Target::Dma2(reg) => {
                // HRQ of the first controller is connected to DREQ of channel 4.
                let requests = u8::from(self.dma1.hold_request(self.requests())) << CASCADE_CHANNEL;
                Some(self.dma2.read(reg, requests))
            }
            Target::Page(index) => Some(self.pages[index]),
            Target::HighPage(index) => self.high_pages.map(|pages| pages[index]),
        }
    }

    /// Writes an I/O port. Returns `false` if the port does not belong to these controllers, as for
    /// [`read_port`](Self::read_port).
    ///
    /// The write can unmask the channel that the floppy controller waits for. The request is not served within this
    /// call: call [`Controller::service_dma`](crate::Controller::service_dma) next.
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

    /// Returns the state of the controllers, without the memory.
    pub fn state(&self) -> AtDmaStateV1 {
        let Self { dma1, dma2, pages, high_pages, channel, request, memory: _ } = self;
        AtDmaStateV1 {
            dma1: dma1.state(),
            dma2: dma2.state(),
            pages: *pages,
            high_pages: *high_pages,
            channel: *channel,
            request: *request,
        }
    }

    /// Restores the controllers from a state, with `memory` behind them. A restored request is not served within this
    /// call.
    ///
    /// # Errors
    ///
    /// [`InvalidField`] for a state that the controllers cannot reach. It names the field and the reason.
    pub fn from_state(state: AtDmaStateV1, memory: M) -> Result<Self, InvalidField> {
        let AtDmaStateV1 { dma1, dma2, pages, high_pages, channel, request } = state;
        if channel > 3 {
            return Err(InvalidField::new("channel", format!("{channel}; the 8-bit channels are 0 to 3")));
        }
        if let Some(registers) = &high_pages
            && let Some(index) =
                (0..registers.len()).find(|index| registers[*index] != 0 && !HIGH_PAGES.contains(index))
        {
            let reason = format!("is not 0, but port {:#05x} has no register", 0x480 + index);
            return Err(InvalidField::new(format!("high_pages[{index}]"), reason));
        }
        Ok(Self {
            dma1: I8237::from_state(&dma1).map_err(|error| error.within("dma1"))?,
            dma2: I8237::from_state(&dma2).map_err(|error| error.within("dma2"))?,
            pages,
            high_pages,
            channel,
            request,
            memory,
        })
    }

    /// Returns the memory behind the controllers.
    pub fn memory(&self) -> &M {
        &self.memory
    }

    /// Returns the memory behind the controllers, for changes.
    pub fn memory_mut(&mut self) -> &mut M {
        &mut self.memory
    }

    /// Consumes the controllers and returns their memory.
    pub fn into_memory(self) -> M {
        self.memory
    }

    /// Returns the levels of the DREQ pins of the first controller, bits 3..0.
    fn requests(&self) -> u8 {
        u8::from(self.request) << (self.channel & 3)
    }

    /// Returns the address of the 64 KiB page of the floppy controller's channel.
    fn page_address(&self) -> u64 {
        let index = PAGE_OF_CHANNEL[usize::from(self.channel & 3)];
        let high = self.high_pages.map_or(0, |pages| pages[index]);
        u64::from(u32::from_be_bytes([high, self.pages[index], 0, 0]))
    }

    /// Serves the floppy controller up to terminal count or the end of the `offered` bytes. `move_bytes` moves a range
    /// of these bytes to or from a guest-physical address, or gets no address if memory stays idle.
    fn serve(
        &mut self,
        transfer: Transfer,
        offered: usize,
        mut move_bytes: impl FnMut(&mut M, Option<u64>, Range<usize>),
    ) -> Moved {
        let mut moved = Moved::default();
        if !self.dma2.passes_bus(CASCADE_CHANNEL) {
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
        self.request = asserted;
    }
}

/// Omits the memory: it can be all memory of the guest.
impl<M> fmt::Debug for AtDma<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dma1, dma2, pages, high_pages, channel, request, memory: _ } = self;
        f.debug_struct("AtDma")
            .field("dma1", dma1)
            .field("dma2", dma2)
            .field("pages", pages)
            .field("high_pages", high_pages)
            .field("channel", channel)
            .field("request", request)
            .finish_non_exhaustive()
    }
}
