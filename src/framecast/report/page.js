"use strict";

const HOLD = 5;  // ticks for which the last frame stays
const still = matchMedia("(prefers-reduced-motion: reduce)");

// A film is one picture with its frames side by side; showing a frame moves it behind its window.
for (const player of document.querySelectorAll(".player")) {
  const first = Number(player.dataset.first), last = Number(player.dataset.last), { step, unit } = player.dataset;
  const slider = player.querySelector(".lead"), now = player.querySelector(".now"), play = player.querySelector(".play");
  const samples = [...player.querySelectorAll(".films")], buttons = [...player.querySelectorAll(".choose")];
  let timer = null;

  function words(lead) {
    const frame = lead > 0 ? `forecast, frame +${lead}` : `input, frame ${lead}`;
    return step ? `${frame} (${Number((lead * step).toPrecision(4))} ${unit})` : frame;
  }

  function show(lead) {
    slider.value = lead;
    slider.setAttribute("aria-valuetext", words(lead));
    now.value = words(lead);
    for (const film of player.querySelectorAll(".film")) {
      const place = lead - Number(film.dataset.first);
      film.classList.toggle("waiting", place < 0);
      film.querySelector("img").style.transform = `translateX(${-100 * Math.max(place, 0) / Number(film.dataset.frames)}%)`;
    }
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
    play.setAttribute("aria-pressed", "false");
    now.setAttribute("aria-live", "polite");
  }

  function toggle() {
    if (timer !== null) return stop();
    play.textContent = "Stop";
    play.setAttribute("aria-pressed", "true");
    now.setAttribute("aria-live", "off");
    let held = 0;
    timer = setInterval(() => {
      const lead = Number(slider.value);
      if (lead === last && ++held < HOLD) return;
      held = 0;
      show(lead < last ? lead + 1 : first);
    }, 250);
  }

  slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
  slider.addEventListener("keydown", (event) => {
    if (event.key === " ") { event.preventDefault(); toggle(); }
  });
  play.addEventListener("click", toggle);
  buttons.forEach((button, chosen) => button.addEventListener("click", () => {
    buttons.forEach((other, place) => other.setAttribute("aria-pressed", String(place === chosen)));
    samples.forEach((films, place) => { films.hidden = place !== chosen; });
  }));
  show(Math.min(1, last));
  // It plays by itself, unless the reader asks for less motion.
  if (!still.matches) toggle();
  still.addEventListener("change", () => { if (still.matches && timer !== null) stop(); });
}

// The values of a chart's curves stand beside the pointer.
for (const chart of document.querySelectorAll(".chart[data-lines]")) {
  const { label, lines } = JSON.parse(chart.dataset.lines);
  const width = chart.viewBox.baseVal.width, [top, bottom] = [22, chart.viewBox.baseVal.height - 36];
  const tip = document.createElement("p"), rule = chart.querySelector(".axis").cloneNode(false);
  tip.className = "tip"; tip.hidden = true; rule.setAttribute("class", "rule");
  chart.parentElement.append(tip);

  function hide() { tip.hidden = true; rule.remove(); }

  function row(text, style) {
    const span = document.createElement("span");
    if (style === undefined) { span.append(document.createElement("b")); span.firstChild.textContent = text; return span; }
    span.className = `s${style}`;
    span.textContent = text;
    return span;
  }

  chart.addEventListener("pointermove", (event) => {
    const box = chart.getBoundingClientRect(), x = (event.clientX - box.left) / box.width * width;
    let best = null;
    for (const line of lines) for (const [place, at] of line.at.entries()) {
      if (line.y[place] !== null && (best === null || Math.abs(at - x) < Math.abs(best.at - x))) best = { at, text: line.x[place] };
    }
    if (best === null) return hide();
    const rows = lines.flatMap((line) => {
      const place = line.at.indexOf(best.at);
      return place < 0 || line.y[place] === null ? [] : [row(`${line.name} ${line.y[place]}`, line.style)];
    });
    tip.replaceChildren(row(`${label} ${best.text}`), ...rows);
    tip.hidden = false;
    rule.setAttribute("d", `M${best.at} ${top}V${bottom}`);
    chart.append(rule);
    const left = best.at / width * box.width;
    tip.style.top = `${event.clientY - chart.parentElement.getBoundingClientRect().top + 12}px`;
    tip.style.left = left > box.width / 2 ? "auto" : `${left + 10}px`;
    tip.style.right = left > box.width / 2 ? `${box.width - left + 10}px` : "auto";
  });
  chart.addEventListener("pointerleave", hide);
}

// What is folded away on the screen is printed.
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details:not([open])")) { part.open = true; part.dataset.folded = ""; }
});
addEventListener("afterprint", () => {
  for (const part of document.querySelectorAll("details[data-folded]")) { part.open = false; delete part.dataset.folded; }
});
