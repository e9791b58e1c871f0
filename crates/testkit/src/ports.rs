//! Free loopback ports for programs that cannot be handed a listening socket.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

use anyhow::{Result, ensure};

/// Below the range that systems take the local ports of outgoing connections from (from 32768 on Linux), so that none
/// of those takes a port between our look and its user's start.
const RANGE: Range<u16> = 16_384..32_768;
const TRIES: usize = 1_000;

/// Returns `N` different loopback TCP ports that were free a moment ago.
///
/// Another process may take one before its user does: whoever starts a program on it tries again with others.
///
/// # Errors
/// When no free port is found.
pub fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut found = Vec::with_capacity(N);
    for _ in 0..TRIES {
        if found.len() == N {
            break;
        }
        let port = rand::random_range(RANGE);
        if !found.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            found.push(port);
        }
    }
    ensure!(
        found.len() == N,
        "found {} free ports of {N} in {RANGE:?}",
        found.len()
    );
    Ok(std::array::from_fn(|index| found[index]))
}

#[cfg(test)]
mod tests {
    use super::{RANGE, free_ports};

    #[test]
    fn ports_differ_and_are_not_those_of_connections() {
        let mut ports: [u16; 64] = free_ports().unwrap();
        assert!(ports.iter().all(|port| RANGE.contains(port)));
        ports.sort_unstable();
        assert!(ports.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
