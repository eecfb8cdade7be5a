use super::*;

fn settings(text: &str) -> Result<Settings, ConfError> {
    Settings::read(&Profile::parse("krb5.conf", text.as_bytes(), &()).unwrap())
}

fn numbers(enctypes: &[&Enctype]) -> Vec<i32> {
    enctypes.iter().map(|enctype| enctype.number()).collect()
}

#[test]
fn an_empty_configuration_has_mits_defaults() {
    let settings = settings("").unwrap();
    assert_eq!(settings.clockskew, Duration::from_secs(300));
    assert!(settings.kdc_timesync && settings.dns_lookup_kdc && !settings.forwardable);
    assert_eq!(
        numbers(&settings.permitted_enctypes),
        [18, 17, 20, 19, 25, 26]
    );
    assert_eq!(settings.udp_preference_limit, 1465);
    assert_eq!(settings.ccache_type, Version::V4);
    assert_eq!(
        (settings.default_realm, settings.ticket_lifetime),
        (None, None)
    );
}

#[test]
fn libdefaults_are_read() {
    let settings = settings(
        "[libdefaults]\n default_realm = EXAMPLE.ORG\n clockskew = 60\n kdc_timesync = 0\n\
         default_keytab_name = FILE:/etc/%{uid}.keytab\n default_client_keytab_name = FILE:/c\n\
         default_ccache_name = FILE:/tmp/x\n default_rcache_name = none:\n ccache_type = 3\n\
         permitted_enctypes = aes128-sha2 aes256-cts, nonsense\n default_tgs_enctypes = DEFAULT -aes128-cts\n\
         ticket_lifetime = 1d\n renew_lifetime = 7d 1h\n forwardable = yes\n proxiable = t\n\
         dns_fallback = no\n udp_preference_limit = 1\n\
         request_timeout = 20s\n",
    )
    .unwrap();
    assert_eq!(settings.default_realm.as_deref(), Some("EXAMPLE.ORG"));
    assert_eq!(settings.clockskew, Duration::from_secs(60));
    assert!(!settings.kdc_timesync && !settings.dns_lookup_kdc);
    assert_eq!(
        settings.default_keytab_name.as_deref(),
        Some("FILE:/etc/%{uid}.keytab")
    );
    assert_eq!(
        settings.default_client_keytab_name.as_deref(),
        Some("FILE:/c")
    );
    assert_eq!(settings.default_ccache_name.as_deref(), Some("FILE:/tmp/x"));
    assert_eq!(settings.default_rcache_name.as_deref(), Some("none:"));
    assert_eq!(settings.ccache_type, Version::V3);
    assert_eq!(numbers(&settings.permitted_enctypes), [19, 18]);
    assert_eq!(numbers(&settings.default_tkt_enctypes), [19, 18]);
    assert_eq!(
        numbers(&settings.default_tgs_enctypes),
        [18, 20, 19, 25, 26]
    );
    assert_eq!(settings.renew_lifetime, Some(Duration::from_secs(608_400)));
    assert_eq!(settings.ticket_lifetime, Some(Duration::from_secs(86_400)));
    assert!(settings.forwardable && settings.proxiable);
    assert_eq!(settings.udp_preference_limit, 1);
    assert_eq!(settings.request_timeout, Some(Duration::from_secs(20)));
}

#[test]
fn a_value_of_the_wrong_kind_is_an_error_with_its_place() {
    let cases = [
        "clockskew = soon",
        "kdc_timesync = maybe",
        "forwardable = 2",
        "ccache_type = 5",
        "permitted_enctypes = des rc5",
        "udp_preference_limit = big",
        "dns_lookup_kdc = perhaps",
    ];
    for case in cases {
        let error = settings(&format!("[libdefaults]\n {case}\n")).unwrap_err();
        assert_eq!(error.place.to_string(), "krb5.conf:2", "{case}");
        let name = case.split_once(' ').unwrap().0;
        assert!(error.to_string().contains(name), "{error}");
    }
    let error = settings("[realms]\n R = {\n  kdc = host:port\n }\n").unwrap_err();
    assert_eq!(error.place.to_string(), "krb5.conf:3");
}

