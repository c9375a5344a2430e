//! The ring of what happened lately in one tenant, and who listens.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use axum::extract::ws::Utf8Bytes;
use bytes::Bytes;
use portico_plan::TenantId;
use tokio::sync::broadcast;

/// Persisted events that can be replayed without asking the store.
const RING: usize = 1024;

/// Frames that a reader may be behind before it is shed.
const LAG: usize = 256;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Place in the tenant's history, rising; `None` for progress, which is never replayed.
    pub seq: Option<u64>,
    /// What browsers read: a JSON object on one line.
    pub json: String,
}

/// Where events older than the ring are read from.
#[async_trait]
pub trait EventSource: Send + Sync + 'static {
    /// Every persisted event of the tenant after `seq`, ascending; `None` when that cannot be told any more
    /// (too old, unknown, the store is away): the reader is then asked to read everything anew.
    async fn after(&self, tenant: &TenantId, seq: u64) -> Option<Vec<Event>>;
}

/// An event in the forms it is sent in.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) seq: Option<u64>,
    pub(crate) sse: Bytes,
    pub(crate) json: Utf8Bytes,
}

impl Frame {
    pub(crate) fn new(event: &Event) -> Self {
        Self::named("", event)
    }

    /// With a name, scripts see it only when they listen for that name.
    pub(crate) fn named(name: &str, event: &Event) -> Self {
        use std::fmt::Write;
        // A line break inside would end the field; JSON has no raw ones except between tokens.
        let json = event.json.replace(['\r', '\n'], " ");
        let mut sse = String::with_capacity(json.len() + 48);
        if let Some(seq) = event.seq {
            let _ = writeln!(sse, "id: {seq}");
        }
        if !name.is_empty() {
            let _ = writeln!(sse, "event: {name}");
        }
        let _ = write!(sse, "data: {json}\n\n");
        Self {
            seq: event.seq,
            sse: sse.into(),
            json: json.into(),
        }
    }
}

/// What goes to listeners.
#[derive(Clone, Debug)]
pub(crate) enum Signal {
    Frame(Arc<Frame>),
    /// Somebody signed out or lost a session: look again whether this one may still listen.
    Recheck,
}

/// The events of one tenant.
#[derive(Debug)]
pub struct EventHub {
    ring: Mutex<Ring>,
    signals: broadcast::Sender<Signal>,
}

#[derive(Debug, Default)]
struct Ring {
    /// Every event after `floor`, ascending.
    frames: VecDeque<(u64, Arc<Frame>)>,
    floor: u64,
    /// The newest event that anybody knows of.
    head: u64,
    generation: u64,
}

/// How a reader that knows everything up to some event is brought up to date.
#[derive(Debug)]
pub(crate) enum Backlog {
    /// These follow.
    Frames(Vec<Arc<Frame>>),
    /// The ring begins too late: ask the store for what came after this.
    Older(u64),
    /// It knows of events that never were: another database.
    Unknown,
}

/// A listener: what it missed, and what is to come.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) backlog: Backlog,
    pub(crate) signals: broadcast::Receiver<Signal>,
    pub(crate) head: u64,
    pub(crate) generation: u64,
}

impl Default for EventHub {
    fn default() -> Self {
        Self {
            ring: Mutex::default(),
            signals: broadcast::channel(LAG).0,
        }
    }
}

impl EventHub {
    /// Where history stands when the portal starts: nothing up to `head` is in the ring.
    pub fn resume(&self, head: u64, generation: u64) {
        let mut ring = self.ring();
        if ring.frames.is_empty() {
            ring.head = ring.head.max(head);
            ring.floor = ring.head;
        }
        ring.generation = ring.generation.max(generation);
    }

    /// Tells everybody. A persisted event that was told before is not told again.
    pub fn publish(&self, event: &Event, generation: u64) {
        let frame = Arc::new(Frame::new(event));
        // Sent under the lock: who subscribes sees each event exactly once, in its backlog or live.
        let mut ring = self.ring();
        ring.generation = ring.generation.max(generation);
        if let Some(seq) = event.seq
            && !ring.keep(seq, &frame)
        {
            return;
        }
        let _ = self.signals.send(Signal::Frame(frame));
    }

    /// Makes every listener prove again that it is signed in. Call it when a session ends.
    pub fn recheck(&self) {
        let _ = self.signals.send(Signal::Recheck);
    }

    /// How many listen.
    pub fn listeners(&self) -> usize {
        self.signals.receiver_count()
    }

