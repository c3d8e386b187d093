// What the page says; every text of the data becomes a text node, never markup.
const SYMBOLS = { ok: "✓", refused: "✕", absent: "–", either: "~", unknown: "?" };

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== false && value !== undefined) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== "" && child !== null));
  return made;
}

// The option that a setsockopt() step is about, "" for another step.
function optionOf(step, names) {
  const found = /^\w+\.([a-z0-9_]+)=/.exec(step);
  return (found && names[found[1]]) || "";
}

function callOf(step, names) {
  const option = optionOf(step, names);
  if (option) return `setsockopt(${option})`;
  const found = /\.([a-z]+)/.exec(step);
  return found ? `${found[1]}()` : step;
}

const NAMES = { a: "the first", b: "the second", c: "the third", z: "the other program" };

function receiversInWords(text) {
  return text.split(" or ").map((one) => {
    const [kind, list] = one.includes(":") ? one.split(":") : ["", one];
    const names = list.split(",").map((name) => NAMES[name] || { none: "nobody", refused: "nobody: refused", timeout: "nobody: time-out", unknown: "not known" }[name] || name);
    const all = names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names[0];
    if (kind === "every") return `${all}, a copy each`;
    if (kind === "spread") return list === "a,b" ? "both, a share each" : `${all}, a share each`;
    return all;
  }).join(", or ");
}

// How the page says what a band comes to: [words, where it happens].
function verdict(band, words) {
  if (band.kind === "ok") return [words.ok, ""];
  if (band.kind === "absent") return [`no ${optionOf(band.step, words.options)}`, ""];
  const late = band.step !== words.step ? `at ${callOf(band.step, words.options)}${NAMES[band.step[0]] ? ` of ${NAMES[band.step[0]]}` : ""}` : "";
  if (band.kind === "refused") return [band.outcome === "any error" ? "refused" : `refused ${band.outcome}`, late];
  if (band.kind === "either") return [band.outcome, late];
  return ["not known", late];
}

// Groups of systems by what they answer, in a sentence.
function summary(rows, words) {
  const groups = new Map();
  for (const { system, bands } of rows) {
    if (!bands) continue;
    const kind = bands[0].kind;
    if (!groups.has(kind)) groups.set(kind, []);
    groups.get(kind).push(system.title);
  }
  const asked = rows.filter((row) => row.bands).length;
  const named = (list) => (list.length > 1 ? `${list.slice(0, -1).join(", ")} and ${list.at(-1)}` : list[0]);
  if (groups.size === 1) {
    const [kind] = groups.keys();
    return { ok: `Yes, on all ${asked} systems.`, refused: `No, refused on all ${asked} systems.`, absent: "The option is on none of these systems." }[kind] || "It depends.";
  }
  const sentences = { ok: "Yes on", refused: "No on", absent: "No such option on", either: "It depends on", unknown: "Not known on" };
  const order = Object.keys(sentences).filter((kind) => groups.has(kind));
  const largest = order.filter((kind) => kind !== "absent").sort((a, b) => groups.get(b).length - groups.get(a).length)[0];
  return order.map((kind) => {
    const list = groups.get(kind);
    if (kind === largest && list.length > 4 && groups.size === 2) return `${sentences[kind]} the other ${list.length}.`;
    return `${sentences[kind]} ${named(list)}.`;
  }).sort((a, b) => a.includes("the other") - b.includes("the other")).join(" ");
}

// Who receives where it works, in a sentence; "" where nobody was asked.
function receivers(rows) {
  const groups = new Map();
  for (const { system, bands } of rows) {
    if (!bands || bands[0].kind !== "ok" || !bands[0].receives) continue;
    const who = receiversInWords(bands[0].receives);
    groups.set(who, [...(groups.get(who) || []), system.title]);
  }
  if (!groups.size) return "";
  const named = (list) => (list.length > 1 ? `${list.slice(0, -1).join(", ")} and ${list.at(-1)}` : list[0]);
  if (groups.size === 1) return `Who receives: ${[...groups.keys()][0]}.`;
  return `Who receives: ${[...groups].map(([who, list]) => `${who} on ${named(list)}`).join("; ")}.`;
}

function chip(kind, words) {
  return element("span", { class: `chip k-${kind}` }, element("i", { "aria-hidden": "true" }, SYMBOLS[kind]), words);
}

function bandRow(system, band, words, older, extra) {
  const [answer, where] = verdict(band, words);
  const receives = band.receives && band.kind === "ok" ? receiversInWords(band.receives) : "";
  const why = element("td", { role: "cell", class: "why" }, band.reason);
  if (receives && band.receives_reason) why.append(element("span", { class: "at" }, band.receives_reason));
  if (band.divergence) why.append(element("span", { class: "at divergence" }, `a known divergence from the rules: ${band.divergence}`));
  const head = element("th", { role: "rowheader", scope: "row" }, older ? "" : system.title, element("small", {}, band.releases));
  if (extra) head.append(extra);
  const row = element("tr", { role: "row", class: older ? "older" : "" }, head,
    element("td", { role: "cell", class: "answer" }, chip(band.kind, answer), where ? element("span", { class: "at" }, where) : ""),
    element("td", { role: "cell", class: "who" }, receives), why, element("td", { role: "cell", class: "known" }, band.confidence));
  row.children[1].append(element("button", { type: "button", class: "more tell", "aria-expanded": "false", onclick: (event) => {
    const open = row.querySelector(".why").classList.toggle("open");
    row.querySelector(".known").classList.toggle("open", open);
    event.target.setAttribute("aria-expanded", open);
  } }, "why?", element("span", { class: "unseen" }, ` ${system.title} ${band.releases}`)));
  return row;
}

// The rows of one system: the newest releases, and a button for those that do otherwise.
function systemRows(row, words) {
  const { system, bands, missing } = row;
  if (!bands) {
    const cells = ["answer", "who", "why", "known"].map((name) => element("td", { role: "cell", class: name }, name === "answer" ? chip("absent", "not asked") : name === "why" ? missing : ""));
    return [element("tr", { role: "row" }, element("th", { role: "rowheader", scope: "row" }, system.title), ...cells)];
  }
  const older = bands.slice(1).map((band) => bandRow(system, band, words, true));
  older.forEach((one) => { one.hidden = true; });
  const button = older.length ? element("button", { type: "button", class: "more", "aria-expanded": "false", onclick: (event) => {
    const open = event.target.getAttribute("aria-expanded") !== "true";
    event.target.setAttribute("aria-expanded", open);
    older.forEach((one) => { one.hidden = !open; });
  } }, "other releases", element("span", { class: "unseen" }, ` of ${system.title} that differ`)) : null;
  return [bandRow(system, bands[0], words, false, button), ...older];
}
