//! Functions of templates, and the metered forms of operators.

use minijinja::{
    Environment, Error, ErrorKind, Value,
    value::{Kwargs, Rest},
};

use crate::{
    engine::{
        meter::{charge, charge_string, current},
        text::to_text,
    },
    link, locales,
};

/// Adds them.
pub(crate) fn install(env: &mut Environment<'static>) {
    env.add_function("range", |args: Rest<Value>| -> Result<Value, Error> {
        let whole = |v: &Value| {
            v.as_i64().ok_or_else(|| {
                Error::new(ErrorKind::InvalidOperation, "range() takes whole numbers")
            })
        };
        let (start, stop, step) = match args.0.as_slice() {
            [stop] => (0, whole(stop)?, 1),
            [start, stop] => (whole(start)?, whole(stop)?, 1),
            [start, stop, step] => (whole(start)?, whole(stop)?, whole(step)?),
            _ => {
                return Err(Error::new(
                    ErrorKind::InvalidOperation,
                    "range() takes one to three numbers",
                ));
            }
        };
        let length = match step {
            0 => {
                return Err(Error::new(
                    ErrorKind::InvalidOperation,
                    "range() cannot step by 0",
                ));
            }
            s if s > 0 => {
                (i128::from(stop) - i128::from(start) + i128::from(s) - 1) / i128::from(s)
            }
            s => (i128::from(start) - i128::from(stop) - i128::from(s) - 1) / -i128::from(s),
        };
        if length > 10_000 {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "range() gives at most 10000 numbers",
            ));
        }
        let length = usize::try_from(length).unwrap_or(0);
        charge(length * 32)?;
        Ok(Value::from(
            (0..length)
                .map(|i| Value::from(start + i as i64 * step))
                .collect::<Vec<_>>(),
        ))
    });
    env.add_global("dict", Value::from_function(minijinja::functions::dict));
    env.add_global(
        "namespace",
        Value::from_function(minijinja::functions::namespace),
    );
    env.add_function("can", |permission: &str| -> bool {
        current(|r| portico_plan::can(&r.identity.permissions, permission)).unwrap_or(false)
    });
    for name in ["url", "__url"] {
        env.add_function(name, |path: Value| -> Result<String, Error> {
            let path = to_text(&path)?;
            charge_string(path.len() * 3)?;
            Ok(current(|r| link::own(&r.package.mount, &path)).unwrap_or_default())
        });
    }
    for name in ["asset", "__asset"] {
        env.add_function(name, |file: Value| -> Result<String, Error> {
            let file = to_text(&file)?;
            charge_string(file.len() * 3)?;
            Ok(current(|r| link::asset(&r.package.digest, &file)).unwrap_or_default())
        });
    }
    for name in ["image", "__image"] {
        env.add_function(name, |target: Value| -> Result<String, Error> {
            let target = to_text(&target)?;
            charge_string(target.len() * 3)?;
            Ok(link::image(&target))
        });
    }
    for name in ["link", "__link"] {
        env.add_function(name, |target: Value| -> Result<String, Error> {
            let target = to_text(&target)?;
            charge_string(target.len() * 3)?;
            Ok(link::anywhere(&target))
        });
    }

    env.add_function("t", translated);

    env.add_function("__m", |bytes: usize| -> Result<&'static str, Error> {
        charge(bytes).map(|()| "")
    });
    env.add_function("__t", || -> Result<&'static str, Error> {
        charge(0).map(|()| "")
    });
    env.add_function("__cat", |a: Value, b: Value| -> Result<String, Error> {
        let (a, b) = (to_text(&a)?, to_text(&b)?);
        charge_string(a.len() + b.len())?;
        Ok(format!("{a}{b}"))
    });
    env.add_function("__add", add);
    env.add_function("__mul", mul);
    env.add_function("__in", contains);
}

