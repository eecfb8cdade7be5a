//! T5: the exporter's policy says who may import; a breach is `GSS_S_UNAUTHORIZED` and burns nothing.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

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

fn bounded(policy: &Policy) -> bool {
    policy.within_session || policy.within_process_group || policy.within_unit
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
            // A session or group whose leader has ended cannot be named for certain, nor the unit of a process that is in none.
            Err((context, error)) if bounded(&policy) => {
                assert_eq!(error.major(), Major::Failure, "{policy:?}: {error}");
                assert!(error.to_string().contains("could not be found out"));
                server = context;
                continue;
            }
            Err((_, error)) => panic!("{policy:?}: {error}"),
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

/// A control group below this process's own, where the kernel lets us make one: what a service manager does for a unit.
struct Unit(PathBuf);

impl Unit {
    fn make(name: &str) -> Option<Self> {
        let table = fs::read_to_string("/proc/self/cgroup").unwrap();
        let path = |start: &str| table.lines().find_map(|line| line.split_once(start));
        let (mounted, path) = match path(":name=systemd:") {
            Some((_, path)) => ("/sys/fs/cgroup/systemd", path),
            None => ("/sys/fs/cgroup", path("0::")?.1),
        };
        let name = format!("baton-test-{}-{name}", std::process::id());
        let place = Path::new(mounted)
            .join(path.trim_start_matches('/'))
            .join(name);
        fs::create_dir(&place).ok()?;
        place.join("cgroup.procs").exists().then_some(Self(place))
    }

    fn add(&self, worker: &Worker) {
        fs::write(self.0.join("cgroup.procs"), worker.pid().to_string()).unwrap();
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        // The kernel may still be burying the processes in it.
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn another_unit_is_refused() {
    let (Some(web), Some(mail)) = (Unit::make("web"), Unit::make("mail")) else {
        eprintln!("no control groups can be made here");
        return;
    };
    let directory = common::store_directory();
    let site = Site::in_directory(directory.path());
    let (client, server) = site.contexts();
    let [exporter, sibling, other] = [&web, &web, &mail].map(|unit| {
        let worker = Worker::start(directory.path());
        unit.add(&worker);
        worker
    });
    let token = server.export(&ExportOptions::default()).unwrap();
    exporter.import(&token).unwrap();
    let token = Token::from(exporter.call(b'e', b"u").unwrap());
    assert_eq!(other.import(&token), Err("Unauthorized".into()));
    let refused = Context::import(&site.env, &token).unwrap_err();
    assert_eq!(refused.major(), Major::Unauthorized);
    sibling.import(&token).expect("of the same unit");
    sibling.converse(&client);
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
