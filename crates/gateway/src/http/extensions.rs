//! `/extensions`: the phones that register here.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::api::Api;
use super::openapi::KeyProblems;
use crate::calls::Locations;
use crate::config::Extension;

/// All extensions.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExtensionList {
    /// In the order of the file.
    data: Vec<ShownExtension>,
}

/// An extension.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Extension)]
pub struct ShownExtension {
    /// Its number.
    #[schema(example = "101")]
    number: String,
    /// The name that people see.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Front desk")]
    name: Option<String>,
    /// The numbers outside that it may call; `91*` is a beginning.
    #[schema(example = json!(["91*"]))]
    allow: Vec<String>,
    /// The number that is shown where it calls outside.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "7415100898")]
    caller_id: Option<String>,
    /// Phones that may be registered at a time.
    #[schema(example = 5)]
    max_contacts: usize,
    /// Phones that are registered.
    #[schema(example = 2)]
    registered: usize,
}

/// The extensions of the configuration
#[utoipa::path(
    get,
    path = "/extensions",
    operation_id = "list_extensions",
    tag = "configuration",
    responses((status = 200, description = "All extensions", body = ExtensionList), KeyProblems),
)]
pub async fn list(State(api): State<Api>) -> Json<ExtensionList> {
    let config = api.exchange.config();
    let shown = |extension| ShownExtension::of(extension, &api.exchange.locations);
    Json(ExtensionList { data: config.extensions.iter().map(shown).collect() })
}

impl ShownExtension {
    fn of(extension: &Extension, locations: &Locations) -> Self {
        Self {
            number: extension.number.clone(),
            name: extension.name.clone(),
            allow: extension.allow.iter().map(ToString::to_string).collect(),
            caller_id: extension.caller_id.clone(),
            max_contacts: extension.max_contacts,
            registered: locations.contacts(&extension.number).len(),
        }
    }
}
