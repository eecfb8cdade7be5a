//! SPNEGO between ours and theirs: each as initiator and as acceptor, with MICs of the mechanism list and without.
#![allow(missing_docs)]

use std::fs;
use std::io::Read;
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use baton::kerberos::Principal;
use baton::kerberos::ccache::CredentialCache;
use baton::kerberos::keytab::Keytab;
use baton::{
    Acceptor, ChannelBindings, Config, Context, Credential, Environment, ExportOptions, Flags,
    HalfOpen, HalfOpenKeys, Initiator, Major, Name, NegMechs, Oid, ServiceKeys, Step, Store,
};
use gss_core::error::Error;
use gss_core::host::Host;
use gss_core::mechanism::{self, Failure, Handshake, SecurityContext};
use gss_krb5::{AcceptOptions, AcceptorCred, InitOptions, ServiceTicket};
use gss_spnego::messages::{NegState, NegTokenResp, NegotiationToken};
use gss_spnego::{Choice, Offer, PeerMisbehaved};
use interop::Vendor;
use interop::peer::{BAD_BINDINGS, COMPLETE, Peer, Stepped, program};
use interop::realm::{Realm, shared};
use krb5::exchange::ap::Acceptable;
use wire::random::Random;
use wire::time::Timestamp;

const TICKETS: &str = "spnego";
const SERVICE: &str = "e18";
const ALL: Flags = Flags::from_bits(62);

fn target() -> String {
    format!("{SERVICE}@localhost")
}

/// The vendor's realm, with a ticket for [`SERVICE`].
fn realm(vendor: Vendor) -> &'static Realm {
    static MIT: OnceLock<()> = OnceLock::new();
    static HEIMDAL: OnceLock<()> = OnceLock::new();
    let realm = shared(vendor);
    let ready = match vendor {
        Vendor::Mit => &MIT,
        Vendor::Heimdal => &HEIMDAL,
    };
    ready.get_or_init(|| {
        realm.kinit(Vendor::Mit, TICKETS);
        realm.run(
            "/usr/bin/kvno",
            TICKETS,
            &["-q", &format!("{SERVICE}/localhost")],
        );
    });
    realm
}

fn environment(vendor: Vendor) -> Environment {
    Environment::new(Config {
        krb5_conf: vec![realm(vendor).config()],
        store: Store::Memory,
        ..Config::default()
    })
    .unwrap()
}

fn cache(vendor: Vendor) -> CredentialCache {
    CredentialCache::parse(&fs::read(realm(vendor).path(TICKETS)).unwrap()).unwrap()
}

fn keytab(vendor: Vendor) -> Arc<Keytab> {
    Arc::new(Keytab::parse(&fs::read(realm(vendor).keytab()).unwrap()).unwrap())
}

/// A peer that initiates with SPNEGO.
fn peer(vendor: Vendor) -> Peer {
    let mut command = realm(vendor).command(program(vendor), TICKETS);
    command.env("GSS_PEER_SPNEGO", "1");
    Peer::start_with(command)
}

fn initiate(env: &Environment, vendor: Vendor, flags: Flags) -> (Vec<u8>, baton::Handshake) {
    let (cred, target) = (
        Credential::from_cache(&cache(vendor)).unwrap(),
        Name::hostbased_service(&target()),
    );
    match Initiator::new(env, &cred, &target)
        .flags(flags)
        .negotiate()
        .start()
    {
        Ok(Step::Continue { token, next }) => (token, next),
        other => panic!("{other:?}"),
    }
}

fn accept(env: &Environment, vendor: Vendor, token: &[u8]) -> Result<Step, Failure> {
    let cred = Credential::from_keytab(keytab(vendor));
    Acceptor::new(env, &cred).step(token)
}

fn converse(ours: &Context, theirs: &mut Peer) {
    from_theirs(ours, theirs);
    let sealed = ours.wrap(true, b"to them").unwrap();
    assert_eq!(
        theirs.unwrap(&sealed),
        (COMPLETE, true, b"to them".to_vec())
    );
    let mic = ours.get_mic(b"signed").unwrap();
    assert_eq!(theirs.verify(b"signed", &mic), COMPLETE);
}

