//! X.509 certificates, as Go's `x509.CreateCertificate` lays them out.

use std::net::IpAddr;

use base64::Engine as _;
use go::time::{Time, Zone};
use sha1::{Digest as _, Sha1};

use super::key::Key;

/// A name that a certificate is for.
#[derive(Debug)]
pub(super) enum Name {
    Dns(String),
    Ip(IpAddr),
}

/// What a certificate says.
#[derive(Debug)]
pub(super) struct Certificate {
    pub(super) serial: Vec<u8>,
    pub(super) common_name: String,
    pub(super) not_before: Time,
    pub(super) not_after: Time,
    pub(super) authority: bool,
    pub(super) names: Vec<Name>,
}

/// Who signs.
pub(super) struct Signer<'a> {
    pub(super) key: &'a Key,
    /// The signer's subject; `None` where a certificate signs itself.
    pub(super) subject: Option<Vec<u8>>,
    /// The identifier of the signer's key, where its certificate has one.
    pub(super) key_id: Option<Vec<u8>>,
}

impl<'a> Signer<'a> {
    pub(super) fn itself(key: &'a Key) -> Self {
        Self {
            key,
            subject: None,
            key_id: None,
        }
    }
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const NULL: u8 = 0x05;
const OID: u8 = 0x06;
const UTF8: u8 = 0x0c;
const PRINTABLE: u8 = 0x13;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const SUBJECT_KEY_ID: &[u8] = &[0x55, 0x1d, 0x0e];
const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 0x23];
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];
const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];

/// A tag, a length and the parts.
fn node(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut out = vec![tag];
    let length = body.len().to_be_bytes();
    let significant = &length[length.iter().take_while(|b| **b == 0).count()..];
    match significant {
        [] => out.push(0),
        [small] if *small < 0x80 => out.push(*small),
        many => {
            out.push(0x80 | u8::try_from(many.len()).unwrap_or(0));
            out.extend_from_slice(many);
        }
    }
    out.extend_from_slice(&body);
    out
}

fn unsigned(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().take_while(|b| **b == 0).count();
    let digits = &bytes[start..];
    match digits.first() {
        None => node(INTEGER, &[&[0]]),
        Some(first) if *first >= 0x80 => node(INTEGER, &[&[0], digits]),
        Some(_) => node(INTEGER, &[digits]),
    }
}

fn time(time: &Time) -> Vec<u8> {
    let utc = time.in_zone(Zone::utc());
    if (1950..2050).contains(&utc.civil().year) {
        node(UTC_TIME, &[utc.format("060102150405Z").as_bytes()])
    } else {
        node(
            GENERALIZED_TIME,
            &[utc.format("20060102150405Z").as_bytes()],
        )
    }
}

fn distinguished_name(common_name: &str) -> Vec<u8> {
    if common_name.is_empty() {
        return node(SEQUENCE, &[]);
    }
    let printable = common_name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&b));
    let text = node(
        if printable { PRINTABLE } else { UTF8 },
        &[common_name.as_bytes()],
    );
    let pair = node(SEQUENCE, &[&node(OID, &[COMMON_NAME]), &text]);
    node(SEQUENCE, &[&node(SET, &[&pair])])
}

fn extension(id: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let flag: &[u8] = if critical { &[0x01, 0x01, 0xff] } else { &[] };
    node(
        SEQUENCE,
        &[&node(OID, &[id]), flag, &node(OCTET_STRING, &[value])],
    )
}

impl Certificate {
    /// Signs the certificate; PEM.
    pub(super) fn issue(&self, key: &Key, signer: &Signer<'_>) -> Result<String, String> {
        let info = key.public_info()?;
        let (id, null) = signer.key.algorithm();
        let parameter: &[u8] = if null { &[NULL, 0] } else { &[] };
        let algorithm = node(SEQUENCE, &[&node(OID, &[id]), parameter]);
        let subject = distinguished_name(&self.common_name);
        let issuer = signer.subject.as_ref().unwrap_or(&subject);
        let body = node(
            SEQUENCE,
            &[
                &node(0xa0, &[&[INTEGER, 1, 2]]),
                &unsigned(&self.serial),
                &algorithm,
                issuer,
                &node(SEQUENCE, &[&time(&self.not_before), &time(&self.not_after)]),
                &subject,
                &info,
                &node(
                    0xa3,
                    &[&node(
                        SEQUENCE,
                        &[&self.extensions(&info, issuer != &subject, signer)],
                    )],
                ),
            ],
        );
        let signature = signer.key.sign(&body);
        let whole = node(
            SEQUENCE,
            &[&body, &algorithm, &node(BIT_STRING, &[&[0], &signature])],
        );
        Ok(pem(&whole))
    }

