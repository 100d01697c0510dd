//! The registers and their bits, under the names of the data sheet.

use super::config::InterfaceMode;

/// A register that the host reads (§1), by offset from the base port. Offset 6 belongs to the hard disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ReadRegister {
    /// SRA, +0: signals of the drives (§1.2). Not driven in PC/AT mode.
    StatusA = 0,
    /// SRB, +1: more signals of the drives (§1.3). Not driven in PC/AT mode.
    StatusB = 1,
    /// DOR, +2: motors, DMA gate, reset, drive select (§1.4).
    DigitalOutput = 2,
    /// TDR, +3: the drive that is a tape (§1.5).
    TapeDrive = 3,
    /// MSR, +4: who may move a byte next (§2).
    MainStatus = 4,
    /// FIFO, +5: result bytes, and data without DMA (§1.8).
    Fifo = 5,
    /// DIR, +7: the disk-change line (§1.9).
    DigitalInput = 7,
}

impl ReadRegister {
    pub(super) const MAIN_STATUS: u16 = Self::MainStatus as u16;
    pub(super) const FIFO: u16 = Self::Fifo as u16;

    /// Returns the register at `offset` from the base port, 0 to 7; `None` for 6 and above 7, which are not the controller's.
    #[inline]
    #[must_use]
    pub const fn at(offset: u16) -> Option<Self> {
        // A table, and no branches: the VM monitor calls it for each access to a port.
        const REGISTERS: [Option<ReadRegister>; 8] = [
            Some(ReadRegister::StatusA),
            Some(ReadRegister::StatusB),
            Some(ReadRegister::DigitalOutput),
            Some(ReadRegister::TapeDrive),
            Some(ReadRegister::MainStatus),
            Some(ReadRegister::Fifo),
            None,
            Some(ReadRegister::DigitalInput),
        ];
        if offset < 8 { REGISTERS[offset as usize] } else { None }
    }

    /// Returns the bits that the controller drives when the register is read. The others float. A VM monitor with a hard
    /// disk at the same port takes those of [`DigitalInput`](Self::DigitalInput) from there (§1.9).
    #[must_use]
    pub const fn driven_bits(self, mode: InterfaceMode) -> u8 {
        match (self, mode) {
            (Self::StatusA | Self::StatusB, InterfaceMode::At) => 0x00,
            (Self::DigitalInput, InterfaceMode::At) => dir::DISK_CHANGE,
            (Self::TapeDrive, _) => tdr::TAPE_SELECT,
            _ => 0xFF,
        }
    }
}

/// A register that the host writes (§1), by offset from the base port. SRA and SRB cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum WriteRegister {
    /// DOR, +2: motors, DMA gate, reset, drive select (§1.4).
    DigitalOutput = 2,
    /// TDR, +3: the drive that is a tape (§1.5).
    TapeDrive = 3,
    /// DSR, +4: reset, power down, precompensation, data rate (§1.7).
    DataRateSelect = 4,
    /// FIFO, +5: command bytes, and data without DMA (§1.8).
    Fifo = 5,
    /// CCR, +7: data rate (§1.10).
    ConfigurationControl = 7,
}

impl WriteRegister {
    pub(super) const FIFO: u16 = Self::Fifo as u16;

    /// Returns the register at `offset` from the base port; `None` for 0, 1, 6 and above 7, where nothing can be written.
    #[inline]
    #[must_use]
    pub const fn at(offset: u16) -> Option<Self> {
        match offset {
            2 => Some(Self::DigitalOutput),
            3 => Some(Self::TapeDrive),
            4 => Some(Self::DataRateSelect),
            5 => Some(Self::Fifo),
            7 => Some(Self::ConfigurationControl),
            _ => None,
        }
    }
}

/// Tape drive register.
pub(super) mod tdr {
    /// TAPE SEL: the drive that is a tape.
    pub const TAPE_SELECT: u8 = 0x03;
}

/// Main status register.
pub(super) mod msr {
    /// RQM: the host may move a byte.
    pub const REQUEST: u8 = 0x80;
    /// DIO: the byte goes to the host.
    pub const TO_HOST: u8 = 0x40;
    /// NON DMA: execution phase of a transfer without DMA.
    pub const NON_DMA: u8 = 0x20;
    /// RQM, DIO and NON DMA, which tell who may move a byte of the data.
    pub const DATA_PHASE: u8 = REQUEST | TO_HOST | NON_DMA;
    /// CMD BSY: a command is in progress.
    pub const BUSY: u8 = 0x10;
}

