//! Acting in users' names: constrained delegation, as Windows, MIT krb5 and Heimdal know it ([MS-SFU]).

use gss_core::error::Error;
use gss_core::name::Name;
use krb5::formats::ccache::{Credential as Ticket, CredentialCache};
use krb5::principal::Principal;

#[cfg(feature = "tokio")]
use crate::host::kdc::Tokio;
use crate::host::kdc::{Blocking, Io, at_once};
use crate::host::tickets::TicketError;
use crate::host::tickets::impersonation::{cache_for_user, impersonator};
use crate::{Credential, CredentialError, Environment};

impl Credential {
    /// `GSS_Acquire_cred_impersonate_name`: a credential of `user` for the service whose tickets these are, got from the KDC
    /// without the user's doing (S4U2Self).
    ///
    /// Contexts with the service itself can be begun with it as it is. Towards another service it is the evidence for a
    /// ticket in the user's name (S4U2Proxy), if the KDC lets this service reach the other. Stored in a credential cache
    /// it is one that MIT's programs can use.
    ///
    /// A KDC that does not vouch for the user, as Heimdal's does not before version 8, is not taken at its word: the ticket
    /// then has to open, and to be the user's, with a key of this credential or of the environment's keytab.
    ///
    /// ```
    /// use baton::{Credential, Initiator, Name};
    /// # use baton::realm::DevelopmentRealm;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let realm = DevelopmentRealm::builder("EXAMPLE.TEST")
    /// #     .user("alice", "secret").service("HTTP/localhost").service("postgres/localhost")
    /// #     .delegation("HTTP/localhost", "postgres/localhost").start()?;
    /// # let env = realm.environment()?;
    /// # let keytab = format!("FILE:{}", realm.keytab().display());
    /// let web = Name::krb5_principal("HTTP/localhost@EXAMPLE.TEST");
    /// let web = Credential::with_keytab(&env, &web, Some(&keytab))?;
    /// let alice = web.impersonate(&env, &Name::krb5_principal("alice@EXAMPLE.TEST"))?;
    /// assert_eq!(alice.name().unwrap().to_string(), "alice@EXAMPLE.TEST");
    /// let database = Name::hostbased_service("postgres@localhost");
    /// let step = Initiator::new(&env, &alice, &database).start()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn impersonate(&self, env: &Environment, user: &Name) -> Result<Self, Error> {
        at_once(self.impersonate_by(Blocking, env, user))
    }

    /// The same as [`impersonate`](Self::impersonate), as a task of tokio's runtime.
    #[cfg(feature = "tokio")]
    pub async fn impersonate_async(&self, env: &Environment, user: &Name) -> Result<Self, Error> {
        self.impersonate_by(Tokio, env, user).await
    }

    async fn impersonate_by(
        &self,
        io: impl Io,
        env: &Environment,
        user: &Name,
    ) -> Result<Self, Error> {
        let user: Principal = env.principal(user)?;
        let own = self.decided_tickets(io, env).await?;
        acts_for_itself(&own)?;
        let keytab = self.own_keys(env);
        let evidence = env.tickets().self_ticket(io, &own, &user, keytab).await;
        Self::from_cache(&cache_for_user(&own, evidence.map_err(refuse)?))
    }

    /// The same for a user who has shown the service `evidence`, a ticket for it. By which names it goes as a service, its KDC
    /// knows, which is asked when the credential is used.
    pub fn act_for(&self, evidence: &Ticket) -> Result<Self, Error> {
        let own = self.tickets()?;
        acts_for_itself(&own)?;
        Self::from_cache(&cache_for_user(&own, evidence.clone()))
    }
}

fn refuse(error: TicketError) -> Error {
    CredentialError::Ticket(error).into()
}

/// Who acts for somebody acts for nobody else with that.
fn acts_for_itself(own: &CredentialCache) -> Result<(), Error> {
    match impersonator(own).map_err(refuse)? {
        None => Ok(()),
        Some(service) => Err(refuse(TicketError::ActsAlready {
            service,
            user: own.principal.clone(),
        })),
    }
}
