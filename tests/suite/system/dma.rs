//! The pair of 8237A of a PC/AT: the ports that a guest accesses, and the channel that the floppy controller uses.

use vm_fdc::dma::{AtDma, AtDmaStateV1, DmaChannel, GuestMemory, Moved};

/// Mode bytes without the channel number, for single transfers.
const VERIFY: u8 = 0x40;
const WRITE: u8 = 0x44;
const READ: u8 = 0x48;
const ILLEGAL: u8 = 0x4C;
const CASCADE: u8 = 0xC0;
const AUTOINITIALIZE: u8 = 0x10;
const DECREMENT: u8 = 0x20;

/// Memory of any size that stores no data. It records the addresses and lengths of all accesses.
#[derive(Default)]
struct Recorder {
    writes: Vec<(u64, Vec<u8>)>,
    reads: Vec<(u64, usize)>,
}

impl GuestMemory for Recorder {
    fn write(&mut self, address: u64, data: &[u8]) {
        self.writes.push((address, data.to_vec()));
    }

    fn read(&mut self, address: u64, data: &mut [u8]) {
        self.reads.push((address, data.len()));
        data.fill(0x5A);
    }
}

/// Returns the controllers with 256 KiB of memory whose bytes count up.
fn with_ram() -> AtDma<Vec<u8>> {
    AtDma::new((0..0x4_0000_u32).map(|n| n as u8).collect())
}

fn with_recorder() -> AtDma<Recorder> {
    AtDma::new(Recorder::default())
}

fn out<M>(dma: &mut AtDma<M>, port: u16, value: u8) {
    assert!(dma.write_port(port, value), "port {port:#x} is not claimed");
}

fn inb<M>(dma: &mut AtDma<M>, port: u16) -> u8 {
    dma.read_port(port).unwrap_or_else(|| panic!("port {port:#x} is not claimed"))
}

fn out_word<M>(dma: &mut AtDma<M>, port: u16, value: u16) {
    for byte in value.to_le_bytes() {
        out(dma, port, byte);
    }
}

fn in_word<M>(dma: &mut AtDma<M>, port: u16) -> u16 {
    u16::from_le_bytes([inb(dma, port), inb(dma, port)])
}

/// Programs channel 2 in the order of MINIX, for `bytes` bytes from `address` on.
fn program<M>(dma: &mut AtDma<M>, mode: u8, address: u32, bytes: u32) {
    let [address_low, address_high, page, _] = address.to_le_bytes();
    out(dma, 0x0A, 0x06);
    out(dma, 0x0C, 0);
    out(dma, 0x0B, mode | 2);
    out(dma, 0x04, address_low);
    out(dma, 0x04, address_high);
    out(dma, 0x81, page);
    out_word(dma, 0x05, (bytes - 1) as u16);
    out(dma, 0x0A, 0x02);
}

fn moved(bytes: usize, terminal_count: bool) -> Moved {
    Moved { bytes, terminal_count }
}

// Registers

#[test]
fn addresses_and_counts_are_written_and_read_low_byte_first() {
    // §8.3
    let mut dma = with_ram();
    let ports = || (0x00..0x08).chain((0xC0..0xD0).step_by(2));
    for port in ports() {
        out(&mut dma, port, port as u8);
        out(&mut dma, port, 0xA5);
    }
    for port in ports() {
        assert_eq!((inb(&mut dma, port), inb(&mut dma, port)), (port as u8, 0xA5), "port {port:#x}");
    }
}

#[test]
fn one_flip_flop_serves_all_channels_of_a_controller() {
    // §8.3
    let mut dma = with_ram();
    out_word(&mut dma, 0x04, 0x1234);
    out_word(&mut dma, 0x07, 0x5678);
    assert_eq!(inb(&mut dma, 0x04), 0x34);
    assert_eq!(inb(&mut dma, 0x07), 0x56);
}

#[test]
fn each_controller_has_a_flip_flop_of_its_own() {
    // §8.3
    let mut dma = with_ram();
    out_word(&mut dma, 0x04, 0x1234);
    out(&mut dma, 0xC4, 0x99);
    assert_eq!(inb(&mut dma, 0x04), 0x34);
}

