//! Services of hosts (RFC 2743 §4.1) as principals: whether the host has the name that it was given, or one that DNS knows
//! (`dns_canonicalize_hostname`, `rdns`, `qualify_shortname` of MIT's krb5.conf(5)).

use std::net::IpAddr;

use gss_core::name::Name;
use gss_core::oid::Oid;
use krb5::formats::settings::{CanonicalizeHostname, Settings};
use krb5::principal::Principal;

use super::error::NameError;
use crate::Environment;
use crate::host::resolver::Resolver;

/// `service@host` is `service/host@REALM`, in the realm that `[domain_realm]` gives the host. The host is one that was named or is
/// this one; DNS is asked only where the configuration says so, and before anything else.
pub(super) fn principal(name: &Name, env: &Environment) -> Result<Principal, NameError> {
    let dns = env.settings().dns_canonicalize_hostname == CanonicalizeHostname::Yes;
    with_dns(name, env, dns)
}

/// What else the name may mean if the KDC does not know `first`: the same service of the host that DNS makes of the name, where the
/// configuration wants that tried. A KDC's word that it does not know a service is not authenticated, so whoever can forge that
/// and DNS can choose the service, as where DNS is asked at once.
pub(crate) fn second_choice(
    name: &Name,
    env: &Environment,
    first: &Principal,
) -> Option<Principal> {
    let types = [Oid::NT_HOSTBASED_SERVICE, Oid::NT_HOSTBASED_SERVICE_X];
    let fallback = CanonicalizeHostname::Fallback;
    if !types.contains(&name.name_type()) || env.settings().dns_canonicalize_hostname != fallback {
        return None;
    }
    let second = with_dns(name, env, true).ok();
    second.filter(|second| second != first)
}

fn with_dns(name: &Name, env: &Environment, dns: bool) -> Result<Principal, NameError> {
    let text = || name.to_string();
    let malformed = || NameError::Hostbased(text());
    let whole = str::from_utf8(name.text()).map_err(|_| malformed())?;
    let (service, host) = match whole.split_once('@') {
        Some((service, host)) => (service, host.to_owned()),
        None => (whole, local_host().ok_or_else(malformed)?),
    };
    let (host, trailer) = split_trailer(&host);
    if service.is_empty() || host.trim_end_matches('.').is_empty() {
        return Err(malformed());
    }
    let settings = env.settings();
    let host = expand(host, dns, settings, env.resolver());
    let realm = realm_of(&host, settings).ok_or_else(|| NameError::NoRealm(text()))?;
    Ok(Principal::service(service, host + trailer, realm))
}

/// A port or an instance behind one colon, which some services have in their names (`MSSQLSvc`); an IPv6 address has more.
fn split_trailer(host: &str) -> (&str, &str) {
    match host.split_once(':') {
        Some((name, trailer)) if !trailer.is_empty() && !trailer.contains(':') => {
            (name, &host[name.len()..])
        }
        _ => (host, ""),
    }
}

