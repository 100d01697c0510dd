//! The conformance checks: the media and the DMA channel of the library pass them, and each check finds an implementation
//! that breaks its rule.
#![cfg(feature = "conformance")]

use std::{fs, io, ops::Range};

use tempfile::NamedTempFile;
use vm_fdc::{
    conformance::{
        DmaBench, DmaDirection, DmaRule, MediumReport, MediumRule, Violation, check_dma_channel, check_medium,
    },
    dma::{AtDma, DmaChannel, Moved},
    media::{
        Access, DataRate, Encoding, Fault, FaultyMedium, FormFactor, Geometry, Image, ImageOptions, Layout, Mark,
        Medium, MediumError, Sector, SectorDisk, SectorId, SectorTrack, Track, TrackFormat,
    },
};

// Media that follow the rules

/// A disk of few cylinders, so that a check is quick.
fn small() -> Geometry {
    Geometry::new(3, 2, 9, 2, DataRate::Kbps250, FormFactor::Inch3_5).unwrap()
}

fn numbered(bytes: u64) -> Vec<u8> {
    (0..bytes).map(|n| (n / 512) as u8 ^ (n % 253) as u8).collect()
}

/// Returns a file of this number of bytes.
fn file(bytes: u64) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    fs::write(file.path(), numbered(bytes)).unwrap();
    file
}

fn check_image(options: ImageOptions) -> (MediumReport, bool) {
    let layout = options.layout().unwrap();
    let file = file(layout.bytes());
    let mut image = Image::open(file.path(), options).unwrap();
    let report = check_medium(&mut image).unwrap_or_else(|violation| panic!("{options:?}: {violation}"));
    drop(image);
    (report, fs::read(file.path()).unwrap() == numbered(layout.bytes()))
}

#[test]
fn an_image_in_memory_passes_and_is_restored() {
    for access in [Access::ReadWrite, Access::Private] {
        let (report, restored) = check_image(ImageOptions::new(access).with_geometry(small()));
        assert_eq!((report.tracks, report.sectors_read, report.sectors_written), (6, 54, 54));
        assert!(report.raw_image && report.formats > 0 && !report.deleted_marks && restored);
    }
}

#[test]
fn an_image_that_can_be_reformatted_passes_and_is_restored() {
    for access in [Access::ReadWrite, Access::Private] {
        for geometry in [small(), Geometry::DD_360K] {
            let options = ImageOptions::new(access).with_geometry(geometry).with_reformat(true);
            let (report, restored) = check_image(options);
            assert_eq!(report.sectors_written, usize::try_from(geometry.bytes()).unwrap() / 512);
            assert!(report.raw_image && report.formats > 0 && restored);
        }
    }
}

#[test]
#[allow(unsafe_code)]
fn an_image_that_is_mapped_passes_and_is_restored() {
    for access in [Access::ReadWrite, Access::ReadOnly, Access::Private] {
        // SAFETY: only this test accesses the temporary file.
        let options = unsafe { ImageOptions::new(access).with_geometry(small()).with_mapping() };
        let (report, restored) = check_image(options);
        assert_eq!(report.sectors_read, 54);
        assert!(report.raw_image && restored);
    }
}

#[test]
fn an_image_that_is_read_only_passes_without_writes() {
    let (report, restored) = check_image(ImageOptions::new(Access::ReadOnly).with_geometry(small()));
    assert_eq!((report.sectors_read, report.sectors_written, report.formats), (54, 0, 0));
    assert!(restored);
}

#[test]
fn an_image_of_xdf_passes() {
    let (report, restored) = check_image(ImageOptions::new(Access::ReadWrite).with_layout(Layout::Xdf));
    assert_eq!((report.tracks, report.sectors_written), (160, 2 * 19 + 79 * 2 * 4));
    assert!(restored);
}

#[test]
fn a_sector_disk_passes() {
    let mut disk = SectorDisk::formatted(small(), 0xF6);
    let report = check_medium(&mut disk).unwrap();
    assert_eq!((report.sectors_written, report.deleted_marks), (54, true));
    assert_eq!(disk.to_raw(small()).unwrap(), vec![0xF6; 54 * 512]);
    disk.set_write_protected(true);
    assert_eq!(check_medium(&mut disk).unwrap().sectors_written, 0);
}

