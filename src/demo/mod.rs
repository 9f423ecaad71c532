//! The demo customer API: a small video-management service.
