//! A running system of daemons, wherever its nodes are: in a lab, or on other machines.

use super::in_lab::LabCluster;
use super::on_hosts::HostedCluster;
use super::service::{Door, Service, Way};
use crate::client::{Client, Place, Running, Start, System};
use crate::control::hosts::HostCluster;
use nemesis::Cluster;
use std::net::TcpStream;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Starts a system where its nodes are, or finds it there, and returns when all of them serve clients. `service` is made
/// of the names and addresses of the nodes.
///
/// # Errors
/// What is not there, did not start or does not answer: node, act and reason.
pub fn start<S: Service>(
    system: &dyn System,
    start: &Start<'_>,
    service: impl FnOnce(Vec<(String, String)>) -> Result<S, String>,
) -> Result<Box<dyn Running>, String> {
    let place = match start.place {
        Place::Lab(place) => {
            if let Some(why) = super::lack(system, start.with) {
                return Err(why);
            }
            Nodes::Lab(LabCluster::start(start, place, service)?)
        }
        Place::Hosts(place) => {
            let cluster = HostedCluster::start(system, place, start.dir, service)?;
            if place.no_db {
                let cleared = cluster.ask(0, |way| cluster.service.clear(way));
                cleared.map_err(|why| format!("removing what earlier runs have left: {why}"))?;
            }
            Nodes::Hosts(cluster)
        }
        Place::Here => {
            return Err(format!("{} needs nodes of its own: --lab N, or --nodes a,b,c", system.name()));
        }
    };
    let version = place.ask(0, |way| place.service().version(way))?;
    let daemons = Daemons { place, workload: start.workload.to_string(), version };
    for node in 0..daemons.cluster().nodes().len() {
        let tried = daemons.at_door(0, node, Instant::now(), |door| daemons.place.service().try_client(door));
        tried.map_err(|why| format!("{}: a first client: {why}", daemons.cluster().nodes()[node]))?;
    }
    Ok(Box::new(daemons))
}

/// Where the daemons are.
enum Nodes<S> {
    Lab(Arc<LabCluster<S>>),
    Hosts(HostedCluster<S>),
}

impl<S: Service> Nodes<S> {
    fn service(&self) -> &S {
        match self {
            Nodes::Lab(cluster) => cluster.service(),
            Nodes::Hosts(cluster) => &cluster.service,
        }
    }

    fn ask<T>(&self, node: usize, act: impl FnOnce(&Way<'_>) -> Result<T, String>) -> Result<T, String> {
        match self {
            Nodes::Lab(cluster) => cluster.ask(node, act),
            Nodes::Hosts(cluster) => cluster.ask(node, act),
        }
    }

    fn dial(&self, node: usize, port: u16, deadline: Instant) -> Result<TcpStream, String> {
        match self {
            Nodes::Lab(cluster) => cluster.dial(node, port, deadline),
            Nodes::Hosts(cluster) => cluster.dial(node, port, deadline),
        }
    }

    fn spawn(&self, command: &mut Command) -> Result<Child, String> {
        match self {
            Nodes::Lab(cluster) => cluster.spawn(command),
            Nodes::Hosts(_) => command.spawn().map_err(|e| format!("starting a program: {e}")),
        }
    }
}

struct Daemons<S: Service> {
    place: Nodes<S>,
    workload: String,
    version: String,
}

impl<S: Service> Daemons<S> {
    /// Does something at a node's door for a client.
    fn at_door<T>(
        &self,
        process: i64,
        node: usize,
        deadline: Instant,
        act: impl FnOnce(&Door<'_>) -> Result<T, String>,
    ) -> Result<T, String> {
        let names = self.cluster().nodes();
        let name = names.get(node).ok_or_else(|| format!("there is no node number {node}"))?;
        let dial = |node, port, deadline| self.place.dial(node, port, deadline);
        let spawn = |command: &mut Command| self.place.spawn(command);
        act(&Door::new((node, name), process, &self.workload, deadline, &dial, &spawn))
    }
}

impl<S: Service> Running for Daemons<S> {
    fn cluster(&self) -> &dyn Cluster {
        match &self.place {
            Nodes::Lab(cluster) => &**cluster,
            Nodes::Hosts(cluster) => &*cluster.cluster,
        }
    }

    fn shared(&self) -> Arc<dyn Cluster> {
        match &self.place {
            Nodes::Lab(cluster) => Arc::<LabCluster<S>>::clone(cluster),
            Nodes::Hosts(cluster) => Arc::<HostCluster>::clone(&cluster.cluster),
        }
    }

    fn open(&self, process: i64, node: usize, deadline: Instant) -> Result<Box<dyn Client>, String> {
        self.at_door(process, node, deadline, |door| self.place.service().open(door))
    }

    fn version(&self) -> String {
        self.version.clone()
    }

    fn ahead(&self) -> Vec<(String, i64)> {
        match &self.place {
            Nodes::Lab(_) => Vec::new(),
            Nodes::Hosts(cluster) => cluster.cluster.ahead(),
        }
    }

    /// None of other machines.
    fn pids(&self) -> Vec<u32> {
        match &self.place {
            Nodes::Lab(cluster) => cluster.pids(),
            Nodes::Hosts(_) => Vec::new(),
        }
    }

    fn settled(&self) -> Result<(), String> {
        for (node, name) in self.cluster().nodes().iter().enumerate() {
            let soon = Instant::now() + Duration::from_secs(2);
            self.place
                .ask(node, |way| self.place.service().settled(way, soon))
                .map_err(|why| format!("{name}: {why}"))?;
        }
        Ok(())
    }

    fn end(&self) -> Vec<String> {
        self.place.service().end();
        match &self.place {
            Nodes::Lab(cluster) => cluster.end(),
            Nodes::Hosts(cluster) => cluster.end(),
        }
    }
}

impl<S: Service> Drop for Daemons<S> {
    fn drop(&mut self) {
        // The nemesis may still hold the cluster; its processes end here all the same.
        self.place.service().end();
        if let Nodes::Lab(cluster) = &self.place {
            cluster.end();
        }
    }
}
