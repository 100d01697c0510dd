//! The commands that move data between the disk and the host: one search for the sector, one advance of the ID, one
//! way to end. What differs is what is done with a sector, and who is at the host's end.

use log::debug;

use super::{
    command::{MAX_COMMAND, MFM, MULTI_TRACK, SKIP},
    execution,
    fifo::{Field, Host},
    registers::{st0, st1, st2},
    signals::Passed,
    timing::Pace,
};
use crate::{
    dma::Moved,
    drive::Head,
    media::{DataRate, Encoding, Mark, MediumError, Sector, SectorId, Track},
};

/// What a transfer does with each sector that it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) enum Kind {
    /// To the host, if the sector has this mark.
    Read(Mark),
    /// To the host, in the order of the track and whatever its ID.
    ReadTrack,
    /// From the host, with this mark.
    Write(Mark),
    /// To nobody: only the reading is of interest.
    Verify,
    /// Compared with what comes from the host.
    Scan(Comparison),
    /// Nothing: the next ID is all that is asked for.
    ReadId,
}

impl Kind {
    /// The way of the data; `None` when no data moves.
    pub(super) const fn direction(self) -> Option<Direction> {
        match self {
            Self::Read(_) | Self::ReadTrack => Some(Direction::ToHost),
            Self::Write(_) | Self::Scan(_) => Some(Direction::FromHost),
            Self::Verify | Self::ReadId => None,
        }
    }
}

/// Which way data moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    ToHost,
    FromHost,
}

/// What SCAN asks of each byte on the disk, next to the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) enum Comparison {
    Equal,
    LowOrEqual,
    HighOrEqual,
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
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Request {
    kind: Kind,
    multi_track: bool,
    skip: bool,
    encoding: Encoding,
    /// Sampled when the command starts.
    rate: DataRate,
    /// DS: the drive whose number the result bears.
    unit: u8,
    /// EOT: the last sector of a side.
    end_of_track: u8,
    /// DTL, bytes to transfer of each sector when N is 0; or SC of VERIFY, or STP of SCAN.
    last: u8,
    /// EC of VERIFY: SC sectors are to be verified, rather than all up to EOT.
    enable_count: bool,
}

/// Sectors under the head that are passed without a new search.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Run {
    /// Place of the first one on the track.
    slot: u16,
    sectors: u16,
    /// Bytes of the first one that have been transferred.
    offset: u16,
    /// Its data mark is not the one that the command asks for. It is the last one, then.
    other_mark: bool,
    /// Its data field has a wrong CRC.
    bad_data: bool,
}

impl Run {
    /// A side has at most 256 sectors, and a run at most two sides.
    const fn sound(slot: usize, sectors: usize) -> Self {
        Self { slot: slot as u16, sectors: sectors as u16, offset: 0, other_mark: false, bad_data: false }
    }

    fn slot(&self) -> usize {
        self.slot.into()
    }

    fn sectors(&self) -> usize {
        self.sectors.into()
    }

    fn offset(&self) -> usize {
        self.offset.into()
    }
}

/// What comes after a part of a run, unless that ended the transfer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// The next sector is to be looked for.
    Search,
    /// More of the run.
    Continue(Run),
    /// The host; the run is under way.
    Wait(Run),
}

/// A data command in its execution phase.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Transfer {
    request: Request,
    /// HDS, and after a change of sides by MT the other one.
    side: u8,
    /// C, H, R and N of the sector that is looked for or transferred.
    id: SectorId,
    run: Option<Run>,
    /// With time: the host has all that has passed.
    host_is_served: bool,
    /// With time: READ TRACK has met the index hole.
    at_index: bool,
    /// Sectors that READ TRACK has read, or that VERIFY has still to verify.
    count: u16,
    scan: Scan,
    /// Sectors that were transferred whole, and bytes that the host got or gave.
    sectors: u32,
    bytes: u32,
    /// What has passed the head and was not yet asked for.
    passed: Passed,
    ended: bool,
    st0: u8,
    st1: u8,
    st2: u8,
}

/// What SCAN has seen of the sector under the head.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Scan {
    /// Some byte on the disk is lower than the host's, or higher.
    lower: bool,
    higher: bool,
    /// At least one sector was compared.
    compared: bool,
}

