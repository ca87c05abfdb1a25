// Rows in the order of a column, rows that hold some words, and rows as text. No drawing, no document.
"use strict";
(function (vidsieve) {
  const MOST_PACKED = 2 ** 53;

  /**
   * All rows in the order of their keys; equal ones stay in the order of the table, whatever the direction.
   * @param {ArrayLike<number>} keys A whole number from 0 on for each row; rows with 0 have none and come last.
   * @param {boolean} descending
   * @returns {Uint32Array} Numbers of rows.
   */
  function orderBy(keys, descending) {
    const rows = keys.length;
    let most = 0;
    for (let row = 0; row < rows; row++) if (keys[row] > most) most = keys[row];
    const place = (key) => (key === 0 ? most + 1 : descending ? most - key : key);
    const order = new Uint32Array(rows);
    if ((most + 2) * rows < MOST_PACKED) {
      // Key and row in one number: sorting numbers needs no function, which is several times as fast.
      const packed = new Float64Array(rows);
      for (let row = 0; row < rows; row++) packed[row] = place(keys[row]) * rows + row;
      packed.sort();
      for (let at = 0; at < rows; at++) order[at] = packed[at] % rows;
      return order;
    }
    for (let row = 0; row < rows; row++) order[row] = row;
    return order.sort((a, b) => place(keys[a]) - place(keys[b]) || a - b);
  }

  /** Texts as keys for `orderBy`: 0 for an empty one, else in the order of their characters. */
  function keysOfTexts(texts) {
    const order = Uint32Array.from(texts, (_, row) => row);
    order.sort((a, b) => (texts[a] < texts[b] ? -1 : texts[a] > texts[b] ? 1 : 0));
    const keys = new Uint32Array(texts.length);
    let key = 0;
    for (let at = 0; at < order.length; at++) {
      const text = texts[order[at]];
      if (text === "") continue;
      if (at === 0 || text !== texts[order[at - 1]]) key++;
      keys[order[at]] = key;
    }
    return keys;
  }

  /** Labels as keys for `orderBy`: in the order of their texts, not of how many there are. */
  function keysOfLabels(column) {
    const keys = keysOfTexts(column.values);
    return Uint32Array.from(column.codes, (code) => (code ? Math.max(1, keys[code - 1]) : 0));
  }

  /** Finds rows by words. All texts are one long one, as one search of it is far quicker than one per row. */
  class RowSearch {
    /** @param {string[][]} columns Each a text for each row. */
    constructor(columns, rows) {
      this.starts = new Uint32Array(rows + 1);
      const lowered = [];
      let length = 0;
      for (let row = 0; row < rows; row++) {
        this.starts[row] = length;
        const text = columns.map((texts) => texts[row]).join("\n").toLowerCase();
        lowered.push(text);
        length += text.length + 1;
      }
      this.starts[rows] = length;
      this.text = lowered.join("\n");
    }

    /**
     * Rows that have every word of a query, in whatever case, each in any of the texts.
     * @returns {Uint8Array|null} 1 for each of these rows; null for a query without words.
     */
    find(query) {
      const words = query.toLowerCase().split(/\s+/).filter(Boolean);
      if (!words.length) return null;
      const found = this._rowsWith(words[0]);
      for (const word of words.slice(1)) {
        const next = this._rowsWith(word);
        for (let row = 0; row < found.length; row++) found[row] &= next[row];
      }
      return found;
    }

    _rowsWith(word) {
      const { starts, text } = this;
      const rows = starts.length - 1;
      const found = new Uint8Array(rows);
      let row = 0;
      let at = text.indexOf(word);
      while (at !== -1) {
        let end = rows; // the last row that starts at or before this place
        while (end - row > 1) {
          const middle = (row + end) >> 1;
          if (starts[middle] <= at) row = middle;
          else end = middle;
        }
        found[row] = 1;
        if (row + 1 >= rows) break;
        at = text.indexOf(word, starts[row + 1]);
      }
      return found;
    }
  }

  /** A cell of a CSV file. */
  const csvCell = (text) => (/[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

  /** Rows of texts as CSV. */
  const csv = (rows) => rows.map((cells) => cells.map((cell) => csvCell(String(cell))).join(",")).join("\n") + "\n";

  Object.assign(vidsieve, { orderBy, keysOfTexts, keysOfLabels, RowSearch, csv });
})((globalThis.vidsieve ??= {}));
