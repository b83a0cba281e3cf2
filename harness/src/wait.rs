//! Waiting on a level, with a deadline.

use std::time::{Duration, Instant};

use crate::Result;

/// Between two looks at the condition.
const LOOK: Duration = Duration::from_millis(10);

/// Looks at `condition` until it gives a value. Fails with `what` and the last thing `condition` said where `deadline` passes first.
pub fn wait_for<T>(what: &str, deadline: Duration, mut condition: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    loop {
        let last = condition();
        match last {
            Ok(Some(value)) => return Ok(value),
            Ok(None) if start.elapsed() > deadline => anyhow::bail!("waited {deadline:?} in vain for: {what}"),
            Err(error) if start.elapsed() > deadline => {
                return Err(error.context(format!("waited {deadline:?} in vain for: {what}")));
            }
            _ => std::thread::sleep(LOOK),
        }
    }
}

/// Looks at `condition` until it holds.
pub fn wait_until(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) -> Result<()> {
    wait_for(what, deadline, || Ok(condition().then_some(())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_and_it_gives_up() {
        let mut looks = 0;
        assert_eq!(
            wait_for("three looks", Duration::from_secs(5), || {
                looks += 1;
                Ok((looks == 3).then_some(looks))
            })
            .unwrap(),
            3
        );
        let error = wait_until("the moon", Duration::from_millis(30), || false).unwrap_err();
        assert!(error.to_string().contains("the moon"), "{error}");
    }
}
