//! New image files: blank ones, with a file system if required, and copies of a disk.
//!
//! A file is written under another name and then renamed, so that the file of the requested name is always complete.

use std::{
    fs::{self, File, Permissions, TryLockError},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf, absolute},
    process,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use super::formats::Layout;

/// What happens if the file exists already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IfExists {
    /// The file stays as it is, and the call fails.
    #[default]
    Fail,
    /// The new file replaces it, with its permissions. Programs that have the old file open keep that. A symbolic link
    /// is itself replaced. The call fails for what is no file, and for a file that is attached read-write or that another
    /// program has locked so.
    Replace,
}

/// Why a file was not created. A file of the requested name exists only if it existed before, unchanged, except after
/// [`NotDurable`](Self::NotDurable).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The path is empty, or does not end with a file name.
    #[error("{path:?} names no file; give the path of the file to be created")]
    NoName {
        /// The path as it was given.
        path: PathBuf,
    },
    /// The file exists, and was not to be replaced.
    #[error("{} exists already; choose another name, or replace it", .path.display())]
    Exists {
        /// The absolute path.
        path: PathBuf,
    },
    /// The host reported an error.
    #[error("cannot create {}; check its folder and the room there, or choose another", .path.display())]
    Io {
        /// The absolute path.
        path: PathBuf,
        /// The host's error.
        source: io::Error,
    },
    /// The path leads to a directory, a pipe or a device, which is not replaced.
    #[error("cannot replace {}, which is not a file; choose another name", .path.display())]
    WrongFileType {
        /// The absolute path.
        path: PathBuf,
    },
    /// The file that was to be replaced is locked by a program that writes to it.
    #[error("cannot replace {}, which is in use; release it first, or choose another name", .path.display())]
    InUse {
        /// The absolute path.
        path: PathBuf,
    },
    /// The file was created and is complete, but the host failed to store its name: the name can be gone, or be that of
    /// the old file, if the host fails now.
    #[error("created {}, but the host could not save its folder; create it again, or sync the folder", .path.display())]
    NotDurable {
        /// The absolute path.
        path: PathBuf,
        /// The host's error.
        source: io::Error,
    },
    /// There is no memory for the image.
    #[error("cannot create the image, for which the host has no memory; free some")]
    OutOfMemory,
    /// No FAT volume can have this label.
    #[error("{label:?} is no FAT volume label; give at most 11 letters, digits, spaces and some signs of ASCII")]
    Label {
        /// The label.
        label: String,
    },
    /// A disk of this layout cannot have a FAT file system.
    #[error("a disk of {layout} cannot have a FAT file system; create it without, or choose another layout")]
    NoFat {
        /// The layout.
        layout: Layout,
        /// The error of the file system, or `None` if it was not tried.
        source: Option<io::Error>,
    },
}

/// A blank disk, to be created as a raw image.
///
/// ```
/// use vm_fdc::media::{BlankImage, Geometry, IfExists};
///
/// # let directory = tempfile::tempdir()?;
/// let path = directory.path().join("new.img");
/// BlankImage::new(Geometry::HD_1440K).create(&path, IfExists::Fail)?;
/// assert_eq!(std::fs::metadata(&path)?.len(), 1_474_560);
/// assert!(BlankImage::new(Geometry::DD_720K).create(&path, IfExists::Fail).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct BlankImage {
    layout: Layout,
    filler: u8,
    #[cfg(feature = "fat")]
    fat: Option<[u8; 11]>,
}

impl BlankImage {
    /// Returns a disk of this layout. Each byte of its sectors is 0xF6, as after FORMAT TRACK of a PC's BIOS.
    #[must_use]
    pub fn new(layout: impl Into<Layout>) -> Self {
        Self {
            layout: layout.into(),
            filler: 0xF6,
            #[cfg(feature = "fat")]
            fat: None,
        }
    }

    /// Returns how the sectors are arranged.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// Sets the byte that fills the sectors.
    #[must_use]
    pub const fn with_filler(mut self, filler: u8) -> Self {
        self.filler = filler;
        self
    }

    /// Returns the byte that fills the sectors.
    #[must_use]
    pub const fn filler(&self) -> u8 {
        self.filler
    }

