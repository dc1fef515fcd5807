//! Compare and set by fence, in a Redis.

use std::time::Duration;

use mainstay_lock::{Fence, FenceError, FencedStore, Redis, key};
use mainstay_testkit::{
    eventually,
    redis::{Reply, Single, command},
    shared, unique,
};

use crate::{SOON, client, ms, within};

const LONG: Duration = Duration::from_secs(60);

async fn store() -> FencedStore {
    FencedStore::new(Redis::open(&shared::redis().await.unwrap()).unwrap())
}

async fn value(store: &FencedStore, name: &str) -> Option<(Vec<u8>, i64)> {
    let value = store.get(name).await.unwrap();
    value.map(|stored| (stored.value, stored.fence.get()))
}

#[tokio::test]
async fn a_lower_fence_is_refused_and_the_same_passes() {
    let (store, name) = (store().await, unique("rate"));
    assert_eq!(value(&store, &name).await, None);
    let highest = (1 << 53) - 1;
    for (fence, text) in [(5, "a"), (5, "b"), (1_795_000_000_000_001, "c"), (highest, "d")] {
        store.set(&name, text, Fence::new(fence), LONG).await.unwrap();
        assert_eq!(value(&store, &name).await, Some((text.as_bytes().to_vec(), fence)));
    }
    let refused = store.set(&name, "late", Fence::new(highest - 1), LONG).await.unwrap_err();
    let FenceError::Fenced { ours, seen, .. } = refused else { panic!("{refused}") };
    assert_eq!((ours.get(), seen.get()), (highest - 1, highest));
    assert_eq!(value(&store, &name).await, Some((b"d".to_vec(), highest)));
    let misuse = store.set(&name, "x", Fence::NONE, LONG).await.unwrap_err();
    assert!(misuse.is_misuse(), "{misuse}");
}

#[tokio::test]
async fn what_was_removed_or_has_expired_stays_out_of_reach_of_older_fences() {
    let (store, name) = (store().await, unique("rate"));
    store.set(&name, [0, 159, 255], Fence::new(5), ms(40)).await.unwrap();
    assert_eq!(value(&store, &name).await, Some((vec![0, 159, 255], 5)));
    eventually(SOON, || async { store.get(&*name).await.unwrap().is_none() }).await.unwrap();
    assert!(store.set(&name, "late", Fence::new(4), LONG).await.unwrap_err().is_fenced());
    store.set(&name, "b", Fence::new(6), LONG).await.unwrap();
    assert!(store.remove(&name, Fence::new(5)).await.unwrap_err().is_fenced());
    store.remove(&name, Fence::new(7)).await.unwrap();
    assert_eq!(value(&store, &name).await, None);
    assert!(store.set(&name, "late", Fence::new(6), LONG).await.unwrap_err().is_fenced());
}

#[tokio::test]
async fn no_key_lives_for_ever_and_the_fence_outlives_the_value() {
    let server = Single::start().await.unwrap();
    let redis = Redis::open(&server.url()).unwrap();
    let store = FencedStore::new(redis.clone());
    let (short, forgetful) =
        (key!("a:{}", "}{"), FencedStore::new(redis).retention(Duration::ZERO));
    for ttl in [Duration::ZERO, ms(500), LONG, Duration::MAX] {
        store.set(&short.clone().unwrap(), "a", Fence::new(1), ttl).await.unwrap();
        forgetful.set("b", "b", Fence::new(1), ttl).await.unwrap();
    }
    let left = async |key: &str| match server.command(&["PTTL", key]).await.unwrap() {
        Reply::Int(left) => left,
        other => panic!("{other}"),
    };
    let Reply::List(keys) = server.command(&["KEYS", "*"]).await.unwrap() else { panic!("a list") };
    assert_eq!(keys.len(), 4);
    for key in keys.iter().filter_map(Reply::text) {
        assert!(key.starts_with('{') && key.contains("}:mainstay:fenced1:"), "{key}");
        assert!(left(key).await > 0, "{key} lives for ever");
    }
    store.set("c", "c", Fence::new(1), LONG).await.unwrap();
    assert!(left("{c}:mainstay:fenced1:fence").await > left("{c}:mainstay:fenced1:value").await);
    store.remove("c", Fence::new(1)).await.unwrap();
    assert_eq!(left("{c}:mainstay:fenced1:value").await, -2);
    assert!(left("{c}:mainstay:fenced1:fence").await > 0);
}

#[tokio::test]
async fn a_paused_holder_writes_nothing_after_its_successor() {
    let (store, name) = (store().await, unique("rate"));
    let (one, two) = (client().await, client().await);
    let paused = within(one.lock(&name).fixed_lease(ms(150))).await.unwrap();
    let successor = within(two.lock(&name)).await.unwrap();
    store.set(&name, "new", successor.fence(), LONG).await.unwrap();
    let late = store.set(&name, "old", paused.fence(), LONG).await.unwrap_err();
    assert!(late.is_fenced(), "{late}");
    assert_eq!(value(&store, &name).await, Some((b"new".to_vec(), successor.fence().get())));
    // What a cache without fences would have now.
    let raw = unique("raw");
    let url = shared::redis().await.unwrap();
    let addr = url.trim_start_matches("redis://").trim_end_matches('/').parse().unwrap();
    for text in ["new", "old"] {
        command(addr, &["SET", &raw, text, "EX", "60"]).await.unwrap();
    }
    assert_eq!(command(addr, &["GET", &raw]).await.unwrap().text(), Some("old"));
}

#[tokio::test]
async fn a_write_without_an_answer_is_unknown_and_may_be_repeated() {
    let server = Single::start().await.unwrap();
    let redis = Redis::builder(&server.url()).unwrap().budget(ms(200)).build().unwrap();
    let store = FencedStore::new(redis);
    store.set("a", "1", Fence::new(1), LONG).await.unwrap();
    server.pause().unwrap();
    let unknown = store.set("a", "2", Fence::new(2), LONG).await.unwrap_err();
    assert!(unknown.is_unknown() && !unknown.is_lost(), "{unknown}");
    let unread = store.get("a").await.unwrap_err();
    assert!(matches!(unread, FenceError::Backend { .. }), "{unread}");
    server.resume().unwrap();
    eventually(SOON, || store.set("a", "2", Fence::new(2), LONG)).await.unwrap();
    assert_eq!(value(&store, "a").await, Some((b"2".to_vec(), 2)));
}
