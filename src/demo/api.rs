//! Cameras, members and the org itself: plain JSON routes over [`super::data`].

use super::caller::Caller;
use super::data::{Camera, Member, Plan};
use super::{Demo, Refusal};
use axum::Json;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Path, Request, State};
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A JSON body; any content type is read as JSON.
pub(super) struct Body<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let bytes =
            Bytes::from_request(request, state).await.map_err(|_: BytesRejection| Refusal::BrokenBody)?;
        serde_json::from_slice(&bytes).map(Self).map_err(|e| Refusal::InvalidBody(e.to_string()))
    }
}

fn list<T: serde::Serialize>(items: impl Iterator<Item = T>) -> Json<Value> {
    Json(json!({ "items": items.collect::<Vec<_>>(), "next": null }))
}

/// `GET /api/v1/cameras`
pub(super) async fn list_cameras(State(demo): State<Demo>, caller: Caller) -> Json<Value> {
    list(demo.shared.data.lock().of(&caller.org).cameras.values())
}

/// `GET /api/v1/orgs/{org}/cameras`: the org in the path has to be the caller's.
pub(super) async fn list_cameras_of(
    State(demo): State<Demo>,
    caller: Caller,
    Path(org): Path<String>,
) -> Result<Json<Value>, Refusal> {
    if org != caller.org {
        return Err(Refusal::NotFound);
    }
    Ok(list_cameras(State(demo), caller).await)
}

/// `GET /api/v1/cameras/{camera}`
pub(super) async fn get_camera(
    State(demo): State<Demo>,
    caller: Caller,
    Path(camera): Path<String>,
) -> Result<Json<Camera>, Refusal> {
    demo.shared.data.lock().of(&caller.org).cameras.get(&camera).cloned().map(Json).ok_or(Refusal::NotFound)
}

/// Members of a new camera.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCamera {
    name: String,
    #[serde(default)]
    location: String,
}

/// `POST /api/v1/cameras`
pub(super) async fn create_camera(
    State(demo): State<Demo>,
    caller: Caller,
    Body(new): Body<NewCamera>,
) -> (StatusCode, Json<Camera>) {
    let mut data = demo.shared.data.lock();
    let id = data.new_id("cam_");
    let camera = Camera { id: id.clone(), name: new.name, location: new.location, online: true };
    data.of(&caller.org).cameras.insert(id, camera.clone());
    (StatusCode::CREATED, Json(camera))
}

/// What may be changed of a camera.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CameraPatch {
    name: Option<String>,
    location: Option<String>,
    online: Option<bool>,
}

/// `PATCH /api/v1/cameras/{camera}`
pub(super) async fn update_camera(
    State(demo): State<Demo>,
    caller: Caller,
    Path(camera): Path<String>,
    Body(patch): Body<CameraPatch>,
) -> Result<Json<Camera>, Refusal> {
    let mut data = demo.shared.data.lock();
    let camera = data.of(&caller.org).cameras.get_mut(&camera).ok_or(Refusal::NotFound)?;
    if let Some(name) = patch.name {
        camera.name = name;
    }
    if let Some(location) = patch.location {
        camera.location = location;
    }
    if let Some(online) = patch.online {
        camera.online = online;
    }
    Ok(Json(camera.clone()))
}

/// `DELETE /api/v1/cameras/{camera}`
pub(super) async fn delete_camera(
    State(demo): State<Demo>,
    caller: Caller,
    Path(camera): Path<String>,
) -> Result<StatusCode, Refusal> {
    let gone = demo.shared.data.lock().of(&caller.org).cameras.remove(&camera);
    gone.map(|_| StatusCode::NO_CONTENT).ok_or(Refusal::NotFound)
}

/// `GET /api/v1/members`
pub(super) async fn list_members(State(demo): State<Demo>, caller: Caller) -> Json<Value> {
    list(demo.shared.data.lock().of(&caller.org).members.values())
}

/// A new member.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewMember {
    email: String,
    role: String,
}

/// `POST /api/v1/members`
pub(super) async fn add_member(
    State(demo): State<Demo>,
    caller: Caller,
    Body(new): Body<NewMember>,
) -> (StatusCode, Json<Member>) {
    let mut data = demo.shared.data.lock();
    let id = data.new_id("mem_");
    let member = Member { id: id.clone(), email: new.email, role: new.role };
    data.of(&caller.org).members.insert(id, member.clone());
    (StatusCode::CREATED, Json(member))
}

/// What may be changed of a member.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MemberPatch {
    role: String,
}

/// `PATCH /api/v1/members/{member}`
pub(super) async fn update_member(
    State(demo): State<Demo>,
    caller: Caller,
    Path(member): Path<String>,
    Body(patch): Body<MemberPatch>,
) -> Result<Json<Member>, Refusal> {
    let mut data = demo.shared.data.lock();
    let member = data.of(&caller.org).members.get_mut(&member).ok_or(Refusal::NotFound)?;
    member.role = patch.role;
    Ok(Json(member.clone()))
}

/// `GET /api/v1/billing/plan`
pub(super) async fn get_plan(State(demo): State<Demo>, caller: Caller) -> Json<Plan> {
    Json(demo.shared.data.lock().of(&caller.org).plan.clone())
}

/// What may be changed of the plan.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanPatch {
    plan: Option<String>,
    seats: Option<u32>,
}

/// `PATCH /api/v1/billing/plan`
pub(super) async fn set_plan(
    State(demo): State<Demo>,
    caller: Caller,
    Body(patch): Body<PlanPatch>,
) -> Json<Plan> {
    let mut data = demo.shared.data.lock();
    let plan = &mut data.of(&caller.org).plan;
    if let Some(name) = patch.plan {
        plan.plan = name;
    }
    if let Some(seats) = patch.seats {
        plan.seats = seats;
    }
    Json(plan.clone())
}

/// Whom the org goes to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Transfer {
    to: String,
}

/// `POST /api/v1/transfer-ownership`: the member becomes owner, the owner before them admin.
pub(super) async fn transfer_ownership(
    State(demo): State<Demo>,
    caller: Caller,
    Body(transfer): Body<Transfer>,
) -> Result<Json<Value>, Refusal> {
    let mut data = demo.shared.data.lock();
    let members = &mut data.of(&caller.org).members;
    if !members.contains_key(&transfer.to) {
        return Err(Refusal::NotFound);
    }
    for member in members.values_mut() {
        if member.id == transfer.to {
            member.role = "owner".into();
        } else if member.role == "owner" {
            member.role = "admin".into();
        }
    }
    Ok(Json(json!({ "org": caller.org, "owner": transfer.to })))
}

/// `DELETE /api/v1/org`: says that it will, and keeps the data, so that a demo can go on afterwards.
pub(super) async fn delete_org(caller: Caller) -> (StatusCode, Json<Value>) {
    (StatusCode::ACCEPTED, Json(json!({ "org": caller.org, "status": "deletion_scheduled" })))
}
