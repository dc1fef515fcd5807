//! What messages call a place.

use std::{fmt, sync::Arc};

use crate::error::{Cause, RedisError};

/// What messages call a server, or a set of them: addresses, never users or passwords.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Name(Arc<str>);

impl Name {
    pub(crate) fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    pub(crate) fn text(&self) -> &Arc<str> {
        &self.0
    }

    pub(crate) fn failed(&self, cause: Cause) -> RedisError {
        let failed = |cause| RedisError::Failed { server: self.0.clone(), cause };
        cause.lasting(&self.0).unwrap_or_else(|| failed(cause))
    }

    pub(crate) fn unknown(&self, cause: Cause) -> RedisError {
        RedisError::Unknown { server: self.0.clone(), cause }
    }

    pub(crate) fn refused(&self, error: &redis::ServerError) -> RedisError {
        RedisError::Refused {
            server: self.0.clone(),
            code: error.code().into(),
            message: error.details().unwrap_or_default().into(),
        }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
