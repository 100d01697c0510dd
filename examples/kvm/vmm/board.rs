//! The devices on the bus: the map of the I/O ports, and the small devices that SeaBIOS requires.

use std::{cell::RefCell, io, rc::Rc, time::Duration};

use super::{fw_cfg::FwCfg, pic::Pics, pit::Pit, serial::Serial};
use crate::floppy::Floppy;

const COM1: u16 = 0x3F8;
const COM1_END: u16 = COM1 + 7;
const FW_CFG: u16 = 0x510;
const FW_CFG_DATA: u16 = 0x511;
const DEBUG: u16 = 0x402;
const PCI_ADDRESS: u16 = 0xCF8;
const PCI_DATA: u16 = 0xCFC;
const PCI_DATA_END: u16 = PCI_DATA + 3;
/// Port within `PCI_ADDRESS`: a write of one byte resets the machine.
const RESET_CONTROL: u16 = 0xCF9;

pub struct Board {
    pub floppy: Floppy,
    pub pics: Rc<RefCell<Pics>>,
    pub serial: Serial,
    pit: Pit,
    fw_cfg: FwCfg,
    cmos: Cmos,
    bridge: HostBridge,
    port_92: u8,
    /// Print the debug messages of SeaBIOS.
    verbose: bool,
    /// The guest requested a reset.
    pub reset: bool,
}

impl Board {
    pub fn new(floppy: Floppy, pics: Rc<RefCell<Pics>>, memory_bytes: u64, verbose: bool) -> Self {
        let cmos = Cmos::new(memory_bytes, floppy.cmos_types());
        // The screen is COM1, and there is no keyboard for a boot menu.
        let fw_cfg = FwCfg::new(&[("etc/sercon-port", COM1), ("etc/show-boot-menu", 0)]);
        Self {
            floppy,
            pics,
            serial: Serial::default(),
            pit: Pit::default(),
            fw_cfg,
            cmos,
            bridge: HostBridge::new(),
            port_92: 0x02, // the address line A20 is always enabled
            verbose,
            reset: false,
        }
    }

    /// Advances the devices to the time `now`.
    pub fn advance(&mut self, now: Duration) {
        self.floppy.advance(now);
        if self.pit.ticked(now) {
            let mut pics = self.pics.borrow_mut();
            pics.set_line(0, true);
            pics.set_line(0, false);
        }
    }

    /// Returns the time of the next event.
    pub fn deadline(&self) -> Option<Duration> {
        self.pit.deadline().into_iter().chain(self.floppy.deadline()).min()
    }

    /// Performs `IN`, or `REP INS` if `data` has more than one access of `width` bytes.
    pub fn read(&mut self, now: Duration, port: u16, width: usize, data: &mut [u8]) {
        if self.floppy.read(now, port, width, data) {
            return;
        }
        for access in data.chunks_mut(width.max(1)) {
            for (port, byte) in (port..=u16::MAX).zip(access) {
                *byte = self.read_byte(now, port);
            }
        }
    }

