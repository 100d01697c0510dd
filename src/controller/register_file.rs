//! The latches behind DOR, TDR, DSR and CCR, and what SRA, SRB and DIR show in each interface mode.

use super::{
    config::InterfaceMode,
    registers::{ccr, dor, tdr},
};
use crate::{drive::StepDirection, media::DataRate};

/// What passed between the chip and the head of a drive.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HeadActivity {
    /// An ID or a data field was read.
    pub read: bool,
    /// A data field or a track was written.
    pub written: bool,
}

/// What happened on the drive interface: the flip-flops of Model 30, and the toggles of PS/2.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Activity {
    /// STEP flip-flop: a step pulse went out.
    pub step: bool,
    /// RDDATA flip-flop: data came from a head.
    pub read_data: bool,
    /// WRDATA and WE flip-flops: data went to a head.
    pub write_data: bool,
    /// RDDATA toggle. Only a hardware reset clears it.
    pub read_toggle: bool,
    /// WRDATA toggle. Only a hardware reset clears it.
    pub write_toggle: bool,
}

/// The levels of pins that the register file shows and does not own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pins {
    /// INT.
    pub interrupt: bool,
    /// DRQ.
    pub dma_request: bool,
    /// WE: bytes are being written to the disk.
    pub write_enable: bool,
    /// DRV2: a second drive is installed.
    pub second_drive: bool,
    /// TRK0 of the selected drive.
    pub track_0: bool,
    /// WP of the selected drive.
    pub write_protect: bool,
    /// INDX of the selected drive.
    pub index: bool,
    /// DSKCHG of the selected drive.
    pub disk_change: bool,
}

/// The latches.
#[derive(Clone, Debug)]
pub(super) struct RegisterFile {
    pub digital_output: u8,
    pub tape_drive: u8,
    /// DRATE, the latch that DSR and CCR share.
    pub rate: DataRate,
    /// NOPREC, bit 2 of the CCR of Model 30. It has no function.
    pub no_precompensation: bool,
    pub activity: Activity,
    /// DIR output: the direction of the last step.
    pub direction: StepDirection,
    /// HDSEL output: the head that the last command selected, 0 or 1.
    pub head_select: u8,
}

impl RegisterFile {
    /// Returns the latches as after a hardware reset (§1.11).
    pub(super) fn new() -> Self {
        Self {
            digital_output: 0,
            tape_drive: 0,
            rate: DataRate::Kbps250,
            no_precompensation: false,
            activity: Activity::default(),
            direction: StepDirection::Out,
            head_select: 0,
        }
    }

    /// Writes the TDR.
    pub(super) fn write_tape_drive(&mut self, value: u8) {
        self.tape_drive = value & tdr::TAPE_SELECT;
    }

    /// Writes the CCR.
    pub(super) fn write_configuration_control(&mut self, value: u8) {
        self.rate = DataRate::from_bits(value);
        self.no_precompensation = value & ccr::NO_PRECOMPENSATION != 0;
    }

    /// Returns the number of the drive that the DOR selects. The DS bits of a command select none (§1.4).
    #[inline]
    pub(super) fn selected(&self) -> usize {
        usize::from(self.digital_output & dor::SELECT)
    }

    /// Returns whether the motor of the selected drive is on.
    #[inline]
    pub(super) fn motor_on(&self) -> bool {
        self.motor_of(self.digital_output & dor::SELECT)
    }

    /// Returns whether the chip is out of the reset by the DOR.
    pub(super) fn is_running(&self) -> bool {
        self.digital_output & dor::NOT_RESET != 0
    }

    /// Returns whether INT and DRQ are driven, and DACK and TC seen (§1.4).
    #[inline]
    pub(super) fn drives_pins(&self, mode: InterfaceMode) -> bool {
        let needed = match mode {
            InterfaceMode::Ps2 => dor::NOT_RESET,
            InterfaceMode::At | InterfaceMode::Model30 => dor::NOT_RESET | dor::DMA_GATE,
        };
        self.digital_output & needed == needed
    }

