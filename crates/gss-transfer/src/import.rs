//! Importing: each step gives what the next one needs, and the deposit is taken last.
//!
//! ```text
//! Envelope      the token's frame and header read             DEFECTIVE_TOKEN
//!  -> Found     its deposit seen, still there for others      NO_CONTEXT
//!  -> Admitted  the policy admits this process                UNAUTHORIZED
//!  -> Dormant   the seal holds, the state reads               DEFECTIVE_TOKEN
//!  -> Taken     nobody else has the context, nor ever will    NO_CONTEXT
//! ```

use gss_core::mechanism::{Dormant, Restore, SecurityContext};
use once::{OnceStore, StoreError, Tag, TakeError};
use wire::time::Timestamp;
use zeroize::Zeroizing;

use crate::deposit::{Carrier, Deposit};
use crate::envelope::Envelope;
use crate::error::Error;
use crate::identity::{Identity, Wanted};

/// What an import needs to know besides the token.
pub struct Importer<'a> {
    /// Where the deposit is.
    pub store: &'a OnceStore,
    /// How it got there.
    pub carrier: Carrier,
    /// Finds out about this process.
    pub identify: &'a dyn Fn(Wanted) -> Identity,
    /// The moment now.
    pub now: Timestamp,
    /// The mechanisms whose state can be read.
    pub mechanisms: &'a [&'a dyn Restore],
}

impl Importer<'_> {
    /// Takes the context of `token` over. On an error nothing is taken, and the true token still imports, here or elsewhere.
    pub fn import(&self, token: &[u8]) -> Result<Box<dyn SecurityContext>, Error> {
        let found = self.find(token)?;
        let admitted = found.admit(self.identify, self.carrier)?;
        let dormant = admitted.open(self)?;
        dormant.wake(self.store)
    }

    /// The same, and what the token is [given back](Returnable::give_back) with.
    pub fn import_returnable(
        &self,
        token: &[u8],
    ) -> Result<(Box<dyn SecurityContext>, Returnable), Error> {
        let admitted = self.find(token)?.admit(self.identify, self.carrier)?;
        let Admitted(Found { envelope, deposit }) = &admitted;
        let returnable = Returnable {
            tag: envelope.tag,
            deposit: deposit.encode(),
            expires: deposit.expires,
        };
        let dormant = admitted.open(self)?;
        Ok((dormant.wake(self.store)?, returnable))
    }

    /// Puts a deposit that came in a message beside `token` into the store, from where [`import`](Self::import) takes it.
    pub fn receive(&self, token: &[u8], deposit: &[u8]) -> Result<(), Error> {
        let envelope = self.parse(token)?;
        let expires = Deposit::decode(deposit).map_err(Error::Deposit)?.expires;
        if expires <= self.now {
            return Err(Error::TokenExpired);
        }
        self.store
            .put(&envelope.tag, deposit, expires)
            .map_err(|error| match error {
                // The store has looked at the clock again.
                StoreError::Expired => Error::TokenExpired,
                other => Error::Store(other),
            })
    }

    fn parse<'t>(&self, token: &'t [u8]) -> Result<Envelope<'t>, Error> {
        let mechanisms = self.mechanisms.iter().map(|mechanism| mechanism.oid());
        Envelope::parse(token, mechanisms).map_err(Error::Malformed)
    }

    fn find<'t>(&self, token: &'t [u8]) -> Result<Found<'t>, Error> {
        let envelope = self.parse(token)?;
        let entry = self
            .store
            .peek(&envelope.tag)
            .map_err(Error::Store)?
            .ok_or(Error::NotThere)?;
        let deposit = Deposit::decode(&entry.value).map_err(Error::Deposit)?;
        // Nothing has swept it yet, or the store counts in coarser steps than the exporter did.
        if deposit.expires <= self.now {
            return Err(Error::TokenExpired);
        }
        Ok(Found { envelope, deposit })
    }
}

/// The deposit of a context that was imported and may turn out not to be wanted: it holds the one-time key, and wipes itself.
pub struct Returnable {
    tag: Tag,
    deposit: Zeroizing<Vec<u8>>,
    expires: Timestamp,
}

impl Returnable {
    /// Makes the deposit that was taken again: same tag, same key, same terms, same expiry. The context must be nowhere any more,
    /// and must not have been used.
    pub fn give_back(self, store: &OnceStore) -> Result<(), Error> {
        store
            .put(&self.tag, &self.deposit, self.expires)
            .map_err(|error| match error {
                StoreError::Expired => Error::TokenExpired,
                other => Error::Store(other),
            })
    }
}

/// A token whose deposit is there.
struct Found<'t> {
    envelope: Envelope<'t>,
    deposit: Deposit,
}

/// A token that this process may import.
struct Admitted<'t>(Found<'t>);

/// A context that is whole and not ours yet.
struct Opened<'t> {
    envelope: Envelope<'t>,
    dormant: Box<dyn Dormant>,
}

impl<'t> Found<'t> {
    fn admit(
        self,
        identify: &dyn Fn(Wanted) -> Identity,
        carrier: Carrier,
    ) -> Result<Admitted<'t>, Error> {
        let terms = &self.deposit.terms;
        terms
            .admit(&identify(terms.wanted()), carrier)
            .map_err(Error::Refused)?;
        Ok(Admitted(self))
    }
}

impl<'t> Admitted<'t> {
    fn open(self, importer: &Importer<'_>) -> Result<Opened<'t>, Error> {
        let Self(Found { envelope, deposit }) = self;
        let store = importer.store.id().map_err(Error::Store)?;
        let state = envelope
            .open(&deposit, importer.carrier.bound(&store))
            .map_err(Error::Malformed)?;
        let mechanism = importer
            .mechanisms
            .iter()
            .find(|mechanism| mechanism.oid() == envelope.mechanism)
            .ok_or(Error::Malformed(crate::envelope::Malformed::Mechanism))?;
        let dormant = mechanism.restore(&state).map_err(Error::Restore)?;
        Ok(Opened { envelope, dormant })
    }
}

impl Opened<'_> {
    fn wake(self, store: &OnceStore) -> Result<Box<dyn SecurityContext>, Error> {
        let taken = store
            .take(&self.envelope.tag)
            .map_err(|error| match error {
                TakeError::Store(cause) => Error::Store(cause),
                TakeError::Expired => Error::TokenExpired,
                // It was there when we looked.
                _ => Error::TakenFirst,
            })?;
        Ok(self.dormant.wake(taken.into()))
    }
}
