//! From laid-over values to fields, with every problem kept and every origin noted.

use std::collections::BTreeMap;

use figment::Figment;
use figment::value::{Dict, Num, Value};

use crate::declare::{Declaration, Setting, Shape};
use crate::load::{Layer, Line};
use crate::nearest::nearest;
use crate::{Origin, Origins, Problem, Profile, Scalar};

/// Reads fields out of a table, and gathers what is wrong.
#[derive(Debug)]
pub struct Reader<'a> {
    pub(crate) figment: &'a Figment,
    pub(crate) profile: Profile,
    pub(crate) file: &'a str,
    pub(crate) lines: &'a BTreeMap<String, Line>,
    pub(crate) variables: &'a BTreeMap<String, String>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) origins: Origins,
}

impl Reader<'_> {
    /// The field that `declaration` describes.
    pub(crate) fn field<T: Setting>(&mut self, at: &str, declaration: &Declaration, table: &Dict) -> Option<T> {
        let key = join(at, declaration.name);
        let value = table.get(declaration.name);
        if let Some(value) = value {
            let origin = self.origin(&key, value);
            self.origins.0.insert(key.clone(), origin);
        }
        T::read(self, &key, declaration, value)
    }

    /// Notes a problem for each key of `table` that no declaration names.
    pub(crate) fn unknown(&mut self, at: &str, table: &Dict, fields: &'static [Declaration]) {
        for (name, value) in table.iter().filter(|(name, _)| !fields.iter().any(|field| field.name == *name)) {
            let key = join(at, name);
            let names = if at.contains('[') {
                fields.iter().map(|field| join(at, field.name)).collect()
            } else {
                crate::document::names()
            };
            let origin = self.origin(&key, value);
            let nearest = nearest(&key, names.iter().map(String::as_str)).map(str::to_owned);
            self.problems.push(Problem { origin, key, what: "is no setting".into(), nearest });
        }
    }

    /// The table of a group; an empty one where nothing was set.
    pub(crate) fn table(&mut self, at: &str, value: Option<&Value>) -> Option<Dict> {
        match value {
            None => Some(Dict::new()),
            Some(Value::Dict(_, table)) => Some(table.clone()),
            Some(value) => self.refuse(at, Some(value), format!("is a group of settings, [{at}], and no single value")),
        }
    }

    /// The tables of a list of groups.
    pub(crate) fn tables<T>(
        &mut self,
        at: &str,
        declaration: &Declaration,
        value: Option<&Value>,
        mut read: impl FnMut(&mut Self, &str, &Dict) -> Option<T>,
    ) -> Option<Vec<T>> {
        let value = match value {
            None => self.inline(at, declaration, declaration.office)?,
            Some(Value::String(_, text)) => self.inline(at, declaration, text)?,
            Some(value) => value.clone(),
        };
        let Value::Array(_, tables) = &value else {
            return self.refuse(at, Some(&value), format!("is a list of tables, [[{at}]]"));
        };
        let mut complete = Some(Vec::new());
        for (index, table) in tables.iter().enumerate() {
            let at = format!("{at}[{index}]");
            let origin = self.origin(&at, table);
            self.origins.0.insert(at.clone(), origin);
            let group = match table {
                Value::Dict(_, table) => read(self, &at, table),
                value => self.refuse(&at, Some(value), "is no table".into()),
            };
            complete = complete.zip(group).map(|(mut groups, group)| {
                groups.push(group);
                groups
            });
        }
        complete
    }

    /// A list of tables in TOML's inline form, as an environment variable or a default holds it.
    fn inline(&mut self, at: &str, declaration: &Declaration, text: &str) -> Option<Value> {
        let text = if text.trim().is_empty() { "[]" } else { text };
        match toml::from_str::<Dict>(&format!("{} = {text}", declaration.name)) {
            Ok(mut table) => table.remove(declaration.name),
            Err(error) => {
                self.refuse(at, None, format!("is no list of tables such as [{{ … }}, {{ … }}]: {}", error.message()))
            }
        }
    }

    /// A single value.
    pub(crate) fn one<T: Scalar>(&mut self, at: &str, declaration: &Declaration, value: Option<&Value>) -> Option<T> {
        let text = self.text(at, declaration, value)?;
        // A text may be empty; nothing else may.
        if text.is_empty() && T::from_text("").is_err() {
            let example =
                if declaration.example.is_empty() { String::new() } else { format!(", such as {}", declaration.example) };
            return self.refuse(at, value, format!("has to be set: {}{example}", declaration.kind));
        }
        self.parse(at, declaration, value, &text)
    }

    /// A list of values, from a list or from a text with commas.
    pub(crate) fn many<T: Scalar>(&mut self, at: &str, declaration: &Declaration, value: Option<&Value>) -> Option<Vec<T>> {
        let texts: Vec<String> = match value {
            Some(Value::Array(_, values)) => {
                let mut texts = Vec::new();
                for value in values {
                    texts.push(self.text(at, declaration, Some(value))?);
                }
                texts
            }
            _ => split_list(&self.text(at, declaration, value)?),
        };
        // Read all before giving up, so that each bad element is named.
        let read: Vec<Option<T>> = texts.iter().map(|text| self.parse(at, declaration, value, text)).collect();
        read.into_iter().collect()
    }

    /// The text of a value, or the default's.
    pub(crate) fn text(&mut self, at: &str, declaration: &Declaration, value: Option<&Value>) -> Option<String> {
        match value {
            None => Some(default(declaration, self.profile).to_owned()),
            Some(Value::String(_, text)) => Some(text.trim().to_owned()),
            Some(Value::Bool(_, truth)) => Some(truth.to_string()),
            Some(Value::Num(_, number)) => Some(number_text(number)),
            Some(value) => {
                let wanted = if declaration.shape == Shape::Many { "a list of values, each a" } else { "a single value," };
                self.refuse(at, Some(value), format!("is {wanted} {}", declaration.kind))
            }
        }
    }

    fn parse<T: Scalar>(&mut self, at: &str, declaration: &Declaration, value: Option<&Value>, text: &str) -> Option<T> {
        match T::from_text(text).and_then(|parsed| in_range(parsed, declaration, text)) {
            Ok(parsed) => Some(parsed),
            Err(what) => {
                let allowed = allowed(declaration);
                self.refuse(at, value, format!("= {text}: {what}{allowed}"))
            }
        }
    }

    /// Notes a problem; always `None`, so that a caller can return it.
    pub(crate) fn refuse<T>(&mut self, key: &str, value: Option<&Value>, what: String) -> Option<T> {
        let origin = match value {
            Some(value) => self.origin(key, value),
            None => self.nearby(key),
        };
        self.problems.push(Problem { origin, key: key.to_owned(), what, nearest: None });
        None
    }

    /// Where a key that was not given is best looked for: at the table around it, else anywhere in the file.
    fn nearby(&self, key: &str) -> Origin {
        let mut at = key;
        while !at.is_empty() {
            if let Some(origin) = self.origins.0.get(at) {
                return origin.clone();
            }
            at = at.rfind(['.', '[']).map_or("", |end| &at[..end]);
        }
        if self.file.is_empty() { Origin::Default } else { Origin::File { name: self.file.to_owned(), line: 0 } }
    }

    fn origin(&self, key: &str, value: &Value) -> Origin {
        let metadata = self.figment.get_metadata(value.tag());
        match metadata.map(|metadata| metadata.name.as_ref()) {
            Some(Layer::FILE) => {
                let line = self.lines.get(key).map_or(0, |line| line.0);
                Origin::File { name: self.file.to_owned(), line }
            }
            Some(Layer::ENVIRONMENT) => {
                let top = key.split('[').next().unwrap_or(key);
                Origin::Environment(self.variables.get(top).cloned().unwrap_or_else(|| "environment".into()))
            }
            Some(Layer::ASSUMED) => Origin::Assumed,
            _ => Origin::Default,
        }
    }
}

