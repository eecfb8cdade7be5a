//! Messages wrapped and unwrapped, with confidentiality.

use std::time::{Duration, Instant};

use interop::peer::hex;
use interop::realm::{Realm, SERVICES};

use crate::rounds::{Rounds, timed};
use crate::sides::{Ours, service, theirs};
use crate::table::Row;

const SIZES: [(usize, &str); 4] = [
    (64, "64 B"),
    (1024, "1 KiB"),
    (16 * 1024, "16 KiB"),
    (1024 * 1024, "1 MiB"),
];

/// The size that every enctype is measured with, and that has a floor.
const USUAL: usize = 16 * 1024;

pub(crate) fn rows(realm: &Realm, rounds: &Rounds) -> Vec<Row> {
    let mut rows = Vec::new();
    for (size, name) in SIZES {
        rows.extend(both(realm, rounds, 18, size, name));
    }
    for (enctype, ..) in SERVICES.iter().filter(|(enctype, ..)| *enctype != 18) {
        rows.extend(both(realm, rounds, *enctype, USUAL, "16 KiB"));
    }
    rows
}

fn both(realm: &Realm, rounds: &Rounds, enctype: i32, size: usize, name: &str) -> [Row; 2] {
    let service = service(enctype);
    let floor = (enctype == 18 && size == USUAL).then_some(3.0);
    let (client, server) = Ours::new(realm, service).checked_contexts();
    let (mut their_client, mut their_server) = theirs(realm, service);
    let message = vec![0; size];

    let wrap = rounds.compare(
        200_000,
        &mut |count| {
            timed(count, || {
                drop(client.wrap(true, &message).expect("wrapped"))
            })
        },
        &mut |count| their_client.bench(&format!("bench wrap {size} {count}"), &[]),
    );
    // Their server has not seen what was wrapped above: the gap is told, and costs nothing.
    let unwrap = rounds.compare(
        (32 << 20) / size,
        &mut |count| {
            let tokens: Vec<_> = (0..count)
                .map(|_| client.wrap(true, &message).expect("wrapped"))
                .collect();
            let start = Instant::now();
            for token in &tokens {
                drop(server.unwrap(token).expect("unwrapped"));
            }
            start.elapsed()
        },
        &mut |count| unwrapped_by_theirs(&mut their_client, &mut their_server, &message, count),
    );
    [
        Row::new(&format!("wrap {name}, enctype {enctype}"), wrap, floor),
        Row::new(&format!("unwrap {name}, enctype {enctype}"), unwrap, floor),
    ]
}

fn unwrapped_by_theirs(
    client: &mut interop::peer::Peer,
    server: &mut interop::peer::Peer,
    message: &[u8],
    count: usize,
) -> Duration {
    let tokens: Vec<_> = (0..count)
        .map(|_| hex(&client.wrap(true, message)))
        .collect();
    server.bench(&format!("bench-unwrap {count}"), &tokens)
}
