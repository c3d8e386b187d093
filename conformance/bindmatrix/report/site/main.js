// State of the page: a choice of the composer, a listed scenario, or a question about a program of the catalogue.
const byId = (id) => document.getElementById(id);
let data, composer;
let state = { choice: null, text: "", program: "", question: "" };

const TITLES = { protocol: "Protocol", first: "Address", first_options: "Options", timing: "Set", state: "State", second: "Address", second_options: "Options", listens: "Then it", users: "Made by", then: "Next" };
const FIELDS = [["", ["protocol"]], ["First socket", ["first", "first_options", "timing", "state"]], ["Second socket", ["second", "second_options", "listens", "users"]], ["Afterwards", ["then"]]];

function options(select, groups) {
  select.replaceChildren();
  for (const [label, rows] of groups) {
    const parent = label ? select.appendChild(element("optgroup", { label })) : select;
    for (const [value, text] of rows) parent.append(element("option", { value }, text));
  }
}

function fill() {
  const topics = new Map();
  data.presets.forEach(([topic, question], index) => topics.set(topic, [...(topics.get(topic) || []), [index, question]]));
  options(byId("preset"), [["", [["", "your own"]]], ...topics]);
  const runtimes = new Map();
  data.runtimes.forEach((one) => runtimes.set(one.runtime, [...(runtimes.get(one.runtime) || []), [one.id, one.call]]));
  options(byId("runtime"), [["", [["", "none"]]], ...[...runtimes].sort(([a], [b]) => a.localeCompare(b))]);
  for (const [legend, axes] of FIELDS) {
    const labels = axes.map((axis) => {
      const select = element("select", { id: `x-${axis}`, onchange: () => change(axis, select.value) });
      options(select, [["", data.grammar.axes[axis]]]);
      return element("label", { for: `x-${axis}` }, element("span", {}, TITLES[axis]), select);
    });
    byId("fields").append(element("fieldset", {}, legend ? element("legend", {}, legend) : element("legend", { class: "unseen" }, "Protocol"), ...labels));
  }
  options(byId("goal"), [["", data.goals.map((goal, index) => [index, goal.title])]]);
  byId("goal").addEventListener("change", showRecipe);
  const systems = data.systems.map((system) => [system.os, system.title]);
  options(byId("left"), [["", [["", "none"], ...systems]]]);
  options(byId("right"), [["", [["", "none"], ...systems]]]);
  byId("methods").append(...Object.entries(data.methods).flatMap(([word, meaning]) => [element("dt", {}, word), element("dd", {}, meaning)]));
}

function change(axis, value) {
  const wanted = { ...(state.choice || data.plain), [axis]: value };
  if (axis === "protocol" && value === "tcp") Object.assign(wanted, { state: "listening", listens: "yes" });
  const choice = composer.nearest(wanted, axis);
  const other = composer.axes.filter((one) => choice[one] !== wanted[one] && !(axis === "protocol" && ["state", "listens"].includes(one)));
  byId("notice").textContent = other.length ? `Not combined here, so changed too: ${other.map((one) => `${TITLES[one].toLowerCase()} is now “${Object.fromEntries(data.grammar.axes[one])[choice[one]]}”`).join("; ")}.` : "";
  show({ choice });
}

// The rows of the table for the present question, and the texts of their scenarios.
function rowsOf() {
  if (state.program) {
    const program = data.runtimes.find((one) => one.id === state.program);
    const asked = program.asked[state.question];
    return data.systems.map((system) => {
      const index = asked[system.os];
      if (index === undefined) return { system, bands: null, missing: program.without[system.os] || "" };
      return { system, bands: bandsOf(system, composer.count + index), text: data.listed[index] };
    });
  }
  const number = state.choice ? composer.number(state.choice) : composer.listed.get(state.text);
  if (number === undefined || number < 0) return [];
  return data.systems.map((system) => ({ system, bands: bandsOf(system, number), text: textOf() }));
}

function textOf() {
  return state.choice ? composer.text(state.choice) : state.text;
}

