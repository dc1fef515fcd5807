//! However a test process ends, its servers end with it.
//!
//! Each test runs itself again as a process of its own, which starts a server and comes to a bad end.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use mainstay_testkit::{eventually, rabbitmq::RabbitMq, redis::Single};

/// Set in the process that comes to a bad end.
const ROLE: &str = "KIT_CLEANUP_ROLE";
const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_dropped_server_leaves_neither_process_nor_folder() {
    let redis = Single::start().await.unwrap();
    let server = Remains::of(redis.pid().unwrap());
    assert!(server.folder.exists());
    drop(redis);
    server.are_gone().await;
}

#[tokio::test]
async fn a_panic_leaves_no_server() {
    if env::var_os(ROLE).is_some() {
        let redis = Single::start().await.unwrap();
        report(redis.pid().unwrap());
        panic!("as planned");
    }
    let (mut child, server) = again("cleanup::a_panic_leaves_no_server");
    assert!(!child.wait().unwrap().success());
    server.are_gone().await;
}

#[tokio::test]
async fn a_killed_test_process_leaves_no_server() {
    if env::var_os(ROLE).is_some() {
        // A script whose children leave its process group, and live on without it.
        let rabbitmq = RabbitMq::start().await.unwrap();
        report(rabbitmq.pid().unwrap());
        std::future::pending::<()>().await;
    }
    let (mut child, server) = again("cleanup::a_killed_test_process_leaves_no_server");
    child.kill().unwrap();
    child.wait().unwrap();
    server.are_gone().await;
}

#[tokio::test]
async fn an_interrupted_test_process_leaves_no_server() {
    if env::var_os(ROLE).is_some() {
        // Kept in a static, as shared servers are: nothing drops it.
        let url = mainstay_testkit::redis::shared().await.unwrap();
        let addr = url.trim_start_matches("redis://").trim_end_matches('/');
        let info = mainstay_testkit::redis::command(addr.parse().unwrap(), &["INFO", "server"]);
        let info = info.await.unwrap();
        report(info.field("process_id").unwrap().parse().unwrap());
        std::future::pending::<()>().await;
    }
    let (mut child, server) = again("cleanup::an_interrupted_test_process_leaves_no_server");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    child.wait().unwrap();
    server.are_gone().await;
}

/// Tells the outer process which server was started.
fn report(pid: u32) {
    println!("\nserver {pid}");
    std::io::stdout().flush().unwrap();
}

/// Runs one test of this program in a process of its own, until it reports its server.
fn again(test: &str) -> (Child, Remains) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(ROLE, "1")
        .env_remove(mainstay_testkit::shared::REDIS)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let pid = lines.by_ref().lines().find_map(|line| {
        let line = line.unwrap();
        Some(line.strip_prefix("server ")?.parse().unwrap())
    });
    let remains = Remains::of(pid.expect("the inner process reports its server"));
    drain(lines);
    (child, remains)
}

/// The inner process must not die of a closed pipe instead of its planned end.
fn drain(mut lines: impl Read + Send + 'static) {
    std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
}

/// What a server has that must not stay.
struct Remains {
    processes: Vec<u32>,
    folder: PathBuf,
}

impl Remains {
    fn of(pid: u32) -> Self {
        let inside = fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
        let top = inside.ancestors().find(|folder| {
            let name = folder.file_name().unwrap_or_default();
            name.to_string_lossy().starts_with("mk")
        });
        let folder = top.expect("a server works in its folder").to_owned();
        let mut processes = vec![pid];
        let mut next = 0;
        while next < processes.len() {
            processes.extend(children(processes[next]));
            next += 1;
        }
        Self { processes, folder }
    }

    async fn are_gone(&self) {
        eventually(SOON, || async {
            let living: Vec<_> = self.processes.iter().filter(|pid| lives(**pid)).collect();
            match (living.is_empty(), self.folder.exists()) {
                (true, false) => Ok(()),
                (_, folder) => Err(format!("left: processes {living:?}, folder: {folder}")),
            }
        })
        .await
        .unwrap();
    }
}

fn lives(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.rsplit(") ").next().unwrap().starts_with('Z')
}

fn children(pid: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let list = list.unwrap_or_default();
    list.split_whitespace().map(|child| child.parse().unwrap()).collect()
}
