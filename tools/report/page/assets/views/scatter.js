// Any two columns of numbers against each other: points of kept and of removed rows, and how they correlate.
"use strict";
(function (vidsieve) {
  const { element, count, short, colour } = vidsieve;
  const MOST = 10_000; // points of kept rows, and as many of removed ones
  const WAIT_MS = 150; // after the last change of a bound
  const FEW = 500; // rows whose points are drawn larger
  const HEIGHT = 420; // pixels
  const REACH = 15; // pixels from a point within which it is meant

  const decimals = (number) => (Number.isNaN(number) ? "–" : number.toFixed(3));

  /** The tab. */
  class Scatter {
    constructor(context) {
      this.context = context;
      this.filter = context.filter;
      this.columns = [...context.filter.columns.values()].filter((column) => column.kind === "number");
      this.order = vidsieve.shuffled(context.table.rows, context.about.seed);
      this.x = this._select("horizontal", 0);
      this.y = this._select("vertical", 1);
      this.logX = this._box("logarithm", "horizontal axis as logarithm");
      this.logY = this._box("logarithm", "vertical axis as logarithm");
      this.drag = this._box("draw a rectangle to set the bounds of both", null);
      this.drag.firstChild.checked = matchMedia("(pointer: fine)").matches;
      this.plot = element("div.scatter-plot", { role: "img" });
      this.note = element("p.note");
      this.clip = element("div.scatter-clip", { role: "status" }, element("p.quiet", {}, "Click a point to see its clip."));
      this.body = element("tbody");
      const figures = element("table.numbers.correlation", {},
        element("thead", {}, element("tr", {}, ...["correlation over", "rows", "Pearson", "Spearman"].map((title) =>
          element("th", { scope: "col" }, title)))), this.body);
      const legend = element("p.legend", {}, element("span", {}, element("i.swatch.kept"), " ○ kept"), element("span", {}, element("i.swatch.lost"), " × removed"),
        element("span", {}, "– – bounds"));
      this.element = element("div.scatter", {},
        element("div.scatter-bar", {}, element("label", {}, "horizontal ", this.x), this.logX, element("label", {}, "vertical ", this.y), this.logY, this.drag),
        legend, this.plot, this.note, this.clip, element("div.scroll", {}, figures));
      document.addEventListener("vidsieve:theme", () => this.figure && this._draw());
    }

    _select(name, chosen) {
      const scores = this.columns.filter((column) => column.score);
      const first = (scores.length > 1 ? scores : this.columns)[chosen];
      const select = element("select", { "aria-label": `${name} axis`, change: () => this._draw() },
        ...this.columns.map((column) => element("option", { value: column.name, selected: column === first }, column.name)));
      select.value = first.name;
      return select;
    }

    _box(text, label) {
      return element("label", {}, element("input", { type: "checkbox", "aria-label": label, change: () => this._draw() }), ` ${text}`);
    }

    get pair() {
      return [this.x, this.y].map((select) => this.filter.columns.get(select.value));
    }

    get isLog() {
      return [this.logX, this.logY].map((label) => label.firstChild.checked);
    }

    update() {
      if (!this.figure) {
        this._draw();
        return;
      }
      this._lines();
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this._fill(), WAIT_MS);
    }

    /** A new figure: other columns, or other axes. */
    _draw() {
      const [x, y] = this.pair;
      this._ranges();
      const range = ([start, end]) => new Bokeh.Range1d({ start, end });
      this.figure = new Bokeh.Plotting.Figure({
        height: HEIGHT, sizing_mode: "stretch_width", tools: "", toolbar_location: null,
        x_axis_type: this.isLog[0] ? "log" : "linear", y_axis_type: this.isLog[1] ? "log" : "linear",
        x_range: range(this.limits[0]), y_range: range(this.limits[1]), x_axis_label: x.name, y_axis_label: y.name,
        background_fill_color: null, border_fill_color: null, outline_line_color: colour("line"), output_backend: "canvas",
      });
      this.sources = {};
      const [size, alpha] = this.filter.rows < FEW ? [9, 0.9] : [5, 0.5];
      for (const [name, marker] of [["lost", "x"], ["kept", "circle"]]) {
        this.sources[name] = new Bokeh.ColumnDataSource({ data: { x: [], y: [], row: [] } });
        this.figure.scatter({ x: { field: "x" }, y: { field: "y" }, source: this.sources[name], marker, size, line_color: colour(name),
          line_alpha: alpha, fill_color: name === "kept" ? colour(name) : null, fill_alpha: alpha / 2 });
      }
      this.spans = [0, 1].map((axis) => [0, 1].map(() => {
        const span = new Bokeh.Span({ location: 0, dimension: axis ? "width" : "height", line_color: colour("ink"), line_dash: "dashed", line_width: 1.5, visible: false });
        this.figure.add_layout(span);
        return span;
      }));
      for (const axis of [...this.figure.below, ...this.figure.left]) {
        for (const part of ["axis_label_text_color", "major_label_text_color", "major_tick_line_color", "axis_line_color"]) axis[part] = colour("quiet");
        axis.minor_tick_line_color = null;
      }
      for (const grid of this.figure.center) if ("grid_line_color" in grid) grid.grid_line_color = colour("line");
      this.figure.on_event("tap", ({ x: atX, y: atY }) => this._tapped(atX, atY));
      if (this.drag.firstChild.checked) this._dragging();
      this._lines();
      this._fill();
      this.plot.replaceChildren();
      this.view?.then?.((view) => view?.remove?.());
      this.view = Bokeh.Plotting.show(this.figure, this.plot);
    }

    /** Where the axes start and end: where most numbers are, as in the histograms. */
    _ranges() {
      this.limits = this.pair.map((column, axis) => {
        let [start, end] = [column.edges[0], column.edges[column.edges.length - 1]];
        if (!this.isLog[axis]) {
          const margin = 0.02 * (end - start) || 1;
          return [start - margin, end + margin];
        }
        if (start <= 0) {
          start = Infinity;
          for (const code of new Set(column.codes)) {
            const value = column.valueOf(code);
            if (value > 0 && value < start) start = value;
          }
        }
        if (start === Infinity) return [1, 10]; // no number has a logarithm
        return start < end ? [start / 1.1, end * 1.1] : [start / 2, Math.max(start, end) * 2 || 1];
      });
    }

    _dragging() {
      const tool = new Bokeh.BoxSelectTool({ renderers: [], persistent: false });
      this.figure.add_tools(tool);
      this.figure.toolbar.active_drag = tool;
      this.figure.on_event("selectiongeometry", ({ geometry, final }) => {
        if (final === false || geometry.type !== "rect") return;
        const [x, y] = this.pair;
        const digits = (value, [start, end]) => {
          const places = Math.max(0, 3 - Math.floor(Math.log10(Math.abs(end - start) || 1)));
          return Number(value.toFixed(Math.min(20, places)));
        };
        const [inX, inY] = this.limits;
        const sides = (a, b, limits) => [Math.min(a, b), Math.max(a, b)].map((value) => digits(value, limits));
        const bounds = new Map(this.filter.bounds);
        for (const [column, [low, high]] of [[y, sides(geometry.y0, geometry.y1, inY)], [x, sides(geometry.x0, geometry.x1, inX)]]) {
          bounds.set(column.name, { low, high });
        }
        this.filter.setAll(bounds);
      });
    }

    /** Show the clip of the point that is nearest to a place of the figure. */
    _tapped(...at) {
      const size = [this.plot.clientWidth, HEIGHT];
      const pixel = (value, axis) => {
        const [start, end] = this.limits[axis];
        if (this.isLog[axis]) return (size[axis] * Math.log(value / start)) / Math.log(end / start);
        return (size[axis] * (value - start)) / (end - start);
      };
      const [atX, atY] = at.map(pixel);
      let nearest = { row: null, distance: REACH };
      for (const name of ["kept", "lost"]) {
        const { x, y, row } = this.sources[name].data;
        for (let place = 0; place < row.length; place++) {
          const distance = Math.hypot(pixel(x[place], 0) - atX, pixel(y[place], 1) - atY);
          if (distance < nearest.distance) nearest = { row: row[place], distance };
        }
      }
      if (nearest.row === null) return;
      const values = this.pair.map((column) => `${column.name} ${short(column.value(nearest.row))}`).join(", ");
      this.clip.replaceChildren(vidsieve.tile(this.context, nearest.row, null), element("p.quiet", {}, values));
    }

    _lines() {
      for (const [axis, column] of this.pair.entries()) {
        const bound = this.filter.bounds.get(column.name);
        for (const [place, value] of [bound?.low ?? null, bound?.high ?? null].entries()) {
          const span = this.spans[axis][place];
          span.visible = value !== null;
          if (value !== null) span.location = value;
        }
      }
    }

    /** The points, and the correlations. */
    _fill() {
      const [x, y] = this.pair;
      const { filter } = this;
      const points = { kept: { x: [], y: [], row: [] }, lost: { x: [], y: [], row: [] } };
      const all = { kept: 0, lost: 0 };
      const isShown = (value, axis) => value >= this.limits[axis][0] && value <= this.limits[axis][1];
      let beyond = 0;
      for (const row of this.order) {
        if (x.codes[row] === 0 || y.codes[row] === 0) continue;
        const which = filter.passes(row) ? "kept" : "lost";
        all[which]++;
        const target = points[which];
        const [valueX, valueY] = [x.value(row), y.value(row)];
        if (!isShown(valueX, 0) || !isShown(valueY, 1)) beyond++;
        else if (target.x.length < MOST) {
          target.x.push(valueX);
          target.y.push(valueY);
          target.row.push(row);
        }
      }
      for (const name of ["lost", "kept"]) this.sources[name].data = points[name];
      this._texts(x, y, points, all, beyond);
    }

    _texts(x, y, points, all, beyond) {
      const isSample = points.kept.x.length + points.lost.x.length + beyond < all.kept + all.lost;
      const notes = [`${count(points.kept.x.length)} of ${count(all.kept)} kept and ${count(points.lost.x.length)} of ${count(all.lost)} removed rows that have both numbers are drawn` +
        (isSample ? `, a random sample (seed ${this.context.about.seed}) of at most ${count(MOST)} each` : "")];
      if (beyond) notes.push(`${count(beyond)} lie outside${this.isLog.includes(true) ? ", or have no logarithm" : ""}`);
      this.note.textContent = `${notes.join("; ")}.`;
      const whole = vidsieve.correlations(x, y);
      const kept = vidsieve.correlations(x, y, (row) => this.filter.passes(row));
      const isPart = this.filter.rows < vidsieve.about.rows ? " of this page" : "";
      this.body.replaceChildren(...[[`all rows${isPart}`, whole], [`kept rows${isPart}`, kept]].map(([title, found]) => element("tr", {},
        element("th", { scope: "row" }, title), element("td", { "data-title": "rows" }, count(found.rows)),
        element("td", { "data-title": "Pearson" }, decimals(found.pearson)), element("td", { "data-title": "Spearman" }, decimals(found.spearman)))));
      this.plot.setAttribute("aria-label", `${y.name} against ${x.name}: Spearman correlation ${decimals(whole.spearman)} over all rows, ${decimals(kept.spearman)} over kept ones; ` +
        `${x.name} from ${short(this.limits[0][0])} to ${short(this.limits[0][1])}, ${y.name} from ${short(this.limits[1][0])} to ${short(this.limits[1][1])}`);
    }
  }

  vidsieve.views ??= [];
  vidsieve.views.push({
    id: "scatter", title: "Scatter", make: (context) => new Scatter(context),
    useful: ({ filter }) => [...filter.columns.values()].filter((column) => column.kind === "number").length > 1,
  });
})((globalThis.vidsieve ??= {}));
