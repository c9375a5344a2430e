//! Writes expressions back as source, with every operation that could make much out of little replaced by
//! a metered function, and everything that is not known refused.

use std::collections::BTreeSet;

use minijinja::machinery::ast::{BinOpKind, CallArg, CompareOpKind, Expr, UnaryOpKind};

use crate::engine::{FILTERS, FUNCTIONS, TESTS};

/// A finding: byte offset, message, hint.
pub(crate) type Complaint = (usize, String, String);

/// Writes expressions.
pub(crate) struct Printer<'a> {
    /// Names that the template itself gives (variables, macros, parameters).
    pub(crate) names: &'a BTreeSet<String>,
    pub(crate) found: Vec<Complaint>,
    /// English texts that are shown through `t`.
    pub(crate) texts: Vec<String>,
}

impl Printer<'_> {
    /// `expr` as source; fully parenthesised.
    pub(crate) fn expr(&mut self, expr: &Expr<'_>) -> String {
        let mut out = String::new();
        self.write(expr, &mut out);
        out
    }

    /// A filter chain without its value, as `{% filter %}` has it.
    pub(crate) fn chain(&mut self, filter: &Expr<'_>) -> String {
        let mut out = String::new();
        if let Expr::Filter(f) = filter {
            if let Some(inner) = &f.expr {
                out = self.chain(inner);
                out.push('|');
            }
            self.filter_name(f.name, filter);
            out.push_str(f.name);
            self.args(&f.args, &mut out);
        }
        out
    }

    /// A name, or names, that are assigned to.
    pub(crate) fn target(&mut self, expr: &Expr<'_>) -> String {
        match expr {
            Expr::Var(v) => {
                self.name(v.id, expr);
                v.id.to_owned()
            }
            Expr::GetAttr(g) => format!("{}.{}", self.target(&g.expr), g.name),
            Expr::List(l) => {
                let items: Vec<_> = l.items.iter().map(|i| self.target(i)).collect();
                format!("({},)", items.join(", "))
            }
            other => self.expr(other),
        }
    }

    /// Arguments in parentheses.
    pub(crate) fn args(&mut self, args: &[CallArg<'_>], out: &mut String) {
        out.push('(');
        for (i, arg) in args.iter().enumerate() {
            if i > 0 {
                out.push_str(", ");
            }
            match arg {
                CallArg::Pos(e) => self.write(e, out),
                CallArg::Kwarg(name, e) => {
                    self.name(name, e);
                    out.push_str(name);
                    out.push('=');
                    self.write(e, out);
                }
                CallArg::PosSplat(e) => {
                    out.push('*');
                    self.write(e, out);
                }
                CallArg::KwargSplat(e) => {
                    out.push_str("**");
                    self.write(e, out);
                }
            }
        }
        out.push(')');
    }

    fn complain(&mut self, expr: &Expr<'_>, message: String, hint: impl Into<String>) {
        self.found
            .push((expr.span().start_offset as usize, message, hint.into()));
    }

    fn name(&mut self, name: &str, expr: &Expr<'_>) {
        if name.starts_with("__") {
            self.complain(
                expr,
                format!("the name `{name}`"),
                "names that begin with `__` are the portal's",
            );
        }
    }

    fn filter_name(&mut self, name: &str, expr: &Expr<'_>) {
        if name == "safe" {
            self.complain(
                expr,
                "the filter `safe`".into(),
                "values are always escaped; write the HTML into a template or macro",
            );
        } else if !FILTERS.contains(&name) {
            self.complain(
                expr,
                format!("there is no filter `{name}`"),
                nearest(name, FILTERS),
            );
        }
    }

    fn list<'e>(&mut self, items: impl IntoIterator<Item = &'e Expr<'e>>, out: &mut String) {
        for item in items {
            self.write(item, out);
            out.push_str(", ");
        }
    }

    fn write(&mut self, expr: &Expr<'_>, out: &mut String) {
        match expr {
            Expr::Var(v) => {
                self.name(v.id, expr);
                out.push_str(v.id);
            }
            Expr::Const(c) => self.constant(expr, &c.value, out),
            Expr::Slice(s) => {
                self.operand(&s.expr, out);
                out.push('[');
                for (i, part) in [&s.start, &s.stop, &s.step].into_iter().enumerate() {
                    if i > 0 {
                        out.push(':');
                    }
                    if let Some(part) = part {
                        self.operand(part, out);
                    }
                }
                out.push(']');
            }
            Expr::UnaryOp(u) => {
                out.push_str(match u.op {
                    UnaryOpKind::Not => "(not ",
                    UnaryOpKind::Neg => "(-",
                });
                self.operand(&u.expr, out);
                out.push(')');
            }
            Expr::BinOp(b) => {
                let operator = match b.op {
                    BinOpKind::Add => return self.metered("__add", &b.left, &b.right, out),
                    BinOpKind::Mul => return self.metered("__mul", &b.left, &b.right, out),
                    BinOpKind::Concat => return self.metered("__cat", &b.left, &b.right, out),
                    BinOpKind::In => return self.metered("__in", &b.left, &b.right, out),
                    BinOpKind::Eq => "==",
                    BinOpKind::Ne => "!=",
                    BinOpKind::Lt => "<",
                    BinOpKind::Lte => "<=",
                    BinOpKind::Gt => ">",
                    BinOpKind::Gte => ">=",
                    BinOpKind::ScAnd => "and",
                    BinOpKind::ScOr => "or",
                    BinOpKind::Sub => "-",
                    BinOpKind::Div => "/",
                    BinOpKind::FloorDiv => "//",
                    BinOpKind::Rem => "%",
                    BinOpKind::Pow => "**",
                };
                out.push('(');
                self.operand(&b.left, out);
                out.push(' ');
                out.push_str(operator);
                out.push(' ');
                self.operand(&b.right, out);
                out.push(')');
            }
            Expr::Compare(c) => {
                out.push('(');
                self.operand(&c.expr, out);
                for op in &c.ops {
                    out.push_str(match op.op {
                        CompareOpKind::Eq => " == ",
                        CompareOpKind::Ne => " != ",
                        CompareOpKind::Lt => " < ",
                        CompareOpKind::Lte => " <= ",
                        CompareOpKind::Gt => " > ",
                        CompareOpKind::Gte => " >= ",
                        CompareOpKind::In => " in ",
                        CompareOpKind::NotIn => " not in ",
                    });
                    self.operand(&op.expr, out);
                }
                out.push(')');
            }
            Expr::IfExpr(i) => {
                out.push('(');
                self.operand(&i.true_expr, out);
                out.push_str(" if ");
                self.operand(&i.test_expr, out);
                if let Some(other) = &i.false_expr {
                    out.push_str(" else ");
                    self.operand(other, out);
                }
                out.push(')');
            }
            Expr::Filter(f) => {
                self.filter_name(f.name, expr);
                if let Some(inner) = &f.expr {
                    self.operand(inner, out);
                    out.push('|');
                }
                out.push_str(f.name);
                self.args(&f.args, out);
            }
            Expr::Test(t) => {
                if !TESTS.contains(&t.name) {
                    self.complain(
                        expr,
                        format!("there is no test `{}`", t.name),
                        nearest(t.name, TESTS),
                    );
                }
                out.push('(');
                self.operand(&t.expr, out);
                out.push_str(" is ");
                out.push_str(t.name);
                if !t.args.is_empty() {
                    self.args(&t.args, out);
                }
                out.push(')');
            }
            Expr::GetAttr(g) => {
                self.operand(&g.expr, out);
                out.push('.');
                out.push_str(g.name);
            }
            Expr::GetItem(g) => {
                self.operand(&g.expr, out);
                out.push('[');
                self.write(&g.subscript_expr, out);
                out.push(']');
            }
            Expr::Call(c) => {
                match &c.expr {
                    Expr::Var(v) => {
                        self.name(v.id, expr);
                        if !FUNCTIONS.contains(&v.id) && !self.names.contains(v.id) {
                            self.complain(
                                expr,
                                format!("there is no function `{}`", v.id),
                                nearest(v.id, FUNCTIONS),
                            );
                        }
                        if v.id == "t" {
                            self.text(expr, &c.args);
                        }
                        out.push_str(v.id);
                    }
                    other => self.operand(other, out),
                }
                self.args(&c.args, out);
            }
            Expr::List(l) => {
                out.push('[');
                self.list(&l.items, out);
                out.push(']');
            }
            Expr::Tuple(t) => {
                out.push('(');
                self.list(&t.items, out);
                out.push(')');
            }
            Expr::Map(m) => {
                out.push_str("{ ");
                for (key, value) in m.keys.iter().zip(&m.values) {
                    self.write(key, out);
                    out.push_str(": ");
                    self.write(value, out);
                    out.push_str(", ");
                }
                out.push_str(" }");
            }
        }
    }

    /// Remembers the text of `t("…")`. It must stand there as it is, so that translators find it.
    fn text(&mut self, expr: &Expr<'_>, args: &[CallArg<'_>]) {
        let literal = match args.first() {
            Some(CallArg::Pos(Expr::Const(c))) => c.value.as_str().map(str::to_owned),
            _ => None,
        };
        match literal.filter(|text| !text.trim().is_empty()) {
            Some(text) => self.texts.push(text),
            None => self.complain(
                expr,
                "`t` without its text".into(),
                "write the English text itself: t(\"Hello {name}\", name=user.name)",
            ),
        }
    }

    /// An expression that something else applies to.
    fn operand(&mut self, expr: &Expr<'_>, out: &mut String) {
        match expr {
            Expr::Var(_) => self.write(expr, out),
            _ => {
                out.push('(');
                self.write(expr, out);
                out.push(')');
            }
        }
    }

    fn metered(&mut self, function: &str, left: &Expr<'_>, right: &Expr<'_>, out: &mut String) {
        out.push_str(function);
        out.push('(');
        self.write(left, out);
        out.push_str(", ");
        self.write(right, out);
        out.push(')');
    }

    fn constant(&mut self, expr: &Expr<'_>, value: &minijinja::Value, out: &mut String) {
        if let Some(text) = value.as_str() {
            out.push_str(&quoted(text));
        } else if value.is_none() {
            out.push_str("none");
        } else {
            let text = value.to_string();
            if text.contains(['i', 'N', 'n']) {
                self.complain(
                    expr,
                    "a number out of range".into(),
                    "write a smaller number",
                );
            }
            out.push_str(&text);
        }
    }
}

/// A string literal.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn nearest(name: &str, known: &[&str]) -> String {
    let distance = |a: &str, b: &str| {
        let b: Vec<char> = b.chars().collect();
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, ca) in a.chars().enumerate() {
            let mut diagonal = row[0];
            row[0] = i + 1;
            for (j, cb) in b.iter().enumerate() {
                let cost = diagonal + usize::from(ca != *cb);
                diagonal = row[j + 1];
                row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
            }
        }
        row[b.len()]
    };
    let best = known
        .iter()
        .filter(|k| !k.starts_with("__"))
        .min_by_key(|k| distance(name, k));
    match best {
        Some(best) if distance(name, best) <= 2 => format!("did you mean `{best}`?"),
        _ => format!(
            "there are {}",
            known
                .iter()
                .filter(|k| !k.starts_with("__"))
                .copied()
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}
