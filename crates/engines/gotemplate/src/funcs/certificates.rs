//! Keys and certificates.

mod der;
mod key;

use std::rc::Rc;

use go::time::Duration;

use super::Function;
use super::args::Arguments;
use crate::engine::Call;
use crate::error::Fault;
use crate::value::{Struct, StructType, Type, Value};
use der::{Certificate, Signer};
use key::{Key, KeyKind};

type Result = std::result::Result<Value, Fault>;

const INT: Type = Type::Int;
const LIST: Type = Type::List;
const STR: Type = Type::String;
const CERTIFICATE: Type = Type::Named("sprig.certificate");

static CERTIFICATE_TYPE: StructType = StructType {
    name: "sprig.certificate",
    pointer: false,
    text: None,
    methods: &[],
};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::fixed("genPrivateKey", &[STR], gen_private_key),
    Function::fixed("genCA", &[STR, INT], |c, a| authority(c, a, &rsa_key(c)?)),
    Function::fixed("genCAWithKey", &[STR, INT, STR], |c, a| {
        authority(c, a, &parsed_key(a, 2)?)
    }),
    Function::fixed("genSelfSignedCert", &[STR, LIST, LIST, INT], |c, a| {
        self_signed(c, a, &rsa_key(c)?)
    }),
    Function::fixed(
        "genSelfSignedCertWithKey",
        &[STR, LIST, LIST, INT, STR],
        |c, a| self_signed(c, a, &parsed_key(a, 4)?),
    ),
    Function::fixed(
        "genSignedCert",
        &[STR, LIST, LIST, INT, CERTIFICATE],
        |c, a| signed(c, a, &rsa_key(c)?),
    ),
    Function::fixed(
        "genSignedCertWithKey",
        &[STR, LIST, LIST, INT, CERTIFICATE, STR],
        |c, a| signed(c, a, &parsed_key(a, 5)?),
    ),
    Function::fixed("buildCustomCert", &[STR, STR], build_custom),
];

/// What one key counts in steps, since it takes as long as many nodes.
const KEY_STEPS: u64 = 1_000_000;

fn generated(call: &Call<'_>, kind: KeyKind) -> std::result::Result<Key, Fault> {
    call.shared.spend_steps(KEY_STEPS)?;
    Key::generate(kind, &call.shared.random)
        .map_err(|e| Fault::new(format!("error generating rsa key: {e}")))
}

fn rsa_key(call: &Call<'_>) -> std::result::Result<Key, Fault> {
    generated(call, KeyKind::Rsa(2048))
}

fn parsed_key(args: &[Value], i: usize) -> std::result::Result<Key, Fault> {
    Key::parse(&args.text(i)).map_err(|e| Fault::new(format!("parsing private key: {e}")))
}

fn gen_private_key(call: &Call<'_>, args: &[Value]) -> Result {
    let kind = match args.text(0).as_str() {
        "" | "rsa" => KeyKind::Rsa(4096),
        "ecdsa" => KeyKind::Ecdsa,
        "ed25519" => KeyKind::Ed25519,
        other => return Ok(Value::from(format!("Unknown type {other}"))),
    };
    let key = generated(call, kind)?;
    key.pem().map(Value::from).map_err(Fault::new)
}

fn certificate(cert: String, key: String) -> Value {
    Value::structure(
        &CERTIFICATE_TYPE,
        vec![("Cert", Value::from(cert)), ("Key", Value::from(key))],
    )
}

/// The names a certificate is for, from two lists of strings.
fn alternative_names(args: &[Value]) -> std::result::Result<Vec<der::Name>, Fault> {
    let items = |i: usize| match args.any(i) {
        Value::List(list) => list.items().to_vec(),
        _ => Vec::new(),
    };
    let shown = |v: &Value| String::from_utf8_lossy(&v.printed()).into_owned();
    let mut names = Vec::new();
    for name in items(2) {
        let Value::Str(text) = &name else {
            let text = format!(
                "error processing alternate dns name: {} is not a string",
                shown(&name)
            );
            return Err(Fault::new(text));
        };
        names.push(der::Name::Dns(text.text().into_owned()));
    }
    for ip in items(1) {
        let Value::Str(text) = &ip else {
            let text = format!("error parsing ip: {} is not a string", shown(&ip));
            return Err(Fault::new(text));
        };
        let parsed = text.text().parse();
        let parsed = parsed.map_err(|_| Fault::new(format!("error parsing ip: {text}")))?;
        names.push(der::Name::Ip(parsed));
    }
    Ok(names)
}

fn base(call: &Call<'_>, common_name: &str, days: i64, names: Vec<der::Name>) -> Certificate {
    let now = call.shared.now.clone();
    let span = Duration::from_seconds(days.saturating_mul(86_400));
    Certificate {
        serial: call.shared.random.bytes(16),
        common_name: common_name.to_owned(),
        not_after: now.add(span),
        not_before: now,
        authority: false,
        names,
    }
}

fn issued(cert: &Certificate, key: &Key, signer: &Signer<'_>) -> Result {
    let text = cert
        .issue(key, signer)
        .map_err(|e| Fault::new(format!("error creating certificate: {e}")))?;
    Ok(certificate(text, key.pem().map_err(Fault::new)?))
}

fn authority(call: &Call<'_>, args: &[Value], key: &Key) -> Result {
    let mut cert = base(call, &args.text(0), args.int(1), Vec::new());
    cert.authority = true;
    issued(&cert, key, &Signer::itself(key))
}

fn self_signed(call: &Call<'_>, args: &[Value], key: &Key) -> Result {
    let cert = base(call, &args.text(0), args.int(3), alternative_names(args)?);
    issued(&cert, key, &Signer::itself(key))
}

fn signed(call: &Call<'_>, args: &[Value], key: &Key) -> Result {
    let Value::Struct(authority) = args.any(4) else {
        return Err(Fault::new("unable to decode certificate"));
    };
    let field = |s: &Rc<Struct>, name: &str| {
        s.field(name)
            .map(|v| super::string_of(v).text().into_owned())
            .unwrap_or_default()
    };
    let (subject, key_id) = der::read_subject(&field(&authority, "Cert")).map_err(Fault::new)?;
    let signer_key = Key::parse(&field(&authority, "Key"))
        .map_err(|e| Fault::new(format!("error parsing private key: {e}")))?;
    let cert = base(call, &args.text(0), args.int(3), alternative_names(args)?);
    let signer = Signer {
        key: &signer_key,
        subject: Some(subject),
        key_id,
    };
    issued(&cert, key, &signer)
}

fn build_custom(_: &Call<'_>, args: &[Value]) -> Result {
    let decoded = |i: usize, what: &str| {
        super::strings::base64_decode(args.string(i).as_bytes())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .map_err(|_| Fault::new(format!("unable to decode base64 {what}")))
    };
    let (cert, key) = (decoded(0, "certificate")?, decoded(1, "private key")?);
    der::read_subject(&cert).map_err(Fault::new)?;
    Key::parse(&key).map_err(|e| Fault::new(format!("error parsing private key: {e}")))?;
    Ok(certificate(cert, key))
}
