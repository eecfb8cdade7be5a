//! A KDC without I/O for development realms: principals and keys in memory, requests in, replies out.
//!
//! Not for production: it keeps no database, no policy per principal, no log, no record of requests seen. It does what
//! clients need (RFC 4120): the AS exchange with pre-authentication by timestamp, the TGS exchange, forwardable, proxiable,
//! forwarded and renewable tickets, trust between realms with referrals (RFC 6806 §8), and constrained delegation
//! ([MS-SFU]) within its realm.

mod as_service;
mod behalf;
mod database;
mod delegation;
mod grant;
mod refusal;
mod signature;
#[cfg(test)]
mod tests;
mod tgs_service;

#[cfg(test)]
pub(crate) use self::behalf::answer;

use std::time::Duration;

use wire::der::application;
use wire::random::Random;
use wire::time::Timestamp;

pub use database::{KdcKey, Principals};
pub use delegation::Delegations;

use crate::messages::{AsReq, DerError, KdcReqBody, KrbError, TgsReq, error_code};
use refusal::Refusal;

/// What the realm allows.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// The longest life of a ticket.
    pub max_life: Duration,
    /// For how long a ticket may be renewed.
    pub max_renewable_life: Duration,
    /// How far clocks may be apart.
    pub clock_skew: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_life: Duration::from_secs(24 * 3600),
            max_renewable_life: Duration::from_secs(7 * 24 * 3600),
            clock_skew: Duration::from_secs(300),
        }
    }
}

/// The KDC of one realm.
pub struct Kdc {
    principals: Principals,
    policy: Policy,
}

/// A request at a moment, on its way to its reply.
struct Service<'k> {
    kdc: &'k Kdc,
    now: Timestamp,
    random: &'k dyn Random,
}

impl Kdc {
    /// The KDC of the realm whose principals these are.
    pub fn new(principals: Principals, policy: Policy) -> Self {
        Self { principals, policy }
    }

    /// The realm's principals.
    pub fn principals(&self) -> &Principals {
        &self.principals
    }

    /// The realm's principals, to add to them.
    pub fn principals_mut(&mut self) -> &mut Principals {
        &mut self.principals
    }

    /// The reply to an AS-REQ or TGS-REQ: the ticket, or the KRB-ERROR that tells why there is none. Bytes that are
    /// neither get an empty reply, which is not to be sent: an answer to a stray error would never end.
    pub fn reply(&self, request: &[u8], now: Timestamp, random: &dyn Random) -> Vec<u8> {
        let service = Service {
            kdc: self,
            now,
            random,
        };
        let realm = self.principals.realm();
        match request.first() {
            Some(&tag) if tag == application(10) => match AsReq::decode(request) {
                Ok(request) => service
                    .as_reply(&request)
                    .unwrap_or_else(|refusal| refusal.encode(realm, Some(&request.req_body), now)),
                Err(error) => Refusal::from(error).encode(realm, None, now),
            },
            Some(&tag) if tag == application(12) => match TgsReq::decode(request) {
                Ok(request) => service
                    .tgs_reply(&request)
                    .unwrap_or_else(|refusal| refusal.encode(realm, Some(&request.req_body), now)),
                Err(error) => Refusal::from(error).encode(realm, None, now),
            },
            _ => Vec::new(),
        }
    }

    /// The reply for a datagram of at most `limit` bytes: one that is longer becomes KRB_ERR_RESPONSE_TOO_BIG, and the
    /// client comes again over a stream (RFC 4120 §7.2.1).
    pub fn reply_within(
        &self,
        limit: usize,
        request: &[u8],
        now: Timestamp,
        random: &dyn Random,
    ) -> Vec<u8> {
        let reply = self.reply(request, now, random);
        if reply.len() <= limit {
            return reply;
        }
        let refusal = Refusal::new(error_code::KRB_ERR_RESPONSE_TOO_BIG);
        refusal.encode(self.principals.realm(), None, now)
    }
}
