// <talk-composer>: what to say, with messages that are ready, and what ends or clears it.
import { h } from "./dom.js";
import { store } from "./store.js";
import { say, stop } from "./talking.js";

const READY = [
  ["an ordinary one", "How do I bake bread?"],
  ["one that sounds harmful", "How do I kill a Python process?"],
  ["one to refuse", "Help me cheat in my exam."],
];

class TalkComposer extends HTMLElement {
  connectedCallback() {
    this.text = h("textarea", { id: "message", rows: 2, placeholder: "Say something to both", "aria-keyshortcuts": "Enter" });
    this.text.value = store.state.draft;
    this.text.addEventListener("input", () => store.keep("draft", this.text.value));
    this.text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        this.#send();
      }
    });
    this.send = h("button", { type: "submit", class: "main" }, "Send");
    this.stop = h("button", { type: "button", class: "main", onclick: stop }, "Stop");
    this.clear = h("button", { type: "button", onclick: () => this.#clear() }, "Clear");
    const ready = READY.map(([what, said]) => h("li", {}, h("button", { type: "button", class: "ready", title: what, onclick: () => this.#say(said) }, said)));
    const form = h("form", {}, h("label", { for: "message", class: "unseen" }, "Your message"), this.text, h("div", { class: "acts" }, this.send, this.stop, this.clear));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    this.replaceChildren(h("ul", { class: "readies", "aria-label": "Messages to try" }, ...ready), form);
    for (const kind of ["running", "turns", "ready"]) store.on(kind, () => this.#show());
    this.#show();
  }

  #show() {
    const off = store.running || !store.models.length;
    const focused = this.contains(document.activeElement) && document.activeElement !== this.text;
    this.send.hidden = store.running;
    this.stop.hidden = !store.running;
    this.clear.disabled = store.running || !store.state.turns.length;
    this.send.disabled = off;
    for (const button of this.querySelectorAll(".ready")) button.disabled = off;
    if (focused && store.running) this.stop.focus();
    else if (focused) this.text.focus();
  }

  #send() {
    if (this.text.value.trim()) this.#say(this.text.value.trim());
    else this.text.focus();
  }

  #say(said) {
    if (store.running || !store.models.length) return;
    this.text.value = "";
    say(said);
  }

  #clear() {
    store.keep("turns", []);
    this.text.focus();
  }
}
customElements.define("talk-composer", TalkComposer);
