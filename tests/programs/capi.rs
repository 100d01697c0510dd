//! The C interface for C and C++: cargo builds the library, and the programs of `examples/c` and `capi/misuse.c` are
//! compiled with the header and run, also under tools that check memory accesses. `src/capi/tests.rs` tests the interface
//! from inside the library.
#![cfg(all(feature = "capi", unix))]

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use tempfile::TempDir;

const C: [&str; 2] = ["cc", "-std=c99"];
const CXX: [&str; 2] = ["c++", "-std=c++11"];
const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];

const ADDRESS_SANITIZER: [&str; 3] = ["-fsanitize=address", "-g", "-fno-omit-frame-pointer"];

/// A folder within the folder of a program.
const FILES: &str = "files";

/// The library as C uses it.
struct Library {
    folder: PathBuf,
    /// The other libraries that a program with the static library links.
    system: Vec<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn image() -> PathBuf {
    root().join("fixtures/dos-1440k.img")
}

fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?} cannot be run: {error}"))
}

/// Runs a command and checks that it succeeds. Returns its output.
fn succeed(command: &mut Command) -> String {
    let output = output(command);
    let [printed, errors] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(output.status.success(), "{command:?}: {}\n{printed}\n{errors}", output.status);
    printed
}

/// Builds the static and the shared library, once.
fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        // A separate target directory, because that of the tests can be in use.
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("capi");
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(root()).args(["rustc", "--locked", "--lib", "--crate-type", "staticlib,cdylib"]);
        cargo.args(["--features", "capi", "--target-dir"]).arg(&target).args(["--", "--print", "native-static-libs"]);
        let output = output(&mut cargo);
        let output_text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{output_text}");
        let system = output_text.lines().find_map(|line| line.split_once("native-static-libs: "));
        let (_, system) = system.unwrap_or_else(|| panic!("no libraries are named: {output_text}"));
        let system = system.split_whitespace().map(str::to_owned).collect();
        Library { folder: target.join("debug"), system }
    })
}

/// A compiled program and its folder.
struct Program {
    folder: TempDir,
    path: PathBuf,
}

impl Program {
    /// Compiles `source` with the static library.
    fn new(compiler: [&str; 2], source: &str, options: &[&str]) -> Self {
        let library = library();
        let archive = library.folder.join("libvm_fdc.a");
        let libraries = [archive.into_os_string()].into_iter().chain(library.system.iter().map(Into::into));
        Self::with(compiler, source, options, libraries)
    }

    /// Compiles `source` with the shared library.
    fn of_shared(compiler: [&str; 2], source: &str) -> Self {
        let folder = library().folder.display().to_string();
        let libraries = [format!("-L{folder}"), format!("-Wl,-rpath,{folder}"), "-lvm_fdc".to_owned()];
        Self::with(compiler, source, &[], libraries.into_iter().map(Into::into))
    }

    fn with(
        [compiler, standard]: [&str; 2],
        source: &str,
        options: &[&str],
        libraries: impl Iterator<Item = OsString>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(FILES)).unwrap();
        let path = folder.path().join("program");
        let mut compile = Command::new(compiler);
        compile.arg(standard).args(WARNINGS).args(options).arg("-I").arg(root().join("include"));
        compile.arg(root().join(source)).args(libraries).args(["-lpthread", "-o"]).arg(&path);
        succeed(&mut compile);
        Self { folder, path }
    }

    /// Runs it with an image and the path `second` in its folder. The command line begins with `before`.
    fn run(&self, before: &[&str], second: &str) -> String {
        self.run_with(before, &image(), second)
    }

    /// Runs it with the image `first`.
    fn run_with(&self, before: &[&str], first: &Path, second: &str) -> String {
        let program = self.path.display().to_string();
        let words: Vec<_> = before.iter().copied().chain([program.as_str()]).collect();
        let mut run = Command::new(words[0]);
        run.args(&words[1..]).current_dir(self.folder.path()).arg(first).arg(self.folder.path().join(second));
        succeed(&mut run)
    }

    fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.path().join(name)).unwrap()
    }
}

/// Returns `true` if programs can be built and run in this way. Otherwise prints a message.
fn there_is(what: &str, works: impl FnOnce(&Path) -> bool) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let there = works(folder.path());
    if !there {
        eprintln!("skipped: there is no {what} here");
    }
    there
}

fn there_is_address_sanitizer() -> bool {
    there_is("AddressSanitizer", |folder| {
        let (source, program) = (folder.join("empty.c"), folder.join("empty"));
        fs::write(&source, "int main(void) { return 0; }").unwrap();
        let compiled = Command::new("cc").args(ADDRESS_SANITIZER).arg(&source).arg("-o").arg(&program).output();
        compiled.is_ok_and(|output| output.status.success())
            && Command::new(&program).output().is_ok_and(|output| output.status.success())
    })
}

const VALGRIND: [&str; 5] =
    ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite"];

fn there_is_valgrind() -> bool {
    there_is("valgrind", |_| Command::new("valgrind").arg("--version").output().is_ok_and(|it| it.status.success()))
}

