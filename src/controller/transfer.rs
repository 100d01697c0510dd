//! The commands that move data between the disk and the host: one search for the sector, one advance of the ID, one
//! way to end. What differs is the direction, and who is at the host's end.

use log::debug;

use super::{
    command::{Command, MAX_COMMAND, MFM, MULTI_TRACK},
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
    command: &'static Command,
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
struct Run {
    /// Place of the first one on the track.
    slot: usize,
    sectors: usize,
    /// Bytes of the first one that have been transferred.
    offset: usize,
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
    /// The transfer that the bytes of a command ask for.
    pub(super) fn new(kind: Kind, command: &'static Command, bytes: &[u8; MAX_COMMAND], rate: DataRate) -> Self {
        let [opcode, unit, cylinder, head, record, size_code, end_of_track, _gap_length, data_length] = *bytes;
        let id = match kind {
            Kind::ReadId => SectorId::default(),
            _ => SectorId { cylinder, head, record, size_code },
        };
        let request = Request {
            command,
            kind,
            multi_track: opcode & MULTI_TRACK != 0,
            encoding: if opcode & MFM != 0 { Encoding::Mfm } else { Encoding::Fm },
            rate,
            unit: unit & 0b11,
            end_of_track,
            data_length,
        };
        let side = unit >> 2 & 1;
        Self { request, side, id, run: None, ended: false, st0: 0, st1: 0, st2: 0 }
    }

    pub(super) fn kind(&self) -> Kind {
        self.request.kind
    }

    pub(super) fn command(&self) -> &'static Command {
        self.request.command
    }

    /// DS: the drive that the command names.
    pub(super) fn unit(&self) -> usize {
        usize::from(self.request.unit)
    }

    /// EOT: the last sector of a side.
    pub(super) fn end_of_track(&self) -> u8 {
        self.request.end_of_track
    }

    /// C: the cylinder that is looked for.
    pub(super) fn cylinder(&self) -> u8 {
        self.id.cylinder
    }

    /// It waits for nothing but its result to be fetched.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// An implied seek came before the transfer.
    pub(super) fn set_seek_end(&mut self) {
        self.st0 |= st0::SEEK_END;
    }

    /// ST0, ST1, ST2, C, H, R, N.
    pub(super) fn result(&self) -> [u8; 7] {
        let st0 = self.st0 | self.side << 2 | self.request.unit;
        let SectorId { cylinder, head, record, size_code } = self.id;
        [st0, self.st1, self.st2, cylinder, head, record, size_code]
    }

    /// Ends with IC = 01.
    pub(super) fn fail(&mut self, st1: u8, st2: u8) {
        self.st0 |= st0::ABNORMAL;
        self.st1 |= st1;
        self.st2 |= st2;
        self.ended = true;
    }

    /// Goes on for as long as the host keeps up. The work is bounded by the sectors of two sides.
    pub(super) fn proceed(&mut self, head: &mut Head<'_>, host: &mut impl Host) -> Progress {
        while !self.ended {
            let moving = match (self.request.kind, self.run) {
                (Kind::ReadId, _) => Ok(self.read_id(head)),
                (_, None) => Ok(self.find(head)),
                (Kind::Read, Some(run)) => self.read(run, head, host),
                (Kind::Write, Some(run)) => self.write(run, head, host),
            };
            match moving {
                Ok(true) => {}
                Ok(false) => return Progress::Waiting,
                Err(error) => self.fail_medium(&error),
            }
        }
        Progress::Ended
    }

    /// The host's file failed the guest's disk.
    fn fail_medium(&mut self, error: &MediumError) {
        debug!("{:?} of {:?}: {error}", self.request.kind, self.id);
        match (error, self.request.kind) {
            (MediumError::Absent, _) => self.fail(st1::NO_DATA, 0),
            (MediumError::Io(_), Kind::Write) => self.fail(st1::DATA_ERROR, 0),
            (MediumError::Io(_), _) => self.fail(st1::DATA_ERROR, st2::DATA_ERROR),
        }
    }

    /// Takes the next ID that passes and can be read.
    fn read_id(&mut self, head: &mut Head<'_>) -> bool {
        let next = head.slot();
        let Some(track) = head.track(self.side, self.request.rate, self.request.encoding) else {
            self.fail(st1::MISSING_ADDRESS_MARK, 0);
            return true;
        };
        let readable = turn(&track, next).find(|(_, sector)| !sector.id_crc_error);
        match readable {
            Some((slot, sector)) => {
                self.id = sector.id;
                self.ended = true;
                head.turn_to(slot + 1);
            }
            None => self.fail(st1::NO_DATA, 0),
        }
        true
    }

    /// Looks for the sector during one turn of the disk, and ends the transfer when it is not there.
    fn find(&mut self, head: &Head<'_>) -> bool {
        if self.request.kind == Kind::Write && head.write_protected() {
            self.fail(st1::NOT_WRITABLE, 0);
            return true;
        }
        let Some(track) = head.track(self.side, self.request.rate, self.request.encoding) else {
            self.fail(st1::MISSING_ADDRESS_MARK, 0);
            return true;
        };
        let mut seen = 0;
        for (slot, sector) in turn(&track, head.slot()) {
            if sector.id == self.id {
                self.run = Some(Run { slot, sectors: self.run_length(&track, slot), offset: 0 });
                return true;
            }
            if sector.id.cylinder != self.id.cylinder {
                seen |= if sector.id.cylinder == 0xFF { st2::BAD_CYLINDER } else { st2::WRONG_CYLINDER };
            }
        }
        self.fail(st1::NO_DATA, seen);
        true
    }

    /// How many sectors from `slot` on can be transferred without a look at the next ID.
    fn run_length(&self, track: &Track<'_>, slot: usize) -> usize {
        if self.id.size_code == 0 {
            return 1; // DTL cuts each sector short.
        }
        let to_end_of_track = usize::from(self.request.end_of_track.wrapping_sub(self.id.record)) + 1;
        track.run(slot).min(to_end_of_track)
    }

    /// How many of `available` bytes, all of a run, the host gets.
    fn wanted(&self, available: usize) -> usize {
        match (self.id.size_code, self.request.data_length) {
            // Not established: a DTL of 0 or above 128 is a whole sector.
            (0, length @ 1..128) => available.min(usize::from(length)),
            _ => available,
        }
    }

    fn read(&mut self, run: Run, head: &mut Head<'_>, host: &mut impl Host) -> Result<bool, MediumError> {
        let bytes = head.read(self.side, run.slot, run.sectors)?;
        let available = self.whole_sectors(run, bytes.len())?;
        let wanted = self.wanted(available);
        let moved = host.give(bytes.get(run.offset..wanted).unwrap_or_default());
        Ok(self.pass(run, moved, wanted, available, head))
    }

    fn write(&mut self, run: Run, head: &mut Head<'_>, host: &mut impl Host) -> Result<bool, MediumError> {
        let bytes = head.write(self.side, run.slot, run.sectors)?;
        let available = self.whole_sectors(run, bytes.len())?;
        let wanted = self.wanted(available);
        let moved = host.take(bytes.get_mut(run.offset..wanted).unwrap_or_default());
        let end = run.offset + moved.bytes;
        if moved.terminal_count || end >= wanted {
            let sector_end = end.next_multiple_of(self.sector_size());
            bytes.get_mut(end..sector_end).unwrap_or_default().fill(0);
        }
        Ok(self.pass(run, moved, wanted, available, head))
    }

    /// How many of the bytes that a medium showed make whole sectors of the run.
    fn whole_sectors(&self, run: Run, shown: usize) -> Result<usize, MediumError> {
        let size = self.sector_size();
        match shown.min(run.sectors * size) / size {
            0 => Err(MediumError::Absent),
            sectors => Ok(sectors * size),
        }
    }

    /// Accounts for bytes that the host moved; `false` when it has to move more before the transfer can go on.
    fn pass(&mut self, run: Run, moved: Moved, wanted: usize, available: usize, head: &mut Head<'_>) -> bool {
        let size = self.sector_size();
        let offset = run.offset + moved.bytes;
        let all = offset >= wanted;
        let sectors = match (all, moved.terminal_count) {
            (true, _) => available / size,
            (false, true) => offset.div_ceil(size).max(1),
            (false, false) => offset / size,
        };
        self.run = match all || moved.terminal_count {
            true => None,
            false => Some(Run { slot: run.slot + sectors, sectors: run.sectors - sectors, offset: offset % size }),
        };
        if let Some(before_last) = sectors.checked_sub(1) {
            head.turn_to(run.slot + sectors);
            self.id.record = self.id.record.wrapping_add(before_last as u8);
            self.end_of_sector(moved.terminal_count);
        }
        self.run.is_none()
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

    /// Bytes in a sector. Only called for one that was found, whose size code is therefore at most 7.
    fn sector_size(&self) -> usize {
        self.id.size().unwrap_or(1)
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
    let length = track.len();
    (0..length).filter_map(move |passed| {
        let slot = (from + passed) % length;
        track.sector(slot).map(|sector| (slot, sector))
    })
}
