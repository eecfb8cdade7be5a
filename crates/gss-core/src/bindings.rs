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

    /// `tls-unique` (RFC 5929 §3): the first Finished message of the TLS connection's latest handshake. Not for TLS 1.3, which has
    /// none that would do: there it is [`tls_exporter`](Self::tls_exporter) (RFC 9266 §3).
    pub fn tls_unique(finished: &[u8]) -> Self {
        Self::of_type(b"tls-unique:", finished)
    }

    /// `tls-exporter` (RFC 9266 §4.2): 32 bytes of keying material, exported with the label
    /// [`TLS_EXPORTER_LABEL`](Self::TLS_EXPORTER_LABEL) and an empty context.
    pub fn tls_exporter(exported: &[u8; 32]) -> Self {
        Self::of_type(b"tls-exporter:", exported)
    }

    /// The label of RFC 9266 §4.2.
    pub const TLS_EXPORTER_LABEL: &'static str = "EXPORTER-Channel-Binding";

    /// `tls-server-end-point` (RFC 5929 §4), from the hash of the server's certificate. Which hash that is follows from the certificate's signature:
    /// `baton::tls::server_end_point` finds it and makes these bindings of the certificate.
    pub fn tls_server_end_point(hash: &[u8]) -> Self {
        Self::of_type(b"tls-server-end-point:", hash)
    }

    /// RFC 5056 §2.1: the type's name is a prefix, so that no channel's data is taken for another's.
    fn of_type(prefix: &[u8], data: &[u8]) -> Self {
        Self::application([prefix, data].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::ChannelBindings;

    #[test]
    fn each_type_has_its_prefix() {
        let data = |bindings: ChannelBindings| bindings.application_data;
        assert_eq!(data(ChannelBindings::tls_unique(b"F")), b"tls-unique:F");
        assert_eq!(
            data(ChannelBindings::tls_server_end_point(b"H")),
            b"tls-server-end-point:H"
        );
        let exported = data(ChannelBindings::tls_exporter(&[7; 32]));
        assert_eq!(exported, [&b"tls-exporter:"[..], &[7; 32]].concat());
    }
}
