use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::JoinSet,
};

use super::{
    faults::{Faults, Tally},
    link,
};
use crate::time::pause;

/// Takes connections in, unless they are refused.
pub(super) struct Door {
    pub(super) addr: SocketAddr,
    pub(super) target: SocketAddr,
    pub(super) faults: watch::Receiver<Faults>,
    pub(super) open: watch::Sender<bool>,
    pub(super) tally: Arc<Tally>,
}

/// Listens at once; links of an earlier listener on the same port may live on.
pub(super) fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(1024)
}

impl Door {
    /// Serves until it is dropped; the links end with it.
    pub(super) async fn serve(mut self, listener: TcpListener) {
        let mut links = JoinSet::new();
        let mut listener = Some(listener);
        loop {
            let Some(open) = listener.take().or_else(|| listen(self.addr).ok()) else {
                // Our own earlier listener may be on its way out, and whoever waits for us goes on waiting.
                pause(AGAIN).await;
                continue;
            };
            self.open.send_replace(true);
            self.accept(&open, &mut links).await;
            // Without a listener the system refuses for us.
            drop(open);
            self.open.send_replace(false);
            if self.faults.wait_for(|faults| !faults.refuse).await.is_err() {
                return;
            }
        }
    }

    /// Accepts until connections are to be refused.
    async fn accept(&mut self, listener: &TcpListener, links: &mut JoinSet<()>) {
        loop {
            let accepted = tokio::select! {
                biased;
                _ = self.faults.wait_for(|faults| faults.refuse) => return,
                Some(_) = links.join_next(), if !links.is_empty() => continue,
                accepted = listener.accept() => accepted,
            };
            // A connection that died in the queue is no concern of others.
            if let Ok((client, _)) = accepted {
                links.spawn(self.link(client));
            }
        }
    }

    fn link(&self, client: TcpStream) -> impl Future<Output = ()> + use<> {
        self.tally.accepted();
        link::run(client, self.target, self.faults.clone(), Arc::clone(&self.tally))
    }
}

/// Before the next attempt to listen.
const AGAIN: Duration = Duration::from_millis(10);
