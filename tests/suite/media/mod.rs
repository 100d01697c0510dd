//! Images: formats, files, and failures of the file system of the host.

use super::kit;

mod attached_containers;
mod containers;
mod create;
mod durability;
mod formats;
mod guide;
mod host;
mod images;
mod lengths;
mod open_files;
mod overlay;
mod saving;
mod shared;
