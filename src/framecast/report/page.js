"use strict";

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
    timer = setInterval(() => show(Number(slider.value) < last ? Number(slider.value) + 1 : first), 250);
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
}

// What is folded away on the screen is printed.
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details:not([open])")) { part.open = true; part.dataset.folded = ""; }
});
addEventListener("afterprint", () => {
  for (const part of document.querySelectorAll("details[data-folded]")) { part.open = false; delete part.dataset.folded; }
});
