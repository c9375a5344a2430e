// The approval dialog: what a package may do and what would change, in plain words; then the operation, step by step.
// It belongs to the shell: a package can ask for it (`portico:intent`) and see nothing of it.

const VERBS = {
  install: { title: "Install", button: "Approve and install", doing: "Installing", done: "is live", method: "POST", path: () => "/microsites/install" },
  upgrade: { title: "Upgrade", button: "Approve and upgrade", doing: "Upgrading", done: "is upgraded" },
  rollback: { title: "Roll back", button: "Roll back", doing: "Rolling back", done: "is rolled back" },
  disable: { title: "Switch off", button: "Switch off", doing: "Switching off", done: "is switched off" },
  enable: { title: "Switch on", button: "Switch on", doing: "Switching on", done: "is live again" },
  uninstall: { title: "Remove", button: "Remove", doing: "Removing", done: "is removed", method: "DELETE", path: (id) => "/microsites/" + id },
};
const GROUPS = { reads: "Reads", changes: "Changes", manages: "Manages", connects: "Connects to", stores: "Stores", shows: "Shows in the portal" };
const STEPS = { resolve: "Resolve", fetch: "Fetch", verify: "Verify", stage: "Stage", start: "Start", probe: "Check", activate: "Live" };
const EXPLAIN = {
  resolve: "versions and dependencies", fetch: "from the registry", verify: "signature and every file", stage: "unpacked, not yet visible",
  start: "back end", probe: "does it answer", activate: "visible in every open browser",
};
const STANDING = { widened: ["attention", "New in this version"], held: ["ok", "Allowed"], dropped: ["off", "No longer asked"] };

const quoted = (names) => names.map((entry) => `“${entry}”`).join(", ");

