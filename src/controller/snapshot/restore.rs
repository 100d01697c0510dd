//! From the saved state to the live structs: the only validation of a state, which names the field that is wrong.

use std::time::Duration;

use super::v1::{
    ConfigStateV1, ControllerStateV1, ExecutionStateV1, FifoStateV1, MechanicsStateV1, MediumIdStateV1,
    OperationStateV1, PhaseStateV1, ProgressStateV1, RegistersStateV1, ScheduleStateV1, SeekEndStateV1, SeekStateV1,
    SettingsStateV1, UnitStateV1,
};
use crate::{
    controller::{
        chip::Chip,
        command::{self, Action, DataAction, MAX_COMMAND, MAX_RESULT},
        config::{Config, Delays, Timing},
        data::{
            Counts, DataCommand, State, Status,
            format::{FormatIds, MAX_ID_BYTES},
            operation::{Operation, SectorAction},
            run::{MAX_SIZE_CODE, Run},
            schedule::Schedule,
        },
        fifo::{Fifo, FifoSize, Pacing},
        mechanics::Mechanics,
        phase::{CommandPhase, Ending, Phase, ResultPhase},
        register_file::{Activity, RegisterFile},
        registers::{configure, perpendicular, st0, tdr},
        seek::{Purpose, Seek, SeekEnd},
        settings::{Settings, Specify},
        time::{MILLISECOND, Nanoseconds, REVOLUTION},
    },
    drive::{DriveStateV1, MediumId, StepDirection},
    media::DataRate,
    saved_state::InvalidField,
};

/// The clock goes on at the same place in its second.
pub(super) const SECOND: Nanoseconds = 1_000 * MILLISECOND;

/// The clock of a restored controller, but for its phase. Moments up to an hour back are on it.
pub(super) const EPOCH: i64 = 3_600 * SECOND as i64;

/// No deadline is farther off.
const FARTHEST: u64 = 20 * SECOND;

/// The longest time between two steps: SRT = 0 at 250 kb/s.
const LONGEST_STEP: u64 = 32 * MILLISECOND;

/// Returns `value` if `valid` holds, and the error for `field` otherwise.
fn check<T>(field: &str, value: T, valid: bool, reason: &str) -> Result<T, InvalidField> {
    if valid { Ok(value) } else { Err(InvalidField::new(field, reason)) }
}

/// Returns a number if it is at most `limit`.
fn at_most<T: PartialOrd + std::fmt::Display + Copy>(field: &str, value: T, limit: T) -> Result<T, InvalidField> {
    check(field, value, value <= limit, &format!("{value} is above {limit}"))
}

/// Returns a deadline on the clock of the chip.
fn deadline(field: &str, now: Nanoseconds, remaining: u64) -> Result<Nanoseconds, InvalidField> {
    Ok(now + at_most(field, remaining, FARTHEST)?)
}

/// Restores the chip without its drives, and returns their states.
///
/// # Errors
///
/// The field that no controller can have so.
pub(in crate::controller) fn restore(
    state: ControllerStateV1,
) -> Result<(Chip, [Option<DriveStateV1>; 4]), InvalidField> {
    let ControllerStateV1 { base: _, config, registers, settings, units, mechanics, clock_phase, phase, drives } =
        state;
    let config = restore_config(config).map_err(|error| error.within("config"))?;
    let timing = config.timing;
    let mut chip = Chip::new([const { None }; 4], config);
    chip.interface.now =
        EPOCH as u64 + u64::from(check("clock_phase", clock_phase, u64::from(clock_phase) < SECOND, "1 s or more")?);
    chip.interface.registers = restore_registers(registers).map_err(|error| error.within("registers"))?;
    chip.settings = restore_settings(settings).map_err(|error| error.within("settings"))?;
    chip.interface.mechanics = match (mechanics, timing) {
        (None, Timing::Immediate) => None,
        (Some(mechanics), Timing::Authentic) => {
            Some(restore_mechanics(mechanics, chip.interface.now).map_err(|error| error.within("mechanics"))?)
        }
        _ => return Err(InvalidField::new("mechanics", "not in agreement with config.timing")),
    };
    for (number, unit) in units.into_iter().enumerate() {
        let UnitStateV1 { cylinder, ready_change, unsensed, seek } = unit;
        let seek = restore_unit(number as u8, unsensed, seek, &chip);
        let seeks = &mut chip.interface.seeks;
        seeks.seeks[number] = seek.map_err(|error| error.within(format!("units[{number}]")))?;
        seeks.cylinders[number] = cylinder;
        if let Some(st0) = unsensed {
            seeks.unsensed.set(number as u8, st0);
        }
        seeks.ready_changes |= u8::from(ready_change) << number;
    }
    restore_phase(&mut chip, phase).map_err(|error| error.within("phase"))?;
    Ok((chip, drives))
}

