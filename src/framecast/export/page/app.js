// The page: frames in by drawing, throwing, dropping or opening; the forecast out, on one line of time.
"use strict";
const about = JSON.parse(document.getElementById("about").textContent);
const $ = id => document.getElementById(id);
const {channels, low, high, multiple, context, grey} = about;
let height = about.height, width = about.width;
let past = [], ahead = [], shown = 0, timer = null, engine = null, asked = 0, maps = null;

// --- parts of the file -------------------------------------------------------------------------------------------------
async function unpack(name) {
  const text = $("part-" + name).textContent, bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  $("part-" + name).remove();
  return new Response(stream).arrayBuffer();
}

async function startEngine() {
  const [runtime, wasm, model] = await Promise.all(["runtime", "wasm", "model"].map(unpack));
  const source = $("engine").textContent, parts = {runtime, wasm, model};
  try {
    const tail = "\nonmessage = async ({data: {number, task, given}}) => { try { postMessage({number, result: " +
      "await {load, predict}[task](given)}) } catch (fault) { postMessage({number, fault: String(fault)}) } };\n";
    const place = URL.createObjectURL(new Blob([source, tail], {type: "text/javascript"}));
    const worker = new Worker(place, {type: "module"}), waiting = new Map();
    worker.onmessage = ({data: {number, result, fault}}) => {
      const [good, bad] = waiting.get(number);
      waiting.delete(number);
      fault === undefined ? good(result) : bad(new Error(fault));
    };
    worker.onerror = event => { for (const [, bad] of waiting.values()) bad(new Error(event.message || "worker")); };
    const call = (task, given) => new Promise((good, bad) => {
      const number = ++asked;
      waiting.set(number, [good, bad]);
      worker.postMessage({number, task, given});
    });
    await call("load", parts);
    return given => call("predict", given);
  } catch (fault) {  // a browser without workers from files computes in the page itself
    const module = await import(URL.createObjectURL(new Blob([source], {type: "text/javascript"})));
    await module.load(parts);
    return module.predict;
  }
}

// --- forecast ----------------------------------------------------------------------------------------------------------
async function predict(frames, horizon) {
  const size = channels * height * width, values = new Float32Array(frames.length * size);
  frames.forEach((frame, t) => values.set(frame, t * size));
  const answer = await engine({values, shape: [1, frames.length, channels, height, width], horizon});
  const part = answer.values.length / horizon;
  return {...answer, frames: Array.from({length: horizon}, (_, k) => answer.values.slice(k * part, (k + 1) * part))};
}

async function forecast() {
  if (!engine || !past.length) return;
  const horizon = Math.min(100, Math.max(1, Math.round(+$("horizon").value) || 1)), given = past;
  say(`Forecasting ${horizon} frames of ${height} x ${width} ...`);
  try {
    const answer = await predict(given, horizon);
    if (given !== past) return;  // another past has come meanwhile
    [ahead, maps] = [answer.frames, answer.maps];
    document.body.dataset.sum = sum(answer.values);
    say(`${horizon} frames of ${height} x ${width} from ${past.length}, in ${answer.seconds.toFixed(2)} s.`);
    drawFilms();
    play(true, past.length - 1);
  } catch (fault) { say(`The forecast failed: ${fault.message}`, true); }
}
const sum = values => values.reduce((total, value) => total + value, 0);

function take(frames) {
  past = frames.slice(-context);
  [ahead, maps] = [[], null];
  show(past.length - 1);
  drawFilms();
  return forecast();
}

