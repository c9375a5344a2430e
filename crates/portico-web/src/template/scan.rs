//! A strict scanner for the HTML of packages.
//!
//! It reads a subset of HTML in which the source says what the browser will see: quoted values, balanced
//! elements, listed names. Anything ambiguous is refused rather than interpreted. Template tags stand between
//! the runs of literal text; the scanner tells what each may be at its place, and writes the checked text,
//! with the stamps of the portal in it, to its output.

mod tags;

use crate::template::{
    emit::Emit,
    rules::{Kind, Rule},
    value::{Area, Pipe, Value, Verdict},
};

/// A finding at a byte offset of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Where.
    pub(crate) at: usize,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do.
    pub(crate) hint: String,
}

/// The scan of this file cannot go on; the finding is recorded.
#[derive(Debug)]
pub(crate) struct Stop;

type Scanned<T> = Result<T, Stop>;

/// Whether a template is read, or what one wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// The author's text.
    Template,
    /// Rendered output, with the portal's stamps in it.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "tests read what templates wrote")
    )]
    Output,
}

/// Where in the HTML the scanner is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum State {
    /// Between tags.
    Text,
    /// Inside an element that holds only text.
    Raw,
    /// Inside a start tag, between attributes.
    Tag(Tag),
    /// Inside a quoted value.
    Value(Tag, Attribute),
}

/// A start tag that is being read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tag {
    serial: usize,
    at: usize,
    name: &'static str,
    kind: Kind,
    /// White space was just read, on every way that leads here.
    space: bool,
    htmx: bool,
    external: bool,
}

/// An attribute whose value is being read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Attribute {
    at: usize,
    name: String,
    rule: Rule,
    quote: char,
    value: Value,
    /// Where the attribute (with the white space before it) and its value begin in the output.
    from: (usize, usize),
    value_from: usize,
}

/// An element that waits for its end tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    name: &'static str,
    at: usize,
}

/// What a branch starts from and comes back to.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    state: State,
    stack: Vec<Open>,
    floor: usize,
}

/// What an expression may be at a place.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// Text: escaped unless a macro or capture made it.
    Text,
    /// Elsewhere.
    Piped(Pipe),
}

/// What a statement wants to do at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wants {
    /// `{% if %}`.
    Branch,
    /// `{% for %}`.
    Loop,
    /// Anything else.
    Text,
}

/// Kinds of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlaceKind {
    /// Between tags.
    Text,
    /// Elsewhere.
    Other,
}

