//! How users name objects: `ks/apps`.

use std::fmt;

use api::served::{Kind, kinds};

/// An object of ours.
#[derive(Clone, Debug)]
pub(crate) struct ObjectName {
    pub(crate) kind: &'static Kind,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl ObjectName {
    pub(crate) fn new(kind: &'static Kind, namespace: &str, name: &str) -> Self {
        Self {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind.kind, self.namespace, self.name)
    }
}

/// What a user wrote: `ks`, `ks/apps`, `kustomization/apps`.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) kind: &'static Kind,
    pub(crate) name: Option<String>,
}

impl std::str::FromStr for Written {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, name) = match text.split_once('/') {
            Some((kind, name)) => (kind, Some(name)),
            None => (text, None),
        };
        if name.is_some_and(|name| name.is_empty() || name.contains('/')) {
            return Err("an object is written as KIND/NAME".to_owned());
        }
        let found = super::kind(kind).ok_or_else(|| {
            let known: Vec<&str> = kinds()
                .map(|kind| kind.short_names.first().copied().unwrap_or(kind.plural))
                .collect();
            format!("there is no kind '{kind}'; known: {}", known.join(", "))
        })?;
        Ok(Self {
            kind: found,
            name: name.map(str::to_owned),
        })
    }
}

impl Written {
    /// Returns the object in a namespace.
    ///
    /// # Errors
    /// When only a kind was written.
    pub(crate) fn object(&self, namespace: &str) -> anyhow::Result<ObjectName> {
        match &self.name {
            Some(name) => Ok(ObjectName::new(self.kind, namespace, name)),
            None => anyhow::bail!("which {}? Write {}/NAME", self.kind.kind, self.kind.plural),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_found_by_any_of_their_names() {
        for text in ["ks/apps", "Kustomization/apps", "kustomizations/apps"] {
            let written: Written = text.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(written.kind.kind, "Kustomization");
            assert_eq!(written.name.as_deref(), Some("apps"));
        }
        assert!("pods/web".parse::<Written>().is_err());
        assert!("ks/".parse::<Written>().is_err());
        assert!("ks/a/b".parse::<Written>().is_err());
    }
}
