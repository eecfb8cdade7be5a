use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use simple_dns::ResourceRecord;
use simple_dns::rdata::{CNAME, SRV};

use super::*;

const NAME: &str = "_kerberos._udp.EXAMPLE.TEST";

fn srv(
    owner: &str,
    priority: u16,
    weight: u16,
    port: u16,
    target: &str,
) -> ResourceRecord<'static> {
    let rdata = RData::SRV(SRV {
        priority,
        weight,
        port,
        target: Name::new_unchecked(target).into_owned(),
    });
    ResourceRecord::new(
        Name::new_unchecked(owner).into_owned(),
        CLASS::IN,
        60,
        rdata,
    )
}

fn alias(owner: &str, target: &str) -> ResourceRecord<'static> {
    let rdata = RData::CNAME(CNAME(Name::new_unchecked(target).into_owned()));
    ResourceRecord::new(
        Name::new_unchecked(owner).into_owned(),
        CLASS::IN,
        60,
        rdata,
    )
}

fn answer(query: &[u8], records: Vec<ResourceRecord<'static>>, flags: PacketFlag) -> Vec<u8> {
    let query = Packet::parse(query).unwrap();
    let mut packet = Packet::new_reply(query.id());
    packet.set_flags(flags);
    packet.questions = query.questions.clone();
    packet.answers = records;
    packet.build_bytes_vec().unwrap()
}

type Replies = fn(&[u8]) -> Vec<Vec<u8>>;

/// A name server that answers each datagram with `replies`, and each stream with `streamed`.
fn name_server(replies: Replies, streamed: Replies) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let socket = UdpSocket::bind(address).unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 1000];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            for reply in replies(&buffer[..length]) {
                socket.send_to(&reply, peer).unwrap();
            }
        }
    });
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut query).unwrap();
            for reply in streamed(&query) {
                stream
                    .write_all(&(reply.len() as u16).to_be_bytes())
                    .unwrap();
                for part in reply.chunks(7) {
                    stream.write_all(part).unwrap();
                }
            }
        }
    });
    address
}

fn nothing(_: &[u8]) -> Vec<Vec<u8>> {
    Vec::new()
}

fn one(query: &[u8]) -> Vec<Vec<u8>> {
    let records = vec![srv(
        "_KERBEROS._udp.example.test",
        0,
        0,
        88,
        "KDC.example.test",
    )];
    vec![answer(query, records, PacketFlag::RECURSION_AVAILABLE)]
}

fn looked_up(servers: &[SocketAddr]) -> Result<Vec<(u16, String)>, SrvError> {
    let deadline = Instant::now() + Duration::from_secs(5);
    let found = lookup_at(servers, NAME, deadline)?;
    Ok(found
        .into_iter()
        .map(|one| (one.port, one.target))
        .collect())
}

fn kdc() -> Vec<(u16, String)> {
    vec![(88, "kdc.example.test".to_owned())]
}

#[test]
fn records_are_found() {
    assert_eq!(looked_up(&[name_server(one, nothing)]).unwrap(), kdc());
}

#[test]
fn an_answer_too_long_for_a_datagram_comes_over_a_stream() {
    let truncated: Replies = |query| vec![answer(query, Vec::new(), PacketFlag::TRUNCATION)];
    assert_eq!(looked_up(&[name_server(truncated, one)]).unwrap(), kdc());
}

#[test]
fn aliases_are_followed_and_strangers_records_are_not() {
    let replies: Replies = |query| {
        let records = vec![
            srv("elsewhere.test", 0, 0, 1, "evil.test"),
            srv("c.test", 0, 0, 88, "kdc.example.test"),
            alias("b.test", "c.test"),
            alias(NAME, "b.test"),
        ];
        vec![answer(query, records, PacketFlag::empty())]
    };
    assert_eq!(looked_up(&[name_server(replies, nothing)]).unwrap(), kdc());
    let circle: Replies = |query| {
        let records = vec![alias(NAME, "b.test"), alias("b.test", NAME)];
        vec![answer(query, records, PacketFlag::empty())]
    };
    assert!(matches!(
        looked_up(&[name_server(circle, nothing)]),
        Err(SrvError::Empty)
    ));
}

#[test]
fn what_is_not_the_answer_is_waited_past() {
    let replies: Replies = |query| {
        let good = one(query).remove(0);
        let mut other_id = good.clone();
        other_id[0] ^= 1;
        let mut other_question = good.clone();
        other_question[13] ^= 1;
        let mut no_response = good.clone();
        no_response[2] &= 0x7f;
        vec![
            b"rubbish".to_vec(),
            other_id,
            other_question,
            no_response,
            good,
        ]
    };
    assert_eq!(looked_up(&[name_server(replies, nothing)]).unwrap(), kdc());
}

