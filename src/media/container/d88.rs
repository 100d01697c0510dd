//! D88: a header with the offsets of the tracks, and each sector with a header of its own. A file can hold several disks
//! end to end.

use super::{
    assembly::{Assembly, FileTrack},
    bytes::{Reader, long, word},
    error::{ContainerError, Damage},
    kind::Container,
};
use crate::media::recording::{DataRate, Encoding, Mark, Sector, SectorId};

/// The header ends where the table of tracks does, which has 164 entries, or 160 in old files.
const TABLE: usize = 0x20;
const SHORT_HEADER: usize = 0x2A0;
const HEADER: usize = 0x2B0;
/// The bytes before the data of a sector.
const SECTOR_HEADER: usize = 16;
/// The most sectors that a track can show.
const MOST_SECTORS: u16 = 256;

/// A disk in a file.
pub(super) struct Disk<'a> {
    bytes: &'a [u8],
}

/// Returns whether a file that begins with `head` and has `length` bytes can be one of D88. The format has no signature:
/// the header must have no value that the format does not define.
pub(super) fn has_header(head: &[u8], length: u64) -> bool {
    let Some(header) = head.get(..SHORT_HEADER) else { return false };
    let size = long(header, 0x1C) as usize;
    if size < SHORT_HEADER || size as u64 > length {
        return false;
    }
    let offsets = || (TABLE..SHORT_HEADER).step_by(4).map(|at| long(header, at) as usize);
    let first = offsets().find(|&offset| offset != 0).unwrap_or(HEADER);
    let reserved = header[0x10..0x1A].iter().all(|&byte| byte == 0);
    let flags = matches!(header[0x1A], 0 | 0x10) && matches!(header[0x1B], 0 | 0x10 | 0x20 | 0x30 | 0x40);
    let table = offsets().all(|offset| offset == 0 || (first..=size).contains(&offset));
    reserved && flags && table && (first == SHORT_HEADER || first == HEADER)
}

/// Returns the disks in a file.
pub(super) fn disks(bytes: &[u8]) -> Vec<Disk<'_>> {
    let mut rest = bytes;
    let mut disks = Vec::new();
    while has_header(rest, rest.len() as u64) {
        let (disk, behind) = rest.split_at(long(rest, 0x1C) as usize);
        disks.push(Disk { bytes: disk });
        rest = behind;
    }
    disks
}

impl Disk<'_> {
    /// Returns the name, which is mostly in Shift JIS.
    pub(super) fn name(&self) -> Vec<u8> {
        self.bytes[..16].iter().copied().take_while(|&byte| byte != 0).collect()
    }

    pub(super) fn is_write_protected(&self) -> bool {
        self.bytes[0x1A] != 0
    }

    /// Reads the tracks.
    pub(super) fn read(&self) -> Result<Assembly, ContainerError> {
        let mut file = Reader::new(Container::D88, self.bytes);
        let (rate, heads) = match self.bytes[0x1B] {
            0x20 => (DataRate::Kbps500, 2),
            0x30 | 0x40 => (DataRate::Kbps250, 1),
            _ => (DataRate::Kbps250, 2),
        };
        let offsets = (TABLE..SHORT_HEADER).step_by(4).map(|at| long(self.bytes, at) as usize);
        let first = offsets.clone().find(|&offset| offset != 0).unwrap_or(HEADER);
        let last_entries = (SHORT_HEADER..first.min(HEADER)).step_by(4).map(|at| long(self.bytes, at) as usize);
        let mut assembly = Assembly::new();
        for (index, offset) in (0u8..).zip(offsets.chain(last_entries)) {
            // Some programs let the entries of unused tracks lead to the end of the disk.
            if offset == 0 || offset == self.bytes.len() {
                continue;
            }
            file.seek(offset);
            let track = read_track(&mut file, &mut assembly, rate)?;
            let added = assembly.add(index / heads, index % heads, track);
            added.map_err(|damage| file.damaged(damage))?;
        }
        Ok(assembly)
    }
}

fn read_track(file: &mut Reader<'_>, assembly: &mut Assembly, rate: DataRate) -> Result<FileTrack, ContainerError> {
    let mut track = FileTrack { rate, encoding: Encoding::Mfm, sectors: Vec::new() };
    let mut left = 1;
    while left > 0 {
        let header = file.take(SECTOR_HEADER)?;
        let count = word(header, 4);
        // Each sector has the number of sectors and the encoding of the track; those of the first count.
        if track.sectors.is_empty() {
            if count > MOST_SECTORS {
                return Err(value(file, "the number of sectors", count.into()));
            }
            left = count;
            track.encoding = if header[6] & 0x40 == 0 { Encoding::Mfm } else { Encoding::Fm };
        }
        if left == 0 {
            break;
        }
        left -= 1;
        let size = usize::from(word(header, 14));
        assembly.reserve(size).map_err(|damage| file.damaged(damage))?;
        let sector = sector(header).ok_or_else(|| value(file, "the status of a sector", header[8].into()))?;
        track.sectors.push((sector, file.take(size)?.to_vec()));
    }
    Ok(track)
}

/// Returns what the header of a sector says, or `None` if it has an unknown status.
fn sector(header: &[u8]) -> Option<Sector> {
    let id = SectorId { cylinder: header[0], head: header[1], sector: header[2], size_code: header[3] };
    let mark = if header[7] == 0 { Mark::Data } else { Mark::Deleted };
    let sector = Sector { mark: Some(mark), ..Sector::good(id) };
    // The status is that of the BIOS of the PC-9801.
    match header[8] {
        0x00 => Some(sector),
        0x10 => Some(Sector { mark: Some(Mark::Deleted), ..sector }),
        0xA0 => Some(Sector { id_crc_error: true, ..sector }),
        0xB0 => Some(Sector { data_crc_error: true, ..sector }),
        0xE0 | 0xF0 => Some(Sector { mark: None, ..sector }),
        _ => None,
    }
}

fn value(file: &Reader<'_>, field: &'static str, value: u32) -> ContainerError {
    file.damaged(Damage::Value { field, value })
}
