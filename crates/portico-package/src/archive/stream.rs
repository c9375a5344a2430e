//! The decompressed bytes of an archive, and how they end.

use std::{
    cell::{Cell, RefCell},
    io::{self, BufReader, Read},
};

use zstd::stream::read::Decoder;

use super::{ArchiveError, Limits, WINDOW_LOG};

/// Largest of the portal's own three entries, bytes.
pub(super) const OWN_ENTRY_LIMIT: u64 = 4 << 20;

/// The decompressed bytes, up to a ceiling.
pub(super) struct Stream<'a> {
    decoder: Decoder<'static, BufReader<&'a [u8]>>,
    left: u64,
    state: &'a State,
}

/// What happened below the tar reader, which reports every trouble as its own.
#[derive(Default)]
pub(super) struct State {
    at_end: Cell<bool>,
    trouble: RefCell<Option<Trouble>>,
    total: Cell<u64>,
}

enum Trouble {
    Cut,
    Broken(String),
    Ceiling,
}

impl State {
    /// Whether the compressed stream came to its end.
    pub(super) fn is_at_end(&self) -> bool {
        self.at_end.get()
    }

    pub(super) fn explain(&self, e: io::Error) -> ArchiveError {
        match self.check() {
            Err(e) => e,
            Ok(()) if self.at_end.get() => ArchiveError::Truncated,
            Ok(()) => ArchiveError::Tar(e.to_string()),
        }
    }

    pub(super) fn check(&self) -> Result<(), ArchiveError> {
        match &*self.trouble.borrow() {
            None => Ok(()),
            Some(Trouble::Cut) => Err(ArchiveError::Truncated),
            Some(Trouble::Broken(why)) => Err(ArchiveError::Compression(why.clone())),
            Some(Trouble::Ceiling) => Err(ArchiveError::TotalTooLarge {
                limit: self.total.get(),
            }),
        }
    }
}

impl<'a> Stream<'a> {
    pub(super) fn open(
        bytes: &'a [u8],
        limits: &Limits,
        state: &'a State,
    ) -> Result<Self, ArchiveError> {
        let broken = |e: io::Error| ArchiveError::Compression(e.to_string());
        let mut decoder = Decoder::with_buffer(BufReader::new(bytes))
            .map_err(broken)?
            .single_frame();
        decoder.window_log_max(WINDOW_LOG).map_err(broken)?;
        state.total.set(limits.total);
        let headers = (limits.entries as u64 + 4) * 1024;
        let left = limits
            .total
            .saturating_add(headers)
            .saturating_add(3 * OWN_ENTRY_LIMIT);
        Ok(Self {
            decoder,
            left,
            state,
        })
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let fail = |trouble| {
            *self.state.trouble.borrow_mut() = Some(trouble);
            io::Error::other("the archive cannot be read on")
        };
        if self.left == 0 {
            return Err(fail(Trouble::Ceiling));
        }
        let most = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        match self.decoder.read(&mut buffer[..most]) {
            Ok(0) if most > 0 => {
                self.state.at_end.set(true);
                Ok(0)
            }
            Ok(n) => {
                self.left -= n as u64;
                Ok(n)
            }
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Err(fail(Trouble::Cut)),
            Err(e) => Err(fail(Trouble::Broken(e.to_string()))),
        }
    }
}

/// After the last entry stand exactly two blocks of zeros, of which the iterator took one.
pub(super) fn end(mut stream: Stream<'_>, state: &State) -> Result<(), ArchiveError> {
    if state.at_end.get() {
        return Err(ArchiveError::Truncated);
    }
    let mut block = [0; 512];
    stream
        .read_exact(&mut block)
        .map_err(|e| state.explain(e))?;
    if block != [0; 512] {
        return Err(ArchiveError::TrailingData);
    }
    // Reading on also makes the decompressor check its own checksum.
    if stream.read(&mut [0; 1]).map_err(|e| state.explain(e))? != 0 {
        return Err(ArchiveError::TrailingData);
    }
    let rest = stream.decoder.finish();
    if rest.buffer().is_empty() && rest.get_ref().is_empty() {
        Ok(())
    } else {
        Err(ArchiveError::TrailingData)
    }
}
