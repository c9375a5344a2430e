// The panel behind the ring in the bar: what runs, what ended, what failed and can be tried again.

const DOING = { install: "Install", upgrade: "Upgrade", rollback: "Roll back", disable: "Switch off", enable: "Switch on", uninstall: "Remove" };
const STATES = { queued: ["running", "Waiting"], running: ["running", "Running"], succeeded: ["ok", "Done"], failed: ["failed", "Failed"] };

export default async function activity({ $, el, api, text, track, visit, toast }) {
  document.getElementById("portico-activity-panel")?.remove();
  const rows = el("div", {}, el("div", { class: "portico-wait" }));
  const panel = el("div", { id: "portico-activity-panel", class: "portico-panel", popover: "auto", role: "dialog", "aria-label": "Activity", tabindex: "-1" }, el("h2", {}, "Activity"), rows);
  const hear = ({ detail }) => { if (/^(operation|microsite):/.test(detail.type)) load(); };
  panel.addEventListener("toggle", ({ newState }) => {
    if (newState !== "closed") return;
    document.removeEventListener("portico:event", hear);
    panel.remove();
    $("#portico-activity").focus();
  });
  $("#portico-bar").append(panel);
  panel.showPopover();
  panel.focus();
  document.addEventListener("portico:event", hear);
  await load();

  async function load() {
    try {
      const answer = await api("/operations?limit=12");
      const operations = answer.operations ?? answer;
      rows.replaceChildren(operations.length ? el("ul", { class: "list" }, ...operations.map(row))
        : el("p", { class: "muted" }, "Nothing was installed, changed or removed yet."));
    } catch (problem) {
      rows.replaceChildren(el("p", { class: "muted" }, problem.detail ?? problem.title));
    }
  }

  function row(operation) {
    const [state, word] = STATES[operation.state] ?? ["off", operation.state], step = operation.steps?.find((one) => one.state === "running");
    const at = new Date(operation.updated_at ?? operation.created_at);
    return el("li", {}, el("span", { class: "sign " + state }),
      el("span", { class: "grow" }, el("b", {}, `${DOING[operation.verb] ?? operation.verb} ${text(operation.name) || operation.microsite_id}`),
        el("p", { class: "muted" }, word, step ? `: ${step.step}` : "", " · ", el("time", { datetime: at.toISOString() }, at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }))),
        operation.error && el("p", {}, operation.error.message)),
      operation.state === "failed" && el("button", {
        type: "button", class: "button", click: async () => {
          try {
            track((await api(`/operations/${operation.id}/retry`, { method: "POST", body: {} })).id, { state: "running" });
          } catch (problem) {
            toast(problem.detail ?? problem.title);
          }
          load();
        },
      }, "Try again"),
      operation.state === "succeeded" && operation.verb !== "uninstall" && $(`sz-nav li[data-id="${CSS.escape(operation.microsite_id)}"]`) && el("button", {
        type: "button", class: "button quiet", click: () => { panel.hidePopover(); visit($(`sz-nav li[data-id="${CSS.escape(operation.microsite_id)}"] a`).getAttribute("href")); },
      }, "Open"));
  }
}
