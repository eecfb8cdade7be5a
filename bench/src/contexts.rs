//! Contexts established: an initiator with its ticket in the cache, and an acceptor with replay detection.

use interop::realm::Realm;

use crate::rounds::{Rounds, timed};
use crate::sides::{Ours, service, target, their_program, theirs};
use crate::table::Row;

pub(crate) fn rows(realm: &Realm, rounds: &Rounds) -> Vec<Row> {
    let service = service(18);
    let (ours, name) = (Ours::new(realm, service), target(service.1));
    // One of each kind, to see that they are of this enctype.
    drop((ours.checked_contexts(), theirs(realm, service)));
    let mut their_loop = their_program(realm, service);
    their_loop.acquire();
    let compared = rounds.compare(
        20_000,
        &mut |count| timed(count, || drop(ours.contexts(&name))),
        &mut |count| their_loop.bench(&format!("bench-contexts e18@localhost {count}"), &[]),
    );
    vec![Row::new(
        "context established, both sides, enctype 18",
        compared,
        Some(2.0),
    )]
}
