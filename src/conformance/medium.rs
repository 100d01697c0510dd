//! The check of a [`Medium`].

mod format;
mod probe;
mod rule;
mod write;

use std::iter;

use self::probe::{Outcome, Place, Probe, TrackCopy, require, whole_sectors};
pub use self::rule::{MediumReport, MediumRule};
use super::violation::Violation;
use crate::media::{DataRate, Encoding, MAX_CYLINDERS, Mark, Medium, MediumError, TrackFormat};

const NO_SECTORS: TrackFormat<'_> = TrackFormat {
    rate: DataRate::Kbps500,
    encoding: Encoding::Mfm,
    ids: &[],
    size_code: 2,
    filler: 0,
    cut_short: true,
};

/// Checks that a medium keeps the contract of [`Medium`]. Every sector is read; if the medium is not write protected,
/// every good sector is written and restored, and two tracks are formatted and restored. The order of the sectors on
/// those two tracks can be another afterwards.
///
/// Sectors that the host fails to read or write are skipped, and counted in the report. [`Medium::unlock`] is not
/// called.
///
/// # Errors
///
/// The first [`Violation`]. The contents of the medium can have changed then.
pub fn check_medium(medium: &mut dyn Medium) -> Result<MediumReport, Violation<MediumRule>> {
    let mut probe = Probe { medium, report: MediumReport::default() };
    check_cylinders(&mut probe)?;
    let disk = probe.copy_disk()?;
    require(probe.copy_disk()? == disk, MediumRule::StableReads, || "the disk reads otherwise the second time".into())?;
    let fields = || disk.iter().flat_map(|track| &track.fields);
    probe.report.tracks = disk.len();
    probe.report.sectors_read = fields().filter(|field| field.data.is_some()).count();
    probe.report.host_errors = fields().filter(|field| field.data.is_none() && field.sector.mark.is_some()).count();
    for track in &disk {
        check_runs(&mut probe, &disk, track)?;
    }
    let protected = probe.call("is_write_protected", |medium| medium.is_write_protected())?;
    check_bounds(&mut probe, &disk, protected)?;
    if protected {
        check_protection(&mut probe, &disk)?;
    } else {
        write::check(&mut probe, &disk)?;
        format::check(&mut probe, &disk)?;
    }
    let sorted = |disk: Vec<TrackCopy>| disk.into_iter().map(TrackCopy::sorted).collect::<Vec<_>>();
    let before = sorted(disk.clone());
    require(sorted(probe.copy_disk()?) == before, MediumRule::ReadBack, || {
        "after all was restored, the disk reads otherwise than before".into()
    })?;
    check_flush(&mut probe)?;
    require(sorted(probe.copy_disk()?) == before, MediumRule::Flush, || {
        "after a flush, the disk reads otherwise than before".into()
    })?;
    check_raw_image(&mut probe, &disk)?;
    Ok(probe.report)
}

fn check_cylinders(probe: &mut Probe<'_>) -> Outcome {
    let cylinders = probe.call("cylinders", |medium| medium.cylinders())?;
    require(cylinders <= MAX_CYLINDERS, MediumRule::Bounds, || format!("the disk has {cylinders} cylinders"))
}

/// Checks places outside the disk and behind the end of a track.
fn check_bounds(probe: &mut Probe<'_>, disk: &[TrackCopy], protected: bool) -> Outcome {
    let cylinders = probe.call("cylinders", |medium| medium.cylinders())?;
    let outside = [(cylinders, 0), (cylinders, 1), (u8::MAX, u8::MAX), (0, 2), (0, u8::MAX)];
    for (cylinder, head) in outside {
        let place = Place { cylinder, head, slot: 0 };
        let recorded = probe.call(format_args!("track at {place}"), |medium| medium.track(cylinder, head).is_some())?;
        require(!recorded, MediumRule::Bounds, || format!("{place} has a track"))?;
        check_absent(probe, place, protected)?;
        let formatted = probe.format_track(place, &NO_SECTORS)?;
        require(formatted.is_err(), MediumRule::Bounds, || format!("{place} can be formatted"))?;
    }
    for track in disk {
        for slot in [track.fields.len(), usize::MAX] {
            check_absent(probe, track.place(slot), protected)?;
        }
        // No contract for this but that it does not panic.
        _ = probe.read(track.place(0), 0)?;
    }
    Ok(())
}

fn check_absent(probe: &mut Probe<'_>, place: Place, protected: bool) -> Outcome {
    for count in [1, usize::MAX] {
        let read = probe.read(place, count)?;
        require(read.is_err(), MediumRule::Bounds, || format!("a read of {count} sectors at {place} succeeds"))?;
        for mark in [Mark::Data, Mark::Deleted] {
            let written = probe.write(place, count, mark, |_| ())?;
            require(written.is_err(), MediumRule::Bounds, || {
                format!("a write of {count} sectors at {place} succeeds")
            })?;
            if !protected {
                probe.finish_write(place, count, mark)?;
            }
        }
    }
    Ok(())
}

