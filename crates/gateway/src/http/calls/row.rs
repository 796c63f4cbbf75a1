//! A call as lists and exports show it: what the API says of every call, and what somebody wants to see of many.

use serde::Serialize;
use utoipa::ToSchema;

use super::view::CallView;
use crate::clock::unix_ms;
use crate::http::api::Api;
use crate::recording::CallLinks;
use crate::store::{CallMarks, FieldsState, StoreError, StoredCall};

/// A call in a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CallRow)]
pub struct CallRow {
    /// The call.
    #[serde(flatten)]
    pub call: CallView,
    /// Who has to look into its cause: `completed`, `caller`, `bot`, `upstream` or `us`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "completed")]
    pub cause_class: Option<String>,
    /// The median of the bot's response times.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 640)]
    pub response_ms: Option<u64>,
    /// Where the extraction of its fields stands: `absent`, `live`, `final` or `failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "final")]
    pub fields_state: Option<&'static str>,
    /// Something that the bot said was not heard, or not to its end.
    pub has_unheard: bool,
}

impl CallRow {
    /// Calls as they stand at this moment.
    ///
    /// # Errors
    /// The database's.
    pub async fn all_of(api: &Api, calls: Vec<StoredCall>) -> Result<Vec<Self>, StoreError> {
        let ids: Vec<&str> = calls.iter().map(|call| call.call_id.as_str()).collect();
        let marks = api.exchange.store.marks_of(&ids).await?;
        let (now, links) = (unix_ms(), &api.exchange.studio.call_links);
        let row = |call: StoredCall| {
            let marks = marks.get(&call.call_id).copied().unwrap_or_default();
            Self::of(call, marks, links, now)
        };
        Ok(calls.into_iter().map(row).collect())
    }

    fn of(call: StoredCall, marks: CallMarks, links: &CallLinks, now_ms: u64) -> Self {
        Self {
            cause_class: call.cause.as_ref().map(|cause| cause.class.clone()),
            response_ms: call.response_ms,
            fields_state: marks.fields.map(FieldsState::word),
            has_unheard: marks.has_unheard,
            call: CallView::of(call, links, now_ms),
        }
    }
}
