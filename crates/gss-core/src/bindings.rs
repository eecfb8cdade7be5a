//! Channel bindings: what ties a context to the channel it runs over (RFC 2743 §1.1.6, RFC 2744 §3.11, RFC 5056).

/// The channel that a handshake is meant for, as both sides see it.
///
/// The fields are those of C's `gss_channel_bindings_struct`. Most callers use [`application_data`](Self::application_data)
/// alone, with the `tls-server-end-point:` of RFC 5929 or the like in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ChannelBindings {
    /// The kind of the initiator's address (RFC 2744 §3.11); 0 is `GSS_C_AF_UNSPEC`.
    pub initiator_address_type: u32,
    /// The initiator's address.
    pub initiator_address: Vec<u8>,
    /// The kind of the acceptor's address.
    pub acceptor_address_type: u32,
    /// The acceptor's address.
    pub acceptor_address: Vec<u8>,
    /// What the application says of the channel.
    pub application_data: Vec<u8>,
}

impl ChannelBindings {
    /// Bindings without addresses.
    pub fn application(data: impl Into<Vec<u8>>) -> Self {
        Self {
            application_data: data.into(),
            ..Self::default()
        }
    }
}
