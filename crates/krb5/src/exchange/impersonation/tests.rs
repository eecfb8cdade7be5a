//! S4U2Self and S4U2Proxy with the KDC of a development realm.

use wire::der::{Flags, GeneralString, Word};

use super::*;
use crate::exchange::realms_for_tests::{ETYPES, NOW, Realms, alice, web};
use crate::formats::ccache::CachedKey;
use crate::formats::keytab::KeytabEntry;
use crate::kdc::Delegations;
use crate::messages::{
    EncTicketPart, EncryptedData, PrincipalName, TgsRep, TgsReq, Ticket, encrypt, error_code,
    kdc_options, pa_type, ticket_flags,
};

const REALM: &str = "A";

fn database() -> Principal {
    Principal::service("postgres", "db.example.org", REALM)
}

fn realm(allow: impl FnOnce(&mut Delegations)) -> Realms {
    let mut realms = Realms::new(&[REALM], &[]);
    let random = crate::exchange::realms_for_tests::Drawn::new();
    let principals = realms.principals(REALM);
    principals.add_random(database(), &ETYPES, &random);
    principals.add_random(Principal::user("bob", REALM), &ETYPES, &random);
    allow(principals.delegations_mut());
    realms
}

/// The web server may act for anybody towards the database.
pub(super) fn trusting() -> Realms {
    realm(|delegations| {
        delegations.trust(web(REALM));
        delegations.allow(web(REALM), database());
    })
}

pub(super) fn options(realms: &Realms) -> ImpersonationOptions {
    ImpersonationOptions {
        service: web(REALM),
        granting: vec![realms.log_in(&web(REALM))],
        user: alice(REALM),
        keytab: Arc::default(),
        capaths: Capaths::default(),
        etypes: ETYPES.to_vec(),
        clock_skew: Duration::from_secs(300),
    }
}

type Pass<'p> = &'p dyn Fn(&[u8], &mut Vec<u8>);

pub(super) fn self_ticket(
    realms: &Realms,
    own: ImpersonationOptions,
    pass: Pass<'_>,
) -> Result<Credential, ImpersonationError> {
    self_ticket_without(realms, own, &[], pass)
}

/// With a request that has lost pre-authentication data of these types on its way.
fn self_ticket_without(
    realms: &Realms,
    own: ImpersonationOptions,
    lost: &[i32],
    pass: Pass<'_>,
) -> Result<Credential, ImpersonationError> {
    let mut progress = SelfTicketExchange::start(own, NOW, &realms.random)?;
    loop {
        progress = match progress {
            Progress::Done(ticket) => return Ok(*ticket),
            Progress::Send {
                realm, bytes, next, ..
            } => {
                let mut request = TgsReq::decode(&bytes).unwrap();
                let padata = request.padata.as_mut().unwrap();
                padata.retain(|pa| !lost.contains(&pa.padata_type));
                let mut reply = realms.ask(&realm, &request.encode());
                pass(&bytes, &mut reply);
                next.next(&reply, NOW, &realms.random)?
            }
        }
    }
}

pub(super) fn proxy_ticket(
    realms: &Realms,
    own: ImpersonationOptions,
    target: &Principal,
    evidence: &[u8],
    pass: Pass<'_>,
) -> Result<Credential, ImpersonationError> {
    // Its flags as the client knows them count for the text of errors alone.
    let evidence = Credential {
        ticket: evidence.to_vec(),
        server: own.service.clone(),
        ..own.granting[0].clone()
    };
    let mut progress = ProxyTicketExchange::start(own, target, &evidence, NOW, &realms.random)?;
    loop {
        progress = match progress {
            Progress::Done(ticket) => return Ok(*ticket),
            Progress::Send {
                realm, bytes, next, ..
            } => {
                let mut reply = realms.ask(&realm, &bytes);
                pass(&bytes, &mut reply);
                next.next(&reply, NOW)?
            }
        }
    }
}

pub(super) fn as_it_comes(_: &[u8], _: &mut Vec<u8>) {}

