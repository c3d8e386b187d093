// One scenario: its steps, what each host returned, and why.

function showDetail(model, row, hosts, close) {
  const words = model.words(row);
  const text = model.text(row);
  const groups = new Map();
  for (const host of hosts) {
    const result = model.at(row, host);
    const key = result ? JSON.stringify([result.outcomes, result.kind]) : "";
    groups.set(key, [...(groups.get(key) || []), host]);
  }
  const apart = [...groups].filter(([key]) => key);
  const status = h("span", { role: "status" });
  const copy = (label, what) => h("button", { type: "button", onclick: async () => {
    try {
      await navigator.clipboard.writeText(what());
      status.textContent = "copied";
    } catch {
      status.textContent = "this browser does not copy from here";
    }
  } }, label);
  const command = `bindmatrix observe '${text}'`;
  return [
    h("div", { class: "detail-head" }, h("h2", { tabindex: "-1" }, "Scenario"), h("button", { type: "button", class: "close",
      "aria-label": "Close", onclick: close }, "✕")),
    h("p", { class: "steps" }, ...words.map((word) => h("code", {}, word))),
    h("p", { class: "chips" }, copy("Copy scenario", () => text), copy("Copy link", () => location.href), status),
    ...apart.map(([, members]) => behaviour(model, row, words, members)),
    groups.has("") ? h("p", { class: "quiet" }, "No outcome of ", groups.get("").map((host) => short(model.hosts[host])).join(", ") + ".") : "",
    h("h3", {}, "Reproduce"),
    h("pre", { tabindex: "0" }, `${command}\nbindmatrix ask '${text}'\nbindmatrix reproduce '${text}'`),
  ];
}

// Hosts that did the same: the steps once, then the reason on each system.
function behaviour(model, row, words, members) {
  const result = model.at(row, members[0]);
  const section = h("section", { class: "behaviour k-edge-" + model.kind(row, members[0]) },
    h("h3", {}, members.map((host) => titled(model.hosts[host])).join(", ")),
    h("p", {}, h("span", { class: "chip v-" + result.kind }, `${MARKS[result.kind]?.[0] || ""} ${result.kind}`), " ",
      KINDS[model.kind(row, members[0])][1]));
  if (!result.outcomes) {
    section.append(h("p", {}, result.reason));
    return section;
  }
  section.append(scroll(`Steps on ${members.map((host) => short(model.hosts[host])).join(", ")}`, h("table", { class: "list tight" },
    h("thead", {}, h("tr", {}, ...["step", "outcome", "expected"].map((one) => h("th", { scope: "col" }, one)))),
    h("tbody", {}, ...words.map((word, step) => ({ word, step })).filter(({ word, step }) => worthTelling(word, result, step))
      .map(({ word, step }) => h("tr", { class: step === result.step ? "blamed" : "" }, h("td", {}, h("code", {}, word)),
        h("td", {}, outcome(result.outcomes[step])), h("td", {}, expectedAt(result, step))))))));
  if (result.reason) section.append(h("p", {}, result.reason));
  if (result.repeats.length) section.append(repeats(result, words));
  const reasons = new Map();
  for (const host of members) {
    const one = model.at(row, host);
    const key = JSON.stringify([why(model, one, words), one.confidence, one.divergence]);
    reasons.set(key, [...(reasons.get(key) || []), host]);
  }
  for (const [key, hosts] of reasons) {
    const [rules, confidence, divergence] = JSON.parse(key);
    section.append(reason(model, rules, confidence, divergence, members.length > hosts.length ? hosts : []));
  }
  return section;
}

const worthTelling = (word, result, step) => /\.bind=|\.listen|\.connect=|^deliver|\.join=/.test(word) || result.outcomes[step] !== "ok"
  || step === result.step || result.expected[step] === null;

function expectedAt(result, step) {
  if (step >= result.expected.length) return h("span", { class: "quiet" }, "not followed");
  const expected = result.expected[step];
  return expected === null ? "unknown" : expectedText(expected);
}

// The rules to tell of: those of the step to blame, else of the last bind or listen that a rule of the system decided.
function why(model, result, words) {
  const own = (step) => model.ruleNames(result, step).filter((name) => !name.startsWith("api."));
  let step = result.step;
  if (step < 0) {
    const calls = words.map((word, i) => i).filter((i) => /\.bind=|\.listen|^deliver/.test(words[i]) && own(i).length);
    step = calls.filter((i) => result.outcomes[i] !== "ok").pop() ?? calls.filter((i) => words[i].includes(".bind=")).pop() ?? calls.pop() ?? -1;
  }
  return step < 0 ? [] : own(step);
}

function reason(model, rules, confidence, divergence, hosts) {
  const out = h("div", { class: "reason" });
  if (hosts.length) out.append(h("h4", {}, hosts.map((host) => short(model.hosts[host])).join(", ")));
  for (const name of divergence ? [divergence, ...rules] : rules) {
    const [text, kernel, evidence] = model.info.rules[name] || model.info.divergences[name] || ["", "", []];
    out.append(h("p", {}, h("code", { class: "rule" }, name), " ", text),
      kernel ? h("p", { class: "quiet" }, `In the kernel: ${kernel}`) : "", h("ul", { class: "evidence" }, ...evidence.map((one) => h("li", {}, one))));
  }
  if (confidence) out.append(h("p", { class: "quiet" }, `How the expectation is known: ${confidence}`));
  return out;
}

function repeats(result, words) {
  const runs = [result.outcomes, ...result.repeats];
  const differ = words.map((word, step) => step).filter((step) => new Set(runs.map((run) => run[step])).size > 1);
  return h("div", { class: "again-list" }, h("h4", {}, `Repeated: ${runs.length} outcomes`),
    differ.length ? h("ul", { class: "plain" }, ...differ.map((step) => h("li", {}, h("code", {}, words[step]), " ",
      ...runs.map((run) => h("span", { class: "again" }, outcome(run[step]))))))
      : h("p", { class: "quiet" }, "with the same outcomes each time"));
}
