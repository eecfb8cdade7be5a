//! On whose behalf a ticket is asked for: the requester's own, a user's for the requester itself (S4U2Self), or that of a
//! user who has shown the requester a ticket (S4U2Proxy). [MS-SFU] §3.2.5.

use krb5_crypto::{Key, KeyUsage};
use wire::der::{Flags, GeneralString, Word};
use zeroize::Zeroizing;

use super::refusal::Refusal;
use super::tgs_service::Authentic;
use super::{KdcReqBody, Service, error_code, signature};
use crate::messages::{
    AUTH_PACKAGE, Checksum, EncTicketPart, HMAC_MD5, PaData, PaForUser, PaPacOptions,
    PaS4uX509User, PrincipalName, RESOURCE_BASED, S4uUserId, Ticket, USE_REPLY_KEY_USAGE,
    kdc_options, pa_type, ticket_flags,
};
use crate::principal::Principal;

/// On whose behalf.
pub(super) enum Behalf {
    /// The requester's.
    Own,
    /// A user's, for the requester itself.
    User {
        user: Principal,
        /// The options of the newer form of the request, which has an answer.
        answer: Option<u32>,
    },
    /// That of the client of a ticket, which was opened.
    Evidence(Zeroizing<Vec<u8>>),
}

impl Service<'_> {
    pub(super) fn behalf(
        &self,
        requester: &Authentic<'_>,
        padata: &[PaData<'_>],
        body: &KdcReqBody<'_>,
        server: &Principal,
    ) -> Result<Behalf, Refusal> {
        let user = user(requester, padata, body.nonce)?;
        let evidence = body.kdc_options.contains(kdc_options::CNAME_IN_ADDL_TKT);
        match (user, evidence) {
            (None, false) => Ok(Behalf::Own),
            (None, true) => self.evidence(requester, padata, body, server),
            (Some((user, answer)), false) => {
                self.check_user(requester, &user, server)?;
                Ok(Behalf::User { user, answer })
            }
            (Some(_), true) => Err(refuse(error_code::KDC_ERR_BADOPTION)),
        }
    }

    /// A user of this realm, for the requester itself.
    fn check_user(
        &self,
        requester: &Authentic<'_>,
        user: &Principal,
        server: &Principal,
    ) -> Result<(), Refusal> {
        if *server != requester.client() {
            return Err(refuse(error_code::KRB_AP_ERR_BADMATCH));
        }
        let principals = &self.kdc.principals;
        if principals.keys(user).is_empty() || user.realm() != principals.realm() {
            return Err(refuse(error_code::KDC_ERR_C_PRINCIPAL_UNKNOWN));
        }
        Ok(())
    }

    /// The evidence is a ticket for the requester that this realm signed, and the requester may reach the server with it.
    fn evidence(
        &self,
        requester: &Authentic<'_>,
        padata: &[PaData<'_>],
        body: &KdcReqBody<'_>,
        server: &Principal,
    ) -> Result<Behalf, Refusal> {
        let bad = || refuse(error_code::KDC_ERR_BADOPTION);
        let Some([ticket]) = body.additional_tickets.as_deref() else {
            return Err(bad());
        };
        let service = requester.client();
        if ticket.sname.in_realm(ticket.realm) != service {
            return Err(refuse(error_code::KRB_AP_ERR_NOT_US));
        }
        let plain = self.open_evidence(ticket, &service)?;
        let mut part = EncTicketPart::decode(&plain)?;
        self.check_ticket(&part)?;
        let principals = &self.kdc.principals;
        if !signature::verify(principals, &service, &mut part) {
            return Err(refuse(error_code::KRB_AP_ERR_MODIFIED));
        }
        let delegations = &principals.delegations;
        let forwardable = part.flags.contains(ticket_flags::FORWARDABLE);
        let by_resource = resource_based(padata)? && delegations.resource_allows(server, &service);
        if !(by_resource || forwardable && delegations.allows(&service, server)) {
            return Err(bad());
        }
        Ok(Behalf::Evidence(plain))
    }

    fn open_evidence(
        &self,
        ticket: &Ticket<'_>,
        service: &Principal,
    ) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let keys = self.kdc.principals.keys(service).iter();
        let kvno = ticket.enc_part.kvno.map(Word::bits);
        let mut keys = keys.filter(|key| kvno.is_none_or(|kvno| kvno == key.kvno));
        let opened =
            keys.find_map(|key| ticket.enc_part.decrypt::<EncTicketPart<'_>>(&key.key).ok());
        opened.ok_or(refuse(error_code::KRB_AP_ERR_BAD_INTEGRITY))
    }
}

/// The user that the pre-authentication data names, and the options of the newer form. Where both forms are there, both
/// must be right and name the same.
fn user(
    requester: &Authentic<'_>,
    padata: &[PaData<'_>],
    nonce: Word,
) -> Result<Option<(Principal, Option<u32>)>, Refusal> {
    let newer = PaData::value_of(padata, pa_type::PA_S4U_X509_USER);
    let newer = newer
        .map(|value| x509_user(requester, value, nonce))
        .transpose()?;
    let older = PaData::value_of(padata, pa_type::PA_FOR_USER);
    let older = older
        .map(|value| for_user(requester.session(), value))
        .transpose()?;
    match (newer, older) {
        (Some((newer, _)), Some(older)) if newer != older => {
            Err(refuse(error_code::KRB_AP_ERR_BADMATCH))
        }
        (Some((user, options)), _) => Ok(Some((user, Some(options)))),
        (None, older) => Ok(older.map(|user| (user, None))),
    }
}

fn x509_user(
    requester: &Authentic<'_>,
    value: &[u8],
    nonce: Word,
) -> Result<(Principal, u32), Refusal> {
    let PaS4uX509User { user_id, checksum } = PaS4uX509User::decode(value)?;
    let key = requester.reply_key();
    let usage = KeyUsage::PA_S4U_X509_USER_REQUEST;
    let verified = key.verify_checksum(usage, &[&user_id.encode()], checksum.checksum);
    if verified.is_err() || checksum.cksumtype != key.enctype().checksum_type() {
        return Err(refuse(error_code::KRB_AP_ERR_MODIFIED));
    }
    let unknown = || refuse(error_code::KDC_ERR_C_PRINCIPAL_UNKNOWN);
    if user_id.nonce != nonce {
        return Err(refuse(error_code::KRB_AP_ERR_MODIFIED));
    }
    let cname = user_id.cname.ok_or_else(unknown)?;
    let options = user_id.options.unwrap_or_default();
    Ok((cname.in_realm(user_id.crealm), options.bits()))
}

fn for_user(session: &Key, value: &[u8]) -> Result<Principal, Refusal> {
    let data = PaForUser::decode(value)?;
    let (usage, checksum) = (KeyUsage::PA_FOR_USER_CHECKSUM, data.cksum.checksum);
    let signed = data.checksummed();
    let verified = match data.cksum.cksumtype {
        HMAC_MD5 => session.verify_hmac_md5(usage, &[&signed], checksum),
        // Heimdal's client signs with the key's own checksum.
        other if other == session.enctype().checksum_type() => {
            session.verify_checksum(usage, &[&signed], checksum)
        }
        _ => return Err(refuse(error_code::KRB_AP_ERR_INAPP_CKSUM)),
    };
    if verified.is_err() || data.auth_package.0 != AUTH_PACKAGE {
        return Err(refuse(error_code::KRB_AP_ERR_MODIFIED));
    }
    Ok(data.user_name.in_realm(data.user_realm))
}

/// The answer to the newer form of a request on a user's behalf.
pub(crate) fn answer(user: &Principal, options: u32, nonce: Word, key: &Key) -> (i32, Vec<u8>) {
    let options = options & USE_REPLY_KEY_USAGE;
    let usage = match options {
        0 => KeyUsage::PA_S4U_X509_USER_REQUEST,
        _ => KeyUsage::PA_S4U_X509_USER_REPLY,
    };
    let user_id = S4uUserId {
        nonce,
        cname: Some(PrincipalName::from(user)),
        crealm: GeneralString(user.realm()),
        subject_certificate: None,
        options: Some(Flags::from_bits(options)),
    };
    let checksum = key.checksum(usage, &[&user_id.encode()]);
    let checksum = Checksum {
        cksumtype: key.enctype().checksum_type(),
        checksum: &checksum,
    };
    let value = PaS4uX509User { user_id, checksum }.encode();
    (pa_type::PA_S4U_X509_USER, value)
}

/// What the reply's encrypted part says of the KDC: that it knows resource-based constrained delegation.
pub(super) fn pac_options() -> (i32, Vec<u8>) {
    let flags = Flags::from_bits(RESOURCE_BASED);
    (pa_type::PA_PAC_OPTIONS, PaPacOptions { flags }.encode())
}

fn resource_based(padata: &[PaData<'_>]) -> Result<bool, Refusal> {
    let options = PaData::value_of(padata, pa_type::PA_PAC_OPTIONS);
    let options = options.map(PaPacOptions::decode).transpose()?;
    Ok(options.is_some_and(|options| options.flags.contains(RESOURCE_BASED)))
}

fn refuse(code: i32) -> Refusal {
    Refusal::new(code)
}
