//! A floppy drive: the mechanism that the controller moves, and the [`FloppyDrive`] handle with which a manager attaches
//! and releases media while the guest runs.
//!
//! The controller and the managers meet in the media slot of the drive. The slot is the only part of the library that
//! threads share.

mod attachment;
mod error;
mod event;
mod handle;
mod head;
mod hresult;
mod kind;
mod manage;
mod mechanism;
mod slot;
mod snapshot;

pub use attachment::Attachment;
pub(crate) use attachment::Attachments;
#[cfg(feature = "capi")]
pub(crate) use error::WithCauses;
pub use error::{AttachError, DataLoss, NoSuchDrive, ProtectError, ReleaseError, SaveError, SwapError};
pub use event::{MediaEvent, MediaObserver};
pub use handle::{FloppyDrive, FloppyDrives};
pub(crate) use head::{Head, LockedDisk};
pub use hresult::HResult;
pub use kind::DriveType;
pub(crate) use mechanism::{Drive, StepDirection};
pub(crate) use slot::MediumId;
pub(crate) use snapshot::RestoreDriveError;
pub use snapshot::{DriveStateV1, FormattedTrackV1, MediumStateV1, RestoreMedium, RestoreMediumError, StateOptions};
