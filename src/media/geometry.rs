//! The geometry of a disk whose tracks are all alike: cylinders, heads, sectors, rate and form factor.
//!
//! Which geometry an image of a given size has is in [`super::formats`].

use std::fmt;

use super::recording::DataRate;

/// The physical size of a disk or drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum FormFactor {
    /// 5.25 inches.
    Inch5_25,
    /// 3.5 inches.
    Inch3_5,
}

impl fmt::Display for FormFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inch5_25 => "5.25\"",
            Self::Inch3_5 => "3.5\"",
        })
    }
}

/// The geometry of a disk whose tracks are all alike: sectors of one size, numbered from 1, under each head.
///
/// Use a constant, one of the [`FORMATS`](super::FORMATS), or [`Geometry::new`] for any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Numbers", into = "Numbers")
)]
pub struct Geometry {
    cylinders: u8,
    heads: u8,
    sectors: u8,
    size_code: u8,
    rate: DataRate,
    form_factor: FormFactor,
}

/// Why no floppy disk can have a geometry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GeometryError {
    /// The number of cylinders is not 1 to 86.
    #[error("{0} cylinders: a floppy disk has 1 to 86")]
    Cylinders(u8),
    /// The number of heads is not 1 or 2.
    #[error("{0} heads: a floppy disk has 1 or 2")]
    Heads(u8),
    /// The number of sectors per track is not 1 to 63.
    #[error("{0} sectors per track: a floppy disk has 1 to 63")]
    Sectors(u8),
    /// The size code is above 7.
    #[error("size code {0}: a sector has 128 << N bytes, N from 0 to 7")]
    SizeCode(u8),
    /// The sectors of a track have more bytes than pass the head in one revolution.
    #[error("{bytes} bytes per track: {capacity} pass the head in one revolution at this rate")]
    TrackTooLong {
        /// The bytes in the sectors of a track.
        bytes: u32,
        /// The bytes that pass the head in one revolution, gaps and marks included.
        capacity: u32,
    },
}

/// The serialized form of a geometry, not validated: cylinders, heads, sectors, N, rate and form factor.
#[cfg(feature = "serde")]
#[derive(serde::Serialize, serde::Deserialize)]
struct Numbers(u8, u8, u8, u8, DataRate, FormFactor);

#[cfg(feature = "serde")]
impl TryFrom<Numbers> for Geometry {
    type Error = GeometryError;

    fn try_from(
        Numbers(cylinders, heads, sectors, size_code, rate, form_factor): Numbers,
    ) -> Result<Self, GeometryError> {
        Self::new(cylinders, heads, sectors, size_code, rate, form_factor)
    }
}

#[cfg(feature = "serde")]
impl From<Geometry> for Numbers {
    fn from(geometry: Geometry) -> Self {
        let Geometry { cylinders, heads, sectors, size_code, rate, form_factor } = geometry;
        Self(cylinders, heads, sectors, size_code, rate, form_factor)
    }
}

impl Geometry {
    /// The 360K disk of 5.25" drives.
    pub const DD_360K: Self = known(40, 2, 9, 2, DataRate::Kbps250, FormFactor::Inch5_25);
    /// The 720K disk of 3.5" drives.
    pub const DD_720K: Self = known(80, 2, 9, 2, DataRate::Kbps250, FormFactor::Inch3_5);
    /// The 1.2M disk of 5.25" drives.
    pub const HD_1200K: Self = known(80, 2, 15, 2, DataRate::Kbps500, FormFactor::Inch5_25);
    /// The 1.44M disk of 3.5" drives.
    pub const HD_1440K: Self = known(80, 2, 18, 2, DataRate::Kbps500, FormFactor::Inch3_5);
    /// The 2.88M disk of 3.5" drives.
    pub const ED_2880K: Self = known(80, 2, 36, 2, DataRate::Kbps1000, FormFactor::Inch3_5);

    /// Returns the geometry of `cylinders` (1 to 86) by `heads` (1 or 2) by `sectors` per track (1 to 63) of `128 <<
    /// size_code` bytes, recorded at `rate` in a drive made for such disks. Such a drive turns at 300 rpm, or at 360
    /// rpm for 5.25" disks at 300 or 500 kb/s (§9.1).
    ///
    /// # Errors
    ///
    /// A [`GeometryError`] that names the first number out of range, or that says that the sectors do not fit on a
    /// track.
    ///
    /// ```
    /// use vm_fdc::media::{DataRate, FormFactor, Geometry};
    ///
    /// let geometry = Geometry::new(81, 2, 18, 2, DataRate::Kbps500, FormFactor::Inch3_5)?;
    /// assert_eq!(geometry.bytes(), 1_492_992);
    /// # Ok::<(), vm_fdc::media::GeometryError>(())
    /// ```
    pub const fn new(
        cylinders: u8,
        heads: u8,
        sectors: u8,
        size_code: u8,
        rate: DataRate,
        form_factor: FormFactor,
    ) -> Result<Self, GeometryError> {
        if cylinders == 0 || cylinders > MAX_CYLINDERS {
            return Err(GeometryError::Cylinders(cylinders));
        }
        if heads == 0 || heads > 2 {
            return Err(GeometryError::Heads(heads));
        }
        if sectors == 0 || sectors > MAX_SECTORS {
            return Err(GeometryError::Sectors(sectors));
        }
        if size_code > 7 {
            return Err(GeometryError::SizeCode(size_code));
        }
        let bytes = (sectors as u32) << (7 + size_code);
        let capacity = track_capacity(form_factor, rate);
        if bytes > capacity {
            return Err(GeometryError::TrackTooLong { bytes, capacity });
        }
        Ok(Self { cylinders, heads, sectors, size_code, rate, form_factor })
    }

