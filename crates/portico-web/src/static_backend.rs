//! The back end of packages that bring templates and no code.

use std::{
    collections::HashMap,
    fmt::Debug,
    io,
    sync::{Arc, PoisonError, RwLock, Weak},
};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use minijinja::{
    Environment, ErrorKind, Value,
    value::{Enumerator, Object},
};
use portico_host::{
    Backend, BackendError, BackendFactory, Clock, OpContext, PageRequest, PageResponse,
    StagedPackage, SystemClock,
};
use portico_package::{
    Diagnostics,
    manifest::{Method, RuntimeKind},
};
use portico_plan::{access::Actor, snapshot::PackageView};

use crate::{
    data,
    engine::{self, Limits, Render, Spent},
    language::Language,
    locales::{Catalogue, Locales},
    static_check,
    styles::Styles,
};

/// Makes back ends of runtime `static`.
#[derive(Clone)]
pub struct StaticFactory {
    styles: Styles,
    clock: Arc<dyn Clock>,
    facts: Facts,
}

/// What templates see as `portal`, as it is now.
pub(crate) type Facts = Arc<ArcSwap<PortalFacts>>;

/// Name of the portal and who runs it.
#[derive(Debug, Default)]
pub(crate) struct PortalFacts {
    pub(crate) name: Value,
    pub(crate) company: Value,
}

impl StaticFactory {
    /// `styles` and `facts` are shared with the shell, so that it links the style of packages, and so that
    /// templates see a new name of the portal at once.
    pub(crate) fn new(styles: Styles, clock: Arc<dyn Clock>, facts: Facts) -> Self {
        Self {
            styles,
            clock,
            facts,
        }
    }

    /// The same with another clock.
    #[cfg(test)]
    pub(crate) fn at(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// What authors should know about a package that nothing keeps from serving.
    pub fn warnings(&self, package: &StagedPackage) -> Diagnostics {
        Diagnostics(static_check::check(package).map_or_else(|_| Vec::new(), |c| c.warnings))
    }
}

impl Default for StaticFactory {
    /// A factory beside no shell: for checks.
    fn default() -> Self {
        let facts = PortalFacts {
            name: Value::from("Portico"),
            company: Value::from(""),
        };
        let facts = Arc::new(ArcSwap::from_pointee(facts));
        Self::new(Styles::default(), Arc::new(SystemClock), facts)
    }
}

#[async_trait]
impl BackendFactory for StaticFactory {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Static
    }

    fn check(&self, package: &StagedPackage) -> Result<(), Diagnostics> {
        let checked = static_check::check(package)?;
        compile(&checked.templates, &Limits::default())
            .map(drop)
            .map_err(|(template, line, message)| {
                let file = format!("{}{template}", package.manifest.files.templates());
                let mut diagnostic = crate::template::diagnostic(
                    portico_package::Severity::Error,
                    "template-refused",
                    &file,
                    "",
                    0,
                    &message,
                    "",
                );
                diagnostic.line = line;
                Diagnostics(vec![diagnostic])
            })
    }

    async fn start(&self, package: &StagedPackage) -> Result<Arc<dyn Backend>, BackendError> {
        let limits = Limits::default();
        let checked =
            static_check::check(package).map_err(|d| BackendError::Failed(d.to_string()))?;
        let env = compile(&checked.templates, &limits).map_err(|(template, line, message)| {
            BackendError::Template {
                template,
                line,
                message,
            }
        })?;
        self.styles.learn(package);
        Ok(Arc::new(StaticBackend {
            env,
            limits,
            clock: Arc::clone(&self.clock),
            facts: Arc::clone(&self.facts),
            locales: checked.locales,
            prepared: RwLock::default(),
        }))
    }

