//! The order go-yaml prints keys in.

use super::Flavor;
use std::cmp::Ordering;

/// Compares two keys as go-yaml v2 does: digit runs by number, other characters before letters.
///
/// v3 differs right after a digit, where letters come first.
///
/// Shape: `A < a < a-1 < a9 < a10 < aB < ab`.
///
/// Source: go.yaml.in/yaml v2.4.3 and v3.0.4, observed.
pub fn compare_keys(a: &str, b: &str) -> Ordering {
    compare(a, b, Flavor::V2)
}

pub(super) fn compare(a: &str, b: &str, flavor: Flavor) -> Ordering {
    let same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    // What keys mostly differ in is a letter.
    if let (Some(x), Some(y)) = (a.as_bytes().get(same), b.as_bytes().get(same))
        && x.is_ascii_alphabetic()
        && y.is_ascii_alphabetic()
    {
        return x.cmp(y);
    }
    // The first difference may lie inside a character; step back to where it begins.
    let same = (0..=same)
        .rev()
        .find(|at| a.is_char_boundary(*at) && b.is_char_boundary(*at));
    let (head, rest_a) = a.split_at(same.unwrap_or(0));
    let rest_b = &b[head.len()..];
    let (Some(x), Some(y)) = (rest_a.chars().next(), rest_b.chars().next()) else {
        return rest_a.len().cmp(&rest_b.len());
    };
    let after_digit = flavor == Flavor::V3 && head.chars().next_back().is_some_and(is_digit);
    match (x.is_alphabetic(), y.is_alphabetic()) {
        (true, true) => x.cmp(&y),
        (true, false) if after_digit => Ordering::Less,
        (false, true) if after_digit => Ordering::Greater,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => {
            // A zero inside a number counts; a leading one does not.
            let inside_number = (x == '0' || y == '0')
                && head
                    .chars()
                    .rev()
                    .take_while(|c| is_digit(*c))
                    .any(|c| c != '0');
            let start = i64::from(inside_number);
            let (number_a, digits_a) = number(rest_a, start);
            let (number_b, digits_b) = number(rest_b, start);
            number_a
                .cmp(&number_b)
                .then(digits_a.cmp(&digits_b))
                .then(x.cmp(&y))
        }
    }
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit() || (!c.is_ascii() && c.is_numeric() && !c.is_alphabetic())
}

/// Reads the digits a text begins with; overflow wraps as it does in Go.
fn number(text: &str, start: i64) -> (i64, usize) {
    text.chars()
        .take_while(|c| is_digit(*c))
        .fold((start, 0), |(value, count), digit| {
            let digit = i64::from(u32::from(digit)) - i64::from(b'0');
            (value.wrapping_mul(10).wrapping_add(digit), count + 1)
        })
}

/// Sorts by [`compare`].
///
/// The order is not total for digit runs that overflow, which the standard sorts may answer with a
/// panic; a merge sort only ever puts them somewhere.
pub(super) fn sort_by_key<V: Copy>(pairs: &mut Vec<(&str, V)>, flavor: Flavor) {
    if pairs.is_sorted_by(|a, b| compare(a.0, b.0, flavor).is_le()) {
        return;
    }
    let mut width = 1;
    while width < pairs.len() {
        let mut merged = Vec::with_capacity(pairs.len());
        for chunk in pairs.chunks(width * 2) {
            let (mut left, mut right) = chunk.split_at(width.min(chunk.len()));
            while let ([a, rest_a @ ..], [b, rest_b @ ..]) = (left, right) {
                if compare(a.0, b.0, flavor).is_le() {
                    merged.push(*a);
                    left = rest_a;
                } else {
                    merged.push(*b);
                    right = rest_b;
                }
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        *pairs = merged;
        width *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_in_go_order() {
        let expected = [
            "", "-", "1", "2", "10", "A", "B", "a", "a-1", "a.1", "a/b", "a_1", "a1", "a9", "a10",
            "aB", "ab", "c2", "c10", "z1", "z1a", "z01a",
        ];
        let mut pairs: Vec<(&str, ())> = expected.iter().rev().map(|key| (*key, ())).collect();
        sort_by_key(&mut pairs, Flavor::V2);
        let sorted: Vec<&str> = pairs.into_iter().map(|pair| pair.0).collect();
        assert_eq!(sorted, expected);
    }
}
