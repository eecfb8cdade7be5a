//! What a TGS-REQ asks for.

use std::time::Duration;

use krb5_crypto::Enctype;
use wire::time::Timestamp;

use super::default_etypes;
use crate::formats::ccache::{Credential, Typed};
use crate::messages::kdc_options;
use crate::principal::Principal;

/// What to ask for.
#[derive(Clone)]
pub struct TgsOptions {
    /// The ticket-granting ticket.
    pub tgt: Credential,
    /// For which service, with its realm.
    pub server: Principal,
    /// KDCOptions (RFC 4120 §5.4.1).
    pub flags: u32,
    /// For how long; as long as the ticket-granting ticket lives, if nothing is said. A renewal leaves it to the KDC.
    pub lifetime: Option<Duration>,
    /// Enctypes for the session key, the preferred first.
    pub etypes: Vec<&'static Enctype>,
    /// How far clocks may be apart.
    pub clock_skew: Duration,
    /// On whose behalf.
    pub subject: Subject,
}

/// On whose behalf a ticket is asked for.
#[derive(Clone)]
pub enum Subject {
    /// The client's of the ticket-granting ticket.
    Own,
    /// A user's, for the service itself that asks (S4U2Self, [MS-SFU] §3.1.5.1).
    User(Principal),
    /// That of a user who has shown the service a ticket, or for whom it got one (S4U2Proxy, [MS-SFU] §3.1.5.2).
    Evidence {
        /// The Ticket message.
        ticket: Vec<u8>,
        /// Its client.
        client: Principal,
    },
}

impl TgsOptions {
    /// A ticket for `server` that inherits what the ticket-granting ticket allows.
    pub fn new(tgt: Credential, server: Principal) -> Self {
        let inherited = kdc_options::FORWARDABLE | kdc_options::PROXIABLE | kdc_options::RENEWABLE;
        Self {
            flags: tgt.flags & inherited,
            tgt,
            server,
            lifetime: None,
            etypes: default_etypes(),
            clock_skew: Duration::from_secs(300),
            subject: Subject::Own,
        }
    }

    /// The same ticket once more, for as long as it lived (RFC 4120 §2.3).
    pub fn renewal(ticket: Credential) -> Self {
        let server = ticket.server.clone();
        let options = Self::new(ticket, server);
        Self {
            flags: options.flags | kdc_options::RENEW,
            ..options
        }
    }

    /// A postdated ticket whose time has come, made valid (RFC 4120 §2.5).
    pub fn validation(ticket: Credential) -> Self {
        let server = ticket.server.clone();
        let options = Self::new(ticket, server);
        Self {
            flags: options.flags | kdc_options::VALIDATE,
            ..options
        }
    }

    /// A ticket-granting ticket to send on to a service, which has no addresses (RFC 4120 §2.6). It can be forwarded
    /// further unless the caller takes [`kdc_options::FORWARDABLE`] out of the flags. Its session key ought to have an
    /// enctype that the service knows: `etypes` is for the caller to set.
    pub fn forwarded(tgt: Credential) -> Self {
        let server = tgt.server.clone();
        let options = Self::new(tgt, server);
        Self {
            flags: options.flags | kdc_options::FORWARDED,
            ..options
        }
    }

    /// Asks for the ticket under other names too: the KDC may refer to another realm (RFC 6806 §8).
    #[must_use]
    pub fn referrable(mut self) -> Self {
        self.flags |= kdc_options::CANONICALIZE;
        self
    }

    /// Asks as the service that the ticket-granting ticket is for, on behalf of `user` (S4U2Self).
    #[must_use]
    pub fn for_user(mut self, user: Principal) -> Self {
        self.subject = Subject::User(user);
        self.referrable()
    }

    /// Asks on behalf of `client`, whose `ticket` for the service that asks is the evidence (S4U2Proxy).
    #[must_use]
    pub fn with_evidence(mut self, ticket: Vec<u8>, client: Principal) -> Self {
        self.subject = Subject::Evidence { ticket, client };
        self.flags |= kdc_options::CNAME_IN_ADDL_TKT;
        self.referrable()
    }

    /// The realm whose KDC is asked: the one that the ticket-granting ticket is for, or that of another ticket that is
    /// renewed.
    pub fn kdc_realm(&self) -> &[u8] {
        kdc_realm(&self.tgt)
    }

    pub(super) fn evidence(&self) -> Option<&[u8]> {
        match &self.subject {
            Subject::Evidence { ticket, .. } => Some(ticket),
            Subject::Own | Subject::User(_) => None,
        }
    }

    pub(super) fn has(&self, option: u32) -> bool {
        self.flags & option != 0
    }

    /// When the new ticket must begin, give or take.
    pub(super) fn begins(&self, now: Timestamp) -> (Timestamp, Duration) {
        if !self.has(kdc_options::VALIDATE) {
            return (now, self.clock_skew);
        }
        // A validated ticket is the old one but for one flag.
        let Credential {
            starttime,
            authtime,
            ..
        } = self.tgt;
        let begins = if starttime == Timestamp::default() {
            authtime
        } else {
            starttime
        };
        (begins, Duration::ZERO)
    }

    /// The addresses that the new ticket may have.
    pub(super) fn addresses(&self) -> &[Typed] {
        if self.has(kdc_options::FORWARDED) {
            &[]
        } else {
            &self.tgt.addresses
        }
    }
}

/// The realm whose ticket-granting service takes this ticket.
pub(crate) fn kdc_realm(ticket: &Credential) -> &[u8] {
    match ticket.server.components() {
        [_, realm] if ticket.server.is_krbtgt() => realm,
        _ => ticket.server.realm(),
    }
}
