//! Workspaces that stay, and what belongs to them.

use sqlx::Row;

use super::{Store, StoreError};
use crate::hub::WorkspaceInfo;

/// A workspace with its types of services, as JSON by id.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) info: WorkspaceInfo,
    pub(crate) types: Vec<(String, serde_json::Value)>,
}

/// Tables whose rows belong to a workspace.
const BELONGINGS: [&str; 3] = [
    "DELETE FROM service_types WHERE workspace = $1",
    "DELETE FROM variables WHERE workspace = $1",
    "DELETE FROM events WHERE workspace = $1",
];

/// Bytes in each of those, and in the workspace itself.
const STORED: [&str; 3] = [
    "SELECT CAST(COALESCE(SUM(OCTET_LENGTH(info)), 0) AS BIGINT) FROM workspaces WHERE id = $1",
    "SELECT CAST(COALESCE(SUM(OCTET_LENGTH(id) + OCTET_LENGTH(definition)), 0) AS BIGINT) FROM service_types \
     WHERE workspace = $1",
    "SELECT CAST(COALESCE(SUM(OCTET_LENGTH(name) + OCTET_LENGTH(sealed)), 0) AS BIGINT) FROM variables \
     WHERE workspace = $1",
];

const ORPHANS: [&str; 3] = [
    "DELETE FROM service_types WHERE workspace NOT IN (SELECT id FROM workspaces)",
    "DELETE FROM variables WHERE workspace NOT IN (SELECT id FROM workspaces)",
    "DELETE FROM events WHERE workspace NOT IN (SELECT id FROM workspaces)",
];

impl Store {
    /// All workspaces that stay.
    pub(crate) async fn workspaces(&self) -> Result<Vec<Kept>, StoreError> {
        let mut kept = Vec::new();
        for row in sqlx::query("SELECT id, info FROM workspaces ORDER BY id").fetch_all(self.pool()).await? {
            let (id, info): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            let info: WorkspaceInfo = serde_json::from_str(&info)
                .map_err(|_| StoreError::Damaged(format!("the workspace {id}")))?;
            kept.push(Kept { info: WorkspaceInfo { stored: true, ..info }, types: Vec::new() });
        }
        let types = sqlx::query("SELECT workspace, id, definition FROM service_types ORDER BY workspace, id");
        for row in types.fetch_all(self.pool()).await? {
            let (workspace, id, text): (String, String, String) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let Ok(at) = kept.binary_search_by(|kept| kept.info.id.cmp(&workspace)) else { continue };
            let definition = serde_json::from_str(&text)
                .map_err(|_| StoreError::Damaged(format!("the service type {workspace}/{id}")))?;
            kept[at].types.push((id, definition));
        }
        Ok(kept)
    }

    /// Keeps a workspace, in the place of what was kept of it.
    pub(crate) async fn put_workspace(&self, info: &WorkspaceInfo) -> Result<(), StoreError> {
        let text = serde_json::to_string(info)
            .map_err(|error| StoreError::Damaged(format!("the workspace {}: {error}", info.id)))?;
        let statement = "INSERT INTO workspaces (id, info) VALUES ($1, $2) \
                         ON CONFLICT (id) DO UPDATE SET info = excluded.info";
        sqlx::query(statement).bind(info.id.as_str()).bind(text).execute(self.pool()).await?;
        Ok(())
    }

    /// Forgets a workspace and all that belongs to it.
    pub(crate) async fn remove_workspace(&self, id: &str) -> Result<(), StoreError> {
        let mut change = self.pool().begin().await?;
        for statement in BELONGINGS.into_iter().chain(["DELETE FROM workspaces WHERE id = $1"]) {
            sqlx::query(statement).bind(id).execute(&mut *change).await?;
        }
        change.commit().await?;
        Ok(())
    }

    /// Forgets what belonged to workspaces that are not kept: the server was killed before they were empty.
    pub(crate) async fn remove_orphans(&self) -> Result<(), StoreError> {
        let mut change = self.pool().begin().await?;
        for statement in ORPHANS {
            sqlx::query(statement).execute(&mut *change).await?;
        }
        change.commit().await?;
        Ok(())
    }

    /// How many bytes are kept of a workspace, its log of events apart, which gives way by itself.
    pub(crate) async fn stored_bytes(&self, id: &str) -> Result<usize, StoreError> {
        let mut bytes = 0;
        for statement in STORED {
            let sum: i64 = sqlx::query(statement).bind(id).fetch_one(self.pool()).await?.try_get(0)?;
            bytes += usize::try_from(sum).unwrap_or(0);
        }
        Ok(bytes)
    }

    /// Keeps a type of services.
    pub(crate) async fn put_service_type(
        &self,
        workspace: &str,
        id: &str,
        definition: &serde_json::Value,
    ) -> Result<(), StoreError> {
        let statement = "INSERT INTO service_types (workspace, id, definition) VALUES ($1, $2, $3) \
                         ON CONFLICT (workspace, id) DO UPDATE SET definition = excluded.definition";
        let text = definition.to_string();
        sqlx::query(statement).bind(workspace).bind(id).bind(text).execute(self.pool()).await?;
        Ok(())
    }
}
