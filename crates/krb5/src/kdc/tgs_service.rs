//! The ticket-granting service (RFC 4120 §3.3.2, §3.3.3).

use krb5_crypto::{Key, KeyUsage};
use wire::der::{GeneralString, Value};
use wire::time::Timestamp;
use zeroize::Zeroizing;

use super::behalf::Behalf;
use super::grant::{Grant, Limit, OPTIONAL, enctype, pa_data, within};
use super::refusal::Refusal;
use super::signature::AD_SIGNTICKET;
use super::{KdcReqBody, Service, TgsReq, behalf, error_code, signature};
use crate::exchange::transited::{DOMAIN_X500_COMPRESS, append};
use crate::messages::{
    AD_AUTHENTICATION_INDICATOR, AD_CAMMAC, AD_WIN2K_PAC, ApReq, Authenticator, AuthorizationData,
    AuthorizationDataElement, Const, EncTicketPart, EncryptedData, HostAddress, KerberosTime,
    PaData, PrincipalName, TgsRep, Ticket, flatten, kdc_options, pa_type, ticket_flags,
};
use crate::principal::Principal;

/// Options that nobody has here.
const REFUSED: u32 = kdc_options::PROXY
    | kdc_options::REQUEST_ANONYMOUS
    | kdc_options::ENC_TKT_IN_SKEY
    | kdc_options::VALIDATE;

/// Flags that a ticket takes over from the one it comes from.
const INHERITED: u32 =
    ticket_flags::PRE_AUTHENT | ticket_flags::HW_AUTHENT | ticket_flags::FORWARDED;

/// A request whose sender holds the ticket-granting ticket's session key.
pub(super) struct Authentic<'a> {
    /// The realm whose KDC gave the ticket-granting ticket.
    issuer: &'a [u8],
    tgt: EncTicketPart<'a>,
    session: Key,
    subkey: Option<Key>,
}

