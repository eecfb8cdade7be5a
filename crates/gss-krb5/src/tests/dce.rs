//! DCE style: three bare messages, and nobody has a context before the last.

use gss_core::error::Major;
use gss_core::flags::Flags;
use gss_core::framing;
use gss_core::mechanism::{Handshake, SecurityContext, Step};
use gss_core::oid::Oid;
use gss_core::sequence::Order;
use krb5::exchange::ap::ApError;
use krb5_crypto::Enctype;

use super::realm::{
    ALL, Pair, TestRealm, continued, done, enctypes, failed, one_bit_flips, signed, wrapped,
};
use crate::{Error, Malformed, PeerMisbehaved};

const DCE: Flags = Flags::from_bits(4 | 8 | 0x1000);

/// The first two legs.
struct Begun {
    realm: TestRealm,
    request: Vec<u8>,
    initiator: Box<dyn Handshake>,
    reply: Vec<u8>,
    acceptor: Box<dyn Handshake>,
}

/// The same at each call: the random source starts anew.
fn begin(enctype: &'static Enctype, flags: Flags) -> Begun {
    let realm = TestRealm::new(enctype);
    let (request, initiator) = continued(realm.initiate(&realm.init_options(flags)));
    let step = realm.acceptor().step(&request, &realm.host()).unwrap();
    let (reply, acceptor) = continued(step);
    Begun {
        realm,
        request,
        initiator,
        reply,
        acceptor,
    }
}

fn third(begun: &TestRealm, initiator: Box<dyn Handshake>, reply: &[u8]) -> (Vec<u8>, Context) {
    let (token, context) = done(initiator.step(reply, &begun.host()));
    (token.unwrap(), context)
}

type Context = Box<dyn SecurityContext>;

fn first() -> &'static Enctype {
    enctypes().next().unwrap()
}

#[test]
fn three_bare_legs_make_a_context_in_each_enctype() {
    for enctype in enctypes() {
        for flags in [DCE, Flags::DCE_STYLE, DCE | Flags::MUTUAL] {
            let begun = begin(enctype, flags);
            let (leg, initiator) = third(&begun.realm, begun.initiator, &begun.reply);
            let tags = [&begun.request, &begun.reply, &leg].map(|token| token[0]);
            assert_eq!(tags, [0x6e, 0x6f, 0x6f]);
            let (none, acceptor) = done(begun.acceptor.step(&leg, &begun.realm.host()));
            assert!(none.is_none());
            // It is mutual, whether that was asked for or not.
            let granted = flags | Flags::MUTUAL | Flags::from_bits(16 | 32 | 128 | 256);
            let pair = Pair {
                initiator,
                acceptor,
            };
            for (from, to) in [
                (&pair.initiator, &pair.acceptor),
                (&pair.acceptor, &pair.initiator),
            ] {
                assert_eq!(from.facts().flags, granted);
                let mut out = Vec::new();
                let token = wrapped(&**from, true, b"message");
                assert_eq!(to.unwrap(&token, &mut out).unwrap().order, Order::InOrder);
                let token = signed(&**from, b"message");
                assert_eq!(to.verify_mic(b"message", &token).unwrap(), Order::InOrder);
            }
        }
    }
}

#[test]
fn no_altered_leg_passes() {
    for enctype in enctypes() {
        let begun = begin(enctype, DCE);
        let (leg, _) = third(&begun.realm, begun.initiator, &begun.reply);
        for (bit, other) in one_bit_flips(&begun.request) {
            let realm = &begun.realm;
            let step = realm.acceptor().step(&other, &realm.host_without_replay());
            // What is not sealed may differ, and never makes a context of two legs.
            assert!(!matches!(step, Ok(Step::Done { .. })), "{bit}");
        }
        for (bit, other) in one_bit_flips(&begun.reply) {
            let again = begin(enctype, DCE);
            let step = again.initiator.step(&other, &again.realm.host());
            assert!(step.is_err(), "{} {bit}", enctype.name());
        }
        for (bit, other) in one_bit_flips(&leg) {
            let again = begin(enctype, DCE);
            let step = again.acceptor.step(&other, &again.realm.host());
            assert!(step.is_err(), "{} {bit}", enctype.name());
        }
        for cut in 0..begun.request.len() {
            failed(
                begun
                    .realm
                    .acceptor()
                    .step(&begun.request[..cut], &begun.realm.host_without_replay()),
            );
        }
        for cut in 0..begun.reply.len() {
            let again = begin(enctype, DCE);
            failed(
                again
                    .initiator
                    .step(&begun.reply[..cut], &again.realm.host()),
            );
        }
        for cut in 0..leg.len() {
            let again = begin(enctype, DCE);
            let failure = failed(again.acceptor.step(&leg[..cut], &again.realm.host()));
            assert!(failure.token.is_none(), "nobody waits");
        }
    }
}

