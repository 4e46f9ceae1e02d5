//! Where exports go: a folder, or a bucket of an object store.
//!
//! In: a path, or `s3://bucket/path`, `gs://...`, `az://...`; keys from the environment, as the
//! providers' own tools read them. Out: whole files, put and read. Invariant: a file is there whole or
//! not at all; no key is in a name, so that names may be printed. Not here: what is in the files.

use std::path::{Path as FilePath, PathBuf, absolute};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::ExportError;
use super::source::is_of_log;

/// A place for files.
#[derive(Debug)]
pub struct Destination {
    store: Box<dyn ObjectStore>,
    /// What stands before every name in the store.
    prefix: Path,
    name: String,
}

/// What an export does with its place.
pub(super) trait Place: Send + Sync {
    /// Its name in the checkpoint.
    fn name(&self) -> &str;

    /// Puts a file, whole, over an older one.
    fn put<'a>(&'a self, file: &'a str, bytes: Bytes) -> BoxFuture<'a, Result<(), ExportError>>;

    /// Takes a file away if it is there.
    fn remove<'a>(&'a self, file: &'a str) -> BoxFuture<'a, Result<(), ExportError>>;

    /// Some file of this log, if there is any.
    fn any_of<'a>(&'a self, log_id: &'a str) -> BoxFuture<'a, Result<Option<String>, ExportError>>;
}

impl Destination {
    /// Reads what was written; makes a folder that is not there. Asks no store yet.
    ///
    /// # Errors
    /// [`ExportError::Destination`] for what is no place, `Folder` for one that cannot be made.
    pub fn open(to: &str) -> Result<Self, ExportError> {
        match to.split_once("://") {
            None => Self::folder(FilePath::new(to)),
            Some(("file", path)) => Self::folder(FilePath::new(path)),
            Some((scheme, rest)) => Self::bucket(scheme, rest),
        }
    }

    /// Its name: what the checkpoint knows it by.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn folder(path: &FilePath) -> Result<Self, ExportError> {
        let failed = |source| ExportError::Folder { folder: path.display().to_string(), source };
        let made = std::fs::create_dir_all(path).and_then(|()| absolute(path));
        let path: PathBuf = made.and_then(std::fs::canonicalize).map_err(failed)?;
        let name = format!("file://{}", path.display());
        // A checkpoint that is on the disk must not be ahead of its files.
        let store = LocalFileSystem::new_with_prefix(&path).map(|it| it.with_fsync(true));
        let store = store.map_err(|source| ExportError::Place { file: name.clone(), source })?;
        Ok(Self { store: Box::new(store), prefix: Path::default(), name })
    }

    fn bucket(scheme: &str, rest: &str) -> Result<Self, ExportError> {
        let wrong = |why| Err(ExportError::Destination { to: format!("{scheme}://..."), why });
        if rest.contains(['@', '?', '#']) {
            return wrong("names hold no user, no key and no query: those are in the environment");
        }
        let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return wrong("it names no bucket");
        }
        // The first to be installed wins; an error says that one is.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let store: Result<Box<dyn ObjectStore>, _> = match scheme {
            "s3" => AmazonS3Builder::from_env().with_bucket_name(bucket).build().map(boxed),
            "gs" => {
                GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket).build().map(boxed)
            }
            "az" => {
                MicrosoftAzureBuilder::from_env().with_container_name(bucket).build().map(boxed)
            }
            _ => return wrong("it begins with s3://, gs:// or az://, or is a folder"),
        };
        let prefix = Path::from(path.trim_matches('/'));
        let name = format!("{scheme}://{bucket}/{prefix}");
        let store = store.map_err(|source| ExportError::Place { file: name.clone(), source })?;
        Ok(Self { store, prefix, name: name.trim_end_matches('/').to_owned() })
    }

    /// Reads a file.
    pub(super) async fn get(&self, file: &str) -> Result<Bytes, ExportError> {
        let read = async { self.store.get(&self.path(file)).await?.bytes().await };
        read.await.map_err(|source| self.failed(file, source))
    }

    /// Reads the end of a file, so many bytes if it has them, and tells its size.
    pub(super) async fn end(&self, file: &str, bytes: u64) -> Result<(Bytes, u64), ExportError> {
        let path = self.path(file);
        let read = async {
            let size = self.store.head(&path).await?.size;
            let end = self.store.get_range(&path, size.saturating_sub(bytes)..size).await?;
            Ok((end, size))
        };
        read.await.map_err(|source| self.failed(file, source))
    }

    /// Every Parquet file under a folder of it, by name, sorted.
    pub(super) async fn files(&self, folder: &str) -> Result<Vec<String>, ExportError> {
        let listed = self.store.list(Some(&self.path(folder)));
        let found: Vec<_> =
            listed.try_collect().await.map_err(|source| self.failed(folder, source))?;
        let names = found.iter().filter_map(|it| {
            let parts: Vec<_> = it.location.prefix_match(&self.prefix)?.collect();
            let names: Vec<_> = parts.iter().map(|it| it.as_ref()).collect();
            Some(names.join("/"))
        });
        let mut names: Vec<_> = names.filter(|it| it.ends_with(".parquet")).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn path(&self, file: &str) -> Path {
        // The parts of a name are ours: letters, digits, `=`, `-`, `_` and dots.
        file.split('/').fold(self.prefix.clone(), |path, part| path.join(part))
    }

    fn failed(&self, file: &str, source: object_store::Error) -> ExportError {
        ExportError::Place { file: format!("{}/{file}", self.name), source }
    }
}