#[test]
fn the_flip_flop_is_cleared_by_its_command_and_by_master_clear_and_reset() {
    // §8.3
    let mut dma = with_ram();
    let clears: [fn(&mut AtDma<Vec<u8>>); 3] =
        [|dma| out(dma, 0x0C, 0xFF), |dma| out(dma, 0x0D, 0xFF), |dma| dma.reset()];
    out_word(&mut dma, 0x04, 0x1234);
    for clear in clears {
        inb(&mut dma, 0x04);
        clear(&mut dma);
        assert_eq!(in_word(&mut dma, 0x04), 0x1234);
    }
}

#[test]
fn illegal_reads_return_ones_and_do_not_change_the_flip_flop() {
    // §8.2
    let mut dma = with_ram();
    out_word(&mut dma, 0x04, 0x1234);
    inb(&mut dma, 0x04);
    for port in [0x09, 0x0A, 0x0B, 0x0C, 0x0E, 0xD2, 0xD4, 0xD6, 0xD8, 0xDC] {
        assert_eq!(inb(&mut dma, port), 0xFF, "port {port:#x}");
    }
    assert_eq!(inb(&mut dma, 0x04), 0x12);
}

#[test]
fn the_temporary_register_stays_clear() {
    // §8.2
    let mut dma = with_ram();
    assert_eq!((inb(&mut dma, 0x0D), inb(&mut dma, 0xDA)), (0, 0));
}

#[test]
fn the_mask_register_reads_in_the_low_bits() {
    // §8.2
    let mut dma = with_ram();
    out(&mut dma, 0x0F, 0xF5);
    out(&mut dma, 0xDE, 0x0A);
    assert_eq!((inb(&mut dma, 0x0F), inb(&mut dma, 0xDE)), (0xF5, 0xFA));
}

#[test]
fn single_mask_changes_one_channel() {
    // §8.3
    let mut dma = with_ram();
    out(&mut dma, 0x0A, 0x01);
    assert_eq!(inb(&mut dma, 0x0F), 0xFD);
    out(&mut dma, 0x0A, 0xF9);
    assert_eq!(inb(&mut dma, 0x0F), 0xFD);
    out(&mut dma, 0x0A, 0xFD);
    assert_eq!(inb(&mut dma, 0x0F), 0xFF);
}

#[test]
fn clear_mask_enables_all_channels_of_one_controller() {
    // §8.2
    let mut dma = with_ram();
    out(&mut dma, 0x0E, 0xFF);
    assert_eq!((inb(&mut dma, 0x0F), inb(&mut dma, 0xDE)), (0xF0, 0xFE));
}

#[test]
fn master_clear_masks_all_channels_of_one_controller() {
    // §8.3
    let mut dma = with_ram();
    out(&mut dma, 0x0E, 0);
    out(&mut dma, 0xDA, 0);
    assert_eq!((inb(&mut dma, 0x0F), inb(&mut dma, 0xDE)), (0xF0, 0xFF));
}

#[test]
fn master_clear_keeps_mode_address_count_and_page() {
    // §8.3
    let mut dma = with_ram();
    program(&mut dma, WRITE, 0x1_2340, 4);
    out(&mut dma, 0x0D, 0);
    out(&mut dma, 0x0A, 0x02);
    assert_eq!(dma.device_to_memory(&[1, 2, 3, 4]), moved(4, true));
    assert_eq!(dma.memory()[0x1_2340..0x1_2344], [1, 2, 3, 4]);
}

#[test]
fn master_clear_ends_a_disable_by_the_command_register() {
    // §8.3
    let mut dma = with_ram();
    program(&mut dma, WRITE, 0, 4);
    out(&mut dma, 0x08, 0x04);
    out(&mut dma, 0x0D, 0);
    out(&mut dma, 0x0A, 0x02);
    assert_eq!(dma.device_to_memory(&[0; 4]), moved(4, true));
}

#[test]
fn master_clear_clears_the_terminal_count_bits() {
    // §8.3
    let mut dma = with_ram();
    program(&mut dma, WRITE, 0, 4);
    dma.device_to_memory(&[0; 4]);
    out(&mut dma, 0x0D, 0);
    assert_eq!(inb(&mut dma, 0x08), 0);
}

