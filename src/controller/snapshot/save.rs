//! From the live structs to the saved state. Every field of the live structs is named here, so that a new one cannot be
//! forgotten.

use super::{
    restore::{EPOCH, SECOND},
    v1::{
        ConfigStateV1, ControllerStateV1, ExecutionStateV1, FifoStateV1, MechanicsStateV1, MediumIdStateV1,
        OperationStateV1, PhaseStateV1, ProgressStateV1, RegistersStateV1, ScheduleStateV1, SeekEndStateV1,
        SeekStateV1, SettingsStateV1, UnitStateV1,
    },
};
use crate::{
    controller::{
        chip::Chip,
        command,
        config::Config,
        data::{
            Counts, DataCommand, State, Status,
            operation::{Operation, SectorAction},
            run::Run,
            schedule::Schedule,
        },
        fifo::{Fifo, Pacing},
        mechanics::Mechanics,
        phase::{CommandPhase, Ending, Phase, ResultPhase},
        register_file::{Activity, RegisterFile},
        seek::{Purpose, Seek, SeekControl, SeekEnd},
        settings::Settings,
        time::Nanoseconds,
    },
    drive::{DriveStateV1, StepDirection},
};

/// Saves the chip, with the states of its drives.
pub(in crate::controller) fn save(chip: &Chip, base: u16, drives: [Option<DriveStateV1>; 4]) -> ControllerStateV1 {
    let Config { mode, empty_drive, timing, scan_commands, end_delay, delays, fifo_after_overrun } = chip.config;
    let Settings { specify, configure, precompensation_start, lock, perpendicular, last_track_length } =
        chip.settings.clone();
    let now = chip.interface.now;
    let until = |moment: Nanoseconds| moment.saturating_sub(now);
    ControllerStateV1 {
        base,
        config: ConfigStateV1 {
            mode,
            empty_drive,
            timing,
            scan_commands,
            end_delay,
            command_delay: delays.command,
            transfer_delay: delays.transfer,
            fifo_after_overrun,
        },
        registers: save_registers(&chip.interface.registers),
        settings: SettingsStateV1 {
            specify: specify.0,
            configure,
            precompensation_start,
            lock,
            perpendicular,
            last_track_length,
        },
        units: save_units(&chip.interface.seeks, now),
        mechanics: chip.interface.mechanics.as_ref().map(|mechanics| {
            let Mechanics { poll_due, head_settled_at, at_speed_at, head_unloaded_at, slowing_since } = mechanics;
            let slowing_for = |since: Option<Nanoseconds>| since.map(|since| now - since).filter(|&span| span < SECOND);
            MechanicsStateV1 {
                poll_in: poll_due.map(until),
                head_settled_in: head_settled_at.map(until),
                at_speed_in: at_speed_at.map(until),
                head_unloaded_in: until(*head_unloaded_at),
                slowing_for: slowing_since.map(slowing_for),
            }
        }),
        clock_phase: (now % SECOND) as u32,
        phase: match &chip.dialogue.phase {
            Phase::Idle => PhaseStateV1::Idle,
            Phase::Stopped => PhaseStateV1::Stopped,
            Phase::Command(CommandPhase { received, .. }) => {
                PhaseStateV1::Command { bytes: chip.dialogue.command[..*received as usize].to_vec() }
            }
            Phase::Result(ResultPhase { length, fetched, interrupts }) => PhaseStateV1::Result {
                bytes: chip.dialogue.result[*fetched as usize..*length as usize].to_vec(),
                interrupts: *interrupts && *fetched == 0,
            },
            Phase::Ending(Ending { result, direction: _, counts, due }) => PhaseStateV1::Ending {
                command: command_bytes(chip),
                result: *result,
                sectors: counts.sectors,
                bytes: counts.bytes,
                limit_met: counts.limit_met,
                due_in: until(*due),
            },
            Phase::Execution(command) => PhaseStateV1::Execution(Box::new(save_execution(chip, command))),
        },
        drives,
    }
}

