//! Changes of the medium in a drive, as its managers make them: attach, release, swap, flush, and the check of a host drive.
//!
//! A [`Manager`] holds the first lock of the slot, so that one change is over before the next begins.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf, absolute},
};

use log::warn;

use super::{
    attachment::{Attached, Attachment, HostDrive},
    error::{AttachError, DataLoss, ProtectError, ReleaseError, SaveError, SwapError, WithCauses},
    event::{MediaEvent, MediaObserver, Observers},
    kind::DriveType,
    slot::MediaSlot,
};
use crate::{
    media::{
        Access, Flushing, FormFactor, Image, ImageError, ImageOptions, Medium, MediumError, Source,
        container::{ContainerError, DiskFile, ReadOptions},
    },
    sync::MutexGuard,
};

/// A manager that changes the medium in a drive. Other managers wait until it is dropped; the guest goes on.
pub(super) struct Manager<'a> {
    slot: &'a MediaSlot,
    observers: MutexGuard<'a, Observers>,
    // Declared behind the lock, so dropped when that is free.
    _announcement: Announcement<'a>,
}

/// Tells the observers, when it is dropped, what a guest has done to the disk while a manager had locked them.
struct Announcement<'a>(&'a MediaSlot);

impl Drop for Announcement<'_> {
    fn drop(&mut self) {
        self.0.announce();
    }
}

impl<'a> Manager<'a> {
    /// Waits until no other manager changes the medium, and begins a change.
    pub fn new(slot: &'a MediaSlot) -> Self {
        Self { slot, observers: slot.lock_for_change(), _announcement: Announcement(slot) }
    }

    /// Attaches the image or the host drive at `path`.
    pub fn attach_path(mut self, path: &Path, options: ImageOptions, kind: Attachment) -> Result<(), AttachError> {
        drop(self.slot.lock_empty()?);
        let attached = self.open(path, options, kind)?;
        self.insert(attached)
    }

    /// Attaches a medium that the VM monitor supplies.
    pub fn attach_medium(mut self, medium: Box<dyn Medium>) -> Result<(), AttachError> {
        drop(self.slot.lock_empty()?);
        let (form_factor, cylinders) = (medium.form_factor(), medium.cylinders());
        self.check_suitable(form_factor, cylinders, |drive| drive.fits(form_factor, cylinders))?;
        self.insert(Attached::Custom(medium))
    }

    /// Attaches the disk in the container `path`.
    pub fn attach_container(self, path: &Path, options: ReadOptions) -> Result<(), AttachError> {
        drop(self.slot.lock_empty()?);
        let (drive, drive_type) = (self.slot.number(), self.slot.drive_type());
        if path.as_os_str().is_empty() {
            return Err(AttachError::EmptyPath { drive });
        }
        let failed = |path: PathBuf, error| AttachError::opening_container(drive, drive_type, path, error);
        let path = absolute(path).map_err(|error| failed(path.to_owned(), ContainerError::Io(error)))?;
        match DiskFile::open(&path, options) {
            Ok(DiskFile { disk, .. }) => self.attach_medium(Box::new(disk.with_name(path.display().to_string()))),
            Err(error) => Err(failed(path, error)),
        }
    }

    /// Attaches the image in a file that is open.
    pub fn attach_file(mut self, file: File, options: ImageOptions) -> Result<(), AttachError> {
        let (drive, drive_type) = (self.slot.number(), self.slot.drive_type());
        drop(self.slot.lock_empty()?);
        let image = Image::from_file_for(file, options, |&layout| drive_type.accepts(layout));
        let mut image = image.map_err(|source| {
            AttachError::opening(drive, drive_type, Attachment::Image, "the open file".into(), source, None)
        })?;
        drive_type.prepare(&mut image);
        self.insert(Attached::Image(Box::new(image)))
    }

    /// Attaches an image that is open.
    pub fn attach_opened_image(mut self, mut image: Image) -> Result<(), AttachError> {
        drop(self.slot.lock_empty()?);
        if let Some(layout) = image.layout() {
            self.check_suitable(layout.form_factor(), layout.cylinders(), |drive| drive.accepts(layout))?;
        }
        self.slot.drive_type().prepare(&mut image);
        // A disk that another drive has begun to reformat.
        let (form_factor, cylinders) = (image.form_factor(), image.cylinders());
        self.check_suitable(form_factor, cylinders, |drive| drive.fits(form_factor, cylinders))?;
        self.insert(Attached::Image(Box::new(image)))
    }

