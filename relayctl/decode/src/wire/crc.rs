//! The checksum of packets in a capture's index and of flood records.

/// The CRC-32C (Castagnoli) of `bytes`, by the processor's own instruction where it has one.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    ::crc32c::crc32c(bytes)
}

/// The CRC-32C of some bytes and `more` behind them, given that of the bytes before.
#[must_use]
pub fn crc32c_append(before: u32, more: &[u8]) -> u32 {
    ::crc32c::crc32c_append(before, more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_castagnoli_polynomial() {
        // RFC 3720, appendix B.4.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c_append(crc32c(b"1234"), b"56789"), 0xe306_9283);
    }
}
