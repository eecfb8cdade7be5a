//! The credential cache format: a client's tickets.
//!
//! Versions 4 and 3 of MIT's FILE format, both big-endian, are read and written; no RFC has them. A cache is one stream: the
//! version, in version 4 a header of tagged fields, the client, then credentials to the end of the file. A
//! credential whose server is of the realm `X-CACHECONF:` is no ticket but a setting of the cache; such entries are kept as
//! they are.

use std::sync::Arc;

use krb5_crypto::{Enctype, Key};
use wire::read::{ReadError, Reader};
use wire::time::Timestamp;
use zeroize::Zeroizing;

use super::exact::written_exactly;
use crate::principal::{NT_UNKNOWN, Principal};

/// The realm of the entries that are settings.
const CONFIG_REALM: &[u8] = b"X-CACHECONF:";
/// The realm of those that were removed.
const REMOVED_CONFIG_REALM: &[u8] = b"X-RMED-CONF:";
/// The first component of their names.
const CONFIG_NAME: &[u8] = b"krb5_ccache_conf_data";
/// The one header field there is: the KDC's clock less ours.
const TAG_DELTA_TIME: u16 = 1;

/// Which version of the format a cache has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// 0x0503: without a header, and each key's enctype twice.
    V3,
    /// 0x0504, the one that is written today.
    #[default]
    V4,
}

/// By how much the KDC's clock is ahead of ours, as the header tells it; negative if it is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeOffset {
    /// Whole seconds.
    pub seconds: i32,
    /// Microseconds on top of them, of the same sign.
    pub micros: i32,
}

/// A client and its credentials.
pub struct CredentialCache {
    /// The format's version.
    pub version: Version,
    /// The offset of the KDC's clock, which only version 4 can hold.
    pub time_offset: Option<TimeOffset>,
    /// The client whose cache this is.
    pub principal: Principal,
    /// The tickets and settings in the file's order.
    pub credentials: Vec<Credential>,
}

/// A ticket and what its holder knows about it.
#[derive(Clone)]
pub struct Credential {
    /// Who may use it.
    pub client: Principal,
    /// What for.
    pub server: Principal,
    /// The session key.
    pub key: CachedKey,
    /// When the client proved who it is.
    pub authtime: Timestamp,
    /// From when the ticket is good; the epoch if that is `authtime`.
    pub starttime: Timestamp,
    /// Until when it is good.
    pub endtime: Timestamp,
    /// Until when it can be renewed; the epoch if it cannot.
    pub renew_till: Timestamp,
    /// Whether the ticket is encrypted under another ticket's session key (user to user).
    pub is_skey: bool,
    /// The ticket flags of RFC 4120 §5.3, the first of them the most significant bit.
    pub flags: u32,
    /// The addresses the ticket is bound to.
    pub addresses: Vec<Typed>,
    /// Authorization data the client knows of.
    pub authdata: Vec<Typed>,
    /// The Ticket message.
    pub ticket: Vec<u8>,
    /// The other ticket, for user to user.
    pub second_ticket: Vec<u8>,
}

/// A number and bytes of the kind that it names: a host address, an authorization datum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typed {
    /// The address type or authorization data type.
    pub kind: u16,
    /// Its contents.
    pub data: Vec<u8>,
}

/// A session key, or the bytes of one that cannot be used here.
#[derive(Clone)]
pub enum CachedKey {
    /// A key.
    Key(Arc<Key>),
    /// Bytes of an enctype that is unknown here, or whose keys have another length; enctype 0 and no bytes in settings.
    Raw {
        /// The enctype's number.
        enctype: i32,
        /// The key's bytes.
        bytes: Arc<Zeroizing<Vec<u8>>>,
    },
}

/// Why bytes are not a credential cache, or a cache cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CcacheError {
    /// The first byte is not 5.
    #[error("this is not a credential cache: it does not begin with the byte 05")]
    NotACache,
    /// A version that is not supported.
    #[error("credential caches of version {0} are not supported; versions 3 and 4 are")]
    Version(u8),
    /// The cache has no client: it was created and not yet filled.
    #[error("the credential cache is empty")]
    Empty,
    /// The header is malformed.
    #[error("the credential cache's header is malformed: {0}")]
    Header(ReadError),
    /// The client's name is malformed.
    #[error("the credential cache's client is malformed: {0}")]
    Client(ReadError),
    /// A credential is malformed.
    #[error("the credential cache's entry at byte {at} is malformed: {cause}")]
    Credential {
        /// Where the entry begins.
        at: usize,
        /// What is wrong in it.
        cause: ReadError,
    },
    /// An enctype's number does not fit the format's 16 bits.
    #[error("enctype {0} does not fit into a credential cache")]
    Enctype(i32),
    /// A name, ticket or list is longer than 32 bits can say.
    #[error("a credential is too long for a credential cache")]
    TooLong,
}