    /// Checks that the drive takes a disk of this size, which the drives for which `suits` is true take.
    fn check_suitable(
        &self,
        form_factor: FormFactor,
        cylinders: u8,
        suits: impl Fn(DriveType) -> bool,
    ) -> Result<(), AttachError> {
        let (drive, drive_type) = (self.slot.number(), self.slot.drive_type());
        if suits(drive_type) {
            return Ok(());
        }
        let suitable = DriveType::suitable(suits);
        Err(AttachError::UnsuitableMedium { drive, drive_type, form_factor, cylinders, suitable })
    }

    /// Opens what is to be attached. No lock but the first is held while the file is opened.
    fn open(&self, path: &Path, options: ImageOptions, kind: Attachment) -> Result<Attached, AttachError> {
        let (drive, drive_type) = (self.slot.number(), self.slot.drive_type());
        if path.as_os_str().is_empty() {
            return Err(AttachError::EmptyPath { drive });
        }
        let failed = |path: PathBuf, error: ImageError, holder| {
            AttachError::opening(drive, drive_type, kind, path, error, holder)
        };
        let path = absolute(path).map_err(|error| failed(path.to_owned(), ImageError::Open(error), None))?;
        let source = if kind == Attachment::HostDrive { Source::HostDrive } else { Source::File };
        let opened = Image::open_for(&path, options, source, |&layout| drive_type.accepts(layout));
        match (kind, opened) {
            (Attachment::HostDrive, Ok(image)) => {
                Ok(Attached::HostDrive(HostDrive { path, options, disk: Some(Box::new(image)) }))
            }
            (Attachment::HostDrive, Err(ImageError::Empty)) => {
                Ok(Attached::HostDrive(HostDrive { path, options, disk: None }))
            }
            (_, Ok(mut image)) => {
                drive_type.prepare(&mut image);
                Ok(Attached::Image(Box::new(image)))
            }
            (_, Err(error)) => {
                let in_use = matches!(error, ImageError::InUse { .. });
                let holder = in_use.then(|| self.slot.attachments().holder_of(&path)).flatten();
                Err(failed(path, error, holder))
            }
        }
    }

    /// Inserts what is to be attached, and notifies the observers if a medium is in it.
    fn insert(&mut self, attached: Attached) -> Result<(), AttachError> {
        let inserted = attached.medium().is_some().then(|| attached.path().map(Path::to_owned));
        self.slot.insert(self.slot.lock_empty()?, attached);
        if let Some(path) = inserted {
            self.notify_inserted(path);
        }
        Ok(())
    }

    fn notify_inserted(&mut self, path: Option<PathBuf>) {
        self.slot.announce_to(&mut self.observers);
        self.observers.notify(&MediaEvent::Inserted { drive: self.slot.number(), path });
    }

    fn notify_ejected(&mut self, path: Option<PathBuf>) {
        self.slot.announce_to(&mut self.observers);
        self.observers.notify(&MediaEvent::Ejected { drive: self.slot.number(), path });
    }

    /// Closes what was attached, and notifies the observers if a medium was in it.
    fn discard(&mut self, attached: Attached) {
        let path = attached.path().map(Path::to_owned);
        let medium = attached.into_medium();
        let was_in = medium.is_some();
        drop(medium);
        if was_in {
            self.notify_ejected(path);
        }
    }

    /// Sets the write-protect switch of the disk that is in.
    pub fn set_write_protected(&self, write_protected: bool) -> Result<(), ProtectError> {
        let (mut state, drive) = (self.slot.lock(), self.slot.number());
        if state.is_closed() {
            return Err(ProtectError::VmUnknown { drive });
        }
        let medium = state.medium().ok_or(ProtectError::NoMediaCaptured { drive })?;
        if !write_protected && medium.is_write_protected() {
            let path = state.attached().and_then(Attached::path).map(Path::to_owned);
            return Err(ProtectError::ReadOnly { drive, path });
        }
        state.set_write_protect_switch(write_protected);
        self.slot.record(&state);
        Ok(())
    }

    /// Saves what was written to the disk of the host while the guest goes on. Fails if a format in another layout is in
    /// progress, and the guest wrote to its tracks: no file can have them.
    pub fn flush(&self, kind: Option<Attachment>) -> Result<(), ReleaseError> {
        self.hand_over(kind)?;
        self.check_format()
    }

    /// Checks that a release loses nothing that the guest wrote to tracks in another layout than that of the disk.
    fn check_format(&self) -> Result<(), ReleaseError> {
        let (state, drive) = (self.slot.lock(), self.slot.number());
        let Some(attached) = state.attached() else { return Ok(()) };
        let path = || attached.path().map(Path::to_owned);
        attached.check_format().map_err(|source| ReleaseError::UnmountFailed { drive, path: path(), source })
    }

