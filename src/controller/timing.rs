//! Time: what a drive and the chip take for what they do, and how a command waits for it.

use std::time::Duration;

use crate::{
    drive::{DriveType, Head},
    media::{DataRate, Encoding, Track, sector_size},
};

/// Whether what the guest asks for takes time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Timing {
    /// Each command ends within the access that gives it its last byte, as far as the host moves its data.
    #[default]
    Immediate,
    /// Steps, head load, spin-up, the turning of the disk and each byte take the time that they take in a real drive, as
    /// the embedder tells it by [`Controller::advance`](crate::Controller::advance). Status and data are the same, but
    /// that a host can be late (ST1.OR) and that READ ID gives the sector that passes next.
    ///
    #[doc = include_str!("times.md")]
    Authentic,
}

/// A moment, or a span: nanoseconds since the controller was built.
pub(super) type Nanoseconds = u64;

const MICROSECOND: Nanoseconds = 1_000;
const MILLISECOND: Nanoseconds = 1_000_000;
const MINUTE: u128 = 60_000_000_000;

/// The clock after `elapsed` has passed, as far as that makes a difference: all disks turn a whole number of times in a
/// second, and nothing lasts for an hour. After 292 years of hours it stands still.
pub(super) fn later(now: Nanoseconds, elapsed: Duration) -> Nanoseconds {
    const HOUR: Duration = Duration::from_secs(3_600);
    let elapsed = if elapsed > HOUR { HOUR + Duration::from_nanos(elapsed.subsec_nanos().into()) } else { elapsed };
    (now + elapsed.as_nanos() as Nanoseconds).min(END_OF_TIME)
}

/// Where the clock stands still. What is to come can be later by any span that there is.
pub(super) const END_OF_TIME: Nanoseconds = Nanoseconds::MAX / 2;

/// From the end of a reset to the first look at the drives. At most 250 us are known to do.
pub(super) const POLLING: Nanoseconds = 100 * MICROSECOND;

/// How long the index hole is under its sensor, of 1.5 to 5 ms that are usual.
const INDEX_PULSE: Nanoseconds = 2 * MILLISECOND;

/// From the last step until the head rests.
pub(super) const SETTLING: Nanoseconds = 15 * MILLISECOND;

/// From the motor's start until the disk turns at speed.
pub(super) const fn spin_up(drive_type: DriveType) -> Nanoseconds {
    drive_type.spin_up() * MILLISECOND
}

/// What SPECIFY sets, in units that grow as the data rate falls.
#[derive(Clone, Copy, Debug)]
pub(super) struct StepsAndHead {
    pub specify: [u8; 2],
    pub rate: DataRate,
}

impl StepsAndHead {
    fn at_500_kbps(self, time: Nanoseconds) -> Nanoseconds {
        time * 500 / Nanoseconds::from(self.rate.kbps())
    }

    /// SRT: between two steps, 0.5 to 32 ms.
    pub(super) fn step(self) -> Nanoseconds {
        self.at_500_kbps((16 - Nanoseconds::from(self.specify[0] >> 4)) * MILLISECOND)
    }

    /// HLT: from the start of a command to the first ID, 1 to 512 ms.
    pub(super) fn head_load(self) -> Nanoseconds {
        let code = Nanoseconds::from(self.specify[1] >> 1);
        self.at_500_kbps(if code == 0 { 128 } else { code } * 2 * MILLISECOND)
    }

    /// HUT: from the end of a command until the head is lifted, 8 to 512 ms.
    pub(super) fn head_unload(self) -> Nanoseconds {
        let code = Nanoseconds::from(self.specify[0] & 0x0F);
        self.at_500_kbps(if code == 0 { 16 } else { code } * 16 * MILLISECOND)
    }
}

/// How a track is laid out, in bytes.
struct Layout {
    /// From the index hole to the first sector: gap 4a, sync, index mark, gap 1.
    before_first: usize,
    /// From the start of a sector to the end of its ID: sync, mark, ID, CRC.
    id: usize,
    /// From the start of a sector to its data: the ID, gap 2, sync, mark.
    before_data: usize,
    /// All of a sector but its data and the gap behind.
    around: usize,
}

const CRC: usize = 2;