impl Transfer {
    /// The transfer that the bytes of a command ask for. `seek_end` tells that an implied seek came before it.
    #[inline(always)]
    pub(super) fn new(kind: Kind, bytes: &[u8; MAX_COMMAND], rate: DataRate, seek_end: bool) -> Self {
        let [opcode, unit, cylinder, head, record, size_code, end_of_track, _gap_length, last] = *bytes;
        let id = match kind {
            Kind::ReadId => SectorId::default(),
            _ => SectorId { cylinder, head, record, size_code },
        };
        let enable_count = kind == Kind::Verify && unit & ENABLE_COUNT != 0;
        let count = match (enable_count, last) {
            (false, _) => 0,
            (true, 0) => 256,
            (true, sectors) => u16::from(sectors),
        };
        let request = Request {
            kind,
            multi_track: opcode & MULTI_TRACK != 0 && kind != Kind::ReadTrack,
            skip: opcode & SKIP != 0,
            encoding: if opcode & MFM != 0 { Encoding::Mfm } else { Encoding::Fm },
            rate,
            unit: unit & 0b11,
            end_of_track,
            last,
            enable_count,
        };
        let st0 = if seek_end { st0::SEEK_END } else { 0 };
        let (side, scan) = (unit >> 2 & 1, Scan::default());
        Self {
            request,
            side,
            id,
            run: None,
            host_is_served: false,
            at_index: false,
            count,
            scan,
            sectors: 0,
            bytes: 0,
            passed: Passed::default(),
            ended: false,
            st0,
            st1: 0,
            st2: 0,
        }
    }

    /// It is one that the chip can be in.
    pub(super) fn is_sound(&self) -> bool {
        let run = self.run.is_none_or(|run| {
            let sectors = (1..=512).contains(&run.sectors) && run.slot <= 256;
            sectors && self.id.size_code <= MAX_SIZE_CODE && run.offset() <= 1 << self.size_shift()
        });
        let reads_id = self.request.kind == Kind::ReadId && self.run.is_some();
        run && !reads_id && self.side < 2 && self.request.unit < 4 && self.count <= 256
    }

    pub(super) fn rate(&self) -> DataRate {
        self.request.rate
    }

    pub(super) fn encoding(&self) -> Encoding {
        self.request.encoding
    }

    pub(super) fn direction(&self) -> Option<Direction> {
        self.request.kind.direction()
    }

    /// Its result is all that is left of it.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// It is in the middle of a sector, and waits for the host.
    pub(super) fn waits_for_host(&self) -> bool {
        self.run.is_some() && !self.host_is_served
    }

    /// It writes sectors.
    pub(super) fn writes(&self) -> bool {
        matches!(self.request.kind, Kind::Write(_))
    }

    /// It is in the data field of a sector that it writes.
    pub(super) fn is_writing(&self) -> bool {
        matches!(self.request.kind, Kind::Write(_)) && self.run.is_some_and(|run| run.offset > 0)
    }

    pub(super) fn side(&self) -> u8 {
        self.side
    }

    /// What it has moved.
    #[inline(always)]
    pub(super) fn moved(&self) -> execution::Moved {
        let (sectors, bytes) = (self.sectors, self.bytes);
        match self.request.kind.direction() {
            None => execution::Moved { sectors, ..execution::Moved::default() },
            Some(Direction::ToHost) => execution::Moved { sectors, bytes_read: bytes, bytes_written: 0 },
            Some(Direction::FromHost) => execution::Moved { sectors, bytes_read: 0, bytes_written: bytes },
        }
    }

    /// What has passed the head since the last call.
    pub(super) fn take_passed(&mut self) -> Passed {
        std::mem::take(&mut self.passed)
    }

    /// The host did not keep up: a sector that is being written is completed with zeros, one that is being read is read
    /// to its end.
    pub(super) fn overrun(&mut self, head: Option<&mut Head<'_>>) {
        if let (Kind::Write(mark), Some(run), Some(head)) = (self.request.kind, self.run, head)
            && let Ok(bytes) = head.write(self.side, run.slot(), 1, mark)
        {
            bytes.get_mut(run.offset()..1 << self.size_shift()).unwrap_or_default().fill(0);
            head.finish_write(self.side, run.slot(), 1, mark);
        }
        let run = self.run.take();
        if run.is_some_and(|run| run.bad_data) {
            self.fail(st1::DATA_ERROR, st2::DATA_ERROR);
        }
        if run.is_some_and(|run| run.other_mark) {
            self.st2 |= st2::CONTROL_MARK;
        }
        self.fail(st1::OVERRUN, 0);
    }

