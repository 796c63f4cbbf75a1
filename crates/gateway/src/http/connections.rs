//! How many connections a port has, and how many of them one network.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::limits::network_of;

/// The connections of one port that speak HTTP now.
#[derive(Debug, Clone, Default)]
pub struct Connections(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    of_network: HashMap<IpAddr, usize>,
}

/// A connection that was let in; it counts until this is dropped.
#[derive(Debug)]
pub struct Admitted {
    counts: Arc<Mutex<Counts>>,
    network: IpAddr,
}

impl Connections {
    /// Room for a connection from that address, if there is any.
    pub fn admit(&self, address: IpAddr) -> Option<Admitted> {
        let network = network_of(address.to_canonical());
        let mut counts = locked(&self.0);
        // A proxy on this machine speaks for everybody.
        let most = if network.is_loopback() { CONNECTIONS_MAX } else { NETWORK_CONNECTIONS_MAX };
        let held = counts.of_network.get(&network).copied().unwrap_or(0);
        if counts.all >= CONNECTIONS_MAX || held >= most {
            return None;
        }
        counts.all += 1;
        counts.of_network.insert(network, held + 1);
        Some(Admitted { counts: self.0.clone(), network })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut counts = locked(&self.counts);
        counts.all -= 1;
        if let Some(held) = counts.of_network.get_mut(&self.network) {
            *held -= 1;
            if *held == 0 {
                counts.of_network.remove(&self.network);
            }
        }
    }
}

fn locked(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Connections of one port that speak HTTP at a time; WebSockets after their upgrade are calls and do not count.
const CONNECTIONS_MAX: usize = 1_024;

/// Those of one network, so that nobody can hold them all.
const NETWORK_CONNECTIONS_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn all_of(connections: &Connections, address: &str) -> Vec<Admitted> {
        let address = address.parse().unwrap();
        std::iter::from_fn(|| connections.admit(address)).take(2 * CONNECTIONS_MAX).collect()
    }

    #[test]
    fn one_network_leaves_room_for_others_and_gets_back_what_it_gives_back() {
        let connections = Connections::default();
        let mut greedy = all_of(&connections, "2001:db8::1");
        assert_eq!(greedy.len(), NETWORK_CONNECTIONS_MAX);
        assert!(connections.admit("2001:db8::2:2".parse().unwrap()).is_none(), "the same network");
        greedy.pop();
        assert_eq!(all_of(&connections, "2001:db8::2").len(), 1);
        assert_eq!(all_of(&connections, "198.51.100.1").len(), NETWORK_CONNECTIONS_MAX);
    }

    #[test]
    fn a_proxy_on_this_machine_has_them_all_and_what_is_closed_leaves_nothing_behind() {
        let connections = Connections::default();
        for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            let all = all_of(&connections, address);
            assert_eq!(all.len(), CONNECTIONS_MAX, "{address}");
            assert!(connections.admit("198.51.100.1".parse().unwrap()).is_none(), "the port is full");
        }
        let counts = locked(&connections.0);
        assert_eq!((counts.all, counts.of_network.len()), (0, 0));
    }
}
