//! The C libraries: static libraries by cargo, then shared ones by the C compiler, because only that carries a version script of
//! ours and gives data symbols their sizes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::symbols::{Table, differences};

/// The packages under `capi/`, which are called like their folders.
const LIBRARIES: [&str; 1] = ["gssapi_krb5"];

pub(crate) fn run() -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    for library in LIBRARIES {
        let place = target.join("capi");
        let made = make(&root, &target, &place, library)?;
        println!("{}", made.display());
    }
    Ok(())
}

fn make(root: &Path, target: &Path, place: &Path, library: &str) -> Result<PathBuf, String> {
    let file = root.join("capi").join(library).join("symbols.txt");
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let table = Table::parse(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    run_program(Command::new("cargo").current_dir(root).args([
        "build",
        "--release",
        "--locked",
        "--quiet",
        "--package",
        library,
    ]))?;
    let archive = target.join("release").join(format!("lib{library}.a"));
    let output = link(&table, &archive, place, library)?;
    check(&table, &output)?;
    Ok(output)
}

fn link(table: &Table, archive: &Path, place: &Path, library: &str) -> Result<PathBuf, String> {
    let write = |path: &Path, text: String| {
        fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
    };
    let folder = place.join("lib");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let script = place.join(format!("{library}.map"));
    write(&script, table.version_script())?;
    // Without these the linker would take nothing out of the archive.
    let wanted = place.join(format!("{library}.options"));
    let options = table.symbols.keys().map(|name| format!("-Wl,-u,{name}\n"));
    write(&wanted, options.collect())?;
    let output = folder.join(&table.soname);
    run_program(
        Command::new("cc")
            .args(["-shared", "-static-libgcc", "-o"])
            .arg(&output)
            .arg(format!("@{}", wanted.display()))
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
    Ok(output)
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

fn run_program(command: &mut Command) -> Result<(), String> {
    let status = command
        .status()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if !status.success() {
        return Err(format!("{command:?}: {status}"));
    }
    Ok(())
}
