//! A connection to a receiver: the name is resolved, the policy is applied to its addresses, exactly those addresses
//! are dialled, and TLS verifies that the receiver is the one in the URL.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{ServerName, TrustAnchor};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::error::{CONNECT, PostError};
use super::request::Target;
use super::resolver::PolicyResolver;
use crate::dial::dial;

/// Opens connections. Clones share what the resolver knows and the TLS sessions.
#[derive(Clone)]
pub(super) struct Connector {
    resolver: PolicyResolver,
    tls: TlsConnector,
}

/// Plain or TLS.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Connector {
    pub(super) fn new() -> Self {
        Self::trusting(webpki_roots::TLS_SERVER_ROOTS.to_vec())
    }

    fn trusting(roots: Vec<TrustAnchor<'static>>) -> Self {
        let tls = TlsConnector::from(Arc::new(tls(RootCertStore { roots })));
        Self { resolver: PolicyResolver::new(), tls }
    }

    pub(super) async fn connect(&self, target: &Target) -> Result<Box<dyn Stream>, PostError> {
        let addresses = self.resolver.addresses(target.host()).await?;
        let connecting = dial(addresses, target.port());
        let stream =
            timeout(CONNECT, connecting).await.map_err(|_elapsed| PostError::NoConnection)?;
        let stream = stream.map_err(PostError::Io)?;
        if !target.is_https() {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(target.bare_host().to_owned());
        let name = name.map_err(|_invalid| PostError::ServerName)?;
        let secured = self.tls.connect(name, stream).await.map_err(PostError::Io)?;
        Ok(Box::new(secured))
    }
}

#[expect(clippy::expect_used, reason = "ring offers all of them")]
fn tls(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

    use super::*;
    use crate::task::Tasks;

    /// A TLS server for 127.0.0.1 and receiver.example, with a certificate of an authority of our own. Returns its
    /// port.
    async fn secured(tasks: &Tasks) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let chain = vec![CertificateDer::from_slice(include_bytes!("testdata/receiver.der"))];
        let key =
            PrivateKeyDer::try_from(&include_bytes!("testdata/receiver.key.der")[..]).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tasks.spawn("server", async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).await.unwrap();
                    stream.write_all(&byte).await.unwrap();
                }
            }
        });
        port
    }

    #[tokio::test]
    async fn a_certificate_must_be_trusted_and_for_that_host() {
        let tasks = Tasks::new();
        let port = secured(&tasks).await;
        let authority = include_bytes!("testdata/authority.der");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_slice(authority)).unwrap();
        let trusting = Connector::trusting(roots.roots);
        let right = Target::of(&format!("https://127.0.0.1:{port}/")).unwrap();
        let mut stream = trusting.connect(&right).await.unwrap();
        stream.write_all(b"x").await.unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"x");
        // The same server under a name that its certificate does not have.
        let other = Target::of(&format!("https://localhost:{port}/")).unwrap();
        for refused in [trusting.connect(&other).await, Connector::new().connect(&right).await] {
            let Err(PostError::Io(error)) = refused else { panic!("it was accepted") };
            assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "{error}");
        }
    }
}
