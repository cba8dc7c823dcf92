// Which recipe steers: what was chosen, what the dials made of it, and how a request says so.
import { store } from "./store.js";
import { everywhere, sameWindow, windowOf } from "./window.js";

export const same = (a, b) => JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));

const sorted = (value) =>
  value && typeof value === "object" && !Array.isArray(value)
    ? Object.fromEntries(Object.keys(value).sort().map((name) => [name, sorted(value[name])]))
    : Array.isArray(value)
      ? value.map(sorted)
      : value;

export const plainName = () => store.models[0];
export const called = (model) => (model === plainName() ? "" : model.slice(plainName().length + 1));
const strong = () => [...store.recipes.keys()].find((model) => called(model) === "refusal");

// The choices there are: {id, title, text}, those that tell the story first.
export function choices() {
  const known = {
    guarded: ["Guarded", "Steered only where the gate sees harm asked for"],
    refusal: ["Strong clamp", "Refusal latents held up at the start, whatever is asked"],
    "guarded-clamp": ["Guarded clamp", "The strong clamp, behind guarded’s gate"],
  };
  const told = [...store.recipes.values()].map((whole) => {
    const name = called(whole.model);
    const [title, text] = known[name] ?? [name, whole.recipe.note || whole.window];
    return { id: whole.model, title, text, rank: Object.keys(known).indexOf(name) };
  });
  const first = told.filter((one) => one.rank >= 0 && one.rank < 2).sort((a, b) => a.rank - b.rank);
  const paper = strong() ? [{ id: "paper", title: "The paper’s point", text: "The same clamp, held on every token to the end" }] : [];
  const others = told.filter((one) => one.rank < 0 || one.rank > 1);
  const { point } = store.state;
  const loaded = point ? [{ id: "point", title: point.label, text: "A point of the frontier" }] : [];
  const plain = { id: plainName(), title: "Unsteered", text: "The model as it is, on both sides" };
  return [plain, ...first, ...paper, ...loaded, ...others];
}

// Whether what was kept from another visit is still here.
export function fits(state) {
  if (state.choice === "point") return Boolean(state.point?.recipe);
  if (state.choice === "paper") return Boolean(strong());
  return state.choice === null || store.models.includes(state.choice);
}

// The model that a request names, and its recipe whole; both of what was chosen, before any dial.
export function base(state = store.state) {
  if (state.choice === "point") return { model: plainName(), whole: null, start: state.point };
  const model = state.choice === "paper" ? strong() : state.choice;
  const whole = store.recipes.get(model) ?? null;
  const held = whole && state.choice === "paper" && { ...whole, recipe: { ...whole.recipe, positions: everywhere(whole) } };
  return { model, whole, start: held || whole };
}

// The recipe that steers now; null where nothing does.
export const recipe = (state = store.state) => state.dialled ?? base(state).start?.recipe ?? null;

export const turned = (state = store.state) => state.dialled !== null && !same(state.dialled, base(state).start?.recipe);

export function title(state = store.state) {
  const found = choices().find((one) => one.id === state.choice);
  return found ? found.title + (turned(state) ? ", dialled" : "") : "Steered";
}

// {model, clampdown} of a request: by name where that says it, by few changes where those do, else the whole recipe.
export function asked(state = store.state) {
  const wanted = recipe(state);
  const { model, whole } = base(state);
  if (wanted === null) return { model: plainName() };
  if (whole === null) return { model, clampdown: { recipe: wanted } };
  const changes = changed(whole.recipe, wanted);
  if (changes === null) return { model: plainName(), clampdown: { recipe: wanted } };
  return Object.keys(changes).length ? { model, clampdown: changes } : { model };
}

function changed(from, to) {
  const changes = {};
  if (!sameWindow(from, to)) changes.window = windowOf(to.positions);
  if (!same(from.gate ?? null, to.gate ?? null)) {
    if (from.gate?.sha256 !== to.gate?.sha256) return null;
    if (from.gate.threshold !== to.gate.threshold) changes.threshold = to.gate.threshold;
    if ((from.gate.decide ?? "score") !== (to.gate.decide ?? "score")) changes.decide = to.gate.decide ?? "score";
  }
  if (!same(from.edits, to.edits)) {
    const [one] = from.edits;
    const alone = from.edits.length === 1 && one.kind === "direction" && one.strength;
    if (!alone || !same({ ...one, strength: 0 }, { ...to.edits[0], strength: 0 })) return null;
    changes.factor = to.edits[0].strength / one.strength;
  }
  return changes;
}
