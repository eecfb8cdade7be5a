//! What a configuration says of the once-store reaches it.

mod common;

use baton::{
    Acceptor, Config, Context, ExportOptions, Major, ReplayAfterReset, Store, StoreOptions,
};
use common::Site;

fn site(store: Store, store_options: StoreOptions) -> Site {
    Site::new(Config {
        store,
        store_options,
        ..Config::default()
    })
}

#[test]
fn a_strict_store_refuses_a_handshake_that_is_older_than_itself() {
    for (replay_after_reset, accepted) in [
        (ReplayAfterReset::Allow, true),
        (ReplayAfterReset::Strict, false),
    ] {
        let options = StoreOptions {
            replay_after_reset,
            ..StoreOptions::default()
        };
        let site = site(Store::Memory, options);
        let (token, _) = site.begin();
        // The store is made now.
        let first = Acceptor::new(&site.env, &common::acceptor(18)).step(&token);
        assert_eq!(first.is_ok(), accepted);
        let (client, server) = site.contexts();
        common::converse(&client, &server);
    }
}

#[test]
fn deposits_lie_on_a_disk_where_that_is_allowed_alone() {
    // The build's own directory is where a disk is most likely; where it is none, there is nothing to refuse.
    let parent = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let directory = || Store::File {
        directory: Some(parent.path().join("store")),
    };
    let tmpfs = rustix::fs::statfs(parent.path()).unwrap().f_type as u64 == 0x0102_1994;
    let careful = site(directory(), StoreOptions::default());
    let (token, _) = careful.begin();
    match Acceptor::new(&careful.env, &common::acceptor(18)).step(&token) {
        Ok(_) => assert!(tmpfs),
        Err(failure) => {
            let told = failure.error.to_string();
            assert!(!tmpfs && told.contains("allow deposits on disk"), "{told}");
            assert_eq!(failure.error.major(), Major::Failure);
        }
    }
    let allowed = StoreOptions {
        deposits_on_disk: true,
        ..StoreOptions::default()
    };
    let site = site(directory(), allowed);
    let (client, server) = site.contexts();
    let token = server.export(&ExportOptions::default()).unwrap();
    let server = Context::import(&site.env, &token).unwrap();
    common::converse(&client, &server);
}