fn restore_config(state: ConfigStateV1) -> Result<Config, InvalidField> {
    let ConfigStateV1 {
        mode,
        empty_drive,
        timing,
        scan_commands,
        end_delay,
        command_delay,
        transfer_delay,
        fifo_after_overrun,
    } = state;
    let delays = Delays {
        command: at_most("command_delay", command_delay, Delays::LONGEST)?,
        transfer: at_most("transfer_delay", transfer_delay, Delays::LONGEST)?,
    };
    Ok(Config { mode, empty_drive, timing, scan_commands, end_delay, delays, fifo_after_overrun })
}

fn direction(step_in: bool) -> StepDirection {
    if step_in { StepDirection::In } else { StepDirection::Out }
}

fn restore_registers(state: RegistersStateV1) -> Result<RegisterFile, InvalidField> {
    let RegistersStateV1 {
        digital_output,
        tape_drive,
        data_rate,
        no_precompensation,
        step,
        read_data,
        write_data,
        read_toggle,
        write_toggle,
        step_in,
        head_select,
    } = state;
    Ok(RegisterFile {
        digital_output,
        tape_drive: at_most("tape_drive", tape_drive, tdr::TAPE_SELECT)?,
        rate: data_rate,
        no_precompensation,
        activity: Activity { step, read_data, write_data, read_toggle, write_toggle },
        direction: direction(step_in),
        head_select: at_most("head_select", head_select, 1)?,
    })
}

fn restore_settings(state: SettingsStateV1) -> Result<Settings, InvalidField> {
    let SettingsStateV1 { specify, configure, precompensation_start, lock, perpendicular, last_track_length } = state;
    Ok(Settings {
        specify: Specify(specify),
        configure: at_most("configure", configure, configure::ALL)?,
        precompensation_start,
        lock,
        perpendicular: at_most("perpendicular", perpendicular, perpendicular::DRIVES | perpendicular::GAP_AND_GATE)?,
        last_track_length,
    })
}

fn restore_mechanics(state: MechanicsStateV1, now: Nanoseconds) -> Result<Mechanics, InvalidField> {
    let MechanicsStateV1 { poll_in, head_settled_in, at_speed_in, head_unloaded_in, slowing_for } = state;
    let mut mechanics = Mechanics {
        poll_due: poll_in.map(|remaining| deadline("poll_in", now, remaining)).transpose()?,
        head_unloaded_at: deadline("head_unloaded_in", now, head_unloaded_in)?,
        ..Mechanics::default()
    };
    for drive in 0..4 {
        mechanics.head_settled_at[drive] = deadline("head_settled_in", now, head_settled_in[drive])?;
        mechanics.at_speed_at[drive] = deadline("at_speed_in", now, at_speed_in[drive])?;
        if let Some(span) = slowing_for[drive] {
            mechanics.slowing_since[drive] = Some(now - at_most("slowing_for", span, SECOND)?);
        }
    }
    Ok(mechanics)
}

fn restore_unit(
    number: u8,
    unsensed: Option<u8>,
    seek: Option<SeekStateV1>,
    chip: &Chip,
) -> Result<Option<Seek>, InvalidField> {
    check("unsensed", (), unsensed.is_none_or(|st0| st0 & 0b111 == number), "names another unit")?;
    let timed = chip.interface.mechanics.is_some();
    check("seek", (), seek.is_none_or(|seek| (seek.steps > 0) == timed), "not in agreement with config.timing")?;
    seek.map(|seek| restore_seek(seek, chip.interface.now).map_err(|error| error.within("seek"))).transpose()
}

fn restore_seek(state: SeekStateV1, now: Nanoseconds) -> Result<Seek, InvalidField> {
    let SeekStateV1 { drive, step_in, steps, due_in, interval, end } = state;
    Ok(Seek {
        drive: at_most("drive", drive, 3)?,
        direction: direction(step_in),
        steps,
        interval: at_most("interval", interval, if steps > 0 { LONGEST_STEP } else { Delays::LONGEST })?,
        due: now + at_most("due_in", due_in, interval)?,
        purpose: match end {
            None => Purpose::Implied,
            Some(SeekEndStateV1 { cylinder, st0, needs_track_0 }) => {
                check("end.st0", (), st0 & 0b1111 == 0, "names a unit or a head")?;
                Purpose::Command(SeekEnd { cylinder, st0, needs_track_0 })
            }
        },
    })
}

