//! The example `replay` as a process: recordings, replays and errors.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

/// Returns the path of the example in `target/PROFILE/examples/`; this test is in `target/PROFILE/deps/`.
fn example() -> PathBuf {
    let test = env::current_exe().expect("the path of this test");
    let profile = test.parent().and_then(Path::parent).expect("the folder of the profile");
    profile.join("examples").join("replay").with_extension(env::consts::EXE_EXTENSION)
}

/// Returns the exit status, standard output and standard error.
fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = Command::new(example()).args(arguments).output().expect("the example runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code(), text(stdout), text(stderr))
}

/// Returns a recording in a file.
fn recorded() -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("conversation.txt").to_str().unwrap().to_owned();
    assert_eq!(run(&["record", &file]).0, Some(0));
    (folder, file)
}

#[test]
fn without_arguments_it_replays_what_it_has_recorded() {
    let (status, out, err) = run(&[]);
    assert_eq!((status, err.as_str()), (Some(0), ""));
    assert!(out.contains("all the same"), "{out}");
}

#[test]
fn a_recording_is_the_same_each_time_and_readable() {
    let [(_first, a), (_second, b)] = [recorded(), recorded()];
    let text = fs::read_to_string(&a).unwrap();
    assert!(text == fs::read_to_string(&b).unwrap());
    for line in
        ["# READ DATA of two sectors to memory at 0x1000", "out 3f2 1c", "in 3f4 = 80", "int up", "pass 1000000"]
    {
        assert!(text.lines().any(|recorded| recorded == line), "{line}");
    }
    assert!(text.contains("\nmemory "), "the sectors arrive");
    assert_eq!(run(&["replay", &a]).0, Some(0));
}

#[test]
fn a_replay_reports_the_first_difference() {
    let (_folder, file) = recorded();
    let text = fs::read_to_string(&file).unwrap();
    for (what, instead) in [("in 3f4 = 80", "in 3f4 = 81"), ("int up", "int down"), ("pass 1000000", "pass 1")] {
        let line = 1 + text.lines().position(|line| line == what).expect("there is such a line");
        fs::write(&file, text.replacen(&format!("\n{what}\n"), &format!("\n{instead}\n"), 1)).unwrap();
        let (status, out, _) = run(&["replay", &file]);
        assert_eq!(status, Some(1), "{what}");
        let reported: usize =
            out.split("line ").nth(1).and_then(|rest| rest.split(':').next()).unwrap().parse().unwrap();
        assert!((line..=line + 2).contains(&reported), "{what}: {out}");
    }
}

#[test]
fn a_file_that_is_no_conversation_is_one_line_of_error() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("odd.txt").to_str().unwrap().to_owned();
    for text in
        ["hello", "out 3f2", "out xyz 00", "out 3f2 100", "in 3f4", "pass soon", "pass -1", "int up", "out 1ffff 00"]
    {
        fs::write(&file, format!("# odd\n{text}\n")).unwrap();
        let (status, out, err) = run(&["replay", &file]);
        assert_eq!((status, out.as_str(), err.lines().count()), (Some(1), "", 1), "{text}");
        assert!(err.contains("line 2"), "{err}");
    }
    let (status, _, err) = run(&["replay", "/nonexistent/file"]);
    assert_eq!((status, err.lines().count()), (Some(1), 1));
    assert_eq!(run(&["rewind"]).0, Some(1));
}
