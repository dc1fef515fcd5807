use std::{future::poll_fn, time::Duration};

use mainstay_core::Clock;
use redis::cmd;
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

use super::*;

/// A socket, and the other end of its stream.
fn socket() -> (Socket, DuplexStream) {
    let (near, far) = duplex(64);
    (Socket::new(Box::new(near), Arc::default()), far)
}

async fn next(socket: &mut Socket) -> Result<Value, String> {
    poll_fn(|cx| socket.poll(cx)).await.map_err(|cause| cause.to_string())
}

#[tokio::test]
async fn an_answer_comes_whole_however_it_is_cut() {
    let answers =
        b"*3\r\n:1\r\n$5\r\n\r\n+\r\n\r\n*-1\r\n%1\r\n+a\r\n_\r\n$-1\r\n-ERR no\r\n".as_slice();
    for cut in 1..answers.len() {
        let (mut socket, mut far) = socket();
        let write = async move {
            for part in [&answers[..cut], &answers[cut..]] {
                far.write_all(part).await.unwrap();
                tokio::task::yield_now().await;
            }
            far
        };
        let read = async {
            let mut values = Vec::new();
            for _ in 0..4 {
                values.push(next(&mut socket).await.unwrap());
            }
            values
        };
        let (values, _far) = tokio::join!(read, write);
        let inner = vec![Value::Int(1), Value::BulkString(b"\r\n+\r\n".to_vec()), Value::Nil];
        assert_eq!(values[0], Value::Array(inner), "cut at {cut}");
        let map = Value::Map(vec![(Value::SimpleString("a".to_owned()), Value::Nil)]);
        assert_eq!(values[1..3], [map, Value::Nil], "cut at {cut}");
        assert!(matches!(values[3], Value::ServerError(_)), "cut at {cut}");
    }
}

#[tokio::test]
async fn answers_are_read_while_there_is_no_room_to_write() {
    let (mut socket, mut far) = socket();
    let long = "x".repeat(1000);
    (0..10).for_each(|_| socket.put(cmd("ECHO").arg(&long)));
    let expected = socket.output.len();
    let server = async move {
        let mut taken = 0;
        while taken < expected {
            // Whoever only writes, and whoever only reads, waits here for ever.
            far.write_all(b"+OK\r\n").await.unwrap();
            let mut bytes = [0; 100];
            taken += far.read(&mut bytes).await.unwrap();
        }
        taken
    };
    let client = async {
        loop {
            assert_eq!(next(&mut socket).await, Ok(Value::Okay));
        }
    };
    let taken = tokio::select! {
        taken = server => Some(taken),
        () = client => None,
        () = Clock::default().sleep(Duration::from_secs(20)) => None,
    };
    assert_eq!(taken, Some(expected));
}

#[tokio::test]
async fn what_was_answered_before_the_end_is_heard() {
    let (mut socket, mut far) = socket();
    far.write_all(b":7\r\n+half").await.unwrap();
    drop(far);
    socket.put(&cmd("PING"));
    assert_eq!(next(&mut socket).await, Ok(Value::Int(7)));
    assert!(next(&mut socket).await.is_err());
}

#[tokio::test]
async fn a_server_of_something_else_is_told_so() {
    for noise in [
        "HTTP/1.1 400 Bad Request\r\n",
        "$many\r\n",
        "*9223372036854775807\r\n%9223372036854775807\r\n",
    ] {
        let (mut socket, mut far) = socket();
        let write = async { far.write_all(noise.as_bytes()).await };
        let (heard, _) = tokio::join!(next(&mut socket), write);
        let error = heard.unwrap_err();
        assert!(error.contains("does not speak RESP"), "{noise}: {error}");
    }
}
