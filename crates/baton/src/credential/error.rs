//! Why there is no credential, or why it is not good for what it is used for, and the status that this becomes.

use gss_core::error::{Error, Major};
use gss_core::oid::Oid;
use krb5::exchange::ap::Acceptable;
use krb5::formats::residual::CcacheName;
use krb5::principal::{Principal, PrincipalError};

use super::{Usage, VerifyError};
use crate::host::ccache::CcacheStoreError;
use crate::host::keytab::KeytabFileError;
use crate::host::names::NameProblem;
use crate::host::tickets::TicketError;

/// Why there is no credential, or why it is not good for what it is used for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// An acceptor's credential was used to initiate.
    #[error("this credential has keys to accept with, and no tickets to initiate with")]
    AcceptOnly,
    /// An initiator's credential was used to accept.
    #[error("this credential has tickets to initiate with, and no keys to accept with")]
    InitiateOnly,
    /// None of the mechanisms asked for is here.
    #[error(
        "the mechanism {0} is not here: Kerberos (1.2.840.113554.1.2.2) and SPNEGO (1.3.6.1.5.5.2) are"
    )]
    NoMechanism(Oid),
    /// No mechanism was asked for.
    #[error("the set of mechanisms is empty: leave it out to mean all of them")]
    EmptyMechanisms,
    /// The credential has no element of the mechanism.
    #[error("this credential has no element for the mechanism {0}: add one")]
    NoElement(Oid),
    /// The credential has an element of that mechanism already.
    #[error("this credential can {usage} by the mechanism {mechanism} already")]
    Duplicate {
        /// The mechanism.
        mechanism: Oid,
        /// What it can do already.
        usage: Usage,
    },
    /// The name of a keytab or cache means no place.
    #[error(transparent)]
    Place(#[from] NameProblem),
    /// A keytab in memory, of which there are none by name: [`Credential::from_keytab`](crate::Credential::from_keytab) takes the keys themselves.
    #[error("there is no keytab in memory called {0}")]
    MemoryKeytab(String),
    /// The keytab cannot be used.
    #[error(transparent)]
    Keytab(#[from] KeytabFileError),
    /// The keytab has no keys.
    #[error("the keytab {0} has no key that can be used here: add one")]
    EmptyKeytab(String),
    /// The keytab has no key of the service.
    #[error("the keytab {keytab} has no key for {wanted}, but {has}")]
    KeytabNoMatch {
        /// The keytab.
        keytab: String,
        /// Which service.
        wanted: Acceptable,
        /// Whose keys it has.
        has: String,
    },
    /// There is no ticket.
    #[error(transparent)]
    Ticket(#[from] TicketError),
    /// The cache that was named, or the only one, is another client's.
    #[error(
        "the credential cache {cache} has tickets of {holds}, not of {wanted}: name another, or use a directory of caches"
    )]
    CacheNoMatch {
        /// The cache.
        cache: CcacheName,
        /// Its client.
        holds: Principal,
        /// The client that was asked for.
        wanted: Box<Principal>,
    },
    /// The cache has become another client's since the credential was acquired.
    #[error(
        "the credential cache {cache} has become one of {holds}: acquire the credential of {was} again"
    )]
    CacheChanged {
        /// The cache.
        cache: CcacheName,
        /// Its client now.
        holds: Principal,
        /// Its client before.
        was: Box<Principal>,
    },
    /// The cache has a client and no tickets.
    #[error(
        "the credential cache {cache} of {client} is empty, and the client keytab {keytab} has no key of that name: get a ticket"
    )]
    EmptyCache {
        /// The cache.
        cache: CcacheName,
        /// Its client.
        client: Principal,
        /// Where a key could have been.
        keytab: String,
    },
    /// No cache is the client's, and there is no key to get tickets with.
    #[error(
        "no credential cache of {collection} is of {wanted}, and the client keytab {keytab} has no key of that name: get a ticket"
    )]
    NotInCollection {
        /// The client.
        wanted: Principal,
        /// The default cache.
        collection: CcacheName,
        /// Where a key could have been.
        keytab: String,
    },
    /// There is neither a cache nor a key to get tickets with.
    #[error(
        "there is no credential cache {collection}, and no key in the client keytab {keytab}: get a ticket"
    )]
    Nothing {
        /// The default cache.
        collection: CcacheName,
        /// Where a key could have been.
        keytab: String,
    },
    /// The credential is of whichever cache fits a target, and no target is known yet.
    #[error(
        "whose tickets these are is decided by the first target: inquire the credential, or initiate with it"
    )]
    Undecided,
    /// The KDC gave a session key of an enctype that is not supported.
    #[error("the ticket's session key is of an enctype that is not supported")]
    UnknownEnctype,
    /// None of the enctypes that are to be allowed is known.
    #[error("none of the enctypes that are to be allowed is supported")]
    NoEnctype,
    /// A password, and nobody whose it is.
    #[error("a password was given and no name: say whose it is")]
    PasswordWithoutName,
    /// A password for an acceptor, or beside a cache or a client keytab.
    #[error(
        "a password gets an initiator's tickets, and neither a cache nor a client keytab can be named beside it"
    )]
    PasswordBesideOthers,
    /// Initial credentials are verified where a password gets them.
    #[error("`verify` is for tickets that a password gets: give the password too")]
    VerifyWithoutPassword,
    /// The tickets that the password got are not from the KDC that knows this host's keys.
    #[error("the tickets of {client} could not be verified with the keytab {keytab}: {cause}")]
    NotVerified {
        /// Whose tickets.
        client: Principal,
        /// The keytab.
        keytab: String,
        /// Why not.
        #[source]
        cause: Box<VerifyError>,
    },
    /// The service whose key is to verify tickets has no name that can be read.
    #[error(
        "`verify` is to name a service such as host/www.example.org, and {name} is no principal's name: {cause}"
    )]
    VerifyName {
        /// What was given.
        name: String,
        /// What is wrong with it.
        #[source]
        cause: PrincipalError,
    },
    /// Only tickets can be stored.
    #[error("keys to accept with cannot be stored: write them into a keytab")]
    StoreAcceptor,
    /// The cache to store into has tickets already.
    #[error(
        "the credential cache {cache} has tickets of {holds}: ask to overwrite them, or name another"
    )]
    AlreadyStored {
        /// The cache.
        cache: CcacheName,
        /// Its client.
        holds: Principal,
    },
    /// The tickets have expired.
    #[error("the tickets of {0} have expired: get new ones")]
    Expired(Principal),
    /// Keys that are in no file cannot be exported.
    #[error("a credential whose keys are in no keytab file cannot be exported")]
    KeysWithoutFile,
    /// An exported credential has one name, for its tickets and its keys.
    #[error(
        "a credential with tickets of {} and keys for {service} cannot be exported: export one of each",
        client.as_ref().map_or_else(|| "whichever client the first target decides".to_owned(), ToString::to_string)
    )]
    TwoNames {
        /// Whose tickets, if that is decided.
        client: Option<Principal>,
        /// What the keys are for.
        service: Acceptable,
    },
    /// What is to be imported is no exported credential.
    #[error("this is no exported credential: {0}")]
    Token(#[from] super::export::TokenError),
    /// What the credential is asked about is not known.
    #[error("a credential has nothing to say about the object {0}")]
    NoSuchObject(Oid),
}

