//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A portal that is extended while it runs.
#[derive(Parser)]
#[command(name = "portico", version, about)]
#[command(
    after_help = "Exit codes: 0 done · 1 failed · 2 wrong command line · 3 refused · 4 portal not reachable · \
    5 check found errors · 10 plan found something to do"
)]
pub(crate) struct Cli {
    /// Answer as JSON on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say only what was asked for
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the portal
    Serve(Serve),
    /// Check, show or reload the portal's configuration
    #[command(subcommand)]
    Config(Config),
    /// Start a new package
    New(New),
    /// Check a package folder: manifest, templates, files
    Check(Check),
    /// Make a signed archive of a package folder
    Pack(Pack),
    /// Make or show signing keys
    #[command(subcommand)]
    Key(Key),
    /// Make a registry: a folder of static, signed files
    #[command(subcommand)]
    Registry(Registry),
    /// Put a package into a registry
    Publish(Publish),
    /// Say which registries this portal trusts
    #[command(subcommand)]
    Trust(Trust),
    /// Search what could be installed
    Search(Search),
    /// Show what a change would do, and change nothing
    Plan(Plan),
    /// Install a package and what it needs
    Install(Install),
    /// Go to a newer version
    Upgrade(Change),
    /// Go back to a version that served before
    Rollback(Change),
    /// Switch a package off
    Disable(Disable),
    /// Switch a package on again
    Enable(Change),
    /// Remove a package
    Uninstall(Change),
    /// List what is installed
    List(Connection),
    /// Make, list and revoke API tokens and sign-in links
    #[command(subcommand)]
    Token(Token),
    /// Find out what is wrong with a portal or this machine
    Doctor(Doctor),
    /// Print the completions of a shell
    Completions {
        /// bash, zsh, fish, elvish or powershell
        shell: clap_complete::Shell,
    },
}

