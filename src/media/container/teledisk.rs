//! Teledisk: a header, a comment, and then each track with its sectors, most of them with a CRC.
//!
//! With "advanced compression", everything behind the header is compressed as a whole.

use std::borrow::Cow;

use super::{
    assembly::{Assembly, FileTrack},
    bytes::{Reader, word},
    error::{ContainerError, Damage, MAX_BYTES, Unsupported},
    kind::Container,
    lzhuf,
};
use crate::media::{
    geometry::FormFactor,
    recording::{DataRate, Encoding, Mark, Sector, SectorId},
};

const HEADER: usize = 12;
/// A track of this many sectors ends the file.
const END: u8 = 0xFF;
/// The first version (2.0, times ten) whose advanced compression is LZHUF. Older ones have LZW.
const FIRST_WITH_LZHUF: u8 = 20;
/// The byte in sectors that Teledisk left out because DOS had no file in them: that of a formatted disk.
const FILLER: u8 = 0xF6;

/// The flags of a sector.
mod flag {
    pub(super) const CRC_ERROR: u8 = 0x02;
    pub(super) const DELETED: u8 = 0x04;
    pub(super) const NOT_ALLOCATED: u8 = 0x10;
    pub(super) const NO_DATA: u8 = 0x20;
    pub(super) const NO_ID: u8 = 0x40;
}

/// What a file holds.
pub(super) struct Contents {
    pub(super) assembly: Assembly,
    pub(super) comment: Vec<u8>,
    /// The form factor of the drive that read the disk, if the file says it.
    pub(super) form_factor: Option<FormFactor>,
}

/// Reads a file.
pub(super) fn read(container: Container, bytes: &[u8]) -> Result<Contents, ContainerError> {
    read_all(container, bytes).map_err(|error| match error {
        // The first file of a disk in several is as any other, and ends before the end of the disk.
        ContainerError::Damaged { container, offset, damage: Damage::Truncated } => {
            ContainerError::Damaged { container, offset, damage: Damage::TruncatedOrPart }
        }
        error => error,
    })
}

fn read_all(container: Container, bytes: &[u8]) -> Result<Contents, ContainerError> {
    let mut file = Reader::new(container, bytes);
    let header = file.take(HEADER)?;
    check(&file, crc(0, &header[..10]) == word(header, 10))?;
    let unsupported = |reason| Err(ContainerError::Unsupported { container, reason });
    if header[2] != 0 {
        return unsupported(Unsupported::SeveralFiles);
    }
    let body = match container {
        Container::CompressedTeledisk if header[4] < FIRST_WITH_LZHUF => {
            return unsupported(Unsupported::OldCompression);
        }
        Container::CompressedTeledisk => {
            let expanded = lzhuf::expand(&bytes[HEADER..], MAX_BYTES);
            Cow::Owned(expanded.ok_or_else(|| file.damaged(Damage::TooLarge))?)
        }
        _ => Cow::Borrowed(&bytes[HEADER..]),
    };
    let mut body = Reader::new(container, &body);
    let comment = if header[7] & 0x80 != 0 { read_comment(&mut body)? } else { Vec::new() };
    let mut assembly = Assembly::new();
    while read_track(&mut body, header[5], &mut assembly)? {}
    Ok(Contents { assembly, comment, form_factor: form_factor(header[6]) })
}

/// Reads the comment, whose lines end with a zero in the file, and with a line feed here.
fn read_comment(body: &mut Reader<'_>) -> Result<Vec<u8>, ContainerError> {
    let sum = body.word()?;
    // The length, and the date in six bytes.
    let start = body.take(8)?;
    let text = body.take(word(start, 0).into())?;
    check(body, crc(crc(0, start), text) == sum)?;
    Ok(text.iter().map(|&byte| if byte == 0 { b'\n' } else { byte }).collect())
}