export default async function approve(shell, asked) {
  const { el, icon, glyph, api, text, bytes, plural } = shell;
  const verb = VERBS[asked.verb], id = asked.microsite_id;
  if (!verb || !id) return;
  const requester = asked.package ?? asked.requested_by;

  const heading = el("h2", { id: "portico-dialog-title", tabindex: "-1", autofocus: true }, `${verb.title} ${id}`);
  const under = el("p", {}, "Reading the plan…"), picture = el("span", { class: "glyph", "aria-hidden": "true" });
  const body = el("div", { class: "body", tabindex: "0", role: "group", "aria-label": "Plan" }, el("div", { class: "portico-wait" }));
  const footer = el("div", { class: "foot" }), says = el("p", { class: "portico-hidden", role: "status" });
  const close = () => dialog.close();
  const cancel = (label = "Cancel") => el("button", { type: "button", class: "button", click: close }, label);
  footer.append(el("span", { class: "push" }, cancel()));
  const dialog = shell.dialog(verb.title, el("div", { class: "top" }, picture, el("div", { class: "grow" }, heading, under)), body, footer, says);
  let operation, seen = true;
  dialog.addEventListener("close", () => { seen = false; });

  const request = { verb: asked.verb, microsite_id: id, version: asked.version || undefined, registry: asked.registry || undefined, config: asked.config, requested_by: requester };
  let name = id, config;
  try {
    showPlan(await api("/microsites/plan", { method: "POST", body: request }));
  } catch (problem) {
    showProblem(problem, () => { close(); approve(shell, asked); });
  }

  // ---- the plan

  function showPlan(plan, changed) {
    const all = plan.changes, main = all.find((change) => change.package === id) ?? all[0];
    const others = all.filter((change) => change !== main);
    const refused = plan.refusals.length > 0;
    if (main) {
      name = text(main.name);
      const now = glyph(main.icon, name, "glyph");
      picture.replaceWith(now);
      heading.textContent = `${verb.title} ${name}`;
      under.replaceChildren(
        main.from && main.from !== main.version ? el("span", { class: "mono" }, `${main.from} → ${main.version}`) : el("span", { class: "mono" }, main.version),
        main.registry ? ` · from registry “${main.registry}”` : "", requester && requester !== id ? el("span", {}, " · asked for by ", el("span", { class: "mono" }, requester)) : "");
    } else {
      under.textContent = "This cannot be done now.";
    }

    const boxes = [];
    const parts = [];
    if (changed) parts.push(note("attention", "attention", "The plan changed since you looked at it. This is the new one; nothing was done yet."));
    for (const refusal of plan.refusals) {
      parts.push(note("failed", "broken", refusal.message, refusal.blockers?.length ? el("p", { class: "muted" }, "In the way: ", refusal.blockers.join(", ")) : ""));
    }
    const consequences = consequence(main, others, plan);
    if (consequences) parts.push(el("section", {}, ...consequences));
    const asks = all.flatMap((change) => change.permissions.map((ask) => ({ ...ask, change })));
    if (/^(install|upgrade|rollback|enable)$/.test(asked.verb) && all.length) parts.push(permissions(asks, new Set(asks.map((ask) => ask.change)).size > 1, boxes));
    if (!/^(disable|uninstall)$/.test(asked.verb) && main) parts.push(changes(all, plan));
    if (others.length && !/^(disable|uninstall)$/.test(asked.verb)) parts.push(needs(others));
    if (/^(install|upgrade|rollback)$/.test(asked.verb) && main) parts.push(signed(all));
    for (const notice of plan.notices ?? []) parts.push(note("", "info", notice));
    body.replaceChildren(...parts);
    body.scrollTop = 0;

    const go = el("button", {
      type: "button", class: "button " + (asked.verb === "uninstall" ? "danger" : "primary"), disabled: refused || plan.executable === false,
      click: () => run(plan, [...new Set(asks.filter((ask) => ask.status !== "dropped" && !boxes.some((box) => box.ask === ask && !box.input.checked)).map((ask) => ask.permission))]),
    }, verb.button);
    footer.replaceChildren(el("span", { class: "push" }, cancel(refused ? "Close" : "Cancel"), !refused && go));
    says.textContent = refused ? "This cannot be done. " + plan.refusals.map((refusal) => refusal.message).join(" ") : "The plan is ready to be read.";
  }

  function note(state, sign, ...content) {
    return el("div", { class: "portico-note " + state }, icon(sign), el("div", {}, ...content.map((part) => typeof part === "string" ? el("p", {}, part) : part)));
  }

  /** What goes away, in names and numbers, for the verbs that take something. */
  function consequence(main, others, plan) {
    if (!main) return null;
    const pages = main.routes_removed ?? [], entries = main.navigation_removed ?? [];
    if (asked.verb === "uninstall") {
      return [el("h3", {}, "What goes"), list([
        pages.length ? `${plural(pages.length, "page")} under ${main.mount} will answer “removed”` : `Everything under ${main.mount} will answer “removed”`,
        entries.length ? `The navigation loses ${quoted(entries)}` : null,
        others.length ? `Also removed: ${others.map((change) => text(change.name)).join(", ")}` : null,
        main.permissions?.length ? `${plural(main.permissions.length, "permission")} ${main.permissions.length === 1 ? "is" : "are"} taken back` : null,
        "You can install it again from the marketplace",
      ])];
    }
    if (asked.verb === "disable") {
      return [el("h3", {}, "What happens"), list([
        `${pages.length ? plural(pages.length, "page") : "Everything"} under ${main.mount} will say “switched off”`,
        entries.length ? `The navigation loses ${quoted(entries)}` : null,
        "Its configuration, its permissions and its data stay as they are",
        "You can switch it on again at any time",
      ])];
    }
    if (asked.verb === "rollback") {
      return [el("h3", {}, "What happens"), list([
        `Version ${main.version} serves again in place of ${main.from}`, "Data and configuration are kept", `You can upgrade again to ${main.from} at any time`])];
    }
    return null;
  }

  function list(lines) {
    return el("div", { class: "portico-box" }, ...lines.filter(Boolean).map((line) => el("p", {}, line)));
  }

  function permissions(asks, several, boxes) {
    const fresh = asks.filter((ask) => ask.status !== "held"), held = asks.filter((ask) => ask.status === "held");
    const widened = asks.filter((ask) => ask.status === "widened");
    const section = el("section", {}, el("h3", {}, "What it may do"));
    if (!asks.length) section.append(el("div", { class: "portico-box" }, el("p", { class: "muted" }, "It asks for no permissions: it shows its own pages and nothing else.")));
    if (widened.length) section.append(note("attention", "attention", `This version asks for more than you allowed before: ${widened.map((ask) => ask.summary.toLowerCase()).join("; ")}.`));
    const box = (these) => el("div", { class: "portico-box stack-tight" }, ...Object.entries(GROUPS).flatMap(([group]) => these.filter((ask) => (ask.group in GROUPS ? ask.group : "manages") === group).map((ask) => line(ask, several, boxes))));
    if (fresh.length) section.append(box(fresh));
    if (held.length) {
      section.append(fresh.length ? el("details", {}, el("summary", {}, `Already allowed (${held.length})`), box(held)) : box(held));
    }
    return section;
  }

  function line(ask, several, boxes) {
    const group = ask.group in GROUPS ? ask.group : "manages", field = "portico-ask-" + boxes.length;
    const input = ask.optional && ask.status !== "dropped" ? el("input", { type: "checkbox", id: field, checked: true }) : null;
    if (input) boxes.push({ ask, input });
    const badge = STANDING[ask.status] ?? (ask.optional ? ["off", "Optional"] : null);
    const why = [several && text(ask.change.name) + (ask.reason ? ": " : ""), ask.reason && `“${text(ask.reason)}”`].filter(Boolean);
    return el("div", { class: `portico-ask ${ask.status === "widened" ? "wide" : ""} ${ask.status === "dropped" ? "dropped" : ""}`, title: GROUPS[group] },
      input ?? icon(group),
      el(input ? "label" : "div", { for: input && field }, el("span", {}, ask.summary), el("code", { class: "mono" }, ask.permission)),
      badge ? el("span", { class: "badge " + badge[0] }, badge[1]) : "",
      why.length > 0 && el("p", { class: "why" }, ...why));
  }

  function changes(all, plan) {
    const lines = [];
    for (const change of all) {
      const added = change.routes_added ?? [], gone = change.routes_removed ?? [], entries = change.navigation_added ?? [], less = change.navigation_removed ?? [];
      const what = [
        added.length && `${plural(added.length, "page")} appear${added.length === 1 ? "s" : ""} under ${change.mount}`,
        gone.length && `${plural(gone.length, "page")} go${gone.length === 1 ? "es" : ""}`,
        entries.length && `the navigation gets ${quoted(entries)}`,
        less.length && `the navigation loses ${quoted(less)}`,
      ].filter(Boolean).join(", ");
      const action = { install: "New", upgrade: "Upgraded", rollback: "Rolled back", enable: "Switched on", disable: "Switched off", remove: "Removed" }[change.action] ?? change.action;
      lines.push(el("div", { class: "row" }, el("span", { class: "grow" }, el("b", {}, text(change.name)), " ",
        el("span", { class: "mono muted" }, change.from && change.from !== change.version ? `${change.from} → ${change.version}` : change.version),
        el("p", { class: "muted" }, what || "The same pages, in their new version")), el("span", { class: "badge" }, action)));
    }
    const size = all.reduce((sum, change) => sum + (change.size ?? 0), 0);
    if (plan.storage_bytes || size) lines.push(el("p", { class: "muted" }, `Storage: ${bytes(plan.storage_bytes || size)} more. No restart; open pages stay as they are.`));
    return el("section", {}, el("h3", {}, "What will change"), el("div", { class: "portico-box" }, ...lines));
  }

  function needs(others) {
    return el("section", {}, el("h3", {}, "Needs"), el("div", { class: "portico-box" }, ...others.map((change) =>
      el("div", { class: "portico-ask" }, icon("needs"), el("div", {}, el("b", {}, text(change.name)), " ", el("span", { class: "mono muted" }, change.version)),
        el("span", { class: "badge" }, change.action === "install" ? "Installed with it" : change.action), el("p", { class: "why" }, change.because)))));
  }

  function signed(all) {
    const keys = new Map();
    for (const change of all) {
      const key = change.publisher + "@" + change.registry;
      keys.set(key, [...(keys.get(key) ?? []), change]);
    }
    return el("section", {}, el("h3", {}, "Signed by"), el("div", { class: "portico-box" }, ...Array.from(keys.values(), (mine) =>
      el("div", { class: "portico-ask" }, icon("signed"), el("div", {}, `Publisher key of registry “${mine[0].registry}”, which this portal trusts`, el("code", { class: "mono" }, mine[0].publisher)), "",
        el("details", { class: "why" }, el("summary", {}, "Digests of what was signed"), ...mine.map((change) => el("code", { class: "mono" }, `${change.package} ${change.version} ${change.digest}`)))))));
  }

  // ---- carrying it out

  async function run(plan, approved) {
    const main = plan.changes.find((change) => change.package === id);
    const path = verb.path?.(id) ?? `/microsites/${id}/${asked.verb}`;
    const before = [...footer.children];
    footer.replaceChildren(el("span", { class: "push" }, el("button", { type: "button", class: "button primary", disabled: true }, verb.doing + "…")));
    heading.focus();
    if (asked.verb === "uninstall") config = await settings();
    try {
      const answer = await api(path, {
        method: verb.method ?? "POST", headers: { prefer: "respond-async", "idempotency-key": shell.once() },
        body: { ...(asked.verb === "install" && { microsite_id: id, registry: request.registry }), version: request.version, config: request.config, requested_by: requester, approve: approved, lock: plan.lock },
      });
      await follow(answer.id ? answer : { id: answer.operation_id, steps: [], state: answer.operation_id ? "running" : "succeeded", ...answer }, main);
    } catch (problem) {
      if (problem.code === "plan-changed" && problem.plan) return showPlan({ executable: !problem.plan.refusals.length, ...problem.plan }, true);
      footer.replaceChildren(...before);
      showProblem(problem, () => run(plan, approved));
    }
  }

  /** Shows an operation until it ends: by its events, and by asking when none come. */
  async function follow(first, main) {
    operation = first;
    const hear = ({ detail }) => { if (detail.type === "operation:progress" && detail.operation_id === operation.id) wake?.(); };
    let wake;
    document.addEventListener("portico:event", hear);
    body.replaceChildren();
    body.ariaLabel = "Progress";
    draw();
    if (seen) footer.replaceChildren(el("span", { class: "muted" }, "You can close this; it goes on."), el("span", { class: "push" }, cancel("Close")));
    while (!/^(succeeded|failed)$/.test(operation.state)) {
      shell.track(operation.id, { state: "running", percent: share() });
      await new Promise((next) => { wake = next; setTimeout(next, seen ? 500 : 1500); });
      try {
        operation = await api("/operations/" + operation.id);
      } catch (problem) {
        if (problem.status && problem.status !== 503) throw problem;
      }
      draw();
    }
    document.removeEventListener("portico:event", hear);
    shell.track(operation.id, { state: operation.state });
    operation.state === "failed" ? failed(main) : succeeded(main);
  }

  function share() {
    const names = Object.keys(STEPS), done = operation.steps?.filter((step) => step.state === "done").length ?? 0;
    return Math.round(100 * (done + .5) / names.length);
  }

  function draw() {
    const steps = new Map((operation.steps ?? []).map((step) => [step.step, step]));
    const wanted = steps.size ? Object.keys(STEPS).filter((step) => steps.has(step)) : Object.keys(STEPS);
    const ol = body.querySelector("ol") ?? body.appendChild(el("ol", { class: "portico-steps" }));
    const now = wanted.find((step) => steps.get(step)?.state === "running");
    if (now && ol.dataset.now !== now) says.textContent = `${verb.doing}: ${STEPS[ol.dataset.now = now].toLowerCase()}`;
    for (const name of wanted) {
      const step = steps.get(name) ?? { state: "pending" };
      let li = ol.querySelector(`[data-step=${name}]`);
      if (!li) ol.append(li = el("li", { "data-step": name }, el("i"), el("span", {}, el("span", {}, STEPS[name]), " ", el("small", {}, EXPLAIN[name])), el("small", { class: "took" })));
      li.dataset.state = step.state;
      const took = step.started_at && step.ended_at && new Date(step.ended_at) - new Date(step.started_at);
      li.querySelector(".took").textContent = typeof took === "number" ? (took < 1000 ? `${took} ms` : `${(took / 1000).toFixed(1)} s`) : { pending: "", running: "now", failed: "failed", done: "" }[step.state] ?? "";
    }
  }

  /** What a package that goes was set to, so that Undo can ask for the same. */
  async function settings() {
    try {
      const found = (await api("/microsites/" + id)).installed?.config;
      return found && Object.keys(found).length ? found : undefined;
    } catch {
      return undefined;
    }
  }

  /** The reverse of what was done, as a plan that a person reads and approves: Undo grants nothing by itself. */
  function reverse(main) {
    const back = { uninstall: "install", upgrade: "rollback", rollback: "upgrade" }[asked.verb];
    const version = asked.verb === "uninstall" ? main?.from ?? main?.version : main?.from;
    if (!back || !version) return null;
    return () => approve(shell, { verb: back, microsite_id: id, version, registry: back === "install" ? main.registry : undefined, config, package: requester });
  }

  function succeeded(main) {
    const back = reverse(main);
    if (!seen || /^(disable|enable|uninstall)$/.test(asked.verb)) {
      close();
      const undo = { disable: "enable", enable: "disable" }[asked.verb];
      return shell.toast(`${name} ${verb.done}.`, undo ? "Undo" : back ? "Undo" : `Open ${name}`, undo
        ? async () => { try { await api(`/microsites/${id}/${undo}`, { method: "POST", body: {} }); } catch (problem) { shell.toast(problem.detail ?? problem.title); } }
        : back ?? (() => shell.visit(main.mount)));
    }
    heading.textContent = `${name} ${verb.done}`;
    says.textContent = heading.textContent;
    body.prepend(note("ok", "signed", asked.verb === "install" ? "It is in the navigation of every open browser." : `Version ${main?.version} serves now.`));
    const link = main && /^\//.test(main.mount) && el("a", { class: "button primary", href: main.mount, click: (event) => { if (event.metaKey || event.ctrlKey) return; event.preventDefault(); close(); shell.visit(main.mount); } }, `Open ${name}`);
    const undone = back && el("button", { type: "button", class: "button quiet", click: () => { close(); back(); } }, "Undo");
    footer.replaceChildren(undone || "", el("span", { class: "push" }, cancel("Close"), link));
    (link || heading).focus();
  }

  function failed(main) {
    const error = operation.error ?? { code: "failed", message: "The operation failed." };
    if (!seen) return shell.toast(`${verb.title} ${name} failed: ${error.message}`, "Details", () => shell.open("activity"));
    heading.textContent = `${verb.doing} ${name} failed`;
    body.prepend(note("failed", "broken", el("p", {}, el("b", {}, error.step ? `${STEPS[error.step] ?? error.step}: ` : ""), error.message), el("p", { class: "muted" }, "Nothing was changed. Everything serves as before.")));
    says.textContent = `${heading.textContent}. ${error.message} Nothing was changed.`;
    const retry = async () => {
      try {
        await follow(await api(`/operations/${operation.id}/retry`, { method: "POST", body: {} }), main);
      } catch (problem) {
        showProblem(problem, retry);
      }
    };
    footer.replaceChildren(details({ operation: operation.id, verb: asked.verb, package: id, ...error }), el("span", { class: "push" }, cancel("Close"), el("button", { type: "button", class: "button primary", click: retry }, "Try again")));
  }

  function showProblem(problem, again) {
    if (!problem.title) console.error(problem);
    under.textContent = "";
    const message = problem.detail ?? problem.title ?? String(problem);
    body.replaceChildren(note("failed", "broken", el("p", {}, el("b", {}, problem.title && problem.detail ? problem.title + ". " : ""), message), el("p", { class: "muted" }, "Nothing was changed.")));
    says.textContent = message;
    footer.replaceChildren(details({ verb: asked.verb, package: id, status: problem.status, code: problem.code, title: problem.title, detail: problem.detail, request: problem.instance }),
      el("span", { class: "push" }, cancel("Close"), el("button", { type: "button", class: "button primary", click: again }, "Try again")));
  }

  function details(facts) {
    return el("button", { type: "button", class: "button quiet", click: ({ target }) => { navigator.clipboard?.writeText(JSON.stringify(facts, null, 2)); target.textContent = "Copied"; } }, "Copy details");
  }
}
