//! Events of the media of a drive, and their observers.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::mpsc::Sender,
};

/// A medium was inserted into a drive, or ejected from it.
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
}

impl MediaEvent {
    /// Returns the number of the event among those of `IVMFloppyDrive`, 1 or 2.
    #[must_use]
    pub const fn dispatch_id(&self) -> u32 {
        match self {
            Self::Inserted { .. } => 1,
            Self::Ejected { .. } => 2,
        }
    }

    /// Returns the number of the drive.
    #[must_use]
    pub const fn drive(&self) -> u8 {
        match self {
            Self::Inserted { drive, .. } | Self::Ejected { drive, .. } => *drive,
        }
    }

    /// Returns the absolute path of the image or the host drive; `None` for a medium that the VM monitor supplies.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Inserted { path, .. } | Self::Ejected { path, .. } => path.as_deref(),
        }
    }
}

/// An observer of the media of a drive: a closure, or the sending end of a channel.
///
/// The library calls it on the thread that changes the medium, after the change and after a released file is closed, with one
/// event at a time. It can ask the drive what is attached. It must not attach, release, swap, flush, observe, check the host
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
