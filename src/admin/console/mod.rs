//! The console: HTML pages for operators, over the same services as the API. Plain HTML and forms: it
//! works without a script. Where scripts run, one small script (`live.js`) refreshes the page; the
//! Content-Security-Policy (`CSP` in `admin/mod.rs`) allows no other.

use actix_web::http::header::{CONTENT_TYPE, LOCATION};
use actix_web::{HttpResponse, Resource, web};

mod audit;
mod dead;
mod events;
mod hold;
mod job;
mod layout;
mod letter;
mod live;
mod login;
mod now;
mod people;
mod person;
mod plot;
mod roster;
mod session;
mod settings;
mod sources;
mod trial;

pub(super) use self::events::Listeners;
use self::login::PageError;
use super::service::AdminState;

type State = web::Data<AdminState>;
type Page = Result<maud::Markup, PageError>;
/// Gives a resource its methods.
type Methods = fn(Resource) -> Resource;
/// What the handler of a form returns: mostly a redirect.
type FormReply = Result<HttpResponse, PageError>;

/// Puts the console into an app.
pub(super) fn configure(app: &mut web::ServiceConfig) {
    let pages: [(&str, Methods); 27] = [
        ("/", |r| r.route(web::get().to(now::show))),
        ("/login", |r| r.route(web::get().to(login::ask)).route(web::post().to(login::log_in))),
        ("/logout", |r| r.route(web::post().to(login::log_out))),
        ("/people", |r| r.route(web::get().to(people::show))),
        ("/person", |r| r.route(web::get().to(person::show))),
        ("/person/live", |r| r.route(web::post().to(live::show))),
        ("/try", |r| {
            let form = web::FormConfig::default().limit(trial::FORM_BYTES_MAX);
            r.app_data(form).route(web::get().to(trial::ask)).route(web::post().to(trial::show))
        }),
        ("/person/try", |r| r.route(web::post().to(person::try_now))),
        ("/dead", |r| r.route(web::get().to(dead::list))),
        ("/dead/act", |r| r.route(web::post().to(dead::act))),
        ("/dead.csv", |r| r.route(web::get().to(dead::csv))),
        ("/dead/{id}/correct", |r| r.route(web::post().to(letter::correct))),
        ("/dead/{id}", |r| r.route(web::get().to(letter::show))),
        ("/dead/{id}/replay", |r| r.route(web::post().to(letter::replay))),
        ("/dead/{id}/discard", |r| r.route(web::post().to(letter::discard))),
        ("/jobs/{id}", |r| r.route(web::get().to(job::find))),
        ("/hold", |r| r.route(web::get().to(hold::show)).route(web::post().to(hold::change))),
        ("/roster", |r| r.route(web::get().to(roster::show))),
        ("/roster/apply", |r| r.route(web::post().to(roster::apply))),
        ("/roster/compare", |r| r.route(web::post().to(roster::compare))),
        ("/deliveries", |r| r.route(web::get().to(sources::show))),
        ("/settings", |r| r.route(web::get().to(settings::show))),
        ("/audit", |r| r.route(web::get().to(audit::show))),
        ("/events", |r| r.route(web::get().to(events::listen))),
        ("/style.css", |r| r.route(web::get().to(style))),
        ("/live.js", |r| r.route(web::get().to(script))),
        ("/icon.svg", |r| r.route(web::get().to(icon))),
    ];
    for (path, methods) in pages {
        app.service(methods(web::resource(path)));
    }
}

/// The 404 page for a browser.
pub(super) fn not_found() -> HttpResponse {
    use actix_web::ResponseError;
    PageError::from(super::error::AdminError::NotFound("page")).error_response()
}

/// Sends the browser to another page of the console after a form, so that a reload repeats nothing.
fn go_to(page: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, page)).finish()
}

async fn style() -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "text/css; charset=utf-8")).body(include_str!("style.css"))
}

async fn script() -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "text/javascript; charset=utf-8")).body(include_str!("live.js"))
}

async fn icon() -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "image/svg+xml")).body(include_str!("icon.svg"))
}
