// <recipe-presets>: one recipe out of those there are, the story's first.
import { choices } from "./choice.js";
import { h } from "./dom.js";
import { store } from "./store.js";

class RecipePresets extends HTMLElement {
  connectedCallback() {
    for (const kind of ["ready", "choice", "point"]) store.on(kind, () => this.#draw());
  }

  #draw() {
    const all = choices();
    const drawn = JSON.stringify(all);
    if (this.drawn !== drawn) {
      this.drawn = drawn;
      const focused = this.contains(document.activeElement);
      this.replaceChildren(h("div", { class: "presets", role: "radiogroup", "aria-labelledby": "pick-title" }, ...all.map((one) => this.#card(one))));
      if (focused) this.querySelector(`[value="${CSS.escape(store.state.choice)}"]`)?.focus();
    }
    for (const input of this.querySelectorAll("input")) input.checked = input.value === store.state.choice;
  }

  #card({ id, title, text }) {
    const pick = () => {
      Object.assign(store.state, { choice: id, dialled: null });
      store.tell("choice");
    };
    const input = h("input", { type: "radio", name: "preset", value: id, onchange: pick });
    return h("label", { class: "preset" }, input, h("span", { class: "name" }, title), h("span", { class: "hint" }, text));
  }
}
customElements.define("recipe-presets", RecipePresets);
