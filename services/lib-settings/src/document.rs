//! What the declarations say to people: docs/settings.md and the sample configuration.

use std::fmt::Write as _;

use crate::read::{allowed, join};
use crate::{Declaration, Reload, Settings, Shape};

/// All settings in the order they are shown, groups before what is in them, with their full names. Settings of a list of groups
/// are named `listen[].port`.
pub fn declarations() -> Vec<(String, Declaration)> {
    let mut all = Vec::new();
    walk("", Settings::FIELDS, &mut all);
    all
}

fn walk(at: &str, fields: &'static [Declaration], all: &mut Vec<(String, Declaration)>) {
    for field in fields {
        let key = join(at, field.name);
        all.push((key.clone(), *field));
        match field.shape {
            Shape::Group(inner) => walk(&key, inner, all),
            Shape::Groups(inner) => walk(&format!("{key}[]"), inner, all),
            Shape::One | Shape::Many => {}
        }
    }
}

/// The names that a value can be given to, outside lists of groups.
pub(crate) fn names() -> Vec<String> {
    let all = declarations().into_iter().filter(|(key, field)| !key.contains('[') && !matches!(field.shape, Shape::Group(_)));
    all.map(|(key, _)| key).collect()
}

/// The text of docs/settings.md.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Settings\n\n\
         Generated from the declarations in `services/lib-settings/src/tree`; do not edit (`UPDATE=1 cargo nextest run -p lib-settings` writes it).\n\n\
         Settings stand in `bongsu.toml`. An environment variable overrides one: `BONGSU_`, then the name in capitals with `__` for each\n\
         dot, as `BONGSU_SMTP__HOP_LIMIT=50`; lists are parted by commas. `bongsu check` names every unknown key and every value that is\n\
         not allowed, with its line. Sizes are octets, or `50 MB` (decimal), or `48 MiB` (binary). Durations are a number with its unit:\n\
         `ms`, `s`, `m`, `h`, `d`, `w`. A *live* setting counts after `bongsu reload`, the others after a restart. Where one default is\n\
         shown, it holds in both profiles. An empty default means *none*.\n",
    );
    let mut heading = String::from("nothing yet");
    for (key, field) in declarations() {
        match field.shape {
            Shape::Group(_) => {
                heading = key.clone();
                let _ = write!(page, "\n## [{key}]\n\n{}\n", field.paragraph());
            }
            Shape::Groups(_) => {
                heading = format!("{key}[]");
                let _ = write!(page, "\n## [[{key}]]\n\n{}\n", field.paragraph());
                if !field.office.is_empty() {
                    let _ = writeln!(page, "Default: `{}`", field.office);
                }
            }
            Shape::One | Shape::Many => {
                // After a nested group its parent's settings would stand under the wrong heading.
                let at = key.rsplit_once('.').map_or("", |(at, _)| at);
                if at != heading {
                    heading = at.to_owned();
                    let title = if at.is_empty() { "The whole node".to_owned() } else { format!("[{at}], further") };
                    let _ = write!(page, "\n## {title}\n");
                }
                entry(&mut page, &key, &field);
            }
        }
    }
    page
}

fn entry(page: &mut String, key: &str, field: &Declaration) {
    let many = if field.shape == Shape::Many { "list; each: " } else { "" };
    let reload = if field.reload == Reload::Live { "live" } else { "restart" };
    let _ = write!(page, "\n### {key}\n\n{}\n\n", field.paragraph());
    let _ = writeln!(page, "- {many}{}{}", field.kind, allowed(field).replace("; allowed is", ","));
    let shown = |text: &str| if text.is_empty() { "none".to_owned() } else { format!("`{text}`") };
    match field.classic {
        Some(classic) => {
            let _ = writeln!(page, "- default: {} (classic: {})", shown(field.office), shown(classic));
        }
        None => {
            let _ = writeln!(page, "- default: {}", shown(field.office));
        }
    }
    let origin = if field.origin.is_empty() { String::new() } else { format!("; {}", field.origin) };
    let _ = writeln!(page, "- {reload}; {}{origin}", field.id);
}

/// A `bongsu.toml` that says all settings as comments, with `set` in force: keys as `smtp.hop_limit` with values as one would write
/// them in TOML, and `tables` (lists of groups, in TOML) at its end. It loads as it stands.
pub fn sample(set: &[(&str, &str)], tables: &str) -> String {
    let mut text = String::from(
        "# bongsu's configuration. Every setting stands here; what begins with # is its default or an example.\n\
         # `bongsu check` reads this file and says what is wrong; `bongsu reload` puts it into force.\n",
    );
    for (key, field) in declarations().into_iter().filter(|(key, _)| !key.contains('[')) {
        match field.shape {
            Shape::Group(_) => {
                let _ = write!(text, "\n# {}\n[{key}]\n", field.paragraph());
            }
            Shape::Groups(inner) => sample_tables(&mut text, &key, &field, inner),
            Shape::One | Shape::Many => sample_line(&mut text, &key, &field, set),
        }
    }
    if !tables.is_empty() {
        let _ = write!(text, "\n{}\n", tables.trim_end());
    }
    text
}

fn sample_line(text: &mut String, key: &str, field: &Declaration, set: &[(&str, &str)]) {
    let name = field.name;
    let _ = write!(text, "\n# {}", field.paragraph());
    if let Some(classic) = field.classic {
        let _ = write!(text, " (classic: {})", toml_value(field, classic));
    }
    match set.iter().find(|(set, _)| *set == key) {
        Some((_, value)) => {
            let _ = write!(text, "\n{name} = {value}\n");
        }
        None if field.office.is_empty() && !field.example.is_empty() => {
            let _ = write!(text, "\n# {name} = {}    # an example; none by default\n", toml_value(field, field.example));
        }
        None => {
            let _ = write!(text, "\n# {name} = {}\n", toml_value(field, field.office));
        }
    }
}

/// Lists of groups stand as comments only: TOML would take what follows an empty one as part of it.
fn sample_tables(text: &mut String, key: &str, field: &Declaration, inner: &[Declaration]) {
    let _ = write!(text, "\n# {}\n# [[{key}]]\n", field.paragraph());
    for field in inner {
        let value = if field.example.is_empty() { field.office } else { field.example };
        let _ = writeln!(text, "# {} = {}", field.name, toml_value(field, value));
    }
}

/// A default's text as one would write it in the file.
fn toml_value(field: &Declaration, text: &str) -> String {
    let quoted = |text: &str| if field.bare && !text.is_empty() { text.to_owned() } else { format!("\"{text}\"") };
    if field.shape == Shape::Many {
        let parts: Vec<String> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(quoted).collect();
        format!("[{}]", parts.join(", "))
    } else {
        quoted(text)
    }
}