fn boxed(store: impl ObjectStore) -> Box<dyn ObjectStore> {
    Box::new(store)
}

impl Place for Destination {
    fn name(&self) -> &str {
        &self.name
    }

    fn put<'a>(&'a self, file: &'a str, bytes: Bytes) -> BoxFuture<'a, Result<(), ExportError>> {
        Box::pin(async move {
            let put = self.store.put(&self.path(file), bytes.into()).await;
            put.map(drop).map_err(|source| self.failed(file, source))
        })
    }

    fn remove<'a>(&'a self, file: &'a str) -> BoxFuture<'a, Result<(), ExportError>> {
        Box::pin(async move {
            match self.store.delete(&self.path(file)).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(source) => Err(self.failed(file, source)),
            }
        })
    }

    fn any_of<'a>(&'a self, log_id: &'a str) -> BoxFuture<'a, Result<Option<String>, ExportError>> {
        Box::pin(async move {
            let mut listed = self.store.list(Some(&self.prefix));
            while let Some(found) = listed.next().await {
                let found = found.map_err(|source| self.failed("", source))?;
                let name = found.location.to_string();
                if is_of_log(&name, log_id) {
                    return Ok(Some(name));
                }
            }
            Ok(None)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_what_is_none_is_told_without_its_secrets() {
        let check = |to: &str, wanted: Result<&str, &str>| match (Destination::open(to), wanted) {
            (Ok(it), Ok(name)) => assert_eq!(it.name(), name),
            (Err(error), Err(part)) => {
                let told = error.to_string();
                assert!(told.contains(part) && !told.contains("hunter2"), "{to}: {told}");
            }
            (it, _) => panic!("{to}: {:?}", it.map(|it| it.name)),
        };
        check("s3://bucket/some/path/", Ok("s3://bucket/some/path"));
        check("s3://bucket", Ok("s3://bucket"));
        check("s3://me:hunter2@bucket/x", Err("no key"));
        check("s3://bucket/x?sig=hunter2", Err("no key"));
        check("s3:///x", Err("no bucket"));
        check("ftp://bucket/hunter2", Err("s3://"));
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().canonicalize().unwrap().join("a/b");
        let name = format!("file://{}", inside.display());
        check(inside.to_str().unwrap(), Ok(&name));
        check(&name, Ok(&name));
        assert!(inside.is_dir());
        std::fs::write(folder.path().join("file"), "").unwrap();
        check(folder.path().join("file").to_str().unwrap(), Err("cannot be made"));
    }

    #[tokio::test]
    async fn files_are_put_over_listed_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let place = Destination::open(folder.path().to_str().unwrap()).unwrap();
        let file = "outcomes/date=2026-01-02/part-ab-1-2.parquet";
        assert_eq!(place.any_of("ab").await.unwrap(), None);
        for content in ["first", "second"] {
            place.put(file, Bytes::from(content)).await.unwrap();
            assert_eq!(place.get(file).await.unwrap(), content.as_bytes());
        }
        assert_eq!(std::fs::read(folder.path().join(file)).unwrap(), b"second");
        assert_eq!(place.files("outcomes").await.unwrap(), [file]);
        assert_eq!(place.files("feedback").await.unwrap(), [""; 0]);
        assert!(place.any_of("ab").await.unwrap().is_some());
        assert_eq!(place.any_of("cd").await.unwrap(), None);
        place.remove(file).await.unwrap();
        place.remove(file).await.unwrap();
        assert_eq!(place.any_of("ab").await.unwrap(), None);
    }
}
