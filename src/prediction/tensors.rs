//! Named f32 tensors out of and into safetensors, with shapes checked and numbers finite.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};

use super::manifest::ArtifactError;

/// Tensors of one file, for reading.
pub(super) struct Reader<'a> {
    path: PathBuf,
    tensors: SafeTensors<'a>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(path: &Path, bytes: &'a [u8]) -> Result<Self, ArtifactError> {
        let path = path.to_owned();
        match SafeTensors::deserialize(bytes) {
            Ok(tensors) => Ok(Self { path, tensors }),
            Err(source) => Err(ArtifactError::Weights { path, source }),
        }
    }

    /// How long a tensor's axis is; 0 where there is no such tensor or axis.
    pub(super) fn axis(&self, name: &str, axis: usize) -> usize {
        let view = self.tensors.tensor(name).ok();
        view.and_then(|it| it.shape().get(axis).copied()).unwrap_or(0)
    }

    /// A tensor of this shape, row-major.
    pub(super) fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ArtifactError> {
        let view = self.tensors.tensor(name).ok();
        let view = view.filter(|it| it.dtype() == Dtype::F32 && it.shape() == shape);
        let Some(view) = view else {
            let (path, tensor) = (self.path.clone(), name.to_owned());
            return Err(ArtifactError::Tensor { path, tensor, wanted: format!("{shape:?}") });
        };
        let (chunks, _) = view.data().as_chunks::<4>();
        let floats: Vec<f32> = chunks.iter().map(|it| f32::from_le_bytes(*it)).collect();
        if floats.iter().all(|it| it.is_finite()) {
            Ok(floats)
        } else {
            Err(ArtifactError::NotFinite { path: self.path.clone(), tensor: name.to_owned() })
        }
    }
}

/// Tensors of one file, for writing; the same tensors give the same bytes.
#[derive(Default)]
pub(super) struct Writer(BTreeMap<String, (Vec<usize>, Vec<u8>)>);

impl Writer {
    pub(super) fn add(&mut self, name: impl Into<String>, shape: &[usize], floats: &[f32]) {
        let bytes = floats.iter().flat_map(|it| it.to_le_bytes()).collect();
        self.0.insert(name.into(), (shape.to_vec(), bytes));
    }

    pub(super) fn bytes(&self) -> Result<Vec<u8>, SafeTensorError> {
        let views = self.0.iter().map(|(name, (shape, bytes))| {
            TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (name.as_str(), view))
        });
        safetensors::serialize(views.collect::<Result<Vec<_>, _>>()?, None)
    }
}