fn from_theirs(ours: &Context, theirs: &mut Peer) {
    let sealed = theirs.wrap(true, b"to us");
    assert_eq!(ours.unwrap(&sealed).unwrap().data, b"to us");
    let mic = theirs.mic(b"signed");
    assert!(ours.verify_mic(b"signed", &mic).is_ok());
}

#[track_caller]
fn done(step: Result<Step, Failure>) -> (Option<Vec<u8>>, Context) {
    match step {
        Ok(Step::Done { token, context }) => (token, context),
        other => panic!("{other:?}"),
    }
}

/// As the initiator, with and without mutual authentication, and with the acceptor speaking first or not.
#[test]
fn ours_initiates() {
    for vendor in Vendor::ALL {
        let env = environment(vendor);
        for flags in [ALL, ALL.without(Flags::MUTUAL)] {
            for hint in [false, true] {
                let mut theirs = peer(vendor);
                theirs.accept(None);
                if hint {
                    let Stepped::Continue(hint) = theirs.step(&[]) else {
                        panic!("{vendor:?} gives no hint");
                    };
                    let inner = gss_core::framing::unframe(Oid::SPNEGO, &hint).unwrap();
                    let hint = NegotiationToken::decode(inner).unwrap();
                    assert_eq!(hint.encode(), inner);
                }
                let (token, next) = initiate(&env, vendor, flags);
                let Stepped::Done(answer) = theirs.step(&token) else {
                    panic!("{vendor:?}: the acceptor is not done");
                };
                let (rest, ours) = done(next.step(&answer));
                assert_eq!(rest, None);
                assert_eq!(ours.facts().mechanism, Oid::KRB5);
                converse(&ours, &mut theirs);
            }
        }
    }
}

#[test]
fn ours_accepts() {
    for vendor in Vendor::ALL {
        let env = environment(vendor);
        for flags in [ALL, ALL.without(Flags::MUTUAL)] {
            let mut theirs = peer(vendor);
            theirs.initiate(&target(), flags.bits(), None);
            let (answer, ours) = done(accept(&env, vendor, &theirs.step(&[]).token()));
            let Stepped::Done(rest) = theirs.step(&answer.unwrap()) else {
                panic!("{vendor:?}: the initiator is not done");
            };
            assert_eq!(rest, b"");
            assert_eq!(ours.facts().mechanism, Oid::KRB5);
            assert!(ours.facts().initiator.to_string().starts_with("alice@"));
            if vendor == Vendor::Heimdal && !flags.contains(Flags::MUTUAL) {
                // Its initiator expects an acceptor's numbers to begin at 0 then, without a negotiation too.
                from_theirs(&ours, &mut theirs);
            } else {
                converse(&ours, &mut theirs);
            }
        }
    }
}

/// What was negotiated changes hands as what was not.
#[test]
fn a_negotiated_context_goes_on_in_another_place() {
    for vendor in Vendor::ALL {
        let env = environment(vendor);
        let mut theirs = peer(vendor);
        theirs.initiate(&target(), ALL.bits(), None);
        let (answer, ours) = done(accept(&env, vendor, &theirs.step(&[]).token()));
        theirs.step(&answer.unwrap()).token();
        converse(&ours, &mut theirs);
        let token = ours.export(&ExportOptions::default()).unwrap();
        converse(&Context::import(&env, &token).unwrap(), &mut theirs);
    }
}

const BAD_MECH: u32 = 1 << 16;
const KRB_ERR_GENERIC: u32 = (-1_765_328_384_i32).cast_unsigned() + 60;

