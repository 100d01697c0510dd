//! The 8254 timer of a PC: channel 0 is the clock tick, channel 2 the tone of the speaker, with which software measures
//! time. It counts the time of the host, and in binary only.

use std::time::Duration;

const HERTZ: u128 = 1_193_182;
const NANOSECONDS: u128 = 1_000_000_000;

/// Byte of the count that is accessed next.
#[derive(Clone, Copy, Default, PartialEq)]
enum Byte {
    #[default]
    Low,
    High,
}

#[derive(Default)]
struct Channel {
    mode: u8,
    /// Bits 5..4 of the control word: low byte, high byte, or both in turn.
    access: u8,
    /// Counts of a period.
    reload: u32,
    /// Time at which the count was written; `None` before the first write.
    started: Option<Duration>,
    write_next: Byte,
    low: u8,
    read_next: Byte,
    latched: Option<u16>,
}

impl Channel {
    fn is_periodic(&self) -> bool {
        matches!(self.mode, 2 | 3)
    }

    fn ticks(&self, now: Duration) -> u128 {
        self.started.map_or(0, |started| now.saturating_sub(started).as_nanos() * HERTZ / NANOSECONDS)
    }

    /// Returns how often the output rose at the end of a count.
    fn ends(&self, now: Duration) -> u128 {
        match self.started {
            None => 0,
            Some(_) if self.is_periodic() => self.ticks(now) / u128::from(self.reload),
            Some(_) => u128::from(self.ticks(now) >= u128::from(self.reload)),
        }
    }

    /// Returns the time at which the output rises for the time number `ends`.
    fn time_of_end(&self, ends: u128) -> Option<Duration> {
        let nanoseconds = (ends * u128::from(self.reload) * NANOSECONDS).div_ceil(HERTZ);
        Some(self.started? + Duration::from_nanos(nanoseconds as u64))
    }

    fn output(&self, now: Duration) -> bool {
        if self.mode == 3 {
            self.ticks(now) % u128::from(self.reload.max(1)) * 2 < u128::from(self.reload)
        } else {
            self.is_periodic() || self.ends(now) > 0
        }
    }

    fn count(&self, now: Duration) -> u16 {
        let (ticks, reload) = (self.ticks(now), u128::from(self.reload.max(1)));
        match self.mode {
            2 => (reload - ticks % reload) as u16,
            3 => (reload - ticks * 2 % reload) as u16,
            _ => u128::from(self.reload).wrapping_sub(ticks) as u16,
        }
    }

    fn control(&mut self, now: Duration, value: u8) {
        if value & 0x30 == 0 {
            self.latched = self.latched.or(Some(self.count(now)));
            return;
        }
        let mode = value >> 1 & 7;
        *self = Self { mode: if mode > 5 { mode & 3 } else { mode }, access: value >> 4 & 3, ..Self::default() };
        if self.access == 2 {
            (self.write_next, self.read_next) = (Byte::High, Byte::High);
        }
    }

    fn write(&mut self, now: Duration, value: u8) {
        if self.write_next == Byte::Low {
            self.low = value;
            if self.access == 3 {
                self.write_next = Byte::High;
                return;
            }
            self.load(now, u16::from(value));
        } else {
            self.load(now, u16::from_le_bytes([self.low, value]));
            if self.access == 3 {
                self.write_next = Byte::Low;
            }
        }
    }

    fn load(&mut self, now: Duration, count: u16) {
        self.reload = if count == 0 { 0x1_0000 } else { u32::from(count) };
        self.started = Some(now);
    }

    fn read(&mut self, now: Duration) -> u8 {
        let [low, high] = self.latched.unwrap_or_else(|| self.count(now)).to_le_bytes();
        let byte = if self.read_next == Byte::Low { low } else { high };
        if self.access == 3 && self.read_next == Byte::Low {
            self.read_next = Byte::High;
        } else {
            self.latched = None;
            if self.access == 3 {
                self.read_next = Byte::Low;
            }
        }
        byte
    }
}

/// The timer, with its bits of port 0x61.
#[derive(Default)]
pub struct Pit {
    channels: [Channel; 3],
    /// Ends of the count of channel 0 that were reported.
    reported: u128,
    speaker: u8,
    /// Bit 4 of port 0x61, which toggles with the refresh of memory: here with each read.
    refresh: bool,
}

impl Pit {
    /// Returns `true` if IRQ 0 rose since the last call. Several ticks since then count as one.
    pub fn ticked(&mut self, now: Duration) -> bool {
        let ends = self.channels[0].ends(now);
        let ticked = ends > self.reported;
        self.reported = ends;
        ticked
    }

    /// Returns the time at which IRQ 0 rises next.
    pub fn deadline(&self) -> Option<Duration> {
        let channel = &self.channels[0];
        if !channel.is_periodic() && self.reported > 0 {
            return None;
        }
        channel.time_of_end(self.reported + 1)
    }

    pub fn read(&mut self, now: Duration, port: u16) -> Option<u8> {
        match port {
            0x40..=0x42 => Some(self.channels[usize::from(port & 3)].read(now)),
            0x61 => {
                self.refresh = !self.refresh;
                let output = self.channels[2].output(now);
                Some(self.speaker & 0x0F | u8::from(self.refresh) << 4 | u8::from(output) << 5)
            }
            _ => None,
        }
    }

    pub fn write(&mut self, now: Duration, port: u16, value: u8) -> bool {
        match port {
            0x40..=0x42 => {
                self.channels[usize::from(port & 3)].write(now, value);
                self.restart(port & 3);
            }
            // Channel number 3 is the read-back command, which is not implemented.
            0x43 => {
                if let Some(channel) = self.channels.get_mut(usize::from(value >> 6)) {
                    channel.control(now, value);
                    if value & 0x30 != 0 {
                        self.restart(u16::from(value >> 6));
                    }
                }
            }
            0x61 => self.speaker = value,
            _ => return false,
        }
        true
    }

    /// Clears the reported ends of a channel that starts again.
    fn restart(&mut self, channel: u16) {
        if channel == 0 {
            self.reported = 0;
        }
    }
}
