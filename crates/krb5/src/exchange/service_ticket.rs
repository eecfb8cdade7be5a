//! The way to a service's ticket, through several realms if need be (RFC 4120 §1.2, §3.3.1; RFC 6806 §8).
//!
//! A service's realm is known, or it is not: then the KDCs are asked, from the client's own on, and may each refer to
//! another. To a realm that is known leads the path of `[capaths]`, else that of the names' hierarchy; each KDC on it is
//! asked for the farthest realm first, and may give a ticket-granting ticket for one that is nearer. This is the order of
//! MIT's library, whose cache entries it shares.
//!
//! A KDC's error is unauthenticated. What hangs on it is only which question comes next, and their number has a limit.

mod path;
#[cfg(test)]
mod tests;

use std::time::Duration;

use krb5_crypto::Enctype;
use thiserror::Error;
use wire::random::Random;
use wire::shown::Shown;
use wire::time::Timestamp;

use self::path::Path;
use super::kdc_reply::{ExchangeError, KdcError, Progress, ReplyError};
use super::tgs::{TgsExchange, TgsOptions, kdc_realm};
use crate::formats::ccache::Credential;
use crate::formats::settings::Capaths;
use crate::principal::{KRBTGT, NT_SRV_INST, Principal};

/// How often KDCs may refer to one another, as in MIT's code.
pub const MAX_REFERRALS: usize = 10;

/// What is wanted, and what there is to get it with.
#[derive(Clone)]
pub struct ServiceTicketOptions {
    /// The service. Its realm is empty where only the KDCs can tell it.
    pub server: Principal,
    /// The realm whose KDC is asked first: the client's own, as a rule.
    pub start_realm: Vec<u8>,
    /// The client's ticket-granting tickets that can be used, of any realm.
    pub granting: Vec<Credential>,
    /// The realm to look in for a service whose realm no KDC could tell.
    pub fallback_realm: Option<Vec<u8>>,
    /// The configured paths.
    pub capaths: Capaths,
    /// KDCOptions beyond those that the ticket-granting ticket has as flags.
    pub flags: u32,
    /// Enctypes for session keys, the preferred first.
    pub etypes: Vec<&'static Enctype>,
    /// How far clocks may be apart.
    pub clock_skew: Duration,
}

/// What was found.
pub struct Reached {
    /// The service's ticket. Its server is what the KDC calls it: it may be of another realm than was asked for.
    pub credential: Credential,
    /// Ticket-granting tickets of realms on the way, which are worth keeping.
    pub granting: Vec<Credential>,
}

/// Why a service was not reached.
#[derive(Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ServiceTicketError {
    /// A KDC refused, or its answer is not to be believed.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// There is no ticket-granting ticket of the realm to begin with.
    #[error("there is no ticket-granting ticket of the realm {}", Shown::new(.0))]
    NoTicketGrantingTicket(Vec<u8>),
    /// No KDC on the way has a ticket for the next realm.
    #[error(
        "there is no way from the realm {from} to {to}: {cause}. The KDC of {at} must share a key with {to} (krbtgt/{to}@{at}) \
         or with a realm on the way, which [capaths] in krb5.conf names"
    )]
    NoWay {
        /// Where it begins.
        from: String,
        /// Where it was to lead.
        to: String,
        /// How far it went.
        at: String,
        /// The last KDC's answer.
        cause: Box<KdcError>,
    },
    /// A KDC referred to a realm that was asked before.
    #[error(
        "the KDC of {from} refers to {to} for {server}, which was asked before: the KDCs' ideas of its realm go round in a circle; \
         [domain_realm] in krb5.conf can name it"
    )]
    Loop {
        /// The service.
        server: Principal,
        /// Who refers.
        from: String,
        /// To whom.
        to: String,
    },
    /// More than [`MAX_REFERRALS`] referrals.
    #[error(
        "more than {MAX_REFERRALS} KDCs refer to others for {0}: [domain_realm] in krb5.conf can name its realm"
    )]
    TooManyReferrals(Principal),
}

