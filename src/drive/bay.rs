//! The bay that a drive and its managers share: what is in it, and how that changes.
//!
//! Three locks. The state is held by the guest for one transfer, by a manager for as long as it takes to look, to change
//! what is in, or to hand bytes over to the host; never while a file is opened or a host's disk waited for. The second is
//! held by whoever changes the medium, from start to end: managers wait for each other there, and no guest ever takes it. It
//! is taken first. The third keeps what is attached for those who only ask, and is taken last, for as long as a copy takes.

use std::{
    any::Any,
    fmt, io,
    ops::ControlFlow,
    path::{Path, PathBuf, absolute},
    sync::PoisonError,
};

use log::warn;

use super::{
    AttachError, DataLoss, DriveType, MediaEvent, MediaObserver, MediumState, ReleaseError, RestoreMediumError,
    SaveError, StateOptions, SwapError, error::WithCauses, state,
};
use crate::media::{Access, Flushing, Image, ImageError, ImageOptions, Layout, Medium, MediumError, Source};
use crate::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};

/// What is attached to a drive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[repr(u8)]
pub enum Attachment {
    /// Nothing: the drive is empty.
    #[default]
    None = 0,
    /// An image, or a medium that the embedder made.
    Image = 1,
    /// A floppy drive of the host.
    HostDrive = 2,
}

/// What a drive of a virtual machine and its managers share.
pub(crate) struct Bay {
    number: u8,
    drive_type: DriveType,
    /// The latch behind the disk-change line. Changed with the state locked, and looked at without.
    changed: AtomicBool,
    state: Mutex<BayState>,
    /// What is attached, for those who only ask: they do not wait for the guest's transfer.
    label: Mutex<Label>,
    /// Held by whoever changes the medium.
    manager: Mutex<Observers>,
}

/// What is attached, as far as a manager can ask.
#[derive(Clone, Debug, Default)]
pub(super) struct Label {
    pub kind: Attachment,
    pub path: Option<PathBuf>,
    pub layout: Option<Layout>,
}

type Observers = Vec<Box<dyn MediaObserver>>;

pub(crate) struct BayState {
    loaded: Option<Loaded>,
    /// Tells this medium from every other that was in this drive or another: the drive's number in the upper byte, below it
    /// how many have been in.
    disk: u64,
    /// The controller is gone.
    closed: bool,
}

/// What is attached.
struct Loaded {
    /// None when the host drive that is attached has no disk in it.
    medium: Option<Box<dyn Medium>>,
    kind: Attachment,
    path: Option<PathBuf>,
    /// Of an image or a host drive.
    options: ImageOptions,
    layout: Option<Layout>,
}

impl fmt::Debug for Bay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, drive_type, changed, state, label: _, manager: _ } = self;
        f.debug_struct("Bay")
            .field("number", number)
            .field("drive_type", drive_type)
            .field("changed", changed)
            .field("state", state)
            .finish()
    }
}

impl fmt::Debug for BayState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BayState")
            .field("attachment", &self.attachment())
            .field("path", &self.path())
            .field("closed", &self.closed)
            .finish()
    }
}

impl BayState {
    pub(crate) fn medium(&self) -> Option<&dyn Medium> {
        self.loaded.as_ref()?.medium.as_deref()
    }

    pub(crate) fn medium_mut(&mut self) -> Option<&mut (dyn Medium + 'static)> {
        self.loaded.as_mut()?.medium.as_deref_mut()
    }

    /// Which medium it is, of all that have been attached.
    pub(crate) fn disk(&self) -> u64 {
        self.disk
    }

    pub(super) fn attachment(&self) -> Attachment {
        self.loaded.as_ref().map_or(Attachment::None, |loaded| loaded.kind)
    }

    pub(super) fn path(&self) -> Option<&Path> {
        self.loaded.as_ref().and_then(|loaded| loaded.path.as_deref())
    }
}

impl Bay {
    pub(super) fn new(number: u8, drive_type: DriveType) -> Self {
        // The latch is set at power-up, with a disk or without.
        let changed = AtomicBool::new(true);
        // No disk of one drive has the number of one of another.
        let state = BayState { loaded: None, disk: u64::from(number) << 56, closed: false };
        let (state, label) = (Mutex::new(state), Mutex::new(Label::default()));
        Self { number, drive_type, changed, state, label, manager: Mutex::default() }
    }

