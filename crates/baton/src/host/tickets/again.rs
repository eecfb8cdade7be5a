//! Tickets that come from the ticket-granting one: forwarded, renewed, validated (RFC 4120 §2.3, §2.5, §2.6).

use krb5::exchange::tgs::TgsOptions;
use krb5::formats::ccache::{Credential, CredentialCache};
use krb5_crypto::Enctype;
use wire::time::Timestamp;

use super::{Client, TicketError, shifted, ticket_granting};
use crate::host::ccache::CcacheStore;
use crate::host::kdc::{Blocking, Io, at_once};

impl Client<'_> {
    /// A forwarded ticket-granting ticket, to send on to a service (RFC 4120 §2.6): its session key of `etype` if the KDC
    /// has it, because that is an enctype that the service knows, else of what the configuration asks for. It is not
    /// stored.
    pub fn get_forwarded_ticket(
        &self,
        cache: &CcacheStore,
        etype: Option<&'static Enctype>,
    ) -> Result<Credential, TicketError> {
        at_once(self.forwarded_ticket(Blocking, cache, etype))
    }

    /// The same, waiting as `io` does.
    pub(crate) async fn forwarded_ticket(
        &self,
        io: impl Io,
        cache: &CcacheStore,
        etype: Option<&'static Enctype>,
    ) -> Result<Credential, TicketError> {
        let contents = cache.read()?;
        let (tgt, kdc_now) = self.granting(&contents)?;
        let mut request = TgsOptions::forwarded(tgt.clone());
        if let Some(etype) = etype {
            request.etypes = vec![etype];
            request.clock_skew = self.settings.clockskew;
            match self.exchange(io, request, kdc_now).await {
                Err(TicketError::Exchange(_)) => {}
                other => return other,
            }
            request = TgsOptions::forwarded(tgt.clone());
        }
        self.ask(io, request, kdc_now).await
    }

    /// Renews the ticket-granting ticket in `cache`, which is made anew with it: what `kinit -R` does.
    pub fn renew(&self, cache: &CcacheStore) -> Result<Credential, TicketError> {
        self.again(cache, TgsOptions::renewal)
    }

    /// Makes the postdated ticket-granting ticket in `cache` valid, and the cache anew with it: what `kinit -v` does.
    pub fn validate(&self, cache: &CcacheStore) -> Result<Credential, TicketError> {
        self.again(cache, TgsOptions::validation)
    }

    fn again(
        &self,
        cache: &CcacheStore,
        request: fn(Credential) -> TgsOptions,
    ) -> Result<Credential, TicketError> {
        let old = cache.read()?;
        let (tgt, kdc_now) = self.granting(&old)?;
        let ticket = self.ask(Blocking, request(tgt.clone()), kdc_now);
        let ticket = at_once(ticket)?;
        let mut contents = CredentialCache::new(old.principal);
        contents.version = old.version;
        contents.time_offset = old.time_offset;
        contents.credentials.push(ticket.clone());
        cache.replace(&contents)?;
        Ok(ticket)
    }

    /// The ticket-granting ticket of the client's realm, and the time by the KDC's clock.
    fn granting<'c>(
        &self,
        contents: &'c CredentialCache,
    ) -> Result<(&'c Credential, Timestamp), TicketError> {
        let time_offset = contents.time_offset.filter(|_| self.settings.kdc_timesync);
        let kdc_now = shifted(self.clock.now(), time_offset);
        Ok((ticket_granting(contents, kdc_now)?, kdc_now))
    }
}
