//! Authorization data (RFC 4120 §5.2.6).

use wire::der::{DerError, Value};

/// Elements that a server may pass over if it does not know them (RFC 4120 §5.2.6.1).
pub const AD_IF_RELEVANT: i32 = 1;
/// Enctypes that the client offers for the server's subkey (RFC 4537 §3): an [`EtypeList`].
pub const AD_ETYPE_NEGOTIATION: i32 = 129;
/// Microsoft's PAC.
pub const AD_WIN2K_PAC: i32 = 128;
/// Microsoft's options of an AP-REQ, among them that bindings must be checked.
pub const KERB_AP_OPTIONS: i32 = 143;

/// How many AD-IF-RELEVANT containers may stand within each other.
pub const MAX_DEPTH: usize = 8;

wire::sequence! {
    /// RFC 4120 §5.2.6.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct AuthorizationDataElement<'a> {
        [0] ad_type: i32,
        [1] ad_data: &'a [u8],
    }
}

/// RFC 4120 §5.2.6.
pub type AuthorizationData<'a> = Vec<AuthorizationDataElement<'a>>;

/// RFC 4537 §3: the preferred enctype first.
pub type EtypeList = Vec<i32>;

/// All elements in their order, those within AD-IF-RELEVANT in its place.
///
/// This is the one type that contains itself, so the depth has a [limit](MAX_DEPTH).
pub fn flatten<'a>(
    data: &AuthorizationData<'a>,
) -> Result<Vec<AuthorizationDataElement<'a>>, DerError> {
    let mut flat = Vec::with_capacity(data.len());
    flatten_into(data, MAX_DEPTH, &mut flat)?;
    Ok(flat)
}

fn flatten_into<'a>(
    data: &AuthorizationData<'a>,
    depth: usize,
    flat: &mut Vec<AuthorizationDataElement<'a>>,
) -> Result<(), DerError> {
    for element in data {
        if element.ad_type != AD_IF_RELEVANT {
            flat.push(*element);
            continue;
        }
        let depth = depth.checked_sub(1).ok_or(DerError::TooDeep)?;
        flatten_into(&AuthorizationData::decode(element.ad_data)?, depth, flat)?;
    }
    Ok(())
}
