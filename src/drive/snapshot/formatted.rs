//! The saved state of a track that a guest has formatted in another layout than that of its disk.

use crate::{
    media::{DataRate, FormattedTrack, sector_size},
    saved_state::InvalidField,
};

/// The most bytes of the sectors of a track: at 1 Mb/s 25,000 bytes pass the head in a revolution. This is the next power of two.
const MAX_TRACK_BYTES: usize = 0x8000;

/// A track that the guest has formatted in another layout than that of its disk, version 1: see
/// [`ImageOptions::with_reformat`](crate::media::ImageOptions::with_reformat).
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct FormattedTrackV1 {
    /// The cylinder of the drive on which the track is, less than [`DriveType::cylinders`](crate::drive::DriveType::cylinders).
    pub position: u8,
    /// The head under which the track is, 0 or 1.
    pub head: u8,
    /// The cylinder in its IDs: the same, or half of it on a disk that is double-stepped.
    pub cylinder: u8,
    /// The number of sectors, which have the numbers from 1 on.
    pub sectors: u8,
    /// N of the sectors, 0 to 7.
    pub size_code: u8,
    /// The rate, in a drive made for the disk.
    pub rate: DataRate,
    /// Whether the guest has written to the track since it formatted it.
    pub written: bool,
    /// The bytes of the sectors in ascending order.
    #[cfg_attr(
        feature = "serde",
        serde(
            serialize_with = "crate::saved_state::bytes::serialize",
            deserialize_with = "crate::saved_state::bytes::deserialize::<_, MAX_TRACK_BYTES>"
        )
    )]
    pub contents: Vec<u8>,
}

impl FormattedTrackV1 {
    /// Returns the state of a track.
    pub(super) fn save(track: FormattedTrack) -> Self {
        let FormattedTrack { position, head, cylinder, sectors, size_code, rate, written, bytes } = track;
        Self { position, head, cylinder, sectors, size_code, rate, written, contents: bytes }
    }

    /// Checks that some track can have the state. Whether this disk can have it is seen when the disk is restored.
    pub(super) fn validate(&self) -> Result<(), InvalidField> {
        if self.head > 1 {
            return Err(InvalidField::new("head", format!("{} is not 0 or 1", self.head)));
        }
        let size = sector_size(self.size_code);
        let size = size.ok_or_else(|| InvalidField::new("size_code", format!("{} is more than 7", self.size_code)))?;
        let bytes = usize::from(self.sectors) * size;
        if self.contents.len() != bytes || bytes > MAX_TRACK_BYTES {
            let reason = format!("{} bytes; the sectors have {bytes}, at most {MAX_TRACK_BYTES}", self.contents.len());
            return Err(InvalidField::new("contents", reason));
        }
        Ok(())
    }

    /// Returns the track.
    pub(super) fn restore(self) -> FormattedTrack {
        let Self { position, head, cylinder, sectors, size_code, rate, written, contents } = self;
        FormattedTrack { position, head, cylinder, sectors, size_code, rate, written, bytes: contents }
    }
}
