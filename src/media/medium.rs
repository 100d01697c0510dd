//! The [`Medium`] trait: a disk as the head of a drive sees it, with its error and its pending flush.

use std::{any::Any, fmt, io, ops::Range};

use super::{
    formats::{ImageType, Layout},
    geometry::FormFactor,
    recording::Mark,
    track::{Track, TrackFormat},
};

/// Why a medium refuses to read, write or format.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MediumError {
    /// The medium has no such sector.
    #[error("the medium has no such sector")]
    Absent,
    /// The medium cannot hold what is to be written: a deleted mark or a track of another format in a raw image, or
    /// anything on a disk that is write protected.
    #[error("the medium cannot hold what is to be written")]
    Unsupported,
    /// The disk has become write protected within the command.
    #[error("the disk is write protected")]
    WriteProtected,
    /// The host could not read or write what backs the medium.
    #[error("host I/O error")]
    Io(#[from] io::Error),
}

/// A disk: the tracks under two heads, each a sequence of sectors.
///
/// # Arguments
///
/// `cylinder` is the medium's own, counted from the outermost; the drive translates from the position of its head.
/// `head` is 0 or 1. `slot` is the position of a sector on its track, counted from the index hole. All arguments can be
/// out of range, and no argument makes an implementation panic.
///
/// # Calls
///
/// A drive calls the methods with its lock held. They do not call a [`FloppyDrive`](crate::FloppyDrive) handle. A
/// command that writes calls [`write`](Self::write) and [`finish_write`](Self::finish_write) for each run of sectors,
/// and [`commit`](Self::commit) when it ends.
///
/// With the feature `conformance`, `vm_fdc::conformance::check_medium` checks an implementation against this contract.
pub trait Medium: Any + Send {
    /// Returns the kind of drive into which the disk fits.
    fn form_factor(&self) -> FormFactor;

    /// Returns the number of cylinders on the disk, recorded or not: 86 or fewer, or no drive takes the disk. A 5.25"
    /// disk of 43 or fewer is double-stepped in a drive of 80 cylinders (§9.4). A format can change the number.
    fn cylinders(&self) -> u8;

    /// Returns the name by which a saved state asks the VM monitor for this medium again, or `None` if the medium has no
    /// name (the default).
    fn name(&self) -> Option<&str> {
        None
    }

    /// Returns how the sectors are arranged, for managers who ask for the layout of the disk. `None` (the default) if no
    /// [`Layout`] describes it. Called when the medium is attached, and before and after a format: if that makes the disk
    /// another one, the observers of the drive get
    /// [`MediaEvent::Reformatted`](crate::drive::MediaEvent::Reformatted).
    fn layout(&self) -> Option<Layout> {
        None
    }

    /// Returns the image type, for managers who ask for it. The default is that of the [layout](Self::layout).
    fn image_type(&self) -> ImageType {
        self.layout().map_or(ImageType::Unknown, |layout| layout.image_type())
    }

    /// Returns whether the disk is write protected. While it is, the controller calls neither [`write`](Self::write)
    /// nor [`format_track`](Self::format_track), and an implementation that is called all the same returns an error.
    fn is_write_protected(&self) -> bool;

    /// Returns the track under `head` on `cylinder`, or `None` where nothing is recorded.
    fn track(&self, cylinder: u8, head: u8) -> Option<Track<'_>>;

    /// Returns the bytes of the data fields from `slot` on: of whole sectors, at least one and at most `count`, end to
    /// end.
    ///
    /// `count` is 1 or more. A `count` that goes beyond the end of the track under head 0 asks for the sectors under
    /// head 1, too, if they come next in the medium.
    ///
    /// # Errors
    ///
    /// [`MediumError::Absent`] if there is no such sector, [`MediumError::Io`] if the host fails.
    fn read(&mut self, cylinder: u8, head: u8, slot: usize, count: usize) -> Result<&[u8], MediumError>;

    /// Returns the same bytes as [`read`](Self::read), to be overwritten in place in data fields with `mark`.
    ///
    /// [`finish_write`](Self::finish_write) follows when the bytes of a sector are complete. A sector for which it does
    /// not follow has been written in part: its data field has a wrong CRC, where the medium can hold that.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), and [`MediumError::Unsupported`] for a mark that the medium cannot hold. The medium is
    /// unchanged then.
    fn write(
        &mut self,
        cylinder: u8,
        head: u8,
        slot: usize,
        count: usize,
        mark: Mark,
    ) -> Result<&mut [u8], MediumError>;

    /// Completes the data fields of `count` sectors from `slot` on: they have `mark` and a good CRC from now on.
    ///
    /// As in [`write`](Self::write), the sectors can continue under head 1.
    fn finish_write(&mut self, cylinder: u8, head: u8, slot: usize, count: usize, mark: Mark);

    /// Formats a track, whatever was on it (§4.9). A medium that does not implement this cannot be formatted.
    ///
    /// # Errors
    ///
    /// [`MediumError::Unsupported`] for a track that the medium cannot hold, which is unchanged then, and
    /// [`MediumError::Io`] if the host fails.
    fn format_track(&mut self, cylinder: u8, head: u8, format: &TrackFormat<'_>) -> Result<(), MediumError> {
        let _ = (cylinder, head, format);
        Err(MediumError::Unsupported)
    }

    /// Ends a command that wrote. The medium keeps what it cannot store, and tries again with the next command and at a
    /// flush.
    ///
    /// # Errors
    ///
    /// The host's error. The guest's command fails with it.
    fn commit(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Stores all that was written where it is durable. The medium stays usable whatever the outcome.
    ///
    /// # Errors
    ///
    /// The host's error.
    fn flush(&mut self) -> io::Result<()>;

    /// Begins a flush that can be waited for while the drive uses the medium. The default flushes at once.
    ///
    /// # Errors
    ///
    /// The host's error.
    fn begin_flush(&mut self) -> io::Result<Flushing> {
        self.flush().map(|()| Flushing::done())
    }

    /// Returns the bytes of the raw image that were written and are not known to be durable, as ranges in ascending
    /// order. Empty (the default) if there are none, or if the medium cannot tell.
    fn unsaved(&self) -> Vec<Range<u64>> {
        Vec::new()
    }

    /// Returns the bytes of a raw image of the disk as it is now.
    ///
    /// # Errors
    ///
    /// [`MediumError::Unsupported`] (the default) if no raw image can hold the disk, [`MediumError::Io`] if the host
    /// fails.
    fn raw_image(&mut self) -> Result<Vec<u8>, MediumError> {
        Err(MediumError::Unsupported)
    }

    /// Unlocks what others may want to use, such as a file. Called after a flush and before the medium is dropped.
    ///
    /// # Errors
    ///
    /// The host's error. The medium stays usable then.
    fn unlock(&mut self) -> io::Result<()> {
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
    /// Returns a flush that has ended.
    pub const fn done() -> Self {
        Self(None)
    }

    /// Returns a flush that ends when `rest` returns, with its outcome.
    pub fn until(rest: impl FnOnce() -> io::Result<()> + Send + 'static) -> Self {
        Self(Some(Box::new(rest)))
    }

    /// Waits for the end of the flush.
    ///
    /// # Errors
    ///
    /// The host's error.
    pub fn wait(self) -> io::Result<()> {
        self.0.map_or(Ok(()), |rest| rest())
    }
}

impl fmt::Debug for Flushing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flushing").field("done", &self.0.is_none()).finish()
    }
}
