//! One artifact, loaded and looked at, with the encoder that it was trained on.
//!
//! In: a folder, or nothing for what is in this binary. Out: [`Brain`], or the reason why not
//! ([`Unfit`]). Invariant: a brain that exists has passed every check; artifacts trained on the same
//! encoder share its queue and its cache. Not here: which one serves.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::super::lessons::{Lessons, Pupils};
use super::status::ArtifactPlaces;
use crate::catalog::Fleet;
use crate::encoder::{EncodeError, Encoder, EncoderError, EncoderQueue};
use crate::prediction::{ArtifactError, Predictor, Probes, SmokeError, smoke};

/// Where an artifact's folder may hold the encoder that it was trained on.
pub(super) const ENCODER_FOLDER: &str = "encoder";
/// What [`Unfit::SameVersion`] is for programs.
pub(super) const SAME_VERSION: &str = "SAME_VERSION";

/// An artifact, ready to decide.
pub(crate) struct Brain {
    /// Reads prompts.
    pub(crate) queue: Arc<EncoderQueue>,
    /// Makes predictions of them.
    pub(crate) predictor: Predictor,
    /// What scores have taught about its predictions; nothing unless it has served.
    pub(in crate::pipeline) lessons: Lessons,
    /// Where it came from; `None`: this binary.
    pub(super) path: Option<PathBuf>,
    /// When.
    pub(super) loaded_at: SystemTime,
    probes: Arc<Probes>,
    /// Whether its encoder is the one in this binary.
    shipped_encoder: bool,
}

/// Why an artifact is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// The encoder's own files.
    #[error(transparent)]
    Encoder(#[from] EncoderError),
    /// The artifact's files.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The encoder does not read.
    #[error(transparent)]
    Unread(#[from] EncodeError),
    /// It predicts nonsense.
    #[error(transparent)]
    Smoke(#[from] SmokeError),
    /// Beside the one that serves: prompts are read once, as deep as that one wants.
    #[error("exits are {found:?}; beside the artifact that serves, they must hold {wanted:?}")]
    ServedExits {
        /// Its own.
        found: Vec<u8>,
        /// Those of the artifact that serves.
        wanted: Vec<u8>,
    },
    /// Beside the one that serves: the log could not tell them apart.
    #[error("its version `{0}` is that of the artifact that serves")]
    SameVersion(String),
}

impl Unfit {
    /// For programs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Encoder(_) => "ENCODER_FILES",
            Self::Artifact(error) => match error {
                ArtifactError::Read { .. } => "UNREADABLE",
                ArtifactError::Manifest { .. } => "MANIFEST",
                ArtifactError::Format { .. } => "FORMAT",
                ArtifactError::Schema { .. } => "FEATURE_SCHEMA",
                ArtifactError::Encoder { .. } => "OTHER_ENCODER",
                ArtifactError::Exits { .. } => "EXITS",
                ArtifactError::Checksum { .. } => "CHECKSUM",
                ArtifactError::Weights { .. } => "WEIGHTS",
                ArtifactError::Tensor { .. } => "TENSOR",
                ArtifactError::NotFinite { .. } => "NOT_FINITE",
            },
            Self::Unread(_) | Self::Smoke(_) => "SMOKE",
            Self::ServedExits { .. } => "EXITS",
            Self::SameVersion(_) => SAME_VERSION,
        }
    }
}

