//! What `krb5.conf` means: the relations of a [`Profile`] as typed settings, with MIT's defaults.

mod capaths;
mod enctypes;
mod realms;

use std::time::Duration;

use krb5_crypto::{
    AES128_CTS_HMAC_SHA1_96, AES128_CTS_HMAC_SHA256_128, AES256_CTS_HMAC_SHA1_96,
    AES256_CTS_HMAC_SHA384_192, CAMELLIA128_CTS_CMAC, CAMELLIA256_CTS_CMAC, Enctype,
};

pub use self::capaths::Capaths;
pub use self::enctypes::EnctypeRules;
pub use self::realms::{DomainRealm, Realm, Realms, Server, ServerAddress, Transport};
use super::ccache::Version;
use super::conf::{ConfError, ConfProblem, Profile, Relation, boolean};

/// The enctypes in MIT's order of preference, for where the configuration says none. The deprecated ones, which MIT 1.20 has too,
/// are not among them: [`EnctypeRules`].
pub const DEFAULT_ENCTYPES: [&Enctype; 6] = [
    AES256_CTS_HMAC_SHA1_96,
    AES128_CTS_HMAC_SHA1_96,
    AES256_CTS_HMAC_SHA384_192,
    AES128_CTS_HMAC_SHA256_128,
    CAMELLIA128_CTS_CMAC,
    CAMELLIA256_CTS_CMAC,
];

/// The configuration of one host or user.
///
/// `[libdefaults]` is flat here: its per-realm subsections, and `[appdefaults]`, are for applications of MIT's
/// distribution and are not read. What has no effect here is not read either; `docs/behaviour.md` lists it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The realm of names that have none.
    pub default_realm: Option<String>,
    /// How far clocks may be apart.
    pub clockskew: Duration,
    /// Whether the offset of the KDC's clock is measured, stored in the cache and made up for.
    pub kdc_timesync: bool,
    /// The keytab of acceptors, not yet expanded.
    pub default_keytab_name: Option<String>,
    /// The keytab of initiators, not yet expanded.
    pub default_client_keytab_name: Option<String>,
    /// The credential cache, not yet expanded.
    pub default_ccache_name: Option<String>,
    /// The replay cache of MIT's kind that is kept beside the once-store, not yet expanded.
    pub default_rcache_name: Option<String>,
    /// The version of new credential caches.
    pub ccache_type: Version,
    /// The enctypes of session keys and subkeys that are accepted at all.
    pub permitted_enctypes: Vec<&'static Enctype>,
    /// The enctypes asked for in AS requests.
    pub default_tkt_enctypes: Vec<&'static Enctype>,
    /// The enctypes asked for in TGS requests.
    pub default_tgs_enctypes: Vec<&'static Enctype>,
    /// How long a ticket is asked for.
    pub ticket_lifetime: Option<Duration>,
    /// How long a renewable ticket is asked for.
    pub renew_lifetime: Option<Duration>,
    /// Whether tickets that can be forwarded are asked for.
    pub forwardable: bool,
    /// Whether proxiable tickets are asked for.
    pub proxiable: bool,
    /// Whether credentials are delegated only where the KDC's policy allows it, whatever the program asks for.
    pub enforce_ok_as_delegate: bool,
    /// Whether initiators say that they would have bound the context to a channel had they known of one, whatever the program
    /// asks for.
    pub client_aware_channel_bindings: bool,
    /// Whether an acceptor that is for a service on one host takes tickets for that service on any.
    pub ignore_acceptor_hostname: bool,
    /// Whether the names of hosts in services' names are those that DNS gives.
    pub dns_canonicalize_hostname: CanonicalizeHostname,
    /// Whether the name that a host's address has goes before the one its name leads to, where DNS is asked.
    pub rdns: bool,
    /// The domain of hosts' names without dots, where DNS is not asked or does not know them; empty for none; else the host's own
    /// search domain.
    pub qualify_shortname: Option<String>,
    /// Whether a user's `.k5login`, where there is one, names everybody who may log in as that user.
    pub k5login_authoritative: bool,
    /// Where those files are, by users' names; else `.k5login` in their home directories.
    pub k5login_directory: Option<String>,
    /// Whether sssd's `localauth` module is in `[plugins]`: then the users of this host may be found under principals' names.
    pub localauth_sssd: bool,
    /// Whether KDCs are found through DNS.
    pub dns_lookup_kdc: bool,
    /// Requests longer than this go over TCP first.
    pub udp_preference_limit: usize,
    /// How long an exchange with KDCs may take.
    pub request_timeout: Option<Duration>,
    /// `[realms]`.
    pub realms: Realms,
    /// `[domain_realm]`.
    pub domain_realm: DomainRealm,
    /// `[capaths]`.
    pub capaths: Capaths,
}