// --- drawing -----------------------------------------------------------------------------------------------------------
const STOPS = [[13, 8, 40], [70, 40, 130], [30, 120, 150], [70, 190, 110], [250, 230, 80]];
function colour(share) {
  if (grey) { const level = 255 * share; return [level, level, level]; }
  return shade(share);
}
function shade(share) {
  const at = share * (STOPS.length - 1), from = Math.min(STOPS.length - 2, Math.floor(at));
  return STOPS[from].map((value, n) => value + (STOPS[from + 1][n] - value) * (at - from));
}
function paint(canvas, frame) {
  canvas.width = width; canvas.height = height;
  const pen = canvas.getContext("2d"), picture = pen.createImageData(width, height), count = height * width;
  const share = value => Number.isNaN(value) ? 0 : Math.min(1, Math.max(0, (value - low) / (high - low)));
  for (let i = 0; i < count; i++) {
    const rgb = channels === 3 ? [0, 1, 2].map(n => 255 * share(frame[n * count + i])) : colour(share(frame[i]));
    picture.data.set([...rgb, 255], 4 * i);
  }
  pen.putImageData(picture, 0, 0);
}
function show(number) {
  const all = [...past, ...ahead];
  if (!all.length) return;
  shown = Math.min(Math.max(number, 0), all.length - 1);
  paint($("view"), all[shown]);
  const future = shown >= past.length;
  $("label").className = future ? "ahead" : "";
  $("label").textContent = future ? `forecast +${shown - past.length + 1}` : `past ${shown - past.length + 1}`;
  Object.assign($("time"), {max: all.length - 1, value: shown});
  $("time").setAttribute("aria-valuetext", $("label").textContent);
  document.querySelectorAll(".film button").forEach((button, n) => button.setAttribute("aria-current", n === shown));
  showGate();
}
function showGate() {  // as the shown frame entered; the last forecast enters nowhere, so as it was made
  $("gates").hidden = !maps;
  if (!maps) return;
  const [, steps, count, rows, columns] = maps.shape, size = rows * columns, canvas = $("gate-view");
  const step = Math.min(shown, steps - 1), first = (step * count + $("gate").selectedIndex) * size;
  canvas.width = columns; canvas.height = rows;
  const pen = canvas.getContext("2d"), picture = pen.createImageData(columns, rows);
  const values = maps.values.subarray(first, first + size);
  values.forEach((value, i) => picture.data.set([...shade(value), 255], 4 * i));
  pen.putImageData(picture, 0, 0);
  const mean = sum(values) / size;
  $("gate-said").textContent = `${Math.round(100 * mean)} % open, ${step < past.length ? "past" : "forecast"}`;
  canvas.dataset.mean = mean;
}
function drawFilms() {
  [[$("past"), past, 0, "past"], [$("ahead"), ahead, past.length, "forecast"]].forEach(([film, frames, first, word]) => {
    film.replaceChildren(...frames.map((frame, n) => {
      const button = document.createElement("button"), canvas = document.createElement("canvas");
      paint(canvas, frame);
      button.append(canvas);
      button.setAttribute("aria-label", `${word}, frame ${n + 1}`);
      button.onclick = () => { play(false); show(first + n); };
      return button;
    }));
  });
  show(shown);
}
function play(on, from) {
  clearInterval(timer);
  timer = null;
  if (from !== undefined) show(from);
  if (on) timer = setInterval(() => show(shown + 1 < past.length + ahead.length ? shown + 1 : 0), 160);
  $("play").textContent = on ? "Stop" : "Play";
  $("play").setAttribute("aria-pressed", on);
}
function say(text, wrong = false) { $("status").textContent = text; $("status").className = wrong ? "wrong" : ""; }