/// What MIT's library would do with them is told in `docs/behaviour.md`; here nothing hangs on them, not even an error.
#[test]
fn what_has_no_effect_is_not_read() {
    let text = "[libdefaults]\n canonicalize = 7\n dns_lookup_realm = 7\n";
    let with = format!("{:?}", settings(text).unwrap());
    assert_eq!(with, format!("{:?}", settings("").unwrap()));
}

#[test]
fn an_acceptors_host_counts_unless_it_is_said_not_to() {
    let ignored = |text| settings(text).map(|settings| settings.ignore_acceptor_hostname);
    assert_eq!(ignored("").ok(), Some(false));
    assert_eq!(
        ignored("[libdefaults]\n ignore_acceptor_hostname = true\n").ok(),
        Some(true)
    );
    assert!(ignored("[libdefaults]\n ignore_acceptor_hostname = 7\n").is_err());
}

#[test]
fn delegation_and_bindings_are_as_the_program_asks_unless_it_is_said_otherwise() {
    let read = |text: &str| {
        let settings = settings(&format!("[libdefaults]\n {text}\n"));
        let of = |settings: Settings| {
            let Settings {
                enforce_ok_as_delegate,
                client_aware_channel_bindings,
                ..
            } = settings;
            (enforce_ok_as_delegate, client_aware_channel_bindings)
        };
        settings.map(of).ok()
    };
    assert_eq!(read(""), Some((false, false)));
    assert_eq!(read("enforce_ok_as_delegate = yes"), Some((true, false)));
    assert_eq!(
        read("client_aware_channel_bindings = 1"),
        Some((false, true))
    );
    assert_eq!(read("enforce_ok_as_delegate = 7"), None);
    assert_eq!(read("client_aware_channel_bindings = 7"), None);
}

#[test]
fn hosts_names_are_as_given_unless_it_is_said_otherwise() {
    let of = |line: &str| {
        let found = settings(&format!("[libdefaults]\n{line}\n"));
        found.map(|found| {
            (
                found.dns_canonicalize_hostname,
                found.rdns,
                found.qualify_shortname,
            )
        })
    };
    let (no, yes) = (CanonicalizeHostname::No, CanonicalizeHostname::Yes);
    assert_eq!(of("").unwrap(), (no, true, None));
    assert_eq!(of("dns_canonicalize_hostname = true").unwrap().0, yes);
    assert_eq!(of("dns_canonicalize_hostname = off").unwrap().0, no);
    assert_eq!(
        of("dns_canonicalize_hostname = Fallback").unwrap().0,
        CanonicalizeHostname::Fallback
    );
    assert!(!of("rdns = no").unwrap().1);
    assert_eq!(
        of("qualify_shortname = \"\"").unwrap().2.as_deref(),
        Some("")
    );
    assert!(of("dns_canonicalize_hostname = 7").is_err());
    assert!(of("rdns = 7").is_err());
}

#[test]
fn enctype_lists() {
    let rules = EnctypeRules::default();
    let of = |text: &str| rules.list(text).map(|list| numbers(&list));
    assert_eq!(of("aes"), Some(vec![18, 17, 20, 19]));
    assert_eq!(of("+aes -aes256-cts"), Some(vec![17, 20, 19]));
    assert_eq!(
        of("aes256-sha2,aes256-sha2\taes128-cts"),
        Some(vec![20, 17])
    );
    assert_eq!(of("default -aes -camellia"), None);
    assert_eq!(of("camellia"), Some(vec![26, 25]));
    assert_eq!(of("DEFAULT -aes +aes256-cts"), Some(vec![25, 26, 18]));
    assert_eq!(of("Camellia128-CTS-CMAC rc4-hmac"), Some(vec![25, 23]));
    assert_eq!(of("des des-cbc-crc"), None);
    assert_eq!(of(""), None);
}

