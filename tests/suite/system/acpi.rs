//! The controller in ACPI tables: byte by byte, and as the disassembler `iasl` reads them.

#![cfg(feature = "acpi")]

use std::{
    fs,
    process::{Command, Output},
};

use acpi_tables::{Aml, aml::Scope, sdt::Sdt};
use vm_fdc::{
    Controller,
    drive::DriveType::{self, Inch3_5Dd, Inch3_5Ed, Inch3_5Hd, Inch5_25Dd, Inch5_25Hd},
    firmware::{AcpiDevice, AcpiError},
};

/// The length of the header of a table.
const HEADER: usize = 36;

fn one_drive() -> AcpiDevice {
    AcpiDevice::new([Some(Inch3_5Hd), None, None, None])
}

fn aml(device: &dyn Aml) -> Vec<u8> {
    let mut bytes = Vec::new();
    device.to_aml_bytes(&mut bytes);
    bytes
}

/// Returns a DSDT with the devices, as a VM monitor passes it to its guests.
fn dsdt(devices: Vec<&dyn Aml>) -> Vec<u8> {
    let mut dsdt = Sdt::new(*b"DSDT", HEADER as u32, 2, *b"VMFDC_", *b"FLOPPY__", 1);
    dsdt.append_slice(&aml(&Scope::new("\\_SB_".into(), devices)));
    dsdt.as_slice().to_vec()
}

/// Returns the bytes after `name`.
fn object<'a>(aml: &'a [u8], name: &str) -> &'a [u8] {
    let place = aml.windows(4).position(|window| window == name.as_bytes());
    &aml[place.unwrap_or_else(|| panic!("there is no {name}")) + 4..]
}

/// Returns the ASL of a DSDT with these devices as `iasl` disassembles it, without blanks and comments, and checks that it
/// compiles to the same bytes. Prints a message and returns `None` if `iasl` is not installed.
fn disassembled(devices: Vec<&dyn Aml>) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let iasl = |arguments: &[&str]| Command::new("iasl").args(arguments).current_dir(&folder).output();
    if iasl(&["-v"]).is_err() {
        eprintln!("skipped: there is no iasl (acpica-tools) to disassemble the table");
        return None;
    }
    let table = dsdt(devices);
    fs::write(folder.path().join("dsdt.aml"), &table).unwrap();
    check(&iasl(&["-d", "dsdt.aml"]).unwrap());
    // Warnings are errors. Optimization is off, because it changes the bytes.
    check(&iasl(&["-we", "-oa", "-p", "again", "dsdt.dsl"]).unwrap());
    let again = fs::read(folder.path().join("again.aml")).unwrap();
    assert!(again[HEADER..] == table[HEADER..], "compiles to other bytes: {again:02X?}, not {table:02X?}");
    Some(without_comments(&fs::read_to_string(folder.path().join("dsdt.dsl")).unwrap()))
}

/// Checks that the program succeeded.
fn check(output: &Output) {
    let Output { status, stdout, stderr } = output;
    let output_text = [String::from_utf8_lossy(stdout), String::from_utf8_lossy(stderr)].concat();
    assert!(status.success(), "{status}: {output_text}");
}

/// Removes comments, and blanks, which differ between versions of `iasl`.
fn without_comments(asl: &str) -> String {
    let lines = asl.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code));
    let (mut code, text) = (String::new(), lines.collect::<String>());
    let mut rest = text.as_str();
    while let Some((before, comment)) = rest.split_once("/*") {
        code += before;
        rest = comment.split_once("*/").map_or("", |(_, after)| after);
    }
    (code + rest).split_whitespace().collect()
}

/// Checks that the ASL contains `object`, which is written with blanks.
fn assert_has(asl: &str, object: &str) {
    assert!(asl.contains(&object.split_whitespace().collect::<String>()), "no {object} in {asl}");
}

#[test]
fn the_device_disassembles_to_the_expected_asl() {
    // §13
    let Some(asl) = disassembled(vec![&one_drive()]) else { return };
    for object in [
        "Scope (\\_SB) { Device (FDC0) {",
        "Name (_HID, EisaId (\"PNP0700\"))",
        "Name (_UID, Zero)",
        "Name (_STA, 0x0F)",
        "IO (Decode16, 0x03F2, 0x03F2, 0x01, 0x04, ) IO (Decode16, 0x03F7, 0x03F7, 0x01, 0x01, )",
        "IRQNoFlags () {6} DMA (Compatibility, NotBusMaster, Transfer8, ) {2} })",
        "Name (_FDE, Buffer (0x14) { 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, \
         0x00, 0x00, 0x02, 0x00, 0x00, 0x00 })",
        "Device (FLP0) { Name (_ADR, Zero) Name (_FDI, Package (0x10) { Zero, 0x04, 0x4F, 0x12, One, 0xAF, 0x02, 0x25, \
         0x02, 0x12, 0x1B, 0xFF, 0x6C, 0xF6, 0x0F, 0x08 }) }",
    ] {
        assert_has(&asl, object);
    }
}

