//! What a ticket says of its client beside the name (RFC 6680), under the names that MIT's and Heimdal's libraries give it.
//!
//! | attribute | values | authenticated |
//! |---|---|---|
//! | `urn:mspac:` | the PAC | if the KDC [vouches](krb5::exchange::ap::Vouched) for it |
//! | `urn:mspac:logon-info` and the like, `urn:mspac:`*number* | one buffer of the PAC | the same |
//! | `auth-indicators` | how the client authenticated to its KDC (RFC 8129) | always |
//! | `urn:ietf:kerberos:nameattr-realm`, `-name-ncomp`, `-name-ncomp#`*n* | parts of the name | in a context's name |
//! | `urn:ietf:kerberos:nameattr-ticket-authz-data` | all authorization data, in DER | never: a client may have put it there |
//! | `urn:ietf:kerberos:nameattr-authz-data#`*type* | the elements of that type | never |

use std::fmt;
use std::sync::Arc;

use gss_core::name::MechName;
use gss_core::name::attributes::{Attribute, AttributeValue, Attributes};
use krb5::exchange::ap::Vouched;
use krb5::messages::{
    AD_IF_RELEVANT, AD_WIN2K_PAC, AuthorizationData, AuthorizationDataElement, Value, flatten,
};
use krb5::pac::{self, Pac};
use krb5::principal::Principal;
use wire::fields::{FieldReader, FieldWriter};
use wire::read::{ReadError, Reader};

use crate::error::Malformed;
use crate::names::mech_name;
use crate::state::{read_vouched, write_vouched};

/// The whole PAC; with a name behind it, one of its buffers.
const MSPAC: &str = "urn:mspac:";
const INDICATORS: &str = "auth-indicators";
const NAMEATTR: &str = "urn:ietf:kerberos:nameattr-";

/// The buffers that have names, MIT's first: those are told, all are understood.
const BUFFERS: [(u32, &str); 10] = [
    (pac::LOGON_INFO, "logon-info"),
    (pac::CREDENTIALS_INFO, "credentials-info"),
    (pac::SERVER_CHECKSUM, "server-checksum"),
    (pac::PRIVSVR_CHECKSUM, "privsvr-checksum"),
    (pac::CLIENT_INFO, "client-info"),
    (pac::DELEGATION_INFO, "delegation-info"),
    (pac::UPN_DNS_INFO, "upn-dns-info"),
    (pac::TICKET_CHECKSUM, "ticket-checksum"),
    (pac::ATTRIBUTES_INFO, "attributes-info"),
    (pac::REQUESTOR, "requestor-sid"),
];
/// How many of those MIT's library names.
const MITS: usize = 7;

/// A client's name and what its ticket says of it.
pub(crate) struct TicketAttributes {
    principal: Option<Principal>,
    /// Whether somebody proved to have that name.
    authentic: bool,
    authorization_data: Vec<u8>,
    vouched: Vouched,
}

impl TicketAttributes {
    /// Of the initiator that is displayed as `name`.
    pub(crate) fn new(name: &[u8], authorization_data: Vec<u8>, vouched: Vouched) -> Self {
        Self {
            principal: Principal::parse_bytes(name, None).ok(),
            authentic: true,
            authorization_data,
            vouched,
        }
    }

