//! The commands that move data between the disk and the host: one search for the sector, one advance of the ID, one
//! way to end. What differs is the direction, and who is at the host's end.

use log::debug;

use super::{
    command::{MAX_COMMAND, MFM, MULTI_TRACK},
    fifo::Host,
    registers::{st0, st1, st2},
};
use crate::{
    dma::Moved,
    drive::Head,
    media::{DataRate, Encoding, MediumError, Sector, SectorId, Track},
};

/// What a transfer does with each sector that it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// To the host.
    Read,
    /// From the host.
    Write,
    /// Nothing: the next ID is all that is asked for.
    ReadId,
}

/// How far a transfer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The host has to give or take data before it can go on.
    Waiting,
    /// It is over.
    Ended,
}

/// What a data command asks for, besides the ID that it starts with.
#[derive(Clone, Copy, Debug)]
struct Request {
    kind: Kind,
    multi_track: bool,
    encoding: Encoding,
    /// Sampled when the command starts.
    rate: DataRate,
    /// DS: the drive whose number the result bears.
    unit: u8,
    /// EOT: the last sector of a side.
    end_of_track: u8,
    /// DTL: bytes to transfer of each sector when N is 0.
    data_length: u8,
}

/// Sectors under the head that are passed without a new search.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// Place of the first one on the track.
    slot: usize,
    sectors: usize,
    /// Bytes of the first one that have been transferred.
    offset: usize,
}

/// What comes after a step of a transfer, unless that ended it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// This run, or a search for the next sector.
    Next(Option<Run>),
    /// The host; the run is under way.
    Wait(Run),
}

/// A data command in its execution phase.
#[derive(Clone, Debug)]
pub(super) struct Transfer {
    request: Request,
    /// HDS, and after a change of sides by MT the other one.
    side: u8,
    /// C, H, R and N of the sector that is looked for or transferred.
    id: SectorId,
    run: Option<Run>,
    ended: bool,
    st0: u8,
    st1: u8,
    st2: u8,
}

impl Transfer {
    /// The transfer that the bytes of a command ask for. `seek_end` tells that an implied seek came before it.
    #[inline]
    pub(super) fn new(kind: Kind, bytes: &[u8; MAX_COMMAND], rate: DataRate, seek_end: bool) -> Self {
        let [opcode, unit, cylinder, head, record, size_code, end_of_track, _gap_length, data_length] = *bytes;
        let id = match kind {
            Kind::ReadId => SectorId::default(),
            _ => SectorId { cylinder, head, record, size_code },
        };
        let request = Request {
            kind,
            multi_track: opcode & MULTI_TRACK != 0,
            encoding: if opcode & MFM != 0 { Encoding::Mfm } else { Encoding::Fm },
            rate,
            unit: unit & 0b11,
            end_of_track,
            data_length,
        };
        let st0 = if seek_end { st0::SEEK_END } else { 0 };
        Self { request, side: unit >> 2 & 1, id, run: None, ended: false, st0, st1: 0, st2: 0 }
    }

    pub(super) fn kind(&self) -> Kind {
        self.request.kind
    }

    /// It waits for nothing but its result to be fetched.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// ST0, ST1, ST2, C, H, R, N.
    #[inline]
    pub(super) fn result(&self) -> [u8; 7] {
        let st0 = self.st0 | self.side << 2 | self.request.unit;
        let SectorId { cylinder, head, record, size_code } = self.id;
        [st0, self.st1, self.st2, cylinder, head, record, size_code]
    }

    /// Ends with IC = 01.
    pub(super) fn fail(&mut self, st1: u8, st2: u8) -> Step {
        self.st0 |= st0::ABNORMAL;
        self.st1 |= st1;
        self.st2 |= st2;
        self.ended = true;
        Step::Next(None)
    }

    /// Goes on for as long as the host keeps up. The work is bounded by the sectors of two sides.
    pub(super) fn proceed(&mut self, head: &mut Head<'_>, host: &mut impl Host) -> Progress {
        let mut pending = self.run.take();
        while !self.ended {
            let moving = match (self.request.kind, pending.take()) {
                (Kind::ReadId, _) => Ok(self.read_id(head)),
                (_, None) => Ok(self.find(head)),
                (Kind::Read, Some(run)) => self.read(run, head, host),
                (Kind::Write, Some(run)) => self.write(run, head, host),
            };
            match moving {
                Ok(Step::Next(run)) => pending = run,
                Ok(Step::Wait(run)) => {
                    self.run = Some(run);
                    return Progress::Waiting;
                }
                Err(error) => self.fail_medium(&error),
            }
        }
        Progress::Ended
    }