impl Layout {
    const fn of(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Mfm => Self { before_first: 146, id: 22, before_data: 60, around: 62 },
            Encoding::Fm => Self { before_first: 73, id: 13, before_data: 31, around: 33 },
        }
    }

    /// Where the sector in place `slot` begins, on a track of `capacity` bytes, and how it is laid out there. The gaps are
    /// those with which such disks are formatted, or as large as there is room for. Where there is room for none, all
    /// sectors are at the same distance, and their marks as close as it takes to read one after the other.
    fn start(mut self, track: &Track<'_>, slot: usize, capacity: usize) -> (usize, Self) {
        let start = self.starts(track, capacity).nth(slot).unwrap_or(0);
        if self.gap(track, capacity).is_none() {
            let distance = capacity / track.len().max(1);
            let marks = distance.saturating_sub(size(track, slot) + CRC + 1).max(1);
            (self.id, self.before_data) = (self.id.min(marks), self.before_data.min(marks));
        }
        (start, self)
    }

    /// Where the sectors of a track begin, in their order.
    fn starts(&self, track: &Track<'_>, capacity: usize) -> impl Iterator<Item = usize> {
        let gap = self.gap(track, capacity);
        let (mut next, around) = (if gap.is_some() { self.before_first } else { 0 }, self.around);
        (0..track.len()).map(move |slot| {
            let distance = gap.map_or(capacity / track.len(), |gap| size(track, slot) + around + gap);
            let start = next;
            next += distance;
            start
        })
    }

    /// Bytes between two sectors of a track, if there is room for any.
    fn gap(&self, track: &Track<'_>, capacity: usize) -> Option<usize> {
        let all: usize = (0..track.len()).map(|slot| size(track, slot) + self.around).sum();
        let room = capacity.checked_sub(self.before_first + all)?;
        Some((room / track.len().max(1)).min(usual_gap(track.rate)))
    }
}

/// Bytes in the data field of a sector, as its ID has it.
fn size(track: &Track<'_>, slot: usize) -> usize {
    track.sector(slot).and_then(|sector| sector_size(sector.id.size_code)).unwrap_or(0)
}

/// GPL of FORMAT TRACK with sectors of 512 bytes.
const fn usual_gap(rate: DataRate) -> usize {
    match rate {
        DataRate::Kbps250 | DataRate::Kbps300 => 0x50,
        DataRate::Kbps500 => 0x6C,
        DataRate::Kbps1000 => 0x53,
    }
}

/// When a command goes on.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Schedule {
    /// The moment at which what it waits for comes.
    pub due: Nanoseconds,
    /// The moment at which the data field under the head begins to pass, or began.
    data: Nanoseconds,
    rate: DataRate,
    encoding: Encoding,
}

impl Schedule {
    /// A command that is under way at `due`.
    pub(super) const fn new(due: Nanoseconds, rate: DataRate, encoding: Encoding) -> Self {
        Self { due, data: due, rate, encoding }
    }

    /// It is one that the chip can be in: no moment is farther off than a few minutes.
    pub(super) fn is_sound(&self, now: Nanoseconds) -> bool {
        const FAR: Nanoseconds = 1_000_000 * MILLISECOND;
        self.due <= now.saturating_add(FAR) && self.data <= now.saturating_add(FAR)
    }

    /// What so many bytes take to pass the head.
    fn time_of(&self, count: usize) -> Nanoseconds {
        let bits = count as Nanoseconds * if self.encoding == Encoding::Fm { 16 } else { 8 };
        (bits * MILLISECOND).div_ceil(self.rate.kbps().into())
    }
}

/// How a command waits for the disk.
pub(super) trait Pace {
    /// Sectors and bytes pass one by one.
    const TIMED: bool;

    /// What the command has waited for has come.
    fn is_due(&self) -> bool {
        true
    }

    /// The place on the track that passes next.
    fn next_slot(&self, head: &Head<'_>, track: &Track<'_>) -> usize {
        let _ = track;
        head.slot()
    }

    /// Waits for the ID of the sector in place `slot`.
    fn to_id(&mut self, head: &Head<'_>, track: &Track<'_>, slot: usize) {
        let _ = (head, track, slot);
    }

    /// Waits for the first `count` bytes of the data of the sector in place `slot`.
    fn to_data(&mut self, head: &Head<'_>, track: &Track<'_>, slot: usize, count: usize) {
        let _ = (head, track, slot, count);
    }

    /// Waits for the first `count` bytes of the same data.
    fn to_byte(&mut self, count: usize) {
        let _ = count;
    }

    /// Waits for the end of the same data, of `size` bytes, and its CRC.
    fn to_end(&mut self, size: usize) {
        let _ = size;
    }

