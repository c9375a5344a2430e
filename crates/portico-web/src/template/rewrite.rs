//! Walks a parsed template: literal text goes through the scanner, template tags through the printer.

use std::collections::BTreeSet;

use minijinja::machinery::{
    Span,
    ast::{Expr, Macro, Spanned, Stmt},
    parse,
};

use crate::template::{
    print::{Complaint, Printer, quoted},
    scan::{Found, Place, PlaceKind, Reading, Scanner, Stop, Wants},
    value::{Area, Pipe},
};

/// Literal runs longer than this are charged to the meter, since captures would otherwise hold as many
/// copies of them as fuel allows.
const FREE_LITERAL: usize = 64;

/// A checked and rewritten template.
#[derive(Clone, Debug)]
pub(crate) struct Rewritten {
    /// Source for the engine.
    pub(crate) source: String,
    /// Templates that it names literally: name and byte offset.
    pub(crate) uses: Vec<(String, usize)>,
    /// English texts that it shows through `t`.
    pub(crate) texts: Vec<String>,
}

/// Checks `source` and rewrites it; findings carry byte offsets.
pub(crate) fn rewrite(file: &str, source: &str, area: &Area) -> Result<Rewritten, Vec<Found>> {
    // Columns and lines of the engine's spans have 16 bits.
    if source.len() > 256 * 1024
        || source.lines().count() > 20_000
        || source.lines().any(|l| l.len() > 60_000)
    {
        return Err(vec![Found {
            at: 0,
            message: "a template of more than 256 KiB, 20,000 lines or 60,000 bytes in a line"
                .into(),
            hint: "split it with `{% include %}`".into(),
        }]);
    }
    let ast = parse(source, file, minijinja::syntax::SyntaxConfig::default()).map_err(|e| {
        vec![Found {
            at: e.line().map_or(0, |line| offset_of_line(source, line)),
            message: e
                .detail()
                .map_or_else(|| e.kind().to_string(), str::to_owned),
            hint: "see the template syntax in the package guide".into(),
        }]
    })?;
    let Stmt::Template(template) = &ast else {
        return Err(vec![Found {
            at: 0,
            message: "not a template".into(),
            hint: String::new(),
        }]);
    };
    let mut names: BTreeSet<String> = ["loop", "super", "caller"].map(str::to_owned).into();
    assigned(&template.children, &mut names);
    let mut walk = Walk {
        source,
        names: &names,
        scanner: Scanner::new(area, Reading::Template),
        uses: Vec::new(),
        texts: Vec::new(),
    };
    let done = walk
        .body(&template.children)
        .and_then(|()| walk.scanner.finish(source.len()));
    let Walk {
        scanner,
        uses,
        texts,
        ..
    } = walk;
    if done.is_err() || !scanner.found.is_empty() {
        let mut found = scanner.found;
        found.sort_by_key(|f| f.at);
        return Err(found);
    }
    Ok(Rewritten {
        source: scanner.out.into_text(),
        uses,
        texts,
    })
}

fn offset_of_line(source: &str, line: usize) -> usize {
    source
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum()
}

struct Walk<'a> {
    source: &'a str,
    names: &'a BTreeSet<String>,
    scanner: Scanner<'a>,
    uses: Vec<(String, usize)>,
    texts: Vec<String>,
}

type Walked = Result<(), Stop>;

