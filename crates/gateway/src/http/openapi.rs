//! The resources of the API with the role that each asks for, and the OpenAPI 3.1 document made from their types.

use axum::Router;
use axum::middleware::from_fn_with_state;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{IntoResponses, Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::api::Api;
use super::calls::{commands, export, fields, list, listen, place, show, timeline, transcript};
use super::problem::{FieldError, ProblemBody};
use super::{
    access, bots, callbacks, events, extensions, live, numbers, overview, recordings, sessions, talk, trunks,
    watch,
};
use crate::config::Role;

/// All resources behind their guards, and their description.
pub fn resources(api: &Api) -> (Router<Api>, Document) {
    let open = OpenApiRouter::with_openapi(Heading::openapi())
        .routes(routes!(watch::health))
        .routes(routes!(watch::ready))
        .routes(routes!(sessions::show, sessions::log_in, sessions::log_out));
    open.merge(guarded(api, Role::Reader, reading()))
        .merge(guarded(api, Role::Operator, operating()))
        .merge(recordings::resources(api))
        .merge(guarded(api, Role::Admin, administering()))
        .split_for_parts()
}

/// What every key may look at.
fn reading() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list::list))
        .routes(routes!(export::export))
        .routes(routes!(show::show))
        .routes(routes!(show::transfer_legs))
        .routes(routes!(show::events))
        .routes(routes!(show::record))
        .routes(routes!(show::ladder))
        .routes(routes!(timeline::timeline))
        .routes(routes!(transcript::transcript))
        .routes(routes!(fields::show))
        .routes(routes!(fields::list))
        .routes(routes!(events::follow))
        .routes(routes!(callbacks::list))
        .routes(routes!(callbacks::show))
        .routes(routes!(bots::list))
        .routes(routes!(numbers::list))
        .routes(routes!(trunks::list))
        .routes(routes!(extensions::list))
        .routes(routes!(overview::show))
        .routes(routes!(live::list))
        .routes(routes!(watch::show_metrics))
}

/// What takes an operator.
fn operating() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(place::place))
        .routes(routes!(commands::hang_up))
        .routes(routes!(commands::transfer))
        .routes(routes!(commands::send_digits))
        .routes(routes!(commands::clear))
        .routes(routes!(listen::listen))
        .routes(routes!(talk::talk))
        .routes(routes!(fields::extract))
}

/// What takes an administrator.
fn administering() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(callbacks::replay))
}

fn guarded(api: &Api, role: Role, routes: OpenApiRouter<Api>) -> OpenApiRouter<Api> {
    routes.route_layer(from_fn_with_state((api.clone(), role), access::require))
}

/// The document as it is served.
pub fn text(document: &Document) -> String {
    // A tree of strings and numbers: serialisation into memory has nothing to fail at.
    document.to_pretty_json().unwrap_or_default()
}

/// What keeps a request from its resource.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it describes answers that are made elsewhere")]
pub enum KeyProblems {
    /// The key is missing or wrong
    #[response(status = 401, content_type = "application/problem+json")]
    NoKey(ProblemBody),
    /// The key's role does not reach so far; without keys: a page of another origin
    #[response(status = 403, content_type = "application/problem+json")]
    Role(ProblemBody),
    /// Too many requests in a short time; `Retry-After` says when to come again
    #[response(status = 429, content_type = "application/problem+json")]
    TooMany(ProblemBody),
}

/// What can be wrong with a body.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it describes answers that are made elsewhere")]
pub enum BodyProblems {
    /// A field is wrong; `errors` says which
    #[response(status = 400, content_type = "application/problem+json")]
    BadRequest(ProblemBody),
    /// The body took longer than 10 s
    #[response(status = 408, content_type = "application/problem+json")]
    TooSlow(ProblemBody),
    /// The body is larger than 64 KiB
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(ProblemBody),
    /// The body is not `application/json`
    #[response(status = 415, content_type = "application/problem+json")]
    NotJson(ProblemBody),
    /// The system gives no random numbers
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemBody),
}

/// What else can be wrong with a question.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it describes answers that are made elsewhere")]
pub enum ReadProblems {
    /// A parameter, a header or a field is wrong; `errors` says which
    #[response(status = 400, content_type = "application/problem+json")]
    BadRequest(ProblemBody),
    /// The key is missing or wrong
    #[response(status = 401, content_type = "application/problem+json")]
    NoKey(ProblemBody),
    /// The key's role does not reach so far; without keys: a page of another origin
    #[response(status = 403, content_type = "application/problem+json")]
    Role(ProblemBody),
    /// Too many requests in a short time; `Retry-After` says when to come again
    #[response(status = 429, content_type = "application/problem+json")]
    TooMany(ProblemBody),
    /// The database does not answer, or too many ask; `Retry-After` says when to come again
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemBody),
}

