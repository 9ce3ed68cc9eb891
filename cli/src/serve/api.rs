//! The page, and the REST and WebSocket interface behind it. `openapi.json` describes it.
//!
//! Answers come from snapshots; what asks GStreamer does so in threads that may wait.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Body,
    extract::{
        Path, Request, State,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodRouter, delete, get, patch, post},
};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::{admission, metrics, room::Room};

/// Of snapshots one in so many is sent whole, the others as far as they move.
const WHOLE: u64 = 5;
/// Nothing may come from elsewhere, and nobody may put the page into another.
const POLICY: &str = "default-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; \
    connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// What requests are answered from.
#[derive(Clone)]
pub struct Serving {
    pub room: Arc<Room>,
    pub token: Option<Arc<str>>,
}

/// A path, the methods that it knows, and what answers.
type Route = (&'static str, &'static [&'static str], MethodRouter<Serving>);

/// What needs a token.
fn guarded() -> [Route; 7] {
    [
        ("/metrics", &["get"], get(show_metrics)),
        ("/api/status", &["get"], get(status)),
        (
            "/api/settings",
            &["get", "patch"],
            get(settings).merge(patch(change)),
        ),
        ("/api/log", &["get"], get(log)),
        ("/api/events", &["get"], get(events)),
        ("/api/preview", &["post"], post(watch)),
        ("/api/preview/{id}", &["delete"], delete(unwatch)),
    ]
}

/// What does not: it says nothing of the programme but whether all is well.
fn open() -> [Route; 5] {
    const HTML: &str = "text/html; charset=utf-8";
    const SCRIPT: &str = "text/javascript; charset=utf-8";
    const STYLE: &str = "text/css; charset=utf-8";
    const JSON: &str = "application/json";
    [
        ("/", &["get"], file(HTML, include_str!("page/index.html"))),
        (
            "/app.js",
            &["get"],
            file(SCRIPT, include_str!("page/app.js")),
        ),
        (
            "/style.css",
            &["get"],
            file(STYLE, include_str!("page/style.css")),
        ),
        (
            "/openapi.json",
            &["get"],
            file(JSON, include_str!("openapi.json")),
        ),
        ("/health", &["get"], get(health)),
    ]
}

fn file(kind: &'static str, text: &'static str) -> MethodRouter<Serving> {
    get(async move || ([(header::CONTENT_TYPE, kind)], text))
}

pub fn router(serving: Serving) -> Router {
    let add = |router: Router<Serving>, (path, _, answers): Route| router.route(path, answers);
    let guarded = guarded().into_iter().fold(Router::new(), add);
    let guarded = guarded.route_layer(middleware::from_fn_with_state(serving.clone(), admit));
    let open = open().into_iter().fold(Router::new(), add);
    guarded
        .merge(open)
        .layer(middleware::map_response(protect))
        .with_state(serving)
}

async fn admit(State(serving): State<Serving>, request: Request, next: Next) -> Response {
    match admission::is_admitted(request.headers(), serving.token.as_deref()) {
        true => next.run(request).await,
        false => {
            let refusal = match serving.token {
                Some(_) => Refusal(
                    StatusCode::UNAUTHORIZED,
                    "a token is expected: Authorization: Bearer TOKEN".into(),
                ),
                None => Refusal(
                    StatusCode::FORBIDDEN,
                    "without a token only pages of this program on this machine are answered"
                        .into(),
                ),
            };
            refusal.into_response()
        }
    }
}

async fn protect(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Why a request is not answered as it would like.
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

/// Does something that may wait, in a thread of its own.
async fn apart<T: Send + 'static>(
    refused: StatusCode,
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> Result<T, Refusal> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| Refusal(refused, format!("{error:#}"))),
        Err(error) => Err(Refusal(
            StatusCode::INTERNAL_SERVER_ERROR,
            error.to_string(),
        )),
    }
}

async fn health(State(serving): State<Serving>) -> Response {
    let now = serving.room.now();
    let status = match now.faults.is_empty() {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(json!({"healthy": now.faults.is_empty()}))).into_response()
}

async fn show_metrics(State(serving): State<Serving>) -> impl IntoResponse {
    let text = metrics::text(&serving.room.now());
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text)
}

async fn status(State(serving): State<Serving>) -> Json<Value> {
    let now = serving.room.now();
    let mut status = now.status.clone();
    status["meters"] = now.meters.clone();
    Json(status)
}

