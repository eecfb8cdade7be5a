//! Whether tickets that a password got are from the KDC that shares a key with this host, as `krb5_verify_init_creds` finds out.
//!
//! Who knows a password can set up a KDC that says yes to it, and whoever asks it believes that a user has logged in. A ticket for
//! a service whose key this host has comes from the real one alone.

use std::sync::Arc;

use krb5::exchange::ap::{self, Acceptable, ApError, Request};
use krb5::formats::keytab::Keytab;
use krb5::principal::Principal;
use wire::time::Timestamp;

use super::keys::Source;
use super::tickets::{Identity, Tickets};
use super::{CredentialError, Verify};
use crate::environment::Environment;
use crate::host::kdc::Io;
use crate::host::tickets::TicketError;

/// Verifies `tickets`, whose client has just proved itself.
pub(super) async fn verify(
    io: impl Io,
    env: &Environment,
    tickets: &Tickets,
    keytab: &Source,
    how: &Verify,
) -> Result<(), CredentialError> {
    let identity = tickets.identity(io, env, None).await?;
    let keys = keytab.current()?;
    let mut problem = VerifyError::NoHostKey;
    for server in servers(env, &keys, how)? {
        match with_key_of(io, env, identity, &keys, server).await {
            Ok(()) => return Ok(()),
            Err(why) => problem = why,
        }
    }
    Err(CredentialError::NotVerified {
        client: identity.client.clone(),
        keytab: keytab.name(),
        cause: Box::new(problem),
    })
}

/// Why an initial ticket could not be verified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// No principal was named, and no host has a key.
    #[error("it has no key of any host/ principal: add one, or name a principal")]
    NoHostKey,
    /// The client gets no ticket for the service with the key.
    #[error("no ticket for {server}: {cause}")]
    NoTicket {
        /// The service.
        server: Principal,
        /// Why not.
        #[source]
        cause: TicketError,
    },
    /// The ticket's session key is of an enctype that is not supported.
    #[error("the key of the ticket for {0} cannot be used")]
    SessionKey(Principal),
    /// The ticket does not open, or is not to be accepted: another KDC made it than the one that this host shares a key with.
    #[error("the ticket for {server} is not one for this keytab: {cause}")]
    NotForKeytab {
        /// The service.
        server: Principal,
        /// Why not.
        #[source]
        cause: ApError,
    },
    /// The ticket is somebody else's.
    #[error("the ticket for {0} is of another client")]
    OtherClient(Principal),
}

/// Whose keys can be used.
fn servers(
    env: &Environment,
    keytab: &Keytab,
    how: &Verify,
) -> Result<Vec<Principal>, CredentialError> {
    if let Verify::Principal(name) = how {
        let default_realm = env.settings().default_realm.as_deref();
        let parsed = Principal::parse(name, default_realm);
        let named = parsed.map_err(|cause| CredentialError::VerifyName {
            name: name.clone(),
            cause,
        });
        return Ok(vec![named?]);
    }
    let mut hosts: Vec<Principal> = Vec::new();
    for entry in &keytab.entries {
        let is_host = matches!(entry.principal.components(), [first, _] if **first == *b"host");
        if is_host && !hosts.contains(&entry.principal) {
            hosts.push(entry.principal.clone());
        }
    }
    Ok(hosts)
}

/// Shows a ticket for `server` to ourselves. Nobody can replay it to us, so no mark is put.
async fn with_key_of(
    io: impl Io,
    env: &Environment,
    identity: &Identity,
    keytab: &Arc<Keytab>,
    server: Principal,
) -> Result<(), VerifyError> {
    let tickets = env.tickets();
    let found = tickets.service_ticket(io, &server, &identity.cache).await;
    let found = found.map_err(|cause| VerifyError::NoTicket {
        server: server.clone(),
        cause,
    })?;
    let offset = found.time_offset.unwrap_or_default();
    let micros = i64::from(offset.seconds) * 1_000_000 + i64::from(offset.micros);
    let now = Timestamp::from_micros(env.now().micros().saturating_add(micros));
    let ticket = found.credential;
    let Some(key) = ticket.key.usable() else {
        return Err(VerifyError::SessionKey(server));
    };
    let refused = |cause| VerifyError::NotForKeytab {
        server: server.clone(),
        cause,
    };
    let request = Request {
        client: &identity.client,
        ticket: &ticket.ticket,
        session_key: key,
        mutual: false,
        ctime: now,
        cksum: None,
        subkey: None,
        seq_number: None,
        authorization_data: None,
    };
    let request = request.encode(env.random()).map_err(refused)?;
    let request = ap::read(&request).map_err(refused)?;
    let acceptable = Acceptable::Principal(server.clone());
    let opened = ap::open(&request, keytab, &acceptable).map_err(refused)?;
    let checked = opened.check(env.policy(), now).map_err(refused)?;
    match checked.request().client == identity.client {
        true => Ok(()),
        false => Err(VerifyError::OtherClient(server)),
    }
}
