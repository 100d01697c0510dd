//! When a data command goes on: deadlines on a disk that rotates, and the time that bytes take to pass the head.

use crate::{
    controller::{
        time::{MILLISECOND, Nanoseconds, Rotation},
        track_layout::{CRC, TrackLayout},
    },
    drive::Head,
    media::{DataRate, Encoding, Track},
};

/// Rate and encoding of a command, sampled when it starts (§7.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::controller) struct Recording {
    pub rate: DataRate,
    pub encoding: Encoding,
}

impl Recording {
    /// Returns the bits in a millisecond.
    fn bits_per_millisecond(self) -> u64 {
        let cells = u64::from(self.rate.kbps());
        if self.encoding == Encoding::Fm { cells / 2 } else { cells }
    }

    /// Returns the time that `bytes` bytes take to pass the head, rounded up.
    fn time_of(self, bytes: usize) -> Nanoseconds {
        (bytes as Nanoseconds * 8 * MILLISECOND).div_ceil(self.bits_per_millisecond())
    }

    /// Returns the whole bytes that pass the head in a time.
    fn bytes_in(self, time: Nanoseconds) -> usize {
        let bytes = u128::from(time) * u128::from(self.bits_per_millisecond()) / 8 / u128::from(MILLISECOND);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }
}

/// The disk under a head at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passing {
    pub now: Nanoseconds,
    pub recording: Recording,
    rotation: Rotation,
    /// Bytes that pass the head in a revolution.
    pub capacity: usize,
}

impl Passing {
    pub(super) fn under(head: &Head<'_>, recording: Recording, now: Nanoseconds) -> Self {
        let capacity = head.track_capacity(recording.rate, recording.encoding);
        Self { now, recording, rotation: Rotation { rpm: head.rpm() }, capacity }
    }

    /// Returns the slot of the sector that passes next.
    pub(super) fn next_slot(self, track: &Track<'_>) -> usize {
        let starts = TrackLayout::of(self.recording.encoding).starts(track, self.capacity);
        let next = starts.enumerate().min_by_key(|&(_, start)| self.next_pass(start));
        next.map_or(0, |(slot, _)| slot)
    }

    /// Returns when the place `bytes` behind the index hole passes next.
    fn next_pass(self, bytes: usize) -> Nanoseconds {
        self.rotation.next_pass(self.now, self.recording.time_of(bytes))
    }
}

/// The deadlines of a data command.
#[derive(Clone, Copy, Debug)]
pub(in crate::controller) struct Schedule {
    /// When what the command waits for comes.
    pub due: Nanoseconds,
    /// When the data field under the head, or the track that is formatted, began to pass, or begins.
    pub data_start: Nanoseconds,
    /// The host has all bytes that have passed.
    pub host_is_served: bool,
    /// The command has begun to wait for the index hole at which READ TRACK and FORMAT TRACK start.
    pub index_awaited: bool,
    /// No disk turned when the command looked last.
    pub spindle_stopped: bool,
}

impl Schedule {
    /// Returns the schedule of a command that goes on at `due`.
    pub(in crate::controller) const fn new(due: Nanoseconds) -> Self {
        Self { due, data_start: due, host_is_served: false, index_awaited: false, spindle_stopped: false }
    }

    /// Returns how many bytes of the data field, or of the track, have passed.
    pub(super) fn bytes_elapsed(&self, recording: Recording, now: Nanoseconds) -> usize {
        recording.bytes_in(now.saturating_sub(self.data_start))
    }

    /// Waits for the ID of the sector in `slot`.
    pub(super) fn await_id(&mut self, disk: Passing, track: &Track<'_>, slot: usize) {
        let place = TrackLayout::of(disk.recording.encoding).place(track, slot, disk.capacity);
        let start = disk.next_pass(place.start);
        self.data_start = start + disk.recording.time_of(place.data);
        self.due = start + disk.recording.time_of(place.id);
    }

    /// Waits for the first `bytes` bytes of the data of the sector in `slot`.
    pub(super) fn await_data(&mut self, disk: Passing, track: &Track<'_>, slot: usize, bytes: usize) {
        self.await_id(disk, track, slot);
        self.await_byte(disk.recording, bytes);
    }

    /// Waits for the first `bytes` bytes of the same data.
    pub(super) fn await_byte(&mut self, recording: Recording, bytes: usize) {
        self.due = self.data_start + recording.time_of(bytes);
    }

    /// Waits for the end of the same data, of `size` bytes, and its CRC.
    pub(super) fn await_end(&mut self, recording: Recording, size: usize) {
        self.await_byte(recording, size + CRC);
    }

    /// Waits for an index pulse: the first from now on, or a later one.
    pub(super) fn await_index(&mut self, disk: Passing, pulses: u64) {
        let Passing { now, rotation, .. } = disk;
        self.data_start = rotation.index(rotation.revolution(now) + pulses);
        self.due = self.data_start;
    }
}
