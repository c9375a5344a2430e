// What the shell needs once something happens: a change of the navigation, an operation, a press of one of its buttons, a dialog.
const doc = document, root = doc.documentElement;
const modules = JSON.parse(doc.getElementById("portico-modules").textContent);
export const $ = (selector, from = doc) => from.querySelector(selector);
export const main = () => $("#portico-main");

// ---- words: English stands in the code, other languages in words-<language>.json

let words = {};

/** Loads the words of the document's language. */
async function learn() {
  const file = modules[`words-${root.lang}.json`];
  words = file ? await (await fetch(file)).json() : {};
}

/** The person's locale of the document's language: `en-GB` rather than `en`. */
export const locale = () => navigator.languages.find((tag) => tag.split("-")[0] === root.lang) ?? root.lang.replace("ar-XB", "en");

const written = (text, values) => {
  const full = text.replace(/\{([a-z][a-z0-9_]*)\}/g, (place, name) => typeof values[name] === "number" ? values[name].toLocaleString(locale()) : values[name] ?? place);
  return root.lang === "ar-XB" ? `\u202e${full}\u202c` : full;
};

/** `t("Hello {name}", { name })`: the text in the person's language. */
export const t = (english, values = {}) => written(words[english] ?? english, values);

/** `count(3, "{n} page", "{n} pages")`: the form that the number takes. */
export const count = (n, one, many, values = {}) => {
  const forms = words[many], form = new Intl.PluralRules(locale()).select(n);
  return written(forms?.[form] ?? forms?.other ?? (n === 1 ? one : many), { n, ...values });
};

/** A moment: `when(at, { timeStyle: "short" })`. */
export const when = (at, how = { dateStyle: "medium", timeStyle: "short" }) => new Intl.DateTimeFormat(locale(), how).format(new Date(at));

// ---- tools that the dialogs share

/** Builds an element. Strings become text, never markup; functions become listeners. */
export function el(tag, attributes = {}, ...children) {
  const node = /^(svg|use)$/.test(tag) ? doc.createElementNS("http://www.w3.org/2000/svg", tag) : doc.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value != null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(9).filter((child) => child != null && child !== false));
  return node;
}

export const icon = (name, more = "") => el("svg", { class: "portico-icon " + more, "aria-hidden": "true" }, el("use", { href: modules["icons.svg"] + "#" + name }));

/** The picture of a package: its file, its emoji, or its first letter. */
export function glyph(source, name, kind = "portico-glyph") {
  const hidden = { "aria-hidden": "true" };
  if (/^(\/|https:)/.test(source ?? "")) return el("img", { class: kind, src: source, alt: "" });
  // A file name that the portal did not resolve to an address is not something people read.
  if (source && !/\.[a-z]+$/i.test(source)) return el("span", { class: kind, ...hidden }, source);
  return el("span", { class: kind + " letter", ...hidden }, (name || "?").slice(0, 1));
}

/** Calls the portal's API. Throws the problem (RFC 9457) with its `status`. */
export async function api(path, { method = "GET", body, headers = {} } = {}) {
  const token = $('meta[name="portico-csrf"]')?.content;
  if (body) headers["content-type"] = "application/json";
  if (method !== "GET" && token) headers["x-portico-csrf"] = token;
  let answer;
  try {
    answer = await fetch("/api/portal" + path, { method, cache: "no-store", headers: { accept: "application/json", ...headers }, body: body && JSON.stringify(body) });
  } catch {
    throw { code: "unreachable", status: 0, title: t("The portal does not answer"), detail: t("Check your connection, then try again.") };
  }
  const json = await answer.json().catch(() => ({}));
  if (answer.ok) return json;
  throw { code: "http-" + answer.status, title: t("The portal refused"), instance: answer.headers.get("x-request-id"), ...json, status: answer.status };
}

/** A key that makes a repeated request the same request. */
export const once = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Text of a manifest: one string, or one for each language. */
export const text = (value) => typeof value === "string" ? value : value?.[doc.documentElement.lang] ?? value?.en ?? Object.values(value ?? {})[0] ?? "";

