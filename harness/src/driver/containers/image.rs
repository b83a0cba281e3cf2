//! Images from scratch around one static binary each: built once for each content, and found again by the tag, which is its hash.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{collections::HashMap, sync::Mutex, sync::PoisonError};

use anyhow::Context;
use sha2::{Digest, Sha256};
use testcontainers::GenericBuildableImage;
use testcontainers::bollard::query_parameters::{ListImagesOptionsBuilder, RemoveImageOptionsBuilder};
use testcontainers::core::BuildImageOptions;
use testcontainers::runners::AsyncBuilder;

use super::engine::{Engine, engine};
use crate::Result;

/// Longest build.
const BUILD: Duration = Duration::from_secs(300);
/// An image of another binary that is older goes when a new one is built.
const OLD: Duration = Duration::from_secs(2 * 60 * 60);
/// The label of every image that the harness built.
const LABEL: &str = "bongsu-harness.image";

/// What an image is made of.
pub(super) struct Recipe {
    /// Its name without the tag, which is the binary's own within it too.
    pub(super) name: &'static str,
    /// Lines of the Dockerfile beside those of the binary.
    pub(super) lines: &'static str,
}

/// The product.
pub(super) const BONGSU: Recipe = Recipe {
    name: "bongsu",
    lines: "ENV PATH=/bin BONGSU_DATA=/var/lib/bongsu\nEXPOSE 25 587 465 110 995\nSTOPSIGNAL SIGTERM\nCMD [\"up\"]\n",
};
/// The harness itself, as name server and gate.
pub(super) const HARNESS: Recipe = Recipe { name: "bongsu-harness", lines: "EXPOSE 53/udp 53/tcp\n" };

/// The image around `binary`: `NAME:harness-HASH`. It is built where the engine has none yet.
pub(super) fn image(recipe: &Recipe, binary: &Path) -> Result<String> {
    // One at a time, so that scenarios that begin together do not build the same image twice.
    static KNOWN: Mutex<Option<HashMap<(PathBuf, SystemTime), String>>> = Mutex::new(None);
    let key = (binary.to_owned(), std::fs::metadata(binary).and_then(|meta| meta.modified()).unwrap_or(UNIX_EPOCH));
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    if let Some(image) = known.get(&key) {
        return Ok(image.clone());
    }
    let image = find_or_build(engine()?, recipe, binary).with_context(|| format!("an image around {}", binary.display()))?;
    known.insert(key, image.clone());
    Ok(image)
}

fn find_or_build(engine: &Engine, recipe: &Recipe, binary: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    std::io::copy(&mut std::fs::File::open(binary)?, &mut hash)?;
    hash.update(recipe.lines);
    let hash: String = hash.finalize().iter().take(6).map(|octet| format!("{octet:02x}")).collect();
    let (name, tag) = (recipe.name, format!("harness-{hash}"));
    let image = format!("{name}:{tag}");
    if engine.call("looking for an image", engine.docker().inspect_image(&image)).is_ok() {
        return Ok(image);
    }
    let dockerfile =
        format!("FROM scratch\nCOPY {name} /bin/{name}\nLABEL {LABEL}={name}\n{}ENTRYPOINT [\"/bin/{name}\"]\n", recipe.lines);
    let build =
        GenericBuildableImage::new(name, &tag).with_dockerfile_string(dockerfile).with_file(binary, format!("./{name}"));
    let build = async { Ok(build.build_image_with(BuildImageOptions::new()).await?) };
    engine.wait("building", BUILD, build).map(|_| ())?;
    // A failure leaves no more than an old image.
    let _ = remove_old(engine, name, &image);
    Ok(image)
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
