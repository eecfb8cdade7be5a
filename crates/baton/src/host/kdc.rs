//! Finding KDCs and speaking to them (RFC 4120 §7.2).

mod address;
mod io;
mod locate;
pub(super) mod srv;
mod sssd;
mod transport;

use std::time::{Duration, Instant};

use krb5::formats::settings::{Settings, Transport};
use krb5::messages::KrbError;

#[cfg(feature = "tokio")]
pub(crate) use self::io::Tokio;
pub(crate) use self::io::{Blocking, Io, at_once};
pub use self::locate::LocateError;
pub(crate) use self::transport::Endpoint;
#[cfg(test)]
pub(crate) use self::transport::Waiting;
pub use self::transport::{MAX_REPLY, TransportError};
use self::transport::{PACE, Verdict};

/// RFC 4120 §7.5.9.
const KDC_ERR_SVC_UNAVAILABLE: i32 = 29;

/// How long an exchange may take where nobody says.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Why a KDC gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KdcAccessError {
    /// No KDC of the realm is known.
    #[error(transparent)]
    Locate(#[from] LocateError),
    /// None of those that are known answered.
    #[error("no KDC of the realm {realm} answered: {cause}")]
    Transport {
        /// The realm.
        realm: String,
        /// What was tried.
        cause: TransportError,
    },
}

/// The KDCs that one call may need, found once, its deadline, and how it waits.
pub(crate) struct Kdcs<'a, I> {
    settings: &'a Settings,
    deadline: Instant,
    io: I,
    found: Vec<(Vec<u8>, Vec<Endpoint>)>,
}

impl<'a, I: Io> Kdcs<'a, I> {
    /// Nothing is looked up yet; everything ends at `deadline`.
    pub(crate) fn new(settings: &'a Settings, deadline: Instant, io: I) -> Self {
        Self {
            settings,
            deadline,
            io,
            found: Vec::new(),
        }
    }

    /// Sends `request` to KDCs of `realm` until one of them answers or the deadline is past. Over a stream alone if
    /// `stream`; over a stream first if the request is too long for a datagram.
    pub(crate) async fn ask(
        &mut self,
        realm: &[u8],
        request: &[u8],
        stream: bool,
    ) -> Result<Vec<u8>, KdcAccessError> {
        let tcp_first = request.len() > self.settings.udp_preference_limit;
        let (deadline, io) = (self.deadline, self.io);
        let endpoints = self.of_realm(realm).await?;
        let order = in_order(endpoints.clone(), tcp_first, stream);
        let answer = transport::exchange(io, &order, request, deadline, PACE, &judge).await;
        let (reply, from) = answer.map_err(|cause| KdcAccessError::Transport {
            realm: String::from_utf8_lossy(realm).into_owned(),
            cause,
        })?;
        // Who is there is asked first from now on: those before it may have been silent.
        endpoints.sort_by_key(|endpoint| endpoint.address != from.address);
        Ok(reply)
    }

    async fn of_realm(&mut self, realm: &[u8]) -> Result<&mut Vec<Endpoint>, LocateError> {
        let index = match self.found.iter().position(|(name, _)| name == realm) {
            Some(index) => index,
            None => {
                let found = self.io.locate(self.settings, realm, self.deadline);
                let endpoints = found.await?;
                self.found.push((realm.to_vec(), endpoints));
                self.found.len() - 1
            }
        };
        Ok(&mut self.found[index].1)
    }
}

/// Every KDC by the preferred transport, then every KDC by the other one.
fn in_order(mut endpoints: Vec<Endpoint>, tcp_first: bool, stream: bool) -> Vec<Endpoint> {
    if stream {
        endpoints.retain(|endpoint| endpoint.transport == Transport::Tcp);
    }
    endpoints.sort_by_key(|endpoint| (endpoint.transport == Transport::Tcp) != tcp_first);
    endpoints
}

/// The first bytes of AS-REP, TGS-REP and KRB-ERROR (RFC 4120 §5.10).
const MESSAGES: [u8; 3] = [0x6b, 0x6d, 0x7e];

/// A KDC that cannot serve at the moment says so; another one may. What is no message of a KDC is no answer.
fn judge(reply: &[u8]) -> Verdict {
    let unavailable = |error: KrbError<'_>| error.error_code == KDC_ERR_SVC_UNAVAILABLE;
    match reply.first() {
        Some(first) if MESSAGES.contains(first) => {}
        _ => return Verdict::AskAnother,
    }
    if KrbError::decode(reply).is_ok_and(unavailable) {
        Verdict::AskAnother
    } else {
        Verdict::Take
    }
}
