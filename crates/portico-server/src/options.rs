//! What a portal is started with: the configuration and the command line, resolved.

use std::{
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    time::Duration,
};

use portico_config::Config;
use portico_gateway::{Cidr, TlsFiles};

/// Everything that is fixed while the portal runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Folder of everything the portal remembers.
    pub data: PathBuf,
    /// `server.database_url`; SQLite in the data folder when missing.
    pub database_url: Option<String>,
    /// The configuration file, when there is one.
    pub config: Option<Config>,
    /// Where it came from, for reading it again.
    pub config_file: Option<PathBuf>,
    /// Certificate and key files.
    pub tls: Option<TlsFiles>,
    /// `scheme://host[:port]` under which people reach the portal, when proxies hide it.
    pub public_url: Option<String>,
    /// Proxies whose forwarding headers count.
    pub trusted_proxies: Vec<Cidr>,
    /// Hosts of the default tenant; any when empty.
    pub hosts: Vec<String>,
    /// How long a session lasts, hours.
    pub session_hours: u32,
    /// Threads that answer requests; one per core when missing.
    pub threads: Option<std::num::NonZeroUsize>,
    /// Form of the log.
    pub log_format: LogFormat,
    /// What to log.
    pub log_filter: Option<String>,
    /// Longest that an API call waits for an operation.
    pub wait: Duration,
    /// Abort at this fault point.
    pub fault_abort: Option<String>,
    /// Whether the example registry is made and trusted at the first start.
    pub examples: bool,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// JSON lines.
    Json,
    /// For people.
    Text,
}

/// Why the options cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct OptionsError {
    /// Key of the configuration or flag.
    pub key: &'static str,
    /// What is wrong and what to do.
    pub reason: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            data: PathBuf::from("portico-data"),
            database_url: None,
            config: None,
            config_file: None,
            tls: None,
            public_url: None,
            trusted_proxies: Vec::new(),
            hosts: Vec::new(),
            session_hours: 12,
            threads: None,
            log_format: LogFormat::Text,
            log_filter: None,
            wait: Duration::from_secs(60),
            fault_abort: None,
            examples: true,
        }
    }
}

impl Options {
    /// Defaults, overridden by what the file says under `server:`.
    pub fn from_config(config: Option<Config>) -> Result<Self, OptionsError> {
        let mut options = Self::default();
        let Some(config) = config else {
            return Ok(options);
        };
        let server = &config.server;
        options.listen = server.listen.0;
        options.data.clone_from(&server.data_folder);
        options.database_url = server.database_url.as_ref().map(|u| u.expose().to_owned());
        options.public_url = server
            .public_url
            .as_ref()
            .map(|u| u.trim_end_matches('/').to_owned());
        options.tls = server.tls.as_ref().map(|tls| TlsFiles {
            certificate: tls.certificate.clone(),
            key: tls.key.clone(),
        });
        options.trusted_proxies = server
            .trusted_proxies
            .iter()
            .map(|p| {
                p.to_string().parse().map_err(|e| OptionsError {
                    key: "server.trusted_proxies",
                    reason: format!("{e}"),
                })
            })
            .collect::<Result<_, _>>()?;
        options.hosts = server.hosts.keys().map(|h| h.to_lowercase()).collect();
        if let Some((host, tenant)) = server.hosts.iter().find(|(_, t)| *t != "default") {
            return Err(OptionsError {
                key: "server.hosts",
                reason: format!(
                    "`{host}` leads to the tenant `{tenant}`, and this build has the one tenant `default`"
                ),
            });
        }
        options.session_hours = server.session_hours;
        options.log_filter = Some(format!(
            "{},sqlx=warn,hyper=warn",
            server.log.level.as_str()
        ));
        options.config = Some(config);
        Ok(options)
    }
}

/// An address such as `127.0.0.1:8080`, `:8080`, `0.0.0.0:80` or `localhost:0`.
pub fn parse_listen(text: &str) -> Result<SocketAddr, OptionsError> {
    let full = if text.starts_with(':') {
        format!("0.0.0.0{text}")
    } else {
        text.to_owned()
    };
    full.to_socket_addrs()
        .ok()
        .and_then(|mut found| found.next())
        .ok_or_else(|| OptionsError {
            key: "server.listen",
            reason: format!(
                "`{text}` is not an address to listen on: write host:port, such as 127.0.0.1:8080"
            ),
        })
}
