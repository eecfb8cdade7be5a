//! Names of hosts: `/etc/hosts`, then DNS, asked by ourselves (the standard library's resolver does not tell a host's canonical name).

use std::fmt;
use std::fs;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use simple_dns::TYPE;
use simple_dns::rdata::RData;

use super::kdc::srv::{Record, is_host, normal, records_of};

/// How long one question may take, over all name servers.
const PATIENCE: Duration = Duration::from_secs(5);

/// A host that was found by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its canonical name: that at the end of all aliases.
    pub canonical: String,
    /// Its first address.
    pub address: IpAddr,
}

/// Where hosts are looked up. Nobody vouches for what DNS says.
pub trait Resolver: fmt::Debug + Send + Sync {
    /// The host of that name.
    fn forward(&self, name: &str) -> Option<Host>;

    /// The name of the host with that address.
    fn reverse(&self, address: IpAddr) -> Option<String>;

    /// The domain in which names without dots are looked up first; local knowledge, nobody is asked.
    fn search_domain(&self) -> Option<String>;
}

/// This host's configuration: `/etc/hosts`, and the name servers and the domain in `/etc/resolv.conf`.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn forward(&self, name: &str) -> Option<Host> {
        if let Ok(address) = name.parse() {
            let canonical = name.to_owned();
            return Some(Host { canonical, address });
        }
        if let Some(host) = in_hosts(&hosts(), name) {
            return Some(host);
        }
        let configuration = configuration();
        let deadline = Instant::now() + PATIENCE;
        spellings(name, search_domain(&configuration)).find_map(|name| {
            let v4 = records_of::<Address<4>>(&configuration, &name, deadline).ok();
            let host = v4.and_then(|found| Some(found.into_iter().next()?.0));
            host.or_else(|| {
                let v6 = records_of::<Address<6>>(&configuration, &name, deadline);
                Some(v6.ok()?.into_iter().next()?.0)
            })
        })
    }

    fn reverse(&self, address: IpAddr) -> Option<String> {
        if let Some(name) = name_in_hosts(&hosts(), address) {
            return Some(name);
        }
        let deadline = Instant::now() + PATIENCE;
        let found = records_of::<Pointer>(&configuration(), &pointer(address), deadline);
        Some(found.ok()?.into_iter().next()?.0)
    }

    fn search_domain(&self) -> Option<String> {
        search_domain(&configuration())
    }
}

fn configuration() -> String {
    fs::read_to_string("/etc/resolv.conf").unwrap_or_default()
}

fn hosts() -> String {
    fs::read_to_string("/etc/hosts").unwrap_or_default()
}

/// An A or AAAA record.
struct Address<const VERSION: u8>(Host);

impl<const VERSION: u8> Record for Address<VERSION> {
    const TYPE: TYPE = if VERSION == 4 { TYPE::A } else { TYPE::AAAA };

    fn read(owner: &str, rdata: &RData<'_>) -> Option<Self> {
        let address: IpAddr = match rdata {
            RData::A(found) if VERSION == 4 => found.address.to_be_bytes().into(),
            RData::AAAA(found) if VERSION == 6 => found.address.to_be_bytes().into(),
            _ => return None,
        };
        is_host(owner).then(|| {
            Self(Host {
                canonical: owner.to_owned(),
                address,
            })
        })
    }
}

/// A PTR record.
struct Pointer(String);

impl Record for Pointer {
    const TYPE: TYPE = TYPE::PTR;

    fn read(_: &str, rdata: &RData<'_>) -> Option<Self> {
        let RData::PTR(found) = rdata else {
            return None;
        };
        let name = normal(&found.0);
        (!name.is_empty() && is_host(&name)).then_some(Self(name))
    }
}

/// The name under which an address's name stands (RFC 1035 §3.5, RFC 3596 §2.5).
fn pointer(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().rev();
            let nibbles = nibbles.flat_map(|octet| [octet & 15, octet >> 4]);
            let labels: String = nibbles.map(|nibble| format!("{nibble:x}.")).collect();
            labels + "ip6.arpa"
        }
    }
}

/// The spellings under which a name is looked up, as the C library does it: one without dots in its domain first, one with dots
/// as it is first; one that ends in a dot as it is alone.
fn spellings(name: &str, domain: Option<String>) -> impl Iterator<Item = String> {
    let bare = (!name.is_empty()).then(|| name.to_owned());
    let qualified = domain
        .filter(|_| !name.ends_with('.'))
        .map(|domain| format!("{name}.{domain}"));
    let pair = match name.contains('.') {
        true => [bare, qualified],
        false => [qualified, bare],
    };
    pair.into_iter().flatten()
}

/// The first domain of the last `search` or `domain` line of resolv.conf(5).
fn search_domain(configuration: &str) -> Option<String> {
    let mut lines = configuration.lines().rev().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("search" | "domain") => words.next(),
            _ => None,
        }
    });
    let domain = lines.next()?.trim_end_matches('.').to_ascii_lowercase();
    (!domain.is_empty() && is_host(&domain)).then_some(domain)
}

/// The entries of hosts(5).
fn entries(hosts: &str) -> impl Iterator<Item = (IpAddr, impl Iterator<Item = &str> + Clone)> {
    hosts.lines().filter_map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_ascii_whitespace();
        let address = words.next()?.parse().ok()?;
        Some((address, words))
    })
}

