// The view in which clips are rated one after another, and the keys that rate a clip in any view.
"use strict";
(function (vidsieve) {
  const { element, count, announce } = vidsieve;
  const UNSURE = "suitability_std";
  const REASONS = ["text", "watermark", "cut inside", "bars", "blurred", "too dark", "no motion", "shaky", "wrong caption", "AI-made", "dull"];
  const WORDS = { 1: "very bad", 2: "bad", 3: "middling", 4: "good", 5: "very good" };

  /** The ratings of a page's table; the views share them. */
  vidsieve.pageRatings = ({ about, table }) => new vidsieve.Ratings(about.table, table.texts.path ?? [], table.texts.id);

  /** Whether a key is meant for a field, or for the browser. */
  const isElsewhere = (event) =>
    event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey ||
    event.target.matches?.("input:not([type=checkbox]), textarea") || (event.target.matches?.("select") && !/^[1-5]$/.test(event.key));

  /**
   * A field for why a clip is rejected.
   * @param {number} clip
   * @param {() => void} done Called when it is left by Enter or Escape.
   */
  function reasonField(clip, done) {
    const { ratings } = vidsieve;
    const list = `reasons-${clip}`;
    const field = element("input", { type: "text", list, size: 14, placeholder: "why?", "aria-label": "why it is rejected", autocomplete: "off" });
    field.value = ratings.get(clip)?.reason ?? "";
    const store = () => {
      const reason = field.value.trim();
      if (ratings.get(clip)?.keep === false && reason !== (ratings.get(clip).reason ?? "")) ratings.set(clip, { reason });
    };
    field.addEventListener("change", store);
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      if (event.key === "Enter") store();
      done();
    });
    return element("span.reason", {}, field, element("datalist", { id: list }, ...REASONS.map((reason) => element("option", { value: reason }))));
  }

  /** What a key does to a clip: "rated", "rejected", "undone", or null. */
  function keyed(event, clip) {
    const { ratings } = vidsieve;
    const key = event.key.toLowerCase();
    if (key === "u") return ratings.undo() === null ? null : "undone";
    if (/^[1-5]$/.test(key)) ratings.rate(clip, Number(key));
    else if (key === "k") ratings.judge(clip, true);
    else if (key === "r") ratings.judge(clip, false);
    else return null;
    return key === "r" ? "rejected" : "rated";
  }

  // The clip that keys rate outside the view Rate: the one that the pointer or the focus came to last.
  let current = null;
  for (const kind of ["mouseover", "focusin"]) {
    document.addEventListener(kind, (event) => (current = event.target.closest?.(".tile") ?? current));
  }
  document.addEventListener("keydown", (event) => {
    if (isElsewhere(event) || !vidsieve.ratings || !current?.isConnected || !current.matches(":hover, :focus-within")) return;
    const tile = current;
    const clip = Number(tile.dataset.row);
    const done = keyed(event, clip);
    if (!done) return;
    event.preventDefault();
    announce(vidsieve.ratings.text(clip) || "no rating");
    if (done === "rejected" && !tile.querySelector(".reason")) {
      const hadFocus = tile.matches(":focus-within");
      const reason = reasonField(clip, () => {
        reason.remove();
        if (hadFocus) tile.focus();
      });
      tile.append(reason);
      reason.querySelector("input").focus();
    } else if (done !== "rejected") tile.querySelector(".reason")?.remove();
  });

  /** Show what was said of a clip on all its tiles. */
  function markTiles(clip) {
    const tiles = document.querySelectorAll(clip === null ? ".tile" : `.tile[data-row="${clip}"]`);
    for (const tile of tiles) tile.querySelector(".given").textContent = vidsieve.ratings.text(Number(tile.dataset.row));
  }

  class Rate {
    constructor(context) {
      this.context = context;
      this.ratings = vidsieve.ratings;
      const { columns } = context.filter;
      this.order = element("select", { change: () => this._queue() },
        columns.has(UNSURE) ? element("option", { value: "unsure" }, "least sure first") : null,
        element("option", { value: "random" }, "random"), element("option", { value: "table" }, "as in the table"));
      this.keptOnly = element("input", { type: "checkbox", checked: true, change: () => this._queue() });
      this.progress = element("progress", { max: 1, value: 0, "aria-label": "clips rated" });
      this.says = element("span", { role: "status" });
      this.stage = element("div.stage", { tabindex: 0, "aria-label": "clip to rate" });
      this.reason = element("span.reasons");
      const button = (text, act, label) => element("button", { type: "button", "aria-label": label, click: act }, text);
      this.numbers = [1, 2, 3, 4, 5].map((number) => button(String(number), () => this._act(() => this.ratings.rate(this.row, number)), `${number}, ${WORDS[number]}`));
      this.keep = button("Keep (K)", () => this._act(() => this.ratings.judge(this.row, true)));
      this.reject = button("Reject (R)", () => this._reject());
      this.buttons = element("div.buttons.verdict", {}, element("span.quiet", {}, "bad"), ...this.numbers, element("span.quiet", {}, "good"),
        this.keep, this.reject, this.reason);
      this.element = element("div.rate", {},
        element("div.controls", {}, element("label", {}, "order ", this.order), element("label", {}, this.keptOnly, " only clips that pass the bounds")),
        element("p.line", {}, this.progress, this.says), this.stage, this.buttons,
        element("div.buttons", {}, button("← back", () => this._go(-1)), button("skip →", () => this._go(1)), button("Undo (U)", () => this._undo())),
        element("p.quiet", {}, "Keys: ", element("kbd", {}, "1"), "–", element("kbd", {}, "5"), ", ", element("kbd", {}, "K"), ", ", element("kbd", {}, "R"),
          ", ", element("kbd", {}, "U"), ", ", element("kbd", {}, "←"), " ", element("kbd", {}, "→"), "."),
        vidsieve.ratingFile(this.ratings, () => this._show()),
        element("p.quiet", {}, "A score of all clips, learned from the saved file:"),
        element("pre.command", {}, element("code", {}, `python -m tools.datasets.rate ${vidsieve.shellWord(context.about.table)} --ratings ratings.jsonl`)));
      document.addEventListener("keydown", (event) => this._key(event));
      this.ratings.onChange(() => this._figures());
      this._queue();
    }

    /** The clips in their order. The one that is shown stays, if it is among them. */
    _queue() {
      const { filter, table } = this.context;
      const pictures = [...vidsieve.sprites()].filter(([, sprite]) => sprite.jpeg).map(([row]) => row);
      const rows = pictures.length ? pictures : vidsieve.upTo(table.rows);
      const test = (row) => table.texts.path[row] && (!this.keptOnly.checked || filter.passes(row));
      if (this.order.value === "table") this.queue = Array.from(rows.filter(test));
      else this.queue = vidsieve.randomly(rows, test, rows.length, 1);
      if (this.order.value === "unsure") {
        const { codes } = filter.columns.get(UNSURE);
        this.queue.sort((a, b) => codes[b] - codes[a]);
      }
      const place = this.queue.indexOf(this.row);
      this.place = place >= 0 ? place : this._nextUnrated(0);
      if (place < 0 || !this.shown) this._show();
      this._figures();
    }

    /** The first clip from a place on, around the end, that is not rated; the place itself where all are. */
    _nextUnrated(from) {
      for (let by = 0; by < this.queue.length; by++) {
        const place = (from + by) % this.queue.length;
        if (!this.ratings.isRated(this.ratings.get(this.queue[place]))) return place;
      }
      return Math.max(0, Math.min(from, this.queue.length - 1));
    }

    _show() {
      const { context } = this;
      this.row = this.queue[this.place];
      this.shown = true;
      this.picture?.stop();
      this.reason.replaceChildren();
      this.buttons.hidden = this.row === undefined;
      if (this.row === undefined) {
        this.stage.replaceChildren(element("p.quiet", {}, "No clip passes the bounds."));
        this._figures();
        return;
      }
      const { texts } = context.table;
      const path = texts.path[this.row];
      const sprite = vidsieve.sprites().get(this.row);
      this.picture = new vidsieve.Picture(sprite, vidsieve.fileName(path));
      this.picture.element.addEventListener("click", () => this.picture.press());
      const scores = [...context.filter.columns.values()].filter((column) => column.score && column.kind === "number");
      this.stage.replaceChildren(vidsieve.sprites().size ? this.picture.element : "", sprite?.frames > 1 ? vidsieve.film(sprite) : "",
        element("p.line", {}, vidsieve.fileLink(path, sprite?.link ?? vidsieve.linkOf(path))),
        texts.text?.[this.row] ? element("p.caption", { dir: "auto" }, texts.text[this.row]) : "",
        scores.length ? element("details", {}, element("summary", {}, "scores"), element("p.quiet", {},
          scores.map((column) => `${column.name} ${vidsieve.short(column.value(this.row)) || "(empty)"}`).join(" · "))) : "");
      const link = this.stage.querySelector("a.name");
      if (link) link.tabIndex = 0;
      this.picture.play();
      this._figures();
    }

    _figures() {
      const rated = this.queue.filter((row) => this.ratings.isRated(this.ratings.get(row))).length;
      this.progress.max = Math.max(1, this.queue.length);
      this.progress.value = rated;
      this.says.textContent = `${count(rated)} of ${count(this.queue.length)} rated` +
        (this.queue.length && rated === this.queue.length ? ": all of them" : "") + (this.queue.length ? `; clip ${count(this.place + 1)}` : "");
      const record = this.ratings.get(this.row);
      for (const [place, button] of this.numbers.entries()) button.setAttribute("aria-pressed", String(record?.rating === place + 1));
      this.keep.setAttribute("aria-pressed", String(record?.keep === true));
      this.reject.setAttribute("aria-pressed", String(record?.keep === false));
    }

    _act(act) {
      if (this.row === undefined) return;
      act();
      announce(this.ratings.text(this.row));
      this.place = this._nextUnrated(this.place);
      this._show();
    }

    /** Reject, and ask why before the next clip comes. */
    _reject() {
      if (this.row === undefined) return;
      this.ratings.judge(this.row, false);
      const field = reasonField(this.row, () => {
        this.stage.focus({ preventScroll: true });
        this._act(() => {});
      });
      this.reason.replaceChildren(field, element("span.quiet", {}, " Enter: next clip"));
      field.querySelector("input").focus();
    }

    _go(by) {
      if (!this.queue.length) return;
      this.place = (this.place + by + this.queue.length) % this.queue.length;
      this._show();
    }

    _undo() {
      const clip = this.ratings.undo();
      if (clip === null) return;
      const place = this.queue.indexOf(clip);
      if (place >= 0) this.place = place;
      this._show();
      announce("undone");
    }

    _key(event) {
      if (isElsewhere(event) || !this.element.offsetParent) return;
      const key = event.key.toLowerCase();
      const by = event.target.closest?.(".tabs") ? 0 : { arrowleft: -1, arrowright: 1 }[key];
      if (by) this._go(by);
      else if (key === "u") this._undo();
      else if (key === "r") this._reject();
      else if (this.row !== undefined && /^[1-5k]$/.test(key)) this._act(() => keyed(event, this.row));
      else return;
      event.preventDefault();
    }

    update() {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this._queue(), 150);
    }
  }

  (vidsieve.views ??= []).push({ id: "rate", title: "Rate", useful: (context) => Boolean(context.table.texts.path) && context.table.rows > 0,
    make: (context) => new Rate(context) });
  vidsieve.markTiles = markTiles;
})((globalThis.vidsieve ??= {}));
