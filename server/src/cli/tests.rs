use clap::CommandFactory;

use super::*;
use crate::config::Config;
use crate::store::Place;

fn read(line: &str, variables: &[(&str, &str)]) -> Result<(ServeFlags, Vec<String>), clap::Error> {
    let arguments = line.split(' ').map(OsString::from).collect();
    let find =
        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let (cli, notes) = parse(arguments, &find)?;
    let Command::Serve(flags) = cli.command else { panic!("expected `serve`") };
    Ok((*flags, notes))
}

fn config(line: &str, variables: &[(&str, &str)]) -> Config {
    read(line, variables).unwrap().0.config()
}

#[test]
fn the_command_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn help_shows_an_example() {
    let mut cli = Cli::command();
    for name in ["token", "admin"] {
        for task in cli.find_subcommand_mut(name).unwrap().get_subcommands_mut() {
            let help = task.render_long_help().to_string();
            let example = format!("polyfn {name} {}", task.get_name());
            assert!(help.contains(&format!("Example:\n  {example}")), "{example}: {help}");
        }
    }
}

#[test]
fn without_flags_the_defaults_hold() {
    let database = Place::File("polyfn-data/polyfn.db".into());
    assert_eq!(config("polyfn serve", &[]), Config { database, ..Config::default() });
}

#[test]
fn a_database_is_named_or_lies_in_the_data_folder() {
    assert_eq!(config("polyfn serve --data-dir d", &[]).database, Place::File("d/polyfn.db".into()));
    let variable = [("HYPHA_DATABASE_URI", "sqlite+aiosqlite:////x/h.db")];
    assert_eq!(config("polyfn serve --data-dir d", &variable).database, Place::File("/x/h.db".into()));
    assert!(read("polyfn serve --database-uri mysql://x", &[]).is_err());
}

#[test]
fn our_variable_wins_over_theirs_and_the_command_line_over_both() {
    let variables = [("HYPHA_PORT", "1"), ("POLYFN_PORT", "2"), ("HYPHA_HOST", "0.0.0.0")];
    let read = config("polyfn serve", &variables);
    assert_eq!((read.port, read.host.as_str()), (2, "0.0.0.0"));
    assert_eq!(config("polyfn serve --port=3", &variables).port, 3);
    assert_eq!(config("polyfn serve --port 9527", &variables).port, 9527);
}

#[test]
fn secrets_come_by_any_of_their_names() {
    for name in ["POLYFN_JWT_SECRET", "HYPHA_JWT_SECRET", "JWT_SECRET"] {
        assert_eq!(config("polyfn serve", &[(name, "key")]).jwt_secret, Some("key".into()), "{name}");
    }
    assert_eq!(config("polyfn serve", &[("JWT_SECRET", "")]).jwt_secret, None);
}

#[test]
fn earlier_secrets_are_listed_with_white_space_between() {
    let read = config("polyfn serve --jwt-secret=new", &[("HYPHA_JWT_SECRET_PREVIOUS", " one\n two ")]);
    assert_eq!(read.earlier_jwt_secrets, ["one".into(), "two".into()]);
    assert!(read.checked().is_ok());
    let alone = config("polyfn serve --jwt-secret-previous=one", &[]).checked().unwrap_err();
    assert!(alone.0.contains("--jwt-secret"), "{alone}");
}

#[test]
fn booleans_of_the_environment_are_lenient() {
    for (value, expected) in [("True", true), ("yes", true), ("ON", true), ("0", false), ("false", false)] {
        assert_eq!(config("polyfn serve", &[("HYPHA_ACCESS_LOG", value)]).access_log, expected, "{value}");
    }
}

#[test]
fn limits_and_names_are_read() {
    let variables = [
        ("HYPHA_WS_IDLE_TIMEOUT", "0.5"),
        ("HYPHA_MAX_SERVICES_PER_CLIENT", "7"),
        ("AUTH0_ISSUER", "https://issuer.example/"),
        ("RECONNECTION_TOKEN_LIFE_TIME", "60"),
    ];
    let read = config("polyfn serve", &variables);
    assert_eq!(read.limits.ws_idle_timeout.duration().as_millis(), 500);
    assert_eq!(read.limits.max_services_per_client, 7);
    assert_eq!(read.issuer.issuer, "https://issuer.example/");
    assert_eq!(read.reconnection_token_life_time, crate::Seconds::new(60));
}

