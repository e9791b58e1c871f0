//! Checksums.

use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

use super::Function;
use super::args::Arguments;
use crate::value::{Type, Value};

const STR: Type = Type::String;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::fixed("sha1sum", &[STR], |_, a| {
        Ok(Value::from(hex::encode(Sha1::digest(
            a.string(0).as_bytes(),
        ))))
    }),
    Function::fixed("sha256sum", &[STR], |_, a| {
        Ok(Value::from(hex::encode(Sha256::digest(
            a.string(0).as_bytes(),
        ))))
    }),
    Function::fixed("sha512sum", &[STR], |_, a| {
        Ok(Value::from(hex::encode(Sha512::digest(
            a.string(0).as_bytes(),
        ))))
    }),
    Function::fixed("adler32sum", &[STR], |_, a| {
        Ok(Value::from(adler32(a.string(0).as_bytes()).to_string()))
    }),
];

fn adler32(bytes: &[u8]) -> u32 {
    const PRIME: u32 = 65_521;
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % PRIME;
        b = (b + a) % PRIME;
    }
    b << 16 | a
}
