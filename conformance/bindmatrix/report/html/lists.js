// The other views: what differs, what was found, who received, what is not known, the hosts.

const PAGE = 60;

function more(list, make, into, step = PAGE) {
  let shown = 0;
  const button = h("button", { type: "button", class: "more" });
  const next = () => {
    into.append(...list.slice(shown, shown + step).map(make));
    shown += step;
    button.hidden = shown >= list.length;
    button.textContent = `Show ${Math.min(step, list.length - shown)} more of ${number(list.length - shown)}`;
  };
  button.addEventListener("click", next);
  next();
  return button;
}

const number = (value) => value.toLocaleString("en");

function scenarioLink(text, open) {
  return h("a", { class: "scenario", href: "#" + new URLSearchParams({ s: text }), onclick: (event) => {
    event.preventDefault();
    open(text);
  } }, text);
}

const receivers = (outcome) => (outcome || "").replace(/:\d+/g, "");

// Groups of scenarios in which the asked hosts differ, by the first step that differs and the rules there.
function differences(model, hosts) {
  const groups = new Map();
  const total = { compared: 0, differ: 0 };
  model.vectors.forEach(({ count, row, length }) => {
    const results = hosts.map((host) => model.at(row, host));
    const there = results.filter((one) => one?.outcomes);
    if (there.length < 2) return;
    total.compared += count;
    const steps = Math.max(...there.map((one) => one.outcomes.length));
    let step = 0;
    while (step < steps && new Set(there.map((one) => receivers(one.outcomes[step]))).size === 1) step++;
    if (step === steps) return;
    total.differ += count;
    const word = model.words(row)[step] || "";
    const call = word.replace(/^[a-z]\w*\./, "").replace(/=.*/, "");
    const sides = results.map((one) => (one?.outcomes ? [one.outcomes[step], model.ruleNames(one, step)] : null));
    const key = JSON.stringify([call, sides.map((one) => one && [receivers(one[0]), one[1]])]);
    const group = groups.get(key);
    if (!group) groups.set(key, { count, row, length, call, sides });
    else {
      group.count += count;
      if (length < group.length) Object.assign(group, { row, length, sides });
    }
  });
  return { ...total, groups: [...groups.values()].sort((a, b) => b.count - a.count) };
}

// The hosts that "differences" compares: those that the reader named, else the first of those that are shown.
function compared(model, want) {
  const named = want.vs.split(",").map((name) => model.hosts.findIndex((one) => one.name === name)).filter((host) => host >= 0);
  return named.length > 1 ? [...new Set(named)].slice(0, 3) : want.hosts.slice(0, 3);
}

// a run has more scenarios than that; a report that has fewer lists them all
const FEW = 100;
const WRONG = ["diverges", "flaky", "resolved", "no-verdict"];

// What a reader wants first: what it came to, what is wrong, then what differs.
function showResult(model, want, open, go) {
  const out = want.hosts.map((host) => {
    const { summary } = model.hosts[host];
    const bad = Boolean(summary.verdicts.diverges);
    return h("p", { class: "headline " + (bad ? "v-diverges" : "v-conforms") }, h("span", { "aria-hidden": "true" }, bad ? "✕ " : "✓ "),
      h("strong", {}, model.hosts[host].headline), h("small", {}, summary.method));
  });
  const wrong = want.hosts.flatMap((host) => model.hosts[host].summary.groups.filter((group) => WRONG.includes(group.kind))
    .map((group) => [host, group]));
  out.push(h("h3", {}, "What is wrong"));
  if (!wrong.length) out.push(h("p", {}, "Nothing: no scenario of these hosts diverges from what is expected."));
  const cards = h("div", {});
  const button = more(wrong, ([host, group]) => h("div", {}, want.hosts.length > 1 ? h("p", { class: "quiet" }, titled(model.hosts[host])) : "",
    finding(group, open)), cards, 10);
  out.push(cards, button);
  if (model.info.chosen || model.rows <= FEW) out.push(h("h3", {}, model.info.chosen ? "Your scenarios" : "The scenarios"), ...everyScenario(model, want, open));
  if (compared(model, want).length > 1) out.push(h("h3", {}, "What differs between hosts"), ...showDifferences(model, want, open, 5),
    h("p", {}, h("button", { type: "button", onclick: () => go("differences") }, "All differences; choose the hosts")));
  return out;
}

// A short list of scenarios: what decides, on each host.
function everyScenario(model, want, open) {
  const rows = Array.from({ length: model.rows }, (_, row) => row);
  const body = h("tbody", {});
  const button = more(rows, (row) => h("tr", {}, h("td", {}, scenarioLink(model.text(row), open)),
    ...want.hosts.map((host) => h("td", {}, ...decided(model, row, host)))), body, FEW);
  return [scroll("The scenarios", h("table", { class: "list" }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "scenario"),
    ...want.hosts.map((host) => h("th", { scope: "col" }, titled(model.hosts[host]))))), body)), button];
}

