//! Each check of RFC 4120 §3.2.3 and RFC 4121 §4.1.1 where it alone fails, with the KRB-ERROR that the peer gets and our own
//! error; and beside it what is just good enough.

mod accepted;
mod answers;
mod checksums;
mod replay;
mod rows;

use std::sync::Arc;
use std::time::Duration;

use gss_core::bindings::ChannelBindings;
use gss_core::flags::Flags;
use gss_core::framing;
use gss_core::mechanism::{Failure, Handshake, SecurityContext, Step};
use gss_core::oid::Oid;
use krb5::exchange::ap::Acceptable;
use krb5::formats::settings::Capaths;
use krb5::messages::{
    ApReq, Authenticator, AuthorizationDataElement, Checksum, Const, EncryptedData, EncryptionKey,
    KrbError, PrincipalName, Realm, Ticket, Value, Word, ap_options,
};
use krb5::principal::Principal;
use krb5_crypto::{Enctype, Key, KeyUsage};
use wire::der::Flags as Bits;
use wire::time::{Clock, Timestamp};

use crate::checksum::{GSS_CHECKSUM, GssChecksum, NO_BINDINGS};
use crate::tests::realm::{TestRealm, done, enctypes, failed};
use crate::{Acceptor, Error};
use rows::ROWS;

/// A request and an acceptor between whom all is well, until a test changes one thing.
struct Attempt {
    realm: TestRealm,
    acceptable: Acceptable,
    bindings: Option<ChannelBindings>,
    capaths: Capaths,
    permitted: Vec<i32>,
    client: Principal,
    ctime: Timestamp,
    cksum: Option<(i32, Vec<u8>)>,
    ap_options: u32,
    subkey: Option<(i32, Vec<u8>)>,
    seq_number: Option<u32>,
    authorization_data: Option<Vec<(i32, Vec<u8>)>>,
    authenticator_key: Arc<Key>,
    authenticator_usage: KeyUsage,
    /// Instead of an authenticator.
    authenticator: Option<Vec<u8>>,
    change_authenticator: fn(&mut Vec<u8>),
    change_ticket: fn(&mut Vec<u8>),
    change_request: fn(&mut Vec<u8>),
    change_token: fn(&mut Vec<u8>),
}

fn nothing(_: &mut Vec<u8>) {}

fn service(service: &[u8], host: Option<&[u8]>) -> Acceptable {
    Acceptable::Service {
        service: service.into(),
        host: host.map(Into::into),
    }
}

const ASKED: Flags = Flags::from_bits(2 | 4 | 8 | 16 | 32);

impl Attempt {
    fn new() -> Self {
        Self::of(enctypes().nth(1).unwrap())
    }

    fn of(enctype: &'static Enctype) -> Self {
        let realm = TestRealm::new(enctype);
        let subkey = realm
            .ticket
            .session_key
            .enctype()
            .random_key(&*realm.random);
        Self {
            acceptable: Acceptable::Any,
            bindings: None,
            capaths: Capaths::default(),
            permitted: vec![17, 18, 19, 20, 25, 26],
            client: realm.ticket.client.clone(),
            ctime: realm.clock.now(),
            cksum: Some(gss_checksum(NO_BINDINGS, ASKED.bits(), &[])),
            ap_options: ap_options::MUTUAL_REQUIRED,
            subkey: Some((subkey.enctype().number(), subkey.expose().to_vec())),
            seq_number: Some(7),
            authorization_data: None,
            authenticator_key: Arc::clone(&realm.ticket.session_key),
            authenticator_usage: KeyUsage::AP_REQ_AUTHENTICATOR,
            authenticator: None,
            change_authenticator: nothing,
            change_ticket: nothing,
            change_request: nothing,
            change_token: nothing,
            realm,
        }
    }

    fn authenticator(&self) -> Vec<u8> {
        let data = self.authorization_data.as_ref().map(|elements| {
            let elements = elements
                .iter()
                .map(|(ad_type, ad_data)| AuthorizationDataElement {
                    ad_type: *ad_type,
                    ad_data,
                });
            elements.collect()
        });
        let mut bytes = Authenticator {
            authenticator_vno: Const,
            crealm: Realm(self.client.realm()),
            cname: PrincipalName::from(&self.client),
            cksum: (self.cksum.as_ref()).map(|(cksumtype, checksum)| Checksum {
                cksumtype: *cksumtype,
                checksum,
            }),
            cusec: self.ctime.into(),
            ctime: self.ctime.into(),
            subkey: (self.subkey.as_ref()).map(|(keytype, keyvalue)| EncryptionKey {
                keytype: *keytype,
                keyvalue,
            }),
            seq_number: self.seq_number.map(Word::from),
            authorization_data: data,
        }
        .encode();
        (self.change_authenticator)(&mut bytes);
        bytes
    }