impl Brain {
    /// Loads and checks one that is to serve. It takes over what it can of the one before: its encoder,
    /// with the queue and the cache, if it is the same.
    pub(super) fn open(places: &ArtifactPlaces, before: Option<&Self>) -> Result<Self, Unfit> {
        let (path, own) = (places.served.as_deref(), encoder_of(places));
        let shipped = own.is_none();
        let known = before.filter(|it| shipped && it.shipped_encoder);
        let encoder = match (known, own) {
            (Some(before), _) => Arc::clone(before.encoder()),
            (None, Some(folder)) => Arc::new(Encoder::open(&folder)?),
            (None, None) => Arc::new(Encoder::shipped()?),
        };
        let checksum = encoder.whole_checksum();
        let kept = before.filter(|it| it.encoder().whole_checksum() == checksum);
        let encoder = kept.map_or(encoder, |it| Arc::clone(it.encoder()));
        let predictor = opened(path, &encoder)?;
        let probes = match kept {
            Some(it) => Arc::clone(&it.probes),
            None => Arc::new(Probes::read(&encoder)?),
        };
        smoke(&predictor, &probes)?;
        let shipped_encoder = kept.map_or(shipped, |it| it.shipped_encoder);
        let queue = match kept.filter(|it| it.queue.is_for(predictor.exits())) {
            Some(it) => Arc::clone(&it.queue),
            None => Arc::new(EncoderQueue::start(encoder, predictor.exits())),
        };
        Ok(Self::new(path, predictor, (queue, probes, shipped_encoder)))
    }

    /// Loads and checks one that is to stand beside the one that serves. A prompt is read once, so it
    /// must be trained on that one's encoder; an encoder in its own folder is not read.
    pub(super) fn beside(path: &Path, served: &Self) -> Result<Self, Unfit> {
        let predictor = opened(Some(path), served.encoder())?;
        smoke(&predictor, &served.probes)?;
        let read_by = (Arc::clone(&served.queue), Arc::clone(&served.probes), false);
        let brain = Self::new(Some(path), predictor, read_by);
        brain.fits_beside(served).map(|()| brain)
    }

    /// Whether it may stand beside this one.
    pub(super) fn fits_beside(&self, served: &Self) -> Result<(), Unfit> {
        let (found, wanted) = (self.predictor.exits(), served.predictor.exits());
        if !wanted.iter().all(|it| found.contains(it)) {
            return Err(Unfit::ServedExits { found: found.to_vec(), wanted: wanted.to_vec() });
        }
        if self.version() == served.version() {
            return Err(Unfit::SameVersion(self.version().to_owned()));
        }
        Ok(())
    }

    /// Whether both read with one and the same encoder.
    pub(super) fn reads_like(&self, other: &Self) -> bool {
        Arc::ptr_eq(self.encoder(), other.encoder())
    }

    /// Whether it is the same artifact, wherever it was loaded from.
    pub(super) fn is(&self, other: &Self) -> bool {
        let same = self.predictor.manifest() == other.predictor.manifest();
        same && self.encoder().whole_checksum() == other.encoder().whole_checksum()
    }

    /// The artifact's own name.
    pub(super) fn version(&self) -> &str {
        self.predictor.version()
    }

    /// Who is learned about with it.
    pub(in crate::pipeline) fn pupils<'a>(&'a self, fleet: &'a Fleet) -> Pupils<'a> {
        Pupils { fleet, predictor: &self.predictor }
    }

    pub(super) fn encoder(&self) -> &Arc<Encoder> {
        self.queue.encoder()
    }

    fn new(
        path: Option<&Path>,
        predictor: Predictor,
        (queue, probes, shipped_encoder): (Arc<EncoderQueue>, Arc<Probes>, bool),
    ) -> Self {
        let (path, loaded_at) = (path.map(Path::to_owned), SystemTime::now());
        let lessons = Lessons::default();
        Self { queue, predictor, lessons, path, loaded_at, probes, shipped_encoder }
    }
}

/// The folder of the encoder that the served artifact was trained on; `None`: the one in this binary.
fn encoder_of(places: &ArtifactPlaces) -> Option<PathBuf> {
    let beside = || {
        let folder = places.served.as_ref()?;
        let both = [folder.clone(), folder.join(ENCODER_FOLDER)];
        both.into_iter().find(|it| Encoder::is_in(it))
    };
    places.encoder.clone().or_else(beside)
}

fn opened(path: Option<&Path>, encoder: &Encoder) -> Result<Predictor, ArtifactError> {
    match path {
        Some(folder) => Predictor::open(folder, encoder),
        None => Predictor::shipped(encoder),
    }
}
