//! A floppy drive: the mechanics that the controller moves, and the [`FloppyDrive`] handle by which a manager attaches
//! and releases media while the guest runs.
//!
//! The two meet in the bay, the only part of the library that is shared between threads.

mod bay;
mod error;
mod event;
mod handle;
mod state;

use std::{fmt, sync::Arc};

pub use bay::Attachment;
use bay::{Bay, BayState};
#[cfg(feature = "capi")]
pub(crate) use error::WithCauses;
pub use error::{AttachError, DataLoss, HResult, NoSuchDrive, ReleaseError, SaveError, SwapError};
pub use event::{MediaEvent, MediaObserver};
pub use handle::{FloppyDrive, FloppyDrives};
pub(crate) use state::DriveState;
pub use state::{MediumState, RestoreMediumError, StateOptions};

use crate::media::{DataRate, Encoding, FormFactor, Layout, Mark, Medium, MediumError, Track, TrackFormat};
use crate::sync::MutexGuard;

/// The kinds of drive that a PC can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum DriveType {
    /// 5.25" double density, 360K: 40 cylinders, 300 rpm, no change line.
    Inch5_25Dd,
    /// 5.25" high density, 1.2M: 80 cylinders, 360 rpm.
    Inch5_25Hd,
    /// 3.5" double density, 720K: 80 cylinders, 300 rpm.
    Inch3_5Dd,
    /// 3.5" high density, 1.44M: 80 cylinders, 300 rpm.
    Inch3_5Hd,
    /// 3.5" extra density, 2.88M: 80 cylinders, 300 rpm.
    Inch3_5Ed,
}

impl DriveType {
    /// All of them, in the order of their CMOS codes.
    pub const ALL: [Self; 5] = [Self::Inch5_25Dd, Self::Inch5_25Hd, Self::Inch3_5Dd, Self::Inch3_5Hd, Self::Inch3_5Ed];

    /// The size of the disks that go in.
    #[must_use]
    pub const fn form_factor(self) -> FormFactor {
        match self {
            Self::Inch5_25Dd | Self::Inch5_25Hd => FormFactor::Inch5_25,
            Self::Inch3_5Dd | Self::Inch3_5Hd | Self::Inch3_5Ed => FormFactor::Inch3_5,
        }
    }

    /// Cylinders that the head reaches, the few beyond the nominal 40 or 80 included.
    #[must_use]
    pub const fn cylinders(self) -> u8 {
        match self {
            Self::Inch5_25Dd => 43,
            _ => 86,
        }
    }

    /// Those for which `is` holds.
    fn all_that(is: impl Fn(Self) -> bool) -> Vec<Self> {
        Self::ALL.into_iter().filter(|&drive| is(drive)).collect()
    }

    /// From the motor's start until it turns at speed, in milliseconds.
    pub(crate) const fn spin_up(self) -> u64 {
        match self.form_factor() {
            FormFactor::Inch3_5 => 400,
            FormFactor::Inch5_25 => 500,
        }
    }

    /// Turns a minute.
    #[must_use]
    pub const fn rpm(self) -> u32 {
        match self {
            Self::Inch5_25Hd => 360,
            _ => 300,
        }
    }

    /// The drive has a disk-change line; 360K drives have none.
    #[must_use]
    pub const fn has_change_line(self) -> bool {
        !matches!(self, Self::Inch5_25Dd)
    }

    /// A disk of this layout goes in and can be read.
    #[must_use]
    pub fn accepts(self, layout: Layout) -> bool {
        self.takes(layout.form_factor(), layout.cylinders()) && self.reads(self.rate_of(layout.rate()))
    }

    /// A disk of this form with this many cylinders goes in.
    fn takes(self, form_factor: FormFactor, cylinders: u8) -> bool {
        form_factor == self.form_factor() && cylinders <= self.cylinders()
    }

    /// The drive's electronics work at this rate.
    const fn reads(self, rate: DataRate) -> bool {
        match self {
            Self::Inch5_25Dd | Self::Inch3_5Dd => matches!(rate, DataRate::Kbps250),
            Self::Inch5_25Hd => matches!(rate, DataRate::Kbps500 | DataRate::Kbps300),
            Self::Inch3_5Hd => !matches!(rate, DataRate::Kbps1000),
            Self::Inch3_5Ed => true,
        }
    }

    /// The rate at which a track reads in this drive that reads at `native` in the drive made for it: a 1.2M drive
    /// turns double-density disks at 360 rpm, not 300.
    const fn rate_of(self, native: DataRate) -> DataRate {
        match (self, native) {
            (Self::Inch5_25Hd, DataRate::Kbps250) => DataRate::Kbps300,
            _ => native,
        }
    }

    /// The opposite of [`rate_of`](Self::rate_of): what a track that this drive writes at `rate` reads at in the drive
    /// made for the disk. `None` when the drive cannot write at that rate.
    fn native_rate(self, rate: DataRate) -> Option<DataRate> {
        let native = match (self, rate) {
            (Self::Inch5_25Hd, DataRate::Kbps300) => DataRate::Kbps250,
            _ => rate,
        };
        self.reads(rate).then_some(native)
    }
}

