//! Events of the media of a drive, and their observers.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::mpsc::Sender,
};

use crate::media::Layout;

/// A medium was inserted into a drive, or ejected from it, or became another disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MediaEvent {
    /// `OnMediaInsert`: an image or a medium was attached, or a disk was put into the attached host drive.
    Inserted {
        /// The number of the drive.
        drive: u8,
        /// The absolute path of the image or the host drive; `None` for a medium that the VM monitor supplies.
        path: Option<PathBuf>,
    },
    /// `OnMediaEject`: an image or a medium was released, or the disk was taken out of the attached host drive.
    Ejected {
        /// The number of the drive.
        drive: u8,
        /// The absolute path of the image or the host drive; `None` for a medium that the VM monitor supplies.
        path: Option<PathBuf>,
    },
    /// A guest has formatted the disk in another layout: see
    /// [`ImageOptions::with_reformat`](crate::media::ImageOptions::with_reformat). The disk is still in the drive.
    Reformatted {
        /// The number of the drive.
        drive: u8,
        /// The absolute path of the image; `None` for a medium without a file.
        path: Option<PathBuf>,
        /// How the sectors lay before; `None` if the disk was blank, or nobody knows.
        before: Option<Layout>,
        /// How the sectors lie now; `None` if nobody knows.
        after: Option<Layout>,
    },
}

impl MediaEvent {
    /// Returns the number of the event: 1 or 2 for those of `IVMFloppyDrive`, and 3 for a disk that is reformatted, which is
    /// none of them.
    #[must_use]
    pub const fn dispatch_id(&self) -> u32 {
        match self {
            Self::Inserted { .. } => 1,
            Self::Ejected { .. } => 2,
            Self::Reformatted { .. } => 3,
        }
    }

    /// Returns the number of the drive.
    #[must_use]
    pub const fn drive(&self) -> u8 {
        match self {
            Self::Inserted { drive, .. } | Self::Ejected { drive, .. } | Self::Reformatted { drive, .. } => *drive,
        }
    }

    /// Returns the absolute path of the image or the host drive; `None` for a medium that the VM monitor supplies.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Inserted { path, .. } | Self::Ejected { path, .. } | Self::Reformatted { path, .. } => {
                path.as_deref()
            }
        }
    }
}

/// An observer of the media of a drive: a closure, or the sending end of a channel.
///
/// The library calls it on the thread that changes the medium, after the change and after a released file is closed, with one
/// event at a time. The thread of the guest changes it when a guest reformats a disk; if a manager is just changing something,
/// the event comes on the thread of that manager. It can ask the drive what is attached. It must not attach, release, swap, flush, observe, check the host
/// drive or drop the controller: such a call waits for the observer itself, and never returns. The observers of a controller
/// are dropped with it.
pub trait MediaObserver: Send {
    /// Handles an event. [`ControlFlow::Break`] ends the observation.
    fn media_changed(&mut self, event: &MediaEvent) -> ControlFlow<()>;
}

impl<F: FnMut(&MediaEvent) -> ControlFlow<()> + Send> MediaObserver for F {
    fn media_changed(&mut self, event: &MediaEvent) -> ControlFlow<()> {
        self(event)
    }
}

/// Sends the events until the receiver is dropped.
impl MediaObserver for Sender<MediaEvent> {
    fn media_changed(&mut self, event: &MediaEvent) -> ControlFlow<()> {
        match self.send(event.clone()) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

/// The observers of a drive.
#[derive(Default)]
pub(super) struct Observers(Vec<Box<dyn MediaObserver>>);

impl Observers {
    /// Adds an observer.
    pub fn add(&mut self, observer: Box<dyn MediaObserver>) {
        self.0.push(observer);
    }

    /// Tells all observers of an event, and drops those that end their observation.
    pub fn notify(&mut self, event: &MediaEvent) {
        self.0.retain_mut(|observer| observer.media_changed(event) == ControlFlow::Continue(()));
    }

    /// Drops all observers.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}