#[test]
fn reading_the_status_clears_terminal_count_but_not_requests() {
    // §8.3
    let mut dma = with_ram();
    program(&mut dma, WRITE, 0, 4);
    dma.device_to_memory(&[0; 4]);
    dma.set_request(true);
    assert_eq!((inb(&mut dma, 0x08), inb(&mut dma, 0x08)), (0x44, 0x40));
}

#[test]
fn the_status_shows_a_request_while_it_lasts_and_even_if_masked() {
    // §8.3
    let mut dma = with_ram();
    dma.set_request(true);
    assert_eq!(inb(&mut dma, 0x08), 0x40);
    out(&mut dma, 0x0D, 0);
    assert_eq!(inb(&mut dma, 0x08), 0x40);
    dma.set_request(false);
    assert_eq!(inb(&mut dma, 0x08), 0);
}

#[test]
fn an_unmasked_request_shows_on_channel_4_as_well() {
    // §8.2: channel 4 is the cascade input from the first controller.
    let mut dma = with_ram();
    dma.set_request(true);
    assert_eq!(inb(&mut dma, 0xD0), 0);
    out(&mut dma, 0x0A, 0x02);
    assert_eq!(inb(&mut dma, 0xD0), 0x10);
    out(&mut dma, 0x08, 0x04);
    assert_eq!(inb(&mut dma, 0xD0), 0);
}

#[test]
fn a_software_request_neither_shows_nor_moves_data() {
    // §8.3
    let mut dma = with_recorder();
    program(&mut dma, WRITE, 0, 4);
    out(&mut dma, 0x09, 0x06);
    assert_eq!((inb(&mut dma, 0x08), in_word(&mut dma, 0x05)), (0, 3));
    assert!(dma.memory().writes.is_empty());
}

#[test]
fn odd_ports_of_the_second_controller_alias_the_even_ones() {
    // §8.2
    let mut dma = with_ram();
    out(&mut dma, 0xC5, 0x34);
    out(&mut dma, 0xC4, 0x12);
    out(&mut dma, 0xDF, 0x05);
    assert_eq!((inb(&mut dma, 0xC4), inb(&mut dma, 0xC5), inb(&mut dma, 0xDE)), (0x34, 0x12, 0xF5));
}

#[test]
fn page_and_scratch_registers_hold_what_is_written() {
    // §8.2: also 0x80, the port of POST codes.
    let mut dma = with_ram();
    for port in 0x80..=0x8F {
        out(&mut dma, port, !(port as u8));
    }
    for port in 0x80..=0x8F {
        assert_eq!(inb(&mut dma, port), !(port as u8), "port {port:#x}");
    }
}

#[test]
fn other_ports_are_not_claimed() {
    // §8.2: an AT has neither the aliases of later chip sets nor high page registers.
    let mut dma = with_ram();
    for port in (0x10..0x80).chain(0x90..0xC0).chain(0xE0..=0xFFFF) {
        assert_eq!((dma.read_port(port), dma.write_port(port, 0)), (None, false), "port {port:#x}");
    }
}

#[test]
fn high_pages_are_claimed_only_for_the_channels_that_have_one() {
    // §8.2
    let mut dma = with_ram().with_high_pages();
    let claimed: Vec<u16> = (0x400..=0xFFFF).filter(|&port| dma.write_port(port, 0x12)).collect();
    assert_eq!(claimed, [0x481, 0x482, 0x483, 0x487, 0x489, 0x48A, 0x48B]);
    for port in 0x400..=0xFFFF {
        assert_eq!(dma.read_port(port), claimed.contains(&port).then_some(0x12), "port {port:#x}");
    }
}

// Transfers

#[test]
fn a_write_transfer_takes_device_bytes_to_page_and_address() {
    // §8.2, §8.4
    let mut dma = with_ram();
    program(&mut dma, WRITE, 0x3_4567, 4);
    assert_eq!(dma.device_to_memory(&[1, 2, 3, 4]), moved(4, true));
    assert_eq!(dma.memory()[0x3_4566..=0x3_456B], [0x66, 1, 2, 3, 4, 0x6B]);
}