#[test]
fn two_controllers_with_all_drives_disassemble_to_the_expected_asl() {
    // §9.1, §13
    let first = AcpiDevice::new([Some(Inch5_25Dd), Some(Inch5_25Hd), Some(Inch3_5Dd), Some(Inch3_5Ed)]);
    let second = AcpiDevice::new([None, Some(Inch3_5Hd), None, None]);
    let second = second.base(Controller::SECONDARY).unwrap().irq(15).unwrap().dma(3).unwrap().uid(15).unwrap();
    let Some(asl) = disassembled(vec![&first, &second]) else { return };
    let devices: Vec<_> = asl.split("Device(").skip(1).collect();
    let heads: Vec<_> = devices.iter().map(|device| &device[..4]).collect();
    assert_eq!(heads, ["FDC0", "FLP0", "FLP1", "FLP2", "FLP3", "FDCF", "FLP1"]);
    for (device, object) in [
        (1, "Name (_ADR, Zero) Name (_FDI, Package (0x10) { Zero, One, 0x27, 0x09, One, 0xDF,"),
        (2, "Name (_ADR, One) Name (_FDI, Package (0x10) { One, 0x02, 0x4F, 0x0F, One, 0xDF,"),
        (3, "Name (_ADR, 0x02) Name (_FDI, Package (0x10) { 0x02, 0x03, 0x4F, 0x09, One, 0xDF,"),
        (4, "Name (_ADR, 0x03) Name (_FDI, Package (0x10) { 0x03, 0x05, 0x4F, 0x24, One, 0xAF,"),
        (5, "Name (_UID, 0x0F)"),
        (5, "IO (Decode16, 0x0372, 0x0372, 0x01, 0x04, ) IO (Decode16, 0x0377, 0x0377, 0x01, 0x01, )"),
        (5, "IRQNoFlags () {15} DMA (Compatibility, NotBusMaster, Transfer8, ) {3} })"),
        (6, "Name (_ADR, One) Name (_FDI, Package (0x10) { One, 0x04,"),
    ] {
        assert_has(devices[device], object);
    }
}

#[test]
fn the_resources_are_those_of_a_pc() {
    // §13: I/O 0x3F2 to 0x3F5, I/O 0x3F7, IRQ 6, DMA 2 of 8 bits.
    let resources = [
        0x47, 0x01, 0xF2, 0x03, 0xF2, 0x03, 0x01, 0x04, 0x47, 0x01, 0xF7, 0x03, 0xF7, 0x03, 0x01, 0x01, 0x22, 0x40,
        0x00, 0x2A, 0x04, 0x00, 0x79, 0x00,
    ];
    let aml = aml(&one_drive());
    // A buffer: opcode, length of the package, length of the buffer.
    assert_eq!(object(&aml, "_CRS")[..4], [0x11, 0x1B, 0x0A, resources.len() as u8]);
    assert_eq!(object(&aml, "_CRS")[4..][..resources.len()], resources);
}

#[test]
fn the_present_drives_are_enumerated_and_no_tape() {
    // §13
    let aml = aml(&AcpiDevice::new([None, Some(Inch3_5Hd), None, Some(Inch3_5Hd)]));
    let words = [0, 1, 0, 1, 2].map(u32::to_le_bytes).concat();
    assert_eq!(object(&aml, "_FDE")[..4], [0x11, 0x17, 0x0A, 20]);
    assert_eq!(object(&aml, "_FDE")[4..][..20], words);
}

#[test]
fn a_drive_describes_its_number_and_its_int_13h_parameters() {
    // §9.3, §13
    let aml = aml(&AcpiDevice::new([None, None, Some(DriveType::Inch3_5Hd), None]));
    assert_eq!(object(&aml, "_ADR")[..2], [0x0A, 2]);
    let elements = [0x02, 0x04, 0x4F, 0x12, 0x01, 0xAF, 0x02, 0x25, 0x02, 0x12, 0x1B, 0xFF, 0x6C, 0xF6, 0x0F, 0x08];
    let constants = elements.into_iter().flat_map(|byte| if byte == 1 { vec![1] } else { vec![0x0A, byte] });
    let constants: Vec<u8> = constants.collect();
    // A package: opcode, length, number of elements.
    assert_eq!(object(&aml, "_FDI")[..3], [0x12, constants.len() as u8 + 2, 16]);
    assert_eq!(object(&aml, "_FDI")[3..][..constants.len()], constants);
}

#[test]
fn a_controller_without_drives_is_no_device() {
    // §13
    assert_eq!(aml(&AcpiDevice::new([None; 4])), [0_u8; 0]);
}

#[test]
fn a_controller_of_the_library_describes_itself() {
    let fdc = Controller::builder().drive(0, Inch3_5Hd).build().unwrap();
    assert_eq!(AcpiDevice::new(&fdc.drives()), one_drive());
}

#[test]
fn invalid_resources_are_refused_by_name() {
    assert_eq!(one_drive().irq(16), Err(AcpiError::Irq(16)));
    assert_eq!(one_drive().dma(4), Err(AcpiError::Dma(4)));
    assert_eq!(one_drive().uid(16), Err(AcpiError::Uid(16)));
    assert_eq!(one_drive().base(0xFFF9), Err(AcpiError::Base(0xFFF9)));
    assert_eq!(AcpiError::Dma(4).to_string(), "DMA channel 4 is no 8-bit channel; it must be 0 to 3");
}

#[test]
fn the_highest_resources_can_be_described() {
    let highest = one_drive().irq(15).unwrap().dma(3).unwrap().uid(15).unwrap().base(0xFFF8).unwrap();
    let aml = aml(&highest);
    assert_eq!(object(&aml, "_CRS")[4 + 8..][..11], [0x47, 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 1, 1, 0x22, 0x00, 0x80]);
}
