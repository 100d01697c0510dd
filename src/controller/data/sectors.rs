//! The data of the sectors of a command: how they move, are accounted for and end.

use super::{
    DataCommand, State,
    advance::next_id,
    operation::{Operation, SectorAction, SectorCommand},
    read::{self, ReadTrack},
    run::{Piece, Run, SectorSize},
    verify::Verify,
};
use crate::{
    controller::{
        fifo::HostPort,
        registers::{st1, st2},
    },
    drive::Head,
    media::{MediumError, SectorId},
};

/// Moves bytes of a run between the disk and the host, up to the first `limit` bytes.
#[inline(always)] // 5 % of a READ DATA of one sector, with those of `locate`.
pub(super) fn move_data(
    command: &mut DataCommand,
    run: Run,
    limit: usize,
    head: &mut Head<'_>,
    port: &mut impl HostPort,
) -> Result<Piece, MediumError> {
    let size = SectorSize::of(command.id.size_code);
    match &mut command.operation {
        Operation::ReadTrack(ReadTrack { data_length, .. })
        | Operation::Sectors(SectorCommand { action: SectorAction::Read { data_length, .. }, .. }) => {
            read::transfer(run, size, *data_length, limit, (command.head, head), port)
        }
        Operation::Sectors(selected) => match &mut selected.action {
            SectorAction::Read { .. } => Err(MediumError::Absent),
            SectorAction::Write(write) => {
                let piece = write.transfer((run, command.id, selected.extent), limit, (command.head, head), port)?;
                command.activity.written = true;
                Ok(piece)
            }
            SectorAction::Verify(verify) => verify.transfer(run, size, command.head, head),
            SectorAction::Scan(scan) => {
                let piece = scan.transfer(run, size, limit, (command.head, head), port)?;
                if piece.moved.terminal_count || run.offset() + piece.moved.bytes >= piece.wanted {
                    let evaluated = scan.evaluate();
                    command.status.st2 &= !(st2::SCAN_HIT | st2::SCAN_NOT_SATISFIED);
                    command.status.st2 |= evaluated;
                }
                Ok(piece)
            }
        },
        Operation::ReadId | Operation::Format(_) => Err(MediumError::Absent),
    }
}

/// Accounts for a piece of a run, and sets the state by what is left. Returns whether the host took or gave all that it
/// was offered, or ended the transfer.
#[inline(always)] // 5 % of a READ DATA of one sector, with those of `locate`.
pub(super) fn account(command: &mut DataCommand, run: Run, piece: Piece, head: &mut Head<'_>) -> bool {
    let Piece { moved, offered, wanted, available, short } = piece;
    let size = SectorSize::of(command.id.size_code);
    let run = Run { bad_data: run.bad_data || short, ..run };
    let offset = run.offset() + moved.bytes;
    let all = offset >= wanted;
    let sectors = match (all, moved.terminal_count) {
        (true, _) => size.sectors_touched(available),
        (false, true) => size.sectors_touched(offset),
        (false, false) => size.sectors_in(offset),
    };
    if let Some(write) = command.write().filter(|_| sectors > 0) {
        head.finish_write(command.head, run.slot(), sectors, write.mark);
    }
    command.counts.sectors += sectors as u32;
    command.counts.bytes += moved.bytes as u32;
    command.state = State::Searching;
    let slot = if sectors > 0 { end_sectors(command, run, sectors, moved.terminal_count) } else { run.slot() };
    head.set_next_slot(slot);
    if all || moved.terminal_count {
        return true;
    }
    if command.state == State::Searching {
        let offset = offset - size.bytes_of(sectors);
        let sectors = run.sectors - sectors as u16;
        command.state = State::Transferring(Run { slot: slot as u16, sectors, offset: offset as u16, ..run });
    }
    moved.bytes == offered
}

/// Ends a number of sectors of a run. Returns the slot behind the last of them.
#[inline(always)] // 5 % of a READ DATA of one sector, with those of `locate`.
fn end_sectors(command: &mut DataCommand, run: Run, sectors: usize, terminal_count: bool) -> usize {
    let (mut slot, mut sectors) = (run.slot(), sectors);
    if let Operation::Sectors(SectorCommand { extent, .. }) = &command.operation
        && let Some(under_other_head) =
            sectors.checked_sub(extent.sectors_from(command.id.sector)).filter(|&more| more > 0)
    {
        command.id = next_id(command.id, true, true, 0);
        command.head = 1;
        (slot, sectors) = (0, under_other_head);
    }
    command.id.sector = command.id.sector.wrapping_add((sectors - 1) as u8);
    let head = command.head;
    if run.bad_data {
        match command.operation {
            Operation::ReadTrack(_) => {
                command.status.st1 |= st1::DATA_ERROR;
                command.status.st2 |= st2::DATA_ERROR;
            }
            _ => command.fail(st1::DATA_ERROR, st2::DATA_ERROR),
        }
    }
    if run.other_mark {
        command.status.st2 |= st2::CONTROL_MARK;
        command.state = State::Ended;
    }
    if command.state != State::Ended {
        end_sector(command, terminal_count);
    }
    if command.head == head { slot + sectors } else { 0 }
}

/// Ends the sector of the command's ID: goes on to the next one, or ends the command at terminal count and after the last
/// sector.
#[inline(always)] // 5 % of a READ DATA of one sector, with those of `locate`.
pub(super) fn end_sector(command: &mut DataCommand, terminal_count: bool) {
    let (id, head) = (command.id, command.head);
    match &mut command.operation {
        Operation::ReadTrack(read) => {
            let last = read.count();
            command.id = next_id(id, last, false, head);
            end_if(command, terminal_count, last, id);
        }
        Operation::Sectors(selected) => {
            let end_of_track = selected.extent.end_of_track;
            match &selected.action {
                SectorAction::Scan(scan) => {
                    let end =
                        scan.end_sector((id, head), selected.extent.after(id, head), end_of_track, terminal_count);
                    command.status.st2 |= end.st2;
                    (command.id, command.head) = (end.id, end.head);
                    match end.ended {
                        Some(0) => command.state = State::Ended,
                        Some(st1) => command.fail(st1, 0),
                        None => {}
                    }
                }
                // Within a track R alone changes, and VERIFY without a count ends at EOT only.
                _ if id.sector != end_of_track => {
                    command.id.sector = id.sector.wrapping_add(1);
                    end_if(command, terminal_count, false, id);
                }
                action => {
                    let without_count = matches!(action, SectorAction::Verify(Verify { remaining: None }));
                    let next = selected.extent.after(id, head);
                    command.id = next.id;
                    if without_count && next.last {
                        command.state = State::Ended;
                        return;
                    }
                    end_if(command, terminal_count, next.last, id);
                    if command.state != State::Ended {
                        command.head = next.head;
                    }
                }
            }
        }
        Operation::ReadId | Operation::Format(_) => {}
    }
}

/// Ends the command at terminal count, or with EN after the last sector `id`. The data sheet does not say which ID EN
/// leaves: that of the last sector, which drivers expect (§4.2).
fn end_if(command: &mut DataCommand, terminal_count: bool, last: bool, id: SectorId) {
    if terminal_count {
        command.state = State::Ended;
    } else if last {
        command.id = id;
        command.fail(st1::END_OF_CYLINDER, 0);
    }
}
