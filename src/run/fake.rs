//! A cluster in this process, for tests of the stage: registers that are always right, on nodes that can be hurt.

use crate::client::{Claim, Client, Running, Start, System, SystemOption};
use history::{Call, Completion, Value};
use nemesis::{ClockSetting, Cluster, End, Link, LinkRule, NodeState, Pass, Role};
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// What a test looks at and turns.
#[derive(Default)]
pub(super) struct World {
    pub(super) state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) values: HashMap<Option<Value>, Value>,
    pub(super) nodes: Vec<NodeState>,
    pub(super) clocks: Vec<ClockSetting>,
    pub(super) links: HashMap<Link, LinkRule>,
    /// Sessions that were opened, in order: process and node.
    pub(super) opened: Vec<(i64, usize)>,
    /// Sessions that are open.
    pub(super) sessions: usize,
    /// Healing fails while this is set.
    pub(super) stuck: bool,
    /// Kills, so that sessions from before them are known to be gone.
    kills: Vec<u32>,
}

impl World {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics with the world in its hands")
    }

    fn change(&self, f: impl FnOnce(&mut State)) {
        f(&mut self.state());
        self.changed.notify_all();
    }
}

/// The system. Each test has its own.
pub(super) struct Fake(pub(super) Arc<World>);

impl Fake {
    pub(super) fn leaked() -> (&'static Fake, Arc<World>) {
        let world = Arc::new(World::default());
        (Box::leak(Box::new(Fake(world.clone()))), world)
    }
}

impl System for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }
    fn about(&self) -> &'static str {
        "registers in this process"
    }
    fn options(&self) -> &'static [SystemOption] {
        &[]
    }
    fn workloads(&self) -> &'static [&'static str] {
        &["register"]
    }
    fn default_nodes(&self) -> usize {
        3
    }
    fn claim(&self, _: &[(String, String)]) -> Result<Claim, String> {
        Ok(Claim { text: "linearizable".to_string(), honest: true })
    }
    fn start(&self, start: &Start<'_>) -> Result<Box<dyn Running>, String> {
        {
            let mut state = self.0.state();
            state.nodes = vec![NodeState::Running; start.nodes];
            state.clocks = vec![ClockSetting::default(); start.nodes];
            state.kills = vec![0; start.nodes];
        }
        let names = (1..=start.nodes).map(|n| format!("n{n}")).collect();
        Ok(Box::new(FakeRunning { cluster: Arc::new(FakeCluster { names, world: self.0.clone() }) }))
    }
}

struct FakeRunning {
    cluster: Arc<FakeCluster>,
}

impl Running for FakeRunning {
    fn cluster(&self) -> &dyn Cluster {
        &*self.cluster
    }
    fn shared(&self) -> Arc<dyn Cluster> {
        self.cluster.clone()
    }
    fn open(&self, process: i64, node: usize, _: Instant) -> Result<Box<dyn Client>, String> {
        let world = self.cluster.world.clone();
        let mut state = world.state();
        if state.nodes[node] != NodeState::Running {
            return Err(format!("{}: no session", self.cluster.names[node]));
        }
        state.opened.push((process, node));
        state.sessions += 1;
        let kills = state.kills[node];
        drop(state);
        Ok(Box::new(FakeClient { world, node, kills }))
    }
    fn version(&self) -> String {
        "fake 1".to_string()
    }
    fn pids(&self) -> Vec<u32> {
        Vec::new()
    }
}

struct FakeClient {
    world: Arc<World>,
    node: usize,
    kills: u32,
}

impl FakeClient {
    /// Waits until the node runs and `f` can be done.
    fn when_running(&self, until: Instant, f: impl FnOnce(&mut State) -> Completion) -> Completion {
        let mut state = self.world.state();
        loop {
            if state.kills[self.node] != self.kills {
                return Completion::lost("connection reset");
            }
            if state.nodes[self.node] == NodeState::Running {
                return f(&mut state);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Completion::Info { error: "deadline exceeded".to_string(), late: true };
            }
            state = self.world.changed.wait_timeout(state, left).expect("the world is whole").0;
        }
    }
}

