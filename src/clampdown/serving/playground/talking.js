// A conversation: both sides answer at once, each with its own history; then what the latents did is read.
import { post, stream } from "./api.js";
import { asked, plainName, title } from "./choice.js";
import { reading } from "./lens.js";
import { store } from "./store.js";

let halt = new AbortController();

export const stop = () => halt.abort();

const begun = (how) => ({ text: "", receipt: null, error: "", status: "running", how, read: null });

// The messages that a side is sent for its answer to a turn.
export function messages(turns, place, name) {
  const before = turns.slice(0, place).filter((turn) => turn[name].text);
  const told = before.flatMap((turn) => [
    { role: "user", content: turn.said },
    { role: "assistant", content: turn[name].text },
  ]);
  return [...told, { role: "user", content: turns[place].said }];
}

export async function say(said) {
  const turn = { said, plain: begun("Unsteered"), steered: begun(title()) };
  store.state.turns.push(turn);
  store.keep("draft", "", "turns");
  await answered(turn, ["plain", "steered"]);
}

// The steered side of the last turn anew, as the dials are now.
export async function again() {
  const turn = store.state.turns.at(-1);
  turn.steered = begun(title());
  store.tell("turns");
  await answered(turn, ["steered"]);
}

async function answered(turn, names) {
  halt = new AbortController();
  store.running = true;
  store.complain("");
  store.tell("running");
  const place = store.state.turns.indexOf(turn);
  const bodies = { plain: { model: plainName() }, steered: asked() };
  await Promise.all(names.map((name) => one(turn, place, name, bodies[name], halt.signal)));
  store.running = false;
  store.tell("running", "answered");
}

async function one(turn, place, name, how, signal) {
  const side = turn[name];
  const said = messages(store.state.turns, place, name);
  const { length, temperature } = store.state;
  const body = { ...how, messages: said, max_tokens: length, temperature };
  try {
    for await (const chunk of stream("v1/chat/completions", body, signal)) {
      side.text += chunk.choices?.[0]?.delta?.content ?? "";
      side.cut = chunk.choices?.[0]?.finish_reason === "length" || side.cut;
      if (chunk.clampdown) side.receipt = chunk.clampdown.receipts[0];
      store.tell("piece");
    }
    side.status = "done";
  } catch (error) {
    side.status = signal.aborted ? "stopped" : "failed";
    if (!signal.aborted) side.error = error.message;
  }
  store.tell("piece");
  if (!side.text || signal.aborted) return;
  try {
    side.read = await reading(said, side.text, (body) => post("v1/clampdown/activations", body, signal));
  } catch {
    return; // the answer stands without its tint
  }
  store.tell("piece", "read");
}
