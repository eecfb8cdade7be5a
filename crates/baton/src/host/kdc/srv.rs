//! DNS records, SRV (RFC 2782) among them, asked of the name servers in `/etc/resolv.conf` by ourselves, because the C library's resolver has no portable
//! call for them and waits as long as it likes.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};
use wire::random::array;

use crate::world::SystemRandom;

/// How long one name server may be silent.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often all of them are asked.
const ROUNDS: usize = 2;
/// How many name servers of `/etc/resolv.conf` are used, as by the C library.
const MAX_SERVERS: usize = 3;
/// How many aliases may lead to the records.
const MAX_ALIASES: usize = 8;
/// The longest answer over a stream: the most that 16 bits can say.
const MAX_ANSWER: usize = 65_535;

/// One server of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Srv {
    priority: u16,
    weight: u16,
    /// Its port.
    pub(super) port: u16,
    /// Its name; empty if the service is decidedly not offered.
    pub(super) target: String,
}

/// A kind of record that is asked for.
pub(in crate::host) trait Record: Sized {
    /// Its number.
    const TYPE: TYPE;

    /// What it says of `owner`, the name at the end of all aliases; nothing if it is of another kind or cannot be meant.
    fn read(owner: &str, rdata: &RData<'_>) -> Option<Self>;
}

impl Record for Srv {
    const TYPE: TYPE = TYPE::SRV;

    fn read(_: &str, rdata: &RData<'_>) -> Option<Self> {
        let RData::SRV(server) = rdata else {
            return None;
        };
        let target = normal(&server.target);
        let is_meant = server.port != 0 || target.is_empty();
        (is_meant && is_host(&target)).then_some(Self {
            priority: server.priority,
            weight: server.weight,
            port: server.port,
            target,
        })
    }
}

/// Why DNS names no server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SrvError {
    /// The realm's name cannot be a domain's.
    #[error("the realm's name is no domain's name")]
    NotADomain,
    /// There are no such records.
    #[error("there are no such records")]
    Empty,
    /// No name server gave an answer; what the last one did.
    #[error("no name server answers: {0}")]
    NoAnswer(io::Error),
}

/// The servers of `name`, in the order in which they are to be tried.
pub(super) fn lookup(name: &str, deadline: Instant) -> Result<Vec<Srv>, SrvError> {
    let configuration = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    records_of(&configuration, name, deadline).map(ordered)
}

#[cfg(test)]
fn lookup_at(servers: &[SocketAddr], name: &str, deadline: Instant) -> Result<Vec<Srv>, SrvError> {
    records_from(servers, name, deadline).map(ordered)
}

/// The records of `name`, from the name servers that `configuration`, a resolv.conf(5), lists.
pub(in crate::host) fn records_of<T: Record>(
    configuration: &str,
    name: &str,
    deadline: Instant,
) -> Result<Vec<T>, SrvError> {
    records_from(&name_servers(configuration), name, deadline)
}

pub(in crate::host) fn records_from<T: Record>(
    servers: &[SocketAddr],
    name: &str,
    deadline: Instant,
) -> Result<Vec<T>, SrvError> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for server in servers.iter().cycle().take(servers.len() * ROUNDS) {
        let until = deadline.min(Instant::now() + PATIENCE);
        match ask(*server, name, until)? {
            Ok(Answer::Records(records)) => return Ok(records),
            Ok(Answer::None) => return Err(SrvError::Empty),
            Err(error) => last = error,
        }
        if Instant::now() >= deadline {
            break;
        }
    }
    Err(SrvError::NoAnswer(last))
}

/// The `nameserver` lines of resolv.conf(5); without any, the one on this host.
fn name_servers(configuration: &str) -> Vec<SocketAddr> {
    let addresses = configuration.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        match (words.next(), words.next()) {
            (Some("nameserver"), Some(address)) => address.parse::<IpAddr>().ok(),
            _ => None,
        }
    });
    let mut servers: Vec<_> = addresses
        .take(MAX_SERVERS)
        .map(|address| SocketAddr::new(address, 53))
        .collect();
    if servers.is_empty() {
        servers.push((Ipv4Addr::LOCALHOST, 53).into());
    }
    servers
}

enum Answer<T> {
    Records(Vec<T>),
    None,
}

fn ask<T: Record>(
    server: SocketAddr,
    name: &str,
    until: Instant,
) -> Result<io::Result<Answer<T>>, SrvError> {
    let id = u16::from_ne_bytes(array(&SystemRandom));
    let query = query::<T>(id, name).ok_or(SrvError::NotADomain)?;
    let answer = by_datagram(server, &query, id, name, until);
    Ok(match answer {
        Ok(None) => by_stream(server, &query, id, name, until),
        Ok(Some(answer)) => Ok(answer),
        Err(error) => Err(error),
    })
}

fn query<T: Record>(id: u16, name: &str) -> Option<Vec<u8>> {
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(is_host_byte);
    if !name.trim_end_matches('.').split('.').all(is_label) {
        return None;
    }
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let name = Name::new(name).ok()?;
    let (kind, class) = (QTYPE::TYPE(T::TYPE), QCLASS::CLASS(CLASS::IN));
    packet
        .questions
        .push(Question::new(name, kind, class, false));
    packet.build_bytes_vec().ok()
}

