//! Acting for users of another realm ([MS-SFU] §3.1.5.1.1.2): the way to the user's KDC and back, against KDCs that answer as those
//! of an Active Directory. MIT's default database and Heimdal 7.8 have none of the names that these are asked for.

use krb5_crypto::{Key, KeyUsage};
use wire::der::{Application, Flags, GeneralString};

use super::tests::{as_it_comes, options, proxy_ticket, self_ticket, trusting};
use super::*;
use crate::exchange::kdc_reply::ReplyError;
use crate::exchange::realms_for_tests::{ETYPES, NOW, Realms, alice, web};
use crate::kdc::answer;
use crate::messages::{
    ApReq, Authenticator, Const, EncKdcRepPart, EncryptedData, EncryptionKey, LastReqEntry, PaData,
    PaS4uX509User, PrincipalName, TgsRep, TgsReq, encrypt_as, pa_type,
};

/// What a KDC is asked for, and whether it is asked in the user's name.
type Asked = (String, String, Option<String>);

/// What a scripted KDC says.
struct Reply<'r> {
    client: Principal,
    server: Principal,
    session: &'r [u8; 16],
    /// Whom it vouches for.
    user: Option<Principal>,
}

fn key(bytes: &[u8; 16]) -> Key {
    Key::new(ETYPES[0], bytes).unwrap()
}

/// The realm whose KDC is asked, the server, and the user.
fn asked(realm: &[u8], request: &TgsReq<'_>) -> Asked {
    let body = &request.req_body;
    let server = body.sname.as_ref().unwrap().in_realm(body.realm);
    let user = s4u(request).map(|data| {
        let name = data.user_id.cname.unwrap();
        name.in_realm(data.user_id.crealm).to_string()
    });
    let realm = String::from_utf8(realm.to_vec()).unwrap();
    (realm, server.to_string(), user)
}

fn s4u<'a>(request: &TgsReq<'a>) -> Option<PaS4uX509User<'a>> {
    let mut padata = request.padata.iter().flatten();
    let found = padata.find(|pa| pa.padata_type == pa_type::PA_S4U_X509_USER)?;
    Some(PaS4uX509User::decode(found.padata_value).unwrap())
}

/// A reply to `request`, whose ticket-granting ticket has the key `session`.
fn forged(realms: &Realms, request: &TgsReq<'_>, session: &Key, says: &Reply<'_>) -> Vec<u8> {
    let header = request.padata.as_ref().unwrap()[0].padata_value;
    let header = ApReq::decode(header).unwrap();
    let usage = KeyUsage::TGS_REQ_AUTHENTICATOR;
    let plain = header.authenticator.decrypt_as(session, usage).unwrap();
    let authenticator = Authenticator::decode(&plain).unwrap();
    let subkey = authenticator.subkey.unwrap().to_key().unwrap();
    let nonce = request.req_body.nonce;
    let new = key(says.session);
    let part = EncKdcRepPart {
        key: EncryptionKey::from(&new),
        last_req: vec![LastReqEntry {
            lr_type: 0,
            lr_value: NOW.into(),
        }],
        nonce,
        key_expiration: None,
        flags: Flags::from_bits(0),
        authtime: NOW.into(),
        starttime: Some(NOW.into()),
        endtime: (NOW + Duration::from_secs(600)).into(),
        renew_till: None,
        srealm: GeneralString(says.server.realm()),
        sname: PrincipalName::from(&says.server),
        caddr: None,
        encrypted_pa_data: None,
    };
    let usage = KeyUsage::TGS_REP_ENC_PART_SUBKEY;
    let cipher = encrypt_as(&Application::<26, _>(part), &subkey, usage, &realms.random);
    let vouched = says.user.as_ref().map(|user| {
        let options = s4u(request).unwrap().user_id.options.unwrap_or_default();
        answer(user, options.bits(), nonce, &subkey)
    });
    let vouched: Vec<_> = vouched.iter().collect();
    let padata = vouched.iter().map(|(kind, value)| PaData {
        padata_type: *kind,
        padata_value: value,
    });
    // Nobody here opens the ticket.
    let mut ticket = header.ticket.clone();
    ticket.realm = GeneralString(says.server.realm());
    ticket.sname = PrincipalName::from(&says.server);
    let reply = TgsRep {
        pvno: Const,
        msg_type: Const,
        padata: says.user.as_ref().map(|_| padata.collect()),
        crealm: GeneralString(says.client.realm()),
        cname: PrincipalName::from(&says.client),
        ticket,
        enc_part: EncryptedData::new(&subkey, None, &cipher),
    };
    reply.encode()
}