/// Digital output register.
pub(super) mod dor {
    /// DRIVE SEL: the drive that is selected.
    pub const SELECT: u8 = 0x03;
    /// nRESET: 0 holds the controller in reset.
    pub const NOT_RESET: u8 = 0x04;
    /// DMAGATE: INT and DRQ are driven, DACK and TC are seen.
    pub const DMA_GATE: u8 = 0x08;
    /// MOT EN0; the other three follow.
    pub const MOTOR_0: u8 = 0x10;
}

/// Data rate select register.
pub(super) mod dsr {
    /// S/W RESET: resets as the DOR does, and clears itself.
    pub const RESET: u8 = 0x80;
    /// POWER DOWN: stops the controller until a reset.
    pub const POWER_DOWN: u8 = 0x40;
}

/// Digital input register.
pub(super) mod dir {
    /// DSKCHG: the disk-change line of the selected drive.
    pub const DISK_CHANGE: u8 = 0x80;
}

/// Configuration control register.
pub(super) mod ccr {
    /// NOPREC, in Model 30 mode: stored, shown in DIR, and without effect.
    pub const NO_PRECOMPENSATION: u8 = 0x04;
}

/// Status register 0.
pub(super) mod st0 {
    /// IC = 01: started, and failed.
    pub const ABNORMAL: u8 = 0x40;
    /// IC = 10: no such command.
    pub const INVALID: u8 = 0x80;
    /// IC = 11: the drive changed its ready state, as polling found.
    pub const POLLING: u8 = 0xC0;
    /// SE: a seek ended.
    pub const SEEK_END: u8 = 0x20;
    /// EC: TRK0 was not found by RECALIBRATE, or was passed by RELATIVE SEEK.
    pub const EQUIPMENT_CHECK: u8 = 0x10;
}

/// Status register 1.
pub(super) mod st1 {
    /// EN: the last sector of the track was passed without terminal count.
    pub const END_OF_CYLINDER: u8 = 0x80;
    /// DE: CRC error in an ID or data field.
    pub const DATA_ERROR: u8 = 0x20;
    /// OR: the host was too slow.
    pub const OVERRUN: u8 = 0x10;
    /// ND: the sector was not found.
    pub const NO_DATA: u8 = 0x04;
    /// NW: the disk is write protected.
    pub const NOT_WRITABLE: u8 = 0x02;
    /// MA: no address mark was found.
    pub const MISSING_ADDRESS_MARK: u8 = 0x01;
}

/// Status register 2.
pub(super) mod st2 {
    /// CM: a mark of the other kind was met.
    pub const CONTROL_MARK: u8 = 0x40;
    /// DD: CRC error in a data field.
    pub const DATA_ERROR: u8 = 0x20;
    /// SH: the sector equals what the host gave.
    pub const SCAN_HIT: u8 = 0x08;
    /// SN: no sector was as SCAN asked.
    pub const SCAN_NOT_SATISFIED: u8 = 0x04;
    /// WC: an ID names another cylinder.
    pub const WRONG_CYLINDER: u8 = 0x10;
    /// BC: an ID names cylinder 0xFF.
    pub const BAD_CYLINDER: u8 = 0x02;
    /// MD: no data mark follows the ID.
    pub const MISSING_DATA_MARK: u8 = 0x01;
}

/// Status register 3.
pub(super) mod st3 {
    /// WP: the disk is write protected.
    pub const WRITE_PROTECTED: u8 = 0x40;
    /// T0: the head is at cylinder 0.
    pub const TRACK_0: u8 = 0x10;
    /// Bits 5 and 3: ready is tied true, and bit 3 always reads 1.
    pub const ALWAYS: u8 = 0x28;
}

/// Byte 2 of CONFIGURE.
pub(super) mod configure {
    /// EIS: seek before a transfer when the cylinder is another.
    pub const IMPLIED_SEEK: u8 = 0x40;
    /// EFIFO: the FIFO is off.
    pub const FIFO_OFF: u8 = 0x20;
    /// FIFOTHR: the threshold, less one.
    pub const THRESHOLD: u8 = 0x0F;
    /// POLL: the drives are not looked at.
    pub const POLL: u8 = 0x10;
    /// The bits that exist.
    pub const ALL: u8 = 0x7F;
}

/// PERPENDICULAR MODE.
pub(super) mod perpendicular {
    /// OW: the drive bits are to be written.
    pub const OVERWRITE: u8 = 0x80;
    /// D3 to D0: the drives that hold perpendicular media.
    pub const DRIVES: u8 = 0x3C;
    /// GAP and WGATE.
    pub const GAP_AND_GATE: u8 = 0x03;
}