export const bytes = (n) => {
  if (n < 1024) return n + " B";
  const step = Math.min(4, Math.floor(Math.log2(n) / 10));
  const value = n / 1024 ** step;
  return value.toLocaleString(locale(), { maximumFractionDigits: value < 10 ? 1 : 0 }) + " " + ["B", "KiB", "MiB", "GiB", "TiB"][step];
};

/** English only: use `count`. */
export const plural = (n, one, many = one + "s") => n + " " + (n === 1 ? one : many);

export function announce(message) {
  $("#portico-live").textContent = message;
}

export function toast(message, label, action) {
  const node = el("div", { class: "portico-toast" }, el("span", {}, message),
    label && el("button", { type: "button", click: () => { node.remove(); action(); } }, label),
    el("button", { type: "button", "aria-label": t("Dismiss"), click: () => node.remove() }, "×"));
  const leave = () => node.matches(":hover, :focus-within") ? setTimeout(leave, 2000) : node.remove();
  setTimeout(leave, label ? 10000 : 6000);
  $("#portico-toasts").append(node);
  announce(message);
}

export async function copy(what) {
  try {
    await navigator.clipboard.writeText(what);
    toast(t("Copied"));
  } catch {
    toast(t("Your browser does not allow copying here."));
  }
}

export const visit = (path, how = "push") => window.htmx.ajax("GET", path, { target: "#portico-main", select: "#portico-main", swap: "outerHTML", [how]: "true", source: $("#portico-nav") });

/** A modal dialog of the shell that leaves the document when it closes. */
export function dialog(title, ...content) {
  const node = el("dialog", { class: "portico-dialog", "aria-labelledby": "portico-dialog-title" }, ...content);
  node.addEventListener("close", () => {
    node.remove();
    if (doc.activeElement === doc.body) main().focus({ preventScroll: true });
  });
  doc.body.append(node);
  node.showModal();
  return node;
}

// ---- parts that load when they are asked for

const loading = new Map();
const sheet = (name) => new Promise((done) => doc.head.append(el("link", { rel: "stylesheet", href: modules[name], load: done, error: done })));
const styled = sheet("live.css");

export async function open(name, ...rest) {
  if (!loading.has(name)) loading.set(name, Promise.all([import(modules[name + ".js"]), styled]));
  try {
    const [part] = await loading.get(name);
    return await part.default(tools, ...rest);
  } catch (error) {
    loading.delete(name);
    console.error(error);
    toast(t("This part of the portal could not be loaded. Check your connection."), t("Try again"), () => open(name, ...rest));
  }
}

// ---- navigation

const SECTIONS = { core: () => "", installed: () => t("Installed"), docs: () => t("Documentation"), admin: () => t("Administration") };

/** Draws the entries that differ, each in its place; what stays keeps focus and listeners. */
export function draw(nav, entries) {
  const list = $("nav", nav), ids = new Set(entries.map((entry) => entry.id)), have = new Map();
  for (const li of nav.querySelectorAll("li:not(.portico-gone)")) ids.has(li.dataset.id) ? have.set(li.dataset.id, li) : drop(nav, li);
  let before;
  for (const [name, title] of Object.entries(SECTIONS)) {
    const mine = entries.filter(({ section }) => (section in SECTIONS ? section : "installed") === name);
    if (!mine.length) continue;
    let section = $(`section[data-section=${name}]`, list);
    if (!section) {
      section = el("section", { "data-section": name }, name !== "core" && el("h2", {}, title()), el("ul"));
      before ? before.after(section) : list.prepend(section);
    }
    before = section;
    const ul = $("ul", section);
    let cursor = ul.firstElementChild;
    for (const entry of mine) {
      while (cursor?.matches(".portico-gone")) cursor = cursor.nextElementSibling;
      const old = have.get(entry.id), li = drawEntry(entry, old);
      if (li === cursor) cursor = cursor.nextElementSibling;
      else if (old && ul.moveBefore) ul.moveBefore(li, cursor);
      else ul.insertBefore(li, cursor);
      if (!old) window.htmx?.process(li);
    }
  }
  nav.mark();
}

