//! A trained router on disk: `manifest.json` and `router.safetensors`.
//!
//! In: a folder, or what is compiled in. Out: [`Artifact`]. Invariant: nothing is used before its
//! format, schema, encoder, checksum and shapes were checked, in this order.

use std::path::Path;

use super::head::{HEAD, packed_len};
use super::manifest::{ArtifactError, FORMAT_VERSION, FORMAT_VERSION_MIN, Manifest, OtherEncoder};
use super::tensors::{Reader, Writer};
use super::trunk::{LATENT, Trunk};
use crate::domain::sha256_hex;
use crate::encoder::{Encoder, Exit};
use crate::features::{self, FEATURE_SCHEMA};

/// The manifest's file name.
pub const MANIFEST_FILE: &str = "manifest.json";
/// The weights' file name.
pub const WEIGHTS_FILE: &str = "router.safetensors";

const SHIPPED_MANIFEST: &[u8] = include_bytes!("../../models/default/manifest.json");
const SHIPPED_WEIGHTS: &[u8] = include_bytes!("../../models/default/router.safetensors");

/// What an artifact was trained on that names no encoder.
const SHIPPED: &str = "the shipped one";

/// A trained router.
#[derive(Debug, Clone, PartialEq)]
pub struct Artifact {
    /// What it says of itself.
    pub manifest: Manifest,
    /// One trunk for each of the manifest's exits, in their order; all end in the same latent space, so
    /// that the heads are shared.
    pub trunks: Vec<Trunk>,
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
        let exits = manifest.exits.iter();
        let inputs = encoder.width() + features::COUNT;
        let trunks = exits.map(|it| Trunk::read(&reader, &prefix(&manifest, *it), inputs));
        Ok(Self {
            trunks: trunks.collect::<Result<_, _>>()?,
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
        for (exit, trunk) in self.manifest.exits.iter().zip(&self.trunks) {
            trunk.write(&mut writer, &prefix(&self.manifest, *exit));
        }
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

/// What the names of a trunk's tensors begin with.
fn prefix(manifest: &Manifest, exit: u8) -> String {
    match manifest.format_version {
        FORMAT_VERSION_MIN => "trunk".to_owned(),
        _ => format!("trunk.{exit}"),
    }
}

fn checked(path: &Path, json: &[u8], encoder: &Encoder) -> Result<Manifest, ArtifactError> {
    let path = path.to_owned();
    // The version alone first: a newer manifest may have fields that are unknown here.
    let broken = |source| ArtifactError::Manifest { path: path.clone(), source };
    let value: serde_json::Value = serde_json::from_slice(json).map_err(broken)?;
    let version = value.get("format_version").and_then(serde_json::Value::as_u64);
    let known = u64::from(FORMAT_VERSION_MIN)..=u64::from(FORMAT_VERSION);
    if let Some(found) = version.filter(|it| !known.contains(it)) {
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
    let from_first =
        manifest.exits.first() == Some(&0) && manifest.exits.is_sorted_by(|a, b| a < b);
    let trunks = manifest.format_version > FORMAT_VERSION_MIN || manifest.exits.len() == 1;
    let known = encoder.checksum(&manifest.exits);
    let own = encoder.checksum(&[0, encoder.number(Exit::Last)]);
    // An artifact for another model is told so, and not that its exits are odd.
    let same_kind = manifest.encoder.is_none() && encoder.is_early_exit();
    if !(from_first && trunks) || (same_kind && known.is_none()) {
        return Err(ArtifactError::Exits { path, found: manifest.exits });
    }
    if known != Some(manifest.encoder_sha256.as_str()) {
        return Err(ArtifactError::Encoder(Box::new(OtherEncoder {
            path,
            found: manifest.encoder_sha256,
            found_name: manifest.encoder.unwrap_or_else(|| SHIPPED.to_owned()),
            wanted: known.or(own).unwrap_or_default().to_owned(),
            wanted_name: encoder.name().to_owned(),
        })));
    }
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped_manifest() -> serde_json::Value {
        serde_json::from_slice(SHIPPED_MANIFEST).expect("JSON")
    }

    #[test]
    fn exits_are_those_of_the_encoder_and_the_first_is_among_them() {
        let encoder = Encoder::shipped().expect("the shipped encoder");
        let check = |version: u32, exits: Option<&[u8]>, wanted: &str| {
            let mut manifest = shipped_manifest();
            manifest["format_version"] = version.into();
            match exits {
                Some(exits) => manifest["exits"] = exits.into(),
                None => drop(manifest.as_object_mut().expect("an object").remove("exits")),
            }
            let json = serde_json::to_vec(&manifest).expect("JSON");
            let read = checked(Path::new("here"), &json, &encoder);
            let found = read.map_or_else(|it| it.to_string(), |it| format!("{:?}", it.exits));
            assert!(found.contains(wanted), "{version} {exits:?}: {found}");
        };
        check(2, Some(&[0, 3]), "[0, 3]");
        // The first exit alone reads less of the encoder, so it has another checksum.
        check(2, Some(&[0]), "the encoder in use has");
        check(1, None, "the encoder in use has");
        for odd in [&[3][..], &[0, 2], &[], &[0, 6], &[3, 0], &[0, 0]] {
            check(2, Some(odd), "0 must be the first");
        }
        check(1, Some(&[0, 3]), "0 must be the first");
        check(0, Some(&[0, 3]), "this program reads 1 to 3");
        check(4, Some(&[0, 3]), "this program reads 1 to 3");
    }

    #[test]
    fn an_artifact_of_the_first_layout_is_still_read_and_written() {
        let encoder = Encoder::shipped().expect("the shipped encoder");
        let mut old = Artifact::shipped(&encoder).expect("the shipped artifact");
        old.trunks.truncate(1);
        old.manifest.format_version = 1;
        old.manifest.exits = vec![0];
        old.manifest.encoder_sha256 = encoder.checksum(&[0]).expect("an exit").to_owned();
        let weights = old.weights().expect("weights");
        old.manifest.weights_sha256 = sha256_hex(&weights);
        let mut json = serde_json::to_value(&old.manifest).expect("JSON");
        json.as_object_mut().expect("an object").remove("exits");
        let json = serde_json::to_vec(&json).expect("JSON");
        let again =
            Artifact::read(Path::new("old"), &json, &weights, &encoder).expect("it is read");
        assert!(again == old);
    }
}
