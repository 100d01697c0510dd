//! String input and output through the FIFO, compared with single bytes.

use super::kit::disk::{
    CYLINDER, Disk, FULL_DISK, READ, SECTOR, WRITE, command, deleted, guest_with_full_disk, id, in_file,
};
use super::kit::{self, BUFFER, CCR, DMA_READ_FLOPPY, FIFO, FROM_HOST, Guest, MSR, Reply, TO_HOST, fixture};
use proptest::prelude::*;
use vm_fdc::{Controller, drive::DriveType, media::Access};

fn guest() -> Guest {
    let mut guest = guest_with_full_disk();
    guest.use_dma(false);
    guest
}

// One string

#[test]
fn one_string_reads_a_track() {
    // §8.1
    let mut guest = guest();
    guest.send(&command(READ, 1, 1, 18)).unwrap();
    let mut track = vec![0; 18 * SECTOR];
    assert_eq!(guest.bus.fdc.read_string(&mut track), track.len());
    assert!(track == in_file(1, 1, 18));
    assert_eq!(guest.reply(), [0x44, 0x80, 0, CYLINDER, 1, 18, 2]);
}

#[test]
fn one_string_writes_a_track() {
    // §8.1
    let mut guest = guest();
    let track: Vec<u8> = (0..18 * SECTOR).map(|n| (n % 249) as u8).collect();
    guest.send(&command(WRITE, 1, 1, 18)).unwrap();
    assert_eq!(guest.bus.fdc.write_string(&track), track.len());
    assert_eq!(guest.reply(), [0x44, 0x80, 0, CYLINDER, 1, 18, 2]);
    assert!(on_disk(&mut guest)[18 * SECTOR..] == track);
}

#[test]
fn a_string_stops_at_the_end_of_the_track() {
    // §2.2
    let mut guest = guest();
    guest.send(&command(READ, 0, 17, 18)).unwrap();
    let mut data = [0xEE; 2 * SECTOR + 20];
    assert_eq!(guest.bus.fdc.read_string(&mut data), 2 * SECTOR);
    assert_eq!(data[2 * SECTOR..], [0xEE; 20], "the rest of the buffer does not change");
    guest.reply();
    guest.send(&command(WRITE, 0, 17, 18)).unwrap();
    assert_eq!(guest.bus.fdc.write_string(&data), 2 * SECTOR);
    assert_eq!(guest.reply().len(), 7);
}

#[test]
fn a_string_moves_nothing_if_no_data_is_due_in_its_direction() {
    // §2.2: in reset, idle, in the command phase, in the other direction, in the result phase, and with DMA.
    let refuses =
        |fdc: &mut Controller<kit::Irq, _>| fdc.read_string(&mut [0; 4]) == 0 && fdc.write_string(&[0x08; 4]) == 0;
    let mut guest = guest();
    assert!(refuses(&mut guest.bus.fdc));
    guest.bus.write(FIFO, READ);
    assert!(refuses(&mut guest.bus.fdc));
    guest.send(&command(READ, 0, 18, 18)[1..]).unwrap();
    assert_eq!(guest.bus.fdc.write_string(&[0; 4]), 0);
    assert_eq!(guest.bus.fdc.read_string(&mut [0; SECTOR]), SECTOR);
    assert!(refuses(&mut guest.bus.fdc));
    assert_eq!(guest.reply().len(), 7);
    guest.send(&command(WRITE, 0, 18, 18)).unwrap();
    assert_eq!(guest.bus.fdc.read_string(&mut [0; 4]), 0);
    assert_eq!(guest.bus.fdc.write_string(&[0; SECTOR]), SECTOR);
    guest.reply();
    guest.use_dma(true);
    guest.send(&command(READ, 0, 18, 18)).unwrap();
    assert!(refuses(&mut guest.bus.fdc), "DMA is requested");
    guest.bus.write(kit::DOR, 0x18);
    assert!(refuses(&mut guest.bus.fdc));
}

#[test]
fn an_empty_string_changes_nothing() {
    let mut guest = guest();
    for (opcode, status) in [(READ, TO_HOST), (WRITE, FROM_HOST)] {
        guest.send(&command(opcode, 0, 18, 18)).unwrap();
        let edges = guest.bus.irq().edges();
        assert_eq!((guest.bus.fdc.read_string(&mut []), guest.bus.fdc.write_string(&[])), (0, 0));
        assert_eq!((guest.bus.read(MSR), guest.bus.irq().edges()), (status, edges));
        match opcode {
            READ => assert_eq!(guest.bus.fdc.read_string(&mut [0; SECTOR]), SECTOR),
            _ => assert_eq!(guest.bus.fdc.write_string(&[0; SECTOR]), SECTOR),
        }
        guest.reply();
    }
}

// Compared with single bytes

/// A command without DMA, the configuration of the FIFO, and the lengths of the strings that move its data.
#[derive(Clone, Debug)]
struct Conversation {
    /// The disk returns its sectors one by one, not in runs.
    sector_disk: bool,
    configuration: u8,
    command: Vec<u8>,
    strings: Vec<usize>,
}