// The first step that is not ok, or ok; and the verdict where it is not as expected.
function decided(model, row, host) {
  const result = model.at(row, host);
  if (!result?.outcomes) return [h("span", { class: "quiet" }, "no outcome")];
  const step = result.outcomes.findIndex((one) => one !== "ok");
  const told = step < 0 ? [outcome("ok")] : [h("code", {}, model.words(row)[step]), " ", outcome(result.outcomes[step])];
  return result.kind === "conforms" ? told : [...told, h("small", {}, result.kind)];
}

function showDifferences(model, want, open, step = PAGE) {
  const hosts = compared(model, want);
  const found = differences(model, hosts);
  const names = hosts.map((host) => titled(model.hosts[host]));
  const out = [h("p", {}, hosts.length < 2 ? "Choose two or three hosts above." :
      `${number(found.differ)} of ${number(found.compared)} scenarios with outcomes of at least two of them differ. `
      + "The first step that differs counts; groups are those of the rules that decide it, each with its shortest scenario.")];
  if (!found.groups.length) return out;
  const body = h("tbody", {});
  const button = more(found.groups, (group) => h("tr", {}, h("td", { class: "num" }, number(group.count)),
    h("td", {}, h("code", {}, group.call)),
    ...group.sides.map((one) => h("td", {}, ...(one ? [outcome(one[0]), h("small", {}, one[1].join(", "))] : ["no outcome"]))),
    h("td", {}, scenarioLink(model.text(group.row), open))), body, step);
  out.push(scroll("Differences", h("table", { class: "list" }, h("thead", {}, h("tr", {},
    ...["scenarios", "call", ...names, "shortest scenario"].map((text) => h("th", { scope: "col" }, text)))), body)), button);
  return out;
}

function outcome(text) {
  if (text == null) return h("span", { class: "quiet" }, "not asserted");
  if (/^[a-z]\w*:\d|,.*:\d/.test(text)) return bar(text);
  return h("span", { class: "outcome " + (text === "ok" ? "good" : "poor") }, text);
}

// A delivery such as a:15,b:17 as a bar with its numbers.
function bar(text) {
  const parts = text.split(",").map((part) => part.split(":")).map(([name, n]) => [name, Number(n) || 0]);
  const total = parts.reduce((sum, [, n]) => sum + n, 0) || 1;
  const strip = h("span", { class: "bar", "aria-hidden": "true" });
  parts.forEach(([name, n]) => {
    const piece = h("span", { class: "who who-" + (["refused", "timeout"].includes(name) ? "none" : name.charCodeAt(0) % 3) });
    piece.style.width = `${(100 * n) / total}%`;
    strip.append(piece);
  });
  return h("span", { class: "delivery" }, strip, h("span", {}, parts.map(([name, n]) => `${name} ${n}`).join(" · ")));
}

function showFindings(model, want, open) {
  const out = [];
  const told = (host) => model.hosts[host].summary.groups.filter((group) => group.kind !== "unknown");
  // hosts with findings first
  for (const host of [...want.hosts].sort((a, b) => (told(b).length > 0) - (told(a).length > 0))) {
    const { summary } = model.hosts[host];
    const groups = told(host);
    const counts = Object.entries(summary.verdicts).filter(([, count]) => count);
    out.push(h("section", { class: "card" }, h("h3", {}, titled(model.hosts[host])),
      h("p", { class: "chips" }, ...counts.map(([kind, count]) => h("span", { class: "chip v-" + kind },
        `${MARKS[kind]?.[0] || ""} ${number(count)} ${kind}`))),
      ...summary.notes.map((note) => h("p", { class: "note" }, note)),
      ...Object.entries(summary.reasons).flatMap(([kind, reasons]) => Object.entries(reasons).map(([reason, count]) =>
        h("p", { class: "note" }, `${kind}: ${number(count)} × ${reason}`))),
      ...groups.map((group) => finding(group, open))));
  }
  return out;
}

const expectedText = (expected) => expected == null ? "anything (unknown)"
  : Array.isArray(expected) ? expected.join(" or ") : expected === "refused" ? "any error" : expected;

