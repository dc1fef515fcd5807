//! Tokens on a server that is killed, paused and emptied.

use std::collections::BTreeSet;

use mainstay_lock::{
    Redis,
    token::{Consumed, Token, TokenError, Tokens},
};
use mainstay_testkit::{
    eventually,
    proxy::Direction,
    redis::{Reply, Single},
};

use crate::{
    SOON,
    common::{all_have_an_end, nothing_was_denied},
    keys, ms, until_empty, within,
};

const FORM: &str = "order-form";

fn client(url: &str) -> Tokens {
    Tokens::redis(Redis::builder(url).unwrap().budget(ms(300)).build().unwrap())
}

fn patient(server: &Single) -> Tokens {
    Tokens::redis(Redis::open(&server.url()).unwrap())
}

/// Lets the server know the scripts: the next call is one command.
async fn warm(tokens: &Tokens) {
    let token = tokens.issue(FORM, ms(60_000)).await.unwrap();
    tokens.consume(FORM, &token).await.unwrap();
}

/// Asks until there is an answer, as the error says one may.
async fn insist(tokens: &Tokens, token: &Token) -> Consumed {
    let consume = || tokens.consume(FORM, token);
    eventually(SOON, consume).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_64_is_the_first_and_all_are_told_its_number() {
    let server = Single::start().await.unwrap();
    let clients = [patient(&server), patient(&server), patient(&server), patient(&server)];
    let mut numbers = BTreeSet::new();
    for _ in 0..10 {
        let token = clients[0].issue(FORM, ms(60_000)).await.unwrap();
        let tasks: Vec<_> = (0..64)
            .map(|task| {
                let (tokens, token) = (clients[task % 4].clone(), token.clone());
                tokio::spawn(async move { tokens.consume(FORM, &token).await.unwrap() })
            })
            .collect();
        let mut consumed = Vec::new();
        for task in tasks {
            consumed.push(within(task).await.unwrap());
        }
        assert_eq!(consumed.iter().filter(|consumed| consumed.is_first()).count(), 1);
        assert!(consumed.iter().all(|other| other.number() == consumed[0].number()));
        assert!(numbers.last().is_none_or(|last| *last < consumed[0].number()));
        numbers.insert(consumed[0].number());
    }
}

#[tokio::test]
async fn everything_ends_and_repetitions_follow_the_first_use() {
    let server = Single::start().await.unwrap();
    let tokens = patient(&server);
    let token = tokens.issue(FORM, ms(600_000)).await.unwrap();
    let name = format!("{{mainstay:token1:{FORM}}}:{}", token.as_str());
    server.command(&["PEXPIRE", &name, "20000"]).await.unwrap();
    let first = tokens.consume(FORM, &token).await.unwrap();
    let Reply::Int(left) = server.command(&["PTTL", &name]).await.unwrap() else {
        panic!("a time")
    };
    assert!((20_001..=600_000).contains(&left), "{left}");
    all_have_an_end(&server, keys(&server).await).await;
    let Consumed::First { number } = first else { panic!("{first:?}") };
    assert_eq!(tokens.consume(FORM, &token).await.unwrap(), Consumed::Replay { number });
    let short = tokens.issue(FORM, ms(20)).await.unwrap();
    let last = format!("{{mainstay:token1:{FORM}}}:last");
    server.command(&["DEL", &name, &last]).await.unwrap();
    until_empty(&server).await;
    for ended in [&token, &short] {
        assert!(tokens.consume(FORM, ended).await.unwrap_err().is_invalid());
    }
}

/// As after a step back of the server's clock: the last number is in the future.
#[tokio::test]
async fn numbers_rise_although_the_clock_stepped_back() {
    let server = Single::start().await.unwrap();
    let tokens = patient(&server);
    let last = format!("{{mainstay:token1:{FORM}}}:last");
    let token = tokens.issue(FORM, ms(60_000)).await.unwrap();
    let ahead = tokens.consume(FORM, &token).await.unwrap().number() + 60_000_000;
    server.command(&["SET", &last, &ahead.to_string(), "EX", "60"]).await.unwrap();
    for next in 1..=3 {
        let token = tokens.issue(FORM, ms(60_000)).await.unwrap();
        assert_eq!(tokens.consume(FORM, &token).await.unwrap().number(), ahead + next);
    }
    let Reply::Int(left) = server.command(&["PTTL", &last]).await.unwrap() else {
        panic!("a time")
    };
    assert!(left > 50_000, "kept until the clock has caught up, not for {left} ms");
}

/// Long after the last number was drawn.
#[tokio::test]
async fn numbers_rise_over_a_clock_that_is_set_back_by_hours() {
    let server = Single::start_with_clock().await.unwrap();
    let tokens = patient(&server);
    let mut last = 0;
    for hours in [0, 1, 5, 20] {
        server.set_clock(-3_600_000 * hours).unwrap();
        let token = tokens.issue(FORM, ms(60_000)).await.unwrap();
        let number = tokens.consume(FORM, &token).await.unwrap().number();
        assert!(number > last, "{number} after {last}, {hours} hours back");
        last = number;
    }
}

/// The token was used, and the answer never came.
#[tokio::test]
async fn a_lost_reply_is_unknown_and_the_replay_has_the_number() {
    let server = Single::start().await.unwrap();
    let proxy = server.proxy().await.unwrap();
    let (cut, other) = (client(&proxy.url(&server.url())), patient(&server));
    let token = cut.issue(FORM, ms(60_000)).await.unwrap();
    warm(&cut).await;
    proxy.black_hole(Direction::ToClient);
    let error = within(cut.consume(FORM, &token)).await.unwrap_err();
    assert!(error.is_unknown() && error.retry_after().is_some(), "{error}");
    let seen = other.consume(FORM, &token).await.unwrap();
    assert!(!seen.is_first(), "it was used, whoever was to hear it");
    proxy.reset();
    proxy.clear().await;
    assert_eq!(insist(&cut, &token).await, seen);
}

#[tokio::test]
async fn a_paused_server_used_it_once() {
    let server = Single::start().await.unwrap();
    let tokens = client(&server.url());
    let token = tokens.issue(FORM, ms(60_000)).await.unwrap();
    warm(&tokens).await;
    server.pause().unwrap();
    let error = within(tokens.consume(FORM, &token)).await.unwrap_err();
    assert!(error.is_unknown(), "{error}");
    server.resume().unwrap();
    // What it was asked while it stood still was done first.
    let seen = insist(&tokens, &token).await;
    assert!(!seen.is_first(), "{seen:?}");
}

#[tokio::test]
async fn a_durable_server_that_was_killed_tells_the_same_number() {
    let mut server = Single::start_durable().await.unwrap();
    let tokens = client(&server.url());
    let (used, unused) = (
        tokens.issue(FORM, ms(60_000)).await.unwrap(),
        tokens.issue(FORM, ms(60_000)).await.unwrap(),
    );
    let number = tokens.consume(FORM, &used).await.unwrap().number();
    server.kill().await.unwrap();
    let error = within(tokens.consume(FORM, &unused)).await.unwrap_err();
    assert!(matches!(error, TokenError::Backend { .. } | TokenError::Unknown { .. }), "{error}");
    server.restart().await.unwrap();
    assert_eq!(insist(&tokens, &used).await, Consumed::Replay { number });
    assert!(insist(&tokens, &unused).await.number() > number);
}

#[tokio::test]
async fn lost_data_make_tokens_invalid_and_never_first_again() {
    let mut server = Single::start().await.unwrap();
    let tokens = client(&server.url());
    let used = tokens.issue(FORM, ms(60_000)).await.unwrap();
    let number = tokens.consume(FORM, &used).await.unwrap().number();
    server.command(&["FLUSHALL"]).await.unwrap();
    assert!(tokens.consume(FORM, &used).await.unwrap_err().is_invalid());
    let next = tokens.issue(FORM, ms(60_000)).await.unwrap();
    assert!(tokens.consume(FORM, &next).await.unwrap().number() > number);
    server.restart().await.unwrap();
    let gone = eventually(SOON, || async {
        match tokens.consume(FORM, &next).await {
            Err(TokenError::Invalid { .. }) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    gone.await.unwrap();
}

#[tokio::test]
async fn forgotten_scripts_are_not_noticed() {
    let server = Single::start().await.unwrap();
    let tokens = patient(&server);
    for _ in 0..10 {
        server.command(&["SCRIPT", "FLUSH"]).await.unwrap();
        let token = tokens.issue(FORM, ms(60_000)).await.unwrap();
        server.command(&["SCRIPT", "FLUSH"]).await.unwrap();
        assert!(tokens.consume(FORM, &token).await.unwrap().is_first());
        server.command(&["SCRIPT", "FLUSH"]).await.unwrap();
        assert!(!tokens.consume(FORM, &token).await.unwrap().is_first());
    }
}

#[tokio::test]
async fn the_documented_permissions_suffice_and_no_token_is_shown() {
    let server = Single::start().await.unwrap();
    let rule = "ACL SETUSER tokens reset on >secret ~{mainstay:token1:* +hello +client|info +client|kill +info \
                +evalsha +script|load +get +set +time";
    server.command(&rule.split_whitespace().collect::<Vec<_>>()).await.unwrap();
    let tokens = client(&server.url().replace("redis://", "redis://tokens:secret@"));
    let token = tokens.issue(FORM, ms(60_000)).await.unwrap();
    assert!(tokens.consume(FORM, &token).await.unwrap().is_first());
    nothing_was_denied(&server).await;
    let shown = format!("{tokens:?} {token:?}");
    assert!(!shown.contains("secret") && !shown.contains(token.as_str()), "{shown}");
}
