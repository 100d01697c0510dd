//! What SPECIFY, CONFIGURE, LOCK and PERPENDICULAR MODE set, and what a reset keeps of it.

use super::{
    registers::{configure, perpendicular},
    time::{MILLISECOND, Nanoseconds},
};
use crate::media::DataRate;

/// The settings of the command set (§7).
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// SRT and HUT, and HLT and ND. Undefined at power-on, and no reset changes them.
    pub specify: Specify,
    /// Byte 2 of CONFIGURE.
    pub configure: u8,
    /// PRETRK. It is kept for DUMPREG alone.
    pub precompensation_start: u8,
    pub lock: bool,
    /// D3 to D0, GAP and WGATE of PERPENDICULAR MODE. They are kept for DUMPREG alone (§7.4).
    pub perpendicular: u8,
    /// SC of the last FORMAT TRACK, or EOT of the last transfer: byte 6 of DUMPREG.
    pub last_track_length: u8,
}

impl Settings {
    /// Returns the settings at power-on (§1.11).
    pub(super) fn new() -> Self {
        Self {
            specify: Specify([0; 2]),
            configure: configure::FIFO_OFF,
            precompensation_start: 0,
            lock: false,
            perpendicular: 0,
            last_track_length: 0,
        }
    }

    /// Resets what a software reset resets. LOCK keeps the settings of the FIFO and PRETRK, but neither EIS nor POLL.
    pub(super) fn software_reset(&mut self) {
        if self.lock {
            self.configure &= configure::FIFO_OFF | configure::THRESHOLD;
        } else {
            self.configure = configure::FIFO_OFF;
            self.precompensation_start = 0;
        }
        self.perpendicular &= perpendicular::DRIVES;
    }

    /// Resets what the RESET pin resets. SPECIFY survives (§1.11).
    pub(super) fn hardware_reset(&mut self) {
        (self.lock, self.perpendicular) = (false, 0);
        self.software_reset();
    }

    /// Carries CONFIGURE out (§7.2).
    pub(super) fn set_configure(&mut self, byte: u8, precompensation_start: u8) {
        self.configure = byte & configure::ALL;
        self.precompensation_start = precompensation_start;
    }

    /// Carries PERPENDICULAR MODE out (§7.4). The drive bits change only with OW set.
    pub(super) fn set_perpendicular(&mut self, value: u8) {
        let written = match value & perpendicular::OVERWRITE {
            0 => perpendicular::GAP_AND_GATE,
            _ => perpendicular::GAP_AND_GATE | perpendicular::DRIVES,
        };
        self.perpendicular = self.perpendicular & !written | value & written;
    }

    /// Returns whether EIS is set: a transfer seeks first.
    pub(super) fn implied_seek(&self) -> bool {
        self.configure & configure::IMPLIED_SEEK != 0
    }

    /// Returns the threshold of the FIFO in bytes, 1 to 16; `None` when the FIFO is off.
    pub(super) fn fifo_threshold(&self) -> Option<u8> {
        (self.configure & configure::FIFO_OFF == 0).then_some((self.configure & configure::THRESHOLD) + 1)
    }

    /// Returns the ten bytes of DUMPREG (§3.19) for the present cylinder numbers.
    pub(super) fn dump(&self, [c0, c1, c2, c3]: [u8; 4]) -> [u8; 10] {
        let Self { specify: Specify([srt_hut, hlt_nd]), configure, precompensation_start, .. } = *self;
        let lock_perpendicular = u8::from(self.lock) << 7 | self.perpendicular;
        let sc_eot = self.last_track_length;
        [c0, c1, c2, c3, srt_hut, hlt_nd, sc_eot, lock_perpendicular, configure, precompensation_start]
    }
}

/// The two parameters of SPECIFY. The times grow as the data rate falls (§7.1).
#[derive(Clone, Copy, Debug)]
pub(super) struct Specify(pub [u8; 2]);

impl Specify {
    /// Returns whether data moves by DMA: ND is 0.
    #[inline]
    pub(super) fn uses_dma(self) -> bool {
        self.0[1] & 1 == 0
    }

    /// Returns SRT, the time between two steps: 0.5 to 32 ms.
    pub(super) fn step_interval(self, rate: DataRate) -> Nanoseconds {
        at_rate(16 - Nanoseconds::from(self.0[0] >> 4), rate)
    }

    /// Returns HLT, the time from the start of a command to the first ID: 1 to 512 ms.
    pub(super) fn head_load(self, rate: DataRate) -> Nanoseconds {
        let code = Nanoseconds::from(self.0[1] >> 1);
        at_rate(if code == 0 { 128 } else { code } * 2, rate)
    }

    /// Returns HUT, the time from the end of a command until the head is unloaded: 8 to 512 ms.
    pub(super) fn head_unload(self, rate: DataRate) -> Nanoseconds {
        let code = Nanoseconds::from(self.0[0] & 0x0F);
        at_rate(if code == 0 { 16 } else { code } * 16, rate)
    }
}

/// Scales a time in milliseconds at 500 kb/s to another rate.
fn at_rate(milliseconds: Nanoseconds, rate: DataRate) -> Nanoseconds {
    milliseconds * MILLISECOND * 500 / Nanoseconds::from(rate.kbps())
}
