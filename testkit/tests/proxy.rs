//! Each fault of the proxy, against a plain echo server.
#![expect(clippy::unwrap_used, reason = "a step that fails is a failed test")]
#![expect(
    clippy::disallowed_methods,
    reason = "the echo server runs beside the test, and latency is measured"
)]

use std::{
    io::ErrorKind,
    net::SocketAddr,
    time::{Duration, Instant},
};

use mainstay_testkit::{
    eventually,
    proxy::{
        Direction::{ToClient, ToServer},
        Proxy,
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

const SOON: Duration = Duration::from_secs(10);
/// Long enough that an answer that is not held back would have come.
const QUIET: Duration = Duration::from_millis(100);

/// Sends everything back, and closes when its client does.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
                let _ = to.shutdown().await;
            });
        }
    });
    addr
}

async fn proxied() -> (Proxy, TcpStream) {
    let proxy = Proxy::to(echo().await).await.unwrap();
    let client = TcpStream::connect(proxy.addr()).await.unwrap();
    (proxy, client)
}

async fn round_trip(client: &mut TcpStream) {
    client.write_all(b"ping").await.unwrap();
    expect(client, b"ping").await;
}

async fn expect(client: &mut TcpStream, bytes: &[u8]) {
    let mut heard = vec![0; bytes.len()];
    timeout(SOON, client.read_exact(&mut heard)).await.expect("an answer").unwrap();
    assert_eq!(heard, bytes);
}

#[tokio::test]
async fn without_a_fault_bytes_and_ends_go_through() {
    let (proxy, mut client) = proxied().await;
    round_trip(&mut client).await;
    client.shutdown().await.unwrap();
    assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
    eventually(SOON, || async { proxy.counters().open == 0 }).await.unwrap();
    let counters = proxy.counters();
    assert_eq!((counters.accepted, counters.reset), (1, 0), "{counters:?}");
    assert_eq!((counters.to_server, counters.to_client), (4, 4));
}

#[tokio::test]
async fn latency_holds_for_each_direction() {
    let (proxy, mut client) = proxied().await;
    let latency = Duration::from_millis(60);
    for direction in [ToServer, ToClient] {
        proxy.latency(direction, latency);
        let start = Instant::now();
        round_trip(&mut client).await;
        assert!(start.elapsed() >= latency, "{direction:?}");
        proxy.clear().await;
    }
}

#[tokio::test]
async fn a_black_hole_swallows_one_direction_until_it_is_cleared() {
    for direction in [ToServer, ToClient] {
        let (proxy, mut client) = proxied().await;
        round_trip(&mut client).await;
        proxy.black_hole(direction);
        client.write_all(b"more").await.unwrap();
        // The other direction works: what was sent to the server gets there.
        let arrives = if direction == ToServer { 4 } else { 8 };
        eventually(SOON, || async { proxy.counters().to_server == arrives }).await.unwrap();
        let answer = timeout(QUIET, client.read(&mut [0; 4])).await;
        assert!(answer.is_err(), "{direction:?}: {answer:?}");
        proxy.clear().await;
        expect(&mut client, b"more").await;
    }
}

#[tokio::test]
async fn a_reset_is_a_reset_and_strikes_once() {
    let (proxy, mut client) = proxied().await;
    round_trip(&mut client).await;
    proxy.reset();
    let error = timeout(SOON, client.read(&mut [0; 1])).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let mut next = TcpStream::connect(proxy.addr()).await.unwrap();
    round_trip(&mut next).await;
    eventually(SOON, || async { proxy.counters().reset == 1 }).await.unwrap();
}

#[tokio::test]
async fn a_half_closed_client_hears_the_end_and_may_still_send() {
    let (proxy, mut client) = proxied().await;
    round_trip(&mut client).await;
    proxy.half_close(ToClient);
    let end = timeout(SOON, client.read(&mut [0; 1])).await.unwrap();
    assert_eq!(end.unwrap(), 0);
    client.write_all(b"still").await.unwrap();
    eventually(SOON, || async { proxy.counters().to_server == 9 }).await.unwrap();
    assert_eq!(proxy.counters().to_client, 4);
}

#[tokio::test]
async fn a_drip_delivers_everything_slowly() {
    let (proxy, mut client) = proxied().await;
    let gap = Duration::from_millis(10);
    proxy.drip(ToClient, 2, gap);
    let start = Instant::now();
    client.write_all(b"0123456789").await.unwrap();
    expect(&mut client, b"0123456789").await;
    assert!(start.elapsed() >= 4 * gap);
}

#[tokio::test]
async fn refused_connections_are_refused_and_open_ones_go_on() {
    let (proxy, mut client) = proxied().await;
    round_trip(&mut client).await;
    proxy.refuse().await;
    let error = TcpStream::connect(proxy.addr()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    round_trip(&mut client).await;
    proxy.clear().await;
    let mut next = TcpStream::connect(proxy.addr()).await.unwrap();
    round_trip(&mut next).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_resets_the_client() {
    let (proxy, mut client) = {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = free.local_addr().unwrap();
        drop(free);
        let proxy = Proxy::to(addr).await.unwrap();
        let client = TcpStream::connect(proxy.addr()).await.unwrap();
        (proxy, client)
    };
    let error = timeout(SOON, client.read(&mut [0; 1])).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    drop(proxy);
}