    /// The host's file failed the guest's disk.
    #[cold]
    fn fail_medium(&mut self, error: &MediumError) {
        debug!("{:?} of {:?}: {error}", self.request.kind, self.id);
        let (st1, st2) = match (error, self.request.kind) {
            (MediumError::Absent, _) => (st1::NO_DATA, 0),
            (MediumError::Io(_), Kind::Write) => (st1::DATA_ERROR, 0),
            (MediumError::Io(_), _) => (st1::DATA_ERROR, st2::DATA_ERROR),
        };
        self.fail(st1, st2);
    }

    /// Takes the next ID that passes and can be read.
    fn read_id(&mut self, head: &mut Head<'_>) -> Step {
        let next = head.slot();
        let Some(track) = head.track(self.side, self.request.rate, self.request.encoding) else {
            return self.fail(st1::MISSING_ADDRESS_MARK, 0);
        };
        let readable = turn(&track, next).find(|(_, sector)| !sector.id_crc_error);
        let Some((slot, sector)) = readable else {
            return self.fail(st1::NO_DATA, 0);
        };
        self.id = sector.id;
        self.ended = true;
        head.turn_to(slot + 1);
        Step::Next(None)
    }

    /// Looks for the sector during one turn of the disk, and ends the transfer when it is not there.
    #[inline]
    fn find(&mut self, head: &Head<'_>) -> Step {
        if self.request.kind == Kind::Write && head.write_protected() {
            return self.fail(st1::NOT_WRITABLE, 0);
        }
        let Some(track) = head.track(self.side, self.request.rate, self.request.encoding) else {
            return self.fail(st1::MISSING_ADDRESS_MARK, 0);
        };
        let first = track.likely_slot(self.id.record).unwrap_or(head.slot());
        let mut seen = 0;
        for (slot, sector) in turn(&track, first) {
            if sector.id == self.id {
                return Step::Next(Some(Run { slot, sectors: self.run_length(&track, slot, head), offset: 0 }));
            }
            if sector.id.cylinder != self.id.cylinder {
                seen |= if sector.id.cylinder == 0xFF { st2::BAD_CYLINDER } else { st2::WRONG_CYLINDER };
            }
        }
        self.fail(st1::NO_DATA, seen)
    }

    /// How many sectors from `slot` on can be transferred without a look at the next ID: those up to EOT, and with MT
    /// those of the other side when its IDs are the ones to come.
    #[inline]
    fn run_length(&self, track: &Track<'_>, slot: usize, head: &Head<'_>) -> usize {
        if self.id.size_code == 0 {
            return 1; // DTL cuts each sector short.
        }
        let Request { multi_track, end_of_track, rate, encoding, .. } = self.request;
        let (to_end_of_track, on_track) = (self.to_end_of_track(), track.run(slot));
        if to_end_of_track != on_track || !multi_track || self.side != 0 {
            return on_track.min(to_end_of_track);
        }
        let first = next_id(self.id, true, true, 0);
        let other_side =
            head.track(1, rate, encoding).filter(|track| track.sector(0).is_some_and(|sector| sector.id == first));
        let follow = other_side.map_or(0, |track| track.run(0).min(usize::from(end_of_track)));
        on_track + follow
    }

    /// Sectors from the one in `id` to EOT.
    fn to_end_of_track(&self) -> usize {
        usize::from(self.request.end_of_track.wrapping_sub(self.id.record)) + 1
    }

    /// How many of `available` bytes, all of a run, the host gets.
    fn wanted(&self, available: usize) -> usize {
        match (self.id.size_code, self.request.data_length) {
            // Not established: a DTL of 0 or above 128 is a whole sector.
            (0, length @ 1..128) => available.min(usize::from(length)),
            _ => available,
        }
    }

    #[inline]
    fn read(&mut self, run: Run, head: &mut Head<'_>, host: &mut impl Host) -> Result<Step, MediumError> {
        let bytes = head.read(self.side, run.slot, run.sectors)?;
        let available = self.whole_sectors(run, bytes.len())?;
        let wanted = self.wanted(available);
        let moved = host.give(bytes.get(run.offset..wanted).unwrap_or_default());
        Ok(self.pass(run, moved, wanted, available, head))
    }