fn in_hosts(hosts: &str, name: &str) -> Option<Host> {
    let name = name.trim_end_matches('.');
    let mut found =
        entries(hosts).filter(|(_, names)| names.clone().any(|one| one.eq_ignore_ascii_case(name)));
    let (address, mut names) = found.next()?;
    let canonical = names.next()?.to_owned();
    Some(Host { canonical, address })
}

fn name_in_hosts(hosts: &str, address: IpAddr) -> Option<String> {
    let mut found = entries(hosts).filter(|(known, _)| *known == address);
    found.next()?.1.next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::thread;

    use simple_dns::rdata::{A, CNAME, PTR};
    use simple_dns::{CLASS, Name, Packet, QTYPE, ResourceRecord};

    use super::*;

    const HOSTS: &str = "127.0.0.1 localhost\n# 192.0.2.9 not.example\n192.0.2.1\tweb.example www # x.example\n\
        bad name.example\n192.0.2.3 web.example\n::1 six.example\n";

    #[test]
    fn the_hosts_file_names_hosts_by_their_first_name() {
        let found = in_hosts(HOSTS, "WWW").unwrap();
        assert_eq!(found.canonical, "web.example");
        assert_eq!(found.address, IpAddr::from([192, 0, 2, 1]));
        assert_eq!(in_hosts(HOSTS, "web.example."), Some(found));
        for name in ["x.example", "not.example", "name.example", "", "web"] {
            assert_eq!(in_hosts(HOSTS, name), None, "{name}");
        }
        let reverse = |address: &str| name_in_hosts(HOSTS, address.parse().unwrap());
        assert_eq!(reverse("192.0.2.1").as_deref(), Some("web.example"));
        assert_eq!(reverse("::1").as_deref(), Some("six.example"));
        assert_eq!(reverse("192.0.2.9"), None);
    }

    #[test]
    fn the_search_domain_is_the_last_ones_first() {
        let of = |text: &str| search_domain(text);
        assert_eq!(
            of("search a.example b.example\n").as_deref(),
            Some("a.example")
        );
        assert_eq!(
            of("search a.example\ndomain C.Example.\n").as_deref(),
            Some("c.example")
        );
        for none in [
            "",
            "search\n",
            "search .\n",
            "#search a\n",
            "nameserver a\n",
            "search a/b\n",
        ] {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn names_are_looked_up_in_the_c_librarys_order() {
        let of = |name: &str| spellings(name, Some("d.e".into())).collect::<Vec<_>>();
        assert_eq!(of("web"), ["web.d.e", "web"]);
        assert_eq!(of("web.x"), ["web.x", "web.x.d.e"]);
        assert_eq!(of("web.x."), ["web.x."]);
        assert_eq!(spellings("web", None).collect::<Vec<_>>(), ["web"]);
    }

    #[test]
    fn an_address_has_its_place_in_dns() {
        let of = |address: &str| pointer(address.parse().unwrap());
        assert_eq!(of("192.0.2.7"), "7.2.0.192.in-addr.arpa");
        let six = of("2001:db8::1f");
        assert!(
            six.starts_with("f.1.0.0.") && six.ends_with(".8.b.d.0.1.0.0.2.ip6.arpa"),
            "{six}"
        );
        assert_eq!(six.len(), 64 + "ip6.arpa".len());
    }

    /// A name server with an alias, an address and a pointer.
    fn name_server() -> String {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        thread::spawn(move || {
            let mut buffer = [0; 1000];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
                let query = Packet::parse(&buffer[..length]).unwrap();
                let mut reply = Packet::new_reply(query.id());
                reply.questions = query.questions.clone();
                let record = |owner: &'static str, rdata| {
                    ResourceRecord::new(Name::new_unchecked(owner), CLASS::IN, 60, rdata)
                };
                let address = u32::from_be_bytes([192, 0, 2, 1]);
                reply.answers = match query.questions[0].qtype {
                    QTYPE::TYPE(TYPE::A) => vec![
                        record(
                            "www.example",
                            RData::CNAME(CNAME(Name::new_unchecked("Web.example"))),
                        ),
                        record("web.example", RData::A(A { address })),
                        record("other.example", RData::A(A { address: 7 })),
                    ],
                    QTYPE::TYPE(TYPE::PTR) => vec![record(
                        "1.2.0.192.in-addr.arpa",
                        RData::PTR(PTR(Name::new_unchecked("Front.example"))),
                    )],
                    _ => Vec::new(),
                };
                socket
                    .send_to(&reply.build_bytes_vec().unwrap(), peer)
                    .unwrap();
            }
        });
        port.to_string()
    }

    #[test]
    fn records_tell_names_and_addresses() {
        use crate::host::kdc::srv::records_from;
        let server = format!("127.0.0.1:{}", name_server()).parse().unwrap();
        let deadline = Instant::now() + PATIENCE;
        let found = records_from::<Address<4>>(&[server], "www.example", deadline).unwrap();
        let [Address(host)] = &found[..] else {
            panic!("one address")
        };
        assert_eq!(host.canonical, "web.example");
        assert_eq!(host.address, IpAddr::from([192, 0, 2, 1]));
        assert!(records_from::<Address<6>>(&[server], "www.example", deadline).is_err());
        let name = pointer(host.address);
        let found = records_from::<Pointer>(&[server], &name, deadline).unwrap();
        assert_eq!(found[0].0, "front.example");
    }
}
