// The API's description, drawn from openapi.json: each path, what it takes and what it gives.
import "./key.js";
import { get } from "./api.js";
import { h } from "./dom.js";

// A schema as it would be written: references followed, each once on the way down.
function written(schema, all, inside = []) {
  const name = schema?.$ref?.split("/").at(-1);
  if (name) return inside.includes(name) ? name : written(all[name], all, [...inside, name]);
  if (!schema) return "anything";
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum.join(" | ");
  const either = schema.anyOf ?? schema.oneOf;
  if (either) {
    const told = either.filter((one) => one.type !== "null").map((one) => written(one, all, inside));
    return told.length === 1 ? told[0] : told.every((one) => typeof one === "string") ? told.join(" or ") : { "either": told };
  }
  if (schema.type === "array") return [written(schema.items, all, inside)];
  if (!schema.properties) return schema.type ?? "anything";
  const must = new Set(schema.required ?? []);
  const told = Object.entries(schema.properties).map(([key, one]) => [must.has(key) ? `${key} (needed)` : key, written(one, all, inside)]);
  return Object.fromEntries(told);
}

// What stands in backticks is code.
const worded = (text) => text.split("`").map((part, i) => (i % 2 ? h("code", {}, part) : part));

function block(what, content, all) {
  const schema = content?.["application/json"]?.schema;
  if (!schema || (!schema.$ref && !schema.properties)) return [];
  const shown = h("pre", { tabindex: 0, role: "region", "aria-label": what }, JSON.stringify(written(schema, all), null, 2));
  return [h("details", {}, h("summary", {}, what), shown)];
}

try {
  const told = await get("openapi.json");
  const all = told.components?.schemas ?? {};
  const parts = Object.entries(told.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, about]) =>
      h(
        "section",
        {},
        h("h2", {}, h("span", { class: "method" }, method.toUpperCase()), h("code", {}, path)),
        h("p", {}, ...worded(about.description ?? about.summary ?? "")),
        ...block("Takes", about.requestBody?.content, all),
        ...block("Gives", about.responses?.["200"]?.content, all),
      ),
    ),
  );
  document.getElementById("paths").append(...parts);
} catch (error) {
  const trouble = document.getElementById("trouble");
  trouble.textContent = error.message;
  trouble.hidden = false;
}
