//! The KDCs that sssd's provider found and has written down for others, as its locator plug-in reads them.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use krb5::formats::settings::ServerAddress;

/// Where sssd writes them.
pub(super) const PUBLIC: &str = "/var/lib/sss/pubconf";
/// More than this of a file is not looked at, as by the plug-in.
const LIMIT: u64 = 4096;

/// The servers in `kdcinfo.REALM` in `directory`, in their order; none where there is no such file.
pub(super) fn servers(directory: &Path, realm: &[u8]) -> Vec<ServerAddress> {
    let Some(realm) = str::from_utf8(realm).ok().filter(|name| is_file_name(name)) else {
        return Vec::new();
    };
    let mut text = Vec::new();
    let file = File::open(directory.join(format!("kdcinfo.{realm}")));
    let read = file.and_then(|file| file.take(LIMIT).read_to_end(&mut text));
    match read {
        Ok(_) => parse(&String::from_utf8_lossy(&text)),
        Err(_) => Vec::new(),
    }
}

fn is_file_name(realm: &str) -> bool {
    !realm.is_empty() && !realm.contains(['/', '\0'])
}

/// A server a line, up to an empty one: a host or address, with or without a port; an IPv6 address in brackets. What is no port
/// stands for the usual one.
fn parse(text: &str) -> Vec<ServerAddress> {
    let lines = text.split('\n').take_while(|line| !line.is_empty());
    lines.map(server).collect()
}

fn server(line: &str) -> ServerAddress {
    let split = line.rsplit_once(':');
    let split = split.filter(|(host, _)| !host.starts_with('[') || host.ends_with(']'));
    let (host, port) = split.map_or((line, None), |(host, port)| (host, Some(port)));
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let port = port.filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    let port = port.and_then(|port| port.parse().ok());
    ServerAddress {
        host: bare.unwrap_or(host).to_owned(),
        port: port.filter(|port| *port != 0),
        transport: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<(String, Option<u16>)> {
        let servers = parse(text).into_iter();
        servers.map(|server| (server.host, server.port)).collect()
    }

    #[test]
    fn files_are_read_as_the_plug_in_reads_them() {
        let host = |name: &str, port| (name.to_owned(), port);
        assert_eq!(of("192.0.2.1:88"), [host("192.0.2.1", Some(88))]);
        assert_eq!(
            of("192.0.2.1\n[2001:db8::1]:1088\n[2001:db8::2]\nkdc.example:750\n"),
            [
                host("192.0.2.1", None),
                host("2001:db8::1", Some(1088)),
                host("2001:db8::2", None),
                host("kdc.example", Some(750)),
            ]
        );
        for usual in ["kdc:", "kdc:x", "kdc:+88", "kdc:88x", "kdc:65536", "kdc:0"] {
            assert_eq!(of(usual), [host("kdc", None)], "{usual}");
        }
        // Nothing behind an empty line counts.
        assert_eq!(of("kdc\n\nother\n"), [host("kdc", None)]);
        assert_eq!(of(""), []);
    }

    #[test]
    fn a_realm_has_its_own_file_and_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let inside = directory.path().join("pubconf");
        std::fs::create_dir(&inside).unwrap();
        std::fs::write(inside.join("kdcinfo.EXAMPLE.TEST"), "192.0.2.7\n").unwrap();
        std::fs::create_dir(inside.join("kdcinfo.")).unwrap();
        std::fs::write(directory.path().join("x"), "192.0.2.8\n").unwrap();
        assert_eq!(servers(&inside, b"EXAMPLE.TEST")[0].host, "192.0.2.7");
        for none in [
            &b"OTHER.TEST"[..],
            b"/../../x",
            b"",
            b"\xff",
            b"EXAMPLE.TEST\0",
        ] {
            assert_eq!(servers(&inside, none), [], "{none:?}");
        }
        let long = "192.0.2.9:88\n".repeat(1000);
        std::fs::write(inside.join("kdcinfo.LONG.TEST"), long).unwrap();
        assert_eq!(servers(&inside, b"LONG.TEST").len(), 4096 / 13 + 1);
    }
}
