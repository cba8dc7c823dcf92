// The public API, and nothing else. A key is asked for where the server wants one, and kept for this tab alone.

const KEY = "clampdown-key";
let asking = null; // one question at a time, however many requests wait for it
export const asker = { ask: async () => "" }; // set by key.js

export const key = () => sessionStorage.getItem(KEY) ?? "";

export class ServerError extends Error {}

async function called(path, options) {
  for (;;) {
    const used = key();
    const headers = { ...options.headers, ...(used && { Authorization: `Bearer ${encoded(used)}` }) };
    let answer;
    try {
      answer = await fetch(path, { ...options, headers });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ServerError("The server can't be reached; is it still running?");
    }
    if (answer.ok) return answer;
    const message = await told(answer);
    if (answer.status !== 401) throw new ServerError(message);
    if (key() === used) {
      asking ??= asker.ask(used ? message : "").finally(() => (asking = null));
      const given = await asking;
      if (!given) throw new ServerError(message);
      sessionStorage.setItem(KEY, given);
    }
  }
}

// A header holds bytes; the server reads UTF-8.
const encoded = (text) => String.fromCharCode(...new TextEncoder().encode(text));

async function told(answer) {
  try {
    return (await answer.json()).error.message;
  } catch {
    return `The server answered ${answer.status}.`;
  }
}

export const get = async (path) => (await called(path, {})).json();

const sent = (body) => ({
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(body),
});

export const post = async (path, body, signal) => (await called(path, { ...sent(body), signal })).json();

// The chunks of a streamed answer, as they come.
export async function* stream(path, body, signal) {
  const answer = await called(path, { ...sent({ ...body, stream: true }), signal });
  let rest = "";
  for await (const piece of pieces(answer.body.pipeThrough(new TextDecoderStream()))) {
    const events = (rest + piece).split("\n\n");
    rest = events.pop();
    for (const event of events) {
      const data = event.replace(/^data: /, "");
      if (data === "[DONE]") return;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new ServerError(chunk.error.message);
      yield chunk;
    }
  }
  throw new ServerError("The server went away in the middle of the answer.");
}

async function* pieces(readable) {
  const reader = readable.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}