    pub(super) fn number(&self) -> u8 {
        self.number
    }

    pub(super) fn drive_type(&self) -> DriveType {
        self.drive_type
    }

    /// A medium that panicked while it was in use leaves nothing half done in the bay itself.
    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, BayState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is attached.
    pub(super) fn label(&self) -> Label {
        self.label.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is attached has changed.
    fn relabel(&self, state: &BayState) {
        let (kind, path) = (state.attachment(), state.path().map(Path::to_owned));
        let layout = state.loaded.as_ref().and_then(|loaded| loaded.layout);
        *self.label.lock().unwrap_or_else(PoisonError::into_inner) = Label { kind, path, layout };
    }

    /// Whoever holds this changes the medium.
    fn manage(&self) -> MutexGuard<'_, Observers> {
        self.manager.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn changed(&self) -> bool {
        self.changed.load(Ordering::Acquire)
    }

    /// A step pulse clears the latch, but only while a disk is in.
    pub(crate) fn clear_change(&self) {
        if self.changed() {
            let state = self.lock();
            self.changed.store(state.medium().is_none(), Ordering::Release);
        }
    }

    /// The controller goes away: what is attached is saved and let go, and handles answer so from now on.
    pub(crate) fn close(&self) {
        let mut observers = self.manage();
        let mut state = self.lock();
        state.closed = true;
        let loaded = state.loaded.take();
        self.relabel(&state);
        drop(state);
        let Some(mut loaded) = loaded else { return observers.clear() };
        if let Some(Err(source)) = loaded.medium.as_mut().map(|medium| medium.flush()) {
            let error = ReleaseError::UnmountFailed { drive: self.number, path: loaded.path.clone(), source };
            warn!("{}", WithCauses(&error));
        }
        self.discard(&mut observers, loaded);
        observers.clear();
    }

    pub(super) fn observe(&self, observer: Box<dyn MediaObserver>) {
        let mut observers = self.manage();
        // Of a controller that is gone there is nothing to tell.
        if !self.lock().closed {
            observers.push(observer);
        }
    }

    fn tell(observers: &mut Observers, event: &MediaEvent) {
        observers.retain_mut(|observer| observer.media_changed(event) == ControlFlow::Continue(()));
    }

    fn tell_of_insertion(&self, observers: &mut Observers, path: Option<PathBuf>) {
        Self::tell(observers, &MediaEvent::Inserted { drive: self.number, path });
    }

    /// Says that the medium is out, if there was one. Its file has been let go.
    fn tell_of_ejection(&self, observers: &mut Observers, was_in: bool, path: Option<PathBuf>) {
        if was_in {
            Self::tell(observers, &MediaEvent::Ejected { drive: self.number, path });
        }
    }

    /// Nothing is attached, and something can be.
    fn vacant(&self) -> Result<MutexGuard<'_, BayState>, AttachError> {
        let (state, drive) = (self.lock(), self.number);
        if state.closed {
            return Err(AttachError::VmUnknown { drive });
        }
        if state.loaded.is_some() {
            return Err(AttachError::DriveInUse { drive });
        }
        Ok(state)
    }

