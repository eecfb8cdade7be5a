//! The principals of a realm and their keys, in memory.

use std::collections::HashMap;
use std::sync::Arc;

use krb5_crypto::{CryptoError, Enctype, Key};
use wire::random::Random;

use super::delegation::Delegations;
use crate::formats::settings::DomainRealm;
use crate::messages::{PrincipalName, Realm};
use crate::principal::{KRBTGT, Principal};

/// A key of a principal.
#[derive(Clone)]
pub struct KdcKey {
    /// The key's version.
    pub kvno: u32,
    /// The key.
    pub key: Arc<Key>,
    /// The salt, if the key comes from a password.
    pub salt: Option<Vec<u8>>,
}

/// The principals of one realm. The ticket-granting service is always among them.
pub struct Principals {
    realm: Vec<u8>,
    keys: HashMap<Principal, Vec<KdcKey>>,
    domain_realm: DomainRealm,
    routes: HashMap<Vec<u8>, Vec<u8>>,
    pub(super) delegations: Delegations,
}

impl Principals {
    /// A realm with its ticket-granting service, which has a random key of each of `etypes`. Tickets for a service are
    /// encrypted with its first key.
    pub fn new(realm: impl AsRef<[u8]>, etypes: &[&'static Enctype], random: &dyn Random) -> Self {
        let mut principals = Self {
            realm: realm.as_ref().to_vec(),
            keys: HashMap::new(),
            domain_realm: DomainRealm::default(),
            routes: HashMap::new(),
            delegations: Delegations::default(),
        };
        let krbtgt = Principal::krbtgt(&principals.realm);
        principals.add_random(krbtgt, etypes, random);
        principals
    }

    /// The realm's name.
    pub fn realm(&self) -> &[u8] {
        &self.realm
    }

    /// Gives `principal` keys made of a password and the usual salt, under the next version.
    pub fn add_password(
        &mut self,
        principal: Principal,
        password: &[u8],
        etypes: &[&'static Enctype],
    ) -> Result<(), CryptoError> {
        let principal = principal.with_realm(&self.realm);
        let keys = self.password_keys(&principal, password, etypes)?;
        self.put(principal, keys);
        Ok(())
    }

    fn password_keys(
        &self,
        principal: &Principal,
        password: &[u8],
        etypes: &[&'static Enctype],
    ) -> Result<Vec<KdcKey>, CryptoError> {
        let (kvno, salt) = (self.next_kvno(principal), principal.salt());
        let key = |etype: &&'static Enctype| {
            Ok(KdcKey {
                kvno,
                key: Arc::new(etype.string_to_key(password, &salt, None)?),
                salt: Some(salt.clone()),
            })
        };
        etypes.iter().map(key).collect()
    }

    /// Shares keys made of a password with the realm `with`, which must do the same: this realm's users then reach its
    /// services, and its users this realm's.
    pub fn add_trust(
        &mut self,
        with: impl AsRef<[u8]>,
        password: &[u8],
        etypes: &[&'static Enctype],
    ) -> Result<(), CryptoError> {
        let (with, own) = (with.as_ref(), self.realm.clone());
        for (service, realm) in [(with, &*own), (&*own, with)] {
            let granting = Principal::krbtgt(service).with_realm(realm);
            let keys = self.password_keys(&granting, password, etypes)?;
            self.put(granting, keys);
        }
        Ok(())
    }

    /// Tells in which realms hosts are whose services this realm does not have: requests that allow it are referred there
    /// (RFC 6806 §8).
    pub fn set_domain_realm(&mut self, domain_realm: DomainRealm) {
        self.domain_realm = domain_realm;
    }

    /// Sends whoever wants to go to `realm` to the realm `via` first.
    pub fn set_route(&mut self, realm: impl AsRef<[u8]>, via: impl AsRef<[u8]>) {
        let (realm, via) = (realm.as_ref().to_vec(), via.as_ref().to_vec());
        self.routes.insert(realm, via);
    }

    /// What services may do in their users' names.
    pub fn delegations_mut(&mut self) -> &mut Delegations {
        &mut self.delegations
    }

    /// Gives `principal` random keys, under the next version.
    pub fn add_random(
        &mut self,
        principal: Principal,
        etypes: &[&'static Enctype],
        random: &dyn Random,
    ) {
        let principal = principal.with_realm(&self.realm);
        let kvno = self.next_kvno(&principal);
        let key = |etype: &&'static Enctype| KdcKey {
            kvno,
            key: Arc::new(etype.random_key(random)),
            salt: None,
        };
        self.put(principal, etypes.iter().map(key).collect());
    }

    /// The keys of `principal`, the newest version first; what a keytab holds.
    pub fn keys(&self, principal: &Principal) -> &[KdcKey] {
        self.keys.get(principal).map_or(&[], Vec::as_slice)
    }

    /// All names, in no order.
    pub fn names(&self) -> impl Iterator<Item = &Principal> {
        self.keys.keys()
    }

    /// The principal of this realm that a message names, and its keys of the newest version.
    pub(super) fn newest(&self, name: &PrincipalName<'_>) -> Option<(Principal, &[KdcKey])> {
        let principal = name.in_realm(Realm(&self.realm));
        let keys = self.newest_of(&principal)?;
        Some((principal, keys))
    }

    fn newest_of(&self, principal: &Principal) -> Option<&[KdcKey]> {
        let keys = self.keys(principal);
        let kvno = keys.first()?.kvno;
        let older = keys
            .iter()
            .position(|key| key.kvno != kvno)
            .unwrap_or(keys.len());
        Some(&keys[..older])
    }

    /// The ticket-granting service to ask for one that is not here: the next on the way to the realm that a ticket-granting
    /// service's name says, or that a host is in.
    pub(super) fn referral(&self, name: &PrincipalName<'_>) -> Option<(Principal, &[KdcKey])> {
        let [first, second] = name.name_string.as_slice() else {
            return None;
        };
        let realm = match first.0 == KRBTGT {
            true => second.0,
            false => {
                let host = str::from_utf8(second.0).ok()?;
                self.domain_realm.configured(host)?.as_bytes()
            }
        };
        let next = self.routes.get(realm).map_or(realm, Vec::as_slice);
        let granting = Principal::krbtgt(next).with_realm(&self.realm);
        let keys = self.newest_of(&granting)?;
        (next != self.realm).then_some((granting, keys))
    }

    fn next_kvno(&self, principal: &Principal) -> u32 {
        self.keys(principal)
            .first()
            .map_or(1, |key| key.kvno.saturating_add(1))
    }

    /// Older keys stay: tickets under them are still in use.
    fn put(&mut self, principal: Principal, mut keys: Vec<KdcKey>) {
        let all = self.keys.entry(principal).or_default();
        keys.append(all);
        *all = keys;
    }
}
