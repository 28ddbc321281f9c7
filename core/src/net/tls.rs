//! TLS: whom a client believes to be its server.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::{Error, Result};

/// Whom to believe to be the server. Default: whom the authorities of the web vouch for.
///
/// ```
/// use polyfn_core::net::{ClientOptions, Tls};
/// let mut options = ClientOptions::new("https://lab.example");
/// options.tls = Tls { is_unverified: true, ..Tls::default() };
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Believe whoever answers. Anybody on the way can then read and change everything: for tests only.
    pub is_unverified: bool,
    /// Certificates of authorities as PEM, believed in the place of those of the web.
    pub authorities: Option<String>,
}

impl Tls {
    /// The settings for rustls.
    ///
    /// # Errors
    /// `invalid` for authorities that are no certificates.
    pub fn config(&self) -> Result<Arc<ClientConfig>> {
        install_crypto();
        let builder = ClientConfig::builder();
        if self.is_unverified {
            let algorithms = builder.crypto_provider().signature_verification_algorithms;
            let verifier = Arc::new(Anybody { algorithms });
            let config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
            return Ok(Arc::new(config));
        }
        Ok(Arc::new(builder.with_root_certificates(self.roots()?).with_no_client_auth()))
    }

    fn roots(&self) -> Result<RootCertStore> {
        let Some(pem) = &self.authorities else {
            return Ok(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() });
        };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let added = certificate
                .map_err(|error| format!("{error:?}"))
                .and_then(|certificate| roots.add(certificate).map_err(|error| error.to_string()));
            added.map_err(|error| {
                Error::invalid(format!("a certificate of an authority is unfit: {error}"))
            })?;
        }
        if roots.is_empty() {
            return Err(Error::invalid("the authorities hold no certificate, expected PEM"));
        }
        Ok(roots)
    }
}

/// Believes whoever holds the key of the certificate that it shows.
#[derive(Debug)]
struct Anybody {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The crypto of rustls is chosen once for the process; whoever was first keeps the choice.
fn install_crypto() {
    if CryptoProvider::get_default().is_none() {
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn authorities_must_be_certificates() {
        let with = |authorities: &str| Tls { authorities: Some(authorities.to_owned()), ..Tls::default() };
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for authorities in ["", "no certificate at all", broken] {
            let refused = with(authorities).config();
            assert!(refused.is_err_and(|error| error.kind() == ErrorKind::Invalid), "{authorities}");
        }
        assert!(Tls::default().config().is_ok());
    }
}
