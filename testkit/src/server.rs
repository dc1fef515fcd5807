use std::{net::SocketAddr, sync::Arc, time::Duration};

use crate::{
    KitError,
    lease::Port,
    probe::Probe,
    process::{Launch, Process},
    proxy::Proxy,
    time::{now, pause},
    workspace::Workspace,
};

/// How long a server may take to serve; the slowest takes a fifth of it on an idle machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks at a server that starts.
const GAP: Duration = Duration::from_millis(25);

/// A server process that a test may break.
///
/// It listens on 127.0.0.1 on a port of its own, and works in a folder of its own. Dropping it kills
/// it and removes the folder.
#[derive(Debug)]
pub struct Server {
    // Declared first, so that the process is gone before its folder and port are given back.
    process: Process,
    addr: SocketAddr,
    probe: Probe,
    _workspace: Arc<Workspace>,
    _ports: Vec<Port>,
}

impl Server {
    pub(crate) fn new(
        launch: Launch,
        addr: SocketAddr,
        probe: Probe,
        workspace: Arc<Workspace>,
        ports: Vec<Port>,
    ) -> Self {
        Self { process: Process::new(launch), addr, probe, _workspace: workspace, _ports: ports }
    }

    /// Starts the process and waits until it serves.
    pub(crate) async fn start(&mut self) -> Result<(), KitError> {
        self.launch()?;
        self.ready().await
    }

    /// Starts the process.
    pub(crate) fn launch(&mut self) -> Result<(), KitError> {
        self.process.start()
    }

    /// Waits until the process serves.
    pub(crate) async fn ready(&mut self) -> Result<(), KitError> {
        let end = now() + PATIENCE;
        loop {
            self.process.check()?;
            let Err(error) = (self.probe)(self.addr).await else {
                return Ok(());
            };
            if now() > end {
                return Err(KitError::TimedOut {
                    what: format!("the start of {}", self.name()),
                    waited: PATIENCE,
                    last: format!("{error}\n{}", self.process.log_tail()),
                });
            }
            pause(GAP).await;
        }
    }

    pub(crate) fn launched(&self) -> &Launch {
        self.process.launch()
    }

    /// What messages call it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.process.name()
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its process id; none after [`kill`](Self::kill).
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// Whether it was neither killed nor paused.
    pub(crate) fn is_awake(&self) -> bool {
        self.process.is_awake()
    }

    /// The end of its log.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log_tail()
    }

    /// Kills it and all its descendants with SIGKILL, and waits until they are gone.
    ///
    /// # Errors
    ///
    /// When a process survives, which only a stuck machine brings about.
    pub async fn kill(&mut self) -> Result<(), KitError> {
        self.process.kill().await
    }

    /// Stops it where it is (SIGSTOP): connections stay open and nothing is answered.
    ///
    /// # Errors
    ///
    /// When it was killed.
    pub fn pause(&self) -> Result<(), KitError> {
        self.process.pause()
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    ///
    /// When it was killed.
    pub fn resume(&self) -> Result<(), KitError> {
        self.process.resume()
    }

    /// Kills it if it runs, starts it on the same port and the same data, and waits until it serves.
    ///
    /// # Errors
    ///
    /// When it does not start; the message carries the end of its log.
    pub async fn restart(&mut self) -> Result<(), KitError> {
        self.kill().await?;
        self.start().await
    }

    /// A proxy in front of it, that breaks connections on request.
    ///
    /// # Errors
    ///
    /// When no port is free.
    pub async fn proxy(&self) -> Result<Proxy, KitError> {
        Proxy::to(self.addr).await
    }
}

/// Gives a handle of one process the methods of its [`Server`].
macro_rules! is_a_server {
    ($handle:ident) => {
        impl std::ops::Deref for $handle {
            type Target = $crate::Server;

            fn deref(&self) -> &$crate::Server {
                &self.server
            }
        }

        impl std::ops::DerefMut for $handle {
            fn deref_mut(&mut self) -> &mut $crate::Server {
                &mut self.server
            }
        }
    };
}
pub(crate) use is_a_server;