    fn elements(&self) -> Vec<AuthorizationDataElement<'_>> {
        if self.authorization_data.is_empty() {
            return Vec::new();
        }
        let data = AuthorizationData::decode(&self.authorization_data);
        data.and_then(|data| flatten(&data)).unwrap_or_default()
    }

    fn pac(&self) -> Option<Pac<'_>> {
        let elements = self.elements();
        let pac = elements
            .iter()
            .find(|element| element.ad_type == AD_WIN2K_PAC)?;
        Pac::parse(pac.ad_data).ok()
    }

    fn of_pac(&self, name: &str) -> Option<Attribute> {
        let pac = self.pac()?;
        let value = match name {
            "" => pac.bytes(),
            name => pac.buffer(buffer_type(name)?)?,
        };
        Some(Attribute::single(self.vouched.pac, value, None))
    }

    fn nameattr(&self, name: &str) -> Option<Attribute> {
        let principal = self.principal.as_ref();
        let text = |value: &[u8]| {
            let shown = str::from_utf8(value).ok().map(str::to_owned);
            Attribute::single(self.authentic, value, shown)
        };
        let (name, fragment) = match name.split_once('#') {
            Some((name, fragment)) => (name, Some(fragment)),
            None => (name, None),
        };
        match (name, fragment) {
            ("realm", None) => Some(text(principal?.realm())),
            ("name-ncomp", None) => {
                let count = principal?.components().len();
                Some(text(count.to_string().as_bytes()))
            }
            ("name-ncomp", Some(number)) => {
                let at = usize::try_from(number_of(number)?).ok()?;
                Some(text(principal?.components().get(at)?))
            }
            ("ticket-authz-data", None) => (!self.authorization_data.is_empty())
                .then(|| Attribute::single(false, &*self.authorization_data, None)),
            ("ticket-authz-data", Some("pac")) => self.of_pac(""),
            ("authz-data", Some(number)) => self.of_type(number_of(number)?),
            _ => None,
        }
    }

    fn of_type(&self, ad_type: u32) -> Option<Attribute> {
        let elements = self.elements().into_iter();
        let values: Vec<_> = elements
            .filter(|element| i64::from(element.ad_type) == i64::from(ad_type))
            .map(|element| AttributeValue {
                value: element.ad_data.to_vec(),
                display: None,
            })
            .collect();
        (!values.is_empty()).then_some(Attribute {
            authenticated: false,
            complete: true,
            values,
        })
    }

    fn indicators(&self) -> Option<Attribute> {
        let all = &self.vouched.indicators;
        (!all.is_empty()).then(|| Attribute {
            authenticated: true,
            complete: true,
            values: all
                .iter()
                .map(|one| AttributeValue {
                    value: one.as_bytes().to_vec(),
                    display: Some(one.clone()),
                })
                .collect(),
        })
    }
}

/// The type of the buffer that is called so: by name, without regard to case as in MIT's library, or by number.
fn buffer_type(name: &str) -> Option<u32> {
    let named = BUFFERS
        .iter()
        .find(|(_, known)| known.eq_ignore_ascii_case(name));
    named.map(|(number, _)| *number).or_else(|| number_of(name))
}

/// A number in its one spelling.
fn number_of(text: &str) -> Option<u32> {
    let number: u32 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// The rest of `name` behind `prefix`, in whatever case that is written.
fn behind<'n>(prefix: &str, name: &'n str) -> Option<&'n str> {
    let (head, rest) = name.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

impl Attributes for TicketAttributes {
    fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        if let Some(pac) = self.pac() {
            names.push(MSPAC.to_owned());
            names.extend(pac.types().map(|number| {
                let mits = BUFFERS[..MITS].iter().find(|(known, _)| *known == number);
                match mits {
                    Some((_, name)) => format!("{MSPAC}{name}"),
                    None => format!("{MSPAC}{number}"),
                }
            }));
        }
        if !self.vouched.indicators.is_empty() {
            names.push(INDICATORS.to_owned());
        }
        if let Some(principal) = &self.principal {
            names.push(format!("{NAMEATTR}realm"));
            names.push(format!("{NAMEATTR}name-ncomp"));
            let components = 0..principal.components().len();
            names.extend(components.map(|at| format!("{NAMEATTR}name-ncomp#{at}")));
        }
        if !self.authorization_data.is_empty() {
            names.push(format!("{NAMEATTR}ticket-authz-data"));
        }
        let mut types: Vec<i32> = self.elements().iter().map(|one| one.ad_type).collect();
        types.sort_unstable();
        types.dedup();
        let types = types.iter().filter(|ad_type| **ad_type >= 0);
        names.extend(types.map(|ad_type| format!("{NAMEATTR}authz-data#{ad_type}")));
        names
    }

    fn get(&self, name: &str) -> Option<Attribute> {
        if name == INDICATORS {
            return self.indicators();
        }
        if let Some(rest) = behind(MSPAC, name) {
            return self.of_pac(rest);
        }
        self.nameattr(name.strip_prefix(NAMEATTR)?)
    }

    /// What MIT's library writes: a count of modules, each its name and its state, here those of the PAC and of indicators; it
    /// passes over what follows, which is all that we know.
    fn export(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let (pac, indicators) = (self.pac(), &self.vouched.indicators);
        let modules = u32::from(pac.is_some()) + u32::from(!indicators.is_empty());
        put_number(modules, &mut out);
        if let Some(pac) = pac {
            put_bytes(PAC_MODULE, &mut out);
            put_bytes(pac.bytes(), &mut out);
            put_number(u32::from(self.vouched.pac), &mut out);
        }
        if !indicators.is_empty() {
            put_bytes(INDICATORS_MODULE, &mut out);
            put_number(indicators.len() as u32, &mut out);
            indicators
                .iter()
                .for_each(|one| put_bytes(one.as_bytes(), &mut out));
        }
        out.extend_from_slice(OURS);
        let mut fields = FieldWriter::new(&mut out, VERSION);
        fields
            .number(AUTHENTIC, u64::from(self.authentic))
            .bytes(AUTHORIZATION_DATA, &self.authorization_data);
        write_vouched(&self.vouched, &mut fields);
        out
    }
}