#[test]
fn a_read_transfer_takes_memory_bytes_to_the_device() {
    // §8.4
    let mut dma = with_ram();
    program(&mut dma, READ, 0x3_4567, 4);
    let mut data = [0; 4];
    assert_eq!(dma.memory_to_device(&mut data), moved(4, true));
    assert_eq!(data, [0x67, 0x68, 0x69, 0x6A]);
}

#[test]
fn the_registers_can_be_programmed_in_another_order() {
    // §8.6: the order of SeaBIOS.
    let mut dma = with_recorder();
    out(&mut dma, 0x0A, 0x06);
    out(&mut dma, 0x0C, 0);
    out_word(&mut dma, 0x04, 0x2340);
    out(&mut dma, 0x0C, 0);
    out_word(&mut dma, 0x05, 1);
    out(&mut dma, 0x0B, WRITE | 2);
    out(&mut dma, 0x81, 0x01);
    out(&mut dma, 0x0A, 0x02);
    assert_eq!(dma.device_to_memory(&[1, 2]), moved(2, true));
    assert_eq!(dma.memory().writes, [(0x1_2340, vec![1, 2])]);
}

#[test]
fn demand_and_block_mode_move_as_single_mode_does() {
    // §8.3
    for select in [0x00, 0x40, 0x80] {
        let mut dma = with_ram();
        program(&mut dma, select | WRITE & 0x3F, 0, 4);
        assert_eq!(dma.device_to_memory(&[1, 2, 3, 4, 5]), moved(4, true), "mode select {select:#x}");
    }
}

#[test]
fn a_transfer_continues_where_the_device_stopped() {
    // §8.4
    let mut dma = with_ram();
    program(&mut dma, WRITE, 0x1000, 6);
    assert_eq!(dma.device_to_memory(&[1, 2]), moved(2, false));
    assert_eq!((in_word(&mut dma, 0x04), in_word(&mut dma, 0x05)), (0x1002, 3));
    assert_eq!(dma.device_to_memory(&[3, 4, 5, 6]), moved(4, true));
    assert_eq!(dma.memory()[0x1000..0x1006], [1, 2, 3, 4, 5, 6]);
}

#[test]
fn an_empty_offer_moves_nothing() {
    // §8.4
    let mut dma = with_recorder();
    program(&mut dma, WRITE, 0, 1);
    assert_eq!(dma.device_to_memory(&[]), Moved::default());
    assert_eq!(in_word(&mut dma, 0x05), 0);
}

#[test]
fn terminal_count_comes_with_the_last_byte_of_the_count_and_no_more_is_moved() {
    // §8.4
    let mut dma = with_recorder();
    program(&mut dma, READ, 0x2000, 4);
    let mut data = [0; 6];
    assert_eq!(dma.memory_to_device(&mut data), moved(4, true));
    assert_eq!(data, [0x5A, 0x5A, 0x5A, 0x5A, 0, 0]);
    assert_eq!(dma.memory().reads, [(0x2000, 4)]);
}

#[test]
fn the_count_reads_all_ones_after_terminal_count() {
    // §8.3
    let mut dma = with_ram();
    program(&mut dma, WRITE, 0x1000, 4);
    dma.device_to_memory(&[0; 4]);
    assert_eq!((in_word(&mut dma, 0x04), in_word(&mut dma, 0x05)), (0x1004, 0xFFFF));
}

#[test]
fn terminal_count_shows_in_the_status_of_its_channel() {
    // §8.3
    let mut dma = with_ram();
    program(&mut dma, WRITE, 0, 4);
    dma.device_to_memory(&[0; 3]);
    assert_eq!(inb(&mut dma, 0x08), 0);
    dma.device_to_memory(&[0]);
    assert_eq!(inb(&mut dma, 0x08), 0x04);
}

#[test]
fn terminal_count_masks_the_channel_unless_autoinitialise_is_on() {
    // §8.3
    for (mode, mask) in [(WRITE, 0xFF), (WRITE | AUTOINITIALIZE, 0xFB)] {
        let mut dma = with_ram();
        program(&mut dma, mode, 0, 4);
        dma.device_to_memory(&[0; 4]);
        assert_eq!(inb(&mut dma, 0x0F), mask, "mode {mode:#x}");
    }
}

