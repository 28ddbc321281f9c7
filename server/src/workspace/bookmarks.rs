//! Bookmarks: what a user wants to find again, kept in the user's own workspace.

use futures_util::future::BoxFuture;
use polyfn_core::{Error, ErrorKind, Map, Result, Value};
use serde_json::Value as Json;

use crate::auth::Permission;
use crate::hub::{Selection, WorkspaceInfo};
use crate::workspace::arguments::{denied, invalid};
use crate::workspace::keeping;
use crate::workspace::manager::Call;

/// Bookmarks of one user.
const BOOKMARKS_MAX: usize = 1000;
/// Bytes of one bookmark, as JSON.
const SIZE_MAX: usize = 4096;

/// `bookmark`.
pub(super) fn add(mut call: Call) -> BoxFuture<'static, Result<Value>> {
    Box::pin(async move {
        let item = read(&mut call)?;
        if item.kind == "workspace" {
            call.need(Permission::Read, &item.id)?;
        } else {
            call.hub.find_service(&item.id, &call.caller, Selection::new(Some("first"))).await?;
        }
        let size = item.json.to_string().len();
        change(&call, size, |bookmarks| {
            bookmarks.retain(|known| !item.is(known));
            if bookmarks.len() >= BOOKMARKS_MAX {
                let text = format!("ValueError: Too many bookmarks: a user may have {BOOKMARKS_MAX}");
                return Err(call.limited("max_bookmarks", text));
            }
            bookmarks.push(item.json.clone());
            Ok(())
        })
        .await
    })
}

/// `unbookmark`.
pub(super) fn remove(mut call: Call) -> BoxFuture<'static, Result<Value>> {
    Box::pin(async move {
        let item = read(&mut call)?;
        change(&call, 0, |bookmarks| {
            let before = bookmarks.len();
            bookmarks.retain(|known| !item.is(known));
            if bookmarks.len() == before {
                let text = format!("KeyError: 'Bookmark not found: {}'", item.id);
                return Err(Error::new(ErrorKind::NotFound, text));
            }
            Ok(())
        })
        .await
    })
}

struct Item {
    kind: String,
    id: String,
    json: Json,
}

impl Item {
    fn is(&self, other: &Json) -> bool {
        other["bookmark_type"] == *self.kind && other["id"] == *self.id
    }
}

fn read(call: &mut Call) -> Result<Item> {
    let item: Map = call.arguments.map(0, "item")?;
    let wrong = "ValueError: a bookmark needs a 'bookmark_type' (workspace or service) and an 'id'";
    let kind = item.text("bookmark_type").filter(|kind| ["workspace", "service"].contains(kind));
    let (Some(kind), Some(id)) = (kind, item.text("id")) else { return Err(invalid(wrong)) };
    let (kind, id) = (kind.to_owned(), id.to_owned());
    let json =
        Value::Map(item).to_json().map_err(|error| invalid(format!("ValueError: {}", error.message())))?;
    let size = json.to_string().len();
    if size > SIZE_MAX {
        return Err(Error::too_large(format!("a bookmark may have {SIZE_MAX} bytes, this one has {size}")));
    }
    Ok(Item { kind, id, json })
}

/// Changes the bookmarks of the caller's own workspace, whether the caller is there now or not; they grow by `more`
/// bytes at most.
async fn change(
    call: &Call,
    more: usize,
    change: impl FnOnce(&mut Vec<Json>) -> Result<()>,
) -> Result<Value> {
    let (store, registry, user) = (&call.manager.store, &call.hub.registry, &call.caller.user);
    let own = user.own_workspace();
    if !user.may(Permission::ReadWrite, &own) {
        return Err(denied(format!("PermissionError: Permission denied for workspace {own}")));
    }
    let _writing = store.writing().await;
    if more > 0 {
        keeping::check_room(call, &own, more).await?;
    }
    let mut info = match registry.workspace(&own) {
        Some(workspace) => workspace.info(),
        None => WorkspaceInfo::own(user),
    };
    let mut bookmarks = match info.config.remove("bookmarks") {
        Some(Json::Array(bookmarks)) => bookmarks,
        _ => Vec::new(),
    };
    change(&mut bookmarks)?;
    info.config.insert("bookmarks".to_owned(), Json::Array(bookmarks));
    keeping::put(store, registry, info).await?;
    Ok(Value::Nil)
}
