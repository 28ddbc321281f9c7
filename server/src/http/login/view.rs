//! The pages, as HTML. No script is needed: links, forms and labels, which every browser and screen reader knows.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use crate::http::pages::escape;

/// Forms go to this server only, and nobody may show the page inside of another one.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// What every page has around it.
#[derive(Debug, Default)]
pub(super) struct Frame<'a> {
    pub(super) title: &'a str,
    /// What went wrong; read out at once.
    pub(super) error: Option<&'a str>,
    /// What went well.
    pub(super) note: Option<&'a str>,
}

/// A field of a form.
pub(super) struct Field<'a> {
    pub(super) name: &'a str,
    pub(super) label: &'a str,
    /// Its type and further attributes, as they stand in the tag.
    pub(super) attributes: &'a str,
    pub(super) value: &'a str,
    pub(super) hint: &'a str,
}

impl Field<'_> {
    pub(super) fn html(&self) -> String {
        let Self { name, label, attributes, value, hint } = self;
        let (described, hint) = match *hint {
            "" => (String::new(), String::new()),
            hint => (
                format!(" aria-describedby=\"{name}-hint\""),
                format!("<p class=\"hint\" id=\"{name}-hint\">{}</p>", escape(hint)),
            ),
        };
        format!(
            "<label for=\"{name}\">{}</label><input id=\"{name}\" name=\"{name}\" value=\"{}\" {attributes}{described}>{hint}",
            escape(label),
            escape(value)
        )
    }
}

/// A form with hidden fields; `fields` is HTML.
pub(super) fn form(action: &str, hidden: &[(&str, &str)], fields: &str, button: &str, class: &str) -> String {
    let hidden: String = hidden
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escape(value)))
        .collect();
    format!(
        "<form method=\"post\" action=\"{action}\">{hidden}{fields}<button class=\"{class}\">{}</button></form>",
        escape(button)
    )
}

/// A whole page; `main` is HTML.
pub(super) fn page(status: StatusCode, frame: &Frame<'_>, main: &str) -> Response {
    let say = |class: &str, role: &str, text: Option<&str>| {
        text.map(|text| format!("<p class=\"{class}\" role=\"{role}\">{}</p>", escape(text)))
            .unwrap_or_default()
    };
    let title = escape(frame.title);
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title} · polyfn</title>\
         <style>{}</style></head><body><main><p class=\"brand\">polyfn</p><h1>{title}</h1>{}{}{main}</main></body></html>\n",
        include_str!("style.css"),
        say("bad", "alert", frame.error),
        say("note", "status", frame.note),
    );
    let mut response = (status, Html(html)).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        // the key stands in the URL; an own form still says where it comes from
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
