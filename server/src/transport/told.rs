//! What a client is told before its connection ends.

use polyfn_core::ErrorKind;
use serde_json::json;

/// The error message (protocol section 3.5). Why nobody is let in has a code as well, which the reference server does
/// not tell: by it a client knows whether to come again.
pub(super) fn error_text(message: &str, why: Option<ErrorKind>) -> String {
    let mut told = json!({"type": "error", "message": message});
    if let Some(kind) = why {
        told["code"] = json!(kind.code());
    }
    told.to_string()
}