#[test]
fn an_irregular_sector_disk_passes() {
    let id = |sector, size_code| SectorId { cylinder: 7, head: 1, sector, size_code };
    let mut disk = SectorDisk::unformatted(FormFactor::Inch5_25, 40);
    assert_eq!(check_medium(&mut disk).unwrap(), MediumReport::default());
    let deleted = Sector { mark: Some(Mark::Deleted), ..Sector::good(id(1, 0)) };
    let track = SectorTrack::new(DataRate::Kbps250)
        .with_encoding(Encoding::Fm)
        .with_sector(Sector { data_crc_error: true, ..Sector::good(id(9, 1)) }, vec![1; 256])
        .with_sector(deleted, vec![2; 128])
        .with_sector(Sector { mark: None, ..Sector::good(id(2, 3)) }, Vec::new())
        .with_sector(Sector::good(id(3, 6)), vec![3; 512])
        .with_sector(Sector::good(id(4, 2)), vec![4; 512]);
    disk.set_track(20, 0, track);
    let report = check_medium(&mut disk).unwrap();
    assert_eq!((report.tracks, report.sectors_read, report.sectors_written), (1, 5, 2));
}

#[test]
fn a_faulty_medium_passes_and_skips_what_the_host_refuses() {
    for fault in [Fault::IdCrc, Fault::DataCrc, Fault::MissingMark, Fault::HostIo] {
        let mut disk = FaultyMedium::new(SectorDisk::formatted(small(), 0xF6)).with_fault(1, 1, 5, fault);
        let report = check_medium(&mut disk).unwrap();
        assert_eq!(report.sectors_written, 53, "{fault:?}");
        assert_eq!(report.host_errors, usize::from(fault == Fault::HostIo), "{fault:?}");
    }
}

#[test]
fn a_faulty_image_passes() {
    let file = file(small().bytes());
    let image = Image::open(file.path(), ImageOptions::new(Access::ReadWrite).with_geometry(small())).unwrap();
    let mut disk = FaultyMedium::new(image).with_fault(0, 0, 1, Fault::HostIo).with_fault(2, 1, 9, Fault::DataCrc);
    assert_eq!(check_medium(&mut disk).unwrap().sectors_written, 52);
}

// Media that break a rule

/// A mistake of an implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    PanicsOutside,
    PanicsBehindTheTrack,
    OverflowsInTheCount,
    TooManyCylinders,
    TrackUnderHead2,
    ReadsBehindTheTrack,
    ShowsWhatCannotBeRead,
    HalfSectors,
    MoreThanCount,
    OtherSizeThanTheId,
    AnotherReadAnotherTime,
    WritesToACopy,
    LosesTheWrite,
    SpillsIntoTheNextSector,
    KeepsTheCrcError,
    TakesADeletedMarkForData,
    RefusesADeletedMarkAsAbsent,
    WritesWhileProtected,
    FormatsWhileProtected,
    IgnoresTheIdsOfAFormat,
    FillsWithSomethingElse,
    FailsToCommit,
    LosesTheContentsInAFlush,
    StaysUnsaved,
    UnsavedOutOfOrder,
    RawImageInAnotherOrder,
    RawImageTooLong,
}

/// A raw image in memory as a VM monitor can implement it, with a bug or without.
struct Raw {
    bytes: Vec<u8>,
    scratch: Vec<u8>,
    written: bool,
    interrupted: bool,
    reads: usize,
    bug: Option<Bug>,
}

const SECTORS: usize = 9;
const SIZE: usize = 512;