impl ServiceTicketError {
    /// The error code of the KDC that refused, where one did (RFC 4120 §7.5.9).
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Exchange(cause) => cause.code(),
            Self::NoWay { cause, .. } => Some(cause.code),
            Self::NoTicketGrantingTicket(_) | Self::Loop { .. } | Self::TooManyReferrals(_) => None,
        }
    }
}

/// Waits for a KDC's reply on the way to a service.
pub struct ServiceTicketExchange {
    way: Way,
    step: Step,
    exchange: TgsExchange,
}

/// What was asked last.
enum Step {
    /// For the ticket-granting ticket of a realm on the path.
    Path(Path, Goal),
    /// For that of the service's realm, from a realm that is not on the path.
    OffPath { hops: usize, goal: Goal },
    /// For the service, or a referral.
    Referral { hops: usize },
    /// For the service and nothing else.
    Service,
}

/// What to ask in the service's realm.
#[derive(Clone, Copy)]
enum Goal {
    Referral,
    Service,
}

/// Where we are.
struct Way {
    options: ServiceTicketOptions,
    /// The realm in which the service is looked for, and whether it was given.
    realm: Vec<u8>,
    given: bool,
    /// What is asked with.
    tgt: Credential,
    seen: Vec<Vec<u8>>,
    learned: Vec<Credential>,
    /// The first KDC's answer, where the realm of last resort is tried: that there is no way to one which nobody named
    /// tells less.
    first_answer: Option<ExchangeError>,
}

type Next = Result<Progress<ServiceTicketExchange, Reached>, ServiceTicketError>;

/// The moment by the KDC's clock, and randomness.
#[derive(Clone, Copy)]
struct Moment<'r> {
    now: Timestamp,
    random: &'r dyn Random,
}

impl ServiceTicketExchange {
    /// Makes the first request. `now` is the time by the KDCs' clocks, as far as it is known.
    pub fn start(options: ServiceTicketOptions, now: Timestamp, random: &dyn Random) -> Next {
        let given = !options.server.realm().is_empty();
        let realm = match given {
            true => options.server.realm().to_vec(),
            false => options.start_realm.clone(),
        };
        let way = Way {
            tgt: first(&options, &realm)?,
            options,
            realm,
            given,
            seen: Vec::new(),
            learned: Vec::new(),
            first_answer: None,
        };
        way.begin(Goal::Referral, Moment { now, random })
    }

    /// Takes a KDC's reply; `now` as for [`Self::start`].
    pub fn next(self, reply: &[u8], now: Timestamp, random: &dyn Random) -> Next {
        let Self {
            way,
            step,
            exchange,
        } = self;
        let moment = Moment { now, random };
        match exchange.next(reply, now) {
            Ok(Progress::Done(reply)) => way.got(step, reply.credential, moment),
            Ok(Progress::Send { next: again, .. }) => Ok(way.sent(again, step)),
            Err(error) => way.failed(step, error, moment),
        }
    }
}

impl Way {
    fn begin(mut self, goal: Goal, moment: Moment<'_>) -> Next {
        if self.asked_realm() == self.realm {
            return self.arrive(goal, moment);
        }
        self.seen.clear();
        let path = Path::new(
            &self.options.start_realm,
            &self.realm,
            &self.options.capaths,
        );
        self.walk(path, goal, moment)
    }

    /// Asks for the farthest realm of the path; what is there already is not asked for.
    fn walk(mut self, mut path: Path, goal: Goal, moment: Moment<'_>) -> Next {
        while let Some(ticket) = granting(&self.options, path.wanted()) {
            self.tgt = ticket;
            if path.advance_to_wanted() {
                return self.arrive(goal, moment);
            }
        }
        let wanted = path.wanted().to_vec();
        self.ask_for_realm(&wanted, Step::Path(path, goal), moment)
    }

    fn arrive(self, goal: Goal, moment: Moment<'_>) -> Next {
        match goal {
            Goal::Referral => self.refer(1, moment),
            Goal::Service => self.ask(Step::Service, moment),
        }
    }

