//! Where a value stands inside a JSON message: names of objects and numbers of arrays, outermost first.
//!
//! The dialects of the repository write theirs as constant slices; those of a mapping are read from `a.b.0.c`.

/// The steps of a path, outermost first.
pub trait Steps {
    /// The step at `depth`; `None` behind the last.
    fn step(&self, depth: usize) -> Option<&str>;
}

impl Steps for &[&str] {
    fn step(&self, depth: usize) -> Option<&str> {
        self.get(depth).copied()
    }
}

/// A path that was read at run time; it has one step at least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(Box<[Box<str>]>);

impl Path {
    /// The path of those steps.
    pub fn new(steps: &[Box<str>]) -> Self {
        Self(steps.into())
    }

    /// Parses `data.0.audio`: names with dots between them; a whole number stands for an item of an array.
    ///
    /// # Errors
    /// The byte at which it is wrong, and a sentence.
    pub fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut steps: Vec<Box<str>> = Vec::new();
        let mut at = 0;
        for step in text.split('.') {
            if step.is_empty() {
                return Err((at, "a name is missing in the path".to_owned()));
            }
            if steps.len() == PATH_STEPS_MAX {
                return Err((at, format!("the path has more than {PATH_STEPS_MAX} names")));
            }
            if index(step).is_some_and(|item| item > PATH_ITEM_MAX) {
                return Err((at, format!("the path asks for an item behind {PATH_ITEM_MAX} of an array")));
            }
            steps.push(step.into());
            at += step.len() + 1;
        }
        Ok(Self(steps.into()))
    }

    /// How many steps it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The first name.
    pub fn first(&self) -> &str {
        self.step(0).unwrap_or_default()
    }

    /// The JSON text that has `value` at this path, and nothing else but what the path itself needs.
    pub fn wrap(&self, value: &str) -> String {
        self.0.iter().rev().fold(value.to_owned(), |inner, step| match index(step) {
            Some(item) => format!("[{}{inner}]", "null,".repeat(item)),
            None => format!("{{{}:{inner}}}", serde_json::Value::from(&**step)),
        })
    }
}

impl Steps for Path {
    fn step(&self, depth: usize) -> Option<&str> {
        self.0.get(depth).map(|step| &**step)
    }
}

/// The number of an array's item, if the step is one.
pub fn index(step: &str) -> Option<usize> {
    step.parse().ok().filter(|_| step.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Names in a path of a mapping.
const PATH_STEPS_MAX: usize = 16;

/// The last item of an array that a path of a mapping may ask for.
const PATH_ITEM_MAX: usize = 31;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_names_and_items_is_read_and_wraps_its_value() {
        assert_eq!(Path::parse("delta").unwrap().wrap("1"), r#"{"delta":1}"#);
        assert_eq!(Path::parse("a.1.b c").unwrap().wrap(r#""x""#), r#"{"a":[null,{"b c":"x"}]}"#);
        for (text, at) in [("", 0), ("a..b", 2), (".a", 0), ("a.", 2), ("a.32", 2)] {
            assert_eq!(Path::parse(text).unwrap_err().0, at, "{text:?}");
        }
        assert!(Path::parse(&["x"; 17].join(".")).is_err());
    }
}
