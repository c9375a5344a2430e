//! A plain HTTP/1.1 connection as hyper sees it, with files answered before hyper hears of them.
//!
//! Between two requests, when hyper waits for the next head, this reads it first. A file that is asked for
//! plainly is sent from here: its head was made beforehand, its bytes go to the socket from where they lie.
//! Everything else is handed to hyper, one whole request at a time, so that it is known when hyper waits
//! again. Answers keep the order of their requests: nothing is read ahead while hyper is at work.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::{io::AsyncRead, net::TcpStream};

use super::{
    date,
    head::{Ask, Head},
    unsent::{Rest, push},
    watch::{COPY, Watch, write_together},
};
use crate::{assets::ServedFile, gateway::Gateway};

/// Bytes read at once.
const READ: usize = 16 << 10;

/// Files sent before other connections get their turn.
const TURN: usize = 16;

/// Heads larger than this are hyper's, who refuses them.
const LARGEST_HEAD: usize = 64 << 10;

/// What may wait here while hyper is at work, bytes; more stays with the sender.
const LARGEST_WAITING: usize = 16 << 10;

thread_local! {
    static INPUT: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into());
    static OUTPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The connection.
pub(super) struct Plain {
    io: TokioIo<TcpStream>,
    gateway: Arc<Gateway>,
    watch: Arc<Watch>,
    /// Came, and is nobody's yet.
    waiting: Vec<u8>,
    /// So much of it is known to hold no whole head.
    looked: usize,
    for_hyper: ForHyper,
    /// Requests that hyper was given.
    given: u32,
    /// What hyper wrote may not have left.
    is_dirty: bool,
    /// Hyper was told to wait although more had come.
    owes_read: bool,
    /// The rest of a file: of its head, of its body.
    unsent: Option<(Bytes, Rest)>,
}

/// What hyper gets to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ForHyper {
    /// The next request, once it is known what that is.
    Next,
    /// So many more bytes of the last one.
    Bytes(u64),
    /// Whatever comes.
    Everything,
}

impl Plain {
    pub(super) fn new(stream: TcpStream, gateway: Arc<Gateway>, watch: Arc<Watch>) -> Self {
        Self {
            io: TokioIo::new(stream),
            gateway,
            watch,
            waiting: Vec::new(),
            looked: 0,
            for_hyper: ForHyper::Next,
            given: 0,
            is_dirty: false,
            owes_read: false,
            unsent: None,
        }
    }

    /// Whether every answer of hyper has left.
    fn hyper_waits(&self) -> bool {
        !self.is_dirty && self.watch.has_finished(self.given)
    }

    /// Sends files until a request comes that is none, which hyper gets.
    fn poll_next(&mut self, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        for _ in 0..TURN {
            ready!(self.poll_unsent(cx))?;
            while self.looked == self.waiting.len() {
                if ready!(self.poll_fill(cx))? == 0 {
                    // Half a request is none.
                    return Poll::Ready(Ok(()));
                }
            }
            let waiting = std::mem::take(&mut self.waiting);
            let head = Head::read(&waiting);
            let sent = match &head {
                Head::File(ask) => self.send_file(ask)?.then_some(ask.length),
                _ => None,
            };
            let give = match head {
                Head::Partial if waiting.len() < LARGEST_HEAD => {
                    self.looked = waiting.len();
                    Some(None)
                }
                Head::File(ask) => Some(sent.is_none().then_some(ask.length as u64)),
                Head::Message(length) => Some(Some(length)),
                Head::Partial | Head::Last => None,
            };
            self.waiting = waiting;
            match give {
                Some(None) => self.take(sent.unwrap_or(0)),
                Some(Some(length)) => {
                    self.given = self.given.wrapping_add(1);
                    self.for_hyper = ForHyper::Bytes(length);
                    return self.poll_given(length, cx, buf);
                }
                None => {
                    self.for_hyper = ForHyper::Everything;
                    return self.poll_everything(cx, buf);
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The next bytes of what hyper was promised.
    fn poll_given(
        &mut self,
        left: u64,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.waiting.is_empty() && ready!(self.poll_fill(cx))? == 0 {
            return Poll::Ready(Ok(()));
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX);
        let length = most.min(self.waiting.len()).min(buf.remaining());
        buf.put_slice(&self.waiting[..length]);
        self.take(length);
        self.for_hyper = match left - length as u64 {
            0 => ForHyper::Next,
            left => ForHyper::Bytes(left),
        };
        Poll::Ready(Ok(()))
    }

    fn poll_everything(
        &mut self,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.waiting.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let length = self.waiting.len().min(buf.remaining());
        buf.put_slice(&self.waiting[..length]);
        self.take(length);
        Poll::Ready(Ok(()))
    }

    /// While hyper is at work it wants to know only whether the other side has left.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.owes_read = true;
        while self.waiting.len() < LARGEST_WAITING {
            let came = ready!(self.poll_fill(cx))?;
            if came == 0 && self.waiting.is_empty() {
                return Poll::Ready(Ok(()));
            }
            if came == 0 {
                break;
            }
        }
        Poll::Pending
    }

    /// Reads more into `waiting`; answers how much.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        INPUT.with_borrow_mut(|input| {
            let mut buf = tokio::io::ReadBuf::new(input);
            ready!(Pin::new(self.io.inner_mut()).poll_read(cx, &mut buf))?;
            let came = buf.filled();
            let before = self.waiting.len();
            self.waiting.extend_from_slice(came);
            let since = before.saturating_sub(3);
            if self.looked == before
                && before > 0
                && before < LARGEST_HEAD
                && !ends_a_head(&self.waiting[since..])
            {
                self.looked = self.waiting.len();
            }
            Poll::Ready(Ok(came.len()))
        })
    }

