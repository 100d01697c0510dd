//! The signals of the drives and the chip, and where each register file shows them: SRA, SRB and DIR differ by mode.

use super::registers::{dir, dor};
use crate::media::DataRate;

/// Which register file the chip has. Its IDENT and MFM pins choose when it is reset; here the builder does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum InterfaceMode {
    /// PC/AT: no SRA and SRB, and of DIR only the disk-change bit.
    #[default]
    At,
    /// PS/2: all registers. INT and DRQ are driven whatever DMAGATE says.
    Ps2,
    /// PS/2 Model 30: all registers, with SRA, SRB and DIR in a layout of their own, some of whose bits hold what
    /// happened until DIR is read.
    Model30,
}

/// What happened since the last look at it: the flip-flops of Model 30, and the toggles of PS/2.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Activity {
    /// A step pulse went out.
    pub step: bool,
    /// Data came from a head, or went to one.
    pub read_data: bool,
    pub write_data: bool,
    /// The same as toggles: they flip each time, and nothing clears them but a hardware reset.
    pub read_toggle: bool,
    pub write_toggle: bool,
}

impl Activity {
    /// What a command has done on the disk just now.
    pub(super) fn add(&mut self, passed: Passed) {
        self.read_data |= passed.read;
        self.read_toggle ^= passed.read;
        self.write_data |= passed.written;
        self.write_toggle ^= passed.written;
    }

    /// Clears the flip-flops.
    pub(super) fn forget(&mut self) {
        (self.step, self.read_data, self.write_data) = (false, false, false);
    }
}

/// What has passed between the chip and a head.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Passed {
    /// An ID or a data field was read.
    pub read: bool,
    /// A data field or a track was written.
    pub written: bool,
}

/// All that SRA, SRB and DIR show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signals {
    pub interrupt: bool,
    pub dma_request: bool,
    /// WE: bytes are being written to the disk.
    pub writing: bool,
    pub second_drive: bool,
    pub track_0: bool,
    pub write_protected: bool,
    pub side_1: bool,
    /// With timing: the index hole passes.
    pub index: bool,
    /// The direction of the last step.
    pub inward: bool,
    pub disk_change: bool,
    pub activity: Activity,
    pub digital_output: u8,
    /// NOPREC, bit 2 of the CCR of Model 30.
    pub no_precompensation: bool,
    pub rate: DataRate,
}

/// A byte from its bits, bit 7 first.
fn byte(bits: [bool; 8]) -> u8 {
    bits.into_iter().fold(0, |byte, bit| byte << 1 | u8::from(bit))
}

impl Signals {
    /// SRA. Step pulses are over before software can look.
    pub(super) fn status_a(&self, mode: InterfaceMode) -> u8 {
        let Self {
            interrupt,
            dma_request,
            second_drive,
            track_0,
            write_protected,
            side_1,
            index,
            inward,
            activity,
            ..
        } = *self;
        match mode {
            InterfaceMode::At => 0xFF,
            InterfaceMode::Ps2 => {
                byte([interrupt, !second_drive, false, !track_0, side_1, !index, !write_protected, inward])
            }
            InterfaceMode::Model30 => {
                byte([interrupt, dma_request, activity.step, track_0, !side_1, index, write_protected, !inward])
            }
        }
    }

    /// SRB.
    pub(super) fn status_b(&self, mode: InterfaceMode) -> u8 {
        let Self { second_drive, writing, activity, digital_output, .. } = *self;
        let motor = |drive: u8| digital_output & dor::MOTOR_0 << drive != 0;
        // A drive is selected with its motor on only, so that none is at power-on.
        let not_selected = |drive: u8| digital_output & dor::SELECT != drive || !motor(drive);
        match mode {
            InterfaceMode::At => 0xFF,
            InterfaceMode::Ps2 => byte([
                true,
                true,
                digital_output & 1 != 0,
                activity.write_toggle,
                activity.read_toggle,
                writing,
                motor(1),
                motor(0),
            ]),
            InterfaceMode::Model30 => byte([
                !second_drive,
                not_selected(1),
                not_selected(0),
                activity.write_data,
                activity.read_data,
                activity.write_data, // WE goes with WRDATA.
                not_selected(3),
                not_selected(2),
            ]),
        }
    }

    /// DIR; bits that are not driven read as ones.
    pub(super) fn digital_input(&self, mode: InterfaceMode) -> u8 {
        let Self { disk_change, digital_output, no_precompensation, rate, .. } = *self;
        let [drate_1, drate_0] = [rate as u8 & 0b10 != 0, rate as u8 & 0b01 != 0];
        match mode {
            InterfaceMode::At => byte([disk_change, true, true, true, true, true, true, true]),
            InterfaceMode::Ps2 => {
                let low_density = matches!(rate, DataRate::Kbps300 | DataRate::Kbps250);
                byte([disk_change, true, true, true, true, drate_1, drate_0, low_density])
            }
            InterfaceMode::Model30 => {
                let gate = digital_output & dor::DMA_GATE != 0;
                byte([!disk_change, false, false, false, gate, no_precompensation, drate_1, drate_0])
            }
        }
    }
}

impl InterfaceMode {
    /// INT and DRQ are driven.
    pub(super) fn drives_pins(self, digital_output: u8) -> bool {
        let needed = match self {
            Self::Ps2 => dor::NOT_RESET,
            Self::At | Self::Model30 => dor::NOT_RESET | dor::DMA_GATE,
        };
        digital_output & needed == needed
    }

    /// The bits of DIR that the chip drives.
    pub(super) const fn driven_by_digital_input(self) -> u8 {
        match self {
            Self::At => dir::DISK_CHANGE,
            Self::Ps2 | Self::Model30 => 0xFF,
        }
    }
}
