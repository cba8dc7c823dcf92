// <talk-columns>: the turns, each side's answer beside the other's.
import { h } from "./dom.js";
import { title, turned } from "./choice.js";
import { store } from "./store.js";
import { again } from "./talking.js";
import { inWords } from "./words.js";
import "./meter.js";
import "./tokens.js";

const SIDES = ["plain", "steered"];

class TalkColumns extends HTMLElement {
  #made = new Map(); // what is shown of a turn, by turn

  connectedCallback() {
    this.list = h("ol", { class: "turns" });
    this.empty = h("p", { class: "empty" }, "Send a message, or take one of those below. Both sides answer the same; pick another recipe above, and ask again.");
    this.status = h("p", { class: "unseen", role: "status" });
    const heads = h("div", { class: "heads", "aria-hidden": "true" }, h("span", {}, "Unsteered"), (this.head = h("span", {}, "Steered")));
    this.replaceChildren(heads, this.empty, this.list, this.status);
    for (const kind of ["turns", "piece", "running", "choice", "dialled", "ready"]) store.on(kind, () => this.#draw());
    store.on("answered", () => this.#announce());
    store.on("running", () => store.running && (this.status.textContent = "Both sides are answering."));
    this.#draw();
  }

  #announce() {
    const turn = store.state.turns.at(-1);
    const told = SIDES.map((name) => `${turn[name].how}: ${turn[name].error || turn[name].text || "nothing"}`);
    this.status.textContent = told.join(". ");
  }

  #draw() {
    const { turns } = store.state;
    this.empty.hidden = turns.length > 0;
    if (store.models.length) this.head.textContent = title();
    for (const [turn, made] of this.#made)
      if (!turns.includes(turn)) {
        made.row.remove();
        this.#made.delete(turn);
      }
    turns.forEach((turn, place) => {
      let made = this.#made.get(turn);
      if (!made) {
        made = this.#row(turn);
        this.#made.set(turn, made);
        this.list.append(made.row);
        made.row.scrollIntoView({ block: "nearest" });
      }
      this.#fill(turn, made, place === turns.length - 1);
    });
  }

  #row(turn) {
    const said = h("token-text", { class: "words" });
    const sides = Object.fromEntries(SIDES.map((name) => [name, this.#side(name)]));
    const row = h("li", { class: "turn" }, h("div", { class: "said" }, h("h3", { class: "unseen" }, "You"), said), ...SIDES.map((name) => sides[name].box));
    return { row, said, sides };
  }

  #side(name) {
    const parts = {
      how: h("h3", {}),
      text: h("token-text", { class: "words" }),
      error: h("p", { class: "error" }),
      meter: h("gate-meter", {}),
      receipt: h("p", { class: "receipt" }),
      anew: h("button", { type: "button", class: "anew", onclick: again }, "Answer again as the dials are now"),
    };
    parts.box = h("article", { class: `side ${name}` }, parts.how, parts.text, parts.error, parts.meter, parts.receipt, name === "steered" ? parts.anew : null);
    return parts;
  }

  #fill(turn, made, last) {
    const read = turn.steered.read?.said ?? turn.plain.read?.said ?? null;
    made.said.show(turn.said, read, "Your message");
    for (const name of SIDES) {
      const side = turn[name];
      const parts = made.sides[name];
      parts.how.textContent = side.how;
      parts.box.setAttribute("aria-busy", String(side.status === "running"));
      parts.box.classList.toggle("running", side.status === "running");
      parts.text.show(side.text, side.read?.answer ?? null, `The answer, ${side.how}`);
      parts.error.textContent = side.error;
      parts.error.hidden = !side.error;
      parts.meter.show(side.receipt);
      const end = side.status === "stopped" ? "Stopped." : side.cut ? "Cut at the length that was asked for." : "";
      parts.receipt.textContent = [inWords(side.receipt), end].filter(Boolean).join(" ");
      parts.anew.hidden = !last || store.running || (side.how === title() && !turned()) || !store.models.length;
    }
  }
}
customElements.define("talk-columns", TalkColumns);