impl Raw {
    fn new(bug: Option<Bug>) -> Self {
        let bytes = numbered(small().bytes());
        Self { bytes, scratch: Vec::new(), written: false, interrupted: false, reads: 0, bug }
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn range(&self, cylinder: u8, head: u8, slot: usize, count: usize) -> Option<Range<usize>> {
        assert!(!self.has(Bug::PanicsOutside) || cylinder < 3 && head < 2, "cylinder {cylinder}, head {head}");
        assert!(!self.has(Bug::PanicsBehindTheTrack) || slot < SECTORS, "slot {slot}");
        let behind = slot >= SECTORS && !(self.has(Bug::ReadsBehindTheTrack) && slot == SECTORS && cylinder < 2);
        if cylinder >= 3 || head >= 2 || behind {
            return None;
        }
        assert!(!self.has(Bug::OverflowsInTheCount) || slot.checked_add(count).is_some(), "{slot} + {count}");
        let count = count.min(SECTORS.saturating_sub(slot).max(1));
        let count = if self.has(Bug::MoreThanCount) { (count + 1).min(SECTORS - slot) } else { count };
        let start = ((usize::from(cylinder) * 2 + usize::from(head)) * SECTORS + slot) * SIZE;
        let bytes = if self.has(Bug::HalfSectors) && count > 1 { count * SIZE - SIZE / 2 } else { count * SIZE };
        let bytes = if self.has(Bug::OtherSizeThanTheId) { bytes / 2 } else { bytes };
        Some(start..start + bytes)
    }
}

impl Medium for Raw {
    fn form_factor(&self) -> FormFactor {
        FormFactor::Inch3_5
    }

    fn cylinders(&self) -> u8 {
        if self.has(Bug::TooManyCylinders) { 87 } else { 3 }
    }

    fn is_write_protected(&self) -> bool {
        self.has(Bug::WritesWhileProtected) || self.has(Bug::FormatsWhileProtected)
    }

    fn track(&self, cylinder: u8, head: u8) -> Option<Track<'_>> {
        let heads = if self.has(Bug::TrackUnderHead2) { 3 } else { 2 };
        if cylinder >= 3 || head >= heads {
            return None;
        }
        if self.interrupted && self.has(Bug::KeepsTheCrcError) && (cylinder, head) == (0, 0) {
            const DAMAGED: [Sector; SECTORS] = {
                let id = SectorId { cylinder: 0, head: 0, sector: 1, size_code: 2 };
                let mut sectors = [Sector::good(id); SECTORS];
                let mut slot = 0;
                while slot < SECTORS {
                    sectors[slot].id.sector = slot as u8 + 1;
                    sectors[slot].data_crc_error = slot == 0;
                    slot += 1;
                }
                sectors
            };
            return Some(Track::listed(DataRate::Kbps250, Encoding::Mfm, &DAMAGED));
        }
        let first = SectorId { cylinder, head, sector: 1, size_code: 2 };
        Some(Track::regular(DataRate::Kbps250, first, SECTORS as u8))
    }

    fn read(&mut self, cylinder: u8, head: u8, slot: usize, count: usize) -> Result<&[u8], MediumError> {
        if self.has(Bug::ShowsWhatCannotBeRead) && (cylinder, head, slot) == (2, 1, 8) {
            return Err(MediumError::Absent);
        }
        let range = self.range(cylinder, head, slot, count).ok_or(MediumError::Absent)?;
        self.reads += 1;
        if self.has(Bug::AnotherReadAnotherTime) {
            self.bytes[range.start] = self.reads as u8;
        }
        self.bytes.get(range).ok_or(MediumError::Absent)
    }

    fn write(
        &mut self,
        cylinder: u8,
        head: u8,
        slot: usize,
        count: usize,
        mark: Mark,
    ) -> Result<&mut [u8], MediumError> {
        let refuses = mark == Mark::Deleted && !self.has(Bug::TakesADeletedMarkForData);
        if self.is_write_protected() && !self.has(Bug::WritesWhileProtected) {
            return Err(MediumError::Unsupported);
        }
        let range = self.range(cylinder, head, slot, count).ok_or(MediumError::Absent)?;
        if refuses {
            let absent = self.has(Bug::RefusesADeletedMarkAsAbsent);
            return Err(if absent { MediumError::Absent } else { MediumError::Unsupported });
        }
        (self.written, self.interrupted) = (true, true);
        if self.has(Bug::LosesTheWrite) || self.has(Bug::WritesToACopy) {
            self.scratch = self.bytes[range.clone()].to_vec();
            if self.has(Bug::WritesToACopy) {
                self.scratch.fill(0);
            }
            return Ok(&mut self.scratch);
        }
        if self.has(Bug::SpillsIntoTheNextSector)
            && let Some(byte) = self.bytes.get_mut(range.end)
        {
            *byte = byte.wrapping_add(1);
        }
        self.bytes.get_mut(range).ok_or(MediumError::Absent)
    }