fn cause(error: Option<ImpersonationError>) -> ExchangeError {
    match error {
        Some(ImpersonationError::Exchange { cause, .. }) => cause,
        other => panic!("{other:?}"),
    }
}

fn code(error: Option<ImpersonationError>) -> i32 {
    match cause(error) {
        ExchangeError::Refused(error) => error.code,
        other => panic!("{other}"),
    }
}

#[test]
fn a_service_gets_a_users_ticket_for_itself_and_with_it_one_for_another() {
    let realms = trusting();
    let own = options(&realms);
    let evidence = self_ticket(&realms, own.clone(), &as_it_comes).unwrap();
    assert_eq!(
        (&evidence.client, &evidence.server),
        (&alice(REALM), &web(REALM))
    );
    assert_ne!(evidence.flags & ticket_flags::FORWARDABLE, 0);
    realms.open(&evidence.ticket, |part| {
        assert_eq!(part.cname.in_realm(part.crealm), alice(REALM));
    });
    // A host's realm is the KDC's business.
    for target in [
        database(),
        database().with_realm(""),
        database().with_realm("B"),
    ] {
        let ticket = proxy_ticket(
            &realms,
            own.clone(),
            &target,
            &evidence.ticket,
            &as_it_comes,
        );
        let ticket = ticket.unwrap();
        assert_eq!(
            (&ticket.client, &ticket.server),
            (&alice(REALM), &database())
        );
        assert_eq!(
            ticket.second_ticket, evidence.ticket,
            "which MIT's library looks for"
        );
        realms.open(&ticket.ticket, |part| {
            assert_eq!(part.cname.in_realm(part.crealm), alice(REALM));
        });
    }
    let named = database().with_name_type(1).with_realm("B");
    let refused = proxy_ticket(&realms, own, &named, &evidence.ticket, &as_it_comes);
    let other = matches!(refused.err(), Some(ImpersonationError::OtherRealm { .. }));
    assert!(other);
}

/// A ticket that the user showed, in place of one from S4U2Self.
#[test]
fn a_users_own_ticket_is_evidence_too() {
    // Nobody needs to trust the service about who its users are.
    let realms = realm(|delegations| delegations.allow(web(REALM), database()));
    let shown = |client: &Principal| {
        let way = crate::exchange::realms_for_tests::options(realms.log_in(client), web(REALM));
        realms.reach(way).0.unwrap().credential.ticket
    };
    let own = options(&realms);
    let ticket = proxy_ticket(
        &realms,
        own.clone(),
        &database(),
        &shown(&alice(REALM)),
        &as_it_comes,
    );
    assert_eq!(ticket.unwrap().client, alice(REALM));
    // It is somebody else's than was said.
    let bob = Principal::user("bob", REALM);
    let refused = proxy_ticket(&realms, own, &database(), &shown(&bob), &as_it_comes);
    assert_eq!(cause(refused.err()), ReplyError::Client.into());
}

