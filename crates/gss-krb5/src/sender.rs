//! The half of a context that protects what we send.

use std::sync::Arc;

use wire::random::Random;

use crate::keys::Direction;
use crate::token::{HEADER, MicHeader, TokenFlags, WrapHeader};

/// One key, one direction, and the next sequence number, which advances once its token exists.
pub(crate) struct Sender {
    pub(crate) direction: Direction,
    pub(crate) flags: TokenFlags,
    pub(crate) next: u64,
    pub(crate) random: Arc<dyn Random>,
}

impl Sender {
    /// Appends a Wrap token to `out`.
    pub(crate) fn wrap(&mut self, confidential: bool, message: &[u8], out: &mut Vec<u8>) {
        if confidential {
            self.seal(message, out);
        } else {
            self.sign(message, out);
        }
        self.next = self.next.wrapping_add(1);
    }

    /// `header | encrypt(message | header)`, encrypted where it will stay (RFC 4121 §4.2.4). AES needs no filler: EC is 0.
    fn seal(&self, message: &[u8], out: &mut Vec<u8>) {
        let (confounder, checksum) = (self.direction.confounder, self.direction.checksum);
        out.reserve(HEADER + confounder + message.len() + HEADER + checksum);
        let header = WrapHeader {
            flags: self.flags.sealed(),
            ec: 0,
            rrc: 0,
            seq: self.next,
        }
        .to_bytes();
        out.extend_from_slice(&header);
        let body = out.len();
        out.resize(body + confounder, 0);
        self.random.fill(&mut out[body..]);
        out.extend_from_slice(message);
        out.extend_from_slice(&header);
        out.resize(out.len() + checksum, 0);
        self.direction.seal().seal_in_place(&mut out[body..]);
    }

    /// `header | message | checksum(message | header with EC and RRC zero)` (RFC 4121 §4.2.4).
    fn sign(&self, message: &[u8], out: &mut Vec<u8>) {
        let header = WrapHeader {
            flags: self.flags,
            ec: self.direction.checksum as u16,
            rrc: 0,
            seq: self.next,
        };
        let checksum = self.direction.wrap_mac().sign(&[message, &header.signed()]);
        out.reserve(HEADER + message.len() + checksum.len());
        out.extend_from_slice(&header.to_bytes());
        out.extend_from_slice(message);
        out.extend_from_slice(&checksum);
    }

    /// Appends a MIC token to `out`.
    pub(crate) fn get_mic(&mut self, message: &[u8], out: &mut Vec<u8>) {
        let header = MicHeader {
            flags: self.flags,
            seq: self.next,
        }
        .to_bytes();
        let checksum = self.direction.mic().sign(&[message, &header]);
        out.reserve(HEADER + checksum.len());
        out.extend_from_slice(&header);
        out.extend_from_slice(&checksum);
        self.next = self.next.wrapping_add(1);
    }
}
