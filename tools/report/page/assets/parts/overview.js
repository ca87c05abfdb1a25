// What is left, what each bound removes, and the present setting to take away: command, link, recipe.
"use strict";
(function (vidsieve) {
  const { element, count, percent, hours, copy, download, announce } = vidsieve;

  /** How counts of the page become counts of the table: a page may have a sample of the rows only. */
  function scaled(filter) {
    const scale = filter.rows ? vidsieve.about.rows / filter.rows : 1;
    return { scale, counts: scale === 1 ? count : (rows) => `≈ ${count(rows)}` };
  }

  /** Rows of the whole table that one bound removes alone: exact where a sample's page knows the counts. */
  function removedAlone(filter, name, rows) {
    const { scale, counts } = scaled(filter);
    if (scale === 1) return count(rows);
    const kept = filter.columns.get(name).keptOfAll(filter.bounds.get(name));
    return kept === null ? counts(rows * scale) : count(vidsieve.about.rows - kept);
  }

  /** Rows of the whole table that pass all bounds, exact where at most one is set. */
  function rowsLeft(filter, rows) {
    const { scale, counts } = scaled(filter);
    if (scale === 1 || filter.bounds.size > 1) return counts(rows * scale);
    const [[name, bound] = []] = filter.bounds;
    const kept = name === undefined ? vidsieve.about.rows : filter.columns.get(name).keptOfAll(bound);
    return kept === null ? counts(rows * scale) : count(kept);
  }

  /** The line that is always on the screen. */
  class Kept {
    constructor(filter) {
      this.filter = filter;
      this.rows = element("strong");
      this.hours = element("strong");
      this.share = element("span.quiet");
      this.bar = element("span.bar");
      this.element = element("div.kept", { role: "status", "aria-live": "off" },
        element("span", {}, this.rows, " rows"), element("span", {}, this.hours),
        this.share, element("span.track", {}, this.bar));
      this.update();
    }

    update() {
      const { scale } = scaled(this.filter);
      const kept = this.filter.kept();
      const total = vidsieve.about.seconds_total;
      this.rows.textContent = rowsLeft(this.filter, kept.rows);
      this.hours.textContent = hours(kept.seconds * scale);
      this.share.textContent =
        `of ${count(vidsieve.about.rows)} rows (${percent(kept.rows, this.filter.rows)}), ${hours(total)}`;
      this.bar.style.width = `${this.filter.rows ? (100 * kept.rows) / this.filter.rows : 0}%`;
    }

    /** Tell a screen reader what is left, once a bound stays where it is. */
    announceSoon() {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => announce(`${this.rows.textContent} rows left, ${this.hours.textContent}`), 800);
    }
  }

  /** A table of the bounds, and what each removes. */
  class Bounds {
    constructor(filter) {
      this.filter = filter;
      this.body = element("tbody");
      this.empty = element("p.quiet", {}, "No bounds yet: drag a handle below a histogram, type a number, or untick a label.");
      this.table = element("table.bounds", {},
        element("thead", {}, element("tr", {}, ...["bound", "removes alone", "removes in turn", "rows left", "left"].map((title) =>
          element("th", { scope: "col" }, title)), element("th", {}, element("span.unseen", {}, "change")))), this.body);
      this.element = element("div.scroll", {}, this.table, this.empty);
      this.update();
    }

    update() {
      const { scale, counts } = scaled(this.filter);
      const steps = this.filter.steps();
      const wheres = new Map(vidsieve.conditions(this.filter).map(({ name, where }) => [name, where]));
      const cell = (title, text) => element("td", { "data-title": title || null }, text); // narrow screens show the title
      this.table.hidden = !steps.length;
      this.empty.hidden = steps.length > 0;
      this.body.replaceChildren(...steps.map((step, place) => element("tr", {},
        element("th", { scope: "row" }, element("code", {}, wheres.get(step.name) ?? `${step.name}: everything`)),
        cell("alone", removedAlone(this.filter, step.name, step.alone)),
        cell("in turn", counts(step.inTurn * scale)),
        cell("left", `${counts(step.rowsLeft * scale)} (${percent(step.rowsLeft, this.filter.rows)})`),
        cell("", hours(step.secondsLeft * scale)),
        element("td", {},
          place ? element("button.link", { type: "button", "aria-label": `${step.name} first`, title: "apply it earlier", click: () => this._earlier(step.name) }, "↑") : null,
          element("button.link", { type: "button", "aria-label": `remove the bound of ${step.name}`, title: "remove", click: () => this._remove(step.name) }, "✕")))));
    }

    _remove(name) {
      if (this.filter.columns.get(name).kind === "number") this.filter.setRange(name, null, null);
      else this.filter.setLabels(name, null);
    }

    _earlier(name) {
      const bounds = [...this.filter.bounds];
      const place = bounds.findIndex(([other]) => other === name);
      [bounds[place - 1], bounds[place]] = [bounds[place], bounds[place - 1]];
      this.filter.setAll(new Map(bounds));
    }
  }

  /** The setting as a command, a link and a recipe. */
  class Setting {
    constructor(filter) {
      this.filter = filter;
      this.command = element("code", { tabindex: 0, "aria-label": "the command that keeps these rows" });
      const button = (text, act) => element("button", { type: "button", click: (event) => act(event.currentTarget) }, text);
      this.element = element("div.setting", {},
        element("pre.command", {}, this.command),
        element("div.buttons", {},
          button("Copy command", (it) => copy(this.command.textContent, it)),
          button("Copy link", (it) => copy(this.link, it)),
          button("Save recipe", () => download("thresholds.toml", vidsieve.recipe(filter, `thresholds for ${vidsieve.about.table}`))),
          button("Reset", () => { filter.clear(); announce("all bounds removed"); })));
      this.update();
    }

    get link() {
      return `${location.href.split("#")[0]}#${vidsieve.toFragment(this.filter)}`;
    }

    update() {
      this.command.textContent = vidsieve.command(this.filter, vidsieve.about.inputs ?? vidsieve.about.table);
      clearTimeout(this.timer); // not at every step of a drag: browsers limit how often this may be called
      this.timer = setTimeout(() => {
        const fragment = vidsieve.toFragment(this.filter);
        if (fragment !== location.hash.slice(1)) history.replaceState(null, "", fragment ? `#${fragment}` : location.pathname);
      }, 300);
    }
  }

  Object.assign(vidsieve, { scaled, Kept, Bounds, Setting });
})((globalThis.vidsieve ??= {}));
