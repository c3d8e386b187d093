// The matrix: small multiples of endpoint x endpoint, one for each pair of option sets.

const PANEL_ROWS = 8;
const short = (host) => host.name;
// With how the host was made to answer: wherever outcomes are read one by one.
const titled = (host) => `${host.name} (${host.summary.method})`;

function planShape(plan) {
  if (plan === "none") return "plain";
  const parts = plan.split("+").map((part) => part.split(":"));
  return parts.every(([, track]) => track === "1") ? "plain" : parts.map(([option]) => option).sort().join("+");
}

function planText(plan) {
  if (plan === "none") return "no options";
  return plan.split("+").map((part) => {
    const [option, track] = part.split(":");
    return track === "1" ? option : `${option} ${track.split("|").map((t) => t || "–").join(" then ")}`;
  }).join(", ");
}

function stateText(model, state) {
  const [label, quiet] = state.split("/");
  return (model.info.states[label] || label) + (quiet ? "; the second does not listen" : "");
}

// Keys of model.families that fit, taken apart: [protocol, state, users].
const families = (model) => [...model.families.keys()].map((key) => key.split(" "));

function settle(model, want) {
  // the nearest family that exists: a filter never ends in an empty page
  const all = families(model);
  const fit = (test) => all.find(test);
  const found = fit(([p, s, u]) => p === want.proto && s === want.state && u === want.users)
    || fit(([p, s]) => p === want.proto && s === want.state) || fit(([p]) => p === want.proto) || all[0];
  if (found) [want.proto, want.state, want.users] = found;
  return want;
}

// Of the panels only those that have something to show: a cell that a chosen host ran, or one in which they differ.
function telling(model, want, firsts) {
  const tells = (row) => {
    const { there, differ } = cellOf(model, row, want.hosts);
    return want.diff ? differ : there.length > 0;
  };
  const out = new Map();
  for (const [plan, grids] of firsts) {
    const kept = new Map([...grids].filter(([, cells]) => [...cells.values()].some(tells)));
    if (kept.size) out.set(plan, kept);
  }
  return out;
}

function panels(model, want) {
  const rows = model.families.get([want.proto, want.state, want.users].join(" ")) || [];
  const firsts = new Map();
  const seconds = new Set();
  const shapes = new Set();
  for (const row of rows) {
    const head = model.heads[model.head[row]];
    const tail = model.tails[model.tail[row]];
    seconds.add(tail.plan);
    shapes.add(head.shape);
    if (head.shape !== want.track || (want.second && tail.plan !== want.second)) continue;
    if (!firsts.has(head.plan)) firsts.set(head.plan, new Map());
    const grids = firsts.get(head.plan);
    if (!grids.has(tail.plan)) grids.set(tail.plan, new Map());
    grids.get(tail.plan).set(head.endpoint + " " + tail.endpoint, row);
  }
  return { firsts: new Map(plainest(firsts)), seconds: plainest(new Map([...seconds].map((one) => [one]))).map(([one]) => one), shapes };
}

// Entries by plan: no options first, then few, then many.
function plainest(plans) {
  const weight = (plan) => (plan === "none" ? 0 : 100 * plan.split("+").length + plan.length);
  return [...plans].sort(([a], [b]) => weight(a) - weight(b) || (a < b ? -1 : 1));
}

// What a cell shows: the kinds of the hosts asked about, whether they differ, and the gravest mark.
function cellOf(model, row, hosts) {
  const kinds = hosts.map((host) => model.kind(row, host));
  const there = kinds.filter((kind) => kind !== "absent");
  const verdicts = hosts.map((host) => model.at(row, host)?.kind);
  return {
    row, kinds, there, differ: new Set(there).size > 1,
    mark: Object.keys(MARKS).find((verdict) => verdicts.includes(verdict)) || "",
  };
}

const colour = (kind) => `var(--${kind})`;

function fill(button, cell) {
  const { kinds, there, differ } = cell;
  if (there.length && there.length < kinds.length) {
    button.classList.add("partial");
    button.append(h("sub", { class: "of" }, `${there.length}/${kinds.length}`));
  }
  if (kinds.length > 1 && kinds.length <= 3 && differ) {
    button.append(...kinds.map((kind) => h("span", { class: "part k-" + kind }, KINDS[kind][0])));
    button.classList.add("split");
  } else if (differ) {
    const order = Object.keys(KINDS).filter((kind) => there.includes(kind));
    let at = 0;
    const stops = order.map((kind) => {
      const from = at;
      at += (100 * there.filter((one) => one === kind).length) / there.length;
      return `${colour(kind)} ${from}% ${at}%`;
    });
    button.style.background = `linear-gradient(90deg, ${stops.join(", ")})`;
    button.append(h("span", { class: "differ" }, there.filter((kind) => kind === "ok").length));
  } else {
    const kind = there[0] || "absent";
    button.classList.add("k-" + kind);
    button.append(KINDS[kind][0]);
  }
  if (cell.mark) button.append(h("i", { class: "mark m-" + cell.mark }, MARKS[cell.mark][0]));
}

