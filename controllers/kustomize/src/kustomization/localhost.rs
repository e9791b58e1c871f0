//! Artifact addresses for a controller that runs outside the cluster.

/// Replaces the host of artifact URLs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Localhost(Option<String>);

impl Localhost {
    /// Takes the `host:port` to use, if any.
    #[must_use]
    pub(crate) fn new(host: Option<String>) -> Self {
        Self(host)
    }

    /// Returns the URL to download from.
    #[must_use]
    pub(crate) fn rewrite(&self, url: &str) -> String {
        let Some(host) = &self.0 else {
            return url.to_owned();
        };
        let Some((scheme, rest)) = url.split_once("://") else {
            return url.to_owned();
        };
        let path = rest.split_once('/').map_or("", |(_, path)| path);
        format!("{scheme}://{host}/{path}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_host_is_replaced() {
        let localhost = Localhost::new(Some("127.0.0.1:9".into()));
        let url = "http://source-controller.flux-system.svc./gitrepository/a/b/c.tar.gz";
        assert_eq!(
            localhost.rewrite(url),
            "http://127.0.0.1:9/gitrepository/a/b/c.tar.gz"
        );
        assert_eq!(Localhost::new(None).rewrite(url), url);
    }
}
