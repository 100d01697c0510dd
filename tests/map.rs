//! The map in `README.md` from sections of the fact sheet to tests, next to the tests that cite those sections in their
//! comments: neither has what the other has not.

use std::{collections::BTreeSet, fs, path::Path};

/// A section, and a test of it: `4.2`, and `transfer::its_name`.
type Citation = (String, String);

#[test]
fn the_map_names_no_test_that_is_not_there_or_does_not_cite_the_section() {
    let map = map();
    assert_eq!(mapped(&map).difference(&cited(&map)).collect::<Vec<_>>(), Vec::<&Citation>::new());
}

#[test]
fn the_map_has_every_test_that_cites_a_section() {
    let map = map();
    assert_eq!(cited(&map).difference(&mapped(&map)).collect::<Vec<_>>(), Vec::<&Citation>::new());
}

fn map() -> String {
    fs::read_to_string(tests().join("README.md")).expect("the map can be read")
}

fn tests() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests"))
}

/// What the map says: headings with the number of a section, and tests as the points of a list below.
fn mapped(map: &str) -> BTreeSet<Citation> {
    let mut section = String::new();
    let mut citations = BTreeSet::new();
    for line in map.lines() {
        if line.starts_with('#') {
            section = numbers(line).next().unwrap_or_default();
        } else if let Some(test) = line.strip_prefix("- `").and_then(|rest| rest.strip_suffix('`')) {
            citations.insert((section.clone(), test.to_owned()));
        }
    }
    citations
}

/// What the tests say. A point of a section, without a heading of its own in the map, is the section's.
fn cited(map: &str) -> BTreeSet<Citation> {
    let headings: BTreeSet<_> = map.lines().filter(|line| line.starts_with('#')).flat_map(numbers).collect();
    let in_map = |number: String| match number.split_once('.') {
        Some((section, _)) if !headings.contains(&number) => section.to_owned(),
        _ => number,
    };
    let mut citations = BTreeSet::new();
    for entry in fs::read_dir(tests()).expect("the tests can be listed") {
        let path = entry.expect("the tests can be listed").path();
        let Some(file) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".rs")) else { continue };
        let source = fs::read_to_string(&path).expect("a test can be read");
        let tables = tables(&source);
        for item in items(&source) {
            let comments = item.lines().filter_map(|line| line.split_once("//"));
            let sections: Vec<_> = comments.flat_map(|(_, comment)| numbers(comment)).map(in_map).collect();
            for test in names(item, &tables) {
                citations.extend(sections.iter().map(|section| (section.clone(), format!("{file}::{test}"))));
            }
        }
    }
    citations
}

/// The numbers after each §.
fn numbers(text: &str) -> impl Iterator<Item = String> {
    text.split('§').skip(1).filter_map(|text| {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let number = text[..end].trim_end_matches('.');
        (!number.is_empty()).then(|| number.to_owned())
    })
}

/// The items of a file with the comments above them: blank lines separate them, but not those within an item.
fn items(source: &str) -> Vec<&str> {
    let (mut items, mut start) = (Vec::new(), 0);
    for (blank, _) in source.match_indices("\n\n") {
        if !source[blank + 2..].starts_with([' ', '}', ')', ']']) {
            items.push(&source[start..blank]);
            start = blank + 2;
        }
    }
    items.push(&source[start..]);
    items
}

/// The macros of a file that make a test of each row of a table.
fn tables(source: &str) -> Vec<&str> {
    let tables = items(source).into_iter().filter(|item| item.contains("#[test]"));
    tables.filter_map(|item| item.split_once("macro_rules! ")?.1.split_once(' ')).map(|(name, _)| name).collect()
}

/// The tests in an item: functions, or the rows of a table.
fn names<'a>(item: &'a str, tables: &[&str]) -> Vec<&'a str> {
    let row = |line: &'a str| line.strip_prefix("    ").filter(|row| !row.starts_with([' ', '/']));
    if item.contains("macro_rules! ") {
        Vec::new()
    } else if item.lines().any(|line| line.split_once("! ").is_some_and(|(name, _)| tables.contains(&name))) {
        item.lines().filter_map(row).filter_map(|row| row.split_once(": ")).map(|(name, _)| name).collect()
    } else {
        let functions = item.split("#[test]").skip(1).filter_map(|test| test.split_once("fn "));
        functions.filter_map(|(_, function)| function.split_once('(')).map(|(name, _)| name).collect()
    }
}
