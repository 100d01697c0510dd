//! A map of a disk: one character for each track, one line for each head.

use std::{
    fmt::{self, Display, Formatter},
    ops::Range,
};

use crate::bios::{Disk, Layout};

/// Cylinders in a row, and in a group of columns.
const ROW: u8 = 40;
const GROUP: u8 = 10;

pub struct Map<'a> {
    pub disk: &'a Disk,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sector {
    /// The sector has data.
    Used,
    /// All bytes of the sector are equal, as after formatting.
    Blank,
    /// The sector could not be read.
    Bad,
}

impl Map<'_> {
    /// Returns the states of all sectors, in the order of cylinder, head and sector number.
    fn sectors(&self) -> Vec<Sector> {
        let Disk { layout, bytes, bad } = self.disk;
        let sectors = bytes.chunks(layout.sector_size).enumerate().map(|(number, data)| {
            let blank = data.windows(2).all(|pair| pair[0] == pair[1]);
            match bad.binary_search(&number) {
                Ok(_) => Sector::Bad,
                Err(_) if blank => Sector::Blank,
                Err(_) => Sector::Used,
            }
        });
        sectors.collect()
    }

    /// Writes the cylinders of `row`: a scale, and a line for each head.
    fn write_row(&self, f: &mut Formatter<'_>, row: Range<u8>, tracks: &[char]) -> fmt::Result {
        let heads = self.disk.layout.heads;
        let width = usize::from(GROUP);
        let scale: Vec<_> = row.clone().step_by(width).map(|cylinder| format!("{cylinder:<width$}")).collect();
        writeln!(f, "{:10}{}", if row.start == 0 { "Map" } else { "" }, scale.join(" ").trim_end())?;
        for head in 0..heads {
            write!(f, "  head {head}  ")?;
            for cylinder in row.clone() {
                let gap = if cylinder > row.start && cylinder.is_multiple_of(GROUP) { " " } else { "" };
                let track = usize::from(cylinder) * usize::from(heads) + usize::from(head);
                write!(f, "{gap}{}", tracks.get(track).unwrap_or(&' '))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl Display for Map<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Layout { cylinders, sectors: a_track, .. } = self.disk.layout;
        let sectors = self.sectors();
        let tracks: Vec<_> = sectors.chunks(a_track.into()).map(symbol).collect();
        for start in (0..cylinders).step_by(ROW.into()) {
            self.write_row(f, start..cylinders.min(start + ROW), &tracks)?;
        }
        let count = |state| sectors.iter().filter(|&&sector| sector == state).count();
        let (used, blank, bad) = (count(Sector::Used), count(Sector::Blank), count(Sector::Bad));
        writeln!(f, "          █ used  ▒ used in part  · blank: each sector one byte repeated  x bad")?;
        writeln!(f, "          {} sectors: {used} used, {blank} blank, {bad} bad", sectors.len())
    }
}

/// Returns the character for a track.
fn symbol(track: &[Sector]) -> char {
    let has = |state| track.contains(&state);
    match (has(Sector::Bad), has(Sector::Used), has(Sector::Blank)) {
        (true, _, _) => 'x',
        (_, true, false) => '█',
        (_, true, true) => '▒',
        (_, false, _) => '·',
    }
}