    #[inline]
    fn write(&mut self, run: Run, head: &mut Head<'_>, host: &mut impl Host) -> Result<Step, MediumError> {
        let bytes = head.write(self.side, run.slot, run.sectors)?;
        let available = self.whole_sectors(run, bytes.len())?;
        let wanted = self.wanted(available);
        let moved = host.take(bytes.get_mut(run.offset..wanted).unwrap_or_default());
        let end = run.offset + moved.bytes;
        if moved.terminal_count || end >= wanted {
            let sector_end = self.sectors_touched(end) << self.size_shift();
            bytes.get_mut(end..sector_end).unwrap_or_default().fill(0);
        }
        Ok(self.pass(run, moved, wanted, available, head))
    }

    /// How many of the bytes that a medium showed make whole sectors of the run.
    fn whole_sectors(&self, run: Run, shown: usize) -> Result<usize, MediumError> {
        let shift = self.size_shift();
        match shown.min(run.sectors << shift) >> shift {
            0 => Err(MediumError::Absent),
            sectors => Ok(sectors << shift),
        }
    }

    /// Accounts for bytes that the host moved.
    #[inline]
    fn pass(&mut self, run: Run, moved: Moved, wanted: usize, available: usize, head: &mut Head<'_>) -> Step {
        let offset = run.offset + moved.bytes;
        let all = offset >= wanted;
        let sectors = match (all, moved.terminal_count) {
            (true, _) => self.sectors_touched(available),
            (false, true) => self.sectors_touched(offset),
            (false, false) => offset >> self.size_shift(),
        };
        let slot = if sectors > 0 { self.pass_sectors(run.slot, sectors, moved.terminal_count) } else { run.slot };
        head.turn_to(slot);
        if all || moved.terminal_count {
            return Step::Next(None);
        }
        let offset = offset - (sectors << self.size_shift());
        Step::Wait(Run { slot, sectors: run.sectors - sectors, offset })
    }

    /// A number of sectors, from `slot` on, is done with. Gives the slot after the last of them.
    #[inline]
    fn pass_sectors(&mut self, slot: usize, sectors: usize, terminal_count: bool) -> usize {
        let (mut slot, mut sectors) = (slot, sectors);
        let on_this_side = self.to_end_of_track();
        if sectors > on_this_side {
            self.id = next_id(self.id, true, true, 0);
            self.side = 1;
            (slot, sectors) = (0, sectors - on_this_side);
        }
        self.id.record = self.id.record.wrapping_add((sectors - 1) as u8);
        self.end_of_sector(terminal_count);
        slot + sectors
    }

    /// The sector in `id` is done with. Ends the transfer at terminal count and after the last sector.
    fn end_of_sector(&mut self, terminal_count: bool) {
        let Request { multi_track, end_of_track, .. } = self.request;
        let end_of_side = self.id.record == end_of_track;
        let other_side_follows = multi_track && self.side == 0;
        if end_of_side && !other_side_follows && !terminal_count {
            // The data sheet does not say what ID this leaves: that of the last sector, as drivers reckon with.
            self.fail(st1::END_OF_CYLINDER, 0);
            return;
        }
        self.id = next_id(self.id, end_of_side, multi_track, self.side);
        if terminal_count {
            self.ended = true;
        } else if end_of_side {
            self.side = 1;
        }
    }

    /// A sector has `1 << size_shift` bytes. Only called for one that was found, whose size code is therefore at most 7.
    fn size_shift(&self) -> u32 {
        7 + u32::from(self.id.size_code & 7)
    }

    /// Sectors of which at least one of `bytes` bytes is a part.
    fn sectors_touched(&self, bytes: usize) -> usize {
        let shift = self.size_shift();
        (bytes + (1 << shift) - 1) >> shift
    }
}

/// The ID after the one of a sector on `side` (table 5-6 of the data sheet).
fn next_id(id: SectorId, end_of_side: bool, multi_track: bool, side: u8) -> SectorId {
    if !end_of_side {
        return SectorId { record: id.record.wrapping_add(1), ..id };
    }
    let next_cylinder = !multi_track || side == 1;
    SectorId {
        cylinder: id.cylinder.wrapping_add(next_cylinder.into()),
        head: id.head ^ u8::from(multi_track),
        record: 1,
        ..id
    }
}

/// The sectors of one turn, in the order in which they pass from place `from` on.
fn turn<'a>(track: &'a Track<'_>, from: usize) -> impl Iterator<Item = (usize, Sector)> + 'a {
    let from = if from < track.len() { from } else { 0 };
    (from..track.len()).chain(0..from).filter_map(|slot| track.sector(slot).map(|sector| (slot, sector)))
}
