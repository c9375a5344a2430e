// What every page of the portal loads: navigation, one event stream per browser, focus, keys. The rest is in live.js, on first use.
const doc = document, root = doc.documentElement;
const $ = (selector, from = doc) => from.querySelector(selector);
const listen = (type, handler, on = doc) => on.addEventListener(type, handler);
const modules = JSON.parse($("#portico-modules").textContent);
const main = () => $("#portico-main");

let live;
const later = async (name, ...rest) => {
  try {
    (await (live ??= import(modules["live.js"])))[name](...rest);
  } catch (error) {
    live = null;
    console.error(error);
    $("#portico-offline")?.removeAttribute("hidden");
  }
};

// ---- navigation

customElements.define("sz-nav", class extends HTMLElement {
  #etag;
  #run;
  #again;

  connectedCallback() {
    listen("portico:event", this);
    this.mark();
  }

  disconnectedCallback() {
    doc.removeEventListener("portico:event", this);
  }

  handleEvent({ detail: { type, generation } }) {
    if (type.startsWith("microsite:") || type === "resync" || generation > root.dataset.generation) this.refresh();
  }

  /** Fetches the navigation again and draws what differs. Calls during a run share one more run. */
  refresh() {
    this.#again = !!this.#run;
    return this.#run ??= this.#load().finally(() => {
      this.#run = null;
      if (this.#again) return this.refresh();
    });
  }

  async #load() {
    try {
      const answer = await fetch("/api/portal/config", { cache: "no-store", headers: this.#etag ? { "if-none-match": this.#etag } : {} });
      if (answer.ok) {
        const config = await answer.json();
        await later("draw", this, config.navigation);
        this.#etag = answer.headers.get("etag");
        root.dataset.generation = config.generation;
      }
      this.dispatchEvent(new CustomEvent("nav:refreshed", { bubbles: true }));
    } catch { /* not reachable: the stream asks again when it is back */ }
  }

  /** Marks the entry that the page belongs to: the longest path that leads here. */
  mark() {
    const here = location.pathname + "/";
    let best, most = 0;
    for (const a of this.querySelectorAll("li:not(.portico-gone) a")) {
      a.removeAttribute("aria-current");
      const path = a.pathname.replace(/\/?$/, "/");
      if (a.origin === location.origin && here.startsWith(path) && path.length > most) [best, most] = [a, path.length];
    }
    best?.setAttribute("aria-current", "page");
  }
});

// ---- events: one tab holds the stream and tells the others

const channel = new BroadcastChannel("portico-events");
const tell = (event) => { channel.postMessage(event); receive(event); };
let source, last = 0, newest = 0, lost;

function stream() {
  let wait = 500, watch, retry;
  const start = () => {
    source = new EventSource("/api/portal/events" + (last ? "?last_event_id=" + last : ""));
    source.onopen = () => { wait = 500; tell({ type: "online" }); };
    source.onmessage = (message) => {
      alive();
      tell({ ...JSON.parse(message.data), last: +message.lastEventId });
    };
    listen("heartbeat", alive, source);
    for (const name of ["hello", "resync"]) listen(name, (message) => { alive(); tell(JSON.parse(message.data)); }, source);
    source.onerror = () => {
      tell({ type: "offline" });
      if (source.readyState === 2) again();  // else the browser tries by itself, with Last-Event-ID
    };
  };
  const again = () => {
    source.close();
    clearTimeout(watch);
    clearTimeout(retry);
    retry = setTimeout(start, wait * (.5 + Math.random()));
    wait = Math.min(wait * 2, 30000);
  };
  const alive = () => { clearTimeout(watch); watch = setTimeout(again, 40000); };
  listen("online", again, window);
  start();
}

function receive(event) {
  const { type } = event;
  if (type === "who") return newest && channel.postMessage({ type: "hello", generation: newest });
  last = Math.max(last, event.last || 0);
  newest = Math.max(newest, event.generation || 0);
  if (/^o(n|ff)line$/.test(type)) {
    clearTimeout(lost);
    if (type === "online") $("#portico-offline").hidden = true;
    else lost = setTimeout(() => { $("#portico-offline").hidden = false; }, 2500);
  }
  if (/^(operation:|microsite:|resync)/.test(type)) later("happened", event);
  doc.dispatchEvent(new CustomEvent("portico:event", { detail: event }));
}