/// Reads literal text and remembers where in the HTML it is.
pub(crate) struct Scanner<'a> {
    pub(crate) out: Emit,
    pub(crate) found: Vec<Found>,
    state: State,
    stack: Vec<Open>,
    /// Elements below this one were opened outside of the current branch.
    floor: usize,
    serial: usize,
    area: &'a Area,
    reading: Reading,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(area: &'a Area, reading: Reading) -> Self {
        Self {
            out: Emit::default(),
            found: Vec::new(),
            state: State::Text,
            stack: Vec::new(),
            floor: 0,
            serial: 0,
            area,
            reading,
        }
    }

    /// Records a finding and goes on.
    pub(crate) fn complain(
        &mut self,
        at: usize,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let found = Found {
            at,
            message: message.into(),
            hint: hint.into(),
        };
        if !self.found.contains(&found) {
            self.found.push(found);
        }
    }

    /// Records a finding after which nothing that follows can be read.
    pub(crate) fn stop<T>(
        &mut self,
        at: usize,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Scanned<T> {
        self.complain(at, message, hint);
        Err(Stop)
    }

    /// Reads a run of literal text that begins at byte `base` of the source.
    pub(crate) fn literal(&mut self, raw: &str, base: usize) -> Scanned<()> {
        let mut rest = raw;
        while !rest.is_empty() {
            let at = base + raw.len() - rest.len();
            rest = match std::mem::replace(&mut self.state, State::Text) {
                State::Text => self.text(rest, at)?,
                State::Raw => self.raw(rest, at)?,
                State::Tag(tag) => self.tag(tag, rest, at)?,
                State::Value(tag, attribute) => self.value(tag, attribute, rest, at)?,
            };
        }
        Ok(())
    }

    /// What an expression at byte `at` may be.
    pub(crate) fn expression(&mut self, at: usize) -> Scanned<Place> {
        match &mut self.state {
            State::Text => Ok(Place::Text),
            State::Raw => Ok(Place::Piped(Pipe::Filter("__attr"))),
            State::Tag(_) => self.stop(
                at,
                "an expression in the name of an element or attribute, or an unquoted value",
                "put it into a quoted value: `title=\"{{ … }}\"`; for optional attributes write `{% if … %}attribute{% endif %}`",
            ),
            State::Value(_, attribute) => match attribute.value.expression(attribute.rule, self.area) {
                Ok((pipe, verdict)) => {
                    let from = attribute.value_from;
                    self.lead(from, verdict);
                    Ok(Place::Piped(pipe))
                }
                Err((message, hint)) => {
                    self.complain(at, message, hint);
                    Ok(Place::Piped(Pipe::Filter("__attr")))
                }
            },
        }
    }

    /// Makes sure that a statement may stand at byte `at`.
    pub(crate) fn statement(&mut self, at: usize, wants: Wants) -> Scanned<()> {
        match &mut self.state {
            State::Text => Ok(()),
            State::Raw if wants != Wants::Text => Ok(()),
            State::Tag(_) if wants == Wants::Branch => Ok(()),
            State::Value(_, attribute) if wants != Wants::Text => {
                match attribute
                    .value
                    .statement(attribute.rule, wants == Wants::Loop, self.area)
                {
                    Ok(verdict) => {
                        let from = attribute.value_from;
                        self.lead(from, verdict);
                        Ok(())
                    }
                    Err((message, hint)) => self.stop(at, message, hint),
                }
            }
            _ => self.stop(
                at,
                "this statement inside a tag",
                "put it between elements; inside a tag only `{% if %}` is taken",
            ),
        }
    }

    fn lead(&mut self, value_from: usize, verdict: Option<Verdict>) {
        match verdict {
            Some(Verdict::Mount(n)) => self.out.replace(value_from, n, "{{ __mount }}"),
            Some(Verdict::KeepExternal) => {
                if let State::Value(tag, _) = &mut self.state {
                    tag.external = true;
                }
            }
            _ => {}
        }
    }

    /// What kind of place this is.
    pub(crate) fn place(&self) -> PlaceKind {
        if self.state == State::Text {
            PlaceKind::Text
        } else {
            PlaceKind::Other
        }
    }

    /// Refuses names of the portal.
    pub(crate) fn complain_name(&mut self, at: usize, name: &str) {
        if name.starts_with("__") {
            self.complain(
                at,
                format!("the name `{name}`"),
                "names that begin with `__` are the portal's",
            );
        }
    }

    /// The place before a branch.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            state: self.state.clone(),
            stack: self.stack.clone(),
            floor: self.floor,
        }
    }

    /// Begins a branch: elements that are open now must not be closed in it.
    pub(crate) fn enter(&mut self) {
        self.floor = self.stack.len();
    }

    /// Goes back to `mark`, for another branch.
    pub(crate) fn restore(&mut self, mark: &Mark) {
        self.state = mark.state.clone();
        self.stack.clone_from(&mark.stack);
        self.floor = mark.floor;
    }

    /// Makes sure that a branch that began at `start` has closed, at `end`, what it opened.
    pub(crate) fn closed(&mut self, end: &Mark, start: &Mark) -> Scanned<()> {
        match end.stack.get(start.stack.len()).cloned() {
            Some(open) => self.stop(
                open.at,
                format!("<{}> is opened in one branch of a statement and closed elsewhere", open.name),
                "open and close an element in the same branch; for attributes put `{% if %}` inside the tag",
            ),
            None => Ok(()),
        }
    }

    /// Ends a branch that began at `start` and lets it meet the way that ended at `other`.
    pub(crate) fn meet(&mut self, at: usize, start: &Mark, other: &Mark) -> Scanned<()> {
        let end = self.mark();
        self.closed(&end, start)?;
        self.floor = start.floor;
        let joined = match (&self.state, &other.state) {
            (State::Text, State::Text) => Some(State::Text),
            (State::Raw, State::Raw) => Some(State::Raw),
            (State::Tag(a), State::Tag(b)) if a.serial == b.serial => Some(State::Tag(a.join(b))),
            (State::Value(a, x), State::Value(b, y)) if a.serial == b.serial && x.at == y.at => x
                .value
                .join(&y.value)
                .map(|value| State::Value(a.join(b), Attribute { value, ..x.clone() })),
            _ => None,
        };
        let stacks = self.stack == other.stack;
        match joined {
            Some(state) if stacks => {
                self.state = state;
                Ok(())
            }
            _ => self.stop(
                at,
                "the branches of this statement end in different places of the HTML",
                "let every branch begin and end in the same element, tag or value",
            ),
        }
    }

    /// Begins text that is written elsewhere (a macro, a capture): a fragment of its own.
    pub(crate) fn begin_fragment(&mut self) -> Mark {
        let mark = self.mark();
        self.state = State::Text;
        self.stack.clear();
        self.floor = 0;
        mark
    }

    /// Ends it.
    pub(crate) fn end_fragment(&mut self, at: usize, mark: Mark) -> Scanned<()> {
        self.finish(at)?;
        self.restore(&mark);
        Ok(())
    }

    /// The text is over: everything must be closed.
    pub(crate) fn finish(&mut self, at: usize) -> Scanned<()> {
        match &self.state {
            State::Text => {}
            State::Raw => {}
            State::Tag(tag) => {
                let (at, name) = (tag.at, tag.name);
                return self.stop(at, format!("the tag <{name} is not finished"), "write `>`");
            }
            State::Value(_, attribute) => {
                let (at, name) = (attribute.at, attribute.name.clone());
                return self.stop(
                    at,
                    format!("the value of `{name}` is not finished"),
                    "write the closing quote",
                );
            }
        }
        if let Some(open) = self.stack.last().cloned() {
            let _ = at;
            return self.stop(
                open.at,
                format!("<{}> is not closed", open.name),
                format!("write </{}>", open.name),
            );
        }
        Ok(())
    }

    /// Marks the current tag as one that leads out of the portal.
    pub(crate) fn leads_out(&mut self) {
        if let State::Value(tag, _) = &mut self.state {
            tag.external = true;
        }
    }
}

impl Tag {
    fn join(&self, other: &Self) -> Self {
        Self {
            space: self.space && other.space,
            htmx: self.htmx || other.htmx,
            external: self.external || other.external,
            ..self.clone()
        }
    }
}
