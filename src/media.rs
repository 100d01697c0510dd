//! Media: what a disk surface is, as the head of a drive reads and writes it.
//!
//! A [`Medium`] shows its tracks as sequences of sectors in the order in which they pass the head, and returns their
//! bytes in place. It knows nothing of drives, controllers or commands.
//!
//! | type | is |
//! |---|---|
//! | [`Image`] | a raw image in a file: the usual medium |
//! | [`SharedImage`] | a raw image in memory once, for many drives that do not write its file |
//! | [`SectorDisk`] | a disk in memory that can hold what no raw image can, such as deleted marks and CRC errors |
//! | [`FaultyMedium`] | a medium around another one, on which chosen sectors fail |
//! | [`BlankImage`] | creates image files |
//! | [`container`] | opens and saves files with a header, such as those of ImageDisk, as a [`SectorDisk`] |
//!
//! [`Format`] and [`FORMATS`] list the formats that are known by the size of their image; [`Geometry`] describes any
//! other disk whose tracks are all alike.
//!
//! # Media of the VM monitor
//!
//! A VM monitor implements [`Medium`] for disks that are neither files nor in memory. The example `overlay` of the
//! repository has a disk whose changes are in a file of their own, as in an overlay of QCOW2, and a disk from a member of
//! an archive. With the feature `conformance`, `vm_fdc::conformance::check_medium` tests such a medium.
//!
//! # Formats in another layout
//!
//! A raw image takes a FORMAT in its own layout only. With [`ImageOptions::with_reformat`] a guest can format it in another
//! one, and the image becomes that disk.
//!
//! # What others can do to the file of an image
//!
//! The file is locked with the host's file locks (`flock` on Unix): of those that respect them, one can write the file,
//! or any number can read it. Most programs do not respect them. What happens then depends on where the bytes of the
//! image are:
//!
//! | what another program does | in memory of the library, the default | [mapped](ImageOptions::with_mapping), an unsafe choice |
//! |---|---|---|
//! | truncates or lengthens the file | reads continue; a command that writes fails as on a host I/O error (IC=01, ST1.DE), and so does the release, until the length is restored | **ends the process** (SIGBUS) when the guest reads there; a release fails |
//! | deletes or replaces the file | the guest continues; a release fails if the guest has written anything, and leaves the new file unchanged | the same |
//! | writes to the file | the guest does not see it; the guest's own writes go where they belong | undefined: the contract of that choice is broken |
//! | renames the file, or makes it read-only | no effect | no effect |
//! | fills the host's disk, so that there is no room for a hole in the file | the command that writes there fails, and so does the release, until there is room | all room is allocated at the attach, or the attach fails; on file systems that copy on write it can **end the process** later |
//! | none: sectors of the host's disk are unreadable | they are read at the attach; those that fail then fail for the guest, and the others do not | **ends the process** |
//!
//! If a release fails, the medium stays attached with everything that the guest wrote. The release can be repeated or
//! forced, or the disk can be saved to another file.
//!
//! The other ways to survive a truncation are worse than memory of the library. A write lease is broken by any process
//! that waits for 45 seconds, needs a signal, and is not available on network file systems. A handler of SIGBUS belongs
//! to the whole process, and a library owns none; what the guest wrote is lost when it runs. Memory costs the size of
//! the image (4 MB at most), 0.1 ms at the attach of 1.44M, nothing when the guest reads, and one write to the host's
//! cache for each command that writes: 1.0 to 2.6 us, where each of the 32 port accesses of a command is an exit of 1
//! us or more. A mapped image saves those writes. Map a file only if nobody else can write to it.

pub mod container;
mod create;
mod faulty;
mod formats;
mod geometry;
mod image;
mod medium;
mod recording;
mod sector_disk;
mod track;

pub use create::{BlankImage, CreateError, IfExists, write_file};
pub use faulty::{Fault, FaultyMedium};
pub use formats::{BiosParameters, FORMATS, Format, ImageType, Layout};
pub use geometry::{FormFactor, Geometry, GeometryError};
#[allow(unused_imports)] // For the validation of saved states.
pub(crate) use geometry::{MAX_CYLINDERS, MAX_IMAGE_BYTES};
pub(crate) use geometry::{disk_cylinder, is_double_stepped};
pub use image::{
    Access, Durability, Image, ImageError, ImageOptions, IncompleteFormat, Length, Lock, ReformatLimit, SharedImage,
};
pub(crate) use image::{FormattedTrack, Source};
pub use medium::{Flushing, Medium, MediumError};
pub(crate) use recording::sector_size;
pub use recording::{DataRate, Encoding, Mark, Sector, SectorId};
pub use sector_disk::{IrregularDisk, Irregularity, SectorDisk, SectorTrack, WrongLength};
pub use track::{Track, TrackFormat};