    fn refer(mut self, hops: usize, moment: Moment<'_>) -> Next {
        if hops == 1 {
            self.seen.clear();
        }
        self.ask(Step::Referral { hops }, moment)
    }

    /// Takes the ticket that was asked for, or another one that the exchange let pass.
    fn got(mut self, step: Step, ticket: Credential, moment: Moment<'_>) -> Next {
        match step {
            Step::Service => Ok(self.done(ticket)),
            Step::Referral { .. } if same_name(&ticket.server, &self.options.server) => {
                Ok(self.done(ticket))
            }
            Step::Referral { hops } => {
                // Active Directory may refer to the realm that was asked; then only the plain question helps.
                if kdc_realm(&ticket) == self.asked_realm() {
                    return self.ask(Step::Service, moment);
                }
                if hops >= MAX_REFERRALS {
                    return Err(ServiceTicketError::TooManyReferrals(self.options.server));
                }
                self.go_on_with(ticket)?;
                self.realm = kdc_realm(&self.tgt).to_vec();
                self.refer(hops + 1, moment)
            }
            Step::Path(path, goal) => self.got_on_path(path, goal, ticket, moment),
            Step::OffPath { hops, goal } => {
                self.go_on_with(ticket)?;
                if kdc_realm(&self.tgt) == self.realm {
                    return self.arrive(goal, moment);
                }
                if hops >= MAX_REFERRALS {
                    return Err(ServiceTicketError::TooManyReferrals(self.options.server));
                }
                self.leave_path(hops + 1, goal, moment)
            }
        }
    }

    fn got_on_path(
        mut self,
        mut path: Path,
        goal: Goal,
        ticket: Credential,
        moment: Moment<'_>,
    ) -> Next {
        let realm = kdc_realm(&ticket).to_vec();
        let on_path = path.position(&realm);
        if on_path.is_none() && realm == self.options.start_realm {
            return Err(self.circle(&ticket));
        }
        self.seen.push(realm);
        if on_path.is_some_and(|at| path.is_wanted(at)) {
            self.learned.push(ticket.clone());
        }
        self.tgt = ticket;
        match on_path {
            None => self.leave_path(1, goal, moment),
            Some(at) if path.advance(at) => self.arrive(goal, moment),
            Some(_) => self.walk(path, goal, moment),
        }
    }

    fn leave_path(self, hops: usize, goal: Goal, moment: Moment<'_>) -> Next {
        let realm = self.realm.clone();
        self.ask_for_realm(&realm, Step::OffPath { hops, goal }, moment)
    }

    fn failed(self, step: Step, error: ExchangeError, moment: Moment<'_>) -> Next {
        match (step, error) {
            (Step::Path(path, goal), ExchangeError::Refused(cause)) => {
                self.refused_on_path(path, goal, cause, moment)
            }
            (Step::Referral { hops: 1 }, error @ ExchangeError::Refused(_)) => {
                self.fall_back(error, moment)
            }
            // Old versions of Active Directory give the service's other name, which only a plain question keeps.
            (Step::Referral { .. }, ExchangeError::Reply(ReplyError::Server)) => {
                self.ask(Step::Service, moment)
            }
            (_, error) => Err(error.into()),
        }
    }

    fn refused_on_path(
        self,
        mut path: Path,
        goal: Goal,
        cause: Box<KdcError>,
        moment: Moment<'_>,
    ) -> Next {
        if path.want_nearer() {
            return self.walk(path, goal, moment);
        }
        if let Some(answer) = self.first_answer {
            return Err(answer.into());
        }
        Err(ServiceTicketError::NoWay {
            from: Shown::new(&self.options.start_realm).to_string(),
            to: Shown::new(&self.realm).to_string(),
            at: Shown::new(self.asked_realm()).to_string(),
            cause,
        })
    }

