//! One container: made, started, stopped, killed, frozen, cut off, and what it prints.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use testcontainers::bollard::models::{
    ContainerCreateBody, ContainerState, EndpointIpamConfig, EndpointSettings, HostConfig, NetworkConnectRequest,
    NetworkDisconnectRequest, NetworkingConfig, PortBinding,
};
use testcontainers::bollard::query_parameters::{
    CreateContainerOptionsBuilder, KillContainerOptionsBuilder, StopContainerOptionsBuilder,
};

use super::engine::{Engine, engine};
use super::owner;
use super::talk::{self, Log};
use crate::Result;
use crate::client::Ran;
use crate::node::PATIENCE;
use crate::wait::wait_until;

/// Seconds that a container gets to end in order: longer than the 25 s that sessions get.
const GRACE: i32 = 35;
/// Most processes of one container.
const PROCESSES: i64 = 2000;

/// Where a container stands in the run's network.
#[derive(Debug, Clone)]
pub(crate) struct Stand {
    /// Its address.
    pub(crate) address: Ipv4Addr,
    /// Host names under which the engine's own name server knows it.
    pub(crate) aliases: Vec<String>,
    /// Ports within, and where the client reaches each.
    pub(crate) published: Vec<(u16, SocketAddr)>,
}

/// What a container is made from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spec {
    /// Its name, which the engine knows it by.
    pub(crate) name: String,
    /// Its host name; empty: none.
    pub(crate) hostname: String,
    /// The image.
    pub(crate) image: String,
    /// Arguments of the image's program; empty: those of the image.
    pub(crate) command: Vec<String>,
    /// `NAME=VALUE`.
    pub(crate) environment: Vec<String>,
    /// Directories of this machine within it, `HERE:THERE` or `HERE:THERE:ro`.
    pub(crate) binds: Vec<String>,
    /// The network; empty: none at all.
    pub(crate) network: String,
    /// Where it stands in that network.
    pub(crate) stand: Option<Stand>,
    /// The name server that the engine's own asks.
    pub(crate) names: Option<Ipv4Addr>,
    /// What it bears.
    pub(crate) labels: HashMap<String, String>,
    /// Whether something will be written to its standard input.
    pub(crate) fed: bool,
}

/// The user that containers run as: the harness's own, so that it reads and writes the same files; a plain one where that is root.
pub(crate) fn user() -> (u32, u32) {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    if user.is_root() { (2500, 2500) } else { (user.as_raw(), group.as_raw()) }
}

/// A container. It is killed and removed when dropped.
pub(crate) struct Machine {
    engine: &'static Engine,
    id: String,
    spec: Spec,
    log: Log,
}

impl Machine {
    /// Makes it: its own root read-only, a plain user, no capability, no way to get one. Nothing runs yet.
    pub(crate) fn make(spec: Spec) -> Result<Machine> {
        let engine = engine()?;
        let options = CreateContainerOptionsBuilder::new().name(&spec.name).build();
        let created =
            engine.call(&format!("making {}", spec.name), engine.docker().create_container(Some(options), body(&spec)))?;
        Ok(Machine { engine, id: created.id, spec, log: Log::default() })
    }

    /// Starts it, its output going into the log.
    pub(crate) fn start(&self) -> Result<()> {
        let attached = self.engine.wait("attaching", PATIENCE, talk::attach(self.engine.docker(), &self.id, false))?;
        self.engine.spawn(talk::follow(attached.output, self.log.clone()));
        self.engine.call(&format!("starting {}", self.spec.name), self.engine.docker().start_container(&self.id, None))
    }

    /// Starts it, feeds it, and waits until it has ended; what it printed, and its exit code.
    pub(crate) fn run(&self, input: &[u8]) -> Result<Ran> {
        let docker = self.engine.docker();
        let work = async {
            let attached = talk::attach(docker, &self.id, self.spec.fed).await?;
            docker.start_container(&self.id, None).await?;
            talk::talk(attached.output, attached.input, input).await
        };
        let mut ran = self.engine.wait(&format!("running {}", self.spec.name), super::engine::PATIENCE, work)?;
        self.wait_ended()?;
        ran.code = self.exit_code()?;
        Ok(ran)
    }

    /// Runs a command within, feeds it, and waits until it has ended.
    pub(crate) fn exec(&self, command: &[&str], input: &[u8]) -> Result<Ran> {
        let work = talk::exec(self.engine.docker(), &self.id, command, input);
        self.engine.wait(&format!("a command in {}", self.spec.name), super::engine::PATIENCE, work)
    }

    /// Asks it to end in order, and waits. Its exit code.
    pub(crate) fn stop(&self) -> Result<i32> {
        let options = StopContainerOptionsBuilder::new().t(GRACE).build();
        self.engine
            .call(&format!("stopping {}", self.spec.name), self.engine.docker().stop_container(&self.id, Some(options)))?;
        self.wait_ended()?;
        self.exit_code()
    }

