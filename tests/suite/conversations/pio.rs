//! READ DATA and WRITE DATA without DMA: the guest moves each byte through the FIFO when the MSR or INT requests it.

use super::kit::disk::{
    CYLINDER, Disk, MT, READ, SECTOR, WRITE, command, contents, guest_with_full_disk, id, in_file, made_up, sector,
    transfer,
};
use super::kit::{self, BUFFER, DMA_READ_FLOPPY, DMA_STATUS, DOR, DSR, FIFO, FROM_HOST, Guest, MSR, TO_HOST};

/// Returns a guest without DMA, with the full disk in its drive.
fn guest() -> Guest {
    let mut guest = guest_with_full_disk();
    guest.use_dma(false);
    guest
}

/// Reads bytes while the controller has some, at most `limit`.
fn fetch(guest: &mut Guest, limit: usize) -> Vec<u8> {
    let mut data = Vec::new();
    while data.len() < limit && guest.bus.read(MSR) == TO_HOST {
        data.push(guest.bus.read(FIFO));
    }
    data
}

/// Writes bytes while the controller requests some. Returns how many it took.
fn supply(guest: &mut Guest, data: &[u8]) -> usize {
    for (taken, &byte) in data.iter().enumerate() {
        if guest.bus.read(MSR) != FROM_HOST {
            return taken;
        }
        guest.bus.write(FIFO, byte);
    }
    data.len()
}

/// Performs READ DATA. Returns the data.
fn read(guest: &mut Guest, command: &[u8; 9]) -> Vec<u8> {
    guest.send(command).unwrap();
    let data = fetch(guest, usize::MAX);
    guest.reply();
    data
}

// Data and result

/// MT, head and first sector; then the number of sectors up to the end, and the head at the end. EOT is 18.
const SPANS: [(u8, u8, u8, usize, u8); 5] =
    [(0, 0, 18, 1, 0), (0, 1, 1, 18, 1), (MT, 0, 17, 20, 1), (MT, 0, 1, 36, 1), (MT, 1, 5, 14, 1)];

#[test]
fn a_read_delivers_all_sectors_up_to_the_end_of_the_track_and_ends_with_end_of_cylinder() {
    // §2.1, §4.6: without DMA there is no terminal count.
    let mut guest = guest();
    for (mt, head, first, sectors, last_head) in SPANS {
        guest.send(&command(READ | mt, head, first, 18)).unwrap();
        assert!(fetch(&mut guest, usize::MAX) == in_file(head, first, sectors), "{sectors} from {head}/{first}");
        assert_eq!(guest.reply(), [0x40 | last_head << 2, 0x80, 0, CYLINDER, last_head, 18, 2]);
    }
}

#[test]
fn a_write_takes_all_sectors_up_to_the_end_of_the_track_and_ends_with_end_of_cylinder() {
    // §2.1, §4.6
    for (mt, head, first, sectors, last_head) in SPANS {
        let mut guest = guest();
        let data = made_up(sectors * SECTOR);
        guest.send(&command(WRITE | mt, head, first, 18)).unwrap();
        assert_eq!(supply(&mut guest, &[&data[..], &[0xEE; 16]].concat()), data.len());
        assert_eq!(guest.reply(), [0x40 | last_head << 2, 0x80, 0, CYLINDER, last_head, 18, 2]);
        assert!(read(&mut guest, &command(READ | mt, head, first, 18)) == data, "{sectors} from {head}/{first}");
    }
}

#[test]
fn a_written_sector_leaves_its_neighbours_alone() {
    // §4.3
    let mut guest = guest();
    guest.send(&command(WRITE, 0, 9, 9)).unwrap();
    supply(&mut guest, &[0xA5; SECTOR]);
    guest.reply();
    let expected = [in_file(0, 8, 1), vec![0xA5; SECTOR], in_file(0, 10, 1)].concat();
    assert!(read(&mut guest, &command(READ, 0, 8, 10)) == expected);
}

#[test]
fn the_result_follows_the_last_byte() {
    // §2.1
    for (opcode, ready) in [(READ, 0xF0), (WRITE, 0xB0)] {
        let mut guest = guest();
        guest.send(&command(opcode, 0, 18, 18)).unwrap();
        for _ in 0..SECTOR {
            assert_eq!(guest.bus.read(MSR), ready);
            match opcode {
                READ => _ = guest.bus.read(FIFO),
                _ => guest.bus.write(FIFO, 0),
            }
        }
        assert_eq!(guest.bus.read(MSR), 0xD0);
    }
}

#[test]
fn a_short_data_length_limits_the_bytes_of_each_sector() {
    // §4.3
    let sectors = [id(0, 0, 1, 0), id(0, 0, 2, 0)];
    let mut guest = Disk::of(sectors).in_drive();
    guest.use_dma(false);
    let short_read = [READ, 0, 0, 0, 1, 0, 2, 0x1B, 5];
    assert_eq!(read(&mut guest, &short_read), sectors.map(|sector| contents(sector)[..5].to_vec()).concat());

    guest.send(&[WRITE, 0, 0, 0, 1, 0, 2, 0x1B, 5]).unwrap();
    assert_eq!(supply(&mut guest, &[0xA5; 16]), 10);
    assert_eq!(guest.reply(), [0x40, 0x80, 0, 0, 0, 2, 0]);
    let written = [[0xA5; 5].as_slice(), &[0; 123]].concat();
    assert_eq!(read(&mut guest, &[READ, 0, 0, 0, 1, 0, 2, 0x1B, 128]), [written.clone(), written].concat());
}

