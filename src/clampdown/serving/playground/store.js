// What the page knows. `state` outlives a reload; the rest is asked of the server anew.

const KEPT = "clampdown-playground";
const EMPTY = {
  choice: null, // which recipe: a model's name, "paper", or "point"
  point: null, // a point of the frontier that was loaded
  dialled: null, // the recipe as the dials have it; null where they are as the choice has them
  turns: [], // [{said, plain: side, steered: side}]
  draft: "",
  length: 120,
  temperature: 0,
  latent: null, // the one that tints
  open: {},
};

function kept() {
  try {
    const found = JSON.parse(localStorage.getItem(KEPT)) ?? {};
    if (!Array.isArray(found.turns ?? [])) return { ...EMPTY };
    for (const turn of found.turns ?? [])
      for (const side of [turn.plain, turn.steered]) if (side.status === "running") side.status = "stopped";
    return { ...EMPTY, ...found };
  } catch {
    return { ...EMPTY };
  }
}

class Store extends EventTarget {
  state = kept();
  models = []; // their names, the unsteered one first
  recipes = new Map(); // by model name, whole
  frontier = null;
  trouble = "";
  running = false;
  shown = null; // a latent that is pointed at, for as long as it is

  on(kind, heard) {
    this.addEventListener(kind, heard);
  }

  tell(...kinds) {
    for (const kind of kinds) this.dispatchEvent(new Event(kind));
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.save(), 200);
  }

  keep(name, value, ...kinds) {
    this.state[name] = value;
    this.tell(name, ...kinds);
  }

  complain(message) {
    this.trouble = message;
    this.tell("trouble");
  }

  save() {
    try {
      localStorage.setItem(KEPT, JSON.stringify(this.state));
    } catch {
      // Full: what was read of the latents can be read again, what was said can't.
      const light = this.state.turns.map((turn) => ({
        ...turn,
        plain: { ...turn.plain, read: null },
        steered: { ...turn.steered, read: null },
      }));
      try {
        localStorage.setItem(KEPT, JSON.stringify({ ...this.state, turns: light }));
      } catch {
        this.trouble = "The browser keeps no more of this conversation; a reload would lose it.";
        this.dispatchEvent(new Event("trouble"));
      }
    }
  }
}

export const store = new Store();
addEventListener("pagehide", () => store.save());
