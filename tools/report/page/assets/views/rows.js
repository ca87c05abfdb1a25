// A table of all rows: sorted by any column, searched, and saved. Only the rows on the screen are elements.
"use strict";
(function (vidsieve) {
  const { element, count, announce, download, copy } = vidsieve;
  const HEIGHT = 30; // pixels of a row, as in page.css
  const BEYOND = 8; // rows above and below those on the screen
  const BESIDE = 300; // pixels to either side of the screen
  const MOST_HEIGHT = 8e6; // pixels; browsers limit the height of an element, the lowest at about 17 million
  const SEARCH_MS = 150; // after the last key
  const TITLES = { path: "path", id: "id", text: "caption" };

  /** A number of a row as text: one that is exact with all its digits. */
  const cellText = (column, row) => {
    if (column.kind !== "number") return column.value(row);
    const value = column.value(row);
    return Number.isNaN(value) ? "" : column.exact ? String(value) : String(Number(value.toPrecision(6)));
  };

  /** The tab. */
  class Rows {
    constructor(context) {
      this.context = context;
      this.list = new vidsieve.RowList(context);
      this.list.choose();
      this.columns = this._columns();
      this.fixed = this.columns.findIndex(({ name }) => name === "path") + 1 || 1;
      let end = 0;
      this.ends = this.columns.map(({ width }) => (end += width));
      this.selected = null;
      this.body = element("tbody", { role: "rowgroup" });
      this.heads = new Map();
      const head = element("tr", { role: "row", "aria-rowindex": 1 }, ...this.columns.map((column) => this._head(column)));
      this.grid = element("table.rows", { role: "presentation" },
        element("colgroup", {}, ...this.columns.map(({ width }) => element("col", { style: `width:${width}px` }))),
        element("thead", { role: "rowgroup" }, head), this.body);
      this.grid.style.width = `${this.columns.reduce((sum, { width }) => sum + width, 0)}px`;
      this.scroller = element("div.rows-scroll", { tabindex: 0, role: "grid", "aria-label": "rows; arrow keys move, c copies the path",
        "aria-colcount": this.columns.length,
        scroll: () => this._schedule(), keydown: (event) => this._key(event) }, this.grid);
      this.detail = element("div.row-detail", { "aria-live": "polite" });
      this.element = element("div.rows-view", {}, this._bar(), this.scroller, this.detail);
      new ResizeObserver(() => this._schedule()).observe(this.scroller);
      this._choices();
    }

    _columns() {
      const { list } = this;
      const isNarrow = matchMedia("(max-width: 640px)").matches; // a path then fits beside its mark
      const shown = [{ name: "\0kept", title: "kept", width: 104, cell: (row) => this._keptCell(row) }];
      if (!list.texts.some((name) => name !== "text")) {
        shown.push({ name: null, title: "row", width: 80, cell: (row) => element("td.number", {}, count(row + 1)) });
      }
      for (const name of list.texts) {
        const texts = this.context.table.texts[name];
        const cell = name === "path"
          ? (row) => element("td.path.pin", { title: texts[row] }, element("bdi", { dir: "ltr" }, texts[row]))
          : (row) => element("td", { title: texts[row], dir: "auto" }, texts[row]);
        shown.push({ name, title: TITLES[name], width: { path: isNarrow ? 250 : 280, id: 140, text: 300 }[name], cell });
      }
      for (const column of list.filter.columns.values()) {
        const isNumber = column.kind === "number";
        const width = Math.min(220, Math.max(isNumber ? 100 : 120, 34 + 8 * column.name.length));
        shown.push({ name: column.name, title: column.name, meaning: column.meaning, width, isNumber, descendingFirst: isNumber && column.score,
          cell: (row) => {
            const fails = list.filter.failing.get(column.name)?.[row];
            const text = cellText(column, row);
            return element(`td${isNumber ? ".number" : ""}${fails ? ".fails" : ""}`, { title: fails ? `${text || "empty"}: removed by this bound` : text }, text);
          } });
      }
      return shown;
    }

    _keptCell(row) {
      if (this.list.filter.passes(row)) return element("td.mark", {}, "✓ kept");
      return element("td.mark.fails", { title: `removed by ${this.list.removedBy(row).join(", ")}` }, "✕ removed");
    }

    _head(column) {
      const arrow = element("span", { "aria-hidden": "true" });
      const head = element(column.name === "path" ? "th.pin" : column.isNumber ? "th.number" : "th", { scope: "col", role: "columnheader", "aria-sort": "none" },
        element("button.link", { type: "button", title: column.meaning || `sort by ${column.title}`, click: () => this._sort(column) }, element("span.name", {}, column.title), arrow));
      this.heads.set(column.name, { head, arrow });
      return head;
    }

    _bar() {
      const search = element("input", { type: "search", placeholder: "words in path, id or caption", "aria-label": "search rows", spellcheck: "false",
        input: () => {
          clearTimeout(this.timer);
          this.timer = setTimeout(() => this._change(() => this.list.search(search.value)), SEARCH_MS);
        } });
      this.choice = element("select", { "aria-label": "which rows", change: () => this._change(() => this.list.choose(this.choice.value)) });
      this.figure = element("span.quiet", { role: "status" });
      const button = (text, act) => element("button", { type: "button", click: (event) => act(event.currentTarget) }, text);
      const named = this.list.texts.includes("path") || this.list.texts.includes("id");
      return element("div.rows-bar", {}, this.list.texts.length ? search : null, this.choice, this.figure,
        named ? button(this.list.texts.includes("path") ? "Save paths" : "Save ids", () => this._savePaths()) : null,
        named ? button("Save CSV", () => this._saveCsv()) : null);
    }

    /** The choices of rows: one for every bound, beside those that are always there. */
    _choices() {
      const { filter } = this.list;
      const choices = [["all", "kept and removed"], ["kept", "kept"], ["removed", "removed"],
        ...[...filter.bounds.keys()].map((name) => [`by ${name}`, `removed by ${name}`])];
      const now = choices.map(([value]) => value).join("\n");
      if (now === this.choicesNow) return;
      this.choicesNow = now;
      if (!choices.some(([value]) => value === this.list.show)) this.list.choose("all");
      this.choice.replaceChildren(...choices.map(([value, text]) => element("option", { value, selected: value === this.list.show }, text)));
      this.choice.value = this.list.show;
    }

    _sort(column) {
      const { list } = this;
      const first = Boolean(column.descendingFirst);
      if (column.name === null) this._change(() => list.sortBy(null, false));
      else if (list.sort !== column.name) this._change(() => list.sortBy(column.name, first));
      else if (list.descending === first) this._change(() => list.sortBy(column.name, !first));
      else this._change(() => list.sortBy(null, false));
      for (const [name, { head, arrow }] of this.heads) {
        const direction = list.sort !== name ? "none" : list.descending ? "descending" : "ascending";
        head.setAttribute("aria-sort", direction);
        arrow.textContent = { none: "", ascending: " ▲", descending: " ▼" }[direction];
      }
      announce(list.sort === null ? "in the order of the table" : `sorted by ${column.title}, ${list.descending ? "largest" : "smallest"} first`);
    }

    /** Do something after which other rows are at the top. */
    _change(act) {
      act();
      this.scroller.scrollTop = 0;
      this.stale = true;
      this._draw();
    }

    update() {
      this._choices();
      this.list.refresh();
      this.stale = true;
      this._schedule();
    }

    _schedule() {
      if (!this.frame) this.frame = requestAnimationFrame(() => this._draw());
    }

    /** Where the rows on the screen are: of so many rows that they do not fit the highest element, by share. */
    _window() {
      const { rows } = this.list;
      const view = this.scroller.clientHeight - (this.grid.tHead.offsetHeight || HEIGHT);
      const fitting = Math.max(1, Math.floor(view / HEIGHT));
      const height = Math.min(MOST_HEIGHT, rows.length * HEIGHT);
      const top = Math.min(this.scroller.scrollTop, Math.max(0, height - view));
      const most = Math.max(0, rows.length - fitting);
      const first = height < MOST_HEIGHT ? Math.floor(top / HEIGHT) : Math.round((top / (height - view)) * most);
      const from = Math.max(0, first - BEYOND);
      const to = Math.min(rows.length, first + fitting + BEYOND + 1);
      const above = height < MOST_HEIGHT ? from * HEIGHT : Math.max(0, top - (first - from) * HEIGHT);
      return { from, to, first, fitting, most, above, below: Math.max(0, height - above - (to - from) * HEIGHT), height, view };
    }

    /** The columns on the screen and near it; those up to the path are always there. */
    _span() {
      const { scrollLeft, clientWidth } = this.scroller;
      let first = this.fixed;
      while (first < this.columns.length && this.ends[first] < scrollLeft - BESIDE) first++;
      let last = first;
      while (last < this.columns.length && this.ends[last] - this.columns[last].width < scrollLeft + clientWidth + BESIDE) last++;
      return { first, last };
    }

    _draw() {
      this.frame = null;
      const { rows } = this.list;
      const { from, to, above, below } = this._window();
      const { first, last } = this._span();
      const state = this.stale ? null : `${first} ${last}`; // rows that are still the same are not made again
      const before = state === this.drawnState ? this.drawnRows : new Map();
      Object.assign(this, { stale: false, drawnState: `${first} ${last}`, drawnRows: new Map() });
      const spacer = (height) => element("tr", { "aria-hidden": "true" }, element("td.spacer", { colspan: this.columns.length, style: `height:${height}px` }));
      const drawn = [];
      for (let at = from; at < to; at++) {
        const row = before.get(at) ?? this._row(rows[at], at, first, last);
        this.drawnRows.set(at, row);
        drawn.push(row);
      }
      this.body.replaceChildren(...(above ? [spacer(above)] : []), ...drawn, ...(below ? [spacer(below)] : []));
      this.scroller.setAttribute("aria-rowcount", rows.length + 1);
      if (this.body.querySelector("#selected-row")) this.scroller.setAttribute("aria-activedescendant", "selected-row");
      else this.scroller.removeAttribute("aria-activedescendant");
      const all = this.context.table.rows;
      this.figure.textContent = `${count(rows.length)} of ${count(all)} rows`;
      this._detail();
    }

    _row(row, at, first, last) {
      const isSelected = row === this.selected;
      const filler = (columns) => (columns ? [element("td", { colspan: columns, "aria-hidden": "true" })] : []);
      const cells = (from, to) => this.columns.slice(from, to).map((column, place) => {
        const cell = column.cell(row);
        cell.setAttribute("role", "gridcell");
        cell.setAttribute("aria-colindex", from + place + 1);
        return cell;
      });
      return element(`tr${this.list.filter.passes(row) ? "" : ".removed"}`, { role: "row", "aria-rowindex": at + 2, "data-row": row,
        "aria-selected": String(isSelected), id: isSelected ? "selected-row" : null, click: () => this._select(row, at) },
        ...cells(0, this.fixed), ...filler(first - this.fixed), ...cells(first, last), ...filler(this.columns.length - last));
    }

    _select(row, at) {
      Object.assign(this, { selected: row, at, stale: true });
      this._draw();
    }

    _key(event) {
      if (event.target !== this.scroller || event.ctrlKey || event.metaKey || event.altKey) return;
      const { rows } = this.list;
      if (event.key === "c" && this.selected !== null) copy(this._nameOf(this.selected), this.detail.querySelector("button"));
      const { fitting } = this._window();
      const by = { ArrowDown: 1, ArrowUp: -1, PageDown: fitting, PageUp: -fitting, Home: -Infinity, End: Infinity }[event.key];
      if (!by || !rows.length) return;
      event.preventDefault();
      const now = rows[this.at] === this.selected && this.selected !== null ? this.at : rows.indexOf(this.selected);
      const next = Math.max(0, Math.min(rows.length - 1, now === -1 && Math.abs(by) === 1 ? 0 : now + by));
      this._show(next);
      this._select(rows[next], next);
    }

    /** Scroll so far that a row is on the screen. */
    _show(at) {
      const { first, fitting, most, height, view } = this._window();
      if (at >= first + (this.scroller.scrollTop % HEIGHT > 1 ? 1 : 0) && at < first + fitting) return;
      const wanted = at < first + 1 ? at : at - fitting + 1;
      this.scroller.scrollTop = height < MOST_HEIGHT ? (at < first + 1 ? at * HEIGHT : Math.ceil((at + 1) * HEIGHT - view))
        : (wanted / most) * (height - view);
    }

    _nameOf(row) {
      const { path, id } = this.context.table.texts;
      return (path ?? id)?.[row] ?? `row ${row + 1}`;
    }

    /** All of the chosen row, texts in full. */
    _detail() {
      const row = this.selected;
      const state = row === null ? "" : `${row} ${vidsieve.conditions(this.list.filter).map(({ where }) => where).join(" ")}`;
      if (state === this.detailNow) return;
      this.detailNow = state;
      if (row === null) return;
      const { table, about } = this.context;
      const by = new Set(this.list.removedBy(row));
      const wheres = vidsieve.conditions(this.list.filter).filter(({ name }) => by.has(name)).map(({ where }) => where);
      const facts = [...this.list.filter.columns.values()].map((column) => [column.name, cellText(column, row)]).filter(([, text]) => text !== "");
      const button = element("button", { type: "button", click: (event) => copy(this._nameOf(row), event.currentTarget) }, "Copy path");
      const sprite = vidsieve.sprites().get(row);
      const file = vidsieve.fileLink(table.texts.path?.[row] ?? "", sprite?.link);
      file.tabIndex = 0;
      const whole = table.texts.text?.[row];
      const isCut = whole && about.cut_captions && [...whole].length >= about.cut_captions;
      this.detail.replaceChildren(
        element("h3", {}, this._nameOf(row)), ...(sprite?.jpeg ? [vidsieve.film(sprite)] : []), ...(table.texts.path ? [button] : []), ...(sprite?.link ? [" ", file] : []),
        element("p", {}, by.size ? `✕ removed by ${wheres.length ? wheres.join(", ") : [...by].join(", ")}` : "✓ kept"),
        ...(whole ? [element("p.caption", { dir: "auto" }, isCut ? `${whole}…` : whole)] : []),
        element("dl.facts", {}, ...facts.flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, text)])));
    }

    _savePaths() {
      download("paths.txt", Array.from(this.list.rows, (row) => `${this._nameOf(row)}\n`).join(""));
    }

    /** What a table of these rows needs so that another tool finds them: no scores, as those here may be rounded. */
    _saveCsv() {
      const { texts } = this.context.table;
      const names = ["path", "id"].filter((name) => texts[name]);
      const cells = Array.from(this.list.rows, (row) => [...names.map((name) => texts[name][row]),
        this.list.filter.passes(row) ? "true" : "false", this.list.removedBy(row).join("; ")]);
      download("rows.csv", vidsieve.csv([[...names, "kept", "removed_by"], ...cells]), "text/csv");
    }
  }

  vidsieve.views ??= [];
  vidsieve.views.push({ id: "rows", title: "Rows", make: (context) => new Rows(context), useful: ({ table }) => table.rows > 0 });
})((globalThis.vidsieve ??= {}));
