//! The floppy subsystem of a PC as one object: the controller, the two 8237A DMA controllers with their page registers, and
//! the port map. For a VM monitor that has no DMA controller of its own; one that has takes the bare
//! [`Controller`] and implements [`DmaChannel`](crate::dma::DmaChannel).

use std::{ops::RangeInclusive, time::Duration};

use crate::{
    controller::{
        BuildError, Controller, ControllerBuilder, ControllerState, Interrupt, Metrics, NoInterrupt, Register,
        RestoreError, SaveStateError,
    },
    dma::{AtDma, AtDmaState, GuestMemory, NoDma},
    drive::{FloppyDrive, FloppyDrives, MediumState, NoSuchDrive, StateOptions},
    media::Medium,
};

/// Where the controller is in the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Wiring {
    /// The first port of its registers.
    pub base: u16,
    /// The line of the interrupt controllers that its INT pin is to drive. The library drives none: it is here for those who
    /// ask, as firmware tables do.
    pub irq: u8,
    /// The DMA channel, 0 to 3.
    pub channel: u8,
}

impl Wiring {
    /// The first controller of every PC: ports from 0x3F0, IRQ 6, channel 2.
    pub const PRIMARY: Self = Self { base: Controller::PRIMARY, irq: 6, channel: 2 };
    /// A second controller: ports from 0x370, and the rest as the first.
    pub const SECONDARY: Self = Self { base: Controller::SECONDARY, irq: 6, channel: 2 };
}

impl Default for Wiring {
    fn default() -> Self {
        Self::PRIMARY
    }
}

/// A controller with its drives, the DMA controllers of a PC/AT, and guest memory behind them.
///
/// The VM monitor hands it each access of the guest to its [`ports`](Self::ports), of any width, and the time whenever
/// [`next_event`](Self::next_event) has some.
///
/// ```
/// use vm_fdc::{Controller, drive::DriveType, media::Access, pc::{PcFloppy, Wiring}};
///
/// let irq6 = |high: bool| println!("IRQ 6 is {}", if high { "high" } else { "low" });
/// let controller = Controller::builder().drive(0, DriveType::Inch3_5Hd).interrupt(irq6);
/// let mut floppy = PcFloppy::new(controller, vec![0; 1 << 20], Wiring::PRIMARY)?;
/// floppy.drive(0)?.attach_image("fixtures/dos-1440k.img", Access::ReadOnly)?;
///
/// assert!(floppy.write(0x3F2, &[0x1C])); // out of reset, motor on, drive 0 selected
/// let mut status = [0];
/// assert!(floppy.read(0x3F4, &mut status));
/// assert_eq!(status, [0x80]);
/// assert!(!floppy.read(0x3F6, &mut status)); // the hard disk's
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PcFloppy<M, I = NoInterrupt> {
    controller: Controller<I, AtDma<M>>,
    wiring: Wiring,
}

impl<M: GuestMemory, I: Interrupt> PcFloppy<M, I> {
    /// The subsystem at power-on. `controller` says which drives there are and where the interrupt goes; its base is that of
    /// `wiring`.
    ///
    /// # Errors
    ///
    /// A [`BuildError`] for a drive that cannot be wired, or a DMA channel that there is not.
    pub fn new(controller: ControllerBuilder<I, NoDma>, memory: M, wiring: Wiring) -> Result<Self, BuildError> {
        let dma = AtDma::with_channel(memory, wiring.channel).ok_or(BuildError::DmaChannel(wiring.channel))?;
        Ok(Self { controller: controller.base(wiring.base).dma(dma).build()?, wiring })
    }

    /// Where the controller is in the machine.
    #[must_use]
    pub const fn wiring(&self) -> Wiring {
        self.wiring
    }

    /// The ports that it claims, and no others: those of the controller without the sixth, which belongs to the hard disk,
    /// and those of the DMA controllers and their pages.
    #[must_use]
    pub const fn ports(&self) -> [RangeInclusive<u16>; 5] {
        let base = self.wiring.base;
        [
            0x00..=0x0F,
            0x80..=0x8F,
            0xC0..=0xDF,
            base..=base.saturating_add(5),
            base.saturating_add(7)..=base.saturating_add(7),
        ]
    }

    /// A handle for the manager of drive `number`.
    ///
    /// # Errors
    ///
    /// [`NoSuchDrive`] when the builder was given no such drive.
    pub fn drive(&self, number: u8) -> Result<FloppyDrive, NoSuchDrive> {
        self.controller.drive(number)
    }

    /// All drives, for their manager.
    pub fn drives(&self) -> FloppyDrives {
        self.controller.drives()
    }

    /// The guest reads `data.len()` bytes from `port` on: an access of 1, 2 or 4 bytes, of which the bus makes one of a byte
    /// for each port. Bytes of ports that are not claimed are 0xFF. `false` when none is.
    ///
    /// Of the last port the controller drives bit 7 alone; the others belong to the hard disk, if there is one
    /// ([`Register::driven_bits`]).
    #[inline]
    pub fn read(&mut self, port: u16, data: &mut [u8]) -> bool {
        let mut claimed = false;
        for (offset, byte) in (0..=u16::MAX).zip(data) {
            // An access does not go on from the last port to the first.
            let value = port.checked_add(offset).and_then(|port| self.read_byte(port));
            claimed |= value.is_some();
            *byte = value.unwrap_or(0xFF);
        }
        claimed
    }

