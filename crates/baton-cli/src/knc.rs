//! The wire protocol of knc, "kerberized netcat": frames, and the two dialects in which a peer says that it has finished.
//!
//! A frame is a length of 4 bytes, the most significant first, and a token. `knc(1)` ends its data by half-closing the TCP
//! connection between two frames. `libknc` wraps an empty message, which announces that the next message is a command.
//! Both are understood; what is sent is described at [`END_COMMAND`].

use thiserror::Error;

/// The bytes before a token.
pub(crate) const HEADER: usize = 4;
/// The most plaintext that is put into one frame: with its token around it, it stays below what `knc(1)` takes.
pub(crate) const MAX_PLAINTEXT: usize = 64 * 1024;
/// The longest frame that `knc(1)` takes, and the longest token taken here while a handshake lasts.
pub(crate) const MAX_HANDSHAKE_TOKEN: usize = 66_048;
/// The longest frame that `libknc` takes, and the default here.
pub(crate) const DEFAULT_MAX_TOKEN: usize = 1024 * 1024;
/// The messages that tell a `libknc` peer that no data follows; one that never sent a command gets the half-close alone.
pub(crate) const END_COMMAND: [&[u8]; 2] = [b"", b"\x00"];

/// Why bytes are not frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum FrameError {
    #[error("a frame announces {length} bytes, {limit} are the limit")]
    TooLong { length: usize, limit: usize },
    #[error("a frame is empty")]
    Empty,
    #[error("the connection ended within a frame")]
    Cut,
}

/// The first token in `bytes`, and how many bytes its frame takes; `None` if it has not arrived as a whole.
pub(crate) fn first_token(
    bytes: &[u8],
    limit: usize,
) -> Result<Option<(&[u8], usize)>, FrameError> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*header) as usize;
    if length == 0 {
        return Err(FrameError::Empty);
    }
    if length > limit {
        return Err(FrameError::TooLong { length, limit });
    }
    Ok(rest.get(..length).map(|token| (token, HEADER + length)))
}

/// Appends a frame whose token `write` appends.
pub(crate) fn put_frame<E>(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let start = out.len();
    out.extend([0; HEADER]);
    if let Err(error) = write(out) {
        out.truncate(start);
        return Err(error);
    }
    let length = (out.len() - start - HEADER) as u32;
    out[start..start + HEADER].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// The frame of a token.
pub(crate) fn frame(token: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + token.len());
    out.extend((token.len() as u32).to_be_bytes());
    out.extend(token);
    out
}

/// What a message means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Its bytes are data.
    Data,
    /// It changes nothing.
    Nothing,
    /// The sender has finished.
    Finished,
    /// The sender reads no more.
    StopsReading,
    /// Both.
    Both,
}

/// A message where none may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("data after the end of data")]
pub(crate) struct DataAfterEnd;

/// What is remembered of the messages that came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Incoming {
    /// The next message is a command.
    pub(crate) command_next: bool,
    /// The sender has finished.
    pub(crate) finished: bool,
    /// The sender is a `libknc`: it has sent a command.
    pub(crate) commands: bool,
}

impl Incoming {
    /// Tells what the message that came next means.
    pub(crate) fn message(&mut self, message: &[u8]) -> Result<Meaning, DataAfterEnd> {
        if !self.command_next {
            return match message {
                [] => {
                    self.command_next = true;
                    Ok(Meaning::Nothing)
                }
                _ if self.finished => Err(DataAfterEnd),
                _ => Ok(Meaning::Data),
            };
        }
        self.command_next = false;
        self.commands = true;
        let meaning = match message {
            [] => Meaning::Both,
            [0] => Meaning::Finished,
            [1] => Meaning::StopsReading,
            // libknc's textual commands; none of them concerns the data.
            _ => Meaning::Nothing,
        };
        self.finished |= matches!(meaning, Meaning::Both | Meaning::Finished);
        Ok(meaning)
    }