#[test]
fn a_fifo_access_in_the_wrong_direction_changes_nothing() {
    // §12.6
    let mut guest = guest();
    guest.send(&command(READ, 0, 18, 18)).unwrap();
    let mut data = fetch(&mut guest, 5);
    guest.bus.write(FIFO, 0xEE);
    data.extend(fetch(&mut guest, usize::MAX));
    assert!(data == in_file(0, 18, 1), "written to in a read");
    guest.reply();

    guest.send(&command(WRITE, 0, 1, 1)).unwrap();
    let mut given = supply(&mut guest, &data[..5]);
    guest.bus.read(FIFO);
    given += supply(&mut guest, &data[5..]);
    assert_eq!((given, guest.reply().len()), (SECTOR, 7));
    assert!(read(&mut guest, &command(READ, 0, 1, 1)) == data, "read from in a write");
}

#[test]
fn a_write_to_a_protected_disk_requests_no_data() {
    // §3.5
    let mut guest = Disk::of([sector(1)]).protected().in_drive();
    guest.use_dma(false);
    guest.send(&[WRITE, 0, 0, 0, 1, 2, 1, 0x1B, 0xFF]).unwrap();
    assert_eq!(guest.bus.read(MSR), 0xD0);
    assert_eq!(guest.reply(), [0x40, 0x02, 0, 0, 0, 1, 2]);
}

#[test]
fn an_absent_sector_ends_the_transfer_after_the_sectors_before_it() {
    // §4.3
    let mut guest = guest();
    guest.send(&command(READ, 0, 18, 20)).unwrap();
    assert!(fetch(&mut guest, usize::MAX) == in_file(0, 18, 1));
    assert_eq!(guest.reply(), [0x40, 0x04, 0, CYLINDER, 0, 19, 2]);
}

// Interrupts

/// Returns how often INT rises in a transfer of one sector and its result.
fn interrupts(configuration: u8, opcode: u8) -> usize {
    let mut guest = guest();
    guest.command(&[0x13, 0, configuration, 0]);
    let before = guest.bus.irq().edges();
    guest.send(&command(opcode, 0, 18, 18)).unwrap();
    match opcode {
        READ => assert_eq!(fetch(&mut guest, usize::MAX).len(), SECTOR),
        _ => assert_eq!(supply(&mut guest, &[0; SECTOR]), SECTOR),
    }
    assert_eq!(guest.reply().len(), 7);
    guest.bus.irq().edges() - before
}

#[test]
fn with_the_fifo_off_each_byte_and_the_result_interrupt() {
    // §6.5, §7.3
    assert_eq!(interrupts(0x20, READ), SECTOR + 1);
    assert_eq!(interrupts(0x20, WRITE), SECTOR + 1);
}

#[test]
fn with_the_fifo_on_a_read_interrupts_at_the_threshold() {
    // §7.3: a request begins with 16 - T bytes in the FIFO, and ends when it is empty.
    for threshold in 1..=16 {
        let request = if threshold < 16 { 16 - threshold } else { 1 };
        assert_eq!(interrupts(threshold as u8 - 1, READ), SECTOR.div_ceil(request) + 1, "threshold {threshold}");
    }
}

#[test]
fn with_the_fifo_on_a_write_interrupts_for_sixteen_bytes_and_then_at_the_threshold() {
    // §7.3: the request ends when the FIFO is full, and begins again when T bytes remain.
    for threshold in 1..=16 {
        let request = if threshold < 16 { 16 - threshold } else { 1 };
        let requests = 1 + (SECTOR - 16).div_ceil(request);
        assert_eq!(interrupts(threshold as u8 - 1, WRITE), requests + 1, "threshold {threshold}");
    }
}

#[test]
fn at_every_threshold_all_bytes_of_several_sectors_arrive() {
    // §7.3
    let data: Vec<u8> = (0..3 * SECTOR).map(|n| (n % 241) as u8).collect();
    for threshold in 0..16 {
        let mut guest = guest();
        guest.command(&[0x13, 0, threshold, 0]);
        guest.send(&command(WRITE, 0, 16, 18)).unwrap();
        assert_eq!(supply(&mut guest, &data), data.len(), "threshold {threshold}");
        assert_eq!(guest.reply(), [0x40, 0x80, 0, CYLINDER, 0, 18, 2]);
        assert!(read(&mut guest, &command(READ, 0, 16, 18)) == data, "threshold {threshold}");
    }
}