    /// The disk has stopped, and turns again. The sector that was under the head has a CRC that nobody saw.
    pub(super) fn lose_sector(&mut self) {
        if self.run.take().is_some() {
            self.fail(st1::DATA_ERROR, st2::DATA_ERROR);
        }
    }

    /// ST0, ST1, ST2, C, H, R, N.
    #[inline(always)]
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
    pub(super) fn proceed(&mut self, head: &mut Head<'_>, host: &mut impl Host, pace: &mut impl Pace) -> Progress {
        if !pace.is_due() {
            return Progress::Waiting;
        }
        let mut pending = self.run.take();
        while !self.ended {
            let Some(run) = pending.take().or_else(|| self.next_run(head, host, pace)) else {
                if pace.is_due() || self.ended { continue } else { return Progress::Waiting }
            };
            let step = match self.request.kind {
                Kind::Write(mark) => self.write(mark, run, head, host, pace),
                Kind::Scan(comparison) => self.scan(comparison, run, head, host, pace),
                Kind::Read(_) | Kind::ReadTrack | Kind::Verify | Kind::ReadId => self.read(run, head, host, pace),
            };
            match step {
                Step::Search => {}
                Step::Continue(run) => pending = Some(run),
                Step::Wait(run) => {
                    self.run = Some(run);
                    return Progress::Waiting;
                }
            }
        }
        Progress::Ended
    }

    /// The sectors that are transferred next. `None` when the transfer has ended, or is to look again.
    #[inline(always)]
    fn next_run<P: Pace>(&mut self, head: &mut Head<'_>, host: &impl Host, pace: &mut P) -> Option<Run> {
        if !pace.is_due() {
            return None;
        }
        match self.request.kind {
            Kind::ReadId => {
                self.read_id(head, pace);
                None
            }
            Kind::ReadTrack => self.next_on_track(head, host, pace),
            _ => self.find(head, host, pace),
        }
    }

    /// Bytes of a sector that pass before the host is asked for the first ones, or to take them.
    fn first_request(&self, host: &impl Host) -> usize {
        match self.request.kind {
            Kind::Verify => 1 << self.size_shift(),
            _ => host.request_size(),
        }
    }

    /// The medium failed, or cannot hold what is to be written.
    #[cold]
    pub(super) fn fail_medium(&mut self, error: &MediumError) -> Step {
        debug!("{:?} of {:?}: {error}", self.request.kind, self.id);
        let (st1, st2) = match (error, self.request.kind) {
            (MediumError::Absent, _) => (st1::NO_DATA, 0),
            (MediumError::Unsupported, _) => (0, 0),
            (MediumError::Io(_), Kind::Write(_)) => (st1::DATA_ERROR, 0),
            (MediumError::Io(_), _) => (st1::DATA_ERROR, st2::DATA_ERROR),
        };
        self.fail(st1, st2);
        Step::Search
    }

    /// The track under the head; without one that can be read, no address mark comes in two turns. It is looked at where
    /// the medium put it, because a copy would wait for its bytes.
    #[inline(always)]
    fn readable<'t, 'a>(
        &mut self,
        track: &'t Option<Track<'a>>,
        head: &Head<'_>,
        pace: &mut impl Pace,
    ) -> Option<&'t Track<'a>> {
        let Request { rate, encoding, .. } = self.request;
        match track {
            Some(track) if head.reads(track, rate, encoding) => {
                self.passed.read = true;
                Some(track)
            }
            _ => {
                pace.to_index(head, TURNS_OF_A_SEARCH);
                self.fail(st1::MISSING_ADDRESS_MARK, 0);
                None
            }
        }
    }

