// <copy-recipe>: what steers now, to take along: as a recipe's file, for the shell, for Python.
import { key } from "./api.js";
import { asked, base, recipe } from "./choice.js";
import { curl, python } from "./commands.js";
import { h } from "./dom.js";
import { store } from "./store.js";
import { messages } from "./talking.js";
import { toml } from "./toml.js";

const KINDS = { recipe: "Recipe", curl: "curl", python: "Python" };

class CopyRecipe extends HTMLElement {
  #kind = "recipe";

  connectedCallback() {
    this.tabs = Object.entries(KINDS).map(([kind, name]) => h("button", { type: "button", class: "chip", "data-kind": kind, onclick: () => this.#turn(kind) }, name));
    this.text = h("pre", { tabindex: 0, role: "region", "aria-label": "What is copied" });
    this.copy = h("button", { type: "button", class: "main", onclick: () => this.#copy() }, "Copy");
    this.status = h("span", { role: "status", class: "hint" });
    this.replaceChildren(h("div", { class: "chips", role: "group", "aria-label": "Copy as" }, ...this.tabs), this.text, h("p", { class: "acts" }, this.copy, this.status));
    for (const kind of ["ready", "choice", "dialled", "turns", "length", "temperature", "answered"]) store.on(kind, () => this.#draw());
  }

  #turn(kind) {
    this.#kind = kind;
    this.#draw();
  }

  #draw() {
    if (!store.models.length) return;
    for (const tab of this.tabs) tab.setAttribute("aria-pressed", String(tab.dataset.kind === this.#kind));
    this.text.textContent = this.#written();
    this.copy.disabled = this.#kind === "recipe" && recipe() === null;
    this.status.textContent = "";
  }

  #written() {
    const { turns, length, temperature } = store.state;
    const now = recipe();
    if (this.#kind === "recipe") {
      if (now === null) return "The unsteered model has no recipe.";
      const gates = [base().start, ...store.recipes.values()];
      return toml(now, gates.find((whole) => whole?.recipe.gate?.sha256 === now.gate?.sha256)?.gate_file);
    }
    const said = turns.length ? messages(turns, turns.length - 1, "steered") : [{ role: "user", content: "How do I bake bread?" }];
    const { model, clampdown } = asked();
    const body = { model, messages: said, max_tokens: length, temperature, ...(clampdown && { clampdown }) };
    const address = new URL("v1", document.baseURI).href;
    return (this.#kind === "curl" ? curl : python)(address, body, Boolean(key()));
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(this.text.textContent);
      this.status.textContent = "Copied.";
    } catch {
      getSelection().selectAllChildren(this.text);
      this.status.textContent = "Selected: now copy it.";
    }
  }
}
customElements.define("copy-recipe", CopyRecipe);