/// `t("Hello {name}", name=…)`: the package's own translation, else the English text.
fn translated(english: &str, values: Kwargs) -> Result<String, Error> {
    let mut stopped = None;
    let number = values
        .peek::<Value>("n")
        .ok()
        .and_then(|n| f64::try_from(n).ok());
    let (language, words) = current(|r| (r.language, r.words.clone())).unwrap_or_default();
    let text = locales::say(words.as_deref(), language, english, number);
    let filled = locales::fill(text, |name| {
        let value = values.get::<Value>(name).ok()?;
        let value = to_text(&value).and_then(|text| {
            charge(text.len())?;
            Ok(text.into_owned())
        });
        value.map_err(|error| stopped = Some(error)).ok()
    });
    let filled = filled.map_err(|name| {
        let missing = || {
            let message = format!("t() got no value for `{{{name}}}`");
            Error::new(ErrorKind::MissingArgument, message)
        };
        stopped.unwrap_or_else(missing)
    })?;
    if number.is_some() {
        let _chose: Value = values.get("n")?;
    }
    values.assert_all_used()?;
    charge_string(filled.len())?;
    Ok(language.mirror(filled))
}

fn wrong(operator: &str, a: &Value, b: &Value) -> Error {
    Error::new(
        ErrorKind::InvalidOperation,
        format!("{operator} cannot be used on {} and {}", a.kind(), b.kind()),
    )
}

fn number(
    a: &Value,
    b: &Value,
    whole: fn(i128, i128) -> Option<i128>,
    real: fn(f64, f64) -> f64,
) -> Option<Value> {
    if !a.is_number() || !b.is_number() {
        return None;
    }
    if a.is_integer() && b.is_integer() {
        let (x, y) = (
            i128::try_from(a.clone()).ok()?,
            i128::try_from(b.clone()).ok()?,
        );
        let sum = whole(x, y)?;
        return Some(i64::try_from(sum).map_or_else(|_| Value::from(sum), Value::from));
    }
    Some(Value::from(real(
        f64::try_from(a.clone()).ok()?,
        f64::try_from(b.clone()).ok()?,
    )))
}

fn add(a: Value, b: Value) -> Result<Value, Error> {
    if let Some(sum) = number(&a, &b, i128::checked_add, |x, y| x + y) {
        return Ok(sum);
    }
    if let (Some(x), Some(y)) = (a.as_str(), b.as_str()) {
        charge_string(x.len() + y.len())?;
        return Ok(Value::from(format!("{x}{y}")));
    }
    let list = |v: &Value| {
        matches!(
            v.kind(),
            minijinja::value::ValueKind::Seq | minijinja::value::ValueKind::Iterable
        )
    };
    if list(&a) && list(&b) {
        let mut all = Vec::new();
        for item in a.try_iter()?.chain(b.try_iter()?) {
            charge(32)?;
            all.push(item);
        }
        return Ok(Value::from(all));
    }
    Err(wrong("+", &a, &b))
}

fn mul(a: Value, b: Value) -> Result<Value, Error> {
    if let Some(product) = number(&a, &b, i128::checked_mul, |x, y| x * y) {
        return Ok(product);
    }
    let (text, times) = match (a.as_str(), b.as_str()) {
        (Some(text), None) => (text, b.as_usize()),
        (None, Some(text)) => (text, a.as_usize()),
        _ => return Err(wrong("*", &a, &b)),
    };
    let times = times.ok_or_else(|| wrong("*", &a, &b))?;
    charge_string(text.len().saturating_mul(times))?;
    Ok(Value::from(text.repeat(times)))
}

fn contains(item: Value, container: Value) -> Result<bool, Error> {
    use minijinja::value::ValueKind;
    charge(0)?;
    if let Some(text) = container.as_str() {
        return Ok(item.as_str().is_some_and(|i| text.contains(i)));
    }
    match container.kind() {
        ValueKind::Undefined | ValueKind::None => Ok(false),
        ValueKind::Map => Ok(container.get_item(&item).is_ok_and(|v| !v.is_undefined())),
        ValueKind::Seq | ValueKind::Iterable => Ok(container.try_iter()?.any(|v| v == item)),
        _ => Err(wrong("in", &item, &container)),
    }
}
