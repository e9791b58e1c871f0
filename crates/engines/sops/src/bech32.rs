//! Bech32 without a length limit, as age writes keys.
//!
//! Source: BIP-173.

const CHARSET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// Decodes a text into its prefix, in the case it was given, and its bytes.
pub(crate) fn decode(text: &str) -> Option<(String, Vec<u8>)> {
    let has_lower = text.bytes().any(|b| b.is_ascii_lowercase());
    let has_upper = text.bytes().any(|b| b.is_ascii_uppercase());
    if has_lower && has_upper {
        return None;
    }
    let (prefix, data) = text.rsplit_once('1')?;
    let lower = prefix.to_ascii_lowercase();
    let five: Option<Vec<u8>> = data
        .bytes()
        .map(|b| {
            let at = CHARSET.iter().position(|c| *c == b.to_ascii_lowercase())?;
            u8::try_from(at).ok()
        })
        .collect();
    let five = five?;
    let mut check: Vec<u8> = lower.bytes().map(|b| b >> 5).collect();
    check.push(0);
    check.extend(lower.bytes().map(|b| b & 31));
    check.extend(&five);
    if prefix.is_empty() || five.len() < 6 || checksum(&check) != 1 {
        return None;
    }
    let bytes = to_bytes(five.get(..five.len() - 6)?)?;
    Some((prefix.to_owned(), bytes))
}

fn checksum(values: &[u8]) -> u32 {
    const GENERATOR: [u32; 5] = [
        0x3b6a_57b2,
        0x2650_8e6d,
        0x1ea1_19fa,
        0x3d42_33dd,
        0x2a14_62b3,
    ];
    values.iter().fold(1, |sum, value| {
        let top = sum >> 25;
        let next = ((sum & 0x01ff_ffff) << 5) ^ u32::from(*value);
        let hit = |(index, generator): (usize, &u32)| {
            if (top >> index) & 1 == 1 {
                *generator
            } else {
                0
            }
        };
        GENERATOR
            .iter()
            .enumerate()
            .map(hit)
            .fold(next, |a, b| a ^ b)
    })
}

/// Joins groups of five bits into bytes; what is left over has to be zero.
fn to_bytes(five: &[u8]) -> Option<Vec<u8>> {
    let (mut bits, mut count) = (0u32, 0);
    let mut bytes = Vec::with_capacity(five.len() * 5 / 8);
    for value in five {
        bits = (bits << 5) | u32::from(*value);
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xff).ok()?);
            bits &= (1 << count) - 1;
        }
    }
    (count < 5 && bits == 0).then_some(bytes)
}
