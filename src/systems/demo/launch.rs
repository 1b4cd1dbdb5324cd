//! Starting a cluster of specimens, and opening sessions with it.

use super::client::DemoClient;
use crate::client::{Client, Running, Start};
use crate::control::local::{Launch, LocalCluster};
use nemesis::Cluster;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a killed process may take to be gone.
const GONE: Duration = Duration::from_secs(2);

/// A running cluster of one of the specimens.
#[derive(Debug)]
pub struct DemoCluster {
    cluster: Arc<LocalCluster>,
    /// How many of the nodes serve clients: the first ones.
    serving: usize,
    /// Functions that have no effect, so that one without an answer did not happen.
    pure: &'static [&'static str],
}

impl DemoCluster {
    /// Starts nodes `n1`, `n2` … of `system`, and returns when all are ready.
    pub fn start(system: &'static str, start: &Start<'_>) -> Result<DemoCluster, String> {
        let names = (1..=start.nodes).map(|i| format!("n{i}")).collect();
        DemoCluster::start_named(system, start, names, start.nodes, &["read", "get"])
    }

    /// Starts nodes of these names, of which the first `serving` serve clients.
    pub fn start_named(
        system: &'static str,
        start: &Start<'_>,
        names: Vec<String>,
        serving: usize,
        pure: &'static [&'static str],
    ) -> Result<DemoCluster, String> {
        let launch = Launch {
            system,
            names,
            dir: start.dir,
            seed: start.seed,
            workload: start.workload,
            with: start.with,
        };
        Ok(DemoCluster { cluster: LocalCluster::start(&launch)?, serving, pure })
    }
}

impl Running for DemoCluster {
    fn cluster(&self) -> &dyn Cluster {
        &*self.cluster
    }

    fn shared(&self) -> Arc<dyn Cluster> {
        Arc::<LocalCluster>::clone(&self.cluster)
    }

    fn open(&self, _process: i64, node: usize, deadline: Instant) -> Result<Box<dyn Client>, String> {
        let name = self.cluster.nodes().get(node).ok_or_else(|| format!("there is no node number {node}"))?;
        if node >= self.serving {
            return Err(format!("{name} serves no clients"));
        }
        match DemoClient::open(self.cluster.client_address(node), self.pure, deadline) {
            Ok(client) => Ok(Box::new(client)),
            Err(why) => Err(format!("{name}: {why}")),
        }
    }

    fn version(&self) -> String {
        env!("CARGO_PKG_VERSION").to_string()
    }

    fn pids(&self) -> Vec<u32> {
        self.cluster.pids()
    }
}

impl Drop for DemoCluster {
    fn drop(&mut self) {
        // The nemesis may still hold the cluster; its processes end here all the same.
        self.cluster.end();
        // The guard has waited for them, unless somebody has killed it; then the kernel is about to end them.
        let deadline = Instant::now() + GONE;
        while !self.pids().is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
