//! The check of writes: in place, read back, marks, and what is unsaved.

use super::{
    probe::{Field, Outcome, Probe, TrackCopy, require, whole_sectors},
    rule::MediumRule,
};
use crate::{
    conformance::violation::Violation,
    media::{MAX_IMAGE_BYTES, Mark, MediumError, Sector},
};

/// Writes and restores all sectors that can be restored.
pub(super) fn check(probe: &mut Probe<'_>, disk: &[TrackCopy]) -> Outcome {
    for track in disk {
        // Every other sector, so that a write that spills over its end shows.
        for parity in [0, 1] {
            let slots: Vec<_> = track.restorable_slots().filter(|slot| slot % 2 == parity).collect();
            check_sectors(probe, track, &slots)?;
        }
        check_run(probe, track)?;
    }
    for track in disk.iter().take(1).chain(disk.last()) {
        if let Some(slot) = track.restorable_slots().next() {
            check_deleted_mark(probe, track, slot)?;
            check_interrupted_write(probe, track, slot)?;
        }
    }
    Ok(())
}

/// Returns the bytes that replace those of a sector: each is another.
fn inverted(data: &[u8]) -> Vec<u8> {
    data.iter().map(|byte| !byte).collect()
}

fn check_sectors(probe: &mut Probe<'_>, track: &TrackCopy, slots: &[usize]) -> Outcome {
    let mut expected = track.clone();
    for &slot in slots {
        let Some((mark, data)) = track.fields[slot].restorable() else { continue };
        let new = inverted(data);
        let Some(before) = probe.overwrite(track.place(slot), mark, &new)? else { continue };
        require(before == data, MediumRule::WriteInPlace, || {
            format!("a write at {} returns other bytes than a read", track.place(slot))
        })?;
        expected.fields[slot].data = Some(new);
        probe.report.sectors_written += 1;
    }
    probe.require_track(&expected, MediumRule::ReadBack, "after a write")?;
    check_unsaved(probe)?;
    restore(probe, track, slots)
}

/// Writes back the bytes of sectors, and checks the whole track.
pub(super) fn restore(probe: &mut Probe<'_>, track: &TrackCopy, slots: &[usize]) -> Outcome {
    for &slot in slots {
        if let Some((mark, data)) = track.fields[slot].restorable() {
            probe.overwrite(track.place(slot), mark, data)?;
        }
    }
    probe.require_track(track, MediumRule::ReadBack, "after a write")
}

/// Writes as many sectors at once as the medium gives for a request of the whole track.
fn check_run(probe: &mut Probe<'_>, track: &TrackCopy) -> Outcome {
    let slots: Vec<_> = track.restorable_slots().collect();
    // Only if no sector on the track is left in doubt.
    let all_data = |field: &Field| field.restorable().is_some_and(|(mark, _)| mark == Mark::Data);
    if !track.fields.iter().all(all_data) {
        return Ok(());
    }
    let (place, length) = (track.place(0), track.fields.len());
    let invert = |bytes: &mut [u8]| bytes.iter_mut().for_each(|byte| *byte = !*byte);
    let before = match probe.write(place, length, Mark::Data, invert)? {
        Ok(before) => before,
        Err(MediumError::Io(_)) => return Ok(()),
        Err(error) => {
            let detail = format!("a write of {length} sectors at {place} fails: {error}");
            return Err(Violation::new(MediumRule::WholeSectors, detail));
        }
    };
    let sectors = whole_sectors(std::slice::from_ref(track), track, 0, length, &before)?;
    probe.finish_write(place, sectors, Mark::Data)?;
    probe.commit()?;
    let mut expected = track.clone();
    for field in &mut expected.fields[..sectors] {
        field.data = field.data.as_deref().map(inverted);
    }
    probe.require_track(&expected, MediumRule::ReadBack, "after a write of several sectors")?;
    restore(probe, track, &slots)
}

fn check_deleted_mark(probe: &mut Probe<'_>, track: &TrackCopy, slot: usize) -> Outcome {
    let Some((_, data)) = track.fields[slot].restorable() else { return Ok(()) };
    let (place, new) = (track.place(slot), inverted(data));
    let fill = |bytes: &mut [u8]| bytes.iter_mut().zip(&new).for_each(|(byte, &new)| *byte = new);
    match probe.write(place, 1, Mark::Deleted, fill)? {
        Ok(_) => {
            probe.finish_write(place, 1, Mark::Deleted)?;
            probe.commit()?;
            let mut expected = track.clone();
            let sector = Sector { mark: Some(Mark::Deleted), ..track.fields[slot].sector };
            expected.fields[slot] = Field { sector, data: Some(new) };
            probe.require_track(&expected, MediumRule::DeletedMark, "after a write with a deleted mark")?;
            probe.report.deleted_marks = true;
            restore(probe, track, &[slot])
        }
        Err(MediumError::Unsupported) => {
            probe.require_track(track, MediumRule::DeletedMark, "after a deleted mark was refused")
        }
        Err(MediumError::Io(_)) => Ok(()),
        Err(error) => {
            let detail = format!("a write with a deleted mark at {place} fails: {error}");
            Err(Violation::new(MediumRule::DeletedMark, detail))
        }
    }
}

/// Begins a write and does not finish it. A complete write makes the sector good again.
fn check_interrupted_write(probe: &mut Probe<'_>, track: &TrackCopy, slot: usize) -> Outcome {
    let Some((mark, _)) = track.fields[slot].restorable() else { return Ok(()) };
    let fill_half = |bytes: &mut [u8]| {
        let half = bytes.len() / 2;
        bytes[..half].fill(0xA5);
    };
    if probe.write(track.place(slot), 1, mark, fill_half)?.is_ok() {
        probe.commit()?;
    }
    restore(probe, track, &[slot])
}

fn check_unsaved(probe: &mut Probe<'_>) -> Outcome {
    let unsaved = probe.call("unsaved", |medium| medium.unsaved())?;
    let ascend = unsaved.windows(2).all(|pair| pair[0].end <= pair[1].start);
    let within = unsaved.iter().all(|range| range.start < range.end && range.end <= MAX_IMAGE_BYTES);
    require(ascend && within, MediumRule::Unsaved, || format!("the unsaved ranges are {unsaved:?}"))
}
