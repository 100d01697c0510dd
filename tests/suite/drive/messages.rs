//! The messages of the errors of attach, release and save: each says what failed, on what, and what to do.
//! `cargo test --all-features --test suite drive::messages -- --nocapture` prints them.

use std::{error::Error, io, path::PathBuf};

use vm_fdc::{
    drive::{AttachError, DriveType, ProtectError, ReleaseError, SaveError},
    media::{
        CreateError, FormFactor, Format, Geometry, ImageError, Layout, MediumError,
        container::{Container, ContainerError, Damage, Unsupported},
    },
};

fn path() -> PathBuf {
    "/disks/a.img".into()
}

fn io() -> io::Error {
    io::Error::other("the host's reason")
}

/// All causes of a failed attach of an image.
fn image_errors() -> Vec<ImageError> {
    let layout = Layout::from(Geometry::HD_1440K);
    let candidates = || Format::of_size(409_600).collect::<Vec<_>>();
    let mut errors = vec![
        ImageError::Open(io::ErrorKind::NotFound.into()),
        ImageError::Open(io::ErrorKind::PermissionDenied.into()),
        ImageError::WrongFileType,
        ImageError::InUse { path: Some(path()) },
        ImageError::Lock(io()),
        ImageError::LockUnsupported(io()),
        ImageError::Size(io()),
        ImageError::Empty,
        ImageError::UnknownSize { bytes: 1_296_384, candidates: candidates() },
        ImageError::AmbiguousSize { bytes: 409_600, candidates: candidates() },
        ImageError::WrongDrive { bytes: 409_600, candidates: candidates() },
        ImageError::WrongLayout(layout),
        ImageError::WrongSize { bytes: 1_296_384, layout },
        ImageError::WrongSize { bytes: 1_474_561, layout },
        ImageError::Load(io()),
    ];
    errors.extend(Container::ALL.iter().map(|&container| ImageError::Container { container }));
    errors
}

/// All causes of a failed attach of a container.
fn container_errors() -> Vec<ContainerError> {
    let container = Container::Teledisk;
    let damaged = |damage| ContainerError::Damaged { container, offset: 35, damage };
    let unsupported = |reason| ContainerError::Unsupported { container, reason };
    vec![
        ContainerError::Io(io()),
        ContainerError::WrongFileType,
        ContainerError::TooLarge { bytes: 1 << 40 },
        ContainerError::Unknown,
        ContainerError::NotReadable { container: Container::Zip },
        unsupported(Unsupported::SeveralFiles),
        unsupported(Unsupported::OldCompression),
        damaged(Damage::Truncated),
        damaged(Damage::TruncatedOrPart),
        damaged(Damage::Checksum),
        damaged(Damage::Value { field: "the mode of a track", value: 9 }),
        damaged(Damage::Compression),
        damaged(Damage::Duplicate { cylinder: 3, head: 1 }),
        damaged(Damage::TooLarge),
        damaged(Damage::Empty),
        ContainerError::NoSuchDisk { disks: 1, index: 1 },
        ContainerError::NoSuchDisk { disks: 2, index: 2 },
    ]
}

fn create_errors() -> Vec<CreateError> {
    let path = path;
    vec![
        CreateError::NoName { path: "..".into() },
        CreateError::Exists { path: path() },
        CreateError::Io { path: path(), source: io() },
        CreateError::WrongFileType { path: path() },
        CreateError::InUse { path: path() },
        CreateError::NotDurable { path: path(), source: io() },
        CreateError::OutOfMemory,
        CreateError::Label { label: "too long a label".into() },
        CreateError::NoFat { layout: Layout::Xdf, source: None },
    ]
}

fn attach_errors() -> Vec<AttachError> {
    let (drive, drive_type, path) = (0, DriveType::Inch3_5Hd, path);
    let suitable = || vec![DriveType::Inch5_25Dd, DriveType::Inch5_25Hd];
    let mut errors = vec![
        AttachError::VmUnknown { drive },
        AttachError::DriveInUse { drive },
        AttachError::EmptyPath { drive },
        AttachError::InvalidPath { drive, path: "a\0b".into(), source: io() },
        AttachError::PathTooLong { drive, path: path() },
        AttachError::OutOfMemory { drive, path: path(), source: io() },
        AttachError::UnsuitableMedium {
            drive,
            drive_type,
            form_factor: FormFactor::Inch5_25,
            cylinders: 40,
            suitable: suitable(),
        },
    ];
    errors.extend(image_errors().into_iter().map(|source| {
        let suitable = if matches!(source, ImageError::WrongDrive { .. }) { suitable() } else { Vec::new() };
        let holder = matches!(source, ImageError::InUse { .. }).then_some(1);
        AttachError::CaptureFailed { drive, drive_type, path: path(), source, suitable, holder }
    }));
    errors.extend([ImageError::WrongFileType, ImageError::Open(io())].map(|source| AttachError::NoHostDrive {
        drive,
        drive_type,
        path: path(),
        source,
        suitable: Vec::new(),
        holder: None,
    }));
    let failed = |source| AttachError::ContainerFailed { drive, drive_type, path: path(), source };
    errors.extend(container_errors().into_iter().map(failed));
    errors
}

fn release_errors() -> Vec<ReleaseError> {
    let (drive, path) = (0, Some(path()));
    vec![
        ReleaseError::VmUnknown { drive },
        ReleaseError::WrongMediaType { drive },
        ReleaseError::NoMediaCaptured { drive },
        ReleaseError::UnmountFailed { drive, path: path.clone(), source: io() },
        ReleaseError::UnmountFailed { drive, path: None, source: io() },
        ReleaseError::UnlockFailed { drive, path, source: io() },
    ]
}

fn save_errors() -> Vec<SaveError> {
    let drive = 0;
    let mut errors = vec![
        SaveError::VmUnknown { drive },
        SaveError::NoMediaCaptured { drive },
        SaveError::NoRawImage { drive },
        SaveError::Unreadable { drive, source: MediumError::Io(io()) },
        SaveError::Flush { drive, path: Some(path()), source: io() },
    ];
    errors.extend(create_errors().into_iter().map(|source| SaveError::Create { drive, source }));
    errors
}

fn protect_errors() -> Vec<ProtectError> {
    let drive = 0;
    vec![
        ProtectError::VmUnknown { drive },
        ProtectError::NoMediaCaptured { drive },
        ProtectError::ReadOnly { drive, path: Some(path()) },
    ]
}

/// Returns the message of an error and of its causes, as C and the examples print it.
fn message(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message += &format!(": {error}");
        cause = error.source();
    }
    message
}

#[test]
fn each_message_names_the_drive_and_says_what_to_do() {
    let attach = attach_errors().iter().map(|error| message(error)).collect::<Vec<_>>();
    let release = release_errors().iter().map(|error| message(error)).collect::<Vec<_>>();
    let save = save_errors().iter().map(|error| message(error)).collect::<Vec<_>>();
    let protect = protect_errors().iter().map(|error| message(error)).collect::<Vec<_>>();
    for message in [attach, release, save, protect].concat() {
        println!("{message}");
        assert!(message.starts_with("drive 0: ") || message.starts_with("drive 0 (3.5\" 1.44M): "), "{message}");
        // What to do comes after a semicolon.
        assert!(message.contains("; "), "{message}");
        assert!(!message.contains('\n') && !message.ends_with(['.', ' ']), "{message}");
    }
}