function okWords() {
  if (state.program) return { again: "both run", restart: "restarts", beside: "both run" }[state.question];
  if (!state.choice) return "works";
  if (!["bound", "listening"].includes(state.choice.state)) return "starts again";
  return "share the port";
}

// The question in words: that of the preset or of the program, else what the two sockets are.
function askedText() {
  if (state.program) {
    const program = data.runtimes.find((one) => one.id === state.program);
    return `${program.runtime}, ${program.call}. ${data.questions[state.question]}`;
  }
  const preset = presetOf(state);
  if (preset < 0 && !state.choice) return "A scenario of another page";
  if (preset >= 0) return data.presets[preset][1].replace(/^\.\.\. /, "").replace(/^./, (letter) => letter.toUpperCase());
  const gloss = (axis) => Object.fromEntries(data.grammar.axes[axis])[state.choice[axis]];
  return `${gloss("protocol")}: ${gloss("first")}, options ${gloss("first_options")}; then ${gloss("second")}, options ${gloss("second_options")}`;
}

// What a preset asks: a choice, or a scenario that no choice makes.
function presetState([, , asked]) {
  if (typeof asked === "string") return { text: asked };
  return { choice: Object.fromEntries(composer.axes.map((axis, at) => [axis, asked[at]])) };
}

function presetOf({ choice, text }) {
  return data.presets.findIndex(([, , asked]) => (typeof asked === "string" ? asked === text : choice && composer.axes.every((axis, at) => asked[at] === choice[axis])));
}

function show(next, keepHash = false) {
  if (next.choice === undefined) next.choice = null;
  state = { choice: null, text: "", program: "", question: "", ...next };
  const rows = rowsOf();
  const texts = [...new Set(rows.map((row) => row.text).filter(Boolean))];
  const last = (texts[0] || "").split(" ").filter((word) => word.includes(".bind=")).at(-1);
  const words = { ok: okWords(), options: optionNames(), step: last };
  byId("headline").textContent = rows.length ? summary(rows, words) : "Not one of the questions of this page.";
  byId("asked").textContent = askedText();
  byId("who").textContent = receivers(rows);
  const body = document.querySelector("#systems tbody");
  body.replaceChildren(...rows.flatMap((row) => systemRows(row, words)));
  byId("systems").hidden = !rows.length;
  showScenario(texts.length ? texts : [state.text], rows);
  showControls();
  showAdvice();
  showCompared(rows, words);
  byId("systems").classList.toggle("no-receivers", !rows.some(({ bands }) => bands && bands.some((band) => band.kind === "ok" && band.receives)));
  if (!keepHash) history.replaceState(null, "", `#${hashOf()}`);
  document.title = `${byId("headline").textContent.slice(0, 60)} · bindmatrix explorer`;
}

function optionNames() {
  return { reuseaddr: "SO_REUSEADDR", reuseport: "SO_REUSEPORT", reuseport_lb: "SO_REUSEPORT_LB", exclusive: "SO_EXCLUSIVEADDRUSE", exclbind: "SO_EXCLBIND", v6only: "IPV6_V6ONLY" };
}

function showControls() {
  const choice = state.choice;
  byId("preset").value = presetOf(state) >= 0 ? presetOf(state) : "";
  byId("runtime").value = state.program;
  const program = data.runtimes.find((one) => one.id === state.program);
  byId("runtime-question").hidden = !program;
  if (program) {
    options(byId("runtime-question"), [["", Object.keys(program.asked).map((id) => [id, data.questions[id]])]]);
    byId("runtime-question").value = state.question;
  }
  for (const axis of composer.axes) if (choice) byId(`x-${axis}`).value = choice[axis];
  byId("fields").classList.toggle("quiet", !choice);
}

