//! Realms in memory that trust one another, for tests of exchanges with several of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use krb5_crypto::{AES128_CTS_HMAC_SHA1_96, Enctype};
use wire::random::Random;
use wire::time::Timestamp;

use crate::exchange::as_exchange::{AsExchange, AsOptions, Progress, Secret};
use crate::exchange::service_ticket::{
    Reached, ServiceTicketError, ServiceTicketExchange, ServiceTicketOptions,
};
use crate::formats::ccache::Credential;
use crate::formats::settings::Capaths;
use crate::kdc::{Kdc, Policy, Principals};
use crate::messages::{EncTicketPart, Ticket, kdc_options};
use crate::principal::Principal;

pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_250_000);
pub(crate) const ETYPES: [&Enctype; 1] = [AES128_CTS_HMAC_SHA1_96];

/// Bytes that no two draws have in common, and the same ones in every run.
pub(crate) struct Drawn(AtomicU64);

impl Drawn {
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(1))
    }
}

impl Random for Drawn {
    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            let number = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            chunk.copy_from_slice(&number.to_be_bytes()[..chunk.len()]);
        }
    }
}

/// Their KDCs by name, and who was asked.
pub(crate) struct Realms {
    pub(crate) kdcs: BTreeMap<String, Kdc>,
    pub(crate) random: Drawn,
}

pub(crate) fn alice(realm: &str) -> Principal {
    Principal::user("alice", realm)
}

pub(crate) fn web(realm: &str) -> Principal {
    Principal::service("HTTP", "web.example.org", realm)
}

impl Realms {
    /// Each with a user and a service; those of a pair share a key.
    pub(crate) fn new(names: &[&str], trusts: &[(&str, &str)]) -> Self {
        let random = Drawn::new();
        let mut kdcs = BTreeMap::new();
        for name in names {
            let mut principals = Principals::new(name, &ETYPES, &random);
            for principal in [alice(name), web(name)] {
                principals.add_random(principal, &ETYPES, &random);
            }
            let with = trusts.iter().filter_map(|(one, other)| match () {
                () if one == name => Some(other),
                () if other == name => Some(one),
                () => None,
            });
            for with in with {
                principals.add_trust(with, b"shared", &ETYPES).unwrap();
            }
            kdcs.insert((*name).to_owned(), Kdc::new(principals, Policy::default()));
        }
        Self { kdcs, random }
    }

    pub(crate) fn principals(&mut self, realm: &str) -> &mut Principals {
        self.kdcs.get_mut(realm).unwrap().principals_mut()
    }

    /// The reply of the realm's KDC.
    pub(crate) fn ask(&self, realm: &[u8], request: &[u8]) -> Vec<u8> {
        let realm = str::from_utf8(realm).unwrap();
        self.kdcs[realm].reply(request, NOW, &self.random)
    }

    /// A ticket-granting ticket of `client`.
    pub(crate) fn log_in(&self, client: &Principal) -> Credential {
        let realm = str::from_utf8(client.realm()).unwrap();
        let keys = self.kdcs[realm].principals().keys(client).iter();
        let secret = Secret::Keys(keys.map(|key| (key.kvno, key.key.clone())).collect());
        let mut options = AsOptions::new(client.clone());
        options.etypes = ETYPES.to_vec();
        options.flags |= kdc_options::FORWARDABLE;
        let mut progress = AsExchange::start(options, secret, NOW, &self.random).unwrap();
        loop {
            progress = match progress {
                Progress::Done(obtained) => return obtained.credential,
                Progress::Send {
                    realm, bytes, next, ..
                } => {
                    let reply = self.ask(&realm, &bytes);
                    next.next(&reply, NOW, &self.random).unwrap()
                }
            }
        }
    }

    /// The way to a service; `pass` sees each request's realm and may change each reply.
    pub(crate) fn reach_through(
        &self,
        options: ServiceTicketOptions,
        mut pass: impl FnMut(&[u8], &[u8], &mut Vec<u8>),
    ) -> Result<Reached, ServiceTicketError> {
        let mut progress = ServiceTicketExchange::start(options, NOW, &self.random)?;
        loop {
            progress = match progress {
                Progress::Done(reached) => return Ok(*reached),
                Progress::Send {
                    realm, bytes, next, ..
                } => {
                    let mut reply = self.ask(&realm, &bytes);
                    pass(&realm, &bytes, &mut reply);
                    next.next(&reply, NOW, &self.random)?
                }
            }
        }
    }

    /// The way to a service, and whose KDCs were asked for it.
    pub(crate) fn reach(
        &self,
        options: ServiceTicketOptions,
    ) -> (Result<Reached, ServiceTicketError>, String) {
        let mut asked = Vec::new();
        let reached = self.reach_through(options, |realm, _, _| {
            asked.push(String::from_utf8(realm.to_vec()).unwrap());
        });
        (reached, asked.join(" "))
    }

    /// Opens a ticket with its server's key, and gives `look` its contents.
    pub(crate) fn open<T>(&self, ticket: &[u8], look: impl FnOnce(&EncTicketPart<'_>) -> T) -> T {
        let ticket = Ticket::decode(ticket).unwrap();
        let server = ticket.sname.in_realm(ticket.realm);
        let realm = str::from_utf8(ticket.realm.0).unwrap();
        let key = &self.kdcs[realm].principals().keys(&server)[0].key;
        let plain = ticket.enc_part.decrypt::<EncTicketPart<'_>>(key).unwrap();
        look(&EncTicketPart::decode(&plain).unwrap())
    }
}

/// The service, from the client's realm with its ticket-granting ticket.
pub(crate) fn options(tgt: Credential, server: Principal) -> ServiceTicketOptions {
    ServiceTicketOptions {
        server,
        start_realm: tgt.client.realm().to_vec(),
        granting: vec![tgt],
        fallback_realm: None,
        capaths: Capaths::default(),
        flags: 0,
        etypes: ETYPES.to_vec(),
        clock_skew: Duration::from_secs(300),
    }
}
