//! A connection on its way to a worker, beside its context: who the client is, which sockets there are, and every byte that one side
//! has sent and the other has not received.

use std::net::{IpAddr, SocketAddr};

use thiserror::Error;

use crate::knc::Incoming;
use crate::worker::relay::Carried;

/// The version this program writes.
const VERSION: u8 = 1;

/// What travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) address: SocketAddr,
    /// The socket to the service, if there is one: whether it is TCP.
    pub(crate) service: Option<bool>,
    pub(crate) carried: Carried,
}

/// Why what arrived is no state.
#[derive(Debug, Error)]
pub(crate) enum StateError {
    #[error("the state is of version {0}")]
    Version(u8),
    #[error("the state is cut or malformed")]
    Malformed,
}

const FLAGS: [fn(&mut Carried) -> &mut bool; 8] = [
    |carried| &mut carried.incoming.command_next,
    |carried| &mut carried.incoming.finished,
    |carried| &mut carried.incoming.commands,
    |carried| &mut carried.client_closed,
    |carried| &mut carried.inbound_ended,
    |carried| &mut carried.service_closed,
    |carried| &mut carried.end_command_sent,
    |carried| &mut carried.outbound_ended,
];
const NO_SERVICE: u8 = 0;
const UNIX_SERVICE: u8 = 1;
const TCP_SERVICE: u8 = 2;

impl State {
    /// The bytes of this state.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut carried = self.carried.clone();
        let mut flags = 0;
        for (bit, flag) in FLAGS.iter().enumerate() {
            flags |= u8::from(*flag(&mut carried)) << bit;
        }
        let service = match self.service {
            None => NO_SERVICE,
            Some(false) => UNIX_SERVICE,
            Some(true) => TCP_SERVICE,
        };
        let mut out = vec![VERSION, flags, service];
        put_address(&mut out, self.address);
        for count in carried.counts {
            out.extend(count.to_le_bytes());
        }
        let buffers = [&carried.frames, &carried.to_service, &carried.to_client];
        for buffer in buffers {
            out.extend((buffer.len() as u32).to_le_bytes());
        }
        out.extend(buffers.map(Vec::as_slice).concat());
        out
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        let mut rest = bytes;
        let [version] = take(&mut rest)?;
        if version != VERSION {
            return Err(StateError::Version(version));
        }
        let [flags, service] = take(&mut rest)?;
        let address = take_address(&mut rest)?;
        let counts = [take(&mut rest)?, take(&mut rest)?].map(u64::from_le_bytes);
        let mut lengths = [0; 3];
        for length in &mut lengths {
            *length = u32::from_le_bytes(take(&mut rest)?) as usize;
        }
        if rest.len() != lengths.iter().sum() {
            return Err(StateError::Malformed);
        }
        let (frames, rest) = rest.split_at(lengths[0]);
        let (to_service, to_client) = rest.split_at(lengths[1]);
        let mut carried = Carried {
            frames: frames.to_vec(),
            to_service: to_service.to_vec(),
            to_client: to_client.to_vec(),
            incoming: Incoming::default(),
            counts,
            ..Carried::default()
        };
        for (bit, flag) in FLAGS.iter().enumerate() {
            *flag(&mut carried) = flags >> bit & 1 != 0;
        }
        let service = match service {
            NO_SERVICE => None,
            UNIX_SERVICE => Some(false),
            TCP_SERVICE => Some(true),
            _ => return Err(StateError::Malformed),
        };
        Ok(Self {
            address,
            service,
            carried,
        })
    }
}

fn put_address(out: &mut Vec<u8>, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => {
            out.push(4);
            out.extend(ip.octets());
        }
        IpAddr::V6(ip) => {
            out.push(6);
            out.extend(ip.octets());
        }
    }
    out.extend(address.port().to_le_bytes());
}

fn take_address(rest: &mut &[u8]) -> Result<SocketAddr, StateError> {
    let ip = match take(rest)? {
        [4] => IpAddr::from(take::<4>(rest)?),
        [6] => IpAddr::from(take::<16>(rest)?),
        _ => return Err(StateError::Malformed),
    };
    Ok(SocketAddr::new(ip, u16::from_le_bytes(take(rest)?)))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], StateError> {
    let (head, tail) = rest.split_first_chunk().ok_or(StateError::Malformed)?;
    *rest = tail;
    Ok(*head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(unsent: usize) -> State {
        State {
            address: "[::1]:65000".parse().unwrap(),
            service: Some(true),
            carried: Carried {
                frames: vec![1; unsent],
                to_service: vec![2; 3],
                to_client: vec![3; 5],
                incoming: Incoming {
                    command_next: true,
                    finished: false,
                    commands: true,
                },
                service_closed: true,
                counts: [1, 1 << 50],
                ..Carried::default()
            },
        }
    }

    #[test]
    fn a_state_arrives_as_it_was_sent() {
        for unsent in [0, 1, 3_000_000] {
            let state = state(unsent);
            assert_eq!(State::decode(&state.encode()).unwrap(), state);
        }
        let mut other = state(7);
        other.address = "127.0.0.1:80".parse().unwrap();
        other.service = None;
        assert_eq!(State::decode(&other.encode()).unwrap(), other);
    }

    #[test]
    fn each_flag_has_its_bit() {
        for flag in FLAGS {
            let mut one = state(0);
            one.carried.incoming = Incoming::default();
            one.carried.service_closed = false;
            *flag(&mut one.carried) = true;
            assert_eq!(State::decode(&one.encode()).unwrap(), one);
        }
    }

    #[test]
    fn what_is_cut_longer_or_of_another_version_is_refused() {
        let bytes = state(9).encode();
        for cut in 0..bytes.len() {
            assert!(State::decode(&bytes[..cut]).is_err(), "{cut}");
        }
        assert!(State::decode(&[&bytes[..], b"x"].concat()).is_err());
        let mut other = bytes.clone();
        other[0] = 2;
        assert!(matches!(State::decode(&other), Err(StateError::Version(2))));
        for bit in 0..bytes.len() * 8 {
            let mut other = bytes.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            if let Ok(read) = State::decode(&other) {
                assert_eq!(read.encode(), other, "{bit}: one encoding a value");
            }
        }
    }
}