    /// Begins to listen; `last` is the newest event that the reader knows of.
    pub(crate) fn subscribe(&self, last: Option<u64>) -> Subscription {
        let ring = self.ring();
        Subscription {
            backlog: ring.after(last),
            signals: self.signals.subscribe(),
            head: ring.head,
            generation: ring.generation,
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    /// Answers whether the event is news. Two events may be told in another order than they happened.
    fn keep(&mut self, seq: u64, frame: &Arc<Frame>) -> bool {
        if seq <= self.floor {
            return false;
        }
        let Err(place) = self.frames.binary_search_by_key(&seq, |(seq, _)| *seq) else {
            return false;
        };
        self.frames.insert(place, (seq, Arc::clone(frame)));
        self.head = self.head.max(seq);
        if self.frames.len() > RING
            && let Some((oldest, _)) = self.frames.pop_front()
        {
            self.floor = oldest;
        }
        true
    }

    fn after(&self, last: Option<u64>) -> Backlog {
        let Some(last) = last else {
            return Backlog::Frames(Vec::new());
        };
        if last > self.head {
            return Backlog::Unknown;
        }
        if last < self.floor {
            return Backlog::Older(last);
        }
        let known = self.frames.partition_point(|(seq, _)| *seq <= last);
        Backlog::Frames(
            self.frames
                .range(known..)
                .map(|(_, frame)| Arc::clone(frame))
                .collect(),
        )
    }
}

/// The events of every tenant.
#[derive(Debug, Default)]
pub struct EventHubs(ArcSwap<imbl::HashMap<TenantId, Arc<EventHub>>>);

impl EventHubs {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The events of one tenant; made at the first call.
    pub fn of(&self, tenant: &TenantId) -> Arc<EventHub> {
        if let Some(hub) = self.0.load().get(tenant) {
            return Arc::clone(hub);
        }
        let fresh = Arc::new(EventHub::default());
        let mut kept = Arc::clone(&fresh);
        self.0.rcu(|all| match all.get(tenant) {
            Some(hub) => {
                kept = Arc::clone(hub);
                imbl::HashMap::clone(all)
            }
            None => {
                kept = Arc::clone(&fresh);
                all.update(tenant.clone(), Arc::clone(&fresh))
            }
        });
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seq: u64) -> Event {
        Event {
            seq: Some(seq),
            json: format!("{{\"seq\":{seq}}}"),
        }
    }

    fn seqs(backlog: &Backlog) -> Vec<u64> {
        match backlog {
            Backlog::Frames(frames) => frames.iter().filter_map(|f| f.seq).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn replays_what_was_missed() {
        let hub = EventHub::default();
        hub.resume(10, 3);
        for seq in 11..=14 {
            hub.publish(&event(seq), 4);
        }
        assert_eq!(seqs(&hub.subscribe(Some(12)).backlog), [13, 14]);
        assert_eq!(seqs(&hub.subscribe(Some(10)).backlog), [11, 12, 13, 14]);
        assert!(seqs(&hub.subscribe(Some(14)).backlog).is_empty());
        assert!(seqs(&hub.subscribe(None).backlog).is_empty());
        assert!(matches!(hub.subscribe(Some(9)).backlog, Backlog::Older(9)));
        assert!(matches!(hub.subscribe(Some(15)).backlog, Backlog::Unknown));
        assert_eq!(hub.subscribe(None).head, 14);
        assert_eq!(hub.subscribe(None).generation, 4);
    }

    #[test]
    fn keeps_the_newest() {
        let hub = EventHub::default();
        for seq in 1..=RING as u64 + 5 {
            hub.publish(&event(seq), 1);
        }
        assert!(matches!(hub.subscribe(Some(4)).backlog, Backlog::Older(4)));
        assert_eq!(seqs(&hub.subscribe(Some(5)).backlog).len(), RING);
    }

    #[test]
    fn order_of_telling_does_not_matter_and_numbers_may_be_shared_with_others() {
        let hub = EventHub::default();
        hub.resume(100, 1);
        for seq in [107, 103, 110, 103, 99] {
            hub.publish(&event(seq), 1);
        }
        assert_eq!(seqs(&hub.subscribe(Some(100)).backlog), [103, 107, 110]);
        assert_eq!(seqs(&hub.subscribe(Some(105)).backlog), [107, 110]);
        assert_eq!(hub.subscribe(None).head, 110);
    }

    #[test]
    fn tells_each_event_once_and_progress_without_id() {
        let hub = EventHub::default();
        let mut listener = hub.subscribe(None).signals;
        hub.publish(&event(1), 1);
        hub.publish(&event(1), 1);
        hub.publish(
            &Event {
                seq: None,
                json: "{\"percent\":\n5}".into(),
            },
            1,
        );
        let mut texts = Vec::new();
        while let Ok(Signal::Frame(frame)) = listener.try_recv() {
            texts.push(String::from_utf8(frame.sse.to_vec()).unwrap());
        }
        assert_eq!(
            texts,
            ["id: 1\ndata: {\"seq\":1}\n\n", "data: {\"percent\": 5}\n\n"]
        );
        assert_eq!(seqs(&hub.subscribe(Some(0)).backlog), [1]);
    }

    #[test]
    fn one_hub_per_tenant() {
        let hubs = EventHubs::new();
        let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
        assert!(Arc::ptr_eq(&hubs.of(&a), &hubs.of(&a)));
        assert!(!Arc::ptr_eq(&hubs.of(&a), &hubs.of(&b)));
    }
}