    /// Saves what belongs to the file of the host while the guest goes on.
    fn hand_over(&self, kind: Option<Attachment>) -> Result<(), ReleaseError> {
        let mut state = self.slot.lock_attached(kind)?;
        let flushing = state.medium_mut().map_or_else(|| Ok(Flushing::done()), |medium| medium.begin_flush());
        drop(state);
        flushing.and_then(Flushing::wait).map_err(|source| {
            let path = self.slot.lock().attached().and_then(Attached::path).map(Path::to_owned);
            ReleaseError::UnmountFailed { drive: self.slot.number(), path, source }
        })
    }

    /// Ejects what is attached with all that was written saved. With `unlock`, the file of the host is unlocked, too;
    /// without, that is left to whoever gets the medium.
    fn detach(&self, kind: Attachment, unlock: bool) -> Result<Option<Attached>, ReleaseError> {
        // Most of the waiting is done with the medium still in, and the rest when the guest cannot write any more.
        self.hand_over(Some(kind))?;
        self.check_format()?;
        let Some(mut attached) = self.slot.eject() else { return Ok(None) };
        let ended = self.end_format(&mut attached);
        if let Some(medium) = attached.medium_mut() {
            let drive = self.slot.number();
            let error = match ended.and_then(|()| medium.flush()) {
                Err(source) => Some(ReleaseError::UnmountFailed { drive, path: None, source }),
                Ok(()) if unlock => {
                    medium.unlock().err().map(|source| ReleaseError::UnlockFailed { drive, path: None, source })
                }
                Ok(()) => None,
            };
            if let Some(error) = error {
                let error = error.of_path(attached.path());
                self.slot.reinsert(attached);
                return Err(error);
            }
        }
        self.slot.record(&self.slot.lock());
        Ok(Some(attached))
    }

    /// Ends the formats of the guest on what was ejected, which can make the disk another one.
    fn end_format(&self, attached: &mut Attached) -> io::Result<()> {
        let layout = |attached: &Attached| attached.medium().and_then(|medium| medium.layout());
        let before = layout(attached);
        let ended = attached.end_format();
        if layout(attached) != before {
            self.slot.lock().record_reformat(attached, before);
        }
        ended
    }

    /// Releases what is attached, and closes its file.
    pub fn release(mut self, kind: Attachment) -> Result<(), ReleaseError> {
        if let Some(attached) = self.detach(kind, true)? {
            self.discard(attached);
        }
        Ok(())
    }

    /// Releases the attached image or medium, and returns it with its file open and locked.
    pub fn release_medium(mut self) -> Result<Box<dyn Medium>, ReleaseError> {
        let attached = self.detach(Attachment::Image, false)?;
        let path = attached.as_ref().and_then(Attached::path).map(Path::to_owned);
        let drive = self.slot.number();
        let medium = attached.and_then(Attached::into_medium).ok_or(ReleaseError::NoMediaCaptured { drive })?;
        self.notify_ejected(path);
        Ok(medium)
    }

    /// Releases what is attached even if what was written cannot be saved.
    pub fn force_release(mut self) -> Result<Option<DataLoss>, ReleaseError> {
        // The guest goes on during this flush. What it cannot save, the flush below tries again.
        _ = self.hand_over(None);
        drop(self.slot.lock_attached(None)?);
        let Some(mut attached) = self.slot.eject() else { return Ok(None) };
        self.slot.record(&self.slot.lock());
        let ended = self.end_format(&mut attached);
        let flushed = ended.and(attached.medium_mut().map_or(Ok(()), |medium| medium.flush()));
        let loss = flushed.err().map(|source| self.loss_of(&attached, source));
        self.discard(attached);
        Ok(loss)
    }

    fn loss_of(&self, attached: &Attached, source: io::Error) -> DataLoss {
        let ranges = attached.medium().map_or_else(Vec::new, |medium| medium.unsaved());
        DataLoss { drive: self.slot.number(), path: attached.path().map(Path::to_owned), ranges, source }
    }

    /// Releases the attached image and attaches the one at `path`.
    pub fn swap(mut self, path: &Path, options: ImageOptions) -> Result<(), SwapError> {
        drop(self.slot.lock_attached(Some(Attachment::Image)).map_err(SwapError::Release)?);
        let new = self.open(path, options, Attachment::Image).map_err(SwapError::Attach)?;
        if let Some(old) = self.detach(Attachment::Image, true).map_err(SwapError::Release)? {
            self.discard(old);
        }
        self.insert(new).map_err(SwapError::Attach)
    }