fn restore_phase(chip: &mut Chip, state: PhaseStateV1) -> Result<(), InvalidField> {
    chip.dialogue.phase = match state {
        PhaseStateV1::Idle => Phase::Idle,
        PhaseStateV1::Stopped => Phase::Stopped,
        PhaseStateV1::Command { bytes } => {
            let command = command::decode(
                *bytes.first().ok_or_else(|| InvalidField::new("bytes", "none"))?,
                chip.config.scan_commands,
            );
            check("bytes", (), bytes.len() < command.length(), "more than the command is waiting for")?;
            chip.dialogue.command[..bytes.len()].copy_from_slice(&bytes);
            Phase::Command(CommandPhase { command, received: bytes.len() as u32 })
        }
        PhaseStateV1::Ending { command: bytes, result, sectors, bytes: moved, limit_met, due_in } => {
            let action = restore_command(chip, &bytes).map_err(|error| error.within("ending"))?;
            let command = DataCommand::new(action, &chip.dialogue.command, DataRate::Kbps250, false, None);
            Phase::Ending(Ending {
                result,
                direction: command.direction(),
                counts: Counts { sectors, bytes: moved, limit_met },
                due: chip.interface.now + at_most("ending.due_in", due_in, Delays::LONGEST)?,
            })
        }
        PhaseStateV1::Result { bytes, interrupts } => {
            check("bytes", (), (1..=MAX_RESULT).contains(&bytes.len()), "not 1 to 10")?;
            chip.dialogue.result[..bytes.len()].copy_from_slice(&bytes);
            Phase::Result(ResultPhase { length: bytes.len() as u32, fetched: 0, interrupts })
        }
        PhaseStateV1::Execution(state) => {
            Phase::Execution(restore_execution(chip, *state).map_err(|error| error.within("execution"))?)
        }
    };
    if matches!(chip.dialogue.phase, Phase::Stopped) || chip.interface.registers.is_running() {
        Ok(())
    } else {
        Err(InvalidField::new("", "not Stopped, though the DOR holds the chip in reset"))
    }
}

fn restore_execution(chip: &mut Chip, state: ExecutionStateV1) -> Result<DataCommand, InvalidField> {
    let ExecutionStateV1 {
        command: bytes,
        rate,
        head,
        id,
        progress,
        st0,
        st1,
        st2,
        sectors,
        bytes: moved,
        limit_met,
        medium,
        operation,
        fifo,
        waited,
        schedule,
    } = state;
    let action = restore_command(chip, &bytes)?;
    let schedule = restore_schedule(schedule, chip)?;
    let mut command = DataCommand::new(action, &chip.dialogue.command, rate, false, schedule);
    let size_code = command.id.size_code;
    restore_operation(chip, &mut command.operation, operation).map_err(|error| error.within("operation"))?;
    command.head = at_most("head", head, 1)?;
    command.status =
        Status { st0: check("st0", st0, st0 & !(st0::ABNORMAL | st0::SEEK_END) == 0, "neither IC nor SE")?, st1, st2 };
    command.counts = Counts { sectors, bytes: moved, limit_met };
    command.medium = medium.map(restore_medium_id).transpose().map_err(|error| error.within("medium"))?;
    command.id = match command.operation {
        Operation::ReadId | Operation::Format(_) => id,
        _ => check("id.size_code", id, id.size_code == size_code, "not N of the command")?,
    };
    command.state = restore_progress(&command, progress).map_err(|error| error.within("progress"))?;
    chip.data_path.fifo = restore_fifo(chip, fifo).map_err(|error| error.within("fifo"))?;
    chip.data_path.waited = Duration::from_nanos(at_most("waited", waited, REVOLUTION)?);
    Ok(command)
}

/// Restores the bytes of the command phase of a data command.
fn restore_command(chip: &mut Chip, bytes: &[u8]) -> Result<DataAction, InvalidField> {
    let opcode = bytes.first().ok_or_else(|| InvalidField::new("command", "no bytes"))?;
    let row = command::decode(*opcode, chip.config.scan_commands);
    check("command", (), bytes.len() == row.length() && bytes.len() <= MAX_COMMAND, "not all bytes of one command")?;
    chip.dialogue.command[..bytes.len()].copy_from_slice(bytes);
    match row.action {
        Action::Data(action) => Ok(action),
        _ => Err(InvalidField::new("command", "no data command")),
    }
}

fn restore_medium_id(state: MediumIdStateV1) -> Result<MediumId, InvalidField> {
    let MediumIdStateV1 { drive, media_count } = state;
    let drive = at_most("drive", drive, 3)?;
    Ok(MediumId::new(drive, check("media_count", media_count, media_count < MediumId::COUNT_LIMIT, "2^55 or more")?))
}

