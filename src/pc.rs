//! The floppy subsystem of a PC as one object: the controller, the two 8237A DMA controllers with their page registers,
//! and the port map.
//!
//! It is for a VM monitor that has no DMA controller. A VM monitor that has one uses the [`Controller`] and implements
//! [`DmaChannel`](crate::dma::DmaChannel).

use std::{ops::RangeInclusive, time::Duration};

use crate::{
    controller::{
        BuildError, Controller, ControllerBuilder, ControllerStateV1, Interrupt, Metrics, NoInterrupt, ReadRegister,
        RestoreError, SaveStateError,
    },
    dma::{AtDma, AtDmaStateV1, GuestMemory, NoDma},
    drive::{FloppyDrive, FloppyDrives, MediumStateV1, NoSuchDrive, RestoreMedium, StateOptions},
};

/// Ports, interrupt line and DMA channel of the controller in its machine (§1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Wiring {
    /// First of the eight ports of the controller.
    pub base: u16,
    /// Line of the interrupt controllers that the INT pin is connected to. Information for the VM monitor and its
    /// firmware tables: the library drives the [`Interrupt`] of the builder and no numbered line.
    pub irq: u8,
    /// DMA channel, 0 to 3.
    pub channel: u8,
}

impl Wiring {
    /// The first controller of a PC: ports from 0x3F0 on, IRQ 6, DMA channel 2.
    pub const PRIMARY: Self = Self { base: Controller::PRIMARY, irq: 6, channel: 2 };
    /// A second controller: ports from 0x370 on; IRQ and DMA channel of the first controller.
    pub const SECONDARY: Self = Self { base: Controller::SECONDARY, irq: 6, channel: 2 };
}

impl Default for Wiring {
    fn default() -> Self {
        Self::PRIMARY
    }
}

/// A controller with its drives, the DMA controllers of a PC/AT, and guest memory behind them.
///
/// The VM monitor forwards each access of the guest to one of the [`ports`](Self::ports), of any width, and calls
/// [`advance`](Self::advance) no later than the time that [`next_event`](Self::next_event) returns.
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
    base: u16,
    irq: u8,
}

impl<M: GuestMemory, I: Interrupt> PcFloppy<M, I> {
    /// Builds the subsystem as at power-on. `controller` has the drives, the interrupt line and all options of the
    /// controller; `wiring` replaces its base port.
    ///
    /// # Errors
    ///
    /// - [`BuildError::DmaChannel`] for a DMA channel other than 0 to 3.
    /// - Each [`BuildError`] of [`ControllerBuilder::build`].
    pub fn new(controller: ControllerBuilder<I, NoDma>, memory: M, wiring: Wiring) -> Result<Self, BuildError> {
        let dma = AtDma::with_channel(memory, wiring.channel).ok_or(BuildError::DmaChannel(wiring.channel))?;
        let Wiring { base, irq, channel: _ } = wiring;
        Ok(Self { controller: controller.base(base).dma(dma).build()?, base, irq })
    }

    /// Returns the ports, the interrupt line and the DMA channel of the controller.
    #[must_use]
    pub fn wiring(&self) -> Wiring {
        Wiring { base: self.base, irq: self.irq, channel: self.controller.dma().channel() }
    }

    /// Returns the ports that the subsystem claims: those of the DMA controllers and their page registers (§8.2), and
    /// those of the controller without `base + 6`, which belongs to the hard disk (§1).
    #[must_use]
    pub const fn ports(&self) -> [RangeInclusive<u16>; 5] {
        let base = self.base;
        [
            0x00..=0x0F,
            0x80..=0x8F,
            0xC0..=0xDF,
            base..=base.saturating_add(5),
            base.saturating_add(7)..=base.saturating_add(7),
        ]
    }

    /// Returns a handle to drive `number`, for the manager of its media.
    ///
    /// # Errors
    ///
    /// [`NoSuchDrive`] if the builder was given no drive of this number.
    pub fn drive(&self, number: u8) -> Result<FloppyDrive, NoSuchDrive> {
        self.controller.drive(number)
    }

    /// Returns handles to all drives.
    pub fn drives(&self) -> FloppyDrives {
        self.controller.drives()
    }

