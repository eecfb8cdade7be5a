//! What other languages reach GSS-API with: Python's `gssapi`, and the JDK where it is told to use the system's library.

use std::path::PathBuf;

use interop::library::Library;

use crate::site::{client, said};

fn source(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("peers")
        .join(name)
}

/// What is said on ours, and on MIT's, which must be equal.
fn same(program: &str, arguments: &[&str], file: &str) -> String {
    let [ours, mit] = [Library::Ours, Library::Mit].map(|library| {
        let mut command = client(library, program);
        command.args(arguments).arg(source(file));
        said(&command)
    });
    assert_eq!(ours, mit);
    ours
}

#[test]
fn python_has_contexts_and_credentials() {
    let told = same("/usr/bin/python3", &["-B"], "contexts.py");
    assert!(
        told.contains("what is said") && told.contains("again"),
        "{told}"
    );
}

#[test]
fn the_jdk_has_contexts_that_change_hands() {
    let native = [
        "-Dsun.security.jgss.native=true",
        "-Dsun.security.jgss.lib=libgssapi_krb5.so.2",
    ];
    let told = same("/usr/bin/java", &native, "Contexts.java");
    assert!(told.contains("what is said true"), "{told}");
}
