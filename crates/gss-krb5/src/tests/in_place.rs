//! Messages that are protected where they lie, and from and to slices.

use gss_core::mechanism::SecurityContext;
use gss_core::message::{BufferError, BufferKind, MessageBuffers};
use gss_core::sequence::Order;

use super::buffers::{Both, cause};
use super::realm::wrapped;

#[test]
fn in_place_and_in_slices_is_as_it_is_in_a_vector() {
    for both in Both::of_both_forms() {
        for length in (0..40).chain([1000, 70_000]) {
            for confidential in [true, false] {
                let what = format!("{} {length} {confidential}", both.enctype);
                let message: Vec<u8> = (0..length).map(|at| at as u8).collect();
                let room = both.initiator.room(confidential, length);
                let mut buffer = vec![0; room.before];
                buffer.extend_from_slice(&message);
                buffer.resize(buffer.len() + room.after, 0);
                let done = (both.initiator).wrap_in_place(confidential, &[], &mut buffer, room);
                assert_eq!(done.unwrap(), confidential);
                let plain = wrapped(&both.initiator, confidential, &message);
                assert_eq!(buffer.len(), plain.len(), "{what}");
                let (range, unwrapped) = both.acceptor.unwrap_in_place(&[], &mut buffer).unwrap();
                assert_eq!(buffer[range], message, "{what}");
                assert_eq!(unwrapped.confidential, confidential);
                let mut out = vec![0xee; plain.len() + 3];
                let (found, unwrapped) = both.acceptor.unwrap_slice(&plain, &mut out).unwrap();
                assert_eq!(out[..found], message, "{what}");
                assert_eq!(unwrapped.order, Order::InOrder, "{what}");
                let parts = message.split_at(length / 3);
                let mut out = vec![0xee; plain.len() + 3];
                let (found, state) = (both.initiator)
                    .wrap_slices(confidential, &[parts.0, &[], parts.1], &mut out)
                    .unwrap();
                assert_eq!((found, state), (plain.len(), confidential), "{what}");
                assert_eq!(out[found..], [0xee; 3], "{what}");
                let mut received = Vec::new();
                both.acceptor.unwrap(&out[..found], &mut received).unwrap();
                assert_eq!(received, message, "{what}");
            }
        }
    }
}

#[test]
fn room_that_is_not_there_is_told() {
    let both = Both::all().next().unwrap();
    let room = both.initiator.room(true, 5);
    let total = room.before + 5 + room.after;
    let other = gss_core::message::Room {
        before: room.before + 1,
        after: room.after - 1,
    };
    let mut buffer = vec![0; total];
    let error = both.initiator.wrap_in_place(true, &[], &mut buffer, other);
    let fault = BufferError::Room {
        message: 5,
        needed: room,
        found: other,
    };
    assert_eq!(cause(&error.unwrap_err()), fault.to_string());
    for length in 0..total - 5 {
        let error = both
            .initiator
            .wrap_in_place(true, &[], &mut buffer[..length], room);
        let fault = BufferError::TooShort {
            buffer: BufferKind::Token,
            needed: total - 5,
            found: length,
        };
        assert_eq!(cause(&error.unwrap_err()), fault.to_string());
    }
    for found in 0..total {
        let error = both
            .initiator
            .wrap_slices(true, &[b"hello"], &mut buffer[..found]);
        let needed = total;
        let fault = BufferError::TooShort {
            buffer: BufferKind::Token,
            needed,
            found,
        };
        assert_eq!(*error.unwrap_err().cause::<BufferError>().unwrap(), fault);
    }
    let token = wrapped(&both.initiator, true, b"hello");
    assert_eq!(token[8..16], [0; 8], "no number was used");
    let error = both
        .acceptor
        .unwrap_slice(&token, &mut buffer[..token.len() - 1]);
    assert!(error.unwrap_err().cause::<BufferError>().is_some());
    both.acceptor.unwrap_slice(&token, &mut buffer).unwrap();
    let needed = both.initiator.mic_length();
    for found in 0..needed {
        let error = both.initiator.get_mic_of(&[b"hello"], &mut buffer[..found]);
        let fault = BufferError::TooShort {
            buffer: BufferKind::MicToken,
            needed,
            found,
        };
        assert_eq!(cause(&error.unwrap_err()), fault.to_string());
    }
}
