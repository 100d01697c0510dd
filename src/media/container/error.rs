//! Why a container cannot be opened, and why a disk cannot be saved in one.

use std::io;

use super::kind::Container;
use crate::media::create::CreateError;

/// The most bytes that a container has, and the most that the data fields of the disk in it have together. A real disk
/// has at most 4 MB; copies of protected disks have overlapping sectors.
pub(super) const MAX_BYTES: usize = 16 << 20;

/// Why a container cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContainerError {
    /// The file cannot be read.
    #[error("cannot read the file; check its path and its permissions")]
    Io(#[source] io::Error),
    /// The path leads to a directory, a pipe or a device.
    #[error("this is not a file; give the path of a file")]
    WrongFileType,
    /// The file is larger than a container of any floppy disk.
    #[error(
        "the file has {bytes} bytes, and no container of a floppy disk has more than {MAX_BYTES}; give another file"
    )]
    TooLarge {
        /// The size of the file.
        bytes: u64,
    },
    /// The file has none of the known signatures. It can be a raw image.
    #[error("the file has no signature of a container; if it is a raw image, attach it as an image")]
    Unknown,
    /// The container is one that the library recognises and does not open.
    #[error("the file is {container}, which the library does not open; {}", .container.advice())]
    NotReadable {
        /// What the file is.
        container: Container,
    },
    /// The file needs something that the library does not have.
    #[error("the file is {container}, {reason}")]
    Unsupported {
        /// What the file is.
        container: Container,
        /// What it needs.
        reason: Unsupported,
    },
    /// The bytes of the file contradict each other or the format.
    #[error("the file is {container}, damaged at byte {offset}: {damage}; use another copy of it")]
    Damaged {
        /// What the file is.
        container: Container,
        /// How many bytes were read. Behind the header of a file with advanced compression, these are expanded ones.
        offset: u64,
        /// What is wrong.
        damage: Damage,
    },
    /// The file has fewer disks than the options ask for.
    #[error("the file has {disks} {}, counted from 0, and no disk {index}; name another", if *disks == 1 { "disk" } else { "disks" })]
    NoSuchDisk {
        /// The number of disks in the file.
        disks: usize,
        /// The disk that was asked for, counted from 0.
        index: usize,
    },
}

/// What the library does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsupported {
    /// The disk is in several files, of which this is not the first. The first has no such mark:
    /// [`Damage::TruncatedOrPart`].
    #[error("a part of a disk in several files; join them with Teledisk first")]
    SeveralFiles,
    /// The file was compressed by a Teledisk before version 2.
    #[error("of a version before 2.0, which compresses in another way; save it again with Teledisk 2")]
    OldCompression,
}

/// What is wrong with the bytes of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// The file ends in the middle of the disk.
    #[error("the file ends too early")]
    Truncated,
    /// The file ends in the middle of the disk, and its format can have the rest in other files.
    #[error("the file ends too early: it is cut, or it is the first of several, which Teledisk joins")]
    TruncatedOrPart,
    /// A header or a sector has another CRC than the file says.
    #[error("the CRC is wrong")]
    Checksum,
    /// A field has a value that the format does not define.
    #[error("{field} is {value}")]
    Value {
        /// The name of the field.
        field: &'static str,
        /// The value.
        value: u32,
    },
    /// The compressed bytes of a sector expand to fewer or more bytes than the sector has.
    #[error("the compressed bytes do not give one sector")]
    Compression,
    /// A track is in the file twice.
    #[error("cylinder {cylinder}, head {head} is recorded twice")]
    Duplicate {
        /// The cylinder.
        cylinder: u8,
        /// The head.
        head: u8,
    },
    /// The data fields have more bytes than those of any floppy disk.
    #[error("the sectors have more than {MAX_BYTES} bytes")]
    TooLarge,
    /// No track is recorded.
    #[error("no track is recorded")]
    Empty,
}

/// Why a disk cannot be saved as a file of ImageDisk.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// The format cannot hold a track.
    #[error("cylinder {cylinder}, head {head}: an ImageDisk file cannot hold {reason}")]
    Track {
        /// The cylinder of the track.
        cylinder: u8,
        /// The head of the track.
        head: u8,
        /// What it cannot hold.
        reason: Unsavable,
    },
    /// The comment has the byte that ends comments.
    #[error("the comment has a byte 1Ah, which ends comments")]
    Comment,
    /// The file cannot be written.
    #[error(transparent)]
    Create(#[from] CreateError),
}

/// What an ImageDisk file cannot hold of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsavable {
    /// The track is recorded at 1 Mb/s.
    #[error("a track at 1000 kb/s")]
    Rate,
    /// The track has more than 255 sectors.
    #[error("{0} sectors")]
    Count(usize),
    /// The ID of the sector has no size that a sector can have.
    #[error("the size code of sector {0}")]
    SizeCode(u8),
    /// The data field of the sector has another size than its ID says.
    #[error("the data field of sector {0}, which has another size than the ID says")]
    DataSize(u8),
    /// The ID field of the sector has a wrong CRC.
    #[error("the wrong CRC in the ID of sector {0}")]
    IdCrc(u8),
}
