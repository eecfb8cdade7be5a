//! Key usage numbers.

/// What a key is used for: messages under one usage are not valid under another (RFC 3961 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyUsage(pub u32);

/// RFC 4120 §7.5.1.
impl KeyUsage {
    /// PA-ENC-TIMESTAMP, client key.
    pub const AS_REQ_PA_ENC_TIMESTAMP: Self = Self(1);
    /// A ticket's encrypted part, service key.
    pub const TICKET: Self = Self(2);
    /// AS-REP encrypted part, client key.
    pub const AS_REP_ENC_PART: Self = Self(3);
    /// TGS-REQ authorization data, session key.
    pub const TGS_REQ_AUTHORIZATION_DATA_SESSION_KEY: Self = Self(4);
    /// TGS-REQ authorization data, authenticator subkey.
    pub const TGS_REQ_AUTHORIZATION_DATA_SUBKEY: Self = Self(5);
    /// Checksum in the authenticator of a TGS-REQ, over the request's body.
    pub const TGS_REQ_AUTHENTICATOR_CHECKSUM: Self = Self(6);
    /// Authenticator of a TGS-REQ.
    pub const TGS_REQ_AUTHENTICATOR: Self = Self(7);
    /// TGS-REP encrypted part, session key.
    pub const TGS_REP_ENC_PART_SESSION_KEY: Self = Self(8);
    /// TGS-REP encrypted part, authenticator subkey.
    pub const TGS_REP_ENC_PART_SUBKEY: Self = Self(9);
    /// Checksum in the authenticator of an AP-REQ.
    pub const AP_REQ_AUTHENTICATOR_CHECKSUM: Self = Self(10);
    /// Authenticator of an AP-REQ.
    pub const AP_REQ_AUTHENTICATOR: Self = Self(11);
    /// AP-REP encrypted part.
    pub const AP_REP_ENC_PART: Self = Self(12);
    /// KRB-PRIV encrypted part.
    pub const KRB_PRIV_ENC_PART: Self = Self(13);
    /// KRB-CRED encrypted part.
    pub const KRB_CRED_ENC_PART: Self = Self(14);
    /// KRB-SAFE checksum.
    pub const KRB_SAFE_CHECKSUM: Self = Self(15);
    /// Signatures in a PAC ([MS-PAC] §2.8; RFC 4120 only reserves the number).
    pub const PAC_SIGNATURE: Self = Self(17);
    /// The checksum in PA-FOR-USER, session key ([MS-SFU] §2.2.1; RFC 4120 only reserves the number).
    pub const PA_FOR_USER_CHECKSUM: Self = Self(17);
    /// AD-KDC-ISSUED checksum.
    pub const AD_KDC_ISSUED_CHECKSUM: Self = Self(19);
    /// The checksum in a request's PA-S4U-X509-USER, subkey ([MS-SFU] §2.2.2).
    pub const PA_S4U_X509_USER_REQUEST: Self = Self(26);
    /// The checksum in a reply's PA-S4U-X509-USER, subkey ([MS-SFU] §2.2.2).
    pub const PA_S4U_X509_USER_REPLY: Self = Self(27);
    /// The checksum of an AS-REQ in its reply, reply key (RFC 6806 §11).
    pub const AS_REQ: Self = Self(56);
    /// Verifiers in AD-CAMMAC (RFC 7751 §8).
    pub const CAMMAC: Self = Self(64);
    /// Encryption in protocols that name no usage.
    pub const APPLICATION_ENCRYPTION: Self = Self(1024);
    /// Checksums in protocols that name no usage.
    pub const APPLICATION_CHECKSUM: Self = Self(1025);
}

/// RFC 4121 §2.
impl KeyUsage {
    /// Wrap tokens from the acceptor.
    pub const KG_USAGE_ACCEPTOR_SEAL: Self = Self(22);
    /// MIC tokens from the acceptor.
    pub const KG_USAGE_ACCEPTOR_SIGN: Self = Self(23);
    /// Wrap tokens from the initiator.
    pub const KG_USAGE_INITIATOR_SEAL: Self = Self(24);
    /// MIC tokens from the initiator.
    pub const KG_USAGE_INITIATOR_SIGN: Self = Self(25);
}
