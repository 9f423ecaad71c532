//! How a request ended: closes its intent, writes its access line and its metrics. Exactly once, on every
//! path, because it runs when the request's context is dropped: `logging` doesn't run on a cut.

use super::context::{Context, End};
use super::record;
use crate::audit::Outcome;
use crate::domain::{Principal, RevokeReason};
use crate::telemetry::{AccessLine, StageName};

impl Drop for Context {
    fn drop(&mut self) {
        let took = self.arrived.elapsed();
        let outcome = self.outcome();
        let status = self.progress.status;
        if let Some(intent) = self.intent.take() {
            intent.close(Outcome {
                outcome,
                status: (status != 0).then_some(status),
                bytes_in: self.progress.bytes_in,
                bytes_out: self.progress.bytes_out,
                latency_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                attempts: self.progress.attempts,
                cut_by: (outcome == "cut").then(|| self.cut_by()),
            });
        } else if self.progress.forwarded || self.progress.served {
            record::attribute(&self.shared.audit, self);
        }
        self.shared.metrics.stage(StageName::Total, took);
        self.shared.metrics.request(status);
        if self.shared.access_log.enabled() {
            self.shared.access_log.write(self.access_line(outcome, took));
        }
    }
}

impl Context {
    /// `completed`, `cut`, `aborted`, `refused`, `upstream_error`, `not_forwarded`.
    fn outcome(&self) -> &'static str {
        let cut = self.progress.end.is_none() && self.slot.is_cancelled();
        match (self.progress.forwarded || self.progress.served, self.progress.end) {
            // An intent whose request neither the upstream nor a handler saw.
            (false, _) if self.intent.is_some() => "not_forwarded",
            (false, _) if self.code.is_some() => "refused",
            (_, Some(End::Completed)) => "completed",
            (_, Some(End::UpstreamError)) => "upstream_error",
            (_, None) if cut => "cut",
            (_, Some(End::Aborted) | None) => "aborted",
        }
    }

    /// Why it was cut.
    fn cut_by(&self) -> &'static str {
        let Some(known) = &self.known else { return "session_ended" };
        let now = self.shared.clock.now();
        match super::refusal::over(&known.session, now) {
            None if known.cancellation.is_unproven() => "view_stale",
            Some(reason) => reason.as_str(),
            // These are the facts from before the end; what ended it is in its own entry.
            None if matches!(known.session.principal, Principal::Impersonation(_)) => "impersonation_ended",
            None => "session_ended",
        }
    }

    fn access_line(&self, outcome: &'static str, took: std::time::Duration) -> AccessLine {
        let session = self.known.as_ref().map(|k| &k.session);
        AccessLine {
            time_ms: self.time,
            request_id: self.request_id.as_str().to_owned(),
            source_address: self.source.to_string(),
            method: self.method.as_str().to_owned(),
            path: self.uri.path().to_owned(),
            status: self.progress.status,
            code: self.code.as_ref().map(|c| c.as_str().to_owned()),
            action: self.action.as_deref().map(str::to_owned),
            principal: session.map(|s| s.principal.id().to_owned()),
            org: self.org.as_ref().map(|o| o.id.as_str().to_owned()),
            impersonation: session.and_then(|s| match &s.principal {
                Principal::Impersonation(i) => Some(i.id.as_str().to_owned()),
                Principal::PlatformUser(_) | Principal::OrgUser(_) | Principal::Bot(_) => None,
            }),
            policies: self
                .decided_by
                .as_ref()
                .map(|(policies, _)| policies.iter().map(|p| p.as_ref().to_owned()).collect())
                .unwrap_or_default(),
            bytes_in: self.progress.bytes_in,
            bytes_out: self.progress.bytes_out,
            duration_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            outcome,
        }
    }

    /// Why a session that was cancelled under this request is over, as far as this gateway knows.
    pub(super) fn end_reason(&self) -> Option<RevokeReason> {
        let known = self.known.as_ref()?;
        super::refusal::over(&known.session, self.shared.clock.now())
    }
}