fn conversation() -> impl Strategy<Value = Conversation> {
    let opcode = prop::sample::select(vec![0x06, 0x0C, 0x05, 0x09, 0x02, 0x11, 0x19, 0x1D]);
    let flags = prop::sample::select(vec![0x40, 0xC0, 0x60, 0xE0]);
    let size_code = prop_oneof![4 => Just(2u8), 1 => 0..=3u8];
    let transfer =
        (opcode, flags, 0..2u8, 1..=19u8, size_code, prop_oneof![3 => 1..=19u8, 1 => any::<u8>()], any::<u8>());
    let transfer = transfer.prop_map(|(opcode, flags, head, sector, size_code, end, last)| {
        vec![opcode | flags, head << 2, CYLINDER, head, sector, size_code, end, 0x1B, last]
    });
    let format = (0..2u8, 1..=18u8).prop_map(|(head, sectors)| vec![0x4D, head << 2, 2, sectors, 0x6C, 0xF6]);
    let length = prop_oneof![2 => 0..40usize, 2 => 500..530usize, 1 => 0..4_000usize];
    let configuration = prop_oneof![1 => Just(0x20u8), 3 => 0..16u8];
    let command = prop_oneof![9 => transfer, 1 => format];
    (any::<bool>(), configuration, command, prop::collection::vec(length, 1..12)).prop_map(
        |(sector_disk, configuration, command, strings)| Conversation { sector_disk, configuration, command, strings },
    )
}

/// The answers to a conversation. After each string: the bytes, the number that moved before the MSR changed, the MSR, INT,
/// and whether INT rose. At the end: the result and the data of the cylinder.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    strings: Vec<(Vec<u8>, usize, u8, bool, bool)>,
    reply: Option<Reply>,
    cylinder: Vec<u8>,
}

/// Reads both heads of the cylinder under the head.
fn on_disk(guest: &mut Guest) -> Vec<u8> {
    guest.bus.write(kit::DOR, 0x18);
    guest.reset();
    guest.select(0);
    guest.use_dma(true);
    guest.recalibrate();
    guest.seek(CYLINDER);
    let sectors = kit::Sectors { cylinder: CYLINDER, head: 0, sector: 1, bytes: 36 * SECTOR, end_of_track: 18 };
    guest.program_dma(DMA_READ_FLOPPY, BUFFER, sectors.bytes);
    guest.buffer_mut(sectors.bytes).fill(0);
    let _deleted_or_missing_sectors_end_it = guest.read(sectors);
    guest.buffer(sectors.bytes).to_vec()
}

fn have(conversation: &Conversation, in_strings: bool) -> Seen {
    let mut guest = Guest::new(Controller::builder().drive(0, DriveType::Inch3_5Hd).scan_commands(true));
    let drive = guest.bus.fdc.drive(0).unwrap();
    if conversation.sector_disk {
        let track = |head| (1..=18).map(move |sector| id(CYLINDER, head, sector, 2));
        let other = [deleted(id(CYLINDER, 0, 5, 2)), id(CYLINDER, 0, 19, 0)];
        let first = track(0).filter(|sector| sector.id.sector != 5).chain(other);
        drive.attach_medium(Disk::blank().with_track(CYLINDER, 0, first).with_track(CYLINDER, 1, track(1))).unwrap();
    } else {
        drive.attach_image(fixture(FULL_DISK), Access::Private).unwrap();
    }
    guest.reset();
    guest.select(0);
    guest.bus.write(CCR, 0);
    guest.seek(CYLINDER);
    guest.use_dma(false);
    guest.command(&[0x13, 0, conversation.configuration, 0]);
    guest.send(&conversation.command).expect("the controller accepts the command");
    let mut seen = Seen::default();
    let mut filler = (0..).map(|n: usize| (n / 7 % 251) as u8);
    for &length in &conversation.strings {
        let edges = guest.bus.irq().edges();
        let reads = guest.bus.read(MSR) & 0x40 != 0;
        let mut data: Vec<u8> = filler.by_ref().take(length).collect();
        let mut went = 0;
        if in_strings {
            let fdc = &mut guest.bus.fdc;
            went = if reads { fdc.read_string(&mut data) } else { fdc.write_string(&data) };
            guest.bus.follow();
        }
        let mut stopped = in_strings;
        for byte in &mut data[went..] {
            let status = guest.bus.read(MSR);
            stopped |= status != if reads { TO_HOST } else { FROM_HOST };
            went += usize::from(!stopped);
            // A string instruction continues whatever the MSR is.
            if reads {
                *byte = guest.bus.read(FIFO);
            } else if stopped {
                break; // A further byte would be a command.
            } else {
                guest.bus.write(FIFO, *byte);
            }
        }
        let irq = guest.bus.irq();
        let (high, rose) = (irq.is_high(), irq.edges() > edges);
        seen.strings.push((data, went, guest.bus.read(MSR), high, rose));
    }
    seen.reply = (guest.bus.read(MSR) & 0xE0 == 0xC0).then(|| guest.reply());
    seen.cylinder = on_disk(&mut guest);
    seen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn strings_move_the_same_data_as_single_bytes(conversation in conversation()) {
        // §7.3, §8.1
        prop_assert_eq!(have(&conversation, true), have(&conversation, false));
    }
}
