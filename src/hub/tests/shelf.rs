//! A hub on loopback: a listing, files, and for the weights a redirect to a CDN at another port.
//!
//! In: the files of an encoder, and what is to go wrong. Out: answers as the hub gives them (302 with
//! `x-linked-etag`, ranges with `If-Range`), and what it was asked. Invariant: port 0; one request a
//! connection.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::domain::sha256_hex;
use crate::encoder::sample;

pub(super) const COMMIT: &str = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00";
pub(super) const WEIGHTS: &str = "model.safetensors";

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) headers: BTreeMap<String, String>,
}

/// What the hub holds and how it misbehaves.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// What the listing says instead of the weights' own checksum and size.
    pub(super) told_sha256: Option<String>,
    pub(super) told_size: Option<u64>,
    /// After so many bytes of the weights the line breaks, once each.
    pub(super) cuts: VecDeque<usize>,
    /// Sent after the weights' end.
    pub(super) surplus: usize,
    /// Answers a range whatever `If-Range` says.
    pub(super) heedless: bool,
    pub(super) token: Option<String>,
    pub(super) asked: Vec<Asked>,
}

/// A running hub.
#[derive(Clone)]
pub(super) struct Running {
    shelf: Arc<Mutex<Shelf>>,
    pub(super) address: String,
}

struct Reply {
    head: String,
    body: Vec<u8>,
}

impl Running {
    /// A hub with the made-up encoder.
    pub(super) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        sample::write(folder.path(), 7).unwrap();
        let mut shelf = Shelf::default();
        for path in
            ["config.json", "tokenizer.json", WEIGHTS, "modules.json", "1_Pooling/config.json"]
        {
            shelf.files.insert(path.to_owned(), std::fs::read(folder.path().join(path)).unwrap());
        }
        let shelf = Arc::new(Mutex::new(shelf));
        let (hub, cdn) = (listener().await, listener().await);
        let at = |it: &TcpListener| format!("http://{}", it.local_addr().unwrap());
        let (address, elsewhere) = (at(&hub), at(&cdn));
        for listener in [hub, cdn] {
            let (shelf, elsewhere) = (Arc::clone(&shelf), elsewhere.clone());
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, Arc::clone(&shelf), elsewhere.clone()));
                }
            });
        }
        Self { shelf, address }
    }

    pub(super) fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap()
    }

    /// What was asked for the weights at the CDN, of late.
    pub(super) fn ranges(&self) -> Vec<Option<String>> {
        let mut shelf = self.shelf();
        let asked = std::mem::take(&mut shelf.asked).into_iter();
        let asked = asked.filter(|it| it.path.starts_with("/cdn/"));
        asked.map(|it| it.headers.get("range").cloned()).collect()
    }

    /// Whether a folder holds what the hub holds.
    pub(super) fn is_in(&self, folder: &Path) -> bool {
        self.shelf()
            .files
            .iter()
            .all(|(path, bytes)| std::fs::read(folder.join(path)).is_ok_and(|it| it == *bytes))
    }
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

async fn serve(mut stream: TcpStream, shelf: Arc<Mutex<Shelf>>, elsewhere: String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let asked = parse(&String::from_utf8(head).unwrap());
    let reply = shelf.lock().unwrap().answer(asked, &elsewhere);
    let _ = stream
        .write_all(format!("HTTP/1.1 {}\r\nconnection: close\r\n\r\n", reply.head).as_bytes())
        .await;
    let _ = stream.write_all(&reply.body).await;
    let _ = stream.shutdown().await;
}

fn parse(head: &str) -> Asked {
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let fields = head.lines().skip(1).filter_map(|it| it.split_once(": "));
    let headers = fields.map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    Asked { path, headers: headers.collect() }
}

impl Shelf {
    fn answer(&mut self, asked: Asked, elsewhere: &str) -> Reply {
        self.asked.push(asked.clone());
        let wanted = self.token.as_ref().map(|it| format!("Bearer {it}"));
        let cdn = asked.path.strip_prefix("/cdn/").map(str::to_owned);
        if cdn.is_none()
            && asked.headers.get("authorization") != wanted.as_ref()
            && wanted.is_some()
        {
            return status("401 Unauthorized");
        }
        if asked.path.starts_with("/api/models/some/encoder/revision/main") {
            let body = self.listing();
            return Reply { head: format!("200 OK\r\ncontent-length: {}", body.len()), body };
        }
        if let Some(path) = cdn {
            return self.file(&path, &asked);
        }
        let start = format!("/some/encoder/resolve/{COMMIT}/");
        match asked.path.strip_prefix(&start) {
            Some(WEIGHTS) => status(&format!(
                "302 Found\r\ncontent-length: 0\r\nx-linked-etag: \"x\"\r\nlocation: {elsewhere}/cdn/{WEIGHTS}"
            )),
            Some(path) if self.files.contains_key(path) => self.file(path, &asked),
            Some(_) | None => status("404 Not Found"),
        }
    }

    fn listing(&self) -> Vec<u8> {
        let each = self.files.iter().map(|(path, bytes)| {
            let mut file = json!({ "rfilename": path, "blobId": "0", "size": bytes.len() });
            if path == WEIGHTS {
                let sha256 = self.told_sha256.clone().unwrap_or_else(|| sha256_hex(bytes));
                let size = self.told_size.unwrap_or(bytes.len() as u64);
                file["size"] = size.into();
                file["lfs"] = json!({ "sha256": sha256, "size": size, "pointerSize": 134 });
            }
            file
        });
        let siblings: Vec<_> = each.collect();
        json!({ "id": "some/encoder", "sha": COMMIT, "siblings": siblings })
            .to_string()
            .into_bytes()
    }

    fn file(&mut self, path: &str, asked: &Asked) -> Reply {
        let bytes = self.files[path].clone();
        let etag = format!("\"{}\"", sha256_hex(&bytes));
        let range = asked.headers.get("range").filter(|_| {
            self.heedless || asked.headers.get("if-range").is_none_or(|it| *it == etag)
        });
        let from: usize = range
            .map_or(0, |it| it.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap());
        let mut body = bytes[from.min(bytes.len())..].to_vec();
        let (size, length) = (bytes.len(), body.len());
        let mut head = match range {
            Some(_) if from >= size => return status("416 Range Not Satisfiable"),
            Some(_) => {
                format!("206 Partial Content\r\ncontent-range: bytes {from}-{}/{size}", size - 1)
            }
            None => "200 OK".to_owned(),
        };
        head += &format!("\r\netag: {etag}");
        if path == WEIGHTS && self.surplus > 0 {
            // No length: it ends when the line does.
            body.extend(vec![0; self.surplus]);
            return Reply { head, body };
        }
        if path == WEIGHTS
            && let Some(cut) = self.cuts.pop_front()
        {
            body.truncate(cut);
        }
        Reply { head: format!("{head}\r\ncontent-length: {length}"), body }
    }
}

fn status(head: &str) -> Reply {
    Reply { head: head.to_owned(), body: Vec::new() }
}