fn save_registers(registers: &RegisterFile) -> RegistersStateV1 {
    let RegisterFile { digital_output, tape_drive, rate, no_precompensation, activity, direction, head_select } =
        registers.clone();
    let Activity { step, read_data, write_data, read_toggle, write_toggle } = activity;
    RegistersStateV1 {
        digital_output,
        tape_drive,
        data_rate: rate,
        no_precompensation,
        step,
        read_data,
        write_data,
        read_toggle,
        write_toggle,
        step_in: direction == StepDirection::In,
        head_select,
    }
}

fn save_units(seeks: &SeekControl, now: Nanoseconds) -> [UnitStateV1; 4] {
    let SeekControl { cylinders, seeks, unsensed, ready_changes } = seeks;
    std::array::from_fn(|unit| {
        let seek = seeks[unit].map(|Seek { drive, direction, steps, due, interval, purpose }| SeekStateV1 {
            drive,
            step_in: direction == StepDirection::In,
            steps,
            due_in: due.saturating_sub(now),
            interval,
            end: match purpose {
                Purpose::Implied => None,
                Purpose::Command(SeekEnd { cylinder, st0, needs_track_0 }) => {
                    Some(SeekEndStateV1 { cylinder, st0, needs_track_0 })
                }
            },
        });
        UnitStateV1 {
            cylinder: cylinders[unit],
            ready_change: ready_changes & 1 << unit != 0,
            unsensed: unsensed.get(unit as u8),
            seek,
        }
    })
}

/// Returns the bytes of the command phase of the command under way.
fn command_bytes(chip: &Chip) -> Vec<u8> {
    let length = command::decode(chip.dialogue.command[0], chip.config.scan_commands).length();
    chip.dialogue.command[..length].to_vec()
}

fn save_execution(chip: &Chip, command: &DataCommand) -> ExecutionStateV1 {
    let DataCommand { operation, recording, unit: _, head, id, state, status, counts, activity: _, medium, schedule } =
        command;
    let Status { st0, st1, st2 } = *status;
    let Counts { sectors, bytes, limit_met } = *counts;
    let Fifo { bytes: fifo, start, end, request_left, wanted, size: _, pacing } = &chip.data_path.fifo;
    ExecutionStateV1 {
        command: command_bytes(chip),
        rate: recording.rate,
        head: *head,
        id: *id,
        progress: match *state {
            State::Searching => ProgressStateV1::Searching,
            State::Ended => ProgressStateV1::Ended,
            State::Transferring(Run { slot, sectors, offset, other_mark, bad_data }) => {
                ProgressStateV1::Transferring { slot, sectors, offset, other_mark, bad_data }
            }
        },
        st0,
        st1,
        st2,
        sectors,
        bytes,
        limit_met,
        medium: medium.map(|id| MediumIdStateV1 { drive: id.drive(), media_count: id.count() }),
        operation: match operation {
            Operation::ReadId => OperationStateV1::Other,
            Operation::ReadTrack(read) => OperationStateV1::ReadTrack { sectors_read: read.sectors_read },
            Operation::Format(format) => OperationStateV1::Format {
                ids: chip.data_path.format_ids.0[..format.received.into()].to_vec(),
                wanted: format.wanted,
            },
            Operation::Sectors(command) => match &command.action {
                SectorAction::Read { .. } | SectorAction::Write(_) => OperationStateV1::Other,
                SectorAction::Verify(verify) => match verify.remaining {
                    None => OperationStateV1::Other,
                    Some(remaining) => OperationStateV1::Verify { remaining },
                },
                SectorAction::Scan(scan) => {
                    OperationStateV1::Scan { lower: scan.lower, higher: scan.higher, satisfied: scan.satisfied }
                }
            },
        },
        fifo: FifoStateV1 {
            bytes: fifo[*start..*end].to_vec(),
            request_left: *request_left as u8,
            wanted: *wanted as u16,
            requesting: matches!(pacing, Pacing::Rotating { requesting: true }),
        },
        waited: chip.data_path.waited.as_nanos() as u64,
        schedule: schedule.map(|schedule| {
            let Schedule { due, data_start, host_is_served, index_awaited, spindle_stopped } = schedule;
            let until = |moment: Nanoseconds| (moment as i64).saturating_sub(chip.interface.now as i64).max(-EPOCH);
            ScheduleStateV1 {
                due_in: until(due),
                data_start_in: until(data_start),
                host_is_served,
                index_awaited,
                spindle_stopped,
            }
        }),
    }
}
