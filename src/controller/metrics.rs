//! What became of the commands, for VM monitors that count them or log them.

use std::{
    fmt,
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use log::{Level, debug, log_enabled, trace};

use super::{
    command::{Action, Command, DataAction, Direction, MAX_COMMAND, Parameter, TransferKind},
    data::Counts,
    registers::{st0, st1},
};
use crate::{
    drive::{FloppyDrives, MediaEvent},
    media::Mark,
};

/// A command that has ended, or, if it has no result, one that has been carried out: a SEEK then is under way.
///
/// It prints as the data sheet names its bytes, HDS and DS in decimal and all others in hex:
///
/// ```text
/// READ DATA HDS=0 DS=0 C=00 H=00 R=01 N=02 EOT=12 GPL=1B DTL=FF -> ST0=00 ST1=00 ST2=00 C=00 H=00 R=02 N=02
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CommandCompletion<'a> {
    /// The name in the data sheet.
    pub name: &'static str,
    /// The command byte and its parameters.
    pub command: &'a [u8],
    /// The bytes of the result phase; none for SPECIFY, CONFIGURE, PERPENDICULAR MODE and the commands that move a head.
    pub result: &'a [u8],
    /// The drive that the command names by DS1 and DS0, 0 to 3.
    pub drive: Option<u8>,
    /// Sectors that were transferred whole, or formatted.
    pub sectors: u32,
    /// Bytes that went from the disk to the host.
    pub bytes_read: u32,
    /// Bytes that went from the host to the disk, or were compared with it.
    pub bytes_written: u32,
    /// The limit of the medium that the command met, and failed by (ST1.NW).
    pub limit: Option<MediumLimit>,
    parameters: &'static [Parameter],
    result_names: &'static [&'static str],
}

impl CommandCompletion<'_> {
    /// Returns ST0, ST1 and ST2 of a data command (§5).
    #[must_use]
    pub fn status(&self) -> Option<[u8; 3]> {
        match *self.result {
            [st0, st1, st2, _, _, _, _] => Some([st0, st1, st2]),
            _ => None,
        }
    }

    /// Returns whether the command ended with IC other than 00, or is invalid.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.status().map_or(self.result == [st0::INVALID], |[status, ..]| status & 0xC0 != 0)
    }
}

impl fmt::Display for CommandCompletion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        let bytes = self.command.iter().skip(1);
        self.parameters.iter().zip(bytes).try_for_each(|(parameter, &byte)| parameter.write(f, byte))?;
        if !self.result.is_empty() {
            f.write_str(" ->")?;
        }
        self.result_names.iter().zip(self.result).try_for_each(|(name, byte)| write!(f, " {name}={byte:02X}"))
    }
}

/// What a medium cannot hold, though a real disk could.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MediumLimit {
    /// Deleted data marks: a raw image has normal ones only.
    DeletedMark,
    /// A track of this format: a raw image has the one of its geometry on all of its tracks.
    TrackFormat,
    /// A data field of this size, behind the other data of the track.
    FieldSize,
}

impl fmt::Display for MediumLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DeletedMark => "the medium cannot hold deleted data marks",
            Self::TrackFormat => "the medium cannot hold a track of this format",
            Self::FieldSize => "the track has no room for a data field of this size",
        })
    }
}

/// A receiver of metrics. All methods do nothing unless they are implemented.
///
/// It is implemented for closures that take a [`CommandCompletion`]. The methods are called from within an access of the
/// guest, or [`Controller::advance`](crate::Controller::advance), and must not call back into the controller.
pub trait Metrics: Send {
    /// Takes a command that has ended.
    fn command_completed(&mut self, command: &CommandCompletion<'_>) {
        let _ = command;
    }
}

impl<F: FnMut(&CommandCompletion<'_>) + Send> Metrics for F {
    fn command_completed(&mut self, command: &CommandCompletion<'_>) {
        self(command);
    }
}

/// The receivers of metrics, and the log.
#[derive(Default)]
pub(super) struct Tracer {
    receivers: Vec<Box<dyn Metrics>>,
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer").field("receivers", &self.receivers.len()).finish()
    }
}

impl Tracer {
    pub(super) fn add(&mut self, metrics: Box<dyn Metrics>) {
        self.receivers.push(metrics);
    }

    /// Returns whether anybody wants to know of commands.
    #[inline]
    pub(super) fn is_active(&self) -> bool {
        !self.receivers.is_empty() || log_enabled!(Level::Trace)
    }

    /// Reports a command that has ended. `bytes` begins with those of its command phase.
    #[cold]
    pub(super) fn completed(
        &mut self,
        command: &Command,
        direction: Option<Direction>,
        bytes: &[u8; MAX_COMMAND],
        result: &[u8],
        counts: Counts,
    ) {
        let bytes = &bytes[..command.length()];
        let moved = |wanted| if direction == Some(wanted) { counts.bytes } else { 0 };
        let completion = CommandCompletion {
            name: command.name,
            command: bytes,
            result,
            drive: command.unit(bytes),
            sectors: counts.sectors,
            bytes_read: moved(Direction::ToHost),
            bytes_written: moved(Direction::FromHost),
            limit: counts.limit_met.then_some(match command.action {
                Action::Data(DataAction::FormatTrack) => MediumLimit::TrackFormat,
                Action::Data(DataAction::Transfer(TransferKind::Write(Mark::Deleted))) => MediumLimit::DeletedMark,
                _ => MediumLimit::FieldSize,
            }),
            parameters: command.parameters,
            result_names: command.results,
        };
        trace!("{completion}");
        if let Some(limit) = completion.limit {
            debug!("{}: {limit}", command.name);
        }
        for receiver in &mut self.receivers {
            receiver.command_completed(&completion);
        }
    }
}