// --- frames in ---------------------------------------------------------------------------------------------------------
function stamp(shape, x, y) {  // a frame with a shape at a place, pixels
  const canvas = document.createElement("canvas"), radius = Math.min(height, width) * 0.13;
  canvas.width = width; canvas.height = height;
  const pen = canvas.getContext("2d", {willReadFrequently: true});
  pen.fillRect(0, 0, width, height);
  pen.fillStyle = pen.strokeStyle = "#fff";
  pen.lineWidth = radius * 0.45;
  pen.beginPath();
  if (shape === "disc" || shape === "ring") pen.arc(x, y, radius, 0, 7);
  else if (shape === "square") pen.rect(x - radius, y - radius, 2 * radius, 2 * radius);
  else {
    Object.assign(pen, {font: `600 ${radius * 2.6}px sans-serif`, textAlign: "center", textBaseline: "middle"});
    pen.fillText(shape, x, y);
  }
  shape === "ring" ? pen.stroke() : pen.fill();
  return fromCanvas(pen);
}
function fromCanvas(pen) {
  const {data} = pen.getImageData(0, 0, width, height), count = height * width;
  const frame = new Float32Array(channels * count);
  for (let i = 0; i < count; i++) {
    const levels = channels === 3 ? [0, 1, 2].map(n => data[4 * i + n])
      : Array(channels).fill(0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2]);
    levels.forEach((level, n) => { frame[n * count + i] = low + (high - low) * level / 255; });
  }
  return frame;
}
function throwShape() {
  const angle = Math.random() * 2 * Math.PI, speed = Math.min(height, width) * 0.05, edge = Math.min(height, width) * 0.2;
  const bounce = (place, size) => {
    const room = Math.max(1, size - 2 * edge), at = ((place - edge) % (2 * room) + 2 * room) % (2 * room);
    return edge + (at > room ? 2 * room - at : at);
  };
  const x = Math.random() * width, y = Math.random() * height;
  return take(Array.from({length: context}, (_, t) => stamp($("shape").value,
    bounce(x + t * speed * Math.cos(angle), width), bounce(y + t * speed * Math.sin(angle), height))));
}
function resize(newHeight, newWidth) {
  if (about.fixed && (newHeight !== about.height || newWidth !== about.width))
    throw new Error(`this model takes frames of ${about.height} x ${about.width}, got ${newHeight} x ${newWidth}`);
  const cut = size => Math.floor(size / multiple) * multiple;
  [height, width] = [cut(newHeight), cut(newWidth)];
  if (height < 2 * multiple || width < 2 * multiple)
    throw new Error(`frames of ${newHeight} x ${newWidth} are too small`);
}
async function open(files) {
  try {
    const list = [...files].sort((a, b) => a.name.localeCompare(b.name, undefined, {numeric: true}));
    if (list.length === 1 && list[0].name.endsWith(".npy")) return take(readNpy(await list[0].arrayBuffer()));
    const pictures = await Promise.all(list.map(file => createImageBitmap(file)));
    about.fixed ? resize(about.height, about.width) : resize(pictures[0].height, pictures[0].width);
    return take(pictures.map(picture => {
      const canvas = document.createElement("canvas");
      canvas.width = width; canvas.height = height;
      const pen = canvas.getContext("2d", {willReadFrequently: true});
      about.fixed ? pen.drawImage(picture, 0, 0, width, height) : pen.drawImage(picture, 0, 0);
      return fromCanvas(pen);
    }));
  } catch (fault) { say(`These frames cannot be read: ${fault.message}`, true); }
}
const KINDS = {f4: Float32Array, f8: Float64Array, u1: Uint8Array, u2: Uint16Array, i2: Int16Array, i4: Int32Array};
function readNpy(buffer) {
  const view = new DataView(buffer);
  if (view.getUint32(0) !== 0x934e554d) throw new Error("not an .npy file");
  const [length, start] = view.getUint8(6) === 1 ? [view.getUint16(8, true), 10] : [view.getUint32(8, true), 12];
  const header = new TextDecoder().decode(new Uint8Array(buffer, start, length));
  const kind = /'descr': '[<|]([a-z]\d)'/.exec(header), shape = /'shape': \(([\d, ]*)\)/.exec(header);
  if (!kind || !KINDS[kind[1]] || !shape || /True/.test(header)) throw new Error("an array of another kind");
  const sizes = shape[1].split(",").filter(text => text.trim()).map(Number), rows = sizes.slice(-2);
  const layers = sizes.length === 4 ? sizes[1] : 1;
  if (sizes.length < 3 || sizes.length > 4 || layers !== channels) throw new Error(`an array of (${sizes})`);
  resize(...rows);
  const values = new KINDS[kind[1]](buffer.slice(start + length)), [fullRows, fullColumns] = rows;
  return Array.from({length: sizes[0]}, (_, t) => {
    const frame = new Float32Array(channels * height * width);
    for (let c = 0, to = 0; c < channels; c++)
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) frame[to++] = values[((t * channels + c) * fullRows + y) * fullColumns + x];
    return frame;
  });
}
function writeNpy(frames) {
  const shape = channels === 1 ? `(${frames.length}, ${height}, ${width})`
    : `(${frames.length}, ${channels}, ${height}, ${width})`;
  let header = `{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}, }`;
  header = header.padEnd(64 * Math.ceil((header.length + 11) / 64) - 11) + "\n";
  const start = new Uint8Array([0x93, 78, 85, 77, 80, 89, 1, 0, header.length & 255, header.length >> 8]);
  return new Blob([start, header, ...frames], {type: "application/octet-stream"});
}
async function loadExample() {
  const {shape, scale, offset} = about.example, bytes = new Uint8Array(await exampleBytes);
  resize(...shape.slice(-2));
  const size = bytes.length / shape[0];
  return take(Array.from({length: shape[0]}, (_, t) =>
    Float32Array.from(bytes.subarray(t * size, (t + 1) * size), byte => offset + scale * byte)));
}