#[test]
fn autoinitialise_reloads_address_and_count_and_still_stops_at_terminal_count() {
    // §8.4
    let mut dma = with_recorder();
    program(&mut dma, WRITE | AUTOINITIALIZE, 0x1000, 4);
    assert_eq!(dma.device_to_memory(&[1, 2, 3, 4, 5, 6]), moved(4, true));
    assert_eq!((in_word(&mut dma, 0x04), in_word(&mut dma, 0x05)), (0x1000, 3));
    assert_eq!(dma.device_to_memory(&[7]), moved(1, false));
    assert_eq!(dma.memory().writes, [(0x1000, vec![1, 2, 3, 4]), (0x1000, vec![7])]);
}

#[test]
fn a_run_of_sectors_is_one_call_to_memory() {
    // §8.4
    let mut dma = with_recorder();
    program(&mut dma, WRITE, 0x1_0000, 18432);
    assert_eq!(dma.device_to_memory(&[0xE5; 18432]), moved(18432, true));
    assert_eq!(dma.memory().writes, [(0x1_0000, vec![0xE5; 18432])]);
}

#[test]
fn the_address_wraps_inside_its_page() {
    // §8.4
    let mut dma = with_recorder();
    program(&mut dma, WRITE, 0x5_FFFE, 5);
    assert_eq!(dma.device_to_memory(&[1, 2, 3, 4, 5]), moved(5, true));
    assert_eq!(dma.memory().writes, [(0x5_FFFE, vec![1, 2]), (0x5_0000, vec![3, 4, 5])]);
    assert_eq!((in_word(&mut dma, 0x04), inb(&mut dma, 0x81)), (3, 5));
}

#[test]
fn a_transfer_up_to_the_end_of_the_page_is_one_piece() {
    // §8.4
    let mut dma = with_recorder();
    program(&mut dma, READ, 0x5_FFFE, 2);
    assert_eq!(dma.memory_to_device(&mut [0; 2]), moved(2, true));
    assert_eq!(dma.memory().reads, [(0x5_FFFE, 2)]);
    assert_eq!(in_word(&mut dma, 0x04), 0);
}

#[test]
fn the_longest_transfer_is_64_kib() {
    // §8.3: a count of 0xFFFF.
    let mut dma = with_recorder();
    program(&mut dma, READ, 0x2_0000, 0x1_0000);
    assert_eq!(dma.memory_to_device(&mut vec![0; 0x1_0001]), moved(0x1_0000, true));
    assert_eq!(dma.memory().reads, [(0x2_0000, 0x1_0000)]);
    assert_eq!((in_word(&mut dma, 0x04), in_word(&mut dma, 0x05)), (0, 0xFFFF));
}

#[test]
fn the_page_register_has_eight_bits() {
    // §8.2: an AT reaches 16 MiB, an XT only 1 MiB.
    let mut dma = with_recorder();
    program(&mut dma, WRITE, 0xFF_FFFF, 2);
    dma.device_to_memory(&[1, 2]);
    assert_eq!(dma.memory().writes, [(0xFF_FFFF, vec![1]), (0xFF_0000, vec![2])]);
}

#[test]
fn a_high_page_extends_the_address_to_32_bits() {
    // §8.2
    let mut dma = with_recorder().with_high_pages();
    program(&mut dma, WRITE, 0x34_5678, 1);
    out(&mut dma, 0x481, 0xFE);
    dma.device_to_memory(&[1]);
    assert_eq!(dma.memory().writes, [(0xFE34_5678, vec![1])]);
}

#[test]
fn a_write_to_the_page_clears_its_high_page_alone() {
    // §8.2
    let mut dma = with_ram().with_high_pages();
    out(&mut dma, 0x481, 0x12);
    out(&mut dma, 0x482, 0x34);
    out(&mut dma, 0x81, 0x56);
    assert_eq!((inb(&mut dma, 0x481), inb(&mut dma, 0x482), inb(&mut dma, 0x81)), (0, 0x34, 0x56));
}

