//! `patchcord doctor`: what keeps calls from working here, and what to change where.

use std::fmt::Write as _;

use super::args::DoctorArgs;
use super::exit::Exit;
use super::terminal::{Ink, data, paint, paint_data, talk, tell_refusal};
use crate::config::{Environment, WebUrl};
use crate::doctor::{Check, Examination, Report, Verdict, examine};
use crate::open_files;
use crate::tasks::Tasks;

/// Runs `patchcord doctor`.
pub fn run(args: &DoctorArgs) -> Exit {
    let server = match args.server.as_deref().map(WebUrl::parse).transpose() {
        Ok(server) => server,
        Err(refusal) => {
            tell_refusal(&refusal);
            return Exit::Usage;
        }
    };
    // As `serve` does, so that the limit that is told is the one that counts.
    open_files::raise_limit();
    let examination =
        Examination { file: args.config.clone(), environment: Environment::of_process(), server };
    let report = match look(&examination) {
        Ok(report) => report,
        Err(error) => {
            talk(&paint(&error.to_string(), Ink::Red));
            return Exit::Failed;
        }
    };
    if args.json {
        data(&format!("{:#}\n", report.as_json()));
    } else {
        data(&as_table(&report, &paint_data));
    }
    match (report.is_server_missing, report.count(Verdict::Fail)) {
        (true, _) => Exit::Unreachable,
        (false, 0) => Exit::Ok,
        (false, _) => Exit::Failed,
    }
}

/// Does the checks on a runtime of their own.
fn look(examination: &Examination) -> std::io::Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        let (tasks, threads) = Tasks::start(1)?;
        let report = examine(examination, tasks).await;
        threads.join();
        Ok(report)
    });
    // A name that is still being resolved holds nobody up.
    runtime.shutdown_background();
    report
}

/// A line a check, and what to change below those that want it.
fn as_table(report: &Report, paint: &dyn Fn(&str, Ink) -> String) -> String {
    let width = |length: fn(&Check) -> usize| report.checks.iter().map(length).max().unwrap_or(0).min(40);
    let areas = width(|check| check.area.chars().count());
    let subjects = width(|check| check.subject.chars().count());
    let mut text = String::new();
    for check in &report.checks {
        let ink = match check.verdict {
            Verdict::Ok => Ink::Green,
            Verdict::Warn => Ink::Yellow,
            Verdict::Fail => Ink::Red,
        };
        let verdict = paint(&format!("{:<4}", check.verdict.word()), ink);
        let (area, subject) = (check.area, &check.subject);
        let _ = writeln!(text, "{verdict}  {area:<areas$}  {subject:<subjects$}  {}", check.found);
        if let Some(cure) = &check.cure {
            let _ = writeln!(
                text,
                "{:>indent$}{}",
                "",
                paint(&format!("→ {cure}"), Ink::Bold),
                indent = 8 + areas + subjects
            );
        }
    }
    let counted = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    let _ = writeln!(
        text,
        "{}: {} ok, {}, {}",
        counted(report.checks.len(), "check"),
        report.count(Verdict::Ok),
        counted(report.count(Verdict::Warn), "warning"),
        counted(report.count(Verdict::Fail), "failure"),
    );
    text
}
