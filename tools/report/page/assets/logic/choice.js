// Which clips a contact sheet shows. No drawing, no document.
"use strict";
(function (vidsieve) {
  /** A generator of random numbers in [0, 1) that gives the same ones for the same seed. */
  function randomFrom(seed) {
    let state = (seed ^ 0x9e3779b9) >>> 0;
    return () => {
      // Weyl sequence with a mixing function (Steele, Lea and Flood 2014, SplitMix in 32 bits).
      state = (state + 0x9e3779b9) >>> 0;
      let mixed = state;
      mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
      mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
      return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
    };
  }

  /**
   * The rows with the smallest keys, the smallest first; among equal ones those that come first.
   * @param {number[]|Uint32Array} rows
   * @param {(row: number) => number} key NaN leaves a row out.
   * @param {number} most
   */
  function smallest(rows, key, most) {
    const found = [];
    const keys = [];
    for (const row of rows) {
      const value = key(row);
      if (Number.isNaN(value) || (keys.length === most && !(value < keys[most - 1]))) continue;
      let place = keys.length;
      while (place > 0 && keys[place - 1] > value) place--;
      keys.splice(place, 0, value);
      found.splice(place, 0, row);
      if (keys.length > most) {
        keys.pop();
        found.pop();
      }
    }
    return found;
  }

  /** Some of the rows that a test lets through, at random but the same for the same seed. */
  function randomly(rows, test, most, seed) {
    const passing = rows.filter(test);
    const next = randomFrom(seed);
    for (let place = 0; place < Math.min(most, passing.length); place++) {
      const other = place + Math.floor(next() * (passing.length - place));
      [passing[place], passing[other]] = [passing[other], passing[place]];
    }
    return Array.from(passing.subarray ? passing.subarray(0, most) : passing.slice(0, most));
  }

  /** The numbers of so many rows. */
  function upTo(count) {
    const rows = new Uint32Array(count);
    for (let row = 0; row < count; row++) rows[row] = row;
    return rows;
  }

  /**
   * The rows next to a bound: kept ones nearest to it, and nearest of those that it alone removes.
   * @param {object} filter A Crossfilter.
   * @param {number[]|Uint32Array} rows To choose from.
   * @param {string} name Of a bounded column of numbers.
   * @param {boolean} isLow Which of its bounds.
   * @param {number} most Of each.
   */
  function around(filter, rows, name, isLow, most) {
    const column = filter.columns.get(name);
    const bound = filter.bounds.get(name);
    const failing = filter.failing.get(name);
    const edge = column.codeOf(isLow ? bound.low : bound.high, isLow);
    const inwards = isLow ? 1 : -1;
    const kept = smallest(rows, (row) => (filter.passes(row) ? inwards * (column.codes[row] - edge) : NaN), most);
    const removed = smallest(rows, (row) => {
      const code = column.codes[row];
      const alone = filter.failures[row] === 1 && failing[row] === 1 && code > 0;
      return alone && inwards * (code - edge) < 0 ? inwards * (edge - code) : NaN;
    }, most);
    return { kept, removed };
  }

  /** Highest or lowest rows of a column among those that a test lets through; rows without a number are left out. */
  function extreme(column, rows, test, isHighest, most) {
    const sign = isHighest ? -1 : 1;
    return smallest(rows, (row) => (column.codes[row] && test(row) ? sign * column.codes[row] : NaN), most);
  }

  Object.assign(vidsieve, { randomFrom, smallest, randomly, upTo, around, extreme });
})((globalThis.vidsieve ??= {}));
