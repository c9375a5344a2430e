//! Names to addresses, behind a trait so that tests can answer what an attacker's server would.

use std::{io, net::IpAddr};

use async_trait::async_trait;

/// Looks names up.
#[async_trait]
pub trait Resolve: Send + Sync + 'static {
    /// Every address of `host`. Asked once per attempt; the addresses that come back are the only
    /// ones that are connected to, so a second, different answer changes nothing.
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<IpAddr>>;
}

/// The machine's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, port))
            .await?
            .map(|socket| socket.ip())
            .collect())
    }
}
