//! `libbaton-gssapi.so.1` beside MIT's library in one process.

use std::path::Path;

use interop::Vendor;
use interop::peer::compile_with;
use interop::realm::shared;

#[test]
fn one_process_has_both_libraries() {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/capi/lib");
    let library = built.join("libbaton-gssapi.so.1").canonicalize();
    let library = library.unwrap_or_else(|error| panic!("{error}: run `cargo xtask capi` first"));
    let folder = tempfile::tempdir().unwrap();
    // Our other libraries, which have MIT's names, are to stay out of this.
    std::os::unix::fs::symlink(&library, folder.path().join("libbaton-gssapi.so.1")).unwrap();

    let theirs = compile_with(
        "side_by_side.c",
        "mit-krb5-gssapi",
        "libmitside.so",
        None,
        &[
            "-DSIDE=mit",
            "-shared",
            "-fPIC",
            "-Wl,-soname,libmitside.so",
        ],
    );
    let place = theirs.parent().unwrap().to_str().unwrap();
    let program = compile_with(
        "side_by_side.c",
        "baton",
        "side_by_side_program",
        Some(&built.join("pkgconfig")),
        &[
            "-DSIDE=baton",
            "-DMAIN",
            "-no-pie",
            "-L",
            place,
            "-lmitside",
        ],
    );

    let realm = shared(Vendor::Mit);
    realm.kinit(Vendor::Mit, "side-by-side");
    let mut command = realm.command(program, "side-by-side");
    command.env(
        "LD_LIBRARY_PATH",
        format!("{}:{place}", folder.path().display()),
    );
    command.env("LD_BIND_NOW", "1");
    let output = command.arg("e18@localhost").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, b"side by side\n");
}
