//! The Docker Engine, for ordinary threads: calls wait for their answers, each with a deadline.

use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context;
use testcontainers::bollard::Docker;
use testcontainers::bollard::errors::Error;
use testcontainers::core::client::docker_client_instance;
use tokio::runtime::Runtime;

use crate::Result;

/// Longest wait for one answer of the engine.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);
/// Longest wait for its first answer.
const FIRST: Duration = Duration::from_secs(10);

/// The engine of this machine.
pub(super) struct Engine {
    docker: Docker,
    runtime: Runtime,
}

static ENGINE: OnceLock<std::result::Result<Engine, String>> = OnceLock::new();

/// The engine, found once; else why there is none, one line.
pub(super) fn engine() -> Result<&'static Engine> {
    let found = ENGINE.get_or_init(|| Engine::find().map_err(|error| format!("{error:#}").replace('\n', " ")));
    found.as_ref().map_err(|why| anyhow::anyhow!("{why}"))
}

impl Engine {
    fn find() -> Result<Engine> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let docker = runtime.block_on(async {
            let docker = docker_client_instance().await?;
            let docker = tokio::time::timeout(FIRST, docker.negotiate_version()).await.context("no answer")??;
            anyhow::Ok(docker)
        });
        let docker = docker.context("containers need a running Docker Engine")?;
        Ok(Engine { docker, runtime })
    }

    /// The client, for calls that [`Engine::call`] waits for.
    pub(super) fn docker(&self) -> &Docker {
        &self.docker
    }

    /// Waits for a call. An error says what was tried.
    pub(super) fn call<T>(&self, what: &str, call: impl Future<Output = std::result::Result<T, Error>>) -> Result<T> {
        self.wait(what, PATIENCE, async { Ok(call.await?) })
    }

    /// Waits for something that is made of several calls.
    pub(super) fn wait<T>(&self, what: &str, patience: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
        let done = self.runtime.block_on(async { tokio::time::timeout(patience, work).await });
        match done {
            Ok(result) => result.with_context(|| what.to_owned()),
            Err(_) => anyhow::bail!("{what}: the engine gave no answer within {patience:?}"),
        }
    }

    /// Lets something go on beside the caller.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(work);
    }
}

/// Whether the engine said that there is no such thing (or no longer), or that it is on its way out already.
pub(super) fn gone(error: &anyhow::Error) -> bool {
    matches!(status(error), Some(404 | 409))
}

/// The HTTP status of the engine's answer, where an error is one.
pub(super) fn status(error: &anyhow::Error) -> Option<u16> {
    match error.downcast_ref::<Error>() {
        Some(Error::DockerResponseServerError { status_code, .. }) => Some(*status_code),
        _ => None,
    }
}
