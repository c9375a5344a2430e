//! Logs: JSON lines for machines, short lines for people.

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{LogFormat, Options};

/// What is logged without `--log`.
const DEFAULT: &str = "info,sqlx=warn,hyper=warn";

/// Starts the log of this process; does nothing when there is one already (tests).
pub fn start(options: &Options) {
    let filter = options
        .log_filter
        .as_deref()
        .and_then(|f| EnvFilter::try_new(f).ok())
        .unwrap_or_else(|| EnvFilter::new(DEFAULT));
    let registry = tracing_subscriber::registry().with(filter);
    let outcome = match options.log_format {
        LogFormat::Json => registry
            .with(
                fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_current_span(true)
                    .with_writer(std::io::stderr),
            )
            .try_init(),
        LogFormat::Text => registry
            .with(
                fmt::layer()
                    .compact()
                    .with_target(false)
                    .with_writer(std::io::stderr),
            )
            .try_init(),
    };
    if outcome.is_err() {
        tracing::debug!("the log runs already");
    }
}