/// Checks the lines that the example in C prints, in their order.
fn assert_the_main_job_was_done(printed: &str) {
    let lines: Vec<_> = printed.lines().collect();
    let expected = [
        "attach what is not there: 0xA0040650",
        "  drive 0 (3.5\" 1.44M): cannot attach ",
        "event: inserted in drive 0: dos-1440k.img",
        "attach the image: 0x00000000",
        "read the boot sector: 55 AA at its end",
        "event: ejected from drive 0: dos-1440k.img",
        "event: inserted in drive 0: blank.img",
        "swap it for a blank one: 0x00000000",
        "event: ejected from drive 0: blank.img",
        "release: 0x00000000",
        "release again: 0xA0040652",
        "  drive 0: nothing is attached",
        "attach to no machine: 0xA0040207",
        "  drive 0: its virtual machine is gone",
    ];
    assert_eq!(lines.len(), expected.len(), "{printed}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line} is not {expected}");
    }
}

#[test]
fn the_header_is_c_and_cpp_by_itself() {
    for [compiler, language, standard] in
        [["cc", "c", "-std=c99"], ["cc", "c", "-std=c11"], ["c++", "c++", "-std=c++11"], ["c++", "c++", "-std=c++17"]]
    {
        let mut compile = Command::new(compiler);
        compile.args(["-x", language, standard, "-fsyntax-only"]).args(WARNINGS);
        // The header alone, but not as a precompiled header.
        compile.arg("-include").arg(root().join("include/vm_fdc.h")).arg("/dev/null");
        // ISO C does not allow an empty file.
        compile.args(["-Wno-pedantic"]);
        succeed(&mut compile);
    }
}

#[test]
fn a_program_in_c_reads_the_boot_sector_and_swaps_images() {
    let program = Program::new(C, "examples/c/boot_sector.c", &[]);
    assert_the_main_job_was_done(&program.run(&[], "blank.img"));
    assert_eq!(program.file("blank.img"), vec![0xF6; 1_474_560]);
}

#[test]
fn a_program_in_cpp_reads_the_boot_sector_while_another_thread_swaps_images() {
    let printed = Program::new(CXX, "examples/c/boot_sector.cpp", &[]).run(&[], "blank.img");
    assert!(printed.ends_with("read the boot sector while 82 events came: as the files have it\n"), "{printed}");
}

#[test]
fn images_of_other_lengths_attach_and_one_line_says_so() {
    let programs = [(C, "examples/c/boot_sector.c"), (CXX, "examples/c/boot_sector.cpp")];
    for program in programs.map(|(compiler, source)| Program::new(compiler, source, &[])) {
        let path = program.folder.path().join("other.img");
        for (length, line) in [
            (1_296_384, "length: 1296384 of 1474560 bytes; the rest reads as zeros"),
            (1_474_560 + 512, "length: 1475072 bytes; those after 1474560 are ignored"),
        ] {
            let mut bytes = fs::read(image()).unwrap();
            bytes.resize(length, 0xEE);
            fs::write(&path, &bytes).unwrap();
            let printed = program.run_with(&[], &path, "blank.img");
            let lines: Vec<_> = printed.lines().filter(|line| line.starts_with("length: ")).collect();
            assert_eq!(lines, [line], "{printed}");
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
        // Without a line for an image of the length of its disk.
        assert!(!program.run(&[], "blank.img").contains("length: "));
    }
}

#[test]
fn the_shared_library_behaves_as_the_static_one() {
    let program = Program::of_shared(C, "examples/c/boot_sector.c");
    assert_the_main_job_was_done(&program.run(&[], "blank.img"));
}

#[test]
fn misuse_is_reported() {
    Program::new(C, "tests/programs/capi/misuse.c", &[]).run(&[], FILES);
}

#[test]
fn containers_attach_and_messages_name_options_as_c_does() {
    let fixture = root().join("fixtures/teledisk-advanced.td0");
    Program::new(C, "tests/programs/capi/containers.c", &[]).run_with(&[], &fixture, FILES);
}

#[test]
fn address_sanitizer_finds_nothing() {
    if there_is_address_sanitizer() {
        let program = Program::new(C, "examples/c/boot_sector.c", &ADDRESS_SANITIZER);
        assert_the_main_job_was_done(&program.run(&[], "blank.img"));
        Program::new(C, "tests/programs/capi/misuse.c", &ADDRESS_SANITIZER).run(&[], FILES);
        let fixture = root().join("fixtures/teledisk-advanced.td0");
        Program::new(C, "tests/programs/capi/containers.c", &ADDRESS_SANITIZER).run_with(&[], &fixture, FILES);
    }
}

#[test]
fn valgrind_finds_nothing() {
    if there_is_valgrind() {
        let program = Program::new(C, "examples/c/boot_sector.c", &["-g"]);
        assert_the_main_job_was_done(&program.run(&VALGRIND, "blank.img"));
        Program::new(C, "tests/programs/capi/misuse.c", &["-g"]).run(&VALGRIND, FILES);
    }
}
