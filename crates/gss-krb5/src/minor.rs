//! Minor codes (RFC 2744 §3.9.2) and their texts: the com_err numbers that MIT's programs know.

/// A code of one of MIT's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minor {
    /// The number.
    pub code: u32,
    /// Its name in MIT's headers.
    pub name: &'static str,
    /// What it means.
    pub text: &'static str,
}

/// `krb5`: RFC 4120 §7.5.9 counts from here, the library's own codes from 128.
const KRB5: u32 = 0x96c7_3a00;
/// `asn1`
const ASN1: u32 = 1_859_794_432;
/// `ggss`: what GSS-API mechanisms have in common.
const GGSS: u32 = 0x861b_6d00;
/// `k5g`: the Kerberos mechanism's.
const K5G: u32 = 39_756_032;

/// The code, if it has a name. Numbers of a table that nobody uses have none.
pub fn find(code: u32) -> Option<Minor> {
    let tables: [(u32, &[Row]); 4] = [
        (KRB5, KRB5_CODES),
        (ASN1, ASN1_CODES),
        (GGSS, GGSS_CODES),
        (K5G, K5G_CODES),
    ];
    tables.iter().find_map(|(base, rows)| {
        let number = u8::try_from(code.checked_sub(*base)?).ok()?;
        let row = rows.iter().find(|(one, ..)| *one == number)?;
        Some(minor(*base, row))
    })
}

/// All of them.
pub fn all() -> impl Iterator<Item = Minor> {
    let tables = [
        (KRB5, KRB5_CODES),
        (ASN1, ASN1_CODES),
        (GGSS, GGSS_CODES),
        (K5G, K5G_CODES),
    ];
    tables
        .into_iter()
        .flat_map(|(base, rows)| rows.iter().map(move |row| minor(base, row)))
}

const fn minor(base: u32, (number, name, text): &Row) -> Minor {
    Minor {
        code: base + *number as u32,
        name,
        text,
    }
}

/// A number within a table, its name, its text.
type Row = (u8, &'static str, &'static str);

