//! YAML text to a [`Node`], within limits: no text can make it use much memory or time.
//!
//! Knows no key but the merge key `<<`. Syntax is `saphyr-parser`'s business, the meaning of
//! plain scalars `serde_yaml`'s.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::node::{Entry, Node, NodeMap, NodeValue};
use super::scalar;
use super::text::MAX_BYTES;
use crate::diagnostic::{Diagnostic, Diagnostics, Location, SourceFile};

/// Levels of nesting. A config needs about six; each costs stack.
const MAX_DEPTH: usize = 64;
/// Values that aliases may add to those written: enough for a thousand VMs with a hundred values
/// each, and little enough that "billion laughs" ends at once.
const MAX_ALIASED: usize = 100_000;
/// Problems after which reading stops: nobody reads more, and each is compared with all others.
const MAX_PROBLEMS: usize = 100;

/// Reads `range` (bytes) of the file's text as one document. An empty document is null. The node
/// is there even with problems, if the text could be read to its end.
pub(super) fn parse(file: &Arc<SourceFile>, range: Range<usize>) -> (Option<Node>, Diagnostics) {
    let Some(text) = file.text.get(range.clone()) else {
        return (None, Diagnostics::default());
    };
    if text.len() > MAX_BYTES {
        let problem = Diagnostic::error(format!("`{}` is longer than 1 MiB", file.name));
        return (None, problem.help("tnvm reads at most 1 MiB").into());
    }
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let base = range.start + (text.len() - body.len());
    let mut reader = Reader {
        parser: Parser::new_from_str(body),
        file,
        offsets: body.char_indices().map(|(at, _)| base + at).collect(),
        end: base + body.len(),
        anchors: HashMap::new(),
        aliased: 0,
        problems: Diagnostics::default(),
    };
    let node = reader.document().ok();
    (node, reader.problems)
}

/// Reading cannot go on; the reason is among the problems.
struct Stop;

/// A finished value with its measures, for aliases of it.
#[derive(Clone)]
struct Built {
    node: Node,
    size: usize,
    depth: usize,
}

/// A map while it is being read.
#[derive(Default)]
struct OpenMap {
    entries: NodeMap,
    merged: Vec<Node>,
    size: usize,
    depth: usize,
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    file: &'t Arc<SourceFile>,
    /// The byte at which each character starts: the parser counts characters.
    offsets: Vec<usize>,
    end: usize,
    anchors: HashMap<usize, Built>,
    aliased: usize,
    problems: Diagnostics,
}

