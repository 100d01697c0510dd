//! A run: sectors that lie side by side under the head and are transferred without a search in between.

use crate::{controller::fifo::Place, dma::Moved, drive::Head, media::MediumError};

/// No sector has a larger size code.
pub(in crate::controller) const MAX_SIZE_CODE: u8 = 7;

/// What is left of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::controller) struct Run {
    /// Place of the first sector on the track, 0 to 255.
    pub slot: u16,
    /// Sectors, 1 to 512: a head has at most 256, and a run goes over at most two heads.
    pub sectors: u16,
    /// Bytes of the first sector that have been transferred.
    pub offset: u16,
    /// The data mark is not the one that the command asks for. The run is one sector then, and the last.
    pub other_mark: bool,
    /// The data field has a wrong CRC.
    pub bad_data: bool,
}

impl Run {
    /// Returns a run of good sectors.
    pub(super) const fn good(slot: usize, sectors: usize) -> Self {
        Self { slot: slot as u16, sectors: sectors as u16, offset: 0, other_mark: false, bad_data: false }
    }

    pub(super) fn slot(&self) -> usize {
        self.slot.into()
    }

    pub(super) fn sectors(&self) -> usize {
        self.sectors.into()
    }

    pub(super) fn offset(&self) -> usize {
        self.offset.into()
    }

    /// Returns how many of the `shown` bytes of a medium make whole sectors of the run. A single sector counts as whole.
    pub(super) fn whole_sectors(&self, shown: usize, size: SectorSize) -> Result<usize, MediumError> {
        match size.sectors_in(shown.min(size.bytes_of(self.sectors()))) {
            0 if self.sectors > 1 => Err(MediumError::Absent),
            sectors => Ok(size.bytes_of(sectors.max(1))),
        }
    }

    /// Returns where the run stands in the data field of its first sector, of which the host gets `wanted` bytes.
    pub(super) fn place(&self, wanted: usize, size: SectorSize) -> Place {
        Place { size: wanted.min(size.bytes()), offset: self.offset() }
    }
}

/// The size of a sector, from N of its ID.
#[derive(Clone, Copy, Debug)]
pub(super) struct SectorSize {
    shift: u32,
}

impl SectorSize {
    /// Returns the size for a size code of 0 to 7. A larger code is no sector's, and counts by its low three bits.
    pub(super) const fn of(size_code: u8) -> Self {
        Self { shift: 7 + (size_code & MAX_SIZE_CODE) as u32 }
    }

    pub(super) const fn bytes(self) -> usize {
        1 << self.shift
    }

    pub(super) const fn bytes_of(self, sectors: usize) -> usize {
        sectors << self.shift
    }

    /// Returns how many whole sectors `bytes` bytes are.
    pub(super) const fn sectors_in(self, bytes: usize) -> usize {
        bytes >> self.shift
    }

    /// Returns how many sectors `bytes` bytes touch.
    pub(super) const fn sectors_touched(self, bytes: usize) -> usize {
        (bytes + self.bytes() - 1) >> self.shift
    }
}

/// DTL: how many bytes of a sector are transferred when N is 0 (§4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::controller) struct DataLength {
    /// 1 to 127 bytes; `None` for whole sectors.
    pub bytes: Option<u8>,
}

impl DataLength {
    /// Returns the data length that N and DTL of a command ask for. A DTL of 0 or above 127 is a whole sector (not
    /// established).
    pub(super) fn of(size_code: u8, data_length: u8) -> Self {
        Self { bytes: Some(data_length).filter(|length| size_code == 0 && (1..128).contains(length)) }
    }

    /// Returns how many of `available` bytes, all of a run, the host gets or gives.
    pub(super) fn wanted(self, available: usize) -> usize {
        self.bytes.map_or(available, |bytes| available.min(bytes.into()))
    }
}

/// What the host moved of a run.
#[derive(Clone, Copy, Debug)]
pub(in crate::controller) struct Piece {
    pub moved: Moved,
    /// Bytes that the host could have moved at once.
    pub offered: usize,
    /// Bytes of the run that the host moves in all.
    pub wanted: usize,
    /// Bytes of the run.
    pub available: usize,
    /// The medium has fewer bytes than the ID says: the CRC that follows is wrong.
    pub short: bool,
}

/// The sectors of a run, as the medium shows them.
pub(super) struct Shown<'a> {
    pub bytes: &'a [u8],
    /// Bytes of the run.
    pub available: usize,
    /// The medium has fewer bytes than the ID says.
    pub short: bool,
}

impl<'a> Shown<'a> {
    /// Reads the sectors of a run that pass `head_number`.
    #[inline(always)] // 1 % of a READ DATA of one sector, 6 % of a cylinder of a `SectorDisk`.
    pub(super) fn read(
        run: Run,
        size: SectorSize,
        head_number: u8,
        head: &'a mut Head<'_>,
    ) -> Result<Self, MediumError> {
        let bytes = head.read(head_number, run.slot(), run.sectors())?;
        let available = run.whole_sectors(bytes.len(), size)?;
        Ok(Self { bytes, available, short: run.sectors == 1 && bytes.len() != available })
    }

    /// Returns what passes the head from `offset` on, up to `end` at most: the data field, and gap 3 behind one that is
    /// shorter than its ID says.
    pub(super) fn passing(&self, offset: usize, end: usize) -> &'a [u8] {
        match self.bytes.get(offset..end.min(self.bytes.len())) {
            Some(data) if !data.is_empty() => data,
            _ => &GAP_3[..GAP_3.len().min(end.saturating_sub(offset))],
        }
    }
}

/// What is recorded between sectors.
static GAP_3: [u8; 512] = [0x4E; 512];
