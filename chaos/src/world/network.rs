//! A network in which every client has a cable of its own.

use std::{net::SocketAddr, time::Duration};

use fastrand::Rng;
use mainstay_testkit::proxy::{Direction, Proxy};

use crate::{Result, fault::Fault, plan::Step};

/// A proxy for each seat.
pub(crate) struct Network {
    cables: Vec<Proxy>,
}

impl Network {
    pub(crate) async fn to(server: SocketAddr, seats: usize) -> Result<Self> {
        let mut cables = Vec::new();
        for _ in 0..seats {
            cables.push(Proxy::to(server).await?);
        }
        Ok(Self { cables })
    }

    /// Where a client in `seat` finds the server.
    pub(crate) fn addr(&self, seat: usize) -> SocketAddr {
        self.cables[seat].addr()
    }

    /// Breaks some cables, or all of them.
    pub(crate) async fn strike(&self, step: &Step) {
        strike_some(&self.cables, step).await;
    }

    /// Cuts the first half of the seats off, without a word.
    pub(crate) fn cut_half(&self) {
        for cable in &self.cables[..self.cables.len() / 2] {
            cable.black_hole(Direction::ToServer);
            cable.black_hole(Direction::ToClient);
        }
    }

    /// Mends every cable.
    pub(crate) async fn mend(&self) {
        mend_all(&self.cables).await;
    }
}

/// Breaks one of the cables, or all of them.
pub(super) async fn strike_some(cables: &[Proxy], step: &Step) {
    let mut rng = Rng::with_seed(step.pick);
    let victim = rng.usize(..cables.len());
    for (at, cable) in cables.iter().enumerate() {
        if step.all || at == victim {
            strike(cable, step.fault, &mut rng).await;
        }
    }
}

pub(super) async fn mend_all(cables: &[Proxy]) {
    for cable in cables {
        cable.clear().await;
    }
}

async fn strike(cable: &Proxy, fault: Fault, rng: &mut Rng) {
    let directions = match rng.u8(..3) {
        0 => &[Direction::ToServer][..],
        1 => &[Direction::ToClient],
        _ => &[Direction::ToServer, Direction::ToClient],
    };
    match fault {
        Fault::Delay => {
            let latency = Duration::from_millis(rng.u64(5..400));
            directions.iter().for_each(|direction| cable.latency(*direction, latency));
        }
        Fault::Unanswered => cable.black_hole(Direction::ToClient),
        Fault::BlackHole => directions.iter().for_each(|direction| cable.black_hole(*direction)),
        Fault::Refuse => {
            cable.refuse().await;
            cable.reset();
        }
        _ => cable.reset(),
    }
}
