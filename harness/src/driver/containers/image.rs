//! Images from scratch around one static binary each: made once for each content, and found again by the tag, which is its hash.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{collections::HashMap, sync::Mutex, sync::PoisonError};

use anyhow::Context;
use futures_util::StreamExt;
use sha2::{Digest, Sha256};
use testcontainers::bollard::body_full;
use testcontainers::bollard::query_parameters::{
    CreateImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptionsBuilder,
};

use super::engine::{Engine, engine};
use crate::Result;

/// Longest making of an image.
const MAKING: Duration = Duration::from_secs(300);
/// An image of another binary that is older goes when a new one is made.
const OLD: Duration = Duration::from_secs(2 * 60 * 60);
/// The label of every image that the harness made.
const LABEL: &str = "bongsu-harness.image";

/// What an image is made of.
pub(super) struct Recipe {
    /// Its name without the tag, which is the binary's own within it too.
    pub(super) name: &'static str,
    /// Its configuration, as lines of a Dockerfile, beside what the binary demands.
    pub(super) lines: &'static str,
}

/// The product.
pub(super) const BONGSU: Recipe =
    Recipe { name: "bongsu", lines: "ENV PATH=/bin BONGSU_DATA=/var/lib/bongsu\nEXPOSE 25 587 465 110 995\nCMD [\"up\"]\n" };
/// The harness itself, as name server and gate.
pub(super) const HARNESS: Recipe = Recipe { name: "bongsu-harness", lines: "EXPOSE 53/udp 53/tcp\n" };

/// The image around `binary`: `NAME:harness-HASH`. It is made where the engine has none yet.
pub(super) fn image(recipe: &Recipe, binary: &Path) -> Result<String> {
    // One at a time, so that scenarios that begin together do not make the same image twice.
    static KNOWN: Mutex<Option<HashMap<(PathBuf, SystemTime), String>>> = Mutex::new(None);
    let key = (binary.to_owned(), std::fs::metadata(binary).and_then(|meta| meta.modified()).unwrap_or(UNIX_EPOCH));
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    if let Some(image) = known.get(&key) {
        return Ok(image.clone());
    }
    let image = find_or_make(engine()?, recipe, binary).with_context(|| format!("an image around {}", binary.display()))?;
    known.insert(key, image.clone());
    Ok(image)
}

fn find_or_make(engine: &Engine, recipe: &Recipe, binary: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    std::io::copy(&mut std::fs::File::open(binary)?, &mut hash)?;
    hash.update(recipe.lines);
    let hash: String = hash.finalize().iter().take(6).map(|octet| format!("{octet:02x}")).collect();
    let (name, tag) = (recipe.name, format!("harness-{hash}"));
    let image = format!("{name}:{tag}");
    if engine.call("looking for an image", engine.docker().inspect_image(&image)).is_ok() {
        return Ok(image);
    }
    // Handed over as an archive and not built: a build would leave a copy of every binary in the engine's cache.
    let archive = archive(name, binary)?;
    let changes = format!("ENTRYPOINT [\"/bin/{name}\"]\nLABEL {LABEL}={name}\n{}", recipe.lines);
    let options = CreateImageOptionsBuilder::new().from_src("-").repo(name).tag(&tag).changes(vec![changes]).build();
    let handed_over = async {
        let mut said = engine.docker().create_image(Some(options), Some(body_full(archive.into())), None);
        while let Some(line) = said.next().await {
            line?;
        }
        Ok(())
    };
    engine.wait("making it", MAKING, handed_over)?;
    // A failure leaves no more than an old image.
    let _ = remove_old(engine, name, &image);
    Ok(image)
}

/// `/bin/NAME`, and the two places where a node's directories are mounted.
fn archive(name: &str, binary: &Path) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for dir in ["bin/", "etc/bongsu/", "var/lib/bongsu/"] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        archive.append_data(&mut header, dir, std::io::empty())?;
    }
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(std::fs::metadata(binary)?.len());
    archive.append_data(&mut header, format!("bin/{name}"), std::fs::File::open(binary)?)?;
    Ok(archive.into_inner()?)
}

/// Removes earlier images of the same name. One that is in use stays, and so does a young one: another run may be about to use it.
fn remove_old(engine: &Engine, name: &str, but: &str) -> Result<()> {
    let label = format!("{LABEL}={name}");
    let filters = HashMap::from([("label", vec![label.as_str()])]);
    let options = ListImagesOptionsBuilder::new().filters(&filters).build();
    let before = i64::try_from((SystemTime::now() - OLD).duration_since(UNIX_EPOCH)?.as_secs())?;
    for old in engine.call("listing images", engine.docker().list_images(Some(options)))? {
        if old.created < before && !old.repo_tags.iter().any(|tag| tag == but) {
            let options = RemoveImageOptionsBuilder::new().build();
            let _ = engine.call("removing an image", engine.docker().remove_image(&old.id, Some(options), None));
        }
    }
    Ok(())
}
