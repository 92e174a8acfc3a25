"use strict";
const WAIT = 150; // ms: a slider that moves on is waited for
const page = Math.random().toString(36).slice(2);
const part = (id) => document.getElementById(id);
const controls = [...part("settings").querySelectorAll("[data-kind]")];
const form = new Map(controls.map((control) => [control.name, control]));
for (const control of controls) control.base = JSON.stringify(JSON.parse(control.dataset.default));
// settings that have no effect beside others, which the page therefore does not send
const idle = {
  preset: ["HGS", "LGS", "var", "write_var"],
  format: ["x_slices", "w_slices", "bw_e"],
};
let running = null;
let timer = 0;

function numbers(text) {
  const found = text.split(/[\s,]+/).filter(Boolean).map(Number);
  return found.length && found.every(Number.isFinite) ? found : text;
}

function value(control) {
  switch (control.dataset.kind) {
    case "range": return JSON.parse(control.dataset.values)[control.valueAsNumber];
    case "select": return JSON.parse(control.value);
    case "checkbox": return control.checked;
    case "number": return control.value === "" ? "" : Number(control.value);
    default: return numbers(control.value);
  }
}

function show(control) {
  if (control.dataset.kind !== "range") return;
  const text = JSON.parse(control.dataset.texts)[control.valueAsNumber];
  control.setAttribute("aria-valuetext", text);
  control.nextElementSibling.textContent = text;
}

// Set a control; false if it has no such value.
function put(control, wanted) {
  const text = JSON.stringify(wanted);
  switch (control.dataset.kind) {
    case "range": {
      const at = JSON.parse(control.dataset.values).findIndex((each) => JSON.stringify(each) === text);
      if (at < 0) return false;
      control.value = at;
      break;
    }
    case "select":
      if (![...control.options].some((option) => option.value === text)) return false;
      control.value = text;
      break;
    case "checkbox":
      control.checked = wanted === true;
      break;
    default:
      control.value = Array.isArray(wanted) ? wanted.join(", ") : wanted;
  }
  show(control);
  return true;
}

function chosen() {
  for (const [name, others] of Object.entries(idle)) {
    const on = value(form.get(name)) !== null;
    for (const other of others) form.get(other).disabled = on;
  }
  const found = {};
  for (const control of controls) {
    const given = value(control);
    if (!control.disabled && JSON.stringify(given) !== control.base) found[control.name] = given;
  }
  return found;
}

function address(settings) {
  const words = new URLSearchParams();
  for (const [name, given] of Object.entries(settings)) words.set(name, JSON.stringify(given));
  return words.toString();
}

// Set all controls from the link.
function follow() {
  const strange = [];
  for (const control of controls) put(control, JSON.parse(control.base));
  for (const [name, text] of new URLSearchParams(location.hash.slice(1))) {
    let given;
    try { given = JSON.parse(text); } catch { given = text; }
    if (!form.has(name) || !put(form.get(name), given)) strange.push(`${name}=${text}`);
  }
  part("notes").replaceChildren();
  run(strange.length ? `The link has settings that this page does not know: ${strange.join(", ")}` : "");
}

function element(name, text, more = {}) {
  return Object.assign(document.createElement(name), { textContent: text, ...more });
}

const decibels = (given, nothing) => (given === null ? nothing : `${given.toFixed(2)} dB`);
const harm = (effect) => (effect.alone_dB === null ? Infinity : effect.alone_dB);

function fill(found) {
  part("snr").textContent = decibels(found.snr_dB, "no error");
  part("status").textContent = `Computed in ${found.seconds.toFixed(2)} s`;
  part("notes").replaceChildren(...found.notes.map((note) => element("li", note)));
  const effects = [...found.effects].sort((one, other) => harm(one) - harm(other) || 0);
  part("budget").replaceChildren(...effects.map((effect) => {
    const row = element("tr", "");
    row.append(element("th", effect.name, { scope: "row" }), element("td", decibels(effect.alone_dB, "no cost")),
      element("td", decibels(effect.without_dB, "no error")));
    return row;
  }));
  const counts = found.counts;
  const group = (count) => count.toLocaleString("en").replaceAll(",", " ");
  const size = (shape) => shape.join(" x ");
  const rows = [
    ["product", `${size(counts.inputs)} by ${size(counts.weights)}`],
    ["arrays", `${group(counts.arrays)} of ${size(counts.array)}`],
    ["tiles", `${counts.tiles[0]} x ${counts.tiles[1]}, ${counts.tiles[2]} arrays each`],
    ["cells", `${group(counts.cells)} and ${group(counts.reference_cells)} in reference columns`],
    ["DAC conversions", group(counts.dac_conversions)],
    ["ADC conversions", group(counts.adc_conversions)],
    ["ADC full scale", `${Number((found.adc_full_scale_A * 1e6).toPrecision(4))} µA`],
  ];
  if (found.cost) rows.push(...found.cost.figures, [`in ${found.cost.technology}`, found.cost.note]);
  part("counts").replaceChildren(...rows.flatMap(([name, text]) => [element("dt", name), element("dd", text)]));
  part("code").textContent = found.code;
}

function draw(found) {
  part("pictures").replaceChildren(...found.pictures.map((picture) => {
    const figure = element("figure", "");
    if (picture.png) figure.append(element("img", "", { src: picture.png, alt: picture.alt }));
    figure.append(element("figcaption", picture.note ? `${picture.title}: ${picture.note}` : picture.title));
    return figure;
  }));
  if (!found.pictures.length) part("pictures").append(element("p", "Pictures need Matplotlib, which is not installed."));
}

function complain(text) {
  if (text) part("status").textContent = "";
  part("error").textContent = text;
  part("error").hidden = !text;
}

// The answer to a request; null if a newer one is on its way.
async function ask(settings, pictures, signal) {
  try {
    const answer = await fetch("/run", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ page, settings, pictures }),
      signal,
    });
    return answer.status === 409 ? null : await answer.json();
  } catch (error) {
    return signal.aborted ? null : { error: "No answer: does mpimpy explore still run in its terminal?" };
  }
}

async function run(remark = "") {
  if (running) running.abort();
  const mine = running = new AbortController();
  const settings = chosen();
  const hash = address(settings);
  if (!remark) history.replaceState(null, "", hash ? `#${hash}` : location.pathname);
  const show = document.body;
  show.dataset.state = "computing";
  show.classList.add("old", "undrawn");
  part("status").textContent = "Computing …";
  // the numbers first: pictures take longer
  for (const pictures of [false, true]) {
    const found = await ask(settings, pictures, mine.signal);
    if (found === null || mine !== running) return;
    complain(found.error || remark);
    if (found.error) {
      show.dataset.state = "error";
      return;
    }
    show.classList.remove("old");
    if (pictures) {
      draw(found);
      show.classList.remove("undrawn");
    } else fill(found);
  }
  show.dataset.state = "done";
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(run, WAIT);
}

async function copy(text, words) {
  try {
    await navigator.clipboard.writeText(text);
    part("copied").textContent = words;
  } catch {
    part("copied").textContent = "The browser does not let the page copy: mark the text instead.";
  }
}

for (const control of controls) {
  control.addEventListener("input", () => { show(control); document.body.dataset.state = "computing"; soon(); });
}
part("settings").addEventListener("submit", (event) => event.preventDefault());
part("reset").addEventListener("click", () => { history.replaceState(null, "", location.pathname); follow(); });
part("copy-code").addEventListener("click", () => copy(part("code").textContent, "The program is copied."));
part("copy-link").addEventListener("click", () => copy(location.href, "The link is copied."));
addEventListener("hashchange", follow);
follow();