    /// Records what a command has done on the disk.
    #[inline]
    pub(super) fn record(&mut self, activity: HeadActivity) {
        self.activity.read_data |= activity.read;
        self.activity.read_toggle ^= activity.read;
        self.activity.write_data |= activity.written;
        self.activity.write_toggle ^= activity.written;
    }

    /// Records a step pulse.
    pub(super) fn record_step(&mut self, direction: StepDirection) {
        self.direction = direction;
        self.activity.step = true;
    }

    /// Clears the flip-flops of Model 30, as a read of DIR and each reset do (§1.3).
    pub(super) fn clear_flip_flops(&mut self) {
        let Activity { read_toggle, write_toggle, .. } = self.activity;
        self.activity = Activity { read_toggle, write_toggle, ..Activity::default() };
    }

    fn motor_of(&self, drive: u8) -> bool {
        self.digital_output & dor::MOTOR_0 << drive != 0
    }

    /// Returns SRA (§1.2). Step pulses are over before software can look.
    pub(super) fn status_a(&self, mode: InterfaceMode, pins: Pins) -> u8 {
        let Pins { interrupt, dma_request, second_drive, track_0, write_protect, index, .. } = pins;
        let (head_1, step_in) = (self.head_select != 0, self.direction == StepDirection::In);
        match mode {
            InterfaceMode::At => 0xFF,
            InterfaceMode::Ps2 => {
                byte([interrupt, !second_drive, false, !track_0, head_1, !index, !write_protect, step_in])
            }
            InterfaceMode::Model30 => {
                byte([interrupt, dma_request, self.activity.step, track_0, !head_1, index, write_protect, !step_in])
            }
        }
    }

    /// Returns SRB (§1.3).
    pub(super) fn status_b(&self, mode: InterfaceMode, pins: Pins) -> u8 {
        let Activity { read_data, write_data, read_toggle, write_toggle, .. } = self.activity;
        // A drive is selected only with its motor on, so that none is at power-on.
        let not_selected = |drive: u8| self.digital_output & dor::SELECT != drive || !self.motor_of(drive);
        match mode {
            InterfaceMode::At => 0xFF,
            InterfaceMode::Ps2 => byte([
                true,
                true,
                self.digital_output & 1 != 0,
                write_toggle,
                read_toggle,
                pins.write_enable,
                self.motor_of(1),
                self.motor_of(0),
            ]),
            InterfaceMode::Model30 => byte([
                !pins.second_drive,
                not_selected(1),
                not_selected(0),
                write_data,
                read_data,
                write_data, // WE goes with WRDATA.
                not_selected(3),
                not_selected(2),
            ]),
        }
    }

    /// Returns DIR (§1.9). Bits that are not driven read as ones.
    pub(super) fn digital_input(&self, mode: InterfaceMode, disk_change: bool) -> u8 {
        let [drate_1, drate_0] = [self.rate as u8 & 0b10 != 0, self.rate as u8 & 0b01 != 0];
        match mode {
            InterfaceMode::At => byte([disk_change, true, true, true, true, true, true, true]),
            InterfaceMode::Ps2 => {
                let low_density = matches!(self.rate, DataRate::Kbps300 | DataRate::Kbps250);
                byte([disk_change, true, true, true, true, drate_1, drate_0, low_density])
            }
            InterfaceMode::Model30 => {
                let gate = self.digital_output & dor::DMA_GATE != 0;
                byte([!disk_change, false, false, false, gate, self.no_precompensation, drate_1, drate_0])
            }
        }
    }
}

/// Makes a byte of its bits, bit 7 first.
fn byte(bits: [bool; 8]) -> u8 {
    bits.into_iter().fold(0, |byte, bit| byte << 1 | u8::from(bit))
}
