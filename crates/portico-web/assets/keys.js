// The map of the keyboard, and the switch for people whom single keys disturb.

export default function keys({ el, dialog, remember, t }) {
  const map = [[["/"], t("Search on this page")], [["g", "d"], t("Go to the dashboard")], [["g", "m"], t("Go to the marketplace")], [["?"], t("This map")], [["Esc"], t("Close what is on top")]];
  let off = false;
  try { off = !!localStorage["portico-keys"]; } catch { /* then they are on */ }
  const close = () => node.close();
  const node = dialog(t("Keyboard shortcuts"),
    el("div", { class: "top" }, el("h2", { id: "portico-dialog-title", tabindex: "-1", autofocus: true }, t("Keyboard shortcuts"))),
    el("div", { class: "body" },
      el("dl", { class: "portico-keys" }, ...map.flatMap(([pressed, what]) => [el("dt", {}, ...pressed.flatMap((key, at) => [at ? ` ${t("then")} ` : "", el("kbd", {}, key)])), el("dd", {}, what)])),
      el("label", { class: "row" }, el("input", { type: "checkbox", checked: !off, change: ({ target }) => remember("keys", target.checked ? "" : "off") }), t("Single keys do something on pages"))),
    el("div", { class: "foot" }, el("span", { class: "push" }, el("button", { type: "button", class: "button", click: close }, t("Close")))));
}