function drawEntry(entry, li) {
  const look = JSON.stringify([entry.name, entry.icon, entry.path]);
  if (li?.portico === look) return li;
  const a = li ? $("a", li) : el("a");
  const first = li && !li.portico && $(".portico-label", li)?.textContent === entry.name && a.getAttribute("href") === entry.path;
  li ??= el("li", { "data-id": entry.id, class: "portico-new" }, a);
  li.portico = look;
  if (first) return li;  // as the server drew it
  a.href = entry.path;
  a.title = entry.name;
  if (entry.external) Object.assign(a, { target: "_blank", rel: "noopener" });
  a.replaceChildren(glyph(entry.icon, entry.name), el("span", { class: "portico-label" }, entry.name), entry.external ? icon("external", "small") : "");
  return li;
}

function drop(nav, li) {
  if (li.contains(doc.activeElement)) $("a", li.previousElementSibling ?? li.nextElementSibling ?? nav)?.focus();
  li.className = "portico-gone";
  setTimeout(() => {
    const section = li.closest("section");
    li.remove();
    if (section && !$("li", section)) section.remove();
  }, 200);
}

// ---- what happens elsewhere

const running = new Map();

export function happened(event) {
  if (event.type === "operation:progress") return track(event.operation_id, event);
  if (event.type.startsWith("microsite:")) mark(event);
  changed(event);
}

/** Tells the parts of pages that listen (`hx-trigger="portico:changed from:body"`) to look again. */
function changed(detail) {
  doc.body.dispatchEvent(new CustomEvent("portico:changed", { detail }));
}

/** Follows an operation in the ring of the bar; the ring outlives the page that began it. */
export function track(id, { state, percent, step } = {}) {
  const button = $("#portico-activity"), over = state === "succeeded" || (state === "failed" && !step) || (step === "activate" && state === "done");
  if (over || state === "failed") {
    if (running.delete(id)) changed({ type: "operation:ended", operation_id: id, state });
    if (state === "failed") button.dataset.state = state;
  } else {
    running.set(id, percent ?? running.get(id) ?? 5);
  }
  const shares = [...running.values()], mean = shares.reduce((a, b) => a + b, 0) / (shares.length || 1);
  $("circle + circle", button).setAttribute("stroke-dasharray", `${shares.length ? Math.max(5, mean) : 0} 100`);
  button.title = button.ariaLabel = shares.length ? count(shares.length, "Activity: {n} running", "Activity: {n} running") : button.dataset.state ? t("Activity: something failed") : t("Activity");
}

const HAPPENED = {
  uninstalled: () => t("The package of this page was removed."), disabled: () => t("The package of this page was switched off."), rolled_back: () => t("The package of this page was rolled back."),
  installed: () => t("The package of this page was installed."), enabled: () => t("The package of this page was switched on."), upgraded: () => t("The package of this page was upgraded."),
};

/** The package of the page that is looked at changed: says so, and takes neither focus nor what is being typed. */
function mark({ type, microsite_id }) {
  const page = main();
  if (page.dataset.owner !== microsite_id) return;
  const what = type.slice("microsite:".length), gone = /^(uninstalled|disabled)$/.test(what);
  page.classList.toggle("portico-stale", gone && page.dataset.kind === "package");
  $(".portico-mark", page)?.remove();
  const goal = gone ? "/" : location.pathname + location.search;
  const message = (HAPPENED[what]?.() ?? t("The package of this page was changed.")) + " " + (gone ? t("What you see here is no longer live.") : t("You still see the page from before."));
  const note = el("div", { class: "portico-mark" }, el("span", { class: "grow" }, message),
    el("a", { class: "button", href: goal, click: (press) => { press.preventDefault(); press.stopPropagation(); visit(goal, gone ? "push" : "replace"); } }, gone ? t("Leave this page") : t("Show it now")));
  ($(".portico-head, .portico-notice", page) ?? page.firstChild).before(note);
  announce(message);
}