    /// Adds an empty FAT12 file system, as DOS creates it. XDF disks cannot have one. Letters of the label become
    /// capitals.
    ///
    /// # Errors
    ///
    /// [`CreateError::Label`] for a volume label of more than 11 characters, or with other characters than letters,
    /// digits, spaces and some signs of ASCII.
    #[cfg(feature = "fat")]
    pub fn with_fat(mut self, label: &str) -> Result<Self, CreateError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b" !#$%&'()-@^_`{}~".contains(&byte);
        if label.len() > 11 || !label.bytes().all(allowed) {
            return Err(CreateError::Label { label: label.to_owned() });
        }
        let mut padded = [b' '; 11];
        padded.iter_mut().zip(label.bytes()).for_each(|(place, byte)| *place = byte.to_ascii_uppercase());
        self.fat = Some(padded);
        Ok(self)
    }

    /// Creates the file `path` without a byte: a disk that was never formatted. It attaches with
    /// [`ImageOptions::with_reformat`](super::ImageOptions::with_reformat), and gets its layout and its length from the
    /// guest.
    ///
    /// # Errors
    ///
    /// A [`CreateError`]. No file is left behind then.
    pub fn create_unformatted(path: impl AsRef<Path>, if_exists: IfExists) -> Result<(), CreateError> {
        write_file(path.as_ref(), &[], if_exists)
    }

    /// Returns the bytes of the image.
    ///
    /// # Errors
    ///
    /// [`CreateError::OutOfMemory`], or [`CreateError::NoFat`] if the layout cannot have the file system.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CreateError> {
        // At most `MAX_IMAGE_BYTES`.
        let (mut bytes, length) = (Vec::new(), self.layout.bytes() as usize);
        bytes.try_reserve_exact(length).map_err(|_| CreateError::OutOfMemory)?;
        bytes.resize(length, self.filler);
        #[cfg(feature = "fat")]
        if let Some(label) = self.fat {
            return fat::format(bytes, self.layout, label);
        }
        Ok(bytes)
    }

    /// Creates the file `path` with the bytes of the image.
    ///
    /// # Errors
    ///
    /// A [`CreateError`]. No file is left behind then.
    pub fn create(&self, path: impl AsRef<Path>, if_exists: IfExists) -> Result<(), CreateError> {
        write_file(path, &self.to_bytes()?, if_exists)
    }
}

/// Writes a file that is complete or does not exist at all, and that is on the host's disk when this returns: a raw image
/// from [`SectorDisk::to_raw`](super::SectorDisk::to_raw), for example. A file that it replaces stays complete until then.
///
/// ```
/// use vm_fdc::media::{Geometry, IfExists, SectorDisk, write_file};
///
/// # let directory = tempfile::tempdir()?;
/// let disk = SectorDisk::formatted(Geometry::DD_720K, 0xE5);
/// let path = directory.path().join("new.img");
/// write_file(&path, &disk.to_raw(Geometry::DD_720K)?, IfExists::Fail)?;
/// assert_eq!(std::fs::metadata(&path)?.len(), 737_280);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Temporary files of this library (`.vm-fdc-*.new`) that are older than a day are removed from the folder of `path`: a
/// process that died while it wrote left them.
///
/// # Errors
///
/// A [`CreateError`]. The file `path` is then as it was before, except after [`CreateError::NotDurable`].
pub fn write_file(path: impl AsRef<Path>, bytes: &[u8], if_exists: IfExists) -> Result<(), CreateError> {
    let path = path.as_ref();
    let no_name = || CreateError::NoName { path: path.to_owned() };
    if path.as_os_str().is_empty() {
        return Err(no_name());
    }
    let path = absolute(path).map_err(|source| CreateError::Io { path: path.to_owned(), source })?;
    let (Some(_), Some(directory)) = (path.file_name(), path.parent()) else { return Err(no_name()) };
    let failed = |source: io::Error| match source.kind() {
        ErrorKind::AlreadyExists => CreateError::Exists { path: path.clone() },
        _ => CreateError::Io { path: path.clone(), source },
    };
    let permissions = replaceable(&path, if_exists)?;
    remove_leftovers(directory);
    let (temporary, file) = create_temporary(directory, permissions.is_some()).map_err(failed)?;
    let permitted = permissions.map_or(Ok(()), |permissions| file.set_permissions(permissions));
    let written = permitted.and_then(|()| fill(file, bytes)).and_then(|()| match if_exists {
        IfExists::Replace => fs::rename(&temporary, &path),
        IfExists::Fail => name_new(&temporary, &path),
    });
    if let Err(source) = written {
        _ = fs::remove_file(&temporary);
        return Err(failed(source));
    }
    sync_directory(directory).map_err(|source| CreateError::NotDurable { path: path.clone(), source })
}

/// Checks that a file can be created at `path`, which is absolute. Returns the permissions of the file that it replaces.
///
/// This is checked first to save the work. That there is no file is checked again when the new one gets its name.
fn replaceable(path: &Path, if_exists: IfExists) -> Result<Option<Permissions>, CreateError> {
    let failed = |source: io::Error| Err(CreateError::Io { path: path.to_owned(), source });
    let old = match path.symlink_metadata() {
        Ok(_) if if_exists == IfExists::Fail => return Err(CreateError::Exists { path: path.to_owned() }),
        Ok(old) => old,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        // The host cannot have a file of this name.
        Err(error) => return failed(error),
    };
    // A link is itself replaced. What it leads to tells nothing of the new file.
    if old.is_symlink() {
        return Ok(None);
    }
    if !old.is_file() {
        return Err(CreateError::WrongFileType { path: path.to_owned() });
    }
    // Whoever has locked the file against every other use would write to a file without a name. A file that cannot be
    // opened is locked by nobody that the library can ask.
    if let Ok(file) = File::open(path)
        && matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    {
        return Err(CreateError::InUse { path: path.to_owned() });
    }
    Ok(Some(old.permissions()))
}

/// Waits until the names in a directory are on the host's disk, on hosts that can.
fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    match synced {
        // A directory that can be written and not read, or a file system that cannot sync a directory.
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported) => Ok(()),
        Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
        outcome => outcome,
    }
}