/// MIT's tables of minor codes: their com_err bases.
mod minor {
    const KRB5: u32 = 0x96c7_3a00;
    /// `KRB5_CC_NOTFOUND`.
    pub(super) const CC_NOTFOUND: u32 = KRB5 + 141;
    pub(super) const PARSE_MALFORMED: u32 = KRB5 + 134;
    pub(super) const PROG_ETYPE_NOSUPP: u32 = KRB5 + 150;
    pub(super) const KDC_UNREACH: u32 = KRB5 + 156;
    pub(super) const KT_BADNAME: u32 = KRB5 + 179;
    pub(super) const KT_NOTFOUND: u32 = KRB5 + 181;
    pub(super) const KT_IOERR: u32 = KRB5 + 184;
    pub(super) const CC_IO: u32 = KRB5 + 193;
    pub(super) const FCC_PERM: u32 = KRB5 + 194;
    pub(super) const FCC_NOFILE: u32 = KRB5 + 195;
    pub(super) const CC_FORMAT: u32 = KRB5 + 199;
    pub(super) const AP_ERR_TKT_EXPIRED: u32 = KRB5 + 32;
    /// Refusals of a KDC are RFC 4120 §7.5.9's numbers, counted from here.
    pub(super) const fn refused(code: i32) -> u32 {
        KRB5.wrapping_add_signed(code)
    }
    const K5G: u32 = 39_756_032;
    pub(super) const KG_CCACHE_NOMATCH: u32 = K5G;
    pub(super) const KG_KEYTAB_NOMATCH: u32 = K5G + 1;
    pub(super) const KG_EMPTY_CCACHE: u32 = K5G + 12;
    const GGSS: u32 = 0x861b_6d00;
    pub(super) const G_BAD_USAGE: u32 = GGSS + 7;
    pub(super) const G_CRED_USAGE_MISMATCH: u32 = GGSS + 17;
    pub(super) const G_STORE_ACCEPTOR_CRED_NOSUPP: u32 = GGSS + 18;
}