#[test]
fn what_the_realm_does_not_allow_is_refused() {
    let evidence_of = |realms: &Realms| {
        let own = options(realms);
        let evidence = self_ticket(realms, own.clone(), &as_it_comes).unwrap();
        (own, evidence)
    };
    // Not allowed to reach it.
    let realms = realm(|delegations| {
        delegations.trust(web(REALM));
        delegations.allow(web(REALM), alice(REALM));
    });
    let (own, evidence) = evidence_of(&realms);
    let refused = proxy_ticket(&realms, own, &database(), &evidence.ticket, &as_it_comes);
    assert_eq!(code(refused.err()), error_code::KDC_ERR_BADOPTION);
    // Not believed about its users: the ticket for itself is not to be forwarded, and no evidence.
    let realms = realm(|delegations| delegations.allow(web(REALM), database()));
    let (own, evidence) = evidence_of(&realms);
    assert_eq!(evidence.flags & ticket_flags::FORWARDABLE, 0);
    let refused = proxy_ticket(
        &realms,
        own.clone(),
        &database(),
        &evidence.ticket,
        &as_it_comes,
    );
    assert_eq!(code(refused.err()), error_code::KDC_ERR_BADOPTION);
    let asked = ProxyTicketExchange::start(own, &database(), &evidence, NOW, &realms.random);
    let Ok(Progress::Send { bytes, next, .. }) = asked else {
        panic!("a request");
    };
    let refused = next.next(&realms.ask(REALM.as_bytes(), &bytes), NOW).err();
    let text = refused.unwrap().to_string();
    assert!(text.contains("forwardable = true"), "{text}");
    // But that is enough where the other service says so.
    let realms = realm(|delegations| delegations.allow_by_resource(database(), web(REALM)));
    let (own, evidence) = evidence_of(&realms);
    let ticket = proxy_ticket(&realms, own, &database(), &evidence.ticket, &as_it_comes);
    assert_eq!(ticket.unwrap().client, alice(REALM));
    // An unknown user.
    let mut own = options(&realms);
    own.user = Principal::user("nobody", REALM);
    let refused = self_ticket(&realms, own, &as_it_comes).err();
    let text = refused.as_ref().unwrap().to_string();
    assert!(
        text.contains("HTTP/web.example.org@A") && text.contains("nobody@A"),
        "{text}"
    );
    assert_eq!(code(refused), error_code::KDC_ERR_C_PRINCIPAL_UNKNOWN);
    // A ticket for itself in a user's name is had by a service alone, not by others for it.
    let mut own = options(&realms);
    own.granting = vec![realms.log_in(&alice(REALM))];
    let refused = self_ticket(&realms, own, &as_it_comes).err();
    assert_eq!(code(refused), error_code::KRB_AP_ERR_BADMATCH);
    let mut own = options(&realms);
    own.granting.clear();
    let refused = self_ticket(&realms, own, &as_it_comes).err();
    let missing = ImpersonationError::NoTicketGrantingTicket(web(REALM));
    assert_eq!(refused, Some(missing));
}

