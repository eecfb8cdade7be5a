//! T8: a handshake that one process began is finished by another, where that is asked for.

mod common;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use baton::{
    Acceptor, ChannelBindings, Config, Context, ExportOptions, Flags, HalfOpen, HalfOpenKeys,
    Handshake, Major, Policy, ServiceKeys, Step, Token, Transfer,
};
use common::Site;
use common::process::{self, Stepped, Worker};

#[test]
fn worker() {
    process::worker();
}

const DCE: Flags = Flags::from_bits(
    Flags::DCE_STYLE.bits() | Flags::MUTUAL.bits() | Flags::REPLAY.bits() | Flags::SEQUENCE.bits(),
);

fn asked() -> ExportOptions {
    ExportOptions::default().half_open(HalfOpen::Acceptors)
}

fn both() -> ExportOptions {
    ExportOptions::default().half_open(HalfOpen::BothSides)
}

/// A site with a store, and a key for half-open handshakes.
fn site() -> (tempfile::TempDir, Site) {
    let directory = common::store_directory();
    let site = Site::in_directory(directory.path());
    // The store makes the directory its own before anything else is in it.
    drop(site.contexts());
    common::write_keys(directory.path(), &[1]);
    (directory, site)
}

fn accept(site: &Site, token: &[u8]) -> (Vec<u8>, Handshake) {
    match Acceptor::new(&site.env, &common::acceptor(18)).step(token) {
        Ok(Step::Continue { token, next }) => (token, next),
        other => panic!("{other:?}"),
    }
}

fn import(site: &Site, token: &Token) -> Result<Handshake, baton::Error> {
    Acceptor::new(&site.env, &common::acceptor(18)).import(token)
}