/// The mechanism's reason travels in the reject, either way. Heimdal neither sends it nor looks at it.
#[test]
fn a_refusal_tells_its_reason() {
    for vendor in Vendor::ALL {
        let env = environment(vendor);
        let mut theirs = peer(vendor);
        theirs.initiate(&target(), ALL.bits(), None);
        let request = theirs.step(&[]).token();
        done(accept(&env, vendor, &request));
        let refused = accept(&env, vendor, &request).unwrap_err();
        let Stepped::Failed { major, text, .. } = theirs.step(&refused.token.unwrap()) else {
            panic!("{vendor:?} takes a reject for an answer");
        };
        match vendor {
            Vendor::Mit => assert!(text.contains("Request is a replay"), "{text}"),
            Vendor::Heimdal => assert_eq!(major, BAD_MECH, "{text}"),
        }

        let mut theirs = peer(vendor);
        theirs.accept(Some(b"their channel"));
        let (cred, target) = (
            Credential::from_cache(&cache(vendor)).unwrap(),
            Name::hostbased_service(&target()),
        );
        let ours =
            Initiator::new(&env, &cred, &target).bindings(ChannelBindings::application(b"ours"));
        let Ok(Step::Continue { token, next }) = ours.negotiate().start() else {
            panic!("an answer is awaited");
        };
        let Stepped::Failed { major, token, .. } = theirs.step(&token) else {
            panic!("{vendor:?} accepts another channel");
        };
        assert_eq!(major, BAD_BINDINGS, "{vendor:?}");
        let told = next.step(&token).unwrap_err();
        match vendor {
            Vendor::Mit => assert_eq!(told.error.minor(), KRB_ERR_GENERIC),
            Vendor::Heimdal => assert_eq!(told.error.major(), Major::BadMech),
        }
    }
}

// MICs: ours with another mechanism before Kerberos, which the peers do not have.

struct World;

impl wire::time::Clock for World {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp::from_micros(since.as_micros().try_into().unwrap())
    }
}

impl Random for World {
    fn fill(&self, out: &mut [u8]) {
        fs::File::open("/dev/urandom")
            .unwrap()
            .read_exact(out)
            .unwrap();
    }
}

const HOST: Host<'static> = Host {
    clock: &World,
    random: &World,
    replay: None,
    shared_replay: None,
};

/// A mechanism that only we have. Its OID is one that is none.
struct Unknown;

impl Unknown {
    const OID: Oid = Oid::NT_USER_NAME;
}

impl Offer for Unknown {
    fn oid(&self) -> Oid {
        Self::OID
    }

    fn initiate(self: Box<Self>, _: &Host<'_>) -> Result<mechanism::Step, Failure> {
        Ok(mechanism::Step::Continue {
            token: b"in vain".to_vec(),
            next: self,
        })
    }
}

impl Choice for Unknown {
    fn oid(&self) -> Oid {
        Self::OID
    }

    fn accept(self: Box<Self>) -> Result<Box<dyn Handshake>, Error> {
        Ok(self)
    }
}

impl Handshake for Unknown {
    fn step(self: Box<Self>, _: &[u8], _: &Host<'_>) -> Result<mechanism::Step, Failure> {
        panic!("nobody chooses it");
    }
}

/// Kerberos as an offer, under this OID.
struct Krb5 {
    oid: Oid,
    vendor: Vendor,
    flags: Flags,
}

impl Offer for Krb5 {
    fn oid(&self) -> Oid {
        self.oid
    }

    fn initiate(self: Box<Self>, host: &Host<'_>) -> Result<mechanism::Step, Failure> {
        let service = format!("{SERVICE}/localhost@");
        let mut credentials = cache(self.vendor).credentials.into_iter();
        let found = credentials.find(|found| found.server.to_string().starts_with(&service));
        let found = found.unwrap();
        let ticket = ServiceTicket {
            key: Arc::clone(found.key.usable().unwrap()),
            client: found.client,
            server: found.server,
            ticket: found.ticket,
            authtime: found.authtime,
            endtime: found.endtime,
            flags: found.flags,
            time_offset: Default::default(),
        };
        let target: Principal = ticket.server.clone();
        let options = InitOptions {
            flags: self.flags,
            ..InitOptions::new(Arc::new(World))
        };
        gss_krb5::initiate(&ticket, &target, &options, host)
    }
}

