// <gate-meter>: a gate's score against its threshold.
import { h, number } from "./dom.js";

class GateMeter extends HTMLElement {
  show(receipt) {
    const { score, threshold, gate } = receipt ?? {};
    this.hidden = score === null || score === undefined || threshold === null || threshold === undefined;
    if (this.hidden) return;
    const reach = Math.max(6, 1.25 * Math.abs(score - threshold));
    const at = (value) => `${(50 + (50 * (value - threshold)) / reach).toFixed(2)}%`;
    const [from, to] = score < threshold ? [at(score), "50%"] : ["50%", at(score)];
    const fill = h("span", { class: "fill" });
    fill.style.setProperty("--from", from);
    fill.style.setProperty("--to", to);
    const mark = h("span", { class: "mark" });
    mark.style.setProperty("--at", at(score));
    const track = h("span", { class: "track", "aria-hidden": "true" }, fill, h("span", { class: "limit" }), mark);
    const said = `Gate ${gate}: score ${number(score)}, opens from ${number(threshold)}`;
    const meter = h(
      "div",
      {
        class: `meter ${gate}`,
        role: "meter",
        "aria-label": "The gate’s score",
        "aria-valuemin": (threshold - reach).toFixed(2),
        "aria-valuemax": (threshold + reach).toFixed(2),
        "aria-valuenow": score.toFixed(2),
        "aria-valuetext": said,
      },
      h("span", {}, h("b", {}, `gate ${gate}`), ` ${number(score)} ${gate === "open" ? "≥" : "<"} ${number(threshold)}`),
      track,
    );
    this.replaceChildren(meter);
  }
}
customElements.define("gate-meter", GateMeter);