/// Whether the names of hosts in services' names are those that DNS gives (`dns_canonicalize_hostname`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CanonicalizeHostname {
    /// They are as they were given.
    #[default]
    No,
    /// They are those that DNS gives, if it gives any.
    Yes,
    /// They are as they were given; if the KDC does not know such a service, those that DNS gives.
    Fallback,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            default_realm: None,
            clockskew: Duration::from_secs(300),
            kdc_timesync: true,
            default_keytab_name: None,
            default_client_keytab_name: None,
            default_ccache_name: None,
            default_rcache_name: None,
            ccache_type: Version::V4,
            permitted_enctypes: DEFAULT_ENCTYPES.to_vec(),
            default_tkt_enctypes: DEFAULT_ENCTYPES.to_vec(),
            default_tgs_enctypes: DEFAULT_ENCTYPES.to_vec(),
            ticket_lifetime: None,
            renew_lifetime: None,
            forwardable: false,
            proxiable: false,
            enforce_ok_as_delegate: false,
            client_aware_channel_bindings: false,
            ignore_acceptor_hostname: false,
            dns_canonicalize_hostname: CanonicalizeHostname::No,
            rdns: true,
            qualify_shortname: None,
            k5login_authoritative: true,
            k5login_directory: None,
            localauth_sssd: false,
            dns_lookup_kdc: true,
            udp_preference_limit: 1465,
            request_timeout: None,
            realms: Realms::default(),
            domain_realm: DomainRealm::default(),
            capaths: Capaths::default(),
        }
    }
}

impl Settings {
    /// Reads the settings out of `profile`; a value that is no value of its kind is an error that names its place.
    pub fn read(profile: &Profile) -> Result<Self, ConfError> {
        let defaults = Self::default();
        let libdefaults = Libdefaults(profile);
        let rules = EnctypeRules {
            allow_des3: libdefaults.permission("allow_des3")?,
            allow_rc4: libdefaults.permission("allow_rc4")?,
        };
        let enctypes = |name, default: &[_]| libdefaults.enctypes(name, rules, default);
        let permitted = enctypes("permitted_enctypes", &rules.defaults())?;
        Ok(Self {
            default_realm: libdefaults.string("default_realm"),
            clockskew: libdefaults
                .duration("clockskew")?
                .unwrap_or(defaults.clockskew),
            kdc_timesync: libdefaults.kdc_timesync()?,
            default_keytab_name: libdefaults.string("default_keytab_name"),
            default_client_keytab_name: libdefaults.string("default_client_keytab_name"),
            default_ccache_name: libdefaults.string("default_ccache_name"),
            default_rcache_name: libdefaults.string("default_rcache_name"),
            ccache_type: libdefaults.ccache_type()?,
            default_tkt_enctypes: enctypes("default_tkt_enctypes", &permitted)?,
            default_tgs_enctypes: enctypes("default_tgs_enctypes", &permitted)?,
            permitted_enctypes: permitted,
            ticket_lifetime: libdefaults.duration("ticket_lifetime")?,
            renew_lifetime: libdefaults.duration("renew_lifetime")?,
            forwardable: libdefaults.boolean("forwardable", false)?,
            proxiable: libdefaults.boolean("proxiable", false)?,
            enforce_ok_as_delegate: libdefaults.boolean("enforce_ok_as_delegate", false)?,
            client_aware_channel_bindings: libdefaults
                .boolean("client_aware_channel_bindings", false)?,
            ignore_acceptor_hostname: libdefaults.boolean("ignore_acceptor_hostname", false)?,
            dns_canonicalize_hostname: libdefaults.dns_canonicalize_hostname()?,
            rdns: libdefaults.boolean("rdns", true)?,
            qualify_shortname: libdefaults.string("qualify_shortname"),
            k5login_authoritative: libdefaults.boolean("k5login_authoritative", true)?,
            k5login_directory: libdefaults.string("k5login_directory"),
            localauth_sssd: has_module(profile, "localauth", "sssd"),
            dns_lookup_kdc: libdefaults.dns_lookup_kdc()?,
            udp_preference_limit: libdefaults
                .udp_preference_limit(defaults.udp_preference_limit)?,
            request_timeout: libdefaults.duration("request_timeout")?,
            realms: Realms::read(profile)?,
            domain_realm: DomainRealm::read(profile),
            capaths: Capaths::read(profile),
        })
    }
}

