//! One message: what the client saw, each hop, where each copy is.

use maud::{Markup, html};

use super::{fate_class, fate_sign, told, travelled};
use crate::record::{Hop, MessageRecord};
use crate::report::words::{count, many, offset, short, took, visible};

/// Hops of one message: so many from its beginning and from its end.
const HOPS: (usize, usize) = (24, 12);
/// Recipients of one message.
const RECIPIENTS: usize = 20;
/// Letters of a reply or of a hop's detail.
const LETTERS: usize = 300;

/// The message, folded.
pub(super) fn one(message: &MessageRecord) -> Markup {
    let hops = message.hops.len();
    html! {
        details.message {
            summary {
                code { (visible(&short(&message.token, 80))) }
                span.soft { " sent at " (offset(message.at)) @if let Some(time) = travelled(message) { ", " (took(time)) " on its way" } }
            }
            ol.hops {
                li {
                    span.at { (offset(message.at)) } span.node { "client" } span.what { (told(&message.told)) }
                    span.detail { @if !message.reply.is_empty() { code { (visible(&short(&message.reply, LETTERS))) } } }
                }
                @for (n, hop) in message.hops.iter().enumerate() {
                    @if n < HOPS.0 || n + HOPS.1 >= hops { (step(hop)) }
                    @if n == HOPS.0 && hops > HOPS.0 + HOPS.1 { li.cap { (many(hops - HOPS.0 - HOPS.1, "hop")) " between are left out" } }
                }
            }
            ul.copies {
                @for recipient in message.recipients.iter().take(RECIPIENTS) {
                    li {
                        span.fate.(fate_class(&recipient.fate)) { (fate_sign(&recipient.fate)) " " (visible(&recipient.fate)) } " "
                        span.address { (visible(&short(&recipient.address, LETTERS))) }
                        @for place in recipient.places.iter().take(6) { span.place { (visible(&short(place, LETTERS))) } }
                        @if recipient.places.len() > 6 { span.soft { " and " (count(recipient.places.len() - 6)) " more" } }
                    }
                }
                @if message.recipients.len() > RECIPIENTS { li.cap { (many(message.recipients.len() - RECIPIENTS, "more recipient")) } }
            }
        }
    }
}

fn step(hop: &Hop) -> Markup {
    html! {
        li {
            span.at { (offset(hop.at)) }
            span.node { (visible(&hop.node)) }
            span.what.(if matches!(hop.what.as_str(), "deferred" | "failed") { "held" } else { "went" }) { (visible(&hop.what)) }
            span.detail { @if !hop.id.is_empty() { code.id { (visible(&hop.id)) } " " } (visible(&short(&hop.detail, LETTERS))) }
        }
    }
}
