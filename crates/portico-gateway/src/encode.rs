//! Compression of what is made per request. Files are compressed once, elsewhere.

use std::cell::RefCell;

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use crate::random;

/// Shorter answers fit into the first packets anyway.
pub(crate) const WORTH_COMPRESSING: usize = 1024;

thread_local! {
    // The state of a compressor is far larger than a page, so every thread keeps one. Level 1 of zlib-rs looks for
    // no matches beyond the last one: pages come out a third larger than with level 2.
    static DEFLATE: RefCell<Compress> = RefCell::new(Compress::new(Compression::new(2), false));
}

/// `body` as a gzip member. Its header carries a file name of random length, so that the length of the
/// answer says less about a secret that stands beside text which somebody else chose.
pub(crate) fn gzip(body: &[u8]) -> Option<Bytes> {
    const HEADER_WITH_NAME: [u8; 10] = [0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 4, 255];
    let padding = usize::from(random::byte() & 31);
    let mut out = Vec::with_capacity(body.len() / 2 + 128);
    out.extend_from_slice(&HEADER_WITH_NAME);
    out.resize(out.len() + padding, b'p');
    out.push(0);
    DEFLATE.with_borrow_mut(|deflate| {
        deflate.reset();
        loop {
            let done = usize::try_from(deflate.total_in()).ok()?;
            match deflate
                .compress_vec(body.get(done..)?, &mut out, FlushCompress::Finish)
                .ok()?
            {
                Status::StreamEnd => return Some(()),
                Status::Ok | Status::BufError => out.reserve(out.len()),
            }
        }
    })?;
    let mut crc = Crc::new();
    crc.update(body);
    out.extend_from_slice(&crc.sum().to_le_bytes());
    out.extend_from_slice(&crc.amount().to_le_bytes());
    Some(out.into())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn unpack(packed: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        flate2::read::GzDecoder::new(packed)
            .read_to_end(&mut out)
            .unwrap();
        out
    }

    #[test]
    fn unpacks_to_the_same() {
        let mut noise = 1_u32;
        let incompressible: Vec<u8> = (0..100_000)
            .map(|_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (noise >> 24) as u8
            })
            .collect();
        for body in [
            &b""[..],
            b"hello",
            &b"<p>portal</p>".repeat(5000),
            &incompressible,
        ] {
            assert_eq!(unpack(&gzip(body).unwrap()), body);
            assert_eq!(
                unpack(&gzip(body).unwrap()),
                body,
                "a second time, with a used compressor"
            );
        }
    }

    #[test]
    fn length_varies() {
        let lengths: std::collections::BTreeSet<_> = (0..200)
            .map(|_| gzip(&b"<p>portal</p>".repeat(200)).unwrap().len())
            .collect();
        assert!(lengths.len() > 8, "{lengths:?}");
    }
}
