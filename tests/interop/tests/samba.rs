//! Constrained delegation in a domain of Samba's, whose KDC grants what an Active Directory grants: S4U2Self, and S4U2Proxy
//! with the initiator's own ticket as evidence, which neither MIT's default database nor Heimdal 7.8 does. And what its
//! tickets say about their users.
#![allow(missing_docs)]

use std::path::PathBuf;
use std::sync::OnceLock;

use baton::host::tickets::{ImpersonationError, TicketError};
use baton::{
    Acceptor, ChannelBindings, Config, Context, Credential, CredentialError, Environment, Error,
    Flags, Initiator, Name, Step, Store,
};
use interop::Vendor;
use interop::peer::{COMPLETE, Peer, Stepped, compile, program, unhex};
use interop::samba::{Domain, REALM, password, shared};
use krb5::exchange::as_exchange::ExchangeError;
use krb5::messages::error_code;

/// An account, and the name of its service.
type Service = (&'static str, &'static str);

/// May act for whomever it names.
const WEB: Service = ("web", "HTTP@www.samba.test");
/// May act for whoever has shown it a ticket. It logs in by its service's name.
const FRONT: Service = ("HTTP/front.samba.test", "HTTP@front.samba.test");
/// Towards which both may act.
const DATABASE: &str = "postgres@db.samba.test";
/// Towards which nobody may.
const MAIL: &str = "imap@mail.samba.test";

fn environment() -> Environment {
    let domain = shared();
    let config = Config {
        krb5_conf: vec![domain.config()],
        store: Store::Memory,
        keytab: Some(keytab(domain)),
        ..Config::default()
    };
    Environment::new(config).unwrap()
}

fn keytab(domain: &Domain) -> String {
    format!("FILE:{}", domain.keytab().display())
}

fn account(name: &str) -> Name {
    Name::krb5_principal(&format!("{name}@{REALM}"))
}

fn user(env: &Environment, name: &str) -> Credential {
    Credential::with_password(env, &account(name), &password(name)).unwrap()
}

/// A service's own tickets.
fn service(env: &Environment, (name, _): Service) -> Credential {
    Credential::with_keytab(env, &account(name), Some(&keytab(shared()))).unwrap()
}

fn initiator<'i>(env: &'i Environment, cred: &'i Credential, target: &'i Name) -> Initiator<'i> {
    Initiator::new(env, cred, target)
}

fn first_token(env: &Environment, cred: &Credential, target: &str) -> Result<Vec<u8>, Error> {
    match initiator(env, cred, &Name::hostbased_service(target)).start()? {
        Step::Continue { token, .. } => Ok(token),
        Step::Done { .. } => panic!("mutual authentication has an answer"),
    }
}

/// What a service makes of a first token, evidence kept.
fn accepted(env: &Environment, token: &[u8]) -> Context {
    let keys = Credential::acceptor(env, Some(&keytab(shared()))).unwrap();
    let stepped = Acceptor::new(env, &keys).keeping_evidence().step(token);
    match stepped.map_err(|failure| failure.error).unwrap() {
        Step::Done { context, .. } => context,
        Step::Continue { .. } => panic!("one step is enough"),
    }
}

/// That `target` is shown, by ours and by MIT's library, that `cred` is `user`'s: a token for each, because neither takes the
/// other's twice.
fn is_seen(env: &Environment, cred: &Credential, target: &str, user: &str) {
    let user = format!("{user}@{REALM}");
    let token = first_token(env, cred, target).unwrap_or_else(|error| panic!("{target}: {error}"));
    assert_eq!(accepted(env, &token).facts().initiator.to_string(), user);
    let mut theirs = Peer::start_with(shared().command(program(Vendor::Mit), "none"));
    theirs.accept(None);
    let token = first_token(env, cred, target).unwrap();
    assert!(matches!(theirs.step(&token), Stepped::Done(_)), "{target}");
    assert_eq!(theirs.inquire().source, user);
}

fn refusal(error: &Error) -> &ImpersonationError {
    match error.cause::<CredentialError>() {
        Some(CredentialError::Ticket(TicketError::Impersonation(error))) => error,
        _ => panic!("{error:?}"),
    }
}

/// Nothing is delegated, and the service's host knows no password: the ticket that the user showed is enough.
#[test]
fn the_initiators_own_ticket_is_evidence_for_acting_in_its_name() {
    let env = environment();
    let alice = user(&env, "alice");
    for one in [WEB, FRONT] {
        let context = accepted(&env, &first_token(&env, &alice, one.1).unwrap());
        assert!(context.take_delegated().unwrap().is_none());
        let acting = context.for_initiator(&service(&env, one)).unwrap().unwrap();
        assert_eq!(acting.name().unwrap(), account("alice"), "{one:?}");
        is_seen(&env, &acting, DATABASE, "alice");
        // Where it is evidence for, it is a ticket for, too.
        is_seen(&env, &acting, one.1, "alice");

        let error = first_token(&env, &acting, MAIL).unwrap_err();
        assert!(refusal(&error).to_string().contains("alice@SAMBA.TEST"));
    }
}

/// By its name a ticket may be for this service or for another one: whose it is, the KDC says.
#[test]
fn a_ticket_for_one_service_is_no_evidence_for_another() {
    let env = environment();
    let context = accepted(
        &env,
        &first_token(&env, &user(&env, "alice"), MAIL).unwrap(),
    );
    let acting = context.for_initiator(&service(&env, WEB)).unwrap().unwrap();
    let error = first_token(&env, &acting, DATABASE).unwrap_err();
    let ImpersonationError::EvidenceForAnother { server, .. } = refusal(&error) else {
        panic!("{error}")
    };
    assert_eq!(server.to_string(), "imap/mail.samba.test@SAMBA.TEST");
    let text = error.to_string();
    assert!(
        text.contains("web@SAMBA.TEST") && text.contains("imap/mail.samba.test@"),
        "{text}"
    );
}

