//! Tickets in a user's name for a service that the user has not logged in to with a ticket, or not at that service
//! ([MS-SFU]): S4U2Self gives a service a ticket for itself, S4U2Proxy one for another service, with the first as evidence.

#[cfg(test)]
mod across;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use krb5_crypto::Enctype;
use thiserror::Error;
use wire::random::Random;
use wire::shown::Shown;
use wire::time::Timestamp;

use super::kdc_reply::{ExchangeError, Progress, ReplyError};
use super::service_ticket::{
    MAX_REFERRALS, Reached, ServiceTicketError, ServiceTicketExchange, ServiceTicketOptions,
};
use super::tgs::{TgsExchange, TgsOptions, TgsReply, kdc_realm};
use crate::formats::ccache::Credential;
use crate::formats::keytab::Keytab;
use crate::formats::settings::Capaths;
use crate::messages::{EncTicketPart, Ticket, Word, error_code, ticket_flags};
use crate::principal::{KRBTGT, NT_ENTERPRISE, NT_SRV_HST, NT_SRV_INST, Principal};

/// Who acts for whom, and what there is to act with.
#[derive(Clone)]
pub struct ImpersonationOptions {
    /// The service that acts.
    pub service: Principal,
    /// Its ticket-granting tickets that can be used, of any realm.
    pub granting: Vec<Credential>,
    /// The user in whose name it acts.
    pub user: Principal,
    /// The service's own keys, as far as there are any: where a KDC does not vouch for the user, they open the ticket.
    pub keytab: Arc<Keytab>,
    /// The configured paths between realms.
    pub capaths: Capaths,
    /// Enctypes for session keys, the preferred first.
    pub etypes: Vec<&'static Enctype>,
    /// How far clocks may be apart.
    pub clock_skew: Duration,
}

/// Who acts, and for whom, as errors name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parties {
    /// The service that acts.
    pub service: Principal,
    /// The user in whose name it acts.
    pub user: Principal,
}

/// Why there is no ticket in the user's name.
#[derive(Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ImpersonationError {
    /// A KDC refused, or its answer is not to be believed.
    #[error("{} gets no ticket in the name of {}: {cause}", .parties.service, .parties.user)]
    Exchange {
        /// Who acts for whom.
        parties: Box<Parties>,
        /// Why not.
        #[source]
        cause: ExchangeError,
    },
    /// The KDC wants evidence that can be forwarded.
    #[error(
        "{} cannot act for {} towards others, because its ticket for that cannot be forwarded: its own ticket-granting ticket \
         has to be forwardable (forwardable = true in krb5.conf), and the KDC has to trust it to act for users: {cause}",
        .parties.service,
        .parties.user
    )]
    NotForwardable {
        /// Who acts for whom.
        parties: Box<Parties>,
        /// The KDC's answer.
        #[source]
        cause: ExchangeError,
    },
    /// The KDC refuses evidence that is, by its name, for another service than the one that acts.
    #[error(
        "{} cannot act for {} with a ticket for {server}, which the KDC does not take as one for the former: act with the \
         tickets of the service that accepted: {cause}",
        .parties.service,
        .parties.user
    )]
    EvidenceForAnother {
        /// Who acts for whom.
        parties: Box<Parties>,
        /// Which service the ticket is for.
        server: Box<Principal>,
        /// The KDC's answer.
        #[source]
        cause: ExchangeError,
    },
    /// Nothing vouches for the user. The name that is clear in a reply can be changed on its way.
    #[error(
        "nothing proves that the ticket which {} got is one of {}: the KDC does not vouch for the user (as Heimdal's does not before \
         version 8), and no key in the keytab opens the ticket; have the service's key in the keytab of default_keytab_name in \
         krb5.conf",
        .0.service,
        .0.user
    )]
    UserUnproven(Box<Parties>),
    /// The user's realm is not to be reached.
    #[error(transparent)]
    Way(#[from] ServiceTicketError),
    /// The service that acts has no ticket-granting ticket.
    #[error(
        "{0} has no ticket-granting ticket of its realm to act for others with: get one with its key"
    )]
    NoTicketGrantingTicket(Principal),
    /// The other service is of another realm, and by name so.
    #[error(
        "{service} acts for others towards services of its own realm alone, and {target} is of another"
    )]
    OtherRealm {
        /// The service that acts.
        service: Box<Principal>,
        /// The other one.
        target: Box<Principal>,
    },
    /// The KDC refers to a realm where it cannot be gone on with.
    #[error(
        "the KDC refers {}, which acts for {}, to the realm {realm}: acting for others across realms is not supported there",
        .parties.service,
        .parties.user
    )]
    Referred {
        /// Who acts for whom.
        parties: Box<Parties>,
        /// Where to.
        realm: String,
    },
}