    /// Takes the next ID that passes and can be read.
    fn read_id(&mut self, head: &mut Head<'_>, pace: &mut impl Pace) {
        let track = head.track(self.side);
        let Some(track) = self.readable(&track, head, pace) else { return };
        let next = pace.next_slot(head, track);
        let readable = turn(track, next).find(|(_, sector)| !sector.id_crc_error);
        match readable {
            Some((slot, sector)) => {
                pace.to_id(head, track, slot);
                self.id = sector.id;
                self.ended = true;
                head.turn_to(slot + 1);
            }
            None => {
                pace.to_index(head, TURNS_OF_A_SEARCH);
                self.fail(st1::NO_DATA, 0);
            }
        }
    }

    /// The next sector of a READ TRACK, from the index hole on. An ID that is not the one expected is only noted.
    fn next_on_track<P: Pace>(&mut self, head: &mut Head<'_>, host: &impl Host, pace: &mut P) -> Option<Run> {
        let slot = usize::from(self.count);
        let track = head.track(self.side);
        let track = self.readable(&track, head, pace)?;
        if P::TIMED && !self.at_index {
            self.at_index = true;
            pace.to_index(head, 1);
            return None;
        }
        // The index hole comes again before EOT sectors were read (its status is not established), or no sector is of
        // this size.
        let Some(sector) = track.sector(slot).filter(|_| self.id.size_code <= MAX_SIZE_CODE) else {
            pace.to_index(head, 1);
            self.fail(st1::NO_DATA, 0);
            return None;
        };
        pace.to_data(head, track, slot, self.first_request(host));
        if sector.id != self.id {
            self.st1 |= st1::NO_DATA;
        }
        if sector.id_crc_error {
            self.st1 |= st1::DATA_ERROR;
        }
        match sector.mark {
            Some(Mark::Data) => {}
            Some(Mark::Deleted) => self.st2 |= st2::CONTROL_MARK,
            None => {
                self.fail(st1::MISSING_ADDRESS_MARK, st2::MISSING_DATA_MARK);
                return None;
            }
        }
        Some(Run { bad_data: sector.data_crc_error, ..Run::sound(slot, 1) })
    }

    /// Looks for the sector during one turn of the disk, and ends the transfer when it is not there.
    #[inline(always)]
    fn find<P: Pace>(&mut self, head: &mut Head<'_>, host: &impl Host, pace: &mut P) -> Option<Run> {
        if matches!(self.request.kind, Kind::Write(_)) && head.write_protected() {
            self.fail(st1::NOT_WRITABLE, 0);
            return None;
        }
        let track = head.track(self.side);
        let track = self.readable(&track, head, pace)?;
        let place = track.regular_slot(self.id).or_else(|| self.search(track, pace.next_slot(head, track)));
        let Some(slot) = place else {
            pace.to_index(head, TURNS_OF_A_SEARCH);
            return None;
        };
        let run = self.found(slot, track);
        match run {
            _ if !P::TIMED => {}
            None if self.ended => pace.to_id(head, track, slot),
            None => {
                pace.to_data(head, track, slot, 0);
                pace.to_end(1 << self.size_shift());
            }
            Some(_) => pace.to_data(head, track, slot, self.first_request(host)),
        }
        if run.is_none() {
            head.turn_to(slot + 1);
        }
        run.map(|run| if P::TIMED { Run { sectors: 1, ..run } } else { run })
    }

    /// The place of the sector with the ID that is looked for, from place `from` of the track on. When it does not pass
    /// in a turn, ST2 tells what did.
    fn search(&mut self, track: &Track<'_>, from: usize) -> Option<usize> {
        let mut seen = 0;
        for (slot, sector) in turn(track, from) {
            if sector.id == self.id {
                return Some(slot);
            }
            if sector.id.cylinder != self.id.cylinder && !sector.id_crc_error {
                seen |= if sector.id.cylinder == 0xFF { st2::BAD_CYLINDER } else { st2::WRONG_CYLINDER };
            }
        }
        self.fail(st1::NO_DATA, seen);
        None
    }