#[test]
fn a_descending_address_stores_the_bytes_in_reverse_and_wraps_inside_its_page() {
    // §8.4
    let mut dma = with_ram();
    program(&mut dma, WRITE | DECREMENT, 0x2_0001, 4);
    assert_eq!(dma.device_to_memory(&[1, 2, 3, 4, 5]), moved(4, true));
    assert_eq!(dma.memory()[0x2_0000..=0x2_0001], [2, 1]);
    assert_eq!(dma.memory()[0x2_FFFE..=0x2_FFFF], [4, 3]);
    assert_eq!(in_word(&mut dma, 0x04), 0xFFFD);
}

#[test]
fn a_descending_address_reads_backwards() {
    // §8.4
    let mut dma = with_ram();
    program(&mut dma, READ | DECREMENT, 0x1_1234, 4);
    let mut data = [0; 3];
    assert_eq!(dma.memory_to_device(&mut data), moved(3, false));
    assert_eq!(data, [0x34, 0x33, 0x32]);
}

#[test]
fn verify_counts_and_signals_terminal_count_with_memory_idle() {
    // §8.5: TeleDisk and INT 13h AH=04h. The illegal type behaves as verify (§8.3).
    for mode in [VERIFY, ILLEGAL, VERIFY | DECREMENT] {
        let mut dma = with_recorder();
        program(&mut dma, mode, 0x1000, 512);
        assert_eq!(dma.device_to_memory(&[0; 256]), moved(256, false), "mode {mode:#x}");
        assert_eq!(in_word(&mut dma, 0x05), 255);
        assert_eq!(dma.device_to_memory(&[0; 512]), moved(256, true), "mode {mode:#x}");
        assert_eq!(inb(&mut dma, 0x08), 0x04);
        assert!(dma.memory().writes.is_empty());
    }
}

#[test]
fn verify_gives_a_reading_device_the_bytes_of_an_empty_bus() {
    // §8.5
    let mut dma = with_recorder();
    program(&mut dma, VERIFY, 0x1000, 3);
    let mut data = [0; 4];
    assert_eq!(dma.memory_to_device(&mut data), moved(3, true));
    assert_eq!(data, [0xFF, 0xFF, 0xFF, 0]);
    assert!(dma.memory().reads.is_empty());
}

#[test]
fn a_channel_set_to_the_other_direction_moves_nothing() {
    // §8.4
    let mut dma = with_recorder();
    program(&mut dma, READ, 0, 4);
    assert_eq!(dma.device_to_memory(&[0; 4]), Moved::default());
    program(&mut dma, WRITE, 0, 4);
    assert_eq!(dma.memory_to_device(&mut [0; 4]), Moved::default());
    assert_eq!((in_word(&mut dma, 0x05), inb(&mut dma, 0x08)), (3, 0));
}

#[test]
fn a_channel_in_cascade_mode_moves_nothing() {
    // §8.3: its transfer bits are ignored.
    let mut dma = with_recorder();
    program(&mut dma, CASCADE | WRITE, 0, 4);
    assert_eq!(dma.device_to_memory(&[0; 4]), Moved::default());
}

#[test]
fn a_masked_channel_moves_nothing_until_it_is_unmasked() {
    // §8.4, §8.6
    let mut dma = with_ram();
    program(&mut dma, WRITE, 0, 4);
    out(&mut dma, 0x0A, 0x06);
    assert_eq!(dma.device_to_memory(&[0; 4]), Moved::default());
    out(&mut dma, 0x0A, 0x02);
    assert_eq!(dma.device_to_memory(&[0; 4]), moved(4, true));
}

#[test]
fn a_disabled_controller_moves_nothing_until_it_is_enabled() {
    // §8.4
    let mut dma = with_ram();
    program(&mut dma, WRITE, 0, 4);
    out(&mut dma, 0x08, 0x04);
    assert_eq!(dma.device_to_memory(&[0; 4]), Moved::default());
    out(&mut dma, 0x08, 0x00);
    assert_eq!(dma.device_to_memory(&[0; 4]), moved(4, true));
}

#[test]
fn the_other_bits_of_the_command_register_do_not_stop_a_transfer() {
    // §8.3
    let mut dma = with_ram();
    program(&mut dma, WRITE, 0, 4);
    out(&mut dma, 0x08, 0xFB);
    assert_eq!(dma.device_to_memory(&[0; 4]), moved(4, true));
}