    /// Performs `OUT`, or `REP OUTS` if `data` has more than one access of `width` bytes.
    pub fn write(&mut self, now: Duration, port: u16, width: usize, data: &[u8]) -> io::Result<()> {
        if self.floppy.write(now, port, width, data) {
            return Ok(());
        }
        for access in data.chunks(width.max(1)) {
            match (port, access) {
                (FW_CFG, &[low, high]) => self.fw_cfg.select(u16::from_le_bytes([low, high])),
                (PCI_ADDRESS, &[a, b, c, d]) => self.bridge.address = u32::from_le_bytes([a, b, c, d]),
                (RESET_CONTROL, &[value]) => self.reset |= value & 0x04 != 0,
                _ => {
                    for (port, &byte) in (port..=u16::MAX).zip(access) {
                        self.write_byte(now, port, byte)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads a byte. A port without a device reads as 0xFF.
    fn read_byte(&mut self, now: Duration, port: u16) -> u8 {
        match port {
            0x71 => self.cmos.read(),
            0x92 => self.port_92,
            COM1..=COM1_END => self.serial.read(port - COM1),
            DEBUG if self.verbose => 0xE9, // the value by which SeaBIOS detects this port
            FW_CFG_DATA => self.fw_cfg.read(),
            PCI_ADDRESS..PCI_DATA => self.bridge.address.to_le_bytes()[usize::from(port & 3)],
            PCI_DATA..=PCI_DATA_END => self.bridge.read(port & 3),
            _ => self.pit.read(now, port).or_else(|| self.pics.borrow().read(port)).unwrap_or(0xFF),
        }
    }

    fn write_byte(&mut self, now: Duration, port: u16, value: u8) -> io::Result<()> {
        match port {
            0x70 => self.cmos.index = value & 0x7F,
            0x71 => self.cmos.write(value),
            0x92 => {
                self.reset |= value & 1 != 0;
                self.port_92 = value | 0x02;
            }
            COM1..=COM1_END => self.serial.write(port - COM1, value)?,
            DEBUG if self.verbose => eprint!("{}", char::from(value)),
            PCI_DATA..=PCI_DATA_END => self.bridge.write(port & 3, value),
            _ => {
                let _ = self.pit.write(now, port, value) || self.pics.borrow_mut().write(port, value);
            }
        }
        Ok(())
    }
}

/// CMOS memory, which describes the machine to its firmware. The clock does not run.
struct Cmos {
    bytes: [u8; 128],
    index: u8,
}

impl Cmos {
    fn new(memory_bytes: u64, floppy_types: u8) -> Self {
        let mut bytes = [0; 128];
        let mut set = |at: usize, value: u16| bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
        let above = |base: u64, unit: u64| u16::try_from(memory_bytes.saturating_sub(base) / unit).unwrap_or(u16::MAX);
        set(0x15, 640); // KiB below the first MiB
        set(0x17, above(1 << 20, 1 << 10));
        set(0x30, above(1 << 20, 1 << 10));
        set(0x34, above(16 << 20, 64 << 10));
        for (at, value) in [
            (0x04, 0x12), // noon on the 2nd of January 2024, in BCD
            (0x06, 0x03),
            (0x07, 0x02),
            (0x08, 0x01),
            (0x09, 0x24),
            (0x32, 0x20),
            (0x0A, 0x26), // the divider is on, no update is in progress
            (0x0B, 0x02), // 24 hours, BCD
            (0x0D, 0x80), // the battery is good
            (0x10, floppy_types),
            (0x14, 0x03), // a floppy drive and a math coprocessor
            (0x38, 0x00), // require the boot signature; no third boot device
            (0x3D, 0x01), // boot from the floppy only
        ] {
            bytes[at] = value;
        }
        Self { bytes, index: 0 }
    }

    fn read(&self) -> u8 {
        self.bytes[usize::from(self.index)]
    }

    fn write(&mut self, value: u8) {
        // The status registers A to D are read-only here.
        if !(0x0A..=0x0D).contains(&self.index) {
            self.bytes[usize::from(self.index)] = value;
        }
    }
}

/// The only device on the PCI bus: a host bridge by which SeaBIOS detects the configuration interface of QEMU. All
/// memory is RAM, whatever is written to the registers.
struct HostBridge {
    address: u32,
    registers: [u8; 256],
}

impl HostBridge {
    fn new() -> Self {
        let mut registers = [0; 256];
        registers[..4].copy_from_slice(&[0x86, 0x80, 0x37, 0x12]); // Intel 82441FX
        registers[0x0A..0x0C].copy_from_slice(&[0x00, 0x06]); // a host bridge
        registers[0x2C..0x30].copy_from_slice(&[0xF4, 0x1A, 0x00, 0x11]); // of QEMU
        registers[0x59] = 0x10; // PAM0: the BIOS is in RAM
        Self { address: 0, registers }
    }

    /// Returns the addressed register; `None` if the address is of another device.
    fn register(&self, byte: u16) -> Option<usize> {
        let is_it = self.address & 0x80FF_FF00 == 0x8000_0000;
        is_it.then_some((self.address & 0xFC) as usize + usize::from(byte))
    }

    fn read(&self, byte: u16) -> u8 {
        self.register(byte).map_or(0xFF, |at| self.registers[at])
    }

    fn write(&mut self, byte: u16, value: u8) {
        if let Some(at) = self.register(byte).filter(|&at| at >= 0x40) {
            self.registers[at] = value;
        }
    }
}
