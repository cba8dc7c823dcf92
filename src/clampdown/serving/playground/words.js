// A receipt in words.
import { number } from "./dom.js";

export function inWords(receipt) {
  if (!receipt) return "";
  const told = [];
  if (receipt.gate) told.push(gate(receipt));
  if (!receipt.recipe_sha256) told.push("Not steered, and nothing edited.");
  else if (receipt.tokens_edited === 0) told.push("No token was edited: this is the model’s own answer.");
  else {
    const push = number(100 * receipt.relative_norm, 2);
    told.push(`${receipt.tokens_edited} of ${receipt.tokens_seen} tokens edited, each by ${push}% of its length on average.`);
    if (receipt.read_again) told.push(`${count(receipt.read_again)} of the prompt read again, steered.`);
  }
  if (!receipt.tokens_edited) told.push(`${count(receipt.tokens_seen)} seen.`);
  return told.join(" ");
}

const count = (n) => `${n} token${n === 1 ? "" : "s"}`;

function gate({ gate, score, threshold }) {
  if (score === null || score === undefined) return `The gate was forced ${gate}, or could not score.`;
  const open = gate === "open";
  return `The gate ${open ? "opened" : "stayed shut"}: it scored ${number(score)}, and opens from ${number(threshold)}.`;
}
