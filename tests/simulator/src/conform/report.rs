//! What came of a replay: each answer of the recording with how ours compares, and sums by method.

use std::collections::BTreeMap;

use serde::Serialize;

use super::difference::Difference;

/// How one recorded frame compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The simulator answers the same, as far as that is determined.
    Covered,
    /// It answers something else.
    Differing,
    /// It does not have the method, or does not serve the endpoint.
    NotModelled,
}

/// One frame that the server sent in the recording.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FrameReport {
    /// Its number in the transcript.
    pub frame: u64,
    /// The method that it answers; `(…)` for what is no answer to a known method, `event …` for events.
    pub method: String,
    /// How ours compares.
    pub verdict: Verdict,
    /// In what it differs. Other words alone leave a frame covered.
    pub differences: Vec<Difference>,
}

/// A whole transcript.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replay {
    /// The transcript's name.
    pub transcript: String,
    /// The version that was simulated, e.g. `25.10.7`.
    pub version: String,
    /// Its frames, in order.
    pub frames: Vec<FrameReport>,
}

/// How many frames of each verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// As recorded.
    pub covered: usize,
    /// Otherwise.
    pub differing: usize,
    /// Not there.
    pub not_modelled: usize,
    /// Of the covered ones, those that say it in other words.
    pub other_words: usize,
}

impl FrameReport {
    /// A frame of which ours differs by this, or not at all.
    pub(super) fn new(frame: u64, method: &str, differences: Vec<Difference>) -> Self {
        let differing = differences.iter().any(Difference::counts);
        Self {
            frame,
            method: method.to_owned(),
            verdict: if differing {
                Verdict::Differing
            } else {
                Verdict::Covered
            },
            differences,
        }
    }

    /// A frame that the simulator cannot answer.
    pub(super) fn not_modelled(frame: u64, method: &str) -> Self {
        Self {
            frame,
            method: method.to_owned(),
            verdict: Verdict::NotModelled,
            differences: Vec::new(),
        }
    }
}

impl Replay {
    /// Whether nothing differs. What is not modelled is no difference.
    pub fn agrees(&self) -> bool {
        self.counts().differing == 0
    }

    /// Sums of all frames.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.frames.iter().for_each(|frame| counts.add(frame));
        counts
    }

    /// Sums by method.
    pub fn by_method(&self) -> BTreeMap<String, Counts> {
        let mut all: BTreeMap<String, Counts> = BTreeMap::new();
        for frame in &self.frames {
            all.entry(frame.method.clone()).or_default().add(frame);
        }
        all
    }
}

impl Counts {
    fn add(&mut self, frame: &FrameReport) {
        match frame.verdict {
            Verdict::Covered => {
                self.covered += 1;
                self.other_words += usize::from(!frame.differences.is_empty());
            }
            Verdict::Differing => self.differing += 1,
            Verdict::NotModelled => self.not_modelled += 1,
        }
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.covered += more.covered;
        self.differing += more.differing;
        self.not_modelled += more.not_modelled;
        self.other_words += more.other_words;
    }
}
