//! Noticing connections on which nothing moves: half-sent heads, readers that stopped reading, idle ones.
//!
//! A timer per request would cost more than the rest of serving a small file, and one per connection still
//! shows. Instead every connection counts what it does, and each thread has one slow timer that looks
//! through its [`Roll`] for counts that no longer move.

use std::{
    cell::RefCell,
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU8, AtomicU32, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http::Response;
use http_body::{Frame, SizeHint};
use hyper::rt::{Read, ReadBufCursor, Write};

use crate::body::Body;

/// What one connection does, and what it is told.
#[derive(Debug)]
pub(super) struct Watch {
    moves: AtomicU32,
    answering: AtomicU32,
    /// Requests that were handed to the gateway, ever.
    called: AtomicU32,
    /// Those of them whose answers have not left the gateway whole.
    unfinished: AtomicU32,
    /// `moves` at the last look.
    seen: AtomicU32,
    order: AtomicU8,
    waker: AtomicWaker,
}

/// What a connection is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Order {
    GoOn,
    /// Finish what is under way, then end.
    Goodbye,
    /// End now.
    End,
}

impl Watch {
    pub(super) fn moved(&self) {
        self.moves.fetch_add(1, Ordering::Relaxed);
    }

    /// What this connection is told; wakes the caller when that changes.
    pub(super) fn order(&self, cx: &mut Context<'_>) -> Order {
        self.waker.register(cx.waker());
        match self.order.load(Ordering::Acquire) {
            0 => Order::GoOn,
            1 => Order::Goodbye,
            _ => Order::End,
        }
    }

    fn tell(&self, order: Order) {
        self.order.fetch_max(order as u8, Ordering::Release);
        self.waker.wake();
    }

    /// Ends the connection if nothing moved since the last look. A page in the making is not idle: it has
    /// its own deadline.
    fn look(&self) {
        let moves = self.moves.load(Ordering::Relaxed);
        let still = self.seen.swap(moves, Ordering::Relaxed) == moves;
        if still && self.answering.load(Ordering::Relaxed) == 0 {
            self.tell(Order::End);
        }
    }

    /// Watches over one answer until its head is there.
    pub(super) fn answer<F>(self: &Arc<Self>, answer: F) -> Answering<F> {
        self.moved();
        self.answering.fetch_add(1, Ordering::Relaxed);
        self.called.fetch_add(1, Ordering::Relaxed);
        Answering {
            answer,
            unfinished: Some(Unfinished::new(self)),
            watch: Arc::clone(self),
        }
    }

    /// Whether so many requests were handed to the gateway and all of their answers have left it.
    pub(super) fn has_finished(&self, requests: u32) -> bool {
        self.called.load(Ordering::Relaxed) == requests
            && self.unfinished.load(Ordering::Relaxed) == 0
    }
}

/// The connections of one thread.
#[derive(Debug, Default)]
pub(super) struct Roll(Mutex<Names>);

#[derive(Debug, Default)]
struct Names {
    all: Vec<Weak<Watch>>,
    /// When there are this many, those that have ended are struck out.
    tidy_at: usize,
}

impl Roll {
    /// Enters a new connection. It has at least one whole period before it counts as idle.
    pub(super) fn enter(&self) -> Arc<Watch> {
        let watch = Arc::new(Watch {
            moves: AtomicU32::new(0),
            answering: AtomicU32::new(0),
            called: AtomicU32::new(0),
            unfinished: AtomicU32::new(0),
            seen: AtomicU32::new(u32::MAX),
            order: AtomicU8::new(Order::GoOn as u8),
            waker: AtomicWaker::new(),
        });
        let mut names = self.names();
        if names.all.len() >= names.tidy_at {
            names.all.retain(|watch| watch.strong_count() > 0);
            names.tidy_at = 2 * names.all.len() + 64;
        }
        names.all.push(Arc::downgrade(&watch));
        watch
    }

    /// Ends connections on which nothing moved since the last call.
    pub(super) fn look(&self) {
        self.each(Watch::look);
    }

    /// Tells every connection to finish.
    pub(super) fn say_goodbye(&self) {
        self.each(|watch| watch.tell(Order::Goodbye));
    }

