//! From a job's id to the page that shows it.

use actix_web::web;

use super::session::Session;
use super::{FormReply, State, go_to, layout};
use crate::admin::listing;

/// `GET /jobs/{id}`: to the dead letter of that id, else to the person whose job it is.
pub(super) async fn find(state: State, _session: Session, id: web::Path<String>) -> FormReply {
    let id = listing::id(&id)?;
    if state.dead_letter(id).await.is_ok() {
        return Ok(go_to(&format!("/dead/{id}")));
    }
    let whole = state.person_numbered(id.person()).await?;
    Ok(go_to(&layout::person_page(&whole.view.person)))
}