impl CredentialCache {
    /// A cache of `principal` that holds nothing yet.
    pub fn new(principal: Principal) -> Self {
        Self {
            version: Version::V4,
            time_offset: None,
            principal,
            credentials: Vec::new(),
        }
    }

    /// Reads a whole cache of version 4 or 3.
    pub fn parse(bytes: &[u8]) -> Result<Self, CcacheError> {
        let mut reader = Reader::new(bytes);
        let version = version(&mut reader)?;
        let time_offset = match version {
            Version::V3 => None,
            Version::V4 => header(&mut reader).map_err(CcacheError::Header)?,
        };
        if reader.is_empty() {
            return Err(CcacheError::Empty);
        }
        let principal = principal(&mut reader).map_err(CcacheError::Client)?;
        let mut credentials = Vec::new();
        while !reader.is_empty() {
            let at = bytes.len() - reader.left();
            let malformed = |cause| CcacheError::Credential { at, cause };
            credentials.push(credential(&mut reader, version).map_err(malformed)?);
        }
        Ok(Self {
            version,
            time_offset,
            principal,
            credentials,
        })
    }

    /// The cache in its version.
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>, CcacheError> {
        check_principal(&self.principal)?;
        self.credentials.iter().try_for_each(check)?;
        Ok(written_exactly(|put| {
            match (self.version, self.time_offset) {
                (Version::V3, _) => put(&[5, 3]),
                (Version::V4, None) => put(&[5, 4, 0, 0]),
                (Version::V4, Some(offset)) => {
                    put(&[5, 4, 0, 12, 0, TAG_DELTA_TIME as u8, 0, 8]);
                    put(&offset.seconds.to_be_bytes());
                    put(&offset.micros.to_be_bytes());
                }
            }
            write_principal(&self.principal, put);
            for credential in &self.credentials {
                write_credential(credential, self.version, put);
            }
        }))
    }

    /// The tickets, without the settings and without what was [removed](Credential::is_removed).
    pub fn tickets(&self) -> impl Iterator<Item = &Credential> {
        self.credentials
            .iter()
            .filter(|credential| !credential.is_config() && !credential.is_removed())
    }

    /// The cache's setting `name`, of `server` if it is one of a server. MIT's code keeps `fast_avail`, `pa_type`,
    /// `proxy_impersonator`, `refresh_time` and `start_realm` this way.
    pub fn config(&self, name: &str, server: Option<&Principal>) -> Option<&[u8]> {
        let key = config_name(name, server);
        let is_it = |entry: &&Credential| entry.server == key && !entry.is_removed();
        let found = self.credentials.iter().rfind(is_it)?;
        Some(&found.ticket)
    }

    /// Sets the cache's setting `name`, of `server` if it is one of a server.
    pub fn set_config(&mut self, name: &str, server: Option<&Principal>, value: &[u8]) {
        let key = config_name(name, server);
        self.credentials.retain(|entry| entry.server != key);
        let entry = Credential::config(self.principal.clone(), key, value);
        self.credentials.push(entry);
    }
}

impl Credential {
    /// Whether this is a setting of the cache, not a ticket.
    pub fn is_config(&self) -> bool {
        self.server.realm() == CONFIG_REALM
    }

    /// Whether somebody removed the entry from its file. It stays there in its length, because others may be reading:
    /// MIT's code gives it no end and an impossible beginning, and to settings a realm of their own too.
    pub fn is_removed(&self) -> bool {
        let epoch = Timestamp::from_seconds(0);
        let without_end = self.endtime == epoch && self.authtime != epoch;
        without_end || self.server.realm() == REMOVED_CONFIG_REALM
    }

    /// The setting `name` of a cache of `client` as an entry.
    pub fn setting(
        client: Principal,
        name: &str,
        server: Option<&Principal>,
        value: &[u8],
    ) -> Self {
        Self::config(client, config_name(name, server), value)
    }

