//! Everything that has to do with recordings, opened together.

use std::sync::Arc;

use anyhow::Context;
use tokio::sync::Notify;

use super::Folders;
use super::catalogue::Part;
use super::links::{CallLinks, Links};
use super::recorder::{Ready, Recorder, RecorderThreads};
use super::retention::retain;
use super::s3_client::Bucket;
use super::uploads::upload;
use crate::clock::unix_ms;
use crate::config::{Config, CurrentConfig};
use crate::net::Egress;
use crate::store::{Fact, RecordedPart, Store, StoredRecording};
use crate::tasks::Tasks;

/// What everybody needs who has to do with recordings.
#[derive(Debug, Clone)]
pub struct Studio {
    /// Where calls hand their sound to.
    pub recorder: Recorder,
    /// What links are signed with.
    pub links: Links,
    /// The links that calls are told of with.
    pub call_links: CallLinks,
    /// Where recordings are moved to.
    pub bucket: Option<Bucket>,
}

impl Studio {
    /// Opens it, and starts what is done beside calls.
    ///
    /// # Errors
    /// The system's, with the path in its text.
    pub fn open(
        config: &Config,
        current: &CurrentConfig,
        tasks: &Tasks,
        store: &Store,
    ) -> anyhow::Result<(Self, RecorderThreads)> {
        let place = &config.recording.place;
        let folders = Folders::of(&config.server.data_dir, &config.recordings());
        let finished = Arc::<Notify>::default();
        let wake = finished.clone();
        let told = store.clone();
        let tell = move |ready: Ready| {
            if let Some(fact) = fact(&ready) {
                told.tell(&ready.call_id, fact, unix_ms());
            }
            wake.notify_one();
        };
        let (recorder, threads) = Recorder::open(&folders, tell).context("recordings")?;
        let links = Links::open(&config.server.data_dir).context("the key of links to recordings")?;
        let call_links = CallLinks::new(links.clone(), current.clone());
        let egress = Egress::new(tasks.clone());
        let bucket = place.bucket.as_ref().map(|bucket| Bucket::new(bucket, egress)).transpose()?;
        let catalogue = recorder.catalogue().clone();
        if let Some(bucket) = bucket.clone() {
            tasks.spawn("uploads", upload(catalogue.clone(), bucket, finished, tasks.stop().clone()));
        }
        let current = current.clone();
        let keep = move || current.snapshot().recording.keep;
        let (curves, stop) = (recorder.curves().clone(), tasks.stop().clone());
        tasks.spawn("retention", retain(catalogue, curves, bucket.clone(), keep, stop));
        Ok((Self { recorder, links, call_links, bucket }, threads))
    }
}

/// What the store learns of a recording that is durable: whoever is told of it can fetch it.
pub(super) fn fact(ready: &Ready) -> Option<Fact> {
    let part = match ready.note.part {
        Part::Bot => RecordedPart::Bot,
        Part::Whole | Part::Voicemail if ready.is_second_part => RecordedPart::Whole,
        // Nobody but the bot had the call: its part is all of it.
        Part::Whole | Part::Voicemail => RecordedPart::Bot,
    };
    // Every message that somebody left is news; of a call that was recorded in pieces, the first.
    (ready.is_first || ready.note.part == Part::Voicemail)
        .then(|| Fact::Recording(StoredRecording { part, file: ready.note.file.as_str().into() }))
}