fn mismatch(error: &Error) -> bool {
    matches!(error, Error::Exchange(ApError::ReplyMismatch))
}

/// The reply has the number that the third leg must have, under the same key.
#[test]
fn our_own_reply_sent_back_is_no_third_leg() {
    for enctype in enctypes() {
        let begun = begin(enctype, DCE);
        let failure = failed(begun.acceptor.step(&begun.reply, &begun.realm.host()));
        assert!(mismatch(failure.error.cause().unwrap()));
    }
}

/// Of two handshakes under one ticket.
#[test]
fn a_third_leg_is_of_its_own_handshake() {
    let realm = TestRealm::new(first());
    let begin = || {
        let (request, initiator) = continued(realm.initiate(&realm.init_options(DCE)));
        let step = realm.acceptor().step(&request, &realm.host()).unwrap();
        let (reply, acceptor) = continued(step);
        let (leg, _) = third(&realm, initiator, &reply);
        (leg, acceptor)
    };
    let ((leg, _), (_, other)) = (begin(), begin());
    let failure = failed(other.step(&leg, &realm.host()));
    assert!(mismatch(failure.error.cause().unwrap()));
}

#[test]
fn a_bare_request_goes_with_dce_style_and_with_nothing_else() {
    let realm = TestRealm::new(first());
    for (flags, bare) in [(DCE, false), (ALL, true)] {
        let token = realm.token(flags);
        let other = match bare {
            true => framing::unframe(Oid::KRB5, &token).unwrap()[2..].to_vec(),
            false => framing::frame(Oid::KRB5, &[&[1, 0], &token[..]].concat()),
        };
        let failure = failed(realm.acceptor().step(&other, &realm.host()));
        assert_eq!(failure.error.major(), Major::DefectiveToken, "{flags:?}");
        let error = failure.error.cause::<Error>().unwrap();
        let expected = PeerMisbehaved::DceStyle;
        assert!(matches!(error, Error::PeerMisbehaved(found) if *found == expected));
        assert!(
            failure.token.is_some(),
            "both ask for mutual authentication"
        );
        assert_eq!(realm.store.counts().unwrap().claimed, 0, "no mark is put");
    }
}

/// Nothing but its own next leg moves a state, frames included.
#[test]
fn each_state_takes_its_leg_and_nothing_else() {
    let begun = begin(first(), DCE);
    let (leg, context) = third(&begun.realm, begun.initiator, &begun.reply);
    let framed = |id: u8, token: &[u8]| framing::frame(Oid::KRB5, &[&[id, 0], token].concat());
    let tokens = [
        ("nothing", Vec::new()),
        ("AP-REQ", begun.request.clone()),
        ("AP-REP", begun.reply.clone()),
        ("third leg", leg.clone()),
        ("framed AP-REQ", framed(1, &begun.request)),
        ("framed AP-REP", framed(2, &begun.reply)),
        ("framed third leg", framed(2, &leg)),
        ("framed nothing", framed(3, &[])),
        ("a message", wrapped(&*context, true, b"message")),
        ("a MIC", signed(&*context, b"message")),
    ];
    for (name, token) in tokens {
        let again = begin(first(), DCE);
        let step = again.initiator.step(&token, &again.realm.host());
        assert_eq!(step.is_ok(), name == "AP-REP", "initiator: {name}");
        let step = again.acceptor.step(&token, &again.realm.host());
        assert_eq!(step.is_ok(), name == "third leg", "acceptor: {name}");
    }
}

/// MIT's and Heimdal's acceptors frame their errors, Windows's does not.
#[test]
fn an_initiator_reads_errors_with_and_without_a_frame() {
    let realm = TestRealm::new(first());
    let mut token = realm.token(DCE);
    *token.last_mut().unwrap() ^= 1;
    let refusal = failed(realm.acceptor().step(&token, &realm.host())).token;
    let refusal = refusal.unwrap();
    let bare = framing::unframe(Oid::KRB5, &refusal).unwrap()[2..].to_vec();
    for error in [refusal, bare] {
        let begun = begin(first(), DCE);
        let failure = failed(begun.initiator.step(&error, &begun.realm.host()));
        let error = failure.error.cause::<Error>().unwrap();
        assert!(
            matches!(error, Error::PeerRefused { code: 31, .. }),
            "{error:?}"
        );
    }
}

/// A style is agreed on in the first leg.
#[test]
fn a_framed_handshake_takes_no_bare_reply() {
    let realm = TestRealm::new(first());
    let (request, initiator) = continued(realm.initiate(&realm.init_options(ALL)));
    let (reply, _) = done(realm.acceptor().step(&request, &realm.host()));
    let reply = reply.unwrap();
    let bare = &framing::unframe(Oid::KRB5, &reply).unwrap()[2..];
    let failure = failed(initiator.step(bare, &realm.host()));
    let error = failure.error.cause::<Error>().unwrap();
    assert!(matches!(error, Error::Malformed(Malformed::Frame(_))));
}
