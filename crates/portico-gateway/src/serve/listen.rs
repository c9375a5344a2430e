//! Listeners that share an address, and the loop that accepts.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use portico_host::Supervisor;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::TcpStream,
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use super::{Shared, connection, watch::Roll};
use crate::{gateway::Gateway, metrics::Held};

/// Connections that may wait to be accepted, per listener.
const BACKLOG: i32 = 1024;

/// One listener per thread on one address.
pub(super) fn bind(address: SocketAddr, threads: usize) -> io::Result<Vec<TcpListener>> {
    // Sockets that share a port would also share it with a portal that was started twice: first find
    // out whether the port is free, with one that does not share.
    let address = {
        let probe = socket(address)?;
        probe.bind(&address.into())?;
        probe.local_addr()?.as_socket().unwrap_or(address)
    };
    (0..threads)
        .map(|_| {
            let socket = socket(address)?;
            socket.set_reuse_port(true)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            Ok(socket.into())
        })
        .collect()
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    Ok(socket)
}

/// Accepts until told to stop, then waits for what was accepted. Answers how many connections were cut.
pub(super) async fn accept(
    listener: tokio::net::TcpListener,
    gateway: Arc<Gateway>,
    shared: Arc<Shared>,
    stop: CancellationToken,
) -> usize {
    let connections = Supervisor::new("connections");
    let roll = Roll::default();
    let mut look = tokio::time::interval_at(Instant::now() + shared.idle, shared.idle);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            _ = look.tick() => {
                roll.look();
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => take(stream, peer, &connections, &roll, &gateway, &shared),
            Err(error) => {
                // Out of file descriptors, mostly: without a pause this would spin.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    // Who waits in the backlog has connected already.
    while let Some(Ok((stream, peer))) = listener.accept().now_or_never() {
        take(stream, peer, &connections, &roll, &gateway, &shared);
    }
    drop(listener);
    roll.say_goodbye();
    let until = Instant::now() + shared.drain;
    let cut = connections.stop(shared.drain).await;
    // WebSockets have left their connections, and still have to say goodbye.
    let _ = tokio::time::timeout_at(until, gateway.streams().wait()).await;
    cut
}

fn take(
    stream: TcpStream,
    peer: SocketAddr,
    connections: &Supervisor,
    roll: &Roll,
    gateway: &Arc<Gateway>,
    shared: &Arc<Shared>,
) {
    let Some(place) = Place::take(shared) else {
        gateway.metrics().connections_refused.inc();
        if shared.tls.is_none() {
            let _ = stream.try_write(
                b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
            );
        }
        return;
    };
    let held = Held::new(&gateway.metrics().connections);
    let watch = roll.enter();
    let (gateway, shared, owner) = (Arc::clone(gateway), Arc::clone(shared), connections.clone());
    connections.spawn("connection", async move {
        connection::serve(stream, peer, gateway, shared, watch, owner).await;
        drop((place, held));
    });
}

/// One of the connections that may be open at once.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(shared: &Shared) -> Option<Self> {
        let before = shared.open.fetch_add(1, Ordering::Relaxed);
        let place = Self(Arc::clone(&shared.open));
        (before < shared.max_connections).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
