//! What the data plane counts. Handles are resolved beforehand: counting a request costs a few atomic
//! additions.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use portico_package::PackageId;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder, core::Collector,
};

/// Upper bounds of request durations, seconds.
const DURATIONS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

/// Packages that get counters of their own; what comes later is counted as `other`.
const MAX_PACKAGES: usize = 1000;

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file.
    Asset,
    /// A page of a package.
    Page,
    /// The portal's own: API, sign-in, settings.
    Control,
    /// An event stream.
    Events,
    /// Refused before it was known what it is for.
    Refused,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Asset,
        Self::Page,
        Self::Control,
        Self::Events,
        Self::Refused,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Asset => "asset",
            Self::Page => "page",
            Self::Control => "control",
            Self::Events => "events",
            Self::Refused => "refused",
        }
    }
}

/// Counters and gauges of the data plane, in a registry that others may add theirs to.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    by_status: [[OnceLock<IntCounter>; STATUSES]; Kind::ALL.len()],
    durations: [Histogram; Kind::ALL.len()],
    packages: IntCounterVec,
    by_package: Mutex<HashMap<PackageId, Arc<PackageMetrics>>>,
    generation: IntGaugeVec,
    pub(crate) in_flight: IntGauge,
    pub(crate) connections: IntGauge,
    pub(crate) connections_refused: IntCounter,
    pub(crate) connections_cut: IntCounter,
    pub(crate) handshakes_failed: IntCounter,
    pub(crate) sse_clients: IntGauge,
    pub(crate) websocket_clients: IntGauge,
    pub(crate) clients_shed: IntCounter,
}

/// 100 to 599.
const STATUSES: usize = 500;

/// Outcomes of the pages of one package.
#[derive(Debug)]
pub(crate) struct PackageMetrics {
    pub(crate) ok: IntCounter,
    pub(crate) failed: IntCounter,
    pub(crate) cancelled: IntCounter,
}

impl Metrics {
    /// Registers everything in `registry`.
    pub fn new(registry: Registry) -> Result<Self, prometheus::Error> {
        let requests = add(
            &registry,
            IntCounterVec::new(
                Opts::new(
                    "portico_http_requests_total",
                    "Requests answered, by what they were for and by status.",
                ),
                &["kind", "status"],
            )?,
        )?;
        let durations = add(
            &registry,
            HistogramVec::new(
                HistogramOpts::new(
                    "portico_http_request_duration_seconds",
                    "Time from the head of a request to the head of its answer, but for files.",
                )
                .buckets(DURATIONS.to_vec()),
                &["kind"],
            )?,
        )?;
        let packages = add(
            &registry,
            IntCounterVec::new(
                Opts::new(
                    "portico_package_pages_total",
                    "Pages asked of packages, by outcome.",
                ),
                &["package", "outcome"],
            )?,
        )?;
        let generation = add(
            &registry,
            IntGaugeVec::new(
                Opts::new(
                    "portico_generation",
                    "Generation that is served, by tenant.",
                ),
                &["tenant"],
            )?,
        )?;
        let clients = add(
            &registry,
            IntGaugeVec::new(
                Opts::new(
                    "portico_events_clients",
                    "Open event streams, by transport.",
                ),
                &["transport"],
            )?,
        )?;
        let gauge = |name: &str, help: &str| add(&registry, IntGauge::new(name, help)?);
        let counter = |name: &str, help: &str| add(&registry, IntCounter::new(name, help)?);
        Ok(Self {
            in_flight: gauge(
                "portico_http_requests_in_flight",
                "Pages and portal requests being answered.",
            )?,
            connections: gauge("portico_connections", "Open connections.")?,
            connections_refused: counter(
                "portico_connections_refused_total",
                "Connections closed at once because too many were open.",
            )?,
            connections_cut: counter(
                "portico_connections_cut_total",
                "Connections closed because the other side stalled, or was not done when the portal stopped.",
            )?,
            handshakes_failed: counter(
                "portico_tls_handshakes_failed_total",
                "TLS handshakes that failed.",
            )?,
            clients_shed: counter(
                "portico_events_clients_shed_total",
                "Event streams closed because their reader was too slow.",
            )?,
            sse_clients: clients.with_label_values(&["sse"]),
            websocket_clients: clients.with_label_values(&["websocket"]),
            by_status: [const { [const { OnceLock::new() }; STATUSES] }; Kind::ALL.len()],
            durations: Kind::ALL.map(|kind| durations.with_label_values(&[kind.label()])),
            by_package: Mutex::default(),
            requests,
            packages,
            generation,
            registry,
        })
    }

