//! Saving the disk of a drive to a file: to another one, to one that exists, and to that of the image itself.

use std::fs;

use super::kit::floppy::{BYTES, SECTOR, fill, folder, guest};
use vm_fdc::{
    drive::SaveError,
    media::{Access, CreateError, Durability, IfExists, ImageOptions},
};

fn sector(file: &std::path::Path, sector: usize) -> Vec<u8> {
    fs::read(file).unwrap()[sector * SECTOR..][..SECTOR].to_vec()
}

#[test]
fn a_save_to_the_attached_image_itself_is_a_flush() {
    let (_folder, path) = folder();
    let (mut guest, drive) = guest();
    let options = ImageOptions::new(Access::ReadWrite).with_durability(Durability::OnFlush);
    drive.attach_image(&path, options).unwrap();
    fill(&mut guest, 5, 0xA5).unwrap();
    drive.save_image(&path, IfExists::Replace).unwrap();
    assert_eq!(sector(&path, 5), [0xA5; SECTOR]);
    // Later writes go to the same file.
    fill(&mut guest, 6, 0xB6).unwrap();
    drive.release_image().unwrap();
    assert_eq!(sector(&path, 6), [0xB6; SECTOR]);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn a_save_to_the_attached_image_that_must_not_replace_fails() {
    let (_folder, path) = folder();
    let (_guest, drive) = guest();
    drive.attach_image(&path, Access::ReadWrite).unwrap();
    let error = drive.save_image(&path, IfExists::Fail).unwrap_err();
    assert!(matches!(error, SaveError::Create { source: CreateError::Exists { .. }, .. }), "{error:?}");
    drive.release_image().unwrap();
}

#[test]
fn a_save_to_the_attached_image_that_cannot_be_flushed_says_why() {
    let (_folder, path) = folder();
    let (mut guest, drive) = guest();
    drive.attach_image(&path, Access::ReadWrite).unwrap();
    fill(&mut guest, 5, 0xA5).unwrap();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
    let error = drive.save_image(&path, IfExists::Replace).unwrap_err();
    assert!(matches!(&error, SaveError::Flush { drive: 0, path: Some(said), .. } if *said == path), "{error:?}");
    assert!(error.to_string().contains("save the disk to another file"), "{error}");
    assert_eq!(error.hresult(), vm_fdc::drive::HResult::VM_E_MEDIA_UNMOUNT_FAIL);
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(BYTES as u64).unwrap();
    drive.save_image(&path, IfExists::Replace).unwrap();
    assert_eq!(sector(&path, 5), [0xA5; SECTOR]);
}

#[test]
fn a_private_image_can_replace_its_own_file() {
    let (_folder, path) = folder();
    let (mut guest, drive) = guest();
    drive.attach_image(&path, Access::Private).unwrap();
    fill(&mut guest, 5, 0xA5).unwrap();
    drive.save_image(&path, IfExists::Replace).unwrap();
    fill(&mut guest, 6, 0xB6).unwrap();
    drive.release_image().unwrap();
    assert_eq!(sector(&path, 5), [0xA5; SECTOR]);
    assert_ne!(sector(&path, 6), [0xB6; SECTOR]);
}

#[test]
fn a_file_that_another_drive_writes_is_not_replaced() {
    let ((_folder, path), (_other, used)) = (folder(), folder());
    let ((_guest, drive), (mut writer, writing)) = (guest(), guest());
    drive.attach_image(&path, Access::ReadOnly).unwrap();
    writing.attach_image(&used, Access::ReadWrite).unwrap();
    fill(&mut writer, 5, 0xA5).unwrap();
    let error = drive.save_image(&used, IfExists::Replace).unwrap_err();
    assert!(matches!(error, SaveError::Create { source: CreateError::InUse { .. }, .. }), "{error:?}");
    writing.release_image().unwrap();
    drive.save_image(&used, IfExists::Replace).unwrap();
    assert_eq!(fs::read(&used).unwrap(), fs::read(&path).unwrap());
}

#[cfg(unix)]
mod unix {
    use std::{
        os::unix::fs::{PermissionsExt, symlink},
        process::Command,
    };

    use super::*;

    fn mode(path: &std::path::Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn the_saved_file_keeps_the_permissions_of_the_one_that_it_replaces() {
        let (folder, path) = folder();
        let (_guest, drive) = guest();
        drive.attach_image(&path, Access::ReadOnly).unwrap();
        let saved = folder.path().join("saved.img");
        fs::write(&saved, "old").unwrap();
        for permissions in [0o600, 0o640, 0o444, 0o666, 0o604] {
            fs::set_permissions(&saved, fs::Permissions::from_mode(permissions)).unwrap();
            drive.save_image(&saved, IfExists::Replace).unwrap();
            assert_eq!(mode(&saved), permissions);
            assert_eq!(fs::metadata(&saved).unwrap().len(), BYTES as u64);
        }
    }

    #[test]
    fn a_link_that_is_replaced_tells_nothing_of_the_new_file() {
        let (folder, path) = folder();
        let (_guest, drive) = guest();
        drive.attach_image(&path, Access::ReadOnly).unwrap();
        let [link, usual] = ["link", "usual"].map(|name| folder.path().join(name));
        symlink("/dev/null", &link).unwrap();
        drive.save_image(&link, IfExists::Replace).unwrap();
        drive.save_image(&usual, IfExists::Fail).unwrap();
        assert_eq!(mode(&link), mode(&usual));
    }

    #[test]
    fn a_save_to_a_link_to_the_attached_image_is_a_flush() {
        let (folder, path) = folder();
        let (mut guest, drive) = guest();
        let [link, name] = ["link", "name"].map(|name| folder.path().join(name));
        symlink(&path, &link).unwrap();
        fs::hard_link(&path, &name).unwrap();
        drive.attach_image(&path, Access::ReadWrite).unwrap();
        for (value, other) in [(0xA5, &link), (0xB6, &name)] {
            fill(&mut guest, 5, value).unwrap();
            drive.save_image(other, IfExists::Replace).unwrap();
            assert_eq!(sector(&path, 5), [value; SECTOR]);
        }
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        drive.release_image().unwrap();
    }

    #[test]
    fn what_is_no_file_is_not_replaced() {
        let (folder, path) = folder();
        let (_guest, drive) = guest();
        drive.attach_image(&path, Access::ReadOnly).unwrap();
        let [pipe, inner] = ["pipe", "inner"].map(|name| folder.path().join(name));
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        fs::create_dir(&inner).unwrap();
        for path in [pipe, inner, "/dev/null".into()] {
            let error = drive.save_image(&path, IfExists::Replace).unwrap_err();
            assert!(matches!(error, SaveError::Create { source: CreateError::WrongFileType { .. }, .. }), "{error:?}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
