//! The C libraries: one static library by cargo, then shared ones by the C compiler, because only that carries a version script of
//! ours and gives data symbols their sizes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::pkgconfig;
use crate::symbols::{Table, differences};

/// The folders under `capi/` that have a table, each of one library.
const LIBRARIES: [&str; 3] = ["gssapi_krb5", "gss", "baton_gssapi"];

/// Makes all that `make install` installs, in `target/capi`: `lib`, `include`, and what `pkg-config` reads.
pub(crate) fn run() -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let place = target.join("capi");
    let archive = archive(&root, &target)?;
    for library in LIBRARIES {
        let table = table(&root, library)?;
        let output = link(&table, &archive, &place, library)?;
        check(&table, &output)?;
        println!("{}", output.display());
    }
    copy_headers(&root.join("capi/include"), &place.join("include"))?;
    pkgconfig::write_all(&place.join("lib/pkgconfig"))
}

/// All that the libraries have in common: everything but the names that they show.
fn archive(root: &Path, target: &Path) -> Result<PathBuf, String> {
    run_program(Command::new("cargo").current_dir(root).args([
        "rustc",
        "--release",
        "--locked",
        "--quiet",
        "--package",
        "baton-capi",
        "--lib",
        "--crate-type",
        "staticlib",
    ]))?;
    Ok(target.join("release/libbaton_capi.a"))
}

fn table(root: &Path, library: &str) -> Result<Table, String> {
    let read = |library: &str| {
        let file = root.join("capi").join(library).join("symbols.txt");
        fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))
    };
    Table::parse(&read(library)?, &|other| read(other))
        .map_err(|error| format!("capi/{library}/symbols.txt: {error}"))
}

fn link(table: &Table, archive: &Path, place: &Path, library: &str) -> Result<PathBuf, String> {
    let folder = place.join("lib");
    make_folder(&folder)?;
    let script = place.join(format!("{library}.map"));
    write(&script, &table.version_script())?;
    // Without these the linker would take nothing out of the archive.
    let wanted = place.join(format!("{library}.options"));
    let options = table.symbols.keys().map(|name| format!("-Wl,-u,{name}\n"));
    write(&wanted, &options.collect::<String>())?;
    let dialect = place.join(format!("{library}.c"));
    write(&dialect, &table.dialect.source())?;
    let output = folder.join(&table.soname);
    run_program(
        Command::new("cc")
            .args(["-shared", "-fPIC", "-static-libgcc", "-o"])
            .arg(&output)
            .arg(format!("@{}", wanted.display()))
            .arg(&dialect)
            .arg(archive)
            .arg(format!("-Wl,--version-script={}", script.display()))
            .arg(format!("-Wl,-soname,{}", table.soname))
            .args([
                "-Wl,-z,relro,-z,now",
                "-Wl,-Bsymbolic",
                "-Wl,--gc-sections",
                "-Wl,--no-undefined",
                "-lc",
            ]),
    )?;
    point(&folder.join(table.link_name()), &table.soname)?;
    Ok(output)
}

/// Makes `link` point to `to`, whatever it was.
fn point(link: &Path, to: &str) -> Result<(), String> {
    let _ = fs::remove_file(link);
    std::os::unix::fs::symlink(to, link).map_err(|error| format!("{}: {error}", link.display()))
}

/// Copies headers, and takes away those that are no more.
fn copy_headers(from: &Path, to: &Path) -> Result<(), String> {
    let _ = fs::remove_dir_all(to);
    copy_folder(from, to)
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), String> {
    make_folder(to)?;
    let entries = fs::read_dir(from).map_err(|error| format!("{}: {error}", from.display()))?;
    for entry in entries {
        let path = entry
            .map_err(|error| format!("{}: {error}", from.display()))?
            .path();
        let copy = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_folder(&path, &copy)?;
        } else {
            fs::copy(&path, &copy).map_err(|error| format!("{}: {error}", path.display()))?;
        }
    }
    Ok(())
}

/// That the library has just what its table says and, where the one it replaces is installed, just what that has.
fn check(table: &Table, output: &Path) -> Result<(), String> {
    let found = Table::exported(&dump(output)?, &table.node);
    let wrong = differences(&table.symbols, &found);
    if !wrong.is_empty() {
        return Err(format!("{}: {}", output.display(), wrong.join(", ")));
    }
    let replaced = Path::new("/usr/lib/x86_64-linux-gnu").join(&table.soname);
    if replaced.exists() {
        let theirs = Table::exported(&dump(&replaced)?, &table.node);
        let wrong = differences(&theirs, &found);
        if !wrong.is_empty() {
            return Err(format!(
                "beside {}: {}",
                replaced.display(),
                wrong.join(", ")
            ));
        }
    }
    Ok(())
}

fn dump(library: &Path) -> Result<String, String> {
    let output = Command::new("objdump").arg("-T").arg(library).output();
    let output = output.map_err(|error| format!("objdump: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

pub(crate) fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

pub(crate) fn make_folder(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn run_program(command: &mut Command) -> Result<(), String> {
    let status = command
        .status()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if !status.success() {
        return Err(format!("{command:?}: {status}"));
    }
    Ok(())
}
