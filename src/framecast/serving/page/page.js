// The map page: one time line of observed and predicted frames over coastlines; nothing is asked of another host.
import { choose, language, say, sayAge, sayNumber, sayTime } from "./words.js";
import { drawCurve } from "./curve.js";

const $ = (id) => document.getElementById(id);
const dark = matchMedia("(prefers-color-scheme: dark)");
const state = { data: null, shown: 0, threshold: null, timer: null, loaded: 0, picked: null, curve: null, under: null };
let map = null, overlay = null, coast = null, marker = null;
const kept = new Map(); // pictures that were fetched, so that playing does not flicker

async function ask(address) {
  const answer = await fetch(address, { cache: "no-cache" });
  if (!answer.ok) throw Object.assign(new Error((await answer.json().catch(() => ({}))).error || answer.status), { status: answer.status });
  return answer.json();
}

// one after the other: an event may come while the first map is being made
let loading = Promise.resolve();
const load = () => (loading = loading.then(read, read));

async function read() {
  let data;
  try {
    data = await ask("map.json");
  } catch (error) {
    $("message").textContent = say(error.status === 404 ? "none" : error.status === 503 ? "waiting" : "lost");
    return;
  }
  $("message").textContent = "";
  const before = state.data, isNew = !before || before.name !== data.name;
  const wasAt = before ? state.shown - countPast(before) : 0;
  state.data = data;
  state.loaded = Date.now();
  const isMoved = !before || JSON.stringify(before.bounds) !== JSON.stringify(data.bounds);
  if (isMoved) await makeMap();
  if (isNew) {
    kept.clear();
    state.shown = Math.min(Math.max(0, wasAt + countPast(data)), data.frames.length - 1);
    if (!before) state.shown = Math.min(countPast(data), data.frames.length - 1);
    fillLayers();
    if (state.picked) pick(state.picked);
  }
  drawWords();
  show(state.shown);
}

const countPast = (data) => data.frames.filter((frame) => frame.kind === "past").length;

async function makeMap() {
  if (map) map.remove();
  const { geographic, bounds } = state.data;
  const crs = geographic ? L.CRS.EPSG3857 : L.CRS.Simple;
  map = L.map("map", { crs, zoomSnap: 0.25, minZoom: geographic ? 2 : -4, maxZoom: geographic ? 13 : 6, attributionControl: false });
  L.control.attribution({ prefix: false }).addTo(map);
  map.fitBounds(bounds);
  overlay = marker = null;
  map.on("mousemove", (event) => readUnder(event.latlng));
  map.on("mouseout", () => { state.under = null; drawUnder(); });
  map.on("click", (event) => pick(event.latlng));
  coast = null;
  if (geographic) {
    coast = L.geoJSON(await ask("coastlines.json"), { interactive: false, style: styleLine }).addTo(map);
    map.attributionControl.addAttribution(say("credit"));
  }
}

function styleLine(feature) {
  const colour = getComputedStyle(document.documentElement).getPropertyValue("--coast").trim();
  return { color: colour, weight: feature.properties.border ? 0.8 : 1.2, dashArray: feature.properties.border ? "4 3" : null, fill: false };
}

function address(frame) {
  const words = new URLSearchParams();
  if (dark.matches) words.set("dark", "true");
  if (state.threshold !== null) words.set("threshold", state.threshold);
  return `${frame.url}?${words}`;
}

function show(number) {
  const { data } = state;
  state.shown = number;
  const frame = data.frames[number], source = address(frame);
  if (!overlay) overlay = L.imageOverlay(source, data.bounds, { opacity: Number($("opacity").value) }).addTo(map);
  else overlay.setUrl(source);
  const kind = document.createElement("span");
  kind.className = `kind ${frame.kind}`;
  const lead = Math.round((Date.parse(frame.time) - Date.parse(data.reference_time)) / 60000);
  kind.textContent = say(frame.kind === "past" ? "observed" : "forecast") + (frame.kind === "past" ? "" : ` +${say("minutes", lead)}`);
  $("time").replaceChildren(sayTime(frame.time), kind);
  $("frame").max = data.frames.length - 1;
  $("frame").value = number;
  $("frame").setAttribute("aria-valuetext", $("time").textContent);
  drawUnder();
  drawPlace();
  fetchAhead();
}

// the frames after the one that is shown first, as they are seen next
function fetchAhead() {
  const { frames } = state.data;
  for (const frame of [...frames.slice(state.shown), ...frames.slice(0, state.shown)]) {
    const source = address(frame);
    if (kept.has(source)) continue;
    const image = new Image();
    image.src = source;
    kept.set(source, image);
  }
}

function play(on) {
  clearInterval(state.timer);
  state.timer = on ? setInterval(() => state.data && show((state.shown + 1) % state.data.frames.length), 450) : null;
  $("play").setAttribute("aria-pressed", String(on));
  $("play").textContent = on ? "⏸" : "▶";
  $("play").setAttribute("aria-label", say(on ? "pause" : "play"));
}

function fillLayers() {
  const { data } = state, select = $("layer");
  $("layers").hidden = !data.thresholds.length;
  if (!data.thresholds.includes(state.threshold)) state.threshold = null;
  const choices = [["", `${say("values")}${data.members > 1 ? ` (${say("mean")})` : ""}`]];
  for (const level of data.thresholds) choices.push([level, say("chance", level, data.units)]);
  select.replaceChildren(...choices.map(([value, text]) => new Option(text, value, false, String(state.threshold ?? "") === String(value))));
}

