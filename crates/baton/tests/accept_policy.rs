//! What `krb5.conf` says reaches an acceptor: the paths between realms, and the enctypes.

use std::sync::Arc;

use baton::{Acceptor, Config, Credential, Environment, Failure, Initiator, Name, Step, Store};
use krb5::formats::ccache::{CachedKey, Credential as Ticket, CredentialCache};
use krb5::formats::keytab::{Keytab, KeytabEntry};
use krb5::messages::{
    EncTicketPart, EncryptedData, Ticket as TicketMessage, TransitedEncoding, encrypt, ticket_flags,
};
use krb5::principal::Principal;
use krb5_crypto::{AES128_CTS_HMAC_SHA1_96, AES256_CTS_HMAC_SHA1_96, Enctype, Key};
use wire::der::{Const, Flags, GeneralString};
use wire::random::Random;
use wire::time::{Clock, Timestamp};

struct Kernel;

impl Random for Kernel {
    fn fill(&self, out: &mut [u8]) {
        getrandom::fill(out).unwrap();
    }
}

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const END: Timestamp = Timestamp::from_seconds(1_800_003_600);

fn service() -> Principal {
    Principal::service("host", "a.example.test", "EXAMPLE.TEST")
}

fn service_key() -> Key {
    Key::new(AES256_CTS_HMAC_SHA1_96, &[0x42; 32]).unwrap()
}

fn ticket(client: &Principal, session: &Key, transited: &[u8]) -> Vec<u8> {
    let (key, server) = (service_key(), service());
    let part = EncTicketPart {
        flags: Flags::from_bits(ticket_flags::PRE_AUTHENT),
        key: session.into(),
        crealm: GeneralString(client.realm()),
        cname: client.into(),
        transited: TransitedEncoding {
            tr_type: 1,
            contents: transited,
        },
        authtime: NOW.into(),
        starttime: None,
        endtime: END.into(),
        renew_till: None,
        caddr: None,
        authorization_data: None,
    };
    let cipher = encrypt(&part, &key, &Kernel);
    TicketMessage {
        tkt_vno: Const,
        realm: GeneralString(server.realm()),
        sname: (&server).into(),
        enc_part: EncryptedData::new(&key, Some(1), &cipher),
    }
    .encode()
}

/// The first token of alice of `realm`, whose ticket came through `transited`.
fn token(realm: &str, transited: &[u8], enctype: &'static Enctype) -> Vec<u8> {
    let client = Principal::user("alice", realm);
    let session = Arc::new(enctype.random_key(&Kernel));
    let mut cache = CredentialCache::new(client.clone());
    cache.credentials.push(Ticket {
        client: client.clone(),
        server: service(),
        ticket: ticket(&client, &session, transited),
        key: CachedKey::Key(session),
        authtime: NOW,
        starttime: NOW,
        endtime: END,
        renew_till: Timestamp::default(),
        is_skey: false,
        flags: ticket_flags::PRE_AUTHENT,
        addresses: Vec::new(),
        authdata: Vec::new(),
        second_ticket: Vec::new(),
    });
    let cred = Credential::from_cache(&cache).unwrap();
    let name = Name::hostbased_service("host@a.example.test");
    let env = environment("");
    match Initiator::new(&env, &cred, &name).start().unwrap() {
        Step::Continue { token, .. } => token,
        Step::Done { .. } => panic!("mutual authentication has an answer"),
    }
}

/// The environment of a `krb5.conf` that ends with `text`.
fn environment(text: &str) -> Environment {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("krb5.conf");
    let text = format!("[libdefaults]\n default_realm = EXAMPLE.TEST\n{text}");
    std::fs::write(&path, text).unwrap();
    let config = Config {
        store: Store::Memory,
        krb5_conf: vec![path],
        ..Config::default()
    };
    let clock: Arc<dyn Clock> = Arc::new(|| NOW);
    Environment::with_clock(config, clock).unwrap()
}

fn accept(conf: &str, token: &[u8]) -> Result<Step, Failure> {
    let keytab = Keytab {
        entries: vec![KeytabEntry {
            principal: service(),
            timestamp: Timestamp::default(),
            kvno: 1,
            key: Arc::new(service_key()),
        }],
        others: Vec::new(),
    };
    let cred = Credential::from_keytab(Arc::new(keytab));
    Acceptor::new(&environment(conf), &cred).step(token)
}

/// The minor code: MIT's number of a KRB-ERROR's code.
fn refused(step: Result<Step, Failure>) -> u32 {
    step.unwrap_err().error.minor() - 0x96c7_3a00
}

const KRB_AP_PATH_NOT_ACCEPTED: u32 = 51;

#[test]
fn realms_may_be_on_the_way_where_capaths_says_so() {
    let via = |conf| {
        let token = token("OTHER.COM", b"VIA.ORG", AES256_CTS_HMAC_SHA1_96);
        accept(conf, &token)
    };
    assert_eq!(refused(via("")), KRB_AP_PATH_NOT_ACCEPTED);
    via("[capaths]\n OTHER.COM = {\n EXAMPLE.TEST = VIA.ORG\n }\n").unwrap();
}

#[test]
fn capaths_takes_realms_off_the_path_that_the_names_hierarchy_makes() {
    let via = |conf| {
        let token = token(
            "A.B.EXAMPLE.TEST",
            b"B.EXAMPLE.TEST",
            AES256_CTS_HMAC_SHA1_96,
        );
        accept(conf, &token)
    };
    via("").unwrap();
    let direct = "[capaths]\n A.B.EXAMPLE.TEST = {\n EXAMPLE.TEST = .\n }\n";
    assert_eq!(refused(via(direct)), KRB_AP_PATH_NOT_ACCEPTED);
}

const KDC_ERR_ETYPE_NOSUPP: u32 = 14;

#[test]
fn an_enctype_is_refused_that_the_configuration_does_not_permit() {
    // Still within [libdefaults].
    let conf = " permitted_enctypes = aes256-cts-hmac-sha1-96\n";
    let of = |enctype| accept(conf, &token("EXAMPLE.TEST", b"", enctype));
    of(AES256_CTS_HMAC_SHA1_96).unwrap();
    assert_eq!(refused(of(AES128_CTS_HMAC_SHA1_96)), KDC_ERR_ETYPE_NOSUPP);
}
