// Which rows the table of rows shows, and in which order. No drawing, no document.
"use strict";
(function (vidsieve) {
  /** The rows of the page, sorted and chosen: which ones, and in which order. */
  class RowList {
    constructor({ table, filter }) {
      Object.assign(this, { table, filter, sort: null, descending: false, show: "all", found: null });
      this.texts = ["path", "id", "text"].filter((name) => table.texts[name]);
      this.order = Uint32Array.from({ length: table.rows }, (_, row) => row);
      this.keys = new Map();
    }

    /** Keys to sort by; null for the order of the table. Those of texts are made when first asked for. */
    _keys(name) {
      if (name === "\0kept") return Uint16Array.from(this.filter.failures, (fails) => fails + 1);
      const column = this.filter.columns.get(name);
      if (column?.kind === "number") return column.codes;
      if (!this.keys.has(name)) {
        this.keys.set(name, column ? vidsieve.keysOfLabels(column) : vidsieve.keysOfTexts(this.table.texts[name]));
      }
      return this.keys.get(name);
    }

    /** Sort by a column; null is the order of the table. */
    sortBy(name, descending) {
      Object.assign(this, { sort: name, descending });
      this.order = name === null ? Uint32Array.from({ length: this.table.rows }, (_, row) => row)
        : vidsieve.orderBy(this._keys(name), descending);
      this.choose();
    }

    /** Look for words in paths, ids and captions. */
    search(query) {
      if (query.trim()) this.searcher ??= new vidsieve.RowSearch(this.texts.map((name) => this.table.texts[name]), this.table.rows);
      this.found = query.trim() ? this.searcher.find(query) : null;
      this.choose();
    }

    /** Which rows are shown: `all`, `kept`, `removed`, or `by` and the name of a bound that removes them. */
    choose(show = this.show) {
      this.show = show;
      const { failures } = this.filter;
      const { found } = this;
      const failing = show.startsWith("by ") ? this.filter.failing.get(show.slice(3)) : null;
      const rows = new Uint32Array(this.order.length);
      let length = 0;
      for (const row of this.order) {
        if (found && !found[row]) continue;
        if (show === "kept" && failures[row]) continue;
        if (show === "removed" && !failures[row]) continue;
        if (failing && !failing[row]) continue;
        rows[length++] = row;
      }
      this.rows = rows.subarray(0, length);
    }

    /** The bounds have changed. */
    refresh() {
      if (this.sort === "\0kept") this.sortBy(this.sort, this.descending);
      else this.choose();
    }

    /** The bounds that remove a row. */
    removedBy(row) {
      return [...this.filter.failing].filter(([, failing]) => failing[row]).map(([name]) => name);
    }
  }

  vidsieve.RowList = RowList;
})((globalThis.vidsieve ??= {}));