    /// Something is attached; of this kind, if one is asked for.
    fn occupied(&self, kind: Option<Attachment>) -> Result<MutexGuard<'_, BayState>, ReleaseError> {
        let (state, drive) = (self.lock(), self.number);
        if state.closed {
            return Err(ReleaseError::VmUnknown { drive });
        }
        match (state.attachment(), kind) {
            (Attachment::None, _) => Err(ReleaseError::NoMediaCaptured { drive }),
            (attached, Some(kind)) if attached != kind => Err(ReleaseError::WrongMediaType { drive }),
            _ => Ok(state),
        }
    }

    pub(super) fn attach_path(&self, path: &Path, options: ImageOptions, kind: Attachment) -> Result<(), AttachError> {
        let mut observers = self.manage();
        drop(self.vacant()?);
        let loaded = self.open(path, options, kind)?;
        let told = loaded.medium.is_some().then(|| loaded.path.clone());
        self.put_in(self.vacant()?, loaded);
        if let Some(path) = told {
            self.tell_of_insertion(&mut observers, path);
        }
        Ok(())
    }

    pub(super) fn attach_medium(&self, medium: Box<dyn Medium>) -> Result<(), AttachError> {
        let (drive, drive_type) = (self.number, self.drive_type);
        let mut observers = self.manage();
        drop(self.vacant()?);
        let (form_factor, cylinders) = (medium.form_factor(), medium.cylinders());
        if !drive_type.takes(form_factor, cylinders) {
            let suitable = DriveType::all_that(|drive| drive.takes(form_factor, cylinders));
            return Err(AttachError::UnsuitableMedium { drive, drive_type, form_factor, cylinders, suitable });
        }
        let (kind, options) = (Attachment::Image, ImageOptions::default());
        self.put_in(self.vacant()?, Loaded { medium: Some(medium), kind, path: None, options, layout: None });
        self.tell_of_insertion(&mut observers, None);
        Ok(())
    }

    /// Opens what is to be attached. The file is opened with nothing locked.
    fn open(&self, path: &Path, options: ImageOptions, kind: Attachment) -> Result<Loaded, AttachError> {
        let (drive, drive_type) = (self.number, self.drive_type);
        if path.as_os_str().is_empty() {
            return Err(AttachError::EmptyPath { drive });
        }
        let failed = |error| AttachError::opening(drive, drive_type, kind, path.to_owned(), ImageError::Open(error));
        let path = absolute(path).map_err(failed)?;
        let source = if kind == Attachment::HostDrive { Source::HostDrive } else { Source::File };
        match Image::open_for(&path, options, source, |&layout| drive_type.accepts(layout)) {
            Ok(image) => {
                let layout = Some(image.layout());
                Ok(Loaded { medium: Some(Box::new(image)), kind, path: Some(path), options, layout })
            }
            Err(ImageError::Empty) if kind == Attachment::HostDrive => {
                Ok(Loaded { medium: None, kind, path: Some(path), options, layout: None })
            }
            Err(error) => Err(AttachError::opening(drive, drive_type, kind, path, error)),
        }
    }

    /// The door shuts. The change latch stays as it is: set, since the drive was empty.
    fn put_in(&self, mut state: MutexGuard<'_, BayState>, loaded: Loaded) {
        state.loaded = Some(loaded);
        state.disk += 1;
        self.relabel(&state);
    }

    /// The door opens. What was in comes out, if something was. It counts as attached until it is known to stay out.
    fn take_out(&self) -> Option<Loaded> {
        let mut state = self.lock();
        let loaded = state.loaded.take();
        self.changed.store(true, Ordering::Release);
        loaded
    }

    /// What was taken out goes back: the guest has seen the door open and close.
    fn put_back(&self, loaded: Loaded) {
        let mut state = self.lock();
        state.loaded = Some(loaded);
        self.relabel(&state);
    }

    /// Lets go of what was taken out, and says so if a medium was in it.
    fn discard(&self, observers: &mut Observers, loaded: Loaded) {
        let was_in = loaded.medium.is_some();
        drop(loaded.medium);
        self.tell_of_ejection(observers, was_in, loaded.path);
    }

    /// Brings what was written to the host's disk while the guest goes on.
    fn flush_attached(&self, kind: Option<Attachment>) -> Result<(), ReleaseError> {
        let mut state = self.occupied(kind)?;
        let flushing = state.medium_mut().map_or_else(|| Ok(Flushing::done()), |medium| medium.begin_flush());
        drop(state);
        flushing.and_then(Flushing::wait).map_err(|source| self.unsaved(source))
    }

    fn unsaved(&self, source: io::Error) -> ReleaseError {
        ReleaseError::UnmountFailed { drive: self.number, path: self.lock().path().map(Path::to_owned), source }
    }

    pub(super) fn flush(&self) -> Result<(), ReleaseError> {
        let _managing = self.manage();
        self.flush_attached(None)
    }

    /// Takes out what is attached, with all of it saved. `let_go` of the host's file, too, or leave that to its owner.
    fn eject(&self, kind: Attachment, let_go: bool) -> Result<Option<Loaded>, ReleaseError> {
        // Most of the waiting is done with the medium still in, and the rest when the guest cannot write any more.
        self.flush_attached(Some(kind))?;
        let Some(mut loaded) = self.take_out() else { return Ok(None) };
        let Some(medium) = &mut loaded.medium else {
            self.relabel(&self.lock());
            return Ok(Some(loaded));
        };
        if let Err(source) = medium.flush() {
            self.put_back(loaded);
            return Err(self.unsaved(source));
        }
        if let Err(source) = if let_go { medium.let_go() } else { Ok(()) } {
            let (drive, path) = (self.number, loaded.path.clone());
            self.put_back(loaded);
            return Err(ReleaseError::UnlockFailed { drive, path, source });
        }
        self.relabel(&self.lock());
        Ok(Some(loaded))
    }

    pub(super) fn release(&self, kind: Attachment, let_go: bool) -> Result<Option<Box<dyn Medium>>, ReleaseError> {
        let mut observers = self.manage();
        let Some(Loaded { mut medium, path, .. }) = self.eject(kind, let_go)? else { return Ok(None) };
        let was_in = medium.is_some();
        if let_go {
            medium = None;
        }
        self.tell_of_ejection(&mut observers, was_in, path);
        Ok(medium)
    }

    pub(super) fn force_release(&self) -> Result<Option<DataLoss>, ReleaseError> {
        let mut observers = self.manage();
        // For its time alone: what it cannot save may yet be saved below.
        _ = self.flush_attached(None);
        drop(self.occupied(None)?);
        let Some(mut loaded) = self.take_out() else { return Ok(None) };
        self.relabel(&self.lock());
        let flushed = loaded.medium.as_mut().map_or(Ok(()), |medium| medium.flush());
        let loss = flushed.err().map(|source| {
            let ranges = loaded.medium.as_ref().map_or_else(Vec::new, |medium| medium.unsaved());
            DataLoss { drive: self.number, path: loaded.path.clone(), ranges, source }
        });
        self.discard(&mut observers, loaded);
        Ok(loss)
    }

    pub(super) fn swap(&self, path: &Path, options: ImageOptions) -> Result<(), SwapError> {
        let mut observers = self.manage();
        drop(self.occupied(Some(Attachment::Image)).map_err(SwapError::Release)?);
        let new = self.open(path, options, Attachment::Image).map_err(SwapError::Attach)?;
        if let Some(old) = self.eject(Attachment::Image, true).map_err(SwapError::Release)? {
            self.discard(&mut observers, old);
        }
        let path = new.path.clone();
        self.put_in(self.vacant().map_err(SwapError::Attach)?, new);
        self.tell_of_insertion(&mut observers, path);
        Ok(())
    }

    /// Looks whether a disk was put into the attached host drive, or taken out of it.
    pub(super) fn check_host_drive(&self) -> Result<bool, AttachError> {
        let mut observers = self.manage();
        let state = self.lock();
        if state.closed {
            return Err(AttachError::VmUnknown { drive: self.number });
        }
        let (Attachment::HostDrive, Some(path)) = (state.attachment(), state.path().map(Path::to_owned)) else {
            return Ok(false);
        };
        let options = state.loaded.as_ref().map_or_else(ImageOptions::default, |loaded| loaded.options);
        let was_in = state.medium().is_some();
        drop(state);
        let still_in = was_in && self.is_still_in(&path);
        if still_in {
            return Ok(true);
        }
        if was_in && let Some(mut loaded) = self.take_out() {
            // Nothing can be saved to a disk that is not there.
            let lost = loaded.medium.take().map(|mut medium| {
                let unsaved = medium.unsaved();
                if let Some(image) = (&mut *medium as &mut dyn Any).downcast_mut::<Image>() {
                    image.forget_what_was_written();
                }
                unsaved
            });
            if let Some(ranges) = lost.filter(|lost| !lost.is_empty()) {
                let source = io::Error::other("the disk was taken out");
                let loss = DataLoss { drive: self.number, path: loaded.path.clone(), ranges, source };
                warn!("{}", WithCauses(&loss));
            }
            let path = loaded.path.clone();
            self.put_back(Loaded { layout: None, ..loaded });
            self.tell_of_ejection(&mut observers, true, path);
        }
        let found = self.open(&path, options, Attachment::HostDrive)?;
        if found.medium.is_none() {
            return Ok(false);
        }
        self.put_in(self.lock(), found);
        self.tell_of_insertion(&mut observers, Some(path));
        Ok(true)
    }

    fn is_still_in(&self, path: &Path) -> bool {
        let state = self.lock();
        let image = state.medium().and_then(|medium| (medium as &dyn Any).downcast_ref::<Image>());
        let presence = image.map(Image::presence);
        drop(state);
        presence.is_some_and(|presence| presence.is_still_at(path))
    }

    /// The bytes of a raw image of what is in.
    pub(super) fn raw_image(&self) -> Result<Vec<u8>, SaveError> {
        let drive = self.number;
        let unreadable = |source: MediumError| SaveError::Unreadable { drive, source };
        // Track by track, so that the guest does not wait for a whole disk to be read.
        let cylinders = self.with_medium(|medium| Ok(medium.cylinders()))?;
        for (cylinder, head) in (0..cylinders).flat_map(|cylinder| [(cylinder, 0), (cylinder, 1)]) {
            self.with_medium(|medium| {
                let sectors = medium.track(cylinder, head).map_or(0, |track| track.len());
                // At once, and then each by itself, for what the first try may have missed.
                _ = medium.read(cylinder, head, 0, sectors);
                for slot in 0..sectors {
                    if let Err(error @ MediumError::Io(_)) = medium.read(cylinder, head, slot, 1) {
                        return Err(unreadable(error));
                    }
                }
                Ok(())
            })?;
        }
        self.with_medium(|medium| medium.raw_image().map_err(unreadable))
    }

    /// Does something short with what is in.
    fn with_medium<T>(&self, work: impl FnOnce(&mut dyn Medium) -> Result<T, SaveError>) -> Result<T, SaveError> {
        let (mut state, drive) = (self.lock(), self.number);
        if state.closed {
            return Err(SaveError::VmUnknown { drive });
        }
        work(state.medium_mut().ok_or(SaveError::NoMediaCaptured { drive })?)
    }
}

