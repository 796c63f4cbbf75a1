//! The query of a request: each parameter is read by its name and kind, and what is wrong is refused by its name.

use std::ops::RangeInclusive;

use axum::extract::{FromRequestParts, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;

use super::body::escaped;
use super::problem::Problem;

/// The parameters of a query that were not read yet.
#[derive(Debug)]
pub struct Parameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match Query::<Vec<(String, String)>>::try_from_uri(&parts.uri) {
            Ok(Query(pairs)) => Ok(Self(pairs)),
            Err(_) => Err(Problem::new(StatusCode::BAD_REQUEST, "bad_query", "the query cannot be read")),
        }
    }
}

impl Parameters {
    /// The text of `name`, of at most `chars_max` characters and none of them a control character.
    ///
    /// # Errors
    /// 400 that names it.
    pub fn text(&mut self, name: &'static str, chars_max: usize) -> Result<Option<String>, Problem> {
        let Some(text) = self.take(name)? else { return Ok(None) };
        if text.is_empty() || text.chars().count() > chars_max || text.chars().any(char::is_control) {
            return Err(wrong(name, format!("expected one line of 1 to {chars_max} characters")));
        }
        Ok(Some(text))
    }

    /// The number of `name`.
    ///
    /// # Errors
    /// 400 that names it.
    pub fn number(&mut self, name: &'static str, range: RangeInclusive<u64>) -> Result<Option<u64>, Problem> {
        let Some(text) = self.take(name)? else { return Ok(None) };
        let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse().ok().filter(|number| is_plain && range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(wrong(name, format!("expected a number from {} to {}", range.start(), range.end()))),
        }
    }

    /// The value of `name` that `parse` understands; `expected` says what that is.
    ///
    /// # Errors
    /// 400 that names it.
    pub fn parsed<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.take(name)? else { return Ok(None) };
        parse(&text).map(Some).ok_or_else(|| wrong(name, format!("expected {expected}")))
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// 400 that names a parameter which nobody read.
    pub fn finish(self) -> Result<(), Problem> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(Problem::parameter(
                "unknown_parameter",
                &escaped(name),
                "there is no such parameter here",
            )),
        }
    }

    fn take(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        let Some(at) = self.0.iter().position(|(known, _)| known == name) else { return Ok(None) };
        let (_, value) = self.0.swap_remove(at);
        if self.0.iter().any(|(known, _)| known == name) {
            return Err(wrong(name, "this parameter is there twice"));
        }
        Ok(Some(value))
    }
}

fn wrong(name: &'static str, detail: impl Into<String>) -> Problem {
    Problem::parameter("bad_parameter", name, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::extract::Request;

    async fn of(query: &str) -> Parameters {
        let (mut parts, _) = Request::builder().uri(format!("/calls?{query}")).body(()).unwrap().into_parts();
        Parameters::from_request_parts(&mut parts, &()).await.unwrap()
    }

    #[tokio::test]
    async fn parameters_are_read_by_kind_and_refused_by_name() {
        let mut good = of("limit=20&bot=a%20b").await;
        assert_eq!(good.number("limit", 1..=200).unwrap(), Some(20));
        assert_eq!(good.text("bot", 10).unwrap().as_deref(), Some("a b"));
        assert_eq!(good.text("from", 10).unwrap(), None);
        good.finish().unwrap();
        for query in ["limit=0", "limit=201", "limit=", "limit=+5", "limit=1&limit=1", "limit=9e1"] {
            let problem = of(query).await.number("limit", 1..=200).unwrap_err();
            assert_eq!(problem.errors[0].parameter.as_deref(), Some("limit"), "{query}");
        }
        assert!(of("bot=a%0Ab").await.text("bot", 10).is_err());
        let problem = of("lmit=1").await.finish().unwrap_err();
        assert_eq!(
            (problem.code, problem.errors[0].parameter.as_deref()),
            ("unknown_parameter", Some("lmit"))
        );
    }
}
