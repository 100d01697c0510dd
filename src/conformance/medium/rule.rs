//! The rules of the contract of a medium, and the report of a check.

/// A rule that every [`Medium`](crate::media::Medium) keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum MediumRule {
    /// No argument makes a method panic.
    #[error("no argument makes a method panic")]
    NoPanic,
    /// A disk has 86 cylinders or fewer, and two heads. Outside of them, and behind the last sector of a track, nothing
    /// is recorded, and nothing can be read, written or formatted.
    #[error("nothing exists outside the disk and behind the end of a track")]
    Bounds,
    /// A sector that a track shows, with a data field, can be read, unless the host fails.
    #[error("a sector that the track shows can be read")]
    Readable,
    /// A read or a write returns whole sectors, at least one and at most `count`, each as a read of that sector alone
    /// returns it. The sectors of a regular track have the size in their IDs.
    #[error("a run has at least one and at most `count` whole sectors")]
    WholeSectors,
    /// Two reads without a write between them return the same bytes.
    #[error("two reads return the same bytes")]
    StableReads,
    /// A write returns the bytes that a read returns, to be overwritten in place.
    #[error("a write returns the bytes that are on the disk")]
    WriteInPlace,
    /// What is written and finished reads back, and no other sector changes.
    #[error("what is written reads back, and no other sector changes")]
    ReadBack,
    /// A finished sector has the mark of the write and a good CRC, even after a write that was interrupted.
    #[error("a finished sector has the mark that was written and a good CRC")]
    Marks,
    /// A deleted mark is held, or refused with [`Unsupported`](crate::media::MediumError::Unsupported). A refusal
    /// changes nothing.
    #[error("a deleted mark is held, or refused with `Unsupported`")]
    DeletedMark,
    /// A medium that is write protected returns an error to a write and a format.
    #[error("a medium that is write protected refuses writes and formats")]
    WriteProtection,
    /// A track that is formatted has the IDs, the data marks and the filler of the format. A format that the medium
    /// cannot hold is refused with [`Unsupported`](crate::media::MediumError::Unsupported). A refusal changes nothing.
    #[error("a format is held, or refused with `Unsupported`")]
    Format,
    /// A commit and a flush succeed, keep the contents, and leave nothing unsaved.
    #[error("commits and flushes succeed, keep the contents, and leave nothing unsaved")]
    Flush,
    /// The unsaved ranges are not empty, in ascending order, and end within the largest raw image.
    #[error("unsaved ranges are not empty, ascend, and end within the largest raw image")]
    Unsaved,
    /// The raw image of a disk whose tracks are all alike has its sectors in ascending order of cylinder, head and
    /// sector, as reads return them. Any raw image is the same when it is asked for twice.
    #[error("the raw image has the bytes that reads return")]
    RawImage,
}

/// What [`check_medium`](super::check_medium) has checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MediumReport {
    /// Tracks with sectors.
    pub tracks: usize,
    /// Sectors that were read.
    pub sectors_read: usize,
    /// Sectors that were written, read back and restored. Sectors with a wrong CRC or a data field of another size than
    /// in their IDs are not written.
    pub sectors_written: usize,
    /// Formats that the medium accepted.
    pub formats: usize,
    /// Whether the medium held a deleted mark.
    pub deleted_marks: bool,
    /// Whether a raw image was compared with reads, sector by sector.
    pub raw_image: bool,
    /// Sectors that were skipped because the host failed to read or write them.
    pub host_errors: usize,
}
