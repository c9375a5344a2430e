//! One connection, from the handshake to its end.

use std::{
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use hyper::{
    Request, Response,
    body::Incoming,
    rt::{Executor, Read, Write},
    server::conn::{http1, http2},
    service::Service,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use portico_host::Supervisor;
use tokio::net::TcpStream;

use super::{
    Shared,
    plain::Plain,
    watch::{Answering, Counted, Order, Watch, Watched},
};
use crate::{
    gateway::{Gateway, Handling},
    origin::ConnInfo,
};

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Streams of one HTTP/2 connection at once.
const MAX_STREAMS: u32 = 128;

/// Heads of requests, bytes.
const MAX_HEAD: usize = 64 << 10;

pub(super) async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    gateway: Arc<Gateway>,
    shared: Arc<Shared>,
    watch: Arc<Watch>,
    owner: Supervisor,
) {
    // Answers leave as soon as they are there.
    let _ = stream.set_nodelay(true);
    let conn = ConnInfo {
        peer: peer.ip().to_canonical(),
        tls: shared.tls.is_some(),
    };
    let service = Answers {
        gateway,
        conn,
        watch: Arc::clone(&watch),
    };
    let Some(tls) = &shared.tls else {
        let io = Plain::new(stream, Arc::clone(&service.gateway), Arc::clone(&watch));
        return http1(io, service, &watch).await;
    };
    let handshake = tokio::select! {
        handshake = tokio::time::timeout(HANDSHAKE, tls.accept(stream)) => handshake,
        () = owner.token().cancelled() => return,
    };
    let stream = match handshake {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            service.gateway.metrics().handshakes_failed.inc();
            return tracing::debug!(%peer, %error, "TLS handshake failed");
        }
        Err(_) => return service.gateway.metrics().handshakes_failed.inc(),
    };
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let io = Watched::new(TokioIo::new(stream), Arc::clone(&watch));
    // Rare enough, and large enough, to live elsewhere than in the state of every connection.
    if is_http2 {
        Box::pin(http2(io, service, &watch, owner)).await;
    } else {
        Box::pin(http1(io, service, &watch)).await;
    }
}

async fn http1<I>(io: I, service: Answers, watch: &Watch)
where
    I: Read + Write + Unpin + Send + 'static,
{
    let connection = http1::Builder::new()
        // `Watch` does this without a timer per request.
        .header_read_timeout(None)
        .max_header_size(MAX_HEAD)
        .serve_connection(io, service)
        .with_upgrades();
    drive(connection, |c| c.graceful_shutdown(), watch).await;
}

async fn http2<I>(io: I, service: Answers, watch: &Watch, owner: Supervisor)
where
    I: Read + Write + Unpin + Send + 'static,
{
    let connection = http2::Builder::new(Owned(owner))
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20))
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD as u32)
        .serve_connection(io, service);
    drive(connection, |c| c.graceful_shutdown(), watch).await;
}

/// Runs a connection to its end, or to what it is told.
async fn drive<C>(connection: C, shut_down: impl Fn(Pin<&mut C>), watch: &Watch)
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    let mut is_closing = false;
    let ended = poll_fn(|cx| {
        match watch.order(cx) {
            Order::GoOn => {}
            Order::Goodbye if is_closing => {}
            Order::Goodbye => {
                is_closing = true;
                shut_down(connection.as_mut());
            }
            Order::End => return Poll::Ready(Ok(())),
        }
        connection.as_mut().poll(cx)
    });
    if let Err(error) = ended.await {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Hands requests of one connection to the gateway.
struct Answers {
    gateway: Arc<Gateway>,
    conn: ConnInfo,
    watch: Arc<Watch>,
}

impl Service<Request<Incoming>> for Answers {
    type Response = Response<Counted>;
    type Error = std::convert::Infallible;
    type Future = Answering<Handling>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.watch.answer(self.gateway.handle(request, self.conn))
    }
}

/// Gives the tasks of HTTP/2 streams to the owner of the connection.
#[derive(Clone)]
struct Owned(Supervisor);

impl<F> Executor<F> for Owned
where
    F: Future + Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn("stream", async move {
            let _ = task.await;
        });
    }
}
