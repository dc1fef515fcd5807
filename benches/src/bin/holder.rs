//! Holds a lock and asks all the time whether it has it still. `bench` starts it, stops it and lets it go on.

use std::{env, error::Error, time::Duration};

use distributed_lock_core::LockHandle;
use mainstay_benches::{
    groups::redis_lock::locker::{AsyncRedisLock, DistributedLockRedis, Locker},
    harness::wall,
};
use mainstay_lock::Locks;
use tokio::runtime::Builder;

const LEASE: Duration = Duration::from_secs(1);

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let (Some(kind), Some(url)) = (args.next(), args.next()) else {
        return Err("it wants the kind of lock and the address of a Redis".into());
    };
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let name = format!("paused:{}", std::process::id());
    match kind.as_str() {
        "mainstay" => {
            let held = runtime.block_on(hold::<Locks>(&url, name));
            watch(|| held.is_held());
        }
        "async-redis-lock" => {
            let held = runtime.block_on(hold::<AsyncRedisLock>(&url, name));
            watch(|| !held.is_lost());
        }
        "distributed-lock-redis" => {
            let held = runtime.block_on(hold::<DistributedLockRedis>(&url, name));
            watch(|| !*held.lost_token().borrow());
        }
        other => return Err(format!("there is no holder for {other}").into()),
    }
    // What the lock does about its end is not measured.
    std::process::exit(0)
}

async fn hold<L: Locker>(url: &str, name: String) -> L::Held {
    L::connect(url, LEASE).await.acquire(name).await
}

/// Prints whether the first answer after a pause was yes, and for how many microseconds it stayed so.
fn watch(is_held: impl Fn() -> bool) {
    // Read first: it may be stopped as soon as it has said so.
    let mut before = wall();
    println!("held");
    loop {
        let asked = wall();
        let held = is_held();
        let answered = wall();
        if answered - before > LEASE {
            // Stopped between both readings of the clock, the answer may be from before it.
            let held = if asked - before > LEASE { held } else { held && is_held() };
            let lies = match held {
                false => 0,
                true => {
                    // One that never notices is not waited for.
                    while is_held() && wall() - answered < LEASE * 5 {
                        std::hint::spin_loop();
                    }
                    (wall() - answered).as_micros()
                }
            };
            println!("{} {lies}", u8::from(held));
            return;
        }
        assert!(held, "lost before it was paused");
        before = answered;
        std::hint::spin_loop();
    }
}