function finding(group, open) {
  return h("article", { class: "finding v-" + group.kind }, h("h4", {}, `${MARKS[group.kind]?.[0] || ""} ${group.kind}: `
    + `${number(group.count)} × ${group.divergence || group.rule || "without a rule"}`),
    scenarioLink(group.scenario, open),
    group.shrunk && group.shrunk !== group.scenario ? h("p", {}, "shrunk to ", h("code", {}, group.shrunk)) : "",
    group.call ? h("p", {}, h("code", {}, group.call), ": expected ", h("b", {}, expectedText(group.expected)), ", got ",
      h("b", {}, group.actual)) : "",
    group.gloss ? h("p", {}, group.gloss) : "",
    group.why && group.why !== group.gloss ? h("p", { class: "quiet" }, `In the kernel: ${group.why}`) : "",
    group.reason ? h("p", {}, group.reason) : "",
    group.evidence.length ? h("p", { class: "quiet" }, group.evidence.join(" · ")) : "");
}

function showDeliveries(model, want, open) {
  const rows = [];
  for (let row = 0; row < model.rows; row++) {
    if (model.tails[model.tail[row]].text.includes("deliver") && want.hosts.some((host) => model.at(row, host)?.outcomes)) rows.push(row);
  }
  const out = [h("p", {}, rows.length
    ? `${number(rows.length)} scenarios say who received what 32 clients sent. Below each bar are repeats; the counts of a balanced delivery vary.`
    : "None of the chosen hosts has a scenario with a delivery.")];
  if (!rows.length) return out;
  const body = h("div", { class: "deliveries" });
  const button = more(rows, (row) => h("section", { class: "card" }, scenarioLink(model.text(row), open),
    ...want.hosts.filter((host) => model.at(row, host)?.outcomes).map((host) => received(model, row, host))), body, 30);
  return [...out, body, button];
}

function received(model, row, host) {
  const result = model.at(row, host);
  const words = model.words(row);
  const list = h("ul", { class: "plain" });
  words.forEach((word, step) => {
    if (!word.startsWith("deliver")) return;
    list.append(h("li", {}, h("code", {}, word.replace("=", " ")), " ", outcome(result.outcomes[step]),
      ...result.repeats.map((run) => h("span", { class: "again" }, outcome(run[step])))));
  });
  return h("div", { class: "received" }, h("h3", {}, titled(model.hosts[host])), list);
}

function showQuestions(model, want, open) {
  const questions = new Map();
  for (const host of want.hosts) {
    const { summary, os, name } = model.hosts[host];
    for (const group of summary.groups.filter((one) => one.kind === "unknown")) {
      const key = JSON.stringify([os, group.rule, group.gloss]);
      const one = questions.get(key) || { os, group, hosts: [], count: 0 };
      questions.set(key, { ...one, hosts: [...new Set([...one.hosts, name])], count: one.count + group.count });
    }
  }
  const list = [...questions.values()].sort((a, b) => b.count - a.count);
  return [h("p", {}, list.length ? "What the expectation files leave open, the most frequent first. An observation of it on a real host answers it."
    : "The expectation files of the chosen hosts leave nothing open here."),
    ...list.map(({ os, group, hosts, count }) => h("article", { class: "finding v-unknown" },
      h("h3", {}, `? ${os}: ${group.gloss || group.rule || "no rule decides"}`),
      h("p", { class: "quiet" }, `${number(count)} scenarios on ${hosts.join(", ")}`, group.rule ? ` · rule ${group.rule}` : ""),
      scenarioLink(group.scenario, open)))];
}

function showHosts(model) {
  const kinds = Object.keys(model.info.verdicts).filter((kind) => model.hosts.some((host) => host.summary.verdicts[kind]));
  const head = ["host", "system", "release", "method", "scenarios", ...kinds];
  return [scroll("Hosts", h("table", { class: "list" },
    h("thead", {}, h("tr", {}, ...head.map((text) => h("th", { scope: "col" }, text)))),
    h("tbody", {}, ...model.hosts.map(({ name, summary }) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, summary.system),
      h("td", {}, summary.release), h("td", {}, summary.method), h("td", { class: "num" }, number(summary.total)),
      ...kinds.map((kind) => h("td", { class: "num" }, number(summary.verdicts[kind] || 0)))))))),
  ...model.hosts.map(({ name, summary, problems }) => h("details", { class: "card" }, h("summary", {}, `${name}: facts`),
    h("dl", { class: "facts" }, ...Object.entries(summary.host).flatMap(([key, value]) => [h("dt", {}, key),
      h("dd", {}, typeof value === "object" ? JSON.stringify(value) : String(value))])),
    ...[...summary.notes, ...problems].map((note) => h("p", { class: "note" }, note)))),
  h("p", { class: "quiet" }, "Verdicts: ", Object.entries(model.info.verdicts).map(([kind, gloss]) => `${kind}: ${gloss}`).join("; ") + ".")];
}

// A region that scrolls sideways, reachable by keyboard.
const scroll = (label, content) => h("div", { class: "scroll", role: "region", "aria-label": label, tabindex: "0" }, content);