#[test]
fn the_next_name_server_is_asked_where_one_fails() {
    let refuses: Replies = |query| {
        let mut reply = answer(query, Vec::new(), PacketFlag::empty());
        reply[3] |= 2; // SERVFAIL
        vec![reply]
    };
    let closed = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let servers = [
        name_server(refuses, nothing),
        closed,
        name_server(one, nothing),
    ];
    assert_eq!(looked_up(&servers).unwrap(), kdc());
    assert!(matches!(
        looked_up(&servers[..2]),
        Err(SrvError::NoAnswer(_))
    ));
}

#[test]
fn no_such_name_is_an_answer() {
    let absent: Replies = |query| {
        let mut reply = answer(query, Vec::new(), PacketFlag::empty());
        reply[3] |= 3; // NXDOMAIN
        vec![reply]
    };
    assert!(matches!(
        looked_up(&[name_server(absent, nothing)]),
        Err(SrvError::Empty)
    ));
    let not_offered: Replies = |query| {
        vec![answer(
            query,
            vec![srv(NAME, 0, 0, 0, ".")],
            PacketFlag::empty(),
        )]
    };
    let found = looked_up(&[name_server(not_offered, nothing)]).unwrap();
    assert_eq!(found, [(0, String::new())]);
    let deadline = Instant::now();
    for realm in ["a..b", "", "a b", "A\\B", "\u{e9}.test", &"x".repeat(64)] {
        let found = lookup_at(&["127.0.0.1:9".parse().unwrap()], realm, deadline);
        assert!(
            matches!(found, Err(SrvError::NotADomain)),
            "{realm}: {found:?}"
        );
    }
}

#[test]
fn nothing_waits_beyond_the_deadline() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let begin = Instant::now();
    let deadline = begin + Duration::from_millis(200);
    let found = lookup_at(&[silent.local_addr().unwrap()], NAME, deadline);
    assert!(matches!(found, Err(SrvError::NoAnswer(_))));
    assert!(begin.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_damaged_answer_is_none() {
    let query = query::<Srv>(7, NAME).unwrap();
    let good = one(&query).remove(0);
    assert!(matches!(
        read_answer::<Srv>(&good, 7, NAME),
        Reading::Answer(Answer::Records(_))
    ));
    for cut in 0..good.len() {
        assert!(
            matches!(
                read_answer::<Srv>(&good[..cut], 7, NAME),
                Reading::NotTheAnswer
            ),
            "cut to {cut}"
        );
    }
    for bit in 0..good.len() * 8 {
        let mut other = good.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        if let Reading::Answer(Answer::Records(records)) = read_answer::<Srv>(&other, 7, NAME) {
            assert!(
                records
                    .iter()
                    .all(|one| one.target.bytes().all(is_host_byte)),
                "bit {bit}"
            );
        }
    }
}

#[test]
fn counts_are_believed_only_as_far_as_bytes_arrived() {
    let mut header = vec![0; 12];
    header[2] = 0x80;
    for at in [4, 6, 8, 10] {
        let mut bytes = header.clone();
        bytes[at..at + 2].fill(0xff);
        assert!(parse(&bytes).is_none());
    }
    assert!(parse(&header).is_some());
}

#[test]
fn the_lowest_priority_comes_first_and_the_heavier_more_often() {
    let server = |priority, weight, port| Srv {
        priority,
        weight,
        port,
        target: "a".to_owned(),
    };
    let mut first = [0; 3];
    for _ in 0..2000 {
        let servers = vec![
            server(5, 90, 2),
            server(9, 65535, 3),
            server(5, 10, 1),
            server(1, 0, 0),
        ];
        let order: Vec<_> = ordered(servers).into_iter().map(|one| one.port).collect();
        assert_eq!((order.len(), order[0], order[3]), (4, 0, 3));
        first[usize::from(order[1])] += 1;
    }
    assert!(first[1] > 50 && first[2] > 1000, "{first:?}");
}

#[test]
fn name_servers_come_from_resolv_conf() {
    let text = "# nameserver 192.0.2.1\nsearch x\nnameserver 192.0.2.2\nnameserver\tnonsense\nnameserver 2001:db8::1\n\
                nameserver 192.0.2.3\nnameserver 192.0.2.4\n";
    let servers: Vec<_> = name_servers(text).iter().map(ToString::to_string).collect();
    assert_eq!(
        servers,
        ["192.0.2.2:53", "[2001:db8::1]:53", "192.0.2.3:53"]
    );
    assert_eq!(name_servers("").len(), 1);
}
