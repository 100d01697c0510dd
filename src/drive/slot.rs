//! The media slot of a drive: the part that the guest and the managers of the drive share.
//!
//! # The order of the locks
//!
//! A slot has three locks. The first, `observers`, is held by a manager from the start to the end of a change of the
//! medium. Managers wait for each other there, and no guest does. The second, `state`, is held by the guest for one
//! transfer. A manager holds it to look, to change what is attached, and to hand bytes to the host; never while it opens a
//! file or waits for the disk of the host. The third, in `attachments`, is held for a copy, and is shared by all drives of
//! the controller. A thread that holds one of them takes only a later one.
//!
//! A guest that reformats a disk notifies the observers. It leaves the event in the state, and takes the first lock only if
//! that is free. Otherwise the manager that holds it notifies them when it is done.

use std::{
    fmt, mem,
    path::Path,
    sync::{PoisonError, TryLockError},
};

use super::{
    attachment::{Attached, Attachment, AttachmentInfo, Attachments},
    error::{AttachError, ReleaseError},
    event::{MediaEvent, Observers},
    kind::DriveType,
};
use crate::media::{Layout, Medium};
use crate::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

/// The identity of a medium among all that are in the drives of a controller, now or before: the number of the drive in the
/// upper byte, and below it how many media the drive has had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub(crate) struct MediumId(u64);

impl MediumId {
    /// The limit of the number of media that a drive has had. A saved state has less, and nobody counts on from there.
    pub(crate) const COUNT_LIMIT: u64 = 1 << 55;

    /// Creates the identity of the medium number `count` of drive `drive`.
    pub(crate) const fn new(drive: u8, count: u64) -> Self {
        Self((drive as u64) << 56 | count & 0xFF_FFFF_FFFF_FFFF)
    }

    /// Returns how many media the drive has had.
    pub(crate) const fn count(self) -> u64 {
        self.0 & 0xFF_FFFF_FFFF_FFFF
    }

    /// Returns the number of the drive.
    pub(crate) const fn drive(self) -> u8 {
        (self.0 >> 56) as u8
    }

    /// Returns the identity of the next medium of the same drive.
    const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// What a drive and its managers share.
pub(crate) struct MediaSlot {
    number: u8,
    drive_type: DriveType,
    /// The latch behind the disk-change line. It changes with the state locked, and is read without.
    disk_changed: AtomicBool,
    /// The identity of the medium in the drive, 0 when there is none. It changes with the state locked, and is read without.
    present: AtomicU64,
    /// Whether the disk is write protected, for those who only ask.
    write_protected: AtomicBool,
    observers: Mutex<Observers>,
    state: Mutex<SlotState>,
    attachments: Attachments,
}

/// What is in the slot.
pub(crate) struct SlotState {
    content: Content,
    /// The write-protect switch of the disk that is in, whatever its medium says.
    protected: bool,
    medium_id: MediumId,
    /// What the observers have not been told: the disk was reformatted.
    reformatted: Option<MediaEvent>,
}

enum Content {
    /// Nothing is attached.
    Empty,
    Attached(Attached),
    /// The controller is gone, and nothing can be attached.
    Closed,
}

impl fmt::Debug for MediaSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, drive_type, disk_changed, state, .. } = self;
        f.debug_struct("MediaSlot")
            .field("number", number)
            .field("drive_type", drive_type)
            .field("disk_changed", disk_changed)
            .field("state", state)
            .finish()
    }
}

impl fmt::Debug for SlotState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attached = self.attached().map(Attached::info);
        f.debug_struct("SlotState").field("attached", &attached).field("closed", &self.is_closed()).finish()
    }
}

impl SlotState {
    /// Returns the medium in the drive.
    #[inline]
    pub(super) fn medium(&self) -> Option<&dyn Medium> {
        self.attached()?.medium()
    }

    /// Returns the medium in the drive, to be changed.
    #[inline]
    pub(super) fn medium_mut(&mut self) -> Option<&mut (dyn Medium + 'static)> {
        self.attached_mut()?.medium_mut()
    }

    /// Returns whether the disk in the drive is write protected: by the switch, or by its medium.
    #[inline]
    pub(super) fn write_protected(&self) -> bool {
        self.medium().is_some_and(|medium| self.protected || medium.is_write_protected())
    }

    /// Returns the write-protect switch.
    #[inline]
    pub(super) fn write_protect_switch(&self) -> bool {
        self.protected
    }

    /// Sets the write-protect switch.
    pub(super) fn set_write_protect_switch(&mut self, protected: bool) {
        self.protected = protected;
    }

    /// Returns the identity of the medium in the drive, or of the last that was.
    #[inline]
    pub(super) fn medium_id(&self) -> MediumId {
        self.medium_id
    }

