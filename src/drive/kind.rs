//! The kinds of drive: how far the head reaches, how fast the disk turns, and which disks fit.

use std::fmt;

use crate::media::{DataRate, FormFactor, Image, Layout, MAX_CYLINDERS};

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
    /// All kinds, in the order of their CMOS codes.
    pub const ALL: [Self; 5] = [Self::Inch5_25Dd, Self::Inch5_25Hd, Self::Inch3_5Dd, Self::Inch3_5Hd, Self::Inch3_5Ed];

    /// Returns the size of the disks that fit.
    #[must_use]
    pub const fn form_factor(self) -> FormFactor {
        match self {
            Self::Inch5_25Dd | Self::Inch5_25Hd => FormFactor::Inch5_25,
            Self::Inch3_5Dd | Self::Inch3_5Hd | Self::Inch3_5Ed => FormFactor::Inch3_5,
        }
    }

    /// Returns the number of cylinders that the head reaches, 43 or 86. These are the nominal 40 or 80 and the few beyond.
    #[must_use]
    pub const fn cylinders(self) -> u8 {
        match self {
            Self::Inch5_25Dd => 43,
            _ => MAX_CYLINDERS,
        }
    }

    /// Returns the kinds for which `suits` holds.
    pub(super) fn suitable(suits: impl Fn(Self) -> bool) -> Vec<Self> {
        Self::ALL.into_iter().filter(|&drive| suits(drive)).collect()
    }

    /// Returns the time from the start of the motor until the disk turns at speed, in milliseconds.
    pub(crate) const fn spin_up(self) -> u64 {
        match self.form_factor() {
            FormFactor::Inch3_5 => 400,
            FormFactor::Inch5_25 => 500,
        }
    }

    /// Returns the revolutions per minute, 300 or 360.
    #[must_use]
    pub const fn rpm(self) -> u32 {
        match self {
            Self::Inch5_25Hd => 360,
            _ => 300,
        }
    }

    /// Returns whether the drive has a disk-change line. Drives of 360K have none.
    #[must_use]
    pub const fn has_change_line(self) -> bool {
        !matches!(self, Self::Inch5_25Dd)
    }

    /// Returns whether a disk of this layout fits and can be read.
    #[must_use]
    pub fn accepts(self, layout: Layout) -> bool {
        self.fits(layout.form_factor(), layout.cylinders()) && self.reads(self.rate_of(layout.rate()))
    }

    /// Returns whether a disk of this size with this many cylinders fits.
    pub(super) fn fits(self, form_factor: FormFactor, cylinders: u8) -> bool {
        form_factor == self.form_factor() && cylinders <= self.cylinders()
    }

    /// Records in an image what this kind of drive reaches of it.
    pub(super) fn prepare(self, image: &mut Image) {
        image.set_drive(self.form_factor(), self.cylinders());
    }

    /// Returns whether the electronics of the drive work at this rate.
    pub(super) const fn reads(self, rate: DataRate) -> bool {
        match self {
            Self::Inch5_25Dd | Self::Inch3_5Dd => matches!(rate, DataRate::Kbps250),
            Self::Inch5_25Hd => matches!(rate, DataRate::Kbps500 | DataRate::Kbps300),
            Self::Inch3_5Hd => !matches!(rate, DataRate::Kbps1000),
            Self::Inch3_5Ed => true,
        }
    }

    /// Returns the rate at which a track reads in this drive that reads at `native` in the drive made for its disk. A drive
    /// of 1.2M turns double-density disks at 360 rpm instead of 300.
    pub(super) const fn rate_of(self, native: DataRate) -> DataRate {
        match (self, native) {
            (Self::Inch5_25Hd, DataRate::Kbps250) => DataRate::Kbps300,
            _ => native,
        }
    }

    /// Returns the rate at which a track reads in the drive made for its disk, when this drive writes it at `rate`; `None`
    /// when this drive cannot write at that rate. The inverse of [`rate_of`](Self::rate_of).
    pub(super) fn native_rate(self, rate: DataRate) -> Option<DataRate> {
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