impl<'t> Reader<'t> {
    fn document(&mut self) -> Result<Node, Stop> {
        let mut node = Node::built_in(NodeValue::Null);
        node.origin = Some(self.location(0, 0));
        let mut seen = false;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentEnd | Event::Nothing => {}
                Event::StreamEnd => return Ok(node),
                Event::DocumentStart(_) if seen => {
                    let problem = Diagnostic::error("the file holds more than one YAML document")
                        .help("remove the line `---` and what follows, or join the parts")
                        .at(self.at(span));
                    return Err(self.stop(problem));
                }
                Event::DocumentStart(_) => seen = true,
                event => node = self.value(event, span, 1)?.node,
            }
        }
    }

    fn value(&mut self, event: Event<'t>, span: Span, level: usize) -> Result<Built, Stop> {
        if level > MAX_DEPTH {
            return Err(self.too_deep(self.at(span)));
        }
        let (anchor, built) = match event {
            Event::Alias(id) => return self.alias(id, span, level),
            Event::Scalar(text, style, anchor, tag) => {
                let value = self.scalar(&text, style, tag.as_deref(), span)?;
                (anchor, self.built(value, span, 1, 1))
            }
            Event::SequenceStart(anchor, tag) => {
                self.check_collection_tag(tag.as_ref(), "seq", span)?;
                (anchor, self.list(span, level)?)
            }
            Event::MappingStart(anchor, tag) => {
                self.check_collection_tag(tag.as_ref(), "map", span)?;
                (anchor, self.map(span, level)?)
            }
            _ => {
                let problem = Diagnostic::error("a value is missing here").at(self.at(span));
                return Err(self.stop(problem));
            }
        };
        if anchor != 0 {
            // Anchors within anchors each keep a copy of what is below them.
            self.count_copy(built.size, span)?;
            self.anchors.insert(anchor, built.clone());
        }
        Ok(built)
    }

    fn list(&mut self, start: Span, level: usize) -> Result<Built, Stop> {
        let mut all = Vec::new();
        let (mut size, mut depth) = (1, 0);
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                let whole = Span::new(start.start, span.end);
                return Ok(self.built(NodeValue::List(all), whole, size, depth + 1));
            }
            let built = self.value(event, span, level + 1)?;
            size += built.size;
            depth = depth.max(built.depth);
            all.push(built.node);
        }
    }

    fn map(&mut self, start: Span, level: usize) -> Result<Built, Stop> {
        let mut map = OpenMap::default();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                let whole = Span::new(start.start, span.end);
                let entries = join(map.merged, map.entries);
                let value = NodeValue::Map(entries);
                return Ok(self.built(value, whole, map.size + 1, map.depth + 1));
            }
            self.map_entry(&mut map, event, span, level)?;
        }
    }

    fn map_entry(
        &mut self,
        map: &mut OpenMap,
        event: Event<'t>,
        key_span: Span,
        level: usize,
    ) -> Result<(), Stop> {
        let key_origin = self.at(key_span);
        let merge =
            matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<");
        let key = self.key(event, key_span, level)?;
        let (event, span) = self.next()?;
        let nothing =
            matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text.is_empty());
        let mut built = self.value(event, span, level + 1)?;
        if nothing {
            // A value that is not there has no place of its own.
            built.node.origin = Some(key_origin.clone());
        }
        map.size += built.size;
        map.depth = map.depth.max(built.depth);
        let Some(key) = key else { return Ok(()) };
        if merge {
            return self.merge_key(map, built.node, key_origin);
        }
        if let Some(first) = map.entries.get(&key) {
            let first = first
                .key_origin
                .as_ref()
                .map_or(0, |one| one.line_column().0);
            let problem = Diagnostic::error(format!(
                "the key `{key}` is written twice: here and in line {first}"
            ));
            return self.problem(problem.help("keep one of the two").at(key_origin));
        }
        let entry = Entry {
            key_origin: Some(key_origin),
            node: built.node,
        };
        map.entries.insert(key, entry);
        Ok(())
    }

    /// The key as a text; `None` after reporting one that is something else.
    fn key(&mut self, event: Event<'t>, span: Span, level: usize) -> Result<Option<String>, Stop> {
        if let Event::Scalar(text, style, anchor, _) = &event {
            // `5: x` and `true: x` have texts as keys here, as the same keys have in JSON.
            let null = *style == ScalarStyle::Plain
                && matches!(scalar::resolve(text), Ok(NodeValue::Null));
            if !null {
                let text = text.clone().into_owned();
                if *anchor != 0 {
                    let value = NodeValue::String(text.clone());
                    let built = self.built(value, span, 1, 1);
                    self.anchors.insert(*anchor, built);
                }
                return Ok(Some(text));
            }
        }
        if let NodeValue::String(text) = self.value(event, span, level + 1)?.node.value {
            return Ok(Some(text));
        }
        let problem = Diagnostic::error("a key must be a text")
            .help("write `key: value`; `? key`, lists, maps and nothing cannot be keys")
            .at(self.at(span));
        self.problem(problem).map(|()| None)
    }

    fn merge_key(&mut self, map: &mut OpenMap, node: Node, at: Location) -> Result<(), Stop> {
        let sources = match node.value {
            NodeValue::List(all) => all,
            _ => vec![node],
        };
        if !map.merged.is_empty() {
            let problem = Diagnostic::error("`<<` is written twice in one map")
                .help("write one: `<<: [*first, *second]`")
                .at(at);
            return self.problem(problem);
        }
        if sources.iter().any(|one| one.as_map().is_none()) {
            let problem = Diagnostic::error("`<<` takes a map or a list of maps")
                .help("write `<<: *anchor`, with the anchor on a map")
                .at(at);
            return self.problem(problem);
        }
        map.merged = sources;
        Ok(())
    }

    fn alias(&mut self, id: usize, span: Span, level: usize) -> Result<Built, Stop> {
        let Some((size, depth)) = self.anchors.get(&id).map(|one| (one.size, one.depth)) else {
            let problem = Diagnostic::error("an alias stands inside its own anchor")
                .help("a value cannot contain itself; write it out")
                .at(self.at(span));
            return Err(self.stop(problem));
        };
        if level - 1 + depth > MAX_DEPTH {
            return Err(self.too_deep(self.at(span)));
        }
        self.count_copy(size, span)?;
        self.anchors.get(&id).cloned().ok_or(Stop)
    }

    fn count_copy(&mut self, size: usize, span: Span) -> Result<(), Stop> {
        self.aliased = self.aliased.saturating_add(size);
        if self.aliased <= MAX_ALIASED {
            return Ok(());
        }
        let problem = Diagnostic::error(format!(
            "anchors and aliases up to here make more than {MAX_ALIASED} values"
        ))
        .help("use fewer aliases of aliases")
        .at(self.at(span));
        Err(self.stop(problem))
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<NodeValue, Stop> {
        let kind = tag.map(core_kind);
        let as_text = || NodeValue::String(text.to_owned());
        let resolved = match kind {
            Some(Some("str")) => return Ok(as_text()),
            None if style != ScalarStyle::Plain => return Ok(as_text()),
            _ => scalar::resolve(text),
        };
        let value = match resolved {
            Ok(value) => value,
            Err(message) => {
                let problem = Diagnostic::error(message)
                    .help("write a finite number, or quote it if it is a text");
                self.problem(problem.at(self.at(span)))?;
                return Ok(as_text());
            }
        };
        let fits = match (kind, &value) {
            (None, _)
            | (Some(Some("null")), NodeValue::Null)
            | (Some(Some("bool")), NodeValue::Bool(_))
            | (Some(Some("float")), NodeValue::Number(_)) => true,
            (Some(Some("int")), NodeValue::Number(one)) => !one.is_f64(),
            _ => false,
        };
        if !fits && let Some(tag) = tag {
            self.bad_tag(tag, span)?;
        }
        Ok(value)
    }

    fn check_collection_tag(
        &mut self,
        tag: Option<&Cow<'t, Tag>>,
        expected: &str,
        span: Span,
    ) -> Result<(), Stop> {
        match tag {
            Some(tag) if core_kind(tag) != Some(expected) => self.bad_tag(tag, span),
            _ => Ok(()),
        }
    }

    fn bad_tag(&mut self, tag: &Tag, span: Span) -> Result<(), Stop> {
        let tag = match core_kind(tag) {
            Some(kind) => format!("!!{kind}"),
            None => tag.to_string(),
        };
        let problem = Diagnostic::error(format!("the tag `{tag}` does not fit this value"))
            .help("remove the tag; `!!str`, `!!int`, `!!float`, `!!bool` and `!!null` are known")
            .at(self.at(span));
        self.problem(problem)
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Stop> {
        match self.parser.next_event() {
            Some(Ok(found)) => Ok(found),
            Some(Err(error)) => Err(self.broken(&error)),
            None => {
                let problem =
                    Diagnostic::error("the text ends too early").at(self.location(usize::MAX, 0));
                Err(self.stop(problem))
            }
        }
    }

    fn broken(&mut self, error: &ScanError) -> Stop {
        let at = self.location(error.marker().index(), error.marker().index());
        let (line, _) = at.line_column();
        let written = self.file.text.lines().nth(line - 1).unwrap_or_default();
        let indent = written.split(|one: char| !one.is_whitespace()).next();
        let help = if indent.is_some_and(|one| one.contains('\t')) {
            "indent with spaces; YAML does not take tabs"
        } else {
            "check indentation, quotes and brackets in this line and the one before"
        };
        let problem = Diagnostic::error(format!("this is not YAML: {}", error.info()));
        self.stop(problem.help(help).at(at))
    }

    fn too_deep(&mut self, at: Location) -> Stop {
        let problem =
            Diagnostic::error(format!("values are nested deeper than {MAX_DEPTH} levels"))
                .help("no setting needs that; write the value flatter");
        self.stop(problem.at(at))
    }

    fn stop(&mut self, problem: Diagnostic) -> Stop {
        self.problems.push(problem);
        Stop
    }

    fn problem(&mut self, problem: Diagnostic) -> Result<(), Stop> {
        self.problems.push(problem);
        if self.problems.iter().len() < MAX_PROBLEMS {
            return Ok(());
        }
        let problem = Diagnostic::error(format!("reading stopped after {MAX_PROBLEMS} problems"));
        Err(self.stop(problem.help("repair those first")))
    }

    fn built(&self, value: NodeValue, span: Span, size: usize, depth: usize) -> Built {
        let node = Node {
            value,
            origin: Some(self.at(span)),
        };
        Built { node, size, depth }
    }

    fn at(&self, span: Span) -> Location {
        self.location(span.start.index(), span.end.index())
    }

    /// From character indexes to bytes, cut at the end of the first line: a whole block as the
    /// place of a mistake would help nobody.
    fn location(&self, start: usize, end: usize) -> Location {
        let byte = |index: usize| self.offsets.get(index).copied().unwrap_or(self.end);
        let start = byte(start);
        let end = byte(end).max(start);
        let shown = self.file.text.get(start..end).unwrap_or_default();
        let line = shown.lines().next().unwrap_or_default().trim_end();
        Location {
            file: Arc::clone(self.file),
            span: start..start + line.len(),
        }
    }
}

/// Merge keys give what the map does not have itself; of several sources the first wins. Merged
/// entries come first, as if inherited.
fn join(merged: Vec<Node>, own: NodeMap) -> NodeMap {
    let mut all = NodeMap::new();
    for source in merged {
        let NodeValue::Map(entries) = source.value else {
            continue;
        };
        for (key, entry) in entries {
            all.entry(key).or_insert(entry);
        }
    }
    all.extend(own);
    all
}

/// The kind a tag of YAML's own names: `int` for `!!int`; `!` alone means a text.
fn core_kind(tag: &Tag) -> Option<&str> {
    if tag.is_yaml_core_schema() {
        return Some(tag.suffix.as_str());
    }
    let alone = matches!(
        (tag.handle.as_str(), tag.suffix.as_str()),
        ("!", "") | ("", "!")
    );
    alone.then_some("str")
}
