//! `GSS_Inquire_cred`, `GSS_Inquire_cred_by_mech` (RFC 2743 §2.1.3, §2.1.5) and by object.

use std::time::Duration;

use gss_core::error::Error;
use gss_core::name::Name;
use gss_core::oid::Oid;
use krb5::principal::Principal;

use super::tickets::{Scan, Tickets};
use super::{Credential, CredentialError, Element, Usage};
use crate::environment::Environment;
use crate::host::kdc::{Blocking, at_once};
use crate::mechanisms::meant;
use crate::names;

/// How long a credential is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lifetime {
    /// No longer: C's `gss_inquire_cred` gives 0 and `GSS_S_CREDENTIALS_EXPIRED`.
    Expired,
    /// For so long.
    Left(Duration),
    /// `GSS_C_INDEFINITE`: keys do not expire.
    Indefinite,
}

/// What there is to know about a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialFacts {
    /// Whose it is: the initiator's, else the acceptor's, of which there may be several; then it is that of the first key. Nothing if
    /// the keytab has no key that fits.
    pub name: Option<Name>,
    /// How long it is good for all it is good for.
    pub lifetime: Lifetime,
    /// What it is good for.
    pub usage: Usage,
    /// By which mechanisms.
    pub mechanisms: Vec<Oid>,
}

/// What there is to know about a credential's element for one mechanism.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElementFacts {
    /// Whose it is, as in [`CredentialFacts::name`].
    pub name: Option<Name>,
    /// How long contexts can be begun, if they can.
    pub initiator: Option<Lifetime>,
    /// How long contexts can be accepted, if they can.
    pub acceptor: Option<Lifetime>,
    /// What it is good for.
    pub usage: Usage,
}

impl Credential {
    /// `GSS_Inquire_cred`. A credential whose cache was not chosen yet is that of the default cache from now on, and its tickets are got with
    /// the client keytab if that has to be.
    pub fn inquire(&self, env: &Environment) -> Result<CredentialFacts, Error> {
        let mut facts: Option<CredentialFacts> = None;
        for element in self.elements.iter() {
            let one = element.facts(env)?;
            let lifetimes = one.initiator.into_iter().chain(one.acceptor);
            let shortest = lifetimes.min().unwrap_or(Lifetime::Indefinite);
            match &mut facts {
                None => {
                    facts = Some(CredentialFacts {
                        name: one.name,
                        lifetime: shortest,
                        usage: one.usage,
                        mechanisms: vec![element.mechanism],
                    });
                }
                Some(all) => {
                    all.lifetime = all.lifetime.min(shortest);
                    if all.usage != one.usage {
                        all.usage = Usage::Both;
                    }
                    all.mechanisms.push(element.mechanism);
                }
            }
        }
        Ok(facts.ok_or(CredentialError::EmptyMechanisms)?)
    }

    /// `GSS_Inquire_cred_by_mech`. `GSS_S_NO_CRED` if there is no element for `mechanism`.
    pub fn inquire_by_mechanism(
        &self,
        env: &Environment,
        mechanism: Oid,
    ) -> Result<ElementFacts, Error> {
        Ok(self.element(meant(mechanism))?.facts(env)?)
    }

    /// `gss_inquire_cred_by_oid`: what the credential has to say about `object`, a list of values.
    /// [`Oid::GET_CRED_IMPERSONATOR`] gives the name of who may act for the client, or nothing. `GSS_S_UNAVAILABLE` for other objects.
    pub fn inquire_by_oid(&self, env: &Environment, object: Oid) -> Result<Vec<Vec<u8>>, Error> {
        if object != Oid::GET_CRED_IMPERSONATOR {
            return Err(CredentialError::NoSuchObject(object).into());
        }
        let name = self.impersonator(env)?;
        Ok(name.into_iter().map(|name| name.text().to_vec()).collect())
    }

    /// Who may act for the client with these tickets, if they are not the client's own: the service that got them by
    /// S4U2Self or was given them as evidence.
    pub fn impersonator(&self, env: &Environment) -> Result<Option<Name>, Error> {
        let Some(tickets) = self.elements.iter().find_map(|one| one.tickets.as_deref()) else {
            return Ok(None);
        };
        let identity = at_once(tickets.identity(Blocking, env, None))?;
        Ok(identity.impersonator.as_ref().map(names::name))
    }
}

impl Element {
    fn facts(&self, env: &Environment) -> Result<ElementFacts, CredentialError> {
        let usage = self
            .usage()
            .ok_or(CredentialError::NoElement(self.mechanism))?;
        let initiator = self
            .tickets
            .as_deref()
            .map(|tickets| initiator(tickets, env));
        let (client, initiator) = initiator.transpose()?.unzip();
        let name = match (client, &self.keys) {
            (Some(client), _) => Some(client),
            (None, Some(keys)) => keys.principal()?,
            (None, None) => None,
        };
        Ok(ElementFacts {
            name: name.as_ref().map(names::name),
            initiator,
            acceptor: self.keys.as_ref().map(|_| Lifetime::Indefinite),
            usage,
        })
    }
}

/// Whose tickets they are and how long they live.
fn initiator(
    tickets: &Tickets,
    env: &Environment,
) -> Result<(Principal, Lifetime), CredentialError> {
    let identity = at_once(tickets.identity(Blocking, env, None))?;
    let scan = Scan::of(&identity.tickets()?, env.settings());
    let lifetime = scan.left(env).map_or(Lifetime::Expired, Lifetime::Left);
    Ok((identity.client.clone(), lifetime))
}