    /// Returns the number of cylinders, 1 to 86.
    #[must_use]
    pub const fn cylinders(&self) -> u8 {
        self.cylinders
    }

    /// Returns the number of heads, 1 or 2.
    #[must_use]
    pub const fn heads(&self) -> u8 {
        self.heads
    }

    /// Returns the number of sectors per track, 1 to 63. Sectors are numbered from 1.
    #[must_use]
    pub const fn sectors(&self) -> u8 {
        self.sectors
    }

    /// Returns N, 0 to 7: each sector has `128 << N` bytes.
    #[must_use]
    pub const fn size_code(&self) -> u8 {
        self.size_code
    }

    /// Returns the number of bytes in a sector, 128 to 16,384.
    #[must_use]
    pub const fn sector_size(&self) -> usize {
        1 << self.size_shift()
    }

    /// Returns the binary logarithm of the number of bytes in a sector.
    pub(super) const fn size_shift(&self) -> u32 {
        7 + self.size_code as u32
    }

    /// Returns the data rate in a drive made for such disks.
    #[must_use]
    pub const fn rate(&self) -> DataRate {
        self.rate
    }

    /// Returns the kind of drive into which such a disk fits.
    #[must_use]
    pub const fn form_factor(&self) -> FormFactor {
        self.form_factor
    }

    /// Returns the number of bytes in a raw image of such a disk.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        (self.cylinders as u64 * self.heads as u64 * self.sectors as u64) << self.size_shift()
    }

    /// Returns the offset in a raw image of the sector in `slot`, in bytes, or `None` if the disk has no such sector.
    /// The order is ascending cylinder, head, sector.
    #[inline]
    pub(super) fn offset(&self, cylinder: u8, head: u8, slot: usize) -> Option<usize> {
        let exists = cylinder < self.cylinders && head < self.heads && slot < usize::from(self.sectors);
        let track = usize::from(cylinder) * usize::from(self.heads) + usize::from(head);
        exists.then(|| (track * usize::from(self.sectors) + slot) << self.size_shift())
    }
}

impl fmt::Display for Geometry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cylinders, heads, sectors, rate, form_factor, .. } = self;
        write!(f, "{form_factor}, {cylinders}x{heads}x{sectors} of {} bytes at {rate}", self.sector_size())
    }
}

/// The most cylinders that the head of a drive reaches.
pub(crate) const MAX_CYLINDERS: u8 = 86;
/// A 5.25" disk with at most this many cylinders has 48 tracks per inch, half as many as a drive of 1.2M (§9.4).
pub(crate) const MOST_CYLINDERS_AT_48_TPI: u8 = 43;

/// Returns whether a disk of `cylinders` is double-stepped: in a drive of 96 tracks per inch, a disk of 48 has a cylinder under
/// every other one of the drive (§9.4).
#[inline]
pub(crate) const fn is_double_stepped(at_96_tpi: bool, cylinders: u8) -> bool {
    at_96_tpi && cylinders <= MOST_CYLINDERS_AT_48_TPI
}

/// Returns the cylinder of a disk that is under cylinder `position` of the drive; `None` between two cylinders.
#[inline]
pub(crate) const fn disk_cylinder(double_stepped: bool, position: u8) -> Option<u8> {
    match (double_stepped, position % 2) {
        (false, _) => Some(position),
        (true, 0) => Some(position / 2),
        (true, _) => None,
    }
}

/// The most sectors per track: the BIOS numbers them in six bits.
const MAX_SECTORS: u8 = 63;

/// Returns the number of bytes that pass the head in one revolution in a drive made for such disks, gaps and marks
/// included.
const fn track_capacity(form_factor: FormFactor, rate: DataRate) -> u32 {
    let rpm = match (form_factor, rate) {
        (FormFactor::Inch5_25, DataRate::Kbps500 | DataRate::Kbps300) => 360,
        _ => 300,
    };
    rate.bytes_per_revolution(rpm)
}

/// The number of bytes in the largest raw image that a [`Geometry`] can have: 4,227,072.
pub(crate) const MAX_IMAGE_BYTES: u64 = {
    let capacity = track_capacity(FormFactor::Inch3_5, DataRate::Kbps1000);
    let (mut largest, mut size_code) = (0, 0);
    while size_code <= 7 {
        let fitting = capacity >> (7 + size_code);
        let sectors = if fitting < MAX_SECTORS as u32 { fitting } else { MAX_SECTORS as u32 };
        let track = sectors << (7 + size_code);
        if track > largest {
            largest = track;
        }
        size_code += 1;
    }
    MAX_CYLINDERS as u64 * 2 * largest as u64
};

const _: () = assert!(MAX_IMAGE_BYTES == 4_227_072);

/// Returns a geometry that is validated when the crate is compiled.
pub(super) const fn known(
    cylinders: u8,
    heads: u8,
    sectors: u8,
    size_code: u8,
    rate: DataRate,
    form_factor: FormFactor,
) -> Geometry {
    match Geometry::new(cylinders, heads, sectors, size_code, rate, form_factor) {
        Ok(geometry) => geometry,
        Err(_) => panic!("no floppy disk has this geometry"),
    }
}