fn restore_schedule(state: Option<ScheduleStateV1>, chip: &Chip) -> Result<Option<Schedule>, InvalidField> {
    let Some(state) = state.filter(|_| chip.interface.mechanics.is_some()) else {
        let agrees = state.is_none() && chip.interface.mechanics.is_none();
        return check("schedule", None, agrees, "not in agreement with config.timing");
    };
    let ScheduleStateV1 { due_in, data_start_in, host_is_served, index_awaited, spindle_stopped } = state;
    let moment = |field: &str, span: i64| {
        let valid = (-EPOCH..=FARTHEST as i64).contains(&span);
        check(field, chip.interface.now.saturating_add_signed(span), valid, "more than an hour back, or 20 s off")
    };
    let (due, data_start) = (moment("schedule.due_in", due_in)?, moment("schedule.data_start_in", data_start_in)?);
    Ok(Some(Schedule { due, data_start, host_is_served, index_awaited, spindle_stopped }))
}

fn restore_operation(chip: &mut Chip, live: &mut Operation, state: OperationStateV1) -> Result<(), InvalidField> {
    match (live, state) {
        (Operation::ReadTrack(read), OperationStateV1::ReadTrack { sectors_read }) => {
            read.sectors_read = at_most("sectors_read", sectors_read, 256)?;
        }
        (Operation::Format(format), OperationStateV1::Format { ids, wanted }) => {
            let received = at_most("ids", ids.len(), MAX_ID_BYTES)?;
            chip.data_path.format_ids = FormatIds::default();
            chip.data_path.format_ids.0[..received].copy_from_slice(&ids);
            format.received = received as u16;
            format.wanted = wanted.map(|wanted| at_most("wanted", wanted, MAX_ID_BYTES as u16)).transpose()?;
        }
        (Operation::ReadId, OperationStateV1::Other) => {}
        (Operation::Sectors(command), state) => match (&mut command.action, state) {
            (SectorAction::Verify(verify), OperationStateV1::Verify { remaining }) if verify.remaining.is_some() => {
                verify.remaining = Some(at_most("remaining", remaining, 256)?);
            }
            (SectorAction::Verify(verify), OperationStateV1::Other) if verify.remaining.is_none() => {}
            (SectorAction::Scan(scan), OperationStateV1::Scan { lower, higher, satisfied }) => {
                (scan.lower, scan.higher, scan.satisfied) = (lower, higher, satisfied);
            }
            (SectorAction::Read { .. } | SectorAction::Write(_), OperationStateV1::Other) => {}
            _ => return Err(InvalidField::new("", "of another command")),
        },
        _ => return Err(InvalidField::new("", "of another command")),
    }
    Ok(())
}

fn restore_progress(command: &DataCommand, state: ProgressStateV1) -> Result<State, InvalidField> {
    let verifies_none = matches!(&command.operation, Operation::Sectors(command)
        if matches!(&command.action, SectorAction::Verify(verify) if verify.remaining == Some(0)));
    check("", (), !verifies_none || state == ProgressStateV1::Ended, "VERIFY has verified all sectors")?;
    let ProgressStateV1::Transferring { slot, sectors, offset, other_mark, bad_data } = state else {
        return Ok(if state == ProgressStateV1::Ended { State::Ended } else { State::Searching });
    };
    let size = command.bytes_of_a_sector().ok_or_else(|| InvalidField::new("", "the command transfers no sectors"))?;
    check("", (), command.id.size_code <= MAX_SIZE_CODE, "no sector has this size")?;
    let run = Run {
        slot: at_most("slot", slot, 255)?,
        sectors: check("sectors", sectors, (1..=512).contains(&sectors), "not 1 to 512")?,
        offset: check(
            "offset",
            offset,
            usize::from(offset) < size,
            "beyond the bytes of a sector that are transferred",
        )?,
        other_mark,
        bad_data,
    };
    let alone = command.schedule.is_some() || command.id.size_code == 0 || other_mark || bad_data;
    check("sectors", (), sectors == 1 || !alone, "more than 1 sector in a run of one")?;
    Ok(State::Transferring(run))
}

fn restore_fifo(chip: &Chip, state: FifoStateV1) -> Result<Fifo, InvalidField> {
    let FifoStateV1 { bytes, request_left, wanted, requesting } = state;
    let pacing = match chip.interface.mechanics {
        None => Pacing::Immediate,
        Some(_) => Pacing::Rotating { requesting },
    };
    let mut fifo = Fifo::new(FifoSize { threshold: chip.settings.fifo_threshold() }, pacing);
    fifo.end = at_most("bytes", bytes.len(), Fifo::DEPTH)?;
    fifo.bytes[..bytes.len()].copy_from_slice(&bytes);
    let valid = (1..=fifo.size.request_size()).contains(&request_left.into());
    fifo.request_left = check("request_left", request_left, valid, "not 1 to the bytes of a request")?.into();
    fifo.wanted = at_most("wanted", wanted, 1 << 14)?.into();
    Ok(fifo)
}