    fn finish_write(&mut self, _cylinder: u8, _head: u8, _slot: usize, _count: usize, _mark: Mark) {
        self.interrupted = self.has(Bug::KeepsTheCrcError);
    }

    fn format_track(&mut self, cylinder: u8, head: u8, format: &TrackFormat<'_>) -> Result<(), MediumError> {
        if self.is_write_protected() && !self.has(Bug::FormatsWhileProtected) {
            return Err(MediumError::Unsupported);
        }
        let range = self.range(cylinder, head, 0, SECTORS).ok_or(MediumError::Absent)?;
        let own = |(slot, &id): (usize, &SectorId)| {
            id == SectorId { cylinder, head, sector: slot as u8 + 1, size_code: 2 }
                || self.has(Bug::IgnoresTheIdsOfAFormat)
        };
        if format.ids.len() != SECTORS || !format.ids.iter().enumerate().all(own) {
            return Err(MediumError::Unsupported);
        }
        let filler = if self.has(Bug::FillsWithSomethingElse) { 0xE5 } else { format.filler };
        self.bytes[range].fill(filler);
        Ok(())
    }

    fn commit(&mut self) -> io::Result<()> {
        if self.has(Bug::FailsToCommit) { Err(io::Error::other("a failure for the test")) } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.written = self.has(Bug::StaysUnsaved);
        if self.has(Bug::LosesTheContentsInAFlush) {
            self.bytes[..SIZE].fill(0);
        }
        Ok(())
    }

    fn unsaved(&self) -> Vec<Range<u64>> {
        match self.written {
            true if self.has(Bug::UnsavedOutOfOrder) => vec![512..1024, 0..512],
            true => vec![0..512, 512..1024],
            false => Vec::new(),
        }
    }

    fn raw_image(&mut self) -> Result<Vec<u8>, MediumError> {
        let mut image = self.bytes.clone();
        if self.has(Bug::RawImageInAnotherOrder) {
            image.rotate_left(SIZE);
        }
        if self.has(Bug::RawImageTooLong) {
            image.push(0);
        }
        Ok(image)
    }
}

#[test]
fn a_medium_of_a_vm_monitor_passes() {
    let report = check_medium(&mut Raw::new(None)).unwrap();
    assert_eq!((report.sectors_written, report.formats, report.raw_image), (54, 2, true));
}

#[test]
fn each_broken_rule_of_a_medium_is_found() {
    use Bug::*;
    for (bug, rule) in [
        (PanicsOutside, MediumRule::NoPanic),
        (PanicsBehindTheTrack, MediumRule::NoPanic),
        (OverflowsInTheCount, MediumRule::NoPanic),
        (TooManyCylinders, MediumRule::Bounds),
        (TrackUnderHead2, MediumRule::Bounds),
        (ReadsBehindTheTrack, MediumRule::Bounds),
        (ShowsWhatCannotBeRead, MediumRule::Readable),
        (HalfSectors, MediumRule::WholeSectors),
        (MoreThanCount, MediumRule::WholeSectors),
        (OtherSizeThanTheId, MediumRule::WholeSectors),
        (AnotherReadAnotherTime, MediumRule::StableReads),
        (WritesToACopy, MediumRule::WriteInPlace),
        (LosesTheWrite, MediumRule::ReadBack),
        (SpillsIntoTheNextSector, MediumRule::ReadBack),
        (KeepsTheCrcError, MediumRule::Marks),
        (TakesADeletedMarkForData, MediumRule::DeletedMark),
        (RefusesADeletedMarkAsAbsent, MediumRule::DeletedMark),
        (WritesWhileProtected, MediumRule::WriteProtection),
        (FormatsWhileProtected, MediumRule::WriteProtection),
        (IgnoresTheIdsOfAFormat, MediumRule::Format),
        (FillsWithSomethingElse, MediumRule::Format),
        (FailsToCommit, MediumRule::Flush),
        (LosesTheContentsInAFlush, MediumRule::Flush),
        (StaysUnsaved, MediumRule::Flush),
        (UnsavedOutOfOrder, MediumRule::Unsaved),
        (RawImageInAnotherOrder, MediumRule::RawImage),
        (RawImageTooLong, MediumRule::RawImage),
    ] {
        let found = check_medium(&mut Raw::new(Some(bug))).map_err(|Violation { rule, .. }| rule);
        assert_eq!(found.err(), Some(rule), "{bug:?}");
    }
}