    fn config(client: Principal, server: Principal, value: &[u8]) -> Self {
        let epoch = Timestamp::from_seconds(0);
        Self {
            client,
            server,
            key: CachedKey::none(),
            authtime: epoch,
            starttime: epoch,
            endtime: epoch,
            renew_till: epoch,
            is_skey: false,
            flags: 0,
            addresses: Vec::new(),
            authdata: Vec::new(),
            ticket: value.to_vec(),
            second_ticket: Vec::new(),
        }
    }
}

impl CachedKey {
    fn none() -> Self {
        Self::Raw {
            enctype: 0,
            bytes: Arc::default(),
        }
    }

    /// The key of `enctype` that is `bytes`.
    pub fn of(enctype: i32, bytes: &[u8]) -> Self {
        match Enctype::from_number(enctype).and_then(|known| Key::new(known, bytes).ok()) {
            Some(key) => Self::Key(Arc::new(key)),
            None => Self::Raw {
                enctype,
                bytes: Arc::new(Zeroizing::new(bytes.to_vec())),
            },
        }
    }

    /// The key, if it can be used.
    pub fn usable(&self) -> Option<&Arc<Key>> {
        match self {
            Self::Key(key) => Some(key),
            Self::Raw { .. } => None,
        }
    }

    /// The enctype's number.
    pub fn enctype(&self) -> i32 {
        match self {
            Self::Key(key) => key.enctype().number(),
            Self::Raw { enctype, .. } => *enctype,
        }
    }

    /// The key's bytes, to be written where session keys are kept.
    pub fn expose(&self) -> &[u8] {
        match self {
            // A cache is where session keys are kept: writing them is its purpose.
            Self::Key(key) => key.expose(),
            Self::Raw { bytes, .. } => bytes,
        }
    }
}

impl From<Arc<Key>> for CachedKey {
    fn from(key: Arc<Key>) -> Self {
        Self::Key(key)
    }
}

/// One credential as it is appended to a cache of `version`.
pub fn encode_credential(
    credential: &Credential,
    version: Version,
) -> Result<Zeroizing<Vec<u8>>, CcacheError> {
    check(credential)?;
    Ok(written_exactly(|put| {
        write_credential(credential, version, put);
    }))
}

fn config_name(name: &str, server: Option<&Principal>) -> Principal {
    let server = server.map(Principal::to_bytes);
    let components = [CONFIG_NAME, name.as_bytes()]
        .into_iter()
        .chain(server.as_deref());
    Principal::new(NT_UNKNOWN, components, CONFIG_REALM)
}

fn version(reader: &mut Reader<'_>) -> Result<Version, CcacheError> {
    if reader.is_empty() {
        return Err(CcacheError::Empty);
    }
    match (reader.u8(), reader.u8()) {
        (Ok(5), Ok(3)) => Ok(Version::V3),
        (Ok(5), Ok(4)) => Ok(Version::V4),
        (Ok(5), Ok(other)) => Err(CcacheError::Version(other)),
        _ => Err(CcacheError::NotACache),
    }
}

fn header(reader: &mut Reader<'_>) -> Result<Option<TimeOffset>, ReadError> {
    let length = reader.u16_be()?;
    let mut fields = Reader::new(reader.take(usize::from(length))?);
    let mut offset = None;
    while !fields.is_empty() {
        let (tag, length) = (fields.u16_be()?, fields.u16_be()?);
        let mut value = Reader::new(fields.take(usize::from(length))?);
        // Other tags are for others: MIT's code skips them too.
        if tag == TAG_DELTA_TIME {
            offset = Some(TimeOffset {
                seconds: value.u32_be()?.cast_signed(),
                micros: value.u32_be()?.cast_signed(),
            });
            value.finish()?;
        }
    }
    Ok(offset)
}

fn counted<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], ReadError> {
    let length = reader.u32_be()?;
    reader.take(usize::try_from(length).unwrap_or(usize::MAX))
}

fn principal(reader: &mut Reader<'_>) -> Result<Principal, ReadError> {
    let (name_type, count) = (reader.u32_be()?.cast_signed(), reader.u32_be()?);
    let realm = counted(reader)?;
    let components = (0..count)
        .map(|_| counted(reader))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Principal::new(name_type, components, realm))
}

fn key(reader: &mut Reader<'_>, version: Version) -> Result<CachedKey, ReadError> {
    let enctype = i32::from(reader.u16_be()?.cast_signed());
    if version == Version::V3 {
        reader.u16_be()?; // The enctype once more.
    }
    Ok(CachedKey::of(enctype, counted(reader)?))
}

