//! Passwords: bcrypt, htpasswd, derived passwords, AES.

use aes::Aes256;
use aes::cipher::{
    BlockDecryptMut as _, BlockEncryptMut as _, KeyIvInit as _, block_padding::Pkcs7,
};
use base64::Engine as _;
use sha2::{Digest as _, Sha256};

use super::Function;
use super::args::Arguments;
use crate::engine::Call;
use crate::error::Fault;
use crate::value::{Type, Value};

type Result = std::result::Result<Value, Fault>;

const STR: Type = Type::String;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::fixed("bcrypt", &[STR], |c, a| {
        Ok(Value::from(hashed(c, a.string(0).as_bytes())))
    }),
    Function::fixed("htpasswd", &[STR, STR], |c, a| {
        let user = a.text(0);
        if user.contains(':') {
            return Ok(Value::from(format!("invalid username: {user}")));
        }
        Ok(Value::from(format!(
            "{user}:{}",
            hashed(c, a.string(1).as_bytes())
        )))
    }),
    Function::fixed(
        "derivePassword",
        &[Type::Uint32, STR, STR, STR, STR],
        derive_password,
    ),
    Function::fixed("encryptAES", &[STR, STR], encrypt),
    Function::fixed("decryptAES", &[STR, STR], decrypt),
];

/// What one hash counts in steps, since it takes as long as many nodes.
const HASH_STEPS: u64 = 200_000;

fn hashed(call: &Call<'_>, password: &[u8]) -> String {
    if call.shared.spend_steps(HASH_STEPS).is_err() {
        return "failed to encrypt string with bcrypt: rendering takes too many steps".to_owned();
    }
    if password.len() > 72 {
        return "failed to encrypt string with bcrypt: bcrypt: password length exceeds 72 bytes"
            .to_owned();
    }
    let mut salt = [0; 16];
    salt.copy_from_slice(&call.shared.random.bytes(16));
    match bcrypt::hash_with_salt(password, 10, salt) {
        Ok(parts) => parts.format_for_version(bcrypt::Version::TwoA),
        Err(error) => format!("failed to encrypt string with bcrypt: {error}"),
    }
}

const SEED: &[u8] = b"com.lyndir.masterpassword";

/// Shapes of derived passwords by type: each letter names a set of characters.
///
/// Source: <https://github.com/Masterminds/sprig/blob/v3.3.0/docs/crypto.md>
const SHAPES: [(&str, &[&str]); 6] = [
    ("maximum", &["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"]),
    (
        "long",
        &[
            "CvcvnoCvcvCvcv",
            "CvcvCvcvnoCvcv",
            "CvcvCvcvCvcvno",
            "CvccnoCvcvCvcv",
            "CvccCvcvnoCvcv",
            "CvccCvcvCvcvno",
            "CvcvnoCvccCvcv",
            "CvcvCvccnoCvcv",
            "CvcvCvccCvcvno",
            "CvcvnoCvcvCvcc",
            "CvcvCvcvnoCvcc",
            "CvcvCvcvCvccno",
            "CvccnoCvccCvcv",
            "CvccCvccnoCvcv",
            "CvccCvccCvcvno",
            "CvcvnoCvccCvcc",
            "CvcvCvccnoCvcc",
            "CvcvCvccCvccno",
            "CvccnoCvcvCvcc",
            "CvccCvcvnoCvcc",
            "CvccCvcvCvccno",
        ],
    ),
    ("medium", &["CvcnoCvc", "CvcCvcno"]),
    ("short", &["Cvcn"]),
    ("basic", &["aaanaaan", "aannaaan", "aaannaaa"]),
    ("pin", &["nnnn"]),
];

fn characters(class: u8) -> &'static [u8] {
    match class {
        b'V' => b"AEIOU",
        b'C' => b"BCDFGHJKLMNPQRSTVWXYZ",
        b'v' => b"aeiou",
        b'c' => b"bcdfghjklmnpqrstvwxyz",
        b'a' => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
        b'n' => b"0123456789",
        b'o' => b"@&%?,=[]_:-+*$#!'^~;()/.",
        _ => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
    }
}

