//! Credential caches against MIT's `kinit`, `klist` and `kvno`, and Heimdal's `kinit` and `kgetcred`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use interop::Vendor;
use interop::realm::{CLIENT, REALM, Realm, shared, succeeded};
use krb5::formats::ccache::{Credential, CredentialCache, TimeOffset, Version};
use krb5::principal::Principal;
use krb5_crypto::Enctype;
use wire::time::Timestamp;

/// What we read from the cache, in the words of `klist -C -e -f`; without the tickets' own enctypes, which are no part of it.
fn in_klists_words(cache: &CredentialCache) -> Vec<String> {
    let mut lines = vec![format!("Default principal: {}", cache.principal)];
    for credential in &cache.credentials {
        if credential.is_config() {
            lines.push(setting(credential));
            continue;
        }
        let from = if credential.starttime.seconds() == 0 {
            credential.authtime
        } else {
            credential.starttime
        };
        let times = format!("{}  {}", date(from), date(credential.endtime));
        lines.push(format!("{times}  {}", credential.server));
        let enctype = Enctype::from_number(credential.key.enctype()).unwrap();
        if credential.renew_till.seconds() != 0 {
            lines.push(format!("renew until {}", date(credential.renew_till)));
        }
        lines.push(format!("Flags: {}", flags(credential)));
        lines.push(format!("Etype: {}", enctype.name()));
    }
    lines
}

fn setting(credential: &Credential) -> String {
    let text = |part: &[u8]| String::from_utf8(part.to_vec()).unwrap();
    let mut names = credential.server.components()[1..].iter();
    let name = text(names.next().unwrap());
    let of = names
        .next()
        .map_or(String::new(), |server| format!("({})", text(server)));
    format!("config: {name}{of} = {}", text(&credential.ticket))
}

/// The letters of `klist -f`, in its order, for the ticket flags of RFC 4120 §5.3.
fn flags(credential: &Credential) -> String {
    let letters = [
        (1, 'F'),
        (2, 'f'),
        (3, 'P'),
        (4, 'p'),
        (5, 'D'),
        (6, 'd'),
        (7, 'i'),
        (8, 'R'),
        (9, 'I'),
        (11, 'H'),
        (10, 'A'),
        (12, 'T'),
        (13, 'O'),
        (14, 'a'),
    ];
    let is_set = |bit: u32| credential.flags & (1 << (31 - bit)) != 0;
    letters
        .iter()
        .filter(|(bit, _)| is_set(*bit))
        .map(|(_, letter)| *letter)
        .collect()
}