/// What of the bay is saved with the machine: the change latch, which disk it is, and the disk.
type SavedBay = (bool, u64, Option<MediumState>);

impl Bay {
    pub(super) fn state(&self, options: StateOptions) -> Result<SavedBay, MediumError> {
        let mut state = self.lock();
        let disk = state.disk;
        let Some(loaded) = &mut state.loaded else { return Ok((self.changed(), disk, None)) };
        let Loaded { medium, kind, path, options: image, layout } = loaded;
        let (mut contents, mut hash) = (None, None);
        if let Some(medium) = medium {
            // What is handed over need not last: the machine is not over.
            drop(medium.begin_flush()?);
            if path.is_some() {
                let private = image.access() == Access::Private;
                let with_contents = private || options.contents;
                let whole = if with_contents || options.hash { Some(medium.raw_image()?) } else { None };
                hash = whole.as_deref().filter(|_| options.hash).map(state::hash);
                contents = whole.filter(|_| with_contents);
            }
        }
        let (path, layout, access, durability) = (path.clone(), *layout, image.access(), image.durability_chosen());
        let (named, boot_sector) = image.detection();
        let kind = *kind;
        let medium = MediumState { kind, path, access, durability, layout, named, boot_sector, contents, hash };
        Ok((self.changed(), disk, Some(medium)))
    }

