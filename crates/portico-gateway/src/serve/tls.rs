//! TLS from certificate files, which may be replaced while the portal runs.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use rustls::{ServerConfig, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::ServeError;

/// Where certificate and key are, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates, the server's own first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What handshakes use now.
pub(super) struct Tls {
    files: TlsFiles,
    config: ArcSwap<ServerConfig>,
}

impl Tls {
    pub(super) fn load(files: TlsFiles) -> Result<Self, ServeError> {
        let config = ArcSwap::from_pointee(read(&files)?);
        Ok(Self { files, config })
    }

    /// Reads the files again; what is in use stays when they are no good.
    pub(super) fn reload(&self) -> Result<(), ServeError> {
        self.config.store(Arc::new(read(&self.files)?));
        Ok(())
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        TlsAcceptor::from(self.config.load_full())
            .accept(stream)
            .await
    }
}

fn read(files: &TlsFiles) -> Result<ServerConfig, ServeError> {
    let failed = |path: &Path, reason: String| ServeError::Tls {
        path: path.to_owned(),
        reason,
    };
    let certificates = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| {
            failed(
                &files.certificate,
                format!("cannot read the certificate: {e}"),
            )
        })?;
    if certificates.is_empty() {
        return Err(failed(
            &files.certificate,
            "there is no certificate in this file (PEM is expected)".into(),
        ));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|e| failed(&files.key, format!("cannot read the private key: {e}")))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| failed(&files.certificate, e.to_string()))?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|e| {
            failed(
                &files.certificate,
                format!("certificate and key do not fit: {e}"),
            )
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Tickets need no memory shared between threads.
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(|e| failed(&files.key, e.to_string()))?;
    Ok(config)
}
