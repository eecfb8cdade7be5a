//! `[realms]` and `[domain_realm]`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use crate::formats::conf::{ConfError, ConfProblem, Profile, Relation};

/// The realms that the configuration knows.
#[derive(Clone, Debug, Default)]
pub struct Realms(BTreeMap<String, Realm>);

/// One realm's servers and rules.
#[derive(Clone, Debug, Default)]
pub struct Realm {
    /// Its KDCs, in the order they are tried.
    pub kdc: Vec<Server>,
    /// The KDC that knows passwords first (`primary_kdc`, of old `master_kdc`).
    pub primary_kdc: Vec<Server>,
    /// Its administration servers.
    pub admin_server: Vec<Server>,
    /// The domain of hosts in names of version 4.
    pub default_domain: Option<String>,
    /// The rules from principals to local users, as they stand: see [`LocalNames`](crate::formats::auth_to_local::LocalNames).
    pub auth_to_local: Vec<String>,
    /// Principals without their realm, and which local users they are.
    pub auth_to_local_names: BTreeMap<String, String>,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// At a host's port.
    Address(ServerAddress),
    /// Behind an HTTPS proxy (MS-KKDCP), by its URL.
    Proxy(String),
    /// At a Unix socket.
    Socket(String),
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    /// The host's name or address, an IPv6 address without brackets.
    pub host: String,
    /// The port, if one is named.
    pub port: Option<u16>,
    /// The one transport it is to be spoken to with, if one is named.
    pub transport: Option<Transport>,
}

/// How bytes get to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream, each message after its length.
    Tcp,
}

impl Realms {
    /// Reads `[realms]`.
    pub fn read(profile: &Profile) -> Result<Self, ConfError> {
        let names = profile.subsections(&["realms"]);
        let realms = names.into_iter().map(|name| {
            let realm = Realm::read(profile, name)?;
            Ok((name.to_owned(), realm))
        });
        realms.collect::<Result<_, _>>().map(Self)
    }

    /// What the configuration says of `realm`.
    pub fn get(&self, realm: &[u8]) -> Option<&Realm> {
        self.0.get(str::from_utf8(realm).ok()?)
    }

    /// The realms' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Sets what is known of `realm`, for configurations that are made by a program.
    pub fn insert(&mut self, name: impl Into<String>, realm: Realm) {
        self.0.insert(name.into(), realm);
    }
}

impl Realm {
    fn read(profile: &Profile, name: &str) -> Result<Self, ConfError> {
        let relations = |relation: &str| profile.relations(&["realms", name, relation]);
        let servers = |relation: &str| -> Result<Vec<Server>, ConfError> {
            relations(relation).into_iter().map(server).collect()
        };
        let mut primary_kdc = servers("primary_kdc")?;
        if primary_kdc.is_empty() {
            primary_kdc = servers("master_kdc")?;
        }
        let default_domain = profile.string(&["realms", name, "default_domain"]);
        let auth_to_local = relations("auth_to_local").into_iter();
        // As MIT's code does it, the last one counts.
        let names = profile.all_relations(&["realms", name, "auth_to_local_names"]);
        let names = names
            .iter()
            .map(|one| (one.name.clone(), one.value.clone()));
        Ok(Self {
            kdc: servers("kdc")?,
            primary_kdc,
            admin_server: servers("admin_server")?,
            default_domain: default_domain.map(str::to_owned),
            auth_to_local: auth_to_local.map(|rule| rule.value.clone()).collect(),
            auth_to_local_names: names.collect(),
        })
    }
}

fn server(relation: &Relation) -> Result<Server, ConfError> {
    Server::parse(&relation.value)
        .ok_or_else(|| relation.error(|name, value| ConfProblem::NotAServer { name, value }))
}

impl Server {
    /// Parses `host`, `host:port`, `[address]:port`, each also after Heimdal's `udp/` or `tcp/`; a proxy's URL; a socket's path.
    /// What follows a blank is ignored.
    pub fn parse(text: &str) -> Option<Self> {
        let word = text.split_ascii_whitespace().next()?;
        if word.starts_with('/') {
            return Some(Self::Socket(word.to_owned()));
        }
        if word.starts_with("https://") || word.starts_with("http://") {
            return Some(Self::Proxy(word.to_owned()));
        }
        let (transport, word) = match word.split_once('/') {
            None => (None, word),
            Some(("udp", rest)) => (Some(Transport::Udp), rest),
            Some(("tcp", rest)) => (Some(Transport::Tcp), rest),
            Some(_) => return None,
        };
        let (host, port) = host_and_port(word)?;
        Some(Self::Address(ServerAddress {
            host: host.to_owned(),
            port,
            transport,
        }))
    }
}

fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    let port = |digits: &str| match digits.bytes().all(|byte| byte.is_ascii_digit()) {
        true => digits.parse::<u16>().ok().filter(|port| *port != 0),
        false => None,
    };
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        address.parse::<Ipv6Addr>().ok()?;
        return match rest.strip_prefix(':') {
            Some(digits) => Some((address, Some(port(digits)?))),
            None => rest.is_empty().then_some((address, None)),
        };
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Some((text, None));
    }
    match text.split_once(':') {
        None => (!text.is_empty()).then_some((text, None)),
        Some((host, digits)) => (!host.is_empty()).then_some((host, Some(port(digits)?))),
    }
}

/// Which realm a host belongs to.
#[derive(Clone, Debug, Default)]
pub struct DomainRealm(BTreeMap<String, String>);

impl DomainRealm {
    /// Reads `[domain_realm]`.
    pub fn read(profile: &Profile) -> Self {
        let mut map = BTreeMap::new();
        for relation in profile.all_relations(&["domain_realm"]) {
            map.entry(relation.name.clone())
                .or_insert_with(|| relation.value.clone());
        }
        Self(map)
    }

    /// Maps a host, or with a leading dot all hosts of a domain, to a realm.
    pub fn insert(&mut self, domain: impl Into<String>, realm: impl Into<String>) {
        self.0.insert(domain.into(), realm.into());
    }

    /// The realm the configuration gives `host`: for `a.b.c` that of `a.b.c`, `.b.c`, `b.c`, `.c` or `c`, whichever is
    /// there first. None for addresses.
    pub fn configured(&self, host: &str) -> Option<&str> {
        let host = normal(host)?;
        let mut rest = host.as_str();
        loop {
            if let Some(realm) = self.0.get(rest) {
                return Some(realm);
            }
            rest = match rest.strip_prefix('.') {
                Some(after) => after,
                None => &rest[rest.find('.')?..],
            };
        }
    }

    /// The realm of `host`: the configured one, else its domain in capital letters, else `default_realm`.
    pub fn realm_of(&self, host: &str, default_realm: Option<&str>) -> Option<String> {
        let configured = self.configured(host).map(str::to_owned);
        configured
            .or_else(|| Self::fallback(host))
            .or_else(|| default_realm.map(str::to_owned))
    }

    /// The domain of `host` in capital letters. None for addresses and for names without a domain.
    pub fn fallback(host: &str) -> Option<String> {
        let host = normal(host)?;
        let (_, domain) = host.split_once('.')?;
        (!domain.is_empty()).then(|| domain.to_ascii_uppercase())
    }
}

fn normal(host: &str) -> Option<String> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_address = host.parse::<IpAddr>().is_ok();
    (!is_address && !host.is_empty()).then(|| host.to_ascii_lowercase())
}
