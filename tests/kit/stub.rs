//! A medium without sectors, for tests of what managers see.

use std::io;

use vm_fdc::media::{FormFactor, ImageType, Layout, Mark, Medium, MediumError, Track};

/// An unformatted 3.5" disk: what it says of itself, and how many flushes and unlocks fail before one succeeds.
#[derive(Clone, Debug, Default)]
pub struct Stub {
    pub name: Option<String>,
    pub layout: Option<Layout>,
    /// `None`: that of the layout.
    pub image_type: Option<ImageType>,
    pub write_protected: bool,
    pub failing_flushes: u32,
    pub failing_unlocks: u32,
}

impl Medium for Stub {
    fn form_factor(&self) -> FormFactor {
        FormFactor::Inch3_5
    }

    fn cylinders(&self) -> u8 {
        80
    }

    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn layout(&self) -> Option<Layout> {
        self.layout
    }

    fn image_type(&self) -> ImageType {
        self.image_type.unwrap_or_else(|| self.layout.map_or(ImageType::Unknown, |layout| layout.image_type()))
    }

    fn is_write_protected(&self) -> bool {
        self.write_protected
    }

    fn track(&self, _: u8, _: u8) -> Option<Track<'_>> {
        None
    }

    fn read(&mut self, _: u8, _: u8, _: usize, _: usize) -> Result<&[u8], MediumError> {
        Err(MediumError::Absent)
    }

    fn write(&mut self, _: u8, _: u8, _: usize, _: usize, _: Mark) -> Result<&mut [u8], MediumError> {
        Err(MediumError::Absent)
    }

    fn finish_write(&mut self, _: u8, _: u8, _: usize, _: usize, _: Mark) {}

    fn flush(&mut self) -> io::Result<()> {
        fail(&mut self.failing_flushes)
    }

    fn unlock(&mut self) -> io::Result<()> {
        fail(&mut self.failing_unlocks)
    }
}

fn fail(left: &mut u32) -> io::Result<()> {
    match left.checked_sub(1) {
        Some(less) => {
            *left = less;
            Err(io::Error::other("a failure for the test"))
        }
        None => Ok(()),
    }
}
