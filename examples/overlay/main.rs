//! Media of the VM monitor: many machines with one installation disk, each with its changes in a file of its own, and a disk
//! from a member of an archive.
//!
//! ```sh
//! cargo run --example overlay
//! ```

mod medium;

use std::{error::Error, fs};

use medium::Overlay;
use vm_fdc::{
    Controller,
    drive::DriveType,
    media::{Geometry, ImageOptions, Mark, Medium, SectorDisk, SharedImage},
};

const IMAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/dos-1440k.img");

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let geometry = Geometry::HD_1440K;
    // Its bytes are in memory once.
    let installation = SharedImage::open(IMAGE, ImageOptions::default().with_geometry(geometry))?;

    for machine in 0..3 {
        let path = folder.path().join(format!("machine-{machine}.changes"));
        let mut overlay = Overlay::open(installation.read_only(), geometry.sector_size(), &path)?;
        // In place of a guest.
        overlay.write(40, 0, 0, 1, Mark::Data)?.fill(machine);
        overlay.finish_write(40, 0, 0, 1, Mark::Data);

        let fdc = Controller::builder().drive(0, DriveType::Inch3_5Hd).build()?;
        let drive = fdc.drive(0)?;
        drive.attach_medium(overlay)?;
        let name = drive.medium_name().unwrap_or_default();
        println!("{name}: {:?}", drive.image_type());
        drive.release_image()?;

        let again = Overlay::open(installation.read_only(), geometry.sector_size(), &path)?;
        println!("  {} sectors, {} bytes", again.changed_sectors(), fs::metadata(&path)?.len());
    }

    // A member of an archive has no file to which the guest could write. Its bytes become a disk in memory, which is write
    // protected so that nobody believes that writes last.
    let member = fs::read(IMAGE)?; // in place of a decompressor
    let mut disk = SectorDisk::from_raw(geometry, &member)?.with_name("disks.zip: install.img");
    disk.set_write_protected(true);
    let fdc = Controller::builder().drive(0, DriveType::Inch3_5Hd).build()?;
    let drive = fdc.drive(0)?;
    drive.attach_medium(disk)?;
    println!("{}: write protected: {}", drive.medium_name().unwrap_or_default(), drive.is_write_protected());
    Ok(())
}
