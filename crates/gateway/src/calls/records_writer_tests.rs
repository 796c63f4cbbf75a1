//! The file of ended calls on disks that refuse, stand still, or lost their power.

use std::sync::mpsc::sync_channel;

use super::*;
use crate::calls::records::{FILE_NAME, Labels, Records};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("patchcord-records-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self) -> PathBuf {
        self.0.join(FILE_NAME)
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.path()).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn until(done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "it never came to that");
        std::thread::yield_now();
    }
}

fn line(n: usize) -> String {
    format!("{{\"n\":{n}}}")
}

#[test]
fn every_line_is_on_the_disk_when_the_thread_has_ended() {
    let folder = Folder::new("lines");
    let (records, thread) = Records::open(&folder.0, Labels::default()).unwrap();
    (0..3).for_each(|n| records.append(line(n)));
    thread.join();
    assert_eq!(folder.text(), "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n");
    assert_eq!((records.written(), records.lost(), records.is_failing()), (3, 0, false));
}

#[test]
fn lines_wait_for_a_full_disk_and_are_written_in_order_once_it_takes_them_though_no_other_call_ends() {
    let folder = Folder::new("full");
    std::os::unix::fs::symlink("/dev/full", folder.path()).unwrap();
    let (records, thread) = Records::open(&folder.0, Labels::default()).unwrap();
    (0..5).for_each(|n| records.append(line(n)));
    until(|| records.is_failing());
    records.append(line(5));
    assert_eq!((records.written(), records.lost()), (0, 0));
    let roomy = folder.0.join("roomy");
    std::fs::write(&roomy, "{\"n\":\"before\"}\n").unwrap();
    std::fs::rename(&roomy, folder.path()).unwrap();
    until(|| !records.is_failing());
    let expected: String = (0..6).map(|n| line(n) + "\n").collect();
    assert_eq!(folder.text(), format!("{{\"n\":\"before\"}}\n{expected}"));
    assert_eq!((records.written(), records.lost()), (6, 0));
    thread.join();
}

#[test]
fn only_what_finds_no_room_to_wait_is_lost() {
    let folder = Folder::new("room");
    std::os::unix::fs::symlink("/dev/full", folder.path()).unwrap();
    let (records, thread) = Records::open(&folder.0, Labels::default()).unwrap();
    records.append(line(0));
    until(|| records.is_failing());
    (1..RECORDS_WAITING_MAX + 3).for_each(|n| records.append(line(n)));
    assert_eq!(records.lost(), 3);
    std::fs::remove_file(folder.path()).unwrap();
    // The end does not wait for the timer.
    thread.join();
    let expected: String = (0..RECORDS_WAITING_MAX).map(|n| line(n) + "\n").collect();
    assert_eq!(folder.text(), expected);
    assert_eq!((records.lost(), records.is_failing()), (3, false));
}

#[test]
fn a_disk_that_stands_still_is_told_when_no_more_records_can_wait_and_recovers_by_itself() {
    let folder = Folder::new("slow");
    let health = Arc::<Health>::default();
    let (queue, entries) = sync_channel(RECORDS_WAITING_MAX);
    for n in 0..RECORDS_WAITING_MAX {
        assert!(health.take_place());
        queue.send(Entry::Line(line(n))).unwrap();
    }
    assert!(!health.is_failing() && !health.take_place());
    health.failing.store(true, Ordering::Relaxed);
    assert!(health.is_failing());
    drop(queue);
    Writer::open(&folder.path(), health.clone()).unwrap().run(&entries);
    let written = health.written.load(Ordering::Relaxed);
    assert_eq!((written, health.is_failing()), (RECORDS_WAITING_MAX as u64, false));
}

#[test]
fn what_could_not_be_taken_back_from_the_file_is_cut_before_the_next_line() {
    let folder = Folder::new("half");
    std::fs::write(folder.path(), "{\"n\":0}\n{\"n\":1}\n{\"n\"").unwrap();
    let mut writer = Writer::open(&folder.path(), Arc::default()).unwrap();
    std::fs::write(folder.path(), "{\"n\":0}\n{\"n\":1}\n{\"n\"").unwrap();
    writer.torn = Some((writer.file.metadata().unwrap().ino(), 8));
    (writer.lines, writer.count) = (b"{\"n\":1}\n{\"n\":2}\n".to_vec(), 2);
    writer.health.waiting.store(2, Ordering::Relaxed);
    writer.append();
    assert_eq!(folder.text(), "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n");
}

#[test]
fn a_line_that_a_crash_cut_short_is_cut_off_and_a_whole_one_gets_its_end() {
    for (left, stays) in [
        ("{\"n\":0}\n{\"call_id\":\"ca", "{\"n\":0}\n"),
        ("{\"call_id\":\"ca", ""),
        ("{\"n\":0}\n\0\0\0", "{\"n\":0}\n"),
        ("{\"n\":0}\n{\"n\":0}", "{\"n\":0}\n{\"n\":0}\n"),
        ("{\"n\":0}\n", "{\"n\":0}\n"),
    ] {
        let folder = Folder::new("torn");
        std::fs::write(folder.path(), left).unwrap();
        let (records, thread) = Records::open(&folder.0, Labels::default()).unwrap();
        records.append(line(1));
        thread.join();
        assert_eq!(folder.text(), format!("{stays}{{\"n\":1}}\n"), "{left}");
    }
}
