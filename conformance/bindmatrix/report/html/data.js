// Unpacks the data island; the layout is described in dataset.py and must change with it.

async function unpack() {
  if (typeof DecompressionStream === "undefined") {
    throw new Error("this browser cannot unpack the data (DecompressionStream is missing); any browser since 2023 can");
  }
  const packed = Uint8Array.from(atob(document.getElementById("data").textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const length = new DataView(bytes.buffer).getUint32(0, true);
  const info = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  let offset = 4 + length;
  const column = (count) => {
    const values = new Int32Array(count);
    for (let plane = 0; plane < 4; plane++) {
      for (let i = 0; i < count; i++) values[i] |= bytes[offset + i] << (8 * plane);
      offset += count;
    }
    return values;
  };
  const rowsOf = column(info.heads.length);
  const count = rowsOf.reduce((sum, n) => sum + n, 0);
  const tail = column(count);
  const vector = column(count);
  const numbers = column((bytes.length - offset) / 4);
  const head = new Int32Array(count);
  let row = 0;
  rowsOf.forEach((n, h) => head.fill(h, row, (row += n)));
  return new Model(info, head, tail, vector, numbers);
}

// The rows and what is asked about them.  A row is a number; a result is null where the host did not run the row.
class Model {
  constructor(info, head, tail, vector, numbers) {
    Object.assign(this, { info, head, tail, vector, numbers, rows: head.length });
    this.hosts = info.hosts;
    this.heads = info.heads.map(([text, protocol, endpoint, state, users, plan]) => {
      const words = text.split(" ");
      const bind = words.findIndex((w) => /\.bind=/.test(w));
      return { text, words, protocol, endpoint, state, users, plan, shape: plan && planShape(plan), bind, sets: sets(words), lists: [] };
    });
    this.tails = info.tails.map(([text, protocol, endpoint, plan, late, listens]) => {
      const words = text ? ("b=" + text).split(" ") : [];
      const bind = words.findIndex((w) => w.startsWith("b.bind="));
      const listen = words.map((w, i) => i).filter((i) => i > bind && words[i].endsWith(".listen"));
      return { text, words, protocol, endpoint, plan, late, listens, bind, listen, sets: sets(words) };
    });
    this.endpoints = info.endpoints.map(([label]) => label);
    this.address = new Map(info.endpoints);
    this.results = info.results.map((list) => list.map((raw) => this.result(raw)));
    this.families = new Map();
    for (let row = 0; row < this.rows; row++) this.place(row);
  }

  result([kind, outcomes, rules, confidence, step, more]) {
    const got = outcomes < 0 ? null : this.info.outcomes[outcomes];
    return {
      kind: this.info.strings[kind], outcomes: got, rules: this.info.rule_lists[rules], step,
      confidence: this.info.strings[confidence], expected: got, divergence: "", reason: "", repeats: [], ...more,
    };
  }

  place(row) {
    const head = this.heads[this.head[row]];
    const tail = this.tails[this.tail[row]];
    if (!head.protocol || head.protocol !== tail.protocol) {
      return; // not of the matrix
    }
    const variant = (tail.late ? 2 : 0) + (tail.listens ? 1 : 0);
    const list = head.lists[variant] ||= this.family(head, tail);
    list.push(row);
  }

  family(head, tail) {
    const state = (tail.late ? "late-listening" : head.state) + (head.protocol === "tcp" && !tail.listens ? "/quiet" : "");
    const key = [head.protocol, state, head.users].join(" ");
    if (!this.families.has(key)) this.families.set(key, []);
    return this.families.get(key);
  }

  text(row) {
    const tail = this.tails[this.tail[row]].text;
    return this.heads[this.head[row]].text + (tail ? " b=" + tail : "");
  }

  words(row) {
    return [...this.heads[this.head[row]].words, ...this.tails[this.tail[row]].words];
  }

  find(text) {
    const [first, ...rest] = text.split(" b=");
    const head = this.heads.findIndex((one) => one.text === first);
    const tail = this.tails.findIndex((one) => one.text === rest.join(" b="));
    for (let row = 0; head >= 0 && tail >= 0 && row < this.rows; row++) {
      if (this.head[row] === head && this.tail[row] === tail) return row;
    }
    return -1;
  }

  number(row, host) {
    return this.numbers[this.vector[row] * this.hosts.length + host];
  }

  at(row, host) {
    const number = this.number(row, host);
    return number < 0 ? null : this.results[host][number];
  }

  // The kind of behaviour, a key of KINDS: what became of the second socket.
  kind(row, host) {
    const result = this.at(row, host);
    if (!result) return "absent";
    if (!result.outcomes) return "lack";
    const head = this.heads[this.head[row]];
    const tail = this.tails[this.tail[row]];
    // an option that could not be set: whatever the sockets did, they are not those of this cell
    const failed = (i) => bad(result.outcomes[i]);
    if (head.sets.some(failed) || tail.sets.some((i) => failed(head.words.length + i))) return "option";
    if (result.outcomes[head.bind] !== "ok") return "first";
    const outcome = result.outcomes[head.words.length + tail.bind];
    if (outcome === "ok") {
      for (const i of tail.listen) if (bad(result.outcomes[head.words.length + i])) return "listen";
      return "ok";
    }
    if (outcome == null) return "lack";
    return outcome === "EADDRINUSE" ? "inuse" : outcome === "EACCES" || outcome === "EPERM" ? "access" : "invalid";
  }

  ruleNames(result, step) {
    return (this.info.rule_sets[result.rules[step]] || []).map((number) => this.info.rule_ids[number]);
  }

  // Per vector: how many rows have it, and the shortest of them.
  get vectors() {
    if (!this._vectors) {
      const all = this._vectors = [];
      for (let row = 0; row < this.rows; row++) {
        const length = this.heads[this.head[row]].text.length + this.tails[this.tail[row]].text.length;
        const one = all[this.vector[row]] ||= { count: 0, row, length };
        one.count++;
        if (length < one.length) Object.assign(one, { row, length });
      }
    }
    return this._vectors;
  }
}

// The steps that set an option.
const sets = (words) => words.map((word, i) => i).filter((i) => /\.\w+=[01]$/.test(words[i]));
const bad = (outcome) => outcome != null && outcome !== "ok";

// kind of behaviour -> symbol and gloss; the colours are in style.css
const KINDS = {
  ok: ["●", "both share the port"],
  inuse: ["×", "refused: EADDRINUSE"],
  access: ["⊘", "refused: EACCES"],
  listen: ["◐", "bind passes, listen is refused"],
  invalid: ["–", "refused for the socket itself (EINVAL, EAFNOSUPPORT, EADDRNOTAVAIL)"],
  first: ["∅", "the first socket could not be bound"],
  option: ["¬", "an option of this cell could not be set"],
  lack: ["·", "no outcome: unsupported, or the set-up failed"],
  absent: ["", "no outcome of this host"],
};
// verdict -> symbol and gloss of the marks on a cell
const MARKS = {
  diverges: ["!", "otherwise than expected"],
  flaky: ["~", "repeats disagree"],
  resolved: ["✓", "a recorded divergence is gone"],
  known: ["k", "a recorded divergence"],
  unknown: ["?", "nothing is expected yet"],
};
