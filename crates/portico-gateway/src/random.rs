//! Random text: request ids and nonces.

use std::sync::Arc;

use aws_lc_rs::rand;

/// 32 hexadecimal digits that nobody can guess.
pub(crate) fn hex32() -> Arc<str> {
    let mut text = [0; 32];
    encode(&bytes::<16>(), &mut text);
    std::str::from_utf8(&text).unwrap_or_default().into()
}

/// A random number for padding.
pub(crate) fn byte() -> u8 {
    bytes::<1>()[0]
}

fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if rand::fill(&mut bytes).is_err() {
        // The generator is seeded at start and does not fail afterwards. A portal that could not draw
        // nonces must not serve pages with guessable ones.
        tracing::error!("the random generator failed: stopping");
        std::process::abort();
    }
    bytes
}

fn encode(bytes: &[u8], out: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_32_hex_digits_and_differ() {
        let (a, b) = (hex32(), hex32());
        assert_eq!(a.len(), 32);
        assert!(
            a.bytes()
                .all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c)),
            "{a}"
        );
        assert_ne!(a, b);
    }

    #[test]
    fn encodes_high_digit_first() {
        let mut out = [0; 4];
        encode(&[0x0f, 0xa1], &mut out);
        assert_eq!(&out, b"0fa1");
    }
}