#[test]
fn nothing_moves_while_channel_4_does_not_cascade() {
    // §8.4
    for (port, block, cascade) in [(0xD4, 0x04, 0x00), (0xD0, 0x04, 0x00), (0xD6, 0x40, CASCADE)] {
        let mut dma = with_ram();
        program(&mut dma, WRITE, 0, 4);
        out(&mut dma, port, block);
        assert_eq!(dma.device_to_memory(&[0; 4]), Moved::default(), "port {port:#x}");
        out(&mut dma, port, cascade);
        assert_eq!(dma.device_to_memory(&[0; 4]), moved(4, true), "port {port:#x}");
    }
}

#[test]
fn a_bios_that_clears_and_programs_both_controllers_gets_its_transfer() {
    // §8.4: 0 to 0x0D, 0 to 0xDA, 0xC0 to 0xD6, 0 to 0xD4, as SeaBIOS does.
    let mut dma = with_ram();
    out(&mut dma, 0x0D, 0);
    out(&mut dma, 0xDA, 0);
    program(&mut dma, WRITE, 0, 4);
    assert_eq!(dma.device_to_memory(&[0; 4]), Moved::default());
    out(&mut dma, 0xD6, 0xC0);
    out(&mut dma, 0xD4, 0);
    assert_eq!(dma.device_to_memory(&[0; 4]), moved(4, true));
}

#[test]
fn reset_masks_the_channels_and_lets_channel_4_cascade_as_at_power_on() {
    // §8.3, §8.4
    let mut dma = with_ram();
    assert_eq!((inb(&mut dma, 0x0F), inb(&mut dma, 0xDE)), (0xFF, 0xFE));
    program(&mut dma, WRITE, 0, 4);
    out(&mut dma, 0xD6, 0x40);
    out(&mut dma, 0xDE, 0x05);
    dma.reset();
    assert_eq!((inb(&mut dma, 0x0F), inb(&mut dma, 0xDE)), (0xFF, 0xFE));
    assert_eq!(dma.device_to_memory(&[0; 4]), Moved::default());
    out(&mut dma, 0x0A, 0x02);
    assert_eq!(dma.device_to_memory(&[0; 4]), moved(4, true));
}

// Wiring

#[test]
fn the_floppy_can_be_on_any_8_bit_channel_with_the_page_of_that_channel() {
    // §8.2
    for (channel, address_port, page_port) in [(0, 0x00, 0x87), (1, 0x02, 0x83), (2, 0x04, 0x81), (3, 0x06, 0x82)] {
        let mut dma = AtDma::with_channel(Recorder::default(), channel).unwrap();
        out_word(&mut dma, address_port, 0x1234);
        out_word(&mut dma, address_port + 1, 0);
        out(&mut dma, page_port, 0x56);
        out(&mut dma, 0x0B, WRITE | channel);
        out(&mut dma, 0x0A, channel);
        dma.set_request(true);
        assert_eq!(dma.device_to_memory(&[1, 2]), moved(1, true), "channel {channel}");
        assert_eq!(dma.memory().writes, [(0x56_1234, vec![1])]);
        assert_eq!(inb(&mut dma, 0x08), 0x11 << channel);
    }
}

#[test]
fn the_floppy_cannot_be_on_a_16_bit_channel() {
    // §8.2
    assert!((4..=255).all(|channel| AtDma::with_channel(Recorder::default(), channel).is_none()));
}

#[test]
fn the_memory_can_be_borrowed_and_taken_back() {
    let mut dma = AtDma::new(vec![0; 4]);
    dma.memory_mut()[1] = 7;
    assert_eq!(dma.memory()[1], 7);
    assert_eq!(dma.into_memory(), [0, 7, 0, 0]);
}

// Saved states

/// Returns controllers whose registers all differ from those at power-on.
fn busy() -> AtDma<Recorder> {
    let mut dma = AtDma::with_channel(Recorder::default(), 3).unwrap().with_high_pages();
    for port in (0x00..0x08).chain((0xC0..0xD0).step_by(2)).chain(0x81..0x90).chain([0x482, 0x48B]) {
        out(&mut dma, port, port as u8 | 0x10);
        out(&mut dma, port, port as u8 ^ 0xA5);
    }
    for (port, value) in
        [(0x0B, WRITE | AUTOINITIALIZE | 3), (0x0F, 0x05), (0xD6, READ | 2), (0xDE, 0x0A), (0x08, 0x20)]
    {
        out(&mut dma, port, value);
    }
    dma.device_to_memory(&[0; 0x1_0000]);
    dma.device_to_memory(&[1; 3]);
    dma.set_request(true);
    inb(&mut dma, 0x00);
    dma
}

