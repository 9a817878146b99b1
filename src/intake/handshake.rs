//! Handshakes and pings: what a system sends to find out whether the endpoint is there, instead of a delivery.

use tracing::{error, info, warn};

use super::Shared;
use super::answer::{self as respond, Refusal};
use super::capture::TokenResult;
use super::end::{DeliveryEntry, End};
use super::source::Endpoint;
use crate::core::signature::HandshakeAnswer;
use crate::core::tally::GenuineResult;
use crate::telemetry::metrics::DeliveryResult;

/// Whether the sender is authenticated.
pub(super) enum Proof {
    Signed,
    Unsigned,
}

/// Answers a handshake. Anybody can send an unsigned one, so it says nothing about the source.
pub(super) async fn answer(endpoint: &Endpoint, asked: HandshakeAnswer, proof: Proof, shared: &Shared) -> End {
    let source = endpoint.name.as_str();
    let kind = asked.as_str();
    let now = shared.services.clock.now();
    let answer = match asked {
        HandshakeAnswer::Pong => respond::taken("ignored", &[]),
        HandshakeAnswer::Offered => {
            endpoint.note(|seen| seen.offered_token(now));
            respond::taken("ignored", &[])
        }
        HandshakeAnswer::Text(text) => respond::text(text),
        HandshakeAnswer::Json(document) => respond::json(&document),
        HandshakeAnswer::Capture { token, file } => match endpoint.keeper.keep(file, token).await {
            Ok(TokenResult::Saved) => respond::taken("ignored", &[]),
            Ok(TokenResult::Other) => {
                if let Some(left_out) = shared.log.line("capture_other", source) {
                    warn!(
                        source,
                        left_out, "a token was offered, but the capture's file holds another one, which stays"
                    );
                }
                return End::refused(DeliveryResult::Forged, Refusal::Unauthorised, kind);
            }
            Err(error) => {
                if let Some(left_out) = shared.log.line("capture_unwritable", source) {
                    let kind = error.kind();
                    error!(source, %kind, left_out, "a token was offered, but its file cannot be written");
                }
                return End::unavailable(shared.options.retry_after_s);
            }
        },
    };
    match proof {
        Proof::Signed => endpoint.note(|seen| seen.genuine(now, GenuineResult::Handshake)),
        Proof::Unsigned if kind == HandshakeAnswer::Offered.as_str() => {}
        Proof::Unsigned => endpoint.note(|seen| seen.unsigned_handshake(now)),
    }
    if let Some(left_out) = shared.log.line(kind, source) {
        info!(source, handshake = kind, left_out, "handshake answered");
    }
    End {
        listed: DeliveryEntry { reason: Some(kind), ..DeliveryEntry::default() },
        ..End::new(DeliveryResult::Handshake, answer)
    }
}
