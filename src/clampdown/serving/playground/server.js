// What the server has: its models, their recipes whole, and the frontier of its study.
import { get } from "./api.js";
import { fits } from "./choice.js";
import { store } from "./store.js";

export async function load() {
  const listed = await get("v1/models");
  store.models = listed.data.map((model) => model.id);
  const names = Object.keys(await get("v1/clampdown/recipes"));
  const paths = names.map((name) => `v1/clampdown/recipes/${name.split("/").map(encodeURIComponent).join("/")}`);
  const whole = await Promise.all(paths.map(get));
  store.recipes = new Map(whole.map((recipe) => [recipe.model, recipe]));
  if (!fits(store.state)) {
    Object.assign(store.state, { choice: null, point: null, dialled: null });
  }
  store.state.choice ??= names.find((name) => name.endsWith(":guarded")) ?? names[0] ?? store.models[0];
  store.tell("ready", "choice");
  store.frontier = await get("v1/clampdown/frontier");
  store.tell("frontier");
}
