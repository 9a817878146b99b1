//! Arguments, configuration, logging, dispatch, exit codes.

fn main() {}
