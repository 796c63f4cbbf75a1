//! What the system says about a running process and about the machine, read from Linux' `/proc`.

use std::fs;
use std::io;
use std::time::Duration;

/// What a process has used so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProcessFigures {
    /// Processor time in its own code.
    pub user: Duration,
    /// Processor time in the kernel on its behalf.
    pub system: Duration,
    /// Memory that is in RAM, in kB.
    pub rss_kb: u64,
    /// Threads that live.
    pub threads: u64,
    /// Times that a thread waited or was made to wait.
    pub switches: u64,
}

/// What all processors of the machine have done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MachineFigures {
    busy: u64,
    total: u64,
    stolen: u64,
}

impl ProcessFigures {
    /// Reads the figures of a process.
    ///
    /// # Errors
    /// The system's, when the process is gone or there is no `/proc`.
    pub fn read(pid: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let (user, system) = parse_times(&stat).ok_or(io::ErrorKind::InvalidData)?;
        let mut switches = 0;
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            // A thread may end while the list is read.
            let status = fs::read_to_string(thread?.path().join("status")).unwrap_or_default();
            switches +=
                field(&status, "voluntary_ctxt_switches") + field(&status, "nonvoluntary_ctxt_switches");
        }
        Ok(Self {
            user,
            system,
            rss_kb: field(&status, "VmRSS"),
            threads: field(&status, "Threads"),
            switches,
        })
    }

    /// Processor time of both kinds.
    pub fn processor_time(&self) -> Duration {
        self.user + self.system
    }
}

impl MachineFigures {
    /// Reads the figures of the machine.
    ///
    /// # Errors
    /// The system's, when there is no `/proc`.
    pub fn read() -> io::Result<Self> {
        parse_machine(&fs::read_to_string("/proc/stat")?).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// The share (0 to 1) of all processor time since `earlier` that was spent working.
    pub fn busy_since(&self, earlier: &Self) -> f64 {
        share(self.busy - earlier.busy.min(self.busy), self.total - earlier.total.min(self.total))
    }

    /// The share (0 to 1) since `earlier` that the host gave to others.
    pub fn stolen_since(&self, earlier: &Self) -> f64 {
        share(self.stolen - earlier.stolen.min(self.stolen), self.total - earlier.total.min(self.total))
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// User and system time of `/proc/PID/stat` (proc(5), fields 14 and 15); the name before them may hold anything.
fn parse_times(stat: &str) -> Option<(Duration, Duration)> {
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let mut time = || Some(Duration::from_millis(fields.next()?.parse::<u64>().ok()? * TICK_MS));
    Some((time()?, time()?))
}

/// The number of a `Name:   123 kB` line, 0 without one.
fn field(status: &str, name: &str) -> u64 {
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.and_then(|value| value.split_ascii_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// The first line of `/proc/stat` (proc(5)): user, nice, system, idle, iowait, irq, softirq, steal.
fn parse_machine(stat: &str) -> Option<MachineFigures> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let mut ticks = [0u64; 8];
    for (to, text) in ticks.iter_mut().zip(line.split_ascii_whitespace()) {
        *to = text.parse().ok()?;
    }
    let [_, _, _, idle, waiting, _, _, stolen] = ticks;
    let total: u64 = ticks.iter().sum();
    Some(MachineFigures { busy: total - idle - waiting, total, stolen })
}

/// `/proc` counts in USER_HZ, which is 100 on every architecture that we run on.
const TICK_MS: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_behind_a_name_full_of_brackets_and_spaces() {
        let stat = "12 (a) b (c) S 1 1 1 0 -1 4194560 1 2 3 4 250 31 5 6 20 0 3 0 100 1 1";
        let (user, system) = parse_times(stat).unwrap();
        assert_eq!((user, system), (Duration::from_millis(2_500), Duration::from_millis(310)));
        assert_eq!(parse_times("12 (x) S 1"), None);
        assert_eq!(parse_times(""), None);
    }

    #[test]
    fn a_field_is_not_taken_for_the_one_whose_name_it_ends_with() {
        let status = "VmRSS:\t  1234 kB\nnonvoluntary_ctxt_switches:\t7\nvoluntary_ctxt_switches:\t5\n";
        assert_eq!(field(status, "VmRSS"), 1_234);
        assert_eq!(field(status, "voluntary_ctxt_switches"), 5);
        assert_eq!(field(status, "Threads"), 0);
    }

    #[test]
    fn stolen_and_busy_shares_are_those_of_the_time_between() {
        let before = parse_machine("cpu  100 0 50 800 50 0 0 0 0 0\n").unwrap();
        let after = parse_machine("cpu  140 0 60 840 50 0 0 10 0 0\n").unwrap();
        assert!((after.busy_since(&before) - 0.6).abs() < 1e-9);
        assert!((after.stolen_since(&before) - 0.1).abs() < 1e-9);
        assert_eq!(before.busy_since(&before), 0.0);
        assert_eq!(parse_machine("intr 5"), None);
    }

    #[test]
    fn our_own_figures_make_sense() {
        let figures = ProcessFigures::read(std::process::id()).unwrap();
        assert!(figures.rss_kb > 100 && figures.threads > 0);
        assert!(ProcessFigures::read(u32::MAX).is_err());
    }
}
