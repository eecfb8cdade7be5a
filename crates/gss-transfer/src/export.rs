//! Exporting: a context's state, sealed, and the deposit that opens it.

use gss_core::flags::Flags;
use gss_core::mechanism::SecurityContext;
use once::{OnceStore, Tag};
use wire::random::Random;
use wire::time::Timestamp;
use zeroize::Zeroizing;

use crate::deposit::{Carrier, Deposit};
use crate::envelope;
use crate::error::Error;
use crate::identity::Identity;
use crate::policy::Policy;

/// What an export needs to know besides the context.
pub struct Exporter<'a> {
    /// Who may import.
    pub policy: &'a Policy,
    /// This process.
    pub identity: &'a Identity,
    /// The moment now.
    pub now: Timestamp,
    /// When the token expires; it never outlives the context.
    pub expires: Timestamp,
    /// Randomness fit for keys.
    pub random: &'a dyn Random,
}

/// A token, and the deposit without which it opens nothing. Neither is anywhere yet but here.
pub struct Sealed {
    token: Vec<u8>,
    tag: Tag,
    deposit: Zeroizing<Vec<u8>>,
    expires: Timestamp,
}

impl Exporter<'_> {
    /// Seals `context` and makes the deposit in `store`. From then on the token is good, and the context must not be used
    /// any more where it was; its keeper drops it. On an error it is as it was.
    pub fn export(
        &self,
        context: &dyn SecurityContext,
        store: &OnceStore,
    ) -> Result<Vec<u8>, Error> {
        let id = store.id().map_err(Error::Store)?;
        let sealed = self.seal_for(context, Carrier::Store, &id)?;
        store
            .put(&sealed.tag, &sealed.deposit, sealed.expires)
            .map_err(Error::Store)?;
        Ok(sealed.token)
    }

    /// Seals `context` for a message over a socket. The context is as it was, and its keeper drops it once the message is
    /// sent.
    pub fn seal(&self, context: &dyn SecurityContext, carrier: Carrier) -> Result<Sealed, Error> {
        self.seal_for(context, carrier, &[0; 16])
    }

    fn seal_for(
        &self,
        context: &dyn SecurityContext,
        carrier: Carrier,
        store: &[u8; 16],
    ) -> Result<Sealed, Error> {
        let facts = context.facts();
        if !facts.flags.contains(Flags::TRANS) {
            return Err(Error::NotTransferable);
        }
        if facts.expires <= self.now {
            return Err(Error::ContextExpired);
        }
        let expires = facts.expires.min(self.expires);
        // A message over a socket meets no store that would refuse it: the context would be lost.
        if expires <= self.now {
            return Err(Error::NoLifetime);
        }
        let deposit = Deposit::fresh(self.policy, self.identity, expires, self.random)
            .map_err(Error::Policy)?;
        let tag = Tag::random(self.random);
        let state = context.save().map_err(Error::Save)?;
        Ok(Sealed {
            token: envelope::seal(
                facts.mechanism,
                &tag,
                &deposit,
                carrier.bound(store),
                &state,
            )
            .map_err(Error::TooLong)?,
            tag,
            deposit: deposit.encode(),
            expires,
        })
    }
}

impl Sealed {
    /// Token and deposit, for a message that carries both.
    pub fn into_parts(self) -> (Vec<u8>, Zeroizing<Vec<u8>>) {
        (self.token, self.deposit)
    }
}
