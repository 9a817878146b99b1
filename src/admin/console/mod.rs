//! The console: pages for people, over the same services as the API. Plain HTML and forms: it works
//! without a script, and its policy forbids any.

use actix_web::http::header::{CONTENT_TYPE, LOCATION};
use actix_web::{HttpResponse, Resource, web};

mod dead;
mod hold;
mod jobs;
mod layout;
mod overview;
mod people;
mod session;
mod timeline;

use self::session::PageError;
use super::service::AdminState;

type State = web::Data<AdminState>;
type Page = Result<maud::Markup, PageError>;
/// Gives a resource its methods.
type Methods = fn(Resource) -> Resource;
type Done = Result<HttpResponse, PageError>;

/// Puts the console into an app.
pub(super) fn configure(app: &mut web::ServiceConfig) {
    let pages: [(&str, Methods); 13] = [
        ("/", |r| r.route(web::get().to(overview::show))),
        ("/login", |r| r.route(web::get().to(session::ask)).route(web::post().to(session::log_in))),
        ("/logout", |r| r.route(web::post().to(session::log_out))),
        ("/dead", |r| r.route(web::get().to(dead::list))),
        ("/dead/{id}", |r| r.route(web::get().to(dead::show))),
        ("/dead/{id}/replay", |r| r.route(web::post().to(dead::replay))),
        ("/dead/{id}/discard", |r| r.route(web::post().to(dead::discard))),
        ("/jobs", |r| r.route(web::get().to(jobs::list))),
        ("/jobs/{id}", |r| r.route(web::get().to(jobs::show))),
        ("/people", |r| r.route(web::get().to(people::show))),
        ("/hold", |r| r.route(web::get().to(hold::show)).route(web::post().to(hold::change))),
        ("/style.css", |r| r.route(web::get().to(style))),
        ("/icon.svg", |r| r.route(web::get().to(icon))),
    ];
    for (path, methods) in pages {
        app.service(methods(web::resource(path)));
    }
}

/// Sends the browser to another page of ours after a form, so that a reload repeats nothing.
fn go_to(page: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, page)).finish()
}

async fn style() -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "text/css; charset=utf-8")).body(include_str!("style.css"))
}

async fn icon() -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "image/svg+xml")).body(include_str!("icon.svg"))
}