/// Names and lengths alone: what is in a PAC is the client's.
impl fmt::Debug for TicketAttributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// The modules of MIT's library that export something.
const PAC_MODULE: &[u8] = b"mspac";
const INDICATORS_MODULE: &[u8] = b"authentication-indicators";
/// How many indicators there could be.
const MAX_INDICATORS: u32 = 64;
/// Where our part of an export begins.
const OURS: &[u8] = b"baton";
const VERSION: u8 = 1;
const AUTHENTIC: u8 = 1;
const AUTHORIZATION_DATA: u8 = 2;
/// How many modules MIT's library could have.
const MAX_MODULES: u32 = 16;

fn put_number(number: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&number.to_be_bytes());
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_number(bytes.len() as u32, out);
    out.extend_from_slice(bytes);
}

/// The name of `principal` with attributes that were exported with it (RFC 6680 §7.8), by us or by MIT's library. They are as
/// authentic as they say: whoever reads them has to trust where they come from.
pub fn composite(principal: Principal, attributes: &[u8]) -> Result<MechName, Malformed> {
    let name = mech_name(&principal);
    if attributes.is_empty() {
        return Ok(name);
    }
    let mut reader = Reader::new(attributes);
    let theirs = mits(&mut reader)?;
    let mut attributes = match reader.rest() {
        [] => theirs,
        rest => ours(rest)?,
    };
    attributes.principal = Some(principal);
    Ok(name.with_attributes(Arc::new(attributes)))
}

fn mits(reader: &mut Reader<'_>) -> Result<TicketAttributes, Malformed> {
    let mut found = TicketAttributes {
        principal: None,
        authentic: false,
        authorization_data: Vec::new(),
        vouched: Vouched::default(),
    };
    let count = reader.u32_be().map_err(cut)?;
    if count > MAX_MODULES {
        return Err(Malformed::Attributes);
    }
    for _ in 0..count {
        match counted(reader).map_err(cut)? {
            PAC_MODULE => {
                let pac = counted(reader).map_err(cut)?;
                let verified = reader.u32_be().map_err(cut)? != 0;
                if !pac.is_empty() {
                    Pac::parse(pac).map_err(|_| Malformed::Attributes)?;
                    found.authorization_data = contained(pac);
                    found.vouched.pac = verified;
                }
            }
            INDICATORS_MODULE => found.vouched.indicators = mits_indicators(reader)?,
            _ => return Err(Malformed::Attributes),
        }
    }
    Ok(found)
}

fn mits_indicators(reader: &mut Reader<'_>) -> Result<Vec<String>, Malformed> {
    let count = reader.u32_be().map_err(cut)?;
    if count > MAX_INDICATORS {
        return Err(Malformed::Attributes);
    }
    let one = |_| {
        let text = counted(reader).map_err(cut)?.to_vec();
        String::from_utf8(text).map_err(|_| Malformed::Attributes)
    };
    (0..count).map(one).collect()
}

/// A PAC as a ticket has it.
fn contained(pac: &[u8]) -> Vec<u8> {
    let element = |ad_type, ad_data| AuthorizationDataElement { ad_type, ad_data };
    let inner = vec![element(AD_WIN2K_PAC, pac)].encode();
    vec![element(AD_IF_RELEVANT, &inner)].encode()
}

fn ours(bytes: &[u8]) -> Result<TicketAttributes, Malformed> {
    let table = bytes.strip_prefix(OURS).ok_or(Malformed::Attributes)?;
    let mut fields = FieldReader::new(table, VERSION)?;
    let authentic = match fields.number(AUTHENTIC)? {
        0 => false,
        1 => true,
        _ => return Err(Malformed::Attributes),
    };
    let authorization_data = fields.bytes(AUTHORIZATION_DATA)?.to_vec();
    let vouched = read_vouched(&mut fields)?;
    fields.finish()?;
    Ok(TicketAttributes {
        principal: None,
        authentic,
        authorization_data,
        vouched,
    })
}

fn counted<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], ReadError> {
    let length = reader.u32_be()?;
    reader.take(usize::try_from(length).unwrap_or(usize::MAX))
}

fn cut(_: ReadError) -> Malformed {
    Malformed::Attributes
}