/// The ticket written anew by who has its key: `change` is what the service would like it to say.
fn rewritten(
    realms: &Realms,
    ticket: &[u8],
    change: impl FnOnce(&mut EncTicketPart<'_>),
) -> Vec<u8> {
    let mut message = Ticket::decode(ticket).unwrap();
    let key = &realms.kdcs[REALM].principals().keys(&web(REALM))[0].key;
    let plain = message.enc_part.decrypt::<EncTicketPart<'_>>(key).unwrap();
    let mut part = EncTicketPart::decode(&plain).unwrap();
    change(&mut part);
    let cipher = encrypt(&part, key, &realms.random);
    let kvno = message.enc_part.kvno.map(Word::bits);
    message.enc_part = EncryptedData::new(key, kvno, &cipher);
    message.encode()
}

/// CVE-2020-17049, "Bronze Bit": a service has the key of its own tickets and could make one forwardable, or another's.
#[test]
fn cve_2020_17049_a_ticket_that_the_service_wrote_is_no_evidence() {
    let realms = realm(|delegations| delegations.allow(web(REALM), database()));
    let own = options(&realms);
    let evidence = self_ticket(&realms, own.clone(), &as_it_comes)
        .unwrap()
        .ticket;
    let ask = |own: &ImpersonationOptions, evidence: &[u8]| {
        proxy_ticket(&realms, own.clone(), &database(), evidence, &as_it_comes)
    };
    // As it came it is just not forwardable.
    let same = rewritten(&realms, &evidence, |_| {});
    assert_eq!(code(ask(&own, &same).err()), error_code::KDC_ERR_BADOPTION);
    let forwardable = |part: &mut EncTicketPart<'_>| {
        part.flags = part.flags.with(ticket_flags::FORWARDABLE);
    };
    let bronze = rewritten(&realms, &evidence, forwardable);
    assert_eq!(
        code(ask(&own, &bronze).err()),
        error_code::KRB_AP_ERR_MODIFIED
    );

    // The same of everything else that it says, where the ticket is good as it came.
    let realms = trusting();
    let own = options(&realms);
    let evidence = self_ticket(&realms, own.clone(), &as_it_comes)
        .unwrap()
        .ticket;
    let ask = |own: &ImpersonationOptions, evidence: &[u8]| {
        proxy_ticket(&realms, own.clone(), &database(), evidence, &as_it_comes)
    };
    assert!(ask(&own, &rewritten(&realms, &evidence, |_| {})).is_ok());
    type Change = fn(&mut EncTicketPart<'_>);
    let changes: [Change; 5] = [
        |part| part.crealm = GeneralString(b"B"),
        |part| {
            part.endtime = part
                .renew_till
                .unwrap_or((NOW + Duration::from_secs(90_000)).into())
        },
        |part| part.authtime = (NOW - Duration::from_secs(60)).into(),
        |part| part.flags = Flags::from_bits(part.flags.bits() | ticket_flags::HW_AUTHENT),
        |part| part.authorization_data = None,
    ];
    for (which, change) in changes.into_iter().enumerate() {
        let refused = ask(&own, &rewritten(&realms, &evidence, change)).err();
        assert_eq!(code(refused), error_code::KRB_AP_ERR_MODIFIED, "{which}");
    }
    let mut other = own.clone();
    other.user = Principal::user("bob", REALM);
    let forged = rewritten(&realms, &evidence, |part| {
        part.cname.name_string = vec![GeneralString(b"bob")]
    });
    assert_eq!(
        code(ask(&other, &forged).err()),
        error_code::KRB_AP_ERR_MODIFIED
    );
}

/// The user's name is not sealed in a reply, so it is compared: whoever changes it on the way gets an error.
#[test]
fn a_reply_for_another_user_is_refused() {
    let realms = trusting();
    let rename = |name| renamed(Principal::user(name, REALM));
    let refused = self_ticket(&realms, options(&realms), &rename("bob")).err();
    assert_eq!(cause(refused), ReplyError::Client.into());
    // A KDC that knows no S4U2Self gives the service its own ticket.
    let to_itself = renamed(web(REALM));
    let refused = self_ticket(&realms, options(&realms), &to_itself).err();
    assert_eq!(cause(refused), ReplyError::NotForUser.into());

    let own = options(&realms);
    let evidence = self_ticket(&realms, own.clone(), &as_it_comes).unwrap();
    let ask = |pass: Pass<'_>| {
        let refused = proxy_ticket(&realms, own.clone(), &database(), &evidence.ticket, pass);
        cause(refused.err())
    };
    assert_eq!(ask(&rename("bob")), ReplyError::Client.into());
    assert_eq!(ask(&to_itself), ReplyError::NotForUser.into());
}

/// The keys of `principal`, as ones of the web server.
fn keytab(realms: &Realms, principal: &Principal) -> Arc<Keytab> {
    let keys = realms.kdcs[REALM].principals().keys(principal).iter();
    let entries = keys.map(|key| KeytabEntry {
        principal: web(REALM),
        timestamp: NOW,
        kvno: key.kvno,
        key: key.key.clone(),
    });
    Arc::new(Keytab {
        entries: entries.collect(),
        others: Vec::new(),
    })
}

fn renamed(name: Principal) -> impl Fn(&[u8], &mut Vec<u8>) {
    move |_, reply| {
        let mut message = TgsRep::decode(reply).unwrap();
        message.cname = PrincipalName::from(&name);
        *reply = message.encode();
    }
}

/// Both forms of the request stand outside of what its checksum covers. Who takes them off gets the service a ticket of its
/// own, and could then write any name over that.
#[test]
fn a_request_that_lost_its_user_gives_no_ticket_of_that_user() {
    let realms = trusting();
    let both = [pa_type::PA_S4U_X509_USER, pa_type::PA_FOR_USER];
    let forge = |keytab| {
        let own = ImpersonationOptions {
            keytab,
            ..options(&realms)
        };
        self_ticket_without(&realms, own, &both, &renamed(alice(REALM))).err()
    };
    let unproven = forge(Arc::default());
    assert!(
        matches!(unproven, Some(ImpersonationError::UserUnproven(_))),
        "{unproven:?}"
    );
    let text = unproven.unwrap().to_string();
    assert!(
        text.contains("alice@A") && text.contains("keytab"),
        "{text}"
    );
    let own = forge(keytab(&realms, &web(REALM)));
    assert_eq!(cause(own), ReplyError::NotForUser.into());
    let honest = self_ticket_without(&realms, options(&realms), &both, &as_it_comes).err();
    assert_eq!(cause(honest), ReplyError::NotForUser.into());
}