    /// Renders every page that can be rendered without data and parameters.
    async fn probe(
        &self,
        backend: &Arc<dyn Backend>,
        package: &Arc<PackageView>,
    ) -> Result<(), BackendError> {
        let ctx = OpContext::system(
            portico_plan::TenantId::default_tenant(),
            "00000000000000000000000000000000",
            std::time::Duration::from_secs(5),
        );
        for page in package.manifest.effective_pages().iter() {
            if page.method != Method::Get || !page.data.is_empty() || page.path.contains('{') {
                continue;
            }
            let request = PageRequest {
                package: Arc::clone(package),
                page: Arc::new(page.clone()),
                params: Vec::new(),
                query: Vec::new(),
                nonce: Arc::from("probe"),
                data: Vec::new(),
                generation: package.generation,
            };
            backend.page(&ctx, request).await?;
        }
        Ok(())
    }
}

fn compile(
    templates: &crate::template::Templates,
    limits: &Limits,
) -> Result<Environment<'static>, (String, usize, String)> {
    let mut env = engine::environment(limits);
    for (name, source) in templates {
        env.add_template_owned(name.clone(), source.clone())
            .map_err(|e| {
                (
                    name.clone(),
                    e.line().unwrap_or(1),
                    e.detail()
                        .map_or_else(|| e.kind().to_string(), str::to_owned),
                )
            })?;
    }
    Ok(env)
}

/// One archive, compiled; shared by all tenants.
struct StaticBackend {
    env: Environment<'static>,
    limits: Limits,
    clock: Arc<dyn Clock>,
    facts: Facts,
    locales: Locales,
    /// What does not change from request to request, by installation.
    prepared: RwLock<HashMap<usize, Known>>,
}

/// An installation, so that its address is not mistaken for a later one's, and its values.
type Known = (Weak<PackageView>, Arc<Prepared>);

/// Values of one installation at one generation.
#[derive(Debug)]
struct Prepared {
    package: Value,
    config: Value,
    mount: Value,
}

impl StaticBackend {
    fn prepared(&self, package: &Arc<PackageView>) -> Arc<Prepared> {
        let key = Arc::as_ptr(package) as usize;
        let known = self.prepared.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((view, prepared)) = known.get(&key) {
            // The address may belong to a newer installation by now.
            if view.upgrade().is_some_and(|v| Arc::ptr_eq(&v, package)) {
                return Arc::clone(prepared);
            }
        }
        drop(known);
        let prepared = Arc::new(Prepared {
            package: Value::from_pairs([
                ("id", Value::from(package.id.as_str())),
                ("version", Value::from(package.version.to_string())),
                ("name", Value::from(package.name.as_str())),
                ("mount", Value::from(package.mount.as_ref())),
            ]),
            config: data::value(&package.config),
            mount: Value::from(package.mount.trim_end_matches('/')),
        });
        let mut known = self
            .prepared
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if known.len() >= 64 {
            known.retain(|_, (view, _)| view.strong_count() > 0);
        }
        known.insert(key, (Arc::downgrade(package), Arc::clone(&prepared)));
        prepared
    }

    fn render(&self, ctx: &OpContext, request: &PageRequest) -> Result<String, BackendError> {
        let template = self.env.get_template(&request.page.template).map_err(|_| {
            BackendError::Failed(format!(
                "the package has no template `{}`",
                request.page.template
            ))
        })?;
        let language = language_of(ctx);
        let facts = self.facts.load();
        let page = PageContext {
            prepared: self.prepared(&request.package),
            portal: (
                facts.name.clone(),
                facts.company.clone(),
                request.generation,
            ),
            language,
            tenant: ctx.tenant().to_string(),
            user: (
                ctx.identity.name.clone(),
                match &ctx.identity.actor {
                    Actor::User(id) | Actor::Token(id) => id.clone(),
                    other => other.label(),
                },
                ctx.identity.is_signed_in(),
            ),
            nonce: Arc::clone(&request.nonce),
            path: request.page.path.clone(),
            title: title(request, language),
            params: pairs(&request.params),
            query: pairs(&request.query),
            data: request
                .data
                .iter()
                .map(|(name, value)| (name.clone(), data::value(value)))
                .collect(),
        };
        let render = Render {
            package: Arc::clone(&request.package),
            identity: Arc::clone(&ctx.identity),
            language,
            words: self.words(language),
            limits: self.limits,
            memory_left: self.limits.memory,
            deadline: ctx.deadline,
            cancel: ctx.cancel.clone(),
            now_micros: self.clock.now(),
            spent: None,
            ticks: 0,
        };
        let mut out = Capped {
            bytes: Vec::with_capacity(4096),
            limit: self.limits.output,
            full: false,
        };
        let (done, left) = engine::with_render(render, || {
            template
                .render_captured_to(Value::from_object(page), &mut out)
                .map(drop)
        });
        match done {
            Ok(()) => String::from_utf8(out.bytes).map_err(|e| BackendError::Failed(e.to_string())),
            Err(error) => Err(self.explain(&error, left.and_then(|r| r.spent), out.full)),
        }
    }

