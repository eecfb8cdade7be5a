//! No parser takes much more memory than bytes arrived, whatever they say of their own lengths and counts.
//!
//! In a test binary of its own, because it replaces the process's allocator by one that counts.

#[path = "../../../tests/allocator/counting.rs"]
mod counting;

use std::hint::black_box;

use counting::{damaged, peak};
use krb5::exchange::transited::each_realm;
use krb5::formats::ccache::CredentialCache;
use krb5::formats::conf::Profile;
use krb5::formats::keytab::Keytab;
use krb5::formats::settings::{Server, Settings};
use krb5::messages::*;
use wire::der::{self, MAX_ELEMENTS};

/// A parser, and how much it may take: a multiple of what it is given, and so much on top.
struct Parser {
    name: &'static str,
    parse: fn(&[u8]),
    factor: usize,
    more: usize,
}

impl Parser {
    fn check(&self, input: &[u8]) {
        let taken = peak(|| (self.parse)(input));
        let allowed = self.factor * input.len() + self.more;
        assert!(
            taken <= allowed,
            "{}: {} bytes became {taken}, more than {allowed}",
            self.name,
            input.len()
        );
    }
}

macro_rules! message {
    ($name:literal, $type:ty, $factor:literal, $more:literal) => {
        Parser {
            name: $name,
            parse: |bytes| _ = black_box(<$type>::decode(bytes)),
            factor: $factor,
            more: $more,
        }
    };
}

/// What comes without authentication takes a few kilobytes and no multiple of anything, but for the tickets in requests to
/// a KDC. Lists of names within lists of tickets make the multiple where there is one.
const MESSAGES: [Parser; 24] = [
    message!("ap_rep", ApRep, 0, 0),
    message!("ap_req", ApReq, 0, 2048),
    message!("as_rep", AsRep, 0, 8192),
    message!("as_req", AsReq, 8, 8192),
    message!("authenticator", Authenticator, 0, 4096),
    message!("authorization_data", AuthorizationData, 0, 4096),
    message!("enc_ap_rep_part", EncApRepPart, 0, 0),
    message!("enc_krb_cred_part", EncKrbCredPart, 8, 32768),
    message!("enc_krb_priv_part", EncKrbPrivPart, 0, 0),
    message!("enc_tgs_rep_part", EncTgsRepPart, 0, 8192),
    message!("enc_ticket_part", EncTicketPart, 0, 8192),
    message!("encrypted_data", EncryptedData, 0, 0),
    message!("encryption_key", EncryptionKey, 0, 0),
    message!("etype_info2", Vec<EtypeInfo2Entry>, 0, 4096),
    message!("kdc_req_body", KdcReqBody, 8, 8192),
    message!("krb_cred", KrbCred, 8, 8192),
    message!("krb_error", KrbError, 0, 4096),
    message!("krb_priv", KrbPriv, 0, 0),
    message!("krb_safe", KrbSafe, 0, 0),
    message!("method_data", MethodData, 0, 4096),
    message!("pa_enc_ts_enc", PaEncTsEnc, 0, 0),
    message!("tgs_rep", TgsRep, 0, 8192),
    message!("tgs_req", TgsReq, 8, 8192),
    message!("ticket", Ticket, 0, 2048),
];

/// Authorization data is flattened wherever it is looked at, and a name becomes an owned one.
const OWNED: [Parser; 2] = [
    Parser {
        name: "authorization data in containers",
        parse: |bytes| {
            let data = AuthorizationData::decode(bytes);
            drop(black_box(data.map(|data| flatten(&data))));
        },
        factor: 4,
        more: 8192,
    },
    Parser {
        name: "a ticket's server",
        parse: |bytes| {
            let ticket = Ticket::decode(bytes);
            drop(black_box(
                ticket.map(|ticket| ticket.sname.in_realm(ticket.realm)),
            ));
        },
        factor: 1,
        more: 4096,
    },
];