    /// Waits for an index pulse, the first from now on or the second.
    fn to_index(&mut self, head: &Head<'_>, pulses: u64) {
        let _ = (head, pulses);
    }

    /// Of `wanted` bytes of the data, those that have passed.
    fn passed(&self, wanted: usize) -> usize {
        wanted
    }
}

/// Nothing takes time.
pub(super) struct AtOnce;

impl Pace for AtOnce {
    const TIMED: bool = false;
}

/// All that the disk does takes its time.
pub(super) struct Timed<'a> {
    pub now: Nanoseconds,
    pub schedule: &'a mut Schedule,
}

impl Timed<'_> {
    /// When the place `bytes` from the index hole passes, from now on.
    fn passes(&self, head: &Head<'_>, bytes: usize) -> Nanoseconds {
        let (turn, offset) = (turn_of(self.now, head.rpm()), self.schedule.time_of(bytes));
        let time = index(turn, head.rpm()) + offset;
        if time >= self.now { time } else { index(turn + 1, head.rpm()) + offset }
    }

    /// When the sector in place `slot` begins to pass, from now on, and how it is laid out.
    fn start(&self, head: &Head<'_>, track: &Track<'_>, slot: usize) -> (Nanoseconds, Layout) {
        let capacity = head.track_capacity(self.schedule.rate, self.schedule.encoding);
        let (start, layout) = Layout::of(self.schedule.encoding).start(track, slot, capacity);
        (self.passes(head, start), layout)
    }
}

impl Pace for Timed<'_> {
    const TIMED: bool = true;

    fn is_due(&self) -> bool {
        self.schedule.due <= self.now
    }

    fn next_slot(&self, head: &Head<'_>, track: &Track<'_>) -> usize {
        let capacity = head.track_capacity(self.schedule.rate, self.schedule.encoding);
        let layout = Layout::of(self.schedule.encoding);
        let next = layout.starts(track, capacity).enumerate().min_by_key(|&(_, start)| self.passes(head, start));
        next.map_or(0, |(slot, _)| slot)
    }

    fn to_id(&mut self, head: &Head<'_>, track: &Track<'_>, slot: usize) {
        let (start, layout) = self.start(head, track, slot);
        self.schedule.due = start + self.schedule.time_of(layout.id);
    }

    fn to_data(&mut self, head: &Head<'_>, track: &Track<'_>, slot: usize, count: usize) {
        let (start, layout) = self.start(head, track, slot);
        self.schedule.data = start + self.schedule.time_of(layout.before_data);
        self.to_byte(count);
    }

    fn to_byte(&mut self, count: usize) {
        self.schedule.due = self.schedule.data + self.schedule.time_of(count);
    }

    fn to_end(&mut self, size: usize) {
        self.to_byte(size + CRC);
    }

    fn to_index(&mut self, head: &Head<'_>, pulses: u64) {
        self.schedule.data = index(turn_of(self.now, head.rpm()) + pulses, head.rpm());
        self.schedule.due = self.schedule.data;
    }

    fn passed(&self, wanted: usize) -> usize {
        let since = u128::from(self.now.saturating_sub(self.schedule.data));
        let bit_rate =
            u128::from(self.schedule.rate.kbps()) / if self.schedule.encoding == Encoding::Fm { 2 } else { 1 };
        let bytes = since * bit_rate / 8 / u128::from(MILLISECOND);
        usize::try_from(bytes).unwrap_or(usize::MAX).min(wanted)
    }
}

/// When the index hole passes for the `turn`th time.
fn index(turn: u64, rpm: u32) -> Nanoseconds {
    Nanoseconds::try_from(u128::from(turn) * MINUTE / u128::from(rpm)).unwrap_or(Nanoseconds::MAX / 2)
}

/// The index hole is under its sensor.
pub(super) fn index_pulse(now: Nanoseconds, rpm: u32) -> bool {
    now.saturating_sub(index(turn_of(now, rpm), rpm)) < INDEX_PULSE
}

/// How often the index hole has passed by now. A disk is thought to turn for ever, so that its phase is that of the clock.
fn turn_of(now: Nanoseconds, rpm: u32) -> u64 {
    let turn = (u128::from(now) * u128::from(rpm) / MINUTE) as u64;
    // The index hole passes in the nanosecond after the exact time at the latest.
    if index(turn + 1, rpm) <= now { turn + 1 } else { turn }
}