impl Service<'_> {
    pub(super) fn tgs_reply(&self, request: &TgsReq<'_>) -> Result<Vec<u8>, Refusal> {
        let body = &request.req_body;
        let header = ap_req(request)?;
        let header = ApReq::decode(header)?;
        let ticket = self.open_ticket(&header.ticket)?;
        let tgt = EncTicketPart::decode(&ticket)?;
        let session = tgt
            .key
            .to_key()
            .map_err(|_| refuse(error_code::KDC_ERR_ETYPE_NOSUPP))?;
        let plain = header
            .authenticator
            .decrypt_as(&session, KeyUsage::TGS_REQ_AUTHENTICATOR)
            .map_err(|_| refuse(error_code::KRB_AP_ERR_BAD_INTEGRITY))?;
        let authenticator = Authenticator::decode(&plain)?;
        self.check_authenticator(&authenticator, &tgt)?;
        self.check_ticket(&tgt)?;
        check_body(&authenticator, &session, body)?;
        let subkey = authenticator
            .subkey
            .map(|subkey| subkey.to_key())
            .transpose();
        let subkey = subkey.map_err(|_| refuse(error_code::KDC_ERR_ETYPE_NOSUPP))?;
        let client = Authentic {
            issuer: header.ticket.realm.0,
            tgt,
            session,
            subkey,
        };
        self.check_issuer(&client)?;
        self.grant(&client, request.padata.as_deref().unwrap_or_default(), body)
    }

    /// The ticket must be one for this realm's ticket-granting service, from this realm or one that it shares a key with.
    fn open_ticket(&self, ticket: &Ticket<'_>) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let krbtgt = Principal::krbtgt(self.kdc.principals.realm()).with_realm(ticket.realm.0);
        if self.kdc.principals.keys(&krbtgt).is_empty() || !ticket.sname.names(&krbtgt) {
            return Err(refuse(error_code::KRB_AP_ERR_NOT_US));
        }
        let etype = enctype(ticket.enc_part.etype)?;
        let kvno = ticket.enc_part.kvno.map(|kvno| kvno.bits());
        let keys = self.kdc.principals.keys(&krbtgt).iter();
        let mut keys = keys.filter(|key| key.key.enctype().number() == etype.number());
        let key = keys
            .find(|key| kvno.is_none_or(|kvno| kvno == key.kvno))
            .ok_or(refuse(error_code::KRB_AP_ERR_BADKEYVER))?;
        let plain = ticket.enc_part.decrypt::<EncTicketPart<'_>>(&key.key);
        plain.map_err(|_| refuse(error_code::KRB_AP_ERR_BAD_INTEGRITY))
    }

    fn check_authenticator(
        &self,
        authenticator: &Authenticator<'_>,
        tgt: &EncTicketPart<'_>,
    ) -> Result<(), Refusal> {
        let same_name = authenticator.cname.name_string == tgt.cname.name_string;
        if authenticator.crealm != tgt.crealm || !same_name {
            return Err(refuse(error_code::KRB_AP_ERR_BADMATCH));
        }
        let micros = Timestamp::from(authenticator.ctime).micros();
        let ctime = Timestamp::from_micros(micros + i64::from(authenticator.cusec.get()));
        if !within(ctime, self.now, self.kdc.policy.clock_skew) {
            return Err(refuse(error_code::KRB_AP_ERR_SKEW));
        }
        Ok(())
    }

    /// Another realm vouches for its own users and those of realms behind it, and not for this realm's.
    fn check_issuer(&self, client: &Authentic<'_>) -> Result<(), Refusal> {
        let own = self.kdc.principals.realm();
        if client.issuer != own && client.tgt.crealm.0 == own {
            return Err(refuse(error_code::KDC_ERR_POLICY));
        }
        if client.tgt.transited.tr_type != DOMAIN_X500_COMPRESS {
            return Err(refuse(error_code::KDC_ERR_TRTYPE_NOSUPP));
        }
        Ok(())
    }

    pub(super) fn check_ticket(&self, tgt: &EncTicketPart<'_>) -> Result<(), Refusal> {
        let skew = self.kdc.policy.clock_skew;
        let starttime = Timestamp::from(tgt.starttime.unwrap_or(tgt.authtime));
        if starttime > self.now + skew || tgt.flags.contains(ticket_flags::INVALID) {
            return Err(refuse(error_code::KRB_AP_ERR_TKT_NYV));
        }
        if Timestamp::from(tgt.endtime) < self.now {
            return Err(refuse(error_code::KRB_AP_ERR_TKT_EXPIRED));
        }
        Ok(())
    }

    fn grant(
        &self,
        client: &Authentic<'_>,
        padata: &[PaData<'_>],
        body: &KdcReqBody<'_>,
    ) -> Result<Vec<u8>, Refusal> {
        let (options, tgt) = (body.kdc_options, &client.tgt);
        if options.bits() & REFUSED != 0 {
            return Err(refuse(error_code::KDC_ERR_BADOPTION));
        }
        if options.contains(kdc_options::POSTDATED) {
            return Err(refuse(error_code::KDC_ERR_CANNOT_POSTDATE));
        }
        let (service, server) = self.server(body)?;
        // RFC 4120 §3.3.3 renews the ticket that is shown, and no other can be shown here than the ticket-granting one:
        // a ticket for another server would take over its flags and its lifetime.
        let krbtgt = Principal::krbtgt(self.kdc.principals.realm());
        if options.contains(kdc_options::RENEW) && (service != krbtgt || self.is_foreign(client)) {
            return Err(refuse(error_code::KDC_ERR_BADOPTION));
        }
        let added = client.authorization_data(body)?;
        let added = added.as_ref().map(|added| AuthorizationData::decode(added));
        let added = added.transpose()?.and_then(from_client);
        let times = self.times_from(tgt, body)?;
        let mut grant = Grant {
            client: client.client(),
            flags: self.flags(client, body, times.renew_till, &service)?,
            server: service,
            server_key: &server[0],
            session: self.session_key(&body.etype, server)?,
            transited: self.transited(client),
            authtime: tgt.authtime,
            starttime: times.starttime,
            endtime: times.endtime,
            renew_till: times.renew_till,
            caddr: addresses(tgt, body),
            authorization_data: joined(added.clone(), tgt.authorization_data.clone()),
            encrypted_pa_data: Vec::new(),
        };
        match self.behalf(client, padata, body, &grant.server)? {
            Behalf::Own => self.tgs_rep(&grant, body, client, None),
            Behalf::User { user, answer } => {
                self.grant_for_user(&mut grant, user);
                grant.authorization_data = added;
                let answer = answer.map(|options| {
                    behalf::answer(&grant.client, options, body.nonce, client.reply_key())
                });
                self.tgs_rep(&grant, body, client, answer)
            }
            Behalf::Evidence(plain) => {
                let mut evidence = EncTicketPart::decode(&plain)?;
                // Verified already. The new ticket gets a mark of its own.
                signature::take_off(&mut evidence);
                grant_with_evidence(&mut grant, &evidence);
                grant.authorization_data = joined(added, evidence.authorization_data);
                self.tgs_rep(&grant, body, client, None)
            }
        }
    }

    /// A ticket of the user's in place of the requester's. It is evidence for S4U2Proxy only if the requester is believed about
    /// who its users are.
    fn grant_for_user(&self, grant: &mut Grant<'_>, user: Principal) {
        if !self.kdc.principals.delegations.trusts(&grant.server) {
            grant.flags &= !ticket_flags::FORWARDABLE;
        }
        grant.flags &= !(ticket_flags::FORWARDED | ticket_flags::PROXIABLE);
        grant.client = user;
    }

    fn is_foreign(&self, client: &Authentic<'_>) -> bool {
        client.issuer != self.kdc.principals.realm()
    }

    /// RFC 4120 §3.3.3.2: the client's realm and this one are left out.
    fn transited(&self, client: &Authentic<'_>) -> Vec<u8> {
        let transited = client.tgt.transited.contents;
        match client.issuer == client.tgt.crealm.0 || !self.is_foreign(client) {
            true => transited.to_vec(),
            false => append(transited, client.issuer),
        }
    }

    fn flags(
        &self,
        client: &Authentic<'_>,
        body: &KdcReqBody<'_>,
        renew_till: Option<KerberosTime>,
        server: &Principal,
    ) -> Result<u32, Refusal> {
        let checked = ticket_flags::TRANSITED_POLICY_CHECKED;
        let flags = flags(&client.tgt, body, renew_till)?;
        // RFC 4120 §2.7: within one realm the path is empty and checked. Another is left to the server.
        let local = client.tgt.crealm.0 == self.kdc.principals.realm();
        let flags = if local { flags } else { flags & !checked };
        Ok(match self.kdc.principals.delegations.recommends(server) {
            true => flags | ticket_flags::OK_AS_DELEGATE,
            false => flags,
        })
    }

    /// A renewed ticket lives as long as the old one did; another lives within the one it comes from.
    fn times_from(
        &self,
        tgt: &EncTicketPart<'_>,
        body: &KdcReqBody<'_>,
    ) -> Result<super::grant::Times, Refusal> {
        let renewable = tgt.flags.contains(ticket_flags::RENEWABLE);
        let renew_till = tgt.renew_till.filter(|_| renewable).map(Timestamp::from);
        if !body.kdc_options.contains(kdc_options::RENEW) {
            let limit = Limit {
                endtime: tgt.endtime.into(),
                renew_till,
            };
            return self.times(body, limit);
        }
        let renew_till = renew_till.ok_or(refuse(error_code::KDC_ERR_BADOPTION))?;
        if renew_till < self.now {
            return Err(refuse(error_code::KRB_AP_ERR_TKT_EXPIRED));
        }
        let starttime = Timestamp::from(tgt.starttime.unwrap_or(tgt.authtime));
        let endtime = self.now + starttime.abs_diff(tgt.endtime.into());
        let limit = Limit {
            endtime: endtime.min(renew_till),
            renew_till: Some(renew_till),
        };
        let times = self.times(body, limit)?;
        Ok(super::grant::Times {
            renew_till: tgt.renew_till,
            ..times
        })
    }

    fn tgs_rep(
        &self,
        grant: &Grant<'_>,
        body: &KdcReqBody<'_>,
        client: &Authentic<'_>,
        answer: Option<(i32, Vec<u8>)>,
    ) -> Result<Vec<u8>, Refusal> {
        let (key, usage) = match &client.subkey {
            Some(subkey) => (subkey, KeyUsage::TGS_REP_ENC_PART_SUBKEY),
            None => (&client.session, KeyUsage::TGS_REP_ENC_PART_SESSION_KEY),
        };
        let cipher = self.enc_part::<26>(grant, body, key, usage);
        let ticket = self.ticket(grant);
        let answer: Vec<_> = answer.into_iter().collect();
        let reply = TgsRep {
            pvno: Const,
            msg_type: Const,
            padata: pa_data(&answer),
            crealm: GeneralString(grant.client.realm()),
            cname: PrincipalName::from(&grant.client),
            ticket: Ticket::decode(&ticket)?,
            enc_part: EncryptedData::new(key, None, &cipher),
        };
        Ok(reply.encode())
    }
}

