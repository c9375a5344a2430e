//! A publisher that stops at any point leaves a repository that reads, before or after.

use std::sync::Arc;

use portico_host::fault::{Faults, Injected};
use portico_registry::{Expiry, Repository};

use crate::fixture::{NOW, Origin, packed};

struct StopAt(&'static str);

impl Faults for StopAt {
    fn hit(&self, point: &str) -> Result<(), Injected> {
        if point == self.0 {
            Err(Injected(point.to_owned()))
        } else {
            Ok(())
        }
    }
}

#[tokio::test]
async fn every_point_leaves_the_state_before_or_the_state_after() {
    let points = [
        ("publish:target", false),
        ("publish:publisher", false),
        ("publish:snapshot", false),
        ("publish:timestamp", true),
    ];
    for (point, after) in points {
        let origin = Origin::with(&["logs 1.0.0"]);
        let portal = origin.portal("o");
        portal.refresh().await.unwrap();
        let broken = Repository::open(origin.folder(), Expiry::default())
            .unwrap()
            .with_faults(Arc::new(StopAt(point)));
        let archive = packed("logs", "1.1.0", "", origin.publisher());
        let error = broken.publish(&archive, &origin.keys, NOW).unwrap_err();
        assert_eq!(error.code(), "injected", "{point}");
        let expected: &[&str] = if after {
            &["logs 1.0.0", "logs 1.1.0"]
        } else {
            &["logs 1.0.0"]
        };
        assert_eq!(portal.sees().await, expected, "{point}");

        // What was begun is not in the way, and no version of a role is used twice.
        let left_over = std::fs::read_dir(origin.folder().join("metadata"))
            .unwrap()
            .count();
        let done = origin
            .repository
            .publish(&archive, &origin.keys, NOW)
            .unwrap();
        assert_eq!(done.new, !after, "{point}");
        if !after {
            let now = std::fs::read_dir(origin.folder().join("metadata"))
                .unwrap()
                .count();
            assert_eq!(
                now,
                left_over + 2,
                "{point}: a file that was left over was written again"
            );
        }
        assert_eq!(portal.sees().await, ["logs 1.0.0", "logs 1.1.0"], "{point}");
    }
}

#[tokio::test]
async fn a_removal_that_stops_is_there_or_not() {
    for (point, gone) in [("publish:snapshot", false), ("publish:timestamp", true)] {
        let origin = Origin::with(&["logs 1.0.0", "dash 1.0.0"]);
        let portal = origin.portal("o");
        let broken = Repository::open(origin.folder(), Expiry::default())
            .unwrap()
            .with_faults(Arc::new(StopAt(point)));
        let (id, version) = ("logs".parse().unwrap(), "1.0.0".parse().unwrap());
        broken.remove(&id, &version, &origin.keys, NOW).unwrap_err();
        let sees = portal.sees().await;
        assert_eq!(sees.contains(&"logs 1.0.0".to_owned()), !gone, "{point}");
        for release in &portal.refresh().await.unwrap().releases {
            portal.registry.fetch(release).await.unwrap();
        }
    }
}
