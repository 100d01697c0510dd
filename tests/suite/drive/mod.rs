//! Drives: what a guest observes of them, the calls of managers, and several threads.

use super::kit;

mod drives;
mod manager;
mod messages;
mod protection;
mod threads;
