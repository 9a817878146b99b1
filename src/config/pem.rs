//! Checks that a file holds the certificates or the private key that the configuration expects of it. Without this
//! check, connections would fail later, with a misleading error.

use std::path::PathBuf;

use x509_parser::pem::Pem;

use super::error::{ConfigCode, ConfigError, Findings};
use crate::files::{self, PEM_BYTES_MAX};

/// What a file must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Certificates,
    Key,
}

impl Holds {
    /// What is wrong with a file's content.
    fn problem(self, pem: &[u8]) -> Option<&'static str> {
        let blocks: Vec<_> = Pem::iter_from_buffer(pem).filter_map(Result::ok).collect();
        let has_key = blocks.iter().any(|block| block.label.ends_with("PRIVATE KEY"));
        let mut certificates = blocks.iter().filter(|block| block.label.ends_with("CERTIFICATE")).peekable();
        match self {
            Self::Key if has_key => None,
            Self::Key if certificates.peek().is_some() => Some("holds a certificate, but no private key"),
            Self::Key => Some("holds no private key in PEM"),
            Self::Certificates if certificates.peek().is_none() && has_key => {
                Some("holds a private key, but no certificate")
            }
            Self::Certificates if certificates.peek().is_none() => Some("holds no certificate in PEM"),
            Self::Certificates if !certificates.all(|block| block.parse_x509().is_ok()) => {
                Some("holds a certificate that cannot be read")
            }
            Self::Certificates => None,
        }
    }
}

/// Reports a file that cannot be read, or holds something else.
pub(super) fn check(key: &str, path: Option<&PathBuf>, holds: Holds, findings: &mut Findings) {
    let Some(path) = path.filter(|_| !findings.has(key)) else { return };
    match files::read(path, PEM_BYTES_MAX) {
        Err(error) => findings.push(ConfigError::new(key, ConfigCode::File, error.to_string())),
        Ok(pem) => {
            if let Some(problem) = holds.problem(&pem) {
                let advice = match holds {
                    Holds::Certificates => "Give the file that begins with `-----BEGIN CERTIFICATE-----`.",
                    Holds::Key => "Give the file that begins with `-----BEGIN PRIVATE KEY-----`.",
                };
                let problem = format!("file `{}` {problem}", path.display());
                findings.push(ConfigError::new(key, ConfigCode::File, problem).advise(advice));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_must_hold_what_the_configuration_expects_of_it() {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["bridge".to_owned()]).unwrap();
        let (certificate, key) = (params.self_signed(&key).unwrap().pem(), key.serialize_pem());
        let both = format!("{certificate}{key}");
        let cut = certificate.replacen("MI", "AA", 1);
        for (content, as_certificates, as_key) in [
            (certificate.as_str(), None, Some("holds a certificate, but no private key")),
            (key.as_str(), Some("holds a private key, but no certificate"), None),
            (both.as_str(), None, None),
            ("<html>", Some("holds no certificate in PEM"), Some("holds no private key in PEM")),
            ("", Some("holds no certificate in PEM"), Some("holds no private key in PEM")),
            (
                cut.as_str(),
                Some("holds a certificate that cannot be read"),
                Some("holds a certificate, but no private key"),
            ),
        ] {
            assert_eq!(Holds::Certificates.problem(content.as_bytes()), as_certificates, "{content}");
            assert_eq!(Holds::Key.problem(content.as_bytes()), as_key, "{content}");
        }
    }
}