// --- hands -------------------------------------------------------------------------------------------------------------
let trail = null, clock = null, pointer = null;
function place(event) {
  const box = $("view").getBoundingClientRect();
  return [(event.clientX - box.left) / box.width * width, (event.clientY - box.top) / box.height * height];
}
$("view").onpointerdown = event => {
  event.preventDefault();
  $("view").setPointerCapture(event.pointerId);
  play(false);
  pointer = place(event);
  trail = [];
  const note = () => { trail.push(stamp($("shape").value, ...pointer)); past = trail.slice(-context); [ahead, maps] = [[], null]; show(past.length - 1); };
  note();
  clock = setInterval(note, 90);
};
$("view").onpointermove = event => { if (trail) pointer = place(event); };
$("view").onpointerup = $("view").onpointercancel = () => {
  if (!trail) return;
  clearInterval(clock);
  const frames = trail;
  trail = null;
  while (frames.length < context) frames.unshift(frames[0]);  // the stroke was short: it rested before
  take(frames);
};
$("play").onclick = () => play(timer === null);
$("time").oninput = event => { play(false); show(+event.target.value); };
$("again").onclick = forecast;
$("gate").append(...about.gates.map(text => new Option(text)));
$("gate").onchange = showGate;
$("horizon").onchange = forecast;
$("throw").onclick = throwShape;
$("example").onclick = loadExample;
$("files").onchange = event => event.target.files.length && open(event.target.files);
$("save").onclick = () => {
  if (!ahead.length) return say("There is no forecast yet.", true);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(writeNpy(ahead));
  link.download = "forecast.npy";
  link.click();
};
for (const [name, on] of [["dragover", true], ["dragleave", false], ["drop", false]])
  document.body.addEventListener(name, event => { event.preventDefault(); $("stage").classList.toggle("dropping", on); });
document.body.addEventListener("drop", event => event.dataTransfer.files.length && open(event.dataTransfer.files));
document.addEventListener("keydown", event => {
  if (event.target.matches("input, select, button")) return;
  const moves = {ArrowRight: 1, ArrowLeft: -1};
  if (event.key === " ") { event.preventDefault(); play(timer === null); }
  else if (event.key in moves) { event.preventDefault(); play(false); show(shown + moves[event.key]); }
});
const exampleBytes = about.example ? unpack("example") : null;
$("example").hidden = !about.example;
window.framecast = {predict: (...given) => predict(...given), take};
startEngine().then(found => { engine = found; return about.example ? loadExample() : throwShape(); })
  .then(() => { document.body.dataset.ready = "yes"; })
  .catch(fault => say(`The model cannot run here: ${fault.message}`, true));
