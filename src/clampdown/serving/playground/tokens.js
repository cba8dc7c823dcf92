// <token-text>: a text whose tokens are tinted by the latent that is looked at, with values under the pointer.
import { h, number } from "./dom.js";
import { tinting } from "./lens.js";
import { store } from "./store.js";

class TokenText extends HTMLElement {
  #tokens = null;
  #spans = [];
  #text = null;
  #at = 0;

  connectedCallback() {
    this.heard = () => this.#tint();
    for (const kind of ["latent", "shown", "choice", "dialled", "ready"]) store.on(kind, this.heard);
  }

  disconnectedCallback() {
    for (const kind of ["latent", "shown", "choice", "dialled", "ready"]) store.removeEventListener(kind, this.heard);
  }

  show(text, tokens, label) {
    if (tokens === this.#tokens && text === this.#text) return;
    this.#text = text;
    this.#tokens = tokens;
    if (!tokens) {
      this.textContent = text;
      for (const name of ["tabindex", "role", "aria-label"]) this.removeAttribute(name);
      return;
    }
    this.#spans = tokens.map(([part], i) => h("span", { class: "token", onmouseenter: () => this.#point(i) }, part));
    this.replaceChildren(...this.#spans);
    this.tabIndex = 0;
    this.setAttribute("role", "group");
    this.setAttribute("aria-label", `${label}; arrow keys step through its tokens`);
    this.onkeydown = (event) => this.#step(event);
    this.onmouseleave = this.onblur = () => this.#leave();
    this.#tint();
  }

  #tint() {
    if (!this.#tokens) return;
    const latent = tinting();
    const most = latent?.maximum || Math.max(1, ...this.#tokens.map(([, z]) => z[latent?.key] ?? 0));
    this.#tokens.forEach(([, z], i) => {
      const value = latent ? (z[latent.key] ?? 0) : 0;
      this.#spans[i].style.setProperty("--a", Math.min(1, Math.sqrt(Math.max(0, value) / most)).toFixed(3));
      this.#spans[i].title = latent ? `latent ${latent.latent}: ${number(value)}` : "";
    });
  }

  #point(i) {
    this.#leave();
    this.#at = i;
    this.#spans[i].classList.add("at");
    store.token = this.#tokens[i];
    store.tell("token");
  }

  #leave() {
    for (const span of this.querySelectorAll(".at")) span.classList.remove("at");
    store.token = null;
    store.tell("token");
  }

  #step(event) {
    const by = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity }[event.key];
    if (by === undefined || event.target !== this) return;
    event.preventDefault();
    const from = this.querySelector(".at") ? this.#at + by : by < 0 ? 0 : by === Infinity ? by : 0;
    this.#point(Math.min(this.#tokens.length - 1, Math.max(0, from)));
  }
}
customElements.define("token-text", TokenText);