impl Walk<'_> {
    fn body(&mut self, statements: &[Stmt<'_>]) -> Walked {
        statements.iter().try_for_each(|s| self.statement(s))
    }

    fn print<T>(&mut self, f: impl FnOnce(&mut Printer<'_>) -> T) -> T {
        let mut printer = Printer {
            names: self.names,
            found: Vec::new(),
            texts: Vec::new(),
        };
        let out = f(&mut printer);
        self.texts.append(&mut printer.texts);
        let found: Vec<Complaint> = printer.found;
        for (at, message, hint) in found {
            self.scanner.complain(at, message, hint);
        }
        out
    }

    fn expr(&mut self, expr: &Expr<'_>) -> String {
        self.print(|p| p.expr(expr))
    }

    fn code(&mut self, span: Span, code: &str) {
        self.scanner
            .out
            .tag("{%", usize::from(span.start_line), code, "%}");
    }

    fn end(&mut self, code: &str) {
        self.scanner.out.tag("{%", 0, code, "%}");
    }

    fn statement(&mut self, statement: &Stmt<'_>) -> Walked {
        match statement {
            Stmt::Template(t) => self.body(&t.children),
            Stmt::EmitRaw(raw) => {
                let at = (raw.raw.as_ptr() as usize).saturating_sub(self.source.as_ptr() as usize);
                if raw.raw.len() > FREE_LITERAL && self.scanner.place() == PlaceKind::Text {
                    self.scanner
                        .out
                        .code(&format!("{{{{ __m({}) }}}}", raw.raw.len()));
                }
                self.scanner.literal(raw.raw, at)
            }
            Stmt::EmitExpr(emit) => self.emit(emit.span(), &emit.expr),
            Stmt::IfCond(cond) => {
                let at = offset(cond.span());
                self.scanner.statement(at, Wants::Branch)?;
                let test = self.expr(&cond.expr);
                self.code(cond.span(), &format!("if {test}"));
                let start = self.scanner.mark();
                self.scanner.enter();
                self.body(&cond.true_body)?;
                let first = self.scanner.mark();
                self.scanner.closed(&first, &start)?;
                self.scanner.restore(&start);
                if !cond.false_body.is_empty() {
                    self.end("else");
                    self.scanner.enter();
                    self.body(&cond.false_body)?;
                }
                self.scanner.meet(at, &start, &first)?;
                self.end("endif");
                Ok(())
            }
            Stmt::ForLoop(each) => {
                let at = offset(each.span());
                self.scanner.statement(at, Wants::Loop)?;
                let target = self.print(|p| p.target(&each.target));
                let iter = self.expr(&each.iter);
                let mut head = format!("for {target} in ({iter})");
                if let Some(filter) = &each.filter_expr {
                    head.push_str(&format!(" if ({})", self.expr(filter)));
                }
                if each.recursive {
                    head.push_str(" recursive");
                }
                self.code(each.span(), &head);
                let start = self.scanner.mark();
                for (n, body) in [&each.body, &each.else_body].into_iter().enumerate() {
                    if n == 1 {
                        if body.is_empty() {
                            break;
                        }
                        self.end("else");
                    } else if !body.iter().any(|s| matches!(s, Stmt::EmitExpr(_))) {
                        // Whatever is written looks at the clock; a loop that writes nothing must too.
                        self.scanner.out.code("{{ __t() }}");
                    }
                    self.scanner.enter();
                    self.body(body)?;
                    self.scanner.meet(at, &start, &start)?;
                }
                self.end("endfor");
                Ok(())
            }
            Stmt::WithBlock(with) => {
                self.scanner.statement(offset(with.span()), Wants::Text)?;
                let mut pairs = Vec::new();
                for (target, value) in &with.assignments {
                    pairs.push(format!(
                        "{} = {}",
                        self.print(|p| p.target(target)),
                        self.expr(value)
                    ));
                }
                self.code(with.span(), &format!("with {}", pairs.join(", ")));
                let start = self.scanner.mark();
                self.scanner.enter();
                self.body(&with.body)?;
                self.scanner.meet(offset(with.span()), &start, &start)?;
                self.end("endwith");
                Ok(())
            }
            Stmt::Set(set) => {
                self.scanner.statement(offset(set.span()), Wants::Text)?;
                let (target, value) = (self.print(|p| p.target(&set.target)), self.expr(&set.expr));
                self.code(set.span(), &format!("set {target} = {value}"));
                Ok(())
            }
            Stmt::SetBlock(set) => {
                let target = self.print(|p| p.target(&set.target));
                let filter = match &set.filter {
                    Some(filter) => format!(" | {}", self.print(|p| p.chain(filter))),
                    None => String::new(),
                };
                self.fragment(
                    set.span(),
                    &format!("set {target}{filter}"),
                    &set.body,
                    "endset",
                )
            }
            Stmt::FilterBlock(block) => {
                let chain = self.print(|p| p.chain(&block.filter));
                self.fragment(
                    block.span(),
                    &format!("filter {chain}"),
                    &block.body,
                    "endfilter",
                )
            }
            Stmt::Block(block) => {
                self.scanner.complain_name(offset(block.span()), block.name);
                let required = if block.required { " required" } else { "" };
                self.fragment(
                    block.span(),
                    &format!("block {}{required}", block.name),
                    &block.body,
                    "endblock",
                )
            }
            Stmt::Macro(m) => {
                self.scanner.complain_name(offset(m.span()), m.name);
                let params = self.params(m);
                self.fragment(
                    m.span(),
                    &format!("macro {}{params}", m.name),
                    &m.body,
                    "endmacro",
                )
            }
            Stmt::CallBlock(call) => {
                let params = if call.macro_decl.args.is_empty() {
                    String::new()
                } else {
                    self.params(&call.macro_decl)
                };
                let target = self.print(|p| {
                    let mut out = p.expr(&call.call.expr);
                    p.args(&call.call.args, &mut out);
                    out
                });
                self.fragment(
                    call.span(),
                    &format!("call{params} {target}"),
                    &call.macro_decl.body,
                    "endcall",
                )
            }
            Stmt::Include(include) => {
                self.scanner
                    .statement(offset(include.span()), Wants::Text)?;
                let name = self.name_of_template(&include.name);
                let missing = if include.ignore_missing {
                    " ignore missing"
                } else {
                    ""
                };
                self.code(include.span(), &format!("include {name}{missing}"));
                Ok(())
            }
            Stmt::Extends(extends) => {
                self.scanner
                    .statement(offset(extends.span()), Wants::Text)?;
                let name = self.name_of_template(&extends.name);
                self.code(extends.span(), &format!("extends {name}"));
                Ok(())
            }
            Stmt::Import(import) => {
                self.scanner.statement(offset(import.span()), Wants::Text)?;
                let (from, name) = (
                    self.name_of_template(&import.expr),
                    self.print(|p| p.target(&import.name)),
                );
                self.code(import.span(), &format!("import {from} as {name}"));
                Ok(())
            }
            Stmt::FromImport(import) => {
                self.scanner.statement(offset(import.span()), Wants::Text)?;
                let from = self.name_of_template(&import.expr);
                let mut names = Vec::new();
                for (name, alias) in &import.names {
                    let name = self.print(|p| p.target(name));
                    names.push(match alias {
                        Some(alias) => format!("{name} as {}", self.print(|p| p.target(alias))),
                        None => name,
                    });
                }
                self.code(
                    import.span(),
                    &format!("from {from} import {}", names.join(", ")),
                );
                Ok(())
            }
            Stmt::Do(action) => {
                self.scanner.statement(offset(action.span()), Wants::Text)?;
                let call = self.print(|p| {
                    let mut out = p.expr(&action.call.expr);
                    p.args(&action.call.args, &mut out);
                    out
                });
                self.code(action.span(), &format!("do {call}"));
                Ok(())
            }
            Stmt::AutoEscape(block) => self.scanner.stop(
                offset(block.span()),
                "`{% autoescape %}`",
                "everything that a template writes is escaped; remove it",
            ),
        }
    }

    /// Text that is written elsewhere, or through a filter: a fragment of its own.
    fn fragment(&mut self, span: Span, head: &str, body: &[Stmt<'_>], tail: &str) -> Walked {
        let at = offset(span);
        self.scanner.statement(at, Wants::Text)?;
        self.code(span, head);
        let mark = self.scanner.begin_fragment();
        self.body(body)?;
        self.scanner.end_fragment(at, mark)?;
        self.end(tail);
        Ok(())
    }

    fn params(&mut self, m: &Spanned<Macro<'_>>) -> String {
        let plain = m.args.len() - m.defaults.len();
        let mut params = Vec::new();
        for (i, arg) in m.args.iter().enumerate() {
            let name = self.print(|p| p.target(arg));
            params.push(match i.checked_sub(plain).and_then(|d| m.defaults.get(d)) {
                Some(default) => format!("{name}={}", self.expr(default)),
                None => name,
            });
        }
        format!("({})", params.join(", "))
    }

    fn name_of_template(&mut self, expr: &Expr<'_>) -> String {
        if let Expr::Const(c) = expr
            && let Some(name) = c.value.as_str()
        {
            self.uses.push((name.to_owned(), offset(c.span())));
            return quoted(name);
        }
        self.expr(expr)
    }

    fn emit(&mut self, span: Span, expr: &Expr<'_>) -> Walked {
        let at = offset(span);
        let line = usize::from(span.start_line);
        match self.scanner.expression(at)? {
            Place::Text => {
                let code = self.expr(expr);
                self.scanner.out.tag("{{", line, &code, "}}");
            }
            Place::Piped(Pipe::Filter(filter)) => {
                let code = self.expr(expr);
                self.scanner
                    .out
                    .tag("{{", line, &format!("({code})|{filter}"), "}}");
            }
            Place::Piped(Pipe::Lead(functions)) => {
                let call = match expr {
                    Expr::Call(call) => match &call.expr {
                        Expr::Var(v) => {
                            let known = functions.iter().find(|(name, _)| *name == v.id);
                            known.map(|(_, written)| (*written, call))
                        }
                        _ => None,
                    },
                    _ => None,
                };
                let Some((function, call)) = call else {
                    let all: Vec<_> = functions.iter().map(|(f, _)| format!("`{f}(…)`")).collect();
                    self.scanner.complain(
                        at,
                        "an address that begins with an expression",
                        format!("write the beginning out, or begin with {}", all.join(", ")),
                    );
                    return Ok(());
                };
                if function == "__link" {
                    self.scanner.leads_out();
                }
                let mut code = function.to_owned();
                code.push_str(&self.print(|p| {
                    let mut out = String::new();
                    p.args(&call.args, &mut out);
                    out
                }));
                self.scanner
                    .out
                    .tag("{{", line, &format!("({code})|__attr"), "}}");
            }
        }
        Ok(())
    }
}

fn offset(span: Span) -> usize {
    span.start_offset as usize
}

/// Every name that the template gives to something.
fn assigned(statements: &[Stmt<'_>], names: &mut BTreeSet<String>) {
    for statement in statements {
        match statement {
            Stmt::Template(t) => assigned(&t.children, names),
            Stmt::ForLoop(f) => {
                target(&f.target, names);
                assigned(&f.body, names);
                assigned(&f.else_body, names);
            }
            Stmt::IfCond(i) => {
                assigned(&i.true_body, names);
                assigned(&i.false_body, names);
            }
            Stmt::WithBlock(w) => {
                w.assignments.iter().for_each(|(t, _)| target(t, names));
                assigned(&w.body, names);
            }
            Stmt::Set(s) => target(&s.target, names),
            Stmt::SetBlock(s) => {
                target(&s.target, names);
                assigned(&s.body, names);
            }
            Stmt::AutoEscape(a) => assigned(&a.body, names),
            Stmt::FilterBlock(f) => assigned(&f.body, names),
            Stmt::Block(b) => assigned(&b.body, names),
            Stmt::Import(i) => target(&i.name, names),
            Stmt::FromImport(i) => i
                .names
                .iter()
                .for_each(|(n, a)| target(a.as_ref().unwrap_or(n), names)),
            Stmt::Macro(m) => {
                names.insert(m.name.to_owned());
                m.args.iter().for_each(|a| target(a, names));
                assigned(&m.body, names);
            }
            Stmt::CallBlock(c) => {
                c.macro_decl.args.iter().for_each(|a| target(a, names));
                assigned(&c.macro_decl.body, names);
            }
            Stmt::EmitExpr(_)
            | Stmt::EmitRaw(_)
            | Stmt::Extends(_)
            | Stmt::Include(_)
            | Stmt::Do(_) => {}
        }
    }
}

fn target(expr: &Expr<'_>, names: &mut BTreeSet<String>) {
    match expr {
        Expr::Var(v) => {
            names.insert(v.id.to_owned());
        }
        Expr::List(l) => l.items.iter().for_each(|i| target(i, names)),
        _ => {}
    }
}
