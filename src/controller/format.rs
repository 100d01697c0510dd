//! FORMAT TRACK: the host gives the ID fields, and the medium takes a new track.

use log::debug;

use super::{
    command::{MAX_COMMAND, MFM},
    fifo::{Field, Host},
    registers::{st0, st1},
    signals::Passed,
    timing::Pace,
    transfer::Progress,
};
use crate::{
    drive::Head,
    media::{DataRate, Encoding, MediumError, SectorId, TrackFormat, sector_size},
};

/// C, H, R and N: what the host gives for each sector.
const ID_BYTES: usize = 4;

/// What the host gives for a track of as many sectors as there can be.
#[derive(Clone, Debug)]
pub(super) struct FormatIds([u8; ID_BYTES * u8::MAX as usize]);

#[cfg(feature = "serde")]
impl serde::Serialize for FormatIds {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_slice().serialize(serializer)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for FormatIds {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Vec::<u8>::deserialize(deserializer)?;
        bytes.try_into().map(Self).map_err(|_| serde::de::Error::custom("not the ID fields of a track"))
    }
}

impl Default for FormatIds {
    fn default() -> Self {
        Self([0; ID_BYTES * u8::MAX as usize])
    }
}

impl FormatIds {
    /// The ID fields of which `received` bytes are there, as far as they are whole.
    fn whole(&self, received: usize) -> impl Iterator<Item = SectorId> {
        self.0[..received].chunks_exact(ID_BYTES).map(|id| SectorId {
            cylinder: id[0],
            head: id[1],
            record: id[2],
            size_code: id[3],
        })
    }
}

/// A FORMAT TRACK in its execution phase.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct FormatTrack {
    encoding: Encoding,
    rate: DataRate,
    /// HDS.
    side: u8,
    /// DS.
    unit: u8,
    size_code: u8,
    /// SC: sectors on the track.
    sectors: u8,
    /// GPL: bytes between two sectors.
    gap: u8,
    filler: u8,
    /// Bytes that the host has given.
    received: usize,
    has_all_ids: bool,
    /// The index hole has passed, and the track is being written.
    begun: bool,
    written: bool,
    /// With time: bytes go to the disk.
    writing: bool,
    /// The track was written.
    done: bool,
    ended: bool,
    st0: u8,
    st1: u8,
}

impl FormatTrack {
    pub(super) fn new(bytes: &[u8; MAX_COMMAND], rate: DataRate) -> Self {
        let [opcode, unit, size_code, sectors, gap, filler, ..] = *bytes;
        Self {
            encoding: if opcode & MFM != 0 { Encoding::Mfm } else { Encoding::Fm },
            rate,
            side: unit >> 2 & 1,
            unit: unit & 0b11,
            size_code,
            sectors,
            gap,
            filler,
            received: 0,
            has_all_ids: false,
            begun: false,
            written: false,
            writing: false,
            done: false,
            ended: false,
            st0: 0,
            st1: 0,
        }
    }

    /// It is one that the chip can be in.
    pub(super) fn is_sound(&self) -> bool {
        self.received <= ID_BYTES * usize::from(u8::MAX) && self.side < 2 && self.unit < 4
    }

    pub(super) fn rate(&self) -> DataRate {
        self.rate
    }

