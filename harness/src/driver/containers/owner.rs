//! Whose a container, a network, a volume is: every one bears the run's name and the process that made it, so that whatever a dead run
//! left is found and removed by the next one.

use std::collections::HashMap;

use testcontainers::bollard::query_parameters::{
    ListContainersOptionsBuilder, ListNetworksOptionsBuilder, RemoveContainerOptionsBuilder,
};

use super::engine::{Engine, engine, gone};
use crate::Result;
use crate::sweep::birth;

/// The label with the run's name.
const RUN: &str = "bongsu-harness";
/// The label with the process that made it: its number, the moment of its birth, and the number's name space.
const OWNER: &str = "bongsu-harness.owner";

/// The labels of everything that the run `name` of this process makes.
pub(super) fn labels(name: &str) -> HashMap<String, String> {
    let pid = std::process::id();
    let owner = format!("{pid} {} {}", birth(pid).unwrap_or(0), name_space());
    HashMap::from([(RUN.to_owned(), name.to_owned()), (OWNER.to_owned(), owner)])
}

fn name_space() -> String {
    std::fs::read_link("/proc/self/ns/pid").map(|link| link.display().to_string()).unwrap_or_default()
}

/// Whether the process that the label names has ended. Of one in another name space nothing is known: it counts as alive.
fn ended(owner: &str) -> bool {
    let mut words = owner.split(' ');
    let (Some(pid), Some(born), Some(space)) = (words.next(), words.next(), words.next()) else { return false };
    let born_now = pid.parse().ok().and_then(birth);
    space == name_space() && born_now.map(|now| now.to_string()).as_deref() != Some(born)
}

/// Removes everything that bears the run's name.
pub(crate) fn sweep_run(name: &str) -> Result<()> {
    let name = name.to_owned();
    sweep(engine()?, &format!("{RUN}={name}"), &|_| true)
}

/// Removes everything of runs whose process has ended.
pub(super) fn sweep_dead(engine: &Engine) -> Result<()> {
    sweep(engine, RUN, &|labels| labels.get(OWNER).is_some_and(|owner| ended(owner)))
}

/// Containers first: a network that is in use stays.
fn sweep(engine: &Engine, label: &str, which: &dyn Fn(&HashMap<String, String>) -> bool) -> Result<()> {
    let filters = HashMap::from([("label", vec![label])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let containers = engine.call("listing containers", engine.docker().list_containers(Some(options)))?;
    for container in containers.iter().filter(|container| container.labels.as_ref().is_some_and(which)) {
        remove_container(engine, container.id.as_deref().unwrap_or_default())?;
    }
    let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
    let networks = engine.call("listing networks", engine.docker().list_networks(Some(options)))?;
    for network in networks.iter().filter(|network| network.labels.as_ref().is_some_and(which)) {
        let removed =
            engine.call("removing a network", engine.docker().remove_network(network.id.as_deref().unwrap_or_default()));
        unless_gone(removed)?;
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
        assert!(!ended(&format!("{number} 1 pid:[1]")), "a process of another name space");
        assert!(!ended("x"));
    }
}
