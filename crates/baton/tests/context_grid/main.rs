//! Each call on a handshake and on a context in each state that one can be in: every cell has a stated outcome. The
//! outcomes on a copy that `fork` made, of a context that another process exported, are in `transfer_t10_fork`.

mod contexts;
mod handshakes;
mod site;

use baton::{Context, ExportOptions, HalfOpen, Handshake, IoVec, Major, Oid, Order};
use contexts::*;
use handshakes::*;
use site::{OK, Site, World, both, half_open, outcome};

use Call::{On, Takes};

/// The states of a context, in the order of the columns. Where transfers are switched off it is an acceptor's.
const CONTEXTS: [&str; 7] = [
    "open initiator",
    "open acceptor",
    "expired initiator",
    "expired acceptor",
    "imported initiator",
    "imported acceptor",
    "switched off",
];

enum Call {
    On(fn(&Cell<'_>, &Context) -> String),
    /// There is no context to call afterwards: those cells do not compile.
    Takes(fn(&Cell<'_>, Context) -> String),
}

/// No row has the columns "half-open initiator" and "half-open acceptor": that is a [`Handshake`], which has none of these methods,
/// and nothing public makes a context of one but its last step, so those cells do not compile.
#[rustfmt::skip]
const ON_CONTEXT: &[(&str, Call, [&str; 7])] = &[
    // call                          open initiator / acceptor,  expired i. / a.,  imported i. / a.,  switched off
    ("check_here",                   On(|_, context| outcome(context.check_here())), [OK; 7]),
    ("facts",                        On(facts),        ["initiated by alice", "accepted by alice", "initiated by alice", "accepted by alice", "initiated by alice", "accepted by alice", "accepted by alice"]),
    ("lifetime",                     On(lifetime),     ["some", "some", "none", "none", "some", "some", "some"]),
    ("initiator_name",               On(|_, context| short(&context.initiator_name())), ["alice"; 7]),
    ("acceptor_name",                On(|_, context| short(&context.acceptor_name())), ["HTTP/localhost"; 7]),
    ("fmt",                          On(debug),        ["no keys"; 7]),
    // Messages go on when the ticket has expired: long sessions live on that.
    ("wrap",                         On(|cell, context| taken(cell, context.wrap(true, b"hello"))), [OK; 7]),
    ("wrap in clear",                On(|cell, context| taken(cell, context.wrap(false, b"hello"))), [OK; 7]),
    ("wrap_into",                    On(wrap_into),    [OK; 7]),
    ("unwrap",                       On(unwrap),       ["InOrder"; 7]),
    ("unwrap_into",                  On(unwrap_into),  ["InOrder"; 7]),
    ("unwrap again",                 On(replayed),     ["Duplicate"; 7]),
    ("unwrap the next but one",      On(gap),          ["Gap"; 7]),
    ("unwrap what it wrapped",       On(reflected),    ["BadMic"; 7]),
    ("unwrap what was altered",      On(altered),      ["BadMic"; 7]),
    ("unwrap nothing",               On(|_, context| unwrapped(context.unwrap(b""))), ["DefectiveToken"; 7]),
    ("get_mic",                      On(get_mic),      [OK; 7]),
    ("verify_mic",                   On(verify_mic),   ["InOrder"; 7]),
    ("verify_mic of another",        On(bad_mic),      ["BadMic"; 7]),
    ("wrap_size_limit",              On(size_limit),   [OK; 7]),
    ("room, wrap_in_place",          On(in_place),     [OK; 7]),
    ("unwrap_in_place",              On(un_place),     ["InOrder"; 7]),
    ("wrap_slices",                  On(slices),       [OK; 7]),
    ("unwrap_slice",                 On(unslice),      ["InOrder"; 7]),
    ("mic_length, get_mic_slices",   On(mic_slices),   [OK; 7]),
    ("verify_mic_slices",            On(mic_sliced),   ["InOrder"; 7]),
    ("wrap_iov_lengths, wrap_iov",   On(iov),          [OK; 7]),
    ("wrap_iov without a header",    On(no_header),    ["Failure"; 7]),
    ("unwrap_iov",                   On(un_iov),       ["InOrder"; 7]),
    ("get_mic_iov",                  On(mic_iov),      [OK; 7]),
    ("verify_mic_iov",               On(un_mic_iov),   ["InOrder"; 7]),
    ("wrap_aead",                    On(aead),         [OK; 7]),
    ("unwrap_aead",                  On(un_aead),      ["InOrder"; 7]),
    ("unwrap_aead beside another",   On(bad_aead),     ["BadMic"; 7]),
    ("wrap_many",                    On(many),         [OK; 7]),
    ("unwrap_many",                  On(un_many),      ["InOrder, BadMic, Gap"; 7]),
    ("pseudo_random",                On(prf),          ["the peer's"; 7]),
    ("session_key",                  On(session_key),  ["the peer's"; 7]),
    ("strength",                     On(|_, context| format!("{:?}", context.strength().unwrap())), ["256"; 7]),
    ("ticket_flags",                 On(|_, context| outcome(context.ticket_flags())), [OK; 7]),
    ("authtime",                     On(|_, context| outcome(context.authtime())), [OK; 7]),
    // The realm's tickets have none.
    ("authorization_data",           On(authdata),     ["0 PACs"; 7]),
    ("inquire_by_oid",               On(by_oid),       [OK; 7]),
    ("inquire_by_oid of no object",  On(|_, context| outcome(context.inquire_by_oid(&Oid::KRB5))), ["Unavailable"; 7]),
    ("process_token",                On(|_, context| outcome(context.process_token(b"token"))), ["DefectiveToken"; 7]),
    // Neither what was delegated nor the evidence travels with the context.
    ("take_delegated",               On(delegated),    ["none", "alice", "none", "alice", "none", "none", "alice"]),
    ("take_delegated again",         On(twice),        ["none"; 7]),
    ("for_initiator",                On(for_initiator), ["none", OK, "none", OK, "none", "none", OK]),
    // What could not be exported is here and as good as it was, in each of these.
    ("export",                       Takes(export),    [OK, OK, "ContextExpired", "ContextExpired", OK, OK, "Unavailable"]),
    ("export to nobody",             Takes(to_nobody), ["Unauthorized", "Unauthorized", "ContextExpired", "ContextExpired", "Unauthorized", "Unauthorized", "Unavailable"]),
    ("export, import",               Takes(round),     [OK, OK, "ContextExpired", "ContextExpired", OK, OK, "Unavailable"]),
    ("export, import twice",         Takes(imported_twice), ["NoContext", "NoContext", "ContextExpired", "ContextExpired", "NoContext", "NoContext", "Unavailable"]),
    ("export, import altered",       Takes(altered_import), ["DefectiveToken", "DefectiveToken", "ContextExpired", "ContextExpired", "DefectiveToken", "DefectiveToken", "Unavailable"]),
    ("export, import as a handshake", Takes(as_handshake), ["DefectiveToken", "DefectiveToken", "ContextExpired", "ContextExpired", "DefectiveToken", "DefectiveToken", "Unavailable"]),
    // Nothing is sealed that could outlive the context.
    ("into_lucid",                   Takes(lucid),     [OK, OK, OK, OK, OK, OK, "Unavailable"]),
];

/// The states of a handshake of DCE style, in which each side waits for the other. Where transfers are switched off it is an
/// acceptor's.
const HANDSHAKES: [&str; 7] = [
    "half-open initiator",
    "half-open acceptor",
    "late initiator",
    "late acceptor",
    "imported initiator",
    "imported acceptor",
    "switched off",
];

type Half = fn(&Waiting<'_>, Handshake) -> String;

/// No row has the columns "open initiator" and "open acceptor": the step that ends a handshake takes it and gives a [`Context`], which
/// has no `step`, and whose `export` is in the table above, so those cells do not compile. Nor does a second step of one handshake, or
/// a step of one that was exported: the first call took it.
#[rustfmt::skip]
const ON_HANDSHAKE: &[(&str, Half, [&str; 7])] = &[
    // call                          half-open initiator / acceptor,  late i. / a.,  imported i. / a.,  switched off
    ("step",                         |at, half| stepped(half.step(&at.answer)), ["done"; 7]),
    ("step with nothing",            |_, half| stepped(half.step(b"")), ["DefectiveToken"; 7]),
    ("step with what was altered",   |at, half| altered_step(half, &at.answer), ["Failure"; 7]),
    ("fmt",                          |at, half| format!("{}", format!("{half:?}").contains(if at.initiator { "false" } else { "true" })), ["true"; 7]),
    // Who does not ask gets what every context that is not established does.
    ("export unasked",               |_, half| outcome(half_exported(half, &ExportOptions::default())), ["NoContext", "NoContext", "NoContext", "NoContext", "NoContext", "NoContext", "Unavailable"]),
    ("export of acceptors",          |_, half| outcome(half_exported(half, &half_open(HalfOpen::Acceptors))), ["NoContext", OK, "NoContext", OK, "NoContext", OK, "Unavailable"]),
    ("export of both sides",         |_, half| outcome(half_exported(half, &both())), [OK, OK, OK, OK, OK, OK, "Unavailable"]),
    ("export, import, step",         moved,            ["done", "done", "done", "done", "done", "done", "Unavailable"]),
    ("export, import twice",         moved_twice,      ["NoContext", "NoContext", "NoContext", "NoContext", "NoContext", "NoContext", "Unavailable"]),
    ("export, import on the other side", other_side,   ["DefectiveToken", "DefectiveToken", "DefectiveToken", "DefectiveToken", "DefectiveToken", "DefectiveToken", "Unavailable"]),
    ("export, import as a context",  as_context,       ["DefectiveToken", "DefectiveToken", "DefectiveToken", "DefectiveToken", "DefectiveToken", "DefectiveToken", "Unavailable"]),
];

#[test]
fn every_call_on_a_context_in_every_state_has_its_outcome() {
    let mut wrong = Vec::new();
    let world = World::new();
    for (call, run, outcomes) in ON_CONTEXT {
        for (state, wanted) in CONTEXTS.iter().zip(outcomes) {
            let site = Site::new(&world, *state != "switched off");
            let (initiator, acceptor) = site.contexts();
            let (context, peer) = match state.ends_with("initiator") {
                true => (initiator, acceptor),
                false => (acceptor, initiator),
            };
            let context = match state.split_once(' ').unwrap().0 {
                "expired" => {
                    site.pass();
                    context
                }
                "imported" => {
                    let token = context.export(&ExportOptions::default()).unwrap();
                    Context::import(&site.env, &token).unwrap()
                }
                _ => context,
            };
            let cell = Cell { site: &site, peer };
            let got = match run {
                On(call) => call(&cell, &context),
                Takes(call) => call(&cell, context),
            };
            compare(&mut wrong, call, state, &got, wanted);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_call_on_a_handshake_in_every_state_has_its_outcome() {
    let mut wrong = Vec::new();
    let world = World::new();
    for (call, run, outcomes) in ON_HANDSHAKE {
        for (state, wanted) in HANDSHAKES.iter().zip(outcomes) {
            let site = Site::new(&world, *state != "switched off");
            let initiator = state.ends_with("initiator");
            let (half, answer) = site.half_open(initiator);
            let half = match state.split_once(' ').unwrap().0 {
                "late" => {
                    site.pass();
                    half
                }
                "imported" => site
                    .import(&half.export(&both()).unwrap(), initiator)
                    .unwrap(),
                _ => half,
            };
            let waiting = Waiting {
                site: &site,
                initiator,
                answer,
            };
            let got = run(&waiting, half);
            compare(&mut wrong, call, state, &got, wanted);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a call gives comes at its end, all at once: one that fails has touched nothing, whatever it had found until then.
#[test]
fn trap_12_a_call_that_fails_gives_nothing() {
    let world = World::new();
    let site = Site::new(&world, true);
    let (client, server) = site.contexts();
    for (context, peer) in [(&client, &server), (&server, &client)] {
        for confidential in [true, false] {
            let mut token = peer.wrap(confidential, b"hello").unwrap();
            for at in 0..token.len() {
                token[at] ^= 1;
                let mut out = b"kept".to_vec();
                let rotation = (6..8).contains(&at) && token[..2] == [5, 4];
                if context.unwrap_into(&token, &mut out).is_err() {
                    assert_eq!(out, b"kept", "byte {at}");
                } else {
                    assert!(rotation, "byte {at} counts");
                }
                let mut outs = context.unwrap_many(&[&token[..at]]).unwrap();
                assert!(outs.remove(0).is_err(), "cut to {at}");
                token[at] ^= 1;
            }
            assert_eq!(context.unwrap(&token).unwrap().data, b"hello");
        }
        let room = context.room(true, 5).unwrap();
        let mut buffer = vec![7; room.before + 4];
        assert!(context.wrap_in_place(true, &mut buffer, room).is_err());
        assert!(buffer.iter().all(|byte| *byte == 7));
        assert!(context.wrap_slices(true, &[b"hello"], &mut buffer).is_err());
        assert!(buffer.iter().all(|byte| *byte == 7));
        let mut data = *b"hello";
        let mut iov = [IoVec::Header(&mut []), IoVec::Data(&mut data)];
        assert!(context.wrap_iov(true, &mut iov).is_err());
        assert_eq!(&data, b"hello");
        // None of it cost a number.
        let (sealed, mic) = (context.wrap(true, b"hello"), context.get_mic(b"hello"));
        assert_eq!(peer.unwrap(&sealed.unwrap()).unwrap().order, Order::InOrder);
        let order = peer.verify_mic(b"hello", &mic.unwrap()).unwrap();
        assert_eq!(order, Order::InOrder);
    }

    // A handshake that fails at the last byte has no context, and an export that does is none.
    let (half, mut answer) = site.half_open(false);
    flip(&mut answer);
    assert_eq!(stepped(half.step(&answer)), "Failure");
    site.pass();
    let (context, error) = client.export(&ExportOptions::default()).unwrap_err();
    assert_eq!(error.major(), Major::ContextExpired);
    assert_eq!(outcome(context.check_here()), OK);
    assert_eq!(site.env.counts().exported, 0);
}

fn compare(wrong: &mut Vec<String>, call: &str, state: &str, got: &str, wanted: &str) {
    if got != wanted {
        wrong.push(format!("{call}, {state}: {got}, not {wanted}"));
    }
}