/// Files and texts of this host's, which become owned values: a list grows by doubling, an entry has its fixed size, and a
/// line of two letters is a relation that knows its place.
const FILES: [Parser; 5] = [
    Parser {
        name: "ccache.txt",
        parse: |bytes| drop(black_box(CredentialCache::parse(bytes))),
        factor: 8,
        more: 4096,
    },
    Parser {
        name: "keytab.txt",
        parse: |bytes| drop(black_box(Keytab::parse(bytes))),
        factor: 16,
        more: 4096,
    },
    Parser {
        name: "a configuration",
        parse: |bytes| {
            let profile = Profile::parse("krb5.conf", bytes, &());
            drop(black_box(profile.map(|profile| Settings::read(&profile))));
        },
        factor: 64,
        more: 8192,
    },
    Parser {
        name: "a server",
        parse: |bytes| {
            drop(black_box(str::from_utf8(bytes).map(Server::parse)));
        },
        factor: 2,
        more: 0,
    },
    Parser {
        name: "transited realms",
        parse: |bytes| {
            _ = black_box(each_realm(b"A.B", b"C.D", bytes, &mut |_| Ok(())));
        },
        factor: 0,
        more: 8192,
    },
];

#[test]
fn no_parser_takes_much_more_than_it_is_given() {
    for parser in &MESSAGES {
        for good in vectors("messages", parser.name) {
            for input in damaged(&good).chain(bombs(&good)) {
                parser.check(&input);
            }
        }
    }
    let list = containers();
    assert!(AuthorizationData::decode(&list).is_ok_and(|data| flatten(&data).is_ok()));
    OWNED[0].check(&list);
    for good in vectors("messages", "ticket") {
        bombs(&good).for_each(|input| OWNED[1].check(&input));
    }
    for (parser, inputs) in FILES.iter().zip([
        files("ccache.txt", &[&ccache_of_names(), &ccache_of_entries()]),
        files("keytab.txt", &[&keytab_of_names(), &keytab_of_entries()]),
        configurations(),
        vec![b":".repeat(LONG), b"x".repeat(LONG), b"[".repeat(LONG)],
        [&b","[..], b"a,", b"a.,", b"/a,", b"\\", b"a"]
            .map(|part| part.repeat(LONG / part.len()))
            .to_vec(),
    ]) {
        inputs.iter().for_each(|input| parser.check(input));
    }
}

/// As long as a token may be.
const LONG: usize = 1 << 16;

/// The encodings of a file of vectors.
fn vectors(folder: &str, file: &str) -> Vec<Vec<u8>> {
    let file = file.trim_end_matches(".txt");
    let root = env!("CARGO_MANIFEST_DIR");
    let path = format!("{root}/../../vectors/krb5/{folder}/{file}.txt");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let lines = text.lines().filter_map(|line| {
        line.strip_prefix("encoding = ")
            .or(line.strip_prefix("bytes = "))
    });
    let unhex = |hex: &str| {
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
        (0..hex.len()).step_by(2).map(byte).collect()
    };
    let all: Vec<_> = lines.map(unhex).collect();
    assert!(!all.is_empty(), "{path}");
    all
}

/// An encoding as a tree, to grow lists in it.
#[derive(Clone)]
enum Node {
    Leaf(u8, Vec<u8>),
    Tree(u8, Vec<Self>),
}

impl Node {
    fn read(mut bytes: &[u8]) -> Vec<Self> {
        let mut nodes = Vec::new();
        while let Ok((tag, content, rest)) = der::element(bytes) {
            nodes.push(match tag & 0x20 {
                0 => Self::Leaf(tag, content.to_vec()),
                _ => Self::Tree(tag, Self::read(content)),
            });
            bytes = rest;
        }
        nodes
    }

    fn write(&self, out: &mut Vec<u8>) {
        let (tag, content) = match self {
            Self::Leaf(tag, content) => (*tag, content.clone()),
            Self::Tree(tag, nodes) => (*tag, written(nodes)),
        };
        der::header(tag, content.len(), out);
        out.extend(content);
    }

