//! A TCP proxy that breaks connections on request.
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//! use mainstay_testkit::proxy::{Direction, Proxy};
//!
//! # async fn example(server: std::net::SocketAddr) -> Result<(), mainstay_testkit::KitError> {
//! let proxy = Proxy::to(server).await?;
//! // .. let the code under test connect to proxy.addr() ..
//! proxy.latency(Direction::ToClient, Duration::from_millis(20));
//! proxy.black_hole(Direction::ToServer);
//! proxy.clear().await;
//! # Ok(())
//! # }
//! ```

mod door;
mod faults;
mod link;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{net::TcpListener, sync::watch};

pub use self::faults::{Counters, Direction};
use self::faults::{Drip, Faults, Tally};
use crate::{
    KitError,
    lease::Port,
    spawn::{Task, spawn},
};

/// A TCP proxy in front of one server, on a port of its own.
///
/// Faults add up and hold for open and new connections until [`clear`](Self::clear); only
/// [`reset`](Self::reset) and [`half_close`](Self::half_close) strike once. Dropping the proxy closes
/// its connections. It lives on the runtime that it was made on.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    target: SocketAddr,
    faults: watch::Sender<Faults>,
    listening: watch::Receiver<bool>,
    tally: Arc<Tally>,
    _task: Task,
    _port: Port,
}

impl Proxy {
    /// Starts a proxy to `target`, which need not be there yet.
    ///
    /// # Errors
    ///
    /// When no port is free.
    pub async fn to(target: SocketAddr) -> Result<Self, KitError> {
        let (port, addr, listener) = free_door()?;
        let (faults, watched) = watch::channel(Faults::default());
        let (open, listening) = watch::channel(true);
        let tally = Arc::new(Tally::default());
        let work = door::Door { addr, target, faults: watched, open, tally: Arc::clone(&tally) };
        Ok(Self {
            addr,
            target,
            faults,
            listening,
            tally,
            _task: spawn(work.serve(listener)),
            _port: port,
        })
    }

    /// Where clients connect.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The server behind it.
    #[must_use]
    pub fn target(&self) -> SocketAddr {
        self.target
    }

    /// A URL of the server with this proxy's address in the place of the server's.
    #[must_use]
    pub fn url(&self, server: &str) -> String {
        server.replace(&self.target.to_string(), &self.addr.to_string())
    }

    /// Delivers what is sent in `direction` from now on after `latency`; throughput stays.
    pub fn latency(&self, direction: Direction, latency: Duration) {
        self.change(|faults| faults.on(direction).latency = latency);
    }

    /// Delivers nothing in `direction`, as a network that is cut one way: the sender notices nothing.
    ///
    /// As with TCP, nothing is lost for connections that outlive the cut: what was sent meanwhile
    /// arrives after [`clear`](Self::clear).
    pub fn black_hole(&self, direction: Direction) {
        self.change(|faults| faults.on(direction).hole = true);
    }

    /// Delivers `bytes` at a time in `direction`, and then nothing for `gap`.
    pub fn drip(&self, direction: Direction, bytes: usize, gap: Duration) {
        let bytes = bytes.max(1);
        self.change(|faults| faults.on(direction).drip = Some(Drip { bytes, gap }));
    }

    /// Ends every open connection with RST on both sides; new ones are let through.
    pub fn reset(&self) {
        self.change(|faults| faults.resets += 1);
    }

    /// Ends one direction of every open connection with FIN, and lets the other go on.
    pub fn half_close(&self, direction: Direction) {
        self.change(|faults| faults.on(direction).half_closes += 1);
    }

    /// Refuses new connections, as a host without a listener does; open ones go on.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the refusal comes all the same, a moment later.
    pub async fn refuse(&self) {
        self.change(|faults| faults.refuse = true);
        self.until_listening(false).await;
    }

    /// Takes every fault away.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the faults go all the same; connections may be refused a moment longer.
    pub async fn clear(&self) {
        self.change(Faults::clear);
        self.until_listening(true).await;
    }

    /// What went through so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.tally.read()
    }

    fn change(&self, change: impl FnOnce(&mut Faults)) {
        self.faults.send_modify(change);
    }

    async fn until_listening(&self, wanted: bool) {
        let mut listening = self.listening.clone();
        // It ends before us only if its runtime did, and then nothing listens.
        let _ = listening.wait_for(|open| *open == wanted).await;
    }
}

/// A listener on a port of its own. One that was free a moment ago may be taken by who knows nothing of our leases.
fn free_door() -> Result<(Port, SocketAddr, TcpListener), KitError> {
    let mut tries = 0;
    loop {
        let port = Port::free()?;
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port.number()));
        match door::listen(addr) {
            Ok(listener) => return Ok((port, addr, listener)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries < TRIES => tries += 1,
            Err(error) => return Err(KitError::io(format!("listen on {addr}"))(error)),
        }
    }
}

/// Ports to try before giving up.
const TRIES: usize = 20;
