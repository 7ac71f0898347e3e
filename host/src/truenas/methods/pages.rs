//! Rows of a query gathered page by page, although the server's rows change meanwhile.
//!
//! A page begins with the last row of the one before: where it is another row, rows came or went
//! before it, and one may have slipped through. Knows nothing of calls.

use std::collections::HashSet;

use serde_json::Value;

/// The rows so far.
#[derive(Debug)]
pub(super) struct Pages {
    size: usize,
    rows: Vec<Value>,
    /// The ids of the rows, since no row may count twice.
    seen: HashSet<String>,
    /// How many rows the server has shown, repeated ones included.
    shown: usize,
    last: Option<Value>,
    moved: bool,
}

/// What to do after a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// That was the last one.
    Done,
    /// Ask for the next one.
    More,
    /// A full page without a new row: there would be no end.
    Stuck,
}

impl Pages {
    /// Of so many rows, at least two, in the order of their ids.
    pub(super) fn new(size: usize) -> Self {
        Self {
            size: size.max(2),
            rows: Vec::new(),
            seen: HashSet::new(),
            shown: 0,
            last: None,
            moved: false,
        }
    }

    /// How many rows to ask for.
    pub(super) fn limit(&self) -> usize {
        self.size
    }

    /// Where the next page begins: at the last row of the one before.
    pub(super) fn offset(&self) -> usize {
        self.shown.saturating_sub(1)
    }

    /// Adds a page. Of several rows with one id the first counts.
    pub(super) fn add(&mut self, page: Vec<Value>) -> Next {
        let full = page.len() >= self.size;
        let id = |row: &Value| row.get("id").cloned();
        self.moved |= self.shown > 0 && page.first().and_then(id) != self.last;
        self.shown = self.offset() + page.len();
        self.last = page.last().and_then(id);
        let before = self.rows.len();
        for row in page {
            let new = match row.get("id") {
                Some(id) => self.seen.insert(id.to_string()),
                None => true,
            };
            if new {
                self.rows.push(row);
            }
        }
        match full {
            false => Next::Done,
            true if self.rows.len() == before => Next::Stuck,
            true => Next::More,
        }
    }

    /// Whether rows came or went between two pages, so that some may be missing.
    pub(super) fn moved(&self) -> bool {
        self.moved
    }

    /// How many rows there are so far.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// All rows.
    pub(super) fn into_rows(self) -> Vec<Value> {
        self.rows
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Reads a table that `change` changes before each page after the first; gives the ids, and
    /// whether something was seen to have moved.
    fn read(mut table: Vec<u64>, change: impl Fn(&mut Vec<u64>)) -> (Vec<u64>, bool) {
        let mut pages = Pages::new(10);
        for nth in 0..100 {
            if nth > 0 {
                change(&mut table);
            }
            let from = pages.offset().min(table.len());
            let to = (from + pages.limit()).min(table.len());
            let page = table[from..to].iter().map(|id| json!({"id": id})).collect();
            match pages.add(page) {
                Next::Done => break,
                Next::More => {}
                Next::Stuck => panic!("stuck"),
            }
        }
        let moved = pages.moved();
        let id = |row: &Value| row["id"].as_u64().unwrap();
        (pages.into_rows().iter().map(id).collect(), moved)
    }

    #[test]
    fn every_row_is_read_once_whatever_their_number() {
        for count in 0..60 {
            let all: Vec<u64> = (0..count).collect();
            assert_eq!(read(all.clone(), |_| ()), (all, false), "{count}");
        }
    }

    #[test]
    fn a_row_that_vanishes_before_the_page_is_noticed() {
        let (_, moved) = read((0..40).collect(), |table| {
            table.remove(0);
        });
        assert!(moved);
    }

    #[test]
    fn a_row_that_comes_before_the_page_is_noticed_and_none_counts_twice() {
        let (mut ids, moved) = read((100..140).collect(), |table| table.insert(0, 1));
        assert!(moved);
        let count = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }

    #[test]
    fn rows_that_come_at_the_end_disturb_nobody() {
        let (ids, moved) = read((0..25).collect(), |table| {
            if table.len() < 50 {
                table.push(table.len() as u64);
            }
        });
        assert_eq!((ids.is_sorted(), moved), (true, false));
    }

    #[test]
    fn a_server_that_shows_the_same_rows_for_ever_is_found_out() {
        let row = json!({"id": 1});
        let mut pages = Pages::new(2);
        assert_eq!(pages.add(vec![row.clone(), row.clone()]), Next::More);
        assert_eq!(pages.add(vec![row.clone(), row]), Next::Stuck);
    }
}
