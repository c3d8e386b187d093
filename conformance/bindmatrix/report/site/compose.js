// Scenarios from choices and back, as bindmatrix/answers/questions.py writes them.
class Composer {
  constructor(data) {
    this.grammar = data.grammar;
    this.axes = Object.keys(data.grammar.axes);
    let base = 0;
    this.families = data.grammar.families.map((labels) => {
      const family = { labels, base, size: labels.reduce((size, one) => size * one.length, 1) };
      base += family.size;
      return family;
    });
    this.count = base;
    this.listed = new Map(data.listed.map((text, index) => [text, base + index]));
    this.byText = null;
  }

  // The number of the question that `choice` is, -1 where there is none.
  number(choice) {
    for (const family of this.families) {
      let number = 0;
      for (let at = 0; at < this.axes.length && number >= 0; at++) {
        const place = family.labels[at].indexOf(choice[this.axes[at]]);
        number = place < 0 ? -1 : number * family.labels[at].length + place;
      }
      if (number >= 0) return family.base + number;
    }
    return -1;
  }

  // `choice` where it is a question; else the nearest question that keeps the axis that was just changed.
  nearest(choice, changed) {
    if (this.number(choice) >= 0) return choice;
    let best = null;
    for (const family of this.families) {
      const found = {};
      let kept = 0;
      this.axes.forEach((axis, at) => {
        const keeps = family.labels[at].includes(choice[axis]);
        found[axis] = keeps ? choice[axis] : family.labels[at].includes("none") ? "none" : family.labels[at][0];
        kept += keeps ? (axis === changed ? 100 : axis === "protocol" ? 10 : 1) : 0;
      });
      if (best === null || kept > best.kept) best = { found, kept };
    }
    return best.found;
  }

  socket(name, protocol, label, options, timing) {
    const [family, v6only, address, join] = this.grammar.addresses[label];
    const chosen = this.grammar.options[options].map((one) => `${name}.${one}=1`);
    const bind = `${name}.bind=${address}`;
    return [
      `${name}=${protocol}${family}`,
      ...(v6only ? [`${name}.v6only=${v6only}`] : []),
      ...(timing === "before" ? [...chosen, bind] : [bind, ...chosen]),
      ...(join ? [`${name}.join=${join}`] : []),
    ];
  }

  second(choice, name) {
    const steps = this.socket(name, choice.protocol, choice.second, choice.second_options, "before");
    return [this.grammar.users[choice.users][1], ...steps, choice.listens === "yes" ? `${name}.listen` : ""];
  }

  text(choice) {
    const { protocol, state } = choice;
    const words = [this.grammar.users[choice.users][0]];
    words.push(...this.socket("a", protocol, choice.first, choice.first_options, choice.timing));
    words.push(state === "listening" ? "a.listen" : state === "bound" ? "" : this.grammar.states[state][choice.first]);
    words.push(...this.second(choice, "b"));
    if (choice.then === "third") words.push(...this.second(choice, "c"));
    if (choice.then === "first-closes") words.push("a.close");
    if (choice.then === "second-closes") words.push("b.close");
    const receives = protocol === "udp" || state === "listening" || choice.listens === "yes";
    if ((state === "bound" || state === "listening") && receives) {
      words.push(`deliver=${this.grammar.destinations[choice.first][choice.second]}`);
    }
    return words.filter(Boolean).join(" ");
  }

  // Every choice, in the order of the numbers.
  *choices() {
    for (const family of this.families) {
      for (let number = 0; number < family.size; number++) yield this.choiceOf(family, number);
    }
  }

  choiceOf(family, number) {
    const choice = {};
    let rest = number;
    for (let at = this.axes.length - 1; at >= 0; at--) {
      const labels = family.labels[at];
      choice[this.axes[at]] = labels[rest % labels.length];
      rest = Math.floor(rest / labels.length);
    }
    return choice;
  }

  // The choice that makes the scenario `text`, with or without its last step; null where there is none.
  choice(text) {
    const words = text.split(" ");
    const axes = Object.fromEntries(this.axes.map((axis) => [axis, this.grammar.axes[axis].map(([label]) => label)]));
    const of = (name) => words.filter((word) => word.startsWith(`${name}=`) || word.startsWith(`${name}.`)).join(" ");
    const guess = {};
    const protocol = text.includes("a=udp") ? "udp" : "tcp";
    for (const timing of axes.timing) {
      for (const first of axes.first) {
        for (const options of axes.first_options) {
          const steps = this.socket("a", protocol, first, options, timing).join(" ");
          if ((of("a") + " ").startsWith(steps + " ") && (!guess.first || steps.length > guess.length)) {
            Object.assign(guess, { first, first_options: options, timing, length: steps.length });
          }
        }
      }
    }
    for (const second of axes.second) {
      for (const options of axes.second_options) {
        const steps = this.socket("b", protocol, second, options, "before").join(" ");
        if ((of("b") + " ").startsWith(steps + " ") && (!guess.second || steps.length > guess.size)) {
          Object.assign(guess, { second, second_options: options, size: steps.length });
        }
      }
    }
    if (!guess.first || !guess.second) return null;
    for (const users of axes.users) for (const state of axes.state) for (const listens of axes.listens) for (const then of axes.then) {
      const choice = { protocol, first: guess.first, first_options: guess.first_options, timing: guess.timing };
      Object.assign(choice, { second: guess.second, second_options: guess.second_options, users, state, listens, then });
      if (this.number(choice) < 0) continue;
      const made = this.text(choice);
      if (made === text || made.replace(/ deliver=\S+$/, "") === text) return choice;
    }
    return null;
  }
}