#[rustfmt::skip]
const KRB5_CODES: &[Row] = &[
    (0, "KRB5KDC_ERR_NONE", "no error"),
    (1, "KRB5KDC_ERR_NAME_EXP", "the client's entry in the KDC's database has expired"),
    (2, "KRB5KDC_ERR_SERVICE_EXP", "the service's entry in the KDC's database has expired"),
    (3, "KRB5KDC_ERR_BAD_PVNO", "the protocol's version is not supported"),
    (4, "KRB5KDC_ERR_C_OLD_MAST_KVNO", "the client's key is under an old master key of the KDC"),
    (5, "KRB5KDC_ERR_S_OLD_MAST_KVNO", "the service's key is under an old master key of the KDC"),
    (6, "KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN", "the KDC does not know the client"),
    (7, "KRB5KDC_ERR_S_PRINCIPAL_UNKNOWN", "the KDC does not know the service"),
    (8, "KRB5KDC_ERR_PRINCIPAL_NOT_UNIQUE", "the KDC's database has several entries of that name"),
    (9, "KRB5KDC_ERR_NULL_KEY", "client or service has no key"),
    (10, "KRB5KDC_ERR_CANNOT_POSTDATE", "a ticket that begins later is not to be had"),
    (11, "KRB5KDC_ERR_NEVER_VALID", "the ticket would end before it begins, or live too short"),
    (12, "KRB5KDC_ERR_POLICY", "the KDC's policy refuses"),
    (13, "KRB5KDC_ERR_BADOPTION", "the KDC cannot do what an option asks for"),
    (14, "KRB5KDC_ERR_ETYPE_NOSUPP", "the enctype is not supported or not permitted"),
    (15, "KRB5KDC_ERR_SUMTYPE_NOSUPP", "the checksum's type is not supported"),
    (16, "KRB5KDC_ERR_PADATA_TYPE_NOSUPP", "the type of pre-authentication is not supported"),
    (17, "KRB5KDC_ERR_TRTYPE_NOSUPP", "the type of transited realms is not supported"),
    (18, "KRB5KDC_ERR_CLIENT_REVOKED", "the client is locked, or its credentials are revoked"),
    (19, "KRB5KDC_ERR_SERVICE_REVOKED", "the service is locked, or its credentials are revoked"),
    (20, "KRB5KDC_ERR_TGT_REVOKED", "the ticket-granting ticket is revoked"),
    (21, "KRB5KDC_ERR_CLIENT_NOTYET", "the client is not valid yet"),
    (22, "KRB5KDC_ERR_SERVICE_NOTYET", "the service is not valid yet"),
    (23, "KRB5KDC_ERR_KEY_EXP", "the password has expired"),
    (24, "KRB5KDC_ERR_PREAUTH_FAILED", "wrong password or key: the pre-authentication failed"),
    (25, "KRB5KDC_ERR_PREAUTH_REQUIRED", "the KDC wants pre-authentication"),
    (26, "KRB5KDC_ERR_SERVER_NOMATCH", "ticket and request are for different services"),
    (27, "KRB5KDC_ERR_MUST_USE_USER2USER", "the service takes user-to-user authentication alone"),
    (28, "KRB5KDC_ERR_PATH_NOT_ACCEPTED", "the KDC does not accept the realms on the way"),
    (29, "KRB5KDC_ERR_SVC_UNAVAILABLE", "a service that the KDC needs does not answer"),
    (31, "KRB5KRB_AP_ERR_BAD_INTEGRITY", "a decrypted part fails its integrity check: the keys differ, or it was changed"),
    (32, "KRB5KRB_AP_ERR_TKT_EXPIRED", "the ticket has expired"),
    (33, "KRB5KRB_AP_ERR_TKT_NYV", "the ticket is not valid yet"),
    (34, "KRB5KRB_AP_ERR_REPEAT", "the request is a replay"),
    (35, "KRB5KRB_AP_ERR_NOT_US", "the ticket is for another service"),
    (36, "KRB5KRB_AP_ERR_BADMATCH", "ticket and authenticator name different clients"),
    (37, "KRB5KRB_AP_ERR_SKEW", "the clocks of client and server are too far apart"),
    (38, "KRB5KRB_AP_ERR_BADADDR", "the network address is wrong"),
    (39, "KRB5KRB_AP_ERR_BADVERSION", "the protocol's version is another"),
    (40, "KRB5KRB_AP_ERR_MSG_TYPE", "the message is of another type"),
    (41, "KRB5KRB_AP_ERR_MODIFIED", "the message was changed on its way"),
    (42, "KRB5KRB_AP_ERR_BADORDER", "the message is out of order"),
    (43, "KRB5KRB_AP_ERR_ILL_CR_TKT", "a ticket across realms that must not be"),
    (44, "KRB5KRB_AP_ERR_BADKEYVER", "the keytab has no key of the ticket's version"),
    (45, "KRB5KRB_AP_ERR_NOKEY", "the keytab has no key for the service"),
    (46, "KRB5KRB_AP_ERR_MUT_FAIL", "mutual authentication failed"),
    (47, "KRB5KRB_AP_ERR_BADDIRECTION", "the message goes the wrong way"),
    (48, "KRB5KRB_AP_ERR_METHOD", "another method of authentication is wanted"),
    (49, "KRB5KRB_AP_ERR_BADSEQ", "the sequence number is wrong"),
    (50, "KRB5KRB_AP_ERR_INAPP_CKSUM", "the checksum is wrong or of a type that does not fit"),
    (51, "KRB5KRB_AP_PATH_NOT_ACCEPTED", "the transited realms are not accepted"),
    (52, "KRB5KRB_ERR_RESPONSE_TOO_BIG", "the reply is too big for UDP"),
    (60, "KRB5KRB_ERR_GENERIC", "an error that no other code says: see its text"),
    (61, "KRB5KRB_ERR_FIELD_TOOLONG", "a field is longer than is taken"),
    (62, "KRB5KDC_ERR_CLIENT_NOT_TRUSTED", "the KDC does not trust the client's certificate"),
    (63, "KRB5KDC_ERR_KDC_NOT_TRUSTED", "the KDC's certificate is not trusted"),
    (64, "KRB5KDC_ERR_INVALID_SIG", "a signature is invalid"),
    (65, "KRB5KDC_ERR_DH_KEY_PARAMETERS_NOT_ACCEPTED", "the Diffie-Hellman parameters are not accepted"),
    (66, "KRB5KDC_ERR_CERTIFICATE_MISMATCH", "the certificate is not the one expected"),
    (67, "KRB5KRB_AP_ERR_NO_TGT", "user-to-user authentication needs a ticket-granting ticket"),
    (68, "KRB5KDC_ERR_WRONG_REALM", "the KDC is not one of that realm"),
    (69, "KRB5KRB_AP_ERR_USER_TO_USER_REQUIRED", "user-to-user authentication is needed"),
    (70, "KRB5KDC_ERR_CANT_VERIFY_CERTIFICATE", "the certificate cannot be verified"),
    (71, "KRB5KDC_ERR_INVALID_CERTIFICATE", "the certificate is invalid"),
    (72, "KRB5KDC_ERR_REVOKED_CERTIFICATE", "the certificate is revoked"),
    (73, "KRB5KDC_ERR_REVOCATION_STATUS_UNKNOWN", "whether the certificate is revoked is not known"),
    (74, "KRB5KDC_ERR_REVOCATION_STATUS_UNAVAILABLE", "whether the certificate is revoked cannot be found out"),
    (75, "KRB5KDC_ERR_CLIENT_NAME_MISMATCH", "the certificate is another client's"),
    (76, "KRB5KDC_ERR_KDC_NAME_MISMATCH", "the certificate is not that of a KDC of the realm"),
    (77, "KRB5KDC_ERR_INCONSISTENT_KEY_PURPOSE", "the certificate is for another purpose"),
    (78, "KRB5KDC_ERR_DIGEST_IN_CERT_NOT_ACCEPTED", "the certificate's digest is not accepted"),
    (79, "KRB5KDC_ERR_PA_CHECKSUM_MUST_BE_INCLUDED", "the request lacks a checksum"),
    (80, "KRB5KDC_ERR_DIGEST_IN_SIGNED_DATA_NOT_ACCEPTED", "the signature's digest is not accepted"),
    (81, "KRB5KDC_ERR_PUBLIC_KEY_ENCRYPTION_NOT_SUPPORTED", "encryption with public keys is not supported"),
    (85, "KRB5KRB_AP_ERR_IAKERB_KDC_NOT_FOUND", "the IAKERB proxy knows no KDC"),
    (86, "KRB5KRB_AP_ERR_IAKERB_KDC_NO_RESPONSE", "no KDC answered the IAKERB proxy"),
    (90, "KRB5KDC_ERR_PREAUTH_EXPIRED", "the pre-authentication took too long"),
    (91, "KRB5KDC_ERR_MORE_PREAUTH_DATA_REQUIRED", "another step of pre-authentication follows"),
    (93, "KRB5KDC_ERR_UNKNOWN_CRITICAL_FAST_OPTION", "a FAST option that must be known is not"),
    (100, "KRB5KDC_ERR_NO_ACCEPTABLE_KDF", "none of the key derivations offered is accepted"),
    (133, "KRB5_PARSE_ILLCHAR", "a principal's name has a character that it must not have"),
    (134, "KRB5_PARSE_MALFORMED", "a principal's name is malformed"),
    (135, "KRB5_CONFIG_CANTOPEN", "krb5.conf is not there or cannot be read"),
    (136, "KRB5_CONFIG_BADFORMAT", "krb5.conf has a line that cannot be read"),
    (139, "KRB5_CC_BADNAME", "the name of the credential cache is malformed"),
    (140, "KRB5_CC_UNKNOWN_TYPE", "credential caches of this type are not supported"),
    (141, "KRB5_CC_NOTFOUND", "the credential cache has no such ticket"),
    (142, "KRB5_CC_END", "the credential cache has no more tickets"),
    (144, "KRB5KRB_AP_WRONG_PRINC", "the request is for another principal"),
    (145, "KRB5KRB_AP_ERR_TKT_INVALID", "the ticket is marked as invalid"),
    (146, "KRB5_PRINC_NOMATCH", "the ticket is another principal's"),
    (147, "KRB5_KDCREP_MODIFIED", "the KDC's reply is not one to the request"),
    (148, "KRB5_KDCREP_SKEW", "the KDC's clock is too far from this host's"),
    (150, "KRB5_PROG_ETYPE_NOSUPP", "the enctype is not supported here"),
    (151, "KRB5_PROG_KEYTYPE_NOSUPP", "the key's type is not supported here"),
    (152, "KRB5_WRONG_ETYPE", "the KDC chose an enctype that was not asked for"),
    (153, "KRB5_PROG_SUMTYPE_NOSUPP", "the checksum's type is not supported here"),
    (154, "KRB5_REALM_UNKNOWN", "no KDC is known for the realm"),
    (155, "KRB5_SERVICE_UNKNOWN", "the service is not known"),
    (156, "KRB5_KDC_UNREACH", "no KDC of the realm answered"),
    (157, "KRB5_NO_LOCALNAME", "the principal has no local name"),
    (158, "KRB5_MUTUAL_FAILED", "mutual authentication failed"),
    (162, "KRB5_RC_UNKNOWN", "the replay cache failed"),
    (163, "KRB5_RC_REPLAY", "the replay cache has seen the request"),
    (164, "KRB5_RC_IO", "the replay cache cannot be read or written"),
    (169, "KRB5_RC_IO_PERM", "the replay cache may not be read or written"),
    (176, "KRB5_LNAME_NOTRANS", "no rule translates the principal to a local name"),
    (178, "KRB5_CRYPTO_INTERNAL", "the cryptography failed"),
    (179, "KRB5_KT_BADNAME", "the name of the keytab is malformed"),
    (180, "KRB5_KT_UNKNOWN_TYPE", "keytabs of this type are not supported"),
    (181, "KRB5_KT_NOTFOUND", "the keytab has no such key"),
    (182, "KRB5_KT_END", "the keytab has no more keys"),
    (183, "KRB5_KT_NOWRITE", "the keytab cannot be written"),
    (184, "KRB5_KT_IOERR", "writing the keytab failed"),
    (185, "KRB5_NO_TKT_IN_RLM", "there is no ticket for the realm"),
    (188, "KRB5_BAD_ENCTYPE", "the enctype is not one"),
    (189, "KRB5_BAD_KEYSIZE", "the key has another length than its enctype"),
    (190, "KRB5_BAD_MSIZE", "the message has a length that the enctype does not have"),
    (193, "KRB5_CC_IO", "the credential cache cannot be read or written"),
    (194, "KRB5_FCC_PERM", "the credential cache may not be read or written"),
    (195, "KRB5_FCC_NOFILE", "there is no credential cache"),
    (196, "KRB5_FCC_INTERNAL", "the credential cache failed"),
    (197, "KRB5_CC_WRITE", "writing the credential cache failed"),
    (199, "KRB5_CC_FORMAT", "the credential cache is malformed"),
    (200, "KRB5_CC_NOT_KTYPE", "no ticket in the cache has an enctype that is permitted"),
    (201, "KRB5_INVALID_FLAGS", "the options exclude each other"),
    (202, "KRB5_NO_2ND_TKT", "the request lacks its second ticket"),
    (203, "KRB5_NOCREDS_SUPPLIED", "no credentials were given"),
    (208, "KRB5_PREAUTH_BAD_TYPE", "the type of pre-authentication is not supported"),
    (209, "KRB5_PREAUTH_NO_KEY", "there is no key for the pre-authentication"),
    (210, "KRB5_PREAUTH_FAILED", "the pre-authentication failed"),
    (211, "KRB5_RCACHE_BADVNO", "the replay cache is of another version"),
    (212, "KRB5_CCACHE_BADVNO", "the credential cache is of another version"),
    (213, "KRB5_KEYTAB_BADVNO", "the keytab is of another version"),
    (215, "KRB5_RC_REQUIRED", "replays cannot be noticed without a replay cache"),
    (216, "KRB5_ERR_BAD_HOSTNAME", "the host's name cannot be made canonical"),
    (217, "KRB5_ERR_HOST_REALM_UNKNOWN", "the host's realm is not known"),
    (218, "KRB5_SNAME_UNSUPP_NAMETYPE", "names of this type are no service's"),
    (220, "KRB5_REALM_CANT_RESOLVE", "the realm's KDCs have no address"),
    (221, "KRB5_TKT_NOT_FORWARDABLE", "the ticket-granting ticket is not forwardable"),
    (222, "KRB5_FWD_BAD_PRINCIPAL", "the name for forwarded credentials is malformed"),
    (223, "KRB5_GET_IN_TKT_LOOP", "the KDC sends the client in circles"),
    (224, "KRB5_CONFIG_NODEFREALM", "there is no default realm"),
    (229, "KRB5_KT_NAME_TOOLONG", "the name of the keytab is too long"),
    (230, "KRB5_KT_KVNONOTFOUND", "the keytab has keys for the principal, and none of this version"),
    (235, "KRB5_KT_FORMAT", "the keytab is malformed"),
    (236, "KRB5_NOPERM_ETYPE", "the enctype is not permitted"),
    (237, "KRB5_CONFIG_ETYPE_NOSUPP", "none of the configured enctypes is supported"),
    (244, "KRB5_ERR_BAD_S2K_PARAMS", "the KDC's parameters for making a key of a password are malformed"),
    (246, "KRB5_CC_READONLY", "the credential cache cannot be written"),
    (247, "KRB5_CC_NOSUPP", "the credential cache cannot do that"),
    (248, "KRB5_DELTAT_BADFORMAT", "a lifetime or clock skew is malformed"),
    (251, "KRB5_ERR_INVALID_UTF8", "the text is not UTF-8"),
    (252, "KRB5_ERR_FAST_REQUIRED", "FAST is needed, and the KDC does not support it"),
];

