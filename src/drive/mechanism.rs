//! The mechanism of a drive, as the controller moves it: the position of the head, the step pulses, and the sensors.

use std::sync::Arc;

use super::{
    attachment::Attachments,
    handle::FloppyDrive,
    head::LockedDisk,
    kind::DriveType,
    manage::Manager,
    slot::{MediaSlot, MediumId},
    snapshot::{DriveStateV1, MediumStateV1, RestoreDriveError, RestoreMedium, StateOptions},
};
use crate::media::MediumError;

/// The direction in which a step pulse moves the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum StepDirection {
    /// Toward the spindle: to higher cylinders.
    In,
    /// Toward the rim, where cylinder 0 is.
    Out,
}

/// The mechanism of a drive, and the slot for its medium.
#[derive(Debug)]
pub(crate) struct Drive {
    kind: DriveType,
    /// The cylinder at which the head is, whatever the controller assumes.
    cylinder: u8,
    /// The place on the track that passes the head next, counted from the index hole.
    next_slot: usize,
    slot: Arc<MediaSlot>,
}

impl Drive {
    /// Creates drive `number`, 0 to 3, with the head at `cylinder` or the last one that it reaches. The drives of a
    /// controller share `attachments`.
    pub(crate) fn new(number: u8, kind: DriveType, cylinder: u8, attachments: &Attachments) -> Self {
        let cylinder = cylinder.min(kind.cylinders() - 1);
        Self { kind, cylinder, next_slot: 0, slot: Arc::new(MediaSlot::new(number, kind, attachments)) }
    }

    /// Returns the state of the drive. What the guest wrote is handed over to the host first.
    ///
    /// # Errors
    ///
    /// Returns the error of a medium that does not return its bytes, or cannot hand over what was written.
    pub(crate) fn save(&self, options: StateOptions) -> Result<DriveStateV1, MediumError> {
        let Self { kind, cylinder, next_slot, slot } = self;
        let mut state = slot.lock();
        let (disk_changed, media_count) = (slot.disk_changed(), state.medium_id().count());
        let protected = state.write_protect_switch();
        let medium =
            state.attached_mut().map(|attached| MediumStateV1::save(attached, protected, options)).transpose()?;
        let next_slot = u16::try_from(*next_slot).unwrap_or(0);
        Ok(DriveStateV1 { drive_type: *kind, cylinder: *cylinder, next_slot, disk_changed, media_count, medium })
    }

    /// Creates the drive that was saved. `choose` says where its medium comes from; it is asked when one was attached.
    ///
    /// # Errors
    ///
    /// Returns an [`InvalidField`](crate::InvalidField) for a state that no drive can have, or the reason why the medium
    /// cannot be restored.
    pub(crate) fn restore(
        number: u8,
        state: DriveStateV1,
        attachments: &Attachments,
        choose: impl FnOnce(&MediumStateV1) -> RestoreMedium,
    ) -> Result<Self, RestoreDriveError> {
        state.validate()?;
        let DriveStateV1 { drive_type, cylinder, next_slot, mut disk_changed, media_count, medium } = state;
        let mut protected = false;
        let attached = match medium {
            None => None,
            Some(medium) => {
                protected = medium.write_protected;
                let choice = choose(&medium);
                disk_changed |= matches!(choice, RestoreMedium::Eject);
                medium.restore(drive_type, choice)?
            }
        };
        let content = attached.map(|attached| (attached, protected));
        let slot = MediaSlot::restore(number, drive_type, attachments, disk_changed, media_count, content);
        Ok(Self { kind: drive_type, cylinder, next_slot: next_slot.into(), slot: Arc::new(slot) })
    }

    /// Returns the kind of the drive.
    pub(crate) fn drive_type(&self) -> DriveType {
        self.kind
    }

    /// Returns a handle for the manager of the drive.
    pub(crate) fn handle(&self) -> FloppyDrive {
        FloppyDrive::new(Arc::clone(&self.slot))
    }

    /// Moves the head by `pulses` step pulses. The head stops at either end of its way. A pulse clears the change latch if a
    /// disk is in (§9.5).
    pub(crate) fn step(&mut self, direction: StepDirection, pulses: u8) {
        if pulses == 0 {
            return;
        }
        self.cylinder = match direction {
            StepDirection::In => self.cylinder.saturating_add(pulses).min(self.kind.cylinders() - 1),
            StepDirection::Out => self.cylinder.saturating_sub(pulses),
        };
        self.slot.clear_disk_changed();
    }

    /// Returns the TRK0 sensor: the head is at cylinder 0.
    pub(crate) fn track_0(&self) -> bool {
        self.cylinder == 0
    }

    /// Returns the number of step pulses outward to cylinder 0.
    pub(crate) fn steps_to_track_0(&self) -> u8 {
        self.cylinder
    }

    /// Returns the disk-change line: the disk was changed since the last step pulse with a disk in (§9.5).
    pub(crate) fn disk_changed(&self) -> bool {
        self.kind.has_change_line() && self.slot.disk_changed()
    }

    /// Returns the identity of the medium in the drive; `None` when there is none.
    pub(crate) fn medium_id(&self) -> Option<MediumId> {
        self.slot.medium_id()
    }

    /// Returns the write-protect sensor. An empty drive does not read as protected (not established).
    pub(crate) fn write_protected(&self) -> bool {
        self.slot.lock().write_protected()
    }

    /// Locks what is in the drive.
    #[inline]
    pub(crate) fn lock_disk(&mut self) -> LockedDisk<'_> {
        let Self { kind, cylinder, next_slot, slot } = self;
        LockedDisk { state: slot.lock(), kind: *kind, cylinder: *cylinder, next_slot, reformatted: None }
    }

    /// Notifies the managers of a disk that a FORMAT TRACK has made another one. Called without a head.
    #[cold]
    pub(crate) fn finish_format(&self) {
        self.slot.finish_format();
    }
}

impl Drop for Drive {
    fn drop(&mut self) {
        Manager::new(&self.slot).close();
    }
}