function drawWords() {
  const { data } = state;
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const one of document.querySelectorAll("[data-word]")) one.textContent = say(one.dataset.word);
  for (const button of document.querySelectorAll("#language button")) button.setAttribute("aria-pressed", String(button.dataset.language === language));
  $("language").setAttribute("aria-label", say("language"));
  $("map").setAttribute("aria-label", say("map"));
  $("frame").setAttribute("aria-label", say("frame"));
  play(state.timer !== null);
  if (!data) return;
  $("model").textContent = say(data.fallback ? "instead" : "by", data.predictor);
  $("past").textContent = say("observed");
  $("ahead").textContent = say("forecast");
  const past = countPast(data), steps = Math.max(1, data.frames.length - 1);
  $("past").style.width = `${(100 * Math.max(0, past - 0.5)) / steps}%`;
  fillLayers();
  drawAge();
  drawLegend();
  drawSkill();
}

function drawAge() {
  const { data } = state;
  if (!data) return;
  const seconds = data.age_seconds + (Date.now() - state.loaded) / 1000;
  $("age").className = data.stale ? "stale" : "";
  $("age").textContent = say(data.stale ? "stale" : "ago", sayAge(seconds));
}

function drawLegend() {
  const { data } = state, isChance = state.threshold !== null;
  const steps = (isChance ? data.probability_legend : data.legend)[dark.matches ? "dark" : "light"];
  $("legend-title").textContent = isChance ? say("chance", state.threshold, data.units) : data.units === "1" ? say("values") : data.units;
  $("legend").replaceChildren(...steps.map((step) => {
    const item = document.createElement("li"), box = document.createElement("i");
    box.style.background = step.colour;
    item.append(box, isChance ? `${Math.round(100 * step.from)}%` : sayNumber(step.from).replace(/\.0+$/, ""));
    return item;
  }));
}

function drawSkill() {
  const leads = state.data.skill?.leads ?? [];
  const parts = [];
  for (const name of ["extrapolation", "persistence"]) {
    const known = leads.filter((lead) => typeof lead.better?.[name] === "number");
    const count = known.reduce((sum, lead) => sum + lead.forecasts, 0);
    if (!count) continue;
    const share = known.reduce((sum, lead) => sum + lead.forecasts * lead.better[name], 0) / count;
    parts.push(say("better", Math.round(100 * share), say(name), count));
  }
  $("skill-part").hidden = !parts.length;
  $("skill").textContent = parts.join(" ");
}

let pending = null;
function readUnder(place) {
  clearTimeout(pending);
  pending = setTimeout(async () => {
    state.under = { place, point: await readPoint(place) };
    drawUnder();
  }, 70);
}

const readPoint = (place) => ask(`point?latitude=${place.lat.toFixed(5)}&longitude=${place.lng.toFixed(5)}`).catch(() => null);

function drawUnder() {
  const { under } = state;
  if (!under) { $("under").textContent = ""; return; }
  const one = under.point?.curve[state.shown];
  const text = !under.point ? say("outside") : one?.value == null ? say("missing") : `${sayNumber(one.value)} ${under.point.units}`;
  $("under").textContent = text;
}

async function pick(place) {
  state.picked = place;
  if (marker) marker.remove();
  marker = L.circleMarker(place, { radius: 6, weight: 2, color: getComputedStyle(document.documentElement).getPropertyValue("--accent").trim(), fill: false }).addTo(map);
  state.curve = await readPoint(place);
  drawPlace();
}

function drawPlace() {
  if (!state.picked) return;
  const { lat, lng } = state.picked;
  const where = state.data.geographic ? `${lat.toFixed(2)}°, ${lng.toFixed(2)}°` : `${Math.round(lng)}, ${Math.round(lat)}`;
  if (state.curve && state.curve.curve.length === state.data.frames.length) drawCurve($("curve"), state.curve, state.shown, where);
  else if (!state.curve) $("curve").textContent = `${where}: ${say("outside")}`;
}

$("frame").addEventListener("input", () => { play(false); show(Number($("frame").value)); });
$("play").addEventListener("click", () => play(state.timer === null));
$("opacity").addEventListener("input", () => overlay?.setOpacity(Number($("opacity").value)));
$("layer").addEventListener("change", () => {
  state.threshold = $("layer").value === "" ? null : Number($("layer").value);
  drawLegend();
  show(state.shown);
});
for (const button of document.querySelectorAll("#language button")) {
  button.addEventListener("click", () => {
    choose(button.dataset.language);
    drawWords();
    if (state.data) show(state.shown);
  });
}
document.addEventListener("keydown", (event) => {
  if (!state.data || event.ctrlKey || event.metaKey || event.altKey) return;
  const inside = event.target.closest("input, select, button, #map"), step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (event.key === "Enter" && event.target.closest("#map")) pick(map.getCenter());
  else if (event.key === " " && !event.target.closest("button, select")) { event.preventDefault(); play(state.timer === null); }
  else if (step && !inside) { play(false); show((state.shown + step + state.data.frames.length) % state.data.frames.length); }
});
dark.addEventListener("change", () => { if (state.data) { coast?.setStyle(styleLine); drawWords(); show(state.shown); } });
setInterval(drawAge, 10000);
setInterval(() => document.hidden || load(), 30000);
new EventSource("events").addEventListener("forecast", load);
drawWords();
load();
