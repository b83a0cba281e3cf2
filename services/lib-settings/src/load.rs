//! Laying the texts over each other and reading the tree from them.

use std::collections::BTreeMap;

use figment::providers::{Data, Format};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Provider};

use crate::declare::Setting;
use crate::nearest::nearest;
use crate::read::Reader;
use crate::{Declaration, Origin, Origins, Problem, Profile, Scalar, Settings};

/// Environment variables that begin like settings and are none: they belong to the command line and to tests.
pub const NOT_SETTINGS: [&str; 4] = ["BONGSU_CONFIG", "BONGSU_DATA", "BONGSU_MUTANT", "BONGSU_PASSWORD"];

const PREFIX: &str = "BONGSU_";

/// The texts that settings are made of. What stands later wins: assumed, file, environment.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// What the appliance assumes beneath the file: keys as `smtp.hop_limit` and values as one would write them.
    pub assumed: Vec<(String, String)>,
    /// The configuration's name, as problems show it, and its text.
    pub file: Option<(String, String)>,
    /// Environment variables; those that do not begin with `BONGSU_` are passed over.
    pub environment: Vec<(String, String)>,
}

/// A line of the configuration, counted from 1; 0 where it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line(pub(crate) usize);

/// TOML for figment, without figment's own older version of that crate.
struct Toml;

impl Format for Toml {
    type Error = toml::de::Error;
    const NAME: &'static str = "TOML";

    fn from_str<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Self::Error> {
        toml::from_str(text)
    }
}

/// One layer of values under a name.
pub(crate) struct Layer {
    name: &'static str,
    values: Dict,
}

impl Layer {
    pub(crate) const ASSUMED: &'static str = "assumed";
    pub(crate) const FILE: &'static str = "file";
    pub(crate) const ENVIRONMENT: &'static str = "environment";

    fn of_texts<'a>(name: &'static str, texts: impl Iterator<Item = (&'a str, &'a str)>) -> Layer {
        let mut values = Dict::new();
        for (key, text) in texts {
            insert(&mut values, key, text);
        }
        Layer { name, values }
    }

    fn of_file(text: &str) -> Layer {
        let data = Data::<Toml>::string(text).data().unwrap_or_default();
        Layer { name: Layer::FILE, values: data.into_values().next().unwrap_or_default() }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> figment::Result<Map<figment::Profile, Dict>> {
        Ok(figment::Profile::Default.collect(self.values.clone()))
    }
}

/// Puts a text at a dotted key. Texts stay texts: what type a value has, its declaration knows.
fn insert(values: &mut Dict, key: &str, text: &str) {
    match key.split_once('.') {
        None => {
            values.insert(key.to_owned(), Value::from(text));
        }
        Some((group, rest)) => {
            let inner = values.entry(group.to_owned()).or_insert_with(|| Value::from(Dict::new()));
            if let Value::Dict(_, table) = inner {
                insert(table, rest, text);
            }
        }
    }
}

/// `BONGSU_SMTP__HOP_LIMIT` and `BONGSU_SMTP_HOP_LIMIT` alike.
fn flat(name: &str) -> String {
    name.to_ascii_uppercase().replace('.', "_").replace("__", "_")
}

/// The environment's settings as (key, variable, text), and a problem for each variable that names none.
fn environment(variables: &[(String, String)]) -> (Vec<(String, String, String)>, Vec<Problem>) {
    let names = crate::document::names();
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for (variable, text) in variables {
        let Some(name) = variable.strip_prefix(PREFIX) else { continue };
        if NOT_SETTINGS.contains(&variable.as_str()) {
            continue;
        }
        match names.iter().find(|key| flat(key) == flat(name)) {
            Some(key) => found.push((key.clone(), variable.clone(), text.clone())),
            None => {
                let meant = name.to_ascii_lowercase().replace("__", ".");
                let nearest = nearest(&meant, names.iter().map(String::as_str));
                let nearest = nearest.map(|key| format!("{PREFIX}{}", key.to_ascii_uppercase().replace('.', "__")));
                let origin = Origin::Environment(variable.clone());
                problems.push(Problem { origin, key: String::new(), what: "names no setting".into(), nearest });
            }
        }
    }
    (found, problems)
}

impl Settings {
    /// The settings that `sources` give, and where each came from; or everything that is wrong with them.
    pub fn load(sources: &Sources) -> Result<(Settings, Origins), Vec<Problem>> {
        let (file, text) = sources.file.as_ref().map_or(("", ""), |(name, text)| (name.as_str(), text.as_str()));
        let (lines, errors) = crate::lines::lines(text);
        let (environment, mut problems) = environment(&sources.environment);
        for (line, what) in errors {
            let origin = Origin::File { name: file.to_owned(), line: line.0 };
            problems.push(Problem { origin, key: String::new(), what: format!("this is no TOML: {what}"), nearest: None });
        }
        let assumed = sources.assumed.iter().map(|(key, text)| (key.as_str(), text.as_str()));
        let figment = Figment::new()
            .merge(Layer::of_texts(Layer::ASSUMED, assumed))
            .merge(Layer::of_file(text))
            .merge(Layer::of_texts(Layer::ENVIRONMENT, environment.iter().map(|(key, _, text)| (key.as_str(), text.as_str()))));
        let table = figment.find_value("").ok().and_then(Value::into_dict).unwrap_or_default();
        let variables: BTreeMap<String, String> = environment.into_iter().map(|(key, variable, _)| (key, variable)).collect();
        let mut reader = Reader {
            figment: &figment,
            profile: profile(&table),
            file,
            lines: &lines,
            variables: &variables,
            problems,
            origins: Origins::default(),
        };
        let settings = <Settings as Setting>::read(&mut reader, "", &Declaration::EMPTY, Some(&Value::from(table)));
        if let Some(settings) = &settings {
            settings.check(&mut reader);
        }
        match settings {
            Some(settings) if reader.problems.is_empty() => Ok((settings, reader.origins)),
            _ => Err(reader.problems),
        }
    }

    /// The defaults of a profile, with a host name that no host has.
    pub fn defaults(profile: Profile) -> Settings {
        let text = format!("profile = \"{profile}\"\nhostname = \"mail.example.invalid\"\n");
        let sources = Sources { file: Some(("defaults".into(), text)), ..Sources::default() };
        Settings::load(&sources).expect("because a test loads both profiles").0
    }
}

/// The profile decides the defaults, so it is read before all else. A bad one is reported when its field is read.
fn profile(table: &Dict) -> Profile {
    let text = table.get("profile").and_then(Value::as_str).unwrap_or_default();
    Profile::from_text(text.trim()).unwrap_or(Profile::Office)
}