    /// Performs a read of the guest at `port`, of `data.len()` bytes: 1, 2 or 4. As on the bus, it is one access of a
    /// byte to each port from `port` on. Bytes of ports that are not claimed are 0xFF. Returns `false` if no port is
    /// claimed.
    ///
    /// At `base + 7` in [`InterfaceMode::At`](crate::InterfaceMode::At), the controller drives bit 7 only. The other bits
    /// belong to the hard disk, if there is one (§1.9, [`ReadRegister::driven_bits`]).
    #[inline]
    pub fn read(&mut self, port: u16, data: &mut [u8]) -> bool {
        // Nearly all accesses are bytes.
        if let [byte] = data {
            let value = self.read_byte(port);
            *byte = value.unwrap_or(0xFF);
            return value.is_some();
        }
        let mut claimed = false;
        for (offset, byte) in (0..=u16::MAX).zip(data) {
            // An access does not wrap from the last port to the first.
            let value = port.checked_add(offset).and_then(|port| self.read_byte(port));
            claimed |= value.is_some();
            *byte = value.unwrap_or(0xFF);
        }
        claimed
    }

    /// Performs a write of the guest at `port`, of `data.len()` bytes: 1, 2 or 4, one access of a byte to each port
    /// from `port` on. Bytes for ports that are not claimed are dropped. Returns `false` if no port is claimed.
    ///
    /// A write to a DMA controller also serves a command that waits for its DMA channel.
    #[inline]
    pub fn write(&mut self, port: u16, data: &[u8]) -> bool {
        if let &[byte] = data {
            return self.write_byte(port, byte);
        }
        let mut claimed = false;
        for (port, &byte) in (port..=u16::MAX).zip(data) {
            claimed |= self.write_byte(port, byte);
        }
        claimed
    }

    /// Performs a string instruction of the guest (`rep ins`) that the hypervisor delivers as a whole: `data.len() /
    /// width` reads of `width` bytes each, 1, 2 or 4, all at `port`. Returns `false` if no port is claimed.
    ///
    /// Reads of the FIFO, one byte wide, are performed together ([`Controller::read_string`]).
    pub fn read_string(&mut self, port: u16, width: usize, data: &mut [u8]) -> bool {
        let burst = if self.is_fifo(port, width) { self.controller.read_string(data) } else { 0 };
        let mut claimed = burst > 0;
        for access in data[burst..].chunks_mut(width.max(1)) {
            claimed |= self.read(port, access);
        }
        claimed
    }

    /// Performs a string instruction of the guest (`rep outs`) that the hypervisor delivers as a whole: `data.len() /
    /// width` writes of `width` bytes each, 1, 2 or 4, all at `port`. Returns `false` if no port is claimed.
    ///
    /// Writes to the FIFO, one byte wide, are performed together ([`Controller::write_string`]).
    pub fn write_string(&mut self, port: u16, width: usize, data: &[u8]) -> bool {
        let burst = if self.is_fifo(port, width) { self.controller.write_string(data) } else { 0 };
        let mut claimed = burst > 0;
        for access in data[burst..].chunks(width.max(1)) {
            claimed |= self.write(port, access);
        }
        claimed
    }

