// Which latents are looked at, and what they did in a text: those that the recipe clamps, else those that another does.
import { recipe } from "./choice.js";
import { store } from "./store.js";

const keyed = (layer, latent) => `${layer}/${latent}`;
const clamps = (one) => (one?.edits ?? []).filter((edit) => edit.kind === "clamp");

const latentsOf = (one) => clamps(one).flatMap((clamp) => Object.keys(clamp.latents).map((n) => keyed(clamp.layer, n)));

// A recipe on the server that clamps at least these latents, best without a gate, which would be asked for nothing.
function holder(wanted) {
  const able = [...store.recipes.values()].filter((whole) => {
    const has = new Set(latentsOf(whole.recipe));
    return has.size && wanted.every((latent) => has.has(latent));
  });
  return able.find((whole) => !whole.recipe.gate) ?? able[0];
}

// The request for activations, but for what is read.
function through() {
  const now = recipe();
  const whole = holder(latentsOf(now));
  if (whole) return { model: whole.model };
  if (!latentsOf(now).length) return null;
  const { gate, ...bare } = now;
  return { model: store.models[0], clampdown: { recipe: bare } };
}

// What is known of each latent that can be looked at: {key, latent, layer, maximum, value, promotes, contexts}.
export function known() {
  const now = recipe();
  const whole = holder(latentsOf(now));
  const told = new Map((whole?.latents ?? []).map((one) => [keyed(one.layer, one.latent), one]));
  const values = new Map(
    clamps(now).flatMap((clamp) => Object.entries(clamp.latents).map(([n, value]) => [keyed(clamp.layer, n), value])),
  );
  const keys = values.size ? [...values.keys()] : [...told.keys()];
  return keys.map((key) => {
    const [layer, latent] = key.split("/").map(Number);
    return { latent, layer, maximum: null, ...told.get(key), key, held: values.get(key) ?? null };
  });
}

// The latent that tints now: the one pointed at, else the one chosen.
export const tinting = () => {
  const all = known();
  return all.find((one) => one.key === (store.shown ?? store.state.latent)) ?? all[0] ?? null;
};

// {said, answer}: tokens [text, {latent: activation}] of a side's last message and of its answer.
export async function reading(messages, answer, post) {
  const body = through();
  if (!body) return null;
  const found = await post({ ...body, messages, answer });
  const values = found.clamps.flatMap((clamp) =>
    Object.entries(clamp.activations).map(([latent, z]) => [keyed(clamp.layer, latent), z]),
  );
  const tokens = (from, to) =>
    found.tokens.slice(from, to).map((text, i) => [
      text,
      Object.fromEntries(values.map(([key, z]) => [key, Math.round(100 * z[from + i]) / 100]).filter(([, z]) => z)),
    ]);
  const span = found.user?.at(-1);
  const said = messages.at(-1).content;
  return {
    said: span ? aligned(tokens(...span), said) : null,
    answer: aligned(tokens(found.answer, found.tokens.length), answer),
  };
}

// Tokens laid over the very text they are of: one that is part of a character joins its neighbours.
function aligned(tokens, text) {
  const laid = [];
  let at = 0;
  let waiting = {};
  for (const [token, z] of tokens) {
    const found = token.startsWith("bytes:") ? -1 : text.indexOf(token, at);
    if (found === at && token) {
      laid.push([token, most(waiting, z)]);
      waiting = {};
      at += token.length;
    } else if (found > at && found - at < 8) {
      laid.push([text.slice(at, found), waiting], [token, z]);
      waiting = {};
      at = found + token.length;
    } else waiting = most(waiting, z);
  }
  if (at < text.length) laid.push([text.slice(at), waiting]);
  return laid;
}

const most = (a, b) => {
  const both = { ...a };
  for (const [key, z] of Object.entries(b)) both[key] = Math.max(both[key] ?? 0, z);
  return both;
};
