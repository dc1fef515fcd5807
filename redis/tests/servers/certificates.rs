//! Certificates that are made here.

use mainstay_redis::Tls;
use mainstay_testkit::redis::TlsFiles;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};

/// An authority, and what it signed for somebody.
pub(crate) type Authority = CertifiedIssuer<'static, KeyPair>;

pub(crate) struct Signed {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Signed {
    /// For servers that ask their clients for a certificate.
    pub(crate) fn files<'a>(&'a self, authority: &'a str) -> TlsFiles<'a> {
        TlsFiles { authority, certificate: &self.certificate, key: &self.key, ask_clients: true }
    }
}

pub(crate) fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new([]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

pub(crate) fn sign(
    by: &Authority,
    name: &str,
    change: impl FnOnce(&mut CertificateParams),
) -> Signed {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.distinguished_name.push(DnType::CommonName, name);
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, by).unwrap();
    Signed { certificate: certificate.pem(), key: key.serialize_pem() }
}

pub(crate) fn trusting(authority: &Authority) -> Tls {
    Tls::trusting(authority.pem()).unwrap()
}

/// The same, with a certificate of its own.
pub(crate) fn presenting(tls: &Tls, by: &Authority) -> Tls {
    let me = sign(by, "me", |_| {});
    tls.clone().client_certificate(me.certificate, me.key).unwrap()
}
