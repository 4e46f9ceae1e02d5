//! A trained router on disk: `manifest.json` and `router.safetensors`.
//!
//! In: a folder, or what is compiled in. Out: [`Artifact`]. Invariant: nothing is used before its
//! format, schema, encoder, checksum and shapes were checked, in this order.

use std::path::Path;

use super::head::{HEAD, packed_len};
use super::manifest::{ArtifactError, FORMAT_VERSION, Manifest};
use super::tensors::{Reader, Writer};
use super::trunk::{LATENT, Trunk};
use crate::domain::sha256_hex;
use crate::encoder::Encoder;
use crate::features::FEATURE_SCHEMA;

/// The manifest's file name.
pub const MANIFEST_FILE: &str = "manifest.json";
/// The weights' file name.
pub const WEIGHTS_FILE: &str = "router.safetensors";

const SHIPPED_MANIFEST: &[u8] = include_bytes!("../../models/default/manifest.json");
const SHIPPED_WEIGHTS: &[u8] = include_bytes!("../../models/default/router.safetensors");

/// A trained router.
#[derive(Debug, Clone, PartialEq)]
pub struct Artifact {
    /// What it says of itself.
    pub manifest: Manifest,
    /// The trunk.
    pub trunk: Trunk,
    /// Mean weights of quality, `[M, 33]`.
    pub quality_mean: Vec<f32>,
    /// Their covariances, `[M, 561]`.
    pub quality_covariance: Vec<f32>,
    /// Mean weights of log tokens, `[M, 33]`.
    pub tokens_mean: Vec<f32>,
    /// Standard deviation of log tokens, `[M]`.
    pub tokens_sigma: Vec<f32>,
    /// Mean over models of the quality weights, `[33]`.
    pub prior_quality_mean: Vec<f32>,
    /// Their covariance over models, `[561]`.
    pub prior_quality_covariance: Vec<f32>,
    /// Mean over models of the token weights, `[33]`.
    pub prior_tokens_mean: Vec<f32>,
    /// Standard deviation of log tokens for a model never seen, `[1]`.
    pub prior_tokens_sigma: Vec<f32>,
    /// Latent vectors of prompts drawn from the training rows, `[R, 32]`; what "everyday prompts"
    /// means when a catalog entry states a mean quality.
    pub reference: Vec<f32>,
}

impl Artifact {
    /// The artifact in this binary.
    ///
    /// # Errors
    /// [`ArtifactError`]; never for the files that were shipped, which a test reads.
    pub fn shipped(encoder: &Encoder) -> Result<Self, ArtifactError> {
        Self::read(Path::new("shipped"), SHIPPED_MANIFEST, SHIPPED_WEIGHTS, encoder)
    }

    /// The artifact in a folder.
    ///
    /// # Errors
    /// [`ArtifactError`], which names the file and what is wrong with it.
    pub fn open(folder: &Path, encoder: &Encoder) -> Result<Self, ArtifactError> {
        let load = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path).map_err(|source| ArtifactError::Read { path, source })
        };
        Self::read(folder, &load(MANIFEST_FILE)?, &load(WEIGHTS_FILE)?, encoder)
    }

    fn read(
        folder: &Path,
        manifest: &[u8],
        weights: &[u8],
        encoder: &Encoder,
    ) -> Result<Self, ArtifactError> {
        let manifest = checked(&folder.join(MANIFEST_FILE), manifest, encoder)?;
        let path = folder.join(WEIGHTS_FILE);
        let found = sha256_hex(weights);
        if found != manifest.weights_sha256 {
            let wanted = manifest.weights_sha256;
            return Err(ArtifactError::Checksum { path, found, wanted });
        }
        let reader = Reader::new(&path, weights)?;
        let models = manifest.models.len();
        let reference = reader.axis("reference", 0);
        Ok(Self {
            trunk: Trunk::read(&reader)?,
            quality_mean: reader.floats("quality.mean", &[models, HEAD])?,
            quality_covariance: reader.floats("quality.covariance", &[models, packed_len()])?,
            tokens_mean: reader.floats("tokens.mean", &[models, HEAD])?,
            tokens_sigma: reader.floats("tokens.sigma", &[models])?,
            prior_quality_mean: reader.floats("prior.quality.mean", &[HEAD])?,
            prior_quality_covariance: reader.floats("prior.quality.covariance", &[packed_len()])?,
            prior_tokens_mean: reader.floats("prior.tokens.mean", &[HEAD])?,
            prior_tokens_sigma: reader.floats("prior.tokens.sigma", &[1])?,
            reference: reader.floats("reference", &[reference, LATENT])?,
            manifest,
        })
    }

    /// The weights as [`WEIGHTS_FILE`] holds them; the same artifact gives the same bytes.
    ///
    /// # Errors
    /// [`safetensors::SafeTensorError`] when the shapes do not fit together.
    pub fn weights(&self) -> Result<Vec<u8>, safetensors::SafeTensorError> {
        let models = self.manifest.models.len();
        let mut writer = Writer::default();
        self.trunk.write(&mut writer);
        writer.add("quality.mean", &[models, HEAD], &self.quality_mean);
        writer.add("quality.covariance", &[models, packed_len()], &self.quality_covariance);
        writer.add("tokens.mean", &[models, HEAD], &self.tokens_mean);
        writer.add("tokens.sigma", &[models], &self.tokens_sigma);
        writer.add("prior.quality.mean", &[HEAD], &self.prior_quality_mean);
        writer.add("prior.quality.covariance", &[packed_len()], &self.prior_quality_covariance);
        writer.add("prior.tokens.mean", &[HEAD], &self.prior_tokens_mean);
        writer.add("prior.tokens.sigma", &[1], &self.prior_tokens_sigma);
        writer.add("reference", &[self.reference.len() / LATENT, LATENT], &self.reference);
        writer.bytes()
    }
}