impl fmt::Display for DriveType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inch5_25Dd => "5.25\" 360K",
            Self::Inch5_25Hd => "5.25\" 1.2M",
            Self::Inch3_5Dd => "3.5\" 720K",
            Self::Inch3_5Hd => "3.5\" 1.44M",
            Self::Inch3_5Ed => "3.5\" 2.88M",
        })
    }
}

/// Which way a step pulse moves the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum StepDirection {
    /// Towards the spindle: higher cylinders.
    Inward,
    /// Towards the rim, where cylinder 0 is.
    Outward,
}

/// The controller's side of a drive: the head, and the disk in front of it.
#[derive(Debug)]
pub(crate) struct Drive {
    kind: DriveType,
    /// Where the head stands, whatever the controller believes.
    cylinder: u8,
    /// The sector that passes the head next, counted from the index hole.
    slot: usize,
    bay: Arc<Bay>,
}

impl Drive {
    pub(crate) fn new(number: u8, kind: DriveType, cylinder: u8) -> Self {
        let cylinder = cylinder.min(kind.cylinders() - 1);
        Self { kind, cylinder, slot: 0, bay: Arc::new(Bay::new(number, kind)) }
    }

    /// The drive at this moment. What the guest wrote is handed over to the host.
    pub(crate) fn state(&self, options: StateOptions) -> Result<DriveState, MediumError> {
        let Self { kind, cylinder, slot, bay } = self;
        let (changed, disk, medium) = bay.state(options)?;
        let slot = u16::try_from(*slot).unwrap_or(0);
        Ok(DriveState { kind: *kind, cylinder: *cylinder, slot, changed, disk, medium })
    }

    /// The drive as it was. `given` gives the medium that was in, or leaves it to be opened again.
    pub(crate) fn from_state(
        number: u8,
        state: DriveState,
        given: impl FnOnce(&MediumState) -> Option<Box<dyn Medium>>,
    ) -> Result<Self, RestoreMediumError> {
        let DriveState { kind, cylinder, slot, changed, disk, medium } = state;
        let mut drive = Self::new(number, kind, cylinder);
        drive.bay.restore(changed, disk, medium, given)?;
        drive.slot = slot.min(256).into(); // No track has more sectors.
        Ok(drive)
    }

    pub(crate) fn drive_type(&self) -> DriveType {
        self.kind
    }

    /// A handle for the manager of the drive.
    pub(crate) fn handle(&self) -> FloppyDrive {
        FloppyDrive::new(Arc::clone(&self.bay))
    }

    /// Moves the head by `pulses` step pulses. It stays at either end of its way.
    pub(crate) fn step(&mut self, direction: StepDirection, pulses: u8) {
        if pulses == 0 {
            return;
        }
        self.cylinder = match direction {
            StepDirection::Inward => self.cylinder.saturating_add(pulses).min(self.kind.cylinders() - 1),
            StepDirection::Outward => self.cylinder.saturating_sub(pulses),
        };
        self.bay.clear_change();
    }

    /// The TRK0 sensor: the head stands at cylinder 0.
    pub(crate) fn track_0(&self) -> bool {
        self.cylinder == 0
    }

    /// How many step pulses outward lead to cylinder 0.
    pub(crate) fn steps_to_track_0(&self) -> u8 {
        self.cylinder
    }

    /// The disk-change line: the door was open since the last step with a disk in.
    pub(crate) fn changed(&self) -> bool {
        self.kind.has_change_line() && self.bay.changed()
    }

    /// Which disk is in, of all that were in any drive.
    pub(crate) fn disk(&self) -> Option<u64> {
        let bay = self.bay.lock();
        bay.medium().map(|_| bay.disk())
    }

    /// The write-protect sensor. An empty drive does not read as protected (not established).
    pub(crate) fn write_protected(&self) -> bool {
        self.bay.lock().medium().is_some_and(|medium| medium.is_write_protected())
    }

    /// The head over the disk; `None` when there is no disk. The manager waits while this lives.
    #[inline]
    pub(crate) fn head(&mut self) -> Option<Head<'_>> {
        let bay = self.bay.lock();
        let cylinder = self.medium_cylinder(bay.medium()?);
        Some(Head { bay, kind: self.kind, cylinder, slot: &mut self.slot })
    }

    /// The cylinder of the disk under the head. A 5.25" disk of 40 cylinders in a drive of 80 has one under every other.
    fn medium_cylinder(&self, medium: &dyn Medium) -> Option<u8> {
        let double_step = self.kind == DriveType::Inch5_25Hd && medium.cylinders() <= MOST_CYLINDERS_AT_48_TPI;
        match (double_step, self.cylinder % 2) {
            (false, _) => Some(self.cylinder),
            (true, 0) => Some(self.cylinder / 2),
            (true, _) => None,
        }
    }
}

