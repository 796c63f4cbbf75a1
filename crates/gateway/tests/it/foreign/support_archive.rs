//! The archive for support, opened by an unpacker that nobody here wrote.

use std::time::Duration;

use super::folder::Folder;
use super::gateway::binary;
use super::peer;
use super::program::Program;

/// Lists the members of an archive with their modes, and fails on one that would leave its folder.
const UNPACK: &str = "\
import sys, tarfile
with tarfile.open(sys.argv[1], 'r:gz') as archive:
    archive.extractall(sys.argv[2], filter='data')
    for member in archive.getmembers():
        print(oct(member.mode), member.name)
";

#[tokio::test]
async fn pythons_tarfile_unpacks_it_and_every_file_stands_in_one_folder() {
    let folder = Folder::new("archive");
    let data = folder.path().join("patchcord-data");
    std::fs::create_dir_all(&data).unwrap();
    let record = "{\"call_id\":\"call_1707204900000_aa\",\"from\":\"9876543210\",\"bot\":\"echo\"}\n";
    std::fs::write(data.join("calls.jsonl"), record).unwrap();
    let nothing_listens = "[http]\nlisten = \"127.0.0.1:0\"\n[sip]\nlisten = [\"udp:127.0.0.1:0\"]\n";
    std::fs::write(folder.path().join("patchcord.toml"), nothing_listens).unwrap();

    let packing = Program::start("doctor", binary(), ["doctor", "--bundle", "call_17"], folder.path());
    let (lines, status) = packing.finish(PATIENCE).await;
    assert!(status.success() && lines == ["patchcord-call_1707204900000_aa.tar.gz"], "{lines:?}");
    let archive = folder.file(&lines[0]);

    let unpacked = folder.file("unpacked");
    let python = peer(".venv/bin/python").display().to_string();
    let unpacking = Program::start("tarfile", python, ["-c", UNPACK, &archive, &unpacked], folder.path());
    let (members, status) = unpacking.finish(PATIENCE).await;
    assert!(status.success(), "{members:?}");
    let inside = members.iter().all(|line| line.starts_with("0o600 patchcord-call_1707204900000_aa/"));
    assert!(inside && members.len() == 6, "{members:?}");
    let read = |name: &str| {
        std::fs::read_to_string(format!("{unpacked}/patchcord-call_1707204900000_aa/{name}")).unwrap()
    };
    assert!(read("wire.txt").contains("[log] wire = true"));
    assert!(read("call.json").contains("<10 digits>") && !read("call.json").contains("9876543210"));

    let again = Program::start("again", binary(), ["doctor", "--bundle", "last"], folder.path());
    assert_eq!(again.finish(PATIENCE).await.1.code(), Some(1), "an archive is not overwritten");
    let unknown = Program::start("unknown", binary(), ["doctor", "--bundle", "call_2"], folder.path());
    assert_eq!(unknown.finish(PATIENCE).await.1.code(), Some(1));
}

const PATIENCE: Duration = Duration::from_secs(30);
