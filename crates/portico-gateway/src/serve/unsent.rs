//! What of an answer has not left yet.

use std::{
    io::{self, IoSlice},
    sync::Arc,
};

use bytes::{Buf, Bytes};
use tokio::net::TcpStream;

use crate::sealed::{Sealed, send_more};

/// The body of an answer, from some place on.
#[derive(Debug)]
pub(super) enum Rest {
    Memory(Bytes),
    Kernel {
        file: Arc<Sealed>,
        at: u64,
        end: u64,
    },
}

impl Rest {
    fn is_empty(&self) -> bool {
        match self {
            Self::Memory(bytes) => bytes.is_empty(),
            Self::Kernel { at, end, .. } => at >= end,
        }
    }
}

/// Writes until everything has left or the socket takes no more, which is `WouldBlock`. `head` and `rest` say
/// afterwards what is left. Answers whether anything left.
pub(super) fn push(
    to: &TcpStream,
    head: &mut &[u8],
    rest: &mut Rest,
    moved: &mut bool,
) -> io::Result<()> {
    while !head.is_empty() {
        let written = match rest {
            Rest::Memory(bytes) if !bytes.is_empty() => {
                to.try_write_vectored(&[IoSlice::new(head), IoSlice::new(bytes)])
            }
            Rest::Kernel { .. } => send_more(to, head),
            Rest::Memory(_) => to.try_write(head),
        }?;
        let of_head = written.min(head.len());
        *head = &head[of_head..];
        advance(rest, written - of_head);
        made_progress(written, moved)?;
    }
    while !rest.is_empty() {
        let written = match rest {
            Rest::Memory(bytes) => to.try_write(bytes),
            Rest::Kernel { file, at, .. } => file.send(to, *at),
        }?;
        advance(rest, written);
        made_progress(written, moved)?;
    }
    Ok(())
}

fn advance(rest: &mut Rest, by: usize) {
    match rest {
        Rest::Memory(bytes) => bytes.advance(by),
        Rest::Kernel { at, .. } => *at += by as u64,
    }
}

fn made_progress(written: usize, moved: &mut bool) -> io::Result<()> {
    if written == 0 {
        return Err(io::ErrorKind::WriteZero.into());
    }
    *moved = true;
    Ok(())
}
