//! Where requests may go: not to a cloud's metadata service, where an address comes from a user.
//!
//! The service hands the node's credentials to whoever asks from the node, so an address that a tenant chose must not
//! lead there, whether written as a number or by a name that resolves to it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::Error;

/// Where requests may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Destinations {
    /// Anywhere.
    #[default]
    Any,
    /// Anywhere but to metadata services: see [`is_metadata_address`]. What a proxy connects to is the proxy's to refuse.
    NoMetadata,
}

/// Names that clouds give to their metadata service.
const NAMES: &[&str] = &[
    "metadata",
    "metadata.google.internal",
    "metadata.azure.internal",
];
/// Addresses outside of link-local ranges: Alibaba, Oracle, Azure's wire server.
const V4: &[Ipv4Addr] = &[
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
    Ipv4Addr::new(168, 63, 129, 16),
];
/// The same for IPv6: AWS (instances and pods), Google.
const V6: &[Ipv6Addr] = &[
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

/// Returns whether an address is one of a cloud's metadata service: any link-local one, and the few that are elsewhere.
pub fn is_metadata_address(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_link_local() || V4.contains(&v4),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || V6.contains(&v6),
    }
}

/// Refuses a URL whose host is such an address or name. URLs that cannot be read are refused elsewhere.
pub(crate) fn check(url: &str) -> Result<(), Error> {
    let Ok(url) = reqwest::Url::parse(url) else {
        return Ok(());
    };
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_matches(['[', ']']).trim_end_matches('.');
    let forbidden = match bare.parse::<IpAddr>() {
        Ok(address) => is_metadata_address(address),
        Err(_) => NAMES.contains(&bare.to_ascii_lowercase().as_str()),
    };
    if forbidden {
        return Err(Error::Forbidden(host.to_owned()));
    }
    Ok(())
}

/// A name led only to metadata addresses.
#[derive(Debug, thiserror::Error)]
#[error("it is a metadata address")]
pub(crate) struct MetadataAddress;

/// Resolves names and leaves metadata addresses out.
#[derive(Debug)]
pub(crate) struct Careful;

impl Resolve for Careful {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let all: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed: Vec<_> = all
                .iter()
                .copied()
                .filter(|address| !is_metadata_address(address.ip()))
                .collect();
            if allowed.is_empty() && !all.is_empty() {
                return Err(MetadataAddress.into());
            }
            let addresses: Addrs = Box::new(allowed.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_addresses_are_refused_in_every_spelling() {
        for url in [
            "http://169.254.169.254/latest/meta-data",
            "http://169.254.170.2/v2/credentials",
            "http://[fd00:ec2::254]/",
            "http://[::ffff:169.254.169.254]/",
            "http://[fe80::1]/",
            "http://2852039166/",
            "http://0xa9fea9fe/",
            "http://100.100.100.200/",
            "http://metadata.google.internal./computeMetadata/v1/",
        ] {
            assert!(matches!(check(url), Err(Error::Forbidden(_))), "{url}");
        }
        for url in [
            "http://127.0.0.1/",
            "https://10.0.0.1/",
            "https://example.org/169.254.169.254",
            "not a url",
        ] {
            assert!(check(url).is_ok(), "{url}");
        }
    }
}
