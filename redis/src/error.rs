//! Why a command has no answer.

use std::{error::Error, fmt, sync::Arc, time::Duration};

/// Why a command has no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedisError {
    /// The command was never written: nothing was done, and nothing will be.
    #[error("{server} was not asked: {cause}; nothing was done, try again later")]
    Failed {
        /// The server's address.
        server: Arc<str>,
        /// Why.
        cause: Cause,
    },
    /// Server and client do not trust each other's certificates: nothing was done, and nothing will be
    /// until a certificate or a setting changes.
    #[error("no trusted connection to {server}: {cause}; nothing was done")]
    Mistrusted {
        /// The server's address.
        server: Arc<str>,
        /// Why.
        cause: Cause,
    },
    /// The server does not accept the user or the password: nothing was done, and nothing will be until one
    /// of them changes.
    #[error(
        "{server} does not accept the login: {cause}; nothing was done, check user and password"
    )]
    Denied {
        /// The server's address: a Sentinel's, if it was not to be asked.
        server: Arc<str>,
        /// What it said.
        cause: Cause,
    },
    /// The command was written and no answer came: it may have been done, or may yet be.
    #[error("{server} was asked and gave no answer: {cause}; it may have been done")]
    Unknown {
        /// The server's address.
        server: Arc<str>,
        /// Why.
        cause: Cause,
    },
    /// The server answered with an error.
    #[error("{server} refused with {code}: {message}")]
    Refused {
        /// The server's address.
        server: Arc<str>,
        /// The error's first word, such as `NOPERM`.
        code: Arc<str>,
        /// The rest of it.
        message: Arc<str>,
    },
    /// The answer is not what the caller can read; the command was done.
    #[error("the answer of Redis cannot be read: {cause}")]
    Unreadable {
        /// Why.
        cause: Cause,
    },
    /// The address or its settings cannot work.
    #[error("the address or settings of a Redis cannot work: {cause}")]
    InvalidAddress {
        /// Why.
        cause: Cause,
    },
}

impl RedisError {
    /// Whether the command may have been done although no usable answer came.
    ///
    /// A script that the server broke off may have done a part of its work.
    pub fn is_unknown(&self) -> bool {
        match self {
            Self::Unknown { .. } | Self::Unreadable { .. } => true,
            Self::Refused { code, .. } => !OUTRIGHT.contains(&&**code),
            Self::Failed { .. }
            | Self::Mistrusted { .. }
            | Self::Denied { .. }
            | Self::InvalidAddress { .. } => false,
        }
    }

    /// Whether the server answered with an error.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// When to try again, if that may help.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Failed { .. } | Self::Unknown { .. } => Some(RETRY),
            Self::Refused { code, .. } => PASSING.contains(&&**code).then_some(RETRY),
            Self::Unreadable { .. }
            | Self::Mistrusted { .. }
            | Self::Denied { .. }
            | Self::InvalidAddress { .. } => None,
        }
    }

    pub(crate) fn unreadable(cause: redis::ParsingError) -> Self {
        Self::Unreadable { cause: Cause::new(cause) }
    }
}

/// What stood in the way; the error of a library may be behind it.
#[derive(Clone)]
pub struct Cause(Arc<dyn Error + Send + Sync>);

impl Cause {
    pub(crate) fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Arc::from(source.into()))
    }

    /// What those are told who asked `server`, if trying again is of no use. One that was found on the way
    /// there, such as a Sentinel, keeps its own name.
    pub(crate) fn lasting(&self, server: &Arc<str>) -> Option<RedisError> {
        if let Some(RedisError::Mistrusted { .. } | RedisError::Denied { .. }) =
            self.0.downcast_ref()
        {
            return self.0.downcast_ref().cloned();
        }
        #[cfg(feature = "tls")]
        if self.0.is::<crate::tls::Mistrust>() {
            return Some(RedisError::Mistrusted { server: server.clone(), cause: self.clone() });
        }
        let code = self.0.downcast_ref().and_then(redis::RedisError::code);
        code.filter(|code| LOGIN.contains(code))
            .map(|_| RedisError::Denied { server: server.clone(), cause: self.clone() })
    }

    /// The same, with the name of `server` if trying again is of no use.
    pub(crate) fn of(self, server: &Arc<str>) -> Self {
        self.lasting(server).map_or(self, Self::new)
    }

    pub(crate) fn is_lasting(&self) -> bool {
        self.lasting(&Arc::from("")).is_some()
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cause({})", self.0)
    }
}

/// Refusals that come before a script or command has done anything. Of these, `READONLY` and `OOM` stop a
/// script at its first write, and only there.
const OUTRIGHT: [&str; 14] = [
    "NOSCRIPT",
    "NOAUTH",
    "LOADING",
    "BUSY",
    "MASTERDOWN",
    "MISCONF",
    "NOREPLICAS",
    "MOVED",
    "ASK",
    "TRYAGAIN",
    "CLUSTERDOWN",
    "CROSSSLOT",
    "READONLY",
    "OOM",
];

/// Refusals of a greeting that are about who greets.
const LOGIN: [&str; 3] = ["WRONGPASS", "NOAUTH", "NOPERM"];

/// Refusals that pass by themselves.
const PASSING: [&str; 10] = [
    "LOADING",
    "BUSY",
    "MASTERDOWN",
    "READONLY",
    "NOREPLICAS",
    "MOVED",
    "ASK",
    "TRYAGAIN",
    "CLUSTERDOWN",
    "OOM",
];

const RETRY: Duration = Duration::from_millis(100);
