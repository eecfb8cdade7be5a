//! Where SPNEGO stands before the mechanism: asked for by an initiator, told by an acceptor from the first token.

use std::sync::Arc;

use gss_core::error::Error;
use gss_core::framing;
use gss_core::host::Host;
use gss_core::mechanism::{Failure, Handshake, Resume, Step};
use gss_core::oid::Oid;
use gss_krb5::{InitOptions, ServiceTicket};
use gss_spnego::{Choice, Hint, Offer};
use krb5::principal::Principal;

use crate::environment::Environment;
use crate::neg_mechs::NegMechs;

/// Offers Kerberos, whose contexts always have integrity.
pub(crate) fn initiate(
    ticket: ServiceTicket,
    target: Principal,
    options: InitOptions,
    wishes: &Wishes,
    mechanisms: Option<&NegMechs>,
    host: &Host<'_>,
) -> Result<Step, Failure> {
    let krb5 = Box::new(Krb5Offer {
        ticket,
        target,
        options,
    });
    let offers: Vec<Box<dyn Offer>> = vec![krb5];
    let offers = NegMechs::choose(mechanisms, offers, |offer| offer.oid());
    let initiator = gss_spnego::Initiator::new(offers);
    match &wishes.hint {
        Some(hint) => initiator.hinted(hint).start(host),
        None => initiator.start(host),
    }
}

/// What an initiator wants of its negotiation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) mechanisms: Option<NegMechs>,
    pub(crate) hint: Option<Arc<Hint>>,
}

/// Who takes a first token of `mechanism`.
pub(crate) fn acceptor(
    mechanism: Oid,
    mechanisms: Option<&NegMechs>,
    krb5: gss_krb5::Acceptor,
) -> Box<dyn Handshake> {
    if mechanism == Oid::SPNEGO {
        Box::new(negotiator(mechanisms, krb5))
    } else {
        Box::new(krb5)
    }
}

fn negotiator(mechanisms: Option<&NegMechs>, krb5: gss_krb5::Acceptor) -> gss_spnego::Acceptor {
    let choices: Vec<Box<dyn Choice>> = vec![Box::new(Krb5Choice(Box::new(krb5)))];
    let choices = NegMechs::choose(mechanisms, choices, |choice| choice.oid());
    gss_spnego::Acceptor::new(choices)
}

/// What goes on with the handshakes of other acceptors: Kerberos's own, and those it is negotiated in.
pub(crate) fn resume_acceptors(
    mechanisms: Option<&NegMechs>,
    [alone, chosen, established, waiting]: [gss_krb5::Acceptor; 4],
) -> Vec<Box<dyn Resume>> {
    let spnego = negotiator(mechanisms, waiting);
    let readers = vec![gss_spnego::Reader {
        handshake: Box::new(chosen),
        context: Box::new(established),
    }];
    let readers = NegMechs::choose(mechanisms, readers, |reader| reader.handshake.oid());
    vec![
        Box::new(alone),
        Box::new(gss_spnego::AcceptorResume::new(spnego, readers)),
    ]
}

/// What goes on with the handshakes of other initiators.
pub(crate) fn resume_initiators(env: &Environment) -> Vec<Box<dyn Resume>> {
    let krb5 = || {
        Box::new(gss_krb5::InitiatorResume {
            permitted_enctypes: Arc::clone(&env.policy().permitted_enctypes),
            random: env.shared_random(),
        })
    };
    let reader = gss_spnego::Reader {
        handshake: krb5(),
        context: Box::new(gss_krb5::Krb5::new(env.shared_random())),
    };
    vec![
        krb5(),
        Box::new(gss_spnego::InitiatorResume::new(vec![reader])),
    ]
}

/// Whose first token this is: the mechanism of its frame, as MIT's library has it. No token at all asks for a list of what is there; what
/// has no frame is Kerberos's to refuse.
pub(crate) fn mechanism(token: &[u8]) -> Oid {
    let negotiates = match framing::open(token) {
        Some((oid, _)) => oid == Oid::SPNEGO.bytes(),
        None => token.is_empty(),
    };
    if negotiates { Oid::SPNEGO } else { Oid::KRB5 }
}

struct Krb5Offer {
    ticket: ServiceTicket,
    target: Principal,
    options: InitOptions,
}

impl Offer for Krb5Offer {
    fn oid(&self) -> Oid {
        Oid::KRB5
    }

    fn initiate(self: Box<Self>, host: &Host<'_>) -> Result<Step, Failure> {
        gss_krb5::initiate(&self.ticket, &self.target, &self.options, host)
    }
}

struct Krb5Choice(Box<gss_krb5::Acceptor>);

impl Choice for Krb5Choice {
    fn oid(&self) -> Oid {
        Oid::KRB5
    }

    fn accept(self: Box<Self>) -> Result<Box<dyn Handshake>, Error> {
        Ok(self.0)
    }
}