/// RFC 8429. MIT 1.20 has both on its default list.
#[test]
fn deprecated_enctypes_have_to_be_asked_for() {
    let of = |lines: &str| {
        settings(&format!("[libdefaults]\n{lines}\n"))
            .map(|settings| numbers(&settings.permitted_enctypes))
    };
    let asked = |lines: &str| of(lines).unwrap();
    assert_eq!(asked(""), [18, 17, 20, 19, 25, 26]);
    assert_eq!(asked("allow_weak_crypto = true"), [18, 17, 20, 19, 25, 26]);
    assert_eq!(asked("allow_rc4 = true"), [18, 17, 20, 19, 23, 25, 26]);
    assert_eq!(asked("allow_des3 = true"), [18, 17, 20, 19, 16, 25, 26]);
    let both = "allow_des3 = true\nallow_rc4 = true\n";
    assert_eq!(asked(both), [18, 17, 20, 19, 16, 23, 25, 26]);
    let named = "permitted_enctypes = aes256-cts rc4 des3";
    assert_eq!(asked(named), [18, 23, 16]);
    assert_eq!(asked(&format!("{both}{named}")), [18, 23, 16]);
    assert_eq!(asked(&format!("{named}\nallow_rc4 = false")), [18, 16]);
    assert_eq!(asked(&format!("{named}\nallow_des3 = no")), [18, 23]);
    let default = "permitted_enctypes = DEFAULT -aes -camellia";
    assert_eq!(asked(&format!("{both}{default}")), [16, 23]);
    assert!(of(default).is_err());
    assert!(of("permitted_enctypes = rc4\nallow_rc4 = false").is_err());
    assert!(of("allow_rc4 = perhaps").is_err());
}

#[test]
fn servers_of_realms() {
    let settings = settings(
        "[realms]\n R = {\n  kdc = one.example.org\n  kdc = two:8888 # words\n  kdc = [2001:db8::1]:750\n  kdc = 2001:db8::2\n\
         kdc = tcp/three:89\n  kdc = https://proxy.example.org/KdcProxy\n  kdc = /run/kdc\n  master_kdc = four\n\
         admin_server = five:749\n  default_domain = example.org\n  auth_to_local = RULE:[1:$1]\n  auth_to_local = DEFAULT\n }\n\
         S = {\n  primary_kdc = six\n  master_kdc = seven\n }\n",
    )
    .unwrap();
    let realm = settings.realms.get(b"R").unwrap();
    let address = |host: &str, port, transport| {
        Server::Address(ServerAddress {
            host: host.to_owned(),
            port,
            transport,
        })
    };
    assert_eq!(
        realm.kdc,
        [
            address("one.example.org", None, None),
            address("two", Some(8888), None),
            address("2001:db8::1", Some(750), None),
            address("2001:db8::2", None, None),
            address("three", Some(89), Some(Transport::Tcp)),
            Server::Proxy("https://proxy.example.org/KdcProxy".to_owned()),
            Server::Socket("/run/kdc".to_owned()),
        ]
    );
    assert_eq!(realm.primary_kdc, [address("four", None, None)]);
    assert_eq!(realm.admin_server, [address("five", Some(749), None)]);
    assert_eq!(realm.default_domain.as_deref(), Some("example.org"));
    assert_eq!(realm.auth_to_local, ["RULE:[1:$1]", "DEFAULT"]);
    let other = settings.realms.get(b"S").unwrap();
    assert_eq!(other.primary_kdc, [address("six", None, None)]);
    assert!(settings.realms.get(b"T").is_none() && settings.realms.get(b"\xff").is_none());
    assert_eq!(settings.realms.names().collect::<Vec<_>>(), ["R", "S"]);
}

#[test]
fn what_is_no_server() {
    for text in [
        "", " ", ":88", "a:", "a:0", "a:65536", "a:+1", "a:8 8:9:", "[::1", "[::1]x", "[a]:88",
        "[]", "sctp/a", "a:1:2",
    ] {
        let parsed = Server::parse(text);
        let port_eight = text == "a:8 8:9:";
        assert_eq!(parsed.is_some(), port_eight, "{text}: {parsed:?}");
    }
}

