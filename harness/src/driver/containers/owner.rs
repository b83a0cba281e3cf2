//! Whose a container, a network, a volume is: every one bears the run's name and the process that made it, so that whatever a dead run
//! left is found and removed by the next one.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use testcontainers::bollard::query_parameters::{
    ListContainersOptionsBuilder, ListNetworksOptionsBuilder, RemoveContainerOptionsBuilder,
};

use super::engine::{Engine, PATIENCE, engine, gone};
use crate::Result;
use crate::sweep::birth;
use crate::wait::wait_until;

/// A run is quiet that has made nothing for so long.
const QUIET: Duration = Duration::from_secs(5);
/// Between two looks at that.
const LOOK: Duration = Duration::from_millis(250);
/// The label with the run's name.
const RUN: &str = "bongsu-harness";
/// The label with the process that made it: its number, the moment of its birth, and the number's name space.
const OWNER: &str = "bongsu-harness.owner";

/// The labels of everything that the run `name` of this process makes.
pub(super) fn labels(name: &str) -> HashMap<String, String> {
    HashMap::from([(RUN.to_owned(), name.to_owned()), (OWNER.to_owned(), owner())])
}

/// This process: its number, the moment of its birth, the number's name space.
pub(super) fn owner() -> String {
    let pid = std::process::id();
    format!("{pid} {} {}", birth(pid).unwrap_or(0), name_space())
}

/// The number of the name space of process numbers; empty where it can't be told.
fn name_space() -> String {
    let link = std::fs::read_link("/proc/self/ns/pid").map(|link| link.display().to_string()).unwrap_or_default();
    link.chars().filter(char::is_ascii_digit).collect()
}

/// Whether the process that an owner's text names has ended. Of one in another name space nothing is known: it counts as alive.
pub(super) fn ended(owner: &str) -> bool {
    let mut words = owner.split(' ');
    let (Some(pid), Some(born), Some(space)) = (words.next(), words.next(), words.next()) else { return false };
    let born_now = pid.parse().ok().and_then(birth);
    space == name_space() && born_now.map(|now| now.to_string()).as_deref() != Some(born)
}

/// Removes everything that bears the run's name.
pub(super) fn sweep_run(name: &str) -> Result<()> {
    remove(engine()?, &found(engine()?, &format!("{RUN}={name}"), &|_| true)?)
}

/// Removes everything that bears the run's name, after a sudden end of it: what the engine was asked for in its last moment may come into
/// being a little later, so it ends once nothing more has come for a while.
pub(crate) fn sweep_until_quiet(name: &str) -> Result<()> {
    let mut quiet_since = Instant::now();
    wait_until("nothing more to come", PATIENCE, || {
        let all = engine().and_then(|engine| found(engine, &format!("{RUN}={name}"), &|_| true));
        if all.as_ref().is_ok_and(|all| !all.containers.is_empty() || !all.networks.is_empty()) {
            quiet_since = Instant::now();
            let _ = sweep_run(name);
        }
        std::thread::park_timeout(LOOK);
        quiet_since.elapsed() > QUIET
    })
}

/// Removes everything of runs whose process has ended.
pub(super) fn sweep_dead(engine: &Engine) -> Result<()> {
    remove(engine, &found(engine, RUN, &|labels| labels.get(OWNER).is_some_and(|owner| ended(owner)))?)
}

/// Names of the containers and networks that the process with this number made, and that are still there.
pub(super) fn left(pid: u32) -> Result<Vec<String>> {
    let of_pid =
        |labels: &HashMap<String, String>| labels.get(OWNER).is_some_and(|owner| owner.starts_with(&format!("{pid} ")));
    let Found { containers, networks } = found(engine()?, RUN, &of_pid)?;
    Ok(containers.into_iter().chain(networks).map(|(_, name)| name).collect())
}

/// Identifiers and names.
struct Found {
    containers: Vec<(String, String)>,
    networks: Vec<(String, String)>,
}

fn found(engine: &Engine, label: &str, which: &dyn Fn(&HashMap<String, String>) -> bool) -> Result<Found> {
    let filters = HashMap::from([("label", vec![label])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let containers = engine.call("listing containers", engine.docker().list_containers(Some(options)))?;
    let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
    let networks = engine.call("listing networks", engine.docker().list_networks(Some(options)))?;
    let containers = containers.into_iter().filter(|container| container.labels.as_ref().is_some_and(which));
    let networks = networks.into_iter().filter(|network| network.labels.as_ref().is_some_and(which));
    Ok(Found {
        containers: containers.map(|found| (found.id.unwrap_or_default(), found.names.unwrap_or_default().join(" "))).collect(),
        networks: networks.map(|found| (found.id.unwrap_or_default(), found.name.unwrap_or_default())).collect(),
    })
}

/// Removes all containers of a run at once; its network stays.
pub(super) fn end_containers(name: &str) -> Result<()> {
    let all = found(engine()?, &format!("{RUN}={name}"), &|_| true)?;
    remove(engine()?, &Found { networks: Vec::new(), ..all })
}

/// Containers first, all at once: a network that is in use stays.
fn remove(engine: &Engine, found: &Found) -> Result<()> {
    let removed: Vec<Result<()>> = std::thread::scope(|scope| {
        let removing: Vec<_> = found.containers.iter().map(|(id, _)| scope.spawn(|| remove_container(engine, id))).collect();
        removing.into_iter().map(|removed| removed.join().unwrap_or(Ok(()))).collect()
    });
    removed.into_iter().collect::<Result<()>>()?;
    for (id, _) in &found.networks {
        unless_gone(engine.call("removing a network", engine.docker().remove_network(id)))?;
    }
    Ok(())
}

/// Kills and removes a container, with the volumes that only it has.
pub(super) fn remove_container(engine: &Engine, id: &str) -> Result<()> {
    let options = || Some(RemoveContainerOptionsBuilder::new().force(true).v(true).build());
    unless_gone(engine.call("removing a container", engine.docker().remove_container(id, options())))
}

fn unless_gone(result: Result<()>) -> Result<()> {
    result.or_else(|error| if gone(&error) { Ok(()) } else { Err(error) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_living_are_left_alone() {
        let own = labels("x")[OWNER].clone();
        assert!(!ended(&own));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let number = child.id();
        child.wait().unwrap();
        assert!(ended(&format!("{number} 1 {}", name_space())));
        assert!(ended(&format!("{} 1 {}", std::process::id(), name_space())), "another process had this number");
        assert!(!ended(&format!("{number} 1 1")), "a process of another name space");
        assert!(!ended("x"));
    }
}
