// Puts the page together: filters, views, permalinks.

// An element; attributes that begin with "on" are listeners, children that are strings become text, never markup.
function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== ""));
  return element;
}

const VIEWS = {
  result: "Result", matrix: "Matrix", differences: "Differences", findings: "Verdicts", deliveries: "Who receives",
  questions: "Open questions", hosts: "Hosts",
};
const DEFAULTS = { view: "result", vs: "", proto: "tcp", state: "bound", users: "one-user", track: "plain", second: "", diff: "", s: "" };

class Page {
  constructor(model) {
    this.model = model;
    this.main = document.getElementById("main");
    this.detail = document.getElementById("detail");
    this.opener = null;
    this.main.replaceChildren(this.filters = h("form", { class: "filters", "aria-label": "Filters" }), this.area = h("div", { id: "area" }));
    this.filters.addEventListener("submit", (event) => event.preventDefault());
    this.area.addEventListener("keydown", (event) => walk(event, this.area));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !this.detail.hidden) this.close();
    });
    window.addEventListener("hashchange", () => {
      if (location.hash !== "#main") this.read();
    });
    this.read();
  }

  // -- the state is in the URL

  read() {
    const given = new URLSearchParams(location.hash === "#main" ? "" : location.hash.slice(1));
    const want = { ...DEFAULTS };
    for (const name of Object.keys(DEFAULTS)) if (given.has(name)) want[name] = given.get(name);
    if (!(want.view in VIEWS)) want.view = "result";
    // a link to a scenario or to filters is one into the matrix
    if (!given.has("view") && ["s", "proto", "state", "users", "track", "second", "diff"].some((name) => given.has(name))) want.view = "matrix";
    const names = given.has("hosts") ? given.get("hosts").split(",") : null;
    want.hosts = this.model.hosts.map((_, host) => host).filter((host) => !names || names.includes(this.model.hosts[host].name));
    if (want.s && !given.has("proto")) this.follow(want);
    this.want = want;
    this.draw();
    if (want.s) this.show(want.s);
  }

  // The filters that show the scenario of a bare permalink.
  follow(want) {
    const row = this.model.find(want.s);
    for (const [key, rows] of this.model.families) {
      if (rows.includes(row)) {
        [want.proto, want.state, want.users] = key.split(" ");
        want.track = planShape(this.model.heads[this.model.head[row]].plan);
      }
    }
  }

  write() {
    const { want, model } = this;
    const pairs = Object.keys(DEFAULTS).filter((name) => want[name] !== DEFAULTS[name] || (want.s && name === "proto"))
      .map((name) => [name, want[name]]);
    if (want.hosts.length < model.hosts.length) pairs.push(["hosts", want.hosts.map((host) => model.hosts[host].name).join(",")]);
    history.replaceState(null, "", "#" + new URLSearchParams(pairs));
  }

  change(values) {
    Object.assign(this.want, values);
    this.write();
    this.draw();
  }

  // -- drawing

  draw() {
    const { model, want } = this;
    settle(model, want);
    document.getElementById("views").replaceChildren(...Object.entries(VIEWS).map(([view, title]) => {
      const link = h("a", { href: "#view=" + view, onclick: (event) => {
        event.preventDefault();
        this.change({ view });
        document.querySelector(`#views [aria-current]`).focus();
      } }, title);
      if (view === want.view) link.setAttribute("aria-current", "page");
      return link;
    }));
    const focused = document.activeElement?.id;
    const folded = !this.filters.querySelector("details")?.open;
    const controls = this.controls();
    this.filters.replaceChildren(...(controls.length ? [h("details", { class: "fold" }, h("summary", {}, "Filters and hosts"), h("div", {}, ...controls))] : []));
    if (controls.length) this.filters.firstChild.open = !folded;
    if (focused) document.getElementById(focused)?.focus();
    const open = (text) => this.show(text);
    const views = {
      result: () => showResult(model, want, open, (view) => this.change({ view })), matrix: () => this.matrix(), differences: () => [this.comparison(), ...showDifferences(model, want, open)], findings: () => showFindings(model, want, open),
      deliveries: () => showDeliveries(model, want, open), questions: () => showQuestions(model, want, open), hosts: () => showHosts(model),
    };
    this.area.replaceChildren(h("h2", { class: ["matrix", "result"].includes(want.view) ? "unseen" : "" }, VIEWS[want.view]), ...views[want.view]());
    // only what really scrolls is a stop of the tab key
    this.area.querySelectorAll(".scroll").forEach((one) => {
      if (one.scrollWidth <= one.clientWidth) one.removeAttribute("tabindex");
    });
  }

  select(name, title, values) {
    const box = h("select", { id: "f-" + name, onchange: (event) => this.change({ [name]: event.target.value }) },
      ...values.map(([value, text]) => h("option", { value }, text)));
    box.value = this.want[name];
    return h("label", { for: "f-" + name }, h("span", {}, title), box);
  }

  controls() {
    const { model, want } = this;
    const out = [];
    if (want.view === "matrix" && model.families.size) {
      const all = families(model);
      const distinct = (values) => [...new Set(values)];
      const here = all.filter(([proto]) => proto === want.proto);
      const { seconds, shapes } = panels(model, { ...want, second: "" });
      if (!shapes.has(want.track)) want.track = [...shapes][0];
      if (!seconds.includes(want.second)) want.second = "";
      out.push(
        this.select("proto", "Protocol", distinct(all.map(([proto]) => proto)).map((one) => [one, one.toUpperCase()])),
        this.select("state", "First socket", distinct(here.map(([, state]) => state)).map((one) => [one, stateText(model, one)])),
        this.select("users", "Users", distinct(here.filter(([, state]) => state === want.state).map(([, , users]) => users))
          .map((one) => [one, model.info.users[one] || one])),
        this.select("track", "Its options", [...shapes].sort((a, b) => (b === "plain") - (a === "plain") || a.length - b.length).map((one) => [one, one === "plain" ? "set before bind" : `${one.replace("+", " and ")}: changed`])),
        this.select("second", "Second's options", [["", "every set"], ...seconds.map((one) => [one, planText(one)])]));
    }
    if (want.view !== "hosts") out.push(this.hostFilter());
    if (want.view === "matrix" && want.hosts.length > 1) {
      const box = h("input", { type: "checkbox", id: "f-diff", onchange: (event) => this.change({ diff: event.target.checked ? "1" : "" }) });
      box.checked = Boolean(want.diff);
      out.push(h("label", { class: "check", for: "f-diff" }, box, "only where hosts differ"));
    }
    return out;
  }

  // The two or three hosts that are compared are the reader's choice.
  comparison() {
    const { model, want } = this;
    if (model.hosts.length < 2) return "";
    const chosen = compared(model, want);
    const boxes = [0, 1, 2].slice(0, model.hosts.length).map((place) => {
      const box = h("select", { id: "vs-" + place, onchange: () => this.change({ vs: boxes.map((one) => one.value).filter(Boolean).join(",") }) },
        ...(place === 2 ? [h("option", { value: "" }, "nobody")] : []),
        ...model.hosts.map((one) => h("option", { value: one.name }, titled(one))));
      box.value = model.hosts[chosen[place]]?.name || "";
      return box;
    });
    return h("p", { class: "comparison" }, ...boxes.map((box, place) =>
      h("label", { for: box.id }, h("span", {}, place ? "with" : "Compare"), box)));
  }

  hostFilter() {
    const { model, want } = this;
    const systems = new Map();
    model.hosts.forEach((one, host) => systems.set(one.os, [...(systems.get(one.os) || []), host]));
    const box = (host) => {
      const input = h("input", { type: "checkbox", id: "h-" + host, onchange: (event) => {
        const others = want.hosts.filter((one) => one !== host);
        this.change({ hosts: event.target.checked ? [...others, host].sort((a, b) => a - b) : others });
      } });
      input.checked = want.hosts.includes(host);
      return h("label", { class: "check", for: "h-" + host }, input,
        `${model.hosts[host].summary.release} ${model.hosts[host].summary.method.split(" ")[0]}`);
    };
    const all = model.hosts.map((_, host) => host);
    const set = (id, title, hosts) => h("button", { type: "button", id, onclick: () => this.change({ hosts }) }, title);
    return h("fieldset", { class: "hosts" }, h("legend", {}, `Hosts: ${want.hosts.length} of ${all.length}`),
      set("h-all", "all", all), ...[...systems].map(([os, hosts]) => h("span", { class: "system" },
        set("h-os-" + os.replace(/\W/g, "-"), os, hosts), ...hosts.map(box))));
  }

  matrix() {
    const { model, want } = this;
    if (!model.families.size) return [h("p", {}, "No scenario of these hosts is a pair of the matrix; see Verdicts and Differences.")];
    if (!want.hosts.length) return [h("p", {}, "Choose a host above.")];
    const firsts = telling(model, want, panels(model, want).firsts);
    const open = (row, button) => {
      this.opener = button;
      this.show(model.text(row), row);
    };
    const lines = h("div", { class: "multiples" });
    const button = more([...firsts], ([plan, grids]) => h("section", { class: "line" }, h("h3", {}, h("small", {}, "first socket"), planText(plan)),
      h("div", { class: "panels" }, ...plainest(grids).map(([second, cells]) =>
        scroll(`first ${planText(plan)}, second ${planText(second)}`, grid(model, want, cells, ["second: ", h("b", {}, planText(second))], open))))), lines, PANEL_ROWS);
    if (!firsts.size) lines.append(h("p", {}, want.diff ? "The chosen hosts do not differ here." : "None of the chosen hosts ran this."));
    lines.querySelector(".cell")?.setAttribute("tabindex", "0");
    return [h("p", { class: "lead" }, `${want.proto.toUpperCase()}; first socket ${stateText(model, want.state)}; `
      + `${model.info.users[want.users] || want.users}. Rows: where the first socket is bound, columns: the second. Arrow keys walk, Enter opens.`),
    this.legend(), this.alikeness(firsts), lines, button];
  }

  legend() {
    const used = Object.entries(KINDS).filter(([kind]) => kind !== "absent");
    const box = h("details", { class: "symbols" }, h("summary", {}, "Symbols"));
    box.open = window.matchMedia("(min-width: 641px), print").matches;
    box.append(h("div", { class: "legend" }, ...used.map(([kind, [symbol, gloss]]) => h("span", {}, h("i", { class: "key k-" + kind }, symbol), gloss)),
      this.want.hosts.length > 3 ? h("span", {}, h("i", { class: "key k-mixed" }, h("span", { class: "differ" }, "5")), "hosts differ: on so many both share") : "",
      ...Object.entries(MARKS).map(([kind, [symbol, gloss]]) => h("span", {}, h("i", { class: "key m-" + kind }, symbol), gloss))));
    return box;
  }

  alikeness(firsts) {
    if (this.want.hosts.length < 2) return "";
    const { groups, absent } = alike(this.model, this.want, firsts);
    const listed = (hosts, sign) => hosts.map((host) => short(this.model.hosts[host])).join(sign);
    const none = absent.length ? h("span", { class: "chip" }, `no outcome here: ${listed(absent, ", ")}`) : "";
    if (groups.every((hosts) => hosts.length === 1)) return h("p", { class: "alikeness" }, "No two of these hosts are alike in every cell that both have below. ", none);
    return h("p", { class: "alikeness" }, h("b", {}, "Alike in every cell below of which they have outcomes: "),
      ...groups.map((hosts) => h("span", { class: "chip" }, listed(hosts, " = "))), none);
  }

  // -- one scenario

  show(text, row = this.model.find(text)) {
    if (row < 0) {
      this.detail.replaceChildren(h("div", { class: "detail-head" }, h("h2", { tabindex: "-1" }, "Not in this report"),
        h("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => this.close() }, "✕")), h("p", {}, h("code", {}, text)));
    } else {
      this.detail.replaceChildren(...showDetail(this.model, row, this.model.hosts.map((_, host) => host), () => this.close()));
    }
    this.detail.hidden = false;
    document.body.classList.add("with-detail");
    this.want.s = text;
    this.write();
    document.querySelectorAll(".cell.open").forEach((one) => one.classList.remove("open"));
    const cell = document.querySelector(`.cell[data-row="${row}"]`);
    cell?.classList.add("open");
    this.opener = this.opener?.isConnected ? this.opener : cell;
    this.detail.querySelector("h2").focus({ preventScroll: true });
    this.detail.scrollTop = 0;
  }

  close() {
    this.detail.hidden = true;
    document.body.classList.remove("with-detail");
    document.querySelectorAll(".cell.open").forEach((one) => one.classList.remove("open"));
    this.want.s = "";
    this.write();
    if (this.opener?.isConnected) focusCell(this.opener, this.area);
    this.opener = null;
  }
}

unpack().then((model) => {
  window.page = new Page(model);
  document.body.classList.add("ready");
}).catch((error) => {
  document.getElementById("loading").textContent = `The report cannot be shown: ${error.message}`;
  throw error;
});
