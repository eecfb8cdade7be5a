//! The principals of a realm and their keys, in memory.

use std::collections::HashMap;
use std::sync::Arc;

use krb5_crypto::{CryptoError, Enctype, Key};
use wire::random::Random;

use crate::messages::PrincipalName;
use crate::principal::Principal;

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
}

impl Principals {
    /// A realm with its ticket-granting service, which has a random key of each of `etypes`. Tickets for a service are
    /// encrypted with its first key.
    pub fn new(realm: impl AsRef<[u8]>, etypes: &[&'static Enctype], random: &dyn Random) -> Self {
        let mut principals = Self {
            realm: realm.as_ref().to_vec(),
            keys: HashMap::new(),
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
        let (kvno, salt) = (self.next_kvno(&principal), principal.salt());
        let keys: Vec<_> = etypes
            .iter()
            .map(|etype| {
                let key = Arc::new(etype.string_to_key(password, &salt, None)?);
                Ok(KdcKey {
                    kvno,
                    key,
                    salt: Some(salt.clone()),
                })
            })
            .collect::<Result<_, _>>()?;
        self.put(principal, keys);
        Ok(())
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

    /// The keys of the newest version of the principal that a message names.
    pub(super) fn newest(&self, name: &PrincipalName<'_>) -> Option<&[KdcKey]> {
        let keys = self.keys(&Principal::new(
            name.name_type,
            name.name_string.iter().map(|part| part.0),
            &self.realm,
        ));
        let kvno = keys.first()?.kvno;
        let older = keys
            .iter()
            .position(|key| key.kvno != kvno)
            .unwrap_or(keys.len());
        Some(&keys[..older])
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
