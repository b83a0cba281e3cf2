//! What is generated from the declarations equals what is kept in the repository, and every configuration in it loads.

use std::fs;
use std::path::{Path, PathBuf};

use lib_settings::*;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_page_of_settings_is_current() {
    let path = repository().join("docs/settings.md");
    let page = markdown();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == page, "docs/settings.md is not what the declarations say; UPDATE=1 rewrites it");
}

#[test]
fn every_declaration_is_whole() {
    for (key, field) in declarations() {
        assert!(field.id.starts_with('R'), "{key} names no requirement");
        assert!(field.paragraph().ends_with('.'), "{key}'s paragraph is no sentence");
        assert!(!field.kind.is_empty(), "{key} says nothing of its values");
    }
}

/// A default that is out of its own range, or no value at all, would be a problem here.
#[test]
fn both_profiles_load() {
    for profile in [Profile::Office, Profile::Classic] {
        assert_eq!(Settings::defaults(profile).profile, profile);
    }
}

#[test]
fn the_sample_says_everything_and_loads() {
    let set = [("hostname", "\"mail.example.net\""), ("smtp.hop_limit", "30"), ("relay.smart_host.port", "2525")];
    let tables = "[[listen]]\nname = \"mx\"\nport = 2525\nrole = \"mx\"";
    let text = sample(&set, tables);
    for (key, field) in declarations() {
        assert!(text.contains(field.name), "{key} is missing");
    }
    let load = |text: &str| Settings::load(&Sources { file: Some(("sample".into(), text.into())), ..Sources::default() });
    let (settings, origins) = load(&text).unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"));
    assert_eq!((settings.smtp.hop_limit, settings.relay.smart_host.port, settings.listen.len()), (30, 2525, 1));
    assert_eq!(
        origins.iter().filter(|(key, _)| !key.contains(['[', '.'])).map(|(key, _)| key).collect::<Vec<_>>(),
        [
            "auth", "deliver", "domains", "hostname", "listen", "log", "pair", "pop3", "queue", "relay", "smtp", "spool",
            "testing", "tls", "users"
        ]
    );
    assert_eq!(settings.queue, Settings::defaults(Profile::Office).queue);

    // Every commented default is right where the comment sign is taken away: the sample must not lead astray.
    let in_force: String =
        text.lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(rest)
                    if rest.split_once(" = ").is_some_and(|(name, _)| {
                        name.bytes().all(|b| b.is_ascii_lowercase() || b"_0123456789".contains(&b))
                    }) && !names_table_field(&text, line) =>
                {
                    format!("{rest}\n")
                }
                _ => format!("{line}\n"),
            })
            .collect();
    load(&in_force).unwrap_or_else(|problems| panic!("{problems:#?}\n{in_force}"));
}

/// Whether the line stands in the comment of a list of tables, where fields alone mean nothing.
fn names_table_field(text: &str, line: &str) -> bool {
    // The line itself, and not the first that reads the same.
    let before = &text[..line.as_ptr() as usize - text.as_ptr() as usize];
    before.rfind("# [[").is_some_and(|table| !before[table..].contains("\n\n"))
}

#[test]
fn every_shipped_configuration_loads() {
    let mut found = Vec::new();
    collect(&repository(), &mut found, 0);
    for path in found {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.display().to_string();
        if let Err(problems) = Settings::load(&Sources { file: Some((name, text)), ..Sources::default() }) {
            panic!("{}", problems.iter().map(|problem| format!("{problem}\n")).collect::<String>());
        }
    }
}

fn collect(directory: &Path, found: &mut Vec<PathBuf>, depth: usize) {
    for entry in fs::read_dir(directory).expect("a readable directory").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        if path.is_dir() && depth < 5 && name != "target" && !name.starts_with('.') {
            collect(&path, found, depth + 1);
        } else if name.starts_with("bongsu") && name.ends_with(".toml") {
            found.push(path);
        }
    }
}