/// Reads a track. Returns `false` at the end of the disk.
fn read_track(body: &mut Reader<'_>, density: u8, assembly: &mut Assembly) -> Result<bool, ContainerError> {
    let count = body.byte()?;
    // Old versions write nothing behind this byte.
    if count == END {
        return Ok(false);
    }
    let place = body.take(2)?;
    let sum = body.byte()?;
    check(body, crc(crc(0, &[count]), place).to_le_bytes()[0] == sum)?;
    let rate = match density & 0x07 {
        0 => DataRate::Kbps250,
        1 => DataRate::Kbps300,
        2 | 3 => DataRate::Kbps500,
        _ => DataRate::Kbps1000,
    };
    let encoding = if (density | place[1]) & 0x80 == 0 { Encoding::Mfm } else { Encoding::Fm };
    let mut sectors = Vec::with_capacity(count.into());
    for _ in 0..count {
        sectors.push(read_sector(body, assembly)?);
    }
    let added = assembly.add(place[0], place[1] & 0x7F, FileTrack { rate, encoding, sectors });
    added.map_err(|damage| body.damaged(damage))?;
    Ok(true)
}

fn read_sector(body: &mut Reader<'_>, assembly: &mut Assembly) -> Result<(Sector, Vec<u8>), ContainerError> {
    let header = body.take(6)?;
    let id = SectorId { cylinder: header[0], head: header[1], sector: header[2], size_code: header[3] };
    let (flags, sum) = (header[4], header[5]);
    let mark = if flags & flag::DELETED == 0 { Mark::Data } else { Mark::Deleted };
    let sector = Sector {
        id,
        // Teledisk made up an ID that it could not read.
        id_crc_error: flags & flag::NO_ID != 0,
        mark: Some(mark),
        data_crc_error: flags & flag::CRC_ERROR != 0,
    };
    let size = match id.size() {
        Some(size) if flags & flag::NO_DATA == 0 => size,
        _ => return Ok((Sector { mark: None, ..sector }, Vec::new())),
    };
    assembly.reserve(size).map_err(|damage| body.damaged(damage))?;
    if flags & flag::NOT_ALLOCATED != 0 {
        return Ok((sector, vec![FILLER; size]));
    }
    let packed_size = body.word()?;
    let packed = body.take(packed_size.into())?;
    let data = unpack(packed, size).ok_or_else(|| body.damaged(Damage::Compression))?;
    check(body, crc(0, &data).to_le_bytes()[0] == sum)?;
    Ok((sector, data))
}

/// Returns the `size` bytes of a sector, or `None` if the packed bytes do not give as many.
fn unpack(packed: &[u8], size: usize) -> Option<Vec<u8>> {
    let (&method, mut rest) = packed.split_first()?;
    let mut data = Vec::with_capacity(size);
    match method {
        0 => data.extend(rest.get(..size)?),
        1 => {
            let pattern = rest.get(2..4)?;
            repeat(&mut data, pattern, word(rest, 0).into(), size)?;
        }
        // Fragments: bytes as they are, or a pattern of `2 * kind` bytes that repeats.
        2 => {
            while let [kind, count, behind @ ..] = rest {
                let count = usize::from(*count);
                let length = if *kind == 0 { count } else { 2 * usize::from(*kind) };
                let (fragment, behind) = behind.split_at_checked(length)?;
                repeat(&mut data, fragment, if *kind == 0 { 1 } else { count }, size)?;
                rest = behind;
            }
        }
        _ => return None,
    }
    (data.len() == size).then_some(data)
}

/// Appends `count` times `pattern`, or returns `None` if `data` had more than `size` bytes then.
fn repeat(data: &mut Vec<u8>, pattern: &[u8], count: usize, size: usize) -> Option<()> {
    if count * pattern.len() > size - data.len() {
        return None;
    }
    (0..count).for_each(|_| data.extend(pattern));
    Some(())
}

/// Returns the form factor of the drive that read the disk.
const fn form_factor(drive: u8) -> Option<FormFactor> {
    match drive {
        // 5 is a drive for 8" disks, which have the rate and the capacity of 1.2M.
        1 | 2 | 5 => Some(FormFactor::Inch5_25),
        3 | 4 | 6 => Some(FormFactor::Inch3_5),
        _ => None,
    }
}

fn check(file: &Reader<'_>, good: bool) -> Result<(), ContainerError> {
    if good { Ok(()) } else { Err(file.damaged(Damage::Checksum)) }
}

/// Continues a CRC of 16 bits, of the polynomial A097h, over `bytes`.
fn crc(crc: u16, bytes: &[u8]) -> u16 {
    bytes.iter().fold(crc, |crc, &byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0xA097 })
    })
}
