//! Contexts established: an initiator with its ticket in the cache, and an acceptor with replay detection.

use interop::Vendor;
use interop::peer::Peer;
use interop::realm::Realm;

use crate::rounds::{Rounds, timed};
use crate::sides::{Ours, TICKETS, target};
use crate::table::Row;

pub(crate) fn rows(realm: &Realm, rounds: &Rounds) -> Vec<Row> {
    let (ours, name) = (Ours::new(realm), target("e18"));
    let mut theirs = Peer::start(Vendor::Mit, realm, TICKETS);
    theirs.acquire();
    let compared = rounds.compare(
        20_000,
        &mut |count| timed(count, || drop(ours.contexts(&name))),
        &mut |count| theirs.bench(&format!("bench-contexts e18@localhost {count}"), &[]),
    );
    vec![Row::new(
        "context established, both sides, enctype 18",
        compared,
        Some(2.0),
    )]
}
