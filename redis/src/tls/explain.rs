//! Why a handshake failed, in words that say what to do.

use std::{error::Error, fmt, io, sync::Arc};

use rustls::{AlertDescription, CertificateError};

use crate::error::Cause;

/// Client or server does not trust the other.
#[derive(Debug)]
pub(crate) struct Mistrust(String);

impl Mistrust {
    /// The cause: this, if `error` is about trust.
    pub(crate) fn or(error: impl Error + Send + Sync + 'static) -> Cause {
        match tls_error(&error) {
            Some(about) => Cause::new(Self(explain(about))),
            None => Cause::new(error),
        }
    }
}

impl fmt::Display for Mistrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Mistrust {}

/// The TLS library's error somewhere behind `error`.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        let io = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let shared = error.downcast_ref::<Arc<dyn Error + Send + Sync>>().map(|shared| &**shared);
        let inner = io.or(shared).map(|inner| inner as &(dyn Error + 'static));
        next = inner.or_else(|| error.source());
    }
    None
}

fn explain(error: &rustls::Error) -> String {
    use CertificateError as Bad;
    let why = match error {
        rustls::Error::InvalidCertificate(bad) => match bad {
            Bad::UnknownIssuer | Bad::BadSignature => {
                "its certificate is not signed by a trusted authority"
            }
            Bad::Expired | Bad::ExpiredContext { .. } => "its certificate has expired",
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => "its certificate is not valid yet",
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
                "its certificate is for another name than the URL's host"
            }
            Bad::Revoked => "its certificate was revoked",
            _ => "its certificate cannot be trusted",
        },
        rustls::Error::AlertReceived(alert) => match alert {
            AlertDescription::CertificateRequired => {
                "it asks for a client certificate; give one by `Tls::client_certificate`"
            }
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRevoked => "it does not trust the client certificate",
            _ => "it broke the handshake off",
        },
        _ => "the handshake failed",
    };
    format!("{why} ({error})")
}
