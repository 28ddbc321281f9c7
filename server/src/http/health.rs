//! Health for load balancers and people, metrics for Prometheus.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::metrics::resident_bytes;
use crate::state::{State, VERSION};

/// `GET /health/liveness`: the process answers.
pub async fn liveness(Extract(state): Extract<Arc<State>>) -> Json<Value> {
    Json(json!({"status": "OK", "detail": {"uptime_seconds": state.uptime_seconds()}}))
}

/// `GET /health/readiness`: new work is welcome; 503 while stopping, and while the database does not answer.
pub async fn readiness(Extract(state): Extract<Arc<State>>) -> Response {
    if state.shutdown.begun() {
        let body = json!({"status": "DOWN", "detail": "Server is shutting down"});
        return (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response();
    }
    if let Err(error) = state.store.ping().await {
        tracing::error!(%error, "store");
        let body = json!({"status": "DOWN", "detail": "The database does not answer"});
        return (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response();
    }
    Json(json!({"status": "OK", "detail": {"server": "ready", "store": state.store.kind()}})).into_response()
}

/// `GET /health`: what a person wants to see first.
pub async fn overview(Extract(state): Extract<Arc<State>>) -> Json<Value> {
    let metrics = &state.metrics;
    let status = if state.shutdown.begun() { "STOPPING" } else { "HEALTHY" };
    Json(json!({
        "status": status,
        "version": VERSION,
        "server_id": state.server_id,
        "uptime_seconds": state.uptime_seconds(),
        "connections": {"active": metrics.connections.get(), "total_created": metrics.connections_total.get()},
        "clients": {"active": metrics.clients.get(), "total_created": metrics.clients_total.get()},
        "memory": {"rss_mb": resident_bytes().map(|bytes| bytes as f64 / f64::from(1 << 20))},
    }))
}

/// `GET /metrics`: the Prometheus text.
pub async fn metrics(Extract(state): Extract<Arc<State>>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    state.note_gauges();
    (kind, state.metrics.text(state.uptime_seconds())).into_response()
}