/// The format has 32 bits for a time; MIT reads them unsigned, good until 2106.
fn time(reader: &mut Reader<'_>) -> Result<Timestamp, ReadError> {
    Ok(Timestamp::from_seconds(i64::from(reader.u32_be()?)))
}

fn typed(reader: &mut Reader<'_>) -> Result<Vec<Typed>, ReadError> {
    let count = reader.u32_be()?;
    (0..count)
        .map(|_| {
            Ok(Typed {
                kind: reader.u16_be()?,
                data: counted(reader)?.to_vec(),
            })
        })
        .collect()
}

fn credential(reader: &mut Reader<'_>, version: Version) -> Result<Credential, ReadError> {
    // The fields of a struct expression are evaluated as they are written: in the file's order.
    Ok(Credential {
        client: principal(reader)?,
        server: principal(reader)?,
        key: key(reader, version)?,
        authtime: time(reader)?,
        starttime: time(reader)?,
        endtime: time(reader)?,
        renew_till: time(reader)?,
        is_skey: reader.u8()? != 0,
        flags: reader.u32_be()?,
        addresses: typed(reader)?,
        authdata: typed(reader)?,
        ticket: counted(reader)?.to_vec(),
        second_ticket: counted(reader)?.to_vec(),
    })
}

fn fits(length: usize) -> Result<(), CcacheError> {
    // MIT's code takes lengths for signed.
    i32::try_from(length)
        .map(|_| ())
        .map_err(|_| CcacheError::TooLong)
}

fn check_principal(principal: &Principal) -> Result<(), CcacheError> {
    fits(principal.components().len())?;
    let parts = principal.components().iter().map(|part| &**part);
    parts
        .chain([principal.realm()])
        .try_for_each(|part| fits(part.len()))
}

fn check(credential: &Credential) -> Result<(), CcacheError> {
    let enctype = credential.key.enctype();
    i16::try_from(enctype).map_err(|_| CcacheError::Enctype(enctype))?;
    check_principal(&credential.client)?;
    check_principal(&credential.server)?;
    let lists = [&credential.addresses, &credential.authdata];
    let data = lists.into_iter().flatten().map(|typed| typed.data.len());
    data.chain(lists.map(Vec::len))
        .chain([credential.ticket.len(), credential.second_ticket.len()])
        .try_for_each(fits)
}

fn write_counted(part: &[u8], put: &mut dyn FnMut(&[u8])) {
    put(&(part.len() as u32).to_be_bytes());
    put(part);
}

fn write_principal(principal: &Principal, put: &mut dyn FnMut(&[u8])) {
    put(&principal.name_type().to_be_bytes());
    put(&(principal.components().len() as u32).to_be_bytes());
    write_counted(principal.realm(), put);
    for component in principal.components() {
        write_counted(component, put);
    }
}

fn write_typed(list: &[Typed], put: &mut dyn FnMut(&[u8])) {
    put(&(list.len() as u32).to_be_bytes());
    for typed in list {
        put(&typed.kind.to_be_bytes());
        write_counted(&typed.data, put);
    }
}

fn write_credential(credential: &Credential, version: Version, put: &mut dyn FnMut(&[u8])) {
    write_principal(&credential.client, put);
    write_principal(&credential.server, put);
    let enctype = (credential.key.enctype() as i16).to_be_bytes();
    put(&enctype);
    if version == Version::V3 {
        put(&enctype);
    }
    write_counted(credential.key.expose(), put);
    for time in [
        credential.authtime,
        credential.starttime,
        credential.endtime,
        credential.renew_till,
    ] {
        let seconds = u32::try_from(time.seconds().max(0)).unwrap_or(u32::MAX);
        put(&seconds.to_be_bytes());
    }
    put(&[u8::from(credential.is_skey)]);
    put(&credential.flags.to_be_bytes());
    write_typed(&credential.addresses, put);
    write_typed(&credential.authdata, put);
    write_counted(&credential.ticket, put);
    write_counted(&credential.second_ticket, put);
}

#[cfg(test)]
mod tests {
    use super::super::vectors;
    use super::*;

    fn cache(name: &str) -> CredentialCache {
        CredentialCache::parse(&vectors::case("ccache.txt", name)).unwrap()
    }

    fn error(bytes: &[u8]) -> CcacheError {
        CredentialCache::parse(bytes).err().expect("an error")
    }