#[rustfmt::skip]
const ASN1_CODES: &[Row] = &[
    (0, "ASN1_BAD_TIMEFORMAT", "a time is malformed"),
    (1, "ASN1_MISSING_FIELD", "a field is missing"),
    (2, "ASN1_MISPLACED_FIELD", "a field is where it must not be"),
    (3, "ASN1_TYPE_MISMATCH", "a value is of another type"),
    (4, "ASN1_OVERFLOW", "a value is too large"),
    (5, "ASN1_OVERRUN", "the message ends too early"),
    (6, "ASN1_BAD_ID", "a tag is another than expected"),
    (7, "ASN1_BAD_LENGTH", "a length is another than expected"),
    (8, "ASN1_BAD_FORMAT", "the encoding is malformed"),
    (9, "ASN1_PARSE_ERROR", "the message cannot be read"),
    (10, "ASN1_BAD_GMTIME", "a time cannot be converted"),
    (11, "ASN1_INDEF", "a length is indefinite"),
    (12, "ASN1_MISSING_EOC", "an indefinite length has no end"),
    (13, "ASN1_OMITTED", "an object is left out"),
];

#[rustfmt::skip]
const GGSS_CODES: &[Row] = &[
    (0, "G_BAD_SERVICE_NAME", "the name is not of the form service@host"),
    (1, "G_BAD_STRING_UID", "the user number is not made of digits"),
    (2, "G_NOUSER", "the user number is nobody's"),
    (3, "G_VALIDATE_FAILED", "the handle is not one"),
    (4, "G_BUFFER_ALLOC", "there is no memory for the output"),
    (5, "G_BAD_MSG_CTX", "the message context is not one"),
    (6, "G_WRONG_SIZE", "the buffer has a wrong size"),
    (7, "G_BAD_USAGE", "the credential's usage is not known"),
    (8, "G_UNKNOWN_QOP", "the quality of protection is not known"),
    (9, "G_NO_HOSTNAME", "this host's name is not known"),
    (10, "G_BAD_HOSTNAME", "the host's name cannot be made canonical"),
    (11, "G_WRONG_MECH", "the token is another mechanism's"),
    (12, "G_BAD_TOK_HEADER", "the token's header is malformed"),
    (13, "G_BAD_DIRECTION", "the token goes the wrong way: it is one of this side's own"),
    (14, "G_TOK_TRUNC", "the token is cut off"),
    (15, "G_REFLECT", "the token is one of this side's own"),
    (16, "G_WRONG_TOKID", "the token is of another kind"),
    (17, "G_CRED_USAGE_MISMATCH", "the credential is for the other side of a handshake"),
    (18, "G_STORE_ACCEPTOR_CRED_NOSUPP", "an acceptor's credential cannot be stored"),
    (19, "G_STORE_NON_DEFAULT_CRED_NOSUPP", "a credential that is not the default one cannot be stored"),
];

