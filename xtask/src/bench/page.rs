//! A page of a package that renders to about 2 KiB, without the shell's frame.

use std::path::Path;

use serde_json::json;

use super::{Report, cpu, fixture, least, median};
use crate::{Fallible, portal::Portal};

const ROUNDS: usize = 7;
const SECONDS: u32 = 2;
/// Microseconds of CPU time per request.
const GOAL: f64 = 60.0;

pub(super) fn run(binary: &Path) -> Fallible<Report> {
    let portal = Portal::start_on_core(binary, "bench-page", fixture::last_core()?)?;
    fixture::install(&portal, binary)?;
    let bytes = fixture::fragment(&portal, "/bench/page")?.len();
    let mut headers = fixture::FRAGMENT
        .map(|(name, value)| format!("{name}: {value}"))
        .to_vec();
    headers.push(format!("Authorization: Bearer {}", portal.token));
    let url = format!("{}/bench/page", portal.url);
    let (mut micros, mut requests) = (Vec::new(), 0);
    for _ in 0..ROUNDS {
        let round = cpu::load(portal.pid(), &url, &headers, SECONDS)?;
        micros.push(round.micros);
        requests += round.requests;
    }
    println!(
        "page of {bytes} B  {:.1} µs (median {:.1}) of CPU per request, {requests} requests, goal {GOAL}",
        least(&micros),
        median(&micros),
    );
    let over = least(&micros) > GOAL;
    let missed = over.then(|| format!("page: {:.1} µs, goal {GOAL} µs", least(&micros)));
    Ok(Report {
        figures: json!({"bytes": bytes, "cpu_us": micros, "least": least(&micros), "goal": GOAL}),
        missed: missed.into_iter().collect(),
    })
}