function showScenario(texts, rows) {
  const notation = byId("notation");
  notation.replaceChildren(...texts.flatMap((text, at) => {
    const systems = texts.length > 1 ? `${rows.filter((row) => row.text === text).map((row) => row.system.title).join(", ")}: ` : "";
    const words = text.split(" ").flatMap((word) => [element("span", { class: /^b\w*[.=]/.test(word) ? "s-b" : "" }, word), " "]);
    return [...(at ? [element("br")] : []), ...(systems ? [element("span", { class: "quiet" }, systems)] : []), ...words];
  }));
  const text = texts[0];
  const copies = [["Copy the scenario", text], ["Copy the command", state.program ? `bindmatrix ask --runtime ${state.program}` : shellCommand(text)], ["Copy the link", null]];
  byId("copies").replaceChildren(...copies.map(([label, value]) => element("button", { type: "button", onclick: () => copy(value === null ? location.href : value, label) }, label)));
  showProgram(text);
}

const LANGUAGES = { Python: pythonProgram, C: cProgram, Go: goProgram, Rust: rustProgram };
let language = "Python";

function showProgram(text) {
  const program = LANGUAGES[language](text, optionNames());
  byId("program").textContent = program;
  const buttons = Object.keys(LANGUAGES).map((name) => element("button", { type: "button", "aria-pressed": String(name === language), onclick: () => {
    language = name;
    showProgram(text);
    byId("languages").querySelector("[aria-pressed=true]").focus();
  } }, name));
  byId("languages").replaceChildren(...buttons, element("button", { type: "button", onclick: () => copy(program, "Copy the program") }, "Copy"));
}

async function copy(text, label) {
  try {
    await navigator.clipboard.writeText(text);
    byId("copied").textContent = `${label.replace("Copy the", "The")} is on the clipboard.`;
  } catch {
    byId("copied").textContent = text;
  }
}

// The recipe of the goal that is chosen: one set of options for all systems, else the sets of each.
function showRecipe() {
  const goal = data.goals[byId("goal").value];
  const titles = (list) => data.systems.filter((system) => list.includes(system.os)).map((system) => system.title).join(", ");
  byId("everywhere").textContent = goal.everywhere.length ? `Set ${goal.everywhere.join(", or ")}: it works on every system.` : `No set of options is known to work on every system. ${goal.note} Set, before bind():`;
  byId("sets").replaceChildren(...goal.sets.map(([words, list]) => element("li", {}, element("b", {}, words), ` on ${titles(list)}`)));
}

// Which options on both sides make the present question end well, by the number of systems.
function showAdvice() {
  const wanted = (data.presets[presetOf(state)] || [])[3];
  const goal = data.goals.findIndex((one) => one.id === wanted);
  if (goal >= 0 && data.goals[byId("goal").value].id !== wanted) byId("goal").value = goal;
  showRecipe();
  byId("nearest").hidden = !state.choice;
  if (!state.choice) return;
  const found = [];
  const axes = Object.fromEntries(data.grammar.axes.first_options);
  for (const first_options of Object.keys(axes)) for (const second_options of Object.keys(axes)) {
    const choice = { ...state.choice, first_options, second_options };
    const number = composer.number(choice);
    if (number < 0) continue;
    const works = data.systems.filter((system) => bandsOf(system, number).every((band) => band.kind === "ok"));
    const size = composer.grammar.options[first_options].length + composer.grammar.options[second_options].length;
    found.push({ choice, works, size, text: axes[first_options] === axes[second_options] ? `${axes[first_options]}${size ? " on both" : ", no option at all"}`.replace("none, no", "No") : `first ${axes[first_options]}, second ${axes[second_options]}` });
  }
  found.sort((one, other) => other.works.length - one.works.length || one.size - other.size);
  const shown = [];
  for (const one of found) {
    const covered = shown.some((other) => one.works.every((system) => other.works.includes(system)));
    if (one.works.length && !covered && shown.length < 5) shown.push(one);
  }
  byId("advice-lead").textContent = shown.length ? (shown[0].works.length === data.systems.length ? "The fewest options that make it work on every release of every system:" : "No set of options makes it work everywhere. The best, on every release of:") : "No set of options makes it work on any system.";
  byId("options").replaceChildren(...shown.map((one) => element("li", {}, link(one.choice, one.text), ` — ${one.works.map((system) => system.title).join(", ")}`)));
}

function link(choice, text) {
  return element("a", { href: `#${hashFor(composer.text(choice))}` }, text);
}

