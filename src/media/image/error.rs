//! Why an image cannot be opened.

use std::{io, path::PathBuf};

use super::reformat::ReformatLimit;
use crate::media::container::Container;
use crate::media::formats::{Format, Layout};

/// Why a file cannot be opened as a floppy image. The message does not have the path: the caller knows it, and the
/// errors of a drive name it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The file cannot be opened: it does not exist, or the process has no permission.
    #[error("cannot open the file{}", advice(.0))]
    Open(#[source] io::Error),
    /// The path leads to a directory, a pipe, or a device, where a file is required.
    #[error("this is not a file that holds a disk image; give the path of a file, or attach a device as a host drive")]
    WrongFileType,
    /// Another process or another drive of this process has locked the file in a way that excludes this access.
    #[error(
        "the file is in use: another process or another drive of this process has locked it; release it there first"
    )]
    InUse {
        /// The path as it was given, or `None` if an open file was given.
        path: Option<PathBuf>,
    },
    /// The file cannot be locked.
    #[error("cannot lock the file; try again, or attach it with the option Lock::None if nobody else uses it")]
    Lock(#[source] io::Error),
    /// The file system of the file has no locks, as some network shares and file systems of user programs.
    /// [`ImageOptions::with_lock`](super::ImageOptions::with_lock) opens the file without.
    #[error(
        "the file system cannot lock files; if nobody else uses the file, attach it with the option Lock::IfSupported \
         or Lock::None, or else copy it to a local disk"
    )]
    LockUnsupported(#[source] io::Error),
    /// The size of the file is unknown.
    #[error("cannot get the size of the file; check the disk that holds it")]
    Size(#[source] io::Error),
    /// The file has no bytes, or the device has no disk in it. With the
    /// [option to reformat](super::ImageOptions::with_reformat) and without a layout, such a file is a blank disk.
    #[error(
        "the file is empty; give an image, create one, or attach the file with the option to reformat, for the guest to \
         format it"
    )]
    Empty,
    /// The file does not have the size of the layout, or of any format if no layout was chosen, because it is no raw
    /// image. A file of that size is a raw image, whatever it begins with: a guest can write any bytes to its disk.
    #[error("the file is {container}, not a raw image; {}", .container.advice())]
    Container {
        /// What the file is.
        container: Container,
    },
    /// No format has an image of this size. [`ImageOptions::with_length`](super::ImageOptions::with_length) attaches an
    /// image that is shorter or longer than its disk.
    #[error(
        "{bytes} bytes is the size of no floppy format; nearest: {}; if the file is shorter or longer than its disk, \
         attach it with the option Length::Pad or Length::Truncate, or else name its layout",
        list(.candidates)
    )]
    UnknownSize {
        /// The size of the file.
        bytes: u64,
        /// The formats with the next smaller and the next larger image.
        candidates: Vec<&'static Format>,
    },
    /// Several formats have an image of this size. [`ImageOptions::with_layout`](super::ImageOptions::with_layout)
    /// selects one.
    #[error("{bytes} bytes is the size of several floppy formats: {}; name the layout", list(.candidates))]
    AmbiguousSize {
        /// The size of the file.
        bytes: u64,
        /// The formats of that size.
        candidates: Vec<&'static Format>,
    },
    /// Formats have an image of this size, but the drive takes none of them.
    #[error("{bytes} bytes is the size of no format that this drive takes, but of {}; attach it to another drive", list(.candidates))]
    WrongDrive {
        /// The size of the file.
        bytes: u64,
        /// The formats of that size.
        candidates: Vec<&'static Format>,
    },
    /// The drive does not take disks of the chosen layout.
    #[error("the drive does not take a disk of {0}; attach it to another drive, or name another layout")]
    WrongLayout(Layout),
    /// An image of the chosen layout has another size.
    /// [`ImageOptions::with_length`](super::ImageOptions::with_length) attaches it all the same.
    #[error(
        "the file has {bytes} bytes; a disk of {layout} has {}; correct the layout, or attach the file with the option \
         {}",
        .layout.bytes(),
        if *bytes < .layout.bytes() { "Length::Pad" } else { "Length::Truncate" }
    )]
    WrongSize {
        /// The size of the file.
        bytes: u64,
        /// The chosen layout.
        layout: Layout,
    },
    /// The guest cannot reformat this image, and the
    /// [option](super::ImageOptions::with_reformat) says that it can.
    #[error("a guest cannot reformat the image; attach it without that option, or change what prevents it")]
    CannotReformat(#[from] ReformatLimit),
    /// The file cannot be mapped, or read into memory.
    #[error("cannot load the file into memory; check the disk that holds it, or copy the file to another")]
    Load(#[source] io::Error),
}

/// Returns what to do if the host does not open a file.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "; check its path",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; change its permissions, or attach it read-only, private, or with Access::ReadWriteIfPermitted"
        }
        _ => "; check its path and the disk that holds it",
    }
}

fn list(formats: &[&Format]) -> String {
    formats.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}
