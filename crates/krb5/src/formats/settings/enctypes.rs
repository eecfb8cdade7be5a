//! Lists of enctypes, and whether the deprecated ones may be on them.

use krb5_crypto::{
    AES128_CTS_HMAC_SHA1_96, AES128_CTS_HMAC_SHA256_128, AES256_CTS_HMAC_SHA1_96,
    AES256_CTS_HMAC_SHA384_192, ARCFOUR_HMAC, CAMELLIA128_CTS_CMAC, CAMELLIA256_CTS_CMAC,
    DES3_CBC_SHA1, Enctype,
};

use super::DEFAULT_ENCTYPES;

/// `allow_des3` and `allow_rc4`: whether the two enctypes that RFC 8429 deprecates may be used.
///
/// `true` puts one on the default list; `false` takes it off every list. Where nothing is said, it is used by who names it in a
/// list. MIT 1.20 has both on its default list; later releases have these two relations for what a KDC issues, and announce them for
/// everything else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EnctypeRules {
    /// Of enctype 16, `des3-cbc-sha1`.
    pub allow_des3: Option<bool>,
    /// Of enctype 23, `arcfour-hmac`.
    pub allow_rc4: Option<bool>,
}

impl EnctypeRules {
    /// [`DEFAULT_ENCTYPES`], and what these rules add to it, where MIT has it.
    pub fn defaults(self) -> Vec<&'static Enctype> {
        let (aes, camellia) = DEFAULT_ENCTYPES.split_at(4);
        let added = [DES3_CBC_SHA1, ARCFOUR_HMAC].into_iter();
        let added = added.filter(|enctype| self.allows(enctype) == Some(true));
        aes.iter()
            .copied()
            .chain(added)
            .chain(camellia.iter().copied())
            .collect()
    }

    /// A list as MIT's tools read it: names, a family's name or `DEFAULT` for several, `-` before what is taken out again.
    /// Names that are not known are passed over, and a list that leaves nothing is none.
    pub fn list(self, text: &str) -> Option<Vec<&'static Enctype>> {
        let mut list: Vec<&'static Enctype> = Vec::new();
        let separator = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n' | ',');
        for word in text.split(separator).filter(|word| !word.is_empty()) {
            let (add, name) = match word.strip_prefix('-') {
                Some(name) => (false, name),
                None => (true, word.strip_prefix('+').unwrap_or(word)),
            };
            for enctype in self.named(name) {
                let is_it = |other: &&Enctype| other.number() == enctype.number();
                match (add, list.iter().position(is_it)) {
                    (true, None) if self.allows(enctype) != Some(false) => list.push(enctype),
                    (false, Some(index)) => _ = list.remove(index),
                    _ => {}
                }
            }
        }
        (!list.is_empty()).then_some(list)
    }

    fn named(self, name: &str) -> Vec<&'static Enctype> {
        match name.to_ascii_lowercase().as_str() {
            "default" => self.defaults(),
            "aes" => vec![
                AES256_CTS_HMAC_SHA1_96,
                AES128_CTS_HMAC_SHA1_96,
                AES256_CTS_HMAC_SHA384_192,
                AES128_CTS_HMAC_SHA256_128,
            ],
            "camellia" => vec![CAMELLIA256_CTS_CMAC, CAMELLIA128_CTS_CMAC],
            "des3" => vec![DES3_CBC_SHA1],
            "rc4" => vec![ARCFOUR_HMAC],
            name => Enctype::from_name(name).into_iter().collect(),
        }
    }

    fn allows(self, enctype: &Enctype) -> Option<bool> {
        match enctype.number() {
            16 => self.allow_des3,
            23 => self.allow_rc4,
            _ => Some(true),
        }
    }
}