if ($("sz-nav")) {
  listen("message", ({ data }) => receive(data), channel);
  channel.postMessage({ type: "who" });
  listen("offline", () => receive({ type: "offline" }), window);
  if (navigator.locks) navigator.locks.request("portico-events", () => new Promise(stream));
  else {  // plain HTTP on a network has no locks: only the tab that is looked at keeps a stream
    const follow = () => doc.hidden ? source?.close() : source?.readyState < 2 || stream();
    listen("visibilitychange", follow);
    follow();
  }
}

// ---- moving between pages

/** Fetches a page and its own sheet, and waits for both: a page that is shown before its sheet jumps when that comes. Sheets stay
    in the head: what stands in <main> goes with it, and the next page of the same package would begin without. */
async function fetchPage(path, options) {
  const answer = await fetch(path, options);
  const sheets = (await answer.clone().text()).matchAll(/<link rel="stylesheet" href="([^"]+)" data-portico-style/g);
  await Promise.all(Array.from(sheets, ([, href]) => $(`head link[href="${href}"]`)?.sheet || new Promise((done) => {
    doc.head.append(Object.assign(doc.createElement("link"), { rel: "stylesheet", href, onload: done, onerror: done }));
    setTimeout(done, 15000);  // half of what a page may take; without style it is still readable
  })));
  return answer;
}

listen("htmx:config:request", ({ detail: { ctx } }) => { if (ctx.target === main()) ctx.fetch = fetchPage; });
listen("htmx:after:swap", ({ detail: { ctx } }) => {
  if (ctx.target?.id !== "portico-main") return;
  const page = main();
  $("sz-nav")?.mark();
  $("#portico-live").textContent = ctx.title || doc.title;
  if ("sheet" in root.dataset) later("menu");
  if (!page.contains(doc.activeElement)) page.focus({ preventScroll: true });
  asked();
});
listen("htmx:response:error", ({ detail: { ctx } }) => {  // a part that fails never blanks the page
  if (ctx.target === main()) return;
  ctx.swap = "none";
  later("refused", ctx);
});
listen("htmx:error", ({ detail: { ctx, error } }) => ctx && error.name !== "AbortError" && later("unreachable"));

// ---- approval and the shell's own buttons; a package's markup cannot press them

const asked = () => {  // by a plain form: the page carries what
  const node = $("#portico-main > [data-portico-intent]");
  if (node) later("open", "approve", JSON.parse(node.dataset.porticoIntent));
};
listen("portico:intent", ({ detail }) => later("open", "approve", detail));
listen("click", ({ target }) => {
  const button = target.closest("[data-portico]");
  if ("sheet" in root.dataset && !target.closest("#portico-rail")) later("menu");
  else if (button && !button.closest(".portico-package")) later("press", button);
});
listen("mouseover", ({ target }) => {  // the exact time, in the person's own zone
  if (target.dateTime) target.title = new Date(target.dateTime).toLocaleString([navigator.languages.find((tag) => tag.split("-")[0] === root.lang) ?? "en"], { dateStyle: "full", timeStyle: "long" });
});

let chord = 0;
listen("keydown", (event) => {
  const { key, target } = event;
  if (key === "Escape" && "sheet" in root.dataset) return later("menu");
  if (event.ctrlKey || event.metaKey || event.altKey || target.closest?.("input, textarea, select, dialog")) return;
  try { if (localStorage["portico-keys"]) return; } catch { /* never switched off, then */ }
  const id = Date.now() - chord < 1200 && { d: "sz_dash", m: "sz_marketplace" }[key];
  const goal = key === "/" ? $("#portico-main input[type=search]") : id && $(`sz-nav li[data-id=${id}] a`);
  chord = key === "g" ? Date.now() : 0;
  if (key === "?") later("open", "keys");
  if (!goal) return;
  event.preventDefault();
  id ? goal.click() : goal.select();
});

asked();