#[test]
fn restored_controllers_behave_as_the_saved_ones() {
    let mut saved = busy();
    let mut restored = AtDma::from_state(saved.state(), Recorder::default()).unwrap();
    assert_eq!(restored.state(), saved.state());
    saved.memory_mut().writes.clear();
    for port in (0x00..=0xFF).chain(0x480..=0x48F).chain([0x00, 0x08, 0xD0]) {
        assert_eq!(restored.read_port(port), saved.read_port(port), "port {port:#x}");
    }
    assert_eq!(restored.device_to_memory(&[7; 9]), saved.device_to_memory(&[7; 9]));
    assert_eq!(restored.memory().writes, saved.memory().writes);
    assert_eq!(restored.memory().writes.len(), 1);
}

#[test]
fn a_request_and_terminal_count_survive_in_the_status() {
    let mut dma = AtDma::from_state(busy().state(), Recorder::default()).unwrap();
    assert_eq!((inb(&mut dma, 0x08), inb(&mut dma, 0x08)), (0x88, 0x80));
}

#[test]
fn an_unreachable_state_is_refused_by_the_name_of_the_field() {
    type Damage = fn(&mut AtDmaStateV1);
    let damages: [(&str, Damage); 6] = [
        ("channel", |state| state.channel = 4),
        ("high_pages[0]", |state| state.high_pages = Some([1; 16])),
        ("dma1.mask", |state| state.dma1.mask = 0x10),
        ("dma2.terminal_count", |state| state.dma2.terminal_count = 0xF1),
        ("dma1.channels[2].mode", |state| state.dma1.channels[2].mode = 0x46),
        ("dma2.channels[0].mode", |state| state.dma2.channels[0].mode = 0xC1),
    ];
    for (field, damage) in damages {
        let mut state = busy().state();
        damage(&mut state);
        let error = AtDma::from_state(state, Recorder::default()).unwrap_err();
        assert_eq!(error.field, field);
        assert!(!error.reason.is_empty());
    }
}

// Random accesses (§12)

#[test]
fn no_sequence_of_port_accesses_and_transfers_panics_or_leaves_the_page() {
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut dma = with_recorder().with_high_pages();
    let mut data = vec![0; 0x1_8000];
    let mut transfers_that_moved = 0;
    for _ in 0..50_000 {
        let [port, value, sort, high_port, length @ ..] = next().to_le_bytes();
        match sort {
            0..=5 => {
                // Without this, most transfers find the channel masked or in another mode.
                out(&mut dma, 0x0E, 0);
                out(&mut dma, 0xD0, 0);
                out(&mut dma, 0xD4, 0);
                out(&mut dma, 0xD6, CASCADE);
                let offered = u32::from_le_bytes(length) as usize % data.len();
                let page = u64::from(inb(&mut dma, 0x481)) << 24 | u64::from(inb(&mut dma, 0x81)) << 16;
                let moved = if sort % 2 == 0 {
                    dma.device_to_memory(&data[..offered])
                } else {
                    dma.memory_to_device(&mut data[..offered])
                };
                assert!(moved.bytes <= offered && moved.bytes <= 0x1_0000);
                let Recorder { writes, reads } = std::mem::take(dma.memory_mut());
                for (address, bytes) in writes.iter().map(|(address, data)| (*address, data.len())).chain(reads) {
                    assert!(page <= address && address + bytes as u64 <= page + 0x1_0000);
                }
                transfers_that_moved += usize::from(moved.bytes != 0);
            }
            6..=7 => dma.set_request(value & 1 != 0),
            8..=130 => _ = dma.read_port(u16::from_le_bytes([port, high_port & 4])),
            _ => _ = dma.write_port(u16::from_le_bytes([port, high_port & 4]), value),
        }
    }
    assert!(transfers_that_moved > 100);
}
