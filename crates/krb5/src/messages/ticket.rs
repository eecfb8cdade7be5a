//! Tickets (RFC 4120 §5.3).

use wire::der::{Const, Flags, GeneralString, GeneralizedTime};

use super::{AuthorizationData, EncryptedData, EncryptionKey, HostAddress, PrincipalName};

wire::sequence! {
    /// RFC 4120 §5.3.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Ticket<'a> [APPLICATION 1] {
        [0] tkt_vno: Const<5>,
        [1] realm: GeneralString<'a>,
        [2] sname: PrincipalName<'a>,
        [3] enc_part: EncryptedData<'a>,
    }

    /// RFC 4120 §5.3. It holds the session key, so it cannot be printed.
    pub struct EncTicketPart<'a> [APPLICATION 3] {
        [0] flags: Flags,
        [1] key: EncryptionKey<'a>,
        [2] crealm: GeneralString<'a>,
        [3] cname: PrincipalName<'a>,
        [4] transited: TransitedEncoding<'a>,
        [5] authtime: GeneralizedTime,
        [6] starttime: Option<GeneralizedTime>,
        [7] endtime: GeneralizedTime,
        [8] renew_till: Option<GeneralizedTime>,
        [9] caddr: Option<Vec<HostAddress<'a>>>,
        [10] authorization_data: Option<AuthorizationData<'a>>,
    }

    /// RFC 4120 §5.3: the realms that vouched for the client, in a compressed form.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct TransitedEncoding<'a> {
        [0] tr_type: i32,
        [1] contents: &'a [u8],
    }
}

/// The bits of TicketFlags (RFC 4120 §5.3), as they stand in the most significant 32 bits.
pub mod ticket_flags {
    /// The client may ask for a ticket with other addresses.
    pub const FORWARDABLE: u32 = 1 << 30;
    /// The ticket was forwarded, or comes from one that was.
    pub const FORWARDED: u32 = 1 << 29;
    /// The client may ask for a service ticket with other addresses.
    pub const PROXIABLE: u32 = 1 << 28;
    /// The ticket is a proxy.
    pub const PROXY: u32 = 1 << 27;
    /// The client may ask for a ticket that begins later.
    pub const MAY_POSTDATE: u32 = 1 << 26;
    /// The ticket was asked for before its beginning.
    pub const POSTDATED: u32 = 1 << 25;
    /// The KDC has to validate the ticket before use.
    pub const INVALID: u32 = 1 << 24;
    /// The ticket can be renewed.
    pub const RENEWABLE: u32 = 1 << 23;
    /// The AS exchange gave the ticket.
    pub const INITIAL: u32 = 1 << 22;
    /// The client proved its key before the KDC answered.
    pub const PRE_AUTHENT: u32 = 1 << 21;
    /// The client proved to hold a piece of hardware.
    pub const HW_AUTHENT: u32 = 1 << 20;
    /// The KDC has checked the transited realms.
    pub const TRANSITED_POLICY_CHECKED: u32 = 1 << 19;
    /// The service may be trusted with a delegated ticket.
    pub const OK_AS_DELEGATE: u32 = 1 << 18;
    /// The reply protects the request (RFC 6806 §11).
    pub const ENC_PA_REP: u32 = 1 << 16;
    /// The client is anonymous (RFC 8062 §3).
    pub const ANONYMOUS: u32 = 1 << 15;
}
