// OpenAI's own Node client, unmodified, against a server: node node_client.cjs URL; what it heard, as JSON.
const OpenAI = require("openai").default ?? require("openai");

async function main(url) {
  const client = new OpenAI({ baseURL: url, apiKey: "none", maxRetries: 0 });
  const asked = { model: "tiny:clamp", messages: [{ role: "user", content: "Hi" }], temperature: 0, max_tokens: 8 };
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  const whole = await client.chat.completions.create(asked);
  let streamed = "";
  let receipts = [];
  for await (const chunk of await client.chat.completions.create({ ...asked, stream: true })) {
    streamed += chunk.choices[0]?.delta?.content ?? "";
    receipts = chunk.clampdown?.receipts ?? receipts;
  }
  const inline = await client.chat.completions.create({ ...asked, clampdown: { factor: 2 } });
  const text = await client.completions.create({ model: "tiny", prompt: "Once", max_tokens: 3, temperature: 0 });
  let refused = null;
  try {
    await client.chat.completions.create({ ...asked, model: "tiny:none" });
  } catch (error) {
    refused = { status: error.status, code: error.code };
  }
  const content = whole.choices[0].message.content;
  const factored = inline.clampdown.recipe_sha256 !== whole.clampdown.recipe_sha256;
  return { names, content, streamed, receipts, factored, text: text.choices[0].text, refused };
}

main(process.argv[2]).then((told) => console.log(JSON.stringify(told)));
