//! T4: at most one importer wakes a context, whatever is killed or stopped and whenever; exactly one unless the winner dies.

mod common;

use std::thread;
use std::time::Duration;

use baton::{Context, ExportOptions, Token};
use common::Site;
use common::process::{self, Worker};
use rustix::process::Signal;
use wire::random::array;

#[test]
fn worker() {
    process::worker();
}

const LOST: &str = "NoContext";

#[test]
fn of_many_threads_one_wins() {
    let site = Site::in_memory();
    let (client, mut server) = site.contexts();
    for round in 0..100 {
        let token = server.export(&ExportOptions::default()).unwrap();
        let mut winners: Vec<Context> = thread::scope(|scope| {
            let import = || Context::import(&site.env, &token).ok();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(import)).collect();
            threads
                .into_iter()
                .filter_map(|thread| thread.join().unwrap())
                .collect()
        });
        assert_eq!(winners.len(), 1, "round {round}");
        server = winners.remove(0);
    }
    common::converse(&client, &server);
}

#[test]
fn of_two_processes_one_wins() {
    let directory = common::store_directory();
    let site = Site::in_directory(directory.path());
    let (client, mut server) = site.contexts();
    let workers = [
        Worker::start(directory.path()),
        Worker::start(directory.path()),
    ];
    let mut wins = [0; 2];
    for round in 0..300 {
        let token = server.export(&ExportOptions::default()).unwrap();
        // Whoever is told first has an advantage: they take turns.
        let order = [round % 2, (round + 1) % 2];
        for which in order {
            workers[which].tell(b'I', token.as_ref());
        }
        let answers = [0, 1].map(|which| workers[which].answer().unwrap());
        let winner = match &answers {
            [Ok(_), Err(lost)] if lost == LOST => 0,
            [Err(lost), Ok(_)] if lost == LOST => 1,
            other => panic!("round {round}: {other:?}"),
        };
        wins[winner] += 1;
        let back = workers[winner].export().unwrap();
        server = Context::import(&site.env, &back).unwrap();
    }
    assert!(wins[0] > 0 && wins[1] > 0, "a race that is one: {wins:?}");
    common::converse(&client, &server);
}

/// Something between nothing and what an import takes.
fn a_moment() -> Duration {
    let bytes: [u8; 2] = array(&common::Kernel);
    Duration::from_micros(u64::from(u16::from_le_bytes(bytes)) % 1500)
}

#[test]
fn a_stopped_importer_that_goes_on_later_does_not_make_two() {
    let directory = common::store_directory();
    let site = Site::in_directory(directory.path());
    let stopped = Worker::start(directory.path());
    let other = Worker::start(directory.path());
    let (client, mut server) = site.contexts();
    let mut wins = [0; 2];
    for round in 0..100 {
        let token = server.export(&ExportOptions::default()).unwrap();
        stopped.tell(b'I', token.as_ref());
        thread::sleep(a_moment());
        stopped.signal(Signal::STOP);
        let others = other.import(&token);
        stopped.signal(Signal::CONT);
        let own = stopped.answer().unwrap();
        let back = match (&own, &others) {
            (Ok(_), Err(lost)) if lost == LOST => {
                wins[0] += 1;
                stopped.export()
            }
            (Err(lost), Ok(_)) if lost == LOST => {
                wins[1] += 1;
                other.export()
            }
            both => panic!("round {round}: {both:?}"),
        };
        server = Context::import(&site.env, &back.unwrap()).unwrap();
    }
    common::converse(&client, &server);
}

#[test]
fn a_killed_importer_leaves_one_or_none() {
    let directory = common::store_directory();
    let site = Site::in_directory(directory.path());
    let survivor = Worker::start(directory.path());
    let mut outcomes = [0; 3];
    for round in 0..60 {
        let (client, server) = site.contexts();
        let killed = Worker::start(directory.path());
        // Answers once, so that what follows is not its start.
        assert!(killed.import(&Token::from(&b"no token"[..])).is_err());
        let token = server.export(&ExportOptions::default()).unwrap();
        killed.tell(b'I', token.as_ref());
        thread::sleep(a_moment());
        killed.signal(Signal::KILL);
        let others = survivor.import(&token);
        let won = matches!(killed.answer(), Some(Ok(_)));
        let outcome = match (won, &others) {
            (false, Ok(_)) => 0,
            (true, Err(lost)) if lost == LOST => 1,
            (false, Err(lost)) if lost == LOST => 2,
            both => panic!("round {round}: {both:?}"),
        };
        outcomes[outcome] += 1;
        if outcome == 0 {
            survivor.converse(&client);
        }
    }
    assert!(outcomes[0] > 0 || outcomes[1] > 0, "{outcomes:?}");
}