/// The answer; none if it does not fit into a datagram.
fn by_datagram<T: Record>(
    server: SocketAddr,
    query: &[u8],
    id: u16,
    name: &str,
    until: Instant,
) -> io::Result<Option<Answer<T>>> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(server)?;
    socket.send(query)?;
    let mut buffer = [0; 4096];
    loop {
        socket.set_read_timeout(Some(left(until)?))?;
        let length = socket.recv(&mut buffer)?;
        // Something else that came to this port is not the answer, and not its end either.
        match read_answer(&buffer[..length], id, name) {
            Reading::Answer(answer) => return Ok(Some(answer)),
            Reading::Truncated => return Ok(None),
            Reading::Refused => return Err(io::ErrorKind::ConnectionRefused.into()),
            Reading::NotTheAnswer => {}
        }
    }
}

fn by_stream<T: Record>(
    server: SocketAddr,
    query: &[u8],
    id: u16,
    name: &str,
    until: Instant,
) -> io::Result<Answer<T>> {
    let mut stream = TcpStream::connect_timeout(&server, left(until)?)?;
    stream.set_write_timeout(Some(left(until)?))?;
    let length = u16::try_from(query.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    stream.write_all(&[&length.to_be_bytes()[..], query].concat())?;
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        if let Some((length, body)) = answer.split_first_chunk()
            && usize::from(u16::from_be_bytes(*length)) <= body.len()
        {
            let body = &body[..usize::from(u16::from_be_bytes(*length))];
            return match read_answer(body, id, name) {
                Reading::Answer(answer) => Ok(answer),
                Reading::Truncated | Reading::Refused | Reading::NotTheAnswer => {
                    Err(io::ErrorKind::InvalidData.into())
                }
            };
        }
        stream.set_read_timeout(Some(left(until)?))?;
        match stream.read(&mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count if answer.len() + count > MAX_ANSWER + 2 => {
                return Err(io::ErrorKind::InvalidData.into());
            }
            count => answer.extend_from_slice(&chunk[..count]),
        }
    }
}

fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(left)
}

enum Reading<T> {
    Answer(Answer<T>),
    Truncated,
    /// The name server does not or cannot say.
    Refused,
    NotTheAnswer,
}

fn read_answer<T: Record>(bytes: &[u8], id: u16, name: &str) -> Reading<T> {
    let Some(packet) = parse(bytes).filter(|packet| packet.id() == id) else {
        return Reading::NotTheAnswer;
    };
    let is_ours = |question: &Question<'_>| {
        normal(&question.qname) == name.trim_end_matches('.').to_ascii_lowercase()
            && question.qtype == QTYPE::TYPE(T::TYPE)
    };
    let ours = matches!(&packet.questions[..], [question] if is_ours(question));
    if !packet.has_flags(PacketFlag::RESPONSE) || !ours {
        return Reading::NotTheAnswer;
    }
    if packet.has_flags(PacketFlag::TRUNCATION) {
        return Reading::Truncated;
    }
    match packet.rcode() {
        RCODE::NoError => {}
        RCODE::NameError => return Reading::Answer(Answer::None),
        _ => return Reading::Refused,
    }
    let records = records(&packet, name);
    Reading::Answer(if records.is_empty() {
        Answer::None
    } else {
        Answer::Records(records)
    })
}

/// A packet whose counts are at most what its length can hold: the parser reserves memory by them.
fn parse(bytes: &[u8]) -> Option<Packet<'_>> {
    let (header, body) = bytes.split_first_chunk::<12>()?;
    let count = |at: usize| usize::from(u16::from_be_bytes([header[at], header[at + 1]]));
    // The shortest question is the root's, of 5 bytes, the shortest record one of 11.
    let least = count(4) * 5 + (count(6) + count(8) + count(10)) * 11;
    if least > body.len() {
        return None;
    }
    Packet::parse(bytes).ok()
}

pub(in crate::host) fn normal(name: &Name<'_>) -> String {
    name.to_string().trim_end_matches('.').to_ascii_lowercase()
}

fn records<T: Record>(packet: &Packet<'_>, name: &str) -> Vec<T> {
    let mut owner = name.trim_end_matches('.').to_ascii_lowercase();
    for _ in 0..MAX_ALIASES {
        let mut answers = packet.answers.iter();
        let alias = answers.find_map(|record| match &record.rdata {
            RData::CNAME(alias) if normal(&record.name) == owner => Some(normal(&alias.0)),
            _ => None,
        });
        match alias {
            Some(alias) => owner = alias,
            None => break,
        }
    }
    let answers = packet.answers.iter();
    answers
        .filter(|record| normal(&record.name) == owner)
        .filter_map(|record| T::read(&owner, &record.rdata))
        .collect()
}

/// Whether a name has the bytes of a host's.
pub(in crate::host) fn is_host(name: &str) -> bool {
    name.bytes().all(is_host_byte)
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
}

/// The lowest priority first; within one, by chance, the heavier the likelier (RFC 2782).
fn ordered(mut servers: Vec<Srv>) -> Vec<Srv> {
    servers.sort_by_key(|server| (server.priority, server.weight != 0));
    let mut order = Vec::with_capacity(servers.len());
    while let Some(first) = servers.first() {
        let same = servers.partition_point(|server| server.priority <= first.priority);
        let total: u64 = servers[..same]
            .iter()
            .map(|server| u64::from(server.weight))
            .sum();
        let mut chosen = chance(total + 1);
        let index = servers[..same].iter().position(|server| {
            let weight = u64::from(server.weight);
            let found = chosen <= weight;
            chosen = chosen.saturating_sub(weight);
            found
        });
        order.push(servers.remove(index.unwrap_or(0)));
    }
    order
}

/// A number below `bound`. Load is spread by it, nothing is kept secret.
fn chance(bound: u64) -> u64 {
    u64::from_ne_bytes(array(&SystemRandom)) % bound
}

#[cfg(test)]
mod tests;
