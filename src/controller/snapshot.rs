//! The saved state of a controller, apart from the live one: what a VM monitor holds, and why saving or restoring fails. The
//! structs are in `v1`, the conversions in `save` and `restore`.

mod restore;
mod save;
mod v1;

pub(super) use restore::restore;
pub(super) use save::save;
pub use v1::{
    ConfigStateV1, ControllerStateV1, ExecutionStateV1, FifoStateV1, MechanicsStateV1, MediumIdStateV1,
    OperationStateV1, PhaseStateV1, ProgressStateV1, RegistersStateV1, ScheduleStateV1, SeekEndStateV1, SeekStateV1,
    SettingsStateV1, UnitStateV1,
};

#[cfg(feature = "serde")]
use crate::saved_state::versioned_state;
use crate::{
    drive::{MediumStateV1, RestoreDriveError, RestoreMediumError},
    media::MediumError,
    saved_state::InvalidField,
};

/// The state of a controller with its drives at a moment; see [`Controller::state`](crate::Controller::state).
///
/// With the feature `serde` it is written and read in any format, the version first. What is read is not trusted:
/// [`Controller::from_state`](crate::Controller::from_state) checks every field.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControllerState {
    /// Version 1.
    V1(Box<ControllerStateV1>),
    /// A version that this library does not know, because a later one saved it. It cannot be restored, nor written again.
    Unknown {
        /// The version.
        version: u16,
    },
}

#[cfg(feature = "serde")]
versioned_state!(ControllerState { 1 => V1(Box<ControllerStateV1>) });

impl ControllerState {
    /// Returns what is attached to each drive, with the number of the drive.
    pub fn media(&self) -> impl Iterator<Item = (u8, &MediumStateV1)> {
        let state = match self {
            Self::V1(state) => Some(state),
            Self::Unknown { .. } => None,
        };
        state.into_iter().flat_map(|state| state.media())
    }
}

/// Why a state was not saved. The controller goes on as before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveStateError {
    /// The medium in a drive did not return its bytes, or could not bring to its file what was written.
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
    /// A later version of this library has saved the state.
    #[error(
        "the state has version {version}, and this library knows version 1 only: update the library that restores it"
    )]
    Version {
        /// The version of the state.
        version: u16,
    },
    /// A field has a value that no controller can have: the state is damaged.
    #[error("the state is damaged")]
    Invalid {
        /// Which field, and why.
        #[from]
        source: InvalidField,
    },
    /// The medium of a drive cannot be restored.
    #[error("drive {drive}: cannot restore the medium")]
    Medium {
        /// The number of the drive.
        drive: u8,
        /// Why.
        source: RestoreMediumError,
    },
}

impl RestoreError {
    /// Returns the error for drive `number`.
    pub(super) fn of_drive(number: u8, error: RestoreDriveError) -> Self {
        match error {
            RestoreDriveError::Invalid(source) => source.within(format!("drives[{number}]")).into(),
            RestoreDriveError::Medium(source) => Self::Medium { drive: number, source },
        }
    }
}