    /// Checks whether a disk was put into the attached host drive, or taken out of it. Returns whether a disk is in.
    pub fn check_host_drive(mut self) -> Result<bool, AttachError> {
        let state = self.slot.lock();
        if state.is_closed() {
            return Err(AttachError::VmUnknown { drive: self.slot.number() });
        }
        let Some(Attached::HostDrive(host)) = state.attached() else { return Ok(false) };
        let (path, options) = (host.path.clone(), host.options);
        let presence = host.disk.as_ref().map(|disk| disk.file_identity());
        drop(state);
        match presence {
            Some(presence) if presence.is_still_at(&path) => return Ok(true),
            Some(_) => self.lose_disk(),
            None => {}
        }
        let found = self.open(&path, options, Attachment::HostDrive)?;
        if found.medium().is_none() {
            return Ok(false);
        }
        self.slot.insert(self.slot.lock(), found);
        self.notify_inserted(Some(path));
        Ok(true)
    }

    /// Takes the disk out of the attached host drive, from which it is gone.
    fn lose_disk(&mut self) {
        let Some(attached) = self.slot.eject() else { return };
        // The disk is not there, so that nothing can be saved to it.
        let loss = self.loss_of(&attached, io::Error::other("the disk was taken out"));
        if !loss.ranges.is_empty() {
            warn!("{}", WithCauses(&loss));
        }
        let Attached::HostDrive(mut host) = attached else { return self.slot.reinsert(attached) };
        if let Some(disk) = &mut host.disk {
            disk.discard_writes();
        }
        host.disk = None;
        let path = host.path.clone();
        self.slot.reinsert(Attached::HostDrive(host));
        self.notify_ejected(Some(path));
    }

    /// Adds an observer, unless the controller is gone.
    pub fn observe(mut self, observer: Box<dyn MediaObserver>) {
        if !self.slot.lock().is_closed() {
            self.observers.add(observer);
        }
    }

    /// Closes the slot because the controller goes: what is attached is saved and closed, and the observers are dropped.
    pub fn close(mut self) {
        if let Some(mut attached) = self.slot.close() {
            let ended = self.end_format(&mut attached);
            let flushed = attached.medium_mut().map_or(Ok(()), |medium| medium.flush());
            if let Err(source) = ended.and(flushed) {
                let path = attached.path().map(Path::to_owned);
                let error = ReleaseError::UnmountFailed { drive: self.slot.number(), path, source };
                warn!("{}", WithCauses(&error));
            }
            self.discard(attached);
        }
        self.observers.clear();
    }
}

/// Returns whether `path` leads to the file of the attached image, and the image does not keep its writes to itself.
pub(super) fn is_attached_file(slot: &MediaSlot, path: &Path) -> bool {
    let identity = match slot.lock().attached() {
        Some(Attached::Image(image)) if image.access() != Access::Private => image.file_identity(),
        Some(Attached::HostDrive(HostDrive { disk: Some(disk), .. })) if disk.access() != Access::Private => {
            disk.file_identity()
        }
        _ => return false,
    };
    identity.is_at(path)
}

/// Returns the bytes of a raw image of the disk in the slot. The guest goes on between two tracks.
pub(super) fn raw_image(slot: &MediaSlot) -> Result<Vec<u8>, SaveError> {
    let drive = slot.number();
    let unreadable = |source: MediumError| SaveError::Unreadable { drive, source };
    let cylinders = with_medium(slot, |medium| Ok(medium.cylinders()))?;
    for (cylinder, head) in (0..cylinders).flat_map(|cylinder| [(cylinder, 0), (cylinder, 1)]) {
        with_medium(slot, |medium| {
            let sectors = medium.track(cylinder, head).map_or(0, |track| track.len());
            // The track at once first, and then each sector, for those that the first read does not give.
            _ = medium.read(cylinder, head, 0, sectors);
            for place in 0..sectors {
                if let Err(error @ MediumError::Io(_)) = medium.read(cylinder, head, place, 1) {
                    return Err(unreadable(error));
                }
            }
            Ok(())
        })?;
    }
    with_medium(slot, |medium| {
        medium.raw_image().map_err(|error| match error {
            MediumError::Unsupported => SaveError::NoRawImage { drive },
            error => unreadable(error),
        })
    })
}

/// Does something short with the medium in the slot.
fn with_medium<T>(
    slot: &MediaSlot,
    work: impl FnOnce(&mut dyn Medium) -> Result<T, SaveError>,
) -> Result<T, SaveError> {
    let (mut state, drive) = (slot.lock(), slot.number());
    if state.is_closed() {
        return Err(SaveError::VmUnknown { drive });
    }
    work(state.medium_mut().ok_or(SaveError::NoMediaCaptured { drive })?)
}
