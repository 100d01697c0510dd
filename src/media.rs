//! Media: what a disk surface is, as the head of a drive sees it.
//!
//! A [`Medium`] shows its tracks as sequences of sectors in the order in which they pass the head, and hands out their
//! bytes in place. It knows nothing of drives, controllers or commands. [`Image`] is the one that lives in a file,
//! [`SectorDisk`] one in memory that can hold what no raw image can, and [`BlankImage`] makes files.
//!
//! # What others can do to the file of an image
//!
//! The file is locked with the host's file locks (`flock` on Unix): of those that respect them, one can write it, or any
//! number read it. Most programs do not. What they do then depends on where its bytes are:
//!
//! | what happens | in memory of the library's own, the default | [mapped](ImageOptions::mapped), an unsafe choice |
//! |---|---|---|
//! | truncated or lengthened | reads go on; a command that writes fails as on a host I/O error (IC=01, ST1.DE), and so does the release, until the length is restored | **ends the process** (SIGBUS) when the guest comes there; a release fails |
//! | deleted, or replaced by another | the guest goes on; a release fails if the guest has written anything, and leaves the new file alone | the same |
//! | written | the guest does not see it; its own writes go where they belong | undefined: a contract of that choice is broken |
//! | renamed, or made read-only | makes no difference | makes no difference |
//! | no room for a hole in it | the command that writes there fails, and so does the release, until there is room | all room is taken at the attach, or that fails; on file systems that copy on write it can **end the process** later |
//! | unreadable sectors | read at the attach; those fail for the guest, and the others do not | **ends the process** |
//!
//! Where a release fails, the medium stays attached with all that the guest wrote: the release can be repeated, or forced, or
//! the disk saved to another file.
//!
//! Memory of our own was chosen over the other ways to survive a truncation. A write lease is broken by anybody who waits for
//! 45 seconds, comes with a signal, and is not given on network file systems. A handler of SIGBUS belongs to the whole
//! process, of which a library owns none, and what the guest wrote is gone when it runs. Memory costs the size of the image
//! (4 MB at most), 0.1 ms at the attach of 1.44M, nothing when the guest reads, and one write to the host's cache for each
//! command that writes: 1.0 to 2.6 us, where the 32 port accesses of a command are exits of 1 us and more each. An image that
//! is mapped saves those; it is for files in which nobody else can write.

mod create;
mod faulty;
mod file;
mod geometry;
mod host;
mod image;
mod mapping;
mod memory;
mod sectors;
mod xdf;

use std::{any::Any, fmt, io, ops::Range};

pub(crate) use create::write_file;
pub use create::{BlankImage, CreateError, IfExists};
pub use faulty::{Fault, FaultyMedium};
pub(crate) use file::Source;
pub use geometry::{FORMATS, FormFactor, Format, Geometry, GeometryError, ImageType, Layout};
pub use image::{Access, Durability, Image, ImageError, ImageOptions};
pub use sectors::{IrregularDisk, Irregularity, SectorDisk, SectorTrack, WrongLength};

/// A data rate as the DRATE bits of DSR and CCR select it, for MFM; FM runs at half of it.
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
    /// The rate that the low two bits of a DSR or CCR value select.
    #[must_use]
    pub const fn from_bits(value: u8) -> Self {
        match value & 0b11 {
            0b00 => Self::Kbps500,
            0b01 => Self::Kbps300,
            0b10 => Self::Kbps250,
            _ => Self::Kbps1000,
        }
    }

    /// Kilobits a second in MFM.
    #[must_use]
    pub const fn kbps(self) -> u32 {
        match self {
            Self::Kbps500 => 500,
            Self::Kbps300 => 300,
            Self::Kbps250 => 250,
            Self::Kbps1000 => 1000,
        }
    }

    /// Bytes in MFM that pass a head in one turn of the disk, gaps and marks included.
    pub(crate) const fn bytes_per_turn(self, rpm: u32) -> u32 {
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
    /// Double density: everything that a PC writes.
    Mfm,
}

/// The four bytes of an ID field: C, H, R and N of the data sheet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SectorId {
    /// C: the cylinder that the ID claims, which need not be where it stands.
    pub cylinder: u8,
    /// H: the head that the ID claims.
    pub head: u8,
    /// R: the sector's number.
    pub record: u8,
    /// N: the sector holds `128 << N` bytes; 0 to 7.
    pub size_code: u8,
}

impl SectorId {
    /// Bytes in the data field, 128 to 16,384; `None` for a size code above 7, which no sector has.
    #[must_use]
    pub const fn size(self) -> Option<usize> {
        sector_size(self.size_code)
    }
}

/// Bytes in a sector of size code N, 128 to 16,384; `None` for a code above 7, which no sector has.
pub(crate) const fn sector_size(size_code: u8) -> Option<usize> {
    if size_code <= 7 { Some(128 << size_code) } else { None }
}

/// The address mark in front of a data field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Mark {
    /// DAM: data.
    Data,
    /// DDAM: deleted data.
    Deleted,
}

