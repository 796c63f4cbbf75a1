//! The words of a conversation in a talk: `item`, `caller`, `line`, `tool`, and the answers `interrupted`, `words-wanted`,
//! `tool-done`.

use std::time::Duration;

use patchcord_core::vocabulary::{
    LineStage, Role, SpeechCommand, SpeechEdge, SpeechEvent, ToolCall, ToolResult, TranscriptLine,
};

use super::words::quote;

/// Reads what a bot says of a conversation; `None` if the words are of another kind.
pub(super) fn parse_command(words: &[&str]) -> Option<Result<SpeechCommand, String>> {
    Some(Ok(match words {
        ["item", item] => SpeechCommand::Item((*item).into()),
        ["caller", "started"] => SpeechCommand::Caller(SpeechEdge::Started { item: None }),
        ["caller", "started", item] => {
            SpeechCommand::Caller(SpeechEdge::Started { item: Some((*item).into()) })
        }
        ["caller", "stopped"] => SpeechCommand::Caller(SpeechEdge::Stopped),
        ["line", role, stage, item, text] => match (parse_role(role), parse_stage(stage)) {
            (Ok(role), Ok(stage)) => SpeechCommand::Line(TranscriptLine {
                role,
                item: (*item).into(),
                text: (*text).into(),
                stage,
            }),
            (Err(error), _) | (_, Err(error)) => return Some(Err(error)),
        },
        ["tool", id, name, arguments] => SpeechCommand::Tool(ToolCall {
            id: (*id).into(),
            name: (*name).into(),
            arguments: (*arguments).into(),
        }),
        _ => return None,
    }))
}

/// Writes what [`parse_command`] reads.
pub(super) fn format_command(command: &SpeechCommand) -> String {
    match command {
        SpeechCommand::Item(item) => format!("item {}", quote(item)),
        SpeechCommand::Caller(edge) => format_edge(edge),
        SpeechCommand::Line(line) => {
            let role = match line.role {
                Role::Caller => "caller",
                Role::Bot => "bot",
            };
            let stage = match line.stage {
                LineStage::Delta => "delta",
                LineStage::Final => "final",
            };
            format!("line {role} {stage} {} {}", quote(&line.item), quote(&line.text))
        }
        SpeechCommand::Tool(call) => {
            format!("tool {} {} {}", quote(&call.id), quote(&call.name), quote(&call.arguments))
        }
    }
}

/// Reads what a bot is told of a conversation; `None` if the words are of another kind.
pub(super) fn parse_event(words: &[&str]) -> Option<Result<SpeechEvent, String>> {
    Some(Ok(match words {
        ["interrupted", item, heard] => match heard.strip_suffix("ms").and_then(|ms| ms.parse().ok()) {
            Some(ms) => SpeechEvent::Interrupted { item: (*item).into(), heard: Duration::from_millis(ms) },
            None => return Some(Err(format!("`{heard}` is no time: expected such as 300ms"))),
        },
        ["caller", "started"] => SpeechEvent::Caller(SpeechEdge::Started { item: None }),
        ["caller", "stopped"] => SpeechEvent::Caller(SpeechEdge::Stopped),
        ["words-wanted", id, instructions] => {
            SpeechEvent::WordsWanted { id: (*id).into(), instructions: (*instructions).into() }
        }
        ["tool-done", id, output] => {
            SpeechEvent::ToolDone(ToolResult { id: (*id).into(), output: (*output).into() })
        }
        _ => return None,
    }))
}

/// Writes what [`parse_event`] reads.
pub(super) fn format_event(event: &SpeechEvent) -> String {
    match event {
        SpeechEvent::Interrupted { item, heard } => {
            format!("interrupted {} {}ms", quote(item), heard.as_millis())
        }
        SpeechEvent::Caller(edge) => format_edge(edge),
        SpeechEvent::WordsWanted { id, instructions } => {
            format!("words-wanted {} {}", quote(id), quote(instructions))
        }
        SpeechEvent::ToolDone(result) => format!("tool-done {} {}", quote(&result.id), quote(&result.output)),
    }
}

fn format_edge(edge: &SpeechEdge) -> String {
    match edge {
        SpeechEdge::Started { item: None } => "caller started".to_owned(),
        SpeechEdge::Started { item: Some(item) } => format!("caller started {}", quote(item)),
        SpeechEdge::Stopped => "caller stopped".to_owned(),
    }
}

fn parse_role(word: &str) -> Result<Role, String> {
    match word {
        "caller" => Ok(Role::Caller),
        "bot" => Ok(Role::Bot),
        _ => Err(format!("`{word}` is nobody: expected caller or bot")),
    }
}

fn parse_stage(word: &str) -> Result<LineStage, String> {
    match word {
        "delta" => Ok(LineStage::Delta),
        "final" => Ok(LineStage::Final),
        _ => Err(format!("`{word}` is no stage: expected delta or final")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_conversation_are_read_as_they_are_written() {
        let commands: [&[&str]; 6] = [
            &["item", "item_1"],
            &["caller", "started"],
            &["caller", "started", "item_2"],
            &["line", "bot", "delta", "item_1", "Hello there"],
            &["line", "caller", "final", "item_2", "yes"],
            &["tool", "call_1", "transfer", "{}"],
        ];
        for words in commands {
            let command = parse_command(words).unwrap().unwrap();
            let again = super::super::words::split(&format_command(&command)).unwrap();
            assert_eq!(again, words);
        }
        let event = parse_event(&["interrupted", "item_1", "300ms"]).unwrap().unwrap();
        assert_eq!(format_event(&event), "interrupted item_1 300ms");
        assert!(parse_command(&["line", "nobody", "final", "i", "t"]).unwrap().is_err());
        assert!(parse_command(&["clear"]).is_none());
    }
}
