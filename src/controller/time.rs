//! Virtual time: the clock of the chip, and the rotation of a disk on it.

use std::time::Duration;

/// A moment on the clock of the chip, which starts at 0 when the controller is built, or a span; in nanoseconds.
pub(super) type Nanoseconds = u64;

pub(super) const MICROSECOND: Nanoseconds = 1_000;
pub(super) const MILLISECOND: Nanoseconds = 1_000_000;
const MINUTE: u128 = 60_000_000_000;

/// One revolution at 300 rpm, the longest that there is.
pub(super) const REVOLUTION: Nanoseconds = 200 * MILLISECOND;

/// Where the clock stops. Any deadline can still be added to it without an overflow.
pub(super) const END_OF_TIME: Nanoseconds = Nanoseconds::MAX / 2;

/// Returns the clock after `elapsed`, as far as that makes a difference: all disks turn a whole number of times a second, and
/// nothing lasts an hour. So more than an hour counts as an hour and its fraction of a second.
pub(super) fn later(now: Nanoseconds, elapsed: Duration) -> Nanoseconds {
    const HOUR: Duration = Duration::from_secs(3_600);
    let elapsed = if elapsed > HOUR { HOUR + Duration::from_nanos(elapsed.subsec_nanos().into()) } else { elapsed };
    (now + elapsed.as_nanos() as Nanoseconds).min(END_OF_TIME)
}

/// The rotation of a disk. A disk turns as if it had turned since the clock started, so that its phase is the clock's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rotation {
    pub rpm: u32,
}

impl Rotation {
    /// How long the index hole is under its sensor; 1.5 to 5 ms are usual (§10.1).
    const INDEX_PULSE: Nanoseconds = 2 * MILLISECOND;

    /// Returns the moment at which the index hole passes for the `revolution`th time.
    pub(super) fn index(self, revolution: u64) -> Nanoseconds {
        Nanoseconds::try_from(u128::from(revolution) * MINUTE / u128::from(self.rpm)).unwrap_or(END_OF_TIME)
    }

    /// Returns how often the index hole has passed by `now`.
    pub(super) fn revolution(self, now: Nanoseconds) -> u64 {
        let revolution = (u128::from(now) * u128::from(self.rpm) / MINUTE) as u64;
        // `index` rounds down, so that the next index hole can have passed already.
        if self.index(revolution + 1) <= now { revolution + 1 } else { revolution }
    }

    /// Returns whether the index hole is under its sensor.
    pub(super) fn index_pulse(self, now: Nanoseconds) -> bool {
        now.saturating_sub(self.index(self.revolution(now))) < Self::INDEX_PULSE
    }

    /// Returns when the place `offset` behind the index hole passes next, from `now` on.
    pub(super) fn next_pass(self, now: Nanoseconds, offset: Nanoseconds) -> Nanoseconds {
        let revolution = self.revolution(now);
        let time = self.index(revolution) + offset;
        if time >= now { time } else { self.index(revolution + 1) + offset }
    }
}