    /// Returns what is attached.
    #[inline]
    pub(super) fn attached(&self) -> Option<&Attached> {
        match &self.content {
            Content::Attached(attached) => Some(attached),
            Content::Empty | Content::Closed => None,
        }
    }

    /// Returns what is attached, to be changed.
    #[inline]
    pub(super) fn attached_mut(&mut self) -> Option<&mut Attached> {
        match &mut self.content {
            Content::Attached(attached) => Some(attached),
            Content::Empty | Content::Closed => None,
        }
    }

    /// Records for the observers that the layout of the disk in `attached` was `before`, and is another now.
    pub(super) fn record_reformat(&mut self, attached: &Attached, before: Option<Layout>) {
        let event = reformatted(self.medium_id.drive(), attached, before, self.reformatted.take());
        self.reformatted = event;
    }

    /// Does the same for the disk in the slot.
    pub(super) fn record_own_reformat(&mut self, before: Option<Layout>) {
        let (drive, last) = (self.medium_id.drive(), self.reformatted.take());
        self.reformatted = self.attached().and_then(|attached| reformatted(drive, attached, before, last));
    }

    /// Returns whether the controller is gone.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.content, Content::Closed)
    }

    /// Takes out what is attached, if something is.
    fn take(&mut self) -> Option<Attached> {
        match mem::replace(&mut self.content, Content::Empty) {
            Content::Attached(attached) => Some(attached),
            other => {
                self.content = other;
                None
            }
        }
    }
}

/// Returns the event of a disk whose layout was `before`, after the `last` one of which nobody was told; `None` if the layout
/// is again what it was.
fn reformatted(drive: u8, attached: &Attached, before: Option<Layout>, last: Option<MediaEvent>) -> Option<MediaEvent> {
    let before = match last {
        Some(MediaEvent::Reformatted { before, .. }) => before,
        _ => before,
    };
    let after = attached.medium().and_then(|medium| medium.layout());
    let path = attached.path().map(Path::to_owned);
    (before != after).then_some(MediaEvent::Reformatted { drive, path, before, after })
}

impl MediaSlot {
    /// Creates the slot of a drive at power-on: empty, with the change latch set.
    pub(super) fn new(number: u8, drive_type: DriveType, attachments: &Attachments) -> Self {
        let slot = Self {
            number,
            drive_type,
            disk_changed: AtomicBool::new(true),
            present: AtomicU64::new(0),
            write_protected: AtomicBool::new(false),
            observers: Mutex::default(),
            state: Mutex::new(SlotState {
                content: Content::Empty,
                protected: false,
                medium_id: MediumId::new(number, 0),
                reformatted: None,
            }),
            attachments: attachments.clone(),
        };
        slot.attachments.set(number, AttachmentInfo::None);
        slot
    }

    /// Creates the slot of a drive as it was saved: with the latch, what is attached and its write-protect switch, and how
    /// many media the drive has had.
    pub(super) fn restore(
        number: u8,
        drive_type: DriveType,
        attachments: &Attachments,
        disk_changed: bool,
        media_count: u64,
        attached: Option<(Attached, bool)>,
    ) -> Self {
        let mut slot = Self::new(number, drive_type, attachments);
        let (content, protected) =
            attached.map_or((Content::Empty, false), |(attached, protected)| (Content::Attached(attached), protected));
        let medium_id = MediumId::new(number, media_count);
        let state = SlotState { content, protected, medium_id, reformatted: None };
        slot.record(&state);
        slot.publish_medium(&state);
        (slot.state, slot.disk_changed) = (Mutex::new(state), AtomicBool::new(disk_changed));
        slot
    }

    /// Returns the number of the drive.
    pub(super) fn number(&self) -> u8 {
        self.number
    }

    /// Returns the kind of the drive.
    pub(super) fn drive_type(&self) -> DriveType {
        self.drive_type
    }

