//! The module as an OCI image, written as a layout that registry clients push as it is.
//!
//! Istio takes two forms: an image whose last layer holds a file `plugin.wasm`, and an artifact
//! with a layer of type `application/vnd.module.wasm.content.layer.v1+wasm`
//! (istio/pkg/wasm/imagefetcher.go). This is the first: every registry and client takes it. Beside the
//! module lie the licences of what it is linked from.

use crate::archive::{File, gzip, sha256, tar};
use anyhow::{Context, Result};
use oci_spec::image::{
    ANNOTATION_LICENSES, ANNOTATION_TITLE, ANNOTATION_VERSION, Arch, ConfigBuilder, Descriptor,
    ImageConfigurationBuilder, ImageIndexBuilder, ImageManifestBuilder, MediaType,
    OciLayoutBuilder, Os, RootFsBuilder, SCHEMA_VERSION, Sha256Digest,
};
use serde::Serialize;
use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// Writes the layout of `module` and its licences in `folder`, in the place of an older one; the image's
/// digest.
///
/// The same module gives the same digest: nothing in the image depends on the time, the machine or
/// the user.
pub fn write(module: &Path, licenses: &str, folder: &Path) -> Result<String> {
    let module = fs::read(module).with_context(|| module.display().to_string())?;
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    fs::create_dir_all(folder.join("blobs/sha256"))?;
    let layout = OciLayoutBuilder::default().image_layout_version("1.0.0").build()?;
    fs::write(folder.join("oci-layout"), json(&layout)?)?;

    let archive = tar(&[File::new("plugin.wasm", module), File::new("licenses.txt", licenses)])?;
    let layer = blob(folder, MediaType::ImageLayerGzip, gzip(&archive)?)?;
    let root =
        RootFsBuilder::default().diff_ids([format!("sha256:{}", sha256(&archive))]).build()?;
    let config = ImageConfigurationBuilder::default()
        .architecture(Arch::Wasm)
        .os(Os::Other("wasip1".into()))
        .config(ConfigBuilder::default().labels(labels()).build()?)
        .rootfs(root)
        .build()?;
    let config = blob(folder, MediaType::ImageConfig, json(&config)?)?;
    let manifest = ImageManifestBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageManifest)
        .config(config)
        .layers([layer])
        .build()?;
    let manifest = blob(folder, MediaType::ImageManifest, json(&manifest)?)?;
    let digest = manifest.digest().to_string();
    let index = ImageIndexBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageIndex)
        .manifests([manifest])
        .build()?;
    fs::write(folder.join("index.json"), json(&index)?)?;
    Ok(digest)
}

fn labels() -> HashMap<String, String> {
    let labels = [
        (ANNOTATION_TITLE, "traffic-split"),
        (ANNOTATION_VERSION, env!("CARGO_PKG_VERSION")),
        (ANNOTATION_LICENSES, "Apache-2.0"),
    ];
    labels.map(|(name, value)| (name.into(), value.into())).into()
}

fn blob(folder: &Path, media_type: MediaType, bytes: Vec<u8>) -> Result<Descriptor> {
    let name = sha256(&bytes);
    fs::write(folder.join("blobs/sha256").join(&name), &bytes)?;
    let digest: Sha256Digest = name.parse()?;
    Ok(Descriptor::new(media_type, bytes.len().try_into()?, digest))
}

/// By way of a `Value`, which sorts the names of the unordered maps.
fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    Ok(serde_json::to_vec(&serde_json::to_value(value)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::{files, read};
    use serde_json::Value;
    use std::io::Read;

    #[test]
    fn the_same_module_gives_the_same_layout() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let module = folder.path().join("module.wasm");
        fs::write(&module, b"\0asm\x01\0\0\0")?;
        // The maps' order differs from one to the next, where it is not sorted.
        let digests: Vec<_> = (0..8)
            .map(|n| write(&module, "MIT", &folder.path().join(n.to_string())))
            .collect::<Result<_>>()?;
        assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
        fs::write(&module, b"\0asm\x01\0\0\0\0\0")?;
        assert_ne!(write(&module, "MIT", &folder.path().join("0"))?, digests[0], "another module");
        let other = write(&module, "BSD-3-Clause", &folder.path().join("0"))?;
        assert_ne!(other, write(&module, "MIT", &folder.path().join("1"))?, "other licences");
        // Nothing of the older layouts is left, and each blob is what its name says.
        let blobs = files(&folder.path().join("1/blobs/sha256"), "")?;
        assert_eq!(blobs.len(), 3);
        for blob in &blobs {
            assert_eq!(sha256(&blob.bytes), blob.name);
        }
        Ok(())
    }

    /// A registry's clients look at the configuration, which names the version, and the layer as it is
    /// when it is unpacked.
    #[test]
    fn an_image_describes_its_layer() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let module = folder.path().join("module.wasm");
        fs::write(&module, b"\0asm\x01\0\0\0")?;
        let layout = folder.path().join("layout");
        let digest = write(&module, "MIT", &layout)?;
        let blob = |digest: &Value| -> Result<Vec<u8>> {
            let name = digest.as_str().and_then(|digest| digest.strip_prefix("sha256:"));
            read(&layout.join("blobs/sha256").join(name.context("no digest")?))
        };
        let index: Value = serde_json::from_slice(&read(&layout.join("index.json"))?)?;
        assert_eq!(index["manifests"][0]["digest"], digest);
        let manifest: Value = serde_json::from_slice(&blob(&index["manifests"][0]["digest"])?)?;
        let config: Value = serde_json::from_slice(&blob(&manifest["config"]["digest"])?)?;
        let mut layer = Vec::new();
        let bytes = blob(&manifest["layers"][0]["digest"])?;
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_end(&mut layer)?;
        assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{}", sha256(&layer)));
        assert_eq!((&config["architecture"], &config["os"]), (&"wasm".into(), &"wasip1".into()));
        let labels = &config["config"]["Labels"];
        assert_eq!(labels[ANNOTATION_VERSION], env!("CARGO_PKG_VERSION"));
        assert_eq!(labels[ANNOTATION_LICENSES], "Apache-2.0");
        Ok(())
    }
}
