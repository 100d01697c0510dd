//! A medium under test: calls that turn panics into violations, and copies of what is on the disk.

use std::fmt;

use super::rule::{MediumReport, MediumRule};
use crate::{
    conformance::violation::{Violation, without_panic},
    media::{DataRate, Encoding, Mark, Medium, MediumError, Sector, TrackFormat},
};

pub(super) type Outcome<T = ()> = Result<T, Violation<MediumRule>>;

/// Returns a violation of `rule` unless `kept` is true.
pub(super) fn require(kept: bool, rule: MediumRule, detail: impl FnOnce() -> String) -> Outcome {
    if kept { Ok(()) } else { Err(Violation::new(rule, detail())) }
}

/// A sector by its position.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub cylinder: u8,
    pub head: u8,
    pub slot: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cylinder, head, slot } = self;
        write!(f, "cylinder {cylinder}, head {head}, slot {slot}")
    }
}

/// A copy of a track with sectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TrackCopy {
    pub cylinder: u8,
    pub head: u8,
    pub rate: DataRate,
    pub encoding: Encoding,
    pub fields: Vec<Field>,
}

/// A copy of a sector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub sector: Sector,
    /// The bytes, or `None` where they cannot be read.
    pub data: Option<Vec<u8>>,
}

impl Field {
    /// Returns the bytes if a write can restore the sector as it is.
    pub fn restorable(&self) -> Option<(Mark, &[u8])> {
        let data = self.data.as_deref().filter(|data| Some(data.len()) == self.sector.id.size())?;
        let good = !self.sector.id_crc_error && !self.sector.data_crc_error;
        self.sector.mark.filter(|_| good).map(|mark| (mark, data))
    }
}

impl TrackCopy {
    pub fn place(&self, slot: usize) -> Place {
        Place { cylinder: self.cylinder, head: self.head, slot }
    }

    /// Returns the slots of the sectors that a write can restore.
    pub fn restorable_slots(&self) -> impl Iterator<Item = usize> {
        (0..self.fields.len()).filter(|&slot| self.fields[slot].restorable().is_some())
    }

    /// Returns the track with its sectors in ascending order of their IDs: a medium need not keep their order in a
    /// format.
    pub fn sorted(mut self) -> Self {
        let key = |field: &Field| {
            let id = field.sector.id;
            (id.cylinder, id.head, id.sector, id.size_code)
        };
        self.fields.sort_by_key(key);
        self
    }
}

/// Checks that a run has whole sectors as the copy of the disk has them, and returns how many.
pub(super) fn whole_sectors(
    disk: &[TrackCopy],
    track: &TrackCopy,
    slot: usize,
    count: usize,
    run: &[u8],
) -> Outcome<usize> {
    let next = (track.head == 0).then_some((track.cylinder, 1));
    let other = disk.iter().find(|track| Some((track.cylinder, track.head)) == next);
    let fields = track.fields[slot..].iter().chain(other.into_iter().flat_map(|track| &track.fields));
    let (mut rest, mut sectors) = (run, 0);
    for data in fields.take(count).map_while(|field| field.data.as_deref()) {
        let Some(behind) = rest.strip_prefix(data) else { break };
        (rest, sectors) = (behind, sectors + 1);
        if rest.is_empty() {
            break;
        }
    }
    require(sectors > 0 && rest.is_empty(), MediumRule::WholeSectors, || {
        let place = track.place(slot);
        format!("{count} sectors at {place} are {} bytes that are not those of single sectors", run.len())
    })?;
    Ok(sectors)
}

/// The medium, and the report so far.
pub(super) struct Probe<'a> {
    pub medium: &'a mut dyn Medium,
    pub report: MediumReport,
}

