//! All that a controller and its drives are at a moment, to be saved with the machine and restored elsewhere.

use super::{Controller, Interrupt, chip::Chip};
use crate::{
    dma::DmaChannel,
    drive::{Drive, DriveState, MediumState, RestoreMediumError, StateOptions},
    media::{Medium, MediumError},
};

/// The version of the states that this library saves. It restores those of every version up to it.
const VERSION: u16 = 1;

/// A controller with its drives at a moment, in the middle of whatever it was doing; see [`Controller::state`].
///
/// With the feature `serde` it can be written and read in any format. What is in it is the library's own; read from
/// anywhere, it is not trusted before [`Controller::from_state`] has looked at it.
#[derive(Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ControllerState {
    version: u16,
    base: u16,
    chip: Chip,
    drives: [Option<DriveState>; 4],
}

impl Clone for ControllerState {
    fn clone(&self) -> Self {
        let Self { version, base, chip, drives } = self;
        Self { version: *version, base: *base, chip: chip.without_drives(), drives: drives.clone() }
    }
}

impl ControllerState {
    /// The first port of the controller.
    pub(crate) fn base(&self) -> u16 {
        self.base
    }

    /// What is attached to each drive, by number.
    pub fn media(&self) -> impl Iterator<Item = (u8, &MediumState)> {
        let drives = (0..).zip(&self.drives);
        drives.filter_map(|(number, drive)| Some((number, drive.as_ref()?.medium()?)))
    }
}

/// Why a state was not saved. The controller goes on as before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveStateError {
    /// The medium in a drive did not give its bytes, or could not bring to its file what was written.
    #[error("drive {drive}: cannot save the medium")]
    Medium {
        /// The number of the drive.
        drive: u8,
        /// Why.
        source: MediumError,
    },
}

/// Why a state was not restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// A later version of this library has saved it.
    #[error("a state of version {version}; this library knows those up to {VERSION}")]
    Version {
        /// The version of the state.
        version: u16,
    },
    /// No controller can be in such a state.
    #[error("no controller can be in this state")]
    Damaged,
    /// A medium that was attached cannot be had.
    #[error("drive {drive}: cannot restore the medium")]
    Medium {
        /// The number of the drive.
        drive: u8,
        /// Why.
        source: RestoreMediumError,
    },
}

impl<I: Interrupt, D: DmaChannel> Controller<I, D> {
    /// All that the controller and its drives are now, in the middle of whatever command and phase. `options` says how much of
    /// the media is in it.
    ///
    /// What the guest has written is handed over to the host first, so that the files hold what a restored controller expects.
    /// This controller goes on. An image that it writes is its own until it is dropped or has released it, and the one that is
    /// restored cannot have it before.
    ///
    /// # Errors
    ///
    /// A [`SaveStateError`].
    pub fn state(&self, options: StateOptions) -> Result<ControllerState, SaveStateError> {
        let mut drives = [const { None }; 4];
        for (number, (place, drive)) in (0..).zip(drives.iter_mut().zip(&self.chip.drives)) {
            if let Some(drive) = drive {
                let state = drive.state(options);
                *place = Some(state.map_err(|source| SaveStateError::Medium { drive: number, source })?);
            }
        }
        Ok(ControllerState { version: VERSION, base: self.base, chip: self.chip.without_drives(), drives })
    }

    /// The controller as it was: from here on it does what the one that was saved would have done.
    ///
    /// `media` gives the medium for a drive, or `None` to have the one that was saved: the file is opened anew, at its path,
    /// and in memory of the library's own, even if it had been mapped. An image that is inside the state, or of which a hash
    /// is, must be the same as the file, unless it is private; where there is no such file, `media` can make a medium of
    /// [`MediumState::contents`]. An [`Image`](crate::media::Image) that `media` gives is known by its own path from then on,
    /// and if it is private, gets the bytes that were in the state. If the INT pin is high, `interrupt` is told at once.
    /// Those who watched commands or media are not in the state.
    ///
    /// # Errors
    ///
    /// A [`RestoreError`]. No state, however damaged, does worse.
    pub fn from_state(
        state: ControllerState,
        interrupt: I,
        dma: D,
        mut media: impl FnMut(u8, &MediumState) -> Option<Box<dyn Medium>>,
    ) -> Result<Self, RestoreError> {
        let ControllerState { version, base, mut chip, drives } = state;
        if version > VERSION {
            return Err(RestoreError::Version { version });
        }
        if version == 0 || !chip.is_sound() {
            return Err(RestoreError::Damaged);
        }
        for (number, (place, state)) in (0..).zip(chip.drives.iter_mut().zip(drives)) {
            if let Some(state) = state {
                if !state.is_sound(number) {
                    return Err(RestoreError::Damaged);
                }
                let drive = Drive::from_state(number, state, |medium| media(number, medium));
                *place = Some(drive.map_err(|source| RestoreError::Medium { drive: number, source })?);
            }
        }
        let mut controller = Self { chip, base, interrupt, dma };
        controller.chip.settle();
        if controller.chip.interrupt() {
            controller.interrupt.set_level(true);
        }
        Ok(controller)
    }
}