    fn token(&self) -> Vec<u8> {
        let plaintext = (self.authenticator.clone()).unwrap_or_else(|| self.authenticator());
        let (key, random) = (&self.authenticator_key, &*self.realm.random);
        let cipher = key.encrypt(self.authenticator_usage, random, &plaintext);
        let mut ticket = self.realm.ticket.encode(random);
        (self.change_ticket)(&mut ticket);
        let mut request = ApReq {
            pvno: Const,
            msg_type: Const,
            ap_options: Bits::from_bits(self.ap_options),
            ticket: Ticket::decode(&ticket).unwrap(),
            authenticator: EncryptedData::new(key, None, &cipher),
        }
        .encode();
        (self.change_request)(&mut request);
        let mut inner = [&[1, 0], &request[..]].concat();
        (self.change_token)(&mut inner);
        framing::frame(Oid::KRB5, &inner)
    }

    fn accept(&self, token: &[u8]) -> Result<Step, Failure> {
        let mut cred = self.realm.cred();
        cred.acceptable = self.acceptable.clone();
        let mut options = self.realm.accept_options();
        options.bindings = self.bindings.clone();
        options.policy.capaths = Arc::new(self.capaths.clone());
        options.policy.permitted_enctypes = enctypes()
            .filter(|enctype| self.permitted.contains(&enctype.number()))
            .collect();
        Box::new(Acceptor::new(cred, options)).step(token, &self.realm.host())
    }

    fn context(&self) -> Box<dyn SecurityContext> {
        done(self.accept(&self.token())).1
    }
}

fn gss_checksum(bindings: [u8; 16], flags: u32, rest: &[u8]) -> (i32, Vec<u8>) {
    let head = GssChecksum::new(bindings, Flags::NONE).to_bytes();
    let value = [&head[..20], &flags.to_le_bytes(), rest].concat();
    (GSS_CHECKSUM, value)
}

fn minute(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

fn bindings() -> ChannelBindings {
    ChannelBindings::application(*b"channel")
}

/// AD-IF-RELEVANT { KERB_AP_OPTIONS }.
fn ap_option(values: &[&[u8]]) -> Vec<(i32, Vec<u8>)> {
    let options: Vec<_> = (values.iter())
        .map(|value| AuthorizationDataElement {
            ad_type: 143,
            ad_data: value,
        })
        .collect();
    vec![(1, options.encode())]
}

const CBT: [u8; 4] = [0, 0x40, 0, 0];

type Change = fn(&mut Attempt);

/// A client of another realm, by way of `realms`.
fn from_afar(attempt: &mut Attempt, tr_type: i32, realms: &[u8]) {
    let client = Principal::user("bob", "OTHER.COM");
    attempt.client = client.clone();
    attempt.realm.ticket.client = client;
    attempt.realm.ticket.transited = (tr_type, realms.to_vec());
}

fn plain_checksum(attempt: &Attempt, over: &[&[u8]]) -> (i32, Vec<u8>) {
    let key = &attempt.realm.ticket.session_key;
    let usage = KeyUsage::AP_REQ_AUTHENTICATOR_CHECKSUM;
    (key.enctype().checksum_type(), key.checksum(usage, over))
}

/// The code of the KRB-ERROR in an error token.
fn krb_error(token: &[u8]) -> (i32, Vec<u8>) {
    let inner = framing::unframe(Oid::KRB5, token).unwrap();
    assert_eq!(inner[..2], [3, 0]);
    let error = KrbError::decode(&inner[2..]).unwrap();
    (error.error_code, error.realm.0.to_vec())
}

#[test]
fn all_is_well_as_long_as_nothing_is_changed() {
    let attempt = Attempt::new();
    assert_eq!(
        attempt.context().facts().flags.bits(),
        ASKED.bits() | 128 | 256
    );
    assert_eq!(attempt.realm.store.counts().unwrap().claimed, 1);
}

#[test]
fn trap_10_each_check_alone_refuses() {
    for (name, change, code, major, expected) in ROWS {
        let mut attempt = Attempt::new();
        change(&mut attempt);
        let failure = failed(attempt.accept(&attempt.token()));
        let error = failure.error.cause::<Error>().unwrap();
        assert!(expected(error), "{name}: {error:?}");
        assert_eq!(error.krb_error_code(), *code, "{name}");
        assert_eq!(failure.error.major(), *major, "{name}");
        assert_eq!(failure.error.supplementary(), None, "{name}");
        let (told, _) = krb_error(&failure.token.expect(name));
        assert_eq!(told, *code, "{name}");
        // The mark is put last: a request that is refused can still be made good.
        assert_eq!(attempt.realm.store.counts().unwrap().claimed, 0, "{name}");
    }
}
