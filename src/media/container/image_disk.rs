//! ImageDisk: a comment, and then each track with its mode, its maps and its sectors.

use super::{
    assembly::{Assembly, FileTrack},
    bytes::{Reader, word},
    error::{ContainerError, Damage, SaveError, Unsavable},
    kind::Container,
};
use crate::media::{
    medium::Medium,
    recording::{DataRate, Encoding, Mark, Sector, SectorId, sector_size},
    sector_disk::{SectorDisk, SectorTrack},
};

/// The byte that ends the comment.
const END_OF_COMMENT: u8 = 0x1A;
/// The size code of tracks whose sectors differ in size.
const SIZE_TABLE: u8 = 0xFF;
/// The largest size code that ImageDisk defines: 8,192 bytes.
const LAST_SIZE_CODE: u8 = 6;
/// Bits in the byte of the head.
const CYLINDER_MAP: u8 = 0x80;
const HEAD_MAP: u8 = 0x40;
/// The first line of a file. ImageDisk writes its version and the time; a time is none of the disk's.
const FIRST_LINE: &[u8] = b"IMD 1.18: 01/01/1980 00:00:00\r\n";

/// The modes of tracks, in the order of their numbers.
const MODES: [(DataRate, Encoding); 6] = [
    (DataRate::Kbps500, Encoding::Fm),
    (DataRate::Kbps300, Encoding::Fm),
    (DataRate::Kbps250, Encoding::Fm),
    (DataRate::Kbps500, Encoding::Mfm),
    (DataRate::Kbps300, Encoding::Mfm),
    (DataRate::Kbps250, Encoding::Mfm),
];

/// Reads a file. Returns its tracks, and the comment without the first line.
pub(super) fn read(bytes: &[u8]) -> Result<(Assembly, Vec<u8>), ContainerError> {
    let mut file = Reader::new(Container::ImageDisk, bytes);
    let text = file.take_until(END_OF_COMMENT)?;
    let comment = text.iter().position(|&byte| byte == b'\n').map_or(&[][..], |end| &text[end + 1..]);
    let mut assembly = Assembly::new();
    while !file.is_at_end() {
        read_track(&mut file, &mut assembly)?;
    }
    Ok((assembly, comment.to_vec()))
}

fn read_track(file: &mut Reader<'_>, assembly: &mut Assembly) -> Result<(), ContainerError> {
    let mode = file.byte()?;
    let &(rate, encoding) = MODES.get(usize::from(mode)).ok_or_else(|| value(file, "the mode of a track", mode))?;
    let (cylinder, maps) = (file.byte()?, file.byte()?);
    let head = maps & !(CYLINDER_MAP | HEAD_MAP);
    let count = usize::from(file.byte()?);
    let size = file.byte()?;
    let numbers = file.take(count)?;
    let cylinders = if maps & CYLINDER_MAP != 0 { Some(file.take(count)?) } else { None };
    let heads = if maps & HEAD_MAP != 0 { Some(file.take(count)?) } else { None };
    let sizes = if size == SIZE_TABLE { Some(file.take(2 * count)?) } else { None };
    let mut sectors = Vec::with_capacity(count);
    for slot in 0..count {
        let size_code = match sizes {
            Some(sizes) => size_code_of(word(sizes, 2 * slot)),
            None => Some(size),
        };
        let size_code = size_code.filter(|&code| sector_size(code).is_some());
        let id = SectorId {
            cylinder: cylinders.map_or(cylinder, |map| map[slot]),
            head: heads.map_or(head, |map| map[slot]),
            sector: numbers[slot],
            size_code: size_code.ok_or_else(|| value(file, "the size code of a sector", size))?,
        };
        sectors.push(read_sector(file, assembly, id)?);
    }
    let added = assembly.add(cylinder, head, FileTrack { rate, encoding, sectors });
    added.map_err(|damage| file.damaged(damage))
}

