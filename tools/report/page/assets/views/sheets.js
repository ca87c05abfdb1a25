// Contact sheets: clips at both ends of a score, on both sides of the bound just moved, and at random.
"use strict";
(function (vidsieve) {
  const { element, count, short, announce } = vidsieve;
  const IN_SHEET = 12;
  const IN_STRIP = 6; // on each side
  const QUIET_MS = 150; // after the last step of a drag

  /** Call a function once it was quiet for a while. */
  function afterQuiet(act) {
    let timer = null;
    return () => {
      clearTimeout(timer);
      timer = setTimeout(act, QUIET_MS);
    };
  }

  /** Rows that have a picture, in their order. */
  const withPicture = () => [...vidsieve.sprites()].filter(([, sprite]) => sprite.jpeg).map(([row]) => row);

  /** Which bound of which column of numbers was moved last. */
  class Moved {
    constructor(filter) {
      this.filter = filter;
      this.before = new Map();
      this.name = null;
      this.isLow = true;
      filter.onChange((name) => this._look(name));
      this._look(null);
    }

    _look(changed) {
      const bounds = [...this.filter.bounds].filter(([, bound]) => !bound.labels);
      for (const [name, { low, high }] of bounds) {
        const old = this.before.get(name) ?? { low: null, high: null };
        if (changed !== null && name !== changed) continue;
        if (low !== old.low) [this.name, this.isLow] = [name, low !== null];
        else if (high !== old.high) [this.name, this.isLow] = [name, high === null];
      }
      this.before = new Map(bounds.map(([name, { low, high }]) => [name, { low, high }]));
      if (!this.before.has(this.name)) this.name = bounds.length ? bounds[bounds.length - 1][0] : null;
      const bound = this.before.get(this.name);
      if (bound && bound[this.isLow ? "low" : "high"] === null) this.isLow = !this.isLow;
    }
  }

  /** The condition of one bound, as text. */
  const boundText = (filter, name, isLow) => {
    const bound = filter.bounds.get(name);
    return `${name} ${isLow ? "≥" : "≤"} ${short(isLow ? bound.low : bound.high)}`;
  };

  /** A strip at the edge of the screen with clips on both sides of the bound just moved, in the order of the score. */
  class Strip {
    constructor(context) {
      this.context = context;
      this.rows = withPicture();
      this.open = true;
      this.title = element("strong");
      this.sides = [new vidsieve.Tiles("left of the bound"), new vidsieve.Tiles("right of the bound")];
      this.heads = [element("span.side"), element("span.side")];
      this.toggle = element("button.link", { type: "button", "aria-expanded": "true", click: () => this._toggle() }, "hide");
      this.body = element("div.both", {}, ...this.sides.map((side, place) => element("div.half", {}, this.heads[place], side.element)));
      this.element = element("aside.strip", { "aria-label": "clips around the bound", hidden: true },
        element("p.line", {}, this.title, this.toggle), this.body);
      this.later = afterQuiet(() => this._fill());
    }

    _toggle() {
      this.open = !this.open;
      this.body.hidden = !this.open;
      this.toggle.textContent = this.open ? "hide" : "show";
      this.toggle.setAttribute("aria-expanded", String(this.open));
      if (this.open) this._fill();
    }

    update() {
      if (this.rows.length) this.later();
    }

    _fill() {
      const { moved, filter } = this.context;
      this.element.hidden = moved.name === null;
      if (moved.name === null) return;
      this.title.textContent = `Clips around ${boundText(filter, moved.name, moved.isLow)}`;
      if (!this.open) return;
      const { kept, removed } = vidsieve.around(filter, this.rows, moved.name, moved.isLow, IN_STRIP);
      const column = filter.columns.get(moved.name);
      const parts = [["✕ just removed", removed], ["✓ just kept", kept]];
      if (!moved.isLow) parts.reverse();
      parts[0][1].reverse(); // the nearest ones meet in the middle
      for (const [place, [head, rows]] of parts.entries()) {
        this.heads[place].textContent = rows.length ? head : `${head}: none with a picture`;
        const tiles = rows.map((row) => vidsieve.tile(this.context, row, column));
        if (place === 0 && tiles.length) tiles[0].style.gridColumnStart = 1 + IN_STRIP - tiles.length;
        this.sides[place].show(tiles);
      }
    }
  }

  /** One contact sheet; its tiles are made when it comes near the screen. */
  class Sheet {
    /**
     * @param {object} context Of the page.
     * @param {string} title
     * @param {() => {rows: number[], title?: string}|null} choose Null where the sheet has nothing to show.
     * @param {...Node} extra Beside the title.
     */
    constructor(context, title, choose, ...extra) {
      Object.assign(this, { context, choose });
      this.title = element("h3", {}, title);
      this.tiles = new vidsieve.Tiles(title);
      this.none = element("p.quiet", {}, "none");
      this.element = element("section.sheet", {}, element("header", {}, this.title, ...extra), this.tiles.element, this.none);
      this.stale = true;
      this.near = false;
      new IntersectionObserver(([entry]) => {
        this.near = entry.isIntersecting;
        this._fill();
      }, { rootMargin: "300px" }).observe(this.element);
    }

    /** Choose again; now if it can be seen, else when it comes near. */
    refresh(column) {
      this.column = column;
      this.stale = true;
      const chosen = (this.chosen = this.choose());
      this.element.hidden = chosen === null;
      if (chosen?.title) this.title.textContent = chosen.title;
      this._fill();
    }

    _fill() {
      if (!this.stale || !this.near || !this.chosen) return;
      this.stale = false;
      this.none.hidden = this.chosen.rows.length > 0;
      this.tiles.show(this.chosen.rows.map((row) => vidsieve.tile(this.context, row, this.column)));
    }
  }

  class Sheets {
    constructor(context) {
      this.context = context;
      this.numbers = [...context.filter.columns.values()].filter((column) => column.kind === "number");
      this.pictures = withPicture();
      this.only = element("input", { type: "checkbox", checked: this.pictures.length > 0, change: () => this.fill() });
      this.select = element("select", { change: () => this.fill() },
        ...this.numbers.map((column) => element("option", { value: column.name }, column.name)));
      this.select.value = context.moved.name ?? this.numbers[0]?.name ?? "";
      this.seen = context.moved.name;
      this.seed = 1;
      this.says = element("p.quiet");
      const others = () => element("button.link", { type: "button", click: () => {
        this.seed++;
        this.fill();
        announce("other clips");
      } }, "other ones");
      const sheet = (title, choose, ...extra) => new Sheet(context, title, choose, ...extra);
      this.sheets = [
        ...[true, false].flatMap((isLow) => ["kept", "removed"].map((side) => sheet("", () => this._around(isLow, side)))),
        sheet("", () => this._extreme(true)), sheet("", () => this._extreme(false)),
        sheet("Random, kept", () => this._random(true), others()), sheet("Random, removed", () => this._random(false), others()),
      ];
      this.element = element("div", {},
        element("div.controls", {},
          this.numbers.length ? element("label", {}, "score ", this.select) : null,
          this.pictures.length ? element("label", {}, this.only, " only clips with a picture") : null),
        this.says, keysHelp(), ...this.sheets.map((one) => one.element));
      this.later = afterQuiet(() => this.fill());
      this.stale = false;
      context.filter.onChange(() => (this.stale = true));
      this.fill();
    }

    get column() {
      return this.context.filter.columns.get(this.select.value) ?? null;
    }

    get rows() {
      if (this.only.checked) return this.pictures;
      return (this.all ??= vidsieve.upTo(this.context.table.rows));
    }

    update() {
      if (!this.stale) return;
      this.stale = false;
      const { moved } = this.context;
      if (moved.name !== null && moved.name !== this.seen) this.select.value = moved.name;
      this.seen = moved.name;
      this.later();
    }

    fill() {
      const { filter, about } = this.context;
      const passing = this.pictures.filter((row) => filter.passes(row)).length;
      this.says.textContent = [
        this.pictures.length ? `${count(this.pictures.length)} clips of this page have a picture, ${count(passing)} of them are kept.` : "",
        about.clips?.note ?? "",
      ].filter(Boolean).join(" ");
      for (const one of this.sheets) one.refresh(this.column);
    }

    _around(isLow, side) {
      const { filter } = this.context;
      const bound = this.column && filter.bounds.get(this.column.name);
      if (!bound || bound[isLow ? "low" : "high"] === null) return null;
      const rows = vidsieve.around(filter, this.rows, this.column.name, isLow, IN_SHEET)[side];
      return { rows, title: `Just ${side} by ${boundText(filter, this.column.name, isLow)}` };
    }

    _extreme(isHighest) {
      if (!this.column) return null;
      const { filter } = this.context;
      const rows = vidsieve.extreme(this.column, this.rows, (row) => filter.passes(row), isHighest, IN_SHEET);
      return { rows, title: `${isHighest ? "Highest" : "Lowest"} ${this.column.name}, of what is kept` };
    }

    _random(isKept) {
      const { filter } = this.context;
      if (!isKept && !filter.bounds.size) return null;
      return { rows: vidsieve.randomly(this.rows, (row) => filter.passes(row) === isKept, IN_SHEET, this.seed) };
    }
  }

  const keysHelp = () => element("p.quiet.keys", {}, "Point at a clip, or go to it with Tab and the arrow keys: it plays; ",
    element("kbd", {}, "1"), "–", element("kbd", {}, "5"), " rate it, ", element("kbd", {}, "K"), " keep, ", element("kbd", {}, "R"), " reject, ",
    element("kbd", {}, "U"), " undo, ", element("kbd", {}, "Enter"), " or a click opens the file. Save the ratings in the view Rate.");

  (vidsieve.views ??= []).push({ id: "clips", title: "Clips", make: (context) => new Sheets(context),
    useful: (context) => Boolean(context.table.texts.path) && context.table.rows > 0 });
  Object.assign(vidsieve, { Moved, Strip });
})((globalThis.vidsieve ??= {}));
