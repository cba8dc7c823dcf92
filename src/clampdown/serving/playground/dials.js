// <recipe-dials>: a recipe's edits, window and gate, to turn.
import { base, recipe, same } from "./choice.js";
import { dial, options, hint } from "./controls.js";
import { h } from "./dom.js";
import { store } from "./store.js";
import { positionsOf, windowOf } from "./window.js";

const copy = (value) => JSON.parse(JSON.stringify(value));

class RecipeDials extends HTMLElement {
  connectedCallback() {
    for (const kind of ["ready", "choice"]) store.on(kind, () => this.#draw());
    store.on("dialled", () => (this.back.disabled = store.state.dialled === null));
    this.back = h("button", { type: "button", onclick: () => this.#reset() }, "Back to the preset");
  }

  // Change the recipe; drawn anew where other dials come of it.
  #turn(change, drawn = false) {
    const made = copy(recipe());
    change(made);
    store.keep("dialled", same(made, base().start.recipe) ? null : made);
    if (drawn) this.#redraw();
  }

  #reset() {
    store.keep("dialled", null);
    this.#redraw();
  }

  // The focus stays on the dial that was turned.
  #redraw() {
    const name = document.activeElement?.name;
    this.#draw();
    if (name) this.querySelector(`[name="${CSS.escape(name)}"]`)?.focus();
  }

  #draw() {
    const now = recipe();
    const answers = h("fieldset", {}, h("legend", {}, "Answers"), this.#length(), this.#temperature());
    if (now === null) {
      this.replaceChildren(h("p", { class: "hint" }, "Nothing to turn: this is the model as it is. Pick a recipe above."), answers);
      return;
    }
    this.back.disabled = store.state.dialled === null;
    const edits = now.edits.map((edit, i) => (edit.kind === "clamp" ? this.#clamp(edit, i) : this.#direction(edit, i)));
    this.replaceChildren(...edits, this.#window(now), this.#gate(now), answers, this.back);
  }

  #clamp(edit, i) {
    const operation = edit.operation ?? "set";
    const first = base().start.recipe.edits[i] ?? edit;
    const dials = Object.entries(edit.latents).map(([latent, value]) => {
      const start = first.latents?.[latent] ?? value;
      const most = operation === "multiply" ? 5 : 2 * Math.max(1, Math.abs(parseFloat(start)));
      const set = (to) => this.#turn((made) => (made.edits[i].latents[latent] = to));
      return dial(`latent-${i}-${latent}`, `Latent ${latent}`, parseFloat(value), 0, most, set);
    });
    const operate = (to) =>
      this.#turn((made) => {
        made.edits[i].operation = to;
        if (to === "set") delete made.edits[i].operation;
        const multiplied = to === "multiply" || operation === "multiply";
        for (const latent of Object.keys(edit.latents))
          if (multiplied) made.edits[i].latents[latent] = to === "multiply" ? 2 : first.latents[latent];
      }, true);
    const rules = { delta: "add the difference", reconstruct: "the SAE’s reconstruction" };
    const what = { set: "set to the value", "at-least": "keep at least there", multiply: "multiply by it" };
    return h(
      "fieldset",
      {},
      h("legend", {}, `Clamp after block ${edit.layer}`),
      ...dials,
      options(`operation-${i}`, "Operation", what, operation, operate),
      options(`rule-${i}`, "Rule", rules, edit.rule, (to) => this.#turn((made) => (made.edits[i].rule = to))),
    );
  }

  #direction(edit, i) {
    const start = base().start.recipe.edits[i]?.strength ?? edit.strength;
    const most = 2 * Math.max(Math.abs(start), 0.5);
    const set = (to) => this.#turn((made) => (made.edits[i].strength = to));
    const what = edit.operation === "add" ? "Strength" : "Share taken away";
    return h("fieldset", {}, h("legend", {}, `Direction after block ${edit.layer}`), dial(`strength-${i}`, what, edit.strength, 0, most, set));
  }

  #window(now) {
    const window = windowOf(now.positions);
    const set = (part, drawn) =>
      this.#turn((made) => (made.positions = positionsOf({ ...windowOf(made.positions), ...part }, made.positions)), drawn);
    const prompt = { all: "all of it", user: "what you say", last: "its last token", none: "nothing" };
    const limited = typeof window.generated === "number";
    const answer = { all: "all of it", first: "its first tokens", none: "nothing" };
    return h(
      "fieldset",
      {},
      h("legend", {}, "Window"),
      options("window-prompt", "Of the prompt", prompt, window.prompt, (to) => set({ prompt: to })),
      options("window-answer", "Of the answer", answer, limited ? "first" : window.generated, (to) => set({ generated: to === "first" ? 14 : to, fade: 0 }, true)),
      limited ? dial("window-count", "First tokens", window.generated, 1, 64, (to) => set({ generated: to }), 1) : null,
      limited ? dial("window-fade", "Fading over", window.fade, 0, 32, (to) => set({ fade: to }), 1) : null,
    );
  }

  #gate(now) {
    const gates = { none: "none" };
    const starts = [...store.recipes.values(), base().start].filter((whole) => whole?.recipe.gate?.sha256);
    for (const whole of starts) gates[whole.recipe.gate.sha256] ??= `that of ${whole.recipe.name}`;
    const pick = (to) =>
      this.#turn((made) => {
        if (to === "none") delete made.gate;
        else made.gate = { sha256: to };
      }, true);
    const which = options("gate", "Gate", gates, now.gate?.sha256 ?? "none", pick);
    if (!now.gate) return h("fieldset", {}, h("legend", {}, "Gate"), which, h("p", { class: "hint" }, "Without one every prompt is steered."));
    const own = starts.find((whole) => whole.recipe.gate.sha256 === now.gate.sha256)?.opens_from ?? 0;
    const ways = { score: "by its score", open: "always open", shut: "always shut", watch: "only watch" };
    const decide = (to) =>
      this.#turn((made) => {
        made.gate.decide = to;
        if (to === "score") delete made.gate.decide;
      });
    const threshold = (to) => this.#turn((made) => (made.gate.threshold = to));
    return h(
      "fieldset",
      {},
      h("legend", {}, "Gate"),
      Object.keys(gates).length > 1 ? which : null,
      options("decide", "Opens", ways, now.gate.decide ?? "score", decide),
      dial("threshold", "Opens from a score of", now.gate.threshold ?? own, own - 10, own + 10, threshold),
      hint("The gate reads the prompt once, unsteered, before the answer."),
    );
  }

  #length() {
    return dial("length", "At most tokens", store.state.length, 8, 512, (to) => store.keep("length", to), 1);
  }

  #temperature() {
    return dial("temperature", "Temperature", store.state.temperature, 0, 2, (to) => store.keep("temperature", to), 0.05);
  }
}
customElements.define("recipe-dials", RecipeDials);