/// The host's name, in lower case and without a dot at its end.
fn expand(host: &str, dns: bool, settings: &Settings, resolver: &dyn Resolver) -> String {
    let found = if dns { resolver.forward(host) } else { None };
    let canonical = found.map(|found| {
        let reverse = settings.rdns.then(|| resolver.reverse(found.address));
        reverse.flatten().unwrap_or(found.canonical)
    });
    let name = canonical.unwrap_or_else(|| qualified(host, settings, resolver));
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// A name without dots in its domain. This host's own loopback is in none (RFC 6761 §6.3).
fn qualified(host: &str, settings: &Settings, resolver: &dyn Resolver) -> String {
    let alone = !host.contains('.') && host.parse::<IpAddr>().is_err();
    if !alone || host.eq_ignore_ascii_case("localhost") {
        return host.to_owned();
    }
    let domain = match &settings.qualify_shortname {
        Some(domain) => Some(domain.clone()),
        None => resolver.search_domain(),
    };
    match domain.filter(|domain| !domain.is_empty()) {
        Some(domain) => format!("{host}.{domain}"),
        None => host.to_owned(),
    }
}

/// The realm of a host: the one that is configured for it, else the default realm. (Guessing from the domain's spelling, as
/// MIT does when all else fails, comes last.)
fn realm_of(host: &str, settings: &Settings) -> Option<String> {
    let configured = settings.domain_realm.configured(host).map(str::to_owned);
    configured
        .or_else(|| settings.default_realm.clone())
        .or_else(|| settings.domain_realm.realm_of(host, None))
}

fn local_host() -> Option<String> {
    let name = rustix::system::uname().nodename().to_str().ok()?.to_owned();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::Config;
    use crate::host::resolver::Host;

    /// `www` is an alias of `web.example.test`, whose address has another name; `alone` has none.
    #[derive(Debug, Default)]
    struct Dns {
        asked: AtomicUsize,
        domain: Option<&'static str>,
    }

    impl Resolver for Dns {
        fn forward(&self, name: &str) -> Option<Host> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let (canonical, last) = match name {
                "www" | "www.example.test" | "web.example.test" => ("Web.example.test.", 1),
                "alone" => ("alone.example.test", 2),
                _ => return None,
            };
            Some(Host {
                canonical: canonical.to_owned(),
                address: [192, 0, 2, last].into(),
            })
        }

        fn reverse(&self, address: IpAddr) -> Option<String> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            (address == IpAddr::from([192, 0, 2, 1])).then(|| "front.other.test".to_owned())
        }

        fn search_domain(&self) -> Option<String> {
            self.domain.map(str::to_owned)
        }
    }

    struct Sample {
        dns: Arc<Dns>,
        settings: Settings,
    }

    impl Sample {
        fn new(how: CanonicalizeHostname) -> Self {
            let mut settings = Settings {
                default_realm: Some("R".into()),
                dns_canonicalize_hostname: how,
                ..Settings::default()
            };
            settings.domain_realm.insert(".other.test", "OTHER");
            Self {
                dns: Arc::default(),
                settings,
            }
        }

        fn env(&self) -> Environment {
            let config = Config {
                settings: Some(self.settings.clone()),
                resolver: Some(Arc::<Dns>::clone(&self.dns)),
                ..Config::default()
            };
            Environment::new(config).unwrap()
        }

        fn host(&self, host: &str) -> String {
            let name = Name::hostbased_service(&format!("s@{host}"));
            principal(&name, &self.env()).unwrap().to_string()
        }

        fn second(&self, host: &str) -> Option<String> {
            let name = Name::hostbased_service(&format!("s@{host}"));
            let first = principal(&name, &self.env()).unwrap();
            second_choice(&name, &self.env(), &first).map(|second| second.to_string())
        }
    }

    #[test]
    fn without_dns_a_host_has_the_name_it_was_given() {
        let sample = Sample::new(CanonicalizeHostname::No);
        assert_eq!(sample.host("WWW.example.test."), "s/www.example.test@R");
        assert_eq!(sample.host("www"), "s/www@R");
        assert_eq!(sample.second("www"), None);
        let asked = sample.dns.asked.load(Ordering::Relaxed);
        assert_eq!(asked, 0, "nobody is asked");
    }

    #[test]
    fn with_dns_a_host_has_the_name_of_its_address() {
        let mut sample = Sample::new(CanonicalizeHostname::Yes);
        assert_eq!(sample.host("www"), "s/front.other.test@OTHER");
        assert_eq!(sample.host("alone"), "s/alone.example.test@R");
        assert_eq!(sample.host("Unknown.test"), "s/unknown.test@R");
        sample.settings.rdns = false;
        assert_eq!(sample.host("www"), "s/web.example.test@R");
        assert_eq!(sample.second("www"), None, "it was the first");
    }

    #[test]
    fn dns_is_the_second_choice_where_that_is_configured() {
        let sample = Sample::new(CanonicalizeHostname::Fallback);
        assert_eq!(sample.host("www"), "s/www@R");
        assert_eq!(sample.dns.asked.load(Ordering::Relaxed), 0);
        assert_eq!(
            sample.second("www").as_deref(),
            Some("s/front.other.test@OTHER")
        );
        assert_eq!(sample.second("unknown.test"), None, "it is the same");
        let user = Name::krb5_principal("s/www@R");
        let first = Principal::parse("s/www@R", None).unwrap();
        assert_eq!(second_choice(&user, &sample.env(), &first), None);
    }

    #[test]
    fn a_name_without_dots_gets_a_domain() {
        let mut sample = Sample::new(CanonicalizeHostname::No);
        sample.dns = Arc::new(Dns {
            domain: Some("search.test"),
            ..Dns::default()
        });
        assert_eq!(sample.host("web"), "s/web.search.test@R");
        sample.settings.qualify_shortname = Some("other.test".into());
        assert_eq!(sample.host("Web"), "s/web.other.test@OTHER");
        for alone in ["web.x", "localhost", "::1", "192.0.2.1"] {
            assert_eq!(sample.host(alone), format!("s/{alone}@R"));
        }
        sample.settings.qualify_shortname = Some(String::new());
        assert_eq!(sample.host("web"), "s/web@R");
        sample.settings.qualify_shortname = Some("other.test".into());
        sample.settings.dns_canonicalize_hostname = CanonicalizeHostname::Yes;
        assert_eq!(sample.host("unknown"), "s/unknown.other.test@OTHER");
        assert_eq!(sample.host("alone"), "s/alone.example.test@R");
    }

    #[test]
    fn a_port_stays_where_it_is() {
        let mut sample = Sample::new(CanonicalizeHostname::Yes);
        assert_eq!(sample.host("www:1433"), "s/front.other.test:1433@OTHER");
        sample.settings.dns_canonicalize_hostname = CanonicalizeHostname::No;
        assert_eq!(sample.host("Web.X:Instance"), "s/web.x:Instance@R");
        assert_eq!(sample.host("2001:db8::1"), "s/2001:db8::1@R");
        assert_eq!(sample.host("web.x:"), "s/web.x:@R");
    }
}