    fn is_fifo(&self, port: u16, width: usize) -> bool {
        width == 1 && ReadRegister::at(port.wrapping_sub(self.base)) == Some(ReadRegister::Fifo)
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

    /// Reports each completed command to `metrics`; see [`Controller::add_metrics`].
    pub fn add_metrics(&mut self, metrics: impl Metrics + 'static) {
        self.controller.add_metrics(metrics);
    }

    /// Advances the time of the subsystem by `elapsed`; see [`Controller::advance`].
    pub fn advance(&mut self, elapsed: Duration) {
        self.controller.advance(elapsed);
    }

    /// Returns the time from now to the next event; `None` if no event is due. Call [`advance`](Self::advance) no
    /// later. Ask again after each access, `advance` and restore; see [`Controller::next_event`].
    #[must_use]
    pub fn next_event(&self) -> Option<Duration> {
        self.controller.next_event()
    }

    /// Drives the RESET line of the machine, which is connected to all chips of the subsystem (§1.11, §8.3).
    pub fn reset(&mut self) {
        self.controller.dma_mut().reset();
        self.controller.reset();
    }

    /// Returns the level of the INT pin; `true` is high.
    #[must_use]
    pub fn interrupt_level(&self) -> bool {
        self.controller.interrupt_level()
    }

    /// Returns the controller, for changes. Call [`Controller::service_dma`] after a change of its DMA controllers.
    pub fn controller_mut(&mut self) -> &mut Controller<I, AtDma<M>> {
        &mut self.controller
    }

    /// Returns the controller.
    pub const fn controller(&self) -> &Controller<I, AtDma<M>> {
        &self.controller
    }
}

/// Saved state of the floppy subsystem of a PC. [`PcFloppy::state`] makes it and [`PcFloppy::from_state`] restores it.
///
/// With the feature `serde` it can be written and read in any format: first the version, then the struct of that
/// version.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PcFloppyState {
    /// State of version 1.
    V1(Box<PcFloppyStateV1>),
    /// State of a version that this library does not know. It cannot be restored or written.
    Unknown {
        /// Version of the state.
        version: u16,
    },
}

#[cfg(feature = "serde")]
crate::saved_state::versioned_state!(PcFloppyState { 1 => V1(Box<PcFloppyStateV1>) });

/// Saved state, version 1, of the floppy subsystem of a PC. Guest memory is not part of it.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PcFloppyStateV1 {
    /// Line of the interrupt controllers that the INT pin is connected to: [`Wiring::irq`].
    pub irq: u8,
    /// DMA controllers, with the DMA channel of the floppy controller.
    pub dma: AtDmaStateV1,
    /// Controller with its base port, its drives and their media.
    pub controller: ControllerStateV1,
}

impl PcFloppyState {
    /// Returns the state of the controller; `None` for an unknown version.
    #[must_use]
    pub const fn controller(&self) -> Option<&ControllerStateV1> {
        match self {
            Self::V1(state) => Some(&state.controller),
            Self::Unknown { .. } => None,
        }
    }

    /// Returns the media that are attached in this state, with the numbers of their drives. An unknown version has
    /// none.
    pub fn media(&self) -> impl Iterator<Item = (u8, &MediumStateV1)> {
        self.controller().into_iter().flat_map(ControllerStateV1::media)
    }
}

impl<M: GuestMemory, I: Interrupt> PcFloppy<M, I> {
    /// Returns the state of the subsystem, in whatever command and phase it is; see [`Controller::state`]. Guest memory
    /// is not part of it.
    ///
    /// # Errors
    ///
    /// Each [`SaveStateError`] of [`Controller::state`].
    pub fn state(&self, options: StateOptions) -> Result<PcFloppyState, SaveStateError> {
        let (dma, controller) = (self.controller.dma().state(), self.controller.state_v1(options)?);
        Ok(PcFloppyState::V1(Box::new(PcFloppyStateV1 { irq: self.irq, dma, controller })))
    }

    /// Restores the subsystem from a state, with `memory` behind its DMA controllers and its INT pin connected to
    /// `interrupt`; see [`Controller::from_state`], also for `media`.
    ///
    /// # Errors
    ///
    /// - [`RestoreError::Version`] for a state of a version that this library does not know.
    /// - [`RestoreError::Invalid`] for a state that the DMA controllers cannot reach.
    /// - Each [`RestoreError`] of [`Controller::from_state`].
    pub fn from_state(
        state: PcFloppyState,
        interrupt: I,
        memory: M,
        media: impl FnMut(u8, &MediumStateV1) -> RestoreMedium,
    ) -> Result<Self, RestoreError> {
        let PcFloppyStateV1 { irq, dma, controller } = match state {
            PcFloppyState::V1(state) => *state,
            PcFloppyState::Unknown { version } => return Err(RestoreError::Version { version }),
        };
        let base = controller.base;
        let dma = AtDma::from_state(dma, memory).map_err(|error| error.within("dma"))?;
        let controller = Controller::from_state_v1(controller, interrupt, dma, media)?;
        Ok(Self { controller, base, irq })
    }
}
