//! Contexts exported and imported again.

use baton::{Context, ExportOptions};
use interop::realm::Realm;

use crate::rounds::{Rounds, timed};
use crate::sides::{Ours, service, theirs};
use crate::table::Row;

pub(crate) fn rows(realm: &Realm, rounds: &Rounds) -> Vec<Row> {
    let ours = Ours::new(realm, service(18));
    let (_, server) = ours.checked_contexts();
    let (_client, mut their_server) = theirs(realm, service(18));
    let (mut server, options) = (Some(server), ExportOptions::default());
    let compared = rounds.compare(
        20_000,
        &mut |count| {
            timed(count, || {
                let context = server.take().expect("it came back");
                let token = context.export(&options).expect("exported");
                server = Some(Context::import(ours.env(), &token).expect("imported"));
            })
        },
        &mut |count| their_server.bench(&format!("bench transfer 0 {count}"), &[]),
    );
    vec![Row::new(
        "export plus import, enctype 18",
        compared,
        Some(1.0),
    )]
}