/// Checks reads of several sectors against those of single sectors.
fn check_runs(probe: &mut Probe<'_>, disk: &[TrackCopy], track: &TrackCopy) -> Outcome {
    let length = track.fields.len();
    for slot in [0, length / 2, length - 1] {
        let place = track.place(slot);
        for count in [1, 2, length - slot, 2 * length, usize::MAX] {
            match probe.read(place, count)? {
                Ok(run) => _ = whole_sectors(disk, track, slot, count, &run)?,
                Err(MediumError::Io(_)) => {}
                Err(_) if track.fields[slot].data.is_none() => {}
                Err(error) => {
                    let detail = format!("a read of {count} sectors at {place} fails: {error}");
                    return Err(Violation::new(MediumRule::WholeSectors, detail));
                }
            }
        }
    }
    Ok(())
}

fn check_protection(probe: &mut Probe<'_>, disk: &[TrackCopy]) -> Outcome {
    let Some(track) = disk.first() else { return Ok(()) };
    let place = track.place(0);
    for mark in [Mark::Data, Mark::Deleted] {
        let written = probe.write(place, 1, mark, |_| ())?;
        require(written.is_err(), MediumRule::WriteProtection, || format!("a write at {place} succeeds"))?;
    }
    let formatted = format::own_format(track, |format| probe.format_track(place, format))?;
    require(formatted.is_err(), MediumRule::WriteProtection, || format!("a format at {place} succeeds"))?;
    probe.require_track(track, MediumRule::WriteProtection, "after a refused write and format")
}

fn check_flush(probe: &mut Probe<'_>) -> Outcome {
    probe.commit()?;
    let failed = |what: &str, error| Violation::new(MediumRule::Flush, format!("{what} fails: {error}"));
    probe.call("flush", |medium| medium.flush())?.map_err(|error| failed("flush", error))?;
    let flushing = probe.call("begin_flush", |medium| medium.begin_flush())?;
    let flushing = flushing.map_err(|error| failed("begin_flush", error))?;
    probe.call("the end of a flush", |_| flushing.wait())?.map_err(|error| failed("the end of a flush", error))?;
    let unsaved = probe.call("unsaved", |medium| medium.unsaved())?;
    require(unsaved.is_empty(), MediumRule::Flush, || format!("after a flush, {unsaved:?} are unsaved"))
}

/// Checks the raw image, if there is one, against the copy of the disk.
fn check_raw_image(probe: &mut Probe<'_>, disk: &[TrackCopy]) -> Outcome {
    let mut image = || probe.call("raw_image", |medium| medium.raw_image());
    let (Ok(raw), again) = (image()?, image()?) else { return Ok(()) };
    require(again.is_ok_and(|again| again == raw), MediumRule::RawImage, || {
        "the second raw image is another than the first".into()
    })?;
    if !is_regular(disk, probe.medium.cylinders()) {
        return Ok(());
    }
    let mut rest = &raw[..];
    for track in disk.iter().cloned().map(TrackCopy::sorted) {
        for field in &track.fields {
            let size = field.sector.id.size().unwrap_or(0);
            let (in_image, behind) = rest.split_at_checked(size).unwrap_or_default();
            let same = field.data.as_deref().map_or(in_image.len() == size, |data| data == in_image);
            require(same, MediumRule::RawImage, || {
                let id = field.sector.id;
                format!(
                    "the bytes of cylinder {}, head {}, sector {} are others",
                    track.cylinder, track.head, id.sector
                )
            })?;
            rest = behind;
        }
    }
    require(rest.is_empty(), MediumRule::RawImage, || format!("{} bytes are of no sector", rest.len()))?;
    probe.report.raw_image = true;
    Ok(())
}

/// Returns whether all tracks have the same number of sectors, numbered from 1 and of one size, under one head or both.
fn is_regular(disk: &[TrackCopy], cylinders: u8) -> bool {
    let Some(first) = disk.first() else { return false };
    let heads = if disk.iter().any(|track| track.head == 1) { 2 } else { 1 };
    let size_code = first.fields[0].sector.id.size_code;
    let places = (0..cylinders).flat_map(|cylinder| (0..heads).map(move |head| (cylinder, head)));
    places.eq(disk.iter().map(|track| (track.cylinder, track.head)))
        && disk.iter().cloned().map(TrackCopy::sorted).all(|track| {
            let ids = track.fields.iter().map(|field| (field.sector.id.sector, field.sector.id.size_code));
            track.fields.len() == first.fields.len()
                && (track.rate, track.encoding) == (first.rate, first.encoding)
                && ids.eq((1..=u8::MAX).zip(iter::repeat(size_code)).take(first.fields.len()))
        })
}