/// A sector as it passes the head: its ID field and what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sector {
    /// The ID field.
    pub id: SectorId,
    /// The ID field's CRC is wrong.
    pub id_crc_error: bool,
    /// The mark of the data field; `None` when no data field follows the ID.
    pub mark: Option<Mark>,
    /// The data field's CRC is wrong.
    pub data_crc_error: bool,
}

impl Sector {
    /// A sound sector with a normal data mark.
    #[must_use]
    pub const fn sound(id: SectorId) -> Self {
        Self { id, id_crc_error: false, mark: Some(Mark::Data), data_crc_error: false }
    }
}

/// One side of one cylinder: how it is recorded, and its sectors in the order in which they pass the head.
#[derive(Clone, Copy, Debug)]
pub struct Track<'a> {
    /// The rate at which the track reads in the kind of drive that its medium is made for.
    pub rate: DataRate,
    /// How it is recorded.
    pub encoding: Encoding,
    /// The sectors, unless they are `count` sound ones of one size, numbered upwards from `first`.
    listed: Option<&'a [Sector]>,
    first: SectorId,
    count: u8,
    /// The other side is the same, but for the head in its IDs.
    two_sides: bool,
}

impl<'a> Track<'a> {
    /// A track of `count` sound sectors of one size, numbered upwards from `first`, recorded in MFM.
    #[must_use]
    pub const fn regular(rate: DataRate, first: SectorId, count: u8) -> Self {
        Self { rate, encoding: Encoding::Mfm, listed: None, first, count, two_sides: false }
    }

    /// A regular track on side 0 of a cylinder whose side 1 differs only in that its IDs have head 1. Means nothing for a
    /// listed one.
    #[must_use]
    pub const fn on_two_sides(self) -> Self {
        Self { two_sides: true, ..self }
    }

    /// A track of any sectors. Only the first 256 can pass in one turn.
    #[must_use]
    pub const fn listed(rate: DataRate, encoding: Encoding, sectors: &'a [Sector]) -> Self {
        let sectors = if sectors.len() > 256 { sectors.split_at(256).0 } else { sectors };
        let first = SectorId { cylinder: 0, head: 0, record: 0, size_code: 0 };
        Self { rate, encoding, listed: Some(sectors), first, count: 0, two_sides: false }
    }

    /// How many sectors pass in one turn.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self.listed {
            None => self.count as usize,
            Some(sectors) => sectors.len(),
        }
    }

    /// Nothing on this track can be read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sector in place `slot`, counted from the index hole.
    #[inline]
    #[must_use]
    pub fn sector(&self, slot: usize) -> Option<Sector> {
        match self.listed {
            None => {
                let ordinal = u8::try_from(slot).ok().filter(|&ordinal| ordinal < self.count)?;
                let SectorId { cylinder, head, record, size_code } = self.first;
                Some(Sector::sound(SectorId { cylinder, head, record: record.wrapping_add(ordinal), size_code }))
            }
            Some(sectors) => sectors.get(slot).copied(),
        }
    }

    /// The place of the sector `id`, if the track is a regular one and has it.
    #[inline]
    pub(crate) fn regular_slot(&self, id: SectorId) -> Option<usize> {
        let SectorId { cylinder, head, record, size_code } = self.first;
        let slot = id.record.wrapping_sub(record);
        let here = id.cylinder == cylinder && id.head == head && id.size_code == size_code;
        (here && slot < self.count && self.listed.is_none()).then_some(slot.into())
    }

    /// The first sector of the other side, when that side is known to be like this one.
    #[inline]
    pub(crate) fn first_of_other_side(&self) -> Option<SectorId> {
        self.two_sides.then_some(SectorId { head: 1, ..self.first })
    }

    /// How many sectors from `slot` on are known to be sound, of one size, and numbered upwards one by one: what may be
    /// read or written as one run.
    #[inline]
    pub(crate) fn regular_from(&self, slot: usize) -> Option<usize> {
        usize::from(self.count).checked_sub(slot).filter(|_| self.listed.is_none())
    }
}

/// What FORMAT TRACK writes between two index pulses.
#[derive(Clone, Copy, Debug)]
pub struct TrackFormat<'a> {
    /// The rate, in the kind of drive that the medium is made for.
    pub rate: DataRate,
    /// How it is recorded.
    pub encoding: Encoding,
    /// The ID fields in the order of the track. They may claim to be anywhere, and any size.
    pub ids: &'a [SectorId],
    /// N: each data field has `128 << size_code` bytes, whatever its ID says; 0 to 7.
    pub size_code: u8,
    /// What each data field is filled with.
    pub filler: u8,
    /// The index hole came before all the sectors that were asked for; those in `ids` are the ones that fit.
    pub cut_short: bool,
}

/// Why a medium did not give or take the bytes of a sector.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MediumError {
    /// The medium has no such sector.
    #[error("no such sector")]
    Absent,
    /// The medium cannot hold what is to be written: a deleted mark or a track of another format in a raw image.
    #[error("the medium cannot hold this")]
    Unsupported,
    /// The host could not read or write what backs the medium.
    #[error("host I/O error")]
    Io(#[from] io::Error),
}

