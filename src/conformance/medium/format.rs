//! The check of formats.

use super::{
    probe::{Field, Outcome, Probe, TrackCopy, require},
    rule::MediumRule,
    write,
};
use crate::{
    conformance::violation::Violation,
    media::{Mark, MediumError, Sector, SectorId, TrackFormat},
};

const FILLER: u8 = 0x5A;

/// Formats and restores the first and the last track that a format can restore.
pub(super) fn check(probe: &mut Probe<'_>, disk: &[TrackCopy]) -> Outcome {
    let mut restorable = disk.iter().filter(|track| is_restorable(track));
    for track in restorable.next().into_iter().chain(restorable.next_back()) {
        let ids: Vec<_> = track.fields.iter().map(|field| field.sector.id).collect();
        check_format(probe, track, &ids, false)?;
        // A medium that ignores the IDs accepts what it cannot hold.
        let elsewhere: Vec<_> = ids.iter().map(|&id| SectorId { cylinder: !id.cylinder, ..id }).collect();
        check_format(probe, track, &elsewhere, false)?;
        check_format(probe, track, &ids[..ids.len() - 1], true)?;
    }
    Ok(())
}

/// Calls `with` with the format that a track has.
pub(super) fn own_format<T>(track: &TrackCopy, with: impl FnOnce(&TrackFormat<'_>) -> T) -> T {
    let ids: Vec<_> = track.fields.iter().map(|field| field.sector.id).collect();
    with(&format_of(track, &ids, false))
}

fn format_of<'a>(track: &TrackCopy, ids: &'a [SectorId], cut_short: bool) -> TrackFormat<'a> {
    let size_code = track.fields[0].sector.id.size_code;
    TrackFormat { rate: track.rate, encoding: track.encoding, ids, size_code, filler: FILLER, cut_short }
}

/// Returns whether a format and writes restore the track: its sectors are good, of one size, and each has an ID of its
/// own.
fn is_restorable(track: &TrackCopy) -> bool {
    let size_code = track.fields[0].sector.id.size_code;
    let good = |field: &Field| {
        field.restorable().is_some_and(|(mark, _)| mark == Mark::Data) && field.sector.id.size_code == size_code
    };
    let sorted = track.clone().sorted();
    let unique = sorted.fields.windows(2).all(|pair| pair[0].sector.id != pair[1].sector.id);
    unique && track.fields.iter().all(good)
}

fn check_format(probe: &mut Probe<'_>, track: &TrackCopy, ids: &[SectorId], cut_short: bool) -> Outcome {
    let format = format_of(track, ids, cut_short);
    match probe.format_track(track.place(0), &format)? {
        Ok(()) => {
            probe.commit()?;
            require_format(probe, track, ids)?;
            probe.report.formats += 1;
            restore(probe, track)
        }
        Err(MediumError::Unsupported) => probe.require_track(track, MediumRule::Format, "after a format was refused"),
        Err(MediumError::Io(_)) => {
            probe.report.host_errors += 1;
            Ok(())
        }
        Err(error) => {
            let detail = format!("a format at {} fails: {error}", track.place(0));
            Err(Violation::new(MediumRule::Format, detail))
        }
    }
}

/// Checks that a track has the sectors of a format, in any order, and returns it.
fn require_format(probe: &mut Probe<'_>, track: &TrackCopy, ids: &[SectorId]) -> Outcome<TrackCopy> {
    let size = track.fields[0].sector.id.size().unwrap_or(0);
    let field = |&id: &SectorId| Field { sector: Sector::good(id), data: Some(vec![FILLER; size]) };
    let expected = TrackCopy { fields: ids.iter().map(field).collect(), ..track.clone() };
    let found = probe.copy_track(track.cylinder, track.head)?;
    let found = found.unwrap_or_else(|| TrackCopy { fields: Vec::new(), ..track.clone() });
    require(found.clone().sorted() == expected.sorted(), MediumRule::Format, || {
        let place = track.place(0);
        format!("after a format with {} sectors, the track at {place} is another", ids.len())
    })?;
    Ok(found)
}

/// Formats a track as it was, and writes its sectors back.
fn restore(probe: &mut Probe<'_>, track: &TrackCopy) -> Outcome {
    let place = track.place(0);
    own_format(track, |format| probe.format_track(place, format))?.map_err(|error| {
        Violation::new(MediumRule::Format, format!("the format that the track at {place} had fails: {error}"))
    })?;
    probe.commit()?;
    let ids: Vec<_> = track.fields.iter().map(|field| field.sector.id).collect();
    let mut formatted = require_format(probe, track, &ids)?;
    for field in &mut formatted.fields {
        let before = track.fields.iter().find(|before| before.sector.id == field.sector.id);
        field.data = before.and_then(|before| before.data.clone());
    }
    let slots: Vec<_> = (0..formatted.fields.len()).collect();
    write::restore(probe, &formatted, &slots)
}