#[rustfmt::skip]
const K5G_CODES: &[Row] = &[
    (0, "KG_CCACHE_NOMATCH", "the credential cache is another principal's"),
    (1, "KG_KEYTAB_NOMATCH", "the keytab has no key of the wanted name"),
    (2, "KG_TGT_MISSING", "the credential cache has no ticket-granting ticket"),
    (3, "KG_NO_SUBKEY", "the authenticator has no subkey"),
    (4, "KG_CONTEXT_ESTABLISHED", "the context is established already"),
    (5, "KG_BAD_SIGN_TYPE", "the token's signature is of an unknown type"),
    (6, "KG_BAD_LENGTH", "a field of the token has a wrong length"),
    (7, "KG_CTX_INCOMPLETE", "the context is not established yet"),
    (8, "KG_CONTEXT", "this is not a context of the mechanism"),
    (9, "KG_CRED", "this is not a credential of the mechanism"),
    (10, "KG_ENC_DESC", "this is not a key of the mechanism"),
    (11, "KG_BAD_SEQ", "the token's sequence number is damaged"),
    (12, "KG_EMPTY_CCACHE", "the credential cache is empty"),
    (13, "KG_NO_CTYPES", "initiator and acceptor have no checksum type in common"),
    (14, "KG_LUCID_VERSION", "the lucid form is not there in this version"),
    (15, "KG_INPUT_TOO_LONG", "the input of the pseudo-random function is too long"),
    (16, "KG_IAKERB_CONTEXT", "this is not a context of IAKERB"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_found_and_has_a_name_and_a_text_of_its_own() {
        let all: Vec<Minor> = all().collect();
        for minor in &all {
            assert_eq!(find(minor.code), Some(*minor));
        }
        let mut names: Vec<_> = all.iter().map(|minor| minor.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all.len());
        for code in [
            0,
            1,
            KRB5 - 1,
            KRB5 + 30,
            KRB5 + 256,
            GGSS + 20,
            K5G + 17,
            u32::MAX,
        ] {
            assert_eq!(find(code), None, "{code:#x}");
        }
    }
}
