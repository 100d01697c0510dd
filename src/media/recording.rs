//! How sectors are recorded: data rate, encoding, address marks and ID fields.
//!
//! This file knows single sectors. Tracks are in [`super::track`], disks in [`super::geometry`].

use std::fmt;

/// A data rate as the DRATE bits of DSR and CCR select it in MFM (§7.5). FM runs at half of the rate.
///
/// The discriminants are the two bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[repr(u8)]
pub enum DataRate {
    /// 500 kb/s: 1.2M and 1.44M media.
    Kbps500 = 0b00,
    /// 300 kb/s: double-density 5.25" media in a drive that turns at 360 rpm.
    Kbps300 = 0b01,
    /// 250 kb/s: double-density media. The rate after a hardware reset.
    Kbps250 = 0b10,
    /// 1 Mb/s: 2.88M media.
    Kbps1000 = 0b11,
}

impl DataRate {
    /// Returns the rate that the low two bits of a DSR or CCR value select (§7.5).
    #[must_use]
    pub const fn from_bits(value: u8) -> Self {
        match value & 0b11 {
            0b00 => Self::Kbps500,
            0b01 => Self::Kbps300,
            0b10 => Self::Kbps250,
            _ => Self::Kbps1000,
        }
    }

    /// Returns the rate in kilobits per second, in MFM: 250, 300, 500 or 1000.
    #[must_use]
    pub const fn kbps(self) -> u32 {
        match self {
            Self::Kbps500 => 500,
            Self::Kbps300 => 300,
            Self::Kbps250 => 250,
            Self::Kbps1000 => 1000,
        }
    }

    /// Returns the number of bytes in MFM that pass the head in one revolution at `rpm` revolutions per minute, gaps
    /// and marks included (§10.1).
    pub(crate) const fn bytes_per_revolution(self, rpm: u32) -> u32 {
        self.kbps() * 1000 / 8 * 60 / rpm
    }
}

impl fmt::Display for DataRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} kb/s", self.kbps())
    }
}

/// How the bits of a track are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Encoding {
    /// Single density.
    Fm,
    /// Double density. Everything that a PC writes is in MFM.
    Mfm,
}

/// The four bytes of an ID field: C, H, R and N of the data sheet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SectorId {
    /// C: the cylinder address. It can differ from the cylinder on which the sector is recorded.
    pub cylinder: u8,
    /// H: the head address. It can differ from the head under which the sector is recorded.
    pub head: u8,
    /// R: the sector address.
    pub sector: u8,
    /// N: the sector has `128 << N` bytes. Sectors have an N from 0 to 7.
    pub size_code: u8,
}

impl SectorId {
    /// Returns the number of bytes in the data field, 128 to 16,384, or `None` for a size code above 7, which no sector
    /// has.
    #[must_use]
    pub const fn size(self) -> Option<usize> {
        sector_size(self.size_code)
    }
}

/// Returns the number of bytes in a sector of size code N, 128 to 16,384, or `None` for a code above 7, which no sector
/// has.
pub(crate) const fn sector_size(size_code: u8) -> Option<usize> {
    if size_code <= 7 { Some(128 << size_code) } else { None }
}

/// The address mark before a data field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Mark {
    /// DAM: data.
    Data,
    /// DDAM: deleted data.
    Deleted,
}

/// A sector as the head reads it: its ID field and the state of its data field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sector {
    /// The ID field.
    pub id: SectorId,
    /// Whether the CRC of the ID field is wrong.
    pub id_crc_error: bool,
    /// The mark of the data field, or `None` if no data field follows the ID field.
    pub mark: Option<Mark>,
    /// Whether the CRC of the data field is wrong.
    pub data_crc_error: bool,
}

impl Sector {
    /// Returns a sector with a data mark and without CRC errors.
    #[must_use]
    pub const fn good(id: SectorId) -> Self {
        Self { id, id_crc_error: false, mark: Some(Mark::Data), data_crc_error: false }
    }
}