/// Counts what the drives do. Clones share the counters, which any thread can read.
///
/// ```
/// use vm_fdc::{Controller, WriteRegister, controller::Counters, drive::DriveType};
///
/// let mut fdc = Controller::builder().drive(0, DriveType::Inch3_5Hd).build()?;
/// let counters = Counters::default();
/// fdc.add_metrics(counters.clone());
/// counters.count_media_of(&fdc.drives());
/// fdc.write(WriteRegister::DigitalOutput, 0x0C);
/// fdc.write(WriteRegister::Fifo, 0x10); // VERSION
/// assert_eq!(counters.of_no_drive().commands, 1);
/// # Ok::<(), vm_fdc::BuildError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Counters(Arc<[DriveCounters; 5]>);

/// The statistics of a drive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Commands that named the drive.
    pub commands: u64,
    /// Commands that failed.
    pub failures: u64,
    /// Commands that failed because the host was late (ST1.OR).
    pub overruns: u64,
    /// Sectors that were transferred whole, or formatted.
    pub sectors: u64,
    /// Bytes that went from the disk to the host.
    pub bytes_read: u64,
    /// Bytes that went from the host to the disk.
    pub bytes_written: u64,
    /// By bit of ST1, bit 0 first: commands that ended with it.
    pub st1: [u64; 8],
    /// By bit of ST2.
    pub st2: [u64; 8],
    /// Commands that met a limit of the medium ([`CommandCompletion::limit`]).
    pub limits: u64,
    /// Media that were inserted.
    pub inserted: u64,
    /// Media that were ejected.
    pub ejected: u64,
}

/// The counters behind [`Statistics`], in the same order.
#[derive(Debug, Default)]
struct DriveCounters {
    commands: AtomicU64,
    failures: AtomicU64,
    overruns: AtomicU64,
    sectors: AtomicU64,
    bytes_read: AtomicU64,
    bytes_written: AtomicU64,
    st1: [AtomicU64; 8],
    st2: [AtomicU64; 8],
    limits: AtomicU64,
    inserted: AtomicU64,
    ejected: AtomicU64,
}

impl DriveCounters {
    fn read(&self) -> Statistics {
        let bits = |counters: &[AtomicU64; 8]| counters.each_ref().map(|counter| counter.load(Relaxed));
        Statistics {
            commands: self.commands.load(Relaxed),
            failures: self.failures.load(Relaxed),
            overruns: self.overruns.load(Relaxed),
            sectors: self.sectors.load(Relaxed),
            bytes_read: self.bytes_read.load(Relaxed),
            bytes_written: self.bytes_written.load(Relaxed),
            st1: bits(&self.st1),
            st2: bits(&self.st2),
            limits: self.limits.load(Relaxed),
            inserted: self.inserted.load(Relaxed),
            ejected: self.ejected.load(Relaxed),
        }
    }
}

fn add(counter: &AtomicU64, count: impl Into<u64>) {
    counter.fetch_add(count.into(), Relaxed);
}

impl Counters {
    /// Returns the statistics of drive `number`: zeros for one that there is not.
    #[must_use]
    pub fn of_drive(&self, number: u8) -> Statistics {
        self.0.get(usize::from(number)).map_or_else(Statistics::default, DriveCounters::read)
    }

    /// Returns the statistics of commands that name no drive.
    #[must_use]
    pub fn of_no_drive(&self) -> Statistics {
        self.0[4].read()
    }

    /// Counts the media that go into these drives and out of them from now on.
    pub fn count_media_of(&self, drives: &FloppyDrives) {
        for drive in drives.iter() {
            let (counters, number) = (Arc::clone(&self.0), usize::from(drive.drive_number()));
            drive.observe(move |event: &MediaEvent| {
                match event {
                    MediaEvent::Inserted { .. } => add(&counters[number].inserted, 1u8),
                    MediaEvent::Ejected { .. } => add(&counters[number].ejected, 1u8),
                    MediaEvent::Reformatted { .. } => {}
                }
                ControlFlow::Continue(())
            });
        }
    }
}

impl Metrics for Counters {
    fn command_completed(&mut self, command: &CommandCompletion<'_>) {
        let counters = &self.0[command.drive.map_or(4, |drive| usize::from(drive & 3))];
        add(&counters.commands, 1u8);
        add(&counters.failures, command.failed());
        add(&counters.limits, command.limit.is_some());
        add(&counters.sectors, command.sectors);
        add(&counters.bytes_read, command.bytes_read);
        add(&counters.bytes_written, command.bytes_written);
        if let Some([_, status_1, status_2]) = command.status() {
            add(&counters.overruns, status_1 & st1::OVERRUN != 0);
            for bit in 0..8 {
                add(&counters.st1[bit], status_1 >> bit & 1);
                add(&counters.st2[bit], status_2 >> bit & 1);
            }
        }
    }
}