// Which of the hosts a cell is about, where there is no outcome of the others.
function coverage(model, cell, hosts) {
  const { there, kinds } = cell;
  if (!there.length || there.length === kinds.length) return "";
  const names = hosts.filter((_, i) => kinds[i] !== "absent").map((host) => short(model.hosts[host]));
  return ` on ${names.length > 3 ? `${names.length} hosts` : names.join(", ")}; no outcome of the other ${kinds.length - there.length}`;
}

function cellLabel(model, cell, hosts, first, second) {
  const words = cell.differ
    ? hosts.map((host, i) => `${short(model.hosts[host])}: ${KINDS[cell.kinds[i]][1]}`).join("; ")
    : KINDS[cell.there[0] || "absent"][1] + coverage(model, cell, hosts);
  return `${model.address.get(first)}, then ${model.address.get(second)}: ${words}` + (cell.mark ? `; ${MARKS[cell.mark][1]}` : "");
}

function grid(model, want, cells, title, open) {
  const hosts = want.hosts;
  const inUse = (side) => model.endpoints.filter((label) => [...cells.keys()].some((key) => key.split(" ")[side] === label));
  const [firsts, seconds] = [inUse(0), inUse(1)];
  const table = h("table", { class: "grid" }, h("caption", {}, ...title));
  table.append(h("thead", {}, h("tr", {}, h("td", {}), ...seconds.map((label) =>
    h("th", { scope: "col" }, h("span", {}, model.address.get(label)))))));
  const body = h("tbody", {});
  for (const first of firsts) {
    const line = h("tr", {}, h("th", { scope: "row" }, model.address.get(first)));
    for (const second of seconds) {
      const row = cells.get(first + " " + second);
      if (row === undefined) {
        line.append(h("td", {}));
        continue;
      }
      const cell = cellOf(model, row, hosts);
      const label = cellLabel(model, cell, hosts, first, second);
      const button = h("button", { type: "button", class: "cell", tabindex: "-1", "aria-label": label, title: label });
      if (want.diff && !cell.differ) button.classList.add("alike");
      fill(button, cell);
      button.dataset.row = row;
      button.addEventListener("click", () => open(row, button));
      line.append(h("td", {}, button));
    }
    body.append(line);
  }
  table.append(body);
  return table;
}

// Arrow keys walk over the cells by where they are on the page; Home and End go to the ends of a line.
function walk(event, area) {
  const moves = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
  const from = event.target.closest?.(".cell");
  if (!from || !(event.key in moves || event.key === "Home" || event.key === "End")) return;
  event.preventDefault();
  let to = null;
  if (event.key === "Home" || event.key === "End") {
    const line = from.closest("tr").querySelectorAll(".cell");
    to = line[event.key === "Home" ? 0 : line.length - 1];
  } else {
    const [dx, dy] = moves[event.key];
    const middle = (one) => {
      const box = one.getBoundingClientRect();
      return [box.x + box.width / 2, box.y + box.height / 2];
    };
    const [x, y] = middle(from);
    let best = Infinity;
    for (const one of area.querySelectorAll(".cell")) {
      const [u, v] = middle(one);
      const along = (u - x) * dx + (v - y) * dy;
      const aside = Math.abs((u - x) * dy) + Math.abs((v - y) * dx);
      if (along > 1 && aside < 12 && along + aside < best) [best, to] = [along + aside, one];
    }
  }
  if (to) focusCell(to, area);
}

function focusCell(cell, area) {
  area.querySelectorAll('.cell[tabindex="0"]').forEach((one) => one.setAttribute("tabindex", "-1"));
  cell.setAttribute("tabindex", "0");
  cell.focus();
}

// Groups of hosts that gave the same kinds in every cell of the view of which two of them have an outcome; they share
// one cell at least.  Cells of one host alone say nothing about how it is to another.
function alike(model, want, firsts) {
  const rows = [...firsts.values()].flatMap((grids) => [...grids.values()].flatMap((cells) => [...cells.values()]));
  const columns = new Map(want.hosts.map((host) => [host, rows.map((row) => model.kind(row, host))]));
  const agree = (one, other) => {
    let shared = 0;
    const [a, b] = [columns.get(one), columns.get(other)];
    for (let i = 0; i < a.length; i++) {
      if (a[i] === "absent" || b[i] === "absent") continue;
      if (a[i] !== b[i]) return false;
      shared++;
    }
    return shared > 0;
  };
  const groups = [];
  const absent = [];
  for (const host of want.hosts) {
    if (columns.get(host).every((kind) => kind === "absent")) absent.push(host);
    else {
      const group = groups.find((members) => members.every((one) => agree(one, host)));
      if (group) group.push(host);
      else groups.push([host]);
    }
  }
  return { groups: groups.sort((a, b) => b.length - a.length), absent };
}