impl Authentic<'_> {
    /// Who asks.
    pub(super) fn client(&self) -> Principal {
        self.tgt.cname.in_realm(self.tgt.crealm)
    }

    pub(super) fn session(&self) -> &Key {
        &self.session
    }

    /// The key of the reply and of checksums beside the request.
    pub(super) fn reply_key(&self) -> &Key {
        self.subkey.as_ref().unwrap_or(&self.session)
    }

    /// The authorization data that the client adds, still encoded.
    fn authorization_data(
        &self,
        body: &KdcReqBody<'_>,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Refusal> {
        let (key, usage) = match &self.subkey {
            Some(subkey) => (subkey, KeyUsage::TGS_REQ_AUTHORIZATION_DATA_SUBKEY),
            None => (
                &self.session,
                KeyUsage::TGS_REQ_AUTHORIZATION_DATA_SESSION_KEY,
            ),
        };
        let data = body.enc_authorization_data.as_ref();
        let plain = data.map(|data| data.decrypt_as(key, usage)).transpose();
        plain.map_err(|_| refuse(error_code::KRB_AP_ERR_BAD_INTEGRITY))
    }
}

/// A ticket of the evidence's client in place of the requester's, for as long as both last.
fn grant_with_evidence(grant: &mut Grant<'_>, evidence: &EncTicketPart<'_>) {
    grant.client = evidence.cname.in_realm(evidence.crealm);
    grant.transited = evidence.transited.contents.to_vec();
    grant.authtime = evidence.authtime;
    grant.endtime = grant.endtime.min(evidence.endtime);
    let checked = ticket_flags::TRANSITED_POLICY_CHECKED;
    grant.flags = grant.flags & !checked | evidence.flags.bits() & checked;
    grant.renew_till = None;
    grant.flags &= !(ticket_flags::RENEWABLE | ticket_flags::FORWARDED | ticket_flags::PROXIABLE);
    grant.encrypted_pa_data.push(behalf::pac_options());
}

