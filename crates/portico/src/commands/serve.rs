//! Run the portal.

use std::{io::IsTerminal, path::PathBuf};

use portico_server::{LogFormat, Options, Portal};

use super::token::block_on;
use crate::{
    cli::Serve,
    exit::{CHECK, Done, Failure},
    output::Output,
};

pub(crate) fn serve(args: Serve, out: &mut Output) -> Done {
    let (config, warnings) = super::configuration::load(args.config.as_deref())?;
    let log_format = match (
        args.log_format.as_deref(),
        config.as_ref().map(|c| c.server.log.format),
    ) {
        (Some("json"), _) | (None, Some(portico_config::LogFormat::Json)) => LogFormat::Json,
        (Some("text"), _) | (None, Some(portico_config::LogFormat::Text)) => LogFormat::Text,
        (Some(other), _) => {
            return Err(Failure::new(
                CHECK,
                format!("`{other}` is not a log format: use json or text"),
            ));
        }
        (None, None) if std::io::stderr().is_terminal() => LogFormat::Text,
        (None, None) => LogFormat::Json,
    };
    let mut options =
        Options::from_config(config).map_err(|e| Failure::new(CHECK, e.to_string()))?;
    options.log_format = log_format;
    if let Some(listen) = &args.listen {
        options.listen =
            portico_server::parse_listen(listen).map_err(|e| Failure::new(CHECK, e.to_string()))?;
    }
    if let Some(data) = args.data {
        options.data = data;
    }
    options.log_filter = args.log.or(options.log_filter);
    options.threads = args.threads.or(options.threads);
    options.fault_abort = args.fault_abort;
    options.config_file = args
        .config
        .or_else(|| super::configuration::default_file().map(PathBuf::from));
    portico_server::telemetry::start(&options);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    block_on(async {
        let portal = Portal::start(options)
            .await
            .map_err(|e| Failure::failed(e).note("`portico doctor` explains what is wrong."))?;
        if let Some(link) = portal.sign_in_link() {
            // Standard error, so that scripts can read standard output; printed bare, so that it can be clicked.
            use std::io::Write;
            let _ = writeln!(
                std::io::stderr(),
                "\n  Portico serves at {}\n  Sign in once as administrator: {link}\n",
                portal.url()
            );
        }
        out.raw(&format!("ready {}", portal.url()));
        portal.run_until_stopped().await;
        Ok(())
    })
}