#[test]
fn a_violation_names_the_rule_and_the_place() {
    let violation = check_medium(&mut Raw::new(Some(Bug::ShowsWhatCannotBeRead))).unwrap_err();
    let text = violation.to_string();
    assert!(text.contains(&MediumRule::Readable.to_string()), "{text}");
    assert!(text.contains("cylinder 2, head 1, slot 8"), "{text}");
}

// DMA channels

/// The address of the buffer.
const BUFFER: usize = 0x1_0000;

/// Channel 2 of the library's DMA controllers, programmed through its ports.
struct At(AtDma<Vec<u8>>);

impl At {
    fn new() -> Self {
        let mut dma = AtDma::new(vec![0; 0x2_0000]);
        dma.write_port(0xD6, 0xC0); // cascade
        dma.write_port(0xD4, 0x00);
        Self(dma)
    }
}

impl DmaBench for At {
    fn channel(&mut self) -> &mut dyn DmaChannel {
        &mut self.0
    }

    fn program(&mut self, direction: DmaDirection, bytes: usize) {
        let mode = if direction == DmaDirection::ToMemory { 0x46 } else { 0x4A };
        let [low, high] = (bytes as u16 - 1).to_le_bytes();
        for (port, value) in [
            (0x0A, 0x06),
            (0x0B, mode),
            (0x0C, 0),
            (0x04, 0),
            (0x04, 0),
            (0x81, 1),
            (0x05, low),
            (0x05, high),
            (0x0A, 2),
        ] {
            assert!(self.0.write_port(port, value));
        }
    }

    fn mask(&mut self) {
        self.0.write_port(0x0A, 0x06);
    }

    fn set_memory(&mut self, data: &[u8]) {
        self.0.memory_mut()[BUFFER..][..data.len()].copy_from_slice(data);
    }

    fn memory(&mut self, bytes: usize) -> Vec<u8> {
        self.0.memory()[BUFFER..][..bytes].to_vec()
    }
}

#[test]
fn the_dma_controller_of_the_library_passes() {
    check_dma_channel(&mut At::new()).unwrap();
}

/// A mistake of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    PanicsOnNothing,
    MovesWhileMasked,
    MovesBothWays,
    SaysMoreThanOffered,
    NeverMoves,
    Reverses,
    ReversesToMemory,
    ClobbersTheSlice,
    ClobbersMemory,
    EarlyTerminalCount,
    NoTerminalCount,
    GoesOnAfterTerminalCount,
}

/// A channel as a VM monitor can implement it, with a mistake or without. It moves at most 100 bytes in a call.
struct Simple {
    memory: Vec<u8>,
    /// Direction, position and bytes left; `None` while masked.
    transfer: Option<(DmaDirection, usize, usize)>,
    wrong: Option<Wrong>,
}

impl Simple {
    fn new(wrong: Option<Wrong>) -> Self {
        Self { memory: vec![0; 8192 + 1], transfer: None, wrong }
    }

    fn has(&self, wrong: Wrong) -> bool {
        self.wrong == Some(wrong)
    }