    /// The package's texts in a language.
    fn words(&self, language: Language) -> Option<Arc<Catalogue>> {
        self.locales.get(language.tag()).cloned()
    }

    fn explain(&self, error: &minijinja::Error, spent: Option<Spent>, full: bool) -> BackendError {
        let template = error.name().unwrap_or("?").to_owned();
        let line = error.line().unwrap_or(1);
        match spent {
            Some(Spent::Time) => {
                return BackendError::Cancelled("the page took longer than it may");
            }
            Some(Spent::Cancelled) => return BackendError::Cancelled("the request was cancelled"),
            Some(Spent::Memory) => {
                return BackendError::Template {
                    template,
                    line,
                    message: format!(
                        "the values of the page take more than {} bytes",
                        self.limits.memory
                    ),
                };
            }
            None => {}
        }
        if full {
            return BackendError::Output {
                limit: self.limits.output,
            };
        }
        // An include or block wraps the error of what it includes.
        let mut kind = error.kind();
        let mut source = std::error::Error::source(error);
        let mut message = error
            .detail()
            .map_or_else(|| kind.to_string(), str::to_owned);
        let (mut template, mut line) = (template, line);
        while let Some(inner) = source.and_then(|s| s.downcast_ref::<minijinja::Error>()) {
            kind = inner.kind();
            message = inner
                .detail()
                .map_or_else(|| kind.to_string(), str::to_owned);
            if let (Some(name), Some(at)) = (inner.name(), inner.line()) {
                (template, line) = (name.to_owned(), at);
            }
            source = std::error::Error::source(inner);
        }
        if kind == ErrorKind::OutOfFuel {
            return BackendError::Fuel {
                limit: self.limits.fuel,
                detail: format!("{template}:{line}"),
            };
        }
        BackendError::Template {
            template,
            line,
            message,
        }
    }
}

#[async_trait]
impl Backend for StaticBackend {
    async fn page(
        &self,
        ctx: &OpContext,
        request: PageRequest,
    ) -> Result<PageResponse, BackendError> {
        let html = self.render(ctx, &request)?;
        let title = request
            .page
            .title
            .as_ref()
            .filter(|t| t.as_str().contains('{'))
            .map(|_| title(&request, language_of(ctx)));
        let intent = request.page.intent.map(|intent| {
            let fields = request
                .query
                .iter()
                .map(|(k, v)| (k.clone(), serde_json::Value::from(v.as_str())))
                .collect();
            (intent, serde_json::Value::Object(fields))
        });
        Ok(PageResponse {
            status: 200,
            html,
            title,
            intent,
        })
    }
}

/// The language that the portal chose for the person: the first.
fn language_of(ctx: &OpContext) -> Language {
    Language::choose(ctx.languages.get(..1).unwrap_or_default()).unwrap_or_default()
}

fn pairs(list: &[(String, String)]) -> Value {
    Value::from_pairs(
        list.iter()
            .map(|(k, v)| (k.clone(), Value::from(v.as_str()))),
    )
}