impl ImpersonationError {
    /// The error code of the KDC that refused, where one did (RFC 4120 §7.5.9).
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Exchange { cause, .. }
            | Self::NotForwardable { cause, .. }
            | Self::EvidenceForAnother { cause, .. } => cause.code(),
            Self::Way(cause) => cause.code(),
            Self::UserUnproven(_)
            | Self::NoTicketGrantingTicket(_)
            | Self::OtherRealm { .. }
            | Self::Referred { .. } => None,
        }
    }
}

/// Waits for a KDC's reply on the way to a user's ticket for the service itself (S4U2Self, [MS-SFU] §3.1.5.1).
pub struct SelfTicketExchange {
    own: ImpersonationOptions,
    step: SelfStep,
}

enum SelfStep {
    /// On the way to the user's realm, whose KDC is asked first.
    Way(Box<ServiceTicketExchange>),
    /// Back from there to the service's own.
    Ask {
        hops: usize,
        seen: Vec<Principal>,
        exchange: Box<TgsExchange>,
    },
}

type SelfNext = Result<Progress<SelfTicketExchange, Credential>, ImpersonationError>;

impl SelfTicketExchange {
    /// Makes the first request. `now` is the time by the KDCs' clocks, as far as it is known.
    pub fn start(own: ImpersonationOptions, now: Timestamp, random: &dyn Random) -> SelfNext {
        let home = own.home()?.clone();
        if own.user.realm() == own.service.realm() {
            return own.ask(home, 1, Vec::new(), now, random);
        }
        let granting = [KRBTGT, own.user.realm()];
        let options = ServiceTicketOptions {
            server: Principal::new(NT_SRV_INST, granting, own.service.realm()),
            start_realm: own.service.realm().to_vec(),
            granting: own.granting.clone(),
            fallback_realm: None,
            capaths: own.capaths.clone(),
            flags: 0,
            etypes: own.etypes.clone(),
            clock_skew: own.clock_skew,
        };
        own.way(
            ServiceTicketExchange::start(options, now, random)?,
            now,
            random,
        )
    }

    /// Takes a KDC's reply; `now` as for [`Self::start`].
    pub fn next(self, reply: &[u8], now: Timestamp, random: &dyn Random) -> SelfNext {
        let Self { own, step } = self;
        match step {
            SelfStep::Way(way) => own.way(way.next(reply, now, random)?, now, random),
            SelfStep::Ask {
                hops,
                seen,
                exchange,
            } => match exchange.next(reply, now) {
                Ok(Progress::Done(reply)) => own.got(*reply, hops, seen, now, random),
                Ok(Progress::Send { next: again, .. }) => Ok(own.sent(again, hops, seen)),
                Err(cause) => Err(own.failed(cause)),
            },
        }
    }
}

impl ImpersonationOptions {
    /// The service's own ticket-granting ticket.
    fn home(&self) -> Result<&Credential, ImpersonationError> {
        let name = Principal::krbtgt(self.service.realm());
        let fitting = self.granting.iter().filter(|ticket| ticket.server == name);
        fitting
            .max_by_key(|ticket| ticket.endtime)
            .ok_or_else(|| ImpersonationError::NoTicketGrantingTicket(self.service.clone()))
    }

    fn parties(&self) -> Box<Parties> {
        Box::new(Parties {
            service: self.service.clone(),
            user: self.user.clone(),
        })
    }

    fn failed(&self, cause: ExchangeError) -> ImpersonationError {
        ImpersonationError::Exchange {
            parties: self.parties(),
            cause,
        }
    }

