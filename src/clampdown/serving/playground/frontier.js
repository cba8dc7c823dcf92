// <study-frontier>: the report's own charts; a point, clicked, is the recipe that steers.
import { h } from "./dom.js";
import { plainName } from "./choice.js";
import { store } from "./store.js";

const TITLES = { safe: "ordinary requests refused", capability: "capability", lookalike: "look-alikes refused" };

class StudyFrontier extends HTMLElement {
  connectedCallback() {
    store.on("frontier", () => this.#draw());
    store.on("choice", () => this.#mark());
  }

  #draw() {
    const { study, charts, points, title, created } = store.frontier;
    if (!study) {
      this.replaceChildren(h("p", { class: "hint" }, "No study is loaded: make one with ", h("code", {}, "clampdown study"), ", then ", h("code", {}, "clampdown serve --study FOLDER"), "."));
      return;
    }
    this.points = new Map(points.map((point) => [point.name, point]));
    this.status = h("p", { class: "value", role: "status" });
    this.charts = charts.map((chart) => this.#chart(chart));
    const tabs = charts.map((chart, i) => h("button", { type: "button", class: "chip", onclick: () => this.#turn(i) }, TITLES[chart.kind] ?? chart.set));
    this.tabs = tabs;
    const able = points.filter((point) => this.#loads(point));
    const select = h("select", { id: "points", onchange: () => select.value && this.#load(select.value) }, h("option", { value: "" }, "Load a point…"), ...able.map((point) => h("option", { value: point.name }, point.label)));
    this.select = select;
    this.replaceChildren(
      h("p", { class: "hint" }, `${title} (${created.slice(0, 10)}). High is safe; a click on a point loads its recipe.`),
      h("div", { class: "chips", role: "group", "aria-label": "Against what" }, ...tabs),
      ...this.charts,
      h("div", { class: "dial choose" }, h("label", { for: "points" }, "Or by name"), select),
      this.status,
    );
    this.#turn(0);
    this.#mark();
  }

  #turn(i) {
    this.charts.forEach((figure, j) => (figure.hidden = i !== j));
    this.tabs.forEach((tab, j) => tab.setAttribute("aria-pressed", String(i === j)));
  }

  #chart(chart) {
    const svg = document.importNode(new DOMParser().parseFromString(chart.svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" '), "image/svg+xml").documentElement, true);
    svg.setAttribute("role", "group");
    for (const mark of svg.querySelectorAll("g[data-arm]")) {
      const point = this.points.get(mark.dataset.arm);
      if (!point || !this.#loads(point)) continue;
      const load = () => this.#load(point.name);
      const [x, y] = middle(mark.querySelector("circle.m, polygon.m"));
      const hit = document.createElementNS(svg.namespaceURI, "circle");
      for (const [name, value] of Object.entries({ class: "hit", cx: x, cy: y, r: 11 })) hit.setAttribute(name, value);
      mark.append(hit);
      mark.setAttribute("tabindex", "0");
      mark.setAttribute("role", "button");
      mark.setAttribute("aria-label", `Load ${mark.querySelector("title").textContent}`);
      mark.addEventListener("click", load);
      mark.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        load();
      });
    }
    return h("figure", {}, svg);
  }

  #loads(point) {
    return point.recipe !== null || point.group === "none";
  }

  #load(name) {
    const point = this.points.get(name);
    if (point.recipe === null) Object.assign(store.state, { choice: plainName(), dialled: null });
    else Object.assign(store.state, { choice: "point", point, dialled: null });
    this.status.textContent = `Loaded: ${point.label}. ${point.description}${point.why ? ` (${point.why})` : ""}`;
    store.tell("point", "choice");
  }

  #mark() {
    if (!this.points) return;
    const { choice, point } = store.state;
    const now = choice === "point" ? point.name : choice === plainName() ? "none" : "";
    for (const mark of this.querySelectorAll("g[data-arm]")) mark.classList.toggle("loaded", mark.dataset.arm === now);
    this.select.value = [...this.select.options].some((option) => option.value === now) ? now : "";
  }
}

function middle(shape) {
  if (shape.tagName === "circle") return [shape.getAttribute("cx"), shape.getAttribute("cy")];
  const corners = shape.getAttribute("points").split(" ").map((corner) => corner.split(",").map(Number));
  return [0, 1].map((axis) => corners.reduce((sum, corner) => sum + corner[axis], 0) / corners.length);
}
customElements.define("study-frontier", StudyFrontier);