/// The page's title, its `{name.field}` placeholders filled from parameters and data.
fn title(request: &PageRequest, language: Language) -> String {
    let Some(title) = &request.page.title else {
        return request.package.name_in(language.tag()).to_owned();
    };
    fill(title.in_language(language.tag()), |name| {
        if let Some((_, value)) = request
            .params
            .iter()
            .chain(&request.query)
            .find(|(k, _)| k == name)
        {
            return Some(value.clone());
        }
        let mut parts = name.split('.');
        let first = parts.next()?;
        let (_, value) = request.data.iter().find(|(k, _)| k == first)?;
        let value = parts.try_fold(value, |v, part| v.get(part))?;
        match value {
            serde_json::Value::String(s) => Some(s.clone()),
            serde_json::Value::Number(n) => Some(n.to_string()),
            _ => None,
        }
    })
}

fn fill(text: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        match after.split_once('}') {
            Some((name, tail)) => {
                out.push_str(&value(name.trim()).unwrap_or_default());
                rest = tail;
            }
            None => {
                out.push('{');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// The variables of a template, made when they are asked for.
#[derive(Debug)]
struct PageContext {
    prepared: Arc<Prepared>,
    /// Name, company, generation.
    portal: (Value, Value, u64),
    language: Language,
    tenant: String,
    user: (String, String, bool),
    nonce: Arc<str>,
    path: String,
    title: String,
    params: Value,
    query: Value,
    data: Vec<(String, Value)>,
}

impl Object for PageContext {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        Some(match key {
            "__nonce" => Value::from(self.nonce.as_ref()),
            "__mount" => self.prepared.mount.clone(),
            "package" => self.prepared.package.clone(),
            "config" => self.prepared.config.clone(),
            "params" => self.params.clone(),
            "query" => self.query.clone(),
            "portal" => Value::from_pairs([
                ("name", self.portal.0.clone()),
                ("company", self.portal.1.clone()),
                ("generation", Value::from(self.portal.2)),
            ]),
            "language" => Value::from(self.language.tag()),
            "tenant" => Value::from_pairs([("id", Value::from(self.tenant.as_str()))]),
            "user" => Value::from_pairs([
                ("name", Value::from(self.user.0.as_str())),
                ("id", Value::from(self.user.1.as_str())),
                ("signed_in", Value::from(self.user.2)),
            ]),
            "page" => Value::from_pairs([
                ("path", Value::from(self.path.as_str())),
                ("title", Value::from(self.title.as_str())),
            ]),
            name => self.data.iter().find(|(k, _)| k == name)?.1.clone(),
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }
}

/// Takes output up to its limit.
struct Capped {
    bytes: Vec<u8>,
    limit: usize,
    full: bool,
}

impl io::Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.limit {
            self.full = true;
            return Err(io::Error::other("the page writes more than it may"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// For packages that are only a link: there is nothing to check or run.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExternalFactory;

/// Answers nothing, because nothing leads to it.
#[derive(Clone, Copy, Debug)]
struct ExternalBackend;

#[async_trait]
impl BackendFactory for ExternalFactory {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::External
    }

    fn check(&self, _package: &StagedPackage) -> Result<(), Diagnostics> {
        Ok(())
    }

    async fn start(&self, _package: &StagedPackage) -> Result<Arc<dyn Backend>, BackendError> {
        Ok(Arc::new(ExternalBackend))
    }

    async fn probe(
        &self,
        _backend: &Arc<dyn Backend>,
        _package: &Arc<PackageView>,
    ) -> Result<(), BackendError> {
        Ok(())
    }
}

#[async_trait]
impl Backend for ExternalBackend {
    async fn page(
        &self,
        _ctx: &OpContext,
        request: PageRequest,
    ) -> Result<PageResponse, BackendError> {
        Err(BackendError::Failed(format!(
            "`{}` is a link to somewhere else and has no pages",
            request.package.id
        )))
    }
}