/// Whether `[plugins]` has the module `name` of `interface` (`module = NAME:PATH`), and neither disables it nor enables others alone.
fn has_module(profile: &Profile, interface: &str, name: &str) -> bool {
    let values = |relation| {
        let relations = profile.relations(&["plugins", interface, relation]);
        relations
            .into_iter()
            .map(|found| found.value.as_str())
            .collect::<Vec<_>>()
    };
    let is_named = |module: &&str| {
        module
            .split_once(':')
            .is_some_and(|(known, _)| known == name)
    };
    let only = values("enable_only");
    values("module").iter().any(is_named)
        && !values("disable").contains(&name)
        && (only.is_empty() || only.contains(&name))
}

/// What MIT's code caps `udp_preference_limit` at: a larger datagram would not arrive.
const MAX_UDP_PREFERENCE: usize = 32_700;

struct Libdefaults<'p>(&'p Profile);

impl Libdefaults<'_> {
    fn relation(&self, name: &str) -> Option<&Relation> {
        self.0.relation(&["libdefaults", name])
    }

    fn string(&self, name: &str) -> Option<String> {
        self.relation(name).map(|relation| relation.value.clone())
    }

    fn boolean(&self, name: &str, default: bool) -> Result<bool, ConfError> {
        Ok(self.permission(name)?.unwrap_or(default))
    }

    fn permission(&self, name: &str) -> Result<Option<bool>, ConfError> {
        self.relation(name).map(Relation::boolean).transpose()
    }

    fn duration(&self, name: &str) -> Result<Option<Duration>, ConfError> {
        self.relation(name).map(Relation::duration).transpose()
    }

    /// MIT's manual has numbers here, configurations in the field words too.
    fn kdc_timesync(&self) -> Result<bool, ConfError> {
        match self.relation("kdc_timesync") {
            None => Ok(true),
            Some(relation) => match boolean(&relation.value) {
                Some(value) => Ok(value),
                None => Ok(relation.number()? != 0),
            },
        }
    }

    fn ccache_type(&self) -> Result<Version, ConfError> {
        let Some(relation) = self.relation("ccache_type") else {
            return Ok(Version::V4);
        };
        match relation.number()? {
            // 1 and 2 are in the writer's byte order; nothing that runs today needs them.
            1..=3 => Ok(Version::V3),
            4 => Ok(Version::V4),
            _ => Err(relation.error(|name, value| ConfProblem::NotANumber { name, value })),
        }
    }

    /// `fallback`, or yes or no.
    fn dns_canonicalize_hostname(&self) -> Result<CanonicalizeHostname, ConfError> {
        let Some(relation) = self.relation("dns_canonicalize_hostname") else {
            return Ok(CanonicalizeHostname::No);
        };
        if relation.value.eq_ignore_ascii_case("fallback") {
            return Ok(CanonicalizeHostname::Fallback);
        }
        Ok(match relation.boolean()? {
            true => CanonicalizeHostname::Yes,
            false => CanonicalizeHostname::No,
        })
    }

    /// `dns_fallback` is an old name for this one, and for another that is not read.
    fn dns_lookup_kdc(&self) -> Result<bool, ConfError> {
        let fallback = self.boolean("dns_fallback", true)?;
        self.boolean("dns_lookup_kdc", fallback)
    }

    fn udp_preference_limit(&self, default: usize) -> Result<usize, ConfError> {
        let Some(relation) = self.relation("udp_preference_limit") else {
            return Ok(default);
        };
        // MIT takes a negative limit for its default.
        let limit = usize::try_from(relation.number()?).unwrap_or(default);
        Ok(limit.min(MAX_UDP_PREFERENCE))
    }

    fn enctypes(
        &self,
        name: &str,
        rules: EnctypeRules,
        default: &[&'static Enctype],
    ) -> Result<Vec<&'static Enctype>, ConfError> {
        match self.relation(name) {
            None => Ok(default.to_vec()),
            Some(relation) => rules.list(&relation.value).ok_or_else(|| {
                relation.error(|name, value| ConfProblem::NoEnctype { name, value })
            }),
        }
    }
}

#[cfg(test)]
mod tests;
