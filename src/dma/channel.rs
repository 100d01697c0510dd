//! The DMA channel as the floppy controller sees it: DREQ out, DACK and TC in (§8.1). Nothing here knows an 8237A.

/// What one DMA transfer moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Number of bytes that the channel took or gave, 0 to the number offered.
    pub bytes: usize,
    /// Terminal count (TC) was signalled with the last of these bytes (§4.6, §8.1).
    pub terminal_count: bool,
}

/// One channel of a DMA controller, as the device on it sees it: DREQ out, DACK and TC in (§8.1).
///
/// A VM monitor with its own DMA controller implements this trait; [`AtDma`](super::AtDma) is the implementor of this
/// crate. The rules below are the whole contract.
///
/// # Direction
///
/// The methods are named after the path of the data. READ DATA, READ DELETED DATA and READ TRACK call
/// [`device_to_memory`](Self::device_to_memory). WRITE DATA, WRITE DELETED DATA, FORMAT TRACK and the SCAN commands
/// call [`memory_to_device`](Self::memory_to_device). VERIFY, READ ID and all other commands call neither. A channel
/// that is programmed for the other direction moves nothing.
///
/// # What one call moves
///
/// - The controller offers a slice, and the channel moves a prefix of it: [`Moved::bytes`] bytes from the start of the
///   slice. A count above the length of the slice is taken as that length.
/// - The controller offers at least one byte. A channel that gets an empty slice all the same returns
///   [`Moved::default`].
/// - The slice can be longer than the count of the channel. The channel then moves the bytes that it counts and sets
///   [`Moved::terminal_count`]. TC with no byte is ignored, because the device samples TC only together with DACK.
/// - A channel that is masked, not programmed, or programmed for the other direction returns [`Moved::default`]. This
///   is no error.
/// - With [`Timing::Immediate`](crate::Timing::Immediate) a slice has 1 byte to all bytes of a cylinder (both heads): a
///   run of equal sectors is offered as a whole, SCAN offers at most 64 bytes, and FORMAT TRACK offers the IDs of all
///   sectors, 4 bytes each (§8.1). With [`Timing::Authentic`](crate::Timing::Authentic) a slice has the bytes that
///   passed the head since the last call, at most one sector.
///
/// # When the controller calls
///
/// The controller calls from within these methods of [`Controller`](crate::Controller), on the thread of their caller:
/// reads and writes of registers and ports, [`advance`](crate::Controller::advance),
/// [`service_dma`](crate::Controller::service_dma) and [`reset`](crate::Controller::reset). `reset` calls
/// [`set_request`](Self::set_request) only.
///
/// One such method offers the next piece of the transfer only after the channel moved the whole of the piece before,
/// without TC. After a call that moved fewer bytes than offered, the controller does not offer the rest again before
/// the next `service_dma`, the next write to the DOR, or, with `Timing::Authentic`, the next due event. The number of
/// calls is bounded by the length of two tracks, whatever the channel returns (§12).
///
/// The VM monitor must call `service_dma` after each guest access to the DMA controller: the access can unmask the
/// channel that a request waits for (§8.6). The DMA controller does not call the floppy controller itself.
///
/// # What a channel may do within a call
///
/// The controller holds the drive and its medium during the call. A channel must not call the controller or a
/// [`FloppyDrive`](crate::FloppyDrive) handle of it: that is a deadlock or a borrow error. It may access guest memory,
/// take locks that no caller of the controller holds, and record a request for later. Within
/// [`memory_to_device`](Self::memory_to_device) the slice can be the bytes of the attached image.
///
/// # Example
///
/// ```
/// use vm_fdc::dma::{DmaChannel, Moved};
///
/// /// Fills a buffer, and signals terminal count when the buffer is full.
/// struct Fill {
///     memory: Vec<u8>,
///     filled: usize,
/// }
///
/// impl DmaChannel for Fill {
///     fn device_to_memory(&mut self, data: &[u8]) -> Moved {
///         let room = &mut self.memory[self.filled..];
///         let bytes = data.len().min(room.len());
///         room[..bytes].copy_from_slice(&data[..bytes]);
///         self.filled += bytes;
///         Moved { bytes, terminal_count: self.filled == self.memory.len() }
///     }
///
///     fn memory_to_device(&mut self, _data: &mut [u8]) -> Moved {
///         Moved::default() // programmed for the other direction
///     }
/// }
/// ```
pub trait DmaChannel {
    /// Moves bytes from the device to memory, from the start of `data`, and returns their number.
    ///
    /// The channel can take fewer bytes than `data` has. The controller then keeps the rest and raises DREQ.
    fn device_to_memory(&mut self, data: &[u8]) -> Moved;

    /// Moves bytes from memory to the device, into `data` from its start, and returns their number.
    ///
    /// The channel can give fewer bytes than `data` has. It must leave the bytes of `data` beyond those that it gave
    /// unchanged, because `data` can be the sector itself.
    fn memory_to_device(&mut self, data: &mut [u8]) -> Moved;

    /// Sets the level of DREQ, which the device drives: `true` is active.
    ///
    /// The controller drives this line; the channel only shows it to the guest (8237A status register, bits 7..4) and
    /// arbitrates by it. The line is low at power-on. The controller calls this method only when the level changed, at
    /// most once for each access to a register and each event of `advance`, and after the transfers of that access or
    /// event. A request that begins and ends within one of them is not reported, because no guest can observe it: a
    /// channel must move data whether it saw DREQ rise or not.
    ///
    /// DREQ rises when a command waits for the channel: the channel moved fewer bytes than offered, or, with
    /// `Timing::Authentic`, a write waits for bytes that are due later. It falls when the command ends, at every reset,
    /// when the guest clears DMAGATE in the DOR (AT and Model 30 modes, §1.4), and while the disk of the command does
    /// not rotate under the head. A restored controller sets the level once, whatever the channel had.
    ///
    /// The default implementation ignores the level.
    fn set_request(&mut self, asserted: bool) {
        let _ = asserted;
    }
}

impl<T: DmaChannel + ?Sized> DmaChannel for Box<T> {
    fn device_to_memory(&mut self, data: &[u8]) -> Moved {
        (**self).device_to_memory(data)
    }

    fn memory_to_device(&mut self, data: &mut [u8]) -> Moved {
        (**self).memory_to_device(data)
    }

    fn set_request(&mut self, asserted: bool) {
        (**self).set_request(asserted);
    }
}

/// No DMA channel: the DRQ pin is not connected, and data moves by programmed I/O only.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoDma;

impl DmaChannel for NoDma {
    fn device_to_memory(&mut self, _data: &[u8]) -> Moved {
        Moved::default()
    }

    fn memory_to_device(&mut self, _data: &mut [u8]) -> Moved {
        Moved::default()
    }
}
