//! Where SPNEGO stands before the mechanism: asked for by an initiator, told by an acceptor from the first token.

use gss_core::error::Error;
use gss_core::framing;
use gss_core::host::Host;
use gss_core::mechanism::{Failure, Handshake, Step};
use gss_core::oid::Oid;
use gss_krb5::{InitOptions, ServiceTicket};
use krb5::principal::Principal;

/// Offers Kerberos, whose contexts always have integrity.
pub(crate) fn initiate(
    ticket: ServiceTicket,
    target: Principal,
    options: InitOptions,
    host: &Host<'_>,
) -> Result<Step, Failure> {
    let krb5 = Box::new(Krb5Offer {
        ticket,
        target,
        options,
    });
    gss_spnego::Initiator::new(vec![krb5]).start(host)
}

/// Who takes the first `token`: the mechanism of its frame, as MIT's library does it. No token at all asks for a list of what is
/// there; what has no frame is Kerberos's to refuse.
pub(crate) fn acceptor(token: &[u8], krb5: gss_krb5::Acceptor) -> Box<dyn Handshake> {
    let krb5 = Box::new(krb5);
    let negotiates = match framing::open(token) {
        Some((oid, _)) => oid == Oid::SPNEGO.bytes(),
        None => token.is_empty(),
    };
    if negotiates {
        Box::new(gss_spnego::Acceptor::new(vec![Box::new(Krb5Choice(krb5))]))
    } else {
        krb5
    }
}

struct Krb5Offer {
    ticket: ServiceTicket,
    target: Principal,
    options: InitOptions,
}

impl gss_spnego::Offer for Krb5Offer {
    fn oid(&self) -> Oid {
        Oid::KRB5
    }

    fn initiate(self: Box<Self>, host: &Host<'_>) -> Result<Step, Failure> {
        gss_krb5::initiate(&self.ticket, &self.target, &self.options, host)
    }
}

struct Krb5Choice(Box<gss_krb5::Acceptor>);

impl gss_spnego::Choice for Krb5Choice {
    fn oid(&self) -> Oid {
        Oid::KRB5
    }

    fn accept(self: Box<Self>) -> Result<Box<dyn Handshake>, Error> {
        Ok(self.0)
    }
}
