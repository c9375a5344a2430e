//! Tokens and sign-in links.

use std::path::Path;

use portico_plan::TenantId;
use serde_json::json;

use super::lifecycle::{array, text};
use crate::{
    cli::Token,
    client::Client,
    exit::{Done, Failure, USAGE},
    output::Output,
};

pub(crate) fn token(command: Token, out: &mut Output) -> Done {
    match command {
        Token::New {
            admin,
            scope,
            name,
            days,
            data,
            config,
            connection,
        } => {
            let scopes = match (admin, scope.is_empty()) {
                (true, true) => vec!["*".to_owned()],
                (false, false) => scope,
                (true, false) => {
                    return Err(Failure::new(
                        USAGE,
                        "--admin means every scope: leave --scope out",
                    ));
                }
                (false, true) => {
                    return Err(Failure::new(
                        USAGE,
                        "say what the token may do: --admin, or --scope microsite:discover …",
                    ));
                }
            };
            let secret = match data {
                Some(data) => offline(&data, config.as_deref(), &name, scopes, days)?,
                None => {
                    let body = json!({ "name": name, "scopes": scopes, "expires_in_days": days });
                    let made = Client::new(&connection)?.post("/api/portal/tokens", &body)?;
                    text(&made, "secret")
                }
            };
            out.value(&json!({ "secret": secret }));
            if !out.is_json() {
                out.progress("This is shown once. Pass it with --token or PORTICO_TOKEN:");
                out.raw(&secret);
            }
            Ok(())
        }
        Token::List(connection) => {
            let list = Client::new(&connection)?.get("/api/portal/tokens")?;
            out.value(&list);
            let rows: Vec<_> = array(&list, "tokens")
                .iter()
                .map(|t| {
                    let scopes: Vec<String> = array(t, "scopes")
                        .iter()
                        .filter_map(|s| s.as_str().map(str::to_owned))
                        .collect();
                    vec![
                        text(t, "id"),
                        text(t, "name"),
                        scopes.join(" "),
                        text(t, "created_at"),
                        text(t, "expires_at"),
                    ]
                })
                .collect();
            out.table(&["ID", "NAME", "MAY", "MADE", "ENDS"], &rows);
            Ok(())
        }
        Token::Revoke { id, connection } => {
            Client::new(&connection)?.delete(&format!("/api/portal/tokens/{id}"))?;
            out.line("Taken away. It ended at once.");
            Ok(())
        }
        Token::Link { data, config, url } => {
            let tenant = TenantId::default_tenant();
            let secret = block_on(async {
                let people = portico_server::offline_people(&data, config.as_deref())
                    .await
                    .map_err(Failure::failed)?;
                let (admin, _) = people
                    .ensure_admin(&tenant)
                    .await
                    .map_err(Failure::failed)?;
                people
                    .make_link(&tenant, &admin.id)
                    .await
                    .map_err(Failure::failed)
            })?;
            let link = format!(
                "{}/auth/sign-in?token={}",
                url.trim_end_matches('/'),
                secret.clear
            );
            out.value(&json!({ "link": link }));
            if !out.is_json() {
                out.progress("Good for one sign-in within a day:");
                out.raw(&link);
            }
            Ok(())
        }
    }
}

/// Makes a token in the data folder; a running portal sees it at its next look.
fn offline(
    data: &Path,
    config: Option<&Path>,
    name: &str,
    scopes: Vec<String>,
    days: Option<u32>,
) -> Result<String, Failure> {
    block_on(async {
        let people = portico_server::offline_people(data, config)
            .await
            .map_err(Failure::failed)?;
        let tenant = TenantId::default_tenant();
        let expires = days.map(|d| people.now() + i64::from(d) * 86_400_000_000);
        let (_, secret) = people
            .make_token(
                &tenant,
                name,
                scopes.into_iter().collect(),
                expires,
                "command line",
            )
            .await
            .map_err(Failure::failed)?;
        Ok(secret.clear)
    })
}

pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(Failure::failed)?
        .block_on(work)
}
