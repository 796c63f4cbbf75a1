//! What becomes of a recording that is deleted on its way to a bucket, which a server on loopback plays.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Method, StatusCode, Uri};

use super::super::Folders;
use super::super::retention::{delete_call, delete_files};
use super::*;
use crate::config::{S3, Secret, WebUrl};
use crate::net::Egress;
use crate::tasks::Tasks;

const CALL: &str = "call_1707204900000_070707070707070707070707";

#[tokio::test]
async fn a_recording_deleted_on_its_way_to_the_bucket_is_deleted_there_as_well() {
    // Deleted while it arrives; and by somebody who saw it here, after it has moved.
    for is_early in [true, false] {
        let root = Root::new(if is_early { "early" } else { "late" });
        let (catalogue, objects) = (root.catalogue(), Objects::default());
        let note = FileNote { file: "2024-02-06/a.wav".into(), format: "wav".into(), ..FileNote::default() };
        let path = catalogue.path_of(&note);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "sound").unwrap();
        catalogue.add(CALL, note.clone()).unwrap();
        let seen = catalogue.find(CALL).unwrap().unwrap();
        let bucket = bucket(objects.clone(), is_early.then(|| catalogue.clone())).await;
        move_one(&catalogue, &bucket, CALL, &note).await.unwrap();
        if !is_early {
            assert_eq!(objects.lock().unwrap().values().collect::<Vec<_>>(), [&5]);
            let (deleted, error) = delete_files(&catalogue, Some(&bucket), &seen, "asked", |_| true).await;
            assert_eq!((deleted, error.is_none()), (1, true));
        }
        assert!(objects.lock().unwrap().is_empty(), "early: {is_early}");
        assert!(!path.exists());
        let noted = catalogue.find(CALL).unwrap().unwrap();
        assert_eq!((noted.files[0].place, noted.files[0].deletion.is_some()), (Place::Bucket, true));
    }
}

#[test]
fn what_is_left_in_the_bucket_of_a_deleted_recording_is_due_again() {
    let root = Root::new("left");
    let catalogue = root.catalogue();
    for (file, place) in [("a", Place::Leftover), ("b", Place::Bucket), ("c", Place::Folder)] {
        catalogue.add(CALL, FileNote { file: file.into(), place, ..FileNote::default() }).unwrap();
    }
    let due = still_here(&catalogue).unwrap();
    assert_eq!(due.iter().map(|(_, note)| note.file.as_str()).collect::<Vec<_>>(), ["a", "c"]);
}

#[tokio::test]
async fn a_recording_that_cannot_be_moved_holds_up_no_other_and_one_that_vanished_is_noted() {
    let root = Root::new("held-up");
    let (catalogue, objects) = (root.catalogue(), Objects::default());
    // Names in the order in which they are found: many whose file is none, one that is gone, one that is good.
    for n in 0..FAILURES_IN_A_ROW_MAX + 2 {
        let note = FileNote { file: format!("a{n}"), format: "wav".into(), ..FileNote::default() };
        std::fs::create_dir_all(catalogue.path_of(&note)).unwrap();
        catalogue.add(CALL, note).unwrap();
    }
    for file in ["gone", "good"] {
        catalogue
            .add(CALL, FileNote { file: file.into(), format: "wav".into(), ..FileNote::default() })
            .unwrap();
    }
    let good =
        catalogue.find(CALL).unwrap().unwrap().files.into_iter().find(|note| note.file == "good").unwrap();
    std::fs::write(catalogue.path_of(&good), "sound").unwrap();
    let bucket = bucket(objects.clone(), None).await;
    let (mut troubled, stop) = (HashSet::new(), CancellationToken::new());
    for _ in 0..2 {
        assert!(move_all(&catalogue, &bucket, &mut troubled, &stop).await.is_err());
    }
    assert_eq!(objects.lock().unwrap().len(), 1);
    let files = catalogue.find(CALL).unwrap().unwrap().files;
    let note = |name: &str| files.iter().find(|note| note.file == name).unwrap();
    assert_eq!(note("good").place, Place::Bucket);
    assert_eq!(note("gone").deletion.as_ref().unwrap().why, "vanished");
}

/// A folder of its own.
struct Root(PathBuf);

impl Root {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("patchcord-uploads-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        Self(root)
    }

    fn catalogue(&self) -> Arc<Catalogue> {
        Arc::new(Catalogue::new(&Folders::of(&self.0, &self.0.join("recordings"))))
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a bucket holds: lengths by path.
type Objects = Arc<Mutex<BTreeMap<String, usize>>>;

/// A bucket on loopback; recordings of the call in `deleting` are deleted while they arrive.
async fn bucket(objects: Objects, deleting: Option<Arc<Catalogue>>) -> Bucket {
    let answer = move |method: Method, uri: Uri, body: Bytes| {
        let (objects, deleting) = (objects.clone(), deleting.clone());
        async move { keep(&objects, deleting, (method, uri.path().to_owned()), body.len()).await }
    };
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = WebUrl::parse(&format!("http://{}", socket.local_addr().unwrap())).unwrap();
    tokio::spawn(axum::serve(socket, Router::new().fallback(answer)).into_future());
    let (tasks, _threads) = Tasks::start(1).unwrap();
    let settings = S3 {
        endpoint,
        region: "eu-central-1".into(),
        bucket: "tapes".into(),
        prefix: String::new(),
        access_key: "key".into(),
        secret_key: Secret::new("secret"),
    };
    Bucket::new(&settings, Egress::new(tasks)).unwrap()
}

async fn keep(
    objects: &Objects,
    deleting: Option<Arc<Catalogue>>,
    (method, path): (Method, String),
    length: usize,
) -> Response {
    if method == Method::PUT {
        objects.lock().unwrap().insert(path, length);
        if let Some(catalogue) = deleting {
            assert_eq!(delete_call(&catalogue, None, CALL).await.unwrap(), Some(1));
        }
        return StatusCode::OK.into_response();
    }
    let mut objects = objects.lock().unwrap();
    if method == Method::DELETE {
        objects.remove(&path);
        return StatusCode::NO_CONTENT.into_response();
    }
    match objects.get(&path) {
        Some(length) => [(CONTENT_LENGTH, length.to_string())].into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
