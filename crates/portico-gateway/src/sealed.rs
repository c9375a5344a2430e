//! Bytes that the kernel sends without copying them.
//!
//! A file of 48 KiB costs more to copy into a socket than everything else about its answer together. From
//! a sealed memory file the kernel takes the pages as they are.

use bytes::Bytes;

/// From this size on it is worth the second system call, bytes.
pub(crate) const WORTH_SEALING: usize = 16 << 10;

/// Files of this process that may be kept so, and their bytes together: they need a descriptor each and
/// memory beside that of the cache.
#[cfg(target_os = "linux")]
const MAX_FILES: usize = 512;
#[cfg(target_os = "linux")]
const MAX_BYTES: usize = 64 << 20;

#[cfg(target_os = "linux")]
mod kernel {
    use std::{
        fs::File,
        io::{self, Write},
        os::fd::OwnedFd,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use bytes::Bytes;
    use rustix::{
        fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create, sendfile},
        net::{SendFlags, send},
    };
    use tokio::{io::Interest, net::TcpStream};

    use super::{MAX_BYTES, MAX_FILES};

    static FILES: AtomicUsize = AtomicUsize::new(0);
    static BYTES: AtomicUsize = AtomicUsize::new(0);

    /// A memory file that nobody can change any more.
    #[derive(Debug)]
    pub(crate) struct Sealed {
        file: OwnedFd,
        length: usize,
        _place: Place,
    }

    impl Sealed {
        /// A copy of `bytes`, when there is a place for one more.
        pub(crate) fn new(bytes: &Bytes) -> Option<Self> {
            let place = Place::take(bytes.len())?;
            let file = copy(bytes)
                .inspect_err(|error| tracing::debug!(%error, "no memory file"))
                .ok()?;
            Some(Self {
                file,
                length: bytes.len(),
                _place: place,
            })
        }

        /// Sends from `at`, as much as the socket takes now; answers how much.
        pub(crate) fn send(&self, to: &TcpStream, at: u64) -> io::Result<usize> {
            let mut at = at;
            to.try_io(Interest::WRITABLE, || {
                Ok(sendfile(to, &self.file, Some(&mut at), self.length)?)
            })
        }
    }

    /// Sends `bytes`, which more follows at once: they share a packet.
    pub(crate) fn send_more(to: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        to.try_io(Interest::WRITABLE, || {
            Ok(send(to, bytes, SendFlags::MORE | SendFlags::NOSIGNAL)?)
        })
    }

    fn copy(bytes: &[u8]) -> io::Result<OwnedFd> {
        let file = memfd_create(
            "portico-file",
            MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
        )?;
        let mut file = File::from(file);
        file.write_all(bytes)?;
        fcntl_add_seals(
            &file,
            SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
        )?;
        Ok(file.into())
    }

    /// One of the places, given back when dropped.
    #[derive(Debug)]
    struct Place(usize);

    impl Place {
        fn take(bytes: usize) -> Option<Self> {
            let files = FILES.fetch_add(1, Ordering::Relaxed);
            let before = BYTES.fetch_add(bytes, Ordering::Relaxed);
            let place = Self(bytes);
            (files < MAX_FILES && before + bytes <= MAX_BYTES).then_some(place)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            FILES.fetch_sub(1, Ordering::Relaxed);
            BYTES.fetch_sub(self.0, Ordering::Relaxed);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    use std::io;

    use bytes::Bytes;
    use tokio::net::TcpStream;

    /// Cannot be made here.
    #[derive(Debug)]
    pub(crate) enum Sealed {}

    impl Sealed {
        pub(crate) fn new(_: &Bytes) -> Option<Self> {
            None
        }

        pub(crate) fn send(&self, _: &TcpStream, _: u64) -> io::Result<usize> {
            match *self {}
        }
    }

    pub(crate) fn send_more(to: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        to.try_write(bytes)
    }
}

pub(crate) use kernel::{Sealed, send_more};

/// Whether a file of this size is worth it.
pub(crate) fn is_worth_sealing(bytes: &Bytes) -> bool {
    bytes.len() >= WORTH_SEALING
}
