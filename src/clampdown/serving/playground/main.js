// Puts the page together: asks the server what it has, then hands over to the elements.
import "./columns.js";
import "./composer.js";
import "./copying.js";
import "./dials.js";
import "./frontier.js";
import "./key.js";
import "./latents.js";
import "./presets.js";
import { load } from "./server.js";
import { store } from "./store.js";

const trouble = document.getElementById("trouble");
store.on("trouble", () => {
  trouble.textContent = store.trouble;
  trouble.hidden = !store.trouble;
});
for (const box of document.querySelectorAll("details.box")) {
  const kept = store.state.open[box.id];
  if (kept !== undefined) box.open = kept;
  box.addEventListener("toggle", () => store.keep("open", { ...store.state.open, [box.id]: box.open }));
}
try {
  await load();
} catch (error) {
  store.complain(error.message);
}
