//! A script and its arguments.

use std::borrow::Cow;
use std::sync::OnceLock;

use data_encoding::HEXLOWER;
use deadpool_redis::redis::{self, Cmd};
use sha1::{Digest, Sha1};

/// A Lua script, known to the server by its hash.
pub(crate) struct Script {
    body: &'static str,
    /// Turns the body into the complete script.
    finish: fn(&str) -> String,
    /// The complete text, and its hash.
    built: OnceLock<(String, String)>,
}

impl Script {
    /// A script whose text is built once from this body.
    pub(crate) const fn new(body: &'static str, finish: fn(&str) -> String) -> Self {
        Self { body, finish, built: OnceLock::new() }
    }

    /// The text and its hash.
    fn text(&self) -> (&str, &str) {
        let (text, sha) = self.built.get_or_init(|| {
            let text = (self.finish)(self.body);
            let sha = HEXLOWER.encode(&Sha1::digest(&text));
            (text, sha)
        });
        (text, sha)
    }

    /// The call by hash.
    pub(super) fn by_hash(&self, keys: &[&[u8]], args: &[Arg<'_>]) -> Cmd {
        call("EVALSHA", self.text().1, keys, args)
    }

    /// Turns a call by hash into one with the text, for a server that does not know the hash (any more).
    pub(super) fn by_text(&self, by_hash: &Cmd) -> Cmd {
        let mut cmd = redis::cmd("EVAL");
        cmd.arg(self.text().0);
        for arg in by_hash.args_iter().skip(2) {
            if let redis::Arg::Simple(arg) = arg {
                cmd.arg(arg);
            }
        }
        cmd
    }
}

fn call(name: &str, script: &str, keys: &[&[u8]], args: &[Arg<'_>]) -> Cmd {
    let mut cmd = redis::cmd(name);
    cmd.arg(script).arg(keys.len());
    for key in keys {
        cmd.arg(*key);
    }
    for arg in args {
        match arg {
            Arg::Int(n) => cmd.arg(*n),
            Arg::Bytes(bytes) => cmd.arg(bytes.as_ref()),
        };
    }
    cmd
}

/// An argument of a script. Lua sees text either way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Arg<'a> {
    /// A whole number.
    Int(i64),
    /// Text or bytes.
    Bytes(Cow<'a, [u8]>),
}

impl Arg<'_> {
    /// About how many bytes it takes on the wire.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Int(_) => 8,
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    /// This value, borrowed.
    pub(crate) fn borrowed(&self) -> Arg<'_> {
        match self {
            Self::Int(n) => Arg::Int(*n),
            Self::Bytes(bytes) => Arg::Bytes(Cow::Borrowed(bytes)),
        }
    }
}

impl From<i64> for Arg<'_> {
    fn from(n: i64) -> Self {
        Self::Int(n)
    }
}

impl<'a> From<&'a str> for Arg<'a> {
    fn from(text: &'a str) -> Self {
        Self::Bytes(Cow::Borrowed(text.as_bytes()))
    }
}

impl From<String> for Arg<'_> {
    fn from(text: String) -> Self {
        Self::Bytes(Cow::Owned(text.into_bytes()))
    }
}

impl<'a> From<&'a [u8]> for Arg<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }
}

impl From<Vec<u8>> for Arg<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(Cow::Owned(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_by_text_is_the_call_by_hash_with_the_text_in_its_place() {
        static SCRIPT: Script = Script::new("return 1", str::to_owned);
        let by_hash = SCRIPT.by_hash(&[b"{a}:k"], &[Arg::from(7), Arg::from("x")]);
        let packed = String::from_utf8(by_hash.get_packed_command()).unwrap();
        // As `printf 'return 1' | sha1sum` has it.
        assert!(packed.contains("e0e1f9fabfc9d4800c877a703b823ac0578ff8db"), "{packed}");
        let by_text = String::from_utf8(SCRIPT.by_text(&by_hash).get_packed_command()).unwrap();
        assert_eq!(by_text, "*6\r\n$4\r\nEVAL\r\n$8\r\nreturn 1\r\n$1\r\n1\r\n$5\r\n{a}:k\r\n$1\r\n7\r\n$1\r\nx\r\n");
    }
}
