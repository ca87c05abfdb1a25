// The columns of the table as typed arrays, unpacked from what packing.py wrote.
"use strict";
(function (vidsieve) {
  const power = (exponent) => Number(`1e${exponent}`); // exact up to 1e22, unlike the operator of some engines

  /** A column of numbers. A code is 0 for an empty cell; larger codes are in the order of the numbers. */
  class NumberColumn {
    /**
     * @param {object} about What contents.py says of the column.
     * @param {Uint8Array|Uint16Array|Uint32Array|Float64Array} codes One for each row.
     */
    constructor(about, codes) {
      Object.assign(this, about);
      this.below = about.below.map(Number);
      this.above = about.above.map(Number);
      this.codes = codes;
      let most = 0;
      for (let row = 0; row < codes.length; row++) if (codes[row] > most) most = codes[row];
      this.mostCode = most;
      // Codes of numbers that are not listed.
      this.firstCode = this.below.length + 1;
      this.lastCode = most - this.above.length;
    }

    /** The number that is so many steps from 0, as a program reads its decimal. */
    multiple(steps) {
      return this.decimals >= 0 ? steps / power(this.decimals) : steps * power(-this.decimals);
    }

    /** The number of a code; of one that is not exact, the step below it. */
    valueOf(code) {
      if (code === 0) return NaN;
      if (code < this.firstCode) return this.below[code - 1];
      if (code > this.lastCode) return this.above[code - this.lastCode - 1];
      const key = code - 1 + this.least;
      return this.multiple(this.exact ? key : Math.floor(key / 2)) + 0;
    }

    /** The number of a row; NaN where its cell is empty. */
    value(row) {
      return this.valueOf(this.codes[row]);
    }

    /** A bound as the nearest number on the inner side that separates rows exactly. */
    snap(bound, isLow) {
      const scaled = this.decimals >= 0 ? bound * power(this.decimals) : bound / power(-this.decimals);
      const near = Math.round(scaled);
      const steps = this.multiple(near) === bound ? near : isLow ? Math.ceil(scaled) : Math.floor(scaled);
      return Math.abs(steps) > vidsieve.FIRST_LISTED ? bound : this.multiple(steps) + 0;
    }

    /** The smallest code, or the largest, within a bound that `snap` gave. */
    codeOf(bound, isLow) {
      const steps = Math.round(this.decimals >= 0 ? bound * power(this.decimals) : bound / power(-this.decimals));
      const code = (this.exact ? steps : 2 * steps) - this.least + 1;
      const { below, above, firstCode, lastCode } = this;
      const within = isLow ? (number) => number < bound : (number) => number <= bound; // not yet, or still
      const outer = isLow ? 1 : 0;
      if (code > lastCode || (!isLow && code === lastCode)) return lastCode + outer + above.filter(within).length;
      if (code < firstCode || (isLow && code === firstCode)) return outer + below.filter(within).length;
      return code;
    }

    /** The value of a step of the handles. */
    stepValue(number) {
      return Number(`${number * this.steps.factor}e${this.steps.exponent}`) + 0;
    }

    /** How many numbers of the whole table a bound keeps; null where only an estimate can tell. */
    keptOfAll({ low, high }) {
      const { below, within, first } = this.steps;
      const at = (counts, value) => {
        const number = Math.round(value / this.stepValue(1));
        return this.stepValue(number) === value ? counts[number - first] : undefined;
      };
      if (!below) return null;
      const most = high === null ? vidsieve.about.rows - this.empty : at(within, high);
      const least = low === null ? 0 : at(below, low);
      return most === undefined || least === undefined ? null : Math.max(0, most - least);
    }

    /** The bin of every row: 0 empty, 1 below the first edge, then the bins, last those above; made once. */
    get bins() {
      if (this._bins) return this._bins;
      const { codes, edges } = this;
      const last = edges.length - 1;
      const bins = new Uint8Array(codes.length);
      const ofCode = this.mostCode < 4 * codes.length ? new Uint8Array(this.mostCode + 1) : null;
      const find = (code) => {
        const value = this.valueOf(code);
        if (value < edges[0]) return 1;
        if (value > edges[last]) return last + 2;
        let low = 0;
        let high = last;
        while (high - low > 1) {
          const middle = (low + high) >> 1;
          if (value < edges[middle]) high = middle;
          else low = middle;
        }
        return low + 2;
      };
      for (let row = 0; row < codes.length; row++) {
        const code = codes[row];
        if (code === 0) continue;
        if (ofCode) bins[row] = ofCode[code] || (ofCode[code] = find(code));
        else bins[row] = find(code);
      }
      return (this._bins = bins);
    }

    /** How many bins there are, with the ones of `bins` for empty cells and for those beyond the edges. */
    get binCount() {
      return this.edges.length + 2;
    }
  }

  /** A column of few values, or of truth, or one of which it only matters whether a cell is filled. */
  class LabelColumn {
    constructor(about, codes) {
      Object.assign(this, about);
      this.codes = codes;
      this.bins = codes;
    }

    get binCount() {
      return this.values.length + 1;
    }

    /** How many rows of the whole table a choice of labels keeps. */
    keptOfAll({ labels }) {
      return this.counts.reduce((sum, rows, code) => sum + (labels.has(code) ? rows : 0), 0);
    }

    /** The text of a row; "" where its cell is empty. */
    value(row) {
      return this.codes[row] ? this.values[this.codes[row] - 1] : "";
    }
  }

  /** Codes from their byte planes: all lowest bytes, then all next ones. */
  function fromPlanes(bytes, width, rows) {
    const codes =
      width <= 1 ? new Uint8Array(rows)
      : width === 2 ? new Uint16Array(rows)
      : width <= 4 ? new Uint32Array(rows)
      : new Float64Array(rows);
    for (let place = 0; place < width; place++) {
      const plane = bytes.subarray(place * rows, (place + 1) * rows);
      const factor = 2 ** (8 * place);
      for (let row = 0; row < rows; row++) codes[row] += plane[row] * factor;
    }
    return codes;
  }

  function fromBase64(text) {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let place = 0; place < bytes.length; place++) bytes[place] = binary.charCodeAt(place);
    return bytes;
  }

  async function inflate(bytes) {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  /**
   * Unpack the table of the page.
   * @param {object} about Its description: rows, columns, and where in the bytes each part is.
   * @param {string} packed Base64 of the compressed parts.
   * @returns {Promise<object>} `rows`, `columns` by name, `seconds` (a NumberColumn), and `texts`, each an
   *   array of one text for each row.
   */
  async function unpack(about, packed) {
    const bytes = await inflate(fromBase64(packed));
    let place = 0;
    const next = (length) => bytes.subarray(place, (place += length));
    const rows = about.embedded;
    const number = (column) =>
      new NumberColumn(column, fromPlanes(next(column.width * rows), column.width, rows));
    const columns = new Map();
    for (const column of about.columns) {
      columns.set(column.name, column.kind === "number" ? number(column) : new LabelColumn(column, next(rows)));
    }
    const seconds = number(about.seconds);
    const texts = {};
    for (const [name, length] of Object.entries(about.texts)) {
      texts[name] = JSON.parse(new TextDecoder().decode(next(length)));
    }
    return { rows, columns, seconds, texts };
  }

  vidsieve.FIRST_LISTED = 2 ** 51 - 2; // LIMIT of packing.py
  vidsieve.NumberColumn = NumberColumn;
  vidsieve.LabelColumn = LabelColumn;
  vidsieve.unpack = unpack;
})((globalThis.vidsieve ??= {}));
