//! When the certificates in the configuration expire.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use x509_parser::pem::Pem;

use crate::core::problems::CertificateFigure;
use crate::core::time::UnixMs;
use crate::files::{PEM_BYTES_MAX, SharedReading};

/// How old what is known may be: a file that was replaced is soon seen.
const KNOWN_MAX: Duration = Duration::from_secs(10);

/// A file with certificates, and the key of the configuration that names it.
#[derive(Debug, Clone)]
pub struct CertificateFile {
    /// `store.cert_file`, …
    key: &'static str,
    file: SharedReading,
    is_list: bool,
}

/// The files, and how long they last. Clones share what is known.
#[derive(Debug, Clone, Default)]
pub struct Certificates {
    files: Arc<[CertificateFile]>,
    known: Arc<Mutex<Option<CachedFigures>>>,
}

#[derive(Debug)]
struct CachedFigures {
    at: Instant,
    figures: Vec<CertificateFigure>,
}

impl Certificates {
    /// Those of these files.
    #[must_use]
    pub fn new(files: Vec<CertificateFile>) -> Self {
        Self { files: files.into(), known: Arc::default() }
    }

    /// How long each lasts. A file that cannot be read is left out: the code that needs it reports that.
    pub async fn figures(&self) -> Vec<CertificateFigure> {
        if self.files.is_empty() {
            return Vec::new();
        }
        if let Some(known) = &*self.known.lock().unwrap_or_else(PoisonError::into_inner)
            && known.at.elapsed() < KNOWN_MAX
        {
            return known.figures.clone();
        }
        let mut figures = Vec::new();
        for file in self.files.iter() {
            figures.extend(file.figure().await);
        }
        let known = CachedFigures { at: Instant::now(), figures: figures.clone() };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
        figures
    }
}

impl CertificateFile {
    /// The file at this path, named so in the configuration. Of a list of authorities any will do; otherwise the first
    /// certificate counts.
    #[must_use]
    pub fn new(key: &'static str, path: &Path, is_list: bool) -> Self {
        Self { key, file: SharedReading::of(path, PEM_BYTES_MAX), is_list }
    }

    async fn figure(&self) -> Option<CertificateFigure> {
        let pem = self.file.again().await.ok()?;
        Some(CertificateFigure { key: self.key, until: until(&pem, self.is_list)? })
    }
}

/// When the last of a list ends, or the first certificate.
fn until(pem: &[u8], is_list: bool) -> Option<UnixMs> {
    let ends = Pem::iter_from_buffer(pem)
        .filter_map(Result::ok)
        .filter_map(|pem| Some(UnixMs(pem.parse_x509().ok()?.validity().not_after.timestamp().saturating_mul(1_000))));
    let ends: Vec<UnixMs> = ends.collect();
    if is_list { ends.into_iter().max() } else { ends.first().copied() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(year: i32) -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["bridge".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        params.self_signed(&key).unwrap().pem()
    }

    fn year(pem: &str, is_list: bool) -> Option<String> {
        until(pem.as_bytes(), is_list).map(|until| until.to_string()[..4].to_owned())
    }

    #[test]
    fn the_first_certificate_of_a_chain_counts_and_the_last_authority_to_expire() {
        let both = format!("{}{}", certificate(2027), certificate(2031));
        assert_eq!(year(&both, false).as_deref(), Some("2027"));
        assert_eq!(year(&both, true).as_deref(), Some("2031"));
        assert_eq!(year("no certificate", true), None);
    }

    #[tokio::test]
    async fn a_readable_file_gives_its_expiry_and_an_unreadable_one_gives_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tls.crt");
        std::fs::write(&path, certificate(2030)).unwrap();
        let file = |path: &Path| CertificateFile::new("store.cert_file", path, false);
        let certificates = Certificates::new(vec![file(&path), file(&folder.path().join("none.crt"))]);
        let figures = certificates.figures().await;
        assert_eq!(figures.len(), 1);
        assert_eq!((figures[0].key, &figures[0].until.to_string()[..4]), ("store.cert_file", "2030"));
    }
}