    /// Notes that the connection ended with `left` bytes of no whole frame.
    ///
    /// An announced command that never came is `knc(1)`'s reading of an empty message: the end.
    pub(crate) fn half_close(&mut self, left: usize) -> Result<(), FrameError> {
        match left {
            0 => {
                self.finished = true;
                Ok(())
            }
            _ => Err(FrameError::Cut),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_with_a_bit_flipped_is_what_its_header_then_says() {
        let good = frame(b"first");
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let length = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
            let expected = match length {
                0 => Err(FrameError::Empty),
                1..=5 => Ok(Some((&bytes[4..4 + length], 4 + length))),
                _ => Err(FrameError::TooLong { length, limit: 5 }),
            };
            assert_eq!(first_token(&bytes, 5), expected, "{bit}");
        }
    }

    #[test]
    fn a_frame_is_found_only_when_it_is_whole() {
        let bytes = [frame(b"first"), frame(b"2nd")].concat();
        for cut in 0..bytes.len() {
            let found = first_token(&bytes[..cut], 5).unwrap();
            assert_eq!(found, (cut >= 9).then_some((&b"first"[..], 9)), "{cut}");
        }
        assert_eq!(first_token(&bytes[9..], 5), Ok(Some((&b"2nd"[..], 7))));
    }

    #[test]
    fn a_frame_is_refused_by_its_header_alone() {
        for (length, limit) in [
            (6, 5),
            (u32::MAX, DEFAULT_MAX_TOKEN),
            (1 << 31, usize::MAX >> 40),
        ] {
            let error = FrameError::TooLong {
                length: length as usize,
                limit,
            };
            assert_eq!(first_token(&length.to_be_bytes(), limit), Err(error));
        }
        assert_eq!(first_token(&[0; 4], 5), Err(FrameError::Empty));
        assert_eq!(first_token(&[0; 3], 5), Ok(None));
    }

    #[test]
    fn the_largest_frame_sent_is_taken_by_either_dialect() {
        // RFC 4121 §4.2.4: header, confounder, header again, checksum (24 bytes with enctype 20).
        let token = MAX_PLAINTEXT + 16 + 16 + 16 + 24;
        for limit in [MAX_HANDSHAKE_TOKEN, DEFAULT_MAX_TOKEN] {
            assert!(token <= limit);
        }
    }

    #[test]
    fn a_frame_is_written_whole_or_not_at_all() {
        let mut out = b"before".to_vec();
        put_frame(&mut out, |out| {
            out.extend(b"token");
            Ok::<(), ()>(())
        })
        .unwrap();
        assert_eq!(out, [&b"before"[..], &frame(b"token")].concat());
        let before = out.clone();
        let refused = put_frame(&mut out, |out| {
            out.extend(b"half");
            Err(())
        });
        assert_eq!((refused, out), (Err(()), before));
    }

    #[test]
    fn both_dialects_are_understood() {
        let read = |messages: &[&[u8]]| {
            let mut incoming = Incoming::default();
            let meanings: Result<Vec<_>, _> =
                messages.iter().map(|m| incoming.message(m)).collect();
            (meanings, incoming.finished, incoming.commands)
        };
        use Meaning::*;
        for (messages, meanings, finished, commands) in [
            (&[&b"a"[..], b"\0"][..], Ok(vec![Data, Data]), false, false),
            (&[b""], Ok(vec![Nothing]), false, false),
            (&[b"", b"\0"], Ok(vec![Nothing, Finished]), true, true),
            (
                &[b"", b"\x01", b"x"],
                Ok(vec![Nothing, StopsReading, Data]),
                false,
                true,
            ),
            (&[b"", b""], Ok(vec![Nothing, Both]), true, true),
            (
                &[b"", b"\0", b"", b"\x01"],
                Ok(vec![Nothing, Finished, Nothing, StopsReading]),
                true,
                true,
            ),
            (
                &[b"", b"\0\0\0\x01txt_error\0", b"x"],
                Ok(vec![Nothing, Nothing, Data]),
                false,
                true,
            ),
            (
                &[b"", b"\x02", b"x"],
                Ok(vec![Nothing, Nothing, Data]),
                false,
                true,
            ),
            (&[b"", b"\0", b"x"], Err(DataAfterEnd), true, true),
            (&[b"", b"", b"x"], Err(DataAfterEnd), true, true),
        ] {
            assert_eq!(
                read(messages),
                (meanings, finished, commands),
                "{messages:?}"
            );
        }
    }

    #[test]
    fn a_half_close_counts_only_between_frames() {
        for command_next in [false, true] {
            let mut incoming = Incoming {
                command_next,
                ..Incoming::default()
            };
            assert_eq!(incoming.half_close(1), Err(FrameError::Cut));
            assert!(!incoming.finished);
            assert_eq!(incoming.half_close(0), Ok(()));
            assert!(incoming.finished);
        }
    }
}
