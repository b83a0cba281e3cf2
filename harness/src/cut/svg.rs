//! Writes an SVG picture: a few shapes, every text escaped.

use std::fmt::{Display, Write};

/// A picture that grows.
#[derive(Debug)]
pub(super) struct Svg {
    body: String,
}

impl Svg {
    pub(super) fn new() -> Svg {
        Svg { body: String::new() }
    }

    /// A text with its left end on the base line at this place; `class` is one of the style.
    pub(super) fn text(&mut self, x: f64, y: f64, class: &str, text: impl Display) {
        let text = escaped(&text.to_string());
        let _ = writeln!(self.body, "<text x=\"{x}\" y=\"{y}\" class=\"{class}\">{text}</text>");
    }

    /// A rectangle with round corners.
    pub(super) fn rect(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), round: f64, class: &str) {
        let _ = writeln!(
            self.body,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{round}\" class=\"{class}\"/>"
        );
    }

    /// A line.
    pub(super) fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), class: &str) {
        let _ = writeln!(self.body, "<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" class=\"{class}\"/>");
    }

    /// Opens a group whose title a browser shows where the pointer rests.
    pub(super) fn open(&mut self, title: &str) {
        let _ = writeln!(self.body, "<g><title>{}</title>", escaped(title));
    }

    /// Closes it.
    pub(super) fn close(&mut self) {
        self.body.push_str("</g>\n");
    }

    /// The whole: as wide as the window allows, up to `widest` pixels.
    pub(super) fn finish(self, (width, height): (f64, f64), widest: u32, style: &str, title: &str) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"100%\" preserveAspectRatio=\"xMinYMin\" role=\"img\" style=\"max-width:{widest}px\">\n\
             <title>{}</title>\n<style>{style}</style>\n{}</svg>\n",
            escaped(title),
            self.body
        )
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
