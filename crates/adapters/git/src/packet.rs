//! Git's packet lines: four hex digits of length, then the payload.
//!
//! Source: <https://git-scm.com/docs/protocol-common>, Git 2.47.

use bytes::{Buf, Bytes, BytesMut};

/// The largest packet, its length included.
const MAX: usize = 65_520;

/// One packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    /// `0000`: the end of what was asked for.
    Flush,
    /// `0001`: the end of a section.
    Delimiter,
    /// Anything else, without its length.
    Line(Bytes),
}

impl Packet {
    /// Returns the payload without a line feed at its end; empty for the others.
    pub(crate) fn text(&self) -> &[u8] {
        match self {
            Self::Flush | Self::Delimiter => &[],
            Self::Line(line) => trimmed(line),
        }
    }
}

/// The bytes are no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Takes the next packet from the front of `buffer`; `None` where more bytes are needed.
pub(crate) fn take(buffer: &mut BytesMut) -> Result<Option<Packet>, Malformed> {
    let Some(digits) = buffer.get(..4) else {
        return Ok(None);
    };
    let digits = std::str::from_utf8(digits).map_err(|_| Malformed)?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let length = usize::from_str_radix(digits, 16)
        .ok()
        .filter(|_| is_hex)
        .ok_or(Malformed)?;
    match length {
        0 => {
            buffer.advance(4);
            Ok(Some(Packet::Flush))
        }
        1 => {
            buffer.advance(4);
            Ok(Some(Packet::Delimiter))
        }
        4..=MAX if buffer.len() < length => Ok(None),
        4..=MAX => {
            let mut packet = buffer.split_to(length);
            packet.advance(4);
            Ok(Some(Packet::Line(packet.freeze())))
        }
        _ => Err(Malformed),
    }
}

/// Returns a line without a line feed at its end.
pub(crate) fn trimmed(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

/// Appends a packet.
pub(crate) fn put(out: &mut Vec<u8>, line: &str) {
    let length = line.len() + 4;
    out.extend([12, 8, 4, 0].map(|shift| b"0123456789abcdef"[length >> shift & 0xf]));
    out.extend_from_slice(line.as_bytes());
}

/// Appends a flush.
pub(crate) fn flush(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0000");
}

/// Appends the end of a section.
pub(crate) fn delimiter(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0001");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<Packet>, Malformed> {
        let mut buffer = BytesMut::from(bytes);
        let mut packets = Vec::new();
        while let Some(packet) = take(&mut buffer)? {
            packets.push(packet);
        }
        Ok(packets)
    }

    #[test]
    fn packets_come_back_as_written() {
        let mut out = Vec::new();
        put(&mut out, "want abc\n");
        flush(&mut out);
        put(&mut out, "");
        delimiter(&mut out);
        assert_eq!(out, b"000dwant abc\n000000040001");
        let packets = all(&out).unwrap();
        assert_eq!(packets[3..], [Packet::Delimiter]);
        assert_eq!(packets[0].text(), b"want abc");
        assert_eq!(packets[1], Packet::Flush);
        assert_eq!(packets[2], Packet::Line(Bytes::new()));
    }

    #[test]
    fn incomplete_packet_waits_for_more() {
        for cut in [0, 3, 4, 8] {
            assert_eq!(all(&b"0009hello"[..cut]).unwrap(), [], "{cut}");
        }
    }

    #[test]
    fn bytes_that_are_no_packet_are_refused() {
        for bytes in ["<html>", "0002", "0003", "ffff", "+00a"] {
            assert_eq!(all(bytes.as_bytes()), Err(Malformed), "{bytes}");
        }
    }
}
