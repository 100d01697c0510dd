//! FORMAT TRACK: the host gives the ID fields, and the medium takes a new track (§4.9).

use super::schedule::Recording;
use crate::{
    controller::{
        fifo::{HostPort, Place},
        track_layout::TrackLayout,
    },
    drive::Head,
    media::{MediumError, SectorId, TrackFormat, sector_size},
};

/// Bytes that the host gives for each sector: C, H, R and N.
pub(super) const ID_BYTES: usize = 4;

/// ID fields that a FORMAT TRACK can ask for: SC is a byte.
pub(in crate::controller) const MAX_ID_BYTES: usize = ID_BYTES * u8::MAX as usize;

/// A drive that turns 2 % slow has room for so much more: one byte in 50 (§9.7: up to 1.5 to 2 %).
const SLOW_DRIVE: usize = 50;

/// The ID fields that the host has given for a track.
#[derive(Clone, Debug)]
pub(in crate::controller) struct FormatIds(pub [u8; MAX_ID_BYTES]);

impl Default for FormatIds {
    fn default() -> Self {
        Self([0; MAX_ID_BYTES])
    }
}

impl FormatIds {
    /// Returns the ID fields that are whole among the first `received` bytes.
    fn whole(&self, received: usize) -> impl DoubleEndedIterator<Item = SectorId> {
        self.0[..received].chunks_exact(ID_BYTES).map(|id| SectorId {
            cylinder: id[0],
            head: id[1],
            sector: id[2],
            size_code: id[3],
        })
    }
}

/// What FORMAT TRACK asks for, and how far it is.
#[derive(Clone, Copy, Debug)]
pub(in crate::controller) struct Format {
    pub size_code: u8,
    /// SC: sectors on the track.
    pub sectors: u8,
    /// GPL: bytes of gap 3.
    pub gap_3: u8,
    /// D: what each data field is filled with.
    pub filler: u8,
    /// Bytes of ID fields that the host has given.
    pub received: u16,
    /// Bytes of ID fields that the track takes; `None` before a disk was seen, on which that depends.
    pub wanted: Option<u16>,
}

impl Format {
    pub(super) const fn new(size_code: u8, sectors: u8, gap_3: u8, filler: u8) -> Self {
        Self { size_code, sectors, gap_3, filler, received: 0, wanted: None }
    }

    /// Returns whether there are ID fields that the host has not given.
    pub(super) fn waits_for_host(&self) -> bool {
        self.wanted.is_none_or(|wanted| self.received < wanted)
    }

    /// Returns the bytes from the index hole to the first sector, and from the start of a sector to the next one, on a track of
    /// `capacity` bytes.
    pub(super) fn layout(&self, recording: Recording, capacity: usize) -> (usize, usize) {
        let layout = TrackLayout::of(recording.encoding);
        let pitch = layout.pitch(sector_size(self.size_code).unwrap_or(0), self.gap_3.into());
        let sectors = self.wanted.map_or(0, usize::from) / ID_BYTES;
        // A track that is longer than a revolution is written by a drive that turns slower: its sectors stand closer here.
        let fitting = capacity.saturating_sub(layout.before_first) / sectors.max(1);
        (layout.before_first, pitch.min(fitting.max(1)))
    }

    /// Works out how many ID fields the track under the head takes, and returns their bytes.
    pub(super) fn measure(&mut self, recording: Recording, head_number: u8, head: &Head<'_>) -> usize {
        let wanted = ID_BYTES * self.fitting_sectors(recording, head_number, head);
        self.wanted = Some(wanted as u16);
        wanted
    }

    /// Returns how many of the sectors fit between two index pulses. The second pulse ends the command, over whatever is
    /// being written (its status is not established).
    ///
    /// As many sectors of the same size as the track has now fit, whatever the gap: they did when it was written. Of others
    /// fit those that a slow drive has room for: drives turn up to 2 % slow, and tools count on it (§9.7).
    fn fitting_sectors(&self, recording: Recording, head_number: u8, head: &Head<'_>) -> usize {
        let Some(size) = sector_size(self.size_code) else { return 0 };
        let Recording { rate, encoding } = recording;
        let sectors = usize::from(self.sectors);
        let same = head.track(head_number).is_some_and(|track| {
            let of_size = |slot| track.sector(slot).is_some_and(|sector| sector.id.size_code == self.size_code);
            head.reads(&track, rate, encoding) && track.len() == sectors && (0..sectors).all(of_size)
        });
        if same {
            return sectors;
        }
        let layout = TrackLayout::of(encoding);
        let capacity = head.track_capacity(rate, encoding);
        let room = (capacity + capacity / SLOW_DRIVE).saturating_sub(layout.before_first);
        // The gap behind the last sector may be cut short.
        let gap_3 = usize::from(self.gap_3);
        sectors.min((room + gap_3) / layout.pitch(size, gap_3))
    }

    /// Takes ID fields of the host, up to `end` of the `wanted` bytes. Returns whether terminal count came.
    pub(super) fn take_ids(
        &mut self,
        ids: &mut FormatIds,
        end: usize,
        wanted: usize,
        port: &mut impl HostPort,
    ) -> bool {
        let received = usize::from(self.received);
        if received >= end {
            return false;
        }
        let moved = port.from_host(&mut ids.0[received..end], Place { size: wanted, offset: received });
        self.received += moved.bytes as u16;
        moved.terminal_count
    }

    /// Returns the last ID field that the host has given.
    pub(super) fn last_id(&self, ids: &FormatIds) -> Option<SectorId> {
        ids.whole(self.received.into()).next_back()
    }

    /// Writes the track with the ID fields that are there. Returns the number of its sectors.
    pub(super) fn write(
        &self,
        recording: Recording,
        given: &FormatIds,
        (head_number, head): (u8, &mut Head<'_>),
    ) -> Result<u32, MediumError> {
        if sector_size(self.size_code).is_none() {
            return Err(MediumError::Unsupported); // No data field is so long.
        }
        let mut ids = [SectorId::default(); u8::MAX as usize];
        let count = usize::from(self.received) / ID_BYTES;
        ids.iter_mut().zip(given.whole(self.received.into())).for_each(|(place, id)| *place = id);
        let Recording { rate, encoding } = recording;
        let format = TrackFormat {
            rate,
            encoding,
            ids: &ids[..count],
            size_code: self.size_code,
            filler: self.filler,
            cut_short: count < usize::from(self.sectors),
        };
        head.format_track(head_number, format)?;
        Ok(count as u32)
    }
}
