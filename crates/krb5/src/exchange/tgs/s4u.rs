//! What a request on a user's behalf has besides, and what its reply says of the user ([MS-SFU] §2.2, §3.1.5.1).

use krb5_crypto::{Key, KeyUsage};
use wire::der::{Flags, GeneralString, Word};

use super::{ReplyError, Subject, TgsOptions};
use crate::messages::{
    AUTH_PACKAGE, Checksum, HMAC_MD5, PaData, PaForUser, PaPacOptions, PaS4uX509User,
    PrincipalName, RESOURCE_BASED, S4uUserId, USE_REPLY_KEY_USAGE, pa_type,
};
use crate::principal::{NT_ENTERPRISE, Principal};

/// The pre-authentication data that goes behind the one which holds the ticket-granting ticket, each with its type.
pub(super) fn padata(
    options: &TgsOptions,
    nonce: u32,
    session: &Key,
    subkey: &Key,
) -> Vec<(i32, Vec<u8>)> {
    match &options.subject {
        Subject::Own => Vec::new(),
        Subject::User(user) => vec![
            (pa_type::PA_S4U_X509_USER, x509_user(user, nonce, subkey)),
            (pa_type::PA_FOR_USER, for_user(user, session)),
        ],
        Subject::Evidence { .. } => {
            let flags = Flags::from_bits(RESOURCE_BASED);
            vec![(pa_type::PA_PAC_OPTIONS, PaPacOptions { flags }.encode())]
        }
    }
}

fn x509_user(user: &Principal, nonce: u32, subkey: &Key) -> Vec<u8> {
    let user_id = S4uUserId {
        nonce: Word::from(nonce),
        cname: Some(PrincipalName::from(user)),
        crealm: GeneralString(user.realm()),
        subject_certificate: None,
        options: Some(Flags::from_bits(USE_REPLY_KEY_USAGE)),
    };
    let usage = KeyUsage::PA_S4U_X509_USER_REQUEST;
    let checksum = subkey.checksum(usage, &[&user_id.encode()]);
    let checksum = Checksum {
        cksumtype: subkey.enctype().checksum_type(),
        checksum: &checksum,
    };
    PaS4uX509User { user_id, checksum }.encode()
}

fn for_user(user: &Principal, session: &Key) -> Vec<u8> {
    let mut padata = PaForUser {
        user_name: PrincipalName::from(user),
        user_realm: GeneralString(user.realm()),
        cksum: Checksum {
            cksumtype: HMAC_MD5,
            checksum: &[],
        },
        auth_package: GeneralString(AUTH_PACKAGE),
    };
    let usage = KeyUsage::PA_FOR_USER_CHECKSUM;
    let checksum = session.hmac_md5(usage, &[&padata.checksummed()]);
    padata.cksum.checksum = &checksum;
    padata.encode()
}

/// The user as the KDC names it under the request's subkey, if it does. A name in another form is taken for an enterprise
/// name alone, which is one to be looked up (RFC 6806 §5).
pub(super) fn user_of_reply(
    options: &TgsOptions,
    nonce: u32,
    subkey: &Key,
    padata: Option<&[PaData<'_>]>,
) -> Result<Option<Principal>, ReplyError> {
    let Subject::User(asked) = &options.subject else {
        return Ok(None);
    };
    let Some(value) = PaData::value_of(padata.unwrap_or_default(), pa_type::PA_S4U_X509_USER)
    else {
        return Ok(None);
    };
    let PaS4uX509User { user_id, checksum } =
        PaS4uX509User::decode(value).map_err(ReplyError::Malformed)?;
    let options = user_id.options.unwrap_or_default();
    let usage = match options.contains(USE_REPLY_KEY_USAGE) {
        true => KeyUsage::PA_S4U_X509_USER_REPLY,
        false => KeyUsage::PA_S4U_X509_USER_REQUEST,
    };
    let verified = subkey.verify_checksum(usage, &[&user_id.encode()], checksum.checksum);
    let own_type = checksum.cksumtype == subkey.enctype().checksum_type();
    if verified.is_err() || !own_type || user_id.nonce.bits() != nonce {
        return Err(ReplyError::UserUnproven);
    }
    let cname = user_id.cname.ok_or(ReplyError::UserUnproven)?;
    let user = cname.in_realm(user_id.crealm);
    if user != *asked && asked.name_type() != NT_ENTERPRISE {
        return Err(ReplyError::Client);
    }
    Ok(Some(user))
}

/// Whether the KDC says, in the reply's encrypted part, that it knows resource-based constrained delegation.
pub(super) fn is_resource_based(padata: Option<&[PaData<'_>]>) -> Result<bool, ReplyError> {
    let value = PaData::value_of(padata.unwrap_or_default(), pa_type::PA_PAC_OPTIONS);
    let options = value.map(PaPacOptions::decode).transpose();
    let options = options.map_err(ReplyError::EncPartMalformed)?;
    Ok(options.is_some_and(|options| options.flags.contains(RESOURCE_BASED)))
}
