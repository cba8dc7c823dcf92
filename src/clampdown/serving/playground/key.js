// <key-dialog>: asks for the server's key, where it wants one.
import { asker } from "./api.js";
import { h } from "./dom.js";

class KeyDialog extends HTMLElement {
  connectedCallback() {
    this.input = h("input", { id: "key", type: "password", autocomplete: "off", required: true });
    this.why = h("p", { class: "error", role: "alert" });
    const form = h(
      "form",
      {},
      h("h2", { id: "key-title" }, "This server needs its key"),
      h("p", {}, "Its operator set it with --api-key or CLAMPDOWN_API_KEY. It is kept in this tab alone."),
      h("label", { for: "key" }, "API key"),
      this.input,
      this.why,
      h("button", { type: "submit", class: "main" }, "Go on"),
    );
    this.dialog = h("dialog", { "aria-labelledby": "key-title" }, form);
    this.replaceChildren(this.dialog);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.dialog.returnValue = this.input.value;
      this.dialog.close(this.input.value);
    });
    asker.ask = (why) => this.#ask(why);
  }

  #ask(why) {
    this.why.textContent = why;
    this.input.value = this.dialog.returnValue = "";
    this.dialog.showModal();
    return new Promise((told) => this.dialog.addEventListener("close", () => told(this.dialog.returnValue), { once: true }));
  }
}
customElements.define("key-dialog", KeyDialog);