    /// The registry, for others to add theirs.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Says which generation of a tenant is served.
    pub fn set_generation(&self, tenant: &str, generation: u64) {
        let generation = i64::try_from(generation).unwrap_or(i64::MAX);
        self.generation.with_label_values(&[tenant]).set(generation);
    }

    /// Everything in the registry in Prometheus' text format.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// Value of `content-type` for [`Metrics::text`].
    pub const CONTENT_TYPE: &'static str = prometheus::TEXT_FORMAT;

    pub(crate) fn count(&self, kind: Kind, status: u16, took: Duration) {
        self.count_only(kind, status);
        self.durations[kind as usize].observe(took.as_secs_f64());
    }

    /// Without a duration: reading the clock twice would be a large part of what a file costs.
    pub(crate) fn count_only(&self, kind: Kind, status: u16) {
        let slot = usize::from(status.clamp(100, 599)) - 100;
        self.by_status[kind as usize][slot]
            .get_or_init(|| {
                let status = (slot + 100).to_string();
                self.requests.with_label_values(&[kind.label(), &status])
            })
            .inc();
    }

    pub(crate) fn package(&self, package: &PackageId) -> Arc<PackageMetrics> {
        let mut known = self
            .by_package
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(metrics) = known.get(package) {
            return Arc::clone(metrics);
        }
        let label = if known.len() < MAX_PACKAGES {
            package.as_str()
        } else {
            "other"
        };
        let counter = |outcome| self.packages.with_label_values(&[label, outcome]);
        let metrics = Arc::new(PackageMetrics {
            ok: counter("ok"),
            failed: counter("failed"),
            cancelled: counter("cancelled"),
        });
        if known.len() < MAX_PACKAGES {
            known.insert(package.clone(), Arc::clone(&metrics));
        }
        metrics
    }
}

fn add<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// Raises a gauge for as long as it lives.
#[derive(Debug)]
pub(crate) struct Held(IntGauge);

impl Held {
    pub(crate) fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_appear_in_the_text() {
        let metrics = Metrics::new(Registry::new()).unwrap();
        metrics.count_only(Kind::Asset, 200);
        metrics.count_only(Kind::Asset, 200);
        metrics.count(Kind::Page, 200, Duration::from_micros(80));
        metrics.count(Kind::Page, 503, Duration::from_secs(1));
        metrics.package(&"logstream".parse().unwrap()).ok.inc();
        metrics.set_generation("default", 7);
        let held = Held::new(&metrics.sse_clients);
        let text = metrics.text().unwrap();
        for line in [
            "portico_http_requests_total{kind=\"asset\",status=\"200\"} 2",
            "portico_http_requests_total{kind=\"page\",status=\"503\"} 1",
            "portico_http_request_duration_seconds_bucket{kind=\"page\",le=\"0.0001\"} 1",
            "portico_package_pages_total{outcome=\"ok\",package=\"logstream\"} 1",
            "portico_generation{tenant=\"default\"} 7",
            "portico_events_clients{transport=\"sse\"} 1",
        ] {
            assert!(
                text.lines().any(|l| l == line),
                "{line} is missing from\n{text}"
            );
        }
        drop(held);
        assert_eq!(metrics.sse_clients.get(), 0);
    }

    #[test]
    fn labels_are_bounded() {
        let metrics = Metrics::new(Registry::new()).unwrap();
        for n in 0..MAX_PACKAGES + 50 {
            metrics.package(&format!("p{n}").parse().unwrap()).ok.inc();
        }
        let text = metrics.text().unwrap();
        let series = text
            .lines()
            .filter(|l| l.starts_with("portico_package_pages_total{"))
            .count();
        assert_eq!(series, (MAX_PACKAGES + 1) * 3);
        assert!(text.contains("portico_package_pages_total{outcome=\"ok\",package=\"other\"} 50"));
    }
}