    /// What becomes of the sector in place `slot`, whose ID is the one that is looked for, and of those that run on from
    /// it.
    #[inline(always)]
    fn found(&mut self, slot: usize, track: &Track<'_>) -> Option<Run> {
        let sector = track.sector(slot)?;
        let wanted = match self.request.kind {
            Kind::Read(mark) => mark,
            _ => Mark::Data,
        };
        match sector.mark {
            // Not even an ID that claims another size is one of a sector.
            _ if self.id.size_code > MAX_SIZE_CODE => self.fail(st1::NO_DATA, 0),
            _ if sector.id_crc_error => self.fail(st1::DATA_ERROR, 0),
            _ if matches!(self.request.kind, Kind::Write(_)) => {
                return Some(Run::sound(slot, self.run_length(track, slot)));
            }
            None => self.fail(st1::MISSING_ADDRESS_MARK, st2::MISSING_DATA_MARK),
            Some(mark) if mark != wanted && self.request.skip => {
                self.st2 |= st2::CONTROL_MARK;
                self.id = self.end_of_sector(self.id, false);
            }
            Some(mark) if mark != wanted => {
                return Some(Run { other_mark: true, bad_data: sector.data_crc_error, ..Run::sound(slot, 1) });
            }
            Some(_) => {
                let sectors = self.run_length(track, slot);
                return Some(Run { bad_data: sector.data_crc_error, ..Run::sound(slot, sectors) });
            }
        }
        None
    }

    /// How many sectors from `slot` on can be transferred without a look at the next ID: those up to EOT, and with MT
    /// those of the other side when its IDs are the ones to come.
    #[inline(always)]
    fn run_length(&self, track: &Track<'_>, slot: usize) -> usize {
        if self.id.size_code == 0 || matches!(self.request.kind, Kind::Scan(_)) {
            return 1; // DTL cuts each sector short; SCAN judges each by itself.
        }
        let Some(on_track) = track.regular_from(slot) else { return 1 };
        let Request { multi_track, end_of_track, .. } = self.request;
        let to_end_of_track = self.to_end_of_track();
        if to_end_of_track != on_track || !multi_track || self.side != 0 {
            return on_track.min(to_end_of_track);
        }
        let other_side =
            if track.first_of_other_side() == Some(next_id(self.id, true, true, 0)) { track.len() } else { 0 };
        on_track + other_side.min(end_of_track.into())
    }

    /// Sectors from the one in `id` to EOT. R counts modulo 256, so that an EOT below R is reached through 255 and 0.
    #[inline(always)]
    fn to_end_of_track(&self) -> usize {
        usize::from(self.request.end_of_track.wrapping_sub(self.id.record)) + 1
    }

    /// How many of `available` bytes, all of a run, the host gets.
    #[inline(always)]
    fn wanted(&self, available: usize) -> usize {
        match (self.request.kind, self.id.size_code, self.request.last) {
            // Not established: a DTL of 0 or above 128 is a whole sector.
            (Kind::Read(_) | Kind::ReadTrack | Kind::Write(_), 0, length @ 1..128) => {
                available.min(usize::from(length))
            }
            _ => available,
        }
    }

    #[inline(always)]
    fn read<P: Pace>(&mut self, run: Run, head: &mut Head<'_>, host: &mut impl Host, pace: &mut P) -> Step {
        let bytes = match head.read(self.side, run.slot(), run.sectors()) {
            Ok(bytes) => bytes,
            Err(error) => return self.fail_medium(&error),
        };
        let Some(available) = self.whole_sectors(run, bytes.len()) else {
            return self.fail_medium(&MediumError::Absent);
        };
        let wanted = self.wanted(available);
        let passed = pace.passed(wanted);
        if P::TIMED && (passed <= run.offset() || self.request.kind == Kind::Verify && passed < wanted) {
            self.host_is_served = true;
            return Step::Wait(run);
        }
        let short = run.sectors == 1 && bytes.len() != available;
        let (moved, offered) = if self.request.kind == Kind::Verify {
            (self.verify(available), available)
        } else {
            let data = field_or_gap(bytes, run.offset(), passed);
            (host.give(data, self.field(run, wanted)), data.len())
        };
        let run = Run { bad_data: run.bad_data || short, ..run };
        self.go_on(run, Piece { moved, offered, wanted, available }, passed, head, host, pace)
    }

    /// Asks the host for the bytes of a sector before the first of them is due.
    fn ask(&mut self, run: Run, host: &mut impl Host) -> Step {
        host.expect(self.field(run, self.wanted(1 << self.size_shift())));
        Step::Wait(run)
    }