fn checked(path: &Path, json: &[u8], encoder: &Encoder) -> Result<Manifest, ArtifactError> {
    let path = path.to_owned();
    // The version alone first: a newer manifest may have fields that are unknown here.
    let broken = |source| ArtifactError::Manifest { path: path.clone(), source };
    let value: serde_json::Value = serde_json::from_slice(json).map_err(broken)?;
    let version = value.get("format_version").and_then(serde_json::Value::as_u64);
    if let Some(found) = version.filter(|it| *it != u64::from(FORMAT_VERSION)) {
        return Err(ArtifactError::Format {
            path,
            found: u32::try_from(found).unwrap_or(u32::MAX),
        });
    }
    let manifest: Manifest = serde_json::from_value(value).map_err(broken)?;
    if manifest.feature_schema != FEATURE_SCHEMA {
        let found = manifest.feature_schema;
        return Err(ArtifactError::Schema { path, found, wanted: FEATURE_SCHEMA });
    }
    let wanted = encoder.checksum(&manifest.exits).filter(|_| manifest.exits.contains(&0));
    let Some(wanted) = wanted else {
        return Err(ArtifactError::Exits { path, found: manifest.exits });
    };
    if manifest.encoder_sha256 != wanted {
        let (found, wanted) = (manifest.encoder_sha256, wanted.to_owned());
        return Err(ArtifactError::Encoder { path, found, wanted });
    }
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_are_those_of_the_encoder_and_the_first_is_among_them() {
        let encoder = Encoder::shipped().expect("the shipped encoder");
        let check = |exits: &str, wanted: &str| {
            let shipped = String::from_utf8_lossy(SHIPPED_MANIFEST);
            let manifest = shipped.replacen('{', &format!("{{{exits}"), 1);
            let read = checked(Path::new("here"), manifest.as_bytes(), &encoder);
            let found = read.map_or_else(|it| it.to_string(), |it| format!("{:?}", it.exits));
            assert!(found.contains(wanted), "{exits}: {found}");
        };
        check("", "[0]");
        check("\"exits\": [0],", "[0]");
        check("\"exits\": [0, 3],", "the encoder in use has");
        for odd in ["[3]", "[0, 2]", "[]", "[0, 6]"] {
            check(&format!("\"exits\": {odd},"), "0 must be among them");
        }
    }

    #[test]
    fn an_artifact_of_the_first_exit_is_written_as_it_always_was() {
        let encoder = Encoder::shipped().expect("the shipped encoder");
        let artifact = Artifact::shipped(&encoder).expect("the shipped artifact");
        let mut again = serde_json::to_string_pretty(&artifact.manifest).expect("JSON");
        again.push('\n');
        assert!(again.as_bytes() == SHIPPED_MANIFEST);
    }
}
