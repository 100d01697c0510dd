//! Management of the media of a floppy drive while the guest runs: create an image, attach it, let the guest write,
//! swap it, handle a release that fails, and save the data elsewhere. Each outcome is printed with its HRESULT, its
//! name and its message.
//!
//! ```sh
//! cargo run --example media
//! ```

use std::{error::Error, fs, path::Path, sync::mpsc};

use vm_fdc::{
    Controller,
    dma::AtDma,
    drive::{DriveType, FloppyDrive, HResult},
    media::{Access, BlankImage, Geometry, IfExists},
};

const SECTOR: usize = 512;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let [first, second, large, saved] =
        ["first.img", "second.img", "large.img", "saved.img"].map(|name| folder.path().join(name));

    let mut guest = Guest::new()?;
    let drive = guest.fdc.drive(0)?;
    let (sender, events) = mpsc::channel();
    drive.observe(sender);

    println!("Create, attach, write, release");
    BlankImage::new(Geometry::HD_1440K).create(&first, IfExists::Fail)?;
    BlankImage::new(Geometry::HD_1440K).create(&second, IfExists::Fail)?;
    BlankImage::new(Geometry::ED_2880K).create(&large, IfExists::Fail)?;
    report("attach first.img", drive.attach_image(&first, Access::ReadWrite));
    println!(
        "  it is {:?}, {}",
        drive.image_type(),
        drive.layout().map_or_else(String::new, |layout| layout.to_string())
    );
    guest.write(0x11)?;
    report("attach second.img as well", drive.attach_image(&second, Access::ReadWrite));
    report("release the host drive", drive.release_host_drive());

    println!("Swap");
    report("swap for a missing file", drive.swap_image("missing.img", Access::ReadWrite));
    report("swap for large.img", drive.swap_image(&large, Access::ReadWrite));
    report("swap for second.img", drive.swap_image(&second, Access::ReadWrite));
    guest.write(0x22)?;
    println!("  first.img has {:#04x} in its first sector", first_byte(&first)?);

    println!("A release that fails");
    fs::OpenOptions::new().write(true).open(&second)?.set_len(0)?;
    println!("  another program has emptied second.img");
    println!(
        "  the guest writes: {}",
        guest.write(0x33).map_or_else(|error| error.to_string(), |()| "done".to_owned())
    );
    report("release second.img", drive.release_image());
    println!("  still attached: {:?}", drive.attachment());
    report("save it as saved.img", drive.save_image(&saved, IfExists::Fail));
    println!("  saved.img has {:#04x} in its first sector", first_byte(&saved)?);
    fs::OpenOptions::new().write(true).open(&second)?.set_len(Geometry::HD_1440K.bytes())?;
    report("release it again, with its size restored", drive.release_image());
    println!("  second.img has {:#04x} in its first sector", first_byte(&second)?);
    report("release once more", drive.release_image());

    println!("The virtual machine is shut down");
    drop(guest);
    report("attach first.img", drive.attach_image(&first, Access::ReadWrite));
    print_number(&drive);

    println!("Events");
    for event in events.try_iter() {
        let name = event.path().and_then(Path::file_name).unwrap_or_default();
        let what = ["OnMediaInsert", "OnMediaEject", "reformatted"][event.dispatch_id() as usize - 1];
        println!("  {what}({})", name.display());
    }
    Ok(())
}

/// Prints an outcome: its HRESULT, its name, and its message with all causes.
fn report<E: Error>(what: &str, outcome: Result<(), E>)
where
    for<'e> HResult: From<&'e E>,
{
    let Err(error) = outcome else {
        return println!("  {what}: {} S_OK", HResult::S_OK);
    };
    // The `Debug` form begins with the name of the variant.
    let debug = format!("{error:?}");
    let name = debug.split([' ', '(', '{']).find(|word| !["Attach", "Release"].contains(word)).unwrap_or_default();
    print!("  {what}: {} {name}: {error}", HResult::from(&error));
    let mut cause = error.source();
    while let Some(error) = cause {
        print!(": {error}");
        cause = error.source();
    }
    println!();
}

fn print_number(drive: &FloppyDrive) {
    println!("  drive_number still answers: {}", drive.drive_number());
}

fn first_byte(path: &Path) -> Result<u8, Box<dyn Error>> {
    fs::read(path)?.first().copied().ok_or_else(|| "the file is empty".into())
}

/// A machine with one 1.44M drive, and the driver of the guest.
struct Guest {
    fdc: Controller<fn(bool), AtDma<Vec<u8>>>,
}

impl Guest {
    fn new() -> Result<Self, Box<dyn Error>> {
        let no_interrupt: fn(bool) = |_| {};
        let builder = Controller::builder().drive(0, DriveType::Inch3_5Hd);
        let mut fdc = builder.interrupt(no_interrupt).dma(AtDma::new(vec![0; 1 << 20])).build()?;
        fdc.write_port(0x3F2, 0x1C); // out of reset, motor on, drive 0 selected
        fdc.write_port(0x3F7, 0x00); // 500 kb/s
        for byte in [0x03, 0xAF, 0x02] {
            fdc.write_port(0x3F5, byte); // SPECIFY
        }
        Ok(Self { fdc })
    }

    /// Performs WRITE DATA of the first sector, filled with `value`.
    fn write(&mut self, value: u8) -> Result<(), Box<dyn Error>> {
        self.fdc.dma_mut().memory_mut()[..SECTOR].fill(value);
        for (port, value) in
            [(0x0A, 0x06), (0x0C, 0), (0x0B, 0x4A), (0x04, 0), (0x04, 0), (0x81, 0), (0x05, 0xFF), (0x05, 1), (0x0A, 2)]
        {
            self.fdc.dma_mut().write_port(port, value);
        }
        for byte in [0x45, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF] {
            self.fdc.write_port(0x3F5, byte);
        }
        let result: Vec<_> = (0..7).filter_map(|_| self.fdc.read_port(0x3F5)).collect();
        match result[..] {
            [st0, ..] if st0 & 0xC0 == 0 => Ok(()),
            _ => Err(format!("WRITE DATA failed: {:02X?}", &result).into()),
        }
    }
}
