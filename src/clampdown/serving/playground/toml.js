// A recipe as its file. The gate's file can't be copied as text; the first line says where it must lie.

export function toml(recipe, gateFile) {
  const lines = [];
  if (recipe.gate && gateFile) lines.push(`# ${gateFile}, the gate's file, must lie beside this one, unless it came along with Clampdown.`);
  for (const name of ["version", "name", "note", "system_prompt"]) if (recipe[name] !== undefined) lines.push(`${name} = ${written(recipe[name])}`);
  lines.push(...table("model", recipe.model), ...table("positions", recipe.positions));
  if (recipe.gate) lines.push(...table("gate", { file: gateFile, ...recipe.gate }));
  for (const { latents, ...edit } of recipe.edits) {
    lines.push(...table("[edits]", edit));
    if (latents) lines.push(...table("edits.latents", latents));
  }
  return `${lines.join("\n")}\n`;
}

const table = (name, body = {}) => ["", `[${name}]`, ...Object.entries(body).map(([key, value]) => `${key} = ${written(value)}`)];

// JSON's strings are TOML's, but for one character.
const written = (value) => (Array.isArray(value) ? `[${value.map(written).join(", ")}]` : JSON.stringify(value).replaceAll("\u007f", "\\u007f"));
