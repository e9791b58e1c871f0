//! A secret from its shares, by Shamir's scheme over GF(256).
//!
//! Shape of a share: one byte for each byte of the secret, then the share's own coordinate.
//! Source: sops v3.13 `shamir`, after HashiCorp Vault.

use zeroize::Zeroizing;

/// Joins shares. None where there are fewer than two, where they differ in length, or where two
/// have the same coordinate.
#[must_use]
pub fn combine(shares: &[Zeroizing<Vec<u8>>]) -> Option<Zeroizing<Vec<u8>>> {
    let length = shares.first()?.len();
    if shares.len() < 2 || length < 2 || shares.iter().any(|share| share.len() != length) {
        return None;
    }
    let xs: Vec<u8> = shares
        .iter()
        .filter_map(|share| share.last().copied())
        .collect();
    let is_double = |(index, x): (usize, &u8)| *x == 0 || xs[..index].contains(x);
    if xs.iter().enumerate().any(is_double) {
        return None;
    }
    let byte = |position: usize| {
        let mut value = 0;
        for (i, share) in shares.iter().enumerate() {
            let mut basis = 1;
            for (j, x) in xs.iter().enumerate() {
                if i != j {
                    basis = multiply(basis, multiply(*x, invert(*x ^ xs[i])));
                }
            }
            value ^= multiply(share[position], basis);
        }
        value
    };
    Some(Zeroizing::new((0..length - 1).map(byte).collect()))
}

/// Multiplies in the field of AES, without branches on the values.
fn multiply(a: u8, b: u8) -> u8 {
    let (mut a, mut product) = (a, 0);
    for bit in 0..8 {
        product ^= a & 0u8.wrapping_sub((b >> bit) & 1);
        let carry = 0u8.wrapping_sub(a >> 7);
        a = (a << 1) ^ (carry & 0x1b);
    }
    product
}

/// The inverse: the power of 254.
fn invert(a: u8) -> u8 {
    let mut power = a;
    let mut result = 1;
    for _ in 0..7 {
        power = multiply(power, power);
        result = multiply(result, power);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverses_are_inverse() {
        for a in 1..=255u8 {
            assert_eq!(multiply(a, invert(a)), 1, "{a}");
        }
    }

    #[test]
    fn two_of_three_shares_make_the_secret() {
        // The line 0x2a + 7x at x = 1, 2, 5.
        let share = |x: u8| Zeroizing::new(vec![0x2a ^ multiply(7, x), x]);
        for (a, b) in [(1, 2), (2, 5), (5, 1)] {
            assert_eq!(combine(&[share(a), share(b)]).unwrap().as_slice(), [0x2a]);
        }
        assert!(combine(&[share(1), share(1)]).is_none());
        assert!(combine(&[share(1)]).is_none());
    }
}
