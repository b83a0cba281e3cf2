//! Passwords: made, hashed, compared.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

use crate::Error;

/// Octets of a password.
const MAX_PASSWORD: usize = 255;
/// No letter or digit that is taken for another one.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
const GROUPS: usize = 4;
const IN_GROUP: usize = 5;

/// How much work a password hash is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// KiB of memory.
    pub memory: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Default for Cost {
    /// argon2id with 19 MiB and two passes, OWASP's first choice.
    fn default() -> Self {
        Cost { memory: 19 * 1024, passes: 2 }
    }
}

/// The hash of a password, with a salt of its own, as PHC string.
pub(crate) fn hash(password: &str, cost: Cost) -> Result<String, Error> {
    let fits = (1..=MAX_PASSWORD).contains(&password.len()) && !password.chars().any(char::is_control);
    if !fits {
        return Err(Error::Password);
    }
    let params = Params::new(cost.memory, cost.passes, 1, None).map_err(|error| Error::Hash(error.to_string()))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    Ok(argon2.hash_password(password.as_bytes()).map_err(|error| Error::Hash(error.to_string()))?.to_string())
}

/// Whether it is the password of this hash.
///
/// # Errors
/// What is in the file is no hash that can be checked: [`Error::Hash`].
pub(crate) fn matches(password: &[u8], hash: &str) -> Result<bool, Error> {
    use argon2::password_hash::Error as Mismatch;
    let parsed = PasswordHash::new(hash).map_err(|error| Error::Hash(error.to_string()))?;
    match Argon2::default().verify_password(password, &parsed) {
        Ok(()) => Ok(true),
        Err(Mismatch::PasswordInvalid) => Ok(false),
        Err(error) => Err(Error::Hash(error.to_string())),
    }
}

/// A password for a first account: 20 random characters in four groups (100 bits), easy to read out.
pub fn random_password() -> String {
    let random: [u8; GROUPS * IN_GROUP] = lib_host::random_bytes();
    let letters: Vec<char> = random.iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect();
    let groups: Vec<String> = letters.chunks(IN_GROUP).map(|group| group.iter().collect()).collect();
    groups.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Cost = Cost { memory: 64, passes: 1 };

    #[test]
    fn only_the_same_password_matches() {
        let hashed = hash("correct horse", CHEAP).unwrap();
        assert!(hashed.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hashed}");
        assert_ne!(hashed, hash("correct horse", CHEAP).unwrap());
        for (password, same) in [("correct horse", true), ("correct horsf", false), ("", false), ("Correct horse", false)] {
            assert_eq!(matches(password.as_bytes(), &hashed).unwrap(), same, "{password}");
        }
        assert!(matches!(matches(b"x", "no hash"), Err(Error::Hash(_))));
        assert!(matches!(matches(b"x", "$6$salt$hash"), Err(Error::Hash(_))));
    }

    #[test]
    fn passwords_have_bounds() {
        let longest = "x".repeat(255);
        for (password, fits) in [("", false), ("a\nb", false), ("a\0", false), ("민지", true), (longest.as_str(), true)] {
            assert_eq!(hash(password, CHEAP).is_ok(), fits, "{password:?}");
        }
        assert!(hash(&"x".repeat(256), CHEAP).is_err());
    }

    #[test]
    fn made_passwords_can_be_read_out() {
        let password = random_password();
        assert_eq!(password.len(), 23);
        assert!(password.split('-').all(|group| group.len() == 5 && group.bytes().all(|b| LETTERS.contains(&b))));
        assert_ne!(password, random_password());
    }
}
