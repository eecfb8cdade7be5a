//! Which hosts are a realm's KDCs: those that sssd names, else those in `[realms]`, else those that DNS names.

use std::path::Path;
use std::time::Instant;

use krb5::formats::settings::{Server, ServerAddress, Settings, Transport};

use super::address;
use super::srv::{self, SrvError};
use super::sssd;
use super::transport::Endpoint;

/// The port of KDCs (RFC 4120 §7.2.1).
const KERBEROS: u16 = 88;

/// Why no KDC is known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocateError {
    /// The configuration names none, and DNS is not to be asked.
    #[error("no KDC is known for the realm {0}: name one in [realms], or allow dns_lookup_kdc")]
    NotConfigured(String),
    /// The configuration names none, and neither does DNS.
    #[error("no KDC is known for the realm {realm}: none in [realms], and DNS says: {cause}")]
    NotInDns {
        /// The realm.
        realm: String,
        /// What came of asking.
        cause: SrvError,
    },
    /// DNS says that the realm has no KDC.
    #[error("DNS says that the realm {0} has no KDC")]
    NoService(String),
    /// The only KDCs are reached in ways that are not supported.
    #[error(
        "the KDCs of the realm {0} are behind HTTPS proxies or Unix sockets, which are not supported: add a `kdc = host:port`"
    )]
    Unsupported(String),
    /// None of the KDCs' names has an address.
    #[error("none of the realm {realm}'s KDCs has an address: {hosts}")]
    NoAddress {
        /// The realm.
        realm: String,
        /// Their names.
        hosts: String,
    },
    /// The runtime is shutting down.
    #[error("the search for the KDCs of the realm {0} was stopped: the runtime is shutting down")]
    Stopped(String),
}

/// The KDCs of `realm`, at each of their addresses, by each transport they are to be spoken to with.
pub(super) fn endpoints(
    settings: &Settings,
    realm: &[u8],
    deadline: Instant,
) -> Result<Vec<Endpoint>, LocateError> {
    endpoints_with(Path::new(sssd::PUBLIC), settings, realm, deadline)
}

fn endpoints_with(
    public: &Path,
    settings: &Settings,
    realm: &[u8],
    deadline: Instant,
) -> Result<Vec<Endpoint>, LocateError> {
    let name = || String::from_utf8_lossy(realm).into_owned();
    let configured = settings.realms.get(realm).map(|realm| realm.kdc.as_slice());
    let known = sssd::servers(public, realm);
    let servers = match configured {
        _ if !known.is_empty() => known,
        Some(servers) if !servers.is_empty() => {
            let addresses: Vec<_> = servers.iter().filter_map(address_of).cloned().collect();
            if addresses.is_empty() {
                return Err(LocateError::Unsupported(name()));
            }
            addresses
        }
        _ if !settings.dns_lookup_kdc => return Err(LocateError::NotConfigured(name())),
        _ => from_dns(realm, deadline)?,
    };
    let hosts: Vec<_> = servers
        .iter()
        .map(|server| (server.host.as_str(), server.port.unwrap_or(KERBEROS)))
        .collect();
    let addresses = address::lookup(&hosts, deadline);
    let endpoints: Vec<_> = servers
        .iter()
        .zip(addresses)
        .flat_map(|(server, addresses)| {
            let transports = transports(server);
            addresses.into_iter().flat_map(move |address| {
                transports
                    .iter()
                    .map(move |&transport| Endpoint { address, transport })
            })
        })
        .collect();
    if endpoints.is_empty() {
        let hosts: Vec<_> = hosts.iter().map(|(host, _)| *host).collect();
        return Err(LocateError::NoAddress {
            realm: name(),
            hosts: hosts.join(", "),
        });
    }
    Ok(endpoints)
}

fn address_of(server: &Server) -> Option<&ServerAddress> {
    match server {
        Server::Address(address) => Some(address),
        Server::Proxy(_) | Server::Socket(_) => None,
    }
}

fn transports(server: &ServerAddress) -> &'static [Transport] {
    match server.transport {
        None => &[Transport::Udp, Transport::Tcp],
        Some(Transport::Udp) => &[Transport::Udp],
        Some(Transport::Tcp) => &[Transport::Tcp],
    }
}

/// `_kerberos._udp` and `_kerberos._tcp` in the realm's domain (RFC 4120 §7.2.3.2).
fn from_dns(realm: &[u8], deadline: Instant) -> Result<Vec<ServerAddress>, LocateError> {
    let name = || String::from_utf8_lossy(realm).into_owned();
    let services = [
        (Transport::Udp, "_kerberos._udp"),
        (Transport::Tcp, "_kerberos._tcp"),
    ];
    let mut servers = Vec::new();
    let (mut cause, mut refused) = (None, false);
    for (transport, service) in services {
        match srv::lookup(&format!("{service}.{}", name()), deadline) {
            Ok(found) if found.iter().all(|one| one.target.is_empty()) => refused = true,
            Ok(found) => servers.extend(
                found
                    .into_iter()
                    .filter(|one| !one.target.is_empty())
                    .map(|one| ServerAddress {
                        host: one.target,
                        port: Some(one.port),
                        transport: Some(transport),
                    }),
            ),
            Err(error) => cause = Some(error),
        }
    }
    match cause {
        _ if !servers.is_empty() => Ok(servers),
        Some(cause) if !refused => Err(LocateError::NotInDns {
            realm: name(),
            cause,
        }),
        _ => Err(LocateError::NoService(name())),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use krb5::formats::settings::{Realm, Realms};

    use super::*;

    #[test]
    fn what_sssd_has_found_goes_before_what_is_configured() {
        let public = tempfile::tempdir().unwrap();
        let mut realms = Realms::default();
        let kdc = vec![Server::Address(ServerAddress {
            host: "192.0.2.1".to_owned(),
            port: None,
            transport: None,
        })];
        let realm = Realm {
            kdc,
            ..Realm::default()
        };
        realms.insert("EXAMPLE.TEST", realm);
        let settings = Settings {
            realms,
            dns_lookup_kdc: false,
            ..Settings::default()
        };
        let found = |realm: &str| {
            let deadline = Instant::now() + Duration::from_secs(60);
            let found = endpoints_with(public.path(), &settings, realm.as_bytes(), deadline);
            found.map(|all| {
                all.iter()
                    .map(|one| one.address.to_string())
                    .collect::<Vec<_>>()
            })
        };
        assert_eq!(found("EXAMPLE.TEST").unwrap(), ["192.0.2.1:88"; 2]);
        std::fs::write(
            public.path().join("kdcinfo.EXAMPLE.TEST"),
            "192.0.2.2:750\n",
        )
        .unwrap();
        assert_eq!(found("EXAMPLE.TEST").unwrap(), ["192.0.2.2:750"; 2]);
        assert!(matches!(
            found("OTHER.TEST"),
            Err(LocateError::NotConfigured(_))
        ));
    }
}