    /// SIGKILL to all of it, and waits until it is gone.
    pub(crate) fn kill(&self) -> Result<()> {
        let options = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
        self.engine
            .call(&format!("killing {}", self.spec.name), self.engine.docker().kill_container(&self.id, Some(options)))?;
        self.wait_ended()
    }

    /// Freezes it.
    pub(crate) fn pause(&self) -> Result<()> {
        self.engine.call(&format!("freezing {}", self.spec.name), self.engine.docker().pause_container(&self.id))
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) -> Result<()> {
        self.engine.call(&format!("thawing {}", self.spec.name), self.engine.docker().unpause_container(&self.id))
    }

    /// Takes it out of its network: nobody reaches it, and it reaches nobody.
    pub(crate) fn leave(&self) -> Result<()> {
        let request = NetworkDisconnectRequest { container: self.id.clone(), force: Some(true) };
        let left = self.engine.docker().disconnect_network(&self.spec.network, request);
        self.engine.call(&format!("cutting {} off", self.spec.name), left)
    }

    /// Puts it back, at the same address.
    pub(crate) fn join(&self) -> Result<()> {
        let stand = self.spec.stand.as_ref().context("it stands in no network")?;
        let request = NetworkConnectRequest { container: self.id.clone(), endpoint_config: Some(endpoint(stand)) };
        let joined = self.engine.docker().connect_network(&self.spec.network, request);
        self.engine.call(&format!("putting {} back into the network", self.spec.name), joined)
    }

    /// Whether it was started and has not ended, frozen or not.
    pub(crate) fn runs(&self) -> bool {
        self.state().is_ok_and(|state| state.running == Some(true))
    }

    /// Its first process as this machine numbers it, where it runs and this machine sees its processes.
    pub(crate) fn init(&self) -> Option<u32> {
        let pid = u32::try_from(self.state().ok()?.pid?).ok().filter(|pid| *pid != 0)?;
        (number_within(pid)? == 1).then_some(pid)
    }

    /// What it printed.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// What it was made from.
    pub(crate) fn spec(&self) -> &Spec {
        &self.spec
    }

    fn state(&self) -> Result<ContainerState> {
        let found = self.engine.call("looking at a container", self.engine.docker().inspect_container(&self.id, None))?;
        found.state.with_context(|| format!("{} has no state", self.spec.name))
    }

    fn exit_code(&self) -> Result<i32> {
        Ok(i32::try_from(self.state()?.exit_code.context("it has no exit code")?)?)
    }

    fn wait_ended(&self) -> Result<()> {
        let ended = || self.state().is_ok_and(|state| state.running == Some(false));
        wait_until(&format!("the end of {}", self.spec.name), PATIENCE, ended)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log.tail(&self.spec.name, 60));
        }
        // What is left of it goes with the run's label.
        let _ = owner::remove_container(self.engine, &self.id);
    }
}

/// The number of a process in the innermost name space that it is in.
pub(crate) fn number_within(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("NSpid:"))?.split_whitespace().next_back()?.parse().ok()
}

fn endpoint(stand: &Stand) -> EndpointSettings {
    EndpointSettings {
        ipam_config: Some(EndpointIpamConfig { ipv4_address: Some(stand.address.to_string()), ..Default::default() }),
        aliases: Some(stand.aliases.clone()),
        ..Default::default()
    }
}

fn body(spec: &Spec) -> ContainerCreateBody {
    let published = spec.stand.iter().flat_map(|stand| &stand.published);
    let binding = |at: &SocketAddr| PortBinding { host_ip: Some(at.ip().to_string()), host_port: Some(at.port().to_string()) };
    let ports = published.map(|(within, at)| (format!("{within}/tcp"), Some(vec![binding(at)]))).collect::<HashMap<_, _>>();
    let network = if spec.network.is_empty() { "none" } else { &spec.network };
    let host = HostConfig {
        binds: Some(spec.binds.clone()),
        network_mode: Some(network.to_owned()),
        dns: spec.names.map(|address| vec![address.to_string()]),
        readonly_rootfs: Some(true),
        cap_drop: Some(vec!["ALL".into()]),
        security_opt: Some(vec!["no-new-privileges:true".into()]),
        pids_limit: Some(PROCESSES),
        port_bindings: Some(ports.clone()),
        ..Default::default()
    };
    let (user, group) = user();
    ContainerCreateBody {
        hostname: (!spec.hostname.is_empty()).then(|| spec.hostname.clone()),
        user: Some(format!("{user}:{group}")),
        image: Some(spec.image.clone()),
        cmd: (!spec.command.is_empty()).then(|| spec.command.clone()),
        env: Some(spec.environment.clone()),
        labels: Some(spec.labels.clone()),
        exposed_ports: Some(ports.into_keys().collect()),
        attach_stdin: Some(spec.fed),
        open_stdin: Some(spec.fed),
        stdin_once: Some(spec.fed),
        host_config: Some(host),
        networking_config: spec
            .stand
            .as_ref()
            .map(|stand| NetworkingConfig { endpoints_config: Some(HashMap::from([(spec.network.clone(), endpoint(stand))])) }),
        ..Default::default()
    }
}