    /// What comes after a piece of a run; with time an overrun, when the host is too late.
    #[inline(always)]
    fn go_on<P: Pace>(
        &mut self,
        run: Run,
        piece: Piece,
        passed: usize,
        head: &mut Head<'_>,
        host: &impl Host,
        pace: &mut P,
    ) -> Step {
        let (moved, size) = (run.offset() + piece.moved.bytes, 1 << self.size_shift());
        let over = moved >= piece.wanted || piece.moved.terminal_count;
        if !P::TIMED || over {
            pace.to_end(size);
            return self.pass(run, piece, head);
        }
        let to_host = self.request.kind.direction() != Some(Direction::FromHost);
        let patience = if to_host && passed == piece.wanted {
            // Not established: what is in the FIFO at the end of a sector can wait for a turn, as it can without time.
            head.track_capacity(self.request.rate, self.request.encoding)
        } else {
            host.patience(to_host)
        };
        if pace.passed(usize::MAX) - moved > patience {
            self.run = Some(Run { offset: moved as u16, ..run });
            self.overrun(Some(head));
            pace.to_end(size);
            return Step::Search;
        }
        self.host_is_served = to_host && passed == moved;
        match passed - moved {
            0 => pace.to_byte((moved + host.request_size()).min(piece.wanted)),
            // It is asked again with each byte that passes, or would if the sector were longer.
            _ => pace.to_byte(pace.passed(usize::MAX) + 1),
        }
        self.pass(run, piece, head)
    }

    /// VERIFY takes all that it is given, and ends after SC sectors as if by terminal count: even those of a track that
    /// ends before EOT, which the table of the data sheet has fail, though no sector is missing.
    #[inline(always)]
    fn verify(&mut self, offered: usize) -> Moved {
        if !self.request.enable_count {
            return Moved { bytes: offered, terminal_count: false };
        }
        let shift = self.size_shift();
        let sectors = (offered >> shift).min(usize::from(self.count));
        self.count -= sectors as u16;
        Moved { bytes: sectors << shift, terminal_count: self.count == 0 }
    }

    #[inline(always)]
    fn write<P: Pace>(
        &mut self,
        mark: Mark,
        run: Run,
        head: &mut Head<'_>,
        host: &mut impl Host,
        pace: &mut P,
    ) -> Step {
        if P::TIMED && pace.passed(usize::MAX) <= run.offset() {
            return self.ask(run, host);
        }
        let bytes = match head.write(self.side, run.slot(), run.sectors(), mark) {
            Ok(bytes) => bytes,
            Err(error) => return self.fail_medium(&error),
        };
        let available = self.whole_sectors(run, bytes.len()).unwrap_or_default();
        let wanted = self.wanted(available);
        let passed = pace.passed(wanted);
        let Some(data) = bytes.get_mut(run.offset()..passed).filter(|data| !data.is_empty()) else {
            return self.fail_medium(&MediumError::Absent);
        };
        self.passed.written = true;
        let offered = data.len();
        let moved = host.take(data, self.field(run, wanted));
        let end = run.offset() + moved.bytes;
        let sector_end = self.sectors_touched(end) << self.size_shift();
        let (over, within) = (moved.terminal_count || end >= wanted, end < sector_end);
        if over && within {
            bytes.get_mut(end..sector_end).unwrap_or_default().fill(0);
        } else if within && sector_end > 1 << self.size_shift() {
            // The medium is told of the sector that was begun, for the host may not come back.
            let (sectors, on_this_side) = (end >> self.size_shift(), self.to_end_of_track());
            let (side, slot) =
                if sectors < on_this_side { (self.side, run.slot() + sectors) } else { (1, sectors - on_this_side) };
            _ = head.write(side, slot, 1, mark);
        }
        self.go_on(run, Piece { moved, offered, wanted, available }, passed, head, host, pace)
    }

