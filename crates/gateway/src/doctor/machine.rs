//! The machine: processors, memory, open files, buffers, disk, clock.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};

use super::Check;
use crate::calls::CALLS_MAX;
use crate::clock::unix_ms;
use crate::config::Config;

/// What runs on what.
pub fn version() -> Vec<Check> {
    let system = rustix::system::uname();
    let text = |word: &std::ffi::CStr| word.to_string_lossy().into_owned();
    let found = format!(
        "patchcord {} on {} {} {}",
        env!("CARGO_PKG_VERSION"),
        text(system.sysname()),
        text(system.release()),
        text(system.machine())
    );
    vec![Check::ok("version", "program", found)]
}

/// Everything else.
pub fn all(config: &Config) -> Vec<Check> {
    let checks = [
        Some(processors()),
        memory(),
        Some(open_files()),
        udp_buffers(),
        Some(disk(&config.server.data_dir)),
        Some(clock()),
    ];
    checks.into_iter().flatten().collect()
}

fn processors() -> Check {
    match std::thread::available_parallelism().map_or(1, std::num::NonZero::get) {
        1 => Check::warn(
            "machine",
            "processors",
            "1: media shares it with everything else",
            "give the machine a second processor for more than a few dozen calls",
        ),
        cores => Check::ok("machine", "processors", format!("{cores}: a media worker on each")),
    }
}

fn memory() -> Option<Check> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let mib = line.split_whitespace().next()?.parse::<u64>().ok()? / 1_024;
    let found = format!("{mib} MiB available");
    Some(if mib < MEMORY_MIB_MIN {
        Check::warn(
            "machine",
            "memory",
            found,
            format!("have {MEMORY_MIB_MIN} MiB free for {CALLS_MAX} calls"),
        )
    } else {
        Check::ok("machine", "memory", found)
    })
}

fn open_files() -> Check {
    let Some(limit) = getrlimit(Resource::Nofile).maximum else {
        return Check::ok("machine", "open files", "no limit");
    };
    let calls =
        usize::try_from(limit.saturating_sub(FILES_BESIDE_CALLS) / FILES_PER_CALL).unwrap_or(usize::MAX);
    let found = format!("{limit}: enough for {} calls at a time", calls.min(CALLS_MAX));
    let needed = CALLS_MAX as u64 * FILES_PER_CALL + FILES_BESIDE_CALLS;
    match calls {
        0 => Check::fail("machine", "open files", found, cure_files(needed)),
        calls if calls < CALLS_MAX => Check::warn("machine", "open files", found, cure_files(needed)),
        _ => Check::ok("machine", "open files", found),
    }
}

fn cure_files(needed: u64) -> String {
    format!("ulimit -Hn {needed}, or LimitNOFILE={needed} in the service's unit")
}

fn udp_buffers() -> Option<Check> {
    let path = "/proc/sys/net/core/rmem_max";
    let bytes: u64 = std::fs::read_to_string(path).ok()?.trim().parse().ok()?;
    let found = format!("net.core.rmem_max is {bytes} bytes");
    Some(if bytes < UDP_BUFFER_BYTES_MIN {
        Check::warn(
            "machine",
            "UDP buffers",
            format!("{found}: a burst of SIP may be lost"),
            format!("sysctl -w net.core.rmem_max={UDP_BUFFER_BYTES_MIN}"),
        )
    } else {
        Check::ok("machine", "UDP buffers", found)
    })
}

/// Whether the data folder can be written, or made where it is to be, and how much room it has.
fn disk(data_dir: &Path) -> Check {
    let subject = "server.data_dir";
    let shown = data_dir.display();
    // `serve` makes the folder: what counts until then is the nearest one that exists.
    let absolute = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_owned());
    let existing = absolute.ancestors().find(|path| path.exists()).map_or_else(PathBuf::new, Path::to_owned);
    if let Err(error) = write_and_remove(&existing) {
        let cure = "let the program's user write there, or set server.data_dir";
        return Check::fail("machine", subject, format!("{shown} cannot be written: {error}"), cure);
    }
    let Ok(system) = rustix::fs::statvfs(&existing) else {
        return Check::ok("machine", subject, format!("{shown} can be written"));
    };
    let mib = system.f_bavail.saturating_mul(system.f_frsize) / (1 << 20);
    let found = format!("{shown} can be written, {mib} MiB free");
    let cure = "make room, or set server.data_dir to a larger disk";
    match mib {
        ..DISK_MIB_MIN => Check::fail("machine", subject, found, cure),
        DISK_MIB_MIN..DISK_MIB_GOOD => Check::warn("machine", subject, found, cure),
        _ => Check::ok("machine", subject, found),
    }
}

fn write_and_remove(folder: &Path) -> std::io::Result<()> {
    let file = folder.join(format!(".patchcord-doctor-{}", std::process::id()));
    std::fs::write(&file, b"doctor").and_then(|()| std::fs::remove_file(&file))
}

/// Whether wall time is of this age and runs as fast as time passes.
fn clock() -> Check {
    let (began, wall) = (Instant::now(), unix_ms());
    std::thread::sleep(CLOCK_WATCHED);
    let passed = i128::try_from(began.elapsed().as_millis()).unwrap_or_default();
    let off = i128::from(unix_ms()) - i128::from(wall) - passed;
    let cure = "run a time service: timedatectl set-ntp true";
    if wall < YEAR_2025_MS {
        return Check::fail(
            "clock",
            "wall time",
            "it is before 2025: certificates will not be trusted",
            cure,
        );
    }
    if off.unsigned_abs() > CLOCK_SLIP_MS_BAD {
        return Check::warn("clock", "wall time", format!("it moved by {off} ms while it was watched"), cure);
    }
    Check::ok("clock", "wall time", "of this age, and steady")
}

/// What a thousand calls and the rest of the program need (performance marks: 64 kB a call).
const MEMORY_MIB_MIN: u64 = 256;

/// RTP, RTCP and the bot's socket.
const FILES_PER_CALL: u64 = 3;

/// Listening sockets, connections of SIP and HTTP, files.
const FILES_BESIDE_CALLS: u64 = 256;

/// What Linux gives by default.
const UDP_BUFFER_BYTES_MIN: u64 = 212_992;

/// Below it records are soon lost.
const DISK_MIB_MIN: u64 = 50;

/// Below it somebody should look.
const DISK_MIB_GOOD: u64 = 1_024;

const YEAR_2025_MS: u64 = 1_735_689_600_000;
const CLOCK_WATCHED: Duration = Duration::from_millis(50);

/// What scheduling may make of [`CLOCK_WATCHED`], and more than a time service corrects in it.
const CLOCK_SLIP_MS_BAD: u128 = 20;

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_written_fails_and_names_its_key() {
        let check = disk(Path::new("/proc/patchcord"));
        assert_eq!((check.verdict, check.subject.as_str()), (Verdict::Fail, "server.data_dir"));
        assert!(check.cure.unwrap().contains("server.data_dir"));
    }

    #[test]
    fn a_folder_that_does_not_exist_yet_is_judged_by_the_one_it_will_stand_in_and_not_made() {
        let folder = std::env::temp_dir().join(format!("patchcord-doctor-{}", std::process::id()));
        let check = disk(&folder.join("a/b"));
        assert_ne!(check.verdict, Verdict::Fail, "{check:?}");
        assert!(!folder.exists());
    }

    #[test]
    fn the_clock_of_a_machine_that_runs_tests_is_sane() {
        assert_ne!(clock().verdict, Verdict::Fail);
    }
}
