//! What the parts of a file are encrypted with.

use cbc::Decryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockDecryptMut, KeyIvInit};
use der::Sequence;
use der::asn1::{ObjectIdentifier, OctetString};
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::PfxError;
use super::kdf::{Hash, Purpose, Rounds};

const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
const PBKDF2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.12");
const SHA1_TRIPLE_DES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.3");
const SHA1_RC2_40: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.6");

#[derive(Sequence)]
struct Own {
    salt: OctetString,
    rounds: u32,
}

#[derive(Sequence)]
struct Pbes2 {
    key: AlgorithmIdentifierOwned,
    cipher: AlgorithmIdentifierOwned,
}

#[derive(Sequence)]
struct Pbkdf2 {
    salt: OctetString,
    rounds: u32,
    #[asn1(optional = "true")]
    size: Option<u16>,
    #[asn1(optional = "true")]
    hash: Option<AlgorithmIdentifierOwned>,
}

#[derive(Clone, Copy)]
enum Cipher {
    TripleDes,
    Rc2,
    Aes128,
    Aes192,
    Aes256,
}

impl Cipher {
    fn of(name: ObjectIdentifier) -> Result<Self, PfxError> {
        match name.to_string().as_str() {
            "2.16.840.1.101.3.4.1.2" => Ok(Self::Aes128),
            "2.16.840.1.101.3.4.1.22" => Ok(Self::Aes192),
            "2.16.840.1.101.3.4.1.42" => Ok(Self::Aes256),
            "1.2.840.113549.3.7" => Ok(Self::TripleDes),
            _ => Err(PfxError::Algorithm(name)),
        }
    }

    /// Returns how long its keys are in bytes.
    fn key_size(self) -> usize {
        match self {
            Self::Rc2 => 5,
            Self::Aes128 => 16,
            Self::TripleDes | Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }

    fn decrypt(self, key: &[u8], start: &[u8], content: &[u8]) -> Result<Vec<u8>, PfxError> {
        match self {
            Self::TripleDes => decrypt_by::<Decryptor<des::TdesEde3>>(key, start, content),
            Self::Rc2 => decrypt_by::<Decryptor<rc2::Rc2>>(key, start, content),
            Self::Aes128 => decrypt_by::<Decryptor<aes::Aes128>>(key, start, content),
            Self::Aes192 => decrypt_by::<Decryptor<aes::Aes192>>(key, start, content),
            Self::Aes256 => decrypt_by::<Decryptor<aes::Aes256>>(key, start, content),
        }
    }
}

fn decrypt_by<D: KeyIvInit + BlockDecryptMut>(
    key: &[u8],
    start: &[u8],
    content: &[u8],
) -> Result<Vec<u8>, PfxError> {
    let decryptor = D::new_from_slices(key, start).map_err(|_| PfxError::Password)?;
    // A wrong password shows in the padding, mostly.
    let plain = decryptor.decrypt_padded_vec_mut::<Pkcs7>(content);
    plain.map_err(|_| PfxError::Password)
}

/// Decrypts a part of a file. The password comes as it is, and as PKCS #12 spells it.
pub(super) fn decrypt(
    algorithm: &AlgorithmIdentifierOwned,
    content: &[u8],
    (password, spelling): (&str, &[u8]),
    rounds: &mut Rounds,
) -> Result<Vec<u8>, PfxError> {
    let cipher = match algorithm.oid {
        SHA1_TRIPLE_DES => Cipher::TripleDes,
        SHA1_RC2_40 => Cipher::Rc2,
        PBES2 => return by_pbes2(algorithm, content, password, rounds),
        other => return Err(PfxError::Algorithm(other)),
    };
    let own: Own = parameters(algorithm)?;
    let salt = (own.salt.as_bytes(), u64::from(own.rounds));
    let key = rounds.key(
        Hash::Sha1,
        Purpose::Cipher,
        spelling,
        salt,
        cipher.key_size(),
    )?;
    let start = rounds.key(Hash::Sha1, Purpose::Start, spelling, salt, 8)?;
    cipher.decrypt(&key, &start, content)
}

fn by_pbes2(
    algorithm: &AlgorithmIdentifierOwned,
    content: &[u8],
    password: &str,
    rounds: &mut Rounds,
) -> Result<Vec<u8>, PfxError> {
    let Pbes2 { key, cipher } = parameters(algorithm)?;
    if key.oid != PBKDF2 {
        return Err(PfxError::Algorithm(key.oid));
    }
    let start: OctetString = parameters(&cipher)?;
    let cipher = Cipher::of(cipher.oid)?;
    // The size of the key follows from the cipher.
    let Pbkdf2 {
        salt,
        rounds: count,
        size: _,
        hash,
    } = parameters(&key)?;
    let hash = hash.map_or(Ok(Hash::Sha1), |hash| Hash::of(hash.oid))?;
    let salt = (salt.as_bytes(), count);
    let key = rounds.pbkdf2(hash, password, salt, cipher.key_size())?;
    cipher.decrypt(&key, start.as_bytes(), content)
}

fn parameters<T: for<'a> der::Decode<'a>>(
    algorithm: &AlgorithmIdentifierOwned,
) -> Result<T, PfxError> {
    let parameters = algorithm.parameters.as_ref();
    let parameters = parameters.ok_or(PfxError::Algorithm(algorithm.oid))?;
    let der = der::Encode::to_der(parameters).map_err(PfxError::Shape)?;
    T::from_der(&der).map_err(PfxError::Shape)
}
