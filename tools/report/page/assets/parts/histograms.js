// A card for each column: its histogram with a lower and an upper bound, or its labels with boxes to tick.
"use strict";
(function (vidsieve) {
  const { element, count, short } = vidsieve;
  const MARGIN = 12; // pixels beside the bars, so that a handle at the edge can be taken
  const FRAME_MS = 33; // time for drawing in one frame while a bound is moved

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  /** The histogram of one column of numbers. */
  class NumberCard {
    constructor(column, filter) {
      this.column = column;
      this.filter = filter;
      this.start = column.edges[0];
      this.end = Math.max(column.edges[column.edges.length - 1], this.start + column.stepValue(1));
      this.plot = element("div.plot", { pointerdown: (event) => this._grab(event) });
      this.handles = [this._handle(true), this._handle(false)];
      this.fields = [this._field(true), this._field(false)];
      this.note = element("p.note");
      this.figures = element("span.figures");
      this.clear = element("button.link", { type: "button", hidden: true, click: () => this._set(null, null) }, "clear");
      const [low, high] = this.fields;
      this.element = element("article.card", { "data-column": column.name },
        element("header", {}, element("h3", { title: column.name }, column.name), this.figures, this.clear),
        element("p.meaning", { title: column.meaning }, column.meaning),
        element("div.chart", {}, this.plot, ...this.handles),
        element("div.fields", {},
          element("label", {}, "at least ", low), element("label", {}, "at most ", high)),
        this.note);
      this._readBound();
    }

    _field(isLow) {
      const name = `${this.column.name}, ${isLow ? "at least" : "at most"}`;
      const field = element("input", { type: "text", inputmode: "decimal", size: 9, "aria-label": name, spellcheck: "false" });
      field.addEventListener("change", () => {
        const text = field.value.trim().replace(",", ".");
        const number = text === "" ? null : Number(text);
        field.setAttribute("aria-invalid", String(Number.isNaN(number)));
        if (!Number.isNaN(number)) this._set(...(isLow ? [number, this.bound.high] : [this.bound.low, number]));
      });
      return field;
    }

    _handle(isLow) {
      const handle = element("div.handle", {
        role: "slider", tabindex: 0, "aria-label": `${this.column.name}, ${isLow ? "lower" : "upper"} bound`,
        "aria-valuemin": this.start, "aria-valuemax": this.end, class: `handle ${isLow ? "low" : "high"}`,
      });
      handle.addEventListener("pointerdown", (event) => this._follow(isLow, event));
      handle.addEventListener("keydown", (event) => this._key(isLow, event));
      return handle;
    }

    get bound() {
      return this.filter.bounds.get(this.column.name) ?? { low: null, high: null };
    }

    get step() {
      return Number(`${this.column.steps.factor}e${this.column.steps.exponent}`);
    }

    /** Let a handle follow the pointer until it is lifted. */
    _follow(isLow, event) {
      event.preventDefault();
      const handle = this.handles[isLow ? 0 : 1];
      handle.setPointerCapture(event.pointerId);
      handle.focus({ preventScroll: true });
      const move = (at) => this._move(isLow, this._valueAt(at.clientX));
      handle.addEventListener("pointermove", move);
      const stop = () => handle.removeEventListener("pointermove", move);
      handle.addEventListener("pointerup", stop, { once: true });
      handle.addEventListener("pointercancel", stop, { once: true });
    }

    /** A press on the bars takes the nearer handle there; fingers scroll the page instead. */
    _grab(event) {
      if (event.pointerType === "touch" || event.button !== 0) return;
      const value = this._valueAt(event.clientX);
      const { low, high } = this.bound;
      const isLow = Math.abs(value - (low ?? this.start)) <= Math.abs(value - (high ?? this.end));
      this._move(isLow, value);
      this._follow(isLow, event);
    }

    _valueAt(x) {
      const box = this.plot.getBoundingClientRect();
      const share = (x - box.left - MARGIN) / (box.width - 2 * MARGIN);
      return this.start + share * (this.end - this.start);
    }

    _key(isLow, event) {
      const factor = event.shiftKey ? 10 : 1;
      const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 }[event.key];
      const now = (isLow ? this.bound.low : this.bound.high) ?? (isLow ? this.start : this.end);
      if (by) this._move(isLow, now + by * factor * this.step);
      else if (event.key === (isLow ? "Home" : "End") || event.key === "Delete") this._move(isLow, isLow ? -Infinity : Infinity);
      else if (event.key === (isLow ? "End" : "Home")) this._move(isLow, isLow ? this.end : this.start);
      else return;
      event.preventDefault();
    }

    /** Move a bound to a value on the grid of steps; at the outer edge it is taken away. */
    _move(isLow, value) {
      const rounded = Number.isFinite(value) ? this.column.stepValue(Math.round(value / this.step)) : value;
      const { low, high } = this.bound;
      if (isLow) this._set(rounded <= this.start ? null : Math.min(rounded, high ?? this.end), high);
      else this._set(low, rounded >= this.end ? null : Math.max(rounded, low ?? this.start));
    }

    _set(low, high) {
      this.filter.setRange(this.column.name, low, high);
    }

    /** Show the present bound in fields and handles; cheap. */
    _readBound() {
      const { low, high } = this.bound;
      for (const [place, value] of [low, high].entries()) {
        const field = this.fields[place];
        if (document.activeElement !== field || value !== Number(field.value)) field.value = value ?? "";
        const at = value ?? (place ? this.end : this.start);
        const share = Math.min(1, Math.max(0, (at - this.start) / (this.end - this.start)));
        const handle = this.handles[place];
        handle.style.left = `calc(${MARGIN}px + (100% - ${2 * MARGIN}px) * ${share})`;
        handle.setAttribute("aria-valuenow", at);
        handle.setAttribute("aria-valuetext", value === null ? "no bound" : short(value));
      }
      this.clear.hidden = low === null && high === null;
      this.element.classList.toggle("bounded", !this.clear.hidden);
    }

    /** Draw the bars for the present bounds; the figure is made the first time. */
    paint(scaleToKept) {
      this._readBound();
      const { kept, lost } = this.filter.histogram(this.column.name);
      const { scale } = vidsieve.scaled(this.filter);
      const all = scale === 1 ? this.filter.allRows(this.column.name).subarray(2, -1) : this.column.counts;
      const bars = all.length;
      const top = new Float64Array(bars);
      const lostTop = new Float64Array(bars);
      let most = 1;
      for (let bar = 0; bar < bars; bar++) {
        top[bar] = kept[bar + 2] * scale;
        lostTop[bar] = (kept[bar + 2] + lost[bar + 2]) * scale;
        most = Math.max(most, scaleToKept ? lostTop[bar] : all[bar]);
      }
      this._texts(kept, lost);
      if (!this.source) {
        this._figure(all, top, lostTop, most);
        return;
      }
      this.range.end = most * 1.04;
      this.source.data = { ...this.source.data, kept: top, lost: lostTop };
    }

    _figure(all, kept, lost, most) {
      const { edges } = this.column;
      const left = edges.slice(0, -1);
      const right = edges.slice(1);
      this.source = new Bokeh.ColumnDataSource({ data: { left, right, all: Array.from(all), kept, lost } });
      this.range = new Bokeh.Range1d({ start: 0, end: most * 1.04 });
      this.figure = new Bokeh.Plotting.Figure({
        height: 104, sizing_mode: "stretch_width", tools: "", toolbar_location: null,
        x_range: new Bokeh.Range1d({ start: this.start, end: this.end }), y_range: this.range,
        min_border: 0, min_border_left: MARGIN, min_border_right: MARGIN, background_fill_color: null,
        border_fill_color: null, outline_line_color: null,
      });
      const bars = (top, bottom, name) => this.figure.quad({
        left: { field: "left" }, right: { field: "right" }, top: { field: top }, bottom,
        source: this.source, fill_color: colour(name), line_color: null,
      });
      this.glyphs = { all: bars("all", 0, "all"), lost: bars("lost", { field: "kept" }, "lost"), kept: bars("kept", 0, "kept") };
      this.figure.ygrid.visible = false;
      this.figure.xgrid.visible = false;
      this.figure.yaxis.visible = false;
      this.axis = this.figure.xaxis.items ? this.figure.xaxis.items[0] : this.figure.below[0];
      Object.assign(this.axis, { minor_tick_line_color: null, axis_line_color: null, major_tick_in: 0, major_tick_out: 3 });
      this.axis.major_label_text_font = "system-ui, sans-serif";
      this.axis.ticker.desired_num_ticks = 5;
      if (this.column.exact && this.column.decimals === 0) this.axis.ticker.min_interval = 1;
      this.recolour();
      Bokeh.Plotting.show(this.figure, this.plot);
    }

    /** Take the colours of the present theme. */
    recolour() {
      if (!this.figure) return;
      for (const [name, renderer] of Object.entries(this.glyphs)) {
        for (const glyph of [renderer.glyph, renderer.nonselection_glyph, renderer.selection_glyph]) {
          if (glyph && glyph.fill_color) glyph.fill_color = { value: colour(name) };
        }
      }
      this.axis.major_label_text_color = colour("quiet");
      this.axis.major_tick_line_color = colour("quiet");
    }

    _texts(kept, lost) {
      const { counts, scale } = vidsieve.scaled(this.filter);
      const removed = lost.reduce((sum, rows) => sum + rows, 0);
      this.figures.textContent = this.clear.hidden ? "" : `−${counts(removed * scale)} of the rest`;
      const [below, above] = this.column.beyond;
      const notes = [];
      if (this.column.empty) notes.push(`without a number: ${count(this.column.empty)}${this.clear.hidden ? "" : ", removed"}`);
      if (below) notes.push(`below ${short(this.start)}: ${count(below)}`);
      if (above) notes.push(`above ${short(this.end)}: ${count(above)}`);
      this.note.textContent = notes.join("; ");
    }
  }

  /** The labels of one column, with a box to tick for each. */
  class LabelCard {
    constructor(column, filter) {
      this.column = column;
      this.filter = filter;
      this.rows = column.counts.map((rows, code) => ({ code, rows })).filter(({ code, rows }) => code > 0 || rows > 0);
      const list = element("ul.labels", {});
      for (const row of this.rows) {
        row.box = element("input", { type: "checkbox", change: () => this._choose() });
        row.bar = element("span.bar");
        row.count = element("span.count");
        const name = row.code ? column.values[row.code - 1] : "(empty)";
        list.append(element("li", {},
          element("label", {}, row.box, element("span.name", { title: name }, name), element("span.track", {}, row.bar), row.count)));
      }
      this.clear = element("button.link", { type: "button", hidden: true, click: () => filter.setLabels(column.name, null) }, "clear");
      this.element = element("article.card", { "data-column": column.name },
        element("header", {}, element("h3", { title: column.name }, column.name), this.clear),
        element("p.meaning", { title: column.meaning }, column.meaning), list);
    }

    _choose() {
      const chosen = this.rows.filter((row) => row.box.checked).map((row) => row.code);
      this.filter.setLabels(this.column.name, chosen.length === this.rows.length ? null : chosen);
    }

    paint() {
      const bound = this.filter.bounds.get(this.column.name);
      const { kept, lost } = this.filter.histogram(this.column.name);
      const { counts, scale } = vidsieve.scaled(this.filter);
      const most = Math.max(1, ...this.column.counts) / scale;
      for (const { code, box, bar, count: text } of this.rows) {
        box.checked = !bound || bound.labels.has(code);
        const rows = kept[code] + lost[code];
        bar.style.width = `${(100 * rows) / most}%`;
        bar.classList.toggle("lost", !box.checked);
        text.textContent = counts(rows * scale);
      }
      this.clear.hidden = !bound;
      this.element.classList.toggle("bounded", Boolean(bound));
    }

    recolour() {}
  }

  /** All cards. Those on the screen are drawn; while a bound moves, as many a frame as there is time for. */
  class Cards {
    constructor(filter) {
      this.filter = filter;
      this.scaleToKept = false;
      this.cards = new Map();
      this.visible = new Set();
      this.dirty = new Set();
      this.perFrame = 4;
      this.observer = new IntersectionObserver((entries) => {
        for (const { target, isIntersecting } of entries) {
          const name = target.dataset.column;
          if (isIntersecting) this.visible.add(name);
          else this.visible.delete(name);
        }
        this._schedule();
      }, { rootMargin: "100px" });
      for (const column of filter.columns.values()) {
        const card = new (column.kind === "number" ? NumberCard : LabelCard)(column, filter);
        this.cards.set(column.name, card);
        this.dirty.add(column.name);
        this.observer.observe(card.element);
      }
      filter.onChange((name) => this.update(name));
    }

    /** Everything is out of date; the card that was moved comes first. */
    update(first) {
      this.cards.get(first)?._readBound?.();
      this.dirty = new Set([...(first ? [first] : []), ...this.cards.keys()]);
      this._schedule();
    }

    recolour() {
      for (const card of this.cards.values()) card.recolour();
    }

    _schedule() {
      if (!this.frame) this.frame = requestAnimationFrame(() => this._paint());
    }

    _paint() {
      const begin = performance.now();
      this.frame = null;
      const waiting = [...this.dirty].filter((name) => this.visible.has(name));
      const now = waiting.slice(0, this.perFrame);
      for (const name of now) {
        this.cards.get(name).paint(this.scaleToKept);
        this.dirty.delete(name);
      }
      const rest = waiting.length > now.length;
      // Bokeh paints in the same frame, after this function: the next task is after that.
      setTimeout(() => {
        const spent = performance.now() - begin;
        if (now.length === this.perFrame) {
          const fitting = Math.round((this.perFrame * FRAME_MS) / Math.max(1, spent));
          this.perFrame = Math.max(2, Math.min(24, fitting, this.perFrame + 2));
        }
        if (!rest) document.dispatchEvent(new CustomEvent("vidsieve:painted", { detail: { ms: spent } }));
      });
      if (rest) this._schedule();
    }
  }

  vidsieve.Cards = Cards;
  vidsieve.colour = colour;
})((globalThis.vidsieve ??= {}));
