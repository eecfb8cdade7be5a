//! Microsoft's Service for User: pre-authentication data of S4U2Self and S4U2Proxy ([MS-SFU] §2.2, [MS-KILE] §2.2.10).
//! [`PaPacOptions`] goes beside the evidence ticket of S4U2Proxy; the other two name the user of S4U2Self.

use wire::der::{Flags, GeneralString, Word};

use super::{Checksum, PrincipalName};

wire::sequence! {
    /// PA-FOR-USER ([MS-SFU] §2.2.1).
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct PaForUser<'a> {
        [0] user_name: PrincipalName<'a>,
        [1] user_realm: GeneralString<'a>,
        [2] cksum: Checksum<'a>,
        [3] auth_package: GeneralString<'a>,
    }

    /// PA-S4U-X509-USER ([MS-SFU] §2.2.2).
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct PaS4uX509User<'a> {
        [0] user_id: S4uUserId<'a>,
        [1] checksum: Checksum<'a>,
    }

    /// S4UUserID ([MS-SFU] §2.2.2).
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct S4uUserId<'a> {
        [0] nonce: Word,
        [1] cname: Option<PrincipalName<'a>>,
        [2] crealm: GeneralString<'a>,
        [3] subject_certificate: Option<&'a [u8]>,
        [4] options: Option<Flags>,
    }

    /// PA-PAC-OPTIONS ([MS-KILE] §2.2.10).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct PaPacOptions {
        [0] flags: Flags,
    }
}

/// Of [`S4uUserId::options`]: the reply's checksum is to be made under its own key usage.
pub const USE_REPLY_KEY_USAGE: u32 = 1 << 29;
/// Of [`PaPacOptions::flags`]: whom a service may reach is in the service's own entry (resource-based constrained delegation).
pub const RESOURCE_BASED: u32 = 1 << 28;
/// The one authentication package that [`PaForUser`] knows.
pub const AUTH_PACKAGE: &[u8] = b"Kerberos";
/// The type of the checksum in [`PaForUser`]: hmac-md5 (RFC 4757 §4), whatever the key.
pub const HMAC_MD5: i32 = -138;

impl PaForUser<'_> {
    /// What [`PaForUser::cksum`] is over: the name's type, its components, the realm and the package, without lengths.
    pub fn checksummed(&self) -> Vec<u8> {
        let name = self.user_name.name_string.iter().map(|part| part.0);
        let mut bytes = self.user_name.name_type.to_le_bytes().to_vec();
        for part in name.chain([self.user_realm.0, self.auth_package.0]) {
            bytes.extend_from_slice(part);
        }
        bytes
    }
}
