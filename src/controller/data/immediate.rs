//! The driver without time: a command goes on for as long as the host keeps up.

use super::{DataCommand, RunOutcome, State, format::FormatIds, locate, operation::Operation, sectors};
use crate::{
    controller::{fifo::HostPort, registers::st1},
    drive::Head,
};

/// Lets a command go on for as long as the host keeps up. The work is bounded by the sectors of two heads.
#[inline]
pub(in crate::controller) fn run(
    command: &mut DataCommand,
    head: Option<&mut Head<'_>>,
    port: &mut impl HostPort,
    ids: &mut FormatIds,
) -> RunOutcome {
    if command.state == State::Ended {
        return RunOutcome::Ended;
    }
    let Some(head) = command.attend(head) else { return RunOutcome::NoDisk };
    let outcome = match command.operation {
        Operation::Format(_) => format_track(command, head, port, ids),
        _ => transfer(command, head, port),
    };
    if outcome == RunOutcome::Ended && command.writes() {
        command.commit(head);
    }
    outcome
}

fn transfer(command: &mut DataCommand, head: &mut Head<'_>, port: &mut impl HostPort) -> RunOutcome {
    loop {
        if command.state == State::Searching {
            locate::search(command, head.next_slot(), head);
        }
        match command.state {
            State::Ended => return RunOutcome::Ended,
            // A sector was skipped.
            State::Searching => {}
            State::Transferring(run) => match sectors::move_data(command, run, usize::MAX, head, port) {
                Ok(piece) => {
                    if !sectors::account(command, run, piece, head) && command.state != State::Ended {
                        return RunOutcome::Waiting;
                    }
                }
                Err(error) => command.fail_medium(&error),
            },
        }
    }
}

/// Takes ID fields for as long as the host gives some, and writes the track when all are there.
fn format_track(
    command: &mut DataCommand,
    head: &mut Head<'_>,
    port: &mut impl HostPort,
    ids: &mut FormatIds,
) -> RunOutcome {
    let recording = command.recording;
    let Operation::Format(format) = &mut command.operation else { return RunOutcome::Ended };
    if head.write_protected() {
        command.fail(st1::NOT_WRITABLE, 0);
        return RunOutcome::Ended;
    }
    let wanted = format.measure(recording, command.head, head);
    let (received, terminal_count) = command.take_ids(ids, wanted, wanted, port);
    let complete = received >= wanted;
    if !complete && !terminal_count {
        return RunOutcome::Waiting;
    }
    command.write_track(ids, complete, head);
    if complete {
        command.state = State::Ended;
    } else {
        // Terminal count came before the last ID: the sectors without one underrun.
        command.fail(st1::OVERRUN, 0);
    }
    RunOutcome::Ended
}
