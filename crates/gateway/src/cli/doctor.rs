//! `patchcord doctor`: what keeps calls from working here, and what to change where.

use std::fmt::Write as _;

use serde_json::json;

use super::args::DoctorArgs;
use super::exit::Exit;
use super::terminal::{Ink, data, paint, paint_data, talk, tell_problems, tell_refusal};
use crate::config::{Environment, WebUrl};
use crate::doctor::{
    Bundle, BundleError, Check, Examination, Report, Text, Verdict, collect, examine, write_archive,
};
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
    let wanted = args.bundle.as_deref();
    let (report, bundle) = match look(&examination, wanted) {
        Ok(found) => found,
        Err(error) => return fail(&error.to_string()),
    };
    match bundle {
        Some(Ok(bundle)) => return pack(args, &bundle),
        Some(Err(BundleError::Config(problems))) => {
            tell_problems(&problems);
            return Exit::Failed;
        }
        Some(Err(error)) => return fail(&error.to_string()),
        None => {}
    }
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

fn fail(why: &str) -> Exit {
    talk(&paint(why, Ink::Red));
    Exit::Failed
}

/// Does the checks, and collects what is known of the call that is `wanted`, on a runtime of their own.
fn look(
    examination: &Examination,
    wanted: Option<&str>,
) -> std::io::Result<(Report, Option<Result<Bundle, BundleError>>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let found = runtime.block_on(async {
        let (tasks, threads) = Tasks::start(1)?;
        let report = examine(examination, tasks.clone()).await;
        let bundle = match wanted {
            Some(wanted) => Some(collect(wanted, examination, &report, tasks).await),
            None => None,
        };
        threads.join();
        Ok((report, bundle))
    });
    // A name that is still being resolved holds nobody up.
    runtime.shutdown_background();
    found
}

/// Writes the archive and says what is in it.
fn pack(args: &DoctorArgs, bundle: &Bundle) -> Exit {
    let folder = format!("patchcord-{}", bundle.call_id);
    let path = args.out.clone().unwrap_or_else(|| format!("{folder}.tar.gz").into());
    if let Err(error) = write_archive(&path, &folder, &bundle.texts) {
        return fail(&format!("{} cannot be written: {error} (choose another with --out)", path.display()));
    }
    let shown = path.display().to_string();
    if args.json {
        let file = |text: &Text| json!({ "name": text.name, "about": text.about, "bytes": text.text.len() });
        let files: Vec<_> = bundle.texts.iter().map(file).collect();
        data(&format!("{:#}\n", json!({ "call_id": bundle.call_id, "archive": shown, "files": files })));
        return Exit::Ok;
    }
    for Text { name, about, text } in &bundle.texts {
        talk(&format!("  {name:<12} {:>8} B  {about}", text.len()));
    }
    data(&format!("{shown}\n"));
    Exit::Ok
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
