//! T5: the exporter's policy says who may import; a breach is `GSS_S_UNAUTHORIZED` and burns nothing.

mod common;

use baton::transfer::{Channel, Sending, receive_over, send_over};
use baton::{Config, Context, ExportOptions, Major, Policy, Store, Token, Transfer};
use common::Site;
use common::process::{self, Worker};
use rustix::process::{getegid, geteuid};

#[test]
fn worker() {
    process::worker();
}

fn user() -> u32 {
    geteuid().as_raw()
}

/// The context comes back through `token`: nothing was burned.
fn still_good(site: &Site, token: &Token) -> Context {
    Context::import(&site.env, token).expect("the true importer")
}

#[test]
fn within_the_process_users_and_groups_are_looked_at() {
    let site = Site::in_memory();
    let (client, mut server) = site.contexts();
    let group = getegid().as_raw();
    for (policy, admitted) in [
        (Policy::same_user(), true),
        (Policy::users([user()]), true),
        (Policy::users([1, user()]), true),
        (Policy::users([user() + 1]), false),
        (Policy::groups([group]), true),
        (Policy::groups([group + 77_777]), false),
        (Policy::same_user().within_session(), true),
        (Policy::same_user().within_process_group(), true),
        (Policy::same_user().within_unit(), true),
        (Policy::nobody(), false),
        (Policy::nobody().within_session(), false),
        (Policy::holder(), false),
    ] {
        let options = ExportOptions::default().policy(policy.clone());
        let token = match server.export(&options) {
            Ok(token) => token,
            // A session or group whose leader has ended cannot be named for certain.
            Err((context, error)) => {
                assert_eq!(error.major(), Major::Failure, "{policy:?}: {error}");
                server = context;
                continue;
            }
        };
        match Context::import(&site.env, &token) {
            Ok(context) => {
                assert!(admitted, "{policy:?}");
                server = context;
            }
            Err(error) => {
                assert!(!admitted, "{policy:?}: {error}");
                assert_eq!(error.major(), Major::Unauthorized);
                // Nobody can have this one any more: another context.
                server = site.contexts().1;
            }
        }
    }
    drop(client);
}

#[test]
fn another_session_and_another_process_group_are_refused() {
    let directory = common::store_directory();
    let site = Site::in_directory(directory.path());
    let (client, server) = site.contexts();
    // A session and a group of its own, whose leader lives: itself.
    let exporter = Worker::start(directory.path());
    exporter.call(b'S', &[]).unwrap();
    let other = Worker::start(directory.path());
    let token = server.export(&ExportOptions::default()).unwrap();
    exporter.import(&token).unwrap();
    for bound in [b's', b'g'] {
        let token = Token::from(exporter.call(b'e', &[bound]).unwrap());
        for _ in 0..2 {
            assert_eq!(other.import(&token), Err("Unauthorized".into()));
        }
        let refused = Context::import(&site.env, &token).unwrap_err();
        assert_eq!(refused.major(), Major::Unauthorized);
        exporter.import(&token).expect("nothing was burned");
        exporter.converse(&client);
    }
}

#[test]
fn a_policy_for_nobody_admits_not_even_the_exporter() {
    let site = Site::in_memory();
    let (_, server) = site.contexts();
    let nobody = ExportOptions::default().policy(Policy::nobody());
    let token = server.export(&nobody).unwrap();
    for _ in 0..3 {
        let error = Context::import(&site.env, &token).unwrap_err();
        assert_eq!(error.major(), Major::Unauthorized);
    }
    assert_eq!(site.env.counts().unauthorized, 3);
}

#[test]
fn the_configured_policy_is_the_default() {
    let site = Site::new(Config {
        store: Store::Memory,
        transfer: Transfer {
            policy: Policy::users([user() + 1]),
            ..Transfer::default()
        },
        ..Config::default()
    });
    let (client, server) = site.contexts();
    let token = server.export(&ExportOptions::default()).unwrap();
    let error = Context::import(&site.env, &token).unwrap_err();
    assert_eq!(error.major(), Major::Unauthorized);
    let (_, server) = (client, site.contexts().1);
    let ours = ExportOptions::default().policy(Policy::same_user());
    let token = server.export(&ours).unwrap();
    still_good(&site, &token);
}

/// In file mode the kernel keeps other users out of the store; that the token burns nothing is seen afterwards.
#[test]
fn another_user_cannot_open_the_store() {
    if user() != 0 {
        eprintln!("another user can be tried by root alone");
        return;
    }
    let directory = common::store_directory();
    let site = Site::in_directory(directory.path());
    let (client, server) = site.contexts();
    let token = server.export(&ExportOptions::default()).unwrap();
    let stranger = Worker::start_as(directory.path(), Some(65_534));
    assert_eq!(stranger.import(&token), Err("Failure".into()));
    let server = still_good(&site, &token);
    common::converse(&client, &server);
}

/// Over a private socket another user can be given a context, if the policy says so.
#[test]
fn another_user_at_the_end_of_a_private_socket() {
    if user() != 0 {
        eprintln!("another user can be tried by root alone");
        return;
    }
    let directory = common::store_directory();
    let site = Site::in_directory(directory.path());
    let (client, server) = site.contexts();
    let stranger = Worker::start_as(directory.path(), Some(65_534));
    let ours_alone = Sending {
        policy: Some(Policy::same_user()),
        ..Sending::default()
    };
    send_over(&stranger.channel, server, &ours_alone).unwrap();
    assert_eq!(stranger.answer().unwrap(), Err("Unauthorized".into()));

    let (_, server) = site.contexts();
    let named = Sending {
        policy: Some(Policy::users([65_534])),
        ..Sending::default()
    };
    send_over(&stranger.channel, server, &named).unwrap();
    stranger.answer().unwrap().unwrap();
    drop(client);

    let (client, server) = site.contexts();
    send_over(&stranger.channel, server, &Sending::default()).unwrap();
    stranger.answer().unwrap().unwrap();
    stranger.converse(&client);
}

#[test]
fn a_holder_is_named_on_a_private_socket_alone() {
    let site = Site::in_memory();
    let (here, there) = Channel::pair().unwrap();
    let (client, server) = site.contexts();
    send_over(&here, server, &Sending::default()).unwrap();
    let server = receive_over(&site.env, &there).unwrap().context;
    common::converse(&client, &server);
    let token = server
        .export(&ExportOptions::default().policy(Policy::holder()))
        .unwrap();
    let error = Context::import(&site.env, &token).unwrap_err();
    assert_eq!(error.major(), Major::Unauthorized);
}
