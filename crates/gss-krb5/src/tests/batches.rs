//! Many messages at a time, and from several threads.

use std::collections::HashSet;
use std::sync::Mutex;

use gss_core::error::Major;
use gss_core::mechanism::SecurityContext;
use gss_core::message::Batched;
use gss_core::sequence::Order;

use super::buffers::Both;
use super::realm::{signed, wrapped};

fn batch<'a>(inputs: &'a [Vec<u8>], outputs: &'a mut [Vec<u8>]) -> Vec<Batched<'a>> {
    let pairs = inputs.iter().zip(outputs);
    pairs
        .map(|(input, output)| Batched { input, output })
        .collect()
}

#[test]
fn a_batch_is_wrapped_in_order_and_each_of_it_has_its_outcome() {
    for both in Both::all() {
        let messages: Vec<_> = (0..20_u8).map(|n| vec![n; usize::from(n) * 3]).collect();
        for confidential in [true, false] {
            let mut tokens = vec![b"before".to_vec(); 20];
            let state = (both.initiator)
                .wrap_many(confidential, &mut batch(&messages, &mut tokens))
                .unwrap();
            assert_eq!(state, confidential);
            let first = if confidential { 0 } else { 20 };
            for (number, token) in (first..).zip(&mut tokens) {
                assert_eq!(&token[..6], b"before");
                token.drain(..6);
                assert_eq!(token[8..16], u64::to_be_bytes(number), "{}", both.enctype);
            }
            // The fourth is damaged, the sixth comes twice: the others are what they are without these.
            tokens[3][20] ^= 1;
            tokens[6] = tokens[5].clone();
            let mut found = vec![Vec::new(); 20];
            let outcomes = both.acceptor.unwrap_many(&mut batch(&tokens, &mut found));
            for (at, outcome) in outcomes.into_iter().enumerate() {
                let expected = match at {
                    3 => {
                        assert_eq!(outcome.unwrap_err().major(), Major::BadMic);
                        assert_eq!(found[3], b"");
                        continue;
                    }
                    4 | 7 => (at, Order::Gap),
                    6 => (5, Order::Duplicate),
                    _ => (at, Order::InOrder),
                };
                let unwrapped = outcome.unwrap();
                assert_eq!(unwrapped.confidential, confidential);
                assert_eq!(
                    (&found[at], unwrapped.order),
                    (&messages[expected.0], expected.1)
                );
            }
        }
        assert!(both.initiator.wrap_many(true, &mut []).is_ok());
        assert!(both.acceptor.unwrap_many(&mut []).is_empty());
    }
}

#[test]
fn each_number_is_used_once_though_threads_wrap_and_sign_at_once() {
    const EACH: usize = 400;
    let both = Both::all().next().unwrap();
    let tokens = Mutex::new(Vec::new());
    let keep = &|token: Vec<u8>| tokens.lock().unwrap().push(token);
    let initiator = &both.initiator;
    std::thread::scope(|threads| {
        for thread in 0..2 {
            threads.spawn(move || {
                for n in 0..EACH {
                    match (n + thread) % 2 {
                        0 => keep(wrapped(initiator, n % 4 == 0, &[n as u8; 50])),
                        _ => keep(signed(initiator, b"message")),
                    }
                }
            });
        }
        threads.spawn(move || {
            for _ in 0..EACH / 4 {
                let messages = vec![b"of a batch".to_vec(); 4];
                let mut out = vec![Vec::new(); 4];
                let done = initiator.wrap_many(true, &mut batch(&messages, &mut out));
                assert!(done.unwrap());
                let numbers =
                    |token: &Vec<u8>| u64::from_be_bytes(token[8..16].try_into().unwrap());
                let first = numbers(&out[0]);
                let expected: Vec<_> = (first..first + 4).collect();
                assert_eq!(out.iter().map(numbers).collect::<Vec<_>>(), expected);
                out.into_iter().for_each(keep);
            }
        });
    });
    let mut tokens = tokens.into_inner().unwrap();
    tokens.sort_by_key(|token| u64::from_be_bytes(token[8..16].try_into().unwrap()));
    for (number, token) in (0_u64..).zip(&tokens) {
        assert_eq!(token[8..16], number.to_be_bytes());
    }
    assert_eq!(tokens.len(), 3 * EACH);
    // All of them are good, and unwrapped by two threads at once each of them is new at most once.
    let news = Mutex::new(HashSet::new());
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                for (number, token) in tokens.iter().enumerate() {
                    let order = match token[0] {
                        4 => both.acceptor.verify_mic(b"message", token).unwrap(),
                        _ => both.acceptor.unwrap(token, &mut Vec::new()).unwrap().order,
                    };
                    if let Order::InOrder | Order::Gap = order {
                        assert!(news.lock().unwrap().insert(number), "{number}");
                    }
                }
            });
        }
    });
    assert!(news.into_inner().unwrap().contains(&(tokens.len() - 1)));
}

/// Each token of a batch, cut anywhere or with any bit flipped, has the status that it has alone.
#[test]
fn what_is_wrong_with_a_token_is_told_the_same_in_a_batch() {
    for both in Both::all() {
        for confidential in [true, false] {
            let token = wrapped(&both.initiator, confidential, b"a message in a batch");
            let mut tokens: Vec<_> = (0..token.len()).map(|cut| token[..cut].to_vec()).collect();
            tokens.extend((0..token.len() * 8).map(|bit| {
                let mut other = token.clone();
                other[bit / 8] ^= 1 << (bit % 8);
                other
            }));
            // A filler that is none, and a rotation that is none, change nothing that is protected.
            tokens.retain(|token| both.acceptor.unwrap(token, &mut Vec::new()).is_err());
            let mut found = vec![b"before".to_vec(); tokens.len()];
            let outcomes = both.acceptor.unwrap_many(&mut batch(&tokens, &mut found));
            for ((token, outcome), found) in tokens.iter().zip(outcomes).zip(found) {
                let alone = both.acceptor.unwrap(token, &mut Vec::new()).unwrap_err();
                let error = outcome.unwrap_err();
                assert_eq!(error.major(), alone.major(), "{} {token:?}", both.enctype);
                assert_eq!(error.to_string(), alone.to_string());
                assert_eq!(found, b"before");
            }
            assert!(both.acceptor.unwrap(&token, &mut Vec::new()).is_ok());
        }
    }
}