    pub(super) fn encoding(&self) -> Encoding {
        self.encoding
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// With time: the index hole has passed, and the gate to the disk is open.
    pub(super) fn is_writing(&self) -> bool {
        self.writing && !self.ended
    }

    /// There are IDs that the host has not given.
    pub(super) fn waits_for_host(&self) -> bool {
        !self.ended && !self.has_all_ids
    }

    pub(super) fn side(&self) -> u8 {
        self.side
    }

    /// Sectors that the track has now.
    pub(super) fn sectors_written(&self) -> u32 {
        if self.done { (self.received / ID_BYTES) as u32 } else { 0 }
    }

    /// What has passed the head since the last call: the track, when it was written anew.
    pub(super) fn take_passed(&mut self) -> Passed {
        Passed { read: false, written: std::mem::take(&mut self.written) }
    }

    /// ST0, ST1, ST2 and an ID without meaning: the last one that was received.
    pub(super) fn result(&self, ids: &FormatIds) -> [u8; 7] {
        let last = ids.whole(self.received).last();
        let SectorId { cylinder, head, record, size_code } = last.unwrap_or_default();
        [self.st0 | self.side << 2 | self.unit, self.st1, 0, cylinder, head, record, size_code]
    }

    /// Ends with IC = 01.
    pub(super) fn fail(&mut self, st1: u8) {
        self.st0 |= st0::ABNORMAL;
        self.st1 |= st1;
        self.ended = true;
    }

    /// The medium failed, or cannot hold such a track.
    #[cold]
    pub(super) fn fail_medium(&mut self, error: &MediumError) {
        debug!("FORMAT TRACK: {error}");
        self.fail(if matches!(error, MediumError::Io(_)) { st1::DATA_ERROR } else { 0 });
    }

    /// With time: the disk has stopped and turns again, and the index hole is to be waited for anew.
    pub(super) fn start_again(&mut self) {
        (self.begun, self.writing) = (false, false);
    }

    /// Takes ID fields for as long as the host gives some, and writes the track when all are there.
    pub(super) fn proceed<P: Pace>(
        &mut self,
        head: &mut Head<'_>,
        host: &mut impl Host,
        ids: &mut FormatIds,
        pace: &mut P,
    ) -> Progress {
        if !self.begun && !pace.is_due() {
            return Progress::Waiting;
        }
        if head.write_protected() {
            self.fail(st1::NOT_WRITABLE);
            return Progress::Ended;
        }
        let wanted = ID_BYTES * self.fitting_sectors(head);
        if P::TIMED {
            return self.proceed_in_time(head, host, ids, pace, wanted);
        }
        if self.received < wanted {
            let field = Field { size: wanted, passed: self.received };
            let moved = host.take(&mut ids.0[self.received..wanted], field);
            self.received += moved.bytes;
            if self.received < wanted && !moved.terminal_count {
                return Progress::Waiting;
            }
        }
        self.write(head, ids);
        // Terminal count before the last ID: the sectors without one underrun.
        if self.received < wanted {
            self.fail(st1::OVERRUN);
        }
        self.ended = true;
        Progress::Ended
    }

    /// The same from index hole to index hole: each ID has to be there when its sector begins, and the next ones are asked
    /// for as far as the FIFO holds them.
    fn proceed_in_time(
        &mut self,
        head: &mut Head<'_>,
        host: &mut impl Host,
        ids: &mut FormatIds,
        pace: &mut impl Pace,
        wanted: usize,
    ) -> Progress {
        let turn = head.track_capacity(self.rate, self.encoding);
        let (before_first, sector) = self.layout();
        if !self.begun {
            self.begun = true;
            pace.to_index(head, 1);
        }
        let passed = pace.passed(turn);
        self.writing = passed > 0;
        let begun = passed.checked_sub(before_first).map_or(0, |passed| (1 + passed / sector) * ID_BYTES);
        let due = begun.min(wanted);
        let asked = (due + host.request_size().max(ID_BYTES).next_multiple_of(ID_BYTES)).min(wanted);
        let mut terminal_count = false;
        if self.received < asked {
            let field = Field { size: wanted, passed: self.received };
            let moved = host.take(&mut ids.0[self.received..asked], field);
            self.received += moved.bytes;
            terminal_count = moved.terminal_count;
        }
        self.has_all_ids = self.received >= wanted;
        if self.received < due || terminal_count && self.received < wanted {
            if terminal_count {
                self.write(head, ids);
            }
            self.fail(st1::OVERRUN);
            pace.to_byte(turn);
            return Progress::Ended;
        }
        if passed >= turn {
            self.write(head, ids);
            self.ended = true;
            return Progress::Ended;
        }
        let next = before_first + begun / ID_BYTES * sector;
        pace.to_byte(match due < wanted {
            // Asked for again with each byte that passes.
            _ if self.received < asked => passed + 1,
            true => next.min(turn),
            false => turn,
        });
        Progress::Waiting
    }

    /// Bytes from the index hole to the first sector, and from one sector to the next.
    fn layout(&self) -> (usize, usize) {
        let (before_first, around_each) = match self.encoding {
            // Gap 4a, sync, index mark, gap 1; then sync, mark and ID, gap 2, sync, mark and CRC of each.
            Encoding::Mfm => (146, 62),
            Encoding::Fm => (73, 33),
        };
        (before_first, around_each + sector_size(self.size_code).unwrap_or(0) + usize::from(self.gap))
    }

    /// How many of the sectors fit between two index pulses. The next one ends the command (its status is not
    /// established), over whatever is being written.
    fn fitting_sectors(&self, head: &Head<'_>) -> usize {
        if sector_size(self.size_code).is_none() {
            return 0;
        }
        let (before_first, sector) = self.layout();
        let room = head.track_capacity(self.rate, self.encoding).saturating_sub(before_first);
        // The gap after the last sector may be cut short.
        usize::from(self.sectors).min((room + usize::from(self.gap)) / sector)
    }

    fn write(&mut self, head: &mut Head<'_>, given: &FormatIds) {
        if self.size_code > 7 {
            return self.fail_medium(&MediumError::Unsupported); // No data field is so long.
        }
        let mut ids = [SectorId::default(); u8::MAX as usize];
        let count = self.received / ID_BYTES;
        ids.iter_mut().zip(given.whole(self.received)).for_each(|(place, id)| *place = id);
        let Self { encoding, rate, size_code, filler, .. } = *self;
        let cut_short = count < usize::from(self.sectors);
        let format = TrackFormat { rate, encoding, ids: &ids[..count], size_code, filler, cut_short };
        match head.format_track(self.side, format) {
            Ok(()) => (self.written, self.done) = (true, true),
            Err(error) => self.fail_medium(&error),
        }
    }
}