    /// Locks the state: the second lock. A medium that panicked while it was in use leaves nothing half done in the slot.
    #[inline]
    pub(super) fn lock(&self) -> MutexGuard<'_, SlotState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the slot for a change of the medium: the first lock.
    pub(super) fn lock_for_change(&self) -> MutexGuard<'_, Observers> {
        self.observers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the state of a slot to which nothing is attached and something can be.
    pub(super) fn lock_empty(&self) -> Result<MutexGuard<'_, SlotState>, AttachError> {
        let (state, drive) = (self.lock(), self.number);
        match state.content {
            Content::Empty => Ok(state),
            Content::Attached(_) => Err(AttachError::DriveInUse { drive }),
            Content::Closed => Err(AttachError::VmUnknown { drive }),
        }
    }

    /// Locks the state of a slot to which something is attached; something of this kind, if one is given.
    pub(super) fn lock_attached(&self, kind: Option<Attachment>) -> Result<MutexGuard<'_, SlotState>, ReleaseError> {
        let (state, drive) = (self.lock(), self.number);
        match &state.content {
            Content::Empty => Err(ReleaseError::NoMediaCaptured { drive }),
            Content::Closed => Err(ReleaseError::VmUnknown { drive }),
            Content::Attached(attached) if kind.is_some_and(|kind| kind != attached.kind()) => {
                Err(ReleaseError::WrongMediaType { drive })
            }
            Content::Attached(_) => Ok(state),
        }
    }

    /// Notifies the observers, for the manager that has locked them, that the disk was reformatted, if it was.
    pub(super) fn announce_to(&self, observers: &mut Observers) {
        let event = self.lock().reformatted.take();
        if let Some(event) = event {
            observers.notify(&event);
        }
    }

    /// Notifies the observers that the disk was reformatted, if it was. If a manager has locked them, it does so when it is done.
    pub(super) fn announce(&self) {
        // Again after each time: an event can come while the observers are told of another.
        while self.lock().reformatted.is_some() {
            let observers = match self.observers.try_lock() {
                Ok(observers) => Some(observers),
                Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            };
            let Some(mut observers) = observers else { return };
            self.announce_to(&mut observers);
        }
    }

    /// Records for managers what a command of the guest has changed, and notifies the observers.
    pub(super) fn finish_format(&self) {
        let state = self.lock();
        if state.reformatted.is_some() {
            self.record(&state);
            drop(state);
            self.announce();
        }
    }

    /// Returns what managers can ask. Takes the third lock alone.
    pub(super) fn info(&self) -> AttachmentInfo {
        self.attachments.get(self.number)
    }

    /// Returns what is attached to all drives of the controller.
    pub(super) fn attachments(&self) -> &Attachments {
        &self.attachments
    }

    /// Records what is attached, for those who only ask.
    pub(super) fn record(&self, state: &SlotState) {
        self.attachments.set(self.number, state.attached().map(Attached::info).unwrap_or_default());
        self.write_protected.store(state.write_protected(), Ordering::Release);
    }

    /// Returns whether the disk was write protected at the last change. Takes no lock.
    pub(super) fn is_write_protected(&self) -> bool {
        self.write_protected.load(Ordering::Acquire)
    }

    /// Publishes which medium is in the drive. Each change of the content calls it.
    fn publish_medium(&self, state: &SlotState) {
        let present = state.medium().map_or(0, |_| state.medium_id.0);
        self.present.store(present, Ordering::Release);
    }

    /// Returns the identity of the medium in the drive; `None` when there is none. Takes no lock.
    pub(super) fn medium_id(&self) -> Option<MediumId> {
        Some(self.present.load(Ordering::Acquire)).filter(|&id| id != 0).map(MediumId)
    }

    /// Returns the latch behind the disk-change line (§9.5).
    pub(super) fn disk_changed(&self) -> bool {
        self.disk_changed.load(Ordering::Acquire)
    }

    /// Clears the change latch if a disk is in, as a step pulse does.
    pub(super) fn clear_disk_changed(&self) {
        if self.disk_changed() {
            let state = self.lock();
            self.disk_changed.store(state.medium().is_none(), Ordering::Release);
        }
    }

    /// Inserts what is attached into the empty slot. The change latch stays as it is, which is set.
    pub(super) fn insert(&self, mut state: MutexGuard<'_, SlotState>, attached: Attached) {
        state.content = Content::Attached(attached);
        state.protected = false;
        state.medium_id = state.medium_id.next();
        self.publish_medium(&state);
        self.record(&state);
    }

    /// Ejects what is attached, and sets the change latch. Managers see it as attached until [`record`](Self::record) says
    /// otherwise, because it can come back.
    pub(super) fn eject(&self) -> Option<Attached> {
        let mut state = self.lock();
        let attached = state.take();
        self.publish_medium(&state);
        self.disk_changed.store(true, Ordering::Release);
        attached
    }

    /// Inserts again what was ejected: the guest sees the same medium, and that the disk changed.
    pub(super) fn reinsert(&self, attached: Attached) {
        let mut state = self.lock();
        state.content = Content::Attached(attached);
        self.publish_medium(&state);
        self.record(&state);
    }

    /// Closes the slot for good, and returns what was attached.
    pub(super) fn close(&self) -> Option<Attached> {
        let mut state = self.lock();
        let attached = state.take();
        state.content = Content::Closed;
        self.publish_medium(&state);
        self.record(&state);
        attached
    }
}