impl CredentialError {
    /// The status and MIT's minor code.
    fn status(&self) -> (Major, u32) {
        match self {
            Self::AcceptOnly | Self::InitiateOnly => (Major::NoCred, minor::G_CRED_USAGE_MISMATCH),
            Self::NoMechanism(_) | Self::EmptyMechanisms => (Major::BadMech, 0),
            Self::NoElement(_) | Self::Undecided => (Major::NoCred, 0),
            Self::Duplicate { .. } => (Major::DuplicateElement, 0),
            Self::Place(_) => (Major::NoCred, minor::CC_NOTFOUND),
            Self::MemoryKeytab(_) => (Major::NoCred, minor::KT_BADNAME),
            Self::Keytab(cause) => (Major::NoCred, keytab(cause)),
            Self::EmptyKeytab(_) => (Major::NoCred, minor::KT_NOTFOUND),
            Self::KeytabNoMatch { .. } => (Major::NoCred, minor::KG_KEYTAB_NOMATCH),
            Self::Ticket(cause) => ticket(cause),
            Self::CacheNoMatch { .. } => (Major::NoCred, minor::KG_CCACHE_NOMATCH),
            Self::CacheChanged { .. } => (Major::DefectiveCredential, minor::KG_CCACHE_NOMATCH),
            Self::EmptyCache { .. } => (Major::NoCred, minor::KG_EMPTY_CCACHE),
            Self::NotInCollection { .. } | Self::Nothing { .. } => {
                (Major::NoCred, minor::CC_NOTFOUND)
            }
            Self::UnknownEnctype | Self::NoEnctype => (Major::Failure, minor::PROG_ETYPE_NOSUPP),
            Self::PasswordWithoutName => (Major::BadName, 0),
            Self::PasswordBesideOthers | Self::VerifyWithoutPassword => {
                (Major::Failure, minor::G_BAD_USAGE)
            }
            Self::NotVerified { .. } => (Major::NoCred, minor::KT_NOTFOUND),
            Self::VerifyName { .. } => (Major::BadName, minor::PARSE_MALFORMED),
            Self::StoreAcceptor => (Major::Failure, minor::G_STORE_ACCEPTOR_CRED_NOSUPP),
            Self::AlreadyStored { .. } => (Major::DuplicateElement, 0),
            Self::Expired(_) => (Major::CredentialsExpired, 0),
            Self::NoSuchObject(_) | Self::KeysWithoutFile | Self::TwoNames { .. } => {
                (Major::Unavailable, 0)
            }
            Self::Token(super::export::TokenError::Mechanism) => (Major::BadMech, 0),
            Self::Token(_) => (Major::DefectiveToken, 0),
        }
    }
}

fn keytab(error: &KeytabFileError) -> u32 {
    match error {
        KeytabFileError::Io { cause, .. } if cause.kind() == std::io::ErrorKind::NotFound => {
            minor::KT_NOTFOUND
        }
        KeytabFileError::Io { .. } | KeytabFileError::Format { .. } => minor::KT_IOERR,
    }
}

fn ticket(error: &TicketError) -> (Major, u32) {
    match error {
        TicketError::Expired(_) => (Major::CredentialsExpired, minor::AP_ERR_TKT_EXPIRED),
        TicketError::Cache(cause) => (Major::NoCred, cache(cause)),
        TicketError::NoKey(_) => (Major::NoCred, minor::KT_NOTFOUND),
        TicketError::NoTicketGrantingTicket(_) => (Major::NoCred, minor::CC_NOTFOUND),
        TicketError::Kdc(_) => (Major::Failure, minor::KDC_UNREACH),
        TicketError::Exchange(cause) => (Major::Failure, refused(cause.code())),
        TicketError::Impersonation(cause) => (Major::Failure, refused(cause.code())),
        TicketError::Way(cause) => (Major::Failure, refused(cause.code())),
        TicketError::NoEvidence { .. } => (Major::NoCred, minor::CC_NOTFOUND),
        TicketError::ActsAlready { .. } => (Major::NoCred, minor::G_BAD_USAGE),
        TicketError::Impersonator(_) => (Major::NoCred, minor::CC_FORMAT),
    }
}

fn refused(code: Option<i32>) -> u32 {
    code.map_or(0, minor::refused)
}

fn cache(error: &CcacheStoreError) -> u32 {
    match error {
        CcacheStoreError::NotFound(_) => minor::FCC_NOFILE,
        CcacheStoreError::Owner { .. } | CcacheStoreError::Link(_) => minor::FCC_PERM,
        CcacheStoreError::Io { .. } => minor::CC_IO,
        CcacheStoreError::Primary(_) | CcacheStoreError::Format { .. } => minor::CC_FORMAT,
    }
}

impl From<CcacheStoreError> for CredentialError {
    fn from(error: CcacheStoreError) -> Self {
        Self::Ticket(error.into())
    }
}

impl From<CredentialError> for Error {
    fn from(error: CredentialError) -> Self {
        let (major, minor) = error.status();
        Self::new(major, error).with_minor(minor)
    }
}