    fn referred(&self, ticket: &Credential) -> ImpersonationError {
        ImpersonationError::Referred {
            parties: self.parties(),
            realm: Shown::new(kdc_realm(ticket)).to_string(),
        }
    }

    fn request(&self, tgt: Credential, server: Principal) -> TgsOptions {
        let mut request = TgsOptions::new(tgt, server);
        request.etypes = self.etypes.clone();
        request.clock_skew = self.clock_skew;
        request
    }

    fn way(
        self,
        progress: Progress<ServiceTicketExchange, Reached>,
        now: Timestamp,
        random: &dyn Random,
    ) -> SelfNext {
        match progress {
            Progress::Done(reached) => self.ask(reached.credential, 1, Vec::new(), now, random),
            Progress::Send {
                realm,
                bytes,
                stream,
                next,
            } => Ok(Progress::Send {
                realm,
                bytes,
                stream,
                next: SelfTicketExchange {
                    own: self,
                    step: SelfStep::Way(Box::new(next)),
                },
            }),
        }
    }

    /// Asks the KDC that takes `tgt`. One of another realm knows the service by its enterprise name.
    fn ask(
        self,
        tgt: Credential,
        hops: usize,
        seen: Vec<Principal>,
        now: Timestamp,
        random: &dyn Random,
    ) -> SelfNext {
        let server = match kdc_realm(&tgt) == self.service.realm() {
            true => self.service.clone(),
            false => Principal::new(NT_ENTERPRISE, [self.service.to_bytes()], kdc_realm(&tgt)),
        };
        let request = self.request(tgt, server).for_user(self.user.clone());
        let exchange = TgsExchange::new(request, now, random);
        let exchange = exchange.map_err(|cause| self.failed(cause))?;
        Ok(self.sent(exchange, hops, seen))
    }

    fn sent(
        self,
        exchange: TgsExchange,
        hops: usize,
        seen: Vec<Principal>,
    ) -> Progress<SelfTicketExchange, Credential> {
        exchange.send(|exchange| SelfTicketExchange {
            own: self,
            step: SelfStep::Ask {
                hops,
                seen,
                exchange: Box::new(exchange),
            },
        })
    }

    /// Takes the ticket, or goes on with that of a ticket-granting service. The user's own KDC alone may name the user in
    /// another way.
    fn got(
        mut self,
        reply: TgsReply,
        hops: usize,
        mut seen: Vec<Principal>,
        now: Timestamp,
        random: &dyn Random,
    ) -> SelfNext {
        let TgsReply {
            credential, user, ..
        } = reply;
        let vouched = user.is_some();
        if let Some(user) = user {
            if hops > 1 && user != self.user {
                return Err(self.failed(ReplyError::Client.into()));
            }
            self.user = user;
        }
        if credential.server.components() == self.service.components() {
            if !vouched {
                self.look_into(&credential)?;
            }
            return Ok(Progress::Done(Box::new(credential)));
        }
        if !credential.server.is_krbtgt()
            || hops >= MAX_REFERRALS
            || seen.contains(&credential.server)
        {
            return Err(self.referred(&credential));
        }
        seen.push(credential.server.clone());
        self.ask(credential, hops + 1, seen, now, random)
    }
}

impl ImpersonationOptions {
    /// Whether a ticket is the user's, by what stands in it under the service's own key. A KDC that knows the older form of
    /// the request alone vouches for nobody in its reply; and whoever takes both forms off a request on its way, which no
    /// checksum covers, gets the service a ticket in its own name.
    fn look_into(&self, credential: &Credential) -> Result<(), ImpersonationError> {
        let unproven = || ImpersonationError::UserUnproven(self.parties());
        let ticket = Ticket::decode(&credential.ticket).map_err(|_| unproven())?;
        let (etype, kvno) = (ticket.enc_part.etype, ticket.enc_part.kvno.map(Word::bits));
        let mut keys = self.keytab.candidates(&self.service, etype, kvno);
        let plain = keys.find_map(|entry| {
            ticket
                .enc_part
                .decrypt::<EncTicketPart<'_>>(&entry.key)
                .ok()
        });
        let plain = plain.ok_or_else(unproven)?;
        let part = EncTicketPart::decode(&plain).map_err(|_| unproven())?;
        let client = part.cname.in_realm(part.crealm);
        if client == self.user {
            return Ok(());
        }
        let error = match client == self.service {
            true => ReplyError::NotForUser,
            false => ReplyError::Client,
        };
        Err(self.failed(error.into()))
    }
}

