//! Reads how many tests passed and failed from what test runners print.

use std::ops::AddAssign;

/// Tests that passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// The sum over all binaries of a `cargo test`.
pub(crate) fn cargo(text: &str) -> Count {
    let mut sum = Count::default();
    for line in text.lines() {
        if let Some(rest) = line.trim().strip_prefix("test result:") {
            sum += Count {
                passed: before(rest, "passed"),
                failed: before(rest, "failed"),
            };
        }
    }
    sum
}

/// The last line of the form `12 passed, 0 failed`.
pub(crate) fn summary(text: &str) -> Count {
    text.lines()
        .rev()
        .find(|line| line.contains(" passed") && line.contains(" failed"))
        .map(|line| Count {
            passed: before(line, "passed"),
            failed: before(line, "failed"),
        })
        .unwrap_or_default()
}

/// The number that stands before `word`.
fn before(line: &str, word: &str) -> u64 {
    let words: Vec<&str> = line
        .split([' ', ',', ';'])
        .filter(|word| !word.is_empty())
        .collect();
    words
        .windows(2)
        .find(|pair| pair[1] == word)
        .and_then(|pair| pair[0].parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_every_binary_of_cargo_test() {
        let text = "\
running 3 tests
test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s

test result: FAILED. 4 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.2s
";
        assert_eq!(
            cargo(text),
            Count {
                passed: 7,
                failed: 2
            }
        );
    }

    #[test]
    fn takes_the_last_summary_line() {
        let text = "dark: 4 passed, 0 failed\nall done\n41 passed, 1 failed\n";
        assert_eq!(
            summary(text),
            Count {
                passed: 41,
                failed: 1
            }
        );
        assert_eq!(summary("nothing here"), Count::default());
    }
}