    /// Compares what comes from the host with a part of the sector.
    fn scan<P: Pace>(
        &mut self,
        comparison: Comparison,
        run: Run,
        head: &mut Head<'_>,
        host: &mut impl Host,
        pace: &mut P,
    ) -> Step {
        let bytes = match head.read(self.side, run.slot(), 1) {
            Ok(bytes) => bytes,
            Err(error) => return self.fail_medium(&error),
        };
        let Some(wanted) = self.whole_sectors(run, bytes.len()) else {
            return self.fail_medium(&MediumError::Absent);
        };
        let short = bytes.len() != wanted;
        let passed = pace.passed(wanted);
        if P::TIMED && passed <= run.offset() {
            return self.ask(run, host);
        }
        let data = field_or_gap(bytes, run.offset(), passed);
        let mut theirs = [0; 64];
        let offered = data.len().min(theirs.len());
        let moved = host.take(&mut theirs[..offered], self.field(run, wanted));
        for (disk, host) in data.iter().zip(&theirs[..moved.bytes]) {
            self.scan.lower |= disk < host;
            self.scan.higher |= disk > host;
        }
        if moved.terminal_count || run.offset() + moved.bytes >= wanted {
            self.judge(comparison);
        }
        let run = Run { bad_data: run.bad_data || short, ..run };
        self.go_on(run, Piece { moved, offered, wanted, available: wanted }, passed, head, host, pace)
    }

    /// SH and SN of the sector that has been compared.
    fn judge(&mut self, comparison: Comparison) {
        let Scan { lower, higher, .. } = self.scan;
        let satisfied = match comparison {
            Comparison::Equal => !lower && !higher,
            Comparison::LowOrEqual => !higher,
            Comparison::HighOrEqual => !lower,
        };
        self.st2 &= !(st2::SCAN_HIT | st2::SCAN_NOT_SATISFIED);
        self.st2 |= match (lower || higher, satisfied) {
            (false, _) => st2::SCAN_HIT,
            (true, true) => 0,
            (true, false) => st2::SCAN_NOT_SATISFIED,
        };
        self.scan = Scan { compared: true, ..Scan::default() };
    }

    /// How many of the bytes that a medium showed make whole sectors of the run. A single sector counts as whole.
    #[inline(always)]
    fn whole_sectors(&self, run: Run, shown: usize) -> Option<usize> {
        let shift = self.size_shift();
        match shown.min(run.sectors() << shift) >> shift {
            0 if run.sectors > 1 => None,
            sectors => Some(sectors.max(1) << shift),
        }
    }

    /// Accounts for bytes that the host moved.
    #[inline(always)]
    fn pass(&mut self, run: Run, piece: Piece, head: &mut Head<'_>) -> Step {
        let Piece { moved, offered, wanted, available } = piece;
        let offset = run.offset() + moved.bytes;
        let all = offset >= wanted;
        let sectors = match (all, moved.terminal_count) {
            (true, _) => self.sectors_touched(available),
            (false, true) => self.sectors_touched(offset),
            (false, false) => offset >> self.size_shift(),
        };
        if let Kind::Write(mark) = self.request.kind
            && sectors > 0
        {
            head.finish_write(self.side, run.slot(), sectors, mark);
        }
        self.sectors += sectors as u32;
        self.bytes += moved.bytes as u32;
        let slot = if sectors > 0 { self.pass_sectors(run, sectors, moved.terminal_count) } else { run.slot() };
        head.turn_to(slot);
        if all || moved.terminal_count {
            return Step::Search;
        }
        let offset = offset - (sectors << self.size_shift());
        let sectors = run.sectors - sectors as u16;
        let run = Run { slot: slot as u16, sectors, offset: offset as u16, ..run };
        if moved.bytes == offered { Step::Continue(run) } else { Step::Wait(run) }
    }

    /// A number of sectors of a run is done with. Gives the slot after the last of them.
    #[inline(always)]
    fn pass_sectors(&mut self, run: Run, sectors: usize, terminal_count: bool) -> usize {
        let (mut id, mut slot, mut sectors) = (self.id, run.slot(), sectors);
        let on_this_side = self.to_end_of_track();
        if sectors > on_this_side {
            id = next_id(id, true, true, 0);
            self.side = 1;
            (slot, sectors) = (0, sectors - on_this_side);
        }
        id.record = id.record.wrapping_add((sectors - 1) as u8);
        let side = self.side;
        if run.bad_data && self.request.kind == Kind::ReadTrack {
            self.st1 |= st1::DATA_ERROR;
            self.st2 |= st2::DATA_ERROR;
        } else if run.bad_data {
            self.fail(st1::DATA_ERROR, st2::DATA_ERROR);
        }
        if run.other_mark {
            self.st2 |= st2::CONTROL_MARK;
            self.ended = true;
        }
        self.id = if self.ended { id } else { self.end_of_sector(id, terminal_count) };
        if self.side == side { slot + sectors } else { 0 }
    }