    #[test]
    fn what_mit_wrote_is_read() {
        let cache = cache("version 4");
        assert_eq!(cache.version, Version::V4);
        assert_eq!(cache.time_offset, Some(TimeOffset::default()));
        assert_eq!(cache.principal.to_string(), "alice@VECTOR.TEST");
        let servers: Vec<_> = cache
            .tickets()
            .map(|ticket| ticket.server.to_string())
            .collect();
        assert_eq!(
            servers,
            [
                "krbtgt/VECTOR.TEST@VECTOR.TEST",
                "host/localhost@VECTOR.TEST"
            ]
        );
        for ticket in cache.tickets() {
            assert_eq!(ticket.client, cache.principal);
            assert_eq!(ticket.key.usable().unwrap().enctype().number(), 18);
            assert_eq!(ticket.authtime.seconds(), 1_795_561_395);
            assert_eq!(ticket.endtime.seconds(), 1_795_561_395 + 86_400);
            assert_eq!(ticket.renew_till.seconds(), 0);
            assert!(!ticket.is_skey && ticket.addresses.is_empty() && ticket.authdata.is_empty());
            assert_eq!(ticket.ticket[0], 0x61, "a Ticket message");
        }
        let initial = |ticket: &Credential| ticket.flags & 1 << (31 - 9) != 0;
        assert_eq!(
            cache.tickets().map(initial).collect::<Vec<_>>(),
            [true, false]
        );
        let krbtgt = Principal::krbtgt("VECTOR.TEST");
        assert_eq!(cache.config("fast_avail", Some(&krbtgt)), Some(&b"yes"[..]));
        assert_eq!(cache.config("fast_avail", None), None);
    }

    #[test]
    fn version_3_has_no_header() {
        let cache = cache("version 3");
        assert_eq!((cache.version, cache.time_offset), (Version::V3, None));
        let ticket = cache.tickets().next().unwrap();
        assert_eq!(ticket.endtime.seconds() - ticket.authtime.seconds(), 3600);
        let kinds: Vec<_> = ticket
            .addresses
            .iter()
            .map(|one| (one.kind, one.data.len()))
            .collect();
        assert_eq!(kinds, [(2, 4), (24, 16)]);
    }

    #[test]
    fn writing_gives_the_bytes_that_mit_wrote() {
        for (name, bytes) in vectors::read("ccache.txt") {
            let cache = CredentialCache::parse(&bytes).unwrap();
            assert!(*cache.encode().unwrap() == bytes, "{name}");
            let mut appended = bytes.clone();
            appended.extend_from_slice(
                &encode_credential(&cache.credentials[0], cache.version).unwrap(),
            );
            let longer = CredentialCache::parse(&appended).unwrap();
            assert_eq!(
                longer.credentials.len(),
                cache.credentials.len() + 1,
                "{name}"
            );
        }
    }

    #[test]
    fn damage_is_an_error_or_another_cache_that_can_be_written() {
        for (name, bytes) in vectors::read("ccache.txt") {
            for other in vectors::damaged(&bytes) {
                let Ok(cache) = CredentialCache::parse(&other) else {
                    continue;
                };
                let written = cache.encode().unwrap();
                let again = CredentialCache::parse(&written).unwrap();
                assert!(again.encode().unwrap() == written, "{name}");
            }
        }
    }

    #[test]
    fn lengths_and_counts_are_believed_only_as_far_as_bytes_arrived() {
        assert_eq!(error(b""), CcacheError::Empty);
        assert_eq!(error(b"\x05\x04\0\0"), CcacheError::Empty);
        assert_eq!(error(b"\x05\x02"), CcacheError::Version(2));
        assert_eq!(error(b"\x05"), CcacheError::NotACache);
        assert_eq!(error(b"\x83\0"), CcacheError::NotACache);
        assert!(matches!(
            error(b"\x05\x04\xff\xff\0"),
            CcacheError::Header(_)
        ));
        // A header field longer than the header; an offset of another length than eight bytes.
        assert!(matches!(
            error(b"\x05\x04\0\x04\0\x07\0\x09"),
            CcacheError::Header(_)
        ));
        assert!(matches!(
            error(b"\x05\x04\0\x0d\0\x01\0\x09\0\0\0\0\0\0\0\0\0"),
            CcacheError::Header(_)
        ));
        // Four thousand million components.
        assert!(matches!(
            error(b"\x05\x03\0\0\0\x01\xff\xff\xff\xff\0\0\0\0"),
            CcacheError::Client(ReadError::Short { .. })
        ));
    }

