//! Every setting, declared once (`tree`). From a declaration come the struct field, the check of its value, docs/settings.md, the
//! sample `bongsu.toml`, and the file and line that `why` shows.
//!
//! Floor 1: texts come in, values go out. Nobody here opens a file or asks the process for its environment; the appliance reads
//! both and passes them as `Sources`. All problems of a text are reported at once, never only the first, and a text with a
//! problem gives no settings at all: there is no half-right configuration.
//!
//! Values are laid over each other with figment: the profile's defaults, what the appliance assumes (a node without any
//! configuration), the file, the environment.

mod check;
mod declare;
mod document;
pub mod fuzzing;
mod lines;
mod load;
mod nearest;
mod problem;
mod read;
mod scalar;
mod secrets;
mod tree;

pub use declare::{Declaration, Reload, Setting, Shape};
pub use document::{declarations, markdown, sample};
pub use load::{NOT_SETTINGS, Sources};
pub use problem::{Origin, Origins, Problem};
pub use scalar::{Bytes, Rate, Scalar, Zone};
pub use secrets::{CertificateText, Secrets};
pub use tree::*;
