// What dials are made of: a slider with its number, and a choice of a few.
import { fresh, h } from "./dom.js";

// turned: told the value as it changes. Both slider and number are one dial.
export function dial(name, label, value, low, high, turned, step) {
  const fine = step ?? 10 ** (Math.floor(Math.log10(high - low)) - 2);
  const digits = Math.max(0, -Math.floor(Math.log10(fine)));
  const rounded = (number) => Number(number.toFixed(Math.max(digits, 3)));
  const slider = h("input", { type: "range", name, id: fresh(name), min: low, max: high, step: fine });
  const typed = h("input", { type: "number", name: `${name}-number`, step: "any", "aria-label": `${label}, as a number` });
  const show = (number, from) => {
    if (from !== slider) slider.value = number;
    if (from !== typed) typed.value = rounded(number);
  };
  show(value);
  for (const input of [slider, typed])
    input.addEventListener("input", () => {
      const number = input.valueAsNumber;
      if (!Number.isFinite(number)) return;
      show(number, input);
      turned(step === 1 ? Math.round(number) : rounded(number));
    });
  return h("div", { class: "dial" }, h("label", { for: slider.id }, label), slider, typed);
}

export function options(name, label, all, value, picked) {
  const select = h("select", { name, id: fresh(name), onchange: () => picked(select.value) });
  select.append(...Object.entries(all).map(([key, text]) => h("option", { value: key, selected: key === value }, text)));
  return h("div", { class: "dial choose" }, h("label", { for: select.id }, label), select);
}

export const hint = (text) => h("p", { class: "hint" }, text);
