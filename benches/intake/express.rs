//! Express and `BullMQ` in a process of their own.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::{Failed, deliveries};

/// Runs until it is dropped.
pub(crate) struct Express {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Express {
    /// Starts it on this Redis.
    pub(crate) fn start(redis: &str) -> Result<Self, Failed> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new("node")
            .arg(root.join("benches/intake/express.cjs"))
            .arg(redis)
            .env("NODE_PATH", root.join("target/express/node_modules"))
            .env("NODE_ENV", "production")
            .env("HR_SECRET", deliveries::SECRET)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("node does not start: {error}"))?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let port = line.trim().parse().map_err(|_| "Express does not start: npm install, see above")?;
        Ok(Self { child, address: (Ipv4Addr::LOCALHOST, port).into() })
    }
}

impl Drop for Express {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