fn refuse(code: i32) -> Refusal {
    Refusal::new(code)
}

fn ap_req<'a>(request: &TgsReq<'a>) -> Result<&'a [u8], Refusal> {
    let padata = request.padata.as_deref().unwrap_or_default();
    let header = PaData::value_of(padata, pa_type::PA_TGS_REQ);
    header.ok_or(refuse(error_code::KDC_ERR_PADATA_TYPE_NOSUPP))
}

/// The authenticator's checksum covers the request; a body has one encoding, so it is the one that came.
fn check_body(
    authenticator: &Authenticator<'_>,
    session: &Key,
    body: &KdcReqBody<'_>,
) -> Result<(), Refusal> {
    let inappropriate = || refuse(error_code::KRB_AP_ERR_INAPP_CKSUM);
    let cksum = authenticator.cksum.as_ref().ok_or_else(inappropriate)?;
    if cksum.cksumtype != session.enctype().checksum_type() {
        return Err(inappropriate());
    }
    let usage = KeyUsage::TGS_REQ_AUTHENTICATOR_CHECKSUM;
    session
        .verify_checksum(usage, &[&body.encode()], cksum.checksum)
        .map_err(|_| refuse(error_code::KRB_AP_ERR_MODIFIED))
}

fn flags(
    tgt: &EncTicketPart<'_>,
    body: &KdcReqBody<'_>,
    renew_till: Option<KerberosTime>,
) -> Result<u32, Refusal> {
    let options = body.kdc_options;
    if options.contains(kdc_options::RENEW) {
        return Ok(tgt.flags.without(ticket_flags::INITIAL).bits());
    }
    let mut flags = tgt.flags.bits() & INHERITED;
    flags |= ticket_flags::TRANSITED_POLICY_CHECKED;
    for (option, flag) in OPTIONAL {
        if options.contains(option) && tgt.flags.contains(flag) {
            flags |= flag;
        }
    }
    if renew_till.is_some() {
        flags |= ticket_flags::RENEWABLE;
    }
    if options.contains(kdc_options::FORWARDED) {
        if !tgt.flags.contains(ticket_flags::FORWARDABLE) {
            return Err(refuse(error_code::KDC_ERR_BADOPTION));
        }
        flags |= ticket_flags::FORWARDED;
    }
    Ok(flags)
}

/// A forwarded ticket is for the addresses of the request, any other for those of the ticket it comes from.
fn addresses<'a>(tgt: &EncTicketPart<'a>, body: &KdcReqBody<'a>) -> Option<Vec<HostAddress<'a>>> {
    if body.kdc_options.contains(kdc_options::FORWARDED) {
        body.addresses.clone()
    } else {
        tgt.caddr.clone()
    }
}

/// What a client may have put into its ticket: all but what only a KDC vouches for (RFC 4120 §5.2.6.2, RFC 7751, RFC 8129,
/// and Microsoft's and MIT's own), bare or in a container. A container that cannot be read is left out too.
fn from_client(mut added: AuthorizationData<'_>) -> Option<AuthorizationData<'_>> {
    const AD_KDC_ISSUED: i32 = 4;
    let harmless = |element: &AuthorizationDataElement<'_>| {
        !matches!(
            element.ad_type,
            AD_KDC_ISSUED | AD_CAMMAC | AD_AUTHENTICATION_INDICATOR | AD_WIN2K_PAC | AD_SIGNTICKET
        )
    };
    added.retain(|element| {
        flatten(&vec![*element]).is_ok_and(|contents| contents.iter().all(harmless))
    });
    (!added.is_empty()).then_some(added)
}

fn joined<'a>(
    added: Option<AuthorizationData<'a>>,
    own: Option<AuthorizationData<'a>>,
) -> Option<AuthorizationData<'a>> {
    match (added, own) {
        (Some(mut added), Some(own)) => {
            added.extend(own);
            Some(added)
        }
        (added, own) => added.or(own),
    }
}