/// Runs the way of `web@A` to a ticket of `alice@B`, whose KDC and then its own say what `replies` are.
fn across(replies: &[Reply<'_>]) -> (Result<Credential, ImpersonationError>, Vec<Asked>) {
    let mut realms = Realms::new(&["A", "B"], &[("A", "B")]);
    realms.principals("A").delegations_mut().trust(web("A"));
    let own = ImpersonationOptions {
        user: alice("B"),
        ..options(&realms)
    };
    let mut seen = Vec::new();
    let mut session: Option<Key> = None;
    let mut scripted = replies.iter();
    let mut progress = SelfTicketExchange::start(own, NOW, &realms.random);
    loop {
        match progress {
            Err(error) => return (Err(error), seen),
            Ok(Progress::Done(ticket)) => return (Ok(*ticket), seen),
            Ok(Progress::Send {
                realm, bytes, next, ..
            }) => {
                let request = TgsReq::decode(&bytes).unwrap();
                seen.push(asked(&realm, &request));
                let reply = if s4u(&request).is_none() {
                    let reply = realms.ask(&realm, &bytes);
                    let ticket = TgsRep::decode(&reply).unwrap().ticket.encode();
                    session = Some(realms.open(&ticket, |part| part.key.to_key().unwrap()));
                    reply
                } else {
                    let says = scripted.next().expect("a KDC that is not to be asked");
                    let reply = forged(&realms, &request, session.as_ref().unwrap(), says);
                    session = Some(key(says.session));
                    reply
                };
                progress = next.next(&reply, NOW, &realms.random);
            }
        }
    }
}

/// The user's KDC refers back, with a ticket of the service that acts; only then the user's is given.
fn referral() -> Reply<'static> {
    Reply {
        client: web("A"),
        server: Principal::krbtgt("A").with_realm("B"),
        session: &[1; 16],
        user: Some(alice("B")),
    }
}

fn granted() -> Reply<'static> {
    Reply {
        client: alice("B"),
        server: web("A"),
        session: &[2; 16],
        user: Some(alice("B")),
    }
}

#[test]
fn a_user_of_another_realm_is_found_by_way_of_its_kdc() {
    let (ticket, seen) = across(&[referral(), granted()]);
    let ticket = ticket.unwrap();
    assert_eq!((ticket.client, ticket.server), (alice("B"), web("A")));
    let step = |realm: &str, server: &str, user: Option<&str>| {
        (realm.to_owned(), server.to_owned(), user.map(str::to_owned))
    };
    assert_eq!(
        seen,
        [
            step("A", "krbtgt/B@A", None),
            // A service is known to another realm's KDC by its enterprise name.
            step("B", r"HTTP\/web.example.org\@A@B", Some("alice@B")),
            step("A", "HTTP/web.example.org@A", Some("alice@B")),
        ]
    );
}

#[test]
fn on_the_way_back_the_user_stays_who_it_is() {
    let refused = |replies: &[Reply<'_>]| across(replies).0.err().unwrap();
    let client = |error| match error {
        ImpersonationError::Exchange { cause, .. } => assert_eq!(cause, ReplyError::Client.into()),
        other => panic!("{other}"),
    };
    // The service's own KDC vouches for another one, or its ticket names another one.
    let mallory = Principal::user("mallory", "B");
    let vouched = Reply {
        user: Some(mallory.clone()),
        ..granted()
    };
    client(refused(&[referral(), vouched]));
    let named = Reply {
        client: mallory.clone(),
        ..granted()
    };
    client(refused(&[referral(), named]));
    // The referral is a ticket of the user's, or the user's KDC vouches for somebody else.
    let users = Reply {
        client: alice("B"),
        ..referral()
    };
    client(refused(&[users]));
    let other = Reply {
        user: Some(mallory),
        ..referral()
    };
    client(refused(&[other]));
    // Nobody vouches, and no key opens the ticket.
    let silent = Reply {
        user: None,
        ..granted()
    };
    let error = refused(&[referral(), silent]);
    assert!(
        matches!(error, ImpersonationError::UserUnproven(_)),
        "{error}"
    );
}

#[test]
fn kdcs_that_refer_in_a_circle_are_left() {
    let back = Reply {
        server: Principal::krbtgt("B").with_realm("A"),
        ..referral()
    };
    let error = across(&[referral(), back, referral()]).0.err().unwrap();
    let ImpersonationError::Referred { realm, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(realm, "A");
}

/// A KDC may refer a request with evidence to the realm of the target: resource-based delegation, which would go on there.
#[test]
fn acting_towards_another_realm_ends_with_an_error_that_says_so() {
    let realms = trusting();
    let own = options(&realms);
    let evidence = self_ticket(&realms, own.clone(), &as_it_comes).unwrap();
    let target = Principal::service("imap", "mail.b.example", "B");
    let session = own.granting[0].key.usable().unwrap();
    let refer = |request: &[u8], reply: &mut Vec<u8>| {
        let says = Reply {
            client: web("A"),
            server: Principal::krbtgt("B").with_realm("A"),
            session: &[1; 16],
            user: None,
        };
        *reply = forged(&realms, &TgsReq::decode(request).unwrap(), session, &says);
    };
    let error = proxy_ticket(&realms, own.clone(), &target, &evidence.ticket, &refer)
        .err()
        .unwrap();
    let text = error.to_string();
    assert!(
        matches!(error, ImpersonationError::Referred { .. }),
        "{error}"
    );
    for part in [
        "HTTP/web.example.org@A",
        "alice@A",
        "realm B",
        "not supported",
    ] {
        assert!(text.contains(part), "{text}");
    }
}