    /// The first KDC knows no referral: the service is in a realm that was given, or in that of last resort.
    fn fall_back(mut self, error: ExchangeError, moment: Moment<'_>) -> Next {
        if self.given {
            return self.ask(Step::Service, moment);
        }
        match self.options.fallback_realm.take() {
            None => Err(error.into()),
            Some(realm) if realm == self.realm => self.ask(Step::Service, moment),
            Some(realm) => {
                self.tgt = first(&self.options, &realm)?;
                self.realm = realm;
                self.first_answer = Some(error);
                self.begin(Goal::Service, moment)
            }
        }
    }

    /// Takes a referral's ticket for the next question, if its realm was not asked before.
    fn go_on_with(&mut self, ticket: Credential) -> Result<(), ServiceTicketError> {
        let realm = kdc_realm(&ticket);
        if self.seen.iter().any(|seen| seen == realm) {
            return Err(self.circle(&ticket));
        }
        self.seen.push(realm.to_vec());
        self.tgt = ticket;
        Ok(())
    }

    fn circle(&self, ticket: &Credential) -> ServiceTicketError {
        ServiceTicketError::Loop {
            server: self.options.server.clone(),
            from: Shown::new(ticket.server.realm()).to_string(),
            to: Shown::new(kdc_realm(ticket)).to_string(),
        }
    }

    fn ask_for_realm(self, realm: &[u8], step: Step, moment: Moment<'_>) -> Next {
        let server = Principal::new(NT_SRV_INST, [KRBTGT, realm], self.asked_realm());
        let request = TgsOptions::new(self.tgt.clone(), server);
        self.send(request, step, moment)
    }

    fn ask(self, step: Step, moment: Moment<'_>) -> Next {
        let server = self.options.server.clone().with_realm(&self.realm);
        let mut request = TgsOptions::new(self.tgt.clone(), server);
        request.flags |= self.options.flags;
        if matches!(step, Step::Referral { .. }) {
            request = request.referrable();
        }
        self.send(request, step, moment)
    }

    fn send(self, mut request: TgsOptions, step: Step, moment: Moment<'_>) -> Next {
        request.etypes = self.options.etypes.clone();
        request.clock_skew = self.options.clock_skew;
        let exchange = TgsExchange::new(request, moment.now, moment.random)?;
        Ok(self.sent(exchange, step))
    }

    fn sent(self, exchange: TgsExchange, step: Step) -> Progress<ServiceTicketExchange, Reached> {
        exchange.send(|exchange| ServiceTicketExchange {
            way: self,
            step,
            exchange,
        })
    }

    fn done(self, credential: Credential) -> Progress<ServiceTicketExchange, Reached> {
        Progress::Done(Box::new(Reached {
            credential,
            granting: self.learned,
        }))
    }

    fn asked_realm(&self) -> &[u8] {
        kdc_realm(&self.tgt)
    }
}

/// The ticket to begin with: that of the service's realm if it is there, else that of the first one.
fn first(options: &ServiceTicketOptions, realm: &[u8]) -> Result<Credential, ServiceTicketError> {
    let start = &options.start_realm;
    if realm != start
        && let Some(ticket) = granting(options, realm)
    {
        return Ok(ticket);
    }
    let own = Principal::krbtgt(start);
    let local = newest(options, |ticket| ticket.server == own);
    local.ok_or_else(|| ServiceTicketError::NoTicketGrantingTicket(start.clone()))
}

/// A ticket for the realm that is there, whichever realm gave it.
fn granting(options: &ServiceTicketOptions, realm: &[u8]) -> Option<Credential> {
    newest(options, |ticket| {
        ticket.server.is_krbtgt() && kdc_realm(ticket) == realm
    })
}

fn newest(
    options: &ServiceTicketOptions,
    fits: impl Fn(&Credential) -> bool,
) -> Option<Credential> {
    let fitting = options.granting.iter().filter(|ticket| fits(ticket));
    fitting.max_by_key(|ticket| ticket.endtime).cloned()
}

/// Whether the two differ in the realm at most.
fn same_name(one: &Principal, other: &Principal) -> bool {
    one.components() == other.components()
}