    /// The guest writes `data.len()` bytes from `port` on, as [`read`](Self::read) reads them. Bytes for ports that are not
    /// claimed are dropped. `false` when none is.
    #[inline]
    pub fn write(&mut self, port: u16, data: &[u8]) -> bool {
        let mut claimed = false;
        for (port, &byte) in (port..=u16::MAX).zip(data) {
            claimed |= self.write_byte(port, byte);
        }
        claimed
    }

    /// The guest reads with a string instruction (`rep ins`), of which some hypervisors give all the data at once: `data.len() / width` accesses of `width` bytes each, all to
    /// `port`. From the FIFO, a byte wide, in one go. `false` when no port is claimed.
    pub fn read_string(&mut self, port: u16, width: usize, data: &mut [u8]) -> bool {
        let burst = if self.is_fifo(port, width) { self.controller.read_string(data) } else { 0 };
        let mut claimed = burst > 0;
        for access in data[burst..].chunks_mut(width.max(1)) {
            claimed |= self.read(port, access);
        }
        claimed
    }

    /// The guest writes with a string instruction (`rep outs`), as [`read_string`](Self::read_string) reads.
    pub fn write_string(&mut self, port: u16, width: usize, data: &[u8]) -> bool {
        let burst = if self.is_fifo(port, width) { self.controller.write_string(data) } else { 0 };
        let mut claimed = burst > 0;
        for access in data[burst..].chunks(width.max(1)) {
            claimed |= self.write(port, access);
        }
        claimed
    }

    fn is_fifo(&self, port: u16, width: usize) -> bool {
        width == 1 && Register::at(port.wrapping_sub(self.wiring.base)) == Some(Register::Fifo)
    }

    #[inline]
    fn read_byte(&mut self, port: u16) -> Option<u8> {
        self.controller.read_port(port).or_else(|| self.controller.dma_mut().read_port(port))
    }

    #[inline]
    fn write_byte(&mut self, port: u16, value: u8) -> bool {
        if self.controller.write_port(port, value) {
            return true;
        }
        let claimed = self.controller.dma_mut().write_port(port, value);
        if claimed {
            self.controller.service_dma();
        }
        claimed
    }

    /// Tells `metrics` of each command from now on; see [`Controller::set_metrics`].
    pub fn set_metrics(&mut self, metrics: impl Metrics + 'static) {
        self.controller.set_metrics(metrics);
    }

    /// Time passes; see [`Controller::advance`].
    pub fn advance(&mut self, elapsed: Duration) {
        self.controller.advance(elapsed);
    }

    /// How much time may pass until [`advance`](Self::advance) would have something to do; see
    /// [`Controller::next_event`].
    #[must_use]
    pub fn next_event(&self) -> Option<Duration> {
        self.controller.next_event()
    }

    /// The machine's RESET line, which all chips of the subsystem have.
    pub fn reset(&mut self) {
        self.controller.dma_mut().reset();
        self.controller.reset();
    }

    /// The level of the INT pin.
    #[must_use]
    pub fn interrupt_level(&self) -> bool {
        self.controller.interrupt_level()
    }

    /// The controller, for what is not here. After a change of its DMA controllers call
    /// [`Controller::service_dma`].
    pub fn controller_mut(&mut self) -> &mut Controller<I, AtDma<M>> {
        &mut self.controller
    }

    /// The controller, to look at.
    pub const fn controller(&self) -> &Controller<I, AtDma<M>> {
        &self.controller
    }
}

/// The floppy subsystem of a PC at a moment; see [`PcFloppy::state`]. With the feature `serde` it can be written and read in
/// any format.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PcFloppyState {
    controller: ControllerState,
    dma: AtDmaState,
    irq: u8,
    channel: u8,
}

impl PcFloppyState {
    /// The controller, with what is attached to its drives.
    #[must_use]
    pub const fn controller(&self) -> &ControllerState {
        &self.controller
    }
}

impl<M: GuestMemory, I: Interrupt> PcFloppy<M, I> {
    /// All that the subsystem is now, but for guest memory; see [`Controller::state`].
    ///
    /// # Errors
    ///
    /// A [`SaveStateError`].
    pub fn state(&self, options: StateOptions) -> Result<PcFloppyState, SaveStateError> {
        let Wiring { irq, channel, base: _ } = self.wiring;
        let (controller, dma) = (self.controller.state(options)?, self.controller.dma().state());
        Ok(PcFloppyState { controller, dma, irq, channel })
    }

    /// The subsystem as it was, with the memory of the machine behind it; see [`Controller::from_state`].
    ///
    /// # Errors
    ///
    /// A [`RestoreError`].
    pub fn from_state(
        state: PcFloppyState,
        interrupt: I,
        memory: M,
        media: impl FnMut(u8, &MediumState) -> Option<Box<dyn Medium>>,
    ) -> Result<Self, RestoreError> {
        let PcFloppyState { controller, dma, irq, channel } = state;
        let base = controller.base();
        if channel > 3 {
            return Err(RestoreError::Damaged);
        }
        let controller = Controller::from_state(controller, interrupt, AtDma::from_state(dma, memory), media)?;
        Ok(Self { controller, wiring: Wiring { base, irq, channel } })
    }
}