impl Client for FakeClient {
    fn invoke(&mut self, call: &Call, deadline: Instant) -> Completion {
        match call.f.as_str() {
            "panic" => panic!("asked to"),
            "nothing" => return Completion::Fail("refused".to_string()),
            _ => {}
        }
        self.when_running(deadline, |state| {
            if call.f == "write" {
                state.values.insert(call.key.clone(), call.value.clone());
                Completion::ok(call.value.clone())
            } else {
                Completion::ok(state.values.get(&call.key).cloned().unwrap_or(Value::Null))
            }
        })
    }

    fn late(&mut self, until: Instant) -> Completion {
        self.when_running(until, |_| Completion::ok(Value::text("late")))
    }

    fn alive(&self) -> bool {
        self.world.state().kills[self.node] == self.kills
    }
}

impl Drop for FakeClient {
    fn drop(&mut self) {
        if let Ok(mut state) = self.world.state.lock() {
            state.sessions -= 1;
        }
    }
}

pub(super) struct FakeCluster {
    names: Vec<String>,
    world: Arc<World>,
}

impl FakeCluster {
    fn set(&self, node: usize, to: NodeState) -> Result<(), String> {
        if to == NodeState::Running && self.world.state().stuck {
            return Err(format!("{}: stuck", self.names[node]));
        }
        self.world.change(|s| s.nodes[node] = to);
        Ok(())
    }
}

impl Cluster for FakeCluster {
    fn nodes(&self) -> &[String] {
        &self.names
    }
    fn set_links(&self, rules: &[(Link, LinkRule)]) -> Result<(), String> {
        self.world.change(|s| s.links.extend(rules.iter().cloned()));
        Ok(())
    }
    fn probe(&self, from: usize, to: usize) -> Result<bool, String> {
        let rule = |a, b| {
            let link = Link { from: End::Node(a), to: End::Node(b) };
            self.world.state().links.get(&link).copied().unwrap_or_default()
        };
        let (there, back) = (rule(from, to), rule(to, from));
        std::thread::sleep(there.delay + back.delay);
        let running = |n: usize| self.world.state().nodes[n] == NodeState::Running;
        if !running(from) {
            return Err(format!("{} cannot be asked", self.names[from]));
        }
        Ok(running(to) && there.pass == Pass::Flow && back.pass == Pass::Flow)
    }
    fn pause(&self, node: usize) -> Result<(), String> {
        self.set(node, NodeState::Stopped)
    }
    fn resume(&self, node: usize) -> Result<(), String> {
        if self.state(node)? == NodeState::Stopped { self.set(node, NodeState::Running) } else { Ok(()) }
    }
    fn kill(&self, node: usize) -> Result<(), String> {
        self.world.change(|s| s.kills[node] += 1);
        self.set(node, NodeState::Dead)
    }
    fn start(&self, node: usize) -> Result<(), String> {
        if self.state(node)? == NodeState::Dead { self.set(node, NodeState::Running) } else { Ok(()) }
    }
    fn state(&self, node: usize) -> Result<NodeState, String> {
        Ok(self.world.state().nodes[node])
    }
    fn set_clock(&self, node: usize, setting: ClockSetting) -> Result<(), String> {
        self.world.change(|s| s.clocks[node] = setting);
        Ok(())
    }
    fn clock_offset(&self, node: usize) -> Result<i64, String> {
        let setting = self.world.state().clocks[node];
        // A rate shows as if it had been in force for a second.
        Ok(setting.offset_ns + ((setting.rate - 1.0) * 1e9) as i64)
    }
    fn role(&self, node: usize) -> Result<Option<Role>, String> {
        let state = self.world.state();
        let primary = state.nodes.iter().position(|n| *n == NodeState::Running);
        Ok(Some(Role { primary: primary == Some(node), term: primary.unwrap_or(0) as u64 + 1 }))
    }
}

impl World {
    /// Whether nothing is left of any fault.
    pub(super) fn is_whole(&self) -> bool {
        let state = self.state();
        state.nodes.iter().all(|n| *n == NodeState::Running)
            && state.clocks.iter().all(|c| *c == ClockSetting::default())
            && state.links.values().all(|l| *l == LinkRule::default())
    }
}

/// A second: long for anything that these tests wait for.
pub(super) const SECOND: Duration = Duration::from_secs(1);