    /// Takes part of a transfer. Returns its address in memory, and the answer.
    fn run(&mut self, direction: DmaDirection, offered: usize) -> Option<(usize, Moved)> {
        assert!(!self.has(Wrong::PanicsOnNothing) || offered > 0, "nothing offered");
        let masked = if self.has(Wrong::MovesWhileMasked) { Some((direction, 0, 64)) } else { None };
        let (programmed, start, left) = self.transfer.or(masked)?;
        let other = programmed != direction && !self.has(Wrong::MovesBothWays);
        if other || offered == 0 || self.has(Wrong::NeverMoves) {
            return None;
        }
        let bytes = offered.min(left).min(100);
        let last = bytes == left;
        let goes_on = self.has(Wrong::GoesOnAfterTerminalCount);
        self.transfer = match last {
            true if goes_on => Some((programmed, 0, 8192)),
            true => None,
            false => Some((programmed, start + bytes, left - bytes)),
        };
        let terminal_count = (last || self.has(Wrong::EarlyTerminalCount)) && !self.has(Wrong::NoTerminalCount);
        Some((start, Moved { bytes, terminal_count }))
    }

    fn answer(&self, moved: Moved, offered: usize) -> Moved {
        if self.has(Wrong::SaysMoreThanOffered) { Moved { bytes: offered + 1, ..moved } } else { moved }
    }
}

impl DmaChannel for Simple {
    fn device_to_memory(&mut self, data: &[u8]) -> Moved {
        let Some((start, moved)) = self.run(DmaDirection::ToMemory, data.len()) else { return Moved::default() };
        let place = &mut self.memory[start..][..moved.bytes];
        place.copy_from_slice(&data[..moved.bytes]);
        if self.wrong == Some(Wrong::ReversesToMemory) {
            place.reverse();
        }
        if self.has(Wrong::ClobbersMemory) {
            self.memory[start + moved.bytes] = 0;
        }
        self.answer(moved, data.len())
    }

    fn memory_to_device(&mut self, data: &mut [u8]) -> Moved {
        let Some((start, moved)) = self.run(DmaDirection::ToDevice, data.len()) else { return Moved::default() };
        data[..moved.bytes].copy_from_slice(&self.memory[start..][..moved.bytes]);
        if self.has(Wrong::Reverses) {
            data[..moved.bytes].reverse();
        }
        if self.has(Wrong::ClobbersTheSlice) {
            data[moved.bytes..].fill(0);
        }
        self.answer(moved, data.len())
    }
}

impl DmaBench for Simple {
    fn channel(&mut self) -> &mut dyn DmaChannel {
        self
    }

    fn program(&mut self, direction: DmaDirection, bytes: usize) {
        self.transfer = Some((direction, 0, bytes));
    }

    fn mask(&mut self) {
        self.transfer = None;
    }

    fn set_memory(&mut self, data: &[u8]) {
        self.memory[..data.len()].copy_from_slice(data);
    }

    fn memory(&mut self, bytes: usize) -> Vec<u8> {
        self.memory[..bytes].to_vec()
    }
}

#[test]
fn a_channel_of_a_vm_monitor_passes() {
    check_dma_channel(&mut Simple::new(None)).unwrap();
}

#[test]
fn each_broken_rule_of_a_channel_is_found() {
    use Wrong::*;
    for (wrong, rule) in [
        (PanicsOnNothing, DmaRule::NoPanic),
        (MovesWhileMasked, DmaRule::Masked),
        (MovesBothWays, DmaRule::Direction),
        (SaysMoreThanOffered, DmaRule::Offered),
        (NeverMoves, DmaRule::Progress),
        (Reverses, DmaRule::Order),
        (ReversesToMemory, DmaRule::Order),
        (ClobbersTheSlice, DmaRule::Rest),
        (ClobbersMemory, DmaRule::Rest),
        (EarlyTerminalCount, DmaRule::TerminalCount),
        (NoTerminalCount, DmaRule::TerminalCount),
        (GoesOnAfterTerminalCount, DmaRule::AfterTerminalCount),
    ] {
        let found = check_dma_channel(&mut Simple::new(Some(wrong))).map_err(|Violation { rule, .. }| rule);
        assert_eq!(found.err(), Some(rule), "{wrong:?}");
    }
}