    /// Puts back what was in.
    pub(super) fn restore(
        &self,
        changed: bool,
        disk: u64,
        medium: Option<MediumState>,
        given: impl FnOnce(&MediumState) -> Option<Box<dyn Medium>>,
    ) -> Result<(), RestoreMediumError> {
        let loaded = match medium {
            None => None,
            Some(saved) => {
                let was_in = saved.path.is_none() || saved.layout.is_some();
                let (mut kind, mut path, mut layout) = (saved.kind, saved.path.clone(), saved.layout);
                let medium: Option<Box<dyn Medium>> = match given(&saved) {
                    Some(mut given) => {
                        if let Some(image) = (&mut *given as &mut dyn Any).downcast_mut::<Image>() {
                            if let Some(contents) = &saved.contents {
                                image.replace(contents); // Unless it is not private.
                            }
                            (path, layout) = (Some(image.path().to_owned()), Some(image.layout()));
                        } else {
                            (kind, path, layout) = (Attachment::Image, None, None);
                        }
                        Some(given)
                    }
                    None if was_in => Some(Box::new(saved.open()?)),
                    None => None,
                };
                let fits = |medium: &dyn Medium| self.drive_type.takes(medium.form_factor(), medium.cylinders());
                if !medium.as_deref().is_none_or(fits) {
                    return Err(RestoreMediumError::Unsuitable);
                }
                let options = saved.options();
                Some(Loaded { medium, kind, path, options, layout })
            }
        };
        let mut state = self.lock();
        (state.loaded, state.disk) = (loaded, disk);
        self.relabel(&state);
        self.changed.store(changed, Ordering::Release);
        Ok(())
    }
}