    /// The sector `id` is done with: gives the next one, and ends the transfer at terminal count and after the last.
    #[inline(always)]
    fn end_of_sector(&mut self, id: SectorId, terminal_count: bool) -> SectorId {
        let Request { kind, multi_track, .. } = self.request;
        let end_of_side = match kind {
            Kind::ReadTrack => {
                self.count += 1;
                self.count == u16::from(self.request.end_of_track)
            }
            _ => id.record == self.request.end_of_track,
        };
        let last = end_of_side && !(multi_track && self.side == 0);
        match kind {
            Kind::Scan(_) if self.scan_is_satisfied(last) => {
                self.ended = true;
                return id;
            }
            // VERIFY without EC ends with the last sector as if by terminal count.
            _ if terminal_count || last && kind == Kind::Verify && !self.request.enable_count => self.ended = true,
            // SCAN ends normally after the last sector, whose ID it leaves (not established).
            Kind::Scan(_) if last => {
                self.ended = true;
                return id;
            }
            _ if last => {
                // The data sheet does not say what ID this leaves: that of the last sector, which drivers expect.
                self.fail(st1::END_OF_CYLINDER, 0);
                return id;
            }
            _ => {}
        }
        if matches!(kind, Kind::Scan(_)) && !end_of_side {
            let step = self.request.last;
            // A step that passes EOT, or makes none, runs into the index hole.
            if (step == 0 || step > self.request.end_of_track.wrapping_sub(id.record)) && !self.ended {
                self.fail(st1::NO_DATA, 0);
            }
            return SectorId { record: id.record.wrapping_add(step), ..id };
        }
        let next = next_id(id, end_of_side, multi_track, self.side);
        if end_of_side && !self.ended {
            self.side = 1;
        }
        next
    }

    /// SCAN ends with the sector that satisfies it, whose ID the result bears (not established). When all were skipped up
    /// to the `last` one, that counts as a hit.
    fn scan_is_satisfied(&mut self, last: bool) -> bool {
        let all_skipped = last && !self.scan.compared;
        if all_skipped {
            self.st2 |= st2::SCAN_HIT;
        }
        all_skipped || self.scan.compared && self.st2 & st2::SCAN_NOT_SATISFIED == 0
    }

    /// A sector has `1 << size_shift` bytes. Only called for one that was found, whose size code is therefore at most 7.
    #[inline(always)]
    fn size_shift(&self) -> u32 {
        7 + u32::from(self.id.size_code & MAX_SIZE_CODE)
    }

    /// Where a run stands in the data field of its first sector, when the host gets `wanted` bytes of it.
    #[inline(always)]
    fn field(&self, run: Run, wanted: usize) -> Field {
        Field { size: wanted.min(1 << self.size_shift()), passed: run.offset() }
    }

    /// Sectors of which at least one of `bytes` bytes is a part.
    #[inline(always)]
    fn sectors_touched(&self, bytes: usize) -> usize {
        let shift = self.size_shift();
        (bytes + (1 << shift) - 1) >> shift
    }
}

/// What the host moved of a run.
#[derive(Clone, Copy, Debug)]
struct Piece {
    moved: Moved,
    /// Bytes that it could have moved at once.
    offered: usize,
    /// Bytes of the run that it is to move in all.
    wanted: usize,
    /// Bytes of the run.
    available: usize,
}

/// The second index pulse ends a search.
const TURNS_OF_A_SEARCH: u64 = 2;

/// EC in the second byte of VERIFY.
const ENABLE_COUNT: u8 = 0x80;

/// No sector has a larger size code.
const MAX_SIZE_CODE: u8 = 7;

/// What is written between sectors.
static GAP: [u8; 512] = [0x4E; 512];

/// What passes the head from `offset` on, up to `wanted` at most: the data field, and behind one that is shorter than N
/// says the gap.
#[inline(always)]
fn field_or_gap(bytes: &[u8], offset: usize, wanted: usize) -> &[u8] {
    match bytes.get(offset..wanted.min(bytes.len())) {
        Some(data) if !data.is_empty() => data,
        _ => &GAP[..GAP.len().min(wanted - offset)],
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