function showCompared(rows, words) {
  const [left, right] = [data.byOs[byId("left").value], data.byOs[byId("right").value]];
  byId("nearby").replaceChildren();
  byId("compared").textContent = "";
  if (!left || !right || left === right) return;
  const body = document.querySelector("#systems tbody");
  body.replaceChildren(...rows.filter((row) => [left, right].includes(row.system)).flatMap((row) => systemRows(row, words)));
  const answer = (system, number) => {
    const band = bandsOf(system, number)[0];
    return `${verdict(band, words)[0]}${band.kind === "ok" && band.receives ? `, received by ${receiversInWords(band.receives)}` : ""}`;
  };
  let differ = 0;
  for (let number = 0; number < composer.count; number++) {
    const [one, other] = [bandsOf(left, number)[0], bandsOf(right, number)[0]];
    if (one.kind !== other.kind || (one.kind === "ok" && one.receives !== other.receives)) differ += 1;
  }
  byId("compared").textContent = `Their newest releases answer ${differ.toLocaleString("en")} of ${composer.count.toLocaleString("en")} questions differently.${state.choice ? " Near this question:" : ""}`;
  if (!state.choice) return;
  const near = [];
  for (const axis of composer.axes) for (const [label, gloss] of data.grammar.axes[axis]) {
    const choice = { ...state.choice, [axis]: label };
    const number = composer.number(choice);
    if (number < 0 || (label === state.choice[axis] && axis !== "protocol")) continue;
    if (answer(left, number) !== answer(right, number)) near.push({ choice, text: label === state.choice[axis] ? "this question" : `${AXIS_WORDS[axis]} ${gloss}`, says: `${left.title}: ${answer(left, number)}; ${right.title}: ${answer(right, number)}` });
  }
  byId("nearby").replaceChildren(...near.slice(0, 12).map((one) => element("li", {}, link(one.choice, one.text), ` — ${one.says}`)));
}

const AXIS_WORDS = { protocol: "protocol:", first: "first address:", first_options: "first options:", timing: "options set", state: "the first socket", second: "second address:", second_options: "second options:", listens: "the second", users: "made by", then: "then" };

function hashFor(text) {
  return `s=${text.replaceAll(" ", "+")}`;
}

function hashOf() {
  const compared = byId("left").value && byId("right").value ? `&c=${byId("left").value},${byId("right").value}` : "";
  return (state.program ? `p=${state.program}/${state.question}` : hashFor(textOf())) + compared;
}

function readHash() {
  const parts = decodeURIComponent(location.hash.slice(1)).split("&");
  const of = (key) => (parts.find((part) => part.startsWith(`${key}=`)) || "").slice(key.length + 1);
  const [left, right] = of("c").split(",");
  if (right) [byId("left").value, byId("right").value] = [left, right];
  const [program, question] = of("p").split("/");
  const row = data.runtimes.find((one) => one.id === program);
  if (row) return { program, question: row.asked[question] ? question : Object.keys(row.asked)[0] };
  const text = of("s").replaceAll("+", " ").trim();
  if (!text) return presetState(data.presets[0]);
  const choice = composer.choice(text);
  return choice ? { choice } : { text };
}

async function start() {
  data = await readData(byId("data").textContent);
  composer = new Composer(data);
  fill();
  byId("compose").open = matchMedia("(min-width: 901px)").matches;
  byId("preset").addEventListener("change", (event) => {
    byId("notice").textContent = "";
    const preset = data.presets[event.target.value];
    if (preset) show(presetState(preset));
  });
  byId("runtime").addEventListener("change", (event) => {
    const row = data.runtimes.find((one) => one.id === event.target.value);
    show(row ? { program: row.id, question: Object.keys(row.asked)[0] } : { choice: { ...data.plain } });
  });
  byId("runtime-question").addEventListener("change", (event) => show({ program: state.program, question: event.target.value }));
  for (const id of ["left", "right"]) byId(id).addEventListener("change", () => show({ ...state }));
  byId("ask").addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", () => show(readHash(), true));
  show(readHash(), true);
  document.body.classList.add("ready");
}

start();
