//! Images: formats, files, and the host's file system.

use super::kit;

mod containers;
mod create;
mod durability;
mod formats;
mod host;
mod images;