    #[test]
    fn an_unknown_header_field_is_passed_over() {
        let mut bytes = vectors::case("ccache.txt", "version 4");
        bytes[3] += 6;
        bytes.splice(4..4, *b"\0\x63\0\x02ab");
        let cache = CredentialCache::parse(&bytes).unwrap();
        assert_eq!(cache.time_offset, Some(TimeOffset::default()));
    }

    #[test]
    fn the_time_offset_keeps_its_sign() {
        let mut cache = cache("version 4");
        let offset = TimeOffset {
            seconds: -90,
            micros: -500_000,
        };
        cache.time_offset = Some(offset);
        let again = CredentialCache::parse(&cache.encode().unwrap()).unwrap();
        assert_eq!(again.time_offset, Some(offset));
        cache.time_offset = None;
        let again = CredentialCache::parse(&cache.encode().unwrap()).unwrap();
        assert_eq!(again.time_offset, None);
    }

    #[test]
    fn a_version_can_be_turned_into_the_other() {
        let mut cache = cache("version 4");
        cache.version = Version::V3;
        let mut again = CredentialCache::parse(&cache.encode().unwrap()).unwrap();
        assert_eq!((again.version, again.credentials.len()), (Version::V3, 3));
        again.version = Version::V4;
        again.time_offset = cache.time_offset;
        assert!(*again.encode().unwrap() == vectors::case("ccache.txt", "version 4"));
    }

    #[test]
    fn settings_are_replaced_and_are_no_tickets() {
        let mut cache = cache("version 4");
        cache.set_config("start_realm", None, b"OTHER.TEST");
        cache.set_config("start_realm", None, b"VECTOR.TEST");
        let again = CredentialCache::parse(&cache.encode().unwrap()).unwrap();
        assert_eq!(again.config("start_realm", None), Some(&b"VECTOR.TEST"[..]));
        assert_eq!((again.credentials.len(), again.tickets().count()), (4, 2));
    }

    /// As MIT's `krb5_cc_remove_cred` leaves them in a file: endtime 0, authtime all ones, a setting's realm altered.
    #[test]
    fn removed_entries_are_no_tickets_and_no_settings() {
        let mut cache = cache("version 4");
        cache.set_config("start_realm", None, b"VECTOR.TEST");
        let remove = |entry: &mut Credential| {
            entry.endtime = Timestamp::from_seconds(0);
            entry.authtime = Timestamp::from_seconds(u32::MAX.into());
        };
        let tickets = cache.tickets().count();
        let of_ticket = |entry: &&mut Credential| !entry.is_config();
        remove(cache.credentials.iter_mut().find(of_ticket).unwrap());
        let setting = cache.credentials.last_mut().unwrap();
        remove(setting);
        let mut again = CredentialCache::parse(&cache.encode().unwrap()).unwrap();
        assert_eq!(again.tickets().count(), tickets - 1);
        assert_eq!(again.config("start_realm", None), None);
        let setting = again.credentials.last_mut().unwrap();
        setting.server = setting.server.clone().with_realm(REMOVED_CONFIG_REALM);
        let again = CredentialCache::parse(&again.encode().unwrap()).unwrap();
        assert_eq!(again.tickets().count(), tickets - 1);
        assert_eq!(again.config("start_realm", None), None);
        let kept = again.credentials.len();
        assert_eq!(kept, cache.credentials.len(), "a rewrite loses nothing");
    }

    #[test]
    fn keys_that_cannot_be_used_are_kept() {
        let mut cache = cache("version 4");
        cache.credentials[1].key = CachedKey::of(-133, &[1, 2, 3]);
        cache.credentials[2].key = CachedKey::of(18, &[9; 31]);
        let again = CredentialCache::parse(&cache.encode().unwrap()).unwrap();
        let kept = again.credentials[1..].iter().map(|one| {
            assert!(one.key.usable().is_none());
            (one.key.enctype(), one.key.expose().len())
        });
        assert_eq!(kept.collect::<Vec<_>>(), [(-133, 3), (18, 31)]);
        cache.credentials[1].key = CachedKey::of(1 << 20, &[]);
        assert_eq!(cache.encode().err(), Some(CcacheError::Enctype(1 << 20)));
    }
}
