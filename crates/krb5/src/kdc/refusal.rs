//! Refusals, and the KRB-ERRORs that they become.

use wire::der::{GeneralString, Value};
use wire::time::Timestamp;

use super::{DerError, KdcReqBody, KrbError, error_code};
use crate::messages::{Const, PrincipalName};
use crate::principal::Principal;

/// Why there is no ticket.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: i32,
    e_data: Option<Vec<u8>>,
}

impl Refusal {
    pub(super) const fn new(code: i32) -> Self {
        Self { code, e_data: None }
    }

    /// A refusal that tells how to go on.
    pub(super) fn with_data<'a, T: Value<'a>>(code: i32, data: &T) -> Self {
        Self {
            code,
            e_data: Some(data.encode()),
        }
    }

    /// The KRB-ERROR, about the names of the request.
    pub(super) fn encode(
        &self,
        realm: &[u8],
        body: Option<&KdcReqBody<'_>>,
        now: Timestamp,
    ) -> Vec<u8> {
        let krbtgt = Principal::krbtgt(realm);
        let sname = body.and_then(|body| body.sname.clone());
        let cname = body.and_then(|body| body.cname.clone());
        let error = KrbError {
            pvno: Const,
            msg_type: Const,
            ctime: None,
            cusec: None,
            stime: now.into(),
            susec: now.into(),
            error_code: self.code,
            crealm: cname.as_ref().map(|_| GeneralString(realm)),
            cname,
            realm: GeneralString(realm),
            sname: sname.unwrap_or_else(|| PrincipalName::from(&krbtgt)),
            e_text: Some(GeneralString(error_code::text(self.code).as_bytes())),
            e_data: self.e_data.as_deref(),
        };
        error.encode()
    }
}

impl From<DerError> for Refusal {
    fn from(_: DerError) -> Self {
        Self::new(error_code::KRB_ERR_GENERIC)
    }
}
