//! What `make install` puts on a host, of what `cargo xtask capi` made last.

use std::path::{Path, PathBuf};
use std::process::Command;

use interop::peer::compile;
use interop::realm::succeeded;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs `make` with what is built already.
fn make(host: &Path, arguments: &[&str]) {
    let mut command = Command::new("make");
    command.current_dir(root()).args(["--silent", "CARGO=true"]);
    command.arg(format!("DESTDIR={}", host.display()));
    command.args(["PREFIX=/opt/baton", "LIBDIR=/opt/baton/lib/here"]);
    let output = command.args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("make: {error}: run tests/install first"));
    succeeded("make", output);
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            all.extend(files(&path));
        } else {
            all.push(path);
        }
    }
    all
}

fn readelf(option: &str, library: &Path) -> String {
    let output = Command::new("readelf")
        .args(["-W", option])
        .arg(library)
        .output();
    succeeded("readelf", output.unwrap())
}

/// Compiles a program against what is installed on `host`, by its `pkg-config` files, and runs it.
fn program(host: &Path, package: &str, source: &Path) -> String {
    let libraries = host.join("opt/baton/lib/here");
    let options = Command::new("pkg-config")
        .env("PKG_CONFIG_LIBDIR", libraries.join("pkgconfig"))
        .env("PKG_CONFIG_SYSROOT_DIR", host)
        .args(["--cflags", "--libs", package])
        .output()
        .unwrap();
    let options = succeeded("pkg-config", options);
    assert!(options.contains("/opt/baton/lib/here"), "{options}");
    let program = host.join(format!("{package}-program"));
    let output = Command::new("cc")
        .arg("-o")
        .arg(&program)
        .arg(source)
        .args(options.split_whitespace())
        .output();
    succeeded("cc", output.unwrap());
    let output = Command::new(&program)
        .env("LD_LIBRARY_PATH", &libraries)
        .output();
    succeeded(package, output.unwrap())
}

#[test]
fn programs_are_built_against_what_is_installed() {
    let host = tempfile::tempdir().unwrap();
    let host = host.path();
    make(host, &["install"]);
    let said = program(host, "gss", &root().join("tests/interop/peers/gnu_calls.c"));
    assert!(said.contains("sasl 0 GS2-KRB5"), "{said}");
    let source = host.join("versions.c");
    let text = "#include <gssapi/gssapi_ext.h>\n#include <gssapi/gssapi_krb5.h>\n#include <stdio.h>\n\
        int main(void) { OM_uint32 minor; gss_buffer_desc text = GSS_C_EMPTY_BUFFER;\n\
        OM_uint32 major = gss_oid_to_str(&minor, gss_mech_krb5, &text); printf(\"%u %s\", major, (char *)text.value); return 0; }\n";
    std::fs::write(&source, text).unwrap();
    for package in ["krb5-gssapi", "baton"] {
        assert_eq!(
            program(host, package, &source),
            "0 { 1 2 840 113554 1 2 2 }",
            "{package}"
        );
    }
}

#[test]
fn libraries_are_stripped_and_need_the_c_library_alone() {
    let host = tempfile::tempdir().unwrap();
    make(host.path(), &["install-debug"]);
    let libraries = host.path().join("opt/baton/lib/here");
    for name in ["libgssapi_krb5.so.2", "libgss.so.3", "libbaton-gssapi.so.1"] {
        let library = libraries.join(name);
        let sections = readelf("-S", &library);
        assert!(
            !sections.contains(".symtab") && !sections.contains(".debug_"),
            "{name}: {sections}"
        );
        let apart = readelf(
            "-S",
            &libraries.join(".debug").join(format!("{name}.debug")),
        );
        assert!(
            sections.contains(".gnu_debuglink") && apart.contains(".debug_info"),
            "{name}"
        );
        let needed = readelf("-d", &library);
        let needed = needed.lines().filter(|line| line.contains("(NEEDED)"));
        for line in needed {
            // The loader is a part of the C library: thread-local variables are found through it.
            assert!(
                line.contains("[libc.so.6]") || line.contains("[ld-linux-"),
                "{name}: {line}"
            );
        }
    }
}

#[test]
fn what_was_installed_is_taken_away_again() {
    let host = tempfile::tempdir().unwrap();
    make(host.path(), &["install-debug"]);
    assert!(files(host.path()).len() > 20);
    make(host.path(), &["uninstall"]);
    assert_eq!(files(host.path()), Vec::<PathBuf>::new());
    make(host.path(), &["LIBRARIES=baton-gssapi", "install"]);
    let names = files(&host.path().join("opt/baton/lib/here"));
    assert!(
        names
            .iter()
            .all(|path| path.to_string_lossy().contains("baton")),
        "{names:?}"
    );
}

/// Loading costs no more than MIT's library: memory here, where it is exact, and time in `bench`'s `load`.
#[test]
fn a_program_that_only_links_it_has_no_more_memory_than_with_mits() {
    let program = compile("loaded.c", "mit-krb5-gssapi", "loaded_memory");
    let written = |libraries: Option<PathBuf>| {
        let mut command = Command::new(&program);
        command.env_remove("LD_LIBRARY_PATH");
        if let Some(libraries) = libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        let said = succeeded("loaded", command.arg("memory").output().unwrap());
        said.split_whitespace()
            .next()
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    let [ours, theirs] = [Some(root().join("target/capi/lib")), None].map(written);
    assert!(
        ours > 0 && ours <= theirs,
        "{ours} KiB with ours, {theirs} KiB with MIT's"
    );
}
