//! The status bytes of a result: the bits of ST1 and ST2, and the values of ST0, ST1 and ST2 after common outcomes. A
//! name joins the bits that are set: `DE_DD` is DE in ST1 and DD in ST2, with an abnormal end in ST0.

/// ST0, ST1 and ST2 of a command for head 0 of drive 0.
pub type Status = [u8; 3];

/// ST0: the command ended abnormally (§5.1).
pub const ABNORMAL: u8 = 0x40;

/// Bits of ST1 (§5.2).
pub mod st1 {
    /// End of cylinder.
    pub const EN: u8 = 0x80;
    /// Data error: a bad CRC.
    pub const DE: u8 = 0x20;
    /// Overrun or underrun.
    pub const OR: u8 = 0x10;
    /// No data: no ID is the one that the command names.
    pub const ND: u8 = 0x04;
    /// Not writable.
    pub const NW: u8 = 0x02;
    /// Missing address mark.
    pub const MA: u8 = 0x01;
}

/// Bits of ST2 (§5.3).
pub mod st2 {
    /// Control mark: a sector with the other data mark.
    pub const CM: u8 = 0x40;
    /// The data error is in a data field.
    pub const DD: u8 = 0x20;
    /// Wrong cylinder.
    pub const WC: u8 = 0x10;
    /// Scan equal hit.
    pub const SH: u8 = 0x08;
    /// Scan not satisfied.
    pub const SN: u8 = 0x04;
    /// Bad cylinder.
    pub const BC: u8 = 0x02;
    /// The missing address mark is that of a data field.
    pub const MD: u8 = 0x01;
}

pub const OK: Status = [0, 0, 0];
/// A normal end at a sector with the other data mark.
pub const CM: Status = [0, 0, st2::CM];
/// An abnormal end without a bit in ST1 and ST2.
pub const REFUSED: Status = NW;
pub const EN: Status = abnormal(st1::EN, 0);
pub const EN_CM: Status = abnormal(st1::EN, st2::CM);
pub const DE: Status = abnormal(st1::DE, 0);
pub const DE_DD: Status = abnormal(st1::DE, st2::DD);
pub const DE_DD_CM: Status = abnormal(st1::DE, st2::DD | st2::CM);
pub const OR: Status = abnormal(st1::OR, 0);
pub const ND: Status = abnormal(st1::ND, 0);
pub const ND_WC: Status = abnormal(st1::ND, st2::WC);
pub const ND_BC: Status = abnormal(st1::ND, st2::BC);
pub const NW: Status = abnormal(st1::NW, 0);
pub const MA: Status = abnormal(st1::MA, 0);
pub const MA_MD: Status = abnormal(st1::MA, st2::MD);

/// The same status for head 1.
pub const fn on_head_1([st0, st1, st2]: Status) -> Status {
    [st0 | 0x04, st1, st2]
}

const fn abnormal(st1: u8, st2: u8) -> Status {
    [ABNORMAL, st1, st2]
}