fn derive_password(call: &Call<'_>, args: &[Value]) -> Result {
    let kind = args.text(1);
    let Some((_, shapes)) = SHAPES.iter().find(|(name, _)| *name == kind) else {
        return Ok(Value::from(format!("cannot find password template {kind}")));
    };
    call.shared.spend_steps(HASH_STEPS)?;
    let counter = match args.any(0) {
        Value::Uint64(n) => u32::try_from(n).unwrap_or(0),
        _ => 0,
    };
    let (password, user, site) = (args.string(2), args.string(3), args.string(4));
    let length = |text: &[u8]| u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
    let salt = [SEED, &length(user.as_bytes()), user.as_bytes()].concat();
    let failed = |e: &dyn std::fmt::Display| Value::from(format!("failed to derive password: {e}"));
    let params = match scrypt::Params::new(15, 8, 2, 64) {
        Ok(params) => params,
        Err(error) => return Ok(failed(&error)),
    };
    let mut key = [0; 64];
    if let Err(error) = scrypt::scrypt(password.as_bytes(), &salt, &params, &mut key) {
        return Ok(failed(&error));
    }
    let message = [
        SEED,
        &length(site.as_bytes()),
        site.as_bytes(),
        &counter.to_be_bytes(),
    ]
    .concat();
    let seed = hmac_sha256(&key, &message);
    let shape = shapes[usize::from(seed[0]) % shapes.len()];
    let text = shape.bytes().zip(&seed[1..]).map(|(class, byte)| {
        let set = characters(class);
        set[usize::from(*byte) % set.len()]
    });
    Ok(Value::str(text.collect::<Vec<u8>>()))
}

/// HMAC with a key of one block.
fn hmac_sha256(key: &[u8; 64], message: &[u8]) -> [u8; 32] {
    let padded = |byte: u8| key.map(|k| k ^ byte);
    let inner = Sha256::new()
        .chain_update(padded(0x36))
        .chain_update(message)
        .finalize();
    Sha256::new()
        .chain_update(padded(0x5c))
        .chain_update(inner)
        .finalize()
        .into()
}

/// A password's bytes, cut or filled up with zeros.
fn aes_key(password: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    let length = password.len().min(32);
    key[..length].copy_from_slice(&password[..length]);
    key
}

fn encrypt(call: &Call<'_>, args: &[Value]) -> Result {
    let text = args.string(1);
    if text.is_empty() {
        return Ok(Value::empty());
    }
    let mut iv = [0; 16];
    iv.copy_from_slice(&call.shared.random.bytes(16));
    let key = aes_key(args.string(0).as_bytes());
    let cipher = cbc::Encryptor::<Aes256>::new(&key.into(), &iv.into());
    let body = cipher.encrypt_padded_vec_mut::<Pkcs7>(text.as_bytes());
    let out = [iv.as_slice(), &body].concat();
    Ok(Value::from(
        base64::engine::general_purpose::STANDARD.encode(out),
    ))
}

fn decrypt(_: &Call<'_>, args: &[Value]) -> Result {
    let text = args.string(1);
    if text.is_empty() {
        return Ok(Value::empty());
    }
    let bytes = super::strings::base64_decode(text.as_bytes())
        .map_err(|at| Fault::new(format!("illegal base64 data at input byte {at}")))?;
    if bytes.len() < 32 || bytes.len() % 16 != 0 {
        return Err(Fault::new("crypto/cipher: input not full blocks"));
    }
    let mut iv = [0; 16];
    iv.copy_from_slice(&bytes[..16]);
    let key = aes_key(args.string(0).as_bytes());
    let cipher = cbc::Decryptor::<Aes256>::new(&key.into(), &iv.into());
    cipher
        .decrypt_padded_vec_mut::<Pkcs7>(&bytes[16..])
        .map(Value::str)
        .map_err(|_| Fault::new("the text does not decrypt with this password"))
}
