//! Credentials that are sent to another (RFC 4120 §3.6, KRB-CRED): written by who forwards them, read by who gets them.

use krb5_crypto::Key;
use wire::der::DerError;
use wire::random::Random;
use wire::time::Timestamp;
use zeroize::Zeroizing;

use crate::formats::ccache::{CachedKey, Credential, Typed};
use crate::messages::{
    Const, EncKrbCredPart, EncryptedData, EncryptionKey, Flags, HostAddress, KrbCred, KrbCredInfo,
    PrincipalName, Realm, Ticket, encrypt,
};
use crate::principal::Principal;

/// The enctype of a part that is not encrypted (RFC 6448).
const NULL: i32 = 0;

/// Why credentials cannot be sent, or those that came cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredError {
    /// The message, its encrypted part, or a ticket to be sent is not DER of its type.
    #[error("the message with forwarded credentials is malformed: {0}")]
    Malformed(DerError),
    /// No key that the credentials may be under opens them.
    #[error("the forwarded credentials' integrity check failed: altered, or under another key")]
    Integrity,
    /// There is no credential.
    #[error("the message with forwarded credentials has none")]
    Empty,
    /// There are more tickets than descriptions, or the reverse (RFC 4120 §5.8.1).
    #[error("the forwarded tickets are {tickets}, and {described} are described")]
    Count {
        /// How many tickets there are.
        tickets: usize,
        /// How many are described.
        described: usize,
    },
    /// A description does not name the client or the server.
    #[error("a forwarded credential does not say whose it is, or what for")]
    Nameless,
    /// Not all of them are of one client.
    #[error("the forwarded credentials are of several clients")]
    SeveralClients,
    /// An address of a kind that no cache can hold.
    #[error("a forwarded credential has an address of kind {0}")]
    Address(i32),
    /// A session key of an enctype that is unknown here cannot be sent.
    #[error("the credential's session key is of enctype {0}, which is not supported")]
    KeyEnctype(i32),
}

/// The message that sends `credentials` to whoever has `key`.
pub fn write(
    credentials: &[Credential],
    key: &Key,
    now: Timestamp,
    random: &dyn Random,
) -> Result<Vec<u8>, CredError> {
    let tickets = credentials.iter().map(|one| Ticket::decode(&one.ticket));
    let tickets: Result<_, _> = tickets.collect();
    let ticket_info: Result<_, _> = credentials.iter().map(describe).collect();
    let part = EncKrbCredPart {
        ticket_info: ticket_info?,
        nonce: None,
        timestamp: Some(now.into()),
        usec: Some(now.into()),
        s_address: None,
        r_address: None,
    };
    let cipher = encrypt(&part, key, random);
    Ok(KrbCred {
        pvno: Const,
        msg_type: Const,
        tickets: tickets.map_err(CredError::Malformed)?,
        enc_part: EncryptedData::new(key, None, &cipher),
    }
    .encode())
}

fn describe(credential: &Credential) -> Result<KrbCredInfo<'_>, CredError> {
    let number = credential.key.enctype();
    let key = credential.key.usable();
    let key = key.ok_or(CredError::KeyEnctype(number))?;
    let said = |time: Timestamp| (time != Timestamp::default()).then(|| time.into());
    let addresses = credential.addresses.iter().map(|one| HostAddress {
        addr_type: i32::from(one.kind),
        address: &one.data,
    });
    Ok(KrbCredInfo {
        key: EncryptionKey::from(&**key),
        prealm: Some(Realm(credential.client.realm())),
        pname: Some((&credential.client).into()),
        flags: Some(Flags::from_bits(credential.flags)),
        authtime: said(credential.authtime),
        starttime: said(credential.starttime),
        endtime: said(credential.endtime),
        renew_till: said(credential.renew_till),
        srealm: Some(Realm(credential.server.realm())),
        sname: Some((&credential.server).into()),
        caddr: (!credential.addresses.is_empty()).then(|| addresses.collect()),
    })
}

/// The credentials in `message`, all of one client, which is under one of `keys`.
///
/// A message whose part is not encrypted at all (RFC 6448) is read as well: it must have come in something that is sealed, as the
/// checksum of an authenticator is.
pub fn read(message: &[u8], keys: &[&Key]) -> Result<Vec<Credential>, CredError> {
    let message = KrbCred::decode(message).map_err(CredError::Malformed)?;
    let plaintext = open(&message.enc_part, keys)?;
    let part = EncKrbCredPart::decode(&plaintext).map_err(CredError::Malformed)?;
    let (tickets, described) = (message.tickets.len(), part.ticket_info.len());
    if tickets != described {
        return Err(CredError::Count { tickets, described });
    }
    let pairs = message.tickets.iter().zip(&part.ticket_info);
    let credentials: Vec<_> = pairs
        .map(|(ticket, info)| credential(ticket, info))
        .collect::<Result<_, _>>()?;
    let first = credentials.first().ok_or(CredError::Empty)?;
    if credentials.iter().any(|one| one.client != first.client) {
        return Err(CredError::SeveralClients);
    }
    Ok(credentials)
}

fn open(part: &EncryptedData<'_>, keys: &[&Key]) -> Result<Zeroizing<Vec<u8>>, CredError> {
    if part.etype == NULL {
        return Ok(Zeroizing::new(part.cipher.to_vec()));
    }
    let mut opened = keys
        .iter()
        .filter_map(|key| part.decrypt::<EncKrbCredPart<'_>>(key).ok());
    opened.next().ok_or(CredError::Integrity)
}

fn credential(ticket: &Ticket<'_>, info: &KrbCredInfo<'_>) -> Result<Credential, CredError> {
    let named = |name: &Option<PrincipalName<'_>>, realm: Option<Realm<'_>>| {
        let (name, realm) = name.as_ref().zip(realm)?;
        Some(name.in_realm(realm))
    };
    let client: Option<Principal> = named(&info.pname, info.prealm);
    let server = named(&info.sname, info.srealm);
    let (client, server) = client.zip(server).ok_or(CredError::Nameless)?;
    let time = |said: Option<_>| said.map_or_else(Timestamp::default, Timestamp::from);
    let address = |one: &HostAddress<'_>| {
        let kind = u16::try_from(one.addr_type);
        let kind = kind.map_err(|_| CredError::Address(one.addr_type))?;
        let data = one.address.to_vec();
        Ok(Typed { kind, data })
    };
    let addresses = info.caddr.iter().flatten().map(address);
    Ok(Credential {
        client,
        server,
        key: CachedKey::of(info.key.keytype, info.key.keyvalue),
        authtime: time(info.authtime),
        starttime: time(info.starttime),
        endtime: time(info.endtime),
        renew_till: time(info.renew_till),
        is_skey: false,
        flags: info.flags.map_or(0, Flags::bits),
        addresses: addresses.collect::<Result<_, _>>()?,
        authdata: Vec::new(),
        ticket: ticket.encode(),
        second_ticket: Vec::new(),
    })
}

#[cfg(test)]
mod tests;