/** A part of a page was refused: its own words, as text. */
export function refused({ text, response }) {
  const [, title, why] = text.match(/<h1>([^<]+)<\/h1>\s*<p>([^<]*)/) ?? [, t("The portal refused this"), t("Code {status}", { status: response.status })];
  toast(`${title}. ${why}`);
}

export function unreachable() {
  toast(t("The portal did not answer. Check your connection."), t("Reload"), () => location.reload());
}

// ---- the shell's own buttons

const small = matchMedia("(max-width: 719px)");
const remember = (key, value) => { try { value ? localStorage["portico-" + key] = value : localStorage.removeItem("portico-" + key); } catch { /* lasts as long as the page, then */ } };

/** Opens and closes the navigation: a sheet on small screens, else the rail becomes narrow or wide. */
export function menu() {
  const { dataset } = root, button = $("#portico-menu");
  if (small.matches || "sheet" in dataset) {
    const up = !("sheet" in dataset);
    up ? dataset.sheet = "" : delete dataset.sheet;
    for (const node of [main(), $("#portico-bar")]) node.inert = up;  // the page behind an open sheet cannot be reached
    up ? $("#portico-rail a").focus() : button.focus();
    button.ariaExpanded = up;
  } else {
    dataset.rail = dataset.rail === "narrow" ? "wide" : "narrow";
    remember("rail", dataset.rail === "narrow" && "narrow");
    button.ariaExpanded = dataset.rail === "wide";
  }
}
small.addEventListener("change", () => { if ("sheet" in root.dataset) menu(); });

/** Draws the page again in the language that the cookie names: the same page, where it is, with what was typed. */
async function speak() {
  const focus = doc.activeElement?.id;
  await window.htmx.ajax("GET", location.href, {
    target: "#portico-main", select: "#portico-main", selectOOB: "#portico-rail,#portico-bar", swap: "outerMorph transition:false show:none", source: main(),
    headers: { "HX-History-Restore-Request": "true" },  // the whole document, frame and all
  });
  root.lang = $("#portico-rail").lang;
  root.dir = $("#portico-rail").dir;
  await learn();
  doc.getElementById(focus)?.focus({ preventScroll: true });
  announce(t("The portal speaks English now."));
}
const others = new BroadcastChannel("portico-language");
others.onmessage = speak;

const actions = {
  menu,
  theme() {
    const next = { light: "dark", dark: "" }[root.dataset.theme ?? ""] ?? "light";
    next ? root.dataset.theme = next : delete root.dataset.theme;
    remember("theme", next);
    const says = { light: () => t("Theme: light"), dark: () => t("Theme: dark"), "": () => t("Theme: as your system") }[next]();
    $("#portico-theme").title = $("#portico-theme").ariaLabel = says;
    announce(says);
  },
  language: ({ lang }) => {
    doc.cookie = `portico-lang=${lang}; path=/; max-age=31536000; samesite=lax`;
    speak();
    others.postMessage("");
  },
  async "sign-out"() {
    await fetch("/auth/sign-out", { method: "POST", headers: { "x-portico-csrf": $('meta[name="portico-csrf"]')?.content ?? "" } });
    location.href = "/auth/sign-in";
  },
  copy: (button) => copy(button.dataset.porticoCopy),
  intent: (button) => open("approve", JSON.parse(button.dataset.porticoIntent)),
  activity(button) {
    delete button.dataset.state;
    open("activity", button);
  },
  keys: () => open("keys"),
};

export function press(button) {
  actions[button.dataset.portico]?.(button);
}

await learn();

const tools = { $, main, t, count, when, locale, el, icon, glyph, api, once, text, bytes, plural, announce, toast, copy, visit, dialog, open, track, changed, remember };
