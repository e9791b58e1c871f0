//! Who asks a store, as Secrets say.

use bucket::AzureIdentity;
use cloud::service_account::ServiceAccount;
use runtime::secrets::SecretView;

use crate::failure::chain;

/// Returns the value of a key without blanks around it; one of nothing else counts as absent.
pub(super) fn text(secret: &SecretView, key: &str) -> Option<String> {
    let text = secret.text(key).map(str::trim);
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Returns the name of a Secret without its namespace.
pub(super) fn short(secret: &SecretView) -> &str {
    secret.name.rsplit('/').next().unwrap_or_default()
}

/// Reads the key of a service account of Google.
pub(super) fn google(secret: &SecretView) -> Result<ServiceAccount, String> {
    let name = short(secret);
    let Some(file) = secret.bytes("serviceaccount") else {
        return Err(format!(
            "invalid '{name}' secret data: required fields 'serviceaccount'"
        ));
    };
    ServiceAccount::parse(file).map_err(|error| format!("invalid '{name}' secret data: {error}"))
}

/// Who asks Azure, as a Secret says.
#[derive(Debug)]
pub(super) enum AzureLogin {
    /// Someone whom the store knows by what the Secret holds.
    Known(AzureIdentity),
    /// An application that proves itself by a certificate.
    Certified(Certified),
    /// An identity that Azure gives to this machine, by its client id.
    Machine(String),
}

/// An application with its certificate.
pub(super) struct Certified {
    pub(super) tenant: String,
    pub(super) client: String,
    /// The certificate and its key, in PEM or PKCS #12.
    pub(super) certificate: Vec<u8>,
    /// What the file is encrypted with.
    password: Option<String>,
    pub(super) send_chain: bool,
    /// Where tokens are given out; absent: the public cloud.
    pub(super) authority: Option<String>,
}

impl std::fmt::Debug for Certified {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

impl Certified {
    /// Turns the certificate into PEM. What has a password, or is no PEM, counts as PKCS #12, as upstream has it. Opening that
    /// takes its time on purpose.
    pub(super) async fn opened(mut self) -> Result<Self, String> {
        let is_pem = self.certificate.starts_with(b"-----BEGIN")
            || self
                .certificate
                .windows(12)
                .any(|at| at == b"\n-----BEGIN ");
        if is_pem && self.password.is_none() {
            return Ok(self);
        }
        let (file, password) = (self.certificate, self.password.unwrap_or_default());
        let opening = tokio::task::spawn_blocking(move || cloud::pfx::to_pem(&file, &password));
        let opened = match opening.await {
            Ok(opened) => opened.map_err(|error| chain(&error)),
            Err(error) => Err(error.to_string()),
        };
        let why = |why| format!("failed to parse client certificates: {why}");
        self.certificate = opened.map_err(why)?.into_bytes();
        self.password = None;
        Ok(self)
    }
}

/// Reads who asks Azure: an application by its secret or certificate, an identity of the machine, an account by its key,
/// or whoever has a signature.
pub(super) fn azure(secret: &SecretView) -> Result<AzureLogin, String> {
    let text = |key| text(secret, key);
    let authority = text("authorityHost");
    let client = text("clientId");
    if let (Some(tenant), Some(client)) = (text("tenantId"), client.clone()) {
        if let Some(secret) = text("clientSecret") {
            return Ok(AzureLogin::Known(AzureIdentity::ClientSecret {
                tenant,
                client,
                secret,
                authority,
            }));
        }
        let certificate = secret.bytes("clientCertificate").unwrap_or_default();
        if !certificate.is_empty() {
            let chain = text("clientCertificateSendChain");
            let password = secret.text("clientCertificatePassword");
            return Ok(AzureLogin::Certified(Certified {
                tenant,
                client,
                certificate: certificate.to_vec(),
                password: password.filter(|word| !word.is_empty()).map(str::to_owned),
                send_chain: chain.is_some_and(|word| word == "1" || word == "true"),
                authority,
            }));
        }
    }
    if let Some(client) = client {
        return Ok(AzureLogin::Machine(client));
    }
    if let Some(key) = text("accountKey") {
        return Ok(AzureLogin::Known(AzureIdentity::AccountKey(key)));
    }
    if let Some(signature) = text("sasKey") {
        let signature = AzureIdentity::SharedAccessSignature(signature);
        return Ok(AzureLogin::Known(signature));
    }
    Err(wrong(
        secret,
        "requires a 'clientId' alone or with 'tenantId' and either 'clientSecret' or 'clientCertificate', an 'accountKey' or a 'sasKey'",
    ))
}

fn wrong(secret: &SecretView, why: &str) -> String {
    format!("invalid '{}' secret data: {why}", short(secret))
}

/// Reads user name and password of a directory's user.
pub(super) fn directory(secret: &SecretView) -> Result<(String, String), String> {
    match (text(secret, "username"), text(secret, "password")) {
        (Some(user), Some(password)) => Ok((user, password)),
        _ => Err(format!(
            "invalid '{}' secret data for 'ldap' STS provider: required fields username, password",
            short(secret)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(pairs: &[(&str, &str)]) -> SecretView {
        let pair = |(key, value): &(&str, &str)| {
            let value = k8s_openapi::ByteString(value.as_bytes().to_vec());
            ((*key).to_owned(), value)
        };
        SecretView {
            name: "ns/dummy".into(),
            kind: String::new(),
            data: pairs.iter().map(pair).collect(),
        }
    }

    /// covers: SC-114
    #[test]
    fn azure_takes_what_is_complete() {
        let shown = |pairs: &[(&str, &str)]| match azure(&view(pairs)) {
            Ok(identity) => format!("{identity:?}"),
            Err(why) => why,
        };
        let application = [("tenantId", "t"), ("clientId", "c"), ("clientSecret", "s")];
        assert_eq!(shown(&application), "Known(ClientSecret(..))");
        assert_eq!(shown(&[("accountKey", "a")]), "Known(AccountKey(..))");
        assert_eq!(
            shown(&[("sasKey", "?a=b")]),
            "Known(SharedAccessSignature(..))"
        );
        assert_eq!(shown(&application[..2]), "Machine(\"c\")");
        assert_eq!(shown(&application[1..2]), "Machine(\"c\")");
        let mut certified = application[..2].to_vec();
        certified.push(("clientCertificate", "s3cret"));
        assert_eq!(shown(&certified), "Certified(..)");
        certified.push(("clientCertificatePassword", "s3cret"));
        assert_eq!(shown(&certified), "Certified(..)");
        assert!(shown(&[]).starts_with("invalid 'dummy' secret data: requires a 'clientId' alone"));
        assert!(shown(&application[..1]).starts_with("invalid 'dummy' secret data: requires"));
    }

    #[tokio::test]
    async fn certificate_that_cannot_be_opened_is_told_without_its_password() {
        let opened = async |certificate: &str, password: &str| {
            let secret = view(&[
                ("tenantId", "t"),
                ("clientId", "c"),
                ("clientCertificate", certificate),
                ("clientCertificatePassword", password),
            ]);
            match azure(&secret) {
                Ok(AzureLogin::Certified(login)) => login.opened().await.map(|it| it.certificate),
                other => panic!("{other:?}"),
            }
        };
        let pem = "-----BEGIN CERTIFICATE-----\n";
        assert_eq!(opened(pem, "").await.unwrap(), pem.as_bytes());
        for (certificate, password) in [(pem, "s3cret"), ("none", ""), ("none", "s3cret")] {
            let why = opened(certificate, password).await.unwrap_err();
            let words = "failed to parse client certificates: it is no PKCS #12 in DER";
            assert!(why.starts_with(words) && !why.contains("s3cret"), "{why}");
        }
    }

    /// covers: SC-102
    #[test]
    fn what_lacks_is_named_and_what_is_there_is_not_shown() {
        assert_eq!(
            directory(&view(&[("username", "u")])).unwrap_err(),
            "invalid 'dummy' secret data for 'ldap' STS provider: required fields username, password"
        );
        assert_eq!(
            google(&view(&[])).unwrap_err(),
            "invalid 'dummy' secret data: required fields 'serviceaccount'"
        );
        let error = google(&view(&[("serviceaccount", "s3cret")])).unwrap_err();
        assert!(!error.contains("s3cret"), "{error}");
    }
}
