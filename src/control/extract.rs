//! What a handler takes from a request: the caller with the gate's permit, a body, a page of a list.

use super::error::{ApiError, Fault};
use crate::access::{ActError, Caller, Known};
use crate::domain::ids::{PlatformUserId, RequestId};
use crate::domain::{Org, Principal};
use crate::policy::Permit;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::sync::Arc;

/// The caller of a request that the gate let through.
pub(super) struct Call {
    pub(super) caller: Caller,
}

impl<S: Sync> FromRequestParts<S> for Call {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let caller = parts.extensions.get::<Caller>().cloned();
        caller.map(|caller| Self { caller }).ok_or_else(|| ApiError {
            request_id: RequestId::random(),
            fault: Fault::Act(ActError::NoPermit),
            by_act: false,
        })
    }
}

impl Call {
    /// The session; handlers of routes that strangers can't reach have one.
    pub(super) fn known(&self) -> Result<&Arc<Known>, ApiError> {
        self.caller.known.as_ref().ok_or_else(|| self.fault(Fault::Act(ActError::NoPermit)))
    }

    /// Who acts.
    pub(super) fn principal(&self) -> Result<&Principal, ApiError> {
        Ok(&self.known()?.session.principal)
    }

    /// The permit, once.
    pub(super) fn permit(&self) -> Result<Permit, ApiError> {
        self.caller.permit.take().ok_or_else(|| self.fault(Fault::Act(ActError::NoPermit)))
    }

    /// The org that the request is about.
    pub(super) fn org(&self) -> Result<&Arc<Org>, ApiError> {
        self.caller.org.as_ref().ok_or_else(|| self.fault(Fault::Act(ActError::NoPermit)))
    }

    /// The member of staff whose identifier stands in the path; what can't be one is nobody's.
    pub(super) fn platform_user(&self, id: &str) -> Result<PlatformUserId, ApiError> {
        PlatformUserId::parse(id).map_err(|_| self.fault(Fault::Act(ActError::NotFound("platform user"))))
    }

    /// A JSON body, whatever its content type; unknown members are refused by the type itself.
    pub(super) fn body<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, ApiError> {
        let text = if bytes.is_empty() { b"{}" } else { bytes };
        // serde reads a struct from an array too, member by member: `["a reason"]` must be no mint.
        if text.trim_ascii_start().first() != Some(&b'{') {
            return Err(
                self.fault(Fault::Body("the body can't be used: it must be a JSON object".to_owned()))
            );
        }
        serde_json::from_slice(text)
            .map_err(|e| self.fault(Fault::Body(format!("the body can't be used: {}", without_position(&e)))))
    }

    /// This request's problem.
    pub(super) fn fault(&self, fault: Fault) -> ApiError {
        ApiError { request_id: self.caller.request.id.clone(), fault, by_act: false }
    }

    /// An act's error as this request's problem.
    pub(super) fn act<T>(&self, result: Result<T, ActError>) -> Result<T, ApiError> {
        result.map_err(|e| ApiError { by_act: true, ..self.fault(Fault::Act(e)) })
    }
}

/// serde_json's message names the member; its line and column mean little in a one-line body.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

/// Parameters of a query string: decoded, each at most once.
pub(super) struct Query(HashMap<String, String>);

impl Query {
    /// Reads them; a name that is not among `known`, or given twice, is an error.
    pub(super) fn read(call: &Call, raw: Option<&str>, known: &[&str]) -> Result<Self, ApiError> {
        let mut all = HashMap::new();
        for (name, value) in url::form_urlencoded::parse(raw.unwrap_or_default().as_bytes()) {
            if !known.contains(&name.as_ref()) {
                let known = known.join("`, `");
                return Err(call
                    .fault(Fault::Query(format!("the parameter `{name}` is unknown; there are `{known}`"))));
            }
            if all.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(call.fault(Fault::Query(format!("the parameter `{name}` is given twice"))));
            }
        }
        Ok(Self(all))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn owned(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    /// `limit`: 1 to 500, 50 if absent.
    pub(super) fn limit(&self, call: &Call) -> Result<usize, ApiError> {
        match self.get("limit").map(str::parse::<usize>) {
            None => Ok(50),
            Some(Ok(n)) if (1..=500).contains(&n) => Ok(n),
            Some(_) => {
                Err(call.fault(Fault::Query("`limit` must be a whole number from 1 to 500".to_owned())))
            }
        }
    }
}
