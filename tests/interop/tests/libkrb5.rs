//! A program that uses libkrb5 beside GSS-API: its caches, keytabs and replay caches cross to our `libgssapi_krb5.so.2` as to MIT's.
#![forbid(unsafe_code)]

use interop::Vendor;
use interop::library::Library;
use interop::peer::compile;
use interop::realm::{CLIENT, PASSWORD, shared, succeeded};

fn told_by(library: Library) -> String {
    let realm = shared(Vendor::Mit);
    let program = compile("libkrb5_peer.c", "krb5-gssapi krb5", "libkrb5_peer_mit");
    let rcache = realm.path(&format!("libkrb5-rcache-{library:?}"));
    let mut command = library.command(realm, program, "libkrb5-nothing");
    command.args([CLIENT, PASSWORD, "e18@localhost"]);
    command.arg(format!("file2:{}", rcache.display()));
    succeeded("libkrb5_peer", command.output().unwrap())
}

#[test]
fn objects_of_libkrb5_cross() {
    let (theirs, ours) = (told_by(Library::Mit), told_by(Library::Ours));
    assert_eq!(ours, theirs);
    for part in [
        "a cache in memory: 0\n  is inquired: 0\n  usage 1",
        "a keytab: 0\n  is inquired: 0\n  usage 2",
        "a cache and a keytab in memory: 0\n  is inquired: 0\n  usage 0",
        "it is there",
        "the copy: alice@INTEROP.TEST, 1",
        "what was stored: alice@INTEROP.TEST, 1",
        "a cache that is not there: refused",
    ] {
        assert!(ours.contains(part), "{part}: {ours}");
    }
    assert_eq!(ours.matches("from alice@INTEROP.TEST").count(), 5, "{ours}");
}