#[track_caller]
fn done(step: Result<Step, baton::Failure>) -> (Option<Vec<u8>>, Context) {
    match step {
        Ok(Step::Done { token, context }) => (token, context),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn going(step: Result<Step, baton::Failure>) -> (Vec<u8>, Handshake) {
    match step {
        Ok(Step::Continue { token, next }) => (token, next),
        other => panic!("{other:?}"),
    }
}

/// A handshake of DCE style waits for its third leg; alone, and within a negotiation.
fn waits_for_third_leg(site: &Site, negotiated: bool) -> (Vec<u8>, Handshake, Handshake) {
    let (request, client) = site.start(|initiator| {
        let initiator = initiator.flags(DCE);
        match negotiated {
            true => initiator.negotiate(),
            false => initiator,
        }
    });
    let (reply, server) = accept(site, &request);
    (reply, client, server)
}

/// The client's side of it ends: its last token, and its context once the negotiation is over.
fn third_leg(client: Handshake, reply: &[u8]) -> (Vec<u8>, Result<Context, Handshake>) {
    match client.step(reply).unwrap() {
        Step::Continue { token, next } => (token, Err(next)),
        Step::Done { token, context } => (token.unwrap(), Ok(context)),
    }
}

fn finish(client: Result<Context, Handshake>, last: Option<Vec<u8>>) -> Context {
    match client {
        Ok(context) => context,
        Err(next) => done(next.step(&last.unwrap())).1,
    }
}

#[test]
fn t8_a_negotiation_that_began_with_a_hint_is_finished_by_another_process() {
    let (directory, site) = site();
    let (first, second) = (
        Worker::start(directory.path()),
        Worker::start(directory.path()),
    );
    let Stepped::Continue(_hint) = first.step(b"").unwrap() else {
        panic!("a list")
    };
    let token = first.export_half_open(HalfOpen::Acceptors).unwrap();
    second.import_half_open(&token).unwrap();
    let (request, client) = site.start(|initiator| initiator.negotiate());
    let Stepped::Done(Some(reply)) = second.step(&request).unwrap() else {
        panic!("accepted")
    };
    let (_, client) = done(client.step(&reply));
    second.converse(&client);
}

/// Each leg by another process: none of them keeps anything.
#[test]
fn t8_dce_style_is_finished_by_another_process() {
    let (directory, site) = site();
    for negotiated in [false, true] {
        let (first, second) = (
            Worker::start(directory.path()),
            Worker::start(directory.path()),
        );
        let (request, client) = site.start(|initiator| {
            let initiator = initiator.flags(DCE);
            match negotiated {
                true => initiator.negotiate(),
                false => initiator,
            }
        });
        let Stepped::Continue(reply) = first.step(&request).unwrap() else {
            panic!("three legs")
        };
        let token = first.export_half_open(HalfOpen::Acceptors).unwrap();
        let (leg, client) = third_leg(client, &reply);
        second.import_half_open(&token).unwrap();
        let Stepped::Done(last) = second.step(&leg).unwrap() else {
            panic!("established")
        };
        second.converse(&finish(client, last));
    }
}

/// The state of the MICs travels: the favourite was not chosen, so both must come, and each process does one leg.
#[test]
fn t8_a_negotiation_with_its_mics_is_finished_by_other_processes() {
    let (directory, site) = site();
    let workers = [(); 3].map(|()| Worker::start(directory.path()));
    let mut client = common::negotiation::Client::start(&site);
    let Stepped::Continue(chosen) = workers[0].step(&client.token).unwrap() else {
        panic!("the second of the list")
    };
    client.go_on(&chosen);
    let token = workers[0].export_half_open(HalfOpen::Acceptors).unwrap();
    workers[1].import_half_open(&token).unwrap();
    let Stepped::Continue(reply) = workers[1].step(&client.token).unwrap() else {
        panic!("the client's MIC is missing")
    };
    client.go_on(&reply);
    let token = workers[1].export_half_open(HalfOpen::Acceptors).unwrap();
    workers[2].import_half_open(&token).unwrap();
    assert_eq!(workers[2].step(&client.token).unwrap(), Stepped::Done(None));
    let context = client.context.unwrap();
    let mut sealed = Vec::new();
    context.wrap(true, b"to the worker", &mut sealed).unwrap();
    let heard = workers[2].call(b'U', &sealed).unwrap();
    assert_eq!(heard, [&[0], &b"to the worker"[..]].concat());
    let said = workers[2].call(b'W', b"from the worker").unwrap();
    let mut message = Vec::new();
    let unwrapped = context.unwrap(&said, &mut message).unwrap();
    assert_eq!(
        (&message[..], unwrapped.order),
        (&b"from the worker"[..], baton::Order::InOrder)
    );
}

/// Whoever altered the MIC on its way did it in vain, though the process that looks has seen nothing of the negotiation before.
#[test]
fn t8_an_altered_mic_is_refused_by_the_process_that_finishes() {
    let (directory, site) = site();
    let (first, second) = (
        Worker::start(directory.path()),
        Worker::start(directory.path()),
    );
    let mut client = common::negotiation::Client::start(&site);
    let Stepped::Continue(chosen) = first.step(&client.token).unwrap() else {
        panic!("the second of the list")
    };
    client.go_on(&chosen);
    let Stepped::Continue(reply) = first.step(&client.token).unwrap() else {
        panic!("the client's MIC is missing")
    };
    client.go_on(&reply);
    let token = first.export_half_open(HalfOpen::Acceptors).unwrap();
    second.import_half_open(&token).unwrap();
    let mut altered = client.token.clone();
    *altered.last_mut().unwrap() ^= 1;
    assert_eq!(second.step(&altered), Err("DefectiveToken".into()));
}

#[test]
fn t8_an_initiator_is_finished_by_another_process() {
    let (directory, site) = site();
    for (negotiated, flags) in [
        (false, site.flags),
        (true, site.flags),
        (false, DCE),
        (true, DCE),
    ] {
        let worker = Worker::start(directory.path());
        let (request, client) = site.start(|initiator| {
            let initiator = initiator.flags(flags);
            match negotiated {
                true => initiator.negotiate(),
                false => initiator,
            }
        });
        let (client, error) = client.export(&asked()).unwrap_err();
        assert_eq!(error.major(), Major::NoContext, "acceptors alone");
        let token = client.export(&both()).unwrap();
        assert_eq!(
            worker.import_half_open(&token),
            Err("DefectiveToken".into())
        );
        worker.import_initiator(&token).unwrap();
        let accepted = Acceptor::new(&site.env, &common::acceptor(18)).step(&request);
        let (reply, server) = match accepted.unwrap() {
            Step::Continue { token, next } => (token, Err(next)),
            Step::Done { token, context } => (token.unwrap(), Ok(context)),
        };
        let answer = worker.step(&reply).unwrap();
        let server = match (server, answer) {
            (Ok(server), Stepped::Done(None)) => server,
            (Err(next), Stepped::Done(Some(leg))) => done(next.step(&leg)).1,
            (Err(next), Stepped::Continue(leg)) => {
                let (last, server) = done(next.step(&leg));
                assert_eq!(worker.step(&last.unwrap()).unwrap(), Stepped::Done(None));
                server
            }
            (_, answer) => panic!("{answer:?}"),
        };
        worker.converse(&server);
    }
}

/// Nobody asked: as for every context that is not established.
#[test]
fn t8_what_nobody_asked_for_is_refused_and_the_handshake_goes_on() {
    let (_directory, site) = site();
    for negotiated in [false, true] {
        let (reply, client, server) = waits_for_third_leg(&site, negotiated);
        let (server, error) = server.export(&ExportOptions::default()).unwrap_err();
        assert_eq!(error.major(), Major::NoContext);
        let refused = ExportOptions::default().half_open(HalfOpen::Refused);
        let (server, error) = server.export(&refused).unwrap_err();
        assert_eq!(error.major(), Major::NoContext);
        let (leg, client) = third_leg(client, &reply);
        let (last, server) = done(server.step(&leg));
        common::converse(&finish(client, last), &server);
    }
}

fn with_transfer(directory: &Path, transfer: Transfer) -> Site {
    Site::new(Config {
        transfer,
        ..common::in_directory(directory)
    })
}

#[test]
fn t8_the_configuration_may_ask() {
    let (directory, _) = site();
    let keys = HalfOpenKeys::File(common::keys_file(directory.path()));
    let site = with_transfer(
        directory.path(),
        Transfer {
            half_open: HalfOpen::Acceptors,
            half_open_keys: keys,
            ..Transfer::default()
        },
    );
    let (_, _, server) = waits_for_third_leg(&site, false);
    let token = server.export(&ExportOptions::default()).unwrap();
    import(&site, &token).unwrap();
    assert_eq!(site.env.counts().half_open_exported, 1);
    assert_eq!(site.env.counts().half_open_imported, 1);
    let (_, client) = site.start(|initiator| initiator);
    let (_, error) = client.export(&ExportOptions::default()).unwrap_err();
    assert_eq!(error.major(), Major::NoContext);
}

#[test]
fn t8_without_a_key_or_a_transfer_there_is_no_half_open_one() {
    let (directory, own) = site();
    let (_, _, server) = waits_for_third_leg(&own, false);
    let token = server.export(&asked()).unwrap();
    let off = Transfer {
        enabled: false,
        ..own.env.config().transfer.clone()
    };
    for transfer in [Transfer::default(), off] {
        let site = with_transfer(directory.path(), transfer);
        let (reply, client, server) = waits_for_third_leg(&site, false);
        let (server, error) = server.export(&asked()).unwrap_err();
        assert_eq!(error.major(), Major::Unavailable, "{error}");
        let error = import(&site, &token).unwrap_err();
        assert_eq!(error.major(), Major::Unavailable, "{error}");
        assert_eq!(site.env.counts().unavailable, 2);
        let (leg, client) = third_leg(client, &reply);
        let (last, server) = done(server.step(&leg));
        common::converse(&finish(client, last), &server);
    }
    import(&own, &token).unwrap();
}

#[test]
fn t8_a_half_open_token_is_redeemed_once() {
    let (directory, site) = site();
    let workers = [(); 4].map(|()| Worker::start(directory.path()));
    for round in 0..10 {
        let (reply, client, server) = waits_for_third_leg(&site, round % 2 == 0);
        let token = server.export(&asked()).unwrap();
        for worker in &workers {
            worker.tell(b'Y', token.as_ref());
        }
        let answers = workers.each_ref().map(|worker| worker.answer().unwrap());
        let winners: Vec<_> = (0..4).filter(|at| answers[*at].is_ok()).collect();
        assert_eq!(winners.len(), 1, "{answers:?}");
        for answer in answers.iter().filter(|answer| answer.is_err()) {
            assert_eq!(*answer, Err("NoContext".into()));
        }
        assert_eq!(import(&site, &token).unwrap_err().major(), Major::NoContext);
        let (leg, client) = third_leg(client, &reply);
        let winner = &workers[winners[0]];
        let Stepped::Done(last) = winner.step(&leg).unwrap() else {
            panic!("established")
        };
        winner.converse(&finish(client, last));
    }
}

#[test]
fn t8_an_altered_half_open_token_is_refused_and_burns_nothing() {
    let (_directory, site) = site();
    for negotiated in [false, true] {
        let (reply, client, server) = waits_for_third_leg(&site, negotiated);
        let token = server.export(&asked()).unwrap().into_bytes();
        for bit in 0..token.len() * 8 {
            let mut other = token.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            let error = import(&site, &Token::from(other)).unwrap_err();
            assert_eq!(error.major(), Major::DefectiveToken, "bit {bit}: {error}");
        }
        for cut in 0..token.len() {
            let error = import(&site, &Token::from(&token[..cut])).unwrap_err();
            assert_eq!(error.major(), Major::DefectiveToken, "cut to {cut}");
        }
        // An established context is not a handshake, nor the other way round.
        let error = Context::import(&site.env, &Token::from(&token[..])).unwrap_err();
        assert_eq!(error.major(), Major::DefectiveToken);
        let (_, established) = site.contexts();
        let exported = established.export(&ExportOptions::default()).unwrap();
        let error = import(&site, &exported).unwrap_err();
        assert_eq!(error.major(), Major::DefectiveToken);

        let server = import(&site, &Token::from(token)).unwrap();
        let (leg, client) = third_leg(client, &reply);
        let (last, server) = done(server.step(&leg));
        common::converse(&finish(client, last), &server);
    }
}

/// The keys of half-open handshakes do not make one service's handshakes another's.
#[test]
fn t8_a_handshake_is_finished_under_a_credential_that_could_have_begun_it() {
    let (_directory, site) = site();
    let others = [
        common::acceptor_of("other/host@EXAMPLE.COM", 18),
        common::acceptor(18).with_enctypes(&[17]).unwrap(),
    ];
    let mut exported: Vec<_> = [false, true]
        .map(|negotiated| {
            let (_, _, server) = waits_for_third_leg(&site, negotiated);
            server.export(&asked()).unwrap()
        })
        .into();
    // The one that has its context, and waits for the MIC.
    let mut client = common::negotiation::Client::start(&site);
    let (chosen, server) = accept(&site, &client.token);
    client.go_on(&chosen);
    let (_, server) = going(server.step(&client.token));
    exported.push(server.export(&asked()).unwrap());
    for token in exported {
        for other in &others {
            let error = (Acceptor::new(&site.env, other).import(&token)).unwrap_err();
            assert_eq!(error.major(), Major::DefectiveToken, "{error}");
        }
        import(&site, &token).unwrap();
    }
}

#[test]
fn t8_a_half_open_token_is_good_for_a_minute() {
    let (_directory, site) = site();
    let export = |options: &ExportOptions| {
        let (_, _, server) = waits_for_third_leg(&site, true);
        server.export(options).unwrap()
    };
    let tokens = [(); 2].map(|()| export(&asked()));
    let long = export(&asked().lifetime(Duration::from_secs(3600)));
    site.clock.pass(Duration::from_secs(40));
    import(&site, &tokens[0]).unwrap();
    site.clock.pass(Duration::from_secs(20));
    let error = import(&site, &tokens[1]).unwrap_err();
    assert_eq!(error.major(), Major::NoContext);
    assert_eq!(site.env.counts().expired, 1);
    // Whatever was asked for, five minutes are the most.
    site.clock.pass(Duration::from_secs(240));
    assert_eq!(import(&site, &long).unwrap_err().major(), Major::NoContext);
    assert_eq!(site.env.counts().expired, 2);
}

#[test]
fn t8_a_half_open_token_is_bound_to_its_channel() {
    let (_directory, site) = site();
    let channel = |name: &str| ChannelBindings::application(name);
    let cred = common::acceptor(18);
    let acceptor = || Acceptor::new(&site.env, &cred);
    let (request, client) = site.start(|initiator| initiator.flags(DCE).bindings(channel("ours")));
    let (reply, server) = going(acceptor().bindings(channel("ours")).step(&request));
    let token = server.export(&asked()).unwrap();
    for other in [
        acceptor(),
        acceptor().bindings(channel("theirs")),
        acceptor().bindings(ChannelBindings::default()),
    ] {
        let error = other.import(&token).unwrap_err();
        assert_eq!(error.major(), Major::BadBindings);
    }
    let server = acceptor().bindings(channel("ours")).import(&token).unwrap();
    let (leg, client) = third_leg(client, &reply);
    let (last, server) = done(server.step(&leg));
    assert!(server.facts().flags.contains(Flags::CHANNEL_BOUND));
    common::converse(&finish(client, last), &server);

    // An initiator's too.
    let (_, client) = site.start(|initiator| initiator.bindings(channel("ours")));
    let token = client.export(&both()).unwrap();
    for other in [None, Some(channel("theirs"))] {
        let error = Handshake::import(&site.env, &token, other.as_ref()).unwrap_err();
        assert_eq!(error.major(), Major::BadBindings);
    }
    Handshake::import(&site.env, &token, Some(&channel("ours"))).unwrap();
}

#[test]
fn t8_the_services_keys_rotate() {
    let (directory, site) = site();
    let worker = Worker::start(directory.path());
    let export = || {
        let (_, _, server) = waits_for_third_leg(&site, true);
        server.export(&asked()).unwrap()
    };
    let (by_old, by_old_too) = (export(), export());
    common::write_keys(directory.path(), &[2, 1]);
    worker.import_half_open(&by_old).unwrap();
    let by_new = export();
    common::write_keys(directory.path(), &[2]);
    worker.import_half_open(&by_new).unwrap();
    assert_eq!(
        worker.import_half_open(&by_old_too),
        Err("DefectiveToken".into())
    );
    // It burned nothing.
    common::write_keys(directory.path(), &[1]);
    worker.import_half_open(&by_old_too).unwrap();

    // Those that a program has read itself are as good.
    let keys = ServiceKeys::parse("01".repeat(32).as_bytes()).unwrap();
    let given = Transfer {
        half_open_keys: HalfOpenKeys::Given(Arc::new(keys)),
        ..Transfer::default()
    };
    let token = export();
    import(&with_transfer(directory.path(), given), &token).unwrap();
}

#[test]
fn t8_keys_that_others_can_read_are_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let (directory, site) = site();
    let file = common::keys_file(directory.path());
    for (mode, good) in [(0o640, true), (0o604, false), (0o620, false), (0o400, true)] {
        std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        let (_, _, server) = waits_for_third_leg(&site, true);
        match server.export(&asked()) {
            Ok(_) => assert!(good, "{mode:o}"),
            Err((_, error)) => {
                assert!(!good, "{error}");
                assert_eq!(error.major(), Major::Failure);
                let text = error.to_string();
                assert!(text.contains(&format!("{mode:04o}")), "{text}");
                assert!(text.contains(&file.display().to_string()), "{text}");
            }
        }
    }
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let (_, _, server) = waits_for_third_leg(&site, true);
    let (_, error) = server.export(&asked()).unwrap_err();
    assert_eq!(error.major(), Major::Failure);
}

#[test]
fn t8_the_policy_says_who_finishes_a_handshake() {
    let (directory, site) = site();
    let (inside, outside) = (
        Worker::start(directory.path()),
        Worker::start(directory.path()),
    );
    outside.call(b'G', &[]).unwrap();
    let (_, _, server) = waits_for_third_leg(&site, true);
    let bounded = Policy::same_user().within_process_group();
    match server.export(&asked().policy(bounded)) {
        Ok(token) => {
            assert_eq!(outside.import_half_open(&token), Err("Unauthorized".into()));
            inside.import_half_open(&token).unwrap();
        }
        // A group whose leader has ended, or is outside this process namespace, cannot be named for certain.
        Err((_, error)) => assert!(
            error.to_string().contains("could not be found out"),
            "{error}"
        ),
    }
    let (_, _, server) = waits_for_third_leg(&site, true);
    let token = server.export(&asked().policy(Policy::nobody())).unwrap();
    assert_eq!(inside.import_half_open(&token), Err("Unauthorized".into()));
    assert_eq!(
        import(&site, &token).unwrap_err().major(),
        Major::Unauthorized
    );
}

#[test]
fn t8_a_token_outlives_the_process_that_made_it() {
    let (directory, site) = site();
    let (first, second) = (
        Worker::start(directory.path()),
        Worker::start(directory.path()),
    );
    let (request, client) = site.start(|initiator| initiator.flags(DCE).negotiate());
    let Stepped::Continue(reply) = first.step(&request).unwrap() else {
        panic!("three legs")
    };
    let token = first.export_half_open(HalfOpen::Acceptors).unwrap();
    first.kill();
    second.import_half_open(&token).unwrap();
    let (leg, client) = third_leg(client, &reply);
    let Stepped::Done(last) = second.step(&leg).unwrap() else {
        panic!("established")
    };
    second.converse(&finish(client, last));
}

#[test]
fn t8_a_handshake_dies_with_the_process_that_redeemed_it() {
    let (directory, site) = site();
    let (first, second) = (
        Worker::start(directory.path()),
        Worker::start(directory.path()),
    );
    let (_, _, server) = waits_for_third_leg(&site, true);
    let token = server.export(&asked()).unwrap();
    first.import_half_open(&token).unwrap();
    first.kill();
    assert_eq!(second.import_half_open(&token), Err("NoContext".into()));
    assert_eq!(import(&site, &token).unwrap_err().major(), Major::NoContext);
}

/// It changes hands any number of times, and each token is good once.
#[test]
fn t8_a_handshake_changes_hands_more_than_once() {
    let (_directory, site) = site();
    let (reply, client, mut server) = waits_for_third_leg(&site, true);
    let mut spent = Vec::new();
    for _ in 0..10 {
        let token = server.export(&asked()).unwrap();
        server = import(&site, &token).unwrap();
        spent.push(token);
    }
    for token in &spent {
        assert_eq!(import(&site, token).unwrap_err().major(), Major::NoContext);
    }
    let (leg, client) = third_leg(client, &reply);
    let (last, server) = done(server.step(&leg));
    common::converse(&finish(client, last), &server);
}

/// An established context of a half-open handshake that was imported is like any other.
#[test]
fn t8_what_comes_of_it_can_be_exported() {
    let (directory, site) = site();
    let worker = Worker::start(directory.path());
    let (reply, client, server) = waits_for_third_leg(&site, false);
    let server = import(&site, &server.export(&asked()).unwrap()).unwrap();
    let (leg, client) = third_leg(client, &reply);
    let (last, server) = done(server.step(&leg));
    let token = server.export(&ExportOptions::default()).unwrap();
    worker.import(&token).unwrap();
    worker.converse(&finish(client, last));
}

/// T10: a copy that `fork` made goes with the handshake.
#[test]
fn t10_a_half_open_handshake_has_gone_from_all_copies() {
    use std::os::unix::process::CommandExt;
    let (_directory, site) = site();
    let (_, _, server) = waits_for_third_leg(&site, true);
    let ours = Arc::new(Mutex::new(Some(server)));
    let childs = Arc::clone(&ours);
    let mut command = std::process::Command::new("true");
    // SAFETY: the child has one thread. It allocates, which glibc makes safe after `fork`, and takes locks that no thread of its
    // parent holds.
    unsafe {
        command.pre_exec(move || {
            let server = childs.lock().unwrap().take().unwrap();
            let exported = server.export(&asked());
            exported
                .map(drop)
                .map_err(|_| std::io::ErrorKind::Other.into())
        });
    }
    assert!(command.status().unwrap().success());
    let server = ours.lock().unwrap().take().unwrap();
    let (server, error) = server.export(&asked()).unwrap_err();
    assert_eq!(error.major(), Major::NoContext);
    let failure = server.step(b"the third leg").unwrap_err();
    assert_eq!(failure.error.major(), Major::NoContext);
}
