//! One connection through the proxy.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::{mpsc, watch},
    time::Instant,
};

use super::faults::{Direction, Faults, Tally, Way};
use crate::time::{now, pause, pause_until};

/// Chunks on their way; with more, the sender is held back as by any network.
const IN_FLIGHT: usize = 64;
/// The largest chunk.
const CHUNK: usize = 16 * 1024;

/// Carries bytes both ways until both sides closed, one broke, or a reset struck.
pub(super) async fn run(
    mut client: TcpStream,
    target: SocketAddr,
    faults: watch::Receiver<Faults>,
    tally: Arc<Tally>,
) {
    let end = async {
        let mut server = TcpStream::connect(target).await?;
        let carried = carry(&mut client, &mut server, &faults, &tally).await;
        if carried.is_err() {
            server.set_zero_linger()?;
        }
        carried
    }
    .await;
    if end.is_err() {
        // Without lingering, closing sends RST. A client that is gone already has no use for it.
        let _ = client.set_zero_linger();
    }
    drop(client);
    tally.closed(end.is_err());
}

/// Fails when a side breaks or a reset strikes.
async fn carry(
    client: &mut TcpStream,
    server: &mut TcpStream,
    faults: &watch::Receiver<Faults>,
    tally: &Tally,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let resets = faults.borrow().resets;
    let mut strikes = faults.clone();
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let pipe = |direction| Pipe {
        direction,
        half_closes: faults.borrow().way(direction).half_closes,
        faults: faults.clone(),
        tally,
    };
    tokio::select! {
        biased;
        _ = strikes.wait_for(|faults| faults.resets > resets) => Err(io::ErrorKind::ConnectionReset.into()),
        both = async {
            tokio::try_join!(
                pipe(Direction::ToServer).run(from_client, to_server),
                pipe(Direction::ToClient).run(from_server, to_client),
            )
        } => both.map(drop),
    }
}

/// One direction of a link.
struct Pipe<'a> {
    direction: Direction,
    half_closes: u64,
    faults: watch::Receiver<Faults>,
    tally: &'a Tally,
}

/// Bytes and when they arrive.
type Parcel = (Instant, Vec<u8>);

impl Pipe<'_> {
    async fn run(
        mut self,
        source: impl AsyncRead + Unpin,
        mut sink: impl AsyncWrite + Unpin,
    ) -> io::Result<()> {
        let (send, mut parcels) = mpsc::channel(IN_FLIGHT);
        let collect = Self::collect(self.direction, self.faults.clone(), source, send);
        let mut strikes = self.faults.clone();
        let (direction, before) = (self.direction, self.half_closes);
        let deliver = async {
            tokio::select! {
                biased;
                _ = strikes.wait_for(|faults| faults.way(direction).half_closes > before) => {}
                delivered = self.deliver(&mut parcels, &mut sink) => delivered?,
            }
            sink.shutdown().await?;
            // After a half-close the sender goes on, to nobody.
            while parcels.recv().await.is_some() {}
            Ok(())
        };
        tokio::try_join!(collect, deliver).map(drop)
    }

    /// Stamps what is sent with its time of arrival, so that latency does not cost throughput.
    async fn collect(
        direction: Direction,
        faults: watch::Receiver<Faults>,
        mut source: impl AsyncRead + Unpin,
        parcels: mpsc::Sender<Parcel>,
    ) -> io::Result<()> {
        loop {
            let mut bytes = Vec::with_capacity(CHUNK);
            if source.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
            let due = now() + faults.borrow().way(direction).latency;
            if parcels.send((due, bytes)).await.is_err() {
                return Ok(());
            }
        }
    }

    async fn deliver(
        &mut self,
        parcels: &mut mpsc::Receiver<Parcel>,
        sink: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        while let Some((due, bytes)) = parcels.recv().await {
            pause_until(due).await;
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let way = self.passable().await;
                let (now, later) =
                    rest.split_at(way.drip.map_or(rest.len(), |drip| drip.bytes.min(rest.len())));
                sink.write_all(now).await?;
                self.tally.delivered(self.direction, now.len());
                rest = later;
                if let Some(drip) = way.drip {
                    pause(drip.gap).await;
                }
            }
        }
        // The end of the stream is a message as well: it does not cross a hole.
        self.passable().await;
        Ok(())
    }

    /// Waits until something gets through.
    async fn passable(&mut self) -> Way {
        let direction = self.direction;
        let open = self.faults.wait_for(|faults| !faults.way(direction).hole).await;
        // Without a proxy there is nobody to make holes.
        open.map(|faults| faults.way(direction)).unwrap_or_default()
    }
}
