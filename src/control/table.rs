//! What is mounted: a router that keeps the method and path of each of its routes, so that a test can hold them
//! against the schema, and none is served that the list doesn't name.

use super::ControlState;
use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, on};

/// Routes with their handlers.
#[derive(Default)]
pub(super) struct RouteTable {
    router: Router<ControlState>,
    mounted: Vec<(&'static str, &'static str)>,
}

impl RouteTable {
    /// Adds a `GET`; `HEAD` comes with it.
    pub(super) fn get<H: Handler<T, ControlState>, T: 'static>(self, path: &'static str, handler: H) -> Self {
        self.mount("GET", MethodFilter::GET, path, handler)
    }

    /// Adds a `POST`.
    pub(super) fn post<H: Handler<T, ControlState>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
    ) -> Self {
        self.mount("POST", MethodFilter::POST, path, handler)
    }

    /// Adds a `PATCH`.
    pub(super) fn patch<H: Handler<T, ControlState>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
    ) -> Self {
        self.mount("PATCH", MethodFilter::PATCH, path, handler)
    }

    /// Adds a `DELETE`.
    pub(super) fn delete<H: Handler<T, ControlState>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
    ) -> Self {
        self.mount("DELETE", MethodFilter::DELETE, path, handler)
    }

    fn mount<H: Handler<T, ControlState>, T: 'static>(
        mut self,
        method: &'static str,
        filter: MethodFilter,
        path: &'static str,
        handler: H,
    ) -> Self {
        self.router = self.router.route(path, on(filter, handler));
        self.mounted.push((method, path));
        self
    }

    /// Method and path of each, in the order in which they were added.
    pub(super) fn mounted(self) -> Vec<(&'static str, &'static str)> {
        self.mounted
    }

    /// What serves them.
    pub(super) fn router(self) -> Router<ControlState> {
        self.router
    }
}