#[test]
fn an_unusable_variable_is_noted_and_left_out() {
    let (flags, notes) = read("polyfn serve", &[("HYPHA_PORT", "tcp://10.0.0.1:80")]).unwrap();
    assert_eq!(flags.port, 9527);
    assert_eq!(notes, ["HYPHA_PORT is left out: its value does not fit --port"]);
}

#[test]
fn both_forms_of_lists_are_accepted() {
    for line in [
        "polyfn serve --static-mounts /a:./a /b:./b --port 1",
        "polyfn serve --static-mounts /a:./a --static-mounts /b:./b --port=1",
    ] {
        let (flags, _) = read(line, &[]).unwrap();
        assert_eq!(flags.port, 1);
        let warnings: Vec<_> = flags.inert.warnings().collect();
        assert_eq!(warnings, ["--static-mounts is accepted but does nothing yet"]);
    }
}

#[test]
fn every_flag_of_the_reference_is_known() {
    let line = "polyfn serve --from-env --enable-s3 --enable-server-apps --start-minio-server --minio-port=9000 \
                --minio-workdir ./d --redis-uri redis://x --database-uri sqlite:///x --disable-ssl --interactive \
                --startup-functions a.py:f --reset-redis --in-docker --enable-a2a --enable-mcp --enable-local-auth";
    let (flags, _) = read(&line.split_whitespace().collect::<Vec<_>>().join(" "), &[]).unwrap();
    assert_eq!(flags.inert.warnings().count(), 13);
    let by_environment =
        read("polyfn serve", &[("HYPHA_ENABLE_S3", "true"), ("HYPHA_ENABLE_MCP", "no")]).unwrap().0;
    assert_eq!(
        by_environment.inert.warnings().collect::<Vec<_>>(),
        ["--enable-s3 is accepted but does nothing yet"]
    );
}

/// As the reference's own help lists them.
const FLAGS_OF_THE_REFERENCE: &str = "from-env host port allow-origins base-path redis-uri reset-redis public-base-url \
    triton-servers enable-server-apps enable-s3 s3-admin-type in-docker endpoint-url access-key-id secret-access-key \
    endpoint-url-public region-name workspace-bucket enable-s3-proxy s3-cleanup-period enable-s3-for-anonymous-users \
    start-minio-server minio-workdir minio-port minio-console-port minio-root-user minio-root-password minio-version \
    mc-version minio-file-system-mode executable-path cache-dir database-uri migrate-database static-mounts \
    startup-functions server-id enable-service-search enable-a2a enable-mcp disable-agent-skills enable-k8s-worker \
    enable-terminal-worker enable-local-auth root-token enable-admin-terminal interactive enable-server ollama-host \
    openai-base-url openai-api-key disable-ssl";

#[test]
fn no_flag_of_the_reference_is_missing() {
    let command = Cli::command();
    let serve = command.find_subcommand("serve").unwrap();
    for flag in FLAGS_OF_THE_REFERENCE.split_whitespace() {
        assert!(serve.get_arguments().any(|known| known.get_long() == Some(flag)), "--{flag}");
    }
}

#[test]
fn an_unknown_flag_is_refused_with_2() {
    assert_eq!(show(&read("polyfn serve --nonsense", &[]).unwrap_err()), 2);
    assert_eq!(show(&read("polyfn", &[]).unwrap_err()), 0);
}

#[test]
fn abbreviated_flags_are_understood() {
    assert_eq!(
        config("polyfn serve --allow-o https://a.example,https://b.example", &[]).allow_origins.len(),
        2
    );
}

/// The table of limits, as it stands in the documentation.
fn limits() -> String {
    use clap::CommandFactory;
    let command = Cli::command();
    let serve = command.find_subcommand("serve").unwrap();
    let limits = serve.get_arguments().filter(|flag| flag.get_help_heading() == Some("Limits"));
    let row = |flag: &clap::Arg| {
        let default = flag.get_default_values()[0].to_string_lossy().into_owned();
        let help = flag.get_help().unwrap().to_string().replace('\n', " ");
        format!("| `--{}` | {default} | {help} |\n", flag.get_long().unwrap())
    };
    limits.map(row).collect()
}

#[test]
fn the_documentation_names_every_limit() {
    let page = include_str!("../../../docs/limits.md");
    let expected = limits();
    let begin = page.find("| `--").unwrap_or(page.len());
    let table: String = page[begin..]
        .lines()
        .take_while(|line| line.starts_with('|'))
        .fold(String::new(), |table, line| table + line + "\n");
    assert!(table == expected, "the table in docs/limits.md must be:\n{expected}");
}
