//! How a setting is declared: the macros `group!` and `choice!`, and what they leave behind at run time.

use figment::value::Value;

use crate::read::Reader;

/// When a changed value counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// After `bongsu reload`, without dropping a session.
    Live,
    /// After a restart; `bongsu reload` says so.
    Restart,
}

/// What stands behind a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One value.
    One,
    /// A list of values.
    Many,
    /// Settings with names of their own.
    Group(&'static [Declaration]),
    /// A list of such groups (`[[listen]]`).
    Groups(&'static [Declaration]),
}

/// Everything that is known of a setting before any text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declaration {
    /// The last part of its name.
    pub name: &'static str,
    /// What a value looks like, in words.
    pub kind: &'static str,
    /// Whether its values stand in TOML without quotes.
    pub bare: bool,
    /// One value, a list, or a group.
    pub shape: Shape,
    /// The value in profile `office`, as one would write it; empty where there is none. Lists are parted by commas.
    pub office: &'static str,
    /// The value in profile `classic`, where it differs.
    pub classic: Option<&'static str>,
    /// The least value allowed; empty where there is no limit.
    pub least: &'static str,
    /// The largest value allowed; empty where there is no limit.
    pub most: &'static str,
    /// What the administrator of a classic server called it; empty where there was none.
    pub origin: &'static str,
    /// When a change counts.
    pub reload: Reload,
    /// The requirement it comes from.
    pub id: &'static str,
    /// A value for the sample where the default says too little.
    pub example: &'static str,
    /// One paragraph, in the lines of the doc comment.
    pub doc: &'static [&'static str],
}

impl Declaration {
    /// What a declaration says of itself when it says nothing.
    pub const EMPTY: Declaration = Declaration {
        name: "",
        kind: "",
        bare: false,
        shape: Shape::One,
        office: "",
        classic: None,
        least: "",
        most: "",
        origin: "",
        reload: Reload::Live,
        id: "",
        example: "",
        doc: &[],
    };

    /// The paragraph as one line.
    pub fn paragraph(&self) -> String {
        self.doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
    }
}

/// A type that a setting can have.
pub trait Setting: Sized {
    /// What a value looks like, in words.
    const KIND: &'static str;
    /// Whether its values stand in TOML without quotes.
    const BARE: bool;
    /// One value, a list, or a group.
    const SHAPE: Shape;

    /// The value at the key `at`, or the default where `value` is `None`. `None` where that is no such value: then the reader
    /// holds a problem.
    fn read(reader: &mut Reader<'_>, at: &str, declaration: &Declaration, value: Option<&Value>) -> Option<Self>;
}

/// Declares a group of settings: a struct with a public field for each, and the list of its declarations.
macro_rules! group {
    (
        $(#[doc = $group_doc:literal])+
        pub struct $Group:ident {
            $( $(#[doc = $doc:literal])+ $name:ident : $Type:ty { $($attribute:tt)* } )+
        }
    ) => {
        $(#[doc = $group_doc])+
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        pub struct $Group { $( $(#[doc = $doc])+ pub $name: $Type, )+ }

        impl $Group {
            /// The settings of this group, in the order they are shown.
            #[allow(clippy::needless_update, reason = "a declaration may name all its properties")]
            pub const FIELDS: &'static [$crate::Declaration] = &[ $( $crate::Declaration {
                name: stringify!($name),
                kind: <$Type as $crate::Setting>::KIND,
                bare: <$Type as $crate::Setting>::BARE,
                shape: <$Type as $crate::Setting>::SHAPE,
                doc: &[$($doc),+],
                $($attribute)*
                ..$crate::Declaration::EMPTY
            } ),+ ];

            fn from_table(reader: &mut $crate::read::Reader<'_>, at: &str, table: &figment::value::Dict) -> Option<Self> {
                reader.unknown(at, table, Self::FIELDS);
                let mut fields = Self::FIELDS.iter();
                $( let $name = reader.field::<$Type>(at, fields.next()?, table); )+
                Some($Group { $( $name: $name? ),+ })
            }
        }

        impl $crate::Setting for $Group {
            const KIND: &'static str = "group";
            const BARE: bool = false;
            const SHAPE: $crate::Shape = $crate::Shape::Group($Group::FIELDS);

            fn read(
                reader: &mut $crate::read::Reader<'_>, at: &str, _: &$crate::Declaration, value: Option<&figment::value::Value>,
            ) -> Option<Self> {
                let table = reader.table(at, value)?;
                Self::from_table(reader, at, &table)
            }
        }

        impl $crate::Setting for Vec<$Group> {
            const KIND: &'static str = "list of tables";
            const BARE: bool = false;
            const SHAPE: $crate::Shape = $crate::Shape::Groups($Group::FIELDS);

            fn read(
                reader: &mut $crate::read::Reader<'_>, at: &str, declaration: &$crate::Declaration,
                value: Option<&figment::value::Value>,
            ) -> Option<Self> {
                reader.tables(at, declaration, value, $Group::from_table)
            }
        }
    };
}

/// Declares a setting's type that is one of a few words.
macro_rules! choice {
    (
        $(#[doc = $choice_doc:literal])+
        pub enum $Choice:ident { $( $(#[doc = $doc:literal])+ $Variant:ident = $word:literal, )+ }
    ) => {
        $(#[doc = $choice_doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub enum $Choice { $( $(#[doc = $doc])+ #[serde(rename = $word)] $Variant, )+ }

        impl $Choice {
            /// All of them.
            pub const ALL: &'static [$Choice] = &[ $( $Choice::$Variant ),+ ];

            /// The word that stands in the configuration.
            pub fn as_str(self) -> &'static str {
                match self { $( $Choice::$Variant => $word ),+ }
            }
        }

        impl std::fmt::Display for $Choice {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl $crate::Scalar for $Choice {
            const KIND: &'static str = concat!("one of", $( " `", $word, "`" ),+);

            fn from_text(text: &str) -> Result<Self, String> {
                let word = text.to_ascii_lowercase();
                $Choice::ALL.iter().copied().find(|choice| choice.as_str() == word).ok_or_else(|| {
                    let words: Vec<&str> = $Choice::ALL.iter().map(|choice| choice.as_str()).collect();
                    $crate::nearest::refused_word(text, &words)
                })
            }
        }
    };
}

pub(crate) use {choice, group};