/// Reads the data record of a sector.
fn read_sector(
    file: &mut Reader<'_>,
    assembly: &mut Assembly,
    id: SectorId,
) -> Result<(Sector, Vec<u8>), ContainerError> {
    let record = file.byte()?;
    let size = id.size().unwrap_or(0);
    // 1 to 8 are four pairs: normal, deleted, with an error, deleted with an error. The second of a pair is compressed.
    let (kind, compressed) = match record {
        0 => return Ok((Sector { mark: None, ..Sector::good(id) }, Vec::new())),
        1..=8 => ((record - 1) / 2, record.is_multiple_of(2)),
        _ => return Err(value(file, "the type of a data record", record)),
    };
    assembly.reserve(size).map_err(|damage| file.damaged(damage))?;
    let data = if compressed { vec![file.byte()?; size] } else { file.take(size)?.to_vec() };
    let mark = if kind & 1 == 0 { Mark::Data } else { Mark::Deleted };
    Ok((Sector { mark: Some(mark), data_crc_error: kind >= 2, ..Sector::good(id) }, data))
}

fn value(file: &Reader<'_>, field: &'static str, value: u8) -> ContainerError {
    file.damaged(Damage::Value { field, value: value.into() })
}

/// Returns N for a number of bytes, or `None` if no sector has as many.
fn size_code_of(bytes: u16) -> Option<u8> {
    (0..=7).find(|&code| sector_size(code) == Some(bytes.into()))
}

/// Returns the file for a disk.
pub(super) fn write(disk: &SectorDisk, comment: &[u8]) -> Result<Vec<u8>, SaveError> {
    if comment.contains(&END_OF_COMMENT) {
        return Err(SaveError::Comment);
    }
    let mut file = [FIRST_LINE, comment, &[END_OF_COMMENT]].concat();
    for cylinder in 0..disk.cylinders() {
        for head in 0..2 {
            if let Some(track) = disk.recorded(cylinder, head) {
                let written = write_track(&mut file, cylinder, head, track);
                written.map_err(|reason| SaveError::Track { cylinder, head, reason })?;
            }
        }
    }
    Ok(file)
}

fn write_track(file: &mut Vec<u8>, cylinder: u8, head: u8, track: &SectorTrack) -> Result<(), Unsavable> {
    let recording = (track.rate(), track.encoding());
    let mode = (0u8..).zip(MODES).find(|&(_, mode)| mode == recording).ok_or(Unsavable::Rate)?.0;
    let sectors = track.sectors();
    let count = u8::try_from(sectors.len()).map_err(|_| Unsavable::Count(sectors.len()))?;
    let ids = || sectors.iter().map(|sector| sector.id);
    let one_size = ids().map(|id| id.size_code).next().unwrap_or(0);
    let same_size = one_size <= LAST_SIZE_CODE && ids().all(|id| id.size_code == one_size);
    let cylinder_map = ids().any(|id| id.cylinder != cylinder);
    let head_map = ids().any(|id| id.head != head);
    let maps = if cylinder_map { CYLINDER_MAP } else { 0 } | if head_map { HEAD_MAP } else { 0 };
    file.extend([mode, cylinder, head | maps, count, if same_size { one_size } else { SIZE_TABLE }]);
    file.extend(ids().map(|id| id.sector));
    if cylinder_map {
        file.extend(ids().map(|id| id.cylinder));
    }
    if head_map {
        file.extend(ids().map(|id| id.head));
    }
    if !same_size {
        for id in ids() {
            let size = id.size().and_then(|size| u16::try_from(size).ok()).ok_or(Unsavable::SizeCode(id.sector))?;
            file.extend(size.to_le_bytes());
        }
    }
    for (slot, sector) in sectors.iter().enumerate() {
        write_sector(file, sector, track.data(slot).unwrap_or_default())?;
    }
    Ok(())
}

fn write_sector(file: &mut Vec<u8>, sector: &Sector, data: &[u8]) -> Result<(), Unsavable> {
    if sector.id_crc_error {
        return Err(Unsavable::IdCrc(sector.id.sector));
    }
    let Some(mark) = sector.mark else {
        file.push(0);
        return Ok(());
    };
    if sector.id.size() != Some(data.len()) {
        return Err(Unsavable::DataSize(sector.id.sector));
    }
    let kind = if mark == Mark::Deleted { 1 } else { 0 } + if sector.data_crc_error { 2 } else { 0 };
    let first = data[0];
    if data.iter().all(|&byte| byte == first) {
        file.extend([2 * kind + 2, first]);
    } else {
        file.push(2 * kind + 1);
        file.extend(data);
    }
    Ok(())
}
