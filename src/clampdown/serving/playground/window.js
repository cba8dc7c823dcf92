// Windows of positions: a recipe's file has two ways to write one, the dials and a request have one.

const NAMED = {
  "all-but-sinks": ["all", "all", false],
  all: ["all", "all", true],
  generated: ["none", "all", false],
  "from-last-prompt-token": ["last", "all", false],
};

export function windowOf(positions = {}) {
  const { scope, count } = positions;
  if (scope === "first-generated") return { prompt: "none", generated: count, fade: 0, sinks: false };
  const [prompt, generated, sinks] = NAMED[scope ?? "all-but-sinks"];
  return {
    prompt: positions.prompt ?? prompt,
    generated: positions.generated ?? generated,
    fade: positions.fade ?? 0,
    sinks: positions.sinks ?? sinks,
  };
}

export function positionsOf({ prompt, generated, fade, sinks }, before = {}) {
  const norm = before.sink_norm === undefined ? {} : { sink_norm: before.sink_norm };
  return { prompt, generated, ...(fade && typeof generated === "number" && { fade }), ...(sinks && { sinks }), ...norm };
}

export const everywhere = (whole) =>
  positionsOf({ prompt: "all", generated: "all", fade: 0, sinks: false }, whole.recipe.positions);

export const sameWindow = (a, b) => JSON.stringify(windowOf(a.positions)) === JSON.stringify(windowOf(b.positions));

export function inWords(positions) {
  const { prompt, generated, fade, sinks } = windowOf(positions);
  const first = { all: "the whole prompt", user: "what you say", last: "the prompt’s last token", none: "nothing of the prompt" };
  const then = { all: "the whole answer", none: "nothing of the answer" };
  const faded = fade ? `, fading over ${fade} more` : "";
  return `${first[prompt]} and ${then[generated] ?? `the answer’s first ${generated} tokens`}${faded}${sinks ? ", sinks too" : ""}`;
}