    /// The same tree with one SEQUENCE grown, for each of them.
    fn grown(&self, grow: &dyn Fn(&Self) -> Vec<u8>) -> Vec<Self> {
        let Self::Tree(tag, nodes) = self else {
            return Vec::new();
        };
        let mut all = Vec::new();
        if let (der::SEQUENCE, Some(first)) = (*tag, nodes.first()) {
            all.push(Self::Leaf(*tag, grow(first)));
        }
        for (index, node) in nodes.iter().enumerate() {
            for other in node.grown(grow) {
                let mut nodes = nodes.clone();
                nodes[index] = other;
                all.push(Self::Tree(*tag, nodes));
            }
        }
        all
    }
}

fn written(nodes: &[Node]) -> Vec<u8> {
    let mut out = Vec::new();
    nodes.iter().for_each(|node| node.write(&mut out));
    out
}

/// `good` with each list as long as a list may be, one longer, and as long as fits: of its own first element, and of the
/// shortest element of that tag.
fn bombs(good: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let root = Node::read(good).remove(0);
    let grow = move |copies: usize, short: bool| {
        root.grown(&|first| {
            let first = match (first, short) {
                (Node::Leaf(der::INTEGER, _), true) => Node::Leaf(der::INTEGER, vec![0]),
                (Node::Leaf(tag, _), true) => Node::Leaf(*tag, Vec::new()),
                (node, _) => node.clone(),
            };
            let first = written(&[first]);
            first.repeat(copies.min(LONG / first.len()))
        })
    };
    let sizes = [
        (MAX_ELEMENTS, false),
        (MAX_ELEMENTS, true),
        (MAX_ELEMENTS + 1, true),
        (LONG, true),
    ];
    sizes
        .into_iter()
        .flat_map(move |(copies, short)| grow(copies, short))
        .map(|node| written(&[node]))
}

/// Containers in containers, as many of each as there may be.
fn containers() -> Vec<u8> {
    let list = |ad_type, ad_data: &[u8]| {
        let element = AuthorizationDataElement { ad_type, ad_data };
        vec![element; MAX_ELEMENTS].encode()
    };
    list(AD_IF_RELEVANT, &list(2, b""))
}

fn files(name: &str, more: &[&[u8]]) -> Vec<Vec<u8>> {
    let good = vectors("formats", name);
    let bombs = more.iter().map(|bytes| bytes.to_vec());
    good.iter()
        .flat_map(|good| damaged(good))
        .chain(bombs)
        .collect()
}

fn ccache_of_names() -> Vec<u8> {
    let mut bytes = b"\x05\x03\0\0\0\x01\0\0\x40\0\0\0\0\0".to_vec();
    bytes.extend([0; 4 * 0x4000]);
    bytes
}

fn ccache_of_entries() -> Vec<u8> {
    // The client and as many credentials as fit, every field of them zero.
    let mut bytes = b"\x05\x03".to_vec();
    bytes.extend([0; LONG]);
    bytes
}

fn keytab_of_names() -> Vec<u8> {
    let mut record = b"\x7f\xff\0\0".to_vec();
    record.extend([0; 2 * 0x7fff + 13]);
    let mut bytes = b"\x05\x02".to_vec();
    bytes.extend((record.len() as u32).to_be_bytes());
    bytes.extend(record);
    bytes
}

fn keytab_of_entries() -> Vec<u8> {
    // One component, and every field of it zero.
    let record = b"\0\0\0\x13\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let mut bytes = b"\x05\x02".to_vec();
    bytes.extend(record.repeat(LONG / record.len()));
    bytes
}

fn configurations() -> Vec<Vec<u8>> {
    let many = |part: &dyn Fn(usize) -> String| -> Vec<u8> {
        let text: String = (0..LONG / part(1000).len()).map(part).collect();
        [b"[a]\n", text.as_bytes()].concat()
    };
    vec![
        many(&|_| "b=c\n".to_owned()),
        many(&|_| "b*=c\n".to_owned()),
        many(&|number| format!("[{number}]\n")),
        many(&|number| format!("{number}={{\n}}\n")),
        many(&|_| "\n".to_owned()),
        many(&|_| "b={\n".to_owned()),
        many(&|_| "b".to_owned()),
    ]
}
