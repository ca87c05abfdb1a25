// How two columns go together: correlation of their numbers, and of their ranks. No drawing, no document.
"use strict";
(function (vidsieve) {
  /**
   * The correlation of numbers (Pearson): the sum of products of distances from the means, by the root of the
   * product of the sums of their squares. Means are taken off first, as single sums of products lose digits.
   * @returns {number} NaN for fewer than two pairs, or where one side is the same throughout.
   */
  function pearson(x, y) {
    const length = x.length;
    if (length < 2) return NaN;
    const scaleX = largest(x); // squares of 1e200 would be infinite
    const scaleY = largest(y);
    if (isConstant(x) || isConstant(y)) return NaN; // rounding may leave a tiny spread of equal numbers
    let meanX = 0;
    let meanY = 0;
    for (let at = 0; at < length; at++) {
      meanX += x[at] / scaleX;
      meanY += y[at] / scaleY;
    }
    meanX /= length;
    meanY /= length;
    let xx = 0;
    let yy = 0;
    let xy = 0;
    for (let at = 0; at < length; at++) {
      const fromX = x[at] / scaleX - meanX;
      const fromY = y[at] / scaleY - meanY;
      xx += fromX * fromX;
      yy += fromY * fromY;
      xy += fromX * fromY;
    }
    return Math.max(-1, Math.min(1, xy / Math.sqrt(xx) / Math.sqrt(yy)));
  }

  function largest(numbers) {
    let most = 0;
    for (let at = 0; at < numbers.length; at++) most = Math.max(most, Math.abs(numbers[at]));
    return most || 1;
  }

  function isConstant(numbers) {
    for (let at = 1; at < numbers.length; at++) if (numbers[at] !== numbers[0]) return false;
    return true;
  }

  /** The rank of each number, from 1; equal numbers have the mean of their ranks. */
  function ranks(numbers) {
    const length = numbers.length;
    const sorted = Float64Array.from(numbers).sort();
    const distinct = [];
    const rankOf = [];
    for (let at = 0; at < length; ) {
      let end = at + 1;
      while (end < length && sorted[end] === sorted[at]) end++;
      distinct.push(sorted[at]);
      rankOf.push((at + 1 + end) / 2);
      at = end;
    }
    const found = new Float64Array(length);
    for (let at = 0; at < length; at++) {
      let low = 0;
      let high = distinct.length;
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (distinct[middle] <= numbers[at]) low = middle;
        else high = middle;
      }
      found[at] = rankOf[low];
    }
    return found;
  }

  /** The correlation of ranks (Spearman). */
  const spearman = (x, y) => pearson(ranks(x), ranks(y));

  /**
   * Rows that have a finite number in both columns.
   * @param {(row: number) => boolean} [among] Which rows are looked at.
   * @returns {{rows: Uint32Array, x: Float64Array, y: Float64Array}}
   */
  function pairs(columnX, columnY, among = () => true) {
    const all = columnX.codes.length;
    const rows = new Uint32Array(all);
    const x = new Float64Array(all);
    const y = new Float64Array(all);
    let length = 0;
    for (let row = 0; row < all; row++) {
      if (columnX.codes[row] === 0 || columnY.codes[row] === 0 || !among(row)) continue;
      x[length] = columnX.value(row);
      y[length] = columnY.value(row);
      rows[length] = row;
      if (Number.isFinite(x[length]) && Number.isFinite(y[length])) length++;
    }
    return { rows: rows.subarray(0, length), x: x.subarray(0, length), y: y.subarray(0, length) };
  }

  /**
   * Both correlations of two columns, over the rows that have both numbers; those of all rows are kept.
   * @returns {{rows: number, pearson: number, spearman: number}}
   */
  function correlations(columnX, columnY, among = null) {
    const known = (columnX._correlations ??= new Map());
    if (!among && known.has(columnY.name)) return known.get(columnY.name);
    const { rows, x, y } = pairs(columnX, columnY, among ?? undefined);
    const found = { rows: rows.length, pearson: pearson(x, y), spearman: spearman(x, y) };
    if (!among) known.set(columnY.name, found);
    return found;
  }

  /** All rows in a random order, the same for the same seed (mulberry32, and Fisher and Yates' shuffle). */
  function shuffled(rows, seed) {
    const order = Uint32Array.from({ length: rows }, (_, row) => row);
    let state = seed >>> 0;
    const random = () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    };
    for (let last = rows - 1; last > 0; last--) {
      const other = Math.floor(random() * (last + 1));
      [order[last], order[other]] = [order[other], order[last]];
    }
    return order;
  }

  Object.assign(vidsieve, { pearson, spearman, ranks, pairs, correlations, shuffled });
})((globalThis.vidsieve ??= {}));
