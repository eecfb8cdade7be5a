//! Makes PACs, as a KDC does.

use krb5_crypto::{Key, KeyUsage};
use wire::time::Timestamp;

use super::{
    ALIGNMENT, CLIENT_INFO, ClientInfo, HEADER, PRIVSVR_CHECKSUM, ROW, SERVER_CHECKSUM,
    SIGNATURE_TYPE, plain_name,
};
use crate::principal::Principal;

/// A PAC in the making.
#[derive(Clone, Debug, Default)]
pub struct PacWriter {
    buffers: Vec<(u32, Vec<u8>)>,
}

impl PacWriter {
    /// A PAC of `client`, whose ticket has that `authtime`. A name that is not UTF-8 has no form in a PAC; what is not is replaced.
    pub fn new(client: &Principal, authtime: Timestamp) -> Self {
        let info = ClientInfo {
            authtime,
            name: String::from_utf8_lossy(&plain_name(client)).into_owned(),
        };
        Self::default().buffer(CLIENT_INFO, info.write())
    }

    /// Adds a buffer.
    #[must_use]
    pub fn buffer(mut self, buffer_type: u32, contents: impl Into<Vec<u8>>) -> Self {
        self.buffers.push((buffer_type, contents.into()));
        self
    }

    /// The PAC, signed for the service that `server` is the key of and by the KDC whose key is `kdc`.
    pub fn sign(self, server: &Key, kdc: &Key) -> Vec<u8> {
        let unsigned = |key: &Key| {
            let checksum_type = key.enctype().checksum_type().to_le_bytes();
            let zeros = vec![0; key.enctype().checksum_length()];
            [&checksum_type[..], &zeros].concat()
        };
        let all = self
            .buffer(SERVER_CHECKSUM, unsigned(server))
            .buffer(PRIVSVR_CHECKSUM, unsigned(kdc));
        let (mut pac, places) = all.lay_out();
        let [.., own, kdcs] = places[..] else {
            return pac;
        };
        let signature = server.checksum(KeyUsage::PAC_SIGNATURE, &[&pac]);
        put(&mut pac, own, &signature);
        let signature = kdc.checksum(KeyUsage::PAC_SIGNATURE, &[&signature]);
        put(&mut pac, kdcs, &signature);
        pac
    }

    /// The PAC as it stands, and where its buffers begin.
    pub(super) fn lay_out(&self) -> (Vec<u8>, Vec<usize>) {
        let count = self.buffers.len();
        let mut pac = Vec::new();
        pac.extend_from_slice(&(count as u32).to_le_bytes());
        pac.extend_from_slice(&0_u32.to_le_bytes());
        let mut at = HEADER + count * ROW;
        let mut places = Vec::with_capacity(count);
        for (buffer_type, contents) in &self.buffers {
            pac.extend_from_slice(&buffer_type.to_le_bytes());
            pac.extend_from_slice(&(contents.len() as u32).to_le_bytes());
            pac.extend_from_slice(&(at as u64).to_le_bytes());
            places.push(at);
            at += contents.len().next_multiple_of(ALIGNMENT);
        }
        for (_, contents) in &self.buffers {
            pac.extend_from_slice(contents);
            pac.resize(pac.len().next_multiple_of(ALIGNMENT), 0);
        }
        (pac, places)
    }
}

pub(super) fn put(pac: &mut [u8], buffer: usize, signature: &[u8]) {
    let start = buffer + SIGNATURE_TYPE;
    pac[start..start + signature.len()].copy_from_slice(signature);
}
