//! Leaders that die, and leaders that are cut off.

use std::{
    future::pending,
    process::{Command, Stdio},
};

use mainstay_lock::{Locks, LostReason, Redis, election::Election};
use mainstay_testkit::{eventually, proxy::Direction, redis::Single};

use crate::{SOON, client, ms, short_lived, until_empty, until_waiting, within};

/// Tells a process of this test to be the leader.
const LEADER: &str = "MAINSTAY_TEST_LEADER";

#[tokio::test]
async fn a_leader_whose_process_is_killed_is_followed_when_its_lease_ends() {
    if let Ok(url) = std::env::var(LEADER) {
        let locks = Locks::builder().redis(Redis::open(&url).unwrap());
        let leader = Election::new(&locks, "job").candidate_id("child").lease(ms(1_000));
        return leader.run(|_| pending()).await.unwrap();
    }
    let server = Single::start().await.unwrap();
    let test = "election::a_leader_whose_process_is_killed_is_followed_when_its_lease_ends";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env(LEADER, server.url())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // No renewal of its own is due for minutes: only the leader's lease counts.
    let locks = client(&server);
    let candidate = Election::new(&locks, "job").candidate_id("parent").lease(ms(600_000));
    let leads = |id: &'static str| {
        let candidate = candidate.clone();
        move || {
            let candidate = candidate.clone();
            async move {
                let leader = candidate.leader().await.map_err(|error| error.to_string())?;
                leader
                    .filter(|leader| leader.candidate.as_deref() == Some(id))
                    .ok_or("not yet".to_owned())
            }
        }
    };
    let before = eventually(SOON, leads("child")).await.unwrap();
    assert!(before.remaining <= ms(1_000), "{before:?}");
    let own = candidate.clone();
    let campaign = tokio::spawn(async move { own.campaign().await });
    until_waiting(&locks, "job", 1).await;
    // Kept by renewals for longer than a lease.
    let renewed = || async {
        let leader = leads("child")().await?;
        (leader.leading_for > ms(1_500)).then_some(()).ok_or_else(|| format!("{leader:?}"))
    };
    eventually(SOON, renewed).await.unwrap();
    assert!(!campaign.is_finished());
    child.kill().unwrap();
    child.wait().unwrap();
    let leadership = within(campaign).await.unwrap().unwrap();
    assert!(leadership.term() > before.term);
    let after = leads("parent")().await.unwrap();
    assert_eq!(after.term, leadership.term());
    leadership.resign().await;
    until_empty(&server).await;
}

/// The leader cannot be reached and cannot reach the server: it gives up before the next one begins.
#[tokio::test]
async fn a_leader_that_is_cut_off_gives_up_before_the_next_one_begins() {
    let server = Single::start().await.unwrap();
    let proxy = server.proxy().await.unwrap();
    let redis = Redis::builder(&proxy.url(&server.url())).unwrap().budget(ms(200)).build().unwrap();
    let cut = Election::new(&Locks::builder().redis(redis), "job").lease(ms(1_000));
    let other = Election::new(&short_lived(&server, ms(1_000)), "job");
    let first = within(cut.campaign()).await.unwrap();
    let own = other.clone();
    let campaign = tokio::spawn(async move { own.campaign().await });
    until_waiting(&client(&server), "job", 1).await;
    let work = first.run(pending::<()>());
    proxy.black_hole(Direction::ToServer);
    proxy.black_hole(Direction::ToClient);
    let second = within(campaign).await.unwrap().unwrap();
    assert!(!first.is_leading() && !cut.leading().is_leading(), "its clock told it in time");
    assert_eq!(within(work).await.unwrap_err().reason, LostReason::Unreachable);
    assert!(second.term() > first.term());
    proxy.clear().await;
    // What it sends now spares its successor.
    drop(first);
    let still = || async { other.leader().await.is_ok_and(|leader| leader.is_some()) };
    eventually(SOON, still).await.unwrap();
    assert!(second.is_leading());
    second.resign().await;
    until_empty(&server).await;
}
