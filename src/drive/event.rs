//! What those who watch a drive are told.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::mpsc::Sender,
};

/// A medium went into a drive, or out of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MediaEvent {
    /// `OnMediaInsert`: an image or a medium was attached, or a disk put into the attached host drive.
    Inserted {
        /// The number of the drive.
        drive: u8,
        /// The absolute path of the image or the host drive; `None` for a medium that the embedder made.
        path: Option<PathBuf>,
    },
    /// `OnMediaEject`: an image or a medium was released, or the disk taken out of the attached host drive.
    Ejected {
        /// The number of the drive.
        drive: u8,
        /// The absolute path of the image or the host drive; `None` for a medium that the embedder made.
        path: Option<PathBuf>,
    },
}

impl MediaEvent {
    /// The number of the event in `IVMFloppyDrive`'s events: 1 or 2.
    #[must_use]
    pub const fn dispatch_id(&self) -> u32 {
        match self {
            Self::Inserted { .. } => 1,
            Self::Ejected { .. } => 2,
        }
    }

    /// The number of the drive.
    #[must_use]
    pub const fn drive(&self) -> u8 {
        match self {
            Self::Inserted { drive, .. } | Self::Ejected { drive, .. } => *drive,
        }
    }

    /// The absolute path of the image or the host drive; `None` for a medium that the embedder made.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Inserted { path, .. } | Self::Ejected { path, .. } => path.as_deref(),
        }
    }
}

/// Someone who is told of the media of a drive: a closure, or the sending end of a channel.
///
/// It is called on the thread that changes the medium, after the change, when the file of what was released has been let go,
/// and one event at a time. It may ask the drive what is attached. It must not attach, release, swap, flush, observe, check
/// the host drive or drop the controller: that would wait for itself. When the controller goes, its observers are dropped.
pub trait MediaObserver: Send {
    /// A medium went in or out. [`ControlFlow::Break`] ends the observation.
    fn media_changed(&mut self, event: &MediaEvent) -> ControlFlow<()>;
}

impl<F: FnMut(&MediaEvent) -> ControlFlow<()> + Send> MediaObserver for F {
    fn media_changed(&mut self, event: &MediaEvent) -> ControlFlow<()> {
        self(event)
    }
}

/// Sends the events for as long as somebody listens.
impl MediaObserver for Sender<MediaEvent> {
    fn media_changed(&mut self, event: &MediaEvent) -> ControlFlow<()> {
        match self.send(event.clone()) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}
