// What the shell needs once something happens: a change of the navigation, an operation, a press of one of its buttons, a dialog.
const doc = document, root = doc.documentElement;
const modules = JSON.parse(doc.getElementById("portico-modules").textContent);
export const $ = (selector, from = doc) => from.querySelector(selector);
export const main = () => $("#portico-main");

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
    throw { code: "unreachable", status: 0, title: "The portal does not answer", detail: "Check your connection, then try again." };
  }
  const json = await answer.json().catch(() => ({}));
  if (answer.ok) return json;
  throw { code: "http-" + answer.status, title: "The portal refused", instance: answer.headers.get("x-request-id"), ...json, status: answer.status };
}

/** A key that makes a repeated request the same request. */
export const once = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Text of a manifest: one string, or one for each language. */
export const text = (value) => typeof value === "string" ? value : value?.[doc.documentElement.lang] ?? value?.en ?? Object.values(value ?? {})[0] ?? "";

export const bytes = (n) => {
  if (n < 1024) return n + " B";
  const step = Math.min(4, Math.floor(Math.log2(n) / 10));
  const value = n / 1024 ** step;
  return (value < 10 ? value.toFixed(1) : Math.round(value)) + " " + ["B", "KiB", "MiB", "GiB", "TiB"][step];
};

/** `plural(3, "page")` is "3 pages"; `plural(2, "entry", "entries")`. */
export const plural = (n, one, many = one + "s") => n + " " + (n === 1 ? one : many);

export function announce(message) {
  $("#portico-live").textContent = message;
}

export function toast(message, label, action) {
  const node = el("div", { class: "portico-toast" }, el("span", {}, message),
    label && el("button", { type: "button", click: () => { node.remove(); action(); } }, label),
    el("button", { type: "button", "aria-label": "Dismiss", click: () => node.remove() }, "×"));
  const leave = () => node.matches(":hover, :focus-within") ? setTimeout(leave, 2000) : node.remove();
  setTimeout(leave, label ? 10000 : 6000);
  $("#portico-toasts").append(node);
  announce(message);
}

export async function copy(what) {
  try {
    await navigator.clipboard.writeText(what);
    toast("Copied");
  } catch {
    toast("Your browser does not allow copying here.");
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
    toast("This part of the portal could not be loaded. Check your connection.", "Try again", () => open(name, ...rest));
  }
}

// ---- navigation

const SECTIONS = { core: "", installed: "Installed", docs: "Documentation", admin: "Administration" };

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
      section = el("section", { "data-section": name }, title && el("h2", {}, title), el("ul"));
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
  button.title = button.ariaLabel = shares.length ? `Activity: ${shares.length} running` : button.dataset.state ? "Activity: something failed" : "Activity";
}

const WORDS = { uninstalled: "removed", disabled: "switched off", rolled_back: "rolled back", installed: "installed", enabled: "switched on", upgraded: "upgraded" };

/** The package of the page that is looked at changed: says so, and takes neither focus nor what is being typed. */
function mark({ type, microsite_id }) {
  const page = main();
  if (page.dataset.owner !== microsite_id) return;
  const what = type.slice("microsite:".length), gone = /^(uninstalled|disabled)$/.test(what);
  page.classList.toggle("portico-stale", gone && page.dataset.kind === "package");
  $(".portico-mark", page)?.remove();
  const goal = gone ? "/" : location.pathname + location.search;
  const message = `The package of this page was ${WORDS[what] ?? "changed"}. ` + (gone ? "What you see here is no longer live." : "You still see the page from before.");
  const note = el("div", { class: "portico-mark" }, el("span", { class: "grow" }, message),
    el("a", { class: "button", href: goal, click: (press) => { press.preventDefault(); press.stopPropagation(); visit(goal, gone ? "push" : "replace"); } }, gone ? "Leave this page" : "Show it now"));
  ($(".portico-head, .portico-notice", page) ?? page.firstChild).before(note);
  announce(message);
}

/** A part of a page was refused: its own words, as text. */
export function refused({ text, response }) {
  const [, title, why] = text.match(/<h1>([^<]+)<\/h1>\s*<p>([^<]*)/) ?? [, "The portal refused this", "Code " + response.status];
  toast(`${title}. ${why}`);
}

export function unreachable() {
  toast("The portal did not answer. Check your connection.", "Reload", () => location.reload());
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

const actions = {
  menu,
  theme() {
    const next = { light: "dark", dark: "" }[root.dataset.theme ?? ""] ?? "light";
    next ? root.dataset.theme = next : delete root.dataset.theme;
    remember("theme", next);
    $("#portico-theme").title = $("#portico-theme").ariaLabel = "Theme: " + (next || "system");
    announce("Theme: " + (next || "as your system"));
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

const tools = { $, main, el, icon, glyph, api, once, text, bytes, plural, announce, toast, copy, visit, dialog, open, track, changed, remember };
