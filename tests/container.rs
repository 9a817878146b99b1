//! Dockerfile and compose.yaml must match the code: what they set exists and fits. `script/image-test` builds and runs
//! them.

#[cfg(test)]
mod files {
    use std::fs;
    use std::path::Path;
    use std::process::Command;

    use scim_bridge::config::Config;

    fn file(name: &str) -> String {
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
    }

    /// The lines `NAME: value` or `NAME=value` that set variables of the bridge.
    fn variables(text: &str, separator: &str) -> Vec<(String, String)> {
        let ours =
            |name: &str| name.starts_with("SCIM_BRIDGE__") || ["HR_SECRET", "POSTMAN_SCIM_KEY", "PATH"].contains(&name);
        text.lines()
            .filter_map(|line| {
                let line = line.trim().trim_start_matches("ENV ").trim_end_matches('\\').trim();
                let (name, value) = line.split_once(separator)?;
                Some((name.to_owned(), value.trim().trim_matches('"').to_owned()))
            })
            .filter(|(name, _)| ours(name))
            .collect()
    }

    fn image() -> Vec<(String, String)> {
        let variables = variables(&file("Dockerfile"), "=");
        assert_eq!(variables.len(), 4, "the image sets PATH and three more: {variables:?}");
        variables
    }

    #[test]
    fn the_images_settings_and_two_secrets_are_a_complete_configuration() {
        let secrets = [("HR_SECRET", "whsec_dGhlIHNlY3JldCBvZiB0aGUgdGVzdHM="), ("POSTMAN_SCIM_KEY", "k")];
        let secrets = secrets.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = Config::load(None, image().into_iter().chain(secrets)).unwrap();
        assert!(config.server.listen.ip().is_unspecified() && config.server.admin_listen.ip().is_unspecified());
        let ports = format!("EXPOSE {} {}", config.server.listen.port(), config.server.admin_listen.port());
        assert!(file("Dockerfile").lines().any(|line| line == ports), "{ports} is missing");
    }

    #[test]
    fn composes_settings_are_a_complete_configuration_with_time_to_stop() {
        let compose = file("compose.yaml");
        let variables: Vec<_> = image().into_iter().chain(variables(&compose, ": ")).collect();
        assert!(variables.len() > 8, "{variables:?}");
        let config = Config::load(None, variables.into_iter()).unwrap();
        let grace = compose.lines().find_map(|line| line.trim().strip_prefix("stop_grace_period: ")).unwrap();
        let grace_s: u64 = grace.trim_end_matches('s').parse().unwrap();
        assert!(grace_s > config.server.shutdown_grace_s, "{grace} is killed before it has stopped");
        for service in ["intake", "worker"] {
            assert!(compose.contains(&format!("command: [serve, --role, {service}]")), "{service} is missing");
        }
    }

    #[test]
    fn the_commands_run_in_a_container_exist() {
        let dockerfile = file("Dockerfile");
        assert!(dockerfile.contains(r#"CMD ["/usr/local/bin/scim-bridge", "healthcheck"]"#), "no HEALTHCHECK");
        assert!(dockerfile.contains(r#"CMD ["serve"]"#), "no CMD");
        for command in ["healthcheck", "serve", "postman-sim", "send"] {
            let help = Command::new(env!("CARGO_BIN_EXE_scim-bridge")).args([command, "--help"]).output().unwrap();
            assert!(help.status.success(), "{command} is not a command");
        }
        let package = file("Cargo.toml");
        let version = package.lines().find_map(|line| line.strip_prefix("version = ")).unwrap().trim_matches('"');
        assert!(dockerfile.contains(&format!("ARG VERSION={version}\n")), "the image's version is not {version}");
    }
}
