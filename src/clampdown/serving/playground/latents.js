// <latent-panel>: the latents to look at, what is known of the one pointed at, and the token under the pointer.
import { h, number } from "./dom.js";
import { known, tinting } from "./lens.js";
import { store } from "./store.js";

class LatentPanel extends HTMLElement {
  connectedCallback() {
    for (const kind of ["ready", "choice", "dialled"]) store.on(kind, () => this.#draw());
    for (const kind of ["latent", "shown"]) store.on(kind, () => this.#card());
    store.on("token", () => this.#token());
  }

  #draw() {
    const all = known();
    const drawn = JSON.stringify(all.map((one) => [one.key, one.held]));
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    if (!all.length) {
      this.replaceChildren(h("p", { class: "hint" }, "No recipe here clamps a latent, so there is none to look at."));
      return;
    }
    const point = (key) => {
      store.shown = key;
      store.tell("shown");
    };
    this.buttons = all.map((one) =>
      h(
        "button",
        {
          type: "button",
          class: "chip",
          "data-key": one.key,
          onclick: () => store.keep("latent", one.key),
          onmouseenter: () => point(one.key),
          onmouseleave: () => point(null),
          onfocus: () => point(one.key),
          onblur: () => point(null),
        },
        String(one.latent),
      ),
    );
    const held = all.some((one) => one.held !== null);
    const text = held
      ? "The latents that this recipe clamps."
      : "This recipe clamps none; these are the refusal latents of another, to look at.";
    this.about = h("div", { class: "about" });
    this.value = h("p", { class: "value", "aria-live": "polite" });
    const scale = h("p", { class: "scale" }, h("span", { "aria-hidden": "true" }), "activation, read without steering");
    this.replaceChildren(
      h("p", { class: "hint" }, `${text} Point at one: each token of prompt and answers is tinted by it.`),
      h("div", { class: "chips", role: "group", "aria-label": "Latents" }, ...this.buttons),
      scale,
      this.value,
      this.about,
    );
    this.#card();
    this.#token();
  }

  #card() {
    const one = tinting();
    if (!one || !this.about) return;
    const pinned = (known().find((other) => other.key === store.state.latent) ?? known()[0]).key;
    for (const button of this.buttons) {
      button.setAttribute("aria-pressed", String(button.dataset.key === pinned));
      button.classList.toggle("shown", button.dataset.key === one.key);
    }
    const facts = [
      ["after block", one.layer],
      ["held at", one.held === null ? null : number(Number(one.held) || 0, 4)],
      ["largest seen", one.maximum && number(one.maximum, 3)],
      ["alone adds, to refusals of unsafe requests", one.unsafe_gain === undefined ? null : number(one.unsafe_gain)],
    ].filter(([, value]) => value !== null && value !== undefined);
    const list = h("dl", { class: "facts" }, ...facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, String(value)))));
    // Never lower than before: else what is pointed at would move from under the pointer, and back again.
    this.about.style.minHeight = `${this.about.offsetHeight}px`;
    this.about.replaceChildren(h("h3", {}, `Latent ${one.latent}`), list, ...this.#described(one));
    this.#token();
  }

  #described(one) {
    const parts = [];
    if (one.contexts?.length) {
      const most = Math.max(...one.contexts.map((context) => context.activation));
      const lines = one.contexts.map(({ before, token, after, activation }) => {
        const mark = h("mark", { title: `activation ${number(activation)}` }, token);
        mark.style.setProperty("--a", (activation / most).toFixed(3));
        return h("li", {}, h("span", {}, before.trimStart(), mark, after.trimEnd()), h("small", {}, number(activation)));
      });
      parts.push(h("h4", {}, "Most active on"), h("ul", { class: "contexts" }, ...lines));
    }
    if (one.promotes?.length)
      parts.push(h("h4", {}, "Makes likelier"), h("ul", { class: "promotes" }, ...one.promotes.map((token) => h("li", {}, token.trim() || "␣"))));
    if (!parts.length) parts.push(h("p", { class: "hint" }, "Nothing more is known of it here; clampdown find writes that beside a recipe."));
    return parts;
  }

  #token() {
    if (!this.value) return;
    const one = tinting();
    this.value.textContent = store.token
      ? `“${store.token[0].replaceAll("\n", "↵")}”: ${number(store.token[1][one.key] ?? 0)} of latent ${one.latent}`
      : "Point at a token for its value.";
  }
}
customElements.define("latent-panel", LatentPanel);
