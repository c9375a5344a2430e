// The map of the keyboard, and the switch for people whom single keys disturb.

const KEYS = [[["/"], "Search on this page"], [["g", "d"], "Go to the dashboard"], [["g", "m"], "Go to the marketplace"], [["?"], "This map"], [["Esc"], "Close what is on top"]];

export default function keys({ el, dialog, remember }) {
  let off = false;
  try { off = !!localStorage["portico-keys"]; } catch { /* then they are on */ }
  const close = () => node.close();
  const node = dialog("Keyboard shortcuts",
    el("div", { class: "top" }, el("h2", { id: "portico-dialog-title", tabindex: "-1", autofocus: true }, "Keyboard shortcuts")),
    el("div", { class: "body" },
      el("dl", { class: "portico-keys" }, ...KEYS.flatMap(([pressed, what]) => [el("dt", {}, ...pressed.flatMap((key, at) => [at ? " then " : "", el("kbd", {}, key)])), el("dd", {}, what)])),
      el("label", { class: "row" }, el("input", { type: "checkbox", checked: !off, change: ({ target }) => remember("keys", target.checked ? "" : "off") }), "Single keys do something on pages")),
    el("div", { class: "foot" }, el("span", { class: "push" }, el("button", { type: "button", class: "button", click: close }, "Close"))));
}