/// What can be wrong with a question about a call.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it describes answers that are made elsewhere")]
pub enum CallProblems {
    /// The key is missing or wrong
    #[response(status = 401, content_type = "application/problem+json")]
    NoKey(ProblemBody),
    /// The key's role does not reach so far; without keys: a page of another origin
    #[response(status = 403, content_type = "application/problem+json")]
    Role(ProblemBody),
    /// Nothing has this id, or it has not what is asked for
    #[response(status = 404, content_type = "application/problem+json")]
    Unknown(ProblemBody),
    /// Too many requests in a short time; `Retry-After` says when to come again
    #[response(status = 429, content_type = "application/problem+json")]
    TooMany(ProblemBody),
    /// The database does not answer, or too many ask; `Retry-After` says when to come again
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemBody),
}

/// What can be wrong with an order for a call.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it describes answers that are made elsewhere")]
pub enum CommandProblems {
    /// A parameter, a header or a field is wrong; `errors` says which
    #[response(status = 400, content_type = "application/problem+json")]
    BadRequest(ProblemBody),
    /// The key is missing or wrong
    #[response(status = 401, content_type = "application/problem+json")]
    NoKey(ProblemBody),
    /// The key's role does not reach so far; without keys: a page of another origin
    #[response(status = 403, content_type = "application/problem+json")]
    Role(ProblemBody),
    /// No call has this id, or it has not what is asked for
    #[response(status = 404, content_type = "application/problem+json")]
    Unknown(ProblemBody),
    /// The body took longer than 10 s
    #[response(status = 408, content_type = "application/problem+json")]
    TooSlow(ProblemBody),
    /// The call is over, or cannot do that at this moment; `code` says which
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(ProblemBody),
    /// The body is larger than 64 KiB
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(ProblemBody),
    /// The body is not `application/json`
    #[response(status = 415, content_type = "application/problem+json")]
    NotJson(ProblemBody),
    /// This Idempotency-Key came with another request
    #[response(status = 422, content_type = "application/problem+json")]
    Mismatch(ProblemBody),
    /// Too many requests in a short time; `Retry-After` says when to come again
    #[response(status = 429, content_type = "application/problem+json")]
    TooMany(ProblemBody),
    /// The database does not answer, or too many ask; `Retry-After` says when to come again
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemBody),
}

/// What can be wrong with the wish for a call.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it describes answers that are made elsewhere")]
pub enum PlaceProblems {
    /// A parameter, a header or a field is wrong; `errors` says which
    #[response(status = 400, content_type = "application/problem+json")]
    BadRequest(ProblemBody),
    /// The key is missing or wrong
    #[response(status = 401, content_type = "application/problem+json")]
    NoKey(ProblemBody),
    /// No trunk may dial this number or show that caller; or the key's role does not reach so far
    #[response(status = 403, content_type = "application/problem+json")]
    Role(ProblemBody),
    /// It is an extension, and no phone is registered there
    #[response(status = 404, content_type = "application/problem+json")]
    Unknown(ProblemBody),
    /// The body took longer than 10 s
    #[response(status = 408, content_type = "application/problem+json")]
    TooSlow(ProblemBody),
    /// The first request with this Idempotency-Key is being carried out
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(ProblemBody),
    /// The body is larger than 64 KiB
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(ProblemBody),
    /// The body is not `application/json`
    #[response(status = 415, content_type = "application/problem+json")]
    NotJson(ProblemBody),
    /// This Idempotency-Key came with another request
    #[response(status = 422, content_type = "application/problem+json")]
    Mismatch(ProblemBody),
    /// As many calls are up, or began in the last minute, as may; or too many requests in a short time
    #[response(status = 429, content_type = "application/problem+json")]
    TooMany(ProblemBody),
    /// The database does not keep up, or the server is being stopped; `Retry-After` says when to come again
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemBody),
    /// Something of ours failed
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(ProblemBody),
}

/// What stands above the resources.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Patchcord",
        description = "Places calls, follows them, and ends them. Errors are RFC 9457 with a stable `code`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
        contact(),
    ),
    security(("key" = [])),
    components(schemas(ProblemBody, FieldError)),
    modifiers(&KeyScheme),
    tags(
        (name = "calls", description = "Calls that are up and calls that were"),
        (name = "recordings", description = "What calls sounded like"),
        (name = "callbacks", description = "What calls told whom, and what nobody took"),
        (name = "configuration", description = "What the configuration file says; the file is the truth"),
        (name = "watch", description = "Whether the server lives"),
    ),
)]
struct Heading;

struct KeyScheme;

impl Modify for KeyScheme {
    fn modify(&self, document: &mut Document) {
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description =
            Some("A key of `[[http.keys]]`; without keys, this machine's programs need none".to_owned());
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("key", SecurityScheme::Http(bearer));
    }
}