#[derive(Args)]
pub(crate) struct Serve {
    /// Address to listen on; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, env = "PORTICO_LISTEN")]
    pub(crate) listen: Option<String>,
    /// Folder of everything the portal remembers [default: ./portico-data]
    #[arg(long, env = "PORTICO_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// Configuration file [default: portico.yaml or portal_config.yaml, when there]
    #[arg(long, short, env = "PORTICO_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Form of the log: json or text [default: text on a terminal]
    #[arg(long, env = "PORTICO_LOG_FORMAT")]
    pub(crate) log_format: Option<String>,
    /// What to log, such as `info` or `portico_control=debug,info`
    #[arg(long, env = "PORTICO_LOG")]
    pub(crate) log: Option<String>,
    /// Threads that answer requests [default: one per core]
    #[arg(long)]
    pub(crate) threads: Option<std::num::NonZeroUsize>,
    /// Abort at a fault point; for tests of crash safety
    #[arg(long, env = "PORTICO_FAULT_ABORT", hide = true)]
    pub(crate) fault_abort: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum Config {
    /// Check a file: every error with its place, and what this build does not do
    Check {
        /// File [default: portico.yaml or portal_config.yaml]
        file: Option<PathBuf>,
    },
    /// Print the JSON Schema of the file
    Schema,
    /// Print the file as the portal understands it, secrets hidden
    Show {
        /// File [default: portico.yaml or portal_config.yaml]
        file: Option<PathBuf>,
    },
    /// Make a running portal read its file again
    Reload {
        /// Only show the difference
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        connection: Connection,
    },
}

#[derive(Args)]
pub(crate) struct New {
    /// Template: htmx
    pub(crate) template: String,
    /// Package id: a-z, 0-9, _ and -
    pub(crate) name: String,
    /// Folder to make [default: the name]
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Check {
    /// Package folder or archive
    #[arg(default_value = ".")]
    pub(crate) path: PathBuf,
}

#[derive(Args)]
pub(crate) struct Pack {
    /// Package folder, .zip or .tar.gz
    #[arg(default_value = ".")]
    pub(crate) path: PathBuf,
    /// Publisher's key, made by `portico key new`
    #[arg(long, env = "PORTICO_KEY")]
    pub(crate) key: PathBuf,
    /// File to write [default: <id>-<version>.portico]
    #[arg(long, short)]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum Key {
    /// Make a publisher's key
    New {
        /// File to write
        #[arg(long, short, default_value = "publisher.key")]
        output: PathBuf,
    },
    /// Print the public half and its id
    Show {
        /// Key file
        #[arg(default_value = "publisher.key")]
        file: PathBuf,
    },
}

#[derive(Subcommand)]
pub(crate) enum Registry {
    /// Make an empty registry, with its keys beside it
    Init {
        /// Folder of the registry
        dir: PathBuf,
        /// Folder for its keys; keep it off the web server [default: <dir>.keys]
        #[arg(long)]
        keys: Option<PathBuf>,
        /// Key that may publish here, made by `portico key new` [default: a new one among the registry's keys]
        #[arg(long)]
        publisher: Option<PathBuf>,
    },
    /// Sign the short-lived metadata again, so that it does not expire
    Refresh {
        /// Folder of the registry
        dir: PathBuf,
        /// Folder of its keys [default: <dir>.keys]
        #[arg(long)]
        keys: Option<PathBuf>,
    },
}

#[derive(Args)]
pub(crate) struct Publish {
    /// Package folder, .zip, .tar.gz or packed archive
    pub(crate) path: PathBuf,
    /// Folder of the registry
    #[arg(long)]
    pub(crate) registry: PathBuf,
    /// Publisher's key [default: the one among the registry's keys]
    #[arg(long, env = "PORTICO_KEY")]
    pub(crate) key: Option<PathBuf>,
    /// Folder of the registry's keys [default: <registry>.keys]
    #[arg(long)]
    pub(crate) keys: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum Trust {
    /// Trust a registry
    Add {
        /// A name for it
        name: String,
        /// Folder or URL
        #[arg(value_name = "URL")]
        address: String,
        /// Its root.json, got by a way you trust [default: <folder>/1.root.json of a local folder]
        #[arg(long)]
        root: Option<PathBuf>,
        #[command(flatten)]
        connection: Connection,
    },
    /// List trusted registries
    List(Connection),
    /// Trust a registry no more
    Remove {
        /// Its name
        name: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Read every trusted registry now
    Refresh(Connection),
}

#[derive(Args)]
pub(crate) struct Search {
    /// Words to look for
    #[arg(default_value = "")]
    pub(crate) words: String,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Args)]
pub(crate) struct Plan {
    /// Package id
    pub(crate) id: String,
    /// install, upgrade, rollback, disable, enable or uninstall
    #[arg(long, default_value = "install")]
    pub(crate) verb: String,
    /// Version or range
    #[arg(long)]
    pub(crate) version: Option<String>,
    /// Only from this registry
    #[arg(long)]
    pub(crate) registry: Option<String>,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Args)]
pub(crate) struct Install {
    /// Package id; not with --file
    pub(crate) id: Option<String>,
    /// Version or range
    #[arg(long)]
    pub(crate) version: Option<String>,
    /// Only from this registry
    #[arg(long)]
    pub(crate) registry: Option<String>,
    /// Configuration: a YAML or JSON file
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) consent: Consent,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Args)]
pub(crate) struct Change {
    /// Package id
    pub(crate) id: String,
    /// Version or range
    #[arg(long)]
    pub(crate) version: Option<String>,
    /// Configuration: a YAML or JSON file
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) consent: Consent,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Args)]
pub(crate) struct Disable {
    /// Package id
    pub(crate) id: String,
    /// Cancel what runs at once
    #[arg(long)]
    pub(crate) kill: bool,
    #[command(flatten)]
    pub(crate) consent: Consent,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// What is answered where a person would be asked.
#[derive(Args)]
pub(crate) struct Consent {
    /// Approve everything that is asked for
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Approve this permission; repeatable
    #[arg(long, value_name = "PERMISSION")]
    pub(crate) approve: Vec<String>,
    /// Makes a repeat of the same request safe
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
}

/// Which portal.
#[derive(Args, Clone)]
pub(crate) struct Connection {
    /// Address of the portal
    #[arg(long, env = "PORTICO_URL", default_value = "http://127.0.0.1:8080")]
    pub(crate) url: String,
    /// API token
    #[arg(long, env = "PORTICO_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// PEM file of a certificate authority to trust besides the public ones
    #[arg(long, env = "PORTICO_CA")]
    pub(crate) ca: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum Token {
    /// Make a token; the secret is printed once
    New {
        /// May do everything
        #[arg(long)]
        admin: bool,
        /// What it may do; repeatable
        #[arg(long)]
        scope: Vec<String>,
        /// A name to recognise it by
        #[arg(long, default_value = "command line")]
        name: String,
        /// Days until it ends; never when missing
        #[arg(long)]
        days: Option<u32>,
        /// Data folder: works without a running portal
        #[arg(long)]
        data: Option<PathBuf>,
        /// Configuration file, for its database
        #[arg(long, short)]
        config: Option<PathBuf>,
        #[command(flatten)]
        connection: Connection,
    },
    /// List tokens
    List(Connection),
    /// Take a token away
    Revoke {
        /// Its id
        id: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Print a fresh one-time sign-in link for the administrator
    Link {
        /// Data folder
        #[arg(long, default_value = "portico-data")]
        data: PathBuf,
        /// Configuration file, for its database
        #[arg(long, short)]
        config: Option<PathBuf>,
        /// Address of the portal, for the link
        #[arg(long, env = "PORTICO_URL", default_value = "http://127.0.0.1:8080")]
        url: String,
    },
}

#[derive(Args)]
pub(crate) struct Doctor {
    /// Data folder
    #[arg(long, default_value = "portico-data")]
    pub(crate) data: PathBuf,
    /// Configuration file
    #[arg(long, short)]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn no_two_arguments_of_a_command_collide() {
        Cli::command().debug_assert();
    }
}