/// Waits for the KDC's reply to a request for a ticket in a user's name for another service (S4U2Proxy, [MS-SFU] §3.1.5.2).
pub struct ProxyTicketExchange {
    own: ImpersonationOptions,
    evidence: Evidence,
    exchange: TgsExchange,
}

/// What a refusal may be about.
struct Evidence {
    server: Principal,
    /// Whether it can be forwarded.
    forwardable: bool,
}

type ProxyNext = Result<Progress<ProxyTicketExchange, Credential>, ImpersonationError>;

impl ProxyTicketExchange {
    /// Asks for a ticket for `target`. `evidence` is the user's ticket for the service that acts, from S4U2Self or from the
    /// user. Whether the service that it names is the one that acts, the KDC knows: in an Active Directory that has one name
    /// as a client and others as a service. As with MIT's library the realm of a service on a host is left to the KDC of the service that
    /// acts.
    pub fn start(
        own: ImpersonationOptions,
        target: &Principal,
        evidence: &Credential,
        now: Timestamp,
        random: &dyn Random,
    ) -> ProxyNext {
        let open = target.name_type() == NT_SRV_HST || target.realm().is_empty();
        if !open && target.realm() != own.service.realm() {
            return Err(ImpersonationError::OtherRealm {
                service: Box::new(own.service),
                target: Box::new(target.clone()),
            });
        }
        let tgt = own.home()?.clone();
        let server = target.clone().with_realm(own.service.realm());
        let request = own.request(tgt, server);
        let request = request.with_evidence(evidence.ticket.clone(), own.user.clone());
        let exchange = TgsExchange::new(request, now, random);
        let exchange = exchange.map_err(|cause| own.failed(cause))?;
        let evidence = Evidence {
            server: evidence.server.clone(),
            forwardable: evidence.flags & ticket_flags::FORWARDABLE != 0,
        };
        Ok(exchange.send(|exchange| Self {
            own,
            evidence,
            exchange,
        }))
    }

    /// Takes the KDC's reply; `now` as for [`Self::start`].
    pub fn next(self, reply: &[u8], now: Timestamp) -> ProxyNext {
        let Self {
            own,
            evidence,
            exchange,
        } = self;
        match exchange.next(reply, now) {
            Ok(Progress::Done(reply)) if is_granting(&reply.credential) => {
                Err(own.referred(&reply.credential))
            }
            Ok(Progress::Done(reply)) => Ok(Progress::Done(Box::new(reply.credential))),
            Ok(Progress::Send { next: again, .. }) => Ok(again.send(|exchange| Self {
                own,
                evidence,
                exchange,
            })),
            Err(cause) => Err(own.refused(evidence, cause)),
        }
    }
}

impl ImpersonationOptions {
    /// What a KDC's refusal of `evidence` is most likely about.
    fn refused(&self, evidence: Evidence, cause: ExchangeError) -> ImpersonationError {
        let parties = self.parties();
        match cause {
            ExchangeError::Refused(_) if evidence.server != self.service => {
                ImpersonationError::EvidenceForAnother {
                    parties,
                    server: Box::new(evidence.server),
                    cause,
                }
            }
            cause if !evidence.forwardable && is_bad_option(&cause) => {
                ImpersonationError::NotForwardable { parties, cause }
            }
            cause => ImpersonationError::Exchange { parties, cause },
        }
    }
}

fn is_bad_option(error: &ExchangeError) -> bool {
    matches!(error, ExchangeError::Refused(error) if error.code == error_code::KDC_ERR_BADOPTION)
}

fn is_granting(ticket: &Credential) -> bool {
    ticket.server.is_krbtgt()
}