#[test]
fn a_service_acts_for_a_user_whom_it_names() {
    let env = environment();
    let web = service(&env, WEB);
    let bob = web.impersonate(&env, &account("bob")).unwrap();
    is_seen(&env, &bob, DATABASE, "bob");
    let name = bob.impersonator(&env).unwrap().unwrap();
    assert_eq!(name, account("web"));

    let error = web.impersonate(&env, &account("nobody")).unwrap_err();
    let ImpersonationError::Exchange {
        cause: ExchangeError::Refused(refused),
        ..
    } = refusal(&error)
    else {
        panic!("{error}")
    };
    assert_eq!(refused.code, error_code::KDC_ERR_C_PRINCIPAL_UNKNOWN);
}

/// The KDC believes a user who has shown a ticket, and not a service that names one.
#[test]
fn a_service_that_may_not_name_users_has_tickets_for_itself_alone() {
    let env = environment();
    let bob = service(&env, FRONT)
        .impersonate(&env, &account("bob"))
        .unwrap();
    is_seen(&env, &bob, FRONT.1, "bob");
    let error = first_token(&env, &bob, DATABASE).unwrap_err();
    assert!(
        matches!(refusal(&error), ImpersonationError::NotForwardable { .. }),
        "{error}"
    );
}

/// What we keep of an initiator's ticket, in a file: MIT's library acts with it.
#[test]
fn mits_library_acts_with_our_evidence() {
    let env = environment();
    let context = accepted(
        &env,
        &first_token(&env, &user(&env, "alice"), FRONT.1).unwrap(),
    );
    let acting = context
        .for_initiator(&service(&env, FRONT))
        .unwrap()
        .unwrap();
    let cache = shared().path("evidence");
    acting
        .store(&env, Some(&format!("FILE:{}", cache.display())))
        .unwrap();
    let mut theirs = Peer::start_with(shared().command(program(Vendor::Mit), "evidence"));
    theirs.initiate(DATABASE, 62, None);
    let token = theirs.step(&[]).token();
    assert_eq!(
        accepted(&env, &token).facts().initiator.to_string(),
        "alice@SAMBA.TEST"
    );
}

fn names_peer() -> Peer {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let program =
        PROGRAM.get_or_init(|| compile("names_peer.c", "mit-krb5-gssapi", "names_peer_mit"));
    Peer::start_with(shared().command(program, "none"))
}

/// One command that has to succeed.
fn completed(peer: &mut Peer, command: &str) -> Vec<String> {
    let answer = peer.call(command);
    assert_eq!(answer[1].parse(), Ok(COMPLETE), "{command}: {answer:?}");
    answer
}

/// A domain's PAC tells more than any other KDC's; a ticket that was got in the user's name has the user's.
#[test]
fn a_domains_pac_says_the_same_to_either() {
    let env = environment();
    let alice = user(&env, "alice");
    let named = service(&env, WEB)
        .impersonate(&env, &account("alice"))
        .unwrap();
    for (cred, target) in [(&alice, WEB.1), (&named, DATABASE)] {
        let ours = accepted(&env, &first_token(&env, cred, target).unwrap());
        let ours = ours.initiator_name();
        let mut theirs = names_peer();
        theirs.accept(None);
        theirs
            .step(&first_token(&env, cred, target).unwrap())
            .token();
        completed(&mut theirs, "initiator");
        let listed = completed(&mut theirs, "attributes").split_off(2);
        for part in ["logon-info", "client-info", "upn-dns-info"] {
            let attribute = format!("urn:mspac:{part}");
            let found = ours.attribute(&attribute).unwrap();
            assert!(
                found.authenticated && found.complete,
                "{target}: {attribute}"
            );
            assert!(
                listed.contains(&attribute) || part == "upn-dns-info",
                "{listed:?}"
            );
        }
        for attribute in listed {
            let found = ours.attribute(&attribute).unwrap();
            let answer = completed(&mut theirs, &format!("attribute {attribute}"));
            assert_eq!(answer[2..4], ["1", "1"], "{attribute}: {answer:?}");
            assert_eq!(
                found.values[0].value,
                unhex(&answer[4]),
                "{target}: {attribute}"
            );
        }
        // The NDR of KERB_VALIDATION_INFO has the account's name in it ([MS-PAC] §2.5).
        let logon = &ours.attribute("urn:mspac:logon-info").unwrap().values[0].value;
        let name: Vec<u8> = "alice".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(
            logon.windows(name.len()).any(|window| window == name),
            "{target}"
        );
    }
}

#[test]
fn bindings_hold_with_a_domains_tickets() {
    let env = environment();
    let alice = user(&env, "alice");
    let keys = Credential::acceptor(&env, Some(&keytab(shared()))).unwrap();
    let channel = || ChannelBindings::application(b"one");
    let target = Name::hostbased_service(WEB.1);
    let token = || match initiator(&env, &alice, &target).bindings(channel()).start() {
        Ok(Step::Continue { token, .. }) => token,
        _ => panic!("mutual authentication has an answer"),
    };
    let accept = |bindings| Acceptor::new(&env, &keys).bindings(bindings).step(&token());
    let Ok(Step::Done { context, .. }) = accept(channel()) else {
        panic!("the same bindings")
    };
    assert!(context.facts().flags.contains(Flags::CHANNEL_BOUND));
    assert!(accept(ChannelBindings::application(b"another")).is_err());
}