/// A KDC that knows the older form alone, as Heimdal 7.8's, says nothing of the user under the request's key.
#[test]
fn a_ticket_that_no_kdc_vouches_for_is_opened() {
    let realms = trusting();
    let newer = [pa_type::PA_S4U_X509_USER];
    let ask = |keytab, user: Principal, pass: Pass<'_>| {
        let own = ImpersonationOptions {
            keytab,
            user,
            ..options(&realms)
        };
        self_ticket_without(&realms, own, &newer, pass)
    };
    let bob = Principal::user("bob", REALM);
    let keys = || keytab(&realms, &web(REALM));
    let ticket = ask(keys(), alice(REALM), &as_it_comes).unwrap();
    assert_eq!(ticket.client, alice(REALM));
    // No key, and others than that of the service.
    for keytab in [Arc::default(), keytab(&realms, &bob)] {
        let unproven = ask(keytab, alice(REALM), &as_it_comes).err();
        assert!(
            matches!(unproven, Some(ImpersonationError::UserUnproven(_))),
            "{unproven:?}"
        );
    }
    // The ticket of another user in place of this one's.
    let other = ask(keys(), bob.clone(), &as_it_comes).unwrap().ticket;
    let swap = |_: &[u8], reply: &mut Vec<u8>| {
        let mut message = TgsRep::decode(reply).unwrap();
        message.ticket = Ticket::decode(&other).unwrap();
        *reply = message.encode();
    };
    let refused = ask(keys(), alice(REALM), &swap).err();
    assert_eq!(cause(refused), ReplyError::Client.into());
}

/// A KDC's word about the user that is lost on its way is missed.
#[test]
fn a_reply_that_lost_its_user_is_refused() {
    let realms = trusting();
    let lose = |_: &[u8], reply: &mut Vec<u8>| {
        let mut message = TgsRep::decode(reply).unwrap();
        message.padata = None;
        *reply = message.encode();
    };
    let refused = self_ticket(&realms, options(&realms), &lose).err();
    assert!(
        matches!(refused, Some(ImpersonationError::UserUnproven(_))),
        "{refused:?}"
    );
}

/// What the KDC says of the user stands under the request's key, or nothing is believed.
#[test]
fn each_flipped_bit_of_a_reply_is_an_error_or_nothing() {
    let realms = trusting();
    let own = options(&realms);
    let length = std::cell::Cell::new(0);
    let evidence = self_ticket(&realms, own.clone(), &|_, reply| length.set(reply.len())).unwrap();
    let session = |ticket: &Credential| match &ticket.key {
        CachedKey::Key(key) => key.enctype().number(),
        CachedKey::Raw { .. } => panic!("a key"),
    };
    let flip = |bit: usize| {
        move |_: &[u8], reply: &mut Vec<u8>| {
            if let Some(byte) = reply.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
        }
    };
    for bit in 0..length.get() * 8 {
        if let Ok(ticket) = self_ticket(&realms, own.clone(), &flip(bit)) {
            assert_eq!(
                (&ticket.client, &ticket.server),
                (&alice(REALM), &web(REALM)),
                "{bit}"
            );
            assert_eq!(ticket.flags, evidence.flags);
            assert_eq!(session(&ticket), session(&evidence));
        }
    }
    let measure = |_: &[u8], reply: &mut Vec<u8>| length.set(reply.len());
    proxy_ticket(
        &realms,
        own.clone(),
        &database(),
        &evidence.ticket,
        &measure,
    )
    .unwrap();
    for bit in 0..length.get() * 8 {
        let ticket = proxy_ticket(
            &realms,
            own.clone(),
            &database(),
            &evidence.ticket,
            &flip(bit),
        );
        if let Ok(ticket) = ticket {
            assert_eq!(
                (&ticket.client, &ticket.server),
                (&alice(REALM), &database()),
                "{bit}"
            );
        }
    }
}

