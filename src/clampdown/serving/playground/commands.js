// A request as a command for the shell, and as Python with the openai package.

export function curl(address, body, keyed) {
  const quoted = JSON.stringify(body).replaceAll("'", "'\\''");
  const key = keyed ? ` \\\n  -H "Authorization: Bearer $CLAMPDOWN_API_KEY"` : "";
  return `curl ${address}/chat/completions${key} \\\n  -H 'Content-Type: application/json' \\\n  -d '${quoted}'\n`;
}

export function python(address, { clampdown, ...body }, keyed) {
  const key = keyed ? 'os.environ["CLAMPDOWN_API_KEY"]' : '"none"';
  const given = Object.entries(body).map(([name, value]) => `    ${name}=${literal(value)},\n`);
  if (clampdown) given.push(`    extra_body={"clampdown": ${literal(clampdown)}},\n`);
  return `${keyed ? "import os\n\n" : ""}from openai import OpenAI

client = OpenAI(base_url="${address}", api_key=${key})
answer = client.chat.completions.create(
${given.join("")})
print(answer.choices[0].message.content)
print(answer.clampdown["receipts"])
`;
}

function literal(value) {
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return JSON.stringify(value);
  return `{${Object.entries(value).map(([key, inner]) => `${JSON.stringify(key)}: ${literal(inner)}`).join(", ")}}`;
}
