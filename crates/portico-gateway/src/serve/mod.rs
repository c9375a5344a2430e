//! The run-time topology of the data plane: one single-threaded runtime per core, each with its own
//! listener on the same address. The kernel spreads connections; no request crosses a thread.

mod connection;
mod date;
mod head;
mod listen;
mod plain;
pub mod tls;
mod unsent;
mod watch;

use std::{
    fmt, io,
    net::SocketAddr,
    num::NonZeroUsize,
    path::PathBuf,
    sync::{Arc, atomic::AtomicUsize},
    thread::JoinHandle,
    time::Duration,
};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::gateway::Gateway;
use tls::{Tls, TlsFiles};

/// How to listen.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Threads; one per core when missing.
    pub threads: Option<NonZeroUsize>,
    /// Certificate and key; without them, plain HTTP/1.1.
    pub tls: Option<TlsFiles>,
    /// Connections open at once, over all threads; further ones are turned away.
    pub max_connections: usize,
    /// A connection on which nothing moves for this long (up to twice this) is closed.
    pub idle: Duration,
    /// How long requests may take to end when the portal stops.
    pub drain: Duration,
}

impl ServeConfig {
    /// Usual limits: 20,000 connections, 30 s without movement, 10 s to drain.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            threads: None,
            tls: None,
            max_connections: 20_000,
            idle: Duration::from_secs(30),
            drain: Duration::from_secs(10),
        }
    }
}

/// Why the data plane did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}{}", hint(source))]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A runtime or thread could not be started.
    #[error("cannot start a thread of the data plane: {0}")]
    Thread(#[source] io::Error),
    /// The certificate or key cannot be used.
    #[error("{}: {reason}", path.display())]
    Tls {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; stop what listens there, or choose another port with --listen"
        }
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need privileges: choose a higher one"
        }
        io::ErrorKind::AddrNotAvailable => {
            "; no network interface of this machine has that address"
        }
        _ => "",
    }
}

/// How the data plane ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Connections that were cut because they did not end in time.
    pub cut: usize,
}

/// Threads that serve. Dropping it without [`DataPlane::stop`] leaves them running.
pub struct DataPlane {
    addr: SocketAddr,
    gateway: Arc<Gateway>,
    shared: Arc<Shared>,
    stop: CancellationToken,
    threads: Vec<DataThread>,
}

struct DataThread {
    handle: JoinHandle<()>,
    cut: oneshot::Receiver<usize>,
}

/// What all threads know.
struct Shared {
    tls: Option<Tls>,
    open: Arc<AtomicUsize>,
    max_connections: usize,
    idle: Duration,
    drain: Duration,
}

impl DataPlane {
    /// Listens and serves. Every thread has its listener before this returns.
    pub fn start(config: ServeConfig, gateway: Arc<Gateway>) -> Result<Self, ServeError> {
        let threads = config
            .threads
            .or_else(|| std::thread::available_parallelism().ok())
            .map_or(1, NonZeroUsize::get);
        let shared = Arc::new(Shared {
            tls: config.tls.map(Tls::load).transpose()?,
            open: Arc::default(),
            max_connections: config.max_connections,
            idle: config.idle,
            drain: config.drain,
        });
        let listeners =
            listen::bind(config.listen, threads).map_err(|source| ServeError::Listen {
                address: config.listen,
                source,
            })?;
        let addr = listeners
            .first()
            .ok_or_else(|| io::Error::other("no listener"))
            .and_then(std::net::TcpListener::local_addr)
            .map_err(|source| ServeError::Listen {
                address: config.listen,
                source,
            })?;

        let stop = CancellationToken::new();
        let mut started = Vec::with_capacity(threads);
        for (number, listener) in listeners.into_iter().enumerate() {
            match start_thread(number, listener, &gateway, &shared, &stop) {
                Ok(thread) => started.push(thread),
                Err(error) => {
                    stop.cancel();
                    return Err(ServeError::Thread(error));
                }
            }
        }
        Ok(Self {
            addr,
            gateway,
            shared,
            stop,
            threads: started,
        })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Reads certificate and key again; connections that stand keep theirs.
    pub fn reload_tls(&self) -> Result<(), ServeError> {
        self.shared.tls.as_ref().map_or(Ok(()), Tls::reload)
    }

    /// Connections open now.
    pub fn connections(&self) -> usize {
        self.shared.open.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Stops accepting, ends event streams, lets requests end within the drain time, cuts the rest.
    pub async fn stop(self) -> Stopped {
        self.gateway.stop_streams();
        self.stop.cancel();
        let mut cut = 0;
        for thread in self.threads {
            cut += thread.cut.await.unwrap_or(0);
            // It has said its last word: this does not wait for more than its end.
            if thread.handle.join().is_err() {
                tracing::error!("a thread of the data plane panicked");
            }
        }
        if cut > 0 {
            let cuts = u64::try_from(cut).unwrap_or(u64::MAX);
            self.gateway.metrics().connections_cut.inc_by(cuts);
            tracing::warn!(
                connections = cut,
                "cut connections that did not end in time"
            );
        }
        Stopped { cut }
    }
}

fn start_thread(
    number: usize,
    listener: std::net::TcpListener,
    gateway: &Arc<Gateway>,
    shared: &Arc<Shared>,
    stop: &CancellationToken,
) -> io::Result<DataThread> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let listener = {
        let _inside = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    let (said, cut) = oneshot::channel();
    let (gateway, shared, stop) = (Arc::clone(gateway), Arc::clone(shared), stop.clone());
    let handle = std::thread::Builder::new()
        .name(format!("portico-data-{number}"))
        .spawn(move || {
            let cut = runtime.block_on(listen::accept(listener, gateway, shared, stop));
            // Before the last word: connections that were cut are closed when it is heard.
            drop(runtime);
            let _ = said.send(cut);
        })?;
    Ok(DataThread { handle, cut })
}

impl fmt::Debug for DataPlane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataPlane")
            .field("addr", &self.addr)
            .field("threads", &self.threads.len())
            .finish()
    }
}