impl Choice for Krb5 {
    fn oid(&self) -> Oid {
        self.oid
    }

    fn accept(self: Box<Self>) -> Result<Box<dyn Handshake>, Error> {
        let cred = AcceptorCred {
            keytab: keytab(self.vendor),
            acceptable: Acceptable::Any,
        };
        Ok(Box::new(gss_krb5::Acceptor::new(
            cred,
            AcceptOptions::new(Arc::new(World)),
        )))
    }
}

/// What an established pair has to say, after both have signed the list.
fn exchange(ours: &dyn SecurityContext, theirs: &mut Peer) {
    let sealed = theirs.wrap(true, b"to us");
    let mut message = Vec::new();
    let unwrapped = ours.unwrap(&sealed, &mut message).unwrap();
    assert_eq!(unwrapped.order, gss_core::sequence::Order::InOrder);
    assert_eq!(message, b"to us");
    let mut sealed = Vec::new();
    ours.wrap(true, b"to them", &mut sealed).unwrap();
    assert_eq!(
        theirs.unwrap(&sealed),
        (COMPLETE, true, b"to them".to_vec())
    );
}

/// Whether a message has a MIC.
fn has_mic(token: &[u8]) -> bool {
    matches!(
        NegotiationToken::decode(token),
        Ok(NegotiationToken::Resp(NegTokenResp {
            mech_list_mic: Some(_),
            ..
        }))
    )
}