impl Probe<'_> {
    /// Calls the medium. `what` describes the call.
    pub fn call<T>(&mut self, what: impl fmt::Display, call: impl FnOnce(&mut dyn Medium) -> T) -> Outcome<T> {
        without_panic(MediumRule::NoPanic, what, || call(&mut *self.medium))
    }

    pub fn read(&mut self, place: Place, count: usize) -> Outcome<Result<Vec<u8>, MediumError>> {
        let Place { cylinder, head, slot } = place;
        self.call(format_args!("read of {count} sectors at {place}"), |medium| {
            medium.read(cylinder, head, slot, count).map(<[u8]>::to_vec)
        })
    }

    /// Calls `write`, and overwrites the bytes as `fill` does. Returns the bytes before.
    pub fn write(
        &mut self,
        place: Place,
        count: usize,
        mark: Mark,
        fill: impl FnOnce(&mut [u8]),
    ) -> Outcome<Result<Vec<u8>, MediumError>> {
        let Place { cylinder, head, slot } = place;
        self.call(format_args!("write of {count} sectors at {place}"), |medium| {
            let bytes = medium.write(cylinder, head, slot, count, mark)?;
            let before = bytes.to_vec();
            fill(bytes);
            Ok(before)
        })
    }

    pub fn finish_write(&mut self, place: Place, count: usize, mark: Mark) -> Outcome {
        let Place { cylinder, head, slot } = place;
        self.call(format_args!("finish_write of {count} sectors at {place}"), |medium| {
            medium.finish_write(cylinder, head, slot, count, mark);
        })
    }

    pub fn format_track(&mut self, at: Place, format: &TrackFormat<'_>) -> Outcome<Result<(), MediumError>> {
        self.call(format_args!("format_track at {at}"), |medium| medium.format_track(at.cylinder, at.head, format))
    }

    pub fn commit(&mut self) -> Outcome {
        let committed = self.call("commit", |medium| medium.commit())?;
        committed.map_err(|error| Violation::new(MediumRule::Flush, format!("commit fails: {error}")))
    }

    /// Writes one sector whole, as a command does. Returns the bytes before, or `None` if the host fails.
    pub fn overwrite(&mut self, place: Place, mark: Mark, data: &[u8]) -> Outcome<Option<Vec<u8>>> {
        let fill = |bytes: &mut [u8]| bytes.iter_mut().zip(data).for_each(|(byte, &new)| *byte = new);
        let before = match self.write(place, 1, mark, fill)? {
            Ok(before) => before,
            Err(MediumError::Io(_)) => {
                self.report.host_errors += 1;
                return Ok(None);
            }
            Err(error) => {
                return Err(Violation::new(MediumRule::ReadBack, format!("a write at {place} fails: {error}")));
            }
        };
        require(before.len() == data.len(), MediumRule::WholeSectors, || {
            format!("a write of 1 sector at {place} returns {} bytes, not {}", before.len(), data.len())
        })?;
        self.finish_write(place, 1, mark)?;
        self.commit()?;
        Ok(Some(before))
    }

    /// Copies the track under `head` on `cylinder`, or returns `None` if it has no sectors.
    pub fn copy_track(&mut self, cylinder: u8, head: u8) -> Outcome<Option<TrackCopy>> {
        let shown = self.call(format_args!("track of cylinder {cylinder}, head {head}"), |medium| {
            medium.track(cylinder, head).map(|track| {
                let sectors: Vec<_> = (0..track.len()).filter_map(|slot| track.sector(slot)).collect();
                (track.rate, track.encoding, sectors, track.regular_from(0).is_some())
            })
        })?;
        let Some((rate, encoding, sectors, regular)) = shown.filter(|(.., sectors, _)| !sectors.is_empty()) else {
            return Ok(None);
        };
        let mut fields = Vec::new();
        for (slot, sector) in sectors.into_iter().enumerate() {
            let place = Place { cylinder, head, slot };
            let data = self.copy_sector(place, sector)?;
            let sized = !regular || data.as_ref().is_none_or(|data| Some(data.len()) == sector.id.size());
            require(sized, MediumRule::WholeSectors, || {
                format!(
                    "a read of 1 sector at {place} returns another number of bytes than N = {}",
                    sector.id.size_code
                )
            })?;
            fields.push(Field { sector, data });
        }
        Ok(Some(TrackCopy { cylinder, head, rate, encoding, fields }))
    }

    fn copy_sector(&mut self, place: Place, sector: Sector) -> Outcome<Option<Vec<u8>>> {
        match self.read(place, 1)? {
            Ok(data) => Ok(Some(data)),
            Err(MediumError::Io(_)) => Ok(None),
            // Without a data field there is nothing to read.
            Err(_) if sector.mark.is_none() => Ok(None),
            Err(error) => Err(Violation::new(MediumRule::Readable, format!("a read at {place} fails: {error}"))),
        }
    }

    /// Copies the whole disk.
    pub fn copy_disk(&mut self) -> Outcome<Vec<TrackCopy>> {
        let cylinders = self.call("cylinders", |medium| medium.cylinders())?;
        let mut tracks = Vec::new();
        for (cylinder, head) in (0..cylinders).flat_map(|cylinder| [(cylinder, 0), (cylinder, 1)]) {
            tracks.extend(self.copy_track(cylinder, head)?);
        }
        Ok(tracks)
    }

    /// Checks that a track is the same as in a copy.
    pub fn require_track(&mut self, expected: &TrackCopy, rule: MediumRule, after: &str) -> Outcome {
        let found = self.copy_track(expected.cylinder, expected.head)?;
        let Some(found) = found.filter(|found| found.fields.len() == expected.fields.len()) else {
            let (cylinder, head) = (expected.cylinder, expected.head);
            let detail = format!("{after}, cylinder {cylinder}, head {head} has another number of sectors");
            return Err(Violation::new(rule, detail));
        };
        for (slot, (found, expected_field)) in found.fields.iter().zip(&expected.fields).enumerate() {
            let place = expected.place(slot);
            require(found.data == expected_field.data, rule, || format!("{after}, {place} reads other bytes"))?;
            // That a finished sector shows what was written is a rule of its own.
            let rule = if rule == MediumRule::ReadBack { MediumRule::Marks } else { rule };
            require(found.sector == expected_field.sector, rule, || {
                format!("{after}, {place} is {:?}, not {:?}", found.sector, expected_field.sector)
            })?;
        }
        require((found.rate, found.encoding) == (expected.rate, expected.encoding), rule, || {
            format!("{after}, the track at {} has another rate or encoding", expected.place(0))
        })
    }
}