    fn each(&self, act: impl Fn(&Watch)) {
        let watches: Vec<_> = self.names().all.iter().filter_map(Weak::upgrade).collect();
        for watch in watches {
            act(&watch);
        }
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer in the making.
pub(super) struct Answering<F> {
    answer: F,
    unfinished: Option<Unfinished>,
    watch: Arc<Watch>,
}

impl<F, E> Future for Answering<F>
where
    F: Future<Output = Result<Response<Body>, E>> + Unpin,
{
    type Output = Result<Response<Counted>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = ready!(Pin::new(&mut self.answer).poll(cx));
        let unfinished = self.unfinished.take();
        Poll::Ready(response.map(|response| {
            response.map(|body| Counted {
                body,
                _unfinished: unfinished,
            })
        }))
    }
}

impl<F> Drop for Answering<F> {
    fn drop(&mut self) {
        self.watch.moved();
        self.watch.answering.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An answer that has not left the gateway whole.
#[derive(Debug)]
struct Unfinished(Arc<Watch>);

impl Unfinished {
    fn new(watch: &Arc<Watch>) -> Self {
        watch.unfinished.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(watch))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.0.unfinished.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A body that is dropped when its last byte was taken.
#[derive(Debug)]
pub(super) struct Counted {
    body: Body,
    _unfinished: Option<Unfinished>,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Up to this size, head and body are copied together: one short copy is cheaper than a vectored write.
pub(super) const COPY: usize = 8 << 10;

thread_local! {
    static TOGETHER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Writes several buffers in whichever way is cheaper.
pub(super) fn write_together<T: Write>(
    io: Pin<&mut T>,
    cx: &mut Context<'_>,
    bufs: &[io::IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    if bufs.iter().map(|buf| buf.len()).sum::<usize>() > COPY {
        return io.poll_write_vectored(cx, bufs);
    }
    TOGETHER.with_borrow_mut(|together| {
        together.clear();
        for buf in bufs {
            together.extend_from_slice(buf);
        }
        io.poll_write(cx, together)
    })
}

/// A connection whose writes count as movement. Reads do not: a head sent byte by byte is no progress.
pub(super) struct Watched<T> {
    io: T,
    watch: Arc<Watch>,
}

impl<T> Watched<T> {
    pub(super) fn new(io: T, watch: Arc<Watch>) -> Self {
        Self { io, watch }
    }

    fn count(&self, written: &Poll<io::Result<usize>>) {
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.watch.moved();
        }
    }
}

impl<T: Read + Unpin> Read for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: Write + Unpin> Write for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.count(&written);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = write_together(Pin::new(&mut self.io), cx, bufs);
        self.count(&written);
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(watch: &Watch) -> Order {
        watch.order(&mut Context::from_waker(std::task::Waker::noop()))
    }

    #[test]
    fn ends_what_does_not_move_for_a_whole_period() {
        let roll = Roll::default();
        let (idle, busy) = (roll.enter(), roll.enter());
        let answering = roll.enter();
        let answer = answering.answer(());
        roll.look();
        assert_eq!(order(&idle), Order::GoOn, "it may have come a moment ago");
        busy.moved();
        roll.look();
        assert_eq!(
            [order(&idle), order(&busy), order(&answering)],
            [Order::End, Order::GoOn, Order::GoOn]
        );
        roll.look();
        assert_eq!([order(&busy), order(&answering)], [Order::End, Order::GoOn]);
        drop(answer);
        roll.look();
        roll.look();
        assert_eq!(order(&answering), Order::End);
    }

    #[test]
    fn goodbye_reaches_everybody_and_does_not_undo_an_end() {
        let roll = Roll::default();
        let (one, ended) = (roll.enter(), roll.enter());
        ended.tell(Order::End);
        roll.say_goodbye();
        assert_eq!([order(&one), order(&ended)], [Order::Goodbye, Order::End]);
    }

    #[test]
    fn who_has_ended_is_struck_out() {
        let roll = Roll::default();
        let kept = roll.enter();
        for _ in 0..10_000 {
            drop(roll.enter());
        }
        assert!(roll.names().all.len() < 200, "{}", roll.names().all.len());
        drop(kept);
    }
}
