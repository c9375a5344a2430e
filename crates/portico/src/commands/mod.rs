//! One module per theme; each function is one command.

mod author;
mod configuration;
mod doctor;
mod lifecycle;
mod registry;
mod serve;
mod token;

use clap::CommandFactory;

use crate::{
    cli::{Cli, Command},
    exit::Done,
    output::Output,
};

pub(crate) fn run(cli: Cli, out: &mut Output) -> Done {
    match cli.command {
        Command::Serve(args) => serve::serve(args, out),
        Command::Config(command) => configuration::config(command, out),
        Command::New(args) => author::new(&args, out),
        Command::Check(args) => author::check(&args, out),
        Command::Pack(args) => author::pack(&args, out),
        Command::Key(command) => author::key(command, out),
        Command::Registry(command) => registry::registry(command, out),
        Command::Publish(args) => registry::publish(&args, out),
        Command::Trust(command) => registry::trust(command, out),
        Command::Search(args) => lifecycle::search(&args, out),
        Command::Plan(args) => lifecycle::plan(&args, out),
        Command::Install(args) => lifecycle::install(&args, out),
        Command::Upgrade(args) => lifecycle::change("upgrade", &args, out),
        Command::Rollback(args) => lifecycle::change("rollback", &args, out),
        Command::Enable(args) => lifecycle::change("enable", &args, out),
        Command::Uninstall(args) => lifecycle::change("uninstall", &args, out),
        Command::Disable(args) => lifecycle::disable(&args, out),
        Command::List(connection) => lifecycle::list(&connection, out),
        Command::Token(command) => token::token(command, out),
        Command::Doctor(args) => doctor::doctor(&args, out),
        Command::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut Cli::command(),
                "portico",
                &mut std::io::stdout(),
            );
            Ok(())
        }
    }
}
