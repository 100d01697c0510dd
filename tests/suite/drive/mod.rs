//! Drives: what the guest sees of them, and what managers do with them, also from several threads.

use super::kit;

mod drives;
mod manager;
mod protection;
mod threads;