#[test]
fn a_hosts_realm_is_the_nearest_one_configured() {
    let settings = settings(
        "[domain_realm]\n www.a.example.org = HOST\n .a.example.org = DOMAIN\n a.example.org = SELF\n org = TOP\n\
         .example.org = FIRST\n .example.org = SECOND\n localhost = LOCAL\n",
    )
    .unwrap();
    let map = &settings.domain_realm;
    let cases = [
        ("www.a.example.org", "HOST"),
        ("WWW.A.Example.ORG.", "HOST"),
        ("x.a.example.org", "DOMAIN"),
        ("y.x.a.example.org", "DOMAIN"),
        ("a.example.org", "SELF"),
        ("b.example.org", "FIRST"),
        ("example.org", "TOP"),
        ("localhost", "LOCAL"),
    ];
    for (host, realm) in cases {
        assert_eq!(map.configured(host), Some(realm), "{host}");
    }
    for host in [
        "example.com",
        "",
        ".",
        "xlocalhost",
        "192.0.2.1",
        "::1",
        "com",
    ] {
        assert_eq!(map.configured(host), None, "{host}");
    }
    let realm = |host, default| map.realm_of(host, default);
    assert_eq!(
        realm("b.example.com", Some("R")).as_deref(),
        Some("EXAMPLE.COM")
    );
    assert_eq!(realm("short", Some("R")).as_deref(), Some("R"));
    assert_eq!(realm("192.0.2.1", None), None);
    assert_eq!(realm("a.example.org", None).as_deref(), Some("SELF"));
}

#[test]
fn paths_between_realms() {
    let settings = settings(
        "[capaths]\n ANL.GOV = {\n  PNL.GOV = ES.NET\n  HAL.COM = K5.MOON and more\n  HAL.COM = K5.JUPITER\n  ES.NET = .\n }\n",
    )
    .unwrap();
    let between = |client: &str, server: &str| -> Vec<String> {
        let path = settings
            .capaths
            .between(client.as_bytes(), server.as_bytes());
        path.into_iter()
            .map(|realm| String::from_utf8_lossy(realm).into_owned())
            .collect()
    };
    assert_eq!(between("ANL.GOV", "HAL.COM"), ["K5.MOON", "K5.JUPITER"]);
    assert_eq!(between("ANL.GOV", "ES.NET"), [""; 0]);
    assert_eq!(between("ANL.GOV", "PNL.GOV"), ["ES.NET"]);
    // The other way nothing is configured: by the names.
    assert_eq!(between("PNL.GOV", "ANL.GOV"), ["GOV"]);
    assert_eq!(between("A.B.C", "X.Y.B.C"), ["B.C", "Y.B.C"]);
    assert_eq!(between("A.B.C", "C"), ["B.C"]);
    assert_eq!(between("C", "A.B.C"), ["B.C"]);
    assert_eq!(between("A.COM", "B.ORG"), ["COM", "ORG"]);
    assert_eq!(between("ABC.COM", "BC.COM"), ["COM"]);
    assert_eq!(between("A", "B"), [""; 0]);
    assert_eq!(between("A.COM", "A.COM"), [""; 0]);
}

#[test]
fn a_damaged_server_is_none_or_has_a_host() {
    for text in ["tcp/kdc.example.org:88", "[2001:db8::1]:750", "udp/two"] {
        let damaged = crate::formats::vectors::damaged(text.as_bytes());
        for text in damaged.filter_map(|bytes| String::from_utf8(bytes).ok()) {
            if let Some(Server::Address(ServerAddress { host, port, .. })) = Server::parse(&text) {
                assert!(text.contains(&host) && !host.is_empty(), "{text}");
                assert!(port != Some(0), "{text}");
            }
        }
    }
}

#[test]
fn sssds_module_is_there_if_it_is_named_and_not_disabled() {
    let read = |lines: &str| {
        let text = format!("[plugins]\n localauth = {{\n{lines} }}\n");
        settings(&text).unwrap().localauth_sssd
    };
    let module = "  module = sssd:/usr/lib/sssd/modules/sssd_krb5_localauth_plugin.so\n";
    assert!(read(module));
    assert!(read(&format!("  module = other:other.so\n{module}")));
    assert!(read(&format!(
        "{module}  enable_only = sssd\n  enable_only = names\n"
    )));
    assert!(!read(""));
    assert!(!read("  module = other:sssd.so\n"));
    assert!(!read("  enable_only = sssd\n"));
    assert!(!read(&format!("{module}  disable = sssd\n")));
    assert!(!read(&format!("{module}  enable_only = names\n")));
    assert!(!settings("").unwrap().localauth_sssd);
}