    /// Strikes out what was used.
    fn take(&mut self, length: usize) {
        if length == self.waiting.len() {
            self.waiting.clear();
            self.waiting.shrink_to(COPY);
        } else {
            self.waiting.drain(..length);
        }
        if length > 0 {
            self.looked = 0;
        }
    }

    /// Sends a file, as far as that goes now; answers whether there is one.
    fn send_file(&mut self, ask: &Ask<'_>) -> io::Result<bool> {
        let gateway = Arc::clone(&self.gateway);
        gateway
            .exact_file(ask.path, |file| self.send(ask, file))
            .transpose()
            .map(|sent| sent.is_some())
    }

    fn send(&mut self, ask: &Ask<'_>, file: &ServedFile) -> io::Result<()> {
        let form = file.choose(|| ask.accepts);
        let bytes = form.bytes();
        OUTPUT.with_borrow_mut(|output| {
            output.clear();
            output.extend_from_slice(&form.wire().head);
            date::write(output);
            output.extend_from_slice(b"\r\n\r\n");
            let mut rest = Rest::Memory(Bytes::new());
            if ask.is_head {
            } else if output.len() + bytes.len() <= COPY {
                output.extend_from_slice(bytes);
            } else if let Some(file) = form.sealed() {
                rest = Rest::Kernel {
                    file: Arc::clone(file),
                    at: 0,
                    end: bytes.len() as u64,
                };
            } else {
                rest = Rest::Memory(bytes.clone());
            }
            let mut head = &output[..];
            let mut has_moved = false;
            let pushed = push(self.io.inner(), &mut head, &mut rest, &mut has_moved);
            if has_moved {
                self.watch.moved();
            }
            match pushed {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.unsent = Some((Bytes::copy_from_slice(head), rest));
                    Ok(())
                }
                pushed => pushed,
            }
        })
    }

    /// Until the last file has left whole.
    fn poll_unsent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some((head, rest)) = &mut self.unsent {
            ready!(self.io.inner().poll_write_ready(cx))?;
            let mut left = &head[..];
            let mut has_moved = false;
            let pushed = push(self.io.inner(), &mut left, rest, &mut has_moved);
            *head = head.slice_ref(left);
            if has_moved {
                self.watch.moved();
            }
            match pushed {
                Ok(()) => self.unsent = None,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn count(&mut self, written: &Poll<io::Result<usize>>) {
        self.is_dirty = true;
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.watch.moved();
        }
    }
}

/// Whether an empty line ends in here.
fn ends_a_head(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|two| two == b"\n\n") || bytes.windows(3).any(|three| three == b"\n\r\n")
}

impl Read for Plain {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match self.for_hyper {
            ForHyper::Everything => self.poll_everything(cx, buf),
            ForHyper::Bytes(left) => self.poll_given(left, cx, buf),
            ForHyper::Next if self.hyper_waits() => self.poll_next(cx, buf),
            ForHyper::Next => self.poll_end(cx),
        }
    }
}

impl Write for Plain {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_unsent(cx))?;
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.count(&written);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Hyper comes here only when it has nothing more to write.
        self.is_dirty = false;
        if self.owes_read && self.hyper_waits() {
            self.owes_read = false;
            cx.waker().wake_by_ref();
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // To hyper a connection in the middle of a file is idle.
        ready!(self.poll_unsent(cx))?;
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
        ready!(self.poll_unsent(cx))?;
        let written = write_together(Pin::new(&mut self.io), cx, bufs);
        self.count(&written);
        written
    }
}