async fn settings(State(serving): State<Serving>) -> Json<Value> {
    Json(serving.room.now().status["settings"].clone())
}

async fn change(State(serving): State<Serving>, text: String) -> Result<Json<Value>, Refusal> {
    let room = serving.room;
    let changed = apart(StatusCode::UNPROCESSABLE_ENTITY, move || {
        room.change_as(&text)
    })
    .await?;
    Ok(Json(changed.into()))
}

async fn log(State(serving): State<Serving>) -> Json<Value> {
    Json(json!(serving.room.log.entries()))
}

async fn watch(State(serving): State<Serving>, offer: String) -> Result<Response, Refusal> {
    let room = serving.room;
    let (id, answer) = apart(StatusCode::BAD_REQUEST, move || room.viewers.add(&offer)).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/sdp".to_owned()),
        (header::LOCATION, format!("/api/preview/{id}")),
    ];
    Ok((StatusCode::CREATED, headers, Body::from(answer)).into_response())
}

async fn unwatch(
    State(serving): State<Serving>,
    Path(id): Path<u64>,
) -> Result<StatusCode, Refusal> {
    let room = serving.room;
    let removed = apart(StatusCode::NOT_FOUND, move || Ok(room.viewers.remove(id))).await?;
    match removed {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Refusal(
            StatusCode::NOT_FOUND,
            "there is no such viewer".into(),
        )),
    }
}

async fn events(State(serving): State<Serving>, upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .protocols([admission::PROTOCOL])
        .on_upgrade(|socket| converse(socket, serving.room))
}

/// Says how everything is and takes settings, until the other side has enough.
async fn converse(mut socket: WebSocket, room: Arc<Room>) {
    let mut now = room.watch();
    let mut log = room.log.listen();
    let mut count = 0u64;
    for entry in room.log.entries() {
        if say(&mut socket, json!({"type": "log", "entry": entry}))
            .await
            .is_err()
        {
            return;
        }
    }
    loop {
        let message = tokio::select! {
            changed = now.changed() => {
                if changed.is_err() {
                    return;
                }
                let now = now.borrow_and_update().clone();
                let is_whole = count.is_multiple_of(WHOLE);
                count += 1;
                match is_whole {
                    true => json!({"type": "status", "status": now.status, "meters": now.meters}),
                    false => json!({"type": "meters", "meters": now.meters}),
                }
            }
            entry = log.recv() => match entry {
                Ok(entry) => json!({"type": "log", "entry": entry}),
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return,
            },
            heard = socket.recv() => match heard {
                Some(Ok(Message::Text(text))) => {
                    let room = room.clone();
                    let refused = StatusCode::UNPROCESSABLE_ENTITY;
                    match apart(refused, move || room.change_as(text.as_str())).await {
                        Ok(settings) => json!({"type": "settings", "settings": settings}),
                        Err(Refusal(_, error)) => json!({"type": "error", "error": error}),
                    }
                }
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => return,
            },
        };
        if say(&mut socket, message).await.is_err() {
            return;
        }
    }
}

async fn say(socket: &mut WebSocket, message: Value) -> Result<(), axum::Error> {
    socket.send(Message::Text(message.to_string().into())).await
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_document_describes_the_routes_that_there_are() {
        let document: Value = serde_json::from_str(include_str!("openapi.json")).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let described: BTreeSet<_> = paths
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().unwrap().keys();
                methods.map(move |method| (path.as_str(), method.as_str()))
            })
            .collect();
        let routes = guarded().into_iter().chain(open());
        let served: BTreeSet<_> = routes
            .flat_map(|(path, methods, _)| methods.iter().map(move |method| (path, *method)))
            .collect();
        assert_eq!(described, served);
        for (path, methods, _) in guarded() {
            for method in methods {
                let answers = &paths[path][*method]["responses"];
                assert!(answers.get("401").is_some(), "{method} {path} has no 401");
            }
        }
    }

    #[test]
    fn the_document_names_the_settings_that_there_are() {
        let document: Value = serde_json::from_str(include_str!("openapi.json")).unwrap();
        let settings = &document["components"]["schemas"]["Settings"]["properties"];
        let described: BTreeSet<_> = settings
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(described, BTreeSet::from(super::super::programme::ON_AIR));
    }
}