/// CVE-2018-20217 was a KDC's crash at such a request; nothing that its pre-authentication data holds makes ours fail.
#[test]
fn cve_2018_20217_a_damaged_request_gets_an_error_or_the_same_ticket() {
    let realms = trusting();
    let own = options(&realms);
    let Ok(Progress::Send { bytes, .. }) =
        SelfTicketExchange::start(own.clone(), NOW, &realms.random)
    else {
        panic!("a request");
    };
    let granted = |request: &[u8]| {
        let reply = realms.ask(REALM.as_bytes(), request);
        let reply = TgsRep::decode(&reply).ok()?;
        Some(reply.cname.in_realm(reply.crealm))
    };
    assert_eq!(granted(&bytes), Some(alice(REALM)));
    for bit in 0..bytes.len() * 8 {
        let mut other = bytes.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        // One of the two forms of the user's name may go: the other one is there. Where both go it is the service's own request.
        if let Some(client) = granted(&other) {
            assert!(
                client == alice(REALM) || client == web(REALM),
                "{bit}: {client}"
            );
            assert!(
                client == alice(REALM),
                "{bit}: no bit takes both forms away"
            );
        }
    }
    for cut in 0..bytes.len() {
        assert_eq!(granted(&bytes[..cut]), None);
    }
}

/// Options and tickets that do not go together.
#[test]
fn evidence_is_one_ticket_of_the_service_that_asks() {
    let realms = trusting();
    let own = options(&realms);
    let evidence = self_ticket(&realms, own.clone(), &as_it_comes).unwrap();
    let ask = |request: TgsOptions| {
        let exchange = TgsExchange::start(request, NOW, &realms.random).unwrap();
        let Progress::Send { bytes, next, .. } = exchange else {
            panic!("a request");
        };
        match next.next(&realms.ask(REALM.as_bytes(), &bytes), NOW) {
            Err(ExchangeError::Refused(error)) => error.code,
            Err(other) => panic!("{other}"),
            Ok(_) => 0,
        }
    };
    let tgt = own.granting[0].clone();
    let good =
        TgsOptions::new(tgt, database()).with_evidence(evidence.ticket.clone(), alice(REALM));
    assert_eq!(ask(good.clone()), 0);
    // The option without a ticket.
    let mut request = good.clone();
    request.subject = super::super::tgs::Subject::Own;
    assert_eq!(ask(request), error_code::KDC_ERR_BADOPTION);
    // The ticket for somebody else's service, and one under another key.
    let way = crate::exchange::realms_for_tests::options(realms.log_in(&alice(REALM)), database());
    let other = realms.reach(way).0.unwrap().credential.ticket;
    let request = good.clone().with_evidence(other.clone(), alice(REALM));
    assert_eq!(ask(request), error_code::KRB_AP_ERR_NOT_US);
    let mut message = Ticket::decode(&other).unwrap();
    let name = web(REALM);
    message.sname = PrincipalName::from(&name);
    let request = good.clone().with_evidence(message.encode(), alice(REALM));
    assert_eq!(ask(request), error_code::KRB_AP_ERR_BAD_INTEGRITY);
    // The ticket as evidence alone: the requester's own ticket comes of it.
    let mut request = good;
    request.flags &= !kdc_options::CNAME_IN_ADDL_TKT;
    let exchange = TgsExchange::start(request, NOW, &realms.random).unwrap();
    let Progress::Send { bytes, next, .. } = exchange else {
        panic!("a request");
    };
    let refused = next.next(&realms.ask(REALM.as_bytes(), &bytes), NOW).err();
    assert_eq!(refused, Some(ReplyError::NotForUser.into()));
}
