//! Encrypted connections, with rustls.

mod connect;
mod explain;

use std::{fmt, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

pub(crate) use self::explain::Mistrust;
use crate::error::RedisError;

/// Whom encrypted connections trust, and as whom they present themselves.
///
/// A server must show a certificate that is signed by a trusted authority, is valid now by the system's
/// clock, and carries the host of the URL. There is no way to turn that off.
///
/// # Examples
///
/// ```no_run
/// use mainstay_redis::{Redis, Tls};
///
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let tls = Tls::trusting(std::fs::read("ca.pem")?)?
///     .client_certificate(std::fs::read("me.pem")?, std::fs::read("me.key")?)?;
/// let redis = Redis::builder("rediss://cache.internal:6380/")?.tls(tls).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Tls {
    roots: Arc<RootCertStore>,
    config: Arc<ClientConfig>,
    presents: bool,
}

impl Tls {
    /// Trusts the authorities that the operating system trusts. This is what `rediss://` means without
    /// settings of its own.
    ///
    /// # Errors
    ///
    /// [`RedisError::InvalidAddress`] if the system has none.
    pub fn system() -> Result<Self, RedisError> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            return Err(RedisError::settings(
                "the system has no trusted certificates; install them (`ca-certificates`), or name \
                 your own authority by `Tls::trusting`",
            ));
        }
        Self::new(roots.into())
    }

    /// Trusts the authorities in `pem`, one or more certificates, and nobody else.
    ///
    /// # Errors
    ///
    /// [`RedisError::InvalidAddress`] if there is none in it.
    pub fn trusting(pem: impl AsRef<[u8]>) -> Result<Self, RedisError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(pem.as_ref(), "the authority")? {
            roots.add(certificate).map_err(|error| unusable("the authority", error))?;
        }
        Self::new(roots.into())
    }

    /// Presents this certificate to servers that ask for one (mutual TLS). `certificate` is the chain,
    /// its own first; both are PEM.
    ///
    /// # Errors
    ///
    /// [`RedisError::InvalidAddress`] if they cannot be read or do not belong together.
    pub fn client_certificate(
        mut self,
        certificate: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
    ) -> Result<Self, RedisError> {
        let chain = certificates(certificate.as_ref(), "the client certificate")?;
        let key = PrivateKeyDer::from_pem_slice(key.as_ref())
            .map_err(|error| unusable("the client's key", error))?;
        let config = trusting(self.roots.clone())?.with_client_auth_cert(chain, key);
        self.config = Arc::new(config.map_err(|error| unusable("the client certificate", error))?);
        self.presents = true;
        Ok(self)
    }

    fn new(roots: Arc<RootCertStore>) -> Result<Self, RedisError> {
        let config = Arc::new(trusting(roots.clone())?.with_no_client_auth());
        Ok(Self { roots, config, presents: false })
    }
}

/// Never the key.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tls = f.debug_struct("Tls");
        tls.field("authorities", &self.roots.len()).field("client_certificate", &self.presents);
        tls.finish_non_exhaustive()
    }
}

type Trusting = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

/// With a provider of our own choice: the process-wide default panics where two crates chose two.
fn trusting(roots: Arc<RootCertStore>) -> Result<Trusting, RedisError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(builder.map_err(|error| unusable("TLS", error))?.with_root_certificates(roots))
}

fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, RedisError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.map_err(|error| unusable(what, error))?;
    if read.is_empty() {
        return Err(RedisError::settings(format!("{what} has no certificate in PEM form")));
    }
    Ok(read)
}

fn unusable(what: &str, error: impl fmt::Display) -> RedisError {
    RedisError::settings(format!("{what} cannot be used: {error}"))
}
