//! The streams of tasks.

use std::io::ErrorKind;
use std::time::Duration;

use baton::realm::DevelopmentRealm;
use baton::stream::asynchronous::{SecureStream, accept, initiate};
use baton::stream::{StreamError, StreamOptions};
use baton::{Acceptor, Context, Environment, Initiator, Name};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

fn realm() -> (DevelopmentRealm, Environment) {
    let realm = DevelopmentRealm::builder("STREAM.TEST")
        .user("alice", "secret")
        .service("host/localhost")
        .start()
        .unwrap();
    let env = realm.environment().unwrap();
    (realm, env)
}

fn contexts() -> (Context, Context) {
    let (realm, env) = realm();
    realm.contexts(&env, "alice", "host/localhost").unwrap()
}

fn options() -> StreamOptions {
    StreamOptions::default()
}

/// The handshake, KDC included, and a conversation, over a pipe that takes a few bytes at once.
#[tokio::test]
async fn a_conversation_from_the_handshake_to_the_end() {
    let (realm, env) = realm();
    for size in [1, 7, 100_000] {
        let (here, there) = duplex(size);
        let service = realm.acceptor(&env).unwrap();
        let server_env = env.clone();
        let server = tokio::spawn(async move {
            let acceptor = Acceptor::new(&server_env, &service);
            let mut stream = accept(there, acceptor, options()).await.unwrap();
            let mut out = String::new();
            stream.read_to_string(&mut out).await.unwrap();
            stream
                .write_all(out.to_uppercase().as_bytes())
                .await
                .unwrap();
            stream.shutdown().await.unwrap();
            stream.context().facts().initiator.to_string()
        });
        let alice = realm.credential(&env, "alice").unwrap();
        let name = Name::hostbased_service("host@localhost");
        let initiator = Initiator::new(&env, &alice, &name).negotiate();
        let mut stream = initiate(here, initiator, options()).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        // The pipe's own end comes behind the message that ends the stream; reading goes on.
        stream.shutdown().await.unwrap();
        let mut out = String::new();
        stream.read_to_string(&mut out).await.unwrap();
        assert_eq!(out, "HELLO");
        assert_eq!(server.await.unwrap(), "alice@STREAM.TEST");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_directions_carry_megabytes_at_once() {
    const SIZE: usize = 2 << 20;
    let (client, server) = contexts();
    let (here, there) = duplex(10_000);
    let mut sides = Vec::new();
    for (context, pipe, sign) in [(client, here, 1u8), (server, there, 2)] {
        sides.push(tokio::spawn(async move {
            let stream = SecureStream::new(context, pipe, options()).unwrap();
            let (mut reader, mut writer) = tokio::io::split(stream);
            let writing = tokio::spawn(async move {
                writer.write_all(&vec![sign; SIZE]).await.unwrap();
                writer.shutdown().await.unwrap();
            });
            let mut out = Vec::new();
            reader.read_to_end(&mut out).await.unwrap();
            writing.await.unwrap();
            assert_eq!(out.len(), SIZE);
            assert!(out.iter().all(|byte| *byte == 3 - sign));
        }));
    }
    for side in sides {
        side.await.unwrap();
    }
}

/// Reads and writes that are given up at every possible point, and begun again, lose and repeat nothing.
#[tokio::test]
async fn a_cancelled_read_or_write_loses_nothing() {
    let (client, server) = contexts();
    let (here, there) = duplex(5);
    let mut writer = SecureStream::new(client, here, options()).unwrap();
    let mut reader = SecureStream::new(server, there, options()).unwrap();
    let data: Vec<u8> = (0..2_000u32).map(|n| n as u8).collect();
    let expected = data.clone();
    let writing = tokio::spawn(async move {
        let mut rest = &data[..];
        while !rest.is_empty() {
            let some = rest.len().min(37);
            tokio::select! {
                biased;
                count = writer.write(&rest[..some]) => rest = &rest[count.unwrap()..],
                () = tokio::task::yield_now() => {}
            }
        }
        loop {
            tokio::select! {
                biased;
                done = writer.shutdown() => break done.unwrap(),
                () = tokio::task::yield_now() => {}
            }
        }
    });
    let mut out = Vec::new();
    let mut part = [0; 13];
    loop {
        tokio::select! {
            biased;
            count = reader.read(&mut part) => match count.unwrap() {
                0 => break,
                count => out.extend_from_slice(&part[..count]),
            },
            () = tokio::task::yield_now() => {}
        }
    }
    writing.await.unwrap();
    assert!(out == expected);
}

#[tokio::test]
async fn a_dropped_stream_is_cut_off_and_a_large_frame_refused() {
    let (client, server) = contexts();
    let (here, there) = duplex(1000);
    let mut writer = SecureStream::new(client, here, options()).unwrap();
    writer.write_all(b"data").await.unwrap();
    drop(writer);
    let mut reader = SecureStream::new(server, there, options()).unwrap();
    let mut out = Vec::new();
    let error = reader.read_to_end(&mut out).await.unwrap_err();
    assert_eq!(
        (error.kind(), &out[..]),
        (ErrorKind::UnexpectedEof, &b"data"[..])
    );

    let (_, server) = contexts();
    let (mut here, there) = duplex(1000);
    here.write_all(&[0xff; 4]).await.unwrap();
    let mut reader = SecureStream::new(server, there, options()).unwrap();
    let error = reader.read_to_end(&mut out).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert!(reader.read(&mut [0; 1]).await.is_err(), "it stays broken");
}

#[tokio::test]
async fn a_stalling_peer_can_be_given_up() {
    let (realm, env) = realm();
    let service = realm.acceptor(&env).unwrap();
    let (mut here, there) = duplex(1000);
    here.write_all(b"\0\0").await.unwrap();
    let accepting = accept(there, Acceptor::new(&env, &service), options());
    let ended = tokio::time::timeout(Duration::from_millis(50), accepting).await;
    assert!(ended.is_err());
    drop(here);
    let (here, there) = duplex(1000);
    drop(here);
    let closed = accept(there, Acceptor::new(&env, &service), options()).await;
    assert!(matches!(closed, Err(StreamError::ClosedInHandshake)));
}