impl Drop for Drive {
    fn drop(&mut self) {
        self.bay.close();
    }
}

/// The head of a drive over a disk that turns.
pub(crate) struct Head<'a> {
    bay: MutexGuard<'a, BayState>,
    kind: DriveType,
    /// Counted as the disk counts; `None` between two of its cylinders.
    cylinder: Option<u8>,
    slot: &'a mut usize,
}

impl Head<'_> {
    /// The track under the head.
    #[inline]
    pub(crate) fn track(&self, side: u8) -> Option<Track<'_>> {
        self.bay.medium()?.track(self.cylinder?, side)
    }

    /// The track can be read at this rate in this encoding.
    #[inline]
    pub(crate) fn reads(&self, track: &Track<'_>, rate: DataRate, encoding: Encoding) -> bool {
        self.writes(rate, encoding)
            && self.kind.rate_of(track.rate) == rate
            && track.encoding == encoding
            && !track.is_empty()
    }

    /// The drive and the chip can record at this rate in this encoding.
    #[inline]
    fn writes(&self, rate: DataRate, encoding: Encoding) -> bool {
        self.kind.reads(rate) && (encoding, rate) != (Encoding::Fm, DataRate::Kbps1000)
    }

    /// Turns a minute.
    pub(crate) fn rpm(&self) -> u32 {
        self.kind.rpm()
    }

    /// The place on the track that passes next.
    pub(crate) fn slot(&self) -> usize {
        *self.slot
    }

    /// The disk has turned: what passes next is the place `slot`, or the first one after the end of the track.
    pub(crate) fn turn_to(&mut self, slot: usize) {
        *self.slot = slot;
    }

    /// The disk is write protected.
    pub(crate) fn write_protected(&self) -> bool {
        self.bay.medium().is_some_and(Medium::is_write_protected)
    }

    /// The bytes of at most `count` sectors from `slot` on.
    #[inline]
    pub(crate) fn read(&mut self, side: u8, slot: usize, count: usize) -> Result<&[u8], MediumError> {
        match (self.bay.medium_mut(), self.cylinder) {
            (Some(medium), Some(cylinder)) => medium.read(cylinder, side, slot, count),
            _ => Err(MediumError::Absent),
        }
    }

    /// The same bytes, to be overwritten in data fields with this mark.
    #[inline]
    pub(crate) fn write(&mut self, side: u8, slot: usize, count: usize, mark: Mark) -> Result<&mut [u8], MediumError> {
        match (self.bay.medium_mut(), self.cylinder) {
            (Some(medium), Some(cylinder)) => medium.write(cylinder, side, slot, count, mark),
            _ => Err(MediumError::Absent),
        }
    }

    /// The data fields of `count` sectors from `slot` on were written whole.
    #[inline]
    pub(crate) fn finish_write(&mut self, side: u8, slot: usize, count: usize, mark: Mark) {
        if let (Some(medium), Some(cylinder)) = (self.bay.medium_mut(), self.cylinder) {
            medium.finish_write(cylinder, side, slot, count, mark);
        }
    }

    /// A command that wrote has ended.
    pub(crate) fn end_of_command(&mut self) -> Result<(), MediumError> {
        self.bay.medium_mut().map_or(Ok(()), |medium| medium.end_of_command().map_err(MediumError::Io))
    }

    /// Bytes that pass the head in a turn at this rate, gaps and marks included.
    pub(crate) fn track_capacity(&self, rate: DataRate, encoding: Encoding) -> usize {
        let bytes = rate.bytes_per_turn(self.kind.rpm()) as usize;
        if encoding == Encoding::Fm { bytes / 2 } else { bytes }
    }

    /// Writes the track under the head anew; `format.rate` is that of the controller.
    pub(crate) fn format_track(&mut self, side: u8, format: TrackFormat<'_>) -> Result<(), MediumError> {
        if !self.writes(format.rate, format.encoding) {
            return Err(MediumError::Unsupported);
        }
        // Two native rates can read alike. The one that is there stays.
        let present =
            self.cylinder.and_then(|cylinder| self.bay.medium()?.track(cylinder, side)).map(|track| track.rate);
        let alike = present.filter(|&native| self.kind.rate_of(native) == format.rate);
        let rate = alike.or(self.kind.native_rate(format.rate)).ok_or(MediumError::Unsupported)?;
        match (self.bay.medium_mut(), self.cylinder) {
            (Some(medium), Some(cylinder)) => medium.format_track(cylinder, side, &TrackFormat { rate, ..format }),
            _ => Err(MediumError::Unsupported),
        }
    }

    /// Which disk it is, of all that were in any drive.
    pub(crate) fn disk(&self) -> u64 {
        self.bay.disk()
    }
}

/// A 5.25" disk of no more cylinders has 48 tracks an inch, half of what a 1.2M drive has.
const MOST_CYLINDERS_AT_48_TPI: u8 = 43;