/// A disk: two sides of tracks of sectors.
///
/// Cylinders are the medium's own, counted from the outermost; the drive translates from where its head stands. All
/// arguments can be out of range, and none may make an implementation panic. The methods are called while the drive is
/// held: they must not call a [`FloppyDrive`](crate::FloppyDrive) handle.
pub trait Medium: Any + Send {
    /// The kind of drive into which the disk fits.
    fn form_factor(&self) -> FormFactor;

    /// How many cylinders the disk has, recorded or not; a 5.25" disk of 43 or fewer is double-stepped in a drive of 80
    /// cylinders.
    fn cylinders(&self) -> u8;

    /// The write-protect notch: while `true`, the controller writes nothing.
    fn is_write_protected(&self) -> bool;

    /// What passes the head on one side of one cylinder; `None` where nothing is recorded.
    fn track(&self, cylinder: u8, head: u8) -> Option<Track<'_>>;

    /// The bytes of the sectors from `slot` on, to be read: at least one sector and at most `count`, end to end.
    ///
    /// A `count` that goes beyond the track asks for the other side's sectors, too, if they come next.
    ///
    /// # Errors
    ///
    /// [`MediumError::Absent`] when there is no such sector, [`MediumError::Io`] when the host failed.
    fn read(&mut self, cylinder: u8, head: u8, slot: usize, count: usize) -> Result<&[u8], MediumError>;

    /// The same bytes, to be overwritten in place in data fields with `mark`. Never called while the medium is write
    /// protected. [`finish_write`](Self::finish_write) follows when all bytes are there; a write that is cut short leaves
    /// a field without a good CRC, where the medium can hold such a thing.
    ///
    /// # Errors
    ///
    /// As [`Medium::read`], and [`MediumError::Unsupported`] for a mark that the medium cannot hold.
    fn write(
        &mut self,
        cylinder: u8,
        head: u8,
        slot: usize,
        count: usize,
        mark: Mark,
    ) -> Result<&mut [u8], MediumError>;

    /// The data fields of `count` sectors from `slot` on were written whole: they bear `mark` and a good CRC from
    /// now on. As in [`write`](Self::write), they can go on with those of the other side.
    fn finish_write(&mut self, cylinder: u8, head: u8, slot: usize, count: usize, mark: Mark);

    /// Writes a track anew, whatever was on it. Never called while the medium is write protected. A medium that does not
    /// say otherwise cannot be formatted.
    ///
    /// # Errors
    ///
    /// [`MediumError::Unsupported`] for a track that the medium cannot hold, which then is as it was, and
    /// [`MediumError::Io`] when the host failed.
    fn format_track(&mut self, cylinder: u8, head: u8, format: &TrackFormat<'_>) -> Result<(), MediumError> {
        let _ = (cylinder, head, format);
        Err(MediumError::Unsupported)
    }

    /// A command that wrote has ended. What cannot be brought to where it belongs is kept, and tried again with the next
    /// command and at a flush.
    ///
    /// # Errors
    ///
    /// What the host answered; the guest's command fails.
    fn end_of_command(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Brings all that was written to where it lasts. The medium stays usable whatever the outcome.
    ///
    /// # Errors
    ///
    /// What the host answered.
    fn flush(&mut self) -> io::Result<()>;

    /// Begins a flush whose end can be waited for while the drive uses the medium. A medium that does not say otherwise
    /// flushes at once.
    ///
    /// # Errors
    ///
    /// What the host answered.
    fn begin_flush(&mut self) -> io::Result<Flushing> {
        self.flush().map(|()| Flushing::done())
    }

    /// Bytes of the raw image that were written and are not known to last, in ascending order.
    fn unsaved(&self) -> Vec<Range<u64>> {
        Vec::new()
    }

    /// The bytes of a raw image of the disk, as it is now.
    ///
    /// # Errors
    ///
    /// [`MediumError::Unsupported`] where no raw image can hold the disk, as long as a medium does not say otherwise;
    /// [`MediumError::Io`] when the host failed.
    fn raw_image(&mut self) -> Result<Vec<u8>, MediumError> {
        Err(MediumError::Unsupported)
    }

    /// Lets go of what others may want to have, such as a lock, after a flush and before the medium is dropped.
    ///
    /// # Errors
    ///
    /// What the host answered. The medium is still usable then.
    fn let_go(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<M: Medium> From<M> for Box<dyn Medium> {
    fn from(medium: M) -> Self {
        Box::new(medium)
    }
}

/// A flush that has begun.
#[must_use]
pub struct Flushing(Option<Box<dyn FnOnce() -> io::Result<()> + Send>>);

impl Flushing {
    /// One that is over.
    pub const fn done() -> Self {
        Self(None)
    }

    /// One that is over when `rest` returns, which says how it went.
    pub fn until(rest: impl FnOnce() -> io::Result<()> + Send + 'static) -> Self {
        Self(Some(Box::new(rest)))
    }

    /// Waits for the end.
    ///
    /// # Errors
    ///
    /// What the host answered.
    pub fn wait(self) -> io::Result<()> {
        self.0.map_or(Ok(()), |rest| rest())
    }
}

impl fmt::Debug for Flushing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flushing").field("done", &self.0.is_none()).finish()
    }
}
