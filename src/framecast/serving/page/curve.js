// Curve of a place over time, as SVG: observed, predicted, and the spread of members.
import { say, sayNumber } from "./words.js";

const WIDTH = 320, HEIGHT = 170, LEFT = 34, RIGHT = 8, TOP = 10, BOTTOM = 24;

function add(parent, name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

function joinRuns(points) {
  // a missing value leaves a gap in the line
  let path = "", begun = false;
  for (const [x, y] of points) {
    if (y === null) { begun = false; continue; }
    path += `${begun ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    begun = true;
  }
  return path;
}

export function drawCurve(figure, point, shown, where) {
  const curve = point.curve, times = curve.map((one) => Date.parse(one.time));
  const values = curve.flatMap((one) => [one.value, one.low, one.high]).filter((value) => typeof value === "number");
  let low = Math.min(0, ...values), high = Math.max(...values, low + 1e-6);
  if (high - low < 1) high = low + 1;
  const x = (time) => LEFT + ((time - times[0]) / Math.max(1, times.at(-1) - times[0])) * (WIDTH - LEFT - RIGHT);
  const y = (value) => (value === null ? null : HEIGHT - BOTTOM - ((value - low) / (high - low)) * (HEIGHT - TOP - BOTTOM));
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("role", "img");
  const now = curve.filter((one) => one.kind === "past").length;
  const told = curve.filter((one) => one.value !== null).map((one) => `${one.time.slice(11, 16)} ${sayNumber(one.value)}`);
  svg.setAttribute("aria-label", `${where}, ${point.units}: ${told.join(", ")}`);
  for (const value of [low, (low + high) / 2, high]) {
    add(svg, "line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) });
    add(svg, "text", { x: LEFT - 4, y: y(value) + 4, "text-anchor": "end" }, sayNumber(value));
  }
  const ends = [0, times.length - 1];
  for (const n of ends) add(svg, "text", { x: x(times[n]), y: HEIGHT - 8, "text-anchor": n ? "end" : "start" }, clock(times[n]));
  const spread = curve.map((one, n) => [n, one]).filter(([, one]) => typeof one.low === "number");
  if (spread.length) {
    const up = spread.map(([n, one]) => `${x(times[n])} ${y(one.high)}`);
    const down = spread.map(([n, one]) => `${x(times[n])} ${y(one.low)}`).reverse();
    const area = add(svg, "path", { class: "spread", d: `M${[...up, ...down].join("L")}Z` });
    add(area, "title", {}, say("spread"));
  }
  const points = curve.map((one, n) => [x(times[n]), y(one.value)]);
  add(svg, "path", { class: "observed", d: joinRuns(points.slice(0, now)) });
  add(svg, "path", { class: "predicted", d: joinRuns(points.slice(Math.max(0, now - 1))) });
  if (now && now < times.length) {
    const at = x(times[now - 1]);
    add(svg, "line", { class: "now", x1: at, x2: at, y1: TOP, y2: HEIGHT - BOTTOM });
    add(svg, "text", { x: at, y: HEIGHT - 8, "text-anchor": "middle" }, clock(times[now - 1]));
  }
  const at = x(times[shown]);
  add(svg, "line", { class: "shown", x1: at, x2: at, y1: TOP, y2: HEIGHT - BOTTOM });
  const caption = document.createElement("figcaption");
  const value = curve[shown].value;
  const range = typeof curve[shown].low === "number" ? ` (${sayNumber(curve[shown].low)}–${sayNumber(curve[shown].high)})` : "";
  caption.textContent = `${where}: ${value === null ? say("missing") : `${sayNumber(value)} ${point.units}${range}`}`;
  figure.replaceChildren(svg, caption);
}

function clock(time) {
  const date = new Date(time);
  return `${String(date.getHours()).padStart(2, "0")}:${String(date.getMinutes()).padStart(2, "0")}`;
}