    fn extensions(&self, info: &[u8], foreign: bool, signer: &Signer<'_>) -> Vec<u8> {
        // digitalSignature and keyEncipherment; of an authority keyCertSign too.
        let usage: &[u8] = if self.authority {
            &[2, 0xa4]
        } else {
            &[5, 0xa0]
        };
        let purposes = [node(OID, &[SERVER_AUTH]), node(OID, &[CLIENT_AUTH])].concat();
        let constraint: &[u8] = if self.authority {
            &[0x01, 0x01, 0xff]
        } else {
            &[]
        };
        let mut out = [
            extension(KEY_USAGE, true, &node(BIT_STRING, &[usage])),
            extension(EXTENDED_KEY_USAGE, false, &node(SEQUENCE, &[&purposes])),
            extension(BASIC_CONSTRAINTS, true, &node(SEQUENCE, &[constraint])),
        ]
        .concat();
        if self.authority {
            let id = key_id(info);
            out.extend(extension(
                SUBJECT_KEY_ID,
                false,
                &node(OCTET_STRING, &[&id]),
            ));
        }
        if let Some(id) = signer.key_id.as_ref().filter(|_| foreign) {
            let value = node(SEQUENCE, &[&node(0x80, &[id])]);
            out.extend(extension(AUTHORITY_KEY_ID, false, &value));
        }
        if !self.names.is_empty() {
            let names: Vec<u8> = self.names.iter().flat_map(alternative_name).collect();
            out.extend(extension(
                ALTERNATIVE_NAMES,
                false,
                &node(SEQUENCE, &[&names]),
            ));
        }
        out
    }
}

fn alternative_name(name: &Name) -> Vec<u8> {
    match name {
        Name::Dns(name) => node(0x82, &[name.as_bytes()]),
        Name::Ip(IpAddr::V4(ip)) => node(0x87, &[&ip.octets()]),
        Name::Ip(IpAddr::V6(ip)) => node(0x87, &[&ip.octets()]),
    }
}

/// The digest of the public key's bits.
fn key_id(info: &[u8]) -> Vec<u8> {
    let bits = children(info).and_then(|parts| parts.get(1).map(|(_, body)| body[1..].to_vec()));
    Sha1::digest(bits.unwrap_or_default()).to_vec()
}

fn pem(der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut out = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(64));
        out.push_str(line);
        out.push('\n');
        rest = tail;
    }
    out.push_str("-----END CERTIFICATE-----\n");
    out
}

type Tagged<'a> = (u8, &'a [u8]);

/// A node's tag, its body, its whole, and what follows it.
type Cut<'a> = (u8, &'a [u8], &'a [u8], &'a [u8]);

/// Cuts the first node off: its tag, its body, its whole, and the rest.
fn take(der: &[u8]) -> Option<Cut<'_>> {
    let (tag, first) = (*der.first()?, usize::from(*der.get(1)?));
    let (length, start) = if first < 0x80 {
        (first, 2)
    } else {
        let count = first & 0x7f;
        let digits = der.get(2..2 + count).filter(|d| d.len() <= 4)?;
        (
            digits.iter().fold(0, |n, b| n << 8 | usize::from(*b)),
            2 + count,
        )
    };
    let end = start.checked_add(length)?;
    Some((tag, der.get(start..end)?, der.get(..end)?, der.get(end..)?))
}

/// The nodes inside a node.
fn children(der: &[u8]) -> Option<Vec<Tagged<'_>>> {
    let (_, mut rest, _, _) = take(der)?;
    let mut out = Vec::new();
    while !rest.is_empty() {
        let (tag, body, _, tail) = take(rest)?;
        out.push((tag, body));
        rest = tail;
    }
    Some(out)
}

/// The subject of a certificate as it is written, and the identifier of its key.
pub(super) fn read_subject(pem: &str) -> Result<(Vec<u8>, Option<Vec<u8>>), String> {
    let body = pem
        .split("-----BEGIN CERTIFICATE-----")
        .nth(1)
        .and_then(|rest| rest.split("-----END CERTIFICATE-----").next())
        .ok_or("unable to decode certificate")?;
    let text: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    let der = base64::engine::general_purpose::STANDARD
        .decode(text)
        .map_err(|_| "unable to decode certificate".to_owned())?;
    subject_of(&der).ok_or_else(|| {
        "error parsing certificate: decodedSignerCert.Bytes: x509: malformed certificate".to_owned()
    })
}

fn subject_of(der: &[u8]) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let (_, outer, _, _) = take(der)?;
    let (_, mut rest, _, _) = take(outer)?;
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let (tag, _, whole, tail) = take(rest)?;
        fields.push((tag, whole));
        rest = tail;
    }
    // The version is optional; serial, algorithm, issuer and validity stand before the subject.
    let first = usize::from(fields.first()?.0 == 0xa0);
    let subject = fields.get(first + 4)?.1.to_vec();
    let extensions = fields
        .iter()
        .find(|(tag, _)| *tag == 0xa3)
        .map(|(_, whole)| *whole);
    Some((subject, extensions.and_then(key_id_in)))
}

fn key_id_in(extensions: &[u8]) -> Option<Vec<u8>> {
    let (_, list, _, _) = take(extensions)?;
    for (_, extension) in children(list)? {
        let (_, id, _, rest) = take(extension)?;
        if id == SUBJECT_KEY_ID {
            let (_, value, _, _) = take(rest)?;
            let (_, key_id, _, _) = take(value)?;
            return Some(key_id.to_vec());
        }
    }
    None
}
