//! Room kept back for the moment when the disk is full.

use std::io::{self, ErrorKind};

use lib_host::{Access, File, Purpose};

use crate::error::full;
use crate::layout::Shared;

const NAME: &str = "ballast";
/// The ballast beyond the size limit: room for history lines while the largest message is delivered.
const BEYOND_LIMIT: u64 = 1 << 20;
/// It is taken up again once so many times its size is free.
const AMPLE: u64 = 3;

/// Gives the ballast up; `false` where there is none.
pub(crate) fn release(shared: &Shared) -> bool {
    let released = || -> io::Result<bool> {
        let file = shared.root.open(NAME, Access::Write)?;
        let held = file.meta()?.len > 0;
        file.set_len(0)?;
        Ok(held)
    };
    released().unwrap_or(false)
}

/// One write behind a file's end, on a full disk with the help of the ballast.
pub(crate) fn append(shared: &Shared, file: &File, text: &str) -> io::Result<()> {
    let mut written = file.append(text.as_bytes());
    if written.as_ref().is_err_and(full) && release(shared) {
        written = file.append(text.as_bytes());
    }
    written
}

/// Takes the ballast up where it is missing and there is ample room; `true` where it did. Where none is to be kept it gives up what is
/// there.
pub(crate) fn restore(shared: &Shared) -> io::Result<bool> {
    if !shared.options.ballast {
        release(shared);
        return Ok(false);
    }
    let size = shared.limits().size.saturating_add(BEYOND_LIMIT);
    if shared.root.stat(NAME)?.is_some_and(|meta| meta.len >= size) {
        return Ok(false);
    }
    if shared.root.space()?.free_bytes < size.saturating_mul(AMPLE) {
        return Ok(false);
    }
    let file = match shared.root.create(NAME) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => shared.root.open(NAME, Access::Write)?,
        made => made?,
    };
    if !file.try_lock()? {
        // Another role does the same at the moment.
        return Ok(false);
    }
    file.allocate(size).inspect_err(|_| drop(file.set_len(0)))?;
    file.sync(Purpose::Layout)?;
    Ok(true)
}
