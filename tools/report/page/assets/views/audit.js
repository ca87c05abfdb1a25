// The page of an audit: random clips, and boxes to tick what is wrong with them.
"use strict";
(function (vidsieve) {
  const { element, count, percent, announce } = vidsieve;
  const KEYS = "1234567890";

  class Audit {
    constructor(about) {
      this.about = about;
      this.clips = about.audit.clips;
      const path = this.clips.map((clip) => clip.path);
      const ids = this.clips.some((clip) => clip.id) ? this.clips.map((clip) => clip.id ?? "") : undefined;
      const { wanted, seed } = about.audit;
      this.ratings = vidsieve.ratings = new vidsieve.Ratings(`${about.table}\n${wanted}\n${seed}`, path, ids, true);
      this.defects = Object.entries(about.audit.defects);
      this.place = 0;
      this.says = element("p.figures", { role: "status" });
      this.progress = element("progress", { max: Math.max(1, this.clips.length), value: 0, "aria-label": "clips seen" });
      this.stage = element("div.stage", { tabindex: 0, "aria-label": "clip" });
      this.where = element("strong");
      this.boxes = this.defects.map(([name, title], place) => {
        const box = element("input", { type: "checkbox", value: name, change: () => this._tick() });
        return { name, box, label: element("label.defect", {}, box, element("kbd", {}, KEYS[place]), ` ${title}`) };
      });
      this.note = element("input", { type: "text", size: 30, autocomplete: "off", "aria-label": "note", placeholder: "note", change: () => this._noted() });
      this.note.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === "Escape") this.stage.focus({ preventScroll: true });
      });
      const button = (text, act) => element("button", { type: "button", click: act }, text);
      this.none = button("Seen, no defect (N)", () => this._none());
      this.one = element("section.audit", {}, element("p.line", {}, this.where,
        element("span", {}, button("← back", () => this._go(-1)), " ", button("next →", () => this._go(1)))), this.stage,
        element("fieldset.defects", {}, element("legend", {}, "What is wrong with it?"), ...this.boxes.map(({ label }) => label)),
        element("div.buttons", {}, this.none, button("Done, next (Enter)", () => this._done()), button("Undo (U)", () => this._undo()), this.note));
      this.tiles = new vidsieve.Tiles("drawn clips");
      this.grid = element("section", { hidden: true }, element("p.quiet", {}, "Choose a clip to say what is wrong with it."), this.tiles.element);
      this.toggle = button("All clips (G)", () => this._toggle());
      this.table = element("div.scroll");
      this.element = element("div", {},
        element("p.line.progress", {}, this.progress, this.says, this.toggle), this.one, this.grid,
        element("p.quiet.keys", {}, "Keys: ", element("kbd", {}, "1"), "–", element("kbd", {}, "9"), " ", element("kbd", {}, "0"), " defects, ",
          element("kbd", {}, "N"), " no defect and next, ", element("kbd", {}, "Enter"), " next, ", element("kbd", {}, "←"), " ", element("kbd", {}, "→"),
          " without saying anything, ", element("kbd", {}, "Space"), " plays or pauses, ", element("kbd", {}, "U"), " undo, ", element("kbd", {}, "G"), " all clips."),
        vidsieve.ratingFile(this.ratings, () => this._show()),
        element("h2", {}, "So far"), this.table,
        element("p.quiet", {}, "The rates with their confidence intervals, from the saved file:"),
        element("pre.command", {}, element("code", {}, about.audit.command)));
      document.addEventListener("keydown", (event) => this._key(event));
      this.ratings.onChange(() => this._figures());
      this.place = this._nextUnseen(0);
      this._show();
    }

    _defects() {
      return this.ratings.get(this.place)?.defects;
    }

    _show() {
      this.picture?.stop();
      const clip = this.clips[this.place];
      if (!clip) {
        this.one.hidden = true;
        this._figures();
        return;
      }
      const sprite = vidsieve.sprites().get(this.place);
      this.picture = new vidsieve.Picture(sprite, vidsieve.fileName(clip.path));
      this.picture.element.addEventListener("click", () => this.picture.press());
      this.stage.replaceChildren(vidsieve.sprites().size ? this.picture.element : "", sprite?.frames > 1 ? vidsieve.film(sprite) : "",
        element("p.line", {}, vidsieve.fileLink(clip.path, sprite?.link ?? vidsieve.linkOf(clip.path))),
        clip.path ? "" : element("p.notice", {}, "This row has no path: what is said of it is not saved, as nothing could find it again."),
        clip.text ? element("p.caption", { dir: "auto" }, clip.text) : "");
      const link = this.stage.querySelector("a.name");
      if (link) link.tabIndex = 0;
      this.picture.play();
      this._figures();
    }

    /** The first clip from a place on, around the end, of which nothing was said; the place where there is none. */
    _nextUnseen(from) {
      for (let by = 0; by < this.clips.length; by++) {
        const place = (from + by) % this.clips.length;
        if (!this.ratings.get(place)?.defects) return place;
      }
      return Math.min(from, this.clips.length - 1);
    }

    _figures() {
      const seen = [...this.ratings.records.values()].filter((record) => record.defects);
      const bad = seen.filter((record) => record.defects.length).length;
      this.progress.value = seen.length;
      this.says.textContent = `${count(seen.length)} of ${count(this.clips.length)} seen` +
        (seen.length ? `, ${count(bad)} with a defect (${percent(bad, seen.length)})` : "") +
        (seen.length && seen.length === this.clips.length ? ": all of them" : "");
      this.where.textContent = `Clip ${count(this.place + 1)} of ${count(this.clips.length)}`;
      const defects = this._defects();
      for (const { name, box } of this.boxes) box.checked = Boolean(defects?.includes(name));
      this.none.setAttribute("aria-pressed", String(defects?.length === 0));
      if (document.activeElement !== this.note) this.note.value = this.ratings.get(this.place)?.note ?? "";
      this.table.replaceChildren(element("table.so-far", {},
        element("thead", {}, element("tr", {}, ...["defect", "clips", "of those seen"].map((title) => element("th", { scope: "col" }, title)))),
        element("tbody", {}, ...[["any", bad], ...this.defects.map(([name, title]) =>
          [title, seen.filter((record) => record.defects.includes(name)).length])].map(([title, clips]) => element("tr", {},
          element("th", { scope: "row" }, title), element("td", {}, count(clips)), element("td", {}, percent(clips, seen.length)))))));
      if (!this.grid.hidden) this._tiles();
    }

    /** A box that is ticked by mistake and unticked says nothing: "no defect" has a button of its own. */
    _tick() {
      const defects = this.boxes.filter(({ box }) => box.checked).map(({ name }) => name);
      this.ratings.set(this.place, { defects: defects.length ? defects : undefined });
    }

    /** A note alone says nothing of a clip: it is saved with its defects. */
    _noted() {
      this.ratings.set(this.place, { note: this.note.value.trim() });
    }

    _none() {
      this.ratings.set(this.place, { defects: [] });
      announce("no defect");
      this._forward();
    }

    /** Whatever is ticked is all that is wrong. */
    _done() {
      if (!this._defects()) this.ratings.set(this.place, { defects: [] });
      this._forward();
    }

    _forward() {
      this.place = this._nextUnseen(this.place);
      this._show();
    }

    _go(by) {
      this.place = (this.place + by + this.clips.length) % this.clips.length;
      this._show();
    }

    _undo() {
      const clip = this.ratings.undo();
      if (clip === null) return;
      this.place = clip;
      this._show();
      announce("undone");
    }

    _toggle() {
      this.grid.hidden = !this.grid.hidden;
      this.one.hidden = !this.grid.hidden;
      this.toggle.textContent = this.grid.hidden ? "All clips (G)" : "One by one (G)";
      if (this.grid.hidden) this._show();
      else this._tiles();
    }

    _tiles() {
      const titles = this.about.audit.defects;
      const made = this.clips.map((clip, place) => {
        const defects = this.ratings.get(place)?.defects;
        const state = !defects ? "not seen" : defects.length ? `✕ ${defects.map((name) => titles[name]).join(", ")}` : "✓ no defect";
        const picture = new vidsieve.Picture(vidsieve.sprites().get(place), vidsieve.fileName(clip.path));
        const open = () => {
          this.place = place;
          this._toggle();
          this.stage.focus({ preventScroll: true });
        };
        const made = element("article.tile", { "data-row": place, tabindex: -1, click: open, "aria-label": `clip ${place + 1}, ${state}`,
          class: defects?.length ? "tile is-removed" : "tile",
          keydown: (event) => {
            if (event.key !== "Enter") return;
            event.stopPropagation();
            open();
          } }, picture.element,
          element("p.line", {}, element("span.mark", { title: state }, state), element("span.value", {}, `${place + 1}`)));
        for (const [kind, act] of [["mouseenter", "play"], ["focus", "play"], ["mouseleave", "stop"], ["blur", "stop"]]) {
          made.addEventListener(kind, () => picture[act]());
        }
        made.picture = picture;
        return made;
      });
      this.tiles.show(made);
    }

    _key(event) {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.target.matches?.("input:not([type=checkbox]), select, textarea")) return;
      const key = event.key.toLowerCase();
      const acts = { u: () => this._undo(), g: () => this._toggle() };
      if (!this.one.hidden) {
        Object.assign(acts, { n: () => this._none(), arrowleft: () => this._go(-1), arrowright: () => this._go(1) });
        // On a button or a link these two do what they do there.
        if (!event.target.matches?.("button, a")) acts.enter = () => this._done();
        if (!event.target.matches?.("button, a, input")) acts[" "] = () => this.picture.press();
        const box = this.boxes[KEYS.indexOf(key)];
        if (box && key.length === 1) acts[key] = () => {
          box.box.checked = !box.box.checked;
          this._tick();
          announce(`${box.label.textContent.slice(2)} ${box.box.checked ? "ticked" : "not ticked"}`);
        };
      }
      if (!acts[key]) return;
      event.preventDefault();
      acts[key]();
    }
  }

  function start() {
    const about = (vidsieve.about = JSON.parse(document.getElementById("about").textContent));
    const audit = new Audit(about);
    const { documentElement: root } = document;
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "dark" : "light";
    const theme = element("button.link", { type: "button", "aria-label": "dark or light", title: "dark or light",
      click: () => (root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark") }, "◐");
    document.body.append(
      element("header.top.plain", {}, element("div.title", {}, element("h1", {}, `Audit of ${about.title}`), theme),
        element("p.quiet", {}, `${about.audit.describe}. ${about.clips.note}`)),
      element("main", {}, about.audit.clips.length ? audit.element : element("p.notice", {}, "The table has no rows: there is nothing to look at.")),
      element("footer", {}, `Written by vidsieve ${about.version} from ${about.table}. This page needs no network and sends nothing.`));
    vidsieve.audit = audit;
    root.dataset.ready = "1";
  }

  start();
})((globalThis.vidsieve ??= {}));
