// Which rows pass the bounds, and what each bound removes. No drawing, no document.
"use strict";
(function (vidsieve) {
  /**
   * Bounds on columns. A row passes a range if its number is not empty and within it, and a choice of labels
   * if its label is among them. A column without a bound lets every row pass.
   */
  class Crossfilter {
    /**
     * @param {Map<string, object>} columns Name to column, see columns.js.
     * @param {number} rows
     * @param {object} seconds The lengths of the rows, a NumberColumn.
     */
    constructor(columns, rows, seconds) {
      this.columns = columns;
      this.rows = rows;
      this.seconds = Float64Array.from({ length: rows }, (_, row) => seconds.value(row) || 0);
      this.bounds = new Map(); // name to {low, high} (null: open) or {labels: Set of codes}; in their order
      this.failing = new Map(); // name to Uint8Array: 1 where the row fails this bound
      this.failures = new Uint16Array(rows); // how many bounds a row fails
      this.listeners = new Set();
    }

    /** Call a function, with the name of the column or null for several, after every change. */
    onChange(listener) {
      this.listeners.add(listener);
    }

    /** Bound a column of numbers; null is no bound. The bounds become the nearest ones that are exact. */
    setRange(name, low, high) {
      const column = this.columns.get(name);
      const snapped = {
        low: low === null || Number.isNaN(low) ? null : column.snap(low, true),
        high: high === null || Number.isNaN(high) ? null : column.snap(high, false),
      };
      this._set(name, snapped.low === null && snapped.high === null ? null : snapped);
    }

    /** Keep rows with one of these codes (0 is an empty cell); null keeps all. */
    setLabels(name, codes) {
      this._set(name, codes === null ? null : { labels: new Set(codes) });
    }

    /** Replace all bounds: name to what `bounds` has. */
    setAll(bounds) {
      for (const name of [...this.bounds.keys()]) this._apply(name, null);
      for (const [name, bound] of bounds) {
        const column = this.columns.get(name);
        if (!column) continue;
        if (bound.labels) {
          this._apply(name, { labels: new Set(bound.labels) });
        } else if (column.kind === "number") {
          const low = bound.low === null ? null : column.snap(bound.low, true);
          const high = bound.high === null ? null : column.snap(bound.high, false);
          if (low !== null || high !== null) this._apply(name, { low, high });
        }
      }
      this._changed(null);
    }

    clear() {
      this.setAll(new Map());
    }

    _set(name, bound) {
      this._apply(name, bound);
      this._changed(name);
    }

    _changed(name) {
      for (const listener of this.listeners) listener(name);
    }

    _apply(name, bound) {
      const { failures } = this;
      let failing = this.failing.get(name);
      if (bound === null) {
        if (!failing) return;
        for (let row = 0; row < failing.length; row++) failures[row] -= failing[row];
        this.failing.delete(name);
        this.bounds.delete(name);
        return;
      }
      if (!failing) this.failing.set(name, (failing = new Uint8Array(this.rows)));
      this.bounds.set(name, bound);
      const column = this.columns.get(name);
      const { codes } = column;
      if (bound.labels) {
        const passes = Uint8Array.from({ length: 256 }, (_, code) => (bound.labels.has(code) ? 1 : 0));
        for (let row = 0; row < failing.length; row++) {
          const fails = 1 - passes[codes[row]];
          failures[row] += fails - failing[row];
          failing[row] = fails;
        }
        return;
      }
      const least = bound.low === null ? 1 : column.codeOf(bound.low, true);
      const most = bound.high === null ? column.mostCode : column.codeOf(bound.high, false);
      for (let row = 0; row < failing.length; row++) {
        const fails = codes[row] < least || codes[row] > most ? 1 : 0;
        failures[row] += fails - failing[row];
        failing[row] = fails;
      }
    }

    /** Whether a row passes all bounds. */
    passes(row) {
      return this.failures[row] === 0;
    }

    /** Rows that pass all bounds, and their seconds. */
    kept() {
      let rows = 0;
      let seconds = 0;
      for (let row = 0; row < this.rows; row++) {
        if (this.failures[row] === 0) {
          rows++;
          seconds += this.seconds[row];
        }
      }
      return { rows, seconds };
    }

    /**
     * What each bound removes: `alone`, were it the only one; `inTurn`, of what those before it leave; and the
     * rows and seconds `left` after it.
     */
    steps() {
      const found = [...this.bounds.keys()].map((name) => ({ name, alone: 0, inTurn: 0, seconds: 0 }));
      const flags = found.map((step) => this.failing.get(step.name));
      let seconds = 0;
      for (let row = 0; row < this.rows; row++) {
        let first = true;
        seconds += this.seconds[row];
        if (this.failures[row] === 0) continue;
        for (let place = 0; place < flags.length; place++) {
          if (!flags[place][row]) continue;
          found[place].alone++;
          if (first) {
            found[place].inTurn++;
            found[place].seconds += this.seconds[row];
            first = false;
          }
        }
      }
      let rows = this.rows;
      for (const step of found) {
        rows -= step.inTurn;
        seconds -= step.seconds;
        step.rowsLeft = rows;
        step.secondsLeft = seconds;
      }
      return found;
    }

    /**
     * Rows of each bin of a column: `kept` pass all bounds, `lost` pass all but the bound of this column.
     * The rest, up to all rows, fails another bound.
     */
    histogram(name) {
      const column = this.columns.get(name);
      const { bins } = column;
      const kept = new Uint32Array(column.binCount);
      const lost = new Uint32Array(column.binCount);
      const failing = this.failing.get(name);
      const { failures } = this;
      if (!failing) {
        for (let row = 0; row < bins.length; row++) if (failures[row] === 0) kept[bins[row]]++;
        return { kept, lost };
      }
      for (let row = 0; row < bins.length; row++) {
        if (failures[row] === 0) kept[bins[row]]++;
        else if (failures[row] === 1 && failing[row]) lost[bins[row]]++;
      }
      return { kept, lost };
    }

    /** Rows of each bin of a column, whatever the bounds; made once. */
    allRows(name) {
      const column = this.columns.get(name);
      if (!column._allRows) {
        column._allRows = new Uint32Array(column.binCount);
        for (let row = 0; row < column.bins.length; row++) column._allRows[column.bins[row]]++;
      }
      return column._allRows;
    }
  }

  vidsieve.Crossfilter = Crossfilter;
})((globalThis.vidsieve ??= {}));
