// Ratings of clips: kept in memory and, where the browser allows it, in its storage; as JSON Lines to save.
"use strict";
(function (vidsieve) {
  const WORST = 1;
  const BEST = 5;
  const VERDICT = ["rating", "keep", "reason", "defects"];

  /** A short number of a text, to tell the storage of one table from that of another (FNV-1a). */
  function textDigest(text) {
    let digest = 0x811c9dc5;
    for (let place = 0; place < text.length; place++) digest = Math.imul(digest ^ text.charCodeAt(place), 0x01000193);
    return (digest >>> 0).toString(36);
  }

  const isText = (value) => value === undefined || value === null || typeof value === "string";

  /** Whether a parsed line is a rating, as `tools.report.ratings` reads it. */
  function isRating(line) {
    if (typeof line !== "object" || line === null || typeof line.path !== "string" || !line.path) return false;
    const { rating, keep, defects } = line;
    const rated = typeof rating === "number" && rating >= WORST && rating <= BEST;
    const judged = typeof keep === "boolean";
    const audited = Array.isArray(defects) && defects.every((name) => typeof name === "string");
    return (rated || judged || audited) && ["reason", "note", "rater", "time"].every((name) => isText(line[name]));
  }

  /** What a person says of the clips of a page. Clips are counted from 0. */
  class Ratings {
    /**
     * @param {string} key Names the storage; the same for the same clips.
     * @param {string[]} paths Of the clips, as in the table.
     * @param {string[]|undefined} ids Of the clips; "" where a row has none.
     * @param {boolean} isAudit Whether a line is about defects, not a rating.
     */
    constructor(key, paths, ids, isAudit = false) {
      Object.assign(this, { paths, ids, isAudit });
      this.key = `vidsieve:${isAudit ? "audit" : "ratings"}:${textDigest(`${key}\n${paths.length}\n${paths.slice(0, 1000).join("\n")}`)}`;
      this.records = new Map(); // clip to its line, without path and id; in the order in which they were made
      this.others = []; // lines that were loaded and are about other things: saved again as they were
      this.past = [];
      this.rater = "";
      this.listeners = new Set();
      this.saved = true;
      this._restore();
      addEventListener("pagehide", () => this._store());
      addEventListener("beforeunload", (event) => {
        this._store();
        if (!this.stored && !this.saved) event.preventDefault();
      });
    }

    onChange(listener) {
      this.listeners.add(listener);
    }

    get(clip) {
      return this.records.get(clip);
    }

    /** Rated clips; one of which there is but a note is not rated. */
    get count() {
      return [...this.records.values()].filter((record) => this.isRated(record)).length;
    }

    isRated(record) {
      return Boolean(record) && VERDICT.some((name) => record[name] !== undefined);
    }

    /** Say something of a clip: what is given replaces what was said, undefined takes it away. */
    set(clip, change) {
      const before = this.records.get(clip);
      this.past.push([clip, before]);
      const after = { ...before, ...change, time: new Date().toISOString().replace(/\.\d+Z$/, "Z") };
      for (const name of Object.keys(after)) if (after[name] === undefined || after[name] === "") delete after[name];
      this.records.delete(clip);
      if (this.isRated(after) || after.note) this.records.set(clip, after);
      this._changed(clip);
    }

    rate(clip, rating) {
      this.set(clip, { rating, keep: undefined, reason: undefined });
    }

    judge(clip, keep, reason = undefined) {
      this.set(clip, { keep, reason, rating: undefined });
    }

    /** Take back what was said last. Returns the clip; null where there is nothing. */
    undo() {
      if (!this.past.length) return null;
      const [clip, before] = this.past.pop();
      this.records.delete(clip);
      if (before) this.records.set(clip, before);
      this._changed(clip);
      return clip;
    }

    clear() {
      this.records.clear();
      this.others = [];
      this.past = [];
      this._changed(null);
    }

    _changed(clip) {
      this.saved = false;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this._store(), 200);
      for (const listener of this.listeners) listener(clip);
    }

    /** In few characters, for a tile; "" where nothing was said. */
    text(clip) {
      const record = this.records.get(clip);
      if (!record) return "";
      if (record.rating !== undefined) return `★ ${record.rating}`;
      if (record.keep !== undefined) return record.keep ? "keep" : `reject${record.reason ? `: ${record.reason}` : ""}`;
      return "";
    }

    /** The lines to save. A row without a path has none: nothing could find it. */
    lines() {
      const own = [...this.records].filter(([clip, record]) => this.paths[clip] && this.isRated(record)).map(([clip, record]) => {
        const id = this.ids?.[clip];
        const { time, note, ...verdict } = record;
        return { path: this.paths[clip], ...(id ? { id } : {}), ...verdict, ...(note || this.isAudit ? { note: note ?? "" } : {}),
          ...(this.rater ? { rater: this.rater } : {}), time };
      });
      return [...this.others, ...own].map((line) => `${JSON.stringify(line)}\n`).join("");
    }

    /** Offer the lines as a file. */
    save() {
      vidsieve.download(`${this.isAudit ? "audit_" : ""}ratings${this.rater ? `_${this.rater.replace(/[^\p{L}\p{N}-]+/gu, "_")}` : ""}.jsonl`,
        this.lines(), "application/x-ndjson");
      this.saved = true;
    }

    /**
     * Go on from a file that was saved before. Later lines about a clip replace earlier ones.
     * @returns {{read: number, others: number, wrong: number}} Lines about clips of the page by the same rater;
     *   other ratings, which are kept and saved again; and lines that are no ratings.
     */
    load(text) {
      const lines = text.split("\n").filter((line) => line.trim()).map((line) => {
        try {
          return JSON.parse(line);
        } catch {
          return null;
        }
      });
      const good = lines.filter(isRating);
      const raters = new Set(good.map((line) => line.rater ?? ""));
      if (!this.rater && !this.records.size && raters.size === 1) [this.rater] = raters;
      this.places ??= this._places();
      let read = 0;
      for (const line of good) {
        const own = (line.rater ?? "") === this.rater && (line.defects !== undefined && line.defects !== null) === this.isAudit;
        const clips = own ? this._clipsOf(line) : [];
        read += clips.length > 0;
        if (!clips.length) this.others.push(line);
        const record = {};
        for (const name of [...VERDICT, "note", "time"]) if (line[name] !== null && line[name] !== undefined && line[name] !== "") record[name] = line[name];
        for (const clip of clips) {
          this.records.delete(clip);
          this.records.set(clip, record);
        }
      }
      this.past = [];
      this._changed(null);
      return { read, others: good.length - read, wrong: lines.length - good.length };
    }

    _places() {
      const places = new Map();
      for (const [clip, path] of this.paths.entries()) {
        if (places.has(path)) places.get(path).push(clip);
        else places.set(path, [clip]);
      }
      return places;
    }

    /** The clips that a line is of: those with its path and, where both have one, its id. */
    _clipsOf(line) {
      const id = line.id === undefined || line.id === null ? "" : String(line.id);
      return (this.places.get(line.path) ?? []).filter((clip) => !id || !this.ids?.[clip] || this.ids[clip] === id);
    }

    /** Keep the lines in the storage of the browser; some browsers have none for pages that are files. */
    _store() {
      clearTimeout(this.timer);
      if (this.saved && this.stored === undefined) return;
      try {
        localStorage.setItem(this.key, JSON.stringify({ rater: this.rater, lines: this.lines() }));
        this.stored = true;
      } catch {
        this.stored = false;
      }
    }

    _restore() {
      try {
        const kept = JSON.parse(localStorage.getItem(this.key) ?? "null");
        if (!kept) return;
        this.rater = String(kept.rater ?? "");
        this.restored = this.load(String(kept.lines ?? "")).read;
        clearTimeout(this.timer);
      } catch {
        this.restored = 0;
      }
    }
  }

  /** Buttons to save, to load and to take back, and a field for the name of the rater. */
  function ratingFile(ratings, after) {
    const { element, announce } = vidsieve;
    const says = element("span.quiet", { role: "status" });
    const name = element("input", { type: "text", size: 10, autocomplete: "off", value: ratings.rater, change: () => {
      ratings.rater = name.value.trim();
      ratings._changed(null);
    } });
    const file = element("input", { type: "file", accept: ".jsonl,.json,.ndjson,.txt", class: "unseen", tabindex: -1, "aria-label": "rating file", change: async () => {
      const [chosen] = file.files;
      if (!chosen) return;
      const { read, others, wrong } = ratings.load(await chosen.text());
      name.value = ratings.rater;
      says.textContent = [`${vidsieve.count(read)} ratings read`, others ? `${vidsieve.count(others)} of other clips or raters kept` : "",
        wrong ? `${vidsieve.count(wrong)} lines are no ratings` : ""].filter(Boolean).join(", ");
      file.value = "";
      after?.();
    } });
    const forget = element("button.link", { type: "button", click: () => {
      if (!confirm("Forget all ratings of this page that were not saved as a file?")) return;
      ratings.clear();
      says.textContent = "";
      announce("all ratings removed");
      after?.();
    } }, "Forget all");
    if (ratings.restored) says.textContent = `${vidsieve.count(ratings.restored)} ratings of before were found in this browser`;
    return element("div.buttons", {},
      element("button", { type: "button", click: () => ratings.save() }, "Save ratings"),
      element("button", { type: "button", click: () => file.click() }, "Load ratings…"), file,
      element("label", {}, "your name ", name), forget, says);
  }

  Object.assign(vidsieve, { Ratings, ratingFile });
})((globalThis.vidsieve ??= {}));