/// `11/24/26 23:05:10` in UTC.
fn date(time: Timestamp) -> String {
    let (days, of_day) = (time.seconds() / 86_400, time.seconds() % 86_400);
    let (mut year, mut month, mut day) = (1970, 0, days);
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    while day >= 365 + i64::from(is_leap(year)) {
        day -= 365 + i64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + i64::from(is_leap(year));
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let (month, day, year) = (month + 1, day + 1, year % 100);
    format!("{month:02}/{day:02}/{year:02} {hour:02}:{minute:02}:{second:02}")
}

/// The same lines from `klist` itself.
fn klist(realm: &Realm, ccache: &str) -> Vec<String> {
    let output = realm
        .command("/usr/bin/klist", ccache)
        .env("TZ", "UTC")
        .env("LC_ALL", "C")
        .args(["-C", "-e", "-f"])
        .output();
    let text = succeeded("klist", output.unwrap());
    let text = text
        .replace(", Flags: ", "\nFlags: ")
        .replace(", Etype (skey", "\nEtype (skey");
    let lines = text.lines().skip(1).map(str::trim);
    let told = lines.filter(|line| !line.is_empty() && !line.starts_with("Valid starting"));
    let without_tickets = told.map(|line| match line.strip_prefix("Etype (skey, tkt): ") {
        Some(etypes) => format!("Etype: {}", etypes.split(',').next().unwrap()),
        None => line.to_owned(),
    });
    without_tickets.collect()
}

fn read(realm: &Realm, ccache: &str) -> CredentialCache {
    CredentialCache::parse(&fs::read(realm.path(ccache)).unwrap()).unwrap()
}

fn write(realm: &Realm, ccache: &str, cache: &CredentialCache) {
    let path = realm.path(ccache);
    fs::write(&path, cache.encode().unwrap()).unwrap();
    // Heimdal refuses what others may read.
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
}

fn service(name: &str) -> String {
    format!("{name}/localhost@{REALM}")
}

fn has_ticket(cache: &CredentialCache, server: &str) -> bool {
    cache
        .tickets()
        .any(|ticket| ticket.server.to_string() == server)
}

/// MIT's `kinit` asked for a renewable ticket, with the cache's version by `ccache_type`.
fn kinit_version(realm: &Realm, ccache: &str, version: u8) {
    let conf = realm.path(&format!("ccache_type_{version}.conf"));
    let own = fs::read_to_string(realm.config()).unwrap();
    let line = format!("[libdefaults]\n ccache_type = {version}\n renew_lifetime = 2d\n");
    fs::write(&conf, own.replacen("[libdefaults]\n", &line, 1)).unwrap();
    let output = realm
        .command("/usr/bin/kinit", ccache)
        .env("KRB5_CONFIG", &conf)
        .arg(CLIENT)
        .stdin(fs::File::open(realm.path("password")).unwrap())
        .output();
    succeeded("kinit", output.unwrap());
}

#[test]
fn mits_caches_of_both_versions_are_read_and_written() {
    for vendor in Vendor::ALL {
        let realm = shared(vendor);
        for (number, version) in [(3, Version::V3), (4, Version::V4)] {
            let (theirs, ours) = (&format!("mit-v{number}"), &format!("ours-v{number}"));
            kinit_version(realm, theirs, number);
            realm.run("/usr/bin/kvno", theirs, &[&service("e17"), &service("e20")]);
            let cache = read(realm, theirs);
            assert_eq!(cache.version, version);
            assert_eq!(cache.tickets().count(), 3);
            assert!(cache.tickets().all(|ticket| ticket.key.usable().is_some()));
            assert_eq!(in_klists_words(&cache), klist(realm, theirs), "{vendor:?}");

            write(realm, ours, &cache);
            assert_eq!(klist(realm, ours), klist(realm, theirs), "{vendor:?}");
            assert_same_bytes(&realm.path(ours), &realm.path(theirs));
        }
    }
}

fn assert_same_bytes(one: &Path, other: &Path) {
    assert!(
        fs::read(one).unwrap() == fs::read(other).unwrap(),
        "{} and {} differ",
        one.display(),
        other.display()
    );
}

#[test]
fn heimdals_caches_are_read() {
    for vendor in Vendor::ALL {
        let realm = shared(vendor);
        realm.kinit(Vendor::Heimdal, "heimdal");
        kgetcred(realm, "heimdal", &service("e18"));
        let cache = read(realm, "heimdal");
        assert!(has_ticket(&cache, &service("e18")));
        assert_eq!(
            in_klists_words(&cache),
            klist(realm, "heimdal"),
            "{vendor:?}"
        );
    }
}

fn kgetcred(realm: &Realm, ccache: &str, server: &str) {
    let output = realm.heimdal("kgetcred", ccache).arg(server).output();
    succeeded("kgetcred", output.unwrap());
}

/// Their programs find the ticket-granting ticket in a cache that we wrote, use it and add to the file; we read that.
#[test]
fn their_clients_use_and_extend_our_caches() {
    for vendor in Vendor::ALL {
        let realm = shared(vendor);
        realm.kinit(Vendor::Mit, "source");
        let source = read(realm, "source");
        for version in [Version::V3, Version::V4] {
            let mut cache = CredentialCache::new(Principal::user(CLIENT, REALM));
            cache.version = version;
            cache.set_config("shown", None, b"by-klist");
            cache.credentials.extend(source.tickets().cloned());
            let name = &format!("extended-{version:?}");
            write(realm, name, &cache);
            assert_eq!(in_klists_words(&cache), klist(realm, name));

            realm.run("/usr/bin/kvno", name, &[&service("e18")]);
            kgetcred(realm, name, &service("e19"));
            let extended = read(realm, name);
            assert_eq!(extended.version, version);
            assert!(has_ticket(&extended, &service("e18")), "by kvno");
            assert!(has_ticket(&extended, &service("e19")), "by kgetcred");
            assert_eq!(extended.config("shown", None), Some(&b"by-klist"[..]));
        }
    }
}

/// The time offset in a cache moves the clock of MIT's client: an hour's offset makes the KDC refuse it as skewed.
#[test]
fn our_time_offset_is_obeyed_by_mit() {
    let realm = shared(Vendor::Mit);
    realm.kinit(Vendor::Mit, "offset-source");
    let mut cache = read(realm, "offset-source");
    for (seconds, is_near) in [(0, true), (3600, false), (-3600, false), (60, true)] {
        cache.time_offset = Some(TimeOffset { seconds, micros: 0 });
        write(realm, "offset", &cache);
        let output = realm
            .command("/usr/bin/kvno", "offset")
            .arg(service("e18"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), is_near, "{seconds} s: {said}");
        if !is_near {
            assert!(said.contains("Clock skew too great"), "{said}");
        }
    }
}
