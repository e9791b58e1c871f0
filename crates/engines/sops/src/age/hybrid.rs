//! The post-quantum recipient `mlkem768x25519`: HPKE over ML-KEM-768 and X25519.

use chacha20poly1305::{ChaCha20Poly1305, KeyInit, aead::Aead};
use hkdf::Hkdf;
use ml_kem::{DecapsulationKey768, Seed, kem::Decapsulate};
use sha2::Sha256;
use sha3::{
    Digest, Sha3_256, Shake256,
    digest::{ExtendableOutput, Update, XofReader},
};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

const LABEL: &[u8] = b"age-encryption.org/mlkem768x25519";
/// What the combination of both secrets ends with.
const COMBINER: &[u8] = br"\.//^\";
/// `HPKE`, then the numbers of KEM, KDF (HKDF-SHA256) and AEAD (ChaCha20-Poly1305).
const SUITE: &[u8] = &[b'H', b'P', b'K', b'E', 0x64, 0x7a, 0, 1, 0, 3];
/// The ML-KEM ciphertext, before the X25519 share.
const CIPHERTEXT: usize = 1088;

/// Opens a wrapped file key.
pub(super) fn open(seed: &[u8; 32], share: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let secret = decapsulate(seed, share)?;
    let (key, nonce) = schedule(secret.as_slice())?;
    let cipher = ChaCha20Poly1305::new_from_slice(key.as_slice()).ok()?;
    let opened = cipher.decrypt(&nonce.into(), sealed).ok()?;
    Some(Zeroizing::new(opened))
}

fn decapsulate(seed: &[u8; 32], share: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let (lattice_share, curve_share) = share.split_at_checked(CIPHERTEXT)?;
    let curve_share: [u8; 32] = curve_share.try_into().ok()?;
    let mut shake = Shake256::default();
    Update::update(&mut shake, seed);
    let mut reader = shake.finalize_xof();
    let mut lattice_seed = Seed::default();
    reader.read(&mut lattice_seed);
    let mut curve_seed = Zeroizing::new([0; 32]);
    reader.read(curve_seed.as_mut_slice());
    let lattice = DecapsulationKey768::from_seed(lattice_seed);
    let lattice_secret = lattice.decapsulate_slice(lattice_share).ok()?;
    let curve = StaticSecret::from(*curve_seed);
    let curve_secret = curve.diffie_hellman(&PublicKey::from(curve_share));
    if !curve_secret.was_contributory() {
        return None;
    }
    let mut hash = Sha3_256::new();
    for part in [
        lattice_secret.as_slice(),
        curve_secret.as_bytes(),
        &curve_share,
        PublicKey::from(&curve).as_bytes(),
        COMBINER,
    ] {
        Digest::update(&mut hash, part);
    }
    let sum: [u8; 32] = hash.finalize().as_slice().try_into().ok()?;
    Some(Zeroizing::new(sum))
}

/// The key schedule of RFC 9180 in its base mode.
fn schedule(secret: &[u8]) -> Option<(Zeroizing<[u8; 32]>, [u8; 12])> {
    let mut context = vec![0];
    context.extend(extract(&[], b"psk_id_hash", &[]));
    context.extend(extract(&[], b"info_hash", LABEL));
    let random = Zeroizing::new(extract(secret, b"secret", &[]));
    let mut key = Zeroizing::new([0; 32]);
    expand(random.as_slice(), b"key", &context, key.as_mut_slice())?;
    let mut nonce = [0; 12];
    expand(random.as_slice(), b"base_nonce", &context, &mut nonce)?;
    Some((key, nonce))
}

fn extract(salt: &[u8], label: &[u8], input: &[u8]) -> [u8; 32] {
    let input = [b"HPKE-v1", SUITE, label, input].concat();
    let (random, _) = Hkdf::<Sha256>::extract(Some(salt), &input);
    random.into()
}

fn expand(random: &[u8], label: &[u8], context: &[u8], out: &mut [u8]) -> Option<()> {
    let length = u16::try_from(out.len()).ok()?.to_be_bytes();
    let info = [&length, b"HPKE-v1".as_slice(), SUITE, label, context].concat();
    Hkdf::<Sha256>::from_prk(random)
        .ok()?
        .expand(&info, out)
        .ok()
}
