//! Finding KDCs and speaking to them (RFC 4120 §7.2).

mod address;
mod locate;
mod srv;
mod transport;

use std::time::{Duration, Instant};

use krb5::formats::settings::{Settings, Transport};
use krb5::messages::KrbError;

pub use self::locate::LocateError;
use self::transport::{Endpoint, Verdict};
pub use self::transport::{MAX_REPLY, TransportError};

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

/// Sends `request` to KDCs of `realm` until one of them answers or `deadline` is past. Over a stream alone if `stream`, or if the
/// request is too long for a datagram.
pub fn ask(
    settings: &Settings,
    realm: &[u8],
    request: &[u8],
    stream: bool,
    deadline: Instant,
) -> Result<Vec<u8>, KdcAccessError> {
    let endpoints = locate::endpoints(settings, realm, deadline)?;
    let endpoints = in_order(
        endpoints,
        request.len() > settings.udp_preference_limit,
        stream,
    );
    transport::exchange(&endpoints, request, deadline, &judge).map_err(|cause| {
        KdcAccessError::Transport {
            realm: String::from_utf8_lossy(realm).into_owned(),
            cause,
        }
    })
}

/// Every KDC by the preferred transport, then every KDC by the other one.
fn in_order(mut endpoints: Vec<Endpoint>, tcp_first: bool, stream: bool) -> Vec<Endpoint> {
    if stream {
        endpoints.retain(|endpoint| endpoint.transport == Transport::Tcp);
    }
    endpoints.sort_by_key(|endpoint| (endpoint.transport == Transport::Tcp) != tcp_first);
    endpoints
}

/// A KDC that cannot serve at the moment says so; another one may.
fn judge(reply: &[u8]) -> Verdict {
    match KrbError::decode(reply) {
        Ok(error) if error.error_code == KDC_ERR_SVC_UNAVAILABLE => Verdict::AskAnother,
        _ => Verdict::Take,
    }
}