/// What a negotiation as the initiator came to.
enum End {
    /// With how many MICs of ours and of theirs.
    Established(Box<dyn SecurityContext>, [u32; 2]),
    TheyRefuse,
    WeRefuse(gss_spnego::Error),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Altered {
    Nothing,
    OurMic,
    TheirMic,
}

/// Runs `initiator` against `theirs`; a MIC is the last thing in its message.
fn negotiate(initiator: gss_spnego::Initiator, theirs: &mut Peer, altered: Altered) -> End {
    let mut mics = [0, 0];
    let mut pass = |side: usize, which: Altered, token: &mut Vec<u8>| {
        if has_mic(token) {
            mics[side] += 1;
            if let (true, Some(last)) = (altered == which, token.last_mut()) {
                *last ^= 1;
            }
        }
        mics
    };
    let mut step = initiator.start(&HOST);
    loop {
        let (mut token, waiting) = match step {
            Ok(mechanism::Step::Continue { token, next }) => (token, Ok(next)),
            Ok(mechanism::Step::Done { token, context }) => {
                (token.unwrap_or_default(), Err(context))
            }
            Err(failure) => {
                let own = failure.error.cause::<gss_spnego::Error>();
                return End::WeRefuse(*own.unwrap_or_else(|| panic!("{}", failure.error)));
            }
        };
        let mut mics = pass(0, Altered::OurMic, &mut token);
        let mut answer = Vec::new();
        if !token.is_empty() {
            match theirs.step(&token) {
                Stepped::Failed { .. } => return End::TheyRefuse,
                Stepped::Done(token) | Stepped::Continue(token) => answer = token,
            }
            mics = pass(1, Altered::TheirMic, &mut answer);
        }
        match waiting {
            Ok(next) => step = next.step(&answer, &HOST),
            Err(context) => return End::Established(context, mics),
        }
    }
}

/// Kerberos is our second choice.
fn second_choice(vendor: Vendor, flags: Flags) -> gss_spnego::Initiator {
    let krb5 = Krb5 {
        oid: Oid::KRB5,
        vendor,
        flags,
    };
    gss_spnego::Initiator::new(vec![Box::new(Unknown), Box::new(krb5)])
}

/// Our favourite is not MIT's: it chooses the second, and both sign the list.
#[test]
fn another_than_our_favourite_is_chosen() {
    for flags in [ALL, ALL.without(Flags::MUTUAL)] {
        for altered in [Altered::Nothing, Altered::OurMic, Altered::TheirMic] {
            let mut theirs = peer(Vendor::Mit);
            theirs.accept(None);
            match negotiate(second_choice(Vendor::Mit, flags), &mut theirs, altered) {
                End::Established(ours, mics) => {
                    assert_eq!((altered, mics), (Altered::Nothing, [1, 1]));
                    exchange(&*ours, &mut theirs);
                }
                End::TheyRefuse => assert_eq!(altered, Altered::OurMic),
                End::WeRefuse(error) => {
                    assert_eq!(altered, Altered::TheirMic, "{error}");
                    assert_eq!(error, PeerMisbehaved::MicWrong.into());
                }
            }
        }
    }
}

/// Heimdal's acceptor takes Kerberos for safe without MICs, whatever was offered before it. RFC 4178 §5 requires them there, so
/// ours does not go on. (It signs if we speak last, because then we sign first.)
#[test]
fn heimdals_acceptor_has_to_sign() {
    let mut theirs = peer(Vendor::Heimdal);
    theirs.accept(None);
    let end = negotiate(
        second_choice(Vendor::Heimdal, ALL),
        &mut theirs,
        Altered::Nothing,
    );
    assert!(matches!(end, End::WeRefuse(error) if error == PeerMisbehaved::MicMissing.into()));

    let mut theirs = peer(Vendor::Heimdal);
    theirs.accept(None);
    let flags = ALL.without(Flags::MUTUAL);
    match negotiate(
        second_choice(Vendor::Heimdal, flags),
        &mut theirs,
        Altered::Nothing,
    ) {
        End::Established(ours, mics) => {
            assert_eq!(mics, [1, 1]);
            exchange(&*ours, &mut theirs);
        }
        End::TheyRefuse => panic!("they refuse"),
        End::WeRefuse(error) => panic!("{error}"),
    }
}

/// We would have liked another: they are asked for MICs, although their favourite is taken.
#[test]
fn mics_are_requested_of_them() {
    for vendor in Vendor::ALL {
        for flags in [ALL, ALL.without(Flags::MUTUAL)] {
            // Heimdal's initiator expects an acceptor's numbers to begin at 0 then, so it misses what would be before our MIC.
            if vendor == Vendor::Heimdal && !flags.contains(Flags::MUTUAL) {
                continue;
            }
            let krb5 = Krb5 {
                oid: Oid::KRB5,
                vendor,
                flags,
            };
            let acceptor = gss_spnego::Acceptor::new(vec![Box::new(Unknown), Box::new(krb5)]);
            let mut theirs = peer(vendor);
            theirs.initiate(&target(), flags.bits(), None);
            let request = theirs.step(&[]).token();
            let Ok(mechanism::Step::Continue { token, next }) =
                Box::new(acceptor.by_own_preference()).step(&request, &HOST)
            else {
                panic!("{vendor:?}: MICs are required");
            };
            let said = NegotiationToken::decode(&token).unwrap();
            let NegotiationToken::Resp(said) = said else {
                panic!("an answer");
            };
            assert_eq!(said.neg_state, Some(NegState::RequestMic));
            let answer = theirs.step(&token).token();
            assert!(has_mic(&answer), "{vendor:?}");
            match next.step(&answer, &HOST) {
                Ok(mechanism::Step::Done {
                    token: None,
                    context,
                }) => exchange(&*context, &mut theirs),
                Ok(_) => panic!("{vendor:?}: not done"),
                Err(failure) => panic!("{vendor:?} {flags:?}: {}", failure.error),
            }
        }
    }
}

/// Windows's spelling of Kerberos, and a first message that guesses nothing.
#[test]
fn microsofts_oid_is_kerberoses() {
    for vendor in Vendor::ALL {
        for optimistic in [true, false] {
            let krb5 = Krb5 {
                oid: Oid::KRB5_MICROSOFT,
                vendor,
                flags: ALL,
            };
            let mut initiator = gss_spnego::Initiator::new(vec![Box::new(krb5)]);
            if !optimistic {
                initiator = initiator.without_optimistic_token();
            }
            let mut theirs = peer(vendor);
            theirs.accept(None);
            let mut step = initiator.start(&HOST);
            let ours = loop {
                match step {
                    Ok(mechanism::Step::Continue { token, next }) => {
                        let answer = theirs.step(&token).token();
                        step = next.step(&answer, &HOST);
                    }
                    Ok(mechanism::Step::Done { context, .. }) => break context,
                    Err(failure) => panic!("{vendor:?} {optimistic}: {}", failure.error),
                }
            };
            exchange(&*ours, &mut theirs);
        }
    }
}

/// Both sides' lists (`gss_set_neg_mechs`), theirs and ours, each way. Heimdal's library has none.
#[test]
fn lists_of_mechanisms_say_what_is_negotiated() {
    for vendor in Vendor::ALL {
        let env = environment(vendor);
        let cred = Credential::from_keytab(keytab(vendor));
        let mechs = |oids: &[Oid]| NegMechs::new(oids.iter().copied()).unwrap();
        let ours = [mechs(&[Oid::KRB5]), mechs(&[Unknown::OID, Oid::KRB5])];
        for list in &ours {
            let mut theirs = peer(vendor);
            limit(vendor, &mut theirs, false);
            theirs.initiate(&target(), ALL.bits(), None);
            let request = theirs.step(&[]).token();
            let acceptor = Acceptor::new(&env, &cred).neg_mechs(list.clone());
            let (answer, context) = done(acceptor.step(&request));
            assert!(matches!(theirs.step(&answer.unwrap()), Stepped::Done(_)));
            converse(&context, &mut theirs);
        }
        // An acceptor of ours without what theirs offers.
        let mut theirs = peer(vendor);
        limit(vendor, &mut theirs, false);
        theirs.initiate(&target(), ALL.bits(), None);
        let request = theirs.step(&[]).token();
        let acceptor = Acceptor::new(&env, &cred).neg_mechs(mechs(&[Unknown::OID]));
        let failure = acceptor.step(&request).unwrap_err();
        assert_eq!(failure.error.major(), Major::BadMech);
        let refused = theirs.step(&failure.token.unwrap());
        assert!(matches!(refused, Stepped::Failed { .. }), "{refused:?}");

        // Ours initiates, among what theirs accepts.
        let (tickets, name) = (
            Credential::from_cache(&cache(vendor)).unwrap(),
            Name::hostbased_service(&target()),
        );
        let mut theirs = peer(vendor);
        theirs.accept(None);
        limit(vendor, &mut theirs, true);
        let initiator = Initiator::new(&env, &tickets, &name).flags(ALL);
        let list = mechs(&[Unknown::OID, Oid::KRB5_MICROSOFT]);
        let Ok(Step::Continue { token, next }) = initiator.neg_mechs(list).start() else {
            panic!("an answer is awaited");
        };
        let Stepped::Done(answer) = theirs.step(&token) else {
            panic!("{vendor:?}: not accepted");
        };
        let (_, context) = done(next.step(&answer));
        converse(&context, &mut theirs);
    }
}

fn limit(vendor: Vendor, theirs: &mut Peer, accepts: bool) {
    if vendor == Vendor::Mit {
        assert_eq!(theirs.neg_mechs(accepts, &[Oid::KRB5.bytes()]), COMPLETE);
    }
}

/// Kerberos alone, under the OIDs that it had before its standard and in Windows 2000, both of which MIT's library still speaks.
#[test]
fn their_frames_have_older_oids() {
    for oid in [Oid::KRB5_MICROSOFT, Oid::KRB5_DRAFT] {
        let env = environment(Vendor::Mit);
        let mut theirs = peer(Vendor::Mit);
        theirs.mechanism(oid.bytes());
        theirs.initiate(&target(), ALL.bits(), None);
        let request = theirs.step(&[]).token();
        assert!(gss_core::framing::unframe(oid, &request).is_ok(), "{oid}");
        let (answer, ours) = done(accept(&env, Vendor::Mit, &request));
        assert!(matches!(theirs.step(&answer.unwrap()), Stepped::Done(_)));
        assert_eq!(ours.facts().mechanism, Oid::KRB5);
        converse(&ours, &mut theirs);
    }
}

const DCE: Flags = Flags::from_bits(ALL.bits() | 0x1000);

/// A service of several processes: each leg of theirs is taken by another environment, which has the keytab, the store and the
/// service's key, and nothing else of what was before.
#[test]
fn a_handshake_with_them_is_finished_by_another() {
    for vendor in Vendor::ALL {
        for negotiated in [false, true] {
            let env = half_open_environment(vendor);
            let mut theirs = if negotiated {
                peer(vendor)
            } else {
                Peer::start(vendor, realm(vendor), TICKETS)
            };
            theirs.initiate(&target(), DCE.bits(), None);
            let Ok(Step::Continue { token, next }) =
                accept(&env, vendor, &theirs.step(&[]).token())
            else {
                panic!("{vendor:?}: three legs");
            };
            let moved = next.export(&asked()).unwrap();
            let leg = theirs.step(&token).token();
            let cred = Credential::from_keytab(keytab(vendor));
            let next = Acceptor::new(&env, &cred).import(&moved).unwrap();
            let (last, ours) = done(next.step(&leg));
            if let Some(last) = last {
                assert!(matches!(theirs.step(&last), Stepped::Done(_)));
            }
            converse(&ours, &mut theirs);
        }
    }
}

#[test]
fn a_handshake_of_ours_is_finished_by_another() {
    for vendor in Vendor::ALL {
        for (flags, negotiated) in [(ALL, false), (ALL, true), (DCE, false), (DCE, true)] {
            let env = half_open_environment(vendor);
            let (cred, name) = (
                Credential::from_cache(&cache(vendor)).unwrap(),
                Name::hostbased_service(&target()),
            );
            let initiator = Initiator::new(&env, &cred, &name).flags(flags);
            let initiator = match negotiated {
                true => initiator.negotiate(),
                false => initiator,
            };
            let mut theirs = peer(vendor);
            theirs.accept(None);
            let mut step = initiator.start();
            let ours = loop {
                let (token, next) = match step.unwrap() {
                    Step::Continue { token, next } => (token, next),
                    Step::Done { token, context } => {
                        if let Some(token) = token {
                            assert!(matches!(theirs.step(&token), Stepped::Done(_)));
                        }
                        break context;
                    }
                };
                let moved = next.export(&asked()).unwrap();
                let answer = theirs.step(&token).token();
                let next = baton::Handshake::import(&env, &moved, None).unwrap();
                step = next.step(&answer).map_err(|failure| failure.error);
            };
            converse(&ours, &mut theirs);
        }
    }
}

fn asked() -> ExportOptions {
    ExportOptions::default().half_open(HalfOpen::BothSides)
}

fn half_open_environment(vendor: Vendor) -> Environment {
    let keys = ServiceKeys::parse("7e".repeat(32).as_bytes()).unwrap();
    let mut config = environment(vendor).config().clone();
    config.transfer.half_open_keys = HalfOpenKeys::Given(Arc::new(keys));
    Environment::new(config).unwrap()
}

/// The third leg of DCE style is the mechanism's last token, so the initiator signs first, beside it. (Initiators of theirs do not: where
/// their favourite is chosen, MIT's does not see that MICs are requested, and Heimdal's refuses.)
#[test]
fn dce_style_has_its_mics_beside_the_third_leg() {
    for altered in [Altered::Nothing, Altered::OurMic, Altered::TheirMic] {
        let mut theirs = peer(Vendor::Mit);
        theirs.accept(None);
        match negotiate(second_choice(Vendor::Mit, DCE), &mut theirs, altered) {
            End::Established(ours, mics) => {
                assert_eq!((altered, mics), (Altered::Nothing, [1, 1]));
                exchange(&*ours, &mut theirs);
            }
            End::TheyRefuse => assert_eq!(altered, Altered::OurMic),
            End::WeRefuse(error) => assert_eq!(error, PeerMisbehaved::MicWrong.into()),
        }
    }
}