fn in_range<T: Scalar>(value: T, declaration: &Declaration, text: &str) -> Result<T, String> {
    let outside =
        |limit: &str, side| !limit.is_empty() && T::from_text(limit).ok().and_then(|limit| value.compare(&limit)) == Some(side);
    if outside(declaration.least, std::cmp::Ordering::Less) {
        Err(format!("`{text}` is too small"))
    } else if outside(declaration.most, std::cmp::Ordering::Greater) {
        Err(format!("`{text}` is too large"))
    } else {
        Ok(value)
    }
}

/// `; allowed is 1 to 100`, or nothing where there is no limit.
pub(crate) fn allowed(declaration: &Declaration) -> String {
    match (declaration.least, declaration.most) {
        ("", "") => String::new(),
        (least, "") => format!("; allowed is {least} or more"),
        ("", most) => format!("; allowed is up to {most}"),
        (least, most) => format!("; allowed is {least} to {most}"),
    }
}

/// The default's text in `profile`.
pub(crate) fn default(declaration: &Declaration, profile: Profile) -> &'static str {
    match (profile, declaration.classic) {
        (Profile::Classic, Some(classic)) => classic,
        _ => declaration.office,
    }
}

/// `smtp` and `hop_limit` → `smtp.hop_limit`.
pub(crate) fn join(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

/// The elements of a list given as one text: `a, b`, or `["a", "b"]` as one would write it in the file.
fn split_list(text: &str) -> Vec<String> {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    // An IPv6 literal also begins with a bracket; only a text that ends with one too is a list.
    let inner = inner.unwrap_or(text);
    inner.split(',').map(|part| part.trim().trim_matches('"').to_owned()).filter(|part| !part.is_empty()).collect()
}

fn number_text(number: &Num) -> String {
    match (number.to_i128(), number.to_u128(), number.to_f64()) {
        (Some(number), ..) => number.to_string(),
        (_, Some(number), _) => number.to_string(),
        (_, _, Some(number)) => number.to_string(),
        _ => String::new(),
    }
}

impl<T: Scalar> Setting for T {
    const KIND: &'static str = T::KIND;
    const BARE: bool = T::BARE;
    const SHAPE: Shape = Shape::One;

    fn read(reader: &mut Reader<'_>, at: &str, declaration: &Declaration, value: Option<&Value>) -> Option<Self> {
        reader.one(at, declaration, value)
    }
}

impl<T: Scalar> Setting for Option<T> {
    const KIND: &'static str = T::KIND;
    const BARE: bool = T::BARE;
    const SHAPE: Shape = Shape::One;

    fn read(reader: &mut Reader<'_>, at: &str, declaration: &Declaration, value: Option<&Value>) -> Option<Self> {
        if reader.text(at, declaration, value)?.is_empty() { Some(None) } else { reader.one(at, declaration, value).map(Some) }
    }
}

impl<T: Scalar> Setting for Vec<T> {
    const KIND: &'static str = T::KIND;
    const BARE: bool = T::BARE;
    const SHAPE: Shape = Shape::Many;

    fn read(reader: &mut Reader<'_>, at: &str, declaration: &Declaration, value: Option<&Value>) -> Option<Self> {
        reader.many(at, declaration, value)
    }
}
