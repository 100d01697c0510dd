//! The saved state of the DMA controllers: plain structs apart from the live ones. `AtDma::from_state` validates them.

/// Saved state, version 1, of the DMA controllers of a PC/AT. Guest memory is not part of it.
///
/// [`AtDma::state`](super::AtDma::state) makes it and [`AtDma::from_state`](super::AtDma::from_state) validates it.
/// With the feature `serde` it can be written and read in any format. It has no version number of its own: the state
/// that contains it has one ([`PcFloppyState`](crate::pc::PcFloppyState)).
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AtDmaStateV1 {
    /// The first 8237A: channels 0 to 3, ports 0x00 to 0x0F.
    pub dma1: I8237StateV1,
    /// The second 8237A: channels 4 to 7, ports 0xC0 to 0xDF.
    pub dma2: I8237StateV1,
    /// Registers at the ports 0x80 to 0x8F, in this order: page registers (address bits 23..16), and scratch registers
    /// where no channel has its page (§8.2).
    pub pages: [u8; 16],
    /// High page registers (address bits 31..24) at the ports 0x480 to 0x48F, in this order; 0 at the ports that have
    /// no such register. `None` on a machine without high page registers.
    pub high_pages: Option<[u8; 16]>,
    /// Channel of the floppy controller, 0 to 3.
    pub channel: u8,
    /// Level of DREQ from the floppy controller. An input: the DMA controllers cannot derive it.
    pub request: bool,
}

/// Saved state, version 1, of one 8237A. Sets of channels are bits 3..0, bit 0 for channel 0 or 4.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct I8237StateV1 {
    /// The four channels, in the order of their numbers.
    pub channels: [DmaChannelStateV1; 4],
    /// Command register, as last written (§8.3).
    pub command: u8,
    /// Mask register: the masked channels. Bits 7..4 are 0.
    pub mask: u8,
    /// Channels that reached terminal count since the last read of the status register. Bits 7..4 are 0.
    pub terminal_count: u8,
    /// Byte pointer flip-flop: the next access to an address or a count selects the high byte.
    pub flip_flop: bool,
}

/// Saved state, version 1, of one channel of an 8237A (§8.3).
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct DmaChannelStateV1 {
    /// Base address register: address bits 15..0.
    pub base_address: u16,
    /// Base word count register: number of transfers less one.
    pub base_count: u16,
    /// Current address register.
    pub current_address: u16,
    /// Current word count register: remaining transfers less one; 0xFFFF after terminal count.
    pub current_count: u16,
    /// Mode register, bits 7..2. Bits 1..0, which select the channel in a write, are 0.
    pub mode: u8,
}