/// How old a temporary file is that nobody writes any more: a process died before it could rename or remove the file.
const LEFTOVER_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Removes the temporary files that processes left in a directory when they died.
fn remove_leftovers(directory: &Path) {
    let leftover = |entry: &fs::DirEntry| {
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|name| name.starts_with(TEMPORARY.0) && name.ends_with(TEMPORARY.1));
        let age = || entry.metadata().ok().filter(fs::Metadata::is_file)?.modified().ok()?.elapsed().ok();
        ours && age().is_some_and(|age| age > LEFTOVER_AGE)
    };
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.filter_map(Result::ok).filter(leftover) {
        _ = fs::remove_file(entry.path());
    }
}

/// How the name of a temporary file begins and ends.
const TEMPORARY: (&str, &str) = (".vm-fdc-", ".new");

/// Creates a file under a name that is not in use. A `secret` one can be read by its owner alone.
fn create_temporary(directory: &Path, secret: bool) -> io::Result<(PathBuf, File)> {
    let mut options = File::options();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    if secret {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    let _ = secret;
    static COUNT: AtomicU32 = AtomicU32::new(0);
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("{}{}-{count}{}", TEMPORARY.0, process::id(), TEMPORARY.1));
        match options.open(&path) {
            // The name of a file that another process left behind or is writing.
            Err(error) if error.kind() == ErrorKind::AlreadyExists && count < u32::MAX => {}
            outcome => return outcome.map(|file| (path, file)),
        }
    }
}

fn fill(mut file: File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}

/// Renames a file. Fails if the new name is in use.
fn name_new(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => {
            // The file is complete under its new name, whether or not the old name goes.
            _ = fs::remove_file(from);
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(error),
        // A file system without links. An empty file reserves the name, and is then replaced.
        Err(_) => {
            drop(File::create_new(to)?);
            fs::rename(from, to).inspect_err(|_| _ = fs::remove_file(to))
        }
    }
}

#[cfg(feature = "fat")]
mod fat {
    use std::io::Cursor;

    use fatfs::{FatType, FormatVolumeOptions, format_volume};

    use super::{CreateError, Layout};
    use crate::media::geometry::{FormFactor, Geometry};

    /// Returns what DOS writes into the BIOS parameter block of such a disk: the media descriptor, the sectors per
    /// cluster, and the entries in the root directory. A disk that DOS does not know gets the values of one of its
    /// density.
    fn parameters(geometry: &Geometry) -> (u8, u8, u16) {
        let (form, sectors) = (geometry.form_factor(), geometry.sectors());
        let total = u32::from(geometry.cylinders()) * u32::from(geometry.heads()) * u32::from(sectors);
        match (form, geometry.cylinders(), geometry.heads(), sectors) {
            _ if geometry.size_code() == 3 => (0xFE, 1, 192),
            (FormFactor::Inch5_25, 40..=42, 1, 8) => (0xFE, 1, 64),
            (FormFactor::Inch5_25, 40..=42, 1, 9) => (0xFC, 1, 64),
            (FormFactor::Inch5_25, 40..=42, 2, 8) => (0xFF, 2, 112),
            (FormFactor::Inch5_25, 40..=42, ..) => (0xFD, 2, 112),
            (FormFactor::Inch3_5, _, 1, 9) => (0xF8, 2, 112),
            (_, _, _, ..15) => (0xF9, 2, 112),
            (FormFactor::Inch5_25, .., 15) => (0xF9, 1, 224),
            (FormFactor::Inch3_5, 80, 2, 21) => (0xF0, 4, 16),
            // FAT12 has at most 4,084 clusters.
            _ if total > 4_000 => (0xF0, if total > 7_900 { 4 } else { 2 }, 240),
            _ => (0xF0, 1, 224),
        }
    }

    /// Returns the bytes with an empty file system in them.
    pub(super) fn format(bytes: Vec<u8>, layout: Layout, label: [u8; 11]) -> Result<Vec<u8>, CreateError> {
        let Layout::Regular(geometry) = layout else { return Err(CreateError::NoFat { layout, source: None }) };
        let (media, sectors_per_cluster, root_entries) = parameters(&geometry);
        let sector = geometry.sector_size();
        // fatfs takes no others, and panics on some.
        if !matches!(sector, 512 | 1024 | 2048 | 4096) {
            return Err(CreateError::NoFat { layout, source: None });
        }
        let options = FormatVolumeOptions::new()
            .bytes_per_sector(u16::try_from(sector).unwrap_or(u16::MAX))
            .bytes_per_cluster(u32::from(sectors_per_cluster) * sector as u32)
            .fat_type(FatType::Fat12)
            .max_root_dir_entries(root_entries)
            .media(media)
            .sectors_per_track(geometry.sectors().into())
            .heads(geometry.heads().into())
            .drive_num(0)
            .volume_label(label);
        let mut image = Cursor::new(bytes);
        format_volume(&mut image, options).map_err(|error| CreateError::NoFat { layout, source: Some(error) })?;
        Ok(image.into_inner())
    }
}
