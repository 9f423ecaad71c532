//! What the gateway shows in a browser: pages as data and templates, their style sheet, and the security headers
//! that each of them is sent with.
//!
//! Nothing here reads a request, decides or does anything: `control` fills pages in, `gateway` shows a refusal as
//! one. There is no JavaScript at all, and no inline style; every value is escaped by the templates
//! (`templates/*.html`), and what a terminal or a browser would act on without showing it is spelt out
//! ([`text::visible`]).

pub mod assets;
mod cookie;
pub mod form;
mod frame;
mod headers;
mod login;
pub mod pages;
mod problem;
mod send;
mod side;
pub mod text;

pub use cookie::{AmbiguousCookie, Cookie, own_cookie};
pub use frame::{Frame, Viewer};
pub use headers::security_headers;
pub use login::LoginPage;
pub use problem::{ProblemPage, problem_page};
pub use send::{Site, page, redirect, see_other};
pub use side::{Side, has_pages};