#[test]
fn several_sectors_interrupt_as_often_as_single_sectors() {
    // §7.3: also if the disk returns the sectors one by one.
    let disk = || {
        let sectors = (16..=18).map(|sector| id(CYLINDER, 0, sector, 2));
        let mut guest = Disk::blank().with_track(CYLINDER, 0, sectors).in_drive();
        guest.seek(CYLINDER);
        guest
    };
    for (configuration, opcode) in (0..16).chain([0x20]).flat_map(|how| [(how, READ), (how, WRITE)]) {
        let [in_one_run, one_by_one] = [guest(), disk()].map(|mut guest| {
            guest.use_dma(false);
            guest.command(&[0x13, 0, configuration, 0]);
            let before = guest.bus.irq().edges();
            guest.send(&command(opcode, 0, 16, 18)).unwrap();
            match opcode {
                READ => assert_eq!(fetch(&mut guest, usize::MAX).len(), 3 * SECTOR),
                _ => assert_eq!(supply(&mut guest, &[0; 3 * SECTOR]), 3 * SECTOR),
            }
            guest.bus.irq().edges() - before
        });
        assert_eq!(in_one_run, one_by_one, "{configuration:#04x}, {opcode:#04x}");
        assert_eq!(in_one_run, 3 * (interrupts(configuration, opcode) - 1) + 1);
    }
}

#[test]
fn with_the_fifo_on_a_request_lasts_until_the_fifo_is_empty() {
    // §6.5: at least 15 bytes, at a threshold of 1.
    let mut guest = guest();
    guest.command(&[0x13, 0, 0x00, 0]);
    guest.send(&command(READ, 0, 18, 18)).unwrap();
    let before = guest.bus.irq().edges();
    fetch(&mut guest, 14);
    assert!(guest.bus.irq().is_high());
    assert_eq!(guest.bus.irq().edges(), before);
}

#[test]
fn the_interrupt_of_the_result_falls_with_its_first_byte() {
    // §6.5
    let mut guest = guest();
    guest.send(&command(READ, 0, 18, 18)).unwrap();
    fetch(&mut guest, usize::MAX);
    assert!(guest.bus.irq().is_high());
    guest.bus.read(FIFO);
    assert!(!guest.bus.irq().is_high());
}

#[test]
fn the_first_byte_has_its_own_edge_even_if_int_is_high() {
    // §6.1, §6.4
    if kit::IN_TIME {
        return; // With authentic timing, these seeks end later.
    }
    for opcode in [READ, WRITE] {
        let mut guest = guest();
        guest.send(&[0x0F, 0, CYLINDER]).unwrap(); // a seek whose status is not sensed
        let before = guest.bus.irq().edges();
        guest.send(&command(opcode, 0, 18, 18)).unwrap();
        assert_eq!(guest.bus.irq().edges(), before + 1);
    }
}

#[test]
fn with_the_gate_shut_bytes_move_without_interrupts() {
    // §8.5, DIV-28: the gate of the DOR affects only the pins.
    let mut guest = guest();
    guest.bus.write(DOR, 0x14);
    let before = guest.bus.irq().edges();
    assert!(read(&mut guest, &command(READ, 0, 18, 18)) == in_file(0, 18, 1));
    assert_eq!(guest.bus.irq().edges(), before);
}

#[test]
fn without_dma_the_dma_channel_is_not_used() {
    // §8.5, DIV-28: only SPECIFY selects the mode.
    let mut guest = guest();
    guest.program_dma(DMA_READ_FLOPPY, BUFFER, SECTOR);
    guest.send(&command(READ, 0, 18, 18)).unwrap();
    assert_eq!((guest.bus.read(MSR), guest.bus.read(DMA_STATUS)), (0xF0, 0x00));
    fetch(&mut guest, usize::MAX);
    assert_eq!(guest.buffer(SECTOR), [0; SECTOR]);
}

// Resets

#[test]
fn a_reset_during_a_transfer_ends_it() {
    // §1.11
    let resets = [&[(DOR, 0x18), (DOR, 0x1C)][..], &[(DSR, 0x80)]];
    for (opcode, reset) in [(READ, resets[0]), (READ, resets[1]), (WRITE, resets[0]), (WRITE, resets[1])] {
        let mut guest = guest();
        guest.send(&command(opcode, 0, 1, 18)).unwrap();
        match opcode {
            READ => assert_eq!(fetch(&mut guest, 1000).len(), 1000),
            _ => assert_eq!(supply(&mut guest, &[0xA5; 1000]), 1000),
        }
        for &(port, value) in reset {
            guest.bus.write(port, value);
        }
        assert_eq!(guest.bus.read(MSR), 0x80);
        assert_eq!(guest.sense_interrupt(), [0xC0, 0]);
        assert!(read(&mut guest, &command(READ, 0, 3, 18)) == in_file(0, 3, 16), "the FIFO is empty");
    }
}

#[test]
fn the_last_specify_sets_the_mode_of_the_next_transfer() {
    // §7.1
    let mut guest = guest();
    guest.send(&command(READ, 0, 18, 18)).unwrap();
    assert_eq!(fetch(&mut guest, usize::MAX).len(), SECTOR);
    guest.reply();
    guest.use_dma(true);
    assert_eq!(transfer(&mut guest, &command(READ, 0, 1, 18), SECTOR), [0x00, 0, 0, CYLINDER, 0, 2, 2]);
}
